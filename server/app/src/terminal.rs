//! The one place that writes to the terminal. Answers go to standard output, errors and remarks to standard error.
use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
};

use serde_json::Value;

use crate::{cli::people::plain, failure::Failure};

/// What a command answers: the same facts for people and for programs.
#[derive(Debug)]
pub struct Shown {
    pub text: String,
    pub json: Value,
}
impl Shown {
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json }
    }
}

/// Prints an answer.
pub fn show(shown: &Shown, json: bool) {
    if json {
        let text = serde_json::to_string_pretty(&shown.json).unwrap_or_default();
        out(&plain::json(&text));
    } else if !shown.text.is_empty() {
        out(shown.text.trim_end_matches('\n'));
    }
}

/// Prints one line (or several) to standard output, at once: somebody may wait for it on the other end of a pipe.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // A reader that is gone has what it wanted.
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// Prints a remark to standard error.
pub fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints why a command did not end well.
pub fn error(failure: &Failure, json: bool) {
    if json {
        remark(&plain::json(&failure.json().to_string()));
        return;
    }
    let (red, dim, plain) = if colour(&std::io::stderr()) { ("\u{1b}[31;1m", "\u{1b}[2m", "\u{1b}[0m") } else { ("", "", "") };
    let mut text = format!("{red}error:{plain} {}", failure.message);
    if !failure.next.is_empty() {
        let _ = write!(text, "\n  {dim}try:{plain} {}", failure.next);
    }
    remark(&text);
}

/// Colour on a terminal only, and never when NO_COLOR says so.
fn colour(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Aligned columns with a head; `empty` is said when there are no rows.
pub fn table(head: &[&str], rows: &[Vec<String>], empty: &str) -> String {
    if rows.is_empty() {
        return empty.to_owned();
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count());
        cells.chain(head.get(column).map(|h| h.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        text.trim_end().to_owned()
    };
    let (bold, plain) = if colour(&std::io::stdout()) { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    let mut text = format!("{bold}{}{plain}\n", line(&mut head.iter().copied()));
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
        text.push('\n');
    }
    text
}

/// `name: value` lines, aligned.
pub fn facts(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(n, _)| n.chars().count()).max().unwrap_or(0) + 1;
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{:width$}  {value}", format!("{name}:"));
        text
    })
}

/// A text from elsewhere on one line of a terminal: control characters would let it write where it likes.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether a person sits there who can be asked.
pub fn interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line.
pub fn ask(question: &str) -> std::io::Result<String> {
    {
        // Not held while somebody thinks: others have something to say meanwhile.
        let mut stderr = std::io::stderr().lock();
        write!(stderr, "{question} ")?;
        stderr.flush()?;
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = table(&["SLUG", "NAME"], &[vec!["a".into(), "Äpfel".into()], vec!["longer".into(), "b".into()]], "none");
        assert_eq!(text, "SLUG    NAME\na       Äpfel\nlonger  b\n");
        assert_eq!(table(&["A"], &[], "There is none yet."), "There is none yet.");
        assert_eq!(printable("a\u{1b}[31mb\n"), "a [31mb ");
    }
}
