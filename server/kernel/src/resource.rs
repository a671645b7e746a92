//! Resources: what an organization allows on a model, which of its fields are seen, and which of its records.
//!
//! A [`ModelRule`] is what people write; [`Rules`] is what a call works under: every rule that applies, combined so that the most
//! restrictive wins. Nothing here asks Odoo. A [`Filter`] is a domain that was read as data (JSON or Python literals) and is never
//! evaluated, but for the one question whether written values decide that a record still matches it.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Number, Value};

use crate::{Code, InstanceId, OrgId, Refusal, ResourceId, Timestamp, access::words, name, refusal};

/// Conditions of one filter.
pub const MOST_LEAVES: usize = 50;
/// Characters of a filter as it is written.
const LONGEST: usize = 10_000;
/// Lists within lists.
const DEEPEST: usize = 16;
/// Values that one condition compares with.
const MOST_VALUES: usize = 1_000;
/// Fields of one policy, models of one key's rules.
pub const MOST_NAMES: usize = 1_000;

words! {
    /// What becomes of a model for which an organization has no resource.
    WithoutResource, "setting for models without a resource":
    FollowOdoo = "follow",
    Refuse = "refuse",
}

// ---- fields

/// Which fields of a model are seen. `id` always is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldPolicy {
    #[default]
    All,
    Allow(BTreeSet<String>),
    Deny(BTreeSet<String>),
}
impl FieldPolicy {
    pub fn permits(&self, field: &str) -> bool {
        match self {
            Self::All => true,
            Self::Allow(set) => field == "id" || set.contains(field),
            Self::Deny(set) => field == "id" || !set.contains(field),
        }
    }
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
    /// Whether the field is allowed by its name, and not just not denied.
    pub fn names(&self, field: &str) -> bool {
        matches!(self, Self::Allow(set) if set.contains(field))
    }
    /// What both permit.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, policy) | (policy, Self::All) => policy.clone(),
            (Self::Allow(a), Self::Allow(b)) => Self::Allow(a & b),
            (Self::Deny(a), Self::Deny(b)) => Self::Deny(a | b),
            (Self::Allow(allowed), Self::Deny(denied)) | (Self::Deny(denied), Self::Allow(allowed)) => {
                Self::Allow(allowed - denied)
            }
        }
    }
    /// Refuses names that are none, and lists that are too long.
    ///
    /// # Errors
    /// With the name that is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        let (Self::Allow(names) | Self::Deny(names)) = self else { return Ok(()) };
        if names.len() > MOST_NAMES {
            return Err(refusal(Code::InvalidArgument, format!("A field policy names at most {MOST_NAMES} fields.")));
        }
        names.iter().try_for_each(|field| field_name(field))
    }
}

fn field_name(field: &str) -> Result<(), Refusal> {
    name::identifier("field", field)?;
    if field.contains('.') {
        return Err(refusal(Code::InvalidArgument, format!("{field} is a path; a field policy names the model's own fields."))
            .next("Make a resource for the model that the path leads to."));
    }
    Ok(())
}

// ---- filters

/// A domain that an administrator wrote, in Odoo's prefix notation.
#[derive(Clone, PartialEq)]
pub struct Filter {
    terms: Vec<Value>,
    expression: Expression,
}
// The numbers in it are finite: equality is reflexive.
impl Eq for Filter {}
impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({self})")
    }
}
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&self.terms).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}
impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.terms.serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Value::deserialize(deserializer)?).map_err(|why| D::Error::custom(why.message))
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub path: String,
    pub operator: String,
    pub value: Value,
}
impl Leaf {
    /// The model's own field at which the path starts.
    pub fn field(&self) -> &str {
        self.path.split('.').next().unwrap_or(&self.path)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    And(Vec<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Leaf(Leaf),
    Constant(bool),
}
impl Expression {
    /// Kleene's logic: what is unknown stays unknown unless the rest decides.
    fn decide(&self, leaf: &impl Fn(&Leaf) -> Option<bool>) -> Option<bool> {
        match self {
            Self::And(parts) => {
                let mut whole = Some(true);
                for part in parts {
                    match part.decide(leaf) {
                        Some(false) => return Some(false),
                        None => whole = None,
                        Some(true) => {}
                    }
                }
                whole
            }
            Self::Or(a, b) => match (a.decide(leaf), b.decide(leaf)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.decide(leaf).map(|b| !b),
            Self::Leaf(l) => leaf(l),
            Self::Constant(b) => Some(*b),
        }
    }
    fn leaves<'a>(&'a self, out: &mut Vec<&'a Leaf>) {
        match self {
            Self::And(parts) => parts.iter().for_each(|p| p.leaves(out)),
            Self::Or(a, b) => {
                a.leaves(out);
                b.leaves(out);
            }
            Self::Not(inner) => inner.leaves(out),
            Self::Leaf(leaf) => out.push(leaf),
            Self::Constant(_) => {}
        }
    }
}

/// Of Odoo's operators those that a filter may have. `any` and `=?` are left out: the one nests, the other is true where nothing is
/// compared with.
const OPERATORS: [&str; 18] = [
    "=",
    "!=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "like",
    "ilike",
    "=like",
    "=ilike",
    "not like",
    "not ilike",
    "in",
    "not in",
    "child_of",
    "parent_of",
    "==",
];
const FILTER_HELP: &str = "Write a domain in JSON or Python literals, like [[\"user_id\", \"=\", 7]] or [('state', 'in', ['sale', 'done'])]. \
     Nothing is evaluated: give ids instead of names such as user or uid.";

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message).next(FILTER_HELP)
}

