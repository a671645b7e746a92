//! Connections, transactions, values, and what happens when something goes wrong.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::corpus::{self, Roles, unguarded};
use crate::postgres::{
    catalogue::Catalogue,
    guard::{self, Checked, Kind},
    session::{Error, Fate, Key, Limits, Role, Tls},
    tables,
    values::Answer,
};

struct Bench {
    roles: Roles,
    catalogue: Catalogue,
    admin: tokio_postgres::Client,
    database: String,
    version: &'static str,
}
impl Bench {
    async fn new(version: &'static str, name: &str) -> Self {
        let database = format!("ocore_sql_{name}");
        corpus::fresh(version, &database);
        let roles = corpus::roles(&database, name).await;
        let admin = corpus::superuser(&database).await;
        let cancel = CancellationToken::new();
        // The reader itself can load it.
        let catalogue = roles.pools.catalogue(&roles.reader, &Limits::default(), &cancel).await.unwrap();
        Self { roles, catalogue, admin, database, version }
    }
    fn check(&self, sql: &str) -> Checked {
        guard::check(sql, &self.catalogue, Limits::default().rows).unwrap_or_else(|e| panic!("{e}: {sql}"))
    }
    async fn read_with(&self, sql: &str, params: &[Value], limits: &Limits) -> Result<Answer, Error> {
        self.roles.pools.read(&self.roles.reader, &self.check(sql), params, limits, &CancellationToken::new()).await
    }
    async fn read(&self, sql: &str) -> Answer {
        self.read_with(sql, &[], &Limits::default()).await.unwrap_or_else(|e| panic!("{e}: {sql}"))
    }
    async fn write(&self, sql: &str, params: &[Value]) -> Result<Answer, Error> {
        let limits = Limits::default();
        self.roles.pools.write(&self.roles.writer, &self.check(sql), params, &limits, true, &CancellationToken::new()).await
    }
    async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }
    async fn end(self) {
        self.roles.remove().await;
        drop(self.admin);
        corpus::drop_database(self.version, &self.database);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_come_back_typed() {
    let bench = Bench::new("19", "values").await;
    let cases: Vec<(&str, Value, &str)> = vec![
        ("true", json!(true), "boolean"),
        ("1::smallint", json!(1), "smallint"),
        ("-7", json!(-7), "integer"),
        ("9007199254740993::bigint", json!(9_007_199_254_740_993_i64), "bigint"),
        ("9223372036854775807", json!(i64::MAX), "bigint"),
        ("1234567890123456789012345.678900", json!("1234567890123456789012345.678900"), "numeric"),
        ("0.00001234", json!("0.00001234"), "numeric"),
        ("-0.5", json!("-0.5"), "numeric"),
        ("10000::numeric", json!("10000"), "numeric"),
        ("100000000.0001", json!("100000000.0001"), "numeric"),
        ("0::numeric(10,3)", json!("0.000"), "numeric"),
        ("'NaN'::numeric", json!("NaN"), "numeric"),
        ("1.5::float8", json!(1.5), "double precision"),
        ("0.1::real", json!(0.1), "real"),
        ("'NaN'::float8", json!("NaN"), "double precision"),
        ("'-Infinity'::float8", json!("-Infinity"), "double precision"),
        ("'ünï'::text", json!("ünï"), "text"),
        ("'ab'::char(4)", json!("ab  "), "char"),
        ("date '2024-02-29'", json!("2024-02-29"), "date"),
        ("'0044-03-15 BC'::date", json!("0044-03-15 BC"), "date"),
        ("'infinity'::date", json!("infinity"), "date"),
        ("time '13:05:06.5'", json!("13:05:06.5"), "time"),
        ("timestamp '1999-12-31 23:59:59.123456'", json!("1999-12-31T23:59:59.123456"), "timestamp"),
        ("timestamptz '2024-01-01 12:00:00+02'", json!("2024-01-01T10:00:00Z"), "timestamptz"),
        ("interval '1 year 2 months 3 days 04:05:06.7'", json!("1 year 2 mons 3 days 04:05:06.7"), "interval"),
        ("interval '-1 day -2 hours'", json!("-1 days -02:00:00"), "interval"),
        ("interval '0'", json!("00:00:00"), "interval"),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "uuid"),
        ("'{\"a\": [1, {\"b\": null}]}'::jsonb", json!({"a": [1, {"b": null}]}), "jsonb"),
        ("'[1.50]'::json", json!([1.5]), "json"),
        ("'{1,NULL,3}'::int[]", json!([1, null, 3]), "int4[]"),
        ("ARRAY[[1,2],[3,4]]", json!([[1, 2], [3, 4]]), "int4[]"),
        ("'{}'::text[]", json!([]), "text[]"),
        ("ARRAY['a','b,\"c']", json!(["a", "b,\"c"]), "text[]"),
        ("'\\x0102'::bytea", json!({"size": 2, "base64": "AQI="}), "bytea"),
        ("int4range(2, 5)", json!({"lower": 2, "upper": 5, "bounds": "[)"}), "int4range"),
        ("'empty'::daterange", json!({"empty": true}), "daterange"),
        ("'(,2024-01-01]'::daterange", json!({"lower": null, "upper": "2024-01-02", "bounds": "()"}), "daterange"),
        ("'192.168.1.5'::inet", json!("192.168.1.5"), "inet"),
        ("'10.0.0.0/8'::cidr", json!("10.0.0.0/8"), "cidr"),
        ("'::1'::inet", json!("::1"), "inet"),
        ("'08:00:2b:01:02:03'::macaddr", json!("08:00:2b:01:02:03"), "macaddr"),
        ("'$.a'::jsonpath", json!("$.\"a\""), "jsonpath"),
        ("NULL::int", Value::Null, "integer"),
        // Types without a reader come as text.
        ("'12.5'::money", json!("$12.50"), "money"),
        ("ROW(1, 'a')", json!("(1,a)"), "record"),
        ("pg_typeof(1)", json!("integer"), "regtype"),
        ("jsonb_each('{\"a\": 1}')", json!("(a,1)"), "record"),
    ];
    for (sql, wanted, type_name) in &cases {
        let answer = bench.read(&format!("SELECT {sql} AS v")).await;
        assert_eq!(answer.rows, [[wanted.clone()]], "{sql}");
        assert_eq!(answer.columns[0].type_name, *type_name, "{sql}");
        assert_eq!(answer.columns[0].name, "v");
    }
    // Many at once against what the server itself writes as text.
    let numbers = "SELECT n, n::text AS t FROM (SELECT ((random() - 0.5) * 10 ^ (i % 30 - 10))::numeric * 1000 AS n FROM generate_series(1, 500) AS i) x";
    for row in bench.read(numbers).await.rows {
        assert_eq!(row[0], row[1]);
    }
    let times = "SELECT d, to_char(d, 'YYYY-MM-DD\"T\"HH24:MI:SS') AS t, d::date AS day, d::date::text AS tt FROM generate_series('0001-01-01'::timestamp, '9999-12-31', '1234567 seconds 101 days') AS d";
    let rows = bench.read(times).await.rows;
    assert!(rows.len() > 900);
    for row in rows {
        assert_eq!(row[0], row[1]);
        assert_eq!(row[2], row[3]);
    }
    // Names stay apart; order and labels survive the way through text.
    let answer = bench.read("SELECT 1 AS a, 2 AS a, ROW(1) AS \"A b\", 3 AS a ORDER BY 1").await;
    assert_eq!(answer.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "a_2", "A b", "a_3"]);
    assert_eq!(serde_json::to_value(answer.json()).unwrap(), json!([{"a": 1, "a_2": 2, "A b": "(1)", "a_3": 3}]));
    // A translated column as it is.
    let answer = bench.read("SELECT name FROM res_country WHERE code = 'BE'").await;
    assert_eq!(answer.rows[0][0]["en_US"], "Belgium");
    // Renderings.
    let answer =
        bench.read("SELECT 1 AS n, 'a,\"b\"\nc|d' AS text, NULL::int AS nothing UNION ALL SELECT 22, '=1+1', 3 ORDER BY 1").await;
    assert_eq!(answer.csv(), "n,text,nothing\r\n1,\"a,\"\"b\"\"\nc|d\",\r\n22,=1+1,3\r\n");
    assert_eq!(
        answer.table(),
        "| n   | text       | nothing |\n| --- | ---------- | ------- |\n| 1   | a,\"b\" c\\|d |         |\n| 22  | =1+1       | 3       |\n"
    );
    // `*` leaves out what is withheld, and says so.
    let checked = bench.check("SELECT * FROM res_users WHERE id = 2");
    assert!(checked.left_out().contains("res_users.password") && checked.left_out().contains("res_users.totp_secret"));
    let answer = bench.read("SELECT * FROM res_users WHERE id = 2").await;
    assert!(answer.columns.iter().any(|c| c.name == "login") && !answer.columns.iter().any(|c| c.name == "password"));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_limits_and_errors() {
    let bench = Bench::new("19", "params").await;
    let limits = Limits::default();
    let answer = bench
        .read_with(
            "SELECT $1::int + 1 AS a, $2 || 'x' AS b, $3::date AS c, $4::jsonb ->> 'k' AS d, $5::text[] AS e, $6::numeric AS f, $7::bool AS g, $8::text IS NULL AS h",
            &[json!(1), json!("it's \\ "), json!("2024-01-31"), json!({"k": "v"}), json!(["a", null, "b\"\\"]), json!("1.10"), json!(true), json!(null)],
            &limits,
        )
        .await
        .unwrap();
    assert_eq!(
        answer.rows,
        [vec![
            json!(2),
            json!("it's \\ x"),
            json!("2024-01-31"),
            json!("v"),
            json!(["a", null, "b\"\\"]),
            json!("1.10"),
            json!(true),
            json!(true)
        ]]
    );
    // An injection in a parameter is a value.
    let answer = bench
        .read_with("SELECT count(*) AS n FROM res_users WHERE login = $1", &[json!("' OR 1=1; DROP TABLE res_users --")], &limits)
        .await
        .unwrap();
    assert_eq!(answer.rows, [[json!(0)]]);
    let wrong = bench.read_with("SELECT $1::int AS a", &[], &limits).await.unwrap_err();
    assert!(matches!(&wrong, Error::Parameters(text) if text.contains("1 parameters, 0 values")), "{wrong:?}");
    let wrong = bench.read_with("SELECT $1::int AS a", &[json!("no number")], &limits).await.unwrap_err();
    assert!(matches!(&wrong, Error::Sql(e) if e.code == "22P02"), "{wrong:?}");

    // Rows, and what a row too many says.
    let all = bench.read("SELECT i FROM generate_series(1, 5000) AS i").await;
    assert_eq!((all.rows.len(), all.truncated), (1000, true));
    let all = bench.read("SELECT i FROM generate_series(1, 1000) AS i").await;
    assert_eq!((all.rows.len(), all.truncated), (1000, false));
    let all = bench.read("SELECT i FROM generate_series(1, 5000) AS i LIMIT 4000").await;
    assert_eq!((all.rows.len(), all.truncated), (1000, true));
    let five = Limits { rows: 5, ..limits };
    let all = bench.read_with("SELECT i FROM generate_series(1, 500) AS i LIMIT $1", &[json!(100)], &five).await.unwrap();
    assert_eq!((all.rows.len(), all.truncated), (5, true));
    // Bytes: whole rows, as many as fit.
    let small = Limits { bytes: 100_000, ..limits };
    let all = bench.read_with("SELECT repeat('x', 10000) AS t FROM generate_series(1, 100)", &[], &small).await.unwrap();
    assert_eq!((all.rows.len(), all.truncated), (9, true));

    // One value: cut by the server, so that nobody's memory has to hold it.
    let short = Limits { value: 1000, ..limits };
    let long = "SELECT string_agg('é' || i::text, ',') AS t, jsonb_agg(i) AS j, array_agg(i) AS a, decode(repeat('00ff', 5000), 'hex') AS b,
        repeat('x', 1000) AS whole, ARRAY[1, 2] AS small, NULL::int[] AS n, NULL::jsonb AS nj, '{\"a\": 1}'::json AS sj FROM generate_series(1, 5000) AS i";
    let answer = bench.read_with(long, &[], &short).await.unwrap();
    let row = &answer.rows[0];
    assert!(row[0].as_str().unwrap().ends_with("bytes]") && row[0].as_str().unwrap().chars().count() < 1040, "{}", row[0]);
    assert!(row[1].as_str().unwrap().ends_with("bytes]"), "{}", row[1]);
    assert!(row[2].as_str().unwrap().starts_with("[cut: "), "{}", row[2]);
    assert_eq!((&row[3]["size"], row[3]["sha256"].as_str().unwrap().len()), (&json!(10000), 64));
    assert_eq!(row[4].as_str().unwrap().len(), 1000);
    assert_eq!(row[5..], [json!([1, 2]), json!(null), json!(null), json!({"a": 1})]);
    assert_eq!(
        answer.columns.iter().map(|c| c.type_name.as_str()).collect::<Vec<_>>(),
        ["text", "jsonb", "int4[]", "bytea", "text", "int4[]", "int4[]", "jsonb", "json"]
    );
    let giant = "SELECT string_agg(repeat('x', 10000), '') AS t FROM generate_series(1, 20000)";
    let answer = bench.read_with(giant, &[], &limits).await.unwrap();
    assert!(answer.rows[0][0].as_str().unwrap().ends_with("[cut: 200000000 bytes]"));

    // Where an error is, in the caller's own text.
    let error = bench.read_with("SELECT id,\n  name,\n  lower(id) AS x\nFROM res_partner", &[], &limits).await.unwrap_err();
    let Error::Sql(sql) = &error else { panic!("{error:?}") };
    assert_eq!((sql.code.as_str(), sql.at.map(|at| (at.line, at.column))), ("42883", Some((3, 3))), "{error}");
    assert!(!error.next().is_empty());
    let error = bench.read_with("SELECT id\nFROM res_partner\nWHERE name = 1", &[], &limits).await.unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
    // Names that do not exist are refused with the nearest.
    let refused = guard::check("SELECT nam FROM res_partnr", &bench.catalogue, 10).unwrap_err();
    assert!(refused.next().contains("res_partner"), "{refused} {}", refused.next());
    let refused = guard::check("SELECT p.nmae FROM res_partner p", &bench.catalogue, 10).unwrap_err();
    assert!(refused.next().contains("name"), "{refused} {}", refused.next());

    // Time: the server stops it, and the connection is used again.
    let start = Instant::now();
    let slow = "SELECT count(*) AS n FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    let short = Limits { timeout: Duration::from_millis(300), ..limits };
    let error = bench.read_with(slow, &[], &short).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(d) if d == short.timeout), "{error:?}");
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    // Cost: looked at before it runs.
    let cheap = Limits { cost: Some(1000.0), ..limits };
    let error = bench.read_with(slow, &[], &cheap).await.unwrap_err();
    assert!(matches!(error, Error::TooCostly { cost, .. } if cost > 1000.0), "{error:?}");
    assert!(bench.read_with("SELECT 1 AS a", &[], &cheap).await.is_ok());
    // A statement that changes data is not read, and the reader may not change any.
    let update = bench.check("UPDATE res_partner SET comment = 'x' WHERE id = 1");
    let cancel = CancellationToken::new();
    let error = bench.roles.pools.read(&bench.roles.reader, &update, &[], &limits, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Misplaced(Kind::Update)));
    let error = bench.roles.pools.write(&bench.roles.reader, &update, &[], &limits, false, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Privilege(_)), "{error:?}");

    // Logins and servers that are not there, without a word of the secret.
    let bad = Key { instance: "bad".into(), role: Role::Reader, generation: 0 };
    let mut target = corpus::target(&bench.database, &bench.roles.names[0], "this is the wrong password");
    bench.roles.pools.set(bad.clone(), target.clone()).unwrap();
    let error = bench.roles.pools.read(&bad, &bench.check("SELECT 1 AS a"), &[], &limits, &cancel).await.unwrap_err();
    println!("{error} | {}", error.next());
    assert!(!format!("{error}{error:?}").contains("wrong password"));
    target.port = 1;
    bench.roles.pools.set(bad.clone(), target.clone()).unwrap();
    let error = bench.roles.pools.read(&bad, &bench.check("SELECT 1 AS a"), &[], &limits, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error}{error:?}{target:?}").contains("wrong password"));
    target.port = corpus::port();
    target.tls = Tls::VerifyFull;
    assert!(matches!(bench.roles.pools.set(bad, target), Err(Error::Unreachable { .. })));
    bench.end().await;
}

