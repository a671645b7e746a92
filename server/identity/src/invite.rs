//! Invite links: somebody who may, lets others in with a part of what they may themselves.
//!
//! What comes of an invite is never more than inviter ∩ role, and that is asked three times: when it is made (asking for more is
//! refused, so that nobody believes to have given it), when it is accepted (what the inviter lost meanwhile is taken out), and at every
//! use of the key that it made (what the inviter or the holder lost since is taken out).
//!
//! Looking at a link changes nothing, so that the bots of chat programs may; only the POST of a signed-in person accepts.
//! [`store::invites::take`] decides who was in time, in one transaction with the membership and the key.
use std::borrow::Cow;

use kernel::{
    OrgId, Permissions, Role, Selection, TimeDelta, Timestamp, ToolRule, UserId,
    policy::{ceiling, of_role},
};
use store::registry::Snapshot;

/// How long an invite lasts if nobody says.
pub const LIFE: TimeDelta = TimeDelta::days(7);
/// How long it lasts at most.
pub const LONGEST: TimeDelta = TimeDelta::days(30);
/// How many may use one invite at most; one if nobody says.
pub const MOST_USES: i64 = 100;
/// The highest role that an invite gives.
pub const HIGHEST: Role = Role::Member;
/// Who may invite.
pub const INVITES: Role = Role::Admin;

/// What a person may do in an organization now: the role, and permissions within it where more than the role limits them. None of it
/// where the person is disabled or has left: then there is no `Power`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Power {
    pub role: Role,
    pub permissions: Cow<'static, Permissions>,
}
impl Power {
    /// Of somebody who is limited by the role alone.
    pub fn of(role: Role) -> Self {
        Self { role, permissions: Cow::Borrowed(ceiling(role)) }
    }
}

/// What somebody may do in an organization, as the registry has it. None for who is disabled or no member, operators included: an invite
/// is vouched for by somebody of the organization.
pub(crate) fn standing(snapshot: &Snapshot, org: OrgId, user: UserId) -> Option<Power> {
    let active = snapshot.user(user).is_some_and(|user| user.active);
    active.then(|| snapshot.role(org, user)).flatten().map(Power::of)
}

/// What an inviter asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub role: Role,
    pub permissions: Permissions,
    /// How many persons may accept it, 1 to 100.
    pub uses: i64,
    /// From now on, up to 30 days.
    pub life: TimeDelta,
}

/// An invite, as it is stored (with the hash of its text).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    pub role: Role,
    pub permissions: Permissions,
    pub expires_at: Timestamp,
    pub max_uses: i64,
    pub used: i64,
    pub revoked_at: Option<Timestamp>,
}

/// Why an invite is not made, shown or accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("only administrators and owners may invite; ask one of them")]
    MayNotInvite,
    #[error("an invite gives at most the role member; change the role after the person has joined")]
    RoleTooHigh,
    #[error("the invite would give more than you may do yourself, or than its role may: {0}; leave that out")]
    Beyond(String),
    #[error("an invite can be used 1 to 100 times and lasts up to 30 days; choose within that")]
    OutOfRange,
    #[error("the invite has expired; ask for a new one")]
    Expired,
    #[error("the invite was revoked; ask who sent it")]
    Revoked,
    #[error("the invite was used up; ask for a new one")]
    UsedUp,
    #[error("you accepted this invite before; its key is in your list of keys")]
    AcceptedBefore,
    #[error("whoever made the invite may not invite any more; ask an administrator for a new one")]
    InviterLost,
}

