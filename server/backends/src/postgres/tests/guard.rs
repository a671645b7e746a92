//! The guard on its corpora, held against what the server says.
use tokio_postgres::{Client, SimpleQueryMessage};

use super::corpus::{self, blocks};
use crate::postgres::guard::{self, Refused};

/// Rows by the simple protocol, as text; sorted where the statement gives no order.
async fn rows(client: &Client, sql: &str) -> Result<(Vec<String>, Vec<Vec<Option<String>>>), String> {
    let mut names = Vec::new();
    let mut out = Vec::new();
    for message in
        client.simple_query(sql).await.map_err(|e| e.as_db_error().map_or(e.to_string(), |d| d.message().to_owned()))?
    {
        match message {
            SimpleQueryMessage::RowDescription(columns) => names = columns.iter().map(|c| c.name().to_owned()).collect(),
            SimpleQueryMessage::Row(row) => out.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
            _ => {}
        }
    }
    if !sql.to_ascii_uppercase().contains("ORDER BY") {
        out.sort();
    }
    Ok((names, out))
}

#[tokio::test]
async fn good_statements_give_what_they_give_raw() {
    let database = corpus::database("19");
    let catalogue = corpus::catalogue(database).await;
    let client = corpus::superuser(database).await;
    client.batch_execute("SET search_path = public; SET TimeZone = 'UTC'").await.unwrap();
    let blocks = blocks("good.sql");
    assert!(blocks.len() >= 150, "{} good statements", blocks.len());
    let mut wrong = Vec::new();
    let mut with_rows = 0;
    for block in &blocks {
        let checked = match guard::check(&block.sql, &catalogue, 1000) {
            Ok(checked) => checked,
            Err(refused) => {
                wrong.push(format!("REFUSED {refused}\n    {}", block.sql));
                continue;
            }
        };
        let raw = rows(&client, &block.sql).await;
        let ours = rows(&client, checked.sql()).await;
        match (&raw, &ours) {
            (Err(e), _) => wrong.push(format!("RAW FAILS {e}\n    {}", block.sql)),
            (Ok(_), Err(e)) => wrong.push(format!("OURS FAILS {e}\n    {}\n    {}", block.sql, checked.sql())),
            (Ok(raw), Ok(ours)) if raw != ours => {
                wrong.push(format!("DIFFER\n    {}\n    {}\n    {raw:?}\n    {ours:?}", block.sql, checked.sql()));
            }
            (Ok(raw), Ok(_)) => with_rows += usize::from(!raw.1.is_empty()),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), blocks.len(), wrong.join("\n"));
    assert!(with_rows * 10 > blocks.len() * 8, "only {with_rows} of {} gave rows", blocks.len());
    println!("{} good statements, {with_rows} with rows", blocks.len());
}

#[tokio::test]
async fn hostile_statements_are_refused() {
    let catalogue = corpus::catalogue(corpus::database("19")).await;
    let blocks = blocks("hostile.sql");
    assert!(blocks.len() >= 400, "{} hostile statements", blocks.len());
    let mut wrong = Vec::new();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for block in &blocks {
        assert!(!block.why.is_empty(), "no reason given for {}", block.sql);
        match guard::check(&block.sql, &catalogue, 1000) {
            Ok(checked) => wrong.push(format!("{}: {}\n    {}", block.why, block.sql, checked.sql())),
            Err(refused) => {
                let kind = format!("{refused:?}");
                *kinds.entry(kind.split([' ', '(']).next().unwrap().to_owned()).or_default() += 1;
                assert!(!refused.next().is_empty());
                if std::env::var_os("OCORE_SHOW").is_some() {
                    println!("{refused} || {}\n    {}", block.why, block.sql);
                }
                if let Refused::Syntax(text) = &refused {
                    println!("by syntax alone: {text}\n    {}", block.sql);
                }
            }
        }
    }
    println!("{} hostile statements: {kinds:?}", blocks.len());
    assert!(wrong.is_empty(), "{} of {} were let through:\n{}", wrong.len(), blocks.len(), wrong.join("\n"));
}

