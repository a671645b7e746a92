//! CSV in and out on both real Odoos: what is exported is what the key may see, what is imported is told row by row, and no cell
//! becomes a formula on the way.
use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, on_both, run};

on_both!(exporting, exporting_within_a_policy, importing, importing_by_ids, batches_stand_alone, refused_imports, who_may_import,);

/// Planted in what is hidden.
const MARK: &str = "xyzzycsv";

async fn partner(mcp: &Mcp, values: Value) -> i64 {
    let made = mcp.call("dev_create", json!({"model": "res.partner", "values": values})).await.ok();
    made["id"].as_i64().unwrap_or_else(|| panic!("{made}"))
}
fn import(content: &str) -> Value {
    json!({"model": "res.partner", "content": content})
}
fn count(odoo: &Odoo, function: &str) -> usize {
    odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE function = '{function}'")).parse().unwrap()
}

mod checks {
    use super::*;

    pub async fn exporting(_: &Odoo, _: &Ocore, mcp: &Mcp) {
        let parent = partner(mcp, json!({"name": "Export, \"Inc\"", "is_company": true, "email": "csv@example.com"})).await;
        for (name, phone) in [("=1+1", "+32 2 123 45 67"), ("@x\nnew line", "-5"), ("Plain", "")] {
            partner(mcp, json!({"name": name, "phone": phone, "function": "ex-out", "parent_id": parent})).await;
        }
        let arguments = json!({
            "model": "res.partner", "domain": [["function", "=", "ex-out"]], "order": "id",
            "fields": ["name", "phone", "parent_id/email", "parent_id.id", "active"],
        });
        let out = mcp.call("dev_export_csv", arguments).await.ok();
        let text = out["text"].as_str().unwrap();
        let head = text.lines().next().unwrap();
        assert!(head.starts_with("Name,Phone,") && head.ends_with("Active"), "{head}");
        assert!(text.contains(&format!("\n'=1+1,+32 2 123 45 67,csv@example.com,{parent},true\n")), "{text}");
        assert!(text.contains(&format!("\"'@x\nnew line\",-5,csv@example.com,{parent},true\n")), "{text}");
        assert!(text.contains(&format!("\nPlain,,csv@example.com,{parent},true\n")), "{text}");
        assert_eq!((&out["count"], &out["has_more"]), (&json!(3), &json!(false)));
        let quoted = json!({"model": "res.partner", "domain": [["id", "=", parent]], "fields": ["name"]});
        assert_eq!(mcp.call("dev_export_csv", quoted).await.ok()["text"], "Name\n\"Export, \"\"Inc\"\"\"\n");
        let few = json!({"model": "res.partner", "domain": [["function", "=", "ex-out"]], "fields": ["name"], "limit": 2});
        let few = mcp.call("dev_export_csv", few).await.ok();
        assert_eq!((&few["count"], &few["has_more"]), (&json!(2), &json!(true)));
        for (what, arguments, code) in [
            ("too many", json!({"model": "res.partner", "limit": 5_001}), "invalid_argument"),
            ("none", json!({"model": "res.partner", "limit": 0}), "invalid_argument"),
            ("binary", json!({"model": "res.partner", "fields": ["image_1920"]}), "invalid_argument"),
            ("no relation", json!({"model": "res.partner", "fields": ["name.email"]}), "invalid_argument"),
            ("unknown", json!({"model": "res.partner", "fields": ["nmae"]}), "invalid_argument"),
            ("credential", json!({"model": "res.users", "fields": ["login", "password"]}), "field_denied"),
            ("credential by a path", json!({"model": "res.partner", "fields": ["user_ids.password"]}), "field_denied"),
            ("sealed", json!({"model": "ir.config_parameter", "fields": ["key", "value"]}), "model_denied"),
            ("domain", json!({"model": "res.users", "domain": [["password", "like", "a"]], "fields": ["login"]}), "field_denied"),
        ] {
            let reply = mcp.call("dev_export_csv", arguments).await;
            assert!(reply.is_error && reply.body["code"] == code, "{what}: {reply:?}");
        }
    }

