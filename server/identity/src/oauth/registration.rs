//! What a client says about itself: dynamic registration (RFC 7591), and the members that a Client ID Metadata Document shares with it.
//!
//! Hosts differ in what they send and fail altogether when one member is refused, so what does not matter for security is mended or left
//! out, as RFC 7591 section 2 allows; what does matter is refused with the reason. The answer tells what was registered.
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::oauth::{
    client_assertion,
    error::{Code, OauthError, Result, shown},
    opaque::Hash,
    redirect::{Flaw, RedirectUri, Schemes},
};
use kernel::{ExposeSecret as _, SecretString, TimeDelta, Timestamp};

/// The largest registration that is read, in bytes.
pub const LARGEST: usize = 32 * 1024;
/// Redirect URIs of one client.
const MOST_URIS: usize = 20;
/// Characters of a name that are kept.
const NAME: usize = 80;
/// Bytes of a link.
const LINK: usize = 1_000;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$inner:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$inner])* $variant),+ }
        impl $name {
            /// All of them.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];
            /// As on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
            /// None for words that are not known here.
            pub fn read(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|w| w.as_str() == text)
            }
        }
    };
}

words! {
    /// How a client proves at the token endpoint who it is.
    AuthMethod:
    /// A public client: PKCE alone.
    None = "none",
    ClientSecretBasic = "client_secret_basic",
    ClientSecretPost = "client_secret_post",
    /// RFC 7523 section 2.2.
    PrivateKeyJwt = "private_key_jwt",
}

words! {
    /// What a client may exchange for tokens.
    GrantType:
    AuthorizationCode = "authorization_code",
    RefreshToken = "refresh_token",
    /// RFC 8628.
    DeviceCode = "urn:ietf:params:oauth:grant-type:device_code",
}

/// Where the keys of a client's assertions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// An https URL, to be fetched through the address filter.
    Uri(String),
    /// The set itself, as JSON; checked by [`client_assertion::keys`].
    Inline(String),
}

/// A client as ocore knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// As people read it: cleaned, never empty. Nobody vouches for it; consent shows the redirect host beside it.
    pub name: String,
    /// Where codes go; may be empty for clients of the device flow alone.
    pub redirect_uris: Vec<RedirectUri>,
    /// Those that the client may use. One for registered clients; metadata documents may offer several.
    pub methods: Vec<AuthMethod>,
    /// What it may exchange for tokens.
    pub grant_types: Vec<GrantType>,
    /// Https links, each or none.
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    /// Of clients that sign.
    pub keys: Option<Keys>,
    /// As sent; a ceiling that the client gave itself, not checked here.
    pub scope: Option<String>,
    pub software_id: Option<String>,
    pub software_version: Option<String>,
    /// ocore's own command line: the one client that may ask for `admin`.
    pub own: bool,
    /// `web` or `native`. Told back, otherwise without effect: hosts get it wrong (Cursor registers loopback URIs as `web`).
    pub application_type: Option<String>,
}

