//! Odoo's own pages, passed on to a browser: for visits as one of its users. What is passed here is not parsed; who may come, and which
//! paths are closed, is decided before ([`closed`] knows the paths).
use std::{io, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use kernel::{Code, ExposeSecret as _, Instance, Refusal, SecretString, refusal};
use reqwest::{
    Method, Request, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};

use super::http::{Headers, Http};

/// How long Odoo may take until its answer begins: its long polls wait for 50 s.
const PATIENCE: Duration = Duration::from_mins(2);

/// A body on its way.
pub type Body = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;
/// A connection that has left HTTP (RFC 9110 section 7.8).
pub type Connection = Pin<Box<dyn Duplex>>;
/// Both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// What a browser asks for.
pub struct Ask {
    pub method: Method,
    /// Path and query, as it was sent.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Body,
}
/// What Odoo answers.
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
    /// The connection, when the answer is 101.
    pub connection: Option<Connection>,
    /// The session's cookie, where Odoo has given it another value.
    pub renewed: Option<SecretString>,
}

/// The way to the pages of all instances. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pages {
    http: Arc<Http>,
}

/// Headers that are one connection's own (RFC 9110 section 7.6.1).
const HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// What a stranger could claim of where a request comes from, or what is ocore's own.
const DROPPED: [&str; 11] = [
    "host",
    "cookie",
    "authorization",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-odoo-database",
    // 14 takes a session from it before the cookie's.
    "x-openerp-session-id",
    "accept-encoding",
];
/// The name of Odoo's session cookie (14 to 19).
const SESSION: &str = "session_id";

impl Pages {
    pub(super) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// Passes a request on under `session` (a cookie, `session_id=…`). Cookies of the browser whose names `own` knows stay here; the
    /// session's own cookie never reaches the browser. `origin` is where the browser believes to be: it becomes the instance's and back.
    ///
    /// # Errors
    /// `unreachable` and `timeout` about the instance; its own errors are answers.
    pub async fn pass(
        &self,
        instance: &Instance,
        session: &SecretString,
        ask: Ask,
        origin: &str,
        own: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Page, Refusal> {
        let base = &instance.url;
        let there = base.origin().ascii_serialization();
        let url = format!("{}{}", base.as_str().trim_end_matches('/'), ask.target);
        let url = Url::parse(&url)
            .ok()
            .filter(|url| url.origin() == base.origin())
            .ok_or_else(|| refusal(Code::InvalidArgument, "This address cannot be passed on."))?;
        self.http.check(&url)?;
        let upgrade = ask
            .headers
            .get(header::UPGRADE)
            .filter(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket") && ask.method == Method::GET)
            .cloned();

        let length = ask.headers.get(header::CONTENT_LENGTH);
        let bodied = length.is_some_and(|length| length != "0") || ask.headers.contains_key(header::TRANSFER_ENCODING);
        // Odoo runs JSON routes by whatever method, and a body that is announced and not sent would eat the next request.
        if bodied && matches!(ask.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Err(refusal(Code::InvalidArgument, "A request that only looks has no body."));
        }
        let mut request = Request::new(ask.method, url);
        let named = connection_names(&ask.headers);
        for (name, value) in &ask.headers {
            // WSGI servers read an underscore as a hyphen: such a name could be one of those that are dropped.
            let passed = !HOP.contains(name) && !DROPPED.contains(&name.as_str()) && !name.as_str().contains('_');
            if passed && !named.contains(name) && (bodied || name != header::CONTENT_LENGTH) {
                request.headers_mut().append(name.clone(), rebased(name, value, origin, &there));
            }
        }
        let kept = cookies(&ask.headers).filter(|(name, _)| *name != SESSION && !own(name));
        let mut cookie = session.expose_secret().to_owned();
        for (name, value) in kept {
            cookie.push_str("; ");
            cookie.push_str(name);
            cookie.push('=');
            cookie.push_str(value);
        }
        let mut cookie =
            HeaderValue::from_str(&cookie).map_err(|_| refusal(Code::InvalidArgument, "A cookie cannot be passed on."))?;
        cookie.set_sensitive(true);
        request.headers_mut().insert(header::COOKIE, cookie);
        if let Some(upgrade) = &upgrade {
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            request.headers_mut().insert(header::UPGRADE, upgrade.clone());
        } else if bodied {
            *request.body_mut() = Some(reqwest::Body::wrap_stream(ask.body));
        }

        let response = self.http.open(request, Instant::now() + PATIENCE).await?;
        let status = response.status();
        let mut headers = HeaderMap::new();
        let mut renewed = None;
        let named = connection_names(response.headers());
        for (name, value) in response.headers() {
            if name == header::SET_COOKIE {
                match set_cookie(value) {
                    Cookie::Session(value) => renewed = value,
                    Cookie::Other(name, value) if !own(&name) => {
                        headers.append(header::SET_COOKIE, value);
                    }
                    Cookie::Other(..) | Cookie::Unreadable => {}
                }
            } else if name == header::LOCATION
                && let Some(moved) = value.to_str().ok().and_then(|text| at_home(text, base, origin))
            {
                headers.append(name.clone(), moved);
            } else if name == header::LOCATION || name == header::REFRESH {
                headers.append(name.clone(), rebased(name, value, &there, origin));
            } else if !HOP.contains(name) && !named.contains(name) && !commands(name.as_str()) {
                headers.append(name.clone(), value.clone());
            }
        }
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let Some(upgrade) = upgrade else { return Err(refusal(Code::OdooError, "The instance switched protocols unasked.")) };
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, upgrade);
            let connection =
                response.upgrade().await.map_err(|_| refusal(Code::Unreachable, "The connection to the instance broke."))?;
            let body: Body = Box::pin(futures_util::stream::empty());
            return Ok(Page { status, headers, body, connection: Some(Box::pin(connection)), renewed });
        }
        let body = Box::pin(response.bytes_stream().map_err(io::Error::other).boxed());
        Ok(Page { status, headers, body, connection: None, renewed })
    }

