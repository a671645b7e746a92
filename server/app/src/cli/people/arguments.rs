//! The arguments of a tool as people write them on a command line.
//!
//! | written | means |
//! |---|---|
//! | `limit=5` | what the tool's schema says `limit` is; where it says nothing, JSON if it is a number, `true`, `false`, `null`, a list or an object, else text |
//! | `fields=name,email`, `ids=1,2` | a list, where the schema says so |
//! | `limit:=5` | JSON, always |
//! | `name==5` | text, always |
//! | `content=@notes.txt` | the text of a file; `domain:=@domain.json` its JSON; `@-` is standard input |
//! | `values.name=Acme` | a member of an object |
use std::{io::Read as _, path::Path};

use serde_json::{Map, Value};

use super::plain;
use crate::failure::{Failure, Result};

/// The most that is taken from a file: the server takes no larger body.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Reads `key=value` words on top of what a file said.
///
/// # Errors
/// When a word has no form of the above, says something twice, or does not fit the schema.
pub fn read(words: &[String], schema: &Value, mut arguments: Map<String, Value>) -> Result<Map<String, Value>> {
    let from_file: Vec<String> = arguments.keys().cloned().collect();
    for word in words {
        let (key, way, text) = split(word)?;
        let path: Vec<&str> = key.split('.').collect();
        if path.iter().any(|part| part.is_empty()) || path.len() > 32 {
            return Err(Failure::usage(format!("\"{}\" is no name of an argument.", plain::cut(key, 80)))
                .next("Write name=value, or name.member=value."));
        }
        let kind = path.iter().try_fold(schema, |schema, part| schema.get("properties")?.get(*part));
        let value = value(key, way, text, kind)?;
        // A word replaces what the file said of the same argument.
        if let [only] = path.as_slice()
            && from_file.iter().any(|k| k == only)
        {
            arguments.remove(*only);
        }
        put(&mut arguments, &path, value, key)?;
    }
    Ok(arguments)
}

