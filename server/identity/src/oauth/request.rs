//! Requests as they come in: parameters, and in which order an authorization or token request is checked.
//!
//! The order matters: as long as client and redirect URI are not known to belong together, an error is shown to the person and sent
//! nowhere (RFC 6749 section 4.1.2.1). After that the client is told.
use url::form_urlencoded;

use crate::oauth::{
    client_auth,
    error::{Code, OauthError, Result, shown},
    opaque::{self, Hash, Kind},
    pkce::Challenge,
    redirect::{self, Outcome, RedirectUri, Schemes},
    registration::{Client, GrantType},
    resource::{PublicUrl, Resource},
    scope::Scopes,
};

/// The longest query or form that is read, in bytes, and the most parameters.
const LONGEST: usize = 32 * 1024;
const MOST: usize = 60;

/// The parameters of a query or form. One without a value counts as left out (RFC 6749 section 3.1).
#[derive(Clone)]
pub struct Params(Vec<(String, String)>);
impl Params {
    /// # Errors
    /// `invalid_request` where there are too many or too long ones.
    pub fn read(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(OauthError::new(
                Code::InvalidRequest,
                "The parameters are longer than 32 KB. Leave out what is not needed.",
            ));
        }
        let list: Vec<_> =
            form_urlencoded::parse(text.as_bytes()).take(MOST + 1).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        if list.len() > MOST {
            return Err(OauthError::new(
                Code::InvalidRequest,
                "There are more than 60 parameters. Leave out what is not needed.",
            ));
        }
        Ok(Self(list))
    }
    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }
    /// Its values in their order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }
    /// A parameter that came twice, which RFC 6749 section 3.1 bars: two readers could each take another. `resource` may (RFC 8707).
    fn twice(&self) -> Option<&str> {
        let mut seen = std::collections::HashSet::new();
        self.0.iter().map(|(n, _)| n.as_str()).find(|n| *n != "resource" && !seen.insert(*n))
    }
    /// What says who asks, for [`client_auth::read`].
    pub fn client(&self) -> client_auth::Form<'_> {
        client_auth::Form {
            client_id: self.get("client_id"),
            client_secret: self.get("client_secret"),
            client_assertion_type: self.get("client_assertion_type"),
            client_assertion: self.get("client_assertion"),
        }
    }
    fn once(&self) -> Result<()> {
        match self.twice() {
            None => Ok(()),
            Some(name) => Err(OauthError::new(
                Code::InvalidRequest,
                format!("The parameter '{}' is there more than once. Send it once.", shown(name)),
            )),
        }
    }
    fn resource(&self, public: &PublicUrl) -> Result<Option<Resource>> {
        if self.get("resource").is_none() {
            return Ok(None);
        }
        Resource::asked(public, self.all("resource")).map(Some)
    }
}
impl std::fmt::Debug for Params {
    /// The names alone: values are secrets more often than not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(n, _)| n)).finish()
    }
}

/// An authorization request that may be put before a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Where the answer goes, with the port of this request.
    pub redirect: RedirectUri,
    /// To be given back.
    pub state: Option<String>,
    /// To be stored with the code.
    pub challenge: Challenge,
    /// What the client asks for; the person consents to the same or less.
    pub scopes: Scopes,
    /// The audience of its tokens.
    pub resource: Resource,
}

/// What becomes of an authorization request that cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// To be shown. It is not sure whose request it is.
    Show(OauthError),
    /// For the client: `location` is where to send the browser. Anybody can register a client, and so make of this a link on our own
    /// name that leads elsewhere: where the person has not consented to this client before, show the error, the host and the link, and
    /// let them go on by themselves (RFC 9700 section 4.11.2).
    Tell { error: OauthError, host: String, location: String },
}

/// The client that an authorization request names, before it is looked up.
///
/// # Errors
/// `invalid_request`, to be shown.
pub fn client_id(params: &Params) -> Result<&str> {
    let mut all = params.all("client_id");
    match (all.next(), all.next()) {
        (Some(id), None) if client_auth::is_id(id) => Ok(id),
        _ => Err(OauthError::new(
            Code::InvalidRequest,
            "client_id is missing, is there more than once, or is no id of a client here. Send the one that registration gave.",
        )),
    }
}

