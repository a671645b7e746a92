//! Applies a unified diff to one text, all of it or nothing.
//!
//! Reads what `diff -u`, `git diff` and language models write. The latter miscount, so the counts of an `@@` line are a
//! help and no condition: where body and counts differ, the body rules as long as it can be read in one way only. A hunk
//! is looked for at its line, then nearest to it, then with fewer context lines; what it removes must be there word for
//! word, and where two places fit equally well none is taken.
//!
//! Line ends: those of the text are kept. A diff without carriage returns fits a text with them, and what it adds gets
//! the line end of its neighbours; a diff that has them itself is taken literally. The same holds for the newline at the
//! end of the text: a hunk without `\ No newline at end of file` leaves that as it is.
use std::collections::HashMap;

/// The most bytes that a text may have.
pub const MAX_TEXT: usize = 2 << 20;
/// The most bytes that a diff may have.
pub const MAX_DIFF: usize = 1 << 20;
/// The most hunks that a diff may have.
pub const MAX_HUNKS: usize = 500;
/// The most context lines that are given up at each end of a hunk.
const MAX_FUZZ: u8 = 2;
/// The most characters of a line in an error.
const SHOWN: usize = 120;

/// What a diff made of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The text with every hunk applied.
    pub text: String,
    /// One for each hunk, in the order of the diff.
    pub hunks: Vec<HunkReport>,
}

/// Where and how a hunk was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HunkReport {
    /// Its `@@` line.
    pub header: String,
    /// Line of the text as it was before, from 1, at which the hunk starts.
    pub at_line: usize,
    /// Lines between where the header puts it and where it was found; 0 when the header names no line.
    pub offset: i64,
    /// Context lines given up at each end, 0 to 2.
    pub fuzz: u8,
    /// Whether the header's counts were missing or wrong, so that the body was counted instead.
    pub recounted: bool,
}

/// Why a diff was not applied. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the {what} has {bytes} bytes, more than {limit}: apply it in smaller parts")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    #[error("the diff has more than {MAX_HUNKS} hunks: apply it in smaller parts")]
    TooManyHunks,
    #[error("the diff has no hunk: a hunk starts with a line like `@@ -10,3 +10,4 @@`")]
    NoHunk,
    #[error("line {line} of the diff: {problem}")]
    Syntax { line: usize, problem: String },
    #[error("the diff is for {first} and {second}: send one diff for each file")]
    SeveralFiles { first: String, second: String },
    #[error("the diff creates {path}: write the new file with its whole content instead")]
    Creates { path: String },
    #[error("the diff deletes {path}: a diff changes a file and never removes it; delete it with the tool for that")]
    Deletes { path: String },
    #[error("the diff renames or copies {path}: write the content to the new path, then delete the old one")]
    Renames { path: String },
    #[error("the diff is binary: write the file with its whole content instead")]
    Binary,
    #[error(
        "hunk {hunk} ({header}) fits equally well at lines {}: give it more context lines, or the right line number",
        list(.lines)
    )]
    Ambiguous { hunk: usize, header: String, lines: Vec<usize> },
    #[error(
        "hunk {hunk} ({header}) does not fit: line {line} should be `{expected}` and is {}{}: read the file again and \
         write the hunk from what it has",
        what_is_there(.found.as_deref()), in_brackets(.note)
    )]
    Mismatch {
        hunk: usize,
        header: String,
        /// Line of the text, from 1, where matching stopped.
        line: usize,
        expected: String,
        /// What the text has there; none at its end.
        found: Option<String>,
        /// More about it, or empty.
        note: &'static str,
    },
    #[error(
        "hunk {hunk} ({header}) has neither context nor removed lines, so that its place is unknown: repeat the lines \
         around it, each with a space in front"
    )]
    NoAnchor { hunk: usize, header: String },
}

