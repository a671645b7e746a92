//! On to another site after a form: the policy `form-action 'self'` holds for redirects of a form's answer too (Chromium enforces
//! it), so the answer to the POST is this page, which goes on by itself and has the link for who prefers to click.
use askama::Template;

use crate::{parts::Phrase, routes, strings::onward as s};

/// The answer to a decision that leads away. Serve it with `Cache-Control: no-store`: the address may hold a code.
#[derive(Debug, Template)]
#[template(path = "onward.html")]
pub struct Onward {
    /// What was decided.
    pub kind: Going,
    /// The client's or instance's name.
    pub name: String,
    /// The full address to go to, checked by the caller against what the client registered. Schemes that run code lead home instead.
    pub href: String,
    /// Its host, or the scheme of an app's own.
    pub host: String,
}

/// Where the browser goes and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Going {
    /// Back to a client that was allowed.
    Allowed,
    /// Back to a client that was denied.
    Denied,
    /// Into Odoo by a one-time link.
    Odoo,
    /// To a provider, to sign in.
    Provider,
}

impl Onward {
    /// The address, unless its scheme is one that runs or shows content of its own making; then the first page.
    fn target(&self) -> &str {
        const BARRED: [&str; 7] = ["javascript", "data", "vbscript", "blob", "file", "filesystem", "about"];
        // Browsers leave out white space and control characters within a scheme.
        let bare: String = self.href.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        match bare.split_once(':') {
            Some((scheme, _)) if !BARRED.iter().any(|barred| scheme.eq_ignore_ascii_case(barred)) => &self.href,
            _ => routes::HOME,
        }
    }

    fn title(&self) -> &'static str {
        s::title(self.kind)
    }

    fn says(&self) -> &'static str {
        s::says(self.kind)
    }
}
