//! The golden grid: what `decide` says for each role, kind of key, kind of tool and state of the guard, as a person can read it.
//! To accept a change: `UPDATE_GOLDEN=1 cargo test -p kernel --test grid`, then read the diff line by line.
#![allow(clippy::disallowed_methods, reason = "a test makes its own actors and reads its own golden file")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fmt::Write as _, net::Ipv4Addr, sync::Arc};

use kernel::{
    Access, Actor, Category, Changes, CredentialId, Environment, Facade, Facts, Health, Instance, InstanceId, InstanceState,
    KeyId, ManualClock, OrgId, OwnCredentials, Permissions, Role, RpcConnection, RpcDialect, SeededRandom, Selection, ServerId,
    SessionId, Sources, ToolRule, Verified, parse_time,
    policy::{decide, most},
    resource::ModelRule,
};

fn facts(name: &'static str, category: Category, access: Access, least: Access, changes: Changes) -> Facts {
    Facts { name, category, access, least, changes }
}

/// One tool of each kind that policy tells apart.
fn tools() -> Vec<Facts> {
    use Access::{Destructive, Read, Write};
    use Changes::{Instance, Ocore, Outside};
    vec![
        facts("search_read", Category::Orm, Read, Read, Ocore),
        facts("write", Category::Orm, Write, Write, Instance),
        facts("unlink", Category::Orm, Destructive, Destructive, Instance),
        facts("execute_method", Category::Orm, Write, Read, Instance),
        facts("execute_sql", Category::Sql, Write, Read, Instance),
        facts("execute_shell", Category::Shell, Write, Write, Instance),
        facts("file_read", Category::Files, Read, Read, Ocore),
        facts("list_modules", Category::Modules, Read, Read, Ocore),
        facts("install_module", Category::Modules, Write, Write, Instance),
        facts("server_info", Category::System, Read, Read, Ocore),
        facts("odoo_logs", Category::System, Read, Read, Ocore),
        facts("set_user_password", Category::System, Write, Write, Instance),
        facts("backup_database", Category::System, Write, Write, Outside),
        facts("restore_database", Category::System, Destructive, Destructive, Instance),
        facts("add_note", Category::Context, Write, Write, Ocore),
        facts("import_csv", Category::Export, Write, Write, Instance),
        facts("generate_report", Category::Reports, Read, Read, Instance),
    ]
}

/// What limits a key on an instance, beside its permissions.
#[derive(Clone, Copy, PartialEq)]
enum Limits {
    None,
    Resources,
    OwnLogin,
}
impl Limits {
    fn on(self, at: &Instance) -> Instance {
        Instance { ruled: self == Self::Resources, ..at.clone() }
    }
    fn own(self, places: &[Instance]) -> Option<Arc<OwnCredentials>> {
        let sources = Sources::system();
        let login = || RpcConnection {
            credential: CredentialId::new(&sources),
            login: "ann".into(),
            dialect: RpcDialect::Auto,
            refused: false,
            generation: 1,
        };
        (self == Self::OwnLogin).then(|| Arc::new(places.iter().map(|at| (at.id, login())).collect()))
    }
}

