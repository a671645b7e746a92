//! Docker servers: a unix socket, TCP with TLS client certificates, or ssh.
//!
//! Connections are made here, so that addresses are checked where they are used, keys never touch a disk for TLS, and Docker's
//! streams arrive as bytes: the API calls that are needed are few, and plain HTTP/1.1. ssh is the OpenSSH client with
//! `docker system dial-stdio` on the other side, one process per connection: it needs nothing opened on the host, uses the
//! implementation that administrators know, and its death closes the stream, which ends what runs (see `exec.rs`).
use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt,
    future::Future,
    io,
    net::IpAddr,
    path::PathBuf,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use super::error::{Error, Result};

/// An answer of Docker that is read whole; those of an inspection are a few hundred KB at most.
const LONGEST_ANSWER: usize = 8 << 20;

/// Where Docker's API is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// The path of a socket, usually `/var/run/docker.sock`.
    Unix(PathBuf),
    Tls(Tls),
    Ssh(Ssh),
}

/// `dockerd --tlsverify`: each side shows a certificate. All PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// A name or address that the server's certificate names.
    pub host: String,
    /// Usually 2376.
    pub port: u16,
    /// Who signed the server's certificate; nobody else is trusted.
    pub ca: String,
    pub certificate: String,
    pub key: SecretString,
}

/// `docker system dial-stdio` on a host that is reached by ssh.
#[derive(Debug, Clone)]
pub struct Ssh {
    pub host: String,
    /// Usually 22.
    pub port: u16,
    pub user: String,
    /// A private key in OpenSSH's or PEM format, without passphrase.
    pub key: SecretString,
    /// Lines of `known_hosts` for this host (`[host]:port` where the port is not 22); without a matching one ssh refuses.
    pub known_hosts: String,
}

/// Limits and what comes from outside.
#[derive(Clone)]
pub struct Settings {
    /// Until a connection stands, handshakes included.
    pub connect: Duration,
    /// Until Docker answers a request that does not wait by itself.
    pub answer: Duration,
    /// Which addresses may be connected to; asked with the resolved address for TLS and ssh.
    pub allowed: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Sixteen random bytes, for names that cannot be guessed.
    pub random: Arc<dyn Fn() -> [u8; 16] + Send + Sync>,
}
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("connect", &self.connect).field("answer", &self.answer).finish_non_exhaustive()
    }
}

/// A Docker server. Cheap to clone; clones share the idle connections.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}
struct Shared {
    client: Client<Connector, Full<Bytes>>,
    at: String,
    settings: Settings,
    parting: Parting,
}
/// Why the other side ended the newest connection. A TLS client's certificate is refused only after the handshake, while
/// the first request is on its way; hyper then may know no more than that the connection is gone.
type Parting = Arc<Mutex<Option<Error>>>;
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("at", &self.shared.at).finish_non_exhaustive()
    }
}

/// What Docker tells of itself (`GET /version`).
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "Docker's own names")]
pub struct Version {
    #[serde(rename = "Version")]
    pub version: String,
    #[serde(rename = "ApiVersion")]
    pub api: String,
    #[serde(rename = "Os", default)]
    pub os: String,
    #[serde(rename = "Arch", default)]
    pub arch: String,
    #[serde(rename = "KernelVersion", default)]
    pub kernel: String,
}

/// The outcome of a test of the endpoint.
#[derive(Debug, Clone)]
pub struct Health {
    pub version: Version,
    /// What does not work although Docker answers, in sentences; empty when all is well.
    pub problems: Vec<String>,
}

/// `{"message": …}`, how Docker tells errors.
#[derive(Deserialize)]
struct Said {
    message: String,
}

