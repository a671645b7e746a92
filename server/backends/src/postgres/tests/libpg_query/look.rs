//! What a statement does, by PostgreSQL's own tree: every node and field of it must be one that is known here.
//!
//! The lists stand by themselves, so that a hole in the guard's is not a hole here.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use serde_json::Value;

use super::{
    columns::{self, Ctes, Item},
    tree::{Fields, alias, as_kind, called, direct, flag, items, node, number, strings, text},
};
use crate::postgres::{
    catalogue::Catalogue,
    guard::{self, Kind, Refused},
};

/// What may stand in a field.
enum Rule {
    /// A node, or a list of nodes.
    Nodes,
    /// A node without its kind.
    Of(&'static str),
    /// A name, a flag or a number that changes nothing about what is touched.
    Plain,
    /// One of these numbers.
    One(&'static [i64]),
}
use Rule::{Nodes, Of, One, Plain};

/// The fields that a node may have. A field that is not here must have no value; a node that is not here must not be.
fn shape(kind: &str) -> Option<&'static [(&'static str, Rule)]> {
    const LOCATION: (&str, Rule) = ("location", Plain);
    Some(match kind {
        "SelectStmt" => &[
            ("distinct_clause", Nodes),
            ("target_list", Nodes),
            ("from_clause", Nodes),
            ("where_clause", Nodes),
            ("group_clause", Nodes),
            ("having_clause", Nodes),
            ("window_clause", Nodes),
            ("values_lists", Nodes),
            ("sort_clause", Nodes),
            ("limit_offset", Nodes),
            ("limit_count", Nodes),
            ("limit_option", One(&[1, 2, 3])),
            ("with_clause", Of("WithClause")),
            ("op", One(&[1, 2, 3, 4])),
            ("all", Plain),
            ("larg", Of("SelectStmt")),
            ("rarg", Of("SelectStmt")),
        ],
        "InsertStmt" => &[
            ("relation", Of("RangeVar")),
            ("cols", Nodes),
            ("select_stmt", Nodes),
            ("on_conflict_clause", Of("OnConflictClause")),
            ("returning_clause", Of("ReturningClause")),
            ("with_clause", Of("WithClause")),
            ("override", One(&[1])),
        ],
        "UpdateStmt" => &[
            ("relation", Of("RangeVar")),
            ("target_list", Nodes),
            ("where_clause", Nodes),
            ("from_clause", Nodes),
            ("returning_clause", Of("ReturningClause")),
            ("with_clause", Of("WithClause")),
        ],
        "DeleteStmt" => &[
            ("relation", Of("RangeVar")),
            ("using_clause", Nodes),
            ("where_clause", Nodes),
            ("returning_clause", Of("ReturningClause")),
            ("with_clause", Of("WithClause")),
        ],
        "ReturningClause" => &[("exprs", Nodes)],
        "OnConflictClause" => {
            &[("action", One(&[2, 3])), ("infer", Of("InferClause")), ("target_list", Nodes), ("where_clause", Nodes), LOCATION]
        }
        "InferClause" => &[("index_elems", Nodes), ("conname", Plain), LOCATION],
        "IndexElem" => &[("name", Plain), ("ordering", One(&[1])), ("nulls_ordering", One(&[1]))],
        "MultiAssignRef" => &[("source", Nodes), ("colno", Plain), ("ncolumns", Plain)],
        "SetToDefault" => &[LOCATION],
        "ExplainStmt" => &[("query", Nodes), ("options", Nodes)],
        "WithClause" => &[("ctes", Nodes), ("recursive", Plain), LOCATION],
        "CommonTableExpr" => {
            &[("ctename", Plain), ("aliascolnames", Nodes), ("ctematerialized", One(&[1, 2, 3])), ("ctequery", Nodes), LOCATION]
        }
        "RangeVar" => &[
            ("schemaname", Plain),
            ("relname", Plain),
            ("inh", Plain),
            ("relpersistence", Plain),
            ("alias", Of("Alias")),
            LOCATION,
        ],
        "RangeSubselect" => &[("lateral", Plain), ("subquery", Nodes), ("alias", Of("Alias"))],
        "RangeFunction" => &[
            ("lateral", Plain),
            ("ordinality", Plain),
            ("is_rowsfrom", Plain),
            ("functions", Nodes),
            ("alias", Of("Alias")),
            ("coldeflist", Nodes),
        ],
        "ColumnDef" => &[("colname", Plain), ("type_name", Of("TypeName")), ("is_local", Plain), LOCATION],
        "JoinExpr" => &[
            ("jointype", One(&[1, 2, 3, 4])),
            ("is_natural", Plain),
            ("larg", Nodes),
            ("rarg", Nodes),
            ("using_clause", Nodes),
            ("quals", Nodes),
        ],
        "Alias" => &[("aliasname", Plain), ("colnames", Nodes)],
        "ResTarget" => &[("name", Plain), ("val", Nodes), LOCATION],
        "SortBy" => &[("node", Nodes), ("sortby_dir", One(&[1, 2, 3])), ("sortby_nulls", One(&[1, 2, 3])), LOCATION],
        "WindowDef" => &[
            ("name", Plain),
            ("refname", Plain),
            ("partition_clause", Nodes),
            ("order_clause", Nodes),
            ("frame_options", Plain),
            ("start_offset", Nodes),
            ("end_offset", Nodes),
            LOCATION,
        ],
        "GroupingSet" => &[("kind", One(&[1, 2, 3, 4, 5])), ("content", Nodes), LOCATION],
        "ColumnRef" => &[("fields", Nodes), LOCATION],
        "AStar" => &[],
        "ParamRef" => &[("number", Plain), LOCATION],
        "AConst" => &[("val", Plain), ("isnull", Plain), LOCATION],
        // Without BETWEEN SYMMETRIC.
        "AExpr" => &[
            ("kind", One(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])),
            ("name", Nodes),
            ("lexpr", Nodes),
            ("rexpr", Nodes),
            ("rexpr_list_start", Plain),
            ("rexpr_list_end", Plain),
            LOCATION,
        ],
        "BoolExpr" => &[("boolop", One(&[1, 2, 3])), ("args", Nodes), LOCATION],
        "NullTest" => &[("arg", Nodes), ("nulltesttype", One(&[1, 2])), LOCATION],
        "BooleanTest" => &[("arg", Nodes), ("booltesttype", One(&[1, 2, 3, 4, 5, 6])), LOCATION],
        "FuncCall" => &[
            ("funcname", Nodes),
            ("args", Nodes),
            ("agg_order", Nodes),
            ("agg_filter", Nodes),
            ("over", Of("WindowDef")),
            ("agg_within_group", Plain),
            ("agg_star", Plain),
            ("agg_distinct", Plain),
            ("funcformat", One(&[1, 4])),
            LOCATION,
        ],
        "NamedArgExpr" => &[("arg", Nodes), ("name", Plain), ("argnumber", Plain), LOCATION],
        // The clocks; not the names of users, schemas and databases behind them.
        "SqlvalueFunction" => &[("op", One(&[1, 2, 3, 4, 5, 6, 7, 8, 9])), ("typmod", Plain), LOCATION],
        "CoalesceExpr" | "GroupingFunc" => &[("args", Nodes), LOCATION],
        "MinMaxExpr" => &[("op", One(&[1, 2])), ("args", Nodes), LOCATION],
        "RowExpr" => &[("args", Nodes), ("row_format", One(&[1, 3])), LOCATION],
        "CaseExpr" => &[("arg", Nodes), ("args", Nodes), ("defresult", Nodes), LOCATION],
        "CaseWhen" => &[("expr", Nodes), ("result", Nodes), LOCATION],
        "SubLink" => {
            &[("sub_link_type", One(&[1, 2, 3, 5, 7])), ("testexpr", Nodes), ("oper_name", Nodes), ("subselect", Nodes), LOCATION]
        }
        "AArrayExpr" => &[("elements", Nodes), ("list_start", Plain), ("list_end", Plain), LOCATION],
        "AIndirection" => &[("arg", Nodes), ("indirection", Nodes)],
        "AIndices" => &[("is_slice", Plain), ("lidx", Nodes), ("uidx", Nodes)],
        "TypeCast" => &[("arg", Nodes), ("type_name", Of("TypeName")), LOCATION],
        "TypeName" => &[("names", Nodes), ("typmods", Nodes), ("typemod", One(&[-1])), ("array_bounds", Nodes), LOCATION],
        "CollateClause" => &[("arg", Nodes), ("collname", Nodes), LOCATION],
        "List" => &[("items", Nodes)],
        "String" => &[("sval", Plain)],
        "Integer" => &[("ival", Plain)],
        _ => return None,
    })
}

