//! My account: password, second step, providers.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::{NotDone, SecondStepBegun, Signed, password::Weak};
use kernel::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    frame::{Frame, Section},
    openid,
    parts::{Mistake, Notice, Phrase, Tone, When, error, minutes},
    problem::Kind,
    routes,
    site::{
        Asked, Site, by, failed, field, frame, go, odoo_left, page, parameter, problem, session_cookie, signed_in, token_of,
        with_cookie,
    },
    strings::account as s,
};

/// The page `GET /account`.
///
/// Forms: `csrf current new_password` to `/account/password`; `csrf confirm_off` (the password) to `/account/second-step/off`;
/// `csrf confirm_codes` (the password) to `/account/recovery-codes`; `csrf provider confirm_{provider}` (the password) to `/account/link`;
/// `csrf provider` to `/account/unlink`.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct Account {
    /// The frame.
    pub frame: Frame,
    /// The e-mail address to sign in with.
    pub email: String,
    /// Whether the user runs this ocore.
    pub operator: bool,
    /// Whether there is a password; who has none signs in with a provider.
    pub has_password: bool,
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
    /// Posted as `provider`: a provider's slug, or what is linked.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The account there, when linked.
    pub account: Option<String>,
    /// The field for the password, asked for again before linking.
    pub confirm: String,
    /// Whether it can be unlinked: another way to sign in is left.
    pub can_unlink: bool,
}

/// Set up the second step. Posts `csrf setup code password` to `/account/second-step`.
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
    /// What is wrong, on `code` or `password`.
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
    /// The code of a text; none for one that is too long for any.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M).ok()?;
        let dark = code.to_colors().into_iter().map(|colour| colour == qrcode::Color::Dark).collect();
        Some(Self { width: code.width(), dark })
    }

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

/// A posted form of somebody who is signed in.
pub(crate) async fn posted(site: &Site, request: Request) -> Result<(Asked, Signed, Vec<(String, String)>), Response> {
    let (mut asked, signed) = signed_in(site, request).await?;
    let sent = asked.form().await?;
    Ok((asked, signed, sent))
}
fn secret(sent: &[(String, String)], name: &str) -> SecretString {
    field(sent, name).into()
}
/// Why a change was not made, on the field that is named for the password that was asked for.
pub(crate) fn mistake(not: NotDone, password: &str) -> Mistake {
    match not {
        NotDone::Password => Mistake::on(password, s::WRONG),
        NotDone::NoPassword => Mistake::on(password, s::NO_PASSWORD_YET),
        NotDone::Code => Mistake::on("code", s::WRONG_CODE),
        NotDone::Later { seconds } => Mistake::form(s::throttled(minutes(seconds))),
        NotDone::Weak(Weak::Short) => Mistake::on("new_password", s::SHORT),
        NotDone::Weak(Weak::Long) => Mistake::on("new_password", s::LONG),
        NotDone::Weak(Weak::Common) => Mistake::on("new_password", s::COMMON),
        NotDone::Same => Mistake::on("new_password", s::SAME),
        NotDone::Over => Mistake::form(s::OVER),
    }
}

/// The page of the account; with what went wrong, where something did.
pub(crate) async fn view(site: &Site, asked: &Asked, signed: &Signed, notice: Option<&str>, mistakes: Vec<Mistake>) -> Response {
    let facts = match site.people.account(signed).await {
        Ok(facts) => facts,
        Err(fault) => return failed(&fault),
    };
    let own = match admin::openid::identities(&site.admin, signed.user).await {
        Ok(own) => own,
        Err(fault) => return failed(&fault),
    };
    let now = site.sources.now();
    let notice = notice.map(|text| Notice { tone: Tone::Good, text: text.to_owned() });
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let view = Account {
        frame: frame(site, asked, signed, Some(Section::Account), notice),
        email: signed.email.clone(),
        operator: signed.operator,
        has_password: facts.has_password,
        second_step: facts.second_step.map(|since| SecondStepOn {
            since: When::of(since, now),
            codes_left: usize::try_from(facts.codes_left).unwrap_or_default(),
        }),
        providers: openid::linked(site, &own, facts.has_password),
        mistakes,
    };
    page(status, &view, None)
}

pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let done = parameter(&request, "done");
    let (asked, signed) = match signed_in(&site, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let notice = match done.as_str() {
        "password" => Some(s::CHANGED),
        "off" => Some(s::TURNED_OFF),
        "linked" => Some(s::LINKED),
        "unlinked" => Some(s::UNLINKED),
        _ => None,
    };
    view(&site, &asked, &signed, notice, Vec::new()).await
}

pub(crate) async fn password(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, signed, sent) = match posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let (old, new) = (secret(&sent, "current"), secret(&sent, "new_password"));
    match site.people.change_password(&signed, old, new, asked.visitor.address).await {
        Ok(Ok(cookie)) => {
            if let Err(response) = odoo_left(&site, signed.user, &by(&asked, &signed)).await {
                return with_cookie(response, Some(session_cookie(&asked.visitor, Some(&cookie))));
            }
            let done = go(&format!("{}?done=password", routes::ACCOUNT));
            with_cookie(done, Some(session_cookie(&asked.visitor, Some(&cookie))))
        }
        Ok(Err(not)) => view(&site, &asked, &signed, None, vec![mistake(not, "current")]).await,
        Err(fault) => failed(&fault),
    }
}

