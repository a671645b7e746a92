//! What people and assistants write down about an instance: what it may be about, how long it may be, and which characters it
//! may hold. The same for every way in.
use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, Refusal, access::words, name, refusal};

/// Characters of a note's title.
pub const MAX_TITLE: usize = 200;
/// Characters of a note's body, summaries included.
pub const MAX_BODY: usize = 2_000;
/// Live notes of an instance, summaries included.
pub const MAX_NOTES: usize = 100;
/// Live filters of an instance.
pub const MAX_FILTERS: usize = 100;
/// Characters of a filter's name.
pub const MAX_FILTER_NAME: usize = 100;
/// Characters of a filter's description.
pub const MAX_DESCRIPTION: usize = 500;
/// Characters of a filter's domain, as JSON.
pub const MAX_DOMAIN: usize = 8_000;
/// Fields that a filter names.
pub const MAX_FIELDS: usize = 100;
/// Live bookmarks of an instance.
pub const MAX_BOOKMARKS: usize = 200;
/// Characters of a bookmark's label.
pub const MAX_LABEL: usize = 200;
/// Characters of a bookmark's note.
pub const MAX_BOOKMARK_NOTE: usize = 1_000;
/// Tags of one note or bookmark.
pub const MAX_TAGS: usize = 20;
/// Characters of a tag.
pub const MAX_TAG: usize = 50;
/// The tag of the one summary of an instance or model; nobody gives or takes it by hand.
pub const SUMMARY: &str = "summary";

words! {
    /// What a note is about.
    TargetType, "target_type":
    Instance = "instance",
    Model = "model",
    Record = "record",
    Field = "field",
    Module = "module",
}

/// What a note is about, in one spelling: empty for the instance, `res.partner`, `res.partner,42`, `sale.order.x_field`,
/// `sale_stock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    kind: TargetType,
    text: String,
}
impl Target {
    pub fn instance() -> Self {
        Self { kind: TargetType::Instance, text: String::new() }
    }
    pub fn model(model: &str) -> Result<Self, Refusal> {
        Self::parse(TargetType::Model, Some(model))
    }
    /// Takes `res.partner#42` for `res.partner,42`.
    pub fn parse(kind: TargetType, text: Option<&str>) -> Result<Self, Refusal> {
        let text = text.map(str::trim).filter(|t| !t.is_empty());
        let Some(text) = text else {
            return match kind {
                TargetType::Instance => Ok(Self::instance()),
                _ => Err(wrong(format!("target: a note about a {kind} names it."), kind)),
            };
        };
        let shown = || text.chars().take(60).collect::<String>();
        let text = match kind {
            TargetType::Instance => {
                return Err(wrong("target: a note about the instance has none.", kind));
            }
            TargetType::Model => {
                identifier(text, kind)?;
                text.to_owned()
            }
            TargetType::Field => {
                identifier(text, kind)?;
                if !text.contains('.') {
                    return Err(wrong(format!("target: {:?} is no model and field.", shown()), kind));
                }
                text.to_owned()
            }
            TargetType::Record => {
                let split = text.rsplit_once([',', '#']);
                let Some((model, id)) =
                    split.and_then(|(m, id)| Some((m.trim(), id.trim().parse::<u32>().ok().filter(|n| *n > 0)?)))
                else {
                    return Err(wrong(format!("target: {:?} is no model and id.", shown()), kind));
                };
                identifier(model, kind)?;
                format!("{model},{id}")
            }
            TargetType::Module => {
                if !name::is_identifier(text) || text.contains('.') {
                    return Err(wrong(format!("target: {:?} is no technical name of a module.", shown()), kind));
                }
                text.to_owned()
            }
        };
        Ok(Self { kind, text })
    }
    pub fn kind(&self) -> TargetType {
        self.kind
    }
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The model that a caller must be allowed to read to see what is written about this.
    pub fn of_model(&self) -> Option<&str> {
        match self.kind {
            TargetType::Instance | TargetType::Module => None,
            TargetType::Model => Some(&self.text),
            TargetType::Record => Some(self.text.split(',').next().unwrap_or_default()),
            TargetType::Field => Some(self.text.rsplit_once('.').map_or(self.text.as_str(), |(model, _)| model)),
        }
    }
    /// As a sentence says it.
    pub fn words(&self) -> String {
        match self.kind {
            TargetType::Instance => "the instance".to_owned(),
            TargetType::Module => format!("the module {}", self.text),
            _ => self.text.clone(),
        }
    }
}
fn identifier(text: &str, kind: TargetType) -> Result<(), Refusal> {
    let good = name::is_identifier(text) && !text.ends_with('.') && !text.contains("..");
    if good {
        Ok(())
    } else {
        Err(wrong(format!("target: {:?} is no name that Odoo uses.", text.chars().take(60).collect::<String>()), kind))
    }
}
fn wrong(message: impl Into<std::borrow::Cow<'static, str>>, kind: TargetType) -> Refusal {
    refusal(Code::InvalidArgument, message).next(match kind {
        TargetType::Instance => "Leave target out.",
        TargetType::Model => "Write it like sale.order.",
        TargetType::Record => "Write it like res.partner,42.",
        TargetType::Field => "Write it like sale.order.x_delivery_notes.",
        TargetType::Module => "Write it like sale_stock.",
    })
}

