//! What a request passes before a façade sees it: host, origin, address, size, key.
//!
//! The order is the security property. Host and Origin come first (DNS rebinding, Streamable HTTP section "Security &
//! Endpoint"), then the key, then the body: a caller without a key makes us read nothing.
use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use dispatch::Door;
use identity::{
    Denied, Presented, Reason,
    oauth::{Code as OauthCode, OauthError, metadata, opaque::Kind, resource::PublicUrl},
};
use ipnet::IpNet;
use kernel::{Actor, Code, Facade, Refusal, redact, refusal};
use url::Url;

use crate::{
    Config, Gateway, answer,
    mcp::{MCP_METHOD, MCP_NAME},
};

/// What a browser may read of our answers beside the CORS-safelisted headers.
const EXPOSED: HeaderValue = HeaderValue::from_static("Mcp-Session-Id, WWW-Authenticate, MCP-Protocol-Version, Retry-After");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
const ASKED_METHOD: HeaderName = header::ACCESS_CONTROL_REQUEST_METHOD;
const ASKED_HEADERS: HeaderName = header::ACCESS_CONTROL_REQUEST_HEADERS;

/// The address of the peer, set on every request by [`crate::serve`].
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Where a security event goes: kind, address, detail.
pub type Events = Arc<dyn Fn(&'static str, IpAddr, &str) + Send + Sync>;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("public_url {0} must be http or https with a host, without user, query or fragment")]
    PublicUrl(Url),
    #[error("{0:?} is not an origin like https://app.example.com")]
    Origin(String),
}

/// The rules, prepared once.
pub(crate) struct Edge {
    /// Lower case, without port and brackets.
    public_host: Option<String>,
    /// `https://host[:port]`, as browsers write it; the base of links.
    public_origin: Option<String>,
    /// `public_url` as clients of OAuth know it, read once.
    public: Option<PublicUrl>,
    /// The path that `public_url` has, without the last slash.
    prefix: String,
    origins: Vec<String>,
    proxies: Vec<IpNet>,
}

/// A request that passed host, origin and address.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub address: IpAddr,
    /// Set for browsers; the answer then carries CORS headers.
    origin: Option<HeaderValue>,
}

