//! What a key carries. Every set is [`Selection::All`] or [`Selection::Only`]; an empty set grants nothing.
use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Category, InstanceId};

/// All, or only the named ones. Deleting the last member leaves an empty `Only`, which grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection<T: Ord> {
    All,
    Only(BTreeSet<T>),
}
impl<T: Ord> Selection<T> {
    pub fn only(items: impl IntoIterator<Item = T>) -> Self {
        Self::Only(items.into_iter().collect())
    }
    pub fn contains<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        match self {
            Self::All => true,
            Self::Only(set) => set.contains(item),
        }
    }
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
}
impl<T: Ord> Default for Selection<T> {
    /// Fail closed: what nobody chose grants nothing.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

/// A list of tools to allow, or to deny. A denied tool stays denied whatever the categories say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolRule {
    All,
    Allow(BTreeSet<String>),
    Deny(BTreeSet<String>),
}
impl ToolRule {
    pub fn permits(&self, tool: &str) -> bool {
        match self {
            Self::All => true,
            Self::Allow(set) => set.contains(tool),
            Self::Deny(set) => !set.contains(tool),
        }
    }
    /// Whether the tool is named by an allow list (a restricted key needs that for the strong tools).
    pub fn names(&self, tool: &str) -> bool {
        matches!(self, Self::Allow(set) if set.contains(tool))
    }
}

/// Everything that limits a key beside its owner's role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    pub categories: Selection<Category>,
    pub instances: Selection<InstanceId>,
    pub tools: ToolRule,
    /// Odoo models. Anything but `All` makes the key *restricted*.
    pub models: Selection<String>,
    /// `model.method` names that a restricted key may run by execute_method.
    pub methods: BTreeSet<String>,
    /// Odoo company ids. Anything but `All` makes the key *restricted*.
    pub companies: Selection<i64>,
    pub read_only: bool,
    /// Networks that the key may be used from.
    pub addresses: Selection<IpNet>,
    /// Calls per minute; none means the default of the façade.
    pub rate_per_minute: Option<u32>,
    pub auto_context: bool,
}
impl Permissions {
    /// Everything that the owner may do: what leaving out every flag of `key create` means.
    pub fn all() -> Self {
        Self {
            categories: Selection::All,
            instances: Selection::All,
            tools: ToolRule::All,
            models: Selection::All,
            methods: BTreeSet::new(),
            companies: Selection::All,
            read_only: false,
            addresses: Selection::All,
            rate_per_minute: None,
            auto_context: false,
        }
    }
    /// A restricted key is refused what could pass by its limits: raw SQL, code, files, and unlisted methods.
    pub fn restricted(&self) -> bool {
        !self.models.is_all() || !self.companies.is_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_set_grants_nothing_and_survives_the_store() {
        let none: Selection<Category> = Selection::only([]);
        assert!(!none.contains(&Category::Orm));
        let text = serde_json::to_string(&Permissions { categories: none.clone(), ..Permissions::all() }).unwrap();
        assert_eq!(serde_json::from_str::<Permissions>(&text).unwrap().categories, none);
    }

    #[test]
    fn removing_the_last_member_does_not_turn_only_into_all() {
        let Selection::Only(mut set) = Selection::only(["a".to_owned()]) else { panic!() };
        set.remove("a");
        assert!(!Selection::Only(set).contains("a"));
    }

    #[test]
    fn unknown_permissions_are_an_error_not_ignored() {
        let mut value = serde_json::to_value(Permissions::all()).unwrap();
        value["future"] = true.into();
        assert!(serde_json::from_value::<Permissions>(value).is_err());
    }
}
