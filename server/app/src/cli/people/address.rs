//! The address of an ocore that a person types, and what may be asked of it.
use url::{Host, Url};

use crate::failure::Failure;

/// Where an ocore is: scheme, host, port and perhaps a path, without a slash at the end. `Display` is the text that people see and that
/// logins are kept under; it is the issuer of its tokens, too (RFC 8414 section 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: String,
    origin: String,
    path: String,
    loopback: bool,
}

/// Why a text is no address to log in at.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Flaw {
    #[error("that is no URL")]
    NoUrl,
    #[error("it must start with https://")]
    Scheme,
    #[error("http:// is for this machine alone: a token would cross the network in clear")]
    Clear,
    #[error("a URL with a user name or password in it is not taken: it ends up in histories and process lists")]
    Secret,
    #[error("a query or fragment does not belong there")]
    Extra,
}

impl Address {
    /// Reads `https://host[:port][/path]`, with or without `/mcp` at the end. Without a scheme, https is meant, and http for this machine.
    ///
    /// # Errors
    /// When a token could not be sent there safely, or the text is something else.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let text = text.trim();
        if text.is_empty() || text.len() > 2000 || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Flaw::NoUrl);
        }
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            let local = Url::parse(&format!("http://{text}")).is_ok_and(|url| is_loopback(&url));
            format!("{}://{text}", if local { "http" } else { "https" })
        };
        let url = Url::parse(&full).map_err(|_| Flaw::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Flaw::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Flaw::Secret);
        }
        let loopback = is_loopback(&url);
        if url.scheme() == "http" && !loopback {
            return Err(Flaw::Clear);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Flaw::Extra);
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/mcp").unwrap_or(path).trim_end_matches('/').to_owned();
        let origin = url.origin().ascii_serialization();
        Ok(Self { text: format!("{origin}{path}"), origin, path, loopback })
    }
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The resource of every token (RFC 8707), and where calls go.
    pub fn resource(&self) -> String {
        format!("{}/mcp", self.text)
    }
    /// The URL of one instance.
    pub fn instance(&self, slug: &str) -> String {
        format!("{}/mcp/i/{slug}", self.text)
    }
    /// `/.well-known/{name}` for a path below this address, inserted between host and path (RFC 8414 section 3.1, RFC 9728 section 3.1).
    pub fn well_known(&self, name: &str, path: &str) -> String {
        format!("{}/.well-known/{name}{}{path}", self.origin, self.path)
    }
    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
    /// Whether a URL that the server names is the server's own: what is sent there is sent to nobody else.
    pub fn owns(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| {
            url.origin().ascii_serialization() == self.origin && url.username().is_empty() && url.password().is_none()
        })
    }
}
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads an address that stands somewhere; a text with a secret is not repeated.
pub fn read(what: &str, text: &str) -> Result<Address, Failure> {
    Address::parse(text).map_err(|flaw| {
        let shown = if flaw == Flaw::Secret || text.contains('@') {
            String::new()
        } else {
            format!(" \"{}\"", super::plain::cut(text, 120))
        };
        Failure::usage(format!("{what}{shown} is no address of an ocore: {flaw}.")).next("Write https://ocore.example.com.")
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.eq_ignore_ascii_case("localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, meant) in [
            ("https://ocore.example", "https://ocore.example"),
            ("https://OCORE.example:443/", "https://ocore.example"),
            ("ocore.example:8443/base/mcp", "https://ocore.example:8443/base"),
            ("https://ocore.example/mcp/", "https://ocore.example"),
            ("localhost:8321", "http://localhost:8321"),
            ("http://127.0.0.1:8321/mcp", "http://127.0.0.1:8321"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            assert_eq!(Address::parse(text).unwrap().as_str(), meant, "{text}");
        }
        let base = Address::parse("https://a.example/base").unwrap();
        assert_eq!(base.resource(), "https://a.example/base/mcp");
        assert_eq!(
            base.well_known("oauth-protected-resource", "/mcp"),
            "https://a.example/.well-known/oauth-protected-resource/base/mcp"
        );
    }

    #[test]
    fn tokens_go_over_tls_or_stay_on_the_machine() {
        for text in [
            "http://ocore.example",
            "http://10.0.0.1",
            "http://127.0.0.1.nip.io",
            "http://localhost.evil.example",
            "http://0.0.0.0",
        ] {
            assert_eq!(Address::parse(text).unwrap_err(), Flaw::Clear, "{text}");
        }
        assert_eq!(Address::parse("https://u:p@a.example").unwrap_err(), Flaw::Secret);
        assert_eq!(Address::parse("https://a.example@b.example").unwrap_err(), Flaw::Secret);
        assert_eq!(Address::parse("ftp://a.example").unwrap_err(), Flaw::Scheme);
        assert_eq!(Address::parse("https://a.example/?key=x").unwrap_err(), Flaw::Extra);
        for text in ["", "https://", "a b", "https://a\u{1b}[2J"] {
            assert_eq!(Address::parse(text).unwrap_err(), Flaw::NoUrl, "{text:?}");
        }
        let failure = read("--server", "https://u:hunter2@a.example").unwrap_err();
        assert!(!failure.message.contains("hunter2"), "{failure:?}");
    }

    #[test]
    fn what_is_the_servers_own_is_told_from_what_is_not() {
        let address = Address::parse("https://a.example/base").unwrap();
        assert!(address.owns("https://a.example/token") && address.owns("https://A.example:443/x"));
        for other in [
            "https://a.example.evil/token",
            "http://a.example/token",
            "https://a.example:444/",
            "https://a.example@evil/",
            "/token",
            "https://u@a.example/",
        ] {
            assert!(!address.owns(other), "{other}");
        }
    }
}
