//! Expressions.
use sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, ExtractSyntax, Ident,
    Interval, ObjectNamePart, Subscript, TrimWhereField, TypedString, UnaryOperator, Value, ValueWithSpan,
};

use super::{Done, Walk, construct, identifier, place};
use crate::postgres::guard::{MOST_PARAMETERS, NOWHERE, Refused, names};

impl Walk<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Done {
        self.deeper(|w| match expr {
            Expr::Identifier(ident) => w.column(ident),
            Expr::CompoundIdentifier(parts) => w.columns(parts),
            Expr::Value(value) => w.literal(value),
            Expr::BinaryOp { .. } => w.binary(expr),
            Expr::UnaryOp { op, expr } => w.unary(*op, expr),
            Expr::Nested(inner) => {
                w.word("(");
                w.expr(inner)?;
                w.word(")");
                Ok(())
            }
            Expr::Function(function) => w.function(function),
            Expr::Cast { kind, expr, data_type, format: None } => w.cast(kind, expr, data_type),
            Expr::Subquery(query) => w.bracketed(query),
            Expr::Exists { subquery, negated } => {
                if *negated {
                    w.word("NOT");
                }
                w.word("EXISTS");
                w.bracketed(subquery)
            }
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                w.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Tuple(items) => {
                w.word("(");
                w.exprs(items)?;
                w.word(")");
                Ok(())
            }
            Expr::Array(Array { elem, named: true }) => {
                w.word("ARRAY[");
                w.list(elem, Self::element)?;
                w.word("]");
                Ok(())
            }
            Expr::CompoundFieldAccess { root, access_chain } => w.access(root, access_chain),
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. } => w.predicate(expr),
            _ => w.special(expr),
        })
    }
    /// Of an array: `[…]` within `ARRAY[…]` is one, elsewhere it is not PostgreSQL's.
    pub(super) fn element(&mut self, expr: &Expr) -> Done {
        let Expr::Array(Array { elem, named: false }) = expr else { return self.expr(expr) };
        self.deeper(|w| {
            w.word("[");
            w.list(elem, Self::element)?;
            w.word("]");
            Ok(())
        })
    }
    pub(super) fn column(&mut self, ident: &Ident) -> Done {
        let name = identifier(ident)?;
        self.mark(place(ident));
        self.name(&name);
        self.refer(None, name, place(ident));
        Ok(())
    }
    pub(super) fn columns(&mut self, parts: &[Ident]) -> Done {
        let (qualifier, ident) = match parts {
            [ident] => return self.column(ident),
            [qualifier, ident] => (qualifier, ident),
            [schema, qualifier, ident] if identifier(schema)? == "public" => (qualifier, ident),
            _ => {
                let name = parts.iter().map(|p| p.value.as_str()).collect::<Vec<_>>().join(".");
                return Err(Refused::Column { name, at: parts.first().map_or(NOWHERE, place), near: Vec::new() });
            }
        };
        let (qualifier, name) = (identifier(qualifier)?, identifier(ident)?);
        self.mark(place(ident));
        self.name(&qualifier);
        self.out.push('.');
        self.name_behind(&name);
        self.refer(Some(qualifier), name, place(ident));
        Ok(())
    }
    pub(super) fn literal(&mut self, value: &ValueWithSpan) -> Done {
        self.mark(value.span.start.into());
        self.value(&value.value)
    }
    pub(super) fn value(&mut self, value: &Value) -> Done {
        match value {
            Value::Number(digits, false) => {
                let plain: String = digits.chars().filter(|c| *c != '_').collect();
                let ok = plain.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.')
                    && plain.bytes().any(|b| b.is_ascii_digit())
                    && plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
                    && plain.len() <= 400;
                if !ok {
                    return Err(construct(format!("the number {}", digits.chars().take(40).collect::<String>())));
                }
                self.word(&plain);
                Ok(())
            }
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
                self.text(text)
            }
            Value::DollarQuotedString(text) => self.text(&text.value),
            Value::Boolean(true) => {
                self.word("TRUE");
                Ok(())
            }
            Value::Boolean(false) => {
                self.word("FALSE");
                Ok(())
            }
            Value::Null => {
                self.word("NULL");
                Ok(())
            }
            Value::Placeholder(text) => {
                let number = text.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
                match number {
                    Some(n @ 1..=MOST_PARAMETERS) => {
                        self.parameters = self.parameters.max(n);
                        self.word(&format!("${n}"));
                        Ok(())
                    }
                    _ => Err(Refused::Parameter(text.chars().take(40).collect())),
                }
            }
            _ => Err(construct("this kind of literal")),
        }
    }
    /// A chain of operators, without recursion on its left side.
    pub(super) fn binary(&mut self, expr: &Expr) -> Done {
        let mut chain = Vec::new();
        let mut first = expr;
        while let Expr::BinaryOp { left, op, right } = first {
            chain.push((op, right));
            first = left;
        }
        self.expr(first)?;
        for (op, right) in chain.into_iter().rev() {
            let op = operator(op)?;
            self.word(op);
            self.expr(right)?;
        }
        Ok(())
    }
    pub(super) fn unary(&mut self, op: UnaryOperator, expr: &Expr) -> Done {
        self.word(match op {
            UnaryOperator::Plus => "+",
            UnaryOperator::Minus => "-",
            UnaryOperator::Not => "NOT",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            _ => return Err(construct(format!("the operator {op}"))),
        });
        self.expr(expr)
    }
    pub(super) fn cast(&mut self, kind: &CastKind, expr: &Expr, data_type: &DataType) -> Done {
        match kind {
            CastKind::DoubleColon => {
                self.expr(expr)?;
                self.word("::");
                self.data_type(data_type)
            }
            CastKind::Cast => {
                self.word("CAST (");
                self.expr(expr)?;
                self.word("AS");
                self.data_type(data_type)?;
                self.word(")");
                Ok(())
            }
            CastKind::TryCast | CastKind::SafeCast => Err(construct("a cast that PostgreSQL does not have")),
        }
    }
    pub(super) fn case(&mut self, operand: Option<&Expr>, conditions: &[CaseWhen], otherwise: Option<&Expr>) -> Done {
        self.word("CASE");
        if let Some(operand) = operand {
            self.expr(operand)?;
        }
        for CaseWhen { condition, result } in conditions {
            self.word("WHEN");
            self.expr(condition)?;
            self.word("THEN");
            self.expr(result)?;
        }
        if let Some(otherwise) = otherwise {
            self.word("ELSE");
            self.expr(otherwise)?;
        }
        self.word("END");
        Ok(())
    }
    pub(super) fn access(&mut self, root: &Expr, chain: &[AccessExpr]) -> Done {
        self.expr(root)?;
        for access in chain {
            match access {
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    self.word("[");
                    self.expr(index)?;
                    self.word("]");
                }
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                    self.word("[");
                    if let Some(bound) = lower_bound {
                        self.expr(bound)?;
                    }
                    self.word(":");
                    if let Some(bound) = upper_bound {
                        self.expr(bound)?;
                    }
                    self.word("]");
                }
                AccessExpr::Subscript(_) => return Err(construct("a slice with a stride")),
                // Of the functions that give pairs.
                AccessExpr::Dot(Expr::Identifier(field))
                    if matches!(root, Expr::Nested(inner) if matches!(inner.as_ref(), Expr::Function(_)))
                        && matches!(identifier(field)?.as_str(), "key" | "value") =>
                {
                    let name = identifier(field)?;
                    self.out.push('.');
                    self.name_behind(&name);
                }
                AccessExpr::Dot(_) => return Err(construct("a field of a row, (…).name")),
            }
        }
        Ok(())
    }
    pub(super) fn predicate(&mut self, expr: &Expr) -> Done {
        let is = |w: &mut Self, expr: &Expr, word: &str| {
            w.expr(expr)?;
            w.word(word);
            Ok(())
        };
        match expr {
            Expr::IsFalse(e) => is(self, e, "IS FALSE"),
            Expr::IsNotFalse(e) => is(self, e, "IS NOT FALSE"),
            Expr::IsTrue(e) => is(self, e, "IS TRUE"),
            Expr::IsNotTrue(e) => is(self, e, "IS NOT TRUE"),
            Expr::IsNull(e) => is(self, e, "IS NULL"),
            Expr::IsNotNull(e) => is(self, e, "IS NOT NULL"),
            Expr::IsUnknown(e) => is(self, e, "IS UNKNOWN"),
            Expr::IsNotUnknown(e) => is(self, e, "IS NOT UNKNOWN"),
            Expr::IsDistinctFrom(a, b) => {
                is(self, a, "IS DISTINCT FROM")?;
                self.expr(b)
            }
            Expr::IsNotDistinctFrom(a, b) => {
                is(self, a, "IS NOT DISTINCT FROM")?;
                self.expr(b)
            }
            Expr::InList { expr, list, negated } => {
                is(self, expr, if *negated { "NOT IN (" } else { "IN (" })?;
                self.exprs(list)?;
                self.word(")");
                Ok(())
            }
            Expr::InSubquery { expr, subquery, negated } => {
                is(self, expr, if *negated { "NOT IN" } else { "IN" })?;
                self.bracketed(subquery)
            }
            Expr::Between { expr, negated, low, high } => {
                is(self, expr, if *negated { "NOT BETWEEN" } else { "BETWEEN" })?;
                self.expr(low)?;
                self.word("AND");
                self.expr(high)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                is(self, expr, if *negated { "NOT LIKE" } else { "LIKE" })?;
                self.pattern(pattern, escape_char.as_deref())
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                is(self, expr, if *negated { "NOT ILIKE" } else { "ILIKE" })?;
                self.pattern(pattern, escape_char.as_deref())
            }
            Expr::Like { negated, any: true, expr, pattern, escape_char: None } => {
                is(self, expr, if *negated { "NOT LIKE ANY" } else { "LIKE ANY" })?;
                self.any_pattern(pattern)
            }
            Expr::ILike { negated, any: true, expr, pattern, escape_char: None } => {
                is(self, expr, if *negated { "NOT ILIKE ANY" } else { "ILIKE ANY" })?;
                self.any_pattern(pattern)
            }
            Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                is(self, expr, if *negated { "NOT SIMILAR TO" } else { "SIMILAR TO" })?;
                self.pattern(pattern, escape_char.as_deref())
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } => {
                self.expr(left)?;
                self.word(operator(compare_op)?);
                self.word("ANY");
                self.any(right)
            }
            Expr::AllOp { left, compare_op, right } => {
                self.expr(left)?;
                self.word(operator(compare_op)?);
                self.word("ALL");
                self.any(right)
            }
            _ => Err(construct("this condition")),
        }
    }
    pub(super) fn pattern(&mut self, pattern: &Expr, escape: Option<&Expr>) -> Done {
        self.expr(pattern)?;
        if let Some(escape) = escape {
            self.word("ESCAPE");
            self.expr(escape)?;
        }
        Ok(())
    }
    /// The brackets are part of the pattern here.
    pub(super) fn any_pattern(&mut self, pattern: &Expr) -> Done {
        match pattern {
            Expr::Nested(inner) => self.any(inner),
            Expr::Subquery(query) => self.bracketed(query),
            _ => Err(construct("this form of LIKE ANY")),
        }
    }
    pub(super) fn any(&mut self, right: &Expr) -> Done {
        if let Expr::Subquery(query) = right {
            return self.bracketed(query);
        }
        // The parser takes what follows the brackets of `ANY (SELECT …)` as if it stood in them.
        if matches!(leftmost(right), Expr::Subquery(_)) {
            return Err(construct("an operator behind ANY (SELECT …) or ALL (SELECT …), or within its brackets,"));
        }
        self.word("(");
        self.expr(right)?;
        self.word(")");
        Ok(())
    }
    /// Forms of their own.
    pub(super) fn special(&mut self, expr: &Expr) -> Done {
        match expr {
            Expr::AtTimeZone { timestamp, time_zone } => {
                self.expr(timestamp)?;
                self.word("AT TIME ZONE");
                self.expr(time_zone)
            }
            Expr::Extract { field, syntax: ExtractSyntax::From, expr } => {
                self.word("EXTRACT (");
                self.word(time_field(field)?);
                self.word("FROM");
                self.expr(expr)?;
                self.word(")");
                Ok(())
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => self.call("ceil", &[expr]),
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => self.call("floor", &[expr]),
            Expr::Position { expr, r#in } => {
                self.word("POSITION (");
                self.expr(expr)?;
                self.word("IN");
                self.expr(r#in)?;
                self.word(")");
                self.introduced.insert("position".into());
                Ok(())
            }
            Expr::Substring { expr, substring_from, substring_for, special: true, shorthand } => {
                let arguments: Vec<&Expr> = [Some(expr), substring_from.as_ref(), substring_for.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(AsRef::as_ref)
                    .collect();
                self.call(if *shorthand { "substr" } else { "substring" }, &arguments)
            }
            Expr::Substring { expr, substring_from, substring_for, special: false, shorthand: false } => {
                self.introduced.insert("substring".into());
                self.word("SUBSTRING (");
                self.expr(expr)?;
                if let Some(from) = substring_from {
                    self.word("FROM");
                    self.expr(from)?;
                }
                if let Some(length) = substring_for {
                    self.word("FOR");
                    self.expr(length)?;
                }
                self.word(")");
                Ok(())
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                for name in ["btrim", "ltrim", "rtrim"] {
                    self.introduced.insert(name.into());
                }
                self.word("TRIM (");
                self.word(match trim_where {
                    None | Some(TrimWhereField::Both) => "BOTH",
                    Some(TrimWhereField::Leading) => "LEADING",
                    Some(TrimWhereField::Trailing) => "TRAILING",
                });
                if let Some(what) = trim_what {
                    self.expr(what)?;
                }
                self.word("FROM");
                self.expr(expr)?;
                self.word(")");
                Ok(())
            }
            Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters: Some(characters) } => {
                let arguments: Vec<&Expr> = std::iter::once(expr.as_ref()).chain(characters).collect();
                self.call("btrim", &arguments)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.introduced.insert("overlay".into());
                self.word("OVERLAY (");
                self.expr(expr)?;
                self.word("PLACING");
                self.expr(overlay_what)?;
                self.word("FROM");
                self.expr(overlay_from)?;
                if let Some(length) = overlay_for {
                    self.word("FOR");
                    self.expr(length)?;
                }
                self.word(")");
                Ok(())
            }
            Expr::Collate { expr, collation } => {
                self.expr(expr)?;
                let parts: Result<Vec<String>, Refused> = collation
                    .0
                    .iter()
                    .map(|part| match part {
                        ObjectNamePart::Identifier(ident) => identifier(ident),
                        ObjectNamePart::Function(_) => Err(construct("this collation")),
                    })
                    .collect();
                match parts?.as_slice() {
                    [name] if names::is_collation(name) => {
                        self.word("COLLATE pg_catalog.");
                        self.name_behind(name);
                        Ok(())
                    }
                    [schema, name] if schema == "pg_catalog" && names::is_collation(name) => {
                        self.word("COLLATE pg_catalog.");
                        self.name_behind(name);
                        Ok(())
                    }
                    _ => Err(construct(format!("the collation {collation}"))),
                }
            }
            Expr::Interval(Interval {
                value,
                leading_field,
                leading_precision: None,
                last_field,
                fractional_seconds_precision: None,
            }) => {
                let Expr::Value(literal) = value.as_ref() else {
                    return Err(construct("INTERVAL of something that is not a string"));
                };
                let Value::SingleQuotedString(text) = &literal.value else {
                    return Err(construct("INTERVAL of something that is not a string"));
                };
                self.introduced.insert("interval".into());
                self.word("INTERVAL");
                self.text(text)?;
                if let Some(field) = leading_field {
                    self.word(interval_field(field)?);
                }
                if let Some(field) = last_field {
                    self.word("TO");
                    self.word(interval_field(field)?);
                }
                Ok(())
            }
            Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }) => {
                let Value::SingleQuotedString(text) = &value.value else { return Err(construct("this typed literal")) };
                self.data_type(data_type)?;
                self.text(text)
            }
            _ => Err(construct("this expression")),
        }
    }
    pub(super) fn call(&mut self, function: &str, arguments: &[&Expr]) -> Done {
        self.introduced.insert(function.into());
        self.word("pg_catalog.");
        self.out.push_str(function);
        self.word("(");
        self.list(arguments, |w, argument| w.expr(argument))?;
        self.word(")");
        Ok(())
    }
}

