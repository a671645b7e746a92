//! Modules on both real Odoos, each test in a database of its own. The witness is the table of modules in Odoo's database.
use std::{
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, Reply, run, stack};

/// A test for each Odoo out of each function of `checks`, with a database of its own.
macro_rules! on_both_afresh {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn odoo_19() {
                super::afresh(19, stringify!($name), async |odoo, ocore, mcp| super::checks::$name(odoo, ocore, mcp).await);
            }
            #[test]
            fn odoo_14() {
                super::afresh(14, stringify!($name), async |odoo, ocore, mcp| super::checks::$name(odoo, ocore, mcp).await);
            }
        }
    )+};
}
/// A database of a name that Odoo's processes have never seen, gone with the test: what they remember of a database of the same name
/// with other modules keeps people from signing in.
struct Unseen(Odoo);
impl Unseen {
    fn new(version: u16, name: &str) -> Option<Self> {
        Odoo::fresh(version, &format!("modules_{name}_{}", std::process::id())).map(Self)
    }
}
impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = stack(&["drop", &self.0.version.to_string(), &self.0.database]);
    }
}
fn afresh(version: u16, name: &str, check: impl AsyncFnOnce(&Odoo, &mut Ocore, &Mcp)) {
    let Some(Unseen(odoo)) = &Unseen::new(version, name) else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", odoo, &[]).ok();
    let mcp = ocore.serve().key(&["--label", "builder"]).on(version);
    run(check(odoo, &mut ocore, &mcp));
}

on_both_afresh!(
    reading,
    a_modules_life,
    what_comes_along,
    failures,
    hostile,
    one_at_a_time,
    scheduled_actions,
    marks,
    restarts,
    lost_answers,
    dialects,
    who_may
);

