//! The handles that tools get: the container of one instance, for one call, under the caller's scope.
use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use kernel::{
    Code, DockerConnection, ExposeSecret as _, Fault, Instance, Networks, OrgId, Refusal, Result, SecretString, ServerId,
    Sources, WritePermit, redact, refusal,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    container::{Container, Description, Options},
    endpoint::{Endpoint, Endpoints, Health, Kind, Settings, Ssh, Tls},
    error::Error,
    exec::{Captured, Limits, Why},
    logs::{Found, Level, Query, Record, Source},
    modules::{Operation, Progress, Report, Restart},
    reflect::{Cleared, Method, NoSession, PythonConstraint, Target, UserSession},
    shell::{Mode, Outcome},
};
use crate::{
    Scope,
    postgres::{proven, unlimited},
};

/// What opens the sealed keys of a Docker server.
pub trait Secrets: std::fmt::Debug + Send + Sync {
    fn open(&self, org: OrgId, server: ServerId) -> BoxFuture<'_, Result<Option<SecretString>>>;
}

/// What TLS (`ca`, `certificate`, `key`) or ssh (`key`, `known_hosts`) to a Docker server needs. All text, PEM or OpenSSH's.
#[derive(Debug, Clone, Default)]
pub struct DockerSecret {
    pub ca: Option<String>,
    pub certificate: Option<String>,
    pub key: Option<SecretString>,
    pub known_hosts: Option<String>,
}
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(default)]
    ca: Option<String>,
    #[serde(default)]
    certificate: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    known_hosts: Option<String>,
}
impl DockerSecret {
    /// As it is sealed.
    pub fn to_text(&self) -> SecretString {
        let key = self.key.as_ref().map(|k| k.expose_secret().to_owned());
        let sealed =
            Sealed { ca: self.ca.clone(), certificate: self.certificate.clone(), key, known_hosts: self.known_hosts.clone() };
        serde_json::to_string(&sealed).unwrap_or_default().into()
    }
    fn from_text(text: &SecretString) -> Self {
        let Ok(sealed) = serde_json::from_str::<Sealed>(text.expose_secret()) else { return Self::default() };
        Self { ca: sealed.ca, certificate: sealed.certificate, key: sealed.key.map(Into::into), known_hosts: sealed.known_hosts }
    }
}

/// Whether an endpoint can be made of these; nothing is connected.
///
/// # Errors
/// `invalid_argument`, saying what is missing or unusable.
pub fn check_secret(endpoint: &str, secret: &DockerSecret) -> std::result::Result<(), Refusal> {
    let settings = Settings { connect: CONNECT, answer: ANSWER, allowed: Arc::new(|_| false), random: Arc::new(|| [0; 16]) };
    let kind = kind(endpoint, secret)?;
    Endpoint::new(kind, settings).map(drop).map_err(|e| refusal(Code::InvalidArgument, e.to_string()).next(e.advice()))
}

fn kind(endpoint: &str, secret: &DockerSecret) -> std::result::Result<Kind, Refusal> {
    let lacks =
        |what: &'static str, how: &'static str| refusal(Code::NotConfigured, format!("The Docker endpoint {what}.")).next(how);
    let url = Url::parse(endpoint).map_err(|_| lacks("is no URL", "The operator corrects the server's endpoint."))?;
    let host = || url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    match url.scheme() {
        "unix" => Ok(Kind::Unix(PathBuf::from(url.path()))),
        "tcp" => {
            let how = "The operator gives them: ocore server update NAME --org SLUG --docker-ca FILE --docker-cert FILE --docker-key FILE";
            match (&secret.ca, &secret.certificate, &secret.key) {
                (Some(ca), Some(certificate), Some(key)) => Ok(Kind::Tls(Tls {
                    host: host(),
                    port: url.port().unwrap_or(2376),
                    ca: ca.clone(),
                    certificate: certificate.clone(),
                    key: key.clone(),
                })),
                _ => Err(lacks("is reached by TLS, and the CA, certificate or key is missing", how)),
            }
        }
        "ssh" => {
            let how = "The operator gives them: ocore server update NAME --org SLUG --docker-key FILE --docker-known-hosts FILE";
            match (&secret.key, &secret.known_hosts) {
                (Some(key), Some(known_hosts)) => Ok(Kind::Ssh(Ssh {
                    host: host(),
                    port: url.port().unwrap_or(22),
                    user: if url.username().is_empty() { "root".to_owned() } else { url.username().to_owned() },
                    key: key.clone(),
                    known_hosts: known_hosts.clone(),
                })),
                _ => Err(lacks("is reached by ssh, and the key or the known hosts are missing", how)),
            }
        }
        _ => Err(lacks("is of a kind that ocore does not know", "The operator corrects the server's endpoint.")),
    }
}

