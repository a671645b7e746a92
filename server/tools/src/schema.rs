//! Schemas as clients want them: draft 2020-12, everything inline, no `anyOf`, a `type` everywhere, and no byte too many,
//! because every model that connects reads all of them.
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform as _},
};
use serde_json::{Map, Value, json};

/// The input schema of a tool, before the common arguments are added.
pub fn input<S: JsonSchema>() -> Schema {
    let mut schema = compact(plain::<S>());
    // Some clients refuse an object without the keyword.
    schema.ensure_object().entry("properties").or_insert_with(|| Value::Object(Map::new()));
    schema
}

/// The output schema: the answer's own properties beside the shared envelope, none of them required, because a plan, a cut
/// answer, a rendered text and "running" must fit it as well.
pub fn output<S: JsonSchema>() -> Schema {
    let mut schema = compact(plain::<S>());
    let object = schema.ensure_object();
    object.remove("required");
    object.remove("description");
    object.insert("type".into(), "object".into());
    let properties = object.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        for (name, schema) in envelope() {
            properties.entry(name).or_insert(schema);
        }
    }
    schema
}

/// What any answer may carry beside its own properties.
fn envelope() -> [(&'static str, Value); 5] {
    [
        ("plan", json!({"type": "object"})),
        ("text", json!({"type": "string"})),
        ("truncated", json!({"type": "object"})),
        ("operation", json!({"type": "object"})),
        ("notes", json!({"type": "array", "items": {"type": "string"}})),
    ]
}

fn plain<S: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .with(|s| {
            s.inline_subschemas = true;
            s.meta_schema = None;
        })
        .into_generator()
        .into_root_schema_for::<S>()
}

fn compact(mut schema: Schema) -> Schema {
    RecursiveTransform(shrink).transform(&mut schema);
    let description = schema.get("description").and_then(Value::as_str).map(|d| d.replace('\n', " "));
    if let Some(description) = description {
        schema.insert("description".into(), description.into());
    }
    schema
}

/// Optional is what is not in `required`: `null` need not be offered besides. Formats and bounds are for our decoder.
fn shrink(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    // Keywords all of them: the names of properties stand one level deeper, where this does not look.
    for key in ["title", "format", "minimum", "maximum", "default", "additionalProperties", "$schema"] {
        object.remove(key);
    }
    if let Some(Value::Array(types)) = object.get("type") {
        let rest: Vec<Value> = types.iter().filter(|t| *t != "null").cloned().collect();
        if let [one] = rest.as_slice() {
            object.insert("type".into(), one.clone());
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
    // Option<Enum> and Option<Struct>: the one alternative that is not null takes the place of the choice.
    if let Some(Value::Array(choices)) = object.remove("anyOf") {
        let rest: Vec<Value> = choices.into_iter().filter(|c| c.get("type").is_none_or(|t| t != "null")).collect();
        match <[Value; 1]>::try_from(rest) {
            Ok([Value::Object(one)]) => {
                for (k, v) in one {
                    object.entry(k).or_insert(v);
                }
            }
            Ok(_) => {}
            Err(rest) => {
                object.insert("anyOf".into(), rest.into());
            }
        }
    }
    // `oneOf` of constants (an enum with documented variants) is an enum.
    if let Some(Value::Array(choices)) = object.get("oneOf") {
        // Variants without documentation come together in one `enum`, the others as a `const` each.
        let constant = |c: &Value| c.get("const").map(|c| vec![c.clone()]).or_else(|| c.get("enum")?.as_array().cloned());
        let constants: Option<Vec<Vec<Value>>> = choices.iter().map(constant).collect();
        if let Some(constants) = constants {
            object.remove("oneOf");
            object.insert("type".into(), "string".into());
            object.insert("enum".into(), constants.concat().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema, Default)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        /// The first.
        #[default]
        One,
        Two,
    }
    #[derive(Serialize, Deserialize, JsonSchema, Default)]
    struct Inner {
        a: Option<i64>,
    }
    /// Lines are
    /// joined.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Everything {
        title: String,
        format: u8,
        #[serde(default)]
        default: Inner,
        minimum: Option<String>,
        choice: Option<Choice>,
        inner: Option<Inner>,
        many: Vec<Inner>,
        map: Option<std::collections::BTreeMap<String, i64>>,
    }

    #[test]
    fn nothing_but_what_a_model_needs_is_left() {
        let inner = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        assert_eq!(
            input::<Everything>().to_value(),
            json!({
                "description": "Lines are joined.",
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "format": {"type": "integer"},
                    "default": inner,
                    "minimum": {"type": "string"},
                    "choice": {"type": "string", "enum": ["two", "one"]},
                    "inner": inner,
                    "many": {"type": "array", "items": inner},
                    "map": {"type": "object"},
                },
                "required": ["title", "format", "many"],
            })
        );
    }

    #[test]
    fn an_output_requires_nothing_and_has_the_envelope() {
        let output = output::<Inner>().to_value();
        assert!(output.get("required").is_none());
        assert_eq!(output["properties"]["notes"], json!({"type": "array", "items": {"type": "string"}}));
        assert_eq!(output["properties"]["a"], json!({"type": "integer"}));
    }
}
