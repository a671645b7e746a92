//! Against real Odoos: `OCORE_TEST_ODOO_URL_19` and `OCORE_TEST_ODOO_DB_19` (likewise `_14`) name a server and a throw-away
//! database with demonstration data and the login admin/admin; `OCORE_TEST_ODOO_KEY_19` an API key of admin. `make test` sets them.
//! What is not set is skipped with a word, or fails where OCORE_TEST_REQUIRE is set.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking and says what it skips"
)]
mod common;

use std::future::Future;

use backends::{
    Scope,
    odoo::{Aggregate, Group, GroupBy, Measure, OdooContext, ReadMethod, Reader, Search},
};
use common::{Bench, only, open};
use kernel::{Code, Fault, RpcDialect, Selection};
use serde_json::{Map, Value, json};

struct Server {
    version: u16,
    url: String,
    database: String,
    key: Option<String>,
}
fn skipped(why: &str) {
    assert!(std::env::var_os("OCORE_TEST_REQUIRE").is_none(), "this test must run here, but {why}");
    println!("SKIPPED: {why}");
}
fn servers() -> Vec<Server> {
    let mut found = Vec::new();
    for version in [14, 19] {
        let var = |name: &str| std::env::var(format!("OCORE_TEST_ODOO_{name}_{version}")).ok();
        match (var("URL"), var("DB")) {
            (Some(url), Some(database)) => found.push(Server { version, url, database, key: var("KEY") }),
            _ => skipped(&format!("Odoo {version}: OCORE_TEST_ODOO_URL_{version} and OCORE_TEST_ODOO_DB_{version} are not set")),
        }
    }
    found
}
impl Server {
    fn by(&self, dialect: RpcDialect) -> Bench {
        Bench::new(&self.url, &self.database, "admin", "admin", dialect)
    }
    fn with_key(&self, dialect: RpcDialect) -> Option<Bench> {
        let Some(key) = &self.key else {
            skipped(&format!("Odoo {}: OCORE_TEST_ODOO_KEY_{} is not set", self.version, self.version));
            return None;
        };
        Some(Bench::new(&self.url, &self.database, "admin", key, dialect))
    }
    /// Every way there is into this version, with what it must be called.
    fn ways(&self) -> Vec<(&'static str, Bench)> {
        let mut ways = vec![("session", self.by(RpcDialect::Auto)), ("jsonrpc", self.by(RpcDialect::JsonRpc))];
        ways.extend(self.with_key(RpcDialect::Auto).map(|b| ("jsonrpc", b)));
        if self.version >= 19 {
            ways.extend(self.with_key(RpcDialect::Json2).map(|b| ("json2", b)));
        }
        ways
    }
}
async fn everywhere<F: Future<Output = ()>>(test: impl Fn(u16, &'static str, Bench) -> F) {
    for server in servers() {
        for (name, bench) in server.ways() {
            println!("Odoo {} by {name}", server.version);
            test(server.version, name, bench).await;
        }
    }
}
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}
fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

