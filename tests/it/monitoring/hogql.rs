//! A small reading of HogQL, enough to run the questions of the product on a few events in memory: it tokenizes, parses, fills in
//! the placeholders and evaluates, and refuses what it does not know, as PostHog would.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures are small here"
)]
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value, json};

type Result<T> = std::result::Result<T, String>;
type Row = BTreeMap<String, Cell>;

const DAY: i64 = 86_400_000_000;

/// One thing that happened. Properties as libraries send them.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: &'static str,
    pub person: &'static str,
    pub session: &'static str,
    /// Microseconds before now.
    pub ago: i64,
    pub properties: Value,
}
pub const MINUTE: i64 = 60_000_000;
pub const HOUR: i64 = 60 * MINUTE;

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Number(f64),
    Text(String),
    /// Microseconds since 1970.
    Time(i64),
    Interval(i64),
    Json(Value),
}
impl Cell {
    /// As PostHog gives properties out: texts, whatever they were.
    fn property(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::Null,
            Some(Value::String(s)) => Self::Text(s.clone()),
            Some(other) => Self::Text(other.to_string()),
        }
    }
    fn truth(&self) -> bool {
        matches!(self, Self::Number(n) if *n != 0.0)
    }
    fn of(b: bool) -> Self {
        Self::Number(f64::from(b))
    }
    fn key(&self) -> String {
        format!("{self:?}")
    }
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
    fn json(&self) -> Value {
        match self {
            Self::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => json!(*n as i64),
            Self::Number(n) if n.is_finite() => json!(n),
            Self::Text(s) => json!(s),
            Self::Time(t) => json!(kernel::time_text(kernel::Timestamp::from_timestamp_micros(*t).unwrap())),
            Self::Json(v) => v.clone(),
            _ => Value::Null,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Number(f64),
    Text(String),
    Sign(&'static str),
}
fn tokens(text: &str, values: &Map<String, Value>, used: &mut BTreeSet<String>) -> Result<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        if c == '\'' {
            let end = rest[1..].find('\'').ok_or("a text without an end")?;
            out.push(Token::Text(rest[1..=end].to_owned()));
            rest = &rest[end + 2..];
        } else if c == '{' {
            let end = rest.find('}').ok_or("a placeholder without an end")?;
            let name = &rest[1..end];
            let value = values.get(name).ok_or_else(|| format!("Placeholder {{{name}}} is not available in this context."))?;
            used.insert(name.to_owned());
            out.push(match value {
                Value::Number(n) => Token::Number(n.as_f64().unwrap()),
                Value::String(s) => Token::Text(s.clone()),
                other => return Err(format!("a value of another kind: {other}")),
            });
            rest = &rest[end + 1..];
        } else if c.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            out.push(Token::Number(rest[..end].parse().map_err(|_| "a number that is none")?));
            rest = &rest[end..];
        } else if word(c) {
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            const SIGNS: [&str; 11] = [">=", "<=", "(", ")", ",", ".", "=", "<", ">", "+", "-"];
            let sign = SIGNS.into_iter().find(|s| rest.starts_with(s)).ok_or_else(|| format!("what is {c:?}?"))?;
            out.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

#[derive(Debug, Clone)]
enum Expr {
    Literal(Cell),
    Field(Vec<String>),
    Call { name: String, parameter: Option<f64>, arguments: Vec<Expr> },
}
#[derive(Debug)]
struct Select {
    columns: Vec<(Expr, String)>,
    from: Source,
    wanted: Option<Expr>,
    group: Vec<String>,
    having: Option<Expr>,
    order: Vec<(Expr, bool)>,
    limit: Option<usize>,
}
#[derive(Debug)]
enum Source {
    Nothing,
    Table(String),
    Select(Box<Select>),
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}
impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }
    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }
    fn take(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.at += usize::from(there);
        there
    }
    fn sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(there);
        there
    }
    fn need(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign) { Ok(()) } else { Err(format!("{sign} expected at {:?}", self.peek())) }
    }
    fn word(&mut self) -> Result<String> {
        match self.tokens.get(self.at) {
            Some(Token::Word(w)) => {
                self.at += 1;
                Ok(w.clone())
            }
            other => Err(format!("a name expected at {other:?}")),
        }
    }
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.sign(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }
    fn select(&mut self) -> Result<Select> {
        if !self.take("SELECT") {
            return Err(format!("SELECT expected at {:?}", self.peek()));
        }
        let columns = self.list(|p| {
            let expr = p.and()?;
            let alias = if p.take("AS") {
                p.word()?
            } else {
                match &expr {
                    Expr::Field(chain) if chain.len() == 1 => chain[0].clone(),
                    other => return Err(format!("a column without a name: {other:?}")),
                }
            };
            Ok((expr, alias))
        })?;
        let from = if self.take("FROM") {
            if self.sign("(") {
                let inner = self.select()?;
                self.need(")")?;
                Source::Select(Box::new(inner))
            } else {
                Source::Table(self.word()?)
            }
        } else {
            Source::Nothing
        };
        let by = |p: &mut Self, word: &str| -> Result<bool> {
            let there = p.take(word);
            if there && !p.take("BY") { Err(format!("{word} without BY")) } else { Ok(there) }
        };
        let wanted = if self.take("WHERE") { Some(self.and()?) } else { None };
        let group = if by(self, "GROUP")? { self.list(Self::word)? } else { Vec::new() };
        let having = if self.take("HAVING") { Some(self.and()?) } else { None };
        let order = if by(self, "ORDER")? {
            self.list(|p| {
                let expr = p.and()?;
                let down = p.take("DESC");
                p.take("ASC");
                Ok((expr, down))
            })?
        } else {
            Vec::new()
        };
        let limit = if self.take("LIMIT") {
            match self.primary()? {
                Expr::Literal(Cell::Number(n)) => Some(n as usize),
                other => return Err(format!("LIMIT of {other:?}")),
            }
        } else {
            None
        };
        Ok(Select { columns, from, wanted, group, having, order, limit })
    }
    fn and(&mut self) -> Result<Expr> {
        let mut left = self.compare()?;
        while self.take("AND") {
            left = call("and", vec![left, self.compare()?]);
        }
        Ok(left)
    }
    fn compare(&mut self) -> Result<Expr> {
        let left = self.sum()?;
        for sign in [">=", "<=", "=", "<", ">"] {
            if self.sign(sign) {
                return Ok(call(sign, vec![left, self.sum()?]));
            }
        }
        Ok(left)
    }
    fn sum(&mut self) -> Result<Expr> {
        let mut left = self.primary()?;
        loop {
            let sign = if self.sign("+") {
                "+"
            } else if self.sign("-") {
                "-"
            } else {
                return Ok(left);
            };
            left = call(sign, vec![left, self.primary()?]);
        }
    }
    fn arguments(&mut self) -> Result<Vec<Expr>> {
        if self.sign(")") {
            return Ok(Vec::new());
        }
        let arguments = self.list(Self::and)?;
        self.need(")")?;
        Ok(arguments)
    }
    fn primary(&mut self) -> Result<Expr> {
        match self.tokens.get(self.at).cloned() {
            Some(Token::Number(n)) => {
                self.at += 1;
                Ok(Expr::Literal(Cell::Number(n)))
            }
            Some(Token::Text(s)) => {
                self.at += 1;
                Ok(Expr::Literal(Cell::Text(s)))
            }
            Some(Token::Sign("(")) => {
                self.at += 1;
                let inner = self.and()?;
                self.need(")")?;
                Ok(inner)
            }
            Some(Token::Word(_)) => {
                let name = self.word()?;
                if self.sign("(") {
                    let first = self.arguments()?;
                    if !self.sign("(") {
                        return Ok(Expr::Call { name, parameter: None, arguments: first });
                    }
                    let [Expr::Literal(Cell::Number(p))] = first.as_slice() else { return Err(format!("{name} of {first:?}")) };
                    return Ok(Expr::Call { name, parameter: Some(*p), arguments: self.arguments()? });
                }
                let mut chain = vec![name];
                while self.sign(".") {
                    chain.push(self.word()?);
                }
                Ok(Expr::Field(chain))
            }
            other => Err(format!("what is {other:?}?")),
        }
    }
}
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Call { name: name.to_owned(), parameter: None, arguments }
}

