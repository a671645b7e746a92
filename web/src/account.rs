//! My account: password, second step, providers.
use askama::Template;

use crate::{
    frame::{Frame, Section},
    parts::{Mistake, Phrase, Tone, When, error},
    routes,
    strings::account as s,
};

/// The page `GET /account`.
///
/// Forms: `csrf current new_password` to `/account/password`; `csrf confirm_off` (the password) to `/account/second-step/off`;
/// `csrf confirm_codes` (the password) to `/account/recovery-codes`; `csrf provider` to `/account/unlink`.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct Account {
    /// The frame.
    pub frame: Frame,
    /// The user's name.
    pub name: String,
    /// The e-mail address to sign in with.
    pub email: String,
    /// Whether the user runs this ocore.
    pub operator: bool,
    /// When the password was last changed; none when there is no password.
    pub password_since: Option<When>,
    /// The second step, when it is on.
    pub second_step: Option<SecondStepOn>,
    /// Providers: linked ones and those that can be.
    pub providers: Vec<Linked>,
    /// What is wrong, on `current`, `new_password`, `confirm_off`, `confirm_codes`.
    pub mistakes: Vec<Mistake>,
}

/// The second step is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondStepOn {
    /// Since when.
    pub since: When,
    /// How many recovery codes are left.
    pub codes_left: usize,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Its id, posted as `provider`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The account there, when linked.
    pub account: Option<String>,
    /// Where linking starts.
    pub href: String,
    /// Whether it can be unlinked: another way to sign in is left.
    pub can_unlink: bool,
}

/// Set up the second step. Posts `csrf setup code` to `/account/second-step`.
#[derive(Debug, Template)]
#[template(path = "second_step_set_up.html")]
pub struct SecondStepSetUp {
    /// The frame.
    pub frame: Frame,
    /// The id of this set-up, sent back.
    pub setup: String,
    /// The QR code of the `otpauth:` address.
    pub qr: Qr,
    /// The same secret to type, in base 32.
    pub secret: String,
    /// What is wrong, on `code`.
    pub mistakes: Vec<Mistake>,
}

impl SecondStepSetUp {
    /// The secret in groups of four.
    fn grouped(&self) -> String {
        let letters: Vec<char> = self.secret.chars().collect();
        letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }
}

/// Recovery codes, shown once.
#[derive(Debug, Template)]
#[template(path = "recovery_codes.html")]
pub struct RecoveryCodes {
    /// The frame.
    pub frame: Frame,
    /// The codes.
    pub codes: Vec<String>,
    /// Whether the second step was just turned on with them.
    pub turned_on: bool,
}

/// A QR code as its modules: the picture is made here, so no markup comes from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    /// Modules in a row.
    pub width: usize,
    /// Row by row: whether each is dark.
    pub dark: Vec<bool>,
}

impl Qr {
    /// The side with the quiet zone of four modules on each edge.
    fn side(&self) -> usize {
        self.width + 8
    }

    /// The dark runs as the `d` of an SVG path.
    fn path(&self) -> String {
        use std::fmt::Write as _;
        let mut path = String::new();
        for (y, row) in self.dark.chunks(self.width.max(1)).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|one, next| one == next) {
                if run.first() == Some(&true) {
                    let _ = write!(path, "M{} {}h{}v1h-{}z", x + 4, y + 4, run.len(), run.len());
                }
                x += run.len();
            }
        }
        path
    }
}
