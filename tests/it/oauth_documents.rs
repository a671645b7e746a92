//! Clients whose id is the address of a document: whoever names an address makes the server look there, so it must not be led inside; and
//! the hosts that come in so, by what is known of their documents and requests.
use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};

use crate::{
    harness::{
        NAME_SERVER, Names, cannot_run, run,
        tls::{Asked, Authority, HERE, INSIDE, Piece, Server, answer},
    },
    impersonation::{Browser, Page},
    oauth::{ANN, Answer, REDIRECT, Request, World, onward_to},
};

/// Says why an address is not fetched from, whatever is there.
const NOT_ALLOWED: &str = "an address that ocore does not connect to";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// As the client names itself, in the request that came.
fn url_of(asked: &Asked) -> (String, String) {
    let host = asked.head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
    let path = asked.line.split(' ').nth(1).unwrap_or_default().to_owned();
    (format!("https://{}", host.unwrap_or_default()), path)
}
fn document(id: &str) -> Value {
    json!({
        "client_id": id, "client_name": "Known by its document", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
    })
}
fn good(asked: &Asked) -> Vec<Piece> {
    let (host, path) = url_of(asked);
    answer(200, "application/json", "", document(&format!("{host}{path}")).to_string())
}

impl World {
    /// The consent page of a client.
    async fn asks(&self, browser: &mut Browser, id: &str) -> Page {
        browser.get(&browser.ocore(&format!("/authorize?{}", Request::of(id).query()))).await
    }
}
/// A page that tells the person why nothing comes of it, and leads nowhere.
#[track_caller]
fn refused(page: &Page, id: &str, why: &str) {
    assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""), "{id}: {}", page.text);
    assert!(page.text.contains(why) && !page.text.contains("name=\"preset\""), "{id}: {}", page.text);
}

