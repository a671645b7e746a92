//! Users, their groups and what those permit: read in the words of every version, and the three changes that only dedicated
//! tools make. The users that Odoo itself stands on are protected here, so that no tool can forget it.
use std::collections::{BTreeMap, BTreeSet};

use kernel::{Code, ExposeSecret as _, Fault, SecretString, redact, refusal};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    Reader, Result, Writer,
    dialect::{self, Arg, Context, Request},
    error::{Failure, Kind},
};

const USERS: &str = "res.users";
const GROUPS: &str = "res.groups";
/// The users that Odoo makes for itself: the superuser, the first administrator, the visitor of a website, and what new users
/// are copied from.
const SYSTEM_USERS: [&str; 5] = ["default_user", "public_user", "template_portal_user_id", "user_admin", "user_root"];
/// Their ids in a fresh database; protected whatever their XML ids say.
const SYSTEM_IDS: std::ops::RangeInclusive<i64> = 1..=3;
/// Odoo's own user, for whom nothing is checked.
const SUPERUSER: i64 = 1;
/// Groups, access lists and rules are some hundreds in the largest databases.
const MOST_ROWS: u64 = 20_000;

#[derive(Debug, Clone)]
pub struct User {
    pub id: i64,
    pub login: String,
    pub name: String,
    pub active: bool,
    /// No employee: a portal user or a website's visitor.
    pub share: bool,
}

#[derive(Debug, Clone)]
pub struct UserGroup {
    pub id: i64,
    /// With its category: `Sales / Administrator`.
    pub name: String,
    pub category: Option<String>,
    /// The first is the best known; a group that was made in Odoo has none.
    pub xml_ids: Vec<String>,
    /// The groups that it implies, directly or not, without itself.
    pub implies: BTreeSet<i64>,
}
impl UserGroup {
    pub fn is(&self, xml_id: &str) -> bool {
        self.xml_ids.iter().any(|x| x == xml_id)
    }
}

/// The groups of one user.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    /// Given to it. Up to Odoo 18 what these imply is stored among them.
    pub given: BTreeSet<i64>,
    /// All that count.
    pub effective: BTreeSet<i64>,
    /// Whether `given` holds what was given alone (19).
    pub told_apart: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessRight {
    Read,
    Write,
    Create,
    Unlink,
}
impl AccessRight {
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Create, Self::Unlink];
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
            Self::Unlink => "unlink",
        }
    }
}

/// One line of a model's access list.
#[derive(Debug, Clone)]
pub struct AccessLine {
    pub id: i64,
    pub name: String,
    /// None is everybody.
    pub group: Option<i64>,
    pub permits: BTreeSet<AccessRight>,
}
/// One record rule.
#[derive(Debug, Clone)]
pub struct RecordRule {
    pub id: i64,
    pub name: String,
    /// The model that it stands on, or a model that this one is made of (`res.partner` for `res.users`).
    pub model: String,
    /// None is everybody: such rules all hold at once. Of the others one that a group of the user has is enough.
    pub groups: BTreeSet<i64>,
    pub applies_to: BTreeSet<AccessRight>,
    /// Python over `user`, `company_ids` and so on; empty is every record.
    pub domain: String,
}
/// What stands in Odoo about who may do what with a model. Inactive lines are left out.
#[derive(Debug, Clone, Default)]
pub struct ModelAccess {
    pub lines: Vec<AccessLine>,
    pub rules: Vec<RecordRule>,
}

/// What a user may do with a model, as Odoo computes it from lists and rules.
#[derive(Debug, Clone, Default)]
pub struct Effective {
    pub permitted: BTreeSet<AccessRight>,
    /// By right, the groups that grant it; none stands for everybody.
    pub granted_by: BTreeMap<AccessRight, BTreeSet<Option<i64>>>,
}
impl ModelAccess {
    /// Odoo adds up: one line that permits is enough. The superuser is asked for nothing.
    pub fn of(&self, user: i64, groups: &BTreeSet<i64>) -> Effective {
        let mut effective = Effective::default();
        for line in self.lines.iter().filter(|l| l.group.is_none_or(|g| groups.contains(&g))) {
            for right in &line.permits {
                effective.permitted.insert(*right);
                effective.granted_by.entry(*right).or_default().insert(line.group);
            }
        }
        if user == SUPERUSER {
            effective.permitted.extend(AccessRight::ALL);
        }
        effective
    }
    /// The rules that hold for the user's records under this right: those for everybody, and those of its groups.
    pub fn rules_for<'a>(
        &'a self,
        user: i64,
        groups: &'a BTreeSet<i64>,
        right: AccessRight,
    ) -> impl Iterator<Item = &'a RecordRule> {
        self.rules.iter().filter(move |rule| {
            user != SUPERUSER && rule.applies_to.contains(&right) && (rule.groups.is_empty() || !rule.groups.is_disjoint(groups))
        })
    }
}

