//! Search in content: in linear time, line by line, and always here, wherever the files are.
use std::{
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};
use serde::Serialize;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Files,
    error::{Error, Result},
    local::ScanLimits,
    place::{Context, Failure, Place},
    remote::AsyncVisit,
    roots::{Located, Roots, is_git},
    text,
};

/// Longer lines are matched in overlapping parts, so that time can be looked at between.
const PART: usize = 16 << 10;
const OVERLAP: usize = 1 << 10;
/// Characters of a line that are shown.
const SHOWN: usize = 400;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// Text, or with `regex` a regular expression, matched line by line; at most 1,000 bytes.
    pub query: String,
    pub regex: bool,
    pub case_sensitive: bool,
    /// A path to look below (an addon, a directory, a file); none for all roots.
    pub below: Option<String>,
    /// On the path below its root, or, without a `/`, on the file's name: `*.py`, `**/models/*.py`.
    pub glob: Option<String>,
    /// Lines before and after, at most 10.
    pub context: usize,
    /// Matches, at most 500.
    pub limit: usize,
    /// At most the deadline.
    pub time: Duration,
}
impl Default for Query {
    fn default() -> Self {
        Self {
            query: String::new(),
            regex: false,
            case_sensitive: true,
            below: None,
            glob: None,
            context: 2,
            limit: 100,
            time: Duration::from_secs(10),
        }
    }
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Match {
    pub path: String,
    /// From 1.
    pub line: u64,
    /// At most 400 characters around the match.
    pub text: String,
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    pub matches: Vec<Match>,
    /// Matching lines in all that was searched, shown or not.
    pub total: u64,
    /// Files whose content was looked at.
    pub files: u64,
    /// There were more matches than the limit, or more files than a search reads (50,000 or 256 MB).
    pub truncated: bool,
    /// The time was up before all was searched.
    pub timed_out: bool,
}

/// Matches one file after the other.
struct Matcher {
    pattern: Regex,
    roots: Arc<Roots>,
    context: usize,
    limit: usize,
    until: Clock,
    found: Found,
}

impl Files {
    /// Searches the text files below a path. Left out: binary files, files above 2 MB, links, and what lies in `.git`,
    /// `node_modules` and `__pycache__`.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a query or glob that is not usable. Running out of time is none: what was found comes back.
    pub async fn search(&self, query: &Query) -> Result<Found> {
        let until = self.until();
        let pattern = pattern(query)?;
        let glob = query.glob.as_deref().map(glob).transpose()?;
        let starts = match query.below.as_deref().filter(|below| !below.is_empty()) {
            None => (0..self.roots.all.len()).map(|root| (root, Vec::new())).collect(),
            Some(below) => {
                let located = self.roots.below(below)?;
                if located.path.iter().any(|part| is_git(part)) {
                    return Err(Error::Git { path: located.shown });
                }
                vec![(located.root, located.path)]
            }
        };
        let context = match starts.as_slice() {
            [(root, path)] => {
                Context::reading(&Located { root: *root, path: path.clone(), shown: self.roots.shown(*root, path) }, "search")
            }
            _ => Context::reading(&Located { root: 0, path: Vec::new(), shown: "all roots".to_owned() }, "search"),
        };
        let time = query.time.min(self.deadline.mul_f64(0.9));
        let mut matcher = Matcher {
            pattern,
            roots: self.roots.clone(),
            context: query.context.min(10),
            limit: query.limit.clamp(1, 500),
            until: Clock::now() + time,
            found: Found::default(),
        };
        let end = matcher.until;
        let limits = ScanLimits { file: 2 << 20, bytes: 256 << 20, files: 50_000, until: end };
        let done = match &self.place {
            Place::Local(local) => {
                let (inner, glob) = (local.clone(), glob.clone());
                local
                    .blocking(until, move |gate| {
                        let complete = inner.scan(
                            &starts,
                            &limits,
                            gate,
                            &|_, path| wanted(glob.as_ref(), path),
                            &mut |root, path, content| {
                                if matcher.file(root, path, &content) {
                                    ControlFlow::Continue(())
                                } else {
                                    ControlFlow::Break(())
                                }
                            },
                        )?;
                        Ok((matcher.found, complete))
                    })
                    .await
            }
            Place::Container(remote) => {
                let (send, mut receive) = mpsc::channel::<(usize, Vec<String>, Vec<u8>)>(8);
                let matching = spawn_blocking(move || {
                    while let Some((root, path, content)) = receive.blocking_recv() {
                        if !matcher.file(root, &path, &content) {
                            break;
                        }
                    }
                    matcher.found
                });
                let mut forward = Forward(send);
                let scanned =
                    remote.scan(&starts, &limits, end.into(), &|_, path| wanted(glob.as_ref(), path), &mut forward).await;
                drop(forward);
                let found = matching.await.map_err(|error| Error::Script { why: error.to_string(), outcome_unknown: false })?;
                match scanned {
                    Ok(complete) => Ok((found, complete)),
                    Err(Failure::Late { .. }) => Ok((Found { timed_out: true, ..found }, true)),
                    Err(failure) => Err(failure),
                }
            }
        };
        match done {
            Ok((mut found, complete)) => {
                found.timed_out |= !complete && Clock::now() >= end;
                found.truncated = !complete || found.total > found.matches.len() as u64;
                Ok(found)
            }
            Err(failure) => Err(context.failed(&self.roots, failure, self.deadline)),
        }
    }
}

/// To the thread that matches.
struct Forward(mpsc::Sender<(usize, Vec<String>, Vec<u8>)>);
impl AsyncVisit for Forward {
    fn visit(&mut self, root: usize, path: &[String], content: Vec<u8>) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        let path = path.to_vec();
        Box::pin(async move { self.0.send((root, path, content)).await.is_ok() })
    }
}

