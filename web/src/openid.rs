//! Signing in at a provider: the way there, the way back, and the providers of an account.
use std::sync::Arc;

use admin::openid::{Identity, Unlinked, enter, unlink};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use identity::{
    Signed,
    openid::{Callback, LIFETIME, Provider},
};
use kernel::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    account::{self, Linked},
    onward::{Going, Onward},
    parts::Mistake,
    problem::Kind,
    routes, sign_in,
    site::{
        Asked, Site, by, cookie, failed, faulty, field, go, hex, own_path, page, parameter, problem, session_cookie, set_cookie,
        with_cookie, with_next,
    },
    strings::{account as a, sign_in as s},
};

/// Binds a sign-in to the browser that began it. Its name begins with what is kept from Odoo.
const BROWSER: &str = "ocore-openid";

/// Where signing in at a provider starts.
pub(crate) fn start(provider: &Provider, next: &str) -> String {
    let path = format!("{}/{}", routes::OPENID, provider.slug());
    if next.is_empty() || next == routes::HOME { path } else { with_next(&path, next) }
}
/// Where a provider sends people back to; registered there.
fn back(asked: &Asked, provider: &Provider) -> String {
    asked.visitor.public.join(&format!("{}/{}/callback", routes::OPENID, provider.slug()))
}
/// The providers as links for somebody who is not signed in.
pub(crate) fn links(site: &Site, next: &str) -> Vec<sign_in::Provider> {
    let all = site.people.providers().list();
    all.map(|provider| sign_in::Provider { name: provider.name().to_owned(), href: start(provider, next) }).collect()
}

/// To a provider, in order to sign in.
pub(crate) async fn leave(State(site): State<Arc<Site>>, Path(slug): Path<String>, request: Request) -> Response {
    let next = parameter(&request, "next");
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Some(provider) = site.people.providers().find(&slug) else { return problem(Kind::NotFound) };
    let next = own_path(&next);
    match leaving(&site, &asked, provider, None, next).await {
        Ok((url, cookie)) => with_cookie(go(url.expose_secret()), Some(cookie)),
        Err(Stopped::Told(why)) => refused(&site, &asked, next, provider, &why),
        Err(Stopped::Answered(response)) => response,
    }
}

enum Stopped {
    /// For the person.
    Told(String),
    Answered(Response),
}
async fn leaving(
    site: &Site,
    asked: &Asked,
    provider: &Provider,
    linking: Option<&Signed>,
    next: &str,
) -> Result<(SecretString, axum::http::HeaderValue), Stopped> {
    let secure = asked.visitor.secure();
    let had = cookie(&asked.headers, BROWSER, secure);
    let address = asked.visitor.address;
    let left = site.people.leave_for(provider, &back(asked, provider), had.as_deref(), linking, next, address).await;
    match left {
        Ok(Ok(leaving)) => {
            let value = leaving.browser.cookie().expose_secret();
            Ok((leaving.url, set_cookie(BROWSER, value, secure, Some(LIFETIME.num_seconds()))))
        }
        Ok(Err(why)) => {
            (site.events)("sign_in_failed", address, &format!("at the provider {}: {why}", provider.slug()));
            Err(Stopped::Told(why.to_string()))
        }
        Err(fault) => Err(Stopped::Answered(failed(&fault))),
    }
}

/// Back from a provider.
pub(crate) async fn come_back(State(site): State<Arc<Site>>, Path(slug): Path<String>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Some(provider) = site.people.providers().find(&slug) else { return problem(Kind::NotFound) };
    let (secure, address) = (asked.visitor.secure(), asked.visitor.address);
    let callback = match Callback::read(&query) {
        Ok(callback) => callback,
        Err(flaw) => return refused(&site, &asked, "", provider, &flaw.to_string()),
    };
    let had = cookie(&asked.headers, BROWSER, secure);
    let returned = site.people.return_from(provider, callback, had.as_deref(), asked.signed.as_ref(), address).await;
    let over = set_cookie(BROWSER, "", secure, Some(0));
    let returned = match returned {
        Ok(Ok(returned)) => returned,
        Ok(Err(why)) => {
            (site.events)("sign_in_failed", address, &format!("at the provider {}: {why}", provider.slug()));
            return with_cookie(refused(&site, &asked, "", provider, &why.to_string()), Some(over));
        }
        Err(fault) => return failed(&fault),
    };
    let entered = match enter(&site.admin, provider, &returned.claims, returned.linking, address).await {
        Ok(Ok(entered)) => entered,
        Ok(Err(why)) => {
            (site.events)("sign_in_failed", address, &format!("at the provider {}: {why}", provider.slug()));
            let answer = match asked.signed.clone() {
                Some(signed) if returned.linking.is_some() => {
                    asked.organizations = match admin::users::organizations(&site.admin, signed.user).await {
                        Ok(found) => found,
                        Err(fault) => return failed(&fault),
                    };
                    account::view(&site, &asked, &signed, None, vec![Mistake::form(why.to_string())]).await
                }
                _ => refused(&site, &asked, &returned.next, provider, &why.to_string()),
            };
            return with_cookie(answer, Some(over));
        }
        Err(fault) => return failed(&fault),
    };
    if entered.linked {
        return with_cookie(go(&format!("{}?done=linked", routes::ACCOUNT)), Some(over));
    }
    let agent = asked.agent().to_owned();
    match site.people.come_in(entered.user, provider, address, &agent).await {
        Ok(Ok(came)) => {
            if let Some(before) = &asked.signed
                && let Err(fault) = site.people.sign_out(before).await
            {
                return failed(&fault);
            }
            let next = own_path(&returned.next);
            let to = if came.second_step { with_next(routes::SIGN_IN_CODE, next) } else { next.to_owned() };
            let response = with_cookie(go(&to), Some(session_cookie(&asked.visitor, Some(&came.cookie))));
            with_cookie(response, Some(over))
        }
        Ok(Err(_)) => {
            (site.events)("sign_in_failed", address, "a disabled account, by a provider");
            with_cookie(refused(&site, &asked, &returned.next, provider, s::DISABLED), Some(over))
        }
        Err(fault) => failed(&fault),
    }
}

