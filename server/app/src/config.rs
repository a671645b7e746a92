//! Every setting: where it comes from, what it means, what it is when nobody says anything.
//!
//! An argument beats the environment, which beats the configuration file, which beats the default. [`KEYS`] is the one list; the
//! reference in the book and the sample file are made from it, and an unknown key in the file is an error.
use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use admin::impersonations::Places;
use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format as _, Toml},
    value::{Dict, Map, Tag, Value as Figured},
};
use identity::{oauth::redirect::Schemes, openid};
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{DbUrl, vault::KeySource};
use url::Url;

use crate::{
    failure::{Failure, Result, nearest},
    terminal::{self, Shown},
};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Flag,
    /// A list in TOML, comma-separated in the environment.
    List,
    /// Tables in TOML; not in the environment.
    Tables,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As it is written in TOML; empty when there is no default value.
    pub default: &'static str,
    /// An example for the sample file, where the default is none.
    pub example: &'static str,
    pub secret: bool,
    pub meaning: &'static str,
}

macro_rules! keys {
    ($($name:ident: $kind:ident $(secret $secret:literal)? = $default:literal, $example:literal, $meaning:literal;)+) => {
        /// Every setting there is.
        pub const KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            kind: Kind::$kind,
            default: $default,
            example: $example,
            secret: false $(|| $secret)?,
            meaning: $meaning,
        }),+];
    };
}
keys! {
    data: Text = "", "\"/var/lib/ocore\"", "The folder of the store, its key and nothing else. Default: `/var/lib/ocore` for root, else `$XDG_DATA_HOME/ocore` or `~/.local/share/ocore`. Made with mode 0700 when it is missing.";
    listen: Text = "\"127.0.0.1:8321\"", "", "Address and port of the HTTP server. Port 0 takes a free one, which is printed.";
    public_url: Text = "", "\"https://ocore.example.com\"", "The URL that clients use, without `/mcp` or another path. It alone makes links and the Host and Origin that are answered; without it only loopback names are. Set it when a reverse proxy stands before ocore.";
    proxy_domain: Text = "", "\"odoo.example.net\"", "Domain below which instances have host names of their own (`{slug}.odoo.example.net`), for visits as an Odoo user. It needs `public_url`, a DNS record for `*` that leads here, and must be no part of ocore's own host name; another registered domain is best.";
    database_url: Text secret true = "", "\"postgres://ocore@db.internal/ocore\"", "Where the store is: `sqlite:///path/ocore.db` or `postgres://user@host/database`. Default: `ocore.db` in the data folder. As an argument it must not hold a password.";
    database_url_file: Text = "", "\"/run/secrets/ocore-database-url\"", "A file that holds `database_url`, for addresses with a password.";
    instance_networks: List = "[]", "[\"10.20.0.0/16\"]", "Networks beside the public ones in which Odoo instances may live (CIDR). Cloud metadata addresses are refused whatever stands here.";
    trusted_proxies: List = "[]", "[\"10.0.0.5/32\"]", "Reverse proxies whose forwarding headers count (CIDR).";
    allowed_origins: List = "[]", "[\"https://chat.example.com\"]", "Origins of browser clients beside `public_url`'s own.";
    redirect_schemes: List = "[]", "[\"com.example.app://\"]", "Schemes of native applications that OAuth clients may be redirected to, beside those of Cursor and VS Code: `scheme://` with any authority, or `scheme://authority`.";
    openid: Tables = "[]", "[{ slug = \"company\", name = \"Example Ltd\", issuer = \"https://login.example.com\", client_id = \"ocore\" }]", "OpenID Connect providers at which people may sign in, each a table (`[[openid]]`). The guide (\"People\") has every field; `ocore openid check` tries them. The client secret stands in a file that `client_secret_file` names, or in `OCORE_OPENID_{SLUG}_CLIENT_SECRET`.";
    legacy_sessions: Flag = "false", "", "Whether MCP clients of 2025-11-25 and older get sessions. They need one only for requests from the server to the client.";
    metrics_listen: Text = "", "\"127.0.0.1:9321\"", "Address of a listener of its own for Prometheus metrics, without authentication: keep it off public networks.";
    metrics_token: Text secret true = "", "\"a long random text\"", "Bearer token with which `/metrics` answers on the main listener. Without it, it does not.";
    log_level: Text = "\"info,rmcp=warn\"", "", "`error`, `warn`, `info`, `debug` or `trace`, or directives such as `info,gateway=debug`. Logs go to standard error.";
    log_format: Text = "\"text\"", "", "`text` for people, `json` for log collectors.";
    key_file: Text = "", "\"/etc/ocore/ocore.key\"", "The file with the key that seals every stored secret: 32 bytes in base64, mode 0600. Default: `ocore.key` in the data folder, made at the first start.";
    key: Text secret true = "", "\"base64 of 32 bytes\"", "The key itself, in place of a file. Meant for the environment.";
    previous_key: Text secret true = "", "\"base64 of 32 bytes\"", "While a rotation runs, the key before this one. Only together with `key`.";
    previous_key_file: Text = "", "\"/etc/ocore/ocore.key.previous\"", "The same as a file, for a `key_file` that ocore cannot write. A key file that ocore can write needs none: the previous key is kept beside it.";
    calls_per_minute: Number = "100", "", "Calls per minute of an API key that says nothing else.";
    backup_keep_days: Number = "30", "", "Backups of instances that are older are deleted once a day, but never the newest good one. 0 keeps all.";
    backup_limit_megabytes: Number = "2048", "", "The most that one backup of an instance may take.";
    audit_queue_rows: Number = "10000", "", "Audit rows that may wait to be written. When the queue is full calls wait, then are refused; no row is dropped.";
    audit_queue_megabytes: Number = "16", "", "The same in megabytes.";
    shutdown_grace_seconds: Number = "30", "", "How long calls under way may go on after SIGTERM or SIGINT.";
}

