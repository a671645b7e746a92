use std::collections::BTreeMap;

use backends::odoo::Field;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    args::Names,
    contract::{self as tool, *},
};

/// The fields of a model: type, label, whether required, readonly or stored, relation, choices. Read it before you write domains or values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetFieldMetadata {
    model: String,
    #[serde(default)]
    fields: Names,
    /// All attributes, not 12
    #[serde(default)]
    detail: bool,
    /// By simple, relational, technical; default true
    grouped: Option<bool>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Fields {
    pub model: String,
    pub count: usize,
    /// The names of all fields by group, also where `fields` was cut.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<&'static str, Vec<String>>,
    /// Attributes that a field does not have are left out.
    pub fields: Vec<Map<String, Value>>,
}
impl Answer for Fields {
    const LIST: Option<&'static str> = Some("fields");
    fn columns(&self) -> Vec<String> {
        ["name", "type", "string", "required", "readonly", "store", "relation"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}

const SIMPLE: &str = "simple";
const RELATIONAL: &str = "relational";
const TECHNICAL: &str = "technical";

/// The twelve attributes of the summary are these and the name.
const SUMMARY: [&str; 11] = [
    "type",
    "string",
    "required",
    "readonly",
    "store",
    "searchable",
    "sortable",
    "relation",
    "relation_field",
    "selection",
    "help",
];
/// The longest help of the summary in characters.
const HELP: usize = 120;

fn group_of(name: &str, field: &Field) -> &'static str {
    const NAMES: [&str; 9] = [
        "id",
        "create_uid",
        "create_date",
        "write_uid",
        "write_date",
        "__last_update",
        "display_name",
        "has_message",
        "parent_path",
    ];
    const PARTS: [&str; 6] = ["message_", "activity_", "my_activity_", "website_message_", "access_", "rating_"];
    if NAMES.contains(&name) || PARTS.iter().any(|p| name.starts_with(p)) {
        TECHNICAL
    } else if matches!(field.r#type.as_str(), "many2one" | "one2many" | "many2many" | "reference" | "many2one_reference") {
        RELATIONAL
    } else {
        SIMPLE
    }
}
fn described(name: &str, field: &Field, detail: bool) -> Map<String, Value> {
    let mut row = Map::from_iter([("name".to_owned(), json!(name))]);
    if detail {
        row.extend(field.all.iter().filter(|(k, _)| *k != "name").map(|(k, v)| (k.clone(), v.clone())));
        row.entry("type").or_insert_with(|| json!(field.r#type));
        return row;
    }
    let known = |attribute: &str| match attribute {
        "type" => json!(field.r#type),
        "string" => json!(field.string),
        "required" => json!(field.required),
        "readonly" => json!(field.readonly),
        "store" => json!(field.store),
        "relation" => json!(field.relation),
        "relation_field" => json!(field.relation_field),
        "selection" => field.selection.clone().unwrap_or_default(),
        other => field.all.get(other).cloned().unwrap_or_default(),
    };
    for attribute in SUMMARY {
        let mut value = known(attribute);
        if let ("help", Value::String(help)) = (attribute, &value)
            && help.chars().count() > HELP
        {
            value = json!(format!("{}…", help.chars().take(HELP).collect::<String>().trim_end()));
        }
        let of_strings = matches!(attribute, "relation" | "relation_field" | "selection" | "help");
        let absent = value.is_null() || (of_strings && (value == false || value == "" || value == json!([])));
        if !absent {
            row.insert(attribute.to_owned(), value);
        }
    }
    row
}
/// Sorted by group, then name, so that a cut drops technical fields first.
fn answer(model: String, fields: &[(&String, &Field)], detail: bool, grouped: bool) -> Fields {
    let mut rows: Vec<(&'static str, &String, &Field)> = fields.iter().map(|(n, f)| (group_of(n, f), *n, *f)).collect();
    let mut groups: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    if grouped {
        let rank = |group: &str| [SIMPLE, RELATIONAL, TECHNICAL].iter().position(|g| *g == group);
        rows.sort_by_key(|(group, ..)| rank(group));
        for (group, name, _) in &rows {
            groups.entry(group).or_default().push((*name).clone());
        }
    }
    let described = |(group, name, field): &(&'static str, &String, &Field)| {
        let mut row = described(name, field, detail);
        if grouped {
            row.insert("group".to_owned(), json!(group));
        }
        row
    };
    Fields { model, count: rows.len(), groups, fields: rows.iter().map(described).collect() }
}
impl ReadTool for GetFieldMetadata {
    type Answer = Fields;
    async fn call(self, cx: &ReadCx) -> Result<Fields> {
        let odoo = cx.odoo()?;
        let all = odoo.fields(&self.model).await?;
        let wanted = &self.fields.0;
        if !wanted.is_empty() {
            odoo.check_fields(&self.model, wanted).await?;
        }
        let chosen: Vec<(&String, &Field)> = all.0.iter().filter(|(n, _)| wanted.is_empty() || wanted.contains(n)).collect();
        Ok(answer(self.model, &chosen, self.detail, self.grouped.unwrap_or(true)))
    }
}
pub const TOOL: Tool = tool::read::<GetFieldMetadata>("Describe the fields of a model");

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> BTreeMap<String, Field> {
        let field = |v: Value| {
            let mut field: Field = Field {
                r#type: v["type"].as_str().unwrap().to_owned(),
                string: "Label".to_owned(),
                store: true,
                ..Field::default()
            };
            field.relation = v.get("relation").and_then(Value::as_str).map(str::to_owned);
            field.all = v.as_object().unwrap().clone();
            field
        };
        BTreeMap::from([
            ("active".to_owned(), field(json!({"type": "boolean", "searchable": true, "help": "x".repeat(200), "depends": []}))),
            ("create_uid".to_owned(), field(json!({"type": "many2one", "relation": "res.users"}))),
            ("message_ids".to_owned(), field(json!({"type": "one2many", "relation": "mail.message"}))),
            ("partner_id".to_owned(), field(json!({"type": "many2one", "relation": "res.partner", "help": false}))),
        ])
    }
    fn of(detail: bool, grouped: bool) -> Fields {
        let all = fields();
        answer("m".to_owned(), &all.iter().collect::<Vec<_>>(), detail, grouped)
    }

    #[test]
    fn the_summary_has_at_most_twelve_attributes() {
        let summary = of(false, false);
        let partner = Value::from(summary.fields[3].clone());
        assert_eq!(
            partner,
            json!({"name": "partner_id", "type": "many2one", "string": "Label", "required": false, "readonly": false, "store": true, "relation": "res.partner"})
        );
        assert!(summary.groups.is_empty());
        assert_eq!(SUMMARY.len() + 1, 12);
        assert_eq!(summary.fields[0]["help"].as_str().unwrap().chars().count(), HELP + 1);
        assert!(of(true, false).fields[0].contains_key("depends"));
    }

    #[test]
    fn groups_name_every_field_and_come_in_order() {
        let grouped = of(false, true);
        assert_eq!(
            json!(grouped.groups),
            json!({"relational": ["partner_id"], "simple": ["active"], "technical": ["create_uid", "message_ids"]})
        );
        let order: Vec<&Value> = grouped.fields.iter().map(|f| &f["group"]).collect();
        assert_eq!(order, ["simple", "relational", "technical", "technical"]);
    }
}
