//! `ocore login`: the device flow (RFC 8628). The person approves in a browser that may be on another device; this side only waits.
use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
};

use clap::Args;
use serde_json::json;

use super::{
    address::{self, Address},
    clock, http, keyring,
    logins::{self, Logins, New, Store},
    oauth::{self, Device, SCOPES, Tokens},
    plain, qr,
};
use crate::{
    failure::{Exit, Failure, Result},
    terminal::{self, Shown},
};

#[derive(Debug, Args)]
pub struct Login {
    /// The address of the ocore, like https://ocore.example.com
    url: String,
    /// What you ask for: read, write, destructive, offline_access, admin, with spaces between
    #[arg(long, value_name = "SCOPES", default_value = SCOPES)]
    scope: String,
    /// A name for this login, to be used with --server
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Where the tokens are kept [env: OCORE_LOGIN_STORE] [default: the keyring where there is one, else a file]
    #[arg(long, env = "OCORE_LOGIN_STORE", hide_env = true, value_enum)]
    store: Option<Store>,
    /// Makes this the server that is meant when none is named
    #[arg(long)]
    default: bool,
    /// Opens the page in a browser on this machine
    #[arg(long)]
    open: bool,
}

impl Login {
    pub async fn run(self, json: bool) -> Result<Shown> {
        let address = address::read("The URL", &self.url)?;
        let scopes = scopes(&self.scope)?;
        if self.label.as_ref().is_some_and(|l| l.trim().is_empty() || l.chars().count() > 60 || l.chars().any(plain::hostile)) {
            return Err(
                Failure::usage("--label is empty, too long, or not plain text.").next("Give a short name, like --label work.")
            );
        }
        let logins = Logins::of_this_person()?;
        // Before anybody approves anything: a login that cannot be kept is none.
        let mut book = logins.read().await?;
        let before = book.logins.remove(address.as_str());
        // A login that is renewed keeps its name.
        let label = self.label.clone().or_else(|| before.as_ref().and_then(|login| login.label.clone()));
        if let Some(taken) =
            label.as_deref().and_then(|label| book.logins.iter().find(|(_, login)| login.label.as_deref() == Some(label)))
        {
            return Err(Failure::usage(format!("Your login at {} has that label.", taken.0)).next("Give another --label."));
        }
        let http = http::client(&address)?;
        let endpoints = oauth::discover(&http, &address).await?;
        let device = oauth::begin(&http, &address, &endpoints, &scopes, label.as_deref()).await?;
        show(&device, json);
        if self.open {
            open(&device);
        }
        let mut line = Waiting::new(json);
        let tokens = tokio::select! {
            // Listened for before the line says that it is.
            biased;
            _ = tokio::signal::ctrl_c() => {
                line.end();
                return Err(Failure::new(Exit::Failed, "cancelled", "Not signed in: you stopped it. Nothing was kept."));
            }
            tokens = oauth::wait(&http, &address, &endpoints, &device, |left| line.show(left)) => tokens,
        };
        line.end();
        let tokens = tokens?;
        let new = New { endpoints: endpoints.clone(), label: label.clone(), store: self.store, make_default: self.default };
        let (store, why, before) = match replace(&logins, &address, new, &tokens).await {
            Ok(kept) => kept,
            Err(error) => {
                // Nobody holds these tokens: they must not stay good.
                if let Some(refresh) = &tokens.refresh {
                    let _ = oauth::revoke(&http, &address, &endpoints, refresh, "refresh_token").await;
                }
                return Err(error.into());
            }
        };
        // The login before this one is nobody's any more.
        let ended = match before {
            Some(Ok(Tokens { refresh: Some(refresh), .. })) => {
                oauth::revoke(&http, &address, &endpoints, &refresh, "refresh_token").await.map_err(Failure::from)
            }
            Some(Err(error)) => Err(error.into()),
            Some(Ok(_)) | None => Ok(()),
        };
        let kept = match store {
            Store::Keyring => "the system's keyring".to_owned(),
            Store::File => format!("{} (only you can read it)", logins.file().display()),
        };
        let granted = if tokens.scope.is_empty() { &scopes } else { &tokens.scope };
        let mut text = format!("Signed in at {address}.\nYou may: {}\nKept in: {kept}\n", words(granted));
        if let Some(why) = &why
            && std::env::var_os("DISPLAY").is_some()
        {
            // Who sits at a desktop expects its keyring.
            let _ = writeln!(text, "Not in the keyring: {}", plain::cut(&why.to_string(), 300));
        }
        if let Err(failure) = &ended {
            let _ = writeln!(
                text,
                "The login before this one could not be ended at the server: {} It is good there for up to 30 days, unless it is revoked on \
                 its page of authorizations.",
                failure.message
            );
        }
        let default = logins.read().await?.default;
        if default.as_deref() != Some(address.as_str()) {
            let default = default.unwrap_or_default();
            let _ = writeln!(text, "Other commands still mean {default}: add --server {address}, or log in with --default.");
        }
        text.push_str("Go on with: ocore instances");
        Ok(Shown::new(
            text,
            json!({
                "server": address.as_str(),
                "label": label,
                "scope": granted,
                "expires_at": tokens.expires_at.map(clock::text),
                "renewable": tokens.refresh.is_some(),
                "store": store,
                "problem": ended.err().map(|failure| failure.message),
                "default": default_is(&logins, address.as_str()).await,
            }),
        ))
    }
}

