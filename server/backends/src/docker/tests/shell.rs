//! Code in real Odoos, 19 and 14, behind the official image's entry point and without one.
use std::time::{Duration, Instant};

use super::{Database, Own, official, plain};
use crate::docker::{
    Error,
    exec::{Limits, Why},
    shell::Mode,
};

fn within(seconds: u64) -> Limits {
    Limits { deadline: Duration::from_secs(seconds), ..Limits::default() }
}
async fn everything(own: &Own, database: &Database) {
    let (container, db) = (own.container(), database.name.as_str());
    let launch = container.launch().await.unwrap();
    println!("{launch:?}");
    assert!(launch.pid.is_some() && !format!("{launch:?}").contains("db_password=ocore"));

    let began = Instant::now();
    let outcome = container
        .execute(
            db,
            "import sys\nprint('héllo', env.cr.dbname)\nprint('err', file=sys.stderr)\nenv['res.partner'].search_count([]) > 0",
            Mode::Script,
            &within(60),
        )
        .await
        .unwrap();
    println!("a snippet took {:?}, of which its own {:?}", began.elapsed(), outcome.took);
    assert_eq!(outcome.stdout.text(), format!("héllo {db}\n"));
    assert_eq!(outcome.stderr.text(), "err\n");
    assert_eq!((outcome.exit_code, outcome.value.as_deref(), outcome.committed), (0, Some("True"), Some(false)));

    // Rolled back, unless it commits; and told, whichever way it commits.
    let name = |n: u32| format!("env['res.partner'].create({{'name': 'ocore-docker-{n}'}})\n");
    let snippets = [
        name(1),
        format!("{}env.cr.commit()", name(2)),
        format!(
            "{}env['res.partner'].flush_model() if hasattr(env['res.partner'], 'flush_model') else env['res.partner'].flush()\nenv.cr.execute('COMMIT')",
            name(3)
        ),
        format!("{}env.cr.rollback()", name(4)),
    ];
    let mut committed = Vec::new();
    for snippet in &snippets {
        let outcome = container.execute(db, snippet, Mode::Script, &within(60)).await.unwrap();
        assert_eq!(outcome.exit_code, 0, "{}", outcome.stderr.text());
        committed.push(outcome.committed);
    }
    assert_eq!(committed, [Some(false), Some(true), Some(true), Some(false)]);
    let made = database.sql("SELECT string_agg(name, ',' ORDER BY name) FROM res_partner WHERE name LIKE 'ocore-docker-%'");
    assert_eq!(made, "ocore-docker-2,ocore-docker-3");

    // Errors.
    let outcome = container.execute(db, "x = 1\nif x\n  pass", Mode::Script, &within(60)).await.unwrap();
    let error = outcome.error.unwrap();
    assert_eq!((error.kind.as_str(), error.line, outcome.exit_code), ("SyntaxError", Some(2), 1));
    assert!(outcome.stderr.text().contains("    if x\n"), "{}", outcome.stderr.text());
    let code = "def outer():\n    env['res.partner'].search([('no_such_field', '=', 1)])\n\nouter()";
    let outcome = container.execute(db, code, Mode::Script, &within(60)).await.unwrap();
    let error = outcome.error.unwrap();
    println!("{}", error.trace);
    assert_eq!((error.kind.as_str(), error.line), ("ValueError", Some(2)));
    assert!(error.message.contains("no_such_field") && error.trace.contains("frames outside the code"));
    assert!(error.trace.contains("in outer\n    env['res.partner'].search") && !error.trace.contains("_ocore"));
    let outcome = container
        .execute(db, "from odoo.exceptions import UserError\nraise UserError('no')", Mode::Script, &within(60))
        .await
        .unwrap();
    assert_eq!(outcome.error.unwrap().kind, "odoo.exceptions.UserError");
    let outcome = container.execute(db, "import sys; sys.exit(9)", Mode::Script, &within(60)).await.unwrap();
    assert_eq!((outcome.exit_code, outcome.error), (9, None));
    let outcome =
        container.execute(db, "import os\nprint('last', flush=True)\nos._exit(5)", Mode::Script, &within(60)).await.unwrap();
    assert_eq!((outcome.exit_code, outcome.stdout.text().as_str(), outcome.committed), (5, "last\n", None));

    // A prompt shows every value; a script its last.
    let outcome =
        container.execute(db, "1 + 1\nNone\nx = 3\nfor i in range(2): i\n'é'\n_", Mode::Prompt, &within(60)).await.unwrap();
    assert_eq!(outcome.stdout.text(), "2\n0\n1\n'é'\n'é'\n");

    // Several share one environment and transaction.
    let commands = ["import math\nx = 2".to_owned(), "print(math.sqrt(x * 2))".to_owned(), "1 / 0".to_owned(), "x".to_owned()];
    let outcomes = container.execute_multi(db, &commands, false, &within(60)).await.unwrap();
    assert_eq!(outcomes.iter().map(|o| o.exit_code).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(outcomes[1].stdout.text(), "2.0\n");
    assert!(outcomes[2].stderr.text().contains("\"<command 3>\", line 1"), "{}", outcomes[2].stderr.text());
    let commands = [
        "p = env['res.partner'].create({'name': 'ocore-docker-5'}); env.cr.execute('SELECT 1')".to_owned(),
        "env.cr.execute('SELECT no_such_column')".to_owned(),
        "env['res.partner'].search_count([('name', '=', 'ocore-docker-5')])".to_owned(),
    ];
    let outcomes = container.execute_multi(db, &commands, true, &within(60)).await.unwrap();
    assert_eq!(outcomes.iter().map(|o| (o.exit_code, o.lost)).collect::<Vec<_>>(), [(0, false), (1, true), (0, false)]);
    assert_eq!(outcomes[2].value.as_deref(), Some("0"));

    // Much output, each snippet with limits of its own.
    let commands = ["print('a' * 5_000_000 + 'end')".to_owned(), "print('short')".to_owned()];
    let outcomes = container.execute_multi(db, &commands, false, &within(60)).await.unwrap();
    assert!(outcomes[0].stdout.dropped > 4_000_000 && outcomes[0].stdout.tail.ends_with(b"end\n"));
    assert!(outcomes[0].stdout.head.iter().all(|b| *b == b'a'));
    assert_eq!(outcomes[1].stdout.text(), "short\n");

    // The deadline ends the process, and the query in PostgreSQL with it.
    let before = own.others().len();
    let outcome = container.execute(db, "print('begun', flush=True)\nwhile True: pass", Mode::Script, &within(12)).await.unwrap();
    assert_eq!((outcome.killed, outcome.exit_code, outcome.stdout.text().as_str()), (Some(Why::Deadline), 124, "begun\n"));
    let outcome = container.execute(db, "env.cr.execute('SELECT pg_sleep(300)')", Mode::Script, &within(12)).await.unwrap();
    assert!(outcome.exit_code == 124 || outcome.exit_code == 1, "{outcome:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sleeping = database.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'");
    assert_eq!(sleeping, "0");
    own.settles_at(before);

    // The password is in no argument of ours, and the code does not see the orders.
    let outcome = container
        .execute(db, "import os\n[open('/proc/self/cmdline').read(), sorted(os.environ)]", Mode::Script, &within(60))
        .await
        .unwrap();
    let value = outcome.value.unwrap();
    assert!(!value.contains("password") && value.contains("--no-http"), "{value}");

    // No such database; a name that would be a flag.
    let error = container.execute("no_such_database_here", "1", Mode::Script, &within(60)).await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::OdooStart { .. }), "{error}");
    let error = container.execute("--init=base", "1", Mode::Script, &within(60)).await.unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
}

