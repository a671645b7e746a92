//! The arguments of a tool as people write them on a command line.
//!
//! | written | means |
//! |---|---|
//! | `limit=5` | what the tool's schema says `limit` is; where it says nothing, JSON if it is a number, `true`, `false`, `null`, a list or an object, else text |
//! | `fields=name,email`, `ids=1,2` | a list, where the schema says so |
//! | `limit:=5` | JSON, always |
//! | `name==5` | text, always |
//! | `content=@notes.txt` | the text of a file; `domain:=@domain.json` its JSON; `@-` is standard input, once in a command |
//! | `password=@-` | a secret comes by `@` alone, without the line's end; at a terminal it is asked for |
//! | `values.name=Acme` | a member of an object |
use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use kernel::redact;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::{super::input, plain};
use crate::{
    failure::{Failure, Result},
    terminal,
};

/// The most that is taken from a file: the server takes no larger body.
const LARGEST: u64 = 16 * 1024 * 1024;
/// What binds a run to the plan that was shown. It opens nothing, so it is no secret.
const CONFIRM_TOKEN: &str = "confirm_token";

/// What a person wrote, with what the files in it hold: all of that is read once, because standard input has no second time. What the
/// values are is decided later, by the tool's schema. Without `Debug`: there are secrets in it.
pub struct Given {
    /// From `--args-file`.
    all: Map<String, Value>,
    words: Vec<Word>,
}

struct Word {
    key: String,
    path: Vec<String>,
    way: Way,
    source: Source,
}
enum Source {
    Literal(String),
    /// Not read yet.
    File(PathBuf),
    /// What was in it.
    Read(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Guessed,
    Json,
    Text,
}

impl Given {
    /// Reads words and files. A secret at the end of a file or pipe loses one line's end; at a terminal it is asked for.
    ///
    /// # Errors
    /// When a word has no form of the above, says something twice, is a secret itself, or names what cannot be read.
    pub fn read(words: &[String], args_file: Option<&Path>) -> Result<Self> {
        let words = words.iter().map(|word| Word::of(word)).collect::<Result<Vec<_>>>()?;
        let stdin = Path::new("-");
        let from_stdin = words.iter().filter(|w| matches!(&w.source, Source::File(path) if path == stdin)).count();
        if from_stdin + usize::from(args_file == Some(stdin)) > 1 {
            return Err(Failure::usage("Standard input is asked for twice, and can be read once.")
                .next("Put all but one into files, and write name=@FILE."));
        }
        let all = args_file.map(file).transpose()?.unwrap_or_default();
        let mut given = Self { all, words };
        // Everything that can be wrong without a look into files, and what is secret, which follows from names.
        let said = Value::Object(given.assemble(Word::guess)?);
        let kept = redact::arguments(&said);
        for word in &mut given.words {
            let secret = is_secret(&said, &kept, &word.path);
            match &word.source {
                Source::Literal(_) if secret => {
                    let key = plain::cut(&word.key, 80);
                    let is = if matches!(word.guess()?, Value::Object(_) | Value::Array(_)) { ":=" } else { "=" };
                    return Err(Failure::usage(format!(
                        "{key} is a secret, and what stands on a command line is kept in histories and shown in lists of processes."
                    ))
                    .next(format!("Write {key}{is}@- and type it or pipe it in, or {key}{is}@FILE.")));
                }
                Source::Literal(_) | Source::Read(_) => {}
                Source::File(path) => word.source = Source::Read(word.content(path, secret)?),
            }
        }
        // What is no JSON is known before anybody is asked.
        given.fit(&Value::Null)?;
        Ok(given)
    }

    /// The arguments as the schema wants them.
    ///
    /// # Errors
    /// When a word does not fit.
    pub fn fit(&self, schema: &Value) -> Result<Map<String, Value>> {
        self.assemble(|word| {
            let kind = word.path.iter().try_fold(schema, |schema, part| schema.get("properties")?.get(part));
            word.value(kind)
        })
    }

