//! What looks at a link before the person does to whom it was sent: programs of chats, mailboxes and search engines, and browsers that fetch
//! ahead. None of it uses a link up.
use std::path::Path;

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::{
    clients::{clients, in_chromium},
    harness::{Mcp, Ocore, run},
    impersonation::{self, Browser, PASSWORD},
};

const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";

/// As they name themselves.
const AGENTS: [&str; 10] = [
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0 A",
    "TelegramBot (like TwitterBot)",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "",
];

/// All of them look, by GET and HEAD, with and without what says that they only look. Gives how each was answered.
async fn looked_at(link: &str) -> Vec<StatusCode> {
    let http = Mcp::new(link, "").http;
    let mut answers = Vec::new();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        for agent in AGENTS {
            let ahead: &[(&str, &str)] = match answers.len() % 3 {
                0 => &[],
                1 => &[("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch")],
                _ => &[("x-purpose", "preview"), ("range", "bytes=0-1023")],
            };
            let mut request = http.request(method.clone(), link).header(header::USER_AGENT, agent);
            for (name, value) in ahead {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.expect("an answer");
            let status = answer.status();
            if method == Method::HEAD {
                assert!(answer.text().await.expect("a body").is_empty());
            }
            assert!(!status.is_server_error() && status != StatusCode::GONE, "{method} {agent}: {status}");
            answers.push(status);
        }
    }
    answers
}
/// The person's own browser looks ahead, and then shows the button.
async fn looked_ahead(clients: &Path, link: &str, email: &str, button: &str) {
    let seen = in_chromium(clients, "prefetch.mjs", &[link, email, PASSWORD, button]).await;
    println!("Chromium fetched ahead: {} {}", seen["ahead"], seen["speculated"]);
    assert!(seen["ahead"].as_array().is_some_and(|ahead| ahead.contains(&json!(200))), "nothing was fetched ahead: {seen}");
    assert_eq!(seen["button"], 1, "{seen}");
}

#[test]
fn an_invite_is_not_used_up() {
    let Some(clients) = clients() else { return };
    run(async {
        let mut ocore = Ocore::new();
        ocore.cli(&["org", "create", "elsewhere"], "").ok();
        for (email, org, role) in [(ANN, "acme", "admin"), (BEN, "elsewhere", "viewer")] {
            let args = ["user", "create", "--email", email, "--org", org, "--role", role, "--password-stdin"];
            ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        }
        let made = ocore.cli(&["invite", "create", "acme", "--label", "Ben", "--by", ANN], "").ok().stdout;
        ocore.serve();
        let path = &made[made.find("/oauth/invite/").expect("a link")..];
        let link = format!("{}{}", ocore.at_localhost(), path.trim());
        let answers = looked_at(&link).await;
        assert_eq!(answers.iter().filter(|status| **status == StatusCode::OK).count(), 2 * AGENTS.len(), "{answers:?}");
        looked_ahead(&clients, &link, BEN, "Join acme").await;
        let invites = ocore.cli(&["--json", "invite", "list", "acme"], "").ok().json();
        assert_eq!((&invites[0]["used"], &invites[0]["state"]), (&json!(0), &json!("open")), "{invites}");
        let seen = in_chromium(&clients, "invites.mjs", &["accept", &link, BEN, PASSWORD]).await;
        assert!(seen["key"].as_str().is_some_and(|key| key.starts_with("ock_")), "{seen}");
    });
}

#[test]
fn a_one_time_link_is_not_used_up() {
    let Some(clients) = clients() else { return };
    let Some(w) = impersonation::world(19, "visit-bots") else { return };
    run(async {
        let mut ann = Browser::new(w.port);
        ann.sign_in(ANN).await;
        let link = w.link().await;
        // Nobody's program is sent to the page for signing in, and follows.
        let answers = looked_at(&link).await;
        assert_eq!(answers.iter().filter(|status| **status == StatusCode::OK).count(), 2 * AGENTS.len(), "{answers:?}");
        looked_ahead(&clients, &link, ANN, "Open as clerk").await;
        assert!(w.logged("impersonation.open").is_empty());
        let csrf = ann.get(&link).await.hidden("csrf");
        let to = ann.form(&link, &[("csrf", &csrf)]).await;
        assert_eq!(to.status, StatusCode::SEE_OTHER, "{}", to.text);
        assert!(to.location().contains("/.ocore/enter/"), "{}", to.location());
        assert_eq!(ann.get(to.location()).await.status, StatusCode::SEE_OTHER);
        assert_eq!(w.logged("impersonation.open").len(), 1);
    });
}