/// What the file, the environment and the arguments may hold, all of it optional.
#[derive(Debug, Default, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    data: Option<PathBuf>,
    listen: Option<String>,
    public_url: Option<String>,
    proxy_domain: Option<String>,
    database_url: Option<String>,
    database_url_file: Option<PathBuf>,
    instance_networks: Option<Vec<String>>,
    trusted_proxies: Option<Vec<String>>,
    allowed_origins: Option<Vec<String>>,
    redirect_schemes: Option<Vec<String>>,
    openid: Option<Vec<serde_json::Map<String, Value>>>,
    legacy_sessions: Option<bool>,
    metrics_listen: Option<String>,
    metrics_token: Option<String>,
    log_level: Option<String>,
    log_format: Option<String>,
    key_file: Option<PathBuf>,
    key: Option<String>,
    previous_key: Option<String>,
    previous_key_file: Option<PathBuf>,
    calls_per_minute: Option<u32>,
    backup_keep_days: Option<u32>,
    backup_limit_megabytes: Option<u64>,
    audit_queue_rows: Option<usize>,
    audit_queue_megabytes: Option<usize>,
    shutdown_grace_seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The settings in force.
#[derive(Debug)]
pub struct Settings {
    pub data: PathBuf,
    pub listen: String,
    pub public_url: Option<Url>,
    /// The host names of instances; with `public_url` alone.
    pub places: Option<Places>,
    pub database_url: DbUrl,
    pub instance_networks: Vec<IpNet>,
    pub trusted_proxies: Vec<IpNet>,
    pub allowed_origins: Vec<String>,
    pub redirect_schemes: Schemes,
    pub openid: Vec<openid::Provider>,
    pub legacy_sessions: bool,
    pub metrics_listen: Option<SocketAddr>,
    pub metrics_token: Option<SecretString>,
    /// None when nobody chose one.
    pub log_level: Option<String>,
    pub log_format: LogFormat,
    key: KeyFrom,
    pub calls_per_minute: u32,
    /// None keeps all.
    pub backup_keep_days: Option<u32>,
    /// Bytes.
    pub backup_limit: u64,
    pub audit_queue_rows: usize,
    pub audit_queue_bytes: usize,
    pub shutdown_grace: Duration,
    /// Each setting as it is shown, with where it comes from.
    shown: Vec<(&'static Key, String, String)>,
    /// The configuration file that was read.
    file: Option<PathBuf>,
    /// What is not wrong and should be looked at.
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone)]
enum KeyFrom {
    DataFolder,
    File(PathBuf),
    Value { current: SecretString, previous: Option<SecretString> },
}

/// What the command line says.
#[derive(Debug, Default, Clone)]
pub struct Arguments {
    pub data: Option<PathBuf>,
    pub config: Option<PathBuf>,
    pub database_url: Option<String>,
    pub listen: Option<String>,
    pub public_url: Option<String>,
}

/// The environment, given so that tests bring their own.
pub type Environment = std::collections::BTreeMap<String, String>;

