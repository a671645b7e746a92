//! The login roles: made, kept up to date, looked at, removed.
use super::corpus;
use crate::postgres::{
    catalogue,
    roles::{self, Error, Login, Roles},
};

fn login(name: &str) -> Login {
    Login { name: name.into(), password: "sixteen characters".into(), salt: [7; 16], connections: 2 }
}

#[tokio::test]
async fn rights_follow_the_schema() {
    let database = "ocore_sql_roles";
    corpus::fresh("14", database);
    let client = corpus::superuser(database).await;
    let name = "ocore_sql_r_roles";
    let wanted = Roles { database: database.into(), reader: login(name), writer: None, harden: true };
    let apply = async || {
        let relations = catalogue::load_relations(&client).await.unwrap();
        client.batch_execute(&roles::grant(&wanted, &relations).unwrap()).await.unwrap();
    };
    assert!(roles::check(&client, name, false).await.unwrap()[0].what.contains("does not exist"));
    let public = "SELECT has_function_privilege('public', 'lo_create(oid)', 'EXECUTE'), has_database_privilege('public', current_database(), 'TEMPORARY')";
    let before = client.query_one(public, &[]).await.unwrap();
    assert!(before.get::<_, bool>(0) && before.get::<_, bool>(1));
    apply().await;
    let hardened = client.query_one(public, &[]).await.unwrap();
    assert!(!hardened.get::<_, bool>(0) && !hardened.get::<_, bool>(1));
    // Odoo's own role keeps all of it.
    let kept = "SELECT has_function_privilege('odoo_14', 'lo_create(oid)', 'EXECUTE') AND has_database_privilege('odoo_14', current_database(), 'TEMPORARY') AND has_schema_privilege('odoo_14', 'public', 'CREATE')";
    assert!(client.query_one(kept, &[]).await.unwrap().get::<_, bool>(0));

    let reader = corpus::connect(database, name, "sixteen characters").await;
    let code = async |sql: &str| reader.query(sql, &[]).await.err().map(|e| e.code().unwrap().code().to_owned());
    assert_eq!(code("SELECT id, name FROM res_partner").await, None);
    assert_eq!(code("SELECT count(*) FROM res_users").await, None);
    for sql in [
        "SELECT * FROM res_users",
        "SELECT password FROM res_users",
        "SELECT u FROM res_users u",
        "SELECT signup_token FROM res_partner",
        "SELECT value FROM ir_config_parameter",
        "SELECT count(*) FROM ir_config_parameter",
        "SELECT smtp_pass FROM ir_mail_server",
        "SELECT access_token FROM sale_order",
        "SELECT rolpassword FROM pg_authid",
        "SELECT lo_create(99)",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT nextval('res_partner_id_seq')",
        "SELECT pg_terminate_backend(1)",
        "SELECT ctid FROM res_users",
        "SELECT db_datas FROM ir_attachment",
    ] {
        assert_eq!(code(sql).await.as_deref(), Some("42501"), "{sql}");
    }
    // Read-only by default; and when that is switched off there is still nothing to write.
    for sql in ["DELETE FROM crm_lead", "UPDATE crm_lead SET name = 'x'", "CREATE TABLE x (a int)", "CREATE TEMP TABLE x (a int)"]
    {
        assert_eq!(code(sql).await.as_deref(), Some("25006"), "{sql}");
    }
    reader.batch_execute("SET default_transaction_read_only = off; SET statement_timeout = 0").await.unwrap();
    for sql in [
        "DELETE FROM crm_lead",
        "UPDATE crm_lead SET name = 'x'",
        "INSERT INTO crm_lead (name) VALUES ('x')",
        "TRUNCATE crm_lead",
        "CREATE TABLE x (a int)",
        "CREATE TEMP TABLE x (a int)",
        "CREATE SCHEMA x",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP TABLE crm_lead",
        "ALTER TABLE crm_lead ADD x int",
        "CREATE ROLE x",
        "ALTER ROLE postgres PASSWORD 'x'",
        "LOCK TABLE crm_lead IN EXCLUSIVE MODE",
        "GRANT SELECT ON res_users TO PUBLIC",
        "CREATE EXTENSION dblink",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "ALTER SYSTEM SET port = 1",
        "VACUUM FULL crm_lead",
        "SELECT id FROM crm_lead FOR UPDATE",
        "CREATE TRIGGER t AFTER INSERT ON crm_lead EXECUTE FUNCTION x()",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
    ] {
        let code = code(sql).await;
        // VACUUM only warns; LOCK and FOR UPDATE want a transaction or rights.
        assert!(
            matches!(code.as_deref(), Some("42501" | "25P01")) || (sql.starts_with("VACUUM") && code.is_none()),
            "{sql}: {code:?}"
        );
    }
    // What a module adds is nobody's until this is run again; and a secret then stays away.
    client.batch_execute("SET ROLE odoo_14; ALTER TABLE crm_lead ADD x_note text, ADD x_api_token text; CREATE TABLE x_new (id serial, a int); RESET ROLE").await.unwrap();
    assert_eq!(code("SELECT x_note FROM crm_lead").await.as_deref(), Some("42501"));
    assert_eq!(code("SELECT a FROM x_new").await.as_deref(), Some("42501"));
    apply().await;
    assert_eq!(code("SELECT x_note FROM crm_lead").await, None);
    assert_eq!(code("SELECT a FROM x_new").await, None);
    assert_eq!(code("SELECT x_api_token FROM crm_lead").await.as_deref(), Some("42501"));
    let serious = async || {
        roles::check(&client, name, false).await.unwrap().into_iter().filter(|f| f.serious).map(|f| f.what).collect::<Vec<_>>()
    };
    assert!(serious().await.is_empty());
    // What somebody else gives is found, and taken back by the next run.
    client
        .batch_execute(&format!(
            "GRANT SELECT ON res_users TO {name}; GRANT DELETE ON crm_lead TO {name}; ALTER ROLE {name} CREATEDB"
        ))
        .await
        .unwrap();
    let found = serious().await;
    for wanted in ["reads res_users.password", "changes crm_lead.id", "may make databases"] {
        assert!(found.iter().any(|f| f == wanted), "{wanted}: {found:?}");
    }
    apply().await;
    assert!(serious().await.is_empty());
    // A role that has more than these scripts give is not taken over.
    client.batch_execute(&format!("ALTER ROLE {name} SUPERUSER")).await.unwrap();
    let relations = catalogue::load_relations(&client).await.unwrap();
    let text = roles::grant(&wanted, &relations).unwrap();
    assert!(client.batch_execute(&text).await.is_err());
    client.batch_execute(&format!("ROLLBACK; ALTER ROLE {name} NOSUPERUSER")).await.unwrap();

    drop(reader);
    corpus::gone(&client, &[name.to_owned()]).await;
    let text = roles::remove(database, &[name], true).unwrap();
    client.batch_execute(&text).await.unwrap();
    client.batch_execute(&text).await.unwrap();
    let after = client.query_one(public, &[]).await.unwrap();
    assert!(after.get::<_, bool>(0) && after.get::<_, bool>(1));
    drop(client);
    corpus::drop_database("14", database);
}