/// What grammar calls by a name that the guard never writes itself.
const BY_GRAMMAR: [&str; 12] = [
    "btrim",
    "extract",
    "like_escape",
    "ltrim",
    "overlaps",
    "overlay",
    "position",
    "rtrim",
    "similar_to_escape",
    "substring",
    "timezone",
    "normalize",
];
/// Operators; whatever else PostgreSQL reads as one was not meant.
const OPERATORS: [&str; 53] = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    ">",
    "<",
    ">=",
    "<=",
    "=",
    "<>",
    "|",
    "&",
    "#",
    "<<",
    ">>",
    "^",
    "&&",
    "~",
    "~*",
    "!~",
    "!~*",
    "~~",
    "~~*",
    "!~~",
    "!~~*",
    "^@",
    "->",
    "->>",
    "#>",
    "#>>",
    "@@",
    "@>",
    "<@",
    "#-",
    "@?",
    "?",
    "?&",
    "?|",
    "<->",
    "<%",
    "%>",
    "<<->",
    "<->>",
    "-|-",
    "<<%",
    "%>>",
    "@",
    "|/",
    "||/",
    "BETWEEN",
    "NOT BETWEEN",
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Table(String),
    /// A table whose columns have other names behind its alias.
    Renamed(String),
    Other,
}

