//! What SQL may be run: decided by a grammar, by lists of what is known, and fail-closed.
//!
//! A statement is parsed and walked whole. The walk copies what it knows into a new text and refuses everything else, so
//! **what runs is never the caller's text**: only keywords, operators, functions, types and names that this module wrote.
//! A disagreement between the parser here and PostgreSQL's can therefore not smuggle anything in. Comments, dollar quotes,
//! escapes, Unicode blanks, clauses of other databases, a second statement: whatever the parser here did not turn into a
//! known node is not in the text, and what it did is spelled in the one way that cannot be misread. Names are always in
//! double quotes, strings are always plain (with a backslash: `E'…'` with every backslash doubled, which reads the same
//! whatever `standard_conforming_strings` says), functions are `pg_catalog.…`, tables are `public.…`, and common table
//! expressions get names of their own that no table has. The order of operators stays as it was written, without
//! parentheses of ours, so PostgreSQL alone decides how they bind and the answer is that of the original.
//!
//! Secrets are kept in two ways. By name: a reference to a withheld column of any table of the statement, or to a whole
//! row of a table that has such columns, is refused wherever it stands, scopes ignored, which refuses too much rather than
//! too little. And where columns come unnamed (`*`, `NATURAL`), every table is replaced by a selection of the columns that
//! the catalogue shows.
//!
//! Hostile nesting is met before the parser: length, depth of brackets and length of chains of operators are bounded by
//! the tokens, since a long chain makes a deep tree whose mere release would overflow the stack. Parser, walk and release
//! also run on a stack of their own that has room for what the bounds let through, in builds without optimization too,
//! and a panic of the parser is a refusal.
mod names;
mod render;

use std::{collections::BTreeSet, fmt};

use sqlparser::{
    ast::{AnalyzeFormat, AnalyzeFormatKind, DescribeAlias, Expr, Ident, SetExpr, Statement, UtilityOption, Value},
    dialect::PostgreSqlDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word},
};

use crate::postgres::catalogue::Catalogue;

/// The longest text, in bytes.
pub const LONGEST: usize = 100 * 1024;
/// The deepest nesting of parentheses and brackets.
const DEEPEST: usize = 24;
/// The longest chain of operators and keywords without a comma or bracket between.
const LONGEST_CHAIN: usize = 800;
/// The most set operations (`UNION`) beside each other.
const MOST_UNIONS: usize = 64;
/// The most JOINs that wait for their ON: the parser goes deeper with each.
const MOST_OPEN_JOINS: usize = 4;
/// Bytes of stack for parser and walk; tests show that a quarter is enough.
const STACK: usize = if cfg!(test) { 8 << 20 } else { 32 << 20 };
/// How deep the parser may go.
const PARSER_DEPTH: usize = 50;
/// The most semicolons in a script.
const MOST_STATEMENTS: usize = 200;
/// The highest parameter.
const MOST_PARAMETERS: usize = 200;

/// Where in the text: both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}
impl From<Location> for Position {
    fn from(at: Location) -> Self {
        Self { line: at.line, column: at.column }
    }
}
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { Ok(()) } else { write!(f, " (line {}, column {})", self.line, self.column) }
    }
}

