//! Consents, codes and tokens on both engines: what may happen once does so once, though twenty try.
use std::net::{IpAddr, Ipv4Addr};

use kernel::{FamilyId, GrantId, KeyId, TimeDelta, Timestamp, UserId};

use super::{
    RevokedWhy,
    clients::{self, ClientKind, NewClient},
    codes::{self, CodeRow},
    devices::{self, DeviceState, NewDevice},
    grants::{self, NewGrant},
    prune,
    tokens::{self, AccessRow, FamilyRow, NewFamily, RefreshRow},
};
use crate::{
    Db, StoreError, Tx, args, events, keys,
    testing::{TestStore, each_engine},
    tests::{World, at_once, key, world},
    users,
};

const CLIENT: &str = "oci_a";
const RESOURCE: &str = "https://ocore.example/mcp";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn registration(id: &str, fingerprint: Option<u8>) -> NewClient {
    NewClient {
        id: id.into(),
        metadata: "{}".into(),
        secret_hash: None,
        fingerprint: fingerprint.map(|n| [n; 32]),
        address: Some(HERE),
    }
}
fn consent(w: &World, key: KeyId) -> NewGrant {
    NewGrant {
        org: w.org,
        user: w.user,
        client: CLIENT.into(),
        key,
        made_key: false,
        scopes: "read".into(),
        resource: RESOURCE.into(),
        redirect_host: "host.example".into(),
    }
}
fn begun(grant: GrantId) -> NewFamily {
    NewFamily { grant, client: CLIENT.into(), resource: RESOURCE.into(), scopes: "read".into(), confidential: false }
}
fn refresh(family: FamilyId, generation: i64, now: Timestamp) -> RefreshRow {
    RefreshRow { family, generation, issued_at: now, expires_at: now + TimeDelta::days(30), superseded_at: None }
}
fn access(family: FamilyId, now: Timestamp) -> AccessRow {
    AccessRow { family, scopes: "read".into(), issued_at: now, expires_at: now + TimeDelta::hours(1), revoked_at: None }
}
fn code(grant: GrantId, now: Timestamp) -> CodeRow {
    CodeRow {
        client: CLIENT.into(),
        grant,
        redirect_uri: "http://127.0.0.1:5000/cb".into(),
        challenge: [7; 32],
        resource: RESOURCE.into(),
        scopes: "read".into(),
        created_at: now,
        expires_at: now + TimeDelta::minutes(1),
        spent_at: None,
        family: None,
    }
}
fn device(n: u8, now: Timestamp) -> NewDevice {
    NewDevice {
        hash: [n; 32],
        user_code_hash: [n + 100; 32],
        client: CLIENT.into(),
        resource: RESOURCE.into(),
        scopes: "read".into(),
        address: HERE,
        agent: "a program".into(),
        interval: 5,
        expires_at: now + TimeDelta::minutes(15),
    }
}

