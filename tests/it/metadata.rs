//! Constraints, relations, views, methods, manifests and translations on both real Odoos, in a database of their own that speaks French
//! too. The witness is Odoo's database.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, Reply, on_both_of_our_own, run};

/// A database with French, a view that shows a credential, a module whose files are newer, and a model without records; before its
/// first request.
fn fresh(version: u16, name: &str) -> Option<Odoo> {
    let odoo = Odoo::fresh(version, name)?;
    odoo.sql("UPDATE res_lang SET active = true WHERE code = 'fr_FR'");
    odoo.sql("DELETE FROM digest_tip");
    odoo.sql("UPDATE ir_module_module SET latest_version = '1.0.0.1' WHERE name = 'project'");
    let computed =
        if version >= 17 { "invisible=\"access_token\"" } else { "attrs=\"{'invisible': [('access_token', '=', False)]}\"" };
    let arch = format!(
        "$x$<data><field name=\"partner_id\" position=\"after\"><field name=\"access_token\"/>\
         <field name=\"origin\" {computed} string=\"No access_token here\"/></field></data>$x$"
    );
    let arch = if version >= 16 { format!("jsonb_build_object('en_US', {arch}::text)") } else { arch };
    odoo.sql(&format!(
        "INSERT INTO ir_ui_view (name, model, type, mode, priority, active, inherit_id, arch_db) \
         SELECT 'shows a credential', 'sale.order', 'form', 'extension', 99, true, res_id, {arch} \
         FROM ir_model_data WHERE module = 'sale' AND name = 'view_order_form'"
    ));
    Some(odoo)
}
on_both_of_our_own!(
    "metadata", super::fresh;
    constraints,
    relations,
    views,
    methods,
    manifests,
    models_of_every_kind,
    hostile_names,
    whole_values,
    terms,
    related_fields,
    listing_translations,
    refused_translations,
    restricted_keys,
);

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}
fn named<'a>(rows: &'a Value, key: &str, name: &str) -> &'a Value {
    list(rows).iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("no {name} in {rows}"))
}
/// A refusal that helps: it has a code, a sentence and a next step, and no bare exception.
#[track_caller]
fn helpful(reply: &Reply) {
    assert!(reply.is_error, "it was not refused: {reply:?}");
    let said = reply.body.to_string();
    assert!(!said.contains("Traceback") && !said.contains("odoo.exceptions") && !said.contains("psycopg"), "{said}");
    assert!(!reply.body["message"].as_str().unwrap_or_default().is_empty(), "{said}");
    assert!(!reply.body["next"].as_str().unwrap_or_default().is_empty(), "{said}");
    assert_ne!(reply.body["code"], "internal", "{said}");
}
/// What a record's field is in French, as the database has it.
fn french(odoo: &Odoo, table: &str, model: &str, field: &str, id: i64) -> String {
    if odoo.version >= 16 {
        odoo.sql(&format!("SELECT {field}->>'fr_FR' FROM {table} WHERE id = {id}"))
    } else {
        odoo.sql(&format!(
            "SELECT value FROM ir_translation WHERE name = '{model},{field}' AND res_id = {id} AND lang = 'fr_FR' AND type = 'model'"
        ))
    }
}
/// The model and field of this version that is translated by terms and may be written.
fn by_terms(odoo: &Odoo) -> (&'static str, &'static str, &'static str) {
    if odoo.version >= 16 {
        ("product.template", "product_template", "description")
    } else {
        ("mail.activity.type", "mail_activity_type", "default_description")
    }
}
fn french_term(odoo: &Odoo, id: i64, source: &str) -> String {
    let (model, table, field) = by_terms(odoo);
    if odoo.version >= 16 {
        odoo.sql(&format!("SELECT {field}->>'fr_FR' FROM {table} WHERE id = {id}"))
    } else {
        odoo.sql(&format!(
            "SELECT value FROM ir_translation WHERE name = '{model},{field}' AND res_id = {id} AND lang = 'fr_FR' AND src = '{source}'"
        ))
    }
}
async fn text_in_terms(odoo: &Odoo, mcp: &Mcp, name: &str) -> i64 {
    let (model, _, field) = by_terms(odoo);
    let html = "<p>Hello <b>big</b> world</p><div>Second one</div>";
    let made = mcp.call("dev_create", json!({"model": model, "values": {"name": name, field: html}})).await.ok();
    made["id"].as_i64().unwrap()
}
async fn product(mcp: &Mcp, name: &str) -> i64 {
    let made = mcp.call("dev_create", json!({"model": "product.template", "values": {"name": name}})).await.ok();
    made["id"].as_i64().unwrap()
}