/// What an expression begins with.
fn leftmost(expr: &Expr) -> &Expr {
    match expr {
        Expr::BinaryOp { left: inner, .. }
        | Expr::AnyOp { left: inner, .. }
        | Expr::AllOp { left: inner, .. }
        | Expr::Cast { expr: inner, kind: CastKind::DoubleColon, .. }
        | Expr::Collate { expr: inner, .. }
        | Expr::AtTimeZone { timestamp: inner, .. }
        | Expr::CompoundFieldAccess { root: inner, .. }
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::SimilarTo { expr: inner, .. }
        | Expr::Between { expr: inner, .. }
        | Expr::InList { expr: inner, .. }
        | Expr::InSubquery { expr: inner, .. }
        | Expr::IsDistinctFrom(inner, _)
        | Expr::IsNotDistinctFrom(inner, _)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner) => leftmost(inner),
        other => other,
    }
}

pub(super) fn operator(op: &BinaryOperator) -> Result<&'static str, Refused> {
    Ok(match op {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::StringConcat => "||",
        BinaryOperator::Gt => ">",
        BinaryOperator::Lt => "<",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::And => "AND",
        BinaryOperator::Or => "OR",
        BinaryOperator::BitwiseOr => "|",
        BinaryOperator::BitwiseAnd => "&",
        BinaryOperator::PGBitwiseXor => "#",
        BinaryOperator::PGBitwiseShiftLeft => "<<",
        BinaryOperator::PGBitwiseShiftRight => ">>",
        BinaryOperator::PGExp => "^",
        BinaryOperator::PGOverlap => "&&",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        BinaryOperator::PGLikeMatch => "~~",
        BinaryOperator::PGILikeMatch => "~~*",
        BinaryOperator::PGNotLikeMatch => "!~~",
        BinaryOperator::PGNotILikeMatch => "!~~*",
        BinaryOperator::PGStartsWith => "^@",
        BinaryOperator::Arrow => "->",
        BinaryOperator::LongArrow => "->>",
        BinaryOperator::HashArrow => "#>",
        BinaryOperator::HashLongArrow => "#>>",
        BinaryOperator::AtAt => "@@",
        BinaryOperator::AtArrow => "@>",
        BinaryOperator::ArrowAt => "<@",
        BinaryOperator::HashMinus => "#-",
        BinaryOperator::AtQuestion => "@?",
        BinaryOperator::Question => "?",
        BinaryOperator::QuestionAnd => "?&",
        BinaryOperator::QuestionPipe => "?|",
        BinaryOperator::Overlaps => "OVERLAPS",
        BinaryOperator::LtDashGt => "<->",
        BinaryOperator::Custom(text) => {
            return names::OPERATORS
                .iter()
                .find(|known| *known == text)
                .copied()
                .ok_or_else(|| construct(format!("the operator {}", text.chars().take(20).collect::<String>())));
        }
        other => return Err(construct(format!("the operator {other}"))),
    })
}

