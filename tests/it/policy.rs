//! Resources, field policies, record filters and logins of a key's own on both real Odoos, in a database of their own. Records with
//! a mark in them are hidden, and the mark must never come back: in no answer, error or plan.
use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, Reply, on_both_of_our_own};

/// Planted in what is hidden.
const MARK: &str = "xyzzymark";

on_both_of_our_own!(
    "policy", crate::harness::Odoo::fresh;
    hidden_fields,
    allowed_fields,
    hidden_records,
    writes_within_a_filter,
    links_to_hidden_records,
    resources,
    resources_by_command_line,
    own_logins,
    filters_are_not_moved,
    copies_of_what_is_hidden,
    the_other_side,
    what_random_calls_learn,
);

fn ids(value: &Value) -> BTreeSet<i64> {
    let list = value["records"].as_array().unwrap_or_else(|| panic!("no records: {value}"));
    list.iter().map(|r| r["id"].as_i64().unwrap()).collect()
}

/// The records of one test.
struct Planted {
    /// What the test's filter is about.
    tag: String,
    shown: i64,
    other: i64,
    hidden: i64,
    /// Shown, below the hidden one.
    child: i64,
}
async fn plant(mcp: &Mcp, name: &str) -> Planted {
    let tag = format!("po-{name}");
    let make = async |values: Value| {
        let made = mcp.call("dev_create", json!({"model": "res.partner", "values": values, "confirm": true})).await.ok();
        made["id"].as_i64().or(made["ids"][0].as_i64()).unwrap_or_else(|| panic!("{made}"))
    };
    let shown = make(json!({"name": format!("Shown {name}"), "function": tag, "is_company": true, "email": format!("{MARK}.shown@example.com"), "street": "Shown street", "ref": format!("{name}-1")})).await;
    let other = make(json!({"name": format!("Other {name}"), "function": tag, "email": format!("{MARK}.other@example.com"), "ref": format!("{name}-2")})).await;
    let hidden = make(json!({"name": format!("{MARK} hidden {name}"), "function": format!("hidden-{tag}"), "is_company": true, "email": format!("{MARK}.hidden@example.com"), "street": MARK, "ref": format!("{MARK}-3"), "comment": MARK})).await;
    let child = make(json!({"name": format!("Child {name}"), "function": tag, "parent_id": hidden, "type": "contact"})).await;
    Planted { tag, shown, other, hidden, child }
}

/// No mark, and the code of a refusal (or `ok`).
#[track_caller]
fn clean(what: &str, reply: &Reply) -> String {
    let all = format!("{} {}", reply.body, reply.text);
    assert!(!all.contains(MARK), "{what} tells what is hidden: {all}");
    if reply.is_error { reply.body["code"].as_str().unwrap_or("error").to_owned() } else { "ok".to_owned() }
}

