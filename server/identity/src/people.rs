//! People who sign in with a password, and their sessions on the web.
//!
//! A wrong address and a wrong password are told the same way and cost the same work. Guessing is slowed per account and address, per
//! address, and per account; who has signed in from a network in the last 90 days is let in from there however many guess elsewhere.
//!
//! With a second step, a right password gives a session that opens nothing yet; the code turns it into one that does, under another
//! cookie. What somebody does to the own account is in `people/account.rs`.
mod account;
mod provider;

use std::{collections::HashMap, hash::Hash, net::IpAddr};

use kernel::{ExposeSecret as _, Result, SecretString, SessionId, Sources, TimeDelta, Timestamp, UserId};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{
    Db,
    audit_log::{self, Target, Who},
    second_factor, sign_in_networks,
    users::{self, UserRow},
    vault::Vault,
    web_sessions::{self, Found, Method, WebSession},
};

pub use account::{AccountFacts, NotDone, SecondStepBegun, TurnedOn};
pub use provider::{Leaving, Returned};

use crate::{
    oauth::{
        counts::{Counts, network},
        throttle, totp,
    },
    openid::Providers,
    password,
};

/// What the cookie of a session starts with.
const PREFIX: &str = "ocw_";
/// The time in which failures are counted.
const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Failures of one account from one network, of one network, and of one account from networks that it never signed in from.
const BOTH: u32 = 5;
const ADDRESS: u32 = 50;
const ACCOUNT: u32 = 30;
/// Counters in memory; with more, those that have run out are dropped first.
const COUNTERS: usize = 20_000;
/// Characters that are kept of what a browser says it is.
const AGENT: usize = 200;

/// A hash that no password has: it is checked against when there is nobody, so that both take as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmUhIQ$tf9Sa6VGUFPeZQUUyI1kZWNMJwAyK9mmIKiEtoo6+Og";

/// A person who is signed in, as of this moment.
#[derive(Debug, Clone)]
pub struct Signed {
    pub session: SessionId,
    pub user: UserId,
    pub email: String,
    pub operator: bool,
}

/// What a right password, or a provider's word, gives.
#[derive(Debug)]
pub struct Came {
    /// The cookie of the session.
    pub cookie: SecretString,
    /// Whether the session waits for a code and opens nothing until then.
    pub second_step: bool,
}

/// A person whose password was right, or whom a provider knows, and whose code is still to come. May do nothing but show it.
#[derive(Debug, Clone)]
pub struct Waiting {
    session: SessionId,
    method: Method,
    user: UserId,
    pub email: String,
}

/// Why somebody was not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotIn {
    /// Address or password, which is not told; or the code.
    Wrong,
    /// Too many failures.
    Later { seconds: i64 },
    /// The session that waited for a code has ended: from the start again.
    Over,
}

/// The door for people.
#[derive(Debug)]
pub struct People {
    db: Db,
    vault: Vault,
    sources: Sources,
    failures: Failures,
    counts: Counts,
    providers: Providers,
}
impl People {
    /// `vault` seals the secrets of authenticators.
    pub fn new(db: Db, vault: Vault, sources: Sources, providers: Providers) -> Self {
        Self { db, vault, sources, failures: Failures::default(), counts: Counts::default(), providers }
    }

    /// Signs a person in, as far as a password goes. Gives the session's cookie, once.
    ///
    /// # Errors
    /// Only when the store does not answer.
    pub async fn sign_in(
        &self,
        email: &str,
        password: SecretString,
        address: IpAddr,
        agent: &str,
    ) -> Result<std::result::Result<Came, NotIn>> {
        let now = self.sources.now();
        let account = users::email_key(email);
        let found = users::by_email(&self.db, email).await?;
        // Nobody's sessions and password are looked for too, so that the store works as long either way.
        let id = found.as_ref().map_or(UserId::nil(), |user| user.id);
        let known = sign_in_networks::known(&self.db, id, network(address), now).await?;
        let hash = users::password_hash(&self.db, id).await?.filter(|_| found.as_ref().is_some_and(|user| user.active));
        // Counted before it is known whether it is right, and in one step: of many at once no more are tried than may fail.
        if let Err(seconds) = self.failures.take(&account, address, known, now) {
            return Ok(Err(NotIn::Later { seconds }));
        }
        let right = password::verify(password, hash.clone().unwrap_or_else(|| NOBODY.to_owned())).await;
        let (Some(user), true) = (found, right && hash.is_some()) else { return Ok(Err(NotIn::Wrong)) };
        self.failures.forget(&account, address);
        Ok(Ok(self.begin_session(&user, Method::Password, &json!({ "with": "password" }), address, agent).await?))
    }

