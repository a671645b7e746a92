#![allow(clippy::disallowed_methods, reason = "files of its own, in a temporary folder")]
use std::process::Command;

use super::*;

fn ok(text: &str, diff: &str) -> Applied {
    apply(text, diff).unwrap_or_else(|error| panic!("{error}\n{diff}"))
}

fn numbered(lines: usize) -> String {
    (1..=lines).fold(String::new(), |text, line| text + "line " + &line.to_string() + "\n")
}

#[test]
fn applies_what_git_writes() {
    let diff = "diff --git a/x.py b/x.py\nindex 1..2 100644\n--- a/x.py\n+++ b/x.py\n@@ -2,3 +2,4 @@ class X\n line 2\n-line 3\n\
                +line three\n+more\n line 4\n@@ -8,2 +9,1 @@\n line 8\n-line 9\n";
    let applied = ok(&numbered(10), diff);
    let expected = numbered(10).replace("line 3\n", "line three\nmore\n").replace("line 9\n", "");
    assert_eq!(applied.text, expected);
    assert_eq!(applied.hunks.len(), 2);
    assert_eq!(applied.hunks[0].header, "@@ -2,3 +2,4 @@ class X");
    assert_eq!((applied.hunks[1].at_line, applied.hunks[1].offset, applied.hunks[1].fuzz), (8, 0, 0));
    assert!(applied.hunks.iter().all(|hunk| !hunk.recounted));
}

#[test]
fn tolerates_and_reports_wrong_counts() {
    for header in ["@@ -2,9 +2,9 @@", "@@ -2 +2 @@", "@@ -2,1 +2,1 @@", "@@ @@", "@@ -2,3 @@", "@@ def f @@", "@@ ... @@"] {
        let applied = ok(&numbered(5), &format!("{header}\n line 2\n-line 3\n+three\n line 4\n"));
        assert_eq!(applied.text, numbered(5).replace("line 3", "three"), "{header}");
        assert!(applied.hunks[0].recounted, "{header}");
        assert_eq!((applied.hunks[0].at_line, applied.hunks[0].offset), (2, 0), "{header}");
    }
    // Wrong counts with a second hunk, a Markdown fence and prose before it.
    let applied = ok(
        &numbered(9),
        "Here it is:\n```diff\n--- a/x\n+++ b/x\n@@ -1,7 +1,7 @@\n-line 1\n+one\n@@ -9,4 +9,1 @@\n-line 9\n+nine\n```\n",
    );
    assert_eq!(applied.text, numbered(9).replace("line 1", "one").replace("line 9", "nine"));
}

#[test]
fn counts_tell_a_removed_line_from_a_file_header() {
    let text = "a\n-- b\n++ c\nd\n";
    let applied = ok(text, "--- x\n+++ x\n@@ -1,4 +1,4 @@\n a\n--- b\n+++ b\n ++ c\n d\n");
    assert_eq!(applied.text, "a\n++ b\n++ c\nd\n");
    // A mailed patch ends in git's signature.
    assert_eq!(ok("a\n", "@@ -1 +1 @@\n-a\n+b\n-- \n2.39.5\n\n").text, "b\n");
}

#[test]
fn finds_a_moved_hunk_and_carries_the_offset_on() {
    let text = format!("new\nnew 2\n{}", numbered(30));
    let diff = "@@ -5,3 +5,3 @@\n line 5\n-line 6\n+six\n line 7\n@@ -20,3 +20,3 @@\n line 20\n-line 21\n+x\n line 22\n";
    let applied = ok(&text, diff);
    assert_eq!(applied.text, text.replace("line 6\n", "six\n").replace("line 21\n", "x\n"));
    assert_eq!(applied.hunks.iter().map(|hunk| (hunk.at_line, hunk.offset)).collect::<Vec<_>>(), [(7, 2), (22, 2)]);
}

#[test]
fn takes_the_nearest_and_refuses_equal_ones() {
    let text = "x\na\nb\nx\nc\nd\nx\n";
    let near = ok(text, "@@ -5 +5 @@\n-x\n+y\n");
    assert_eq!((near.text.as_str(), near.hunks[0].offset), ("x\na\nb\ny\nc\nd\nx\n", -1));
    let error = apply("x\na\nx\n", "@@ -2 +2 @@\n-x\n+y\n").unwrap_err();
    assert!(matches!(&error, Error::Ambiguous { hunk: 1, lines, .. } if lines == &[1, 3]), "{error}");
    assert!(error.to_string().contains("lines 1, 3"), "{error}");
    let error = apply(text, "@@ @@\n-x\n+y\n").unwrap_err();
    assert!(matches!(&error, Error::Ambiguous { lines, .. } if lines == &[1, 4, 7]), "{error}");
    // Its own line wins, however many others there are.
    assert_eq!(ok(text, "@@ -7 +7 @@\n-x\n+y\n").text, "x\na\nb\nx\nc\nd\ny\n");
}

