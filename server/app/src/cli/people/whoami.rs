//! `ocore whoami`
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Target,
    access::{Access, Entry},
    clock, login,
    logins::Logins,
    plain,
};
use crate::{
    failure::Result,
    terminal::{self, Shown},
};

#[derive(Debug, Args)]
pub struct Whoami {
    #[command(flatten)]
    target: Target,
}

/// Where `server/discover` tells who asks.
const WHO: &str = "ocore/whoami";

/// Who asks, as the server says. One without any of it is older, or another program.
#[derive(Debug, Default, Deserialize)]
struct Who {
    person: Option<String>,
    organization: Option<String>,
    role: Option<String>,
    key: Option<String>,
    access: Option<String>,
    expires_at: Option<String>,
}

impl Whoami {
    pub async fn run(self) -> Result<Shown> {
        let access = self.target.open().await?;
        // Asked first: it renews what has to be renewed, and what is told below is then as it is.
        let about = access.request("server/discover", json!({}), None, true, |_| {}).await?;
        let who = about.get("_meta").and_then(|m| Who::deserialize(m.get(WHO)?).ok()).unwrap_or_default();
        let version = about.get("_meta").and_then(|m| m.get("io.modelcontextprotocol/serverInfo")?.get("version")?.as_str());
        let version = version.map(|v| plain::cut(v, 40));
        let text = |said: &Option<String>| said.as_ref().map(|text| plain::cut(text, 200));
        let mut facts = vec![(
            "Server",
            format!("{}{}", access.address, version.as_ref().map(|v| format!(" (ocore {v})")).unwrap_or_default()),
        )];
        let person = text(&who.person);
        if person.is_none() && who.organization.is_some() {
            facts.push(("Person", "nobody: the key is the organization's own".into()));
        }
        for (label, said) in
            [("Person", &who.person), ("Organization", &who.organization), ("Role", &who.role), ("Key", &who.key)]
        {
            facts.extend(text(said).map(|text| (label, text)));
        }
        if let Some(at) = text(&who.expires_at) {
            facts.push(("Key ends", clock::read(&at).map_or_else(|| at.clone(), |at| clock::both(at, clock::now()))));
        }
        let mut value = json!({
            "server": access.address.as_str(),
            "version": version,
            "person": person,
            "organization": text(&who.organization),
            "role": text(&who.role),
            "key": text(&who.key),
            "access": text(&who.access),
            "key_expires_at": text(&who.expires_at),
        });
        let more = about_entry(&access, &who, &mut facts).await?;
        let others = others(&access).await;
        if !others.is_empty() {
            facts.push(("Also at", others.join(", ")));
        }
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
            value.insert("others".into(), others.into());
        }
        Ok(Shown::new(terminal::facts(&facts), value))
    }
}

/// What a call may do by this access.
fn allowed(access: Option<&str>) -> &'static str {
    match access {
        Some("read") => "read",
        Some("write") => "read, change",
        Some("destructive") => "read, change, delete",
        _ => "nothing",
    }
}

async fn about_entry(access: &Access, who: &Who, facts: &mut Vec<(&'static str, String)>) -> Result<Value> {
    // Within the role, which is told beside it. A server that does not say who asks does not say this either.
    let may = who.organization.as_ref().map(|_| allowed(who.access.as_deref()).to_owned());
    match access.entry().await? {
        Entry::Key => {
            facts.extend(may.map(|may| ("You may", may)));
            facts.push(("Let in by", "the API key in OCORE_API_KEY".into()));
            Ok(json!({"way": "api_key", "scope": null, "expires_at": null, "store": "environment"}))
        }
        Entry::Login { store, label, since, tokens } => {
            let now = clock::now();
            if let Some(label) = &label {
                facts.push(("Label", plain::cut(label, 80)));
            }
            facts.push(("You may", may.unwrap_or_else(|| login::words(&tokens.scope))));
            facts.push(("Signed in", clock::both(since, now)));
            let expiry = tokens.expires_at.map_or_else(|| "unknown".to_owned(), |at| clock::relative(at, now));
            let renewed = if tokens.refresh.is_some() { ", then it is renewed by itself" } else { ", then log in again" };
            facts.push(("Token ends", format!("{expiry}{renewed}")));
            facts.push((
                "Kept in",
                match store {
                    super::logins::Store::Keyring => "the system's keyring".into(),
                    super::logins::Store::File => Logins::of_this_person()?.file().display().to_string(),
                },
            ));
            Ok(json!({
                "way": "login",
                "label": label,
                "scope": tokens.scope,
                "since": clock::text(since),
                "expires_at": tokens.expires_at.map(clock::text),
                "renewable": tokens.refresh.is_some(),
                "store": store,
            }))
        }
    }
}

/// The other servers that this person is signed in at.
async fn others(access: &Access) -> Vec<String> {
    let Ok(logins) = Logins::of_this_person() else { return Vec::new() };
    let Ok(book) = logins.read().await else { return Vec::new() };
    book.logins.keys().filter(|url| *url != access.address.as_str()).cloned().collect()
}