/// By an ordinary employee's login: what Odoo keeps to its administrators is left out with the group that would see it.
#[test]
fn an_employee_s_credential_gets_what_it_may_and_is_told_the_rest() {
    for version in [19, 14] {
        let Some(odoo) = fresh(version, "metadata_limited") else { return };
        // Whom the access list lets write, and a record rule does not.
        let (ruled, ruled_table, ruled_field) = by_terms(&odoo);
        let of = format!("FROM ir_model WHERE model = '{ruled}'");
        odoo.sql(&format!(
            "INSERT INTO ir_model_access (name, model_id, perm_read, perm_write, perm_create, perm_unlink, active) \
             SELECT 'everybody writes', id, true, true, false, false, true {of}"
        ));
        odoo.sql(&format!(
            "INSERT INTO ir_rule (name, model_id, domain_force, perm_read, perm_write, perm_create, perm_unlink, active, global) \
             SELECT 'but not the first', id, '[(''id'', ''!='', ' || (SELECT min(id) FROM {ruled_table}) || ')]', \
             false, true, false, false, true, true {of}"
        ));
        odoo.user("clerk", "clerk-password", &["sales_team.group_sale_salesman"]);
        let mut ocore = Ocore::new();
        let args =
            ["instance", "create", "dev", "--org", "acme", "--server", "host", "--url", &odoo.url, "--database", &odoo.database];
        let rest = ["--login", "clerk", "--secret-stdin", "--environment", "development"];
        ocore.cli(&[&args[..], &rest[..]].concat(), "clerk-password\n").ok();
        let mcp = ocore.serve().key(&[]);
        run(async {
            let told = mcp.call("dev_get_model_constraints", json!({"model": "sale.order"})).await.ok();
            assert!(
                list(&told["constraints"]).is_empty() && list(&told["required_fields"]).contains(&json!("partner_id")),
                "{told}"
            );
            assert!(told["notes"].to_string().contains("base.group_erp_manager"), "{told}");

            let told = mcp.call("dev_get_model_relations", json!({"model": "sale.order"})).await.ok();
            assert_eq!(named(&told["relations"], "field", "order_line")["inverse"], json!(["order_id"]), "{told}");
            let tags = named(&told["relations"], "field", "tag_ids");
            if version >= 15 {
                assert!(
                    told["notes"].to_string().contains("base.group_erp_manager") && tags["relation_table"].is_null(),
                    "{told}"
                );
            } else {
                assert!(told["notes"].is_null() && tags["relation_table"] == "sale_order_tag_rel", "{told}");
            }

            let told = mcp.call("dev_get_model_views", json!({"model": "sale.order", "view_type": "form"})).await.ok();
            assert!(told["views"][0]["arch"].as_str().unwrap().contains("name=\"order_line\""), "{told}");
            assert!(
                told["notes"].to_string().contains("base.group_system") && told["views"][0]["extended_by"].is_null(),
                "{told}"
            );

            let told = mcp.call("dev_get_addon_manifest", json!({"module": "sale"})).await;
            if version >= 19 {
                assert_eq!(told.ok()["license"], "LGPL-3", "every employee reads modules there");
            } else {
                helpful(&told);
                assert!(told.body.to_string().contains("base.group_system"), "{told:?}");
                told.refused("not_supported");
            }
            let told = mcp.call("dev_get_model_methods", json!({"model": "sale.order"})).await;
            helpful(&told);
            told.refused("not_supported");
            // A model that it may not read at all.
            let told = mcp.call("dev_get_model_views", json!({"model": "ir.cron"})).await;
            helpful(&told);
            // Terms whose record it may not change: up to 15 their rows in Odoo's own table would be open to it.
            let (model, table, field) = (ruled, ruled_table, ruled_field);
            let id: i64 = odoo.sql(&format!("SELECT min(id) FROM {table}")).parse().unwrap();
            let html = "<p>Only the boss</p>";
            if version >= 16 {
                odoo.sql(&format!("UPDATE {table} SET {field} = jsonb_build_object('en_US', '{html}'::text) WHERE id = {id}"));
            } else {
                odoo.sql(&format!("UPDATE {table} SET {field} = '{html}' WHERE id = {id}"));
            }
            let call =
                json!({"model": model, "id": id, "field": field, "lang": "fr_FR", "source": "Only the boss", "value": "Moi"});
            let told = mcp.call("dev_update_translation", call).await;
            helpful(&told);
            told.refused("odoo_error");
            assert!(!french_term(&odoo, id, "Only the boss").contains("Moi"));
            let call = json!({"model": model, "id": id, "field": "name", "lang": "fr_FR", "value": "Moi"});
            let told = mcp.call("dev_update_translation", call).await;
            helpful(&told);
            told.refused("odoo_error");
            assert!(!french(&odoo, table, model, "name", id).contains("Moi"));
            // The access list itself.
            let partner = json!({"model": "crm.stage", "id": 1, "field": "name", "lang": "fr_FR", "value": "Moi"});
            let told = mcp.call("dev_update_translation", partner).await;
            helpful(&told);
            assert!(!french(&odoo, "crm_stage", "crm.stage", "name", 1).contains("Moi"));
        });
    }
}

/// By the other dialects, which name arguments or not.
#[test]
fn every_dialect_tells_the_same() {
    for (version, dialect) in [(19, "json2"), (19, "jsonrpc"), (14, "jsonrpc")] {
        let Some(odoo) = fresh(version, &format!("metadata_{dialect}")) else { return };
        let key = odoo.api_key("admin");
        let mut ocore = Ocore::new();
        let args =
            ["instance", "create", "dev", "--org", "acme", "--server", "host", "--url", &odoo.url, "--database", &odoo.database];
        let rest = ["--login", "admin", "--secret-stdin", "--environment", "development", "--dialect", dialect];
        ocore.cli(&[&args[..], &rest[..]].concat(), &format!("{key}\n")).ok();
        let mcp = ocore.serve().key(&[]);
        run(async {
            checks::constraints(&odoo, &ocore, &mcp).await;
            checks::relations(&odoo, &ocore, &mcp).await;
            checks::views(&odoo, &ocore, &mcp).await;
            checks::methods(&odoo, &ocore, &mcp).await;
            checks::whole_values(&odoo, &ocore, &mcp).await;
            checks::terms(&odoo, &ocore, &mcp).await;
        });
    }
}

mod checks {
    use super::{BTreeSet, Mcp, Ocore, Odoo, by_terms, french, french_term, helpful, json, list, named, product, text_in_terms};

