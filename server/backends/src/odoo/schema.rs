//! What is known of a database's models: their fields less the credentials, and the list of models. Cached for some minutes
//! per client (and so per instance, generation and credential) and language.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kernel::{Code, Refusal, refusal};
use moka::future::Cache;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Field, ModelFields, rules::Watch};
use crate::scope;

/// What is asked of `fields_get`; versions that do not know one leave it out.
pub(super) const ATTRIBUTES: [&str; 28] = [
    "type",
    "string",
    "help",
    "store",
    "required",
    "readonly",
    "relation",
    "relation_field",
    "selection",
    "related",
    "depends",
    "searchable",
    "sortable",
    "groupable",
    "aggregator",
    "group_operator",
    "company_dependent",
    "currency_field",
    "translate",
    "size",
    "digits",
    "domain",
    "groups",
    "manual",
    "exportable",
    "default_export_compatible",
    "definition_record",
    "definition_record_field",
];

/// A model's fields, and the names of those that are withheld.
#[derive(Debug)]
pub(super) struct Schema {
    pub fields: Arc<ModelFields>,
    /// Credentials, and what the caller's rules hide.
    pub withheld: BTreeSet<String>,
    /// Of these what the rules hide.
    pub denied: BTreeSet<String>,
    /// Whose names the caller may read.
    pub names: Names,
}
impl Schema {
    /// Whether rules hide some of the fields.
    pub(super) fn limited(&self) -> bool {
        !self.denied.is_empty()
    }
    /// Whether it is a credential, which the dedicated tool of a model may check and set.
    pub(super) fn is_credential(&self, field: &str) -> bool {
        self.withheld.contains(field) && !self.denied.contains(field)
    }
}

/// The records whose names (`display_name`, the second part of a many2one's value) may be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Names {
    All,
    /// Those that match this domain: they are visible, and so is whatever their names are made of.
    Of(Vec<Value>),
    None,
}

/// One model of an instance, for list_models.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    pub model: String,
    /// The label.
    pub name: String,
    /// `base` (from modules) or `manual` (made in Odoo); unknown where only the documentation could be asked.
    pub state: Option<String>,
    /// The modules that define or extend it, as far as Odoo tells.
    pub modules: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Schemas {
    fields: Cache<(u64, Option<String>, String), Arc<Schema>>,
    models: Cache<(u64, Option<String>), Arc<Vec<Model>>>,
    /// The models' own orders, made unique; none where Odoo does not tell, or where they are unique already.
    orders: Cache<(u64, String), Option<Arc<str>>>,
    /// Fields as rules leave them, by those rules: nobody else's cache.
    governed: Cache<Governed, Arc<Schema>>,
    /// What decides about which records filters hide, by client and the rules' fingerprint.
    watched: Cache<(u64, Arc<str>), Arc<Watch>>,
}
/// Client, language, model, and the rules' fingerprint.
pub(super) type Governed = (u64, Option<String>, String, Arc<str>);
impl Schemas {
    pub(super) fn new(age: Duration) -> Self {
        Self {
            fields: Cache::builder().max_capacity(5_000).time_to_live(age).build(),
            models: Cache::builder().max_capacity(500).time_to_live(age).build(),
            orders: Cache::builder().max_capacity(5_000).time_to_live(age).build(),
            governed: Cache::builder().max_capacity(5_000).time_to_live(age).build(),
            watched: Cache::builder().max_capacity(1_000).time_to_live(age).build(),
        }
    }
    pub(super) fn fields(&self) -> &Cache<(u64, Option<String>, String), Arc<Schema>> {
        &self.fields
    }
    pub(super) fn orders(&self) -> &Cache<(u64, String), Option<Arc<str>>> {
        &self.orders
    }
    pub(super) fn watched(&self) -> &Cache<(u64, Arc<str>), Arc<Watch>> {
        &self.watched
    }
    pub(super) fn governed(&self) -> &Cache<Governed, Arc<Schema>> {
        &self.governed
    }
    pub(super) fn models(&self) -> &Cache<(u64, Option<String>), Arc<Vec<Model>>> {
        &self.models
    }
}

