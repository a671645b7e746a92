//! CSV as people and spreadsheets write it, and the cells that a spreadsheet would run.
//!
//! Reading is strict where leniency would lose data: an unclosed quote swallows all rows behind it, and a text behind a closing
//! quote is a cell that was not meant so. Both are refused with their row, which libraries for CSV do not do.
use kernel::{Code, Refusal, refusal};

/// The separators that are known, the commonest first.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// Rows that finding the separator looks at.
const LOOKED_AT: usize = 10;
/// Characters of a cell that a refusal shows.
const SHOWN: usize = 40;

/// A table: the first row that is not empty, and those below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    pub delimiter: char,
    pub header: Vec<String>,
    pub rows: Vec<Row>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// As a spreadsheet numbers it: the first row of the content is 1.
    pub number: usize,
    /// As many as the header has.
    pub cells: Vec<String>,
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message)
}
/// The head of a cell, for a refusal.
pub fn excerpt(cell: &str) -> String {
    let line: String = cell.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cell.chars().count() > SHOWN { format!("{line}…") } else { line }
}

/// The separator that a caller names: the character itself, or `tab`.
///
/// # Errors
/// When it is none of those that are known.
pub fn delimiter(named: &str) -> Result<char, Refusal> {
    let named = match named {
        "tab" | "TAB" | "\\t" => "\t",
        other => other,
    };
    let mut letters = named.chars();
    match (letters.next(), letters.next()) {
        (Some(one), None) if DELIMITERS.contains(&one) => Ok(one),
        _ => Err(wrong(format!("delimiter: {:?} is none of those that are known.", excerpt(named)))
            .next("Use , or ; or | or tab, or leave it out to have it found.")),
    }
}

/// Reads a table of at most `most` rows below the header. Rows without any content are left out.
///
/// # Errors
/// With the row that is wrong, and how it should be written.
pub fn parse(content: &str, delimiter: Option<char>, most: usize) -> Result<Sheet, Refusal> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    if content.contains('\u{fffd}') {
        return Err(wrong("content: it holds the character U+FFFD, which stands for bytes that could not be read.")
            .next("The file is not in UTF-8: read it in its own encoding (mostly Windows-1252) and send the text."));
    }
    if content.contains('\0') {
        return Err(wrong("content: it holds the character NUL, which no text of Odoo can.").next("Take it out."));
    }
    // Spreadsheets write their separator into a line of its own.
    let (named, content, above) = match own_line(content) {
        Some((named, rest)) => (Some(named), rest, 1),
        None => (None, content, 0),
    };
    let delimiter = delimiter.or(named).unwrap_or_else(|| found(content));
    let mut records = Records { rest: content, delimiter, number: above, done: false };
    let header = loop {
        match records.next().transpose()? {
            None => return Err(wrong("content: there is no header.").next("Name the fields in the first row, like name,email.")),
            Some((_, cells)) if blank(&cells) => {}
            Some((_, cells)) => break cells.into_iter().map(|c| c.trim().to_owned()).collect::<Vec<_>>(),
        }
    };
    let mut rows = Vec::new();
    for record in records {
        let (number, mut cells) = record?;
        if blank(&cells) {
            continue;
        }
        while cells.len() > header.len() && cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        if cells.len() != header.len() {
            return Err(wrong(format!(
                "content: row {number} has {}, the header has {} (separated by {}).",
                counted(cells.len()),
                header.len(),
                name_of(delimiter)
            ))
            .next(
                "Put cells that hold the separator, a quote or a line break between double quotes, or name another delimiter.",
            ));
        }
        if rows.len() == most {
            return Err(refusal(Code::TooLarge, format!("content: there are more than {most} rows."))
                .next("Split it over several calls."));
        }
        rows.push(Row { number, cells });
    }
    Ok(Sheet { delimiter, header, rows })
}
fn blank(cells: &[String]) -> bool {
    cells.iter().all(|c| c.trim().is_empty())
}
fn counted(cells: usize) -> String {
    if cells == 1 { "1 cell".to_owned() } else { format!("{cells} cells") }
}
pub fn name_of(delimiter: char) -> &'static str {
    match delimiter {
        ',' => "comma",
        ';' => "semicolon",
        '\t' => "tab",
        _ => "bar",
    }
}
/// `sep=;` in the first line.
fn own_line(content: &str) -> Option<(char, &str)> {
    let (line, rest) = content.split_once('\n')?;
    let named = line.strip_prefix("sep=")?.trim_end_matches('\r');
    delimiter(named).ok().map(|d| (d, rest))
}
/// The separator that gives the first rows one width, and of those the widest.
fn found(content: &str) -> char {
    let width = |delimiter: char| {
        let records = Records { rest: content, delimiter, number: 0, done: false };
        let widths: Vec<usize> =
            records.map_while(Result::ok).map(|(_, c)| c).filter(|c| !blank(c)).take(LOOKED_AT).map(|c| c.len()).collect();
        let first = widths.first().copied().unwrap_or(0);
        (widths.iter().all(|w| *w == first), first)
    };
    let scored = DELIMITERS.into_iter().rev().map(|d| (width(d), d)).filter(|((_, columns), _)| *columns > 1);
    // The last of those that are equal wins: the commonest.
    scored.max_by_key(|(score, _)| *score).map_or(',', |(_, d)| d)
}

