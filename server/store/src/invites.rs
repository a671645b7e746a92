//! Invite links: an administrator lets others in with a part of what they may themselves. Of a link only the SHA-256 is kept.
use kernel::{InviteId, OrgId, Permissions, Role, Sources, Timestamp, UserId};

use crate::{
    On, Result, Row, StoreError, Tx, args,
    events::{self, Change},
};

#[derive(Debug, Clone)]
pub struct InviteRow {
    pub id: InviteId,
    pub org: OrgId,
    /// Whose power bounds the keys that it makes: who made it, until an administrator takes it over.
    pub vouched_by: UserId,
    pub role: Role,
    pub label: String,
    /// None when what is stored cannot be read: the invite grants nothing.
    pub permissions: Option<Permissions>,
    /// The first characters of its text.
    pub shown: String,
    pub max_uses: i64,
    pub used: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}
fn read(row: &Row) -> Result<InviteRow> {
    Ok(InviteRow {
        id: row.parsed("invites.id")?,
        org: row.parsed("invites.org_id")?,
        vouched_by: row.parsed("invites.vouched_by")?,
        role: row.parsed("invites.role")?,
        label: row.text("invites.label")?,
        permissions: row.json("invites.permissions").ok(),
        shown: row.text("invites.shown")?,
        max_uses: row.int("invites.max_uses")?,
        used: row.int("invites.used")?,
        created_at: row.time("invites.created_at")?,
        expires_at: row.time("invites.expires_at")?,
        revoked_at: row.opt_time("invites.revoked_at")?,
    })
}

#[derive(Debug, Clone)]
pub struct NewInvite {
    pub org: OrgId,
    /// Who makes it.
    pub vouched_by: UserId,
    /// Viewer or member.
    pub role: Role,
    pub label: String,
    pub permissions: Permissions,
    /// The first characters of its text.
    pub shown: String,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// 1 to 100.
    pub max_uses: i64,
    pub expires_at: Timestamp,
}

/// # Errors
/// `Check` for a role above member, or uses out of range.
pub async fn create(tx: &mut Tx, new: &NewInvite, sources: &Sources) -> Result<InviteId> {
    let (id, now) = (InviteId::new(sources), sources.now());
    let permissions = serde_json::to_string(&new.permissions).map_err(|e| StoreError::corrupt("invites.permissions", e))?;
    tx.execute(
        "INSERT INTO invites \
         (id, org_id, vouched_by, role, label, permissions, shown, hash, max_uses, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        args![
            id,
            new.org,
            new.vouched_by,
            new.role,
            &new.label,
            permissions,
            &new.shown,
            new.hash,
            new.max_uses,
            now,
            new.expires_at
        ],
    )
    .await?;
    events::write(tx, Change::Invite, Some(new.org), id, now).await?;
    Ok(id)
}

/// By the SHA-256 of its text, in whatever state it is.
pub async fn find_by_hash(on: impl Into<On<'_>>, hash: &[u8; 32]) -> Result<Option<InviteRow>> {
    let row = on.into().fetch_optional("SELECT * FROM invites WHERE hash = $1", args![hash]).await?;
    row.as_ref().map(read).transpose()
}

