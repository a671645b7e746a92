//! What the tools about users share: how groups are named, what replacing them would change, and what stands against it.
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use backends::odoo::{Membership, Reader, User, UserGroup};
use kernel::{ExposeSecret as _, SecretString};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::contract::{Code, Fault, Plan, Refusal, refusal};

type Result<T, E = Fault> = std::result::Result<T, E>;

/// Who may do everything, and who may make itself that.
const SETTINGS: &str = "base.group_system";
const ACCESS_RIGHTS: &str = "base.group_erp_manager";
/// A user has exactly one of these.
const TYPES: [(&str, &str); 3] =
    [("base.group_user", "internal"), ("base.group_portal", "portal"), ("base.group_public", "public")];
/// Names in one plan.
const EXAMPLES: usize = 10;

/// A password that is to be set. Never shown, not even by an error about it.
pub struct Password(pub SecretString);
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}
impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        const RULE: &str = "a text of 8 to 1000 characters, without spaces around it and without control characters";
        let Value::String(text) = Value::deserialize(d)? else { return Err(D::Error::custom(RULE)) };
        let length = text.chars().count();
        // Odoo's own forms cut spaces off: such a password could not be typed in.
        if !(8..=1000).contains(&length) || text.trim() != text || text.chars().any(char::is_control) {
            return Err(D::Error::custom(RULE));
        }
        Ok(Self(SecretString::from(text)))
    }
}
impl Password {
    pub fn is(&self, other: &str) -> bool {
        self.0.expose_secret() == other
    }
}
impl JsonSchema for Password {
    fn schema_name() -> Cow<'static, str> {
        "Password".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 8})
    }
}

/// Groups by XML id or id, mixed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupNames(Vec<GroupName>);
#[derive(Debug, Clone, PartialEq, Eq)]
enum GroupName {
    Id(i64),
    XmlId(String),
}
impl<'de> Deserialize<'de> for GroupNames {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("this is a list of XML ids and ids such as [\"base.group_user\", 12]");
        let items = match Value::deserialize(d)? {
            Value::Array(items) => items,
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(Value::Array(items)) => items,
                _ => text.split(',').map(|t| Value::from(t.trim())).filter(|t| t != "").collect(),
            },
            one @ Value::Number(_) => vec![one],
            _ => return Err(wrong()),
        };
        if items.len() > 500 {
            return Err(D::Error::custom("at most 500 groups"));
        }
        let name = |item: &Value| match item {
            Value::Number(_) => item.as_i64().filter(|id| *id > 0).map(GroupName::Id),
            Value::String(text) => {
                let text = text.trim();
                match text.parse::<i64>() {
                    Ok(id) if id > 0 => Some(GroupName::Id(id)),
                    Ok(_) => None,
                    Err(_) if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) => None,
                    Err(_) => Some(GroupName::XmlId(text.to_owned())),
                }
            }
            _ => None,
        };
        items.iter().map(name).collect::<Option<_>>().map(Self).ok_or_else(wrong)
    }
}
impl JsonSchema for GroupNames {
    fn schema_name() -> Cow<'static, str> {
        "GroupNames".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": {}})
    }
}

/// A user, in answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Who {
    pub id: i64,
    pub login: String,
    pub name: String,
    pub active: bool,
}
impl From<&User> for Who {
    fn from(user: &User) -> Self {
        Self { id: user.id, login: user.login.clone(), name: user.name.clone(), active: user.active }
    }
}
/// `Ann Smith (ann@example.com, id 7)`
pub fn called(user: &User) -> String {
    format!("{} ({}, id {})", user.name, user.login, user.id)
}

/// A group of a user, in answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GroupLine {
    pub id: i64,
    pub full_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xml_id: Option<String>,
    /// The application or privilege that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// explicit, or implied by another group
    pub membership: &'static str,
}