impl Edge {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut origins = Vec::new();
        let (mut public_host, mut public_origin, mut prefix) = (None, None, String::new());
        if let Some(url) = &config.public_url {
            let plain =
                url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
            let host = url.host_str().filter(|_| plain && matches!(url.scheme(), "http" | "https"));
            let host = host.ok_or_else(|| ConfigError::PublicUrl(url.clone()))?;
            public_host = Some(bare(host).to_ascii_lowercase());
            let origin = url.origin().ascii_serialization();
            origins.push(origin.clone());
            public_origin = Some(origin);
            url.path().trim_end_matches('/').clone_into(&mut prefix);
        }
        for text in &config.origins {
            origins.push(configured_origin(text).ok_or_else(|| ConfigError::Origin(text.clone()))?);
        }
        let public = public_origin.as_ref().and_then(|origin| PublicUrl::parse(&format!("{origin}{prefix}")));
        Ok(Self { public_host, public_origin, public, prefix, origins, proxies: config.trusted_proxies.clone() })
    }

    /// Whose request it is.
    fn client(&self, parts: &Parts) -> Result<IpAddr, Turned> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.0);
        self.address(peer, &parts.headers).map_err(|()| Turned::Proxies(peer))
    }
    /// Host, Origin and address.
    fn admit(&self, parts: &Parts) -> Result<Visitor, Turned> {
        let address = self.client(parts)?;
        let host = asked_host(parts).ok_or(Turned::NoHost(address))?;
        if !self.host_allowed(host) {
            return Err(Turned::Host(address, shown(host)));
        }
        let mut origins = parts.headers.get_all(header::ORIGIN).iter();
        let origin = origins.next();
        if let Some(value) = origin {
            let allowed = origins.next().is_none() && value.to_str().is_ok_and(|text| self.origin_allowed(text));
            if !allowed {
                return Err(Turned::Origin(address, shown(&String::from_utf8_lossy(value.as_bytes()))));
            }
        }
        Ok(Visitor { address, origin: origin.cloned() })
    }

    /// `public_url`'s host; loopback names always, because only this machine can mean itself by them.
    fn host_allowed(&self, authority: &str) -> bool {
        host_of(authority).is_some_and(|host| {
            let host = host.strip_suffix('.').unwrap_or(host);
            self.public_host.as_deref().is_some_and(|p| p.eq_ignore_ascii_case(host)) || loopback(host)
        })
    }

    /// `public_url`'s origin, those of the list, and loopback ones while there is no `public_url`.
    fn origin_allowed(&self, text: &str) -> bool {
        if self.origins.iter().any(|o| o == text) {
            return true;
        }
        let Ok(url) = Url::parse(text) else { return false };
        let normal = url.origin().ascii_serialization();
        self.origins.contains(&normal)
            || (self.public_host.is_none()
                && matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|h| loopback(bare(h))))
    }

    fn trusted(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|n| n.contains(&address))
    }

    /// The client's address: the peer, or what trusted proxies say of it, read from the right until the first address that
    /// is no proxy. `Forwarded` (RFC 7239) and `X-Forwarded-For` must agree when both are there, because a proxy that
    /// writes the one passes on the other as the client sent it.
    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, ()> {
        let peer = peer.to_canonical();
        if self.proxies.is_empty() || !self.trusted(peer) {
            return Ok(peer);
        }
        let lines = |name: &str| -> Vec<&str> { headers.get_all(name).iter().map(|v| v.to_str().unwrap_or("")).collect() };
        let (old, new) = (lines("x-forwarded-for"), lines("forwarded"));
        let old = (!old.is_empty()).then(|| self.walk(peer, old.iter().flat_map(|l| l.split(',')).map(node).collect()));
        let new =
            (!new.is_empty()).then(|| self.walk(peer, new.iter().flat_map(|l| unquoted(l, ',')).map(forwarded_for).collect()));
        match (old, new) {
            (Some(a), Some(b)) if a != b => Err(()),
            (Some(a), _) | (None, Some(a)) => Ok(a),
            (None, None) => Ok(peer),
        }
    }

    fn walk(&self, peer: IpAddr, hops: Vec<Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            // What cannot be read hides who stands behind it: the last address that is known counts.
            let Some(address) = hop else { break };
            client = address;
            if !self.trusted(address) {
                break;
            }
        }
        client
    }

    /// The origin that clients reach us at: `public_url`'s, else the one that was asked (a loopback name, checked before).
    pub(crate) fn origin(&self, parts: &Parts) -> String {
        match &self.public_origin {
            Some(origin) => origin.clone(),
            None => format!("http://{}", asked_host(parts).unwrap_or("localhost")),
        }
    }
    /// The URL that clients know this server by.
    pub(crate) fn public(&self, parts: &Parts) -> Option<PublicUrl> {
        match &self.public_origin {
            Some(_) => self.public.clone(),
            None => PublicUrl::parse(&format!("{}{}", self.origin(parts), self.prefix)),
        }
    }
    /// The path of `public_url`: what a proxy in front takes off, and links must carry.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// Why a request went no further than the edge.
enum Turned {
    NoHost(IpAddr),
    Host(IpAddr, String),
    Origin(IpAddr, String),
    Proxies(IpAddr),
}

impl Gateway {
    /// For pages, which have rules of their own for Origin: whose request it is, and the origin that browsers know us by.
    ///
    /// # Errors
    /// The answer for hosts that are not ours, and for proxies that contradict themselves.
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    pub fn visitor(&self, parts: &Parts) -> Result<(IpAddr, String), Response> {
        let address = self.address(parts)?;
        match asked_host(parts) {
            Some(host) if self.edge.host_allowed(host) => Ok((address, self.edge.origin(parts))),
            Some(host) => Err(self.turned_away(&Turned::Host(address, shown(host)))),
            None => Err(self.turned_away(&Turned::NoHost(address))),
        }
    }
    /// The same at whatever host.
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    pub fn address(&self, parts: &Parts) -> Result<IpAddr, Response> {
        self.edge.client(parts).map_err(|turned| self.turned_away(&turned))
    }

