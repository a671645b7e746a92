//! With the guard switched off: what the reader's rights and transaction leave of the hostile statements.
use std::{collections::BTreeMap, process::Command, time::Duration};

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::corpus::{self, MARK, blocks, unguarded};
use crate::postgres::{
    guard::{self, Kind, Refused},
    roles,
    session::{Error, Limits},
};

/// What could have been changed, by name: checksums of all tables, sequences and catalogues, settings, files.
async fn snapshot(client: &Client) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let sequences = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'";
    let sequences: std::collections::BTreeSet<String> =
        client.query(sequences, &[]).await.unwrap().iter().map(|row| format!("public.\"{}\"", row.get::<_, String>(0))).collect();
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'm')";
    let mut names: Vec<String> =
        client.query(tables, &[]).await.unwrap().iter().map(|row| format!("public.\"{}\"", row.get::<_, String>(0))).collect();
    for catalogue in [
        "pg_class",
        "pg_proc",
        "pg_authid",
        "pg_auth_members",
        "pg_db_role_setting",
        "pg_database",
        "pg_namespace",
        "pg_type",
        "pg_trigger",
        "pg_rewrite",
        "pg_constraint",
        "pg_largeobject_metadata",
        "pg_largeobject",
        "pg_extension",
        "pg_replication_slots",
        "pg_prepared_xacts",
        "pg_publication",
        "pg_subscription",
        "pg_default_acl",
        "pg_event_trigger",
        "pg_foreign_server",
        "pg_foreign_data_wrapper",
        "pg_user_mapping",
        "pg_language",
        "pg_operator",
        "pg_cast",
        "pg_collation",
        "pg_policy",
        "pg_seclabel",
        "pg_description",
        "pg_attrdef",
        "pg_attribute",
        "pg_index",
        "pg_inherits",
        "pg_tablespace",
        "pg_shdescription",
        "pg_replication_origin",
        "pg_file_settings",
        "pg_hba_file_rules",
    ] {
        names.push(format!("pg_catalog.{catalogue}"));
    }
    for name in names {
        // Statistics that autovacuum keeps are nobody's change.
        let row = match name.as_str() {
            "pg_catalog.pg_class" => "to_jsonb(t) - 'relpages' - 'reltuples' - 'relallvisible' - 'relfrozenxid' - 'relminmxid'",
            "pg_catalog.pg_database" => "to_jsonb(t) - 'datfrozenxid' - 'datminmxid'",
            name if sequences.contains(name) => "(t.last_value, t.is_called)",
            _ => "t",
        };
        // Other tests make roles and databases at the same time; ours are known by name.
        let only = match name.as_str() {
            "pg_catalog.pg_authid" => "WHERE rolname NOT LIKE 'ocore\\_sql\\_%' OR rolname LIKE '%\\_harm'",
            "pg_catalog.pg_database" => "WHERE datname = current_database() OR datname IN ('postgres', 'template0', 'template1')",
            "pg_catalog.pg_db_role_setting" => {
                "WHERE setrole = 0 OR EXISTS (SELECT 1 FROM pg_roles r WHERE r.oid = setrole AND (rolname NOT LIKE 'ocore\\_sql\\_%' OR rolname LIKE '%\\_harm'))"
            }
            _ => "",
        };
        let sql = format!(
            "SELECT count(*)::text || ' ' || md5(coalesce(string_agg(({row})::text, E'\\n' ORDER BY ({row})::text), '')) FROM {name} t {only}"
        );
        out.insert(name, client.query_one(&sql, &[]).await.unwrap().get(0));
    }
    let settings = "SELECT md5(string_agg(name || '=' || coalesce(setting, ''), ',' ORDER BY name)) FROM pg_settings WHERE name NOT LIKE 'transaction%'";
    out.insert("settings".into(), client.query_one(settings, &[]).await.unwrap().get(0));
    let files = Command::new("docker")
        .args(["exec", "ocore-test-pg", "sh", "-c"])
        .arg("cd /; find /tmp /dev/shm /etc /home /root /usr /var/lib/postgresql /var/tmp -xdev -type f \\( -path '*/base/*' -o -path '*/pg_*/*' -o -path '*/global/*' \\) -prune -o -type f -printf '%p %s\\n' 2>/dev/null | grep -vE 'postmaster|log' | sort | md5sum; ls -la /tmp | wc -l")
        .output()
        .unwrap();
    assert!(files.status.success(), "{files:?}");
    out.insert("files".into(), String::from_utf8(files.stdout).unwrap());
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_statements_are_harmless_without_the_guard() {
    let database = "ocore_sql_harm";
    corpus::fresh("19", database);
    let client = corpus::superuser(database).await;
    client
        .batch_execute(&format!(
            "UPDATE res_users SET password = '{MARK}1' || id, totp_secret = '{MARK}2' || id;
             UPDATE ir_config_parameter SET value = '{MARK}3' || value WHERE key LIKE '%secret%' OR key LIKE '%uuid%';
             UPDATE sale_order SET access_token = '{MARK}4' || id; UPDATE account_move SET access_token = '{MARK}5' || id;
             UPDATE ir_attachment SET access_token = '{MARK}6' || id; UPDATE project_task SET access_token = '{MARK}7' || id;
             UPDATE project_project SET access_token = '{MARK}8' || id;
             INSERT INTO res_users_apikeys (name, user_id, index, key) VALUES ('x', 2, '12345678', '{MARK}9');
             ANALYZE res_users; ANALYZE sale_order;"
        ))
        .await
        .unwrap();
    let made = corpus::roles(database, "harm").await;
    for (name, writes) in [(&made.names[0], false), (&made.names[1], true)] {
        let findings = roles::check(&client, name, writes).await.unwrap();
        let serious: Vec<_> = findings.iter().filter(|f| f.serious).collect();
        assert!(serious.is_empty(), "{name}: {serious:?}");
        println!("{name}: {:?}", findings.iter().map(|f| &f.what).collect::<Vec<_>>());
    }
    let bystander = corpus::superuser(database).await;
    let own = "SELECT md5(string_agg(name || '=' || coalesce(setting, ''), ',' ORDER BY name)) FROM pg_settings WHERE name NOT LIKE 'transaction%'";
    let bystander_before: String = bystander.query_one(own, &[]).await.unwrap().get(0);
    let before = snapshot(&client).await;
    assert!(before.len() > 600, "{} things", before.len());

    let catalogue = crate::postgres::catalogue::load(&client).await.unwrap();
    let limits = Limits { timeout: Duration::from_millis(700), ..Limits::default() };
    let cancel = CancellationToken::new();
    let blocks = blocks("hostile.sql");
    let mut outcomes = BTreeMap::<String, usize>::new();
    let mut shown = Vec::new();
    for block in &blocks {
        // As an EXPLAIN it runs exactly as it stands, without the cutting of long values.
        let checked = unguarded(Kind::Explain, &block.sql);
        let params: Vec<serde_json::Value> = if block.sql.contains("$1") { vec!["x".into()] } else { vec![] };
        let result = made.pools.read(&made.reader, &checked, &params, &limits, &cancel).await;
        let text = match &result {
            Ok(answer) => serde_json::to_string(answer).unwrap(),
            Err(error) => format!("{error} {error:?} {}", error.next()),
        };
        assert!(!text.contains(MARK), "a secret is shown by {}\n{text}", block.sql);
        let kind = match &result {
            Ok(_) => "ran".to_owned(),
            Err(error) => format!("{error:?}").split([' ', '(']).next().unwrap().to_owned(),
        };
        // What the guard calls secret must fail here for want of rights, not by chance alone.
        let refused = guard::check(&block.sql, &catalogue, 1000).unwrap_err();
        if result.is_ok() && matches!(refused, Refused::Withheld { .. } | Refused::Sealed { .. } | Refused::WholeRow { .. }) {
            shown.push(format!("{refused}: {}\n    {text}", block.sql));
        }
        if std::env::var_os("OCORE_SHOW").is_some() && result.is_ok() {
            println!("ran: {}\n    {}", block.sql, text.chars().take(200).collect::<String>());
        }
        if kind == "Answer" {
            println!("not read: {text}\n    {}", block.sql);
        }
        *outcomes.entry(kind).or_default() += 1;
    }
    println!("{} statements under the reader: {outcomes:?}", blocks.len());
    println!("ran although secret by name:\n{}", shown.join("\n"));

    // What must not be changed is not changed by the writer either.
    let mut denied = 0;
    for block in blocks.iter().filter(|b| b.why.contains("what is protected")) {
        let checked = unguarded(Kind::Update, &block.sql);
        match made.pools.write(&made.writer, &checked, &[], &limits, false, &cancel).await {
            Err(Error::Privilege(_)) => denied += 1,
            Err(Error::Sql(e)) if e.code == "42P01" || e.code == "42809" || e.code == "42703" => {}
            other => panic!("{}: {other:?}", block.sql),
        }
    }
    assert!(denied > 30, "{denied}");
    println!("{denied} changes denied to the writer");

    made.pools.forget(database);
    corpus::gone(&client, &made.names).await;
    let after = snapshot(&client).await;
    let changed: Vec<_> = before.iter().filter(|(name, value)| after.get(*name) != Some(value)).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
    assert_eq!(before.len(), after.len());
    assert_eq!(bystander_before, bystander.query_one(own, &[]).await.unwrap().get::<_, String>(0));
    println!("{} things compared, none changed", before.len());
    // And the snapshot does see a change.
    client.batch_execute("UPDATE crm_stage SET sequence = sequence + 1; CREATE ROLE ocore_sql_x_harm").await.unwrap();
    let seen = snapshot(&client).await;
    let seen: Vec<&str> =
        after.iter().filter(|(name, value)| seen.get(*name) != Some(value)).map(|(name, _)| name.as_str()).collect();
    client.batch_execute("DROP ROLE ocore_sql_x_harm").await.unwrap();
    assert_eq!(seen, ["pg_catalog.pg_authid", "public.\"crm_stage\""]);
    made.remove().await;
    drop((client, bystander));
    corpus::drop_database("19", database);
}
