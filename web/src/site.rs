//! What every page's handler stands on: who asks, form tokens, cookies, and the headers that a page goes out with.
//!
//! A form is taken when it was posted from this very site (Origin) and carries the token of the browser's own cookie; both, because each
//! has failed somewhere. Cookies carry `__Host-` where browsers speak TLS to us, so that no other host can set them.
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use admin::{Admin, By, impersonations::Visits, set_up::SetUp, users::Membership};
use askama::Template;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn},
    response::Response,
    routing::{any, get, post},
};
use identity::{
    Keys, People, Signed,
    oauth::{resource::PublicUrl, server::Server},
};
use kernel::{Code, ExposeSecret as _, Fault, Role, SecretString, Sources, UserId};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use crate::{
    account, assets, authorizations, consent, device,
    frame::{Frame, Section},
    home, impersonate, invite, invites, openid, organizations,
    parts::Notice,
    password_reset,
    problem::{Kind, Problem},
    routes,
    said::Offered,
    second_step, sessions, set_up, sign_in, signed_out,
};

/// The most bytes of a form.
const FORM: usize = 64 * 1024;
/// How long a form may take to arrive.
const SLOWEST: Duration = Duration::from_secs(10);
/// The longest address of this site that is gone on to, in bytes: OAuth's hold whole addresses themselves.
pub(crate) const LONGEST_PATH: usize = 6_000;
/// The names of the cookies, without `__Host-`. They begin with what [`admin::impersonations::COOKIES`] keeps from Odoo.
const SESSION: &str = "ocore-session";
const VISITOR: &str = "ocore-visitor";
/// The organization that a browser works in, by its slug. Says nothing about what may be done there.
const ORG: &str = "ocore-org";

/// Where a security event goes: kind, address, detail.
pub type Events = Arc<dyn Fn(&'static str, IpAddr, &str) + Send + Sync>;

/// Who asks, as far as host and proxies tell it; set on each request before it comes here.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub address: IpAddr,
    /// `https://host[:port]`, where browsers believe to be.
    pub origin: String,
    /// The URL that clients know this server by.
    pub public: PublicUrl,
}

/// What the pages work with.
pub struct Site {
    pub people: People,
    pub admin: Admin,
    pub oauth: Arc<Server>,
    /// Told of what was taken back, so that it holds at the next call.
    pub keys: Arc<Keys>,
    /// Every tool, for what pages say and offer.
    pub tools: Vec<Offered>,
    /// None where there was a user when the process started.
    pub set_up: Option<SetUp>,
    /// None where no host names of instances are served.
    pub visits: Option<Arc<Visits>>,
    pub sources: Sources,
    pub events: Events,
}

/// Every page.
pub fn router(site: &Arc<Site>) -> Router {
    Router::new()
        .route(routes::HOME, get(home::show))
        .route(routes::SET_UP, get(set_up::show).post(set_up::take))
        .route(routes::SIGN_IN, get(sign_in::show).post(sign_in::take))
        .route(routes::SIGN_IN_CODE, get(second_step::show).post(second_step::take))
        .route("/openid/{provider}", get(openid::leave))
        .route("/openid/{provider}/callback", get(openid::come_back))
        .route("/password-reset/{link}", get(password_reset::show).post(password_reset::take))
        .route(routes::SIGN_OUT, post(signed_out::take))
        .route(routes::SESSIONS, get(sessions::show))
        .route(routes::SESSIONS_REVOKE, post(sessions::revoke))
        .route(routes::ACCOUNT, get(account::show))
        .route(routes::ACCOUNT_PASSWORD, post(account::password))
        .route(routes::ACCOUNT_TOTP, get(account::begin).post(account::confirm))
        .route(routes::ACCOUNT_TOTP_OFF, post(account::turn_off))
        .route(routes::ACCOUNT_CODES, post(account::codes))
        .route(routes::ACCOUNT_LINK, post(openid::link))
        .route(routes::ACCOUNT_UNLINK, post(openid::take_away))
        .route("/impersonate/{link}", get(impersonate::show).post(impersonate::open))
        .route(routes::AUTHORIZE, get(consent::authorize))
        // Clients that guess the folder of the other endpoints.
        .route("/oauth/authorize", get(consent::authorize))
        .route(routes::CONSENT, get(consent::device).post(consent::decide))
        .route(routes::DEVICE, get(device::show).post(device::look_up))
        .route(routes::DEVICE_CONFIRM, post(device::confirm))
        .route(routes::ORGANIZATIONS, get(organizations::show).post(organizations::choose))
        .route(routes::AUTHORIZATIONS, get(authorizations::show))
        .route(routes::AUTHORIZATIONS_REVOKE, post(authorizations::revoke))
        .route("/oauth/invite/{token}", get(invite::show).post(invite::accept))
        .route(routes::INVITES, get(invites::show).post(invites::make))
        .route(routes::INVITES_REVOKE, post(invites::revoke))
        .route(routes::INVITES_VOUCH, post(invites::vouch))
        .route("/static/{name}", get(asset))
        .fallback(any(nothing))
        .layer(from_fn(apart))
        .with_state(Arc::clone(site))
}

