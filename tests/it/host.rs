//! What only the host of an instance can do, on both real Odoos in their containers and on their PostgreSQL: SQL, the shell, logs
//! and caches. The witness is the database, asked as its superuser.
use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, Reply, on_both_of_our_own, own, run};

on_both_of_our_own!(
    "host", crate::harness::Odoo::fresh;
    reading_by_sql,
    changing_by_sql,
    scripts,
    tables,
    hostile_sql,
    shell,
    hostile_code,
    logs,
    caches,
    methods_and_constraints,
    modules_by_command_line,
    limited_keys,
    neighbours,
);

/// Gives the instance its container and database, and ocore logins of its own there.
fn equipped(odoo: &Odoo, ocore: &Ocore) {
    ocore.cli(&["server", "update", "host", "--org", "acme", "--docker", "unix:///var/run/docker.sock"], "").ok();
    ocore.cli(&["instance", "update", "dev", "--container", &odoo.container], "").ok();
    ocore.cli(&["instance", "update", "dev", "--postgres-url-stdin"], &format!("{}\n", url(odoo))).ok();
    let made = ocore.cli(&["--json", "instance", "sql-role", "dev"], "").ok().json();
    assert!(made["findings"].as_array().is_some_and(|f| f.iter().all(|f| f["serious"] == false)), "{made}");
    assert_eq!((&made["postgres"]["reader"], &made["postgres"]["writer"]), (&json!(true), &json!(true)), "{made}");
    // The server sees it at its next look at the store.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
}
fn url(odoo: &Odoo) -> String {
    format!("postgres://odoo_{0}:ocore@127.0.0.1:15432/{1}", odoo.version, odoo.database)
}
async fn sql(mcp: &Mcp, query: &str) -> Reply {
    mcp.call("dev_execute_sql", json!({"query": query})).await
}
fn refused(reply: &Reply, code: &str) {
    assert!(reply.is_error && reply.body["code"] == code, "{reply:?}");
    assert!(!reply.body["next"].as_str().unwrap_or_default().is_empty(), "{reply:?}");
}

mod checks {
    use super::*;

    pub async fn reading_by_sql(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        // Before anything is set up.
        refused(&sql(mcp, "SELECT 1").await, "not_configured");
        equipped(odoo, ocore);
        let found = sql(mcp, "SELECT id, login, active FROM res_users ORDER BY id LIMIT 2").await.ok();
        assert_eq!(found["row_count"], 2, "{found}");
        assert_eq!(found["rows"][1], json!({"id": 2, "login": "admin", "active": true}), "{found}");
        assert_eq!(found["columns"][0], json!({"name": "id", "type": "integer"}), "{found}");
        assert!(found.get("notes").is_none(), "{found}");

        let typed = "SELECT 1.50::numeric AS n, '2026-01-31 10:00:00+02'::timestamptz AS t, ARRAY[1, 2] AS a, \
                     '{\"a\": 1}'::jsonb AS j, NULL::text AS nothing, 9007199254740993 AS big";
        let row = sql(mcp, typed).await.ok()["rows"][0].clone();
        assert_eq!((&row["n"], &row["t"]), (&json!("1.50"), &json!("2026-01-31T08:00:00Z")), "{row}");
        assert_eq!((&row["a"], &row["j"], &row["nothing"]), (&json!([1, 2]), &json!({"a": 1}), &Value::Null), "{row}");

        let with = json!({"query": "SELECT login FROM res_users WHERE id = $1", "params": [2], "format": "csv"});
        let csv = mcp.call("dev_execute_sql", with).await;
        assert!(format!("{csv:?}").contains("admin"), "{csv:?}");
        let more = json!({"query": "SELECT name FROM ir_model", "limit": 5});
        let more = mcp.call("dev_execute_sql", more).await.ok();
        assert_eq!((&more["row_count"], &more["more"]), (&json!(5), &json!(true)), "{more}");

        let plan = mcp.call("dev_execute_sql", json!({"query": "SELECT * FROM res_partner", "explain": true})).await.ok();
        assert!(plan["explained"]["cost"].as_f64().unwrap() > 0.0, "{plan}");
        // What holds secrets is left out of a star, and said so; by name it is refused.
        let star = sql(mcp, "SELECT * FROM res_users WHERE id = 2").await.ok();
        assert!(star["rows"][0].get("password").is_none() && star.to_string().contains("res_users.password"), "{star}");
        refused(&sql(mcp, "SELECT password FROM res_users").await, "sql_refused");
        let near = sql(mcp, "SELECT * FROM res_partners").await;
        refused(&near, "sql_refused");
        assert!(near.body["next"].as_str().unwrap().contains("res_partner"), "{near:?}");
        refused(&sql(mcp, "SELECT pg_sleep(30)").await, "sql_refused");
        let slow = "SELECT count(*) FROM ir_model_fields a, ir_model_fields b, ir_model_fields c WHERE a.name > b.name AND b.name > c.name";
        let slow = mcp.call("dev_execute_sql", json!({"query": slow, "timeout_seconds": 1})).await;
        assert!(["timeout", "too_large"].iter().any(|c| slow.body["code"] == *c), "{slow:?}");
    }

