//! The walk: from sqlparser's tree to a text of our own, refusing what is not known.
//!
//! Structs are taken apart without `..` where a field could change the meaning, so that a field that a new version of the
//! parser adds is an error of compilation here and not a hole.
mod change;
mod expr;
mod from;
mod function;
mod query;

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Query, SetExpr, Statement};

use super::{Checked, Kind, NOWHERE, Position, Refused, names, unwritten};
use crate::postgres::catalogue::{Catalogue, Entry};

type Done = Result<(), Refused>;

/// How deep the walk may go. What the parser lets through is less deep, but for chains.
const DEEPEST: usize = 90;
/// The longest name; PostgreSQL cuts longer ones, and two different names could become one.
const LONGEST_NAME: usize = 63;

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// A table or view of the catalogue.
    Table(String),
    /// A function, with the names that its columns have.
    Function(BTreeSet<String>),
    /// A subquery, a common table expression.
    Other,
}

/// A name that was used as a column.
struct Reference {
    qualifier: Option<String>,
    name: String,
    at: Position,
}

pub(super) struct Walk<'a> {
    catalogue: &'a Catalogue,
    out: String,
    depth: usize,
    /// Common table expressions in scope: the name, and the one that is written for it.
    scopes: Vec<Vec<(String, String)>>,
    ctes: usize,
    aliases: BTreeMap<String, BTreeSet<Target>>,
    /// Names of columns that the statement itself brings in.
    introduced: BTreeSet<String>,
    references: Vec<Reference>,
    /// Aliases of which `f(alias.*)` takes the row.
    rows_taken: Vec<(String, Position)>,
    /// Relations that are named, sealed ones never.
    relations: BTreeSet<String>,
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    left_out: BTreeSet<String>,
    parameters: usize,
    /// Where in the caller's text a place of ours comes from.
    marks: Vec<(usize, Position)>,
}

fn construct(what: impl Into<String>) -> Refused {
    Refused::Construct { what: what.into(), at: NOWHERE }
}
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
fn place(ident: &Ident) -> Position {
    ident.span.start.into()
}

/// A name as PostgreSQL stores it: small letters unless quoted.
pub(super) fn identifier(ident: &Ident) -> Result<String, Refused> {
    let Ident { value, quote_style, span: _ } = ident;
    let name = match quote_style {
        None => value.to_ascii_lowercase(),
        Some('"') => value.clone(),
        Some(_) => return Err(Refused::Construct { what: format!("the name {value} in such quotes"), at: place(ident) }),
    };
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Refused::Construct { what: "an empty name or one of more than 63 bytes".into(), at: place(ident) });
    }
    // Controls, and what turns or hides text: an audit row must show what ran.
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    match name.chars().find(|&c| odd(c) || (quote_style.is_none() && c != ' ' && c.is_whitespace())) {
        Some(c) => Err(Refused::Character { code: c.into(), place: "a name" }),
        None => Ok(name),
    }
}

/// The nearest of some names, at most three.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.84)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// The one part of a name that must have no other.
fn single(name: &ObjectName) -> Result<&Ident, Refused> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Ok(ident),
        _ => Err(construct(format!("the name {name}"))),
    }
}

fn is_keyword(ident: &Ident, word: &str) -> bool {
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(word)
}

impl<'a> Walk<'a> {
    pub(super) fn new(catalogue: &'a Catalogue) -> Self {
        Self {
            catalogue,
            out: String::with_capacity(512),
            depth: 0,
            scopes: Vec::new(),
            ctes: 0,
            aliases: BTreeMap::new(),
            introduced: names::UNNAMED.iter().map(|&n| n.to_owned()).collect(),
            references: Vec::new(),
            rows_taken: Vec::new(),
            relations: BTreeSet::new(),
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            left_out: BTreeSet::new(),
            parameters: 0,
            marks: Vec::new(),
        }
    }

    /// A SELECT, or what gives rows like one.
    pub(super) fn select(mut self, query: &Query, rows: Option<usize>) -> Result<Checked, Refused> {
        self.query(query, rows)?;
        self.finish(Kind::Select, false, true)
    }
    /// INSERT, UPDATE, DELETE with WITH before them.
    pub(super) fn dml_query(mut self, query: &Query) -> Result<Checked, Refused> {
        let Query {
            with,
            body,
            order_by: None,
            limit_clause: None,
            fetch: None,
            locks,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } = query
        else {
            return Err(construct("a clause after a statement that changes data"));
        };
        if !locks.is_empty() || !pipe_operators.is_empty() {
            return Err(construct("a clause after a statement that changes data"));
        }
        if let Some(with) = with {
            self.with(with)?;
        }
        match body.as_ref() {
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => self.dml(statement),
            _ => Err(construct("this statement after WITH")),
        }
    }
    /// INSERT, UPDATE, DELETE.
    pub(super) fn dml(mut self, statement: &Statement) -> Result<Checked, Refused> {
        match statement {
            Statement::Insert(insert) => {
                let returns = self.insert(insert)?;
                self.finish(Kind::Insert, false, returns)
            }
            Statement::Update(update) => {
                let returns = self.update(update)?;
                self.finish(Kind::Update, update.selection.is_none(), returns)
            }
            Statement::Delete(delete) => {
                let returns = self.delete(delete)?;
                self.finish(Kind::Delete, delete.selection.is_none(), returns)
            }
            _ => Err(construct("this statement")),
        }
    }

