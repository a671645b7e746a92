//! Invites on both engines: what cannot be given, what each use gives, and how long it lives.
use std::{net::IpAddr, sync::Arc};

use identity::{Keys, Presented, Reason};
use kernel::{Category, Facade, TimeDelta};
use store::registry::Registry;

use super::*;
use crate::invites::{self, Closed, LIFE, Made, NewInvite, Refused};

fn invite(role: Role, permissions: Permissions) -> NewInvite {
    NewInvite { org: "acme".into(), vouched_by: None, role, label: "Ben, bookkeeping".into(), permissions, uses: 1, life: LIFE }
}
fn text(made: &Made) -> &str {
    made.text.expose_secret()
}
/// What accepting was refused for.
fn why<T: std::fmt::Debug>(closed: Result<T, Closed>) -> Refused {
    match closed {
        Err(Closed::Refused { why, org }) => {
            assert_eq!(org, "An organization");
            why
        }
        other => panic!("not refused: {other:?}"),
    }
}
async fn door(t: &TestStore, a: &Admin) -> (Keys, Arc<Registry>) {
    let registry = Arc::new(Registry::load(t.db.clone(), a.sources.clone()).await.unwrap());
    (Keys::new(Arc::clone(&registry), t.db.clone(), a.sources.clone()), registry)
}
async fn enter(door: &(Keys, Arc<Registry>), key: &SecretString) -> Result<Arc<kernel::Actor>, Reason> {
    door.1.reload().await;
    let address = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let shown = Presented { text: key.expose_secret(), address, facade: Facade::Mcp, client: "", audience: None };
    door.0.verify(shown).await.map_err(|denied| denied.reason)
}

#[tokio::test]
async fn nobody_gives_what_is_not_theirs_to_give() {
    each_engine(async |t| {
        let a = world(t).await;
        let owner = person(&a, "owner@x.com", "acme", Role::Owner).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let member = person(&a, "member@x.com", "acme", Role::Member).await;
        let viewer = person(&a, "viewer@x.com", "acme", Role::Viewer).await;
        let stranger = person(&a, "stranger@x.com", "globex", Role::Owner).await;
        let theirs = operator(&a, "op@x.com", "acme").await;
        let new = || invite(Role::Viewer, Permissions::all());
        for by in [&member, &viewer] {
            assert_eq!(refused(invites::make(&a, by, &new()).await).code, Code::PermissionDenied);
            assert_eq!(refused(invites::list(&a, by, "acme").await).code, Code::PermissionDenied);
        }
        assert_eq!(refused(invites::make(&a, &stranger, &new()).await).code, Code::NotFound);
        for role in [Role::Admin, Role::Owner] {
            let high = refused(invites::make(&a, &owner, &invite(role, Permissions::all())).await);
            assert!(high.code == Code::InvalidArgument && high.next.contains("after the person has joined"), "{high}");
        }

        // Somebody of the organization vouches, and nobody for another.
        for by in [&host(), &theirs] {
            let nobody = refused(invites::make(&a, by, &new()).await);
            assert!(nobody.next.contains("administrator"), "{nobody}");
            for address in ["member@x.com", "viewer@x.com", "stranger@x.com", "nobody@x.com"] {
                let new = NewInvite { vouched_by: Some(address.into()), ..new() };
                invites::make(&a, by, &new).await.unwrap_err();
            }
            let made = invites::make(&a, by, &NewInvite { vouched_by: Some("Boss@x.com".into()), ..new() }).await.unwrap();
            assert_eq!(Some(made.row.vouched_by), boss.user());
        }
        let another = NewInvite { vouched_by: Some("owner@x.com".into()), ..new() };
        assert_eq!(refused(invites::make(&a, &boss, &another).await).code, Code::PermissionDenied);

        // Within the role, the organization and the ranges.
        let shell = Permissions { categories: Selection::only([Category::Orm, Category::Shell]), ..Permissions::all() };
        let restore =
            Permissions { tools: kernel::ToolRule::Allow(BTreeSet::from(["restore_database".to_owned()])), ..Permissions::all() };
        for more in [shell, restore] {
            let beyond = refused(invites::make(&a, &owner, &invite(Role::Member, more)).await);
            assert!(beyond.code == Code::PermissionDenied && beyond.message.contains("of the role"), "{beyond}");
        }
        let foreign =
            instances::create(&a, &stranger, &NewInstance { org: "globex".into(), ..instance("theirs") }).await.unwrap();
        let reach = Permissions { instances: Selection::only([foreign.instance.id]), ..Permissions::all() };
        assert_eq!(refused(invites::make(&a, &boss, &invite(Role::Viewer, reach)).await).code, Code::NotFound);
        let fast = Permissions { rate_per_minute: Some(10_001), ..Permissions::all() };
        assert_eq!(refused(invites::make(&a, &boss, &invite(Role::Viewer, fast)).await).code, Code::PermissionDenied);
        for (uses, life) in [(0, LIFE), (101, LIFE), (1, TimeDelta::zero()), (1, TimeDelta::days(31))] {
            let out = refused(invites::make(&a, &boss, &NewInvite { uses, life, ..new() }).await);
            assert_eq!(out.code, Code::InvalidArgument, "{uses} {life}");
        }
        for label in ["", "  ", "a\nb", &"x".repeat(101)] {
            invites::make(&a, &boss, &NewInvite { label: label.into(), ..new() }).await.unwrap_err();
        }

        // What belongs to one organization is not there for another.
        let made = invites::make(&a, &boss, &invite(Role::Member, Permissions::all())).await.unwrap();
        assert!(made.row.permissions.as_ref().unwrap().within(kernel::policy::ceiling(Role::Member)));
        for org in ["acme", "globex"] {
            assert_eq!(refused(invites::revoke(&a, &stranger, org, made.row.id).await).code, Code::NotFound);
            assert_eq!(refused(invites::vouch(&a, &stranger, org, made.row.id, None).await).code, Code::NotFound);
        }
        assert!(invites::list(&a, &stranger, "globex").await.unwrap().is_empty());
        assert_eq!(invites::list(&a, &owner, "acme").await.unwrap().len(), 3);
        assert_eq!(refused(invites::vouch(&a, &member, "acme", made.row.id, None).await).code, Code::PermissionDenied);
    })
    .await;
}