    /// Host, Origin, address, and the preflight of browsers; then `inner`, and CORS headers on what it answers.
    pub(crate) async fn at_the_edge<F>(&self, parts: Parts, body: Body, inner: impl FnOnce(Visitor, Parts, Body) -> F) -> Response
    where
        F: Future<Output = Response>,
    {
        let visitor = match self.edge.admit(&parts) {
            Ok(visitor) => visitor,
            Err(turned) => return self.turned_away(&turned),
        };
        let origin = visitor.origin.clone();
        let mut response = if origin.is_some() && parts.method == Method::OPTIONS && parts.headers.contains_key(ASKED_METHOD) {
            preflight(&parts)
        } else {
            inner(visitor, parts, body).await
        };
        let Some(origin) = origin else { return response };
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        response
    }

    fn turned_away(&self, turned: &Turned) -> Response {
        let (status, kind, address, why) = match turned {
            Turned::NoHost(address) => (
                StatusCode::BAD_REQUEST,
                "bad_host",
                *address,
                refusal(Code::InvalidArgument, "The request names no host, or more than one.")
                    .next("Send exactly one Host header."),
            ),
            Turned::Host(address, host) => (
                StatusCode::FORBIDDEN,
                "bad_host",
                *address,
                refusal(Code::PermissionDenied, format!("This server does not answer to the host {host:?}.")).next(
                    if self.edge.public_host.is_some() {
                        "Use the host of its public_url."
                    } else {
                        "Without public_url it answers to loopback names alone: the operator sets public_url (OCORE_PUBLIC_URL)."
                    },
                ),
            ),
            Turned::Origin(address, origin) => (
                StatusCode::FORBIDDEN,
                "bad_origin",
                *address,
                refusal(Code::PermissionDenied, format!("Pages from {origin:?} may not call this server."))
                    .next("The operator lists the origins of browser clients (OCORE_ALLOWED_ORIGINS)."),
            ),
            Turned::Proxies(address) => (
                StatusCode::BAD_REQUEST,
                "bad_forwarding",
                *address,
                refusal(Code::InvalidArgument, "Forwarded and X-Forwarded-For name different clients.")
                    .next("The operator lets the proxy overwrite both headers, or remove the one that it does not write."),
            ),
        };
        self.security_event(kind, address, &why.message);
        answer::refused(status, &why)
    }

    /// Counts a security event and hands it to the store's (rate-limited) log.
    pub(crate) fn security_event(&self, kind: &'static str, address: IpAddr, detail: &str) {
        self.metrics.security_event(kind);
        (self.events)(kind, address, detail);
    }

    /// The caller, by the key in the request.
    pub(crate) async fn enter(&self, visitor: &Visitor, parts: &Parts, facade: Facade) -> Result<Arc<Actor>, Response> {
        let audience = self.audience_of(parts);
        match self.keys.verify(presents(visitor, parts, facade, audience.as_deref())).await {
            Ok(actor) => Ok(actor),
            Err(denied) => Err(Box::pin(self.denied(&denied, parts, facade)).await),
        }
    }

    /// The caller once more, later in the same request: that is not another use of the key.
    pub(crate) async fn again(&self, visitor: &Visitor, parts: &Parts, facade: Facade) -> Result<Arc<Actor>, Response> {
        let audience = self.audience_of(parts);
        match self.keys.look(presents(visitor, parts, facade, audience.as_deref())).await {
            Ok(actor) => Ok(actor),
            Err(denied) => Err(self.denied(&denied, parts, facade).await),
        }
    }

    /// Of requests with an access token; a key asks for none, and costs no text.
    pub(crate) fn audience_of(&self, parts: &Parts) -> Option<String> {
        presented(&parts.headers).starts_with(Kind::AccessToken.prefix()).then(|| self.audience(parts)).flatten()
    }

