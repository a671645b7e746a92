use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::json;

use super::*;

fn value(text: &str) -> Value {
    let source = format!("{{'x': {text}\n}}");
    let map = literals(source.as_bytes()).unwrap_or_else(|error| panic!("{source}: {error}"));
    map.get("x").unwrap().clone()
}

/// Line, column and text of what is wrong.
fn problem(source: &str) -> (usize, usize, String) {
    match parse(source.as_bytes()).expect_err(source) {
        Error::Syntax { line, column, problem } => (line, column, problem),
        Error::TooDeep { line, column } => (line, column, "deep".to_owned()),
        other => panic!("{source}: {other}"),
    }
}

#[test]
fn reads_a_manifest() {
    let source = r#"# -*- coding: utf-8 -*-
# Part of something.
"""Docs"""
{
    'name': "Sales " 'and more',
    'version': '1.2',   # first
    'depends': ['base', "sale",],
    'data': [
        'a.xml',
        # 'old.xml',
        'b.xml'],
    'demo': ('d.xml',),
    'license': u'LGPL-3',
    'installable': False, 'application': True,
    'auto_install': ['sale'],
    'external_dependencies': {'python': ['x'], 'bin': ['y', 'z'], 'apt': {'x': 'python3-x'}},
    'category': ('Hidden'
        '/Tools'), 'summary': """two
lines""", 'sequence': -5, 'price': 1.5e2, 'set': {'a', 'b', 'a'}, 'nothing': None,
}
"#;
    let manifest = parse(source.as_bytes()).unwrap();
    assert_eq!(manifest.name.as_deref(), Some("Sales and more"));
    assert_eq!(manifest.version.as_deref(), Some("1.2"));
    assert_eq!(manifest.depends, ["base", "sale"]);
    assert_eq!(manifest.data_files, ["a.xml", "b.xml"]);
    assert_eq!(manifest.demo_files, ["d.xml"]);
    assert_eq!(manifest.license.as_deref(), Some("LGPL-3"));
    assert_eq!(manifest.category.as_deref(), Some("Hidden/Tools"));
    assert_eq!(manifest.summary.as_deref(), Some("two\nlines"));
    assert!(!manifest.installable && manifest.application);
    assert_eq!(manifest.auto_install, AutoInstall::With(vec!["sale".to_owned()]));
    assert_eq!(manifest.external_dependencies.python, ["x"]);
    assert_eq!(manifest.external_dependencies.bin, ["y", "z"]);
    assert_eq!(manifest.all["sequence"], json!(-5));
    assert_eq!(manifest.all["price"], json!(150.0));
    assert_eq!(manifest.all["set"], json!(["a", "b"]));
    assert_eq!(manifest.all["nothing"], Value::Null);
    assert_eq!(manifest.all["external_dependencies"]["apt"], json!({"x": "python3-x"}));
    // In the order of the file.
    assert_eq!(manifest.all.as_object().unwrap().keys().next().unwrap(), "name");
    let bare = parse(b"{}").unwrap();
    assert!(bare.installable && !bare.application && bare.auto_install == AutoInstall::No && bare.name.is_none());
    assert_eq!(parse(b"{'auto_install': True}").unwrap().auto_install, AutoInstall::WithDepends);
}

