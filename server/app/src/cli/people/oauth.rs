//! The client's side of OAuth: where the endpoints are, the device flow, refreshing, revoking. No file is touched here.
//!
//! Everything is fail-closed about *where*: one server's tokens go to that server alone, so an issuer, an endpoint or a page that is
//! elsewhere ends the login, whatever else the documents say.
use std::time::Duration;

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::{address::Address, clock, http, plain};
use crate::failure::{Exit, Failure};

/// The command line's own client id.
pub const CLIENT_ID: &str = "ocore-cli";
/// What is asked for when nothing else is said.
pub const SCOPES: &str = "read write destructive offline_access admin";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds between polls when the server names none (RFC 8628 section 3.2), and what `slow_down` adds (section 3.5).
const INTERVAL: u64 = 5;
/// No server keeps a person waiting longer.
const SLOWEST: u64 = 120;
/// The longest token that is believed to be one.
const LONGEST: usize = 16 * 1024;

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("{address} offers no login")]
    NoLogin { address: String },
    #[error("{address} calls itself {itself}")]
    AnotherName { address: String, itself: String },
    #[error("{address} names {what} that is not its own ({url}), so nothing was sent there")]
    Elsewhere { address: String, what: &'static str, url: String },
    #[error("{address} does not offer the login for command lines (RFC 8628)")]
    NoDeviceFlow { address: String },
    /// A registered error code (RFC 6749 section 5.2, RFC 8628 section 3.5).
    #[error("{address} refused: {}", said(code, description))]
    Refused { address: String, code: String, description: String },
    #[error("{address} answered {status}")]
    Status { address: String, status: StatusCode },
    #[error("the answer of {address} has no usable {what}")]
    Incomplete { address: String, what: &'static str },
    #[error("the code has expired before somebody approved it")]
    Expired,
    #[error("somebody refused the login")]
    Denied,
}
fn said(code: &str, description: &str) -> String {
    if description.is_empty() { code.to_owned() } else { format!("{description} ({code})") }
}
impl Error {
    /// Whether a refresh token is dead for good. Anything else may pass.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "invalid_grant")
    }
    /// Whether the server may have done what it was asked, and its answer was lost: on the line, or by a proxy.
    pub fn may_have_worked(&self) -> bool {
        match self {
            Self::Http(error) => !error.not_sent(),
            Self::Status { status, .. } => matches!(*status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT),
            _ => false,
        }
    }
    /// Whether the same may work in a moment.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Http(error) => error.is_network(),
            Self::Status { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Refused { code, .. } => matches!(code.as_str(), "temporarily_unavailable" | "server_error"),
            _ => false,
        }
    }
}
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = plain::line(&error.to_string());
        let mut message = text.clone();
        message.push('.');
        let refused = |code, message: String| Self::new(Exit::Refused, code, message);
        match error {
            Error::Http(error) => error.into(),
            Error::NoLogin { .. } => refused("not_supported", message)
                .next("Check the address. An ocore without sign-in takes API keys: set OCORE_URL and OCORE_API_KEY."),
            Error::AnotherName { itself, .. } => {
                Self::usage(message).next(format!("ocore login {}", plain::cut(itself.trim_end_matches("/mcp"), 200)))
            }
            Error::Elsewhere { .. } => refused("permission_denied", message)
                .next("Tell the operator: a proxy may change its answers, or public_url is wrong."),
            Error::NoDeviceFlow { .. } => {
                refused("not_supported", message).next("Use an API key: set OCORE_URL and OCORE_API_KEY.")
            }
            Error::Refused { code, .. } => match code.as_str() {
                "invalid_scope" => {
                    refused("invalid_argument", message).next("Ask for less with --scope, like --scope \"read offline_access\".")
                }
                "slow_down" | "temporarily_unavailable" => {
                    Self::new(Exit::Failed, "busy", message).next("Try again in a minute.")
                }
                _ => refused("permission_denied", message),
            },
            Error::Status { status, .. } if status == StatusCode::TOO_MANY_REQUESTS => {
                Self::new(Exit::Failed, "rate_limited", message).next("Try again in a minute.")
            }
            Error::Status { .. } | Error::Incomplete { .. } => {
                Self::failed(message).next("Check that this is the address of an ocore, and look into its log.")
            }
            Error::Expired => {
                Self::new(Exit::Failed, "timeout", format!("Not signed in: {text}.")).next("Run the same command again.")
            }
            Error::Denied => refused("permission_denied", format!("Not signed in: {text}.")),
        }
    }
}

/// Where the endpoints are. All of them are the server's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    pub token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
    #[serde(skip)]
    pub device: Option<String>,
}

/// Tokens as they are kept. `Debug` shows none.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    /// Seconds since 1970; none: the server did not say.
    pub expires_at: Option<i64>,
    /// What was granted.
    pub scope: String,
}

/// RFC 9728 section 2.
#[derive(Deserialize)]
struct ProtectedResource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
}

