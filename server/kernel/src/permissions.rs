//! What a key carries. Every set is [`Selection::All`] or [`Selection::Only`]; an empty set grants nothing.
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Category, InstanceId, resource::ModelRule};

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
///
/// # The stored form
/// Keys are stored with this as JSON, and read by processes that are older or newer than the one that wrote them. What cannot be read
/// grants nothing: an unknown member may be a limit that this process does not know how to keep, so it is an error and the key is dead
/// here. So that an upgrade kills no key, a member that is added after the first release
/// - is `#[serde(default)]`, and its default is what keys had before there was such a member (no policy on fields, no filter on records,
///   the instance's own credential, nothing granted);
/// - is left out of the text where it has that value (`skip_serializing_if`): older processes go on reading keys that do not use it, and
///   refuse those that do.
///
/// The members of the first release are always written, and none of them has a default: without one of them the text is no permissions.
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
    /// Calls per minute; none means the default of the façade, and is written as null.
    #[serde(deserialize_with = "Option::deserialize")]
    pub rate_per_minute: Option<u32>,
    pub auto_context: bool,
    /// Which fields and records of a model the key sees, beside what the organization's resources say. Any makes the key *restricted*.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, ModelRule>,
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
            rules: BTreeMap::new(),
        }
    }
    /// Nothing at all: what a key has whose stored permissions cannot be read. Names every member, so that a new one is decided here.
    pub fn nothing() -> Self {
        Self {
            categories: Selection::default(),
            instances: Selection::default(),
            tools: ToolRule::Allow(BTreeSet::new()),
            models: Selection::default(),
            methods: BTreeSet::new(),
            companies: Selection::default(),
            read_only: true,
            addresses: Selection::default(),
            rate_per_minute: Some(1),
            auto_context: false,
            rules: BTreeMap::new(),
        }
    }
    /// A restricted key is refused what could pass by its limits: raw SQL, code, files, and unlisted methods.
    pub fn restricted(&self) -> bool {
        !self.models.is_all() || !self.companies.is_all() || !self.rules.is_empty()
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

    /// As the first release writes them. Never changed: such texts stand in stores.
    const FIRST: &str = r#"{"categories":"all","instances":"all","tools":"all","models":"all","methods":[],"companies":"all","read_only":false,"addresses":"all","rate_per_minute":null,"auto_context":false}"#;
    const FIRST_LIMITED: &str = r#"{"categories":{"only":["orm"]},"instances":{"only":[]},"tools":{"deny":["unlink"]},"models":{"only":["res.partner"]},"methods":["res.partner.name_search"],"companies":{"only":[1]},"read_only":true,"addresses":{"only":["192.0.2.0/24"]},"rate_per_minute":7,"auto_context":true}"#;

    #[test]
    fn texts_of_the_first_release_are_read_and_written_as_ever() {
        let limited = Permissions {
            categories: Selection::only([Category::Orm]),
            instances: Selection::only([]),
            tools: ToolRule::Deny(BTreeSet::from(["unlink".into()])),
            models: Selection::only(["res.partner".into()]),
            methods: BTreeSet::from(["res.partner.name_search".into()]),
            companies: Selection::only([1]),
            read_only: true,
            addresses: Selection::only(["192.0.2.0/24".parse().unwrap()]),
            rate_per_minute: Some(7),
            auto_context: true,
            rules: BTreeMap::new(),
        };
        for (text, meant) in [(FIRST, Permissions::all()), (FIRST_LIMITED, limited)] {
            assert_eq!(serde_json::from_str::<Permissions>(text).unwrap(), meant, "newer processes read old keys");
            assert_eq!(serde_json::to_string(&meant).unwrap(), text, "older processes read new keys that use nothing new");
        }
    }

    #[test]
    fn rules_are_read_back_and_dead_where_they_are_not_known() {
        let rule = ModelRule {
            fields: crate::resource::FieldPolicy::Deny(BTreeSet::from(["email".into()])),
            filter: Some(crate::resource::Filter::parse("[('user_id', '=', 7)]").unwrap()),
            ..ModelRule::open()
        };
        let ruled = Permissions { rules: BTreeMap::from([("res.partner".into(), rule)]), ..Permissions::all() };
        assert!(ruled.restricted());
        let text = serde_json::to_string(&ruled).unwrap();
        assert_eq!(serde_json::from_str::<Permissions>(&text).unwrap(), ruled);
        for (from, to) in [("\"can_read\"", "\"may_read\""), ("\"deny\"", "\"hide\""), ("\"=\"", "\"any\"")] {
            assert!(serde_json::from_str::<Permissions>(&text.replace(from, to)).is_err(), "{from}");
        }
    }

    #[test]
    fn no_member_of_the_first_release_may_be_missing() {
        let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(FIRST).unwrap();
        for name in whole.keys() {
            let mut text = whole.clone();
            text.remove(name);
            assert!(serde_json::from_value::<Permissions>(text.into()).is_err(), "without {name}");
        }
    }

    #[test]
    fn nothing_grants_nothing() {
        let nothing = Permissions::nothing();
        assert!(Category::ALL.iter().all(|c| !nothing.categories.contains(c)));
        assert!(!nothing.tools.permits("search_read") && nothing.restricted() && nothing.read_only);
        assert!(!nothing.models.contains("res.partner") && !nothing.companies.contains(&1) && !nothing.addresses.is_all());
    }

    #[test]
    fn unknown_permissions_are_an_error_not_ignored() {
        let mut value = serde_json::to_value(Permissions::all()).unwrap();
        value["future"] = true.into();
        assert!(serde_json::from_value::<Permissions>(value).is_err());
    }
}
