//! Who may do what, said in words: the same sentences on consent, keys, invites and authorizations.
//!
//! The data comes from what decides (the permissions of a key, within its owner's role, under the instances' guards), so the words
//! cannot promise more or less than will be allowed.
use std::collections::BTreeSet;

use kernel::{Category, Permissions, Role, Selection, Timestamp, ToolRule, policy};

use crate::{
    parts::{Instance, Phrase, Piece, When},
    strings::{category, permission as s},
};

/// What someone may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Who does it: a client's or key's name.
    pub who: String,
    /// For whom: a user, or an organization.
    pub for_whom: String,
    /// Where it may read.
    pub reads: Reach,
    /// Where it may change things. Instances whose guard is closed are left out of a list; under [`Reach::All`] they stand in `guarded`.
    pub changes: Reach,
    /// Whether changing includes deleting.
    pub deletes: bool,
    /// Categories that it may read, when not all, as [`crate::strings::category::noun`] gives them.
    pub read_only_in: Option<Vec<String>>,
    /// Categories that it may change, when not all, likewise.
    pub changes_only_in: Option<Vec<String>>,
    /// Instances that it may reach but not change, because their guard is closed.
    pub guarded: Vec<Instance>,
    /// Powers that reach past single records.
    pub powers: Vec<Power>,
    /// Whether Odoo's own rules of another login apply: that login.
    pub acts_as: Option<String>,
    /// When it ends.
    pub until: Option<When>,
}

/// Which instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// None.
    Nowhere,
    /// These. An empty list is [`Reach::Nowhere`].
    Only(Vec<Instance>),
    /// All of the organization, also those added later.
    All,
}

/// What reaches past single records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// SQL statements.
    Sql,
    /// Code in the Odoo shell.
    Shell,
    /// Files of addons.
    Files,
    /// Restoring a database.
    Restore,
    /// Opening Odoo as another user.
    Impersonate,
    /// Odoo's users, groups and passwords.
    Users,
    /// Modules.
    Modules,
    /// Administration of ocore itself.
    Admin,
}

/// Whether a sentence allows, bars or warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It may.
    May,
    /// It may not.
    MayNot,
    /// It may, and that is a lot.
    Mind,
    /// For information.
    Also,
}

impl Sign {
    /// The name in class attributes.
    pub const fn class(self) -> &'static str {
        match self {
            Self::May => "may",
            Self::MayNot => "may-not",
            Self::Mind => "mind",
            Self::Also => "also",
        }
    }

    /// The icon.
    pub const fn icon(self) -> &'static str {
        match self {
            Self::May => "yes",
            Self::MayNot => "no",
            Self::Mind => "careful",
            Self::Also => "info",
        }
    }
}

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub sign: Sign,
    /// The words.
    pub phrase: Phrase,
}

/// Past single records; "everything" does not mean them, they are named one by one.
const APART: [Category; 3] = [Category::Sql, Category::Shell, Category::Files];
/// Those that change something in Odoo or here, without those apart.
const CHANGING: [Category; 7] = [
    Category::Orm,
    Category::Export,
    Category::Attachments,
    Category::Context,
    Category::Metadata,
    Category::Modules,
    Category::System,
];
/// What deletes records and what hangs on them.
const DELETING: [(Category, &str); 3] =
    [(Category::Orm, "unlink"), (Category::Orm, "batch_delete"), (Category::Attachments, "delete_attachment")];
/// The tools of each power: whoever may use one of them has it.
const POWERS: [(Power, Category, &[&str]); 7] = [
    (Power::Sql, Category::Sql, &["execute_sql", "execute_sql_script"]),
    (Power::Shell, Category::Shell, &["execute_shell", "execute_shell_multi", "python_repl"]),
    (Power::Files, Category::Files, &["file_write", "file_create", "file_delete", "file_move"]),
    (Power::Restore, Category::System, &["restore_database"]),
    (Power::Impersonate, Category::System, &["impersonate_user"]),
    (Power::Users, Category::System, &["set_user_active", "set_user_groups", "set_user_password"]),
    (Power::Modules, Category::Modules, &["install_module", "upgrade_module", "uninstall_module", "scaffold_module"]),
];