/// Why a statement is refused. `Display` says what was wrong and where, [`Refused::next`] what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing but blanks and comments.
    #[error("there is no statement")]
    Empty,
    /// More bytes than [`LONGEST`].
    #[error("the SQL has {0} bytes, {LONGEST} are allowed")]
    TooLong(usize),
    /// Nested too deep, or too long a chain of operators.
    #[error("the SQL is {what}{at}")]
    TooComplex {
        /// In which way.
        what: &'static str,
        /// Where it became too much.
        at: Position,
    },
    /// A character that has no place in SQL.
    #[error("the character U+{code:04X} is not allowed in {place}")]
    Character {
        /// The character.
        code: u32,
        /// Where.
        place: &'static str,
    },
    /// Not readable as SQL.
    #[error("syntax error: {0}")]
    Syntax(String),
    /// More than one statement where one is taken.
    #[error("{0} statements where one is taken")]
    Several(usize),
    /// A kind of statement that is never run.
    #[error("{what} is not run{at}")]
    Statement {
        /// The kind, as its keyword.
        what: String,
        /// Where.
        at: Position,
        /// What to do instead.
        next: &'static str,
    },
    /// A clause or form that is not known to be harmless.
    #[error("{what} is not allowed{at}")]
    Construct {
        /// What it is.
        what: String,
        /// Where, as far as known.
        at: Position,
    },
    /// A function that is not on the list.
    #[error("the function {name} is not allowed{at}")]
    Function {
        /// Its name.
        name: String,
        /// Where.
        at: Position,
        /// Allowed names close to it.
        near: Vec<String>,
    },
    /// A type that is not on the list.
    #[error("the type {name} is not allowed")]
    Type {
        /// Its name.
        name: String,
    },
    /// No such table, or not in the schema `public`.
    #[error("there is no table {name}{at}")]
    Table {
        /// Its name.
        name: String,
        /// Where.
        at: Position,
        /// Names close to it.
        near: Vec<String>,
    },
    /// A table of which nothing is shown.
    #[error("the table {table} is not read by SQL: {why}{at}")]
    Sealed {
        /// Its name.
        table: String,
        /// Why.
        why: &'static str,
        /// Where.
        at: Position,
    },
    /// A table that SQL does not change.
    #[error("the table {table} is not changed by SQL: {why}{at}")]
    Protected {
        /// Its name.
        table: String,
        /// Why.
        why: &'static str,
        /// Where.
        at: Position,
    },
    /// No such column.
    #[error("there is no column {name}{at}")]
    Column {
        /// Its name, with the table's where it was given.
        name: String,
        /// Where.
        at: Position,
        /// Names close to it.
        near: Vec<String>,
    },
    /// A column that holds a secret.
    #[error("the column {column} of {table} is withheld{at}")]
    Withheld {
        /// The column.
        column: String,
        /// Its table.
        table: String,
        /// Where.
        at: Position,
    },
    /// A whole row of a table that has withheld columns.
    #[error("whole rows of {table} are not taken, for {column} is withheld{at}")]
    WholeRow {
        /// The table.
        table: String,
        /// One of its withheld columns.
        column: String,
        /// Where.
        at: Position,
    },
    /// A parameter that is not `$1`, `$2`, ….
    #[error("the parameter {0} is not understood")]
    Parameter(String),
}

impl Refused {
    /// What the caller can do about it, in one sentence.
    pub fn next(&self) -> String {
        let near = |near: &[String], otherwise: &str| match near {
            [] => otherwise.to_owned(),
            names => format!("Did you mean {}?", names.join(", ")),
        };
        match self {
            Self::Empty => "Send one SELECT, EXPLAIN, INSERT, UPDATE or DELETE.".into(),
            Self::TooLong(_) => "Shorten it: pass long values as params, or join a table in place of a long list.".into(),
            Self::TooComplex { .. } => "Use IN (…) or VALUES in place of long chains, and WITH in place of nesting.".into(),
            Self::Character { .. } => "Remove it; in a string write it as E'\\u….'.".into(),
            Self::Syntax(_) => "The dialect is PostgreSQL's. Strings are in single quotes, names in double quotes.".into(),
            Self::Several(_) => "Send one statement, or use execute_sql_script.".into(),
            Self::Statement { next, .. } => (*next).to_owned(),
            Self::Construct { .. } => "Write it in another way; plain SQL on the tables of Odoo is allowed.".into(),
            Self::Function { near: names, .. } => near(
                names,
                "Functions that compute from their arguments are allowed; those on files, settings, sessions and the system are not.",
            ),
            Self::Type { .. } => {
                "Use text, integer, numeric, boolean, date, timestamp, interval, uuid, json, jsonb or arrays of them.".into()
            }
            Self::Table { near: names, .. } => near(names, "list_tables shows what there is; only the schema public is read."),
            Self::Sealed { .. } => "Use the tool that is made for it, for example get_system_parameter.".into(),
            Self::Protected { .. } => "Use the tool that is made for it, or write through Odoo.".into(),
            Self::Column { near: names, .. } => near(names, "list_tables shows the columns of a table."),
            Self::Withheld { .. } => {
                "Leave it out; credentials are never shown. If you mean an alias, give it another name.".into()
            }
            Self::WholeRow { .. } => "Name the columns that you want.".into(),
            Self::Parameter(_) => format!("Parameters are $1 to ${MOST_PARAMETERS}."),
        }
    }
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Reads.
    Select,
    /// Shows a plan; with ANALYZE the statement, which is then a SELECT, runs too.
    Explain,
    /// Adds rows.
    Insert,
    /// Changes rows.
    Update,
    /// Removes rows.
    Delete,
}
impl Kind {
    /// Whether nothing is changed.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Select | Self::Explain)
    }
}