    pub async fn changing_by_sql(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        let name = || odoo.sql("SELECT name FROM res_partner WHERE id = 1");
        let before = name();
        let change = "UPDATE res_partner SET comment = 'by sql' WHERE id = 1";
        let asked = sql(mcp, change).await;
        refused(&asked, "confirm_required");
        assert!(asked.body["plan"]["summary"].as_str().unwrap().contains("UPDATE of res_partner: about 1 row"), "{asked:?}");
        let comment = || odoo.sql("SELECT coalesce(comment, '') FROM res_partner WHERE id = 1");
        assert_ne!(comment(), "by sql");
        let token = asked.body["confirm_token"].clone();
        let done = mcp.call("dev_execute_sql", json!({"query": change, "confirm_token": token})).await.ok();
        assert_eq!(done["affected"], 1, "{done}");
        assert_eq!(comment(), "by sql");
        // Odoo sees it at once: its caches were told.
        let seen = mcp.call("dev_read", json!({"model": "res.partner", "ids": [1], "fields": ["comment"]})).await.ok();
        assert!(seen.to_string().contains("by sql"), "{seen}");

        let all = json!({"query": "DELETE FROM res_partner_category", "dry_run": true});
        let all = mcp.call("dev_execute_sql", all).await.ok();
        assert!(all["plan"]["warnings"].to_string().contains("no WHERE"), "{all}");
        // What must not be changed by SQL is not.
        for protected in [
            "UPDATE res_users SET password = 'x' WHERE id = 2",
            "INSERT INTO ir_config_parameter (key, value) VALUES ('a', 'b')",
            "UPDATE ir_cron SET active = false",
            "DELETE FROM ir_module_module",
        ] {
            refused(&mcp.call("dev_execute_sql", json!({"query": protected, "confirm": true})).await, "sql_refused");
        }
        assert_eq!(name(), before);
        let returning = json!({"query": "INSERT INTO res_partner_category (name, active) VALUES ($1, true) RETURNING id",
            "params": [if odoo.version >= 16 { json!({"en_US": "sql made"}) } else { json!("sql made") }], "confirm": true});
        let made = mcp.call("dev_execute_sql", returning).await.ok();
        assert!(made["rows"][0]["id"].as_i64().is_some() && made["affected"] == 1, "{made}");

        // A closed guard bars the change and not the reading.
        ocore.cli(&["instance", "update", "dev", "--write-enabled", "false"], "").ok();
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        refused(&mcp.call("dev_execute_sql", json!({"query": change, "confirm": true})).await, "write_blocked");
        sql(mcp, "SELECT 1 AS one").await.ok();
        // Without a login of its own for changes none runs, and reading says whose login it borrows.
        ocore.cli(&["instance", "update", "dev", "--write-enabled", "true"], "").ok();
        ocore.cli(&["instance", "sql-role", "dev", "--remove"], "").ok();
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        refused(&mcp.call("dev_execute_sql", json!({"query": change, "confirm": true})).await, "not_configured");
        let borrowed = sql(mcp, "SELECT 1 AS one").await.ok();
        assert!(borrowed["notes"].to_string().contains("sql-role"), "{borrowed}");
    }