/// The process's own environment, as far as it is text.
pub fn environment() -> Environment {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

const PREFIX: &str = "OCORE_";
/// Variables of ours that are no settings.
const OTHERS: [&str; 10] = [
    "OCORE_CONFIG",
    "OCORE_DEMO_URL",
    "OCORE_DEMO_DATABASE",
    "OCORE_DEMO_LOGIN",
    "OCORE_DEMO_PASSWORD",
    "OCORE_URL",
    "OCORE_API_KEY",
    "OCORE_SERVER",
    "OCORE_LOGIN_STORE",
    "OCORE_LOGIN_DIR",
];

impl Settings {
    /// Puts the settings together.
    ///
    /// # Errors
    /// Names the key and where its value came from; never the value of a secret.
    pub fn load(arguments: &Arguments, environment: &Environment) -> Result<Self> {
        let set = |name: &str| environment.get(name).filter(|v| !v.is_empty());
        let file = find_file(arguments, environment);
        let mut figment = Figment::new();
        let mut remarks = Vec::new();
        if let Some(path) = &file {
            let text = read(path, "the configuration file")?;
            figment = figment.merge(Given { name: path.display().to_string(), values: parse_file(path, &text)? });
            if let Some(remark) = exposed(path, &figment) {
                remarks.push(remark);
            }
        }
        let (values, unknown) = from_environment(environment)?;
        remarks.extend(unknown);
        figment = figment.merge(Given { name: "the environment".into(), values });
        figment = figment.merge(Given { name: "an argument".into(), values: from_arguments(arguments)? });
        let raw: Raw = figment.extract().map_err(|e| wrong_type(&e))?;

        let data = raw.data.clone().unwrap_or_else(|| default_data(environment));
        let database_url = database_url(&raw, &data)?;
        let key = key_from(&raw)?;
        if raw.public_url.is_none() && raw.listen.as_deref().is_some_and(|l| !loopback(l)) {
            remarks.push(
                "listen is not on loopback and public_url is not set: requests under any but a loopback name are refused.".into(),
            );
        }
        if raw.database_url.is_some() && raw.database_url_file.is_some() {
            return Err(Failure::config("database_url and database_url_file are both set.").next("Keep one of them."));
        }
        let log_format = match raw.log_format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => return Err(Failure::config(format!("log_format is \"{other}\".")).next("Write text or json.")),
        };
        let level = raw.log_level.clone().or_else(|| set("RUST_LOG").cloned());
        let shown = KEYS.iter().map(|key| shown(key, &figment, &data, &database_url)).collect();
        let least = |name: &str, value: u64, least: u64| {
            if value < least {
                return Err(Failure::config(format!("{name} is {value}.")).next(format!("It is at least {least}.")));
            }
            Ok(())
        };
        let calls_per_minute = raw.calls_per_minute.unwrap_or(100);
        let audit_queue_rows = raw.audit_queue_rows.unwrap_or(10_000);
        let audit_queue_megabytes = raw.audit_queue_megabytes.unwrap_or(16);
        least("calls_per_minute", calls_per_minute.into(), 1)?;
        let backup_limit_megabytes = raw.backup_limit_megabytes.unwrap_or(2048).min(1 << 40);
        least("backup_limit_megabytes", backup_limit_megabytes, 1)?;
        least("audit_queue_rows", audit_queue_rows as u64, 16)?;
        least("audit_queue_megabytes", audit_queue_megabytes as u64, 1)?;
        let public = raw.public_url.as_deref().map(public_url).transpose()?;
        let places = match (&public, &raw.proxy_domain) {
            (_, None) => None,
            (Some(public), Some(domain)) => Some(Places::new(public, domain).map_err(|why| {
                Failure::config(format!("proxy_domain: {why}.")).next("See \"Acting as an Odoo user\" in the guide.")
            })?),
            (None, Some(_)) => {
                return Err(Failure::config("proxy_domain is set and public_url is not.")
                    .next("Set public_url too: the links that lead to the instances' pages are made from it."));
            }
        };
        if let (Some(public), Some(places)) = (&public, &places)
            && places.related(public)
        {
            remarks.push("proxy_domain and public_url end alike: where that ending is one registered domain, pages of Odoo and of ocore are one site to browsers. Another registered domain is safer.".into());
        }
        Ok(Self {
            places,
            listen: raw.listen.unwrap_or_else(|| "127.0.0.1:8321".into()),
            public_url: public,
            database_url,
            instance_networks: networks("instance_networks", raw.instance_networks)?,
            trusted_proxies: networks("trusted_proxies", raw.trusted_proxies)?,
            allowed_origins: origins(raw.allowed_origins.unwrap_or_default())?,
            redirect_schemes: schemes(&raw.redirect_schemes.unwrap_or_default())?,
            openid: crate::openid::providers(raw.openid.unwrap_or_default(), environment)?,
            legacy_sessions: raw.legacy_sessions.unwrap_or(false),
            metrics_listen: raw
                .metrics_listen
                .map(|text| {
                    text.parse().map_err(|_| {
                        Failure::config(format!("metrics_listen is \"{text}\".")).next("Write address:port, like 127.0.0.1:9321.")
                    })
                })
                .transpose()?,
            metrics_token: raw.metrics_token.map(SecretString::from),
            log_level: level,
            log_format,
            key,
            calls_per_minute,
            backup_keep_days: match raw.backup_keep_days {
                None => Some(30),
                Some(0) => None,
                some => some,
            },
            backup_limit: backup_limit_megabytes << 20,
            audit_queue_rows,
            audit_queue_bytes: audit_queue_megabytes << 20,
            shutdown_grace: Duration::from_secs(raw.shutdown_grace_seconds.unwrap_or(30)),
            data,
            shown,
            file,
            remarks,
        })
    }

    /// A path as a whole link; without a public URL the one on this machine.
    pub fn link(&self, path: &str) -> String {
        let origin = self.public_url.as_ref().map_or_else(|| format!("http://{}", self.listen), ToString::to_string);
        format!("{}{path}", origin.trim_end_matches('/'))
    }

    /// The folders and files that are ocore's own: no instance's files may be there.
    pub fn own_folders(&self) -> Vec<PathBuf> {
        let mut own = vec![self.data.clone()];
        if let DbUrl::Sqlite(path) = &self.database_url {
            own.extend(path.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_owned));
        }
        if let KeyFrom::File(path) = &self.key {
            own.extend(path.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_owned));
        }
        own
    }

    /// Where the installation's key comes from.
    pub fn key_source(&self) -> KeySource {
        match &self.key {
            KeyFrom::DataFolder => KeySource::in_data_dir(&self.data),
            KeyFrom::File(path) => KeySource::file(path),
            KeyFrom::Value { current, previous } => KeySource::value(current.clone(), previous.clone()),
        }
    }

    /// `ocore config show`.
    pub fn show(&self) -> Shown {
        let rows: Vec<Vec<String>> =
            self.shown.iter().map(|(key, value, from)| vec![key.name.to_owned(), value.clone(), from.clone()]).collect();
        let mut text = terminal::table(&["KEY", "VALUE", "FROM"], &rows, "");
        if let Some(file) = &self.file {
            let _ = writeln!(text, "\nThe configuration file is {}.", file.display());
        }
        let values: serde_json::Map<String, Value> =
            self.shown.iter().map(|(key, value, from)| (key.name.to_owned(), json!({"value": value, "from": from}))).collect();
        Shown::new(text, json!({"file": self.file, "settings": values}))
    }
}