/// A statement that was let through. It is only made by [`check`] and [`script`], so holding one is the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub(crate) kind: Kind,
    pub(crate) sql: String,
    pub(crate) reads: BTreeSet<String>,
    pub(crate) writes: BTreeSet<String>,
    pub(crate) parameters: usize,
    pub(crate) left_out: BTreeSet<String>,
    pub(crate) unbounded: bool,
    pub(crate) returns: bool,
    /// Bytes of `sql` and where in the caller's text they come from, in order.
    pub(crate) marks: Vec<(usize, Position)>,
}
impl Checked {
    /// Where in the caller's text the character of `sql` stems from that PostgreSQL points at (counted from 1).
    pub(crate) fn origin(&self, character: u32) -> Option<Position> {
        let byte = self.sql.char_indices().nth(usize::try_from(character).ok()?.checked_sub(1)?).map(|(byte, _)| byte)?;
        // A mark stands before the blank that precedes its word.
        self.marks.iter().rev().find(|(at, _)| *at <= byte).map(|(_, position)| *position)
    }
    /// What it does.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// The text that runs, written by the guard.
    pub fn sql(&self) -> &str {
        &self.sql
    }
    /// The tables and views that it reads, the changed one not among them unless it is read otherwise.
    pub fn reads(&self) -> &BTreeSet<String> {
        &self.reads
    }
    /// The table that it changes; of an EXPLAIN, that its statement would change.
    pub fn writes(&self) -> &BTreeSet<String> {
        &self.writes
    }
    /// The highest parameter: `2` when `$2` is used, whether or not `$1` is.
    #[cfg(test)]
    pub fn parameters(&self) -> usize {
        self.parameters
    }
    /// Columns, as `table.column`, that `*` left out because they are withheld.
    pub fn left_out(&self) -> &BTreeSet<String> {
        &self.left_out
    }
    /// Whether it is an UPDATE or DELETE without WHERE.
    pub fn unbounded(&self) -> bool {
        self.unbounded
    }
}

/// A step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A statement.
    Run(Checked),
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `RELEASE SAVEPOINT name`.
    Release(String),
    /// `ROLLBACK TO SAVEPOINT name`.
    RollbackTo(String),
}

/// A script that was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// Whether it ends with ROLLBACK: it is run and then undone.
    pub rolls_back: bool,
}
impl Script {
    /// The statements among the steps.
    pub fn statements(&self) -> impl Iterator<Item = &Checked> {
        self.steps.iter().filter_map(|step| match step {
            Step::Run(checked) => Some(checked),
            _ => None,
        })
    }
    /// Whether nothing is changed.
    pub fn reads(&self) -> bool {
        self.statements().all(|s| s.kind.reads())
    }
}

