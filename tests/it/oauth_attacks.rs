//! What attackers try with OAuth that takes more than a request: time that goes by, streams that stay open, pages and identifiers of
//! other organizations, hosts that lie about clients, several servers at once.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    harness::{Mcp, Ocore, Odoo, root, run},
    impersonation::{Browser, PASSWORD, Page, with_visits},
    oauth::{ANN, BOB, EVE, REDIRECT, Request, World, exchange, onward},
};

/// How long what was taken back may go on to open anything.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

impl World {
    /// Lets a column of times lie further back.
    pub async fn ages(&self, table: &str, column: &str, seconds: u32) {
        let past = format!("strftime('%Y-%m-%dT%H:%M:%fZ', {column}, '-{seconds} seconds')");
        let aged = self.ocore.sql(&format!("UPDATE {table} SET {column} = {past} WHERE {column} IS NOT NULL")).await;
        assert!(aged > 0, "{table} has no {column} to age");
    }
}

#[test]
fn a_refresh_token_that_is_used_again_ends_its_family_after_the_grace_window_and_not_within() {
    run(async {
        let world = World::new().serving();
        let mut ann = world.browser(ANN).await;
        let client = world.client("Stolen from").await;
        // Another consent of the same person to the same client.
        let apart = world.tokens(&mut ann, &client, "read").await;
        let first = world.tokens(&mut ann, &client, "read").await;
        let stolen = first.text("refresh_token");
        let owner = world.refresh(&client, &stolen).await;
        assert_eq!(owner.status, 200, "{owner:?}");

        // A minute later it may be an answer that was lost: there is another, and nobody is ended.
        world.ages("oauth_refresh_tokens", "superseded_at", 60).await;
        let again = world.refresh(&client, &stolen).await;
        assert_eq!(again.status, 200, "{again:?}");
        for tokens in [&first, &owner, &again] {
            assert_eq!(world.lists(&tokens.text("access_token")).await, 200);
        }
        // A minute and a half later it is a copy: all that came of it ends, at the next call, and nothing else does.
        world.ages("oauth_refresh_tokens", "superseded_at", 31).await;
        world.refresh(&client, &stolen).await.is(400, "invalid_grant");
        for tokens in [&first, &owner, &again] {
            assert_eq!(world.lists(&tokens.text("access_token")).await, 401);
        }
        for tokens in [&owner, &again] {
            world.refresh(&client, &tokens.text("refresh_token")).await.is(400, "invalid_grant");
        }
        assert_eq!(world.lists(&apart.text("access_token")).await, 200);
        assert_eq!(world.refresh(&client, &apart.text("refresh_token")).await.status, 200);
        assert!(world.ocore.log().contains("was used twice"), "{}", world.ocore.log());

        // A thief who was quick enough is found as soon as both go on.
        let first = world.tokens(&mut ann, &client, "read").await.text("refresh_token");
        let (owner, thief) = (world.refresh(&client, &first).await, world.refresh(&client, &first).await);
        let owner = world.refresh(&client, &owner.text("refresh_token")).await;
        assert_eq!((owner.status, thief.status), (200, 200));
        world.ages("oauth_refresh_tokens", "superseded_at", 91).await;
        world.refresh(&client, &thief.text("refresh_token")).await.is(400, "invalid_grant");
        for tokens in [&owner, &thief] {
            assert_eq!(world.lists(&tokens.text("access_token")).await, 401);
        }
        world.refresh(&client, &owner.text("refresh_token")).await.is(400, "invalid_grant");
    });
}