/// A client with a consent on the world's key.
async fn consented(t: &TestStore) -> (World, GrantId) {
    let w = world(t).await;
    let mut tx = t.begin().await.unwrap();
    clients::insert(&mut tx, &registration(CLIENT, None), t.sources.now()).await.unwrap();
    let grant = grants::create(&mut tx, &consent(&w, w.key), &t.sources).await.unwrap();
    tx.commit().await.unwrap();
    (w, grant)
}
/// A family with a refresh token and an access token, of those hashes.
async fn family(t: &TestStore, grant: GrantId, hash: u8) -> FamilyId {
    let (mut tx, now) = (t.begin().await.unwrap(), t.sources.now());
    let id = tokens::create_family(&mut tx, &begun(grant), &t.sources).await.unwrap().unwrap();
    tokens::insert_refresh(&mut tx, &[hash; 32], &refresh(id, 1, now)).await.unwrap();
    tokens::insert_access(&mut tx, &[hash; 32], &access(id, now)).await.unwrap();
    tx.commit().await.unwrap();
    id
}
async fn found(t: &TestStore, id: FamilyId) -> FamilyRow {
    tokens::family(&t.db, id).await.unwrap().unwrap()
}
async fn count(db: &Db, sql: &'static str) -> i64 {
    db.fetch_optional(sql, args![]).await.unwrap().unwrap().int("n").unwrap()
}
async fn in_tx<T>(t: &TestStore, work: impl AsyncFnOnce(&mut Tx) -> crate::Result<T>) -> T {
    let mut tx = t.begin().await.unwrap();
    let done = work(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    done
}

#[tokio::test]
async fn twenty_refresh_at_once_one_rotates_and_the_others_join() {
    each_engine(async |t| {
        let (_, grant) = consented(t).await;
        let id = family(t, grant, 1).await;
        let now = t.sources.now();
        let given = at_once(t, async |db, n, wait| {
            for round in 0..5 {
                let (token, family) = tokens::refresh_token(&db, &[1; 32]).await.unwrap().unwrap();
                if round == 0 {
                    wait.wait().await;
                }
                let mut tx = db.begin().await.unwrap();
                let (done, generation) = if token.superseded_at.is_none() {
                    (tokens::rotate(&mut tx, grant, id, token.generation, now).await.unwrap(), token.generation + 1)
                } else {
                    (tokens::join(&mut tx, grant, id, family.generation, 100, now).await.unwrap(), family.generation)
                };
                if done {
                    tokens::insert_refresh(&mut tx, &[n + 50; 32], &refresh(id, generation, now)).await.unwrap();
                    tx.commit().await.unwrap();
                    return round;
                }
            }
            panic!("{n} got nothing")
        })
        .await;
        assert_eq!(given.iter().filter(|round| **round == 0).count(), 1, "{given:?}");
        let family = found(t, id).await;
        assert_eq!((family.generation, family.joined, family.revoked_at), (2, 19, None));
        let sql = "SELECT count(*) AS n FROM oauth_refresh_tokens WHERE superseded_at IS NULL AND generation = 2";
        assert_eq!(count(t, sql).await, 20);
        let (first, _) = tokens::refresh_token(&t.db, &[1; 32]).await.unwrap().unwrap();
        assert_eq!(first.superseded_at, Some(now));

        // A generation is begun once, and joined by as many as may.
        let rotated = at_once(t, async |db, _, wait| {
            wait.wait().await;
            let mut tx = db.begin().await.unwrap();
            let done = tokens::rotate(&mut tx, grant, id, 2, now).await.unwrap();
            tx.commit().await.unwrap();
            done
        })
        .await;
        assert_eq!(rotated.into_iter().filter(|done| *done).count(), 1);
        let joined = at_once(t, async |db, _, wait| {
            wait.wait().await;
            let mut tx = db.begin().await.unwrap();
            let done = tokens::join(&mut tx, grant, id, 3, 7, now).await.unwrap();
            tx.commit().await.unwrap();
            done
        })
        .await;
        assert_eq!(joined.into_iter().filter(|done| *done).count(), 7);
        assert_eq!(found(t, id).await.joined, 7);
        in_tx(t, async |tx| {
            assert!(!tokens::join(tx, grant, id, 2, 100, now).await?, "a generation that was replaced");
            assert!(tokens::revoke_family(tx, id, RevokedWhy::Reuse, now).await?);
            assert!(!tokens::revoke_family(tx, id, RevokedWhy::User, now).await?, "once");
            assert!(
                !tokens::rotate(tx, grant, id, 3, now).await? && !tokens::join(tx, grant, id, 3, 100, now).await?,
                "it has ended"
            );
            Ok(())
        })
        .await;
        assert_eq!(found(t, id).await.revoked_why, Some(RevokedWhy::Reuse));
    })
    .await;
}

#[tokio::test]
async fn a_code_gives_one_family_though_twenty_bring_it() {
    each_engine(async |t| {
        let (w, grant) = consented(t).await;
        let now = t.sources.now();
        in_tx(t, async |tx| codes::insert(tx, &[1; 32], &code(grant, now)).await).await;
        let spent = at_once(t, async |db, n, wait| {
            let code = codes::find(&db, &[1; 32]).await.unwrap().unwrap();
            assert!(code.spent_at.is_none() && code.challenge == [7; 32] && code.grant == grant);
            wait.wait().await;
            let mut tx = db.begin().await.unwrap();
            let family = tokens::create_family(&mut tx, &begun(grant), &t.sources).await.unwrap().unwrap();
            if !codes::spend(&mut tx, &[1; 32], family, now).await.unwrap() {
                return None;
            }
            tokens::insert_refresh(&mut tx, &[n + 50; 32], &refresh(family, 1, now)).await.unwrap();
            tx.commit().await.unwrap();
            Some(family)
        })
        .await;
        let gave: Vec<_> = spent.into_iter().flatten().collect();
        assert_eq!(gave.len(), 1);
        let code_row = codes::find(&t.db, &[1; 32]).await.unwrap().unwrap();
        assert_eq!((code_row.family, code_row.spent_at), (Some(gave[0]), Some(now)));
        assert_eq!(count(t, "SELECT count(*) AS n FROM oauth_families").await, 1, "nothing stays of the others");
        in_tx(t, async |tx| {
            assert!(!codes::burn(tx, &[1; 32], now).await?, "it was spent");
            codes::insert(tx, &[2; 32], &code(grant, now)).await?;
            assert!(codes::burn(tx, &[2; 32], now).await? && !codes::burn(tx, &[2; 32], now).await?);
            assert!(!codes::spend(tx, &[2; 32], gave[0], now).await?, "it was burnt");
            codes::insert(tx, &[3; 32], &code(grant, now)).await?;
            assert!(!codes::spend(tx, &[3; 32], gave[0], now + TimeDelta::minutes(1)).await?, "it has expired");
            // What another consent began is not this code's.
            let second = grants::create(tx, &consent(&w, w.key), &t.sources).await?;
            let foreign = tokens::create_family(tx, &begun(second), &t.sources).await?.unwrap();
            assert!(!codes::spend(tx, &[3; 32], foreign, now).await?);
            assert!(codes::spend(tx, &[3; 32], gave[0], now).await?);
            Ok(())
        })
        .await;
        assert!(codes::find(&t.db, &[9; 32]).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_device_code_is_answered_once_and_redeemed_once() {
    each_engine(async |t| {
        let (_, grant) = consented(t).await;
        let now = t.sources.now();
        in_tx(t, async |tx| {
            devices::insert(tx, &device(1, now), now).await?;
            devices::insert(tx, &device(2, now), now).await
        })
        .await;
        let clash = NewDevice { user_code_hash: [101; 32], ..device(3, now) };
        let mut tx = t.begin().await.unwrap();
        assert!(devices::insert(&mut tx, &clash, now).await.unwrap_err().is_unique(), "the user code is taken");
        drop(tx);
        in_tx(t, async |tx| devices::polled(tx, &[1; 32], 10, now).await).await;
        let row = devices::by_user_code(&t.db, &[101; 32]).await.unwrap().unwrap();
        assert_eq!((row.hash, row.interval, row.polled_at, row.state), ([1; 32], 10, Some(now), DeviceState::Pending));
        assert_eq!((row.address.as_str(), row.agent.as_str()), ("127.0.0.1", "a program"));

        let answered = at_once(t, async |db, n, wait| {
            wait.wait().await;
            let mut tx = db.begin().await.unwrap();
            let done = devices::answer(&mut tx, &[101; 32], (n % 3 > 0).then_some(grant), now).await.unwrap();
            tx.commit().await.unwrap();
            done.then_some(n % 3 > 0)
        })
        .await;
        let answers: Vec<_> = answered.into_iter().flatten().collect();
        let state = devices::by_device(&t.db, &[1; 32]).await.unwrap().unwrap().state;
        assert_eq!(answers.len(), 1);
        assert_eq!(state, if answers[0] { DeviceState::Approved(grant) } else { DeviceState::Denied });

        in_tx(t, async |tx| {
            let late = now + TimeDelta::minutes(15);
            assert!(!devices::answer(tx, &[102; 32], Some(grant), late).await?, "too late");
            assert!(!devices::answer(tx, &[102; 32], Some(GrantId::nil()), now).await?, "there is no such consent");
            clients::insert(tx, &registration("oci_b", None), now).await?;
            let other = NewDevice { client: "oci_b".into(), ..device(4, now) };
            devices::insert(tx, &other, now).await?;
            assert!(!devices::answer(tx, &[104; 32], Some(grant), now).await?, "a consent for another client");
            assert!(devices::answer(tx, &[104; 32], None, now).await?);
            assert!(devices::answer(tx, &[102; 32], Some(grant), now).await?);
            Ok(())
        })
        .await;
        let redeemed = at_once(t, async |db, _, wait| {
            wait.wait().await;
            let mut tx = db.begin().await.unwrap();
            let family = tokens::create_family(&mut tx, &begun(grant), &t.sources).await.unwrap().unwrap();
            let denied = devices::redeem(&mut tx, &[4; 32], family, now).await.unwrap();
            let late = devices::redeem(&mut tx, &[2; 32], family, now + TimeDelta::minutes(15)).await.unwrap();
            assert!(!denied && !late, "what was denied, and what has expired");
            if !devices::redeem(&mut tx, &[2; 32], family, now).await.unwrap() {
                return None;
            }
            tx.commit().await.unwrap();
            Some(family)
        })
        .await;
        let gave: Vec<_> = redeemed.into_iter().flatten().collect();
        assert_eq!(gave.len(), 1);
        let state = devices::by_device(&t.db, &[2; 32]).await.unwrap().unwrap().state;
        assert_eq!(state, DeviceState::Redeemed { grant, family: gave[0] });
        assert_eq!(count(t, "SELECT count(*) AS n FROM oauth_families").await, 1);
    })
    .await;
}

#[tokio::test]
async fn nothing_begins_under_a_consent_that_is_being_revoked() {
    each_engine(async |t| {
        let (w, _) = consented(t).await;
        let (mut first, mut late) = (0, 0);
        for round in 0..20_u8 {
            let now = t.sources.now();
            let (grant, other) = in_tx(t, async |tx| {
                let grant = grants::create(tx, &consent(&w, w.key), &t.sources).await?;
                codes::insert(tx, &[round; 32], &code(grant, now)).await?;
                codes::insert(tx, &[round + 100; 32], &code(grant, now)).await?;
                let family = tokens::create_family(tx, &begun(grant), &t.sources).await?.unwrap();
                Ok((grant, family))
            })
            .await;
            // Begun in turn by one and by the other; whichever commits first, what lives afterwards is the same.
            let exchange = async {
                if round % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                let mut tx = t.begin().await.unwrap();
                let Some(family) = tokens::create_family(&mut tx, &begun(grant), &t.sources).await.unwrap() else { return false };
                if !codes::spend(&mut tx, &[round; 32], family, now).await.unwrap() {
                    return false;
                }
                tokens::insert_access(&mut tx, &[round; 32], &access(family, now)).await.unwrap();
                tx.commit().await.unwrap();
                true
            };
            let rotate = async {
                let mut tx = t.begin().await.unwrap();
                let done = tokens::rotate(&mut tx, grant, other, 1, now).await.unwrap();
                // A use of the consent, which the rotation holds already: on PostgreSQL a deadlock were it not so.
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                assert_eq!(grants::touch(&mut tx, grant, now).await.unwrap(), done);
                tx.commit().await.unwrap();
                done
            };
            let revoke = async {
                if round % 2 == 1 {
                    tokio::task::yield_now().await;
                }
                let mut tx = t.begin().await.unwrap();
                assert!(grants::revoke(&mut tx, grant, RevokedWhy::User, now).await.unwrap());
                tx.commit().await.unwrap();
            };
            let (given, _, ()) = tokio::join!(exchange, rotate, revoke);
            *(if given { &mut first } else { &mut late }) += 1;
            let live = "SELECT count(*) AS n FROM oauth_families f JOIN oauth_grants g ON g.id = f.grant_id \
                        WHERE g.revoked_at IS NOT NULL AND f.revoked_at IS NULL";
            assert_eq!(count(t, live).await, 0, "round {round}");
            let waiting = "SELECT count(*) AS n FROM oauth_codes c JOIN oauth_grants g ON g.id = c.grant_id \
                           WHERE g.revoked_at IS NOT NULL AND c.spent_at IS NULL";
            assert_eq!(count(t, waiting).await, 0, "round {round}");
            let mut tx = t.begin().await.unwrap();
            assert!(tokens::create_family(&mut tx, &begun(grant), &t.sources).await.unwrap().is_none());
            assert!(!tokens::rotate(&mut tx, grant, other, found(t, other).await.generation, now).await.unwrap());
        }
        println!("{:?}: {first} exchanges came before the revocation, {late} after", t.engine());
    })
    .await;
}

#[tokio::test]
async fn revoking_a_consent_ends_what_came_of_it_and_nothing_else() {
    each_engine(async |t| {
        let (w, linked) = consented(t).await;
        let now = t.sources.now();
        let (made, made_key) = in_tx(t, async |tx| {
            let of_consent = keys::create(tx, &key(w.org, Some(w.user), 9), &t.sources).await?;
            let made = grants::create(tx, &NewGrant { made_key: true, ..consent(&w, of_consent) }, &t.sources).await?;
            codes::insert(tx, &[1; 32], &code(made, now)).await?;
            codes::insert(tx, &[2; 32], &code(linked, now)).await?;
            devices::insert(tx, &device(1, now), now).await?;
            devices::insert(tx, &device(2, now), now).await?;
            assert!(devices::answer(tx, &[101; 32], Some(made), now).await?);
            assert!(devices::answer(tx, &[102; 32], Some(linked), now).await?);
            Ok((made, of_consent))
        })
        .await;
        let (ended, kept) = (family(t, made, 1).await, family(t, linked, 2).await);
        let admitted = tokens::access_token(&t.db, &[1; 32]).await.unwrap().unwrap();
        assert_eq!((admitted.access.family, admitted.family.id, admitted.grant.id), (ended, ended, made));
        assert_eq!((admitted.grant.key, admitted.grant.org, admitted.grant.user), (made_key, w.org, w.user));
        assert_eq!((admitted.access.expires_at, admitted.family.generation), (now + TimeDelta::hours(1), 1));
        assert_eq!(admitted.grant.last_used_at, Some(now), "a family begun is a use");
        assert!(tokens::access_token(&t.db, &[3; 32]).await.unwrap().is_none());
        assert!(tokens::refresh_token(&t.db, &[3; 32]).await.unwrap().is_none());

        let before = events::latest(&t.db).await.unwrap();
        in_tx(t, async |tx| {
            assert!(grants::revoke(tx, made, RevokedWhy::User, now).await?);
            assert!(!grants::revoke(tx, made, RevokedWhy::Admin, now).await?, "once");
            assert!(!grants::revoke(tx, GrantId::nil(), RevokedWhy::Admin, now).await?, "there is none");
            Ok(())
        })
        .await;
        assert!(events::latest(&t.db).await.unwrap() > before, "other processes hear of it");
        let admitted = tokens::access_token(&t.db, &[1; 32]).await.unwrap().unwrap();
        assert_eq!((admitted.family.revoked_why, admitted.grant.revoked_at), (Some(RevokedWhy::User), Some(now)));
        assert!(found(t, kept).await.revoked_at.is_none());
        assert!(codes::find(&t.db, &[1; 32]).await.unwrap().unwrap().spent_at.is_some());
        assert!(codes::find(&t.db, &[2; 32]).await.unwrap().unwrap().spent_at.is_none());
        assert_eq!(devices::by_device(&t.db, &[1; 32]).await.unwrap().unwrap().state, DeviceState::Denied);
        assert_eq!(devices::by_device(&t.db, &[2; 32]).await.unwrap().unwrap().state, DeviceState::Approved(linked));
        let revoked = async |id| keys::find(&t.db, w.org, id).await.unwrap().unwrap().revoked_at.is_some();
        assert!(revoked(made_key).await && !revoked(w.key).await, "only the key that consent made");

        // By access token, by client, by key.
        let before = events::latest(&t.db).await.unwrap();
        in_tx(t, async |tx| {
            assert!(tokens::revoke_access(tx, &[2; 32], now).await? && !tokens::revoke_access(tx, &[2; 32], now).await?);
            assert!(!tokens::revoke_access(tx, &[3; 32], now).await?);
            Ok(())
        })
        .await;
        assert_eq!(events::latest(&t.db).await.unwrap(), before + 1);
        assert!(tokens::access_token(&t.db, &[2; 32]).await.unwrap().unwrap().access.revoked_at.is_some());
        assert!(found(t, kept).await.revoked_at.is_none(), "the client may refresh");
        in_tx(t, async |tx| {
            assert_eq!(grants::revoke_client(tx, w.user, "oci_b", RevokedWhy::User, now).await?, 0);
            grants::create(tx, &consent(&w, w.key), &t.sources).await?;
            assert_eq!(grants::revoke_client(tx, w.user, CLIENT, RevokedWhy::User, now).await?, 2);
            Ok(())
        })
        .await;
        assert_eq!(found(t, kept).await.revoked_why, Some(RevokedWhy::User));
        let last = in_tx(t, async |tx| grants::create(tx, &consent(&w, w.key), &t.sources).await).await;
        let family = family(t, last, 4).await;
        in_tx(t, async |tx| keys::revoke(tx, w.org, w.key, now).await).await;
        assert_eq!(found(t, family).await.revoked_why, Some(RevokedWhy::Key), "a revoked key takes its consents along");
        assert!(grants::find(&t.db, last).await.unwrap().unwrap().revoked_at.is_some());
        let again = in_tx(t, async |tx| grants::revoke_key(tx, w.key, now).await).await;
        assert_eq!(again, 0);
    })
    .await;
}

#[tokio::test]
async fn who_revokes_consent_key_and_tokens_at_once_does_not_wait_for_the_others() {
    each_engine(async |t| {
        let (w, _) = consented(t).await;
        for round in 10..20 {
            let now = t.sources.now();
            let (grant, held) = in_tx(t, async |tx| {
                let held = keys::create(tx, &key(w.org, Some(w.user), round), &t.sources).await?;
                Ok((grants::create(tx, &NewGrant { made_key: true, ..consent(&w, held) }, &t.sources).await?, held))
            })
            .await;
            let id = family(t, grant, round).await;
            // A deadlock would be an error for one of them.
            let ended = at_once(t, async |db, n, wait| {
                wait.wait().await;
                let mut tx = db.begin().await.unwrap();
                let ended = match n % 4 {
                    0 => keys::revoke(&mut tx, w.org, held, now).await.unwrap(),
                    1 => grants::revoke(&mut tx, grant, RevokedWhy::User, now).await.unwrap(),
                    2 => grants::revoke_client(&mut tx, w.user, CLIENT, RevokedWhy::User, now).await.unwrap() > 0,
                    _ => tokens::revoke_family(&mut tx, id, RevokedWhy::Reuse, now).await.unwrap(),
                };
                tx.commit().await.unwrap();
                ended
            })
            .await;
            assert!(ended.contains(&true));
            assert!(found(t, id).await.revoked_at.is_some());
            assert!(grants::find(&t.db, grant).await.unwrap().unwrap().revoked_at.is_some());
            assert!(keys::find(&t.db, w.org, held).await.unwrap().unwrap().revoked_at.is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn consents_are_their_users_and_their_organizations() {
    each_engine(async |t| {
        let (w, grant) = consented(t).await;
        let now = t.sources.now();
        let (bob, bobs, orgs, gone) = in_tx(t, async |tx| {
            let bob = users::create(tx, "bob@example.com", None, false, &t.sources).await?;
            users::set_role(tx, w.org, bob, kernel::Role::Member, now).await?;
            let bobs = keys::create(tx, &key(w.org, Some(bob), 2), &t.sources).await?;
            let orgs = keys::create(tx, &key(w.org, None, 3), &t.sources).await?;
            let gone = keys::create(tx, &key(w.org, Some(w.user), 4), &t.sources).await?;
            keys::revoke(tx, w.org, gone, now).await?;
            Ok((bob, bobs, orgs, gone))
        })
        .await;
        let refused = async |new: NewGrant| {
            let mut tx = t.begin().await.unwrap();
            matches!(grants::create(&mut tx, &new, &t.sources).await, Err(StoreError::Reference))
        };
        assert!(refused(consent(&w, bobs)).await, "another's key");
        assert!(refused(consent(&w, orgs)).await, "nobody's own key");
        assert!(refused(consent(&w, gone)).await, "a revoked key");
        assert!(refused(consent(&w, KeyId::nil())).await, "no key");
        assert!(refused(NewGrant { org: w.other, ..consent(&w, w.key) }).await, "another organization's");
        assert!(refused(NewGrant { client: "oci_none".into(), ..consent(&w, w.key) }).await, "no client");

        let theirs =
            in_tx(t, async |tx| grants::create(tx, &NewGrant { user: bob, ..consent(&w, bobs) }, &t.sources).await).await;
        let ids = |rows: Vec<grants::GrantRow>| rows.into_iter().map(|g| g.id).collect::<Vec<_>>();
        assert_eq!(ids(grants::of_user(&t.db, w.user).await.unwrap()), [grant]);
        let mut both = ids(grants::of_org(&t.db, w.org).await.unwrap());
        both.sort_unstable();
        let mut all = [grant, theirs];
        all.sort_unstable();
        assert_eq!(both, all);
        assert!(grants::of_org(&t.db, w.other).await.unwrap().is_empty());
        assert!(grants::find_of_user(&t.db, bob, grant).await.unwrap().is_none());
        assert!(grants::find_of_org(&t.db, w.other, grant).await.unwrap().is_none());
        assert!(grants::find_of_user(&t.db, w.user, grant).await.unwrap().is_some());
        assert!(grants::find_of_org(&t.db, w.org, grant).await.unwrap().is_some());
        assert!(in_tx(t, async |tx| grants::touch(tx, grant, now + TimeDelta::hours(1)).await).await);
        let row = grants::find(&t.db, grant).await.unwrap().unwrap();
        assert_eq!((row.last_used_at, row.redirect_host.as_str()), (Some(now + TimeDelta::hours(1)), "host.example"));
        in_tx(t, async |tx| grants::revoke(tx, grant, RevokedWhy::Admin, now).await).await;
        assert!(!in_tx(t, async |tx| grants::touch(tx, grant, now).await).await, "it has ended");
        assert!(grants::of_user(&t.db, w.user).await.unwrap().is_empty(), "only live ones");
        let mut tx = t.begin().await.unwrap();
        let other = NewFamily { client: "oci_b".into(), ..begun(theirs) };
        assert!(tokens::create_family(&mut tx, &other, &t.sources).await.unwrap().is_none(), "a consent for another client");
        assert!(grants::of_user(&t.db, UserId::nil()).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn equal_registrations_share_an_id_and_documents_are_replaced() {
    each_engine(async |t| {
        let now = t.sources.now();
        let ids = at_once(t, async |db, n, wait| {
            wait.wait().await;
            let mut tx = db.begin().await.unwrap();
            let id = clients::insert(&mut tx, &registration(&format!("oci_{n}"), Some(1)), now).await.unwrap();
            tx.commit().await.unwrap();
            id
        })
        .await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(count(t, "SELECT count(*) AS n FROM oauth_clients").await, 1);
        let row = clients::by_fingerprint(&t.db, &[1; 32]).await.unwrap().unwrap();
        assert_eq!(
            (row.id.as_str(), row.kind, row.address.as_deref()),
            (ids[0].as_str(), ClientKind::Registered, Some("127.0.0.1"))
        );
        assert!(clients::by_fingerprint(&t.db, &[2; 32]).await.unwrap().is_none());
        // Those with a secret are each their own.
        in_tx(t, async |tx| {
            for id in ["oci_x", "oci_y"] {
                let new = NewClient { secret_hash: Some([3; 32]), ..registration(id, None) };
                assert_eq!(clients::insert(tx, &new, now).await?, id);
            }
            Ok(())
        })
        .await;
        let secret = clients::find(&t.db, "oci_x").await.unwrap().unwrap();
        assert_eq!(secret.secret_hash, Some([3; 32]));
        assert!(!format!("{secret:?}").contains("3, 3"), "no hash in Debug");

        let (url, hour) = ("https://host.example/client.json", TimeDelta::hours(1));
        let save = async |metadata: &'static str, at| {
            in_tx(t, async |tx| clients::save_document(tx, url, metadata, at, at + hour).await).await;
        };
        let held = async || clients::find(&t.db, url).await.unwrap().unwrap();
        save("{}", now).await;
        assert!(in_tx(t, async |tx| clients::save_keys(tx, url, "{\"keys\":[]}", now).await).await);
        save("{}", now + hour).await;
        let row = held().await;
        assert_eq!(
            (row.kind, row.fetched_at, row.fresh_until),
            (ClientKind::Document, Some(now + hour), Some(now + hour + hour))
        );
        assert_eq!((row.created_at, row.keys.is_some(), row.keys_fetched_at), (now, true, Some(now)));
        save("{\"a\":1}", now).await;
        let row = held().await;
        assert_eq!((row.metadata.as_str(), row.keys, row.keys_fetched_at), ("{\"a\":1}", None, None), "other words, other keys");

        in_tx(t, async |tx| {
            clients::save_own(tx, "ocore-cli", "{}", now).await?;
            clients::save_own(tx, "ocore-cli", "{\"b\":1}", now).await?;
            assert!(matches!(clients::save_own(tx, "oci_x", "{}", now).await, Err(StoreError::Reference)));
            assert!(matches!(clients::save_document(tx, "oci_x", "{}", now, now).await, Err(StoreError::Reference)));
            assert!(!clients::touch(tx, "oci_none", now).await? && !clients::save_keys(tx, "oci_none", "", now).await?);
            assert!(clients::touch(tx, "ocore-cli", now).await?);
            Ok(())
        })
        .await;
        let own = clients::find(&t.db, "ocore-cli").await.unwrap().unwrap();
        assert_eq!((own.kind, own.metadata.as_str(), own.last_used_at), (ClientKind::Own, "{\"b\":1}", Some(now)));
        assert_eq!(clients::find(&t.db, "oci_x").await.unwrap().unwrap().kind, ClientKind::Registered);
    })
    .await;
}

#[tokio::test]
async fn an_assertion_is_used_once_by_twenty() {
    each_engine(async |t| {
        let (now, until) = (t.sources.now(), t.sources.now() + TimeDelta::minutes(5));
        let used = at_once(t, async |db, _, wait| {
            wait.wait().await;
            let mut tx = db.begin().await.unwrap();
            let used = clients::use_assertion(&mut tx, &[1; 32], until, now).await.unwrap();
            tx.commit().await.unwrap();
            used
        })
        .await;
        assert_eq!(used.into_iter().filter(|used| *used).count(), 1);
        in_tx(t, async |tx| {
            assert!(clients::use_assertion(tx, &[2; 32], until, now).await?, "another");
            assert!(!clients::use_assertion(tx, &[1; 32], until, until - TimeDelta::microseconds(1)).await?);
            // As if its row had been deleted, which it may be.
            assert!(clients::use_assertion(tx, &[1; 32], until + TimeDelta::minutes(5), until).await?);
            assert!(!clients::use_assertion(tx, &[1; 32], until, until).await?);
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn clients_that_nobody_uses_go_with_their_dead_consents() {
    const DOCUMENTS: &str = "https://back.example/c.json https://consented.example/c.json https://fetched.example/c.json \
                             https://used.example/c.json";
    each_engine(async |t| {
        let w = world(t).await;
        let registered = t.sources.now();
        let now = registered + TimeDelta::days(100);
        let (unused, used) = (now - TimeDelta::days(7), now - TimeDelta::days(90));
        in_tx(t, async |tx| {
            for id in ["again", "used", "never", "long_ago", "consented", "dead", "burnt", "asking", "reregistered"] {
                clients::insert(tx, &registration(id, (id == "again").then_some(1)), registered).await?;
            }
            clients::insert(tx, &registration("again", Some(1)), now - TimeDelta::days(1)).await?;
            clients::save_own(tx, "own", "{}", registered).await?;
            for name in ["unused", "fetched", "consented", "used", "long_ago", "back"] {
                let fetched = if matches!(name, "fetched" | "back") { now - TimeDelta::days(6) } else { registered };
                clients::save_document(tx, &format!("https://{name}.example/c.json"), "{}", fetched, fetched).await?;
            }
            for id in ["used", "https://used.example/c.json"] {
                clients::touch(tx, id, now - TimeDelta::days(89)).await?;
            }
            let documents = ["long_ago", "back", "consented"].map(|name| format!("https://{name}.example/c.json"));
            for id in ["long_ago", "consented", "dead", "burnt", "reregistered"].into_iter().chain(documents.iter().map(|d| &**d))
            {
                clients::touch(tx, id, registered).await?;
            }
            assert!(clients::registered_again(tx, "reregistered", now - TimeDelta::days(8)).await?);
            assert!(!clients::registered_again(tx, "nobody", now).await?);
            assert!(!clients::registered_again(tx, "https://used.example/c.json", now).await?, "documents do not register");
            let of_document = NewGrant { client: "https://consented.example/c.json".into(), ..consent(&w, w.key) };
            grants::create(tx, &of_document, &t.sources).await?;
            let mut consents = Vec::new();
            for client in ["consented", "dead", "burnt"] {
                let new = NewGrant { client: client.into(), ..consent(&w, w.key) };
                consents.push(grants::create(tx, &new, &t.sources).await?);
            }
            let asking = NewDevice { client: "asking".into(), ..device(1, registered) };
            devices::insert(tx, &asking, registered).await?;
            // All that can hang on a consent.
            let new = NewFamily { client: "dead".into(), ..begun(consents[1]) };
            let family = tokens::create_family(tx, &new, &t.sources).await?.unwrap();
            tokens::insert_refresh(tx, &[1; 32], &refresh(family, 1, registered)).await?;
            tokens::insert_access(tx, &[1; 32], &access(family, registered)).await?;
            codes::insert(tx, &[1; 32], &CodeRow { client: "dead".into(), ..code(consents[1], registered) }).await?;
            assert!(codes::spend(tx, &[1; 32], family, registered).await?);
            devices::insert(tx, &NewDevice { client: "dead".into(), ..device(2, registered) }, registered).await?;
            assert!(devices::answer(tx, &[102; 32], Some(consents[1]), registered).await?);
            assert!(devices::redeem(tx, &[2; 32], family, registered).await?);
            codes::insert(tx, &[2; 32], &CodeRow { client: "burnt".into(), ..code(consents[2], registered) }).await?;
            grants::revoke(tx, consents[1], RevokedWhy::User, now).await?;
            grants::revoke(tx, consents[2], RevokedWhy::User, now).await
        })
        .await;
        let left = async || {
            let rows = t.fetch_all("SELECT id FROM oauth_clients ORDER BY id", args![]).await.unwrap();
            rows.iter().map(|r| r.text("id").unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(in_tx(t, async |tx| clients::prune(tx, unused, used).await).await, 5);
        assert_eq!(left().await, format!("again asking burnt consented {DOCUMENTS} own reregistered used"));
        for sql in [
            "SELECT count(*) AS n FROM oauth_families",
            "SELECT count(*) AS n FROM oauth_refresh_tokens",
            "SELECT count(*) AS n FROM oauth_access_tokens",
        ] {
            assert_eq!(count(t, sql).await, 0, "{sql}");
        }
        assert_eq!(count(t, "SELECT count(*) AS n FROM oauth_codes").await, 1, "the burnt one");
        assert_eq!(count(t, "SELECT count(*) AS n FROM oauth_grants").await, 3);
        // Once the codes are gone that gave nothing, their clients go too.
        assert_eq!(prune(t, registered + TimeDelta::days(1)).await.unwrap(), 2);
        assert_eq!(in_tx(t, async |tx| clients::prune(tx, unused, used).await).await, 2);
        assert_eq!(left().await, format!("again consented {DOCUMENTS} own reregistered used"));
        assert_eq!(in_tx(t, async |tx| clients::prune(tx, unused, used).await).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_is_not_deleted_under_a_consent_that_is_being_given() {
    each_engine(async |t| {
        let w = world(t).await;
        let now = t.sources.now();
        let mut given = 0;
        for round in 0..20 {
            let id = format!("oci_{round}");
            in_tx(t, async |tx| clients::insert(tx, &registration(&id, None), now).await).await;
            let consent = async {
                if round % 2 == 1 {
                    tokio::task::yield_now().await;
                }
                let mut tx = t.begin().await.unwrap();
                let new = NewGrant { client: id.clone(), ..consent(&w, w.key) };
                let made = grants::create(&mut tx, &new, &t.sources).await;
                match made {
                    Ok(_) => tx.commit().await.map(|()| true).unwrap(),
                    Err(error) => {
                        assert!(matches!(error, StoreError::Reference), "{error}");
                        false
                    }
                }
            };
            let prune = async {
                if round % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                let mut tx = t.begin().await.unwrap();
                let gone = clients::prune(&mut tx, now, now).await.unwrap();
                tx.commit().await.unwrap();
                gone
            };
            let (made, gone) = tokio::join!(consent, prune);
            assert_eq!(gone, u64::from(!made), "round {round}");
            assert_eq!(clients::find(&t.db, &id).await.unwrap().is_some(), made);
            given += u32::from(made);
        }
        println!("{:?}: {given} of 20 consents came before the end of their client", t.engine());
    })
    .await;
}

#[tokio::test]
async fn what_has_ended_goes_and_what_tells_of_a_replay_stays() {
    each_engine(async |t| {
        let (_, grant) = consented(t).await;
        let now = t.sources.now();
        let live = in_tx(t, async |tx| {
            for (n, seconds) in [(1, 0), (2, 3600)] {
                let expires_at = now + TimeDelta::seconds(60 + seconds);
                codes::insert(tx, &[n; 32], &CodeRow { expires_at, ..code(grant, now) }).await?;
                devices::insert(tx, &NewDevice { expires_at, ..device(n, now) }, now).await?;
                clients::use_assertion(tx, &[n; 32], expires_at, now).await?;
            }
            // One that was exchanged, and lives.
            let live = tokens::create_family(tx, &begun(grant), &t.sources).await?.unwrap();
            tokens::insert_refresh(tx, &[1; 32], &refresh(live, 1, now)).await?;
            tokens::insert_access(tx, &[1; 32], &access(live, now)).await?;
            codes::insert(tx, &[3; 32], &code(grant, now)).await?;
            assert!(codes::spend(tx, &[3; 32], live, now).await?);
            devices::insert(tx, &device(3, now), now).await?;
            assert!(devices::answer(tx, &[103; 32], Some(grant), now).await?);
            assert!(devices::redeem(tx, &[3; 32], live, now).await?);
            Ok(live)
        })
        .await;
        // An access token alone, without a refresh token; revoked.
        let short = in_tx(t, async |tx| {
            let short = tokens::create_family(tx, &begun(grant), &t.sources).await?.unwrap();
            tokens::insert_access(tx, &[2; 32], &access(short, now)).await?;
            tokens::revoke_family(tx, short, RevokedWhy::Client, now).await?;
            Ok(short)
        })
        .await;
        let hour = TimeDelta::hours(1);
        assert_eq!(prune(t, now + TimeDelta::seconds(59) + hour).await.unwrap(), 0, "all of it may still be asked for");
        assert_eq!(prune(t, now + TimeDelta::seconds(60) + hour).await.unwrap(), 3, "code, device code, assertion");
        assert!(codes::find(&t.db, &[1; 32]).await.unwrap().is_none() && codes::find(&t.db, &[2; 32]).await.unwrap().is_some());
        assert!(codes::find(&t.db, &[3; 32]).await.unwrap().is_some(), "a replay would be known");
        assert!(tokens::family(&t.db, short).await.unwrap().is_some(), "its token would be known as revoked");
        // Both access tokens, the revoked family; the others of the first kinds.
        assert_eq!(prune(t, now + hour + hour).await.unwrap(), 3);
        assert!(tokens::family(&t.db, short).await.unwrap().is_none());
        assert_eq!(prune(t, now + TimeDelta::days(30)).await.unwrap(), 3);
        let (token, _) = tokens::refresh_token(&t.db, &[1; 32]).await.unwrap().unwrap();
        assert_eq!(token.family, live);
        assert!(codes::find(&t.db, &[3; 32]).await.unwrap().is_some());
        assert!(devices::by_device(&t.db, &[3; 32]).await.unwrap().is_some());
        // The refresh token and its family, with the codes that gave it.
        assert_eq!(prune(t, now + TimeDelta::days(30) + hour).await.unwrap(), 2);
        assert!(tokens::family(&t.db, live).await.unwrap().is_none());
        assert!(codes::find(&t.db, &[3; 32]).await.unwrap().is_none());
        assert!(devices::by_device(&t.db, &[3; 32]).await.unwrap().is_none());
        assert!(grants::find(&t.db, grant).await.unwrap().unwrap().revoked_at.is_none(), "the consent stays");
        assert_eq!(prune(t, now + TimeDelta::days(90)).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_refreshes_all_the_time_fills_no_store_and_a_token_used_again_is_known_as_such() {
    each_engine(async |t| {
        let (_, grant) = consented(t).await;
        let now = t.sources.now();
        let (often, seldom) = (family(t, grant, 1).await, family(t, grant, 2).await);
        let replaced = |family, generation, at| RefreshRow { superseded_at: Some(at), ..refresh(family, generation, now) };
        in_tx(t, async |tx| {
            for (id, generation) in [(often, 1_100_i64), (seldom, 1_000)] {
                tx.execute("UPDATE oauth_families SET generation = $2 WHERE id = $1", args![id, generation]).await?;
            }
            tokens::insert_refresh(tx, &[10; 32], &replaced(often, 99, now)).await?;
            tokens::insert_refresh(tx, &[11; 32], &replaced(often, 100, now)).await?;
            tokens::insert_refresh(tx, &[12; 32], &replaced(often, 50, now + TimeDelta::hours(1))).await?;
            tokens::insert_refresh(tx, &[13; 32], &refresh(often, 1_100, now)).await?;
            tokens::insert_refresh(tx, &[14; 32], &replaced(seldom, 2, now)).await
        })
        .await;
        let there = async |hash: u8| tokens::refresh_token(&t.db, &[hash; 32]).await.unwrap().is_some();
        prune(t, now + TimeDelta::hours(23)).await.unwrap();
        assert!(there(10).await, "within a day");
        prune(t, now + TimeDelta::days(1)).await.unwrap();
        assert!(!there(10).await, "a thousand generations ago");
        assert!(there(11).await && there(12).await && there(13).await && there(14).await && there(2).await);
        prune(t, now + TimeDelta::days(29)).await.unwrap();
        assert!(there(11).await && there(13).await && there(14).await, "what one that refreshes each hour may use again");
        assert!(!there(12).await);
    })
    .await;
}

#[tokio::test]
async fn somebody_stands_behind_a_consent_or_it_gives_nothing() {
    each_engine(async |t| {
        let (w, grant) = consented(t).await;
        let now = t.sources.now();
        let stands = async |id, at| grants::stands(&t.db, id, kernel::Role::Admin, at).await.unwrap();
        assert!(stands(grant, now).await && !stands(GrantId::nil(), now).await);
        let active = async |user, active| {
            let change = users::UserChange { active: Some(active), ..users::UserChange::default() };
            in_tx(t, async |tx| users::update(tx, user, &change, now).await).await;
        };
        active(w.user, false).await;
        assert!(!stands(grant, now).await, "the person is disabled");
        active(w.user, true).await;
        assert!(stands(grant, now).await);

        // A key that ends, and one that an invite made.
        let boss = in_tx(t, async |tx| {
            let boss = users::create(tx, "boss@example.com", None, false, &t.sources).await?;
            users::set_role(tx, w.org, boss, kernel::Role::Admin, now).await?;
            Ok(boss)
        })
        .await;
        let (ending, invited) = in_tx(t, async |tx| {
            let ends = keys::NewKey { expires_at: Some(now + TimeDelta::hours(1)), ..key(w.org, Some(w.user), 40) };
            let ends = keys::create(tx, &ends, &t.sources).await?;
            let invite = crate::invites::NewInvite {
                org: w.org,
                vouched_by: boss,
                role: kernel::Role::Member,
                label: "invite".into(),
                permissions: kernel::Permissions::all(),
                shown: "ocn_abcdef".into(),
                hash: [7; 32],
                max_uses: 1,
                expires_at: now + TimeDelta::days(1),
            };
            let invite = crate::invites::create(tx, &invite, &t.sources).await?;
            let made = keys::NewKey { invite: Some(invite), ..key(w.org, Some(w.user), 41) };
            let made = keys::create(tx, &made, &t.sources).await?;
            let ends = grants::create(tx, &consent(&w, ends), &t.sources).await?;
            Ok((ends, grants::create(tx, &consent(&w, made), &t.sources).await?))
        })
        .await;
        assert!(stands(ending, now).await && !stands(ending, now + TimeDelta::hours(1)).await);
        assert!(stands(invited, now).await);
        let role = async |role| in_tx(t, async |tx| users::set_role(tx, w.org, boss, role, now).await).await;
        role(kernel::Role::Member).await;
        assert!(!stands(invited, now).await, "who vouches may not invite any more");
        role(kernel::Role::Owner).await;
        assert!(stands(invited, now).await);
        active(boss, false).await;
        assert!(!stands(invited, now).await && stands(grant, now).await);
        in_tx(t, async |tx| users::remove_member(tx, w.org, w.user, now).await).await;
        assert!(!stands(grant, now).await, "the person left the organization");
    })
    .await;
}

#[tokio::test]
async fn a_consent_of_which_nothing_is_left_ends_with_the_key_that_it_made() {
    each_engine(async |t| {
        let (w, linked) = consented(t).await;
        let (given, hour) = (t.sources.now(), TimeDelta::hours(1));
        let made = async |n: u8| {
            in_tx(t, async |tx| {
                let held = keys::create(tx, &key(w.org, Some(w.user), n), &t.sources).await?;
                Ok((grants::create(tx, &NewGrant { made_key: true, ..consent(&w, held) }, &t.sources).await?, held))
            })
            .await
        };
        let [waiting, begun, given_back, approved] = [made(20).await, made(21).await, made(22).await, made(23).await];
        in_tx(t, async |tx| {
            codes::insert(tx, &[1; 32], &code(waiting.0, given)).await?;
            devices::insert(tx, &device(1, given), given).await?;
            assert!(devices::answer(tx, &[101; 32], Some(approved.0), given).await?);
            Ok(())
        })
        .await;
        family(t, begun.0, 1).await;
        let back = family(t, given_back.0, 2).await;
        in_tx(t, async |tx| tokens::revoke_family(tx, back, RevokedWhy::Client, given).await).await;
        let end = async |before| {
            let ended = in_tx(t, async |tx| grants::end_spent(tx, before, 100, before + hour).await).await;
            let mut ids: Vec<_> = ended.into_iter().map(|grant| grant.id).collect();
            ids.sort();
            ids
        };
        let sorted = |mut ids: Vec<GrantId>| {
            ids.sort();
            ids
        };
        assert!(end(given - TimeDelta::microseconds(1)).await.is_empty(), "those of a moment ago are let be");
        // The linked one has no code and no family.
        assert_eq!(end(given).await, sorted(vec![linked, given_back.0]));
        assert_eq!(end(given + TimeDelta::minutes(1)).await, [waiting.0], "a code that nobody exchanged");
        assert_eq!(end(given + TimeDelta::minutes(15)).await, [approved.0], "a device code that nobody came for");
        prune(t, given + TimeDelta::days(29)).await.unwrap();
        assert!(end(given + TimeDelta::days(29)).await.is_empty(), "tokens live");
        prune(t, given + TimeDelta::days(31)).await.unwrap();
        assert_eq!(end(given + TimeDelta::days(31)).await, [begun.0]);
        assert!(end(given + TimeDelta::days(99)).await.is_empty(), "once");
        for (_, key) in [waiting, begun, given_back, approved] {
            assert!(keys::find(&t.db, w.org, key).await.unwrap().unwrap().revoked_at.is_some());
        }
        assert!(keys::find(&t.db, w.org, w.key).await.unwrap().unwrap().revoked_at.is_none(), "the person's own key stays");
    })
    .await;
}

#[tokio::test]
async fn an_operation_that_is_taken_over_knows_by_what_consent_it_was_begun() {
    use crate::{
        operations::{Consent, LEASE, NewOperation, Operations},
        vault::{KeySource, Vault},
    };
    each_engine(async |t| {
        let (w, grant) = consented(t).await;
        let vault = Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap();
        let (on, label, now) = (Operations::new(t.db.clone(), vault, t.sources.clone(), "a"), "k".into(), t.sources.now());
        for (n, grant) in [(1, Some(grant)), (2, None), (3, Some(GrantId::nil()))] {
            let new = NewOperation {
                id: kernel::CallId::new(&t.sources),
                org: w.org,
                instance: None,
                instance_slug: None,
                tool: "install_module",
                key: w.key,
                key_label: &label,
                session: kernel::SessionId::new(&t.sources),
                address: HERE,
                hash: [n; 32],
                arguments: "{}",
            };
            on.begin(&new).await.unwrap();
            t.execute(
                "INSERT INTO call_audit (id, org_id, tool, access, facade, key_label, grant_id, address, arguments, state, node, \
                 started_at) VALUES ($1, $2, 'install_module', 'write', 'mcp', 'k', $3, '::1', '{}', 'begun', 'a', $4)",
                args![new.id, w.org, grant, now],
            )
            .await
            .unwrap();
        }
        t.clock.advance(LEASE);
        let mut found: Vec<_> = on.orphans().await.unwrap().into_iter().map(|o| (o.hash[0], o.consent)).collect();
        found.sort_by_key(|(n, _)| *n);
        let of = |grant, scopes: &str| Some(Consent { grant, scopes: scopes.into() });
        assert_eq!(found, [(1, of(grant, "read")), (2, None), (3, of(GrantId::nil(), ""))]);
    })
    .await;
}