/// Checks an authorization request of the client that it names (OAuth 2.1 section 4.1.1).
///
/// # Errors
/// See [`Refused`].
pub fn authorization(
    params: &Params,
    client: &Client,
    schemes: &Schemes,
    public: &PublicUrl,
) -> std::result::Result<Authorization, Refused> {
    let mut uris = params.all("redirect_uri");
    let asked = uris.next();
    if uris.next().is_some() {
        return Err(Refused::Show(OauthError::new(Code::InvalidRequest, "redirect_uri is there more than once. Send it once.")));
    }
    let to = redirect::find(&client.redirect_uris, asked, schemes).map_err(Refused::Show)?;
    let (state, too_long) = match redirect::state(params.get("state")) {
        Ok(state) => (state, None),
        Err(error) => (None, Some(error)),
    };
    let tell = |error: OauthError| {
        let location = redirect::respond(&to, public.as_str(), state, Outcome::Error(&error));
        Refused::Tell { error, host: to.host().to_owned(), location }
    };
    if let Some(error) = too_long {
        return Err(tell(error));
    }
    params.once().map_err(tell)?;
    if !client.grant_types.contains(&GrantType::AuthorizationCode) {
        return Err(tell(OauthError::new(
            Code::UnauthorizedClient,
            "This client did not register the grant type authorization_code. Register again.",
        )));
    }
    if params.get("request").is_some() || params.get("request_uri").is_some() {
        return Err(tell(OauthError::new(Code::InvalidRequest, "Request objects are not taken here. Send plain parameters.")));
    }
    if params.get("response_type") != Some("code") {
        return Err(tell(OauthError::new(
            Code::UnsupportedResponseType,
            "response_type must be code: this server gives nothing else.",
        )));
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(tell(OauthError::new(Code::InvalidRequest, "response_mode must be query, or be left out.")));
    }
    let challenge = Challenge::parse(params.get("code_challenge"), params.get("code_challenge_method")).map_err(tell)?;
    let scopes = Scopes::asked(params.get("scope"), client.own).map_err(tell)?;
    let resource = params.resource(public).map_err(tell)?.unwrap_or(Resource::Everything);
    Ok(Authorization { challenge, scopes, resource, state: state.map(str::to_owned), redirect: to.clone() })
}

/// A device authorization request (RFC 8628 section 3.1) of an authenticated client: what it asks for.
///
/// # Errors
/// `unauthorized_client`, `invalid_request`, `invalid_scope`, `invalid_target`.
pub fn device(params: &Params, client: &Client, public: &PublicUrl) -> Result<(Scopes, Resource)> {
    params.once()?;
    may(client, GrantType::DeviceCode)?;
    Ok((Scopes::asked(params.get("scope"), client.own)?, params.resource(public)?.unwrap_or(Resource::Everything)))
}

/// What a token request brings, by its hash; the rest is for [`crate::oauth::tokens`] and [`crate::oauth::device`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRequest<'a> {
    Code { code: Hash, redirect_uri: Option<&'a str>, verifier: Option<&'a str>, resource: Option<Resource> },
    Refresh { token: Hash, scope: Option<&'a str>, resource: Option<Resource> },
    Device { code: Hash },
}