#[test]
fn no_client_leads_the_server_inside() {
    let authority = Authority::new();
    // What a name leads to; client.example alone is where the server may go.
    let hosts = "127.0.0.1 client.example own.example\n127.0.0.2 inside.example\n127.0.0.2 both.example\n127.0.0.1 both.example\n\
        10.0.0.1 private.example\n192.168.1.1 lan.example\n169.254.169.254 metadata.example\n::ffff:127.0.0.2 mapped.example\n\
        ::1 six.example\n0.0.0.0 zero.example\n64:ff9b::7f00:2 translated.example";
    let Some(names) = Names::new(hosts, &authority.pem()) else { return };
    run(async {
        let served = ["client.example", "inside.example", "both.example", "127.0.0.2"];
        let here = Server::start(&authority, &served, good).await;
        // It takes whatever would come to the same port of another address of this machine.
        let inside = Server::at(SocketAddr::new(INSIDE, here.port()), &authority, &served, good).await;
        let port = here.port();
        let world = World::of(names.ocore("127.0.0.1/32")).serving();
        let mut ann = world.browser(ANN).await;

        // It is a client like others, as long as it is where the server may go: that is looked for once.
        let id = format!("https://client.example:{port}/c");
        let page = world.asks(&mut ann, &id).await;
        assert!(page.text.contains("Known by its document") && page.text.contains("client.example"), "{}", page.text);
        assert_eq!(world.lists(&world.tokens(&mut ann, &id, "read").await.text("access_token")).await, 200);
        assert_eq!((here.requests(), inside.connections()), (1, 0));
        // Of two addresses the one that is allowed.
        let page = world.asks(&mut ann, &format!("https://both.example:{port}/c")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        assert_eq!((here.requests(), inside.connections()), (2, 0));

        // Names that lead inside, to metadata services, and to the server itself; what is there is not told.
        for name in ["inside", "private", "lan", "metadata", "mapped", "six", "zero", "translated"] {
            let id = format!("https://{name}.example:{port}/c");
            let begun = Instant::now();
            let page = world.asks(&mut ann, &id).await;
            refused(&page, &id, NOT_ALLOWED);
            for told in ["127.0.0", "10.0.0", "192.168", "169.254", "refused", "timed out"] {
                assert!(!page.text.contains(told), "{id} tells {told}: {}", page.text);
            }
            assert!(begun.elapsed() < Duration::from_secs(3), "{id}: nothing is waited for");
        }
        let own = format!("https://own.example:{}/c", world.port());
        refused(&world.asks(&mut ann, &own).await, &own, NOT_ALLOWED);
        let nowhere = format!("https://nowhere.example:{port}/c");
        refused(&world.asks(&mut ann, &nowhere).await, &nowhere, "no connection to its host came about");
        // Addresses in every spelling, local names, other schemes: no ids at all.
        for id in [
            format!("https://127.0.0.2:{port}/c"),
            format!("https://127.0.0.1:{port}/c"),
            format!("https://2130706434:{port}/c"),
            format!("https://0x7f000002:{port}/c"),
            format!("https://0177.0.0.2:{port}/c"),
            format!("https://127.2:{port}/c"),
            format!("https://127.0.0.2.:{port}/c"),
            format!("https://①②⑦.0.0.2:{port}/c"),
            format!("https://[::1]:{port}/c"),
            format!("https://[::ffff:127.0.0.2]:{port}/c"),
            format!("https://[::ffff:7f00:2]:{port}/c"),
            format!("https://localhost:{port}/c"),
            format!("https://inside.localhost:{port}/c"),
            format!("https://inside.internal:{port}/c"),
            format!("https://client.example:{port}@inside.example:{port}/c"),
            format!("https://inside.example:{port}/c#@client.example"),
            format!("https://inside.example:{port}\\@client.example/c"),
            format!("http://inside.example:{port}/c"),
            "https://169.254.169.254/latest/meta-data/".into(),
            "https://10.0.0.1/c".into(),
            "https://[fd00:ec2::254]/c".into(),
            "file:///etc/passwd".into(),
            "gopher://inside.example/c".into(),
        ] {
            let page = world.asks(&mut ann, &id).await;
            assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""), "{id}: {}", page.text);
        }
        // Nobody need be signed in at the endpoints, and they go no further.
        for (n, path) in ["/token", "/revoke", "/introspect", "/device_authorization"].into_iter().enumerate() {
            let id = format!("https://inside.example:{port}/{n}");
            let fields = [("client_id", id.as_str()), ("grant_type", "refresh_token"), ("refresh_token", "x"), ("token", "x")];
            let answer = world.post(path, &fields).await;
            answer.is(401, "invalid_client");
            assert!(answer.body.to_string().contains(NOT_ALLOWED), "{answer:?}");
        }
        assert_eq!((here.requests(), inside.connections()), (2, 0));

        // Nor are they a way to have another's host asked again and again.
        let mut slowed = None;
        for n in 0..40 {
            let id = format!("https://client.example:{port}/flood/{n}");
            let answer =
                world.post("/token", &[("client_id", &id), ("grant_type", "refresh_token"), ("refresh_token", "x")]).await;
            if answer.status == 429 {
                slowed = Some(answer);
                break;
            }
        }
        let slowed = slowed.expect("a flood is slowed");
        assert!(slowed.header("retry-after").parse::<u32>().unwrap() > 0, "{slowed:?}");
        assert!(here.connections() <= 30, "{}", here.connections());
        println!("documents: {} connections for 40 and more ids, {} inside", here.connections(), inside.connections());
        // Whoever is known already still comes in; a person is told what is the matter.
        assert_eq!(world.asks(&mut ann, &id).await.status, StatusCode::OK);
        let page = world.asks(&mut ann, &format!("https://client.example:{port}/another")).await;
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "{}", page.text);

        // All of this was in vain by what the server may do and not by how the host inside is made.
        let open = World::of(names.ocore("127.0.0.0/8")).serving();
        let mut ann = open.browser(ANN).await;
        let page = open.asks(&mut ann, &format!("https://inside.example:{port}/c")).await;
        assert_eq!((page.status, inside.requests()), (StatusCode::OK, 1), "{}", page.text);
    });
}

