//! Reads `__manifest__.py`: one Python dictionary of literals, parsed and never executed.
//!
//! Odoo reads a manifest with `ast.literal_eval`, and so does this, value for value, but in three things: a docstring may
//! stand before the dictionary, strings may be added up with `+`, and what JSON cannot say is refused (bytes, complex
//! and endless numbers, keys that are no strings). Lexical rules are those of the Python language reference, chapter 2.
use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// The most bytes that a manifest may have.
pub const MAX_BYTES: usize = 1 << 20;
/// How deep brackets may be nested.
pub const MAX_DEPTH: usize = 64;

/// What a module says of itself. Absent keys have Odoo's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The title that people see.
    pub name: Option<String>,
    /// As written; Odoo puts its series in front where it lacks.
    pub version: Option<String>,
    /// Technical names of the modules that this one needs. Odoo itself adds `base` where the list is empty.
    pub depends: Vec<String>,
    pub license: Option<String>,
    /// True unless the manifest says otherwise.
    pub installable: bool,
    pub auto_install: AutoInstall,
    pub category: Option<String>,
    pub summary: Option<String>,
    pub application: bool,
    pub external_dependencies: External,
    /// The key `data`: files loaded on each installation and upgrade, in that order.
    pub data_files: Vec<String>,
    /// The key `demo`: files loaded with demonstration data alone.
    pub demo_files: Vec<String>,
    /// The whole dictionary; tuples and sets are arrays.
    pub all: Value,
}

/// When Odoo installs a module by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutoInstall {
    No,
    /// When all modules of `depends` are installed.
    WithDepends,
    /// When these are installed: a part of `depends`. With none, always.
    With(Vec<String>),
}

/// What must be there besides modules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// Python distributions.
    pub python: Vec<String>,
    /// Programs on the path.
    pub bin: Vec<String>,
}

/// Why a manifest cannot be read. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the manifest has {bytes} bytes, more than {MAX_BYTES}: is it one?")]
    TooLarge { bytes: usize },
    #[error("the manifest cannot be decoded: {problem}")]
    Encoding { problem: String },
    #[error("line {line}, column {column}: brackets are nested deeper than {MAX_DEPTH}")]
    TooDeep { line: usize, column: usize },
    #[error("line {line}, column {column}: {problem}")]
    Syntax { line: usize, column: usize, problem: String },
    #[error("`{key}` must be {expected}, and is {found}")]
    Type {
        /// A key of the dictionary, where it matters with the place within: `depends[2]`.
        key: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error("`auto_install` names {module}, which `depends` does not: Odoo refuses such a module")]
    AutoInstall { module: String },
}

/// Reads a manifest from the bytes of its file, of at most [`MAX_BYTES`].
///
/// # Errors
/// What is not a dictionary of literals, with its place; a key that Odoo gives a meaning to and that has another type.
pub fn parse(bytes: &[u8]) -> Result<Manifest, Error> {
    let all = literals(bytes)?;
    let mut keys = Keys(all);
    let depends = keys.strings("depends")?;
    let auto_install = keys.auto_install(&depends)?;
    Ok(Manifest {
        name: keys.string("name")?,
        version: keys.string("version")?,
        license: keys.string("license")?,
        installable: keys.flag("installable", true)?,
        category: keys.string("category")?,
        summary: keys.string("summary")?,
        application: keys.flag("application", false)?,
        external_dependencies: keys.external()?,
        data_files: keys.strings("data")?,
        demo_files: keys.strings("demo")?,
        depends,
        auto_install,
        all: Value::Object(std::mem::take(&mut keys.0)),
    })
}

/// The dictionary of a manifest as it is, whatever the types of its values.
///
/// # Errors
/// What is not a dictionary of literals, with its place.
pub fn literals(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { bytes: bytes.len() });
    }
    let text = decode(bytes)?;
    // Python sees one kind of line end only, in strings too.
    let text = if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text };
    Parser { text: &text, at: 0, depth: 0 }.file()
}

// --------------------------------------------------------------------------------------------------------- types

struct Keys(Map<String, Value>);

