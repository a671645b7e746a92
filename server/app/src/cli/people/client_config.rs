//! `ocore client-config`: what an AI assistant needs to know of an ocore, in the form and at the place that it wants.
//!
//! Never with a key in it: clients sign in by OAuth, and `ocore stdio` uses the login of this machine.
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    Target,
    address::{self, Address},
    logins::Logins,
};
use crate::{
    failure::{Failure, Result},
    terminal::Shown,
};

#[derive(Debug, Args)]
pub struct ClientConfig {
    #[arg(value_enum)]
    client: Client,
    /// The address of the ocore [default: where you are signed in]
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    url: Option<String>,
    /// Through `ocore stdio` on this machine, with your login, instead of over HTTP
    #[arg(long)]
    stdio: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
    Chatgpt,
    Codex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Linux,
    Mac,
    Windows,
}
impl System {
    const fn this() -> Self {
        if cfg!(target_os = "macos") {
            Self::Mac
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Linux
        }
    }
}

impl ClientConfig {
    pub async fn run(self) -> Result<Shown> {
        let address = match &self.url {
            Some(url) => address::read("--url", url)?,
            None => self.known().await?,
        };
        let program = if self.stdio { program() } else { String::new() };
        let advice = advice(self.client, &address, self.stdio.then_some(program.as_str()), System::this())?;
        let value = json!({
            "client": self.client.to_possible_value().map(|v| v.get_name().to_owned()),
            "file": advice.file,
            "config": advice.config,
            "command": advice.command,
            "steps": advice.steps,
        });
        Ok(Shown::new(advice.text(), value))
    }

    /// The server that is meant, without a need of tokens.
    async fn known(&self) -> Result<Address> {
        let book = Logins::of_this_person()?.read().await?;
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        let named = self.target.server.clone().or_else(|| variable("OCORE_SERVER")).or_else(|| variable("OCORE_URL"));
        match named {
            Some(named) => match book.find(&named) {
                Some((url, _)) => address::read("The login", url),
                None => address::read("--server", &named),
            },
            None => match &book.default {
                Some(url) => address::read("The login", url),
                None => Err(Failure::usage("Which ocore is meant?").next("Add --url https://ocore.example.com.")),
            },
        }
    }
}

/// This program, as another one can start it.
fn program() -> String {
    let here = std::env::current_exe().ok();
    here.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| "ocore".to_owned())
}

#[derive(Debug, Default)]
struct Advice {
    /// What to do, in order.
    steps: Vec<String>,
    /// Where `config` goes.
    file: Option<String>,
    config: Option<String>,
    /// What does the same in a shell.
    command: Option<String>,
    remarks: Vec<String>,
}
impl Advice {
    fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(command) = &self.command {
            parts.push(format!("Run:\n\n{command}"));
        }
        if let (Some(file), Some(config)) = (&self.file, &self.config) {
            let begin = if self.command.is_some() { "Or add to" } else { "Add to" };
            parts.push(format!("{begin} {file}:\n\n{config}"));
        }
        if !self.steps.is_empty() {
            let steps: Vec<String> = self.steps.iter().zip(1..).map(|(step, number)| format!("{number}. {step}")).collect();
            parts.push(steps.join("\n"));
        }
        parts.extend(self.remarks.iter().cloned());
        parts.join("\n\n")
    }
}

