//! What two sets of permissions have in common, and whether one lies within another, held against what [`decide`] lets through.
#![allow(clippy::disallowed_methods, reason = "a test makes its own actors")]
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
};

use kernel::{
    Access, Actor, Category, Changes, Environment, Facade, Facts, Health, Instance, InstanceId, InstanceState, KeyId,
    ManualClock, OrgId, Permissions, Role, SeededRandom, Selection, ServerId, SessionId, Sources, ToolRule, USUAL_RATE, Verified,
    parse_time,
    policy::{ceiling, decide, of_role},
    resource::{FieldPolicy, Filter, ModelRule},
};
use proptest::prelude::*;

const TOOLS: [Facts; 14] = {
    use Access::{Destructive, Read, Write};
    use Changes::{Instance, Ocore, Outside};
    const fn facts(name: &'static str, category: Category, access: Access, least: Access, changes: Changes) -> Facts {
        Facts { name, category, access, least, changes }
    }
    [
        facts("search_read", Category::Orm, Read, Read, Ocore),
        facts("unlink", Category::Orm, Destructive, Destructive, Instance),
        facts("execute_method", Category::Orm, Write, Read, Instance),
        facts("import_csv", Category::Export, Write, Write, Instance),
        facts("export_csv", Category::Export, Read, Read, Ocore),
        facts("execute_sql", Category::Sql, Write, Read, Instance),
        facts("execute_shell", Category::Shell, Write, Write, Instance),
        facts("file_read", Category::Files, Read, Read, Ocore),
        facts("list_modules", Category::Modules, Read, Read, Ocore),
        facts("odoo_logs", Category::System, Read, Read, Ocore),
        facts("set_user_password", Category::System, Write, Write, Instance),
        facts("backup_database", Category::System, Write, Write, Outside),
        facts("restore_database", Category::System, Destructive, Destructive, Instance),
        facts("ocore_list_instances", Category::Platform, Read, Read, Ocore),
    ]
};
const MODELS: [&str; 2] = ["res.partner", "sale.order"];
const METHODS: [&str; 2] = ["res.partner.name_search", "sale.order.action_confirm"];
const FIELDS: [&str; 3] = ["name", "email", "phone"];
const FILTERS: [&str; 4] =
    ["[('a', '=', 1)]", "[('b', '=', 2)]", "['|', ('a', '=', 1), ('b', '=', 2)]", "[('a', '=', 1), ('b', '=', 2)]"];
const NETWORKS: [&str; 5] = ["192.0.2.0/24", "192.0.2.0/28", "192.0.2.16/28", "198.51.100.7/32", "0.0.0.0/0"];

struct World {
    sources: Sources,
    org: OrgId,
    places: [Instance; 2],
}
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let sources = Sources {
        clock: Arc::new(ManualClock::at(parse_time("2026-01-01T00:00:00Z").unwrap())),
        random: Arc::new(SeededRandom::new(1)),
    };
    let org = OrgId::new(&sources);
    let place = |slug: &str| Instance {
        id: InstanceId::new(&sources),
        org,
        server: ServerId::new(&sources),
        server_name: "host".into(),
        slug: slug.into(),
        url: "https://odoo.example.com".parse().unwrap(),
        database: slug.into(),
        environment: Environment::Staging,
        state: InstanceState::Active,
        health: Health::Up,
        version: None,
        edition: None,
        write_enabled: true,
        write_enabled_until: None,
        checked_at: None,
        rpc: None,
        host: kernel::Host::default(),
        posthog: None,
        ruled: false,
        concurrency: 4,
        generation: 0,
        created_at: sources.now(),
        updated_at: sources.now(),
    };
    let places = [place("prod"), place("test")];
    World { sources, org, places }
});

