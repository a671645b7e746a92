//! `ocore demo`: everything that a first installation needs, made by itself, and one real call to show it.
use admin::{
    instances::{InstanceUpdate, Login, NewInstance},
    servers::NewServer,
    users::NewUser,
};
use clap::Args;
use kernel::{Environment, Permissions, Role, RpcDialect, TimeDelta};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::{
    cli::{Given, input, instance, key},
    failure::{Exit, Failure, Result},
    http, logging, serve, terminal,
    wiring::Base,
};

/// The slug of everything that the demonstration makes.
const NAME: &str = "demo";
const USER: &str = "demo@example.com";
/// A demonstration's key is not forgotten in somebody's configuration for good.
const KEY_DAYS: i64 = 7;

#[derive(Debug, Args)]
pub struct Demo {
    /// The Odoo, as browsers open it
    #[arg(long, env = "OCORE_DEMO_URL", value_name = "URL")]
    odoo_url: String,
    /// The name of its database
    #[arg(long, env = "OCORE_DEMO_DATABASE", value_name = "NAME")]
    odoo_database: String,
    /// The Odoo user as whom ocore works
    #[arg(long, env = "OCORE_DEMO_LOGIN", default_value = "admin", value_name = "LOGIN")]
    odoo_login: String,
    /// Reads the user's password or API key from standard input [else env: OCORE_DEMO_PASSWORD]
    #[arg(long)]
    odoo_password_stdin: bool,
    /// Address and port [default: that of the configuration, or a free port when it is taken]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

impl Demo {
    pub async fn run(self, given: &Given) -> Result<()> {
        let secret = self.secret()?;
        let mut settings = given.settings(self.listen.as_deref(), None)?;
        if settings.log_level.is_none() {
            // People read this terminal.
            settings.log_level = Some("warn".into());
        }
        logging::for_server(&settings)?;
        // The Odoo of a demonstration runs on this machine.
        settings.instance_networks.extend(loopback());
        let base = Base::open(&settings).await?;
        say(given, "Registering the Odoo and checking its login …");
        let login = Login { login: self.odoo_login.clone(), secret, dialect: RpcDialect::Auto };
        prepare(&base, &self, login).await?;
        let made = new_key(&base).await?;
        let sign_in = admin::users::reset_link(&base.admin, &base.by, USER).await?;

        let serving = match serve::start(&settings, base.clone()).await {
            Err(failure) if self.listen.is_none() && failure.message.contains("in use") => {
                settings.listen = "127.0.0.1:0".into();
                serve::start(&settings, base).await?
            }
            other => other?,
        };
        let url = format!("{}/mcp", serving.url);
        let sign_in = format!("{}{}", serving.url, admin::users::reset_path(sign_in.text.expose_secret()));
        let key = made.text.expose_secret();
        let partners = ask(&url, key).await?;
        if given.global.json {
            terminal::out(
                &json!({"url": url, "key": key, "instance": NAME, "user": USER, "sign_in": sign_in, "answer": partners})
                    .to_string(),
            );
        } else {
            terminal::out(&greeting(&url, key, &sign_in, &self, &partners));
        }
        serving.until_told().await
    }