#[test]
fn codes_and_tokens_end_when_their_time_is_over() {
    run(async {
        let world = World::new().serving();
        let mut ann = world.browser(ANN).await;
        let client = world.client("Late").await;
        let request = Request::of(&client);
        // A code is good for a minute.
        for (seconds, status) in [(50, 200), (60, 400)] {
            let code = world.allow(&mut ann, &request, "read").await;
            world.ages("oauth_codes", "expires_at", seconds).await;
            let answer = world.token(&request, &client, &code).await;
            assert_eq!(answer.status, status, "{seconds}: {answer:?}");
        }
        // An access token for an hour; its client refreshes it then, and is not taken for a thief.
        let tokens = world.tokens(&mut ann, &client, "read").await;
        world.ages("oauth_access_tokens", "expires_at", 3600).await;
        let refused = world.rpc("/mcp", &tokens.text("access_token"), "tools/list", json!({})).await;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""), "{refused:?}");
        let tokens = world.refresh(&client, &tokens.text("refresh_token")).await;
        assert_eq!(world.lists(&tokens.text("access_token")).await, 200);
        // A refresh token for 30 days, however its family stands; a family for a year, however often it is refreshed.
        world.ages("oauth_families", "created_at", 364 * 24 * 3600).await;
        let tokens = world.refresh(&client, &tokens.text("refresh_token")).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        world.ages("oauth_families", "created_at", 24 * 3600).await;
        world.refresh(&client, &tokens.text("refresh_token")).await.is(400, "invalid_grant");
        let tokens = world.tokens(&mut ann, &client, "read").await;
        world.ages("oauth_refresh_tokens", "expires_at", 30 * 24 * 3600).await;
        world.refresh(&client, &tokens.text("refresh_token")).await.is(400, "invalid_grant");
        assert_eq!(world.lists(&tokens.text("access_token")).await, 200, "it ended by itself: nobody stole it");
        // A device code for a quarter of an hour.
        let device = world.post("/device_authorization", &[("client_id", "ocore-cli"), ("scope", "read")]).await;
        world.ages("oauth_device_codes", "expires_at", 900).await;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", &device.text("device_code")),
            ("client_id", "ocore-cli"),
        ];
        world.post("/token", &fields).await.is(400, "expired_token");
    });
}

/// The ways in which a client may wait for what the server has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `subscriptions/listen` of 2026-07-28.
    Subscription,
    /// GET of a session of 2025-11-25 and before.
    Session,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}
impl Kind {
    const ALL: [Self; 3] = [Self::Subscription, Self::Session, Self::Sse];

    async fn open(self, mcp: &Mcp) -> reqwest::Response {
        let response = match self {
            Self::Subscription => mcp.open("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await,
            Self::Sse => mcp.http.get(format!("{}/mcp/sse", mcp.base)).bearer_auth(&mcp.key).send().await.expect("an answer"),
            Self::Session => {
                let params =
                    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}});
                let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
                let begun = mcp.post(&[], initialize.to_string().into_bytes()).await;
                let id = begun.headers().get("mcp-session-id").unwrap_or_else(|| panic!("no session: {begun:?}"));
                let id = id.to_str().expect("text").to_owned();
                let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
                let taken = mcp.post(&[("mcp-session-id", &id)], initialized.into_bytes()).await;
                assert_eq!(taken.status(), StatusCode::ACCEPTED, "{taken:?}");
                let get = mcp.http.get(format!("{}/mcp", mcp.base)).bearer_auth(&mcp.key).header("mcp-session-id", id);
                get.header("accept", "text/event-stream").send().await.expect("an answer")
            }
        };
        assert_eq!(response.status(), StatusCode::OK, "{self:?}: {response:?}");
        let kind = response.headers()["content-type"].to_str().expect("text");
        assert!(kind.starts_with("text/event-stream"), "{self:?}: {kind}");
        response
    }
}

