//! The second factor of people: the sealed secret of their authenticator (RFC 6238), and recovery codes as SHA-256.
use std::fmt;

use kernel::{Timestamp, UserId};
use zeroize::Zeroizing;

use crate::{
    On, Result, Tx, args,
    vault::{Place, Vault},
};

/// A user's authenticator.
pub struct Authenticator {
    pub secret: Zeroizing<Vec<u8>>,
    /// The last step that was used: neither it nor one before it counts again.
    pub last_step: Option<i64>,
    /// When its first code was right; until then it is not asked for.
    pub confirmed_at: Option<Timestamp>,
    pub created_at: Timestamp,
}
impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("confirmed_at", &self.confirmed_at).finish_non_exhaustive()
    }
}

fn place(row: &str) -> Place<'_> {
    Place { table: "user_totp", column: "secret", row }
}

/// Keeps the secret of an authenticator that is to be confirmed, in place of one that was not. Gives false when the user has a
/// confirmed one: it is removed first.
pub async fn begin(tx: &mut Tx, vault: &Vault, user: UserId, secret: &[u8], now: Timestamp) -> Result<bool> {
    let sealed = vault.seal(place(&user.to_string()), secret)?;
    let kept = tx
        .execute(
            "INSERT INTO user_totp (user_id, secret, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = NULL, created_at = excluded.created_at \
             WHERE user_totp.confirmed_at IS NULL",
            args![user, sealed, now],
        )
        .await?;
    Ok(kept > 0)
}

/// The user's authenticator, confirmed or not.
pub async fn find(on: impl Into<On<'_>>, vault: &Vault, user: UserId) -> Result<Option<Authenticator>> {
    let Some(row) = on.into().fetch_optional("SELECT * FROM user_totp WHERE user_id = $1", args![user]).await? else {
        return Ok(None);
    };
    Ok(Some(Authenticator {
        secret: vault.open_value(place(&user.to_string()), &row.bytes("user_totp.secret")?)?,
        last_step: row.opt_int("user_totp.last_step")?,
        confirmed_at: row.opt_time("user_totp.confirmed_at")?,
        created_at: row.time("user_totp.created_at")?,
    }))
}

/// Confirms the authenticator that was begun at `begun` (its `created_at`) with the step of its first code, and keeps the user's
/// recovery codes. From now on the user's sessions count only with a second step, this one's too: `web_sessions::second_step` in the
/// same transaction. Gives false when it is another one now, or was confirmed before.
pub async fn confirm(tx: &mut Tx, user: UserId, begun: Timestamp, step: i64, codes: &[[u8; 32]], now: Timestamp) -> Result<bool> {
    let sql =
        "UPDATE user_totp SET confirmed_at = $4, last_step = $3 WHERE user_id = $1 AND created_at = $2 AND confirmed_at IS NULL";
    if tx.execute(sql, args![user, begun, step, now]).await? == 0 {
        return Ok(false);
    }
    replace_codes(tx, user, codes).await?;
    Ok(true)
}

/// Uses the code of a step. Gives false when that step or a later one was used, or nothing is confirmed.
pub async fn use_step(tx: &mut Tx, user: UserId, step: i64) -> Result<bool> {
    let sql = "UPDATE user_totp SET last_step = $2 \
               WHERE user_id = $1 AND confirmed_at IS NOT NULL AND (last_step IS NULL OR last_step < $2)";
    Ok(tx.execute(sql, args![user, step]).await? > 0)
}

/// Uses a recovery code. Gives false when there is none such.
pub async fn use_recovery(tx: &mut Tx, user: UserId, hash: &[u8; 32]) -> Result<bool> {
    let sql = "DELETE FROM user_recovery_codes WHERE user_id = $1 AND hash = $2";
    Ok(tx.execute(sql, args![user, hash]).await? > 0)
}

/// How many recovery codes are left.
pub async fn codes_left(on: impl Into<On<'_>>, user: UserId) -> Result<i64> {
    let row = on.into().fetch_optional("SELECT count(*) AS n FROM user_recovery_codes WHERE user_id = $1", args![user]).await?;
    row.map_or(Ok(0), |row| row.int("n"))
}

/// Gives the user other recovery codes: the earlier ones end.
pub async fn replace_codes(tx: &mut Tx, user: UserId, codes: &[[u8; 32]]) -> Result<()> {
    tx.execute("DELETE FROM user_recovery_codes WHERE user_id = $1", args![user]).await?;
    for hash in codes {
        tx.execute("INSERT INTO user_recovery_codes (user_id, hash) VALUES ($1, $2)", args![user, hash]).await?;
    }
    Ok(())
}

