//! The façades: wire protocols over [`dispatch::Dispatch`], one file per façade. No façade decides anything: it reads a
//! request, hands a call to the dispatcher, and writes the answer. What every request passes first stands in `edge.rs`.
#[cfg(all(feature = "conformance", not(debug_assertions)))]
compile_error!("the conformance fixture must not be in a release build");

mod answer;
mod bodies;
#[cfg_attr(not(feature = "conformance"), path = "no_conformance.rs")]
mod conformance;
mod edge;
mod health;
mod mcp;
mod mcp_sse;
mod metrics;
mod oauth;
mod serve;
mod shares;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State as Shared},
    response::Response,
    routing::any,
};
use dispatch::Dispatch;
use futures_util::future::BoxFuture;
use identity::{Keys, oauth::server::Server as OauthServer};
use ipnet::IpNet;
use kernel::{SecretString, Sources};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use bodies::MAX_BODY;
pub use edge::{ConfigError, Events, Peer, asked_host};
pub use metrics::Gauge;
pub use serve::serve;

use crate::metrics::{Metrics, Surface};

/// What the operator says about the HTTP surface.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Links, and the Host and Origin that are answered. Without it only loopback names are.
    pub public_url: Option<Url>,
    /// Origins of browser clients beside `public_url`'s own.
    pub origins: Vec<String>,
    /// Whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether clients of 2025-11-25 and older get sessions (server-to-client requests need them).
    pub legacy_sessions: bool,
    /// The bearer token of `/metrics`; without one, metrics are on their own listener alone ([`metrics_router`]).
    pub metrics_token: Option<SecretString>,
}

/// What the gateway is made of.
pub struct State {
    pub config: Config,
    pub keys: Arc<Keys>,
    pub oauth: Arc<OauthServer>,
    pub dispatch: Arc<Dispatch>,
    pub sources: Sources,
    /// Where security events go.
    pub events: Events,
    /// Whether the store can be reached (`/ready`).
    pub ready: Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
    /// Grows when the tools that somebody may list may have changed; none: list changes are not announced.
    pub changes: Option<watch::Receiver<u64>>,
    /// Figures of others for `/metrics`.
    pub gauges: Vec<Gauge>,
    /// Ends streams that only wait. Cancel it together with [`serve`]'s.
    pub shutdown: CancellationToken,
}

/// Why a gateway could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the metrics could not be registered")]
    Metrics(#[from] prometheus::Error),
}

/// Everything that answers HTTP.
pub struct Gateway {
    edge: edge::Edge,
    keys: Arc<Keys>,
    oauth: Arc<OauthServer>,
    dispatch: Arc<Dispatch>,
    sources: Sources,
    events: Events,
    ready: Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
    metrics: Arc<Metrics>,
    metrics_token: Option<SecretString>,
    shutdown: CancellationToken,
    bodies: bodies::Bodies,
    streams: streams::Streams,
    mcp: mcp::Mcp,
    sse: mcp_sse::Sessions,
}
impl Gateway {
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(state: State) -> Result<Arc<Self>, Error> {
        let metrics = Arc::new(Metrics::new(state.gauges)?);
        let mcp = mcp::Mcp::new(&state.config, &state.dispatch, &metrics, state.changes, &state.shutdown);
        Ok(Arc::new(Self {
            edge: edge::Edge::new(&state.config)?,
            keys: state.keys,
            oauth: state.oauth,
            dispatch: state.dispatch,
            sources: state.sources,
            events: state.events,
            ready: state.ready,
            bodies: bodies::Bodies::new(&metrics),
            streams: streams::Streams::new(&metrics),
            metrics,
            metrics_token: state.config.metrics_token,
            shutdown: state.shutdown,
            mcp,
            sse: mcp_sse::Sessions::default(),
        }))
    }
}

/// Every URL of the gateway.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    // With and without the last slash: a redirect between the two loses the body or the key in some clients.
    let mcp = any(mcp_endpoint);
    let mut oauth = Router::new().route("/.well-known/{*document}", any(oauth_document));
    for (path, endpoint) in oauth::Endpoint::ALL {
        // Hosts that do not find the metadata guess the root; others expect a folder.
        for path in [path.to_owned(), format!("/oauth{path}")] {
            let answer = move |Shared(gateway): Shared<Arc<Gateway>>, request: Request| async move {
                let (parts, body) = request.into_parts();
                let response = gateway.oauth(endpoint, parts, body).await;
                gateway.metrics.request(Surface::Oauth, response.status());
                response
            };
            oauth = oauth.route(&path, any(answer));
        }
    }
    Router::new()
        .merge(oauth)
        .route("/mcp", mcp.clone())
        .route("/mcp/", mcp.clone())
        .route("/api/mcp/stream", mcp.clone())
        .route("/mcp/i/{slug}", mcp.clone())
        .route("/mcp/i/{slug}/", mcp)
        .route("/api/mcp/sse", any(sse_stream))
        .route("/mcp/sse", any(sse_stream))
        .route("/api/mcp/messages", any(sse_messages))
        .route("/mcp/messages", any(sse_messages))
        .route("/health", any(health::live))
        .route("/mcp/health", any(health::live))
        .route("/ready", any(health::ready))
        .route("/metrics", any(health::metrics))
        .with_state(Arc::clone(gateway))
}

/// `/metrics` alone, without a token, for a listener of its own.
pub fn metrics_router(gateway: &Arc<Gateway>) -> Router {
    Router::new().route("/metrics", any(health::metrics_alone)).with_state(Arc::clone(gateway))
}

async fn mcp_endpoint(Shared(gateway): Shared<Arc<Gateway>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let response = gateway.at_the_edge(parts, body, |visitor, parts, body| gateway.mcp(visitor, parts, body)).await;
    gateway.metrics.request(Surface::Mcp, response.status());
    response
}

async fn oauth_document(Shared(gateway): Shared<Arc<Gateway>>, request: Request) -> Response {
    let response = gateway.oauth_document(request.into_parts().0).await;
    gateway.metrics.request(Surface::Oauth, response.status());
    response
}

async fn sse_stream(Shared(gateway): Shared<Arc<Gateway>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let response = gateway.at_the_edge(parts, body, |visitor, parts, _| gateway.sse_open(visitor, parts)).await;
    gateway.metrics.request(Surface::McpSse, response.status());
    response
}

async fn sse_messages(Shared(gateway): Shared<Arc<Gateway>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let response = gateway.at_the_edge(parts, body, |visitor, parts, body| gateway.sse_message(visitor, parts, body)).await;
    gateway.metrics.request(Surface::McpSse, response.status());
    response
}