/// Somebody with streams that stay open.
struct Holder {
    what: &'static str,
    mcp: Mcp,
    streams: Vec<tokio::task::JoinHandle<Instant>>,
}
impl Holder {
    async fn with(what: &'static str, mcp: Mcp) -> Self {
        let mut streams = Vec::new();
        for kind in Kind::ALL {
            let mut stream = kind.open(&mcp).await;
            streams.push(tokio::spawn(async move {
                // A connection that breaks has ended too.
                while let Ok(Some(_)) = stream.chunk().await {}
                Instant::now()
            }));
        }
        Self { what, mcp, streams }
    }
    /// What ends it, and how long calls and streams go on after that.
    async fn ends(self, end: impl AsyncFnOnce()) {
        assert_eq!(self.mcp.request("tools/list", json!({})).await.0, 200, "{}: it works before", self.what);
        assert!(self.streams.iter().all(|stream| !stream.is_finished()), "{}: its streams are open before", self.what);
        end().await;
        let over = Instant::now();
        while self.mcp.request("tools/list", json!({})).await.0 != 401 {
            assert!(over.elapsed() < ENDS_WITHIN, "{}: calls go on", self.what);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut told = format!("{}: calls {:.1} s", self.what, over.elapsed().as_secs_f32());
        for (kind, stream) in Kind::ALL.into_iter().zip(self.streams) {
            let Ok(ended) = tokio::time::timeout_at((over + ENDS_WITHIN).into(), stream).await else {
                panic!("{}: the {kind:?} goes on ({told})", self.what);
            };
            let lasted = ended.expect("it is read").saturating_duration_since(over);
            let _ = write!(told, ", {kind:?} {:.1} s", lasted.as_secs_f32());
        }
        println!("{told}");
        for kind in [Kind::Subscription, Kind::Sse] {
            let refused = match kind {
                Kind::Sse => self.mcp.http.get(format!("{}/mcp/sse", self.mcp.base)).bearer_auth(&self.mcp.key).send().await,
                _ => Ok(self.mcp.open("subscriptions/listen", json!({"notifications": {}})).await),
            };
            assert_eq!(refused.expect("an answer").status(), StatusCode::UNAUTHORIZED, "{}: {kind:?} anew", self.what);
        }
    }
}

#[test]
fn what_is_taken_back_ends_open_streams_too() {
    run(async {
        let mut ocore = Ocore::new();
        ocore.env("OCORE_LEGACY_SESSIONS", "true");
        let world = World::of(ocore);
        for (email, role) in [("carl@example.com", "admin"), ("dora@example.com", "member"), ("fred@example.com", "member")] {
            let args = ["user", "create", "--email", email, "--org", "acme", "--role", role, "--password-stdin"];
            world.ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        }
        // Somebody from elsewhere comes in by Carl's invite.
        let args = ["--json", "invite", "create", "acme", "--label", "Come in", "--by", "carl@example.com", "--uses", "9"];
        let invite = world.ocore.cli(&args, "").ok().json();
        let world = world.serving();
        let link = invite["link"].as_str().expect("a link");
        let link = link[link.find("/oauth/invite/").expect("a path")..].to_owned();
        let accepts = async |email: &str| {
            let mut browser = world.browser(email).await;
            let page = browser.get(&browser.ocore(&link)).await;
            if page.status != StatusCode::OK {
                return page;
            }
            browser.form(&browser.ocore(&link), &[("csrf", &page.hidden("csrf"))]).await
        };
        let page = accepts(EVE).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let invited = page.text[page.text.find("ock_").expect("a key")..].chars().take(42).collect::<String>();

        let client = world.client("A client").await;
        let by_key = |key: &str| Mcp::new(&world.url(""), key);
        let mut ann = world.browser(ANN).await;
        let granted = async |email: &str| {
            let mut browser = world.browser(email).await;
            world.tokens(&mut browser, &client, "read").await
        };
        let keys = |label: &str| {
            let made = world.ocore.cli(&["--json", "key", "create", "--org", "acme", "--label", label], "").ok().json();
            (made["id"].as_str().expect("an id").to_owned(), made["key"].as_str().expect("a key").to_owned())
        };
        let anns = world.tokens(&mut ann, &client, "read").await.text("access_token");
        let (refreshing, freds) = (granted("dora@example.com").await, granted("fred@example.com").await.text("access_token"));
        let bobs = granted(BOB).await.text("access_token");
        let ((revoked, key), (_, kept)) = (keys("Revoked"), keys("Kept"));

        let holder = async |what: &'static str, key: &str| Holder::with(what, by_key(key)).await;
        let authorization = holder("an authorization that its person revokes", &anns).await;
        let signed_off = holder("a token that its client revokes", &refreshing.text("access_token")).await;
        let disabled = holder("a user who is disabled", &bobs).await;
        let expelled = holder("a user who uses a token and whose key is revoked", &freds).await;
        let of_key = holder("a key that is revoked", &key).await;
        let of_invite = holder("an invite that nobody vouches for", &invited).await;
        let stays = holder("a key that nobody touches", &kept).await;

        // An invite that is revoked lets nobody in at once; who came in by it stays, as the page says.
        let id = invite["id"].as_str().expect("an id");
        let begun = Instant::now();
        world.ocore.cli(&["invite", "revoke", id, "--org", "acme"], "").ok();
        let page = accepts("dora@example.com").await;
        assert_eq!(page.status, StatusCode::GONE, "{}", page.text);
        println!("an invite that is revoked: accepting {:.1} s", begun.elapsed().as_secs_f32());
        assert_eq!(by_key(&invited).request("tools/list", json!({})).await.0, 200);

        let rows = world.ocore.cli(&["--json", "key", "list", "--org", "acme"], "").ok().json();
        let rows = rows.as_array().or_else(|| rows["keys"].as_array()).expect("keys").clone();
        let of_fred = rows.iter().find(|row| row.to_string().contains("fred@example.com")).expect("his key")["id"].clone();
        let cli = |args: &[&str]| {
            world.ocore.cli(args, "").ok();
        };
        tokio::join!(
            authorization.ends(async || {
                let page = ann.get(&ann.ocore("/authorizations")).await;
                let (csrf, id) = (page.hidden("csrf"), page.hidden("id"));
                let done = ann.form(&ann.ocore("/authorizations/revoke"), &[("csrf", &csrf), ("id", &id)]).await;
                assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
            }),
            signed_off.ends(async || {
                let fields = [("token", refreshing.text("refresh_token")), ("client_id", client.clone())];
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
                assert_eq!(world.post("/revoke", &fields).await.status, 200);
            }),
            disabled.ends(async || cli(&["user", "update", BOB, "--disable"])),
            expelled.ends(async || cli(&["key", "revoke", of_fred.as_str().expect("an id")])),
            of_key.ends(async || cli(&["key", "revoke", &revoked])),
            of_invite.ends(async || cli(&["user", "update", "carl@example.com", "--disable"])),
        );
        assert!(stays.streams.iter().all(|stream| !stream.is_finished()), "another's streams go on");
        assert_eq!(stays.mcp.request("tools/list", json!({})).await.0, 200);
        // The kill switch ends these too, with everything of the organization.
        cli(&["org", "update", "acme", "--kill-switch", "on"]);
        let over = Instant::now();
        for (kind, ended) in Kind::ALL.into_iter().zip(join_all(stays.streams).await) {
            let lasted = ended.expect("it is read").saturating_duration_since(over);
            println!("an organization that is switched off: {kind:?} {:.1} s", lasted.as_secs_f32());
            assert!(lasted < ENDS_WITHIN, "{kind:?}");
        }
    });
}

/// Like Eve in everything.
const GIL: &str = "gil@example.com";

/// What somebody of another organization may have heard of, or guessed, or made up.
struct Named {
    org: String,
    instance: String,
    email: String,
    grant: String,
    client: String,
    key: String,
    session: String,
    invite: String,
    /// Of a device that was answered.
    code: String,
    /// The path of a one-time link.
    link: String,
}
/// A request to a page: its route, as the router has it; the address; the fields of the form, if it is one.
type Try = (&'static str, String, Option<Vec<(&'static str, String)>>);

