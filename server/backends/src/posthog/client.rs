//! Requests to PostHog: where to, with which key, how often, and what its refusals mean.
use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use kernel::{
    Code, ExposeSecret as _, Fault, Instance, Networks, PostHogConnection, Refusal, Result, SecretString, redact, refusal,
};
use moka::future::Cache;
use reqwest::{Url, header::HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    sync::{OnceCell, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use super::hogql::{self, Question};
use crate::{
    Scope,
    odoo::{
        error::scrub,
        http::{Answer, Headers, Http, NoAnswer, Peer},
    },
};

/// What opens the sealed key of an instance's PostHog.
pub trait Keys: std::fmt::Debug + Send + Sync {
    /// The key, or a refusal when there is none any more.
    fn open<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<SecretString>>;
}

const CONNECT: Duration = Duration::from_secs(5);
const KEEP_CONNECTIONS: Duration = Duration::from_secs(30);
/// Of at most 100 rows a query; lists of flags and surveys carry their whole configuration.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// PostHog runs three queries at a time for all keys of an organization of its own, and refuses more.
const AT_A_TIME: usize = 3;
const BEFORE_RETRY: Duration = Duration::from_millis(200);
/// How often a query that PostHog put aside is asked about.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

static PEER: Peer = Peer { who: "PostHog", whose: "PostHog's", program: "PostHog" };

/// The way to all PostHogs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}
#[derive(Debug)]
struct Inner {
    keys: Arc<dyn Keys>,
    http: Http,
    places: Cache<(String, u64), Arc<Semaphore>>,
}
/// A way to none: for tests and benches.
impl Default for Pool {
    fn default() -> Self {
        #[derive(Debug)]
        struct NoKeys;
        impl Keys for NoKeys {
            fn open<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<SecretString>> {
                Box::pin(async { Err(not_configured(instance).into()) })
            }
        }
        Self::new(Arc::new(NoKeys), Networks::default())
    }
}
impl Pool {
    pub fn new(keys: Arc<dyn Keys>, networks: Networks) -> Self {
        let http = Http::new(networks, CONNECT, KEEP_CONNECTIONS, MAX_BODY).with(&PEER);
        let places = Cache::builder().max_capacity(10_000).time_to_idle(Duration::from_mins(15)).build();
        Self { inner: Arc::new(Inner { keys, http, places }) }
    }

    /// A handle for one call. No I/O.
    ///
    /// # Errors
    /// `not_configured` when the instance has no PostHog.
    pub fn reader(&self, instance: Arc<Instance>, scope: &Scope, deadline: Instant) -> std::result::Result<Reader, Refusal> {
        let connection = instance.posthog.clone().ok_or_else(|| not_configured(&instance))?;
        Ok(self.handle(instance, connection, !scope.restricted, None, deadline))
    }

    /// Whether a key (none means the stored one) answers for this project, before they are stored.
    pub async fn check(
        &self,
        instance: Arc<Instance>,
        connection: PostHogConnection,
        key: Option<SecretString>,
        deadline: Instant,
    ) -> Result<()> {
        let reader = self.handle(instance, connection, false, key, deadline);
        reader.ask(&hogql::ONE.alone()).await?.only()?.count("one")?;
        Ok(())
    }

    fn handle(
        &self,
        instance: Arc<Instance>,
        connection: PostHogConnection,
        people: bool,
        key: Option<SecretString>,
        deadline: Instant,
    ) -> Reader {
        let key = Arc::new(OnceCell::new_with(key));
        Reader { pool: self.clone(), instance, connection, people, began: Instant::now(), deadline, key }
    }
}

/// The reading side of one instance's PostHog, for one call.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
    instance: Arc<Instance>,
    connection: PostHogConnection,
    /// Whether the caller may read who somebody is. A key that is limited to some models or companies may not: PostHog knows
    /// nothing of those limits.
    people: bool,
    began: Instant,
    deadline: Instant,
    key: Arc<OnceCell<SecretString>>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
enum Request<'a> {
    Query(&'a Question),
    Put(&'a str),
    List { path: &'a [&'a str], limit: u32, offset: u32 },
}
impl Request<'_> {
    fn path(&self) -> Vec<&str> {
        match self {
            Self::Query(_) => vec!["query", ""],
            Self::Put(id) => vec!["query", *id, ""],
            Self::List { path, .. } => path.iter().copied().chain([""]).collect(),
        }
    }
    /// Of the key.
    fn scope(&self) -> &'static str {
        match self {
            Self::Query(_) | Self::Put(_) => "query:read",
            Self::List { path: ["feature_flags", ..], .. } => "feature_flag:read",
            Self::List { .. } => "survey:read",
        }
    }
}

impl Reader {
    pub(super) fn people(&self) -> bool {
        self.people
    }