    fn assemble(&self, value: impl Fn(&Word) -> Result<Value>) -> Result<Map<String, Value>> {
        let mut arguments = self.all.clone();
        // A word replaces what the file said of the same argument.
        for word in &self.words {
            if let [only] = word.path.as_slice() {
                arguments.remove(only);
            }
        }
        for word in &self.words {
            put(&mut arguments, &word.path, value(word)?, &word.key)?;
        }
        Ok(arguments)
    }
}

impl Word {
    fn of(word: &str) -> Result<Self> {
        let (key, way, text) = split(word)?;
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) || path.len() > 32 {
            return Err(Failure::usage(format!("\"{}\" is no name of an argument.", plain::cut(key, 80)))
                .next("Write name=value, or name.member=value."));
        }
        let source = match text.strip_prefix('@').filter(|_| way != Way::Text) {
            Some(path) => Source::File(path.into()),
            None => Source::Literal(text.to_owned()),
        };
        Ok(Self { key: key.to_owned(), path, way, source })
    }

    /// What it is without a schema; something in place of a file that is not read yet.
    fn guess(&self) -> Result<Value> {
        if matches!(self.source, Source::File(_)) { Ok("x".into()) } else { self.value(None) }
    }

    fn content(&self, path: &Path, secret: bool) -> Result<String> {
        if secret && path == Path::new("-") && terminal::interactive() {
            return input::prompt(&plain::cut(&self.key, 80)).map(|typed| typed.expose_secret().to_owned());
        }
        let mut text = content(path)?;
        if secret && text.ends_with('\n') {
            // The line's end, which editors and echo add: nobody means it to be in a password.
            text.truncate(text.len() - if text.ends_with("\r\n") { 2 } else { 1 });
        }
        Ok(text)
    }

    fn value(&self, kind: Option<&Value>) -> Result<Value> {
        let key = self.key.as_str();
        let (text, whole) = match &self.source {
            Source::Literal(text) => (text, false),
            Source::Read(text) => (text, true),
            Source::File(_) => return Err(Failure::failed(format!("{key} was not read."))),
        };
        let json = || {
            serde_json::from_str::<Value>(text)
                .map_err(|e| Failure::usage(format!("{key} is no JSON: {e}.")).next(format!("Text is written {key}==text.")))
        };
        match (self.way, kind.and_then(|k| Some((k, k.get("type")?.as_str()?)))) {
            (Way::Text, _) | (Way::Guessed, Some((_, "string"))) => Ok(text.as_str().into()),
            (Way::Json, _) => json(),
            (Way::Guessed, Some((schema, kind))) => typed(key, kind, schema, text),
            // A whole file is text, unless it is asked for as JSON.
            (Way::Guessed, None) if whole => Ok(text.as_str().into()),
            (Way::Guessed, None) => Ok(guess(text)),
        }
    }
}

/// Whether what was said at that place is a secret, by the rule of what the audit leaves out: `kept` is what it leaves.
fn is_secret(said: &Value, kept: &Value, path: &[String]) -> bool {
    let (mut said, mut kept) = (said, kept);
    if path == [CONFIRM_TOKEN] {
        return false;
    }
    for part in path {
        let Some(inner) = said.get(part) else { return false };
        said = inner;
        match kept.get(part) {
            Some(inner) => kept = inner,
            // Members behind the first few are left out as a whole.
            None => return redact::is_secret_name(path.last().map_or("", String::as_str)),
        }
        if kept == redact::REDACTED {
            break;
        }
    }
    hidden(said, kept)
}

/// Whether something that has a name is left out. Lists are looked through for objects alone: the audit leaves out every text that
/// stands behind a secret's name in a list, and a list of fields may well have such a name.
fn hidden(said: &Value, kept: &Value) -> bool {
    match (said, kept) {
        (Value::Object(said), Value::Object(kept)) => {
            said.iter().any(|(name, value)| kept.get(name).is_some_and(|kept| hidden(value, kept)))
        }
        (Value::Array(said), Value::Array(kept)) => {
            said.iter().zip(kept).any(|(said, kept)| (said.is_object() || said.is_array()) && hidden(said, kept))
        }
        // An empty text, or what stands in a secret's place, tells nothing.
        (said, kept) => kept == redact::REDACTED && said != redact::REDACTED && said != "",
    }
}

/// A file with all arguments, as a JSON object.
fn file(path: &Path) -> Result<Map<String, Value>> {
    let text = content(path)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(Failure::usage(format!("{} holds no JSON object.", path.display()))),
        Err(e) => Err(Failure::usage(format!("{} is no JSON: {e}.", path.display()))),
    }
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
fn put(into: &mut Map<String, Value>, path: &[String], value: Value, key: &str) -> Result<()> {
    let twice = || Failure::usage(format!("{} is said twice.", plain::cut(key, 80))).next("Give each argument once.");
    match path {
        [] => Err(twice()),
        [last] => {
            if into.contains_key(last) {
                return Err(twice());
            }
            into.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => match into.entry(first).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => put(inner, rest, value, key),
            _ => Err(twice()),
        },
    }
}