const CONNECT: Duration = Duration::from_secs(5);
/// Below the deadline of calls, so that a Docker that says nothing is named, and no outcome of what was never begun is unknown.
const ANSWER: Duration = Duration::from_secs(10);

/// The way to all containers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}
#[derive(Debug)]
struct Inner {
    secrets: Arc<dyn Secrets>,
    networks: Networks,
    sources: Sources,
    endpoints: Endpoints,
}
/// A way to none: for tests and benches.
impl Default for Pool {
    fn default() -> Self {
        #[derive(Debug)]
        struct NoSecrets;
        impl Secrets for NoSecrets {
            fn open(&self, _: OrgId, _: ServerId) -> BoxFuture<'_, Result<Option<SecretString>>> {
                Box::pin(async { Ok(None) })
            }
        }
        Self::new(Arc::new(NoSecrets), Networks::default(), Sources::system())
    }
}

impl Pool {
    pub fn new(secrets: Arc<dyn Secrets>, networks: Networks, sources: Sources) -> Self {
        Self { inner: Arc::new(Inner { secrets, networks, sources, endpoints: Endpoints::default() }) }
    }

    /// A handle for one call. No I/O.
    ///
    /// # Errors
    /// `not_configured` without a container or before a login has proven the database; `permission_denied` where the key's models,
    /// fields, records or companies are limited.
    pub fn reader(
        &self,
        instance: Arc<Instance>,
        scope: &Scope,
        deadline: Instant,
        cancel: CancellationToken,
    ) -> std::result::Result<Reader, Refusal> {
        let host = &instance.host;
        let (Some(docker), Some(container)) = (host.docker.clone(), host.container.clone()) else {
            return Err(refusal(Code::NotConfigured, format!("{} has no container.", instance.slug)).next(format!(
                "The operator names it: ocore instance update {} --container NAME (its server needs a Docker endpoint)",
                instance.slug
            )));
        };
        proven(&instance)?;
        unlimited(scope, "what runs in the container")?;
        Ok(Reader { pool: self.clone(), instance, docker, container, deadline, cancel })
    }

    /// Whether Docker answers at a server's endpoint, and what does not work although it does.
    pub async fn check(&self, org: OrgId, docker: &DockerConnection) -> Result<(String, Vec<String>)> {
        let endpoint = self.endpoint(org, docker).await?;
        let Health { version, problems } = endpoint.check().await.map_err(|e| told(&e))?;
        Ok((version.version, problems))
    }

    /// What there is of an instance's container, in words; the operator reads it.
    pub async fn look(&self, instance: &Instance, docker: &DockerConnection, container: &str) -> Result<String> {
        let endpoint = self.endpoint(instance.org, docker).await?;
        let found = Container::new(endpoint, container, Options::default()).map_err(|e| told(&e))?;
        let description = found.describe().await.map_err(|e| told(&e))?;
        let launch = found.launch().await.map_err(|e| told(&e))?;
        let logs = launch.logfile.map_or_else(|| "to the container's output".to_owned(), |file| format!("to {file}"));
        Ok(format!(
            "{container} is {} ({}), Odoo serves at port {} and logs {logs}",
            description.state, description.image, launch.http_port
        ))
    }