/// Which of the tools are let through where, and which may write there.
fn through(role: Role, permissions: &Permissions) -> Vec<(bool, bool)> {
    let World { sources, org, places } = &*WORLD;
    let actor = Actor::verified(Verified {
        org: *org,
        org_slug: "acme".into(),
        key: KeyId::new(sources),
        key_label: "k".into(),
        user: None,
        role,
        operator: false,
        permissions: Arc::new(permissions.clone()),
        own: None,
        grant: None,
        ceiling: Some(Access::Destructive),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        facade: Facade::Mcp,
        session: SessionId::new(sources),
        at: sources.now(),
    });
    let all = TOOLS.iter().flat_map(|tool| places.iter().map(move |at| (tool, tool.on_instance().then_some(at))));
    all.map(|(tool, at)| match decide(&actor, tool, at, sources.now()) {
        Ok(permit) => (true, permit.write().is_ok()),
        Err(_) => (false, false),
    })
    .collect()
}
/// What else permissions say, each as a question that is answered by yes or no.
fn beside(p: &Permissions) -> Vec<bool> {
    let mut said: Vec<bool> = MODELS.iter().map(|model| p.models.contains(*model)).collect();
    said.extend(METHODS.iter().map(|method| !p.restricted() || p.methods.contains(*method)));
    said.extend([1, 2, 3].iter().map(|company| p.companies.contains(company)));
    let here = ["192.0.2.1", "192.0.2.17", "192.0.2.200", "198.51.100.7", "198.51.100.8"].map(|a| a.parse::<IpAddr>().unwrap());
    said.extend(here.iter().map(|address| match &p.addresses {
        Selection::All => true,
        Selection::Only(networks) => networks.iter().any(|n| n.contains(address)),
    }));
    said.extend([1, 50, 99, 100, 101, 500].map(|rate| p.rate_per_minute.unwrap_or(USUAL_RATE) >= rate));
    said.push(p.auto_context);
    said
}
/// What rules say of a model's fields and records. Filters are judged by records that have `a` and `b` from 0 to 3.
fn ruled(p: &Permissions) -> Vec<bool> {
    let mut said = Vec::new();
    for model in MODELS {
        let rule = p.rules.get(model).cloned().unwrap_or_else(ModelRule::open);
        let writes = !rule.read_only;
        said.extend([rule.can_read, writes && rule.can_create, writes && rule.can_write, writes && rule.can_delete]);
        said.extend(FIELDS.map(|field| rule.can_read && rule.fields.permits(field)));
        for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
            let matches = rule.filter.as_ref().is_none_or(|filter| {
                filter.decide(&|leaf| Some(leaf.value == if leaf.path == "a" { a } else { b })) == Some(true)
            });
            said.push(rule.can_read && matches);
        }
    }
    said
}
fn no_more(less: &[bool], more: &[bool]) -> bool {
    less.iter().zip(more).all(|(less, more)| !less || *more)
}
fn flat(pairs: &[(bool, bool)]) -> Vec<bool> {
    pairs.iter().flat_map(|(a, b)| [*a, *b]).collect()
}
fn both(a: &[bool], b: &[bool]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| *a && *b).collect()
}