/// RFC 8414 section 2.
#[derive(Deserialize)]
struct AuthorizationServer {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
}

/// Finds the endpoints: the resource's document names its authorization server, whose document names them.
///
/// # Errors
/// When a document is missing, is for another server (RFC 8414 section 3.3, RFC 9728 section 3.3: compared byte by byte), or names an
/// endpoint that is elsewhere.
pub async fn discover(http: &Client, address: &Address) -> Result<Endpoints, Error> {
    let url = address.well_known("oauth-protected-resource", "/mcp");
    let (status, document) = http::document::<ProtectedResource>(http.get(&url), &url).await?;
    let resource = match document {
        Some(document) if status.is_success() => document,
        _ if status.is_server_error() => return Err(Error::Status { address: address.to_string(), status }),
        _ => return Err(Error::NoLogin { address: address.to_string() }),
    };
    if resource.resource != address.resource() {
        return Err(Error::AnotherName { address: address.to_string(), itself: resource.resource });
    }
    let issuer =
        resource.authorization_servers.into_iter().next().ok_or_else(|| Error::NoLogin { address: address.to_string() })?;
    if issuer != address.as_str() {
        return Err(Error::Elsewhere { address: address.to_string(), what: "an authorization server", url: issuer });
    }
    let url = address.well_known("oauth-authorization-server", "");
    let (status, document) = http::document::<AuthorizationServer>(http.get(&url), &url).await?;
    let server =
        document.filter(|_| status.is_success()).ok_or_else(|| Error::Status { address: address.to_string(), status })?;
    if server.issuer != issuer {
        return Err(Error::Elsewhere { address: address.to_string(), what: "an issuer", url: server.issuer });
    }
    let own = |what: &'static str, url: String| {
        if address.owns(&url) { Ok(url) } else { Err(Error::Elsewhere { address: address.to_string(), what, url }) }
    };
    Ok(Endpoints {
        token: own("a token endpoint", server.token_endpoint)?,
        revocation: server.revocation_endpoint.map(|url| own("a revocation endpoint", url)).transpose()?,
        device: server.device_authorization_endpoint.map(|url| own("a device endpoint", url)).transpose()?,
    })
}

/// What a person needs to approve (RFC 8628 section 3.2).
#[derive(Debug)]
pub struct Device {
    code: SecretString,
    pub user_code: String,
    /// The page.
    pub page: String,
    /// The page with the code in it, for the QR code and the browser.
    pub page_with_code: Option<String>,
    /// Seconds since 1970.
    pub expires_at: i64,
    /// Seconds.
    interval: u64,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    #[serde(default, deserialize_with = "secret")]
    device_code: Option<SecretString>,
    user_code: Option<String>,
    verification_uri: Option<String>,
    verification_uri_complete: Option<String>,
    expires_in: Option<i64>,
    interval: Option<u64>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Asks for a code to be approved. `label` is what the server may call this login.
pub async fn begin(
    http: &Client,
    address: &Address,
    endpoints: &Endpoints,
    scopes: &str,
    label: Option<&str>,
) -> Result<Device, Error> {
    let url = endpoints.device.as_deref().ok_or_else(|| Error::NoDeviceFlow { address: address.to_string() })?;
    let resource = address.resource();
    let mut form = vec![("client_id", CLIENT_ID), ("scope", scopes), ("resource", resource.as_str())];
    if let Some(label) = label {
        form.push(("label", label));
    }
    let (status, answer) = http::document::<DeviceAnswer>(post(http, url, &form), url).await?;
    let answer = answer.ok_or_else(|| Error::Status { address: address.to_string(), status })?;
    if let Some(code) = answer.error {
        return Err(refused(address, &code, answer.error_description.as_deref()));
    }
    if !status.is_success() {
        return Err(Error::Status { address: address.to_string(), status });
    }
    let lacks = |what| Error::Incomplete { address: address.to_string(), what };
    let page = answer.verification_uri.filter(|p| p.len() <= 2000).ok_or_else(|| lacks("verification_uri"))?;
    if !address.owns(&page) {
        return Err(Error::Elsewhere { address: address.to_string(), what: "a page to approve at", url: page });
    }
    let user_code = answer.user_code.ok_or_else(|| lacks("user_code"))?;
    // Something to type: a text that is no code would be somebody's words on this terminal.
    if user_code.is_empty()
        || user_code.len() > 32
        || !user_code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b' '))
    {
        return Err(lacks("user_code"));
    }
    Ok(Device {
        code: answer.device_code.filter(fits).ok_or_else(|| lacks("device_code"))?,
        user_code,
        page: plain::line(&page),
        page_with_code: answer
            .verification_uri_complete
            .filter(|url| url.len() <= 2000 && address.owns(url))
            .map(|url| plain::line(&url)),
        expires_at: clock::now().saturating_add(answer.expires_in.unwrap_or(600).clamp(1, 24 * 3600)),
        interval: answer.interval.unwrap_or(INTERVAL).clamp(1, SLOWEST),
    })
}