    pub async fn constraints(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let told = mcp.call("dev_get_model_constraints", json!({"model": "sale.order", "max_response_size": 500})).await.ok();
        let all = "SELECT count(*) FROM ir_model_constraint c JOIN ir_model m ON m.id = c.model WHERE m.model = 'sale.order'";
        assert_eq!(told["count"].to_string(), odoo.sql(all), "{told}");
        let check = named(&told["constraints"], "name", "sale_order_date_order_conditional_required");
        assert_eq!((&check["kind"], &check["module"]), (&json!("check"), &json!("sale")), "{check}");
        assert!(check["definition"].as_str().unwrap().to_lowercase().contains("date_order is not null"), "{check}");
        assert_eq!(check["message"], "A confirmed sales order requires a confirmation date.");
        let key = named(&told["constraints"], "name", "sale_order_partner_id_fkey");
        assert_eq!(
            (&key["kind"], &key["field"], &key["references"]),
            (&json!("foreign_key"), &json!("partner_id"), &json!("res.partner"))
        );
        let deletion = odoo.sql("SELECT confdeltype FROM pg_constraint WHERE conname = 'sale_order_partner_id_fkey'");
        let deletion = if deletion == "r" { "restrict" } else { "set null" };
        assert_eq!(key["on_delete"], deletion, "{key}");
        let link = list(&told["constraints"]).iter().filter(|c| c["field"] == "tag_ids").count();
        assert_eq!(link, if odoo.version >= 16 { 2 } else { link }, "{told}");
        assert!(list(&told["required_fields"]).contains(&json!("partner_id")), "{told}");
        // Without a container nobody can tell, and that is said.
        assert!(told.get("python_constraints").is_none() && told["notes"].to_string().contains("container"), "{told}");
        // The messages come in the language of the context.
        let french = json!({"model": "res.partner", "context": {"lang": "fr_FR"}});
        let told = mcp.call("dev_get_model_constraints", french).await.ok();
        assert!(named(&told["constraints"], "name", "res_partner_check_name")["message"].is_string(), "{told}");
    }

    pub async fn relations(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let told = mcp.call("dev_get_model_relations", json!({"model": "sale.order", "max_response_size": 500})).await.ok();
        let relations = &told["relations"];
        let all = "SELECT count(*) FROM ir_model_fields WHERE model = 'sale.order' \
                   AND ttype IN ('many2one', 'one2many', 'many2many', 'reference', 'many2one_reference')";
        assert_eq!(told["count"].to_string(), odoo.sql(all), "{told}");
        let partner = named(relations, "field", "partner_id");
        assert_eq!((&partner["type"], &partner["relation"]), (&json!("many2one"), &json!("res.partner")), "{partner}");
        assert!(list(&partner["inverse"]).contains(&json!("sale_order_ids")) && partner["required"] == true, "{partner}");
        assert_eq!(named(relations, "field", "order_line")["inverse"], json!(["order_id"]));
        let tags = named(relations, "field", "tag_ids");
        let table = odoo.sql(
            "SELECT relation_table || ' ' || column1 || ' ' || column2 FROM ir_model_fields WHERE model = 'sale.order' AND name = 'tag_ids'",
        );
        let ours = ["relation_table", "column1", "column2"].map(|k| tags[k].as_str().unwrap_or_default().to_owned()).join(" ");
        assert_eq!(ours, table, "{tags}");
        let lines = mcp.call("dev_get_model_relations", json!({"model": "sale.order.line", "max_response_size": 500})).await.ok();
        let order = named(&lines["relations"], "field", "order_id");
        assert_eq!((&order["inverse"], &order["on_delete"]), (&json!(["order_line"]), &json!("cascade")), "{order}");
        // Both ends of a many2many know each other.
        let group = mcp.call("dev_get_model_relations", json!({"model": "res.groups", "max_response_size": 500})).await.ok();
        let (users, groups) = if odoo.version >= 19 { ("user_ids", "group_ids") } else { ("users", "groups_id") };
        assert!(list(&named(&group["relations"], "field", users)["inverse"]).contains(&json!(groups)), "{group}");
        let users = mcp.call("dev_get_model_relations", json!({"model": "res.users", "max_response_size": 500})).await.ok();
        assert!(!users.to_string().contains("api_key_ids"), "credentials are withheld: {users}");
    }

