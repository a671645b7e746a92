//! The discovery documents: of the authorization server (RFC 8414, with the alias of OpenID Connect), of each protected resource (RFC
//! 9728), and the header that points to the latter (RFC 6750, RFC 9728 section 5.1).
//!
//! They are public, never behind authentication, and must be answered with 404, never 401, where there is none: hosts go on to the next
//! location only then.
use serde::Serialize;

use crate::oauth::{
    client_assertion,
    error::OauthError,
    pkce,
    registration::{AuthMethod, GrantType},
    resource::{PublicUrl, Resource},
    scope::{Scope, Scopes},
};

/// The scopes that resources ask for. The same in both documents, in this order: some hosts take them from one, some from the other.
const SCOPES: [Scope; 3] = [Scope::Read, Scope::Write, Scope::Destructive];

/// `/.well-known/oauth-authorization-server` and `/.well-known/openid-configuration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorizationServer {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub registration_endpoint: String,
    pub revocation_endpoint: String,
    pub introspection_endpoint: String,
    pub device_authorization_endpoint: String,
    pub scopes_supported: Vec<&'static str>,
    pub response_types_supported: [&'static str; 1],
    pub response_modes_supported: [&'static str; 1],
    pub grant_types_supported: Vec<&'static str>,
    pub code_challenge_methods_supported: [&'static str; 1],
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    pub token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    pub revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    pub revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    pub introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    pub introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// RFC 9207.
    pub authorization_response_iss_parameter_supported: bool,
    /// draft-ietf-oauth-client-id-metadata-document.
    pub client_id_metadata_document_supported: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenId>,
}
impl AuthorizationServer {
    /// The document at every one of its locations.
    pub fn new(public: &PublicUrl) -> Self {
        let methods: Vec<_> = AuthMethod::ALL.into_iter().map(AuthMethod::as_str).collect();
        let confidential: Vec<_> = methods.iter().copied().filter(|m| *m != AuthMethod::None.as_str()).collect();
        Self {
            issuer: public.as_str().to_owned(),
            authorization_endpoint: public.join("/authorize"),
            token_endpoint: public.join("/token"),
            registration_endpoint: public.join("/register"),
            revocation_endpoint: public.join("/revoke"),
            introspection_endpoint: public.join("/introspect"),
            device_authorization_endpoint: public.join("/device_authorization"),
            scopes_supported: SCOPES.into_iter().chain([Scope::OfflineAccess]).map(Scope::as_str).collect(),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: GrantType::ALL.into_iter().map(GrantType::as_str).collect(),
            code_challenge_methods_supported: [pkce::METHOD],
            token_endpoint_auth_methods_supported: methods.clone(),
            token_endpoint_auth_signing_alg_values_supported: client_assertion::algorithms(),
            revocation_endpoint_auth_methods_supported: methods,
            revocation_endpoint_auth_signing_alg_values_supported: client_assertion::algorithms(),
            introspection_endpoint_auth_methods_supported: confidential,
            introspection_endpoint_auth_signing_alg_values_supported: client_assertion::algorithms(),
            authorization_response_iss_parameter_supported: true,
            client_id_metadata_document_supported: true,
            openid: None,
        }
    }
    /// The same at `/.well-known/openid-configuration`, with what parsers of that document insist on. ocore gives no ID tokens; the key
    /// set is empty.
    pub fn openid(public: &PublicUrl) -> Self {
        let openid = OpenId {
            jwks_uri: public.join("/.well-known/jwks.json"),
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: ["RS256"],
        };
        Self { openid: Some(openid), ..Self::new(public) }
    }
}

/// What OpenID Connect Discovery 1.0 section 3 requires beside the members of RFC 8414.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenId {
    pub jwks_uri: String,
    pub subject_types_supported: [&'static str; 1],
    pub id_token_signing_alg_values_supported: [&'static str; 1],
}

/// `/.well-known/oauth-protected-resource…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProtectedResource {
    /// The URL that the person typed, to the letter: some hosts compare the texts.
    pub resource: String,
    /// One: some hosts read the first alone.
    pub authorization_servers: [String; 1],
    pub scopes_supported: Vec<&'static str>,
    pub bearer_methods_supported: [&'static str; 1],
    pub resource_name: String,
}
impl ProtectedResource {
    /// `path` is an MCP path (one that [`Resource::of_path`] knows), `query` the one of the request.
    fn new(public: &PublicUrl, path: &str, query: Option<&str>) -> Option<Self> {
        let resource_name = match Resource::of_path(path)? {
            Resource::Everything => "ocore".to_owned(),
            Resource::Instance(slug) => format!("ocore: {slug}"),
        };
        // RFC 9728 section 3.1: a resource's query stands behind the location's path.
        let query =
            query.filter(|q| !q.is_empty() && crate::oauth::resource::narrows(q)).map(|q| format!("?{q}")).unwrap_or_default();
        Some(Self {
            resource: format!("{}{query}", public.join(path)),
            authorization_servers: [public.as_str().to_owned()],
            scopes_supported: SCOPES.map(Scope::as_str).into(),
            bearer_methods_supported: ["header"],
            resource_name,
        })
    }
}

/// A document at a well-known location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Document {
    AuthorizationServer(Box<AuthorizationServer>),
    ProtectedResource(ProtectedResource),
    /// The empty key set.
    Keys {
        keys: [(); 0],
    },
}

const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const KEYS: &str = "/.well-known/jwks.json";

/// The document at `path` (as in the request, with the public URL's own path), or none: then 404.
///
/// With a path in the public URL the documents stand both behind the origin with that path inserted (RFC 8414 section 3, RFC 9728
/// section 3) and behind the path itself. There is none of the authorization server at the MCP paths: its issuer would not be the one
/// that a client computes from such a location, and RFC 8414 section 3.3 has it refuse the document instead of trying the next.
pub fn find(public: &PublicUrl, path: &str, query: Option<&str>) -> Option<Document> {
    let base = public.path();
    let path = path.strip_suffix('/').unwrap_or(path);
    // Below the path of the public URL, then at the origin with that path inserted.
    let below = path.strip_prefix(base);
    let inserted = |name: &str| path.strip_prefix(name).and_then(|rest| rest.strip_prefix(base));
    let server = |name: &str| below == Some(name) || inserted(name) == Some("");
    if server(SERVER) {
        return Some(Document::AuthorizationServer(Box::new(AuthorizationServer::new(public))));
    }
    if server(OPENID) {
        return Some(Document::AuthorizationServer(Box::new(AuthorizationServer::openid(public))));
    }
    if below == Some(KEYS) {
        return Some(Document::Keys { keys: [] });
    }
    let mcp = inserted(RESOURCE).or_else(|| below.and_then(|b| b.strip_prefix(RESOURCE)))?;
    let mcp = if mcp.is_empty() { "/mcp" } else { mcp };
    ProtectedResource::new(public, mcp, query).map(Document::ProtectedResource)
}

/// Where the document of the resource at an MCP path stands. `path` is without the public URL's own.
pub fn location(public: &PublicUrl, path: &str) -> String {
    format!("{}{RESOURCE}{}{path}", public.origin(), public.path())
}

/// The value of `WWW-Authenticate` of a 401 or 403 at an MCP path.
///
/// Without an error it says only how to begin, which is what RFC 6750 section 3.1 wants where no token came. `scopes` are those that the
/// request needs: [`Scopes::step_up`] for `insufficient_scope`.
pub fn challenge(public: &PublicUrl, path: &str, scopes: Option<&Scopes>, error: Option<&OauthError>) -> String {
    let all = Scopes::new(SCOPES);
    let scopes = scopes.unwrap_or(&all);
    let scope = if scopes.is_empty() { String::new() } else { format!(", scope=\"{scopes}\"") };
    // No quotation mark, backslash or control character can be in a description.
    let error = error.map(|e| format!(", error=\"{}\", error_description=\"{}\"", e.code(), e.description())).unwrap_or_default();
    format!("Bearer resource_metadata=\"{}\"{scope}{error}", location(public, path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth::error::Code;

    fn public() -> PublicUrl {
        PublicUrl::parse("https://ocore.example").unwrap()
    }
    fn at(public: &PublicUrl, path: &str) -> Option<Value> {
        find(public, path, None).map(|d| serde_json::to_value(d).unwrap())
    }

    #[test]
    fn the_server_document_is_what_hosts_need() {
        let document = at(&public(), "/.well-known/oauth-authorization-server").unwrap();
        assert_eq!(
            document,
            json!({
                "issuer": "https://ocore.example",
                "authorization_endpoint": "https://ocore.example/authorize",
                "token_endpoint": "https://ocore.example/token",
                "registration_endpoint": "https://ocore.example/register",
                "revocation_endpoint": "https://ocore.example/revoke",
                "introspection_endpoint": "https://ocore.example/introspect",
                "device_authorization_endpoint": "https://ocore.example/device_authorization",
                "scopes_supported": ["read", "write", "destructive", "offline_access"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
                "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
                "revocation_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
                "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
                "introspection_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
                "authorization_response_iss_parameter_supported": true,
                "client_id_metadata_document_supported": true,
            })
        );
        let openid = at(&public(), "/.well-known/openid-configuration").unwrap();
        assert_eq!(openid["jwks_uri"], "https://ocore.example/.well-known/jwks.json");
        assert_eq!((&openid["issuer"], &openid["code_challenge_methods_supported"]), (&document["issuer"], &json!(["S256"])));
        assert_eq!(at(&public(), "/.well-known/jwks.json").unwrap(), json!({"keys": []}));
    }

    #[test]
    fn each_mcp_url_has_a_document_that_names_it_to_the_letter() {
        let public = public();
        for path in ["/mcp", "/api/mcp/stream", "/api/mcp/sse", "/mcp/sse", "/mcp/i/prod-eu"] {
            let document = at(&public, &format!("/.well-known/oauth-protected-resource{path}")).unwrap();
            assert_eq!(document["resource"], format!("https://ocore.example{path}"));
            assert_eq!(document["authorization_servers"], json!(["https://ocore.example"]));
            assert_eq!(document["scopes_supported"], json!(["read", "write", "destructive"]));
            assert_eq!(location(&public, path), format!("https://ocore.example/.well-known/oauth-protected-resource{path}"));
        }
        let root = at(&public, "/.well-known/oauth-protected-resource").unwrap();
        assert_eq!(root["resource"], "https://ocore.example/mcp");
        let narrowed = find(&public, "/.well-known/oauth-protected-resource/mcp", Some("instances=a,b")).unwrap();
        assert_eq!(serde_json::to_value(narrowed).unwrap()["resource"], "https://ocore.example/mcp?instances=a,b");
        let odd = find(&public, "/.well-known/oauth-protected-resource/mcp", Some("x=<script>")).unwrap();
        assert_eq!(serde_json::to_value(odd).unwrap()["resource"], "https://ocore.example/mcp");
    }

    #[test]
    fn elsewhere_there_is_nothing() {
        for path in [
            "/.well-known/oauth-authorization-server/mcp",
            "/.well-known/openid-configuration/mcp",
            "/mcp/.well-known/openid-configuration",
            "/.well-known/oauth-protected-resource/api/v1",
            "/.well-known/oauth-protected-resource/mcp/i/",
            "/.well-known/oauth-protected-resource/mcp/i/A",
            "/.well-known/oauth-protected-resourcex",
            "/.well-known/security.txt",
            "/",
            "",
        ] {
            assert_eq!(at(&public(), path), None, "{path}");
        }
    }

    #[test]
    fn with_a_path_every_probed_location_answers_with_one_issuer() {
        let public = PublicUrl::parse("https://example.com/ocore/").unwrap();
        for path in [
            "/.well-known/oauth-authorization-server/ocore",
            "/.well-known/openid-configuration/ocore",
            "/ocore/.well-known/openid-configuration",
            "/ocore/.well-known/oauth-authorization-server",
        ] {
            assert_eq!(at(&public, path).unwrap()["issuer"], "https://example.com/ocore", "{path}");
        }
        for path in ["/.well-known/oauth-protected-resource/ocore/mcp", "/ocore/.well-known/oauth-protected-resource/mcp"] {
            assert_eq!(at(&public, path).unwrap()["resource"], "https://example.com/ocore/mcp", "{path}");
        }
        assert_eq!(at(&public, "/.well-known/oauth-authorization-server"), None);
        assert_eq!(location(&public, "/mcp"), "https://example.com/.well-known/oauth-protected-resource/ocore/mcp");
    }

    #[test]
    fn challenges_say_how_to_begin_and_what_is_missing() {
        let public = public();
        assert_eq!(
            challenge(&public, "/mcp", None, None),
            "Bearer resource_metadata=\"https://ocore.example/.well-known/oauth-protected-resource/mcp\", scope=\"read write destructive\""
        );
        let error = OauthError::new(Code::InsufficientScope, "unlink needs \"destructive\".");
        let needed = Scopes::new([Scope::Read]).step_up(Scope::Destructive).unwrap();
        assert_eq!(
            challenge(&public, "/mcp/i/prod", Some(&needed), Some(&error)),
            "Bearer resource_metadata=\"https://ocore.example/.well-known/oauth-protected-resource/mcp/i/prod\", scope=\"read write destructive\", error=\"insufficient_scope\", error_description=\"unlink needs 'destructive'.\""
        );
    }

    proptest! {
        #[test]
        fn a_description_cannot_break_out_of_the_header(text in ".{0,200}") {
            let error = OauthError::new(Code::InvalidToken, text);
            let header = challenge(&public(), "/mcp", None, Some(&error));
            prop_assert_eq!(header.matches('"').count(), 8);
            prop_assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)));
        }

        #[test]
        fn the_location_of_a_resource_is_where_its_document_is(slug in "[a-z0-9]{1,24}", base in "(/[a-z]{1,5}){0,2}") {
            let public = PublicUrl::parse(&format!("https://ocore.example{base}")).unwrap();
            let path = format!("/mcp/i/{slug}");
            let location = location(&public, &path);
            let found = at(&public, location.strip_prefix("https://ocore.example").unwrap()).unwrap();
            prop_assert_eq!(&found["resource"], &public.join(&path));
        }
    }
}