/// A file with all arguments, as a JSON object.
pub fn file(path: &Path) -> Result<Map<String, Value>> {
    let text = content(path)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(Failure::usage(format!("{} holds no JSON object.", path.display()))),
        Err(e) => Err(Failure::usage(format!("{} is no JSON: {e}.", path.display()))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Guessed,
    Json,
    Text,
}

fn split(word: &str) -> Result<(&str, Way, &str)> {
    let wrong = || {
        Failure::usage(format!("\"{}\" is no argument.", plain::cut(word, 80)))
            .next("Write name=value, name:=JSON or name==text.")
    };
    let (key, rest) = word.split_once('=').ok_or_else(wrong)?;
    let found = match (key.strip_suffix(':'), rest.strip_prefix('=')) {
        (Some(key), _) => (key, Way::Json, rest),
        (None, Some(text)) => (key, Way::Text, text),
        (None, None) => (key, Way::Guessed, rest),
    };
    if found.0.is_empty() { Err(wrong()) } else { Ok(found) }
}

fn value(key: &str, way: Way, text: &str, kind: Option<&Value>) -> Result<Value> {
    let read;
    let (text, whole) = match text.strip_prefix('@').filter(|_| way != Way::Text) {
        Some(path) => {
            read = content(Path::new(path))?;
            (read.as_str(), true)
        }
        None => (text, false),
    };
    let json = || {
        serde_json::from_str::<Value>(text)
            .map_err(|e| Failure::usage(format!("{key} is no JSON: {e}.")).next(format!("Text is written {key}==text.")))
    };
    match (way, kind.and_then(|k| Some((k, k.get("type")?.as_str()?)))) {
        (Way::Text, _) | (Way::Guessed, Some((_, "string"))) => Ok(text.into()),
        (Way::Json, _) => json(),
        (Way::Guessed, Some((schema, kind))) => typed(key, kind, schema, text),
        // A whole file is text, unless it is asked for as JSON.
        (Way::Guessed, None) if whole => Ok(text.into()),
        (Way::Guessed, None) => Ok(guess(text)),
    }
}

/// A value of the kind that the schema names.
fn typed(key: &str, kind: &str, schema: &Value, text: &str) -> Result<Value> {
    let text = text.trim();
    let wrong = |wanted: &str, example: &str| {
        Err(Failure::usage(format!("{key} is {wanted}, and \"{}\" is none.", plain::cut(text, 60)))
            .next(format!("Write {key}{example}.")))
    };
    let parsed = serde_json::from_str::<Value>(text).ok();
    match (kind, parsed) {
        (_, Some(Value::Null)) => Ok(Value::Null),
        ("integer", Some(Value::Number(n))) if n.is_i64() || n.is_u64() => Ok(Value::Number(n)),
        ("integer", _) => wrong("a whole number", "=5"),
        ("number", Some(Value::Number(n))) => Ok(Value::Number(n)),
        ("number", _) => wrong("a number", "=5.5"),
        ("boolean", Some(Value::Bool(b))) => Ok(b.into()),
        ("boolean", _) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" => Ok(true.into()),
            "no" | "off" => Ok(false.into()),
            _ => wrong("true or false", "=true"),
        },
        ("object", Some(value @ Value::Object(_))) | ("array", Some(value @ Value::Array(_))) => Ok(value),
        ("object", _) => wrong("an object", "='{\"name\": \"Acme\"}', or its members one by one: .name=Acme"),
        ("array", parsed) => {
            // Lists of plain things are also written with commas. What begins like JSON was meant as JSON.
            let of = schema.get("items").and_then(|i| i.get("type")).and_then(Value::as_str);
            match of {
                Some(kind @ ("string" | "integer" | "number")) if !text.starts_with(['[', '{']) => {
                    let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
                    words.map(|word| if kind == "string" { Ok(word.into()) } else { typed(key, kind, schema, word) }).collect()
                }
                None if parsed.is_some() => wrong("a list", "='[…]'"),
                _ => wrong("a list", "='[…]' as JSON"),
            }
        }
        _ => Ok(guess(text)),
    }
}

/// What a value is that no schema speaks of.
fn guess(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if !value.is_string() => value,
        _ => text.into(),
    }
}

/// Puts a value at its place, and makes the objects around it.
fn put(into: &mut Map<String, Value>, path: &[&str], value: Value, key: &str) -> Result<()> {
    let twice = || Failure::usage(format!("{} is said twice.", plain::cut(key, 80))).next("Give each argument once.");
    match path {
        [] => Err(twice()),
        [last] => {
            if into.contains_key(*last) {
                return Err(twice());
            }
            into.insert((*last).to_owned(), value);
            Ok(())
        }
        [first, rest @ ..] => match into.entry(*first).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => put(inner, rest, value, key),
            _ => Err(twice()),
        },
    }
}

