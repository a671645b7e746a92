use std::collections::BTreeSet;

use backends::odoo::{AccessRight, ModelAccess};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::RecordId,
    contract::{self as tool, *},
    users::{Groups, Who},
};

/// Show what an Odoo user may do with a model: can_read, can_write, can_create, can_unlink, the groups that grant it, and the record rules that narrow it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserAccessRights {
    user_id: RecordId,
    model: String,
    /// Adds the access lists and rules themselves
    #[serde(default)]
    detail: bool,
}
#[expect(clippy::struct_excessive_bools, reason = "Odoo's four rights by their names")]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rights {
    pub user: Who,
    pub model: String,
    pub can_read: bool,
    pub can_write: bool,
    pub can_create: bool,
    pub can_unlink: bool,
    pub granting_groups: PerRight<Vec<String>>,
    /// Which records a right reaches.
    pub records: PerRight<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_lists: Option<Vec<Line>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_rules: Option<Vec<Rule>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct PerRight<T> {
    pub read: T,
    pub write: T,
    pub create: T,
    pub unlink: T,
}
impl<T> PerRight<T> {
    fn of(value: impl Fn(AccessRight) -> T) -> Self {
        Self {
            read: value(AccessRight::Read),
            write: value(AccessRight::Write),
            create: value(AccessRight::Create),
            unlink: value(AccessRight::Unlink),
        }
    }
}
/// One line of the model's access lists.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Line {
    pub id: i64,
    pub name: String,
    /// Absent: everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    pub permits: Vec<&'static str>,
    /// Whether the user has the group.
    pub applies: bool,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rule {
    pub id: i64,
    pub name: String,
    /// Where it differs from the model asked for, that one is made of it.
    pub model: String,
    /// Empty: everybody.
    pub groups: Vec<String>,
    pub applies_to: Vec<&'static str>,
    /// A Python expression over user, company_ids and so on, as it stands in Odoo.
    pub domain_force: String,
    pub applies: bool,
}
impl Answer for Rights {}

/// Odoo's own, who is asked for nothing.
const SUPERUSER: i64 = 1;
/// Models that decide some of it in Python.
const IN_PYTHON: [&str; 4] = ["ir.attachment", "mail.activity", "mail.message", "res.users"];

/// Which records the rules leave, in words.
fn reach(access: &ModelAccess, user: i64, groups: &BTreeSet<i64>, right: AccessRight, model: &str) -> String {
    let rules: Vec<_> = access.rules_for(user, groups, right).collect();
    let (own, borrowed): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| rule.model == model);
    let all = own.iter().filter(|rule| rule.groups.is_empty()).count();
    let any = own.len() - all;
    let mut parts = Vec::new();
    match all {
        0 => {}
        1 => parts.push("the rule for everybody".to_owned()),
        n => parts.push(format!("all {n} rules for everybody")),
    }
    match any {
        0 => {}
        1 => parts.push("the rule of the user's groups".to_owned()),
        n => parts.push(format!("one of the {n} rules of the user's groups")),
    }
    if !borrowed.is_empty() {
        let mut models: Vec<&str> = borrowed.iter().map(|rule| rule.model.as_str()).collect();
        models.dedup();
        parts.push(format!("the rules of {}", models.join(", ")));
    }
    if parts.is_empty() { "all records".to_owned() } else { format!("records that match {}", parts.join(" and ")) }
}
impl ReadTool for UserAccessRights {
    type Answer = Rights;
    async fn call(self, cx: &ReadCx) -> Result<Rights> {
        let odoo = cx.odoo()?;
        let user = odoo.user(self.user_id.0).await?;
        let access = odoo.model_access(&self.model).await?;
        let groups = Groups::of(odoo).await?;
        let mine = odoo.membership(user.id).await?.effective;
        let effective = access.of(user.id, &mine);
        let can = |right: AccessRight| effective.permitted.contains(&right);
        let granted = |right: AccessRight| {
            let mut names: Vec<String> = effective
                .granted_by
                .get(&right)
                .into_iter()
                .flatten()
                .map(|group| group.map_or_else(|| "everybody".to_owned(), |id| groups.name(id)))
                .collect();
            names.sort();
            names
        };
        let mut notes = Vec::new();
        if user.id == SUPERUSER {
            notes.push("This is Odoo's superuser: neither access lists nor rules are asked for it.".to_owned());
        }
        if !user.active {
            notes.push("The user is archived: it cannot sign in, whatever it may do.".to_owned());
        }
        if IN_PYTHON.contains(&self.model.as_str()) {
            notes.push(format!("{} also decides in Python, which is not seen here.", self.model));
        }
        let words = |rights: &BTreeSet<AccessRight>| rights.iter().map(|right| right.as_str()).collect::<Vec<_>>();
        let lines = || {
            let line = |line: &backends::odoo::AccessLine| Line {
                id: line.id,
                name: line.name.clone(),
                group: line.group.map(|id| groups.name(id)),
                permits: words(&line.permits),
                applies: line.group.is_none_or(|id| mine.contains(&id)),
            };
            access.lines.iter().map(line).collect()
        };
        let rules = || {
            let rule = |rule: &backends::odoo::RecordRule| Rule {
                id: rule.id,
                name: rule.name.clone(),
                model: rule.model.clone(),
                groups: rule.groups.iter().map(|id| groups.name(*id)).collect(),
                applies_to: words(&rule.applies_to),
                domain_force: rule.domain.clone(),
                applies: user.id != SUPERUSER && (rule.groups.is_empty() || !rule.groups.is_disjoint(&mine)),
            };
            access.rules.iter().map(rule).collect()
        };
        Ok(Rights {
            can_read: can(AccessRight::Read),
            can_write: can(AccessRight::Write),
            can_create: can(AccessRight::Create),
            can_unlink: can(AccessRight::Unlink),
            granting_groups: PerRight::of(granted),
            records: PerRight::of(|right| {
                if can(right) { reach(&access, user.id, &mine, right, &self.model) } else { "none".to_owned() }
            }),
            access_lists: self.detail.then(lines),
            record_rules: self.detail.then(rules),
            user: Who::from(&user),
            model: self.model,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<UserAccessRights>("Access rights of a user").lifting(&["res.users", "res.groups"]);

#[cfg(test)]
mod tests {
    use backends::odoo::RecordRule;

    use super::*;

    #[test]
    fn what_rules_leave_is_said_in_words() {
        let rule = |id: i64, model: &str, groups: &[i64]| RecordRule {
            id,
            name: String::new(),
            model: model.to_owned(),
            groups: groups.iter().copied().collect(),
            applies_to: BTreeSet::from([AccessRight::Read]),
            domain: String::new(),
        };
        let access = ModelAccess {
            lines: vec![],
            rules: vec![rule(1, "m", &[]), rule(2, "m", &[5]), rule(3, "m", &[5, 6]), rule(4, "m", &[7]), rule(5, "p", &[])],
        };
        let groups = BTreeSet::from([5]);
        let told = |user, right| reach(&access, user, &groups, right, "m");
        assert_eq!(
            told(7, AccessRight::Read),
            "records that match the rule for everybody and one of the 2 rules of the user's groups and the rules of p"
        );
        assert_eq!(told(7, AccessRight::Write), "all records");
        assert_eq!(told(SUPERUSER, AccessRight::Read), "all records");
    }
}