/// Whatever is nested, the answer is a refusal or a verdict, soon, on a small stack.
#[test]
fn nesting_neither_overflows_nor_lasts() {
    let catalogue = crate::postgres::catalogue::Catalogue::default();
    let parts: [(&str, &str, &str); 58] = [
        ("SELECT ", "(", ""),
        ("SELECT ", "(", "1"),
        ("SELECT ", "((1)+", "1"),
        ("", "(", "SELECT 1"),
        ("", "(SELECT ", "1"),
        ("SELECT ", "NOT ", "true"),
        ("SELECT ", "- ", "1"),
        ("SELECT ", "-", "1"),
        ("SELECT ", "~ ", "1"),
        ("SELECT ", "+(", "1"),
        ("SELECT ", "lower(", "1"),
        ("SELECT ", "ARRAY[", "1"),
        ("SELECT ARRAY", "[", "1"),
        ("SELECT ", "CASE WHEN ", "1"),
        ("SELECT ", "CASE WHEN 1 THEN ", "1"),
        ("SELECT ", "CAST(", "1"),
        ("SELECT ", "EXISTS (SELECT ", "1"),
        ("SELECT ", "1 IN (SELECT ", "1"),
        ("SELECT ", "1+", "1"),
        ("SELECT ", "1=", "1"),
        ("SELECT ", "true AND ", "true"),
        ("SELECT ", "true OR NOT ", "true"),
        ("SELECT ", "1 BETWEEN ", "1"),
        ("SELECT ", "1 BETWEEN 1 AND ", "1"),
        ("SELECT 1", "::int", ""),
        ("SELECT 1", " IS NULL", ""),
        ("SELECT 1", " IS NOT DISTINCT FROM 1", ""),
        ("SELECT 1", " COLLATE \"C\"", ""),
        ("SELECT 1", " AT TIME ZONE 'UTC'", ""),
        ("SELECT 1", "[1]", ""),
        ("SELECT a", ".a", ""),
        ("SELECT a", "->'a'", ""),
        ("SELECT a", " LIKE 'a'", ""),
        ("SELECT a", " NOTNULL", ""),
        ("SELECT a", "!", ""),
        ("SELECT 1", " UNION SELECT 1", ""),
        ("SELECT 1", " UNION ALL (SELECT 1", ""),
        ("SELECT 1 FROM a", " JOIN a ON 1=1", ""),
        ("SELECT 1 FROM a", " JOIN a", ""),
        ("SELECT 1 FROM a", " LEFT JOIN (a", ""),
        ("SELECT 1 FROM ", "(", "a"),
        ("SELECT 1 FROM ", "(SELECT 1 FROM ", "a"),
        ("SELECT 1 FROM a", ", a", ""),
        ("SELECT 1", ", 1", ""),
        ("SELECT 1 FROM a", " PIVOT (sum(a) FOR a IN (1))", ""),
        ("SELECT 1 ORDER BY 1", ", 1", ""),
        ("", "WITH a AS (", "SELECT 1"),
        ("WITH ", "a AS (SELECT 1), ", "b AS (SELECT 1) SELECT 1"),
        ("", "EXPLAIN ", "SELECT 1"),
        ("", "SELECT 1;", ""),
        ("", "/*", ""),
        ("SELECT ", "interval ", "'1'"),
        ("SELECT ", "date ", "'1'"),
        ("SELECT 1::", "ARRAY<", "int"),
        ("SELECT 1::int", "[]", ""),
        ("SELECT f", "(1)", ""),
        ("SELECT ", "x -> ", "1"),
        ("SELECT 1 GROUP BY ", "ROLLUP (", "1"),
    ];
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || {
            let mut accepted = 0;
            let mut slowest = (std::time::Duration::ZERO, String::new());
            for (head, repeated, tail) in parts {
                for times in [5, 12, 20, 23, 30, 60, 200, 399, 799, 2000, 100_000 / repeated.len()] {
                    for close in ["", ")", "]", " END"] {
                        let mut sql = format!("{head}{}{tail}", repeated.repeat(times));
                        if sql.len() + close.len() * times > guard::LONGEST + 10 {
                            sql.truncate(guard::LONGEST);
                        } else {
                            sql.push_str(&close.repeat(times));
                        }
                        if std::env::var_os("OCORE_SHOW").is_some() {
                            println!("{head}{repeated}*{times}{tail}{close}");
                        }
                        let start = std::time::Instant::now();
                        accepted += usize::from(guard::check(&sql, &catalogue, 1000).is_ok());
                        let _ = guard::script(&sql, &catalogue, 1000);
                        let took = start.elapsed();
                        if took > slowest.0 {
                            slowest = (took, format!("{head}{repeated}*{times}{tail}{close}"));
                        }
                    }
                }
            }
            println!("{accepted} accepted, slowest {slowest:?}");
            assert!(accepted > 50, "only {accepted} were let through");
            assert!(slowest.0.as_millis() < 3000, "{slowest:?}");
        })
        .unwrap()
        .join()
        .unwrap();
}