    /// 401 with a challenge (RFC 6750 section 3, RFC 9728 section 5.1), 403 or 503; a row in the audit of the organization
    /// whose key it was, a security event otherwise.
    async fn denied(&self, denied: &Denied, parts: &Parts, facade: Facade) -> Response {
        let mut why = denied.reason.refusal();
        if let Some(known) = &denied.known {
            let door = Door {
                org: known.org,
                key: known.key,
                key_label: Arc::clone(&known.label),
                user: known.user,
                grant: known.grant,
                address: denied.address,
                facade,
                tool: asked_for(parts),
                refusal: why.clone(),
            };
            self.dispatch.refused_at_the_door(&door).await;
        }
        match denied.reason {
            Reason::Missing => {
                if parts.uri.query().is_some_and(|q| q.contains("ock_") || q.contains(Kind::AccessToken.prefix())) {
                    self.security_event("key_in_url", denied.address, "a key was sent in the URL");
                    why = refusal(Code::Unauthorized, "A key in a URL is not taken: URLs end up in logs and histories.")
                        .next("Send it as the header \"Authorization: Bearer …\", and replace the key that was in the URL.");
                }
            }
            reason => self.security_event(reason.as_str(), denied.address, parts.uri.path()),
        }
        let status = StatusCode::from_u16(denied.reason.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        let mut response = answer::refused(status, &why);
        if status == StatusCode::UNAUTHORIZED {
            let error = (denied.reason != Reason::Missing).then(|| OauthError::new(OauthCode::InvalidToken, why.message.clone()));
            let path = resource(parts.uri.path());
            let challenge = self
                .public(parts)
                .map_or_else(|| "Bearer".to_owned(), |public| metadata::challenge(&public, path, None, error.as_ref()));
            if let Ok(value) = HeaderValue::from_str(&challenge) {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
        } else if status == StatusCode::SERVICE_UNAVAILABLE {
            response = answer::retry_after(response, 10);
        }
        response
    }
}

fn presents<'a>(visitor: &Visitor, parts: &'a Parts, facade: Facade, audience: Option<&'a str>) -> Presented<'a> {
    let headers = &parts.headers;
    Presented { text: presented(headers), address: visitor.address, facade, client: client(headers), audience }
}

/// What the client calls itself, to tell the sessions of one key apart.
pub(crate) fn client(headers: &HeaderMap) -> &str {
    let name = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    name.get(..120).unwrap_or(name)
}

/// What a request asks for, as far as one can say before its body is read: method and path, and what a modern client says
/// of its call in headers. All of it is a stranger's text.
fn asked_for(parts: &Parts) -> String {
    let mut asked = format!("{} {}", parts.method, parts.uri.path());
    for said in [MCP_METHOD, MCP_NAME].into_iter().filter_map(|name| parts.headers.get(name)?.to_str().ok()) {
        asked.push(' ');
        asked.push_str(said);
    }
    redact::text(&asked)
}

/// The key that the request presents: `Authorization: Bearer`, else `X-API-Key`. Empty when there is none.
pub(crate) fn presented(headers: &HeaderMap) -> &str {
    // A scheme or a text that cannot be a key is malformed rather than missing.
    const NO_KEY: &str = "?";
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().unwrap_or(NO_KEY);
        return match text.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
            _ => NO_KEY,
        };
    }
    headers.get("x-api-key").map_or("", |v| v.to_str().unwrap_or(NO_KEY).trim())
}

/// The resource that a path belongs to (RFC 9728 section 3.1), if it is one of ours; a path is not echoed unseen.
pub(crate) fn resource(path: &str) -> &str {
    let path = path.strip_suffix('/').unwrap_or(path);
    let plain = path.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'/' | b'-' | b'_'));
    if plain { path } else { "" }
}

fn preflight(parts: &Parts) -> Response {
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    // The origin has been checked: what it may send is not limited further (Mcp-Param-* cannot be enumerated).
    if let Some(asked) = parts.headers.get(ASKED_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    response
}

/// The authority that was asked for: the request target's when it has one (RFC 9112 section 3.2.2), else the only Host.
pub fn asked_host(parts: &Parts) -> Option<&str> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// The host of `host[:port]`, without brackets; none when the text is something else.
fn host_of(authority: &str) -> Option<&str> {
    let port = |rest: &str| rest.strip_prefix(':').map_or(rest.is_empty(), |p| p.bytes().all(|b| b.is_ascii_digit()));
    if let Some(inner) = authority.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        return (host.parse::<Ipv6Addr>().is_ok() && port(rest)).then_some(host);
    }
    let at = authority.find(':').unwrap_or(authority.len());
    let (host, rest) = authority.split_at(at);
    let name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    (name && port(rest)).then_some(host)
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

fn loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|a| a.to_canonical().is_loopback())
}