/// Odoo's false for an empty text.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
/// The id of a many2one.
pub(super) fn one(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.get(0).and_then(Value::as_i64))
}
/// The name of a many2one.
pub(super) fn one_name(value: &Value) -> Option<String> {
    value.get(1).and_then(Value::as_str).map(str::to_owned)
}
fn ids(value: Option<&Value>) -> BTreeSet<i64> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect()
}

impl Reader {
    /// Typed records, archived ones too, of a search that the handles themselves ask for. The caller checks the scope.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        model: &str,
        domain: &Value,
        fields: &[&str],
        order: &str,
        limit: u64,
    ) -> Result<Vec<T>, Failure> {
        let context = Context { active_test: Some(false), ..self.sent().clone() };
        let args = [Arg::Value(domain)];
        let kwargs = [("fields", Arg::Words(fields)), ("limit", Arg::Number(limit)), ("order", Arg::Text(order))];
        let request =
            Request { model, method: "search_read", ids: None, args: &args, kwargs: &kwargs, context: &context, write: false };
        self.send(&request).await
    }
    pub(super) async fn find_or_tell<T: DeserializeOwned>(
        &self,
        model: &str,
        domain: &Value,
        fields: &[&str],
        order: &str,
        limit: u64,
    ) -> Result<Vec<T>> {
        match self.find(model, domain, fields, order, limit).await {
            Ok(rows) => Ok(rows),
            Err(failure) => Err(self.tell(failure, model, "search_read").await),
        }
    }

    /// A user, archived or not.
    pub async fn user(&self, id: i64) -> Result<User> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
            login: Value,
            name: Value,
            #[serde(default)]
            active: bool,
            #[serde(default)]
            share: bool,
        }
        self.scope().readable(USERS)?;
        let domain = json!([["id", "=", id]]);
        let rows: Vec<Row> = self.find_or_tell(USERS, &domain, &["login", "name", "active", "share"], "id", 1).await?;
        let Some(row) = rows.into_iter().next() else {
            return Err(refusal(Code::NotFound, format!("There is no user {id} that this credential may see."))
                .next("list_users tells the users and their ids; active: \"all\" shows archived ones too.")
                .into());
        };
        Ok(User { id: row.id, login: text(&row.login), name: text(&row.name), active: row.active, share: row.share })
    }

    /// Why a user is protected, if it is: Odoo made it for itself, and stops working in parts without it.
    pub async fn protected(&self, user: i64) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            res_id: i64,
        }
        self.scope().readable(USERS)?;
        let domain = json!([["model", "=", USERS], ["module", "=", "base"], ["name", "in", SYSTEM_USERS]]);
        let name = match self.find::<Row>("ir.model.data", &domain, &["name", "res_id"], "id", 100).await {
            Ok(rows) => rows.into_iter().find(|row| row.res_id == user).map(|row| row.name),
            // Who may not read external ids may still ask for a record's.
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => {
                let told = self.external_ids(USERS, &[user]).await?;
                told.into_values().find_map(|id| {
                    let (module, name) = id.split_once('.')?;
                    (module == "base" && SYSTEM_USERS.contains(&name)).then(|| name.to_owned())
                })
            }
            Err(failure) => return Err(self.tell(failure, "ir.model.data", "search_read").await),
        };
        Ok(match name {
            Some(name) => Some(format!("base.{name}")),
            None if SYSTEM_IDS.contains(&user) => {
                Some(format!("one of the users {} to {}", SYSTEM_IDS.start(), SYSTEM_IDS.end()))
            }
            None => None,
        })
    }

    /// One external id of each record, by id; whoever may know a record may ask.
    async fn external_ids(&self, model: &str, ids: &[i64]) -> Result<BTreeMap<i64, String>> {
        let request = Request {
            model,
            method: "get_external_id",
            ids: Some(ids),
            args: &[],
            kwargs: &[],
            context: self.sent(),
            write: false,
        };
        let told: BTreeMap<String, Value> = self.send_or_tell(&request).await?;
        Ok(told
            .into_iter()
            .filter_map(|(id, name)| Some((id.parse().ok()?, text(&name))))
            .filter(|(_, name)| !name.is_empty())
            .collect())
    }

    /// All groups with their external ids.
    pub async fn all_groups(&self) -> Result<Vec<UserGroup>> {
        #[derive(Deserialize)]
        struct Row {
            module: String,
            name: String,
            res_id: i64,
        }
        self.scope().readable(GROUPS)?;
        let names = dialect::group_fields(self.version().await?);
        let fields = ["full_name", "name", names.category, names.implied];
        let rows: Vec<Map<String, Value>> = self.find_or_tell(GROUPS, &json!([]), &fields, "id", MOST_ROWS).await?;
        let mut xml_ids: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        let domain = json!([["model", "=", GROUPS]]);
        match self.find::<Row>("ir.model.data", &domain, &["module", "name", "res_id"], "id", MOST_ROWS).await {
            Ok(found) => {
                for row in found {
                    xml_ids.entry(row.res_id).or_default().push(format!("{}.{}", row.module, row.name));
                }
            }
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => {
                let all: Vec<i64> = rows.iter().filter_map(|row| row.get("id").and_then(Value::as_i64)).collect();
                for (id, name) in self.external_ids(GROUPS, &all).await? {
                    xml_ids.insert(id, vec![name]);
                }
            }
            Err(failure) => return Err(self.tell(failure, "ir.model.data", "search_read").await),
        }
        // Ids that an export or a person made come last.
        for list in xml_ids.values_mut() {
            list.sort_by_key(|name| name.starts_with("__"));
        }
        let shown = self.scope().shows_names_of(names.category_model);
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let id = row.get("id").and_then(Value::as_i64)?;
                let full = row.get("full_name").map(text).filter(|n| !n.is_empty());
                let mut implies = ids(row.get(names.implied));
                implies.remove(&id);
                Some(UserGroup {
                    id,
                    name: full.unwrap_or_else(|| row.get("name").map(text).unwrap_or_default()),
                    category: row.get(names.category).and_then(one_name).filter(|_| shown),
                    xml_ids: xml_ids.remove(&id).unwrap_or_default(),
                    implies,
                })
            })
            .collect())
    }

    /// The groups of a user.
    pub async fn membership(&self, user: i64) -> Result<Membership> {
        self.scope().readable(USERS)?;
        self.scope().readable(GROUPS)?;
        let names = dialect::group_fields(self.version().await?);
        let fields: &[&str] = if names.tells_given() { &[names.given, names.effective] } else { &[names.given] };
        let domain = json!([["id", "=", user]]);
        let rows: Vec<Map<String, Value>> = self.find_or_tell(USERS, &domain, fields, "id", 1).await?;
        let Some(row) = rows.first() else {
            return Err(refusal(Code::NotFound, format!("There is no user {user} that this credential may see.")).into());
        };
        let given = ids(row.get(names.given));
        let mut effective = ids(row.get(names.effective));
        effective.extend(&given);
        Ok(Membership { effective, given, told_apart: names.tells_given() })
    }

    /// The access list and the record rules of a model, those of the models that it is made of included.
    pub async fn model_access(&self, model: &str) -> Result<ModelAccess> {
        #[derive(Deserialize)]
        struct ModelRow {
            id: i64,
            model: String,
            #[serde(default)]
            inherited_model_ids: Vec<i64>,
        }
        type Row = Map<String, Value>;
        const PERMISSIONS: [&str; 4] = ["perm_read", "perm_write", "perm_create", "perm_unlink"];
        let rights = |row: &Row| -> BTreeSet<AccessRight> {
            let on = |flag: &str| row.get(flag).and_then(Value::as_bool).unwrap_or_default();
            AccessRight::ALL.into_iter().zip(PERMISSIONS).filter(|(_, flag)| on(flag)).map(|(right, _)| right).collect()
        };
        let id_of = |row: &Row| row.get("id").and_then(Value::as_i64).unwrap_or_default();
        let word = |row: &Row, field: &str| row.get(field).map(text).unwrap_or_default();
        for lists in ["ir.model", "ir.model.access", "ir.rule"] {
            self.scope().readable(lists)?;
        }
        kernel::name::identifier("model", model)?;
        // Who may do what with a sealed model is no secret; what a key may not use at all is not told of.
        if !self.scope().models.contains(model) {
            self.scope().readable(model)?;
        }
        let model_fields = ["model", "inherited_model_ids"];
        let mut wanted = json!([["model", "=", model]]);
        let mut models: BTreeMap<i64, String> = BTreeMap::new();
        let mut own = None;
        // The model and, from there on, those whose fields it borrows: their rules hold for it too.
        for _ in 0..8 {
            let found: Vec<ModelRow> = self.find_or_tell("ir.model", &wanted, &model_fields, "id", MOST_ROWS).await?;
            let mut parents = BTreeSet::new();
            for row in found {
                own = own.or(Some(row.id));
                if models.insert(row.id, row.model).is_none() {
                    parents.extend(row.inherited_model_ids);
                }
            }
            parents.retain(|id| !models.contains_key(id));
            if parents.is_empty() {
                break;
            }
            wanted = json!([["id", "in", parents]]);
        }
        let Some(own) = own else {
            let near = self.unknown_model(model).await;
            return Err(near.unwrap_or_else(|| refusal(Code::NotFound, format!("Odoo has no model {model} here."))).into());
        };
        let domain = json!([["model_id", "=", own], ["active", "=", true]]);
        let fields = [&["name", "group_id"][..], &PERMISSIONS].concat();
        let rows: Vec<Row> = self.find_or_tell("ir.model.access", &domain, &fields, "id", MOST_ROWS).await?;
        let line = |row: &Row| AccessLine {
            id: id_of(row),
            name: word(row, "name"),
            group: row.get("group_id").and_then(one),
            permits: rights(row),
        };
        let lines = rows.iter().map(line).collect();
        let mut rules = Vec::new();
        for (id, model) in &models {
            let domain = json!([["model_id", "=", id], ["active", "=", true]]);
            let fields = [&["name", "groups", "domain_force"][..], &PERMISSIONS].concat();
            let rows: Vec<Row> = self.find_or_tell("ir.rule", &domain, &fields, "id", MOST_ROWS).await?;
            rules.extend(rows.iter().map(|row| RecordRule {
                id: id_of(row),
                name: word(row, "name"),
                model: model.clone(),
                groups: ids(row.get("groups")),
                applies_to: rights(row),
                domain: word(row, "domain_force"),
            }));
        }
        Ok(ModelAccess { lines, rules })
    }

    /// How many active scheduled actions run as this user; none where the credential may not know.
    pub async fn jobs_of(&self, user: i64) -> Option<u64> {
        let domain = json!([["user_id", "=", user], ["active", "=", true]]);
        let args = [Arg::Value(&domain)];
        let context = Context::default();
        let request = Request {
            model: "ir.cron",
            method: "search_count",
            ids: None,
            args: &args,
            kwargs: &[],
            context: &context,
            write: false,
        };
        if self.scope().readable("ir.cron").is_err() {
            return None;
        }
        self.send(&request).await.ok()
    }

    /// Refuses what must not be done to a protected user; `what` says what, as in "deactivated".
    pub async fn not_protected(&self, user: &User, what: &str) -> Result<()> {
        let Some(why) = self.protected(user.id).await? else { return Ok(()) };
        Err(refusal(
            Code::RecordDenied,
            format!("{} (id {}) is a user of Odoo's own ({why}): it is not {what} through ocore.", user.login, user.id),
        )
        .next("Make the change in Odoo itself if it must be, or use another user.")
        .into())
    }
    /// Refuses what would lock ocore out: the user whose credential this is.
    pub async fn not_myself(&self, user: &User, what: &str) -> Result<()> {
        if self.user_id().await? != user.id {
            return Ok(());
        }
        Err(refusal(
            Code::RecordDenied,
            format!(
                "{} is the user that ocore itself signs in as here: it is not {what} through ocore, which would lock ocore out.",
                user.login
            ),
        )
        .next("An administrator changes it in Odoo, and then the instance's credential in ocore.")
        .into())
    }
}