/// Makes an invite.
///
/// # Errors
/// Refuses what is more than inviter ∩ role: nothing is left out silently.
pub fn make(inviter: &Power, offer: &Offer, now: Timestamp) -> Result<Invite, Refused> {
    if inviter.role < INVITES {
        return Err(Refused::MayNotInvite);
    }
    if offer.role > HIGHEST {
        return Err(Refused::RoleTooHigh);
    }
    if !(1..=MOST_USES).contains(&offer.uses) || offer.life <= TimeDelta::zero() || offer.life > LONGEST {
        return Err(Refused::OutOfRange);
    }
    let mut beyond = offer.permissions.beyond(&of_role(&inviter.permissions, inviter.role));
    // Of the role, All (or all but some) means all that the role may; what is named must be among it.
    let role = ceiling(offer.role);
    let categories = &offer.permissions.categories;
    if matches!(categories, Selection::Only(_)) && !categories.within(&role.categories) {
        beyond.push("categories of the role");
    }
    let tools = &offer.permissions.tools;
    if matches!(tools, ToolRule::Allow(_)) && !tools.within(&role.tools) {
        beyond.push("tools of the role");
    }
    if !beyond.is_empty() {
        return Err(Refused::Beyond(beyond.join(", ")));
    }
    let permissions = of_role(&offer.permissions, offer.role);
    Ok(Invite { role: offer.role, permissions, expires_at: now + offer.life, max_uses: offer.uses, used: 0, revoked_at: None })
}

/// Whether the page may show what an invite offers. Changes nothing.
///
/// # Errors
/// [`Refused::Revoked`], [`Refused::Expired`], [`Refused::UsedUp`].
pub fn look(invite: &Invite, now: Timestamp) -> Result<(), Refused> {
    if invite.revoked_at.is_some() {
        return Err(Refused::Revoked);
    }
    if invite.expires_at <= now {
        return Err(Refused::Expired);
    }
    if invite.used >= invite.max_uses {
        return Err(Refused::UsedUp);
    }
    Ok(())
}

/// What accepting does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The role to join with; none for members, whose role an invite never changes.
    pub joins_as: Option<Role>,
    /// The ceiling and the permissions of the key that is made.
    pub key_role: Role,
    pub permissions: Permissions,
}

/// Accepts an invite, for the signed-in person who posts. `inviter` is what its maker may do now, `member` the person's role in the
/// organization now.
///
/// # Errors
/// Refuses as [`look`] does, and where the inviter lost the right to invite or the person accepted before.
pub fn accept(
    invite: &Invite,
    inviter: Option<&Power>,
    member: Option<Role>,
    accepted_before: bool,
    now: Timestamp,
) -> Result<Accepted, Refused> {
    if accepted_before {
        return Err(Refused::AcceptedBefore);
    }
    look(invite, now)?;
    // Stored rows are read as strictly as requests.
    let role = invite.role.min(HIGHEST);
    let key_role = member.map_or(role, |held| held.min(role));
    let lives = lived(role, &invite.permissions, inviter, Some(key_role)).ok_or(Refused::InviterLost)?;
    Ok(Accepted { joins_as: member.is_none().then_some(role), key_role, permissions: lives.permissions.into_owned() })
}

/// What a key that an invite made may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lives<'a> {
    pub role: Role,
    /// Borrowed where nothing has to be taken out.
    pub permissions: Cow<'a, Permissions>,
}

