//! Serves every page in every state with made-up data: `cargo run --example serve_samples [PORT]`, then open the address it prints.
#![allow(clippy::print_stdout, reason = "says where it listens")]
mod samples;

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8787".to_owned());
    let app = Router::new().route("/", get(index)).route("/sample/{name}", get(sample)).route("/static/{name}", get(asset));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn page(html: String) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

async fn index() -> Response {
    let list: String = samples::all().iter().map(|(name, _)| format!("<li><a href=\"/sample/{name}\">{name}</a></li>")).collect();
    page(format!("<!doctype html><html lang=en><title>Samples</title><h1>Samples</h1><ul>{list}</ul>"))
}

async fn sample(Path(name): Path<String>) -> Response {
    match samples::all().into_iter().find(|(known, _)| known == &name) {
        Some((_, html)) => page(html),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn asset(uri: Uri) -> Response {
    match web::assets::at(uri.path()) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.content_type),
                (header::ETAG, asset.etag.as_str()),
                (header::CACHE_CONTROL, web::assets::CACHE_CONTROL),
            ],
            asset.bytes,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
