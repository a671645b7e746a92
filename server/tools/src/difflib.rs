//! `difflib.SequenceMatcher(None, query, value).ratio()` of CPython, to the last bit, with both sides in lower case.
//!
//! CPython prepares an index of `value` and walks the query. One query meets thousands of values here, so the index is of the
//! query and the values are walked: the longest block is the same one as long as ties are broken as CPython's order breaks
//! them (earliest in the query, then earliest in the value). Autojunk depends on the value alone: from 200 characters on,
//! one that makes up more than 1 % of it starts no block, but a block that was found grows over it.

/// A character of the query, numbered from 1; 0 is any other.
type Class = u32;

/// Characters below this number (Latin, Greek, Cyrillic) have a table; the others are searched for.
const TABLE: usize = 0x530;

/// One query, made ready for many values. Holds scratch space, hence `&mut self` in [`Matcher::ratio`].
#[derive(Debug)]
pub struct Matcher {
    query: Vec<Class>,
    /// Of each character, the class of its lower case; none where that is two characters or depends on its neighbours.
    table: Vec<Option<Class>>,
    /// The query's characters, sorted.
    known: Vec<(char, Class)>,
    /// Where each class stands in the query, last first.
    places: Vec<Vec<usize>>,
    /// The same as bits, for queries of up to 128 characters.
    bits: Vec<u128>,
    value: Vec<Class>,
    /// How often each class stands in the value.
    counts: Vec<usize>,
    popular: Vec<bool>,
    /// Places of the value whose character may start a block, with its bits.
    spots: Vec<(usize, u128)>,
    /// Places of the value where blocks of one length end, with where they end in the query; and of one more.
    ends: Vec<(usize, u128)>,
    longer: Vec<(usize, u128)>,
    /// For each place of the query: the place of the value that it last matched, and the length of the block that ends there.
    last: Vec<(usize, usize)>,
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

fn class(known: &[(char, Class)], c: char) -> Class {
    known.binary_search_by_key(&c, |(k, _)| *k).ok().and_then(|i| known.get(i)).map_or(0, |(_, class)| *class)
}

impl Matcher {
    pub fn new(query: &str) -> Self {
        let letters: Vec<char> = query.to_lowercase().chars().collect();
        let mut distinct = letters.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let known: Vec<(char, Class)> = distinct.into_iter().zip(1..).collect();
        let query: Vec<Class> = letters.iter().map(|c| class(&known, *c)).collect();
        let mut places = vec![Vec::new(); known.len() + 1];
        let mut bits = vec![0; known.len() + 1];
        for (i, class) in query.iter().enumerate().rev() {
            if let (Some(places), Some(bits)) = (places.get_mut(*class as usize), bits.get_mut(*class as usize)) {
                places.push(i);
                *bits |= u32::try_from(i).ok().and_then(|i| 1_u128.checked_shl(i)).unwrap_or(0);
            }
        }
        // The letter whose lower case depends on its neighbours matters only to a query that has one of the two.
        let sigma = letters.contains(&'σ') || letters.contains(&'ς');
        let lower = |c: char| {
            let mut lower = c.to_lowercase();
            lower.next().filter(|_| lower.next().is_none() && (c != 'Σ' || !sigma))
        };
        let table = ('\0'..).take(TABLE).map(|c| lower(c).map(|l| class(&known, l))).collect();
        Self {
            query,
            table,
            known,
            places,
            bits,
            value: Vec::new(),
            counts: Vec::new(),
            popular: Vec::new(),
            spots: Vec::new(),
            ends: Vec::new(),
            longer: Vec::new(),
            last: Vec::new(),
            todo: Vec::new(),
        }
    }
    /// Fills `self.value` with the classes of the text in lower case.
    fn read(&mut self, text: &str) {
        self.value.clear();
        for c in text.chars() {
            match self.table.get(c as usize) {
                Some(Some(class)) => self.value.push(*class),
                _ if c == 'Σ' => {
                    let (known, table) = (&self.known, &self.table);
                    let lower = |c: char| table.get(c as usize).copied().flatten().unwrap_or_else(|| class(known, c));
                    self.value.clear();
                    self.value.extend(text.to_lowercase().chars().map(lower));
                    return;
                }
                _ => self.value.extend(c.to_lowercase().map(|c| class(&self.known, c))),
            }
        }
    }

