//! `difflib.SequenceMatcher(None, query, value).ratio()` of CPython, to the last bit, with both sides in lower case.
//!
//! CPython prepares an index of `value` and walks the query. One query meets thousands of values here, so the index is of the
//! query and the values are walked: the longest block is the same one as long as ties are broken as CPython's order breaks
//! them (earliest in the query, then earliest in the value). Autojunk depends on the value alone: from 200 characters on,
//! one that makes up more than 1 % of it starts no block, but a block that was found grows over it.
use std::collections::HashMap;

/// A character of the query, numbered from 1; 0 is any other.
type Class = u32;

/// One query, made ready for many values. Holds scratch space, hence `&mut self` in [`Matcher::ratio`].
#[derive(Debug)]
pub struct Matcher {
    query: Vec<Class>,
    /// Classes of the ASCII characters, upper case as lower.
    ascii: [Class; 128],
    others: HashMap<char, Class>,
    /// Where each class stands in the query, last first.
    places: Vec<Vec<usize>>,
    value: Vec<Class>,
    /// How often each class stands in the value.
    counts: Vec<usize>,
    popular: Vec<bool>,
    /// For each place of the query: the place of the value that it last matched, and the length of the block that ends there.
    ends: Vec<(usize, usize)>,
    todo: Vec<Span>,
}
/// `query[a.0..a.1]` against `value[b.0..b.1]`.
#[derive(Debug, Clone, Copy)]
struct Span {
    a: (usize, usize),
    b: (usize, usize),
}
/// `query[a..a+size]` is `value[b..b+size]`.
#[derive(Debug, Clone, Copy)]
struct Block {
    a: usize,
    b: usize,
    size: usize,
}

/// 2 M / T, as CPython computes it.
#[expect(clippy::cast_precision_loss, reason = "lengths of texts are far below 2^52")]
fn quotient(matches: usize, length: usize) -> f64 {
    if length == 0 { 1.0 } else { 2.0 * matches as f64 / length as f64 }
}
fn at<T: Copy + Default>(items: &[T], i: usize) -> T {
    items.get(i).copied().unwrap_or_default()
}

impl Matcher {
    pub fn new(query: &str) -> Self {
        let mut m = Self {
            query: Vec::new(),
            ascii: [0; 128],
            others: HashMap::new(),
            places: vec![Vec::new()],
            value: Vec::new(),
            counts: Vec::new(),
            popular: Vec::new(),
            ends: Vec::new(),
            todo: Vec::new(),
        };
        for (i, c) in query.to_lowercase().chars().enumerate() {
            let mut class = m.class(c);
            if class == 0 {
                class = Class::try_from(m.places.len()).unwrap_or(0);
                m.places.push(Vec::new());
                m.others.insert(c, class);
                for (code, slot) in (0_u8..).zip(&mut m.ascii) {
                    if char::from(code.to_ascii_lowercase()) == c {
                        *slot = class;
                    }
                }
            }
            m.query.push(class);
            if let Some(places) = m.places.get_mut(class as usize) {
                places.insert(0, i);
            }
        }
        m
    }
    fn class(&self, c: char) -> Class {
        self.others.get(&c).copied().unwrap_or(0)
    }

    /// The ratio, or nothing when it is below `least`. Upper bounds are computed as the ratio is, so that what they drop is
    /// what the ratio itself would have dropped.
    pub fn ratio(&mut self, value: &str, least: f64) -> Option<f64> {
        self.value.clear();
        if value.is_ascii() {
            let ascii = &self.ascii;
            self.value.extend(value.bytes().map(|b| at(ascii, usize::from(b))));
        } else {
            let others = &self.others;
            self.value.extend(value.to_lowercase().chars().map(|c| others.get(&c).copied().unwrap_or(0)));
        }
        let (la, lb) = (self.query.len(), self.value.len());
        if quotient(la.min(lb), la + lb) < least {
            return None;
        }
        self.counts.clear();
        self.counts.resize(self.places.len(), 0);
        for class in &self.value {
            if let Some(n) = self.counts.get_mut(*class as usize) {
                *n += 1;
            }
        }
        let common: usize = self.counts.iter().zip(&self.places).map(|(n, places)| places.len().min(*n)).sum();
        if quotient(common, la + lb) < least {
            return None;
        }
        self.popular.clear();
        self.popular.extend(self.counts.iter().map(|n| lb >= 200 && *n > lb / 100 + 1));
        let ratio = quotient(self.matches(), la + lb);
        (ratio >= least).then_some(ratio)
    }