fn list(lines: &[usize]) -> String {
    let mut all: Vec<String> = lines.iter().take(10).map(usize::to_string).collect();
    if lines.len() > 10 {
        all.push(format!("{} more", lines.len() - 10));
    }
    all.join(", ")
}

fn what_is_there(line: Option<&str>) -> String {
    line.map_or_else(|| "the end of the file".to_owned(), |line| format!("`{line}`"))
}

fn in_brackets(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" ({note})") }
}

/// A line for an error: what cannot be seen is made visible, and what is long is cut.
fn shown(line: &str) -> String {
    let mut out: String = line.chars().take(SHOWN).flat_map(visible).collect();
    if line.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let escape = c.is_control() || (c.is_whitespace() && c != ' ');
    let escaped = escape.then(|| c.escape_default());
    let plain = (!escape).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Context,
    Removed,
    Added,
}

#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    kind: Kind,
    text: &'a str,
    /// Followed by `\ No newline at end of file`.
    unterminated: bool,
}

#[derive(Debug)]
struct Hunk<'a> {
    header: &'a str,
    /// First line of the old side, from 1, where the header says so.
    start: Option<usize>,
    /// The header says that the old side is empty.
    insertion: bool,
    recounted: bool,
    lines: Vec<Line<'a>>,
}

/// Applies a unified diff to a text.
///
/// `text` and `diff` are UTF-8 of at most [`MAX_TEXT`] and [`MAX_DIFF`] bytes. Paths in the diff are not looked at but to
/// see that it is for one file, which it neither creates, deletes nor renames.
///
/// # Errors
/// Every way in which a diff does not fit, see [`Error`]; the text is then as it was.
pub fn apply(text: &str, diff: &str) -> Result<Applied, Error> {
    within("file", text, MAX_TEXT)?;
    within("diff", diff, MAX_DIFF)?;
    let mut hunks = parse(diff)?;
    if hunks.is_empty() {
        return Err(Error::NoHunk);
    }
    let loose = settle_line_ends(text, &mut hunks);
    Document::new(text, loose).apply(&hunks)
}

fn within(what: &'static str, text: &str, limit: usize) -> Result<(), Error> {
    if text.len() > limit {
        return Err(Error::TooLarge { what, bytes: text.len(), limit });
    }
    Ok(())
}

/// Whether carriage returns of the text are to be ignored because the diff knows of none. A diff that has one on each
/// line, for a text without any, got them on its way here: they are taken off.
fn settle_line_ends(text: &str, hunks: &mut [Hunk<'_>]) -> bool {
    let returns = |line: &Line<'_>| line.text.ends_with('\r');
    let mut lines = hunks.iter().flat_map(|hunk| &hunk.lines);
    // Taken literally, an old line with one could not match such a text.
    let old = lines.clone().any(|line| line.kind != Kind::Added);
    if old && !text.contains('\r') && lines.clone().all(returns) {
        for line in hunks.iter_mut().flat_map(|hunk| &mut hunk.lines) {
            line.text = line.text.strip_suffix('\r').unwrap_or(line.text);
        }
        return false;
    }
    text.contains("\r\n") && !lines.any(returns)
}

// ------------------------------------------------------------------------------------------------------- reading

fn parse(diff: &str) -> Result<Vec<Hunk<'_>>, Error> {
    let mut lines: Vec<&str> = diff.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    // Where even the `@@` lines end in a carriage return, the transport put it there.
    let headers = || lines.iter().filter(|line| line.starts_with("@@"));
    if headers().next().is_some() && headers().all(|line| line.ends_with('\r')) {
        for line in &mut lines {
            *line = line.strip_suffix('\r').unwrap_or(line);
        }
    }
    Parser { lines, at: 0 }.diff()
}

