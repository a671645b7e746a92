//! PostgreSQL's values as JSON, and JSON as PostgreSQL's parameters.
//!
//! Nothing is rounded: `numeric` is its exact text, 64-bit integers are numbers, a float that JSON cannot write is one of
//! the texts `NaN`, `Infinity` and `-Infinity`. Times are RFC 3339; a `timestamp` carries no offset, a `timestamptz` is in
//! UTC. `bytea` is its size and SHA-256, or base64 as long as it is small.
use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use chrono::Datelike as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// Up to this many bytes a `bytea` is given whole, in base64.
pub const BYTES_SHOWN: usize = 256;

/// What stands in a field: the bytes that the server sent, in its binary form.
pub(crate) struct Raw<'a>(pub &'a [u8]);
impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(Raw(raw))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether [`decode`] knows the type. What it does not know is asked for as text.
pub(crate) fn known(of: &Type) -> bool {
    match of.kind() {
        Kind::Array(inner) | Kind::Range(inner) | Kind::Multirange(inner) | Kind::Domain(inner) => known(inner),
        Kind::Enum(_) => true,
        Kind::Simple => matches!(
            of.name(),
            "bool"
                | "int2"
                | "int4"
                | "int8"
                | "oid"
                | "float4"
                | "float8"
                | "numeric"
                | "text"
                | "varchar"
                | "bpchar"
                | "name"
                | "char"
                | "unknown"
                | "citext"
                | "xml"
                | "bytea"
                | "date"
                | "time"
                | "timestamp"
                | "timestamptz"
                | "interval"
                | "uuid"
                | "json"
                | "jsonb"
                | "inet"
                | "cidr"
                | "macaddr"
                | "jsonpath"
                | "ltree"
        ),
        _ => false,
    }
}

/// A value as JSON. What cannot be read, though its type is known, is an error and not a guess.
pub(crate) fn decode(of: &Type, raw: &[u8]) -> Result<Value, BoxError> {
    match of.kind() {
        Kind::Array(inner) => array(inner, raw),
        Kind::Range(inner) => range(inner, raw),
        Kind::Multirange(inner) => {
            let mut reader = Reader(raw);
            let count = reader.i32()?;
            let mut out = Vec::new();
            for _ in 0..count {
                let length = reader.i32()?;
                out.push(range(inner, reader.take(usize::try_from(length)?)?)?);
            }
            Ok(Value::Array(out))
        }
        Kind::Domain(inner) => decode(inner, raw),
        Kind::Enum(_) => Ok(text(raw)?.into()),
        _ => simple(of.name(), raw),
    }
}
fn simple(name: &str, raw: &[u8]) -> Result<Value, BoxError> {
    let mut reader = Reader(raw);
    Ok(match name {
        "bool" => Value::Bool(reader.u8()? != 0),
        "int2" => reader.i16()?.into(),
        "int4" => reader.i32()?.into(),
        "int8" => reader.i64()?.into(),
        "oid" => reader.u32()?.into(),
        "float4" => float(f64::from(f32::from_bits(reader.u32()?)), || {
            f32::from_bits(u32::from_be_bytes(raw.try_into().unwrap_or_default())).to_string()
        }),
        "float8" => {
            let value = f64::from_bits(reader.u64()?);
            float(value, || value.to_string())
        }
        "numeric" => numeric(raw)?.into(),
        "text" | "varchar" | "bpchar" | "name" | "unknown" | "citext" | "xml" => text(raw)?.into(),
        "char" => char::from(reader.u8()?).to_string().into(),
        "bytea" => bytes(raw),
        "date" => date(reader.i32()?)?.into(),
        "time" => time(reader.i64()?).into(),
        "timestamp" => timestamp(reader.i64()?, "")?.into(),
        "timestamptz" => timestamp(reader.i64()?, "Z")?.into(),
        "interval" => {
            let (micros, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
            interval(micros, days, months).into()
        }
        "uuid" => {
            let hex: String = raw.iter().fold(String::new(), |mut out, byte| {
                let _ = write!(out, "{byte:02x}");
                out
            });
            let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
            format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)).into()
        }
        "json" => serde_json::from_slice(raw)?,
        "jsonb" => match raw.split_first() {
            Some((1, rest)) => serde_json::from_slice(rest)?,
            _ => return Err("a jsonb of an unknown version".into()),
        },
        "jsonpath" | "ltree" => match raw.split_first() {
            Some((1, rest)) => text(rest)?.into(),
            _ => return Err("a value of an unknown version".into()),
        },
        "inet" | "cidr" => address(name, raw)?.into(),
        "macaddr" => raw.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":").into(),
        other => return Err(format!("no reader for the type {other}").into()),
    })
}

