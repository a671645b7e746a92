//! Modules by the command line in real Odoos, methods and constraints of models, and caches.
use std::{process::Command, time::Duration};

use super::{Database, Own, docker, official, plain};
use crate::docker::{
    Error,
    exec::{Exit, Limits, Why},
    modules::{Operation, Progress, Report, Restart},
    reflect::Target,
    shell::Mode,
};

fn within(seconds: u64) -> Limits {
    Limits { deadline: Duration::from_secs(seconds), ..Limits::default() }
}
/// The test's modules, with time stamps of now.
fn put_addons(own: &Own) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/addons");
    let tar = Command::new("sh")
        .args([
            "-c",
            &format!(
                "tar -C {folder} --owner=100 --group=101 --mode=a+rwX --mtime=now -c . | docker cp - {}:/mnt/extra-addons",
                own.name
            ),
        ])
        .output()
        .unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
}
async fn work(own: &Own, database: &Database, operation: Operation, module: &str, restart: Restart) -> (Report, Vec<Progress>) {
    let mut steps = Vec::new();
    let report = own
        .container()
        .modules(&database.name, operation, &[module.to_owned()], restart, &within(300), &mut |step| steps.push(step))
        .await
        .unwrap();
    println!(
        "{operation:?} {module}: done {} exit {:?} in {:?}, {} steps, restarted {:?} needed {} failure {:?}",
        report.done,
        report.exit,
        report.took,
        steps.len(),
        report.restarted,
        report.restart_needed,
        report.failure.as_ref().map(|f| (&f.module, &f.message))
    );
    (report, steps)
}
fn state(report: &Report, module: &str) -> String {
    report.after.iter().find(|row| row.name == module).unwrap().state.clone()
}

async fn everything(own: &Own, database: &Database) {
    let (container, db, version) = (own.container(), database.name.as_str(), database.version);
    let error = container
        .modules(db, Operation::Install, &["ocore_good".into()], Restart::Never, &within(60), &mut |_| ())
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::UnknownModules { modules } if modules == &["ocore_good"]), "{error}");
    put_addons(own);
    let (_, added) = container.update_module_list(db, &within(60)).await.unwrap();
    assert_eq!(added, 4);

    let (report, steps) = work(own, database, Operation::Install, "ocore_good", Restart::Never).await;
    assert!(report.done && report.failure.is_none(), "{report:?}");
    assert_eq!(state(&report, "ocore_good"), "installed");
    assert_eq!(report.installed.1, report.installed.0 + 1);
    assert!(steps.iter().any(|step| step.module == "ocore_good" && step.number <= step.of), "{steps:?}");
    assert!(report.restart_needed, "the code is newer than the server");
    assert_eq!(database.sql("SELECT size FROM ocore_good"), "3");

    // What is found out about models.
    let methods = container.model_methods(db, "ocore.good", true, None, &within(60)).await.unwrap().unwrap();
    println!("{} methods", methods.len());
    let method = |name: &str| methods.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("{name}"));
    let greet = method("greet");
    assert_eq!(greet.signature, "(self, who, *, loud=False, **more)");
    assert_eq!(
        (greet.decorators.as_slice(), greet.module.as_str(), greet.inherited),
        (&["model".to_owned()][..], "ocore_good", false)
    );
    assert!(greet.doc.starts_with("Greets.") && greet.file.as_deref().unwrap().ends_with("ocore_good/models.py"));
    let body = std::process::Command::new("sed")
        .args([
            "-n",
            &format!("{}p", greet.line.unwrap()),
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/addons/ocore_good/models.py"),
        ])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&body.stdout).contains("@api.model"), "line {:?}", greet.line);
    assert_eq!(method("_compute_size").decorators, ["depends(name)"]);
    assert_eq!(method("_check_name").decorators, ["constrains(name)"]);
    assert!(method("_check_name").private && method("search_read").inherited);
    let found = container.model_methods(db, "res.partner", false, Some("CREATE"), &within(60)).await.unwrap().unwrap();
    let create = found.iter().find(|m| m.name == "create").unwrap();
    println!("{create:?}");
    assert!(create.decorators.contains(&"model_create".to_owned()), "{create:?}");
    assert!(
        create.overridden_in.contains(&"ocore_good".to_owned())
            && create.overridden_in.contains(&"base".to_owned())
            && !create.inherited,
        "{create:?}"
    );
    assert!(found.iter().all(|m| m.name.contains("create") && !m.private || m.private && !m.name.starts_with('_')), "{found:?}");
    assert!(container.model_methods(db, "no.such.model", false, None, &within(60)).await.unwrap().is_none());
    let constraints = container.python_constraints(db, "ocore.good", &within(60)).await.unwrap().unwrap();
    let check = constraints.iter().find(|c| c.name == "_check_name").unwrap();
    assert_eq!((check.fields.as_slice(), check.doc.as_str()), (&["name".to_owned()][..], "No shouting."));
    assert!(check.source.as_deref().unwrap().contains("Not so loud"));

    // An upgrade with the restart that changed code needs.
    let before = container.describe().await.unwrap().started_at;
    let (report, _) = work(own, database, Operation::Upgrade, "ocore_good", Restart::IfCodeChanged).await;
    assert!(report.done && report.restarted == Some(Ok(())) && !report.restart_needed, "{report:?}");
    assert_ne!(container.describe().await.unwrap().started_at, before);
    let (report, _) = work(own, database, Operation::Upgrade, "ocore_good", Restart::IfCodeChanged).await;
    assert!(report.done && report.restarted.is_none() && !report.restart_needed);

    // Failures name the module and the reason; the states are the truth.
    let (report, _) = work(own, database, Operation::Install, "ocore_bad_data", Restart::Never).await;
    let failure = report.failure.as_ref().unwrap();
    assert!(!report.done && failure.module.as_deref() == Some("ocore_bad_data"), "{failure:?}");
    assert!(failure.message.contains("caused by ValueError") && failure.message.contains("no_such_field'"), "{failure:?}");
    assert_ne!(state(&report, "ocore_bad_data"), "installed");
    assert_ne!(report.exit, Exit::Code(0));
    let (report, _) = work(own, database, Operation::Install, "ocore_bad_code", Restart::Never).await;
    let failure = report.failure.as_ref().unwrap();
    assert!(!report.done && failure.message.contains("this module cannot be imported"), "{failure:?}");
    assert_eq!(failure.module.as_deref(), Some("ocore_bad_code"), "{failure:?}");
    // The deadline: nothing goes on.
    let before = own.others().len();
    let report = container
        .modules(db, Operation::Install, &["ocore_slow".into()], Restart::Never, &within(10), &mut |_| ())
        .await
        .unwrap();
    assert_eq!(report.exit, Exit::Killed(Why::Deadline));
    assert!(!report.done && report.failure.unwrap().message.contains("deadline"));
    own.settles_at(before);
    database.sql("UPDATE ir_module_module SET state = 'uninstalled' WHERE state LIKE 'to %'");

    let (report, _) = work(own, database, Operation::Uninstall, "ocore_good", Restart::Never).await;
    assert!(report.done, "{report:?}");
    assert_eq!(state(&report, "ocore_good"), "uninstalled");
    assert_eq!(database.sql("SELECT to_regclass('ocore_good') IS NULL"), "t");

    // Caches.
    let signals = if version == 19 {
        "SELECT coalesce(max(id), 0) FROM orm_signaling_registry"
    } else {
        "SELECT last_value FROM base_registry_signaling"
    };
    let at: i64 = database.sql(signals).parse().unwrap();
    database.sql("INSERT INTO ir_attachment (name, url, res_model, res_id, public, type, create_uid) VALUES ('web.assets_x.js', '/web/assets/1-1/web.assets_x.js', 'ir.ui.view', 0, true, 'binary', 1), ('mine', '/web/content/mine', NULL, NULL, false, 'binary', 1)");
    docker(&[
        "exec",
        &own.name,
        "sh",
        "-c",
        "mkdir -p /mnt/extra-addons/ocore_good/__pycache__ /var/lib/odoo/sessions/ab && touch /mnt/extra-addons/ocore_good/__pycache__/x.pyc /var/lib/odoo/sessions/ab/abc",
    ]);
    let cleared = container.clear_caches(db, &[Target::Registry, Target::Assets, Target::Pyc], &within(120)).await.unwrap();
    println!("{cleared:?}");
    assert!(
        cleared.assets.unwrap() >= 1 && cleared.pyc.unwrap() >= 1 && cleared.registry == Some(1) && cleared.sessions.is_none()
    );
    assert_eq!(database.sql("SELECT string_agg(name, ',') FROM ir_attachment WHERE name IN ('web.assets_x.js', 'mine')"), "mine");
    assert!(database.sql(signals).parse::<i64>().unwrap() > at);
    let cleared = container.clear_caches(db, &[Target::Sessions], &within(60)).await.unwrap();
    assert!(cleared.sessions.unwrap() >= 1 && cleared.registry.is_none());
}

