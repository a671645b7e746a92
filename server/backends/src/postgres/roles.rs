//! The two login roles of an instance: what a superuser, or who owns the database, runs to make them, to remove them, and
//! to see what they can do.
//!
//! The reader has SELECT on named columns and nothing else; the writer besides INSERT and UPDATE on named columns and
//! DELETE on tables that are not protected. Columns are granted one by one, also where none is withheld: a column that a
//! module adds tomorrow is then nobody's until this is run again. The text can be run as often as one likes.
//!
//! Passwords do not stand in the text: PostgreSQL is given the SCRAM verifier, from which one cannot log in.
use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio_postgres::GenericClient;

use crate::postgres::{
    catalogue::{Catalogue, Kind, Relation},
    secrets,
};

/// What goes wrong before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that PostgreSQL would cut or that is kept for itself.
    #[error("{0:?} is no name for a role: letters, digits and _, at most 63, not starting with pg_")]
    Name(String),
    /// A password that SCRAM would change before use.
    #[error("a password for a role has 16 to 200 printable ASCII characters")]
    Password,
    /// Both roles have one name.
    #[error("reader and writer need different names")]
    Same,
}

/// A login to make.
#[derive(Debug, Clone)]
pub struct Login {
    /// Role name: letters, digits and `_`.
    pub name: String,
    /// Password: 16 to 200 printable ASCII characters.
    pub password: SecretString,
    /// Random, for the verifier.
    pub salt: [u8; 16],
    /// Connections at a time.
    pub connections: u16,
}

/// What the script makes.
#[derive(Debug, Clone)]
pub struct Roles {
    /// The database that it is run in.
    pub database: String,
    /// For reads.
    pub reader: Login,
    /// For changes; without one there is none.
    pub writer: Option<Login>,
    /// Also take from PUBLIC, in this database, what no application needs: temporary tables, large objects, making
    /// tables in `public` (PostgreSQL before 15), ending sessions. The owners of tables keep all of it.
    pub harden: bool,
}

/// Functions that every role may run unless told otherwise, and these two roles should not.
const TAKEN: [&str; 20] = [
    "lo_creat(integer)",
    "lo_create(oid)",
    "lo_from_bytea(oid, bytea)",
    "lo_get(oid)",
    "lo_get(oid, bigint, integer)",
    "lo_open(oid, integer)",
    "lo_put(oid, bigint, bytea)",
    "lo_truncate(integer, integer)",
    "lo_truncate64(integer, bigint)",
    "lo_unlink(oid)",
    "loread(integer, integer)",
    "lowrite(integer, bytea)",
    "pg_cancel_backend(integer)",
    "pg_logical_emit_message(boolean, text, bytea)",
    "pg_logical_emit_message(boolean, text, text)",
    "pg_notify(text, text)",
    "pg_logical_emit_message(boolean, text, bytea, boolean)",
    "pg_logical_emit_message(boolean, text, text, boolean)",
    "pg_terminate_backend(integer)",
    "pg_terminate_backend(integer, bigint)",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
fn literal(text: &str) -> String {
    // Reads the same whatever standard_conforming_strings says.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
fn table(name: &str) -> String {
    format!("\"public\".{}", quoted(name))
}
fn checked(name: &str) -> Result<(), Error> {
    let fine = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.to_ascii_lowercase().starts_with("pg_")
        && !matches!(name, "public" | "none" | "postgres");
    if fine { Ok(()) } else { Err(Error::Name(name.to_owned())) }
}

/// The verifier that PostgreSQL keeps for a password (RFC 5802, RFC 7677).
///
/// # Errors
/// [`Error::Password`].
pub fn verifier(password: &SecretString, salt: [u8; 16]) -> Result<String, Error> {
    const ROUNDS: usize = 4096;
    let text = password.expose_secret();
    // Of other characters SASLprep would make something else.
    if !(16..=200).contains(&text.len()) || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(Error::Password);
    }
    let sign = |key: &[u8], parts: &[&[u8]]| -> Result<[u8; 32], Error> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::Password)?;
        for part in parts {
            mac.update(part);
        }
        Ok(mac.finalize().into_bytes().into())
    };
    let mut round = sign(text.as_bytes(), &[&salt, &1u32.to_be_bytes()])?;
    let mut salted = round;
    for _ in 1..ROUNDS {
        round = sign(text.as_bytes(), &[&round])?;
        for (out, byte) in salted.iter_mut().zip(round) {
            *out ^= byte;
        }
    }
    let stored: [u8; 32] = Sha256::digest(sign(&salted, &[b"Client Key"])?).into();
    let server = sign(&salted, &[b"Server Key"])?;
    Ok(format!("SCRAM-SHA-256${ROUNDS}:{}${}:{}", STANDARD.encode(salt), STANDARD.encode(stored), STANDARD.encode(server)))
}