/// What was found in a statement.
#[derive(Debug)]
pub struct Found {
    pub kind: Kind,
    pub reads: BTreeSet<String>,
    pub writes: BTreeSet<String>,
    /// Functions that are called by name, as `pg_catalog.lower`.
    pub functions: BTreeSet<String>,
    pub parameters: usize,
    /// What must not be there.
    pub wrong: Vec<String>,
    /// Names that PostgreSQL will not find, or take for a function of a whole row.
    pub odd: Vec<String>,
}

struct Look<'a> {
    catalogue: &'a Catalogue,
    found: Found,
    /// Common table expressions in scope.
    scopes: Vec<Vec<String>>,
    aliases: BTreeMap<String, BTreeSet<Target>>,
    /// What stands in the FROM of this and of the outer blocks.
    spaces: Vec<Vec<Item>>,
    ctes: Ctes,
    /// Names used as columns.
    columns: Vec<Vec<String>>,
    /// Aliases of which the whole row is taken.
    rows: Vec<String>,
    /// Stars that were looked at with their FROM, by their place.
    settled: BTreeSet<i64>,
}

/// Looks at a statement's tree. Everything that was found, and what is wrong with it.
pub fn look(statement: &Value, catalogue: &Catalogue) -> Found {
    let found = Found {
        kind: Kind::Select,
        reads: BTreeSet::new(),
        writes: BTreeSet::new(),
        functions: BTreeSet::new(),
        parameters: 0,
        wrong: Vec::new(),
        odd: Vec::new(),
    };
    let mut look = Look {
        catalogue,
        found,
        scopes: Vec::new(),
        aliases: BTreeMap::new(),
        spaces: Vec::new(),
        ctes: Ctes::new(),
        columns: Vec::new(),
        rows: Vec::new(),
        settled: BTreeSet::new(),
    };
    look.top(statement, false);
    look.names();
    look.found
}

