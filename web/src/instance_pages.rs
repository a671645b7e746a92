//! The host names of instances: `{slug}.{proxy_domain}`. Whoever has the cookie of a visit is passed on to Odoo as the visit's user;
//! everybody else gets a page that says how to come in. Nothing of ocore's own is served here but its style.
use std::{io, net::IpAddr, sync::Arc, time::Duration};

use admin::impersonations::{Ask, Closed, Connection, ENTER, Gone, Visit, Visits, closed, looked_at, names_another};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::Response,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use hyper_util::rt::TokioIo;
use kernel::{Code, ExposeSecret as _, Refusal};

use crate::{
    assets,
    impersonate::over,
    problem::{Kind, Problem},
    site::{Site, asset_response, cookie, failed, go, page, problem, set, set_cookie, with_cookie},
    strings::instance_pages as s,
};

/// How often a request that lasts looks whether its visit goes on.
const LOOK: Duration = Duration::from_secs(5);
/// The cookie of a visit, without `__Host-`.
const VISIT: &str = "ocore-visit";

/// The slug in the host that a request names, when it is an instance's.
pub fn slug(site: &Site, host: &str) -> Option<String> {
    let visits = site.visits.as_ref()?;
    let host =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host });
    visits.places().slug(host).map(str::to_ascii_lowercase)
}

/// Answers at the host name of an instance.
pub async fn answer(site: Arc<Site>, slug: String, address: IpAddr, request: Request) -> Response {
    let Some(visits) = &site.visits else { return problem(Kind::NotFound) };
    let path = request.uri().path();
    if let Some(asset) = assets::at(path) {
        return asset_response(asset);
    }
    if let Some(handoff) = path.strip_prefix(ENTER) {
        return enter(visits, &slug, handoff, address, request.method()).await;
    }
    let secure = visits.places().secure();
    let Some(text) = cookie(request.headers(), VISIT, secure) else {
        // Where the pages that are shown here say that ocore is.
        return if path == "/" { go(visits.places().home().as_str()) } else { outside() };
    };
    let visit = match visits.visit(&slug, &text, address).await {
        Ok(Ok(visit)) => visit,
        Ok(Err(Gone::Refused(why))) if why.code == Code::Unreachable => return problem(Kind::Unavailable),
        Ok(Err(gone)) => return leave(over(&gone, None), secure),
        Err(fault) => return failed(&fault),
    };
    if !same_site(visits, &slug, &request) {
        return problem(Kind::Stale);
    }
    let only_looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if request.uri().query().is_some_and(names_another) || (looked_at(path) && !only_looks) {
        return problem(Kind::Malformed);
    }
    match closed(path) {
        None => {}
        Some(Closed::SignOut) => {
            return match visits.leave(&visit, address).await {
                Ok(()) => leave(over(&Gone::Ended, None), secure),
                Err(fault) => failed(&fault),
            };
        }
        Some(what) => return shut(what),
    }
    let over = || until_over(Arc::clone(visits), slug.clone(), text.clone(), address);
    tokio::select! {
        response = pass(visits, &visit, address, request, &over) => response,
        () = over() => leave(self::over(&Gone::Ended, None), secure),
    }
}