/// Reads a token request of an authenticated client.
///
/// # Errors
/// `invalid_request`, `unsupported_grant_type`, `unauthorized_client`, `invalid_target`; `invalid_grant` where code or token is of no form
/// that this server gives: what cannot be found is answered the same way, see [`unknown`].
pub fn token<'a>(params: &'a Params, client: &Client, public: &PublicUrl) -> Result<TokenRequest<'a>> {
    params.once()?;
    let need = |name: &'static str, kind: Kind| {
        let text = params
            .get(name)
            .ok_or_else(|| OauthError::new(Code::InvalidRequest, format!("{name} is missing. Send it in the form.")))?;
        opaque::read(kind, text).ok_or_else(unknown)
    };
    let grant_type = params.get("grant_type").ok_or_else(|| {
        OauthError::new(
            Code::InvalidRequest,
            "grant_type is missing. Send authorization_code, refresh_token or the device grant.",
        )
    })?;
    match GrantType::read(grant_type) {
        Some(GrantType::AuthorizationCode) => {
            may(client, GrantType::AuthorizationCode)?;
            Ok(TokenRequest::Code {
                code: need("code", Kind::AuthorizationCode)?,
                redirect_uri: params.get("redirect_uri"),
                verifier: params.get("code_verifier"),
                resource: params.resource(public)?,
            })
        }
        // Who was given a refresh token may use it, whatever its metadata says today.
        Some(GrantType::RefreshToken) => Ok(TokenRequest::Refresh {
            token: need("refresh_token", Kind::RefreshToken)?,
            scope: params.get("scope"),
            resource: params.resource(public)?,
        }),
        Some(GrantType::DeviceCode) => {
            may(client, GrantType::DeviceCode)?;
            Ok(TokenRequest::Device { code: need("device_code", Kind::DeviceCode)? })
        }
        None => Err(OauthError::new(
            Code::UnsupportedGrantType,
            format!(
                "grant_type '{}' is not known here. Use authorization_code, refresh_token or urn:ietf:params:oauth:grant-type:device_code.",
                shown(grant_type)
            ),
        )),
    }
}

/// What is answered for a code or token that is not found.
pub fn unknown() -> OauthError {
    OauthError::new(Code::InvalidGrant, "The code or token is not one of this server, or was deleted. Authorize again.")
}

/// The token of a revocation or introspection request (RFC 7009 section 2.1, RFC 7662 section 2.1). None for what is no token of ours:
/// answered like an unknown one. `token_type_hint` is not needed, the text tells.
///
/// # Errors
/// `invalid_request` where it is missing or comes twice.
pub fn subject(params: &Params) -> Result<Option<(Kind, Hash)>> {
    params.once()?;
    let text =
        params.get("token").ok_or_else(|| OauthError::new(Code::InvalidRequest, "token is missing. Send it in the form."))?;
    let kinds = [Kind::AccessToken, Kind::RefreshToken];
    Ok(kinds.into_iter().find_map(|kind| opaque::read(kind, text).map(|hash| (kind, hash))))
}

