//! Who somebody is: API keys, passwords and OAuth's tokens. No HTTP types. The only place where an [`kernel::Actor`] is made.
pub mod fetch;
pub mod invite;
pub mod oauth;
pub mod openid;
pub mod password;
mod people;
mod sessions;
pub mod token;
mod verify;
#[cfg(test)]
mod world;

pub use people::{AccountFacts, Came, Leaving, NotDone, NotIn, People, Returned, SecondStepBegun, Signed, TurnedOn, Waiting};
pub use sessions::{Moment, Session};
pub use store::web_sessions::WebSession;
pub use verify::{Denied, Keys, Known, Presented, Reason, Touched};
