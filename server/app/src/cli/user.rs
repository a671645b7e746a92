//! `ocore user …`
use admin::{
    openid::Unlinked,
    users::{self, NewUser, UserRow, UserUpdate},
};
use clap::{Args, Subcommand};
use kernel::{Code, ExposeSecret as _, Role, refusal, time_text};
use serde_json::{Value, json};

use super::{Given, input};
use crate::{
    failure::{Failure, Result},
    terminal::{self, Shown},
};

#[derive(Debug, Subcommand)]
pub enum User {
    /// Creates a user
    Create(Create),
    /// Changes a user
    Update(Update),
    /// Makes a link with which the user sets a new password, and shows it once, on the last line
    ResetPassword { email: String },
    /// Takes a provider's account from a user, so that it opens nothing here any more
    Unlink {
        email: String,
        /// The provider's issuer, as the main audit log has it
        #[arg(long)]
        issuer: String,
        /// The account there
        #[arg(long)]
        subject: String,
    },
    /// Lists the users
    List {
        /// Only the members of this organization, with their roles
        #[arg(long)]
        org: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// The address, with which the user signs in
    #[arg(long)]
    email: String,
    /// The organization
    #[arg(long, value_name = "SLUG", requires = "role", required_unless_present = "operator")]
    org: Option<String>,
    /// owner, admin, member or viewer
    #[arg(long, requires = "org")]
    role: Option<Role>,
    /// Reads the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Makes the user an operator of the whole installation
    #[arg(long)]
    operator: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub struct Update {
    email: String,
    /// Signs the user out and stops the user's keys
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Lets the user in again
    #[arg(long)]
    enable: bool,
    /// Whether the user is an operator of the whole installation
    #[arg(long, value_name = "true|false")]
    operator: Option<bool>,
    /// Reads a new password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Takes the second step away, for who has lost phone and recovery codes
    #[arg(long)]
    remove_second_step: bool,
    /// Signs the user out of every browser
    #[arg(long)]
    end_sessions: bool,
    /// Gives the user a role in this organization
    #[arg(long, value_name = "SLUG", requires = "role")]
    org: Option<String>,
    /// owner, admin, member or viewer
    #[arg(long, requires = "org")]
    role: Option<Role>,
}

impl User {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        match self {
            Self::Create(create) => create.run(given).await,
            Self::Update(update) => update.run(given).await,
            Self::ResetPassword { email } => reset(given, &email).await,
            Self::Unlink { email, issuer, subject } => unlink(given, &email, &issuer, &subject).await,
            Self::List { org } => list(given, org).await,
        }
    }
}

impl Create {
    async fn run(self, given: &Given) -> Result<Shown> {
        let password = if self.password_stdin {
            input::line("the password")?
        } else if terminal::interactive() {
            input::prompt("the password")?
        } else {
            return Err(Failure::usage("The user needs a password.").next("Add --password-stdin and give it on standard input."));
        };
        let (_, base) = given.open().await?;
        let hash = identity::password::hash(password, &base.admin.sources).await?;
        let member = self.org.clone().zip(self.role);
        let new = NewUser { email: self.email, member, password_hash: Some(hash), operator: self.operator };
        let row = users::create(&base.admin, &base.by, &new).await?;
        base.close().await;
        let part = new.member.as_ref().map_or_else(String::new, |(org, role)| format!(", {role} of {org}"));
        let operator = if row.operator { ", operator" } else { "" };
        let mut value = json(&row);
        if let (Some(object), Some((org, role))) = (value.as_object_mut(), &new.member) {
            object.insert("org".into(), json!(org));
            object.insert("role".into(), json!(role));
        }
        Ok(Shown::new(format!("Created the user {}{part}{operator}.", row.email), value))
    }
}

impl Update {
    async fn run(self, given: &Given) -> Result<Shown> {
        let ends = self.remove_second_step || self.end_sessions;
        let account = self.disable || self.enable || self.operator.is_some() || self.password_stdin || ends;
        if !account && self.role.is_none() {
            return Err(Failure::usage("Nothing to change was named.")
                .next("Add --disable, --enable, --password-stdin, --remove-second-step, --end-sessions or --org with --role."));
        }
        let password = if self.password_stdin { Some(input::line("the password")?) } else { None };
        let (_, base) = given.open().await?;
        let password_hash = match password {
            Some(password) => Some(identity::password::hash(password, &base.admin.sources).await?),
            None => None,
        };
        let active = if self.disable || self.enable { Some(self.enable) } else { None };
        if let (Some(org), Some(role)) = (&self.org, self.role) {
            users::set_role(&base.admin, &base.by, org, &self.email, role).await?;
        }
        let (remove_second_step, end_sessions) = (self.remove_second_step, self.end_sessions);
        let change = UserUpdate { active, operator: self.operator, password_hash, remove_second_step, end_sessions };
        let row = users::update(&base.admin, &base.by, &self.email, &change).await?;
        base.close().await;
        let what = match active {
            Some(false) => " is disabled: the user's keys stop within 30 seconds everywhere.",
            Some(true) => " is enabled.",
            None if self.end_sessions => " is signed out of every browser.",
            None if self.remove_second_step => " signs in with the password alone.",
            None => " is changed.",
        };
        Ok(Shown::new(format!("{}{what}", row.email), json(&row)))
    }
}

async fn reset(given: &Given, email: &str) -> Result<Shown> {
    let (settings, base) = given.open().await?;
    let made = users::reset_link(&base.admin, &base.by, email).await?;
    base.close().await;
    let link = settings.link(&users::reset_path(made.text.expose_secret()));
    let until = time_text(made.expires_at);
    let text = format!(
        "With this link {} sets a new password, once, until {until}. It is shown once: send it to nobody else.\n{link}",
        made.user.email
    );
    Ok(Shown::new(text, json!({ "email": made.user.email, "link": link, "expires_at": until })))
}

async fn unlink(given: &Given, email: &str, issuer: &str, subject: &str) -> Result<Shown> {
    let (_, base) = given.open().await?;
    let user = users::one(&base.admin, &base.by, email).await?;
    let done = admin::openid::unlink(&base.admin, &base.by, user.id, issuer, subject, None).await?;
    base.close().await;
    match done {
        Unlinked::Done => Ok(Shown::new(
            format!("{} is unlinked from it and signed out of every browser.", user.email),
            json!({ "email": user.email, "issuer": issuer, "subject": subject }),
        )),
        Unlinked::Gone | Unlinked::Last => Err(refusal(Code::NotFound, format!("{} is not linked to that account.", user.email))
            .next("ocore audit log shows issuer and subject of what was linked (user.link, user.create).")
            .into()),
    }
}

async fn list(given: &Given, org: Option<String>) -> Result<Shown> {
    let (_, base) = given.open().await?;
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let shown = if let Some(org) = &org {
        let members = users::members(&base.admin, &base.by, org).await?;
        let rows =
            members.iter().map(|m| vec![m.user.email.clone(), m.role.to_string(), yes(m.user.active), yes(m.user.operator)]);
        let text = terminal::table(
            &["EMAIL", "ROLE", "ACTIVE", "OPERATOR"],
            &rows.collect::<Vec<_>>(),
            "The organization has no members yet.",
        );
        let values = members.iter().map(|m| {
            let mut value = json(&m.user);
            if let Some(object) = value.as_object_mut() {
                object.insert("role".into(), json!(m.role));
            }
            value
        });
        Shown::new(text, values.collect())
    } else {
        let users = users::list(&base.admin, &base.by).await?;
        let rows = users.iter().map(|u| vec![u.email.clone(), yes(u.active), yes(u.operator), time_text(u.created_at)]);
        let text =
            terminal::table(&["EMAIL", "ACTIVE", "OPERATOR", "CREATED"], &rows.collect::<Vec<_>>(), "There is no user yet.");
        Shown::new(text, users.iter().map(json).collect())
    };
    base.close().await;
    Ok(shown)
}

fn json(user: &UserRow) -> Value {
    json!({
        "id": user.id.to_string(),
        "email": user.email,
        "active": user.active,
        "operator": user.operator,
        "created_at": time_text(user.created_at),
        "updated_at": time_text(user.updated_at),
    })
}
