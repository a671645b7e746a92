//! HTTP to instances: one client for all of them, without redirects or proxies, whose resolver lets through only the
//! addresses that the operator permits. Answers are bounded in size and time.
use std::{
    error::Error as _,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use kernel::{Code, Networks, Refusal, refusal};
use reqwest::{
    Body, Method, Request, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE},
};
use tokio::time::{Instant, timeout_at};

/// The database that a request is for; JSON-2 and every other route of Odoo 19 read it.
pub(super) const DATABASE: HeaderName = HeaderName::from_static("x-odoo-database");

#[derive(Debug)]
pub(crate) struct Http {
    peer: &'static Peer,
    client: Client,
    /// One more for each port at which ocore itself listens: a resolver hears of names alone, and must know which port they are for.
    own_ports: Vec<(u16, Client)>,
    networks: Networks,
    max_body: usize,
}

/// Or why it could not be made.
type Client = Result<reqwest::Client, String>;

/// What came back, not looked at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Bytes,
    /// The session that Odoo set, as the cookie to send back.
    pub session: Option<HeaderValue>,
    /// The seconds to wait that it asks for.
    pub retry_after: Option<u64>,
}

/// What is spoken with, for the words of refusals.
#[derive(Debug)]
pub(crate) struct Peer {
    pub who: &'static str,
    pub whose: &'static str,
    /// What answers there.
    pub program: &'static str,
}
const ODOO: Peer = Peer { who: "the instance", whose: "the instance's", program: "Odoo" };

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection came to be: nothing was sent.
    Connect(Refusal),
    /// The connection broke. `sent` is false when not even the request's head had gone out.
    Broken { sent: bool },
    /// The deadline passed. `sent` as above; `waited` since the request began.
    Late { sent: bool, waited: Duration },
    /// The answer is larger than ocore takes.
    TooLarge { limit: usize },
    /// ocore itself is at fault.
    Client(String),
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Headers<'a> {
    pub cookie: Option<&'a HeaderValue>,
    pub bearer: Option<&'a HeaderValue>,
    pub database: Option<&'a HeaderValue>,
}

impl Http {
    pub(crate) fn new(networks: Networks, connect: Duration, idle: Duration, max_body: usize) -> Self {
        let client = |port| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .tcp_nodelay(true)
                .http1_only()
                .connect_timeout(connect)
                .pool_idle_timeout(idle)
                .pool_max_idle_per_host(16)
                .user_agent(concat!("ocore/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(Filtered { networks: networks.clone(), port }))
                .build()
                .map_err(|e| with_sources(&e))
        };
        let own_ports = networks.own_ports().map(|port| (port, client(port))).collect();
        // No listener has port 0: it stands for all ports that are not ocore's.
        Self { peer: &ODOO, client: client(0), own_ports, networks, max_body }
    }
    /// For something that is not Odoo.
    #[must_use]
    pub(crate) fn with(self, peer: &'static Peer) -> Self {
        Self { peer, ..self }
    }

    fn client(&self, url: &Url) -> &Client {
        let port = url.port_or_known_default();
        self.own_ports.iter().find(|(own, _)| Some(*own) == port).map_or(&self.client, |(_, client)| client)
    }

    /// Refuses a URL that cannot be meant, or that names an address outside the permitted networks. Names are resolved, and
    /// their addresses checked, at connect.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            let whose = capital(self.peer.whose);
            return Err(refusal(Code::Unreachable, format!("{whose} URL is neither http nor https."))
                .next("An administrator corrects it."));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        match url.host() {
            Some(url::Host::Ipv4(v4)) => self.networks.check(IpAddr::V4(v4), port),
            Some(url::Host::Ipv6(v6)) => self.networks.check(IpAddr::V6(v6), port),
            Some(url::Host::Domain(_)) => Ok(()),
            None => Err(refusal(Code::Unreachable, format!("{} URL names no host.", capital(self.peer.whose)))
                .next("An administrator corrects it.")),
        }
    }

