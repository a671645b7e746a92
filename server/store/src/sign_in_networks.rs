//! Where people have signed in from.
use std::net::IpAddr;

use kernel::{TimeDelta, Timestamp, UserId};

use crate::{On, Result, Tx, args};

/// How long somebody who signed in from a network is known there.
const KNOWN: TimeDelta = TimeDelta::days(90);

/// Notes that the user signed in from that network.
pub async fn note(tx: &mut Tx, user: UserId, network: IpAddr, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO sign_in_networks (user_id, network, at) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, network) DO UPDATE SET at = excluded.at",
        args![user, network, now],
    )
    .await?;
    Ok(())
}

/// Whether the user signed in from that network in the last 90 days.
pub async fn known(on: impl Into<On<'_>>, user: UserId, network: IpAddr, now: Timestamp) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM sign_in_networks WHERE user_id = $1 AND network = $2 AND at > $3";
    Ok(on.into().fetch_optional(sql, args![user, network, now - KNOWN]).await?.is_some())
}

/// Forgets networks that nobody is known by any more.
pub async fn prune(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM sign_in_networks WHERE at <= $1", args![now - KNOWN]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::each_engine, users};

    #[tokio::test]
    async fn who_signed_in_from_a_network_is_known_there_for_a_time() {
        each_engine(async |t| {
            let (db, now) = (&t.db, t.sources.now());
            let [here, there]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::".parse().unwrap()];
            let mut tx = db.begin().await.unwrap();
            let ann = users::create(&mut tx, "ann@example.com", None, false, &t.sources).await.unwrap();
            let bob = users::create(&mut tx, "bob@example.com", None, false, &t.sources).await.unwrap();
            note(&mut tx, ann, here, now - KNOWN).await.unwrap();
            assert!(!known(&mut tx, ann, here, now).await.unwrap(), "too long ago");
            note(&mut tx, ann, here, now).await.unwrap();
            tx.commit().await.unwrap();
            assert!(known(db, ann, here, now).await.unwrap());
            assert!(!known(db, ann, there, now).await.unwrap() && !known(db, bob, here, now).await.unwrap());
            let mut tx = db.begin().await.unwrap();
            assert_eq!(prune(&mut tx, now).await.unwrap(), 0);
            assert_eq!(prune(&mut tx, now + KNOWN).await.unwrap(), 1);
        })
        .await;
    }
}
