//! `ocore key …`
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use admin::{
    instances::{self, Login},
    keys::{self, KeyRow, NewKey},
    resources::RuleChange,
};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use kernel::{
    Category, CredentialId, Permissions, Role, RpcConnection, RpcDialect, Selection, Timestamp, ToolRule, parse_time,
    resource::{FieldPolicy, Filter, ModelRule},
    time_text,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Given, check, input, input::words, resource};
use crate::{
    failure::{Failure, Result, nearest},
    terminal::{self, Shown},
    wiring::Base,
};

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Makes an API key and shows it once, on the last line
    Create(Box<Create>),
    /// Lists the keys
    List {
        /// Only those of this organization
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
    /// Shows, sets or removes the Odoo login of a key's own: it acts by that one and by no other
    Credential(Box<CredentialOf>),
    /// Revokes a key for good
    Revoke {
        /// The key's id, as the list shows it
        id: String,
        /// The organization to which it must belong
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// The organization
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// What it is for; shown in lists and in the audit
    #[arg(long)]
    label: String,
    /// The member whose power the key never exceeds; without one it belongs to the organization
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// The most that the key may do: viewer, member, admin or owner [default: the owner's role, else member]
    #[arg(long)]
    role: Option<Role>,
    /// When it stops: 2026-12-31 or 2026-12-31T12:00:00Z
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    #[command(flatten)]
    limits: Limits,
}

/// A limit that is left out limits nothing; an empty one (`--categories ''`) permits nothing.
#[derive(Debug, Args)]
pub struct Limits {
    /// Permits nothing that changes an instance
    #[arg(long)]
    read_only: bool,
    /// Only tools of these categories
    #[arg(long, value_name = "A,B")]
    categories: Option<String>,
    /// Only these instances
    #[arg(long, value_name = "A,B")]
    instances: Option<String>,
    /// Only these tools
    #[arg(long, value_name = "A,B", conflicts_with = "tools_deny")]
    tools_allow: Option<String>,
    /// All tools but these
    #[arg(long, value_name = "A,B")]
    tools_deny: Option<String>,
    /// Only these Odoo models; makes the key a restricted one
    #[arg(long, value_name = "A,B")]
    models: Option<String>,
    /// What a restricted key may run by execute_method
    #[arg(long, value_name = "MODEL.METHOD,…")]
    methods: Option<String>,
    /// Only these Odoo companies, by id; makes the key a restricted one
    #[arg(long, value_name = "1,2")]
    companies: Option<String>,
    /// Hides these fields, and what is computed from them; makes the key a restricted one
    #[arg(long, value_name = "MODEL.FIELD,…", conflicts_with = "fields_allow")]
    fields_deny: Option<String>,
    /// Of these models shows these fields only; makes the key a restricted one
    #[arg(long, value_name = "MODEL.FIELD,…")]
    fields_allow: Option<String>,
    /// Of a model shows those records only that match a domain, in JSON or Python literals; may be given several times
    #[arg(long = "filter", value_name = "MODEL=DOMAIN")]
    filters: Vec<String>,
    /// Stores fields and filters without looking them up in Odoo
    #[arg(long)]
    no_check: bool,
    /// Only from these addresses or networks
    #[arg(long, value_name = "CIDR,…")]
    ip: Option<String>,
    /// Calls per minute [default: calls_per_minute of the configuration]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Lets the key carry knowledge into its answers by itself
    #[arg(long)]
    auto_context: bool,
}

impl Key {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        match self {
            Self::Create(create) => create.run(given).await,
            Self::List { org } => list(given, org).await,
            Self::Credential(credential) => credential.run(given).await,
            Self::Revoke { id, org } => revoke(given, &id, org.as_deref()).await,
        }
    }
}

