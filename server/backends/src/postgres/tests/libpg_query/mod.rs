//! The guard against PostgreSQL's own parser (libpg_query): whatever is let through must be, for PostgreSQL's grammar, one
//! statement of the same kind on the same tables with the same functions and nothing else, and mean what the caller's own
//! text means.
//!
//! Where `fuzz` asks a server what a statement depends on, this reads the tree: it sees what no plan shows, needs no
//! well-typed statement, and tries some thousand statements in a second.
mod columns;
mod generate;
mod look;
mod reverse;
mod same;
mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use sqlparser::{
    ast::{Expr, ObjectName, ObjectNamePart, TableFactor, Visit, Visitor},
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use self::generate::{Generator, Random, mutate, pieces};
use super::corpus::{self, blocks};
use crate::postgres::{
    catalogue::{self, Catalogue, Relation},
    guard::{self, Checked, Kind, Refused},
    session,
};

/// Where the two disagree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// What is at stake, the worst first.
    class: Class,
    /// The same for the same cause, as far as that can be told.
    about: String,
    what: String,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// What runs is not what the guard takes it for.
    Danger,
    /// What runs means something else than what was written.
    Meaning,
    /// What was let through is no SQL for PostgreSQL any more.
    Unread,
}

/// What came of one statement.
enum Verdict {
    Refused(Refused),
    /// Let through and held; whether PostgreSQL reads the caller's own text, and whether names will not be found.
    Held {
        kind: Kind,
        read_raw: Result<(), String>,
        odd: bool,
    },
    /// Let through, and no SQL for PostgreSQL, before as after.
    Nonsense(String),
    Found(Finding),
}

fn found(class: Class, about: impl Into<String>, what: impl Into<String>) -> Verdict {
    Verdict::Found(Finding { class, about: about.into(), what: what.into() })
}

