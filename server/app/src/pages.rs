//! What answers where: the façades, the pages of people, and the host names of instances.
use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use gateway::Gateway;
use web::{Site, Visitor, instance_pages};

use crate::wiring::Node;

/// Every URL of the server.
pub fn router(node: &Node) -> Router {
    let gateway = Arc::clone(&node.gateway);
    let pages = web::router(&node.site).layer(from_fn_with_state(Arc::clone(&gateway), with_visitor));
    let all = gateway::router(&gateway).fallback_service(pages);
    if node.site.visits.is_none() {
        return all;
    }
    // Before everything else: a path that is ours on our host is Odoo's on an instance's.
    all.layer(from_fn_with_state((gateway, Arc::clone(&node.site)), at_instances))
}

async fn with_visitor(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match gateway.visitor(&parts) {
        Ok((address, origin)) => {
            // Checked with the origin: host and prefix are those of the settings.
            let Some(public) = gateway.public(&parts) else { return StatusCode::BAD_REQUEST.into_response() };
            parts.extensions.insert(Visitor { address, origin, public });
            next.run(Request::from_parts(parts, body)).await
        }
        Err(response) => response,
    }
}

async fn at_instances(State((gateway, site)): State<(Arc<Gateway>, Arc<Site>)>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let slug = gateway::asked_host(&parts).and_then(|host| instance_pages::slug(&site, host));
    let Some(slug) = slug else { return next.run(Request::from_parts(parts, body)).await };
    let address: IpAddr = match gateway.address(&parts) {
        Ok(address) => address,
        Err(response) => return response,
    };
    Box::pin(instance_pages::answer(site, slug, address, Request::from_parts(parts, body))).await
}