    /// Checks the names that were used, now that all tables and aliases are known.
    fn finish(self, kind: Kind, unbounded: bool, returns: bool) -> Result<Checked, Refused> {
        for reference in &self.references {
            self.reference(reference)?;
        }
        for (alias, at) in &self.rows_taken {
            let Some(targets) = self.aliases.get(alias) else {
                let near = nearest(alias, self.aliases.keys().map(String::as_str));
                return Err(Refused::Table { name: alias.clone(), at: *at, near });
            };
            self.whole_row("", targets, *at)?;
        }
        let Self { out, reads, writes, left_out, parameters, marks, .. } = self;
        Ok(Checked { kind, sql: out, reads, writes, parameters, left_out, unbounded, returns, marks })
    }
    fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.relations.iter().filter_map(|name| Some((name.as_str(), self.catalogue.get(name)?)))
    }
    fn reference(&self, Reference { qualifier, name, at }: &Reference) -> Done {
        let (name, at) = (name.as_str(), *at);
        let withheld = |table: &str| Refused::Withheld { column: name.to_owned(), table: table.to_owned(), at };
        let known = |name: &str| self.introduced.contains(name);
        let Some(qualifier) = qualifier else {
            if let Some((table, _)) = self.entries().find(|(_, entry)| entry.withheld.contains(name)) {
                return Err(withheld(table));
            }
            if let Some(targets) = self.aliases.get(name) {
                self.whole_row(name, targets, at)?;
                return Ok(());
            }
            if known(name) || self.entries().any(|(_, entry)| entry.shown.iter().any(|c| c == name)) {
                return Ok(());
            }
            let candidates = self.entries().flat_map(|(_, entry)| entry.shown.iter().map(String::as_str));
            return Err(Refused::Column { name: name.to_owned(), at, near: nearest(name, candidates) });
        };
        let Some(targets) = self.aliases.get(qualifier) else {
            let near = nearest(qualifier, self.aliases.keys().map(String::as_str));
            return Err(Refused::Table { name: qualifier.clone(), at, near });
        };
        let mut found = false;
        for target in targets {
            match target {
                // `x.f` of a function's alias is f(x) for PostgreSQL, whatever f is, unless a column is called so. Of tables
                // and subqueries it is f of a whole row, and what takes those computes from them alone.
                Target::Function(columns) => {
                    if !columns.contains(name) {
                        let near = nearest(name, columns.iter().map(String::as_str));
                        return Err(Refused::Column { name: format!("{qualifier}.{name}"), at, near });
                    }
                    found = true;
                }
                Target::Other => {
                    found |= known(name) || self.entries().any(|(_, entry)| entry.shown.iter().any(|c| c == name));
                }
                Target::Table(table) => {
                    let Some(entry) = self.catalogue.get(table) else { continue };
                    if entry.withheld.contains(name) {
                        return Err(withheld(table));
                    }
                    found |= entry.shown.iter().any(|c| c == name);
                }
            }
        }
        if found {
            return Ok(());
        }
        let candidates = targets.iter().filter_map(|t| match t {
            Target::Table(table) => self.catalogue.get(table),
            Target::Function(_) | Target::Other => None,
        });
        let near = nearest(name, candidates.flat_map(|entry| entry.shown.iter().map(String::as_str)));
        Err(Refused::Column { name: format!("{qualifier}.{name}"), at, near })
    }
    /// Refuses a name that could mean the whole row of a table with withheld columns. A column of that very table comes
    /// before its row, in PostgreSQL too.
    fn whole_row(&self, name: &str, targets: &BTreeSet<Target>, at: Position) -> Done {
        for target in targets {
            if let Target::Table(table) = target
                && let Some(entry) = self.catalogue.get(table)
                && let Some(column) = entry.withheld.first()
                && !entry.shown.iter().any(|c| c == name)
            {
                return Err(Refused::WholeRow { table: table.clone(), column: column.clone(), at });
            }
        }
        Ok(())
    }

    fn mark(&mut self, at: Position) {
        self.marks.push((self.out.len(), at));
    }
    fn word(&mut self, text: &str) {
        if !self.out.is_empty() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }
    fn name(&mut self, name: &str) {
        let quoted = quoted(name);
        self.word(&quoted);
    }
    /// A name right behind what stands there, as after a dot.
    fn name_behind(&mut self, name: &str) {
        let quoted = quoted(name);
        self.out.push_str(&quoted);
    }
    fn text(&mut self, text: &str) -> Done {
        // An escape may write what the statement itself must not hold.
        if let Some(bad) = unwritten(text) {
            return Err(Refused::Character { code: bad.into(), place: "a string" });
        }
        let doubled = text.replace('\'', "''");
        let literal = if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") };
        self.word(&literal);
        Ok(())
    }
    fn list<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T) -> Done) -> Done {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.word(",");
            }
            one(self, item)?;
        }
        Ok(())
    }
    fn exprs(&mut self, items: &[Expr]) -> Done {
        self.list(items, Self::expr)
    }
    fn deeper(&mut self, run: impl FnOnce(&mut Self) -> Done) -> Done {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refused::TooComplex { what: "nested too deep", at: NOWHERE });
        }
        run(self)?;
        self.depth -= 1;
        Ok(())
    }
    fn introduce(&mut self, ident: &Ident) -> Result<String, Refused> {
        let name = identifier(ident)?;
        self.introduced.insert(name.clone());
        Ok(name)
    }
    fn refer(&mut self, qualifier: Option<String>, name: String, at: Position) {
        self.references.push(Reference { qualifier, name, at });
    }
}
