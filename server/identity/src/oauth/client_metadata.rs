//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): a client whose id is the URL of its own description.
//!
//! The fetch itself is elsewhere; here is which URLs are ids, to which addresses they may lead, what a document must say, and how long a
//! copy serves. The fetch follows no redirect (section 4), sends no cookie or credential, and asks [`public`] for each *resolved*
//! address at connect, so that a name that changes its address in between gains nothing.
use std::net::{IpAddr, Ipv4Addr};

use url::Url;

use crate::oauth::{
    error::{Code, OauthError, Result, shown},
    redirect::Schemes,
    registration::{AuthMethod, Client, Raw},
};
use kernel::{TimeDelta, Timestamp};

/// The longest URL that is taken for an id, in bytes.
const LONGEST: usize = 500;
/// The largest document, in bytes. The draft (section 6.6) advises 5 KB; some hosts list dozens of loopback ports.
pub const LARGEST: usize = 16 * 1024;
/// Seconds for the whole fetch: hosts give up on the page after ten.
pub const TIMEOUT_SECONDS: u64 = 5;

/// The methods of clients that share no secret with ocore: the draft (section 4.1) bars all others.
const METHODS: [AuthMethod; 2] = [AuthMethod::None, AuthMethod::PrivateKeyJwt];

/// A client id that is a URL (section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientUrl(String);
impl ClientUrl {
    /// Whether a client id is meant as a URL at all; others are looked up among the registered.
    pub fn looks_like(client_id: &str) -> bool {
        client_id.contains("://")
    }
    /// # Errors
    /// `invalid_client` for what the draft bars: another scheme than https, no path, dot segments, a fragment, a user; and for what
    /// ocore bars beside: a query, an address instead of a name, spellings that parsers change.
    pub fn parse(client_id: &str) -> Result<Self> {
        let refuse = |what: &str| {
            OauthError::new(
                Code::InvalidClient,
                format!("client_id '{}' is no URL of a Client ID Metadata Document: {what}.", shown(client_id)),
            )
        };
        if client_id.len() > LONGEST {
            return Err(refuse("it is longer than 500 bytes"));
        }
        if client_id.contains(['#', '?', '@', '%', '\\']) {
            return Err(refuse("it has a fragment, a query, a user or an encoded character; use scheme, host and path alone"));
        }
        let url = Url::parse(client_id).map_err(|_| refuse("it cannot be read"))?;
        if url.scheme() != "https" {
            return Err(refuse("its scheme is not https"));
        }
        if url.as_str() != client_id {
            return Err(refuse(
                "it is not in normal form; write the host in lower case, no default port, no . and .. in the path",
            ));
        }
        if url.path() == "/" {
            return Err(refuse("it has no path"));
        }
        match url.host() {
            Some(url::Host::Domain(name)) if name.contains('.') && !name.ends_with('.') && !local(name) => {
                Ok(Self(client_id.to_owned()))
            }
            _ => Err(refuse("its host is no public name")),
        }
    }
    /// The URL to the letter: the client id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// For people, beside the name that the document claims.
    pub fn host(&self) -> &str {
        self.0.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or(&self.0)
    }
}

/// Reads the body that was fetched from a client's URL.
///
/// # Errors
/// `invalid_client` where it is too large, no JSON object, names another `client_id`, holds a secret, allows neither `none` nor
/// `private_key_jwt`, or what [`Client::register`] would refuse. It is not cached then (section 4.4).
pub fn read(url: &ClientUrl, body: &[u8], schemes: &Schemes) -> Result<Client> {
    let refuse = |what: &str| {
        OauthError::new(
            Code::InvalidClient,
            format!("The document of the client '{}' cannot be used: {what}", shown(url.as_str())),
        )
    };
    if body.len() > LARGEST {
        return Err(refuse("it is larger than 16 KB."));
    }
    let raw = Raw::read(body).map_err(|error| refuse(error.description()))?;
    // Simple string comparison (RFC 3986 section 6.2.1).
    if raw.client_id.as_deref() != Some(url.as_str()) {
        return Err(refuse("its client_id must be the URL that it is fetched from, to the letter."));
    }
    if raw.client_secret.is_some() || raw.client_secret_expires_at.is_some() {
        return Err(refuse("it holds a client_secret, which everybody can read there. Remove it."));
    }
    raw.client(schemes, &METHODS, true, url.host()).map_err(|error| refuse(error.description()))
}

/// Whether the answer to the fetch may be read at all: 200 with a JSON media type (sections 4 and 6.6).
pub fn acceptable(status: u16, content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    status == 200 && (essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")))
}

/// A copy of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cached {
    /// When it was fetched, and found good.
    pub fetched_at: Timestamp,
    /// Until then it serves without a fetch.
    pub fresh_until: Timestamp,
}