impl Create {
    async fn run(self, given: &Given) -> Result<Shown> {
        let expires_at = self.expires.as_deref().map(expiry).transpose()?;
        let (_, base) = given.open().await?;
        let permissions = self.limits.permissions(&base, &self.org).await?;
        let restricted = permissions.restricted();
        let notes = self.limits.looked_up(&base, &self.org, &permissions).await?;
        let made = make(&base, self.org, self.owner, self.role, self.label, permissions, expires_at).await?;
        base.close().await;
        let text = made.text.expose_secret();
        let owner = made.owner.as_deref().unwrap_or("the organization");
        let mut note = String::new();
        if restricted {
            note.push_str("\nIt is restricted: sql, shell, files and the like are refused unless --tools-allow names them.");
        }
        for line in &notes {
            note.push('\n');
            note.push_str(line);
        }
        let mut value = json(&made.row, &made.org, made.owner.as_deref());
        if let Some(object) = value.as_object_mut() {
            object.insert("key".into(), json!(text));
            object.insert("notes".into(), json!(notes));
        }
        Ok(Shown::new(
            format!(
                "Created the key \"{}\" of {owner}, role {}. It is shown once: keep it now.{note}\n{text}",
                made.row.label, made.row.role
            ),
            value,
        ))
    }
}

impl Limits {
    pub async fn permissions(&self, base: &Base, org: &str) -> Result<Permissions> {
        let categories = match &self.categories {
            None => Selection::All,
            Some(list) => Selection::only(words(list).iter().map(|w| category(w)).collect::<Result<Vec<_>>>()?),
        };
        let instances = match &self.instances {
            None => Selection::All,
            Some(list) => {
                let known = instances::list(&base.admin, &base.by, Some(org)).await?;
                let find = |slug: &String| {
                    known.iter().find(|r| *r.instance.slug == **slug).map(|r| r.instance.id).ok_or_else(|| {
                        unknown("instance", slug, known.iter().map(|r| &*r.instance.slug), "ocore instance list shows them")
                    })
                };
                Selection::only(words(list).iter().map(find).collect::<Result<Vec<_>>>()?)
            }
        };
        let tools = match (&self.tools_allow, &self.tools_deny) {
            (Some(list), _) => ToolRule::Allow(tools_of(list)?),
            (None, Some(list)) => ToolRule::Deny(tools_of(list)?),
            (None, None) => ToolRule::All,
        };
        let models = match &self.models {
            None => Selection::All,
            Some(list) => {
                let names = words(list);
                for name in &names {
                    kernel::name::identifier("--models", name)?;
                }
                Selection::only(names)
            }
        };
        let methods: BTreeSet<String> = self.methods.as_deref().map(words).unwrap_or_default().into_iter().collect();
        for method in &methods {
            kernel::name::identifier("--methods", method)?;
            if !method.contains('.') {
                return Err(
                    Failure::usage(format!("--methods: \"{method}\" names no model.")).next("Write sale.order.action_confirm.")
                );
            }
        }
        let companies = match &self.companies {
            None => Selection::All,
            Some(list) => Selection::only(
                words(list)
                    .iter()
                    .map(|w| {
                        w.parse::<i64>()
                            .ok()
                            .filter(|n| *n > 0)
                            .ok_or_else(|| Failure::usage(format!("--companies: \"{w}\" is no company's id.")))
                    })
                    .collect::<Result<Vec<_>>>()?,
            ),
        };
        let addresses = match &self.ip {
            None => Selection::All,
            Some(list) => Selection::only(words(list).iter().map(|w| network(w)).collect::<Result<Vec<_>>>()?),
        };
        Ok(Permissions {
            categories,
            instances,
            tools,
            models,
            methods,
            companies,
            read_only: self.read_only,
            addresses,
            rate_per_minute: self.rate,
            auto_context: self.auto_context,
            rules: self.rules()?,
        })
    }
}

