use std::{
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::world::{Asked, Authority, HERE, INSIDE, Piece, Server, answer, raw};

const JSON: Limits = Limits {
    accept: "application/json",
    bytes: 1000,
    time: Duration::from_secs(5),
    acceptable: |status, content_type| status == 200 && content_type.is_some_and(|t| t.starts_with("application/json")),
};
/// For what never ends: long enough for two busy cores, short enough to wait for.
const SHORT: Limits = Limits { time: Duration::from_millis(1500), ..JSON };

fn only_here() -> Networks {
    Networks::new(vec!["127.0.0.1/32".parse().unwrap()])
}
/// Every name leads to this machine.
fn fetcher(authority: &Authority) -> Fetch {
    Fetch::testing(only_here(), &[authority.der()], |_| vec![HERE]).unwrap()
}
fn json(_: &Asked) -> Vec<Piece> {
    answer(200, "application/json", "", "{}")
}
async fn one(reply: impl Fn(&Asked) -> Vec<Piece> + Send + Sync + 'static, limits: &Limits) -> Result<Fetched, FetchError> {
    let authority = Authority::new();
    let server = Server::start(&authority, &["client.example"], reply).await;
    fetcher(&authority).get(&format!("https://client.example:{}/c", server.port()), limits).await
}

#[tokio::test]
async fn a_document_comes_with_what_its_caching_needs_and_nothing_of_ocores_goes_out() {
    let authority = Authority::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let server = Server::start(&authority, &["client.example"], move |asked| {
        keep.lock().push(asked.clone());
        let lines = "Cache-Control: max-age=60\r\nCache-Control: public\r\nSet-Cookie: a=b\r\n";
        answer(200, "application/json; charset=utf-8", lines, "{\"a\":1}")
    })
    .await;
    let fetch = fetcher(&authority);
    for _ in 0..2 {
        let fetched = fetch.get(&format!("https://client.example:{}/c", server.port()), &JSON).await.unwrap();
        assert_eq!(&fetched.body[..], b"{\"a\":1}");
        assert_eq!(fetched.content_type.as_deref(), Some("application/json; charset=utf-8"));
        assert_eq!(fetched.cache_control.as_deref(), Some("max-age=60, public"));
    }
    let seen = seen.lock();
    assert_eq!(seen.len(), 2);
    for asked in seen.iter() {
        assert_eq!(asked.line, "GET /c HTTP/1.1");
        let mut names: Vec<_> = asked.head.lines().map(|l| l.split(':').next().unwrap().to_ascii_lowercase()).collect();
        names.sort();
        assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"], "{}", asked.head);
        assert!(asked.head.to_ascii_lowercase().contains("accept-encoding: identity"));
    }
}

#[tokio::test]
async fn names_and_addresses_that_lead_inside_are_not_connected_to() {
    let authority = Authority::new();
    // Takes whatever would come, at the port of every URL below.
    let inside = Server::at(SocketAddr::new(INSIDE, 0), &authority, &["client.example", "127.0.0.2"], json).await;
    let port = inside.port();
    for address in [
        "127.0.0.2",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "100.64.0.1",
        "168.63.129.16",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.2",
        "::ffff:169.254.169.254",
        "::127.0.0.2",
        "64:ff9b::127.0.0.2",
        "64:ff9b:1::10.0.0.1",
        "2002:7f00:2::",
        "fe80::1",
        "fd00:ec2::254",
        "fc00::1",
        "ff02::1",
    ] {
        let address: IpAddr = address.parse().unwrap();
        let fetch = Fetch::testing(only_here(), &[authority.der()], move |_| vec![address]).unwrap();
        let refused = fetch.get(&format!("https://client.example:{port}/c"), &SHORT).await.unwrap_err();
        assert_eq!(refused, FetchError::Address, "{address}");
        let literal = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        assert_eq!(
            fetch.get(&format!("https://{literal}:{port}/c"), &SHORT).await.unwrap_err(),
            FetchError::Address,
            "{literal}"
        );
    }
    let fetch = fetcher(&authority);
    for host in ["2130706434", "0x7f.2", "0177.0.0.2", "127.2", "127.0.0.2.", "[::ffff:7f00:2]", "①②⑦.0.0.2"] {
        assert_eq!(fetch.get(&format!("https://{host}:{port}/c"), &SHORT).await.unwrap_err(), FetchError::Address, "{host}");
    }
    // Without anything listed not even here.
    let public = Fetch::testing(Networks::default(), &[authority.der()], |_| vec![HERE]).unwrap();
    let here = Server::start(&authority, &["client.example"], json).await;
    let url = format!("https://client.example:{}/c", here.port());
    assert_eq!(public.get(&url, &SHORT).await.unwrap_err(), FetchError::Address);
    assert_eq!((inside.connections(), here.connections()), (0, 0));
    assert!(fetch.get(&url, &SHORT).await.is_ok(), "the servers are sound");
    let literal = Networks::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let literal = Fetch::testing(literal, &[authority.der()], |_| Vec::new()).unwrap();
    assert!(literal.get(&format!("https://127.0.0.2:{port}/c"), &SHORT).await.is_ok(), "the servers are sound");
}

#[tokio::test]
async fn ocores_own_listeners_are_not_reached() {
    let authority = Authority::new();
    let own = Server::start(&authority, &["client.example", "127.0.0.1"], json).await;
    let other = Server::start(&authority, &["client.example"], json).await;
    for bound in [own.at, SocketAddr::new([0, 0, 0, 0].into(), own.port())] {
        let networks = only_here().with_listeners(vec![bound], |a| a.is_loopback());
        let fetch = Fetch::testing(networks, &[authority.der()], |_| vec![HERE]).unwrap();
        for host in ["client.example", "127.0.0.1"] {
            let url = format!("https://{host}:{}/c", own.port());
            assert_eq!(fetch.get(&url, &SHORT).await.unwrap_err(), FetchError::Address, "{host} at {bound}");
        }
        assert!(fetch.get(&format!("https://client.example:{}/c", other.port()), &JSON).await.is_ok());
    }
    assert_eq!(own.connections(), 0);
}

#[tokio::test]
async fn of_two_addresses_the_forbidden_one_is_never_tried() {
    let authority = Authority::new();
    let here = Server::start(&authority, &["client.example"], json).await;
    let inside = Server::at(SocketAddr::new(INSIDE, here.port()), &authority, &["client.example"], json).await;
    let url = format!("https://client.example:{}/c", here.port());
    for addresses in [vec![INSIDE, HERE], vec![HERE, INSIDE], vec!["::1".parse().unwrap(), HERE]] {
        let fetch = Fetch::testing(only_here(), &[authority.der()], move |_| addresses.clone()).unwrap();
        assert!(fetch.get(&url, &JSON).await.is_ok());
    }
    // The permitted one takes no connections, and the other would.
    let closed = TcpPort::closed().await;
    let inside_alone = Server::at(SocketAddr::new(INSIDE, closed.0), &authority, &["client.example"], json).await;
    let fetch = Fetch::testing(only_here(), &[authority.der()], |_| vec![HERE, INSIDE]).unwrap();
    let url = format!("https://client.example:{}/c", closed.0);
    assert_eq!(fetch.get(&url, &SHORT).await.unwrap_err(), FetchError::Unreachable);
    assert_eq!((here.connections(), inside.connections(), inside_alone.connections()), (3, 0, 0));
}

struct TcpPort(u16);
impl TcpPort {
    async fn closed() -> Self {
        Self(tokio::net::TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port())
    }
}

#[tokio::test]
async fn a_name_that_changes_between_look_ups_gains_nothing() {
    let authority = Authority::new();
    let here = Server::start(&authority, &["client.example"], json).await;
    let inside = Server::at(SocketAddr::new(INSIDE, here.port()), &authority, &["client.example"], json).await;
    let look_ups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&look_ups);
    // Here at first, inside at every second look-up.
    let names = move |_: &str| vec![if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { HERE } else { INSIDE }];
    let fetch = Fetch::testing(only_here(), &[authority.der()], names).unwrap();
    let url = format!("https://client.example:{}/c", here.port());
    for n in 1..=6 {
        let result = fetch.get(&url, &JSON).await;
        assert_eq!(look_ups.load(Ordering::SeqCst), n, "what is checked is what is connected to");
        assert_eq!(result.err(), n.is_multiple_of(2).then_some(FetchError::Address));
    }
    assert_eq!((here.connections(), inside.connections()), (3, 0));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let authority = Authority::new();
    let target = Server::start(&authority, &["client.example"], json).await;
    let port = target.port();
    for to in
        [format!("https://client.example:{port}/c"), format!("https://127.0.0.2:{port}/c"), "http://169.254.169.254/".into()]
    {
        for status in [301, 302, 303, 307, 308, 300, 304] {
            let lines = format!("Location: {to}\r\n");
            let result = one(move |_| answer(status, "application/json", &lines, "{}"), &JSON).await;
            assert_eq!(result.unwrap_err(), FetchError::Redirect(status));
        }
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn answers_that_drip_or_never_come_are_given_up_in_time() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n";
    let drips: [fn(&'static str) -> Vec<Piece>; 3] = [
        // A byte at a time, each soon enough for a timeout between two.
        |head| vec![Piece::Send(head.into()), Piece::Endless(b"x".to_vec(), Duration::from_millis(50))],
        |_| vec![Piece::Send(b"HTTP/1.1 200 OK\r\nX: ".to_vec()), Piece::Endless(b"x".to_vec(), Duration::from_millis(50))],
        |_| vec![Piece::Wait(Duration::from_mins(1))],
    ];
    for (n, drip) in drips.into_iter().enumerate() {
        let began = Instant::now();
        assert_eq!(one(move |_| drip(head), &SHORT).await.unwrap_err(), FetchError::Late(SHORT.time), "{n}");
        // It would go on for 45 seconds and more.
        assert!(began.elapsed() < Duration::from_secs(15), "{n}: {:?}", began.elapsed());
    }
    // Takes connections, and says nothing in TLS.
    let silent = tokio::net::TcpListener::bind((HERE, 0)).await.unwrap();
    let url = format!("https://client.example:{}/c", silent.local_addr().unwrap().port());
    assert_eq!(fetcher(&Authority::new()).get(&url, &SHORT).await.unwrap_err(), FetchError::Late(SHORT.time));
}

#[tokio::test]
async fn bodies_are_as_large_as_the_caller_says_and_no_larger() {
    for (size, fits) in [(1000, true), (1001, false), (10_000_000, false)] {
        let result = one(move |_| answer(200, "application/json", "", vec![b' '; size]), &JSON).await;
        assert_eq!(result.map(|f| f.body.len()).ok(), fits.then_some(size));
    }
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let endless =
        move |_: &Asked| vec![Piece::Send(chunked.into()), Piece::Endless(b"a\r\n0123456789\r\n".to_vec(), Duration::ZERO)];
    assert_eq!(one(endless, &JSON).await.unwrap_err(), FetchError::TooLarge(1000));
    let until_closed = |_: &Asked| {
        vec![
            Piece::Send(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec()),
            Piece::Endless(vec![b' '; 5000], Duration::ZERO),
        ]
    };
    assert_eq!(one(until_closed, &JSON).await.unwrap_err(), FetchError::TooLarge(1000));
    let short = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{}";
    assert_eq!(one(move |_| raw(short), &JSON).await.unwrap_err(), FetchError::Broken, "less than it says");
}

#[tokio::test]
async fn compressed_answers_are_refused_whatever_they_hold() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![b' '; 900_000]).unwrap();
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < JSON.bytes, "it would pass by its size: {}", bomb.len());
    for encoding in ["Content-Encoding: gzip\r\n", "Content-Encoding: br\r\n", "Content-Encoding: identity, gzip\r\n"] {
        let bomb = bomb.clone();
        let result = one(move |_| answer(200, "application/json", encoding, &bomb), &JSON).await;
        assert_eq!(result.unwrap_err(), FetchError::Compressed, "{encoding}");
    }
    let result = one(move |_| answer(200, "application/json", "", &bomb), &JSON).await.unwrap();
    assert!(result.body.starts_with(b"\x1f\x8b"), "and nothing is unpacked that is not said to be packed");
    assert!(one(|_| answer(200, "application/json", "Content-Encoding: Identity\r\n", "{}"), &JSON).await.is_ok());
}