#[test]
fn reads_literals_as_python_does() {
    for (text, expected) in [
        (r#"'a' "b" '''c''' """d""""#, json!("abcd")),
        (r#""""say "hi" twice\"""" "#, json!("say \"hi\" twice\"")),
        ("'a' + 'b' 'c' + ('d' + 'e')", json!("abcde")),
        (r"'\n\t\\\'\x41\u00e9\U0001f600\101\0\q'", json!("\n\t\\'A\u{e9}\u{1f600}A\0\\q")),
        (r"r'\n\'' R'x' u'\x41'", json!("\\n\\'xA")),
        ("'a\\\nb'", json!("ab")),
        ("'''a\nb'''", json!("a\nb")),
        ("'#no comment' # comment", json!("#no comment")),
        ("[1, -2, +3, - 4, 0x1F, 0o17, 0b11, 1_000, 00]", json!([1, -2, 3, -4, 31, 15, 3, 1000, 0])),
        ("[1., .5, 1e3, 1.5E-2, -0.0]", json!([1.0, 0.5, 1000.0, 0.015, -0.0])),
        ("[18446744073709551615, -9223372036854775808]", json!([u64::MAX, i64::MIN])),
        ("(True, False, None)", json!([true, false, null])),
        ("[(), (1), (1,), [], {}, {1}, {1, 2,}, {'a': {'b': ()}}]", json!([[], 1, [1], [], {}, [1], [1, 2], {"a": {"b": []}}])),
        ("((('deep')))", json!("deep")),
        ("[1, \\\n 2]", json!([1, 2])),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
    assert_eq!(literals(b"{'a': 1, 'a': 2}").unwrap()["a"], json!(2));
    assert_eq!(literals(b"({'a': 1})").unwrap()["a"], json!(1));
    assert_eq!(literals(b"{\r\n'a': '''x\r\ny\rz'''\r\n}\r\n").unwrap()["a"], json!("x\ny\nz"));
    assert_eq!(literals(b"u'doc'; {'a': 1}\n\n# end").unwrap()["a"], json!(1));
}

#[test]
fn refuses_what_would_have_to_run() {
    for (source, line, column, says) in [
        ("import os\n{}", 1, 1, "`import`"),
        ("x = {'name': 'a'}", 1, 1, "`x`"),
        ("# a\n{\n 'name': os.getcwd()}", 3, 10, "`os`"),
        ("{'a': 'x'.upper()}", 1, 10, "`.`"),
        ("{'a': 'x' % 1}", 1, 11, "`%`"),
        ("{'a': 1 + 2}", 1, 9, "joins strings only"),
        ("{'a': [x for x in y]}", 1, 8, "`x`"),
        ("{'a': ['x' for x in y]}", 1, 12, "`f`"),
        ("{**a}", 1, 2, "`*`"),
        ("{'a': b'x'}", 1, 7, "bytes"),
        ("{'a': Rb'x'}", 1, 7, "bytes"),
        ("{'a': f'{x}'}", 1, 7, "formatted"),
        ("{'a': ur'x'}", 1, 7, "prefix"),
        ("{'a': '\\N{DASH}'}", 1, 8, "by name"),
        ("{'a': '\\ud83d'}", 1, 8, "no character"),
        ("{'a': '\\x4'}", 1, 8, "2 hexadecimal"),
        ("{'a': '\\x+4'}", 1, 8, "2 hexadecimal"),
        ("{'a': 'x}\n", 1, 7, "no end in its line"),
        ("{'a': '''x}\n", 1, 7, "no end"),
        ("{'a': 1j}", 1, 7, "complex"),
        ("{'a': 012}", 1, 7, "`012`"),
        ("{'a': 1e999}", 1, 7, "too large"),
        ("{'a': 18446744073709551616}", 1, 7, "too large"),
        ("{'a': 1__0}", 1, 7, "`1__0`"),
        ("{'a': 1x}", 1, 7, "not a number"),
        ("{'a': ...}", 1, 7, "not a number"),
        ("{'a': -'x'}", 1, 7, "before a number"),
        ("{1: 2}", 1, 2, "keys"),
        ("{'a': {[1]}}", 1, 8, "a set"),
        ("{'a' 'b'}", 0, 0, "dictionary"),
        ("{'a': 1 'b': 2}", 1, 9, "`,` or `}` is missing"),
        ("{'a': 1", 1, 8, "the end of the file"),
        ("{'a': 1}\n{'b': 2}", 2, 1, "nothing may stand after"),
        ("{'a': 1}, 2", 1, 9, "nothing may stand after"),
        ("['a']", 1, 1, "`[`"),
        ("('a', 'b')", 1, 1, "a list"),
        ("'doc' {'a': 1}", 1, 7, "ends with its line"),
        ("# nothing\n", 2, 1, "no dictionary"),
        ("{'é': x}", 1, 7, "`x`"),
        ("{\\ 'a': 1}", 1, 2, "last character"),
    ] {
        let (at_line, at_column, problem) = problem(source);
        assert!(problem.contains(says), "{source}: {problem}");
        if line > 0 {
            assert_eq!((at_line, at_column), (line, column), "{source}: {problem}");
        }
    }
    let deep = |depth: usize| format!("{{'a': {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(deep(MAX_DEPTH - 1).as_bytes()).is_ok());
    assert_eq!(problem(&deep(MAX_DEPTH)), (1, 7 + MAX_DEPTH - 1, "deep".to_owned()));
    assert_eq!(problem(&format!("{{'a': {}", "(".repeat(100_000))).2, "deep");
    assert!(problem(&format!("{{'a': {}x", "-".repeat(100_000))).2.contains("before a number"));
    assert!(matches!(parse(&vec![b' '; MAX_BYTES + 1]).unwrap_err(), Error::TooLarge { .. }));
}

#[test]
fn minds_the_encoding() {
    assert_eq!(literals("\u{feff}{'a': 'é'}".as_bytes()).unwrap()["a"], json!("é"));
    assert_eq!(literals(b"# -*- coding: latin-1 -*-\n{'a': '\xe9'}").unwrap()["a"], json!("é"));
    assert_eq!(literals(b"#!/usr/bin/python\n# vim: set fileencoding=ISO_8859-1 :\n{'a': '\xe9'}").unwrap()["a"], json!("é"));
    for source in [
        &b"{'a': '\xe9'}"[..],
        b"{}\n# coding: latin-1\n'\xe9'",
        b"\n\n# coding: latin-1\n{'a': '\xe9'}",
        b"# coding: ascii\n{'a': '\xe9'}",
        b"# coding: koi8-r\n{}",
        b"\xef\xbb\xbf# coding: latin-1\n{}",
        b"{'a': '\0'}",
    ] {
        assert!(matches!(parse(source), Err(Error::Encoding { .. })), "{source:?}");
    }
}

#[test]
fn names_the_key_of_another_type() {
    for (source, says) in [
        ("{'name': 1}", "`name` must be a string, and is a number"),
        ("{'version': 16.0}", "`version` must be a string, and is a number"),
        ("{'depends': 'base'}", "`depends` must be a list of strings, and is a string"),
        ("{'depends': ['base', None]}", "`depends[1]` must be a string, and is None"),
        ("{'installable': 'no'}", "`installable` must be True or False, and is a string"),
        ("{'auto_install': 'sale'}", "`auto_install` must be True, False or a list"),
        ("{'auto_install': ['sale'], 'depends': ['base']}", "`auto_install` names sale"),
        ("{'external_dependencies': ['x']}", "`external_dependencies` must be a dictionary"),
        ("{'external_dependencies': {'bin': 'x'}}", "`external_dependencies[\"bin\"]` must be a list"),
        ("{'data': {'a': 1}}", "`data` must be a list of strings, and is a dictionary"),
    ] {
        let error = parse(source.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{source}: {error}");
    }
}

/// The lines that Python prints when it runs a program given on its standard input.
fn python(mut command: Command, program: &str) -> Option<Vec<Value>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().ok()?;
    child.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "Python failed");
    Some(
        out.stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect(),
    )
}

const EVALUATE: &str = r#"
import ast, io, json, os, random, sys, tokenize, warnings
warnings.simplefilter("ignore")
def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return {"a set": sorted((plain(item) for item in value), key=repr)}
    if value is None or isinstance(value, (bool, str)) or isinstance(value, int) and abs(value) < 2 ** 63:
        return value
    return value if isinstance(value, float) and abs(value) < float("inf") else {"no json": repr(value)}
def emit(path, source, text):
    line = {"path": path, "source": source.hex()}
    try:
        line["value"] = plain(ast.literal_eval(text))
    except Exception as error:
        line["error"] = repr(error)
    print(json.dumps(line))
"#;

/// Our value, sets written as [`EVALUATE`] writes them where its value has one.
fn agrees(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, value)| theirs.get(key).is_some_and(|their| agrees(value, their)))
        }
        (Value::Array(ours), Value::Object(theirs)) => theirs.get("a set").and_then(Value::as_array).is_some_and(|theirs| {
            ours.len() == theirs.len() && theirs.iter().all(|their| ours.iter().any(|our| agrees(our, their)))
        }),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(our, their)| agrees(our, their))
        }
        _ => ours == theirs,
    }
}

