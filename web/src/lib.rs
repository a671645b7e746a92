//! The pages of ocore: what a browser is shown. One file per page with its view (plain data) beside it, the templates in `templates/`,
//! the style in `static/`, every word in [`strings`].
//!
//! A view is filled by the handler beside it and rendered by [`askama::Template::render`], which escapes every value; what handlers share
//! stands in `site.rs`. `instance_pages.rs` answers at the host names of instances. Pages are made for the policy `default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;
//! form-action 'self'; frame-ancestors 'none'; base-uri 'none'`: no script, style or handler stands in the markup.

pub mod assets;
pub mod frame;
pub mod parts;
pub mod permission;
pub mod routes;
pub mod strings;

pub mod account;
pub mod authorizations;
pub mod consent;
pub mod device;
mod home;
pub mod impersonate;
pub mod impersonation_over;
pub mod instance_pages;
pub mod invite;
pub mod invites;
pub mod onward;
mod openid;
pub mod organizations;
pub mod password_reset;
pub mod problem;
pub mod said;
pub mod second_step;
pub mod sessions;
pub mod set_up;
pub mod sign_in;
pub mod signed_out;
mod site;

pub use account::{Account, Linked, Qr, RecoveryCodes, SecondStepOn, SecondStepSetUp};
pub use askama::Template;
pub use authorizations::{Authorizations, ClientGrants, Grant};
pub use consent::{
    Access, Asks, CategoryChoice, Client, Consent, InstanceChoice, KeyChoice, Preset, PresetChoice, Proof, Scope, ToolChoice,
    UseKey,
};
pub use device::{Device, DeviceConfirm, DeviceDone, DeviceEnd};
pub use frame::{Frame, Section};
pub use home::Home;
pub use impersonate::Impersonate;
pub use impersonation_over::{ImpersonationOver, Over};
pub use invite::{Invite, InviteDone, InviteOver, InviteRefused};
pub use invites::{InviteMade, InviteRow, InviteState, Invites};
pub use onward::{Going, Onward};
pub use organizations::{Organization, Organizations, Role};
pub use parts::{Environment, Instance, Mistake, Notice, Phrase, Tone, When};
pub use password_reset::{ResetNew, ResetOver};
pub use permission::{Permission, Power, Reach};
pub use problem::{Kind, Problem};
pub use said::Offered;
pub use second_step::SecondStep;
pub use sessions::{Session, Sessions};
pub use set_up::SetUp;
pub use sign_in::{Continues, Provider, SignIn};
pub use signed_out::{SignedOut, Why};
pub use site::{Events, Site, Visitor, router};
