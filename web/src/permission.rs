//! Who may do what, said in words: the same sentences on consent, keys, invites and authorizations.
//!
//! The data comes from what decides (the permissions of a key, within its owner's role, under the instances' guards), so the words
//! cannot promise more or less than will be allowed.
use crate::{
    parts::{Instance, Phrase, Piece, When},
    strings::permission as s,
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
    /// Where it may change things now: guards that are closed are already taken out.
    pub changes: Reach,
    /// Whether changing includes deleting.
    pub deletes: bool,
    /// Categories that it may read, when not all: their titles, as [`crate::strings::category::title`] gives them.
    pub read_only_in: Option<Vec<String>>,
    /// Categories that it may change, when not all: their titles.
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

impl Permission {
    /// The sentences, the most important first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut line = |sign, parts: Vec<Phrase>| {
            lines.push(Line { sign, phrase: Phrase(parts.into_iter().flat_map(|phrase| phrase.0).collect()) });
        };
        let names = [self.who.as_str(), self.for_whom.as_str()];
        if self.reads.is_nowhere() {
            line(Sign::MayNot, vec![Phrase::new(s::READS_NOTHING, &names)]);
        } else {
            let what = self.read_only_in.as_ref().map_or_else(|| Phrase::new(s::EVERYTHING, &[]), |titles| plain_list(titles));
            line(Sign::May, vec![Phrase::new(s::READS, &names), what, Phrase::new(s::ON, &[]), self.reads.phrase(), end()]);
        }
        if self.changes.is_nowhere() {
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
            let joint = if index + 1 == of.len() { s::AND } else { s::COMMA };
            pieces.push(Piece { text: joint.to_owned(), name: false });
        }
        pieces.push(Piece { text: instance.name.clone(), name: true });
        if instance.environment.production() {
            pieces.push(Piece { text: s::IS_PRODUCTION.to_owned(), name: false });
        }
    }
    Phrase(pieces)
}

fn plain_list(words: &[String]) -> Phrase {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push_str(if index + 1 == words.len() { s::AND } else { s::COMMA });
        }
        text.push_str(word);
    }
    Phrase(vec![Piece { text, name: false }])
}
