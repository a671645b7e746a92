//! Statements by a grammar of our own, well-typed as far as that is easy, and written in every way that lexers could read
//! differently; and mutations of statements.
#![expect(clippy::format_push_string, clippy::format_collect, clippy::useless_format, reason = "a grammar reads best as formats")]
use crate::postgres::catalogue::Relation;

/// A small generator of numbers (xorshift).
pub struct Random(pub u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from((self.next() >> 11) % u64::try_from(n.max(1)).unwrap()).unwrap()
    }
    /// Once in so many times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ty {
    Int,
    Num,
    Text,
    Bool,
    Time,
    Json,
    Array,
}
const TYPES: [Ty; 7] = [Ty::Int, Ty::Num, Ty::Text, Ty::Bool, Ty::Time, Ty::Json, Ty::Array];
fn of(type_name: &str) -> Option<Ty> {
    Some(match type_name {
        "int2" | "int4" | "int8" => Ty::Int,
        "numeric" | "float8" | "float4" => Ty::Num,
        "varchar" | "text" | "bpchar" => Ty::Text,
        "bool" => Ty::Bool,
        "timestamp" | "timestamptz" | "date" => Ty::Time,
        "jsonb" => Ty::Json,
        "_int4" => Ty::Array,
        _ => return None,
    })
}

/// A place where a blank must or may stand.
const GAP: char = '\u{1}';

/// What a name in FROM offers.
#[derive(Clone)]
struct Source {
    name: String,
    columns: Vec<(String, Option<Ty>)>,
}

