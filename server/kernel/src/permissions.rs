//! What a key carries. Every set is [`Selection::All`] or [`Selection::Only`]; an empty set grants nothing.
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    Category, InstanceId, policy,
    resource::{self, ModelRule},
};

/// Calls per minute of a key that says nothing else, as it is unless the installation is told otherwise.
pub const USUAL_RATE: u32 = 100;

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
impl<T: Ord + Clone> Selection<T> {
    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, of) | (of, Self::All) => of.clone(),
            (Self::Only(a), Self::Only(b)) => Self::Only(a & b),
        }
    }
    /// Whether `other` has everything that is in this, at any time: no list is as good as all.
    pub fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(a), Self::Only(b)) => a.is_subset(b),
        }
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
    /// What both permit.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, rule) | (rule, Self::All) => rule.clone(),
            (Self::Allow(a), Self::Allow(b)) => Self::Allow(a & b),
            (Self::Allow(yes), Self::Deny(no)) | (Self::Deny(no), Self::Allow(yes)) => Self::Allow(yes - no),
            (Self::Deny(a), Self::Deny(b)) => Self::Deny(a | b),
        }
    }
    /// Whether `other` permits everything that this does, later tools included.
    pub fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::Allow(a), b) => a.iter().all(|tool| b.permits(tool)),
            (Self::Deny(a), Self::Deny(b)) => b.is_subset(a),
            (Self::All, Self::Deny(b)) => b.is_empty(),
            (Self::All | Self::Deny(_), Self::Allow(_)) => false,
        }
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
    /// Whether tools of the category are permitted. CSV is another form of reading and creating records: whoever may do these may do it.
    pub fn category(&self, category: Category) -> bool {
        self.categories.contains(&category) || (category == Category::Export && self.categories.contains(&Category::Orm))
    }
    /// A restricted key without a list of tools: the strong tools are not for it, since none of them is named.
    fn names_nothing(&self) -> bool {
        self.restricted() && !matches!(self.tools, ToolRule::Allow(_))
    }

    /// What both permit, and no more. An organization's resources are not looked at: they limit all keys alike.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        // Every member is named, so that a new one is decided here.
        let Self { categories, instances, tools, models, methods, companies, read_only, addresses, .. } = self;
        let Self { rate_per_minute, auto_context, rules, .. } = self;
        let mut categories = categories.and(&other.categories);
        // The one may have records and the other CSV.
        if let Selection::Only(set) = &mut categories
            && !set.contains(&Category::Orm)
            && self.category(Category::Export)
            && other.category(Category::Export)
        {
            set.insert(Category::Export);
        }
        let mut tools = tools.and(&other.tools);
        // A list names strong tools for its own side alone: it does not make them permitted to a restricted side that has no list.
        if (self.names_nothing() || other.names_nothing())
            && let ToolRule::Allow(named) = &mut tools
        {
            named.retain(|name| !policy::STRONG_TOOLS.contains(&name.as_str()));
            let weak = |c: &Category| categories.contains(c) && !policy::STRONG_CATEGORIES.contains(c);
            categories = Selection::Only(Category::ALL.iter().copied().filter(weak).collect());
        }
        // Only a restricted key is held to its methods, so that those of an unrestricted one say nothing.
        let methods = match (self.restricted(), other.restricted()) {
            (true, false) => methods.clone(),
            (false, true) => other.methods.clone(),
            _ => methods & &other.methods,
        };
        Self {
            categories,
            instances: instances.and(&other.instances),
            tools,
            models: models.and(&other.models),
            methods,
            companies: companies.and(&other.companies),
            read_only: *read_only || other.read_only,
            addresses: both_networks(addresses, &other.addresses),
            rate_per_minute: lesser(*rate_per_minute, other.rate_per_minute),
            auto_context: *auto_context && other.auto_context,
            rules: resource::both_rules(rules, &other.rules),
        }
    }

    /// Names what is permitted beyond `other`; empty where nothing more is. What cannot be told to be within counts as beyond. As in
    /// [`Permissions::and`], an organization's resources are not looked at.
    pub fn beyond(&self, other: &Self) -> Vec<&'static str> {
        let Self { categories, instances, tools, models, methods, companies, read_only, addresses, .. } = self;
        let Self { rate_per_minute, auto_context, rules, .. } = self;
        let more_categories = match (categories, &other.categories) {
            (_, Selection::All) => false,
            (Selection::All, Selection::Only(_)) => true,
            (Selection::Only(_), Selection::Only(_)) => Category::ALL.iter().any(|c| self.category(*c) && !other.category(*c)),
        };
        let strong = other.names_nothing()
            && matches!(tools, ToolRule::Allow(named) if policy::STRONG_TOOLS.iter().any(|name| named.contains(*name))
                || policy::STRONG_CATEGORIES.iter().any(|c| self.category(*c)));
        [
            (more_categories, "categories"),
            (!instances.within(&other.instances), "instances"),
            (!tools.within(&other.tools) || strong, "tools"),
            (!models.within(&other.models), "models"),
            (self.restricted() && other.restricted() && !methods.is_subset(&other.methods), "methods"),
            (!companies.within(&other.companies), "companies"),
            (other.read_only && !read_only, "writing"),
            (!networks_within(addresses, &other.addresses), "addresses"),
            (usual(*rate_per_minute) > usual(other.rate_per_minute), "rate"),
            (*auto_context && !other.auto_context, "auto-context"),
            (!resource::rules_within(rules, &other.rules), "rules"),
        ]
        .into_iter()
        .filter_map(|(more, name)| more.then_some(name))
        .collect()
    }
    /// Whether nothing is permitted beyond `other`.
    pub fn within(&self, other: &Self) -> bool {
        self.beyond(other).is_empty()
    }
}

/// Of two networks one lies in the other, or they have nothing in common.
fn both_networks(a: &Selection<IpNet>, b: &Selection<IpNet>) -> Selection<IpNet> {
    let (Selection::Only(x), Selection::Only(y)) = (a, b) else { return a.and(b) };
    let pairs = x.iter().flat_map(|x| y.iter().map(move |y| (x, y)));
    let narrower = |(x, y): (&IpNet, &IpNet)| {
        if x.contains(y) { Some(*y) } else { y.contains(x).then_some(*x) }
    };
    Selection::Only(pairs.filter_map(narrower).collect())
}
fn networks_within(a: &Selection<IpNet>, b: &Selection<IpNet>) -> bool {
    let (Selection::Only(x), Selection::Only(y)) = (a, b) else { return a.within(b) };
    x.iter().all(|x| y.iter().any(|y| y.contains(x)))
}

fn usual(rate: Option<u32>) -> u32 {
    rate.unwrap_or(USUAL_RATE)
}
/// The lesser rate; where that is the usual one, it stays left to the installation.
fn lesser(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (None, Some(n)) | (Some(n), None) if n < USUAL_RATE => Some(n),
        _ => None,
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