#[test]
fn documents_that_lie_drip_or_lead_elsewhere_are_refused() {
    let authority = Authority::new();
    let Some(names) = Names::new("127.0.0.1 client.example\n127.0.0.2 inside.example", &authority.pem()) else { return };
    run(async {
        let served = ["client.example", "inside.example"];
        let inside = Server::at(SocketAddr::new(INSIDE, 0), &authority, &served, good).await;
        let port = inside.port();
        let here = Server::at(SocketAddr::new(HERE, port), &authority, &served, move |asked| {
            let (host, path) = url_of(asked);
            let mut document = document(&format!("{host}{path}"));
            let to = |document: &Value| answer(200, "application/json", "", document.to_string());
            match path.as_str() {
                "/other-id" => document["client_id"] = format!("{host}/c").into(),
                "/large" => document["padding"] = "x".repeat(17_000).into(),
                "/secret" => document["client_secret"] = "everybody reads it".into(),
                "/redirect-inside" => {
                    return answer(302, "application/json", &format!("Location: https://inside.example:{port}/c\r\n"), "{}");
                }
                "/redirect" => return answer(301, "application/json", "Location: /c\r\n", document.to_string()),
                "/html" => return answer(200, "text/html", "", document.to_string()),
                "/no-json" => return answer(200, "application/json", "", "<html>"),
                "/gone" => return answer(404, "application/json", "", document.to_string()),
                "/compressed" => return answer(200, "application/json", "Content-Encoding: gzip\r\n", document.to_string()),
                "/drip" => {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n";
                    return vec![Piece::Send(head.into()), Piece::Endless(b" ".to_vec(), Duration::from_millis(50))];
                }
                "/endless" => {
                    let head = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n";
                    return vec![Piece::Send(head.into()), Piece::Endless(vec![b' '; 5_000], Duration::ZERO)];
                }
                "/keys-inside" => {
                    document["token_endpoint_auth_method"] = "private_key_jwt".into();
                    document["jwks_uri"] = format!("https://inside.example:{port}/keys").into();
                }
                "/picture-inside" => document["logo_uri"] = format!("https://inside.example:{port}/picture").into(),
                "/picture-here" => document["logo_uri"] = format!("https://client.example:{port}/picture").into(),
                "/picture" => return answer(200, "image/png", "", b"\x89PNG\r\n\x1a\n"),
                _ => {}
            }
            to(&document)
        })
        .await;
        let world = World::of(names.ocore("127.0.0.1/32")).serving();
        let mut ann = world.browser(ANN).await;
        let at = |path: &str| format!("https://client.example:{port}{path}");
        for (path, why) in [
            ("/other-id", "its client_id must be the URL that it is fetched from"),
            ("/large", "the answer is larger than 16384 bytes"),
            ("/endless", "the answer is larger than 16384 bytes"),
            ("/secret", "it holds a client_secret"),
            ("/redirect-inside", "the answer is a redirect (302), which is not followed"),
            ("/redirect", "the answer is a redirect (301), which is not followed"),
            ("/html", "the answer has status 200 and the type"),
            ("/no-json", "cannot be used"),
            ("/gone", "the answer has status 404"),
            ("/compressed", "the answer is compressed"),
            ("/drip", "the answer was not there within 5 seconds"),
        ] {
            let begun = Instant::now();
            refused(&world.asks(&mut ann, &at(path)).await, path, why);
            assert!(begun.elapsed() < Duration::from_secs(8), "{path} took {:?}", begun.elapsed());
        }
        // The keys and the picture that a document names lead no further than the document itself.
        let page = world.asks(&mut ann, &at("/picture-here")).await;
        assert!(page.text.contains("src=\"data:image/png;base64,"), "{}", page.text);
        let page = world.asks(&mut ann, &at("/picture-inside")).await;
        assert!(page.status == StatusCode::OK && !page.text.contains("<img"), "{}", page.text);
        let text = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let id = at("/keys-inside");
        let soon = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 60;
        let claims = json!({"iss": id, "sub": id, "aud": world.url("/token"), "exp": soon, "jti": "a"});
        let assertion = format!("{}.{}.AAAA", text(json!({"alg": "RS256", "kid": "a"})), text(claims));
        let fields = [
            ("client_id", id.as_str()),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &assertion),
            ("grant_type", "refresh_token"),
            ("refresh_token", "x"),
        ];
        let answer = world.post("/token", &fields).await;
        answer.is(401, "invalid_client");
        assert!(answer.body.to_string().contains(NOT_ALLOWED), "{answer:?}");
        assert_eq!(inside.connections(), 0);
        // And it is looked for, had it been elsewhere.
        assert_eq!(world.asks(&mut ann, &at("/c")).await.status, StatusCode::OK);
        assert!(here.requests() >= 15, "{}", here.requests());
    });
}

