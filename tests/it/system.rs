//! Users, groups, access rights, system parameters and scheduled actions on both real Odoos, in a database of their own: what
//! is changed here (users, passwords, parameters, running jobs) must not meet other tests. The witness is Odoo's database, or
//! Odoo itself asked as the user whom it concerns.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, on_both_of_our_own, own, run};

on_both_of_our_own!(
    "system", crate::harness::Odoo::fresh;
    users,
    groups_of_users,
    activating,
    passwords,
    replacing_groups,
    access_rights,
    reading_parameters,
    setting_parameters,
    listing_jobs,
    toggling_jobs,
    running_jobs,
    long_jobs,
    system_users_are_protected,
    hostile_ids,
    who_may,
);

/// Odoo itself, asked by `/jsonrpc` as one of its users, past ocore.
struct Direct {
    http: reqwest::Client,
    odoo: Odoo,
    password: String,
    uid: i64,
}
impl Direct {
    async fn ask(http: &reqwest::Client, odoo: &Odoo, service: &str, method: &str, args: Value) -> Result<Value, String> {
        let body =
            json!({"jsonrpc": "2.0", "method": "call", "id": 1, "params": {"service": service, "method": method, "args": args}});
        let answer = http
            .post(format!("{}/jsonrpc", odoo.url))
            .header("X-Odoo-Database", &odoo.database)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await;
        let answer: Value = serde_json::from_str(&answer.expect("Odoo answers").text().await.unwrap()).expect("JSON");
        match answer.get("error") {
            Some(error) => Err(error["data"]["message"].as_str().unwrap_or("no message").to_owned()),
            None => Ok(answer.get("result").cloned().unwrap_or(Value::Null)),
        }
    }
    /// None when Odoo refuses the login.
    async fn sign_in(odoo: &Odoo, login: &str, password: &str) -> Option<Self> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let uid =
            Self::ask(&http, odoo, "common", "authenticate", json!([odoo.database, login, password, {}])).await.ok()?.as_i64()?;
        Some(Self { http, odoo: odoo.clone(), password: password.to_owned(), uid })
    }
    async fn admin(odoo: &Odoo) -> Self {
        Self::sign_in(odoo, "admin", "admin").await.expect("the administrator signs in")
    }
    async fn call(&self, model: &str, method: &str, args: Value, kwargs: Value) -> Result<Value, String> {
        let args = json!([self.odoo.database, self.uid, self.password, model, method, args, kwargs]);
        Self::ask(&self.http, &self.odoo, "object", "execute_kw", args).await
    }
    /// The id of an XML id.
    async fn id(&self, xml_id: &str) -> i64 {
        let (module, name) = xml_id.split_once('.').unwrap();
        let domain = json!([["module", "=", module], ["name", "=", name]]);
        let found = self.call("ir.model.data", "search_read", json!([domain, ["res_id"]]), json!({})).await.unwrap();
        found[0]["res_id"].as_i64().unwrap_or_else(|| panic!("no {xml_id}"))
    }
    fn groups_field(&self) -> &'static str {
        if self.odoo.version >= 19 { "group_ids" } else { "groups_id" }
    }
    /// A user with exactly these groups.
    async fn user(&self, login: &str, password: &str, groups: &[&str]) -> i64 {
        let mut ids = Vec::new();
        for group in groups {
            ids.push(self.id(group).await);
        }
        let mut values = json!({"name": format!("The {login}"), "login": login, "password": password});
        values[self.groups_field()] = json!([[6, 0, ids]]);
        let made =
            self.call("res.users", "create", json!([values]), json!({"context": {"no_reset_password": true}})).await.unwrap();
        made.as_i64().or_else(|| made[0].as_i64()).unwrap()
    }
    /// A scheduled action that runs this code on res.partner, disabled.
    async fn job(&self, name: &str, code: &str) -> i64 {
        let found = self.call("ir.model", "search", json!([[["model", "=", "res.partner"]]]), json!({})).await.unwrap();
        let mut values = json!({"name": name, "model_id": found[0], "state": "code", "code": code, "interval_number": 3,
            "interval_type": "hours", "active": false, "nextcall": "2099-01-01 00:00:00"});
        if self.odoo.version < 18 {
            values["numbercall"] = (-1).into();
        }
        let made = self.call("ir.cron", "create", json!([values]), json!({})).await.unwrap();
        made.as_i64().or_else(|| made[0].as_i64()).unwrap()
    }
}
fn id(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("no id: {value}"))
}
fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// The tools by a credential that is an ordinary administrator's of its own, in every dialect: it may not saw off the branch it
/// sits on.
#[test]
fn the_login_of_ocore_itself_stays() {
    for (version, dialect) in [(19, "session"), (19, "json2"), (14, "jsonrpc")] {
        let Some(odoo) = Odoo::fresh(version, &format!("system_{dialect}")) else { return };
        run(async {
            let admin = Direct::admin(&odoo).await;
            let boss = admin.user("boss", "boss-password", &["base.group_user", "base.group_system"]).await;
            let ann = admin.user("ann", "ann-password", &["base.group_user"]).await;
            let secret = if dialect == "session" { "boss-password".to_owned() } else { odoo.api_key("boss") };
            let mut ocore = Ocore::new();
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
            let rest = ["--login", "boss", "--secret-stdin", "--environment", "development", "--dialect", dialect];
            ocore.cli(&[&args[..], &rest[..]].concat(), &format!("{secret}\n")).ok();
            let mcp = ocore.serve().key(&[]).on(version);
            let mut told = Vec::new();
            told.push(
                mcp.call("dev_set_user_active", json!({"user_id": boss, "active": false, "confirm": true}))
                    .await
                    .refused("record_denied"),
            );
            told.push(
                mcp.call("dev_set_user_password", json!({"user_id": boss, "password": "another-one", "confirm": true}))
                    .await
                    .refused("record_denied"),
            );
            let less = json!({"user_id": boss, "groups": ["base.group_user"], "confirm": true});
            told.push(mcp.call("dev_set_user_groups", less.clone()).await.refused("record_denied"));
            told.push(
                mcp.call("dev_set_user_groups", json!({"user_id": boss, "groups": ["base.group_user"], "dry_run": true}))
                    .await
                    .refused("record_denied"),
            );
            for refused in told {
                assert!(
                    refused["message"].as_str().unwrap().contains("boss")
                        && refused["message"].as_str().unwrap().contains("ocore"),
                    "{refused}"
                );
            }
            assert_eq!(odoo.sql(&format!("SELECT active FROM res_users WHERE id = {boss}")), "t");
            assert!(Direct::sign_in(&odoo, "boss", "boss-password").await.is_some());
            let more =
                json!({"user_id": boss, "groups": ["base.group_system", "sales_team.group_sale_manager"], "confirm": true});
            mcp.call("dev_set_user_groups", more).await.ok();
            // The same tools on another user, by the same dialect.
            let groups = mcp
                .call(
                    "dev_set_user_groups",
                    json!({"user_id": ann, "groups": ["sales_team.group_sale_manager"], "confirm": true}),
                )
                .await
                .ok();
            assert_eq!(groups["user_type"], "internal", "{dialect}: {groups}");
            mcp.call("dev_set_user_password", json!({"user_id": ann, "password": "ann-new-password", "confirm": true}))
                .await
                .ok();
            assert!(Direct::sign_in(&odoo, "ann", "ann-new-password").await.is_some(), "{dialect}");
            mcp.call("dev_set_user_active", json!({"user_id": ann, "active": false, "confirm": true})).await.ok();
            assert!(Direct::sign_in(&odoo, "ann", "ann-new-password").await.is_none(), "{dialect}");
            let told = mcp.call("dev_user_groups", json!({"user_id": ann})).await.ok();
            assert!(list(&told["groups"]).iter().any(|g| g["xml_id"] == "sales_team.group_sale_manager"), "{dialect}: {told}");
            let rights = mcp.call("dev_user_access_rights", json!({"user_id": ann, "model": "sale.order"})).await.ok();
            assert_eq!(rights["can_unlink"], true, "{dialect}: {rights}");
            mcp.call("dev_set_system_parameter", json!({"key": "ocore.test", "value": dialect, "confirm": true})).await.ok();
            assert_eq!(odoo.sql("SELECT value FROM ir_config_parameter WHERE key = 'ocore.test'"), dialect);
            let job = admin.job("By dialect", "env['res.partner'].create({'name': 'made by dialect'})").await;
            mcp.call("dev_toggle_scheduled_action", json!({"action_id": job, "active": true})).await.ok();
            mcp.call("dev_run_scheduled_action", json!({"action_id": job, "confirm": true})).await.ok();
            assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'made by dialect'"), "1", "{dialect}");
            let broken = admin.job("Broken by dialect", "raise Exception('it broke by dialect')").await;
            let failed =
                mcp.call("dev_run_scheduled_action", json!({"action_id": broken, "confirm": true})).await.refused("odoo_error");
            assert!(failed["message"].as_str().unwrap().contains("it broke by dialect"), "{dialect}: {failed}");
        });
    }
}