    /// Ends the session in Odoo (`/web/session/logout`, 14 to 19). Tells whether Odoo answered.
    pub async fn sign_out(&self, instance: &Instance, session: &SecretString) -> bool {
        let Ok(url) = Url::parse(&format!("{}/web/session/logout", instance.url.as_str().trim_end_matches('/'))) else {
            return false;
        };
        let Ok(mut cookie) = HeaderValue::from_str(session.expose_secret()) else { return false };
        cookie.set_sensitive(true);
        let headers = Headers { cookie: Some(&cookie), ..Headers::default() };
        if self.http.check(&url).is_err() {
            return false;
        }
        self.http.get(&url, headers, Instant::now() + Duration::from_secs(10)).await.is_ok_and(|answer| answer.status < 500)
    }
}

impl Http {
    /// Sends a request and gives its answer as soon as it begins.
    async fn open(&self, request: Request, deadline: Instant) -> Result<reqwest::Response, Refusal> {
        let client = self.client_of(request.url()).map_err(|_| refusal(Code::Internal, "ocore has no HTTP client."))?;
        match timeout_at(deadline, client.execute(request)).await {
            Err(_) => Err(refusal(Code::Timeout, "The instance did not answer in time.").next("Try again in a moment.")),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.why(&error)),
        }
    }
}

/// Headers by which an answer would lead past ocore, or have a proxy in front of it give out files of its own.
fn commands(name: &str) -> bool {
    name == "alt-svc" || name == "x-sendfile" || name == "x-lighttpd-send-file" || name.starts_with("x-accel-")
}

/// Headers that `Connection` names, which are then the connection's own too.
fn connection_names(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// The cookies of a request, as name and value.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim(), value.trim()))
    })
}