/// Returns when the visit is no more: what is open then, polls and WebSockets too, ends with it.
async fn until_over(visits: Arc<Visits>, slug: String, cookie: String, address: IpAddr) {
    loop {
        tokio::time::sleep(LOOK).await;
        match visits.visit(&slug, &cookie, address).await {
            Ok(Err(Gone::Refused(why))) if why.code == Code::Unreachable => {}
            Ok(Err(_)) => return,
            // A store that does not answer ends nothing.
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}

/// What another site has this browser send does not count as the visitor's: Odoo trusts its session's cookie.
fn same_site(visits: &Visits, slug: &str, request: &Request) -> bool {
    let own = visits.places().origin(slug);
    let says = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // The host names of other instances are the same site to browsers, and what their pages load brings the cookie along.
    if matches!(says("sec-fetch-site"), "same-site" | "cross-site") && says("sec-fetch-mode") != "navigate" {
        return false;
    }
    match request.headers().get(header::ORIGIN) {
        Some(origin) => origin.as_bytes() == own.as_bytes(),
        None => matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS),
    }
}

async fn enter(visits: &Visits, slug: &str, handoff: &str, address: IpAddr, method: &Method) -> Response {
    if method != Method::GET || handoff.len() > 100 {
        return problem(Kind::Method);
    }
    match visits.enter(slug, handoff, address).await {
        Ok(Some((cookie, landing))) => {
            let secure = visits.places().secure();
            let cookie = set_cookie(VISIT, cookie.expose_secret(), secure, None);
            let mut response = with_cookie(go(&landing), Some(cookie));
            // What an earlier visit as another user left in this browser.
            set(response.headers_mut(), HeaderName::from_static("clear-site-data"), "\"storage\"");
            set(response.headers_mut(), header::REFERRER_POLICY, "no-referrer");
            response
        }
        Ok(None) => over(&Gone::Used, None),
        Err(fault) => failed(&fault),
    }
}

/// Takes the visit out of the browser.
fn leave(response: Response, secure: bool) -> Response {
    let mut response = with_cookie(response, Some(set_cookie(VISIT, "", secure, Some(0))));
    set(response.headers_mut(), HeaderName::from_static("clear-site-data"), "\"storage\"");
    response
}

fn outside() -> Response {
    told(StatusCode::FORBIDDEN, &s::OUTSIDE)
}
fn shut(what: Closed) -> Response {
    match what {
        Closed::Databases => told(StatusCode::FORBIDDEN, &s::DATABASES),
        Closed::Rpc => told(StatusCode::FORBIDDEN, &s::RPC),
        Closed::SignIn | Closed::SignOut => told(StatusCode::FORBIDDEN, &s::SIGN_IN),
        Closed::Ambiguous => problem(Kind::Malformed),
    }
}
fn told(status: StatusCode, words: &s::Words) -> Response {
    let view = Problem {
        status: status.as_u16(),
        what: words.what.to_owned(),
        why: words.why.to_owned(),
        next: words.next.to_owned(),
        request_id: String::new(),
    };
    page(status, &view, None)
}
fn unreachable(why: &Refusal) -> Response {
    let status = if why.code == Code::Timeout { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
    let view = Problem {
        status: status.as_u16(),
        what: s::UNREACHABLE.what.to_owned(),
        why: why.message.to_string(),
        next: s::UNREACHABLE.next.to_owned(),
        request_id: String::new(),
    };
    page(status, &view, None)
}

async fn pass<F: Future<Output = ()> + Send + 'static>(
    visits: &Visits,
    visit: &Visit,
    address: IpAddr,
    mut request: Request,
    over: &(impl Fn() -> F + Sync),
) -> Response {
    let upgraded = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let ask = Ask {
        method: parts.method,
        target: target(&parts.uri),
        headers: parts.headers,
        body: Box::pin(body.into_data_stream().map_err(io::Error::other)),
    };
    let passed = match visits.pass(visit, ask, address).await {
        Ok(Ok(passed)) => passed,
        Ok(Err(refused)) if refused.code == Code::InvalidArgument => return problem(Kind::Malformed),
        Ok(Err(refused)) => return unreachable(&refused),
        Err(fault) => return failed(&fault),
    };
    if let (Some(connection), Some(upgraded)) = (passed.connection, upgraded) {
        tokio::spawn(join(upgraded, connection, over()));
    }
    let mut response = Response::new(Body::from_stream(passed.body.take_until(Box::pin(over()))));
    *response.status_mut() = passed.status;
    *response.headers_mut() = passed.headers;
    // A page of one visit is nothing for the next one's browser to find in a shared cache.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Cookie"));
    response
}
fn target(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}
/// Carries both ways until one end closes, or the visit is over.
async fn join(upgraded: hyper::upgrade::OnUpgrade, mut connection: Connection, over: impl Future<Output = ()>) {
    if let Ok(upgraded) = upgraded.await {
        let mut browser = TokioIo::new(upgraded);
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut browser, &mut connection) => {}
            () = over => {}
        }
    }
}