/// kill -9 while a job runs: Odoo goes on, and what took over tells that it ended.
#[test]
fn a_job_outlives_the_ocore_that_triggered_it() {
    let Some((odoo, mut ocore, mcp)) = own(19, "system", crate::harness::Odoo::fresh) else { return };
    run(async {
        let admin = Direct::admin(&odoo).await;
        let code = "env.cr.execute('SELECT pg_sleep(4)')\nenv['res.partner'].create({'name': 'made without ocore'})";
        let job = admin.job("Sy outliving job", code).await;
        let call = json!({"action_id": job, "confirm": true, "timeout_seconds": 2});
        let running = mcp.call("dev_run_scheduled_action", call).await.ok();
        assert_eq!(running["operation"]["state"], "running", "{running}");
        ocore.stop("KILL");
        ocore.serve();
        let mcp = Mcp::new(&ocore.url, &mcp.key);
        // The lease of the one that died has to run out first.
        let mut ended = running;
        for _ in 0..30 {
            let call = json!({"action_id": job, "confirm": true, "timeout_seconds": 3});
            ended = mcp.call("dev_run_scheduled_action", call).await.ok();
            if ended.get("operation").is_none() {
                break;
            }
        }
        assert_eq!(ended["ran"], true, "{ended}");
        assert!(ended["notes"].to_string().contains("ocore was stopped"), "{ended}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'made without ocore'"), "1", "and it ran once");
    });
}

mod checks {
    use super::{BTreeSet, Direct, Mcp, Ocore, Odoo, Value, id, json, list};

    pub async fn users(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        for n in 0..3 {
            admin.user(&format!("listed{n}"), "listed-password", &["base.group_user"]).await;
        }
        let gone = admin.user("listed-gone", "listed-password", &["base.group_portal"]).await;
        admin.call("res.users", "write", json!([[gone], {"active": false}]), json!({})).await.unwrap();
        assert!(Direct::sign_in(odoo, "listed1", "listed-password").await.is_some());
        let page = mcp.call("dev_list_users", json!({"search": "listed", "limit": 2})).await.ok();
        let logins =
            |answer: &Value| list(&answer["users"]).iter().map(|u| u["login"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(logins(&page), ["listed0", "listed1"], "{page}");
        assert_eq!((&page["total"], &page["next_offset"], &page["count"]), (&json!(3), &json!(2), &json!(2)), "{page}");
        let rest = mcp.call("dev_list_users", json!({"search": "listed", "limit": 2, "offset": 2})).await.ok();
        assert_eq!(logins(&rest), ["listed2"]);
        assert!(rest.get("next_offset").is_none() && rest["total"] == 3, "{rest}");
        let users = list(&page["users"]);
        assert!(users[0].get("last_login").is_none() && users[1]["last_login"].is_string(), "only listed1 has signed in: {page}");
        assert_eq!(
            (&users[0]["active"], &users[0]["share"], &users[0]["company_id"]),
            (&json!(true), &json!(false), &json!(1)),
            "{page}"
        );
        let known: BTreeSet<&str> = ["id", "login", "name", "active", "last_login", "share", "company_id", "company"].into();
        assert!(
            users.iter().all(|u| u.as_object().unwrap().keys().all(|k| known.contains(k.as_str()))),
            "no other field: {page}"
        );
        let archived = mcp.call("dev_list_users", json!({"search": "listed", "active": "false"})).await.ok();
        assert_eq!(logins(&archived), ["listed-gone"]);
        assert_eq!(
            (&archived["users"][0]["share"], &archived["users"][0]["active"]),
            (&json!(true), &json!(false)),
            "{archived}"
        );
        assert_eq!(mcp.call("dev_list_users", json!({"search": "listed", "active": "all"})).await.ok()["total"], 4);
        assert_eq!(mcp.call("dev_list_users", json!({"search": "listed", "active": true})).await.ok()["total"], 3);
        // Other tests make users meanwhile.
        let count = || odoo.sql("SELECT count(*) FROM res_users").parse::<i64>().unwrap();
        let (before, all) = (count(), mcp.call("dev_list_users", json!({"active": "all", "limit": 500})).await.ok());
        assert!((before..=count()).contains(&id(&all["total"])), "{all}");
        assert!(logins(&all).contains(&"__system__".to_owned()), "{all}");
        // What is searched for is data.
        for search in ["'; DROP TABLE res_users; --", "\" OR 1=1", "%'", "\\", "{{7*7}}", "[('id', '>', 0)]", "𝕏💥"] {
            let found = mcp.call("dev_list_users", json!({"search": search})).await.ok();
            assert_eq!(found["count"], 0, "{search}: {found}");
        }
        assert!(count() >= before, "the table is there, with all that was in it");
        for bad in [
            json!({"search": "a\u{0}b"}),
            json!({"search": "x".repeat(201)}),
            json!({"search": ["admin"]}),
            json!({"active": "maybe"}),
            json!({"active": 1}),
            json!({"limit": 0}),
            json!({"limit": 5000}),
            json!({"limit": -1}),
            json!({"offset": -1}),
            json!({"fields": ["password"]}),
            json!({"domain": []}),
        ] {
            mcp.call("dev_list_users", bad.clone()).await.refused("invalid_argument");
        }
    }

    pub async fn groups_of_users(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let user = admin.user("grouped", "grouped-password", &["base.group_user", "sales_team.group_sale_manager"]).await;
        let told = mcp.call("dev_user_groups", json!({"user_id": user})).await.ok();
        assert_eq!((&told["user"]["login"], &told["user_type"]), (&json!("grouped"), &json!("internal")), "{told}");
        let groups = list(&told["groups"]);
        let field = if odoo.version >= 19 { "all_group_ids" } else { "groups_id" };
        let odoos = admin.call("res.users", "read", json!([[user], [field]]), json!({})).await.unwrap();
        let theirs: BTreeSet<i64> = list(&odoos[0][field]).iter().map(id).collect();
        assert_eq!(groups.iter().map(|g| id(&g["id"])).collect::<BTreeSet<_>>(), theirs, "{told}");
        let explicit: BTreeSet<&str> =
            groups.iter().filter(|g| g["membership"] == "explicit").map(|g| g["xml_id"].as_str().unwrap()).collect();
        if odoo.version >= 19 {
            let stored: BTreeSet<i64> = odoo
                .sql(&format!("SELECT gid FROM res_groups_users_rel WHERE uid = {user}"))
                .lines()
                .map(|l| l.parse().unwrap())
                .collect();
            let ours: BTreeSet<i64> = groups.iter().filter(|g| g["membership"] == "explicit").map(|g| id(&g["id"])).collect();
            assert_eq!(ours, stored, "{told}");
            assert!(told.get("notes").is_none(), "{told}");
        } else {
            assert!(explicit.contains("sales_team.group_sale_manager") && !explicit.contains("base.group_user"), "{told}");
            assert!(told["notes"][0].as_str().unwrap().contains("implied"), "{told}");
        }
        let manager = groups.iter().find(|g| g["xml_id"] == "sales_team.group_sale_manager").unwrap();
        let full = manager["full_name"].as_str().unwrap();
        let category = manager["category"].as_str().unwrap();
        assert!(full.ends_with("/ Administrator") && full.starts_with(category), "{manager}");
        let known = odoo.sql("SELECT res_id || ' ' || module || '.' || name FROM ir_model_data WHERE model = 'res.groups'");
        let known: BTreeSet<&str> = known.lines().collect();
        for group in groups {
            assert!(known.contains(format!("{} {}", group["id"], group["xml_id"].as_str().unwrap()).as_str()), "{group}");
        }
        // An archived user has groups too.
        let template = admin.id("base.template_portal_user_id").await;
        let told = mcp.call("dev_user_groups", json!({"user_id": template.to_string()})).await.ok();
        assert_eq!((&told["user_type"], &told["user"]["active"]), (&json!("portal"), &json!(false)), "{told}");
        // A group that was made in Odoo has no XML id.
        let made = admin.call("res.groups", "create", json!([{"name": "Made by hand"}]), json!({})).await.unwrap();
        let made = made.as_i64().unwrap_or_else(|| id(&made[0]));
        admin.call("res.users", "write", json!([[user], {(admin.groups_field()): [[4, made]]}]), json!({})).await.unwrap();
        let told = mcp.call("dev_user_groups", json!({"user_id": user})).await.ok();
        let by_hand = list(&told["groups"]).iter().find(|g| id(&g["id"]) == made).unwrap().clone();
        assert!(by_hand.get("xml_id").is_none() && by_hand["full_name"] == "Made by hand", "{by_hand}");
    }

    pub async fn activating(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let user = admin.user("switched", "switched-password", &["base.group_user"]).await;
        let active = || odoo.sql(&format!("SELECT active FROM res_users WHERE id = {user}"));
        assert!(Direct::sign_in(odoo, "switched", "switched-password").await.is_some());
        let job = admin.job("Of switched", "pass").await;
        admin.call("ir.cron", "write", json!([[job], {"user_id": user, "active": true}]), json!({})).await.unwrap();
        let off = json!({"user_id": user, "active": false});
        let warned = mcp.call("dev_set_user_active", off.clone()).await.refused("confirm_required");
        assert!(warned["message"].as_str().unwrap().contains("deactivate The switched (switched, id"), "{warned}");
        assert!(warned["plan"]["warnings"].to_string().contains("1 active scheduled actions run as this user"), "{warned}");
        assert_eq!((warned["plan"]["affected"].clone(), active().as_str()), (json!(1), "t"), "{warned}");
        mcp.call("dev_set_user_active", json!({"user_id": user, "active": false, "dry_run": true, "confirm": true})).await.ok();
        assert_eq!(active(), "t", "a plan changes nothing");
        let mut tokened = off.clone();
        tokened["confirm_token"] = warned["confirm_token"].clone();
        let done = mcp.call("dev_set_user_active", tokened).await.ok();
        assert_eq!((&done["user"]["active"], &done["changed"], active().as_str()), (&json!(false), &json!(true), "f"), "{done}");
        assert!(Direct::sign_in(odoo, "switched", "switched-password").await.is_none());
        let mut again = off;
        again["confirm"] = true.into();
        assert_eq!(mcp.call("dev_set_user_active", again).await.ok()["changed"], false);
        let back = mcp.call("dev_set_user_active", json!({"user_id": user, "active": true, "confirm": true})).await.ok();
        assert_eq!((&back["user"]["active"], active().as_str()), (&json!(true), "t"), "{back}");
        assert!(Direct::sign_in(odoo, "switched", "switched-password").await.is_some(), "the password is the one it had");
        mcp.call("dev_set_user_active", json!({"user_id": user})).await.refused("invalid_argument");
        mcp.call("dev_set_user_active", json!({"user_id": user, "active": "no"})).await.refused("invalid_argument");
    }

    /// One sign-in by a browser's session: its cookie.
    async fn session(odoo: &Odoo, login: &str, password: &str) -> (reqwest::Client, String) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({"jsonrpc": "2.0", "params": {"db": odoo.database, "login": login, "password": password}});
        let answer = http
            .post(format!("{}/web/session/authenticate", odoo.url))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let cookies =
            answer.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap().split(';').next().unwrap().to_owned());
        let cookie = cookies.collect::<Vec<_>>().join("; ");
        (http, cookie)
    }
    async fn signed_in(odoo: &Odoo, (http, cookie): &(reqwest::Client, String)) -> bool {
        let body = json!({"jsonrpc": "2.0", "params": {"model": "res.users", "method": "context_get", "args": [], "kwargs": {}}});
        let url = format!("{}/web/dataset/call_kw", odoo.url);
        let answer = http
            .post(url)
            .header("cookie", cookie)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
        answer["result"].is_object()
    }

