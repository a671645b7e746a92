//! OAuth for programs: discovery, registration, tokens, revocation, introspection, device codes. What people see of it are pages.
//!
//! These endpoints know no cookies, so any web page may call them (MCP clients run in browsers too): CORS is open here, and Host is
//! checked as everywhere.
use std::{net::IpAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use bytes::Bytes;
use identity::oauth::{
    Code as OauthCode, OauthError, metadata, registration,
    request::Params,
    resource::{PublicUrl, Resource},
    server::Failed,
};
use kernel::{Code, refusal};
use serde::Serialize;

use crate::{Gateway, answer, edge};

/// The most bytes of a form.
const FORM: usize = 64 * 1024;
/// How long a body may take: whoever is slower holds a connection and nothing else.
const BODY_TIME: Duration = Duration::from_secs(10);
/// What a browser may read of an answer.
const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, Retry-After");

/// Each endpoint, at the root and under `/oauth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Token,
    Register,
    Revoke,
    Introspect,
    Device,
}
impl Endpoint {
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("/token", Self::Token),
        ("/register", Self::Register),
        ("/revoke", Self::Revoke),
        ("/introspect", Self::Introspect),
        ("/device_authorization", Self::Device),
    ];
}

impl Gateway {
    /// The URL that clients know this server by.
    pub fn public(&self, parts: &Parts) -> Option<PublicUrl> {
        self.edge.public(parts)
    }
    /// The audience of access tokens for this request; none where no token opens the path.
    pub(crate) fn audience(&self, parts: &Parts) -> Option<String> {
        let path = parts.uri.path();
        let path = path.strip_suffix('/').unwrap_or(path);
        Some(Resource::of_path(path)?.uri(&self.public(parts)?))
    }

    /// `/.well-known/…`
    pub(crate) async fn oauth_document(&self, parts: Parts) -> Response {
        self.open(parts, "GET", |parts, _, public| async move {
            let path = parts.uri.path();
            // A proxy in front may have taken off the path of the public URL, or not.
            let found = metadata::find(&public, path, parts.uri.query())
                .or_else(|| metadata::find(&public, &format!("{}{path}", public.path()), parts.uri.query()));
            match found {
                Some(document) => {
                    let mut response = json(StatusCode::OK, &document);
                    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
                    response
                }
                None => answer::refused(
                    StatusCode::NOT_FOUND,
                    &refusal(Code::NotFound, "There is no such document here.")
                        .next("Start at /.well-known/oauth-protected-resource or /.well-known/oauth-authorization-server."),
                ),
            }
        })
        .await
    }

    /// An endpoint of the authorization server.
    pub(crate) async fn oauth(&self, endpoint: Endpoint, parts: Parts, body: Body) -> Response {
        self.open(parts, "POST", |parts, address, public| async move {
            let largest = if endpoint == Endpoint::Register { registration::LARGEST } else { FORM };
            let body = match tokio::time::timeout(BODY_TIME, to_bytes(body, largest)).await {
                Ok(Ok(body)) => body,
                Ok(Err(_)) => {
                    return failed(
                        &OauthError::new(OauthCode::InvalidRequest, "The body is too large, or broke off.").into(),
                        false,
                    );
                }
                Err(_) => {
                    return failed(
                        &OauthError::new(OauthCode::InvalidRequest, "The body took more than 10 seconds.").into(),
                        false,
                    );
                }
            };
            let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
            let answered = self.answered(endpoint, &public, authorization, &parts.headers, &body, address).await;
            match answered {
                Ok(response) => response,
                Err(error) => {
                    // A code or token that was used twice has ended what it gave.
                    if matches!(&error, Failed::Refused(error) if error.code() == OauthCode::InvalidGrant) {
                        self.keys.catch_up().await;
                    }
                    self.note(endpoint, &error, address);
                    failed(&error, authorization.is_some())
                }
            }
        })
        .await
    }