impl Endpoint {
    /// Checks the settings; connects only when asked something.
    ///
    /// # Errors
    /// [`Error::TlsMaterial`] and [`Error::SshSettings`].
    pub fn new(kind: Kind, settings: Settings) -> Result<Self> {
        let (at, way) = match kind {
            Kind::Unix(path) => (path.display().to_string(), Way::Unix(path)),
            Kind::Tls(tls) => (format!("{}:{}", tls.host, tls.port), Way::Tls(TlsWay::new(&tls)?)),
            Kind::Ssh(ssh) => (format!("{}@{}:{}", ssh.user, ssh.host, ssh.port), Way::Ssh(SshWay::new(ssh)?)),
        };
        let parting = Parting::default();
        let connector = Connector {
            way: Arc::new(way),
            at: at.clone(),
            within: settings.connect,
            allowed: settings.allowed.clone(),
            parting: parting.clone(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(2)
            .build(connector);
        Ok(Self { shared: Arc::new(Shared { client, at, settings, parting }) })
    }

    /// The socket's path, `host:port` or `user@host:port`: for operators only.
    pub fn at(&self) -> &str {
        &self.shared.at
    }
    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }
    /// 32 hexadecimal digits.
    pub(super) fn random_name(&self) -> String {
        (self.shared.settings.random)().iter().fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
    }

    /// Whether Docker answers (`GET /_ping`).
    pub async fn ping(&self) -> Result<()> {
        let answer = self.send("answer", Method::GET, "/_ping", None).await?;
        let body = self.whole("answer", answer).await?;
        if body.trim_ascii() == b"OK" {
            Ok(())
        } else {
            Err(Error::NotDocker { at: self.shared.at.clone(), why: "it does not answer /_ping with OK".to_owned() })
        }
    }
    /// The daemon's version (`GET /version`).
    pub async fn version(&self) -> Result<Version> {
        self.get("tell its version", "/version").await
    }
    /// Whether Docker can be used: it answers, runs Linux containers and lets ocore see them.
    ///
    /// # Errors
    /// Whatever keeps it from answering at all; lesser things are in [`Health::problems`].
    pub async fn check(&self) -> Result<Health> {
        self.ping().await?;
        let version = self.version().await?;
        let mut problems = Vec::new();
        if version.os != "linux" {
            problems.push(format!("This Docker runs {} containers; ocore works with Linux ones.", version.os));
        }
        let api = version.api.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
        if api.as_slice() < [1, 25].as_slice() {
            problems.push(format!("Its API {} is older than 1.25, which ocore needs.", version.api));
        }
        if let Err(error) = self.get::<Vec<Value>>("list containers", "/containers/json?limit=1").await {
            problems.push(format!("{error} {}", error.advice()));
        }
        Ok(Health { version, problems })
    }

    /// A request with its answer as JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, doing: &'static str, path: &str) -> Result<T> {
        let answer = self.send(doing, Method::GET, path, None).await?;
        self.json(doing, answer).await
    }
    pub(super) async fn post<T: DeserializeOwned>(&self, doing: &'static str, path: &str, body: &Value) -> Result<T> {
        let answer = self.send(doing, Method::POST, path, Some(body)).await?;
        self.json(doing, answer).await
    }
    async fn json<T: DeserializeOwned>(&self, doing: &'static str, answer: Response<Incoming>) -> Result<T> {
        let body = self.whole(doing, answer).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Error::NotDocker { at: self.shared.at.clone(), why: format!("unexpected JSON ({error})") })
    }
    async fn whole(&self, doing: &'static str, answer: Response<Incoming>) -> Result<Bytes> {
        let within = self.shared.settings.answer;
        let body = timeout(within, Limited::new(answer.into_body(), LONGEST_ANSWER).collect())
            .await
            .map_err(|_| Error::Timeout { doing, within })?
            .map_err(|error| Error::Lost { doing, why: error.to_string() })?;
        Ok(body.to_bytes())
    }

    /// Sends a request; the answer's head has come and is no refusal. Waits at most `Settings::answer`.
    pub(super) async fn send(
        &self,
        doing: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>> {
        self.send_within(doing, method, path, body, self.shared.settings.answer, false).await
    }
    /// The same with a deadline of its own, and, if asked, for a connection that is then taken over (an attached exec).
    pub(super) async fn send_within(
        &self,
        doing: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
        within: Duration,
        upgrade: bool,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(format!("http://docker{path}")).header(header::HOST, "docker");
        if upgrade {
            request = request.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "tcp");
        }
        let payload = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request
            .body(Full::new(payload))
            .map_err(|error| Error::Argument { what: "the container's name", why: error.to_string() })?;
        // Connecting has its own limit within the connector.
        let within = within.saturating_add(self.shared.settings.connect);
        let answer = timeout(within, self.shared.client.request(request))
            .await
            .map_err(|_| Error::Timeout { doing, within })?
            .map_err(|error| self.failure(doing, &error))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS || status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let body = self.whole(doing, answer).await.unwrap_or_default();
        let message = serde_json::from_slice(&body)
            .map_or_else(|_| String::from_utf8_lossy(&body).chars().take(300).collect(), |Said { message }| message);
        let message = message.trim().trim_end_matches('.').to_owned();
        Err(if status == StatusCode::FORBIDDEN {
            Error::Forbidden { doing, message }
        } else {
            Error::Api { doing, status: status.as_u16(), message }
        })
    }

    /// What a failed request means. The connector's own error is in the chain when there was no connection.
    fn failure(&self, doing: &'static str, error: &hyper_util::client::legacy::Error) -> Error {
        // Own errors travel through hyper's as they are.
        if let Some(carried) = chain(error).find_map(|e| e.downcast_ref::<Carried>())
            && let Some(own) = carried.0.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return own;
        }
        let at = self.shared.at.clone();
        for link in chain(error) {
            if let Some(reason) = link.downcast_ref::<io::Error>().and_then(|error| reason(&at, error)) {
                return reason;
            }
            // The request never left: what ended the connection is why. Of one that left, only its own connection may say what became
            // of it, because its outcome is unknown otherwise.
            if link.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
                && let Some(parting) = self.shared.parting.lock().unwrap_or_else(PoisonError::into_inner).take()
            {
                return parting;
            }
            // hyper has no question for an answer that came before the request.
            let foreign = |e: &hyper::Error| e.is_parse() || e.to_string().contains("unexpected message");
            if link.downcast_ref::<hyper::Error>().is_some_and(foreign) {
                return Error::NotDocker { at, why: link.to_string() };
            }
        }
        let why = chain(error).last().map_or_else(|| error.to_string(), ToString::to_string);
        Error::Lost { doing, why }
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Endpoints by a key and generation of the caller's (a server's id and the number of its last change).
#[derive(Debug, Default)]
pub struct Endpoints {
    known: Mutex<HashMap<String, (u64, Endpoint)>>,
}
impl Endpoints {
    /// The endpoint of this generation; an older one is replaced, its idle connections close.
    pub fn get(&self, key: &str, generation: u64, make: impl FnOnce() -> Result<Endpoint>) -> Result<Endpoint> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((have, endpoint)) = known.get(key)
            && *have == generation
        {
            return Ok(endpoint.clone());
        }
        let endpoint = make()?;
        known.insert(key.to_owned(), (generation, endpoint.clone()));
        Ok(endpoint)
    }
}

