//! The first run: while there is no user, whoever reads the terminal of `ocore serve` makes the first one.
//!
//! The address that is printed there carries a token of 256 bits. It is kept in the memory of the process alone, as its hash, for an
//! hour, and means nothing once there is a user, however that one came to be.
use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use kernel::{ExposeSecret as _, Result, Role, SecretString, TimeDelta, Timestamp, name};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{orgs, users};
use subtle::ConstantTimeEq as _;

use crate::{Admin, By, taken, target, title, users::email};

/// How long the token is good.
const LIFE: TimeDelta = TimeDelta::hours(1);
/// The slug of an organization whose name has no letter that a slug can hold.
const UNNAMED: &str = "first";

/// The first user and organization.
#[derive(Clone)]
pub struct First {
    pub email: String,
    /// The argon2id hash, made by identity.
    pub password_hash: String,
    /// The name of the organization; its slug is made from it.
    pub org: String,
}

/// The way in while there is no user.
#[derive(Debug)]
pub struct SetUp {
    admin: Admin,
    hash: [u8; 32],
    until: Timestamp,
    /// A user was seen: the store need not be asked again.
    over: AtomicBool,
}
impl SetUp {
    /// Opens the way; gives the token, which is told to who runs the process and to nobody else. None when there is a user.
    pub async fn open(admin: &Admin) -> Result<Option<(Self, SecretString)>> {
        if users::count(&admin.db).await? > 0 {
            return Ok(None);
        }
        let mut bytes = [0_u8; 32];
        admin.sources.random.fill(&mut bytes);
        let text: String =
            bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|half| char::from_digit(half.into(), 16)).collect();
        let set_up = Self {
            hash: Sha256::digest(text.as_bytes()).into(),
            until: admin.sources.now() + LIFE,
            over: AtomicBool::new(false),
            admin: admin.clone(),
        };
        Ok(Some((set_up, text.into())))
    }

    fn right(&self, token: &SecretString) -> bool {
        let given = Sha256::digest(token.expose_secret().as_bytes());
        let live = self.admin.sources.now() < self.until && !self.over.load(Ordering::Relaxed);
        bool::from(given.as_slice().ct_eq(&self.hash)) && live
    }

    /// Whether this token would make the first user now.
    pub async fn stands(&self, token: &SecretString) -> Result<bool> {
        if !self.right(token) {
            return Ok(false);
        }
        let nobody = users::count(&self.admin.db).await? == 0;
        self.over.store(!nobody, Ordering::Relaxed);
        Ok(nobody)
    }

    /// Makes the first user, an operator, and the organization that the user owns: all of it, once. Gives false when the token is not
    /// the one, or somebody was faster.
    ///
    /// # Errors
    /// Refuses what is no address or no name.
    pub async fn finish(&self, token: &SecretString, first: &First, address: IpAddr) -> Result<bool> {
        if !self.right(token) {
            return Ok(false);
        }
        let admin = &self.admin;
        let email = email(&first.email)?;
        let called = title("The name of an organization", &first.org, 200)?;
        let slug = slug_of(&called);
        let mut tx = admin.begin().await?;
        if users::count(&mut tx).await? > 0 {
            self.over.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        let sources = &admin.sources;
        let user = users::create(&mut tx, email, Some(&first.password_hash), true, sources).await.map_err(taken("A user"))?;
        let by = By::User { id: user, email: email.to_owned(), operator: true, address };
        // One that the command line has made already has no members yet: it is the one that is meant.
        let org = if let Some(there) = orgs::by_slug(&mut tx, &slug).await? {
            there.organization.id
        } else {
            let org = orgs::create(&mut tx, &slug, &called, sources).await?;
            let about = target("organization", org, &*slug);
            admin.log(&mut tx, &by, Some(org), "organization.create", about, &json!({ "name": called })).await?;
            org
        };
        users::set_role(&mut tx, org, user, Role::Owner, sources.now()).await?;
        let detail = json!({ "first": true, "operator": true, "organization": slug, "role": Role::Owner });
        admin.log(&mut tx, &by, Some(org), "user.create", target("user", user, email), &detail).await?;
        tx.commit().await?;
        self.over.store(true, Ordering::Relaxed);
        Ok(true)
    }
}

/// A slug that says the name: its letters and digits, in lower case.
fn slug_of(called: &str) -> String {
    let mut slug = String::new();
    for c in called.to_lowercase().chars() {
        let plain = match c {
            'a'..='z' | '0'..='9' => c,
            'à'..='å' => 'a',
            'è'..='ë' => 'e',
            'ì'..='ï' => 'i',
            'ò'..='ö' | 'ø' => 'o',
            'ù'..='ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            _ if slug.ends_with('-') || slug.is_empty() => continue,
            _ => '-',
        };
        if slug.len() < name::MAX_SLUG {
            slug.push(plain);
        }
    }
    let slug = slug.trim_matches('-');
    if name::slug(slug).is_ok() { slug.to_owned() } else { UNNAMED.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_say_the_name() {
        for (called, slug) in [
            ("Acme", "acme"),
            ("Acme Inc. & Sons", "acme-inc-sons"),
            ("Äpfel GmbH", "apfel-gmbh"),
            ("  -- 7 ", "7"),
            ("株式会社", "first"),
            ("An organization with a long name", "an-organization-with-a-l"),
            ("exactly twenty-three ch !", "exactly-twenty-three-ch"),
        ] {
            assert_eq!(slug_of(called), slug, "{called}");
            assert!(name::slug(&slug_of(called)).is_ok());
        }
    }
}