    fn secret(&self) -> Result<SecretString> {
        let from_environment = std::env::var("OCORE_DEMO_PASSWORD").ok().filter(|v| !v.is_empty());
        match from_environment {
            _ if self.odoo_password_stdin => input::line("the password"),
            Some(secret) => Ok(secret.into()),
            None if terminal::interactive() => input::prompt(&format!("the password of {}", self.odoo_login)),
            None => Err(Failure::usage("The Odoo login needs its password.")
                .next("Add --odoo-password-stdin, or set OCORE_DEMO_PASSWORD.")),
        }
    }
}

fn loopback() -> impl Iterator<Item = ipnet::IpNet> {
    ["127.0.0.0/8", "::1/128"].into_iter().filter_map(|n| n.parse().ok())
}

fn say(given: &Given, text: &str) {
    if !given.global.json {
        terminal::remark(text);
    }
}

/// Makes what is not there yet; what is there from an earlier start stays.
async fn prepare(base: &Base, demo: &Demo, login: Login) -> Result<()> {
    let (admin, by) = (&base.admin, &base.by);
    there(admin::orgs::create(admin, by, NAME, "Demonstration").await)?;
    there(
        admin::servers::create(
            admin,
            by,
            &NewServer { org: NAME.into(), name: NAME.into(), docker: None, secret: None, path_roots: vec![] },
        )
        .await,
    )?;
    // Without a password until somebody sets one with the link that is printed; it owns the keys.
    let user = NewUser { email: USER.into(), member: Some((NAME.into(), Role::Owner)), password_hash: None, operator: false };
    there(admin::users::create(admin, by, &user).await)?;
    match admin::instances::show(admin, by, NAME).await.map_err(Failure::from) {
        Ok(old) => {
            let change = InstanceUpdate {
                url: Some(demo.odoo_url.clone()),
                database: Some(demo.odoo_database.clone()),
                login: Some(Some(login)),
                ..InstanceUpdate::default()
            };
            instance::change_to(base, &old, &change, true).await?;
        }
        Err(failure) if failure.code == "not_found" => {
            let new = NewInstance {
                org: NAME.into(),
                server: NAME.into(),
                slug: NAME.into(),
                name: Some("Demonstration".into()),
                url: demo.odoo_url.clone(),
                database: demo.odoo_database.clone(),
                environment: Environment::Development,
                write_enabled: None,
                login: Some(login),
                postgres_url: None,
                postgres_ca: None,
                posthog: None,
                container: None,
                addons: Vec::new(),
                backups: None,
                concurrency: None,
            };
            instance::register(base, &new, true).await?;
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// What exists already is fine.
fn there<T>(made: kernel::Result<T>) -> Result<()> {
    match made.map_err(Failure::from) {
        Err(failure) if failure.code != "conflict" => Err(failure),
        _ => Ok(()),
    }
}

async fn new_key(base: &Base) -> Result<key::Made> {
    let expires = base.admin.sources.now() + TimeDelta::days(KEY_DAYS);
    key::make(base, NAME.into(), Some(USER.into()), None, NAME.into(), Permissions::all(), Some(expires)).await
}

const QUESTION: &str =
    r#"{"model": "res.partner", "domain": [["is_company", "=", true]], "fields": ["name", "email", "city"], "limit": 3}"#;

/// One call of a tool, as an assistant makes it.
async fn ask(url: &str, key: &str) -> Result<Value> {
    let arguments: Value = serde_json::from_str(QUESTION).unwrap_or_default();
    let tool = format!("{NAME}_search_read");
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "ocore-demo", "version": env!("CARGO_PKG_VERSION")},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    let answer = http::client()?
        .post(url)
        .bearer_auth(key)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", &tool)
        .body(body.to_string())
        .send()
        .await
        .map_err(|e| Failure::because("The server of the demonstration does not answer", &e))?;
    let text = answer.text().await.map_err(|e| Failure::because("The answer could not be read", &e))?;
    let answer: Value = serde_json::from_str(&text).map_err(|e| Failure::because("The answer is no JSON", &e))?;
    let result = answer.get("result").cloned().unwrap_or_default();
    let content = result.get("structuredContent").cloned().unwrap_or_default();
    if result.get("isError").and_then(Value::as_bool) == Some(false) || (!result.is_null() && result.get("isError").is_none()) {
        return Ok(content);
    }
    let said = |name: &str| content.get(name).and_then(Value::as_str).map(str::to_owned);
    let error = answer.pointer("/error/message").and_then(Value::as_str).map(str::to_owned);
    let message = said("message").or(error).unwrap_or_else(|| "no reason was given".into());
    Err(Failure::new(Exit::Failed, "failed", format!("The first call did not work: {message}"))
        .next(said("next").unwrap_or_default()))
}

fn greeting(url: &str, key: &str, sign_in: &str, demo: &Demo, answer: &Value) -> String {
    let records = answer.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
    let cell = |record: &Value, name: &str| match record.get(name) {
        Some(Value::String(text)) => terminal::printable(text),
        _ => "-".to_owned(),
    };
    let rows: Vec<Vec<String>> = records.iter().map(|r| ["name", "email", "city"].iter().map(|n| cell(r, n)).collect()).collect();
    let table = terminal::table(&["NAME", "EMAIL", "CITY"], &rows, "(no companies in this database)");
    let table = table.lines().fold(String::new(), |text, line| text + "  " + line + "\n");
    let base = url.trim_end_matches("/mcp");
    format!(
        "\nAsked  {NAME}_search_read {QUESTION}\n\
         Answer of the Odoo at {} (database {}):\n\n{}\n\
         Dashboard: {base}/\n\
         \x20 {USER} chooses a password here, within the hour: {sign_in}\n\
         MCP: {url}\n\
         API key (valid for {KEY_DAYS} days): {key}\n\n\
         Connect an assistant, and say in the browser what it may do:\n\
         \x20 claude mcp add --transport http ocore {url}\n\
         Or with the key:\n\
         \x20 claude mcp add --transport http ocore {url} --header \"Authorization: Bearer {key}\"\n\
         Or by hand:\n\
         \x20 curl -s {base}/mcp -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n\
         \x20   -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2025-11-25' \\\n\
         \x20   -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}}'\n\n\
         It serves until Ctrl-C.",
        demo.odoo_url, demo.odoo_database, table,
    )
}
