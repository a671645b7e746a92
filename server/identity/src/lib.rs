//! Who somebody is: API keys and passwords. No HTTP types. The only place where an [`kernel::Actor`] is made.
pub mod password;
mod people;
mod sessions;
pub mod token;
mod verify;

pub use people::{NotIn, People, Signed};
pub use sessions::{Moment, Session};
pub use verify::{Denied, Keys, Known, Reason, Touched};