/// What one statement is, before it is decided whether it may run: what is none of the five is refused here already.
///
/// # Errors
/// [`Refused`], as far as the grammar alone tells.
pub fn kind(sql: &str) -> Result<Kind, Refused> {
    on_a_stack_of_its_own(|| match parse(sql)?.as_slice() {
        [] => Err(Refused::Empty),
        [Statement::Insert(_)] => Ok(Kind::Insert),
        [Statement::Update { .. }] => Ok(Kind::Update),
        [Statement::Delete(_)] => Ok(Kind::Delete),
        [Statement::Explain { .. }] => Ok(Kind::Explain),
        // Whatever else it is, it is refused before it runs.
        [_] => Ok(Kind::Select),
        more => Err(Refused::Several(more.len())),
    })
}

/// Decides on one statement. A SELECT without a limit, or with a number above `rows`, gets the limit `rows + 1`, so that
/// one can tell that there is more.
///
/// # Errors
/// [`Refused`], always when in doubt.
pub fn check(sql: &str, catalogue: &Catalogue, rows: usize) -> Result<Checked, Refused> {
    on_a_stack_of_its_own(|| check_here(sql, catalogue, Some(rows)))
}
fn check_here(sql: &str, catalogue: &Catalogue, rows: Option<usize>) -> Result<Checked, Refused> {
    let mut statements = parse(sql)?;
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) => statement_of(&statement, catalogue, rows),
        (None, _) => Err(Refused::Empty),
        (Some(_), more) => Err(Refused::Several(more + 1)),
    }
}
/// Runs what recurses. Blocks for as long as it takes, which the bounds keep to milliseconds.
fn on_a_stack_of_its_own<T: Send>(run: impl FnOnce() -> Result<T, Refused> + Send) -> Result<T, Refused> {
    const NOT_READ: Refused = Refused::TooComplex { what: "not readable by the parser", at: NOWHERE };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sql guard".into()).stack_size(STACK).spawn_scoped(scope, run);
        thread.map_err(|_| NOT_READ)?.join().map_err(|_| NOT_READ)?
    })
}

/// Decides on the definition of a view, as [`check`] on a statement without a limit.
pub(crate) fn check_view(sql: &str, catalogue: &Catalogue) -> Result<Checked, Refused> {
    on_a_stack_of_its_own(|| check_here(sql, catalogue, None))
}

/// Decides on a script: the statements that [`check`] allows, and around them BEGIN as the first, COMMIT or ROLLBACK as the
/// last, savepoints anywhere. Statements are told apart by the parser.
///
/// # Errors
/// [`Refused`] of the first statement that is.
pub fn script(sql: &str, catalogue: &Catalogue, rows: usize) -> Result<Script, Refused> {
    on_a_stack_of_its_own(|| script_here(sql, catalogue, rows))
}
fn script_here(sql: &str, catalogue: &Catalogue, rows: usize) -> Result<Script, Refused> {
    let statements = parse(sql)?;
    let last = statements.len().saturating_sub(1);
    let mut made = Script { steps: Vec::new(), rolls_back: false };
    let mut open: Vec<String> = Vec::new();
    let lost = |name: &str| Refused::Construct { what: format!("the savepoint {name}, which was not set before,"), at: NOWHERE };
    for (index, statement) in statements.iter().enumerate() {
        match statement {
            Statement::StartTransaction {
                modes,
                begin: _,
                transaction: _,
                modifier: None,
                statements,
                exception: None,
                has_end_keyword: false,
            } if index == 0 && modes.is_empty() && statements.is_empty() => {}
            Statement::Commit { chain: false, end: _, modifier: None } if index == last => {}
            Statement::Rollback { chain: false, savepoint: None } if index == last => made.rolls_back = true,
            Statement::Savepoint { name } => {
                let name = render::identifier(name)?;
                open.push(name.clone());
                made.steps.push(Step::Savepoint(name));
            }
            Statement::ReleaseSavepoint { name } => {
                let name = render::identifier(name)?;
                let at = open.iter().rposition(|n| *n == name).ok_or_else(|| lost(&name))?;
                open.truncate(at);
                made.steps.push(Step::Release(name));
            }
            Statement::Rollback { chain: false, savepoint: Some(name) } => {
                let name = render::identifier(name)?;
                let at = open.iter().rposition(|n| *n == name).ok_or_else(|| lost(&name))?;
                open.truncate(at + 1);
                made.steps.push(Step::RollbackTo(name));
            }
            other => made.steps.push(Step::Run(statement_of(other, catalogue, Some(rows))?)),
        }
    }
    if made.steps.is_empty() { Err(Refused::Empty) } else { Ok(made) }
}

