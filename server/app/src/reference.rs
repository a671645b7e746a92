//! Pages of the book that are made from the program itself: settings, commands, tools. A test holds them current.
use std::fmt::Write as _;

use clap::{CommandFactory as _, Subcommand};
use kernel::{Access, Category};
use serde_json::{Value, json};

use crate::{cli::Cli, config, terminal::Shown};

#[derive(Debug, Subcommand)]
pub enum Docs {
    /// docs/reference/tools.md
    Tools,
    /// docs/reference/commands.md
    Commands,
    /// docs/reference/configuration.md
    Configuration,
}
impl Docs {
    pub fn print(&self) -> Shown {
        let text = match self {
            Self::Tools => tools(),
            Self::Commands => commands(),
            Self::Configuration => config::reference(),
        };
        let value = json!({"text": &text});
        Shown::new(text, value)
    }
}

/// Every tool with its arguments.
fn tools() -> String {
    let count = tools::CATALOGUE.len();
    let mut text = format!(
        "# Tools\n\n\
         <!-- Made by `ocore docs tools` from the tools themselves; change their files and run `make docs`. -->\n\n\
         There are {count} tools. On `/mcp` a tool is named after its instance: `prod_search_read` is `search_read` on the instance `prod`\n\
         (hyphens of the slug become underscores). On `/mcp/i/prod` it is `search_read`. Tools of the category platform start with `ocore_`\n\
         and have no instance before them.\n\n\
         Access says what a tool can do: *read* changes nothing; *write* changes something and answers to `dry_run`; *destructive* also asks\n\
         for a confirmation. *Guarded* tools are refused while writes are off for the instance.\n\n\
         Every tool also takes `timeout_seconds` (15, at most 120) and `max_response_size` (KB, 50); what reads or writes records takes\n\
         `context`; what writes takes `dry_run`, `confirm`, `confirm_token` and `idempotency_key`.\n"
    );
    for category in Category::ALL {
        let mut of: Vec<_> = tools::CATALOGUE.iter().filter(|t| t.facts.category == *category).collect();
        if of.is_empty() {
            continue;
        }
        of.sort_by_key(|t| t.facts.name);
        let _ = write!(text, "\n## {category}\n");
        for tool in of {
            let schema = Value::from((tool.input)());
            let facts = &tool.facts;
            let mut access = facts.access.to_string();
            if facts.least < facts.access && facts.least == Access::Read {
                access.push_str(", or read, as its arguments say");
            }
            if facts.guarded() {
                access.push_str("; guarded");
            }
            if let Some(rate) = tool.per_minute {
                let _ = write!(access, "; at most {rate} per minute");
            }
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let _ = write!(text, "\n### `{}`\n\n{}. *{access}*\n\n{description}\n", facts.name, tool.title);
            text.push_str(&arguments(&schema));
        }
    }
    text
}

fn arguments(schema: &Value) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|p| !p.is_empty()) else {
        return String::new();
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|r| r.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut text = String::from("\n| argument | kind | meaning |\n|---|---|---|\n");
    for (name, about) in properties {
        let mark = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let mut meaning =
            about.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        if let Some(default) = about.get("default").filter(|d| !d.is_null()) {
            let _ = write!(meaning, " Default: `{default}`.");
        }
        let _ = writeln!(text, "| `{name}`{mark} | {} | {} |", kind(about), meaning.trim());
    }
    text
}