impl Writer {
    /// Checks what holds for every change of a user, once more at the moment of the change.
    async fn may_change(&self, user: &User, what: &str) -> Result<()> {
        self.scope().writable(USERS)?;
        if !self.scope().lifted(USERS) {
            return Err(Fault::failed("a tool that does not lift res.users changes users"));
        }
        self.not_protected(user, what).await
    }
    async fn change_user(&self, user: i64, values: Map<String, Value>) -> Result<(), Failure> {
        let (ids, args) = ([user], [Arg::Object(&values)]);
        let context = Context { active_test: None, bin_size: None, ..self.sent().clone() };
        let request =
            Request { model: USERS, method: "write", ids: Some(&ids), args: &args, kwargs: &[], context: &context, write: true };
        self.send::<serde::de::IgnoredAny>(&request).await.map(|_| ())
    }

    /// Archives a user or brings it back. Not the one that ocore itself signs in as.
    pub async fn set_active(&self, user: &User, active: bool) -> Result<()> {
        self.may_change(user, if active { "activated" } else { "deactivated" }).await?;
        if !active {
            self.not_myself(user, "deactivated").await?;
        }
        let values = Map::from_iter([("active".to_owned(), Value::Bool(active))]);
        match self.change_user(user.id, values).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.tell(failure, USERS, "write").await),
        }
    }
    /// Gives a user exactly these groups, and what Odoo makes of it. `closure` is the groups with all that they imply: up to
    /// 18 Odoo stores those too, and a user who changes itself must not be without them in between.
    pub async fn set_groups(&self, user: &User, groups: &BTreeSet<i64>, closure: &BTreeSet<i64>) -> Result<()> {
        self.may_change(user, "given other groups").await?;
        let names = dialect::group_fields(self.version().await?);
        let stored = if names.tells_given() { groups } else { closure };
        let values = Map::from_iter([(names.given.to_owned(), json!([[6, 0, stored]]))]);
        match self.change_user(user.id, values).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.tell(failure, USERS, "write").await),
        }
    }
    /// Sets a password in one step: Odoo's wizard would keep it in the database in between. Whatever goes wrong, the password
    /// is not in what is told of it.
    pub async fn set_password(&self, user: &User, password: &SecretString) -> Result<()> {
        self.may_change(user, "given another password").await?;
        self.not_myself(user, "given another password").await?;
        let values = Map::from_iter([("password".to_owned(), Value::from(password.expose_secret()))]);
        match self.change_user(user.id, values).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(without(self.tell(failure, USERS, "write").await, password.expose_secret())),
        }
    }
}

