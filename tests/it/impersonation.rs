//! Visits to real Odoos as one of their users: the link, the sign-in, the host name of the instance, and everything that must not work.
use std::{collections::BTreeMap, net::TcpListener, process::Command, time::Duration};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    clients::{clients, in_chromium},
    harness::{Mcp, Ocore, Odoo, Own, Reply, run},
};

pub const PASSWORD: &str = "correct horse battery";
const REASON: &str = "The clerk cannot find an invoice";

/// An ocore with host names for its instances, two people, and a user of Odoo's to act as.
pub struct World {
    pub odoo: Odoo,
    pub ocore: Ocore,
    /// Ann's own key.
    mcp: Mcp,
    pub clerk: i64,
    pub port: u16,
}
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}
pub fn world(version: u16, area: &'static str) -> Option<World> {
    Some(world_of(Odoo::fresh(version, area)?))
}
fn world_of(odoo: Odoo) -> World {
    let (mut ocore, clerk, port) = with_visits(&odoo);
    for person in ["ann", "bob"] {
        let email = format!("{person}@example.com");
        let args = ["user", "create", "--email", &email, "--org", "acme", "--role", "admin", "--password-stdin"];
        ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
    }
    ocore.serve_at(&format!("127.0.0.1:{port}"));
    let mcp = ocore.key(&["--owner", "ann@example.com"]).on(odoo.version);
    World { odoo, ocore, mcp, clerk, port }
}
/// An ocore with host names for its instances, the id of a user of Odoo's to act as, and the port to serve at; nothing runs yet.
pub fn with_visits(odoo: &Odoo) -> (Ocore, i64, u16) {
    odoo.user("clerk", "clerk-password", &["base.group_user", "base.group_partner_manager"]);
    let clerk = odoo.sql("SELECT id FROM res_users WHERE login = 'clerk'").trim().parse().expect("an id");
    let port = free_port();
    let mut ocore = Ocore::new();
    ocore.env("OCORE_PUBLIC_URL", &format!("http://localhost:{port}"));
    ocore.env("OCORE_PROXY_DOMAIN", "odoo.localhost");
    ocore.cli(&["server", "update", "host", "--org", "acme", "--docker", "unix:///var/run/docker.sock"], "").ok();
    ocore.instance("dev", odoo, &["--container", &odoo.container]).ok();
    (ocore, clerk, port)
}