fn pattern(query: &Query) -> Result<Regex> {
    let bad = |why: String| Error::Pattern { what: "query", why };
    if query.query.is_empty() || query.query.len() > 1000 {
        return Err(bad("it has to have 1 to 1,000 bytes".to_owned()));
    }
    if query.query.contains(['\n', '\r']) {
        return Err(bad("lines are matched one by one, so it cannot have a line break".to_owned()));
    }
    let text = if query.regex { query.query.clone() } else { regex::escape(&query.query) };
    RegexBuilder::new(&text)
        .case_insensitive(!query.case_sensitive)
        .size_limit(256 << 10)
        .dfa_size_limit(2 << 20)
        .nest_limit(50)
        .build()
        .map_err(|error| bad(error.to_string()))
}
fn glob(glob: &str) -> Result<GlobMatcher> {
    let bad = |why: String| Error::Pattern { what: "glob", why };
    if glob.is_empty() || glob.len() > 200 {
        return Err(bad("it has to have 1 to 200 bytes".to_owned()));
    }
    let whole = if glob.contains('/') { glob.to_owned() } else { format!("**/{glob}") };
    let built = GlobBuilder::new(&whole).literal_separator(true).backslash_escape(false).build();
    Ok(built.map_err(|error| bad(error.to_string()))?.compile_matcher())
}
fn wanted(glob: Option<&GlobMatcher>, path: &[String]) -> bool {
    glob.is_none_or(|glob| glob.is_match(path.join("/")))
}

impl Matcher {
    /// False: the time is up.
    fn file(&mut self, root: usize, path: &[String], content: &[u8]) -> bool {
        if Clock::now() >= self.until {
            self.found.timed_out = true;
            return false;
        }
        let Some(text) = text::text(content) else { return true };
        self.found.files += 1;
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if line.len() > PART && Clock::now() >= self.until {
                self.found.timed_out = true;
                return false;
            }
            if index % 64 == 63 && Clock::now() >= self.until {
                self.found.timed_out = true;
                return false;
            }
            let Some(at) = self.matches(line) else { continue };
            self.found.total += 1;
            if self.found.matches.len() >= self.limit {
                continue;
            }
            let around =
                |from: usize, to: usize| lines.get(from..to).unwrap_or_default().iter().map(|line| excerpt(line, 0)).collect();
            self.found.matches.push(Match {
                path: self.roots.shown(root, path),
                line: index as u64 + 1,
                text: excerpt(line, at),
                before: around(index.saturating_sub(self.context), index),
                after: around(index + 1, (index + 1 + self.context).min(lines.len())),
            });
        }
        true
    }
    /// Where a line matches.
    fn matches(&self, line: &str) -> Option<usize> {
        if line.len() <= PART {
            return self.pattern.find(line).map(|found| found.start());
        }
        let mut start = 0;
        while start < line.len() {
            let end = line.floor_char_boundary((start + PART).min(line.len()));
            if let Some(found) = self.pattern.find(line.get(start..end)?) {
                return Some(start + found.start());
            }
            if end == line.len() || Clock::now() >= self.until {
                return None;
            }
            start = line.floor_char_boundary(end - OVERLAP);
        }
        None
    }
}