/// Whether a function is on the guard's list, asked through its own door.
pub fn allowed(schema: &str, name: &str, catalogue: &Catalogue) -> bool {
    static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let asked = format!("SELECT \"{schema}\".\"{}\"()", name.replace('"', "\"\""));
    let mut known = KNOWN.lock().unwrap();
    *known.entry(asked).or_insert_with_key(|asked| {
        !matches!(guard::check(asked, catalogue, 1), Err(Refused::Function { .. } | Refused::Syntax(_)))
    })
}
/// The names that an item of FROM brings.
fn names_of(item: &Value, out: &mut BTreeSet<String>) {
    match node(item) {
        Some(("JoinExpr", join)) => ["larg", "rarg"].iter().filter_map(|side| join.get(*side)).for_each(|s| names_of(s, out)),
        Some((_, fields)) => {
            out.extend(alias(fields).map(|a| text(a, "aliasname").to_owned()));
        }
        None => {}
    }
}
/// A subquery that is nothing but what is shown of one table, under the table's alias: its name, its alias, its columns.
pub fn replaced<'a>(range: &'a Fields, catalogue: &Catalogue) -> Option<(String, String, Option<&'a Value>)> {
    let given = alias(range)?;
    let select = as_kind(range.get("subquery")?, "SelectStmt")?;
    let known = |name: &String| matches!(name.as_str(), "target_list" | "from_clause" | "limit_option" | "op");
    if flag(range, "lateral") || !select.keys().all(known) || number(select, "limit_option") != 1 || number(select, "op") != 1 {
        return None;
    }
    let [from] = items(select, "from_clause") else { return None };
    let table = as_kind(from, "RangeVar")?;
    let name = text(table, "relname");
    let simple = text(table, "schemaname") == "public"
        && flag(table, "inh")
        && text(table, "relpersistence") == "p"
        && called(table) == text(given, "aliasname")
        && !alias(table)?.contains_key("colnames")
        && table.keys().all(|k| matches!(k.as_str(), "schemaname" | "relname" | "inh" | "relpersistence" | "alias" | "location"));
    let columns: Option<Vec<&str>> = items(select, "target_list")
        .iter()
        .map(|target| {
            let target = as_kind(target, "ResTarget")?;
            let names = strings(items(as_kind(target.get("val")?, "ColumnRef")?, "fields"))?;
            (names.len() == 1 && target.keys().all(|k| k == "val" || k == "location")).then(|| names[0])
        })
        .collect();
    let shown = catalogue.shown(name)?;
    (simple && columns? == *shown).then(|| (name.to_owned(), called(table).to_owned(), given.get("colnames")))
}