/// What a browser is to a server: cookies per host, no redirects followed.
pub struct Browser {
    client: reqwest::Client,
    port: u16,
    pub cookies: BTreeMap<(String, String), String>,
    /// What a reverse proxy says of its address, in `X-Forwarded-For`.
    pub forwarded_for: Option<String>,
}
pub struct Page {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub text: String,
}
impl Page {
    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
    pub fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let at = self.text.find(&start).unwrap_or_else(|| panic!("no {name} in {}", self.text)) + start.len();
        self.text[at..].split('"').next().unwrap().to_owned()
    }
}
impl Browser {
    pub fn new(port: u16) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let here = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        for host in ["localhost", "dev.odoo.localhost", "other.odoo.localhost", "odoo.localhost"] {
            builder = builder.resolve(host, here);
        }
        Self { client: builder.build().unwrap(), port, cookies: BTreeMap::new(), forwarded_for: None }
    }
    pub fn ocore(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }
    fn dev(&self, path: &str) -> String {
        format!("http://dev.odoo.localhost:{}{path}", self.port)
    }
    async fn send(&mut self, method: Method, url: &str, headers: &[(&str, &str)], body: Option<String>) -> Page {
        let host = url.split('/').nth(2).unwrap().split(':').next().unwrap().to_owned();
        let jar: Vec<String> =
            self.cookies.iter().filter(|((of, _), _)| *of == host).map(|((_, name), value)| format!("{name}={value}")).collect();
        let mut request = self.client.request(method, url);
        if !jar.is_empty() {
            request = request.header(header::COOKIE, jar.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(address) = &self.forwarded_for {
            request = request.header("x-forwarded-for", address);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            assert_ne!(name, "session_id", "the session of Odoo stays with ocore: {url}");
            if text.contains("Max-Age=0") {
                self.cookies.remove(&(host.clone(), name.to_owned()));
            } else {
                self.cookies.insert((host.clone(), name.to_owned()), value.to_owned());
            }
        }
        Page { status: response.status(), headers: response.headers().clone(), text: response.text().await.unwrap_or_default() }
    }
    pub async fn get(&mut self, url: &str) -> Page {
        self.send(Method::GET, url, &[("accept", "text/html")], None).await
    }
    pub async fn form(&mut self, url: &str, fields: &[(&str, &str)]) -> Page {
        let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
        self.form_from(url, &origin, fields).await
    }
    pub async fn form_from(&mut self, url: &str, origin: &str, fields: &[(&str, &str)]) -> Page {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin)];
        self.send(Method::POST, url, &headers, Some(body.join("&"))).await
    }
    pub async fn sign_in(&mut self, email: &str) {
        let csrf = self.get(&self.ocore("/sign-in")).await.hidden("csrf");
        let done = self.form(&self.ocore("/sign-in"), &[("csrf", &csrf), ("email", email), ("password", PASSWORD)]).await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/"), "{}", done.text);
    }
    /// Opens a link as the page's button does; where it leads.
    async fn open(&mut self, link: &str) -> Page {
        let csrf = self.get(link).await.hidden("csrf");
        self.form(link, &[("csrf", &csrf)]).await
    }
    /// A JSON route of Odoo's, as the web client calls it.
    async fn json(&mut self, path: &str, params: Value) -> (StatusCode, Value) {
        let url = self.dev(path);
        let origin = self.dev("");
        let body = json!({"jsonrpc": "2.0", "method": "call", "params": params}).to_string();
        let page = self.send(Method::POST, &url, &[("content-type", "application/json"), ("origin", &origin)], Some(body)).await;
        (page.status, serde_json::from_str(&page.text).unwrap_or(Value::Null))
    }
    async fn uid(&mut self) -> (StatusCode, Value) {
        let (status, answer) = self.json("/web/session/get_session_info", json!({})).await;
        (status, answer["result"]["uid"].clone())
    }
}
fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

impl World {
    async fn ask(&self, user: i64) -> Reply {
        self.mcp.call("dev_impersonate_user", json!({"user_id": user, "reason": REASON})).await
    }
    pub async fn link(&self) -> String {
        self.ask(self.clerk).await.ok()["url"].as_str().expect("a URL").to_owned()
    }
    fn log(&self) -> Vec<Value> {
        let rows = self.ocore.cli(&["--json", "audit", "log", "--org", "acme", "--limit", "200"], "").ok().json();
        rows.as_array().or_else(|| rows["rows"].as_array()).expect("rows").clone()
    }
    pub fn logged(&self, action: &str) -> Vec<Value> {
        self.log().into_iter().filter(|row| row["action"] == action).collect()
    }
    /// Sessions of the clerk that Odoo has for this database: other tests' Odoos keep theirs in the same folder.
    fn sessions(&self) -> usize {
        let database = &self.odoo.database;
        let look = format!("grep -rlZ clerk /var/lib/odoo/sessions 2>/dev/null | xargs -0r grep -l '{database}' | wc -l");
        let output = Command::new("docker").args(["exec", &self.odoo.container, "sh", "-c", &look]).output().expect("docker");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
    }
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn odoo_19() {
                if let Some(world) = super::world(19, concat!("visit-", stringify!($name))) {
                    crate::harness::run(super::checks::$name(world));
                }
            }
            #[test]
            fn odoo_14() {
                if let Some(world) = super::world(14, concat!("visit-", stringify!($name))) {
                    crate::harness::run(super::checks::$name(world));
                }
            }
        }
    )+};
}
on_both!(a_visit, who_may_not);

mod in_a_browser {
    use super::*;