impl Permission {
    /// What permissions allow in the hands of that role, on these instances of the organization as they are now.
    pub fn of(
        (who, for_whom): (&str, &str),
        permissions: &Permissions,
        role: Role,
        instances: &[kernel::Instance],
        now: Timestamp,
    ) -> Self {
        let p = policy::of_role(permissions, role);
        let may = |category, tool: &str| {
            // Limited to models or companies, a key has what reaches past them only where its tools name it.
            let limited = p.restricted() && POWERS.iter().any(|(_, _, tools)| tools.contains(&tool));
            p.category(category) && p.tools.permits(tool) && (!limited || p.tools.names(tool))
        };
        let none = |tools: &ToolRule| matches!(tools, ToolRule::Allow(named) if named.is_empty());
        let reached: Vec<&kernel::Instance> =
            instances.iter().filter(|at| at.state != kernel::InstanceState::Archived && p.instances.contains(&at.id)).collect();
        let nothing = (reached.is_empty() && !p.instances.is_all())
            || none(&p.tools)
            || p.models == Selection::only([])
            || p.companies == Selection::only([]);
        let open = |at: &&kernel::Instance| at.writable(now) && at.state == kernel::InstanceState::Active;
        let named = |of: &mut dyn Iterator<Item = &kernel::Instance>| of.map(Instance::of).collect::<Vec<_>>();
        let reads = match p.instances.is_all() {
            _ if nothing => Reach::Nowhere,
            true => Reach::All,
            false => Reach::Only(named(&mut reached.iter().copied())),
        };
        let writes = !p.read_only && !nothing;
        let changes = match p.instances.is_all() {
            _ if !writes => Reach::Nowhere,
            true => Reach::All,
            false => Reach::Only(named(&mut reached.iter().copied().filter(|at| open(at)))),
        };
        let guarded = if writes { named(&mut reached.iter().copied().filter(|at| !open(at))) } else { Vec::new() };
        let reading = nouns(&p, s::read_by, |c| !APART.contains(&c) && c != Category::Platform, |_| true);
        let changing = nouns(&p, s::changed_by, |c| CHANGING.contains(&c), |c| CHANGING.contains(&c));
        Self {
            who: who.to_owned(),
            for_whom: for_whom.to_owned(),
            reads,
            changes,
            deletes: writes && DELETING.iter().any(|(category, tool)| may(*category, tool)),
            read_only_in: reading,
            changes_only_in: changing,
            guarded,
            powers: POWERS
                .iter()
                .filter(|(power, category, tools)| {
                    // SQL can be read with; what the others do is no reading.
                    (writes || *power == Power::Sql) && !nothing && tools.iter().any(|tool| may(*category, tool))
                })
                .map(|(power, _, _)| *power)
                .collect(),
            acts_as: None,
            until: None,
        }
    }

    /// Whether it could do nothing at all, were it given.
    pub fn is_nothing(&self) -> bool {
        self.reads.is_nowhere() || self.read_only_in.as_ref().is_some_and(Vec::is_empty)
    }

    /// The sentences, the most important first.
    pub fn lines(&self) -> Vec<Line> {
        self.say(s::READS, s::READS_NOTHING)
    }

    /// The same where the page has said who and for whom.
    pub fn short(&self) -> Vec<Line> {
        self.say(s::IT_READS, s::IT_READS_NOTHING)
    }

