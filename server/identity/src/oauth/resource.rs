//! What a token is for: resource indicators (RFC 8707) and the audience rules of ocore's URLs.
//!
//! There are two kinds of protected resource. `{public_url}/mcp` with its aliases, and `{public_url}/mcp/i/{slug}` for one instance. A
//! token for one is refused by every other, so what a person consented to for one instance cannot be carried to all of them.
use url::{Url, form_urlencoded};

use crate::oauth::error::{Code, OauthError, Result, shown};

/// The URL that people know ocore by, and the issuer of its tokens: scheme, host, port and perhaps a path, without a slash at the end.
/// Never changed once read: clients compare the issuer byte by byte (RFC 8414 section 3.3, RFC 9207 section 2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    origin: String,
    path: String,
}
impl PublicUrl {
    /// None where the text is no http or https URL, or has a user, a query or a fragment.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        if !plain || url.query().is_some() || url.fragment().is_some() || url.path().contains('%') {
            return None;
        }
        let path = url.path().trim_end_matches('/').to_owned();
        let origin = url.origin().ascii_serialization();
        Some(Self { text: format!("{origin}{path}"), origin, path })
    }
    /// The issuer, and the text before every path.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }
    /// Empty, or a path with a slash before and none after.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// `path` starts with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

/// The audience of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `/mcp` and its aliases: every instance that the key sees.
    Everything,
    /// `/mcp/i/{slug}` alone.
    Instance(String),
}
impl Resource {
    /// The identifier that is stored with a token and told by introspection.
    pub fn uri(&self, public: &PublicUrl) -> String {
        match self {
            Self::Everything => public.join("/mcp"),
            Self::Instance(slug) => public.join(&format!("/mcp/i/{slug}")),
        }
    }

    /// The resource that a request's path belongs to; `path` without the path of the public URL, as it stood in the request. None for
    /// paths that no OAuth token opens: their façades take API keys or sessions.
    pub fn of_path(path: &str) -> Option<Self> {
        match path {
            "/mcp" | "/mcp/sse" | "/mcp/messages" | "/api/mcp" => Some(Self::Everything),
            _ => match (path.strip_prefix("/mcp/i/"), path.strip_prefix("/api/mcp/")) {
                (Some(slug), _) => is_slug(slug).then(|| Self::Instance(slug.to_owned())),
                (_, Some(rest)) => is_segments(rest).then_some(Self::Everything),
                _ => None,
            },
        }
    }

    /// What the `resource` parameters of a request mean. None given means `{public_url}/mcp`: old clients do not send it. The origin
    /// alone means the same, and so does a slash at the end: some clients make these of the URL they were given. `?instances=` and
    /// `?categories=`, which narrow a URL, name no other resource.
    ///
    /// # Errors
    /// `invalid_target` for what is no resource of this server, and where two different ones are asked for: a token has one audience.
    pub fn asked<'a>(public: &PublicUrl, values: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut found = None;
        for value in values.into_iter().filter(|v| !v.is_empty()) {
            let this = Self::read(public, value).ok_or_else(|| {
                OauthError::new(
                    Code::InvalidTarget,
                    format!(
                        "resource '{}' is no resource of this server. Send the URL that the client connects to, {}, or leave it out.",
                        shown(value),
                        public.join("/mcp")
                    ),
                )
            })?;
            if found.as_ref().is_some_and(|f| *f != this) {
                return Err(OauthError::new(
                    Code::InvalidTarget,
                    "Several resources are asked for, and a token is for one. Authorize once for each.",
                ));
            }
            found = Some(this);
        }
        Ok(found.unwrap_or(Self::Everything))
    }

    /// From the store.
    pub fn stored(public: &PublicUrl, uri: &str) -> Option<Self> {
        Self::of_path(uri.strip_prefix(public.as_str())?)
    }

    fn read(public: &PublicUrl, value: &str) -> Option<Self> {
        // What a parser would rewrite does not name a resource: escapes, dot segments, other slashes.
        if value.len() > 500 || value.contains(['%', '\\', '#', '@']) || value.contains("/.") || !value.is_ascii() {
            return None;
        }
        let url = Url::parse(value).ok()?;
        if url.origin().ascii_serialization() != public.origin || url.query().is_some_and(|q| !narrows(q)) {
            return None;
        }
        let path = url.path();
        if path == "/" {
            return Some(Self::Everything);
        }
        let rest = path.strip_prefix(public.path())?;
        match rest.strip_suffix('/').unwrap_or(rest) {
            "" => Some(Self::Everything),
            path => Self::of_path(path),
        }
    }
}

/// Whether a query holds only the parameters that narrow an MCP URL.
pub fn narrows(query: &str) -> bool {
    query.len() <= 1_000 && form_urlencoded::parse(query.as_bytes()).all(|(name, _)| name == "instances" || name == "categories")
}

/// As in the kernel: at most 24 of `[a-z0-9-]`, a letter or digit at both ends.
fn is_slug(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= 24
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
}