    pub async fn scripts(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        let color = || odoo.sql("SELECT coalesce(color, 0) FROM res_partner WHERE id = 1");
        let script = "UPDATE res_partner SET color = 7 WHERE id = 1; SELECT color FROM res_partner WHERE id = 1";
        let asked = mcp.call("dev_execute_sql_script", json!({"script": script})).await;
        refused(&asked, "confirm_required");
        assert_eq!(asked.body["plan"]["affected"], 2, "{asked:?}");
        let done = mcp.call("dev_execute_sql_script", json!({"script": script, "confirm": true})).await.ok();
        assert_eq!((&done["committed"], &done["statements"][1]["rows"][0]["color"]), (&json!(true), &json!(7)), "{done}");
        assert_eq!(color(), "7");
        // All or nothing.
        let broken = "UPDATE res_partner SET color = 8 WHERE id = 1; UPDATE res_partner SET color = 1 / 0 WHERE id = 1";
        let failed = mcp.call("dev_execute_sql_script", json!({"script": broken, "confirm": true})).await;
        refused(&failed, "sql_refused");
        assert!(failed.body["message"].as_str().unwrap().contains("Statement 2"), "{failed:?}");
        assert_eq!(color(), "7");
        // Unless it is asked to go on.
        let go_on = json!({"script": broken, "confirm": true, "stop_on_error": false});
        let done = mcp.call("dev_execute_sql_script", go_on).await.ok();
        assert!(done["statements"][1]["error"].as_str().unwrap().contains("division by zero"), "{done}");
        assert_eq!(color(), "8");
        let undone = json!({"script": "UPDATE res_partner SET color = 9 WHERE id = 1; ROLLBACK", "confirm": true});
        assert_eq!(mcp.call("dev_execute_sql_script", undone).await.ok()["committed"], false);
        assert_eq!(color(), "8");
        for hostile in ["COMMIT; DROP TABLE res_partner", "SELECT 1; CREATE TABLE x (a int)", "BEGIN; SET ROLE postgres"] {
            refused(&mcp.call("dev_execute_sql_script", json!({"script": hostile, "confirm": true})).await, "sql_refused");
        }
    }

    pub async fn tables(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        let found = mcp.call("dev_list_tables", json!({"search": "res.users.log"})).await.ok();
        let table = &found["tables"][0];
        assert_eq!((&table["name"], &table["model"]), (&json!("res_users_log"), &json!("res.users.log")), "{found}");
        assert!(table["columns"].to_string().contains("id integer required"), "{found}");
        let users = mcp.call("dev_list_tables", json!({"search": "res_users"})).await.ok();
        assert!(users.to_string().contains("password character varying withheld"), "{users}");
        let sealed = mcp.call("dev_list_tables", json!({"search": "ir_config_parameter"})).await.ok();
        assert_eq!(sealed["tables"][0]["readable"], false, "{sealed}");
        let few = mcp.call("dev_list_tables", json!({"limit": 3, "raw_pg": true})).await.ok();
        assert!(few["count"] == 3 && few["total"].as_u64().unwrap() > 50, "{few}");
        refused(&mcp.call("dev_list_tables", json!({"limit": 0})).await, "invalid_argument");
    }