/// The members that are read; all others are ignored (RFC 7591 section 2). An empty text means left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Raw {
    pub client_id: Option<String>,
    pub client_secret: Option<Value>,
    pub client_secret_expires_at: Option<Value>,
    redirect_uris: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    /// OpenID Connect RP Metadata Choices.
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    client_name: Option<String>,
    client_uri: Option<String>,
    logo_uri: Option<String>,
    policy_uri: Option<String>,
    tos_uri: Option<String>,
    scope: Option<String>,
    jwks_uri: Option<String>,
    jwks: Option<Value>,
    software_id: Option<String>,
    software_version: Option<String>,
    application_type: Option<String>,
}
impl Raw {
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        if body.len() > LARGEST {
            return Err(bad(format!("The document is larger than {LARGEST} bytes.")));
        }
        // An array would be read as the members in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(bad("The document is no JSON object."));
        }
        serde_json::from_slice(body).map_err(|error| bad(format!("The document cannot be read: {error}.")))
    }

    /// `allowed` are the methods that may be used, `whole` whether all that the client offers are kept or the one that it prefers.
    pub(crate) fn client(self, schemes: &Schemes, allowed: &[AuthMethod], whole: bool, fallback: &str) -> Result<Client> {
        let redirect_uris = redirects(self.redirect_uris.unwrap_or_default(), schemes)?;
        let methods = methods(
            self.token_endpoint_auth_method.filter(|t| !t.is_empty()),
            &self.token_endpoint_auth_methods_supported.unwrap_or_default(),
            allowed,
            whole,
        )?;
        let grant_types = grants(self.grant_types)?;
        if redirect_uris.is_empty() && grant_types.contains(&GrantType::AuthorizationCode) {
            return Err(OauthError::new(
                Code::InvalidRedirectUri,
                "redirect_uris is missing or empty. List where the browser is to go with the authorization code.",
            ));
        }
        if self.response_types.is_some_and(|types| !types.is_empty() && !types.iter().any(|t| t == "code")) {
            return Err(bad("response_types must contain code: this server answers with nothing else."));
        }
        let keys = keys(self.jwks, self.jwks_uri)?;
        if methods == [AuthMethod::PrivateKeyJwt] && keys.is_none() {
            return Err(bad("private_key_jwt wants the client's public keys: send jwks_uri (https) or jwks."));
        }
        let short = |text: Option<String>| text.map(|t| clean(&t)).filter(|t| !t.is_empty());
        Ok(Client {
            name: short(self.client_name).unwrap_or_else(|| fallback.to_owned()),
            redirect_uris,
            methods,
            grant_types,
            client_uri: self.client_uri.and_then(link),
            logo_uri: self.logo_uri.and_then(link),
            policy_uri: self.policy_uri.and_then(link),
            tos_uri: self.tos_uri.and_then(link),
            keys,
            own: false,
            scope: self.scope.filter(|s| !s.is_empty() && s.len() <= 1_000),
            software_id: short(self.software_id),
            software_version: short(self.software_version),
            application_type: self.application_type.filter(|t| t == "web" || t == "native"),
        })
    }
}

/// The id of ocore's own command line.
pub const OWN: &str = "ocore-cli";

impl Client {
    /// ocore's own command line, [`OWN`]: a public client of the device flow.
    pub fn own() -> Self {
        Self {
            name: "ocore command line".to_owned(),
            redirect_uris: Vec::new(),
            methods: vec![AuthMethod::None],
            grant_types: vec![GrantType::RefreshToken, GrantType::DeviceCode],
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            keys: None,
            scope: None,
            software_id: None,
            software_version: None,
            own: true,
            application_type: Some("native".to_owned()),
        }
    }

    /// Reads the body of a registration request.
    ///
    /// # Errors
    /// `invalid_redirect_uri` and `invalid_client_metadata` (RFC 7591 section 3.2.2).
    pub fn register(body: &[u8], schemes: &Schemes) -> Result<Self> {
        let client = Raw::read(body)?.client(schemes, &AuthMethod::ALL, false, "Unnamed client")?;
        if !client.grant_types.iter().any(|g| matches!(g, GrantType::AuthorizationCode | GrantType::DeviceCode)) {
            return Err(bad(
                "grant_types must contain authorization_code or urn:ietf:params:oauth:grant-type:device_code, or be left out.",
            ));
        }
        Ok(client)
    }

    /// What equal registrations have in common, so that a host that registers again and again is given the same id: everything that
    /// people see and everything that is checked. The port of a loopback address is neither. None for clients with a shared secret:
    /// each gets one of its own.
    pub fn fingerprint(&self) -> Option<Hash> {
        if self.methods.iter().any(|m| matches!(m, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)) {
            return None;
        }
        let uris: BTreeSet<_> = self.redirect_uris.iter().map(RedirectUri::fingerprint).collect();
        let methods: BTreeSet<_> = self.methods.iter().map(|m| m.as_str()).collect();
        let grants: BTreeSet<_> = self.grant_types.iter().map(|g| g.as_str()).collect();
        let keys = match &self.keys {
            None => Value::Null,
            Some(Keys::Uri(uri)) => json!({ "uri": uri }),
            Some(Keys::Inline(set)) => json!({ "set": set }),
        };
        let text = json!([
            self.name,
            uris,
            methods,
            grants,
            self.client_uri,
            self.logo_uri,
            self.policy_uri,
            self.tos_uri,
            keys,
            self.scope,
            self.software_id,
            self.software_version,
            self.application_type
        ]);
        Some(Sha256::digest(text.to_string().as_bytes()).into())
    }