#[tokio::test]
async fn large_heads_and_what_is_no_http_are_refused() {
    for (size, error) in [(10_000, None), (20_000, Some(FetchError::Head)), (1_000_000, Some(FetchError::Broken))] {
        let lines = format!("X-Long: {}\r\n", "x".repeat(size));
        assert_eq!(one(move |_| answer(200, "application/json", &lines, "{}"), &JSON).await.err(), error, "{size}");
    }
    let lines = "A: b\r\n".repeat(500);
    assert_eq!(one(move |_| answer(200, "application/json", &lines, "{}"), &JSON).await.unwrap_err(), FetchError::Broken);
    for garbage in ["SSH-2.0-OpenSSH_9.9\r\n\r\n", "", "HTTP/1.1 200\0 OK\r\n\r\n"] {
        assert_eq!(one(move |_| raw(garbage), &JSON).await.unwrap_err(), FetchError::Broken, "{garbage:?}");
    }
}

#[tokio::test]
async fn other_statuses_and_types_are_told_and_only_some_of_them_pass() {
    for (status, content_type, passing) in [
        (200, "text/html", false),
        (200, "application/jsonx<script>", true),
        (201, "application/json", false),
        (403, "application/json", true),
        (404, "application/json", false),
        (410, "application/json", false),
        (429, "application/json", true),
        (503, "text/html", true),
    ] {
        let result = one(move |_| answer(status, content_type, "", "{}"), &JSON).await;
        if content_type.starts_with("application/jsonx") {
            assert!(result.is_ok(), "the caller's rule decides");
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error, FetchError::NotAcceptable { status, content_type: content_type.to_owned() });
        assert_eq!(error.passing(), passing, "{status}");
    }
    for error in [FetchError::Unreachable, FetchError::Late(JSON.time), FetchError::Broken, FetchError::Busy] {
        assert!(error.passing(), "{error}");
    }
    let taken_back =
        [FetchError::Address, FetchError::Url, FetchError::TooLarge(1), FetchError::Redirect(301), FetchError::Compressed];
    for error in taken_back {
        assert!(!error.passing(), "{error}");
    }
}

