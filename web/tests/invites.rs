//! The pages of invites, asked as a browser asks them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use admin::{
    Admin, By,
    instances::{self, NewInstance},
    invites,
    servers::{self, NewServer},
    users::{self, NewUser},
};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use identity::{
    Keys, People,
    fetch::Fetch,
    oauth::{redirect::Schemes, resource::PublicUrl, server::Server},
};
use kernel::{Environment, Networks, Role, SecretString};
use store::{
    registry::Registry,
    testing::{TestStore, sqlite},
    vault::{KeySource, Vault},
};
use tower::ServiceExt as _;
use web::{Site, Visitor};

const ORIGIN: &str = "https://ocore.example.com";
const PASSWORD: &str = "correct horse battery";

struct World {
    admin: Admin,
    router: Router,
    store: TestStore,
}
fn host() -> By {
    By::Host { login: "root".into() }
}
/// Two organizations, one of them with an instance; people of every kind.
async fn world() -> World {
    let t = sqlite().await;
    let admin = Admin {
        db: t.db.clone(),
        vault: Vault::open(&t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap(),
        sources: t.sources.clone(),
        networks: Networks::new(Vec::new()),
        calls_per_minute: 100,
        tools: vec!["search_read"],
    };
    let hash = identity::password::hash(SecretString::from(PASSWORD.to_owned()), &t.sources).await.unwrap();
    for (slug, name) in [("acme", "Acme <b>Trading</b>"), ("globex", "Globex")] {
        admin::orgs::create(&admin, &host(), slug, name).await.unwrap();
    }
    for (email, org, role) in
        [("boss@x.com", "acme", Role::Admin), ("member@x.com", "acme", Role::Member), ("ann@x.com", "globex", Role::Owner)]
    {
        let new =
            NewUser { email: email.into(), member: Some((org.into(), role)), password_hash: Some(hash.clone()), operator: false };
        users::create(&admin, &host(), &new).await.unwrap();
    }
    let server = NewServer { org: "acme".into(), name: "one".into(), docker: None, secret: None, path_roots: Vec::new() };
    servers::create(&admin, &host(), &server).await.unwrap();
    let instance = NewInstance {
        org: "acme".into(),
        server: "one".into(),
        slug: "erp".into(),
        name: None,
        url: "https://odoo.example.com/".into(),
        database: "erp".into(),
        environment: Environment::Staging,
        write_enabled: None,
        login: None,
        postgres_url: None,
        postgres_ca: None,
        posthog: None,
        container: None,
        addons: Vec::new(),
        backups: None,
        concurrency: None,
    };
    instances::create(&admin, &host(), &instance).await.unwrap();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let registry = Arc::new(Registry::load(t.db.clone(), t.sources.clone()).await.unwrap());
    let fetch = Fetch::new(Networks::new(Vec::new())).unwrap();
    let site = Site {
        people: People::new(
            t.db.clone(),
            admin.vault.clone(),
            t.sources.clone(),
            identity::openid::Providers::none(t.sources.clone()).unwrap(),
        ),
        admin: admin.clone(),
        oauth: Arc::new(Server::new(t.db.clone(), t.sources.clone(), Schemes::known(), fetch)),
        keys: Arc::new(Keys::new(registry, t.db.clone(), t.sources.clone())),
        tools: Vec::new(),
        set_up: None,
        visits: None,
        sources: t.sources.clone(),
        events: Arc::new(|_, _, _| {}),
    };
    World { admin, router: web::router(&Arc::new(site)), store: t }
}

#[derive(Debug)]
struct Page {
    status: StatusCode,
    to: String,
    text: String,
    no_store: bool,
}
impl Page {
    /// The value of the first field of that name.
    fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self.text.split_once(&start).unwrap_or_else(|| panic!("no {name} in {}", self.text)).1;
        rest.split('"').next().unwrap().to_owned()
    }
    /// What stands on the page from a beginning on, up to what no such text has.
    fn shown(&self, begins: &str) -> String {
        let at = self.text.find(begins).unwrap_or_else(|| panic!("no {begins} in {}", self.text));
        self.text[at..].split(['"', '<']).next().unwrap().to_owned()
    }
}
/// A browser with its cookies.
struct Browser<'a> {
    world: &'a World,
    cookies: BTreeMap<String, String>,
    origin: Option<&'static str>,
}
impl<'a> Browser<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, cookies: BTreeMap::new(), origin: Some(ORIGIN) }
    }
    async fn signed_in(world: &'a World, email: &str) -> Self {
        let mut browser = Self::new(world);
        let csrf = browser.get("/sign-in").await.field("csrf");
        let page = browser.post("/sign-in", &[("csrf", &csrf), ("email", email), ("password", PASSWORD), ("next", "/")]).await;
        assert_eq!((page.status, page.to.as_str()), (StatusCode::SEE_OTHER, "/"));
        browser
    }
    async fn get(&mut self, path: &str) -> Page {
        self.ask(Request::get(path), String::new()).await
    }
    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(path);
        if let Some(origin) = self.origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.ask(request, body).await
    }
    async fn ask(&mut self, request: axum::http::request::Builder, body: String) -> Page {
        let line: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = request.header(header::COOKIE, line.join("; ")).body(Body::from(body)).unwrap();
        let address = "192.0.2.7".parse().unwrap();
        request.extensions_mut().insert(Visitor {
            address,
            origin: ORIGIN.to_owned(),
            public: PublicUrl::parse(ORIGIN).unwrap(),
        });
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
        }
        let to = response.headers().get(header::LOCATION).map_or("", |to| to.to_str().unwrap()).to_owned();
        let no_store = response.headers().get(header::CACHE_CONTROL).is_some_and(|v| v == "no-store");
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Page { status, to, no_store, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}
async fn used(world: &World) -> Vec<i64> {
    invites::list(&world.admin, &host(), "acme").await.unwrap().iter().map(|listed| listed.row.used).collect()
}
/// Makes an invite on the page, and gives the path of its link.
async fn made(browser: &mut Browser<'_>, more: &[(&str, &str)]) -> String {
    // The newest stands first.
    browser.world.store.clock.advance(kernel::TimeDelta::milliseconds(1));
    let csrf = browser.get("/invites").await.field("csrf");
    let mut form = vec![("csrf", csrf.as_str()), ("org", "acme"), ("label", "Ben <1>"), ("do", "make")];
    let usual = [("role", "viewer"), ("preset", "read"), ("days", "7"), ("uses", "1")];
    form.extend(usual.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)));
    form.extend(more);
    let page = browser.post("/invites", &form).await;
    assert!(page.status == StatusCode::OK && page.no_store, "{page:?}");
    page.shown(&format!("{ORIGIN}/oauth/invite/ocn_"))[ORIGIN.len()..].to_owned()
}