/// Takes the second factor away, by its user or by an operator. Sessions in which this very factor was never shown end: without one they
/// would count. Gives false when there was none.
pub async fn remove(tx: &mut Tx, user: UserId) -> Result<bool> {
    // Before the factor goes, since it says which sessions these are.
    tx.execute(
        "DELETE FROM web_sessions WHERE user_id = $1 AND (second_factor_at IS NULL OR second_factor_at < \
         (SELECT t.confirmed_at FROM user_totp t WHERE t.user_id = $1)) \
         AND EXISTS (SELECT 1 FROM user_totp t WHERE t.user_id = $1)",
        args![user],
    )
    .await?;
    let gone = tx.execute("DELETE FROM user_totp WHERE user_id = $1", args![user]).await? > 0;
    tx.execute("DELETE FROM user_recovery_codes WHERE user_id = $1", args![user]).await?;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::{SessionId, TimeDelta};

    use super::*;
    use crate::{
        testing::{TestStore, each_engine},
        tests::{at_once, world},
        vault::KeySource,
        web_sessions::{self, Found, Method},
    };

    const SECRET: &[u8] = b"12345678901234567890";

    async fn vault(t: &TestStore) -> Vault {
        Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap()
    }
    /// A confirmed authenticator with two recovery codes.
    async fn confirmed(t: &TestStore, vault: &Vault, user: UserId) {
        let (mut tx, now) = (t.begin().await.unwrap(), t.sources.now());
        assert!(begin(&mut tx, vault, user, SECRET, now).await.unwrap());
        assert!(confirm(&mut tx, user, now, 7, &[[1; 32], [2; 32]], now).await.unwrap());
        tx.commit().await.unwrap();
    }
    async fn session(t: &TestStore, user: UserId, hash: u8) -> SessionId {
        let mut tx = t.begin().await.unwrap();
        let here = std::net::Ipv4Addr::LOCALHOST.into();
        let id = web_sessions::create(&mut tx, user, &[hash; 32], Method::Oidc, here, "", &t.sources).await.unwrap();
        tx.commit().await.unwrap();
        id
    }
    async fn state(t: &TestStore, hash: u8) -> &'static str {
        match web_sessions::find(&t.db, &[hash; 32], t.sources.now()).await.unwrap() {
            Some(Found::Signed(..)) => "signed",
            Some(Found::SecondStep(..)) => "second step",
            None => "none",
        }
    }

    #[tokio::test]
    async fn a_step_and_a_recovery_code_count_once_though_twenty_try() {
        each_engine(async |t| {
            let (w, vault) = (world(t).await, vault(t).await);
            confirmed(t, &vault, w.user).await;
            let used = at_once(t, async |db, _, wait| {
                wait.wait().await;
                let mut tx = db.begin().await.unwrap();
                let step = use_step(&mut tx, w.user, 8).await.unwrap();
                let code = use_recovery(&mut tx, w.user, &[1; 32]).await.unwrap();
                tx.commit().await.unwrap();
                (step, code)
            })
            .await;
            assert_eq!(used.iter().filter(|(step, _)| *step).count(), 1, "{used:?}");
            assert_eq!(used.iter().filter(|(_, code)| *code).count(), 1, "{used:?}");
            let mut tx = t.begin().await.unwrap();
            assert!(!use_step(&mut tx, w.user, 7).await.unwrap(), "an earlier one");
            assert!(use_step(&mut tx, w.user, 9).await.unwrap());
            assert!(!use_step(&mut tx, UserId::nil(), 9).await.unwrap());
            assert!(!use_recovery(&mut tx, UserId::nil(), &[2; 32]).await.unwrap(), "another's");
            assert_eq!(codes_left(&mut tx, w.user).await.unwrap(), 1);
            replace_codes(&mut tx, w.user, &[[3; 32], [4; 32], [5; 32]]).await.unwrap();
            assert_eq!(codes_left(&mut tx, w.user).await.unwrap(), 3);
            assert!(!use_recovery(&mut tx, w.user, &[2; 32]).await.unwrap(), "the earlier ones have ended");
            assert!(use_recovery(&mut tx, w.user, &[3; 32]).await.unwrap());
        })
        .await;
    }

    #[tokio::test]
    async fn an_authenticator_is_sealed_and_confirmed_by_its_own_code() {
        each_engine(async |t| {
            let (w, vault) = (world(t).await, vault(t).await);
            let begun = t.sources.now();
            let mut tx = t.begin().await.unwrap();
            assert!(begin(&mut tx, &vault, w.user, SECRET, begun).await.unwrap());
            assert!(!use_step(&mut tx, w.user, 1).await.unwrap(), "nothing is confirmed");
            let again = begun + TimeDelta::seconds(5);
            assert!(begin(&mut tx, &vault, w.user, b"another secret", again).await.unwrap(), "in place of the first");
            assert!(!confirm(&mut tx, w.user, begun, 1, &[[1; 32]], again).await.unwrap(), "a code of the first");
            assert_eq!(codes_left(&mut tx, w.user).await.unwrap(), 0);
            assert!(confirm(&mut tx, w.user, again, 1, &[[1; 32]], again).await.unwrap());
            assert!(!confirm(&mut tx, w.user, again, 2, &[[2; 32]], again).await.unwrap(), "once");
            assert!(!begin(&mut tx, &vault, w.user, SECRET, again).await.unwrap(), "a confirmed one is not replaced");
            tx.commit().await.unwrap();
            let row = t.fetch_optional("SELECT secret FROM user_totp", args![]).await.unwrap().unwrap();
            assert!(!row.bytes("secret").unwrap().windows(6).any(|bytes| bytes == b"secret"));
            vault.rotate(t, Duration::ZERO).await.unwrap();
            let held = find(&t.db, &vault, w.user).await.unwrap().unwrap();
            assert_eq!(
                (held.secret.as_slice(), held.last_step, held.confirmed_at),
                (&b"another secret"[..], Some(1), Some(again))
            );
            assert!(!format!("{held:?}").contains("97"), "no byte of it in Debug");
            assert!(find(&t.db, &vault, UserId::nil()).await.unwrap().is_none());
            let mut tx = t.begin().await.unwrap();
            assert!(remove(&mut tx, w.user).await.unwrap() && !remove(&mut tx, w.user).await.unwrap());
            assert_eq!(codes_left(&mut tx, w.user).await.unwrap(), 0);
            assert!(find(&mut tx, &vault, w.user).await.unwrap().is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn a_session_counts_only_with_the_factor_that_is_confirmed_now() {
        each_engine(async |t| {
            let (w, vault) = (world(t).await, vault(t).await);
            let (first, _) = (session(t, w.user, 1).await, session(t, w.user, 2).await);
            let mut tx = t.begin().await.unwrap();
            assert!(begin(&mut tx, &vault, w.user, SECRET, t.sources.now()).await.unwrap());
            tx.commit().await.unwrap();
            assert_eq!(state(t, 1).await, "signed", "nothing is confirmed");
            let (mut tx, now) = (t.begin().await.unwrap(), t.sources.now());
            assert!(confirm(&mut tx, w.user, now, 7, &[], now).await.unwrap());
            assert!(web_sessions::second_step(&mut tx, first, &[11; 32], now).await.unwrap());
            tx.commit().await.unwrap();
            assert_eq!((state(t, 1).await, state(t, 11).await, state(t, 2).await), ("none", "signed", "second step"));
            let Some(Found::Signed(session_now, user)) = web_sessions::find(&t.db, &[11; 32], now).await.unwrap() else {
                panic!()
            };
            assert_eq!((session_now.id, session_now.method, session_now.second_factor_at), (first, Method::Oidc, Some(now)));
            assert_eq!(user.id, w.user);
            assert_eq!(web_sessions::list(&t.db, w.user, now).await.unwrap().len(), 2);

            t.clock.advance(TimeDelta::minutes(15) - TimeDelta::seconds(1));
            assert_eq!(state(t, 2).await, "second step");
            t.clock.advance(TimeDelta::seconds(1));
            assert_eq!((state(t, 2).await, state(t, 11).await), ("none", "signed"), "who waits too long signs in again");

            // Another factor: what was shown of the first no longer counts.
            session(t, w.user, 3).await;
            let mut tx = t.begin().await.unwrap();
            assert!(web_sessions::rotate(&mut tx, first, &[12; 32]).await.unwrap());
            assert!(!web_sessions::rotate(&mut tx, SessionId::nil(), &[13; 32]).await.unwrap());
            assert!(!web_sessions::second_step(&mut tx, SessionId::nil(), &[13; 32], now).await.unwrap());
            assert!(remove(&mut tx, w.user).await.unwrap());
            tx.commit().await.unwrap();
            assert_eq!((state(t, 11).await, state(t, 12).await), ("none", "signed"), "the cookie of before is nobody's");
            assert_eq!(state(t, 3).await, "none", "who waited is not let in by the removal");
            t.clock.advance(TimeDelta::seconds(1));
            confirmed(t, &vault, w.user).await;
            assert_eq!(state(t, 12).await, "none", "it was begun long ago");
            session(t, w.user, 4).await;
            assert_eq!(state(t, 4).await, "second step");
            t.execute("UPDATE user_totp SET confirmed_at = 'soon'", args![]).await.unwrap();
            assert!(web_sessions::find(&t.db, &[4; 32], t.sources.now()).await.is_err(), "what cannot be read lets nobody in");
        })
        .await;
    }
}
