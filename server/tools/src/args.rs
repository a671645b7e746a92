//! Argument types that several tools share: what models send, taken kindly, and published as a plain type.
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

/// Publishes a type under one inline schema.
macro_rules! published {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// A value, or what a text holds in JSON: some models send lists and objects as texts.
fn opened<'de, D: Deserializer<'de>>(d: D) -> Result<Value, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(held @ (Value::Array(_) | Value::Object(_))) => held,
            _ => Value::String(text),
        },
        other => other,
    })
}

/// An Odoo domain in prefix notation. Also taken as a text that holds one in JSON.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Domain(pub Value);
impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match opened(d)? {
            Value::Null => Ok(Self::default()),
            list @ Value::Array(_) => Ok(Self(list)),
            Value::String(_) => Err(D::Error::custom(
                "a domain is a list such as [[\"name\", \"ilike\", \"acme\"]]; this text does not hold one in JSON",
            )),
            _ => Err(D::Error::custom("a domain is a list such as [[\"name\", \"ilike\", \"acme\"]]")),
        }
    }
}
impl Domain {
    /// This domain and one more condition. Odoo joins what stands beside each other with "and".
    pub fn and(&self, condition: Value) -> Value {
        let mut all = vec![condition];
        if let Value::Array(terms) = &self.0 {
            all.extend(terms.iter().cloned());
        }
        Value::Array(all)
    }
}
published!(Domain, {"type": "array", "items": {}});

/// Field values of one record.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Values(pub Map<String, Value>);
impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match opened(d)? {
            Value::Object(map) => Ok(Self(map)),
            Value::Null => Ok(Self::default()),
            _ => Err(D::Error::custom("this is an object such as {\"name\": \"Acme\"}")),
        }
    }
}
published!(Values, {"type": "object"});

/// The values of several records.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct ValuesList(pub Vec<Values>);
impl<'de> Deserialize<'de> for ValuesList {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match opened(d)? {
            Value::Array(items) if items.iter().all(|i| i.is_object() || i.is_string()) => {
                let rows: Result<Vec<Values>, _> = items.into_iter().map(serde_json::from_value).collect();
                rows.map(Self).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("this is a list of objects such as [{\"name\": \"Acme\"}]")),
        }
    }
}
published!(ValuesList, {"type": "array", "items": {"type": "object"}});

/// A list of anything: positional arguments of a method.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct List(pub Vec<Value>);
impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match opened(d)? {
            Value::Array(items) => Ok(Self(items)),
            Value::Null => Ok(Self::default()),
            _ => Err(D::Error::custom("this is a list such as [1, \"a\"]")),
        }
    }
}
published!(List, {"type": "array", "items": {}});

/// Names of fields. Also taken as a text with commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Names(pub Vec<String>);
impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("this is a list of names such as [\"name\", \"email\"]");
        match opened(d)? {
            Value::Null => Ok(Self::default()),
            Value::String(text) => {
                Ok(Self(text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect()))
            }
            Value::Array(items) => {
                let names: Option<Vec<String>> = items.iter().map(|n| n.as_str().map(|n| n.trim().to_owned())).collect();
                names.map(Self).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}
published!(Names, {"type": "array", "items": {"type": "string"}});

/// Database ids, in the caller's order. Also taken as one number, or as a text with commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Ids(pub Vec<i64>);
impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let items = match opened(d)? {
            Value::Null => Vec::new(),
            Value::String(text) => text.split(',').filter(|t| !t.trim().is_empty()).map(Value::from).collect(),
            Value::Array(items) => items,
            one => vec![one],
        };
        let id = |v: &Value| v.as_i64().or_else(|| v.as_str()?.trim().parse().ok()).filter(|id| *id > 0);
        let ids: Option<Vec<i64>> = items.iter().map(id).collect();
        ids.map(Self).ok_or_else(|| D::Error::custom("ids are positive numbers such as [7, 12]"))
    }
}
impl Ids {
    /// Each id once, in order.
    pub fn distinct(&self) -> Vec<i64> {
        let mut seen = std::collections::BTreeSet::new();
        self.0.iter().copied().filter(|id| seen.insert(*id)).collect()
    }
}
published!(Ids, {"type": "array", "items": {"type": "integer"}});

/// The database id of one record. Also taken as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RecordId(pub i64);
impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let told = Value::deserialize(d)?;
        // PostgreSQL's integer is as far as ids go.
        let id = told.as_i64().or_else(|| told.as_str()?.trim().parse().ok()).filter(|id| (1..=i64::from(i32::MAX)).contains(id));
        id.map(Self).ok_or_else(|| D::Error::custom("an id is a positive whole number such as 7"))
    }
}
published!(RecordId, {"type": "integer"});