fn source(line: &Value) -> Vec<u8> {
    let hex = line["source"].as_str().unwrap().as_bytes();
    hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Every manifest in the real images, against `ast.literal_eval` of the Python that Odoo runs on there.
#[test]
fn agrees_with_python_about_every_manifest_of_odoo() {
    let program = format!(
        "{EVALUATE}
for root in ('/usr/lib/python3/dist-packages', '/mnt/extra-addons', '/opt', '/var/lib/odoo/addons'):
    for folder, _, names in os.walk(root):
        if '__manifest__.py' in names:
            path = os.path.join(folder, '__manifest__.py')
            source = open(path, 'rb').read()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
            emit(path, source, source.decode(encoding))
"
    );
    for (version, least) in [("19", 600), ("14", 300)] {
        let container = format!("ocore-test-odoo-{version}");
        let running = Command::new("docker").args(["inspect", "-f", "{{.State.Running}}", &container]).output();
        if !running.is_ok_and(|out| out.stdout.starts_with(b"true")) {
            println!("skipped for Odoo {version}: the container {container} does not run, so it has no manifests to compare");
            continue;
        }
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &container, "python3", "-"]);
        let lines = python(command, &program).unwrap();
        for line in &lines {
            let path = line["path"].as_str().unwrap();
            assert_eq!(line.get("error"), None, "{path}");
            let manifest = parse(&source(line)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(agrees(&manifest.all, &line["value"]), "{path}: {:#}\n{:#}", manifest.all, line["value"]);
            assert_eq!(manifest.name.as_deref(), line["value"]["name"].as_str(), "{path}");
        }
        println!("Odoo {version}: {} manifests, all as Python reads them", lines.len());
        assert!(lines.len() >= least, "only {}", lines.len());
    }
}