/// `--config`, `OCORE_CONFIG`, `ocore.toml` in the data folder, `/etc/ocore/ocore.toml` for who names no data folder.
fn find_file(arguments: &Arguments, environment: &Environment) -> Option<PathBuf> {
    let named = arguments.config.clone().or_else(|| environment.get("OCORE_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from));
    if named.is_some() {
        return named;
    }
    let data = arguments.data.clone().or_else(|| environment.get("OCORE_DATA").filter(|v| !v.is_empty()).map(PathBuf::from));
    let beside = data.clone().unwrap_or_else(|| default_data(environment)).join("ocore.toml");
    if beside.exists() {
        return Some(beside);
    }
    // Another installation's data folder must not be joined with this machine's database.
    let system = PathBuf::from("/etc/ocore/ocore.toml");
    (data.is_none() && system.exists()).then_some(system)
}

fn default_data(environment: &Environment) -> PathBuf {
    use std::os::unix::fs::MetadataExt as _;
    let variable = |name: &str| environment.get(name).filter(|v| !v.is_empty());
    if std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        return PathBuf::from("/var/lib/ocore");
    }
    match (variable("XDG_DATA_HOME"), variable("HOME")) {
        (Some(folder), _) => Path::new(folder).join("ocore"),
        (None, Some(home)) => Path::new(home).join(".local/share/ocore"),
        (None, None) => PathBuf::from("/var/lib/ocore"),
    }
}

fn parse_file(path: &Path, text: &str) -> Result<Dict> {
    let parsed: Dict = Figment::from(Toml::string(text)).extract().map_err(|_| {
        // The parser's message quotes the line, which may hold a secret.
        Failure::config(format!("{} is no TOML.", path.display())).next("Compare it with `ocore config docs --sample`.")
    })?;
    for name in parsed.keys() {
        if !KEYS.iter().any(|k| k.name == name) {
            let failure = Failure::config(format!("{}: there is no setting \"{name}\".", path.display()));
            let names = KEYS.iter().map(|k| k.name);
            return Err(match nearest(name, names) {
                Some(near) => failure.next(format!("Did you mean {near}?")),
                None => failure.next("`ocore config docs` lists them all."),
            });
        }
    }
    let mut values = Dict::new();
    for key in KEYS {
        let Some(value) = parsed.get(key.name) else { continue };
        let value = match (key.kind, value) {
            (Kind::List, Figured::String(_, text)) => list(text),
            _ => untagged(value),
        };
        values.insert(key.name.into(), value);
    }
    Ok(values)
}

/// The value without the mark of where it was parsed: it is marked anew with the file that it came from.
fn untagged(value: &Figured) -> Figured {
    match value {
        Figured::String(_, text) => Figured::from(text.clone()),
        Figured::Char(_, letter) => Figured::from(*letter),
        Figured::Bool(_, flag) => Figured::from(*flag),
        Figured::Num(_, number) => Figured::Num(Tag::Default, *number),
        Figured::Empty(_, empty) => Figured::Empty(Tag::Default, *empty),
        Figured::Array(_, items) => Figured::Array(Tag::Default, items.iter().map(untagged).collect()),
        Figured::Dict(_, items) => Figured::Dict(Tag::Default, items.iter().map(|(k, v)| (k.clone(), untagged(v))).collect()),
    }
}

/// The settings in the environment, and remarks about what looks like one and is none. Unknown variables are no error: container
/// platforms make some of their own under our prefix.
fn from_environment(environment: &Environment) -> Result<(Dict, Vec<String>)> {
    let mut values = Dict::new();
    let mut remarks = Vec::new();
    for (name, text) in environment.range(PREFIX.to_owned()..).take_while(|(name, _)| name.starts_with(PREFIX)) {
        let short = name.trim_start_matches(PREFIX).to_lowercase();
        let Some(key) = KEYS.iter().find(|k| k.name == short) else {
            if name.starts_with("OCORE_OPENID_") {
                continue;
            }
            let near = nearest(&short, KEYS.iter().map(|k| k.name)).filter(|_| !OTHERS.contains(&name.as_str()));
            if let Some(near) = near.filter(|near| strsim::levenshtein(near, &short) <= 3) {
                remarks.push(format!("{name} is no setting. Did you mean {PREFIX}{}?", near.to_uppercase()));
            }
            continue;
        };
        if text.is_empty() && key.kind != Kind::List {
            continue;
        }
        let wrong = |what: &str| {
            let value = if key.secret { String::new() } else { format!(" (\"{text}\")") };
            Failure::config(format!("{name}{value} is no {what}."))
        };
        let value = match key.kind {
            Kind::Text => Figured::from(text.clone()),
            Kind::Number => Figured::from(text.trim().parse::<u64>().map_err(|_| wrong("number"))?),
            Kind::Flag => Figured::from(match text.trim().to_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => true,
                "false" | "0" | "no" | "off" => false,
                _ => return Err(wrong("flag").next("Write true or false.")),
            }),
            Kind::List => list(text),
            Kind::Tables => {
                return Err(Failure::config(format!("{name} is set, and {} has more than a variable can hold.", key.name))
                    .next("Write it in the configuration file."));
            }
        };
        values.insert(key.name.into(), value);
    }
    Ok((values, remarks))
}