pub async fn find(on: impl Into<On<'_>>, org: OrgId, id: InviteId) -> Result<Option<InviteRow>> {
    let row = on.into().fetch_optional("SELECT * FROM invites WHERE org_id = $1 AND id = $2", args![org, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Those of one organization, newest first, ended ones included.
pub async fn list(on: impl Into<On<'_>>, org: OrgId) -> Result<Vec<InviteRow>> {
    let rows = on.into().fetch_all("SELECT * FROM invites WHERE org_id = $1 ORDER BY id DESC", args![org]).await?;
    rows.iter().map(read).collect()
}

/// Whether the user accepted it before.
pub async fn taken(on: impl Into<On<'_>>, id: InviteId, user: UserId) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM invite_uses WHERE invite_id = $1 AND user_id = $2";
    Ok(on.into().fetch_optional(sql, args![id, user]).await?.is_some())
}

/// What came of accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// This user accepted it before; it was not counted again.
    Before,
    /// It was used up, was revoked, has expired, or there is none: look which.
    Over,
}

/// Accepts an invite, in one transaction with the membership and the key that it makes.
pub async fn take(tx: &mut Tx, id: InviteId, user: UserId, now: Timestamp) -> Result<Taken> {
    let counted = tx
        .execute(
            "UPDATE invites SET used = used + 1 WHERE id = $1 AND used < max_uses AND revoked_at IS NULL AND expires_at > $2",
            args![id, now],
        )
        .await?;
    if counted == 0 {
        return Ok(if taken(tx, id, user).await? { Taken::Before } else { Taken::Over });
    }
    let noted = tx
        .execute(
            "INSERT INTO invite_uses (invite_id, user_id, used_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            args![id, user, now],
        )
        .await?;
    if noted == 0 {
        tx.execute("UPDATE invites SET used = used - 1 WHERE id = $1", args![id]).await?;
        return Ok(Taken::Before);
    }
    Ok(Taken::Yes)
}

/// Lets nobody in by it any more; keys that it made stay. Gives false when there is none, or it was revoked before.
pub async fn revoke(tx: &mut Tx, org: OrgId, id: InviteId, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE invites SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL";
    let revoked = tx.execute(sql, args![org, id, now]).await? > 0;
    events::write(tx, Change::Invite, Some(org), id, now).await?;
    Ok(revoked)
}

/// From now on `user` vouches for it and for the keys that it made. Gives false when there is none, or the user is no member.
pub async fn take_over(tx: &mut Tx, org: OrgId, id: InviteId, user: UserId, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE invites SET vouched_by = $3 WHERE org_id = $1 AND id = $2 \
             AND EXISTS (SELECT 1 FROM memberships m WHERE m.org_id = $1 AND m.user_id = $3)",
            args![org, id, user],
        )
        .await?;
    events::write(tx, Change::Invite, Some(org), id, now).await?;
    Ok(changed > 0)
}

#[cfg(test)]
mod tests {
    use kernel::TimeDelta;

    use super::*;
    use crate::{
        args,
        keys::{self, NewKey},
        registry::Registry,
        testing::{TestStore, each_engine},
        tests::{World, at_once, key, world},
        users,
    };

    fn invite(w: &World, hash: u8, max_uses: i64, now: Timestamp) -> NewInvite {
        NewInvite {
            org: w.org,
            vouched_by: w.user,
            role: Role::Viewer,
            label: "for guests".into(),
            permissions: Permissions { read_only: true, ..Permissions::all() },
            shown: "ocn_abcdef".into(),
            hash: [hash; 32],
            max_uses,
            expires_at: now + TimeDelta::days(7),
        }
    }
    async fn made(t: &TestStore, new: &NewInvite) -> InviteId {
        let mut tx = t.begin().await.unwrap();
        let id = create(&mut tx, new, &t.sources).await.unwrap();
        tx.commit().await.unwrap();
        id
    }
    async fn guests(t: &TestStore, count: u8) -> Vec<UserId> {
        let (mut tx, mut made) = (t.begin().await.unwrap(), Vec::new());
        for n in 0..count {
            made.push(users::create(&mut tx, &format!("guest{n}@example.com"), None, false, &t.sources).await.unwrap());
        }
        tx.commit().await.unwrap();
        made
    }

    #[tokio::test]
    async fn an_invite_of_three_uses_is_taken_three_times_by_twenty_and_once_by_each() {
        each_engine(async |t| {
            let w = world(t).await;
            let now = t.sources.now();
            let (id, other) = (made(t, &invite(&w, 1, 3, now)).await, made(t, &invite(&w, 2, 3, now)).await);
            let guests = guests(t, 20).await;
            let took = at_once(t, async |db, n, wait| {
                wait.wait().await;
                let mut tx = db.begin().await.unwrap();
                let took = take(&mut tx, id, guests[usize::from(n)], now).await.unwrap();
                tx.commit().await.unwrap();
                took
            })
            .await;
            assert_eq!(took.iter().filter(|took| **took == Taken::Yes).count(), 3, "{took:?}");
            assert_eq!(took.iter().filter(|took| **took == Taken::Over).count(), 17, "{took:?}");
            assert_eq!(find(&t.db, w.org, id).await.unwrap().unwrap().used, 3);

            let took_again = at_once(t, async |db, _, wait| {
                wait.wait().await;
                let mut tx = db.begin().await.unwrap();
                let took = take(&mut tx, other, guests[0], now).await.unwrap();
                tx.commit().await.unwrap();
                took
            })
            .await;
            assert_eq!(took_again.iter().filter(|took| **took == Taken::Yes).count(), 1, "{took_again:?}");
            assert_eq!(took_again.iter().filter(|took| **took == Taken::Before).count(), 19, "{took_again:?}");
            assert_eq!(find(&t.db, w.org, other).await.unwrap().unwrap().used, 1, "no use is lost to a second try");
            let mut tx = t.begin().await.unwrap();
            let winner = guests[took.iter().position(|took| *took == Taken::Yes).unwrap()];
            assert_eq!(take(&mut tx, id, winner, now).await.unwrap(), Taken::Before, "though it is used up");
            assert!(taken(&mut tx, id, winner).await.unwrap() && taken(&mut tx, other, guests[0]).await.unwrap());
            assert!(!taken(&mut tx, other, guests[1]).await.unwrap());
        })
        .await;
    }

    #[tokio::test]
    async fn an_invite_ends_and_is_its_organization_s() {
        each_engine(async |t| {
            let w = world(t).await;
            let now = t.sources.now();
            let (first, second) = (made(t, &invite(&w, 1, 1, now)).await, made(t, &invite(&w, 2, 1, now)).await);
            let row = find_by_hash(&t.db, &[1; 32]).await.unwrap().unwrap();
            assert_eq!((row.id, row.org, row.vouched_by, row.role), (first, w.org, w.user, Role::Viewer));
            assert!(row.permissions.unwrap().read_only && row.shown == "ocn_abcdef" && row.used == 0);
            assert!(find_by_hash(&t.db, &[3; 32]).await.unwrap().is_none());
            assert_eq!(list(&t.db, w.org).await.unwrap().len(), 2);
            assert!(list(&t.db, w.other).await.unwrap().is_empty());
            assert!(find(&t.db, w.other, first).await.unwrap().is_none());
            for bad in [NewInvite { role: Role::Admin, ..invite(&w, 3, 1, now) }, invite(&w, 3, 101, now), invite(&w, 3, 0, now)]
            {
                let mut tx = t.begin().await.unwrap();
                assert!(matches!(create(&mut tx, &bad, &t.sources).await, Err(StoreError::Check { .. })), "{bad:?}");
            }

            let guest = guests(t, 1).await[0];
            let mut tx = t.begin().await.unwrap();
            assert_eq!(take(&mut tx, first, guest, now + TimeDelta::days(7)).await.unwrap(), Taken::Over, "too late");
            assert!(!revoke(&mut tx, w.other, first, now).await.unwrap(), "another's");
            assert!(revoke(&mut tx, w.org, first, now).await.unwrap() && !revoke(&mut tx, w.org, first, now).await.unwrap());
            assert_eq!(take(&mut tx, first, guest, now).await.unwrap(), Taken::Over, "revoked");
            assert_eq!(take(&mut tx, InviteId::nil(), guest, now).await.unwrap(), Taken::Over, "there is none");
            assert_eq!(take(&mut tx, second, guest, now).await.unwrap(), Taken::Yes);
            tx.execute("UPDATE invites SET permissions = '{\"future\": true}' WHERE id = $1", args![second]).await.unwrap();
            tx.commit().await.unwrap();
            assert!(find(&t.db, w.org, second).await.unwrap().unwrap().permissions.is_none(), "it grants nothing");
        })
        .await;
    }

    #[tokio::test]
    async fn a_key_of_an_invite_tells_who_vouches_for_it_at_this_moment() {
        each_engine(async |t| {
            let w = world(t).await;
            let now = t.sources.now();
            let id = made(t, &invite(&w, 1, 1, now)).await;
            let foreign = made(t, &NewInvite { org: w.other, ..invite(&w, 2, 1, now) }).await;
            let guest = guests(t, 1).await[0];
            let mut tx = t.begin().await.unwrap();
            let bob = users::create(&mut tx, "bob@example.com", None, false, &t.sources).await.unwrap();
            users::set_role(&mut tx, w.org, bob, Role::Admin, now).await.unwrap();
            let new = NewKey { invite: Some(id), ..key(w.org, Some(guest), 7) };
            let held = keys::create(&mut tx, &new, &t.sources).await.unwrap();
            tx.commit().await.unwrap();
            let mut tx = t.begin().await.unwrap();
            let stolen = NewKey { invite: Some(foreign), ..key(w.org, Some(guest), 8) };
            assert!(matches!(keys::create(&mut tx, &stolen, &t.sources).await, Err(StoreError::Reference)), "another's invite");
            drop(tx);
            assert_eq!(keys::find(&t.db, w.org, held).await.unwrap().unwrap().invite, Some(id));
            assert_eq!(keys::find(&t.db, w.org, w.key).await.unwrap().unwrap().invite, None);
            let registry = Registry::load(t.db.clone(), t.sources.clone()).await.unwrap();
            let vouched = |registry: &Registry| registry.current().key(&[7; 32]).unwrap().invite.unwrap();
            assert_eq!((vouched(&registry).invite, vouched(&registry).vouched_by), (id, w.user));
            assert!(registry.current().key(&[1; 32]).unwrap().invite.is_none());

            let mut tx = t.begin().await.unwrap();
            assert!(!take_over(&mut tx, w.org, id, guest, now).await.unwrap(), "no member");
            assert!(!take_over(&mut tx, w.other, id, bob, now).await.unwrap(), "another organization's");
            assert!(take_over(&mut tx, w.org, id, bob, now).await.unwrap());
            tx.commit().await.unwrap();
            assert!(registry.refresh_if_changed().await);
            assert_eq!(vouched(&registry).vouched_by, bob);

            // A row that says nothing of its invite opens nothing.
            t.execute("UPDATE api_keys SET invite_id = $2 WHERE id = $1", args![held, foreign]).await.unwrap();
            registry.reload().await;
            assert!(registry.current().key(&[7; 32]).is_none() && registry.current().key(&[1; 32]).is_some());
        })
        .await;
    }
}