/// A place that is the same for every run on a machine: another may have it for a moment.
async fn bound<T, F: Future<Output = std::io::Result<T>>>(at: &str, bind: impl Fn() -> F) -> Option<T> {
    let begun = Instant::now();
    loop {
        match bind().await {
            Ok(bound) => return Some(bound),
            Err(why) if why.kind() == ErrorKind::AddrInUse && begun.elapsed() < Duration::from_mins(1) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(why) => {
                cannot_run(&format!("nothing can listen at {at} ({why}): that takes root's rights"));
                return None;
            }
        }
    }
}
/// Says by turns that a name is here and inside; gives how often it was asked for an address.
async fn turning() -> Option<Arc<AtomicUsize>> {
    let socket = bound(NAME_SERVER, || UdpSocket::bind(NAME_SERVER)).await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0_u8; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            // RFC 1035 section 4: twelve bytes of head, a name that ends with an empty label, type and class.
            let Some(name) = buffer[12..length].iter().position(|byte| *byte == 0) else { continue };
            let question = buffer[12..12 + name + 5].to_vec();
            let known = question.windows(7).any(|label| label.eq_ignore_ascii_case(b"turning"));
            let is_v4 = known && question[name + 1..name + 3] == [0, 1];
            let mut reply = buffer[..2].to_vec();
            // No error, or no such name.
            reply.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
            reply.extend(&question);
            if is_v4 {
                let turn = count.fetch_add(1, Ordering::SeqCst);
                let IpAddr::V4(address) = (if turn.is_multiple_of(2) { HERE } else { INSIDE }) else { unreachable!() };
                // The same name, an address, for no longer than now.
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                reply.extend(address.octets());
            }
            let _ = socket.send_to(&reply, from).await;
        }
    });
    Some(asked)
}

#[test]
fn a_name_that_turns_inside_between_two_look_ups_gains_nothing() {
    let authority = Authority::new();
    let Some(names) = Names::new("", &authority.pem()) else { return };
    run(async {
        let Some(looked_up) = turning().await else { return };
        let here = Server::start(&authority, &["turning.example"], good).await;
        let inside = Server::at(SocketAddr::new(INSIDE, here.port()), &authority, &["turning.example"], good).await;
        let world = World::of(names.ocore("127.0.0.1/32")).serving();
        let mut ann = world.browser(ANN).await;
        for n in 1..=6 {
            let id = format!("https://turning.example:{}/{n}", here.port());
            let page = world.asks(&mut ann, &id).await;
            if n % 2 == 1 {
                assert_eq!(page.status, StatusCode::OK, "{n}: {}", page.text);
            } else {
                refused(&page, &id, NOT_ALLOWED);
            }
            assert_eq!(looked_up.load(Ordering::SeqCst), n, "what was checked is what is connected to");
        }
        assert_eq!((here.connections(), inside.connections()), (3, 0));
    });
}

/// What a host's client is known to send.
struct Host {
    name: &'static str,
    id: &'static str,
    redirects: &'static [&'static str],
    /// Whether it names the resource in the request for tokens.
    resource: bool,
    /// Whether it signs its requests for tokens.
    signs: bool,
}
const HOSTS: [Host; 5] = [
    Host {
        name: "Claude",
        id: "https://claude.ai/oauth/mcp-oauth-client-metadata",
        redirects: &["https://claude.ai/api/mcp/auth_callback"],
        resource: true,
        signs: false,
    },
    // Its document names no port; it listens at any.
    Host {
        name: "Claude Code",
        id: "https://claude.ai/oauth/claude-code-client-metadata",
        redirects: &["http://localhost:61234/callback", "http://127.0.0.1:54545/callback"],
        resource: true,
        signs: false,
    },
    Host {
        name: "ChatGPT",
        id: "https://chatgpt.com/oauth/client.json",
        redirects: &["https://chatgpt.com/connector_platform_oauth_redirect"],
        resource: true,
        signs: true,
    },
    // Left the resource out for long.
    Host {
        name: "Codex",
        id: "https://chatgpt.com/oauth/codex/Zm9vYmFyYmF6/client.json",
        redirects: &["http://127.0.0.1:43119/callback/Zm9vYmFyYmF6"],
        resource: false,
        signs: false,
    },
    // Where the port of its document is taken it listens at another.
    Host {
        name: "Visual Studio Code",
        id: "https://vscode.dev/oauth/client-metadata.json",
        redirects: &["http://127.0.0.1:33418/", "http://127.0.0.1:50123/", "https://vscode.dev/redirect"],
        resource: true,
        signs: false,
    },
];
/// The documents, as they are known.
fn recorded(id: &str) -> Option<Value> {
    let both = json!(["authorization_code", "refresh_token"]);
    let (name, redirects, grants) = match id {
        "https://claude.ai/oauth/mcp-oauth-client-metadata" => {
            ("Claude", json!(["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"]), both)
        }
        "https://claude.ai/oauth/claude-code-client-metadata" => {
            ("Claude Code", json!(["http://localhost/callback", "http://127.0.0.1/callback"]), both)
        }
        "https://chatgpt.com/oauth/client.json" => {
            ("ChatGPT", json!(["https://chatgpt.com/connector_platform_oauth_redirect"]), both)
        }
        "https://chatgpt.com/oauth/codex/Zm9vYmFyYmF6/client.json" => {
            let path = "/callback/Zm9vYmFyYmF6";
            ("Codex", json!([format!("http://127.0.0.1{path}"), format!("http://localhost{path}")]), both)
        }
        "https://vscode.dev/oauth/client-metadata.json" => {
            let device = "urn:ietf:params:oauth:grant-type:device_code";
            let redirects = json!(["http://127.0.0.1:33418/", "https://vscode.dev/redirect"]);
            ("Visual Studio Code", redirects, json!(["authorization_code", "refresh_token", device]))
        }
        _ => return None,
    };
    let mut document = json!({"client_id": id, "client_name": name, "redirect_uris": redirects, "grant_types": grants, "response_types": ["code"]});
    match name {
        "ChatGPT" => {
            document["token_endpoint_auth_method"] = "private_key_jwt".into();
            document["token_endpoint_auth_methods_supported"] = json!(["none", "private_key_jwt"]);
            document["token_endpoint_auth_signing_alg"] = "RS256".into();
            document["jwks_uri"] = "https://chatgpt.com/oauth/jwks.json".into();
        }
        // Says nothing of it.
        "Visual Studio Code" => {}
        _ => document["token_endpoint_auth_method"] = "none".into(),
    }
    Some(document)
}