/// The fault without a text that it must not repeat.
fn without(fault: Fault, secret: &str) -> Fault {
    let clean = |text: &str| text.replace(secret, redact::REDACTED);
    match fault {
        Fault::Refused(why) if why.message.contains(secret) || why.next.contains(secret) => {
            refusal(why.code, clean(&why.message)).next(clean(&why.next)).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(group: Option<i64>, permits: &[AccessRight]) -> AccessLine {
        AccessLine { id: 1, name: "x".to_owned(), group, permits: permits.iter().copied().collect() }
    }
    fn rule(id: i64, groups: &[i64], applies_to: &[AccessRight]) -> RecordRule {
        RecordRule {
            id,
            name: "r".to_owned(),
            model: "m".to_owned(),
            groups: groups.iter().copied().collect(),
            applies_to: applies_to.iter().copied().collect(),
            domain: "[]".to_owned(),
        }
    }

    #[test]
    fn one_line_that_permits_is_enough_and_the_others_do_not_take_away() {
        let access = ModelAccess {
            lines: vec![
                line(Some(1), &[AccessRight::Read]),
                line(Some(2), &[AccessRight::Read, AccessRight::Write]),
                line(Some(3), &AccessRight::ALL),
                line(None, &[]),
            ],
            rules: vec![],
        };
        let of = |groups: &[i64]| access.of(7, &groups.iter().copied().collect());
        assert_eq!(of(&[1]).permitted, BTreeSet::from([AccessRight::Read]));
        assert_eq!(of(&[1, 2]).permitted, BTreeSet::from([AccessRight::Read, AccessRight::Write]));
        assert_eq!(of(&[1, 2]).granted_by[&AccessRight::Read], BTreeSet::from([Some(1), Some(2)]));
        assert!(of(&[9]).permitted.is_empty());
        assert_eq!(access.of(SUPERUSER, &BTreeSet::new()).permitted.len(), 4, "nothing is asked of the superuser");
        let everybody = ModelAccess { lines: vec![line(None, &[AccessRight::Read])], rules: vec![] };
        assert_eq!(everybody.of(7, &BTreeSet::new()).granted_by[&AccessRight::Read], BTreeSet::from([None]));
    }

    #[test]
    fn rules_of_other_groups_and_operations_do_not_hold() {
        let access = ModelAccess {
            lines: vec![],
            rules: vec![rule(1, &[], &AccessRight::ALL), rule(2, &[5], &[AccessRight::Read]), rule(3, &[6], &AccessRight::ALL)],
        };
        let groups = BTreeSet::from([5]);
        let held = |user, right| access.rules_for(user, &groups, right).map(|r| r.id).collect::<Vec<_>>();
        assert_eq!(held(7, AccessRight::Read), [1, 2]);
        assert_eq!(held(7, AccessRight::Write), [1]);
        assert!(held(SUPERUSER, AccessRight::Read).is_empty());
    }

    #[test]
    fn a_fault_does_not_repeat_the_password() {
        let fault =
            without(refusal(Code::OdooError, "The password hunter22 is too easy").next("not hunter22").into(), "hunter22");
        let told = fault.public();
        assert!(!told.message.contains("hunter22") && !told.next.contains("hunter22"), "{told:?}");
        assert_eq!(told.code, Code::OdooError);
    }
}
