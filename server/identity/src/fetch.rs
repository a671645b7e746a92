//! What ocore fetches because somebody names a URL: documents, key sets and logos of clients, and what OpenID providers answer.
//!
//! Whoever names the URL is a stranger, so that a fetch must not lead inside: https alone, no redirect, no cookie or credential, no
//! proxy from the environment, and only addresses that [`Networks`] permits. The *resolved* address is what counts: the resolver hands
//! on none that is not permitted, and what it handed on is what is connected to, so that a name that changes between two look-ups
//! gains nothing. Size and time of an answer are bounded, it is never decompressed, and one URL is fetched once at a time. What the
//! errors tell of a network inside is that an address is not allowed, no more.
use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING},
};
use kernel::Networks;
use parking_lot::Mutex;
use reqwest::{
    Request,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use url::{Host, Url};

/// The longest URL that is fetched, in bytes.
const LONGEST: usize = 2048;
/// The largest head of an answer, in bytes, and the most lines in it. The HTTP library itself holds no more than 400 KB of one.
const HEAD: usize = 16 * 1024;
const LINES: usize = 100;
/// Fetches at a time, and those that may wait for their turn.
const PLACES: usize = 16;
const WAITING: usize = 200;
/// For the connection, TLS included.
const CONNECT: Duration = Duration::from_secs(3);
/// Look-ups of names at a time. A look-up that nobody waits for any more keeps its place and a thread until the system gives it up.
const LOOK_UPS: usize = 16;
/// The largest logo, in bytes.
const LARGEST_LOGO: usize = 256 * 1024;

/// What is fetched, and how much of it at most. Fetches of one URL that ask for the same and as much are one.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What to ask for: the `Accept` header.
    pub accept: &'static str,
    /// The largest body, in bytes.
    pub bytes: usize,
    /// For the whole: the turn, the look-up, the connection, the answer.
    pub time: Duration,
    /// Whether an answer with this status and `Content-Type` is read at all.
    pub acceptable: fn(u16, Option<&str>) -> bool,
}

/// Client logos.
const LOGO: Limits = Limits {
    accept: "image/png, image/jpeg, image/gif, image/webp",
    bytes: LARGEST_LOGO,
    time: Duration::from_secs(5),
    acceptable: |status, content_type| status == 200 && Raster::named(content_type).is_some(),
};

/// An answer that was acceptable.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub body: Bytes,
    /// `Content-Type` as it came.
    pub content_type: Option<String>,
    /// All lines of `Cache-Control`, joined (RFC 9110 section 5.3).
    pub cache_control: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    #[error("it is not fetched: only https URLs of at most 2048 bytes without user, password and fragment are")]
    Url,
    #[error(
        "its host leads to an address that ocore does not connect to: it must be on the public internet, or in a network that the operator lists"
    )]
    Address,
    #[error(
        "no connection to its host came about: the name must resolve, and the port answer with a TLS certificate that is valid for it"
    )]
    Unreachable,
    #[error("the answer was not there within {} seconds", .0.as_secs())]
    Late(Duration),
    #[error("the connection broke, or what came was no HTTP")]
    Broken,
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the head of the answer is larger than 16 KB")]
    Head,
    #[error("the answer is a redirect ({0}), which is not followed: name the URL that it leads to")]
    Redirect(u16),
    #[error("the answer is compressed although that was not asked for: serve it as it is")]
    Compressed,
    #[error("the answer has status {status} and the type '{content_type}', where 200 and a fitting type are needed")]
    NotAcceptable {
        status: u16,
        /// Shortened, printable.
        content_type: String,
    },
    #[error("it is no PNG, JPEG, GIF or WebP image, or not of the type that its Content-Type names")]
    NoImage,
    #[error("too much is being fetched at the moment: try again soon")]
    Busy,
    #[error("ocore's HTTP client could not be made: {0}")]
    Client(String),
}
impl FetchError {
    /// Whether it may be otherwise in a moment, so that a copy from before may serve meanwhile: the network failed, or the host is
    /// overloaded, or answers 403 as some do to addresses of clouds. A host that says that there is nothing (404, 410), or leads
    /// inside, has taken back what was there.
    pub fn passing(&self) -> bool {
        match self {
            Self::Unreachable | Self::Late(_) | Self::Broken | Self::Busy | Self::Client(_) => true,
            Self::NotAcceptable { status, .. } => matches!(status, 403 | 408 | 425 | 429 | 500..),
            _ => false,
        }
    }
}