/// Holds what the guard makes of a statement against PostgreSQL's parser.
fn hold(sql: &str, catalogue: &Catalogue) -> Verdict {
    let checked = match guard::check(sql, catalogue, 1000) {
        Ok(checked) => checked,
        Err(refused) => return Verdict::Refused(refused),
    };
    let statements = match tree::parse(checked.sql(), true) {
        Ok(statements) => statements,
        Err(why) => {
            if tree::parse(sql, true).is_err() {
                return Verdict::Nonsense(why);
            }
            // Without the name of what stood there.
            let about = why.split(" at or near").next().unwrap_or_default().to_owned();
            return found(Class::Unread, about, format!("{why}: {}", checked.sql()));
        }
    };
    let [statement] = statements.as_slice() else {
        return found(Class::Danger, "several", format!("{} statements: {}", statements.len(), checked.sql()));
    };
    if tree::parse(checked.sql(), false).as_ref() != Ok(&statements) {
        return found(Class::Danger, "strings", format!("standard_conforming_strings changes it: {}", checked.sql()));
    }
    let seen = look::look(statement, catalogue);
    if let Some(wrong) = seen.wrong.first() {
        return found(Class::Danger, without_names(wrong), format!("{wrong}: {}", checked.sql()));
    }
    let differs = |what: &str, theirs: String, ours: String| {
        found(Class::Danger, what, format!("{what}: PostgreSQL sees {theirs}, the guard {ours}: {}", checked.sql()))
    };
    if seen.kind != checked.kind() {
        return differs("kind", format!("{:?}", seen.kind), format!("{:?}", checked.kind()));
    }
    if seen.reads != *checked.reads() {
        return differs("reads", format!("{:?}", seen.reads), format!("{:?}", checked.reads()));
    }
    if seen.writes != *checked.writes() {
        return differs("writes", format!("{:?}", seen.writes), format!("{:?}", checked.writes()));
    }
    if seen.parameters != checked.parameters() {
        return differs("parameters", format!("{}", seen.parameters), format!("{}", checked.parameters()));
    }
    if let Some((theirs, ours)) = functions(sql, &seen.functions) {
        return differs("functions", theirs, ours);
    }
    if let Some(finding) = sent(&checked, statement) {
        return finding;
    }
    // Without the limit that the guard puts behind.
    let whole = match guard::check_view(sql, catalogue) {
        Ok(whole) => whole,
        Err(refused) => return found(Class::Danger, "limit", format!("only with a limit: {refused}: {}", checked.sql())),
    };
    let whole = match tree::parse(whole.sql(), true).as_deref() {
        Ok([one]) => one.clone(),
        _ => return found(Class::Danger, "limit", format!("not without a limit: {}", whole.sql())),
    };
    let meant = same::canonical(&whole, catalogue);
    if unlimited(&meant) != unlimited(&same::canonical(statement, catalogue)) {
        return found(Class::Danger, "limit", format!("the limit changes more: {}", checked.sql()));
    }
    let raw = match tree::parse(sql, true) {
        Ok(raw) => raw,
        Err(why) => {
            return Verdict::Held { kind: checked.kind(), read_raw: Err(why), odd: !seen.odd.is_empty() };
        }
    };
    let [raw] = raw.as_slice() else {
        return found(Class::Meaning, "several", format!("PostgreSQL reads {} statements in what was written", raw.len()));
    };
    if same::explain_options(raw) != same::explain_options(&whole) {
        return found(Class::Meaning, "options", format!("the options of EXPLAIN differ: {}", checked.sql()));
    }
    if let Some((path, written, ours)) = same::difference(&same::canonical(raw, catalogue), &meant, "") {
        let end: Vec<&str> = path.rsplit('.').take(3).collect();
        let about: Vec<&str> = end.into_iter().rev().collect();
        return found(
            Class::Meaning,
            about.join("."),
            format!("{path}\n    written: {written}\n    runs:    {ours}\n    {}", checked.sql()),
        );
    }
    Verdict::Held { kind: checked.kind(), read_raw: Ok(()), odd: !seen.odd.is_empty() }
}
/// A message without the names in it.
fn without_names(text: &str) -> String {
    text.split(' ').filter(|word| word.chars().all(|c| c.is_ascii_alphabetic())).collect::<Vec<_>>().join(" ")
}
fn unlimited(statement: &serde_json::Value) -> serde_json::Value {
    let mut statement = statement.clone();
    if let Some(fields) = statement.get_mut("SelectStmt").and_then(serde_json::Value::as_object_mut) {
        fields.remove("limit_count");
        fields.remove("limit_option");
    }
    statement
}
/// What goes to the server around the guard's text leaves it as it is: the plan's EXPLAIN, and the cutting of long values.
fn sent(checked: &Checked, statement: &serde_json::Value) -> Option<Verdict> {
    let bad = |what: &str, sql: &str| Some(found(Class::Danger, "sent", format!("{what}: {sql}")));
    if checked.kind() != Kind::Explain {
        let sql = format!("EXPLAIN (FORMAT JSON) {}", checked.sql());
        match tree::parse(&sql, true).as_deref() {
            Ok([one])
                if tree::as_kind(one, "ExplainStmt").and_then(|e| e.get("query")).map(placeless)
                    == Some(placeless(statement)) => {}
            _ => return bad("not itself in EXPLAIN", &sql),
        }
    }
    if checked.kind() == Kind::Select {
        let sql = session::wrapped_every_way(checked.sql());
        let inner = |one: &serde_json::Value| {
            let select = tree::as_kind(one, "SelectStmt")?;
            let [from] = tree::items(select, "from_clause") else { return None };
            let clauses = ["where_clause", "group_clause", "sort_clause", "limit_count", "with_clause", "larg", "locking_clause"];
            if clauses.iter().any(|clause| select.contains_key(*clause)) {
                return None;
            }
            tree::as_kind(from, "RangeSubselect")?.get("subquery").map(placeless)
        };
        match tree::parse(&sql, true).as_deref() {
            Ok([one]) if inner(one) == Some(placeless(statement)) => {}
            _ => return bad("not itself in FROM", &sql),
        }
    }
    None
}
/// A tree without places.
fn placeless(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(list) => list.iter().map(placeless).collect(),
        serde_json::Value::Object(fields) => serde_json::Value::Object(
            fields
                .iter()
                .filter(|(name, _)| {
                    !matches!(
                        name.as_str(),
                        "location" | "list_start" | "list_end" | "rexpr_list_start" | "rexpr_list_end" | "arg_location"
                    )
                })
                .map(|(name, value)| (name.clone(), placeless(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// Functions as the guard's parser sees them in the caller's text, against those that PostgreSQL's sees in what runs.
fn functions(sql: &str, theirs: &BTreeSet<String>) -> Option<(String, String)> {
    #[derive(Default)]
    struct Names(BTreeSet<String>);
    impl Names {
        fn add(&mut self, name: &ObjectName) {
            if let Some(ObjectNamePart::Identifier(ident)) = name.0.last() {
                let name = if ident.quote_style.is_none() { ident.value.to_ascii_lowercase() } else { ident.value.clone() };
                self.0.insert(name);
            }
        }
    }
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) => self.add(&function.name),
                Expr::Ceil { .. } => drop(self.0.insert("ceil".into())),
                Expr::Floor { .. } => drop(self.0.insert("floor".into())),
                Expr::Substring { shorthand, .. } => {
                    self.0.insert(if *shorthand { "substr" } else { "substring" }.into());
                }
                Expr::Trim { .. } => drop(self.0.insert("btrim".into())),
                Expr::Overlay { .. } => drop(self.0.insert("overlay".into())),
                Expr::Position { .. } => drop(self.0.insert("position".into())),
                _ => {}
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match factor {
                TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.add(name),
                TableFactor::UNNEST { .. } => drop(self.0.insert("unnest".into())),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    // `TABLE x` alone is not the parser's.
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
    let mut names = Names::default();
    let _ = statements.visit(&mut names);
    let theirs: BTreeSet<String> = theirs.iter().filter_map(|f| f.split_once('.')).map(|(_, name)| name.to_owned()).collect();
    // SIMILAR TO and ESCAPE are written as they stand.
    if theirs.iter().all(|name| names.0.contains(name) || matches!(name.as_str(), "like_escape" | "similar_to_escape")) {
        // What has its own node, or is grammar for PostgreSQL.
        const GRAMMAR: [&str; 19] = [
            "array",
            "btrim",
            "coalesce",
            "current_date",
            "current_time",
            "current_timestamp",
            "extract",
            "greatest",
            "grouping",
            "least",
            "localtime",
            "localtimestamp",
            "nullif",
            "overlay",
            "position",
            "row",
            "substring",
            "ltrim",
            "rtrim",
        ];
        if names.0.iter().all(|name| theirs.contains(name) || GRAMMAR.contains(&name.as_str())) {
            return None;
        }
    }
    Some((format!("{theirs:?}"), format!("{:?}", names.0)))
}

/// The smallest statement with the same finding that leaving out gives.
fn reduced(sql: &str, finding: &Finding, catalogue: &Catalogue) -> (String, Finding) {
    let mut best = (pieces(sql), finding.clone());
    let until = Instant::now() + Duration::from_secs(10);
    let same = |words: &[String]| match hold(&words.concat(), catalogue) {
        Verdict::Found(again)
            if again.class == finding.class && again.about.rsplit('.').next() == finding.about.rsplit('.').next() =>
        {
            Some(again)
        }
        _ => None,
    };
    // What stands in brackets, as a whole: gone, or alone.
    let mut at = 0;
    while at < best.0.len() && Instant::now() < until {
        let Some(end) = closing(&best.0, at) else {
            at += 1;
            continue;
        };
        let gone: Vec<String> =
            best.0[..at].iter().cloned().chain(["1".to_owned()]).chain(best.0[end + 1..].iter().cloned()).collect();
        let alone = best.0[at + 1..end].to_vec();
        match (same(&alone).map(|again| (alone, again))).or_else(|| same(&gone).map(|again| (gone, again))) {
            Some(smaller) => (best, at) = (smaller, 0),
            None => at += 1,
        }
    }
    let mut size = best.0.len() / 2;
    while size > 0 && Instant::now() < until {
        let mut at = 0;
        let mut shorter = false;
        while at < best.0.len() && Instant::now() < until {
            let mut words = best.0.clone();
            words.drain(at..(at + size).min(words.len()));
            match same(&words) {
                Some(again) => {
                    best = (words, again);
                    shorter = true;
                }
                None => at += size,
            }
        }
        if !shorter || size > 1 {
            size /= 2;
        }
    }
    (best.0.concat(), best.1)
}

/// Where the bracket closes that opens here.
fn closing(words: &[String], at: usize) -> Option<usize> {
    let mut depth = 0;
    if words[at] != "(" {
        return None;
    }
    for (index, word) in words.iter().enumerate().skip(at) {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

/// What a run saw.
#[derive(Default)]
struct Seen {
    tried: usize,
    kinds: BTreeMap<String, usize>,
    nonsense: usize,
    odd: usize,
    raw_unread: BTreeMap<String, (usize, String)>,
    /// How often, and a few small examples with what is wrong.
    findings: BTreeMap<(Class, String), (usize, BTreeMap<String, String>)>,
    /// Harmless and refused, by reason.
    price: BTreeMap<String, (usize, Vec<String>)>,
    read_and_refused: usize,
    refused: BTreeMap<String, usize>,
}
impl Seen {
    fn one(&mut self, sql: &str, catalogue: &Catalogue) {
        self.tried += 1;
        match hold(sql, catalogue) {
            Verdict::Refused(refused) => {
                *self.refused.entry(reverse::reason(&refused)).or_default() += 1;
                if let Ok([raw]) = tree::parse(sql, true).as_deref() {
                    self.read_and_refused += 1;
                    if reverse::harmless(raw, catalogue) {
                        let entry = self.price.entry(reverse::reason(&refused)).or_default();
                        entry.0 += 1;
                        if entry.1.len() < 40 && sql.len() < 400 {
                            entry.1.push(sql.to_owned());
                        }
                    }
                }
            }
            Verdict::Nonsense(_) => self.nonsense += 1,
            Verdict::Held { kind, read_raw, odd } => {
                self.odd += usize::from(odd);
                *self.kinds.entry(format!("{kind:?}")).or_default() += 1;
                if let Err(why) = read_raw {
                    let about = why.split(" at or near").next().unwrap_or_default().to_owned();
                    let entry = self.raw_unread.entry(about).or_default();
                    entry.0 += 1;
                    if entry.1.is_empty() || sql.len() < entry.1.len() {
                        entry.1 = format!("{why}: {sql}");
                    }
                }
            }
            Verdict::Found(finding) => {
                let entry = self.findings.entry((finding.class, finding.about.clone())).or_default();
                entry.0 += 1;
                if matches!(entry.0, 1 | 2 | 4 | 8 | 16 | 32 | 64) {
                    let (sql, finding) = reduced(sql, &finding, catalogue);
                    entry.1.insert(sql, finding.what);
                }
            }
        }
    }
    fn held(&self) -> usize {
        self.kinds.values().sum()
    }
    fn report(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} tried; {} held {:?}, of these {} with names that are not found, {} that PostgreSQL does not read as written; {} are no \
             SQL before and after; {} are refused, of these PostgreSQL reads {}, harmless {}",
            self.tried,
            self.held(),
            self.kinds,
            self.odd,
            self.raw_unread.values().map(|(times, _)| times).sum::<usize>(),
            self.nonsense,
            self.refused.values().sum::<usize>(),
            self.read_and_refused,
            self.price.values().map(|(times, _)| times).sum::<usize>()
        );
        for ((class, about), (times, examples)) in &self.findings {
            let _ = writeln!(out, "{class:?} {times}x [{about}]");
            for (sql, what) in examples {
                let _ = writeln!(out, "    {sql:?}\n    {what}");
            }
        }
        for (about, (times, example)) in &self.raw_unread {
            let _ = writeln!(out, "let through, raw not read: {times}x {about}: {example:?}");
        }
        let mut refused: Vec<_> = self.refused.iter().collect();
        refused.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        let _ = writeln!(out, "refused: {:?}", refused.iter().take(40).collect::<Vec<_>>());
        out
    }
}

/// Tables with names and columns that want quoting, beside Odoo's.
fn strange_relations() -> Vec<Relation> {
    let relation = |name: &str, columns: &[&str]| Relation {
        name: name.to_owned(),
        kind: catalogue::Kind::Table,
        columns: columns
            .iter()
            .map(|c| catalogue::Column {
                name: (*c).to_owned(),
                type_name: if name == "x_secret" { "varchar" } else { "int4" }.into(),
            })
            .collect(),
        definition: None,
        references: Vec::new(),
        sequences: Vec::new(),
        owner: "odoo".into(),
    };
    vec![
        relation("Table \"quoted\"", &["id", "A column", "with\"quote", "dot.ted", "é", "select", "x (1)"]),
        relation("x (1)", &["id", "order", "$1", "a'b", "back\\slash"]),
        relation("select", &["id", "from", "table", "--", "/*"]),
        relation("x_secret", &["id", "password", "access_token", "name", "row", "key"]),
    ]
}
async fn world() -> (Vec<Relation>, Catalogue) {
    let client = corpus::superuser(corpus::database("19")).await;
    let mut relations = catalogue::load_relations(&client).await.unwrap();
    relations.extend(strange_relations());
    let functions = ["similarity", "strict_word_similarity", "unaccent", "word_similarity", "immutable_unaccent"];
    let catalogue = Catalogue::new(&relations, functions.map(str::to_owned));
    assert!(catalogue.withheld("x_secret").contains(&"password") && catalogue.shown("x (1)").is_some());
    (relations, catalogue)
}
/// On a stack that has room for the deep trees of debug builds.
fn roomy<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(256 << 20).spawn(run).unwrap().join().unwrap()
}

#[tokio::test]
async fn corpora_are_what_postgresql_reads() {
    let (_, catalogue) = world().await;
    let seen = roomy(move || {
        let mut seen = Seen::default();
        for file in ["good.sql", "changes.sql"] {
            for block in blocks(file) {
                seen.one(&block.sql, &catalogue);
            }
        }
        let good = seen.tried;
        for block in blocks("hostile.sql") {
            seen.one(&block.sql, &catalogue);
        }
        assert_eq!(seen.held(), good, "{}", seen.report());
        seen
    });
    println!("{}", seen.report());
    assert!(seen.findings.is_empty());
}
/// The oracle sees what it is there for: statements that nobody rewrote.
#[tokio::test]
async fn what_is_wrong_is_seen() {
    let (_, catalogue) = world().await;
    roomy(move || {
        let (mut read, mut missed) = (0, Vec::new());
        for block in blocks("hostile.sql") {
            let Ok(statements) = tree::parse(&block.sql, true) else { continue };
            let [statement] = statements.as_slice() else { continue };
            read += 1;
            if look::look(statement, &catalogue).wrong.is_empty() {
                missed.push(block.sql);
            }
        }
        // What is refused for its length or its form alone is nothing wrong in a tree.
        println!("{read} hostile statements are SQL, nothing wrong is seen in {}:\n{}", missed.len(), missed.join("\n"));
        assert!(read > 700 && missed.len() * 20 < read);
        // Spelled as the guard spells: the tables and functions alone are no excuse.
        for (sql, what) in [
            ("SELECT 1 INTO x", "into_clause"),
            ("SELECT * FROM public.res_country AS a", "* of the table"),
            ("SELECT a.\"id\" FROM public.res_country AS a FOR UPDATE", "locking_clause"),
            ("WITH x AS (DELETE FROM public.crm_lead RETURNING 1) SELECT 1", "within"),
            ("SELECT pg_catalog.pg_read_file('x')", "the function"),
            ("SELECT pg_catalog.lower(VARIADIC ARRAY['x'])", "func_variadic"),
            ("SELECT u.password FROM public.res_users AS u", "password"),
            ("SELECT u FROM public.res_users AS u", "whole row"),
            ("SELECT pg_catalog.to_jsonb(u.*) FROM public.res_users AS u", "whole row"),
            ("SELECT u.x FROM public.res_users AS u(x)", "other names"),
            ("SELECT 1 FROM public.res_users AS a NATURAL JOIN public.res_users AS b", "NATURAL"),
            ("SELECT 1 OPERATOR(public.+) 2", "the operator"),
            ("SELECT current_user", "SqlvalueFunction.op"),
            ("SELECT 1 FROM pg_catalog.pg_class AS c", "the table"),
            ("SELECT 'x'::regclass", "the type"),
            ("UPDATE public.res_users AS u SET password = 'x'", "password"),
            ("INSERT INTO public.res_users AS u VALUES (1)", "place"),
            ("EXPLAIN ANALYZE DELETE FROM public.crm_lead AS a", "ANALYZE"),
            ("SELECT (pg_catalog.json_each('{}')).x", "field"),
            ("SELECT u.row_to_json FROM public.res_users AS u", "takes the row"),
            ("SELECT x.pg_read_file FROM pg_catalog.unnest(ARRAY['x']) AS x", "calls the function"),
            ("SELECT x.regclass FROM pg_catalog.jsonb_array_elements_text('[]') AS x(y)", "calls the function"),
            ("UPDATE public.sale_order AS o SET note = 'x' RETURNING new, 1 AS new", "whole row"),
            ("SELECT x.x FROM pg_catalog.jsonb_array_elements_text('[]') AS x", "calls the function"),
        ] {
            let statement = tree::parse(sql, true).unwrap().remove(0);
            let wrong = look::look(&statement, &catalogue).wrong;
            assert!(wrong.iter().any(|w| w.contains(what)), "{what} is not seen in {sql}: {wrong:?}");
        }
    });
}
#[tokio::test]
async fn generated_statements_are_what_postgresql_reads() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (seconds, seed) = (number("OCORE_FUZZ_SECONDS", 10), number("OCORE_FUZZ_SEED", 20_261_121));
    let (relations, catalogue) = world().await;
    let seen = roomy(move || {
        let corpus: Vec<Vec<String>> = ["good.sql", "good.sql", "changes.sql", "changes.sql", "hostile.sql"]
            .iter()
            .flat_map(|file| blocks(file))
            .map(|block| pieces(&block.sql))
            .collect();
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut generator = Generator::new(seed.wrapping_mul(0xd134_2543_de82_ef95), &relations);
        let mut seen = Seen::default();
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            let sql = match random.below(8) {
                0 => mutate(&mut random, &corpus),
                1 => {
                    let made = [pieces(&generator.statement()), pieces(&generator.statement())];
                    mutate(&mut random, &made)
                }
                _ => generator.statement(),
            };
            seen.one(&sql, &catalogue);
        }
        seen
    });
    let mut report = format!("seed {seed}: {}", seen.report());
    // What it costs: the server takes these, and they would do no harm.
    let client = corpus::superuser(corpus::database("19")).await;
    let mut price: Vec<_> = seen.price.iter().collect();
    price.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
    for (reason, (times, examples)) in price.into_iter().take(60) {
        let mut taken: Vec<&String> = Vec::new();
        for sql in examples {
            client.batch_execute("BEGIN READ ONLY; SET LOCAL statement_timeout = '1s'").await.unwrap();
            if client.simple_query(&format!("EXPLAIN {sql}")).await.is_ok() {
                taken.push(sql);
            }
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        let shortest = taken.iter().min_by_key(|sql| sql.len());
        let _ = writeln!(
            report,
            "refused though harmless: {times}x {reason}; the server takes {} of {}: {shortest:?}",
            taken.len(),
            examples.len()
        );
    }
    println!("{report}");
    if let Some(path) = std::env::var_os("OCORE_FUZZ_REPORT") {
        #[expect(clippy::disallowed_methods, reason = "a test writes its report")]
        std::fs::write(path, &report).unwrap();
    }
    assert!(seen.tried > 500 && seen.held() > 50, "{}", seen.tried);
    assert!(seen.findings.is_empty(), "{} kinds of disagreement", seen.findings.len());
}