#[test]
fn names_and_passwords_are_checked() {
    let roles = |reader: &str, writer: Option<&str>| Roles {
        database: "d".into(),
        reader: login(reader),
        writer: writer.map(login),
        harden: false,
    };
    for name in ["", "pg_x", "a b", "a\"b", "a;b", "postgres", "public", "é", &"a".repeat(64)] {
        assert_eq!(roles::grant(&roles(name, None), &[]), Err(Error::Name(name.to_owned())), "{name}");
    }
    assert_eq!(roles::grant(&roles("a", Some("a")), &[]), Err(Error::Same));
    for password in ["short", "with a line\nbreak in it", "ünïcode is changed by SASLprep"] {
        assert_eq!(roles::verifier(&password.into(), [0; 16]), Err(Error::Password));
    }
    // That it is right shows when one logs in.
    let text = roles::verifier(&"a password of enough length".into(), [1; 16]).unwrap();
    assert!(text.starts_with("SCRAM-SHA-256$4096:AQEBAQEBAQEBAQEBAQEBAQ==$") && text.len() > 120);
    // A database's name is quoted wherever it stands.
    let odd = Roles { database: "d\"; DROP ROLE x; --".into(), ..roles("a", None) };
    assert!(roles::grant(&odd, &[]).unwrap().contains("\"d\"\"; DROP ROLE x; --\""));
}