/// The text that makes the roles, or brings their rights up to date, in one transaction. To be run in the database itself
/// by a superuser, or by who owns database and tables and may make roles.
///
/// # Errors
/// [`Error`].
pub fn grant(roles: &Roles, relations: &[Relation]) -> Result<String, Error> {
    let catalogue = Catalogue::new(relations, []);
    // Two at once in one database would trip over the same rows of PostgreSQL's catalogue.
    let mut out = String::from(
        "BEGIN;\nSET LOCAL search_path TO pg_catalog;\nSET LOCAL lock_timeout TO '10s';\nSELECT pg_advisory_xact_lock(7309723004);\n",
    );
    if roles.writer.as_ref().is_some_and(|w| w.name == roles.reader.name) {
        return Err(Error::Same);
    }
    let owners = owners(relations);
    let database = quoted(&roles.database);
    for owner in &owners {
        let _ = writeln!(
            out,
            "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {owner};\nGRANT USAGE, CREATE ON SCHEMA public TO {owner};"
        );
    }
    if roles.harden {
        let _ =
            writeln!(out, "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;\nREVOKE CREATE ON SCHEMA public FROM PUBLIC;");
        functions(&mut out, &owners, true);
    }
    for (login, writes) in std::iter::once((&roles.reader, false)).chain(roles.writer.as_ref().map(|w| (w, true))) {
        role(&mut out, login, writes, &roles.database)?;
        tables(&mut out, &quoted(&login.name), writes, relations, &catalogue);
    }
    out.push_str("COMMIT;\n");
    Ok(out)
}

fn owners(relations: &[Relation]) -> Vec<String> {
    let mut owners: Vec<String> = relations.iter().map(|r| quoted(&r.owner)).collect();
    owners.sort();
    owners.dedup();
    owners
}

/// Takes functions from PUBLIC, or gives them back. Those that this version does not have, and those that only a
/// superuser can change, are passed over: the check tells what is left.
fn functions(out: &mut String, owners: &[String], take: bool) {
    for function in TAKEN {
        let verb = if take {
            format!("REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM PUBLIC")
        } else {
            format!("GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO PUBLIC")
        };
        let keep: String = owners.iter().fold(String::new(), |mut keep, owner| {
            let _ = write!(keep, " GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {owner};");
            keep
        });
        let _ = writeln!(
            out,
            "DO $ocore$ BEGIN{keep} {verb}; EXCEPTION WHEN undefined_function OR insufficient_privilege THEN NULL; END $ocore$;"
        );
    }
}

fn role(out: &mut String, login: &Login, writes: bool, database: &str) -> Result<(), Error> {
    checked(&login.name)?;
    let (name, text) = (quoted(&login.name), literal(&login.name));
    let verifier = literal(&verifier(&login.password, login.salt)?);
    let _ = writeln!(
        out,
        "DO $ocore$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {text}) THEN CREATE ROLE {name} LOGIN NOINHERIT; END IF;
  IF EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE rolname = {text} AND (rolsuper OR rolreplication OR rolbypassrls
      OR EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid))) THEN
    RAISE EXCEPTION 'the role % exists and has rights that this script did not give it: choose another name', {text};
  END IF;