/// Waits until a resource on res.partner is in force.
async fn until_ruled(mcp: &Mcp) {
    for _ in 0..100 {
        let reply =
            mcp.call("dev_write", json!({"model": "res.partner", "ids": [1], "values": {"color": 1}, "dry_run": true})).await;
        if reply.body["code"] == "model_denied" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the resource does not come into force");
}

mod checks {
    use super::*;

    pub async fn hidden_fields(_: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "fields").await;
        let key = ocore.key(&["--fields-deny", "res.partner.email"]);
        let mine = json!([["id", "in", [p.shown, p.other]]]);
        // What is not hidden is there as ever.
        let read = key
            .call("dev_search_read", json!({"model": "res.partner", "domain": mine, "fields": ["name", "function", "ref"]}))
            .await
            .ok();
        assert_eq!(ids(&read), BTreeSet::from([p.shown, p.other]));
        assert!(read.to_string().contains("Shown fields"));
        let smart = key.call("dev_read", json!({"model": "res.partner", "ids": [p.shown]})).await;
        assert_eq!(clean("smart fields", &smart), "ok");
        let told = key.call("dev_get_field_metadata", json!({"model": "res.partner"})).await;
        assert_eq!(clean("metadata", &told), "ok");
        let told = told.body.to_string();
        for (name, there) in [("email", false), ("email_normalized", false), ("phone", true)] {
            let found = told.find(&format!("\"name\":\"{name}\""));
            assert_eq!(found.is_some(), there, "{name}: {}", found.map_or("", |at| &told[at.saturating_sub(200)..at + 60]));
        }

        let email = format!("{MARK}.shown@example.com");
        for (what, tool, arguments) in [
            ("fields", "search_read", json!({"domain": mine, "fields": ["name", "email"]})),
            ("computed", "search_read", json!({"domain": mine, "fields": ["email_normalized"]})),
            ("computed, not stored", "search_read", json!({"domain": mine, "fields": ["email_formatted"]})),
            ("read", "read", json!({"ids": [p.shown], "fields": ["email"]})),
            ("domain", "search_read", json!({"domain": [["email", "ilike", MARK]], "fields": ["name"]})),
            ("domain of a count", "count", json!({"domain": [["email", "=", email]]})),
            ("computed in a domain", "count", json!({"domain": [["email_normalized", "=", email]]})),
            ("path", "count", json!({"domain": [["parent_id.email", "ilike", MARK]]})),
            ("long path", "count", json!({"domain": [["user_ids.partner_id.email", "ilike", MARK]]})),
            ("or", "count", json!({"domain": ["|", ["id", "=", 1], ["email", "ilike", MARK]]})),
            ("not", "count", json!({"domain": ["!", ["email", "ilike", MARK]]})),
            ("order", "search_read", json!({"domain": mine, "fields": ["name"], "order": "email desc"})),
            ("grouping", "aggregation", json!({"operation": "group_by", "groupby": ["email"]})),
            ("measure", "aggregation", json!({"operation": "max", "measure": "email"})),
            ("distinct", "distinct_field_values", json!({"fields": ["email"]})),
            ("fuzzy", "fuzzy_search", json!({"query": "other@example.com", "search_fields": ["email"]})),
            ("advanced", "advanced_search", json!({"domain": [["email", "ilike", MARK]]})),
            ("write", "write", json!({"ids": [p.shown], "values": {"email": "x@example.com"}, "confirm": true})),
            ("create", "create", json!({"values": {"name": "x", "email": "x@example.com"}})),
            (
                "through a child",
                "write",
                json!({"ids": [p.shown], "values": {"child_ids": [[0, 0, {"name": "x", "email": "x@example.com"}]]}, "confirm": true}),
            ),
            ("copy", "copy", json!({"id": p.shown, "default": {"email": "x@example.com"}})),
            ("copy by method", "execute_method", json!({"method": "search_read", "args": [mine, ["email"]]})),
            ("read by method", "execute_method", json!({"method": "read", "ids": [p.shown], "args": [["email"]]})),
            ("groups by method", "execute_method", json!({"method": "read_group", "args": [mine, ["email"], ["email"]]})),
            ("names by method", "execute_method", json!({"method": "name_get", "ids": [p.shown]})),
            ("search by name", "execute_method", json!({"method": "name_search", "args": [MARK]})),
            ("onchange", "execute_method", json!({"method": "onchange", "args": [{}, [], {"email": {}}]})),
            ("view", "get_model_views", json!({"view_type": "form"})),
        ] {
            let mut arguments = arguments;
            arguments["model"] = "res.partner".into();
            let reply = key.call(&format!("dev_{tool}"), arguments.clone()).await;
            let code = clean(what, &reply);
            assert!(
                ["field_denied", "permission_denied", "model_denied", "invalid_argument"].contains(&code.as_str()),
                "{what} {arguments}: {reply:?}"
            );
            if !["names by method", "onchange", "groups by method", "view", "search by name"].contains(&what) {
                assert_ne!(code, "permission_denied", "{what}: {reply:?}");
            }
        }
        // The same by other models: users are partners, and messages tell what was changed.
        for (what, tool, arguments) in [
            ("related field", "search_read", json!({"model": "res.users", "fields": ["login", "email"]})),
            ("related in a domain", "count", json!({"model": "res.users", "domain": [["email", "!=", false]]})),
            ("path", "count", json!({"model": "res.users", "domain": [["partner_id.email", "ilike", "a"]]})),
            ("path of an order", "count", json!({"model": "sale.order", "domain": [["partner_id.email", "ilike", MARK]]})),
            ("name of a customer", "count", json!({"model": "sale.order", "domain": [["partner_id", "ilike", MARK]]})),
            ("messages", "search_read", json!({"model": "mail.message", "fields": ["body"]})),
            ("values that changed", "search_read", json!({"model": "mail.tracking.value"})),
            ("attachments", "search_read", json!({"model": "ir.attachment", "fields": ["name"]})),
            (
                "grouped by customer",
                "aggregation",
                json!({"model": "sale.order", "operation": "group_by", "groupby": ["partner_id"]}),
            ),
            ("sorted by customer", "search_read", json!({"model": "sale.order", "fields": ["name"], "order": "partner_id"})),
        ] {
            let reply = key.call(&format!("dev_{tool}"), arguments).await;
            let code = clean(what, &reply);
            assert!(
                ["field_denied", "model_denied", "record_denied", "permission_denied"].contains(&code.as_str()),
                "{what}: {reply:?}"
            );
        }
        // The users' own tool shows nothing of it; its search, which goes by e-mail too, is refused.
        let users = key.call("dev_list_users", json!({})).await;
        assert_eq!(clean("users by their tool", &users), "ok");
        let users = key.call("dev_list_users", json!({"search": MARK})).await;
        assert_eq!(clean("users searched", &users), "field_denied", "{users:?}");
        let told = key.call("dev_list_translations", json!({"model": "res.partner", "ids": [p.shown]})).await;
        clean("translations", &told);
        // What does not go by a hidden field still works.
        for (tool, arguments) in [
            ("count", json!({"model": "res.partner", "domain": [["name", "ilike", "Shown"]]})),
            ("count", json!({"model": "sale.order", "domain": [["partner_id", "=", p.shown]]})),
            ("search_read", json!({"model": "res.country", "fields": ["name", "code"], "limit": 3})),
            ("search_read", json!({"model": "sale.order", "fields": ["name", "amount_total", "partner_id"], "limit": 3})),
            ("aggregation", json!({"model": "res.partner", "operation": "group_by", "groupby": ["is_company"]})),
        ] {
            let reply = key.call(&format!("dev_{tool}"), arguments).await;
            assert_eq!(clean(tool, &reply), "ok", "{reply:?}");
        }
        // An error in Odoo's words could hold a value.
        let reply = key
            .call(
                "dev_write",
                json!({"model": "res.partner", "ids": [p.shown], "values": {"parent_id": p.shown}, "confirm": true}),
            )
            .await;
        let code = clean("error", &reply);
        assert_eq!(code, "odoo_error", "{reply:?}");
        assert!(reply.body["message"].as_str().unwrap().contains("withheld"), "{reply:?}");
    }

    pub async fn allowed_fields(_: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "allow").await;
        let key = ocore.key(&["--fields-allow", "res.partner.function,res.partner.is_company"]);
        let read = key.call("dev_search_read", json!({"model": "res.partner", "domain": [["id", "=", p.hidden]]})).await;
        assert_eq!(clean("smart fields", &read), "ok");
        let record = &read.body["records"][0];
        let fields: BTreeSet<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(fields.is_subset(&BTreeSet::from(["id", "function", "is_company"])) && fields.contains("function"), "{record}");
        for field in ["name", "display_name", "email", "parent_id", "create_uid", "commercial_company_name", "contact_address"] {
            let reply = key.call("dev_read", json!({"model": "res.partner", "ids": [p.hidden], "fields": [field]})).await;
            assert!(["field_denied", "invalid_argument"].contains(&clean(field, &reply).as_str()), "{field}: {reply:?}");
        }
        // Names go with it, wherever they stand.
        let order =
            key.call("dev_search_read", json!({"model": "res.users", "fields": ["partner_id", "login"], "limit": 2})).await.ok();
        assert!(order["records"][0]["partner_id"].is_i64(), "{order}");
        let plan = key.call("dev_unlink", json!({"model": "res.partner", "ids": [p.hidden], "dry_run": true})).await;
        assert_eq!(clean("plan", &plan), "ok", "{plan:?}");
        let named = ocore.key(&["--fields-allow", "res.partner.function,res.partner.display_name"]);
        let read =
            named.call("dev_read", json!({"model": "res.partner", "ids": [p.shown], "fields": ["display_name"]})).await.ok();
        assert!(read.to_string().contains("Shown allow"), "{read}");
        let reply = named.call("dev_count", json!({"model": "res.partner", "domain": [["display_name", "ilike", MARK]]})).await;
        assert_eq!(clean("by name", &reply), "field_denied");
    }

    pub async fn hidden_records(_: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "records").await;
        let key = ocore.key(&["--filter", &format!("res.partner=[('function', '=', '{}')]", p.tag)]);
        let all = BTreeSet::from([p.shown, p.other, p.child]);
        let read = key.call("dev_search_read", json!({"model": "res.partner", "fields": ["name", "ref", "parent_id"]})).await;
        assert_eq!(clean("search", &read), "ok");
        assert_eq!(ids(&read.body), all);
        let child = read.body["records"].as_array().unwrap().iter().find(|r| r["id"] == p.child).unwrap().clone();
        assert_eq!(child["parent_id"], p.hidden, "the name of a hidden record shrinks to its id");
        for (what, tool, arguments, expected) in [
            ("all", "count", json!({}), json!(3)),
            ("by id", "count", json!({"domain": [["id", "=", p.hidden]]}), json!(0)),
            ("by name", "count", json!({"domain": [["name", "ilike", MARK]]}), json!(0)),
            ("or", "count", json!({"domain": ["|", ["function", "=", p.tag], ["name", "ilike", MARK]]}), json!(3)),
            ("not", "count", json!({"domain": ["!", ["function", "=", p.tag]]}), json!(0)),
            ("tautology", "count", json!({"domain": ["|", [1, "=", 1], [1, "=", 1]]}), json!(3)),
            ("archived", "count", json!({"domain": [["active", "in", [true, false]]]}), json!(3)),
        ] {
            let mut arguments = arguments;
            arguments["model"] = "res.partner".into();
            let reply = key.call(&format!("dev_{tool}"), arguments).await;
            assert_eq!(clean(what, &reply), "ok", "{what}: {reply:?}");
            assert_eq!(reply.body["count"], expected, "{what}: {reply:?}");
        }
        // Named by an id: like one that is not there.
        let read = key
            .call("dev_read", json!({"model": "res.partner", "ids": [p.shown, p.hidden], "fields": ["name", "display_name"]}))
            .await;
        assert_eq!(clean("read", &read), "ok");
        assert_eq!(ids(&read.body), BTreeSet::from([p.shown]));
        assert!(read.body.to_string().contains("Shown records"), "the names of those that are shown stay: {read:?}");
        let read =
            key.call("dev_read", json!({"model": "res.partner", "ids": [p.child], "fields": ["name", "display_name"]})).await;
        assert_eq!(clean("name made of a hidden one's", &read), "ok");
        assert_eq!(read.body["records"][0]["display_name"], format!("res.partner,{}", p.child), "{read:?}");
        let [hidden, gone] = [p.hidden, 99_999_999];
        let mut told = Vec::new();
        for id in [hidden, gone] {
            let mut codes = Vec::new();
            for (tool, arguments) in [
                ("read", json!({"ids": [id], "fields": ["name"]})),
                ("write", json!({"ids": [id], "values": {"ref": "x"}, "confirm": true})),
                ("write", json!({"ids": [id], "values": {"ref": "x"}, "dry_run": true})),
                ("unlink", json!({"ids": [id], "confirm": true})),
                ("unlink", json!({"ids": [id], "dry_run": true})),
                ("copy", json!({"id": id})),
                ("execute_method", json!({"method": "read", "ids": [id], "args": [["name"]]})),
                ("execute_method", json!({"method": "search", "args": [[["id", "=", id]]]})),
                ("execute_method", json!({"method": "search_count", "args": [[["id", "=", id]]]})),
                ("execute_method", json!({"method": "get_metadata", "ids": [id]})),
            ] {
                let mut arguments = arguments;
                arguments["model"] = "res.partner".into();
                let reply = key.call(&format!("dev_{tool}"), arguments).await;
                clean(tool, &reply);
                codes.push(reply.body.to_string().replace(&id.to_string(), "ID"));
            }
            told.push(codes);
        }
        assert_eq!(told[0], told[1], "hidden and missing are alike");
        for (what, tool, arguments) in [
            ("path", "count", json!({"model": "res.partner", "domain": [["parent_id.name", "ilike", MARK]]})),
            ("path of another", "count", json!({"model": "res.users", "domain": [["partner_id.name", "ilike", "a"]]})),
            ("hierarchy", "count", json!({"model": "res.partner", "domain": [["id", "child_of", p.hidden]]})),
            ("hierarchy by name", "count", json!({"model": "res.partner", "domain": [["id", "child_of", MARK]]})),
            ("parents", "count", json!({"model": "res.partner", "domain": [["parent_id", "parent_of", p.child]]})),
            ("by the other's name", "count", json!({"model": "res.users", "domain": [["partner_id", "ilike", "a"]]})),
            ("by the parent's name", "count", json!({"model": "res.partner", "domain": [["parent_id", "ilike", MARK]]})),
            ("order by relation", "search_read", json!({"model": "res.users", "fields": ["login"], "order": "partner_id"})),
            (
                "grouped by relation",
                "aggregation",
                json!({"model": "sale.order", "operation": "group_by", "groupby": ["partner_id"]}),
            ),
            ("texts of hidden ones", "search_read", json!({"model": "res.users", "fields": ["name"]})),
            ("texts of hidden ones", "search_read", json!({"model": "res.partner", "fields": ["commercial_company_name"]})),
            ("messages", "count", json!({"model": "mail.message", "domain": [["res_id", "=", p.hidden]]})),
            ("attachments", "count", json!({"model": "ir.attachment", "domain": [["res_id", "=", p.hidden]]})),
            (
                "groups by method",
                "execute_method",
                json!({"model": "res.partner", "method": "read_group", "args": [[], ["name"], ["name"]]}),
            ),
            ("search by name", "execute_method", json!({"model": "res.partner", "method": "name_search", "args": [MARK]})),
        ] {
            let reply = key.call(&format!("dev_{tool}"), arguments).await;
            let code = clean(what, &reply);
            assert!(
                ["field_denied", "record_denied", "model_denied", "permission_denied"].contains(&code.as_str()),
                "{what}: {code} {reply:?}"
            );
        }
        for domain in [json!([["parent_id", "any", [["name", "ilike", MARK]]]]), json!([["child_ids", "not any", []]])] {
            let reply = key.call("dev_count", json!({"model": "res.partner", "domain": domain})).await;
            assert_eq!(clean("any", &reply), "record_denied", "{reply:?}");
        }
        // Sums and groups are of what is shown.
        for (what, tool, arguments) in [
            ("groups", "aggregation", json!({"operation": "group_by", "groupby": ["function"]})),
            ("distinct", "distinct_field_values", json!({"fields": ["ref"]})),
            ("fuzzy", "fuzzy_search", json!({"query": MARK, "search_fields": ["name"]})),
            ("max", "aggregation", json!({"operation": "max", "measure": "create_date"})),
            ("by method", "execute_method", json!({"method": "search_read", "args": [[], ["name", "parent_id"]]})),
        ] {
            let mut arguments = arguments;
            arguments["model"] = "res.partner".into();
            let reply = key.call(&format!("dev_{tool}"), arguments).await;
            // A fuzzy search tells the query back.
            if what != "fuzzy" {
                assert_eq!(clean(what, &reply), "ok", "{what}: {reply:?}");
            }
            assert!(!reply.body.to_string().contains(&format!("{MARK} hidden")) && !reply.is_error, "{what}: {reply:?}");
        }
        // A saved filter runs under the rules of whoever runs it.
        let saved = json!({"name": "all", "model": "res.partner", "domain": [["name", "ilike", "hidden"]], "fields": ["name"]});
        mcp.call("dev_save_filter", saved).await.ok();
        let reply = key.call("dev_run_filter", json!({"name": "all"})).await;
        assert_eq!(clean("saved filter", &reply), "ok", "{reply:?}");
    }

    pub async fn writes_within_a_filter(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "writes").await;
        let key = ocore
            .key(&["--filter", &format!("res.partner=[('function', '=', '{}'), ('is_company', 'in', [True, False])]", p.tag)]);
        let call = async |tool: &str, mut arguments: Value| {
            arguments["model"] = "res.partner".into();
            arguments["confirm"] = true.into();
            key.call(&format!("dev_{tool}"), arguments).await
        };
        call("write", json!({"ids": [p.shown], "values": {"street": "Elsewhere"}})).await.ok();
        assert_eq!(odoo.sql(&format!("SELECT street FROM res_partner WHERE id = {}", p.shown)), "Elsewhere");
        call("write", json!({"ids": [p.shown], "values": {"function": p.tag}})).await.ok();
        for (what, values) in [
            ("out of sight", json!({"function": "else"})),
            ("out of sight, empty", json!({"function": false})),
            ("padded", json!({"function": format!("{} ", p.tag)})),
            ("out of sight, no text", json!({"function": 7})),
        ] {
            let reply = call("write", json!({"ids": [p.shown], "values": values})).await;
            assert_eq!(clean(what, &reply), "record_denied", "{what}: {reply:?}");
        }
        assert_eq!(odoo.sql(&format!("SELECT function FROM res_partner WHERE id = {}", p.shown)), p.tag);
        for ids in [json!([p.hidden]), json!([p.shown, p.hidden])] {
            for (tool, arguments) in
                [("write", json!({"ids": ids, "values": {"street": "taken"}})), ("unlink", json!({"ids": ids}))]
            {
                let reply = call(tool, arguments).await;
                let code = clean(tool, &reply);
                assert!(["record_denied", "not_found"].contains(&code.as_str()), "{tool} {ids}: {reply:?}");
            }
        }
        assert_eq!(
            odoo.sql(&format!("SELECT count(*) FROM res_partner WHERE id IN ({}, {}) AND street <> 'taken'", p.shown, p.hidden)),
            "2"
        );
        for (what, values, code) in [
            ("undecided", json!({"name": "x"}), "record_denied"),
            ("half decided", json!({"name": "x", "function": p.tag}), "record_denied"),
            ("outside", json!({"name": "x", "function": "else", "is_company": true}), "record_denied"),
            ("within", json!({"name": "po made", "function": p.tag, "is_company": true}), "ok"),
        ] {
            let reply = call("create", json!({"values": values})).await;
            assert_eq!(clean(what, &reply), code, "{what}: {reply:?}");
            if code != "ok" {
                assert!(reply.body["next"].as_str().unwrap().contains("function"), "{reply:?}");
            }
        }
        let rows = json!([{"name": "po batch", "function": p.tag, "is_company": false}, {"name": "po batch", "function": "else", "is_company": false}]);
        let reply = call("batch_create", json!({"values_list": rows})).await;
        clean("batch", &reply);
        assert!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'po batch' AND function = 'else'") == "0");
        let reply = call("copy", json!({"id": p.shown})).await;
        assert_eq!(clean("copy", &reply), "record_denied");
        call("copy", json!({"id": p.shown, "default": {"function": p.tag, "is_company": true}})).await.ok();
        // A field that the filter's depends on by computation, and filters that look through other records.
        let through = ocore.key(&["--filter", "res.partner=[('country_id.code', '=', 'BE')]"]);
        let belgium: i64 = odoo.sql("SELECT id FROM res_country WHERE code = 'BE'").parse().unwrap();
        let france: i64 = odoo.sql("SELECT id FROM res_country WHERE code = 'FR'").parse().unwrap();
        for (what, arguments) in [
            ("the path's end", json!({"model": "res.country", "ids": [france], "values": {"code": "BX"}, "confirm": true})),
            (
                "the path's start",
                json!({"model": "res.partner", "ids": [p.shown], "values": {"country_id": belgium}, "confirm": true}),
            ),
        ] {
            let reply = through.call("dev_write", arguments).await;
            assert_eq!(clean(what, &reply), "record_denied", "{what}: {reply:?}");
        }
        assert_eq!(odoo.sql(&format!("SELECT code FROM res_country WHERE id = {france}")), "FR");
        through
            .call("dev_write", json!({"model": "res.country", "ids": [france], "values": {"phone_code": 33}, "confirm": true}))
            .await
            .ok();
    }

    pub async fn links_to_hidden_records(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "links").await;
        let key = ocore.key(&["--filter", &format!("res.partner=[('function', '=', '{}')]", p.tag)]);
        let order: i64 = odoo.sql("SELECT min(id) FROM sale_order WHERE state = 'draft'").parse().unwrap();
        for (what, model, id, values) in [
            ("link", "sale.order", order, json!({"partner_id": p.hidden})),
            ("link to what is not there", "sale.order", order, json!({"partner_id": 99_999_999})),
            ("parent", "res.partner", p.shown, json!({"parent_id": p.hidden})),
            ("take a child", "res.partner", p.shown, json!({"child_ids": [[4, p.hidden]]})),
            ("set children", "res.partner", p.shown, json!({"child_ids": [[6, 0, [p.hidden]]]})),
            ("change a child", "res.partner", p.shown, json!({"child_ids": [[1, p.hidden, {"street": "taken"}]]})),
            ("delete a child", "res.partner", p.shown, json!({"child_ids": [[2, p.hidden]]})),
            ("let go of a child", "res.partner", p.shown, json!({"child_ids": [[3, p.hidden]]})),
            ("make a child", "res.partner", p.shown, json!({"child_ids": [[0, 0, {"name": "x"}]]})),
            ("from a category", "res.partner.category", 1, json!({"partner_ids": [[4, p.hidden]]})),
            ("bare id", "res.partner.category", 1, json!({"partner_ids": [p.hidden]})),
        ] {
            let id = if model == "res.partner.category" {
                let made = mcp.call("dev_create", json!({"model": model, "values": {"name": format!("po {what}")}})).await.ok();
                made["id"].as_i64().or(made["ids"][0].as_i64()).unwrap()
            } else {
                id
            };
            let reply = key.call("dev_write", json!({"model": model, "ids": [id], "values": values, "confirm": true})).await;
            assert_eq!(clean(what, &reply), "record_denied", "{what}: {reply:?}");
        }
        assert_eq!(
            odoo.sql(&format!(
                "SELECT count(*) FROM res_partner WHERE id = {} AND parent_id IS NULL AND street = '{MARK}'",
                p.hidden
            )),
            "1"
        );
        // Visible ones may be linked.
        key.call("dev_write", json!({"model": "sale.order", "ids": [order], "values": {"partner_id": p.shown}, "confirm": true}))
            .await
            .ok();
        assert_eq!(odoo.sql(&format!("SELECT partner_id FROM sale_order WHERE id = {order}")), p.shown.to_string());
        let read =
            key.call("dev_read", json!({"model": "sale.order", "ids": [order], "fields": ["name", "partner_id"]})).await.ok();
        assert_eq!(read["records"][0]["partner_id"][0], p.shown, "{read}");
    }

    pub async fn resources(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "resources").await;
        let add = |args: &[&str]| {
            let mut all = vec!["resource", "add"];
            all.extend_from_slice(args);
            all.extend(["--org", "acme", "--json"]);
            ocore.cli(&all, "").ok().json()
        };
        let soon = async || tokio::time::sleep(Duration::from_secs(2)).await;
        let made = add(&["res.country", "res.currency", "--read-only"]);
        assert_eq!(made.as_array().unwrap().len(), 2);
        let filter =
            add(&["res.partner", "--instance", "dev", "--filter", &format!("[('function', '=', '{}')]", p.tag), "--no-delete"]);
        soon().await;
        // The full key is limited too: they are the organization's.
        let read = mcp.call("dev_search_read", json!({"model": "res.partner", "fields": ["name"]})).await;
        assert_eq!(clean("search", &read), "ok");
        assert_eq!(ids(&read.body), BTreeSet::from([p.shown, p.other, p.child]));
        let france: i64 = odoo.sql("SELECT id FROM res_country WHERE code = 'FR'").parse().unwrap();
        for (tool, arguments, code) in [
            (
                "write",
                json!({"model": "res.country", "ids": [france], "values": {"phone_code": 1}, "confirm": true}),
                "model_denied",
            ),
            ("create", json!({"model": "res.country", "values": {"name": "x", "code": "XX"}}), "model_denied"),
            ("unlink", json!({"model": "res.country", "ids": [france], "confirm": true}), "model_denied"),
            ("execute_method", json!({"model": "res.country", "method": "get_address_fields", "ids": [france]}), "model_denied"),
            ("write", json!({"model": "res.country.state", "ids": [1], "values": {"country_id": france}, "dry_run": true}), "ok"),
            ("unlink", json!({"model": "res.partner", "ids": [p.shown], "confirm": true}), "model_denied"),
            (
                "write",
                json!({"model": "res.country", "ids": [france], "values": {"state_ids": [[0, 0, {"name": "x", "code": "x"}]]}, "confirm": true}),
                "model_denied",
            ),
            ("read", json!({"model": "res.country", "ids": [france], "fields": ["code"]}), "ok"),
            (
                "execute_method",
                json!({"model": "sale.order", "method": "action_confirm", "ids": [1], "confirm": true}),
                "permission_denied",
            ),
            ("install_module", json!({"module": "note", "confirm": true}), "permission_denied"),
        ] {
            let reply = mcp.call(&format!("dev_{tool}"), arguments.clone()).await;
            assert_eq!(clean(tool, &reply), code, "{tool} {arguments}: {reply:?}");
        }
        assert_eq!(odoo.sql(&format!("SELECT phone_code FROM res_country WHERE id = {france}")), "33");
        // A key's own rule and the organization's both hold.
        let both = ocore.key(&["--filter", "res.partner=[('is_company', '=', True)]"]);
        let read = both.call("dev_search_read", json!({"model": "res.partner", "fields": ["name"]})).await;
        assert_eq!(clean("both", &read), "ok");
        assert_eq!(ids(&read.body), BTreeSet::from([p.shown]));
        // A company's rule holds for keys that may act in that company.
        add(&["res.bank", "--company", "1", "--no-read"]);
        soon().await;
        let elsewhere = ocore.key(&["--companies", "2"]);
        assert_eq!(clean("company", &mcp.call("dev_count", json!({"model": "res.bank"})).await), "model_denied");
        assert_ne!(clean("company", &elsewhere.call("dev_count", json!({"model": "res.bank"})).await), "model_denied");
        let listed = mcp.call("dev_list_models", json!({"search": "res."})).await.ok().to_string();
        assert!(listed.contains("\"res.country\"") && !listed.contains("\"res.bank\""), "{listed}");
        // What has no resource is refused when the organization says so.
        ocore.cli(&["org", "update", "acme", "--without-resource", "refuse"], "").ok();
        soon().await;
        for (model, code) in
            [("sale.order", "model_denied"), ("res.users", "model_denied"), ("res.country", "ok"), ("res.partner", "ok")]
        {
            let reply = mcp.call("dev_count", json!({"model": model})).await;
            assert_eq!(clean(model, &reply), code, "{reply:?}");
        }
        ocore.cli(&["org", "update", "acme", "--without-resource", "follow"], "").ok();
        ocore.cli(&["resource", "delete", filter[0]["id"].as_str().unwrap()], "").ok();
        soon().await;
        assert!(mcp.call("dev_count", json!({"model": "res.partner"})).await.ok()["count"].as_i64().unwrap() > 3);
    }

    /// A filter looks at other records, too: whoever could write these would choose what it hides.
    pub async fn filters_are_not_moved(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let make = async |model: &str, values: Value| -> i64 {
            let made = mcp.call("dev_create", json!({"model": model, "values": values, "confirm": true})).await.ok();
            made["id"].as_i64().or(made["ids"][0].as_i64()).unwrap_or_else(|| panic!("{made}"))
        };
        let demo: i64 = odoo.sql("SELECT id FROM res_users WHERE login = 'demo'").parse().unwrap();
        let admin: i64 = odoo.sql("SELECT id FROM res_users WHERE login = 'admin'").parse().unwrap();
        let product: i64 = odoo.sql("SELECT min(id) FROM product_product WHERE active").parse().unwrap();
        let partner = make("res.partner", json!({"name": "po moved"})).await;
        let order = make(
            "sale.order",
            json!({"partner_id": partner, "user_id": admin, "order_line": [[0, 0, {"product_id": product, "name": MARK, "price_unit": 700, "product_uom_qty": 1}]]}),
        )
        .await;
        let line: i64 = odoo.sql(&format!("SELECT id FROM sale_order_line WHERE order_id = {order}")).parse().unwrap();
        let ours = make("product.category", json!({"name": "po ours"})).await;
        let theirs = make("product.category", json!({"name": "po theirs"})).await;
        let template = make("product.template", json!({"name": MARK, "categ_id": theirs})).await;
        let team = make("crm.team", json!({"name": "po other team"})).await;
        let lead = make("crm.lead", json!({"name": MARK, "type": "opportunity", "team_id": team})).await;
        let sellers = format!("sale.order.line=[('salesman_id', '=', {demo})]");
        let below = format!("product.template=[('categ_id', 'child_of', [{ours}])]");
        let cases = [
            ("a related field", sellers.as_str(), ("sale.order.line", line), ("sale.order", order, json!({"user_id": demo}))),
            (
                "a computed field",
                "sale.order=[('amount_untaxed', '<', 0.5)]",
                ("sale.order", order),
                ("sale.order.line", line, json!({"price_unit": 0})),
            ),
            (
                "a hierarchy",
                below.as_str(),
                ("product.template", template),
                ("product.category", theirs, json!({"parent_id": ours})),
            ),
            (
                "a name",
                "crm.lead=[('team_id', 'ilike', 'po mine')]",
                ("crm.lead", lead),
                ("crm.team", team, json!({"name": "po mine"})),
            ),
        ];
        for (what, filter, (hidden, id), (model, other, values)) in cases {
            let key = ocore.key(&["--filter", filter]);
            let reply = key.call("dev_read", json!({"model": hidden, "ids": [id]})).await;
            clean(what, &reply);
            let reply = key.call("dev_write", json!({"model": model, "ids": [other], "values": values, "confirm": true})).await;
            assert_eq!(clean(what, &reply), "record_denied", "{what}: {reply:?}");
            let reply = key.call("dev_read", json!({"model": hidden, "ids": [id]})).await;
            clean(what, &reply);
            // What the filter does not look at is written as ever.
            let reply = key
                .call(
                    "dev_write",
                    json!({"model": "res.partner", "ids": [partner], "values": {"comment": what}, "confirm": true}),
                )
                .await;
            assert_eq!(clean(what, &reply), "ok", "{what}: {reply:?}");
        }
        assert_eq!(odoo.sql(&format!("SELECT amount_untaxed::int FROM sale_order WHERE id = {order}")), "700");

        // One whose value is the caller's choice, by language or company: not stored, and where it is, nothing is found.
        let translated = "product.template=[('name', 'not ilike', 'xyzzy')]";
        let args = ["key", "create", "--org", "acme", "--label", "floats", "--filter", translated];
        let refused = ocore.cli(&args, "");
        assert!(refused.code != 0 && refused.stderr.contains("translates"), "{refused:?}");
        let key = ocore.key(&["--filter", translated, "--no-check"]);
        for tool in
            [("count", json!({"model": "product.template"})), ("read", json!({"model": "product.template", "ids": [template]}))]
        {
            let reply = key.call(&format!("dev_{}", tool.0), tool.1).await;
            assert_eq!(clean("a translated field", &reply), "record_denied", "{reply:?}");
        }
        // A word that is no field hides nothing, and is not taken.
        for wrong in [
            ["--fields-deny", "res.partner.emial"],
            ["--fields-deny", "res.parner.email"],
            ["--filter", "res.partner=[('emial','=',1)]"],
        ] {
            let refused = ocore.cli(&[&args[..6], &wrong[..]].concat(), "");
            assert!(
                refused.code != 0 && (refused.stderr.contains("email") || refused.stderr.contains("res.partner")),
                "{refused:?}"
            );
        }
    }

    /// What Odoo makes out of hidden fields and records when it is asked to create, copy, delete or render something else.
    pub async fn copies_of_what_is_hidden(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let make = async |model: &str, values: Value| -> i64 {
            let made = mcp.call("dev_create", json!({"model": model, "values": values, "confirm": true})).await.ok();
            made["id"].as_i64().or(made["ids"][0].as_i64()).unwrap_or_else(|| panic!("{made}"))
        };
        let partner = make("res.partner", json!({"name": "po copied", "street": MARK, "city": MARK, "email": format!("{MARK}@example.com"), "ref": MARK, "function": MARK})).await;
        let product: i64 = odoo.sql("SELECT min(id) FROM product_product WHERE active").parse().unwrap();
        let order = make(
            "sale.order",
            json!({"partner_id": partner, "order_line": [[0, 0, {"product_id": product, "name": "po line", "price_unit": 7}]]}),
        )
        .await;
        let line: i64 = odoo.sql(&format!("SELECT id FROM sale_order_line WHERE order_id = {order}")).parse().unwrap();

        // A lead has its partner's address.
        let key = ocore.key(&["--fields-allow", "res.partner.name,res.partner.display_name"]);
        let made = key
            .call(
                "dev_create",
                json!({"model": "crm.lead", "values": {"name": "po lead", "partner_id": partner}, "confirm": true}),
            )
            .await;
        clean("making a lead", &made);
        let lead = make("crm.lead", json!({"name": "po lead", "partner_id": partner})).await;
        for field in ["street", "city", "function", "email_from", "contact_name", "partner_name"] {
            let reply = key.call("dev_read", json!({"model": "crm.lead", "ids": [lead], "fields": [field]})).await;
            clean(field, &reply);
        }
        let smart = key.call("dev_read", json!({"model": "crm.lead", "ids": [lead]})).await;
        assert_eq!(clean("smart fields", &smart), "ok");
        // The name of a line has its customer's reference.
        let key = ocore.key(&["--fields-deny", "res.partner.ref"]);
        let reply =
            key.call("dev_read", json!({"model": "sale.order.line", "ids": [line], "fields": ["id", "display_name"]})).await;
        clean("a line's name", &reply);
        // The names of states have their country's code.
        let state: i64 = odoo.sql("SELECT id FROM res_country_state WHERE code = 'CA' AND country_id = (SELECT id FROM res_country WHERE code = 'US')").parse().unwrap();
        let resident = make("res.partner", json!({"name": "po resident", "state_id": state})).await;
        let key = ocore.key(&["--fields-deny", "res.country.code"]);
        for arguments in [
            json!({"model": "res.partner", "ids": [resident], "fields": ["name", "state_id"]}),
            json!({"model": "res.country.state", "ids": [state], "fields": ["display_name"]}),
        ] {
            let reply = key.call("dev_read", arguments).await;
            clean("a state's name", &reply);
            assert!(!reply.text.contains("(US)"), "{reply:?}");
        }
        // What may not be read is told by nothing else either.
        let made = ocore.cli(&["resource", "add", "res.partner", "--org", "acme", "--no-read", "--json"], "").ok().json();
        until_ruled(mcp).await;
        let reply = mcp.call("dev_search_read", json!({"model": "res.users", "fields": ["login", "email"]})).await;
        assert_eq!(clean("an unread partner's e-mail", &reply), "field_denied", "{reply:?}");
        let reply = mcp.call("dev_count", json!({"model": "res.users", "domain": [["email", "ilike", "a"]]})).await;
        assert_eq!(clean("counting by it", &reply), "field_denied", "{reply:?}");
        let reply = mcp.call("dev_read", json!({"model": "crm.lead", "ids": [lead], "fields": ["street"]})).await;
        assert_eq!(clean("a lead of it", &reply), "field_denied", "{reply:?}");
        ocore.cli(&["resource", "delete", made[0]["id"].as_str().unwrap()], "").ok();

        // Copies and deletions take hidden lines along.
        let key = ocore.key(&["--filter", "sale.order.line=[('price_unit', '>', 1000)]"]);
        let orders = odoo.sql("SELECT count(*) FROM sale_order");
        let reply = key.call("dev_copy", json!({"model": "sale.order", "id": order, "confirm": true})).await;
        assert_eq!(clean("a copy", &reply), "record_denied", "{reply:?}");
        assert_eq!(odoo.sql("SELECT count(*) FROM sale_order"), orders);
        let bank =
            make("res.partner.bank", json!({"acc_number": format!("PO{partner}"), "partner_id": partner, "sequence": 777})).await;
        let key = ocore.key(&["--filter", "res.partner.bank=[('sequence', '=', 1)]"]);
        let reply = key.call("dev_unlink", json!({"model": "res.partner", "ids": [partner], "confirm": true})).await;
        assert_eq!(clean("a deletion", &reply), "record_denied", "{reply:?}");
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM res_partner_bank WHERE id = {bank}")), "1");
        // Wizards render templates over whatever they are given.
        let wizard = if odoo.version >= 17 { "account.move.send.wizard" } else { "mail.compose.message" };
        let key = ocore.key(&["--fields-deny", "account.move.amount_total"]);
        let reply = key.call("dev_create", json!({"model": wizard, "values": {}, "confirm": true})).await;
        assert_eq!(clean("a wizard", &reply), "model_denied", "{reply:?}");
        let reply = key.call("dev_create", json!({"model": "base.language.install", "values": {}, "confirm": true})).await;
        assert_eq!(clean("another wizard", &reply), "model_denied", "{reply:?}");
        // Twins are found among hidden records.
        let vat = "BE0477472701";
        let hidden = make("res.partner", json!({"name": MARK, "vat": vat, "is_company": true})).await;
        let key = ocore.key(&["--filter", "res.partner=[('function', '=', 'po-twins')]"]);
        let twin = key.call("dev_create", json!({"model": "res.partner", "values": {"name": "po twin", "function": "po-twins", "vat": vat, "is_company": true}, "confirm": true})).await.ok();
        let twin = twin["id"].as_i64().or(twin["ids"][0].as_i64()).unwrap();
        let reply = key.call("dev_read", json!({"model": "res.partner", "ids": [twin], "fields": ["same_vat_partner_id"]})).await;
        assert_eq!(clean("a twin", &reply), "field_denied", "{reply:?}");
        odoo.sql(&format!("DELETE FROM res_partner WHERE id IN ({hidden}, {twin})"));
    }

    /// A relation is told, searched and written from both of its sides; what is hidden or read-only on one is so on the other.
    pub async fn the_other_side(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "sides").await;
        let tag: i64 = {
            let made = mcp
                .call("dev_create", json!({"model": "res.partner.category", "values": {"name": "po side"}, "confirm": true}))
                .await
                .ok();
            made["id"].as_i64().or(made["ids"][0].as_i64()).unwrap()
        };
        let tags = |id: i64| {
            odoo.sql(&format!(
                "SELECT count(*) FROM res_partner_res_partner_category_rel WHERE partner_id = {id} AND category_id = {tag}"
            ))
        };
        let key = ocore.key(&["--fields-deny", "res.partner.parent_id,res.partner.category_id"]);
        for (what, tool, arguments) in [
            ("children", "read", json!({"model": "res.partner", "ids": [p.hidden], "fields": ["child_ids"]})),
            ("by children", "count", json!({"model": "res.partner", "domain": [["child_ids", "=", p.child]]})),
            ("a tag's partners", "read", json!({"model": "res.partner.category", "ids": [tag], "fields": ["partner_ids"]})),
            (
                "written",
                "write",
                json!({"model": "res.partner.category", "ids": [tag], "values": {"partner_ids": [[6, 0, [p.shown]]]}, "confirm": true}),
            ),
        ] {
            let reply = key.call(&format!("dev_{tool}"), arguments).await;
            assert_eq!(clean(what, &reply), "field_denied", "{what}: {reply:?}");
        }
        assert_eq!(tags(p.shown), "0");
        // Read-only partners are not written by their companies, nor tagged by their tags.
        let made = ocore.cli(&["resource", "add", "res.partner", "--org", "acme", "--read-only", "--json"], "").ok().json();
        until_ruled(mcp).await;
        let street =
            odoo.sql("SELECT coalesce(street, '') FROM res_partner WHERE id = (SELECT partner_id FROM res_company WHERE id = 1)");
        for (what, arguments) in [
            (
                "a company's street",
                json!({"model": "res.company", "ids": [1], "values": {"street": "po via company"}, "confirm": true}),
            ),
            (
                "a tag's partners",
                json!({"model": "res.partner.category", "ids": [tag], "values": {"partner_ids": [[4, p.shown]]}, "confirm": true}),
            ),
        ] {
            let reply = mcp.call("dev_write", arguments).await;
            assert_eq!(clean(what, &reply), "model_denied", "{what}: {reply:?}");
        }
        assert_eq!(
            odoo.sql("SELECT coalesce(street, '') FROM res_partner WHERE id = (SELECT partner_id FROM res_company WHERE id = 1)"),
            street
        );
        assert_eq!(tags(p.shown), "0");
        ocore.cli(&["resource", "delete", made[0]["id"].as_str().unwrap()], "").ok();
        // What others kept is shown to those who could run it.
        mcp.call("dev_save_filter", json!({"name": "po told", "model": "sale.order", "domain": [["partner_id.email", "=", format!("{MARK}@example.com")]]})).await.ok();
        mcp.call("dev_add_note", json!({"target_type": "field", "target": "res.users.email", "title": MARK, "body": MARK}))
            .await
            .ok();
        let key = ocore.key(&["--fields-deny", "res.partner.email"]);
        for tool in ["list_filters", "list_notes", "get_context"] {
            let reply = key.call(&format!("dev_{tool}"), json!({})).await;
            assert_eq!(clean(tool, &reply), "ok", "{reply:?}");
        }
    }

    pub async fn resources_by_command_line(_: &Odoo, ocore: &Ocore, _: &Mcp) {
        let cli = |args: &[&str]| ocore.cli(args, "");
        cli(&["org", "update", "acme", "--default-read-only", "on"]).ok();
        let made = cli(&["resource", "add", "crm.lead", "sale.order", "--org", "acme", "--json"]).ok().json();
        assert_eq!(made[0]["rule"]["read_only"], true);
        let made = cli(&["resource", "add", "res.bank", "--read-write", "--org", "acme", "--json"]).ok().json();
        assert_eq!(made[0]["rule"]["read_only"], false);
        let id = made[0]["id"].as_str().unwrap().to_owned();
        let again = cli(&["resource", "add", "res.bank", "--org", "acme", "--json"]);
        assert!(again.code != 0 && again.stderr.contains("conflict") && again.stderr.contains(&id), "{again:?}");
        cli(&["resource", "add", "res.bank", "--org", "acme", "--instance", "dev"]).ok();
        cli(&["resource", "add", "res.bank", "--org", "acme", "--company", "1"]).ok();
        let again = cli(&["resource", "add", "res.bank", "--org", "acme", "--company", "1"]);
        assert_ne!(again.code, 0, "{again:?}");
        for (what, args) in [
            ("unknown field", vec!["resource", "add", "res.partner", "--org", "acme", "--fields-deny", "emial"]),
            (
                "unknown field of a filter",
                vec!["resource", "add", "res.partner", "--org", "acme", "--filter", "[('emial', '=', 'x')]"],
            ),
            (
                "code in a filter",
                vec!["resource", "add", "res.partner", "--org", "acme", "--filter", "[('user_id', '=', user.id)]"],
            ),
            (
                "a path in a policy",
                vec!["resource", "add", "res.partner", "--org", "acme", "--no-check", "--fields-deny", "parent_id.email"],
            ),
            (
                "fields of two models",
                vec!["resource", "add", "res.partner", "res.users", "--org", "acme", "--no-check", "--fields-deny", "email"],
            ),
            ("no model", vec!["resource", "add", "res partner", "--org", "acme"]),
            ("no company", vec!["resource", "add", "res.partner", "--org", "acme", "--company", "0"]),
            ("no instance", vec!["resource", "add", "res.partner", "--org", "acme", "--instance", "nope"]),
            ("nothing to change", vec!["resource", "update", &id]),
            ("range", vec!["org", "update", "acme", "--max-records", "9"]),
            ("range", vec!["org", "update", "acme", "--max-search-limit", "50001"]),
        ] {
            let out = cli(&args);
            assert!(out.code != 0 && !out.stderr.is_empty(), "{what}: {out:?}");
        }
        let changed = cli(&["resource", "update", &id, "--read-only", "on", "--fields-deny", "bic", "--json"]).ok().json();
        assert_eq!((&changed["rule"]["read_only"], &changed["rule"]["fields"]["deny"][0]), (&json!(true), &json!("bic")));
        let changed = cli(&["resource", "update", &id, "--all-fields", "--read-only", "off", "--json"]).ok().json();
        assert_eq!(changed["rule"]["fields"], "all");
        let listed = cli(&["resource", "list", "--org", "acme"]).ok().stdout;
        assert!(listed.contains("crm.lead") && listed.contains("read only") && listed.contains("dev"), "{listed}");
        cli(&["resource", "delete", &id]).ok();
        assert_ne!(cli(&["resource", "show", &id]).code, 0);
        let log = cli(&["audit", "log", "--json"]).ok().stdout;
        for action in ["resource.create", "resource.update", "resource.delete", "organization.update"] {
            assert!(log.contains(action), "{action}: {log}");
        }
        // A field list is looked up in every Odoo that it is about; one that cannot be asked is told.
        cli(&["resource", "add", "res.lang", "--org", "acme", "--fields-allow", "name,code"]).ok();
    }

    pub async fn own_logins(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        odoo.user("po-seller", "po-seller-password", &[]);
        let listed = |label: &str| {
            let keys = ocore.cli(&["key", "list", "--org", "acme", "--json"], "").ok().json();
            keys.as_array().unwrap().iter().find(|k| k["label"] == label).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let key = ocore.key(&["--label", "seller"]);
        let id = listed("seller");
        let who = async |key: &Mcp| key.call("dev_count", json!({"model": "sale.order"})).await;
        who(&key).await.ok();
        let wrong =
            ocore.cli(&["key", "credential", &id, "--instance", "dev", "--login", "po-seller", "--secret-stdin"], "wrong\n");
        assert_ne!(wrong.code, 0, "{wrong:?}");
        ocore
            .cli(
                &["key", "credential", &id, "--instance", "dev", "--login", "po-seller", "--secret-stdin"],
                "po-seller-password\n",
            )
            .ok();
        let shown = ocore.cli(&["key", "credential", &id], "").ok().stdout;
        assert!(shown.contains("po-seller") && shown.contains("dev") && !shown.contains("po-seller-password"), "{shown}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Odoo's own rights of that user hold, and the key is a restricted one here.
        let refused = who(&key).await;
        assert!(refused.is_error && refused.body["code"] == "odoo_error", "{refused:?}");
        key.call("dev_count", json!({"model": "res.partner"})).await.ok();
        let made = key
            .call("dev_execute_method", json!({"model": "res.partner", "method": "action_archive", "ids": [1], "confirm": true}))
            .await;
        assert_eq!(made.body["code"], "permission_denied", "{made:?}");
        who(mcp).await.ok();
        // Odoo refuses it: the key does not fall back to the instance's own.
        ocore
            .cli(
                &["key", "credential", &id, "--instance", "dev", "--login", "po-seller", "--secret-stdin", "--no-check"],
                "wrong\n",
            )
            .ok();
        tokio::time::sleep(Duration::from_secs(2)).await;
        for _ in 0..3 {
            let refused = key.call("dev_count", json!({"model": "res.partner"})).await;
            assert!(refused.is_error, "it fell back: {refused:?}");
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        let shown = ocore.cli(&["key", "credential", &id], "").ok().stdout;
        assert!(shown.contains("refused"), "{shown}");
        mcp.call("dev_count", json!({"model": "res.partner"})).await.ok();
        ocore.cli(&["key", "credential", &id, "--instance", "dev", "--remove"], "").ok();
        tokio::time::sleep(Duration::from_secs(2)).await;
        who(&key).await.ok();
        let again = ocore.cli(&["key", "credential", &id, "--instance", "dev", "--remove"], "");
        assert_ne!(again.code, 0);
        let log = ocore.cli(&["audit", "log", "--json"], "").ok().stdout;
        assert!(
            log.contains("api_key.set_login") && log.contains("api_key.remove_login") && !log.contains("po-seller-password"),
            "{log}"
        );
    }

    /// Random questions, asked by a key with hidden fields and records and by a full key that adds the filter itself: the answers are the
    /// same, or the first is refused. No mark comes back, in whatever way it is asked for.
    pub async fn what_random_calls_learn(_: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let p = plant(mcp, "random").await;
        let filter = json!(["function", "=", p.tag]);
        let text = format!("res.partner=[('function', '=', '{}')]", p.tag);
        let key = ocore.key(&["--filter", &text, "--fields-deny", "res.partner.email,res.partner.street"]);
        let seed = std::env::var("OCORE_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_260_101_u64);
        let mut dice = Dice(seed);
        let (mut answered, mut refused) = (0, 0);
        for round in 0..240 {
            let model = *dice.pick(&["res.partner", "res.partner", "res.users", "sale.order", "res.country"]);
            let paths = paths_of(model);
            let domain = dice.domain(&paths, &p);
            let mine = model == "res.partner";
            let mut with_filter = if mine { vec![filter.clone()] } else { Vec::new() };
            with_filter.extend(domain.iter().cloned());
            let (tool, common) = match dice.below(5) {
                0 => ("dev_count", json!({})),
                1 => {
                    let by = dice.pick(&paths).split('.').next().unwrap_or_default().to_owned();
                    ("dev_aggregation", json!({"operation": "group_by", "groupby": [by], "limit": 50}))
                }
                2 => ("dev_distinct_field_values", json!({"fields": [dice.pick(&paths).split('.').next()], "limit": 50})),
                _ => {
                    let fields: BTreeSet<String> =
                        (0..=dice.below(3)).map(|_| dice.pick(&paths).split('.').next().unwrap_or_default().to_owned()).collect();
                    let order = if dice.below(3) == 0 {
                        format!("{} desc, id", dice.pick(&paths).split('.').next().unwrap_or_default())
                    } else {
                        "id".to_owned()
                    };
                    ("dev_search_read", json!({"fields": fields, "order": order, "limit": 50}))
                }
            };
            let mut limited = common.clone();
            (limited["model"], limited["domain"]) = (model.into(), domain.clone().into());
            let mut full = common;
            (full["model"], full["domain"]) = (model.into(), with_filter.into());
            let what = format!("seed {seed}, round {round}: {tool} {limited}");
            let reply = key.call(tool, limited).await;
            // A refusal tells a path back, never a value.
            let code = clean(&what, &reply);
            if code != "ok" {
                refused += 1;
                assert!(
                    ["field_denied", "record_denied", "model_denied", "invalid_argument", "odoo_error", "not_supported"]
                        .contains(&code.as_str()),
                    "{what}: {reply:?}"
                );
                continue;
            }
            answered += 1;
            let whole = mcp.call(tool, full).await;
            assert!(!whole.is_error, "{what}: the full key is refused: {whole:?}");
            assert_eq!(bare(&reply.body), bare(&whole.body), "{what}");
        }
        assert!(answered > 40 && refused > 40, "{answered} answered, {refused} refused");
    }
}

/// Paths that are asked about; some end at what is hidden or lead through it.
fn paths_of(model: &str) -> Vec<&'static str> {
    match model {
        "res.partner" => vec![
            "name",
            "ref",
            "function",
            "is_company",
            "email",
            "street",
            "email_normalized",
            "email_formatted",
            "contact_address",
            "display_name",
            "parent_id",
            "parent_id.name",
            "parent_id.email",
            "child_ids",
            "child_ids.name",
            "country_id",
            "country_id.code",
            "user_id",
            "user_id.login",
            "commercial_partner_id",
            "commercial_company_name",
            "create_date",
            "active",
            "company_id",
            "category_id",
            "category_id.name",
        ],
        "res.users" => vec![
            "login",
            "name",
            "email",
            "partner_id",
            "partner_id.name",
            "partner_id.street",
            "active",
            "company_id",
            "share",
            "create_date",
        ],
        "sale.order" => vec![
            "name",
            "state",
            "partner_id",
            "partner_id.name",
            "partner_id.email",
            "partner_id.country_id.code",
            "partner_id.parent_id",
            "amount_total",
            "user_id",
            "user_id.partner_id.name",
            "date_order",
            "company_id",
            "company_id.partner_id.street",
            "company_id.name",
        ],
        _ => vec!["name", "code", "currency_id", "currency_id.name", "state_ids.name", "phone_code"],
    }
}

/// What both keys must agree on: names of records may shrink to their ids, and notes differ.
fn bare(body: &Value) -> Value {
    match body {
        Value::Object(map) => map
            .iter()
            .filter(|(k, _)| !matches!(k.as_str(), "notes" | "label" | "next" | "display_name"))
            .map(|(k, v)| (k.clone(), bare(v)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => match list.as_slice() {
            [id, Value::String(_)] if id.is_i64() => id.clone(),
            list => list.iter().map(bare).collect(),
        },
        other => other.clone(),
    }
}

/// Repeatable random numbers.
struct Dice(u64);
impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).unwrap()
    }
    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len());
        &of[at]
    }
    fn leaf(&mut self, paths: &[&str], p: &Planted) -> Value {
        let path = *self.pick(paths);
        let last = path.rsplit('.').next().unwrap();
        if self.below(12) == 0 {
            return json!(["id", *self.pick(&["child_of", "parent_of", "=", "in"]), [p.hidden, p.shown, p.child]])
                .as_array()
                .map(|l| if l[1] == "=" { json!(["id", "=", p.hidden]) } else { Value::Array(l.clone()) })
                .unwrap();
        }
        if last.ends_with("_id") || last.ends_with("_ids") {
            return match self.below(4) {
                0 => json!([path, "=", false]),
                1 => json!([path, "in", [p.hidden, p.shown, 1]]),
                2 => json!([path, "!=", false]),
                _ => json!([path, "ilike", "a"]),
            };
        }
        match last {
            "is_company" | "active" | "share" => json!([path, "=", self.below(2) == 0]),
            "create_date" | "date_order" => json!([path, *self.pick(&["<", ">"]), "2026-01-01 00:00:00"]),
            "amount_total" | "phone_code" => json!([path, *self.pick(&["<", ">="]), self.below(1000)]),
            "state" => json!([path, *self.pick(&["=", "!="]), "draft"]),
            _ => json!([
                path,
                *self.pick(&["ilike", "not ilike", "=", "!=", "=like"]),
                *self.pick(&["a", "Shown%", "Other", "xyzzy", "e"])
            ]),
        }
    }
    /// A domain of up to three conditions.
    fn domain(&mut self, paths: &[&str], p: &Planted) -> Vec<Value> {
        let mut out = Vec::new();
        match self.below(5) {
            0 => {}
            1 => out.push(self.leaf(paths, p)),
            2 => out.extend([json!("|"), self.leaf(paths, p), self.leaf(paths, p)]),
            3 => out.extend([json!("!"), self.leaf(paths, p), self.leaf(paths, p)]),
            _ => out.extend([json!("|"), json!("!"), self.leaf(paths, p), json!("&"), self.leaf(paths, p), self.leaf(paths, p)]),
        }
        out
    }
}