/// What a key that an invite made may do now, with the inviter's power and the holder's role of now. None where either has left or is
/// disabled, or the inviter may not invite any more: the key is dead until an administrator takes the invite over.
pub fn lived<'a>(key_role: Role, key: &'a Permissions, inviter: Option<&Power>, holder: Option<Role>) -> Option<Lives<'a>> {
    let inviter = inviter.filter(|i| i.role >= INVITES)?;
    let role = key_role.min(holder?).min(inviter.role);
    let mut permissions = Cow::Borrowed(key);
    if !permissions.within(&inviter.permissions) {
        permissions = Cow::Owned(permissions.and(&inviter.permissions));
    }
    for role in [inviter.role, role] {
        if !permissions.within(ceiling(role)) {
            permissions = Cow::Owned(of_role(&permissions, role));
        }
    }
    Some(Lives { role, permissions })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kernel::Category;
    use proptest::prelude::*;

    use super::*;

    const CATEGORIES: [Category; 3] = [Category::Orm, Category::Sql, Category::Shell];
    const TOOLS: [&str; 4] = ["read", "unlink", "execute_sql", "restore_database"];

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|i| (*i).to_owned()).collect()
    }
    fn categories(of: &[Category]) -> Selection<Category> {
        Selection::only(of.iter().copied())
    }
    fn power(role: Role, permissions: Permissions) -> Power {
        Power { role, permissions: Cow::Owned(permissions) }
    }
    fn admin() -> Power {
        Power::of(Role::Admin)
    }
    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }
    fn offer(role: Role, permissions: Permissions) -> Offer {
        Offer { role, permissions, uses: 1, life: LIFE }
    }
    fn invite(role: Role) -> Invite {
        make(&admin(), &offer(role, Permissions::all()), at(0)).unwrap()
    }
    /// Whether permissions let a call through: what `decide` asks, in small.
    fn permits(p: &Permissions, call: &(usize, usize, bool, usize, i64, usize)) -> bool {
        let (category, tool, writes, model, company, method) = *call;
        let (model, method) =
            (["res.partner", "sale.order"][model], ["res.partner.name_search", "sale.order.action_confirm"][method]);
        p.category(CATEGORIES[category])
            && p.tools.permits(TOOLS[tool])
            && !(p.read_only && writes)
            && p.models.contains(model)
            && p.companies.contains(&company)
            && (!p.restricted() || p.methods.contains(method))
    }
    fn any_set(of: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
        proptest::sample::subsequence(of, 0..=of.len()).prop_map(|s| set(&s))
    }
    fn any_permissions() -> impl Strategy<Value = Permissions> {
        (
            prop_oneof![Just(Selection::All), proptest::sample::subsequence(&CATEGORIES[..], 0..=3).prop_map(Selection::only)],
            prop_oneof![Just(ToolRule::All), any_set(&TOOLS).prop_map(ToolRule::Allow), any_set(&TOOLS).prop_map(ToolRule::Deny)],
            prop_oneof![Just(Selection::All), any_set(&["res.partner", "sale.order"]).prop_map(Selection::Only)],
            any_set(&["res.partner.name_search", "sale.order.action_confirm"]),
            prop_oneof![Just(Selection::All), proptest::sample::subsequence(&[1_i64, 2][..], 0..=2).prop_map(Selection::only)],
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(|(categories, tools, models, methods, companies, read_only, auto_context)| Permissions {
                categories,
                tools,
                models,
                methods,
                companies,
                read_only,
                auto_context,
                ..Permissions::all()
            })
    }
    fn any_call() -> impl Strategy<Value = (usize, usize, bool, usize, i64, usize)> {
        (0_usize..3, 0_usize..4, any::<bool>(), 0_usize..2, 1_i64..3, 0_usize..2)
    }
    fn any_role() -> impl Strategy<Value = Role> {
        proptest::sample::select(Role::ALL)
    }

    #[test]
    fn escalation_is_refused_when_an_invite_is_made() {
        for role in [Role::Viewer, Role::Member] {
            let refused = make(&Power::of(role), &offer(Role::Viewer, Permissions::all()), at(0));
            assert_eq!(refused, Err(Refused::MayNotInvite));
        }
        for role in [Role::Admin, Role::Owner] {
            assert_eq!(make(&admin(), &offer(role, Permissions::all()), at(0)), Err(Refused::RoleTooHigh));
        }
        let few = Permissions {
            categories: categories(&[Category::Orm]),
            tools: ToolRule::Deny(set(&["unlink"])),
            models: Selection::Only(set(&["res.partner"])),
            read_only: true,
            ..Permissions::all()
        };
        let limited = power(Role::Admin, few.clone());
        let refused = make(&limited, &offer(Role::Member, Permissions::all()), at(0)).unwrap_err();
        assert_eq!(refused, Refused::Beyond("categories, tools, models, writing".into()));
        assert!(make(&limited, &offer(Role::Member, few), at(0)).is_ok());
        let shell = Permissions { categories: categories(&[Category::Orm, Category::Shell]), ..Permissions::all() };
        let restore = Permissions { tools: ToolRule::Allow(set(&["read", "restore_database"])), ..Permissions::all() };
        for (more, what) in [(shell, "categories of the role"), (restore, "tools of the role")] {
            assert_eq!(make(&admin(), &offer(Role::Member, more), at(0)), Err(Refused::Beyond(what.into())));
        }
        for (uses, life) in
            [(0, LIFE), (-1, LIFE), (101, LIFE), (1, TimeDelta::zero()), (1, TimeDelta::days(31)), (1, TimeDelta::days(-1))]
        {
            let offer = Offer { uses, life, ..offer(Role::Viewer, Permissions::all()) };
            assert_eq!(make(&admin(), &offer, at(0)), Err(Refused::OutOfRange), "{uses} {life}");
        }
    }

    #[test]
    fn escalation_is_refused_when_an_invite_is_used() {
        let invite = invite(Role::Member);
        let use_by = |inviter: Option<&Power>, member| accept(&invite, inviter, member, false, at(1));
        assert_eq!(use_by(None, None), Err(Refused::InviterLost));
        for role in [Role::Viewer, Role::Member] {
            assert_eq!(use_by(Some(&power(role, Permissions::all())), None), Err(Refused::InviterLost), "{role:?}");
        }
        // What the inviter lost since is not given.
        let lost = power(Role::Admin, Permissions { categories: categories(&[Category::Orm]), ..Permissions::all() });
        assert_eq!(use_by(Some(&lost), None).unwrap().permissions.categories, categories(&[Category::Orm]));
        // A row that was tampered with gives no more than a member.
        let forged = Invite { role: Role::Owner, permissions: Permissions::all(), ..invite.clone() };
        let accepted = accept(&forged, Some(&admin()), None, false, at(1)).unwrap();
        assert_eq!((accepted.joins_as, accepted.key_role), (Some(Role::Member), Role::Member));
        assert!(accepted.permissions.within(ceiling(Role::Member)));
    }

    #[test]
    fn a_members_role_is_never_changed_by_an_invite() {
        for (held, offered, key) in [
            (Role::Viewer, Role::Member, Role::Viewer),
            (Role::Admin, Role::Viewer, Role::Viewer),
            (Role::Owner, Role::Member, Role::Member),
            (Role::Member, Role::Member, Role::Member),
        ] {
            let accepted = accept(&invite(offered), Some(&admin()), Some(held), false, at(1)).unwrap();
            assert_eq!((accepted.joins_as, accepted.key_role), (None, key), "{held:?} {offered:?}");
            assert!(accepted.permissions.within(ceiling(key)));
        }
        let new = accept(&invite(Role::Viewer), Some(&admin()), None, false, at(1)).unwrap();
        assert_eq!((new.joins_as, new.key_role, new.permissions.read_only), (Some(Role::Viewer), Role::Viewer, true));
    }

    #[test]
    fn an_invite_is_used_as_often_and_as_long_as_it_says() {
        let mut invite = invite(Role::Viewer);
        assert_eq!(look(&invite, at(0)), Ok(()));
        assert_eq!(look(&invite, at(0) + LIFE), Err(Refused::Expired));
        assert_eq!(accept(&invite, Some(&admin()), None, true, at(1)), Err(Refused::AcceptedBefore));
        for bot in 0..10 {
            look(&invite, at(bot)).unwrap();
        }
        assert_eq!(invite.used, 0, "looking uses nothing");
        invite.used = 1;
        assert_eq!(accept(&invite, Some(&admin()), None, false, at(1)), Err(Refused::UsedUp));
        invite.revoked_at = Some(at(0));
        assert_eq!(look(&invite, at(1)), Err(Refused::Revoked));
    }

    #[test]
    fn a_key_of_an_invite_shrinks_and_dies_with_its_inviter_and_its_holder() {
        let key = accept(&invite(Role::Member), Some(&admin()), None, false, at(1)).unwrap();
        let live = |inviter: Option<&Power>, holder| lived(key.key_role, &key.permissions, inviter, holder);
        assert_eq!(live(None, Some(Role::Member)), None);
        assert_eq!(live(Some(&admin()), None), None);
        let whole = live(Some(&admin()), Some(Role::Member)).unwrap();
        assert!(whole.role == Role::Member && matches!(whole.permissions, Cow::Borrowed(_)));
        for role in [Role::Viewer, Role::Member] {
            assert_eq!(live(Some(&power(role, Permissions::all())), Some(Role::Member)), None, "{role}");
        }
        let limited = power(Role::Admin, Permissions { read_only: true, ..Permissions::all() });
        assert!(live(Some(&limited), Some(Role::Member)).unwrap().permissions.read_only);
        let sunk = live(Some(&admin()), Some(Role::Viewer)).unwrap();
        assert!(sunk.role == Role::Viewer && sunk.permissions.read_only && sunk.permissions.within(ceiling(Role::Viewer)));
        // The holder's rise changes nothing.
        assert_eq!(live(Some(&admin()), Some(Role::Owner)).unwrap().role, Role::Member);
    }

    #[test]
    fn what_is_no_matter_of_roles_reaches_the_key() {
        let given = Permissions {
            methods: set(&["sale.order.action_confirm"]),
            rate_per_minute: Some(500),
            auto_context: true,
            addresses: Selection::only(["192.0.2.0/24".parse().unwrap()]),
            ..Permissions::all()
        };
        let made = make(&admin(), &offer(Role::Member, given.clone()), at(0)).unwrap();
        let key = accept(&made, Some(&admin()), None, false, at(1)).unwrap().permissions;
        let lives = lived(Role::Member, &key, Some(&admin()), Some(Role::Member)).unwrap().permissions;
        for p in [&made.permissions, &key, &*lives] {
            assert_eq!((&p.methods, p.rate_per_minute, p.auto_context), (&given.methods, Some(500), true));
            assert_eq!(p.addresses, given.addresses);
        }
    }

    #[test]
    fn empty_sets_stay_empty() {
        let none = Permissions { categories: Selection::only([]), tools: ToolRule::Allow(set(&[])), ..Permissions::all() };
        let met = none.and(&Permissions::all());
        assert_eq!((met.categories, met.tools), (Selection::only([]), ToolRule::Allow(set(&[]))));
        assert!(none.within(&Permissions::all()) && !Permissions::all().within(&none));
    }

    proptest! {
        #[test]
        fn no_invite_ever_gives_more_than_its_inviter_or_its_role(
            made_by in (any_role(), any_permissions()), now in (any_role(), any_permissions()), later in (any_role(), any_permissions()),
            offered in (any_role(), any_permissions()), member in proptest::option::of(any_role()), call in any_call(),
            whole in any::<[bool; 3]>(),
        ) {
            // Two at random seldom lie in each other.
            let power = |(role, permissions): (Role, Permissions), whole| if whole { Power::of(role) } else { power(role, permissions) };
            let (made_by, now, later) = (power(made_by, whole[0]), power(now, whole[1]), power(later, whole[2]));
            let can = |p: &Power, call| permits(&p.permissions, call) && permits(&of_role(&p.permissions, p.role), call);
            let Ok(invite) = make(&made_by, &offer(offered.0, offered.1), at(0)) else { return Ok(()) };
            prop_assert!(made_by.role >= Role::Admin && invite.role <= Role::Member);
            prop_assert!(invite.permissions.within(ceiling(invite.role)));
            prop_assert!(!permits(&invite.permissions, &call) || can(&made_by, &call));
            let Ok(key) = accept(&invite, Some(&now), member, false, at(1)) else { return Ok(()) };
            prop_assert!(now.role >= Role::Admin && key.key_role <= invite.role && member.is_none_or(|m| key.key_role <= m && key.joins_as.is_none()));
            prop_assert!(key.permissions.within(ceiling(key.key_role)) && key.permissions.within(&invite.permissions));
            prop_assert!(!permits(&key.permissions, &call) || can(&now, &call));
            let holder = member.unwrap_or(invite.role);
            if let Some(lives) = lived(key.key_role, &key.permissions, Some(&later), Some(holder)) {
                prop_assert!(later.role >= Role::Admin && lives.permissions.within(&key.permissions));
                prop_assert!(!permits(&lives.permissions, &call) || (can(&later, &call) && permits(&key.permissions, &call)));
            }
        }
    }
}