/// A control character that has no place in SQL: it would hide from whoever reads the audit what ran.
fn unwritten(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

const NOWHERE: Position = Position { line: 0, column: 0 };

/// Turns text into statements, within bounds that keep the parser and the release of its tree from running out of stack.
fn parse(sql: &str) -> Result<Vec<Statement>, Refused> {
    if sql.len() > LONGEST {
        return Err(Refused::TooLong(sql.len()));
    }
    if let Some(bad) = unwritten(sql) {
        return Err(Refused::Character { code: bad.into(), place: "SQL" });
    }
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|e| Refused::Syntax(e.to_string()))?;
    bounds(&tokens)?;
    first_words(&tokens)?;
    read_alike(&tokens)?;
    let tokens = spell_out_table(tokens);
    Parser::new(&dialect).with_recursion_limit(PARSER_DEPTH).with_tokens_with_locations(tokens).parse_statements().map_err(|e| {
        match e {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => Refused::Syntax(text),
            ParserError::RecursionLimitExceeded => Refused::TooComplex { what: "nested too deep", at: NOWHERE },
        }
    })
}

/// What was counted within one pair of brackets.
#[derive(Default)]
struct Level {
    /// Operators and keywords since the last comma.
    chain: usize,
    unions: usize,
    /// JOINs that wait for their ON.
    joins: usize,
    /// Behind CROSS or NATURAL, which take none.
    unconditional: bool,
}

/// Bounds nesting and chains. A comma begins a new chain, except for set operations, which bind across commas.
fn bounds(tokens: &[TokenWithSpan]) -> Result<(), Refused> {
    let mut levels = vec![Level::default()];
    let mut statements = 0;
    for token in tokens {
        let too = |what| Err(Refused::TooComplex { what, at: token.span.start.into() });
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { break };
        match &token.token {
            Token::RParen | Token::RBracket | Token::RBrace => {
                if depth > 1 {
                    levels.pop();
                }
                continue;
            }
            Token::SemiColon => {
                statements += 1;
                if statements > MOST_STATEMENTS {
                    return too("a script of more than 200 statements");
                }
                levels = vec![Level::default()];
                continue;
            }
            Token::Comma => {
                level.chain = 0;
                level.joins = 0;
                continue;
            }
            Token::Whitespace(_)
            | Token::Period
            | Token::Number(..)
            | Token::Placeholder(_)
            | Token::EOF
            | Token::Word(Word { keyword: Keyword::NoKeyword | Keyword::NULL | Keyword::TRUE | Keyword::FALSE, .. }) => continue,
            Token::Word(Word { keyword: Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT, .. }) => {
                level.unions += 1;
                if level.unions > MOST_UNIONS {
                    return too("made of too many set operations");
                }
            }
            Token::Word(Word { keyword: Keyword::CROSS | Keyword::NATURAL, .. }) => level.unconditional = true,
            Token::Word(Word { keyword: Keyword::JOIN, .. }) => {
                level.joins += usize::from(!level.unconditional);
                level.unconditional = false;
                if level.joins > MOST_OPEN_JOINS {
                    return too("made of too many JOINs without ON");
                }
            }
            Token::Word(Word { keyword: Keyword::ON | Keyword::USING, .. }) => level.joins = level.joins.saturating_sub(1),
            _ => {}
        }
        // Brackets count as well: `[1][1][1]` is a chain.
        level.chain += 1;
        if level.chain > LONGEST_CHAIN {
            return too("too long a chain of operators");
        }
        if matches!(token.token, Token::LParen | Token::LBracket | Token::LBrace) {
            levels.push(Level::default());
            if depth >= DEEPEST {
                return too("nested too deep");
            }
        }
    }
    Ok(())
}