    pub async fn exporting_within_a_policy(_: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let hidden = partner(mcp, json!({"name": format!("{MARK} hidden"), "email": format!("{MARK}@example.com"), "function": "ex-hidden", "is_company": true})).await;
        let shown =
            partner(mcp, json!({"name": "Shown csv", "function": "ex-shown", "parent_id": hidden, "email": "shown@example.com"}))
                .await;
        let key = ocore.key(&["--filter", "res.partner=[('function', '=', 'ex-shown')]"]);
        let arguments = json!({"model": "res.partner", "fields": ["name", "parent_id", "id"]});
        let out = key.call("dev_export_csv", arguments).await;
        assert!(!format!("{out:?}").contains(MARK), "{out:?}");
        let out = out.ok();
        assert_eq!(out["count"], 1, "{out}");
        assert!(out["text"].as_str().unwrap().contains(&shown.to_string()), "{out}");
        let through = key.call("dev_export_csv", json!({"model": "res.partner", "fields": ["name", "parent_id.email"]})).await;
        assert!(!format!("{through:?}").contains(MARK), "{through:?}");
        through.refused("record_denied");
        let named = key
            .call("dev_export_csv", json!({"model": "res.partner", "domain": [["id", "=", hidden]], "fields": ["name"]}))
            .await
            .ok();
        assert_eq!(named["count"], 0);
        let veiled = ocore.key(&["--fields-deny", "res.partner.email"]);
        for fields in [json!(["name", "email"]), json!(["child_ids.email"]), json!(["email_normalized"])] {
            let reply = veiled.call("dev_export_csv", json!({"model": "res.partner", "fields": fields})).await;
            assert!(reply.is_error && reply.body["code"] == "field_denied", "{fields}: {reply:?}");
        }
        let smart = veiled.call("dev_export_csv", json!({"model": "res.partner", "domain": [["id", "=", shown]]})).await.ok();
        assert!(!smart.to_string().contains("shown@example.com"), "{smart}");
        // Past the checks of fields and records nothing is imported.
        for key in [&key, &veiled] {
            key.call("dev_import_csv", import("name,function\nX,ex-shown\n")).await.refused("model_denied");
        }
    }

    pub async fn importing(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let content = "Name;Firm;country_id;Notes;function\n\"Import, A\";true;Belgium;left out;ex-in\nImport B;;;x;ex-in\n";
        let mut arguments = import(content);
        arguments["field_mapping"] = json!({"Firm": "is_company", "Notes": ""});
        let mut dry = arguments.clone();
        dry["dry_run"] = true.into();
        let plan = mcp.call("dev_import_csv", dry).await.ok().to_string();
        assert!(plan.contains("2 new, 0 changed") && plan.contains("Notes") && plan.contains("semicolon"), "{plan}");
        assert_eq!(count(odoo, "ex-in"), 0, "a dry run imports nothing");
        let done = mcp.call("dev_import_csv", arguments).await.ok();
        assert_eq!((&done["summary"]["created"], &done["summary"]["failed"]), (&json!(2), &json!(0)), "{done}");
        let rows = odoo.sql("SELECT p.name || '|' || p.is_company || '|' || coalesce(c.code, '-') FROM res_partner p LEFT JOIN res_country c ON c.id = p.country_id WHERE p.function = 'ex-in' ORDER BY p.id");
        assert_eq!(rows, "Import, A|true|BE\nImport B|false|-");
        let made: Vec<i64> = done["batches"][0]["created"].as_array().unwrap().iter().map(|i| i.as_i64().unwrap()).collect();
        let there = odoo.sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM res_partner WHERE function = 'ex-in'");
        assert_eq!(made.iter().map(i64::to_string).collect::<Vec<_>>().join(","), there);
        // What was exported with a formula's apostrophe comes back as it was.
        let mut again = import("name,function\n'=1+1,ex-formula\n");
        let why = mcp.call("dev_import_csv", again.clone()).await.refused("invalid_argument");
        assert!(why["message"].as_str().unwrap().contains("row 2, name"), "{why}");
        assert_eq!(count(odoo, "ex-formula"), 0);
        again["allow_formulas"] = true.into();
        mcp.call("dev_import_csv", again).await.ok();
        assert_eq!(odoo.sql("SELECT name FROM res_partner WHERE function = 'ex-formula'"), "=1+1");
    }