    /// The container of an instance, for what has its own rules: files.
    pub(crate) async fn container(&self, instance: &Instance) -> Result<Container> {
        let (Some(docker), Some(name)) = (&instance.host.docker, &instance.host.container) else {
            return Err(refusal(Code::NotConfigured, format!("{} has no container.", instance.slug))
                .next(format!("The operator names it: ocore instance update {} --container NAME", instance.slug))
                .into());
        };
        let endpoint = self.endpoint(instance.org, docker).await.map_err(|fault| {
            tracing::warn!(slug = %instance.slug, why = %fault.public().message, "the Docker server of an instance is not reached");
            Fault::from(refusal(Code::Unreachable, format!("The Docker server of {} is not reached.", instance.slug)).next("Tell the operator: the log says why."))
        })?;
        Container::new(endpoint, name, Options::default())
            .map_err(|e| refusal(Code::NotConfigured, e.to_string()).next(e.advice()).into())
    }

    /// Another container on the same Docker server: the database's.
    pub(crate) async fn named(&self, instance: &Instance, name: &str) -> Result<Container> {
        let Some(docker) = &instance.host.docker else { return Err(Fault::failed("a container without a Docker server")) };
        let endpoint = self.endpoint(instance.org, docker).await?;
        Container::new(endpoint, name, Options::default())
            .map_err(|e| refusal(Code::NotConfigured, e.to_string()).next(e.advice()).into())
    }

    async fn endpoint(&self, org: OrgId, docker: &DockerConnection) -> Result<Endpoint> {
        let secret = match self.inner.secrets.open(org, docker.server).await? {
            Some(text) => DockerSecret::from_text(&text),
            None => DockerSecret::default(),
        };
        let kind = kind(&docker.endpoint, &secret)?;
        let (networks, random) = (self.inner.networks.clone(), Arc::clone(&self.inner.sources.random));
        // No port of Docker's is one of ocore's own.
        let port = Url::parse(&docker.endpoint).ok().and_then(|u| u.port()).unwrap_or(0);
        let settings = Settings {
            connect: CONNECT,
            answer: ANSWER,
            allowed: Arc::new(move |address| networks.check(address, port).is_ok()),
            random: Arc::new(move || {
                let mut bytes = [0; 16];
                random.fill(&mut bytes);
                bytes
            }),
        };
        let made = self
            .inner
            .endpoints
            .get(&docker.server.to_string(), docker.generation.unsigned_abs(), || Endpoint::new(kind, settings));
        made.map_err(|e| told(&e))
    }
}

/// What the operator reads of a failure: with the place.
fn told(error: &Error) -> Fault {
    refusal(Code::Unreachable, error.to_string()).next(error.advice()).into()
}

/// What ran, cut and with secrets masked.
#[derive(Debug, Clone, Serialize)]
pub struct Printed {
    pub text: String,
    /// Bytes that were left out.
    pub dropped: u64,
}
impl Printed {
    fn of(captured: &Captured) -> Self {
        Self { text: captured.text(), dropped: captured.dropped }
    }
}

/// What became of one piece of code.
#[derive(Debug, Clone)]
pub struct Executed {
    pub stdout: Printed,
    pub stderr: Printed,
    /// 0; 1 after an exception; what `sys.exit` was given; 124 at the deadline, 128 + n by a signal.
    pub exit_code: i32,
    /// `repr` of the last expression.
    pub value: Option<String>,
    /// `ValueError: …`, with the line in the code and its traceback.
    pub error: Option<(String, Option<u32>, String)>,
    /// None when there is no telling.
    pub committed: Option<bool>,
    /// Why it was killed, in words.
    pub killed: Option<&'static str>,
    pub took: Duration,
}
impl From<Outcome> for Executed {
    fn from(outcome: Outcome) -> Self {
        Self {
            stdout: Printed::of(&outcome.stdout),
            stderr: Printed::of(&outcome.stderr),
            exit_code: outcome.exit_code,
            value: outcome.value,
            error: outcome.error.map(|e| {
                let cause = e.cause.map(|c| format!(" (from {c})")).unwrap_or_default();
                (format!("{}: {}{cause}", e.kind, e.message), e.line, e.trace)
            }),
            committed: outcome.committed,
            killed: outcome.killed.map(why),
            took: outcome.took,
        }
    }
}
fn why(why: Why) -> &'static str {
    match why {
        Why::Deadline => "the deadline",
        Why::Memory => "too much memory",
        Why::Processes => "too many processes",
        Why::Cancelled => "it was cancelled",
    }
}