fn from_arguments(arguments: &Arguments) -> Result<Dict> {
    let mut values = Dict::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            values.insert(name.into(), value.into());
        }
    };
    put("data", arguments.data.as_ref().map(|p| p.display().to_string()));
    put("listen", arguments.listen.clone());
    put("public_url", arguments.public_url.clone());
    if let Some(text) = &arguments.database_url {
        // Checked before anything repeats it.
        if text.parse::<DbUrl>()?.has_password() {
            return Err(Failure::usage(
                "--database-url holds a password, which everybody on this machine can read in the list of processes.",
            )
            .next(
                "Put the whole address into OCORE_DATABASE_URL, the configuration file, or a file named by database_url_file.",
            ));
        }
        put("database_url", Some(text.clone()));
    }
    Ok(values)
}

fn list(text: &str) -> Figured {
    Figured::from(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect::<Vec<_>>())
}

fn wrong_type(error: &figment::Error) -> Failure {
    // Its own text repeats the value, which may be a secret.
    let name = error.path.first().cloned().unwrap_or_default();
    let from = error.metadata.as_ref().map(|m| format!(" in {}", m.name)).unwrap_or_default();
    let failure = Failure::config(format!("{name}{from} is not of the right kind."));
    match KEYS.iter().find(|k| k.name == name).map(|k| k.kind) {
        Some(Kind::Text) => failure.next("Write a text in quotation marks."),
        Some(Kind::Number) => failure.next("Write a number that is not negative."),
        Some(Kind::Flag) => failure.next("Write true or false."),
        Some(Kind::Tables) => failure.next("Write tables, as the sample of `ocore config docs --sample` does."),
        Some(Kind::List) => failure.next("Write a list of texts, like [\"a\", \"b\"]."),
        None => failure,
    }
}