struct Parser<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn line(&self, at: usize) -> Option<&'a str> {
        self.lines.get(at).copied()
    }

    fn wrong<T>(&self, problem: impl Into<String>) -> Result<T, Error> {
        Err(Error::Syntax { line: self.at + 1, problem: problem.into() })
    }

    fn diff(mut self) -> Result<Vec<Hunk<'a>>, Error> {
        let mut hunks = Vec::new();
        let mut file: Option<String> = None;
        let mut git: Option<String> = None;
        while let Some(line) = self.line(self.at) {
            if line.starts_with("@@@") {
                return self.wrong("this is the diff of a merge: make one between two versions");
            }
            if line.starts_with("@@") {
                if hunks.len() == MAX_HUNKS {
                    return Err(Error::TooManyHunks);
                }
                let hunk = self.hunk()?;
                hunks.push(hunk);
                continue;
            }
            if let Some(paths) = line.strip_prefix("diff --git ") {
                let path = shown(paths.trim_end());
                if let Some(first) = git.replace(path.clone()).or_else(|| file.clone()) {
                    return Err(Error::SeveralFiles { first, second: path });
                }
            } else if self.file_header(self.at) {
                let new = self.line(self.at + 1).unwrap_or_default();
                let (old, new) = (path_of(line), path_of(new));
                if let Some(first) = file {
                    return Err(Error::SeveralFiles { first, second: new });
                }
                match (old.as_str(), new.as_str()) {
                    ("/dev/null", _) => return Err(Error::Creates { path: new }),
                    (_, "/dev/null") => return Err(Error::Deletes { path: old }),
                    _ => {}
                }
                file = Some(new);
                self.at += 2;
                continue;
            } else if hunks.is_empty() {
                self.extended(line, git.as_deref())?;
            } else if !self.trailer() {
                return self
                    .wrong("this belongs to no hunk: each line of a hunk starts with a space (kept), - (removed) or + (added)");
            }
            self.at += 1;
        }
        Ok(hunks)
    }

    /// Whether `---` and `+++` stand here.
    fn file_header(&self, at: usize) -> bool {
        let starts = |at: usize, with: &str| self.line(at).is_some_and(|line| line.starts_with(with));
        starts(at, "--- ") && starts(at + 1, "+++ ")
    }

    /// Lines between `diff --git` and `---`, and prose before the first hunk, which is passed over.
    fn extended(&self, line: &str, git: Option<&str>) -> Result<(), Error> {
        if line.starts_with("GIT binary patch") || (line.starts_with("Binary files ") && line.contains(" differ")) {
            return Err(Error::Binary);
        }
        let Some(git) = git else {
            // A body without its `@@` line would otherwise be lost in silence before the next hunk.
            if line.starts_with('+') || line.starts_with('-') {
                return self.wrong("there is no `@@` line before this one: start each hunk with one");
            }
            return Ok(());
        };
        let path = git.to_owned();
        if line.starts_with("new file mode") {
            return Err(Error::Creates { path });
        }
        if line.starts_with("deleted file mode") {
            return Err(Error::Deletes { path });
        }
        if line.starts_with("rename from") || line.starts_with("copy from") {
            return Err(Error::Renames { path });
        }
        Ok(())
    }

    /// Whether what stands here may follow the last hunk: empty lines, the end of a Markdown block, git's signature.
    fn trailer(&self) -> bool {
        let rest = self.lines.get(self.at..).unwrap_or_default();
        let filled = rest.iter().filter(|line| !line.trim().is_empty()).count();
        match self.line(self.at).map(str::trim_end) {
            Some("") => true,
            Some("```") => filled == 1,
            Some("--") => filled <= 2,
            _ => self.at > 0 && self.line(self.at - 1).map(str::trim_end) == Some("--"),
        }
    }

    /// Whether a hunk's body cannot go on here, however it was counted.
    fn closes(&self, at: usize) -> bool {
        let Some(line) = self.line(at) else { return true };
        line.starts_with("@@") || line.starts_with("diff --git ") || line.trim_end() == "```" || self.file_header(at)
    }

    fn hunk(&mut self) -> Result<Hunk<'a>, Error> {
        let header = self.line(self.at).unwrap_or_default();
        let range = Range::of(header);
        self.at += 1;
        let counted = range.as_ref().and_then(|range| self.counted(range));
        let recounted = counted.is_none();
        let lines = match counted {
            Some((lines, end)) => {
                self.at = end;
                lines
            }
            None => self.uncounted()?,
        };
        if !lines.iter().any(|line| line.kind != Kind::Context) {
            return self.wrong(format!("the hunk above ({}) changes nothing", shown(header)));
        }
        Ok(Hunk {
            header,
            start: range.as_ref().map(|range| range.old_start),
            insertion: range.is_some_and(|range| range.old == 0) && lines.iter().all(|line| line.kind == Kind::Added),
            recounted,
            lines,
        })
    }

    /// The body as its header counts it, where that fits and what follows is no part of a body.
    fn counted(&self, range: &Range) -> Option<(Vec<Line<'a>>, usize)> {
        let (mut old, mut new) = (range.old, range.new);
        let mut lines: Vec<Line<'a>> = Vec::new();
        let mut at = self.at;
        loop {
            let line = self.line(at);
            if line.is_some_and(|line| line.starts_with('\\')) {
                lines.last_mut()?.unterminated = true;
                at += 1;
                continue;
            }
            if old == 0 && new == 0 {
                break;
            }
            let line = body(line?)?;
            match line.kind {
                Kind::Context => {
                    old = old.checked_sub(1)?;
                    new = new.checked_sub(1)?;
                }
                Kind::Removed => old = old.checked_sub(1)?,
                Kind::Added => new = new.checked_sub(1)?,
            }
            lines.push(line);
            at += 1;
        }
        let next = self.line(at).unwrap_or_default();
        let more = next.starts_with([' ', '+', '-']) && !self.closes(at) && next.trim_end() != "--";
        (!more).then_some((lines, at))
    }

    /// The body up to the next thing that cannot be part of one.
    fn uncounted(&mut self) -> Result<Vec<Line<'a>>, Error> {
        let mut lines: Vec<Line<'a>> = Vec::new();
        while !self.closes(self.at) {
            let text = self.line(self.at).unwrap_or_default();
            if text.starts_with('\\') {
                match lines.last_mut() {
                    Some(line) => line.unterminated = true,
                    None => return self.wrong("there is no line before this one that could lack its newline"),
                }
            } else if let Some(line) = body(text) {
                lines.push(line);
            } else {
                return self.wrong("each line of a hunk starts with a space (kept), - (removed) or + (added); this one does not");
            }
            self.at += 1;
        }
        // Empty lines at the end may be context that lost its space, or only distance to what follows.
        while lines.last().is_some_and(|line| line.kind == Kind::Context && line.text.is_empty()) {
            lines.pop();
        }
        Ok(lines)
    }
}

