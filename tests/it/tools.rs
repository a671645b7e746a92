//! Every tool on both real Odoos: good, bad and hostile input, and the rows checked in Odoo's own database afterwards.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, on_both, run};

on_both!(
    reading,
    creating_and_updating,
    deleting_and_copying,
    batches,
    methods,
    counting_and_grouping,
    fuzzy,
    metadata,
    confirming,
    idempotency,
    shaping,
    contexts
);

#[test]
fn every_tool_of_the_catalogue_is_called_somewhere() {
    let folder = crate::harness::root().join("tests/it");
    let sources: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let missing: Vec<&str> = tools::CATALOGUE
        .iter()
        .map(|t| t.facts.name)
        .filter(|n| !sources.contains(&format!("\"{n}\"")) && !sources.contains(&format!("\"dev_{n}\"")))
        .collect();
    assert!(missing.is_empty(), "no test calls {missing:?}");
}

/// The tools by another login: what Odoo refuses is told in Odoo's words, without a traceback.
#[test]
fn odoo_s_own_access_rights_hold() {
    for version in [19, 14] {
        let Some(odoo) = Odoo::shared(version) else { return };
        odoo.user("limited", "limited-password", &[]);
        let mut ocore = Ocore::new();
        let args =
            ["instance", "create", "dev", "--org", "acme", "--server", "host", "--url", &odoo.url, "--database", &odoo.database];
        let rest = ["--login", "limited", "--secret-stdin", "--environment", "development"];
        ocore.cli(&[&args[..], &rest[..]].concat(), "limited-password\n").ok();
        let mcp = ocore.serve().key(&[]);
        run(async {
            mcp.call("dev_search_read", json!({"model": "res.partner", "limit": 1})).await.ok();
            let refused = mcp.call("dev_search_read", json!({"model": "sale.order", "limit": 1})).await;
            assert!(refused.is_error, "{version}: {refused:?}");
            assert!(
                !refused.body.to_string().contains("Traceback") && !refused.body["next"].as_str().unwrap_or_default().is_empty(),
                "{refused:?}"
            );
        });
    }
}