/// Looks at the first word of every statement, so that what is never run is refused by its name and not by an error of
/// syntax. A semicolon within a body (`BEGIN ATOMIC …`) only makes this refuse more.
fn first_words(tokens: &[TokenWithSpan]) -> Result<(), Refused> {
    let mut first = true;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => {}
            Token::SemiColon => first = true,
            Token::Word(word) if first => {
                first = false;
                let text = if word.quote_style.is_none() { word.value.to_ascii_uppercase() } else { String::new() };
                let known =
                    matches!(text.as_str(), "SELECT" | "WITH" | "VALUES" | "TABLE" | "EXPLAIN" | "INSERT" | "UPDATE" | "DELETE")
                        || matches!(text.as_str(), "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE");
                if !known {
                    return Err(never(&text, token.span.start.into()));
                }
            }
            _ => first = false,
        }
    }
    Ok(())
}

/// Refuses what the parser here takes for something else than PostgreSQL does. What runs would be harmless, but not what was
/// meant: `2^-1` has an operator `^-`, `1e` is no number with an alias, and the parser forgets the 3 of `interval(3) '1 s'`.
fn read_alike(tokens: &[TokenWithSpan]) -> Result<(), Refused> {
    let bad = |what: String, token: &TokenWithSpan| Err(Refused::Construct { what, at: token.span.start.into() });
    let mut interval = false;
    let mut number = false;
    // `U&` right before a name in double quotes.
    let mut escaped = 0;
    // Operators that touch each other.
    let mut run: Vec<String> = Vec::new();
    for token in tokens {
        let text = match &token.token {
            Token::Whitespace(_) | Token::Word(_) | Token::EOF => String::new(),
            // It may have been `!=`, which binds what follows.
            Token::Neq => "!=".to_owned(),
            other => other.to_string(),
        };
        if !text.is_empty() && text.chars().all(|c| OPERATOR_CHARACTERS.contains(c)) {
            run.push(text);
        } else {
            if !split_alike(&run) {
                return bad(format!("{} without a blank between its operators", run.concat()), token);
            }
            run.clear();
        }
        match &token.token {
            Token::Whitespace(_) => {
                number = false;
                escaped = 0;
                continue;
            }
            Token::Word(word) if number => return bad(format!("a number right before {}", word.value), token),
            Token::LParen if interval => return bad("a precision of INTERVAL".into(), token),
            Token::DoubleEq => return bad("the operator ==".into(), token),
            Token::Word(Word { quote_style: Some('"'), .. }) if escaped == 2 => return bad("a name in U&\"…\"".into(), token),
            _ => {}
        }
        escaped = match &token.token {
            Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case("u") => 1,
            Token::Ampersand if escaped == 1 => 2,
            _ => 0,
        };
        number = matches!(token.token, Token::Number(..));
        interval = matches!(&token.token, Token::Word(Word { keyword: Keyword::INTERVAL, quote_style: None, .. }));
    }
    Ok(())
}
const OPERATOR_CHARACTERS: &str = "+-*/<>=~!@#%^&|`?";
/// Whether PostgreSQL splits these operators, written without blanks, as they are split here: it takes as much as it can, but
/// for a `+` or `-` at the end of what has none of `~!@#%^&|`?` in it.
fn split_alike(run: &[String]) -> bool {
    let text = run.concat();
    let mut rest = text.as_str();
    run.iter().all(|operator| {
        let mut taken = rest;
        if !rest.contains(|c| "~!@#%^&|`?".contains(c)) {
            while taken.len() > 1 && taken.ends_with(['+', '-']) {
                taken = taken.get(..taken.len() - 1).unwrap_or_default();
            }
        }
        rest = rest.strip_prefix(operator.as_str()).unwrap_or_default();
        taken == operator
    })
}

