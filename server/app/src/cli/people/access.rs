//! Which server a command is for, and the token that it may use there.
use std::{sync::LazyLock, time::Duration};

use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    address::{self, Address},
    clock, http,
    logins::{self, Logins, Store},
    oauth::{self, Tokens},
};
use crate::{
    failure::{Exit, Failure, Result},
    terminal,
};

/// Seconds before its end at which a token is renewed: it must live until the request has arrived.
const EARLY: i64 = 30;
/// How long a renewal whose answer was lost is asked for again: a server that has renewed takes the old token for 90 seconds more, and
/// ends the login when it comes later. The last try must have arrived by then.
const AGAIN: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How long a command that is over waits for a renewal that is not.
const LAST_RENEWAL: Duration = Duration::from_secs(10);

/// Renewals on their way.
static RENEWALS: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// Waits for renewals that a command began and gave up: what the server answers replaces what is kept here. A second Ctrl-C ends the
/// waiting.
pub async fn settled() {
    RENEWALS.close();
    if RENEWALS.is_empty() {
        return;
    }
    tokio::select! {
        _ = timeout(LAST_RENEWAL, RENEWALS.wait()) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Server and token of one command, renewed as needed.
#[derive(Debug)]
pub struct Access {
    pub address: Address,
    pub http: Client,
    way: Way,
}
#[derive(Debug)]
enum Way {
    /// `OCORE_API_KEY`.
    Key(SecretString),
    Login {
        logins: Logins,
        /// What this process used last.
        used: Mutex<Option<Tokens>>,
    },
}

/// How a command is let in, for people to know.
#[derive(Debug)]
pub enum Entry {
    Key,
    Login { store: Store, label: Option<String>, since: i64, tokens: Tokens },
}

impl Access {
    /// The server that `--server` names (a URL, or the label of a login); else `OCORE_URL` with `OCORE_API_KEY`; else the login that
    /// `OCORE_SERVER` names; else the default one.
    ///
    /// # Errors
    /// When there is no such login, or the environment contradicts itself.
    pub async fn open(server: Option<&str>) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let (key, key_url) = (variable("OCORE_API_KEY"), variable("OCORE_URL"));
        let key_address = key_url.as_deref().map(|url| address::read("OCORE_URL", url)).transpose()?;
        // A key is for the server that it was given with, and for no other.
        let for_key = match (server, &key_address) {
            (None, _) => true,
            (Some(named), Some(address)) => Address::parse(named).is_ok_and(|a| a == *address),
            (Some(_), None) => false,
        };
        if let Some(key) = key.filter(|_| for_key) {
            let address = key_address.ok_or_else(|| {
                Failure::usage("OCORE_API_KEY is set, and OCORE_URL does not say for which server it is.")
                    .next("Set OCORE_URL to the server's address, or unset OCORE_API_KEY to use your login.")
            })?;
            if !key.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(Failure::usage("OCORE_API_KEY is no API key.").next("An ocore key starts with ock_."));
            }
            return Ok(Self { http: http::client(&address)?, address, way: Way::Key(key.into()) });
        }
        let logins = Logins::of_this_person()?;
        let book = logins.read().await?;
        let named = server.map(str::to_owned).or_else(|| variable("OCORE_SERVER")).or(key_address.map(|a| a.to_string()));
        let url = match &named {
            Some(named) => book.find(named).map(|(url, _)| url.clone()).ok_or_else(|| {
                // A word that is no address is perhaps a label.
                match Address::parse(named) {
                    Ok(address) if named.contains(['.', ':', '/']) || address.is_loopback() => {
                        lost(&address, "You are not signed in there.")
                    }
                    _ => Failure::new(
                        Exit::Refused,
                        "not_found",
                        format!("You are not signed in at \"{}\".", super::plain::cut(named, 80)),
                    )
                    .next("ocore whoami shows where you are; ocore login URL signs in."),
                }
            })?,
            None => book.default.clone().filter(|url| book.logins.contains_key(url)).ok_or_else(|| {
                let failure = Failure::new(Exit::Refused, "unauthorized", "You are not signed in.");
                match book.logins.len() {
                    0 => failure.next("ocore login https://ocore.example.com, or set OCORE_URL and OCORE_API_KEY."),
                    _ => failure.next("Say where with --server, or make one the default: ocore login URL --default."),
                }
            })?,
        };
        let address = address::read("The login", &url)?;
        Ok(Self { http: http::client(&address)?, address, way: Way::Login { logins, used: Mutex::new(None) } })
    }

    /// Whether it is a person's login rather than a key.
    pub fn is_login(&self) -> bool {
        matches!(self.way, Way::Login { .. })
    }

    /// A token that the server should take now.
    ///
    /// # Errors
    /// When the login has ended, or the server of a token that must be renewed cannot be reached.
    pub async fn bearer(&self) -> Result<SecretString> {
        match &self.way {
            Way::Key(key) => Ok(key.clone()),
            Way::Login { logins, used } => {
                let mut used = used.lock().await;
                if let Some(tokens) = used.as_ref().filter(|t| fresh(t)) {
                    return Ok(tokens.access.clone());
                }
                let tokens = self.current(logins, None).await?;
                Ok(used.insert(tokens).access.clone())
            }
        }
    }

    /// Another token than the one that the server has just refused.
    ///
    /// # Errors
    /// When there is none to be had: a login that has ended, a key that is not good any more.
    pub async fn renew(&self, refused: &SecretString) -> Result<SecretString> {
        match &self.way {
            Way::Key(_) => {
                Err(Failure::new(Exit::Refused, "unauthorized", format!("{} does not take this API key.", self.address))
                    .next("Check OCORE_URL and OCORE_API_KEY: the key may be revoked, expired, or another server's."))
            }
            Way::Login { logins, used } => {
                let mut used = used.lock().await;
                // Another request of this process was faster.
                if let Some(tokens) = used.as_ref().filter(|t| fresh(t) && !same(&t.access, refused)) {
                    return Ok(tokens.access.clone());
                }
                let tokens = self.current(logins, Some(refused)).await?;
                Ok(used.insert(tokens).access.clone())
            }
        }
    }

    /// How this command is let in.
    pub async fn entry(&self) -> Result<Entry> {
        match &self.way {
            Way::Key(_) => Ok(Entry::Key),
            Way::Login { logins, .. } => {
                let login = kept_login(logins, &self.address).await?;
                let tokens = logins.tokens(self.address.as_str(), &login).await?;
                Ok(Entry::Login { store: login.store, label: login.label, since: login.since, tokens })
            }
        }
    }

    /// The tokens as they are kept, renewed first when they must be.
    async fn current(&self, logins: &Logins, refused: Option<&SecretString>) -> Result<Tokens> {
        let renewal =
            Renewal { address: self.address.clone(), http: self.http.clone(), logins: logins.clone(), refused: refused.cloned() };
        let (_, tokens) = renewal.kept().await?;
        if renewal.good(&tokens) {
            return Ok(tokens);
        }
        // A task of its own: who asked may be cancelled at any moment, and the server's answer must be kept all the same, because the
        // token that stands here is used up by then.
        let renewed = RENEWALS.spawn(renewal.run()).await;
        renewed.map_err(|e| Failure::because("The login could not be renewed", &e))?
    }
}