impl Filter {
    /// Reads a domain as JSON or as Python literals. Nothing is evaluated.
    ///
    /// # Errors
    /// What is wrong with it, and how a filter is written.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > LONGEST {
            return Err(wrong(format!("The filter is longer than {LONGEST} characters.")));
        }
        match serde_json::from_str(text) {
            Ok(value) => Self::of(value),
            Err(_) => Self::of(Literals::read(text)?),
        }
    }

    /// The same from a value that was read already.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn of(value: Value) -> Result<Self, Refusal> {
        let Value::Array(mut terms) = value else { return Err(wrong("A filter is a list of conditions.")) };
        // One condition alone, without the list around it.
        if let [Value::String(path), Value::String(operator), _] = terms.as_slice()
            && !matches!(path.as_str(), "&" | "|" | "!")
            && !matches!(operator.as_str(), "&" | "|" | "!")
        {
            terms = vec![Value::Array(terms)];
        }
        if terms.is_empty() {
            return Err(wrong("An empty filter hides nothing.").next("Leave the filter out."));
        }
        if terms.len() > 3 * MOST_LEAVES {
            return Err(wrong(format!("A filter has at most {MOST_LEAVES} conditions.")));
        }
        for term in &mut terms {
            if let Value::Array(parts) = term
                && let Some(value @ Value::Null) = parts.get_mut(2)
            {
                *value = Value::Bool(false);
            }
        }
        let mut at = 0;
        let mut parts = Vec::new();
        while at < terms.len() {
            parts.push(expression(&terms, &mut at, 0)?);
        }
        let filter = Self { terms, expression: Expression::And(parts) };
        if filter.leaves().len() > MOST_LEAVES {
            return Err(wrong(format!("A filter has at most {MOST_LEAVES} conditions.")));
        }
        Ok(filter)
    }

    /// The domain, for Odoo.
    pub fn terms(&self) -> &[Value] {
        &self.terms
    }
    pub fn leaves(&self) -> Vec<&Leaf> {
        let mut out = Vec::new();
        self.expression.leaves(&mut out);
        out
    }

    /// The domain of which both hold. None where it would have more conditions than a filter may.
    fn and(&self, other: &Self) -> Option<Self> {
        // The same whichever comes first.
        let (first, second) = if self.to_string() <= other.to_string() { (self, other) } else { (other, self) };
        if first.implies(second) {
            return Some(first.clone());
        }
        if second.implies(first) {
            return Some(second.clone());
        }
        // Conditions that stand beside each other must all hold.
        Self::of(Value::Array(first.terms.iter().chain(&second.terms).cloned().collect())).ok()
    }
    /// Whether each condition of `other` that must hold stands in this one too. False says nothing.
    fn implies(&self, other: &Self) -> bool {
        let (mut own, mut wanted) = (Vec::new(), Vec::new());
        conjuncts_of(&self.expression, &mut own);
        conjuncts_of(&other.expression, &mut wanted);
        wanted.iter().all(|part| own.contains(part))
    }

    /// Whether all of its conditions must hold, none negated.
    pub fn is_conjunction(&self) -> bool {
        let mut conjuncts = Vec::new();
        conjuncts_of(&self.expression, &mut conjuncts);
        conjuncts.iter().all(|c| matches!(c, Expression::Leaf(_) | Expression::Constant(_)))
    }
    /// Whether a record that is made matches, as far as the conditions' truth is known.
    pub fn decide(&self, leaf: &impl Fn(&Leaf) -> Option<bool>) -> Option<bool> {
        self.expression.decide(leaf)
    }
    /// The same for a record that matches now and is changed. Of the conditions that all must hold, those that nothing touches hold
    /// already; within "or" and "not", what is not touched is unknown.
    pub fn still(&self, touched: &impl Fn(&Leaf) -> bool, leaf: &impl Fn(&Leaf) -> Option<bool>) -> Option<bool> {
        let mut conjuncts = Vec::new();
        conjuncts_of(&self.expression, &mut conjuncts);
        let mut whole = Some(true);
        for part in conjuncts {
            let mut leaves = Vec::new();
            part.leaves(&mut leaves);
            if !leaves.iter().any(|l| touched(l)) {
                continue;
            }
            match part.decide(&|l: &Leaf| if touched(l) { leaf(l) } else { None }) {
                Some(false) => return Some(false),
                None => whole = None,
                Some(true) => {}
            }
        }
        whole
    }
}

fn conjuncts_of<'a>(expression: &'a Expression, out: &mut Vec<&'a Expression>) {
    match expression {
        Expression::And(parts) => parts.iter().for_each(|p| conjuncts_of(p, out)),
        other => out.push(other),
    }
}