    /// The body of a 201: the id, the secret where there is one, and what was registered (RFC 7591 section 3.2.1).
    pub fn response(&self, id: &str, secret: Option<&SecretString>, at: Timestamp) -> Value {
        let method = self.methods.first().copied().unwrap_or(AuthMethod::None);
        let mut body = json!({
            "client_id": id,
            "client_id_issued_at": at.timestamp(),
            "client_name": self.name,
            "redirect_uris": self.redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
            "grant_types": self.grant_types.iter().map(|g| g.as_str()).collect::<Vec<_>>(),
            "response_types": ["code"],
            "token_endpoint_auth_method": method.as_str(),
        });
        let Some(members) = body.as_object_mut() else { return body };
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        add("client_secret", secret.map(|s| s.expose_secret().into()));
        // A number, never null: hosts parse it so. 0 is never.
        add("client_secret_expires_at", secret.map(|_| 0.into()));
        let text = |t: &Option<String>| t.clone().map(Value::from);
        add("client_uri", text(&self.client_uri));
        add("logo_uri", text(&self.logo_uri));
        add("policy_uri", text(&self.policy_uri));
        add("tos_uri", text(&self.tos_uri));
        add("scope", text(&self.scope));
        add("software_id", text(&self.software_id));
        add("software_version", text(&self.software_version));
        add("application_type", text(&self.application_type));
        match &self.keys {
            Some(Keys::Uri(uri)) => add("jwks_uri", Some(uri.clone().into())),
            Some(Keys::Inline(set)) => add("jwks", serde_json::from_str(set).ok()),
            None => {}
        }
        body
    }

    /// Whether a secret is to be made for it.
    pub fn wants_secret(&self) -> bool {
        self.methods.iter().any(|m| matches!(m, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost))
    }
}

/// Whether a registered client may be deleted: nobody authorized it within a week, or nobody used it and no host registered it again for
/// 90 days. Its host registers again when it hears `invalid_client`; with the same words it is given the same id, which then works.
pub fn expired(registered: Timestamp, last_used: Option<Timestamp>, now: Timestamp) -> bool {
    match last_used {
        None => now - registered > TimeDelta::days(7),
        Some(at) => now - at.max(registered) > TimeDelta::days(90),
    }
}

/// Whether a host that registers again is noted: once a day, so that registering again and again writes nothing.
pub fn worth_noting(registered: Timestamp, now: Timestamp) -> bool {
    now - registered > TimeDelta::days(1)
}

fn bad(what: impl Into<std::borrow::Cow<'static, str>>) -> OauthError {
    OauthError::new(Code::InvalidClientMetadata, what)
}

/// A URI of a scheme that is not listed is left out as long as another remains: Cursor and others send several kinds at once. Any other
/// flaw refuses the registration.
fn redirects(texts: Vec<String>, schemes: &Schemes) -> Result<Vec<RedirectUri>> {
    let refuse = |what: String| OauthError::new(Code::InvalidRedirectUri, what);
    if texts.len() > MOST_URIS {
        return Err(refuse(format!("There are more than {MOST_URIS} redirect_uris. Register those that are used.")));
    }
    let (mut found, mut unlisted) = (Vec::<RedirectUri>::new(), None);
    for text in texts {
        match RedirectUri::parse(&text, schemes) {
            Ok(uri) if found.contains(&uri) => {}
            Ok(uri) => found.push(uri),
            Err(flaw @ Flaw::UnlistedScheme(_)) => unlisted = Some(flaw),
            Err(flaw) => return Err(refuse(format!("redirect_uri '{}' cannot be registered: {flaw}.", shown(&text)))),
        }
    }
    match unlisted {
        Some(flaw) if found.is_empty() => Err(refuse(format!("No redirect_uri can be registered: {flaw}."))),
        _ => Ok(found),
    }
}

fn methods(preferred: Option<String>, offered: &[String], allowed: &[AuthMethod], whole: bool) -> Result<Vec<AuthMethod>> {
    // RFC 7591 section 2: left out, it means client_secret_basic. A document has no secret, so there it means none.
    let default = if allowed.contains(&AuthMethod::ClientSecretBasic) { AuthMethod::ClientSecretBasic } else { AuthMethod::None };
    let named = preferred.is_some() || !offered.is_empty();
    let mut found = Vec::new();
    for method in preferred.iter().chain(offered).filter_map(|m| AuthMethod::read(m)).filter(|m| allowed.contains(m)) {
        if !found.contains(&method) {
            found.push(method);
        }
    }
    if !named {
        found.push(default);
    }
    if !whole {
        found.truncate(1);
    }
    if found.is_empty() {
        let list: Vec<_> = allowed.iter().map(|m| m.as_str()).collect();
        return Err(bad(format!(
            "token_endpoint_auth_method '{}' cannot be used here. Use one of: {}.",
            shown(&preferred.unwrap_or_default()),
            list.join(", ")
        )));
    }
    Ok(found)
}