/// Everything that names something: for each route at least one request.
fn tries(named: &Named, query: &str) -> Vec<Try> {
    let Named { org, instance, email, grant, client, key, session, invite, code, link } = named;
    let get = |route, path: String| (route, path, None);
    let post = |route, path: &str, fields: &[(&'static str, &str)]| -> Try {
        (route, path.to_owned(), Some(fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()))
    };
    let everything = format!("org={org}&ocore_org={org}&id={grant}&key={key}&client={client}&email={email}&instance={instance}");
    let with_org = format!("{query}&ocore_org={org}");
    let resource =
        format!("http%3A%2F%2Flocalhost%3A{}%2Fmcp%2Fi%2F{instance}", link.split(':').nth(2).unwrap().split('/').next().unwrap());
    let with_instance = format!("{query}&resource={resource}");
    let device = format!("device={code}");
    let link = &link[link.find("/impersonate/").expect("a path")..];
    let of_invite = format!("/oauth/invite/{invite}");
    // What these take is one's own: the rest of the fields must do nothing.
    let own = [
        ("email", email.as_str()),
        ("user", email),
        ("id", session),
        ("org", org),
        ("current", "wrong wrong wrong"),
        ("new_password", "some quite other words"),
        ("password", "wrong wrong wrong"),
        ("confirm_off", "wrong wrong wrong"),
        ("confirm_codes", "wrong wrong wrong"),
        ("setup", key),
        ("code", "000000"),
    ];
    let mut all = vec![
        get("GET /", format!("/?{everything}")),
        get("GET /set-up", format!("/set-up?token={key}&{everything}")),
        post("POST /set-up", "/set-up", &[("token", key), ("email", email), ("password", PASSWORD), ("org", org)]),
        get("GET /sign-in", format!("/sign-in?next={}&{everything}", "%2Finvites")),
        post("POST /sign-in", "/sign-in", &[("email", email), ("password", "wrong wrong wrong")]),
        get("GET /sign-in/code", format!("/sign-in/code?{everything}")),
        post("POST /sign-in/code", "/sign-in/code", &[("code", "000000"), ("email", email), ("id", session)]),
        get("GET /sessions", format!("/sessions?{everything}")),
        post("POST /sessions/revoke", "/sessions/revoke", &[("id", session)]),
        post("POST /sessions/revoke", "/sessions/revoke", &[("others", "yes"), ("user", email), ("email", email)]),
        get("GET /account", format!("/account?{everything}")),
        post("POST /account/password", "/account/password", &own),
        get("GET /account/second-step", format!("/account/second-step?{everything}")),
        post("POST /account/second-step", "/account/second-step", &own),
        post("POST /account/second-step/off", "/account/second-step/off", &own),
        post("POST /account/recovery-codes", "/account/recovery-codes", &own),
        get("GET /impersonate/{link}", link.to_owned()),
        post("POST /impersonate/{link}", link, &[]),
        get("GET /authorize", format!("/authorize?{with_org}")),
        get("GET /authorize", format!("/authorize?{with_instance}")),
        get("GET /oauth/authorize", format!("/oauth/authorize?{with_org}")),
        get("GET /openid/{provider}", format!("/openid/{instance}?next=%2Finvites&{everything}")),
        get("GET /openid/{provider}/callback", format!("/openid/{instance}/callback?code={code}&state={session}")),
        get("GET /password-reset/{link}", format!("/password-reset/{invite}")),
        post("POST /password-reset/{link}", &format!("/password-reset/{invite}"), &own),
        post("POST /account/link", "/account/link", &[&own[..], &[("provider", instance)]].concat()),
        post("POST /account/unlink", "/account/unlink", &[&own[..], &[("provider", session)]].concat()),
        get("GET /consent", format!("/consent?{device}")),
        get("GET /device", format!("/device?user_code={code}&{everything}")),
        post("POST /device", "/device", &[("user_code", code)]),
        post("POST /device/confirm", "/device/confirm", &[("request", code), ("do", "not-mine")]),
        post("POST /device/confirm", "/device/confirm", &[("request", code), ("do", "mine")]),
        post(
            "POST /consent",
            "/consent",
            &[("request", &device), ("do", "allow"), ("preset", "full"), ("key", "new"), ("label", "x")],
        ),
        get("GET /organizations", format!("/organizations?next=%2Finvites&{everything}")),
        get("GET /authorizations", format!("/authorizations?{everything}")),
        post("POST /authorizations/revoke", "/authorizations/revoke", &[("id", grant)]),
        post("POST /authorizations/revoke", "/authorizations/revoke", &[("id", grant), ("org", org), ("user", email)]),
        post("POST /authorizations/revoke", "/authorizations/revoke", &[("client", client)]),
        get("GET /oauth/invite/{token}", of_invite.clone()),
        post("POST /oauth/invite/{token}", &of_invite, &[("id", invite), ("org", org)]),
        get("GET /invites", format!("/invites?org={org}")),
        get("GET /static/{name}", format!("/static/{instance}")),
    ];
    // Decisions for another organization, by another's key, on another's instance; and a look at what they would give.
    let allow = [("preset", "full"), ("key", "new"), ("label", "x")];
    let custom =
        [("preset", "custom"), ("key", "new"), ("label", "x"), ("instance", instance.as_str()), ("all_categories", "yes")];
    let by_key = [("preset", "read"), ("key", key.as_str()), ("use_key", "raised")];
    for (request, choice) in [
        (with_org.as_str(), &allow[..]),
        (with_org.as_str(), &custom[..]),
        (with_instance.as_str(), &allow[..]),
        (query, &custom[..]),
        (query, &by_key[..]),
    ] {
        for what in ["look", "allow"] {
            let mut fields = vec![("request", request), ("do", what)];
            fields.extend(choice);
            all.push(post("POST /consent", "/consent", &fields));
        }
    }
    // The organization that a browser works in, chosen here, and then all pages that go by it.
    all.push(post("POST /organizations", "/organizations", &[("org", org), ("next", "/invites")]));
    all.push(post("POST /organizations", "/organizations", &[("org", org), ("next", &format!("/authorize?{query}"))]));
    for (route, path) in [("GET /", "/"), ("GET /invites", "/invites"), ("GET /authorizations", "/authorizations")] {
        all.push(get(route, path.to_owned()));
    }
    let new = [
        ("label", "x"),
        ("role", "member"),
        ("preset", "custom"),
        ("all_instances", "yes"),
        ("all_categories", "yes"),
        ("days", "7"),
        ("uses", "9"),
        ("instance", instance.as_str()),
        ("do", "make"),
    ];
    let mut fields = vec![("org", org.as_str())];
    fields.extend(new);
    all.push(post("POST /invites", "/invites", &fields));
    for (route, path) in [("POST /invites/revoke", "/invites/revoke"), ("POST /invites/vouch", "/invites/vouch")] {
        for in_org in [org.as_str(), "other", ""] {
            all.push(post(route, path, &[("org", in_org), ("id", invite)]));
        }
    }
    all.push(post("POST /sign-out", "/sign-out", &[("id", session), ("email", email)]));
    all
}

/// What the router of the pages answers to, as `GET /path`, out of its own text: whoever adds a route is asked here for a request.
fn served() -> BTreeSet<String> {
    let read = |file: &str| std::fs::read_to_string(root().join("web/src").join(file)).expect("the source");
    let names: BTreeMap<String, String> = read("routes.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix("\";")?.split_once(": &str = \""))
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .collect();
    let site = read("site.rs");
    let router = site.split("pub fn router(").nth(1).and_then(|rest| rest.split(".with_state(").next()).expect("the router");
    assert!(!router.contains(".merge(") && !router.contains(".nest("), "routes that are not seen here: {router}");
    let mut all = BTreeSet::new();
    for route in router.split(".route(").skip(1) {
        let (path, methods) = route.split_once(',').expect("a path and its methods");
        let path = match path.trim().strip_prefix("routes::") {
            Some(name) => names.get(name).unwrap_or_else(|| panic!("no {name} in routes.rs")).clone(),
            None => path.trim().trim_matches('"').to_owned(),
        };
        let before = all.len();
        for (call, method) in [("get(", "GET"), ("post(", "POST")] {
            if methods.contains(call) {
                all.insert(format!("{method} {path}"));
            }
        }
        assert!(all.len() > before, "which methods has {path}? {methods}");
    }
    all
}