/// What to look for in the log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// The most records, the last ones; at most 1,000.
    pub lines: usize,
    /// This or worse: debug, info, warning, error, critical.
    pub level: Option<String>,
    /// Unix seconds.
    pub since: Option<i64>,
    /// In message or traceback, in any case.
    pub text: Option<String>,
    pub logger: Option<String>,
}

/// The container of one call, reading.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
    instance: Arc<Instance>,
    docker: DockerConnection,
    container: String,
    deadline: Instant,
    cancel: CancellationToken,
}
impl Reader {
    pub(crate) async fn container(&self) -> Result<Container> {
        let endpoint = self.pool.endpoint(self.instance.org, &self.docker).await.map_err(|fault| self.hidden(fault))?;
        Container::new(endpoint, &self.container, Options::default()).map_err(|e| self.fault(&e))
    }
    /// Who else runs in this container.
    pub fn shared(&self) -> bool {
        self.instance.host.neighbours.iter().any(|n| n.common == kernel::Common::Container)
    }
    /// Docker's own description of the container.
    pub async fn describe(&self) -> Result<Description> {
        self.container().await?.describe().await.map_err(|e| self.fault(&e))
    }

    /// The last records of the log that fit: this database's, and those of none where nobody else runs in the container.
    pub async fn logs(&self, query: &LogQuery) -> Result<Found> {
        let container = self.container().await?;
        let launch = container.launch().await;
        let source = match launch {
            Ok(launch) => launch.logfile.map_or(Source::Docker, Source::File),
            // Stopped, or Odoo has ended in it: what it said last is what one wants to read then.
            Err(Error::NoOdoo { .. } | Error::NotRunning { .. } | Error::Restarting { .. } | Error::Paused { .. }) => {
                Source::Docker
            }
            Err(error) => return Err(self.fault(&error)),
        };
        let wanted = self.query(query)?;
        let found = container.logs(&source, &wanted, &|text| redact::text(text), self.left()).await;
        found.map_err(|e| self.fault(&e))
    }