/// One expression of a domain, which starts at `at`.
fn expression(terms: &[Value], at: &mut usize, depth: usize) -> Result<Expression, Refusal> {
    if depth > 3 * MOST_LEAVES {
        return Err(wrong("The filter nests too deep."));
    }
    let missing = || wrong("\"&\" and \"|\" stand before two conditions each, \"!\" before one; some are missing at the end.");
    let term = terms.get(*at).ok_or_else(missing)?;
    *at += 1;
    match term {
        Value::String(op) if op == "&" => {
            let (a, b) = (expression(terms, at, depth + 1)?, expression(terms, at, depth + 1)?);
            Ok(Expression::And(vec![a, b]))
        }
        Value::String(op) if op == "|" => {
            let (a, b) = (expression(terms, at, depth + 1)?, expression(terms, at, depth + 1)?);
            Ok(Expression::Or(Box::new(a), Box::new(b)))
        }
        Value::String(op) if op == "!" => Ok(Expression::Not(Box::new(expression(terms, at, depth + 1)?))),
        Value::Array(parts) => condition(parts),
        other => {
            let shown: String = other.to_string().chars().take(60).collect();
            Err(wrong(format!("{shown} is neither a condition nor one of \"&\", \"|\", \"!\".")))
        }
    }
}

fn condition(parts: &[Value]) -> Result<Expression, Refusal> {
    let [path, operator, value] = parts else {
        return Err(wrong(format!("A condition has three parts, field, operator and value; this one has {}.", parts.len())));
    };
    if let (Some(left), Some("="), Some(right)) = (path.as_i64(), operator.as_str(), value.as_i64()) {
        return match (left, right) {
            (1, 1) => Ok(Expression::Constant(true)),
            (0, 1) => Ok(Expression::Constant(false)),
            _ => Err(wrong("Of conditions without a field there are (1, '=', 1) and (0, '=', 1).")),
        };
    }
    let (Some(path), Some(operator)) = (path.as_str(), operator.as_str()) else {
        return Err(wrong("Field and operator of a condition are texts."));
    };
    name::identifier("filter", path)?;
    if path.split('.').any(str::is_empty) || path.split('.').count() > 8 {
        return Err(wrong(format!("{path:?} is no path of fields.")));
    }
    if !OPERATORS.contains(&operator) {
        let shown: String = operator.chars().take(30).collect();
        return Err(wrong(format!("{shown:?} is no operator of a filter; there are {}.", OPERATORS.join(", "))));
    }
    let plain = |v: &Value| v.is_string() || v.is_boolean() || v.is_i64() || v.is_f64();
    let fits = match (operator, value) {
        ("in" | "not in", Value::Array(list)) => list.len() <= MOST_VALUES && list.iter().all(plain),
        ("in" | "not in", _) => false,
        // Names would be searched for.
        ("child_of" | "parent_of", Value::Array(list)) => list.len() <= MOST_VALUES && list.iter().all(Value::is_i64),
        ("child_of" | "parent_of", v) => v.is_i64(),
        (op, v) if op.contains("like") => v.is_string(),
        (_, v) => plain(v),
    };
    if !fits {
        return Err(wrong(format!("{path} {operator} cannot be compared with that value.")));
    }
    Ok(Expression::Leaf(Leaf { path: path.to_owned(), operator: operator.to_owned(), value: value.clone() }))
}

/// What a field's type means for comparing a written value with a filter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparable {
    /// A short text or a selection's key, stored as it is written.
    Text,
    /// A whole or other number.
    Number,
    Flag,
    /// A day, `2026-01-31`.
    Day,
    /// A record's id, or nothing.
    Link,
    /// Anything else: Odoo may store something other than what is written.
    Other,
}

/// Whether a field that is written with this value meets the condition; none where only Odoo can tell. What it says holds for every
/// version from 14 on: wherever those differ, or a value could be stored otherwise than it was written, it does not decide.
pub fn holds(leaf: &Leaf, kind: Comparable, written: &Value) -> Option<bool> {
    if leaf.path != leaf.field() {
        return None;
    }
    let written = Plain::of(kind, written)?;
    match leaf.operator.as_str() {
        "=" | "==" => Some(written == Plain::of(kind, &leaf.value)?),
        "!=" | "<>" => Some(written != Plain::of(kind, &leaf.value)?),
        op @ ("in" | "not in") => {
            let list = leaf.value.as_array()?;
            let values: Vec<Plain<'_>> = list.iter().map(|v| Plain::of(kind, v)).collect::<Option<_>>()?;
            Some(values.contains(&written) == (op == "in"))
        }
        op @ ("<" | ">" | "<=" | ">=") => {
            let order = match (&written, &Plain::of(kind, &leaf.value)?) {
                (Plain::Number(a), Plain::Number(b)) => a.cmp(b),
                (Plain::Day(a), Plain::Day(b)) => a.cmp(b),
                _ => return None,
            };
            Some(match op {
                "<" => order.is_lt(),
                ">" => order.is_gt(),
                "<=" => order.is_le(),
                _ => order.is_ge(),
            })
        }
        op @ ("like" | "ilike" | "=like" | "=ilike" | "not like" | "not ilike") => {
            let (Plain::Text(text), Plain::Text(wanted)) = (written, Plain::of(kind, &leaf.value)?) else { return None };
            // Accents may be taken off, and %, _ and \ are patterns.
            let simple = |t: &str| t.is_ascii() && !t.contains(['%', '_', '\\']);
            if !simple(wanted) || !text.is_ascii() {
                return None;
            }
            let (mut text, mut wanted) = (text.to_owned(), wanted.to_owned());
            if op.contains("ilike") {
                text.make_ascii_lowercase();
                wanted.make_ascii_lowercase();
            }
            let found = if op.starts_with('=') { text == wanted } else { text.contains(&wanted) };
            Some(found != op.starts_with("not"))
        }
        _ => None,
    }
}