/// A file with secrets that others can read.
fn exposed(path: &Path, figment: &Figment) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let secret = KEYS.iter().find(|k| k.secret && figment.find_value(k.name).is_ok())?;
    let mode = std::fs::metadata(path).ok()?.mode();
    (mode & 0o077 != 0).then(|| {
        format!(
            "{} holds {} and can be read by others (mode {:o}): set its mode to 0600.",
            path.display(),
            secret.name,
            mode & 0o777
        )
    })
}

#[expect(clippy::disallowed_methods, reason = "the operator's own configuration and key files")]
pub fn read(path: &Path, what: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::config(format!("{what} {} cannot be read: {e}.", path.display())))
}

fn database_url(raw: &Raw, data: &Path) -> Result<DbUrl> {
    let text = match (&raw.database_url, &raw.database_url_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => read(path, "database_url_file")?.trim().to_owned(),
        (None, None) => return Ok(DbUrl::Sqlite(data.join("ocore.db"))),
    };
    Ok(text.parse()?)
}

fn key_from(raw: &Raw) -> Result<KeyFrom> {
    if raw.key.is_some() && raw.key_file.is_some() {
        return Err(Failure::config("key and key_file are both set.").next("Keep one of them."));
    }
    let previous = match (&raw.previous_key, &raw.previous_key_file) {
        (Some(text), _) => Some(SecretString::from(text.clone())),
        (None, Some(path)) => Some(key_in(path)?),
        (None, None) => None,
    };
    match (&raw.key, &raw.key_file, previous) {
        (Some(key), _, previous) => Ok(KeyFrom::Value { current: key.clone().into(), previous }),
        // Both files are the operator's: ocore rotates between them and writes neither.
        (None, Some(path), Some(previous)) => Ok(KeyFrom::Value { current: key_in(path)?, previous: Some(previous) }),
        (None, Some(path), None) => Ok(KeyFrom::File(path.clone())),
        (None, None, Some(_)) => Err(Failure::config("A previous key is set, and neither key nor key_file is.")
            .next("Set the new key as key or key_file.")),
        (None, None, None) => Ok(KeyFrom::DataFolder),
    }
}

fn key_in(path: &Path) -> Result<SecretString> {
    use std::os::unix::fs::MetadataExt as _;
    let text = SecretString::from(read(path, "the key file")?.trim().to_owned());
    if std::fs::metadata(path).is_ok_and(|m| m.mode() & 0o077 != 0) {
        return Err(
            Failure::config(format!("The key file {} can be read by others.", path.display())).next("Set its mode to 0600.")
        );
    }
    if text.expose_secret().is_empty() {
        return Err(Failure::config(format!("The key file {} is empty.", path.display())));
    }
    Ok(text)
}

fn public_url(text: &str) -> Result<Url> {
    let wrong = || {
        Failure::config(format!("public_url is \"{text}\"."))
            .next("Write what clients use, without /mcp or another path: https://ocore.example.com.")
    };
    let url: Url = text.parse().map_err(|_| wrong())?;
    let origin = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        // The pages' own links have none.
        && url.path() == "/";
    if origin { Ok(url) } else { Err(wrong()) }
}

fn networks(name: &str, list: Option<Vec<String>>) -> Result<Vec<IpNet>> {
    list.unwrap_or_default()
        .iter()
        .map(|text| {
            // A plain address is the network of this one address.
            text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).map_err(|_| {
                Failure::config(format!("{name}: \"{text}\" is no network."))
                    .next("Write networks like 10.20.0.0/16 or fd00::/8.")
            })
        })
        .collect()
}

fn origins(list: Vec<String>) -> Result<Vec<String>> {
    for text in &list {
        let fine =
            text.parse::<Url>().is_ok_and(|u| u.has_host() && u.path() == "/" && !text.ends_with('/') && u.query().is_none());
        if !fine {
            return Err(Failure::config(format!("allowed_origins: \"{text}\" is no origin."))
                .next("Write scheme and host, like https://chat.example.com."));
        }
    }
    Ok(list)
}

fn schemes(list: &[String]) -> Result<Schemes> {
    list.iter().try_fold(Schemes::known(), |schemes, text| {
        schemes.with(text).ok_or_else(|| {
            Failure::config(format!("redirect_schemes: \"{text}\" cannot be redirected to."))
                .next("Write an application's own scheme, like com.example.app:// or example://authority.")
        })
    })
}