/// How authenticators call this ocore.
fn issuer(asked: &Asked) -> String {
    let host = Url::parse(&asked.visitor.origin).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.map_or_else(|| crate::strings::PRODUCT.to_owned(), |host| format!("{} {host}", crate::strings::PRODUCT))
}
/// The page on which the second step is set up: another set-up, or the one of that name `again`.
async fn set_up(site: &Site, asked: &Asked, signed: &Signed, again: Option<&str>, mistakes: Vec<Mistake>) -> Response {
    let begun = match site.people.begin_second_step(signed, &issuer(asked), again).await {
        Ok(Some(begun)) => begun,
        // It is on, perhaps since a moment ago in another tab.
        Ok(None) => return go(routes::ACCOUNT),
        Err(fault) => return failed(&fault),
    };
    let SecondStepBegun { setup, uri, secret } = begun;
    let Some(qr) = Qr::of(uri.expose_secret()) else { return problem(Kind::Internal) };
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = frame(site, asked, signed, Some(Section::Account), None);
    page(status, &SecondStepSetUp { frame, setup, qr, secret: secret.expose_secret().to_owned(), mistakes }, None)
}

pub(crate) async fn begin(State(site): State<Arc<Site>>, request: Request) -> Response {
    match signed_in(&site, request).await {
        Ok((asked, signed)) => set_up(&site, &asked, &signed, None, Vec::new()).await,
        Err(response) => response,
    }
}

pub(crate) async fn confirm(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, signed, sent) = match posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let (setup, code, address) = (field(&sent, "setup"), field(&sent, "code"), asked.visitor.address);
    match site.people.confirm_second_step(&signed, setup, secret(&sent, "password"), code, address).await {
        Ok(Ok(on)) => {
            // The forms of this page already belong to the new cookie.
            let csrf = token_of(on.cookie.expose_secret());
            let frame = Frame { csrf, ..frame(&site, &asked, &signed, Some(Section::Account), None) };
            let response = page(StatusCode::OK, &RecoveryCodes { frame, codes: shown(&on.codes), turned_on: true }, None);
            with_cookie(response, Some(session_cookie(&asked.visitor, Some(&on.cookie))))
        }
        Ok(Err(not)) => set_up(&site, &asked, &signed, Some(setup), vec![mistake(not, "password")]).await,
        Err(fault) => failed(&fault),
    }
}
fn shown(codes: &[SecretString]) -> Vec<String> {
    codes.iter().map(|code| code.expose_secret().to_owned()).collect()
}

pub(crate) async fn turn_off(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, signed, sent) = match posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    match site.people.turn_off_second_step(&signed, secret(&sent, "confirm_off"), asked.visitor.address).await {
        // Off is how its person wants it.
        Ok(Ok(()) | Err(NotDone::Over)) => go(&format!("{}?done=off", routes::ACCOUNT)),
        Ok(Err(not)) => view(&site, &asked, &signed, None, vec![mistake(not, "confirm_off")]).await,
        Err(fault) => failed(&fault),
    }
}

pub(crate) async fn codes(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, signed, sent) = match posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    match site.people.new_recovery_codes(&signed, secret(&sent, "confirm_codes"), asked.visitor.address).await {
        Ok(Ok(codes)) => {
            let frame = frame(&site, &asked, &signed, Some(Section::Account), None);
            page(StatusCode::OK, &RecoveryCodes { frame, codes: shown(&codes), turned_on: false }, None)
        }
        Ok(Err(not)) => view(&site, &asked, &signed, None, vec![mistake(not, "confirm_codes")]).await,
        Err(fault) => failed(&fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_drawn_in_runs_inside_its_quiet_zone() {
        let qr = Qr { width: 3, dark: vec![true, true, false, false, false, true, true, false, true] };
        assert_eq!(qr.side(), 11);
        assert_eq!(qr.path(), "M4 4h2v1h-2zM6 5h1v1h-1zM4 6h1v1h-1zM6 6h1v1h-1z");
        assert_eq!(Qr { width: 0, dark: Vec::new() }.path(), "");
    }

    #[test]
    fn a_qr_code_has_its_three_corners() {
        let qr = Qr::of("otpauth://totp/ocore%20localhost:ann%40example%2Ecom?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        assert_eq!(qr.dark.len(), qr.width * qr.width);
        let finder = [true, true, true, true, true, true, true, false];
        let row = |y: usize, x: usize| qr.dark[y * qr.width + x..].iter().take(8).copied().collect::<Vec<_>>();
        assert_eq!(row(0, 0), finder);
        assert_eq!(row(qr.width - 1, 0), finder);
        assert_eq!(row(0, qr.width - 8), finder.into_iter().rev().collect::<Vec<_>>());
        assert!(Qr::of(&"x".repeat(5000)).is_none());
    }
}