/// The kind of an argument, in words.
fn kind(about: &Value) -> String {
    if let Some(values) = about.get("enum").and_then(Value::as_array) {
        return values.iter().filter_map(Value::as_str).map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    }
    let word = |kind: &str| match kind {
        "integer" | "number" => "number",
        "array" => "list",
        "object" => "object",
        "boolean" => "true or false",
        "null" => "null",
        _ => "text",
    };
    match about.get("type") {
        Some(Value::String(kind)) => word(kind).to_owned(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).filter(|k| *k != "null").map(word).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// Every command with its options.
fn commands() -> String {
    let mut text = String::from(
        "# Command line\n\n\
         <!-- Made by `ocore docs commands`; change server/app/src/cli and run `make docs`. -->\n\n\
         Answers go to standard output, errors to standard error. With `--json` an answer is one JSON document and an error is\n\
         `{\"error\": {\"code\", \"message\", \"next\"}}`. Lists are arrays. Every command also works while a server runs on the same store; a\n\
         server takes changes over within about a second.\n\n\
         | exit code | meaning |\n|---|---|\n\
         | 0 | done |\n| 1 | failed: the same command may work later |\n| 2 | wrong use: the command line or the configuration is wrong |\n\
         | 3 | refused: not allowed, or what it is about does not exist |\n| 4 | unknown outcome: look before you repeat |\n\n\
         Secrets are read from standard input, a file or a prompt, never from an argument. Two secrets on standard input are two lines, in the\n\
         order of the options. `--help` after any command explains it.\n\n\
         Options of every command: `--data DIR`, `--config FILE`, `--json`, `--database-url URL`.\n",
    );
    let mut root = Cli::command();
    root.build();
    for command in root.get_subcommands().filter(|c| !c.is_hide_set()) {
        describe(command, &format!("ocore {}", command.get_name()), &mut text);
    }
    text
}

fn describe(command: &clap::Command, name: &str, text: &mut String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let inner: Vec<_> = command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help").collect();
    if !inner.is_empty() {
        for sub in inner {
            describe(sub, &format!("{name} {}", sub.get_name()), text);
        }
        return;
    }
    let mut line = name.to_owned();
    let shown =
        |arg: &&clap::Arg| !arg.is_global_set() && !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version");
    let mut rows = String::new();
    for arg in command.get_arguments().filter(shown) {
        let value = arg.get_value_names().and_then(|v| v.first()).map(ToString::to_string).unwrap_or_default();
        let takes = arg.get_action().takes_values();
        let word = match (arg.get_long(), takes) {
            (None, _) => value.clone(),
            (Some(long), true) => format!("--{long} {value}"),
            (Some(long), false) => format!("--{long}"),
        };
        let _ = if arg.is_required_set() { write!(line, " {word}") } else { Ok(()) };
        let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        let choices: Vec<String> = arg.get_possible_values().iter().map(|p| p.get_name().to_owned()).collect();
        if takes && !choices.is_empty() && arg.get_long().is_some() {
            let _ = write!(meaning, " ({})", choices.join(", "));
        }
        if let Some(default) = arg.get_default_values().first().filter(|_| takes) {
            let _ = write!(meaning, " [default: {}]", default.to_string_lossy());
        }
        let required = if arg.is_required_set() { " (required)" } else { "" };
        let _ = writeln!(rows, "| `{}`{required} | {} |", word.replace('|', "\\|"), meaning.trim());
    }
    let _ = write!(text, "\n## `{line}`\n\n{about}.\n");
    if !rows.is_empty() {
        let _ = write!(text, "\n| option | meaning |\n|---|---|\n{rows}");
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test reads the book")]
mod tests {
    use super::*;

    /// `make docs` writes them.
    #[test]
    fn the_generated_pages_are_current() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
        for (file, made) in [("tools.md", tools()), ("commands.md", commands()), ("configuration.md", config::reference())] {
            let there = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert!(there.trim_end() == made.trim_end(), "docs/reference/{file} is not current: run make docs");
        }
    }

    /// A page that moved takes its links along.
    #[test]
    fn links_between_the_pages_lead_somewhere() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
        for folder in ["docs", "docs/reference"] {
            let files = std::fs::read_dir(root.join(folder)).unwrap().map(|f| f.unwrap().path());
            pages.extend(files.filter(|f| f.extension().is_some_and(|e| e == "md")));
        }
        for page in pages {
            let text = std::fs::read_to_string(&page).unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.contains("://") || link.starts_with('#') {
                    continue;
                }
                let file = link.split('#').next().unwrap();
                let there = page.parent().unwrap().join(file);
                assert!(there.exists(), "{}: {link}", page.display());
                if let Some((_, head)) = link.split_once('#') {
                    let text = std::fs::read_to_string(&there).unwrap();
                    let heads = text.lines().filter(|l| l.starts_with('#'));
                    let mut anchors = heads.map(|l| l.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-"));
                    assert!(anchors.any(|a| a == head), "{}: {link}", page.display());
                }
            }
        }
    }
}