/// Pages of the account share no group of windows with other sites, which could else tell what happens in them. Those that an
/// authorization passes must: clients that open them in a window of its own wait for that window (`popup.closed`) and hear from it.
async fn apart(request: Request, next: Next) -> Response {
    const SHARED: [&str; 7] = [
        routes::AUTHORIZE,
        "/oauth/authorize",
        routes::CONSENT,
        routes::SIGN_IN,
        routes::SIGN_IN_CODE,
        routes::ORGANIZATIONS,
        routes::OPENID,
    ];
    let path = request.uri().path();
    let shared = SHARED.contains(&path) || path.starts_with("/openid/");
    let mut response = next.run(request).await;
    if !shared {
        set(response.headers_mut(), HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    }
    response
}

async fn asset(request: Request) -> Response {
    match assets::at(request.uri().path()) {
        Some(asset) => asset_response(asset),
        None => problem(Kind::NotFound),
    }
}
pub(crate) fn asset_response(asset: &'static assets::Asset) -> Response {
    let mut response = Response::new(Body::from(asset.bytes));
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, asset.content_type);
    set(headers, header::CACHE_CONTROL, assets::CACHE_CONTROL);
    set(headers, header::ETAG, &asset.etag);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}
/// Programs that look for what is not here, as OAuth clients do, need no page.
async fn nothing(request: Request) -> Response {
    let page = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    if page { problem(Kind::NotFound) } else { plain(StatusCode::NOT_FOUND) }
}