/// A line of a hunk's body. An empty one is an empty context line that lost its space.
fn body(line: &str) -> Option<Line<'_>> {
    let (kind, text) = match line.chars().next() {
        Some(' ') => (Kind::Context, line.get(1..)?),
        Some('-') => (Kind::Removed, line.get(1..)?),
        Some('+') => (Kind::Added, line.get(1..)?),
        None | Some('\r') if line.len() < 2 => (Kind::Context, line),
        _ => return None,
    };
    Some(Line { kind, text, unterminated: false })
}

/// The path of a `---` or `+++` line, without the time that `diff` puts behind it.
fn path_of(line: &str) -> String {
    let path = line.get(4..).unwrap_or_default();
    shown(path.split('\t').next().unwrap_or_default().trim())
}

struct Range {
    old_start: usize,
    old: usize,
    new: usize,
}

impl Range {
    /// Of `@@ -10,3 +10,4 @@`, where a count that is missing means 1.
    fn of(header: &str) -> Option<Self> {
        let mut words = header.strip_prefix("@@")?.split_whitespace();
        let (old_start, old) = pair(words.next()?.strip_prefix('-')?)?;
        let (_, new) = pair(words.next()?.strip_prefix('+')?)?;
        Some(Self { old_start, old, new })
    }
}