    /// Gives the log's records that fit as they come, until the time is over or the call is cancelled. Only what Odoo writes to the
    /// container's output can be followed.
    pub async fn follow(&self, query: &LogQuery, within: Duration, each: &mut (dyn FnMut(Record) + Send)) -> Result<()> {
        let container = self.container().await?;
        if container.launch().await.is_ok_and(|launch| launch.logfile.is_some()) {
            return Err(refusal(Code::NotSupported, "Odoo logs to a file here, which cannot be followed.")
                .next("Call without follow_seconds.")
                .into());
        }
        let wanted = Query { lines: 0, since: None, ..self.query(query)? };
        let mut following = container.follow(wanted).await.map_err(|e| self.fault(&e))?;
        let until = Instant::now() + within.min(self.left().saturating_sub(Duration::from_millis(500)));
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = self.cancel.cancelled() => return Ok(()),
                record = following.next(&|text| redact::text(text)) => match record.map_err(|e| self.fault(&e))? {
                    Some(record) => each(record),
                    None => return Ok(()),
                },
            }
        }
    }
    fn query(&self, query: &LogQuery) -> Result<Query> {
        let level = match &query.level {
            None => None,
            Some(name) => Some(Level::parse(name).ok_or_else(|| {
                refusal(Code::InvalidArgument, "There is no such level.").next("debug, info, warning, error or critical.")
            })?),
        };
        Ok(Query {
            lines: query.lines,
            since: query.since,
            until: None,
            level,
            database: Some(self.instance.database.clone()),
            of_none: !self.shared(),
            logger: query.logger.clone(),
            text: query.text.clone(),
        })
    }

    /// A model's methods, from its class. None when there is no such model.
    pub async fn methods(&self, model: &str, private: bool, search: Option<&str>) -> Result<Option<Vec<Method>>> {
        let container = self.container().await?;
        let found = self.run(container.model_methods(&self.instance.database, model, private, search, &self.limits())).await?;
        found.map_err(|e| self.fault(&e))
    }
    /// A model's constraints in Python. None when there is no such model.
    pub async fn constraints(&self, model: &str) -> Result<Option<Vec<PythonConstraint>>> {
        let container = self.container().await?;
        let found = self.run(container.python_constraints(&self.instance.database, model, &self.limits())).await?;
        found.map_err(|e| self.fault(&e))
    }

    /// A session of the very user whose credential the call uses: it may do no more than that.
    pub async fn own_session(&self, user: i64) -> Result<UserSession> {
        let container = self.container().await?;
        let made = self.run(container.user_session(&self.instance.database, user, true, &self.limits())).await?;
        made.map_err(|e| self.fault(&e))?.map_err(|_| {
            refusal(Code::OdooError, "Odoo's user of this credential has no session made: it is archived, or the public user.")
                .next("An administrator gives the instance another credential.")
                .into()
        })
    }

    /// Ends what runs in the container when the call is cancelled: dropping the future is enough.
    async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(refusal(Code::Cancelled, "The call was cancelled, and what ran in the container is ended.").next("Call again if you still want it.").into()),
        }
    }
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
    fn limits(&self) -> Limits {
        Limits { deadline: self.left(), ..Limits::default() }
    }

    fn hidden(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Refused(refused) if refused.code == Code::Unreachable => {
                tracing::warn!(slug = %self.instance.slug, why = %refused.message, "the Docker server of an instance is not reached");
                self.unreachable()
            }
            other => other,
        }
    }
    fn unreachable(&self) -> Fault {
        refusal(Code::Unreachable, format!("The Docker server of {} is not reached.", self.instance.slug))
            .next("Tell the operator: the log says why. The tools that use RPC do not need it.")
            .into()
    }
    /// What a caller reads: of the container what it is, of the server behind it nothing.
    fn fault(&self, error: &Error) -> Fault {
        let slug = &self.instance.slug;
        let text = redact::text(&error.to_string());
        if error.outcome_unknown() {
            return Fault::unknown(text, error.advice());
        }
        let code = match error {
            Error::SocketMissing { .. }
            | Error::SocketDenied { .. }
            | Error::SocketDead { .. }
            | Error::Unresolved { .. }
            | Error::AddressRefused { .. }
            | Error::Unreachable { .. }
            | Error::TlsMaterial { .. }
            | Error::TlsServer { .. }
            | Error::TlsClient { .. }
            | Error::SshMissing
            | Error::SshSettings { .. }
            | Error::Ssh { .. }
            | Error::NotDocker { .. } => {
                tracing::warn!(%slug, %error, "the Docker server of an instance is not reached");
                return self.unreachable();
            }
            Error::Forbidden { .. } | Error::Api { .. } => {
                tracing::warn!(%slug, %error, "Docker refuses");
                Code::Unreachable
            }
            Error::NoContainer { .. } | Error::NoUser { .. } | Error::Root { .. } | Error::NoPython { .. } => Code::NotConfigured,
            Error::NotRunning { .. } | Error::Paused { .. } | Error::Restarting { .. } | Error::NoOdoo { .. } => {
                Code::Unreachable
            }
            Error::Timeout { .. } | Error::NotServing { .. } => Code::Timeout,
            Error::UnknownModules { .. } => Code::NotFound,
            Error::Argument { .. } => Code::InvalidArgument,
            _ => Code::OdooError,
        };
        refusal(code, text).next(error.advice()).into()
    }
}

