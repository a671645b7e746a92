//! What somebody may do, in words that come from what decides: [`kernel::policy::most`] is asked about every tool.
use std::collections::BTreeSet;

use identity::oauth::scope::{Scope, Scopes};
use kernel::{Access, Category, Changes, Facts, Permissions, Role, Selection, Timestamp, policy};

use crate::{
    parts::Instance,
    permission::{Permission, Power, Reach},
    strings::category,
};

/// What reaches past records: named by itself, and not missed where "everything" is said.
const PAST_RECORDS: [Category; 3] = [Category::Sql, Category::Shell, Category::Files];

/// A tool, as pages offer it.
#[derive(Debug, Clone, Copy)]
pub struct Offered {
    pub facts: Facts,
    pub title: &'static str,
}

/// What is allowed, and to whom.
pub(crate) struct Allowed<'a> {
    /// A client's or key's name.
    pub who: &'a str,
    pub for_whom: &'a str,
    pub permissions: &'a Permissions,
    /// The owner's, now.
    pub role: Role,
    pub scopes: &'a Scopes,
}

pub(crate) fn permission(tools: &[Offered], allowed: &Allowed<'_>, instances: &[kernel::Instance], now: Timestamp) -> Permission {
    let Allowed { who, for_whom, permissions, role, scopes } = allowed;
    let restricted = permissions.restricted();
    let most = |facts: &Facts| policy::most(*role, permissions, scopes.ceiling(), restricted, facts);
    let (mut reads, mut changes, mut powers) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut deletes = false;
    for tool in tools.iter().filter(|tool| tool.facts.on_instance()) {
        let Some(access) = most(&tool.facts) else { continue };
        let writes = access > Access::Read && tool.facts.changes == Changes::Instance;
        reads.insert(tool.facts.category);
        if writes {
            changes.insert(tool.facts.category);
        }
        deletes |= tool.facts.name == "unlink" && access == Access::Destructive;
        let power = match (tool.facts.category, tool.facts.name) {
            (Category::Sql, _) => Some(Power::Sql),
            (Category::Shell, _) => Some(Power::Shell),
            (Category::Files, _) => Some(Power::Files),
            (Category::Modules, _) if writes => Some(Power::Modules),
            (_, "restore_database") => Some(Power::Restore),
            (_, "impersonate_user") => Some(Power::Impersonate),
            (_, "set_user_active" | "set_user_groups" | "set_user_password") => Some(Power::Users),
            _ => None,
        };
        if let Some(power) = power.filter(|power| !powers.contains(power)) {
            powers.push(power);
        }
    }
    if scopes.contains(Scope::Admin) {
        powers.push(Power::Admin);
    }
    let seen: Vec<&kernel::Instance> = instances.iter().filter(|i| permissions.instances.contains(&i.id)).collect();
    let open = |i: &&&kernel::Instance| i.writable(now) && i.state == kernel::InstanceState::Active;
    let listed = |list: Vec<&kernel::Instance>| list.into_iter().map(Instance::of).collect::<Vec<_>>();
    let reach = |list: Vec<&kernel::Instance>| match permissions.instances {
        Selection::All => Reach::All,
        Selection::Only(_) if list.is_empty() => Reach::Nowhere,
        Selection::Only(_) => Reach::Only(listed(list)),
    };
    // What reaches no instance reaches nothing by other ways either.
    if seen.is_empty() && !permissions.instances.is_all() {
        powers.retain(|power| *power == Power::Admin);
    }
    let guarded = if changes.is_empty() { Vec::new() } else { listed(seen.iter().filter(|i| !open(i)).copied().collect()) };
    let changes_at = if changes.is_empty() { Reach::Nowhere } else { reach(seen.iter().filter(open).copied().collect()) };
    Permission {
        who: (*who).to_owned(),
        for_whom: (*for_whom).to_owned(),
        reads: if reads.is_empty() { Reach::Nowhere } else { reach(seen.clone()) },
        changes: changes_at,
        deletes,
        read_only_in: nouns(&reads, |category| tools.iter().any(|t| t.facts.category == category)),
        changes_only_in: nouns(&changes, |category| {
            tools
                .iter()
                .any(|t| t.facts.category == category && t.facts.access > Access::Read && t.facts.changes == Changes::Instance)
        }),
        guarded,
        powers,
        acts_as: None,
        until: None,
    }
}

/// The nouns of categories; none where nothing that could be there is missing but what is named as a power.
fn nouns(found: &BTreeSet<Category>, there: impl Fn(Category) -> bool) -> Option<Vec<String>> {
    let missing = |c: &&Category| there(**c) && **c != Category::Platform && !PAST_RECORDS.contains(c) && !found.contains(c);
    if !Category::ALL.iter().any(|c| missing(&c)) {
        return None;
    }
    Some(found.iter().filter(|c| !PAST_RECORDS.contains(c)).map(|c| category::noun(c.as_str())).collect())
}