#[tokio::test]
async fn the_verbs_work_by_every_dialect() {
    everywhere(|version, name, bench| async move {
        let checked =
            bench.pool.check(&bench.instance, tokio::time::Instant::now() + std::time::Duration::from_mins(1)).await.unwrap();
        assert_eq!(
            (checked.version.major, checked.uid, checked.dialect.as_str(), checked.edition.as_str()),
            (version, 2, name, "community")
        );
        let reader = bench.reader();
        assert_eq!(reader.version().await.unwrap().major, version);
        assert!(reader.server_version().await.unwrap().server_serie.starts_with(&version.to_string()));
        assert_eq!(reader.user_id().await.unwrap(), 2);

        let writer = bench.writer();
        let model = "res.partner";
        let ids = writer
            .create(
                model,
                vec![object(json!({"name": "Zig", "comment": null})), object(json!({"name": "Zag", "email": "z@z.z"}))],
            )
            .await
            .unwrap();
        assert_eq!(ids.len(), 2);
        let domain = json!([["id", "in", ids]]);
        let rows = reader
            .search_read(&Search {
                model: model.into(),
                domain: domain.clone(),
                fields: names(&["name", "email", "id"]),
                order: Some("name desc".into()),
                limit: 10,
                offset: 0,
            })
            .await
            .unwrap();
        let found: Vec<_> = rows.records.iter().map(|r| (r.id(), r.parse()["name"].as_str().unwrap().to_owned())).collect();
        assert_eq!(found, [(ids[0], "Zig".to_owned()), (ids[1], "Zag".to_owned())]);
        assert_eq!(rows.fields, ["name", "email"]);
        assert_eq!(reader.search_count(model, &domain, None).await.unwrap(), 2);
        let bounded = reader.search_count(model, &json!([]), Some(1)).await.unwrap();
        assert!(if version >= 16 { bounded == 1 } else { bounded > 1 });
        assert_eq!(reader.search_ids(model, &domain, 1, 1, Some("name")).await.unwrap(), [ids[0]]);

        writer
            .write(model, &ids[..1], object(json!({"name": "Zog", "category_id": [[0, 0, {"name": "New tag"}]]})))
            .await
            .unwrap();
        let rows = reader.read(model, &[ids[1], 99_999_999, ids[0]], &names(&["name", "category_id"])).await.unwrap();
        assert_eq!(rows.records.iter().map(backends::odoo::Record::id).collect::<Vec<_>>(), [ids[1], ids[0]]);
        assert_eq!(rows.records[1].parse()["name"], "Zog");

        let copy = writer.copy(model, ids[0], object(json!({"name": "Copy"}))).await.unwrap();
        assert!(copy > ids[0]);
        assert_eq!(
            reader.names(model, &[copy, 99_999_999, ids[1]]).await.unwrap(),
            [(copy, "Copy".to_owned()), (ids[1], "Zag".to_owned())]
        );
        writer.write(model, &[copy], object(json!({"active": false}))).await.unwrap();
        assert_eq!(reader.names(model, &[copy]).await.unwrap().len(), 1, "archived ones too");
        writer.unlink(model, &[ids[0], ids[1], copy]).await.unwrap();
        assert_eq!(writer.unlink(model, &ids).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(writer.write(model, &ids, object(json!({"name": "x"}))).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(writer.copy(model, ids[0], Map::new()).await.unwrap_err().code(), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn smart_fields_and_metadata() {
    everywhere(|version, _, bench| async move {
        let reader = bench.reader();
        let smart = reader.smart_fields("crm.lead").await.unwrap();
        assert!(smart.len() <= 15 && smart.iter().any(|f| f == "name") && smart.iter().any(|f| f == "stage_id"), "{smart:?}");
        let fields = reader.fields("crm.lead").await.unwrap();
        for field in &smart {
            let f = fields.get(field).unwrap();
            assert!(f.store && !matches!(f.r#type.as_str(), "binary" | "html"), "{field}");
        }
        let rows = reader.search_read(&Search { model: "crm.lead".into(), limit: 3, ..Search::default() }).await.unwrap();
        assert_eq!(rows.fields, smart);
        assert_eq!(rows.records.len(), 3);
        let users = reader.fields("res.users").await.unwrap();
        assert!(users.get("login").is_some() && users.get("password").is_none() && users.get("new_password").is_none());
        let models = reader.models(Some("sale.order"), Some("base")).await.unwrap();
        let order = models.iter().find(|m| m.model == "sale.order").unwrap();
        assert!(order.modules.iter().any(|m| m == "sale"), "{order:?}");
        assert!(reader.models(None, None).await.unwrap().len() > 100);
        assert!(reader.installed_modules().await.unwrap().unwrap() > 10);
        let page = reader.documentation("res.partner").await;
        if version >= 19 {
            assert!(page.unwrap().get().contains("signature"));
        } else {
            assert_eq!(page.unwrap_err().code(), Code::NotSupported);
        }
    })
    .await;
}

async fn ask(reader: &Reader, model: &str, method: &str, ids: &[i64], args: Value, kwargs: Value) -> Result<Value, Fault> {
    let Value::Array(args) = args else { panic!() };
    let told = reader.ask(model, ReadMethod::of(method).unwrap(), ids, args, object(kwargs)).await?;
    Ok(serde_json::from_str(told.get()).unwrap())
}
fn refused(fault: &Fault) -> (Code, String) {
    let told = fault.public();
    assert!(!told.next.is_empty(), "every refusal says what to do next: {told:?}");
    assert!(!told.message.contains("Traceback") && !told.message.contains("/usr/"), "{told:?}");
    (told.code, format!("{} {}", told.message, told.next))
}
fn by(model: &str, domain: Value, fields: &[&str]) -> Search {
    Search { model: model.into(), domain, fields: names(fields), limit: 5, ..Search::default() }
}

#[tokio::test]
async fn errors_teach() {
    everywhere(|_, _, bench| async move {
        let (reader, writer) = (bench.reader(), bench.writer());
        let cases = [
            (reader.search_read(&by("res.partnr", json!([]), &["name"])).await.unwrap_err(), Code::NotFound, "res.partner"),
            (reader.fields("res.partnr").await.unwrap_err(), Code::NotFound, "res.partner"),
            (reader.search_count("sale.ordr", &json!([]), None).await.unwrap_err(), Code::NotFound, "sale.order"),
            (
                reader.search_read(&by("res.partner", json!([]), &["name", "emial"])).await.unwrap_err(),
                Code::InvalidArgument,
                "email",
            ),
            (
                reader.search_read(&by("res.partner", json!([["nam", "=", "x"]]), &["name"])).await.unwrap_err(),
                Code::InvalidArgument,
                "name",
            ),
            (
                reader.search_count("res.partner", &json!([["country_idd", "=", 1]]), None).await.unwrap_err(),
                Code::InvalidArgument,
                "country_id",
            ),
            (
                reader.search_read(&by("res.partner", json!([["country_id.nam", "=", "x"]]), &["name"])).await.unwrap_err(),
                Code::InvalidArgument,
                "name",
            ),
            (
                reader
                    .search_read(&Search { order: Some("nme desc".into()), ..by("res.partner", json!([]), &["name"]) })
                    .await
                    .unwrap_err(),
                Code::InvalidArgument,
                "name",
            ),
            (
                reader.read("res.partner", &[1], &names(&["name", "nosuch_zz"])).await.unwrap_err(),
                Code::InvalidArgument,
                "get_field_metadata",
            ),
            (writer.create("res.partner", vec![object(json!({"nam": "x"}))]).await.unwrap_err(), Code::InvalidArgument, "name"),
            (writer.create("crm.lead", vec![object(json!({"name": false}))]).await.unwrap_err(), Code::OdooError, ""),
            (
                writer.call("res.partner", "no_such_method", &[1], vec![], Map::new()).await.unwrap_err(),
                Code::NotFound,
                "no_such_method",
            ),
            (
                writer.call("res.partner", "address_get", &[1], vec![], object(json!({"nope": 1}))).await.unwrap_err(),
                Code::InvalidArgument,
                "",
            ),
            (
                reader.search_read(&by("res.partner", json!([["name", "in", [1]], "|"]), &["name"])).await.unwrap_err(),
                Code::InvalidArgument,
                "domain",
            ),
            (
                reader.search_read(&Search { limit: 1001, ..by("res.partner", json!([]), &["name"]) }).await.unwrap_err(),
                Code::InvalidArgument,
                "1000",
            ),
            (
                reader.search_read(&by("res.users", json!([["password", "=", "x"]]), &["login"])).await.unwrap_err(),
                Code::FieldDenied,
                "credential",
            ),
            (
                reader.search_read(&by("res.partner", json!([["user_ids.password", "=", "x"]]), &["name"])).await.unwrap_err(),
                Code::FieldDenied,
                "credential",
            ),
            (reader.read("res.users", &[2], &names(&["login", "password"])).await.unwrap_err(), Code::FieldDenied, "credential"),
            (
                reader.search_read(&by("ir.config_parameter", json!([]), &["key"])).await.unwrap_err(),
                Code::ModelDenied,
                "get_system_parameter",
            ),
            (writer.write("res.users", &[2], object(json!({"name": "x"}))).await.unwrap_err(), Code::ModelDenied, "set_user"),
            (
                writer
                    .write("res.partner", &[1], object(json!({"user_ids": [[0, 0, {"login": "x", "name": "x"}]]})))
                    .await
                    .unwrap_err(),
                Code::ModelDenied,
                "res.users",
            ),
            (
                writer
                    .write("res.partner", &[1], object(json!({"name": "x", "child_ids": [[0, 0, {"nam": "x"}]]})))
                    .await
                    .unwrap_err(),
                Code::InvalidArgument,
                "name",
            ),
            (writer.call("res.partner", "unlink", &[1], vec![], Map::new()).await.unwrap_err(), Code::PermissionDenied, "unlink"),
            (
                writer.call("res.partner", "_write", &[1], vec![], Map::new()).await.unwrap_err(),
                Code::PermissionDenied,
                "private",
            ),
        ];
        for (i, (fault, code, word)) in cases.iter().enumerate() {
            let (got, text) = refused(fault);
            assert_eq!(got, *code, "case {i}: {text}");
            assert!(text.contains(word), "case {i}: {word} in {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_dedicated_tool_reaches_what_it_lifts() {
    everywhere(|_, _, bench| async move {
        let lifted = bench.reader_as(Scope { lifts: &["ir.config_parameter"], ..open() }, OdooContext::default(), 60);
        let rows = lifted
            .search_read(&by("ir.config_parameter", json!([["key", "=", "web.base.url"]]), &["key", "value"]))
            .await
            .unwrap();
        assert_eq!(rows.records[0].parse()["key"], "web.base.url");
        assert!(lifted.search_read(&by("ir.mail_server", json!([]), &["name"])).await.is_err());
        let users = bench.writer_as(Scope { lifts: &["res.users"], ..open() });
        let id =
            users.create("res.users", vec![object(json!({"name": "Temp", "login": format!("temp{}", rand())}))]).await.unwrap()
                [0];
        users.write("res.users", &[id], object(json!({"password": "long enough 123"}))).await.unwrap();
        assert_eq!(
            users.read("res.users", &[id], &names(&["password"])).await.unwrap_err().code(),
            Code::FieldDenied,
            "set, never read"
        );
    })
    .await;
}
fn rand() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[tokio::test]
async fn a_restricted_key_stays_in_its_models() {
    everywhere(|version, _, bench| async move {
        let limited = |models: &[&str]| bench.reader_as(only(models), OdooContext::default(), 60);
        let reader = limited(&["crm.lead"]);
        let rows = reader
            .search_read(&by("crm.lead", json!([["partner_id", "!=", false]]), &["name", "partner_id", "stage_id"]))
            .await
            .unwrap();
        assert!(!rows.records.is_empty());
        for record in &rows.records {
            let record = record.parse();
            assert!(record["partner_id"].is_i64() && record["name"].is_string(), "{record:?}");
        }
        let both = limited(&["crm.lead", "res.partner"])
            .search_read(&by("crm.lead", json!([["partner_id", "!=", false]]), &["partner_id"]))
            .await
            .unwrap();
        assert!(both.records[0].parse()["partner_id"].is_array());
        let order = Search { order: Some("partner_id".into()), ..by("crm.lead", json!([]), &["name"]) };
        let group = Aggregate {
            model: "crm.lead".into(),
            groupby: vec![GroupBy { field: "partner_id".into(), granularity: None }],
            ..Aggregate::default()
        };
        let any = json!([["partner_id", "any", [["name", "=", "x"]]]]);
        for (fault, code) in [
            (reader.search_read(&by("res.partner", json!([]), &["name"])).await.unwrap_err(), Code::ModelDenied),
            (
                reader.search_read(&by("crm.lead", json!([["partner_id.name", "ilike", "a"]]), &["name"])).await.unwrap_err(),
                Code::ModelDenied,
            ),
            (
                reader.search_read(&by("crm.lead", json!([["partner_id", "ilike", "a"]]), &["name"])).await.unwrap_err(),
                Code::FieldDenied,
            ),
            (
                reader.search_read(&by("crm.lead", json!([["partner_id", "=", "Azure"]]), &["name"])).await.unwrap_err(),
                Code::FieldDenied,
            ),
            (reader.search_read(&by("crm.lead", any, &["name"])).await.unwrap_err(), Code::ModelDenied),
            (reader.search_read(&order).await.unwrap_err(), Code::FieldDenied),
            (reader.aggregate(&group).await.unwrap_err(), Code::FieldDenied),
            (reader.names("res.partner", &[1]).await.unwrap_err(), Code::ModelDenied),
            (ask(&reader, "crm.lead", "get_metadata", &[1], json!([]), json!({})).await.unwrap_err(), Code::PermissionDenied),
            (
                ask(&reader, "crm.lead", "search_read", &[], json!([[["partner_id.name", "=", "a"]]]), json!({}))
                    .await
                    .unwrap_err(),
                Code::ModelDenied,
            ),
        ] {
            assert_eq!(refused(&fault).0, code);
        }
        assert!(reader.search_read(&by("crm.lead", json!([["partner_id", "in", [1, 2]]]), &["name"])).await.is_ok());
        let asked = ask(
            &reader,
            "crm.lead",
            "search_read",
            &[],
            json!([[["partner_id", "!=", false]], ["partner_id"]]),
            json!({"limit": 1}),
        )
        .await
        .unwrap();
        assert!(asked[0]["partner_id"].is_i64(), "{asked}");
        let models = reader.models(None, None).await.unwrap();
        assert_eq!(models.iter().map(|m| m.model.as_str()).collect::<Vec<_>>(), ["crm.lead"]);

        let writer = bench.writer_as(only(&["crm.lead"]));
        let fault = writer.write("crm.lead", &[1], object(json!({"order_ids": [[0, 0, {"partner_id": 1}]]}))).await.unwrap_err();
        assert_eq!(fault.code(), Code::ModelDenied);
        let fault = writer.call("crm.lead", "action_set_lost", &[1], vec![], Map::new()).await.unwrap_err();
        assert_eq!(fault.code(), Code::PermissionDenied);
        let mut named = only(&["crm.lead"]);
        named.methods.insert("crm.lead.toggle_active".into());
        named.methods.insert("crm.lead.action_archive".into());
        let method = if version >= 19 { "action_archive" } else { "toggle_active" };
        let id = writer.create("crm.lead", vec![object(json!({"name": "R"}))]).await.unwrap()[0];
        bench.writer_as(named).call("crm.lead", method, &[id], vec![], Map::new()).await.unwrap();
        assert_eq!(writer.search_count("crm.lead", &json!([["id", "=", id]]), None).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn companies_and_context_reach_odoo() {
    everywhere(|_, _, bench| async move {
        let scope = || Scope { companies: Selection::only([1]), restricted: true, ..open() };
        let reader = bench.reader_as(scope(), OdooContext::default(), 60);
        let rows = reader.search_read(&by("crm.lead", json!([]), &["company_id"])).await.unwrap();
        assert!(!rows.records.is_empty());
        let other = OdooContext { allowed_company_ids: Some(vec![2]), ..OdooContext::default() };
        let asked = bench.pool.reader(
            bench.instance.clone(),
            scope().into(),
            other,
            tokio::time::Instant::now() + std::time::Duration::from_secs(5),
        );
        assert_eq!(asked.unwrap_err().code(), Code::PermissionDenied);
        let fault =
            bench.writer_as(scope()).create("crm.lead", vec![object(json!({"name": "x", "company_id": 2}))]).await.unwrap_err();
        assert_eq!(fault.code(), Code::PermissionDenied);
        // An archived record shows with active_test off only.
        let writer = bench.writer();
        let id = writer.create("res.partner", vec![object(json!({"name": "Gone", "active": false}))]).await.unwrap()[0];
        let domain = json!([["id", "=", id]]);
        assert_eq!(writer.search_count("res.partner", &domain, None).await.unwrap(), 0);
        let all = bench.reader_as(open(), OdooContext { active_test: Some(false), ..OdooContext::default() }, 60);
        assert_eq!(all.search_count("res.partner", &domain, None).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn groups_are_the_same_on_every_version() {
    everywhere(|version, _, bench| async move {
        let writer = bench.writer();
        let mark = format!("G{}", rand());
        let lead = |month: &str, revenue: i64, kind: &str| object(json!({"name": mark, "date_deadline": if month.is_empty() { json!(false) } else { json!(format!("2030-{month}-15")) }, "expected_revenue": revenue, "type": kind}));
        writer.create("crm.lead", vec![lead("01", 10, "lead"), lead("01", 20, "opportunity"), lead("02", 5, "opportunity"), lead("", 1, "lead")]).await.unwrap();
        let domain = json!([["name", "=", mark], ["date_deadline", "!=", "2000-01-01"]]);
        let sum = || Measure { field: "expected_revenue".into(), function: "sum".into() };
        let asked = Aggregate {
            model: "crm.lead".into(),
            domain: domain.clone(),
            groupby: vec![GroupBy { field: "date_deadline".into(), granularity: Some("month".into()) }],
            measures: vec![sum(), Measure { field: "expected_revenue".into(), function: "max".into() }],
            order: Some("expected_revenue:sum desc".into()),
            limit: 10,
            offset: 0,
        };
        let shape = |groups: &[Group]| groups.iter().map(|g| (g.keys[0].value.clone(), g.keys[0].range.clone(), g.values[0].as_f64().unwrap(), g.count)).collect::<Vec<_>>();
        let month = |a: &str, b: &str| Some((format!("2030-{a}-01"), format!("2030-{b}-01")));
        let groups = bench.reader().aggregate(&asked).await.unwrap();
        assert_eq!(
            shape(&groups),
            [(json!("2030-01-01"), month("01", "02"), 30.0, 2), (json!("2030-02-01"), month("02", "03"), 5.0, 1), (Value::Null, None, 1.0, 1)]
        );
        assert_eq!(groups[0].values[1].as_f64(), Some(20.0));
        let counted = Aggregate { order: Some("__count desc".into()), limit: 1, ..asked.clone() };
        assert_eq!(shape(&bench.reader().aggregate(&counted).await.unwrap())[0].3, 2);
        let newest = Aggregate { order: Some("date_deadline asc".into()), ..asked.clone() };
        assert_eq!(shape(&bench.reader().aggregate(&newest).await.unwrap())[0].0, json!("2030-01-01"));
        let french = bench.reader_as(open(), OdooContext { lang: Some("en_US".into()), tz: Some("Europe/Paris".into()), ..OdooContext::default() }, 60);
        assert_eq!(shape(&french.aggregate(&asked).await.unwrap())[0].1, month("01", "02"));
        let typed = Aggregate {
            groupby: vec![GroupBy { field: "type".into(), granularity: None }, GroupBy { field: "user_id".into(), granularity: None }],
            measures: vec![],
            order: None,
            ..asked.clone()
        };
        let groups = bench.reader().aggregate(&typed).await.unwrap();
        assert_eq!(groups.iter().map(|g| g.count).sum::<u64>(), 4);
        assert_eq!((&groups[0].keys[0].value, groups[0].keys[0].label.as_deref()), (&json!("lead"), Some("Lead")));
        let whole = Aggregate { groupby: vec![], order: None, ..asked.clone() };
        let groups = bench.reader().aggregate(&whole).await.unwrap();
        assert_eq!((groups.len(), groups[0].count, groups[0].values[0].as_f64()), (1, 4, Some(36.0)));
        let weeks = Aggregate { groupby: vec![GroupBy { field: "date_deadline".into(), granularity: Some("week".into()) }], order: None, ..asked.clone() };
        let range = bench.reader().aggregate(&weeks).await.unwrap()[0].keys[0].range.clone().unwrap();
        assert!(range.0.starts_with("2030-01-1") && range.1.starts_with("2030-01-2"), "{range:?}");
        let hours = Aggregate { groupby: vec![GroupBy { field: "create_date".into(), granularity: Some("hour".into()) }], order: None, ..asked.clone() };
        assert!(bench.reader().aggregate(&hours).await.unwrap()[0].keys[0].range.is_some());
        let path = Aggregate { groupby: vec![GroupBy { field: "partner_id.country_id".into(), granularity: None }], measures: vec![], order: None, ..asked.clone() };
        let parts = Aggregate { groupby: vec![GroupBy { field: "date_deadline".into(), granularity: Some("month_number".into()) }], measures: vec![], order: None, ..asked.clone() };
        if version >= 19 {
            assert_eq!(bench.reader().aggregate(&path).await.unwrap()[0].count, 4);
            assert_eq!(bench.reader().aggregate(&parts).await.unwrap().len(), 3);
        } else {
            assert_eq!(bench.reader().aggregate(&path).await.unwrap_err().code(), Code::NotSupported);
            assert_eq!(bench.reader().aggregate(&parts).await.unwrap_err().code(), Code::NotSupported);
        }
        for wrong in [
            Aggregate { measures: vec![Measure { field: "name".into(), function: "sum".into() }], ..asked.clone() },
            Aggregate { measures: vec![Measure { field: "expected_revenu".into(), function: "sum".into() }], ..asked.clone() },
            Aggregate { measures: vec![Measure { field: "expected_revenue".into(), function: "median".into() }], ..asked.clone() },
            Aggregate { groupby: vec![GroupBy { field: "name".into(), granularity: Some("month".into()) }], ..asked.clone() },
            Aggregate { groupby: vec![GroupBy { field: "date_deadline".into(), granularity: Some("decade".into()) }], ..asked.clone() },
            Aggregate { order: Some("color desc".into()), ..asked.clone() },
        ] {
            assert_eq!(refused(&bench.reader().aggregate(&wrong).await.unwrap_err()).0, Code::InvalidArgument);
        }
    })
    .await;
}

#[tokio::test]
async fn methods_without_effects() {
    everywhere(|version, _, bench| async move {
        let reader = bench.reader();
        let found = ask(&reader, "res.partner", "name_search", &[], json!(["Azure"]), json!({"limit": 3})).await.unwrap();
        assert!(found[0][1].as_str().unwrap().contains("Azure"), "{found}");
        assert!(
            ask(&reader, "res.partner", "name_search", &[], json!([]), json!({"args": [["is_company", "=", true]], "limit": 2}))
                .await
                .is_ok()
        );
        let count = ask(&reader, "res.partner", "search_count", &[], json!([[]]), json!({})).await.unwrap();
        assert!(count.as_i64().unwrap() > 3);
        let rows = ask(&reader, "res.partner", "read", &[1], json!([]), json!({})).await.unwrap();
        assert!(rows[0].as_object().unwrap().len() <= 16, "smart fields where none are named");
        let defaults = ask(&reader, "crm.lead", "default_get", &[], json!([["type", "user_id"]]), json!({})).await.unwrap();
        assert!(defaults.get("type").is_some(), "{defaults}");
        let fields = ask(&reader, "res.users", "fields_get", &[], json!([]), json!({})).await.unwrap();
        assert!(fields.get("login").is_some() && fields.get("password").is_none());
        let metadata = ask(&reader, "res.partner", "get_metadata", &[1], json!([]), json!({})).await.unwrap();
        assert_eq!(metadata[0]["xmlid"], "base.main_partner");
        let xmlid = ask(&reader, "res.partner", "get_external_id", &[1], json!([]), json!({})).await.unwrap();
        assert_eq!(xmlid["1"], "base.main_partner");
        if version >= 19 {
            assert_eq!(ask(&reader, "res.partner", "has_access", &[], json!(["write"]), json!({})).await.unwrap(), true);
            let groups = ask(
                &reader,
                "crm.lead",
                "formatted_read_group",
                &[],
                json!([[]]),
                json!({"groupby": ["type"], "aggregates": ["__count"]}),
            )
            .await
            .unwrap();
            assert!(groups[0]["__count"].as_i64().is_some());
        } else {
            assert_eq!(
                ask(&reader, "res.partner", "check_access_rights", &[], json!(["write"]), json!({"raise_exception": false}))
                    .await
                    .unwrap(),
                true
            );
            assert!(ask(&reader, "res.partner", "name_get", &[1], json!([]), json!({})).await.unwrap()[0][1].is_string());
        }
        for fault in [
            ask(&reader, "res.users", "read", &[2], json!([["password"]]), json!({})).await.unwrap_err(),
            ask(&reader, "res.users", "search", &[], json!([[["password", "=", "x"]]]), json!({})).await.unwrap_err(),
            ask(&reader, "res.users", "read_group", &[], json!([[], ["password:max"], ["login"]]), json!({})).await.unwrap_err(),
            ask(&reader, "res.users", "default_get", &[], json!([["password"]]), json!({})).await.unwrap_err(),
        ] {
            assert_eq!(fault.code(), Code::FieldDenied, "{fault:?}");
        }
        assert!(ask(&reader, "res.partner", "search_read", &[], json!([[]]), json!({"limit": 5000})).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn pages_do_not_overlap_and_keep_the_models_order() {
    everywhere(|_, _, bench| async move {
        let writer = bench.writer();
        let mark = format!("P{}", rand());
        let rows = (0..30).map(|_| object(json!({"name": mark}))).collect();
        let made = writer.create("res.partner", rows).await.unwrap();
        let domain = json!([["name", "=", mark]]);
        let mut seen = Vec::new();
        for page in 0..6 {
            let page = Search { offset: page * 5, ..by("res.partner", domain.clone(), &["name"]) };
            seen.extend(writer.search_read(&page).await.unwrap().records.iter().map(backends::odoo::Record::id));
        }
        seen.sort_unstable();
        assert_eq!(seen, made, "each once");
        // The default order of leads is by priority first.
        let leads = writer.search_read(&Search { limit: 40, ..by("crm.lead", json!([]), &["priority"]) }).await.unwrap();
        let priorities: Vec<String> =
            leads.records.iter().map(|r| r.parse()["priority"].as_str().unwrap_or("0").to_owned()).collect();
        assert!(priorities.is_sorted_by(|a, b| a >= b), "{priorities:?}");
    })
    .await;
}

#[tokio::test]
async fn methods_run_and_null_is_null() {
    everywhere(|_, _, bench| async move {
        let writer = bench.writer();
        let id = writer.create("res.partner", vec![object(json!({"name": "Posted"}))]).await.unwrap()[0];
        let posted = writer.call("res.partner", "message_post", &[id], vec![], object(json!({"body": "hello"}))).await.unwrap();
        assert!(posted.get() != "null", "{posted}");
        let read = writer.call("res.users", "read", &[2], vec![json!(["password"])], Map::new()).await.unwrap_err();
        assert_eq!(read.code(), Code::FieldDenied, "a reading is checked as such, whoever sends it");
        let address = writer.call("res.partner", "address_get", &[id], vec![json!(["invoice"])], Map::new()).await.unwrap();
        assert!(address.get().contains("invoice"), "{address}");
        let order = writer.create("sale.order", vec![object(json!({"partner_id": id}))]).await.unwrap()[0];
        writer.call("sale.order", "action_cancel", &[order], vec![], Map::new()).await.unwrap();
        writer.unlink("sale.order", &[order]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_told_once_and_remembered() {
    for server in servers() {
        for dialect in [RpcDialect::Auto, RpcDialect::JsonRpc] {
            let bench = Bench::new(&server.url, &server.database, "admin", "wrong-password", dialect);
            for _ in 0..3 {
                let fault = bench.reader().search_count("res.partner", &json!([]), None).await.unwrap_err();
                assert_eq!(fault.code(), Code::NotConfigured, "Odoo {} {dialect}: {fault:?}", server.version);
            }
            assert_eq!(bench.memory.refused.load(std::sync::atomic::Ordering::SeqCst), 1);
        }
        let bench =
            Bench::new(&server.url, &server.database, "admin", "0123456789abcdef0123456789abcdef01234567", RpcDialect::Auto);
        assert_eq!(bench.reader().search_count("res.partner", &json!([]), None).await.unwrap_err().code(), Code::NotConfigured);
        let bench = Bench::new(&server.url, "no_such_database", "admin", "admin", RpcDialect::Auto);
        let fault = bench
            .pool
            .check(&bench.instance, tokio::time::Instant::now() + std::time::Duration::from_secs(20))
            .await
            .unwrap_err();
        assert_eq!(fault.code(), Code::OdooError, "{fault:?}");
        assert!(
            fault.public().message.contains("no_such_database") || fault.public().next.contains("no_such_database"),
            "{fault:?}"
        );
        assert_eq!(bench.memory.refused.load(std::sync::atomic::Ordering::SeqCst), 0, "the credential is not to blame");
    }
}

#[tokio::test]
async fn a_lost_session_is_renewed() {
    for server in servers() {
        let (login, users) =
            (format!("lost{}", rand()), server.by(RpcDialect::JsonRpc).writer_as(Scope { lifts: &["res.users"], ..open() }));
        let password = object(json!({"password": "long enough 123"}));
        let id = users
            .create("res.users", vec![object(json!({"name": "Lost", "login": login, "password": "long enough 123"}))])
            .await
            .unwrap()[0];
        let bench = Bench::new(&server.url, &server.database, &login, "long enough 123", RpcDialect::Auto);
        assert_eq!(bench.reader().user_id().await.unwrap(), id);
        // Odoo ends the sessions of a user whose password changes.
        users.write("res.users", &[id], password.clone()).await.unwrap();
        assert!(bench.reader().search_count("res.partner", &json!([]), None).await.is_ok());
        users.write("res.users", &[id], password).await.unwrap();
        bench.writer().call("res.partner", "address_get", &[1], vec![], Map::new()).await.unwrap();
        assert_eq!(bench.memory.opened.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_user_of_few_rights_reads_what_he_may() {
    for server in servers() {
        let (login, users) =
            (format!("few{}", rand()), server.by(RpcDialect::Auto).writer_as(Scope { lifts: &["res.users"], ..open() }));
        let group =
            ask(&users, "ir.model.data", "check_object_reference", &[], json!(["base", "group_user"]), json!({})).await.unwrap();
        let groups = if server.version >= 19 { "group_ids" } else { "groups_id" };
        users
            .create(
                "res.users",
                vec![object(json!({"name": "Few", "login": login, "password": "long enough 123", groups: [[6, 0, [group[1]]]]}))],
            )
            .await
            .unwrap();
        let bench = Bench::new(&server.url, &server.database, &login, "long enough 123", RpcDialect::Auto);
        let reader = bench.reader();
        // Some fields are for accountants or administrators: hidden from others, not unknown.
        let (all, mine) = (users.fields("res.partner").await.unwrap(), reader.fields("res.partner").await.unwrap());
        let hidden = all.0.iter().find(|(name, f)| f.store && mine.get(name).is_none()).map(|(name, _)| name.as_str()).unwrap();
        let rows = reader.search_read(&by("res.partner", json!([["id", "=", 1]]), &["name", hidden, "email"])).await.unwrap();
        assert_eq!(rows.fields, ["name", "email"], "{:?}", rows.skipped);
        assert!(rows.skipped.contains_key(hidden));
        assert!(rows.records[0].parse()["name"].is_string());
        let rows = reader.read("res.partner", &[1], &names(&[hidden, "name"])).await.unwrap();
        assert_eq!(rows.skipped.len(), 1);
        let (code, text) = refused(&reader.search_read(&by("ir.rule", json!([]), &["name"])).await.unwrap_err());
        assert_eq!(code, Code::OdooError, "{text}");
        // In 19 an installed module lets every employee read ir.module.module.
        assert_eq!(reader.installed_modules().await.unwrap().is_none(), server.version < 19);
        let models = reader.models(None, None).await;
        if server.version >= 15 {
            let (code, text) = refused(&models.unwrap_err());
            assert!(code == Code::NotSupported && text.contains("Access Rights"), "{text}");
        } else {
            assert!(models.unwrap().len() > 100);
        }
        let (code, _) = refused(&reader.fields("res.partnr").await.unwrap_err());
        assert_eq!(code, Code::NotFound);
    }
}

#[tokio::test]
async fn many_at_once_share_one_login() {
    for server in servers() {
        let bench = std::sync::Arc::new(server.by(RpcDialect::Auto));
        let mut tasks = Vec::new();
        for _ in 0..24 {
            let bench = bench.clone();
            tasks.push(tokio::spawn(async move {
                bench.reader().search_read(&by("res.partner", json!([]), &["name"])).await.map(|r| r.records.len())
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 5);
        }
        assert_eq!(bench.memory.opened.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}