/// The page for signing in, with what went wrong at a provider.
fn refused(site: &Site, asked: &Asked, next: &str, provider: &Provider, why: &str) -> Response {
    let (csrf, cookie) = asked.token(site);
    let mistake = Mistake::form(s::provider_refused(provider.name(), why));
    let view = sign_in::form(site, csrf, own_path(next), "", vec![mistake]);
    with_cookie(page(StatusCode::UNPROCESSABLE_ENTITY, &view, None), cookie)
}

/// Adds a provider to the account, once the password was asked for again. Whoever is at a provider under another's name in this browser
/// must not be led to give that other a way in; so it begins with a form of ours, never with a link.
pub(crate) async fn link(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, signed, sent) = match account::posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let Some(provider) = site.people.providers().find(field(&sent, "provider")) else { return problem(Kind::NotFound) };
    let named = confirm_field(provider.slug());
    let password: SecretString = field(&sent, &named).into();
    match site.people.confirm_password(&signed, password).await {
        Ok(Ok(())) => {}
        Ok(Err(not)) => return account::view(&site, &asked, &signed, None, vec![account::mistake(not, &named)]).await,
        Err(fault) => return failed(&fault),
    }
    match leaving(&site, &asked, provider, Some(&signed), routes::ACCOUNT).await {
        Ok((url, cookie)) => {
            let host = Url::parse(url.expose_secret()).ok().and_then(|url| url.host_str().map(str::to_owned));
            let onward = Onward {
                kind: Going::Provider,
                name: provider.name().to_owned(),
                href: url.expose_secret().to_owned(),
                host: host.unwrap_or_default(),
            };
            with_cookie(page(StatusCode::OK, &onward, None), Some(cookie))
        }
        Err(Stopped::Told(why)) => account::view(&site, &asked, &signed, None, vec![Mistake::form(why)]).await,
        Err(Stopped::Answered(response)) => response,
    }
}

/// Takes a provider from the account.
pub(crate) async fn take_away(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, signed, sent) = match account::posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let own = match admin::openid::identities(&site.admin, signed.user).await {
        Ok(own) => own,
        Err(fault) => return failed(&fault),
    };
    let Some(identity) = own.iter().find(|one| id(one) == field(&sent, "provider")) else {
        return account::view(&site, &asked, &signed, None, vec![Mistake::form(a::OVER)]).await;
    };
    let who = by(&asked, &signed);
    let (issuer, subject) = (&identity.issuer, &identity.subject);
    match unlink(&site.admin, &who, signed.user, issuer, subject, Some(signed.session)).await {
        Ok(Unlinked::Done) => go(&format!("{}?done=unlinked", routes::ACCOUNT)),
        Ok(Unlinked::Gone) => account::view(&site, &asked, &signed, None, vec![Mistake::form(a::OVER)]).await,
        Ok(Unlinked::Last) => account::view(&site, &asked, &signed, None, vec![Mistake::form(a::ONLY_WAY)]).await,
        Err(fault) => faulty(&fault),
    }
}

/// Names one of the own identities in a form.
fn id(identity: &Identity) -> String {
    hex(&Sha256::new().chain_update(&identity.issuer).chain_update([0]).chain_update(&identity.subject).finalize())
}
fn confirm_field(slug: &str) -> String {
    format!("confirm_{slug}")
}

/// What the page of the account shows: what is linked, then what can be.
pub(crate) fn linked(site: &Site, own: &[Identity], has_password: bool) -> Vec<Linked> {
    let providers = site.people.providers();
    let mut all: Vec<Linked> = own
        .iter()
        .map(|one| {
            let provider = providers.list().find(|p| p.issuer() == one.issuer);
            Linked {
                id: id(one),
                name: provider.map_or_else(|| one.issuer.clone(), |p| p.name().to_owned()),
                account: Some(one.email.clone().unwrap_or_else(|| one.subject.clone())),
                confirm: String::new(),
                can_unlink: has_password || own.len() > 1,
            }
        })
        .collect();
    let free = providers.list().filter(|p| !own.iter().any(|one| one.issuer == p.issuer()));
    all.extend(free.map(|p| Linked {
        id: p.slug().to_owned(),
        name: p.name().to_owned(),
        account: None,
        confirm: confirm_field(p.slug()),
        can_unlink: false,
    }));
    all
}