impl Schema {
    pub(super) fn new(model: &str, told: Map<String, Value>) -> Self {
        let mut fields = BTreeMap::new();
        let mut withheld = BTreeSet::new();
        for (name, described) in told {
            let Value::Object(all) = described else { continue };
            let text = |key: &str| all.get(key).and_then(Value::as_str).map(str::to_owned);
            let kind = text("type").unwrap_or_default();
            if scope::is_credential(model, &name, &kind) {
                withheld.insert(name);
                continue;
            }
            let flag = |key: &str| all.get(key).and_then(Value::as_bool).unwrap_or(false);
            let field = Field {
                string: text("string").unwrap_or_default(),
                store: flag("store"),
                required: flag("required"),
                readonly: flag("readonly"),
                relation: text("relation"),
                relation_field: text("relation_field"),
                selection: all.get("selection").cloned(),
                r#type: kind,
                all,
            };
            fields.insert(name, field);
        }
        Self { fields: Arc::new(ModelFields(fields)), withheld, denied: BTreeSet::new(), names: Names::All }
    }

    /// The field, or why not: withheld, or unknown with the nearest names.
    pub(super) fn field(&self, model: &str, name: &str) -> Result<&Field, Refusal> {
        match self.fields.get(name) {
            Some(field) => Ok(field),
            None if self.denied.contains(name) => Err(hidden(model, name)),
            None if self.withheld.contains(name) => Err(withheld(model, name)),
            None => Err(unknown_field(model, name, &self.fields)),
        }
    }
}

pub(super) fn withheld(model: &str, name: &str) -> Refusal {
    refusal(
        Code::FieldDenied,
        format!("{model}.{name} is a credential; it is never read, searched or grouped by, and never written by generic tools."),
    )
    .next("Leave the field out.")
}
/// What a rule hides is never read, searched, sorted or grouped by, and never written.
pub(super) fn hidden(model: &str, name: &str) -> Refusal {
    refusal(
        Code::FieldDenied,
        format!("{model}.{name} is hidden from this key, by name or because it is computed from what is hidden."),
    )
    .next("Leave the field out; get_field_metadata lists those that there are.")
}
fn unknown_field(model: &str, name: &str, fields: &ModelFields) -> Refusal {
    let near = nearest(name, fields.0.keys().map(String::as_str));
    let next = if near.is_empty() {
        "get_field_metadata lists the fields.".to_owned()
    } else {
        format!("Did you mean {}? get_field_metadata lists the fields.", near.join(", "))
    };
    let shown: String = name.chars().take(80).collect();
    refusal(Code::InvalidArgument, format!("{model} has no field {shown:?} that this credential may see.")).next(next)
}

/// At most three names that are close to what was written, nearest first.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let written = written.to_ascii_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| {
            // A name that holds what was written (partner for partner_id) is near however long it is.
            let holds = written.len() >= 4 && (name.contains(&written) || written.contains(name) && name.len() >= 4);
            (strsim::jaro_winkler(&written, name).max(if holds { 0.9 } else { 0.0 }), name)
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How useful a field is at first sight; lower is better, none leaves it out.
fn rank(name: &str, field: &Field) -> Option<u32> {
    if !field.store
        || matches!(
            field.r#type.as_str(),
            "binary" | "html" | "one2many" | "json" | "properties" | "properties_definition" | "serialized"
        )
    {
        return None;
    }
    if name == "id"
        || matches!(
            name,
            "create_uid" | "write_uid" | "write_date" | "__last_update" | "message_main_attachment_id" | "color" | "parent_path"
        )
    {
        return None;
    }
    let technical = [
        "message_",
        "activity_",
        "access_",
        "website_",
        "x_website",
        "rating_",
        "is_seo",
        "my_activity",
        "email_normalized",
        "image_",
        "signup_",
        "commercial_company",
    ];
    if technical.iter().any(|t| name.starts_with(t)) || name.ends_with("_sanitized") || name.ends_with("_normalized") {
        return None;
    }
    let first = [
        "name",
        "complete_name",
        "display_name",
        "default_code",
        "code",
        "ref",
        "reference",
        "number",
        "login",
        "title",
        "subject",
        "state",
        "stage_id",
        "status",
        "partner_id",
        "email",
        "email_from",
        "phone",
        "user_id",
        "date",
        "date_order",
        "invoice_date",
        "date_deadline",
        "amount_total",
        "amount_untaxed",
        "expected_revenue",
        "list_price",
        "quantity",
        "product_id",
        "product_uom_qty",
        "price_unit",
        "price_subtotal",
        "project_id",
        "parent_id",
        "city",
        "country_id",
        "team_id",
        "currency_id",
        "company_id",
        "active",
    ];
    if let Some(at) = first.iter().position(|f| *f == name) {
        return u32::try_from(at).ok();
    }
    let by_type = match field.r#type.as_str() {
        "monetary" => 110,
        "many2one" => 120,
        "selection" => 130,
        "date" | "datetime" if name != "create_date" => 140,
        "char" => 150,
        "float" | "integer" => 160,
        "boolean" => 180,
        "text" => 190,
        "many2many" => 210,
        _ => 200,
    };
    let bonus = if field.required { 30 } else { 0 } + if name.starts_with("amount") || name.starts_with("date") { 20 } else { 0 };
    let malus = if name.starts_with("x_") { 5 } else { 0 }
        + if field.all.get("company_dependent").and_then(Value::as_bool).unwrap_or(false) { 40 } else { 0 };
    Some(by_type + malus - bonus)
}