fn names(of: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    proptest::sample::subsequence(of, 0..=of.len()).prop_map(|s| s.into_iter().map(str::to_owned).collect())
}
fn some<T: Ord + Clone + std::fmt::Debug + 'static>(of: Vec<T>) -> impl Strategy<Value = Selection<T>> {
    let most = of.len();
    prop_oneof![2 => Just(Selection::All), 3 => proptest::sample::subsequence(of, 0..=most).prop_map(Selection::only)]
}
fn tool_names() -> impl Strategy<Value = BTreeSet<String>> {
    let all: Vec<String> = TOOLS.iter().map(|tool| tool.name.to_owned()).collect();
    let most = all.len();
    proptest::sample::subsequence(all, 0..=most).prop_map(|s| s.into_iter().collect())
}
fn rules() -> impl Strategy<Value = BTreeMap<String, ModelRule>> {
    let fields = prop_oneof![
        Just(FieldPolicy::All),
        names(&FIELDS).prop_map(FieldPolicy::Allow),
        names(&FIELDS).prop_map(FieldPolicy::Deny)
    ];
    let filter = proptest::option::of(proptest::sample::select(&FILTERS[..]).prop_map(|text| Filter::parse(text).unwrap()));
    let yes = || proptest::bool::weighted(0.8);
    let rule = (proptest::bool::weighted(0.2), yes(), yes(), yes(), yes(), fields, filter).prop_map(
        |(read_only, can_read, can_create, can_write, can_delete, fields, filter)| ModelRule {
            read_only,
            can_read,
            can_create,
            can_write,
            can_delete,
            fields,
            filter,
        },
    );
    let model = proptest::sample::select(&MODELS[..]).prop_map(str::to_owned);
    proptest::collection::btree_map(model, rule, 0..=2)
}
fn permissions() -> impl Strategy<Value = Permissions> {
    let categories = vec![
        Category::Orm,
        Category::Export,
        Category::Sql,
        Category::Shell,
        Category::Files,
        Category::Modules,
        Category::System,
        Category::Platform,
    ];
    let tools = prop_oneof![Just(ToolRule::All), tool_names().prop_map(ToolRule::Allow), tool_names().prop_map(ToolRule::Deny)];
    let networks = NETWORKS.iter().map(|n| n.parse().unwrap()).collect();
    let rate = prop_oneof![Just(None), (1_u32..300).prop_map(Some), Just(Some(u32::MAX))];
    (
        (some(categories), some(WORLD.places.iter().map(|at| at.id).collect()), tools, some(MODELS.map(str::to_owned).into())),
        (names(&METHODS), some(vec![1_i64, 2, 3]), proptest::bool::weighted(0.2), some(networks), rate, any::<bool>()),
        prop_oneof![3 => Just(BTreeMap::new()), 2 => rules()],
    )
        .prop_map(
            |((categories, instances, tools, models), (methods, companies, read_only, addresses, rate, auto_context), rules)| {
                Permissions {
                    categories,
                    instances,
                    tools,
                    models,
                    methods,
                    companies,
                    read_only,
                    addresses,
                    rate_per_minute: rate,
                    auto_context,
                    rules,
                }
            },
        )
}
fn role() -> impl Strategy<Value = Role> {
    proptest::sample::select(Role::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn in_common_is_exactly_what_both_permit(a in permissions(), b in permissions()) {
        let met = a.and(&b);
        prop_assert_eq!(&met, &b.and(&a));
        prop_assert_eq!(met.beyond(&a), Vec::<&str>::new(), "{:?}", met);
        prop_assert_eq!(met.beyond(&b), Vec::<&str>::new(), "{:?}", met);
        let calls = |p: &Permissions| flat(&through(Role::Owner, p));
        prop_assert_eq!(calls(&met), both(&calls(&a), &calls(&b)), "{:?}", met);
        prop_assert_eq!(beside(&met), both(&beside(&a), &beside(&b)), "{:?}", met);
        prop_assert!(no_more(&ruled(&met), &both(&ruled(&a), &ruled(&b))), "{:?}", met);
        prop_assert!(a.within(&a) && a.and(&a).within(&a) && a.within(&a.and(&a)));
    }

    #[test]
    fn what_is_within_permits_nothing_more(a in permissions(), b in permissions(), narrowed in any::<bool>()) {
        // Two at random seldom lie in each other.
        let a = if narrowed { a.and(&b) } else { a };
        if a.within(&b) {
            prop_assert!(no_more(&flat(&through(Role::Owner, &a)), &flat(&through(Role::Owner, &b))));
            prop_assert!(no_more(&beside(&a), &beside(&b)));
            prop_assert!(no_more(&ruled(&a), &ruled(&b)));
        } else {
            prop_assert!(!narrowed && !a.beyond(&b).is_empty());
        }
    }

    #[test]
    fn a_roles_ceiling_is_what_decide_makes_of_the_role(p in permissions(), role in role()) {
        let as_role = of_role(&p, role);
        prop_assert_eq!(through(role, &p), through(Role::Owner, &as_role), "{:?}", as_role);
        prop_assert_eq!(beside(&p), beside(&as_role));
        prop_assert_eq!(ruled(&p), ruled(&as_role));
        prop_assert_eq!(&p.methods, &as_role.methods);
        prop_assert!(as_role.within(ceiling(role)));
    }
}

#[test]
fn roles_lie_in_each_other() {
    for (lower, higher) in [(Role::Viewer, Role::Admin), (Role::Member, Role::Admin), (Role::Admin, Role::Owner)] {
        assert!(ceiling(lower).within(ceiling(higher)), "{lower} {higher}");
    }
    assert!(!ceiling(Role::Member).within(ceiling(Role::Viewer)) && !ceiling(Role::Admin).within(ceiling(Role::Member)));
    assert!(Permissions::all().within(ceiling(Role::Owner)) && Permissions::nothing().within(ceiling(Role::Viewer)));
}

#[test]
fn a_list_of_tools_makes_nothing_strong_permitted_to_a_limited_key() {
    let limited = Permissions { models: Selection::only(["res.partner".to_owned()]), ..Permissions::all() };
    let named = |tools: &[&str]| Permissions {
        tools: ToolRule::Allow(tools.iter().map(|t| (*t).to_owned()).collect()),
        ..Permissions::all()
    };
    let met = limited.and(&named(&["search_read", "execute_sql", "odoo_logs"]));
    let passes: Vec<_> =
        TOOLS.iter().zip(through(Role::Owner, &met).chunks(2)).filter(|(_, c)| c[0].0).map(|(t, _)| t.name).collect();
    assert_eq!(passes, ["search_read", "ocore_list_instances"]);
    let own = Permissions { models: limited.models.clone(), ..named(&["search_read", "execute_sql"]) };
    assert_eq!(own.beyond(&limited), ["tools"]);
    assert!(own.within(&Permissions::all()) && own.within(&own));
}

#[test]
fn what_goes_beyond_is_named_member_by_member() {
    let (all, nothing) = (ceiling(Role::Owner), Permissions::nothing());
    let said = all.beyond(&nothing);
    let named = ["categories", "instances", "tools", "models", "companies", "writing", "addresses", "rate", "auto-context"];
    assert_eq!(said, named);
    let with = |methods: &[&str]| Permissions {
        models: Selection::only(["res.partner".to_owned()]),
        methods: methods.iter().map(|m| (*m).to_owned()).collect(),
        ..Permissions::all()
    };
    assert_eq!(with(&METHODS).beyond(&with(&METHODS[..1])), ["methods"]);
    let rule = ModelRule { can_delete: false, ..ModelRule::open() };
    let ruled = Permissions { rules: BTreeMap::from([("res.partner".to_owned(), rule)]), ..Permissions::all() };
    assert_eq!(Permissions::all().beyond(&ruled), ["rules"]);
    assert!(ruled.within(&Permissions::all()));
}

#[test]
fn filters_are_joined_and_too_long_ones_close_the_model() {
    let with = |filter: &str| {
        let rule = ModelRule { filter: Some(Filter::parse(filter).unwrap()), ..ModelRule::open() };
        Permissions { rules: BTreeMap::from([("res.partner".to_owned(), rule)]), ..Permissions::all() }
    };
    let (a, b) = (with("['|', ('a', '=', 1), ('b', '=', 2)]"), with("[('c', '=', 3)]"));
    let met = a.and(&b);
    let text = met.rules["res.partner"].filter.as_ref().unwrap().to_string();
    assert_eq!(text, r#"["|",["a","=",1],["b","=",2],["c","=",3]]"#);
    assert!(met.within(&a) && met.within(&b) && !a.within(&b));
    let long =
        |field: &str| with(&format!("[{}]", (0..30).map(|n| format!("('{field}','=',{n})")).collect::<Vec<_>>().join(",")));
    let met = long("a").and(&long("b"));
    let rule = &met.rules["res.partner"];
    assert!(!rule.can_read && !rule.can_write && rule.read_only && met.within(&long("a")) && met.within(&long("b")));
}

#[test]
fn a_list_of_fields_brings_back_nothing_that_a_denied_field_hides() {
    let with = |fields| Permissions {
        rules: BTreeMap::from([("res.partner".to_owned(), ModelRule { fields, ..ModelRule::open() })]),
        ..Permissions::all()
    };
    let of = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    // display_name may be computed from name.
    let (named, denied) = (with(FieldPolicy::Allow(of(&["display_name"]))), with(FieldPolicy::Deny(of(&["name"]))));
    assert_eq!(named.and(&denied).rules["res.partner"].fields, FieldPolicy::Allow(of(&[])));
    assert!(!named.within(&denied));
    assert_eq!(named.and(&with(FieldPolicy::Deny(of(&[])))).rules, named.rules);
}
