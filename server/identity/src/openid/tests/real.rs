//! The whole way at a real provider, as a browser goes it.
use std::{collections::BTreeMap, process::Stdio, time::Duration};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::*;

const BACK: &str = "https://ocore.example/openid/real/callback";

/// A provider, and the browser of a person who signs in there.
struct Real {
    issuer: String,
    authority: Authority,
    /// Ends with its standard input, when this is dropped.
    _process: tokio::process::Child,
    _folder: tempfile::TempDir,
}
impl Real {
    /// None, and the reason printed, where no provider is installed.
    async fn start() -> Option<Self> {
        let Ok(installed) = std::env::var("OCORE_TEST_OPENID") else {
            assert!(std::env::var_os("OCORE_TEST_REQUIRE").is_none(), "OCORE_TEST_OPENID is not set");
            eprintln!("skipped: OCORE_TEST_OPENID is not set; it is what tests/openid/setup prints");
            return None;
        };
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let (certificate, key) = authority.certificate(&["op.example"]);
        tokio::fs::write(folder.path().join("cert.pem"), certificate.pem()).await.unwrap();
        tokio::fs::write(folder.path().join("key.pem"), key.serialize_pem()).await.unwrap();
        let mut process = tokio::process::Command::new(format!("{installed}/node_modules/.bin/node"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/openid/provider.mjs"))
            .arg(folder.path())
            .arg(&installed)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await.unwrap().unwrap().unwrap();
        Some(Self { issuer: format!("https://op.example:{port}"), authority, _process: process, _folder: folder })
    }
    fn providers(&self, change: impl FnOnce(&mut Settings)) -> Providers {
        let mut settings = Settings {
            client_id: "basic".into(),
            client_secret: Some("a secret that is long enough".to_owned().into()),
            scopes: ["email", "profile", "groups"].map(str::to_owned).into(),
            groups_claim: Some("groups".into()),
            ..settings("real", &self.issuer)
        };
        change(&mut settings);
        let networks = Networks::new(vec!["127.0.0.1/32".parse().unwrap()]);
        let fetch = Fetch::testing(networks, &[self.authority.der()], |_| vec![HERE]).unwrap();
        Providers::testing(Provider::all(vec![settings]).unwrap(), fetch, Sources::system())
    }

    /// Signs somebody in at the provider and consents, by its pages' forms; gives the query with which the browser is sent back.
    async fn browse(&self, url: &str, login: &str) -> String {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([reqwest::Certificate::from_der(&self.authority.der()).unwrap()])
            .resolve("op.example", (HERE, 0).into())
            .build()
            .unwrap();
        let mut cookies: BTreeMap<String, String> = BTreeMap::new();
        let (mut at, mut form) = (Url::parse(url).unwrap(), None::<String>);
        for _ in 0..12 {
            let mut request = match form.take() {
                Some(form) => client.post(at.clone()).header("content-type", "application/x-www-form-urlencoded").body(form),
                None => client.get(at.clone()),
            };
            let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", jar.join("; "));
            let response = request.send().await.unwrap();
            for cookie in response.headers().get_all("set-cookie") {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                if value.is_empty() {
                    cookies.remove(name)
                } else {
                    cookies.insert(name.to_owned(), value.to_owned())
                };
            }
            if let Some(to) = response.headers().get("location") {
                let to = at.join(to.to_str().unwrap()).unwrap();
                if to.as_str().starts_with(BACK) {
                    return to.query().unwrap().to_owned();
                }
                at = to;
                continue;
            }
            let page = response.text().await.unwrap();
            let action = page.split("action=\"").nth(1).unwrap_or_else(|| panic!("no form: {page}")).split('"').next().unwrap();
            at = at.join(action).unwrap();
            let prompt = if page.contains("value=\"login\"") { "login" } else { "consent" };
            form = Some(format!("prompt={prompt}&login={login}&password=x"));
        }
        panic!("it went round and round at {at}")
    }

    async fn sign_in(&self, providers: &Providers, login: &str) -> (Browser, Pending, String) {
        let browser = Browser::new(&Sources::system());
        let begun = providers.begin(providers.find("real").unwrap(), BACK, &browser).await.unwrap();
        let query = self.browse(begun.url.expose_secret(), login).await;
        (browser, Pending { provider: "real".into(), secrets: begun.secrets }, query)
    }
}

#[tokio::test]
async fn people_sign_in_at_a_real_provider() {
    let Some(real) = Real::start().await else { return };
    for (client, secret) in [("basic", true), ("post", true), ("public", false), ("eddsa", true)] {
        let providers = real.providers(|s| {
            s.client_id = client.into();
            s.client_secret = s.client_secret.take().filter(|_| secret);
        });
        let provider = providers.find("real").unwrap();
        let (browser, pending, query) = real.sign_in(&providers, "ada").await;
        let callback = Callback::read(&query).unwrap();
        assert!(query.contains("iss="), "it names itself (RFC 9207)");
        let claims =
            providers.finish(provider, callback, pending, Some(&browser)).await.unwrap_or_else(|e| panic!("{client}: {e}"));
        assert_eq!(
            claims,
            Claims {
                issuer: real.issuer.clone(),
                subject: "ada".into(),
                email: Some("Ada@Example.com".into()),
                email_verified: true,
                name: Some("Ada Lovelace".into()),
                groups: vec!["staff".into(), "admins".into()],
            }
        );
    }
}

#[tokio::test]
async fn a_real_provider_takes_no_code_twice_and_not_with_another_verifier() {
    let Some(real) = Real::start().await else { return };
    let providers = real.providers(|_| {});
    let provider = providers.find("real").unwrap();
    let finish = async |query: &str, pending, browser: &Browser| {
        providers.finish(provider, Callback::read(query).unwrap(), pending, Some(browser)).await
    };
    // A code of one sign-in, put into the answer to another: PKCE stops it.
    let (_, _, stolen) = real.sign_in(&providers, "ada").await;
    let (browser, pending, query) = real.sign_in(&providers, "eve").await;
    let part = |query: &str, name: &str| query.split('&').find(|p| p.starts_with(name)).unwrap().to_owned();
    let mixed = query.replace(&part(&query, "code="), &part(&stolen, "code="));
    assert_ne!(mixed, query);
    assert_eq!(finish(&mixed, pending, &browser).await, Err(SignInError::Token("invalid_grant".into())));

    let (browser, pending, query) = real.sign_in(&providers, "eve").await;
    let again = Pending { secrets: pending.secrets.expose_secret().to_owned().into(), provider: pending.provider.clone() };
    let claims = finish(&query, pending, &browser).await.unwrap();
    assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("ada@example.com"), false));
    let taken =
        Provider::try_from(Settings { email_domains: vec!["example.com".into()], ..settings("real", &real.issuer) }).unwrap();
    assert_eq!(admit(&taken, &claims, Seen::default()), Admit::Refused(Why::Unverified));
    assert_eq!(
        finish(&query, again, &browser).await,
        Err(SignInError::Token("invalid_grant".into())),
        "even had the store kept it"
    );
}

#[tokio::test]
async fn what_a_real_provider_signs_with_the_client_secret_is_refused() {
    let Some(real) = Real::start().await else { return };
    let providers = real.providers(|s| s.client_id = "hmac".into());
    let (browser, pending, query) = real.sign_in(&providers, "ada").await;
    let callback = Callback::read(&query).unwrap();
    let result = providers.finish(providers.find("real").unwrap(), callback, pending, Some(&browser)).await;
    assert_eq!(result, refused(TokenFlaw::Algorithm));
    let wrong = real.providers(|s| s.client_secret = Some("another secret, just as long".to_owned().into()));
    let (browser, pending, query) = real.sign_in(&wrong, "ada").await;
    let result = wrong.finish(wrong.find("real").unwrap(), Callback::read(&query).unwrap(), pending, Some(&browser)).await;
    assert_eq!(result, Err(SignInError::Token("invalid_client".into())));
}
