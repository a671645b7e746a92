//! Against real Odoos: `OCORE_TEST_ODOO_URL_19` and `OCORE_TEST_ODOO_DB_19` (likewise `_14`) name a server and a throw-away
//! database with demonstration data and the login admin/admin; `OCORE_TEST_ODOO_KEY_19` an API key of admin. What is not set is
//! skipped with a word.
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
    odoo::{OdooContext, ReadMethod, Search},
};
use common::{Bench, only, open};
use kernel::{Code, RpcDialect, Selection};
use serde_json::{Map, Value, json};

struct Server {
    version: u16,
    url: String,
    database: String,
    key: Option<String>,
}
fn servers() -> Vec<Server> {
    let mut found = Vec::new();
    for version in [14, 19] {
        let var = |name: &str| std::env::var(format!("OCORE_TEST_ODOO_{name}_{version}")).ok();
        match (var("URL"), var("DB")) {
            (Some(url), Some(database)) => found.push(Server { version, url, database, key: var("KEY") }),
            _ => println!("Odoo {version}: skipped, OCORE_TEST_ODOO_URL_{version} and OCORE_TEST_ODOO_DB_{version} are not set"),
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
            println!("Odoo {}: API key skipped, OCORE_TEST_ODOO_KEY_{} is not set", self.version, self.version);
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
        let _ = open();
        let _ = only(&[]);
        let _ = (ReadMethod::of("read"), OdooContext::default());
        let _: Option<Scope> = None;
        let _: Selection<i64> = Selection::All;
    })
    .await;
}