    /// A session for somebody whose identity is shown; with a second step it opens nothing yet.
    async fn begin_session(&self, user: &UserRow, method: Method, with: &Value, address: IpAddr, agent: &str) -> Result<Came> {
        let cookie = self.cookie();
        let mut tx = self.db.begin().await?;
        let agent: String = agent.chars().filter(|c| !c.is_control()).take(AGENT).collect();
        let id = web_sessions::create(&mut tx, user.id, &digest(cookie.expose_secret()), method, address, &agent, &self.sources)
            .await?;
        let found = web_sessions::find(&mut tx, &digest(cookie.expose_secret()), self.sources.now()).await?;
        let second_step = matches!(found, Some(Found::SecondStep(..)));
        if !second_step {
            sign_in_networks::note(&mut tx, user.id, network(address), self.sources.now()).await?;
        }
        let action = if second_step { "user.sign_in_begun" } else { "user.sign_in" };
        let target = Target { kind: "web_session", id: Some(id.to_string()), name: agent };
        let who = who(user.id, &user.email, address);
        audit_log::write(&mut tx, &who, None, action, &target, with, &self.sources).await?;
        tx.commit().await?;
        Ok(Came { cookie, second_step })
    }

    /// Who came so far under this cookie, while the code is still to come.
    pub async fn waiting(&self, cookie: &str) -> Result<Option<Waiting>> {
        if !cookie.starts_with(PREFIX) {
            return Ok(None);
        }
        Ok(match web_sessions::find(&self.db, &digest(cookie), self.sources.now()).await? {
            Some(Found::SecondStep(session, user)) => {
                Some(Waiting { session: session.id, method: session.method, user: user.id, email: user.email })
            }
            _ => None,
        })
    }

    /// The second step of signing in: a code of the authenticator, or a recovery code, each counting once. Gives the session's new
    /// cookie; the one that waited is nobody's from then on.
    ///
    /// Wrong codes are counted per user. Where the user has signed in from before they are counted apart, so that whoever knows the
    /// password and guesses elsewhere keeps nobody out there.
    pub async fn second_step(
        &self,
        waiting: &Waiting,
        typed: &str,
        address: IpAddr,
    ) -> Result<std::result::Result<SecretString, NotIn>> {
        const WHAT: &str = "second step";
        let (now, user) = (self.sources.now(), waiting.user);
        let found = second_factor::find(&self.db, &self.vault, user).await?.filter(|factor| factor.confirmed_at.is_some());
        let Some(factor) = found else { return Ok(Err(NotIn::Over)) };
        let here = sign_in_networks::known(&self.db, user, network(address), now).await?;
        let of = if here { format!("{user} at {}", network(address)) } else { user.to_string() };
        if let Err(seconds) = self.counts.take(throttle::SECOND_FACTOR, WHAT, &of, now) {
            return Ok(Err(NotIn::Later { seconds }));
        }
        let step = totp::check(&account::shared(&factor)?, typed, now, factor.last_step);
        let recovery = totp::recovery_hash(typed);

        let mut tx = self.db.begin().await?;
        let with = match (step, recovery) {
            (Some(step), _) if second_factor::use_step(&mut tx, user, step).await? => "code",
            (None, Some(hash)) if second_factor::use_recovery(&mut tx, user, &hash).await? => "recovery code",
            _ => return Ok(Err(NotIn::Wrong)),
        };
        let cookie = self.cookie();
        // Gone when the factor was taken away or the user disabled meanwhile; then the code is not used up either.
        if !web_sessions::second_step(&mut tx, waiting.session, &digest(cookie.expose_secret()), now).await? {
            return Ok(Err(NotIn::Over));
        }
        sign_in_networks::note(&mut tx, user, network(address), now).await?;
        let target = Target { kind: "web_session", id: Some(waiting.session.to_string()), name: String::new() };
        let first = if waiting.method == Method::Oidc { "provider" } else { "password" };
        let detail = json!({ "with": first, "then": with });
        audit_log::write(&mut tx, &who(user, &waiting.email, address), None, "user.sign_in", &target, &detail, &self.sources)
            .await?;
        tx.commit().await?;
        self.counts.give_back(WHAT, &of);
        Ok(Ok(cookie))
    }

