//! Signing in at a real OpenID provider: the real program, the provider's own pages, roles by groups; and what attackers try.
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::{StatusCode, Url};

use crate::{
    harness::{Ocore, cannot_run, run},
    impersonation::{Browser, Page},
};

const PASSWORD: &str = "correct horse battery";
const SECRET: &str = "a secret that is long enough";

/// A provider at which ada, bob and eve sign in, and an ocore that knows it.
struct World {
    ocore: Ocore,
    issuer: String,
    port: u16,
    client: reqwest::Client,
    provider: Child,
    _folder: tempfile::TempDir,
}
impl Drop for World {
    fn drop(&mut self) {
        let _ = self.provider.kill();
        let _ = self.provider.wait();
    }
}

fn certificate(folder: &Path) {
    let done = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .expect("openssl runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

impl World {
    /// None, and the reason printed, where no provider is installed.
    fn new() -> Option<Self> {
        let Ok(installed) = std::env::var("OCORE_TEST_OPENID") else {
            cannot_run("OCORE_TEST_OPENID is not set; it is what tests/openid/setup prints");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        certificate(folder.path());
        // The provider must know where it sends people back to before ocore runs there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let mut provider = Command::new(format!("{installed}/node_modules/.bin/node"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/openid/provider.mjs"))
            .arg(folder.path())
            .args([installed.as_str(), "localhost", &format!("http://localhost:{port}/openid/company/callback")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the provider starts");
        let mut line = String::new();
        BufReader::new(provider.stdout.take().expect("stdout")).read_line(&mut line).expect("its port");
        let issuer = format!("https://localhost:{}", line.trim());

        let mut ocore = Ocore::new();
        let certificate = folder.path().join("cert.pem");
        ocore.env("SSL_CERT_FILE", certificate.to_str().expect("a path"));
        ocore.cli(&["org", "create", "other"], "").ok();
        for (email, role) in [("bob@example.com", "member"), ("owner@example.com", "owner")] {
            let args = ["user", "create", "--email", email, "--org", "acme", "--role", role, "--password-stdin"];
            ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        }
        let secret = ocore.data.path().join("company.secret");
        std::fs::write(&secret, format!("{SECRET}\n")).expect("a file");
        let settings = format!(
            "[[openid]]\nslug = \"company\"\nname = \"Example Ltd\"\nissuer = \"{issuer}\"\nclient_id = \"basic\"\n\
             client_secret_file = \"{}\"\nscopes = [\"email\", \"profile\", \"groups\"]\ngroups_claim = \"groups\"\ncreate = true\n\
             groups = [\n  {{ group = \"staff\", organization = \"acme\", role = \"member\" }},\n  \
             {{ group = \"admins\", organization = \"acme\", role = \"admin\" }},\n  \
             {{ group = \"nobody\", organization = \"other\", role = \"owner\" }},\n]\n",
            secret.display()
        );
        std::fs::write(ocore.data.path().join("ocore.toml"), settings).expect("a file");
        let pem = std::fs::read(certificate).expect("a certificate");
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a certificate")])
            .build()
            .expect("a client");
        Some(Self { ocore, issuer, port, client, provider, _folder: folder })
    }
    fn serving(mut self) -> Self {
        self.ocore.serve_at(&format!("127.0.0.1:{}", self.port));
        self
    }
    fn browser(&self) -> Browser {
        Browser::new(self.port)
    }

    /// Signs somebody in at the provider by its pages' forms; gives the address with which the browser is sent back.
    async fn at_provider(&self, url: &str, login: &str) -> String {
        let mut cookies = BTreeMap::<String, String>::new();
        let (mut at, mut form) = (Url::parse(url).expect("a URL"), None::<String>);
        for _ in 0..12 {
            let request = match form.take() {
                Some(form) => self.client.post(at.clone()).header("content-type", "application/x-www-form-urlencoded").body(form),
                None => self.client.get(at.clone()),
            };
            let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let response = request.header("cookie", jar.join("; ")).send().await.expect("an answer");
            for cookie in response.headers().get_all("set-cookie") {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            if let Some(to) = response.headers().get("location") {
                at = at.join(to.to_str().unwrap()).unwrap();
                if at.scheme() == "http" {
                    return at.into();
                }
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
    /// The whole way of a sign-in, and the page at its end.
    async fn sign_in(&self, browser: &mut Browser, login: &str, next: &str) -> Page {
        let left = browser.get(&browser.ocore(&format!("/openid/company?next={next}"))).await;
        assert!(left.location().starts_with(&self.issuer), "{}", left.text);
        let back = self.at_provider(left.location(), login).await;
        browser.get(&back).await
    }
    async fn password(&self, browser: &mut Browser, email: &str) {
        let csrf = browser.get(&browser.ocore("/sign-in")).await.hidden("csrf");
        let fields = [("csrf", csrf.as_str()), ("email", email), ("password", PASSWORD)];
        assert_eq!(browser.form(&browser.ocore("/sign-in"), &fields).await.status, StatusCode::SEE_OTHER);
    }
    /// The address of who is signed in.
    async fn who(&self, browser: &mut Browser) -> Option<String> {
        let page = browser.get(&browser.ocore("/account")).await;
        let at = page.text.find("<bdi>").filter(|_| page.status == StatusCode::OK)?;
        ["ada@example.com", "bob@example.com", "owner@example.com"]
            .into_iter()
            .find(|email| page.text[at..].to_lowercase().contains(email))
            .map(str::to_owned)
    }
    fn log(&self, action: &str) -> Vec<serde_json::Value> {
        let all = self.ocore.cli(&["audit", "log", "--limit", "200", "--json"], "").ok().json();
        let rows = all.as_array().or_else(|| all["rows"].as_array()).cloned().unwrap_or_default();
        rows.into_iter().filter(|row| row["action"] == action).collect()
    }
    fn role(&self, org: &str, email: &str) -> Option<String> {
        let members = self.ocore.cli(&["user", "list", "--org", org, "--json"], "").ok().json();
        let members = members.as_array().expect("members").clone();
        let found = members.iter().find(|m| m["email"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(email)))?;
        found["role"].as_str().map(str::to_owned)
    }
}

#[test]
fn somebody_new_comes_in_with_the_roles_of_their_groups() {
    let Some(world) = World::new() else { return };
    let checked = world.ocore.cli(&["openid", "check"], "").ok().stdout;
    assert!(checked.contains("ready") && checked.contains("/openid/company/callback"), "{checked}");
    let world = world.serving();
    run(async {
        let mut ada = world.browser();
        let page = ada.get(&ada.ocore("/sign-in?next=/sessions")).await;
        assert!(page.text.contains("href=\"/openid/company?next=%2Fsessions\""), "{}", page.text);
        assert!(page.text.contains("Example Ltd"), "{}", page.text);
        let page = world.sign_in(&mut ada, "ada", "/sessions").await;
        assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "/sessions"), "{}", page.text);
        assert_eq!(world.who(&mut ada).await.as_deref(), Some("ada@example.com"));
        // The highest of two groups.
        assert_eq!(world.role("acme", "ada@example.com").as_deref(), Some("admin"));
        assert_eq!(world.role("other", "ada@example.com"), None);
        let made = world.log("user.create");
        assert!(made.iter().any(|row| row["detail"]["subject"] == "ada"), "{made:?}");
        assert!(!world.log("member.role").is_empty());

        // Again: the same person; and what the provider's groups no longer give is gone.
        let args = ["user", "update", "ada@example.com", "--org", "other", "--role", "viewer"];
        world.ocore.cli(&args, "").ok();
        world.ocore.cli(&["user", "update", "ada@example.com", "--org", "acme", "--role", "viewer"], "").ok();
        let mut again = world.browser();
        let page = world.sign_in(&mut again, "ada", "/").await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        assert_eq!(world.role("acme", "ada@example.com").as_deref(), Some("admin"));
        assert_eq!(world.role("other", "ada@example.com"), None, "the provider decides about organizations that it maps");

        // No password: the provider is the only way, and stays.
        let page = again.get(&again.ocore("/account")).await;
        assert!(page.text.contains("Your only way to sign in"), "{}", page.text);

        // Disabled is disabled, however somebody comes.
        world.ocore.cli(&["user", "update", "ada@example.com", "--disable"], "").ok();
        let mut gone = world.browser();
        let page = world.sign_in(&mut gone, "ada", "/").await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("disabled"), "{}", page.text);
        assert_eq!(world.who(&mut gone).await, None);

        // An address that the provider did not verify is nobody's.
        let mut eve = world.browser();
        let page = world.sign_in(&mut eve, "eve", "/").await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("verified"), "{}", page.text);
        assert_eq!(world.who(&mut eve).await, None);
    });
    let said = world.ocore.log();
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn an_account_is_linked_by_its_person_alone() {
    let Some(world) = World::new() else { return };
    let world = world.serving();
    run(async {
        // The same address is no proof: whoever had it confirmed at some provider would have the account.
        let mut bob = world.browser();
        let page = world.sign_in(&mut bob, "bob", "/").await;
        assert!(
            page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("account with your e-mail"),
            "{}",
            page.text
        );
        assert_eq!(world.who(&mut bob).await, None);

        world.password(&mut bob, "bob@example.com").await;
        let csrf = bob.get(&bob.ocore("/account")).await.hidden("csrf");
        let link = |password: &str| {
            vec![("csrf", csrf.clone()), ("provider", "company".to_owned()), ("confirm_company", password.to_owned())]
        };
        let post = async |browser: &mut Browser, fields: Vec<(&'static str, String)>| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            browser.form(&browser.ocore("/account/link"), &fields).await
        };
        let page = post(&mut bob, link("not my password")).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("not your password"), "{}", page.text);
        let page = bob.get(&bob.ocore("/account/link")).await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "never by a link of somebody else's");
        let page = post(&mut bob, link(PASSWORD)).await;
        let away = page.text.split("url=").nth(1).expect("a way on").split('"').next().unwrap().replace("&amp;", "&");
        let away = away.replace("&#38;", "&");
        assert!(away.starts_with(&world.issuer), "{}", page.text);
        let back = world.at_provider(&away, "bob").await;

        // Another browser cannot bring it home, also with a session of somebody else.
        let mut other = world.browser();
        world.password(&mut other, "owner@example.com").await;
        let page = other.get(&back).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("another browser"), "{}", page.text);
        let page = bob.get(&back).await;
        assert_eq!(page.location(), "/account?done=linked", "{}", page.text);
        assert_eq!(world.log("user.link").len(), 1);
        let page = bob.get(&back).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY, "an answer counts once: {}", page.text);

        let mut fresh = world.browser();
        let page = world.sign_in(&mut fresh, "bob", "/").await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        assert_eq!(world.who(&mut fresh).await.as_deref(), Some("bob@example.com"));
        // bob is in none of the groups: the provider took the membership that it maps.
        assert_eq!(world.role("acme", "bob@example.com"), None);

        // What begins a link in one session does not end in another person's.
        let csrf = other.get(&other.ocore("/account")).await.hidden("csrf");
        let fields = vec![("csrf", csrf), ("provider", "company".to_owned()), ("confirm_company", PASSWORD.to_owned())];
        let page = post(&mut other, fields).await;
        let away = page.text.split("url=").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
        let back = world.at_provider(&away, "bob").await;
        let page = other.get(&back).await;
        assert!(page.text.contains("belongs to another person"), "{}", page.text);

        // Taken away again, and the way is shut.
        let page = bob.get(&bob.ocore("/account")).await;
        let (csrf, id) = (page.hidden("csrf"), page.hidden("provider"));
        let page = bob.form(&bob.ocore("/account/unlink"), &[("csrf", &csrf), ("provider", &id)]).await;
        assert_eq!(page.location(), "/account?done=unlinked", "{}", page.text);
        assert_eq!(world.who(&mut fresh).await, None, "what it opened is ended");
        let page = world.sign_in(&mut world.browser(), "bob", "/").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text);
    });
}

#[test]
fn answers_of_a_provider_are_for_who_asked_and_count_once() {
    let Some(world) = World::new() else { return };
    let world = world.serving();
    run(async {
        // Somebody else's answer signs nobody in: neither without the cookie nor with another's.
        let mut ada = world.browser();
        let left = ada.get(&ada.ocore("/openid/company")).await;
        let back = world.at_provider(left.location(), "ada").await;
        let mut victim = world.browser();
        let page = victim.get(&back).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("another browser"), "{}", page.text);
        victim.get(&victim.ocore("/openid/company")).await;
        let page = victim.get(&back).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text);
        assert_eq!(world.who(&mut victim).await, None);
        let page = ada.get(&back).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        let page = ada.get(&back).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text);

        let begin = async |browser: &mut Browser| {
            let left = browser.get(&browser.ocore("/openid/company")).await;
            world.at_provider(left.location(), "ada").await
        };
        let mut stranger = world.browser();
        for (what, change) in [
            ("another code", ("code=", "code=x")),
            ("another state", ("state=", "state=x")),
            ("another issuer", ("iss=", "iss=x")),
            ("no issuer", ("iss=", "was_iss=")),
            ("a code twice", ("?code=", "?code=y&code=")),
        ] {
            let back = begin(&mut stranger).await;
            let (from, to) = change;
            assert!(back.contains(from), "{back}");
            let page = stranger.get(&back.replacen(from, to, 1)).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {}", page.text);
            assert_eq!(world.who(&mut stranger).await, None, "{what}");
        }
        let back = begin(&mut stranger).await;
        let page = stranger.get(&back.replace("/openid/company/", "/openid/elsewhere/")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.text);
        for bad in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
            let page = world.sign_in(&mut world.browser(), "ada", bad).await;
            assert_eq!(page.location(), "/", "{bad}: {}", page.text);
        }
        let refused = stranger.get(&stranger.ocore("/openid/company/callback?error=access_denied&state=x")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    });
}
