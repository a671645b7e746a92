//! Names: instance slugs, the tool names made from them, and Odoo's identifiers.
use crate::{Code, Refusal, refusal};

/// The longest slug.
pub const MAX_SLUG: usize = 24;
/// The longest tool name that clients take.
pub const MAX_TOOL_NAME: usize = 64;
/// What platform tools start with; no instance may be called so.
pub const RESERVED: &str = "ocore";

/// Odoo's models, fields and methods: `[a-zA-Z_][a-zA-Z0-9_.]*`, at most 128 characters.
pub fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 128
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

/// Refuses what is no identifier; `what` is the argument's name.
pub fn identifier(what: &str, text: &str) -> Result<(), Refusal> {
    if is_identifier(text) {
        return Ok(());
    }
    let shown: String = text.chars().take(60).collect();
    Err(refusal(Code::InvalidArgument, format!("{what}: {shown:?} is not a name that Odoo uses."))
        .next("Names start with a letter or _ and go on with letters, digits, _ and dots, like sale.order."))
}

/// An organization's, server's or instance's short name: at most 24 of `[a-z0-9-]`, starting and ending with a letter or digit.
pub fn slug(text: &str) -> Result<(), Refusal> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if text.len() <= MAX_SLUG && inner && edge(text.as_bytes().first()) && edge(text.as_bytes().last()) {
        return Ok(());
    }
    Err(refusal(Code::InvalidArgument, format!("\"{text}\" cannot be a slug."))
        .next("Use at most 24 lower-case letters, digits and hyphens, starting and ending with a letter or digit, like prod-eu."))
}

/// What stands before a tool's name: the slug with `_` for `-`.
pub fn prefix(slug: &str) -> String {
    slug.replace('-', "_")
}

/// Refuses an instance slug that is reserved, or that makes a tool name which reads as another instance's:
/// `prod` + `search_read` and `prod-search` + `read` are both `prod_search_read`.
pub fn instance_slug<'a>(new: &str, existing: impl IntoIterator<Item = &'a str>, tools: &[&str]) -> Result<(), Refusal> {
    slug(new)?;
    if new == RESERVED || new.starts_with("ocore-") {
        return Err(refusal(
            Code::InvalidArgument,
            "Slugs that are or start with \"ocore\" are reserved for the platform's own tools.",
        )
        .next("Choose another slug."));
    }
    let mine = prefix(new);
    for other in existing {
        let theirs = prefix(other);
        if mine == theirs {
            return Err(
                refusal(Code::Conflict, format!("An instance with the slug \"{other}\" exists.")).next("Choose another slug.")
            );
        }
        let (short, long) = if mine.len() < theirs.len() { (&mine, &theirs) } else { (&theirs, &mine) };
        let Some(rest) = long.strip_prefix(short.as_str()).and_then(|r| r.strip_prefix('_')) else { continue };
        // short_{rest_tool} against long_{tool}: the same text when a tool is called "{rest}_{tool}".
        if let Some(tool) = tools.iter().find(|t| tools.contains(&format!("{rest}_{t}").as_str())) {
            return Err(refusal(
                Code::Conflict,
                format!("With the slug \"{new}\", {long}_{tool} could be read as a tool of \"{new}\" or of \"{other}\"."),
            )
            .next("Choose another slug."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for good in ["res.partner", "x_studio_1", "_name", "A"] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in ["", "1a", "res partner", "a;drop table x", "a-b", "ä", "a\0", ".a", &"x".repeat(129)] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }

    #[test]
    fn ambiguous_slugs_are_refused_in_both_orders() {
        let tools = ["search_read", "read", "count"];
        assert_eq!(instance_slug("prod-search", ["prod"], &tools).unwrap_err().code, Code::Conflict);
        assert_eq!(instance_slug("prod", ["prod-search"], &tools).unwrap_err().code, Code::Conflict);
        assert_eq!(instance_slug("prod", ["prod"], &tools).unwrap_err().code, Code::Conflict);
        assert!(instance_slug("prod-eu", ["prod"], &tools).is_ok());
        assert!(instance_slug("product", ["prod"], &tools).is_ok());
        for bad in ["ocore", "ocore-x", "Prod", "-a", "a-", "", "a_b", &"a".repeat(25)] {
            assert!(instance_slug(bad, [], &tools).is_err(), "{bad}");
        }
    }
}
