//! What somebody who is signed in does to the own account: the second step, recovery codes, the password, sessions elsewhere.
//!
//! Whatever weakens the account, or could lock its person out, asks for the password again: a browser that was left open is not enough.
use std::net::IpAddr;

use kernel::{ExposeSecret as _, Fault, Result, SecretString, SessionId, TimeDelta, Timestamp, parse_time, time_text};
use secrecy::SecretBox;
use serde_json::{Value, json};
use store::{
    Tx,
    audit_log::{self, Target},
    password_resets,
    second_factor::{self, Authenticator},
    users::{self, UserRow},
    web_sessions::{self, WebSession},
};

use super::{NOBODY, People, Signed, digest, who};
use crate::{
    oauth::{
        opaque::{self, Kind},
        throttle, totp,
    },
    password::{self, Weak},
};

/// For how long a begun set-up of the second step is shown again, and for how long it can be confirmed: whoever is shown one has time.
const SHOWN: TimeDelta = TimeDelta::minutes(15);
const CONFIRMED: TimeDelta = TimeDelta::minutes(30);

/// Why a change of the own account was not made. Nothing was changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDone {
    /// The password that was asked for again.
    Password,
    /// The account has none that could be asked for: it is to be set first.
    NoPassword,
    /// The code of the authenticator.
    Code,
    /// Too many wrong passwords in this session.
    Later { seconds: i64 },
    /// The new password is not taken.
    Weak(Weak),
    /// The new password is the old one.
    Same,
    /// What was to be changed is not as it was: done or undone elsewhere, or too long ago.
    Over,
}

/// An account as its person sees it.
#[derive(Debug, Clone, Copy)]
pub struct AccountFacts {
    pub has_password: bool,
    /// Since when the second step is on; none when it is off.
    pub second_step: Option<Timestamp>,
    /// Recovery codes that are left.
    pub codes_left: i64,
}

/// A second step that is being set up.
#[derive(Debug)]
pub struct SecondStepBegun {
    /// Names this set-up when it is confirmed.
    pub setup: String,
    /// The `otpauth` URL, for a QR code.
    pub uri: SecretString,
    /// The same secret in base 32, for those who type it.
    pub secret: SecretString,
}

/// The second step is on.
#[derive(Debug)]
pub struct TurnedOn {
    /// The session's new cookie.
    pub cookie: SecretString,
    /// Recovery codes; shown now and never again.
    pub codes: Vec<SecretString>,
}

pub(super) type Done<T> = Result<std::result::Result<T, NotDone>>;

/// The secret of an authenticator.
pub(super) fn shared(factor: &Authenticator) -> Result<totp::Secret> {
    let bytes: [u8; 20] = factor.secret.as_slice().try_into().map_err(|_| Fault::failed("an authenticator's secret"))?;
    Ok(SecretBox::new(Box::new(bytes)))
}

impl People {
    /// How the account stands.
    pub async fn account(&self, signed: &Signed) -> Result<AccountFacts> {
        let factor = second_factor::find(&self.db, &self.vault, signed.user).await?;
        Ok(AccountFacts {
            has_password: users::password_hash(&self.db, signed.user).await?.is_some(),
            second_step: factor.and_then(|factor| factor.confirmed_at),
            codes_left: second_factor::codes_left(&self.db, signed.user).await?,
        })
    }

