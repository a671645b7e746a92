//! First run: the first user and organization.
use askama::Template;

use crate::{
    parts::{Mistake, error},
    strings::set_up as s,
};

/// The page `GET /set-up` while there is no user. Posts `csrf token email name password org`.
#[derive(Debug, Template)]
#[template(path = "set_up.html")]
pub struct SetUp {
    /// The form token.
    pub csrf: String,
    /// The one-time token that `serve` printed, where the address carried it; else it is asked for.
    pub token: Option<String>,
    /// What was typed.
    pub email: String,
    /// What was typed.
    pub name: String,
    /// What was typed.
    pub org: String,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}