#[tokio::test]
async fn odoo_19_official() {
    let database = Database::fresh(19, "shell_o");
    let own = official("shell-o", 19, &database.name, &[]);
    everything(&own, &database).await;
}
#[tokio::test]
async fn odoo_14_official() {
    let database = Database::fresh(14, "shell_o");
    let own = official("shell-o", 14, &database.name, &[]);
    everything(&own, &database).await;
}
#[tokio::test]
async fn odoo_19_plain() {
    let database = Database::fresh(19, "shell_p");
    let own = plain("shell-p", 19, &database.name);
    everything(&own, &database).await;
}
#[tokio::test]
async fn odoo_14_plain() {
    let database = Database::fresh(14, "shell_p");
    let own = plain("shell-p", 14, &database.name);
    everything(&own, &database).await;
}

/// The official image whose server does not run: the entry point's settings are found without it, a password in a file included.
#[tokio::test]
async fn without_a_server() {
    for version in [19, 14] {
        let database = Database::fresh(version, "shell_i");
        let user = format!("USER=odoo_{version}");
        let tag = super::official_image(version);
        let secret = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-conf");
        std::fs::create_dir_all(secret).unwrap();
        let secret = format!("{secret}/database-password");
        #[allow(clippy::disallowed_methods)]
        std::fs::write(&secret, "ocore\n").unwrap();
        let mount = format!("{secret}:/run/database-password:ro");
        let own = Own::run(
            &format!("shell-i-{version}"),
            &[
                "-e",
                "HOST=ocore-test-pg",
                "-e",
                &user,
                "-e",
                "PASSWORD_FILE=/run/database-password",
                "-v",
                &mount,
                &tag,
                "sleep",
                "infinity",
            ],
        );
        let launch = own.container().launch().await.unwrap();
        println!("{launch:?}");
        assert_eq!(launch.pid, None);
        let outcome = own.container().execute(&database.name, "env.user.login", Mode::Script, &within(60)).await.unwrap();
        assert_eq!(outcome.value.as_deref(), Some("'__system__'"), "{}", outcome.stderr.text());
    }
    let own = Own::run("no-odoo", &["ocore-docker-test-sshd:1", "sleep", "infinity"]);
    let container = own.container_as(crate::docker::container::Options { user: Some("deploy".into()), ..Default::default() });
    let error = container.launch().await.unwrap_err();
    assert!(matches!(error, Error::NoPython { .. }), "{error}");
}