/// `TABLE name` as a statement, which the parser does not know: `SELECT * FROM name`.
fn spell_out_table(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut first = true;
    let mut out = Vec::with_capacity(tokens.len() + 4);
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => out.push(token),
            Token::Word(Word { keyword: Keyword::TABLE, quote_style: None, .. }) if first => {
                first = false;
                for written in [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")] {
                    out.push(TokenWithSpan { token: written, span: token.span });
                }
            }
            Token::SemiColon => {
                first = true;
                out.push(token);
            }
            _ => {
                first = false;
                out.push(token);
            }
        }
    }
    out
}

/// The refusal of a kind of statement.
fn never(word: &str, at: Position) -> Refused {
    let next = match word {
        "CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "COMMENT" | "REINDEX" | "CLUSTER" | "REFRESH" | "IMPORT" | "SECURITY" => {
            "The schema belongs to Odoo: change models and modules with their tools. To remove rows use DELETE."
        }
        "COPY" => "Use SELECT with format csv, or the export and import tools.",
        "DO" | "CALL" | "EXECUTE" | "PREPARE" | "DEALLOCATE" => "Send the statement itself, with params where it needs values.",
        "SET" | "RESET" | "SHOW" | "DISCARD" | "LOAD" => "The session's settings are fixed; the time limit is timeout_seconds.",
        "GRANT" | "REVOKE" | "REASSIGN" => "Rights of the database are the operator's.",
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
            "Every statement has a transaction of its own; for several in one use execute_sql_script, with BEGIN first and COMMIT last."
        }
        "MERGE" => "Use INSERT … ON CONFLICT, or UPDATE and INSERT in a script.",
        "DECLARE" | "FETCH" | "MOVE" | "CLOSE" => "Use LIMIT and OFFSET to page.",
        "VACUUM" | "ANALYZE" | "CHECKPOINT" | "LOCK" | "LISTEN" | "NOTIFY" | "UNLISTEN" => "Maintenance is the operator's.",
        _ => "Send a SELECT, EXPLAIN, INSERT, UPDATE or DELETE of PostgreSQL.",
    };
    let what = if word.is_empty() || word.len() > 32 { "this statement".to_owned() } else { word.to_owned() };
    Refused::Statement { what, at, next }
}

fn statement_of(statement: &Statement, catalogue: &Catalogue, rows: Option<usize>) -> Result<Checked, Refused> {
    match statement {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => render::Walk::new(catalogue).dml_query(query),
            _ => render::Walk::new(catalogue).select(query, rows),
        },
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => render::Walk::new(catalogue).dml(statement),
        Statement::Explain {
            describe_alias: DescribeAlias::Explain,
            analyze,
            verbose,
            query_plan: false,
            estimate: false,
            statement,
            format,
            options,
        } => explain(statement, catalogue, *analyze, *verbose, format.as_ref(), options.as_deref().unwrap_or_default()),
        other => Err(never(&keyword_of(other), NOWHERE)),
    }
}

/// The keyword that a refused statement begins with.
fn keyword_of(statement: &Statement) -> String {
    match statement {
        Statement::StartTransaction { .. } => "BEGIN".into(),
        Statement::Commit { .. } => "COMMIT".into(),
        Statement::Rollback { .. } => "ROLLBACK".into(),
        Statement::Savepoint { .. } => "SAVEPOINT".into(),
        Statement::ReleaseSavepoint { .. } => "RELEASE".into(),
        Statement::Merge(_) => "MERGE".into(),
        Statement::ExplainTable { .. } | Statement::Explain { .. } => "DESCRIBE".into(),
        _ => String::new(),
    }
}