    pub async fn passwords(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let user = admin.user("keyed", "keyed-password", &["base.group_user"]).await;
        let key = odoo.api_key("keyed");
        let browser = session(odoo, "keyed", "keyed-password").await;
        assert!(signed_in(odoo, &browser).await);
        // Bad ones: what is told of them does not repeat them.
        for bad in
            ["Sh0rt-p", " lead-with-space", "tail-with-space ", "with\u{0}nul-in-it", "with\nline-in-it", &"Long-".repeat(300)]
        {
            let refused = mcp.call("dev_set_user_password", json!({"user_id": user, "password": bad, "confirm": true})).await;
            assert!(!refused.text.contains(bad.trim()) && !refused.body.to_string().contains(bad.trim()), "{refused:?}");
            let told = refused.refused("invalid_argument");
            assert!(told["message"].as_str().unwrap().contains("8 to 1000"), "{told}");
        }
        for bad in [json!(1_234_567_890_123_i64), json!(["secret-in-list"]), json!({"secret-in": "an-object"}), json!(true)] {
            let refused = mcp.call("dev_set_user_password", json!({"user_id": user, "password": bad, "confirm": true})).await;
            let told = refused.refused("invalid_argument").to_string();
            assert!(!told.contains("1234567890123") && !told.contains("secret-in"), "{told}");
        }
        mcp.call("dev_set_user_password", json!({"user_id": user})).await.refused("invalid_argument");
        assert!(Direct::sign_in(odoo, "keyed", "keyed-password").await.is_some(), "nothing of this was set");
        let new = "N€w-Pässwört-🔑";
        let call = json!({"user_id": user, "password": new});
        let planned = mcp.call("dev_set_user_password", call.clone()).await.refused("confirm_required");
        assert!(
            planned["plan"]["warnings"].to_string().contains("sessions end")
                && planned["plan"]["warnings"].to_string().contains("API keys"),
            "{planned}"
        );
        assert!(!planned.to_string().contains(new), "{planned}");
        let planned = mcp.call("dev_set_user_password", json!({"user_id": user, "password": new, "dry_run": true})).await.ok();
        assert!(!planned.to_string().contains(new), "{planned}");
        assert!(Direct::sign_in(odoo, "keyed", new).await.is_none(), "a plan changes nothing");
        let mut confirmed = call.clone();
        confirmed["confirm"] = true.into();
        let done = mcp.call("dev_set_user_password", confirmed).await;
        assert!(!done.text.contains(new) && !done.body.to_string().contains(new), "{done:?}");
        assert_eq!(done.ok()["user"]["login"], "keyed");
        assert!(Direct::sign_in(odoo, "keyed", new).await.is_some(), "the new one signs in");
        assert!(Direct::sign_in(odoo, "keyed", "keyed-password").await.is_none(), "the old one does not");
        assert!(!signed_in(odoo, &browser).await, "sessions end");
        assert!(Direct::sign_in(odoo, "keyed", &key).await.is_some(), "API keys stay");
        // The audit knows of every one of these calls, and of no password.
        let rows = ocore.cli(&["audit", "list", "--json"], "").ok();
        let calls: Vec<Value> = serde_json::from_str(rows.stdout.trim()).unwrap_or_else(|_| {
            rows.stdout.lines().filter(|l| !l.trim().is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect()
        });
        let mine: Vec<&Value> = calls.iter().filter(|c| c["tool"] == "set_user_password").collect();
        assert!(mine.len() >= 13, "{}", rows.stdout);
        let written = mine.iter().find(|c| c["outcome"] == "ok").unwrap_or_else(|| panic!("{}", rows.stdout));
        assert_eq!(
            (&written["arguments"]["user_id"], &written["arguments"]["password"]),
            (&json!(user), &json!("[REDACTED]")),
            "{written}"
        );
        let log = ocore.log();
        for place in [&rows.stdout, &log] {
            for secret in
                [new, "Sh0rt-p", "lead-with-space", "line-in-it", "1234567890123", "secret-in", "Long-Long", "keyed-password"]
            {
                assert!(!place.contains(secret), "{secret}");
            }
        }
        let stored = std::fs::read_dir(ocore.data.path()).unwrap().flatten().map(|e| std::fs::read(e.path()).unwrap_or_default());
        let stored: Vec<u8> = stored.flatten().collect();
        assert!(!stored.windows(new.len()).any(|w| w == new.as_bytes()), "not in the store either");
        // An archived user can be given one, and it is said that this is not enough.
        admin.call("res.users", "write", json!([[user], {"active": false}]), json!({})).await.unwrap();
        let done = mcp
            .call("dev_set_user_password", json!({"user_id": user, "password": "for-an-archived", "confirm": true}))
            .await
            .ok();
        assert!(done["notes"].to_string().contains("archived"), "{done}");
        let login = json!({"user_id": user, "password": "keyed", "confirm": true});
        mcp.call("dev_set_user_password", login).await.refused("invalid_argument");
    }

    pub async fn replacing_groups(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let user = admin.user("regrouped", "regrouped-password", &["base.group_user", "base.group_partner_manager"]).await;
        let stock = admin.id("stock.group_stock_user").await;
        let has = |xml_id: &str| {
            let (module, name) = xml_id.split_once('.').unwrap();
            let relation = if odoo.version >= 19 {
                // 19 stores what was given alone.
                format!(
                    "WITH RECURSIVE mine(gid) AS (SELECT gid FROM res_groups_users_rel WHERE uid = {user} UNION \
                     SELECT hid FROM res_groups_implied_rel r JOIN mine ON r.gid = mine.gid) SELECT gid FROM mine"
                )
            } else {
                format!("SELECT gid FROM res_groups_users_rel WHERE uid = {user}")
            };
            let found = odoo.sql(&format!(
                "SELECT count(*) FROM ir_model_data WHERE model = 'res.groups' AND module = '{module}' AND name = '{name}' AND res_id IN ({relation})"
            ));
            found == "1"
        };
        assert!(has("base.group_partner_manager"));
        let call = json!({"user_id": user, "groups": ["sales_team.group_sale_manager", stock]});
        let warned = mcp.call("dev_set_user_groups", call.clone()).await.refused("confirm_required");
        let plan = warned["plan"].to_string();
        assert!(warned["message"].as_str().unwrap().contains("The regrouped (regrouped, id"), "{warned}");
        assert!(plan.contains("+ ") && plan.contains("sales_team.group_sale_manager") && plan.contains("- "), "{warned}");
        let removed = list(&warned["plan"]["examples"]).iter().any(|e| {
            let e = e.as_str().unwrap();
            e.starts_with("- ") && e.contains("base.group_partner_manager")
        });
        // Sales of some versions imply the creation of contacts: then nothing is removed.
        assert!(removed || plan.contains("Implied by the groups asked for"), "{warned}");
        assert!(has("base.group_partner_manager") && !has("stock.group_stock_user"), "a plan changes nothing");
        let mut confirmed = call.clone();
        confirmed["confirm"] = true.into();
        let done = mcp.call("dev_set_user_groups", confirmed).await.ok();
        assert!(has("sales_team.group_sale_manager") && has("stock.group_stock_user") && has("base.group_user"), "{done}");
        assert_eq!(done["user_type"], "internal", "{done}");
        assert!(done["implied"].to_string().contains("base.group_user"), "what came with them is told: {done}");
        assert!(done["added"].to_string().contains("stock.group_stock_user"), "{done}");
        let now: BTreeSet<i64> = list(&done["groups"]).iter().map(|g| id(&g["id"])).collect();
        let told = mcp.call("dev_user_groups", json!({"user_id": user})).await.ok();
        assert_eq!(
            list(&told["groups"]).iter().map(|g| id(&g["id"])).collect::<BTreeSet<_>>(),
            now,
            "what was read back is what is there"
        );
        if removed {
            assert!(!has("base.group_partner_manager"), "{done}");
        }
        // Names that do not exist.
        let unknown = mcp
            .call("dev_set_user_groups", json!({"user_id": user, "groups": ["base.group_usr", "stock.group_stock_user"]}))
            .await
            .refused("not_found");
        assert!(unknown["next"].as_str().unwrap().contains("base.group_user"), "{unknown}");
        let by_name = mcp
            .call(
                "dev_set_user_groups",
                json!({"user_id": user, "groups": ["base.group_user", "Administration / Settings", 99_999_999]}),
            )
            .await
            .refused("not_found");
        assert!(by_name["message"].as_str().unwrap().contains("99999999"), "{by_name}");
        assert!(odoo.version >= 19 || by_name["next"].as_str().unwrap().contains("base.group_system"), "{by_name}");
        // User types exclude each other, and one there must be.
        for (groups, words) in [
            (json!(["base.group_user", "base.group_portal"]), "internal (base.group_user) and portal (base.group_portal)"),
            (json!(["base.group_portal", "base.group_public"]), "portal (base.group_portal) and public (base.group_public)"),
            (json!(["base.group_portal", "sales_team.group_sale_manager"]), "implied by"),
            (json!(["base.group_no_one"]), "none of these groups"),
        ] {
            let refused = mcp
                .call("dev_set_user_groups", json!({"user_id": user, "groups": groups, "confirm": true}))
                .await
                .refused("invalid_argument");
            assert!(refused["message"].as_str().unwrap().contains(words), "{refused}");
        }
        for bad in
            [json!([]), json!([-1]), json!([[1]]), json!({"a": 1}), json!(["a\u{0}b"]), json!([null]), json!(["x".repeat(201)])]
        {
            mcp.call("dev_set_user_groups", json!({"user_id": user, "groups": bad, "confirm": true}))
                .await
                .refused("invalid_argument");
        }
        let sql = json!(["base.group_user'; DELETE FROM res_groups; --"]);
        mcp.call("dev_set_user_groups", json!({"user_id": user, "groups": sql, "confirm": true})).await.refused("not_found");
        assert_eq!(
            mcp.call("dev_user_groups", json!({"user_id": user})).await.ok()["groups"],
            told["groups"],
            "nothing of this changed anything"
        );
        // To an administrator: said loudly.
        let raised = mcp
            .call("dev_set_user_groups", json!({"user_id": user, "groups": ["base.group_system"], "dry_run": true}))
            .await
            .ok();
        let first = raised["plan"]["warnings"][0].as_str().unwrap();
        assert!(first.contains("WARNING") && first.contains("ADMINISTRATOR"), "{raised}");
        let manages = mcp
            .call(
                "dev_set_user_groups",
                json!({"user_id": user, "groups": ["base.group_erp_manager", "base.group_user"], "dry_run": true}),
            )
            .await
            .ok();
        assert!(manages["plan"]["warnings"][0].as_str().unwrap().contains("make itself administrator"), "{manages}");
        // A token holds for the difference that was shown.
        let to_portal = json!({"user_id": user, "groups": ["base.group_portal"]});
        let warned = mcp.call("dev_set_user_groups", to_portal.clone()).await.refused("confirm_required");
        assert!(warned["plan"]["warnings"].to_string().contains("from internal to portal"), "{warned}");
        let extra = admin.id("project.group_project_user").await;
        admin.call("res.users", "write", json!([[user], {(admin.groups_field()): [[4, extra]]}]), json!({})).await.unwrap();
        let mut tokened = to_portal.clone();
        tokened["confirm_token"] = warned["confirm_token"].clone();
        mcp.call("dev_set_user_groups", tokened).await.refused("conflict");
        let warned = mcp.call("dev_set_user_groups", to_portal.clone()).await.refused("confirm_required");
        let mut tokened = to_portal;
        tokened["confirm_token"] = warned["confirm_token"].clone();
        let portal = mcp.call("dev_set_user_groups", tokened).await.ok();
        assert_eq!(portal["user_type"], "portal", "{portal}");
        assert!(has("base.group_portal") && !has("base.group_user") && !has("sales_team.group_sale_manager"), "{portal}");
        assert_eq!(odoo.sql(&format!("SELECT share FROM res_users WHERE id = {user}")), "t");
        let back =
            mcp.call("dev_set_user_groups", json!({"user_id": user, "groups": "base.group_user", "confirm": true})).await.ok();
        assert!(back["user_type"] == "internal" && has("base.group_user") && !has("base.group_portal"), "{back}");
    }

    /// What ocore computes is what Odoo answers to the user itself.
    pub async fn access_rights(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let mut users = vec![("admin".to_owned(), "admin".to_owned(), admin.uid)];
        for (login, groups) in [
            ("rights-plain", &["base.group_user"][..]),
            ("rights-sales", &["sales_team.group_sale_salesman"][..]),
            ("rights-boss", &["base.group_user", "sales_team.group_sale_manager", "stock.group_stock_manager"][..]),
            ("rights-portal", &["base.group_portal"][..]),
            ("rights-manager", &["base.group_user", "base.group_erp_manager"][..]),
        ] {
            let user = admin.user(login, "rights-password", groups).await;
            users.push((login.to_owned(), "rights-password".to_owned(), user));
        }
        let models = [
            "res.partner",
            "res.users",
            "sale.order",
            "sale.order.line",
            "crm.lead",
            "stock.picking",
            "product.product",
            "ir.cron",
            "ir.rule",
            "ir.config_parameter",
            "mail.message",
            "res.company",
            "project.task",
        ];
        let mut seen = BTreeSet::new();
        for (login, password, user) in &users {
            let odoos = Direct::sign_in(odoo, login, password).await.unwrap_or_else(|| panic!("{login} signs in"));
            for model in models {
                let told = mcp.call("dev_user_access_rights", json!({"user_id": user, "model": model})).await.ok();
                for right in ["read", "write", "create", "unlink"] {
                    let theirs = odoos.call(model, "check_access_rights", json!([right, false]), json!({})).await.unwrap();
                    assert_eq!(told[format!("can_{right}")], theirs, "{login} {model} {right}: {told}");
                    if odoo.version >= 19 {
                        let theirs = odoos.call(model, "has_access", json!([[], right]), json!({})).await.unwrap();
                        assert_eq!(told[format!("can_{right}")], theirs, "{login} {model} {right} (has_access): {told}");
                    }
                    let granted = !list(&told["granting_groups"][right]).is_empty();
                    assert_eq!(theirs == true, granted, "{told}");
                    assert_eq!(theirs == true, told["records"][right] != "none", "{told}");
                    seen.insert((right, theirs == true));
                }
            }
        }
        assert_eq!(seen.len(), 8, "both answers of each right were met: {seen:?}");
        // Rules: a salesperson sees its own orders, a manager all of them.
        let told =
            mcp.call("dev_user_access_rights", json!({"user_id": users[2].2, "model": "sale.order", "detail": true})).await.ok();
        assert!(told["granting_groups"]["read"].to_string().contains("sales_team.group_sale_salesman"), "{told}");
        assert!(told["records"]["read"].as_str().unwrap().contains("of the user's groups"), "{told}");
        let rules = list(&told["record_rules"]);
        let applied: BTreeSet<i64> =
            rules.iter().filter(|r| r["applies"] == true && r["model"] == "sale.order").map(|r| id(&r["id"])).collect();
        let groups = if odoo.version >= 19 { "all_group_ids" } else { "groups_id" };
        let mine = admin.call("res.users", "read", json!([[users[2].2], [groups]]), json!({})).await.unwrap();
        let domain =
            json!([["model_id.model", "=", "sale.order"], "|", ["groups", "=", false], ["groups", "in", mine[0][groups]]]);
        let theirs = admin.call("ir.rule", "search", json!([domain]), json!({})).await.unwrap();
        assert_eq!(applied, list(&theirs).iter().map(id).collect(), "{told}");
        assert!(rules.iter().any(|r| r["domain_force"].as_str().unwrap().contains("user.id") && r["applies"] == true), "{told}");
        let lines = odoo.sql("SELECT count(*) FROM ir_model_access a JOIN ir_model m ON m.id = a.model_id WHERE m.model = 'sale.order' AND a.active");
        assert_eq!(list(&told["access_lists"]).len().to_string(), lines, "{told}");
        let brief = mcp.call("dev_user_access_rights", json!({"user_id": users[2].2, "model": "sale.order"})).await.ok();
        assert!(brief.get("access_lists").is_none() && brief.get("record_rules").is_none(), "{brief}");
        // Users are made of partners: the partners' rules hold for them too.
        let of_users =
            mcp.call("dev_user_access_rights", json!({"user_id": users[1].2, "model": "res.users", "detail": true})).await.ok();
        assert!(list(&of_users["record_rules"]).iter().any(|r| r["model"] == "res.partner"), "{of_users}");
        // The superuser is asked for nothing.
        let root = mcp.call("dev_user_access_rights", json!({"user_id": 1, "model": "sale.order"})).await.ok();
        assert_eq!((&root["can_unlink"], &root["records"]["unlink"]), (&json!(true), &json!("all records")), "{root}");
        assert!(root["notes"].to_string().contains("superuser"), "{root}");
        let unknown = mcp.call("dev_user_access_rights", json!({"user_id": 1, "model": "sale.ordr"})).await.refused("not_found");
        assert!(unknown["next"].as_str().unwrap().contains("sale.order"), "{unknown}");
        for bad in ["sale order", "sale.order'; --", "", "a\u{0}b"] {
            mcp.call("dev_user_access_rights", json!({"user_id": 1, "model": bad})).await.refused("invalid_argument");
        }
        mcp.call("dev_user_access_rights", json!({"user_id": 1})).await.refused("invalid_argument");
    }

    pub async fn reading_parameters(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let secret = odoo.sql("SELECT value FROM ir_config_parameter WHERE key = 'database.secret'");
        for (key, value) in [
            ("sy.smtp.password", "hunter2-smtp"),
            ("sy.client_secret", "hunter2-client"),
            ("sy.queue", "amqp://worker:hunter2-queue@queue.example.com/jobs"),
            ("sy.plain", "Lorem, ipsum: dolor"),
            ("sy.random", "c0ffee11d00dc0ffee11d00dc0ffee11d00dc0ff"),
        ] {
            admin.call("ir.config_parameter", "set_param", json!([key, value]), json!({})).await.unwrap();
        }
        let all = mcp.call("dev_get_system_parameter", json!({"max_response_size": 500})).await.ok();
        let keys: BTreeSet<&str> = list(&all["parameters"]).iter().map(|p| p["key"].as_str().unwrap()).collect();
        let theirs =
            odoo.sql("SELECT key FROM ir_config_parameter WHERE key LIKE 'sy.%' OR key LIKE 'database.%' OR key LIKE 'web.%'");
        assert!(theirs.lines().all(|k| keys.contains(k)), "{all}");
        let text = all.to_string();
        for hidden in [secret.as_str(), "hunter2", "c0ffee11d00d"] {
            assert!(!text.contains(hidden), "{hidden}");
        }
        let one = async |key: &str| mcp.call("dev_get_system_parameter", json!({"key": key})).await.ok()["parameters"][0].clone();
        assert_eq!(one("database.secret").await, json!({"key": "database.secret", "value": "[REDACTED]", "masked": true}));
        assert_eq!(one("sy.plain").await, json!({"key": "sy.plain", "value": "Lorem, ipsum: dolor", "masked": false}));
        let queue = one("sy.queue").await;
        assert!(queue["masked"] == true && queue["value"].as_str().unwrap().contains("queue.example.com"), "{queue}");
        assert_eq!(one("auth_signup.reset_password").await["masked"], false);
        let unknown = mcp.call("dev_get_system_parameter", json!({"key": "sy.plian"})).await.refused("not_found");
        assert!(unknown["next"].as_str().unwrap().contains("sy.plain"), "{unknown}");
        for bad in ["", " ", "a\u{0}b", " sy.plain", &"x".repeat(201)] {
            mcp.call("dev_get_system_parameter", json!({"key": bad})).await.refused("invalid_argument");
        }
        mcp.call("dev_get_system_parameter", json!({"key": "x' OR '1'='1"})).await.refused("not_found");
        mcp.call("dev_get_system_parameter", json!({"key": "%"})).await.refused("not_found");
        // The model stays sealed for every other tool.
        for (tool, args) in [
            ("dev_search_read", json!({"model": "ir.config_parameter"})),
            ("dev_read", json!({"model": "ir.config_parameter", "ids": [1]})),
            ("dev_count", json!({"model": "ir.config_parameter"})),
            ("dev_execute_method", json!({"model": "ir.config_parameter", "method": "search_read"})),
            ("dev_execute_method", json!({"model": "ir.config_parameter", "method": "get_param", "args": ["database.secret"]})),
            ("dev_write", json!({"model": "ir.config_parameter", "ids": [1], "values": {"value": "x"}})),
            ("dev_list_users", json!({"context": {"lang": "en_US"}, "search": "database.secret"})),
        ] {
            let reply = mcp.call(tool, args).await;
            assert!(!reply.body.to_string().contains(&secret), "{tool}");
            assert!(tool == "dev_list_users" || reply.body["code"] == "model_denied", "{tool}: {reply:?}");
        }
        let rows = ocore.cli(&["audit", "list", "--json"], "").ok().stdout;
        assert!(!rows.contains(&secret) && !rows.contains("hunter2"), "nor in the audit");
    }

    pub async fn setting_parameters(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let stored = |key: &str| odoo.sql(&format!("SELECT value FROM ir_config_parameter WHERE key = '{key}'"));
        let call = json!({"key": "sy.colour", "value": "blue"});
        let warned = mcp.call("dev_set_system_parameter", call.clone()).await.refused("confirm_required");
        assert!(warned["plan"]["warnings"].to_string().contains("would be created"), "{warned}");
        assert_eq!(stored("sy.colour"), "");
        let mut confirmed = call;
        confirmed["confirm"] = true.into();
        let made = mcp.call("dev_set_system_parameter", confirmed).await.ok();
        assert_eq!((&made["created"], &made["changed"], &made["value"]), (&json!(true), &json!(true), &json!("blue")), "{made}");
        assert_eq!(stored("sy.colour"), "blue");
        let warned =
            mcp.call("dev_set_system_parameter", json!({"key": "sy.colour", "value": "grün"})).await.refused("confirm_required");
        let shown = warned["plan"]["examples"][0].as_str().unwrap();
        assert!(shown.contains("\"blue\" becomes \"grün\""), "{warned}");
        let changed =
            mcp.call("dev_set_system_parameter", json!({"key": "sy.colour", "value": "grün", "confirm": true})).await.ok();
        assert_eq!((&changed["old_value"], &changed["created"]), (&json!("blue"), &json!(false)), "{changed}");
        assert_eq!(stored("sy.colour"), "grün");
        let same = mcp.call("dev_set_system_parameter", json!({"key": "sy.colour", "value": "grün", "dry_run": true})).await.ok();
        assert!(same["plan"]["affected"] == 0 && same["plan"]["warnings"].to_string().contains("already"), "{same}");
        // A number is written as a text; what is no text is not guessed.
        mcp.call("dev_set_system_parameter", json!({"key": "sy.colour", "value": 42, "confirm": true})).await.ok();
        assert_eq!(stored("sy.colour"), "42");
        let refused = mcp
            .call("dev_set_system_parameter", json!({"key": "sy.colour", "value": true, "confirm": true}))
            .await
            .refused("invalid_argument");
        assert!(refused["message"].as_str().unwrap().contains("True"), "{refused}");
        // Odoo takes hostile values as they are: data.
        let hostile = "'; DROP TABLE ir_config_parameter; --";
        mcp.call("dev_set_system_parameter", json!({"key": "sy.colour", "value": hostile, "confirm": true})).await.ok();
        assert_eq!(stored("sy.colour"), hostile);
        // Secrets inside a value are masked in what is told, and not in what is set.
        let url = "redis://cache:hunter2-redis@cache.example.com/0";
        let set = mcp.call("dev_set_system_parameter", json!({"key": "sy.cache", "value": url, "confirm": true})).await.ok();
        assert!(!set.to_string().contains("hunter2") && set["masked"] == true, "{set}");
        assert_eq!(stored("sy.cache"), url);
        let over =
            mcp.call("dev_set_system_parameter", json!({"key": "sy.cache", "value": "none"})).await.refused("confirm_required");
        assert!(!over.to_string().contains("hunter2"), "{over}");
        // What is never set.
        // Tests beside this one set their own, and Odoo notes its address when an administrator signs in.
        let rest = || {
            odoo.sql("SELECT string_agg(key || value, ',' ORDER BY key) FROM ir_config_parameter WHERE key NOT LIKE 'sy.%' AND key <> 'web.base.url'")
        };
        let before = rest();
        for key in [
            "database.secret",
            "database.uuid",
            "DATABASE.SECRET",
            "report.url",
            "web.base.url",
            "web.base.url.freeze",
            "ir_attachment.location",
            "auth_signup.invitation_scope",
            "auth_oauth.anything",
            "base.login_cooldown_after",
            "some.api_key",
            "some.token",
            "some.password",
            "smtp_pass",
        ] {
            for extra in [json!({"confirm": true}), json!({"dry_run": true})] {
                // The audit keeps values whose keys are no secrets'.
                let secret = ["secret", "SECRET", "key", "token", "password", "pass"].iter().any(|w| key.contains(w));
                let mut args = json!({"key": key, "value": if secret { "hunter2-x" } else { "plain" }});
                args.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
                let refused = mcp.call("dev_set_system_parameter", args).await.refused("record_denied");
                assert!(!refused.to_string().contains("hunter2"), "{refused}");
            }
        }
        for (key, value) in [
            ("", "x"),
            ("a\u{0}b", "x"),
            (" a", "x"),
            ("sy.colour", "a\u{0}b"),
            (&"k".repeat(201), "x"),
            ("sy.colour", &"v".repeat(20_001)),
        ] {
            mcp.call("dev_set_system_parameter", json!({"key": key, "value": value, "confirm": true}))
                .await
                .refused("invalid_argument");
        }
        mcp.call("dev_set_system_parameter", json!({"key": "sy.colour", "confirm": true})).await.refused("invalid_argument");
        assert_eq!(rest(), before);
        assert!(stored("web.base.url").starts_with("http") && stored("sy.colour") == hostile);
        let rows = ocore.cli(&["audit", "list", "--json"], "").ok().stdout;
        assert!(!rows.contains("hunter2") && rows.contains("sy.colour"), "{rows}");
    }

    pub async fn listing_jobs(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let job = admin.job("Sy listed job", "env['res.partner'].secret_code_of_the_job()").await;
        // Other tests make some meanwhile.
        let count = || odoo.sql("SELECT count(*) FROM ir_cron").parse::<i64>().unwrap();
        let (before, all) = (count(), mcp.call("dev_list_scheduled_actions", json!({"limit": 500})).await.ok());
        assert!((before..=count()).contains(&id(&all["count"])), "disabled ones too: {all}");
        let listed = list(&all["actions"]).iter().find(|a| id(&a["id"]) == job).unwrap().clone();
        assert_eq!(
            (
                &listed["name"],
                &listed["model"],
                &listed["state"],
                &listed["active"],
                &listed["interval_number"],
                &listed["interval_type"]
            ),
            (&json!("Sy listed job"), &json!("res.partner"), &json!("code"), &json!(false), &json!(3), &json!("hours")),
            "{listed}"
        );
        assert_eq!((&listed["nextcall"], &listed["priority"]), (&json!("2099-01-01 00:00:00"), &json!(5)), "{listed}");
        assert!(listed.get("lastcall").is_none() && !all.to_string().contains("secret_code_of_the_job"), "no code: {listed}");
        if odoo.version >= 18 {
            assert!(listed["failure_count"] == 0 && listed.get("numbercall").is_none(), "{listed}");
        } else {
            assert!(listed["numbercall"] == -1 && listed["doall"] == false && listed.get("failure_count").is_none(), "{listed}");
        }
        let found = mcp.call("dev_list_scheduled_actions", json!({"search": "sy LISTED"})).await.ok();
        assert_eq!(found["count"], 1, "{found}");
        let by_model = mcp.call("dev_list_scheduled_actions", json!({"search": "res.partner", "active": "false"})).await.ok();
        assert!(list(&by_model["actions"]).iter().any(|a| id(&a["id"]) == job), "{by_model}");
        let active = mcp.call("dev_list_scheduled_actions", json!({"active": true, "limit": 500})).await.ok();
        assert!(list(&active["actions"]).iter().all(|a| a["active"] == true && id(&a["id"]) != job), "{active}");
        let few = mcp.call("dev_list_scheduled_actions", json!({"limit": 2})).await.ok();
        assert!(few["count"] == 2 && few["has_more"] == true && few["notes"].is_array(), "{few}");
        for bad in [json!({"search": "a\u{7}b"}), json!({"active": "none"}), json!({"limit": 0}), json!({"offset": 3})] {
            mcp.call("dev_list_scheduled_actions", bad).await.refused("invalid_argument");
        }
        let none = mcp.call("dev_list_scheduled_actions", json!({"search": "'; DELETE FROM ir_cron; --"})).await.ok();
        assert_eq!(none["count"], 0, "{none}");
        assert_eq!(odoo.sql(&format!("SELECT count(*) FROM ir_cron WHERE id = {job}")), "1");
    }

    pub async fn toggling_jobs(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let job = admin.job("Sy toggled job", "pass").await;
        let active = || odoo.sql(&format!("SELECT active FROM ir_cron WHERE id = {job}"));
        let planned =
            mcp.call("dev_toggle_scheduled_action", json!({"action_id": job, "active": true, "dry_run": true})).await.ok();
        assert!(planned["plan"]["summary"].as_str().unwrap().contains("enable the scheduled action Sy toggled job"), "{planned}");
        assert_eq!(active(), "f");
        let on = mcp.call("dev_toggle_scheduled_action", json!({"action_id": job, "active": true})).await.ok();
        assert_eq!((&on["action"]["active"], &on["changed"], active().as_str()), (&json!(true), &json!(true), "t"), "{on}");
        assert!(on["notes"].to_string().contains("2099-01-01"), "{on}");
        assert_eq!(
            mcp.call("dev_toggle_scheduled_action", json!({"action_id": job, "active": true})).await.ok()["changed"],
            false
        );
        // While the job runs its row is locked.
        let (held, database) =
            (format!("BEGIN; SELECT 1 FROM ir_cron WHERE id = {job} FOR UPDATE; SELECT pg_sleep(4); ROLLBACK"), odoo.clone());
        let holder = std::thread::spawn(move || database.sql(&held));
        let locked = format!("SELECT count(*) FROM (SELECT 1 FROM ir_cron WHERE id = {job} FOR UPDATE SKIP LOCKED) free");
        for _ in 0..100 {
            if odoo.sql(&locked) == "0" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let busy = mcp.call("dev_toggle_scheduled_action", json!({"action_id": job, "active": false})).await.refused("busy");
        assert!(busy["message"].as_str().unwrap().contains("Sy toggled job"), "{busy}");
        holder.join().unwrap();
        assert_eq!(active(), "t");
        let off = mcp.call("dev_toggle_scheduled_action", json!({"action_id": job, "active": false})).await.ok();
        assert_eq!((&off["action"]["active"], active().as_str()), (&json!(false), "f"), "{off}");
        mcp.call("dev_toggle_scheduled_action", json!({"action_id": 99_999_999, "active": true})).await.refused("not_found");
        mcp.call("dev_toggle_scheduled_action", json!({"action_id": job})).await.refused("invalid_argument");
    }

    pub async fn running_jobs(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let job = admin.job("Sy run job", "env['res.partner'].create({'name': 'made by the job'})").await;
        let made = || odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'made by the job'");
        let warned = mcp.call("dev_run_scheduled_action", json!({"action_id": job})).await.refused("confirm_required");
        let message = warned["message"].as_str().unwrap();
        assert!(message.contains("Sy run job") && message.contains("res.partner"), "{warned}");
        assert!(warned["plan"]["warnings"].to_string().contains("disabled") && made() == "0", "{warned}");
        let run = mcp.call("dev_run_scheduled_action", json!({"action_id": job, "confirm": true})).await.ok();
        assert_eq!((&run["ran"], made().as_str()), (&json!(true), "1"), "{run}");
        assert!(run["action"]["lastcall"].is_string(), "{run}");
        assert_ne!(odoo.sql(&format!("SELECT lastcall FROM ir_cron WHERE id = {job}")), "");
        // Not twice within a minute, by whomever, and a restart does not forget it.
        let again = json!({"action_id": job, "confirm": true});
        let refused = mcp.call("dev_run_scheduled_action", again.clone()).await.refused("rate_limited");
        assert!(refused["next"].as_str().unwrap().contains(" s before the next trigger"), "{refused}");
        let planned = mcp.call("dev_run_scheduled_action", json!({"action_id": job, "dry_run": true})).await.ok();
        assert!(planned["plan"]["warnings"].to_string().contains("triggered a moment ago"), "{planned}");
        ocore.stop("TERM");
        let other = ocore.serve().key(&["--label", "another"]);
        other.call("dev_run_scheduled_action", again.clone()).await.refused("rate_limited");
        assert_eq!(made(), "1");
        let mcp = &other;
        // Another one is not held up.
        let broken = admin
            .job(
                "Sy broken job",
                "env['res.partner'].create({'name': 'made before it broke'})\nraise UserError('it broke for the test')",
            )
            .await;
        if odoo.version < 19 {
            // The code of a job knows UserError from 16 on.
            let code = "env['res.partner'].create({'name': 'made before it broke'})\nraise Warning('it broke for the test')";
            admin.call("ir.cron", "write", json!([[broken], {"code": code}]), json!({})).await.unwrap();
        }
        let failed =
            mcp.call("dev_run_scheduled_action", json!({"action_id": broken, "confirm": true})).await.refused("odoo_error");
        let message = failed["message"].as_str().unwrap();
        assert!(message.contains("it broke for the test") && message.contains("Sy broken job"), "{failed}");
        assert!(!failed.to_string().contains("Traceback") && !failed.to_string().contains("/usr/lib"), "{failed}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'made before it broke'"), "0");
        let division = admin.job("Sy dividing job", "x = 1 / 0").await;
        let failed =
            mcp.call("dev_run_scheduled_action", json!({"action_id": division, "confirm": true})).await.refused("odoo_error");
        assert!(failed["message"].as_str().unwrap().contains("division by zero"), "{failed}");
        // What the job's own user may not do is the job's failure, not the caller's lack of rights.
        let weak = admin.user("weak", "weak-password", &["base.group_user"]).await;
        let barred = admin.job("Sy barred job", "env['ir.config_parameter'].search([]).unlink()").await;
        admin.call("ir.cron", "write", json!([[barred], {"user_id": weak}]), json!({})).await.unwrap();
        let failed =
            mcp.call("dev_run_scheduled_action", json!({"action_id": barred, "confirm": true})).await.refused("odoo_error");
        assert!(failed["message"].as_str().unwrap().contains("was run and failed"), "{failed}");
        mcp.call("dev_run_scheduled_action", json!({"action_id": barred, "confirm": true})).await.refused("rate_limited");
        if odoo.version >= 19 {
            // Nothing is raised and nothing described when the job's user is archived: only the count tells.
            let idle = admin.user("idle", "idle-password", &["base.group_user"]).await;
            let orphan = admin.job("Sy orphan job", "env['res.partner'].create({'name': 'made by an orphan'})").await;
            admin.call("ir.cron", "write", json!([[orphan], {"user_id": idle}]), json!({})).await.unwrap();
            admin.call("res.users", "write", json!([[idle], {"active": false}]), json!({})).await.unwrap();
            let failed =
                mcp.call("dev_run_scheduled_action", json!({"action_id": orphan, "confirm": true})).await.refused("odoo_error");
            assert!(failed["message"].as_str().unwrap().contains("archived"), "{failed}");
            assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'made by an orphan'"), "0");
            // One that is being run is not run a second time.
            let held = format!("BEGIN; SELECT 1 FROM ir_cron WHERE id = {orphan} FOR UPDATE; SELECT pg_sleep(4); ROLLBACK");
            let busy = admin.job("Sy busy job", "pass").await;
            let held = held.replace(&orphan.to_string(), &busy.to_string());
            let database = odoo.clone();
            let holder = std::thread::spawn(move || database.sql(&held));
            tokio::time::sleep(std::time::Duration::from_millis(800)).await;
            mcp.call("dev_run_scheduled_action", json!({"action_id": busy, "confirm": true})).await.refused("busy");
            holder.join().unwrap();
            // It was not run, so nobody has to wait.
            mcp.call("dev_run_scheduled_action", json!({"action_id": busy, "confirm": true})).await.ok();
        }
        let rows = ocore.cli(&["audit", "list", "--json"], "").ok().stdout;
        assert!(rows.contains("run_scheduled_action") && !rows.contains("Traceback"), "{rows}");
        mcp.call("dev_run_scheduled_action", json!({"action_id": 99_999_999, "confirm": true})).await.refused("not_found");
    }

    /// A job that takes longer than the call goes on, and the same call finds it again.
    pub async fn long_jobs(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let code = "env.cr.execute('SELECT pg_sleep(5)')\nenv['res.partner'].create({'name': 'made in the end'})";
        let job = admin.job("Sy long job", code).await;
        let call = json!({"action_id": job, "confirm": true, "timeout_seconds": 2});
        let running = mcp.call("dev_run_scheduled_action", call).await.ok();
        assert_eq!(running["operation"]["state"], "running", "{running}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'made in the end'"), "0");
        let ended =
            mcp.call("dev_run_scheduled_action", json!({"action_id": job, "confirm": true, "timeout_seconds": 30})).await.ok();
        assert_eq!(ended["ran"], true, "{ended}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'made in the end'"), "1");
    }

    pub async fn system_users_are_protected(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let mut protected: BTreeSet<i64> = [1, 2, 3].into();
        for xml_id in ["base.user_root", "base.user_admin", "base.public_user", "base.template_portal_user_id"] {
            protected.insert(admin.id(xml_id).await);
        }
        if odoo.version < 17 {
            protected.insert(admin.id("base.default_user").await);
        }
        assert!(protected.len() > 3, "some are protected by XML id alone: {protected:?}");
        let state = || {
            odoo.sql("SELECT string_agg(concat_ws('|', u.id, u.active, u.password, (SELECT count(*) FROM res_groups_users_rel r WHERE r.uid = u.id)), ',' ORDER BY u.id) FROM res_users u WHERE u.id <= 5")
        };
        let before = state();
        for user in protected {
            for extra in ["confirm", "dry_run"] {
                for (tool, args) in [
                    ("dev_set_user_active", json!({"user_id": user, "active": true})),
                    ("dev_set_user_active", json!({"user_id": user, "active": false})),
                    ("dev_set_user_password", json!({"user_id": user, "password": "a-new-password"})),
                    ("dev_set_user_groups", json!({"user_id": user, "groups": ["base.group_user"]})),
                ] {
                    let mut args = args;
                    args[extra] = true.into();
                    let refused = mcp.call(tool, args).await.refused("record_denied");
                    assert!(refused["message"].as_str().unwrap().contains("Odoo's own"), "{refused}");
                }
            }
        }
        assert_eq!(state(), before);
    }

    pub async fn hostile_ids(odoo: &Odoo, _: &mut Ocore, mcp: &Mcp) {
        let tools = [
            ("dev_user_groups", json!({}), "user_id"),
            ("dev_user_access_rights", json!({"model": "res.partner"}), "user_id"),
            ("dev_set_user_active", json!({"active": true, "confirm": true}), "user_id"),
            ("dev_set_user_password", json!({"password": "long-enough-1", "confirm": true}), "user_id"),
            ("dev_set_user_groups", json!({"groups": ["base.group_user"], "confirm": true}), "user_id"),
            ("dev_toggle_scheduled_action", json!({"active": true}), "action_id"),
            ("dev_run_scheduled_action", json!({"confirm": true}), "action_id"),
        ];
        for (tool, args, name) in tools {
            for bad in [
                json!(0),
                json!(-1),
                json!(-2),
                json!(99_999_999_999_i64),
                json!(i64::MAX),
                json!(1.5),
                json!("1 OR 1=1"),
                json!("admin"),
                json!([5]),
                json!({"id": 5}),
                json!(true),
                json!(null),
                json!(""),
            ] {
                let mut args = args.clone();
                args[name] = bad.clone();
                let reply = mcp.call(tool, args).await;
                assert!(reply.is_error && reply.body["code"] == "invalid_argument", "{tool} {bad}: {reply:?}");
            }
            let mut args = args.clone();
            args[name] = 2_147_483_647.into();
            mcp.call(tool, args).await.refused("not_found");
        }
        assert_eq!(odoo.sql("SELECT count(*) FROM res_users WHERE id = 2 AND active"), "1");
    }

    /// Roles, restricted keys and Odoo's own rights.
    pub async fn who_may(odoo: &Odoo, ocore: &mut Ocore, _: &Mcp) {
        let admin = Direct::admin(odoo).await;
        let user = admin.user("whom", "whom-password", &["base.group_user"]).await;
        let job = admin.job("Sy whose job", "pass").await;
        let changes = [
            ("dev_set_user_active", json!({"user_id": user, "active": false, "confirm": true})),
            ("dev_set_user_password", json!({"user_id": user, "password": "long-enough-1", "confirm": true})),
            ("dev_set_user_groups", json!({"user_id": user, "groups": ["base.group_portal"], "confirm": true})),
            ("dev_set_system_parameter", json!({"key": "sy.who", "value": "x", "confirm": true})),
        ];
        let member = ocore.key(&["--role", "member"]);
        let viewer = ocore.key(&["--role", "viewer"]);
        let restricted = ocore.key(&["--models", "res.partner"]);
        for (tool, args) in &changes {
            for key in [&member, &viewer] {
                key.call(tool, args.clone()).await.refused("permission_denied");
            }
            let reply = restricted.call(tool, args.clone()).await;
            assert!(["permission_denied", "model_denied"].contains(&reply.body["code"].as_str().unwrap()), "{tool}: {reply:?}");
        }
        for (tool, args) in [
            ("dev_toggle_scheduled_action", json!({"action_id": job, "active": true})),
            ("dev_run_scheduled_action", json!({"action_id": job, "confirm": true})),
        ] {
            viewer.call(tool, args.clone()).await.refused("permission_denied");
            restricted.call(tool, args).await.refused("model_denied");
        }
        for (tool, args) in [
            ("dev_list_users", json!({})),
            ("dev_user_groups", json!({"user_id": user})),
            ("dev_user_access_rights", json!({"user_id": user, "model": "res.partner"})),
            ("dev_get_system_parameter", json!({})),
            ("dev_list_scheduled_actions", json!({})),
        ] {
            viewer.call(tool, args.clone()).await.ok();
            restricted.call(tool, args).await.refused("model_denied");
        }
        member.call("dev_toggle_scheduled_action", json!({"action_id": job, "active": true})).await.ok();
        let named = ocore.key(&["--models", "res.users,res.groups", "--tools-allow", "set_user_active,list_users,user_groups"]);
        let listed = named.call("dev_list_users", json!({"search": "whom"})).await.ok();
        assert!(
            listed["users"][0].get("company").is_none() && listed["users"][0]["company_id"] == 1,
            "names of other models shrink to ids: {listed}"
        );
        named.call("dev_set_user_active", json!({"user_id": user, "active": false, "confirm": true})).await.ok();
        assert_eq!(odoo.sql(&format!("SELECT active FROM res_users WHERE id = {user}")), "f");
        assert_eq!(odoo.sql("SELECT count(*) FROM ir_config_parameter WHERE key = 'sy.who'"), "0");
        // The guard holds; a plan is still answered.
        ocore.cli(&["instance", "update", "dev", "--write-enabled", "false"], "").ok();
        let full = ocore.key(&[]);
        let mut blocked = None;
        for _ in 0..40 {
            let reply = full
                .call("dev_set_user_active", json!({"user_id": user, "active": true, "confirm": true, "dry_run": false}))
                .await;
            if reply.is_error {
                blocked = Some(reply);
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        blocked.expect("the guard closes").refused("write_blocked");
        full.call("dev_set_user_active", json!({"user_id": user, "active": true, "dry_run": true})).await.ok();
    }
}
