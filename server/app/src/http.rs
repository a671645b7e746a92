//! ocore as a client of itself: for the health check and the demonstration. Ways to instances are the backends' alone.
use std::time::Duration;

use crate::failure::{Failure, Result};

/// A client that follows no redirects and no proxy settings: it talks to a server of ours.
pub fn client() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|e| Failure::because("The HTTP client could not be made", &e))
}

/// The URL at which a server on this machine answers that listens there; "all addresses" are reached by loopback.
pub fn local(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "80"));
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    format!("http://{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_by_loopback() {
        assert_eq!(local("0.0.0.0:8321"), "http://127.0.0.1:8321");
        assert_eq!(local("[::]:1"), "http://[::1]:1");
        assert_eq!(local("10.0.0.1:80"), "http://10.0.0.1:80");
    }
}