#[test]
fn gives_up_context_but_never_a_removed_line() {
    let text = numbered(9);
    let fuzzy = "@@ -2,5 +2,5 @@\n other\n line 3\n-line 4\n+four\n line 5\n another\n";
    let applied = ok(&text, fuzzy);
    assert_eq!(applied.text, text.replace("line 4", "four"));
    assert_eq!((applied.hunks[0].fuzz, applied.hunks[0].at_line, applied.hunks[0].offset), (1, 2, 0));
    let twice = ok(&text, "@@ -2,7 +2,7 @@\n x\n y\n line 4\n-line 5\n+five\n line 6\n z\n z\n");
    assert_eq!((twice.hunks[0].fuzz, twice.text), (2, text.replace("line 5", "five")));
    let thrice = apply(&text, "@@ -2,4 +2,4 @@\n x\n y\n z\n-line 5\n+five\n").unwrap_err();
    assert!(matches!(thrice, Error::Mismatch { line: 2, .. }), "{thrice:?}");
    let removed = apply(&text, "@@ -2,3 +2,2 @@\n line 2\n-other\n line 4\n").unwrap_err();
    assert!(
        matches!(&removed, Error::Mismatch { hunk: 1, line: 3, expected, found: Some(found), .. }
            if expected == "other" && found == "line 3"),
        "{removed:?}"
    );
    // Fuzz and several places do not go together, however near one of them is.
    let doubled = "a\nkeep\nold\nb\nc\nd\ne\nf\nkeep\nold\ng\n";
    let error = apply(doubled, "@@ -3,3 +3,3 @@\n z\n keep\n-old\n+new\n").unwrap_err();
    assert!(matches!(&error, Error::Ambiguous { lines, .. } if lines == &[1, 8]), "{error:?}");
    // An addition whose every context line is gone has no place.
    assert!(apply(&text, "@@ -2,2 +2,3 @@\n x\n+new\n y\n").is_err());
}

#[test]
fn says_where_matching_stopped() {
    let error = apply(&numbered(4), "--- a\n+++ b\n@@ -3,3 +3,3 @@\n line 3\n line 4\n-line 5\n+x\n").unwrap_err();
    assert!(matches!(&error, Error::Mismatch { line: 5, found: None, .. }), "{error:?}");
    assert!(error.to_string().contains("line 5 should be `line 5` and is the end of the file"), "{error}");
    let order = "@@ -5 +5 @@\n-line 5\n+x\n@@ -1 +1 @@\n-line 1\n+y\n";
    assert!(apply(&numbered(6), order).unwrap_err().to_string().contains("order of the file"));
    let blank = apply("a\u{a0}b\n", "@@ -1 +1 @@\n-a b\n+c\n").unwrap_err().to_string();
    assert!(blank.contains("`a\\u{a0}b`"), "{blank}");
}

#[test]
fn keeps_line_ends() {
    let text = numbered(5).replace('\n', "\r\n");
    let diff = "@@ -2,3 +2,4 @@\n line 2\n-line 3\n+three\n+more\n line 4\n";
    let expected = text.replace("line 3\r\n", "three\r\nmore\r\n");
    assert_eq!(ok(&text, diff).text, expected);
    // What git writes for such a file, the same through a transport, and a transport's for a plain file.
    let literal = diff.replace('\n', "\r\n").replace("@@\r\n", "@@\n");
    assert_eq!(ok(&text, &literal).text, expected);
    assert_eq!(ok(&text, &diff.replace('\n', "\r\n")).text, expected);
    assert_eq!(ok(&numbered(5), &diff.replace('\n', "\r\n")).text, expected.replace('\r', ""));
    assert_eq!(ok(&numbered(5), &literal).text, expected.replace('\r', ""));
    // A change of line ends is a change like any other.
    assert_eq!(ok("a\r\nb\r\n", "@@ -1,2 +1,2 @@\n-a\r\n+a\n b\r\n").text, "a\nb\r\n");
}

