//! Redirect URIs: which may be registered, which of them a request means, and what is sent there.
//!
//! A wrong redirect hands the code to somebody else, so comparison is of texts (RFC 9700 section 2.1, OAuth 2.1 section 2.3.1) and
//! registration takes only texts that every URL parser reads alike. The one exception is the port on a loopback address, which native
//! clients choose when they start (RFC 8252 section 7.3); hosts also use `localhost` so, against that section's advice.
use url::{Url, form_urlencoded};

use crate::oauth::error::{Code, OauthError, Result, shown};
use kernel::{ExposeSecret as _, SecretString};

/// The longest redirect URI, in bytes.
pub const LONGEST: usize = 2_000;
/// The longest `state` that is given back, in bytes.
pub const LONGEST_STATE: usize = 4_096;
/// Parameters of the response: a registered query that has one would make the answer ambiguous.
const OURS: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];
/// Never taken as custom schemes, whatever the operator lists: browsers act on them, or they have rules of their own here.
const BARRED: [&str; 16] = [
    "http",
    "https",
    "javascript",
    "data",
    "file",
    "vbscript",
    "about",
    "blob",
    "filesystem",
    "view-source",
    "ws",
    "wss",
    "ftp",
    "intent",
    "mailto",
    "tel",
];

/// Why a text cannot be a redirect URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("it is longer than 2000 bytes; register a shorter one and keep what varies in state")]
    TooLong,
    #[error(
        "it holds a character that URIs have not, or % without two hexadecimal digits; write it in plain ASCII, the host in punycode"
    )]
    Character,
    #[error("it is no absolute URI; write scheme, host and path, like https://app.example.com/callback")]
    NotAbsolute,
    #[error("it has a fragment (#), which RFC 6749 section 3.1.2 bars; leave it out")]
    Fragment,
    #[error("it has a user name or an @ before the host; leave it out")]
    UserInfo,
    #[error("http is taken for localhost, 127.0.0.1 and [::1] alone; use https")]
    HttpOffLoopback,
    #[error("its host is no plain host name; use lower-case letters, digits, hyphens and dots, without a dot at the end")]
    Host,
    #[error("port 0 is no port; leave it out, any port of a loopback address is taken")]
    Port,
    #[error("it is not in normal form; write {0}")]
    NotNormal(String),
    #[error("its path holds percent-encoded characters; use a plain path")]
    EncodedPath,
    #[error("its query has the parameter {0}, which the response uses; rename it")]
    Reserved(&'static str),
    #[error(
        "the scheme of {0} is not one that this server lists; use https or a loopback address, or ask the operator to list it"
    )]
    UnlistedScheme(String),
    #[error(
        "a URI of a custom scheme must be scheme://name/path of letters, digits, dots, hyphens and underscores, without query"
    )]
    CustomForm,
}