fn may(client: &Client, grant: GrantType) -> Result<()> {
    if client.grant_types.contains(&grant) {
        return Ok(());
    }
    Err(OauthError::new(
        Code::UnauthorizedClient,
        format!("This client did not register the grant type {}. Register again with it.", grant.as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use url::Url;

    use super::*;
    use kernel::{ExposeSecret as _, SeededRandom};

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn public() -> PublicUrl {
        PublicUrl::parse("https://ocore.example").unwrap()
    }
    fn client() -> Client {
        let body = json!({"redirect_uris": ["http://localhost/cb"], "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none"});
        Client::register(body.to_string().as_bytes(), &Schemes::known()).unwrap()
    }
    fn text(pairs: &[(&str, &str)]) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
    fn ask(pairs: &[(&str, &str)]) -> std::result::Result<Authorization, Refused> {
        authorization(&Params::read(&text(pairs)).unwrap(), &client(), &Schemes::known(), &public())
    }
    const GOOD: [(&str, &str); 6] = [
        ("response_type", "code"),
        ("client_id", "oci_a"),
        ("redirect_uri", "http://localhost:5000/cb"),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    fn with(change: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
        GOOD.into_iter().filter(|(n, _)| *n != change.0).chain([change]).collect()
    }

    #[test]
    fn a_request_as_hosts_send_it_passes() {
        let plain = ask(&GOOD).unwrap();
        assert_eq!((plain.redirect.as_str(), plain.state.as_deref()), ("http://localhost:5000/cb", Some("xyz")));
        assert_eq!((plain.scopes.to_string(), plain.resource), ("read write destructive".to_owned(), Resource::Everything));
        let mut whole = GOOD.to_vec();
        whole.extend([
            ("scope", "read offline_access"),
            ("resource", "https://ocore.example/mcp/i/prod"),
            ("prompt", "consent"),
            ("nonce", ""),
        ]);
        let whole = ask(&whole).unwrap();
        assert_eq!(whole.scopes.to_string(), "read offline_access");
        assert_eq!(whole.resource, Resource::Instance("prod".into()));
        // RFC 8707: the one parameter that may be repeated.
        let both = ["https://ocore.example/mcp", "https://ocore.example/api/mcp/stream"].map(|r| ("resource", r));
        assert_eq!(ask(&[&GOOD[..], &both[..]].concat()).unwrap().resource, Resource::Everything);
    }

    #[test]
    fn while_the_redirect_is_not_sure_nothing_is_sent_anywhere() {
        for pairs in [
            with(("redirect_uri", "https://evil.example/cb")),
            with(("redirect_uri", "http://localhost:5000/cb/../evil")),
            with(("redirect_uri", "")),
            [&GOOD[..], &[("redirect_uri", "https://evil.example/cb")]].concat(),
            // Wrong in other ways as well.
            with(("redirect_uri", "https://evil.example/cb")).into_iter().filter(|(n, _)| *n != "code_challenge").collect(),
        ] {
            assert!(matches!(ask(&pairs), Err(Refused::Show(_))), "{pairs:?}");
        }
        let long = "a".repeat(501);
        for pairs in [
            vec![],
            vec![("client_id", "")],
            vec![("client_id", "a"), ("client_id", "b")],
            vec![("client_id", "a\0b")],
            vec![("client_id", "a\nb")],
            vec![("client_id", "\u{e4}")],
            vec![("client_id", &long)],
        ] {
            assert!(client_id(&Params::read(&text(&pairs)).unwrap()).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn the_client_is_told_the_error_with_state_and_issuer() {
        for (change, code) in [
            (("response_type", "token"), Code::UnsupportedResponseType),
            (("response_type", "code id_token"), Code::UnsupportedResponseType),
            (("response_type", ""), Code::UnsupportedResponseType),
            (("response_mode", "fragment"), Code::InvalidRequest),
            (("request", "eyJ"), Code::InvalidRequest),
            (("request_uri", "https://evil.example/r"), Code::InvalidRequest),
            (("code_challenge", ""), Code::InvalidRequest),
            (("code_challenge_method", "plain"), Code::InvalidRequest),
            (("code_challenge_method", ""), Code::InvalidRequest),
            (("scope", "admin"), Code::InvalidScope),
            (("scope", "nothing"), Code::InvalidScope),
            (("resource", "https://evil.example/mcp"), Code::InvalidTarget),
        ] {
            let Err(Refused::Tell { error, host, location }) = ask(&with(change)) else { panic!("{change:?}") };
            assert_eq!((error.code(), host.as_str()), (code, "localhost:5000"), "{change:?}");
            let url = Url::parse(&location).unwrap();
            let pairs: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
            assert!(location.starts_with("http://localhost:5000/cb?error="));
            assert_eq!((pairs["state"].as_str(), pairs["iss"].as_str()), ("xyz", "https://ocore.example"));
        }
        let twice = [&GOOD[..], &[("scope", "read"), ("scope", "write")]].concat();
        assert!(matches!(ask(&twice), Err(Refused::Tell { error, .. }) if error.code() == Code::InvalidRequest));
        let long = "x".repeat(5000);
        let pairs: Vec<_> = GOOD.into_iter().filter(|(n, _)| *n != "state").chain([("state", long.as_str())]).collect();
        assert!(matches!(ask(&pairs), Err(Refused::Tell { location, .. }) if !location.contains("state=")));
    }

    #[test]
    fn token_requests_are_read_by_grant() {
        let make = |kind| opaque::make(kind, &SeededRandom::new(1)).text.expose_secret().to_owned();
        let (code, refresh, access) = (make(Kind::AuthorizationCode), make(Kind::RefreshToken), make(Kind::AccessToken));
        let read = |pairs: &[(&str, &str)], client: &Client| match token(&Params::read(&text(pairs)).unwrap(), client, &public())
        {
            Ok(TokenRequest::Code { .. }) => "code".to_owned(),
            Ok(TokenRequest::Refresh { .. }) => "refresh".to_owned(),
            Ok(TokenRequest::Device { .. }) => "device".to_owned(),
            Err(error) => error.code().to_string(),
        };
        let device = make(Kind::DeviceCode);
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        for (pairs, meant) in [
            (vec![("grant_type", "authorization_code"), ("code", &*code)], "code"),
            (vec![("grant_type", "authorization_code"), ("code", &refresh)], "invalid_grant"),
            (vec![("grant_type", "authorization_code"), ("code", "x")], "invalid_grant"),
            (vec![("grant_type", "authorization_code")], "invalid_request"),
            (vec![("grant_type", "authorization_code"), ("code", &code), ("code", &code)], "invalid_request"),
            (vec![("grant_type", "refresh_token"), ("refresh_token", &refresh)], "refresh"),
            (vec![("grant_type", "refresh_token"), ("refresh_token", &access)], "invalid_grant"),
            (
                vec![("grant_type", "refresh_token"), ("refresh_token", &refresh), ("resource", "https://evil.example")],
                "invalid_target",
            ),
            (vec![("grant_type", grant), ("device_code", &device)], "unauthorized_client"),
            (vec![("grant_type", "password"), ("username", "a"), ("password", "b")], "unsupported_grant_type"),
            (vec![("grant_type", "client_credentials")], "unsupported_grant_type"),
            (vec![("code", &code)], "invalid_request"),
        ] {
            assert_eq!(read(&pairs, &client()), meant, "{pairs:?}");
        }
        assert_eq!(read(&[("grant_type", grant), ("device_code", &device)], &Client::own()), "device");
        assert_eq!(read(&[("grant_type", "authorization_code"), ("code", &code)], &Client::own()), "unauthorized_client");
        let told = |t: &str| subject(&Params::read(&text(&[("token", t), ("token_type_hint", "nonsense")])).unwrap()).unwrap();
        assert_eq!(told(&access), Some((Kind::AccessToken, opaque::hash(&access))));
        assert_eq!(told(&refresh), Some((Kind::RefreshToken, opaque::hash(&refresh))));
        assert_eq!((told(&code), told("x")), (None, None));
    }

    #[test]
    fn only_the_own_command_line_asks_for_admin() {
        let ask = |client: &Client| super::device(&Params::read("scope=read+admin").unwrap(), client, &public());
        assert!(ask(&Client::own()).is_ok());
        let mut foreign = Client { own: false, ..Client::own() };
        assert_eq!(ask(&foreign).unwrap_err().code(), Code::InvalidScope);
        foreign.grant_types.clear();
        assert_eq!(ask(&foreign).unwrap_err().code(), Code::UnauthorizedClient);
        // Nothing that a client says of itself makes it the own one.
        let body = json!({"client_name": "ocore", "redirect_uris": ["http://localhost/cb"], "own": true, "token_endpoint_auth_method": "none"});
        assert!(!Client::register(body.to_string().as_bytes(), &Schemes::known()).unwrap().own);
    }

    #[test]
    fn parameters_are_bounded_and_not_shown_in_logs() {
        assert!(Params::read(&"a=b&".repeat(61)).is_err() && Params::read(&"x".repeat(LONGEST + 1)).is_err());
        let params = Params::read("code_verifier=secret&client_secret=hidden").unwrap();
        let shown = format!("{params:?}");
        assert!(shown.contains("code_verifier") && !shown.contains("hidden") && !shown.contains("secret\","), "{shown}");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_the_browser_goes_to_the_registered_redirect_or_nowhere(pairs in proptest::collection::vec(
            (prop::sample::select(vec!["response_type", "redirect_uri", "state", "scope", "resource", "code_challenge", "code_challenge_method", "iss", "code"]), ".{0,20}"), 0..8)) {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| (*n, v.as_str())).chain(GOOD.into_iter().filter(|(n, _)| *n == "redirect_uri")).collect();
            match ask(&pairs) {
                Ok(passed) => prop_assert_eq!(passed.redirect.as_str(), "http://localhost:5000/cb"),
                Err(Refused::Show(_)) => {}
                Err(Refused::Tell { location, .. }) => {
                    let url = Url::parse(&location).unwrap();
                    prop_assert_eq!((url.host_str(), url.port(), url.path()), (Some("localhost"), Some(5000), "/cb"));
                    prop_assert_eq!(url.query_pairs().filter(|(n, _)| n == "iss").count(), 1);
                    prop_assert_eq!(url.query_pairs().filter(|(n, _)| n == "code").count(), 0);
                }
            }
        }
    }
}