/// What was kept before, read at the last moment: another process may have renewed it while somebody approved the new one.
type Before = Option<std::result::Result<Tokens, logins::Error>>;

/// Keeps the new tokens in place of those before.
async fn replace(
    logins: &Logins,
    address: &Address,
    new: New,
    tokens: &Tokens,
) -> std::result::Result<(Store, Option<keyring::Error>, Before), logins::Error> {
    let _renewing = logins.renewing(address).await?;
    let before = match logins.read().await?.logins.get(address.as_str()) {
        Some(login) => Some(logins.tokens(address.as_str(), login).await),
        None => None,
    };
    let (store, why) = logins.keep(address, new, tokens).await?;
    Ok((store, why, before))
}

async fn default_is(logins: &Logins, url: &str) -> bool {
    logins.read().await.is_ok_and(|book| book.default.as_deref() == Some(url))
}

/// What the scopes mean, in words.
pub fn words(scopes: &str) -> String {
    let mut words = Vec::new();
    for scope in scopes.split_whitespace() {
        words.push(match scope {
            "read" => "read",
            "write" => "change",
            "destructive" => "delete",
            "admin" => "administer ocore",
            "offline_access" => continue,
            other => other,
        });
    }
    if words.is_empty() { "nothing yet".into() } else { plain::cut(&words.join(", "), 300) }
}

fn scopes(text: &str) -> Result<String> {
    const KNOWN: [&str; 5] = ["read", "write", "destructive", "offline_access", "admin"];
    let words: Vec<&str> = text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
    if let Some(unknown) = words.iter().find(|w| !KNOWN.contains(w)) {
        let failure = Failure::usage(format!("There is no scope \"{}\".", plain::cut(unknown, 40)));
        return Err(match crate::failure::nearest(unknown, KNOWN) {
            Some(near) => failure.next(format!("Did you mean {near}?")),
            None => failure.next(format!("There are {}.", KNOWN.join(", "))),
        });
    }
    if words.is_empty() {
        return Err(Failure::usage("--scope is empty.").next("Ask for read, at least."));
    }
    Ok(words.join(" "))
}

/// Tells what to do. On standard error, so that an answer in JSON stands alone.
fn show(device: &Device, json: bool) {
    let stderr = std::io::stderr();
    if json {
        let page = device.page_with_code.as_deref().unwrap_or(&device.page);
        terminal::remark(
            &json!({"verification_uri": device.page, "verification_uri_complete": page, "user_code": device.user_code, "expires_at": clock::text(device.expires_at)})
                .to_string(),
        );
        return;
    }
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        .is_none_or(|v| v.to_ascii_lowercase().replace('-', "").contains("utf8"));
    let columns = terminal_size::terminal_size_of(&stderr).map(|(width, _)| usize::from(width.0));
    if let (true, true, Some(columns), Some(page)) = (colour, utf8, columns, &device.page_with_code)
        && let Some(lines) = qr::lines(page, columns)
    {
        terminal::remark(&format!("\n{}\n", lines.join("\n")));
    }
    let (bold, plain) = if colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    terminal::remark(&format!(
        "Open   {bold}{}{plain}\nEnter  {bold}{}{plain}\n\nApprove it only if the page shows this very code.",
        device.page, device.user_code
    ));
}

/// Starts the system's browser. That it does not start is no failure: the address stands there.
fn open(device: &Device) {
    let page = device.page_with_code.as_deref().unwrap_or(&device.page);
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let null = std::process::Stdio::null;
    let started = std::process::Command::new(program).arg(page).stdin(null()).stdout(null()).stderr(null()).spawn();
    if started.is_err() {
        terminal::remark(&format!("No browser could be started ({program} is not there). Open the page yourself."));
    }
}

/// The line that says how long there is still time.
struct Waiting {
    /// A terminal shows the time go by; a log is told once.
    live: bool,
    said: bool,
}
impl Waiting {
    fn new(json: bool) -> Self {
        Self { live: !json && std::io::stderr().is_terminal(), said: json }
    }
    fn show(&mut self, left: i64) {
        let mut stderr = std::io::stderr().lock();
        if self.live {
            let _ = write!(stderr, "\r\u{1b}[KWaiting for your approval, {}:{:02} left. Ctrl-C stops.", left / 60, left % 60);
            let _ = stderr.flush();
        } else if !self.said {
            let _ = writeln!(stderr, "Waiting for your approval, {} minutes at most.", left / 60 + 1);
        }
        self.said = true;
    }
    fn end(&mut self) {
        if std::mem::take(&mut self.live) && self.said {
            let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_words() {
        assert_eq!(scopes("read,write  offline_access").unwrap(), "read write offline_access");
        assert_eq!(scopes("reed").unwrap_err().next, "Did you mean read?");
        assert!(scopes(" ").is_err());
        assert_eq!(words("read write offline_access admin"), "read, change, administer ocore");
    }
}