impl Limits {
    /// Looks the fields and filters of the key up in the instances that it is for: a word that is no field hides nothing.
    pub async fn looked_up(&self, base: &Base, org: &str, permissions: &Permissions) -> Result<Vec<String>> {
        if self.no_check || permissions.rules.is_empty() {
            return Ok(Vec::new());
        }
        let all = instances::list(&base.admin, &base.by, Some(org)).await?;
        let mut notes = BTreeSet::new();
        for (model, rule) in &permissions.rules {
            let change =
                RuleChange { fields: Some(rule.fields.clone()), filter: Some(rule.filter.clone()), ..RuleChange::default() };
            let concerned = all.iter().map(|row| &row.instance).filter(|i| permissions.instances.contains(&i.id));
            notes.extend(resource::examined(base, concerned, model, &change).await?);
        }
        Ok(notes.into_iter().collect())
    }
    /// What the key may see of models.
    fn rules(&self) -> Result<BTreeMap<String, ModelRule>> {
        let mut rules: BTreeMap<String, ModelRule> = BTreeMap::new();
        let (option, list) = match (&self.fields_allow, &self.fields_deny) {
            (Some(list), _) => ("--fields-allow", list.as_str()),
            (None, Some(list)) => ("--fields-deny", list.as_str()),
            (None, None) => ("", ""),
        };
        for word in words(list) {
            kernel::name::identifier(option, &word)?;
            let Some((model, field)) = word.rsplit_once('.') else {
                return Err(Failure::usage(format!("{option}: \"{word}\" names no model.")).next("Write res.partner.email."));
            };
            let policy = &mut rules.entry(model.to_owned()).or_insert_with(ModelRule::open).fields;
            if policy.is_all() {
                *policy = if self.fields_allow.is_some() {
                    FieldPolicy::Allow(BTreeSet::new())
                } else {
                    FieldPolicy::Deny(BTreeSet::new())
                };
            }
            if let FieldPolicy::Allow(fields) | FieldPolicy::Deny(fields) = policy {
                fields.insert(field.to_owned());
            }
        }
        for given in &self.filters {
            let Some((model, domain)) = given.split_once('=') else {
                return Err(Failure::usage("--filter: there is no model before a =.")
                    .next("Write --filter \"sale.order=[('user_id', '=', 7)]\"."));
            };
            let model = model.trim();
            kernel::name::identifier("--filter", model)?;
            let rule = rules.entry(model.to_owned()).or_insert_with(ModelRule::open);
            if rule.filter.is_some() {
                return Err(Failure::usage(format!("--filter: {model} has two.")).next("Join them in one domain."));
            }
            rule.filter = Some(Filter::parse(domain)?);
        }
        Ok(rules)
    }
}