/// A page without what differs by person and time alone.
fn told(page: &Page, named: [&Named; 2]) -> String {
    let cookies: Vec<_> = page.headers.get_all("set-cookie").iter().map(|v| v.to_str().expect("text")).collect();
    let mut text = format!("{} to {} with {cookies:?}\n{}", page.status, page.location(), page.text);
    // The secret of an authenticator stands there, in several ways.
    if let Some(at) = text.find("class=\"qr\"") {
        text.truncate(at);
    }
    let mut names = vec![EVE, GIL];
    for Named { org, instance, email, grant, client, key, session, invite, code, link } in named {
        names.extend([email, grant, client, key, session, invite, code, link, instance, org].map(String::as_str));
    }
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in names {
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        text = text.replace(name, "~").replace(&encoded, "~");
    }
    // Tokens, form tokens and times.
    let mut plain = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let letters = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if letters.len() >= 20 {
            plain += "~";
            plain += &word[letters.len()..];
        } else {
            plain.extend(word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }));
        }
    }
    plain
}

#[test]
fn what_another_organization_has_is_to_every_page_as_if_it_were_not_there() {
    let Some(odoo) = Odoo::fresh(19, "foreign") else { return };
    run(async {
        let (ocore, clerk, port) = with_visits(&odoo);
        let mut world = World::of(ocore);
        let args = ["user", "create", "--email", GIL, "--org", "other", "--role", "owner", "--password-stdin"];
        world.ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        let args = ["--json", "invite", "create", "acme", "--label", "Secret of acme", "--by", ANN, "--uses", "9"];
        let invite = world.ocore.cli(&args, "").ok().json();
        let args = ["--json", "key", "create", "--org", "acme", "--owner", ANN, "--label", "Key of acme"];
        let key = world.ocore.cli(&args, "").ok().json();
        world.ocore.serve_at(&format!("127.0.0.1:{port}"));

        // What acme has: a consent, two sessions, a device that was let in, a link into its Odoo.
        let mut ann = world.browser(ANN).await;
        let client = world.client("Client of acme").await;
        let tokens = world.tokens(&mut ann, &client, "read").await;
        let mut second = world.browser(ANN).await;
        let (session, grant) =
            (ann.get(&ann.ocore("/sessions")).await.hidden("id"), ann.get(&ann.ocore("/authorizations")).await.hidden("id"));
        let device = world.post("/device_authorization", &[("client_id", "ocore-cli"), ("scope", "read")]).await;
        let code = device.text("user_code");
        let choice = [("preset", "read"), ("key", "new"), ("label", "terminal"), ("do", "allow")];
        let compared = world.compared(&mut ann, &code).await;
        assert!(world.decide(&mut ann, &compared, &choice).await.text.contains("connected"));
        let mcp = world.ocore.key(&["--owner", ANN]);
        let asked = json!({"user_id": clerk, "reason": "The clerk cannot find an invoice"});
        let link = mcp.call("dev_impersonate_user", asked).await.ok()["url"].as_str().expect("a URL").to_owned();
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_else(|| panic!("no {name} in {of}")).to_owned();
        let theirs = Named {
            org: "acme".into(),
            instance: "dev".into(),
            email: ANN.into(),
            grant,
            client: client.clone(),
            key: text(&key, "id"),
            session,
            invite: text(&invite, "id"),
            code,
            link,
        };
        // The same in form, of nobody.
        let turned = |id: &str| {
            let last = if id.ends_with('0') { '1' } else { '0' };
            format!("{}{last}", &id[..id.len() - 1])
        };
        let nothing = Named {
            org: "nine".into(),
            instance: "nil".into(),
            email: "nil@example.com".into(),
            grant: turned(&theirs.grant),
            client: turned(&theirs.client),
            key: turned(&theirs.key),
            session: turned(&theirs.session),
            invite: turned(&theirs.invite),
            code: if theirs.code.starts_with('B') { "CCCC-CCCC".into() } else { "BBBB-BBBB".into() },
            link: turned(&theirs.link),
        };
        let state = || {
            let lists: [&[&str]; 4] =
                [&["key", "list", "--org", "acme"], &["invite", "list", "acme"], &["user", "list"], &["org", "list"]];
            let mut all: Vec<Value> = lists.map(|list| world.ocore.cli(&[&["--json"][..], list].concat(), "").ok().json()).into();
            // Which keys were used is written a moment later.
            for row in all[0].as_array_mut().expect("keys") {
                for name in ["last_used_at", "last_used_address", "use_count"] {
                    row.as_object_mut().expect("a key").remove(name);
                }
            }
            // That somebody tried another's link is kept for its organization.
            let rows = world.ocore.cli(&["--json", "audit", "log", "--org", "acme", "--limit", "500"], "").ok().json();
            let rows = rows.as_array().or_else(|| rows["rows"].as_array()).expect("rows").clone();
            // The session of the call above may be told of a moment later.
            let late = ["impersonation.refused", "session.start"];
            all.extend(rows.into_iter().filter(|row| !late.contains(&row["action"].as_str().unwrap_or_default())));
            all
        };
        let before = state();

        // Eve tries what acme has, Gil what nobody has; they are alike otherwise. A client of theirs asks for their consent.
        let own = world.client("Client of other").await;
        let query = Request::of(&own).query();
        let (mut eve, mut gil) = (world.browser(EVE).await, world.browser(GIL).await);
        let (tries_of_eve, tries_of_gil) = (tries(&theirs, &query), tries(&nothing, &query));
        let tried: BTreeSet<String> = tries_of_eve.iter().map(|(route, ..)| (*route).to_owned()).collect();
        assert_eq!(tried, served(), "a page without a request here, or a request to no page");
        let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
        for (of_eve, of_gil) in tries_of_eve.into_iter().zip(tries_of_gil) {
            let page = attempt(&mut eve, &of_eve).await;
            let like = attempt(&mut gil, &of_gil).await;
            *answers.entry(page.status.as_u16()).or_default() += 1;
            assert_eq!(told(&page, [&theirs, &nothing]), told(&like, [&theirs, &nothing]), "{of_eve:?}");
            for secret in [ANN, "Secret of acme", "Key of acme", "Client of acme", "clerk"] {
                // Whoever types an address reads it again.
                let typed = of_eve.2.iter().flatten().any(|(_, value)| value == secret);
                assert!(typed || !page.text.contains(secret), "{of_eve:?} tells {secret}: {}", page.text);
            }
        }
        println!("foreign identifiers: {answers:?}");
        let pages = |from: u16, to: u16| answers.range(from..to).map(|(_, n)| n).sum::<usize>();
        assert!(
            pages(200, 400) > 10 && pages(400, 500) > 10 && pages(500, 600) == 0,
            "not all fail, and none for want of a form"
        );

        assert_eq!(before, state(), "something of acme changed");
        assert_eq!(world.lists(&tokens.text("access_token")).await, 200);
        for browser in [&mut ann, &mut second] {
            assert_eq!(browser.get(&browser.ocore("/")).await.status, StatusCode::OK, "signed in");
        }
        assert!(ann.get(&theirs.link).await.text.contains("clerk"), "the link is Ann's as before");
        let invite = text(&invite, "link");
        assert!(eve.get(&invite).await.text.contains("acme"), "who has the link is invited as before");
        let polled = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", &device.text("device_code")),
            ("client_id", "ocore-cli"),
        ];
        assert_eq!(world.post("/token", &polled).await.status, 200, "the device is let in as before");
    });
}
/// With the browser's own form token.
async fn attempt(browser: &mut Browser, (_, path, fields): &Try) -> Page {
    let Some(fields) = fields else { return browser.get(&browser.ocore(path)).await };
    let csrf = browser.get(&browser.ocore("/device")).await.hidden("csrf");
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend(fields.iter().map(|(name, value)| (*name, value.as_str())));
    browser.form(&browser.ocore(path), &all).await
}