/// Made-up sources, right and wrong: what is right is read as Python reads it, and nothing that is wrong is read.
#[test]
fn agrees_with_python_about_made_up_sources() {
    let program = format!(
        r##"{EVALUATE}
random.seed(20)
pick = random.choice
def text():
    out = []
    for _ in range(random.randint(1, 3)):
        prefix = pick(["", "", "", "u", "U", "r", "R"])
        quote = pick(["'", '"', "'''", '"""'])
        parts = ["a", "é", "\\n", "\\t", "\\\\", "\\x41", "\\u00e9", "\\U0001F600", "\\7", "\\101", "\\q", "#", " ", "\\'", '\\"', "\\\n", "[", "{{"]
        if len(quote) == 3:
            parts += ["\n", "\r\n", "' \" "]
        body = "".join(pick(parts) for _ in range(random.randint(0, 6)))
        if len(quote) == 3 and body.endswith(quote[0]):
            body += " "
        out.append(prefix + quote + body + quote)
    return pick([" ", "  ", "\n", " # c\n "]).join(out)
def number():
    return pick(["", "", "-", "+", "- "]) + pick(["0", "7", "1_0", "0x1f", "0B1", "0o7_7", "1.", ".5", "1e5", "1.5e-3", "00", "1_0.0_1", "1E+2", "9007199254740993", "0x_f", "0.1", "123456789.123456789e-5"])
def space():
    return pick(["", "", " ", "\n", "  # note\n", "\t", "\\\n"])
def items(count, one):
    return ",".join(space() + one() + space() for _ in range(count))
def value(depth):
    kind = random.randint(0, 9 if depth else 5)
    if kind <= 2:
        return "(" + text() + ")" if random.random() < .2 else text()
    if kind <= 4:
        return number()
    if kind == 5:
        return pick(["True", "False", "None"])
    inner = lambda: value(depth - 1)
    count = random.randint(0, 3)
    end = pick(["", ","]) if count else ""
    if kind == 6:
        return "[" + items(count, inner) + end + "]"
    if kind == 7:
        return "(" + items(count, inner) + ("," if count == 1 else end) + ")"
    if kind == 8 and count:
        return "{{" + items(count, text) + end + "}}"
    return pairs(depth - 1)
def pairs(depth):
    count = random.randint(0, 4)
    return "{{" + items(count, lambda: text() + space() + ":" + space() + value(depth)) + (pick(["", ","]) if count else "") + space() + "}}"
for number_of in range(6000):
    source = pick(["", "# c\n", "\n"]) + pairs(3) + pick(["", "\n", " # end\n"])
    emit("right", source.encode(), source)
    for _ in range(3):
        at = random.randrange(len(source) + 1)
        odd = source[:at] + pick(["", "", "'", '"', "(", ")", "[", "]", "{{", "}}", ",", ":", "\\", "+", "-", "1", "_", "e", ".", "0", "x", "b", "f", "r", "j", "\n", " ", "#", "=", "*", "None"]) + source[at + random.randint(0, 1):]
        emit("odd", odd.encode(), odd)
"##
    );
    let mut command = Command::new("python3");
    command.arg("-");
    let Some(lines) = python(command, &program) else {
        println!("skipped: python3 is not installed, so there is nothing to compare with");
        return;
    };
    let (mut right, mut odd, mut refused, mut stricter) = (0, 0, 0, 0);
    for line in &lines {
        let bytes = source(line);
        let text = String::from_utf8_lossy(&bytes);
        let theirs = line.get("value");
        let made = line["path"] == "right";
        match (literals(&bytes), theirs) {
            (Ok(ours), Some(theirs)) => {
                assert!(agrees(&Value::Object(ours.clone()), theirs), "{text}\nours {ours:?}\ntheirs {theirs}");
                right += usize::from(made);
                odd += usize::from(!made);
            }
            (Err(_), None) => refused += 1,
            // Strings added up, a docstring and white space before or behind are read though Python's literals have none.
            (Ok(_), None) => {
                let indent = line["error"].as_str().unwrap().starts_with("IndentationError");
                assert!(!made && (indent || text.contains('+') || text.trim_start().starts_with(['\'', '"'])), "{text}\n{line}");
            }
            (Err(error), Some(theirs)) => {
                assert!(!made, "{error}\n{text}");
                // What JSON cannot say, and what is no dictionary.
                let why = error.to_string();
                let known = ["bytes", "complex", "keys of a dictionary", "must be a dictionary", "too large for one"];
                let none = !theirs.is_object() || theirs.get("a set").is_some();
                assert!(none || known.iter().any(|known| why.contains(known)), "{why}\n{text}\n{theirs}");
                stricter += 1;
            }
        }
    }
    println!("{right} right and {odd} altered sources read alike, {refused} refused by both, {stricter} by ours alone");
    assert!(right == 6000 && odd > 1000 && refused > 1000, "{right} {odd} {refused}");
}
