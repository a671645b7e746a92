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
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE},
};
use tokio::time::{Instant, timeout_at};

/// The database that a request is for; JSON-2 and every other route of Odoo 19 read it.
pub(super) const DATABASE: HeaderName = HeaderName::from_static("x-odoo-database");

#[derive(Debug)]
pub(super) struct Http {
    client: Result<reqwest::Client, String>,
    networks: Networks,
    max_body: usize,
}

/// What came back, not looked at.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Bytes,
    /// The session that Odoo set, as the cookie to send back.
    pub session: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
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
pub(super) struct Headers<'a> {
    pub cookie: Option<&'a HeaderValue>,
    pub bearer: Option<&'a HeaderValue>,
    pub database: Option<&'a HeaderValue>,
}

impl Http {
    pub(super) fn new(networks: Networks, connect: Duration, idle: Duration, max_body: usize) -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .http1_only()
            .connect_timeout(connect)
            .pool_idle_timeout(idle)
            .pool_max_idle_per_host(16)
            .user_agent(concat!("ocore/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Filtered(networks.clone())))
            .build()
            .map_err(|e| with_sources(&e));
        Self { client, networks, max_body }
    }

    /// Refuses a URL that cannot be meant, or that names an address outside the permitted networks. Names are resolved, and
    /// their addresses checked, at connect.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(
                refusal(Code::Unreachable, "The instance's URL is neither http nor https.").next("An administrator corrects it.")
            );
        }
        match url.host() {
            Some(url::Host::Ipv4(v4)) => self.networks.check(IpAddr::V4(v4)),
            Some(url::Host::Ipv6(v6)) => self.networks.check(IpAddr::V6(v6)),
            Some(url::Host::Domain(_)) => Ok(()),
            None => Err(refusal(Code::Unreachable, "The instance's URL names no host.").next("An administrator corrects it.")),
        }
    }

    /// Posts JSON. `write` watches whether the request went out, which decides how a missing answer is told.
    pub(super) async fn post(
        &self,
        url: &Url,
        body: Vec<u8>,
        headers: Headers<'_>,
        write: bool,
        deadline: Instant,
    ) -> Result<Answer, NoAnswer> {
        self.send(Method::POST, url, Some(body), headers, write, deadline).await
    }
    pub(super) async fn get(&self, url: &Url, headers: Headers<'_>, deadline: Instant) -> Result<Answer, NoAnswer> {
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
        let client = self.client.as_ref().map_err(|e| NoAnswer::Client(e.clone()))?;
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
            } else if let Some(why) = blocked(&e) {
                NoAnswer::Connect(why)
            } else if e.is_connect() {
                NoAnswer::Connect(no_connection(&e))
            } else {
                NoAnswer::Broken { sent: sent() }
            }),
        }
    }

    async fn exchange(&self, client: &reqwest::Client, request: Request) -> Result<Answer, Trouble> {
        let mut response = client.execute(request).await.map_err(Trouble::Http)?;
        let status = response.status().as_u16();
        let session = response.headers().get_all(SET_COOKIE).iter().find_map(session_cookie);
        let expected = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if expected > self.max_body {
            return Err(Trouble::TooLarge);
        }
        let Some(first) = response.chunk().await.map_err(Trouble::Http)? else {
            return Ok(Answer { status, body: Bytes::new(), session });
        };
        let Some(second) = response.chunk().await.map_err(Trouble::Http)? else {
            return Ok(Answer { status, body: first, session });
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
        Ok(Answer { status, body: all.into(), session })
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
struct Filtered(Networks);
impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0.clone();
        Box::pin(async move {
            let mut why = None;
            let mut permitted: Vec<SocketAddr> = Vec::new();
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match networks.check(address.ip()) {
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

fn no_connection(error: &reqwest::Error) -> Refusal {
    let all = with_sources(error).to_ascii_lowercase();
    let (message, next) = if all.contains("dns") || all.contains("lookup") || all.contains("resolve") {
        (
            "The name of the instance's host does not resolve.",
            "An administrator checks the host in the instance's URL, and the operator ocore's DNS.",
        )
    } else if all.contains("certificate") || all.contains("tls") {
        (
            "The TLS connection to the instance failed: its certificate is not trusted.",
            "Install a certificate for this host that is valid, or have the operator add its authority to the system's.",
        )
    } else if all.contains("refused") {
        (
            "The instance refuses connections: nothing listens at its address.",
            "Check that Odoo runs and that the port in the instance's URL is right; then try again.",
        )
    } else {
        (
            "No connection to the instance came about.",
            "Check that Odoo runs and can be reached from ocore's host; then try again.",
        )
    };
    refusal(Code::Unreachable, message).next(next)
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