/// Fetches. Cheap to clone; clones share places, look-ups and fetches under way.
#[derive(Debug, Clone)]
pub struct Fetch(Arc<Inner>);

struct Inner {
    networks: Networks,
    client: reqwest::Client,
    /// One more for each port at which ocore itself listens: a resolver hears of names alone, and must know which port they are for.
    own_ports: Vec<(u16, reqwest::Client)>,
    places: Semaphore,
    running: Mutex<HashMap<Key, WeakShared<Running>>>,
}
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("networks", &self.networks).finish_non_exhaustive()
    }
}

/// What is the same fetch: the URL, what is asked for, and how much.
type Key = (String, &'static str, usize);
type Running = BoxFuture<'static, Result<Fetched, FetchError>>;

impl Fetch {
    /// # Errors
    /// [`FetchError::Client`] where the TLS library cannot be set up, as without any authorities to trust.
    pub fn new(networks: Networks) -> Result<Self, FetchError> {
        Self::with(networks, &Names::System, |builder| builder)
    }
    /// With other authorities than the system's alone (DER), and addresses of names from a function: for tests.
    ///
    /// # Errors
    /// [`FetchError::Client`].
    #[cfg(any(test, feature = "testing"))]
    pub fn testing(
        networks: Networks,
        authorities: &[Vec<u8>],
        names: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
    ) -> Result<Self, FetchError> {
        let certificates: Result<Vec<_>, _> = authorities.iter().map(|der| reqwest::Certificate::from_der(der)).collect();
        let certificates = certificates.map_err(|e| FetchError::Client(e.to_string()))?;
        Self::with(networks, &Names::Table(Arc::new(names)), |builder| builder.tls_certs_only(certificates.clone()))
    }

    fn with(
        networks: Networks,
        names: &Names,
        trust: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, FetchError> {
        let look_ups = Arc::new(Semaphore::new(LOOK_UPS));
        let client = |port| {
            let resolver = Filtered { networks: networks.clone(), port, names: names.clone(), look_ups: look_ups.clone() };
            let builder = reqwest::Client::builder()
                .https_only(true)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
                .referer(false)
                .tcp_nodelay(true)
                // Shared out among the addresses of a host, so that a dead one leaves time for the next.
                .connect_timeout(CONNECT)
                .http1_only()
                .http1_max_headers(LINES)
                // Each request asks for the address anew.
                .pool_max_idle_per_host(0)
                .user_agent(concat!("ocore/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(resolver));
            trust(builder).build().map_err(|e| FetchError::Client(with_sources(&e)))
        };
        let own_ports = networks.own_ports().map(|port| client(port).map(|c| (port, c))).collect::<Result<_, _>>()?;
        // No listener has port 0: it stands for all ports that are not ocore's.
        let client = client(0)?;
        Ok(Self(Arc::new(Inner { networks, client, own_ports, places: Semaphore::new(PLACES), running: Mutex::default() })))
    }

    /// Another with places and fetches under way of its own: what is slow at the one keeps nobody waiting at the other.
    #[must_use]
    pub fn apart(&self) -> Self {
        let Inner { networks, client, own_ports, .. } = &*self.0;
        Self(Arc::new(Inner {
            networks: networks.clone(),
            client: client.clone(),
            own_ports: own_ports.clone(),
            places: Semaphore::new(PLACES),
            running: Mutex::default(),
        }))
    }

    /// Fetches a URL that a stranger named. Who asks for one that is being fetched gets what comes of that.
    ///
    /// # Errors
    /// A [`FetchError`]; its text goes after a name of what was fetched, as in "The logo of the client: …".
    pub async fn get(&self, url: &str, limits: &Limits) -> Result<Fetched, FetchError> {
        let parsed = self.0.checked(url)?;
        self.shared(parsed, limits).await
    }

    /// Fetches a client's logo as a `data:` URL: nothing but pixels, by its first bytes and by its `Content-Type` alike. Never SVG,
    /// which is a document with scripts.
    ///
    /// # Errors
    /// A [`FetchError`]; the client is shown without a logo then.
    pub async fn logo(&self, url: &str) -> Result<String, FetchError> {
        let Fetched { body, content_type, .. } = self.get(url, &LOGO).await?;
        match (Raster::named(content_type.as_deref()), Raster::of(&body)) {
            (Some(named), Some(found)) if named == found => {
                Ok(format!("data:{};base64,{}", found.media_type(), STANDARD.encode(&body)))
            }
            _ => Err(FetchError::NoImage),
        }
    }

    /// One request to an OpenID provider, whose answer is looked at whatever its status.
    pub(crate) async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
        bytes: usize,
        time: Duration,
    ) -> Result<http::Response<Vec<u8>>, FetchError> {
        let (parts, body) = request.into_parts();
        let url = self.0.checked(&parts.uri.to_string())?;
        let mut request = Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(body.into());
        let deadline = Instant::now() + time;
        let turn = timeout_at(deadline - time / 2, self.0.places.acquire());
        let Ok(Ok(_place)) = turn.await else { return Err(FetchError::Busy) };
        let Ok(answer) = timeout_at(deadline, self.0.answer(request, bytes, |_, _| Ok(()))).await else {
            return Err(FetchError::Late(time));
        };
        let (status, headers, body) = answer?;
        let mut response = http::Response::new(body.to_vec());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn shared(&self, url: Url, limits: &Limits) -> Shared<Running> {
        let key = (url.as_str().to_owned(), limits.accept, limits.bytes);
        let mut running = self.0.running.lock();
        if let Some(under_way) = running.get(&key).and_then(WeakShared::upgrade) {
            return under_way;
        }
        running.retain(|_, other| other.upgrade().is_some());
        if running.len() >= PLACES + WAITING {
            return std::future::ready(Err(FetchError::Busy)).boxed().shared();
        }
        let (inner, limits) = (Arc::clone(&self.0), *limits);
        let new = async move { inner.fetch(url, &limits).await }.boxed().shared();
        running.extend(new.downgrade().map(|weak| (key, weak)));
        new
    }
}

impl Inner {
    /// Reads a URL, and refuses what is never fetched. Names are resolved, and their addresses checked, at connect.
    fn checked(&self, url: &str) -> Result<Url, FetchError> {
        if url.len() > LONGEST {
            return Err(FetchError::Url);
        }
        let url = Url::parse(url).map_err(|_| FetchError::Url)?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(FetchError::Url);
        }
        let address: IpAddr = match url.host() {
            Some(Host::Domain(_)) => return Ok(url),
            Some(Host::Ipv4(v4)) => v4.into(),
            Some(Host::Ipv6(v6)) => v6.into(),
            None => return Err(FetchError::Url),
        };
        self.networks.check(address, url.port_or_known_default().unwrap_or(0)).map_err(|_| FetchError::Address)?;
        Ok(url)
    }

    async fn fetch(&self, url: Url, limits: &Limits) -> Result<Fetched, FetchError> {
        let deadline = Instant::now() + limits.time;
        // Half of the time at most, so that who gets a turn has time for it.
        let turn = timeout_at(deadline - limits.time / 2, self.places.acquire());
        let Ok(Ok(_place)) = turn.await else { return Err(FetchError::Busy) };
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(limits.accept));
        let readable = |status: StatusCode, headers: &HeaderMap| {
            let content_type = text(headers, CONTENT_TYPE);
            let status = status.as_u16();
            if (300..400).contains(&status) {
                Err(FetchError::Redirect(status))
            } else if (limits.acceptable)(status, content_type.as_deref()) {
                Ok(())
            } else {
                let shown = content_type.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(60).collect();
                Err(FetchError::NotAcceptable { status, content_type: shown })
            }
        };
        let Ok(answer) = timeout_at(deadline, self.answer(request, limits.bytes, readable)).await else {
            return Err(FetchError::Late(limits.time));
        };
        let (_, headers, body) = answer?;
        Ok(Fetched { body, content_type: text(&headers, CONTENT_TYPE), cache_control: text(&headers, CACHE_CONTROL) })
    }

    /// Sends a request and reads what comes, if its head may be read.
    async fn answer(
        &self,
        mut request: Request,
        bytes: usize,
        readable: impl Fn(StatusCode, &HeaderMap) -> Result<(), FetchError>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), FetchError> {
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let port = request.url().port_or_known_default();
        let client = self.own_ports.iter().find(|(own, _)| Some(*own) == port).map_or(&self.client, |(_, client)| client);
        let mut response = client.execute(request).await.map_err(|e| why(&e))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        if headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() > HEAD {
            return Err(FetchError::Head);
        }
        readable(status, &headers)?;
        // Nothing here decompresses: such a body would be noise, and is told apart from one that is wrong.
        let encoded = |name| {
            text(&headers, name).is_some_and(|v| !matches!(v.trim().to_ascii_lowercase().as_str(), "" | "identity" | "chunked"))
        };
        if encoded(CONTENT_ENCODING) || encoded(TRANSFER_ENCODING) {
            return Err(FetchError::Compressed);
        }
        if response.content_length().is_some_and(|length| length > bytes as u64) {
            return Err(FetchError::TooLarge(bytes));
        }
        let mut body = Vec::new();
        while let Some(more) = response.chunk().await.map_err(|e| why(&e))? {
            if body.len() + more.len() > bytes {
                return Err(FetchError::TooLarge(bytes));
            }
            body.extend_from_slice(&more);
        }
        Ok((status, headers, body.into()))
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// One kind of error for all that goes wrong before there is a connection: a stranger learns no more of what is inside.
fn why(error: &reqwest::Error) -> FetchError {
    let mut source = std::error::Error::source(error);
    while let Some(e) = source {
        if e.is::<NotAllowed>() {
            return FetchError::Address;
        }
        source = e.source();
    }
    if error.is_connect() { FetchError::Unreachable } else { FetchError::Broken }
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

#[cfg(any(test, feature = "testing"))]
type Table = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

/// Where the addresses of names come from.
#[derive(Clone)]
enum Names {
    System,
    #[cfg(any(test, feature = "testing"))]
    Table(Table),
}

/// The resolver: the system's, less what [`Networks`] refuses.
struct Filtered {
    networks: Networks,
    port: u16,
    names: Names,
    look_ups: Arc<Semaphore>,
}

/// All addresses of a name were refused; which they are is not told.
#[derive(Debug, thiserror::Error)]
#[error("no address of the host is allowed")]
struct NotAllowed;

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, port, names, look_ups) = (self.networks.clone(), self.port, self.names.clone(), self.look_ups.clone());
        Box::pin(async move {
            let found = match names {
                Names::System => {
                    let place = look_ups.acquire_owned().await?;
                    // A task of its own: the system's look-up cannot be given up, and holds its place until it ends.
                    let look_up = tokio::spawn(async move {
                        let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                        drop(place);
                        found.map(|all| all.map(|a| a.ip()).collect::<Vec<_>>())
                    });
                    look_up.await??
                }
                #[cfg(any(test, feature = "testing"))]
                Names::Table(table) => table(name.as_str()),
            };
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let permitted: Vec<SocketAddr> =
                found.into_iter().filter(|a| networks.check(*a, port).is_ok()).map(|a| SocketAddr::new(a, 0)).collect();
            if permitted.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// The images that are nothing but pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raster {
    Png,
    Jpeg,
    Gif,
    Webp,
}
impl Raster {
    fn named(content_type: Option<&str>) -> Option<Self> {
        let essence = content_type?.split(';').next()?.trim().to_ascii_lowercase();
        [Self::Png, Self::Jpeg, Self::Gif, Self::Webp].into_iter().find(|kind| kind.media_type() == essence)
    }
    /// By the first bytes, as the MIME Sniffing standard (section 6.1) knows them.
    fn of(body: &[u8]) -> Option<Self> {
        if body.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if body.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if body.starts_with(b"GIF87a") || body.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else if body.starts_with(b"RIFF") && body.get(8..14) == Some(b"WEBPVP") {
            Some(Self::Webp)
        } else {
            None
        }
    }
    const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }
}

#[cfg(test)]
mod tests;