    pub async fn hostile_sql(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        let before = odoo.sql("SELECT count(*) FROM pg_class");
        for hostile in [
            "DROP TABLE res_users",
            "SELECT 1; DROP TABLE res_users",
            "COPY res_users TO PROGRAM 'id'",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT * FROM pg_authid",
            "SELECT set_config('role', 'postgres', false)",
            "WITH x AS (DELETE FROM res_users RETURNING *) SELECT * FROM x",
            "SELECT lo_import('/etc/passwd')",
            "EXPLAIN ANALYZE DELETE FROM res_users",
            "SELECT u FROM res_users u",
            "SELECT row_to_json(u) FROM res_users u",
            "SELECT value FROM ir_config_parameter",
            "DO $$ BEGIN END $$",
            "SELECT query_to_xml('select 1', true, true, '')",
            "TABLE res_users_apikeys",
            "SELECT 1 INTO x",
            "",
        ] {
            let reply = mcp.call("dev_execute_sql", json!({"query": hostile, "confirm": true})).await;
            refused(&reply, "sql_refused");
        }
        assert_eq!(odoo.sql("SELECT count(*) FROM pg_class"), before);
        // What was refused is in the audit, with secrets masked.
        let hidden =
            mcp.call("dev_execute_sql", json!({"query": "SELECT id FROM res_users WHERE password = 'hunter2hunter2'"})).await;
        refused(&hidden, "sql_refused");
        let audit = ocore.cli(&["--json", "audit", "calls", "--org", "acme", "--limit", "5"], "");
        assert!(!audit.stdout.contains("hunter2hunter2"), "{audit:?}");
    }

    pub async fn shell(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        refused(&mcp.call("dev_execute_shell", json!({"code": "1"})).await, "not_configured");
        equipped(odoo, ocore);
        let call = |code: &str| mcp.call("dev_execute_shell", json!({"code": code, "timeout_seconds": 60}));
        let ran = call("print('out'); env['res.partner'].search_count([]) > 0").await.ok();
        assert_eq!((&ran["stdout"], &ran["value"], &ran["exit_code"]), (&json!("out\n"), &json!("True"), &json!(0)), "{ran}");
        let fax = || odoo.sql("SELECT coalesce(ref, '') FROM res_partner WHERE id = 1");
        let ran = call("env['res.partner'].browse(1).ref = 'rolled back'\nenv.cr.flush() if hasattr(env.cr, 'flush') else None")
            .await
            .ok();
        assert_eq!(ran["committed"], false, "{ran}");
        assert_ne!(fax(), "rolled back");
        let ran = call("env['res.partner'].browse(1).ref = 'kept'\nenv.cr.commit()").await.ok();
        assert_eq!(ran["committed"], true, "{ran}");
        assert_eq!(fax(), "kept");
        let ran = call("x = 1\nraise ValueError('broken here')").await.ok();
        assert_eq!((&ran["exit_code"], &ran["error"]["line"]), (&json!(1), &json!(2)), "{ran}");
        assert!(ran["error"]["message"].as_str().unwrap().contains("ValueError: broken here"), "{ran}");

        let multi = json!({"commands": ["a = 40", "a + 2", "1 / 0", "print('not reached')"], "timeout_seconds": 60});
        let ran = mcp.call("dev_execute_shell_multi", multi).await.ok();
        assert_eq!((&ran["results"][1]["value"], &ran["not_run"]), (&json!("42"), &json!(1)), "{ran}");
        assert_eq!(ran["results"][2]["exit_code"], 1, "{ran}");
        let prompt = json!({"code": "a = 5\na * 2\nenv.user.login", "timeout_seconds": 60});
        let ran = mcp.call("dev_python_repl", prompt).await.ok();
        assert!(ran["stdout"].as_str().unwrap().starts_with("10\n"), "{ran}");
        let dry = mcp.call("dev_execute_shell", json!({"code": "print(1)", "dry_run": true})).await.ok();
        assert!(dry["plan"]["summary"].as_str().unwrap().contains("1 line"), "{dry}");
        refused(&mcp.call("dev_execute_shell", json!({"code": "  "})).await, "invalid_argument");
    }