/// What to do with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Use it.
    Fresh,
    /// Fetch again; use it if that fails for reasons of the network. Some hosts answer cloud addresses with 403.
    Stale,
    /// Fetch again, and refuse the client if that fails.
    Gone,
}
impl Cached {
    /// Five minutes at least, so that nobody can make ocore fetch at each request; a day at most, so that a changed document gets through.
    const LEAST: TimeDelta = TimeDelta::minutes(5);
    const MOST: TimeDelta = TimeDelta::hours(24);
    const UNSAID: TimeDelta = TimeDelta::hours(1);
    /// After that a copy is not used even when its host cannot be reached: whoever took a client back must see it end.
    const GONE: TimeDelta = TimeDelta::days(2);
    /// After that not even for who has a consent already and refreshes: the life of a refresh token.
    const KEPT: TimeDelta = TimeDelta::days(30);

    /// A copy fetched now, with the lifetime that its `Cache-Control` gives (RFC 9111 section 5.2.2), within the bounds above.
    pub fn new(cache_control: Option<&str>, now: Timestamp) -> Self {
        let lifetime = lifetime(cache_control).unwrap_or(Self::UNSAID).clamp(Self::LEAST, Self::MOST);
        Self { fetched_at: now, fresh_until: now + lifetime }
    }
    /// Whether it may serve the refreshes of whoever has a consent while its host cannot be reached: a client that hears that it is
    /// unknown forgets what it has, and its person must consent again.
    pub fn serves_refreshes(self, now: Timestamp) -> bool {
        now < self.fetched_at + Self::KEPT
    }
    /// What to do with it now.
    pub fn age(self, now: Timestamp) -> Age {
        if now < self.fresh_until && now >= self.fetched_at - TimeDelta::minutes(1) {
            Age::Fresh
        } else if now < self.fetched_at + Self::GONE {
            Age::Stale
        } else {
            Age::Gone
        }
    }
}

/// None where nothing is said.
fn lifetime(cache_control: Option<&str>) -> Option<TimeDelta> {
    let mut found = None;
    for directive in cache_control?.split(',') {
        let (name, value) = directive.split_once('=').map_or((directive, None), |(n, v)| (n, Some(v)));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(TimeDelta::zero()),
            "max-age" => {
                let seconds = value.map(|v| v.trim().trim_matches('"')).and_then(|v| v.parse::<u32>().ok());
                // Unreadable means stale (RFC 9111 section 4.2.1).
                found = Some(TimeDelta::seconds(i64::from(seconds.unwrap_or(0))));
            }
            _ => {}
        }
    }
    found
}

/// Whether a document, a key set or a logo of a client may be fetched from an address: the globally reachable ones alone, by IANA's
/// special-purpose registries. The kernel's `Networks` with no network listed says the same and takes its place there.
pub fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => public_v4(v4),
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return public_v4(v4);
            }
            let [first, second, ..] = v6.segments();
            // Global unicast, without 6to4, Teredo, benchmarking, ORCHID and documentation.
            (first & 0xe000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
                && !(first == 0x3fff && second < 0x1000)
        }
    }
}

fn public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 51, 100)
            | (203, 0, 113)
            // Azure's wire server: public by number, but it answers machines with their credentials.
            | (168, 63, 129)
    );
    !special
}