/// An origin of the list as browsers write it. Those of extensions have no standard form and are compared as they stand.
fn configured_origin(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let origin = url.origin();
    if origin.is_tuple() {
        let bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        return bare.then(|| origin.ascii_serialization());
    }
    (url.host_str().is_some_and(|h| !h.is_empty()) && matches!(url.path(), "" | "/"))
        .then(|| text.trim().trim_end_matches('/').to_owned())
}

/// An address in a forwarding header: `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('[') {
        return inner.split_once(']')?.0.parse::<Ipv6Addr>().ok().map(|a| IpAddr::V6(a).to_canonical());
    }
    let alone = text.parse::<IpAddr>().ok();
    alone.or_else(|| text.rsplit_once(':')?.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4)).map(|a| a.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let (_, value) = unquoted(element, ';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    node(value.trim().trim_matches('"'))
}

/// Splits at a separator that stands outside quotes.
fn unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// A refusal for a way of asking that no façade knows.
pub(crate) fn method_not_allowed(allow: &'static str) -> Response {
    let why: Refusal = refusal(Code::InvalidArgument, format!("This URL takes {allow}."));
    let mut response = answer::refused(StatusCode::METHOD_NOT_ALLOWED, &why);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(public_url: Option<&str>, origins: &[&str], proxies: &[&str]) -> Edge {
        Edge::new(&Config {
            public_url: public_url.map(|u| u.parse().unwrap()),
            origins: origins.iter().map(|o| (*o).to_owned()).collect(),
            trusted_proxies: proxies.iter().map(|p| p.parse().unwrap()).collect(),
            ..Config::default()
        })
        .unwrap()
    }

    #[test]
    fn hosts() {
        let local = edge(None, &[], &[]);
        for good in
            ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1", "127.8.8.8:1", "[::1]", "[::1]:8080", "[::ffff:127.0.0.1]"]
        {
            assert!(local.host_allowed(good), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "localhost.evil.com",
            "evil@localhost",
            "localhost:80x",
            "0.0.0.0",
            "10.0.0.1",
            "::1",
            "[::1",
            "[::2]",
            "localhost/",
            "127.0.0.1.nip.io",
        ] {
            assert!(!local.host_allowed(bad), "{bad}");
        }
        let public = edge(Some("https://MCP.example.com:8443/base"), &[], &[]);
        for good in ["mcp.example.com", "Mcp.Example.Com:443", "mcp.example.com.", "localhost:8080"] {
            assert!(public.host_allowed(good), "{good}");
        }
        assert!(!public.host_allowed("example.com"));
        assert_eq!(public.prefix(), "/base");
        assert!(edge(Some("http://[2001:db8::1]/"), &[], &[]).host_allowed("[2001:db8::1]:80"));
    }

    #[test]
    fn the_request_target_wins_over_the_host_header_and_two_hosts_are_none() {
        let parts = |uri: &str, hosts: &[&str]| {
            let mut builder = axum::http::Request::builder().uri(uri);
            for host in hosts {
                builder = builder.header(header::HOST, *host);
            }
            builder.body(()).unwrap().into_parts().0
        };
        assert_eq!(asked_host(&parts("http://a.example/mcp", &["localhost"])), Some("a.example"));
        assert_eq!(asked_host(&parts("/mcp", &["localhost"])), Some("localhost"));
        assert_eq!(asked_host(&parts("/mcp", &["localhost", "b"])), None);
        assert_eq!(asked_host(&parts("/mcp", &[])), None);
    }

    #[test]
    fn origins() {
        let local = edge(None, &["https://app.example.com/", "chrome-extension://abc"], &[]);
        for good in [
            "http://localhost:6274",
            "https://127.0.0.1",
            "http://[::1]:3000",
            "https://app.example.com",
            "chrome-extension://abc",
        ] {
            assert!(local.origin_allowed(good), "{good}");
        }
        for bad in [
            "null",
            "",
            "https://evil.example",
            "http://localhost.evil.com",
            "https://app.example.com:444",
            "http://app.example.com",
            "file://",
        ] {
            assert!(!local.origin_allowed(bad), "{bad}");
        }
        let public = edge(Some("https://mcp.example.com"), &[], &[]);
        assert!(public.origin_allowed("https://mcp.example.com") && public.origin_allowed("https://MCP.example.com:443"));
        assert!(!public.origin_allowed("http://mcp.example.com") && !public.origin_allowed("http://localhost:6274"));
        for bad in ["example.com", "https://a.example/path", "null", "*"] {
            assert!(Edge::new(&Config { origins: vec![bad.into()], ..Config::default() }).is_err(), "{bad}");
        }
        for bad in ["ftp://a", "https://u:p@a", "https://a?x", "mailto:x"] {
            assert!(Edge::new(&Config { public_url: Some(bad.parse().unwrap()), ..Config::default() }).is_err(), "{bad}");
        }
    }

    #[test]
    fn forwarding_headers_count_from_trusted_proxies_alone() {
        let edge = edge(None, &[], &["10.0.0.0/8", "fd00::/8"]);
        let from = |peer: &str, headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            edge.address(peer.parse().unwrap(), &map).map_or_else(|()| "ambiguous".into(), |a| a.to_string())
        };
        let xff = "x-forwarded-for";
        assert_eq!(from("203.0.113.1", &[(xff, "8.8.8.8")]), "203.0.113.1");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[(xff, "8.8.8.8")]), "8.8.8.8");
        assert_eq!(from("::ffff:10.0.0.1", &[(xff, "8.8.8.8")]), "8.8.8.8");
        assert_eq!(from("10.0.0.1", &[(xff, "1.1.1.1, 8.8.8.8 ,10.2.2.2")]), "8.8.8.8");
        assert_eq!(from("10.0.0.1", &[(xff, "1.1.1.1"), (xff, "8.8.8.8")]), "8.8.8.8");
        assert_eq!(from("10.0.0.1", &[(xff, "8.8.8.8, rubbish")]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[(xff, "8.8.8.8:1234")]), "8.8.8.8");
        assert_eq!(from("10.0.0.1", &[(xff, "[2001:db8::7]:1")]), "2001:db8::7");
        assert_eq!(from("10.0.0.1", &[(xff, "2001:db8::7")]), "2001:db8::7");
        assert_eq!(from("10.0.0.1", &[(xff, "10.0.0.9, 10.0.0.8")]), "10.0.0.9");
        assert_eq!(from("10.0.0.1", &[("forwarded", "for=1.1.1.1, For=\"[2001:db8::7]:99\";proto=https")]), "2001:db8::7");
        assert_eq!(from("10.0.0.1", &[("forwarded", "proto=\"a,b\";for=8.8.8.8")]), "8.8.8.8");
        assert_eq!(from("10.0.0.1", &[("forwarded", "for=_hidden, for=unknown")]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[("forwarded", "for=8.8.8.8"), (xff, "8.8.8.8")]), "8.8.8.8");
        assert_eq!(from("10.0.0.1", &[("forwarded", "for=8.8.8.8"), (xff, "9.9.9.9")]), "ambiguous");
    }

    #[test]
    fn keys_come_in_headers() {
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        assert_eq!(presented(&with("authorization", "Bearer ock_1")), "ock_1");
        assert_eq!(presented(&with("authorization", "bearer  ock_1 ")), "ock_1");
        assert_eq!(presented(&with("authorization", "Basic b2Nr")), "?");
        assert_eq!(presented(&with("authorization", "ock_1")), "?");
        assert_eq!(presented(&with("x-api-key", "ock_1")), "ock_1");
        assert_eq!(presented(&with("accept", "ock_1")), "");
    }

    #[test]
    fn what_was_asked_for_is_told_without_secrets() {
        let asked = |uri: &str, headers: &[(&str, &str)]| {
            let mut builder = axum::http::Request::builder().method("POST").uri(uri);
            for (name, value) in headers {
                builder = builder.header(*name, *value);
            }
            asked_for(&builder.body(()).unwrap().into_parts().0)
        };
        let call = [("mcp-method", "tools/call"), ("mcp-name", "prod_search_read")];
        assert_eq!(asked("/mcp?instances=prod", &call), "POST /mcp tools/call prod_search_read");
        assert_eq!(asked("/mcp/i/prod", &[]), "POST /mcp/i/prod");
        let key = identity::token::new(&kernel::Sources::system()).text;
        let key = kernel::ExposeSecret::expose_secret(&key);
        let hidden = asked(&format!("/mcp/i/{key}"), &[("mcp-name", key)]);
        assert!(hidden.starts_with("POST /mcp/i/") && !hidden.contains(key), "{hidden}");
    }
}