struct Reader<'a>(&'a [u8]);
impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BoxError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or("a value that is too short")?;
        self.0 = tail;
        Ok(head)
    }
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], BoxError> {
        Ok(self.take(N)?.try_into()?)
    }
    fn u8(&mut self) -> Result<u8, BoxError> {
        Ok(u8::from_be_bytes(self.fixed()?))
    }
    fn i16(&mut self) -> Result<i16, BoxError> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }
    fn u16(&mut self) -> Result<u16, BoxError> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }
    fn i32(&mut self) -> Result<i32, BoxError> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }
    fn u32(&mut self) -> Result<u32, BoxError> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }
    fn i64(&mut self) -> Result<i64, BoxError> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }
    fn u64(&mut self) -> Result<u64, BoxError> {
        Ok(u64::from_be_bytes(self.fixed()?))
    }
}

fn text(raw: &[u8]) -> Result<&str, BoxError> {
    Ok(std::str::from_utf8(raw)?)
}
/// A float as a number; what JSON has no number for, as PostgreSQL's word for it.
fn float(value: f64, shortest: impl Fn() -> String) -> Value {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    shortest().parse::<f64>().ok().and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number)
}
/// The exact text, as PostgreSQL writes it: groups of four digits, the first with its weight.
fn numeric(raw: &[u8]) -> Result<String, BoxError> {
    let mut reader = Reader(raw);
    let (count, weight, sign, scale) = (reader.u16()?, reader.i16()?, reader.u16()?, reader.u16()?);
    match sign {
        0x0000 | 0x4000 => {}
        0xC000 => return Ok("NaN".into()),
        0xD000 => return Ok("Infinity".into()),
        0xF000 => return Ok("-Infinity".into()),
        _ => return Err("a numeric with an unknown sign".into()),
    }
    let mut groups = Vec::with_capacity(count.into());
    for _ in 0..count {
        groups.push(reader.u16()?);
    }
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let weight = i32::from(weight);
    let mut out = String::new();
    if sign == 0x4000 {
        out.push('-');
    }
    if weight < 0 {
        out.push('0');
    }
    for at in 0..=weight {
        if at == 0 {
            write!(out, "{}", group(0))?;
        } else {
            write!(out, "{:04}", group(at))?;
        }
    }
    if scale > 0 {
        let mut digits = String::new();
        let mut at = weight + 1;
        while digits.len() < scale.into() {
            write!(digits, "{:04}", if at < 0 { 0 } else { group(at) })?;
            at += 1;
        }
        digits.truncate(scale.into());
        out.push('.');
        out.push_str(&digits);
    }
    Ok(out)
}
fn bytes(raw: &[u8]) -> Value {
    if raw.len() <= BYTES_SHOWN {
        return json!({"size": raw.len(), "base64": STANDARD.encode(raw)});
    }
    let hash = Sha256::digest(raw).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    });
    json!({"size": raw.len(), "sha256": hash})
}

/// Days from 1970-01-01 to PostgreSQL's 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;