    /// The ratio, or nothing when it is below `least`. Upper bounds are computed as the ratio is, so that what they drop is
    /// what the ratio itself would have dropped.
    pub fn ratio(&mut self, value: &str, least: f64) -> Option<f64> {
        self.read(value);
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
        self.spots.clear();
        let live = |class: Class| if at(&self.popular, class as usize) { 0 } else { at(&self.bits, class as usize) };
        let all = self.value.iter().enumerate().map(|(j, class)| (j, live(*class)));
        self.spots.extend(all.filter(|(_, bits)| *bits != 0));
        let ratio = quotient(self.matches(), la + lb);
        (ratio >= least).then_some(ratio)
    }

    /// The sum of the matching blocks' sizes. Their order does not matter to it, nor does joining adjacent ones.
    fn matches(&mut self) -> usize {
        self.last.clear();
        self.last.resize(self.query.len(), (usize::MAX, 0));
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

    /// `find_longest_match`.
    fn longest(&mut self, span: Span) -> Block {
        let Span { a: (alo, ahi), b: (blo, bhi) } = span;
        let mut best = if self.query.len() <= 128 { self.longest_of_short(span) } else { self.longest_of_long(span) };
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

    /// Blocks of every length at once, one bit per place of the query: those of one more are those that go on.
    fn longest_of_short(&mut self, Span { a: (alo, ahi), b: (blo, bhi) }: Span) -> Block {
        let mut best = Block { a: alo, b: blo, size: 0 };
        let below = |n: usize| u32::try_from(n).ok().and_then(|n| 1_u128.checked_shl(n)).map_or(u128::MAX, |bit| bit - 1);
        let inside = below(ahi) & !below(alo);
        let from = self.spots.partition_point(|spot| spot.0 < blo);
        let spots = self.spots.iter().skip(from).take_while(|spot| spot.0 < bhi);
        self.ends.clear();
        self.ends.extend(spots.map(|(j, bits)| (*j, bits & inside)).filter(|(_, bits)| *bits != 0));
        while !self.ends.is_empty() {
            best.size += 1;
            let mut before = (usize::MAX, 0);
            self.longer.clear();
            self.longer.extend(self.ends.iter().filter_map(|&(j, bits)| {
                let goes_on = if before.0.wrapping_add(1) == j { bits & (before.1 << 1) } else { 0 };
                before = (j, bits);
                (goes_on != 0).then_some((j, goes_on))
            }));
            if self.longer.is_empty() {
                break;
            }
            std::mem::swap(&mut self.ends, &mut self.longer);
        }
        // The earliest in the query, then in the value.
        let end = |bits: u128| bits.trailing_zeros() as usize;
        if let Some((j, bits)) = self.ends.iter().min_by_key(|(j, bits)| (end(*bits), *j)) {
            (best.a, best.b) = (end(*bits) + 1 - best.size, j + 1 - best.size);
        }
        best
    }

    /// The same place by place. `last` needs no clearing between spans: an entry that names the place before was either
    /// written in this span or, had it been written in an earlier one, would have been written again in this.
    fn longest_of_long(&mut self, Span { a: (alo, ahi), b: (blo, bhi) }: Span) -> Block {
        let mut best = Block { a: alo, b: blo, size: 0 };
        for (j, class) in self.value.iter().enumerate().take(bhi).skip(blo) {
            if *class == 0 || at(&self.popular, *class as usize) {
                continue;
            }
            let Some(places) = self.places.get(*class as usize) else { continue };
            // Last first, so that what is read of the place before is still of the character before.
            for &i in places.iter().skip_while(|i| **i >= ahi).take_while(|i| **i >= alo) {
                let (end, length) = if i > alo && j > blo { at(&self.last, i - 1) } else { (usize::MAX, 0) };
                let size = if end.wrapping_add(1) == j && j > blo { length + 1 } else { 1 };
                if let Some(slot) = self.last.get_mut(i) {
                    *slot = (j, size);
                }
                if size > best.size || (size == best.size && i + 1 - size < best.a) {
                    best = Block { a: i + 1 - size, b: j + 1 - size, size };
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
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
}