fn explain(
    inner: &Statement,
    catalogue: &Catalogue,
    analyze: bool,
    verbose: bool,
    format: Option<&AnalyzeFormatKind>,
    options: &[UtilityOption],
) -> Result<Checked, Refused> {
    let bad = |what: String| Refused::Construct { what, at: NOWHERE };
    if matches!(inner, Statement::Explain { .. } | Statement::ExplainTable { .. }) {
        return Err(bad("EXPLAIN of an EXPLAIN".into()));
    }
    let mut checked = statement_of(inner, catalogue, None)?;
    let mut analyzes = analyze;
    let mut words: Vec<String> = Vec::new();
    if analyze {
        words.push("ANALYZE".into());
    }
    if verbose {
        words.push("VERBOSE".into());
    }
    match format {
        None => {}
        Some(AnalyzeFormatKind::Keyword(AnalyzeFormat::JSON) | AnalyzeFormatKind::Assignment(AnalyzeFormat::JSON)) => {
            words.push("FORMAT JSON".into());
        }
        Some(AnalyzeFormatKind::Keyword(AnalyzeFormat::TEXT) | AnalyzeFormatKind::Assignment(AnalyzeFormat::TEXT)) => {
            words.push("FORMAT TEXT".into());
        }
        Some(_) => return Err(bad("this format of EXPLAIN".into())),
    }
    for UtilityOption { name, arg } in options {
        let Ident { value, quote_style: None, .. } = name else { return Err(bad("this option of EXPLAIN".into())) };
        let name = value.to_ascii_uppercase();
        let text = match arg {
            None => None,
            Some(Expr::Identifier(Ident { value, quote_style: None, .. })) => Some(value.to_ascii_uppercase()),
            Some(Expr::Value(value)) => match &value.value {
                Value::Boolean(true) => Some("TRUE".to_owned()),
                Value::Boolean(false) => Some("FALSE".to_owned()),
                Value::Number(n, false) => Some(n.clone()),
                _ => return Err(bad(format!("this value of EXPLAIN's {name}"))),
            },
            Some(_) => return Err(bad(format!("this value of EXPLAIN's {name}"))),
        };
        let on = match (name.as_str(), text.as_deref()) {
            ("FORMAT", Some(format @ ("JSON" | "TEXT"))) => {
                words.push(format!("FORMAT {format}"));
                continue;
            }
            (
                "ANALYZE" | "VERBOSE" | "COSTS" | "BUFFERS" | "TIMING" | "SUMMARY" | "WAL" | "GENERIC_PLAN" | "MEMORY",
                None | Some("TRUE" | "ON" | "1"),
            ) => true,
            (
                "ANALYZE" | "VERBOSE" | "COSTS" | "BUFFERS" | "TIMING" | "SUMMARY" | "WAL" | "GENERIC_PLAN" | "MEMORY",
                Some("FALSE" | "OFF" | "0"),
            ) => false,
            _ => return Err(bad(format!("EXPLAIN's option {name}"))),
        };
        analyzes |= on && name == "ANALYZE";
        words.push(format!("{name} {}", if on { "TRUE" } else { "FALSE" }));
    }
    if analyzes && checked.kind != Kind::Select {
        return Err(bad("EXPLAIN ANALYZE of a statement that changes data".into()));
    }
    let options = if words.is_empty() { String::new() } else { format!("({}) ", words.join(", ")) };
    let head = format!("EXPLAIN {options}");
    for (at, _) in &mut checked.marks {
        *at += head.len();
    }
    checked.sql = head + &checked.sql;
    checked.kind = Kind::Explain;
    checked.returns = true;
    Ok(checked)
}