struct World {
    sources: Sources,
    org: OrgId,
}
impl World {
    fn actor(&self, role: Role, permissions: Permissions, own: Option<Arc<OwnCredentials>>) -> Arc<Actor> {
        self.actor_of(role, permissions, own, Some(Access::Destructive))
    }
    fn actor_of(
        &self,
        role: Role,
        permissions: Permissions,
        own: Option<Arc<OwnCredentials>>,
        ceiling: Option<Access>,
    ) -> Arc<Actor> {
        Actor::verified(Verified {
            org: self.org,
            org_slug: "acme".into(),
            key: KeyId::new(&self.sources),
            key_label: "k".into(),
            user: None,
            role,
            operator: false,
            permissions: Arc::new(permissions),
            own,
            grant: None,
            ceiling,
            address: Ipv4Addr::LOCALHOST.into(),
            facade: Facade::Mcp,
            session: SessionId::new(&self.sources),
            at: self.sources.now(),
        })
    }
    fn instance(&self, org: OrgId, write_enabled: bool, state: InstanceState) -> Instance {
        Instance {
            id: InstanceId::new(&self.sources),
            org,
            server: ServerId::new(&self.sources),
            server_name: "host".into(),
            slug: "prod".into(),
            url: "https://odoo.example.com".parse().unwrap(),
            database: "prod".into(),
            environment: Environment::Production,
            state,
            health: Health::Up,
            version: None,
            edition: None,
            write_enabled,
            write_enabled_until: None,
            checked_at: None,
            rpc: None,
            host: kernel::Host::default(),
            posthog: None,
            ruled: false,
            concurrency: 4,
            generation: 0,
            created_at: self.sources.now(),
            updated_at: self.sources.now(),
        }
    }
    fn verdict(&self, actor: &Arc<Actor>, tool: &Facts, at: &Instance) -> String {
        match decide(actor, tool, Some(at), self.sources.now()) {
            Err(why) => why.code.to_string(),
            Ok(permit) if tool.access == Access::Read => {
                let viewer = actor.role() == Role::Viewer || actor.permissions().read_only;
                assert_eq!(permit.plan().is_err(), viewer, "{}: what is found out to write only when it runs", tool.name);
                // Listed as a read, and writes where the instance says so.
                match permit.write() {
                    Err(why) if tool.changes == Changes::Instance => format!("reads; {}", why.code),
                    _ => "yes".into(),
                }
            }
            Ok(permit) => {
                let reads = if tool.least == Access::Read { "reads; " } else { "" };
                match (permit.write(), permit.plan()) {
                    (Ok(_), Ok(None)) => "yes".into(),
                    (Err(why), Ok(Some(_))) => format!("{reads}plans; {}", why.code),
                    (Err(why), Err(_)) => format!("{reads}{}", why.code),
                    other => panic!("write and plan disagree: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn the_grid_is_as_it_was_agreed() {
    let sources =
        Sources { clock: Arc::new(ManualClock::at(parse_time("2026-01-01").unwrap())), random: Arc::new(SeededRandom::new(7)) };
    let world = World { org: OrgId::new(&sources), sources };
    let open = world.instance(world.org, true, InstanceState::Active);
    let closed = world.instance(world.org, false, InstanceState::Active);
    let maintenance = world.instance(world.org, true, InstanceState::Maintenance);
    let archived = world.instance(world.org, true, InstanceState::Archived);
    let foreign = world.instance(OrgId::new(&world.sources), true, InstanceState::Active);
    let all = Permissions::all;
    let keys: Vec<(&str, Permissions)> = vec![
        ("full", all()),
        ("read-only", Permissions { read_only: true, ..all() }),
        ("models=res.partner", Permissions { models: Selection::only(["res.partner".to_owned()]), ..all() }),
        ("categories=orm", Permissions { categories: Selection::only([Category::Orm]), ..all() }),
        ("categories=none", Permissions { categories: Selection::only([]), ..all() }),
        ("instances=none", Permissions { instances: Selection::only([]), ..all() }),
        ("deny write", Permissions { tools: ToolRule::Deny(["write".to_owned()].into()), ..all() }),
        ("allow write", Permissions { tools: ToolRule::Allow(["write".to_owned()].into()), ..all() }),
        (
            "models, allow odoo_logs",
            Permissions {
                models: Selection::only(["res.partner".to_owned()]),
                tools: ToolRule::Allow(["odoo_logs".to_owned(), "write".to_owned()].into()),
                ..all()
            },
        ),
    ];
    let partner = || [("res.partner".to_owned(), ModelRule { can_write: false, ..ModelRule::open() })];
    let keys: Vec<(&str, Permissions, Limits)> = keys
        .into_iter()
        .map(|(name, permissions)| (name, permissions, Limits::None))
        .chain([
            ("rules on res.partner", Permissions { rules: partner().into(), ..all() }, Limits::None),
            ("full, resources here", all(), Limits::Resources),
            ("full, own Odoo login", all(), Limits::OwnLogin),
            (
                "resources, allow odoo_logs",
                Permissions { tools: ToolRule::Allow(["odoo_logs".to_owned()].into()), ..all() },
                Limits::Resources,
            ),
        ])
        .collect();
    let mut grid = String::new();
    for role in [Role::Owner, Role::Admin, Role::Member, Role::Viewer] {
        for (key, permissions, limits) in &keys {
            if role < Role::Admin && !["full", "read-only"].contains(key) {
                continue;
            }
            let places = [&open, &closed, &maintenance, &archived, &foreign].map(|at| limits.on(at));
            let actor = world.actor(role, permissions.clone(), limits.own(&places));
            for tool in tools() {
                let [open, closed, maintenance, archived, foreign] = places.each_ref().map(|at| world.verdict(&actor, &tool, at));
                assert_eq!((archived.as_str(), foreign.as_str()), ("unknown_tool", "unknown_tool"));
                writeln!(
                    grid,
                    "{:<8}{:<28}{:<19}{:<13}open: {open:<26}closed: {closed:<40}maintenance: {maintenance}",
                    role.as_str(),
                    key,
                    tool.name,
                    tool.access.as_str()
                )
                .unwrap();
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grid.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &grid).unwrap();
    }
    assert_eq!(grid, std::fs::read_to_string(path).unwrap_or_default(), "the grid changed: read the diff");
}

#[test]
fn scopes_only_take_away_and_say_what_is_missing() {
    let sources =
        Sources { clock: Arc::new(ManualClock::at(parse_time("2026-01-01").unwrap())), random: Arc::new(SeededRandom::new(7)) };
    let world = World { org: OrgId::new(&sources), sources };
    let open = world.instance(world.org, true, InstanceState::Active);
    let ceilings = [None, Some(Access::Read), Some(Access::Write), Some(Access::Destructive)];
    for role in [Role::Admin, Role::Member, Role::Viewer] {
        for permissions in [Permissions::all(), Permissions { read_only: true, ..Permissions::all() }] {
            for tool in tools() {
                let of = |ceiling| {
                    let actor = world.actor_of(role, permissions.clone(), None, ceiling);
                    let decided = decide(&actor, &tool, Some(&open), world.sources.now());
                    let lacks = |why: kernel::Refusal| why.lacks;
                    match decided {
                        Err(why) => (false, false, lacks(why)),
                        Ok(permit) => (true, permit.write().is_ok(), permit.write().err().and_then(lacks)),
                    }
                };
                let (reads, writes, lacks) = of(Some(Access::Destructive));
                assert_eq!(lacks, None, "{}", tool.name);
                for ceiling in ceilings {
                    let name = format!("{role} {} {ceiling:?}", tool.name);
                    let (reads_here, writes_here, lacks) = of(ceiling);
                    assert_eq!(reads_here, reads && ceiling >= Some(tool.least), "{name}");
                    let said = most(role, &permissions, ceiling, false, &tool);
                    assert_eq!(said.is_some(), reads_here, "{name}");
                    assert_eq!(said > Some(Access::Read), writes_here && tool.access > Access::Read, "{name}");
                    let most = tool.access.max(Access::Write);
                    assert_eq!(writes_here, writes && ceiling >= Some(most), "{name}");
                    // Only where the scope alone is missing is it asked for.
                    match (reads, reads_here) {
                        (true, false) => assert_eq!(lacks, Some(tool.least), "{name}"),
                        (false, _) => assert_eq!(lacks, None, "{name}"),
                        (true, true) => assert_eq!(lacks, (writes && !writes_here).then_some(most), "{name}"),
                    }
                }
            }
        }
    }
}