    pub async fn hostile_code(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        let call = |code: &str, seconds: u64| mcp.call("dev_execute_shell", json!({"code": code, "timeout_seconds": seconds}));
        let mark = format!("ocore_mark_{}", odoo.version);
        let endless = format!(
            "import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 300; : {mark}'], start_new_session=True)\nwhile True: pass"
        );
        let ran = call(&endless, 12).await;
        assert!(!ran.is_error && ran.body["exit_code"] == 124, "{ran:?}");
        let left = std::process::Command::new("docker").args(["exec", &odoo.container, "sh", "-c"]).arg(format!(
            "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q 'sleep 300; : {mark}' && echo $p; done; true"
        )).output().unwrap();
        // The looking shell itself has the words in its arguments, but not as `sh -c sleep`.
        let left = String::from_utf8_lossy(&left.stdout);
        assert!(left.lines().count() <= 1, "a process outlived its call: {left}");
        let loud = call("import sys\nfor _ in range(1024):\n    sys.stdout.write('x' * 1048576)", 60).await;
        assert!(!loud.is_error && format!("{loud:?}").len() < 400_000, "{} bytes", format!("{loud:?}").len());
        let env = call("import os\nprint({k: v for k, v in os.environ.items()})\nprint(open('/proc/self/cmdline').read())", 60)
            .await
            .ok();
        let text = env.to_string();
        assert!(!text.contains("OCORE_D") && !text.contains("OCORE_K") && !text.contains("ock_"), "{text}");
        // A member's key has no shell, whatever it names; nor does one that only reads.
        let reads = ocore.key(&["--read-only"]);
        refused(&reads.call("dev_execute_shell", json!({"code": "1"})).await, "permission_denied");
    }

    pub async fn logs(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        // Something to be found: a failed sign-in is logged with the database's name.
        let wrong = [
            ("web/session/authenticate", json!({"db": odoo.database, "login": "nobody-logs", "password": "wrong"})),
            ("jsonrpc", json!({"service": "common", "method": "login", "args": [odoo.database, "nobody-logs", "wrong"]})),
        ];
        for (page, params) in wrong {
            let body = json!({"jsonrpc": "2.0", "method": "call", "params": params}).to_string();
            let page = format!("{}/{page}", odoo.url);
            let _ = reqwest::Client::new().post(page).header("content-type", "application/json").body(body).send().await;
        }
        let found = mcp.call("dev_odoo_logs", json!({"lines": 50, "since": "10m", "filter": "nobody-logs"})).await.ok();
        let record = &found["records"][0];
        assert!(record["message"].as_str().is_some_and(|m| m.contains("nobody-logs")), "{found}");
        assert!(record["logger"].as_str().unwrap().starts_with("odoo."), "{found}");
        let errors = mcp.call("dev_odoo_logs", json!({"level": "error", "lines": 5})).await.ok();
        let levels: Vec<&Value> = errors["records"].as_array().unwrap().iter().map(|r| &r["level"]).collect();
        assert!(levels.iter().all(|l| **l == "ERROR" || **l == "CRITICAL"), "{errors}");
        for bad in [json!({"level": "loud"}), json!({"since": "yesterday"}), json!({"lines": 0}), json!({"lines": 5000})] {
            refused(&mcp.call("dev_odoo_logs", bad).await, "invalid_argument");
        }
        let follow = mcp.call("dev_odoo_logs", json!({"follow_seconds": 2, "timeout_seconds": 30})).await.ok();
        assert!(follow["notes"].to_string().contains("while this call waited"), "{follow}");
    }

    pub async fn caches(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        refused(&mcp.call("dev_clear_system_cache", json!({})).await, "confirm_required");
        let done = mcp.call("dev_clear_system_cache", json!({"confirm": true, "timeout_seconds": 60})).await.ok();
        let targets: Vec<&Value> = done["cleared"].as_array().unwrap().iter().map(|p| &p["target"]).collect();
        assert_eq!(targets, ["registry", "assets"], "{done}");
        refused(
            &mcp.call("dev_clear_system_cache", json!({"targets": ["everything"], "confirm": true})).await,
            "invalid_argument",
        );
        let plan = mcp.call("dev_clear_system_cache", json!({"targets": ["sessions"], "dry_run": true})).await.ok();
        assert!(plan["plan"]["warnings"].to_string().contains("signed out"), "{plan}");
        // Odoo serves on.
        mcp.call("dev_count", json!({"model": "res.partner"})).await.ok();
    }