/// The fields of EXTRACT.
pub(super) fn time_field(field: &DateTimeField) -> Result<&'static str, Refused> {
    const CUSTOM: [&str; 24] = [
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "week",
        "quarter",
        "dow",
        "doy",
        "epoch",
        "isodow",
        "isoyear",
        "century",
        "decade",
        "millennium",
        "julian",
        "microseconds",
        "milliseconds",
        "timezone",
        "timezone_hour",
        "timezone_minute",
        "weeks",
        "years",
    ];
    Ok(match field {
        DateTimeField::Year | DateTimeField::Years => "year",
        DateTimeField::Month | DateTimeField::Months => "month",
        DateTimeField::Week(None) | DateTimeField::Weeks => "week",
        DateTimeField::Day | DateTimeField::Days => "day",
        DateTimeField::Hour | DateTimeField::Hours => "hour",
        DateTimeField::Minute | DateTimeField::Minutes => "minute",
        DateTimeField::Second | DateTimeField::Seconds => "second",
        DateTimeField::Century => "century",
        DateTimeField::Decade => "decade",
        DateTimeField::Dow => "dow",
        DateTimeField::Doy => "doy",
        DateTimeField::Epoch => "epoch",
        DateTimeField::Isodow => "isodow",
        DateTimeField::Isoyear => "isoyear",
        DateTimeField::Julian => "julian",
        DateTimeField::Microsecond | DateTimeField::Microseconds => "microseconds",
        DateTimeField::Millennium => "millennium",
        DateTimeField::Millisecond | DateTimeField::Milliseconds => "milliseconds",
        DateTimeField::Quarter => "quarter",
        DateTimeField::Timezone => "timezone",
        DateTimeField::TimezoneHour => "timezone_hour",
        DateTimeField::TimezoneMinute => "timezone_minute",
        DateTimeField::Custom(ident) => {
            let name = ident.value.to_ascii_lowercase();
            return CUSTOM
                .iter()
                .find(|known| **known == name)
                .copied()
                .ok_or_else(|| construct(format!("the field {name} of EXTRACT")));
        }
        other => return Err(construct(format!("the field {other} of EXTRACT"))),
    })
}

/// The fields behind INTERVAL.
pub(super) fn interval_field(field: &DateTimeField) -> Result<&'static str, Refused> {
    Ok(match field {
        DateTimeField::Year => "YEAR",
        DateTimeField::Month => "MONTH",
        DateTimeField::Day => "DAY",
        DateTimeField::Hour => "HOUR",
        DateTimeField::Minute => "MINUTE",
        DateTimeField::Second => "SECOND",
        other => return Err(construct(format!("the field {other} of INTERVAL"))),
    })
}
