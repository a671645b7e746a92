//! Whether the process lives, whether it can serve, and its figures. No key, and no Host check: probes ask by address.
use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State as Shared},
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use kernel::{Code, ExposeSecret as _, refusal};
use subtle::ConstantTimeEq as _;

use crate::{Gateway, answer, edge, metrics::Surface};

const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// A store that does not answer within this time is not ready.
const READY_TIME: Duration = Duration::from_secs(3);

fn looked_up(gateway: &Gateway, method: &Method, status: StatusCode, body: &'static str) -> Response {
    let response = if matches!(*method, Method::GET | Method::HEAD) {
        let mut response = answer::json(status, body.into());
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    } else {
        edge::method_not_allowed("GET")
    };
    gateway.metrics.request(Surface::Health, response.status());
    response
}

/// The process lives.
pub(crate) async fn live(Shared(gateway): Shared<Arc<Gateway>>, request: Request) -> Response {
    looked_up(&gateway, request.method(), StatusCode::OK, r#"{"status":"ok"}"#)
}

/// The store can be reached, and this node does not shut down.
pub(crate) async fn ready(Shared(gateway): Shared<Arc<Gateway>>, request: Request) -> Response {
    let ready = !gateway.shutdown.is_cancelled() && tokio::time::timeout(READY_TIME, (gateway.ready)()).await.unwrap_or(false);
    let (status, body) = if ready {
        (StatusCode::OK, r#"{"status":"ready"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"not ready"}"#)
    };
    looked_up(&gateway, request.method(), status, body)
}

/// On the main listener: with the token, or not at all.
pub(crate) async fn metrics(Shared(gateway): Shared<Arc<Gateway>>, request: Request) -> Response {
    let Some(token) = &gateway.metrics_token else {
        return answer::refused(
            StatusCode::NOT_FOUND,
            &refusal(Code::NotFound, "Metrics are not served here.")
                .next("The operator sets a metrics token, or uses the metrics listener."),
        );
    };
    let presented = edge::presented(request.headers());
    if !bool::from(presented.as_bytes().ct_eq(token.expose_secret().as_bytes())) {
        let mut response = answer::refused(
            StatusCode::UNAUTHORIZED,
            &refusal(Code::Unauthorized, "Metrics need their token.").next("Send it as the header \"Authorization: Bearer …\"."),
        );
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    figures(&gateway)
}

/// On a listener of its own, which the operator keeps off the public network.
pub(crate) async fn metrics_alone(Shared(gateway): Shared<Arc<Gateway>>) -> Response {
    figures(&gateway)
}

fn figures(gateway: &Gateway) -> Response {
    let mut response = Response::new(Body::from(gateway.metrics.text()));
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT_FORMAT);
    response
}