/// A value that is stored as it is written.
#[derive(Debug, PartialEq)]
enum Plain<'a> {
    Nothing,
    Text(&'a str),
    Number(i64),
    Flag(bool),
    Day(&'a str),
    Link(i64),
}
impl<'a> Plain<'a> {
    fn of(kind: Comparable, value: &'a Value) -> Option<Self> {
        match (kind, value) {
            (Comparable::Flag, Value::Bool(b)) => Some(Self::Flag(*b)),
            (Comparable::Text | Comparable::Day | Comparable::Link, Value::Null | Value::Bool(false)) => Some(Self::Nothing),
            // Space at the ends may be cut off, and an empty text may mean nothing.
            (Comparable::Text, Value::String(s)) if !s.is_empty() && s.trim() == s && s.len() <= 64 => Some(Self::Text(s)),
            // Others may be rounded; so large ones may not be kept exactly.
            (Comparable::Number, Value::Number(n)) => n.as_i64().filter(|n| n.abs() <= 1 << 31).map(Self::Number),
            (Comparable::Day, Value::String(s)) if is_day(s) => Some(Self::Day(s)),
            (Comparable::Link, Value::Number(n)) => n.as_i64().filter(|n| *n > 0).map(Self::Link),
            _ => None,
        }
    }
}
fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<chrono::NaiveDate>().is_ok_and(|day| day.format("%Y-%m-%d").to_string() == text)
}

/// Python's literals: lists, tuples, texts, numbers, True, False, None. Names are errors.
struct Literals<'a> {
    text: &'a [u8],
    at: usize,
}
impl<'a> Literals<'a> {
    fn read(text: &'a str) -> Result<Value, Refusal> {
        let mut reader = Self { text: text.as_bytes(), at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at < reader.text.len() {
            return Err(reader.unexpected());
        }
        Ok(value)
    }
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
    fn space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }
    fn unexpected(&self) -> Refusal {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return wrong("The filter ends too early.");
        }
        let shown: String = String::from_utf8_lossy(rest).chars().take(20).collect();
        wrong(format!("The filter cannot be read from {shown:?} on."))
    }
    fn value(&mut self, depth: usize) -> Result<Value, Refusal> {
        if depth > DEEPEST {
            return Err(wrong("The filter nests too deep."));
        }
        self.space();
        match self.peek() {
            Some(b'[') => self.list(b']', depth).map(|(items, _)| Value::Array(items)),
            Some(b'(') => {
                let (mut items, commas) = self.list(b')', depth)?;
                match (items.len(), commas, items.pop()) {
                    // As in Python: what stands alone in parentheses is itself.
                    (1, 0, Some(only)) => Ok(only),
                    (_, _, Some(last)) => {
                        items.push(last);
                        Ok(Value::Array(items))
                    }
                    (_, _, None) => Ok(Value::Array(items)),
                }
            }
            Some(quote @ (b'\'' | b'"')) => self.string(quote).map(Value::String),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9') => self.number(),
            Some(b) if b.is_ascii_alphabetic() || b == b'_' => self.word(),
            _ => Err(self.unexpected()),
        }
    }
    /// The items up to the closing bracket, and how many commas there were.
    fn list(&mut self, close: u8, depth: usize) -> Result<(Vec<Value>, usize), Refusal> {
        self.at += 1;
        let (mut items, mut commas) = (Vec::new(), 0);
        loop {
            self.space();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok((items, commas));
            }
            if items.len() > commas {
                return Err(self.unexpected());
            }
            items.push(self.value(depth + 1)?);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                commas += 1;
            }
        }
    }
    fn word(&mut self) -> Result<Value, Refusal> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.') {
            self.at += 1;
        }
        let word = self.text.get(from..self.at).unwrap_or_default();
        match word {
            b"True" => Ok(Value::Bool(true)),
            // Odoo's word for nothing is False.
            b"False" | b"None" => Ok(Value::Bool(false)),
            _ => {
                let shown: String = String::from_utf8_lossy(word).chars().take(40).collect();
                Err(wrong(format!("{shown} is a name, and names are not looked up in a filter.")))
            }
        }
    }
    fn number(&mut self) -> Result<Value, Refusal> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = std::str::from_utf8(self.text.get(from..self.at).unwrap_or_default()).unwrap_or_default();
        let no_number = || wrong(format!("{text} is no number that a filter compares with."));
        if let Ok(whole) = text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
            return Ok(whole.into());
        }
        if !text.contains(['.', 'e', 'E']) {
            return Err(no_number());
        }
        let number = text.parse::<f64>().ok().and_then(Number::from_f64).ok_or_else(no_number)?;
        Ok(Value::Number(number))
    }
    fn string(&mut self, quote: u8) -> Result<String, Refusal> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let b = self.peek().ok_or_else(|| self.unexpected())?;
            self.at += 1;
            match b {
                b if b == quote => break,
                b'\n' => return Err(wrong("A text in the filter goes over the end of its line.")),
                b'\\' => {
                    let escaped = self.peek().ok_or_else(|| self.unexpected())?;
                    self.at += 1;
                    match escaped {
                        b'n' => bytes.push(b'\n'),
                        b't' => bytes.push(b'\t'),
                        b'\\' | b'\'' | b'"' => bytes.push(escaped),
                        b'x' => self.code(2, &mut bytes)?,
                        b'u' => self.code(4, &mut bytes)?,
                        _ => return Err(wrong("A text in the filter has an escape that is not known.")),
                    }
                }
                b => bytes.push(b),
            }
        }
        // Texts beside each other would be one in Python.
        self.space();
        if matches!(self.peek(), Some(b'\'' | b'"')) {
            return Err(self.unexpected());
        }
        String::from_utf8(bytes).map_err(|_| wrong("A text in the filter is no UTF-8."))
    }
    fn code(&mut self, digits: usize, into: &mut Vec<u8>) -> Result<(), Refusal> {
        let hex = self.text.get(self.at..self.at + digits).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let found = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32)
            .ok_or_else(|| wrong("A text in the filter has an escape that is not known."))?;
        self.at += digits;
        into.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}

