//! Device codes: type the code, see who asks, done.
use askama::Template;

use crate::{
    parts::{Mistake, Phrase, When, error},
    routes,
    strings::device as s,
};

/// The page `GET /device`. Posts `csrf user_code`.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub struct Device {
    /// The form token.
    pub csrf: String,
    /// What was typed, or came with the address.
    pub code: String,
    /// What is wrong, on `user_code` or the form.
    pub mistakes: Vec<Mistake>,
}

/// Who asks, before the consent page. Posts `csrf request do(mine|not-mine)`.
#[derive(Debug, Template)]
#[template(path = "device_confirm.html")]
pub struct DeviceConfirm {
    /// The form token.
    pub csrf: String,
    /// The id of the pending request.
    pub request: String,
    /// The code, such as `BCKF-HMLT`.
    pub code: String,
    /// The name of the client.
    pub client: String,
    /// The address that asked.
    pub address: String,
    /// Whether that is the address of this browser too.
    pub same_address: bool,
    /// When it asked.
    pub since: When,
    /// When the code ends.
    pub until: When,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// The end of it.
#[derive(Debug, Template)]
#[template(path = "device_done.html")]
pub struct DeviceDone {
    /// The name of the client.
    pub client: String,
    /// What was decided.
    pub end: DeviceEnd,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEnd {
    /// Allowed: the device goes on by itself.
    Allowed,
    /// Denied.
    Denied,
    /// The code ended before the decision.
    Expired,
}