    fn say(&self, reads: &str, reads_nothing: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut line = |sign, parts: Vec<Phrase>| {
            lines.push(Line { sign, phrase: Phrase(parts.into_iter().flat_map(|phrase| phrase.0).collect()) });
        };
        let names = [self.who.as_str(), self.for_whom.as_str()];
        if self.reads.is_nowhere() || self.read_only_in.as_ref().is_some_and(Vec::is_empty) {
            line(Sign::MayNot, vec![Phrase::new(reads_nothing, &names)]);
        } else {
            let what = self.read_only_in.as_ref().map_or_else(|| Phrase::new(s::EVERYTHING, &[]), |titles| plain_list(titles));
            line(Sign::May, vec![Phrase::new(reads, &names), what, Phrase::new(s::ON, &[]), self.reads.phrase(), end()]);
        }
        if self.changes.is_nowhere() || self.changes_only_in.as_ref().is_some_and(Vec::is_empty) {
            line(Sign::MayNot, vec![Phrase::new(s::CHANGES_NOTHING, &[])]);
        } else {
            let verb = if self.deletes { s::CHANGES_AND_DELETES } else { s::CHANGES };
            let what = self.changes_only_in.as_ref().map_or_else(|| Phrase::new(s::EVERYTHING, &[]), |titles| plain_list(titles));
            line(Sign::May, vec![Phrase::new(verb, &[]), what, Phrase::new(s::ON, &[]), self.changes.phrase(), end()]);
            if !self.deletes {
                line(Sign::MayNot, vec![Phrase::new(s::DELETES_NOTHING, &[])]);
            }
        }
        if !self.guarded.is_empty() {
            line(Sign::MayNot, vec![Phrase::new(s::GUARDED, &[]), instances(&self.guarded), Phrase::new(s::GUARDED_WHILE, &[])]);
        }
        if !self.powers.is_empty() {
            let words: Vec<String> = self.powers.iter().map(|power| s::power(*power).to_owned()).collect();
            line(Sign::Mind, vec![Phrase::new(s::POWERS, &[]), plain_list(&words), end()]);
        }
        if let Some(login) = &self.acts_as {
            line(Sign::Also, vec![Phrase::new(s::ACTS_AS, &[login])]);
        }
        if let Some(until) = &self.until {
            line(Sign::Also, vec![Phrase::new(s::UNTIL, &[until.exact.as_str()])]);
        }
        lines
    }
}

/// The categories in words, of those that `listed` says; none where all are there that `whole` says. A list of models, or of tools, is named by itself.
fn nouns(
    p: &Permissions,
    by_tool: fn(&str) -> String,
    whole: impl Fn(Category) -> bool,
    listed: impl Fn(Category) -> bool,
) -> Option<Vec<String>> {
    if let Selection::Only(models) = &p.models {
        return Some(models.iter().cloned().collect());
    }
    if let ToolRule::Allow(tools) = &p.tools {
        return Some(tools.iter().map(|tool| by_tool(tool)).collect());
    }
    if Category::ALL.iter().all(|c| !whole(*c) || p.categories.contains(c)) {
        return None;
    }
    let there: BTreeSet<&Category> = Category::ALL.iter().filter(|c| listed(**c) && p.categories.contains(*c)).collect();
    Some(there.into_iter().map(|c| category::noun(c.as_str())).collect())
}

impl Reach {
    fn is_nowhere(&self) -> bool {
        match self {
            Self::Nowhere => true,
            Self::Only(instances) => instances.is_empty(),
            Self::All => false,
        }
    }

    fn phrase(&self) -> Phrase {
        match self {
            Self::Nowhere => Phrase(Vec::new()),
            Self::Only(of) => instances(of),
            Self::All => Phrase::new(s::ALL_INSTANCES, &[]),
        }
    }
}

fn end() -> Phrase {
    Phrase::new(s::END, &[])
}

/// The instances by name, production said to be so; many are counted.
fn instances(of: &[Instance]) -> Phrase {
    const NAMED: usize = 4;
    if of.len() > NAMED {
        let production = of.iter().filter(|instance| instance.environment.production()).count();
        return Phrase::new(&s::many_instances(of.len(), production), &[]);
    }
    let mut pieces = Vec::new();
    for (index, instance) in of.iter().enumerate() {
        if index > 0 {
            let joint = joint(index, of.len());
            pieces.push(Piece { text: joint.to_owned(), name: false });
        }
        pieces.push(Piece { text: instance.name.clone(), name: true });
        if instance.environment.production() {
            pieces.push(Piece { text: s::IS_PRODUCTION.to_owned(), name: false });
        }
    }
    Phrase(pieces)
}