/// Addresses of the one place as addresses of the other, in the headers that hold any.
fn rebased(name: &HeaderName, value: &HeaderValue, from: &str, to: &str) -> HeaderValue {
    if ![header::ORIGIN, header::REFERER, header::LOCATION, header::REFRESH].contains(name) {
        return value.clone();
    }
    let Ok(text) = value.to_str() else { return value.clone() };
    let (before, address) = match text.find(from) {
        Some(at) if at == 0 || *name == header::REFRESH => text.split_at(at),
        _ => return value.clone(),
    };
    let rest = address.strip_prefix(from).unwrap_or_default();
    // `http://odoo.example` is not the beginning of `http://odoo.example.org`.
    if !rest.is_empty() && !rest.starts_with(['/', '?', '#']) {
        return value.clone();
    }
    HeaderValue::from_str(&format!("{before}{to}{rest}")).unwrap_or_else(|_| value.clone())
}

/// A redirect to the instance itself, as its address at ocore: also where only the scheme differs, as an Odoo behind TLS writes it.
fn at_home(location: &str, base: &Url, origin: &str) -> Option<HeaderValue> {
    let url = base.join(location).ok().filter(|_| location.contains("//"))?;
    if url.host() != base.host() || url.port() != base.port() || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let fragment = url.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{origin}{}{query}{fragment}", url.path())).ok()
}

enum Cookie {
    /// The session's; none when it is taken away.
    Session(Option<SecretString>),
    /// Its name, and the header without `Domain`: it stays with the host that it is passed on by.
    Other(String, HeaderValue),
    Unreadable,
}
fn set_cookie(value: &HeaderValue) -> Cookie {
    let Ok(text) = value.to_str() else { return Cookie::Unreadable };
    let mut parts = text.split(';');
    let pair = parts.next().unwrap_or_default().trim();
    let Some((name, content)) = pair.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
        return Cookie::Unreadable;
    };
    if name.trim() == SESSION {
        return Cookie::Session((!content.is_empty()).then(|| pair.to_owned().into()));
    }
    let rest = parts.filter(|part| !part.trim().to_ascii_lowercase().starts_with("domain"));
    let whole = std::iter::once(pair).chain(rest).collect::<Vec<_>>().join(";");
    HeaderValue::from_str(&whole).map_or(Cookie::Unreadable, |whole| Cookie::Other(name.trim().to_owned(), whole))
}

/// What a closed path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The manager of the server's databases.
    Databases,
    /// RPC: what programs use, with their own credentials.
    Rpc,
    /// Signing in as somebody else, or becoming the superuser.
    SignIn,
    /// The end of the session.
    SignOut,
    /// A path that two programs could read as two.
    Ambiguous,
}

/// Whether a query names another database or session, which Odoo would go by before the visit's own.
pub fn names_another(query: &str) -> bool {
    let mut names = query.split(['&', ';']).map(|pair| pair.split('=').next().unwrap_or_default().replace('+', " "));
    names.any(|name| decoded(&name).is_none_or(|name| matches!(name.trim(), "db" | "session_id")))
}
/// Whether a page takes the database that a posted form names: those are looked at, never posted to.
pub fn looked_at(path: &str) -> bool {
    let decoded = decoded(path).unwrap_or_default();
    let segments: Vec<&str> = decoded.split('/').filter(|s| !s.is_empty()).collect();
    let page = |segments: &[&str]| matches!(segments, ["web"] | ["odoo" | "scoped_app", ..]);
    page(&segments) || segments.split_first().is_some_and(|(_, rest)| page(rest))
}