/// Without anything else it shows what there is.
#[derive(Debug, Args)]
pub struct CredentialOf {
    /// The key's id, as the list shows it
    id: String,
    /// The instance
    #[arg(long, value_name = "SLUG")]
    instance: Option<String>,
    /// The Odoo user's login
    #[arg(long, requires = "instance", conflicts_with = "remove")]
    login: Option<String>,
    /// Reads the password or Odoo API key from standard input
    #[arg(long, requires = "login", conflicts_with = "secret_file")]
    secret_stdin: bool,
    /// Reads the password or Odoo API key from a file
    #[arg(long, requires = "login", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// auto, session, jsonrpc or json2
    #[arg(long, requires = "login", default_value = "auto")]
    dialect: RpcDialect,
    /// Stores the login without trying it
    #[arg(long, requires = "login")]
    no_check: bool,
    /// Removes it: the key acts by the instance's own login again
    #[arg(long, requires = "instance")]
    remove: bool,
}
impl CredentialOf {
    async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let shown = match (&self.instance, &self.login) {
            (Some(instance), Some(login)) => self.set(&base, instance, login).await?,
            (Some(instance), None) if self.remove => {
                let row = keys::remove_login(&base.admin, &base.by, &self.id, instance).await?;
                Shown::new(
                    format!("The key \"{}\" acts on {instance} by the instance's own login again.", row.label),
                    json!({"id": row.id.to_string(), "instance": instance, "login": null}),
                )
            }
            (Some(_), None) => {
                return Err(Failure::usage("Neither --login nor --remove was given.").next("Add --login LOGIN --secret-stdin."));
            }
            (None, _) => {
                let own = keys::own_logins(&base.admin, &base.by, &self.id).await?;
                let mut named = Vec::new();
                for one in own {
                    let slug = slug_of(&base, one.instance).await?;
                    let state = if one.rpc.refused { "refused by Odoo" } else { "in use" };
                    named.push((slug, one.rpc.login, one.rpc.dialect.to_string(), state));
                }
                let rows: Vec<_> =
                    named.iter().map(|(a, b, c, d)| vec![a.clone(), b.clone(), c.clone(), (*d).to_owned()]).collect();
                let text =
                    terminal::table(&["INSTANCE", "LOGIN", "DIALECT", "STATE"], &rows, "The key has no Odoo login of its own.");
                let values: Value = named
                    .iter()
                    .map(|(instance, login, dialect, state)| json!({"instance": instance, "login": login, "dialect": dialect, "state": state}))
                    .collect();
                Shown::new(text, values)
            }
        };
        base.close().await;
        Ok(shown)
    }
    async fn set(&self, base: &Base, instance: &str, login: &str) -> Result<Shown> {
        let (_, mut at) = keys::instance_for(&base.admin, &base.by, &self.id, instance).await?;
        let secret = match &self.secret_file {
            Some(path) => input::file(path)?,
            None => input::line("the password or Odoo API key")?,
        };
        let login = Login { login: login.to_owned(), secret, dialect: self.dialect };
        if !self.no_check {
            at.rpc = Some(RpcConnection {
                credential: CredentialId::new(&base.admin.sources),
                login: login.login.clone(),
                dialect: login.dialect,
                refused: false,
                generation: 1,
            });
            check::given(base, &at, &login).await?;
        }
        let row = keys::set_login(&base.admin, &base.by, &self.id, instance, &login).await?;
        Ok(Shown::new(
            format!("The key \"{}\" acts on {instance} as {} from now on, within 30 seconds everywhere.", row.label, login.login),
            json!({"id": row.id.to_string(), "instance": instance, "login": login.login}),
        ))
    }
}
async fn slug_of(base: &Base, id: kernel::InstanceId) -> Result<String> {
    let all = instances::list(&base.admin, &base.by, None).await?;
    Ok(all.iter().find(|row| row.instance.id == id).map_or_else(|| id.to_string(), |row| row.instance.slug.to_string()))
}

/// A key just made.
pub struct Made {
    pub row: KeyRow,
    pub org: String,
    pub owner: Option<String>,
    pub text: secrecy::SecretString,
}

/// Makes a key; its text is not kept anywhere.
pub async fn make(
    base: &Base,
    org: String,
    owner: Option<String>,
    role: Option<Role>,
    label: String,
    permissions: Permissions,
    expires_at: Option<Timestamp>,
) -> Result<Made> {
    let identity::token::NewKey { text, prefix, hash } = identity::token::new(&base.admin.sources);
    let new = NewKey { org, owner, role, label, permissions, expires_at, prefix, hash };
    let row = keys::create(&base.admin, &base.by, &new).await?;
    Ok(Made { row, org: new.org, owner: new.owner, text })
}

fn expiry(text: &str) -> Result<Timestamp> {
    parse_time(text).ok_or_else(|| {
        Failure::usage(format!("--expires: \"{text}\" is no date.")).next("Write 2026-12-31 or 2026-12-31T12:00:00Z.")
    })
}

fn category(word: &str) -> Result<Category> {
    word.parse().map_err(|_| {
        unknown("category", word, Category::ALL.iter().map(|c| c.as_str()), "there are 14, see docs/reference/tools.md")
    })
}

fn tools_of(list: &str) -> Result<BTreeSet<String>> {
    let names = || tools::CATALOGUE.iter().map(|t| t.facts.name);
    words(list)
        .into_iter()
        .map(|word| {
            if names().any(|n| n == word) {
                return Ok(word);
            }
            Err(unknown("tool", &word, names(), "tools are named without an instance, like search_read"))
        })
        .collect()
}