    pub async fn importing_by_ids(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let content = "id,name,function,country_id/id\nex_ids_a,Ids A,ex-ids,base.be\nex_ids_b,Ids B,ex-ids,base.fr\n";
        let done = mcp.call("dev_import_csv", import(content)).await.ok();
        assert_eq!(done["summary"]["created"], 2, "{done}");
        let made = done["batches"][0]["created"][0].as_i64().unwrap();
        // The same again changes them; beside them a new one.
        let content = "id,name,function,country_id/id\nex_ids_a,Ids A2,ex-ids,base.be\nex_ids_c,Ids C,ex-ids,\n";
        let mut dry = import(content);
        dry["dry_run"] = true.into();
        let plan = mcp.call("dev_import_csv", dry).await.ok().to_string();
        assert!(plan.contains("1 new, 1 changed") && plan.contains(&format!("changes {made}")), "{plan}");
        let done = mcp.call("dev_import_csv", import(content)).await.ok();
        assert_eq!((&done["summary"]["created"], &done["summary"]["updated"]), (&json!(1), &json!(1)), "{done}");
        assert_eq!(done["batches"][0]["updated"][0], made);
        // By database id, of the record and of the relation.
        let be = odoo.sql("SELECT id FROM res_country WHERE code = 'BE'");
        let content = format!(".id,name,country_id/.id\n{made},Ids A3,{be}\n");
        let done = mcp.call("dev_import_csv", import(&content)).await.ok();
        assert_eq!((&done["summary"]["created"], &done["summary"]["updated"]), (&json!(0), &json!(1)), "{done}");
        assert_eq!(
            odoo.sql("SELECT string_agg(name, ',' ORDER BY id) FROM res_partner WHERE function = 'ex-ids'"),
            "Ids A3,Ids B,Ids C"
        );
        // An external id of another model, and a database id that is not there.
        mcp.call("dev_import_csv", import("id,name\nbase.be,X\n")).await.refused("conflict");
        let done = mcp.call("dev_import_csv", import(".id,name\n2000000000,X\n")).await.ok();
        assert_eq!((&done["summary"]["failed"], &done["summary"]["updated"]), (&json!(1), &json!(0)), "{done}");
        // Lines: rows with cells of children alone go on with the record above.
        let content = "name,function,child_ids/name,child_ids/function\nLines,ex-lines,Line 1,ex-line\n,,Line 2,ex-line\nOther,ex-lines,,\n";
        let done = mcp.call("dev_import_csv", import(content)).await.ok();
        assert_eq!((&done["summary"]["created"], &done["summary"]["rows"]), (&json!(2), &json!(3)), "{done}");
        let lines = odoo.sql("SELECT string_agg(c.name, ',' ORDER BY c.name) FROM res_partner c JOIN res_partner p ON p.id = c.parent_id WHERE p.name = 'Lines' AND p.function = 'ex-lines'");
        assert_eq!(lines, "Line 1,Line 2");
    }