/// Polls until somebody has answered (RFC 8628 section 3.4). `waiting` is told before each second of waiting.
pub async fn wait(
    http: &Client,
    address: &Address,
    endpoints: &Endpoints,
    device: &Device,
    mut waiting: impl FnMut(i64),
) -> Result<Tokens, Error> {
    let mut interval = device.interval;
    let resource = address.resource();
    loop {
        for _ in 0..interval {
            let left = device.expires_at - clock::now();
            if left <= 0 {
                return Err(Error::Expired);
            }
            waiting(left);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let form = [
            ("grant_type", DEVICE_GRANT),
            ("device_code", device.code.expose_secret()),
            ("client_id", CLIENT_ID),
            ("resource", resource.as_str()),
        ];
        match token(http, address, &endpoints.token, &form).await {
            Err(Error::Refused { code, .. }) if code == "authorization_pending" => {}
            Err(Error::Refused { code, .. }) if code == "slow_down" => interval = (interval + INTERVAL).min(SLOWEST),
            Err(Error::Refused { code, .. }) if code == "access_denied" => return Err(Error::Denied),
            Err(Error::Refused { code, .. }) if code == "expired_token" => return Err(Error::Expired),
            // Section 3.5: after a lost connection, wait longer each time.
            Err(error) if error.may_pass() => interval = (interval * 2).min(60),
            other => return other,
        }
    }
}

/// New tokens for a refresh token (RFC 6749 section 6). The old one is used up when this succeeds.
pub async fn refresh(http: &Client, address: &Address, endpoints: &Endpoints, refresh: &SecretString) -> Result<Tokens, Error> {
    let resource = address.resource();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.expose_secret()),
        ("client_id", CLIENT_ID),
        ("resource", resource.as_str()),
    ];
    let mut tokens = token(http, address, &endpoints.token, &form).await?;
    // Section 6: a server that gives no new refresh token means the old one.
    tokens.refresh.get_or_insert_with(|| refresh.clone());
    Ok(tokens)
}

/// Ends a token at the server, and with it the login that it belongs to (RFC 7009).
pub async fn revoke(
    http: &Client,
    address: &Address,
    endpoints: &Endpoints,
    token: &SecretString,
    hint: &str,
) -> Result<(), Error> {
    let Some(url) = &endpoints.revocation else {
        return Err(Error::Incomplete { address: address.to_string(), what: "revocation endpoint" });
    };
    let form = [("token", token.expose_secret()), ("token_type_hint", hint), ("client_id", CLIENT_ID)];
    let (status, answer) = match http::document::<TokenAnswer>(post(http, url, &form), url).await {
        // Section 2.2: 200, with a body that means nothing.
        Err(http::Error::Strange { .. }) => return Ok(()),
        other => other?,
    };
    if status.is_success() {
        return Ok(());
    }
    match answer.and_then(|a| a.error.map(|code| (code, a.error_description))) {
        Some((code, description)) => Err(refused(address, &code, description.as_deref())),
        None => Err(Error::Status { address: address.to_string(), status }),
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<SecretString>,
    token_type: Option<String>,
    expires_in: Option<i64>,
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Option<SecretString>,
    scope: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// One request to the token endpoint.
async fn token(http: &Client, address: &Address, url: &str, form: &[(&str, &str)]) -> Result<Tokens, Error> {
    let (status, answer) = http::document::<TokenAnswer>(post(http, url, form), url).await?;
    let answer = answer.ok_or_else(|| Error::Status { address: address.to_string(), status })?;
    if let Some(code) = answer.error {
        return Err(refused(address, &code, answer.error_description.as_deref()));
    }
    if !status.is_success() {
        return Err(Error::Status { address: address.to_string(), status });
    }
    let lacks = |what| Error::Incomplete { address: address.to_string(), what };
    if !answer.token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(lacks("token_type"));
    }
    Ok(Tokens {
        access: answer.access_token.filter(fits).ok_or_else(|| lacks("access_token"))?,
        refresh: answer.refresh_token.filter(fits),
        expires_at: answer.expires_in.map(|seconds| clock::now().saturating_add(seconds.clamp(0, 366 * 86400))),
        scope: plain::cut(&answer.scope.unwrap_or_default(), 500),
    })
}

fn post(http: &Client, url: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    http.post(url)
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(reqwest::header::ACCEPT, "application/json")
        .body(body)
}

fn refused(address: &Address, code: &str, description: Option<&str>) -> Error {
    Error::Refused {
        address: address.to_string(),
        code: plain::cut(code, 60),
        description: plain::cut(description.unwrap_or(""), 400).trim_end_matches('.').to_owned(),
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Into::into))
}

/// RFC 6750 section 2.1: a token is visible ASCII. Anything else would break, or add, a header.
fn fits(token: &SecretString) -> bool {
    let token = token.expose_secret();
    !token.is_empty() && token.len() <= LONGEST && token.bytes().all(|b| b.is_ascii_graphic())
}