fn pair(text: &str) -> Option<(usize, usize)> {
    let text = text.trim_end_matches('@');
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    Some((start.parse().ok()?, count.parse().ok()?))
}

// ------------------------------------------------------------------------------------------------------ applying

/// The text, line by line, with a number for each different line so that comparing is quick.
struct Document<'a> {
    lines: Vec<&'a str>,
    ids: Vec<u32>,
    numbers: HashMap<&'a str, u32>,
    /// Whether carriage returns are ignored when comparing.
    loose: bool,
    /// Whether the last line has its newline; true for a text without lines.
    terminated: bool,
}

/// A place that a hunk fits.
struct Place {
    /// The hunk's first old line that was not given up, from 0.
    at: usize,
    /// Lines from where the hunk was expected.
    offset: i64,
    fuzz: u8,
}

/// How far the old side of a hunk matches, at best.
#[derive(Default)]
struct Reach {
    at: usize,
    lines: usize,
}

impl<'a> Document<'a> {
    fn new(text: &'a str, loose: bool) -> Self {
        let mut lines: Vec<&str> = text.split('\n').collect();
        let terminated = lines.last() == Some(&"");
        if terminated {
            lines.pop();
        }
        let mut numbers = HashMap::new();
        let mut ids = Vec::with_capacity(lines.len());
        for line in &lines {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            ids.push(*numbers.entry(key(line, loose)).or_insert(next));
        }
        Self { lines, ids, numbers, loose, terminated }
    }

    fn apply(&self, hunks: &[Hunk<'_>]) -> Result<Applied, Error> {
        let mut out: Vec<String> = Vec::with_capacity(self.lines.len());
        let mut reports = Vec::with_capacity(hunks.len());
        // Of the text: how much of it is in `out`, and by how much the last hunk was off.
        let (mut done, mut drift) = (0, 0);
        let mut terminated = self.terminated;
        for (index, hunk) in hunks.iter().enumerate() {
            let place = self.place(index + 1, hunk, done, drift)?;
            out.extend(self.kept(done..place.at));
            let given_up = |ends: &mut dyn Iterator<Item = &Line<'_>>| {
                ends.take(usize::from(place.fuzz)).take_while(|line| line.kind == Kind::Context).count()
            };
            let lead = given_up(&mut hunk.lines.iter());
            let tail = given_up(&mut hunk.lines.iter().rev());
            let used = hunk.lines.get(lead..hunk.lines.len() - tail).unwrap_or_default();
            done = place.at;
            let marked = hunk.lines.iter().any(|line| line.unterminated);
            for line in used {
                match line.kind {
                    Kind::Context => out.extend(self.kept(done..done + 1)),
                    Kind::Added => out.push(self.ended(line.text, done)),
                    Kind::Removed => {}
                }
                if line.kind != Kind::Added {
                    done += 1;
                }
            }
            if marked {
                terminated = self.newline_at_end(index + 1, hunk, done, used)?;
            }
            drift = place.offset;
            let at_line = place.at.saturating_sub(lead) + 1;
            reports.push(HunkReport {
                header: shown(hunk.header),
                at_line,
                offset: if hunk.start.is_some() { place.offset } else { 0 },
                fuzz: place.fuzz,
                recounted: hunk.recounted,
            });
        }
        out.extend(self.kept(done..self.lines.len()));
        let mut text = out.join("\n");
        if terminated && !out.is_empty() {
            text.push('\n');
        }
        Ok(Applied { text, hunks: reports })
    }

    fn kept(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
        self.lines.get(range).unwrap_or_default().iter().map(|line| (*line).to_owned())
    }

