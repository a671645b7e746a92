//! Where the pages live: what links and forms name, in one place.

/// The first page after signing in.
pub const HOME: &str = "/";
/// First-run set-up: GET shows, POST makes the first user and organization.
pub const SET_UP: &str = "/set-up";
/// Sign in: GET shows, POST tries.
pub const SIGN_IN: &str = "/sign-in";
/// The second step of signing in: POST tries a code.
pub const SIGN_IN_CODE: &str = "/sign-in/code";
/// Sign in at a provider: GET of `/{slug}` leads there, `/{slug}/callback` back.
pub const OPENID: &str = "/openid";
/// Sign out: POST.
pub const SIGN_OUT: &str = "/sign-out";
/// Choose the organization: GET shows, POST chooses.
pub const ORGANIZATIONS: &str = "/organizations";
/// Invites of the organization: GET lists, POST makes one.
pub const INVITES: &str = "/invites";
/// Take an invite (`id`) back: POST.
pub const INVITES_REVOKE: &str = "/invites/revoke";
/// Vouch for an invite (`id`) whose maker may no longer invite: POST.
pub const INVITES_VOUCH: &str = "/invites/vouch";
/// OAuth's authorization endpoint: GET shows the consent page.
pub const AUTHORIZE: &str = "/authorize";
/// The decision on the consent page: POST.
pub const CONSENT: &str = "/consent";
/// Device codes: GET asks for the code, POST looks it up.
pub const DEVICE: &str = "/device";
/// Whether the found device is one's own: POST.
pub const DEVICE_CONFIRM: &str = "/device/confirm";
/// Assistants that one has let in: GET.
pub const AUTHORIZATIONS: &str = "/authorizations";
/// Revoke one (`id`) or all of a client (`client`): POST.
pub const AUTHORIZATIONS_REVOKE: &str = "/authorizations/revoke";
/// One's sessions: GET.
pub const SESSIONS: &str = "/sessions";
/// Revoke one (`id`), or all others (`others=yes`): POST.
pub const SESSIONS_REVOKE: &str = "/sessions/revoke";
/// My account: GET.
pub const ACCOUNT: &str = "/account";
/// Change the password: POST.
pub const ACCOUNT_PASSWORD: &str = "/account/password";
/// Set up the second step: GET shows, POST confirms a code.
pub const ACCOUNT_TOTP: &str = "/account/second-step";
/// Turn the second step off: POST.
pub const ACCOUNT_TOTP_OFF: &str = "/account/second-step/off";
/// Make new recovery codes: POST.
pub const ACCOUNT_CODES: &str = "/account/recovery-codes";
/// Link a provider (`provider`, its slug): POST.
pub const ACCOUNT_LINK: &str = "/account/link";
/// Unlink a provider (`provider`): POST.
pub const ACCOUNT_UNLINK: &str = "/account/unlink";
