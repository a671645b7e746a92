//! The guard against PostgreSQL's own parser: what one says a statement touches must be what the other says.
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio_postgres::Client;

use super::corpus::{self, MARK, blocks};
use crate::postgres::{
    catalogue::{Catalogue, Kind as RelationKind, Relation},
    guard::{self, Checked, Kind},
};

/// Relations and columns that the server records for a statement, as a view on it depends on them. `None` where the
/// server refuses the statement.
async fn server_says(client: &Client, sql: &str) -> Result<(BTreeSet<String>, BTreeSet<(String, String)>, String), String> {
    client.batch_execute("BEGIN").await.unwrap();
    let made = client.batch_execute(&format!("CREATE TEMP VIEW ocore_oracle AS {sql}")).await;
    let result = if let Err(error) = made {
        Err(error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned()))
    } else {
        let depends = "
                SELECT DISTINCT t.oid::regclass::text, a.attname::text
                  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                  JOIN pg_class t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid
                  LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
                 WHERE r.ev_class = 'pg_temp.ocore_oracle'::regclass AND t.oid <> r.ev_class";
        let mut relations = BTreeSet::new();
        let mut columns = BTreeSet::new();
        for row in client.query(depends, &[]).await.unwrap() {
            let name: String = row.get(0);
            let name = name.trim_start_matches("public.").trim_matches('"').to_owned();
            if let Some(column) = row.get::<_, Option<String>>(1) {
                columns.insert((name.clone(), column));
            }
            relations.insert(name);
        }
        let text: String = client.query_one("SELECT pg_get_viewdef('pg_temp.ocore_oracle'::regclass)", &[]).await.unwrap().get(0);
        Ok((relations, columns, text))
    };
    client.batch_execute("ROLLBACK").await.unwrap();
    result
}

/// Holds one accepted SELECT against the server. `Ok(false)` where the server refuses it.
async fn compare(client: &Client, catalogue: &Catalogue, original: &str, checked: &Checked) -> Result<bool, String> {
    let fail = |what: String| Err(format!("{what}\n    {original}\n    {}", checked.sql()));
    let (relations, columns, definition) = match server_says(client, checked.sql()).await {
        Ok(said) => said,
        // A view cannot have two columns of one name or no type; the statement can.
        Err(error) if error.contains("specified more than once") || error.contains("pseudo-type") || error.contains("unique") => {
            return plan_says(client, checked).await;
        }
        Err(_) => return Ok(false),
    };
    if relations != *checked.reads() {
        return fail(format!("the server says {relations:?}, the guard {:?}", checked.reads()));
    }
    if let Some((table, column)) = columns.iter().find(|(t, c)| catalogue.withheld(t).contains(&c.as_str())) {
        return fail(format!("{table}.{column} is read"));
    }
    // What the server understood, written by the server, must pass too and mean the same.
    match guard::check_view(&definition, catalogue) {
        Ok(again) if again.reads() == checked.reads() && again.left_out().is_empty() => {}
        Ok(again) => return fail(format!("the server's own words read {:?}\n    {definition}", again.reads())),
        // Words of the server's that the parser does not have, but never anything that is forbidden.
        Err(
            guard::Refused::Syntax(_)
            | guard::Refused::TooComplex { .. }
            | guard::Refused::Construct { .. }
            | guard::Refused::Type { .. },
        ) => {}
        Err(refused) => return fail(format!("the server's own words are refused: {refused}\n    {definition}")),
    }
    plan_says(client, checked).await
}
/// That it runs as a reading statement, and shows no secret when it does.
async fn plan_says(client: &Client, checked: &Checked) -> Result<bool, String> {
    client.batch_execute("BEGIN READ ONLY; SET LOCAL statement_timeout = '300ms'").await.unwrap();
    let plan = client.query(&format!("EXPLAIN (FORMAT JSON, VERBOSE) {}", checked.sql()), &[]).await;
    let rows = if plan.is_ok() { client.simple_query(checked.sql()).await } else { Ok(Vec::new()) };
    client.batch_execute("ROLLBACK").await.unwrap();
    let Ok(plan) = plan else { return Ok(false) };
    let crate::postgres::values::Raw(raw) = plan[0].get(0);
    let text = std::str::from_utf8(raw).unwrap();
    for bad in ["\"ModifyTable\"", "\"LockRows\""] {
        if text.contains(bad) {
            return Err(format!("the plan has {bad}: {}", checked.sql()));
        }
    }
    let shown = match rows {
        Ok(messages) => messages.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                (0..row.len()).any(|at| row.get(at).is_some_and(|v| v.contains(MARK)))
            }
            _ => false,
        }),
        Err(error) => format!("{error:?}").contains(MARK),
    };
    if shown { Err(format!("a secret is shown: {}", checked.sql())) } else { Ok(true) }
}
/// The tables that a plan changes.
fn walk(node: &serde_json::Value, changed: &mut BTreeSet<String>) {
    match node {
        serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, changed)),
        serde_json::Value::Object(map) => {
            if map.get("Node Type").is_some_and(|t| t == "ModifyTable") {
                changed.insert(map["Relation Name"].as_str().unwrap().to_owned());
            }
            map.values().for_each(|value| walk(value, changed));
        }
        _ => {}
    }
}
/// That the plan of a change changes what the guard says, and nothing else. `None` where the server refuses it.
async fn changes(client: &Client, catalogue: &Catalogue, checked: &Checked) -> Result<bool, String> {
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    let plan = client.query(&format!("EXPLAIN (FORMAT JSON) {}", checked.sql().trim_start_matches("EXPLAIN ")), &[]).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    let Ok(plan) = plan else { return Ok(false) };
    let crate::postgres::values::Raw(raw) = plan[0].get(0);
    let plan: serde_json::Value = serde_json::from_slice(raw).unwrap();
    let mut changed = BTreeSet::new();
    walk(&plan, &mut changed);
    if changed != *checked.writes() || changed.iter().any(|table| !catalogue.writable(table)) {
        return Err(format!("the server changes {changed:?}, the guard says {:?}: {}", checked.writes(), checked.sql()));
    }
    Ok(true)
}