    /// Posts JSON. `write` watches whether the request went out, which decides how a missing answer is told.
    pub(crate) async fn post(
        &self,
        url: &Url,
        body: Vec<u8>,
        headers: Headers<'_>,
        write: bool,
        deadline: Instant,
    ) -> Result<Answer, NoAnswer> {
        self.send(Method::POST, url, Some(body), headers, write, deadline).await
    }
    pub(crate) async fn get(&self, url: &Url, headers: Headers<'_>, deadline: Instant) -> Result<Answer, NoAnswer> {
        self.send(Method::GET, url, None, headers, false, deadline).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Option<Vec<u8>>,
        headers: Headers<'_>,
        write: bool,
        deadline: Instant,
    ) -> Result<Answer, NoAnswer> {
        let client = self.client(url).as_ref().map_err(|e| NoAnswer::Client(e.clone()))?;
        let mut request = Request::new(method, url.clone());
        let to = request.headers_mut();
        // 14 and 15 take a GET with this header for a broken JSON-RPC call.
        if body.is_some() {
            to.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        to.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in [(COOKIE, headers.cookie), (AUTHORIZATION, headers.bearer), (DATABASE, headers.database)] {
            if let Some(value) = value {
                to.insert(name, value.clone());
            }
        }
        let mut sent = None;
        if let Some(bytes) = body {
            *request.body_mut() = Some(if write {
                let flag = Arc::new(AtomicBool::new(false));
                sent = Some(Arc::clone(&flag));
                Body::wrap(Watched { bytes: Some(Bytes::from(bytes)), sent: flag })
            } else {
                Body::from(bytes)
            });
        }
        let sent = || sent.as_ref().is_none_or(|s| s.load(Ordering::Acquire));
        let began = Instant::now();
        match timeout_at(deadline, self.exchange(client, request)).await {
            Err(_) => Err(NoAnswer::Late { sent: sent(), waited: began.elapsed() }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Trouble::TooLarge)) => Err(NoAnswer::TooLarge { limit: self.max_body }),
            Ok(Err(Trouble::Http(e))) => Err(if e.is_builder() {
                NoAnswer::Client(with_sources(&e))
            } else if let Some(why) = self.not_connected(&e) {
                NoAnswer::Connect(why)
            } else {
                NoAnswer::Broken { sent: sent() }
            }),
        }
    }

    /// The client for requests that are sent as they are.
    pub(super) fn client_of(&self, url: &Url) -> Result<&reqwest::Client, &String> {
        self.client(url).as_ref()
    }
    /// Why no connection came to be; none when one did.
    fn not_connected(&self, error: &reqwest::Error) -> Option<Refusal> {
        blocked(error).or_else(|| error.is_connect().then(|| no_connection(error, self.peer)))
    }
    /// Why there is no answer to a request that was sent as it is.
    pub(super) fn why(&self, error: &reqwest::Error) -> Refusal {
        self.not_connected(error).unwrap_or_else(|| {
            refusal(Code::Unreachable, format!("The connection to {} broke.", self.peer.who)).next("Try again in a moment.")
        })
    }

    async fn exchange(&self, client: &reqwest::Client, request: Request) -> Result<Answer, Trouble> {
        let mut response = client.execute(request).await.map_err(Trouble::Http)?;
        let status = response.status().as_u16();
        let session = response.headers().get_all(SET_COOKIE).iter().find_map(session_cookie);
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let expected = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if expected > self.max_body {
            return Err(Trouble::TooLarge);
        }
        let Some(first) = response.chunk().await.map_err(Trouble::Http)? else {
            return Ok(Answer { status, body: Bytes::new(), session, retry_after });
        };
        let Some(second) = response.chunk().await.map_err(Trouble::Http)? else {
            return Ok(Answer { status, body: first, session, retry_after });
        };
        let mut all = Vec::with_capacity(expected.max(first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(more) = response.chunk().await.map_err(Trouble::Http)? {
            if all.len() + more.len() > self.max_body {
                return Err(Trouble::TooLarge);
            }
            all.extend_from_slice(&more);
        }
        Ok(Answer { status, body: all.into(), session, retry_after })
    }
}

enum Trouble {
    Http(reqwest::Error),
    TooLarge,
}

/// `session_id=…` of a Set-Cookie header, without its attributes.
fn session_cookie(value: &HeaderValue) -> Option<HeaderValue> {
    let text = value.to_str().ok()?;
    let pair = text.split(';').next()?.trim();
    let sid = pair.strip_prefix("session_id=")?;
    if sid.is_empty() {
        return None;
    }
    let mut cookie = HeaderValue::from_str(pair).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// Sets its flag when the HTTP layer takes the body: before that, nothing has gone out.
struct Watched {
    bytes: Option<Bytes>,
    sent: Arc<AtomicBool>,
}
impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.sent.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|b| Ok(http_body::Frame::data(b))))
    }
    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }
    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.bytes.as_ref().map_or(0, |b| b.len() as u64))
    }
}

