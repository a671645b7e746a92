//! Serves every page in every state with made-up data: `cargo run -p web --example serve_samples [PORT]`, then open the
//! address that it prints. Port 0 takes any.
#![allow(clippy::print_stdout, reason = "says where it listens")]
#[path = "../tests/samples/mod.rs"]
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
    let app = Router::new()
        .route("/", get(index))
        .route("/sample/{name}", get(sample))
        .route("/static/{name}", get(asset))
        .fallback(echo);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn page(html: String) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// A page with one mistake of each kind that the check looks for; it must find them all.
const BROKEN: &str = "<!doctype html><html lang=en><title>Broken</title><main><h1>Broken</h1><p><font color=\"#bbbbbb\">Faint</font>\
<p style=\"color: red\">Styled</p><hr width=\"2000\"><img src=\"/static/none\"><button tabindex=\"-1\">Out of reach</button>\
<div class=mistakes tabindex=0>Without a ring</div><details><summary>Low</summary></details></main></html>";

async fn index() -> Response {
    let samples = samples::all();
    let list: String = samples.iter().flat_map(|(name, _)| ["<li><a href=\"/sample/", name, "\">", name, "</a></li>"]).collect();
    page(format!("<!doctype html><html lang=en><title>Samples</title><h1>Samples</h1><ul>{list}</ul>"))
}

async fn sample(Path(name): Path<String>) -> Response {
    if name == "broken" {
        return page(BROKEN.replace("<title>", &format!("<link rel=stylesheet href=\"{}\"><title>", web::assets::STYLE.path)));
    }
    match samples::all().into_iter().find(|(known, _)| known == &name) {
        Some((_, html)) => page(html),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What a form sent, for the check.
async fn echo(uri: Uri, body: String) -> String {
    format!("{uri}\n{body}")
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