    pub async fn methods_and_constraints(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        let ask = json!({"model": "res.partner", "include_private": true, "search": "_check_parent", "timeout_seconds": 60});
        let found = mcp.call("dev_get_model_methods", ask).await.ok();
        assert!(found["methods"].to_string().contains("_check_parent_id"), "{found}");
        let ask = json!({"model": "res.partner", "timeout_seconds": 60});
        let found = mcp.call("dev_get_model_constraints", ask).await.ok();
        assert!(found["python_constraints"].to_string().contains("_check_parent_id"), "{found}");
        let none = mcp.call("dev_get_model_methods", json!({"model": "no.such.model", "timeout_seconds": 60})).await;
        assert!(none.is_error, "{none:?}");
    }

    pub async fn modules_by_command_line(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        let state = |name: &str| odoo.sql(&format!("SELECT state FROM ir_module_module WHERE name = '{name}'"));
        let (small, wait) = ("base_import_module", 120);
        if state(small) == "installed" {
            let remove = json!({"module": small, "confirm": true, "timeout_seconds": wait});
            mcp.call("dev_uninstall_module", remove).await.ok();
        }
        let done = mcp.call("dev_install_module", json!({"module": small, "timeout_seconds": wait})).await.ok();
        assert!(done["changed"].to_string().contains(small), "{done}");
        assert_eq!(state(small), "installed");
        // RPC would have said that code stays as it was.
        let done = mcp.call("dev_upgrade_module", json!({"modules": [small], "timeout_seconds": wait})).await.ok();
        assert!(!done.to_string().contains("until the server is restarted"), "{done}");
        let remove = json!({"module": small, "confirm": true, "timeout_seconds": wait});
        mcp.call("dev_uninstall_module", remove).await.ok();
        assert_eq!(state(small), "uninstalled");
        let history = mcp.call("dev_module_history", json!({"module": small})).await.ok();
        assert!(history["count"].as_u64().unwrap() >= 3, "{history}");
        refused(&mcp.call("dev_install_module", json!({"module": "no_such_module"})).await, "not_found");
    }

    pub async fn limited_keys(odoo: &Odoo, ocore: &mut Ocore, _: &Mcp) {
        equipped(odoo, ocore);
        // Even where a key names the tools, a list of models, a field policy, a filter or companies refuse SQL and code outright.
        for limit in [
            ["--models", "res.partner"],
            ["--filter", "res.partner=[('id', '=', 1)]"],
            ["--fields-deny", "res.partner.email"],
            ["--companies", "1"],
        ] {
            let tools = "execute_sql,execute_sql_script,list_tables,execute_shell,execute_shell_multi,python_repl,odoo_logs";
            let key = ocore.key(&[limit[0], limit[1], "--tools-allow", tools]);
            for (tool, arguments) in [
                ("execute_sql", json!({"query": "SELECT 1 AS one"})),
                ("execute_sql_script", json!({"script": "SELECT 1", "confirm": true})),
                ("list_tables", json!({})),
                ("execute_shell", json!({"code": "1"})),
                ("execute_shell_multi", json!({"commands": ["1"]})),
                ("python_repl", json!({"code": "1"})),
                ("odoo_logs", json!({})),
            ] {
                refused(&key.call(&format!("dev_{tool}"), arguments).await, "permission_denied");
            }
        }
        let viewer = ocore.key(&["--role", "viewer"]);
        refused(&viewer.call("dev_execute_sql", json!({"query": "SELECT 1 AS one"})).await, "permission_denied");
        let member = ocore.key(&["--role", "member"]);
        refused(&member.call("dev_execute_shell", json!({"code": "1"})).await, "permission_denied");
        member.call("dev_execute_sql", json!({"query": "SELECT 1 AS one"})).await.ok();
    }