/// Which records by their field `active`. Also taken as true and false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    Active,
    Archived,
    All,
}
impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::Bool(true) => Ok(Self::Active),
            Value::Bool(false) => Ok(Self::Archived),
            Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Self::Active),
            Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Self::Archived),
            Value::String(text) if text.trim().eq_ignore_ascii_case("all") => Ok(Self::All),
            _ => Err(D::Error::custom("this is \"true\", \"false\" or \"all\"")),
        }
    }
}
impl Shown {
    /// None for all.
    pub const fn flag(self) -> Option<bool> {
        match self {
            Self::Active => Some(true),
            Self::Archived => Some(false),
            Self::All => None,
        }
    }
}
published!(Shown, {"type": "string", "enum": ["true", "false", "all"]});

/// Words to look for: at most 200 characters, spaces around them left out. Nothing at all looks for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SearchWords(Option<String>);
impl<'de> Deserialize<'de> for SearchWords {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let text = text.trim();
        if text.chars().count() > 200 || text.chars().any(char::is_control) {
            return Err(D::Error::custom("at most 200 characters, none of them a control character"));
        }
        Ok(Self((!text.is_empty()).then(|| text.to_owned())))
    }
}
impl SearchWords {
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }
}
published!(SearchWords, {"type": "string"});

/// Any JSON value, where Odoo's method decides.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Any(pub Value);
published!(Any, {});

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(v: Value) -> Result<T, String> {
        serde_json::from_value(v).map_err(|e| e.to_string())
    }

    #[test]
    fn what_models_send_is_taken_kindly() {
        for ids in [json!([7, 12]), json!("7, 12"), json!("[7,12]"), json!(["7", 12])] {
            assert_eq!(read::<Ids>(ids).unwrap().0, [7, 12]);
        }
        assert_eq!(read::<Ids>(json!(7)).unwrap().0, [7]);
        for names in [json!(["name", "email"]), json!("name, email"), json!("[\"name\",\"email\"]")] {
            assert_eq!(read::<Names>(names).unwrap().0, ["name", "email"]);
        }
        assert_eq!(read::<Names>(json!(null)).unwrap(), Names::default());
        assert_eq!(read::<Domain>(json!("[[\"a\",\"=\",1]]")).unwrap().0, json!([["a", "=", 1]]));
        assert_eq!(read::<Values>(json!("{\"a\":1}")).unwrap().0.len(), 1);
        assert_eq!(read::<ValuesList>(json!("[{\"a\":1},{}]")).unwrap().0.len(), 2);
        assert_eq!(read::<List>(json!("[1]")).unwrap().0, [1]);
    }

    #[test]
    fn one_record_and_which_ones() {
        assert_eq!(read::<RecordId>(json!("7")).unwrap(), RecordId(7));
        for bad in [json!(0), json!(-1), json!(99_999_999_999_i64), json!(1.5), json!("a"), json!([7]), json!(true)] {
            assert!(read::<RecordId>(bad.clone()).unwrap_err().contains("such as 7"), "{bad}");
        }
        assert_eq!(read::<Shown>(json!(true)).unwrap().flag(), Some(true));
        assert_eq!(read::<Shown>(json!("false")).unwrap().flag(), Some(false));
        assert_eq!(read::<Shown>(json!("All")).unwrap().flag(), None);
        assert!(read::<Shown>(json!("archived")).is_err() && read::<Shown>(json!(1)).is_err());
        assert_eq!(read::<SearchWords>(json!(" acme ")).unwrap().get(), Some("acme"));
        assert_eq!(read::<SearchWords>(json!(" ")).unwrap().get(), None);
        assert!(read::<SearchWords>(json!("a\u{0}b")).is_err() && read::<SearchWords>(json!("x".repeat(201))).is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_an_example() {
        for bad in [json!([0]), json!([-1]), json!("a"), json!([1.5]), json!({"id": 1}), json!([[1]])] {
            assert!(read::<Ids>(bad.clone()).unwrap_err().contains("[7, 12]"), "{bad}");
        }
        assert!(read::<Names>(json!([1])).unwrap_err().contains("email"));
        assert!(read::<Domain>(json!("name = acme")).unwrap_err().contains("ilike"));
        for bad in [json!([null]), json!([[]]), json!({"a": 1}), json!(["a"])] {
            assert!(read::<ValuesList>(bad.clone()).unwrap_err().contains("Acme"), "{bad}");
        }
        assert!(read::<Values>(json!([{"a": 1}])).unwrap_err().contains("Acme"));
    }

    #[test]
    fn conditions_are_joined() {
        assert_eq!(Domain::default().and(json!(["id", ">", 1])), json!([["id", ">", 1]]));
        let either = Domain(json!(["|", ["a", "=", 1], ["b", "=", 2]]));
        assert_eq!(either.and(json!(["id", ">", 1])), json!([["id", ">", 1], "|", ["a", "=", 1], ["b", "=", 2]]));
    }

    #[test]
    fn ids_once_each_in_order() {
        assert_eq!(Ids(vec![3, 1, 3, 2, 1]).distinct(), [3, 1, 2]);
    }
}