// ------------------------------------------------------------------------------------------------ connecting

/// How to connect, checked and parsed.
enum Way {
    Unix(PathBuf),
    Tls(TlsWay),
    Ssh(SshWay),
}
struct TlsWay {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: tokio_rustls::TlsConnector,
}
struct SshWay {
    settings: Ssh,
    /// Private to this user; goes with the last clone of the endpoint. ssh takes keys from files only.
    folder: tempfile::TempDir,
}

impl TlsWay {
    fn new(tls: &Tls) -> Result<Self> {
        let bad = |what: &'static str| move |why: String| Error::TlsMaterial { what, why };
        let certificates = |what: &'static str, pem: &str| -> Result<Vec<CertificateDer<'static>>> {
            let found = CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| bad(what)(error.to_string()))?;
            if found.is_empty() { Err(bad(what)("there is no CERTIFICATE block in it".to_owned())) } else { Ok(found) }
        };
        let mut roots = RootCertStore::empty();
        for authority in certificates("CA", &tls.ca)? {
            roots.add(authority).map_err(|error| bad("CA")(error.to_string()))?;
        }
        let own = certificates("client certificate", &tls.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(tls.key.expose_secret().as_bytes())
            .map_err(|_| bad("client key")("there is no private key block in it".to_owned()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("TLS set-up")(error.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(own, key)
            .map_err(|error| bad("client certificate and key")(error.to_string()))?;
        let name = ServerName::try_from(tls.host.clone()).map_err(|error| bad("host name")(error.to_string()))?;
        Ok(Self { host: tls.host.clone(), port: tls.port, name, connector: Arc::new(config).into() })
    }
}

impl SshWay {
    fn new(settings: Ssh) -> Result<Self> {
        let bad = |why: &str| Error::SshSettings { why: why.to_owned() };
        // Both become words of ssh's command line: neither may look like a flag or hold what ssh expands.
        let word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        if settings.host.parse::<IpAddr>().is_err() && !word(&settings.host) {
            return Err(bad("the host is neither a name nor an address"));
        }
        if !word(&settings.user) {
            return Err(bad("the user's name has characters that are not allowed"));
        }
        if settings.known_hosts.trim().is_empty() {
            return Err(bad("there is no known_hosts line, so the host could not be told from another"));
        }
        let folder = private_folder(&settings).map_err(|error| bad(&format!("the key cannot be kept for ssh ({error})")))?;
        Ok(Self { settings, folder })
    }
    fn command(&self, address: IpAddr, within: Duration) -> Command {
        let Ssh { host, port, user, .. } = &self.settings;
        let alias = if *port == 22 { host.clone() } else { format!("[{host}]:{port}") };
        let folder = self.folder.path().display();
        let mut command = Command::new("ssh");
        // The address was checked, so ssh gets it, and looks the host's key up by its name.
        command.args(["-T", "-a", "-x", "-F", "none"]);
        for option in [
            "BatchMode=yes".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            format!("UserKnownHostsFile=\"{folder}/known_hosts\""),
            "GlobalKnownHostsFile=none".to_owned(),
            "UpdateHostKeys=no".to_owned(),
            format!("HostKeyAlias={alias}"),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
            format!("IdentityFile=\"{folder}/key\""),
            "PreferredAuthentications=publickey".to_owned(),
            "ClearAllForwardings=yes".to_owned(),
            "PermitLocalCommand=no".to_owned(),
            "ControlPath=none".to_owned(),
            "LogLevel=ERROR".to_owned(),
            format!("ConnectTimeout={}", within.as_secs().max(1)),
            "ServerAliveInterval=15".to_owned(),
            "ServerAliveCountMax=3".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
            .args(["-l", user, "-p", &port.to_string(), "--", &address.to_string(), "docker system dial-stdio"])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}
/// A few hundred bytes, once per endpoint.
fn private_folder(ssh: &Ssh) -> io::Result<tempfile::TempDir> {
    use std::{
        io::Write,
        os::unix::fs::{OpenOptionsExt, PermissionsExt},
    };
    let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir()?;
    for (name, text) in [("key", ssh.key.expose_secret()), ("known_hosts", ssh.known_hosts.as_str())] {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.path().join(name))?;
        file.write_all(text.trim().replace("\r\n", "\n").as_bytes())?;
        file.write_all(b"\n")?;
    }
    Ok(folder)
}

/// Own error on its way through hyper's, to be taken out on the other side.
struct Carried(Mutex<Option<Error>>);
impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carried")
    }
}
impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connecting to Docker failed")
    }
}
impl StdError for Carried {}