/// The resolver: the system's, less what [`Networks`] refuses.
struct Filtered {
    networks: Networks,
    port: u16,
}
impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, port) = (self.networks.clone(), self.port);
        Box::pin(async move {
            let mut why = None;
            let mut permitted: Vec<SocketAddr> = Vec::new();
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match networks.check(address.ip(), port) {
                    Ok(()) => permitted.push(address),
                    Err(refused) => why = Some(refused),
                }
            }
            match why {
                Some(refused) if permitted.is_empty() => Err(refused.into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

/// The refusal of the address filter, where it is what stopped the connection.
fn blocked(error: &reqwest::Error) -> Option<Refusal> {
    let mut source = error.source();
    while let Some(e) = source {
        if let Some(why) = e.downcast_ref::<Refusal>() {
            return Some(why.clone());
        }
        source = e.source();
    }
    None
}

fn no_connection(error: &reqwest::Error, peer: &Peer) -> Refusal {
    let Peer { who, whose, program } = peer;
    let all = with_sources(error).to_ascii_lowercase();
    let (message, next) = if all.contains("dns") || all.contains("lookup") || all.contains("resolve") {
        (
            format!("The name of {whose} host does not resolve."),
            format!("An administrator checks the host in {whose} URL, and the operator ocore's DNS."),
        )
    } else if all.contains("certificate") || all.contains("tls") {
        (
            format!("The TLS connection to {who} failed: its certificate is not trusted."),
            "Install a certificate for this host that is valid, or have the operator add its authority to the system's."
                .to_owned(),
        )
    } else if all.contains("refused") {
        (
            format!("{} refuses connections: nothing listens at its address.", capital(who)),
            format!("Check that {program} runs and that the port in {whose} URL is right; then try again."),
        )
    } else {
        (
            format!("No connection to {who} came about."),
            format!("Check that {program} runs and can be reached from ocore's host; then try again."),
        )
    };
    refusal(Code::Unreachable, message).next(next)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        text.push_str(": ");
        text.push_str(&e.to_string());
        source = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers one request after the other.
    async fn listener() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
            }
        });
        at
    }

    #[tokio::test]
    async fn ocores_own_listeners_are_not_reached_by_address_or_name() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (own, odoo) = (listener().await, listener().await);
        let loopback = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        for bound in [own, SocketAddr::new([0, 0, 0, 0].into(), own.port()), format!("[::]:{}", own.port()).parse().unwrap()] {
            let networks = Networks::new(loopback.clone()).with_listeners(vec![bound], |a| a.is_loopback());
            let http = Http::new(networks, Duration::from_secs(5), Duration::from_secs(5), 1024);
            let url = |host: &str, to: SocketAddr| Url::parse(&format!("http://{host}:{}/", to.port())).unwrap();
            for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"] {
                assert_eq!(http.check(&url(host, own)).unwrap_err().code, Code::Unreachable, "{host} at {bound}");
                assert!(http.check(&url(host, odoo)).is_ok(), "{host} at {bound}");
            }
            let get = async |to| {
                let deadline = Instant::now() + Duration::from_secs(5);
                http.get(&url("localhost", to), Headers::default(), deadline).await
            };
            assert!(http.check(&url("localhost", own)).is_ok(), "names are checked at connect");
            match get(own).await {
                Err(NoAnswer::Connect(why)) => assert_eq!(why.code, Code::Unreachable),
                other => panic!("ocore reached itself at {bound}: {other:?}"),
            }
            assert_eq!(get(odoo).await.unwrap().status, 200, "another port of the same host");
        }
    }
}