/// A file's text; `-` is standard input.
fn content(path: &Path) -> Result<String> {
    let mut text = String::new();
    let stdin = path == Path::new("-");
    let name = if stdin { "Standard input".to_owned() } else { plain::line(&path.display().to_string()) };
    let read = if stdin {
        std::io::stdin().take(LARGEST + 1).read_to_string(&mut text)
    } else {
        std::fs::OpenOptions::new().read(true).open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
    };
    read.map_err(|e| Failure::usage(format!("{name} cannot be read as text: {e}.")))?;
    if text.len() as u64 > LARGEST {
        return Err(Failure::usage(format!("{name} is larger than {} MB.", LARGEST / 1024 / 1024)));
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
        Given::read(&words, None)?.fit(&schema()).map(Value::Object)
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
    fn secrets_come_by_files_alone_and_lose_their_lines_end() {
        for word in [
            "password=hunter2",
            "password==hunter2",
            "values.password=hunter2",
            "values={\"login\": \"ann\", \"new_password\": \"hunter2\"}",
            "values:=[[0, 0, {\"api_key\": \"hunter2\"}]]",
            "smtp_pass=hunter2",
            "pin=1234",
            "note=ock_hunter2hunter2hunter2hunter2",
        ] {
            let failure = args(&[word]).unwrap_err();
            assert_eq!(failure.exit, crate::failure::Exit::Usage, "{word}");
            let key = word.split(['=', ':']).next().unwrap();
            assert!(failure.next.contains(&format!("Write {key}")) && failure.next.contains("=@-"), "{word}: {failure:?}");
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
        // The name of the value stands beside it.
        assert!(args(&["key=smtp.password", "value=hunter2"]).is_err());
        assert!(args(&["method=change_password", "args:=[\"hunter2\"]"]).is_err());
        for words in [
            &["key=web.base.url", "value=https://a.example"][..],
            &["fields=login,password,name", "order=password"],
            &["domain=[[\"password\",\"!=\",false]]"],
            &["query=SELECT key FROM t WHERE key = 'x'", "confirm_token=abc", "idempotency_key=a", "password=", "max_tokens=5"],
        ] {
            args(words).unwrap();
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "  pass word \r\n").unwrap();
        let path = file.path().to_string_lossy().into_owned();
        let words = [format!("password=@{path}"), format!("text=@{path}"), "key=smtp.password".into(), format!("value=@{path}")];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(
            args(&words).unwrap(),
            json!({"password": "  pass word ", "text": "  pass word \r\n", "key": "smtp.password", "value": "  pass word "})
        );
        writeln!(file).unwrap();
        assert_eq!(args(&words[..1]).unwrap(), json!({"password": "  pass word \r\n"}), "one line's end, not all of them");
    }

    #[test]
    fn standard_input_is_not_asked_for_twice() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        for (words, file) in [(words(&["a=@-", "b:=@-"]), None), (words(&["a=@-"]), Some(Path::new("-")))] {
            let failure = Given::read(&words, file).err().unwrap();
            assert!(failure.message.contains("twice"), "{failure:?}");
        }
    }

    #[test]
    fn files_hold_texts_json_and_whole_calls() {
        let mut note = tempfile::NamedTempFile::new().unwrap();
        write!(note, "{{\"a\": 1}}").unwrap();
        let path = note.path().to_string_lossy().into_owned();
        assert_eq!(args(&[&format!("x=@{path}")]).unwrap(), json!({"x": "{\"a\": 1}"}));
        assert_eq!(args(&[&format!("x:=@{path}")]).unwrap(), json!({"x": {"a": 1}}));
        assert_eq!(args(&[&format!("values=@{path}")]).unwrap(), json!({"values": {"a": 1}}));
        let all = Given::read(&["a=2".into(), "b=3".into()], Some(note.path())).unwrap().fit(&schema()).unwrap();
        assert_eq!(Value::Object(all), json!({"a": 2, "b": 3}));
        write!(note, ",").unwrap();
        assert_eq!(file(note.path()).unwrap_err().exit, crate::failure::Exit::Usage);
        std::fs::OpenOptions::new().write(true).open(note.path()).unwrap().write_all(b"\xff").unwrap();
        assert!(file(note.path()).is_err());
    }
}
