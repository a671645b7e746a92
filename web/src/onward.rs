//! On to another site after a form: the policy `form-action 'self'` holds for redirects of a form's answer too (Chromium enforces
//! it), so the answer to the POST is this page, which goes on by itself and has the link for who prefers to click.
use askama::Template;

use crate::{parts::Phrase, strings::onward as s};

/// The answer to a decision that leads away. Serve it with `Cache-Control: no-store`: the address may hold a code.
#[derive(Debug, Template)]
#[template(path = "onward.html")]
pub struct Onward {
    /// What was decided.
    pub kind: Going,
    /// The client's or instance's name.
    pub name: String,
    /// The full address to go to; checked by the caller.
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