/// The state of a module in Odoo's own table.
fn state(odoo: &Odoo, module: &str) -> String {
    odoo.sql(&format!("SELECT state FROM ir_module_module WHERE name = '{module}'"))
}
fn marked(odoo: &Odoo) -> String {
    odoo.sql("SELECT coalesce(string_agg(name, ','), '') FROM ir_module_module WHERE state LIKE 'to %'")
}
fn names(rows: &Value, field: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}
fn row<'a>(rows: &'a Value, field: &str, value: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|row| row[field] == value).unwrap_or_else(|| panic!("no {field} {value}: {rows}"))
}
/// The message of a refusal, with what to do next.
fn said(refused: &Value) -> String {
    format!("{} {}", refused["message"].as_str().unwrap(), refused["next"].as_str().unwrap_or_default())
}
async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: not within half a minute");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
/// The instance works: Odoo answers reads and writes, and no module is marked.
async fn well(odoo: &Odoo, mcp: &Mcp) {
    mcp.call("dev_search_read", json!({"model": "res.partner", "limit": 1, "timeout_seconds": 60})).await.ok();
    let made = mcp.call("dev_create", json!({"model": "res.partner", "values": {"name": "Still there"}})).await.ok();
    assert_eq!(odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {}", made["id"])), "Still there");
    assert_eq!(marked(odoo), "");
}

/// A module in the addons path of a running Odoo, gone with the test.
struct Addon {
    name: String,
    container: String,
}
impl Addon {
    fn new(odoo: &Odoo, name: &str, manifest: &str, files: &[(&str, &str)]) -> Self {
        // Odoo's processes remember what they have imported: no two tests share a name.
        let name = format!("{}_{}", odoo.database, name);
        let addon = Self { name, container: odoo.container.clone() };
        addon.put("__init__.py", "");
        addon.put(
            "__manifest__.py",
            &format!("{{'name': 'Of a test', 'version': '1.0', 'license': 'LGPL-3', 'depends': ['base'], {manifest}}}"),
        );
        for (path, text) in files {
            addon.put(path, text);
        }
        addon
    }
    fn put(&self, path: &str, text: &str) {
        use std::io::Write as _;
        let script = format!("mkdir -p /mnt/extra-addons/{0} && cat > /mnt/extra-addons/{0}/{path}", self.name);
        let mut child = Command::new("docker")
            .args(["exec", "-i", "-u", "root", &self.container, "sh", "-c", &script])
            .stdin(Stdio::piped())
            .spawn()
            .expect("docker");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    fn remove(&self) {
        let _ = Command::new("docker")
            .args(["exec", "-u", "root", &self.container, "rm", "-rf", &format!("/mnt/extra-addons/{}", self.name)])
            .status();
    }
}
impl Drop for Addon {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A transaction of somebody else that holds what `statement` takes for some seconds. Waits until it has it.
async fn held(odoo: &Odoo, statement: &str, seconds: u32) -> JoinHandle<()> {
    let (of, sql) = (odoo.clone(), format!("BEGIN; {statement}; SELECT pg_sleep({seconds}); COMMIT"));
    let thread = std::thread::spawn(move || {
        of.sql(&sql);
    });
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    until("the lock", || odoo.sql(sleeping) == "1").await;
    thread
}
/// Nobody can write external ids meanwhile, which every installation does: it stands still, but reads go on.
const NO_EXTERNAL_IDS: &str = "LOCK TABLE ir_model_data IN SHARE MODE";

/// Stands between ocore and Odoo and can cut all connections.
struct Between {
    url: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
}
impl Between {
    fn new(url: &str) -> Self {
        let to = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let all = Arc::clone(&open);
        std::thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let Ok(odoo) = TcpStream::connect(&to) else { continue };
                for (mut a, mut b) in [
                    (from.try_clone().unwrap(), odoo.try_clone().unwrap()),
                    (odoo.try_clone().unwrap(), from.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut a, &mut b);
                        let _ = b.shutdown(Shutdown::Write);
                    });
                }
                all.lock().unwrap_or_else(PoisonError::into_inner).push(from);
            }
        });
        Self { url, open }
    }
    /// ocore loses its connections; Odoo is not told.
    fn cut(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A call that goes on while the test does something else.
fn started(mcp: &Mcp, tool: &str, arguments: Value) -> tokio::task::JoinHandle<Reply> {
    let (mcp, tool) = (mcp.clone(), tool.to_owned());
    tokio::spawn(async move { mcp.call(&tool, arguments).await })
}

mod checks {
    use super::*;

    pub async fn reading(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let installed = mcp.call("dev_list_modules", json!({"state": "installed", "limit": 500})).await.ok();
        let expected = odoo.sql("SELECT string_agg(name, ',' ORDER BY name) FROM ir_module_module WHERE state = 'installed'");
        let mut found = names(&installed["modules"], "module");
        found.sort();
        assert_eq!(found.join(","), expected);
        assert_eq!(installed["total"].as_u64(), Some(found.len() as u64));
        let crm = row(&installed["modules"], "module", "crm");
        assert_eq!(crm["version"], odoo.sql("SELECT latest_version FROM ir_module_module WHERE name = 'crm'"));
        assert!(crm["category"].as_str().unwrap().contains("CRM") && crm["author"].as_str().unwrap().contains("Odoo"), "{crm}");
        let page = mcp.call("dev_list_modules", json!({"limit": 2, "offset": 2})).await.ok();
        assert_eq!(page["total"].to_string(), odoo.sql("SELECT count(*) FROM ir_module_module"));
        assert_eq!((page["next_offset"].as_u64(), page["modules"].as_array().unwrap().len()), (Some(4), 2), "{page}");
        let past = mcp.call("dev_list_modules", json!({"offset": 100_000})).await.ok();
        assert!(past["modules"].as_array().unwrap().is_empty() && past.get("next_offset").is_none(), "{past}");
        let searched = mcp.call("dev_list_modules", json!({"search": "link tracker"})).await.ok();
        assert!(names(&searched["modules"], "module").contains(&"link_tracker".to_owned()), "titles are searched: {searched}");
        let crm = mcp.call("dev_list_modules", json!({"category": "Sales / CRM", "state": "installed"})).await.ok();
        assert!(names(&crm["modules"], "module").contains(&"crm".to_owned()), "{crm}");
        let sales = mcp.call("dev_list_modules", json!({"category": "sales", "state": "installed"})).await.ok();
        assert!(sales["total"].as_u64() > crm["total"].as_u64(), "with the categories below: {sales}");
        let refused = mcp.call("dev_list_modules", json!({"category": "Salse"})).await.refused("not_found");
        assert!(said(&refused).contains("Sales"), "{refused}");

        let categories = mcp.call("dev_module_categories", json!({})).await.ok();
        let counted: u64 = categories["categories"].as_array().unwrap().iter().map(|c| c["modules"].as_u64().unwrap()).sum();
        let of_none = categories["uncategorized"].as_u64().unwrap_or(0);
        assert_eq!((counted + of_none).to_string(), odoo.sql("SELECT count(*) FROM ir_module_module"), "each module once");
        let category = row(&categories["categories"], "category", "Sales / CRM");
        let sql = "SELECT count(*) FROM ir_module_module WHERE category_id = (SELECT category_id FROM ir_module_module WHERE name = 'crm')";
        assert_eq!(category["modules"].to_string(), odoo.sql(sql), "{category}");
        assert_eq!(category["installed"].to_string(), odoo.sql(&format!("{sql} AND state = 'installed'")), "{category}");

        let direct = mcp.call("dev_module_dependencies", json!({"module": "sale_crm"})).await.ok();
        let mut needs: Vec<String> = direct["edges"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["from"] == "sale_crm")
            .map(|e| e["to"].as_str().unwrap().to_owned())
            .collect();
        needs.sort();
        let sql = "SELECT string_agg(d.name, ',' ORDER BY d.name) FROM ir_module_module_dependency d JOIN ir_module_module m ON m.id = d.module_id WHERE m.name = 'sale_crm'";
        assert_eq!(needs.join(","), odoo.sql(sql), "{direct}");
        let all = mcp.call("dev_module_dependencies", json!({"module": "sale_crm", "recursive": true})).await.ok();
        assert!(all["depends_on"].as_u64() > direct["depends_on"].as_u64(), "{all}");
        assert_eq!(row(&all["nodes"], "module", "base")["relation"], "depends_on", "{all}");
        let downwards = mcp.call("dev_module_dependencies", json!({"module": "crm", "recursive": true})).await.ok();
        assert_eq!(row(&downwards["nodes"], "module", "sale_crm")["relation"], "required_by", "{downwards}");
        assert_eq!(downwards["external"]["checked"], odoo.version >= 19, "{downwards}");
        let everything = mcp.call("dev_module_dependencies", json!({"module": "base", "recursive": true})).await.ok();
        assert!(
            everything["truncated"].is_object() && everything["required_by"].as_u64().unwrap() > 200,
            "{}",
            everything["truncated"]
        );

        let none = mcp.call("dev_module_drift", json!({})).await.ok();
        assert_eq!((none["count"].as_u64(), none["checked"].as_u64()), (Some(0), installed["total"].as_u64()), "{none}");
        odoo.sql("UPDATE ir_module_module SET latest_version = replace(latest_version, '.0.1', '.0.0') WHERE name = 'contacts'");
        odoo.sql("UPDATE ir_module_module SET latest_version = '99.0.9.9' WHERE name = 'crm'");
        let drift = mcp.call("dev_module_drift", json!({})).await.ok();
        assert_eq!(row(&drift["drifted"], "module", "contacts")["drift"], "upgrade_pending", "{drift}");
        assert!(drift.to_string().contains("other_series"), "{drift}");
        let one = mcp.call("dev_module_drift", json!({"module": "contacts"})).await.ok();
        assert_eq!((one["checked"].as_u64(), one["count"].as_u64()), (Some(1), Some(1)), "{one}");
        mcp.call("dev_module_drift", json!({"module": "contcts"})).await.refused("not_found");

        let check = mcp.call("dev_check_uninstall_deps", json!({"module": "crm"})).await.ok();
        assert!(names(&check["modules"], "module").contains(&"sale_crm".to_owned()), "{check}");
        assert_eq!(
            row(&check["models"], "model", "crm.lead")["records"].to_string(),
            odoo.sql("SELECT count(*) FROM crm_lead"),
            "{check}"
        );
        assert!(
            check["fields"].to_string().contains("sale.order.opportunity_id") && !check["views"].as_array().unwrap().is_empty(),
            "{check}"
        );
        let base = mcp.call("dev_check_uninstall_deps", json!({"module": "base"})).await.ok();
        assert!(base["removable"] == false && base["notes"].to_string().contains("never removed"), "{base}");
        let absent = mcp.call("dev_check_uninstall_deps", json!({"module": "link_tracker"})).await.ok();
        assert!(absent["removable"] == false && absent["notes"].to_string().contains("nothing to remove"), "{absent}");
        mcp.call("dev_check_uninstall_deps", json!({"module": "crmm"})).await.refused("not_found");

        // Last, because no registry that is loaded from now on is whole.
        odoo.sql("UPDATE ir_module_module SET state = 'uninstalled' WHERE name = 'utm'");
        let drift = mcp.call("dev_module_drift", json!({})).await.ok();
        let missing = drift["drifted"].as_array().unwrap().iter().filter(|d| d["drift"] == "dependency_missing");
        assert!(missing.into_iter().any(|d| d["module"] == "crm" && d["detail"].as_str().unwrap().contains("utm")), "{drift}");
    }

    /// From the plan to the removal, with the history of it.
    pub async fn a_modules_life(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let models = json!({"search": "maintenance."});
        assert_eq!(mcp.call("dev_list_models", models.clone()).await.ok()["total"], 0, "and that is cached");
        let plan = mcp.call("dev_install_module", json!({"module": "maintenance", "dry_run": true})).await.ok();
        assert!(plan["plan"]["summary"].as_str().unwrap().contains("Would install maintenance"), "{plan}");
        assert_eq!(state(odoo, "maintenance"), "uninstalled", "a plan changes nothing");
        assert_eq!(mcp.call("dev_module_history", json!({})).await.ok()["count"], 0);

        let done = mcp.call("dev_install_module", json!({"module": "maintenance"})).await.ok();
        let change = row(&done["changed"], "module", "maintenance");
        let version = odoo.sql("SELECT latest_version FROM ir_module_module WHERE name = 'maintenance'");
        assert_eq!(
            (&change["state"], &change["version"], &change["state_before"]),
            (&json!("installed"), &json!(version), &json!("uninstalled")),
            "{done}"
        );
        assert_eq!(state(odoo, "maintenance"), "installed");
        // What was cached about the instance is not used any more.
        let began = Instant::now();
        while mcp.call("dev_list_models", models.clone()).await.ok()["total"] == 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "the new models are not seen");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let again = mcp.call("dev_install_module", json!({"module": "maintenance"})).await.refused("conflict");
        assert!(said(&again).contains("installed already") && said(&again).contains("upgrade_module"), "{again}");

        odoo.sql("UPDATE ir_module_module SET latest_version = regexp_replace(latest_version, '[0-9]+$', '') || '0.0.1' WHERE name = 'maintenance'");
        let plan = mcp.call("dev_upgrade_module", json!({"modules": ["maintenance"], "dry_run": true})).await.ok();
        let upgraded = mcp.call("dev_upgrade_module", json!({"modules": "maintenance"})).await.ok();
        assert_eq!(
            plan["plan"]["affected"].as_u64(),
            Some(upgraded["changed"].as_array().unwrap().len() as u64),
            "{plan} {upgraded}"
        );
        let change = row(&upgraded["changed"], "module", "maintenance");
        assert_eq!(
            change["version"],
            odoo.sql("SELECT latest_version FROM ir_module_module WHERE name = 'maintenance'"),
            "{upgraded}"
        );
        assert!(change["version"] == version.as_str() && change["version"] != change["version_before"], "{upgraded}");
        assert!(upgraded["notes"].to_string().contains("Python"), "{upgraded}");

        // A view that a person made, and that shows what goes away.
        let arch = r#"<form><field name="equipment_count"/></form>"#;
        let arch = if odoo.version >= 16 { format!("jsonb_build_object('en_US', '{arch}')") } else { format!("'{arch}'") };
        odoo.sql(&format!(
            "INSERT INTO ir_ui_view (name, model, type, arch_db, mode, priority, active) VALUES ('Made by hand', 'maintenance.equipment.category', 'form', {arch}, 'primary', 16, true)"
        ));
        let stages = odoo.sql("SELECT count(*) FROM maintenance_stage");
        let check = mcp.call("dev_check_uninstall_deps", json!({"module": "maintenance"})).await.ok();
        assert_eq!(row(&check["models"], "model", "maintenance.stage")["records"].to_string(), stages, "{check}");
        assert_eq!(row(&check["broken_views"], "name", "Made by hand")["model"], "maintenance.equipment.category", "{check}");

        let warning = mcp.call("dev_uninstall_module", json!({"module": "maintenance"})).await.refused("confirm_required");
        let warned = warning["plan"]["warnings"].to_string();
        assert!(
            warned.contains(&format!("maintenance.stage ({stages})"))
                && warned.contains("Made by hand")
                && warned.contains("backup"),
            "{warning}"
        );
        assert_eq!(state(odoo, "maintenance"), "installed");
        let removed = mcp
            .call("dev_uninstall_module", json!({"module": "maintenance", "confirm_token": warning["confirm_token"]}))
            .await
            .ok();
        assert_eq!(row(&removed["changed"], "module", "maintenance")["state"], "uninstalled", "{removed}");
        assert_eq!(state(odoo, "maintenance"), "uninstalled");
        assert_eq!(odoo.sql("SELECT to_regclass('maintenance_stage') IS NULL"), "t");
        let gone = mcp.call("dev_uninstall_module", json!({"module": "maintenance", "confirm": true})).await.refused("conflict");
        assert!(said(&gone).contains("nothing to remove"), "{gone}");

        let history = mcp.call("dev_module_history", json!({"module": "maintenance"})).await.ok();
        assert_eq!(names(&history["entries"], "operation"), ["uninstall", "upgrade", "install"], "{history}");
        assert_eq!(names(&history["entries"], "outcome"), ["ok", "ok", "ok"], "{history}");
        let first = &history["entries"][2];
        assert_eq!(
            (&first["key"], &first["version"], &first["version_before"]),
            (&json!("builder"), &json!(version), &Value::Null),
            "{first}"
        );
        assert!(first["ended_at"].as_str() > first["started_at"].as_str(), "{first}");
        assert_eq!(mcp.call("dev_module_history", json!({"module": "crm"})).await.ok()["count"], 0);
        assert_eq!(mcp.call("dev_module_history", json!({"limit": 1})).await.ok()["count"], 1);
        well(odoo, mcp).await;
    }

    pub async fn what_comes_along(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let before = odoo.sql("SELECT string_agg(name, ',') FROM ir_module_module WHERE state = 'installed'");
        let plan = mcp.call("dev_install_module", json!({"module": "gamification", "dry_run": true})).await.ok();
        let warnings = plan["plan"]["warnings"].to_string();
        assert!(warnings.contains("By themselves") && warnings.contains("gamification_sale_crm"), "{plan}");
        let done = mcp.call("dev_install_module", json!({"module": "gamification"})).await.ok();
        let new = odoo.sql(&format!(
            "SELECT string_agg(name, ',' ORDER BY name) FROM ir_module_module WHERE state = 'installed' AND name <> ALL (string_to_array('{before}', ','))"
        ));
        let mut changed = names(&done["changed"], "module");
        assert_eq!(changed.first().map(String::as_str), Some("gamification"), "what was asked for comes first");
        changed.sort();
        assert_eq!(changed.join(","), new, "what is told is what happened");
        assert_eq!(plan["plan"]["affected"].as_u64(), Some(changed.len() as u64), "and what was planned: {plan}");

        let plan = mcp.call("dev_upgrade_module", json!({"modules": ["gamification"], "dry_run": true})).await.ok();
        assert!(plan["plan"]["examples"].to_string().contains("gamification_sale_crm"), "{plan}");
        let upgraded = mcp.call("dev_upgrade_module", json!({"modules": ["gamification"]})).await.ok();
        assert_eq!(plan["plan"]["affected"].as_u64(), Some(upgraded["changed"].as_array().unwrap().len() as u64), "{upgraded}");
        assert!(names(&upgraded["changed"], "module").contains(&"gamification_sale_crm".to_owned()), "{upgraded}");
        // base is everything: it is confirmed.
        let all = mcp.call("dev_upgrade_module", json!({"modules": ["base"]})).await.refused("confirm_required");
        assert_eq!(
            all["plan"]["affected"].to_string(),
            odoo.sql("SELECT count(*) FROM ir_module_module WHERE state = 'installed'"),
            "{all}"
        );

        let warning = mcp.call("dev_uninstall_module", json!({"module": "gamification"})).await.refused("confirm_required");
        assert!(warning["plan"]["warnings"].to_string().contains("gamification_sale_crm"), "{warning}");
        let confirmed = json!({"module": "gamification", "confirm_token": warning["confirm_token"]});
        // Something else stands on it by now, for which the confirmation does not hold.
        odoo.sql("INSERT INTO ir_module_module_dependency (name, module_id) SELECT 'gamification', id FROM ir_module_module WHERE name = 'contacts'");
        mcp.call("dev_uninstall_module", confirmed.clone()).await.refused("conflict");
        assert_eq!(state(odoo, "gamification"), "installed");
        odoo.sql("DELETE FROM ir_module_module_dependency WHERE name = 'gamification' AND module_id = (SELECT id FROM ir_module_module WHERE name = 'contacts')");
        let removed = mcp.call("dev_uninstall_module", confirmed).await.ok();
        assert!(names(&removed["changed"], "module").contains(&"gamification_sale_crm".to_owned()), "{removed}");
        assert_eq!(
            (state(odoo, "gamification"), state(odoo, "gamification_sale_crm")),
            ("uninstalled".to_owned(), "uninstalled".to_owned())
        );

        let history = mcp.call("dev_module_history", json!({})).await.ok();
        assert_eq!(names(&history["entries"], "module"), ["gamification", "gamification", "gamification"], "{history}");
        assert!(history["entries"][0]["along"].as_u64() >= Some(1), "{history}");
        let along = mcp.call("dev_module_history", json!({"module": "gamification_sale_crm"})).await.ok();
        assert_eq!(names(&along["entries"], "operation"), ["uninstall", "upgrade", "install"], "{along}");
        assert_eq!((&along["entries"][0]["asked"], &along["entries"][0]["outcome"]), (&json!(false), &json!("ok")), "{along}");
        well(odoo, mcp).await;
    }

    pub async fn failures(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let bad_data = r#"<odoo><record id="a" model="res.partner"><field name="nofield">x</field></record></odoo>"#;
        let good_data = r#"<odoo><record id="a" model="res.partner"><field name="name">Of a module</field></record></odoo>"#;
        let library = Addon::new(odoo, "library", "'external_dependencies': {'python': ['ocore_no_such_library']}", &[]);
        let data = Addon::new(odoo, "data", "'data': ['data.xml']", &[("data.xml", bad_data)]);
        let python = Addon::new(odoo, "python", "", &[("__init__.py", "import ocore_no_such_library\n")]);
        let good = Addon::new(odoo, "good", "'data': ['data.xml']", &[("data.xml", good_data)]);
        let on_good =
            Addon::new(odoo, "half", &format!("'depends': ['{}'], 'data': ['data.xml']", good.name), &[("data.xml", bad_data)]);
        let alone = Addon::new(odoo, "alone", "'depends': ['ocore_no_such_module']", &[]);
        let never = Addon::new(odoo, "never", "'installable': False", &[]);
        let gone = Addon::new(odoo, "gone", "", &[]);
        let install = async |name: &str| mcp.call("dev_install_module", json!({"module": name})).await;

        // Odoo has not looked for them yet; the call has it look.
        mcp.call("dev_install_module", json!({"module": library.name, "dry_run": true})).await.refused("not_found");
        let refused = install(&library.name).await.refused("odoo_error");
        assert!(said(&refused).contains("ocore_no_such_library") && said(&refused).contains("restart Odoo"), "{refused}");
        let plan = mcp.call("dev_install_module", json!({"module": library.name, "dry_run": true})).await.ok();
        assert_eq!(plan.to_string().contains("ocore_no_such_library"), odoo.version >= 19, "{plan}");
        let external = mcp.call("dev_module_dependencies", json!({"module": library.name})).await.ok();
        assert_eq!(external["external"]["missing"].is_string(), odoo.version >= 19, "{external}");

        let refused = install(&data.name).await.refused("odoo_error");
        assert!(
            said(&refused).contains(&format!("{}/data.xml", data.name)) && said(&refused).contains("nofield"),
            "where and why: {refused}"
        );
        assert!(!refused.to_string().contains("Traceback") && !refused.to_string().contains("/mnt/"), "{refused}");
        assert!(said(&refused).contains(&format!("{} is uninstalled. No module is left marked.", data.name)), "{refused}");
        let refused = install(&python.name).await.refused("odoo_error");
        assert!(said(&refused).contains("No module named 'ocore_no_such_library'"), "{refused}");
        for addon in [&library, &data, &python] {
            assert_eq!(state(odoo, &addon.name), "uninstalled");
        }

        // What was committed before the failure stays, and that is told.
        let refused = install(&on_good.name).await.refused("odoo_error");
        assert_eq!(state(odoo, &on_good.name), "uninstalled");
        // 14 notes that a module is installed only with the next one, so there the one before is given up too.
        if odoo.version >= 19 {
            assert!(said(&refused).contains(&format!("What was done before stays: {}.", good.name)), "{refused}");
            assert_eq!(state(odoo, &good.name), "installed");
            let history = mcp.call("dev_module_history", json!({"module": good.name})).await.ok();
            assert_eq!(
                (&history["entries"][0]["outcome"], &history["entries"][0]["asked"]),
                (&json!("ok"), &json!(false)),
                "{history}"
            );
        } else {
            assert_eq!(
                (state(odoo, &good.name), said(&refused).contains("stays")),
                ("uninstalled".to_owned(), false),
                "{refused}"
            );
            install(&good.name).await.ok();
        }
        let history = mcp.call("dev_module_history", json!({"module": on_good.name})).await.ok();
        assert!(
            history["entries"][0]["outcome"] == "failed" && history["entries"][0]["reason"].as_str().unwrap().contains("nofield"),
            "{history}"
        );

        let refused = install(&alone.name).await.refused("odoo_error");
        assert!(said(&refused).contains("ocore_no_such_module"), "{refused}");
        let plan = mcp.call("dev_install_module", json!({"module": alone.name, "dry_run": true})).await.ok();
        assert!(plan["plan"]["warnings"].to_string().contains("ocore_no_such_module"), "{plan}");
        let refused = install(&never.name).await.refused("conflict");
        assert!(said(&refused).contains("cannot be installed"), "{refused}");

        // Odoo knows it, and its files are gone: 14 passes over it in silence and leaves it marked, which stops every scheduled action.
        gone.remove();
        let refused = install(&gone.name).await.refused("odoo_error");
        assert!(said(&refused).contains(&format!("{} is uninstalled. No module is left marked.", gone.name)), "{refused}");
        assert_eq!((marked(odoo), state(odoo, &gone.name)), (String::new(), "uninstalled".to_owned()));

        // An upgrade that fails leaves the module as it was.
        good.put("data.xml", bad_data);
        let refused = mcp.call("dev_upgrade_module", json!({"modules": [good.name, "contacts"]})).await.refused("odoo_error");
        assert!(
            said(&refused).contains("nofield") && said(&refused).contains(&format!("{} is installed.", good.name)),
            "{refused}"
        );
        assert_eq!(state(odoo, &good.name), "installed");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'Of a module'"), "1");
        good.put("data.xml", good_data);
        mcp.call("dev_upgrade_module", json!({"modules": [good.name]})).await.ok();
        let removed = mcp.call("dev_uninstall_module", json!({"module": good.name, "confirm": true})).await.ok();
        assert_eq!(removed["changed"][0]["state"], "uninstalled", "{removed}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'Of a module'"), "0");
        well(odoo, mcp).await;
    }

    pub async fn hostile(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        // Not those that are not there: Odoo looks for unknown names on the disk, where other tests may have put something.
        let states = "SELECT string_agg(name || ' ' || state, ',' ORDER BY name) FROM ir_module_module WHERE state NOT IN ('uninstalled', 'uninstallable')";
        let before = odoo.sql(states);
        for bad in [
            json!("sale'; DROP TABLE x"),
            json!(""),
            json!("a b"),
            json!("../etc"),
            json!("x".repeat(200)),
            json!(7),
            json!(["sale"]),
            json!({"a": 1}),
        ] {
            for tool in [
                "install_module",
                "uninstall_module",
                "check_uninstall_deps",
                "module_dependencies",
                "module_drift",
                "module_history",
            ] {
                let mut args = json!({"module": bad});
                if tool == "uninstall_module" {
                    args["confirm"] = true.into();
                }
                mcp.call(&format!("dev_{tool}"), args).await.refused("invalid_argument");
            }
        }
        for bad in [
            json!({}),
            json!({"modules": []}),
            json!({"modules": [""]}),
            json!({"modules": [1]}),
            json!({"modules": vec!["sale"; 60]}),
            json!({"modules": ["sale", "a;b"]}),
        ] {
            mcp.call("dev_upgrade_module", bad).await.refused("invalid_argument");
        }
        for bad in [
            json!({"state": "broken"}),
            json!({"limit": 0}),
            json!({"limit": 5000}),
            json!({"offset": -1}),
            json!({"name": "sale"}),
        ] {
            mcp.call("dev_list_modules", bad).await.refused("invalid_argument");
        }
        for bad in [json!({"limit": 0}), json!({"limit": 501}), json!({"limit": "many"})] {
            mcp.call("dev_module_history", bad).await.refused("invalid_argument");
        }
        let percent = mcp.call("dev_list_modules", json!({"search": "100%_'\" OR 1=1"})).await.ok();
        assert_eq!(percent["total"], 0, "{percent}");
        let near = mcp.call("dev_install_module", json!({"module": "link_trackr"})).await.refused("not_found");
        assert!(said(&near).contains("link_tracker"), "{near}");
        let near = mcp.call("dev_upgrade_module", json!({"modules": ["crm", "contcts"]})).await.refused("not_found");
        assert!(said(&near).contains("contacts"), "{near}");
        let all = mcp.call("dev_upgrade_module", json!({"modules": ["all"]})).await.refused("not_found");
        assert!(said(&all).contains("base"), "{all}");
        let absent = mcp.call("dev_upgrade_module", json!({"modules": ["crm", "link_tracker"]})).await.refused("conflict");
        assert!(said(&absent).contains("link_tracker is uninstalled"), "{absent}");
        for module in ["base", "web"] {
            let refused = mcp.call("dev_uninstall_module", json!({"module": module, "confirm": true})).await.refused("conflict");
            assert!(said(&refused).contains("never removed"), "{refused}");
        }
        // The generic tools do not get past the dedicated ones.
        let ids = json!([odoo.sql("SELECT id FROM ir_module_module WHERE name = 'link_tracker'").parse::<i64>().unwrap()]);
        for method in ["button_immediate_install", "button_install", "module_uninstall", "update_list"] {
            let args = json!({"model": "ir.module.module", "method": method, "ids": ids, "confirm": true});
            mcp.call("dev_execute_method", args).await.refused("model_denied");
        }
        mcp.call("dev_write", json!({"model": "ir.module.module", "ids": ids, "values": {"state": "to install"}}))
            .await
            .refused("model_denied");
        assert_eq!(odoo.sql(states), before, "nothing was changed");
        assert_eq!(mcp.call("dev_module_history", json!({})).await.ok()["count"], 0);
    }

    pub async fn one_at_a_time(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let other = ocore.key(&["--label", "somebody"]);
        let lock = held(odoo, NO_EXTERNAL_IDS, 12).await;
        let first = started(mcp, "dev_install_module", json!({"module": "link_tracker"}));
        until("the mark", || state(odoo, "link_tracker") == "to install").await;
        // The same call again waits for the same work.
        let same = started(mcp, "dev_install_module", json!({"module": "link_tracker"}));
        let history = other.call("dev_module_history", json!({})).await.ok();
        assert_eq!(names(&history["entries"], "outcome"), ["running"], "{history}");
        for (tool, args) in [
            ("dev_install_module", json!({"module": "base_geolocalize"})),
            ("dev_upgrade_module", json!({"modules": ["contacts"]})),
            ("dev_uninstall_module", json!({"module": "contacts", "confirm": true})),
        ] {
            let busy = other.call(tool, args).await.refused("busy");
            assert!(said(&busy).contains("install of link_tracker") && said(&busy).contains("builder"), "{busy}");
        }
        assert_eq!(state(odoo, "link_tracker"), "to install", "none of them waited for the first one, which still runs");
        let (first, same) = (first.await.unwrap().ok(), same.await.unwrap().ok());
        assert_eq!(
            (&first["changed"], first["changed"][0]["state"].as_str()),
            (&same["changed"], Some("installed")),
            "{first} {same}"
        );
        lock.join().unwrap();
        let history = mcp.call("dev_module_history", json!({})).await.ok();
        assert_eq!(names(&history["entries"], "outcome"), ["ok"], "what was refused is no history: {history}");
        assert_eq!(
            (state(odoo, "base_geolocalize"), state(odoo, "contacts")),
            ("uninstalled".to_owned(), "installed".to_owned())
        );
        other.call("dev_uninstall_module", json!({"module": "link_tracker", "confirm": true})).await.ok();
        well(odoo, mcp).await;
    }

    pub async fn scheduled_actions(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let one = "SELECT id FROM ir_cron ORDER BY id LIMIT 1 FOR UPDATE";
        // One that ends soon is waited for.
        let lock = held(odoo, one, 6).await;
        let done = mcp.call("dev_install_module", json!({"module": "link_tracker"})).await.ok();
        assert_eq!(done["changed"][0]["state"], "installed", "{done}");
        lock.join().unwrap();
        // One that does not end is told of, and nothing was begun.
        let lock = held(odoo, one, 20).await;
        let busy = mcp.call("dev_uninstall_module", json!({"module": "link_tracker", "confirm": true})).await.refused("busy");
        assert!(said(&busy).contains("scheduled action") && said(&busy).contains("list_scheduled_actions"), "{busy}");
        assert_eq!(state(odoo, "link_tracker"), "installed");
        let history = mcp.call("dev_module_history", json!({})).await.ok();
        assert_eq!(names(&history["entries"], "operation"), ["install"], "{history}");
        lock.join().unwrap();
        // Odoo itself works on modules, past ocore: 19 says so by a lock.
        if odoo.version >= 19 {
            let lock = held(odoo, "LOCK TABLE ir_module_module IN EXCLUSIVE MODE", 12).await;
            let busy = mcp.call("dev_uninstall_module", json!({"module": "link_tracker", "confirm": true})).await.refused("busy");
            assert!(said(&busy).contains("not by ocore"), "{busy}");
            lock.join().unwrap();
        }
        mcp.call("dev_uninstall_module", json!({"module": "link_tracker", "confirm": true})).await.ok();
        well(odoo, mcp).await;
    }

    /// What an operation that was cut off leaves behind.
    pub async fn marks(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let mark = |name: &str, state: &str, ago: &str| {
            odoo.sql(&format!(
                "UPDATE ir_module_module SET state = '{state}', write_date = now() AT TIME ZONE 'UTC' - interval '{ago}' WHERE name = '{name}'"
            ))
        };
        mark("lunch", "to install", "2 minutes");
        let busy = mcp.call("dev_install_module", json!({"module": "link_tracker"})).await.refused("busy");
        assert!(
            said(&busy).contains("lunch (to install)")
                && said(&busy).contains("2 minutes ago")
                && said(&busy).contains("15 minutes"),
            "{busy}"
        );
        let drift = mcp.call("dev_module_drift", json!({"module": "lunch"})).await.ok();
        assert!(drift["drifted"][0]["drift"] == "marked", "{drift}");
        let plan = mcp.call("dev_install_module", json!({"module": "link_tracker", "dry_run": true})).await.ok();
        assert!(plan["plan"]["warnings"].to_string().contains("lunch"), "{plan}");
        assert_eq!(marked(odoo), "lunch", "nobody took it away");
        // Old marks are nobody's: what was marked is neither upgraded nor installed nor removed along with something else.
        mark("crm", "to upgrade", "20 minutes");
        mark("lunch", "to install", "20 minutes");
        mark("contacts", "to remove", "20 minutes");
        let done = mcp.call("dev_install_module", json!({"module": "link_tracker"})).await.ok();
        assert!(done["notes"].to_string().contains("contacts") && done["notes"].to_string().contains("lunch"), "{done}");
        assert_eq!(names(&done["changed"], "module"), ["link_tracker"], "{done}");
        for (module, expected) in
            [("crm", "installed"), ("lunch", "uninstalled"), ("contacts", "installed"), ("link_tracker", "installed")]
        {
            assert_eq!(state(odoo, module), expected, "{module}");
        }
        well(odoo, mcp).await;
    }

    /// ocore loses the answer half way; what Odoo does then decides what is told.
    pub async fn lost_answers(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let between = Between::new(&odoo.url);
        ocore.cli(&["instance", "update", "dev", "--url", &between.url], "").ok();
        // The command tried the address itself; the server comes later.
        between.cut();
        let began = Instant::now();
        while between.open.lock().unwrap().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(10), "the new address is not used");
            mcp.call("dev_count", json!({"model": "res.partner"})).await.ok();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let broken = Addon::new(
            odoo,
            "cut",
            "'data': ['data.xml']",
            &[(
                "data.xml",
                r#"<odoo><record id="a" model="res.partner"><field name="name">A</field></record><record id="b" model="res.partner"><field name="nofield">B</field></record></odoo>"#,
            )],
        );
        // It goes on and succeeds.
        let lock = held(odoo, NO_EXTERNAL_IDS, 6).await;
        let call = started(mcp, "dev_install_module", json!({"module": "link_tracker"}));
        until("the mark", || state(odoo, "link_tracker") == "to install").await;
        between.cut();
        let done = call.await.unwrap().ok();
        assert_eq!(done["changed"][0]["state"], "installed", "{done}");
        assert!(done["notes"].to_string().contains("went on"), "{done}");
        assert_eq!(state(odoo, "link_tracker"), "installed");
        lock.join().unwrap();
        // It goes on and fails.
        let lock = held(odoo, NO_EXTERNAL_IDS, 6).await;
        let call = started(mcp, "dev_install_module", json!({"module": broken.name}));
        until("the mark", || state(odoo, &broken.name) == "to install").await;
        between.cut();
        let refused = call.await.unwrap().refused("odoo_error");
        assert!(said(&refused).contains("gave up") && said(&refused).contains("uninstalled"), "{refused}");
        assert_eq!(state(odoo, &broken.name), "uninstalled");
        lock.join().unwrap();
        // An upgrade that leaves no trace cannot be told from one that was given up.
        let lock = held(odoo, NO_EXTERNAL_IDS, 6).await;
        let call = started(mcp, "dev_upgrade_module", json!({"modules": ["link_tracker"]}));
        until("the mark", || state(odoo, "link_tracker") == "to upgrade").await;
        between.cut();
        let unknown = call.await.unwrap().refused("outcome_unknown");
        assert!(said(&unknown).contains("link_tracker is installed now") && said(&unknown).contains("repeated"), "{unknown}");
        lock.join().unwrap();
        let history = mcp.call("dev_module_history", json!({})).await.ok();
        assert_eq!(names(&history["entries"], "outcome"), ["unknown", "failed", "ok"], "{history}");
        well(odoo, mcp).await;
    }

    /// ocore ends half way: Odoo goes on, and the next ocore tells how it ended.
    pub async fn restarts(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let lock = held(odoo, NO_EXTERNAL_IDS, 6).await;
        let arguments = json!({"module": "link_tracker"});
        let call = {
            let (mcp, arguments) = (mcp.clone(), arguments.clone());
            // Its connection dies with the server.
            tokio::spawn(async move {
                drop(mcp.request("tools/call", json!({"name": "dev_install_module", "arguments": arguments})).await);
            })
        };
        until("the mark", || state(odoo, "link_tracker") == "to install").await;
        ocore.stop("KILL");
        let _ = call.await;
        ocore.serve();
        let mcp = Mcp::new(&ocore.url, &mcp.key).on(odoo.version);
        let history = mcp.call("dev_module_history", json!({})).await.ok();
        assert!(["running", "unknown"].contains(&history["entries"][0]["outcome"].as_str().unwrap()), "{history}");
        let done = mcp.call("dev_install_module", arguments).await.ok();
        assert_eq!(done["changed"][0]["state"], "installed", "{done}");
        assert!(done["notes"].to_string().contains("stopped"), "{done}");
        lock.join().unwrap();
        let history = mcp.call("dev_module_history", json!({})).await.ok();
        assert_eq!(names(&history["entries"], "outcome"), ["ok"], "one operation, one entry: {history}");
        // The lease of the process that died is not in the way.
        mcp.call("dev_uninstall_module", json!({"module": "link_tracker", "confirm": true})).await.ok();
        well(odoo, &mcp).await;
    }

    /// Each way to speak with Odoo does it.
    pub async fn dialects(odoo: &Odoo, ocore: &mut Ocore, _: &Mcp) {
        let key = odoo.api_key("admin");
        ocore.stop("TERM");
        let mut ways = vec![("jsonrpc", "admin")];
        if odoo.version >= 19 {
            ways.push(("json2", key.as_str()));
        }
        for (dialect, secret) in ways {
            ocore.cli(&["instance", "delete", "dev", "--yes"], "").ok();
            let args = [
                "instance",
                "create",
                "dev",
                "--org",
                "acme",
                "--server",
                "host",
                "--url",
                &odoo.url,
                "--database",
                &odoo.database,
            ];
            let rest = ["--login", "admin", "--secret-stdin", "--environment", "development", "--dialect", dialect];
            ocore.cli(&[&args[..], &rest[..]].concat(), &format!("{secret}\n")).ok();
            let mcp = ocore.serve().key(&[]);
            let plan = mcp.call("dev_install_module", json!({"module": "link_tracker", "dry_run": true})).await.ok();
            assert_eq!(plan["plan"]["affected"], 1, "{dialect}: {plan}");
            mcp.call("dev_module_dependencies", json!({"module": "link_tracker"})).await.ok();
            mcp.call("dev_install_module", json!({"module": "link_trackr"})).await.refused("not_found");
            let done = mcp.call("dev_install_module", json!({"module": "link_tracker"})).await.ok();
            assert_eq!(
                (done["changed"][0]["state"].as_str(), state(odoo, "link_tracker").as_str()),
                (Some("installed"), "installed"),
                "{dialect}: {done}"
            );
            mcp.call("dev_upgrade_module", json!({"modules": ["link_tracker"]})).await.ok();
            let check = mcp.call("dev_check_uninstall_deps", json!({"module": "link_tracker"})).await.ok();
            assert!(check["models"].to_string().contains("link.tracker"), "{dialect}: {check}");
            mcp.call("dev_uninstall_module", json!({"module": "link_tracker", "confirm": true})).await.ok();
            assert_eq!(state(odoo, "link_tracker"), "uninstalled", "{dialect}");
            let history = mcp.call("dev_module_history", json!({})).await.ok();
            assert_eq!(names(&history["entries"], "operation"), ["uninstall", "upgrade", "install"], "{dialect}: {history}");
            ocore.stop("TERM");
        }
    }

    pub async fn who_may(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let reader = ocore.key(&["--role", "viewer"]);
        reader.call("dev_list_modules", json!({"limit": 1})).await.ok();
        for tool in ["install_module", "uninstall_module"] {
            reader.call(&format!("dev_{tool}"), json!({"module": "link_tracker"})).await.refused("permission_denied");
        }
        let restricted = ocore.key(&["--models", "res.partner,ir.module.module"]);
        for (tool, args) in [
            ("list_modules", json!({})),
            ("module_history", json!({})),
            ("install_module", json!({"module": "link_tracker"})),
            ("upgrade_module", json!({"modules": ["contacts"]})),
        ] {
            let reply = restricted.call(&format!("dev_{tool}"), args).await;
            assert!(
                reply.is_error && ["permission_denied", "unknown_tool"].contains(&reply.body["code"].as_str().unwrap()),
                "{tool}: {reply:?}"
            );
        }
        // A closed guard answers plans and refuses the run.
        ocore.cli(&["instance", "update", "dev", "--write-enabled", "false"], "").ok();
        let began = Instant::now();
        loop {
            let reply = mcp.call("dev_install_module", json!({"module": "base"})).await;
            if reply.body["code"] == "write_blocked" {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{reply:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let plan = mcp.call("dev_install_module", json!({"module": "link_tracker", "dry_run": true})).await.ok();
        assert!(plan["notes"].to_string().contains("refused"), "{plan}");
        mcp.call("dev_uninstall_module", json!({"module": "contacts", "confirm": true})).await.refused("write_blocked");
        mcp.call("dev_upgrade_module", json!({"modules": ["contacts"]})).await.refused("write_blocked");
        assert_eq!((state(odoo, "link_tracker"), state(odoo, "contacts")), ("uninstalled".to_owned(), "installed".to_owned()));

        // An Odoo user without Settings: the refusal names the group.
        odoo.user("plain", "plain-password", &[]);
        let mut plain = Ocore::new();
        let args =
            ["instance", "create", "dev", "--org", "acme", "--server", "host", "--url", &odoo.url, "--database", &odoo.database];
        let rest = ["--login", "plain", "--secret-stdin", "--environment", "development"];
        plain.cli(&[&args[..], &rest[..]].concat(), "plain-password\n").ok();
        let mcp = plain.serve().key(&[]);
        for (tool, args, for_all) in [
            // From 19 on every employee may read the list of modules.
            ("list_modules", json!({}), odoo.version >= 19),
            ("module_categories", json!({}), odoo.version >= 19),
            ("module_drift", json!({}), odoo.version >= 19),
            ("module_dependencies", json!({"module": "crm"}), odoo.version >= 19),
            ("check_uninstall_deps", json!({"module": "crm"}), false),
            ("install_module", json!({"module": "link_tracker"}), false),
            ("upgrade_module", json!({"modules": ["contacts"]}), false),
            ("uninstall_module", json!({"module": "contacts", "confirm": true}), false),
        ] {
            let reply = mcp.call(&format!("dev_{tool}"), args).await;
            if for_all {
                reply.ok();
                continue;
            }
            let refused = reply.refused("odoo_error");
            assert!(said(&refused).contains("base.group_system") && said(&refused).contains("plain"), "{tool}: {refused}");
        }
        assert_eq!(mcp.call("dev_module_history", json!({})).await.ok()["count"], 0);
        assert_eq!((state(odoo, "link_tracker"), state(odoo, "contacts")), ("uninstalled".to_owned(), "installed".to_owned()));
    }
}