#[test]
fn answers_say_whose_they_are_and_are_nobody_elses() {
    run(async {
        let (one, other) = (World::new().serving(), World::new().serving());
        let mut ann = one.browser(ANN).await;
        let (client, namesake) = (one.client("A client").await, other.client("A client").await);
        let issuer = one.get("/.well-known/oauth-authorization-server").await.text("issuer");
        assert_eq!(issuer, one.url(""), "it is the URL that it is found at");
        assert_ne!(issuer, other.get("/.well-known/oauth-authorization-server").await.text("issuer"));
        let request = Request::of(&client);

        // Each answer carries the issuer and the state (RFC 9207): of a code, of a refusal, and of whatever else a client is told.
        let page =
            one.decide(&mut ann, &request.query(), &[("preset", "read"), ("key", "new"), ("label", "x"), ("do", "allow")]).await;
        assert_eq!((onward(&page, "iss"), onward(&page, "state").as_str()), (issuer.clone(), "some state"));
        let code = onward(&page, "code");
        let page = one.decide(&mut ann, &request.query(), &[("do", "deny")]).await;
        assert_eq!((onward(&page, "error").as_str(), onward(&page, "iss")), ("access_denied", issuer.clone()));
        for (name, value, error) in [
            ("response_type", "token", "unsupported_response_type"),
            ("response_type", "", "unsupported_response_type"),
            ("code_challenge", "", "invalid_request"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("scope", "everything", "invalid_scope"),
            ("resource", "https://elsewhere.example/mcp", "invalid_target"),
            ("prompt", "none", ""),
            ("iss", "https://elsewhere.example", ""),
        ] {
            let page = ann.get(&ann.ocore(&format!("/authorize?{}", request.clone().with(name, value).query()))).await;
            if error.is_empty() {
                // What a client adds changes nothing of who answers.
                assert_eq!(page.status, StatusCode::OK, "{name}={value}: {}", page.text);
                continue;
            }
            let to = url::Url::parse(page.location()).unwrap_or_else(|e| panic!("{name}={value}: {e}: {}", page.text));
            let all: BTreeMap<_, _> = to.query_pairs().into_owned().collect();
            assert!(page.location().starts_with(REDIRECT) && !all.contains_key("code"), "{name}={value}: {to}");
            let told = |name: &str| all.get(name).map(String::as_str).unwrap_or_default();
            assert_eq!(
                (told("error"), told("iss"), told("state")),
                (error, issuer.as_str(), "some state"),
                "{name}={value}: {to}"
            );
        }

        // A client that was led to take the other's token endpoint for this one's gets nothing for the code there, and loses nothing here.
        other.token(&request, &client, &code).await.is(401, "invalid_client");
        other.token(&request, &namesake, &code).await.is(400, "invalid_grant");
        // Nor is a name of this server good for another of its names: tokens would be for other resources.
        let by_address = |path: &str| format!("http://127.0.0.1:{}{path}", one.port());
        let posts = async |path: &str, fields: &[(&str, &str)]| {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let kind = "application/x-www-form-urlencoded";
            one.send(one.http.post(by_address(path)).header("content-type", kind).body(body)).await
        };
        posts("/token", &exchange(&request, &client, &code)).await.is(400, "invalid_grant");
        let tokens = one.token(&request, &client, &code).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("client_id", &client)];
        posts("/token", &fields).await.is(400, "invalid_grant");
        other.refresh(&namesake, &refresh).await.is(400, "invalid_grant");
        assert_eq!(other.lists(&access).await, 401);
        let elsewhere = Mcp::new(&by_address(""), &access).request("tools/list", json!({})).await;
        assert_eq!(elsewhere.0, 401, "{elsewhere:?}");
        let asks = [("token", access.as_str()), ("client_id", namesake.as_str())];
        assert_eq!(other.post("/revoke", &asks).await.status, 200, "as for what it never heard of");
        assert_eq!(one.lists(&access).await, 200);
        assert_eq!(one.refresh(&client, &refresh).await.status, 200);
        // A device code neither.
        let device =
            one.post("/device_authorization", &[("client_id", "ocore-cli"), ("scope", "read")]).await.text("device_code");
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let polls = [("grant_type", grant), ("device_code", device.as_str()), ("client_id", "ocore-cli")];
        other.post("/token", &polls).await.is(400, "invalid_grant");
        one.post("/token", &polls).await.is(400, "authorization_pending");
    });
}
