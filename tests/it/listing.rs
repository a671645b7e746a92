//! What every client pays for in tokens before it has asked anything.
use serde_json::{Value, json};

use crate::harness::{Ocore, Odoo, run};

/// The most that the tools of one instance may cost, in tokens of four characters.
const MOST_TOKENS: usize = 12_000;

#[test]
fn the_tools_of_one_instance_are_cheap_and_complete() {
    let Some(odoo) = Odoo::shared(19) else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    let mcp = ocore.serve().key(&[]);
    run(async {
        for path in ["/mcp", "/mcp/i/dev"] {
            let (_, response) = mcp.at(path).request("tools/list", json!({})).await;
            let tools = response["result"]["tools"].as_array().unwrap_or_else(|| panic!("{response}"));
            let mut characters = 0;
            for tool in tools {
                let name = tool["name"].as_str().unwrap();
                let description = tool["description"].as_str().unwrap_or_default();
                let input = &tool["inputSchema"];
                characters += name.chars().count() + description.chars().count() + input.to_string().chars().count();
                assert!(!description.is_empty() && !tool["title"].as_str().unwrap_or_default().is_empty(), "{name}");
                assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
                assert!(tool["annotations"]["readOnlyHint"].is_boolean(), "{name}");
                assert!(tool["annotations"]["destructiveHint"].is_boolean(), "{name}");
                for schema in [input, &tool["outputSchema"]] {
                    assert!(!has_key(schema, "anyOf") && !has_key(schema, "$ref"), "{name}: {schema}");
                }
            }
            let tokens = characters / 4;
            println!(
                "{path}: {} tools cost {tokens} tokens ({} characters a tool)",
                tools.len(),
                characters / tools.len().max(1)
            );
            assert!(tokens <= MOST_TOKENS, "{path}: {tokens}");
        }
    });
}

fn has_key(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| key == wanted || has_key(value, wanted)),
        Value::Array(items) => items.iter().any(|item| has_key(item, wanted)),
        _ => false,
    }
}