/// Statements of a role that run now.
async fn running(bench: &Bench, at: usize) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state = 'active'";
    bench.admin.query_one(sql, &[&bench.roles.names[at]]).await.unwrap().get(0)
}
async fn until_running(bench: &Bench, at: usize, wanted: i64) -> Duration {
    let start = Instant::now();
    while running(bench, at).await != wanted {
        assert!(start.elapsed() < Duration::from_secs(5), "still {} running", running(bench, at).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_reaches_the_server() {
    let bench = Arc::new(Bench::new("19", "cancel").await);
    let slow = unguarded(Kind::Select, "SELECT pg_sleep(60)");
    let limits = Limits::default();
    // Dropped.
    for _ in 0..3 {
        let (b, slow) = (bench.clone(), slow.clone());
        let task = tokio::spawn(async move {
            b.roles.pools.read(&b.roles.reader, &slow, &[], &limits, &CancellationToken::new()).await.map(|_| ())
        });
        until_running(&bench, 0, 1).await;
        task.abort();
        let took = until_running(&bench, 0, 0).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        println!("dropped: gone after {took:?}");
    }
    // By a token.
    let cancel = CancellationToken::new();
    let (b, slow2, c) = (bench.clone(), slow.clone(), cancel.clone());
    let task = tokio::spawn(async move { b.roles.pools.read(&b.roles.reader, &slow2, &[], &limits, &c).await });
    until_running(&bench, 0, 1).await;
    cancel.cancel();
    assert!(matches!(task.await.unwrap(), Err(Error::Cancelled)));
    let took = until_running(&bench, 0, 0).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    // A write that is dropped changes nothing.
    let update = unguarded(Kind::Update, "UPDATE crm_stage SET sequence = 4711 WHERE pg_sleep(60) IS NOT NULL");
    let (b, u) = (bench.clone(), update.clone());
    let task = tokio::spawn(async move {
        b.roles.pools.write(&b.roles.writer, &u, &[], &limits, false, &CancellationToken::new()).await.map(|_| ())
    });
    until_running(&bench, 1, 1).await;
    task.abort();
    until_running(&bench, 1, 0).await;
    assert_eq!(bench.one::<i64>("SELECT count(*) FROM crm_stage WHERE sequence = 4711").await, 0);
    // A lock of somebody else's.
    let mut other = corpus::superuser(&bench.database).await;
    let transaction = other.transaction().await.unwrap();
    transaction.batch_execute("LOCK TABLE crm_team IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let quick = Limits { lock_timeout: Duration::from_millis(200), ..limits };
    let error = bench.read_with("SELECT id FROM crm_team", &[], &quick).await.unwrap_err();
    assert!(matches!(error, Error::Locked), "{error:?}");
    transaction.rollback().await.unwrap();

    // Nothing of one use is left to the next, and dead connections are replaced.
    for sql in [
        "SELECT set_config('statement_timeout', '1', false), set_config('search_path', 'pg_temp', false)",
        "SELECT pg_advisory_lock(4711)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "LISTEN imbus",
        "COMMIT",
        "SET ROLE NONE",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    ] {
        let _ = bench
            .roles
            .pools
            .read(&bench.roles.reader, &unguarded(Kind::Select, sql), &[], &limits, &CancellationToken::new())
            .await;
        let left = bench
            .roles
            .pools
            .read(
                &bench.roles.reader,
                &unguarded(
                    Kind::Select,
                    "SELECT current_setting('search_path') AS a, current_setting('transaction_read_only') AS b,
                            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS c,
                            (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS d, (SELECT count(*) FROM pg_listening_channels()) AS e",
                ),
                &[],
                &limits,
                &CancellationToken::new(),
            )
            .await
            .unwrap();
        assert_eq!(left.rows, [[json!("pg_catalog, public, pg_temp"), json!("on"), json!(0), json!(0), json!(0)]], "{sql}");
    }
    let killed: i64 = bench
        .one(&format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{}'", bench.roles.names[0]))
        .await;
    assert!(killed > 0);
    assert_eq!(bench.read("SELECT 1 AS a").await.rows, [[json!(1)]]);
    // Idle connections go.
    bench.roles.pools.sweep(Duration::ZERO);
    corpus::gone(&bench.admin, &bench.roles.names).await;
    // No more than the pool holds at a time, and none lost by all that was cancelled.
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let b = bench.clone();
            tokio::spawn(async move { b.read("SELECT count(*) AS n FROM res_partner").await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let open: i64 = bench.one(&format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", bench.roles.names[0])).await;
    assert!((1..=4).contains(&open), "{open}");
    Arc::into_inner(bench).unwrap().end().await;
}

async fn write_on(version: &'static str) {
    let bench = Bench::new(version, &format!("write{version}")).await;
    let signals = if version == "19" {
        "SELECT count(*) FROM orm_signaling_default"
    } else {
        "SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END FROM base_cache_signaling"
    };
    let before: i64 = bench.one(signals).await;
    let registry = if version == "19" {
        "SELECT count(*) FROM orm_signaling_registry"
    } else {
        "SELECT last_value FROM base_registry_signaling"
    };
    let registry_before: i64 = bench.one(registry).await;
    let answer = bench
        .write("UPDATE res_partner SET comment = $1 WHERE id IN (1, 2) RETURNING id, comment", &[json!("by SQL")])
        .await
        .unwrap();
    assert_eq!(answer.affected, Some(2));
    assert_eq!(answer.rows[0][1], "by SQL");
    assert_eq!(bench.one::<i64>("SELECT count(*) FROM res_partner WHERE comment = 'by SQL'").await, 2);
    let after: i64 = bench.one(signals).await;
    assert_eq!(after, before + 1, "Odoo's caches are signalled");
    assert_eq!(bench.one::<i64>(registry).await, registry_before, "and not its registry");
    // More rows than are shown are changed all the same.
    let few = Limits { rows: 3, ..Limits::default() };
    let checked = bench.check("UPDATE res_country SET write_date = now() RETURNING code");
    let answer =
        bench.roles.pools.write(&bench.roles.writer, &checked, &[], &few, false, &CancellationToken::new()).await.unwrap();
    assert!(answer.affected.unwrap() > 200 && answer.rows.len() == 3 && answer.truncated, "{:?}", answer.affected);
    assert!(checked.unbounded());
    // Insert by a sequence, conflict, delete.
    let added = bench
        .write(
            "INSERT INTO res_country_state (country_id, name, code) VALUES ($1, 'A', 'ZZ1'), ($1, 'B', 'ZZ2') RETURNING id",
            &[json!(1)],
        )
        .await
        .unwrap();
    assert_eq!(added.affected, Some(2));
    let twice =
        bench.write("INSERT INTO res_country_state (country_id, name, code) VALUES (1, 'A', 'ZZ1')", &[]).await.unwrap_err();
    assert!(matches!(&twice, Error::Sql(e) if e.code == "23505" && e.detail.is_some()), "{twice:?}");
    let none = bench
        .write("INSERT INTO res_country_state (country_id, name, code) VALUES (1, 'A', 'ZZ1') ON CONFLICT DO NOTHING", &[])
        .await
        .unwrap();
    assert_eq!(none.affected, Some(0));
    let gone = bench.write("WITH old AS (SELECT id FROM res_country_state WHERE code LIKE 'ZZ_') DELETE FROM res_country_state s USING old WHERE s.id = old.id", &[]).await.unwrap();
    assert_eq!(gone.affected, Some(2));
    // A failing row is not shown with its other columns.
    bench.admin.batch_execute("UPDATE sale_order SET access_token = 'MARKEDSECRET'").await.unwrap();
    let error = bench.write("UPDATE sale_order SET partner_id = NULL", &[]).await.unwrap_err();
    assert!(!format!("{error:?}{error}").contains("MARKEDSECRET"), "{error:?}");
    // `*` in RETURNING leaves out what is withheld.
    let answer = bench.write("UPDATE sale_order SET note = note RETURNING *", &[]).await.unwrap();
    assert!(!answer.rows.is_empty() && !format!("{answer:?}").contains("MARKEDSECRET"));
    // Preview: nothing runs.
    let checked = bench.check("DELETE FROM res_country_state");
    let preview = bench.roles.pools.explain(&bench.roles.writer, &checked, &[], &few, &CancellationToken::new()).await.unwrap();
    assert!(preview.rows > 1000.0 && preview.cost > 0.0, "{preview:?}");
    assert!(bench.one::<i64>("SELECT count(*) FROM res_country_state").await > 1000);
    // list_tables.
    let cancel = CancellationToken::new();
    let wanted = tables::Wanted { search: Some("res.users".into()), columns: true, raw: false, limit: 50 };
    let (list, all) =
        tables::list(&bench.roles.pools, &bench.roles.reader, &bench.catalogue, &wanted, &few, &cancel).await.unwrap();
    let users = list.iter().find(|t| t.name == "res_users").unwrap();
    assert_eq!(all, list.len());
    assert_eq!((users.model.as_deref(), users.readable, users.writable), (Some("res.users"), true, false));
    assert!(users.bytes > 8000);
    let columns = users.columns.as_ref().unwrap();
    assert!(
        columns.iter().any(|c| c.name == "password" && c.withheld)
            && columns.iter().any(|c| c.name == "login" && !c.withheld && c.required)
    );
    let wanted = tables::Wanted { limit: 10_000, ..tables::Wanted::default() };
    let (list, _) =
        tables::list(&bench.roles.pools, &bench.roles.reader, &bench.catalogue, &wanted, &few, &cancel).await.unwrap();
    assert!(list.len() > 300 && list.iter().any(|t| t.estimated_rows.is_some_and(|n| n > 1000)), "{}", list.len());
    assert!(list.iter().any(|t| t.name == "ir_config_parameter" && !t.readable && !t.writable));
    println!(
        "{version}: {} tables, {} readable, {} writable, views {:?}",
        list.len(),
        list.iter().filter(|t| t.readable).count(),
        list.iter().filter(|t| t.writable).count(),
        list.iter()
            .filter(|t| t.kind == crate::postgres::catalogue::Kind::View)
            .map(|t| (t.name.as_str(), t.readable))
            .collect::<Vec<_>>()
    );
    bench.end().await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_on_19() {
    write_on("19").await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_on_14() {
    write_on("14").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_whole_or_not_at_all() {
    let bench = Bench::new("19", "script").await;
    let run = async |text: &str, go_on: bool| {
        let script = guard::script(text, &bench.catalogue, 1000).unwrap_or_else(|e| panic!("{e}: {text}"));
        bench
            .roles
            .pools
            .script(&bench.roles.writer, &script, go_on, &Limits::default(), true, &CancellationToken::new())
            .await
            .unwrap()
    };
    let stages = "SELECT count(*) FROM crm_stage WHERE sequence = 77";
    let good = "BEGIN; UPDATE crm_stage SET sequence = 77 WHERE id = 1; SELECT 'a;b' AS x; -- ; \n SELECT $$;$$ AS y; COMMIT;";
    let done = run(good, false).await;
    assert!(done.committed);
    assert_eq!(done.outcomes.len(), 3);
    assert_eq!(done.outcomes[1].result.as_ref().unwrap().rows, [[json!("a;b")]]);
    assert_eq!(bench.one::<i64>(stages).await, 1);
    let bad = "UPDATE crm_stage SET sequence = 77 WHERE id = 2; SELECT 1 / 0; UPDATE crm_stage SET sequence = 77 WHERE id = 3";
    let done = run(bad, false).await;
    assert!(!done.committed && done.outcomes.len() == 2 && done.outcomes[1].result.is_err());
    assert_eq!(bench.one::<i64>(stages).await, 1);
    let done = run(bad, true).await;
    assert!(done.committed && done.outcomes.len() == 3);
    assert!(matches!(&done.outcomes[1].result, Err(Error::Sql(e)) if e.code == "22012"));
    assert_eq!(bench.one::<i64>(stages).await, 3);
    // Savepoints of one's own, and a script that takes itself back.
    let text = "BEGIN; SAVEPOINT a; UPDATE crm_stage SET sequence = 78; ROLLBACK TO a; UPDATE crm_stage SET sequence = 79 WHERE id = 1; RELEASE a; COMMIT";
    assert!(run(text, false).await.committed);
    assert_eq!(bench.one::<i64>("SELECT count(*) FROM crm_stage WHERE sequence IN (78, 79)").await, 1);
    let done = run("BEGIN; DELETE FROM crm_lead; SELECT count(*) AS n FROM crm_lead; ROLLBACK", false).await;
    assert!(!done.committed && done.outcomes[1].result.as_ref().unwrap().rows == [[json!(0)]]);
    assert!(bench.one::<i64>("SELECT count(*) FROM crm_lead").await > 0);
    for refused in [
        "SELECT 1; DROP TABLE crm_lead",
        "SELECT 1; BEGIN; SELECT 2",
        "COMMIT; SELECT 1",
        "SELECT 1; COMMIT; SELECT 2",
        "ROLLBACK TO x; SELECT 1",
        "SAVEPOINT a; RELEASE a; ROLLBACK TO a",
        "SELECT 1; SET ROLE postgres",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1",
        "COMMIT AND CHAIN",
        "BEGIN; COMMIT PREPARED 'x'",
        "SELECT 1; ; VACUUM",
        "DO $$ BEGIN END $$; SELECT 1",
        "BEGIN; COMMIT",
        "SELECT password FROM res_users; SELECT 1",
    ] {
        assert!(guard::script(refused, &bench.catalogue, 10).is_err(), "{refused}");
    }
    bench.end().await;
}

/// A way to the server that breaks when the client says COMMIT: before the server hears it, or before the client hears
/// the answer.
async fn breaking(before: bool) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let armed = Arc::new(AtomicBool::new(false));
    let flag = armed.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let flag = flag.clone();
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", corpus::port())).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let broken = Arc::new(AtomicBool::new(false));
                let b = broken.clone();
                let back = tokio::spawn(async move {
                    let mut buffer = vec![0; 65536];
                    while let Ok(n) = from_server.read(&mut buffer).await {
                        if n == 0 || b.load(Ordering::SeqCst) || to_client.write_all(&buffer[..n]).await.is_err() {
                            break;
                        }
                    }
                });
                let mut buffer = vec![0; 65536];
                while let Ok(n) = from_client.read(&mut buffer).await {
                    if n == 0 {
                        break;
                    }
                    if flag.load(Ordering::SeqCst) && buffer[..n].windows(6).any(|w| w == b"COMMIT") {
                        broken.store(true, Ordering::SeqCst);
                        if !before {
                            to_server.write_all(&buffer[..n]).await.unwrap();
                            tokio::time::sleep(Duration::from_millis(300)).await;
                        }
                        break;
                    }
                    to_server.write_all(&buffer[..n]).await.unwrap();
                }
                back.abort();
            });
        }
    });
    (port, armed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_no_failure() {
    let bench = Bench::new("19", "unknown").await;
    for (before, fate) in [(false, Fate::Committed), (true, Fate::Aborted)] {
        let (port, armed) = breaking(before).await;
        let key = Key { instance: "proxied".into(), role: Role::Writer, generation: u64::from(before) };
        let mut target = corpus::target(&bench.database, &bench.roles.names[1], "a long password for tests, 'quoted' \\");
        target.port = port;
        bench.roles.pools.set(key.clone(), target).unwrap();
        let checked = bench.check(&format!("UPDATE crm_stage SET sequence = {} WHERE id = 1", if before { 901 } else { 902 }));
        let limits = Limits::default();
        let cancel = CancellationToken::new();
        armed.store(true, Ordering::SeqCst);
        let error = bench.roles.pools.write(&key, &checked, &[], &limits, false, &cancel).await.unwrap_err();
        let Error::OutcomeUnknown { transaction: Some(number) } = error else { panic!("{error:?}") };
        let mut told = Fate::Running;
        for _ in 0..50 {
            told = bench.roles.pools.outcome(&bench.roles.reader, number, &limits, &cancel).await.unwrap();
            if told != Fate::Running {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(told, fate);
        println!("broken {} the server heard: {told:?}", if before { "before" } else { "after" });
        // A COMMIT that waits: neither the time limit nor a cancellation makes a failure of it.
        armed.store(false, Ordering::SeqCst);
    }
    bench.admin.batch_execute("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END'; CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON crm_stage DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()").await.unwrap();
    let checked = bench.check("UPDATE crm_stage SET sequence = 903 WHERE id = 1");
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        later.cancel();
    });
    let answer = bench.roles.pools.write(&bench.roles.writer, &checked, &[], &Limits::default(), false, &cancel).await.unwrap();
    assert_eq!(answer.affected, Some(1));
    assert_eq!(bench.one::<i64>("SELECT count(*) FROM crm_stage WHERE sequence = 903").await, 1);
    bench.roles.pools.forget("proxied");
    bench.end().await;
}

/// A PostgreSQL of its own with a certificate for `localhost`, removed in the end.
struct Encrypted(String);
impl Drop for Encrypted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(["rm", "-f", &self.0]).output();
    }
}
fn docker(arguments: &[&str]) -> String {
    let out = std::process::Command::new("docker").args(arguments).output().unwrap();
    assert!(out.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
fn roots(container: &str, file: &str) -> rustls::RootCertStore {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let pem = docker(&["exec", container, "cat", file]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    roots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_what_the_mode_says() {
    let image = docker(&["inspect", "ocore-test-pg", "--format", "{{.Config.Image}}"]);
    let name = format!("ocore-sql-tls-{}", std::process::id());
    let start = "cd /tmp && for n in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -keyout $n.key -out $n.crt -days 2 -subj /CN=$n; done \
        && openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost \
        && printf 'subjectAltName=DNS:localhost' > ext && openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile ext \
        && chmod 600 server.key && echo secretsecretsecret > pw && initdb --no-sync -D data -U postgres --pwfile=pw --auth-host=scram-sha-256 \
        && echo 'hostssl all all all scram-sha-256' > data/pg_hba.conf && echo 'local all all trust' >> data/pg_hba.conf \
        && exec postgres -D data -c listen_addresses=* -c ssl=on -c ssl_cert_file=/tmp/server.crt -c ssl_key_file=/tmp/server.key -c unix_socket_directories=/tmp";
    docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "--label",
        "ocore-sql-test",
        "--network",
        "ocore-test",
        "--publish",
        "127.0.0.1::5432",
        "--user",
        "postgres",
        "--entrypoint",
        "sh",
        &image,
        "-c",
        start,
    ]);
    let container = Encrypted(name.clone());
    let port: u16 = docker(&["port", &name, "5432/tcp"]).rsplit(':').next().unwrap().parse().unwrap();
    for attempt in 0.. {
        let ready = std::process::Command::new("docker")
            .args(["exec", &name, "psql", "-h", "/tmp", "-U", "postgres", "-c", "SELECT 1"])
            .output()
            .unwrap();
        if ready.status.success() {
            break;
        }
        assert!(attempt < 150, "the server did not start: {}", docker(&["logs", &name]));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let pools = crate::postgres::session::Pools::new();
    let ask = async |host: &str,
                     tls: Tls,
                     roots: Option<rustls::RootCertStore>,
                     port: u16,
                     database: &str,
                     user: &str,
                     password: &str| {
        let key = Key { instance: "tls".into(), role: Role::Reader, generation: 0 };
        let mut target = corpus::target(database, user, password);
        target.host = host.to_owned();
        target.address = Some("127.0.0.1".parse().unwrap());
        (target.port, target.tls, target.roots) = (port, tls, roots);
        pools.set(key.clone(), target)?;
        let checked = unguarded(Kind::Select, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        pools.read(&key, &checked, &[], &Limits::default(), &CancellationToken::new()).await
    };
    let own = async |host: &str, tls: Tls, roots: Option<rustls::RootCertStore>| {
        ask(host, tls, roots, port, "postgres", "postgres", "secretsecretsecret").await
    };
    let ca = roots(&name, "/tmp/ca.crt");
    for tls in [Tls::Prefer, Tls::Require] {
        assert_eq!(own("localhost", tls, None).await.unwrap().rows, [[json!(true), json!("TLSv1.3")]], "{tls:?}");
    }
    assert_eq!(own("localhost", Tls::VerifyFull, Some(ca.clone())).await.unwrap().rows[0][0], true);
    let other = own("localhost", Tls::VerifyFull, Some(roots(&name, "/tmp/other.crt"))).await.unwrap_err();
    assert!(matches!(&other, Error::Unreachable { why, .. } if why.contains("certificate")), "{other:?}");
    let wrong = own("db.example.com", Tls::VerifyFull, Some(ca)).await.unwrap_err();
    assert!(matches!(&wrong, Error::Unreachable { why, .. } if why.contains("certificate")), "{wrong:?}");
    let clear = own("localhost", Tls::Disable, None).await.unwrap_err();
    assert!(matches!(&clear, Error::Login { .. }), "{clear:?}");
    // Cancelling goes by TLS as well.
    let key = Key { instance: "tls".into(), role: Role::Reader, generation: 0 };
    let mut target = corpus::target("postgres", "postgres", "secretsecretsecret");
    (target.port, target.tls) = (port, Tls::Require);
    pools.set(key.clone(), target).unwrap();
    let slow = unguarded(Kind::Select, "SELECT pg_sleep(60)");
    let gone = tokio::time::timeout(
        Duration::from_millis(800),
        pools.read(&key, &slow, &[], &Limits::default(), &CancellationToken::new()),
    )
    .await;
    assert!(gone.is_err());
    tokio::time::sleep(Duration::from_millis(700)).await;
    let left = docker(&[
        "exec",
        &name,
        "psql",
        "-h",
        "/tmp",
        "-U",
        "postgres",
        "-Atc",
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()",
    ]);
    assert_eq!(left, "0");
    // A server that cannot.
    let none = ask("127.0.0.1", Tls::Require, None, corpus::port(), "postgres", "postgres", "ocore").await.unwrap_err();
    assert!(matches!(&none, Error::Unreachable { why, .. } if why.contains("TLS")), "{none:?}");
    assert_eq!(
        ask("127.0.0.1", Tls::Prefer, None, corpus::port(), "postgres", "postgres", "ocore").await.unwrap().rows[0][0],
        false
    );
    drop(container);
}