#[tokio::test]
async fn who_accepts_joins_and_gets_a_key_once() {
    each_engine(async |t| {
        let a = world(t).await;
        let door = door(t, &a).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let ann = person(&a, "ann@x.com", "globex", Role::Owner).await;
        let eve = person(&a, "eve@x.com", "globex", Role::Member).await;
        let made = invites::make(&a, &boss, &NewInvite { uses: 2, ..invite(Role::Viewer, Permissions::all()) }).await.unwrap();
        let link = text(&made);
        assert!(link.starts_with(&made.row.shown) && invites::path(link).starts_with("/oauth/invite/ocn_"));

        for user in [None, ann.user(), eve.user(), boss.user()] {
            for _ in 0..5 {
                let look = invites::look(&a, link, user).await.unwrap().unwrap();
                assert_eq!((look.inviter.as_str(), look.role, &*look.organization.slug), ("boss@x.com", Role::Viewer, "acme"));
                assert_eq!(look.member_as, (user == boss.user()).then_some(Role::Admin));
                assert!(look.permissions.read_only && look.key_role == Role::Viewer);
            }
        }
        assert_eq!(invites::list(&a, &boss, "acme").await.unwrap()[0].row.used, 0, "looking uses nothing");
        assert!(refused(invites::accept(&a, &host(), link).await).next.contains("sign in"));

        let got = invites::accept(&a, &ann, link).await.unwrap().unwrap();
        assert_eq!(
            (got.role, got.label.as_str(), got.organization.name.as_str()),
            (Role::Viewer, "Ben, bookkeeping", "An organization")
        );
        let actor = enter(&door, &got.text).await.unwrap();
        assert_eq!((actor.role(), actor.user(), &**actor.org_slug()), (Role::Viewer, ann.user(), "acme"));
        assert!(actor.permissions().read_only && actor.key() == got.key);
        let row = &keys::list(&a, &ann, "acme").await.unwrap()[0];
        assert_eq!((row.invite, row.created_by, row.role), (Some(made.row.id), ann.user(), Role::Viewer));

        // The same person once; a member keeps the role; then it is used up.
        assert_eq!(why(invites::accept(&a, &ann, link).await.unwrap()), Refused::AcceptedBefore);
        assert_eq!(why(invites::look(&a, link, ann.user()).await.unwrap()), Refused::AcceptedBefore);
        let own = invites::accept(&a, &boss, link).await.unwrap().unwrap();
        assert_eq!((own.role, enter(&door, &own.text).await.unwrap().role()), (Role::Admin, Role::Viewer));
        for user in [None, eve.user()] {
            assert_eq!(why(invites::look(&a, link, user).await.unwrap()), Refused::UsedUp);
        }
        assert_eq!(why(invites::accept(&a, &eve, link).await.unwrap()), Refused::UsedUp);
        let members = users::members(&a, &boss, "acme").await.unwrap();
        let roles: Vec<_> = members.iter().map(|m| (m.user.email.as_str(), m.role)).collect();
        assert_eq!(roles, [("ann@x.com", Role::Viewer), ("boss@x.com", Role::Admin)]);
        assert_eq!(keys::list(&a, &boss, "acme").await.unwrap().len(), 2);

        let log = audit::log(&a, &boss, Some("acme"), None, 100).await.unwrap();
        let count = |action: &str, who: &str| log.iter().filter(|r| r.action == action && r.actor_name == who).count();
        assert_eq!(count("invite.create", "boss@x.com"), 1);
        for (who, joined) in [("ann@x.com", 1), ("boss@x.com", 0), ("eve@x.com", 0)] {
            assert_eq!(count("member.role", who), joined, "{who}");
            assert_eq!(count("invite.accept", who), count("api_key.create", who), "{who}");
        }
        assert_eq!((count("invite.accept", "ann@x.com"), count("invite.accept", "eve@x.com")), (1, 0));
        let said = format!("{log:?} {made:?} {got:?} {:?}", invites::list(&a, &boss, "acme").await.unwrap());
        for secret in [&link[10..], &got.text.expose_secret()[10..]] {
            assert!(!said.contains(secret), "a secret in {said}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_invite_ends_by_time_by_hand_and_with_who_vouches() {
    each_engine(async |t| {
        let a = world(t).await;
        let door = door(t, &a).await;
        let owner = person(&a, "owner@x.com", "acme", Role::Owner).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let ann = person(&a, "ann@x.com", "globex", Role::Member).await;
        let eve = person(&a, "eve@x.com", "globex", Role::Member).await;
        let new = || NewInvite { uses: 3, ..invite(Role::Member, Permissions::all()) };

        for unknown in ["", "ocn_", &"x".repeat(53), "ocn_7Yp2c0sQmF1b9ZrXk4VtN8wLhE3uJdGa5TqRi6oBx9Kd2ab3d"] {
            assert_eq!(invites::look(&a, unknown, None).await.unwrap().unwrap_err(), Closed::Unknown);
            assert_eq!(invites::accept(&a, &ann, unknown).await.unwrap().unwrap_err(), Closed::Unknown);
        }

        let taken_back = invites::make(&a, &boss, &new()).await.unwrap();
        assert!(invites::revoke(&a, &owner, "acme", taken_back.row.id).await.unwrap().revoked_at.is_some());
        assert_eq!(refused(invites::revoke(&a, &boss, "acme", taken_back.row.id).await).code, Code::Conflict);
        assert_eq!(why(invites::accept(&a, &ann, text(&taken_back)).await.unwrap()), Refused::Revoked);

        // Who vouches for it sinks, and it with them; the keys that it made too.
        let made = invites::make(&a, &boss, &new()).await.unwrap();
        let got = invites::accept(&a, &ann, text(&made)).await.unwrap().unwrap();
        assert_eq!(enter(&door, &got.text).await.unwrap().role(), Role::Member);
        let lost = async |what: &str| {
            assert_eq!(why(invites::accept(&a, &eve, text(&made)).await.unwrap()), Refused::InviterLost, "{what}");
            assert_eq!(why(invites::look(&a, text(&made), None).await.unwrap()), Refused::InviterLost, "{what}");
            assert_eq!(enter(&door, &got.text).await.unwrap_err(), Reason::VoucherLost, "{what}");
            let listed = invites::list(&a, &owner, "acme").await.unwrap();
            let row = listed.iter().find(|l| l.row.id == made.row.id).unwrap();
            assert!(!row.vouched && row.vouched_by == "boss@x.com", "{what}");
        };
        users::set_role(&a, &owner, "acme", "boss@x.com", Role::Member).await.unwrap();
        lost("sunk").await;
        users::set_role(&a, &owner, "acme", "boss@x.com", Role::Admin).await.unwrap();
        enter(&door, &got.text).await.unwrap();
        users::update(&a, &host(), "boss@x.com", &UserUpdate { active: Some(false), ..Default::default() }).await.unwrap();
        lost("disabled").await;
        users::update(&a, &host(), "boss@x.com", &UserUpdate { active: Some(true), ..Default::default() }).await.unwrap();
        users::remove_member(&a, &owner, "acme", "boss@x.com").await.unwrap();
        lost("left").await;
        assert_eq!(invites::vouch(&a, &owner, "acme", made.row.id, None).await.unwrap().vouched_by, owner.user().unwrap());
        assert_eq!(enter(&door, &got.text).await.unwrap().role(), Role::Member);
        invites::accept(&a, &eve, text(&made)).await.unwrap().unwrap();

        // The key lives on without its invite, and not without its holder.
        invites::revoke(&a, &owner, "acme", made.row.id).await.unwrap();
        enter(&door, &got.text).await.unwrap();
        users::set_role(&a, &owner, "acme", "ann@x.com", Role::Viewer).await.unwrap();
        let sunk = enter(&door, &got.text).await.unwrap();
        assert!(sunk.role() == Role::Viewer && sunk.permissions().read_only);
        users::remove_member(&a, &ann, "acme", "ann@x.com").await.unwrap();
        assert_eq!(enter(&door, &got.text).await.unwrap_err(), Reason::OwnerLeft);

        let old = invites::make(&a, &owner, &new()).await.unwrap();
        t.clock.advance(LIFE);
        assert_eq!(why(invites::look(&a, text(&old), None).await.unwrap()), Refused::Expired);
        assert_eq!(why(invites::accept(&a, &ann, text(&old)).await.unwrap()), Refused::Expired);
        let log = audit::log(&a, &owner, Some("acme"), None, 100).await.unwrap();
        let row = log.iter().find(|r| r.action == "invite.vouch").unwrap();
        assert_eq!(row.detail["vouched_by"], serde_json::json!({ "old": "boss@x.com", "new": "owner@x.com" }));
    })
    .await;
}

#[tokio::test]
async fn of_twenty_at_once_as_many_come_in_as_may() {
    each_engine(async |t| {
        let a = world(t).await;
        let boss = person(&a, "boss@x.com", "acme", Role::Admin).await;
        let made = invites::make(&a, &boss, &NewInvite { uses: 3, ..invite(Role::Viewer, Permissions::all()) }).await.unwrap();
        let other = Admin { db: t.another().await, ..a.clone() };
        let mut people = Vec::new();
        for n in 0..20 {
            people.push(person(&a, &format!("p{n}@x.com"), "globex", Role::Member).await);
        }
        // One of them twice.
        people.push(people[0].clone());
        let mut tasks = Vec::new();
        for (n, by) in people.into_iter().enumerate() {
            let (a, link) = (if n % 2 == 0 { a.clone() } else { other.clone() }, text(&made).to_owned());
            tasks.push(tokio::spawn(async move { invites::accept(&a, &by, &link).await }));
        }
        let mut came = 0;
        for task in tasks {
            match task.await.unwrap().unwrap() {
                Ok(_) => came += 1,
                Err(closed) => assert!(matches!(why::<()>(Err(closed)), Refused::UsedUp | Refused::AcceptedBefore)),
            }
        }
        assert_eq!(came, 3);
        assert_eq!(invites::list(&a, &boss, "acme").await.unwrap()[0].row.used, 3);
        assert_eq!(users::members(&a, &boss, "acme").await.unwrap().len(), 4);
        assert_eq!(keys::list(&a, &boss, "acme").await.unwrap().len(), 3);
        other.db.close().await;
    })
    .await;
}