/// A day, counted from 1970-01-01, and the era behind it.
fn day_text(days: i64) -> Result<(String, &'static str), BoxError> {
    let day = chrono::NaiveDate::default().checked_add_signed(chrono::Duration::try_days(days).ok_or("a day too far away")?);
    let day = day.ok_or("a day too far away")?;
    let (year, month, day) = (day.year(), day.month(), day.day());
    Ok(if year > 0 {
        (format!("{year:04}-{month:02}-{day:02}"), "")
    } else {
        (format!("{:04}-{month:02}-{day:02}", 1 - year), " BC")
    })
}
fn date(days: i32) -> Result<String, BoxError> {
    Ok(match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        days => {
            let (text, era) = day_text(i64::from(days) + EPOCH_DAYS)?;
            text + era
        }
    })
}
fn time(micros: i64) -> String {
    let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let mut out = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest != 0 {
        let digits = format!("{rest:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    out
}
fn timestamp(micros: i64, offset: &str) -> Result<String, BoxError> {
    Ok(match micros {
        i64::MAX => "infinity".into(),
        i64::MIN => "-infinity".into(),
        micros => {
            let (day, era) = day_text(micros.div_euclid(DAY_MICROS) + EPOCH_DAYS)?;
            format!("{day}T{}{offset}{era}", time(micros.rem_euclid(DAY_MICROS)))
        }
    })
}
/// As PostgreSQL writes it in its default style.
fn interval(micros: i64, days: i32, months: i32) -> String {
    let mut parts = Vec::new();
    let (years, rest) = (months / 12, months % 12);
    for (count, name) in [(years, "year"), (rest, "mon"), (days, "day")] {
        if count != 0 {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    if micros != 0 || parts.is_empty() {
        let sign = if micros < 0 { "-" } else { "" };
        let magnitude = i64::try_from(micros.unsigned_abs()).unwrap_or(i64::MAX);
        parts.push(format!("{sign}{}", time(magnitude)));
    }
    parts.join(" ")
}
fn address(name: &str, raw: &[u8]) -> Result<String, BoxError> {
    let mut reader = Reader(raw);
    let (_family, bits, _is_cidr, length) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?);
    let (address, full): (std::net::IpAddr, u8) = match length {
        4 => (std::net::Ipv4Addr::from(reader.fixed::<4>()?).into(), 32),
        16 => (std::net::Ipv6Addr::from(reader.fixed::<16>()?).into(), 128),
        _ => return Err("an address of an unknown length".into()),
    };
    Ok(if bits == full && name == "inet" { address.to_string() } else { format!("{address}/{bits}") })
}
/// One dimension of an array.
fn level(inner: &Type, lengths: &[usize], reader: &mut Reader<'_>) -> Result<Value, BoxError> {
    let Some((&length, rest)) = lengths.split_first() else {
        let size = reader.i32()?;
        return match usize::try_from(size) {
            Err(_) => Ok(Value::Null),
            Ok(size) => decode(inner, reader.take(size)?),
        };
    };
    let mut out = Vec::new();
    for _ in 0..length {
        out.push(level(inner, rest, reader)?);
    }
    Ok(Value::Array(out))
}
fn array(inner: &Type, raw: &[u8]) -> Result<Value, BoxError> {
    let mut reader = Reader(raw);
    let (dimensions, _has_nulls, _oid) = (reader.i32()?, reader.i32()?, reader.u32()?);
    if !(0..=6).contains(&dimensions) {
        return Err("an array of too many dimensions".into());
    }
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(reader.i32()?)?);
        reader.i32()?;
    }
    if lengths.is_empty() { Ok(Value::Array(Vec::new())) } else { level(inner, &lengths, &mut reader) }
}
/// `{"lower", "upper", "bounds"}`, bounds as `[)`; an empty one is `{"empty": true}`.
fn range(inner: &Type, raw: &[u8]) -> Result<Value, BoxError> {
    let mut reader = Reader(raw);
    let flags = reader.u8()?;
    if flags & 0x01 != 0 {
        return Ok(json!({"empty": true}));
    }
    let mut bound = |infinite: u8| -> Result<Value, BoxError> {
        if flags & infinite != 0 {
            return Ok(Value::Null);
        }
        let size = usize::try_from(reader.i32()?)?;
        decode(inner, reader.take(size)?)
    };
    let (lower, upper) = (bound(0x08)?, bound(0x10)?);
    let bounds = format!("{}{}", if flags & 0x02 != 0 { '[' } else { '(' }, if flags & 0x04 != 0 { ']' } else { ')' });
    Ok(json!({"lower": lower, "upper": upper, "bounds": bounds}))
}

/// A JSON value as a parameter, sent as text and read by PostgreSQL as whatever type the statement wants there.
#[derive(Debug)]
pub(crate) struct Parameter(Option<String>);
impl Parameter {
    /// `Err` says what is wrong with the value.
    pub(crate) fn new(value: &Value, wanted: &Type) -> Result<Self, &'static str> {
        let json = matches!(*wanted, Type::JSON | Type::JSONB);
        Ok(Self(match value {
            Value::Null => None,
            Value::String(s) if s.contains('\0') => return Err("a text with a NUL"),
            // A text for a json parameter is taken as JSON where it is some, else as a JSON string.
            Value::String(s) if json && serde_json::from_str::<serde::de::IgnoredAny>(s).is_err() => Some(value.to_string()),
            Value::String(s) => Some(s.clone()),
            other if json => Some(other.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            Value::Number(n) => Some(n.to_string()),
            Value::Array(items) => Some(literal(items)?),
            Value::Object(_) => Some(value.to_string()),
        }))
    }
}
/// An array in PostgreSQL's notation.
fn literal(items: &[Value]) -> Result<String, &'static str> {
    let parts: Result<Vec<String>, &'static str> = items
        .iter()
        .map(|item| match item {
            Value::Null => Ok("NULL".to_owned()),
            Value::Array(items) => literal(items),
            Value::Bool(_) | Value::Number(_) => Ok(item.to_string()),
            Value::String(s) if s.contains('\0') => Err("a text with a NUL"),
            Value::String(s) => Ok(format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""))),
            Value::Object(_) => Ok(format!("\"{}\"", item.to_string().replace('\\', "\\\\").replace('"', "\\\""))),
        })
        .collect();
    Ok(format!("{{{}}}", parts?.join(",")))
}
impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
    tokio_postgres::types::to_sql_checked!();
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Column {
    /// Its name; the second of the same name is `name_2`.
    pub name: String,
    /// Its type as one writes it in a cast.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// Rows and what they are.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Answer {
    /// The columns, names made unique.
    pub columns: Vec<Column>,
    /// The rows, a value per column.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than were asked for or fit.
    pub truncated: bool,
    /// Rows that an INSERT, UPDATE or DELETE touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected: Option<u64>,
}

