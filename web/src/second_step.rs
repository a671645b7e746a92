//! The second step of signing in: a code of the authenticator app, or a recovery code.
use askama::Template;

use crate::{
    parts::{Mistake, Phrase, error},
    routes,
    sign_in::Continues,
    strings::second_step as s,
};

/// The page after a right password of an account with a second step. Posts `csrf next code`.
#[derive(Debug, Template)]
#[template(path = "second_step.html")]
pub struct SecondStep {
    /// The form token.
    pub csrf: String,
    /// As in [`crate::SignIn`].
    pub next: String,
    /// As in [`crate::SignIn`].
    pub continues: Option<Continues>,
    /// The account that is signing in.
    pub email: String,
    /// What is wrong, on `code` or the form.
    pub mistakes: Vec<Mistake>,
}