// ---- rules

/// What is allowed on a model.
#[expect(clippy::struct_excessive_bools, reason = "each is a box that people tick")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRule {
    /// Stands above the next four: nothing but reading.
    pub read_only: bool,
    pub can_read: bool,
    pub can_create: bool,
    pub can_write: bool,
    pub can_delete: bool,
    pub fields: FieldPolicy,
    pub filter: Option<Filter>,
}
impl ModelRule {
    /// Everything that the credential may do.
    pub fn open() -> Self {
        Self {
            read_only: false,
            can_read: true,
            can_create: true,
            can_write: true,
            can_delete: true,
            fields: FieldPolicy::All,
            filter: None,
        }
    }
    /// Nothing at all.
    fn closed() -> Self {
        Self {
            read_only: true,
            can_read: false,
            can_create: false,
            can_write: false,
            can_delete: false,
            fields: FieldPolicy::Allow(BTreeSet::new()),
            filter: None,
        }
    }
    /// What both allow, or less where one rule cannot say it.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        // Every member is named, so that a new one is decided here.
        let Self { read_only, can_read, can_create, can_write, can_delete, fields, filter } = self;
        let filter = match (filter, &other.filter) {
            (None, one) | (one, None) => one.clone(),
            (Some(a), Some(b)) => match a.and(b) {
                Some(both) => Some(both),
                None => return Self::closed(),
            },
        };
        Self {
            read_only: *read_only || other.read_only,
            can_read: *can_read && other.can_read,
            can_create: *can_create && other.can_create,
            can_write: *can_write && other.can_write,
            can_delete: *can_delete && other.can_delete,
            // A denied field hides what is computed from it, and a list that names this does not bring it back.
            fields: if hides_more(fields, &other.fields) || hides_more(&other.fields, fields) {
                FieldPolicy::Allow(BTreeSet::new())
            } else {
                fields.and(&other.fields)
            },
            filter,
        }
    }
    /// Whether it allows nothing beyond `other`. What cannot be told to be within is not.
    pub fn within(&self, other: &Self) -> bool {
        let Self { read_only, can_read, can_create, can_write, can_delete, fields, filter } = self;
        if !can_read && (*read_only || !(*can_create || *can_write || *can_delete)) {
            return true;
        }
        let writes = |own: bool, theirs: bool| !own || *read_only || (theirs && !other.read_only);
        (!can_read || other.can_read)
            && writes(*can_create, other.can_create)
            && writes(*can_write, other.can_write)
            && writes(*can_delete, other.can_delete)
            && (!can_read || fields_within(fields, &other.fields))
            && match (filter, &other.filter) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(own), Some(theirs)) => own.implies(theirs),
            }
    }
}

/// Whether the first denies fields from which those may be computed that the second names.
fn hides_more(first: &FieldPolicy, second: &FieldPolicy) -> bool {
    matches!((first, second), (FieldPolicy::Deny(denied), FieldPolicy::Allow(named)) if !denied.is_empty() && !named.is_empty())
}
fn fields_within(own: &FieldPolicy, theirs: &FieldPolicy) -> bool {
    match (own, theirs) {
        (_, FieldPolicy::All) => true,
        (FieldPolicy::Allow(a), FieldPolicy::Allow(b)) => a.is_subset(b),
        (FieldPolicy::Allow(a), FieldPolicy::Deny(b)) => a.is_empty() || b.is_empty(),
        (FieldPolicy::Deny(a), FieldPolicy::Deny(b)) => b.is_subset(a),
        (FieldPolicy::All, FieldPolicy::Deny(b)) => b.is_empty(),
        (FieldPolicy::All | FieldPolicy::Deny(_), FieldPolicy::Allow(_)) => false,
    }
}

/// A key's own rules, each model under both: of a model that only one names, that one's.
pub(crate) fn both_rules(a: &BTreeMap<String, ModelRule>, b: &BTreeMap<String, ModelRule>) -> BTreeMap<String, ModelRule> {
    let mut both = a.clone();
    for (model, rule) in b {
        let met = a.get(model).map_or_else(|| rule.clone(), |own| own.and(rule));
        both.insert(model.clone(), met);
    }
    both
}
/// Whether `a` allows nothing beyond `b`.
pub(crate) fn rules_within(a: &BTreeMap<String, ModelRule>, b: &BTreeMap<String, ModelRule>) -> bool {
    let open = ModelRule::open();
    b.iter().all(|(model, theirs)| a.get(model).unwrap_or(&open).within(theirs))
}

