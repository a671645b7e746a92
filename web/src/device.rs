//! Device codes: type the code, see who asks, done.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::{
    Signed,
    oauth::{
        device::UserCode,
        server::{Failed, NoDevice},
    },
};
use sha2::{Digest as _, Sha256};

use crate::{
    consent,
    parts::{Mistake, Phrase, When, error},
    routes,
    site::{Asked, Site, faulty, field, go, hex, page, sign_in_first, with_cookie},
    strings::device as s,
};

/// The page `GET /device`. Posts `csrf user_code`.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub struct Device {
    /// The form token.
    pub csrf: String,
    /// What was typed, or came with the address.
    pub code: String,
    /// What is wrong, on `user_code` or the form.
    pub mistakes: Vec<Mistake>,
}

/// Who asks, before the consent page. Posts `csrf request do(mine|not-mine)`.
#[derive(Debug, Template)]
#[template(path = "device_confirm.html")]
pub struct DeviceConfirm {
    /// The form token.
    pub csrf: String,
    /// The id of the pending request.
    pub request: String,
    /// The code, such as `BCKF-HMLT`.
    pub code: String,
    /// The name of the client.
    pub client: String,
    /// The address that asked.
    pub address: String,
    /// Whether that is the address of this browser too.
    pub same_address: bool,
    /// When it asked.
    pub since: When,
    /// When the code ends.
    pub until: When,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// The end of it.
#[derive(Debug, Template)]
#[template(path = "device_done.html")]
pub struct DeviceDone {
    /// The name of the client.
    pub client: String,
    /// What was decided.
    pub end: DeviceEnd,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEnd {
    /// Allowed: the device goes on by itself.
    Allowed,
    /// Denied.
    Denied,
    /// The code ended before the decision.
    Expired,
}

impl DeviceDone {
    fn title(&self) -> &'static str {
        s::end_title(self.end)
    }

    fn says(&self) -> &'static str {
        s::end_says(self.end)
    }
}

/// `GET /device`: where to type the code. What came with the address stands in the field, and is sent by the person alone.
pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let code = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "user_code");
    let code: String = code.map(|(_, code)| code.chars().take(20).collect()).unwrap_or_default();
    if asked.signed.is_none() {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("user_code", &code).finish();
        return sign_in_first(&format!("{}?{query}", routes::DEVICE));
    }
    typing(&site, &asked, code, Vec::new())
}
fn typing(site: &Site, asked: &Asked, code: String, mistakes: Vec<Mistake>) -> Response {
    let (csrf, cookie) = asked.token(site);
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    with_cookie(page(status, &Device { csrf, code, mistakes }, None), cookie)
}
/// The same after a code that leads nowhere.
pub(crate) fn again(site: &Site, asked: &Asked, code: &str, why: NoDevice) -> Response {
    let mistake = match why {
        NoDevice::Unknown => {
            (site.events)("device_code_unknown", asked.visitor.address, "a user code that nothing waits for");
            Mistake::on("user_code", s::UNKNOWN)
        }
        NoDevice::Later { .. } => {
            (site.events)("device_code_throttled", asked.visitor.address, "too many wrong user codes");
            Mistake::form(s::THROTTLED)
        }
    };
    typing(site, asked, code.chars().take(20).collect(), vec![mistake])
}

/// `POST /device`: who waits for the code.
pub(crate) async fn look_up(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, form, signed) = match posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let code = field(&form, "user_code").trim();
    if code.is_empty() {
        return typing(&site, &asked, String::new(), vec![Mistake::on("user_code", s::EMPTY)]);
    }
    let pending = match site.oauth.pending(code, signed.user, asked.visitor.address).await {
        Ok(Ok(pending)) => pending,
        Ok(Err(no)) => return again(&site, &asked, code, no),
        Err(Failed::Fault(fault)) => return faulty(&fault),
        Err(_) => return again(&site, &asked, code, NoDevice::Unknown),
    };
    let now = site.sources.now();
    // As the device shows it, however it was typed.
    let code = UserCode::parse(code).map_or_else(String::new, |code| code.to_string());
    let (csrf, cookie) = asked.token(&site);
    let view = DeviceConfirm {
        csrf,
        request: code.clone(),
        code,
        client: pending.client.client.name.clone(),
        same_address: pending.address == asked.visitor.address.to_string(),
        address: pending.address,
        since: When::of(pending.since, now),
        until: When::of(pending.until, now),
        mistakes: Vec::new(),
    };
    with_cookie(page(StatusCode::OK, &view, None), cookie)
}

/// `POST /device/confirm`: whether it is the person's own.
pub(crate) async fn confirm(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, form, signed) = match posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let code = field(&form, "request");
    if field(&form, "do") == "mine" {
        return go(&consent::of_device(code, &compared(&asked, code)));
    }
    match site.oauth.pending(code, signed.user, asked.visitor.address).await {
        Ok(Ok(pending)) => consent::refuse_device(&site, &asked, &signed, pending).await,
        Ok(Err(no)) => again(&site, &asked, code, no),
        Err(Failed::Fault(fault)) => faulty(&fault),
        Err(_) => again(&site, &asked, code, NoDevice::Unknown),
    }
}

/// Says that the person of this session compared the code: the consent page is shown, and taken, with that alone, so that a link of
/// somebody else's does not lead past the comparison.
pub(crate) fn compared(asked: &Asked, code: &str) -> String {
    let session = asked.session().unwrap_or_default();
    hex(&Sha256::new().chain_update(b"ocore device\0").chain_update(session).chain_update([0]).chain_update(code).finalize())
}
/// Where the code is compared.
pub(crate) fn to_compare(code: &str) -> Response {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("user_code", code).finish();
    go(&format!("{}?{query}", routes::DEVICE))
}

async fn posted(site: &Site, request: Request) -> Result<(Asked, Vec<(String, String)>, Signed), Response> {
    let mut asked = Asked::of(site, request).await?;
    let form = asked.form().await?;
    let signed = asked.signed.clone().ok_or_else(|| sign_in_first(routes::DEVICE))?;
    Ok((asked, form, signed))
}
