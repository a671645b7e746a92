//! Administration on both engines, as operators and as users of every role.
use std::collections::BTreeSet;

use kernel::{
    Clock, Code, Environment, ExposeSecret as _, Fault, InstanceState, ManualClock, Networks, Permissions, Refusal, Role,
    RpcDialect, SecretString, Selection, Sources, Timestamp,
};
use store::{
    On,
    credentials::CredentialStore,
    testing::{TestStore, each_engine},
    vault::{KeySource, Vault},
};

use crate::{
    Admin, By, audit,
    instances::{self, Guard, InstanceUpdate, Login, NewInstance},
    keys::{self, NewKey},
    orgs::{self, OrgChange},
    secrets,
    servers::{self, NewServer},
    set_up::{First, SetUp},
    users::{self, NewUser, UserUpdate},
};

mod invites;

/// Goes on by a millisecond whenever it is read, so that what was made later sorts later.
#[derive(Debug)]
struct Ticking(std::sync::Arc<ManualClock>);
impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        self.0.advance(chrono::TimeDelta::milliseconds(1));
        self.0.now()
    }
}

async fn admin(t: &TestStore) -> Admin {
    Admin {
        db: t.db.clone(),
        vault: Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap(),
        sources: Sources { clock: std::sync::Arc::new(Ticking(t.clock.clone())), random: t.sources.random.clone() },
        networks: Networks::new(vec!["10.0.0.0/8".parse().unwrap()]),
        calls_per_minute: 100,
        tools: vec!["search_read", "read", "count"],
    }
}
fn host() -> By {
    By::Host { login: "root".into() }
}
fn instance(slug: &str) -> NewInstance {
    NewInstance {
        org: "acme".into(),
        server: "one".into(),
        slug: slug.into(),
        name: None,
        url: "https://odoo.example.com/".into(),
        database: slug.into(),
        environment: Environment::Staging,
        write_enabled: None,
        login: None,
        postgres_url: None,
        postgres_ca: None,
        posthog: None,
        container: None,
        addons: Vec::new(),
        backups: None,
        concurrency: None,
    }
}
fn key(owner: Option<&str>, n: u8) -> NewKey {
    NewKey {
        org: "acme".into(),
        owner: owner.map(str::to_owned),
        role: None,
        label: format!("key {n}"),
        permissions: Permissions::all(),
        expires_at: None,
        prefix: "ock_abcd".into(),
        hash: [n; 32],
    }
}
fn login(secret: &str) -> Login {
    Login { login: "bot".into(), secret: secret.into(), dialect: RpcDialect::Auto }
}
fn refused<T: std::fmt::Debug>(result: kernel::Result<T>) -> Refusal {
    match result {
        Err(Fault::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}
async fn person(a: &Admin, email: &str, org: &str, role: Role) -> By {
    let new = NewUser { email: email.into(), member: Some((org.into(), role)), password_hash: None, operator: false };
    let id = users::create(a, &host(), &new).await.unwrap().id;
    By::User { id, email: email.into(), operator: false, address: "192.0.2.7".parse().unwrap() }
}
/// Two organizations, a server in each with the same Docker socket.
async fn world(t: &TestStore) -> Admin {
    let a = admin(t).await;
    for slug in ["acme", "globex"] {
        orgs::create(&a, &host(), slug, "An organization").await.unwrap();
        let server = NewServer {
            org: slug.into(),
            name: "one".into(),
            docker: Some("unix:///var/run/docker.sock".into()),
            secret: None,
            path_roots: vec!["/opt/odoo".into()],
        };
        servers::create(&a, &host(), &server).await.unwrap();
    }
    a
}

#[tokio::test]
async fn the_first_steps_of_an_operator() {
    each_engine(async |t| {
        let a = world(t).await;
        let by = host();
        let made = instances::create(&a, &by, &NewInstance { login: Some(login("hunter2")), ..instance("prod") }).await.unwrap();
        assert!(made.instance.write_enabled && made.instance.concurrency == 4 && made.instance.rpc.is_some());
        assert_eq!(made.instance.url.as_str(), "https://odoo.example.com/");
        let new = NewInstance { environment: Environment::Production, ..instance("live") };
        assert!(!instances::create(&a, &by, &new).await.unwrap().instance.write_enabled, "off in production");
        let ann = NewUser {
            email: "Ann@Example.com".into(),
            member: Some(("acme".into(), Role::Owner)),
            password_hash: Some("$argon2id$".into()),
            operator: false,
        };
        users::create(&a, &by, &ann).await.unwrap();
        let row = keys::create(&a, &by, &key(Some("ann@example.com"), 1)).await.unwrap();
        assert_eq!((row.role, row.label.as_str()), (Role::Owner, "key 1"));
        assert_eq!(keys::create(&a, &by, &key(None, 2)).await.unwrap().role, Role::Member);
        assert!(keys::revoke(&a, &by, &row.id.to_string()).await.unwrap().revoked_at.is_some());
        assert_eq!(keys::list(&a, &by, "acme").await.unwrap().len(), 2);
        assert_eq!(instances::list(&a, &by, None).await.unwrap().len(), 2);
        assert_eq!(orgs::list(&a, &by).await.unwrap().len(), 2);
        assert_eq!(users::list(&a, &by).await.unwrap().len(), 1);
        assert_eq!(users::members(&a, &by, "acme").await.unwrap().len(), 1);
        assert_eq!(servers::list(&a, &by, "acme").await.unwrap()[0].path_roots.len(), 1);
        assert!(audit::list(&a, &by, &audit::Filter::default()).await.unwrap().is_empty());

        let rows = audit::log(&a, &by, Some("acme"), None, 0).await.unwrap();
        let actions: Vec<_> = rows.iter().rev().map(|r| r.action.as_str()).collect();
        assert_eq!(
            actions,
            [
                "organization.create",
                "server.create",
                "instance.create",
                "instance.create",
                "user.create",
                "api_key.create",
                "api_key.create",
                "api_key.revoke"
            ]
        );
        assert!(rows.iter().all(|r| r.actor_kind == "cli" && r.actor_name == "root"));
        assert!(!format!("{rows:?}").contains("hunter2"));
    })
    .await;
}

#[tokio::test]
async fn refusals_teach() {
    each_engine(async |t| {
        let a = world(t).await;
        let by = host();
        let prod = instances::create(&a, &by, &instance("prod")).await.unwrap().instance.id;
        assert_eq!(instances::ids(&a, &by, "acme", &["prod", "prod"]).await.unwrap(), BTreeSet::from([prod]));
        assert!(refused(instances::ids(&a, &by, "acme", &["prdo"]).await).next.contains("prod"));
        assert_eq!(refused(instances::ids(&a, &by, "globex", &["prod"]).await).code, Code::NotFound);
        assert_eq!(refused(orgs::create(&a, &by, "acme", "Again").await).code, Code::Conflict);
        assert_eq!(refused(orgs::create(&a, &by, "Not A Slug", "x").await).code, Code::InvalidArgument);
        assert!(refused(instances::list(&a, &by, Some("amce")).await).next.contains("acme"));
        assert!(refused(instances::show(&a, &by, "prdo").await).next.contains("prod"));
        assert!(
            refused(instances::create(&a, &by, &NewInstance { server: "on".into(), ..instance("x") }).await).next.contains("one")
        );
        assert_eq!(refused(instances::create(&a, &by, &instance("prod")).await).code, Code::Conflict);
        assert_eq!(refused(instances::create(&a, &by, &instance("prod-search")).await).code, Code::Conflict, "prod_search_read");
        assert_eq!(refused(instances::create(&a, &by, &instance("ocore")).await).code, Code::InvalidArgument);
        let same = NewInstance { database: "prod".into(), ..instance("other") };
        assert!(refused(instances::create(&a, &by, &same).await).message.contains("prod"));
        for url in [
            "ftp://x",
            "odoo.example.com",
            "https://a:b@x",
            "https://x/?a=1",
            "http://192.168.1.1",
            "http://169.254.169.254",
            "http://[::1]:8069",
        ] {
            let refused = refused(instances::create(&a, &by, &NewInstance { url: url.into(), ..instance("x") }).await);
            assert!(matches!(refused.code, Code::InvalidArgument | Code::Unreachable), "{url}");
        }
        instances::create(&a, &by, &NewInstance { url: "http://10.1.2.3:8069/odoo/".into(), ..instance("lan") }).await.unwrap();
        for database in ["", "a b", "a;drop", "ä", &"x".repeat(64), "-x"] {
            assert!(
                instances::create(&a, &by, &NewInstance { database: database.into(), ..instance("x") }).await.is_err(),
                "{database}"
            );
        }
        let outside = NewInstance { addons: vec![kernel::AddonsFolder::Local("/etc".into())], ..instance("x") };
        assert_eq!(refused(instances::create(&a, &by, &outside).await).code, Code::PathRefused);
        let up = NewInstance { addons: vec![kernel::AddonsFolder::Local("/opt/odoo/../../etc".into())], ..instance("x") };
        assert_eq!(refused(instances::create(&a, &by, &up).await).code, Code::InvalidArgument);
        let nested = NewInstance {
            addons: vec![kernel::AddonsFolder::Local("/opt/odoo/a".into())],
            backups: Some("/opt/odoo/a/b".into()),
            ..instance("x")
        };
        assert_eq!(refused(instances::create(&a, &by, &nested).await).code, Code::PathRefused);
        let password = NewInstance { postgres_url: Some("mysql://u:hunter2@h/d".into()), ..instance("x") };
        assert!(!format!("{:?}", instances::create(&a, &by, &password).await).contains("hunter2"));
        assert!(refused(keys::revoke(&a, &by, "ock_verysecret").await).message.contains("ock_…"));
        let late = NewKey { expires_at: Some(t.sources.now()), ..key(None, 1) };
        assert_eq!(refused(keys::create(&a, &by, &late).await).code, Code::InvalidArgument);
        assert!(
            refused(audit::list(&a, &by, &audit::Filter { outcome: Some("okay".into()), ..Default::default() }).await)
                .next
                .contains("ok")
        );
        assert!(
            refused(audit::list(&a, &by, &audit::Filter { limit: 5000, ..Default::default() }).await).code
                == Code::InvalidArgument
        );
        let twice = NewUser { email: "a@b.c".into(), member: None, password_hash: None, operator: true };
        users::create(&a, &by, &twice).await.unwrap();
        assert_eq!(refused(users::create(&a, &by, &NewUser { email: "A@B.c".into(), ..twice }).await).code, Code::Conflict);
        assert!(refused(users::update(&a, &by, "a@b.d", &UserUpdate::default()).await).next.contains("a@b.c"));
    })
    .await;
}

#[tokio::test]
async fn organizations_do_not_share_a_container() {
    each_engine(async |t| {
        let a = world(t).await;
        let with = |org: &str, slug: &str| NewInstance { org: org.into(), container: Some("odoo".into()), ..instance(slug) };
        instances::create(&a, &host(), &with("acme", "a")).await.unwrap();
        instances::create(&a, &host(), &with("acme", "b")).await.unwrap();
        let error = refused(instances::create(&a, &host(), &with("globex", "c")).await);
        assert!(error.code == Code::Conflict && error.message.contains("acme"), "{error}");
        instances::create(&a, &host(), &NewInstance { container: None, ..with("globex", "c") }).await.unwrap();
        let take = InstanceUpdate { container: Some(Some("odoo".into())), ..Default::default() };
        assert_eq!(refused(instances::update(&a, &host(), "c", &take).await).code, Code::Conflict);
        instances::delete(&a, &host(), "a").await.unwrap();
        let leave = InstanceUpdate { container: Some(None), ..Default::default() };
        instances::update(&a, &host(), "b", &leave).await.unwrap();
        assert_eq!(instances::update(&a, &host(), "c", &take).await.unwrap().instance.host.container.as_deref(), Some("odoo"));
    })
    .await;
}

#[tokio::test]
async fn the_guard_and_what_else_changes_is_audited_with_old_and_new() {
    each_engine(async |t| {
        let a = world(t).await;
        let by = host();
        let made = instances::create(&a, &by, &NewInstance { login: Some(login("hunter2")), ..instance("prod") }).await.unwrap();
        let update = async |change: InstanceUpdate| instances::update(&a, &by, "prod", &change).await.unwrap().instance;
        let i = update(InstanceUpdate { environment: Some(Environment::Production), ..Default::default() }).await;
        assert!(!i.write_enabled, "production closes the guard");
        let i = update(InstanceUpdate { write_enabled: Some(Guard::OpenFor(10)), ..Default::default() }).await;
        assert!(i.writable(t.sources.now()) && !i.writable(t.sources.now() + chrono::TimeDelta::minutes(10)));
        let last = audit::log(&a, &by, Some("acme"), None, 1).await.unwrap().remove(0);
        assert_eq!((last.action.as_str(), last.target_name.as_str()), ("instance.update", "prod"));
        assert_eq!(last.detail["write_enabled"], serde_json::json!({ "old": false, "new": true }));
        let i = update(InstanceUpdate {
            write_enabled: Some(Guard::Closed),
            state: Some(InstanceState::Maintenance),
            ..Default::default()
        })
        .await;
        assert!(!i.write_enabled && i.write_enabled_until.is_none() && i.state == InstanceState::Maintenance);
        assert_eq!(i.generation, made.instance.generation, "nothing that is cached changed");
        let bad = InstanceUpdate { write_enabled: Some(Guard::OpenFor(0)), ..Default::default() };
        assert_eq!(refused(instances::update(&a, &by, "prod", &bad).await).code, Code::InvalidArgument);

        let check = instances::Check {
            health: kernel::Health::Up,
            version: Some(kernel::OdooVersion::new(17)),
            edition: None,
            login: true,
        };
        assert!(instances::record_check(&a, i.org, i.id, &check).await.unwrap());
        assert!(instances::show(&a, &by, "prod").await.unwrap().instance.checked_at.is_some());
        let i = update(InstanceUpdate { database: Some("prod2".into()), ..Default::default() }).await;
        assert!(i.checked_at.is_none(), "another database until a login shows that it is not");
        assert!(i.generation > made.instance.generation);

        let rpc = i.rpc.clone().unwrap();
        let i = update(InstanceUpdate { login: Some(Some(login("hunter3"))), ..Default::default() }).await;
        let new = i.rpc.clone().unwrap();
        assert!(new.credential == rpc.credential && new.generation > rpc.generation);
        let store = CredentialStore::new(t.db.clone(), a.vault.clone(), t.sources.clone());
        assert_eq!(store.open(i.id, new.credential).await.unwrap().unwrap().secret.expose_secret(), "hunter3");
        assert_eq!(secrets::rotate(&a, &by).await.unwrap(), 1);
        assert_eq!(store.open(i.id, new.credential).await.unwrap().unwrap().secret.expose_secret(), "hunter3");
        assert!(update(InstanceUpdate { login: Some(None), ..Default::default() }).await.rpc.is_none());
        let url = Some(Some(SecretString::from("postgres://odoo:hunter2@10.0.0.9/prod")));
        assert!(update(InstanceUpdate { postgres_url: url, ..Default::default() }).await.host.postgres.is_some());
        let change = OrgChange { kill_switch: Some(true), ..Default::default() };
        assert!(orgs::update(&a, &by, "acme", change).await.unwrap().organization.kill_switch);
        let log = audit::log(&a, &by, None, None, 100).await.unwrap();
        assert_eq!(log[0].detail, serde_json::json!({ "kill_switch": { "old": false, "new": true } }));
        assert!(!format!("{log:?}").contains("hunter"), "no secret in the log");
        instances::delete(&a, &by, "prod").await.unwrap();
        assert_eq!(refused(instances::show(&a, &by, "prod").await).code, Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn users_do_what_their_role_allows_and_no_more() {
    each_engine(async |t| {
        let a = world(t).await;
        instances::create(
            &a,
            &host(),
            &NewInstance { login: Some(login("s")), container: Some("odoo".into()), ..instance("prod") },
        )
        .await
        .unwrap();
        let owner = person(&a, "owner@x.com", "acme", Role::Owner).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let member = person(&a, "member@x.com", "acme", Role::Member).await;
        let viewer = person(&a, "viewer@x.com", "acme", Role::Viewer).await;
        let stranger = person(&a, "stranger@x.com", "globex", Role::Owner).await;

        // What belongs to others answers like what does not exist.
        for slug in ["prod", "nothing"] {
            let there = refused(instances::show(&a, &stranger, slug).await);
            assert!(there.code == Code::NotFound && there.message.contains(slug) && !there.next.contains("prod"), "{there}");
        }
        let hidden = refused(keys::list(&a, &stranger, "acme").await);
        let none = refused(keys::list(&a, &stranger, "nothing").await);
        assert_eq!(hidden.message.replace("acme", "x"), none.message.replace("nothing", "x"));
        assert_eq!(hidden.next, none.next);
        let taken = refused(instances::create(&a, &stranger, &NewInstance { org: "globex".into(), ..instance("prod") }).await);
        assert!(taken.code == Code::Conflict && taken.message.matches("prod").count() == 1, "{taken}");
        assert_eq!(orgs::list(&a, &stranger).await.unwrap().len(), 1);

        // Operators alone.
        for by in [&owner, &boss, &member, &viewer] {
            let server = NewServer { org: "acme".into(), name: "two".into(), docker: None, secret: None, path_roots: vec![] };
            assert_eq!(refused(servers::create(&a, by, &server).await).code, Code::PermissionDenied);
            assert_eq!(refused(orgs::create(&a, by, "mine", "x").await).code, Code::PermissionDenied);
            let with = NewInstance { container: Some("x".into()), ..instance("mine") };
            assert_eq!(refused(instances::create(&a, by, &with).await).code, Code::PermissionDenied);
            assert_eq!(refused(instances::list(&a, by, None).await).code, Code::PermissionDenied);
            assert_eq!(refused(audit::log(&a, by, None, None, 0).await).code, Code::PermissionDenied);
            assert_eq!(refused(secrets::rotate(&a, by).await).code, Code::PermissionDenied);
            assert_eq!(refused(users::update(&a, by, "viewer@x.com", &UserUpdate::default()).await).code, Code::PermissionDenied);
            let one = &servers::list(&a, by, "acme").await.unwrap()[0];
            assert!(one.docker.is_none() && one.path_roots.is_empty(), "operators alone see endpoints");
            assert!(instances::show(&a, by, "prod").await.unwrap().instance.host.container.is_none());
        }
        // Administrators and owners.
        let guard = InstanceUpdate { write_enabled: Some(Guard::Open), ..Default::default() };
        for by in [&member, &viewer] {
            assert_eq!(refused(instances::update(&a, by, "prod", &guard).await).code, Code::PermissionDenied);
            assert_eq!(refused(instances::delete(&a, by, "prod").await).code, Code::PermissionDenied);
            assert_eq!(
                refused(audit::list(&a, by, &audit::Filter { org: Some("acme".into()), ..Default::default() }).await).code,
                Code::PermissionDenied
            );
            assert_eq!(refused(orgs::update(&a, by, "acme", OrgChange::default()).await).code, Code::PermissionDenied);
            assert_eq!(refused(keys::create(&a, by, &key(None, 9)).await).code, Code::PermissionDenied);
            assert_eq!(refused(keys::create(&a, by, &key(Some("owner@x.com"), 9)).await).code, Code::PermissionDenied);
        }
        instances::update(&a, &boss, "prod", &guard).await.unwrap();
        let shorter = OrgChange { audit_retention_days: Some(3), ..Default::default() };
        assert_eq!(refused(orgs::update(&a, &owner, "acme", shorter).await).code, Code::PermissionDenied);
        let away = InstanceUpdate { url: Some("https://evil.example".into()), ..Default::default() };
        assert_eq!(
            refused(instances::update(&a, &boss, "prod", &away).await).code,
            Code::InvalidArgument,
            "the secret would go there"
        );
        let with = InstanceUpdate { login: Some(Some(login("own"))), ..away };
        instances::update(&a, &boss, "prod", &with).await.unwrap();

        // Keys.
        let own = keys::create(&a, &member, &key(Some("member@x.com"), 1)).await.unwrap();
        assert_eq!(own.role, Role::Member);
        assert_eq!(refused(keys::create(&a, &viewer, &key(Some("viewer@x.com"), 2)).await).code, Code::PermissionDenied);
        let read_only =
            NewKey { permissions: Permissions { read_only: true, ..Permissions::all() }, ..key(Some("viewer@x.com"), 2) };
        keys::create(&a, &viewer, &read_only).await.unwrap();
        let strong = NewKey { role: Some(Role::Owner), ..key(None, 3) };
        assert_eq!(refused(keys::create(&a, &boss, &strong).await).code, Code::PermissionDenied);
        assert_eq!(keys::list(&a, &member, "acme").await.unwrap().len(), 1);
        assert_eq!(keys::list(&a, &boss, "acme").await.unwrap().len(), 2);
        assert_eq!(refused(keys::revoke(&a, &viewer, &own.id.to_string()).await).code, Code::NotFound);
        assert_eq!(refused(keys::revoke(&a, &stranger, &own.id.to_string()).await).code, Code::NotFound);
        keys::revoke(&a, &member, &own.id.to_string()).await.unwrap();
        assert_eq!(refused(keys::revoke(&a, &member, &own.id.to_string()).await).code, Code::Conflict);
        let foreign =
            instances::create(&a, &stranger, &NewInstance { org: "globex".into(), ..instance("theirs") }).await.unwrap();
        let reach = Permissions { instances: Selection::Only(BTreeSet::from([foreign.instance.id])), ..Permissions::all() };
        assert_eq!(refused(keys::create(&a, &boss, &NewKey { permissions: reach, ..key(None, 4) }).await).code, Code::NotFound);

        // Memberships.
        assert_eq!(refused(users::set_role(&a, &boss, "acme", "boss@x.com", Role::Owner).await).code, Code::PermissionDenied);
        assert_eq!(refused(users::set_role(&a, &boss, "acme", "owner@x.com", Role::Viewer).await).code, Code::PermissionDenied);
        assert_eq!(refused(users::remove_member(&a, &boss, "acme", "owner@x.com").await).code, Code::PermissionDenied);
        assert_eq!(refused(users::remove_member(&a, &owner, "acme", "owner@x.com").await).code, Code::Conflict, "the last owner");
        assert_eq!(refused(users::set_role(&a, &owner, "acme", "owner@x.com", Role::Admin).await).code, Code::Conflict);
        users::set_role(&a, &owner, "acme", "boss@x.com", Role::Owner).await.unwrap();
        users::remove_member(&a, &owner, "acme", "owner@x.com").await.unwrap();
        users::remove_member(&a, &viewer, "acme", "viewer@x.com").await.unwrap();
        assert_eq!(refused(users::remove_member(&a, &member, "acme", "boss@x.com").await).code, Code::PermissionDenied);
        assert_eq!(users::members(&a, &member, "acme").await.unwrap().len(), 2);
        let disable = UserUpdate { active: Some(false), ..Default::default() };
        assert!(!users::update(&a, &host(), "MEMBER@x.com", &disable).await.unwrap().active);
        let log = audit::log(&a, &boss, Some("acme"), None, 100).await.unwrap();
        assert!(log.iter().any(|r| r.action == "member.role" && r.address.as_deref() == Some("192.0.2.7")));
    })
    .await;
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_slug() {
    each_engine(async |t| {
        let a = world(t).await;
        let other = Admin { db: t.another().await, ..a.clone() };
        let mut tasks = Vec::new();
        for n in 0..8 {
            let a = if n % 2 == 0 { a.clone() } else { other.clone() };
            tasks.push(tokio::spawn(async move { instances::create(&a, &host(), &instance("prod")).await }));
        }
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => made += 1,
                other => assert_eq!(refused(other).code, Code::Conflict),
            }
        }
        assert_eq!(made, 1);
        assert_eq!(store::instances::slugs(On::Db(&a.db)).await.unwrap(), ["prod"]);
        other.db.close().await;
    })
    .await;
}

async fn operator(a: &Admin, email: &str, org: &str) -> By {
    let new = NewUser { email: email.into(), member: Some((org.into(), Role::Member)), password_hash: None, operator: true };
    let id = users::create(a, &host(), &new).await.unwrap().id;
    By::User { id, email: email.into(), operator: true, address: "192.0.2.9".parse().unwrap() }
}

#[tokio::test]
async fn hosts_are_shown_to_operators_alone_in_the_audit_too() {
    each_engine(async |t| {
        let a = world(t).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Owner).await;
        let theirs = operator(&a, "op@x.com", "acme").await;
        let with = NewInstance {
            container: Some("odoo-web".into()),
            addons: vec![kernel::AddonsFolder::Local("/opt/odoo/addons".into())],
            backups: Some("/opt/odoo/backups".into()),
            ..instance("prod")
        };
        instances::create(&a, &host(), &with).await.unwrap();
        let change =
            InstanceUpdate { name: Some("Production".into()), container: Some(Some("odoo-other".into())), ..Default::default() };
        instances::update(&a, &host(), "prod", &change).await.unwrap();
        let gone = instances::delete(&a, &boss, "prod").await.unwrap().instance;
        assert!(gone.host.container.is_none() && gone.host.addons.is_empty() && gone.host.backups.is_none());

        let words = ["docker", "/opt/odoo", "odoo-web", "odoo-other", "container", "addons", "backups"];
        let seen = format!("{:?}", audit::log(&a, &boss, Some("acme"), None, 100).await.unwrap());
        assert!(seen.contains("server.create") && seen.contains("instance.delete") && seen.contains("https://odoo.example.com"));
        for word in words {
            assert!(!seen.contains(word), "{word}: {seen}");
        }
        for by in [&host(), &theirs] {
            let rows = audit::log(&a, by, Some("acme"), None, 100).await.unwrap();
            for word in words {
                assert!(format!("{rows:?}").contains(word), "{word}");
            }
            let row = rows.iter().find(|r| r.action == "instance.update").unwrap();
            let container = serde_json::json!({ "container": { "old": "odoo-web", "new": "odoo-other" } });
            assert_eq!(row.detail["host"], container, "what differs and no more");
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_made_a_key_stands_in_its_row() {
    each_engine(async |t| {
        let a = world(t).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let theirs = operator(&a, "op@x.com", "acme").await;
        for (n, by) in [&boss, &theirs, &host()].into_iter().enumerate() {
            let key = key(Some("op@x.com"), u8::try_from(n).unwrap());
            let row = keys::create(&a, by, &key).await.unwrap();
            assert_eq!((row.created_by, row.owner), (by.user(), theirs.user()));
        }
    })
    .await;
}

#[tokio::test]
async fn rates_and_numbers_of_keys_are_bounded() {
    each_engine(async |t| {
        let a = world(t).await;
        let owner = person(&a, "owner@x.com", "acme", Role::Owner).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let member = person(&a, "member@x.com", "acme", Role::Member).await;
        let viewer = person(&a, "viewer@x.com", "acme", Role::Viewer).await;
        let n = std::cell::Cell::new(0);
        let at = async |by: &By, email: Option<&str>, rate: Option<u32>| {
            n.set(n.get() + 1);
            let permissions = Permissions { rate_per_minute: rate, read_only: true, ..Permissions::all() };
            keys::create(&a, by, &NewKey { permissions, ..key(email, n.get()) }).await
        };
        for (by, email) in [(&member, "member@x.com"), (&viewer, "viewer@x.com")] {
            for rate in [101, 10_000, u32::MAX] {
                let refused = refused(at(by, Some(email), Some(rate)).await);
                assert!(refused.code == Code::PermissionDenied && refused.next.contains("100"), "{refused}");
            }
            at(by, Some(email), Some(100)).await.unwrap();
        }
        for by in [&boss, &owner] {
            at(by, Some("member@x.com"), Some(10_000)).await.unwrap();
            let refused = refused(at(by, None, Some(10_001)).await);
            assert!(refused.code == Code::PermissionDenied && refused.next.contains("10000"), "{refused}");
        }
        at(&host(), None, Some(1_000_000)).await.unwrap();
        let generous = Admin { calls_per_minute: 20_000, ..a.clone() };
        let usual = Permissions { rate_per_minute: Some(20_000), ..Permissions::all() };
        keys::create(&generous, &member, &NewKey { permissions: usual, ..key(Some("member@x.com"), 200) }).await.unwrap();
        assert_eq!(refused(at(&host(), None, Some(0)).await).code, Code::InvalidArgument);

        // The member has four by now: two of its own and two by administrators.
        let mut last = None;
        for _ in 4..50 {
            last = Some(at(&member, Some("member@x.com"), None).await.unwrap());
        }
        let full = refused(at(&member, Some("member@x.com"), None).await);
        assert!(full.code == Code::Conflict && full.next.contains("Revoke"), "{full}");
        at(&viewer, Some("viewer@x.com"), None).await.unwrap();
        keys::revoke(&a, &member, &last.unwrap().id.to_string()).await.unwrap();
        let soon = Some(t.sources.now() + chrono::TimeDelta::minutes(5));
        keys::create(&a, &member, &NewKey { expires_at: soon, ..key(Some("member@x.com"), 201) }).await.unwrap();
        assert_eq!(refused(at(&member, Some("member@x.com"), None).await).code, Code::Conflict);
        t.clock.advance(chrono::TimeDelta::minutes(10));
        at(&member, Some("member@x.com"), None).await.unwrap();
        assert_eq!(refused(at(&member, Some("member@x.com"), None).await).code, Code::Conflict);
        at(&boss, Some("member@x.com"), None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn who_has_a_login_is_told_to_operators_alone() {
    each_engine(async |t| {
        let a = world(t).await;
        let owner = person(&a, "owner@x.com", "acme", Role::Owner).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let member = person(&a, "member@x.com", "acme", Role::Member).await;
        let viewer = person(&a, "viewer@x.com", "acme", Role::Viewer).await;
        let theirs = operator(&a, "op@x.com", "acme").await;
        person(&a, "Bob@Other.org", "globex", Role::Member).await;
        // Somebody with a login elsewhere, and nobody.
        let pair = ["bob@other.org", "eve@other.org"];
        let same = |what: &str, said: [Refusal; 2]| {
            let [there, nobody] = said.map(|r| (r.code, r.message.replace("eve@", "bob@"), r.next.replace("eve@", "bob@")));
            assert_eq!(there, nobody, "{what}");
            there
        };
        let ask = async |by: &By| {
            let mut keys = Vec::new();
            let mut roles = Vec::new();
            let mut leaves = Vec::new();
            for address in pair {
                keys.push(refused(keys::create(&a, by, &key(Some(address), 1)).await));
                roles.push(refused(users::set_role(&a, by, "acme", address, Role::Viewer).await));
                leaves.push(refused(users::remove_member(&a, by, "acme", address).await));
            }
            [keys, roles, leaves].map(|said| -> [Refusal; 2] { said.try_into().unwrap() })
        };
        for by in [&member, &viewer] {
            for (what, said) in ["key", "role", "leave"].into_iter().zip(ask(by).await) {
                assert_eq!(same(what, said).0, Code::PermissionDenied, "{what}");
            }
            let known = refused(keys::create(&a, by, &key(Some("boss@x.com"), 1)).await);
            assert_eq!(known.code, Code::PermissionDenied);
        }
        for by in [&boss, &owner] {
            for (what, said) in ["key", "role", "leave"].into_iter().zip(ask(by).await) {
                let (code, _, next) = same(what, said);
                assert!(code == Code::NotFound && next.contains("comes in by an invite"), "{what}: {next}");
            }
            let near = refused(users::set_role(&a, by, "acme", "membr@x.com", Role::Viewer).await);
            assert!(near.next.contains("member@x.com"), "{near}");
        }
        assert_eq!(users::members(&a, &boss, "acme").await.unwrap().len(), 5, "nobody was added");

        // Operators read what is so, and add whom they like.
        for by in [&host(), &theirs] {
            let [keys, roles, leaves] = [
                keys::create(&a, by, &key(Some("bob@other.org"), 1)).await.map(|_| ()),
                users::set_role(&a, by, "acme", "bob@other.com", Role::Viewer).await,
                users::remove_member(&a, by, "acme", "bob@other.org").await,
            ]
            .map(refused);
            assert!(keys.message.contains("Bob@Other.org is no member of acme") && roles.next.contains("Bob@Other.org"));
            assert_eq!(leaves.message, keys.message);
        }
        users::set_role(&a, &theirs, "acme", "bob@other.org", Role::Viewer).await.unwrap();
        users::set_role(&a, &boss, "acme", "BOB@other.org", Role::Member).await.unwrap();
        users::remove_member(&a, &boss, "acme", "bob@other.org").await.unwrap();
    })
    .await;
}

const ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn first(email: &str, org: &str) -> First {
    First { email: email.into(), password_hash: "$argon2id$".into(), org: org.into() }
}

#[tokio::test]
async fn of_two_who_set_up_at_once_one_becomes_the_first_user() {
    each_engine(async |t| {
        let a = admin(t).await;
        let (set_up, token) = SetUp::open(&a).await.unwrap().unwrap();
        assert_eq!(token.expose_secret().len(), 64);
        assert!(!format!("{set_up:?}").contains(token.expose_secret()));
        for wrong in ["", "0", &"0".repeat(64)] {
            let wrong = SecretString::from(wrong.to_owned());
            assert!(!set_up.stands(&wrong).await.unwrap());
            assert!(!set_up.finish(&wrong, &first("eve@example.com", "Evil"), ADDRESS).await.unwrap());
        }
        assert!(set_up.finish(&token, &first("nobody", "Acme"), ADDRESS).await.is_err());
        assert!(set_up.finish(&token, &first("ann@example.com", " "), ADDRESS).await.is_err());
        assert!(set_up.stands(&token).await.unwrap(), "what was refused made nobody");

        // Another process of the same installation has a token of its own.
        let (other, others) = SetUp::open(&a).await.unwrap().unwrap();
        let (ann, bob) = (first("ann@example.com", "Acme Inc."), first("bob@example.com", "Berg"));
        let (one, two) = tokio::join!(set_up.finish(&token, &ann, ADDRESS), other.finish(&others, &bob, ADDRESS));
        assert_eq!([one.unwrap(), two.unwrap()].iter().filter(|made| **made).count(), 1);
        assert!(!set_up.stands(&token).await.unwrap() && !other.stands(&others).await.unwrap());
        let all = users::list(&a, &host()).await.unwrap();
        assert_eq!(all.len(), 1);
        assert!(all[0].operator && all[0].active);
        let orgs = users::organizations(&a, all[0].id).await.unwrap();
        let here: Vec<_> = orgs.iter().map(|o| (o.slug.as_str(), o.role, o.instances)).collect();
        assert!(here == [("acme-inc", Role::Owner, 0)] || here == [("berg", Role::Owner, 0)], "{here:?}");
        assert_eq!(orgs::list(&a, &host()).await.unwrap().len(), 1, "who came second left nothing");
        assert!(SetUp::open(&a).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_way_in_closes_after_an_hour_and_when_there_is_a_user() {
    each_engine(async |t| {
        let a = admin(t).await;
        orgs::create(&a, &host(), "acme", "Acme").await.unwrap();
        let (late, token) = SetUp::open(&a).await.unwrap().unwrap();
        t.clock.advance(chrono::TimeDelta::hours(1));
        assert!(!late.stands(&token).await.unwrap());
        assert!(!late.finish(&token, &first("ann@example.com", "Acme"), ADDRESS).await.unwrap());

        // An organization of that name that is there already is the one that is meant.
        let (set_up, token) = SetUp::open(&a).await.unwrap().unwrap();
        let new = NewUser { email: "op@example.com".into(), member: None, password_hash: None, operator: true };
        users::create(&a, &host(), &new).await.unwrap();
        assert!(!set_up.finish(&token, &first("ann@example.com", "Acme"), ADDRESS).await.unwrap());
        assert!(!set_up.stands(&token).await.unwrap());
        assert_eq!(users::list(&a, &host()).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_operator_takes_a_second_step_away_and_ends_sessions() {
    each_engine(async |t| {
        let a = admin(t).await;
        let new = NewUser { email: "ann@example.com".into(), member: None, password_hash: None, operator: true };
        let ann = users::create(&a, &host(), &new).await.unwrap().id;
        let ask = |remove_second_step, end_sessions| UserUpdate { remove_second_step, end_sessions, ..UserUpdate::default() };
        assert_eq!(refused(users::update(&a, &host(), "ann@example.com", &ask(true, false)).await).code, Code::Conflict);

        let now = a.sources.now();
        let mut tx = t.begin().await.unwrap();
        store::second_factor::begin(&mut tx, &a.vault, ann, &[7; 20], now).await.unwrap();
        store::second_factor::confirm(&mut tx, ann, now, 1, &[[1; 32]], now).await.unwrap();
        for hash in [[1; 32], [2; 32]] {
            let method = store::web_sessions::Method::Password;
            let id = store::web_sessions::create(&mut tx, ann, &hash, method, ADDRESS, "", &a.sources).await.unwrap();
            store::web_sessions::second_step(&mut tx, id, &hash, a.sources.now()).await.unwrap();
        }
        tx.commit().await.unwrap();
        users::update(&a, &host(), "ann@example.com", &ask(true, false)).await.unwrap();
        assert!(store::second_factor::find(&a.db, &a.vault, ann).await.unwrap().is_none());
        assert_eq!(store::second_factor::codes_left(&a.db, ann).await.unwrap(), 0);
        assert_eq!(store::web_sessions::list(&a.db, ann, a.sources.now()).await.unwrap().len(), 2);
        users::update(&a, &host(), "ann@example.com", &ask(false, true)).await.unwrap();
        assert!(store::web_sessions::list(&a.db, ann, a.sources.now()).await.unwrap().is_empty());
        let rows = store::audit_log::list(&a.db, None, None, 2).await.unwrap();
        assert_eq!(rows[0].detail["sessions_ended"], 2);
        assert_eq!(rows[1].detail["second_step_removed"], true);
    })
    .await;
}