/// A model's rule in an organization: on all instances or on one, in all companies or in one.
#[derive(Debug, Clone)]
pub struct Resource {
    pub id: ResourceId,
    pub org: OrgId,
    pub instance: Option<InstanceId>,
    /// An Odoo company's id.
    pub company: Option<i64>,
    pub model: String,
    pub rule: ModelRule,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// All that applies to one model, combined.
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    pub read: bool,
    pub create: bool,
    pub write: bool,
    pub delete: bool,
    pub fields: FieldPolicy,
    /// What any deny list names, which an allow list elsewhere does not bring back: what is computed from it is hidden even where that
    /// is allowed by name.
    pub denied: BTreeSet<String>,
    pub filters: Vec<Filter>,
    /// Whether it comes from a resource (and not from a key's own rules alone).
    listed: bool,
}
impl Rule {
    fn unlimited() -> Self {
        Self {
            read: true,
            create: true,
            write: true,
            delete: true,
            fields: FieldPolicy::All,
            denied: BTreeSet::new(),
            filters: Vec::new(),
            listed: false,
        }
    }
    fn narrow(&mut self, by: &ModelRule) {
        self.read &= by.can_read;
        self.create &= by.can_create && !by.read_only;
        self.write &= by.can_write && !by.read_only;
        self.delete &= by.can_delete && !by.read_only;
        self.fields = self.fields.and(&by.fields);
        // What may not be read is not told by what is computed from it either.
        if !by.can_read {
            self.fields = FieldPolicy::Allow(BTreeSet::new());
        }
        if let FieldPolicy::Deny(denied) = &by.fields {
            self.denied.extend(denied.iter().cloned());
        }
        if let Some(filter) = &by.filter
            && !self.filters.contains(filter)
        {
            self.filters.push(filter.clone());
        }
    }
    /// Whether the model can be used as if there were no rule.
    pub fn is_open(&self) -> bool {
        self.read && self.create && self.write && self.delete && !self.hides()
    }
    /// Whether fields or records are hidden.
    pub fn hides(&self) -> bool {
        !self.fields.is_all() || !self.filters.is_empty()
    }
    pub fn filtered(&self) -> bool {
        !self.filters.is_empty()
    }
}

/// What a call works under, beside the key's own limits. Where nothing applies there is none at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    models: BTreeMap<String, Rule>,
    /// Models without a resource are refused.
    refuse_others: bool,
    hides: bool,
    text: Arc<str>,
}
impl Rules {
    /// The resources that apply and the key's own rules. None when nothing is limited by them.
    pub fn combine<'a>(
        resources: impl IntoIterator<Item = (&'a str, &'a ModelRule)>,
        own: &BTreeMap<String, ModelRule>,
        others: WithoutResource,
    ) -> Option<Self> {
        let mut models: BTreeMap<String, Rule> = BTreeMap::new();
        for (model, rule) in resources {
            let combined = models.entry(model.to_owned()).or_insert_with(Rule::unlimited);
            combined.listed = true;
            combined.narrow(rule);
        }
        for (model, rule) in own {
            models.entry(model.clone()).or_insert_with(Rule::unlimited).narrow(rule);
        }
        let refuse_others = others == WithoutResource::Refuse;
        if models.is_empty() && !refuse_others {
            return None;
        }
        let hides = models.values().any(Rule::hides);
        // Without it two policies could share what is cached for one of them.
        let text = serde_json::to_string(&models).ok().map(Into::into);
        Some(match text {
            Some(text) => Self { models, refuse_others, hides, text },
            None => Self { models: BTreeMap::new(), refuse_others: true, hides: true, text: "".into() },
        })
    }
    pub fn of(&self, model: &str) -> Option<&Rule> {
        self.models.get(model)
    }
    /// Those with a rule, by name.
    pub fn models(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.models.iter().map(|(model, rule)| (model.as_str(), rule))
    }
    /// Whether this model is refused because no resource is about it.
    pub fn refuses(&self, model: &str) -> bool {
        self.refuse_others && !self.of(model).is_some_and(|rule| rule.listed)
    }
    /// Whether fields or records of any model are hidden.
    pub fn hides(&self) -> bool {
        self.hides
    }
    /// The same for the same rules: what is cached under it is shared by those alone.
    pub fn fingerprint(&self) -> &Arc<str> {
        &self.text
    }
}

/// Refuses rules that could not be kept: names that are none.
///
/// # Errors
/// With the name that is wrong.
pub fn check_rules(rules: &BTreeMap<String, ModelRule>) -> Result<(), Refusal> {
    if rules.len() > MOST_NAMES {
        return Err(refusal(Code::InvalidArgument, format!("A key has rules for at most {MOST_NAMES} models.")));
    }
    for (model, rule) in rules {
        name::identifier("model", model)?;
        rule.fields.check()?;
    }
    Ok(())
}

