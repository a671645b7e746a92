//! The catalogue as a person reads it, and what every model that connects has to read of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::fmt::Write as _;

use kernel::Access;
use serde_json::{Map, Value, json};
use tools::{
    CATALOGUE,
    contract::{Prepared, Tool},
};

/// What dispatch adds to the input schema it publishes: `context` for reads; `confirm`, `dry_run` and `context` for writes.
const COMMON_READ: usize = 30;
const COMMON_WRITE: usize = 95;
/// The most characters of name, description and input schema, on average over the tools.
const AVERAGE: usize = 466;

fn input(tool: &Tool) -> (String, Value) {
    let mut schema = serde_json::to_value((tool.input)()).unwrap();
    let description = schema.as_object_mut().unwrap().remove("description");
    (description.and_then(|d| d.as_str().map(str::to_owned)).unwrap_or_default(), schema)
}
fn each(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        each(property, &format!("{path}.{name}"), visit);
    }
    if let Some(items) = schema.get("items") {
        each(items, &format!("{path}[]"), visit);
    }
}
/// The least that a schema takes: required properties with something of their type.
fn least(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|e| e.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            required
                .map(|name| (name.as_str().unwrap().to_owned(), least(&schema["properties"][name.as_str().unwrap()])))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => json!([least(&schema["items"])]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        _ => json!("text".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or_default()).unwrap().div_ceil(4).max(1))),
    }
}
/// `no`, `yes`, or `some`: the arguments decide.
fn confirms(tool: &Tool) -> &'static str {
    if tool.facts.access == Access::Destructive {
        return "yes";
    }
    if tool.facts.access != tool.facts.least {
        return "some";
    }
    match (tool.prepare)(least(&input(tool).1)) {
        Ok(Prepared::Write(write)) if write.needs_confirm() => "yes",
        Ok(_) => "no",
        Err(e) => panic!("{} does not take the least that its schema asks for: {e}", tool.facts.name),
    }
}

#[test]
fn the_catalogue_is_the_one_that_was_agreed() {
    let mut now = String::from("# name category access guarded confirm\n");
    for tool in &CATALOGUE {
        let facts = &tool.facts;
        let guarded = if facts.guarded() { "guarded" } else { "-" };
        writeln!(now, "{} {} {} {guarded} {}", facts.name, facts.category, facts.access, confirms(tool)).unwrap();
    }
    let agreed = include_str!("catalogue.txt");
    assert_eq!(now, agreed, "tests/catalogue.txt is what was agreed; it now is:\n{now}");
}

#[test]
fn schemas_are_short() {
    let mut all = 0;
    let mut table = String::new();
    for tool in &CATALOGUE {
        let (description, schema) = input(tool);
        let common = if tool.facts.access == Access::Read { COMMON_READ } else { COMMON_WRITE };
        let length = tool.facts.name.chars().count() + description.chars().count() + schema.to_string().chars().count() + common;
        writeln!(table, "{length:5} {} | {description} | {schema}", tool.facts.name).unwrap();
        all += length;
    }
    let average = all / CATALOGUE.len();
    println!("{table}average {average} of {} tools", CATALOGUE.len());
    assert!(average <= AVERAGE, "{average} characters on average\n{table}");
}

#[test]
fn schemas_are_plain() {
    for tool in &CATALOGUE {
        let name = tool.facts.name;
        let (description, schema) = input(tool);
        assert!(description.ends_with('.') && description.len() > 20, "{name}: {description:?}");
        assert!(!tool.title.is_empty());
        for (kind, schema) in [("input", schema), ("output", serde_json::to_value((tool.output)()).unwrap())] {
            assert_eq!(schema["type"], "object", "{name}");
            each(&schema, &format!("{name} {kind}"), &mut |path, part| {
                let text = part.as_object().map(|p| p.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
                for keyword in [
                    "anyOf",
                    "oneOf",
                    "allOf",
                    "$ref",
                    "$defs",
                    "$schema",
                    "title",
                    "default",
                    "format",
                    "additionalProperties",
                    "const",
                ] {
                    assert!(!text.iter().any(|k| k == keyword), "{path} has {keyword}: {part}");
                }
                assert!(part["type"].is_string() || part["type"].is_null(), "{path} has several types: {part}");
                assert_ne!(part["type"], "null", "{path}");
                assert!(!part["enum"].as_array().is_some_and(|e| e.contains(&Value::Null)), "{path} offers null: {part}");
                // Only what a method gives or a list holds may be anything.
                let free = ["[]", ".result", ".value"].iter().any(|end| path.ends_with(end));
                assert!(part["type"].is_string() || free, "{path} has no type: {part}");
            });
        }
    }
}

#[test]
fn arguments_are_documented_and_common_ones_are_not_declared() {
    for tool in &CATALOGUE {
        let (_, schema) = input(tool);
        for common in
            ["confirm", "confirm_token", "dry_run", "context", "timeout_seconds", "max_response_size", "idempotency_key"]
        {
            assert!(schema["properties"].get(common).is_none(), "{} declares {common}", tool.facts.name);
        }
    }
}

#[test]
fn every_output_carries_the_envelope() {
    for tool in &CATALOGUE {
        let schema = serde_json::to_value((tool.output)()).unwrap();
        for property in ["plan", "text", "truncated", "operation", "notes"] {
            assert!(schema["properties"][property].is_object(), "{}: {property}", tool.facts.name);
        }
        assert!(schema.get("required").is_none(), "{}", tool.facts.name);
    }
}

#[test]
fn an_unknown_argument_is_an_error_that_names_it() {
    for tool in &CATALOGUE {
        let mut arguments = least(&input(tool).1);
        arguments["no_such_argument"] = json!(1);
        let Err(refused) = (tool.prepare)(arguments) else { panic!("{} takes anything", tool.facts.name) };
        assert!(refused.public().message.contains("no_such_argument"), "{}: {refused}", tool.facts.name);
    }
}

/// Argument names and which are required are part of the product: a client's saved calls depend on them.
#[test]
fn arguments_are_those_that_were_agreed() {
    for line in include_str!("arguments.txt").lines().filter(|l| !l.starts_with('#')) {
        let (name, agreed) = line.split_once(':').unwrap();
        let Some(tool) = tools::find(name) else { panic!("{name} is not in the catalogue") };
        let (_, schema) = input(tool);
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().map(|r| r.as_str().unwrap()).collect();
        let names = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(n, _)| if required.contains(&n.as_str()) { format!("{n}*") } else { n.clone() });
        let (mut ours, mut theirs) =
            (names.collect::<Vec<_>>(), agreed.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{name}");
    }
    let agreed: Vec<&str> = include_str!("arguments.txt").lines().filter_map(|l| l.split_once(':')).map(|(n, _)| n).collect();
    let missing: Vec<&str> = CATALOGUE.iter().map(|t| t.facts.name).filter(|n| !agreed.contains(n)).collect();
    assert!(missing.is_empty(), "tests/arguments.txt lacks {missing:?}");
}
