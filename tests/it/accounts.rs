//! How people come to an account of their own, and back into it: by an invite, by a link that sets a password.
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    harness::{Mcp, Ocore, run},
    impersonation::Browser,
};

const PASSWORD: &str = "correct horse battery";
const NEW: &str = "wide river under stones";

fn server() -> (Ocore, u16) {
    let mut ocore = Ocore::new();
    for (email, role) in [("ann@example.com", "admin"), ("bob@example.com", "viewer")] {
        let args = ["user", "create", "--email", email, "--org", "acme", "--role", role, "--password-stdin"];
        ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
    }
    let port = ocore.serve().url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    (ocore, port)
}
async fn signs_in(browser: &mut Browser, email: &str, password: &str) -> bool {
    let csrf = browser.get(&browser.ocore("/sign-in")).await.hidden("csrf");
    let fields = [("csrf", csrf.as_str()), ("email", email), ("password", password)];
    browser.form(&browser.ocore("/sign-in"), &fields).await.status == StatusCode::SEE_OTHER
}
fn path(link: &str) -> String {
    link.splitn(4, '/').nth(3).map(|path| format!("/{path}")).expect("a link")
}
fn log(ocore: &Ocore, action: &str) -> Vec<Value> {
    let rows = ocore.cli(&["--json", "audit", "log", "--limit", "200"], "").ok().json();
    let rows = rows.as_array().or_else(|| rows["rows"].as_array()).expect("rows").clone();
    rows.into_iter().filter(|row| row["action"] == action).collect()
}

#[test]
fn a_forgotten_password_is_set_by_a_link_of_the_operator() {
    let (ocore, port) = server();
    let made =
        |email: &str| ocore.cli(&["user", "reset-password", email], "").ok().stdout.trim().lines().last().unwrap().to_owned();
    run(async {
        let mut known = Browser::new(port);
        assert!(signs_in(&mut known, "bob@example.com", PASSWORD).await);
        let first = path(&made("bob@example.com"));
        let link = path(&made("bob@example.com"));
        let mut bob = Browser::new(port);
        let page = bob.get(&bob.ocore(&first)).await;
        assert!(page.status == StatusCode::GONE, "a newer one replaces it: {}", page.text);
        // Looking uses nothing up, and changes nothing.
        for _ in 0..2 {
            let page = bob.get(&bob.ocore(&link)).await;
            assert!(page.status == StatusCode::OK && page.text.contains("bob@example.com"), "{}", page.text);
        }
        let csrf = bob.get(&bob.ocore(&link)).await.hidden("csrf");
        for weak in ["short", "bob@example.com", ""] {
            let page = bob.form(&bob.ocore(&link), &[("csrf", &csrf), ("new_password", weak)]).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{weak:?}: {}", page.text);
        }
        let page = bob.form_from(&bob.ocore(&link), "https://evil.example", &[("csrf", &csrf), ("new_password", NEW)]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "from another site");
        let page = bob.form(&bob.ocore(&link), &[("csrf", &csrf), ("new_password", NEW)]).await;
        assert_eq!(page.location(), "/sign-in?done=password", "{}", page.text);
        let page = bob.form(&bob.ocore(&link), &[("csrf", &csrf), ("new_password", "another long password")]).await;
        assert_eq!(page.status, StatusCode::GONE, "{}", page.text);
        let page = known.get(&known.ocore("/account")).await;
        assert!(page.location().starts_with("/sign-in"), "every session is over: {}", page.text);
        assert!(!signs_in(&mut Browser::new(port), "bob@example.com", PASSWORD).await);
        assert!(signs_in(&mut bob, "bob@example.com", NEW).await);
        let unknown = bob.get(&bob.ocore("/password-reset/ocp_nothing")).await;
        assert_eq!(unknown.status, StatusCode::GONE);

        // Gone with another password, and with the account.
        let link = path(&made("bob@example.com"));
        ocore.cli(&["user", "update", "bob@example.com", "--password-stdin"], "yet another password\n").ok();
        assert_eq!(bob.get(&bob.ocore(&link)).await.status, StatusCode::GONE);
        let link = path(&made("bob@example.com"));
        ocore.cli(&["user", "update", "bob@example.com", "--disable"], "").ok();
        assert_eq!(bob.get(&bob.ocore(&link)).await.status, StatusCode::GONE);
        let refused = ocore.cli(&["user", "reset-password", "bob@example.com"], "");
        assert!(refused.code == 3 && refused.stderr.contains("disabled"), "{refused:?}");
        let refused = ocore.cli(&["user", "reset-password", "bop@example.com"], "");
        assert!(refused.stderr.contains("bob@example.com"), "{refused:?}");

        assert_eq!(log(&ocore, "user.reset_link").len(), 4);
        assert_eq!(log(&ocore, "user.password_change").len(), 1);
        let token = link.rsplit('/').next().unwrap();
        let told = ocore.log() + &ocore.cli(&["--json", "audit", "log", "--limit", "200"], "").ok().stdout;
        assert!(!told.contains(token), "{told}");
    });
}