fn network(word: &str) -> Result<IpNet> {
    word.parse::<IpNet>().or_else(|_| word.parse::<std::net::IpAddr>().map(IpNet::from)).map_err(|_| {
        Failure::usage(format!("--ip: \"{word}\" is no address or network.")).next("Write 192.0.2.7 or 192.0.2.0/24.")
    })
}

fn unknown<'a>(what: &str, word: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> Failure {
    let failure = Failure::usage(format!("There is no {what} \"{word}\"."));
    match nearest(word, known) {
        Some(near) => failure.next(format!("Did you mean {near}?")),
        None => failure.next(otherwise),
    }
}

async fn list(given: &Given, org: Option<String>) -> Result<Shown> {
    let (_, base) = given.open().await?;
    let now = base.admin.sources.now();
    let orgs = match org {
        Some(org) => vec![org],
        None => admin::orgs::list(&base.admin, &base.by).await?.iter().map(|o| o.organization.slug.to_string()).collect(),
    };
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for org in orgs {
        let members = admin::users::members(&base.admin, &base.by, &org).await?;
        for key in keys::list(&base.admin, &base.by, &org).await? {
            let owner = key.owner.and_then(|id| members.iter().find(|m| m.user.id == id)).map(|m| m.user.email.clone());
            rows.push(vec![
                key.id.to_string(),
                format!("{}…", key.prefix),
                org.clone(),
                key.label.clone(),
                owner.clone().unwrap_or_else(|| "(organization)".into()),
                key.role.to_string(),
                state(&key, now).to_owned(),
                key.last_used_at.map_or_else(|| "never".into(), time_text),
                key.use_count.to_string(),
            ]);
            let mut value = json(&key, &org, owner.as_deref());
            if let Some(object) = value.as_object_mut() {
                object.insert("state".into(), json!(state(&key, now)));
            }
            values.push(value);
        }
    }
    base.close().await;
    let head = ["ID", "KEY", "ORG", "LABEL", "OWNER", "ROLE", "STATE", "LAST USED", "CALLS"];
    Ok(Shown::new(
        terminal::table(&head, &rows, "There is no key yet. Make one: ocore key create --org SLUG --label LABEL"),
        values.into(),
    ))
}

async fn revoke(given: &Given, id: &str, org: Option<&str>) -> Result<Shown> {
    let (_, base) = given.open().await?;
    if let Some(org) = org {
        let known = keys::list(&base.admin, &base.by, org).await?;
        if !known.iter().any(|k| k.id.to_string().eq_ignore_ascii_case(id.trim())) {
            return Err(Failure::new(crate::failure::Exit::Refused, "not_found", format!("{org} has no such key."))
                .next("Keys are named by their id, as `ocore key list` shows it."));
        }
    }
    let row = keys::revoke(&base.admin, &base.by, id).await?;
    base.close().await;
    Ok(Shown::new(
        format!("Revoked the key \"{}\". It stops within 30 seconds everywhere.", row.label),
        json!({"id": row.id.to_string(), "label": row.label, "revoked_at": row.revoked_at.map(time_text)}),
    ))
}

fn state(key: &KeyRow, now: Timestamp) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else if key.permissions.is_none() {
        "unreadable"
    } else {
        "active"
    }
}

fn json(key: &KeyRow, org: &str, owner: Option<&str>) -> Value {
    json!({
        "id": key.id.to_string(),
        "org": org,
        "label": key.label,
        "prefix": key.prefix,
        "owner": owner,
        "role": key.role,
        "permissions": key.permissions,
        "expires_at": key.expires_at.map(time_text),
        "revoked_at": key.revoked_at.map(time_text),
        "created_at": time_text(key.created_at),
        "last_used_at": key.last_used_at.map(time_text),
        "last_used_address": key.last_used_address,
        "use_count": key.use_count,
    })
}