/// The most useful fields, at most 15, useful first.
pub(super) fn smart(fields: &ModelFields) -> Vec<String> {
    let mut ranked: Vec<(u32, &str)> =
        fields.0.iter().filter_map(|(name, field)| Some((rank(name, field)?, name.as_str()))).collect();
    ranked.sort_unstable();
    let mut chosen: Vec<String> = ranked.into_iter().take(15).map(|(_, name)| name.to_owned()).collect();
    if chosen.is_empty() {
        // A model without stored fields of any use still has a name.
        chosen.extend(["display_name", "id"].into_iter().filter(|n| fields.0.contains_key(*n)).take(1).map(str::to_owned));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn partner() -> Schema {
        let told = json!({
            "id": {"type": "integer", "store": true}, "name": {"type": "char", "store": true, "string": "Name"}, "display_name": {"type": "char", "store": false},
            "image_1920": {"type": "binary", "store": true}, "comment": {"type": "html", "store": true}, "partner_id": {"type": "many2one", "relation": "res.partner", "store": true},
            "signup_token": {"type": "char", "store": true}, "total": {"type": "monetary", "store": false}, "state": {"type": "selection", "store": true},
            "session_id": {"type": "many2one", "relation": "pos.session", "store": true}
        });
        Schema::new("res.partner", told.as_object().unwrap().clone())
    }

    #[test]
    fn credentials_are_not_among_the_fields() {
        let schema = partner();
        assert!(schema.fields.get("signup_token").is_none());
        assert!(schema.fields.get("session_id").is_some());
        assert_eq!(schema.field("res.partner", "signup_token").unwrap_err().code, Code::FieldDenied);
        let unknown = schema.field("res.partner", "partner").unwrap_err();
        assert_eq!(unknown.code, Code::InvalidArgument);
        assert!(unknown.next.contains("partner_id"), "{unknown:?}");
    }

    #[test]
    fn smart_fields_are_useful_ones_first_and_never_heavy() {
        assert_eq!(smart(&partner().fields), ["name", "state", "partner_id", "session_id"]);
        let bare = Schema::new("x", json!({"display_name": {"type": "char", "store": false}}).as_object().unwrap().clone());
        assert_eq!(smart(&bare.fields), ["display_name"]);
        let wide: Map<String, Value> = (0..40).map(|i| (format!("f{i}"), json!({"type": "char", "store": true}))).collect();
        assert_eq!(smart(&Schema::new("x", wide).fields).len(), 15);
    }

    #[test]
    fn near_names() {
        assert_eq!(nearest("res.partnr", ["res.partner", "sale.order"].into_iter()), ["res.partner"]);
        assert!(nearest("zzz", ["res.partner"].into_iter()).is_empty());
    }
}