fn grants(texts: Option<Vec<String>>) -> Result<Vec<GrantType>> {
    let texts = texts.unwrap_or_default();
    if texts.is_empty() {
        return Ok(vec![GrantType::AuthorizationCode]);
    }
    let found: BTreeSet<_> = texts.iter().filter_map(|t| GrantType::read(t)).collect();
    if found.iter().all(|g| *g == GrantType::RefreshToken) {
        return Err(bad(
            "grant_types has none that this server gives tokens for. Use authorization_code, refresh_token or urn:ietf:params:oauth:grant-type:device_code.",
        ));
    }
    Ok(found.into_iter().collect())
}

fn keys(set: Option<Value>, uri: Option<String>) -> Result<Option<Keys>> {
    let uri = uri.filter(|u| !u.is_empty());
    match (set.filter(|s| !s.is_null()), uri) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(bad("jwks and jwks_uri are both there. Send one of them (RFC 7591 section 2).")),
        (Some(set), None) => {
            let text = set.to_string();
            client_assertion::keys(text.as_bytes()).map_err(|flaw| bad(format!("jwks cannot be used: {flaw}.")))?;
            Ok(Some(Keys::Inline(text)))
        }
        (None, Some(uri)) => match link(uri) {
            Some(uri) => Ok(Some(Keys::Uri(uri))),
            None => Err(bad("jwks_uri must be an https URL without user, fragment or spaces.")),
        },
    }
}