/// Whether an address to listen on is reached from this machine alone.
pub fn loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// A value as `config show` shows it, and where it comes from.
fn shown(key: &'static Key, figment: &Figment, data: &Path, database: &DbUrl) -> (&'static Key, String, String) {
    let from = figment.find_metadata(key.name).map_or_else(|| "default".to_owned(), |m| m.name.to_string());
    let value = match (key.name, figment.find_value(key.name)) {
        // Shows itself without the password.
        ("database_url", _) => database.to_string(),
        ("data", Err(_)) => data.display().to_string(),
        ("key_file", Err(_)) => data.join("ocore.key").display().to_string(),
        (_, Ok(_)) if key.secret => "(set)".to_owned(),
        (_, Ok(Figured::String(_, text))) => text,
        (_, Ok(value)) => serde_json::to_string(&value).unwrap_or_default(),
        (_, Err(_)) => key.default.trim_matches('"').to_owned(),
    };
    (key, value, from)
}

/// Values from one place, under the name by which errors and `config show` call it.
struct Given {
    name: String,
    values: Dict,
}
impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }
    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// The configuration reference, in Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Made by `ocore config docs`; change server/app/src/config.rs and run `make docs`. -->\n\n\
         Every setting but tables can stand in the configuration file (TOML) and in the environment; a few have an argument of their own. An argument\n\
         beats the environment, which beats the file, which beats the default.\n\n\
         The file is the one named by `--config` or `OCORE_CONFIG`; else `ocore.toml` in the data folder; else `/etc/ocore/ocore.toml`, unless\n\
         a data folder is named by `--data` or `OCORE_DATA`. An unknown key in the file is an error. `ocore config check` says whether a\n\
         configuration can be used, `ocore config show` what is in force and where it comes from, without secrets.\n\n\
         Lists are written as lists in the file (`[\"a\", \"b\"]`) and with commas in the environment (`a,b`).\n\n",
    );
    for key in KEYS {
        let kind = match key.kind {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Flag => "true or false",
            Kind::List => "list",
            Kind::Tables => "tables",
        };
        let default = if key.default.is_empty() { "none".to_owned() } else { format!("`{}`", key.default) };
        let environment = match key.kind {
            Kind::Tables => "In the file alone. ".to_owned(),
            _ => format!("Environment: `{PREFIX}{}`. ", key.name.to_uppercase()),
        };
        let secret = if key.secret { " Never shown by ocore." } else { "" };
        let _ =
            write!(text, "## `{}`\n\n{}{secret}\n\n{environment}Kind: {kind}. Default: {default}.\n\n", key.name, key.meaning);
    }
    text.push_str("## A sample file\n\n```toml\n");
    text.push_str(&sample());
    text.push_str("```\n");
    text
}

/// A configuration file with every setting, commented out.
pub fn sample() -> String {
    let mut text =
        String::from("# Configuration of ocore. Every line shows a default or an example; remove the # to change it.\n");
    for key in KEYS {
        let meaning = key.meaning.replace('`', "");
        let value = if key.default.is_empty() || !key.example.is_empty() { key.example } else { key.default };
        let _ = write!(text, "\n{}# {} = {value}\n", wrap(&meaning), key.name);
    }
    text
}