#[test]
fn minds_the_newline_at_the_end() {
    let marker = "\\ No newline at end of file\n";
    assert_eq!(ok("a\nb", &format!("@@ -1,2 +1,2 @@\n a\n-b\n{marker}+c\n{marker}")).text, "a\nc");
    assert_eq!(ok("a\nb", &format!("@@ -1,2 +1,2 @@\n a\n-b\n{marker}+b\n")).text, "a\nb\n");
    assert_eq!(ok("a\nb\n", &format!("@@ -1,2 +1,2 @@\n a\n-b\n+b\n{marker}")).text, "a\nb");
    assert_eq!(ok("a\nb", &format!("@@ -1,2 +1,3 @@\n+0\n a\n b\n{marker}")).text, "0\na\nb");
    // A diff that says nothing leaves the end as it is.
    assert_eq!(ok("a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n").text, "a\nc");
    assert_eq!(ok("a\nb", "@@ -1,2 +1,3 @@\n a\n b\n+c\n").text, "a\nb\nc");
    // One that says what is not so is refused.
    assert!(apply("a\nb\n", &format!("@@ -1,2 +1,2 @@\n a\n-b\n{marker}+c\n")).is_err());
    assert!(apply("a\nb\nc\n", &format!("@@ -1,2 +1,2 @@\n a\n-b\n+c\n{marker}")).is_err());
}

#[test]
fn refuses_what_is_not_for_one_file() {
    let hunk = "@@ -1 +1 @@\n-a\n+b\n";
    let several = format!("--- a/x\n+++ b/x\n{hunk}--- a/y\n+++ b/y\n{hunk}");
    assert!(matches!(apply("a\n", &several).unwrap_err(), Error::SeveralFiles { second, .. } if second == "b/y"));
    let git = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n{hunk}diff --git a/y b/y\n--- a/y\n+++ b/y\n{hunk}");
    assert!(matches!(apply("a\n", &git).unwrap_err(), Error::SeveralFiles { .. }));
    let wrong_counts = several.replace("-1 +1", "-1,5 +1,5");
    assert!(matches!(apply("a\n", &wrong_counts).unwrap_err(), Error::SeveralFiles { .. }));
    assert!(matches!(apply("a\n", &format!("--- /dev/null\n+++ b/x\n{hunk}")).unwrap_err(), Error::Creates { .. }));
    assert!(matches!(apply("a\n", &format!("--- a/x\n+++ /dev/null\n{hunk}")).unwrap_err(), Error::Deletes { .. }));
    let header = "diff --git a/x b/y\n";
    assert!(matches!(apply("a\n", &format!("{header}new file mode 100644\n")).unwrap_err(), Error::Creates { .. }));
    assert!(matches!(apply("a\n", &format!("{header}deleted file mode 100644\n")).unwrap_err(), Error::Deletes { .. }));
    assert!(matches!(apply("a\n", &format!("{header}rename from x\n")).unwrap_err(), Error::Renames { .. }));
    assert!(matches!(apply("a\n", &format!("{header}GIT binary patch\n")).unwrap_err(), Error::Binary));
}

#[test]
fn refuses_what_cannot_be_read() {
    assert_eq!(apply("a\n", "").unwrap_err(), Error::NoHunk);
    assert_eq!(apply("a\n", "--- a\n+++ b\n").unwrap_err(), Error::NoHunk);
    for (diff, line) in [
        ("@@ -1 +1 @@\nwrong\n", 2),
        ("-a\n+b\n@@ -1 +1 @@\n-a\n+b\n", 1),
        ("@@@ -1 -1 +1 @@@\n--a\n++b\n", 1),
        ("@@ -1,2 +1,2 @@\n a\n b\n", 4),
        ("@@ -1 +1 @@\n-a\n+b\nprose\n", 4),
        ("@@ -1 +1 @@\n\\ No newline at end of file\n-a\n+b\n", 2),
    ] {
        assert!(matches!(apply("a\nb\n", diff).unwrap_err(), Error::Syntax { line: at, .. } if at == line), "{diff}");
    }
    assert!(matches!(apply("a\n", "@@ -0,0 +1 @@\n+b\n").unwrap_err(), Error::NoAnchor { .. }));
    assert!(matches!(apply("a\n", "@@ -7,0 +8 @@\n+b\n").unwrap_err(), Error::NoAnchor { .. }));
    assert!(matches!(apply("a\n", "@@ @@\n+b\n").unwrap_err(), Error::NoAnchor { .. }));
    assert_eq!(ok("", "@@ -0,0 +1 @@\n+b\n").text, "b\n");
    assert_eq!(ok("a\nc\n", "@@ -1,0 +2 @@\n+b\n").text, "a\nb\nc\n");
    assert!(matches!(apply(&"x".repeat(MAX_TEXT + 1), "").unwrap_err(), Error::TooLarge { what: "file", .. }));
    let many = "@@ -1 +1 @@\n-a\n+b\n".repeat(MAX_HUNKS + 1);
    assert_eq!(apply("a\n", &many).unwrap_err(), Error::TooManyHunks);
}