    /// An added line with the line end of the text around it: of the line before, else of the one at its place.
    fn ended(&self, text: &str, at: usize) -> String {
        let near = at.checked_sub(1).and_then(|at| self.lines.get(at)).or_else(|| self.lines.get(at));
        if self.loose && near.is_some_and(|line| line.ends_with('\r')) {
            return format!("{text}\r");
        }
        text.to_owned()
    }

    /// Whether the text ends in a newline after a hunk that says something about it.
    fn newline_at_end(&self, number: usize, hunk: &Hunk<'_>, done: usize, used: &[Line<'_>]) -> Result<bool, Error> {
        let refuse = |line: &Line<'_>, note| {
            Err(Error::Mismatch {
                hunk: number,
                header: shown(hunk.header),
                line: done.max(1),
                expected: shown(line.text),
                found: self.lines.get(done.saturating_sub(1)).map(|line| shown(line)),
                note,
            })
        };
        let old = used.iter().rev().find(|line| line.kind != Kind::Added);
        let new = used.iter().rev().find(|line| line.kind != Kind::Removed);
        for line in hunk.lines.iter().filter(|line| line.unterminated) {
            let last_old = old.is_some_and(|old| std::ptr::eq(old, line));
            let last_new = new.is_some_and(|new| std::ptr::eq(new, line));
            if !(last_old || last_new) || done != self.lines.len() {
                return refuse(line, "the diff says that the file ends here without a newline");
            }
            if last_old && self.terminated {
                return refuse(line, "the diff says that the file ends without a newline, but it has one");
            }
        }
        // The end of a hunk that has nothing left to say about new lines is the end of what precedes it.
        Ok(new.is_none_or(|new| !new.unterminated))
    }

    /// Where a hunk belongs, not before line `from` (from 0), expected `drift` lines after where its header puts it.
    fn place(&self, number: usize, hunk: &Hunk<'_>, from: usize, drift: i64) -> Result<Place, Error> {
        let old: Vec<&Line<'_>> = hunk.lines.iter().filter(|line| line.kind != Kind::Added).collect();
        let header = || shown(hunk.header);
        if old.is_empty() {
            return self.insertion(number, hunk, from, drift);
        }
        let ids: Vec<u32> = old.iter().map(|line| self.id(line.text)).collect();
        let lead = hunk.lines.iter().take_while(|line| line.kind == Kind::Context).count();
        let tail = hunk.lines.iter().rev().take_while(|line| line.kind == Kind::Context).count();
        let expected = hunk.start.map(|start| signed(start.max(1) - 1).saturating_add(drift));
        let mut reach = Reach::default();
        let mut last = None;
        for fuzz in 0..=MAX_FUZZ {
            let (head, foot) = (lead.min(fuzz.into()), tail.min(fuzz.into()));
            if fuzz > 0 && last == Some((head, foot)) {
                break;
            }
            last = Some((head, foot));
            let part = ids.get(head..ids.len() - foot).unwrap_or_default();
            // Without a word left, a hunk would fit everywhere.
            let words = old.get(head..old.len() - foot).unwrap_or_default();
            if fuzz > 0 && !words.iter().any(|line| line.text.chars().any(char::is_alphanumeric)) {
                break;
            }
            let expected = expected.map(|line| line.saturating_add(signed(head)));
            let hay = self.ids.get(from..).unwrap_or_default();
            if let Some(line) = expected.and_then(|line| usize::try_from(line).ok()).filter(|line| *line >= from)
                && self.ids.get(line..line.saturating_add(part.len())) == Some(part)
            {
                return Ok(Place { at: line, offset: drift, fuzz });
            }
            let (places, longest) = search(part, hay);
            if fuzz == 0 {
                reach = longest;
            }
            let distance = |at: usize| expected.map_or(0, |line| (signed(at + from) - line).abs());
            let Some(nearest) = places.iter().map(|at| distance(*at)).min() else {
                continue;
            };
            // With context given up, "nearest" is too little to go by.
            let equal: Vec<usize> =
                places.iter().copied().filter(|at| fuzz > 0 || distance(*at) == nearest).map(|at| at + from).collect();
            return match equal.as_slice() {
                [at] => Ok(Place {
                    at: *at,
                    offset: expected.map_or(0, |line| signed(*at) - line) + if expected.is_some() { drift } else { 0 },
                    fuzz,
                }),
                _ => Err(Error::Ambiguous {
                    hunk: number,
                    header: header(),
                    lines: equal.iter().map(|at| at - head.min(*at) + 1).collect(),
                }),
            };
        }
        // Where most of it matched, else where it was expected.
        let start = match (reach.lines, expected) {
            (0, Some(line)) => usize::try_from(line).unwrap_or(0).clamp(from, self.lines.len().max(from)),
            _ => reach.at + from,
        };
        let stopped = start + reach.lines;
        let earlier = from > 0 && !search(&ids, self.ids.get(..from).unwrap_or_default()).0.is_empty();
        Err(Error::Mismatch {
            hunk: number,
            header: header(),
            line: stopped + 1,
            expected: old.get(reach.lines).map(|line| shown(line.text)).unwrap_or_default(),
            found: self.lines.get(stopped).map(|line| shown(line)),
            note: if earlier {
                "it fits before the hunk above it: hunks follow the order of the file and do not overlap"
            } else {
                ""
            },
        })
    }

    /// A hunk that only adds, without context: it belongs after the line that its header names, or nowhere.
    fn insertion(&self, number: usize, hunk: &Hunk<'_>, from: usize, drift: i64) -> Result<Place, Error> {
        let at = hunk.start.filter(|_| hunk.insertion).and_then(|start| {
            let at = usize::try_from(signed(start).saturating_add(drift)).ok()?;
            // Line 0 of a file that has lines is how a diff says "this file is empty".
            let fits = at >= from && at <= self.lines.len() && (start > 0 || self.lines.is_empty());
            fits.then_some(at)
        });
        at.map(|at| Place { at, offset: drift, fuzz: 0 })
            .ok_or_else(|| Error::NoAnchor { hunk: number, header: shown(hunk.header) })
    }

    fn id(&self, line: &str) -> u32 {
        self.numbers.get(key(line, self.loose)).copied().unwrap_or(u32::MAX)
    }
}

