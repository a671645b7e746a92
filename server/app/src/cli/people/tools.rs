//! `ocore tools`
use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::{
    Target,
    mcp::{Instance, Tool},
    plain,
};
use crate::{
    failure::{Failure, Result},
    terminal::{self, Shown},
};

#[derive(Debug, Args)]
pub struct Tools {
    /// Only tools whose name, title or description has all of these words; one tool is shown with its arguments
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those of this instance, named without it
    #[arg(long, value_name = "SLUG")]
    instance: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Tools {
    pub async fn run(self) -> Result<Shown> {
        let access = self.target.open().await?;
        let mut tools = access.tools(self.instance.as_deref()).await?;
        if let Some(slug) = &self.instance {
            let prefix = prefix(slug);
            tools.retain(|tool| tool.name.starts_with(&prefix));
            for tool in &mut tools {
                tool.name = tool.name.split_off(prefix.len());
            }
        }
        if let Some(search) = &self.search {
            let words: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
            tools.retain(|tool| {
                let text = format!("{} {} {}", tool.name, tool.title.as_deref().unwrap_or(""), tool.description).to_lowercase();
                words.iter().all(|word| text.contains(word))
            });
        }
        // What has the text in its name comes first.
        let text = self.search.as_deref().unwrap_or("").trim().to_lowercase();
        tools.sort_by_cached_key(|tool| (tool.name != text, !tool.name.contains(&text), tool.name.clone()));
        let value: Value = tools.iter().map(|tool| {
            json!({"name": tool.name, "title": tool.title, "description": tool.description, "access": tool.access(), "arguments": tool.input})
        }).collect();
        // A name that is meant exactly, or the only one that is found.
        let one = match (tools.as_slice(), &self.search) {
            ([tool], Some(_)) => Some(tool),
            (_, Some(name)) => tools.iter().find(|tool| tool.name == *name),
            _ => None,
        };
        let text = match one {
            Some(tool) => explain(tool, self.instance.as_deref()),
            None => list(&tools),
        };
        Ok(Shown::new(text, value))
    }
}

fn list(tools: &[Tool]) -> String {
    let room = super::width().map_or(100, |width| {
        let names = tools.iter().map(|t| t.name.chars().count()).max().unwrap_or(0);
        width.saturating_sub(names + 17).max(20)
    });
    let rows: Vec<Vec<String>> = tools
        .iter()
        .map(|tool| {
            let first = tool.description.split_once(". ").map_or(tool.description.as_str(), |(first, _)| first);
            vec![plain::cut(&tool.name, 80), tool.access().to_owned(), plain::cut(first, room)]
        })
        .collect();
    terminal::table(
        &["TOOL", "ACCESS", "WHAT IT DOES"],
        &rows,
        "No tool is found. ocore tools without --search lists all that you may call.",
    )
}

/// One tool with its arguments, as they are written.
fn explain(tool: &Tool, instance: Option<&str>) -> String {
    let title = tool.title.as_deref().map(|t| format!(": {}", plain::cut(t, 100))).unwrap_or_default();
    let mut text = format!("{}{title} ({})\n{}\n\n", plain::cut(&tool.name, 80), tool.access(), plain::lines(&tool.description));
    let required: Vec<&str> = tool.required().collect();
    let mut rows = Vec::new();
    for (name, schema) in tool.input.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let said = |member: &str| schema.get(member).and_then(Value::as_str).unwrap_or("");
        let mut about = plain::cut(said("description"), 200);
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            let choices = choices.iter().map(|c| super::render::cell(c, 40)).collect::<Vec<_>>().join(", ");
            let before = about.trim_end_matches('.');
            about = format!("{before}{}one of {choices}", if before.is_empty() { "" } else { "; " });
        }
        let must = if required.contains(&name.as_str()) { "required" } else { "" };
        rows.push(vec![plain::cut(name, 60), plain::cut(said("type"), 20), must.to_owned(), about]);
    }
    text.push_str(&terminal::table(&["ARGUMENT", "TYPE", "", "MEANING"], &rows, "It takes no arguments."));
    let on = instance.map(|slug| format!(" --instance {}", plain::cut(slug, 60))).unwrap_or_default();
    let example = examples(required.into_iter());
    let _ = write!(text, "\nCall it: ocore call {}{on}{example}", plain::cut(&tool.name, 80));
    text
}

/// How arguments are written, each after a space. A secret does not stand on a command line.
pub fn examples<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let value = |name: &str| if kernel::redact::is_secret_name(name) && name != "key" { "=@-" } else { "=…" };
    names.fold(String::new(), |text, name| text + " " + &plain::cut(name, 60) + value(name))
}

/// What the tools of an instance start with.
pub fn prefix(slug: &str) -> String {
    format!("{}_", slug.replace('-', "_"))
}

