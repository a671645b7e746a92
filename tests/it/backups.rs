//! Backups and restores of real Odoos, each in a container of its own: a restore restarts it. The witness is the database.
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, Own, Reply, run};

fn refused(reply: &Reply, code: &str) {
    assert!(reply.is_error && reply.body["code"] == code, "{code}: {reply:?}");
    assert!(!reply.body["next"].as_str().unwrap_or_default().is_empty(), "{reply:?}");
}
fn equip(ocore: &Ocore, odoo: &Odoo, folder: &Path) {
    let root = folder.to_str().expect("a path");
    let backups = format!("{root}/backups");
    ocore
        .cli(&["server", "update", "host", "--org", "acme", "--docker", "unix:///var/run/docker.sock", "--path-root", root], "")
        .ok();
    let change = [
        "instance",
        "update",
        "dev",
        "--container",
        &odoo.container,
        "--postgres-container",
        "ocore-test-pg",
        "--backups",
        &backups,
    ];
    ocore.cli(&change, "").ok();
    let url = format!("postgres://odoo_{}:ocore@127.0.0.1:15432/{}\n", odoo.version, odoo.database);
    ocore.cli(&["instance", "update", "dev", "--postgres-url-stdin"], &url).ok();
    std::thread::sleep(Duration::from_millis(1_500));
}
/// Calls until the operation has ended.
async fn whole(mcp: &Mcp, tool: &str, arguments: &Value) -> Reply {
    let began = Instant::now();
    loop {
        let mut arguments = arguments.clone();
        arguments["timeout_seconds"] = json!(100);
        let reply = mcp.call(tool, arguments).await;
        if reply.body.get("operation").is_none() || began.elapsed() > Duration::from_secs(400) {
            return reply;
        }
    }
}

fn there_and_back(version: u16) {
    let Some(own) = Own::new(version, "backups") else { return };
    let odoo = &own.odoo;
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let mut ocore = Ocore::new();
    ocore.instance("dev", odoo, &[]).ok();
    let mcp = ocore.serve().key(&[]).on(version);
    run(async {
        refused(&mcp.call("dev_list_backups", json!({})).await, "not_configured");
        equip(&ocore, odoo, folder.path());
        assert_eq!(mcp.call("dev_list_backups", json!({})).await.ok()["count"], 0);
        let name = || odoo.sql("SELECT name FROM res_partner WHERE id = 1");
        let before = name();
        let upload = json!({"model": "res.partner", "id": 1, "name": "kept.txt", "content": "a2VwdA=="});
        mcp.call("dev_upload_attachment", upload).await.ok();

        // A backup changes nothing of the instance: a closed guard does not bar it.
        ocore.cli(&["instance", "update", "dev", "--write-enabled", "false"], "").ok();
        std::thread::sleep(Duration::from_millis(1_500));
        let made = whole(&mcp, "dev_backup_database", &json!({"label": "before the change"})).await.ok();
        let id = made["backup"].as_str().expect("an id").to_owned();
        assert!(made["filestore"] == true && made["bytes"].as_u64().is_some_and(|b| b > 1_000_000), "{made}");
        refused(&mcp.call("dev_restore_database", json!({"backup": id, "confirm": true})).await, "write_blocked");
        ocore.cli(&["instance", "update", "dev", "--write-enabled", "true"], "").ok();
        std::thread::sleep(Duration::from_millis(1_500));

        let listed = mcp.call("dev_list_backups", json!({"max_age_days": 1})).await.ok();
        let first = &listed["backups"][0];
        assert_eq!(
            (&first["id"], &first["state"], &first["label"]),
            (&json!(id), &json!("good"), &json!("before the change")),
            "{listed}"
        );
        for bad in ["nothing-like-it", "../other", "", "a/b"] {
            let reply = mcp.call("dev_restore_database", json!({"backup": bad, "confirm": true})).await;
            assert!(reply.is_error, "{bad}: {reply:?}");
        }
        mcp.call("dev_write", json!({"model": "res.partner", "ids": [1], "values": {"name": "Changed since"}})).await.ok();
        assert_eq!(name(), "Changed since");
        let asked = mcp.call("dev_restore_database", json!({"backup": id})).await;
        refused(&asked, "confirm_required");
        assert!(asked.body["plan"]["warnings"].to_string().contains("is replaced"), "{asked:?}");
        let put = whole(&mcp, "dev_restore_database", &json!({"backup": id, "confirm": true})).await.ok();
        assert_eq!(put["served"], "new", "{put}");
        assert_eq!(name(), before);
        // The snapshot of what was there before is a backup as well.
        let listed = mcp.call("dev_list_backups", json!({})).await.ok();
        assert!(listed["count"] == 2 && listed.to_string().contains(put["snapshot"].as_str().expect("a snapshot")), "{listed}");

        // Tampered with, it is not put back.
        let dump = folder.path().join("backups");
        let tampered = Command::new("sh")
            .args([
                "-c",
                &format!(
                    "f=$(find {} -name dump.pgc -path '*{id}*') && printf x | dd of=$f bs=1 seek=100 conv=notrunc",
                    dump.display()
                ),
            ])
            .output();
        assert!(tampered.is_ok_and(|o| o.status.success()));
        let reply = whole(&mcp, "dev_restore_database", &json!({"backup": id, "confirm": true})).await;
        refused(&reply, "conflict");
        assert_eq!(name(), before);
        let limited = ocore.key(&["--models", "res.partner"]);
        refused(&limited.call("dev_list_backups", json!({})).await, "permission_denied");
        let member = ocore.key(&["--role", "member"]);
        refused(&member.call("dev_restore_database", json!({"backup": id, "confirm": true})).await, "permission_denied");
    });
}