END $ocore$;
ALTER ROLE {name} LOGIN NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT {} PASSWORD {verifier};
ALTER ROLE {name} RESET ALL;
ALTER ROLE {name} SET default_transaction_read_only TO {};
ALTER ROLE {name} SET statement_timeout TO '120s';
ALTER ROLE {name} SET lock_timeout TO '10s';
ALTER ROLE {name} SET idle_in_transaction_session_timeout TO '150s';
ALTER ROLE {name} SET search_path TO pg_catalog, public, pg_temp;
DO $ocore$ BEGIN ALTER ROLE {name} SET temp_file_limit TO '1GB'; EXCEPTION WHEN insufficient_privilege THEN NULL; END $ocore$;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {name};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {name};
REVOKE ALL ON SCHEMA public FROM {name};
REVOKE ALL ON DATABASE {} FROM {name};
GRANT CONNECT ON DATABASE {} TO {name};
GRANT USAGE ON SCHEMA public TO {name};",
        login.connections.max(1),
        if writes { "off" } else { "on" },
        quoted(database),
        quoted(database),
    );
    Ok(())
}

fn tables(out: &mut String, name: &str, writes: bool, relations: &[Relation], catalogue: &Catalogue) {
    for relation in relations {
        // What Odoo watches to forget its caches.
        if writes && relation.name.starts_with("orm_signaling_") && relation.name != "orm_signaling_registry" {
            let _ = writeln!(out, "GRANT INSERT ON {} TO {name};", table(&relation.name));
            for sequence in &relation.sequences {
                let _ = writeln!(out, "GRANT USAGE ON SEQUENCE {} TO {name};", table(sequence));
            }
        }
        let Some(shown) = catalogue.shown(&relation.name) else { continue };
        if shown.is_empty() {
            continue;
        }
        let columns = shown.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "GRANT SELECT ({columns}) ON {} TO {name};", table(&relation.name));
        if writes && catalogue.writable(&relation.name) && relation.kind == Kind::Table {
            let _ = writeln!(out, "GRANT INSERT ({columns}), UPDATE ({columns}), DELETE ON {} TO {name};", table(&relation.name));
            for sequence in &relation.sequences {
                let _ = writeln!(out, "GRANT USAGE ON SEQUENCE {} TO {name};", table(sequence));
            }
        }
    }
    if writes {
        let _ = writeln!(
            out,
            "DO $ocore$ DECLARE s text; BEGIN
  FOR s IN SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relkind = 'S' AND c.relnamespace = 'public'::pg_catalog.regnamespace
      AND (c.relname = 'base_cache_signaling' OR c.relname LIKE 'base\\_cache\\_signaling\\_%') LOOP
    EXECUTE pg_catalog.format('GRANT USAGE ON SEQUENCE public.%I TO {name}', s);
  END LOOP;
END $ocore$;"
        );
    }
}

/// The text that removes the roles from this database and the server, and gives back to PUBLIC what it had by default.
/// A role that has rights in another database too stays there; PostgreSQL says so.
///
/// # Errors
/// [`Error::Name`].
pub fn remove(database: &str, names: &[&str], soften: bool) -> Result<String, Error> {
    let mut out = String::from("BEGIN;\nSET LOCAL search_path TO pg_catalog;\nSELECT pg_advisory_xact_lock(7309723004);\n");
    for name in names {
        checked(name)?;
        let (name, text) = (quoted(name), literal(name));
        let _ = writeln!(
            out,
            "DO $ocore$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {text}) THEN
    -- Who made a role is not yet its member, and only members (and superusers) drop what it has.
    GRANT {name} TO CURRENT_USER;
    -- Only rights: these roles can own nothing.
    DROP OWNED BY {name};
    DROP ROLE {name};
  END IF;
END $ocore$;"
        );
    }
    if soften {
        let _ = writeln!(out, "GRANT TEMPORARY ON DATABASE {} TO PUBLIC;", quoted(database));
        functions(&mut out, &[], false);
    }
    out.push_str("COMMIT;\n");
    Ok(out)
}

/// Something that a role can do and should not, or that one should know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Whether it must be mended before the role is used.
    pub serious: bool,
    /// What it can do.
    pub what: String,
}

const ATTRIBUTES: &str = "
    SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolinherit,
           EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid),
           pg_catalog.has_schema_privilege(r.oid, 'public', 'CREATE'),
           pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'TEMPORARY'),
           pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CREATE'),
           EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relowner = r.oid)
             OR EXISTS (SELECT 1 FROM pg_catalog.pg_proc p WHERE p.proowner = r.oid)
      FROM pg_catalog.pg_roles r WHERE r.rolname = $1";