    /// Asks and waits for the rows.
    pub(super) async fn ask(&self, question: &Question) -> Result<Table> {
        #[derive(Deserialize)]
        struct Status {
            id: String,
            #[serde(default)]
            complete: bool,
            #[serde(default)]
            error: bool,
            #[serde(default)]
            error_message: Option<String>,
            #[serde(default)]
            results: Option<Box<Answered>>,
        }
        #[derive(Deserialize)]
        struct Answered {
            #[serde(default)]
            columns: Option<Vec<String>>,
            #[serde(default)]
            results: Option<Vec<Vec<Value>>>,
            #[serde(default)]
            query_status: Option<Status>,
        }
        let mut answered: Answered = self.get(Request::Query(question)).await?;
        let mut look = FIRST_LOOK;
        loop {
            if let (Some(columns), Some(rows)) = (answered.columns.take(), answered.results.take()) {
                return Table::new(columns, rows);
            }
            // PostHog decides by itself to run a query in the background.
            let status = answered.query_status.ok_or_else(not_posthog)?;
            if status.error {
                return Err(refused_query(status.error_message.as_deref().unwrap_or_default()));
            }
            if status.complete {
                answered = *status.results.ok_or_else(not_posthog)?;
                answered.query_status = None;
                continue;
            }
            let known = !status.id.is_empty()
                && status.id.len() <= 100
                && status.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if !known {
                return Err(not_posthog().into());
            }
            if Instant::now() + look >= self.deadline {
                return Err(self.late());
            }
            sleep(look).await;
            look = (look * 2).min(LONGEST_LOOK);
            answered = self.get(Request::Put(&status.id)).await?;
        }
    }