/// At most 400 characters of a line, around a place in it.
fn excerpt(line: &str, at: usize) -> String {
    if line.len() <= SHOWN || line.chars().nth(SHOWN).is_none() {
        return line.to_owned();
    }
    let before = line.get(..at).map_or(0, |before| before.chars().count());
    let skip = if before < SHOWN - 100 { 0 } else { before - 100 };
    line.chars().skip(skip).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query { query: text.into(), regex: true, ..Query::default() }
    }
    fn matcher(query: &Query, seconds: u64) -> Matcher {
        let root = super::super::Root { name: "r".into(), path: "/srv/r".into(), writable: false };
        Matcher {
            pattern: pattern(query).unwrap(),
            roots: Arc::new(Roots::new(vec![root]).unwrap()),
            context: query.context,
            limit: query.limit,
            until: Clock::now() + Duration::from_secs(seconds),
            found: Found::default(),
        }
    }

    #[test]
    fn what_would_explode_does_not() {
        for bad in ["(a{1000}){1000}", "((a{100}){100}){100}", "(?=x)", "(a)\\1", "(", "a\nb", ""] {
            assert!(matches!(pattern(&query(bad)), Err(Error::Pattern { .. })), "{bad}");
        }
        // Exponential where matching backtracks.
        for evil in ["(a+)+$", "(a|aa)+$", "(.*a){20}b", "(a|b|ab)*c$"] {
            let mut matcher = matcher(&query(evil), 3);
            let content = format!("{}!\n", "a".repeat(2_000_000));
            let began = Clock::now();
            matcher.file(0, &["f".into()], content.as_bytes());
            assert!(began.elapsed() < Duration::from_secs(5), "{evil}: {:?}", began.elapsed());
        }
    }

    #[test]
    fn matches_have_their_surroundings() {
        let mut matcher = matcher(&Query { context: 1, limit: 2, ..query("b+") }, 5);
        let content = format!("a\r\nbb\r\nc\n{}b{}\nb\n", "x".repeat(1000), "y".repeat(1000));
        assert!(matcher.file(0, &["d".into(), "f".into()], content.as_bytes()));
        assert!(matcher.file(0, &["binary".into()], b"b\0b"));
        let found = matcher.found;
        assert_eq!((found.total, found.matches.len(), found.files), (3, 2, 1));
        let first = &found.matches[0];
        assert_eq!((first.path.as_str(), first.line, first.text.as_str()), ("r/d/f", 2, "bb"));
        assert_eq!((&first.before, &first.after), (&vec!["a".to_owned()], &vec!["c".to_owned()]));
        let second = &found.matches[1];
        assert_eq!((second.text.len(), second.text.find('b')), (400, Some(100)));
    }

    #[test]
    fn long_lines_are_searched_to_their_end() {
        let mut matcher = matcher(&Query { regex: false, ..query("needle") }, 5);
        for at in [0, PART - 3, PART, 100_000, 1_999_000] {
            let mut line = "é".repeat(at / 2);
            line.push_str("needle");
            line.push_str(&"z".repeat(500));
            assert!(matcher.file(0, &["f".into()], line.as_bytes()));
        }
        assert_eq!(matcher.found.total, 5);
    }

    #[test]
    fn globs_take_names_or_paths() {
        let matches = |text: &str, path: &str| {
            let path: Vec<String> = path.split('/').map(ToOwned::to_owned).collect();
            wanted(Some(&glob(text).unwrap()), &path)
        };
        assert!(matches("*.py", "sale/models/order.py"));
        assert!(!matches("*.py", "sale/models/order.xml"));
        assert!(matches("sale/**/*.py", "sale/models/order.py"));
        assert!(!matches("sale/*.py", "sale/models/order.py"));
        assert!(matches("*.{py,xml}", "a/b.xml"));
        assert!(glob("[").is_err());
    }
}