/// The values of a write by field, for [`Filter::still`] and [`Filter::decide`].
pub fn truth<'a>(values: &'a Map<String, Value>, kind: impl Fn(&str) -> Comparable + 'a) -> impl Fn(&Leaf) -> Option<bool> + 'a {
    move |leaf| holds(leaf, kind(leaf.field()), values.get(leaf.field())?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    #[test]
    fn domains_are_read_as_json_and_as_python() {
        for (text, terms) in [
            (r#"[["a", "=", 1]]"#, json!([["a", "=", 1]])),
            ("[('a', '=', 1)]", json!([["a", "=", 1]])),
            (
                "[('a','=',True), ('b','=',False), ('c','!=',None)]",
                json!([["a", "=", true], ["b", "=", false], ["c", "!=", false]]),
            ),
            (r#"[["a", "=", null]]"#, json!([["a", "=", false]])),
            ("['|', ('a', 'in', (1, 2)), ('b', 'in', [3,])]", json!(["|", ["a", "in", [1, 2]], ["b", "in", [3]]])),
            ("[(\"it's\".replace, '=', 1)]", json!(null)),
            ("[('a', '=', 'it\\'s \\u00e9\\x41')]", json!([["a", "=", "it's éA"]])),
            ("[('a', '>', -1.5)]", json!([["a", ">", -1.5]])),
            ("('a', '=', 1)", json!([["a", "=", 1]])),
            ("[(1, '=', 1), ('a.b.c', 'ilike', 'x')]", json!([[1, "=", 1], ["a.b.c", "ilike", "x"]])),
        ] {
            if terms.is_null() {
                assert!(Filter::parse(text).is_err(), "{text}");
            } else {
                assert_eq!(Value::Array(filter(text).terms().to_vec()), terms, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_domain_of_literals_is_refused_with_help() {
        let many = format!("[{}]", vec!["('a','=',1)"; 51].join(","));
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        for text in [
            "",
            "[]",
            "{}",
            "7",
            "[7]",
            "['&']",
            "['|', ('a','=',1)]",
            "['!']",
            "[('a','=')]",
            "[('a','=',1,2)]",
            "[('a','=',user.id)]",
            "[('a','=',uid)]",
            "[('a','=',lambda: 1)]",
            "[('a','=',__import__('os'))]",
            "[('a','=',1)] + [('b','=',2)]",
            "[('a','=','x' 'y')]",
            "[('a','any',[('b','=',1)])]",
            "[('a','any!',[])]",
            "[('a','=?',False)]",
            "[('a','inselect','SELECT 1')]",
            "[('a','~','x')]",
            "[('a b','=',1)]",
            "[('a..b','=',1)]",
            "[('a','=',[1])]",
            "[('a','in',3)]",
            "[('a','in',[[1]])]",
            "[('a','child_of','name')]",
            "[('a','ilike',3)]",
            "[('a','=',{'x': 1})]",
            "[('a','=',0x10)]",
            "[('a','=',1e999)]",
            "[('a','=',99999999999999999999)]",
            "[('a','=',1),,]",
            "[(2,'=',1)]",
            "[('a','=',1)",
            "[('a','=','x)]",
            "[f('a')]",
            "[r'a']",
            &many,
            &deep,
        ] {
            let refused = Filter::parse(text).unwrap_err();
            assert_eq!(refused.code, Code::InvalidArgument, "{text}");
            assert!(!refused.next.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_filter_survives_the_store() {
        let one = filter("['|', ('a', '=', 1), '!', ('b', 'in', ['x'])]");
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(text, r#"["|",["a","=",1],"!",["b","in",["x"]]]"#);
        assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), one);
        assert!(serde_json::from_str::<Filter>("[]").is_err() && serde_json::from_str::<Filter>("\"x\"").is_err());
    }

    #[test]
    fn values_decide_or_do_not() {
        use Comparable::{Day, Flag, Link, Number, Other, Text};
        for (condition, kind, value, expected) in [
            ("('a','=','x')", Text, json!("x"), Some(true)),
            ("('a','=','x')", Text, json!("X"), Some(false)),
            ("('a','!=','x')", Text, json!(false), Some(true)),
            ("('a','=',False)", Text, json!(null), Some(true)),
            ("('a','=',False)", Text, json!(""), None),
            ("('a','=','x ')", Text, json!("x "), None),
            ("('a','in',['x','y'])", Text, json!("y"), Some(true)),
            ("('a','not in',['x','y'])", Text, json!("y"), Some(false)),
            ("('a','not in',['x'])", Text, json!(false), Some(true)),
            ("('a','ilike','ACME')", Text, json!("acme ltd"), Some(true)),
            ("('a','like','ACME')", Text, json!("acme ltd"), Some(false)),
            ("('a','not ilike','acme')", Text, json!("ACME"), Some(false)),
            ("('a','=ilike','acme')", Text, json!("ACME"), Some(true)),
            ("('a','ilike','a_b')", Text, json!("a_b"), None),
            ("('a','ilike','50%')", Text, json!("50%"), None),
            ("('a','ilike','e')", Text, json!("é"), None),
            ("('a','not ilike','x')", Text, json!(false), None),
            ("('a','<','y')", Text, json!("x"), None),
            ("('a','=',1)", Number, json!(1), Some(true)),
            ("('a','>=',100)", Number, json!(100), Some(true)),
            ("('a','<',100)", Number, json!(99.999), None),
            ("('a','<',1.5)", Number, json!(1), None),
            ("('a','=',0)", Number, json!(false), None),
            ("('a','=',True)", Flag, json!(true), Some(true)),
            ("('a','!=',True)", Flag, json!(true), Some(false)),
            ("('a','=',1)", Flag, json!(true), None),
            ("('a','<','2026-02-01')", Day, json!("2026-01-31"), Some(true)),
            ("('a','<','2026-02-01')", Day, json!("2026-2-1"), None),
            ("('a','=','today')", Day, json!("2026-01-31"), None),
            ("('a','=',7)", Link, json!(7), Some(true)),
            ("('a','in',[7,False])", Link, json!(false), Some(true)),
            ("('a','=','Acme')", Link, json!(7), None),
            ("('a','child_of',[7])", Link, json!(7), None),
            ("('a.b','=',7)", Link, json!(7), None),
            ("('a','=','x')", Other, json!("x"), None),
        ] {
            let filter = filter(&format!("[{condition}]"));
            assert_eq!(holds(filter.leaves()[0], kind, &value), expected, "{condition} {kind:?} {value}");
        }
    }

    #[test]
    fn a_changed_record_keeps_what_is_not_touched() {
        let values = |v: Value| v.as_object().unwrap().clone();
        let still = |text: &str, v: Value| {
            let values = values(v);
            filter(text).still(&|l: &Leaf| values.contains_key(l.field()), &truth(&values, |_| Comparable::Text))
        };
        let both = "[('a','=','x'), ('b','=','y')]";
        assert_eq!(still(both, json!({"c": "z"})), Some(true));
        assert_eq!(still(both, json!({"a": "x"})), Some(true));
        assert_eq!(still(both, json!({"a": "z"})), Some(false));
        let either = "['|', ('a','=','x'), ('b','=','y')]";
        assert_eq!(still(either, json!({"c": "z"})), Some(true));
        assert_eq!(still(either, json!({"a": "x"})), Some(true));
        assert_eq!(still(either, json!({"a": "z"})), None, "the other may be what held");
        assert_eq!(still(either, json!({"a": "z", "b": "z"})), Some(false));
        assert_eq!(still("['!', ('a','=','x')]", json!({"a": "z"})), Some(true));
        assert_eq!(still("[('a.b','=','x')]", json!({"a": "x"})), None);
        let made = |text: &str, v: Value| {
            let values = values(v);
            filter(text).decide(&truth(&values, |_| Comparable::Text))
        };
        assert_eq!(made(both, json!({"a": "x"})), None, "a default would decide");
        assert_eq!(made(both, json!({"a": "x", "b": "y"})), Some(true));
        assert_eq!(made(both, json!({"a": "z"})), Some(false));
        assert_eq!(made("[(0,'=',1)]", json!({})), Some(false));
    }

    #[test]
    fn the_most_restrictive_wins() {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let a = ModelRule {
            can_delete: false,
            fields: FieldPolicy::Allow(set(&["name", "email"])),
            filter: Some(filter("[('a','=',1)]")),
            ..ModelRule::open()
        };
        let b = ModelRule {
            read_only: true,
            fields: FieldPolicy::Deny(set(&["email", "phone"])),
            filter: Some(filter("[('b','=',2)]")),
            ..ModelRule::open()
        };
        let own = BTreeMap::from([("res.partner".to_owned(), ModelRule { can_read: false, ..ModelRule::open() })]);
        let rules =
            Rules::combine([("res.partner", &a), ("res.partner", &b)], &BTreeMap::new(), WithoutResource::FollowOdoo).unwrap();
        let rule = rules.of("res.partner").unwrap();
        assert_eq!((rule.read, rule.create, rule.write, rule.delete), (true, false, false, false));
        assert_eq!(rule.fields, FieldPolicy::Allow(set(&["name"])));
        assert_eq!(rule.denied, set(&["email", "phone"]));
        assert_eq!(rule.filters.len(), 2);
        assert!(rules.hides() && !rules.refuses("sale.order"));
        let rules = Rules::combine([("sale.order", &a)], &own, WithoutResource::Refuse).unwrap();
        assert!(rules.refuses("res.partner"), "a key's own rule is no resource");
        assert!(rules.refuses("crm.lead") && !rules.refuses("sale.order"));
        let unread = rules.of("res.partner").unwrap();
        assert!(!unread.read && unread.hides() && !unread.fields.permits("name"), "what may not be read is hidden everywhere");
        assert_eq!(Rules::combine([], &BTreeMap::new(), WithoutResource::FollowOdoo), None);
        let other = Rules::combine([("sale.order", &b)], &own, WithoutResource::Refuse).unwrap();
        assert_ne!(rules.fingerprint(), other.fingerprint());
    }

    #[test]
    fn field_policies_combine_to_what_all_permit() {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let policies = [
            FieldPolicy::All,
            FieldPolicy::Allow(set(&["a", "b"])),
            FieldPolicy::Allow(set(&[])),
            FieldPolicy::Deny(set(&["b", "c"])),
            FieldPolicy::Deny(set(&[])),
        ];
        for x in &policies {
            for y in &policies {
                for field in ["id", "a", "b", "c", "d"] {
                    assert_eq!(x.and(y).permits(field), x.permits(field) && y.permits(field), "{x:?} {y:?} {field}");
                }
            }
        }
    }
}
