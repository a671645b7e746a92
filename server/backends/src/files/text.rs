//! Lines: counted, inserted, patched, compared; line endings stay as they were.
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, TextDiff};

/// How long a comparison may look for the shortest difference; a longer one follows then.
const COMPARE: Duration = Duration::from_millis(500);
/// Bytes of a difference that are shown.
const SHOWN: usize = 64 << 10;

/// Text is UTF-8 without NUL.
pub(super) fn text(content: &[u8]) -> Option<&str> {
    if content.contains(&0) { None } else { std::str::from_utf8(content).ok() }
}

/// Lines; a last one without a newline counts.
pub(super) fn count(content: &[u8]) -> u64 {
    content.split_inclusive(|byte| *byte == b'\n').count() as u64
}

/// The line ending that most lines have.
fn ending(text: &str) -> &'static str {
    let all = text.bytes().filter(|byte| *byte == b'\n').count();
    if 2 * text.matches("\r\n").count() > all { "\r\n" } else { "\n" }
}
fn with_ending(text: &str, ending: &str) -> String {
    let plain = text.replace("\r\n", "\n");
    if ending == "\n" { plain } else { plain.replace('\n', ending) }
}

/// `content` before line `line`, from 1; the number of lines plus one appends. None: there is no such line.
pub(super) fn insert(text: &str, line: u64, content: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = usize::try_from(line).ok()?.checked_sub(1)?;
    if at > lines.len() {
        return None;
    }
    let ending = ending(text);
    let mut added = with_ending(content, ending);
    let (before, after) = lines.split_at(at);
    let mut new = before.concat();
    let unfinished = !new.is_empty() && !new.ends_with('\n');
    if unfinished {
        // Appended to a file without a final newline: it has none afterwards either.
        new.push_str(ending);
        added.truncate(added.trim_end_matches(['\r', '\n']).len());
    } else if !added.is_empty() && !added.ends_with('\n') {
        added.push_str(ending);
    }
    new.push_str(&added);
    new.push_str(&after.concat());
    Some(new)
}

/// What `apply` makes of a text, lines that it leaves alone with the endings that they have, new ones with the usual ending.
pub(super) fn patch(text: &str, diff: &str, apply: super::Apply) -> Result<(String, String), String> {
    let diff = diff.replace("\r\n", "\n");
    if !text.contains("\r\n") {
        return apply(text, &diff);
    }
    let plain = text.replace("\r\n", "\n");
    let (new, note) = apply(&plain, &diff)?;
    let ending = ending(text);
    let raw: Vec<&str> = text.split_inclusive('\n').collect();
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) =
        (plain.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let mut out = String::with_capacity(text.len() + diff.len());
    let until = Instant::now() + COMPARE;
    for op in similar::capture_diff_slices_deadline(Algorithm::Myers, &old_lines, &new_lines, Some(until)) {
        if let DiffOp::Equal { old_index, len, .. } = op {
            raw.iter().skip(old_index).take(len).for_each(|line| out.push_str(line));
        } else {
            new_lines.get(op.new_range()).unwrap_or_default().iter().for_each(|line| out.push_str(&line.replace('\n', ending)));
        }
    }
    Ok((out, note))
}

/// A unified difference; none when nothing differs.
pub(super) fn unified(path: &str, old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let diff = TextDiff::configure().timeout(COMPARE).diff_lines(old, new);
    let mut shown = diff.unified_diff().context_radius(3).header(&format!("a/{path}"), &format!("b/{path}")).to_string();
    if shown.len() > SHOWN {
        let all = shown.len();
        shown.truncate(shown.floor_char_boundary(SHOWN));
        let cut = format!("\n[… {} more bytes of difference …]\n", all - shown.len());
        shown.push_str(&cut);
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_an_editor_does() {
        for (content, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2), ("a\r\nb\r\n", 2)] {
            assert_eq!(count(content.as_bytes()), lines, "{content:?}");
        }
    }

    #[test]
    fn insertion_keeps_endings() {
        assert_eq!(insert("a\nb\n", 1, "x").unwrap(), "x\na\nb\n");
        assert_eq!(insert("a\nb\n", 2, "x\ny\n").unwrap(), "a\nx\ny\nb\n");
        assert_eq!(insert("a\nb\n", 3, "x").unwrap(), "a\nb\nx\n");
        assert_eq!(insert("a\nb\n", 4, "x"), None);
        assert_eq!(insert("a\nb\n", 0, "x"), None);
        assert_eq!(insert("a\nb", 3, "x\n").unwrap(), "a\nb\nx");
        assert_eq!(insert("a\r\nb\r\n", 2, "x\ny").unwrap(), "a\r\nx\r\ny\r\nb\r\n");
        assert_eq!(insert("a\r\nb", 3, "x").unwrap(), "a\r\nb\r\nx");
        assert_eq!(insert("", 1, "x").unwrap(), "x\n");
        assert_eq!(insert("a\n", 1, "").unwrap(), "a\n");
    }

    #[test]
    fn a_patch_keeps_each_line_ending() {
        let apply: super::super::Apply = |text, diff| {
            assert!(!text.contains('\r') && !diff.contains('\r'));
            Ok((text.replace("b\n", "B\nBB\n"), String::new()))
        };
        assert_eq!(patch("a\r\nb\r\nc\nd\r\n", "x\r\n", apply).unwrap().0, "a\r\nB\r\nBB\r\nc\nd\r\n");
        assert_eq!(patch("a\r\nb\r\nc", "", apply).unwrap().0, "a\r\nB\r\nBB\r\nc");
        assert_eq!(patch("a\nb\n", "x\r\n", apply).unwrap().0, "a\nB\nBB\n");
    }

    #[test]
    fn a_difference_is_unified_and_bounded() {
        assert_eq!(unified("p", "a\n", "a\n"), None);
        assert_eq!(unified("p", "a\nb\n", "a\nc\n").unwrap(), "--- a/p\n+++ b/p\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        let long = unified("p", "", &"line\n".repeat(100_000)).unwrap();
        assert!(long.len() < SHOWN + 100 && long.contains("more bytes"));
    }
}