    /// 250 rows are three batches; the second has a row that Odoo refuses.
    pub async fn batches_stand_alone(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let mut content = "name,function,country_id\n".to_owned();
        for row in 2..=251 {
            let country = if row == 150 { "Nowhere at all" } else { "" };
            let _ = writeln!(content, "Batch {row},ex-batch,{country}");
        }
        let mut arguments = import(&content);
        arguments["timeout_seconds"] = 120.into();
        let done = mcp.call("dev_import_csv", arguments).await.ok();
        let states: Vec<&str> = done["batches"].as_array().unwrap().iter().map(|b| b["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["done", "failed", "done"], "{done}");
        let failed = &done["batches"][1];
        assert_eq!((&failed["first_row"], &failed["last_row"]), (&json!(102), &json!(201)));
        let message = &failed["messages"][0];
        assert_eq!((&message["row"], &message["column"]), (&json!(150), &json!("country_id")), "{failed}");
        assert!(message["message"].as_str().unwrap().contains("Nowhere at all"), "{failed}");
        assert_eq!((&done["summary"]["created"], &done["summary"]["failed"]), (&json!(150), &json!(100)), "{done}");
        // What the answer says is in is in, and nothing else.
        let rows = odoo.sql("SELECT name FROM res_partner WHERE function = 'ex-batch'");
        let there: BTreeSet<usize> = rows.lines().map(|n| n.trim_start_matches("Batch ").parse().unwrap()).collect();
        assert_eq!(there, (2..=101).chain(202..=251).collect());
    }

    pub async fn refused_imports(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let before = odoo.sql("SELECT count(*) FROM res_partner");
        let long = format!("name\n{}", "x\n".repeat(1_001));
        for (what, content, says) in [
            ("column", "nmae,email\nX,y\n", "did you mean name"),
            ("ragged", "name,email\nX\n", "row 2"),
            ("quote", "name,email\n\"X,y\n", "never closed"),
            ("twice", "name,name\nX,Y\n", "twice"),
            ("empty", "", "header"),
            ("header alone", "name,email\n", "no rows"),
            ("formula", "name\n=HYPERLINK(1)\n", "row 2, name"),
            ("at", "name\n@SUM(A1)\n", "row 2, name"),
            ("same id", "id,name\na,X\na,Y\n", "rows 2 and 3"),
            ("id", ".id,name\nx,Y\n", "no database id"),
            ("external id", "id,name\na b,Y\n", "no external id"),
            ("read-only", "name,create_date\nX,2020-01-01\n", "read-only"),
            ("related field", "name,country_id/code\nX,BE\n", "country_id"),
            ("encoding", "name\nK\u{fffd}ln\n", "U+FFFD"),
        ] {
            let reply = mcp.call("dev_import_csv", import(content)).await;
            assert!(reply.is_error && reply.body["code"] == "invalid_argument", "{what}: {reply:?}");
            assert!(reply.body["message"].as_str().unwrap().contains(says), "{what}: {reply:?}");
            assert!(reply.body["next"].as_str().is_some_and(|n| !n.is_empty()), "{what}: {reply:?}");
        }
        mcp.call("dev_import_csv", import(&long)).await.refused("too_large");
        let mut mapped = import("name,mail\nX,y\n");
        mapped["field_mapping"] = json!({"e-mail": "email"});
        mcp.call("dev_import_csv", mapped).await.refused("invalid_argument");
        let mut delimiter = import("name\nX\n");
        delimiter["delimiter"] = "::".into();
        mcp.call("dev_import_csv", delimiter).await.refused("invalid_argument");
        for (model, content, code) in [
            ("res.users", "name,login\nX,x\n", "model_denied"),
            ("ir.config_parameter", "key,value\nx,y\n", "model_denied"),
            ("ir.attachment", "name\nx\n", "model_denied"),
            ("ir.cron", "name\nx\n", "model_denied"),
            ("res.partner", "name,signup_token\nx,y\n", "field_denied"),
            ("res.partner", "name,user_ids/login\nx,y\n", "model_denied"),
        ] {
            let reply = mcp.call("dev_import_csv", json!({"model": model, "content": content})).await;
            assert!(reply.is_error, "{model} {content}: {reply:?}");
            if code != "field_denied" {
                assert_eq!(reply.body["code"], code, "{model} {content}: {reply:?}");
            }
        }
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name IN ('X', 'Y', 'x')"), "0", "{before}");
    }

    pub async fn who_may_import(odoo: &Odoo, ocore: &Ocore, _: &Mcp) {
        let content = import("name,function\nWho,ex-who\n");
        ocore.key(&["--read-only"]).call("dev_import_csv", content.clone()).await.refused("permission_denied");
        ocore.key(&["--categories", "search"]).call("dev_import_csv", content.clone()).await.refused("permission_denied");
        ocore.key(&["--models", "res.country"]).call("dev_import_csv", content.clone()).await.refused("model_denied");
        assert_eq!(count(odoo, "ex-who"), 0);
        let key = ocore.key(&["--categories", "export"]);
        key.call("dev_import_csv", content).await.ok();
        assert_eq!(count(odoo, "ex-who"), 1);
    }
}

/// ocore is killed while a batch is on its way: another process finds out what became of it, and goes on.
#[test]
fn an_import_is_taken_over_on_odoo_19() {
    taken_over(19);
}
#[test]
fn an_import_is_taken_over_on_odoo_14() {
    taken_over(14);
}
fn taken_over(version: u16) {
    let Some(odoo) = Odoo::fresh(version, "import") else { return };
    // A row takes its time.
    odoo.sql(
        "CREATE FUNCTION slow_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$; \
             CREATE TRIGGER slow_row BEFORE INSERT ON res_partner FOR EACH ROW EXECUTE FUNCTION slow_row()",
    );
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    let mcp = ocore.serve().key(&["--categories", "orm"]).on(version);
    let mut content = "id,name\n".to_owned();
    for row in 0..300 {
        let _ = writeln!(content, "taken_over.r{row},Taken over {row}");
    }
    let rows = || odoo.sql("SELECT count(*) FROM res_partner WHERE name LIKE 'Taken over %'").parse::<u64>().unwrap();
    let arguments = json!({"model": "res.partner", "content": content, "timeout_seconds": 1});
    let running = run(mcp.call("dev_import_csv", arguments.clone())).ok();
    assert_eq!(running["operation"]["state"], "running", "{running}");
    let began = std::time::Instant::now();
    while rows() < 100 {
        assert!(began.elapsed().as_secs() < 60, "no batch comes in");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    ocore.stop("KILL");
    assert!(rows() < 300, "it was over before the server was");
    ocore.serve();
    let mcp = Mcp::new(&ocore.url, &mcp.key).on(version);
    let mut patient = arguments;
    patient["timeout_seconds"] = 120.into();
    let done = run(mcp.call("dev_import_csv", patient)).ok();
    let batches = done["batches"].as_array().unwrap_or_else(|| panic!("{done}"));
    assert!(batches.len() == 3 && batches.iter().all(|b| b["state"] == "done"), "{done}");
    assert_eq!(
        odoo.sql("SELECT count(*) || ' ' || count(DISTINCT name) FROM res_partner WHERE name LIKE 'Taken over %'"),
        "300 300"
    );
}