#[test]
fn there_and_back_19() {
    there_and_back(19);
}
#[test]
fn there_and_back_14() {
    there_and_back(14);
}

/// A copy to let an assistant loose on: whole, harmless, an instance of its own, and nothing of the original is changed.
fn a_copy(version: u16) {
    let Some(odoo) = Odoo::fresh(version, "clone-from") else { return };
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    equip(&ocore, &odoo, folder.path());
    let database = format!("{}_copy", odoo.database);
    let copy = Odoo { database: database.clone(), ..odoo.clone() };
    let _ = crate::harness::stack(&["drop", &version.to_string(), &database]);
    odoo.sql("UPDATE ir_cron SET active = true");
    let crons = |of: &Odoo| of.sql("SELECT count(*) FROM ir_cron WHERE active").trim().parse::<i64>().expect("a number");
    let uuid = |of: &Odoo| of.sql("SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'");
    let people = |of: &Odoo| of.sql("SELECT count(*), max(id) FROM res_partner");
    let before = (crons(&odoo), uuid(&odoo), people(&odoo));

    let taken = ocore.cli(&["instance", "clone", "dev", "dev", "--database", &database], "");
    assert!(taken.code != 0 && taken.stderr.contains("already"), "{taken:?}");
    let made = ocore.cli(&["--json", "instance", "clone", "dev", "play", "--database", &database], "").ok();
    assert_eq!(made.json()["environment"], "development", "{made:?}");
    assert_eq!(people(&copy), before.2);
    assert!(crons(&copy) <= 1 && before.0 > 3, "of {} scheduled actions {} are active", before.0, crons(&copy));
    assert_ne!(uuid(&copy), before.1);
    assert_eq!((crons(&odoo), uuid(&odoo), people(&odoo)), before, "nothing of the original is changed");
    // A second one under that name is refused, and what is there stays.
    let again = ocore.cli(&["instance", "clone", "dev", "other", "--database", &database], "");
    assert!(again.code != 0, "{again:?}");
    assert_eq!(people(&copy), before.2);

    let mcp = ocore.serve().key(&[]).on(version);
    run(async {
        mcp.call("play_write", json!({"model": "res.partner", "ids": [1], "values": {"name": "Only in the copy"}})).await.ok();
        let read = mcp.call("dev_read", json!({"model": "res.partner", "ids": [1], "fields": ["name"]})).await.ok();
        assert!(!read.to_string().contains("Only in the copy"), "{read}");
    });
    let log = ocore.cli(&["--json", "audit", "log", "--org", "acme", "--limit", "50"], "").ok().stdout;
    assert!(log.matches("instance.clone").count() == 3, "two begun, one done: {log}");
    ocore.stop("TERM");
    let _ = crate::harness::stack(&["drop", &version.to_string(), &database]);
}
#[test]
fn a_copy_19() {
    a_copy(19);
}
#[test]
fn a_copy_14() {
    a_copy(14);
}