const AGGREGATES: [&str; 12] =
    ["count", "countIf", "uniq", "uniqIf", "avg", "avgIf", "min", "max", "argMax", "quantile", "quantileIf", "sum"];
fn aggregates(expr: &Expr) -> bool {
    match expr {
        Expr::Call { name, arguments, .. } => AGGREGATES.contains(&name.as_str()) || arguments.iter().any(aggregates),
        _ => false,
    }
}

struct World<'a> {
    now: i64,
    events: &'a [Event],
    people: &'a Value,
}

/// What PostHog answers to a question.
pub fn answer(query: &str, values: &Map<String, Value>, events: &[Event], people: &Value, now: i64) -> Result<Value> {
    let mut used = BTreeSet::new();
    let mut parser = Parser { tokens: tokens(query, values, &mut used)?, at: 0 };
    let select = parser.select()?;
    if let Some(left) = parser.peek() {
        return Err(format!("{left:?} stands after the end"));
    }
    if let Some(idle) = values.keys().find(|k| !used.contains(*k)) {
        return Err(format!("the value {idle} is not used"));
    }
    let world = World { now, events, people };
    let rows = world.select(&select)?;
    let columns: Vec<&str> = select.columns.iter().map(|(_, alias)| alias.as_str()).collect();
    let results: Vec<Vec<Value>> = rows.iter().map(|row| columns.iter().map(|c| row[*c].json()).collect()).collect();
    let types: Vec<[&str; 2]> = columns.iter().map(|c| [*c, "Nullable(String)"]).collect();
    Ok(json!({"cache_key": "cache_1", "columns": columns, "error": null, "hasMore": null, "hogql": query, "is_cached": false,
        "last_refresh": "2026-11-21T00:00:00Z", "limit": null, "offset": null, "query_status": null, "results": results,
        "timezone": "UTC", "types": types}))
}

