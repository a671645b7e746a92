//! Functions, windows and types.
use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, ObjectName,
    ObjectNamePart, TimezoneInfo, Value, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::{Done, Walk, construct, identifier, is_keyword, nearest, place, single};
use crate::postgres::guard::{NOWHERE, Refused, names};

impl Walk<'_> {
    /// Checks a function's name and writes it; gives the bare name.
    pub(super) fn function_name(&mut self, name: &ObjectName) -> Result<String, Refused> {
        let (schema, ident) = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => (None, ident),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(ident)] => (Some(identifier(schema)?), ident),
            _ => return Err(Refused::Function { name: name.to_string(), at: NOWHERE, near: Vec::new() }),
        };
        let function = identifier(ident)?;
        let schema = match schema.as_deref() {
            None | Some("pg_catalog") if names::FUNCTIONS.contains(&function.as_str()) => "pg_catalog.",
            None | Some("public") if names::EXTENSIONS.contains(&function.as_str()) && self.catalogue.has_function(&function) => {
                "public."
            }
            _ => {
                let name = schema.map_or_else(|| function.clone(), |s| format!("{s}.{function}"));
                return Err(Refused::Function {
                    near: nearest(&function, names::FUNCTIONS.iter().copied()),
                    name,
                    at: place(ident),
                });
            }
        };
        self.introduced.insert(function.clone());
        self.mark(place(ident));
        self.word(schema);
        self.name_behind(&function);
        Ok(function)
    }
    pub(super) fn function(&mut self, function: &Function) -> Done {
        let Function {
            name,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args,
            within_group,
            filter,
            null_treatment: None,
            over,
        } = function
        else {
            return Err(construct(format!("this form of the function {}", function.name)));
        };
        let bare = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] if ident.quote_style.is_none() => ident.value.to_ascii_lowercase(),
            _ => String::new(),
        };
        let list = match args {
            // Only these; `current_user` and its like come this way too.
            FunctionArguments::None if names::CLOCKS.contains(&bare.as_str()) => {
                if !within_group.is_empty() || filter.is_some() || over.is_some() {
                    return Err(construct(format!("a clause behind {bare}")));
                }
                self.introduced.insert(bare.clone());
                self.word(&bare.to_ascii_uppercase());
                return Ok(());
            }
            FunctionArguments::None => {
                return Err(Refused::Function { name: name.to_string(), at: NOWHERE, near: Vec::new() });
            }
            FunctionArguments::Subquery(query)
                if bare == "array" && within_group.is_empty() && filter.is_none() && over.is_none() =>
            {
                self.word("ARRAY");
                return self.bracketed(query);
            }
            FunctionArguments::Subquery(_) => {
                return Err(construct("a query as the argument of a function, without brackets of its own"));
            }
            FunctionArguments::List(list) => list,
        };
        let FunctionArgumentList { duplicate_treatment, args, clauses } = list;
        if names::CLOCKS.contains(&bare.as_str()) {
            return self.clock(&bare, args);
        }
        let function = if names::GRAMMAR.contains(&bare.as_str()) {
            self.introduced.insert(bare.clone());
            self.word(&bare.to_ascii_uppercase());
            bare
        } else {
            self.function_name(name)?
        };
        self.word("(");
        match duplicate_treatment {
            None => {}
            Some(DuplicateTreatment::Distinct) => self.word("DISTINCT"),
            Some(DuplicateTreatment::All) => self.word("ALL"),
        }
        self.list(args, |w, arg| w.argument(arg, &function))?;
        Self::sized(&function, args)?;
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(items) => {
                    self.word("ORDER BY");
                    self.order(items)?;
                }
                _ => return Err(construct(format!("this clause in the function {function}"))),
            }
        }
        self.word(")");
        if !within_group.is_empty() {
            self.word("WITHIN GROUP ( ORDER BY");
            self.order(within_group)?;
            self.word(")");
        }
        if let Some(filter) = filter {
            self.word("FILTER ( WHERE");
            self.expr(filter)?;
            self.word(")");
        }
        match over {
            None => Ok(()),
            Some(WindowType::NamedWindow(name)) => {
                let name = identifier(name)?;
                self.word("OVER");
                self.name(&name);
                Ok(())
            }
            Some(WindowType::WindowSpec(spec)) => {
                self.word("OVER");
                self.window(spec)
            }
        }
    }
    /// `current_timestamp(3)`.
    pub(super) fn clock(&mut self, name: &str, args: &[FunctionArg]) -> Done {
        let digits = match args {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => match &value.value {
                Value::Number(digits, false) => digits.parse::<u8>().ok().filter(|n| *n <= 6),
                _ => None,
            },
            _ => None,
        };
        let Some(digits) = digits else { return Err(construct(format!("this form of {name}"))) };
        self.introduced.insert(name.into());
        self.word(&format!("{}({digits})", name.to_ascii_uppercase()));
        Ok(())
    }
    pub(super) fn argument(&mut self, arg: &FunctionArg, function: &str) -> Done {
        let value = match arg {
            FunctionArg::Unnamed(value) => value,
            FunctionArg::Named { name, arg, operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment }
                if function.starts_with("make_") || function.starts_with("jsonb_") =>
            {
                let name = identifier(name)?;
                self.name(&name);
                self.word("=>");
                arg
            }
            // The parser's way to write the same.
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg,
                operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
            } if function.starts_with("make_") || function.starts_with("jsonb_") => {
                let name = identifier(name)?;
                self.name(&name);
                self.word("=>");
                arg
            }
            _ => return Err(construct(format!("a named argument of the function {function}"))),
        };
        match value {
            FunctionArgExpr::Expr(expr) => self.expr(expr),
            FunctionArgExpr::Wildcard if function == "count" => {
                self.word("*");
                Ok(())
            }
            FunctionArgExpr::QualifiedWildcard(name) => {
                let (alias, at) = Self::alias_of(name)?;
                self.name(&alias);
                self.out.push_str(".*");
                // The same as the alias alone: a whole row. The name cannot be a column's here.
                self.rows_taken.push((alias, at));
                Ok(())
            }
            FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => {
                Err(construct(format!("* in the function {function}")))
            }
        }
    }
    /// Functions whose answer can be as long as one likes.
    pub(super) fn sized(function: &str, args: &[FunctionArg]) -> Done {
        if !names::SIZED.contains(&function) {
            return Ok(());
        }
        let length = args.get(1);
        let literal = match length {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) => match &value.value {
                Value::Number(digits, false) => digits.parse::<u64>().ok(),
                _ => None,
            },
            // `repeat('#', least(n, 50)::int)` and the like.
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => bounded(expr),
            _ => None,
        };
        match literal {
            Some(n) if n <= names::LONGEST_PAD => Ok(()),
            _ => Err(construct(format!(
                "{function} without a number of at most {} as its length (least(…, 100) will do)",
                names::LONGEST_PAD
            ))),
        }
    }
    pub(super) fn window(&mut self, spec: &WindowSpec) -> Done {
        let WindowSpec { window_name, partition_by, order_by, window_frame } = spec;
        self.word("(");
        if let Some(name) = window_name {
            let name = identifier(name)?;
            self.name(&name);
        }
        if !partition_by.is_empty() {
            self.word("PARTITION BY");
            self.exprs(partition_by)?;
        }
        if !order_by.is_empty() {
            self.word("ORDER BY");
            self.order(order_by)?;
        }
        if let Some(WindowFrame { units, start_bound, end_bound }) = window_frame {
            self.word(match units {
                WindowFrameUnits::Rows => "ROWS",
                WindowFrameUnits::Range => "RANGE",
                WindowFrameUnits::Groups => "GROUPS",
            });
            if end_bound.is_some() {
                self.word("BETWEEN");
            }
            self.bound(start_bound)?;
            if let Some(bound) = end_bound {
                self.word("AND");
                self.bound(bound)?;
            }
        }
        self.word(")");
        Ok(())
    }
    pub(super) fn bound(&mut self, bound: &WindowFrameBound) -> Done {
        let (offset, word) = match bound {
            WindowFrameBound::CurrentRow => {
                self.word("CURRENT ROW");
                return Ok(());
            }
            WindowFrameBound::Preceding(offset) => (offset, "PRECEDING"),
            WindowFrameBound::Following(offset) => (offset, "FOLLOWING"),
        };
        match offset {
            None => self.word("UNBOUNDED"),
            Some(offset) => self.expr(offset)?,
        }
        self.word(word);
        Ok(())
    }

    pub(super) fn data_type(&mut self, data_type: &DataType) -> Done {
        self.deeper(|w| w.data_type_inner(data_type))
    }
    pub(super) fn data_type_inner(&mut self, data_type: &DataType) -> Done {
        let unknown = || Refused::Type { name: data_type.to_string().chars().take(80).collect() };
        let length = |n: Option<&CharacterLength>| match n {
            None => Ok(String::new()),
            Some(CharacterLength::IntegerLength { length, unit: None }) => Ok(format!("({length})")),
            Some(_) => Err(unknown()),
        };
        let exact = |info: &ExactNumberInfo| match info {
            ExactNumberInfo::None => String::new(),
            ExactNumberInfo::Precision(p) => format!("({p})"),
            ExactNumberInfo::PrecisionAndScale(p, s) => format!("({p},{s})"),
        };
        let precision = |n: Option<u64>| n.map_or_else(String::new, |n| format!("({n})"));
        // What the column is called when it has no other name, and what is written.
        let (column, text): (&str, String) = match data_type {
            DataType::Character(n) | DataType::Char(n) => ("bpchar", format!("char{}", length(n.as_ref())?)),
            DataType::CharacterVarying(n) | DataType::CharVarying(n) | DataType::Varchar(n) => {
                ("varchar", format!("varchar{}", length(n.as_ref())?))
            }
            DataType::Uuid => ("uuid", "uuid".into()),
            DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
                ("numeric", format!("numeric{}", exact(info)))
            }
            DataType::Float(ExactNumberInfo::None) | DataType::DoublePrecision | DataType::Float8 => ("float8", "float8".into()),
            DataType::Real | DataType::Float4 => ("float4", "float4".into()),
            DataType::Int2(None) | DataType::SmallInt(None) => ("int2", "int2".into()),
            DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => ("int4", "int4".into()),
            DataType::BigInt(None) | DataType::Int8(None) => ("int8", "int8".into()),
            DataType::Bool | DataType::Boolean => ("bool", "bool".into()),
            DataType::Date => ("date", "date".into()),
            DataType::Time(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => ("time", format!("time{}", precision(*p))),
            DataType::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                ("timestamp", format!("timestamp{}", precision(*p)))
            }
            DataType::Timestamp(p, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
                ("timestamptz", format!("timestamptz{}", precision(*p)))
            }
            DataType::Interval { fields: None, precision: None } => ("interval", "interval".into()),
            DataType::JSON => ("json", "json".into()),
            DataType::JSONB => ("jsonb", "jsonb".into()),
            DataType::Text => ("text", "text".into()),
            DataType::Bytea => ("bytea", "bytea".into()),
            DataType::Array(ArrayElemTypeDef::SquareBracket(inner, None)) => {
                self.data_type(inner)?;
                self.out.push_str("[]");
                return Ok(());
            }
            DataType::Custom(name, modifiers) if modifiers.is_empty() => {
                let ident = match name.0.as_slice() {
                    [ObjectNamePart::Identifier(ident)] => ident,
                    [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(ident)]
                        if identifier(schema)? == "pg_catalog" =>
                    {
                        ident
                    }
                    _ => return Err(unknown()),
                };
                let name = identifier(ident)?;
                match names::TYPES.iter().find(|t| **t == name) {
                    Some(known) => (known, format!("pg_catalog.{known}")),
                    None => return Err(unknown()),
                }
            }
            _ => return Err(unknown()),
        };
        self.introduced.insert(column.to_owned());
        self.word(&text);
        Ok(())
    }
}

/// The upper bound of `least(…, n)`, cast or not.
pub(super) fn bounded(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => bounded(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => digits.parse().ok(),
            _ => None,
        },
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) if is_keyword(single(name).ok()?, "least") => {
            list.args
                .iter()
                .filter_map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
                        Value::Number(digits, false) => digits.parse::<u64>().ok(),
                        _ => None,
                    },
                    _ => None,
                })
                .min()
        }
        _ => None,
    }
}