/// A file's text; `-` is standard input.
fn content(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LARGEST + 1).read_to_string(&mut text)
    } else {
        std::fs::OpenOptions::new().read(true).open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
    };
    read.map_err(|e| Failure::usage(format!("{} cannot be read as text: {e}.", path.display())))?;
    if text.len() as u64 > LARGEST {
        return Err(Failure::usage(format!("{} is larger than {} MB.", path.display(), LARGEST / 1024 / 1024)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "properties": {
            "model": {"type": "string"}, "limit": {"type": "integer"}, "ratio": {"type": "number"}, "confirm": {"type": "boolean"},
            "ids": {"type": "array", "items": {"type": "integer"}}, "fields": {"type": "array", "items": {"type": "string"}},
            "domain": {"type": "array", "items": {}}, "values": {"type": "object"},
            "deep": {"type": "object", "properties": {"text": {"type": "string"}}},
        }})
    }
    fn args(words: &[&str]) -> Result<Value> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        read(&words, &schema(), Map::new()).map(Value::Object)
    }

    #[test]
    fn the_schema_decides_and_otherwise_json_that_parses() {
        assert_eq!(
            args(&[
                "model=5",
                "limit=5",
                "ratio=1.5",
                "confirm=yes",
                "ids=1, 2",
                "fields=name,email",
                "domain=[[\"a\",\"=\",1]]"
            ])
            .unwrap(),
            json!({"model": "5", "limit": 5, "ratio": 1.5, "confirm": true, "ids": [1, 2], "fields": ["name", "email"], "domain": [["a", "=", 1]]})
        );
        assert_eq!(
            args(&["a=1", "b=true", "c=null", "d={\"x\":1}", "e=text", "f=\"quoted\"", "g=", "h=1e400", "i=007"]).unwrap(),
            json!({"a": 1, "b": true, "c": null, "d": {"x": 1}, "e": "text", "f": "\"quoted\"", "g": "", "h": "1e400", "i": "007"})
        );
        assert_eq!(
            args(&["model:=5", "limit==5", "a==@x", "b=c=d"]).unwrap(),
            json!({"model": 5, "limit": "5", "a": "@x", "b": "c=d"})
        );
        assert_eq!(
            args(&["ids=[3]", "fields=[\"a,b\"]", "limit=null"]).unwrap(),
            json!({"ids": [3], "fields": ["a,b"], "limit": null})
        );
        assert_eq!(
            args(&["values.name=Acme", "values.active=false", "values.a.b=1", "deep.text=1"]).unwrap(),
            json!({"values": {"name": "Acme", "active": false, "a": {"b": 1}}, "deep": {"text": "1"}})
        );
    }

    #[test]
    fn what_does_not_fit_says_how_it_is_written() {
        for (word, says) in [
            ("limit=five", "limit=5"),
            ("limit=1.5", "whole number"),
            ("confirm=maybe", "confirm=true"),
            ("ids=1,x", "whole number"),
            ("domain=name", "as JSON"),
            ("domain=5", "a list"),
            ("values=Acme", "values={"),
            ("limit:=x", "limit==text"),
            ("word", "name=value"),
            ("=x", "name=value"),
            ("a..b=1", "name.member"),
            ("a=@/does/not/exist", "cannot be read"),
        ] {
            let failure = args(&[word]).unwrap_err();
            let text = format!("{} {}", failure.message, failure.next).replace("='{", "={");
            assert!(text.contains(says) && failure.exit == crate::failure::Exit::Usage, "{word}: {text}");
        }
        for twice in [["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a=2"], ["a.b=1", "a.b=2"]] {
            assert!(args(&twice).unwrap_err().message.contains("twice"), "{twice:?}");
        }
        let failure = args(&["\u{1b}[2J"]).unwrap_err();
        assert!(!failure.message.chars().any(plain::hostile), "{failure:?}");
    }

    #[test]
    fn files_hold_texts_json_and_whole_calls() {
        let mut note = tempfile::NamedTempFile::new().unwrap();
        write!(note, "{{\"a\": 1}}").unwrap();
        let path = note.path().to_string_lossy().into_owned();
        assert_eq!(args(&[&format!("x=@{path}")]).unwrap(), json!({"x": "{\"a\": 1}"}));
        assert_eq!(args(&[&format!("x:=@{path}")]).unwrap(), json!({"x": {"a": 1}}));
        assert_eq!(args(&[&format!("values=@{path}")]).unwrap(), json!({"values": {"a": 1}}));
        let all = read(&["a=2".into(), "b=3".into()], &schema(), file(note.path()).unwrap()).unwrap();
        assert_eq!(Value::Object(all), json!({"a": 2, "b": 3}));
        write!(note, ",").unwrap();
        assert_eq!(file(note.path()).unwrap_err().exit, crate::failure::Exit::Usage);
        std::fs::OpenOptions::new().write(true).open(note.path()).unwrap().write_all(b"\xff").unwrap();
        assert!(file(note.path()).is_err());
    }
}
