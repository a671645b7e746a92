//! What several pages share: names with their marks, times, mistakes, phrases.
use chrono::{DateTime, Utc};

use crate::strings;

/// A sentence of the catalogue with names put in; templates set the names apart from the words and from each other's writing direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase(pub Vec<Piece>);

/// A part of a [`Phrase`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text, not escaped.
    pub text: String,
    /// Whether it is a name that was put in rather than words of the catalogue.
    pub name: bool,
}

impl Phrase {
    /// `words` with each `{}` replaced by the next of `names`. A `{}` too many stands for nothing, a name too many is left out.
    pub fn new(words: &str, names: &[&str]) -> Self {
        let mut names = names.iter();
        let mut pieces = Vec::new();
        for (index, text) in words.split("{}").enumerate() {
            if index > 0
                && let Some(name) = names.next()
            {
                pieces.push(Piece { text: (*name).to_owned(), name: true });
            }
            if !text.is_empty() {
                pieces.push(Piece { text: text.to_owned(), name: false });
            }
        }
        Self(pieces)
    }

    /// The sentence as plain text, for titles.
    pub fn plain(&self) -> String {
        self.0.iter().map(|piece| piece.text.as_str()).collect()
    }
}

/// What is wrong with a form, or with one of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The `id` of the field, which is also its name; empty where the whole form is meant.
    pub field: String,
    /// What happened and what to do.
    pub text: String,
}

impl Mistake {
    /// Wrong in one field.
    pub fn on(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { field: field.into(), text: text.into() }
    }

    /// Wrong as a whole.
    pub fn form(text: impl Into<String>) -> Self {
        Self { field: String::new(), text: text.into() }
    }
}

/// What is wrong with one field, if anything.
pub fn error<'a>(mistakes: &'a [Mistake], field: &str) -> Option<&'a str> {
    mistakes.iter().find(|mistake| mistake.field == field).map(|mistake| mistake.text.as_str())
}

/// Whole minutes to wait, at least one.
pub(crate) fn minutes(seconds: i64) -> u64 {
    u64::try_from(seconds.saturating_add(59) / 60).unwrap_or(1).max(1)
}

/// The colour, icon and word that go with a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Done, up, allowed.
    Good,
    /// Needs a look.
    Careful,
    /// Broken, refused, dangerous.
    Bad,
    /// For information.
    Info,
    /// None of these.
    Plain,
}

impl Tone {
    /// The name in class attributes.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Careful => "careful",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::Plain => "plain",
        }
    }

    /// What a screen reader says for its icon.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => strings::frame::NOTE_GOOD,
            Self::Careful => strings::frame::NOTE_CAREFUL,
            Self::Bad => strings::frame::NOTE_BAD,
            Self::Info | Self::Plain => strings::frame::NOTE_INFO,
        }
    }
}

/// What was just done, standing at the top of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// The sentence.
    pub text: String,
}

/// What an instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Real data: always marked by a word and a mark.
    Production,
    /// A rehearsal of production.
    Staging,
    /// A place to try things.
    Development,
}

impl Environment {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Production => strings::environment::PRODUCTION,
            Self::Staging => strings::environment::STAGING,
            Self::Development => strings::environment::DEVELOPMENT,
        }
    }

    /// The name in class attributes.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
        }
    }

    /// Whether real data is at stake.
    pub const fn production(self) -> bool {
        matches!(self, Self::Production)
    }
}

/// An instance as pages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its slug.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub environment: Environment,
}
impl Instance {
    /// The name of an instance is its slug: the one that tools and people use for it.
    pub fn of(instance: &kernel::Instance) -> Self {
        let environment = match instance.environment {
            kernel::Environment::Production => Environment::Production,
            kernel::Environment::Staging => Environment::Staging,
            kernel::Environment::Development => Environment::Development,
        };
        Self { slug: instance.slug.to_string(), name: instance.slug.to_string(), environment }
    }
}

/// A time in words, with the exact one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// Such as "3 minutes ago".
    pub words: String,
    /// Such as "21 Nov 2026, 14:40 UTC", with seconds where there are any.
    pub exact: String,
    /// RFC 3339, for the `datetime` attribute.
    pub iso: String,
}

impl When {
    /// `at` as seen at `now`, in the past or the future.
    pub fn of(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            words: strings::time::relative((at - now).num_seconds()),
            exact: at.format(if at.timestamp() % 60 == 0 { strings::time::MINUTE } else { strings::time::SECOND }).to_string(),
            iso: at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_take_names_in_order_and_never_read_them_as_words() {
        let phrase = Phrase::new("{} asks {}.", &["A {}", "B"]);
        assert_eq!(phrase.plain(), "A {} asks B.");
        assert_eq!(phrase.0.iter().filter(|piece| piece.name).count(), 2);
        assert_eq!(Phrase::new("no name", &["left out"]).plain(), "no name");
        assert_eq!(Phrase::new("{} and {}", &["one"]).plain(), "one and ");
    }

    #[test]
    fn times_are_told_in_the_largest_unit() {
        for (seconds, words) in [
            (-1, "just now"),
            (3, "now"),
            (-59, "59 seconds ago"),
            (-60, "1 minute ago"),
            (7199, "in 1 hour"),
            (-86_400 * 29, "29 days ago"),
            (-86_400 * 30, "1 month ago"),
            (86_400 * 800, "in 2 years"),
        ] {
            assert_eq!(strings::time::relative(seconds), words);
        }
        let at = DateTime::<Utc>::from_timestamp(1_795_272_000, 0).unwrap();
        let when = When::of(at, at);
        assert_eq!((when.iso.as_str(), when.exact.as_str()), ("2026-11-21T14:40:00Z", "21 Nov 2026, 14:40 UTC"));
        assert_eq!(When::of(at + chrono::TimeDelta::seconds(42), at).exact, "21 Nov 2026, 14:40:42 UTC");
    }
}