/// All groups of an instance, by id.
pub struct Groups(BTreeMap<i64, UserGroup>);
impl Groups {
    pub async fn of(odoo: &Reader) -> Result<Self> {
        Ok(Self(odoo.all_groups().await?.into_iter().map(|group| (group.id, group)).collect()))
    }
    fn by_xml_id(&self, xml_id: &str) -> Option<i64> {
        self.0.values().find(|group| group.is(xml_id)).map(|group| group.id)
    }
    /// `Sales / Administrator (sales_team.group_sale_manager)`
    pub fn name(&self, id: i64) -> String {
        match self.0.get(&id) {
            Some(group) => match group.xml_ids.first() {
                Some(xml_id) => format!("{} ({xml_id})", group.name),
                None => format!("{} (id {id})", group.name),
            },
            None => format!("group {id}"),
        }
    }
    fn names<'a>(&self, ids: impl IntoIterator<Item = &'a i64>) -> Vec<String> {
        let mut names: Vec<String> = ids.into_iter().map(|id| self.name(*id)).collect();
        names.sort();
        names
    }
    /// These groups and all that they imply.
    fn closure(&self, ids: &BTreeSet<i64>) -> BTreeSet<i64> {
        let implied = ids.iter().filter_map(|id| self.0.get(id)).flat_map(|group| &group.implies);
        ids.iter().chain(implied).copied().collect()
    }
    /// Whether another of these groups implies it.
    fn implied_among(&self, id: i64, ids: &BTreeSet<i64>) -> bool {
        ids.iter().any(|other| *other != id && self.0.get(other).is_some_and(|group| group.implies.contains(&id)))
    }
    /// internal, portal or public; none or several where something is wrong.
    pub fn user_type(&self, ids: &BTreeSet<i64>) -> String {
        let types: Vec<&str> = TYPES
            .iter()
            .filter(|(xml_id, _)| self.by_xml_id(xml_id).is_some_and(|id| ids.contains(&id)))
            .map(|(_, t)| *t)
            .collect();
        if types.is_empty() { "none".to_owned() } else { types.join(", ") }
    }
    /// The groups of a user, by name.
    pub fn lines(&self, of: &Membership) -> Vec<GroupLine> {
        let mut lines: Vec<GroupLine> = of
            .effective
            .iter()
            .map(|id| {
                let group = self.0.get(id);
                let explicit = if of.told_apart { of.given.contains(id) } else { !self.implied_among(*id, &of.given) };
                GroupLine {
                    id: *id,
                    full_name: group.map_or_else(|| format!("group {id}"), |g| g.name.clone()),
                    xml_id: group.and_then(|g| g.xml_ids.first().cloned()),
                    category: group.and_then(|g| g.category.clone()),
                    membership: if explicit { "explicit" } else { "implied" },
                }
            })
            .collect();
        lines.sort_by(|a, b| (&a.full_name, a.id).cmp(&(&b.full_name, b.id)));
        lines
    }

    /// The ids of groups; unknown ones are refused with the nearest.
    fn resolve(&self, names: &GroupNames) -> Result<BTreeSet<i64>, Refusal> {
        let mut found = BTreeSet::new();
        let mut unknown = Vec::new();
        let mut near = Vec::new();
        for name in &names.0 {
            match name {
                GroupName::Id(id) if self.0.contains_key(id) => {
                    found.insert(*id);
                }
                GroupName::Id(id) => unknown.push(id.to_string()),
                GroupName::XmlId(xml_id) => {
                    let known = self.by_xml_id(xml_id);
                    found.extend(known);
                    if known.is_none() {
                        near.extend(self.near(xml_id));
                        unknown.push(format!("{xml_id:?}"));
                    }
                }
            }
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        near.dedup();
        near.truncate(6);
        let next = if near.is_empty() {
            "user_groups tells the groups that a user has; search_read on res.groups tells all of them.".to_owned()
        } else {
            format!("Did you mean {}?", near.join(", "))
        };
        unknown.truncate(10);
        Err(refusal(Code::NotFound, format!("groups: there is no group {} here.", unknown.join(", "))).next(next))
    }
    /// At most three groups whose XML id or name is close to what was written.
    fn near(&self, written: &str) -> Vec<String> {
        let written = written.to_lowercase();
        let mut scored: Vec<(f64, String)> = Vec::new();
        for group in self.0.values() {
            let texts = group.xml_ids.iter().map(String::as_str).chain([group.name.as_str()]);
            let score = texts
                .map(|text| {
                    let text = text.to_lowercase();
                    let last = text.rsplit(['.', '/']).next().unwrap_or_default().trim();
                    let holds = written.len() >= 4 && (text.contains(&written) || last == written);
                    strsim::jaro_winkler(&written, &text).max(if holds { 0.95 } else { 0.0 })
                })
                .fold(0.0, f64::max);
            if score > 0.85 {
                scored.push((score, self.name(group.id)));
            }
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// What replacing the groups of a user comes to.
pub struct Change {
    pub user: User,
    pub groups: Groups,
    /// Asked for.
    pub wanted: BTreeSet<i64>,
    /// With what those imply.
    pub expected: BTreeSet<i64>,
    pub before: Membership,
    pub added: BTreeSet<i64>,
    pub removed: BTreeSet<i64>,
}
impl Change {
    /// Looks what would change, and refuses what must not.
    pub async fn of(odoo: &Reader, user: i64, names: &GroupNames) -> Result<Self> {
        if names.0.is_empty() {
            return Err(refusal(Code::InvalidArgument, "groups is empty: a user without groups can do nothing in Odoo.")
                .next("Name all groups that the user is to have, one of base.group_user, base.group_portal and base.group_public among them; set_user_active deactivates a user.")
                .into());
        }
        let user = odoo.user(user).await?;
        odoo.not_protected(&user, "given other groups").await?;
        let groups = Groups::of(odoo).await?;
        let wanted = groups.resolve(names)?;
        let expected = groups.closure(&wanted);
        groups.one_type(&wanted, &expected)?;
        let before = odoo.membership(user.id).await?;
        let added = expected.difference(&before.effective).copied().collect();
        let removed = before.effective.difference(&expected).copied().collect();
        let change = Self { user, groups, wanted, expected, before, added, removed };
        if odoo.user_id().await? == change.user.id {
            change.keeps_ocore_in()?;
        }
        Ok(change)
    }
    /// The user that ocore signs in as must keep what ocore needs to undo this.
    fn keeps_ocore_in(&self) -> Result<(), Refusal> {
        let lost = [SETTINGS, ACCESS_RIGHTS]
            .into_iter()
            .filter_map(|xml_id| self.groups.by_xml_id(xml_id))
            .find(|id| self.removed.contains(id));
        let Some(lost) = lost else { return Ok(()) };
        Err(refusal(
            Code::RecordDenied,
            format!(
                "{} is the user that ocore itself signs in as here; without {} ocore could neither manage users nor undo this.",
                self.user.login,
                self.groups.name(lost)
            ),
        )
        .next("Keep that group in the list, or make the change in Odoo itself."))
    }
    pub fn plan(&self) -> Plan {
        let (added, removed) = (self.groups.names(&self.added), self.groups.names(&self.removed));
        let mut lines: Vec<String> =
            added.iter().map(|name| format!("+ {name}")).chain(removed.iter().map(|name| format!("- {name}"))).collect();
        let mut warnings = self.loud();
        if lines.len() > EXAMPLES {
            let rest = lines.split_off(EXAMPLES);
            warnings.push(format!("And {} more: {}.", rest.len(), rest.join("; ")));
        }
        let implied = self.groups.names(self.expected.difference(&self.wanted));
        if !implied.is_empty() {
            warnings.push(format!("Implied by the groups asked for, and so given as well: {}.", implied.join(", ")));
        }
        if added.is_empty() && removed.is_empty() {
            warnings.push("The user has just these groups already.".to_owned());
        }
        // What was added and removed is part of what is confirmed: another difference is another plan.
        let ids = [self.user.id].into_iter().chain(self.added.iter().copied()).chain(self.removed.iter().map(|id| -id)).collect();
        Plan {
            summary: format!(
                "Would replace the groups of {}: {} added, {} removed, {} kept",
                called(&self.user),
                added.len(),
                removed.len(),
                self.expected.len() - added.len()
            ),
            affected: 1,
            examples: lines,
            warnings,
            ids,
        }
    }
    /// What somebody must not overlook.
    pub fn loud(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let gets = |xml_id: &str| self.groups.by_xml_id(xml_id).is_some_and(|id| self.added.contains(&id));
        let loses = |xml_id: &str| self.groups.by_xml_id(xml_id).is_some_and(|id| self.removed.contains(&id));
        if gets(SETTINGS) {
            warnings.push(format!(
                "WARNING: this makes {} an ADMINISTRATOR of Odoo (Administration / Settings): settings, modules, all users and code.",
                self.user.login
            ));
        } else if gets(ACCESS_RIGHTS) {
            warnings.push(format!(
                "WARNING: with Administration / Access Rights {} manages users and groups, and so can make itself administrator.",
                self.user.login
            ));
        }
        if loses(SETTINGS) {
            warnings.push(format!("{} will no longer be an administrator of Odoo.", self.user.login));
        }
        let (before, after) = (self.groups.user_type(&self.before.effective), self.groups.user_type(&self.expected));
        if before != after {
            warnings.push(format!("The user's type changes from {before} to {after}."));
        }
        if !self.user.active {
            warnings.push("The user is archived: the groups count once it is active again.".to_owned());
        }
        warnings
    }
    /// The names of groups, sorted.
    pub fn names<'a>(&self, ids: impl IntoIterator<Item = &'a i64>) -> Vec<String> {
        self.groups.names(ids)
    }
}
impl Groups {
    /// Internal, portal and public exclude each other, and every user is one of them.
    fn one_type(&self, wanted: &BTreeSet<i64>, expected: &BTreeSet<i64>) -> Result<(), Refusal> {
        let types: Vec<(i64, &str, &str)> =
            TYPES.iter().filter_map(|(xml_id, kind)| Some((self.by_xml_id(xml_id)?, *xml_id, *kind))).collect();
        // Where the credential may not read external ids there is nothing to compare with; Odoo still checks by itself.
        if types.len() < TYPES.len() {
            return Ok(());
        }
        let found: Vec<&(i64, &str, &str)> = types.iter().filter(|(id, ..)| expected.contains(id)).collect();
        let refused = |message: String| {
            Err(refusal(Code::InvalidArgument, message)
                .next("A user is internal (base.group_user), portal (base.group_portal) or public (base.group_public), exactly one of them: name one, and only groups that go with it."))
        };
        match found.as_slice() {
            [_] => Ok(()),
            [] => refused("groups: none of these groups makes the user internal, portal or public.".to_owned()),
            several => {
                let why: Vec<String> = several
                    .iter()
                    .map(|(id, xml_id, kind)| {
                        let by: Vec<String> = wanted
                            .iter()
                            .filter(|w| *w != id && self.0.get(w).is_some_and(|g| g.implies.contains(id)))
                            .map(|w| self.name(*w))
                            .take(3)
                            .collect();
                        if wanted.contains(id) {
                            format!("{kind} ({xml_id})")
                        } else {
                            format!("{kind} (implied by {})", by.join(", "))
                        }
                    })
                    .collect();
                refused(format!("groups: a user cannot be {} at once.", why.join(" and ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(id: i64, xml_id: &str, name: &str, implies: &[i64]) -> (i64, UserGroup) {
        let xml_ids = if xml_id.is_empty() { vec![] } else { vec![xml_id.to_owned()] };
        (id, UserGroup { id, name: name.to_owned(), category: None, xml_ids, implies: implies.iter().copied().collect() })
    }
    fn groups() -> Groups {
        Groups(BTreeMap::from([
            group(1, "base.group_user", "User types / Internal User", &[9]),
            group(2, "base.group_portal", "User types / Portal", &[]),
            group(3, "base.group_public", "User types / Public", &[]),
            group(4, SETTINGS, "Administration / Settings", &[5, 1, 9]),
            group(5, ACCESS_RIGHTS, "Administration / Access Rights", &[1, 9]),
            group(6, "sales_team.group_sale_manager", "Sales / Administrator", &[1, 9]),
            group(7, "", "Made by hand", &[2]),
            group(9, "base.group_no_one", "Technical Features", &[]),
        ]))
    }
    fn named(value: Value) -> GroupNames {
        serde_json::from_value(value).unwrap()
    }
    fn change(before: &[i64], wanted: &[i64]) -> Change {
        let groups = groups();
        let wanted: BTreeSet<i64> = wanted.iter().copied().collect();
        let expected = groups.closure(&wanted);
        let effective: BTreeSet<i64> = before.iter().copied().collect();
        let before = Membership { given: effective.clone(), effective, told_apart: false };
        let (added, removed) = (
            expected.difference(&before.effective).copied().collect(),
            before.effective.difference(&expected).copied().collect(),
        );
        let user = User { id: 8, login: "ann".to_owned(), name: "Ann".to_owned(), active: true, share: false };
        Change { user, groups, wanted, expected, before, added, removed }
    }

    #[test]
    fn groups_are_named_by_xml_id_or_id() {
        let all = groups();
        for names in [
            json!(["base.group_user", 6]),
            json!(["1", "sales_team.group_sale_manager"]),
            json!("base.group_user, 6"),
            json!("[1, 6]"),
        ] {
            assert_eq!(all.resolve(&named(names)).unwrap(), BTreeSet::from([1, 6]));
        }
        let unknown = all.resolve(&named(json!(["base.group_usr", 77]))).unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
        assert!(unknown.message.contains("base.group_usr") && unknown.message.contains("77"), "{unknown:?}");
        assert!(unknown.next.contains("base.group_user"), "{unknown:?}");
        let by_name = all.resolve(&named(json!(["Administration / Settings"]))).unwrap_err();
        assert!(by_name.next.contains(SETTINGS), "{by_name:?}");
        let by_last = all.resolve(&named(json!(["group_sale_manager"]))).unwrap_err();
        assert!(by_last.next.contains("sales_team.group_sale_manager"), "{by_last:?}");
        for bad in [json!([-1]), json!([0]), json!([true]), json!([[1]]), json!(["a\u{0}b"]), json!({"a": 1}), json!(["-3"])] {
            assert!(serde_json::from_value::<GroupNames>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn exactly_one_type() {
        let all = groups();
        let check = |ids: &[i64]| {
            let wanted: BTreeSet<i64> = ids.iter().copied().collect();
            all.one_type(&wanted, &all.closure(&wanted))
        };
        assert!(check(&[1]).is_ok() && check(&[6]).is_ok() && check(&[2]).is_ok() && check(&[7]).is_ok());
        assert!(check(&[9]).unwrap_err().message.contains("none"));
        let both = check(&[6, 7]).unwrap_err().message;
        assert!(both.contains("implied by Sales / Administrator") && both.contains("implied by Made by hand"), "{both}");
        assert!(check(&[1, 3]).unwrap_err().message.contains("internal (base.group_user) and public"));
    }

    #[test]
    fn a_plan_names_what_comes_and_goes_and_is_loud_about_administrators() {
        let plan = change(&[1, 9, 6], &[4]).plan();
        assert!(plan.summary.contains("Ann (ann, id 8): 2 added, 1 removed, 2 kept"), "{plan:?}");
        assert!(plan.examples.iter().any(|e| e == "+ Administration / Settings (base.group_system)"), "{plan:?}");
        assert!(plan.examples.iter().any(|e| e.starts_with("- Sales / Administrator")), "{plan:?}");
        assert!(plan.warnings.iter().any(|w| w.contains("ADMINISTRATOR")), "{plan:?}");
        assert_eq!(plan.ids, [8, 4, 5, -6]);
        let demoted = change(&[1, 4, 5, 9], &[2]).plan();
        assert!(demoted.warnings.iter().any(|w| w.contains("from internal to portal")), "{demoted:?}");
        assert!(demoted.warnings.iter().any(|w| w.contains("no longer be an administrator")), "{demoted:?}");
        let same = change(&[1, 9], &[1]).plan();
        assert!(same.warnings.iter().any(|w| w.contains("already")), "{same:?}");
    }

    #[test]
    fn the_user_of_ocore_keeps_its_rights() {
        assert_eq!(change(&[1, 4, 5, 9], &[1]).keeps_ocore_in().unwrap_err().code, Code::RecordDenied);
        assert!(change(&[1, 4, 5, 9], &[1, 5]).keeps_ocore_in().is_err());
        assert!(change(&[1, 4, 5, 6, 9], &[4]).keeps_ocore_in().is_ok());
    }

    #[test]
    fn explicit_and_implied() {
        let all = groups();
        let stored = Membership { given: BTreeSet::from([1, 6, 9]), effective: BTreeSet::from([1, 6, 9]), told_apart: false };
        let of = |m: &Membership| all.lines(m).into_iter().map(|l| (l.id, l.membership)).collect::<BTreeMap<_, _>>();
        assert_eq!(of(&stored), BTreeMap::from([(1, "implied"), (6, "explicit"), (9, "implied")]));
        let told = Membership { given: BTreeSet::from([1, 6]), effective: BTreeSet::from([1, 6, 9]), told_apart: true };
        assert_eq!(of(&told), BTreeMap::from([(1, "explicit"), (6, "explicit"), (9, "implied")]));
        assert_eq!(all.user_type(&told.effective), "internal");
    }

    #[test]
    fn passwords_are_long_enough_and_never_repeated() {
        for good in ["12345678", "pässwörter", "🔑🔑🔑🔑🔑🔑🔑🔑", "with space in it"] {
            assert!(serde_json::from_value::<Password>(json!(good)).unwrap().is(good));
        }
        for bad in [
            json!("1234567"),
            json!("🔑🔑🔑"),
            json!(" 12345678"),
            json!("1234\u{0}5678"),
            json!(1_234_567_890_i64),
            json!("x".repeat(1001)),
            json!(["secretsecret"]),
        ] {
            let error = serde_json::from_value::<Password>(bad.clone()).unwrap_err().to_string();
            assert!(error.contains("8 to 1000") && !error.contains("1234567") && !error.contains("secretsecret"), "{error}");
        }
        let shown = format!("{:?}", serde_json::from_value::<Password>(json!("hunter22")).unwrap());
        assert!(!shown.contains("hunter22"));
    }
}