fn is_segments(text: &str) -> bool {
    text.split('/').all(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public() -> PublicUrl {
        PublicUrl::parse("https://ocore.example").unwrap()
    }
    fn one(slug: &str) -> Resource {
        Resource::Instance(slug.to_owned())
    }

    #[test]
    fn public_urls_have_one_form() {
        for (text, form, path) in [
            ("https://ocore.example", "https://ocore.example", ""),
            ("https://OCORE.example:443/", "https://ocore.example", ""),
            ("http://localhost:8080", "http://localhost:8080", ""),
            ("https://ocore.example/a/b/", "https://ocore.example/a/b", "/a/b"),
        ] {
            let url = PublicUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.path()), (form, path));
        }
        for bad in [
            "",
            "ocore.example",
            "ftp://ocore.example",
            "https://u@ocore.example",
            "https://ocore.example?x",
            "https://ocore.example#x",
        ] {
            assert!(PublicUrl::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_for_mcp_serves_its_aliases_and_no_single_instance_nor_the_reverse() {
        for path in ["/mcp", "/mcp/sse", "/mcp/messages", "/api/mcp", "/api/mcp/stream", "/api/mcp/sse", "/api/mcp/messages"] {
            assert_eq!(Resource::of_path(path), Some(Resource::Everything), "{path}");
        }
        assert_eq!(Resource::of_path("/mcp/i/prod-eu"), Some(one("prod-eu")));
        assert_ne!(Resource::of_path("/mcp/i/prod"), Resource::of_path("/mcp/i/prod-eu"));
        for path in [
            "",
            "/",
            "/mcp/",
            "/mcp/i",
            "/mcp/i/",
            "/mcp/i/prod/",
            "/mcp/i/prod/x",
            "/mcp/i/../x",
            "/mcp/i/PROD",
            "/mcp/i/-x",
            "/mcp/i/%70rod",
            "/mcp/i/aaaaaaaaaaaaaaaaaaaaaaaaa",
            "/mcpx",
            "/MCP",
            "/api/mcp/",
            "/api/mcp/../v1/users",
            "/api/mcp/%2e%2e/v1",
            "/api/mcp//x",
            "/api/v1/users",
            "/api/i/prod/jsonrpc",
            "/authorize",
        ] {
            assert_eq!(Resource::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn resources_are_read_as_clients_send_them() {
        let public = public();
        for (value, meant) in [
            ("https://ocore.example/mcp", Resource::Everything),
            ("https://ocore.example/mcp/", Resource::Everything),
            ("https://ocore.example", Resource::Everything),
            ("https://ocore.example/", Resource::Everything),
            ("https://OCORE.example:443/mcp", Resource::Everything),
            ("https://ocore.example/api/mcp/stream", Resource::Everything),
            ("https://ocore.example/mcp?instances=a,b&categories=orm", Resource::Everything),
            ("https://ocore.example/mcp/i/prod", one("prod")),
        ] {
            assert_eq!(Resource::asked(&public, [value]).unwrap(), meant, "{value}");
        }
        assert_eq!(Resource::asked(&public, []).unwrap(), Resource::Everything);
        assert_eq!(Resource::asked(&public, [""]).unwrap(), Resource::Everything);
        let both = ["https://ocore.example/mcp", "https://ocore.example/api/mcp/sse"];
        assert_eq!(Resource::asked(&public, both).unwrap(), Resource::Everything, "two names of one resource");
    }

    #[test]
    fn foreign_and_twisted_resources_are_refused() {
        for value in [
            "https://evil.example/mcp",
            "http://ocore.example/mcp",
            "https://ocore.example:8443/mcp",
            "https://ocore.example.evil.example/mcp",
            "https://ocore.example@evil.example/mcp",
            "https://ocore.example/mcp#x",
            "https://ocore.example/mcp?x=1",
            "https://ocore.example/MCP",
            "https://ocore.example/mcpx",
            "https://ocore.example/x/../mcp",
            "https://ocore.example/%6dcp",
            "https://ocore.example/mcp/i/prod/x",
            "https://ocore.example/api/v1",
            "https://ocore.example\\mcp",
            "urn:ocore",
            "/mcp",
            "mcp",
        ] {
            assert_eq!(Resource::asked(&public(), [value]).unwrap_err().code(), Code::InvalidTarget, "{value}");
        }
        let two = ["https://ocore.example/mcp", "https://ocore.example/mcp/i/prod"];
        assert_eq!(Resource::asked(&public(), two).unwrap_err().code(), Code::InvalidTarget);
        assert!(Resource::asked(&public(), ["https://ocore.example/mcp", "https://evil.example/mcp"]).is_err());
    }

    #[test]
    fn a_public_url_with_a_path_keeps_it_before_every_resource() {
        let public = PublicUrl::parse("https://example.com/ocore").unwrap();
        assert_eq!(Resource::asked(&public, ["https://example.com/ocore/mcp/i/a"]).unwrap(), one("a"));
        assert_eq!(Resource::asked(&public, ["https://example.com/ocore"]).unwrap(), Resource::Everything);
        assert!(Resource::asked(&public, ["https://example.com/mcp"]).is_err());
        assert!(Resource::asked(&public, ["https://example.com/ocorex/mcp"]).is_err());
        assert_eq!(one("a").uri(&public), "https://example.com/ocore/mcp/i/a");
    }

    proptest! {
        #[test]
        fn identifiers_come_back(slug in "[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?") {
            for resource in [Resource::Everything, one(&slug)] {
                let uri = resource.uri(&public());
                prop_assert_eq!(Resource::stored(&public(), &uri), Some(resource.clone()));
                prop_assert_eq!(Resource::asked(&public(), [&*uri]).unwrap(), resource);
            }
        }

        #[test]
        fn strangers_texts_never_panic_nor_name_another_server(text in ".{0,60}") {
            if let Some(found) = Resource::read(&public(), &text) {
                prop_assert!(text.to_ascii_lowercase().starts_with("https:"), "{} {:?}", text, found);
            }
        }

        #[test]
        fn one_audience_never_serves_another(a in "/(mcp|api/mcp)(/i)?(/[a-c]{1,2})?", b in "/(mcp|api/mcp)(/i)?(/[a-c]{1,2})?") {
            if let (Some(Resource::Instance(x)), Some(other)) = (Resource::of_path(&a), Resource::of_path(&b)) {
                prop_assert_eq!(other == Resource::Instance(x), a == b);
            }
        }
    }
}