/// What is compared of a line.
fn key(line: &str, loose: bool) -> &str {
    if loose { line.strip_suffix('\r').unwrap_or(line) } else { line }
}

fn signed(lines: usize) -> i64 {
    i64::try_from(lines).unwrap_or(i64::MAX)
}

/// Every place of `needle` in `hay`, and the one where most of its beginning is: Knuth, Morris and Pratt's search, so
/// that no text of equal lines makes it slow.
fn search(needle: &[u32], hay: &[u32]) -> (Vec<usize>, Reach) {
    let mut borders = vec![0_usize];
    let mut length = 0;
    for id in needle.iter().skip(1) {
        length = extend(needle, &borders, length, *id);
        borders.push(length);
    }
    let (mut places, mut reach) = (Vec::new(), Reach::default());
    let mut matched = 0;
    for (index, id) in hay.iter().enumerate() {
        if matched == needle.len() {
            matched = shorter(&borders, matched);
        }
        matched = extend(needle, &borders, matched, *id);
        let at = (index + 1).saturating_sub(matched);
        if matched > reach.lines {
            reach = Reach { at, lines: matched };
        }
        if matched == needle.len() && matched > 0 {
            places.push(at);
        }
    }
    (places, reach)
}

fn extend(needle: &[u32], borders: &[usize], mut length: usize, id: u32) -> usize {
    while length > 0 && needle.get(length) != Some(&id) {
        length = shorter(borders, length);
    }
    if needle.get(length) == Some(&id) { length + 1 } else { length }
}

fn shorter(borders: &[usize], length: usize) -> usize {
    length.checked_sub(1).and_then(|at| borders.get(at)).copied().unwrap_or(0)
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
