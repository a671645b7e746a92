//! Links with which people set a new password. Only the SHA-256 of a link's token is kept.
use kernel::{Timestamp, UserId};

use crate::{On, Result, Tx, args, users, users::UserRow};

/// Keeps the link of a user, in place of an earlier one.
pub async fn begin(tx: &mut Tx, user: UserId, hash: &[u8; 32], expires_at: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO password_resets (user_id, hash, expires_at) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at",
        args![user, hash, expires_at],
    )
    .await?;
    Ok(())
}

/// Whose link it is; none when it is over, was used, or its person is disabled. Looking uses nothing up.
pub async fn find(on: impl Into<On<'_>>, hash: &[u8; 32], now: Timestamp) -> Result<Option<UserRow>> {
    let sql = "SELECT u.id, u.email, u.operator, u.active, u.created_at, u.updated_at FROM password_resets r \
               JOIN users u ON u.id = r.user_id WHERE r.hash = $1 AND r.expires_at > $2 AND u.active";
    on.into().fetch_optional(sql, args![hash, now]).await?.as_ref().map(users::read).transpose()
}

/// Uses a link up. Gives false when somebody did before, or it is over.
pub async fn take(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<bool> {
    Ok(tx.execute("DELETE FROM password_resets WHERE hash = $1 AND expires_at > $2", args![hash, now]).await? > 0)
}

/// Forgets a user's link: whoever has a new password needs none.
pub async fn forget(tx: &mut Tx, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM password_resets WHERE user_id = $1", args![user]).await?;
    Ok(())
}

/// Forgets links that are over.
pub async fn prune(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM password_resets WHERE expires_at <= $1", args![now]).await
}

#[cfg(test)]
mod tests {
    use kernel::TimeDelta;

    use super::*;
    use crate::{
        testing::each_engine,
        users::{UserChange, create, update},
    };

    #[tokio::test]
    async fn a_link_is_good_once_for_a_time_and_while_no_newer_one_is_there() {
        each_engine(async |t| {
            let (db, sources) = (&t.db, &t.sources);
            let (now, hour) = (sources.now(), TimeDelta::hours(1));
            let mut tx = db.begin().await.unwrap();
            let ann = create(&mut tx, "ann@example.com", None, false, sources).await.unwrap();
            begin(&mut tx, ann, &[1; 32], now + hour).await.unwrap();
            begin(&mut tx, ann, &[2; 32], now + hour).await.unwrap();
            tx.commit().await.unwrap();
            assert!(find(db, &[1; 32], now).await.unwrap().is_none(), "a newer one is there");
            assert_eq!(find(db, &[2; 32], now).await.unwrap().unwrap().id, ann);
            assert!(find(db, &[2; 32], now + hour).await.unwrap().is_none(), "over");

            let mut tx = db.begin().await.unwrap();
            update(&mut tx, ann, &UserChange { active: Some(false), ..UserChange::default() }, now).await.unwrap();
            assert!(find(&mut tx, &[2; 32], now).await.unwrap().is_none(), "disabled");
            assert!(!take(&mut tx, &[2; 32], now + hour).await.unwrap(), "over");
            assert!(take(&mut tx, &[2; 32], now).await.unwrap());
            assert!(!take(&mut tx, &[2; 32], now).await.unwrap(), "used");
            begin(&mut tx, ann, &[3; 32], now).await.unwrap();
            assert_eq!(prune(&mut tx, now).await.unwrap(), 1);
        })
        .await;
    }
}