/// The custom schemes of native applications that may be redirected to. A list, because any program can claim any scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schemes(Vec<(String, Option<String>)>);
impl Schemes {
    /// Those of clients that are known to need one: Cursor with its own authority, VS Code with any of its extensions.
    pub fn known() -> Self {
        let own = |s: &str| s.to_owned();
        Self(vec![(own("cursor"), Some(own("anysphere.cursor-mcp"))), (own("vscode"), None), (own("vscode-insiders"), None)])
    }
    /// Adds what the operator lists: `scheme://` with any authority, or `scheme://authority`. None where the text is neither, or the
    /// scheme is one that browsers or ocore treat otherwise.
    #[must_use]
    pub fn with(mut self, text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let formed = scheme
            .bytes()
            .enumerate()
            .all(|(n, b)| b.is_ascii_lowercase() || (n > 0 && (b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'))));
        if scheme.is_empty() || !formed || BARRED.contains(&scheme) || !(authority.is_empty() || plain(authority)) {
            return None;
        }
        self.0.push((scheme.to_owned(), (!authority.is_empty()).then(|| authority.to_owned())));
        Some(self)
    }
    fn allows(&self, scheme: &str, authority: &str) -> bool {
        self.0.iter().any(|(s, a)| s == scheme && a.as_ref().is_none_or(|a| a == authority))
    }
}

/// Where the browser goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A site; the whole text counts.
    Https,
    /// A program on the same machine as the browser; the port is free.
    Loopback,
    /// A program that claims a listed scheme.
    Custom,
}

/// A redirect URI that passed [`RedirectUri::parse`]. Equal when the texts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    kind: Kind,
    /// For people: the host, with a port that is not the scheme's own. In punycode, never decoded.
    host: String,
    /// What two URIs have in common that differ in the port alone; of loopback ones.
    without_port: Option<String>,
}
impl RedirectUri {
    /// # Errors
    /// The first [`Flaw`] found; [`Flaw::UnlistedScheme`] only where nothing else is wrong with the scheme's form.
    pub fn parse(text: &str, schemes: &Schemes) -> std::result::Result<Self, Flaw> {
        if text.len() > LONGEST {
            return Err(Flaw::TooLong);
        }
        if text.contains('#') {
            return Err(Flaw::Fragment);
        }
        if !uri_characters(text) {
            return Err(Flaw::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(Flaw::NotAbsolute)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end).ok_or(Flaw::NotAbsolute)?;
        if authority.contains('@') {
            return Err(Flaw::UserInfo);
        }
        match scheme {
            "https" | "http" => Self::web(text, authority, tail),
            _ => Self::custom(text, scheme, authority, tail, schemes),
        }
    }

    fn web(text: &str, authority: &str, tail: &str) -> std::result::Result<Self, Flaw> {
        let url = Url::parse(text).map_err(|_| Flaw::NotAbsolute)?;
        let host = url.host_str().ok_or(Flaw::NotAbsolute)?;
        let named = host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        let bracketed = matches!(url.host(), Some(url::Host::Ipv6(_)));
        if !(named || bracketed) || host.ends_with('.') {
            return Err(Flaw::Host);
        }
        let (path, query) = tail.split_once('?').map_or((tail, None), |(p, q)| (p, Some(q)));
        if path.contains('%') {
            return Err(Flaw::EncodedPath);
        }
        // Upper case, default ports, dot segments, other spellings of an address: whatever a parser would change.
        if url.as_str() != text && !(path.is_empty() && query.is_none() && url.as_str().strip_suffix('/') == Some(text)) {
            return Err(Flaw::NotNormal(url.into()));
        }
        if url.port() == Some(0) {
            return Err(Flaw::Port);
        }
        if let Some(name) = query.and_then(|q| form_urlencoded::parse(q.as_bytes()).find_map(|(n, _)| ours(&n))) {
            return Err(Flaw::Reserved(name));
        }
        if url.scheme() == "https" {
            return Ok(Self { text: text.to_owned(), kind: Kind::Https, host: authority.to_owned(), without_port: None });
        }
        if !matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            return Err(Flaw::HttpOffLoopback);
        }
        let query = query.map(|q| format!("?{q}")).unwrap_or_default();
        let without_port = Some(format!("{host}{}{query}", url.path()));
        Ok(Self { text: text.to_owned(), kind: Kind::Loopback, host: authority.to_owned(), without_port })
    }

    fn custom(text: &str, scheme: &str, authority: &str, tail: &str, schemes: &Schemes) -> std::result::Result<Self, Flaw> {
        let segments = tail.strip_prefix('/').unwrap_or(tail).split('/');
        let safe = |s: &str| s.is_empty() || (plain(s) && s != "." && s != "..");
        let named = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !named || !plain(authority) || tail.contains("//") || !segments.into_iter().all(safe) {
            return Err(Flaw::CustomForm);
        }
        if !schemes.allows(scheme, authority) {
            return Err(Flaw::UnlistedScheme(format!("{scheme}://{authority}")));
        }
        let host = format!("{scheme}://{authority}");
        Ok(Self { text: text.to_owned(), kind: Kind::Custom, host, without_port: None })
    }