async fn relations(client: &Client) -> (Vec<Relation>, Catalogue) {
    (crate::postgres::catalogue::load_relations(client).await.unwrap(), crate::postgres::catalogue::load(client).await.unwrap())
}

#[tokio::test]
async fn the_server_reads_what_the_guard_says() {
    let client = corpus::superuser(corpus::database("19")).await;
    client.batch_execute("SET search_path = pg_catalog, public, pg_temp; SET TimeZone = 'UTC'").await.unwrap();
    let (_, catalogue) = relations(&client).await;
    let (mut held, mut same_plan, mut wrong) = (0, 0, Vec::new());
    for block in blocks("good.sql") {
        let checked = guard::check_view(&block.sql, &catalogue).unwrap();
        if checked.kind() != Kind::Select {
            continue;
        }
        match compare(&client, &catalogue, &block.sql, &checked).await {
            Ok(true) => held += 1,
            Ok(false) => wrong.push(format!("the server refuses\n    {}", checked.sql())),
            Err(what) => wrong.push(what),
        }
        // The caller's text, planned by the server, is planned as ours is.
        if checked.left_out().is_empty() {
            let plan = async |sql: &str| -> Vec<String> {
                // A star is spelled out, and then the server names columns with their tables; the rest must be the same.
                let verbose = !checked.sql().contains("FROM ( SELECT \"");
                let rows = client.query(&format!("EXPLAIN (VERBOSE {verbose}, COSTS OFF) {sql}"), &[]).await.unwrap();
                rows.iter()
                    .map(|row| row.get::<_, String>(0))
                    // Names of common table expressions are ours; clocks differ; constants may be folded anew.
                    .map(|line| if verbose { regex_free(&line) } else { without_tables(&regex_free(&line)) })
                    .collect()
            };
            let text = block.sql.trim_end_matches(';');
            let text = text.strip_prefix("TABLE ").map_or(text.to_owned(), |rest| format!("SELECT * FROM {rest}"));
            let (theirs, ours) = (plan(&text).await, plan(checked.sql()).await);
            if theirs == ours {
                same_plan += 1;
            } else {
                wrong.push(format!(
                    "planned differently\n    {}\n    {}\n    {theirs:#?}\n    {ours:#?}",
                    block.sql,
                    checked.sql()
                ));
            }
        }
    }
    println!("{held} held against the server's parser, {same_plan} with the same plan as the caller's text");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(held >= 150 && same_plan >= 150, "{held} {same_plan}");
}
/// A line of a plan without the tables before columns.
fn without_tables(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        if c == '.' {
            let keep = out.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
            out.truncate(keep);
        } else {
            out.push(c);
        }
    }
    out
}
/// A line of a plan without what may differ: the number behind a common table expression's name.
fn regex_free(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(" (") {
        let digits = rest[at + 2..].chars().take_while(char::is_ascii_digit).count();
        let number = digits > 0 && rest[at + 2 + digits..].starts_with(')');
        out.push_str(&rest[..at]);
        if number {
            rest = &rest[at + 2 + digits + 1..];
        } else {
            out.push_str(" (");
            rest = &rest[at + 2..];
        }
    }
    out.push_str(rest);
    let out = out.replace('"', "");
    // `CTE Scan on x x`: ours always has an alias.
    if let Some((head, names)) = out.split_once("CTE Scan on ").or_else(|| out.split_once("WorkTable Scan on "))
        && let Some((name, alias)) = names.split_once(' ')
        && name == alias
    {
        return format!("{head}CTE Scan on {name}");
    }
    out.replace("WorkTable Scan on ", "CTE Scan on ")
}