    /// One page of a list, and how many there are in all.
    pub(super) async fn list(&self, path: &[&str], limit: u32, offset: u32) -> Result<(Vec<Value>, u64)> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            count: Option<u64>,
            results: Vec<Value>,
        }
        let page: Page = self.get(Request::List { path, limit, offset }).await?;
        let seen = u64::from(offset) + page.results.len() as u64;
        Ok((page.results, page.count.unwrap_or(seen)))
    }

    /// Whatever stands at that path.
    pub(super) async fn value(&self, path: &[&str]) -> Result<Value> {
        self.get(Request::List { path, limit: 0, offset: 0 }).await
    }

    async fn get<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T> {
        let answer = self.send(request).await?;
        serde_json::from_slice(&answer.body).map_err(|_| not_posthog().into())
    }

    /// An answer that PostHog gave with success. Tried once more where the connection broke or a proxy could not reach PostHog.
    async fn send(&self, request: Request<'_>) -> Result<Answer> {
        let key = self.key.get_or_try_init(|| self.pool.inner.keys.open(&self.instance)).await?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).map_err(|_| {
            refusal(Code::NotConfigured, "The stored PostHog key has characters that no key has.")
                .next(self.give("--posthog-key-stdin"))
        })?;
        bearer.set_sensitive(true);
        let url = self.url(&request)?;
        let http = &self.pool.inner.http;
        http.check(&url)?;
        let project = (self.connection.url.to_string(), self.connection.project);
        let place = self.pool.inner.places.get_with(project, async { Arc::new(Semaphore::new(AT_A_TIME)) }).await;
        let Ok(Ok(_place)) = timeout_at(self.deadline, place.acquire()).await else {
            return Err(refusal(Code::Busy, "Other calls already ask this PostHog project as much as it takes at a time.")
                .next("Try again in a moment, or raise timeout_seconds.")
                .into());
        };
        let headers = Headers { bearer: Some(&bearer), ..Headers::default() };
        let mut last = false;
        loop {
            let answer = match request {
                Request::Query(question) => http.post(&url, question.body(), headers, false, self.deadline).await,
                _ => http.get(&url, headers, self.deadline).await,
            };
            let fault: Fault = match answer {
                Ok(answer) if matches!(answer.status, 200..=299) => return Ok(answer),
                Ok(answer) if matches!(answer.status, 502 | 503) => self.refused(&answer, &request, key),
                Ok(answer) => return Err(self.refused(&answer, &request, key)),
                Err(NoAnswer::Broken { .. }) => refusal(Code::Unreachable, "The connection to PostHog broke before it answered.")
                    .next("Try again in a moment.")
                    .into(),
                Err(NoAnswer::Connect(why)) => return Err(why.into()),
                Err(NoAnswer::Late { .. }) => return Err(self.late()),
                Err(NoAnswer::TooLarge { limit }) => {
                    return Err(refusal(
                        Code::TooLarge,
                        format!("PostHog's answer is larger than {} MiB.", limit / (1024 * 1024)),
                    )
                    .next("Ask for a shorter period or a lower limit.")
                    .into());
                }
                Err(NoAnswer::Client(what)) => return Err(Fault::failed(format!("the HTTP client: {what}"))),
            };
            if last || Instant::now() + BEFORE_RETRY >= self.deadline {
                return Err(fault);
            }
            last = true;
            sleep(BEFORE_RETRY).await;
        }
    }

    fn url(&self, request: &Request<'_>) -> Result<Url> {
        let mut url = self.connection.url.clone();
        let project = self.connection.project.to_string();
        url.path_segments_mut()
            .map_err(|()| Fault::failed("a PostHog URL without a path"))?
            .pop_if_empty()
            .extend(["api", "projects", &project])
            .extend(request.path());
        if let Request::List { limit, offset, .. } = request
            && *limit > 0
        {
            url.query_pairs_mut().append_pair("limit", &limit.to_string()).append_pair("offset", &offset.to_string());
        }
        Ok(url)
    }

    /// The command with which an administrator mends it.
    fn give(&self, options: &str) -> String {
        format!("An administrator corrects it: ocore instance update {} {options}", self.instance.slug)
    }

    fn late(&self) -> Fault {
        let seconds = self.deadline.saturating_duration_since(self.began).as_secs();
        refusal(Code::Timeout, format!("PostHog had not answered after {seconds} s."))
            .next("Ask for a shorter period, or give it more time with timeout_seconds (at most 120).")
            .into()
    }

    /// What an answer without success means.
    fn refused(&self, answer: &Answer, request: &Request<'_>, key: &SecretString) -> Fault {
        /// The body of all errors of PostHog's API.
        #[derive(Default, Deserialize)]
        struct Said {
            #[serde(default)]
            detail: String,
        }
        let said = serde_json::from_slice::<Said>(&answer.body).unwrap_or_default().detail;
        let said = clean(&said.replace(key.expose_secret(), redact::REDACTED));
        let (scope, project) = (request.scope(), self.connection.project);
        match answer.status {
            status @ 300..=399 => refusal(
                Code::Unreachable,
                format!("PostHog's URL answers with a redirect (HTTP {status}), which ocore does not follow."),
            )
            .next(self.give(
                "--posthog-url URL --posthog-key-stdin, with the address of the API itself, such as https://us.posthog.com.",
            )),
            400 => return refused_query(&said),
            401 => refusal(Code::NotConfigured, "PostHog refuses the stored key: it is wrong, expired or deleted.")
                .next(self.give(&format!("--posthog-key-stdin, with a personal API key (phx_…) that has the scope {scope}."))),
            402 => refusal(Code::RateLimited, "PostHog's billing limit of this organization is reached.")
                .next("Whoever pays for PostHog raises the limit in its billing settings."),
            403 => refusal(Code::NotConfigured, format!("PostHog does not let the stored key do this.{}", sentence(&said))).next(
                self.give(&format!(
                    "--posthog-key-stdin, with a personal API key that has the scope {scope} and access to project {project}."
                )),
            ),
            404 => refusal(Code::NotConfigured, format!("PostHog knows no project {project}, or the stored key may not see it."))
                .next(self.give("--posthog-project ID, with the number from the project's settings.")),
            429 => {
                let wait = answer.retry_after.or_else(|| seconds(&said));
                let next = wait.map_or_else(
                    || "Wait a minute, then try again; ask for less at a time.".to_owned(),
                    |s| format!("Wait {s} seconds, then try again."),
                );
                refusal(Code::RateLimited, "PostHog's rate limit for this project is used up.").next(next)
            }
            408 | 504 | 512 => {
                refusal(Code::Timeout, "PostHog gave up on the query: it took too long there.").next("Ask for a shorter period.")
            }
            status @ 500.. => refusal(Code::Unreachable, format!("PostHog failed (HTTP {status})."))
                .next("Try again later; if it stays so, look at PostHog's status page or at the log of your own PostHog."),
            status => refusal(Code::Unreachable, format!("PostHog's URL answers with HTTP {status}: that is not PostHog's API."))
                .next(self.give("--posthog-url URL --posthog-key-stdin")),
        }
        .into()
    }
}

fn not_configured(instance: &Instance) -> Refusal {
    refusal(Code::NotConfigured, "This instance has no PostHog connection.").next(format!(
        "An administrator sets it up, with a personal API key that has the scopes query:read, feature_flag:read and survey:read: ocore \
         instance update {} --posthog-url https://eu.posthog.com --posthog-project ID --posthog-key-stdin",
        instance.slug
    ))
}

fn not_posthog() -> Refusal {
    refusal(Code::Unreachable, "What answers at PostHog's URL does not answer as PostHog does.")
        .next("An administrator checks the URL: it is that of the app, such as https://eu.posthog.com.")
}