impl Look<'_> {
    fn wrong(&mut self, what: impl Into<String>) {
        self.found.wrong.push(what.into());
    }
    fn top(&mut self, statement: &Value, explained: bool) {
        let Some((kind, fields)) = node(statement) else { return self.wrong("no statement") };
        let of = match kind {
            "SelectStmt" => Kind::Select,
            "InsertStmt" => Kind::Insert,
            "UpdateStmt" => Kind::Update,
            "DeleteStmt" => Kind::Delete,
            "ExplainStmt" if !explained => {
                self.found.kind = Kind::Explain;
                self.explain(fields);
                return;
            }
            other => return self.wrong(format!("the statement {other}")),
        };
        if !explained {
            self.found.kind = of;
        }
        self.scoped(kind, fields);
    }
    fn explain(&mut self, fields: &Fields) {
        let mut analyzes = false;
        for option in items(fields, "options") {
            let Some(option) = as_kind(option, "DefElem") else { return self.wrong("an option of EXPLAIN") };
            let value = match option.get("arg").and_then(node) {
                None => "on".to_owned(),
                Some(("String", s)) => text(s, "sval").to_lowercase(),
                Some(("Integer", n)) => number(n, "ival").to_string(),
                Some(_) => "?".to_owned(),
            };
            let name = text(option, "defname").to_lowercase();
            let on = matches!(value.as_str(), "on" | "true" | "1");
            match name.as_str() {
                "format" if matches!(value.as_str(), "json" | "text") => {}
                "analyze" | "verbose" | "costs" | "buffers" | "timing" | "summary" | "wal" | "generic_plan" | "memory"
                    if on || matches!(value.as_str(), "off" | "false" | "0") =>
                {
                    analyzes |= on && name == "analyze";
                }
                _ => self.wrong(format!("EXPLAIN's {name} {value}")),
            }
        }
        let Some(query) = fields.get("query") else { return self.wrong("EXPLAIN of nothing") };
        if analyzes && as_kind(query, "SelectStmt").is_none() {
            self.wrong("EXPLAIN ANALYZE of a change");
        }
        self.top(query, true);
    }
    /// A statement with its own common table expressions.
    fn scoped(&mut self, kind: &str, fields: &Fields) {
        self.scopes.push(Vec::new());
        if let Some(with) = fields.get("with_clause").and_then(Value::as_object) {
            self.with(with);
        }
        let mut space: Vec<Item> = ["from_clause", "using_clause"]
            .iter()
            .flat_map(|clause| columns::from(items(fields, clause), self.catalogue, &self.ctes))
            .collect();
        if let Some(target) = fields.get("relation").and_then(Value::as_object) {
            let changed = columns::of_table(target, self.catalogue, &Ctes::new());
            for row in ["excluded", "old", "new"] {
                space.push(Item { alias: row.to_owned(), ..changed.clone() });
            }
            space.push(changed);
        }
        self.spaces.push(space);
        match kind {
            "SelectStmt" => self.stars(fields),
            _ => self.change(kind, fields),
        }
        self.fields(kind, fields, &["with_clause", "relation"]);
        self.spaces.pop();
        self.scopes.pop();
    }
    fn with(&mut self, with: &Fields) {
        let name = |cte: &Value| as_kind(cte, "CommonTableExpr").map(|c| text(c, "ctename").to_owned()).unwrap_or_default();
        let all: Vec<String> = items(with, "ctes").iter().map(name).collect();
        let names: BTreeSet<&String> = all.iter().collect();
        if names.len() != all.len() {
            self.wrong("two common table expressions of one name");
        }
        for name in &all {
            if self.catalogue.get(name).is_some() || self.scopes.iter().flatten().any(|outer| outer == name) {
                self.wrong(format!("the common table expression {name} hides something"));
            }
        }
        let recursive = flag(with, "recursive");
        if recursive && let Some(scope) = self.scopes.last_mut() {
            scope.extend(all.iter().cloned());
        }
        columns::with(with, self.catalogue, &mut self.ctes);
        for (cte, name) in items(with, "ctes").iter().zip(all) {
            if as_kind(cte, "CommonTableExpr").and_then(|c| c.get("ctequery")).and_then(|q| as_kind(q, "SelectStmt")).is_none() {
                self.wrong("a change within WITH");
            }
            self.node(cte);
            if !recursive && let Some(scope) = self.scopes.last_mut() {
                scope.push(name);
            }
        }
    }
    /// Columns that come without names must come from what was spelled out.
    fn stars(&mut self, select: &Fields) {
        let mut tables = Vec::new();
        let mut own = BTreeSet::new();
        for item in items(select, "from_clause") {
            direct(item, &mut tables);
            names_of(item, &mut own);
        }
        let tables: Vec<(String, bool)> =
            tables.iter().map(|t| (called(t).to_owned(), text(t, "schemaname") == "public")).collect();
        for target in items(select, "target_list") {
            let Some(column) = as_kind(target, "ResTarget").and_then(|t| t.get("val")).and_then(|v| as_kind(v, "ColumnRef"))
            else {
                continue;
            };
            let fields = items(column, "fields");
            if fields.last().is_none_or(|last| as_kind(last, "AStar").is_none()) {
                continue;
            }
            let names = strings(&fields[..fields.len() - 1]).unwrap_or_default();
            self.settled.insert(number(column, "location"));
            match names.as_slice() {
                [] => {
                    if let Some((name, _)) = tables.iter().find(|(_, public)| *public) {
                        self.wrong(format!("* of the table {name} itself"));
                    }
                }
                [name] => {
                    if tables.iter().any(|(n, public)| n == name && *public) {
                        self.wrong(format!("{name}.* of the table itself"));
                    }
                    // One of an outer block is not replaced.
                    if !own.contains(*name) {
                        self.rows.push((*name).to_owned());
                    }
                }
                _ => self.wrong("a star with a schema"),
            }
        }
    }
    fn change(&mut self, kind: &str, fields: &Fields) {
        let Some(target) = fields.get("relation").and_then(Value::as_object) else { return self.wrong("no table to change") };
        let table = text(target, "relname").to_owned();
        self.fields("RangeVar", target, &[]);
        if text(target, "schemaname") != "public" || !flag(target, "inh") || text(target, "relpersistence") != "p" {
            self.wrong(format!("{table} is changed as another table than public's"));
        }
        self.aliases.entry(called(target).to_owned()).or_default().insert(Target::Table(table.clone()));
        if fields.contains_key("returning_clause") {
            // Since PostgreSQL 18: the rows before and after.
            for row in ["old", "new"] {
                self.aliases.entry(row.to_owned()).or_default().insert(Target::Table(table.clone()));
            }
        }
        self.found.writes.insert(table.clone());
        if !self.catalogue.writable(&table) {
            self.wrong(format!("{table} is changed"));
        }
        let mut lists = vec![items(fields, if kind == "InsertStmt" { "cols" } else { "target_list" })];
        if let Some(conflict) = fields.get("on_conflict_clause").and_then(Value::as_object) {
            self.aliases.entry("excluded".into()).or_default().insert(Target::Table(table.clone()));
            lists.push(items(conflict, "target_list"));
            if let Some(infer) = conflict.get("infer").and_then(Value::as_object) {
                lists.push(items(infer, "index_elems"));
            }
        }
        let shown = self.catalogue.shown(&table).unwrap_or_default();
        for item in lists.into_iter().flatten() {
            let column = node(item).map(|(_, f)| text(f, "name")).unwrap_or_default();
            if kind != "DeleteStmt" && !shown.iter().any(|c| c == column) {
                self.wrong(format!("the column {column} of {table} is set"));
            }
        }
        if kind == "InsertStmt" && items(fields, "cols").is_empty() && fields.contains_key("select_stmt") {
            let withheld = self.catalogue.withheld(&table);
            if !withheld.is_empty() {
                self.wrong("columns are set by their place");
            }
        }
    }
    fn node(&mut self, value: &Value) {
        match value {
            // An empty place in a list: `DISTINCT` without expressions, `()`.
            Value::Null => {}
            Value::Array(list) => list.iter().for_each(|item| self.node(item)),
            value => match node(value) {
                Some((kind, fields)) => self.kind(kind, fields),
                None => self.wrong(format!("not a node: {value}")),
            },
        }
    }
    fn kind(&mut self, kind: &str, fields: &Fields) {
        match kind {
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "ExplainStmt" => {
                return self.wrong(format!("{kind} within a statement"));
            }
            "SelectStmt" => return self.scoped(kind, fields),
            "RangeVar" => self.relation(fields),
            "RangeSubselect" => {
                if let Some((table, alias, _)) = replaced(fields, self.catalogue) {
                    self.aliases.entry(alias).or_default().insert(Target::Table(table.clone()));
                    self.found.reads.insert(table);
                    return;
                }
                if let Some(alias) = alias(fields) {
                    self.aliases.entry(text(alias, "aliasname").to_owned()).or_default().insert(Target::Other);
                }
            }
            "RangeFunction" => self.function_of_from(fields),
            "JoinExpr" => self.join(fields),
            "ColumnRef" => self.column(fields),
            "FuncCall" => self.function(fields),
            "TypeName" => self.data_type(fields),
            "CollateClause" => {
                let names = strings(items(fields, "collname")).unwrap_or_default();
                if !matches!(names.as_slice(), ["pg_catalog", name] if !name.is_empty()) {
                    self.wrong(format!("the collation {names:?}"));
                }
            }
            "AExpr" => match strings(items(fields, "name")).unwrap_or_default().as_slice() {
                [operator] if OPERATORS.contains(operator) => {}
                other => self.wrong(format!("the operator {other:?}")),
            },
            "SubLink" => match strings(items(fields, "oper_name")).unwrap_or_default().as_slice() {
                [] => {}
                [operator] if OPERATORS.contains(operator) => {}
                other => self.wrong(format!("the operator {other:?}")),
            },
            "ParamRef" => {
                let number = usize::try_from(number(fields, "number")).unwrap_or_default();
                if !(1..=200).contains(&number) {
                    self.wrong(format!("the parameter {number}"));
                }
                self.found.parameters = self.found.parameters.max(number);
            }
            "AConst" => {
                if let Some(value) = fields.get("val").and_then(node)
                    && !matches!(value.0, "Ival" | "Fval" | "Sval" | "Boolval")
                {
                    self.wrong(format!("the constant {}", value.0));
                }
            }
            "AIndirection" => {
                for step in items(fields, "indirection") {
                    match node(step) {
                        Some(("AIndices", _)) => {}
                        Some(("String", name))
                            if matches!(text(name, "sval"), "key" | "value")
                                && fields.get("arg").is_some_and(|a| as_kind(a, "FuncCall").is_some()) => {}
                        _ => self.wrong("a field of a row"),
                    }
                }
            }
            // EXCLUDE has bits of its own.
            "WindowDef" if number(fields, "frame_options") & 0x38_000 != 0 => self.wrong("EXCLUDE"),
            _ => {}
        }
        self.fields(kind, fields, &[]);
    }
    fn fields(&mut self, kind: &str, fields: &Fields, done: &[&str]) {
        let Some(shape) = shape(kind) else { return self.wrong(format!("the node {kind}")) };
        for (name, value) in fields {
            if done.contains(&name.as_str()) {
                continue;
            }
            let Some((_, rule)) = shape.iter().find(|(known, _)| known == name) else {
                self.wrong(format!("{kind}.{name} = {}", value.to_string().chars().take(80).collect::<String>()));
                continue;
            };
            match rule {
                Rule::Nodes => self.node(value),
                Rule::Of(kind) => match value.as_object() {
                    Some(fields) => self.kind(kind, fields),
                    None => self.wrong(format!("{kind}.{name} has no fields")),
                },
                Rule::Plain => {}
                Rule::One(known) => {
                    if !value.as_i64().is_some_and(|n| known.contains(&n)) {
                        self.wrong(format!("{kind}.{name} = {value}"));
                    }
                }
            }
        }
    }
    fn relation(&mut self, range: &Fields) {
        let (schema, name) = (text(range, "schemaname"), text(range, "relname"));
        if !flag(range, "inh") || text(range, "relpersistence") != "p" {
            self.wrong("ONLY, or a table of another kind");
        }
        let (renamed, shown_as) = (alias(range).is_some_and(|a| a.contains_key("colnames")), called(range).to_owned());
        if schema.is_empty() {
            if !self.scopes.iter().flatten().any(|cte| cte == name) {
                self.wrong(format!("the table {name} without a schema"));
            }
            self.aliases.entry(shown_as).or_default().insert(Target::Other);
            return;
        }
        if schema != "public" || self.catalogue.get(name).is_none_or(|entry| entry.sealed.is_some()) {
            self.wrong(format!("the table {schema}.{name}"));
        }
        if renamed && !self.catalogue.withheld(name).is_empty() {
            self.wrong(format!("columns of {name} get other names"));
        }
        let target = if renamed { Target::Renamed(name.to_owned()) } else { Target::Table(name.to_owned()) };
        self.aliases.entry(shown_as).or_default().insert(target);
        self.found.reads.insert(name.to_owned());
    }
    fn function_of_from(&mut self, range: &Fields) {
        let mut names = Vec::new();
        for list in items(range, "functions") {
            let call = as_kind(list, "List").map(|l| items(l, "items")).and_then(|l| l.first());
            match call.and_then(|call| as_kind(call, "FuncCall")) {
                Some(call) => names.extend(strings(items(call, "funcname")).unwrap_or_default().last().map(|n| (*n).to_owned())),
                None => self.wrong("something else than a function in FROM"),
            }
        }
        match alias(range) {
            Some(alias) => names = vec![text(alias, "aliasname").to_owned()],
            None => names.truncate(1),
        }
        for name in names {
            self.aliases.entry(name).or_default().insert(Target::Other);
        }
    }
    fn join(&mut self, join: &Fields) {
        if flag(join, "is_natural") {
            let mut tables = Vec::new();
            for side in ["larg", "rarg"] {
                join.get(side).into_iter().for_each(|side| direct(side, &mut tables));
            }
            if let Some(table) = tables.iter().find(|t| text(t, "schemaname") == "public") {
                self.wrong(format!("NATURAL JOIN of the table {} itself", text(table, "relname")));
            }
        }
        for column in strings(items(join, "using_clause")).unwrap_or_default() {
            self.columns.push(vec![column.to_owned()]);
        }
    }
    fn column(&mut self, column: &Fields) {
        let fields = items(column, "fields");
        let star = fields.last().is_some_and(|last| as_kind(last, "AStar").is_some());
        let names = strings(if star { &fields[..fields.len() - 1] } else { fields }).unwrap_or_default();
        match names.as_slice() {
            // Those of a list of columns were looked at with their FROM.
            [] | [_] if star && self.settled.contains(&number(column, "location")) => {}
            [alias] if star => self.rows.push((*alias).to_owned()),
            [qualifier, name] if !star => {
                let item = self.spaces.iter().rev().flatten().find(|item| item.alias == *qualifier).cloned();
                match item {
                    None => self.found.odd.push(format!("nothing in reach is called {qualifier}")),
                    Some(item) if item.columns.iter().any(|c| c == name) => {}
                    Some(item) if item.value => self.wrong(format!("{qualifier}.{name} calls the function {name}")),
                    Some(_) => self.found.odd.push(format!("{qualifier} has no column {name}")),
                }
                self.columns.push(vec![(*qualifier).to_owned(), (*name).to_owned()]);
            }
            [_] if !star => self.columns.push(names.iter().map(|n| (*n).to_owned()).collect()),
            _ => self.wrong(format!("the column {names:?}")),
        }
    }
    fn function(&mut self, call: &Fields) {
        let names = strings(items(call, "funcname")).unwrap_or_default();
        let by_grammar = number(call, "funcformat") == 4;
        match names.as_slice() {
            ["pg_catalog", name] if by_grammar => {
                if !BY_GRAMMAR.contains(name) {
                    self.wrong(format!("the grammar's function {name}"));
                }
            }
            [schema @ ("pg_catalog" | "public"), name] => {
                let full = format!("{schema}.{name}");
                let allowed = allowed(schema, name, self.catalogue);
                let grammar = BY_GRAMMAR.contains(name) && *schema == "pg_catalog";
                if !allowed && !grammar {
                    self.wrong(format!("the function {full}"));
                }
                self.found.functions.insert(full);
            }
            other => self.wrong(format!("the function {other:?}")),
        }
    }
    fn data_type(&mut self, of: &Fields) {
        let names = strings(items(of, "names")).unwrap_or_default();
        let (["pg_catalog", name] | [name]) = names.as_slice() else {
            return self.wrong(format!("the type {names:?}"));
        };
        let known = matches!(
            *name,
            "bool"
                | "bpchar"
                | "bytea"
                | "cidr"
                | "date"
                | "daterange"
                | "float4"
                | "float8"
                | "inet"
                | "int2"
                | "int4"
                | "int4range"
                | "int8"
                | "int8range"
                | "interval"
                | "json"
                | "jsonb"
                | "jsonpath"
                | "macaddr"
                | "money"
                | "numeric"
                | "numrange"
                | "text"
                | "time"
                | "timestamp"
                | "timestamptz"
                | "timetz"
                | "tsrange"
                | "tstzrange"
                | "uuid"
                | "varchar"
        );
        if !known {
            self.wrong(format!("the type {names:?}"));
        }
    }

    /// What the names mean, now that all tables are known. Scopes are ignored, as the guard does.
    fn names(&mut self) {
        let mut wrong = Vec::new();
        let tables: BTreeSet<&String> = self.found.reads.iter().chain(&self.found.writes).collect();
        let withheld = |table: &str, column: &str| self.catalogue.withheld(table).contains(&column);
        let shown = |table: &str, column: &str| self.catalogue.shown(table).is_some_and(|s| s.iter().any(|c| c == column));
        let row = |name: &str, wrong: &mut Vec<String>| {
            for target in self.aliases.get(name).into_iter().flatten() {
                if let Target::Table(table) | Target::Renamed(table) = target
                    && !self.catalogue.withheld(table).is_empty()
                    && !shown(table, name)
                {
                    wrong.push(format!("a whole row of {table}"));
                }
            }
        };
        for column in &self.columns {
            match column.as_slice() {
                [name] => {
                    if let Some(table) = tables.iter().find(|t| withheld(t, name)) {
                        wrong.push(format!("the column {name} of {table}"));
                    }
                    row(name, &mut wrong);
                }
                [qualifier, name] => {
                    let targets = self.aliases.get(qualifier);
                    if targets.is_none() {
                        wrong.push(format!("nothing is called {qualifier}"));
                    }
                    for target in targets.into_iter().flatten() {
                        match target {
                            Target::Table(table) | Target::Renamed(table) if withheld(table, name) => {
                                wrong.push(format!("the column {qualifier}.{name} of {table}"));
                            }
                            // The row is the argument then.
                            Target::Table(table)
                                if !shown(table, name)
                                    && !self.catalogue.withheld(table).is_empty()
                                    && targets.is_some_and(|t| t.len() == 1) =>
                            {
                                wrong.push(format!("{qualifier}.{name} takes the row of {table}"));
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        for alias in &self.rows {
            if !self.aliases.contains_key(alias) {
                wrong.push(format!("nothing is called {alias}"));
            }
            for target in self.aliases.get(alias).into_iter().flatten() {
                if let Target::Table(table) | Target::Renamed(table) = target
                    && !self.catalogue.withheld(table).is_empty()
                {
                    wrong.push(format!("a whole row of {table}, as {alias}.*"));
                }
            }
        }
        self.found.wrong.extend(wrong);
    }
}