/// Comment lines of at most 100 characters.
fn wrap(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.len() + word.len() > 98 {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write configuration files")]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }
    fn load(toml: &str, pairs: &[(&str, &str)], arguments: Arguments) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ocore.toml"), toml).unwrap();
        let arguments = Arguments { data: Some(folder.path().to_owned()), ..arguments };
        Settings::load(&arguments, &env(pairs))
    }

    #[test]
    fn every_setting_is_listed_and_every_listed_one_is_a_setting() {
        let raw = serde_json::to_value(Raw::default()).unwrap();
        let fields: Vec<&String> = raw.as_object().unwrap().keys().collect();
        assert_eq!(fields, KEYS.iter().map(|k| k.name).collect::<Vec<_>>());
    }

    #[test]
    fn arguments_beat_the_environment_which_beats_the_file_which_beats_the_default() {
        let toml = "listen = \"127.0.0.1:1\"\nlog_format = \"json\"\ncalls_per_minute = 7\n";
        let arguments = Arguments { listen: Some("127.0.0.1:3".into()), ..Arguments::default() };
        let s = load(toml, &[("OCORE_LISTEN", "127.0.0.1:2"), ("OCORE_CALLS_PER_MINUTE", "8")], arguments).unwrap();
        assert_eq!((s.listen.as_str(), s.calls_per_minute, s.log_format), ("127.0.0.1:3", 8, LogFormat::Json));
        let from = |name: &str| s.shown.iter().find(|(k, ..)| k.name == name).unwrap().2.clone();
        assert_eq!(from("listen"), "an argument");
        assert_eq!(from("calls_per_minute"), "the environment");
        assert!(from("log_format").ends_with("ocore.toml"));
        assert_eq!(from("legacy_sessions"), "default");
    }

    #[test]
    fn lists_flags_and_numbers_in_the_environment() {
        let pairs = [
            ("OCORE_INSTANCE_NETWORKS", "127.0.0.0/8, 10.1.2.3"),
            ("OCORE_LEGACY_SESSIONS", "true"),
            ("OCORE_METRICS_TOKEN", "007"),
            ("OCORE_SERVICE_HOST", "10.0.0.1"),
        ];
        let s = load("", &pairs, Arguments::default()).unwrap();
        assert_eq!(s.instance_networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.0/8", "10.1.2.3/32"]);
        assert!(s.legacy_sessions);
        assert_eq!(s.metrics_token.unwrap().expose_secret(), "007");
        assert!(s.remarks.is_empty(), "{:?}", s.remarks);
    }

    #[test]
    fn unknown_keys_are_an_error_that_helps() {
        let failure = load("lisen = \"x\"\n", &[], Arguments::default()).unwrap_err();
        assert_eq!(failure.next, "Did you mean listen?");
        let s = load("", &[("OCORE_LISTN", "x")], Arguments::default()).unwrap();
        assert_eq!(s.remarks, ["OCORE_LISTN is no setting. Did you mean OCORE_LISTEN?"]);
    }

    #[test]
    fn no_secret_is_shown_or_repeated() {
        let pairs = [("OCORE_DATABASE_URL", "postgres://u:hunter2@db/ocore"), ("OCORE_METRICS_TOKEN", "hunter2")];
        let s = load("", &pairs, Arguments::default()).unwrap();
        let shown = s.show();
        assert!(!shown.text.contains("hunter2") && !shown.json.to_string().contains("hunter2"), "{}", shown.text);
        assert!(shown.text.contains("postgres://u@db:5432/ocore"), "{}", shown.text);
        for (toml, pairs) in
            [("key = hunter2", &[][..]), ("metrics_token = [\"hunter2\"]", &[]), ("", &[("OCORE_CALLS_PER_MINUTE", "x")])]
        {
            let failure = load(toml, pairs, Arguments::default()).unwrap_err();
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
        let arguments = Arguments { database_url: Some("postgres://u:hunter2@db/ocore".into()), ..Arguments::default() };
        let failure = load("", &[], arguments).unwrap_err();
        assert_eq!(failure.exit, crate::failure::Exit::Usage);
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for toml in [
            "instance_networks = [\"10.0.0.0/33\"]",
            "public_url = \"ocore.example.com\"",
            "public_url = \"https://u:p@ocore.example.com\"",
            "allowed_origins = [\"https://x.example/path\"]",
            "log_format = \"xml\"",
            "legacy_sessions = \"yes\"",
            "calls_per_minute = -1",
            "key = \"a\"\nkey_file = \"b\"",
            "previous_key = \"a\"",
            "proxy_domain = \"odoo.example.net\"",
            "public_url = \"https://ocore.example.com\"\nproxy_domain = \"example.com\"",
            "public_url = \"https://ocore.example.com\"\nproxy_domain = \"x.ocore.example.com\"",
            "public_url = \"https://ocore.example.com\"\nproxy_domain = \"https://odoo.example.net\"",
            "public_url = \"https://ocore.example.com\"\nproxy_domain = \"192.0.2.1\"",
            "public_url = \"https://example.com/ocore\"",
            "public_url = \"https://example.com/ocore\"\nproxy_domain = \"odoo.example.net\"",
            "backup_limit_megabytes = 0",
            "database_url = \"mysql://x\"",
        ] {
            let failure = load(toml, &[], Arguments::default()).unwrap_err();
            assert_eq!(failure.exit, crate::failure::Exit::Usage, "{toml}: {failure:?}");
        }
    }

    #[test]
    fn the_sample_is_a_configuration_that_works() {
        let s = load(&sample(), &[], Arguments::default()).unwrap();
        assert_eq!(s.listen, "127.0.0.1:8321");
        // Each line alone, without its #, is one too (those that name files aside).
        for line in sample().lines().filter(|l| l.contains(" = ") && !l.contains("_file")) {
            let text = line.trim_start_matches("# ");
            let text = match text {
                _ if text.starts_with("previous_key") => format!("key = \"a\"\n{text}"),
                _ if text.starts_with("proxy_domain") => format!("public_url = \"https://ocore.example.com\"\n{text}"),
                _ => text.to_owned(),
            };
            load(&text, &[], Arguments::default()).unwrap_or_else(|e| panic!("{line}: {e:?}"));
        }
    }

    #[test]
    fn loopback_is_known() {
        for (listen, is) in
            [("127.0.0.1:0", true), ("[::1]:1", true), ("localhost:1", true), ("0.0.0.0:1", false), ("[::]:1", false)]
        {
            assert_eq!(loopback(listen), is, "{listen}");
        }
    }
}