    /// Begins to set up the second step; with the name of a set-up, shows that one again. Else every look gives another secret, so that
    /// nobody who was here before knows the one that is confirmed. `issuer` is how authenticators call this installation. None when the
    /// second step is on.
    pub async fn begin_second_step(&self, signed: &Signed, issuer: &str, again: Option<&str>) -> Result<Option<SecondStepBegun>> {
        let now = self.sources.now();
        let same = |begun: &Authenticator| again.and_then(parse_time) == Some(begun.created_at) && age(begun, now) < SHOWN;
        let (secret, at) = match second_factor::find(&self.db, &self.vault, signed.user).await? {
            Some(Authenticator { confirmed_at: Some(_), .. }) => return Ok(None),
            Some(begun) if same(&begun) => (shared(&begun)?, begun.created_at),
            _ => {
                let secret = totp::new_secret(&*self.sources.random);
                let mut tx = self.db.begin().await?;
                if !second_factor::begin(&mut tx, &self.vault, signed.user, secret.expose_secret(), now).await? {
                    return Ok(None);
                }
                tx.commit().await?;
                (secret, now)
            }
        };
        let (uri, secret) = totp::uri(&secret, issuer, &signed.email);
        Ok(Some(SecondStepBegun { setup: time_text(at), uri, secret }))
    }

    /// Turns the second step on with the first code of the authenticator that was set up under the name `setup`. This session has shown
    /// its code with that, and gets another cookie; all others have yet to, or sign in again.
    pub async fn confirm_second_step(
        &self,
        signed: &Signed,
        setup: &str,
        password: SecretString,
        code: &str,
        address: IpAddr,
    ) -> Done<TurnedOn> {
        if let Err(not) = self.password_again(signed, password).await? {
            return Ok(Err(not));
        }
        let now = self.sources.now();
        let factor = second_factor::find(&self.db, &self.vault, signed.user).await?;
        let Some(factor) = factor.filter(|f| {
            f.confirmed_at.is_none() && age(f, now) < CONFIRMED && parse_time(setup).is_some_and(|at| at == f.created_at)
        }) else {
            return Ok(Err(NotDone::Over));
        };
        let Some(step) = totp::check(&shared(&factor)?, code, now, None) else { return Ok(Err(NotDone::Code)) };
        let codes = totp::recovery_codes(&*self.sources.random);
        let hashes: Vec<_> = codes.iter().map(|(_, hash)| *hash).collect();
        let cookie = self.cookie();
        let mut tx = self.db.begin().await?;
        let on = second_factor::confirm(&mut tx, signed.user, factor.created_at, step, &hashes, now).await?
            && web_sessions::second_step(&mut tx, signed.session, &digest(cookie.expose_secret()), now).await?;
        if !on {
            return Ok(Err(NotDone::Over));
        }
        self.note(&mut tx, signed, address, "user.second_step_on", &json!({})).await?;
        tx.commit().await?;
        Ok(Ok(TurnedOn { cookie, codes: codes.into_iter().map(|(code, _)| code).collect() }))
    }