/// Whether a path is not passed on. `path` is as it was sent, without the query. Odoo decodes it, folds slashes together and takes a
/// language in front of it away; whatever it could read it as is looked at.
pub fn closed(path: &str) -> Option<Closed> {
    let Some(first) = decoded(path) else { return Some(Closed::Ambiguous) };
    // A proxy before Odoo may decode once more. What is left of a file's name with a percent sign need not be decodable.
    let second = decoded(&first).filter(|second| *second != first);
    closed_once(&first).or_else(|| closed_once(&second?))
}
fn closed_once(decoded: &str) -> Option<Closed> {
    if !decoded.starts_with('/') || decoded.chars().any(|c| c.is_control() || c == '\\') {
        return Some(Closed::Ambiguous);
    }
    let segments: Vec<&str> = decoded.split('/').filter(|s| !s.is_empty()).collect();
    if segments.iter().any(|s| matches!(*s, "." | "..")) {
        return Some(Closed::Ambiguous);
    }
    let lower: Vec<String> = segments.iter().map(|s| s.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    // A language may stand in front, and is called what its website calls it.
    let after_language = lower.split_first().map(|(_, rest)| rest);
    std::iter::once(lower.as_slice()).chain(after_language).find_map(closed_route)
}
fn closed_route(segments: &[&str]) -> Option<Closed> {
    match segments {
        ["web", "database", ..] => Some(Closed::Databases),
        ["jsonrpc" | "xmlrpc" | "jsonrpc2" | "doc-bearer", ..] | ["json", "2", ..] => Some(Closed::Rpc),
        ["web", "session", "logout" | "destroy"] => Some(Closed::SignOut),
        ["web", "login" | "login_successful" | "signup" | "reset_password" | "become" | "webauthn" | "passkey" | "proxy", ..]
        | ["web", "session", "authenticate"]
        // These sign in by a posted password, or give out a key that outlives the visit.
        | ["base_import_module", "login" | "login_upload", ..]
        | ["mail_plugin" | "mail_client_extension", "auth", ..]
        | ["auth", "confirm" | "access_token", ..]
        | ["auth_oauth" | "auth_passkey" | "auth_totp", ..] => Some(Closed::SignIn),
        _ => None,
    }
}
/// Percent-decoded once, as WSGI servers do; none when it is no UTF-8 or no encoding.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_paths_stay_closed_however_they_are_written() {
        for (path, what) in [
            ("/web/database/manager", Closed::Databases),
            ("/web/database", Closed::Databases),
            ("//web//database/backup", Closed::Databases),
            ("/web/%64atabase/drop", Closed::Databases),
            ("/web/%2564atabase/drop", Closed::Databases),
            ("/%77eb/database/drop", Closed::Databases),
            ("/fr/web/database/drop", Closed::Databases),
            ("/english/web/login", Closed::SignIn),
            ("/base_import_module/login_upload", Closed::SignIn),
            ("/mail_plugin/auth", Closed::SignIn),
            ("/web/proxy/post/jsonrpc", Closed::SignIn),
            ("/fr_FR/web/database/selector", Closed::Databases),
            ("/pt-br/jsonrpc", Closed::Rpc),
            ("/sr@latin/jsonrpc", Closed::Rpc),
            ("/WEB/Database/drop", Closed::Databases),
            ("/jsonrpc", Closed::Rpc),
            ("/jsonrpc/", Closed::Rpc),
            ("/xmlrpc/common", Closed::Rpc),
            ("/xmlrpc/2/object", Closed::Rpc),
            ("/json/2/res.partner/read", Closed::Rpc),
            ("/json//2/res.partner/read", Closed::Rpc),
            ("/web/login", Closed::SignIn),
            ("/web/become", Closed::SignIn),
            ("/web/session/authenticate", Closed::SignIn),
            ("/web/session/logout", Closed::SignOut),
            ("/web/session/destroy", Closed::SignOut),
            ("/web/../jsonrpc", Closed::Ambiguous),
            ("/web/%2e%2e/jsonrpc", Closed::Ambiguous),
            ("/web/./database", Closed::Ambiguous),
            ("/web\\database", Closed::Ambiguous),
            ("/web/%5cdatabase", Closed::Ambiguous),
            ("/web/%00", Closed::Ambiguous),
            ("/web/%zz", Closed::Ambiguous),
            ("/web/%ff", Closed::Ambiguous),
            ("/web/%2", Closed::Ambiguous),
            ("jsonrpc", Closed::Ambiguous),
            ("", Closed::Ambiguous),
        ] {
            assert_eq!(closed(path), Some(what), "{path}");
        }
        for path in [
            "/",
            "/web",
            "/odoo",
            "/odoo/contacts/7",
            "/my",
            "/web/dataset/call_kw/res.partner/read",
            "/web/dataset/call_button",
            "/web/content/12/a%20b%25.pdf",
            "/web/assets/1/web.assets_web.min.js",
            "/websocket",
            "/longpolling/poll",
            "/report/pdf/x/1",
            "/web/session/get_session_info",
            "/fr/shop",
            "/web/image/res.users/2/avatar_128",
            "/json/1/res.partner",
        ] {
            assert_eq!(closed(path), None, "{path}");
        }
    }

    #[test]
    fn no_query_leads_to_another_database_or_session() {
        for query in ["db=x", "a=1&db=x", "a=1;db=x", "%64b=x", "session_id=x", "db", "a&session%5fid=1", "%zz=1", "+db=1"] {
            assert!(names_another(query), "{query}");
        }
        for query in ["", "a=db", "dbname=x", "debug=1&id=7", "download=true&session=1"] {
            assert!(!names_another(query), "{query}");
        }
        for path in ["/web", "/web/", "/odoo", "/odoo/contacts", "/fr/odoo", "/scoped_app/x", "/%6fdoo"] {
            assert!(looked_at(path), "{path}");
        }
        assert!(!looked_at("/web/dataset/call_kw") && !looked_at("/mail/rtc"));
    }

    #[test]
    fn redirects_come_home_whatever_their_scheme() {
        let base = Url::parse("https://erp.example/").unwrap();
        let at = |text: &str| at_home(text, &base, "https://prod.pages.example").map(|v| v.to_str().unwrap().to_owned());
        for (text, home) in [
            ("http://erp.example/web?a=1#b", "/web?a=1#b"),
            ("https://erp.example/web", "/web"),
            ("//erp.example/odoo", "/odoo"),
            ("https://erp.example:443/x", "/x"),
        ] {
            assert_eq!(at(text).unwrap(), format!("https://prod.pages.example{home}"), "{text}");
        }
        for text in ["https://evil.example/", "//evil.example/", "https://erp.example:444/", "ftp://erp.example/", "/web"] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn cookies_of_odoo_stay_with_the_host_and_the_session_stays_here() {
        let read = |text: &str| set_cookie(&HeaderValue::from_str(text).unwrap());
        assert!(
            matches!(read("session_id=abc; HttpOnly; Path=/"), Cookie::Session(Some(s)) if s.expose_secret() == "session_id=abc")
        );
        assert!(matches!(read("session_id=; Max-Age=0"), Cookie::Session(None)));
        let Cookie::Other(name, value) = read("tz=Europe/Paris; Domain=.example.com; path=/; DOMAIN = b") else { panic!() };
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("tz", "tz=Europe/Paris; path=/"));
        assert!(matches!(read("rubbish"), Cookie::Unreadable) && matches!(read("=__Host-ocore-visit=x"), Cookie::Unreadable));
    }

    #[test]
    fn addresses_are_those_of_the_other_place() {
        let (from, to) = ("http://odoo:8069", "https://prod.pages.example");
        let moved = |name: HeaderName, text: &str| {
            rebased(&name, &HeaderValue::from_str(text).unwrap(), from, to).to_str().unwrap().to_owned()
        };
        assert_eq!(moved(header::LOCATION, "http://odoo:8069/web?a=1"), "https://prod.pages.example/web?a=1");
        assert_eq!(moved(header::LOCATION, "http://odoo:8069"), to);
        assert_eq!(moved(header::LOCATION, "/web"), "/web");
        assert_eq!(moved(header::LOCATION, "http://odoo:80690/web"), "http://odoo:80690/web");
        assert_eq!(moved(header::LOCATION, "http://other/?to=http://odoo:8069/"), "http://other/?to=http://odoo:8069/");
        assert_eq!(moved(header::REFRESH, "0; url=http://odoo:8069/x"), "0; url=https://prod.pages.example/x");
        assert_eq!(moved(header::ETAG, "http://odoo:8069/"), "http://odoo:8069/");
    }
}