#[tokio::test]
async fn the_server_changes_what_the_guard_says() {
    let client = corpus::superuser(corpus::database("19")).await;
    let (_, catalogue) = relations(&client).await;
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for block in blocks("changes.sql") {
        let checked = guard::check(&block.sql, &catalogue, 1000).unwrap_or_else(|e| panic!("{e}: {}", block.sql));
        *kinds.entry(format!("{:?}", checked.kind())).or_default() += 1;
        if checked.parameters() == 0 {
            assert_eq!(changes(&client, &catalogue, &checked).await, Ok(true), "{}", checked.sql());
        }
    }
    println!("{kinds:?}");
    assert!(kinds.len() == 4 && kinds.values().sum::<usize>() >= 20);
}

/// Views that look at secrets in every way are sealed, and others are not.
#[tokio::test]
async fn views_are_seen_through() {
    let database = "ocore_sql_views";
    corpus::fresh("19", database);
    let client = corpus::superuser(database).await;
    client
        .batch_execute(
            "CREATE VIEW v_good AS SELECT id, login FROM res_users;
             CREATE VIEW v_on_good AS SELECT count(*) AS n FROM v_good g JOIN sale_order o ON o.user_id = g.id;
             CREATE VIEW v_secret AS SELECT id, password AS p FROM res_users;
             CREATE VIEW v_on_secret AS SELECT p FROM v_secret;
             CREATE VIEW v_where AS SELECT id FROM res_users WHERE password LIKE 'a%';
             CREATE VIEW v_row AS SELECT row_to_json(u.*) AS j FROM res_users u;
             CREATE VIEW v_star AS SELECT * FROM sale_order;
             CREATE VIEW v_sealed AS SELECT value AS v FROM ir_config_parameter;
             CREATE VIEW v_system AS SELECT rolname::text AS r FROM pg_roles;
             CREATE VIEW v_file AS SELECT pg_read_file('PG_VERSION') AS f;
             CREATE VIEW v_setting AS SELECT current_setting('data_directory') AS s;
             CREATE MATERIALIZED VIEW v_kept AS SELECT id, totp_secret AS t FROM res_users;
             CREATE MATERIALIZED VIEW v_kept_good AS SELECT id, login FROM res_users;
             CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT max(password) FROM res_users';
             CREATE VIEW v_function AS SELECT f() AS f;
             CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE VIEW v_other AS SELECT a FROM other.t;
             CREATE VIEW v_named AS SELECT 'x'::text AS access_token, 1 AS id;
             CREATE TABLE a_key (id int, api_key text, public boolean, key_id int);",
        )
        .await
        .unwrap();
    let (relations, catalogue) = relations(&client).await;
    let sealed: Vec<&str> = relations
        .iter()
        .filter(|r| r.name.starts_with("v_") && catalogue.shown(&r.name).is_none())
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(
        sealed,
        [
            "v_file",
            "v_function",
            "v_kept",
            "v_on_secret",
            "v_other",
            "v_row",
            "v_sealed",
            "v_secret",
            "v_setting",
            "v_star",
            "v_system",
            "v_where"
        ]
    );
    assert!(relations.iter().filter(|r| r.kind == RelationKind::Materialized).count() == 2);
    assert_eq!(catalogue.withheld("v_named"), ["access_token"]);
    assert_eq!(catalogue.withheld("a_key"), ["api_key"]);
    // The reader's rights say the same.
    let made = corpus::roles(database, "views").await;
    let reader = corpus::connect(database, &made.names[0], "a long password for tests, 'quoted' \\").await;
    for name in sealed {
        let error = reader.query(&format!("SELECT * FROM {name}"), &[]).await.unwrap_err();
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{name}");
    }
    assert!(reader.query("SELECT * FROM v_on_good", &[]).await.is_ok());
    // What SQL would call by itself must not be ours to call.
    assert!(guard::check("SELECT f()", &catalogue, 10).is_err());
    drop(reader);
    made.remove().await;
    drop(client);
    corpus::drop_database("19", database);
}

/// A small generator of numbers (xorshift).
struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n.max(1)).unwrap()).unwrap()
    }
}