#[test]
fn a_text_of_equal_lines_is_no_trap() {
    let text = "x\n".repeat(MAX_TEXT / 2);
    let diff = format!("@@ -9 +9 @@\n{}-y\n", " x\n".repeat(100_000));
    let started = std::time::Instant::now();
    assert!(matches!(apply(&text, &diff).unwrap_err(), Error::Mismatch { .. }));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// Numbers that look random; the same in every run.
struct Random(u64);
impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn line(&mut self) -> String {
        // Few different ones, so that they repeat, and those that look like parts of a diff.
        const LINES: [&str; 16] = [
            "",
            "a",
            "b",
            "    c",
            "-- x",
            "++ y",
            "@@ -1 +1 @@",
            "+",
            "-",
            "\\ odd",
            "é ☃",
            "\ttab",
            "diff --git a b",
            "--- a",
            "+++ b",
            "a\r",
        ];
        LINES[self.below(LINES.len())].to_owned()
    }

    fn text(&mut self) -> Vec<String> {
        (0..self.below(40)).map(|_| self.line()).collect()
    }

    fn changed(&mut self, text: &[String]) -> Vec<String> {
        let mut out = text.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(out.len() + 1);
            match self.below(3) {
                0 => out.insert(at, self.line()),
                1 if at < out.len() => drop(out.remove(at)),
                _ if at < out.len() => out[at] = self.line(),
                _ => {}
            }
        }
        out
    }

    fn joined(&mut self, lines: &[String]) -> String {
        let end = if lines.is_empty() || self.below(4) == 0 { "" } else { "\n" };
        lines.join("\n") + end
    }
}

fn tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    if !found {
        println!("skipped: `{name}` is not installed, so there is nothing to compare with");
    }
    found
}

/// What `diff -u` says of two texts gives the second when applied to the first, as GNU patch has it too.
#[test]
fn agrees_with_gnu() {
    if !tool("diff") || !tool("patch") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut random = Random(0x5eed_1234_5678_9abc);
    let (mut compared, mut hunks, mut moved, mut gnu) = (0, 0, 0, 0);
    for round in 0..2000 {
        let before = random.text();
        let after = random.changed(&before);
        let (old, new) = (random.joined(&before), random.joined(&after));
        if old == new {
            continue;
        }
        std::fs::write(path("old"), &old).unwrap();
        std::fs::write(path("new"), &new).unwrap();
        let context = format!("-U{}", 1 + random.below(4));
        let out = Command::new("diff").args([&context, "old", "new"]).current_dir(&folder).output().unwrap();
        let diff = String::from_utf8(out.stdout).unwrap();
        let applied = apply(&old, &diff).unwrap_or_else(|error| panic!("round {round}: {error}\n{old:?}\n{diff}"));
        assert_eq!(applied.text, new, "round {round}\n{diff}");
        assert!(applied.hunks.iter().all(|hunk| hunk.offset == 0 && hunk.fuzz == 0 && !hunk.recounted), "{diff}");
        compared += 1;
        hunks += applied.hunks.len();
        // The same diff on a text that has changed elsewhere: where both apply it, they agree. GNU patch takes a hunk
        // with uneven context for one at an end of the file, which ours does not, for models write such hunks anywhere.
        let even = |hunk: &Hunk<'_>| {
            let context = |line: &&Line<'_>| line.kind == Kind::Context;
            hunk.lines.iter().take_while(context).count() == hunk.lines.iter().rev().take_while(context).count()
        };
        if !parse(&diff).unwrap().iter().all(even) {
            continue;
        }
        let mut shifted = before.clone();
        for ahead in 0..=random.below(5) {
            shifted.insert(random.below(2) * random.below(shifted.len() + 1), format!("ahead {ahead}"));
        }
        let shifted = shifted.join("\n") + "\n";
        std::fs::write(path("shifted"), &shifted).unwrap();
        std::fs::write(path("change"), &diff).unwrap();
        let out = Command::new("patch")
            .args(["-s", "-F0", "--binary", "-r", "-", "-o", "patched", "shifted", "change"])
            .current_dir(&folder)
            .output()
            .unwrap();
        gnu += usize::from(out.status.success());
        if let (true, Ok(applied)) = (out.status.success(), apply(&shifted, &diff)) {
            let theirs = std::fs::read_to_string(path("patched")).unwrap();
            assert_eq!(applied.text, theirs, "round {round}\n{shifted}\n{diff}");
            moved += 1;
        }
    }
    println!("{compared} diffs with {hunks} hunks, {moved} of {gnu} moved ones that GNU patch applied");
    assert!(compared > 1200 && hunks > compared && moved > 50, "{compared} {hunks} {moved} {gnu}");
}