impl World<'_> {
    fn table(&self, name: &str) -> Result<Vec<Row>> {
        match name {
            "events" => Ok(self.events.iter().map(|e| self.event(e)).collect()),
            "sessions" => Ok(self.sessions()),
            other => Err(format!("Unknown table `{other}`.")),
        }
    }
    fn event(&self, e: &Event) -> Row {
        let text = |s: &str| Cell::Text(s.to_owned());
        Row::from([
            ("event".to_owned(), text(e.name)),
            ("timestamp".to_owned(), Cell::Time(self.now - e.ago)),
            ("person_id".to_owned(), text(e.person)),
            ("distinct_id".to_owned(), Cell::Text(format!("d-{}", e.person))),
            ("$session_id".to_owned(), text(e.session)),
            ("properties".to_owned(), Cell::Json(e.properties.clone())),
            ("person".to_owned(), Cell::Json(json!({"properties": self.people[e.person]}))),
        ])
    }
    /// As PostHog makes them of events.
    fn sessions(&self) -> Vec<Row> {
        let ids: BTreeSet<&str> = self.events.iter().map(|e| e.session).filter(|s| !s.is_empty()).collect();
        let row = |id: &str| {
            let of: Vec<&Event> = self.events.iter().filter(|e| e.session == id).collect();
            let (first, last) = (of.iter().map(|e| e.ago).max().unwrap(), of.iter().map(|e| e.ago).min().unwrap());
            let named = |name: &str| of.iter().filter(|e| e.name == name).count();
            let seconds = (first - last) / 1_000_000;
            let stayed = named("$pageview") > 1 || named("$autocapture") > 0 || seconds >= 10;
            Row::from([
                ("$start_timestamp".to_owned(), Cell::Time(self.now - first)),
                ("distinct_id".to_owned(), Cell::Text(format!("d-{}", of[0].person))),
                ("$session_duration".to_owned(), Cell::Number(seconds as f64)),
                ("$pageview_count".to_owned(), Cell::Number(named("$pageview") as f64)),
                ("$is_bounce".to_owned(), if named("$pageview") == 0 { Cell::Null } else { Cell::of(!stayed) }),
            ])
        };
        ids.into_iter().map(row).collect()
    }

    fn select(&self, select: &Select) -> Result<Vec<Row>> {
        let mut rows = match &select.from {
            Source::Nothing => vec![Row::new()],
            Source::Table(name) => self.table(name)?,
            Source::Select(inner) => self.select(inner)?,
        };
        if let Some(wanted) = &select.wanted {
            let kept: Result<Vec<bool>> = rows.iter().map(|row| Ok(self.scalar(wanted, row)?.truth())).collect();
            let mut kept = kept?.into_iter();
            rows.retain(|_| kept.next().unwrap());
        }
        let grouped = !select.group.is_empty() || select.columns.iter().any(|(e, _)| aggregates(e));
        let mut out = Vec::new();
        if grouped {
            let alias = |name: &String| {
                select.columns.iter().find(|(_, a)| a == name).map(|(e, _)| e).ok_or_else(|| format!("GROUP BY {name}"))
            };
            let keys: Vec<&Expr> = select.group.iter().map(alias).collect::<Result<_>>()?;
            let mut groups: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
            if keys.is_empty() {
                groups.insert(Vec::new(), Vec::new());
            }
            for row in rows {
                let key = keys.iter().map(|k| Ok(self.scalar(k, &row)?.key())).collect::<Result<Vec<_>>>()?;
                groups.entry(key).or_default().push(row);
            }
            for group in groups.values() {
                let mut made = Row::new();
                for (expr, name) in &select.columns {
                    if !aggregates(expr) && !select.group.contains(name) {
                        return Err(format!("{name} is neither an aggregate nor a key"));
                    }
                    made.insert(name.clone(), self.grouped(expr, group)?);
                }
                out.push(made);
            }
        } else {
            for row in &rows {
                let made = select.columns.iter().map(|(expr, name)| Ok((name.clone(), self.scalar(expr, row)?)));
                out.push(made.collect::<Result<Row>>()?);
            }
        }
        if let Some(having) = &select.having {
            let kept: Result<Vec<bool>> = out.iter().map(|row| Ok(self.scalar(having, row)?.truth())).collect();
            let mut kept = kept?.into_iter();
            out.retain(|_| kept.next().unwrap());
        }
        let mut keyed = out
            .into_iter()
            .map(|row| Ok((select.order.iter().map(|(e, _)| self.scalar(e, &row)).collect::<Result<Vec<_>>>()?, row)))
            .collect::<Result<Vec<_>>>()?;
        keyed.sort_by(|(a, _), (b, _)| {
            let each = a.iter().zip(b).zip(&select.order);
            each.map(|((a, b), (_, down))| {
                let order = a.order(b).unwrap_or(Ordering::Equal);
                if *down { order.reverse() } else { order }
            })
            .find(|o| *o != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
        });
        let out: Vec<Row> = keyed.into_iter().map(|(_, row)| row).collect();
        Ok(match select.limit {
            Some(limit) => out.into_iter().take(limit).collect(),
            None => out,
        })
    }

    fn grouped(&self, expr: &Expr, rows: &[Row]) -> Result<Cell> {
        match expr {
            Expr::Call { name, parameter, arguments } if AGGREGATES.contains(&name.as_str()) => {
                self.aggregate(name, *parameter, arguments, rows)
            }
            other => rows.first().map_or(Ok(Cell::Null), |row| self.scalar(other, row)),
        }
    }
    fn aggregate(&self, name: &str, parameter: Option<f64>, arguments: &[Expr], rows: &[Row]) -> Result<Cell> {
        let (name, arguments, rows) = match name.strip_suffix("If") {
            Some(base) => {
                let (condition, rest) = arguments.split_last().ok_or("…If without a condition")?;
                let kept: Result<Vec<bool>> = rows.iter().map(|row| Ok(self.scalar(condition, row)?.truth())).collect();
                let kept = rows.iter().zip(kept?).filter(|(_, keep)| *keep).map(|(row, _)| row);
                (base, rest, kept.collect::<Vec<_>>())
            }
            None => (name, arguments, rows.iter().collect()),
        };
        let column = |at: usize| -> Result<Vec<Cell>> {
            let expr = arguments.get(at).ok_or_else(|| format!("{name} wants more arguments"))?;
            rows.iter().map(|row| self.scalar(expr, row)).collect()
        };
        let numbers = || -> Result<Vec<f64>> {
            let mut found = Vec::new();
            for cell in column(0)? {
                match cell {
                    Cell::Number(n) => found.push(n),
                    Cell::Null => {}
                    other => return Err(format!("{name} of {other:?}")),
                }
            }
            found.sort_by(f64::total_cmp);
            Ok(found)
        };
        let extreme = |order: Ordering| -> Result<Cell> {
            let known = column(0)?.into_iter().filter(|c| *c != Cell::Null);
            Ok(known.reduce(|a, b| if b.order(&a) == Some(order) { b } else { a }).unwrap_or(Cell::Null))
        };
        if (name == "quantile") != parameter.is_some() {
            return Err(format!("{name} with parameter {parameter:?}"));
        }
        Ok(match name {
            "count" if arguments.is_empty() => Cell::Number(rows.len() as f64),
            "count" => Cell::Number(column(0)?.iter().filter(|c| **c != Cell::Null).count() as f64),
            "uniq" => {
                let cells = column(0)?;
                Cell::Number(cells.iter().filter(|c| **c != Cell::Null).map(Cell::key).collect::<BTreeSet<_>>().len() as f64)
            }
            "avg" => {
                let n = numbers()?;
                Cell::Number(n.iter().sum::<f64>() / n.len() as f64)
            }
            "min" => extreme(Ordering::Less)?,
            "max" => extreme(Ordering::Greater)?,
            "argMax" => {
                let pairs = column(0)?.into_iter().zip(column(1)?).filter(|(value, _)| *value != Cell::Null);
                let best = pairs.reduce(|a, b| if b.1.order(&a.1) == Some(Ordering::Greater) { b } else { a });
                best.map_or(Cell::Null, |(value, _)| value)
            }
            // ClickHouse's quantile interpolates between its samples.
            "quantile" => {
                let n = numbers()?;
                if n.is_empty() {
                    return Ok(Cell::Null);
                }
                let at = parameter.unwrap() * (n.len() - 1) as f64;
                let (low, high) = (n[at.floor() as usize], n[at.ceil() as usize]);
                Cell::Number(low + (high - low) * at.fract())
            }
            other => return Err(format!("Unknown aggregation {other}")),
        })
    }

    fn field(chain: &[String], row: &Row) -> Result<Cell> {
        let unknown = || format!("Unable to resolve field: {}", chain.join("."));
        let cell = row.get(&chain[0]).ok_or_else(unknown)?;
        match (cell, &chain[1..]) {
            (Cell::Json(_), []) => Err(unknown()),
            (cell, []) => Ok(cell.clone()),
            (Cell::Json(value), [name]) if chain[0] == "properties" => Ok(Cell::property(value.get(name))),
            (Cell::Json(value), [middle, name]) => Ok(Cell::property(value.get(middle).and_then(|v| v.get(name)))),
            _ => Err(unknown()),
        }
    }
    fn scalar(&self, expr: &Expr, row: &Row) -> Result<Cell> {
        let (name, parameter, arguments) = match expr {
            Expr::Literal(cell) => return Ok(cell.clone()),
            Expr::Field(chain) => return Self::field(chain, row),
            Expr::Call { name, parameter, arguments } => (name.as_str(), parameter, arguments),
        };
        if parameter.is_some() || AGGREGATES.contains(&name) {
            return Err(format!("Aggregation {name} is not allowed here"));
        }
        let a = arguments.iter().map(|a| self.scalar(a, row)).collect::<Result<Vec<_>>>()?;
        Ok(match (name, a.as_slice()) {
            ("now", []) => Cell::Time(self.now),
            ("toIntervalDay", [Cell::Number(n)]) => Cell::Interval(*n as i64 * DAY),
            ("toIntervalMinute", [Cell::Number(n)]) => Cell::Interval(*n as i64 * MINUTE),
            ("+", [Cell::Time(t), Cell::Interval(i)]) => Cell::Time(t + i),
            ("-", [Cell::Time(t), Cell::Interval(i)]) => Cell::Time(t - i),
            ("and", [a, b]) => Cell::of(a.truth() && b.truth()),
            (">=" | "<=" | "=" | "<" | ">", [a, b]) => match a.order(b) {
                None => Cell::Null,
                Some(order) => Cell::of(match name {
                    ">=" => order.is_ge(),
                    "<=" => order.is_le(),
                    "=" => order.is_eq(),
                    "<" => order.is_lt(),
                    _ => order.is_gt(),
                }),
            },
            ("notEmpty" | "toString" | "toFloat" | "toStartOfDay" | "toStartOfHour", [Cell::Null])
            | ("extract", [Cell::Null, _]) => Cell::Null,
            ("notEmpty", [Cell::Text(s)]) => Cell::of(!s.is_empty()),
            ("isNotNull", [a]) => Cell::of(*a != Cell::Null),
            ("coalesce", all) => all.iter().find(|c| **c != Cell::Null).cloned().unwrap_or(Cell::Null),
            ("nullIf", [a, b]) => {
                if a == b {
                    Cell::Null
                } else {
                    a.clone()
                }
            }
            ("multiIf", all) if all.len() % 2 == 1 => {
                let pairs = all.chunks_exact(2);
                let last = pairs.remainder()[0].clone();
                pairs.into_iter().find(|p| p[0].truth()).map_or(last, |p| p[1].clone())
            }
            ("toString", [Cell::Time(t)]) => {
                let time = kernel::Timestamp::from_timestamp_micros(*t).unwrap();
                Cell::Text(time.format("%Y-%m-%d %H:%M:%S").to_string())
            }
            ("toString", [Cell::Number(n)]) => Cell::Text(n.to_string()),
            ("toString", [Cell::Text(s)]) => Cell::Text(s.clone()),
            // What is no number becomes null.
            ("toFloat", [Cell::Text(s)]) => s.parse().map_or(Cell::Null, Cell::Number),
            ("toFloat", [Cell::Number(n)]) => Cell::Number(*n),
            ("toStartOfDay", [Cell::Time(t)]) => Cell::Time(t - t.rem_euclid(DAY)),
            ("toStartOfHour", [Cell::Time(t)]) => Cell::Time(t - t.rem_euclid(HOUR)),
            ("extract", [Cell::Text(text), Cell::Text(pattern)]) => Cell::Text(extract(text, pattern)?),
            _ => return Err(format!("Unsupported function call '{name}(...)' with {a:?}")),
        })
    }
}

/// The two patterns that there are, by hand.
fn extract(text: &str, pattern: &str) -> Result<String> {
    let until = |s: &str, inside: fn(char) -> bool| s[..s.find(|c| !inside(c)).unwrap_or(s.len())].to_owned();
    match pattern {
        "^/odoo/([^/?#]+)" => Ok(text.strip_prefix("/odoo/").map(|rest| until(rest, |c| !"/?#".contains(c))).unwrap_or_default()),
        "#(?:[^#]*&)?model=([a-z0-9_]+)" => {
            let Some((_, fragment)) = text.rsplit_once('#') else { return Ok(String::new()) };
            let model = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let named = fragment.split('&').filter_map(|part| part.strip_prefix("model="));
            Ok(named.map(|m| until(m, model)).rfind(|m| !m.is_empty()).unwrap_or_default())
        }
        other => Err(format!("Cannot compile regexp {other:?}")),
    }
}
