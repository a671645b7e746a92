//! What Odoo can group by and measure, and refusals that teach it.
use backends::odoo::{Field, ModelFields};
use kernel::{Code, Result, refusal};

const NUMBERS: [&str; 3] = ["integer", "float", "monetary"];
const DATES: [&str; 2] = ["date", "datetime"];
pub const GRANULARITIES: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];
const FUNCTIONS: [&str; 9] = ["sum", "avg", "min", "max", "count", "count_distinct", "bool_and", "bool_or", "array_agg"];

pub fn is_date(field: &Field) -> bool {
    DATES.contains(&field.r#type.as_str())
}
/// Numbers that mean something when they are added up: not keys.
pub fn is_number(name: &str, field: &Field) -> bool {
    NUMBERS.contains(&field.r#type.as_str()) && name != "id" && !name.ends_with("_id")
}
/// Odoo says so itself from 18 on; before, what is stored in a column of its own.
fn can_group(field: &Field) -> bool {
    let type_can = !matches!(
        field.r#type.as_str(),
        "binary" | "html" | "one2many" | "json" | "properties" | "properties_definition" | "serialized" | "image"
    );
    let said = field.all.get("groupable").and_then(serde_json::Value::as_bool);
    type_can && said.unwrap_or(field.store)
}
fn can_measure(field: &Field) -> bool {
    let type_can =
        !matches!(field.r#type.as_str(), "binary" | "html" | "one2many" | "many2many" | "json" | "properties" | "image");
    type_can && (field.store || field.all.get("related").is_some_and(|r| !r.is_null() && r != false))
}
/// Names that fit, nearest to the wrong one first.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a String>) -> String {
    let mut scored: Vec<(f64, &str)> = names.map(|n| (strsim::jaro_winkler(wrong, n), n.as_str())).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let first: Vec<&str> = scored.into_iter().take(10).map(|(_, n)| n).collect();
    first.join(", ")
}

/// Refuses a field that Odoo cannot group by. Dotted paths and unknown names are the handle's business.
pub fn groupable(model: &str, fields: &ModelFields, name: &str) -> Result<()> {
    match fields.get(name) {
        Some(field) if !can_group(field) => {
            let why = if field.store { "" } else { ", not stored" };
            let others = nearest(name, fields.0.iter().filter(|(_, f)| can_group(f)).map(|(n, _)| n));
            Err(refusal(Code::InvalidArgument, format!("{model} cannot be grouped by {name} ({}{why}).", field.r#type))
                .next(format!("Fields that it can be grouped by: {others}."))
                .into())
        }
        _ => Ok(()),
    }
}

/// Refuses a function that does not exist, or that makes no sense for the field.
pub fn measurable(model: &str, fields: &ModelFields, name: &str, function: &str) -> Result<()> {
    if !FUNCTIONS.contains(&function) {
        return Err(refusal(Code::InvalidArgument, format!("\"{function}\" is no way to aggregate."))
            .next(format!("Use one of {}, as in amount_total:sum.", FUNCTIONS.join(", ")))
            .into());
    }
    let Some(field) = fields.get(name) else { return Ok(()) };
    let fits = match function {
        "sum" | "avg" => NUMBERS.contains(&field.r#type.as_str()),
        "min" | "max" => is_number(name, field) || is_date(field) || name == "id",
        "bool_and" | "bool_or" => field.r#type == "boolean",
        _ => true,
    };
    if fits && can_measure(field) {
        return Ok(());
    }
    let why = if fits { ", computed and not stored" } else { "" };
    Err(refusal(Code::InvalidArgument, format!("{name} of {model} ({}{why}) has no {function}.", field.r#type))
        .next(measures(fields, name))
        .into())
}
/// Names fields of numbers, for a refusal's advice.
pub fn measures(fields: &ModelFields, wrong: &str) -> String {
    let names = nearest(wrong, fields.0.iter().filter(|(n, f)| is_number(n, f) && can_measure(f)).map(|(n, _)| n));
    if names.is_empty() {
        "This model has no stored numbers; use operation count.".to_owned()
    } else {
        format!("Fields with numbers: {names}.")
    }
}
/// How a field is aggregated when nobody says: as Odoo does by default.
pub fn default_function(fields: &ModelFields, name: &str) -> String {
    let said = fields.get(name).and_then(|f| f.all.get("aggregator").or_else(|| f.all.get("group_operator")));
    said.and_then(serde_json::Value::as_str).filter(|f| FUNCTIONS.contains(f)).unwrap_or("sum").to_owned()
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// A made-up sale.order.
    pub fn fields() -> ModelFields {
        let field = |kind: &str, store: bool| Field { r#type: kind.to_owned(), store, ..Field::default() };
        let mut fields = ModelFields::default();
        for (name, kind, store) in [
            ("amount_total", "monetary", true),
            ("amount_untaxed", "monetary", true),
            ("company_id", "many2one", true),
            ("date_order", "datetime", true),
            ("create_date", "datetime", true),
            ("display_name", "char", false),
            ("invoice_count", "integer", false),
            ("order_line", "one2many", true),
            ("partner_id", "many2one", true),
            ("state", "selection", true),
            ("tag_ids", "many2many", true),
            ("locked", "boolean", true),
        ] {
            fields.0.insert(name.to_owned(), field(kind, store));
        }
        if let Some(f) = fields.0.get_mut("amount_untaxed") {
            f.all.insert("aggregator".into(), json!("avg"));
        }
        fields
    }

    #[test]
    fn what_cannot_be_grouped_is_refused_with_what_can() {
        let fields = fields();
        for good in ["state", "partner_id", "date_order", "tag_ids", "partner_id.country_id", "unknown"] {
            assert!(groupable("sale.order", &fields, good).is_ok(), "{good}");
        }
        for bad in ["order_line", "display_name"] {
            let why = groupable("sale.order", &fields, bad).unwrap_err().public();
            assert_eq!(why.code, Code::InvalidArgument);
            assert!(why.next.contains("state") && !why.next.contains("order_line"), "{}", why.next);
        }
    }

    #[test]
    fn measures_fit_their_fields() {
        let fields = fields();
        for (name, function) in
            [("amount_total", "sum"), ("date_order", "max"), ("partner_id", "count_distinct"), ("locked", "bool_or")]
        {
            assert!(measurable("m", &fields, name, function).is_ok(), "{name}:{function}");
        }
        for (name, function) in
            [("state", "sum"), ("amount_total", "median"), ("invoice_count", "sum"), ("partner_id", "avg"), ("state", "bool_and")]
        {
            assert!(measurable("m", &fields, name, function).is_err(), "{name}:{function}");
        }
        assert!(measurable("m", &fields, "state", "sum").unwrap_err().public().next.contains("amount_total"));
        assert_eq!(default_function(&fields, "amount_untaxed"), "avg");
        assert_eq!(default_function(&fields, "amount_total"), "sum");
    }
}