/// The records of a text, with their numbers.
struct Records<'a> {
    rest: &'a str,
    delimiter: char,
    /// Of the record before.
    number: usize,
    done: bool,
}
impl Iterator for Records<'_> {
    type Item = Result<(usize, Vec<String>), Refusal>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.done {
            return None;
        }
        self.number += 1;
        let record = self.record();
        self.done = record.is_err();
        Some(record.map(|cells| (self.number, cells)))
    }
}
impl Records<'_> {
    fn record(&mut self) -> Result<Vec<String>, Refusal> {
        let mut cells = Vec::new();
        loop {
            let (cell, end) = if let Some(rest) = self.rest.strip_prefix('"') {
                self.rest = rest;
                let cell = self.quoted(cells.len() + 1)?;
                (cell, self.rest.chars().next())
            } else {
                let at = self.rest.find([self.delimiter, '\n', '\r']).unwrap_or(self.rest.len());
                let (cell, rest) = self.rest.split_at(at);
                self.rest = rest;
                (cell.to_owned(), rest.chars().next())
            };
            cells.push(cell);
            match end {
                Some(c) if c == self.delimiter => self.rest = self.rest.get(c.len_utf8()..).unwrap_or(""),
                Some('\r') => {
                    let rest = self.rest.get(1..).unwrap_or("");
                    self.rest = rest.strip_prefix('\n').unwrap_or(rest);
                    return Ok(cells);
                }
                Some('\n') => {
                    self.rest = self.rest.get(1..).unwrap_or("");
                    return Ok(cells);
                }
                None => return Ok(cells),
                Some(_) => {
                    return Err(wrong(format!(
                        "content: row {}, cell {}: there is text behind the closing quote ({}).",
                        self.number,
                        cells.len(),
                        excerpt(self.rest)
                    ))
                    .next("A quote within a quoted cell is written twice: \"5\"\" pipe\"."));
                }
            }
        }
    }
    /// The rest of a cell behind its opening quote.
    fn quoted(&mut self, cell: usize) -> Result<String, Refusal> {
        let mut text = String::new();
        loop {
            let Some((before, behind)) = self.rest.split_once('"') else {
                return Err(wrong(format!(
                    "content: row {}, cell {cell}: the quote that opens it is never closed.",
                    self.number
                ))
                .next("Close it; a quote within a quoted cell is written twice."));
            };
            text.push_str(before);
            let Some(rest) = behind.strip_prefix('"') else {
                self.rest = behind;
                return Ok(text);
            };
            text.push('"');
            self.rest = rest;
        }
    }
}