impl Keys {
    /// The value of a key; `None` counts as absent.
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn string(&self, key: &str) -> Result<Option<String>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => wrong(key, "a string", other),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => wrong(key, "True or False", other),
        }
    }

    fn strings(&self, key: &str) -> Result<Vec<String>, Error> {
        self.get(key).map_or_else(|| Ok(Vec::new()), |value| strings(key, value))
    }

    fn auto_install(&self, depends: &[String]) -> Result<AutoInstall, Error> {
        match self.get("auto_install") {
            None | Some(Value::Bool(false)) => Ok(AutoInstall::No),
            Some(Value::Bool(true)) => Ok(AutoInstall::WithDepends),
            Some(value @ Value::Array(_)) => {
                let names = strings("auto_install", value)?;
                match names.iter().find(|name| !depends.contains(name)) {
                    Some(module) => Err(Error::AutoInstall { module: module.clone() }),
                    None => Ok(AutoInstall::With(names)),
                }
            }
            Some(other) => wrong("auto_install", "True, False or a list of modules", other),
        }
    }

    fn external(&self) -> Result<External, Error> {
        match self.get("external_dependencies") {
            None => Ok(External::default()),
            Some(Value::Object(map)) => {
                let of = |kind: &str| {
                    map.get(kind)
                        .map_or_else(|| Ok(Vec::new()), |value| strings(&format!("external_dependencies[\"{kind}\"]"), value))
                };
                Ok(External { python: of("python")?, bin: of("bin")? })
            }
            Some(other) => wrong("external_dependencies", "a dictionary", other),
        }
    }
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, Error> {
    let Value::Array(items) = value else { return wrong(key, "a list of strings", value) };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| match item {
            Value::String(text) => Ok(text.clone()),
            other => wrong(&format!("{key}[{index}]"), "a string", other),
        })
        .collect()
}

fn wrong<T>(key: &str, expected: &'static str, found: &Value) -> Result<T, Error> {
    Err(Error::Type { key: key.to_owned(), expected, found: kind(found) })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "None",
        Value::Bool(_) => "True or False",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a dictionary",
    }
}

// ------------------------------------------------------------------------------------------------------ encoding

/// The text of a source file: UTF-8 unless one of its first two lines names another encoding (PEP 263).
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let (bom, bytes) = bytes.strip_prefix(b"\xef\xbb\xbf").map_or((false, bytes), |rest| (true, rest));
    let declared = declared(bytes);
    let name = declared.as_deref().unwrap_or("utf-8").to_ascii_lowercase().replace('_', "-");
    let text = match name.as_str() {
        "utf-8" | "utf8" | "utf-8-sig" | "u8" => utf8(bytes)?,
        _ if bom => {
            return Err(encoding(format!("it starts with the mark of UTF-8 but says that it is {name}: take one away")));
        }
        "ascii" | "us-ascii" => {
            if let Some(at) = bytes.iter().position(|byte| !byte.is_ascii()) {
                return Err(encoding(format!("byte {} is not ASCII, which its coding line promises", at + 1)));
            }
            utf8(bytes)?
        }
        "latin-1" | "latin1" | "latin" | "l1" | "iso-8859-1" | "iso8859-1" | "iso-latin-1" | "8859" | "cp819" => {
            Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        _ => return Err(encoding(format!("its coding line says {name:?}: save it as UTF-8"))),
    };
    match text.find('\0') {
        Some(at) => Err(encoding(format!("byte {} is null, which no Python source has", at + 1))),
        None => Ok(text),
    }
}

fn encoding(problem: String) -> Error {
    Error::Encoding { problem }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let problem = |error: std::str::Utf8Error| {
        encoding(format!("byte {} is not UTF-8; save it as UTF-8 or name its encoding", error.valid_up_to() + 1))
    };
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(problem)
}

/// The encoding that a comment in the first line names, or in the second if the first holds no code.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).replace("\r\n", "\n").replace('\r', "\n");
    for line in head.split('\n').take(2) {
        let line = line.trim_start_matches([' ', '\t', '\x0c']);
        if let Some(comment) = line.strip_prefix('#') {
            if let Some(name) = coding(comment) {
                return Some(name);
            }
        } else if !line.is_empty() {
            return None;
        }
    }
    None
}

/// The name after `coding:` or `coding=`.
fn coding(comment: &str) -> Option<String> {
    comment.match_indices("coding").find_map(|(at, word)| {
        let rest = comment.get(at + word.len()..)?.strip_prefix([':', '='])?.trim_start_matches([' ', '\t']);
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
        (!name.is_empty()).then_some(name)
    })
}

// ------------------------------------------------------------------------------------------------------- literals