#[derive(Clone)]
struct Connector {
    way: Arc<Way>,
    at: String,
    within: Duration,
    allowed: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    parting: Parting,
}
impl Connector {
    fn stream(self, io: impl Io + 'static) -> Stream {
        *self.parting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Stream { io: Box::pin(io), at: self.at, parting: self.parting }
    }
    async fn connect(self) -> Result<Stream> {
        let way = self.way.clone();
        match way.as_ref() {
            Way::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(self.stream(stream)),
                Err(error) => Err(match error.kind() {
                    io::ErrorKind::NotFound => Error::SocketMissing { path: path.clone() },
                    io::ErrorKind::PermissionDenied => Error::SocketDenied { path: path.clone() },
                    _ => Error::SocketDead { path: path.clone(), source: error },
                }),
            },
            Way::Tls(way) => {
                let (_, stream) = self.reach(&way.host, way.port).await?;
                let _ = stream.set_nodelay(true);
                let stream = way.connector.connect(way.name.clone(), stream).await.map_err(|error| {
                    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                        Some(tls) => tls_error(&way.host, tls),
                        None => Error::TlsServer { host: way.host.clone(), why: error.to_string() },
                    }
                })?;
                Ok(self.stream(stream))
            }
            Way::Ssh(way) => {
                let Ssh { host, port, .. } = &way.settings;
                // ssh tries one address, so the one that answers is found first.
                let (address, _) = self.reach(host, *port).await?;
                let mut child = way.command(address, self.within).spawn().map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => Error::SshMissing,
                    _ => Error::Ssh { host: host.clone(), why: error.to_string() },
                })?;
                let (Some(stdin), Some(stdout), Some(mut stderr)) =
                    (child.stdin.take(), child.stdout.take(), child.stderr.take())
                else {
                    return Err(Error::Ssh { host: host.clone(), why: "ssh has no pipes".to_owned() });
                };
                let said = tokio::spawn(async move {
                    let mut said = Vec::new();
                    let _ = (&mut stderr).take(4096).read_to_end(&mut said).await;
                    said
                });
                Ok(self.stream(SshStream { _child: child, stdin, stdout, said, heard: false }))
            }
        }
    }
    /// A connection to the first of a host's addresses that takes one.
    async fn reach(&self, host: &str, port: u16) -> Result<(IpAddr, TcpStream)> {
        let mut failed = None;
        for address in self.resolve(host, port).await? {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => return Ok((address, stream)),
                Err(error) => failed = Some(error),
            }
        }
        let source = failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
        Err(Error::Unreachable { host: host.to_owned(), port, source })
    }
    /// The addresses of a host, all of which have to be allowed: a name with a forbidden one among them is not to be trusted.
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|source| Error::Unresolved { host: host.to_owned(), source })?
            .map(|address| address.ip())
            .collect::<Vec<_>>();
        match found.iter().find(|address| !(self.allowed)(**address)) {
            Some(address) => Err(Error::AddressRefused { host: host.to_owned(), address: *address }),
            None => Ok(found),
        }
    }
}
impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Carried;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Carried>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Carried>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Uri) -> Self::Future {
        let (connector, within) = (self.clone(), self.within);
        Box::pin(async move {
            let outcome = timeout(within, connector.connect())
                .await
                .unwrap_or(Err(Error::Timeout { doing: "accept a connection", within }));
            outcome.map(TokioIo::new).map_err(|error| Carried(Mutex::new(Some(error))))
        })
    }
}