fn refused_query(said: &str) -> Fault {
    refusal(Code::NotSupported, format!("This PostHog does not take the query.{}", sentence(&clean(said))))
        .next("If it is one of your own, bring it up to date; else tell the operator of ocore.")
        .into()
}

/// PostHog's words: one line, not long, without what leaks.
fn clean(text: &str) -> String {
    let text: String = text.chars().take(2_000).map(|c| if c.is_control() { ' ' } else { c }).collect();
    scrub(&text).chars().take(300).collect()
}
fn sentence(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" It says: {said}") }
}
/// `Request was throttled. Expected available in 30 seconds.`
fn seconds(said: &str) -> Option<u64> {
    said.split_once("available in ")?.1.split(' ').next()?.parse().ok()
}

/// The rows that a query gave.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}
impl Table {
    fn new(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Result<Self> {
        if rows.iter().any(|row| row.len() != columns.len()) {
            return Err(not_posthog().into());
        }
        Ok(Self { columns, rows })
    }
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|row| Row { columns: &self.columns, row })
    }
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
    /// The one row of a question that sums everything up.
    pub(super) fn only(&self) -> Result<Row<'_>> {
        self.rows().next().filter(|_| self.rows.len() == 1).ok_or_else(|| not_posthog().into())
    }
}
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    columns: &'a [String],
    row: &'a [Value],
}
impl Row<'_> {
    fn value(&self, column: &str) -> Result<&Value> {
        let at = self.columns.iter().position(|c| c == column).ok_or_else(not_posthog)?;
        self.row.get(at).ok_or_else(|| not_posthog().into())
    }
    /// A count; of nothing it is 0.
    pub(super) fn count(&self, column: &str) -> Result<u64> {
        match self.value(column)? {
            Value::Null => Ok(0),
            Value::Number(n) => n.as_u64().ok_or_else(|| not_posthog().into()),
            // 64-bit numbers may come as texts.
            Value::String(text) => text.parse().map_err(|_| not_posthog().into()),
            _ => Err(not_posthog().into()),
        }
    }
    /// A measure; of nothing there is none. To four places.
    pub(super) fn number(&self, column: &str) -> Result<Option<f64>> {
        let number = match self.value(column)? {
            Value::Null => None,
            Value::Number(n) => n.as_f64(),
            Value::String(text) => Some(text.parse::<f64>().map_err(|_| not_posthog())?),
            _ => return Err(not_posthog().into()),
        };
        Ok(number.filter(|n| n.is_finite()).map(|n| (n * 10_000.0).round() / 10_000.0))
    }
    /// A text that is not empty, on one line and not long.
    pub(super) fn text(&self, column: &str) -> Result<Option<String>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(short(text)),
            other => Ok(short(&other.to_string())),
        }
    }
}

/// The most characters of one text in an answer.
const LONGEST_TEXT: usize = 300;

pub(super) fn short(text: &str) -> Option<String> {
    let mut letters = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = letters.by_ref().take(LONGEST_TEXT).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    Some(short).filter(|s| !s.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn waits_are_read_from_the_words_too() {
        assert_eq!(seconds("Request was throttled. Expected available in 30 seconds."), Some(30));
        assert_eq!(seconds("Request was throttled. Expected available in 1 second."), Some(1));
        assert_eq!(seconds("Exceeded maximum concurrency limit: 3"), None);
    }

    #[test]
    fn words_of_posthog_stay_one_short_line() {
        let said = clean(&format!("Unknown\nfield at /usr/lib/x\u{7} {}", "y".repeat(5_000)));
        assert!(!said.contains('\n') && !said.contains("/usr") && said.chars().count() <= 300, "{said}");
    }

    #[test]
    fn cells_are_read_as_they_may_come() {
        let columns = ["n", "f", "t"].map(str::to_owned).to_vec();
        let rows = vec![
            vec![json!("18446744073709551615"), json!("nan"), json!("  a\u{0}b  ")],
            vec![json!(null), json!(0.123_456), json!("x".repeat(500))],
        ];
        let table = Table::new(columns.clone(), rows).unwrap();
        let rows: Vec<_> = table.rows().collect();
        assert_eq!(rows[0].count("n").unwrap(), u64::MAX);
        assert_eq!(rows[0].number("f").unwrap(), None);
        assert_eq!(rows[0].text("t").unwrap().unwrap(), "a b");
        assert_eq!(rows[1].count("n").unwrap(), 0);
        assert_eq!(rows[1].number("f").unwrap(), Some(0.1235));
        assert_eq!(rows[1].text("t").unwrap().unwrap().chars().count(), LONGEST_TEXT + 1);
        assert!(rows[0].count("missing").is_err() && rows[0].count("t").is_err() && table.only().is_err());
        assert!(Table::new(columns, vec![vec![json!(1)]]).is_err(), "a row that is too short");
    }
}