    pub async fn views(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let called = if odoo.version >= 18 { "list" } else { "tree" };
        let told = mcp.call("dev_get_model_views", json!({"model": "sale.order", "max_response_size": 500})).await.ok();
        let kinds: Vec<&str> = list(&told["views"]).iter().map(|v| v["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["form", called, "search", "kanban"], "{told}");
        for view in list(&told["views"]) {
            let arch = view["arch"].as_str().unwrap();
            assert!(arch.starts_with(&format!("<{}", view["type"].as_str().unwrap())) && arch.len() < 40_000, "{view}");
            assert!(!arch.contains("<!--") && !arch.contains("modifiers="), "{arch}");
        }
        assert!(told["notes"].is_null(), "{}", told["notes"]);
        // The largest form is cut, and still well-formed; alone it is whole.
        let told = mcp.call("dev_get_model_views", json!({"model": "account.move", "max_response_size": 500})).await.ok();
        let form = &told["views"][0];
        assert!(form["arch_cut_from"].as_u64().unwrap() > form["arch"].as_str().unwrap().len() as u64, "{form}");
        assert!(form["arch"].as_str().unwrap().ends_with("</form>"), "{form}");
        assert!(told["notes"].to_string().contains("view_type \\\"form\\\" alone"), "{told}");
        let alone = mcp.call("dev_get_model_views", json!({"model": "account.move", "view_type": "form"})).await.ok();
        assert!(alone["views"][0]["arch_cut_from"].is_null(), "{}", alone["notes"]);

        let told = mcp.call("dev_get_model_views", json!({"model": "sale.order", "view_type": "form"})).await.ok();
        let form = &told["views"][0];
        let arch = form["arch"].as_str().unwrap();
        assert!(form["arch_cut_from"].is_null() && form["xml_id"] == "sale.view_order_form", "{form}");
        let within = arch.split_once("name=\"order_line\"").unwrap().1;
        assert!(within.contains(&format!("<{called}")) && within.contains("name=\"price_unit\""), "the lines' own view: {arch}");
        // Every extension that the database has, and nothing withheld.
        let extensions: BTreeSet<String> = list(&form["extended_by"]).iter().map(|v| v["id"].to_string()).collect();
        let known: BTreeSet<String> = odoo
            .sql(
                "WITH RECURSIVE t(id) AS (SELECT res_id FROM ir_model_data WHERE module = 'sale' AND name = 'view_order_form' \
                 UNION SELECT v.id FROM ir_ui_view v JOIN t ON v.inherit_id = t.id WHERE v.mode = 'extension' AND v.model = 'sale.order') \
                 SELECT id FROM t",
            )
            .lines()
            .map(str::to_owned)
            .filter(|id| id.parse() != Ok(form["id"].as_i64().unwrap()))
            .collect();
        assert_eq!(extensions, known, "{form}");
        let ours = named(&form["extended_by"], "name", "shows a credential");
        assert!(ours["xml_id"].is_null() && ours["module"].is_null() && ours["active"] == true, "{ours}");
        assert!(list(&form["extended_by"]).iter().any(|v| v["module"] == "sale_management"), "{form}");
        assert!(arch.contains("string=\"No access_token here\""), "the extension is in: {arch}");
        assert!(!arch.contains("name=\"access_token\"") && arch.matches("access_token").count() == 1, "{arch}");

        // Both names of a list, in every version.
        for asked in ["list", "tree"] {
            let told = mcp.call("dev_get_model_views", json!({"model": "res.partner.category", "view_type": asked})).await.ok();
            assert_eq!(told["views"][0]["type"], called, "{told}");
            assert!(told["views"][0]["arch"].as_str().unwrap().contains("<field name="), "{told}");
        }
        // Odoo makes one up where none is defined.
        let told = mcp.call("dev_get_model_views", json!({"model": "res.partner.category", "view_type": "kanban"})).await.ok();
        assert!(told["views"][0]["id"].is_null() && told["views"][0]["arch"].as_str().unwrap().starts_with("<kanban"), "{told}");
        // Or cannot: these records have no dates.
        let told = mcp.call("dev_get_model_views", json!({"model": "res.partner.category", "view_type": "calendar"})).await;
        helpful(&told);
        told.refused("not_found");
        mcp.call("dev_get_model_views", json!({"model": "sale.order", "view_type": "qweb"})).await.refused("invalid_argument");
    }

    pub async fn methods(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let all = mcp.call("dev_get_model_methods", json!({"model": "sale.order", "max_response_size": 500})).await;
        if odoo.version < 19 {
            helpful(&all);
            assert!(all.body.to_string().contains("Docker"), "{all:?}");
            all.refused("not_supported");
            return;
        }
        let all = all.ok();
        assert!(all["notes"].to_string().contains("private"), "{all}");
        let confirm = named(&all["methods"], "name", "action_confirm");
        assert!(confirm["doc"].as_str().unwrap().starts_with("Confirm the given quotation"), "{confirm}");
        assert_eq!((&confirm["module"], &confirm["defined_in"]), (&json!("sale"), &json!("sale.order")), "{confirm}");
        assert!(confirm["signature"].as_str().unwrap().starts_with('('), "{confirm}");
        assert_eq!(named(&all["methods"], "name", "search_read")["api"], json!(["model", "readonly"]));
        assert!(list(&all["methods"]).iter().all(|m| !m["name"].as_str().unwrap().starts_with('_')), "{all}");
        let few = mcp
            .call("dev_get_model_methods", json!({"model": "sale.order", "search": "MESSAGE_POST", "include_private": false}))
            .await
            .ok();
        assert!(few["notes"].is_null(), "{few}");
        let names: Vec<&str> = list(&few["methods"]).iter().map(|m| m["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"message_post") && names.len() < 10, "{names:?}");
        let body = named(&named(&few["methods"], "name", "message_post")["parameters"], "name", "body");
        assert!(body["doc"].as_str().unwrap().contains("body of the message"), "{body}");
        let none = mcp.call("dev_get_model_methods", json!({"model": "sale.order", "search": "zzz_nothing"})).await.ok();
        assert_eq!(none["count"], 0, "{none}");
    }

    pub async fn manifests(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let told = mcp.call("dev_get_addon_manifest", json!({"module": "sale_management"})).await.ok();
        let row = |field: &str| odoo.sql(&format!("SELECT {field} FROM ir_module_module WHERE name = 'sale_management'"));
        assert_eq!(
            (told["state"].as_str().unwrap(), told["version"].as_str().unwrap()),
            ("installed", row("latest_version").as_str()),
            "{told}"
        );
        assert_eq!(told["disk_version"], told["version"]);
        assert_eq!(
            (told["author"].as_str().unwrap(), told["license"].as_str().unwrap()),
            (row("author").as_str(), row("license").as_str())
        );
        assert_eq!(told["summary"], "From quotations to invoices");
        assert!(
            told["description"].as_str().unwrap().contains("Manage sales quotations")
                && !told["category"].as_str().unwrap().is_empty()
        );
        let mut needed: Vec<String> = list(&told["depends"]).iter().map(|d| d["module"].as_str().unwrap().to_owned()).collect();
        needed.sort();
        let known = odoo.sql(
            "SELECT d.name FROM ir_module_module_dependency d JOIN ir_module_module m ON m.id = d.module_id \
             WHERE m.name = 'sale_management' ORDER BY 1",
        );
        assert_eq!(needed.join("\n"), known, "{told}");
        assert!(list(&told["depends"]).iter().all(|d| d["state"] == "installed"), "{told}");
        // The two versions are not mixed up.
        let told = mcp.call("dev_get_addon_manifest", json!({"module": "project"})).await.ok();
        assert_eq!(told["version"], "1.0.0.1", "{told}");
        assert!(told["disk_version"].as_str().unwrap().starts_with(&odoo.version.to_string()), "{told}");
        assert!(told["notes"].to_string().contains("another version"), "{told}");
        let absent = odoo.sql("SELECT min(name) FROM ir_module_module WHERE state = 'uninstalled'");
        let told = mcp.call("dev_get_addon_manifest", json!({"module": absent})).await.ok();
        assert!(told["version"].is_null() && told["state"] == "uninstalled" && told["disk_version"].is_string(), "{told}");
        let near = mcp.call("dev_get_addon_manifest", json!({"module": "sale_managment"})).await.refused("not_found");
        assert!(near["next"].as_str().unwrap().contains("sale_management"), "{near}");
        for bad in ["../../etc/passwd", "sale'; DROP TABLE ir_module_module; --", "", "%", "sale,crm"] {
            mcp.call("dev_get_addon_manifest", json!({"module": bad})).await.refused("invalid_argument");
        }
        ocore
            .key(&["--models", "sale.order"])
            .call("dev_get_addon_manifest", json!({"module": "sale"}))
            .await
            .refused("model_denied");
    }

    pub async fn models_of_every_kind(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        // Abstract: no table, no views, but fields.
        let told = mcp.call("dev_get_model_constraints", json!({"model": "mail.thread"})).await.ok();
        assert_eq!(told["count"], 0, "{told}");
        let told = mcp.call("dev_get_model_relations", json!({"model": "mail.thread"})).await.ok();
        assert_eq!(named(&told["relations"], "field", "message_ids")["relation"], "mail.message", "{told}");
        helpful(&mcp.call("dev_get_model_views", json!({"model": "mail.thread"})).await);
        let methods = mcp.call("dev_get_model_methods", json!({"model": "mail.thread"})).await;
        helpful(&methods);
        methods.refused("not_supported");
        let told = mcp.call("dev_list_translations", json!({"model": "mail.thread"})).await.ok();
        assert_eq!(told["count"], 0, "{told}");
        // Transient.
        let told = mcp.call("dev_get_model_views", json!({"model": "base.language.install", "view_type": "form"})).await.ok();
        assert!(told["views"][0]["arch"].as_str().unwrap().starts_with("<form"), "{told}");
        mcp.call("dev_get_model_constraints", json!({"model": "base.language.install"})).await.ok();
        mcp.call("dev_get_model_relations", json!({"model": "base.language.install"})).await.ok();
        // Without records.
        assert_eq!(odoo.sql("SELECT count(*) FROM digest_tip"), "0");
        let told = mcp.call("dev_list_translations", json!({"model": "digest.tip"})).await.ok();
        assert!(told["count"] == 0 && list(&told["fields"]).contains(&json!("tip_description")), "{told}");
        // A view of SQL: no constraint of its own.
        let told = mcp.call("dev_get_model_constraints", json!({"model": "sale.report"})).await.ok();
        assert!(list(&told["constraints"]).iter().all(|c| c["kind"] != "check"), "{told}");
    }

    pub async fn hostile_names(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let before = odoo.sql("SELECT count(*) FROM ir_model_fields");
        let tools = [
            "dev_get_model_constraints",
            "dev_get_model_relations",
            "dev_get_model_views",
            "dev_get_model_methods",
            "dev_list_translations",
        ];
        let long = "a".repeat(5_000);
        for tool in tools {
            for bad in [
                "../res.users",
                "res.users.json?x=",
                "res_partner; DROP TABLE res_partner; --",
                "",
                " ",
                "a b",
                "sale.order\u{0}",
                "%",
                long.as_str(),
            ] {
                let reply = mcp.call(tool, json!({"model": bad})).await;
                helpful(&reply);
                reply.refused("invalid_argument");
            }
            // What holds secrets is refused, what is unknown gets a hint.
            mcp.call(tool, json!({"model": "ir.config_parameter"})).await.refused("model_denied");
            if odoo.version >= 19 || tool != "dev_get_model_methods" {
                let reply = mcp.call(tool, json!({"model": "sale.ordr"})).await;
                helpful(&reply);
                assert!(reply.body["next"].as_str().unwrap().contains("sale.order"), "{tool}: {reply:?}");
                reply.refused("not_found");
            }
            mcp.call(tool, json!({"model": ["sale.order"]})).await.refused("invalid_argument");
            mcp.call(tool, json!({})).await.refused("invalid_argument");
        }
        mcp.call("dev_get_model_methods", json!({"model": "res.partner", "search": "x".repeat(300)}))
            .await
            .refused("invalid_argument");
        for bad in [
            json!({"field": "name'; --"}),
            json!({"field": "../name"}),
            json!({"field": "nope"}),
            json!({"field": "list_price"}),
            json!({"lang": "xx_XX"}),
            json!({"lang": "de_DE"}),
            json!({"lang": "fr_FR' OR 1=1"}),
            json!({"ids": [0]}),
            json!({"ids": ["a"]}),
            json!({"limit": 0}),
            json!({"limit": 5000}),
        ] {
            let mut call = json!({"model": "product.template"});
            call.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
            let reply = mcp.call("dev_list_translations", call).await;
            helpful(&reply);
            reply.refused("invalid_argument");
        }
        let many: Vec<i64> = (1..=501).collect();
        mcp.call("dev_list_translations", json!({"model": "product.template", "ids": many})).await.refused("too_large");
        assert_eq!(odoo.sql("SELECT count(*) FROM ir_model_fields"), before);
    }

    pub async fn whole_values(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let id = product(mcp, "Chair").await;
        let call = |value: &str| json!({"model": "product.template", "id": id, "field": "name", "lang": "fr_FR", "value": value});
        let mut dry = call("Chaise");
        dry["dry_run"] = json!(true);
        let plan = mcp.call("dev_update_translation", dry).await.ok();
        let said = plan["plan"].to_string();
        assert!(
            said.contains("fr_FR") && said.contains("Chair") && said.contains("then: Chaise") && plan["plan"]["affected"] == 1,
            "{said}"
        );
        assert!(!french(odoo, "product_template", "product.template", "name", id).contains("Chaise"), "a plan changes nothing");
        let done = mcp.call("dev_update_translation", call("Chaise")).await.ok();
        assert_eq!(
            (&done["old_value"], &done["value"], &done["translated"], &done["kind"]),
            (&json!("Chair"), &json!("Chaise"), &json!(true), &json!("whole")),
            "{done}"
        );
        assert!(done["notes"].is_null(), "{done}");
        assert_eq!(french(odoo, "product_template", "product.template", "name", id), "Chaise");
        let english = if odoo.version >= 16 { "name->>'en_US'" } else { "name" };
        assert_eq!(odoo.sql(&format!("SELECT {english} FROM product_template WHERE id = {id}")), "Chair", "the source stays");
        let told =
            mcp.call("dev_list_translations", json!({"model": "product.template", "ids": [id], "field": "name"})).await.ok();
        assert_eq!(
            told["translations"],
            json!([{"id": id, "field": "name", "lang": "fr_FR", "kind": "whole", "source": "Chair", "value": "Chaise", "translated": true}])
        );
        // The old value may be given; a wrong one means that somebody else was faster.
        let mut with_source = call("Siège");
        with_source["source"] = json!("Table");
        let refused = mcp.call("dev_update_translation", with_source.clone()).await.refused("conflict");
        assert!(refused["message"].as_str().unwrap().contains("Chaise"), "{refused}");
        with_source["source"] = json!("Chaise");
        mcp.call("dev_update_translation", with_source).await.ok();
        assert_eq!(french(odoo, "product_template", "product.template", "name", id), "Siège");
        // Nothing is spliced into anything.
        let hostile = "'; DROP TABLE res_lang; -- \" \\ {\"a\": 1} <b>é</b>";
        mcp.call("dev_update_translation", call(hostile)).await.ok();
        assert_eq!(french(odoo, "product_template", "product.template", "name", id), hostile);
        // Taken away: the source shows again.
        let done = mcp.call("dev_update_translation", call("")).await.ok();
        assert_eq!((&done["value"], &done["translated"]), (&json!("Chair"), &json!(false)), "{done}");
        assert_eq!(french(odoo, "product_template", "product.template", "name", id), "");
    }

    pub async fn terms(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let (model, _, field) = by_terms(odoo);
        let id = text_in_terms(odoo, mcp, "By terms").await;
        if odoo.version < 16 {
            let told = mcp.call("dev_list_translations", json!({"model": model, "ids": [id], "field": field})).await.ok();
            assert!(told["count"] == 0 && told["notes"].to_string().contains("split"), "{told}");
        }
        let call = |source: Option<&str>, value: &str| json!({"model": model, "id": id, "field": field, "lang": "fr_FR", "value": value, "source": source});
        let refused = mcp.call("dev_update_translation", call(None, "x")).await;
        helpful(&refused);
        let refused = refused.refused("invalid_argument");
        assert!(refused["next"].as_str().unwrap().contains("Second one"), "it names the terms: {refused}");
        let mut dry = call(Some("Second one"), "Le second");
        dry["dry_run"] = json!(true);
        let plan = mcp.call("dev_update_translation", dry).await.ok();
        assert!(
            plan["plan"]["summary"].as_str().unwrap().contains("\"Second one\"")
                && plan["plan"]["examples"].to_string().contains("Le second"),
            "{plan}"
        );
        assert_eq!(french_term(odoo, id, "Second one"), "", "a plan changes nothing");
        let done = mcp.call("dev_update_translation", call(Some("Second one"), "Le second")).await.ok();
        assert_eq!(
            (&done["kind"], &done["value"], &done["old_value"], &done["translated"]),
            (&json!("term"), &json!("Le second"), &json!("Second one"), &json!(true)),
            "{done}"
        );
        assert!(french_term(odoo, id, "Second one").contains("Le second"));
        // What a person who speaks French gets to see; the other term stays.
        let shown = mcp
            .call("dev_read", json!({"model": model, "ids": [id], "fields": [field], "context": {"lang": "fr_FR"}}))
            .await
            .ok();
        let html = shown["records"][0][field].as_str().unwrap();
        assert!(html.contains("<div>Le second</div>") && html.contains("Hello <b>big</b> world"), "{html}");
        let near = mcp.call("dev_update_translation", call(Some("Secnd one"), "x")).await.refused("invalid_argument");
        assert!(near["next"].as_str().unwrap().starts_with("Did you mean \"Second one\"?"), "{near}");
        let done =
            mcp.call("dev_update_translation", call(Some("Hello <b>big</b> world"), "Bonjour le <b>grand</b> monde")).await.ok();
        assert_eq!(done["translated"], true, "{done}");
        let told =
            mcp.call("dev_list_translations", json!({"model": model, "ids": [id], "field": field, "lang": "fr_FR"})).await.ok();
        let second = named(&told["translations"], "source", "Second one");
        assert_eq!(
            (&second["value"], &second["kind"], &second["lang"]),
            (&json!("Le second"), &json!("term"), &json!("fr_FR")),
            "{told}"
        );
        assert_eq!(named(&told["translations"], "source", "Hello <b>big</b> world")["value"], "Bonjour le <b>grand</b> monde");
        // A script gets into no page: refused, or cleaned by Odoo and told so.
        let script = mcp.call("dev_update_translation", call(Some("Second one"), "<script>alert(1)</script>deux")).await;
        if odoo.version < 16 {
            script.refused("invalid_argument");
        } else {
            assert!(!script.ok()["notes"].is_null());
        }
        let shown = mcp
            .call("dev_read", json!({"model": model, "ids": [id], "fields": [field], "context": {"lang": "fr_FR"}}))
            .await
            .ok();
        assert!(!shown.to_string().contains("<script"), "{shown}");
        // Taken away.
        mcp.call("dev_update_translation", call(Some("Second one"), "Le second")).await.ok();
        let done = mcp.call("dev_update_translation", call(Some("Second one"), "")).await.ok();
        assert_eq!((&done["value"], &done["translated"]), (&json!("Second one"), &json!(false)), "{done}");
        assert!(!french_term(odoo, id, "Second one").contains("Le second"));
    }

    /// A variant's name is its product's.
    pub async fn related_fields(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let id = product(mcp, "Lamp").await;
        let variant: i64 = odoo.sql(&format!("SELECT id FROM product_product WHERE product_tmpl_id = {id}")).parse().unwrap();
        let call = json!({"model": "product.product", "id": variant, "field": "name", "lang": "fr_FR", "value": "Lampe"});
        assert_eq!(mcp.call("dev_update_translation", call).await.ok()["value"], "Lampe");
        assert_eq!(french(odoo, "product_template", "product.template", "name", id), "Lampe");
        let told =
            mcp.call("dev_list_translations", json!({"model": "product.product", "ids": [variant], "field": "name"})).await.ok();
        assert_eq!(told["translations"][0]["value"], "Lampe", "{told}");
        // A team's text for bounced mail stands with its alias, by terms.
        let team: i64 = odoo.sql("SELECT min(id) FROM crm_team WHERE alias_id IS NOT NULL").parse().unwrap();
        mcp.call("dev_write", json!({"model": "crm.team", "ids": [team], "values": {"alias_bounced_content": "<p>Go away</p>"}}))
            .await
            .ok();
        let call = json!({"model": "crm.team", "id": team, "field": "alias_bounced_content", "lang": "fr_FR", "source": "Go away", "value": "Partez"});
        let done = mcp.call("dev_update_translation", call).await.ok();
        assert_eq!((&done["kind"], &done["value"]), (&json!("term"), &json!("Partez")), "{done}");
        let alias = format!("(SELECT alias_id FROM crm_team WHERE id = {team})");
        let stored = if odoo.version >= 16 {
            odoo.sql(&format!("SELECT alias_bounced_content->>'fr_FR' FROM mail_alias WHERE id = {alias}"))
        } else {
            odoo.sql(&format!("SELECT value FROM ir_translation WHERE name = 'mail.alias,alias_bounced_content' AND res_id = {alias} AND lang = 'fr_FR' AND src = 'Go away'"))
        };
        assert!(stored.contains("Partez"), "{stored}");
        let told = mcp
            .call("dev_list_translations", json!({"model": "crm.team", "ids": [team], "field": "alias_bounced_content"}))
            .await
            .ok();
        assert_eq!(named(&told["translations"], "source", "Go away")["value"], "Partez", "{told}");
    }

    pub async fn listing_translations(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let countries =
            mcp.call("dev_list_translations", json!({"model": "res.country", "field": "name", "limit": 7})).await.ok();
        assert_eq!((&countries["count"], &countries["languages"]), (&json!(7), &json!(["fr_FR"])), "{countries}");
        assert!(countries["notes"].to_string().contains("more"), "{countries}");
        // Records by page, each once, in order.
        let all = mcp
            .call(
                "dev_list_translations",
                json!({"model": "res.country", "field": "name", "limit": 400, "max_response_size": 900}),
            )
            .await
            .ok();
        let ids: Vec<i64> = list(&all["translations"]).iter().map(|t| t["id"].as_i64().unwrap()).collect();
        let expected: Vec<i64> = odoo.sql("SELECT id FROM res_country ORDER BY id").lines().map(|l| l.parse().unwrap()).collect();
        assert_eq!(ids, expected);
        assert!(all["notes"].is_null(), "{}", all["notes"]);
        // All fields, the missing records named.
        let id = product(mcp, "Listed").await;
        mcp.call("dev_write", json!({"model": "product.template", "ids": [id], "values": {"description_sale": "For sale"}}))
            .await
            .ok();
        let told = mcp.call("dev_list_translations", json!({"model": "product.template", "ids": [id, 99_999_999]})).await.ok();
        assert_eq!(told["missing_ids"], json!([99_999_999]), "{told}");
        let fields: Vec<&str> = list(&told["translations"]).iter().map(|t| t["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["description_sale", "name"], "{told}");
        assert_eq!(told["translations"][1]["translated"], false);
        let source = mcp
            .call("dev_list_translations", json!({"model": "product.template", "ids": [id], "field": "name", "lang": "en_US"}))
            .await
            .ok();
        assert_eq!(source["translations"][0]["value"], "Listed", "{source}");
        let none = mcp.call("dev_list_translations", json!({"model": "product.template", "ids": [99_999_999]})).await.ok();
        assert_eq!(none["count"], 0, "{none}");
        // Views are read, although nobody translates them here.
        let view: i64 =
            odoo.sql("SELECT res_id FROM ir_model_data WHERE module = 'base' AND name = 'view_partner_form'").parse().unwrap();
        let told =
            mcp.call("dev_list_translations", json!({"model": "ir.ui.view", "ids": [view], "field": "arch_db"})).await.ok();
        if odoo.version >= 16 {
            assert!(
                list(&told["translations"]).iter().any(|t| t["source"] == "Phone") && told["translations"][0]["kind"] == "term",
                "{told}"
            );
        }
    }

    pub async fn refused_translations(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let id = product(mcp, "Refused").await;
        let base = json!({"model": "product.template", "id": id, "field": "name", "lang": "fr_FR", "value": "Non"});
        for (change, code) in [
            (json!({"lang": "de_DE"}), "invalid_argument"),
            (json!({"lang": "en_US"}), "invalid_argument"),
            (json!({"lang": "fr_fr"}), "invalid_argument"),
            (json!({"lang": ""}), "invalid_argument"),
            (json!({"lang": "x".repeat(9_000)}), "invalid_argument"),
            (json!({"field": "list_price"}), "invalid_argument"),
            (json!({"field": "nme"}), "invalid_argument"),
            (json!({"field": "name; --"}), "invalid_argument"),
            (json!({"field": "categ_id.name"}), "invalid_argument"),
            (json!({"id": 99_999_999}), "not_found"),
            (json!({"id": -1}), "invalid_argument"),
            (json!({"id": 99_999_999_999_i64}), "invalid_argument"),
            (json!({"value": 5}), "invalid_argument"),
            (json!({"model": "ir.ui.view", "field": "arch_db"}), "model_denied"),
            (json!({"model": "ir.actions.act_window", "field": "help"}), "model_denied"),
            (json!({"model": "mail.template", "field": "subject"}), "model_denied"),
            (json!({"model": "ir.config_parameter", "field": "value"}), "model_denied"),
            (json!({"model": "res.groups", "field": "name"}), "model_denied"),
            (json!({"model": "../res.partner"}), "invalid_argument"),
            (json!({"model": "no.such.model"}), "not_found"),
        ] {
            for dry in [false, true] {
                let mut call = base.clone();
                call.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
                call["dry_run"] = json!(dry);
                let reply = mcp.call("dev_update_translation", call).await;
                helpful(&reply);
                assert_eq!(reply.body["code"], code, "{change}: {reply:?}");
            }
        }
        let mut call = base.clone();
        call["lang"] = json!("de_DE");
        let refused = mcp.call("dev_update_translation", call).await.refused("invalid_argument");
        assert!(refused["next"].as_str().unwrap().contains("fr_FR (French"), "it lists the active languages: {refused}");
        let mut call = base.clone();
        call["field"] = json!("list_price");
        let refused = mcp.call("dev_update_translation", call).await.refused("invalid_argument");
        assert!(refused["next"].as_str().unwrap().contains("description_sale"), "it lists the translated fields: {refused}");
        ocore.key(&["--read-only"]).call("dev_update_translation", base.clone()).await.refused("permission_denied");
        ocore.key(&["--models", "res.partner"]).call("dev_update_translation", base.clone()).await.refused("model_denied");
        assert!(!french(odoo, "product_template", "product.template", "name", id).contains("Non"));
    }

    pub async fn restricted_keys(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let key = ocore.key(&["--models", "sale.order"]);
        for tool in [
            "dev_get_model_constraints",
            "dev_get_model_relations",
            "dev_get_model_views",
            "dev_list_translations",
            "dev_get_model_methods",
        ] {
            key.call(tool, json!({"model": "res.partner"})).await.refused("model_denied");
            key.call(tool, json!({"model": "ir.model.fields"})).await.refused("model_denied");
        }
        let told = key.call("dev_get_model_constraints", json!({"model": "sale.order", "max_response_size": 500})).await.ok();
        named(&told["constraints"], "name", "sale_order_date_order_conditional_required");
        assert_eq!(named(&told["constraints"], "name", "sale_order_partner_id_fkey")["references"], "res.partner", "{told}");
        assert!(!told["constraints"].to_string().contains("tag_rel"), "tables beside are other models': {told}");
        let told = key.call("dev_get_model_relations", json!({"model": "sale.order", "max_response_size": 500})).await.ok();
        let tags = named(&told["relations"], "field", "tag_ids");
        assert_eq!((&tags["relation"], &tags["usable"]), (&json!("crm.tag"), &json!(false)), "{tags}");
        assert!(tags["relation_table"].is_null() && tags["column1"].is_null(), "{tags}");
        let lines = named(&told["relations"], "field", "order_line");
        assert!(lines["relation"] == "sale.order.line" && lines["inverse"].is_null(), "{lines}");
        let told = key.call("dev_get_model_views", json!({"model": "sale.order", "view_type": "form"})).await.ok();
        let form = &told["views"][0];
        let arch = form["arch"].as_str().unwrap();
        assert!(arch.contains("name=\"order_line\"") && !arch.contains("price_unit"), "{arch}");
        assert!(form["extended_by"].is_null() && told["other_views"].is_null() && form["xml_id"].is_null(), "{form}");
        assert!(told["notes"].to_string().contains("sale.order.line"), "{told}");
        // With the lines in its list it sees their view, and the way back.
        let wider = ocore.key(&["--models", "sale.order,sale.order.line"]);
        let told = wider.call("dev_get_model_views", json!({"model": "sale.order", "view_type": "form"})).await.ok();
        assert!(told["views"][0]["arch"].as_str().unwrap().contains("price_unit"), "{told}");
        let told = wider.call("dev_get_model_relations", json!({"model": "sale.order", "max_response_size": 500})).await.ok();
        assert_eq!(named(&told["relations"], "field", "order_line")["inverse"], json!(["order_id"]));
        if odoo.version >= 19 {
            let told = key.call("dev_get_model_methods", json!({"model": "sale.order", "search": "action_confirm"})).await.ok();
            named(&told["methods"], "name", "action_confirm");
        }
        // Translations of its own model, written too.
        let id = product(mcp, "Restricted").await;
        let products = ocore.key(&["--models", "product.template"]);
        let call = json!({"model": "product.template", "id": id, "field": "name", "lang": "fr_FR", "value": "Restreint"});
        assert_eq!(products.call("dev_update_translation", call).await.ok()["value"], "Restreint");
        assert_eq!(french(odoo, "product_template", "product.template", "name", id), "Restreint");
        let told =
            products.call("dev_list_translations", json!({"model": "product.template", "ids": [id], "field": "name"})).await.ok();
        assert_eq!(told["translations"][0]["value"], "Restreint", "{told}");
    }
}