/// Each dialect on each version that has it.
#[test]
fn the_three_dialects_answer_alike() {
    for version in [19, 14] {
        let Some(odoo) = Odoo::shared(version) else { return };
        let key = odoo.api_key("admin");
        let mut ocore = Ocore::new();
        let mut cases = vec![("session", "admin"), ("jsonrpc", "admin"), ("jsonrpc", key.as_str()), ("auto", key.as_str())];
        if version >= 19 {
            cases.push(("json2", key.as_str()));
        }
        let mut answers: BTreeSet<String> = BTreeSet::new();
        for (n, (dialect, secret)) in cases.iter().enumerate() {
            let slug = format!("d{n}");
            // Two instances never share a database, so one after the other.
            let args = [
                "instance",
                "create",
                &slug,
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
            run(async {
                let tool = |t: &str| format!("{slug}_{t}");
                let read = json!({"model": "res.partner", "domain": [["is_company", "=", true]], "fields": ["name", "country_id"], "limit": 5, "order": "name"});
                let found = mcp.call(&tool("search_read"), read).await.ok();
                answers.insert(found["records"].to_string());
                let name = format!("Dialect {dialect} {n} {version}");
                let made = mcp.call(&tool("create"), json!({"model": "res.partner", "values": {"name": name}})).await.ok();
                let id = made["id"].as_i64().unwrap();
                mcp.call(&tool("write"), json!({"model": "res.partner", "ids": [id], "values": {"function": "x"}})).await.ok();
                let copied = mcp
                    .call(&tool("copy"), json!({"model": "res.partner", "id": id, "default": {"name": format!("{name} copy")}}))
                    .await
                    .ok();
                let names = mcp
                    .call(&tool("execute_method"), json!({"model": "res.partner", "method": "name_search", "args": [name]}))
                    .await
                    .ok();
                assert!(names["result"].as_array().is_some_and(|l| l.len() >= 2), "{dialect}: {names}");
                // A method that gives nothing back has still been run.
                mcp.call(
                    &tool("execute_method"),
                    json!({"model": "res.partner", "method": "action_archive", "ids": [id], "confirm": true}),
                )
                .await;
                mcp.call(
                    &tool("aggregation"),
                    json!({"model": "res.partner", "operation": "group_by", "groupby": ["is_company"]}),
                )
                .await
                .ok();
                mcp.call(&tool("unlink"), json!({"model": "res.partner", "ids": [copied["id"]], "confirm": true})).await.ok();
                assert_eq!(odoo.sql(&format!("SELECT function FROM res_partner WHERE id = {id}")), "x");
                let wrong = mcp.call(&tool("search_read"), json!({"model": "res.partner", "fields": ["emial"]})).await;
                assert!(wrong.is_error && wrong.body.to_string().contains("email"), "{dialect}: {wrong:?}");
                let gone =
                    mcp.call(&tool("write"), json!({"model": "res.partner", "ids": [99_999_999], "values": {"name": "x"}})).await;
                assert!(gone.is_error, "{dialect}: {gone:?}");
            });
            ocore.stop("TERM");
            ocore.cli(&["instance", "delete", &slug, "--yes"], "").ok();
        }
        assert_eq!(answers.len(), 1, "the dialects differ: {answers:#?}");
    }
}

mod checks {
    use super::{Mcp, Ocore, Odoo, Value, json};

    pub async fn reading(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let found = mcp
            .call(
                "dev_search_read",
                json!({"model": "res.partner", "domain": [["is_company", "=", true]], "limit": 2, "order": "name"}),
            )
            .await
            .ok();
        let record = &found["records"][0];
        assert!(record.as_object().unwrap().len() <= 16 && record["name"].is_string(), "smart fields: {record}");
        assert!(record.get("image_1920").is_none() && record.get("comment").is_none(), "no binary, no html: {record}");
        assert_eq!(found["next_offset"], 2);
        let ids: Vec<i64> = found["records"].as_array().unwrap().iter().map(|r| r["id"].as_i64().unwrap()).collect();
        let read = mcp
            .call("dev_read", json!({"model": "res.partner", "ids": [ids[1], ids[0], 99_999_999], "fields": ["name"]}))
            .await
            .ok();
        assert_eq!(read["records"][0]["id"], ids[1], "the order of the ids is kept: {read}");
        assert_eq!(read["missing_ids"], json!([99_999_999]));
        let all = mcp
            .call("dev_advanced_search", json!({"model": "res.partner", "domain": [["is_company", "=", true]], "limit": 2}))
            .await
            .ok();
        let count = odoo.sql("SELECT count(*) FROM res_partner WHERE is_company AND active");
        assert_eq!(all["total"].to_string(), count, "{all}");
        for bad in [
            json!({"model": "res.partner", "limit": 1001}),
            json!({"model": "res.partner", "limit": -1}),
            json!({"model": "res.partner", "domain": "nonsense"}),
            json!({"model": "res.partner", "domain": [["name", "LIKE'--", "x"]]}),
            json!({"model": "res.partner", "domain": [["nome", "=", "x"]]}),
            json!({"model": "res.partner", "order": "name; DROP TABLE res_partner"}),
            json!({"model": "res.partner", "fields": ["nope"]}),
            json!({"model": "no.such.model"}),
            json!({}),
        ] {
            let reply = mcp.call("dev_search_read", bad.clone()).await;
            assert!(reply.is_error, "{bad}: {reply:?}");
            assert!(
                ["invalid_argument", "not_found", "odoo_error"].contains(&reply.body["code"].as_str().unwrap()),
                "{bad}: {reply:?}"
            );
            assert!(!reply.body["message"].as_str().unwrap().is_empty());
        }
        mcp.call("dev_advanced_search", json!({"model": "res.partner"})).await.refused("invalid_argument");
        mcp.call("dev_read", json!({"model": "res.partner", "ids": []})).await.refused("invalid_argument");
    }

    pub async fn creating_and_updating(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let made = mcp
            .call("dev_create", json!({"model": "res.partner", "values": {"name": "Zoë & Söhne", "email": "zoe@example.com", "child_ids": [[0, 0, {"name": "Kind"}]]}}))
            .await
            .ok();
        let id = made["id"].as_i64().unwrap();
        assert_eq!(made["record"]["name"], "Zoë & Söhne", "{made}");
        assert_eq!(
            odoo.sql(&format!("SELECT name || '|' || email FROM res_partner WHERE id = {id}")),
            "Zoë & Söhne|zoe@example.com"
        );
        assert_eq!(odoo.sql(&format!("SELECT name FROM res_partner WHERE parent_id = {id}")), "Kind");
        mcp.call(
            "dev_write",
            json!({"model": "res.partner", "ids": [id], "values": {"email": "new@example.com", "is_company": true}}),
        )
        .await
        .ok();
        assert_eq!(odoo.sql(&format!("SELECT email, is_company FROM res_partner WHERE id = {id}")), "new@example.com|t");
        // A plan changes nothing.
        let plan = mcp
            .call(
                "dev_write",
                json!({"model": "res.partner", "ids": [id, 99_999_999], "values": {"email": "no@example.com"}, "dry_run": true}),
            )
            .await
            .ok();
        assert_eq!(plan["plan"]["affected"], 1, "{plan}");
        assert!(plan["plan"]["warnings"].to_string().contains("99999999"), "{plan}");
        let plan = mcp
            .call("dev_create", json!({"model": "res.partner", "values": {"name": "Planned only"}, "dry_run": true}))
            .await
            .ok();
        assert_eq!(plan["plan"]["affected"], 1, "{plan}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE email = 'no@example.com' OR name = 'Planned only'"), "0");
        mcp.call("dev_create", json!({"model": "res.partner", "values": {"nmae": "x"}})).await.refused("invalid_argument");
        mcp.call("dev_create", json!({"model": "res.partner", "values": [{"name": "x"}]})).await.refused("invalid_argument");
        let gone = mcp.call("dev_write", json!({"model": "res.partner", "ids": [99_999_999], "values": {"name": "x"}})).await;
        assert!(gone.is_error && ["not_found", "odoo_error"].contains(&gone.body["code"].as_str().unwrap()), "{gone:?}");
        // What Odoo validates is told in Odoo's words.
        let invalid = mcp.call("dev_write", json!({"model": "res.partner", "ids": [id], "values": {"parent_id": id}})).await;
        assert!(
            invalid.is_error && invalid.body["code"] == "odoo_error" && !invalid.body.to_string().contains("Traceback"),
            "{invalid:?}"
        );
    }

    pub async fn deleting_and_copying(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let made = mcp.call("dev_create", json!({"model": "res.partner", "values": {"name": "To copy"}})).await.ok();
        let id = made["id"].as_i64().unwrap();
        let copied = mcp.call("dev_copy", json!({"model": "res.partner", "id": id, "default": {"name": "The copy"}})).await.ok();
        let copy = copied["id"].as_i64().unwrap();
        assert_eq!(odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {copy}")), "The copy");
        let warning =
            mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [id, copy]})).await.refused("confirm_required");
        assert_eq!(warning["plan"]["affected"], 2, "{warning}");
        assert!(
            warning["plan"]["examples"].to_string().contains("The copy") && warning["confirm_token"].is_string(),
            "{warning}"
        );
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE id IN ({id}, {copy})")), "2");
        let deleted = mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [id, copy], "confirm": true})).await.ok();
        assert_eq!(deleted["deleted"], 2);
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE id IN ({id}, {copy})")), "0");
        // What Odoo keeps (the company's own partner) stays, and the refusal says why.
        let kept = mcp.call("dev_unlink", json!({"model": "res.company", "ids": [1], "confirm": true})).await;
        assert!(kept.is_error && kept.body["code"] == "odoo_error", "{kept:?}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_company WHERE id = 1"), "1");
    }

    pub async fn batches(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let tag = format!("Batch {}", odoo.version);
        let values: Vec<Value> =
            (0..5).map(|i| if i == 2 { json!({"nmae": "x"}) } else { json!({"name": format!("{tag} {i}")}) }).collect();
        let made = mcp.call("dev_batch_create", json!({"model": "res.partner", "values_list": values})).await.ok();
        assert_eq!(made["summary"]["done"], 4, "{made}");
        assert_eq!(made["failed"][0]["index"], 2, "{made}");
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE name LIKE '{tag} %'")), "4");
        let ids: Vec<i64> = made["done"].as_array().unwrap().iter().map(|d| d["id"].as_i64().unwrap()).collect();
        let updates: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "values": {"function": format!("f{id}")}}))
            .chain([json!({"id": 99_999_999, "values": {"function": "x"}})])
            .collect();
        let updated = mcp.call("dev_batch_update", json!({"model": "res.partner", "updates": updates})).await.ok();
        assert_eq!((&updated["summary"]["done"], &updated["summary"]["failed"]), (&json!(4), &json!(1)), "{updated}");
        assert_eq!(odoo.sql(&format!("SELECT function FROM res_partner WHERE id = {}", ids[0])), format!("f{}", ids[0]));
        let copied = mcp
            .call("dev_batch_copy", json!({"model": "res.partner", "ids": &ids[..2], "default": {"function": "copied"}}))
            .await
            .ok();
        assert_eq!(copied["summary"]["done"], 2, "{copied}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE function = 'copied'"), "2");
        let ran = mcp
            .call(
                "dev_batch_execute",
                json!({"model": "res.partner", "method": "action_archive", "ids": &ids[..2], "confirm": true}),
            )
            .await;
        if odoo.version >= 19 {
            assert_eq!(ran.ok()["summary"]["done"], 2);
            assert_eq!(
                odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE id IN ({}, {}) AND NOT active", ids[0], ids[1])),
                "2"
            );
        }
        mcp.call("dev_batch_delete", json!({"model": "res.partner", "ids": &ids})).await.refused("confirm_required");
        let deleted = mcp.call("dev_batch_delete", json!({"model": "res.partner", "ids": &ids, "confirm": true})).await.ok();
        assert_eq!(deleted["summary"]["done"], 4, "{deleted}");
        let many: Vec<i64> = (1..=501).collect();
        mcp.call("dev_batch_delete", json!({"model": "res.partner", "ids": many, "confirm": true}))
            .await
            .refused("invalid_argument");
        mcp.call("dev_batch_create", json!({"model": "res.partner", "values_list": []})).await.refused("invalid_argument");
    }

    pub async fn methods(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let found = mcp
            .call(
                "dev_execute_method",
                json!({"model": "res.partner", "method": "name_search", "args": ["a"], "kwargs": {"limit": 3}}),
            )
            .await
            .ok();
        assert_eq!(found["result"].as_array().unwrap().len(), 3, "{found}");
        // A read method works for a read-only key, another does not.
        let reader = ocore.key(&["--read-only"]);
        reader
            .call("dev_execute_method", json!({"model": "res.partner", "method": "default_get", "args": [["name", "lang"]]}))
            .await
            .ok();
        reader
            .call("dev_execute_method", json!({"model": "res.partner", "method": "message_post", "ids": [3]}))
            .await
            .refused("permission_denied");
        // Behind a button: a quotation is confirmed only after the confirmation.
        let order: i64 = odoo.sql("SELECT min(id) FROM sale_order WHERE state = 'draft'").parse().unwrap();
        let call = json!({"model": "sale.order", "method": "action_confirm", "ids": [order]});
        mcp.call("dev_execute_method", call.clone()).await.refused("confirm_required");
        assert_eq!(odoo.sql(&format!("SELECT state FROM sale_order WHERE id = {order}")), "draft");
        let mut confirmed = call;
        confirmed["confirm"] = true.into();
        confirmed["timeout_seconds"] = 60.into();
        mcp.call("dev_execute_method", confirmed).await.ok();
        assert_eq!(odoo.sql(&format!("SELECT state FROM sale_order WHERE id = {order}")), "sale");
        let typo =
            mcp.call("dev_execute_method", json!({"model": "res.partner", "method": "no_such_method_here", "ids": [3]})).await;
        assert!(typo.is_error && !typo.body.to_string().contains("Traceback"), "{typo:?}");
    }

    pub async fn counting_and_grouping(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let companies = odoo.sql("SELECT count(*) FROM res_country");
        let counted = mcp.call("dev_count", json!({"model": "res.country"})).await.ok();
        assert_eq!(counted["count"].to_string(), companies);
        let limited = mcp.call("dev_count", json!({"model": "res.country", "limit": 5})).await.ok();
        if odoo.version >= 16 {
            assert_eq!(limited["count"], 5, "{limited}");
        }
        let grouped = mcp
            .call(
                "dev_aggregation",
                json!({"model": "sale.order", "operation": "group_by", "groupby": ["state"], "fields": ["amount_total:sum"]}),
            )
            .await
            .ok();
        for row in grouped["rows"].as_array().unwrap() {
            let state = row["state"].as_str().unwrap();
            let expected = odoo.sql(&format!("SELECT count(*) FROM sale_order WHERE state = '{state}'"));
            assert_eq!(row["count"].to_string(), expected, "{row}");
            let sum: f64 =
                odoo.sql(&format!("SELECT sum(amount_total) FROM sale_order WHERE state = '{state}'")).parse().unwrap();
            assert!((row["amount_total:sum"].as_f64().unwrap() - sum).abs() < 0.01, "{row} against {sum}");
        }
        mcp.call("dev_aggregation", json!({"model": "sale.order", "preset": "count_by_state"})).await.ok();
        let trend = mcp.call("dev_aggregation", json!({"model": "sale.order", "operation": "trend", "date_field": "date_order", "granularity": "month", "measure": "amount_total"})).await.ok();
        let months = odoo.sql("SELECT count(DISTINCT date_trunc('month', date_order)) FROM sale_order");
        assert_eq!(trend["rows"].as_array().unwrap().len().to_string(), months, "{trend}");
        let top = mcp
            .call(
                "dev_aggregation",
                json!({"model": "sale.order", "operation": "top_n", "groupby": "partner_id", "measure": "amount_total", "n": 3}),
            )
            .await
            .ok();
        assert_eq!(top["rows"].as_array().unwrap().len(), 3, "{top}");
        let total =
            mcp.call("dev_aggregation", json!({"model": "sale.order", "operation": "sum", "measure": "amount_total"})).await.ok();
        let sum: f64 = odoo.sql("SELECT sum(amount_total) FROM sale_order").parse().unwrap();
        assert!((total["rows"][0]["amount_total:sum"].as_f64().unwrap() - sum).abs() < 0.01, "{total} against {sum}");
        mcp.call(
            "dev_aggregation",
            json!({"model": "sale.order", "operation": "pivot", "groupby": ["state", "date_order:year"], "format": "table"}),
        )
        .await
        .ok();
        for bad in [
            json!({"model": "sale.order", "operation": "explode"}),
            json!({"model": "sale.order", "operation": "sum", "measure": "name"}),
            json!({"model": "sale.order", "groupby": ["nope"]}),
        ] {
            mcp.call("dev_aggregation", bad).await.refused("invalid_argument");
        }
        let distinct = mcp.call("dev_distinct_field_values", json!({"model": "sale.order", "fields": ["state"]})).await.ok();
        let states = odoo.sql("SELECT count(DISTINCT state) FROM sale_order");
        assert_eq!(distinct["values"].as_array().unwrap().len().to_string(), states, "{distinct}");
        mcp.call("dev_distinct_field_values", json!({"model": "sale.order", "fields": []})).await.refused("invalid_argument");
    }

    pub async fn fuzzy(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let name = "Wilhelmine Überstädt";
        mcp.call("dev_create", json!({"model": "res.partner", "values": {"name": name}})).await.ok();
        let found = mcp
            .call("dev_fuzzy_search", json!({"model": "res.partner", "query": "wilhelmine uberstadt", "min_score": 0.7}))
            .await
            .ok();
        assert_eq!(found["records"][0]["name"], name, "{found}");
        let score = found["records"][0]["score"].as_f64().unwrap();
        assert!((0.7..1.0).contains(&score), "{found}");
        assert_eq!(found["scanned"].to_string(), odoo.sql("SELECT count(*) FROM res_partner WHERE active"), "{found}");
        mcp.call("dev_fuzzy_search", json!({"model": "res.partner", "query": "x", "min_score": 7}))
            .await
            .refused("invalid_argument");
    }

    pub async fn metadata(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let models = mcp.call("dev_list_models", json!({"search": "sale.order"})).await.ok();
        assert!(models.to_string().contains("sale.order.line"), "{models}");
        let restricted = ocore.key(&["--models", "res.partner"]);
        let few = restricted.call("dev_list_models", json!({})).await.ok();
        assert!(few.to_string().contains("res.partner") && !few.to_string().contains("sale.order"), "{few}");
        let fields =
            mcp.call("dev_get_field_metadata", json!({"model": "res.partner", "fields": ["name", "country_id"]})).await.ok();
        assert!(fields.to_string().contains("res.country"), "{fields}");
        let all = mcp.call("dev_get_field_metadata", json!({"model": "res.users", "max_response_size": 1000})).await.ok();
        assert!(!all.to_string().contains("\"password\""), "credential fields are withheld");
        mcp.call("dev_get_field_metadata", json!({"model": "res.partner", "fields": ["emial"]}))
            .await
            .refused("invalid_argument");
        let info = mcp.call("dev_get_instance_info", json!({})).await.ok();
        assert_eq!(info["slug"], "dev");
        assert_eq!(info["odoo_version"], format!("{}.0", odoo.version), "{info}");
        let server = mcp.call("dev_server_info", json!({})).await.ok();
        assert!(server["server_version"].as_str().unwrap().starts_with(&odoo.version.to_string()), "{server}");
        assert_eq!(
            server["installed_modules"].to_string(),
            odoo.sql("SELECT count(*) FROM ir_module_module WHERE state = 'installed'"),
            "{server}"
        );
        let listed = mcp.call("ocore_list_instances", json!({})).await.ok();
        assert_eq!(listed["instances"][0]["slug"], "dev", "{listed}");
        let servers = mcp.call("ocore_list_servers", json!({})).await.ok();
        assert_eq!(servers["servers"][0]["name"], "host", "{servers}");
        assert!(servers["servers"][0].get("host").is_none_or(Value::is_null), "hosts are for operators: {servers}");
    }

    pub async fn confirming(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let id = |v: Value| v["id"].as_i64().unwrap();
        let a = id(mcp.call("dev_create", json!({"model": "res.partner", "values": {"name": "Confirm A"}})).await.ok());
        let b = id(mcp.call("dev_create", json!({"model": "res.partner", "values": {"name": "Confirm B"}})).await.ok());
        let plan = mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [a]})).await.refused("confirm_required");
        let token = plan["confirm_token"].as_str().unwrap().to_owned();
        // The token holds for this call alone: not for other records, another key, or a forged text.
        mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [b], "confirm_token": token}))
            .await
            .refused("invalid_argument");
        ocore
            .key(&[])
            .call("dev_unlink", json!({"model": "res.partner", "ids": [a], "confirm_token": token}))
            .await
            .refused("invalid_argument");
        mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [a], "confirm_token": "AAAA"}))
            .await
            .refused("invalid_argument");
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE id IN ({a}, {b})")), "2");
        mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [a], "confirm_token": token})).await.ok();
        // The record is gone, so the plan is another one now.
        let again = mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [a], "confirm_token": token})).await;
        assert!(again.is_error, "{again:?}");
        // dry_run wins over confirm.
        let planned =
            mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [b], "confirm": true, "dry_run": true})).await.ok();
        assert_eq!(planned["plan"]["affected"], 1);
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE id IN ({a}, {b})")), "1");
    }

    pub async fn idempotency(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let call =
            json!({"model": "res.partner", "values": {"name": format!("Once {}", odoo.version)}, "idempotency_key": "order-7"});
        let first = mcp.call("dev_create", call.clone()).await.ok();
        let second = mcp.call("dev_create", call.clone()).await.ok();
        assert_eq!(first, second);
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE name = 'Once {}'", odoo.version)), "1");
        let mut other = call.clone();
        other["values"]["name"] = "Other".into();
        mcp.call("dev_create", other).await.refused("conflict");
        // Another key's idempotency keys are its own.
        ocore.key(&[]).call("dev_create", call).await.ok();
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE name = 'Once {}'", odoo.version)), "2");
        // Twenty at once run once.
        let calls = (0..20).map(|_| {
            let (mcp, call) = (
                mcp.clone(),
                json!({"model": "res.partner", "values": {"name": format!("Race {}", odoo.version)}, "idempotency_key": "race"}),
            );
            tokio::spawn(async move { mcp.call("dev_create", call).await })
        });
        for call in calls.collect::<Vec<_>>() {
            let reply = call.await.unwrap();
            assert!(!reply.is_error || reply.body["code"] == "busy", "{reply:?}");
        }
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE name = 'Race {}'", odoo.version)), "1");
    }

    pub async fn shaping(_: &Odoo, _: &Ocore, mcp: &Mcp) {
        let search = |format: &str, kb: u64| json!({"model": "res.country", "fields": ["name", "code"], "limit": 200, "format": format, "max_response_size": kb});
        let cut = mcp.call("dev_search_read", search("json", 2)).await;
        assert!(cut.text.len() <= 2048, "{}", cut.text.len());
        let cut = cut.ok();
        let shown = cut["records"].as_array().unwrap().len();
        assert!(shown > 3 && shown < 200 && cut["truncated"]["of"] == 200, "{cut}");
        let rest = mcp
            .call(
                "dev_search_read",
                json!({"model": "res.country", "fields": ["name"], "limit": 1, "offset": cut["next_offset"]}),
            )
            .await
            .ok();
        let seen: Vec<&Value> = cut["records"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
        assert!(!seen.contains(&&rest["records"][0]["id"]), "the next page starts behind what was shown: {rest}");
        for (format, start) in [("csv", "id,name,code\n"), ("table", "| id | name | code |"), ("text", "id: ")] {
            let reply = mcp.call("dev_search_read", search(format, 50)).await;
            assert!(!reply.is_error && reply.text.starts_with(start), "{format}: {}", reply.text);
        }
    }

    pub async fn contexts(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let made = mcp
            .call("dev_create", json!({"model": "res.partner", "values": {"name": "Archived one", "active": false}}))
            .await
            .ok();
        let domain = json!([["id", "=", made["id"]]]);
        let hidden = mcp.call("dev_count", json!({"model": "res.partner", "domain": domain})).await.ok();
        let shown = mcp
            .call("dev_count", json!({"model": "res.partner", "domain": domain, "context": {"active_test": false}}))
            .await
            .ok();
        assert_eq!((&hidden["count"], &shown["count"]), (&json!(0), &json!(1)));
        let company: i64 = odoo.sql("SELECT min(id) FROM res_company").parse().unwrap();
        mcp.call("dev_search_read", json!({"model": "res.partner", "limit": 1, "context": {"company_id": company, "lang": "en_US", "tz": "Europe/Paris"}})).await.ok();
        mcp.call("dev_search_read", json!({"model": "res.partner", "context": {"uid": 1}})).await.refused("invalid_argument");
        mcp.call("dev_search_read", json!({"model": "res.partner", "context": {"lang": "x; DROP"}}))
            .await
            .refused("invalid_argument");
    }
}
