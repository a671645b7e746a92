//! The words of the handles.
use std::{borrow::Cow, collections::BTreeMap};

use futures_util::future::BoxFuture;
use kernel::{Instance, Result, RpcConnection, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// What opens the sealed secret of a credential; the store stands behind it, this crate never sees one.
pub trait Credentials: std::fmt::Debug + Send + Sync {
    /// The secret, or a refusal when the credential is gone or marked as refused by Odoo.
    fn open<'a>(&'a self, instance: &'a Instance, rpc: &'a RpcConnection) -> BoxFuture<'a, Result<Credential>>;
    /// Odoo refused it: it must not be used again until changed. Fire and forget; a lost mark costs one more refused login.
    fn refused<'a>(&'a self, instance: &'a Instance, rpc: &'a RpcConnection) -> BoxFuture<'a, ()>;
}
#[derive(Debug, Clone)]
pub struct Credential {
    pub login: String,
    pub secret: SecretString,
}

/// The Odoo context of a call, by dispatch's allow-list: nothing else ever reaches Odoo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OdooContext {
    pub lang: Option<String>,
    pub tz: Option<String>,
    /// The current company first; always within the key's companies.
    pub allowed_company_ids: Option<Vec<i64>>,
    pub active_test: Option<bool>,
    pub bin_size: Option<bool>,
}

/// One record as Odoo sent it, not parsed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub Box<RawValue>);
impl schemars::JsonSchema for Record {
    fn schema_name() -> Cow<'static, str> {
        "Record".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object"})
    }
}
impl Record {
    /// The record parsed; an object always.
    pub fn parse(&self) -> serde_json::Map<String, Value> {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
    /// Its database id, 0 when it has none.
    pub fn id(&self) -> i64 {
        #[derive(Deserialize)]
        struct Id {
            #[serde(default)]
            id: i64,
        }
        serde_json::from_str::<Id>(self.0.get()).map_or(0, |i| i.id)
    }
}

/// What a search asks. `fields` empty means the smart fields; `limit` is capped by the scope.
#[derive(Debug, Clone, Default)]
pub struct Search {
    pub model: String,
    /// Odoo's prefix notation; null and `[]` mean all.
    pub domain: Value,
    pub fields: Vec<String>,
    pub limit: u64,
    pub offset: u64,
    /// `field [asc|desc]`, comma-separated. `id` is added as a tiebreak.
    pub order: Option<String>,
}
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub records: Vec<Record>,
    /// The fields that were read, in order (without `id`).
    pub fields: Vec<String>,
    /// Fields that Odoo or the policy withheld, each with the reason.
    pub skipped: BTreeMap<String, String>,
}

/// One field of a model, from `fields_get`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Field {
    /// char, text, html, integer, float, monetary, boolean, date, datetime, selection, binary, many2one, one2many, many2many, …
    pub r#type: String,
    /// The label in the context's language.
    pub string: String,
    pub store: bool,
    pub required: bool,
    pub readonly: bool,
    pub relation: Option<String>,
    pub relation_field: Option<String>,
    pub selection: Option<Value>,
    /// Everything that Odoo told about it, as it told it.
    pub all: serde_json::Map<String, Value>,
}
/// The fields of a model that this caller may know of (neither hidden by Odoo's groups nor credential fields), by name.
#[derive(Debug, Clone, Default)]
pub struct ModelFields(pub BTreeMap<String, Field>);
impl ModelFields {
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
    }
}

#[derive(Debug, Clone)]
pub struct GroupBy {
    pub field: String,
    /// hour, day, week, month, quarter, year; for dates and times only.
    pub granularity: Option<String>,
}
#[derive(Debug, Clone)]
pub struct Measure {
    pub field: String,
    /// sum, avg, min, max, count, count_distinct, bool_and, bool_or, array_agg
    pub function: String,
}
#[derive(Debug, Clone, Default)]
pub struct Aggregate {
    pub model: String,
    pub domain: Value,
    pub groupby: Vec<GroupBy>,
    pub measures: Vec<Measure>,
    /// `__count`, a grouping field or `measure_field:function`, with `asc` or `desc`. Applied by ocore where Odoo's version cannot.
    pub order: Option<String>,
    pub limit: u64,
    pub offset: u64,
}
#[derive(Debug, Clone)]
pub struct GroupKey {
    /// The key itself: an id, a selection's key, a boolean, a text, or the start of the range of a date group; null for none.
    pub value: Value,
    /// What a person reads, where it differs from the value.
    pub label: Option<String>,
    /// First and last-exclusive of a date group, from the server's domain or range, never from a label.
    pub range: Option<(String, String)>,
}
#[derive(Debug, Clone)]
pub struct Group {
    /// In the order of `groupby`.
    pub keys: Vec<GroupKey>,
    /// In the order of `measures`.
    pub values: Vec<Value>,
    pub count: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerVersion {
    /// As Odoo tells it, e.g. `19.0-20260215` or `18.0+e`.
    pub server_version: String,
    pub server_serie: String,
}

/// A method that Odoo documents as free of effects. The only way to one is [`ReadMethod::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMethod(&'static str);
impl ReadMethod {
    const ALL: [&'static str; 23] = [
        "name_search",
        "name_get",
        "search",
        "search_read",
        "search_count",
        "read",
        "read_group",
        "formatted_read_group",
        "fields_get",
        "default_get",
        "onchange",
        "get_view",
        "get_views",
        "fields_view_get",
        "load_views",
        "get_metadata",
        "get_external_id",
        "has_access",
        "check_access_rights",
        "check_object_reference",
        "get_field_translations",
        "downstream_dependencies",
        "upstream_dependencies",
    ];
    /// The proof, when the method is one of the closed list of the specification.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| *m == name).map(Self)
    }
    pub const fn name(self) -> &'static str {
        self.0
    }
}