/// What stands before entry `index` of a list of `count`.
const fn joint(index: usize, count: usize) -> &'static str {
    match (index + 1 == count, count) {
        (false, _) => s::COMMA,
        (true, 2) => s::AND,
        (true, _) => s::LAST,
    }
}

fn plain_list(words: &[String]) -> Phrase {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push_str(joint(index, words.len()));
        }
        text.push_str(word);
    }
    Phrase(vec![Piece { text, name: false }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Environment;

    fn instance(name: &str, environment: Environment) -> Instance {
        Instance { slug: name.to_lowercase(), name: name.to_owned(), environment }
    }

    fn base() -> Permission {
        Permission {
            who: "Claude".to_owned(),
            for_whom: "Anna".to_owned(),
            reads: Reach::Only(vec![instance("Erp", Environment::Production), instance("Test", Environment::Staging)]),
            changes: Reach::Nowhere,
            deletes: false,
            read_only_in: None,
            changes_only_in: None,
            guarded: Vec::new(),
            powers: Vec::new(),
            acts_as: None,
            until: None,
        }
    }

    fn said(permission: &Permission) -> Vec<(Sign, String)> {
        permission.lines().into_iter().map(|line| (line.sign, line.phrase.plain())).collect()
    }

    #[test]
    fn what_it_may_and_may_not_is_said() {
        assert_eq!(
            said(&base()),
            [
                (Sign::May, "Claude, for Anna, may read everything on Erp (production) and Test.".to_owned()),
                (Sign::MayNot, "It cannot change anything.".to_owned()),
            ]
        );
        let standard = Permission {
            changes: Reach::Only(vec![instance("Test", Environment::Staging)]),
            changes_only_in: Some(vec!["records".to_owned(), "attachments".to_owned(), "notes".to_owned()]),
            guarded: vec![instance("Erp", Environment::Production)],
            powers: vec![Power::Sql, Power::Shell],
            ..base()
        };
        assert_eq!(
            said(&standard)[1..],
            [
                (Sign::May, "It may create and change records, attachments, and notes on Test.".to_owned()),
                (Sign::MayNot, "It cannot delete anything.".to_owned()),
                (
                    Sign::MayNot,
                    "For now it cannot change anything on Erp (production): writing is switched off there.".to_owned()
                ),
                (Sign::Mind, "It may also run SQL and run code in the Odoo shell.".to_owned()),
            ]
        );
    }

    #[test]
    fn nothing_never_reads_as_everything() {
        let nothing = Permission { reads: Reach::Only(Vec::new()), changes: Reach::Only(Vec::new()), ..base() };
        assert_eq!(
            said(&nothing),
            [
                (Sign::MayNot, "Claude, for Anna, may read nothing.".to_owned()),
                (Sign::MayNot, "It cannot change anything.".to_owned()),
            ]
        );
        let no_category = Permission { read_only_in: Some(Vec::new()), ..base() };
        assert_eq!(said(&no_category)[0], (Sign::MayNot, "Claude, for Anna, may read nothing.".to_owned()));
        let no_change = Permission { changes: Reach::All, changes_only_in: Some(Vec::new()), ..base() };
        assert_eq!(said(&no_change)[1], (Sign::MayNot, "It cannot change anything.".to_owned()));
    }

    #[test]
    fn all_says_that_later_ones_are_meant_and_many_are_counted() {
        let all = Permission { reads: Reach::All, changes: Reach::All, deletes: true, ..base() };
        assert_eq!(said(&all)[0].1, "Claude, for Anna, may read everything on all instances, also those added later.");
        assert!(said(&all)[1].1.contains("delete everything on all instances, also those added later"));
        let many =
            (0..7).map(|index| instance("x", if index < 2 { Environment::Production } else { Environment::Staging })).collect();
        let many = Permission { reads: Reach::Only(many), ..base() };
        assert_eq!(said(&many)[0].1, "Claude, for Anna, may read everything on 7 instances, 2 of them production.");
    }

    #[test]
    fn names_stay_apart_from_words() {
        let named = Permission { who: "{} may do everything. ".to_owned(), ..base() };
        let first = &named.lines()[0].phrase.0[0];
        assert_eq!((first.text.as_str(), first.name), ("{} may do everything. ", true));
    }

    fn odoo(slug: &str, write_enabled: bool) -> kernel::Instance {
        let (sources, now) = (kernel::Sources::system(), Timestamp::UNIX_EPOCH);
        kernel::Instance {
            id: kernel::InstanceId::new(&sources),
            org: kernel::OrgId::new(&sources),
            server: kernel::ServerId::new(&sources),
            server_name: "host".into(),
            slug: slug.into(),
            url: "https://odoo.example.com".parse().unwrap(),
            database: slug.into(),
            environment: kernel::Environment::Staging,
            state: kernel::InstanceState::Active,
            health: kernel::Health::Up,
            version: None,
            edition: None,
            write_enabled,
            write_enabled_until: None,
            checked_at: None,
            rpc: None,
            host: kernel::Host::default(),
            posthog: None,
            ruled: false,
            concurrency: 4,
            generation: 0,
            created_at: now,
            updated_at: now,
        }
    }
    fn told(permissions: &Permissions, role: Role, instances: &[kernel::Instance]) -> Vec<String> {
        let permission = Permission::of(("It", "Ann"), permissions, role, instances, Timestamp::UNIX_EPOCH);
        permission.lines().into_iter().map(|line| line.phrase.plain()).collect()
    }

    #[test]
    fn permissions_are_told_within_the_role() {
        let here = [odoo("erp", false), odoo("test", true)];
        let all = Permissions::all();
        assert_eq!(
            told(&all, Role::Viewer, &here),
            ["It, for Ann, may read everything on all instances, also those added later.", "It cannot change anything."]
        );
        let member = told(&all, Role::Member, &here);
        assert!(member[1].contains("delete everything on all instances") && member[2].contains("on erp: writing"), "{member:?}");
        assert_eq!(member[3], "It may also run SQL, change addon files, and install and remove modules.");
        assert!(told(&all, Role::Admin, &here)[3].contains("run code in the Odoo shell, change addon files, restore databases"));

        let some = Permissions {
            instances: Selection::only(here.iter().map(|at| at.id)),
            categories: Selection::only([Category::Orm, Category::Search]),
            tools: ToolRule::Deny(DELETING.iter().map(|(_, tool)| (*tool).to_owned()).collect()),
            ..Permissions::all()
        };
        assert_eq!(
            told(&some, Role::Member, &here),
            [
                "It, for Ann, may read records and search results on erp and test.",
                "It may create and change records on test.",
                "It cannot delete anything.",
                "For now it cannot change anything on erp: writing is switched off there.",
            ]
        );
        assert_eq!(told(&Permissions { read_only: true, ..some }, Role::Owner, &here).len(), 2);
    }

    #[test]
    fn limits_are_not_told_as_less_than_they_are() {
        let here = [odoo("test", true)];
        for nothing in [
            Permissions::nothing(),
            Permissions { categories: Selection::only([]), ..Permissions::all() },
            Permissions { instances: Selection::only([]), ..Permissions::all() },
            Permissions { tools: ToolRule::Allow(BTreeSet::new()), ..Permissions::all() },
            Permissions { models: Selection::only([]), ..Permissions::all() },
        ] {
            assert_eq!(told(&nothing, Role::Owner, &here), ["It, for Ann, may read nothing.", "It cannot change anything."]);
        }
        let limited = Permissions { companies: Selection::only([1]), ..Permissions::all() };
        assert!(!told(&limited, Role::Owner, &here).concat().contains("SQL"), "limited keys have no SQL");
        let models = Permissions { models: Selection::only(["res.partner".to_owned()]), ..Permissions::all() };
        assert!(told(&models, Role::Viewer, &here)[0].contains("may read res.partner on all"));
        let listed = Permissions { tools: ToolRule::Allow(BTreeSet::from(["read".to_owned()])), ..limited };
        let said = told(&listed, Role::Owner, &here);
        assert!(said[0].contains("may read what read gives on all") && said.len() == 3, "{said:?}");
    }
}