    async fn answered(
        &self,
        endpoint: Endpoint,
        public: &PublicUrl,
        authorization: Option<&str>,
        headers: &HeaderMap,
        body: &Bytes,
        address: IpAddr,
    ) -> Result<Response, Failed> {
        if endpoint == Endpoint::Register {
            return Ok(json(StatusCode::CREATED, &self.oauth.register(body, address).await?));
        }
        let text = std::str::from_utf8(body)
            .map_err(|_| OauthError::new(OauthCode::InvalidRequest, "The body is not UTF-8. Send a form."))?;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if !kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            let what = "The Content-Type must be application/x-www-form-urlencoded.";
            return Err(OauthError::new(OauthCode::InvalidRequest, what).into());
        }
        let params = Params::read(text)?;
        let server = &self.oauth;
        Ok(match endpoint {
            Endpoint::Token => json(StatusCode::OK, &server.token(public, authorization, &params, address).await?),
            Endpoint::Introspect => json(StatusCode::OK, &server.introspect(public, authorization, &params, address).await?),
            Endpoint::Device => {
                let agent = edge::client(headers);
                json(StatusCode::OK, &server.device(public, authorization, &params, address, agent).await?)
            }
            Endpoint::Revoke => {
                server.revoke(public, authorization, &params, address).await?;
                self.keys.catch_up().await;
                answer::empty(StatusCode::OK)
            }
            Endpoint::Register => answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
        })
    }

    /// What attackers leave behind: counted, and kept as security events.
    fn note(&self, endpoint: Endpoint, error: &Failed, address: IpAddr) {
        let kind = match error {
            Failed::Refused(error) => match error.code() {
                OauthCode::InvalidClient => "oauth_client_refused",
                OauthCode::InvalidGrant => "oauth_grant_refused",
                _ => return,
            },
            Failed::Later { .. } => "oauth_throttled",
            Failed::Fault(fault) => {
                tracing::error!(?fault, "an OAuth request failed");
                return;
            }
        };
        self.security_event(kind, address, &format!("{endpoint:?}: {error}"));
    }

    /// Host and address are checked, any origin may ask; preflights are answered.
    async fn open<F>(&self, parts: Parts, method: &'static str, inner: impl FnOnce(Parts, IpAddr, PublicUrl) -> F) -> Response
    where
        F: Future<Output = Response>,
    {
        let address = match self.visitor(&parts) {
            Ok((address, _)) => address,
            Err(response) => return response,
        };
        let mut response = if parts.method == Method::OPTIONS {
            let mut response = answer::empty(StatusCode::NO_CONTENT);
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
            let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("*")));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            response
        } else if parts.method.as_str() != method && !(method == "GET" && parts.method == Method::HEAD) {
            edge::method_not_allowed(method)
        } else {
            match self.public(&parts) {
                Some(public) => inner(parts, address, public).await,
                None => answer::empty(StatusCode::BAD_REQUEST),
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        response
    }
}

/// RFC 6749 section 5.1: nothing of it is to be kept by anybody on the way.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = answer::json(status, serde_json::to_vec(body).unwrap_or_default());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// RFC 6749 section 5.2.
fn failed(error: &Failed, by_header: bool) -> Response {
    match error {
        Failed::Refused(error) => {
            let status = StatusCode::from_u16(error.code().status()).unwrap_or(StatusCode::BAD_REQUEST);
            let mut response = json(status, error);
            if status == StatusCode::SERVICE_UNAVAILABLE {
                return answer::retry_after(response, 30);
            }
            if status == StatusCode::UNAUTHORIZED && by_header {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"ocore\""));
            }
            response
        }
        Failed::Later { error, seconds } => {
            let response = json(StatusCode::TOO_MANY_REQUESTS, error);
            answer::retry_after(response, u32::try_from(*seconds).unwrap_or(60))
        }
        Failed::Fault(_) => {
            let error =
                OauthError::new(OauthCode::ServerError, "The server could not do this at the moment. Try again in a minute.");
            answer::retry_after(json(StatusCode::SERVICE_UNAVAILABLE, &error), 10)
        }
    }
}