/// Which tool a person means.
#[derive(Debug, PartialEq, Eq)]
pub struct Meant {
    /// The names that the server may know it by, likelier ones first.
    names: Vec<String>,
    /// The instance that it is for; none: the platform's own.
    pub slug: Option<String>,
}
impl Meant {
    /// The first that is listed; else the likeliest, which is not.
    pub fn among<'a>(&self, listed: &'a [Tool]) -> Result<&'a Tool, &str> {
        let found = self.names.iter().find_map(|name| listed.iter().find(|tool| tool.name == *name));
        found.ok_or_else(|| self.names.first().map_or("", String::as_str))
    }
}

/// A name may be said with the instance before it or without. Where a tool begins like an instance is called (`search_read` where there
/// is an instance `search`), both can be meant: with `--instance` its tools are named without it, else with it.
///
/// # Errors
/// When it cannot be told which instance is meant.
pub fn meant(name: &str, instance: Option<&str>, instances: &[Instance]) -> Result<Meant> {
    if let Some(slug) = instance {
        let prefix = prefix(slug);
        let (short, full) = (format!("{prefix}{name}"), name.to_owned());
        let names = if name.starts_with("ocore_") {
            vec![full, short]
        } else if name.starts_with(&prefix) {
            vec![short, full]
        } else {
            vec![short]
        };
        return Ok(Meant { names, slug: Some(slug.to_owned()) });
    }
    if name.starts_with("ocore_") {
        return Ok(Meant { names: vec![name.to_owned()], slug: None });
    }
    let named = instances.iter().filter(|i| name.starts_with(&i.tool_prefix)).max_by_key(|i| i.tool_prefix.len());
    match (named, instances) {
        (Some(instance), _) => {
            let mut names = vec![name.to_owned()];
            if let [only] = instances {
                names.push(format!("{}{name}", only.tool_prefix));
            }
            Ok(Meant { names, slug: Some(instance.slug.clone()) })
        }
        (None, [only]) => Ok(Meant { names: vec![format!("{}{name}", only.tool_prefix)], slug: Some(only.slug.clone()) }),
        (None, []) => Err(Failure::new(crate::failure::Exit::Refused, "not_found", "There is no instance that you may use.")
            .next("An administrator of your organization grants them.")),
        (None, several) => {
            let slugs: Vec<String> = several.iter().map(|i| plain::cut(&i.slug, 40)).take(10).collect();
            Err(Failure::usage(format!("On which instance is {} meant?", plain::cut(name, 80)))
                .next(format!("Add --instance, one of {}.", slugs.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(slugs: &[&str]) -> Vec<Instance> {
        slugs.iter().map(|slug| Instance { slug: (*slug).to_owned(), tool_prefix: prefix(slug) }).collect()
    }
    fn listed(names: &[&str]) -> Vec<Tool> {
        names.iter().map(|name| serde_json::from_value(json!({"name": name})).unwrap()).collect()
    }

    #[test]
    fn a_tool_is_meant_on_an_instance() {
        let two = instances(&["dev", "dev-eu"]);
        let name = |name, instance, of: &[Instance]| {
            meant(name, instance, of).map(|m| format!("{} {}", m.names[0], m.slug.unwrap_or_default()))
        };
        assert_eq!(name("search_read", Some("dev-eu"), &[]).unwrap(), "dev_eu_search_read dev-eu");
        assert_eq!(name("dev_eu_read", None, &two).unwrap(), "dev_eu_read dev-eu");
        assert_eq!(name("dev_read", None, &two).unwrap(), "dev_read dev");
        assert_eq!(name("ocore_list_instances", None, &two).unwrap(), "ocore_list_instances ");
        assert_eq!(name("read", None, &instances(&["prod"])).unwrap(), "prod_read prod");
        assert!(name("read", None, &two).unwrap_err().next.contains("dev, dev-eu"));
        assert_eq!(name("read", None, &[]).unwrap_err().exit, crate::failure::Exit::Refused);
    }

    #[test]
    fn a_tool_that_begins_like_its_instance_is_told_from_another() {
        let tools = listed(&["search_read", "search_search_read", "search_search_fields", "ocore_list_instances"]);
        let one = instances(&["search"]);
        let called = |name, instance, of: &[Instance]| {
            meant(name, instance, of).unwrap().among(&tools).map_or_else(|no| format!("no {no}"), |tool| tool.name.clone())
        };
        for (name, instance, tool) in [
            ("search_read", Some("search"), "search_search_read"),
            ("read", Some("search"), "search_read"),
            ("search_search_read", Some("search"), "search_search_read"),
            ("ocore_list_instances", Some("search"), "ocore_list_instances"),
            // Without --instance a whole name is a whole name.
            ("search_read", None, "search_read"),
            ("search_fields", None, "search_search_fields"),
            ("search_nope", Some("search"), "no search_search_nope"),
        ] {
            assert_eq!(called(name, instance, if instance.is_some() { &[] } else { &one }), tool, "{name} {instance:?}");
        }
    }
}