#[tokio::test]
async fn hosts_that_cannot_be_connected_to_are_told_alike_and_without_their_address() {
    let authority = Authority::new();
    let fetch = fetcher(&authority);
    let strange = Server::start(&Authority::new(), &["client.example"], json).await;
    let other_name = Server::start(&authority, &["other.example"], json).await;
    let closed = TcpPort::closed().await;
    let plain = tokio::net::TcpListener::bind((HERE, 0)).await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let nowhere = Fetch::testing(only_here(), &[authority.der()], |_| Vec::new()).unwrap();
    let mut texts = Vec::new();
    for (fetch, port) in
        [(&fetch, strange.port()), (&fetch, other_name.port()), (&fetch, closed.0), (&fetch, plain_port), (&nowhere, closed.0)]
    {
        let error = fetch.get(&format!("https://client.example:{port}/c"), &JSON).await.unwrap_err();
        assert_eq!(error, FetchError::Unreachable);
        texts.push(error.to_string());
    }
    texts.push(FetchError::Address.to_string());
    assert!(texts.iter().all(|t| !t.contains("127.") && !t.contains("refused")), "{texts:?}");
    assert_eq!(strange.requests() + other_name.requests(), 0);
    // The system's own authorities do not know the test's.
    let system = Fetch::new(only_here()).unwrap();
    let local = Server::start(&authority, &["localhost"], json).await;
    let error = system.get(&format!("https://localhost:{}/c", local.port()), &JSON).await.unwrap_err();
    assert_eq!(error, FetchError::Unreachable);
    assert_eq!((local.connections() >= 1, local.requests()), (true, 0), "the system resolved it, and TLS ended it");
}