async fn kept_login(logins: &Logins, address: &Address) -> Result<logins::Login> {
    let book = logins.read().await?;
    book.logins.get(address.as_str()).cloned().ok_or_else(|| lost(address, "You are not signed in there any more."))
}

/// Renews a login's tokens, by one process while the others wait and take what it got.
struct Renewal {
    address: Address,
    http: Client,
    logins: Logins,
    /// What the server does not take any more.
    refused: Option<SecretString>,
}
impl Renewal {
    fn good(&self, tokens: &Tokens) -> bool {
        fresh(tokens) && self.refused.as_ref().is_none_or(|refused| !same(&tokens.access, refused))
    }

    async fn kept(&self) -> Result<(logins::Login, Tokens)> {
        let login = kept_login(&self.logins, &self.address).await?;
        let tokens = self.logins.tokens(self.address.as_str(), &login).await?;
        Ok((login, tokens))
    }

    async fn run(self) -> Result<Tokens> {
        let url = self.address.as_str();
        let _renewing = self.logins.renewing(&self.address).await?;
        // What stands there now: who had the lock before us has renewed it.
        let (login, tokens) = self.kept().await?;
        if self.good(&tokens) {
            return Ok(tokens);
        }
        let Some(refresh) = &tokens.refresh else { return Err(lost(&self.address, "Your login has ended.")) };
        match self.refresh(&login.endpoints, refresh).await {
            Ok(renewed) => {
                if let Err(error) = self.logins.renewed(url, login.store, &renewed).await {
                    let failure = Failure::from(error);
                    // The command at hand can go on; the next one will need a new login.
                    terminal::remark(&format!(
                        "The renewed login could not be kept. {} Log in again: ocore login {url}",
                        failure.message
                    ));
                }
                Ok(renewed)
            }
            Err(error) if error.is_over() => {
                Err(lost(&self.address, "Your login has ended: it was revoked, or not used for too long."))
            }
            // Early is early: what still lives is used while the server cannot renew it.
            Err(_) if self.refused.is_none() && tokens.expires_at.is_some_and(|at| at > clock::now()) => Ok(tokens),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks until an answer comes, once one was lost on its way.
    async fn refresh(&self, endpoints: &oauth::Endpoints, refresh: &SecretString) -> Result<Tokens, oauth::Error> {
        let until = Instant::now() + AGAIN;
        let (mut pause, mut lost) = (FIRST_PAUSE, false);
        loop {
            let error = match oauth::refresh(&self.http, &self.address, endpoints, refresh).await {
                Ok(tokens) => return Ok(tokens),
                Err(error) => error,
            };
            lost |= error.may_have_worked();
            if !lost || !error.may_pass() || Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// There is no way in but a new login.
pub fn lost(address: &Address, what: &str) -> Failure {
    Failure::new(Exit::Refused, "unauthorized", format!("{what} ({address})")).next(format!("ocore login {address}"))
}

fn fresh(tokens: &Tokens) -> bool {
    tokens.expires_at.is_none_or(|at| at - EARLY > clock::now())
}

/// Both are this person's own: nothing is learnt from the time that it takes.
fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}