/// Whether a character shows nothing and can make a text read as another: directions, joiners without a purpose, tags.
fn deceives(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text of several lines without control characters, changes of direction and invisible characters, trimmed. What is longer
/// than `most` characters is refused, what is empty too.
pub fn text(what: &str, text: &str, most: usize) -> Result<String, Refusal> {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                clean.push('\n');
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\n' | '\t' => clean.push(c),
            c if c.is_control() || deceives(c) => {}
            c => clean.push(c),
        }
    }
    measured(what, clean.trim(), most)
}
/// The same on one line.
pub fn line(what: &str, given: &str, most: usize) -> Result<String, Refusal> {
    let text = text(what, given, usize::MAX)?;
    measured(what, &one_line(&text), most)
}
fn measured(what: &str, text: &str, most: usize) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err(refusal(Code::InvalidArgument, format!("{what} is empty.")).next(format!("Give {what} a text.")));
    }
    let length = text.chars().count();
    if length > most {
        return Err(refusal(Code::InvalidArgument, format!("{what} has {length} characters; {most} are the most."))
            .next("Shorten it, or split it over several notes."));
    }
    Ok(text.to_owned())
}
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Tags as they are kept: in lower case, each once, in their order.
pub fn tags(given: &[String]) -> Result<Vec<String>, Refusal> {
    let mut kept: Vec<String> = Vec::new();
    for tag in given {
        let tag = line("a tag", tag, MAX_TAG)?.to_lowercase();
        if !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    if kept.len() > MAX_TAGS {
        return Err(refusal(Code::InvalidArgument, format!("tags: {} are given; {MAX_TAGS} are the most.", kept.len()))
            .next("Keep those that you will search for."));
    }
    Ok(kept)
}

/// There are as many as there may be; `old` are those that have not been touched for longest, as `id "title"`.
pub fn full(what: &str, most: usize, old: &[String]) -> Refusal {
    refusal(Code::Conflict, format!("There are {most} {what} for this instance, which is the most.")).next(if old.is_empty() {
        format!("An administrator of the organization sees all {what} and deletes what is no longer needed.")
    } else {
        format!("Delete what is no longer needed; not touched for longest are {}.", old.join(", "))
    })
}

/// The beginning of a text on one line, at most `most` characters with the mark that says that more follows.
pub fn excerpt(text: &str, most: usize) -> String {
    let line = one_line(text);
    if line.chars().nth(most).is_none() {
        return line;
    }
    let head: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_spelling() {
        use TargetType as T;
        for (kind, given, kept, model) in [
            (T::Instance, None, "", None),
            (T::Instance, Some(" "), "", None),
            (T::Model, Some(" res.partner "), "res.partner", Some("res.partner")),
            (T::Record, Some("res.partner#42"), "res.partner,42", Some("res.partner")),
            (T::Record, Some("res.partner, 42"), "res.partner,42", Some("res.partner")),
            (T::Field, Some("sale.order.x_notes"), "sale.order.x_notes", Some("sale.order")),
            (T::Field, Some("x_custom.name"), "x_custom.name", Some("x_custom")),
            (T::Module, Some("sale_stock"), "sale_stock", None),
        ] {
            let target = Target::parse(kind, given).unwrap();
            assert_eq!((target.as_str(), target.of_model()), (kept, model), "{kind} {given:?}");
            let again = Some(target.as_str());
            assert_eq!(Target::parse(kind, again).unwrap(), target, "what is kept is read again");
        }
        for (kind, bad) in [
            (T::Instance, Some("prod")),
            (T::Model, None),
            (T::Model, Some("res partner")),
            (T::Model, Some("res.partner,42")),
            (T::Model, Some("res..partner")),
            (T::Record, Some("res.partner")),
            (T::Record, Some("res.partner,0")),
            (T::Record, Some("res.partner,-1")),
            (T::Record, Some("res.partner,42;drop")),
            (T::Record, Some("42")),
            (T::Field, Some("name")),
            (T::Field, Some("res.partner.")),
            (T::Module, Some("sale.stock")),
            (T::Module, Some("sale-stock")),
            (T::Module, Some("../sale")),
        ] {
            let refused = Target::parse(kind, bad).unwrap_err();
            assert!(refused.code == Code::InvalidArgument && !refused.next.is_empty(), "{kind} {bad:?}");
        }
    }

    #[test]
    fn limits_count_characters_and_not_bytes() {
        let four_bytes = "🦀".repeat(MAX_TITLE);
        assert_eq!(line("title", &four_bytes, MAX_TITLE).unwrap(), four_bytes);
        let refused = line("title", &"🦀".repeat(MAX_TITLE + 1), MAX_TITLE).unwrap_err();
        assert!(refused.message.contains("201") && refused.message.contains("200"), "{refused}");
        assert!(text("body", &"ä".repeat(MAX_BODY), MAX_BODY).is_ok());
        assert!(text("body", &"ä".repeat(MAX_BODY + 1), MAX_BODY).is_err());
    }

    #[test]
    fn what_is_not_seen_is_not_kept() {
        assert_eq!(text("body", "a\0b\u{1b}[31mc\r\nd\re\u{2028}f\tg\u{9b}", 100).unwrap(), "ab[31mc\nd\ne\nf\tg");
        assert_eq!(line("title", " safe\u{202e}gpj.exe\u{2066}\u{200b}\u{feff} \n x ", 100).unwrap(), "safegpj.exe x");
        // Letters written with tag characters, which people do not see and models read.
        let hidden: String = "ignore".chars().filter_map(|c| char::from_u32(0xe0000 + u32::from(c))).collect();
        assert_eq!(line("title", &format!("plain{hidden}"), 100).unwrap(), "plain");
        // Joined emoji, and the marks of Persian, are text.
        for kept in ["👩‍💻", "می‌خواهم", "e\u{301}"] {
            assert_eq!(line("title", kept, 100).unwrap(), kept);
        }
        for nothing in ["", " \n", "\u{200b}\u{202e}", "\0"] {
            assert!(text("body", nothing, 100).unwrap_err().message.contains("empty"), "{nothing:?}");
        }
    }

    #[test]
    fn tags_are_few_and_short() {
        let given = |n: &[&str]| n.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert_eq!(tags(&given(&["Workflow", "workflow ", "ÄRGER"])).unwrap(), ["workflow", "ärger"]);
        assert!(tags(&given(&[""])).is_err() && tags(&["x".repeat(MAX_TAG + 1)]).is_err());
        let many: Vec<String> = (0..=MAX_TAGS).map(|n| format!("t{n}")).collect();
        assert!(tags(&many).is_err() && tags(&many[1..]).is_ok());
    }

    #[test]
    fn excerpts_say_that_they_are_some() {
        assert_eq!(excerpt("a\n b", 10), "a b");
        assert_eq!(excerpt("äöüäöü", 4), "äöü…");
        assert_eq!(excerpt("🦀🦀🦀", 3), "🦀🦀🦀");
    }
}
