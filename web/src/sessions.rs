//! The browsers in which a user is signed in.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::WebSession;

use crate::{
    frame::{Frame, Section},
    parts::{Notice, Phrase, Tone, When},
    problem::Kind,
    routes,
    site::{Site, by, failed, field, frame, go, odoo_left, page, parameter, problem, signed_in},
    strings::sessions as s,
};

/// The page `GET /sessions`. Revoking posts `csrf id` or `csrf others=yes` to `/sessions/revoke`.
#[derive(Debug, Template)]
#[template(path = "sessions.html")]
pub struct Sessions {
    /// The frame.
    pub frame: Frame,
    /// The sessions, this one first.
    pub sessions: Vec<Session>,
}

/// One browser or command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, posted as `id`.
    pub id: String,
    /// What it is, such as "Firefox on Linux".
    pub agent: String,
    /// The address that it signed in from.
    pub address: String,
    /// When it signed in.
    pub since: When,
    /// When it was last seen.
    pub seen: When,
    /// Whether it is the one that reads this.
    pub current: bool,
}

impl Sessions {
    fn others(&self) -> usize {
        self.sessions.iter().filter(|session| !session.current).count()
    }
}

/// What browsers and systems say, and their names. The first that fits: most browsers also name those that they are like.
const BROWSERS: [(&str, &str); 7] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// What a browser is, out of what it says: enough to know one's own by.
fn browser(agent: &str) -> String {
    let find = |all: &[(&str, &'static str)]| all.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, word)| *word);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(name), Some(system)) => Phrase::new(s::ON, &[name, system]).plain(),
        (Some(one), None) => one.to_owned(),
        _ if agent.trim().is_empty() => s::UNKNOWN.to_owned(),
        _ => agent.chars().take(60).collect(),
    }
}

pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let done = parameter(&request, "done");
    let (asked, signed) = match signed_in(&site, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let all = match site.people.sessions(&signed).await {
        Ok(all) => all,
        Err(fault) => return failed(&fault),
    };
    let notice = match done.as_str() {
        "one" => Some(s::ENDED),
        "others" => Some(s::ENDED_OTHERS),
        _ => None,
    };
    let notice = notice.map(|text| Notice { tone: Tone::Good, text: text.to_owned() });
    let now = site.sources.now();
    let line = |of: &WebSession| Session {
        id: of.id.to_string(),
        agent: browser(&of.agent),
        address: of.address.clone(),
        since: When::of(of.created_at, now),
        seen: When::of(of.last_used_at, now),
        current: of.id == signed.session,
    };
    let sessions = all.iter().map(line).collect();
    let frame = frame(&site, &asked, &signed, Some(Section::Sessions), notice);
    page(StatusCode::OK, &Sessions { frame, sessions }, None)
}

pub(crate) async fn revoke(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (mut asked, signed) = match signed_in(&site, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let sent = match asked.form().await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let (address, who) = (asked.visitor.address, by(&asked, &signed));
    if field(&sent, "others") == "yes" {
        return match site.people.end_other_sessions(&signed, address).await {
            Ok(_) => odoo_left(&site, signed.user, &who)
                .await
                .err()
                .unwrap_or_else(|| go(&format!("{}?done=others", routes::SESSIONS))),
            Err(fault) => failed(&fault),
        };
    }
    let Ok(id) = field(&sent, "id").parse() else { return problem(Kind::Malformed) };
    match site.people.end_session(&signed, id, address).await {
        // One that had ended is as its person wants it.
        Ok(_) => odoo_left(&site, signed.user, &who).await.err().unwrap_or_else(|| go(&format!("{}?done=one", routes::SESSIONS))),
        Err(fault) => failed(&fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_what_they_say() {
        for (agent, known) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
            (" ", s::UNKNOWN),
        ] {
            assert_eq!(browser(agent), known);
        }
        assert_eq!(browser(&"x".repeat(200)).len(), 60);
    }
}