fn tls_error(host: &str, error: &rustls::Error) -> Error {
    let host = host.to_owned();
    match error {
        // What the other side says of ours.
        rustls::Error::AlertReceived(alert) => Error::TlsClient { host, why: format!("{alert:?}") },
        rustls::Error::InvalidMessage(_) => Error::TlsServer { host, why: "the port does not speak TLS".to_owned() },
        other => Error::TlsServer { host, why: other.to_string() },
    }
}

/// What TLS or ssh said in a failure of a connection. An `io::Error`'s source is its content's source, never the content itself.
fn reason(at: &str, error: &io::Error) -> Option<Error> {
    let inner = error.get_ref()?;
    if let Some(tls) = inner.downcast_ref() {
        return Some(tls_error(at, tls));
    }
    let SshSaid(why) = inner.downcast_ref()?;
    Some(Error::Ssh { host: at.to_owned(), why: why.clone() })
}

trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// A connection of any kind.
struct Stream {
    io: Pin<Box<dyn Io>>,
    at: String,
    parting: Parting,
}
impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = self.io.as_mut().poll_read(cx, buffer);
        if let Poll::Ready(Err(error)) = &polled
            && let Some(reason) = reason(&self.at, error)
        {
            *self.parting.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
        polled
    }
}
impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(cx)
    }
}

/// The pipes of an ssh process, which ends with them.
struct SshStream {
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    said: JoinHandle<Vec<u8>>,
    /// Whether anything came: if not, ssh's own words tell why.
    heard: bool,
}
/// What ssh wrote before it gave up.
#[derive(Debug)]
struct SshSaid(String);
impl fmt::Display for SshSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl StdError for SshSaid {}
/// ssh's last line tells why; a changed host key is worth a word of its own.
fn in_short(said: &str) -> String {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("ssh ended without a word");
    let last = last.trim_end_matches('.').chars().take(300).collect::<String>();
    if said.contains("IDENTIFICATION HAS CHANGED") {
        format!("{last}: the host shows another key than the one stored for it")
    } else {
        last
    }
}
impl AsyncRead for SshStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stdout).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() == before && !self.heard => {
                let said = match Pin::new(&mut self.said).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(said) => said.unwrap_or_default(),
                };
                self.heard = true;
                Poll::Ready(Err(io::Error::other(SshSaid(in_short(&String::from_utf8_lossy(&said))))))
            }
            Poll::Ready(Ok(())) => {
                self.heard = true;
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}
impl AsyncWrite for SshStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stdin).poll_write(cx, data) {
            // ssh ended before anything came: reading tells why, which a broken pipe does not.
            Poll::Ready(Err(_)) if !self.heard => Poll::Ready(Ok(data.len())),
            other => other,
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