/// Signs as ChatGPT does.
struct Signer {
    key: jsonwebtoken::EncodingKey,
    keys: Value,
}
impl Signer {
    fn new() -> Self {
        use aws_lc_rs::{
            encoding::{AsDer as _, Pkcs8V1Der},
            rsa::{KeyPair, KeySize},
            signature::KeyPair as _,
        };
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        // PKCS#1: a sequence of the modulus and the exponent 65537.
        let modulus = URL_SAFE_NO_PAD.encode(&pair.public_key().as_ref()[9..265]);
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // The crate wants PKCS#1: the octet string at the end of PKCS#8.
        let key = jsonwebtoken::EncodingKey::from_rsa_der(&der.as_ref()[26..]);
        Self {
            key,
            keys: json!({"keys": [{"kty": "RSA", "n": modulus, "e": "AQAB", "kid": "one", "alg": "RS256", "use": "sig"}]}),
        }
    }
    fn assertion(&self, id: &str, audience: &str, jti: &str) -> String {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = json!({"iss": id, "sub": id, "aud": audience, "iat": now, "exp": now + 60, "jti": jti});
        let header =
            jsonwebtoken::Header { kid: Some("one".into()), ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256) };
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

#[test]
fn hosts_that_are_known_by_their_documents_come_in_as_they_do() {
    let authority = Authority::new();
    let at = Ipv4Addr::new(127, 77, 0, 2);
    let known = ["claude.ai", "chatgpt.com", "vscode.dev"];
    let Some(names) = Names::new(&format!("{at} {}", known.join(" ")), &authority.pem()) else { return };
    run(async {
        if bound(&format!("{at}:443"), || TcpListener::bind((at, 443))).await.is_none() {
            return;
        }
        let signer = Signer::new();
        let keys = signer.keys.clone();
        // Some hosts come to answer the addresses of clouds by 403, and some take a document back.
        let status = Arc::new(AtomicUsize::new(200));
        let now = Arc::clone(&status);
        let server = Server::at(SocketAddr::new(at.into(), 443), &authority, &known, move |asked| {
            let (host, path) = url_of(asked);
            let status = u16::try_from(now.load(Ordering::SeqCst)).unwrap();
            match recorded(&format!("{host}{path}")) {
                Some(document) => answer(status, "application/json", "", document.to_string()),
                None if path == "/oauth/jwks.json" => answer(200, "application/json", "", keys.to_string()),
                None => answer(404, "text/html", "", "Not found"),
            }
        })
        .await;
        let world = World::of(names.ocore("127.77.0.2/32")).serving();
        let mut ann = world.browser(ANN).await;
        let resource = world.url("/mcp");
        let mut serial = 0;
        let mut signed = |host: &Host| {
            serial += 1;
            host.signs.then(|| signer.assertion(host.id, &world.url("/token"), &serial.to_string()))
        };
        let asks = async |fields: &[(&str, &str)], assertion: Option<&str>| -> Answer {
            let mut all = fields.to_vec();
            if let Some(assertion) = assertion {
                all.extend([("client_assertion_type", ASSERTION), ("client_assertion", assertion)]);
            }
            world.post("/token", &all).await
        };
        for host in &HOSTS {
            for redirect in host.redirects {
                let request = Request::of(host.id).with("redirect_uri", redirect).with("resource", &resource);
                let page = ann.get(&ann.ocore(&format!("/authorize?{}", request.query()))).await;
                assert_eq!(page.status, StatusCode::OK, "{redirect}: {}", page.text);
                let vouches = host.id.split('/').nth(2).unwrap();
                for said in [host.name, vouches, url::Url::parse(redirect).unwrap().host_str().unwrap()] {
                    assert!(page.text.contains(said), "{redirect}: {said}: {}", page.text);
                }
                let choice = [("preset", "standard"), ("key", "new"), ("label", host.name), ("do", "allow")];
                let page = world.decide(&mut ann, &request.query(), &choice).await;
                let code = onward_to(&page, redirect, "code");
                assert_eq!(onward_to(&page, redirect, "iss"), world.url(""), "ChatGPT depends on it");
                assert_eq!(onward_to(&page, redirect, "state"), "some state");
                let mut fields = vec![
                    ("grant_type", "authorization_code"),
                    ("code", &code),
                    ("redirect_uri", redirect),
                    ("client_id", host.id),
                    ("code_verifier", &request.verifier),
                ];
                fields.extend(host.resource.then_some(("resource", resource.as_str())));
                let assertion = signed(host);
                let tokens = asks(&fields, assertion.as_deref()).await;
                assert_eq!(tokens.status, 200, "{redirect}: {tokens:?}");
                assert_eq!(world.lists(&tokens.text("access_token")).await, 200);
                let refresh = tokens.text("refresh_token");
                let fields = [("grant_type", "refresh_token"), ("refresh_token", &*refresh), ("client_id", host.id)];
                if let Some(used) = &assertion {
                    // Who proved itself must go on to, each time anew.
                    asks(&fields, None).await.is(401, "invalid_client");
                    asks(&fields, Some(used)).await.is(401, "invalid_client");
                    let elsewhere = signer.assertion(host.id, "https://elsewhere.example/token", "other");
                    asks(&fields, Some(&elsewhere)).await.is(401, "invalid_client");
                }
                let next = asks(&fields, signed(host).as_deref()).await;
                assert_eq!(next.status, 200, "{redirect}: {next:?}");
            }
            // Where another host's client is answered is nowhere for this one.
            for other in HOSTS.iter().filter(|other| other.name != host.name) {
                let request = Request::of(host.id).with("redirect_uri", other.redirects[0]);
                let page = ann.get(&ann.ocore(&format!("/authorize?{}", request.query()))).await;
                assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""), "{} at {}", host.name, other.name);
            }
        }
        assert_eq!(server.requests(), HOSTS.len() + 1, "each document once, and the keys");

        // A copy serves on while its host is not reached, for two days; not when the document was taken back.
        let open = Request::of(HOSTS[0].id).with("redirect_uri", HOSTS[0].redirects[0]).query();
        let comes = async |browser: &mut Browser| browser.get(&browser.ocore(&format!("/authorize?{open}"))).await.status;
        let ages = async |hours: u32| {
            for column in ["fetched_at", "fresh_until"] {
                world.ages("oauth_clients", column, hours * 3600).await;
            }
        };
        for (hours, answers, status_of_page) in [
            (25, 403, StatusCode::OK),
            (1, 503, StatusCode::OK),
            (1, 404, StatusCode::BAD_REQUEST),
            (1, 403, StatusCode::OK),
            (24, 403, StatusCode::BAD_REQUEST),
            (0, 200, StatusCode::OK),
        ] {
            ages(hours).await;
            status.store(answers, Ordering::SeqCst);
            assert_eq!(comes(&mut ann).await, status_of_page, "{hours} hours later, by {answers}");
        }
    });
}