/// Whether a spreadsheet would take the cell for a formula. Numbers and phone numbers are none.
pub fn is_formula(cell: &str) -> bool {
    let mut letters = cell.chars();
    match letters.next() {
        Some('=' | '@' | '\t' | '\r' | '＝' | '＋' | '－' | '＠') => true,
        Some('+' | '-') => !is_figure(letters.as_str()),
        _ => false,
    }
}
/// What may stand behind a sign: `32 (0)2 123`, `5.0`, `1.2e-7`.
fn is_figure(rest: &str) -> bool {
    let punctuation = |c: char| matches!(c, '.' | ',' | ' ' | '\u{a0}' | '\u{202f}' | '(' | ')' | '-' | '/');
    let digits = rest.chars().any(|c| c.is_ascii_digit());
    digits && (rest.chars().all(|c| c.is_ascii_digit() || punctuation(c)) || rest.parse::<f64>().is_ok())
}
/// The cell with an apostrophe before it where a spreadsheet would run it.
pub fn neutral(cell: String) -> String {
    if is_formula(&cell) { format!("'{cell}") } else { cell }
}
/// What [`neutral`] made its text of.
pub fn behind_apostrophe(cell: &str) -> Option<&str> {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(content: &str) -> Vec<(usize, Vec<String>)> {
        parse(content, None, 1_000).unwrap().rows.into_iter().map(|r| (r.number, r.cells)).collect()
    }
    fn refused(content: &str) -> String {
        parse(content, None, 3).unwrap_err().message.into_owned()
    }

    #[test]
    fn quotes_line_breaks_and_blank_rows() {
        let content = "\u{feff}name,comment\r\n\"A, B\",\"one\ntwo \"\"x\"\"\"\r\n\r\n,\r\nC,5\" pipe\n";
        assert_eq!(
            cells(content),
            [(2, vec!["A, B".to_owned(), "one\ntwo \"x\"".to_owned()]), (5, vec!["C".to_owned(), "5\" pipe".to_owned()])]
        );
        assert_eq!(cells("a\rb\rc"), [(2, vec!["b".to_owned()]), (3, vec!["c".to_owned()])]);
        assert_eq!(parse("a,b\n", None, 3).unwrap().rows, []);
        assert_eq!(cells("a,b\n1,"), [(2, vec!["1".to_owned(), String::new()])]);
        assert_eq!(cells("a,b\n1,2,,\n"), [(2, vec!["1".to_owned(), "2".to_owned()])], "empty cells at the end");
    }

    #[test]
    fn the_separator_is_found_or_named() {
        for (content, delimiter) in [
            ("a,b\n1,2", ','),
            ("a;b\n1,5;2,5", ';'),
            ("a\tb\n1\t2", '\t'),
            ("a|b\n1|2", '|'),
            ("a\n1", ','),
            ("\"a;b\",c\n1,2", ','),
            ("a;b,c;d\n1,5;2;3", ';'),
            ("sep=;\na;b\n1;2", ';'),
        ] {
            assert_eq!(parse(content, None, 9).unwrap().delimiter, delimiter, "{content:?}");
        }
        assert_eq!(parse("sep=;\na;b\n1;2", None, 9).unwrap().rows[0].number, 3);
        assert_eq!(parse("a;b\n1;2", Some(','), 9).unwrap().header, ["a;b"]);
        for (named, one) in [(",", ','), ("tab", '\t'), ("\\t", '\t'), ("\t", '\t'), ("|", '|')] {
            assert_eq!(delimiter(named), Ok(one));
        }
        for bad in ["", ":", ",,", "x"] {
            assert!(delimiter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_would_lose_data_is_refused_with_its_row() {
        assert!(refused("a,b\n1,2\n3,\"x\n4,5\n").contains("row 3, cell 2"), "{}", refused("a,b\n1,2\n3,\"x\n4,5\n"));
        assert!(refused("a,b\n\"x\"y,2").contains("row 2, cell 1"));
        assert!(refused("a,b\n1,2\n1").contains("row 3 has 1 cell, the header has 2 (separated by comma)"));
        assert!(refused("a,b\n1,2,3").contains("row 2 has 3 cells"));
        assert!(refused("").contains("no header") && refused("\n , \n").contains("no header"));
        assert!(refused("a\n1\n2\n3\n4").contains("more than 3 rows"));
        assert!(refused("a\nK\u{fffd}ln").contains("U+FFFD"));
        assert!(refused("a\nx\0").contains("NUL"));
    }

    #[test]
    fn formulas_are_told_from_figures() {
        for cell in [
            "=1+1",
            "@SUM(A1)",
            "+cmd|' /C calc'!A0",
            "-2+3+cmd",
            "\tx",
            "\r=1",
            "-",
            "+",
            "--",
            "＝1",
            "- item",
            "-inf",
            "+nan",
            "-e5",
        ] {
            assert!(is_formula(cell), "{cell}");
            assert_eq!(behind_apostrophe(&neutral(cell.to_owned())), Some(cell));
        }
        for cell in
            ["", "x=1", "+32 (0)2 123 45 67", "-5.0", "-1.5e-7", "+1e9", "-1 234,50", "-1\u{202f}234", "'tis", "a@b.c", " =1"]
        {
            assert!(!is_formula(cell), "{cell}");
            assert_eq!(neutral(cell.to_owned()), cell);
        }
        assert_eq!(behind_apostrophe("'+32 2"), None);
        assert_eq!(behind_apostrophe("'tis"), None);
    }
}
