//! Sign-in with a provider (OpenID Connect): who somebody is there, and sign-ins under way.
use kernel::{SecretString, Timestamp, UserId};

use crate::{
    On, Result, Row, Tx, args,
    vault::{Place, Vault},
};

/// Somebody at a provider. Issuer and subject say who (OpenID Connect Core section 5.7), never the address.
#[derive(Debug, Clone)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    pub user: UserId,
    /// What the provider said last, for people to read.
    pub email: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}
fn read(row: &Row) -> Result<Identity> {
    Ok(Identity {
        issuer: row.text("oidc_identities.issuer")?,
        subject: row.text("oidc_identities.subject")?,
        user: row.parsed("oidc_identities.user_id")?,
        email: row.opt_text("oidc_identities.email")?,
        created_at: row.time("oidc_identities.created_at")?,
        last_used_at: row.opt_time("oidc_identities.last_used_at")?,
    })
}

pub async fn find(on: impl Into<On<'_>>, issuer: &str, subject: &str) -> Result<Option<Identity>> {
    let sql = "SELECT * FROM oidc_identities WHERE issuer = $1 AND subject = $2";
    on.into().fetch_optional(sql, args![issuer, subject]).await?.as_ref().map(read).transpose()
}

/// A user's, oldest first.
pub async fn of_user(on: impl Into<On<'_>>, user: UserId) -> Result<Vec<Identity>> {
    let sql = "SELECT * FROM oidc_identities WHERE user_id = $1 ORDER BY created_at, issuer, subject";
    on.into().fetch_all(sql, args![user]).await?.iter().map(read).collect()
}

/// Gives the user a way in.
///
/// # Errors
/// `Unique` when it is somebody's: it is never moved.
pub async fn link(tx: &mut Tx, issuer: &str, subject: &str, user: UserId, email: Option<&str>, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO oidc_identities (issuer, subject, user_id, email, created_at) VALUES ($1, $2, $3, $4, $5)",
        args![issuer, subject, user, email, now],
    )
    .await?;
    Ok(())
}

/// Notes a sign-in, and the address that the provider says now.
pub async fn touch(tx: &mut Tx, issuer: &str, subject: &str, email: Option<&str>, now: Timestamp) -> Result<()> {
    let sql = "UPDATE oidc_identities SET last_used_at = $4, email = COALESCE($3, email) WHERE issuer = $1 AND subject = $2";
    tx.execute(sql, args![issuer, subject, email, now]).await?;
    Ok(())
}

/// Takes a way in away. Gives false when it is not that user's.
pub async fn unlink(tx: &mut Tx, user: UserId, issuer: &str, subject: &str) -> Result<bool> {
    let sql = "DELETE FROM oidc_identities WHERE issuer = $1 AND subject = $2 AND user_id = $3";
    Ok(tx.execute(sql, args![issuer, subject, user]).await? > 0)
}

/// A sign-in that goes to the provider.
#[derive(Debug)]
pub struct NewLogin<'a> {
    /// SHA-256 of the `state` parameter.
    pub state: [u8; 32],
    /// The provider's name in the configuration.
    pub provider: &'a str,
    /// SHA-256 of what binds it to the browser that began it.
    pub session: [u8; 32],
    /// The nonce and the PKCE verifier, in whatever form.
    pub secrets: &'a SecretString,
    /// The signed-in user who adds an identity.
    pub link_user: Option<UserId>,
    /// The page to go on with.
    pub return_to: &'a str,
    pub expires_at: Timestamp,
}

/// A sign-in that came back.
#[derive(Debug)]
pub struct Login {
    pub provider: String,
    pub secrets: SecretString,
    pub link_user: Option<UserId>,
    pub return_to: String,
}

/// The row's name: what is sealed is bound to it.
fn name(state: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    state.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
fn place(row: &str) -> Place<'_> {
    Place { table: "oidc_logins", column: "secrets", row }
}

/// Keeps a sign-in until it comes back.
pub async fn begin(tx: &mut Tx, vault: &Vault, new: &NewLogin<'_>) -> Result<()> {
    use kernel::ExposeSecret as _;
    let state = name(&new.state);
    let sealed = vault.seal(place(&state), new.secrets.expose_secret().as_bytes())?;
    tx.execute(
        "INSERT INTO oidc_logins (state, provider, session_hash, secrets, link_user, return_to, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![state, new.provider, new.session, sealed, new.link_user, new.return_to, new.expires_at],
    )
    .await?;
    Ok(())
}

/// Takes a sign-in that came back to the browser that began it, once. None when there is none, it is another browser's, or too late.
pub async fn take(tx: &mut Tx, vault: &Vault, state: &[u8; 32], session: &[u8; 32], now: Timestamp) -> Result<Option<Login>> {
    let state = name(state);
    let sql = "DELETE FROM oidc_logins WHERE state = $1 AND session_hash = $2 AND expires_at > $3 \
               RETURNING provider, secrets, link_user, return_to";
    let Some(row) = tx.fetch_optional(sql, args![&state, session, now]).await? else { return Ok(None) };
    Ok(Some(Login {
        provider: row.text("oidc_logins.provider")?,
        secrets: vault.open_text(place(&state), &row.bytes("oidc_logins.secrets")?)?,
        link_user: row.opt_parsed("oidc_logins.link_user")?,
        return_to: row.text("oidc_logins.return_to")?,
    }))
}