#[tokio::test]
async fn odoo_19() {
    let database = Database::fresh(19, "modules");
    let own = official("modules", 19, &database.name, &[]);
    everything(&own, &database).await;
}
#[tokio::test]
async fn odoo_14() {
    let database = Database::fresh(14, "modules");
    let own = official("modules", 14, &database.name, &[]);
    everything(&own, &database).await;
}

/// Progress and failures are read where the server logs to a file.
#[tokio::test]
async fn a_log_file_in_the_configuration() {
    for version in [19, 14] {
        let database = Database::fresh(version, "logfile");
        let own = plain("logfile", version, &database.name);
        let container = own.container();
        // As if the server had been configured so.
        let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-conf");
        let path = format!("{conf}/logfile-{version}.conf");
        let text = std::process::Command::new("cat").arg(&path).output().unwrap().stdout;
        let text = String::from_utf8(text).unwrap() + "\nlogfile = /var/lib/odoo/odoo.log\nlimit_memory_hard = 8589934592\n";
        #[allow(clippy::disallowed_methods)]
        std::fs::write(&path, text).unwrap();
        container.restart(Duration::from_secs(5), Duration::from_mins(1)).await.unwrap();
        let launch = container.launch().await.unwrap();
        assert_eq!(launch.logfile.as_deref(), Some("/var/lib/odoo/odoo.log"));
        // A memory limit above ours does not keep the shell from starting, nor what follows.
        let outcome = container.execute(&database.name, "1", Mode::Script, &within(60)).await.unwrap();
        assert_eq!(outcome.value.as_deref(), Some("1"));
        let (report, steps) = work(&own, &database, Operation::Upgrade, "contacts", Restart::Always).await;
        assert!(report.done && !steps.is_empty() && report.restarted == Some(Ok(())), "{report:?}");
        let found = container
            .logs(
                &crate::docker::logs::Source::File("/var/lib/odoo/odoo.log".into()),
                &crate::docker::logs::Query::default(),
                &|t| t.to_owned(),
                Duration::from_secs(20),
            )
            .await
            .unwrap();
        assert!(found.records.len() >= 5 && found.records.iter().all(|r| r.level.is_some()), "{found:?}");
        let error = container
            .logs(
                &crate::docker::logs::Source::File("/var/lib/odoo/none.log".into()),
                &crate::docker::logs::Query::default(),
                &|t| t.to_owned(),
                Duration::from_secs(20),
            )
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Log { .. }), "{error}");
    }
}