/// An https URL as it was sent, or none: a link is for people, and not worth refusing a client for.
pub(crate) fn link(text: String) -> Option<String> {
    let url = Url::parse(&text).ok()?;
    let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let printable = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`' | b'\''));
    (plain && printable && text.len() <= LINK && url.host_str().is_some_and(|h| !h.is_empty())).then_some(text)
}

/// A name without what could deceive on a page or in a log: control characters, marks that turn the writing round, invisible ones.
fn clean(text: &str) -> String {
    let fair = |c: char| {
        c.is_alphanumeric() || c.is_ascii_punctuation() || matches!(c, ' ' | '–' | '—' | '·' | '’' | '“' | '”' | '…' | '®' | '™')
    };
    let one_line: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| fair(*c)).collect();
    let words: Vec<_> = one_line.split(' ').filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(NAME).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn register(body: &Value) -> Result<Client> {
        Client::register(body.to_string().as_bytes(), &Schemes::known())
    }
    fn uris(client: &Client) -> Vec<&str> {
        client.redirect_uris.iter().map(RedirectUri::as_str).collect()
    }

    /// Shapes as hosts send them. Members beside those of the facts at hand are what their SDKs add.
    fn hosts() -> Vec<(&'static str, Value)> {
        vec![
            (
                "claude.ai",
                json!({"client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                    "token_endpoint_auth_method": "none", "scope": "read write destructive offline_access"}),
            ),
            (
                "claude code",
                json!({"client_name": "Claude Code (ocore)", "redirect_uris": ["http://localhost:54545/callback"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none"}),
            ),
            (
                "chatgpt",
                json!({"client_name": "ChatGPT", "redirect_uris": ["https://chatgpt.com/connector/oauth/IbUR3zxyNQ16"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                    "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
                    "token_endpoint_auth_signing_alg": "RS256", "jwks_uri": "https://chatgpt.com/oauth/jwks.json"}),
            ),
            (
                "codex",
                json!({"client_name": "Codex", "redirect_uris": ["http://127.0.0.1:43119/callback/Zm9vYmFyYmF6"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                    "token_endpoint_auth_method": "none", "application_type": "native"}),
            ),
            (
                "cursor",
                json!({"client_name": "Cursor", "application_type": "web", "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback",
                    "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none"}),
            ),
            (
                "vs code",
                json!({"client_name": "Visual Studio Code", "client_uri": "https://code.visualstudio.com", "redirect_uris":
                    ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"],
                    "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
                    "response_types": ["code"], "token_endpoint_auth_method": "none", "application_type": "native"}),
            ),
            (
                "gemini cli",
                json!({"client_name": "Gemini CLI MCP Client", "redirect_uris": ["http://localhost:7777/oauth/callback"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                    "token_endpoint_auth_method": "none", "code_challenge_method": ["S256"], "scope": ""}),
            ),
            (
                "mcp-remote",
                json!({"client_name": "MCP CLI Proxy", "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
                    "redirect_uris": ["http://localhost:3334/oauth/callback"], "token_endpoint_auth_method": "none",
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                    "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d", "software_version": "0.1.38"}),
            ),
            (
                "inspector",
                json!({"client_name": "MCP Inspector", "client_uri": "https://github.com/modelcontextprotocol/inspector",
                    "redirect_uris": ["http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"],
                    "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
                    "response_types": ["code"], "scope": ""}),
            ),
        ]
    }

    #[test]
    fn the_shapes_of_known_hosts_register_whole() {
        for (host, body) in hosts() {
            let client = register(&body).unwrap_or_else(|error| panic!("{host}: {error}"));
            assert_eq!(json!(uris(&client)), body["redirect_uris"], "{host}: no URI is lost");
            let response = client.response("oci_x", None, Timestamp::UNIX_EPOCH);
            for member in ["client_name", "redirect_uris", "response_types", "token_endpoint_auth_method"] {
                assert_eq!(response[member], body[member], "{host}: {member}");
            }
            assert!(client.grant_types.contains(&GrantType::RefreshToken) && !client.wants_secret(), "{host}");
            assert!(response.get("client_secret").is_none() && response.get("client_secret_expires_at").is_none());
            assert!(client.fingerprint().is_some());
        }
    }

    #[test]
    fn left_out_members_mean_what_the_rfc_says() {
        let client = register(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        assert_eq!(client.methods, [AuthMethod::ClientSecretBasic]);
        assert_eq!(client.grant_types, [GrantType::AuthorizationCode]);
        assert_eq!(client.name, "Unnamed client");
        assert!(client.wants_secret() && client.fingerprint().is_none());
        let secret = SecretString::from("ocs_s");
        let response = client.response("oci_x", Some(&secret), Timestamp::UNIX_EPOCH);
        assert_eq!((&response["client_secret"], &response["client_secret_expires_at"]), (&json!("ocs_s"), &json!(0)));
    }

    #[test]
    fn empty_null_and_unknown_members_do_not_matter() {
        let client = register(&json!({
            "redirect_uris": ["https://a.example/cb", "https://a.example/cb"], "client_name": "", "client_uri": "", "logo_uri": null,
            "scope": null, "token_endpoint_auth_method": "none", "contacts": ["x"], "client_name#de": "Klient", "future": {"a": [1]},
            "software_statement": "e30", "policy_uri": "javascript:alert(1)", "tos_uri": "http://a.example", "application_type": "other",
            "grant_types": ["authorization_code", "implicit", "client_credentials"], "response_types": ["code", "token"],
        }))
        .unwrap();
        assert_eq!(uris(&client), ["https://a.example/cb"]);
        assert_eq!(client.grant_types, [GrantType::AuthorizationCode]);
        assert_eq!((client.policy_uri, client.tos_uri, client.application_type), (None, None, None));
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_registered_codes() {
        let uri = Code::InvalidRedirectUri;
        let metadata = Code::InvalidClientMetadata;
        for (body, code) in [
            (json!({}), uri),
            (json!({"redirect_uris": []}), uri),
            (json!({"redirect_uris": ["http://a.example/cb"]}), uri),
            (json!({"redirect_uris": ["https://a.example/cb", "https://a.example/cb#x"]}), uri),
            (json!({"redirect_uris": ["https://a.example/cb", "javascript:alert(1)"]}), uri),
            (json!({"redirect_uris": ["myapp://x/cb"]}), uri),
            (json!({"redirect_uris": (0..21).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>()}), uri),
            (json!({"redirect_uris": "https://a.example/cb"}), metadata),
            (json!({"redirect_uris": [1]}), metadata),
            (json!([["https://a.example/cb"]]), metadata),
            (json!("x"), metadata),
            (json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "client_secret_jwt"}), metadata),
            (json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "private_key_jwt"}), metadata),
            (
                json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://a.example/k"}),
                metadata,
            ),
            (json!({"redirect_uris": ["https://a.example/cb"], "grant_types": ["client_credentials"]}), metadata),
            (json!({"redirect_uris": ["https://a.example/cb"], "grant_types": ["refresh_token"]}), metadata),
            (json!({"redirect_uris": ["https://a.example/cb"], "response_types": ["token"]}), metadata),
            (json!({"redirect_uris": ["https://a.example/cb"], "jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}), metadata),
            (json!({"redirect_uris": ["https://a.example/cb"], "client_name": "x".repeat(LARGEST)}), metadata),
        ] {
            assert_eq!(register(&body).unwrap_err().code(), code, "{body}");
        }
        assert_eq!(Client::register(b"{", &Schemes::known()).unwrap_err().code(), metadata);
    }

    #[test]
    fn one_uri_of_an_unlisted_scheme_does_not_fail_the_others() {
        let client =
            register(&json!({"redirect_uris": ["newide://x/cb", "http://localhost:1/cb"], "token_endpoint_auth_method": "none"}))
                .unwrap();
        assert_eq!(uris(&client), ["http://localhost:1/cb"]);
    }

    #[test]
    fn registering_again_gives_the_same_fingerprint_and_any_visible_change_another() {
        let body = json!({"client_name": "A", "redirect_uris": ["http://localhost:1000/cb", "https://a.example/cb"], "token_endpoint_auth_method": "none"});
        let print = |body: &Value| register(body).unwrap().fingerprint().unwrap();
        let mut same = body.clone();
        same["redirect_uris"] = json!(["https://a.example/cb", "http://localhost:2000/cb"]);
        same["future"] = json!(1);
        assert_eq!(print(&body), print(&same), "order and loopback port");
        for (member, value) in [
            ("client_name", json!("B")),
            ("redirect_uris", json!(["http://localhost:1000/cb"])),
            ("redirect_uris", json!(["http://127.0.0.1:1000/cb", "https://a.example/cb"])),
            ("redirect_uris", json!(["http://localhost:1000/cb", "https://a.example:8443/cb"])),
            ("logo_uri", json!("https://a.example/logo.png")),
            ("client_uri", json!("https://b.example")),
            ("policy_uri", json!("https://b.example")),
            ("tos_uri", json!("https://b.example")),
            ("grant_types", json!(["authorization_code", "refresh_token"])),
            ("jwks_uri", json!("https://b.example/keys")),
            ("scope", json!("read")),
            ("software_id", json!("x")),
            ("software_version", json!("x")),
            ("application_type", json!("web")),
        ] {
            let mut other = body.clone();
            other[member] = value;
            assert_ne!(print(&body), print(&other), "{member}");
        }
    }

    #[test]
    fn names_cannot_deceive() {
        for (name, meant) in [
            ("Claude\u{202e}edualC", "ClaudeedualC"),
            ("A\u{200b}B\u{feff}C\u{0}", "ABC"),
            ("  line\r\none\ttwo  ", "line one two"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("Zürich – 東京 ™", "Zürich – 東京 ™"),
            ("\u{e0041}\u{2066}", "Unnamed client"),
        ] {
            let body = json!({"redirect_uris": ["https://a.example/cb"], "client_name": name});
            assert_eq!(register(&body).unwrap().name, meant, "{name:?}");
        }
    }

    #[test]
    fn unused_registrations_expire_and_used_ones_live_longer() {
        let at = |days| Timestamp::UNIX_EPOCH + TimeDelta::days(days);
        assert!(!expired(at(0), None, at(7)) && expired(at(0), None, at(8)));
        assert!(!expired(at(0), Some(at(5)), at(95)) && expired(at(0), Some(at(5)), at(96)));
        assert!(!expired(at(200), Some(at(5)), at(290)) && expired(at(200), Some(at(5)), at(291)), "registered again since");
        assert!(!worth_noting(at(0), at(1)) && worth_noting(at(0), at(2)));
    }

    proptest! {
        #[test]
        fn any_body_is_answered_and_what_registers_is_bounded(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Client::register(&body, &Schemes::known());
        }

        #[test]
        fn what_was_registered_registers_again_as_itself(host in 0_usize..9) {
            let first = register(&hosts().swap_remove(host).1).unwrap();
            let again = register(&first.response("x", None, Timestamp::UNIX_EPOCH)).unwrap();
            prop_assert_eq!(first, again);
        }

        #[test]
        fn names_are_short_and_visible(name in ".{0,200}") {
            let client = register(&json!({"redirect_uris": ["https://a.example/cb"], "client_name": name})).unwrap();
            prop_assert!(!client.name.is_empty() && client.name.chars().count() <= NAME);
            let hidden = |c: char| c.is_control() || matches!(u32::from(c), 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2069);
            prop_assert!(!client.name.contains(hidden));
        }
    }
}
