//! The pages of ocore: what a browser is shown. One file per page with its view (plain data) beside it, the templates in `templates/`,
//! the style in `static/`, every word in [`strings`].
//!
//! A view is filled by the handler beside it and rendered by [`askama::Template::render`], which escapes every value; what handlers share
//! stands in `site.rs`. `instance_pages.rs` answers at the host names of instances. Pages are made for the policy `default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;
//! form-action 'self'; frame-ancestors 'none'; base-uri 'none'`: no script, style or handler stands in the markup.

pub mod assets;
pub mod parts;
pub mod routes;
pub mod strings;

mod home;
pub mod impersonate;
pub mod impersonation_over;
pub mod instance_pages;
pub mod problem;
pub mod sign_in;
pub mod signed_out;
mod site;

pub use askama::Template;
pub use home::Home;
pub use impersonate::Impersonate;
pub use impersonation_over::{ImpersonationOver, Over};
pub use parts::{Environment, Instance, Mistake, Notice, Phrase, Tone, When};
pub use problem::{Kind, Problem};
pub use sign_in::{Continues, Provider, SignIn};
pub use signed_out::{SignedOut, Why};
pub use site::{Events, Site, Visitor, router};