/// A request in the hands of a page: its head, who asks, and who that is.
pub(crate) struct Asked {
    pub visitor: Visitor,
    pub headers: HeaderMap,
    pub signed: Option<Signed>,
    /// The organizations of who is signed in, by slug; filled by [`signed_in`].
    pub organizations: Vec<Membership>,
    /// Locked by nobody: it only makes what is read from the network safe to share.
    body: Mutex<Body>,
}
impl Asked {
    pub(crate) async fn of(site: &Site, request: Request) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        // Whoever forgot to say who asks gets nothing.
        let Some(visitor) = parts.extensions.get::<Visitor>().cloned() else { return Err(problem(Kind::Internal)) };
        let signed = match cookie(&parts.headers, SESSION, visitor.secure()) {
            Some(text) => site.people.signed(&text).await.map_err(|fault| failed(&fault))?,
            None => None,
        };
        Ok(Self { visitor, headers: parts.headers, signed, organizations: Vec::new(), body: Mutex::new(body) })
    }
    /// What the browser has as its session, whosever it is.
    pub(crate) fn session(&self) -> Option<String> {
        cookie(&self.headers, SESSION, self.visitor.secure())
    }
    /// The organization that the browser works in: the one that was chosen, or the only one. None when it is still to be chosen.
    pub(crate) fn organization(&self) -> Option<&Membership> {
        let chosen = self.chosen();
        match self.organizations.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|one| chosen.as_deref() == Some(one.slug.as_str())),
        }
    }
    /// The slug of the organization that the browser chose, whether or not it is there.
    pub(crate) fn chosen(&self) -> Option<String> {
        cookie(&self.headers, ORG, self.visitor.secure())
    }
    /// What the browser says it is.
    pub(crate) fn agent(&self) -> &str {
        self.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
    /// The token for the forms of this browser, and the cookie that it belongs to when the browser is to be given one.
    pub(crate) fn token(&self, site: &Site) -> (String, Option<HeaderValue>) {
        let secure = self.visitor.secure();
        if let Some(text) = cookie(&self.headers, SESSION, secure).or_else(|| cookie(&self.headers, VISITOR, secure)) {
            return (token_of(&text), None);
        }
        let mut bytes = [0_u8; 16];
        site.sources.random.fill(&mut bytes);
        let text = hex(&bytes);
        (token_of(&text), Some(set_cookie(VISITOR, &text, secure, None)))
    }
    /// The form that was posted from our own page.
    pub(crate) async fn form(&mut self) -> Result<Vec<(String, String)>, Response> {
        let from = self.headers.get(header::ORIGIN).and_then(|v| v.to_str().ok());
        if from != Some(self.visitor.origin.as_str()) {
            return Err(problem(Kind::Stale));
        }
        let body = std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner));
        // Whoever sends slowly holds a connection and nothing else.
        let Ok(read) = timeout(SLOWEST, to_bytes(body, FORM)).await else { return Err(problem(Kind::Malformed)) };
        let bytes = read.map_err(|_| problem(Kind::TooLarge))?;
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&bytes).into_owned().collect();
        let secure = self.visitor.secure();
        let given = field(&form, "csrf");
        let own = [SESSION, VISITOR].into_iter().filter_map(|name| cookie(&self.headers, name, secure));
        if !own.into_iter().any(|text| bool::from(token_of(&text).as_bytes().ct_eq(given.as_bytes()))) {
            return Err(problem(Kind::Stale));
        }
        Ok(form)
    }
}
/// Who is signed in, as administration knows them.
pub(crate) fn by(asked: &Asked, signed: &Signed) -> By {
    By::User { id: signed.user, email: signed.email.clone(), operator: signed.operator, address: asked.visitor.address }
}
/// A refusal as a page of its own, under the heading of its kind.
pub(crate) fn refused(why: &kernel::Refusal) -> Response {
    let kind = match why.code {
        Code::NotFound => Kind::NotFound,
        Code::Conflict => Kind::Conflict,
        Code::InvalidArgument => Kind::Malformed,
        _ => Kind::Forbidden,
    };
    let mut view = Problem::new(kind, "");
    (view.why, view.next) = (why.message.to_string(), why.next.to_string());
    page(StatusCode::from_u16(view.status).unwrap_or(StatusCode::FORBIDDEN), &view, None)
}
/// What administration could not do: the caller's doing or ours.
pub(crate) fn faulty(fault: &Fault) -> Response {
    match fault {
        Fault::Refused(why) => refused(why),
        other => failed(other),
    }
}
/// Ends what the ended sessions of a person opened in Odoo.
pub(crate) async fn odoo_left(site: &Site, user: UserId, by: &By) -> Result<(), Response> {
    match &site.visits {
        Some(visits) => visits.leave_all(user, by).await.map_err(|fault| failed(&fault)),
        None => Ok(()),
    }
}
/// A request of somebody who is signed in; everybody else is sent to sign in, and comes back to a page that can be come back to.
pub(crate) async fn signed_in(site: &Site, request: Request) -> Result<(Asked, Signed), Response> {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let next = request.uri().path_and_query().filter(|_| looks).map_or_else(|| routes::HOME.to_owned(), ToString::to_string);
    let mut asked = Asked::of(site, request).await?;
    let Some(signed) = asked.signed.clone() else { return Err(sign_in_first(&next)) };
    asked.organizations = admin::users::organizations(&site.admin, signed.user).await.map_err(|fault| failed(&fault))?;
    Ok((asked, signed))
}
/// To the page for signing in, and from there on to `next`.
pub(crate) fn sign_in_first(next: &str) -> Response {
    if next == routes::HOME {
        return go(routes::SIGN_IN);
    }
    go(&with_next(routes::SIGN_IN, next))
}
/// A page that leads on to another.
pub(crate) fn with_next(page: &str, next: &str) -> String {
    let next: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{page}?{next}")
}
/// The frame around a page, for who [`signed_in`] found.
pub(crate) fn frame(site: &Site, asked: &Asked, signed: &Signed, section: Option<Section>, notice: Option<Notice>) -> Frame {
    let org = asked.organization();
    Frame {
        // A session has its cookie, so that none need be given.
        csrf: asked.token(site).0,
        you: signed.email.clone(),
        org: org.map(|org| org.name.clone()),
        administers: org.is_some_and(|org| org.role >= Role::Admin),
        section,
        notice,
    }
}
/// The value of a parameter in the address; empty when there is none.
pub(crate) fn parameter(request: &Request, name: &str) -> String {
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(known, _)| known == name)
        .map_or_else(String::new, |(_, v)| v.into_owned())
}

impl Visitor {
    pub(crate) fn secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

/// The first value of that name; empty when there is none.
pub(crate) fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}