    /// The sum of the matching blocks' sizes. Their order does not matter to it, nor does joining adjacent ones.
    fn matches(&mut self) -> usize {
        self.ends.clear();
        self.ends.resize(self.query.len(), (usize::MAX, 0));
        self.todo.clear();
        self.todo.push(Span { a: (0, self.query.len()), b: (0, self.value.len()) });
        let mut sum = 0;
        while let Some(span) = self.todo.pop() {
            let Block { a, b, size } = self.longest(span);
            if size == 0 {
                continue;
            }
            sum += size;
            if span.a.0 < a && span.b.0 < b {
                self.todo.push(Span { a: (span.a.0, a), b: (span.b.0, b) });
            }
            if a + size < span.a.1 && b + size < span.b.1 {
                self.todo.push(Span { a: (a + size, span.a.1), b: (b + size, span.b.1) });
            }
        }
        sum
    }

    /// `find_longest_match`. `ends` needs no clearing between spans: an entry that names the place before was either written
    /// in this span or, had it been written in an earlier one, would have been written again in this.
    fn longest(&mut self, span: Span) -> Block {
        let Span { a: (alo, ahi), b: (blo, bhi) } = span;
        let mut best = Block { a: alo, b: blo, size: 0 };
        for (j, class) in self.value.iter().enumerate().take(bhi).skip(blo) {
            if *class == 0 || at(&self.popular, *class as usize) {
                continue;
            }
            let Some(places) = self.places.get(*class as usize) else { continue };
            // Last first, so that what is read of the place before is still of the character before.
            for &i in places {
                if i >= ahi {
                    continue;
                }
                if i < alo {
                    break;
                }
                let (end, length) = if i > alo && j > blo { at(&self.ends, i - 1) } else { (usize::MAX, 0) };
                let size = if end == j.wrapping_sub(1) && end != usize::MAX { length + 1 } else { 1 };
                if let Some(slot) = self.ends.get_mut(i) {
                    *slot = (j, size);
                }
                if size > best.size || (size == best.size && i + 1 - size < best.a) {
                    best = Block { a: i + 1 - size, b: j + 1 - size, size };
                }
            }
        }
        // Popular characters start no block, but a block, even an empty one, grows over them.
        let same = |a: usize, b: usize| at(&self.query, a) == at(&self.value, b);
        while best.a > alo && best.b > blo && same(best.a - 1, best.b - 1) {
            best = Block { a: best.a - 1, b: best.b - 1, size: best.size + 1 };
        }
        while best.a + best.size < ahi && best.b + best.size < bhi && same(best.a + best.size, best.b + best.size) {
            best.size += 1;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
        time::Instant,
    };

    use super::*;

    type Case = (String, String, f64);

    fn ratio(query: &str, value: &str) -> f64 {
        Matcher::new(query).ratio(value, 0.0).unwrap()
    }
    fn compare(cases: &[Case]) {
        assert!(cases.len() >= 600, "{}", cases.len());
        for (query, value, expected) in cases {
            let ours = ratio(query, value);
            assert!((ours - expected).abs() < 1e-9, "{query:?} {value:?}: {ours}, CPython says {expected}");
        }
    }
    /// What Python prints for that script, or nothing where there is no Python.
    fn python(arguments: &[&str], input: &str) -> Option<String> {
        let mut child = Command::new("python3").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut stdin = child.stdin.take()?;
        stdin.write_all(input.as_bytes()).ok()?;
        drop(stdin);
        let output = child.wait_with_output().ok()?;
        assert!(output.status.success(), "python3 {arguments:?} failed");
        String::from_utf8(output.stdout).ok()
    }
    const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/difflib_oracle.py");

    #[test]
    fn equals_what_cpython_said() {
        compare(&serde_json::from_str::<Vec<Case>>(include_str!("../tests/difflib_oracle.json")).unwrap());
    }

    #[test]
    fn equals_what_this_machines_cpython_says() {
        let Some(cases) = python(&[ORACLE, "--seed", "7"], "") else { return };
        compare(&serde_json::from_str::<Vec<Case>>(&cases).unwrap());
    }

    /// Of characters that this machine's CPython knows; a newer Unicode has more.
    #[test]
    fn lower_case_is_cpythons() {
        let script = "import sys,unicodedata\nfor i in range(0x110000):\n c=chr(i)\n if unicodedata.category(c) not in ('Cn','Cs') and c.lower()!=c: sys.stdout.buffer.write(('%x %s\\n' % (i, ' '.join('%x' % ord(l) for l in c.lower()))).encode())";
        let Some(lower) = python(&["-c", script], "") else { return };
        let mut compared = 0;
        for line in lower.lines() {
            let mut codes = line.split(' ').map(|c| char::from_u32(u32::from_str_radix(c, 16).unwrap()).unwrap());
            let upper = codes.next().unwrap();
            assert_eq!(upper.to_string().to_lowercase(), codes.collect::<String>(), "{upper}");
            compared += 1;
        }
        assert!(compared > 1_300, "{compared}");
    }

    #[test]
    fn bounds_drop_exactly_what_the_ratio_would_drop() {
        for (query, value, _) in serde_json::from_str::<Vec<Case>>(include_str!("../tests/difflib_oracle.json")).unwrap() {
            let expected = ratio(&query, &value);
            for least in [0.3, 0.6, expected, expected + 1e-12] {
                assert_eq!(Matcher::new(&query).ratio(&value, least).is_some(), expected >= least, "{query:?} {value:?} {least}");
            }
        }
    }

    #[test]
    fn a_matcher_serves_many_values() {
        let mut matcher = Matcher::new("Acme Corp");
        let values = ["acme corp", "Akme Corporation", "", "xyz", "ACME", "corp acme", "Äcme Corp", "acme corp"];
        for value in values.iter().chain(values.iter().rev()) {
            assert_eq!(matcher.ratio(value, 0.0), Some(ratio("Acme Corp", value)), "{value}");
        }
    }

    #[test]
    fn edges() {
        for (a, b, expected) in [("", "", 1.0), ("a", "", 0.0), ("", "a", 0.0), ("abcd", "bcde", 0.75), ("ΟΔΟΣ", "οδος", 1.0)]
        {
            assert!((ratio(a, b) - expected).abs() < 1e-12, "{a} {b}");
        }
    }

    /// A figure for people, not a bar: `cargo test --release -p tools -- --ignored speed --nocapture`.
    #[test]
    #[ignore = "prints how many times faster than CPython"]
    fn speed() {
        let words = [
            "Acme",
            "Corporation",
            "GmbH",
            "Northern",
            "Trading",
            "Company",
            "Müller",
            "Söhne",
            "Services",
            "Ltd",
            "Azure",
            "Interior",
        ];
        let names: Vec<String> = (0..20_000)
            .map(|i: usize| {
                (0..2 + i % 3).map(|k| words[(i * 7 + k * 5 + i / 11) % words.len()]).collect::<Vec<_>>().join(" ")
                    + &format!(" {i}")
            })
            .collect();
        let timed = |least: f64| {
            let start = Instant::now();
            let mut matcher = Matcher::new("Acme Corp Trading");
            let found = names.iter().filter(|n| matcher.ratio(n, least).is_some()).count();
            (start.elapsed().as_secs_f64(), found)
        };
        let (all, _) = timed(0.0);
        let (pruned, found) = timed(0.6);
        let script = "import sys,time,difflib\nnames=sys.stdin.read().split('\\n')\nt=time.perf_counter()\nn=0\nfor v in names:\n n+=difflib.SequenceMatcher(None,'acme corp trading',v.lower()).ratio()>=0.6\nprint(time.perf_counter()-t,n)";
        let Some(theirs) = python(&["-c", script], &names.join("\n")) else { return };
        let (seconds, n) = theirs.trim().split_once(' ').unwrap();
        assert_eq!(n, found.to_string());
        let theirs: f64 = seconds.parse().unwrap();
        println!(
            "CPython {theirs:.3} s; ours {all:.4} s ({:.0}x), with the bound {pruned:.4} s ({:.0}x)",
            theirs / all,
            theirs / pruned
        );
    }
}
