//! People in a browser, against the real program: the first run, the second step, the account and sessions, with and without what an
//! attacker would try. No Odoo is needed.
use std::time::{Duration, Instant, SystemTime};

use reqwest::{StatusCode, header};
use serde_json::Value;

use crate::{
    harness::{Ocore, run},
    impersonation::{Browser, PASSWORD, Page},
};

const ANN: &str = "ann@example.com";

fn port(ocore: &Ocore) -> u16 {
    ocore.url.rsplit(':').next().unwrap().parse().expect("a port")
}
fn browser(ocore: &Ocore) -> Browser {
    Browser::new(port(ocore))
}
/// Another browser with the same cookies.
fn copy(of: &Browser, ocore: &Ocore) -> Browser {
    let mut copy = browser(ocore);
    copy.cookies.clone_from(&of.cookies);
    copy
}
fn session(browser: &Browser) -> Option<&String> {
    browser.cookies.iter().find(|((_, name), _)| name == "ocore-session").map(|(_, value)| value)
}
/// What stands between two texts of a page.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let at = page.find(start).unwrap_or_else(|| panic!("no {start} in {page}")) + start.len();
    page[at..].split(end).next().unwrap()
}

/// With its own form token, to the same address.
async fn post(browser: &mut Browser, from: &str, to: &str, fields: &[(&str, &str)]) -> Page {
    let page = browser.get(&browser.ocore(from)).await;
    assert_eq!(page.status, StatusCode::OK, "{from}: {}", page.text);
    let csrf = page.hidden("csrf");
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend(fields);
    browser.form(&browser.ocore(to), &all).await
}
async fn sign_in(browser: &mut Browser, email: &str, password: &str) -> Page {
    post(browser, "/sign-in", "/sign-in", &[("email", email), ("password", password), ("next", "/account?x=1")]).await
}
/// Somebody who is let in by a password alone.
async fn signed_in(ocore: &Ocore, email: &str) -> Browser {
    let mut browser = browser(ocore);
    let done = sign_in(&mut browser, email, PASSWORD).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/account?x=1"), "{}", done.text);
    browser
}
async fn is_in(browser: &mut Browser) -> bool {
    let page = browser.get(&browser.ocore("/")).await;
    match page.status {
        StatusCode::OK => true,
        StatusCode::SEE_OTHER => {
            assert_eq!(page.location(), "/sign-in");
            false
        }
        other => panic!("{other}: {}", page.text),
    }
}
fn with_ann() -> Ocore {
    let mut ocore = Ocore::new();
    let args = ["user", "create", "--email", ANN, "--org", "acme", "--role", "admin", "--password-stdin"];
    ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
    ocore.serve();
    ocore
}
/// The authenticator's code, so many seconds from now.
fn code(secret: &str, seconds: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).expect("base 32");
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    totp_rs::Builder::new().with_secret(secret).build().expect("a secret").generate(now + seconds).to_string()
}
fn logged(ocore: &Ocore) -> Vec<String> {
    let rows = ocore.cli(&["--json", "audit", "log", "--limit", "200"], "").ok().json();
    let rows = rows.as_array().or_else(|| rows["rows"].as_array()).expect("rows").clone();
    rows.iter().filter_map(|row| row["action"].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_first_user_is_made_once_by_whoever_reads_the_terminal() {
    run(async {
        let mut ocore = Ocore::bare();
        ocore.serve();
        let begun = Instant::now();
        while !ocore.printed().contains("/set-up?token=") {
            assert!(begun.elapsed() < Duration::from_secs(10), "{}", ocore.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let printed = ocore.printed();
        let token = printed.split("token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        assert_eq!(token.len(), 64);
        assert!(printed.contains(&format!("{}/set-up?token=", ocore.url)), "{printed}");
        let with = format!("/set-up?token={token}");

        // Without the token it is as if there were nothing.
        let mut eve = browser(&ocore);
        let nothing = eve.get(&eve.ocore("/nothing")).await;
        for path in ["/set-up".to_owned(), "/set-up?token=".to_owned(), format!("/set-up?token={}", "0".repeat(64))] {
            let page = eve.get(&eve.ocore(&path)).await;
            assert_eq!((page.status, &page.text), (StatusCode::NOT_FOUND, &nothing.text), "{path}");
        }
        let csrf = eve.get(&eve.ocore("/sign-in")).await.hidden("csrf");
        let fields = [("csrf", csrf.as_str()), ("email", "eve@example.com"), ("password", PASSWORD), ("org", "Evil")];
        assert_eq!(eve.form(&eve.ocore("/set-up"), &fields).await.status, StatusCode::NOT_FOUND);

        let (mut ann, mut bob) = (browser(&ocore), browser(&ocore));
        let page = ann.get(&ann.ocore(&with)).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(page.hidden("token"), token);
        let wrong = [("token", token.as_str()), ("email", ANN), ("password", "short"), ("org", "")];
        let page = post(&mut ann, &with, "/set-up", &wrong).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.text.contains("fewer than 12") && page.text.contains("Enter a name for the organization"), "{}", page.text);
        let refused = [("token", token.as_str()), ("email", "nobody"), ("password", PASSWORD), ("org", "Acme")];
        let page = post(&mut ann, &with, "/set-up", &refused).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("no e-mail address"), "{}", page.text);

        // Of two at once one wins.
        let to = ann.ocore("/set-up");
        let tokens = [ann.get(&ann.ocore(&with)).await.hidden("csrf"), bob.get(&bob.ocore(&with)).await.hidden("csrf")];
        let [for_ann, for_bob] = [(ANN, &tokens[0]), ("bob@example.com", &tokens[1])].map(|(email, csrf)| {
            [("csrf", csrf.as_str()), ("token", &token), ("email", email), ("password", PASSWORD), ("org", "Acme Inc.")]
        });
        let (one, two) = tokio::join!(ann.form(&to, &for_ann), bob.form(&to, &for_bob));
        let mut states = [one.status.as_u16(), two.status.as_u16()];
        states.sort_unstable();
        assert_eq!(states, [303, 404], "{}\n{}", one.text, two.text);
        let mut winner = if one.status == StatusCode::SEE_OTHER { ann } else { bob };
        let home = winner.get(&winner.ocore("/")).await;
        assert!(home.status == StatusCode::OK && home.text.contains("Acme Inc.") && home.text.contains("Owner"), "{}", home.text);
        assert_eq!(winner.get(&winner.ocore(&with)).await.status, StatusCode::NOT_FOUND);
        let users = ocore.cli(&["--json", "user", "list"], "").ok().json();
        assert_eq!(users.as_array().map(Vec::len), Some(1), "{users}");
        assert_eq!((&users[0]["operator"], &users[0]["active"]), (&Value::Bool(true), &Value::Bool(true)));
        let orgs = ocore.cli(&["--json", "org", "list"], "").ok().json();
        assert_eq!(orgs.as_array().map(Vec::len), Some(1), "{orgs}");
        assert_eq!(orgs[0]["slug"], "acme-inc");
        let log = logged(&ocore);
        for action in ["user.create", "organization.create", "user.sign_in"] {
            assert!(log.iter().any(|known| known == action), "{action}: {log:?}");
        }
        assert!(!ocore.log().contains(&token), "{}", ocore.log());
        ocore.stop("TERM");
        ocore.serve();
        assert!(!ocore.printed().contains("set-up"), "there is a user");
        ocore.stop("TERM");
    });
}

#[test]
fn a_second_step_is_set_up_shown_and_lost() {
    run(async {
        let mut ocore = with_ann();
        let mut ann = signed_in(&ocore, ANN).await;
        let mut old = copy(&ann, &ocore);
        let page = ann.get(&ann.ocore("/account/second-step")).await;
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        let after = page.text.split("Type this key").nth(1).expect("the key");
        let secret = between(after, "<code>", "</code>").replace(' ', "");
        assert_eq!(secret.len(), 32);
        assert!(page.text.contains("<svg class=\"qr\""));
        let (setup, csrf) = (page.hidden("setup"), page.hidden("csrf"));
        let used = code(&secret, 0);
        let confirm = |code: &str, password: &str| {
            let own = |text: &str| text.to_owned();
            let (csrf, setup) = ((own("csrf"), csrf.clone()), (own("setup"), setup.clone()));
            [csrf, setup, (own("code"), own(code)), (own("password"), own(password))]
        };
        for (code, password, says) in [(used.as_str(), "wrong", "not your password"), ("000", PASSWORD, "code is not right")] {
            let fields = confirm(code, password);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let page = ann.form(&ann.ocore("/account/second-step"), &fields).await;
            assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains(says), "{}", page.text);
            assert!(page.text.contains(&setup), "the same QR code goes on");
        }
        let fields = confirm(&used, PASSWORD);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = ann.form(&ann.ocore("/account/second-step"), &fields).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let codes: Vec<String> =
            page.text.split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
        assert_eq!(codes.len(), 10, "{}", page.text);
        assert_ne!(session(&ann), session(&old), "another cookie");
        assert!(is_in(&mut ann).await && !is_in(&mut old).await);
        let account = ann.get(&ann.ocore("/account")).await.text;
        assert!(codes.iter().all(|code| !account.contains(code.as_str())), "shown once");

        // The password alone opens nothing; the code does, once, under another cookie.
        let mut other = browser(&ocore);
        let begun = sign_in(&mut other, ANN, PASSWORD).await;
        assert_eq!((begun.status, begun.location()), (StatusCode::SEE_OTHER, "/sign-in/code?next=%2Faccount%3Fx%3D1"));
        assert!(!is_in(&mut other).await);
        let away = other.get(&other.ocore("/sessions")).await;
        assert_eq!((away.status, away.location()), (StatusCode::SEE_OTHER, "/sign-in?next=%2Fsessions"));
        let page = other.get(&other.ocore(begun.location())).await;
        assert!(page.text.contains(ANN) && page.hidden("next") == "/account?x=1", "{}", page.text);
        for wrong in ["", &used] {
            let page = post(&mut other, begun.location(), "/sign-in/code", &[("code", wrong), ("next", "/account?x=1")]).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
        }
        let waited = copy(&other, &ocore);
        // The next step's: it counts already, and comes after the one that was used.
        let fields = [("code", code(&secret, 30)), ("next", "/account?x=1".to_owned())];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let done = post(&mut other, begun.location(), "/sign-in/code", &fields).await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/account?x=1"), "{}", done.text);
        assert_ne!(session(&other), session(&waited));
        let mut waited = waited;
        assert!(is_in(&mut other).await && !is_in(&mut waited).await);
        let gone = waited.get(&waited.ocore("/sign-in/code")).await;
        assert_eq!((gone.status, gone.location()), (StatusCode::SEE_OTHER, "/sign-in"));

        // A recovery code, once.
        let recover = async |code: &str| {
            let mut browser = browser(&ocore);
            sign_in(&mut browser, ANN, PASSWORD).await;
            post(&mut browser, "/sign-in/code", "/sign-in/code", &[("code", code)]).await.status
        };
        assert_eq!(recover(&codes[0]).await, StatusCode::SEE_OTHER);
        assert_eq!(recover(&codes[0]).await, StatusCode::UNPROCESSABLE_ENTITY);

        // Others in their place, asking for the password.
        let wrong = post(&mut ann, "/account", "/account/recovery-codes", &[("confirm_codes", "wrong")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let new = post(&mut ann, "/account", "/account/recovery-codes", &[("confirm_codes", PASSWORD)]).await;
        assert_eq!((new.status, new.text.matches("<li><code>").count()), (StatusCode::OK, 10));
        assert_eq!(recover(&codes[1]).await, StatusCode::UNPROCESSABLE_ENTITY);

        // Telephone and codes are lost: the operator takes the step away, once.
        ocore.cli(&["user", "update", ANN, "--remove-second-step"], "").ok();
        assert_ne!(ocore.cli(&["user", "update", ANN, "--remove-second-step"], "").code, 0);
        let mut plain = signed_in(&ocore, ANN).await;
        assert!(is_in(&mut plain).await);
        let log = logged(&ocore);
        for action in ["user.second_step_on", "user.recovery_codes", "user.sign_in_begun", "user.update"] {
            assert!(log.iter().any(|known| known == action), "{action}: {log:?}");
        }
        let text = ocore.log() + &ocore.cli(&["--json", "audit", "log", "--limit", "200"], "").ok().stdout;
        assert!(!text.contains(&secret) && codes.iter().all(|code| !text.contains(code.as_str())));
        ocore.stop("TERM");
    });
}

#[test]
fn sessions_and_the_password_are_their_persons_own() {
    run(async {
        let mut ocore = with_ann();
        let args = ["user", "create", "--email", "bob@example.com", "--org", "acme", "--role", "viewer", "--password-stdin"];
        ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        let mut ann = signed_in(&ocore, ANN).await;
        let (mut second, mut third) = (signed_in(&ocore, ANN).await, signed_in(&ocore, ANN).await);
        let mut bob = signed_in(&ocore, "bob@example.com").await;

        // One is ended by its own person alone.
        let page = ann.get(&ann.ocore("/sessions")).await;
        assert_eq!(page.text.matches("name=\"id\" value=\"").count(), 2, "{}", page.text);
        let newest = page.hidden("id");
        let no = post(&mut bob, "/sessions", "/sessions/revoke", &[("id", &newest)]).await;
        assert_eq!(no.status, StatusCode::SEE_OTHER);
        assert!(is_in(&mut third).await, "it is none of Bob's");
        let csrf = page.hidden("csrf");
        for (from, token) in [("https://evil.example", csrf.as_str()), (ocore.url.as_str(), "x")] {
            let fields = [("csrf", token), ("others", "yes")];
            let no = ann.form_from(&ann.ocore("/sessions/revoke"), from, &fields).await;
            assert_eq!(no.status, StatusCode::FORBIDDEN, "{from} {token}");
        }
        let done = post(&mut ann, "/sessions", "/sessions/revoke", &[("id", &newest)]).await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/sessions?done=one"));
        assert!(!is_in(&mut third).await && is_in(&mut second).await);
        let bad = post(&mut ann, "/sessions", "/sessions/revoke", &[("id", "x")]).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        post(&mut ann, "/sessions", "/sessions/revoke", &[("others", "yes")]).await;
        assert!(!is_in(&mut second).await && is_in(&mut ann).await && is_in(&mut bob).await);

        // Another password: asks for the old one, ends the others, keeps this one under another cookie.
        let mut other = signed_in(&ocore, ANN).await;
        let mut before = copy(&ann, &ocore);
        for (current, new, says) in [
            ("wrong", "some quite other words", "not your password"),
            (PASSWORD, PASSWORD, "you have now"),
            (PASSWORD, "short", "fewer than 12"),
            (PASSWORD, "passwordpassword", "tried first"),
        ] {
            let fields = [("current", current), ("new_password", new)];
            let page = post(&mut ann, "/account", "/account/password", &fields).await;
            assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains(says), "{says}: {}", page.text);
        }
        let fields = [("current", PASSWORD), ("new_password", "some quite other words")];
        let done = post(&mut ann, "/account", "/account/password", &fields).await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/account?done=password"), "{}", done.text);
        assert!(ann.get(&ann.ocore("/account?done=password")).await.text.contains("password is changed"));
        assert!(is_in(&mut ann).await && !is_in(&mut before).await && !is_in(&mut other).await);
        let mut again = browser(&ocore);
        assert_eq!(sign_in(&mut again, ANN, PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(sign_in(&mut again, ANN, "some quite other words").await.status, StatusCode::SEE_OTHER);

        // The operator ends all; signing out ends one's own.
        ocore.cli(&["user", "update", ANN, "--end-sessions"], "").ok();
        assert!(!is_in(&mut ann).await && !is_in(&mut again).await && is_in(&mut bob).await);
        let out = post(&mut bob, "/", "/sign-out", &[]).await;
        assert_eq!(out.status, StatusCode::OK);
        assert!(!is_in(&mut bob).await);

        // Addresses of OAuth clients are long, and are gone back to; others' are not.
        let long = format!("/authorize?state={}", "x".repeat(5_000));
        for (next, to) in [(long.as_str(), long.as_str()), ("//evil.example/", "/"), ("https://evil.example/", "/")] {
            let fields = [("email", ANN), ("password", "some quite other words"), ("next", next)];
            let done = post(&mut browser(&ocore), "/sign-in", "/sign-in", &fields).await;
            assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, to));
        }
        let log = logged(&ocore);
        for action in ["user.session_end", "user.sessions_end", "user.password_change", "user.update"] {
            assert!(log.iter().any(|known| known == action), "{action}: {log:?}");
        }
        assert!(!ocore.log().contains("some quite other words"));
        ocore.stop("TERM");
    });
}

/// A browser behind the reverse proxy, at that address.
fn at(ocore: &Ocore, address: &str) -> Browser {
    let mut browser = browser(ocore);
    browser.forwarded_for = Some(address.to_owned());
    browser
}
/// A server behind a reverse proxy on this machine.
fn behind_a_proxy() -> Ocore {
    let mut ocore = Ocore::new();
    ocore.env("OCORE_TRUSTED_PROXIES", "127.0.0.1/32");
    let args = ["user", "create", "--email", ANN, "--org", "acme", "--role", "admin", "--password-stdin"];
    ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
    ocore.serve();
    ocore
}
/// What came of trying to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    In,
    Wrong,
    Slowed,
}
async fn tries(browser: &mut Browser, email: &str, password: &str) -> Came {
    let page = sign_in(browser, email, password).await;
    match page.status {
        StatusCode::SEE_OTHER => Came::In,
        StatusCode::UNPROCESSABLE_ENTITY if page.text.contains("do not belong together") => Came::Wrong,
        StatusCode::UNPROCESSABLE_ENTITY if page.text.contains("There were too many tries") => Came::Slowed,
        other => panic!("{other}: {}", page.text),
    }
}

#[test]
fn who_guesses_passwords_is_slowed_and_locks_nobody_out() {
    const WRONG: &str = "some wrong guess";
    run(async {
        let mut ocore = behind_a_proxy();
        // Ann was here before, from her office.
        let office = "198.51.100.7";
        assert_eq!(tries(&mut at(&ocore, office), ANN, PASSWORD).await, Came::In);

        // A flood at her account, from one address: five guesses are looked at, however many come at once.
        let mut guesses: Vec<Browser> = (0..60).map(|_| at(&ocore, "203.0.113.9")).collect();
        let all = futures_util::future::join_all(guesses.iter_mut().map(|browser| tries(browser, ANN, WRONG)));
        let (all, ann) = tokio::join!(all, async {
            let begun = Instant::now();
            (tries(&mut at(&ocore, office), ANN, PASSWORD).await, begun.elapsed())
        });
        assert_eq!(all.iter().filter(|came| **came == Came::Wrong).count(), 5, "{all:?}");
        assert_eq!(all.iter().filter(|came| **came == Came::Slowed).count(), 55, "{all:?}");
        assert_eq!(ann.0, Came::In, "the same account from her own address, meanwhile");
        println!("signing in during a flood of 60: {:?}", ann.1);
        assert_eq!(
            tries(&mut at(&ocore, "203.0.113.9"), ANN, PASSWORD).await,
            Came::Slowed,
            "right ones are not looked at either"
        );
        // What the proxy did not write itself does not make another address.
        for n in 0..3 {
            let told = format!("192.0.2.{n}, 203.0.113.9");
            assert_eq!(tries(&mut at(&ocore, &told), ANN, PASSWORD).await, Came::Slowed, "{told}");
        }
        // Other accounts are not for guessing from there either.
        let mut slowed = false;
        for n in 0..60 {
            slowed |= tries(&mut at(&ocore, "203.0.113.9"), &format!("u{n}@example.com"), WRONG).await == Came::Slowed;
        }
        assert!(slowed, "fifty failures of one address");

        // From many addresses: the account is closed to strangers, and not to where she was.
        let mut looked_at = 0;
        for n in 0..60 {
            match tries(&mut at(&ocore, &format!("192.0.2.{n}")), ANN, WRONG).await {
                Came::Wrong => looked_at += 1,
                came => assert_eq!(came, Came::Slowed),
            }
        }
        assert!((20..=30).contains(&looked_at), "{looked_at}");
        assert_eq!(tries(&mut at(&ocore, "192.0.2.99"), ANN, PASSWORD).await, Came::Slowed, "a stranger");
        assert_eq!(tries(&mut at(&ocore, office), ANN, PASSWORD).await, Came::In, "from where she was before");
        ocore.stop("TERM");
    });
}

#[test]
fn nobody_takes_as_long_as_somebody_with_another_password() {
    const TIMES: usize = 21;
    run(async {
        let mut ocore = behind_a_proxy();
        let args = ["user", "create", "--email", "gone@example.com", "--org", "acme", "--role", "admin", "--password-stdin"];
        ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        ocore.cli(&["user", "update", "gone@example.com", "--disable"], "").ok();
        // By turns, so that what else this machine does meets them alike; each from an address of its own, so that nobody is slowed.
        let mut took: [Vec<Duration>; 3] = Default::default();
        for n in 0..TIMES {
            let nobody = format!("nobody{n}@example.com");
            for (of, (email, password)) in
                [(ANN, "some wrong guess"), (nobody.as_str(), "some wrong guess"), ("gone@example.com", PASSWORD)]
                    .into_iter()
                    .enumerate()
            {
                let mut browser = at(&ocore, &format!("198.51.{of}.{n}"));
                let csrf = browser.get(&browser.ocore("/sign-in")).await.hidden("csrf");
                let fields = [("csrf", csrf.as_str()), ("email", email), ("password", password)];
                let to = browser.ocore("/sign-in");
                let begun = Instant::now();
                let page = browser.form(&to, &fields).await;
                took[of].push(begun.elapsed());
                assert!(
                    page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("do not belong together"),
                    "{}",
                    page.text
                );
            }
        }
        let [known, nobody, disabled] = took.map(|mut all| {
            all.sort_unstable();
            all[TIMES / 2]
        });
        println!("a wrong password: {known:?}; nobody: {nobody:?}; somebody who is disabled: {disabled:?} (medians of {TIMES})");
        // Without the work for nobody it would be a tenth and less.
        for (who, other) in [("nobody", nobody), ("disabled", disabled)] {
            assert!(other * 2 > known && other < known * 2, "{who}: {other:?} against {known:?}");
        }
        assert!(known > Duration::from_millis(5), "passwords are hashed at all");
        ocore.stop("TERM");
    });
}