struct Parser<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    /// Open brackets. Within them a line end is white space.
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let eaten = self.peek() == Some(c);
        if eaten {
            self.at += c.len_utf8();
        }
        eaten
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before.get(start..).unwrap_or_default().chars().count() + 1)
    }

    fn wrong<T>(&self, at: usize, problem: impl Into<String>) -> Result<T, Error> {
        let (line, column) = self.place(at);
        Err(Error::Syntax { line, column, problem: problem.into() })
    }

    fn file(mut self) -> Result<Map<String, Value>, Error> {
        let value = loop {
            self.lines()?;
            let start = self.at;
            match self.peek() {
                None => return self.wrong(start, "the manifest has no dictionary: it is one, `{'name': …}`"),
                Some('{' | '(') => match self.value()? {
                    Value::Object(map) => break map,
                    other => return self.wrong(start, not_a_manifest(&other)),
                },
                Some('"' | '\'') => self.docstring(start)?,
                Some(c) if c.is_alphabetic() || c == '_' => {
                    let word = self.word();
                    // A docstring with a prefix.
                    if word.chars().count() <= 2 && matches!(self.peek(), Some('"' | '\'')) {
                        self.at = start;
                        self.docstring(start)?;
                    } else {
                        let problem = "a manifest is a dictionary and nothing else; before it only comments and a docstring \
                                       may stand, not";
                        return self.wrong(start, format!("{problem} `{word}`"));
                    }
                }
                Some(c) => return self.wrong(start, format!("`{c}` does not start a manifest: it is a dictionary, `{{…}}`")),
            }
        };
        self.lines()?;
        if self.peek().is_some() {
            return self.wrong(self.at, "nothing may stand after the manifest's dictionary");
        }
        Ok(value)
    }

    /// A string on its own, up to the end of its line.
    fn docstring(&mut self, start: usize) -> Result<(), Error> {
        let value = self.value()?;
        if !value.is_string() {
            return self.wrong(start, not_a_manifest(&value));
        }
        match self.peek() {
            None | Some('\n') => Ok(()),
            Some(';') => {
                self.at += 1;
                Ok(())
            }
            Some(c) => self.wrong(self.at, format!("a docstring ends with its line, and here is `{c}`")),
        }
    }

    /// White space, comments and ends of lines.
    fn lines(&mut self) -> Result<(), Error> {
        self.space()?;
        while self.eat('\n') {
            self.space()?;
        }
        Ok(())
    }

    /// White space and comments; ends of lines too within brackets.
    fn space(&mut self) -> Result<(), Error> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\x0c') => self.at += 1,
                Some('\n') if self.depth > 0 => self.at += 1,
                Some('#') => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                Some('\\') => {
                    if !self.rest().starts_with("\\\n") {
                        return self.wrong(self.at, "a backslash continues a line only as its last character");
                    }
                    self.at += 2;
                }
                _ => return Ok(()),
            }
        }
    }

    fn word(&mut self) -> String {
        let word: String = self.rest().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        self.at += word.len();
        word
    }

    /// A value, and strings added to it; then the white space behind it.
    fn value(&mut self) -> Result<Value, Error> {
        let mut value = self.term()?;
        self.space()?;
        while self.peek() == Some('+') {
            let at = self.at;
            self.at += 1;
            self.space()?;
            match (&mut value, self.term()?) {
                (Value::String(left), Value::String(right)) => left.push_str(&right),
                _ => return self.wrong(at, "`+` joins strings only: a manifest is not calculated"),
            }
            self.space()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<Value, Error> {
        let start = self.at;
        match self.peek() {
            None => self.wrong(start, "a value is missing: the file ends here"),
            Some('{') => self.nested(Self::braces),
            Some('[') => self.nested(|parser| parser.items(']').map(|(items, _)| Value::Array(items))),
            Some('(') => self.nested(Self::parentheses),
            Some('"' | '\'') => self.strings().map(Value::String),
            Some('+' | '-') => self.signed(),
            Some('0'..='9' | '.') => self.number(false),
            Some(c) if c.is_alphabetic() || c == '_' => {
                let word = self.word();
                if matches!(self.peek(), Some('"' | '\'')) && word.chars().count() <= 2 {
                    self.at = start;
                    return self.strings().map(Value::String);
                }
                match word.as_str() {
                    "True" => Ok(Value::Bool(true)),
                    "False" => Ok(Value::Bool(false)),
                    "None" => Ok(Value::Null),
                    _ => self.wrong(
                        start,
                        format!("`{word}` is not a literal: a manifest is read, not run, so names, calls and tests are refused"),
                    ),
                }
            }
            Some(c) => self.wrong(start, format!("a value is missing: `{}` does not start one", c.escape_default())),
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        if self.depth == MAX_DEPTH {
            let (line, column) = self.place(self.at);
            return Err(Error::TooDeep { line, column });
        }
        self.at += 1;
        self.depth += 1;
        let value = inner(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// After a value in brackets: whether another may follow. False when the bracket was closed.
    fn more(&mut self, close: char) -> Result<bool, Error> {
        if self.eat(close) {
            return Ok(false);
        }
        if !self.eat(',') {
            let here = self.peek().map_or_else(|| "the end of the file".to_owned(), |c| format!("`{}`", c.escape_default()));
            return self.wrong(self.at, format!("`,` or `{close}` is missing before {here}: only literals may stand here"));
        }
        self.space()?;
        Ok(!self.eat(close))
    }

    /// Values up to the closing bracket, and whether there was a comma.
    fn items(&mut self, close: char) -> Result<(Vec<Value>, bool), Error> {
        let (mut items, mut comma) = (Vec::new(), false);
        self.space()?;
        if self.eat(close) {
            return Ok((items, true));
        }
        loop {
            items.push(self.value()?);
            comma |= self.peek() == Some(',');
            if !self.more(close)? {
                return Ok((items, comma));
            }
        }
    }

    fn parentheses(&mut self) -> Result<Value, Error> {
        let (mut items, comma) = self.items(')')?;
        match items.pop() {
            Some(only) if !comma => Ok(only),
            last => {
                items.extend(last);
                Ok(Value::Array(items))
            }
        }
    }

    /// A dictionary or a set.
    fn braces(&mut self) -> Result<Value, Error> {
        let mut map = Map::new();
        self.space()?;
        if self.eat('}') {
            return Ok(Value::Object(map));
        }
        let start = self.at;
        let first = self.value()?;
        if self.peek() != Some(':') {
            return self.set(start, first);
        }
        let (mut key, mut start) = (first, start);
        loop {
            let Value::String(name) = key else {
                return self.wrong(start, format!("the keys of a dictionary are strings here, and this is {}", kind(&key)));
            };
            if !self.eat(':') {
                return self.wrong(self.at, format!("`:` is missing after the key {name:?}"));
            }
            self.space()?;
            let value = self.value()?;
            // As in Python, a later value takes the place of an earlier one.
            map.insert(name, value);
            if !self.more('}')? {
                return Ok(Value::Object(map));
            }
            start = self.at;
            key = self.value()?;
        }
    }

    fn set(&mut self, mut start: usize, mut item: Value) -> Result<Value, Error> {
        let mut items = Vec::new();
        loop {
            if item.is_array() || item.is_object() {
                return self.wrong(start, format!("a set holds no {}", kind(&item).trim_start_matches("a ")));
            }
            if !items.contains(&item) {
                items.push(item);
            }
            if !self.more('}')? {
                return Ok(Value::Array(items));
            }
            start = self.at;
            item = self.value()?;
        }
    }

    // ---------------------------------------------------------------------------------------------------- numbers

    /// One sign: more are an operation to Python's `ast.literal_eval` too.
    fn signed(&mut self) -> Result<Value, Error> {
        let start = self.at;
        let negative = self.next() == Some('-');
        self.space()?;
        match self.peek() {
            Some('0'..='9' | '.') => self.number(negative),
            _ => self.wrong(start, "one sign may stand before a number, and nowhere else"),
        }
    }

    fn number(&mut self, negative: bool) -> Result<Value, Error> {
        let start = self.at;
        let text = self.digits();
        let after = self.peek();
        let odd = after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
        let (Some(number), false) = (read(&text, negative), odd) else {
            let problem = match after {
                Some('j' | 'J') => "complex numbers are refused: JSON has none".to_owned(),
                _ => format!("`{text}` is not a number here, or too large for one"),
            };
            return self.wrong(start, problem);
        };
        Ok(Value::Number(number))
    }

    /// The characters of a number; an exponent's sign too.
    fn digits(&mut self) -> String {
        let mut text = String::new();
        let based = ["0x", "0X", "0o", "0O", "0b", "0B"].iter().any(|prefix| self.rest().starts_with(prefix));
        while let Some(c) = self.peek() {
            let exponent = !based && text.ends_with(['e', 'E']) && matches!(c, '+' | '-');
            let part = c.is_ascii_digit()
                || c == '_'
                || exponent
                || if based { c.is_ascii_alphanumeric() } else { matches!(c, '.' | 'e' | 'E') };
            if !part {
                break;
            }
            text.push(c);
            self.at += 1;
        }
        text
    }

    // ---------------------------------------------------------------------------------------------------- strings

    /// One string or several beside each other, which count as one.
    fn strings(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            self.string(&mut text)?;
            let end = self.at;
            self.space()?;
            let prefix: String = self.rest().chars().take(3).collect();
            let quote = prefix.find(['"', '\'']);
            let another = quote.is_some_and(|at| prefix.get(..at).is_some_and(|p| p.chars().all(char::is_alphabetic)));
            if !another {
                self.at = end;
                return Ok(text);
            }
        }
    }

    fn string(&mut self, out: &mut String) -> Result<(), Error> {
        let start = self.at;
        let prefix = self.word().to_ascii_lowercase();
        let raw = match prefix.as_str() {
            "" | "u" => false,
            "r" => true,
            "b" | "br" | "rb" => return self.wrong(start, "bytes are refused: write a string, without `b`"),
            "f" | "fr" | "rf" => {
                return self.wrong(start, "a formatted string is calculated: write it out, without `f`");
            }
            _ => return self.wrong(start, format!("`{prefix}` is no prefix of a string")),
        };
        let Some(quote) = self.next() else { return self.wrong(start, "a string is missing") };
        let triple = [quote, quote].iter().collect::<String>();
        let long = self.rest().starts_with(&triple);
        if long {
            self.at += triple.len();
        }
        loop {
            let at = self.at;
            match self.next() {
                None => return self.wrong(start, "this string has no end"),
                Some('\n') if !long => {
                    return self.wrong(start, "this string has no end in its line: triple quotes hold several lines");
                }
                Some('\\') if raw => {
                    out.push('\\');
                    // A backslash keeps a quote from ending the string, and stays.
                    match self.next() {
                        Some(c) => out.push(c),
                        None => return self.wrong(start, "this string has no end"),
                    }
                }
                Some('\\') => self.escape(at, out)?,
                Some(c) if c == quote && (!long || self.rest().starts_with(&triple)) => {
                    if long {
                        self.at += triple.len();
                    }
                    return Ok(());
                }
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self, at: usize, out: &mut String) -> Result<(), Error> {
        let c = match self.next() {
            None => return self.wrong(at, "this string has no end"),
            Some('\n') => return Ok(()),
            Some(c @ ('\\' | '\'' | '"')) => c,
            Some('a') => '\x07',
            Some('b') => '\x08',
            Some('f') => '\x0c',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\x0b',
            Some('x') => self.hexadecimal(at, 2)?,
            Some('u') => self.hexadecimal(at, 4)?,
            Some('U') => self.hexadecimal(at, 8)?,
            Some('N') => {
                return self.wrong(at, "characters by name are refused: write the character itself, or \\u and its number");
            }
            Some(first @ '0'..='7') => {
                let mut code = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.at += 1;
                }
                char::from_u32(code).unwrap_or('\0')
            }
            // Python leaves what it does not know as it is.
            Some(other) => {
                out.push('\\');
                other
            }
        };
        out.push(c);
        Ok(())
    }

    fn hexadecimal(&mut self, at: usize, digits: usize) -> Result<char, Error> {
        let text = self.rest().get(..digits).unwrap_or_default();
        let code = u32::from_str_radix(text, 16).ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.map(char::from_u32) {
            None => self.wrong(at, format!("this escape needs {digits} hexadecimal digits")),
            Some(None) => {
                self.wrong(at, "this escape is no character (half of a pair, or too large): write the character itself")
            }
            Some(Some(c)) => {
                self.at += digits;
                Ok(c)
            }
        }
    }
}

fn not_a_manifest(value: &Value) -> String {
    format!("the manifest must be a dictionary, and this is {}", kind(value))
}

/// A number as Python writes it; none if it is none, endless, or beyond 64 bits.
fn read(text: &str, negative: bool) -> Option<Number> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (lower.get(2..)?, 16),
        Some("0o") => (lower.get(2..)?, 8),
        Some("0b") => (lower.get(2..)?, 2),
        _ => (lower.as_str(), 10),
    };
    let digits = without_underscores(digits, radix)?;
    if radix == 10 && digits.contains(['.', 'e']) {
        let float: f64 = digits.parse().ok()?;
        return Number::from_f64(if negative { -float } else { float });
    }
    if radix == 10 && digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let size = i128::from_str_radix(&digits, radix).ok()?;
    let number = if negative { -size } else { size };
    i64::try_from(number).map(Number::from).or_else(|_| u64::try_from(number).map(Number::from)).ok()
}

/// Underscores stand between two digits, or after the sign of the radix.
fn without_underscores(text: &str, radix: u32) -> Option<String> {
    let mut before = if radix == 10 { '_' } else { '0' };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '_' {
            if !before.is_ascii_alphanumeric() || (radix == 10 && !before.is_ascii_digit()) {
                return None;
            }
        } else {
            if before == '_' && !out.is_empty() && !c.is_digit(radix) {
                return None;
            }
            out.push(c);
        }
        before = c;
    }
    // Python takes `1.` and `.5`, but not a lone point.
    (before != '_' && out.contains(|c: char| c.is_digit(radix))).then_some(out)
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