/// Names made unique, in order.
pub(crate) fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = name.clone();
        let mut n = 1;
        while out.contains(&candidate) {
            n += 1;
            candidate = format!("{name}_{n}");
        }
        out.push(candidate);
    }
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

impl Answer {
    /// Rows as objects.
    pub fn json(&self) -> Vec<Map<String, Value>> {
        self.rows
            .iter()
            .map(|row| self.columns.iter().zip(row).map(|(column, value)| (column.name.clone(), value.clone())).collect())
            .collect()
    }
    /// An aligned table that Markdown reads. Values longer than 80 characters are cut; NULL is empty.
    pub fn table(&self) -> String {
        const WIDEST: usize = 80;
        let short = |text: String| {
            let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().replace('|', "\\|");
            if flat.chars().count() <= WIDEST { flat } else { flat.chars().take(WIDEST - 1).chain(['…']).collect() }
        };
        let head: Vec<String> = self.columns.iter().map(|c| short(c.name.clone())).collect();
        let body: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(|v| short(cell(v))).collect()).collect();
        let width = |at: usize| {
            std::iter::once(&head)
                .chain(&body)
                .filter_map(|row| row.get(at))
                .map(|text| text.chars().count())
                .max()
                .unwrap_or(0)
                .max(3)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |row: &[String]| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}", width = *width)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut out = line(&head);
        out.push_str(&line(&widths.iter().map(|w| "-".repeat(*w)).collect::<Vec<_>>()));
        for row in &body {
            out.push_str(&line(row));
        }
        out
    }
    /// CSV after RFC 4180 with a header line; NULL is empty.
    pub fn csv(&self) -> String {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        // Into memory, from text: neither can fail.
        let _ = writer.write_record(self.columns.iter().map(|c| c.name.as_str()));
        for row in &self.rows {
            let _ = writer.write_record(row.iter().map(cell));
        }
        String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}