#[test]
fn somebody_new_makes_an_account_with_an_invite() {
    let (ocore, port) = server();
    let args = ["invite", "create", "acme", "--label", "Cleo", "--by", "ann@example.com", "--uses", "2"];
    let link = path(ocore.cli(&args, "").ok().stdout.trim().lines().last().unwrap());
    run(async {
        let mut cleo = Browser::new(port);
        let page = cleo.get(&cleo.ocore(&link)).await;
        let csrf = page.hidden("csrf");
        let post = async |browser: &mut Browser, email: &str, password: &str| {
            let fields = [("csrf", csrf.as_str()), ("email", email), ("new_password", password)];
            browser.form(&browser.ocore(&link), &fields).await
        };
        // The login of another is not taken over, and a mistake uses nothing up.
        for (email, password, says) in [
            ("ann@example.com", NEW, "account with this address"),
            ("ANN@example.com ", NEW, "account with this address"),
            ("", NEW, "Enter your e-mail"),
            ("cleo", NEW, "no e-mail address"),
            ("cleo@example.com", "short", "fewer than 12"),
        ] {
            let page = post(&mut cleo, email, password).await;
            assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains(says), "{email:?}: {}", page.text);
        }
        let page = post(&mut cleo, "cleo@example.com", NEW).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let at = page.text.find("ock_").expect("a key");
        let key: String = page.text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let mcp = Mcp::new(&ocore.url, &key);
        assert!(!mcp.tools().await.is_empty(), "the key works");
        // Signed in, as a member, and nothing more.
        let page = cleo.get(&cleo.ocore("/")).await;
        assert!(page.status == StatusCode::OK && page.text.contains("cleo@example.com"), "{}", page.text);
        let members = ocore.cli(&["--json", "user", "list", "--org", "acme"], "").ok().json();
        let cleo_is = members.as_array().unwrap().iter().find(|m| m["email"] == "cleo@example.com").expect("a member").clone();
        assert_eq!((cleo_is["role"].as_str(), cleo_is["operator"].as_bool()), (Some("viewer"), Some(false)));
        assert!(signs_in(&mut Browser::new(port), "cleo@example.com", NEW).await);
        assert_eq!(
            log(&ocore, "user.create")
                .iter()
                .filter(|row| row["target_name"] == "cleo@example.com" || row["target"]["name"] == "cleo@example.com")
                .count(),
            1
        );

        // Without a good link nobody makes an account.
        ocore.cli(&["invite", "revoke", &invite(&ocore), "--org", "acme"], "").ok();
        let page = post(&mut Browser::new(port), "dan@example.com", NEW).await;
        assert!(page.status != StatusCode::OK, "{}", page.text);
        let mut dan = Browser::new(port);
        let csrf = dan.get(&dan.ocore("/sign-in")).await.hidden("csrf");
        let fields = [("csrf", csrf.as_str()), ("email", "dan@example.com"), ("new_password", NEW)];
        let page = dan.form(&dan.ocore(&link), &fields).await;
        assert_eq!(page.status, StatusCode::GONE, "{}", page.text);
        assert!(!signs_in(&mut dan, "dan@example.com", NEW).await);
    });
}
fn invite(ocore: &Ocore) -> String {
    let all = ocore.cli(&["--json", "invite", "list", "acme"], "").ok().json();
    all[0]["id"].as_str().or_else(|| all["invites"][0]["id"].as_str()).expect("an id").to_owned()
}