const DATABASES: &str = "
    SELECT d.datname::text FROM pg_catalog.pg_database d
     WHERE d.datallowconn AND d.datname <> pg_catalog.current_database()
       AND pg_catalog.has_database_privilege($1, d.oid, 'CONNECT') ORDER BY 1";
const RIGHTS: &str = "
    SELECT c.relname::text, a.attname::text, t.typname::text,
           pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT'),
           pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'INSERT')
             OR pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'UPDATE')
             OR pg_catalog.has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE, TRIGGER')
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      CROSS JOIN pg_catalog.pg_roles r
     WHERE r.rolname = $1 AND c.relnamespace = 'public'::pg_catalog.regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     ORDER BY 1, 2";
const SYSTEM: &str = "
    SELECT n.nspname || '.' || c.relname
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN pg_catalog.pg_roles r
     WHERE r.rolname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_toast%'
       AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'public') AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
              AND pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
            OR n.nspname = 'pg_catalog' AND c.relname IN ('pg_authid', 'pg_shadow', 'pg_largeobject', 'pg_statistic', 'pg_user_mapping',
                 'pg_hba_file_rules', 'pg_file_settings')
              AND pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT'))
     ORDER BY 1";
const FUNCTIONS: &str = "
    SELECT p.oid::pg_catalog.regprocedure::text, p.prosecdef
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang
      CROSS JOIN pg_catalog.pg_roles r
     WHERE r.rolname = $1 AND pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE')
       AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
       AND (n.nspname NOT IN ('pg_catalog', 'information_schema') AND (p.prosecdef OR p.proname LIKE 'dblink%')
            OR n.nspname = 'pg_catalog' AND (p.proname LIKE 'lo\\_%' OR p.proname LIKE 'pg\\_read\\_%' OR p.proname LIKE 'pg\\_ls\\_%'
                 OR p.proname IN ('lowrite', 'loread', 'pg_stat_file', 'pg_terminate_backend', 'pg_cancel_backend', 'pg_reload_conf',
                                  'pg_file_write', 'pg_logical_emit_message', 'pg_notify')))
     ORDER BY 1";

/// What a role can still do in this database that it should not, and what one should know. Asked with any connection to it.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn check(client: &impl GenericClient, name: &str, writes: bool) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let mut findings = Vec::new();
    let mut find = |serious: bool, what: String| findings.push(Finding { serious, what });
    let Some(row) = client.query_opt(ATTRIBUTES, &[&name]).await? else {
        find(true, format!("the role {name} does not exist"));
        return Ok(findings);
    };
    let attributes = [
        (true, "is a superuser"),
        (true, "may make roles"),
        (true, "may make databases"),
        (true, "may replicate"),
        (true, "passes by row level security"),
        (false, "inherits rights of roles that it is a member of"),
        (true, "is a member of other roles"),
        (true, "may make tables in the schema public"),
        (false, "may make temporary tables"),
        (true, "may make schemas in this database"),
        (true, "owns tables or functions in this database"),
    ];
    for (at, (serious, what)) in attributes.into_iter().enumerate() {
        if row.try_get::<_, Option<bool>>(at)?.unwrap_or(true) {
            find(serious, what.to_owned());
        }
    }
    for row in client.query(DATABASES, &[&name]).await? {
        find(false, format!("may connect to the database {}; pg_hba.conf can bar it", row.try_get::<_, String>(0)?));
    }
    for row in client.query(RIGHTS, &[&name]).await? {
        let (relation, column, of): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (reads, changes): (bool, bool) = (row.try_get(3)?, row.try_get(4)?);
        if reads && (secrets::sealed(&relation) || secrets::withheld(&relation, &column, &of)) {
            find(true, format!("reads {relation}.{column}"));
        }
        let signals = relation.starts_with("orm_signaling_") && relation != "orm_signaling_registry";
        if changes && (!writes || (secrets::protected(&relation) && !signals)) {
            find(true, format!("changes {relation}.{column}"));
        }
    }
    for row in client.query(SYSTEM, &[&name]).await? {
        find(true, format!("reads or changes {}", row.try_get::<_, String>(0)?));
    }
    for row in client.query(FUNCTIONS, &[&name]).await? {
        let (function, definer): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        find(definer, format!("may run {function}{}", if definer { " with its owner's rights" } else { "" }));
    }
    Ok(findings)
}