#[tokio::test]
async fn a_link_is_shown_to_anybody_and_accepted_by_who_is_signed_in() {
    let w = world().await;
    let mut boss = Browser::signed_in(&w, "boss@x.com").await;
    let link = made(&mut boss, &[]).await;

    // Bots of chat programs, and people before they sign in.
    let mut nobody = Browser::new(&w);
    for _ in 0..5 {
        let page = nobody.get(&link).await;
        assert!(page.status == StatusCode::OK && page.no_store, "{page:?}");
        assert!(page.text.contains("boss@x.com") && page.text.contains("Acme &#60;b&#62;Trading") && page.text.contains("erp"));
        assert!(page.text.contains(&format!("/sign-in?next={}", link.replace('/', "%2F"))), "{}", page.text);
    }
    assert_eq!(used(&w).await, [0]);
    let csrf = Browser::signed_in(&w, "ann@x.com").await.get(&link).await.field("csrf");
    assert_eq!(nobody.post(&link, &[("csrf", &csrf)]).await.status, StatusCode::FORBIDDEN, "another browser's token");
    let own = nobody.get("/sign-in").await.field("csrf");
    let page = nobody.post(&link, &[("csrf", &own)]).await;
    assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("Enter your e-mail"), "a new login: {page:?}");

    let mut ann = Browser::signed_in(&w, "ann@x.com").await;
    let csrf = ann.get(&link).await.field("csrf");
    for origin in [None, Some("https://evil.example")] {
        ann.origin = origin;
        assert_eq!(ann.post(&link, &[("csrf", &csrf)]).await.status, StatusCode::FORBIDDEN);
    }
    ann.origin = Some(ORIGIN);
    assert_eq!(ann.post(&link, &[("csrf", "")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(used(&w).await, [0]);
    let page = ann.post(&link, &[("csrf", &csrf)]).await;
    assert!(page.status == StatusCode::OK && page.no_store, "{page:?}");
    let key = page.shown("ock_");
    assert!(identity::token::well_formed(&key) && page.text.contains(&format!("{ORIGIN}/mcp")), "{page:?}");
    assert_eq!(used(&w).await, [1]);

    for page in [ann.post(&link, &[("csrf", &csrf)]).await, ann.get(&link).await, nobody.get(&link).await] {
        assert!(page.status == StatusCode::GONE && !page.text.contains("ock_"), "{page:?}");
    }
    for unknown in ["ocn_", "x", "ocn_7Yp2c0sQmF1b9ZrXk4VtN8wLhE3uJdGa5TqRi6oBx9Kd2ab3d", "%00"] {
        let page = ann.get(&format!("/oauth/invite/{unknown}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{unknown}");
    }
}

#[tokio::test]
async fn only_administrators_have_the_list() {
    let w = world().await;
    let page = Browser::new(&w).get("/invites").await;
    assert_eq!((page.status, page.to.as_str()), (StatusCode::SEE_OTHER, "/sign-in?next=%2Finvites"));
    let mut boss = Browser::signed_in(&w, "boss@x.com").await;
    made(&mut boss, &[]).await;
    let id = boss.get("/invites?org=acme").await.field("id");
    for email in ["member@x.com", "ann@x.com"] {
        let mut other = Browser::signed_in(&w, email).await;
        let at = other.get("/invites?org=acme").await;
        assert_eq!(at.status, StatusCode::FORBIDDEN, "{email}");
        let csrf = other.get("/sign-in").await.field("csrf");
        for path in ["/invites", "/invites/revoke", "/invites/vouch"] {
            let form = [("csrf", csrf.as_str()), ("org", "acme"), ("id", &id), ("label", "x"), ("days", "7"), ("uses", "1")];
            let page = other.post(path, &form).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{email} {path}");
        }
    }
    // In an organization of their own they have nothing of another's.
    let mut ann = Browser::signed_in(&w, "ann@x.com").await;
    let csrf = ann.get("/invites").await.field("csrf");
    for path in ["/invites/revoke", "/invites/vouch"] {
        let page = ann.post(path, &[("csrf", &csrf), ("org", "globex"), ("id", &id)]).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("There is no invite"), "{page:?}");
        assert_eq!(ann.post(path, &[("csrf", &csrf), ("id", "x")]).await.status, StatusCode::BAD_REQUEST);
    }
    let rows = invites::list(&w.admin, &host(), "acme").await.unwrap();
    assert!(rows.len() == 1 && rows[0].row.revoked_at.is_none() && rows[0].vouched_by == "boss@x.com");
}

#[tokio::test]
async fn the_list_is_that_of_the_organization_that_the_browser_works_in() {
    let w = world().await;
    let role_in_globex = async |role| users::set_role(&w.admin, &host(), "globex", "boss@x.com", role).await.unwrap();
    role_in_globex(Role::Viewer).await;
    let mut boss = Browser::signed_in(&w, "boss@x.com").await;
    assert_eq!(boss.get("/invites").await.field("org"), "acme", "nothing is chosen: where there is something to administer");
    let csrf = boss.get("/organizations").await.field("csrf");
    boss.post("/organizations", &[("csrf", &csrf), ("org", "globex"), ("next", "/")]).await;
    assert_eq!(boss.get("/invites").await.status, StatusCode::FORBIDDEN, "not another's in place of the chosen one's");
    role_in_globex(Role::Admin).await;
    assert_eq!(boss.get("/invites").await.field("org"), "globex");
    boss.post("/organizations", &[("csrf", &csrf), ("org", "acme"), ("next", "/")]).await;
    assert_eq!(boss.get("/invites").await.field("org"), "acme");
}

#[tokio::test]
async fn what_is_chosen_is_what_is_made() {
    let w = world().await;
    let mut boss = Browser::signed_in(&w, "boss@x.com").await;
    let csrf = boss.get("/invites").await.field("csrf");
    let base = [("csrf", csrf.as_str()), ("org", "acme"), ("role", "member")];
    let wrong = [
        ("label", "", "Enter a name"),
        ("days", "31", "1 to 30"),
        ("days", "forty", "1 to 30"),
        ("uses", "0", "1 to 100"),
        ("preset", "custom", "would let nobody do anything"),
    ];
    for (name, value, says) in wrong {
        let mut form = base.to_vec();
        let usual = [("label", "Ben"), ("preset", "read"), ("days", "7"), ("uses", "1"), ("do", "make")];
        form.extend(usual.iter().filter(|(known, _)| *known != name).chain([&(name, value)]));
        let page = boss.post("/invites", &form).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains(says), "{name} {value}: {page:?}");
    }
    let custom = [("preset", "custom"), ("instance", "erp"), ("category", "orm"), ("category", "shell"), ("role", "member")];
    let preview = [&base[..], &custom, &[("do", "preview"), ("label", "Ben <1>")]].concat();
    let page = boss.post("/invites", &preview).await;
    assert!(page.status == StatusCode::OK && page.text.contains("value=\"Ben &#60;1&#62;\""), "{page:?}");
    assert!(used(&w).await.is_empty(), "a preview makes nothing");

    made(&mut boss, &custom).await;
    made(&mut boss, &[("preset", "standard"), ("role", "member"), ("uses", "25"), ("days", "30")]).await;
    made(&mut boss, &[("role", "owner"), ("preset", "full")]).await;
    let all = invites::list(&w.admin, &host(), "acme").await.unwrap();
    let given = |label: usize| all[2 - label].row.permissions.clone().unwrap();
    assert_eq!(given(0).categories, kernel::Selection::only([kernel::Category::Orm]), "a shell cannot be ticked");
    let erp = given(0).instances;
    assert!(matches!(&erp, kernel::Selection::Only(ids) if ids.len() == 1) && given(1).instances == erp);
    let standard = given(1);
    assert!(!standard.read_only && !standard.tools.permits("unlink") && !standard.category(kernel::Category::Sql));
    assert!(given(2).read_only && all[0].row.role == Role::Viewer, "what is not offered is not given");
    assert_eq!((all[1].row.max_uses, all[1].row.role), (25, Role::Member));

    let page = boss.get("/invites").await;
    let id = page.field("id");
    let page = boss.post("/invites/revoke", &[("csrf", &csrf), ("org", "acme"), ("id", &id)]).await;
    assert!(page.status == StatusCode::OK && page.text.contains("is revoked"), "{page:?}");
    let again = boss.post("/invites/revoke", &[("csrf", &csrf), ("org", "acme"), ("id", &id)]).await;
    assert!(again.status == StatusCode::UNPROCESSABLE_ENTITY && again.text.contains("revoked already"), "{again:?}");
}
