//! Coming in from an OpenID provider: what is kept between the way there and the way back, and the session at its end. Whose account it
//! is decides administration, which knows the registry.
use std::net::IpAddr;

use kernel::{Result, SecretString, UserId};
use serde_json::json;
use store::{oidc, users, web_sessions::Method};

use super::{Came, NotDone, NotIn, People, Signed, network};
use crate::{
    oauth::throttle,
    openid::{Browser, Callback, Claims, Pending, Provider, Providers, SignInError},
};

const WHAT: &str = "provider";

/// The way to a provider.
#[derive(Debug)]
pub struct Leaving {
    /// Where to send the browser. It holds the state: not for logs.
    pub url: SecretString,
    /// What the browser keeps until it is back, as a cookie.
    pub browser: Browser,
}

/// Somebody who came back, and whom the provider knows.
#[derive(Debug)]
pub struct Returned {
    pub claims: Claims,
    /// Who was signed in and began this in order to add a way to sign in.
    pub linking: Option<UserId>,
    /// The page to go on with.
    pub next: String,
}

impl People {
    /// The providers that the operator set up.
    pub fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Begins a sign-in at a provider. `redirect_uri` is its way back here; `cookie` what the browser has from a sign-in before.
    pub async fn leave_for(
        &self,
        provider: &Provider,
        redirect_uri: &str,
        cookie: Option<&str>,
        linking: Option<&Signed>,
        next: &str,
        address: IpAddr,
    ) -> Result<std::result::Result<Leaving, SignInError>> {
        // Each keeps a row until it is over.
        if let Err(seconds) = self.counts.take(throttle::PROVIDER, WHAT, network(address), self.sources.now()) {
            return Ok(Err(SignInError::Later { seconds }));
        }
        let browser = cookie.and_then(Browser::read).unwrap_or_else(|| Browser::new(&self.sources));
        let begun = match self.providers.begin(provider, redirect_uri, &browser).await {
            Ok(begun) => begun,
            Err(why) => return Ok(Err(why)),
        };
        let new = oidc::NewLogin {
            state: begun.hash,
            provider: provider.slug(),
            session: browser.hash(),
            secrets: &begun.secrets,
            link_user: linking.map(|signed| signed.user),
            return_to: next,
            expires_at: begun.expires_at,
        };
        let mut tx = self.db.begin().await?;
        oidc::begin(&mut tx, &self.vault, &new).await?;
        tx.commit().await?;
        Ok(Ok(Leaving { url: begun.url, browser }))
    }

    /// Takes somebody back from a provider, once. `provider` is the one whose way back was called, `callback` what its query said.
    pub async fn return_from(
        &self,
        provider: &Provider,
        callback: Callback,
        cookie: Option<&str>,
        signed: Option<&Signed>,
        address: IpAddr,
    ) -> Result<std::result::Result<Returned, SignInError>> {
        let Some(browser) = cookie.and_then(Browser::read) else { return Ok(Err(SignInError::NotYours)) };
        let mut tx = self.db.begin().await?;
        let login = oidc::take(&mut tx, &self.vault, &callback.hash(), &browser.hash(), self.sources.now()).await?;
        tx.commit().await?;
        let Some(login) = login else { return Ok(Err(SignInError::NotYours)) };
        // Whoever signed out meanwhile, or somebody else who signed in, adds nothing.
        if login.link_user.is_some() && login.link_user != signed.map(|signed| signed.user) {
            return Ok(Err(SignInError::NotYours));
        }
        let pending = Pending { provider: login.provider, secrets: login.secrets };
        let claims = match self.providers.finish(provider, callback, pending, Some(&browser)).await {
            Ok(claims) => claims,
            Err(why) => return Ok(Err(why)),
        };
        self.counts.give_back(WHAT, network(address));
        Ok(Ok(Returned { claims, linking: login.link_user, next: login.return_to }))
    }

    /// A session for whom administration found behind a provider's claims. `Wrong` where the account is disabled.
    pub async fn come_in(
        &self,
        user: UserId,
        provider: &Provider,
        address: IpAddr,
        agent: &str,
    ) -> Result<std::result::Result<Came, NotIn>> {
        let Some(user) = users::find(&self.db, user).await?.filter(|user| user.active) else { return Ok(Err(NotIn::Wrong)) };
        let with = json!({ "with": "provider", "provider": provider.slug() });
        Ok(Ok(self.begin_session(&user, Method::Oidc, &with, address, agent).await?))
    }

    /// The password, asked for again before another way to sign in is added. Who has none is asked for none.
    pub async fn confirm_password(&self, signed: &Signed, password: SecretString) -> super::account::Done<()> {
        Ok(match self.password_again(signed, password).await? {
            Ok(_) | Err(NotDone::NoPassword) => Ok(()),
            Err(not) => Err(not),
        })
    }
}
