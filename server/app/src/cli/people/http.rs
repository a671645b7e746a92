//! HTTP to an ocore: no redirects (a token must not be carried elsewhere), bounded answers, errors that tell whether anything was sent.
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::{address::Address, plain};
use crate::failure::{Exit, Failure};

/// The most of a document that is read (discovery, tokens).
const DOCUMENT: usize = 256 * 1024;
/// The most of an answer to a call: a list of ten thousand tools has 7 MB.
pub const ANSWER: usize = 64 * 1024 * 1024;
/// No byte for so long means that nobody is there any more: calls end within two minutes, and streams say every 15 seconds that they live.
const SILENCE: Duration = Duration::from_secs(150);

/// What can go wrong before there is an answer to look at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was sent.
    #[error("{url} cannot be reached")]
    Connect {
        url: String,
        #[source]
        cause: reqwest::Error,
    },
    /// Something may have been sent, and no answer came.
    #[error("{url} gave no answer")]
    Lost {
        url: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("the answer of {url} is larger than {limit} bytes")]
    TooLarge { url: String, limit: usize },
    /// It is not what the protocol says.
    #[error("{url} answered something that is not understood: {what}")]
    Strange { url: String, what: String },
}
impl Error {
    /// Whether the server cannot have acted on it.
    pub fn not_sent(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }
    /// Whether trying again may help.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Lost { .. })
    }
}
/// With the innermost cause alone: what the libraries between say of it helps nobody.
fn told(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let (what, why) = (error.to_string(), innermost.to_string());
    if what == why { what } else { format!("{what}: {why}") }
}
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = plain::line(&told(&error));
        match error {
            Error::Connect { .. } => Self::new(Exit::Failed, "unreachable", format!("{text}."))
                .next("Check the address and the network, and that the server runs."),
            Error::Lost { .. } => Self::new(Exit::Failed, "unreachable", format!("{text}.")).next("Try again later."),
            Error::TooLarge { .. } => Self::new(Exit::Failed, "too_large", format!("{text}.")),
            Error::Strange { .. } => Self::failed(format!("{text}.")).next("Check that this is the address of an ocore."),
        }
    }
}

/// A client for that server. Proxies of the environment are used, but not for this machine.
///
/// # Errors
/// When the system's certificates cannot be read.
pub fn client(address: &Address) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .user_agent(concat!("ocore-cli/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(SILENCE);
    if address.is_loopback() {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|e| Failure::because("The HTTP client could not be made", &e))
}

/// Sends a request. `url` is for the error.
pub async fn send(request: RequestBuilder, url: &str) -> Result<Response, Error> {
    let response = request.send().await.map_err(|e| {
        // The URL stands in the message already.
        let cause = e.without_url();
        if cause.is_connect() || cause.is_builder() {
            Error::Connect { url: url.to_owned(), cause }
        } else {
            Error::Lost { url: url.to_owned(), cause }
        }
    })?;
    if response.status().is_redirection() {
        let what = format!("a redirect ({}), and a login does not follow those", response.status().as_u16());
        return Err(Error::Strange { url: url.to_owned(), what });
    }
    Ok(response)
}

/// The body, which must not be larger than `limit`.
pub async fn body(response: Response, url: &str, limit: usize) -> Result<Vec<u8>, Error> {
    let mut chunks = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|e| Error::Lost { url: url.to_owned(), cause: e.without_url() })?;
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { url: url.to_owned(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A small JSON document, with its status.
pub async fn document<T: DeserializeOwned>(request: RequestBuilder, url: &str) -> Result<(StatusCode, Option<T>), Error> {
    let request = request.timeout(Duration::from_secs(30));
    let response = send(request, url).await?;
    let status = response.status();
    let body = body(response, url, DOCUMENT).await?;
    match serde_json::from_slice(&body) {
        Ok(document) => Ok((status, Some(document))),
        // An error page need not be JSON.
        Err(_) if !status.is_success() => Ok((status, None)),
        // What the parser says could repeat a token.
        Err(_) => Err(Error::Strange { url: url.to_owned(), what: "it is not the JSON that belongs there".to_owned() }),
    }
}