/// Forgets sign-ins that never came back.
pub async fn prune(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM oidc_logins WHERE expires_at <= $1", args![now]).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::{ExposeSecret as _, TimeDelta};

    use super::*;
    use crate::{
        testing::each_engine,
        tests::{at_once, world},
        users,
        vault::KeySource,
    };

    const ISSUER: &str = "https://id.example";

    #[tokio::test]
    async fn an_identity_is_one_user_s() {
        each_engine(async |t| {
            let w = world(t).await;
            let now = t.sources.now();
            let mut tx = t.begin().await.unwrap();
            let bob = users::create(&mut tx, "bob@example.com", None, false, &t.sources).await.unwrap();
            link(&mut tx, ISSUER, "7", w.user, Some("ann@example.com"), now).await.unwrap();
            link(&mut tx, "https://other.example", "7", bob, None, now).await.unwrap();
            tx.commit().await.unwrap();
            let mut tx = t.begin().await.unwrap();
            assert!(link(&mut tx, ISSUER, "7", bob, None, now).await.unwrap_err().is_unique(), "it is never moved");
            drop(tx);
            assert_eq!(find(&t.db, ISSUER, "7").await.unwrap().unwrap().user, w.user);
            assert_eq!(find(&t.db, "https://other.example", "7").await.unwrap().unwrap().user, bob);
            assert!(find(&t.db, ISSUER, "8").await.unwrap().is_none());
            let mut tx = t.begin().await.unwrap();
            touch(&mut tx, ISSUER, "7", None, now).await.unwrap();
            touch(&mut tx, ISSUER, "8", Some("x@example.com"), now).await.unwrap();
            let held = of_user(&mut tx, w.user).await.unwrap();
            assert_eq!((held.len(), held[0].email.as_deref(), held[0].last_used_at), (1, Some("ann@example.com"), Some(now)));
            touch(&mut tx, ISSUER, "7", Some("ann@new.example"), now).await.unwrap();
            assert_eq!(of_user(&mut tx, w.user).await.unwrap()[0].email.as_deref(), Some("ann@new.example"));
            assert!(!unlink(&mut tx, bob, ISSUER, "7").await.unwrap(), "another's");
            assert!(unlink(&mut tx, w.user, ISSUER, "7").await.unwrap());
            assert!(of_user(&mut tx, w.user).await.unwrap().is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn a_sign_in_comes_back_once_to_its_own_browser() {
        each_engine(async |t| {
            let w = world(t).await;
            let vault = Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap();
            let (now, secrets) = (t.sources.now(), SecretString::from("nonce HIDDEN"));
            let login = |n: u8| NewLogin {
                state: [n; 32],
                provider: "corp",
                session: [9; 32],
                secrets: &secrets,
                link_user: (n == 1).then_some(w.user),
                return_to: "/account",
                expires_at: now + TimeDelta::minutes(10),
            };
            let mut tx = t.begin().await.unwrap();
            for n in 1..=3 {
                begin(&mut tx, &vault, &login(n)).await.unwrap();
            }
            tx.commit().await.unwrap();
            for row in t.fetch_all("SELECT secrets FROM oidc_logins", args![]).await.unwrap() {
                assert!(!row.bytes("secrets").unwrap().windows(6).any(|bytes| bytes == b"HIDDEN"));
            }
            assert_eq!(vault.rotate(t, Duration::ZERO).await.unwrap(), 3);
            let mut tx = t.begin().await.unwrap();
            assert!(take(&mut tx, &vault, &[1; 32], &[8; 32], now).await.unwrap().is_none(), "another browser's");
            assert!(take(&mut tx, &vault, &[1; 32], &[9; 32], now + TimeDelta::minutes(10)).await.unwrap().is_none(), "too late");
            tx.commit().await.unwrap();
            let taken = at_once(t, async |db, _, wait| {
                wait.wait().await;
                let mut tx = db.begin().await.unwrap();
                let taken = take(&mut tx, &vault, &[1; 32], &[9; 32], now).await.unwrap();
                tx.commit().await.unwrap();
                taken
            })
            .await;
            let taken: Vec<_> = taken.into_iter().flatten().collect();
            assert_eq!(taken.len(), 1);
            assert_eq!((taken[0].provider.as_str(), taken[0].return_to.as_str()), ("corp", "/account"));
            assert_eq!((taken[0].secrets.expose_secret(), taken[0].link_user), ("nonce HIDDEN", Some(w.user)));
            assert!(!format!("{:?} {:?}", taken[0], login(2)).contains("HIDDEN"));
            let mut tx = t.begin().await.unwrap();
            assert_eq!(take(&mut tx, &vault, &[2; 32], &[9; 32], now).await.unwrap().unwrap().link_user, None);
            assert_eq!(prune(&mut tx, now).await.unwrap(), 0);
            assert_eq!(prune(&mut tx, now + TimeDelta::minutes(10)).await.unwrap(), 1);
        })
        .await;
    }
}