    pub async fn neighbours(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        equipped(odoo, ocore);
        // A production instance in the same container, whose guard is closed: another database of the same Odoo.
        let Some(other) = Odoo::fresh(odoo.version, "hostother") else { return };
        let extra = ["--environment", "production", "--container", &odoo.container];
        ocore.instance("prod", &other, &extra).ok();
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        for (tool, arguments) in [
            ("execute_shell", json!({"code": "print(1)"})),
            ("execute_shell_multi", json!({"commands": ["1"]})),
            ("python_repl", json!({"code": "1"})),
            ("execute_sql", json!({"query": "UPDATE res_partner SET color = 1 WHERE id = 1", "confirm": true})),
            ("execute_sql_script", json!({"script": "UPDATE res_partner SET color = 1 WHERE id = 1", "confirm": true})),
            ("clear_system_cache", json!({"confirm": true})),
            ("restore_database", json!({"backup": "any", "confirm": true})),
            ("file_write", json!({"path": "custom/x.py", "mode": "full_content", "content": "x"})),
            ("file_create", json!({"path": "custom/x.py", "content": "x"})),
            ("file_move", json!({"path": "custom/x.py", "new_path": "custom/y.py"})),
            ("file_delete", json!({"path": "custom/x.py", "confirm": true})),
            ("scaffold_module", json!({"name": "shop_extra"})),
            ("install_module", json!({"module": "note"})),
            ("upgrade_module", json!({"modules": ["web"]})),
            ("uninstall_module", json!({"module": "web", "confirm": true})),
        ] {
            let reply = mcp.call(&format!("dev_{tool}"), arguments).await;
            refused(&reply, "write_blocked");
            let message = reply.body["message"].as_str().unwrap();
            assert!(message.contains("prod (production)") && message.contains("same container"), "{tool}: {message}");
        }
        // Reading goes on, and what reaches this database alone.
        sql(mcp, "SELECT 1 AS one").await.ok();
        mcp.call("dev_create", json!({"model": "res.partner", "values": {"name": "neighbourly"}})).await.ok();
        let logs = mcp.call("dev_odoo_logs", json!({"lines": 1000})).await.ok();
        assert!(logs["notes"].to_string().contains("Other instances run in this container"), "{logs}");
        // The other's guard opened, and it goes.
        ocore.cli(&["instance", "update", "prod", "--write-enabled", "true"], "").ok();
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        mcp.call("dev_execute_shell", json!({"code": "print(1)", "timeout_seconds": 60})).await.ok();
    }
}

#[test]
fn a_database_that_is_down_gives_its_own_refusal() {
    let Some((odoo, ocore, mcp)) = own(19, "host", Odoo::fresh) else { return };
    run(async {
        ocore
            .cli(
                &["instance", "update", "dev", "--postgres-url-stdin"],
                &format!("postgres://odoo:x@127.0.0.1:1/{}\n", odoo.database),
            )
            .ok();
        ocore.cli(&["server", "update", "host", "--org", "acme", "--docker", "tcp://127.0.0.1:2", "--docker-ca", "/nowhere"], "");
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        let began = std::time::Instant::now();
        let reply = sql(&mcp, "SELECT 1").await;
        refused(&reply, "unreachable");
        assert!(!reply.body.to_string().contains("127.0.0.1"), "where the server is, is the operator's: {reply:?}");
        assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
        // RPC goes on.
        mcp.call("dev_count", json!({"model": "res.partner"})).await.ok();
        // A URL with a password in a wrong form is never repeated.
        let bad = ocore.cli(&["instance", "update", "dev", "--postgres-url-stdin"], "mysql://odoo:hunter2@db/x\n");
        assert!(bad.code != 0 && !format!("{bad:?}").contains("hunter2"), "{bad:?}");
    });
}