/// Words, numbers, strings, operators, roughly.
fn pieces(sql: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let class = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            0
        } else if c.is_whitespace() {
            1
        } else {
            2
        }
    };
    let mut last = 9;
    for c in sql.chars() {
        let now = class(c);
        match out.last_mut() {
            Some(piece) if now == last && now != 2 => piece.push(c),
            _ => out.push(c.to_string()),
        }
        last = now;
    }
    out
}
fn mutate(random: &mut Random, corpus: &[Vec<String>]) -> String {
    const EXTRA: [&str; 64] = [
        "(",
        ")",
        "'",
        "\"",
        "--",
        "/*",
        "*/",
        ";",
        "$$",
        "E'",
        "U&'",
        "::",
        "::text",
        "*",
        ".",
        ",",
        "password",
        "totp_secret",
        "access_token",
        "res_users",
        "u",
        "u.*",
        "sale_order",
        "ir_config_parameter",
        "pg_catalog.",
        "public.",
        "pg_authid",
        "FROM",
        "SELECT",
        "UNION",
        "INTO x",
        "FOR UPDATE",
        "LATERAL",
        "NATURAL JOIN",
        "USING (id)",
        "WITH x AS (",
        "RETURNING *",
        "DELETE FROM crm_lead",
        "ONLY",
        "AS",
        "ARRAY[",
        "]",
        "ROW(",
        "NULL",
        "true",
        "1",
        "$1",
        "\\",
        "\u{a0}",
        "\u{0}",
        "é",
        "COLLATE \"C\"",
        "OVER ()",
        "FILTER (WHERE",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "IN (",
        "= ANY (",
        "NOT",
        "BETWEEN",
        "CASE WHEN",
        "END",
        "TABLE res_users",
    ];
    let mut words = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(words.len() + 1);
        match random.below(9) {
            0 if at < words.len() => drop(words.remove(at)),
            1 if at < words.len() => words.insert(at, words[at].clone()),
            2 if !words.is_empty() => {
                let (a, b) = (random.below(words.len()), random.below(words.len()));
                words.swap(a, b);
            }
            3 => words.insert(at, format!(" {} ", EXTRA[random.below(EXTRA.len())])),
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                let to = (from + random.below(12)).min(other.len());
                words.splice(at..at, other[from..to].iter().cloned());
            }
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let piece = other[random.below(other.len())].clone();
                if at < words.len() {
                    words[at] = piece;
                }
            }
            6 if at < words.len() => words[at] = words[at].to_uppercase(),
            7 if at < words.len() => words[at] = EXTRA[random.below(EXTRA.len())].to_owned(),
            _ => words.truncate(at.max(1)),
        }
    }
    words.concat()
}

/// What a run of the fuzzer saw.
#[derive(Debug, Default)]
struct Seen {
    tried: usize,
    accepted: usize,
    held: usize,
    server_refused: usize,
}
/// Mutates both corpora for so long: the guard neither panics nor overflows its stack, and what it accepts is what the
/// server takes it for.
async fn fuzz(seconds: u64, seed: u64) -> Seen {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some("sql guard") {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    let client = corpus::superuser(corpus::database("19")).await;
    client.batch_execute("SET search_path = pg_catalog, public, pg_temp; SET statement_timeout = '5s'").await.unwrap();
    let (_, catalogue) = relations(&client).await;
    let statements: Vec<Vec<String>> = ["good.sql", "good.sql", "changes.sql", "changes.sql", "hostile.sql"]
        .iter()
        .flat_map(|file| blocks(file))
        .map(|block| pieces(&block.sql))
        .collect();
    let mut random = Random(seed | 1);
    let mut seen = Seen::default();
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut slowest = Duration::ZERO;
    while Instant::now() < until {
        let sql = mutate(&mut random, &statements);
        seen.tried += 1;
        let start = Instant::now();
        let verdict = guard::check(&sql, &catalogue, 1000);
        let _ = guard::script(&sql, &catalogue, 1000);
        slowest = slowest.max(start.elapsed());
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "the parser panics (seed {seed}): {sql}");
        let Ok(checked) = verdict else { continue };
        seen.accepted += 1;
        // What is written can be read again and stays the same but for its CTE's names.
        if let Err(refused) = guard::check_view(checked.sql(), &catalogue)
            && !matches!(refused, guard::Refused::Syntax(_) | guard::Refused::Construct { .. })
        {
            panic!("our own words are refused: {refused}\n    {sql}\n    {}", checked.sql());
        }
        if checked.kind() == Kind::Explain || checked.parameters() > 0 {
            continue;
        }
        let result = match checked.kind() {
            Kind::Select => compare(&client, &catalogue, &sql, &checked).await,
            _ => changes(&client, &catalogue, &checked).await,
        };
        match result {
            Ok(true) => seen.held += 1,
            Ok(false) => seen.server_refused += 1,
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    println!("seed {seed}: {seen:?}, slowest {slowest:?}");
    seen
}

#[tokio::test]
async fn fuzzed_statements_are_what_the_server_takes_them_for() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let seen = fuzz(number("OCORE_FUZZ_SECONDS", 10), number("OCORE_FUZZ_SEED", 20_261_121)).await;
    assert!(seen.tried > 500 && seen.held > 20, "{seen:?}");
}