/// The token for forms of the browser that has this cookie.
pub(crate) fn token_of(cookie: &str) -> String {
    hex(&Sha256::new().chain_update(b"ocore form\0").chain_update(cookie.as_bytes()).finalize())
}
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

fn named(name: &str, secure: bool) -> String {
    if secure { format!("__Host-{name}") } else { name.to_owned() }
}
/// A cookie's value; none when it is there twice, since one of them is somebody else's.
pub(crate) fn cookie(headers: &HeaderMap, name: &str, secure: bool) -> Option<String> {
    let name = named(name, secure);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then(|| value.to_owned())
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
/// `age` in seconds; none for as long as the browser runs.
pub(crate) fn set_cookie(name: &str, value: &str, secure: bool, age: Option<i64>) -> HeaderValue {
    let name = named(name, secure);
    let secure = if secure { "; Secure" } else { "" };
    let age = age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    // Lax, so that a link from a chat or a mail finds its person signed in.
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    let mut header = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}
pub(crate) fn session_cookie(visitor: &Visitor, value: Option<&SecretString>) -> HeaderValue {
    match value {
        Some(value) => set_cookie(SESSION, value.expose_secret(), visitor.secure(), Some(7 * 24 * 3600)),
        None => set_cookie(SESSION, "", visitor.secure(), Some(0)),
    }
}

/// Remembers the organization that was chosen; a year, or until another is.
pub(crate) fn org_cookie(visitor: &Visitor, slug: &str) -> HeaderValue {
    set_cookie(ORG, slug, visitor.secure(), Some(365 * 24 * 3600))
}

/// A page as it goes out. `leads_to` is another origin that its form may lead to.
pub(crate) fn page(status: StatusCode, page: &impl Template, leads_to: Option<&str>) -> Response {
    let Ok(html) = page.render() else {
        tracing::error!("a page could not be rendered");
        return plain(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, "text/html; charset=utf-8");
    let form = leads_to.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'{form}; frame-ancestors 'none'; base-uri 'none'"
    );
    set(headers, header::CONTENT_SECURITY_POLICY, &policy);
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With no-referrer browsers would post forms with the origin "null".
    set(headers, header::REFERRER_POLICY, "same-origin");
    set(headers, header::CACHE_CONTROL, "no-store");
    response
}
fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
pub(crate) fn problem(kind: Kind) -> Response {
    let view = Problem::new(kind, "");
    page(StatusCode::from_u16(view.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &view, None)
}
/// What the store or ocore itself could not do.
pub(crate) fn failed(fault: &Fault) -> Response {
    tracing::error!(?fault, "a page failed");
    problem(Kind::Unavailable)
}
/// See Other: what was posted is done.
pub(crate) fn go(to: &str) -> Response {
    let mut response = plain(StatusCode::SEE_OTHER);
    set(response.headers_mut(), header::LOCATION, to);
    set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    response
}
pub(crate) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A path of this site to go on to, out of what a form or link says; the first page for anything else. What browsers could read as
/// another host (`//x`, `/\x`) is none. The addresses of OAuth clients' requests are long.
pub(crate) fn own_path(text: &str) -> &str {
    let odd = |c: char| c.is_control() || c == '\\' || c.is_whitespace();
    let ours = text.starts_with('/') && !text.starts_with("//") && text.len() <= LONGEST_PATH && !text.contains(odd);
    if ours { text } else { routes::HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_gone_on_to() {
        for good in ["/", "/impersonate/ocv_12", "/a?b=c#d"] {
            assert_eq!(own_path(good), good);
        }
        for bad in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "/\t/evil", "javascript:alert(1)", "evil"]
        {
            assert_eq!(own_path(bad), "/", "{bad:?}");
        }
        let long = |n: usize| format!("/authorize?{}", "x".repeat(n - 11));
        assert_eq!(own_path(&long(6000)), long(6000));
        assert_eq!(own_path(&long(6001)), "/");
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_nobodys() {
        let with = |line: &'static str| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]);
        assert_eq!(cookie(&with("a=b; ocore-session=x"), SESSION, false).as_deref(), Some("x"));
        assert_eq!(cookie(&with("ocore-session=x; ocore-session=y"), SESSION, false), None);
        assert_eq!(cookie(&with("ocore-session=x"), SESSION, true), None);
        assert_eq!(cookie(&with("__Host-ocore-session=x; ocore-session=y"), SESSION, true).as_deref(), Some("x"));
    }
}