    /// Turns the second step off; its recovery codes end.
    pub async fn turn_off_second_step(&self, signed: &Signed, password: SecretString, address: IpAddr) -> Done<()> {
        if let Err(not) = self.password_again(signed, password).await? {
            return Ok(Err(not));
        }
        let mut tx = self.db.begin().await?;
        if !second_factor::remove(&mut tx, signed.user).await? {
            return Ok(Err(NotDone::Over));
        }
        self.note(&mut tx, signed, address, "user.second_step_off", &json!({})).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Gives other recovery codes, once; the earlier ones end.
    pub async fn new_recovery_codes(&self, signed: &Signed, password: SecretString, address: IpAddr) -> Done<Vec<SecretString>> {
        if let Err(not) = self.password_again(signed, password).await? {
            return Ok(Err(not));
        }
        let codes = totp::recovery_codes(&*self.sources.random);
        let hashes: Vec<_> = codes.iter().map(|(_, hash)| *hash).collect();
        let mut tx = self.db.begin().await?;
        if second_factor::find(&mut tx, &self.vault, signed.user).await?.and_then(|f| f.confirmed_at).is_none() {
            return Ok(Err(NotDone::Over));
        }
        second_factor::replace_codes(&mut tx, signed.user, &hashes).await?;
        self.note(&mut tx, signed, address, "user.recovery_codes", &json!({})).await?;
        tx.commit().await?;
        Ok(Ok(codes.into_iter().map(|(code, _)| code).collect()))
    }

    /// Changes the password, or sets the first one; `old` is looked at where there is one. All other sessions end; this one gets
    /// another cookie.
    pub async fn change_password(
        &self,
        signed: &Signed,
        old: SecretString,
        new: SecretString,
        address: IpAddr,
    ) -> Done<SecretString> {
        if let Some(weak) = password::weak(&new, &signed.email) {
            return Ok(Err(NotDone::Weak(weak)));
        }
        let same = old.expose_secret() == new.expose_secret();
        let known = match self.password_again(signed, old).await? {
            Ok(_) if same => return Ok(Err(NotDone::Same)),
            Ok(hash) => Some(hash),
            Err(NotDone::NoPassword) => None,
            Err(not) => return Ok(Err(not)),
        };
        let hash = password::hash(new, &self.sources).await?;
        let cookie = self.cookie();
        let mut tx = self.db.begin().await?;
        // An operator may have set another one, or ended this session, since it was looked at.
        let changed = users::change_password(&mut tx, signed.user, known.as_deref(), &hash, self.sources.now()).await?
            && web_sessions::rotate(&mut tx, signed.session, &digest(cookie.expose_secret())).await?;
        if !changed {
            return Ok(Err(NotDone::Over));
        }
        let ended = web_sessions::end_others(&mut tx, signed.user, signed.session).await?;
        let detail = json!({ "first": known.is_none(), "sessions_ended": ended });
        self.note(&mut tx, signed, address, "user.password_change", &detail).await?;
        tx.commit().await?;
        Ok(Ok(cookie))
    }

    /// Whose link it is that sets a new password; none when it is over or was used. Looking uses nothing up.
    pub async fn reset_of(&self, link: &str) -> Result<Option<String>> {
        let Some(hash) = opaque::read(Kind::PasswordReset, link) else { return Ok(None) };
        Ok(password_resets::find(&self.db, &hash, self.sources.now()).await?.map(|user| user.email))
    }

    /// Sets a new password by a link, which is used up with that. All sessions of the person end; the second step stays. `Over` where
    /// the link cannot be used any more. Gives whose it was.
    pub async fn reset_password(&self, link: &str, new: SecretString, address: IpAddr) -> Done<UserRow> {
        let now = self.sources.now();
        let Some(hash) = opaque::read(Kind::PasswordReset, link) else { return Ok(Err(NotDone::Over)) };
        let Some(user) = password_resets::find(&self.db, &hash, now).await? else { return Ok(Err(NotDone::Over)) };
        if let Some(weak) = password::weak(&new, &user.email) {
            return Ok(Err(NotDone::Weak(weak)));
        }
        let password_hash = Some(password::hash(new, &self.sources).await?);
        let mut tx = self.db.begin().await?;
        // Whoever was quicker has used it up, or a newer one is there.
        if password_resets::find(&mut tx, &hash, now).await?.is_none() || !password_resets::take(&mut tx, &hash, now).await? {
            return Ok(Err(NotDone::Over));
        }
        users::update(&mut tx, user.id, &users::UserChange { password_hash, ..Default::default() }, now).await?;
        let target = Target { kind: "user", id: Some(user.id.to_string()), name: user.email.clone() };
        let who = who(user.id, &user.email, address);
        let detail = json!({ "by": "link" });
        audit_log::write(&mut tx, &who, None, "user.password_change", &target, &detail, &self.sources).await?;
        tx.commit().await?;
        Ok(Ok(user))
    }

    /// Where the person is signed in: this session first, then the newest. Those that still wait for their code are none.
    pub async fn sessions(&self, signed: &Signed) -> Result<Vec<WebSession>> {
        let now = self.sources.now();
        let mut all = web_sessions::list(&self.db, signed.user, now).await?;
        let factor = second_factor::find(&self.db, &self.vault, signed.user).await?;
        if let Some(confirmed) = factor.and_then(|f| f.confirmed_at) {
            all.retain(|session| session.second_factor_at.is_some_and(|shown| shown >= confirmed));
        }
        all.sort_by_key(|session| session.id != signed.session);
        Ok(all)
    }

    /// Ends one of the person's own sessions. Gives false when it had ended, or is somebody else's.
    pub async fn end_session(&self, signed: &Signed, id: SessionId, address: IpAddr) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        if !web_sessions::end(&mut tx, signed.user, id).await? {
            return Ok(false);
        }
        let target = Target { kind: "web_session", id: Some(id.to_string()), name: String::new() };
        let who = who(signed.user, &signed.email, address);
        audit_log::write(&mut tx, &who, None, "user.session_end", &target, &json!({}), &self.sources).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends all of the person's sessions but this one. Gives how many there were.
    pub async fn end_other_sessions(&self, signed: &Signed, address: IpAddr) -> Result<u64> {
        let mut tx = self.db.begin().await?;
        let ended = web_sessions::end_others(&mut tx, signed.user, signed.session).await?;
        self.note(&mut tx, signed, address, "user.sessions_end", &json!({ "ended": ended })).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Whether it is the password of who is signed in; gives its hash.
    pub(super) async fn password_again(&self, signed: &Signed, password: SecretString) -> Done<String> {
        const WHAT: &str = "password again";
        if let Err(seconds) = self.counts.take(throttle::PASSWORD_AGAIN, WHAT, signed.session, self.sources.now()) {
            return Ok(Err(NotDone::Later { seconds }));
        }
        let hash = users::password_hash(&self.db, signed.user).await?;
        let right = password::verify(password, hash.clone().unwrap_or_else(|| NOBODY.to_owned())).await;
        let answer = match hash {
            None => Err(NotDone::NoPassword),
            Some(hash) if right => Ok(hash),
            Some(_) => return Ok(Err(NotDone::Password)),
        };
        self.counts.give_back(WHAT, signed.session);
        Ok(answer)
    }

    async fn note(&self, tx: &mut Tx, signed: &Signed, address: IpAddr, action: &str, detail: &Value) -> Result<()> {
        let target = Target { kind: "user", id: Some(signed.user.to_string()), name: signed.email.clone() };
        let who = who(signed.user, &signed.email, address);
        Ok(audit_log::write(tx, &who, None, action, &target, detail, &self.sources).await?)
    }
}

fn age(factor: &Authenticator, now: Timestamp) -> TimeDelta {
    now - factor.created_at
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{ManualClock, UserId};
    use store::{
        Db,
        testing::{TestStore, each_engine},
        vault::{KeySource, Vault},
    };

    use super::*;
    use crate::{Came, NotIn};

    const PASSWORD: &str = "correct horse battery";
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    struct World {
        db: Db,
        people: People,
        clock: Arc<ManualClock>,
        ann: UserId,
    }
    async fn world(t: &TestStore) -> World {
        let (db, sources, clock) = (t.db.clone(), t.sources.clone(), Arc::clone(&t.clock));
        let hash = password::hash(PASSWORD.to_owned().into(), &sources).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let ann = users::create(&mut tx, "ann@example.com", Some(&hash), false, &sources).await.unwrap();
        users::create(&mut tx, "bob@example.com", Some(&hash), false, &sources).await.unwrap();
        tx.commit().await.unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let vault = Vault::open(&db, KeySource::in_data_dir(t.dir.path()), &sources).await.unwrap();
        World {
            people: People::new(db.clone(), vault, sources.clone(), crate::openid::Providers::none(sources).unwrap()),
            db,
            clock,
            ann,
        }
    }
    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }
    impl World {
        async fn password(&self, email: &str, from: IpAddr) -> Came {
            self.people.sign_in(email, secret(PASSWORD), from, "").await.unwrap().unwrap()
        }
        /// The cookie of somebody who is signed in with a password alone.
        async fn enters(&self, email: &str, from: IpAddr) -> SecretString {
            let came = self.password(email, from).await;
            assert!(!came.second_step);
            came.cookie
        }
        async fn signed(&self, cookie: &SecretString) -> Option<Signed> {
            self.people.signed(cookie.expose_secret()).await.unwrap()
        }
        async fn waiting(&self, cookie: &SecretString) -> Option<crate::Waiting> {
            self.people.waiting(cookie.expose_secret()).await.unwrap()
        }
        /// Ann's code of a moment.
        async fn code(&self, seconds: i64) -> String {
            let factor = second_factor::find(&self.db, &self.people.vault, self.ann).await.unwrap().unwrap();
            let time = u64::try_from((self.people.sources.now() + TimeDelta::seconds(seconds)).timestamp()).unwrap();
            let secret = totp_rs::Secret::new_stack(*shared(&factor).unwrap().expose_secret());
            totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(time).to_string()
        }
        /// Turns Ann's second step on.
        async fn turn_on(&self, cookie: &SecretString) -> TurnedOn {
            let signed = self.signed(cookie).await.unwrap();
            let begun = self.people.begin_second_step(&signed, "ocore", None).await.unwrap().unwrap();
            let code = self.code(0).await;
            self.people.confirm_second_step(&signed, &begun.setup, secret(PASSWORD), &code, HERE).await.unwrap().unwrap()
        }
        async fn show(&self, cookie: &SecretString, code: &str, from: IpAddr) -> std::result::Result<SecretString, NotIn> {
            let waiting = self.waiting(cookie).await.expect("waits for its code");
            self.people.second_step(&waiting, code, from).await.unwrap()
        }
        async fn logged(&self) -> Vec<String> {
            let rows = audit_log::list(&self.db, None, None, 50).await.unwrap();
            let mut actions: Vec<_> = rows.into_iter().map(|row| row.action).collect();
            actions.sort();
            actions
        }
    }
    /// A code that is not one of these.
    fn another(than: &[String]) -> String {
        (0..10).map(|n| format!("{n}{n}{n}{n}{n}{n}")).find(|code| !than.contains(code)).unwrap()
    }

    #[tokio::test]
    async fn before_the_code_a_session_opens_nothing_and_after_it_the_old_cookie_is_nobodys() {
        each_engine(async |t| {
            let w = world(t).await;
            let first = w.enters("ann@example.com", HERE).await;
            let on = w.turn_on(&first).await;
            assert_ne!(on.cookie.expose_secret(), first.expose_secret());
            assert!(w.signed(&first).await.is_none() && w.waiting(&first).await.is_none());
            assert!(w.signed(&on.cookie).await.is_some());
            assert_eq!(on.codes.len(), totp::RECOVERY_CODES);

            w.clock.advance(TimeDelta::minutes(1));
            let came = w.password("ann@example.com", HERE).await;
            assert!(came.second_step && w.signed(&came.cookie).await.is_none());
            assert_eq!(w.waiting(&came.cookie).await.unwrap().email, "ann@example.com");
            assert!(w.waiting(&on.cookie).await.is_none(), "who is signed in waits for nothing");
            let code = w.code(0).await;
            let cookie = w.show(&came.cookie, &code, HERE).await.unwrap();
            assert_ne!(cookie.expose_secret(), came.cookie.expose_secret());
            assert!(w.signed(&came.cookie).await.is_none() && w.waiting(&came.cookie).await.is_none());
            assert_eq!(w.signed(&cookie).await.unwrap().user, w.ann);
            assert_eq!(w.logged().await, ["user.second_step_on", "user.sign_in", "user.sign_in", "user.sign_in_begun"]);

            // It waits a quarter of an hour.
            let came = w.password("ann@example.com", HERE).await;
            w.clock.advance(TimeDelta::minutes(15));
            assert!(w.waiting(&came.cookie).await.is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn codes_count_once() {
        each_engine(async |t| {
            let w = world(t).await;
            let on = w.turn_on(&w.enters("ann@example.com", HERE).await).await;
            let used = w.code(0).await;
            let came = w.password("ann@example.com", HERE).await;
            assert_eq!(w.show(&came.cookie, &used, HERE).await.unwrap_err(), NotIn::Wrong, "it confirmed the set-up");
            w.clock.advance(TimeDelta::minutes(2));
            let code = w.code(0).await;
            // Of two browsers at once one gets in with it.
            let other = w.password("ann@example.com", HERE).await;
            let (one, two) = (w.waiting(&came.cookie).await.unwrap(), w.waiting(&other.cookie).await.unwrap());
            let (one, two) = tokio::join!(w.people.second_step(&one, &code, HERE), w.people.second_step(&two, &code, HERE));
            assert_eq!([one.unwrap().is_ok(), two.unwrap().is_ok()].iter().filter(|ok| **ok).count(), 1);

            // Recovery codes too; and only this person's.
            let recovery = on.codes[3].expose_secret().to_uppercase();
            let came = w.password("ann@example.com", HERE).await;
            let cookie = w.show(&came.cookie, &recovery, HERE).await.unwrap();
            let came = w.password("ann@example.com", HERE).await;
            assert_eq!(w.show(&came.cookie, &recovery, HERE).await.unwrap_err(), NotIn::Wrong);
            let signed = w.signed(&cookie).await.unwrap();
            assert_eq!(w.people.account(&signed).await.unwrap().codes_left, 9);

            // Others in their place end them.
            let new = w.people.new_recovery_codes(&signed, secret(PASSWORD), HERE).await.unwrap().unwrap();
            assert_eq!(w.people.account(&signed).await.unwrap().codes_left, 10);
            assert_eq!(w.show(&came.cookie, on.codes[4].expose_secret(), HERE).await.unwrap_err(), NotIn::Wrong);
            w.show(&came.cookie, new[0].expose_secret(), HERE).await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn guessing_codes_is_slowed_and_keeps_nobody_out_who_is_signed_in() {
        each_engine(async |t| {
            let w = world(t).await;
            let on = w.turn_on(&w.enters("ann@example.com", HERE).await).await;
            w.clock.advance(TimeDelta::minutes(2));
            let wrong = another(&[w.code(-30).await, w.code(0).await, w.code(30).await]);
            // Somebody knows the password, and guesses.
            let eve = w.password("ann@example.com", THERE).await;
            for _ in 0..throttle::SECOND_FACTOR.failures {
                assert_eq!(w.show(&eve.cookie, &wrong, THERE).await.unwrap_err(), NotIn::Wrong);
            }
            let right = w.code(0).await;
            assert!(matches!(w.show(&eve.cookie, &right, THERE).await.unwrap_err(), NotIn::Later { seconds: 1..=900 }));
            // Signing in again, or from elsewhere, gives no more tries.
            let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));
            let again = w.password("ann@example.com", elsewhere).await;
            assert!(matches!(w.show(&again.cookie, &right, elsewhere).await.unwrap_err(), NotIn::Later { .. }));
            // Ann, who is signed in, goes on, and gets in where she is; Bob does not notice.
            assert!(w.signed(&on.cookie).await.is_some());
            let ann = w.password("ann@example.com", HERE).await;
            w.show(&ann.cookie, &right, HERE).await.unwrap();
            w.enters("bob@example.com", THERE).await;
            w.clock.advance(throttle::SECOND_FACTOR.window + TimeDelta::seconds(1));
            let ann = w.password("ann@example.com", THERE).await;
            let right = w.code(0).await;
            w.show(&ann.cookie, &right, THERE).await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn setting_up_asks_for_password_and_code_and_turning_off_for_the_password() {
        each_engine(async |t| {
            let w = world(t).await;
            let (cookie, other) = (w.enters("ann@example.com", HERE).await, w.enters("ann@example.com", THERE).await);
            let signed = w.signed(&cookie).await.unwrap();
            let begun = w.people.begin_second_step(&signed, "ocore", None).await.unwrap().unwrap();
            let again = w.people.begin_second_step(&signed, "ocore", Some(&begun.setup)).await.unwrap().unwrap();
            assert_eq!((&begun.setup, begun.secret.expose_secret()), (&again.setup, again.secret.expose_secret()));
            // Whoever had a look before does not know what is confirmed.
            w.clock.advance(TimeDelta::seconds(1));
            let earlier = begun;
            let begun = w.people.begin_second_step(&signed, "ocore", None).await.unwrap().unwrap();
            assert_ne!((&begun.setup, begun.secret.expose_secret()), (&earlier.setup, earlier.secret.expose_secret()));
            assert!(begun.uri.expose_secret().contains(begun.secret.expose_secret()));
            assert!(!format!("{begun:?}").contains(begun.secret.expose_secret()));
            let code = w.code(0).await;
            let wrong = another(&[w.code(-30).await, code.clone(), w.code(30).await]);
            let confirm = async |setup: &str, password: &str, code: &str| {
                w.people.confirm_second_step(&signed, setup, secret(password), code, HERE).await.unwrap().map(|on| on.cookie)
            };
            assert_eq!(confirm(&begun.setup, "wrong", &code).await.unwrap_err(), NotDone::Password);
            assert_eq!(confirm(&begun.setup, PASSWORD, &wrong).await.unwrap_err(), NotDone::Code);
            for setup in ["", "t1", "2026-11-21T11:00:00Z", &earlier.setup] {
                assert_eq!(confirm(setup, PASSWORD, &code).await.unwrap_err(), NotDone::Over);
            }
            assert!(w.people.account(&signed).await.unwrap().second_step.is_none());
            assert!(!w.password("ann@example.com", HERE).await.second_step, "nothing is asked for until it is confirmed");

            let cookie = confirm(&begun.setup, PASSWORD, &code).await.unwrap();
            assert!(w.signed(&other).await.is_none(), "a browser that has shown no code opens nothing");
            assert_eq!(confirm(&begun.setup, PASSWORD, &code).await.unwrap_err(), NotDone::Over);
            let signed = w.signed(&cookie).await.unwrap();
            assert!(w.people.begin_second_step(&signed, "ocore", None).await.unwrap().is_none());
            let facts = w.people.account(&signed).await.unwrap();
            assert!(facts.has_password && facts.second_step.is_some() && facts.codes_left == 10);

            let off = async |password: &str| w.people.turn_off_second_step(&signed, secret(password), HERE).await.unwrap();
            // What waits for its code at that moment must not come in without one.
            let waits = w.password("ann@example.com", THERE).await;
            assert_eq!(off("wrong").await.unwrap_err(), NotDone::Password);
            off(PASSWORD).await.unwrap();
            assert_eq!(off(PASSWORD).await.unwrap_err(), NotDone::Over);
            assert!(w.signed(&waits.cookie).await.is_none());
            assert!(w.signed(&cookie).await.is_some());
            assert!(!w.password("ann@example.com", HERE).await.second_step);
            let not = w.people.new_recovery_codes(&signed, secret(PASSWORD), HERE).await.unwrap().unwrap_err();
            assert_eq!(not, NotDone::Over);

            // One that was shown too long ago is not confirmed any more.
            let old = w.people.begin_second_step(&signed, "ocore", None).await.unwrap().unwrap();
            assert_ne!(old.secret.expose_secret(), begun.secret.expose_secret());
            w.clock.advance(CONFIRMED);
            let code = w.code(0).await;
            let late = w.people.confirm_second_step(&signed, &old.setup, secret(PASSWORD), &code, HERE).await.unwrap();
            assert_eq!(late.unwrap_err(), NotDone::Over);
            assert_ne!(w.people.begin_second_step(&signed, "ocore", None).await.unwrap().unwrap().setup, old.setup);
        })
        .await;
    }

    #[tokio::test]
    async fn another_password_ends_the_other_sessions_and_keeps_this_one_under_another_cookie() {
        each_engine(async |t| {
            let w = world(t).await;
            let (cookie, other) = (w.enters("ann@example.com", HERE).await, w.enters("ann@example.com", THERE).await);
            let signed = w.signed(&cookie).await.unwrap();
            let change =
                async |old: &str, new: &str| w.people.change_password(&signed, secret(old), secret(new), HERE).await.unwrap();
            let new = "some quite other words";
            assert_eq!(change("wrong", new).await.unwrap_err(), NotDone::Password);
            assert_eq!(change(PASSWORD, PASSWORD).await.unwrap_err(), NotDone::Same);
            assert_eq!(change(PASSWORD, "short").await.unwrap_err(), NotDone::Weak(Weak::Short));
            assert_eq!(change(PASSWORD, "ann@example.com").await.unwrap_err(), NotDone::Weak(Weak::Common));
            let renewed = change(PASSWORD, new).await.unwrap();
            assert!(w.signed(&cookie).await.is_none() && w.signed(&other).await.is_none());
            assert_eq!(w.signed(&renewed).await.unwrap().session, signed.session);
            let old = w.people.sign_in("ann@example.com", secret(PASSWORD), HERE, "").await.unwrap();
            assert_eq!(old.unwrap_err(), NotIn::Wrong);
            w.people.sign_in("ann@example.com", secret(new), HERE, "").await.unwrap().unwrap();

            // Whoever finds the browser open does not get to guess the password here: one was wrong already.
            for _ in 1..throttle::PASSWORD_AGAIN.failures {
                assert_eq!(change("wrong", "another one of mine").await.unwrap_err(), NotDone::Password);
            }
            assert!(matches!(change(new, "another one of mine").await.unwrap_err(), NotDone::Later { .. }));
            // A session that was ended meanwhile changes nothing.
            w.clock.advance(throttle::PASSWORD_AGAIN.window + TimeDelta::seconds(1));
            assert!(w.people.sign_out(&signed).await.unwrap());
            assert_eq!(change(new, "another one of mine").await.unwrap_err(), NotDone::Over);
            w.people.sign_in("ann@example.com", secret(new), HERE, "").await.unwrap().unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn sessions_are_listed_and_ended_by_their_person_alone() {
        each_engine(async |t| {
            let w = world(t).await;
            let mut cookies = Vec::new();
            for from in [HERE, THERE, HERE] {
                w.clock.advance(TimeDelta::seconds(1));
                cookies.push(w.enters("ann@example.com", from).await);
            }
            let ann = w.signed(&cookies[0]).await.unwrap();
            let bob = w.signed(&w.enters("bob@example.com", HERE).await).await.unwrap();
            let all = w.people.sessions(&ann).await.unwrap();
            assert_eq!(all.len(), 3);
            assert_eq!(all[0].id, ann.session, "this one first");
            assert!(all[1].created_at > all[2].created_at);
            assert!(!w.people.end_session(&bob, all[1].id, HERE).await.unwrap(), "it is none of Bob's");
            assert!(w.people.end_session(&ann, all[1].id, HERE).await.unwrap());
            assert!(!w.people.end_session(&ann, all[1].id, HERE).await.unwrap());
            assert!(w.signed(&cookies[2]).await.is_none() && w.signed(&cookies[1]).await.is_some());
            assert_eq!(w.people.end_other_sessions(&ann, HERE).await.unwrap(), 1);
            assert!(w.signed(&cookies[1]).await.is_none() && w.signed(&cookies[0]).await.is_some());
            assert!(w.people.signed("ocw_").await.unwrap().is_none());

            // What waits for its code is no session yet.
            let on = w.turn_on(&cookies[0]).await;
            w.password("ann@example.com", THERE).await;
            let ann = w.signed(&on.cookie).await.unwrap();
            let ids: Vec<_> = w.people.sessions(&ann).await.unwrap().iter().map(|s| s.id).collect();
            assert_eq!(ids, [ann.session]);
            let log = w.logged().await;
            assert!(log.contains(&"user.session_end".to_owned()) && log.contains(&"user.sessions_end".to_owned()));
        })
        .await;
    }
}