/// Names that never lead to a public host (RFC 6761, RFC 6762, RFC 8375, RFC 9476).
fn local(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    matches!(last, "localhost" | "local" | "internal" | "test" | "invalid" | "onion" | "alt" | "lan" | "home" | "corp")
        || name.ends_with(".home.arpa")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth::registration::{GrantType, Keys};

    fn fetched(url: &str, body: &Value) -> Result<Client> {
        read(&ClientUrl::parse(url).unwrap(), body.to_string().as_bytes(), &Schemes::known())
    }

    #[test]
    fn the_ids_of_known_clients_are_taken() {
        for (url, host) in [
            ("https://claude.ai/oauth/mcp-oauth-client-metadata", "claude.ai"),
            ("https://claude.ai/oauth/claude-code-client-metadata", "claude.ai"),
            ("https://chatgpt.com/oauth/client.json", "chatgpt.com"),
            ("https://chatgpt.com/oauth/jKP_NLo_VszT/client.json", "chatgpt.com"),
            ("https://chatgpt.com/oauth/codex/client.json", "chatgpt.com"),
            ("https://chatgpt.com/oauth/codex/Zm9vYmFyYmF6/client.json", "chatgpt.com"),
            ("https://vscode.dev/oauth/client-metadata.json", "vscode.dev"),
            ("https://client.example.com:8443/c", "client.example.com:8443"),
        ] {
            assert!(ClientUrl::looks_like(url));
            assert_eq!(ClientUrl::parse(url).unwrap().host(), host);
        }
        assert!(!ClientUrl::looks_like("oci_abc"));
    }

    #[test]
    fn urls_that_the_draft_bars_or_that_lead_inside_are_no_ids() {
        for url in [
            "http://a.example.com/c",
            "https://a.example.com",
            "https://a.example.com/",
            "https://a.example.com/../c",
            "https://a.example.com/x/./c",
            "https://a.example.com/%2e%2e/c",
            "https://a.example.com/c#x",
            "https://a.example.com/c?x=1",
            "https://u@a.example.com/c",
            "https://u:p@a.example.com/c",
            "https://A.example.com/c",
            "https://a.example.com:443/c",
            "https://a.example.com./c",
            "https://localhost/c",
            "https://x.localhost/c",
            "https://ocore.internal/c",
            "https://printer.local/c",
            "https://nas.home.arpa/c",
            "https://intranet/c",
            "https://127.0.0.1/c",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433/c",
            "https://0x7f.1/c",
            "https://[::1]/c",
            "https://[2606:4700::1111]/c",
            "https://8.8.8.8/c",
            "https://a.example.com\\@b.example.com/c",
            "https://münchen.example.com/c",
            "https://a.example.com/c d",
            "file:///etc/passwd",
            "gopher://a.example.com/c",
            "https://",
            "://",
        ] {
            assert_eq!(ClientUrl::parse(url).unwrap_err().code(), Code::InvalidClient, "{url}");
        }
    }

    #[test]
    fn documents_of_known_clients_are_read() {
        let url = "https://chatgpt.com/oauth/client.json";
        let body = json!({"client_id": url, "client_uri": "https://chatgpt.com/", "client_name": "ChatGPT",
            "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"], "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"], "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"], "token_endpoint_auth_signing_alg": "RS256", "jwks_uri": "https://chatgpt.com/oauth/jwks.json"});
        let client = fetched(url, &body).unwrap();
        assert_eq!(client.methods, [AuthMethod::PrivateKeyJwt, AuthMethod::None]);
        assert_eq!(client.keys, Some(Keys::Uri("https://chatgpt.com/oauth/jwks.json".into())));

        // As it was in spring 2026, without the list.
        let mut older = body.clone();
        older.as_object_mut().unwrap().remove("token_endpoint_auth_methods_supported");
        assert_eq!(fetched(url, &older).unwrap().methods, [AuthMethod::PrivateKeyJwt]);

        let url = "https://claude.ai/oauth/claude-code-client-metadata";
        let body = json!({"client_id": url, "client_name": "Claude Code", "client_uri": "https://claude.ai",
            "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"], "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"], "token_endpoint_auth_method": "none"});
        let client = fetched(url, &body).unwrap();
        assert_eq!(client.methods, [AuthMethod::None]);
        assert!(
            crate::oauth::redirect::find(&client.redirect_uris, Some("http://localhost:61234/callback"), &Schemes::known())
                .is_ok()
        );

        // One document for each server that Codex connects to, with that server's callback path.
        let url = "https://chatgpt.com/oauth/codex/Zm9vYmFyYmF6/client.json";
        let body = json!({"client_id": url, "client_name": "Codex", "redirect_uris": ["http://127.0.0.1/callback/Zm9vYmFyYmF6",
            "http://localhost/callback/Zm9vYmFyYmF6"], "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "token_endpoint_auth_method": "none"});
        let client = fetched(url, &body).unwrap();
        let find = |uri: &str| crate::oauth::redirect::find(&client.redirect_uris, Some(uri), &Schemes::known());
        assert!(
            find("http://127.0.0.1:43119/callback/Zm9vYmFyYmF6").is_ok()
                && find("http://127.0.0.1:43119/callback/b3RoZXI").is_err()
        );

        let url = "https://vscode.dev/oauth/client-metadata.json";
        let body = json!({"client_id": url, "client_name": "Visual Studio Code", "redirect_uris": ["http://127.0.0.1:33418/",
            "https://vscode.dev/redirect"], "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]});
        assert!(fetched(url, &body).unwrap().grant_types.contains(&GrantType::DeviceCode));
        assert_eq!(fetched(url, &body).unwrap().methods, [AuthMethod::None], "left out means none: there is no secret");
    }

    #[test]
    fn documents_that_could_deceive_are_refused() {
        let url = "https://app.example.com/client.json";
        let good = json!({"client_id": url, "redirect_uris": ["https://app.example.com/cb"]});
        assert_eq!(fetched(url, &good).unwrap().name, "app.example.com", "nameless clients are called by their host");
        for (member, value) in [
            ("client_id", json!("https://app.example.com/client.json/")),
            ("client_id", json!("https://APP.example.com/client.json")),
            ("client_id", json!("https://evil.example.com/client.json")),
            ("client_id", json!(null)),
            ("client_id", json!([url])),
            ("client_secret", json!("s")),
            ("client_secret_expires_at", json!(0)),
            ("token_endpoint_auth_method", json!("client_secret_basic")),
            ("token_endpoint_auth_method", json!("client_secret_post")),
            ("token_endpoint_auth_method", json!("client_secret_jwt")),
            ("token_endpoint_auth_method", json!("private_key_jwt")),
            ("jwks_uri", json!("http://app.example.com/keys")),
            ("redirect_uris", json!([])),
            ("redirect_uris", json!(["http://app.example.com/cb"])),
            ("redirect_uris", json!(["https://app.example.com/cb#x"])),
            ("response_types", json!(["token"])),
            ("padding", json!("x".repeat(LARGEST))),
        ] {
            let mut body = good.clone();
            body[member] = value;
            assert_eq!(fetched(url, &body).unwrap_err().code(), Code::InvalidClient, "{member}");
        }
        for body in [json!([]), json!("x"), json!(null)] {
            assert!(fetched(url, &body).is_err());
        }
    }

    #[test]
    fn only_json_with_status_200_is_read() {
        for (status, kind, fine) in [
            (200, Some("application/json"), true),
            (200, Some("Application/JSON; charset=utf-8"), true),
            (200, Some("application/client-metadata+json"), true),
            (200, Some("text/html"), false),
            (200, Some("text/json+json"), false),
            (200, None, false),
            (301, Some("application/json"), false),
            (404, Some("application/json"), false),
            (206, Some("application/json"), false),
        ] {
            assert_eq!(acceptable(status, kind), fine, "{status} {kind:?}");
        }
    }

    #[test]
    fn copies_live_between_five_minutes_and_a_day() {
        let now = Timestamp::UNIX_EPOCH;
        for (header, minutes) in [
            (None, 60),
            (Some(""), 60),
            (Some("public"), 60),
            (Some("max-age=600"), 10),
            (Some("public, Max-Age=\"600\""), 10),
            (Some("max-age=0"), 5),
            (Some("no-store"), 5),
            (Some("max-age=99999, no-cache"), 5),
            (Some("max-age=99999999"), 24 * 60),
            (Some("max-age=-1"), 5),
            (Some("max-age=abc"), 5),
            (Some("max-age=99999999999999999999"), 5),
            (Some("max-age"), 5),
        ] {
            assert_eq!(Cached::new(header, now).fresh_until - now, TimeDelta::minutes(minutes), "{header:?}");
        }
        let copy = Cached::new(None, now);
        for (minutes, age) in
            [(0, Age::Fresh), (59, Age::Fresh), (60, Age::Stale), (2 * 24 * 60 - 1, Age::Stale), (2 * 24 * 60, Age::Gone)]
        {
            assert_eq!(copy.age(now + TimeDelta::minutes(minutes)), age, "{minutes}");
        }
        assert_eq!(copy.age(now - TimeDelta::hours(1)), Age::Stale, "a clock that was set back");
    }

    #[test]
    fn only_public_addresses_are_fetched_from() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2001:10::1",
            "2001:20::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(bad.parse().unwrap()), "{bad}");
        }
        for good in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "160.79.104.1",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2a00::1",
            "2001:4860::8888",
        ] {
            assert!(public(good.parse().unwrap()), "{good}");
        }
    }

    proptest! {
        #[test]
        fn what_is_private_in_ipv4_is_private_when_mapped(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(public(v4.into()), public(v4.to_ipv6_mapped().into()));
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_documentation() || v4.is_broadcast() {
                prop_assert!(!public(v4.into()));
            }
        }

        #[test]
        fn no_text_makes_parsing_panic_and_ids_are_plain(text in "https://[ -~ä]{0,40}") {
            if let Ok(id) = ClientUrl::parse(&text) {
                let url = Url::parse(id.as_str()).unwrap();
                prop_assert_eq!(url.as_str(), &text);
                prop_assert!(matches!(url.host(), Some(url::Host::Domain(_))) && url.query().is_none() && url.fragment().is_none());
            }
        }

        #[test]
        fn no_body_makes_reading_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(read(&ClientUrl::parse("https://a.example.com/c").unwrap(), &body, &Schemes::known()).is_err());
        }

        #[test]
        fn no_header_makes_a_copy_immortal(header in ".{0,40}") {
            let now = Timestamp::UNIX_EPOCH;
            let copy = Cached::new(Some(&header), now);
            prop_assert!((TimeDelta::minutes(5)..=TimeDelta::hours(24)).contains(&(copy.fresh_until - now)));
        }
    }
}