pub struct Generator<'a> {
    pub random: Random,
    relations: &'a [Relation],
    depth: usize,
    sources: Vec<Source>,
    ctes: Vec<Source>,
    names: usize,
    /// How many things that are not plain remain to be put in: lexical ones, and constructs.
    odd: usize,
}
impl<'a> Generator<'a> {
    pub fn new(seed: u64, relations: &'a [Relation]) -> Self {
        Self { random: Random(seed | 1), relations, depth: 0, sources: Vec::new(), ctes: Vec::new(), names: 0, odd: 0 }
    }
    /// A statement: a query mostly, now and then a change, an EXPLAIN, or several.
    pub fn statement(&mut self) -> String {
        self.depth = 0;
        self.sources.clear();
        self.ctes.clear();
        self.names = 0;
        self.odd = if self.random.once_in(3) { 0 } else { self.random.below(4) };
        let one = |g: &mut Self| match g.random.below(12) {
            0..=8 => g.query(4),
            9 => g.insert(),
            10 => g.update(),
            _ => g.delete(),
        };
        let mut text = one(self);
        if self.random.once_in(15) {
            text = format!(
                "EXPLAIN{}\u{1}{text}",
                self.random.pick(&[
                    "",
                    "\u{1}ANALYZE",
                    "\u{1}VERBOSE",
                    "\u{1}(ANALYZE,\u{1}FORMAT\u{1}json)",
                    "\u{1}(COSTS\u{1}off)"
                ])
            );
        }
        if self.random.once_in(25) {
            text.push_str(self.random.pick(&[";", ";\u{1};", ";\u{1}--", ";\u{1}SELECT\u{1}1"]));
        }
        self.blanks(&text)
    }
    fn strange(&mut self) -> bool {
        if self.odd > 0 && self.random.once_in(6) {
            self.odd -= 1;
            return true;
        }
        false
    }
    fn blanks(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c == GAP {
                if self.odd > 0 && self.random.once_in(25) {
                    self.odd -= 1;
                    out.push_str(self.random.pick(&[
                        "\n",
                        "\t",
                        "\u{c}",
                        "\u{b}",
                        "\r",
                        "\r\n",
                        "\u{a0}",
                        "\u{2003}",
                        "\u{3000}",
                        "\u{feff}",
                        "\u{85}",
                        "\u{0}",
                        "/**/",
                        "/*x*/",
                        "/*/**/*/",
                        "/* /* */ */",
                        "/*--*/",
                        "/*'*/",
                        "/*$$*/",
                        "/*/ */",
                        "/***/",
                        "/*!1*/",
                        "--\n",
                        "--x\r",
                        "-- '\n",
                        "--*/\n",
                        "-- /*\n",
                        " -- \u{2028} \n",
                        "#x\n",
                        "//x\n",
                        "\\",
                        "\\g ",
                        "",
                        "",
                    ]));
                } else {
                    out.push(' ');
                }
            } else {
                out.push(c);
            }
        }
        out
    }
    fn fresh(&mut self) -> String {
        self.names += 1;
        if self.strange() {
            return self
                .random
                .pick(&[
                    "A b",
                    "x\"y",
                    "Select",
                    "é",
                    "ÀB",
                    "a.b",
                    "x (1)",
                    "id",
                    "name",
                    "res_users",
                    "res_partner",
                    "password",
                    "key",
                    "value",
                    "date",
                    "text",
                    "count",
                    "pg_read_file",
                    "row_to_json",
                    "excluded",
                    "public",
                    "pg_catalog",
                    "user",
                    "array",
                    "lateral",
                    "a\u{200b}b",
                    "a\\b",
                    "a'b",
                    "--",
                    "$1",
                    "ctid",
                    "default",
                    "left",
                    "timestamp",
                    "values",
                    "rows",
                    "over",
                ])
                .to_owned();
        }
        format!("{}{}", self.random.pick(&["t", "x", "foo", "q_", "Total"]), self.names)
    }
    /// A name, in one of the ways it can be written.
    fn ident(&mut self, name: &str) -> String {
        const KEYWORDS: [&str; 40] = [
            "select", "from", "user", "array", "lateral", "default", "left", "values", "order", "group", "table", "limit",
            "offset", "where", "and", "or", "not", "null", "true", "false", "in", "is", "as", "on", "using", "with", "union",
            "case", "when", "then", "else", "end", "all", "any", "check", "do", "to", "for", "only", "desc",
        ];
        let simple = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !KEYWORDS.contains(&name);
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        if self.strange() {
            let escaped: String = name.chars().map(|c| format!("\\{:04x}", u32::from(c) & 0xffff)).collect();
            return match self.random.below(6) {
                0 => format!("U&\"{escaped}\""),
                1 => format!("u&\"{}\"", name.replace('\\', "\\\\").replace('"', "\"\"")),
                2 => format!("U&\"{}\"\u{1}UESCAPE\u{1}'!'", escaped.replace('\\', "!")),
                3 if simple => format!("`{name}`"),
                4 if simple => name.to_uppercase(),
                _ => quoted,
            };
        }
        if simple && !self.random.once_in(8) { name.to_owned() } else { quoted }
    }
    fn string(&mut self, value: &str) -> String {
        let doubled = value.replace('\'', "''");
        if self.strange() {
            let escaped: String = value.chars().map(|c| format!("\\{:04x}", u32::from(c) & 0xffff)).collect();
            let by_x: String = value.bytes().map(|b| format!("\\x{b:02x}")).collect();
            let by_octal: String = value.bytes().map(|b| format!("\\{b:03o}")).collect();
            return match self.random.below(20) {
                0 => format!("E'{}'", doubled.replace('\\', "\\\\")),
                1 => format!("e'{by_x}'"),
                2 => format!("E'{by_octal}'"),
                3 => format!("U&'{escaped}'"),
                4 => format!("U&'{}'\u{1}UESCAPE\u{1}'!'", escaped.replace('\\', "!")),
                5 => format!("$${value}$$"),
                6 => format!("$a1${value}$a1$"),
                7 => format!("$é$a$$b{value}$é$"),
                8 => format!("'a'\n'{doubled}'"),
                9 => format!("'a'\u{1}'{doubled}'"),
                10 => format!("'a'--x\n'{doubled}'"),
                11 => format!("N'{doubled}'"),
                12 => "B'0101'".into(),
                13 => "X'1fF'".into(),
                14 => format!("'{doubled}\\'"),
                15 => format!("E'{}\\''", doubled.replace('\\', "\\\\")),
                16 => format!("'{doubled}\\\\'' -- '"),
                17 => "E'\\u00e9\\U0001F600\\'\\n\\b'".into(),
                18 => "E'a'\n'\\x41'".into(),
                _ => "'\u{e9}\u{2028}\u{feff}\"$$/*--'".into(),
            };
        }
        format!("'{doubled}'")
    }
    fn number(&mut self) -> String {
        if self.strange() {
            return self
                .random
                .pick(&[
                    "0x1F",
                    "0b101",
                    "0o17",
                    "1_000",
                    "1_0.5_0",
                    "1.",
                    ".5",
                    "1e3",
                    "1E+3",
                    "1e-3",
                    "1.e1",
                    "00012",
                    "1e",
                    "1x",
                    "12a",
                    "1.5.2",
                    "99999999999",
                    "123456789012345678901234567890",
                    "-1",
                    "- 1",
                    "--1",
                    "+1",
                    "1::int",
                    "0x",
                    "1__0",
                    "0_1",
                    "1._5",
                    "1..2",
                    "1e3_0",
                    "0X1f",
                    "1e400",
                ])
                .to_owned();
        }
        self.random.below(100).to_string()
    }
    fn column(&mut self, ty: Ty) -> Option<String> {
        let mut fit: Vec<(String, String)> = Vec::new();
        for source in self.sources.iter().rev().take(4) {
            for (column, of) in &source.columns {
                if *of == Some(ty) {
                    fit.push((source.name.clone(), column.clone()));
                }
            }
        }
        if fit.is_empty() {
            return None;
        }
        let (source, column) = fit[self.random.below(fit.len())].clone();
        Some(if self.random.once_in(4) {
            self.ident(&column)
        } else {
            format!(
                "{}{}{}",
                self.ident(&source),
                self.random.pick(&[".", ".", ".", ".", ".", "\u{1}.\u{1}"]),
                self.ident(&column)
            )
        })
    }
    fn operator(&mut self, usual: &[&'static str]) -> &'static str {
        if self.strange() {
            return self.random.pick(&[
                "*-",
                "@-",
                "||-",
                "-|-",
                "<>-",
                "=-",
                "!=-",
                "^@",
                "OPERATOR(pg_catalog.+)",
                "OPERATOR(+)",
                "!~~",
                "~~*",
                "~=",
                "==",
                "=>",
                ":=",
                "<=>",
                "??",
                "?",
                "?|",
                "@@@",
                "|||",
                "&&&",
                "+-",
                "+@",
                "<-",
                "<@-",
                "->-",
                "#-",
                "#>>-",
                "!!",
                "~<~",
                "*<>",
                "/*x*/+",
                "+/**/-",
                "//",
                "\\",
                "::",
                "%%",
                "$",
                "!",
                "@>>",
                "<->",
                "<%",
                "^",
                "|/",
                "##",
            ]);
        }
        self.random.pick(usual)
    }
    fn expr(&mut self, ty: Ty) -> String {
        self.depth += 1;
        let made = if self.depth > 6 { self.leaf(ty) } else { self.compound(ty) };
        self.depth -= 1;
        made
    }
    fn leaf(&mut self, ty: Ty) -> String {
        if !self.random.once_in(3)
            && let Some(column) = self.column(ty)
        {
            return column;
        }
        if self.random.once_in(30) {
            return format!("${}", self.random.pick(&["1", "2", "1", "3", "2", "1", "3", "0", "01", "1a", "a", "201", "1::int"]));
        }
        if self.strange() {
            return self
                .random
                .pick(&[
                    "NULL",
                    "null",
                    "TRUE",
                    "current_date",
                    "CURRENT_TIMESTAMP(3)",
                    "current_user",
                    "user",
                    "session_user",
                    "current_role",
                    "current_catalog",
                    "current_schema",
                    "localtime",
                    "u.*",
                    "ROW()",
                    "DEFAULT",
                    "password",
                    "u.password",
                    "res_users",
                    "ctid",
                    "xmin",
                    "tableoid",
                    "*",
                    "a.b.c.d",
                    "ARRAY[]::int[]",
                    "system_user",
                    "public.res_partner.name",
                    "(SELECT 1)",
                    "key",
                    "value",
                    ":var",
                    ":'var'",
                    "@x",
                    "@@x",
                    "#x",
                    "{d '2020-01-01'}",
                    "?",
                    "?1",
                    "t1.row_to_json",
                    "t1.count",
                    "t2.text",
                    "x1.name",
                ])
                .to_owned();
        }
        match ty {
            Ty::Int => self.number(),
            Ty::Num => format!("{}.5", self.random.below(50)),
            Ty::Text => {
                let value =
                    self.random.pick(&["abc", "", "it's", "a\\b", "%x_", "é", "--", "/*", "$$", "{}", "\\", "\\'", "a;b"]);
                self.string(value)
            }
            Ty::Bool => self.random.pick(&["true", "false", "TRUE", "NULL"]).to_owned(),
            Ty::Time => self
                .random
                .pick(&[
                    "now()",
                    "date '2024-01-01'",
                    "timestamp '2024-01-01 10:00'",
                    "CURRENT_DATE",
                    "'2024-01-01'::timestamp",
                    "localtimestamp",
                    "current_timestamp",
                    "timestamptz '2024-01-01'",
                    "timestamp(3) with time zone '2024-01-01'",
                ])
                .to_owned(),
            Ty::Json => self.random.pick(&["'{\"a\": 1}'::jsonb", "jsonb '[1, 2]'", "to_jsonb(1)"]).to_owned(),
            Ty::Array => self.random.pick(&["ARRAY[1, 2]", "'{1,2}'::int[]", "ARRAY(SELECT 1)"]).to_owned(),
        }
    }
    fn compound(&mut self, ty: Ty) -> String {
        if self.random.once_in(3) {
            return self.leaf(ty);
        }
        // What every type has.
        match self.random.below(22) {
            0 => return format!("({})", self.expr(ty)),
            1 => {
                return format!(
                    "CASE\u{1}WHEN\u{1}{}\u{1}THEN\u{1}{}\u{1}ELSE\u{1}{}\u{1}END",
                    self.expr(Ty::Bool),
                    self.expr(ty),
                    self.expr(ty)
                );
            }
            2 => {
                return format!(
                    "CASE\u{1}{}\u{1}WHEN\u{1}{}\u{1}THEN\u{1}{}\u{1}END",
                    self.expr(Ty::Int),
                    self.expr(Ty::Int),
                    self.expr(ty)
                );
            }
            3 => return format!("coalesce({},\u{1}{})", self.expr(ty), self.expr(ty)),
            4 => return format!("nullif({},\u{1}{})", self.expr(ty), self.expr(ty)),
            5 if ty != Ty::Json => return format!("greatest({},\u{1}{})", self.expr(ty), self.expr(ty)),
            6 => return format!("({})", self.scalar(ty)),
            7 => return format!("max({})\u{1}OVER\u{1}({})", self.expr(ty), self.window()),
            _ => {}
        }
        if self.strange() {
            return self.special(ty);
        }
        match ty {
            Ty::Int => match self.random.below(14) {
                0..=3 => {
                    let op = self.operator(&["+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>"]);
                    let gap = self.random.pick(&["\u{1}", "\u{1}", "\u{1}", ""]);
                    format!("{}{gap}{op}{gap}{}", self.expr(Ty::Int), self.expr(Ty::Int))
                }
                4 => format!("{}{}", self.random.pick(&["-", "+", "~", "-\u{1}", "@\u{1}", "|/", "- -"]), self.expr(Ty::Int)),
                5 => format!("length({})", self.expr(Ty::Text)),
                6 => format!("abs({})", self.expr(Ty::Int)),
                7 => format!(
                    "extract({}\u{1}FROM\u{1}{})::int",
                    self.random.pick(&["year", "month", "DOW", "epoch", "'day'", "\"hour\"", "isodow", "timezone_hour"]),
                    self.expr(Ty::Time)
                ),
                8 => format!("position({}\u{1}IN\u{1}{})", self.expr(Ty::Text), self.expr(Ty::Text)),
                9 => format!("({})[{}]", self.expr(Ty::Array), self.expr(Ty::Int)),
                10 => format!(
                    "CAST({}\u{1}AS\u{1}{})",
                    self.expr(Ty::Num),
                    self.random.pick(&["int", "INTEGER", "int4", "bigint", "pg_catalog.int8", "\"int4\"", "smallint", "int8"])
                ),
                11 => format!("{}::{}", self.expr(Ty::Text), self.random.pick(&["int", "integer", "bigint", "pg_catalog.int4"])),
                12 => format!("cardinality({})", self.expr(Ty::Array)),
                _ => format!("strpos({},\u{1}{})", self.expr(Ty::Text), self.expr(Ty::Text)),
            },
            Ty::Num => match self.random.below(7) {
                0 | 1 => {
                    format!("{}\u{1}{}\u{1}{}", self.expr(Ty::Num), self.operator(&["+", "-", "*", "/", "^"]), self.expr(Ty::Int))
                }
                2 => format!("round({},\u{1}{})", self.expr(Ty::Num), self.random.below(5)),
                3 => format!("ceil({})", self.expr(Ty::Num)),
                4 => format!(
                    "{}::{}",
                    self.expr(Ty::Int),
                    self.random.pick(&[
                        "numeric",
                        "numeric(10,2)",
                        "NUMERIC ( 5 )",
                        "float",
                        "float8",
                        "double precision",
                        "real",
                        "decimal",
                        "dec(4,1)",
                        "float(10)",
                        "money",
                        "double"
                    ])
                ),
                5 => format!("power({},\u{1}2)", self.expr(Ty::Num)),
                _ => format!("floor({})", self.expr(Ty::Num)),
            },
            Ty::Text => match self.random.below(17) {
                0..=2 => format!("{}\u{1}{}\u{1}{}", self.expr(Ty::Text), self.operator(&["||"]), self.expr(Ty::Text)),
                3 => format!(
                    "{}({})",
                    self.random.pick(&[
                        "lower",
                        "upper",
                        "UPPER",
                        "pg_catalog.lower",
                        "\"lower\"",
                        "initcap",
                        "md5",
                        "trim",
                        "btrim",
                        "ltrim",
                        "reverse"
                    ]),
                    self.expr(Ty::Text)
                ),
                4 => format!(
                    "trim({}\u{1}{}\u{1}FROM\u{1}{})",
                    self.random.pick(&["both", "leading", "TRAILING"]),
                    self.expr(Ty::Text),
                    self.expr(Ty::Text)
                ),
                5 => format!(
                    "substring({}\u{1}FROM\u{1}{}\u{1}FOR\u{1}{})",
                    self.expr(Ty::Text),
                    self.expr(Ty::Int),
                    self.expr(Ty::Int)
                ),
                6 => format!(
                    "substr{}({},\u{1}{},\u{1}{})",
                    self.random.pick(&["", "ing"]),
                    self.expr(Ty::Text),
                    self.expr(Ty::Int),
                    self.expr(Ty::Int)
                ),
                7 => format!(
                    "overlay({}\u{1}PLACING\u{1}{}\u{1}FROM\u{1}{})",
                    self.expr(Ty::Text),
                    self.expr(Ty::Text),
                    self.expr(Ty::Int)
                ),
                8 => format!("{}\u{1}->>\u{1}{}", self.expr(Ty::Json), self.random.pick(&["'a'", "0", "'b'", "-1"])),
                9 => format!(
                    "{}::{}",
                    self.expr(Ty::Int),
                    self.random.pick(&[
                        "text",
                        "varchar",
                        "varchar(10)",
                        "char",
                        "char(3)",
                        "character varying(5)",
                        "bpchar",
                        "\"char\"",
                        "name",
                        "national character(3)",
                        "character",
                        "nchar(2)"
                    ])
                ),
                10 => format!(
                    "{}\u{1}COLLATE\u{1}{}",
                    self.expr(Ty::Text),
                    self.random.pick(&["\"C\"", "\"POSIX\"", "pg_catalog.\"C\"", "\"fr-x-icu\"", "\"default\""])
                ),
                11 => format!("to_char({},\u{1}'YYYY')", self.expr(Ty::Time)),
                12 => format!("replace({},\u{1}{},\u{1}{})", self.expr(Ty::Text), self.expr(Ty::Text), self.expr(Ty::Text)),
                13 => format!("string_agg({},\u{1}','\u{1}ORDER\u{1}BY\u{1}1)", self.expr(Ty::Text)),
                14 => format!("concat_ws(',',\u{1}{},\u{1}{})", self.expr(Ty::Text), self.expr(Ty::Int)),
                15 => format!("{}\u{1}#>>\u{1}'{{a,b}}'", self.expr(Ty::Json)),
                _ => format!("left({},\u{1}{})", self.expr(Ty::Text), self.expr(Ty::Int)),
            },
            Ty::Bool => match self.random.below(26) {
                0..=2 => {
                    let ty = TYPES[self.random.below(5)];
                    let gap = self.random.pick(&["\u{1}", "\u{1}", ""]);
                    format!(
                        "{}{gap}{}{gap}{}",
                        self.expr(ty),
                        self.operator(&["=", "<>", "!=", "<", ">", "<=", ">="]),
                        self.expr(ty)
                    )
                }
                3 | 4 => format!("{}\u{1}AND\u{1}{}", self.expr(Ty::Bool), self.expr(Ty::Bool)),
                5 => format!("{}\u{1}OR\u{1}{}", self.expr(Ty::Bool), self.expr(Ty::Bool)),
                6 => format!("NOT\u{1}{}", self.expr(Ty::Bool)),
                7 => {
                    let ty = TYPES[self.random.below(7)];
                    format!(
                        "{}\u{1}{}",
                        self.expr(ty),
                        self.random.pick(&["IS NULL", "IS NOT NULL", "ISNULL", "NOTNULL", "IS\u{1}NULL"])
                    )
                }
                8 => format!(
                    "{}\u{1}IS\u{1}{}",
                    self.expr(Ty::Bool),
                    self.random.pick(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"])
                ),
                9 => {
                    let ty = TYPES[self.random.below(5)];
                    format!(
                        "{}\u{1}IS\u{1}{}DISTINCT\u{1}FROM\u{1}{}",
                        self.expr(ty),
                        self.random.pick(&["", "NOT\u{1}"]),
                        self.expr(ty)
                    )
                }
                10 | 11 => format!(
                    "{}\u{1}{}IN\u{1}({},\u{1}{})",
                    self.expr(Ty::Int),
                    self.random.pick(&["", "NOT\u{1}"]),
                    self.expr(Ty::Int),
                    self.expr(Ty::Int)
                ),
                12 => format!("{}\u{1}IN\u{1}({})", self.expr(Ty::Int), self.scalar(Ty::Int)),
                13 => format!(
                    "{}\u{1}{}BETWEEN\u{1}{}\u{1}AND\u{1}{}",
                    self.expr(Ty::Int),
                    self.random.pick(&["", "NOT\u{1}"]),
                    self.expr(Ty::Int),
                    self.expr(Ty::Int)
                ),
                14 | 15 => format!(
                    "{}\u{1}{}{}\u{1}{}{}",
                    self.expr(Ty::Text),
                    self.random.pick(&["", "NOT\u{1}"]),
                    self.random.pick(&["LIKE", "ILIKE", "SIMILAR\u{1}TO"]),
                    self.expr(Ty::Text),
                    self.random.pick(&["", "", "\u{1}ESCAPE\u{1}'!'", "\u{1}ESCAPE\u{1}''"])
                ),
                16 => format!(
                    "{}\u{1}{}\u{1}{}",
                    self.expr(Ty::Text),
                    self.operator(&["~", "~*", "!~", "!~*", "~~", "!~~*", "^@"]),
                    self.expr(Ty::Text)
                ),
                17 => format!("EXISTS\u{1}({})", self.query(0)),
                18 => format!(
                    "{}\u{1}{}\u{1}{}\u{1}({})",
                    self.expr(Ty::Int),
                    self.random.pick(&["=", "<>", "<"]),
                    self.random.pick(&["ANY", "ALL", "SOME"]),
                    self.expr(Ty::Array)
                ),
                19 => format!("{}\u{1}{}\u{1}{}", self.expr(Ty::Json), self.operator(&["@>", "<@"]), self.expr(Ty::Json)),
                20 => format!("{}\u{1}?\u{1}'a'", self.expr(Ty::Json)),
                21 => format!(
                    "({},\u{1}{})\u{1}=\u{1}({},\u{1}{})",
                    self.expr(Ty::Int),
                    self.expr(Ty::Text),
                    self.expr(Ty::Int),
                    self.expr(Ty::Text)
                ),
                22 => format!("{}\u{1}{}\u{1}{}", self.expr(Ty::Array), self.operator(&["&&", "@>", "="]), self.expr(Ty::Array)),
                23 => format!(
                    "{}\u{1}{}LIKE\u{1}ANY\u{1}(ARRAY['a%',\u{1}{}])",
                    self.expr(Ty::Text),
                    self.random.pick(&["", "I", "NOT\u{1}"]),
                    self.expr(Ty::Text)
                ),
                24 => format!(
                    "({},\u{1}{})\u{1}OVERLAPS\u{1}({},\u{1}{})",
                    self.expr(Ty::Time),
                    self.expr(Ty::Time),
                    self.expr(Ty::Time),
                    self.expr(Ty::Time)
                ),
                _ => format!("{}::bool", self.expr(Ty::Int)),
            },
            Ty::Time => match self.random.below(8) {
                0 => format!("date_trunc('month',\u{1}{})", self.expr(Ty::Time)),
                1 | 2 => format!(
                    "{}\u{1}{}\u{1}{}",
                    self.expr(Ty::Time),
                    self.random.pick(&["+", "-"]),
                    self.random.pick(&[
                        "interval '1 day'",
                        "INTERVAL '1' DAY",
                        "interval '1-2' year to month",
                        "'1 hour'::interval",
                        "make_interval(days => 1)",
                        "interval '1 day' * 2"
                    ])
                ),
                3 => format!("{}\u{1}AT\u{1}TIME\u{1}ZONE\u{1}'UTC'", self.expr(Ty::Time)),
                4 => format!(
                    "{}::{}",
                    self.expr(Ty::Time),
                    self.random.pick(&[
                        "date",
                        "timestamp",
                        "timestamptz",
                        "timestamp(0)",
                        "timestamp with time zone",
                        "timestamp without time zone",
                        "timestamp(3) with time zone"
                    ])
                ),
                5 => format!("make_date({},\u{1}1,\u{1}1)", self.expr(Ty::Int)),
                6 => format!("to_date({},\u{1}'YYYY')", self.expr(Ty::Text)),
                _ => format!("least({},\u{1}{})", self.expr(Ty::Time), self.expr(Ty::Time)),
            },
            Ty::Json => match self.random.below(7) {
                0 => format!("{}\u{1}->\u{1}'a'", self.expr(Ty::Json)),
                1 => format!("to_jsonb({})", self.expr(Ty::Text)),
                2 => format!("jsonb_build_object('a',\u{1}{})", self.expr(Ty::Int)),
                3 => format!("{}\u{1}||\u{1}{}", self.expr(Ty::Json), self.expr(Ty::Json)),
                4 => format!("{}\u{1}-\u{1}'a'", self.expr(Ty::Json)),
                5 => format!("jsonb_set({},\u{1}'{{a}}',\u{1}'1')", self.expr(Ty::Json)),
                _ => format!("({})['a']", self.expr(Ty::Json)),
            },
            Ty::Array => match self.random.below(6) {
                0 => format!("ARRAY[{},\u{1}{}]", self.expr(Ty::Int), self.expr(Ty::Int)),
                1 => format!("array_append({},\u{1}{})", self.expr(Ty::Array), self.expr(Ty::Int)),
                2 => format!("({})[{}:{}]", self.expr(Ty::Array), self.expr(Ty::Int), self.expr(Ty::Int)),
                3 => format!("ARRAY({})", self.scalar(Ty::Int)),
                4 => format!("{}\u{1}||\u{1}{}", self.expr(Ty::Array), self.expr(Ty::Int)),
                _ => format!("array_agg({}\u{1}ORDER\u{1}BY\u{1}1)", self.expr(Ty::Int)),
            },
        }
    }
    /// What is seldom written, allowed or not.
    fn special(&mut self, ty: Ty) -> String {
        let (a, b) = (self.expr(ty), self.expr(ty));
        let t = self.expr(Ty::Text);
        let i = self.expr(Ty::Int);
        let source = self.sources.last().map_or_else(|| "t1".to_owned(), |s| s.name.clone());
        let source = self.ident(&source);
        match self.random.below(69) {
            67 => self.random.pick(&["interval(3) '1 second'", "interval '1' second(2)"]).to_owned(),
            0 => format!("{a}\u{1}BETWEEN\u{1}SYMMETRIC\u{1}{a}\u{1}AND\u{1}{b}"),
            1 => format!("{t}\u{1}IS\u{1}NFC\u{1}NORMALIZED"),
            2 => format!("{t}\u{1}IS\u{1}JSON\u{1}OBJECT"),
            3 => format!("xmlelement(name\u{1}a,\u{1}{a})"),
            4 => format!("pg_read_file({t})"),
            5 => format!(
                "{}({t})",
                self.random.pick(&[
                    "lo_import",
                    "nextval",
                    "current_setting",
                    "pg_sleep",
                    "dblink",
                    "query_to_xml",
                    "set_config",
                    "version",
                    "pg_ls_dir",
                    "txid_current",
                    "json_populate_record",
                    "has_table_privilege",
                    "currval",
                    "pg_advisory_lock",
                    "col_description",
                    "to_regclass",
                    "inet_client_addr",
                    "pg_notify",
                    "gen_random_bytes",
                    "lastval"
                ])
            ),
            6 => format!("{source}.*"),
            7 => source,
            8 => format!("row_to_json({source})"),
            9 => format!("to_jsonb({source}.*)"),
            10 => format!("({source}).id"),
            11 => format!("({source}.*)::text"),
            12 => format!("{source}.to_json"),
            13 => format!("concat(VARIADIC\u{1}ARRAY[{a},\u{1}{b}])"),
            14 => format!("ROW({a},\u{1}{i})::text"),
            15 => format!("{t}\u{1}COLLATE\u{1}\"C\"\u{1}<\u{1}{t}"),
            16 => format!("sum({i})\u{1}FILTER\u{1}(WHERE\u{1}{i}\u{1}>\u{1}1)\u{1}OVER\u{1}({})", self.window()),
            17 => format!("percentile_cont(0.5)\u{1}WITHIN\u{1}GROUP\u{1}(ORDER\u{1}BY\u{1}{i})"),
            18 => format!("count(DISTINCT\u{1}{a})"),
            19 => format!("count(ALL\u{1}{a})"),
            20 => "count(*)".into(),
            21 => format!("normalize({t},\u{1}NFC)"),
            22 => format!("collation\u{1}for\u{1}({t})"),
            23 => format!("json_object('a':\u{1}{i})"),
            24 => format!("json_value({t},\u{1}'$.a')"),
            25 => format!("treat({a}\u{1}AS\u{1}text)"),
            26 => format!("try_cast({a}\u{1}AS\u{1}text)"),
            27 => format!("convert({t},\u{1}'a')"),
            28 => format!("substring({t}\u{1}SIMILAR\u{1}'a'\u{1}ESCAPE\u{1}'b')"),
            29 => format!("substring({t}\u{1}FOR\u{1}{i})"),
            30 => format!("{i}\u{1}IN\u{1}(VALUES\u{1}(1),\u{1}(2))"),
            31 => format!("{i}\u{1}IN\u{1}(TABLE\u{1}foo)"),
            32 => format!("lead({a},\u{1}1)\u{1}IGNORE\u{1}NULLS\u{1}OVER\u{1}()"),
            33 => format!("{i}::int\u{1}ARRAY[3]"),
            34 => format!("{t}::text[][]"),
            35 => format!("{i}::int[2]"),
            36 => format!("{i}::pg_catalog.int4[]"),
            37 => format!("int4({i})"),
            38 => format!("int4\u{1}'5'"),
            39 => format!("pg_catalog.int4\u{1}'5'"),
            40 => format!("bool\u{1}'t'"),
            41 => format!("numeric(5,2)\u{1}'1.5'"),
            42 => format!("make_interval(days\u{1}=>\u{1}{i})"),
            43 => format!("make_interval(days\u{1}:=\u{1}{i})"),
            44 => format!("(jsonb_each_text('{{\"a\":1}}')).key"),
            45 => format!("generate_series(1,\u{1}{i})"),
            46 => format!("unnest({})", self.expr(Ty::Array)),
            47 => format!("({a},\u{1}{b})\u{1}IN\u{1}(({a},\u{1}{b}))"),
            48 => format!("{a}\u{1}IS\u{1}OF\u{1}(text)"),
            49 => format!("GROUPING({a})"),
            50 => format!("{t}\u{1}LIKE\u{1}ALL\u{1}(ARRAY['a'])"),
            51 => format!("{i}\u{1}=\u{1}ANY\u{1}({})", self.scalar(Ty::Int)),
            52 => format!("{i}\u{1}NOT\u{1}IN\u{1}({})", self.scalar(Ty::Int)),
            53 => format!(
                "interval\u{1}'1'\u{1}{}",
                self.random.pick(&["year", "month to day", "day to second", "hour to minute", "second(3)", "week"])
            ),
            54 => format!("-{i}\u{1}^\u{1}2"),
            55 => format!("NOT\u{1}{a}\u{1}=\u{1}{b}"),
            56 => format!("{a}\u{1}=\u{1}{b}\u{1}IS\u{1}NULL"),
            57 => format!("{a}::text\u{1}COLLATE\u{1}\"C\"::text"),
            58 => format!("{t}\u{1}||\u{1}{i}::text\u{1}LIKE\u{1}{t}"),
            59 => format!("{i}\u{1}+\u{1}{i}\u{1}BETWEEN\u{1}1\u{1}AND\u{1}2\u{1}AND\u{1}true"),
            60 => format!("{a}\u{1}AT\u{1}LOCAL"),
            61 => format!("lower({t})\u{1}WITHIN\u{1}GROUP\u{1}(ORDER\u{1}BY\u{1}1)"),
            62 => format!("merge_action()"),
            63 => format!("trim({t}\u{1}FROM\u{1}{t})"),
            64 => format!("trim(FROM\u{1}{t})"),
            65 => format!("trim(both\u{1}FROM\u{1}{t},\u{1}'x')"),
            66 => format!("ltrim({t},\u{1}'x')"),
            _ => format!("repeat({t},\u{1}{})", self.random.below(20)),
        }
    }
    fn window(&mut self) -> String {
        let mut out = String::new();
        if self.random.once_in(2) {
            out.push_str(&format!("PARTITION\u{1}BY\u{1}{}\u{1}", self.leaf(Ty::Int)));
        }
        if self.random.once_in(2) {
            out.push_str(&format!("ORDER\u{1}BY\u{1}{}", self.leaf(Ty::Int)));
            out.push_str(self.random.pick(&[
                "",
                "",
                "\u{1}ROWS\u{1}1\u{1}PRECEDING",
                "\u{1}ROWS\u{1}BETWEEN\u{1}UNBOUNDED\u{1}PRECEDING\u{1}AND\u{1}CURRENT\u{1}ROW",
                "\u{1}RANGE\u{1}UNBOUNDED\u{1}PRECEDING",
                "\u{1}GROUPS\u{1}BETWEEN\u{1}1\u{1}PRECEDING\u{1}AND\u{1}1\u{1}FOLLOWING",
                "\u{1}ROWS\u{1}BETWEEN\u{1}CURRENT\u{1}ROW\u{1}AND\u{1}UNBOUNDED\u{1}FOLLOWING\u{1}EXCLUDE\u{1}TIES",
            ]));
        }
        out
    }
    fn scalar(&mut self, ty: Ty) -> String {
        let sources = self.sources.len();
        let from = self.from();
        let out = format!("SELECT\u{1}{}{from}\u{1}LIMIT\u{1}1", self.expr(ty));
        self.sources.truncate(sources);
        out
    }
    fn source(&mut self) -> String {
        if !self.ctes.is_empty() && self.random.once_in(3) {
            let cte = self.ctes[self.random.below(self.ctes.len())].clone();
            let alias = self.fresh();
            let out = if self.random.once_in(3) {
                self.sources.push(cte.clone());
                self.ident(&cte.name)
            } else {
                self.sources.push(Source { name: alias.clone(), columns: cte.columns });
                format!("{}\u{1}AS\u{1}{}", self.ident(&cte.name), self.ident(&alias))
            };
            return out;
        }
        match self.random.below(14) {
            0 if self.depth < 5 => {
                let alias = self.fresh();
                self.depth += 2;
                let keep = self.sources.clone();
                self.sources.clear();
                let query = self.query(1);
                self.sources = keep;
                self.depth -= 2;
                let column = self.fresh();
                self.sources.push(Source { name: alias.clone(), columns: vec![(column.clone(), Some(Ty::Int))] });
                let lateral = self.random.pick(&["", "", "LATERAL\u{1}"]);
                format!("{lateral}({query})\u{1}AS\u{1}{}({})", self.ident(&alias), self.ident(&column))
            }
            1 => {
                let alias = self.fresh();
                self.sources.push(Source { name: alias.clone(), columns: vec![(alias.clone(), Some(Ty::Int))] });
                let call = self.random.pick(&[
                    "generate_series(1,\u{1}5)",
                    "unnest(ARRAY[1,2])",
                    "unnest(ARRAY[1,2],\u{1}ARRAY[3,4])",
                    "pg_catalog.generate_series(1,2)",
                    "generate_series(1,3)\u{1}WITH\u{1}ORDINALITY",
                    "LATERAL\u{1}unnest(ARRAY[1])",
                    "ROWS\u{1}FROM\u{1}(generate_series(1,2),\u{1}generate_series(1,3))",
                    "jsonb_to_recordset('[]')",
                ]);
                if call.starts_with("jsonb") {
                    return format!("{call}\u{1}AS\u{1}{}(a\u{1}int,\u{1}b\u{1}text)", self.ident(&alias));
                }
                format!("{call}\u{1}{}", self.ident(&alias))
            }
            2 => {
                let alias = self.fresh();
                self.sources.push(Source {
                    name: alias.clone(),
                    columns: vec![("a".into(), Some(Ty::Int)), ("b".into(), Some(Ty::Text))],
                });
                format!(
                    "(VALUES\u{1}({},\u{1}{}))\u{1}AS\u{1}{}(a,\u{1}b)",
                    self.leaf(Ty::Int),
                    self.leaf(Ty::Text),
                    self.ident(&alias)
                )
            }
            3 if self.strange() => {
                let alias = self.fresh();
                let what = self.random.pick(&[
                    "pg_authid",
                    "pg_catalog.pg_class",
                    "information_schema.tables",
                    "ONLY\u{1}res_partner",
                    "res_partner\u{1}*",
                    "res_partner\u{1}TABLESAMPLE\u{1}SYSTEM\u{1}(1)",
                    "ONLY\u{1}(res_partner)",
                    "ir_config_parameter",
                    "ocore.public.res_partner",
                    "pg_temp.x",
                    "JSON_TABLE('[]',\u{1}'$[*]'\u{1}COLUMNS\u{1}(a\u{1}int))",
                    "XMLTABLE('/a'\u{1}PASSING\u{1}'<a/>'\u{1}COLUMNS\u{1}a\u{1}int)",
                    "(res_partner\u{1}CROSS\u{1}JOIN\u{1}res_country)",
                    "(res_partner\u{1}a\u{1}CROSS\u{1}JOIN\u{1}res_country\u{1}b)",
                    "current_date",
                    "pg_ls_dir('.')",
                    "(DELETE\u{1}FROM\u{1}crm_lead\u{1}RETURNING\u{1}1)",
                    "(TABLE\u{1}res_country)",
                    "public.\"res_country\"",
                    "\"public\".res_country",
                    "PUBLIC.res_country",
                    "\"PUBLIC\".res_country",
                    "\"Res_Country\"",
                    "RES_COUNTRY",
                    "res_country@x",
                    "s3('x')",
                    "res_country\u{1}FINAL",
                    "UNNEST(ARRAY[1])\u{1}WITH\u{1}OFFSET",
                ]);
                format!("{what}\u{1}AS\u{1}{}", self.ident(&alias))
            }
            _ => {
                let relation = self.random_relation();
                let (name, columns) = (
                    relation.name.clone(),
                    relation.columns.iter().map(|c| (c.name.clone(), of(&c.type_name))).collect::<Vec<_>>(),
                );
                let schema = self.random.pick(&["", "", "", "", "public.", "\"public\"."]);
                let written = self.ident(&name);
                let alias = if self.random.once_in(4) { None } else { Some(self.fresh()) };
                self.sources.push(Source { name: alias.clone().unwrap_or_else(|| name.clone()), columns });
                match alias {
                    None => format!("{schema}{written}"),
                    Some(alias) => format!("{schema}{written}\u{1}{}{}", self.random.pick(&["AS\u{1}", ""]), self.ident(&alias)),
                }
            }
        }
    }
    fn random_relation(&mut self) -> &'a Relation {
        const USUAL: [&str; 9] = [
            "res_partner",
            "res_users",
            "sale_order",
            "res_country",
            "crm_lead",
            "product_template",
            "crm_stage",
            "sale_order_line",
            "res_company",
        ];
        if !self.random.once_in(4) {
            let name = self.random.pick(&USUAL);
            if let Some(found) = self.relations.iter().find(|r| r.name == name) {
                return found;
            }
        }
        &self.relations[self.random.below(self.relations.len())]
    }
    fn from(&mut self) -> String {
        if self.random.once_in(6) {
            return String::new();
        }
        let mut out = format!("\u{1}FROM\u{1}{}", self.source());
        while self.random.once_in(3) {
            match self.random.below(10) {
                0 => out.push_str(&format!(",\u{1}{}", self.source())),
                1 => out.push_str(&format!("\u{1}CROSS\u{1}JOIN\u{1}{}", self.source())),
                2 => out.push_str(&format!(
                    "\u{1}NATURAL\u{1}{}JOIN\u{1}{}",
                    self.random.pick(&["", "LEFT\u{1}", "INNER\u{1}", "FULL\u{1}"]),
                    self.source()
                )),
                3 => out.push_str(&format!(
                    "\u{1}JOIN\u{1}{}\u{1}USING\u{1}(id){}",
                    self.source(),
                    self.random.pick(&["", "", "\u{1}AS\u{1}j"])
                )),
                4 => out.push_str(&format!(
                    "\u{1}JOIN\u{1}{}\u{1}JOIN\u{1}{}\u{1}ON\u{1}true\u{1}ON\u{1}true",
                    self.source(),
                    self.source()
                )),
                _ => {
                    let kind = self.random.pick(
                        &[
                            "JOIN",
                            "INNER\u{1}JOIN",
                            "LEFT\u{1}JOIN",
                            "LEFT\u{1}OUTER\u{1}JOIN",
                            "RIGHT\u{1}JOIN",
                            "FULL\u{1}JOIN",
                            "LEFT\u{1}SEMI\u{1}JOIN",
                            "ASOF\u{1}JOIN",
                        ][..6 + usize::from(self.odd > 2) * 2],
                    );
                    let source = self.source();
                    out.push_str(&format!("\u{1}{kind}\u{1}{source}\u{1}ON\u{1}{}", self.expr(Ty::Bool)));
                }
            }
        }
        out
    }
    /// `columns`: how many; 0 for anything, 1 for one integer.
    fn query(&mut self, columns: usize) -> String {
        let (sources, ctes) = (self.sources.len(), self.ctes.len());
        let mut out = String::new();
        if self.depth < 2 && self.random.once_in(5) {
            out.push_str(&self.with());
        }
        out.push_str(&self.block(columns));
        while self.random.once_in(9) {
            let op = self.random.pick(&[
                "UNION",
                "UNION\u{1}ALL",
                "EXCEPT",
                "INTERSECT",
                "UNION\u{1}DISTINCT",
                "EXCEPT\u{1}ALL",
                "INTERSECT\u{1}ALL",
            ]);
            let block = self.block(1);
            out = if self.random.once_in(3) {
                format!("({out})\u{1}{op}\u{1}({block})")
            } else {
                format!("{out}\u{1}{op}\u{1}{block}")
            };
        }
        if self.random.once_in(4) {
            let by = self.random.pick(
                &["1", "1\u{1}DESC", "1\u{1}NULLS\u{1}FIRST", "1\u{1}ASC\u{1}NULLS\u{1}LAST", "1\u{1}USING\u{1}<"]
                    [..4 + usize::from(self.odd > 1)],
            );
            out.push_str(&format!("\u{1}ORDER\u{1}BY\u{1}{by}"));
        }
        if self.random.once_in(5) {
            out.push_str(self.random.pick(&[
                "\u{1}LIMIT\u{1}5",
                "\u{1}LIMIT\u{1}5\u{1}OFFSET\u{1}2",
                "\u{1}OFFSET\u{1}1",
                "\u{1}OFFSET\u{1}1\u{1}ROWS",
                "\u{1}FETCH\u{1}FIRST\u{1}3\u{1}ROWS\u{1}ONLY",
                "\u{1}FETCH\u{1}NEXT\u{1}ROW\u{1}ONLY",
                "\u{1}LIMIT\u{1}ALL",
                "\u{1}OFFSET\u{1}1\u{1}LIMIT\u{1}2",
                "\u{1}LIMIT\u{1}1+1",
                "\u{1}LIMIT\u{1}100000",
                "\u{1}OFFSET\u{1}1\u{1}FETCH\u{1}FIRST\u{1}(1+1)\u{1}ROWS\u{1}ONLY",
                "\u{1}LIMIT\u{1}NULL",
            ]));
        }
        if self.strange() {
            out.push_str(self.random.pick(&[
                "\u{1}FOR\u{1}UPDATE",
                "\u{1}FOR\u{1}SHARE\u{1}NOWAIT",
                "\u{1}FOR\u{1}KEY\u{1}SHARE\u{1}OF\u{1}t1",
                "\u{1}LIMIT\u{1}1,2",
                "\u{1}FORMAT\u{1}JSON",
                "\u{1}SETTINGS\u{1}a=1",
                "\u{1}FOR\u{1}XML\u{1}PATH",
                "\u{1}FETCH\u{1}FIRST\u{1}2\u{1}ROWS\u{1}WITH\u{1}TIES",
                "\u{1}|>\u{1}SELECT\u{1}1",
                "\u{1}FOR\u{1}READ\u{1}ONLY",
                "\u{1}ORDER\u{1}BY\u{1}ALL",
                "\u{1}LIMIT\u{1}1\u{1}BY\u{1}id",
                "\u{1}FETCH\u{1}FIRST\u{1}5\u{1}PERCENT\u{1}ROWS\u{1}ONLY",
            ]));
        }
        self.sources.truncate(sources);
        self.ctes.truncate(ctes);
        out
    }
    fn with(&mut self) -> String {
        let recursive = self.random.once_in(4);
        let mut out = format!("WITH\u{1}{}", if recursive { "RECURSIVE\u{1}" } else { "" });
        for index in 0..=self.random.below(3) {
            if index > 0 {
                out.push_str(",\u{1}");
            }
            let name = self.fresh();
            let column = self.fresh();
            let body = if recursive && self.random.once_in(2) {
                format!(
                    "SELECT\u{1}1\u{1}UNION\u{1}ALL\u{1}SELECT\u{1}{c}\u{1}+\u{1}1\u{1}FROM\u{1}{n}\u{1}WHERE\u{1}{c}\u{1}<\u{1}5",
                    c = self.ident(&column),
                    n = self.ident(&name)
                )
            } else if self.strange() {
                self.random
                    .pick(&[
                        "DELETE\u{1}FROM\u{1}crm_lead\u{1}RETURNING\u{1}id",
                        "UPDATE\u{1}crm_lead\u{1}SET\u{1}name='x'\u{1}RETURNING\u{1}id",
                        "INSERT\u{1}INTO\u{1}crm_stage\u{1}(name)\u{1}VALUES\u{1}('x')\u{1}RETURNING\u{1}id",
                        "TABLE\u{1}res_country",
                        "VALUES\u{1}(1)",
                        "SELECT\u{1}1\u{1}INTO\u{1}x",
                    ])
                    .to_owned()
            } else {
                self.depth += 2;
                let made = self.query(1);
                self.depth -= 2;
                made
            };
            let materialized = self.random.pick(&["", "", "", "MATERIALIZED\u{1}", "NOT\u{1}MATERIALIZED\u{1}"]);
            out.push_str(&format!("{}({})\u{1}AS\u{1}{materialized}({body})", self.ident(&name), self.ident(&column)));
            if recursive && self.strange() {
                out.push_str(&format!("\u{1}SEARCH\u{1}DEPTH\u{1}FIRST\u{1}BY\u{1}{}\u{1}SET\u{1}o", self.ident(&column)));
            }
            self.ctes.push(Source { name, columns: vec![(column, Some(Ty::Int))] });
        }
        out.push('\u{1}');
        out
    }
    fn block(&mut self, columns: usize) -> String {
        if columns != 1 && self.random.once_in(40) {
            return self
                .random
                .pick(&[
                    "TABLE\u{1}res_country",
                    "TABLE\u{1}public.res_country",
                    "TABLE\u{1}\"res_country\"",
                    "TABLE\u{1}ONLY\u{1}res_country",
                    "VALUES\u{1}(1,\u{1}'a'),\u{1}(2,\u{1}'b')",
                    "TABLE\u{1}RES_Country",
                ])
                .to_owned();
        }
        let sources = self.sources.len();
        let from = self.from();
        let mut out = format!(
            "SELECT\u{1}{}",
            self.random.pick(&["", "", "", "", "", "DISTINCT\u{1}", "ALL\u{1}", "DISTINCT\u{1}ON\u{1}(1)\u{1}"])
        );
        if columns == 1 {
            out.push_str(&self.expr(Ty::Int));
        } else if self.random.once_in(6) && !from.is_empty() {
            let star = match self.random.below(3) {
                0 | 1 => "*".to_owned(),
                _ => {
                    let name = self.sources.last().map_or_else(String::new, |s| s.name.clone());
                    format!("{}.*", self.ident(&name))
                }
            };
            out.push_str(&star);
            if self.strange() {
                out.push_str(self.random.pick(&[
                    "\u{1}EXCEPT\u{1}(id)",
                    "\u{1}EXCLUDE\u{1}(id)",
                    "\u{1}REPLACE\u{1}(1\u{1}AS\u{1}id)",
                    "\u{1}AS\u{1}x",
                    "\u{1}RENAME\u{1}(id\u{1}AS\u{1}x)",
                    ",\u{1}*",
                    "\u{1}ILIKE\u{1}'a'",
                ]));
            }
        } else {
            for index in 0..=self.random.below(columns.max(1)) {
                if index > 0 {
                    out.push_str(",\u{1}");
                }
                let ty = TYPES[self.random.below(7)];
                if self.random.once_in(40)
                    && let Some(source) = self.sources.last().map(|s| s.name.clone())
                {
                    let name =
                        self.random.pick(&["pg_read_file", "pg_sleep", "regclass", "row_to_json", "upper", "key", "value", "x"]);
                    out.push_str(&format!("{}.{name}\u{1}AS\u{1}{name}", self.ident(&source)));
                    continue;
                }
                out.push_str(&self.expr(ty));
                match self.random.below(6) {
                    0 => {
                        let name = self.fresh();
                        out.push_str(&format!("\u{1}AS\u{1}{}", self.ident(&name)));
                    }
                    1 => {
                        let name = self.fresh();
                        out.push_str(&format!("\u{1}{}", self.ident(&name)));
                    }
                    _ => {}
                }
            }
        }
        if self.strange() {
            out.push_str(self.random.pick(&[
                "\u{1}INTO\u{1}x",
                "\u{1}INTO\u{1}TEMP\u{1}x",
                "\u{1}INTO\u{1}OUTFILE\u{1}'/tmp/x'",
                ",",
                "\u{1}INTO\u{1}@x",
                "\u{1}INTO\u{1}TABLE\u{1}x",
            ]));
        }
        out.push_str(&from);
        if self.random.once_in(2) {
            out.push_str(&format!("\u{1}WHERE\u{1}{}", self.expr(Ty::Bool)));
        }
        if self.random.once_in(8) {
            let by = self.leaf(Ty::Int);
            let form = self.random.pick(&[
                "{}",
                "({})",
                "ROLLUP\u{1}({})",
                "CUBE\u{1}({},\u{1}1)",
                "GROUPING\u{1}SETS\u{1}(({}),\u{1}())",
                "()",
                "DISTINCT\u{1}{}",
                "ALL\u{1}{}",
                "{},\u{1}ROLLUP\u{1}({},\u{1}({}))",
                "GROUPING\u{1}SETS\u{1}(ROLLUP\u{1}({}),\u{1}CUBE\u{1}({}))",
                "{}\u{1}WITH\u{1}ROLLUP",
                "ALL",
            ]);
            out.push_str(&format!("\u{1}GROUP\u{1}BY\u{1}{}", form.replace("{}", &by)));
            if self.random.once_in(3) {
                out.push_str("\u{1}HAVING\u{1}count(*)\u{1}>\u{1}1");
            }
        }
        if self.random.once_in(20) {
            out.push_str(&format!(
                "\u{1}WINDOW\u{1}w\u{1}AS\u{1}({}){}",
                self.window(),
                self.random.pick(&["", ",\u{1}v\u{1}AS\u{1}(w)", ",\u{1}v\u{1}AS\u{1}w"])
            ));
        }
        if self.strange() {
            out.push_str(self.random.pick(&[
                "\u{1}QUALIFY\u{1}true",
                "\u{1}CLUSTER\u{1}BY\u{1}1",
                "\u{1}CONNECT\u{1}BY\u{1}1",
                "\u{1}SORT\u{1}BY\u{1}1",
                "\u{1}LATERAL\u{1}VIEW\u{1}explode(1)\u{1}x",
                "\u{1}PREWHERE\u{1}true",
            ]));
        }
        self.sources.truncate(sources);
        out
    }
    fn target(&mut self) -> (String, Vec<(String, Option<Ty>)>) {
        let relation = self.random_relation();
        (relation.name.clone(), relation.columns.iter().map(|c| (c.name.clone(), of(&c.type_name))).collect())
    }
    fn returning(&mut self) -> String {
        match self.random.below(6) {
            0 => "\u{1}RETURNING\u{1}*".into(),
            1 => format!("\u{1}RETURNING\u{1}{}", self.expr(Ty::Int)),
            2 => "\u{1}RETURNING\u{1}id\u{1}AS\u{1}x,\u{1}id".into(),
            3 if self.strange() => self
                .random
                .pick(&[
                    "\u{1}RETURNING\u{1}WITH\u{1}(OLD\u{1}AS\u{1}o)\u{1}o.id",
                    "\u{1}RETURNING\u{1}old.*",
                    "\u{1}RETURNING\u{1}t1.*",
                    "\u{1}RETURNING\u{1}new,\u{1}1\u{1}AS\u{1}new",
                    "\u{1}RETURNING\u{1}to_jsonb(old),\u{1}1\u{1}AS\u{1}old",
                    "\u{1}RETURNING\u{1}id\u{1}INTO\u{1}x",
                ])
                .to_owned(),
            _ => String::new(),
        }
    }
    fn some_with(&mut self) -> String {
        if self.random.once_in(4) { self.with() } else { String::new() }
    }
    fn insert(&mut self) -> String {
        let with = self.some_with();
        let (name, columns) = self.target();
        let target = self.ident(&name);
        let chosen: Vec<(String, Ty)> = (0..=self.random.below(3))
            .filter_map(|_| {
                columns[self.random.below(columns.len())].clone().1.map(|_| ()).and_then(|()| {
                    let (n, t) = columns[self.random.below(columns.len())].clone();
                    t.map(|t| (n, t))
                })
            })
            .collect();
        let names: Vec<String> = chosen.iter().map(|(n, _)| self.ident(n)).collect();
        let values: Vec<String> =
            chosen.iter().map(|(_, t)| if self.random.once_in(6) { "DEFAULT".into() } else { self.expr(*t) }).collect();
        let list = if names.is_empty() { String::new() } else { format!("\u{1}({})", names.join(",\u{1}")) };
        let alias = self.random.pick(&["", "", "\u{1}AS\u{1}t9"]);
        let body = match self.random.below(4) {
            0 if names.is_empty() => "DEFAULT\u{1}VALUES".into(),
            1 if !values.contains(&"DEFAULT".to_owned()) => format!("SELECT\u{1}{}", values.join(",\u{1}")),
            _ => format!("VALUES\u{1}({})", if values.is_empty() { "1".into() } else { values.join(",\u{1}") }),
        };
        let conflict = self.random.pick(&[
            "",
            "",
            "\u{1}ON\u{1}CONFLICT\u{1}DO\u{1}NOTHING",
            "\u{1}ON\u{1}CONFLICT\u{1}(id)\u{1}DO\u{1}UPDATE\u{1}SET\u{1}id\u{1}=\u{1}excluded.id",
            "\u{1}ON\u{1}CONFLICT\u{1}ON\u{1}CONSTRAINT\u{1}x\u{1}DO\u{1}UPDATE\u{1}SET\u{1}(id,\u{1}name)\u{1}=\u{1}(1,\u{1}excluded.name)\u{1}WHERE\u{1}true",
            "\u{1}ON\u{1}CONFLICT\u{1}(lower(name))\u{1}DO\u{1}NOTHING",
            "\u{1}ON\u{1}CONFLICT\u{1}(id)\u{1}WHERE\u{1}true\u{1}DO\u{1}NOTHING",
            "\u{1}ON\u{1}DUPLICATE\u{1}KEY\u{1}UPDATE\u{1}id\u{1}=\u{1}1",
        ]);
        let overriding = if self.strange() { "\u{1}OVERRIDING\u{1}SYSTEM\u{1}VALUE" } else { "" };
        format!("{with}INSERT\u{1}INTO\u{1}{target}{alias}{list}{overriding}\u{1}{body}{conflict}{}", self.returning())
    }
    fn update(&mut self) -> String {
        let with = self.some_with();
        let (name, columns) = self.target();
        let target = self.ident(&name);
        let alias = if self.random.once_in(2) { Some(self.fresh()) } else { None };
        self.sources.push(Source { name: alias.clone().unwrap_or_else(|| name.clone()), columns: columns.clone() });
        let mut sets = Vec::new();
        for _ in 0..=self.random.below(2) {
            let (n, t) = columns[self.random.below(columns.len())].clone();
            let t = t.unwrap_or(Ty::Text);
            let n = self.ident(&n);
            sets.push(match self.random.below(8) {
                0 => format!("{n}\u{1}=\u{1}DEFAULT"),
                1 => format!("({n},\u{1}write_uid)\u{1}=\u{1}({},\u{1}1)", self.expr(t)),
                2 => format!("({n},\u{1}write_uid)\u{1}=\u{1}(SELECT\u{1}{},\u{1}1)", self.leaf(t)),
                3 if self.strange() => format!("{n}[1]\u{1}=\u{1}1"),
                4 if self.strange() => format!("{n}.x\u{1}=\u{1}1"),
                5 => format!("({n})\u{1}=\u{1}ROW({})", self.expr(t)),
                _ => format!("{n}\u{1}=\u{1}{}", self.expr(t)),
            });
        }
        let alias = alias.map(|a| format!("\u{1}AS\u{1}{}", self.ident(&a))).unwrap_or_default();
        let from = if self.random.once_in(3) { self.from() } else { String::new() };
        let condition = if self.random.once_in(4) { String::new() } else { format!("\u{1}WHERE\u{1}{}", self.expr(Ty::Bool)) };
        let tail = if self.strange() {
            self.random.pick(&["\u{1}WHERE\u{1}CURRENT\u{1}OF\u{1}c", "\u{1}LIMIT\u{1}1", "\u{1}ORDER\u{1}BY\u{1}1"])
        } else {
            ""
        };
        let only = if self.strange() { "ONLY\u{1}" } else { "" };
        format!(
            "{with}UPDATE\u{1}{only}{target}{alias}\u{1}SET\u{1}{}{from}{condition}{tail}{}",
            sets.join(",\u{1}"),
            self.returning()
        )
    }
    fn delete(&mut self) -> String {
        let with = self.some_with();
        let (name, columns) = self.target();
        let target = self.ident(&name);
        let alias = if self.random.once_in(2) { Some(self.fresh()) } else { None };
        self.sources.push(Source { name: alias.clone().unwrap_or_else(|| name.clone()), columns });
        let alias = alias.map(|a| format!("\u{1}{}", self.ident(&a))).unwrap_or_default();
        let using = if self.random.once_in(3) { self.from().replace("\u{1}FROM\u{1}", "\u{1}USING\u{1}") } else { String::new() };
        let condition = if self.random.once_in(4) { String::new() } else { format!("\u{1}WHERE\u{1}{}", self.expr(Ty::Bool)) };
        let only = if self.strange() { "ONLY\u{1}" } else { "" };
        format!("{with}DELETE\u{1}FROM\u{1}{only}{target}{alias}{using}{condition}{}", self.returning())
    }
}

/// Words, numbers, blanks; everything else one by one.
pub fn pieces(sql: &str) -> Vec<String> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut out: Vec<String> = Vec::new();
    let mut last = 9;
    for c in sql.chars() {
        let now = class(c);
        match out.last_mut() {
            Some(piece) if now == last && now != 2 => piece.push(c),
            _ => out.push(c.to_string()),
        }
        last = now;
    }
    out
}
const EXTRA: &[&str] = &[
    "(",
    ")",
    "'",
    "\"",
    "--",
    "/*",
    "*/",
    ";",
    "$$",
    "$a$",
    "E'",
    "e'\\'",
    "U&'",
    "U&\"",
    "UESCAPE '!'",
    "N'",
    "B'1'",
    "X'1'",
    "::",
    "::text",
    "*",
    ".",
    ",",
    ":",
    ":=",
    "=>",
    "password",
    "totp_secret",
    "access_token",
    "res_users",
    "u",
    "u.*",
    "(u)",
    "sale_order",
    "ir_config_parameter",
    "pg_catalog.",
    "public.",
    "pg_authid",
    "FROM",
    "SELECT",
    "UNION",
    "INTO x",
    "FOR UPDATE",
    "LATERAL",
    "NATURAL JOIN",
    "USING (id)",
    "WITH x AS (",
    "RETURNING *",
    "DELETE FROM crm_lead",
    "ONLY",
    "AS",
    "ARRAY[",
    "]",
    "[",
    "ROW(",
    "NULL",
    "true",
    "1",
    "1.",
    ".5",
    "0x1f",
    "1_0",
    "1e",
    "$1",
    "$0",
    "\\",
    "\\\\",
    "\u{a0}",
    "\u{0}",
    "\u{b}",
    "\u{c}",
    "\r",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{3000}",
    "é",
    "COLLATE \"C\"",
    "OVER ()",
    "FILTER (WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "IN (",
    "= ANY (",
    "NOT",
    "BETWEEN",
    "SYMMETRIC",
    "CASE WHEN",
    "END",
    "TABLE res_users",
    "-",
    "+",
    "@",
    "!",
    "~",
    "#",
    "%",
    "^",
    "&",
    "|",
    "?",
    "<",
    ">",
    "=",
    "--\r",
    "/*/*",
    "*/*/",
    "``",
    "[1]",
    "{",
    "}",
    "OPERATOR(pg_catalog.+)",
    "IS",
    "DISTINCT",
    "VARIADIC",
    "WITHIN GROUP (",
    "WITH ORDINALITY",
    "TABLESAMPLE SYSTEM (1)",
    "INTERVAL '1'",
    "DATE '2024-01-01'",
    "AT TIME ZONE 'UTC'",
    "pg_read_file('x')",
    "EXCLUDE TIES",
    "VALUES (1)",
];
/// One to five changes of a statement, with parts of others.
pub fn mutate(random: &mut Random, corpus: &[Vec<String>]) -> String {
    let mut words = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(words.len() + 1);
        match random.below(10) {
            0 if at < words.len() => drop(words.remove(at)),
            1 if at < words.len() => words.insert(at, words[at].clone()),
            2 if !words.is_empty() => {
                let (a, b) = (random.below(words.len()), random.below(words.len()));
                words.swap(a, b);
            }
            3 => words.insert(at, format!(" {} ", random.pick(EXTRA))),
            4 => words.insert(at, random.pick(EXTRA).to_owned()),
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                let to = (from + random.below(12)).min(other.len());
                words.splice(at..at, other[from..to].iter().cloned());
            }
            6 => {
                let other = &corpus[random.below(corpus.len())];
                let piece = other[random.below(other.len())].clone();
                if at < words.len() {
                    words[at] = piece;
                }
            }
            7 if at < words.len() => words[at] = words[at].to_uppercase(),
            8 if at < words.len() => words[at] = random.pick(EXTRA).to_owned(),
            _ => words.truncate(at.max(1)),
        }
    }
    words.concat()
}