#[tokio::test]
async fn only_plain_https_urls_are_fetched() {
    let fetch = fetcher(&Authority::new());
    for url in [
        "http://client.example/c",
        "ftp://client.example/c",
        "file:///etc/passwd",
        "data:application/json,{}",
        "https://user@client.example/c",
        "https://user:secret@client.example/c",
        "https://:secret@client.example/c",
        "https://client.example/c#x",
        "https://",
        "//client.example/c",
        "",
        &format!("https://client.example/{}", "x".repeat(2048)),
    ] {
        assert_eq!(fetch.get(url, &JSON).await.unwrap_err(), FetchError::Url, "{url}");
    }
}

#[tokio::test]
async fn one_url_is_fetched_once_at_a_time() {
    let authority = Authority::new();
    let slow = |_: &Asked| {
        let mut pieces = vec![Piece::Wait(Duration::from_secs(1))];
        pieces.extend(answer(200, "application/json", "", "{}"));
        pieces
    };
    let server = Server::start(&authority, &["client.example"], slow).await;
    let fetch = fetcher(&authority);
    let url = |n: usize| format!("https://client.example:{}/{n}", server.port());
    let all = (0..30).map(|n| {
        let (fetch, url) = (fetch.clone(), url(n % 3));
        tokio::spawn(async move { fetch.get(&url, &JSON).await })
    });
    for task in all.collect::<Vec<_>>() {
        assert_eq!(&task.await.unwrap().unwrap().body[..], b"{}");
    }
    assert_eq!(server.requests(), 3);

    // Who gives up takes nothing from who goes on.
    let first = tokio::spawn({
        let (fetch, url) = (fetch.clone(), url(7));
        async move { fetch.get(&url, &JSON).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = tokio::spawn({
        let (fetch, url) = (fetch.clone(), url(7));
        async move { fetch.get(&url, &JSON).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.abort();
    assert!(second.await.unwrap().is_ok());
    assert_eq!(server.requests(), 4);
    assert!(fetch.get(&url(7), &JSON).await.is_ok());
    assert_eq!(server.requests(), 5, "what is over is fetched anew");
    assert!(fetch.0.running.lock().len() <= 4);
}

#[tokio::test]
async fn no_more_are_fetched_at_a_time_than_there_are_places() {
    let authority = Authority::new();
    let server = Server::start(&authority, &["client.example"], |_| vec![Piece::Wait(Duration::from_mins(1))]).await;
    let fetch = fetcher(&authority);
    let get = |n: usize| {
        let (fetch, url) = (fetch.clone(), format!("https://client.example:{}/{n}", server.port()));
        let limits = Limits { time: Duration::from_secs(4), ..JSON };
        tokio::spawn(async move {
            let began = Instant::now();
            (fetch.get(&url, &limits).await.unwrap_err(), began.elapsed())
        })
    };
    let tasks: Vec<_> = (0..PLACES + WAITING + 20).map(get).collect();
    let (mut late, mut waited, mut at_once) = (0, 0, 0);
    for task in tasks {
        match task.await.unwrap() {
            (FetchError::Late(_), _) => late += 1,
            (FetchError::Busy, time) if time < Duration::from_secs(1) => at_once += 1,
            (FetchError::Busy, _) => waited += 1,
            (other, _) => panic!("{other}"),
        }
    }
    assert_eq!((late, waited, at_once, server.connections()), (PLACES, WAITING, 20, PLACES));
    let sound = Server::start(&authority, &["client.example"], json).await;
    assert!(fetch.get(&format!("https://client.example:{}/c", sound.port()), &JSON).await.is_ok());
    assert_eq!(fetch.0.running.lock().len(), 1, "what is over is forgotten");
}

#[tokio::test]
async fn logos_are_pixels_of_the_kind_that_they_say() {
    let png = b"\x89PNG\r\n\x1a\nrest".to_vec();
    let webp = b"RIFF\x10\0\0\0WEBPVP8 rest".to_vec();
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec();
    let html = b"<html><script>alert(1)</script>".to_vec();
    let cases: Vec<(&'static str, Vec<u8>, bool)> = vec![
        ("image/png", png.clone(), true),
        ("IMAGE/PNG; x=y", png.clone(), true),
        ("image/jpeg", b"\xff\xd8\xff\xe0rest".to_vec(), true),
        ("image/gif", b"GIF89arest".to_vec(), true),
        ("image/gif", b"GIF87arest".to_vec(), true),
        ("image/webp", webp.clone(), true),
        ("image/webp", b"RIFF\x10\0\0\0WAVEfmt rest".to_vec(), false),
        ("image/jpeg", png.clone(), false),
        ("image/svg+xml", svg.clone(), false),
        ("image/png", svg, false),
        ("image/svg+xml", png.clone(), false),
        ("text/html", html.clone(), false),
        ("image/png", html, false),
        ("application/octet-stream", png.clone(), false),
        ("", png.clone(), false),
        ("image/png", Vec::new(), false),
        ("image/png", [png.clone(), vec![0; LARGEST_LOGO - 12]].concat(), true),
        ("image/png", [png, vec![0; LARGEST_LOGO - 11]].concat(), false),
    ];
    for (content_type, body, fine) in cases {
        let authority = Authority::new();
        let sent = body.clone();
        let server = Server::start(&authority, &["client.example"], move |_| answer(200, content_type, "", &sent)).await;
        let logo = fetcher(&authority).logo(&format!("https://client.example:{}/logo", server.port())).await;
        let essence = content_type.split(';').next().unwrap().to_ascii_lowercase();
        let expected = format!("data:{essence};base64,{}", STANDARD.encode(&body));
        assert_eq!(logo.ok(), fine.then_some(expected), "{content_type} {:?}", &body[..body.len().min(20)]);
    }
}

/// Operators with an authority of their own name it so. The process is started once more, because its environment cannot be changed.
#[test]
fn authorities_beside_the_systems_are_named_in_the_environment() {
    let own = "fetch::tests::authorities_beside_the_systems_are_named_in_the_environment";
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let authority = Authority::new();
    if let Ok(url) = std::env::var("OCORE_TEST_URL") {
        let networks = Networks::new(vec!["127.0.0.0/8".parse().unwrap()]);
        runtime.block_on(async { Fetch::new(networks).unwrap().get(&url, &JSON).await }).unwrap();
        return;
    }
    let server = runtime.block_on(Server::start(&authority, &["localhost"], json));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    for (authority, fine) in [(&authority, true), (&Authority::new(), false)] {
        std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), authority.pem().as_bytes()).unwrap();
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.env("SSL_CERT_FILE", &file).env("OCORE_TEST_URL", format!("https://localhost:{}/c", server.port()));
        let output = again.args([own, "--exact"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() == fine && said.contains("running 1 test"), "{said}");
    }
    assert_eq!(server.requests(), 1);
}

/// The process is started once more with proxies in its environment, which cannot be changed in a running one.
#[test]
fn proxies_of_the_environment_are_not_used() {
    let listener = std::net::TcpListener::bind((HERE, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"] {
        again.env(name, &proxy);
    }
    let test = "fetch::tests::a_document_comes_with_what_its_caching_needs_and_nothing_of_ocores_goes_out";
    let output = again.env_remove("NO_PROXY").env_remove("no_proxy").args([test, "--exact"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(listener.accept().is_err(), "the proxy was connected to");
}
