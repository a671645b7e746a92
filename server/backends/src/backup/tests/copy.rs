//! Copies of real databases, neutralized.
use std::time::Instant;

use super::common::{World, docker, watched};
use crate::backup::{Copied, CopyRequest, Error, Progress, Step, Watch};
use tokio_util::sync::CancellationToken;

async fn copy(world: &World, name: &str) -> Result<Copied, Error> {
    let request = CopyRequest { database: name.to_owned(), random: [[1; 16], [2; 16]] };
    watched(async |watch| world.backups.clone_database(&world.instance, &request, watch).await).await
}

async fn a_copy_is_whole_and_harmless(version: u32) {
    let world = World::new("copy", version);
    world.fill();
    // Things that reach out; 15's mail servers have a column that must not be null, which 14 gets here as well.
    if version == 14 {
        world.sql("ALTER TABLE ir_mail_server ADD smtp_authentication varchar NOT NULL DEFAULT 'x'");
        world.sql("ALTER TABLE ir_mail_server ALTER smtp_authentication DROP DEFAULT");
    }
    world.sql(
        "INSERT INTO ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, smtp_authentication, active, sequence)
         VALUES ('m', 'mail.example.com', 25, 'none', 'login', true, 1)",
    );
    world.sql("UPDATE ir_cron SET active = true, nextcall = '2099-01-01'");
    let made = |needed: &str, sql: &str| {
        let there = world.sql(&format!("SELECT to_regclass('{needed}') IS NOT NULL")) == "t";
        if there {
            world.sql(sql);
        }
        println!("{version}: {needed} {}", if there { "made" } else { "is not installed here" });
        there
    };
    made(
        "fetchmail_server",
        "INSERT INTO fetchmail_server (name, server, server_type, active, state) VALUES ('f', 'mail.example.com', 'imap', true, 'done')",
    );
    made("payment_acquirer", "UPDATE payment_acquirer SET state = 'enabled'");
    made("payment_provider", "UPDATE payment_provider SET state = 'enabled'");
    if version == 14 {
        made("iap_account", "INSERT INTO iap_account (service_name, account_token) VALUES ('sms', 'token')");
    } else {
        made("iap_account", "UPDATE iap_account SET account_token = 'token'");
        let code =
            "SELECT min(id) FROM ir_act_server WHERE state = 'code' AND id NOT IN (SELECT ir_actions_server_id FROM ir_cron)";
        made(
            "ir_act_server",
            &format!("UPDATE ir_act_server SET state = 'webhook', webhook_url = 'https://example.com/hook' WHERE id = ({code})"),
        );
        assert_eq!(world.sql("SELECT count(*) FROM ir_act_server WHERE state = 'webhook'"), "1");
    }
    let before = world.picture();
    let name = format!("{}_copy", world.database);
    let began = Instant::now();
    let copied = copy(&world, &name).await.unwrap();
    println!("{version}: {:?} {copied:?}", began.elapsed());
    assert!(!copied.by_template && copied.neutralized.left().is_none());
    assert_eq!(copied.neutralized.by_odoo, version == 19);
    assert_eq!(copied.missing, 0);
    let at = |sql: &str| world.server.sql(&name, sql);
    assert_eq!(at("SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'"), copied.uuid);
    assert_ne!(
        at("SELECT value FROM ir_config_parameter WHERE key = 'database.secret'"),
        world.sql("SELECT value FROM ir_config_parameter WHERE key = 'database.secret'")
    );
    assert_eq!(at("SELECT count(*) FROM ir_cron WHERE active"), "1");
    assert_eq!(at("SELECT string_agg(smtp_host, ',') FROM ir_mail_server WHERE active"), "invalid");
    assert_eq!(at("SELECT count(*) FROM ir_attachment"), world.sql("SELECT count(*) FROM ir_attachment"));
    // The source is as it was, and the copy's files are its own.
    assert_eq!(world.picture(), before);
    assert!(world.sql("SELECT count(*) FROM ir_cron WHERE active").parse::<u32>().unwrap() > 1);
    let differ = docker(&[
        "exec",
        &world.odoo.0,
        "sh",
        "-c",
        &format!("cd /var/lib/odoo/filestore && find {name} -type f -links +1 | wc -l"),
    ]);
    assert_eq!(differ, "0");
    // Odoo serves it, with the users' passwords.
    let shell = String::from(
        "a=env['ir.attachment'].search([('name','=','ocore-1')])\nprint('answer', len(a.raw), env['res.users'].browse(2).login)\n",
    );
    let out = std::process::Command::new("bash")
        .args(["-c", &format!("printf '%s' \"$0\" | docker exec -i {} odoo shell -c /etc/odoo/plain.conf -d {name} --no-http --log-level=critical", world.odoo.0), &shell])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.contains("answer 700000 admin"), "{said} {}", String::from_utf8_lossy(&out.stderr));

    // There already.
    assert!(matches!(copy(&world, &name).await, Err(Error::Taken { .. })));
    assert!(matches!(copy(&world, &world.database).await, Err(Error::Taken { .. })));
    docker(&["exec", &world.odoo.0, "mkdir", &format!("/var/lib/odoo/filestore/{}_other", world.database)]);
    assert!(matches!(copy(&world, &format!("{}_other", world.database)).await, Err(Error::Taken { .. })));

    // Cancelled at each step: everything made is removed.
    for step in [Step::Copy, Step::Filestore, Step::Neutralize, Step::ReadBack] {
        let stop = CancellationToken::new();
        let signal = stop.clone();
        let mut progress = move |progress: Progress| {
            if progress.step == step {
                signal.cancel();
            }
        };
        let mut watch = Watch { progress: &mut progress, cancel: stop };
        let request = CopyRequest { database: format!("{}_third", world.database), random: [[1; 16], [2; 16]] };
        let error = world.backups.clone_database(&world.instance, &request, &mut watch).await.unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{step:?}: {error}");
        assert_eq!(
            world.server.sql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", request.database)),
            "0"
        );
        assert_eq!(world.files("_third"), "0");
    }

    // Nobody in the source: by PostgreSQL's own copying.
    let mut first = true;
    let mut progress = |progress: Progress| {
        if progress.step == Step::Copy && std::mem::take(&mut first) {
            let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", world.database);
            world.server.sql("postgres", &end);
        }
    };
    let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
    let request = CopyRequest { database: format!("{}_fourth", world.database), random: [[3; 16], [4; 16]] };
    let copied = world.backups.clone_database(&world.instance, &request, &mut watch).await.unwrap();
    assert!(copied.by_template && copied.neutralized.left().is_none(), "{copied:?}");
    world.server.unharmed();
}
#[tokio::test]
async fn a_copy_is_whole_and_harmless_19() {
    a_copy_is_whole_and_harmless(19).await;
}
#[tokio::test]
async fn a_copy_is_whole_and_harmless_14() {
    a_copy_is_whole_and_harmless(14).await;
}
