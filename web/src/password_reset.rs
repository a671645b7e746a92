//! A new password without the old one: by a link that was mailed, or that the operator handed out.
use askama::Template;

use crate::{
    parts::{Mistake, Phrase, error},
    routes,
    strings::password_reset as s,
};

/// Ask for a link. Posts `csrf email` to `/password-reset`.
#[derive(Debug, Template)]
#[template(path = "reset_ask.html")]
pub struct ResetAsk {
    /// The form token.
    pub csrf: String,
    /// What was typed.
    pub email: String,
    /// Whether ocore can send mail; else the page says whom to ask.
    pub can_mail: bool,
    /// What is wrong, on `email` or the form.
    pub mistakes: Vec<Mistake>,
}

/// The answer to it: the same whether or not there is such an account.
#[derive(Debug, Template)]
#[template(path = "reset_sent.html")]
pub struct ResetSent {
    /// The address that was typed.
    pub email: String,
}

/// Set the new password. Posts `csrf new_password` to `action`.
#[derive(Debug, Template)]
#[template(path = "reset_new.html")]
pub struct ResetNew {
    /// The form token.
    pub csrf: String,
    /// Where the form posts to: the link itself.
    pub action: String,
    /// The account.
    pub email: String,
    /// What is wrong, on `new_password` or the form.
    pub mistakes: Vec<Mistake>,
}

/// The link cannot be used (any more).
#[derive(Debug, Template)]
#[template(path = "reset_over.html")]
pub struct ResetOver {
    /// Whether ocore can send another by mail.
    pub can_mail: bool,
}