/// `program`: for a connection through `ocore stdio`.
fn advice(client: Client, address: &Address, program: Option<&str>, system: System) -> Result<Advice> {
    const SIGN_IN: &str = "It opens a page of ocore, where you say what it may do.";
    const LOCAL: &str = "This address is reached from this machine alone.";
    let url = address.resource();
    let arguments = ["stdio", "--server", address.as_str()];
    let login = format!("It uses your login of this machine: ocore login {address}");
    let path = |linux: &str, mac: &str, windows: &str| {
        Some(match system {
            System::Linux => linux.to_owned(),
            System::Mac => mac.to_owned(),
            System::Windows => windows.to_owned(),
        })
    };
    let mut advice = Advice::default();
    match (client, program) {
        (Client::ClaudeDesktop, Some(program)) => {
            advice.file = path(
                "~/.config/Claude/claude_desktop_config.json",
                "~/Library/Application Support/Claude/claude_desktop_config.json",
                "%APPDATA%\\Claude\\claude_desktop_config.json",
            );
            advice.config = Some(pretty(&json!({"mcpServers": {"ocore": {"command": program, "args": arguments}}})));
            advice.remarks.push(format!("{login}. Start Claude Desktop anew afterwards."));
        }
        (Client::ClaudeDesktop, None) => {
            advice.steps = vec![
                "In Claude Desktop or on claude.ai open Settings, then Connectors.".into(),
                format!("Choose \"Add custom connector\", name it ocore, and enter {url}"),
                format!("Choose Connect. {SIGN_IN}"),
            ];
            if address.is_loopback() {
                advice.remarks.push(format!("{LOCAL} Connectors are reached from Anthropic's servers: use --stdio here."));
            }
        }
        (Client::ClaudeCode, Some(program)) => {
            advice.command = Some(format!("claude mcp add ocore -- {} {}", quoted(program, system), arguments.join(" ")));
            advice.file = Some(".mcp.json of a project".into());
            advice.config =
                Some(pretty(&json!({"mcpServers": {"ocore": {"type": "stdio", "command": program, "args": arguments}}})));
            advice.remarks.push(format!("{login}."));
        }
        (Client::ClaudeCode, None) => {
            advice.command = Some(format!("claude mcp add --transport http ocore {url}"));
            advice.file = Some(".mcp.json of a project".into());
            advice.config = Some(pretty(&json!({"mcpServers": {"ocore": {"type": "http", "url": url}}})));
            advice.remarks.push(format!("Then type /mcp in Claude Code and authenticate. {SIGN_IN}"));
        }
        (Client::Cursor, program) => {
            advice.file = path("~/.cursor/mcp.json", "~/.cursor/mcp.json", "%USERPROFILE%\\.cursor\\mcp.json");
            let server = program.map_or_else(|| json!({"url": url}), |program| json!({"command": program, "args": arguments}));
            advice.config = Some(pretty(&json!({"mcpServers": {"ocore": server}})));
            advice.remarks.push(if program.is_some() {
                format!("{login}.")
            } else {
                format!("Then choose Connect in Cursor's settings, under MCP. {SIGN_IN}")
            });
        }
        (Client::Vscode, program) => {
            advice.file = path(
                "~/.config/Code/User/mcp.json, or .vscode/mcp.json of a project",
                "~/Library/Application Support/Code/User/mcp.json, or .vscode/mcp.json of a project",
                "%APPDATA%\\Code\\User\\mcp.json, or .vscode\\mcp.json of a project",
            );
            let server = program.map_or_else(
                || json!({"type": "http", "url": url}),
                |program| json!({"type": "stdio", "command": program, "args": arguments}),
            );
            advice.config = Some(pretty(&json!({"servers": {"ocore": server}})));
            advice.remarks.push(if program.is_some() {
                format!("{login}.")
            } else {
                format!("Then choose Start above the entry. {SIGN_IN}")
            });
        }
        (Client::Chatgpt, Some(_)) => {
            return Err(Failure::usage("ChatGPT starts no programs on this machine.")
                .next("Leave --stdio out; ChatGPT then reaches ocore over the internet."));
        }
        (Client::Chatgpt, None) => {
            advice.steps = vec![
                "On chatgpt.com open Settings, then Apps & Connectors, then Advanced settings, and switch on developer mode."
                    .into(),
                format!("Back under Apps & Connectors choose Create, name it ocore, and enter {url}"),
                format!("Choose OAuth as authentication, then Create. {SIGN_IN}"),
            ];
            if address.is_loopback() {
                advice.remarks.push(format!("{LOCAL} ChatGPT needs one that the internet reaches."));
            }
        }
        (Client::Codex, program) => {
            advice.file = path("~/.codex/config.toml", "~/.codex/config.toml", "%USERPROFILE%\\.codex\\config.toml");
            if let Some(program) = program {
                let list = arguments.map(toml).join(", ");
                advice.command = Some(format!("codex mcp add ocore -- {} {}", quoted(program, system), arguments.join(" ")));
                advice.config = Some(format!("[mcp_servers.ocore]\ncommand = {}\nargs = [{list}]", toml(program)));
                advice.remarks.push(format!("{login}."));
            } else {
                advice.command = Some(format!("codex mcp add ocore --url {url}"));
                advice.config = Some(format!("[mcp_servers.ocore]\nurl = {}", toml(&url)));
                advice.remarks.push(format!("Then: codex mcp login ocore. {SIGN_IN}"));
            }
        }
    }
    Ok(advice)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A basic string (TOML 1.0): JSON's escapes are all among TOML's, and DEL alone is missing from them.
fn toml(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// One word of a shell's command.
fn quoted(text: &str, system: System) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '\\'));
    match system {
        System::Windows if !plain => format!("\"{text}\""),
        System::Linux | System::Mac if !plain || text.contains('\\') => format!("'{}'", text.replace('\'', "'\\''")),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Client; 6] =
        [Client::ClaudeDesktop, Client::ClaudeCode, Client::Cursor, Client::Vscode, Client::Chatgpt, Client::Codex];

    #[test]
    fn every_form_is_valid_names_the_server_and_a_place() {
        let address = Address::parse("https://ocore.example").unwrap();
        let odd = "/opt/my \"tools\"/it's/ocore";
        for client in ALL {
            for program in [None, Some(odd)] {
                for system in [System::Linux, System::Mac, System::Windows] {
                    let Ok(advice) = advice(client, &address, program, system) else {
                        assert_eq!((client, program), (Client::Chatgpt, Some(odd)));
                        continue;
                    };
                    let text = advice.text();
                    assert!(text.contains("https://ocore.example"), "{client:?}: {text}");
                    let Some(config) = &advice.config else { continue };
                    assert!(advice.file.is_some());
                    let server = if client == Client::Codex {
                        config.clone()
                    } else {
                        let value: Value = serde_json::from_str(config).unwrap();
                        let top = if client == Client::Vscode { "servers" } else { "mcpServers" };
                        let server = &value[top]["ocore"];
                        match program {
                            Some(program) => assert_eq!(
                                (&server["command"], &server["args"][2]),
                                (&json!(program), &json!("https://ocore.example"))
                            ),
                            None => assert_eq!(server["url"], "https://ocore.example/mcp"),
                        }
                        config.clone()
                    };
                    assert!(!server.to_lowercase().contains("authorization") && !server.contains("ock_"));
                }
            }
        }
    }

    #[test]
    fn codex_reads_toml() {
        let address = Address::parse("https://ocore.example").unwrap();
        let toml = advice(Client::Codex, &address, Some("C:\\ocore \"x\".exe"), System::Windows).unwrap().config.unwrap();
        assert_eq!(
            toml,
            "[mcp_servers.ocore]\ncommand = \"C:\\\\ocore \\\"x\\\".exe\"\nargs = [\"stdio\", \"--server\", \"https://ocore.example\"]"
        );
        let command = advice(Client::Codex, &address, Some("/my tools/it's"), System::Linux).unwrap().command.unwrap();
        assert_eq!(command, "codex mcp add ocore -- '/my tools/it'\\''s' stdio --server https://ocore.example");
    }

    #[test]
    fn hosts_on_the_internet_are_told_that_loopback_is_not() {
        let address = Address::parse("http://127.0.0.1:8321").unwrap();
        for client in [Client::ClaudeDesktop, Client::Chatgpt] {
            assert!(advice(client, &address, None, System::Linux).unwrap().text().contains("this machine alone"));
        }
    }
}