    /// The text to the letter.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// Where the browser goes with it.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// What the consent page shows: `app.example.com`, `localhost:8787`, `cursor://anysphere.cursor-mcp`.
    pub fn host(&self) -> &str {
        &self.host
    }
    /// Whether `self`, registered, is meant by `asked`.
    pub fn covers(&self, asked: &Self) -> bool {
        self.text == asked.text || (self.without_port.is_some() && self.without_port == asked.without_port)
    }
    /// The text that two registrations of the same client have in common: without the port of a loopback address.
    pub fn fingerprint(&self) -> &str {
        self.without_port.as_deref().unwrap_or(&self.text)
    }
}

/// The redirect URI that an authorization request means: one of the registered, with the request's own port on loopback. It may be left
/// out only where the client has exactly one and its port is not free (OAuth 2.1 section 4.1.1).
///
/// # Errors
/// `invalid_request`. It must be shown to the person and never be sent to any redirect URI (RFC 6749 section 4.1.2.1).
pub fn find(registered: &[RedirectUri], asked: Option<&str>, schemes: &Schemes) -> Result<RedirectUri> {
    let refuse = |what: String| OauthError::new(Code::InvalidRequest, what);
    let Some(asked) = asked else {
        return match registered {
            [one] if one.kind != Kind::Loopback => Ok(one.clone()),
            _ => Err(refuse("redirect_uri is missing. Send the one of the client's registered URIs that is meant.".to_owned())),
        };
    };
    let parsed = RedirectUri::parse(asked, schemes)
        .map_err(|flaw| refuse(format!("redirect_uri '{}' cannot be used: {flaw}.", shown(asked))))?;
    if registered.iter().any(|r| r.covers(&parsed)) {
        return Ok(parsed);
    }
    Err(refuse(format!(
        "redirect_uri '{}' is not registered for this client. It must equal a registered one to the letter; only the port of localhost, 127.0.0.1 and [::1] is free. Register it, or send one that is.",
        shown(asked)
    )))
}

/// What the authorization endpoint answers with.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// Consent was given.
    Code(&'a SecretString),
    /// It was not, or the request is wrong.
    Error(&'a OauthError),
}

/// The URL to send the browser to (RFC 6749 sections 4.1.2 and 4.1.2.1). `issuer` goes into every answer, errors included, so that a
/// client that talks to several servers cannot be led to mix them up (RFC 9207). `state` is given back as it came.
pub fn respond(to: &RedirectUri, issuer: &str, state: Option<&str>, outcome: Outcome<'_>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    match outcome {
        Outcome::Code(code) => {
            query.append_pair("code", code.expose_secret());
        }
        Outcome::Error(error) => {
            query.append_pair("error", error.code().as_str()).append_pair("error_description", error.description());
        }
    }
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", issuer);
    let separator = match to.text.split_once('?') {
        None => "?",
        Some((_, before)) if before.is_empty() || before.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{}{separator}{}", to.text, query.finish())
}

/// Refuses a `state` that is too long to give back. Every byte is taken: it is encoded on the way back.
///
/// # Errors
/// `invalid_request`, to be sent to the redirect URI without the state.
pub fn state(text: Option<&str>) -> Result<Option<&str>> {
    if text.is_some_and(|s| s.len() > LONGEST_STATE) {
        return Err(OauthError::new(
            Code::InvalidRequest,
            "state is longer than 4096 bytes. Keep the data and send a reference to it.",
        ));
    }
    Ok(text)
}

fn ours(name: &str) -> Option<&'static str> {
    OURS.into_iter().find(|o| *o == name)
}

/// A name in a custom scheme's URI.
fn plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// RFC 3986's characters but `#`, and `%` only before two hexadecimal digits that make no control character.
fn uri_characters(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => (high << 4 | low) >= 0x20 && (high << 4 | low) != 0x7f,
                _ => false,
            },
            other => other.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(&other),
        };
        if !fine {
            return false;
        }
    }
    true
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> std::result::Result<RedirectUri, Flaw> {
        RedirectUri::parse(text, &Schemes::known())
    }
    fn registered(texts: &[&str]) -> Vec<RedirectUri> {
        texts.iter().map(|t| parse(t).unwrap_or_else(|flaw| panic!("{t}: {flaw}"))).collect()
    }
    fn found(texts: &[&str], asked: &str) -> bool {
        find(&registered(texts), Some(asked), &Schemes::known()).is_ok()
    }

    #[test]
    fn what_known_clients_register_is_taken() {
        for (text, kind, host) in [
            ("https://claude.ai/api/mcp/auth_callback", Kind::Https, "claude.ai"),
            ("https://claude.com/api/mcp/auth_callback", Kind::Https, "claude.com"),
            ("http://localhost/callback", Kind::Loopback, "localhost"),
            ("http://127.0.0.1/callback", Kind::Loopback, "127.0.0.1"),
            ("https://chatgpt.com/connector_platform_oauth_redirect", Kind::Https, "chatgpt.com"),
            ("https://chatgpt.com/connector/oauth/IbUR3zxyNQ16", Kind::Https, "chatgpt.com"),
            ("http://127.0.0.1:1455/callback/Zm9vYmFyYmF6", Kind::Loopback, "127.0.0.1:1455"),
            ("cursor://anysphere.cursor-mcp/oauth/callback", Kind::Custom, "cursor://anysphere.cursor-mcp"),
            ("https://www.cursor.com/agents/mcp/oauth/callback", Kind::Https, "www.cursor.com"),
            ("http://localhost:8787/callback", Kind::Loopback, "localhost:8787"),
            ("http://127.0.0.1:33418/", Kind::Loopback, "127.0.0.1:33418"),
            ("http://127.0.0.1/", Kind::Loopback, "127.0.0.1"),
            ("http://127.0.0.1:33418", Kind::Loopback, "127.0.0.1:33418"),
            ("https://vscode.dev/redirect", Kind::Https, "vscode.dev"),
            ("https://insiders.vscode.dev/redirect", Kind::Https, "insiders.vscode.dev"),
            ("http://localhost:7777/oauth/callback", Kind::Loopback, "localhost:7777"),
            ("http://localhost:6274/oauth/callback/debug", Kind::Loopback, "localhost:6274"),
            ("http://[::1]:4000/cb", Kind::Loopback, "[::1]:4000"),
            ("https://app.example.com:8443/cb?tenant=a%20b", Kind::Https, "app.example.com:8443"),
            ("https://xn--mnchen-3ya.example/cb", Kind::Https, "xn--mnchen-3ya.example"),
            ("https://example.com", Kind::Https, "example.com"),
        ] {
            let uri = parse(text).unwrap_or_else(|flaw| panic!("{text}: {flaw}"));
            assert_eq!((uri.kind(), uri.host(), uri.as_str()), (kind, host, text));
        }
    }

    #[test]
    fn hostile_and_ambiguous_texts_cannot_be_registered() {
        for text in [
            "",
            "callback",
            "/callback",
            "//example.com/cb",
            "https:/example.com/cb",
            "https:example.com/cb",
            "https:///cb",
            "https://",
            "http://example.com/cb",
            "http://192.168.0.7:8080/cb",
            "http://localhost.example.com/cb",
            "http://127.0.0.1.example.com/cb",
            "http://127.0.0.2/cb",
            "http://127.1/cb",
            "http://2130706433/cb",
            "http://0x7f000001/cb",
            "http://0/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://[0:0:0:0:0:0:0:1]/cb",
            "http://localhost./cb",
            "http://LOCALHOST/cb",
            "http://localhost:0/cb",
            "http://localhost:99999/cb",
            "http://localhost:/cb",
            "http://localhost:080/cb",
            "http://localhost:80/cb",
            "http://localhost@example.com/cb",
            "https://user@example.com/cb",
            "https://user:pass@example.com/cb",
            "https://example.com@evil.example/cb",
            "https://example.com/cb#fragment",
            "https://example.com/cb#",
            "https://example.com/a/../cb",
            "https://example.com/./cb",
            "https://example.com/%2e%2e/cb",
            "https://example.com/a%2fcb",
            "https://example.com/%63b",
            "https://ex%61mple.com/cb",
            "https://EXAMPLE.com/cb",
            "HTTPS://example.com/cb",
            "https://example.com:443/cb",
            "https://example.com./cb",
            "https://*.example.com/cb",
            "https://exa_mple.com/cb",
            "https://münchen.example/cb",
            "https://example。com/cb",
            "https://xn--a/cb",
            "https://example.com\\@evil.example/cb",
            "https://example.com/cb\r\nSet-Cookie: a=b",
            "https://example.com/cb\0",
            "https://example.com/cb\t",
            " https://example.com/cb",
            "https://example.com/c b",
            "https://example.com/cb?a=%0d%0aX:%20y",
            "https://example.com/cb?a=%zz",
            "https://example.com/cb?a=%4",
            "https://example.com/cb?code=1",
            "https://example.com/cb?x=1&state=2",
            "https://example.com/cb?%63ode=1",
            "https://example.com?x=1",
            "javascript://example.com/%0aalert(1)",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "cursor://evil/oauth/callback",
            "cursor://anysphere.cursor-mcp.evil/oauth/callback",
            "cursor://anysphere.cursor-mcp@evil/oauth/callback",
            "cursor://anysphere.cursor-mcp/../callback",
            "cursor://anysphere.cursor-mcp//callback",
            "cursor://anysphere.cursor-mcp/cb?x=1",
            "cursor:/anysphere.cursor-mcp/cb",
            "CURSOR://anysphere.cursor-mcp/oauth/callback",
            "cursors://anysphere.cursor-mcp/oauth/callback",
            "com.evil.app://x/callback",
            "://x/y",
            &format!("https://example.com/{}", "a".repeat(LONGEST)),
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn near_misses_are_refused_at_authorization() {
        let own = ["https://app.example.com/cb", "https://app.example.com:8443/cb2?x=1", "http://localhost:8787/callback"];
        for good in ["https://app.example.com/cb", "https://app.example.com:8443/cb2?x=1", "http://localhost:8787/callback"] {
            assert!(found(&own, good), "{good}");
        }
        for bad in [
            "https://app.example.com/cb/",
            "https://app.example.com/cb/x",
            "https://app.example.com/cb2",
            "https://app.example.com/c",
            "https://app.example.com/",
            "https://app.example.com",
            "https://app.example.com/CB",
            "https://app.example.com/cb?x=1",
            "https://app.example.com/cb?",
            "https://app.example.com/cb#x",
            "https://app.example.com/cb%20",
            "https://app.example.com/%63b",
            "https://app.example.com/x/../cb",
            "https://app.example.com/cb;x",
            "https://app.example.com:443/cb",
            "https://app.example.com:8443/cb",
            "https://app.example.com:8444/cb2?x=1",
            "https://app.example.com:8443/cb2?x=1&y=2",
            "https://app.example.com:8443/cb2?x=2",
            "https://app.example.com.evil.example/cb",
            "https://app.example.com@evil.example/cb",
            "https://evil.example/https://app.example.com/cb",
            "https://APP.example.com/cb",
            "https://app.example.com./cb",
            "https://xn--app-example-com.example/cb",
            "https://аpp.example.com/cb",
            "http://app.example.com/cb",
            "https://sub.app.example.com/cb",
            "https://example.com/cb",
            "http://127.0.0.1:8787/callback",
            "http://[::1]:8787/callback",
            "https://localhost:8787/callback",
            "http://localhost:8787/callback/",
            "http://localhost:8787/callback/x",
            "http://localhost:8787/callback?x",
            "http://localhost.:8787/callback",
            "http://localhost:8787@evil.example/callback",
            "http://localhost.evil.example:8787/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "",
        ] {
            assert!(!found(&own, bad), "{bad}");
        }
    }

    #[test]
    fn any_port_on_loopback_and_nowhere_else() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            for of in ["", ":33418"] {
                let own = [&*format!("http://{host}{of}/callback")];
                for port in ["", ":1", ":8080", ":49152", ":65535"] {
                    assert!(found(&own, &format!("http://{host}{port}/callback")), "{host}{of} {port}");
                }
                assert!(!found(&own, &format!("http://{host}:65536/callback")));
                assert!(!found(&own, &format!("http://{host}:1/callback/zQ")));
                for other in ["localhost", "127.0.0.1", "[::1]"].into_iter().filter(|o| *o != host) {
                    assert!(!found(&own, &format!("http://{other}:33418/callback")), "{host} {other}");
                }
            }
        }
        assert!(found(&["http://127.0.0.1/"], "http://127.0.0.1:33418"), "no path is the path /");
        assert!(found(&["http://127.0.0.1:33418"], "http://127.0.0.1:5000/"));
        assert!(!found(&["https://localhost/callback"], "https://localhost:8443/callback"), "https has its port");
        // The port that was asked for is the one that is answered to.
        let uri = find(&registered(&["http://localhost/callback"]), Some("http://localhost:51234/callback"), &Schemes::known())
            .unwrap();
        assert_eq!(uri.as_str(), "http://localhost:51234/callback");
    }

    #[test]
    fn the_uri_may_be_left_out_only_where_nothing_is_open() {
        let find = |texts: &[&str]| super::find(&registered(texts), None, &Schemes::known());
        assert_eq!(find(&["https://a.example/cb"]).unwrap().as_str(), "https://a.example/cb");
        assert!(find(&["http://localhost/cb"]).is_err());
        assert!(find(&["https://a.example/cb", "https://a.example/cb2"]).is_err());
        assert!(find(&[]).is_err());
    }

    #[test]
    fn operators_list_schemes_but_never_dangerous_ones() {
        let schemes = Schemes::known().with("zed://").unwrap().with("com.example.app://oauth").unwrap();
        for good in ["zed://x/cb", "com.example.app://oauth/cb", "com.example.app://oauth"] {
            assert!(RedirectUri::parse(good, &schemes).is_ok(), "{good}");
        }
        assert_eq!(
            RedirectUri::parse("com.example.app://other/cb", &schemes),
            Err(Flaw::UnlistedScheme("com.example.app://other".into()))
        );
        for bad in [
            "javascript://",
            "https://",
            "http://x",
            "data://",
            "file://",
            "zed",
            "zed:/",
            "Zed://",
            "1a://",
            "://",
            "a b://",
            "zed://a/b",
        ] {
            assert!(Schemes::known().with(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn answers_carry_code_state_and_issuer_once_and_nothing_else() {
        let schemes = Schemes::known();
        let code = SecretString::from("occ_abc");
        for (to, begins) in [
            ("https://a.example/cb", "https://a.example/cb?code="),
            ("https://a.example/cb?x=1", "https://a.example/cb?x=1&code="),
            ("https://a.example/cb?", "https://a.example/cb?code="),
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback?code="),
            ("http://127.0.0.1:33418", "http://127.0.0.1:33418?code="),
        ] {
            let to = RedirectUri::parse(to, &schemes).unwrap();
            let text = respond(&to, "https://ocore.example", Some("a b&c=d\r\n#"), Outcome::Code(&code));
            assert!(text.starts_with(begins), "{text}");
            let url = Url::parse(&text).unwrap();
            let pairs: Vec<_> =
                url.query_pairs().filter(|(n, _)| n != "x").map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            let meant = [("code", "occ_abc"), ("state", "a b&c=d\r\n#"), ("iss", "https://ocore.example")];
            assert_eq!(pairs, meant.map(|(n, v)| (n.to_owned(), v.to_owned())));
            assert!(!text.contains(['\r', '\n', '#', ' ']));
        }
        let to = RedirectUri::parse("https://a.example/cb", &schemes).unwrap();
        let denied = OauthError::new(Code::AccessDenied, "The person said no.");
        assert_eq!(
            respond(&to, "https://ocore.example", None, Outcome::Error(&denied)),
            "https://a.example/cb?error=access_denied&error_description=The+person+said+no.&iss=https%3A%2F%2Focore.example"
        );
    }

    #[test]
    fn a_state_that_is_too_long_is_refused() {
        assert!(state(Some(&"x".repeat(LONGEST_STATE))).is_ok() && state(None).is_ok());
        assert_eq!(state(Some(&"x".repeat(LONGEST_STATE + 1))).unwrap_err().code(), Code::InvalidRequest);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_passes_is_read_alike_by_a_url_parser(text in "(https?|cursor|vscode)://[ -~äа\\\\]{0,40}") {
            if let Ok(uri) = parse(&text) {
                prop_assert_eq!(uri.as_str(), &text);
                let url = Url::parse(&text).unwrap();
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
                if uri.kind() == Kind::Loopback {
                    prop_assert!(matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")));
                }
            }
        }

        #[test]
        fn off_loopback_only_the_same_text_is_found(a in "/[a-c/]{0,4}", b in "/[a-c/]{0,4}", port in 1_u16.., other in 1_u16..) {
            let one = format!("https://a.example:{port}{a}");
            let two = format!("https://a.example:{other}{b}");
            prop_assume!(port != 443 && other != 443);
            prop_assert_eq!(found(&[&one], &two), one == two);
        }

        #[test]
        fn on_loopback_only_the_port_is_free(a in "/[a-c]{0,3}", b in "/[a-c]{0,3}", port in 1_u16.., other in 1_u16..) {
            prop_assume!(port != 80 && other != 80);
            let (one, two) = (format!("http://127.0.0.1:{port}{a}"), format!("http://127.0.0.1:{other}{b}"));
            prop_assert_eq!(found(&[&one], &two), a == b);
        }

        #[test]
        fn a_state_comes_back_as_it_went(state in ".{0,60}") {
            let to = parse("https://a.example/cb?keep=1").unwrap();
            let url = Url::parse(&respond(&to, "https://i.example", Some(&state), Outcome::Code(&SecretString::from("c")))).unwrap();
            let states: Vec<_> = url.query_pairs().filter(|(n, _)| n == "state").collect();
            prop_assert_eq!(states.len(), 1);
            prop_assert_eq!(&*states[0].1, state.as_str());
            prop_assert_eq!(url.host_str(), Some("a.example"));
        }
    }
}