    /// Who a cookie belongs to; none when its session, or its person, is no more.
    pub async fn signed(&self, cookie: &str) -> Result<Option<Signed>> {
        if !cookie.starts_with(PREFIX) {
            return Ok(None);
        }
        let now = self.sources.now();
        let found = web_sessions::find(&self.db, &digest(cookie), now).await?;
        let Some(Found::Signed(session, user)) = found else { return Ok(None) };
        self.touch(&session, now).await?;
        Ok(Some(Signed { session: session.id, user: user.id, email: user.email, operator: user.operator }))
    }
    async fn touch(&self, session: &WebSession, now: Timestamp) -> Result<()> {
        if web_sessions::is_due(session, now) {
            let mut tx = self.db.begin().await?;
            web_sessions::touch(&mut tx, session, now).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Ends the session. Gives false when it had ended.
    pub async fn sign_out(&self, signed: &Signed) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let ended = web_sessions::end(&mut tx, signed.user, signed.session).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// 256 random bits.
    fn cookie(&self) -> SecretString {
        let mut bytes = [0_u8; 32];
        self.sources.random.fill(&mut bytes);
        let mut text = String::from(PREFIX);
        for half in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            text.push(char::from_digit(half.into(), 16).unwrap_or('0'));
        }
        text.into()
    }
}

fn who(user: UserId, email: &str, address: IpAddr) -> Who {
    Who { kind: "user", id: Some(user.to_string()), name: email.to_owned(), address: Some(address.to_string()) }
}
fn digest(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie.as_bytes()).into()
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Both(String, IpAddr),
    Address(IpAddr),
    Account(String),
}
#[derive(Debug, Default)]
struct Failures(Mutex<HashMap<Counted, (Timestamp, u32)>>);
impl Failures {
    fn rules(account: &str, address: IpAddr, known: bool) -> Vec<(Counted, u32)> {
        let address = network(address);
        let mut rules = vec![(Counted::Both(account.to_owned(), address), BOTH), (Counted::Address(address), ADDRESS)];
        if !known {
            rules.push((Counted::Account(account.to_owned()), ACCOUNT));
        }
        rules
    }
    /// Counts a try; where there were too many, gives the seconds until another, at least 1.
    fn take(&self, account: &str, address: IpAddr, known: bool, now: Timestamp) -> std::result::Result<(), i64> {
        let mut table = self.0.lock();
        let wait = Self::rules(account, address, known)
            .iter()
            .filter_map(|(counted, most)| table.get(counted).filter(|(since, n)| *n >= *most && now - *since < WINDOW))
            .map(|(since, _)| (*since + WINDOW - now).num_seconds().max(1))
            .max();
        if let Some(seconds) = wait {
            return Err(seconds);
        }
        if table.len() >= COUNTERS {
            table.retain(|_, (since, _)| now - *since < WINDOW);
        }
        if table.len() >= COUNTERS {
            // Whoever fills the table keeps its own address's counter.
            table.retain(|counted, _| matches!(counted, Counted::Address(_)));
        }
        for (counted, _) in Self::rules(account, address, known) {
            let (since, n) = table.entry(counted).or_insert((now, 0));
            if now - *since >= WINDOW {
                (*since, *n) = (now, 0);
            }
            *n += 1;
        }
        Ok(())
    }
    /// After a success: this account was no guess from there.
    fn forget(&self, account: &str, address: IpAddr) {
        let address = network(address);
        let mut table = self.0.lock();
        table.remove(&Counted::Both(account.to_owned(), address));
        for counted in [Counted::Address(address), Counted::Account(account.to_owned())] {
            if let Some((_, n)) = table.get_mut(&counted) {
                *n = n.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::ManualClock;
    use store::{
        testing::{TestStore, sqlite},
        vault::KeySource,
    };

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    struct World {
        _store: TestStore,
        db: Db,
        people: People,
        clock: Arc<ManualClock>,
        user: UserId,
    }
    async fn world() -> World {
        let store = sqlite().await;
        let (db, sources, clock) = (store.db.clone(), store.sources.clone(), Arc::clone(&store.clock));
        let hash = password::hash("correct horse battery".to_owned().into(), &sources).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let user = users::create(&mut tx, "Ann@example.com", Some(&hash), false, &sources).await.unwrap();
        tx.commit().await.unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let vault = Vault::open(&db, KeySource::in_data_dir(store.dir.path()), &sources).await.unwrap();
        World {
            people: People::new(db.clone(), vault, sources.clone(), crate::openid::Providers::none(sources).unwrap()),
            _store: store,
            db,
            clock,
            user,
        }
    }
    impl World {
        async fn try_in(&self, password: &str, from: IpAddr) -> std::result::Result<SecretString, NotIn> {
            let came = self.people.sign_in("ann@EXAMPLE.com ", password.to_owned().into(), from, "a browser\n").await.unwrap();
            came.map(|came| came.cookie)
        }
    }

    #[tokio::test]
    async fn a_session_lives_until_it_is_ended_by_anybody() {
        let w = world().await;
        let cookie = w.try_in("correct horse battery", HERE).await.unwrap();
        let signed = w.people.signed(cookie.expose_secret()).await.unwrap().unwrap();
        assert_eq!((signed.user, signed.email.as_str()), (w.user, "Ann@example.com"));
        assert!(w.people.signed("ocw_0").await.unwrap().is_none());
        assert!(w.people.sign_out(&signed).await.unwrap());
        assert!(w.people.signed(cookie.expose_secret()).await.unwrap().is_none());

        // 12 hours unused, 7 days in all.
        let cookie = w.try_in("correct horse battery", HERE).await.unwrap();
        w.clock.advance(TimeDelta::hours(11));
        assert!(w.people.signed(cookie.expose_secret()).await.unwrap().is_some());
        w.clock.advance(TimeDelta::hours(12));
        assert!(w.people.signed(cookie.expose_secret()).await.unwrap().is_none());
        let cookie = w.try_in("correct horse battery", HERE).await.unwrap();
        for _ in 0..15 {
            w.clock.advance(TimeDelta::hours(11));
            assert!(w.people.signed(cookie.expose_secret()).await.unwrap().is_some());
        }
        w.clock.advance(TimeDelta::hours(11));
        assert!(w.people.signed(cookie.expose_secret()).await.unwrap().is_none());

        // Another password, or a disabled user, ends all of them at once.
        for change in [
            users::UserChange { password_hash: Some(NOBODY.into()), ..Default::default() },
            users::UserChange { active: Some(false), ..Default::default() },
        ] {
            let cookie = w.people.cookie();
            let mut tx = w.db.begin().await.unwrap();
            let digest = digest(cookie.expose_secret());
            web_sessions::create(&mut tx, w.user, &digest, Method::Password, HERE, "", &w.people.sources).await.unwrap();
            users::update(&mut tx, w.user, &change, w.people.sources.now()).await.unwrap();
            tx.commit().await.unwrap();
            assert!(w.people.signed(cookie.expose_secret()).await.unwrap().is_none());
        }
        assert_eq!(w.try_in("correct horse battery", HERE).await.unwrap_err(), NotIn::Wrong, "disabled");
    }

    #[test]
    fn of_many_at_once_no_more_are_looked_at_than_may_fail() {
        let (failures, now) = (Failures::default(), Timestamp::UNIX_EPOCH);
        let looked_at = std::thread::scope(|scope| {
            let all: Vec<_> = (0..16).map(|_| scope.spawn(|| failures.take("ann", HERE, false, now).is_ok())).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|looked_at| *looked_at).count()
        });
        assert_eq!(looked_at, BOTH as usize);
    }

    #[tokio::test]
    async fn guessing_is_slowed_and_who_was_here_before_is_still_let_in() {
        let w = world().await;
        w.try_in("correct horse battery", THERE).await.unwrap();
        for _ in 0..BOTH {
            assert_eq!(w.try_in("wrong wrong wrong", HERE).await.unwrap_err(), NotIn::Wrong);
        }
        assert!(matches!(w.try_in("correct horse battery", HERE).await.unwrap_err(), NotIn::Later { seconds: 1..=900 }));
        w.try_in("correct horse battery", THERE).await.unwrap();
        w.clock.advance(WINDOW);
        w.try_in("correct horse battery", HERE).await.unwrap();

        // From many addresses: the account is slowed for strangers alone.
        for n in 0..ACCOUNT {
            let from = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, u8::try_from(n).unwrap()));
            assert_eq!(w.try_in("wrong wrong wrong", from).await.unwrap_err(), NotIn::Wrong, "{n}");
        }
        let stranger = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 200));
        assert!(matches!(w.try_in("correct horse battery", stranger).await.unwrap_err(), NotIn::Later { .. }));
        w.try_in("correct horse battery", THERE).await.unwrap();

        // One address that tries many accounts, also through its IPv6 network.
        let v6 = |n: u16| IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n));
        let mut slowed = false;
        for n in 0..=u16::try_from(ADDRESS).unwrap() {
            let tried = w.people.sign_in(&format!("u{n}@x"), "wrong".to_owned().into(), v6(n), "").await.unwrap();
            slowed = matches!(tried, Err(NotIn::Later { .. }));
        }
        assert!(slowed);
    }

    #[tokio::test]
    async fn nobody_and_a_wrong_password_cost_the_same() {
        let w = world().await;
        // The stand-in is a hash of the same cost as ours, so that it is computed and not refused.
        let ours = users::password_hash(&w.db, w.user).await.unwrap().unwrap();
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(&ours), cost(NOBODY));
        let begun = std::time::Instant::now();
        w.try_in("wrong wrong wrong", HERE).await.unwrap_err();
        let known = begun.elapsed();
        let begun = std::time::Instant::now();
        let nobody = w.people.sign_in("nobody@example.com", "wrong wrong wrong".to_owned().into(), HERE, "").await.unwrap();
        let unknown = begun.elapsed();
        assert_eq!(nobody.unwrap_err(), NotIn::Wrong);
        assert!(unknown > known / 4, "{unknown:?} against {known:?}");
    }
}