/// The container of one call, changing.
#[derive(Debug, Clone)]
pub struct Writer {
    read: Reader,
}
impl Writer {
    /// Needs the proof that this call may write.
    pub fn new(read: Reader, _permit: &WritePermit) -> Self {
        Self { read }
    }

    /// Runs one piece of code in `odoo shell`; rolled back unless it commits. The process ends at the deadline.
    pub async fn execute(&self, code: &str, prompt: bool) -> Result<Executed> {
        let read = &self.read;
        let container = read.container().await?;
        let mode = if prompt { Mode::Prompt } else { Mode::Script };
        let ran = read.run(container.execute(&read.instance.database, code, mode, &read.limits())).await;
        Ok(may_have_run(ran)?.map_err(|e| read.fault(&e))?.into())
    }
    /// Runs several in one process: names and transaction carry over. Stops after the first that fails unless `go_on`.
    pub async fn execute_multi(&self, codes: &[String], go_on: bool) -> Result<Vec<Executed>> {
        let read = &self.read;
        let container = read.container().await?;
        let ran = read.run(container.execute_multi(&read.instance.database, codes, go_on, &read.limits())).await;
        Ok(may_have_run(ran)?.map_err(|e| read.fault(&e))?.into_iter().map(Into::into).collect())
    }
    /// Makes an Odoo session for a user, without a sign-in. Odoo's own users have none made.
    pub async fn user_session(&self, user: i64) -> Result<UserSession> {
        let read = &self.read;
        let container = read.container().await?;
        let made = read.run(container.user_session(&read.instance.database, user, false, &read.limits())).await?;
        made.map_err(|e| read.fault(&e))?.map_err(|why| {
            let (code, text, next) = match why {
                NoSession::Missing => (Code::NotFound, "There is no such user", "list_users tells who there is."),
                NoSession::Archived => {
                    (Code::RecordDenied, "This user is archived and cannot sign in", "set_user_active brings it back.")
                }
                NoSession::Protected => {
                    (Code::RecordDenied, "This is a user of Odoo's own", "Choose the user of a person; nobody acts as these.")
                }
                NoSession::Public => {
                    (Code::RecordDenied, "This is the user of visitors who are not signed in", "Choose the user of a person.")
                }
            };
            refusal(code, format!("{text} (id {user}).")).next(next).into()
        })
    }
    /// Clears caches and tells the running servers.
    pub async fn clear_caches(&self, targets: &[Target]) -> Result<Cleared> {
        let read = &self.read;
        let container = read.container().await?;
        container.clear_caches(&read.instance.database, targets, &read.limits()).await.map_err(|e| read.fault(&e))
    }
    /// Installs, upgrades or uninstalls by Odoo's own command line. Not to be dropped half way: run it in a task of its own.
    pub async fn modules(
        &self,
        operation: Operation,
        modules: &[String],
        deadline: Duration,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Report> {
        let read = &self.read;
        let container = read.container().await?;
        let limits = Limits { deadline, file: 8 << 30, processes: 256, ..Limits::default() };
        let database = &read.instance.database;
        match container.modules(database, operation, modules, Restart::IfCodeChanged, &limits, progress).await {
            Err(Error::UnknownModules { .. }) if operation == Operation::Install => {
                container.update_module_list(database, &limits).await.map_err(|e| read.fault(&e))?;
                container.modules(database, operation, modules, Restart::IfCodeChanged, &limits, progress).await
            }
            other => other,
        }
        .map_err(|e| read.fault(&e))
    }
}

/// Code that was cut off may have committed before.
fn may_have_run<T>(ran: Result<T>) -> Result<T> {
    ran.map_err(|fault| match fault {
        Fault::Refused(refused) if refused.code == Code::Cancelled => Fault::unknown(
            "The call was cancelled while code ran: it is ended, and what it had committed by then stays.",
            "Look at the records that it was to change.",
        ),
        other => other,
    })
}