    // In containers whose only process serves the bus too: the shared ones have another port for it, as behind a reverse proxy.
    #[test]
    fn odoo_19() {
        if let Some(own) = Own::new(19, "visit-browser") {
            run(checks::in_a_browser(world_of(own.odoo.clone())));
        }
    }
    #[test]
    fn odoo_14() {
        if let Some(own) = Own::new(14, "visit-browser") {
            run(checks::in_a_browser(world_of(own.odoo.clone())));
        }
    }
}

mod checks {
    use super::*;

    pub async fn a_visit(mut w: World) {
        let before = w.sessions();
        let link = w.link().await;
        assert!(link.starts_with(&format!("http://localhost:{}/impersonate/ocv_", w.port)), "{link}");
        assert_eq!(w.sessions(), before + 1);

        // Who is not signed in signs in first, and comes back. A wrong password tells nothing, a page from elsewhere nothing at all.
        let mut ann = Browser::new(w.port);
        let turned = ann.get(&link).await;
        assert_eq!(turned.status, StatusCode::SEE_OTHER);
        let at = turned.location().to_owned();
        assert!(at.starts_with("/sign-in?next=%2Fimpersonate%2Focv_"), "{at}");
        let page = ann.get(&ann.ocore(&at)).await;
        let (csrf, next) = (page.hidden("csrf"), page.hidden("next"));
        let sign_in = ann.ocore("/sign-in");
        let wrong = ann.form(&sign_in, &[("csrf", &csrf), ("email", "ann@example.com"), ("password", "wrong")]).await;
        assert!(
            wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("do not belong together"),
            "{}",
            wrong.text
        );
        let right = [("csrf", csrf.as_str()), ("email", "ann@example.com"), ("password", PASSWORD), ("next", &next)];
        assert_eq!(ann.form_from(&sign_in, "https://evil.example", &right).await.status, StatusCode::FORBIDDEN);
        assert_eq!(ann.form_from(&sign_in, "null", &right).await.status, StatusCode::FORBIDDEN);
        let forged = [("csrf", "0"), ("email", "ann@example.com"), ("password", PASSWORD)];
        assert_eq!(ann.form(&sign_in, &forged).await.status, StatusCode::FORBIDDEN);
        let done = ann.form(&sign_in, &right).await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, next.as_str()));
        assert!(link.ends_with(&next), "{next}");

        // Looking opens nothing, however often; a bot that follows links does no more.
        for _ in 0..2 {
            let page = ann.get(&link).await;
            assert_eq!(page.status, StatusCode::OK);
            for part in ["clerk", REASON, "ann@example.com", "Development"] {
                assert!(page.text.contains(part), "{part}: {}", page.text);
            }
            let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'") && policy.contains(&ann.dev("")), "{policy}");
        }
        let mut bob = Browser::new(w.port);
        bob.sign_in("bob@example.com").await;
        let page = bob.get(&link).await;
        assert!(
            page.status == StatusCode::GONE && page.text.contains("not yours") && !page.text.contains("clerk"),
            "{}",
            page.text
        );
        assert_eq!(w.logged("impersonation.refused").len(), 1);

        // Only the POST of our own page, and once.
        let csrf = ann.get(&link).await.hidden("csrf");
        assert_eq!(ann.form_from(&link, &ann.dev(""), &[("csrf", &csrf)]).await.status, StatusCode::FORBIDDEN);
        assert_eq!(ann.form(&link, &[("csrf", "")]).await.status, StatusCode::FORBIDDEN);
        let to = ann.form(&link, &[("csrf", &csrf)]).await;
        assert_eq!(to.status, StatusCode::SEE_OTHER);
        let enter = to.location().to_owned();
        assert!(enter.starts_with(&ann.dev("/.ocore/enter/ocv_")), "{enter}");
        let again = ann.form(&link, &[("csrf", &csrf)]).await;
        assert!(again.status == StatusCode::GONE && again.text.contains("already used"), "{}", again.text);
        let mut stranger = Browser::new(w.port);
        assert_eq!(stranger.get(&stranger.dev("/web")).await.status, StatusCode::FORBIDDEN);
        // At another instance's host name it is spent and opens nothing; so it is tried with one of its own below.
        let begun = ann.get(&enter).await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
        assert_eq!(begun.location(), if w.odoo.version >= 18 { "/odoo" } else { "/web" });
        assert_eq!(stranger.get(&enter).await.status, StatusCode::GONE, "once");

        // A real signed-in page, of this user.
        let landing = ann.dev(begun.location());
        let page = ann.get(&landing).await;
        assert!(page.status == StatusCode::OK && page.text.contains("odoo"), "{}: {}", page.status, page.text);
        assert_eq!(ann.uid().await, (StatusCode::OK, json!(w.clerk)));
        let write = |id: i64, name: &str| json!({"model": "res.partner", "method": "write", "args": [[id], {"name": name}], "kwargs": {}});
        let create = json!({"model": "res.partner", "method": "create", "args": [[{"name": "New"}]], "kwargs": {}});
        let (_, made) = ann.json("/web/dataset/call_kw/res.partner/create", create).await;
        let partner = made["result"][0].as_i64().unwrap_or_else(|| panic!("{made}"));
        let (status, answer) = ann.json("/web/dataset/call_kw/res.partner/write", write(partner, "Seen by the clerk")).await;
        assert!(status == StatusCode::OK && answer["result"] == true, "{answer}");
        let written = w.odoo.sql(&format!("SELECT name, write_uid FROM res_partner WHERE id = {partner}"));
        assert!(written.contains("Seen by the clerk") && written.contains(&w.clerk.to_string()), "{written}");
        let did = w.logged("impersonation.did");
        let kinds: Vec<&str> = did.iter().filter_map(|row| row["detail"]["what"].as_str()).collect();
        assert_eq!(kinds, ["res.partner.write", "res.partner.create"], "newest first: {did:?}");

        // Odoo goes by the body, and so does the log; by another method or with names twice nothing passes untold.
        let copy = json!({"model": "res.partner", "method": "copy", "args": [[partner]], "kwargs": {}});
        let (_, answer) = ann.json("/web/dataset/call_kw/res.partner/read", copy.clone()).await;
        assert!(answer["result"].is_number() || answer["result"].is_array(), "{answer}");
        assert_eq!(w.logged("impersonation.did")[0]["detail"]["what"], "res.partner.copy");
        let twice = r#"{"jsonrpc": "2.0", "params": {"model": "res.partner", "method": "read", "method": "name_search", "args": [], "kwargs": {}}}"#;
        let (url, origin) = (ann.dev("/web/dataset/call_kw/res.partner/read"), ann.dev(""));
        let json_type = [("content-type", "application/json"), ("origin", origin.as_str())];
        ann.send(Method::POST, &url, &json_type, Some(twice.into())).await;
        assert_eq!(w.logged("impersonation.did")[0]["detail"]["what"], "web.dataset.call");
        let body = json!({"jsonrpc": "2.0", "params": copy}).to_string();
        let looked = ann.send(Method::GET, &url, &json_type, Some(body)).await;
        assert_eq!(looked.status, StatusCode::BAD_REQUEST, "{}", looked.text);
        // Neither another database nor another session by the back door, and nothing that a sibling's page loads.
        for path in ["/web?db=postgres", "/odoo?a=1&%64b=x", "/web?session_id=0"] {
            assert_eq!(ann.get(&ann.dev(path)).await.status, StatusCode::BAD_REQUEST, "{path}");
        }
        assert_eq!(
            ann.send(Method::POST, &ann.dev("/web"), &json_type, Some("db=x".into())).await.status,
            StatusCode::BAD_REQUEST
        );
        for headers in
            [[("x-openerp-session-id", "0"), ("x_odoo_database", "postgres")], [("x_forwarded_host", "evil.example"), ("a", "b")]]
        {
            let page = ann.send(Method::GET, &landing, &headers, None).await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        }
        let loaded = [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")];
        let page = ann.send(Method::GET, &ann.dev("/web/session/logout"), &loaded, None).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert_eq!(ann.uid().await, (StatusCode::OK, json!(w.clerk)), "the visit goes on");

        // What is closed at this host name, and pages of other sites.
        for path in [
            "/web/database/manager",
            "/web//database/selector",
            "/web/%64atabase/manager",
            "/fr_FR/web/database/manager",
            "/jsonrpc",
            "/xmlrpc/2/common",
            "/json/2/res.partner/read",
            "/web/login",
            "/web/become",
            "/web/session/authenticate",
            "/mcp/../jsonrpc",
        ] {
            let url = ann.dev(path);
            let origin = ann.dev("");
            for method in [Method::GET, Method::POST] {
                let page = ann.send(method, &url, &[("origin", &origin)], Some("{}".into())).await;
                assert!([StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&page.status), "{path}: {}", page.status);
            }
        }
        // Of ocore itself nothing is there.
        for path in ["/mcp", "/metrics", "/sign-in", "/health"] {
            let page = ann.get(&ann.dev(path)).await;
            assert!(!page.text.contains("ocore_") && !page.text.contains("Sign in · ocore"), "{path}: {}", page.text);
        }
        let body = json!({"jsonrpc": "2.0", "method": "call", "params": write(partner, "From another site")}).to_string();
        let url = ann.dev("/web/dataset/call_kw/res.partner/write");
        for origin in ["https://evil.example", "null", &ann.ocore("")] {
            let headers = [("content-type", "text/plain"), ("origin", origin)];
            assert_eq!(
                ann.send(Method::POST, &url, &headers, Some(body.clone())).await.status,
                StatusCode::FORBIDDEN,
                "{origin}"
            );
        }
        assert_eq!(ann.send(Method::POST, &url, &[], Some(body.clone())).await.status, StatusCode::FORBIDDEN);

        // The visit's cookie opens no other instance, and a made-up one nothing.
        let cookie =
            ann.cookies.iter().find(|((_, name), _)| name == "ocore-visit").map(|((_, name), value)| format!("{name}={value}"));
        let cookie = cookie.expect("a visit");
        let other = format!("http://other.odoo.localhost:{}/web", w.port);
        let page = stranger.send(Method::GET, &other, &[("cookie", &cookie)], None).await;
        assert_eq!(page.status, StatusCode::GONE, "{}", page.text);
        let page = stranger.send(Method::GET, &landing, &[("cookie", "ocore-visit=ocv_0")], None).await;
        assert_eq!(page.status, StatusCode::GONE);

        // Its end: at Odoo too.
        let left = ann.get(&ann.dev("/web/session/logout")).await;
        assert!(left.status == StatusCode::GONE && left.text.contains("You left Odoo"), "{}", left.text);
        assert_eq!(ann.uid().await.0, StatusCode::FORBIDDEN);
        let page = stranger.send(Method::GET, &landing, &[("cookie", &cookie)], None).await;
        assert_eq!(page.status, StatusCode::GONE);
        assert_eq!(w.sessions(), before, "the session is gone in Odoo");

        // All of it is told, and no text that opens anything.
        for action in ["impersonation.open", "impersonation.end"] {
            let rows = w.logged(action);
            assert!(
                rows.len() == 1
                    && rows[0]["actor"]["name"].as_str().or(rows[0]["actor_name"].as_str()) == Some("ann@example.com"),
                "{rows:?}"
            );
        }
        let listed = w.ocore.cli(&["--json", "impersonation", "list", "--org", "acme"], "").ok().json();
        assert_eq!((&listed[0]["odoo_login"], &listed[0]["reason"]), (&json!("clerk"), &json!(REASON)), "{listed}");
        let calls = w.ocore.cli(&["--json", "audit", "list", "--org", "acme", "--limit", "50"], "").ok().stdout;
        assert!(calls.contains("impersonate_user") && calls.contains(REASON), "{calls}");
        for text in [calls, w.ocore.log(), listed.to_string(), json!(w.log()).to_string()] {
            assert!(!text.contains("ocv_") && !text.contains("session_id="), "{text}");
        }

        // What would not be let through any more ends a visit, at once on this node: a closed guard, a revoked key.
        for (args, undo) in [
            (
                vec!["instance", "update", "dev", "--write-enabled", "false"],
                vec!["instance", "update", "dev", "--write-enabled", "true"],
            ),
            (vec!["org", "update", "acme", "--kill-switch", "on"], vec!["org", "update", "acme", "--kill-switch", "off"]),
            (vec!["user", "update", "ann@example.com", "--disable"], vec!["user", "update", "ann@example.com", "--enable"]),
        ] {
            let mut ann = Browser::new(w.port);
            ann.sign_in("ann@example.com").await;
            let link = w.link().await;
            let to = ann.open(&link).await.location().to_owned();
            ann.get(&to).await;
            assert_eq!(ann.uid().await, (StatusCode::OK, json!(w.clerk)));
            w.ocore.cli(&args, "").ok();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            let page = ann.get(&landing).await;
            assert!(page.status == StatusCode::GONE && page.text.contains("revoked"), "{args:?}: {} {}", page.status, page.text);
            assert_eq!(w.sessions(), before, "{args:?}");
            w.ocore.cli(&undo, "").ok();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
        // An administrator ends one from the command line; another node's word counts within seconds.
        let mut ann = Browser::new(w.port);
        ann.sign_in("ann@example.com").await;
        let to = ann.open(&w.link().await).await.location().to_owned();
        ann.get(&to).await;
        assert_eq!(ann.uid().await.0, StatusCode::OK);
        let listed = w.ocore.cli(&["--json", "impersonation", "list", "--org", "acme"], "").ok().json();
        assert_eq!(listed[0]["state"], "open", "{listed}");
        w.ocore.cli(&["impersonation", "end", listed[0]["id"].as_str().unwrap(), "--org", "acme"], "").ok();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(ann.get(&landing).await.status, StatusCode::GONE);
        assert_eq!(w.sessions(), before);
        // So does the end of all of a person's sessions.
        let mut ann = Browser::new(w.port);
        ann.sign_in("ann@example.com").await;
        let to = ann.open(&w.link().await).await.location().to_owned();
        ann.get(&to).await;
        assert_eq!(ann.uid().await.0, StatusCode::OK);
        w.ocore.cli(&["user", "update", "ann@example.com", "--end-sessions"], "").ok();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(ann.get(&landing).await.status, StatusCode::GONE);
        ann.sign_in("ann@example.com").await;
        // Whoever signs out of ocore leaves no Odoo open.
        let to = ann.open(&w.link().await).await.location().to_owned();
        ann.get(&to).await;
        assert_eq!(ann.uid().await.0, StatusCode::OK);
        let csrf = ann.get(&ann.ocore("/")).await.hidden("csrf");
        assert_eq!(ann.form(&ann.ocore("/sign-out"), &[("csrf", &csrf)]).await.status, StatusCode::OK);
        assert_eq!(ann.get(&landing).await.status, StatusCode::GONE);
        assert_eq!(w.sessions(), before);
        w.ocore.stop("TERM");
    }

    pub async fn who_may_not(w: World) {
        let refused = |reply: Reply, code: &str| {
            assert!(reply.is_error && reply.body["code"] == code, "{reply:?}");
            assert!(!reply.body["next"].as_str().unwrap_or_default().is_empty(), "{reply:?}");
        };
        let before = w.sessions();
        // Odoo's own users, who is not there, who is archived, and no good reason.
        for id in [1, 2, 3] {
            refused(w.ask(id).await, "record_denied");
        }
        refused(w.ask(999_999).await, "not_found");
        for reason in ["", "why", "two\nlines of it", &"x".repeat(301)] {
            let reply = w.mcp.call("dev_impersonate_user", json!({"user_id": w.clerk, "reason": reason})).await;
            refused(reply, "invalid_argument");
        }
        refused(w.mcp.call("dev_impersonate_user", json!({"user_id": w.clerk})).await, "invalid_argument");
        let plan = json!({"user_id": w.clerk, "reason": REASON, "dry_run": true});
        let plan = w.mcp.call("dev_impersonate_user", plan).await.ok();
        assert!(plan["plan"]["summary"].as_str().unwrap().contains("clerk") && plan.get("url").is_none(), "{plan}");
        w.odoo.sql(&format!("UPDATE res_users SET active = false WHERE id = {}", w.clerk));
        refused(w.ask(w.clerk).await, "record_denied");
        w.odoo.sql(&format!("UPDATE res_users SET active = true WHERE id = {}", w.clerk));

        // A key of nobody, a member's, a limited one; a closed guard.
        let ask = |mcp: Mcp| async move { mcp.call("dev_impersonate_user", json!({"user_id": w.clerk, "reason": REASON})).await };
        refused(ask(w.ocore.key(&[]).on(w.odoo.version)).await, "permission_denied");
        refused(
            ask(w.ocore.key(&["--owner", "ann@example.com", "--role", "member"]).on(w.odoo.version)).await,
            "permission_denied",
        );
        let limited = w.ocore.key(&["--owner", "ann@example.com", "--models", "res.partner"]).on(w.odoo.version);
        refused(ask(limited).await, "permission_denied");
        w.ocore.cli(&["instance", "update", "dev", "--write-enabled", "false"], "").ok();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        refused(w.ask(w.clerk).await, "write_blocked");
        w.ocore.cli(&["instance", "update", "dev", "--write-enabled", "true"], "").ok();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(w.sessions(), before, "none of them made a session");

        // A link that is not opened in time opens nothing, and its session goes.
        let link = w.link().await;
        let mut ann = Browser::new(w.port);
        ann.sign_in("ann@example.com").await;
        let csrf = ann.get(&link).await.hidden("csrf");
        let begun = std::time::Instant::now();
        while w.sessions() > before {
            assert!(begun.elapsed() < Duration::from_secs(100), "the session of an unused link stays");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        assert!(begun.elapsed() > Duration::from_secs(50), "a link lives for a minute");
        let late = ann.form(&link, &[("csrf", &csrf)]).await;
        assert!(late.status == StatusCode::GONE && late.text.contains("expired"), "{}", late.text);
        assert_eq!(w.logged("impersonation.unused").len(), 1);

        // Without a domain for it there is no such way, and it says what to set up.
        let mut plain = Ocore::new();
        plain.cli(&["server", "update", "host", "--org", "acme", "--docker", "unix:///var/run/docker.sock"], "").ok();
        plain.instance("dev", &w.odoo, &["--container", &w.odoo.container]).ok();
        let args = ["user", "create", "--email", "ann@example.com", "--org", "acme", "--role", "admin", "--password-stdin"];
        plain.cli(&args, &format!("{PASSWORD}\n")).ok();
        let reply = ask(plain.serve().key(&["--owner", "ann@example.com"]).on(w.odoo.version)).await;
        assert!(reply.body["next"].as_str().unwrap().contains("proxy_domain"), "{reply:?}");
        refused(reply, "not_configured");
    }

    /// Chromium, as a person uses it.
    pub async fn in_a_browser(w: World) {
        let Some(clients) = clients() else { return };
        let link = w.link().await;
        let seen = in_chromium(&clients, "impersonation.mjs", &[&link, "ann@example.com", PASSWORD]).await;
        assert_eq!(seen["uid"], w.clerk, "{seen}");
        assert!(seen["again"].as_str().unwrap().contains("already used"), "{seen}");
        assert!(seen["left"].as_str().unwrap().contains("You left Odoo"), "{seen}");
        assert_eq!(seen["ended"], "closed", "{seen}");
        assert_eq!(seen["websocket"], if w.odoo.version >= 16 { "open" } else { "none" }, "{seen}");
    }
}
