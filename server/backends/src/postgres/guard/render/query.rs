//! Queries: WITH, set operations, SELECT and its clauses.
use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    Cte, CteAsMaterialized, Distinct, Expr, Fetch, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause,
    NamedWindowDefinition, NamedWindowExpr, ObjectName, ObjectNamePart, Offset, OrderBy, OrderByExpr, OrderByKind,
    OrderByOptions, OrderBySort, Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator,
    SetQuantifier, TableAlias, TableFactor, TableWithJoins, Value, Values, WildcardAdditionalOptions, With,
};

use super::{Done, Target, Walk, construct, identifier, is_keyword, nearest, place};
use crate::postgres::guard::{Position, Refused};

impl Walk<'_> {
    pub(super) fn query(&mut self, query: &Query, rows: Option<usize>) -> Done {
        self.deeper(|w| w.query_inner(query, rows))
    }
    pub(super) fn query_inner(&mut self, query: &Query, rows: Option<usize>) -> Done {
        let Query { with, body, order_by, limit_clause, fetch, locks, for_clause, settings, format_clause, pipe_operators } =
            query;
        if !locks.is_empty() {
            return Err(construct("FOR UPDATE or FOR SHARE"));
        }
        if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            return Err(construct("a clause that PostgreSQL does not have"));
        }
        let scopes = self.scopes.len();
        if let Some(with) = with {
            self.with(with)?;
        }
        self.set_expr(body)?;
        if let Some(OrderBy { kind, interpolate }) = order_by {
            let (OrderByKind::Expressions(items), None) = (kind, interpolate) else {
                return Err(construct("ORDER BY ALL"));
            };
            self.word("ORDER BY");
            self.order(items)?;
        }
        self.limit(limit_clause.as_ref(), fetch.as_ref(), rows)?;
        self.scopes.truncate(scopes);
        Ok(())
    }
    pub(super) fn limit(&mut self, clause: Option<&LimitClause>, fetch: Option<&Fetch>, rows: Option<usize>) -> Done {
        let more = rows.map(|rows| rows.saturating_add(1));
        let (limit, offset) = match clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref())
            }
            Some(_) => return Err(construct("this form of LIMIT")),
        };
        match (limit, fetch) {
            (Some(_), Some(_)) => return Err(construct("LIMIT together with FETCH")),
            (Some(limit), None) => {
                self.word("LIMIT");
                let asked = match limit {
                    Expr::Value(value) => match &value.value {
                        Value::Number(digits, false) => digits.parse::<usize>().ok(),
                        _ => None,
                    },
                    _ => None,
                };
                match (asked, more) {
                    (Some(asked), Some(more)) if asked > more => self.word(&more.to_string()),
                    _ => self.expr(limit)?,
                }
            }
            (None, None) => {
                if let Some(more) = more {
                    self.word("LIMIT");
                    self.word(&more.to_string());
                }
            }
            (None, Some(_)) => {}
        }
        if let Some(Offset { value, rows: _ }) = offset {
            self.word("OFFSET");
            self.expr(value)?;
        }
        if let Some(Fetch { with_ties, percent, quantity }) = fetch {
            if *percent {
                return Err(construct("FETCH … PERCENT"));
            }
            self.word("FETCH FIRST");
            if let Some(quantity) = quantity {
                // Anything but a number or parameter needs brackets there.
                self.word("(");
                self.expr(quantity)?;
                self.word(")");
            }
            self.word(if *with_ties { "ROWS WITH TIES" } else { "ROWS ONLY" });
        }
        Ok(())
    }
    pub(super) fn with(&mut self, with: &With) -> Done {
        let With { with_token: _, recursive, cte_tables } = with;
        self.word("WITH");
        if *recursive {
            self.word("RECURSIVE");
        }
        self.scopes.push(Vec::new());
        let mut written = Vec::with_capacity(cte_tables.len());
        for cte in cte_tables {
            let name = identifier(&cte.alias.name)?;
            self.ctes += 1;
            // No table is called so: the catalogue was asked.
            let mut label = format!("{} ({})", name.chars().take(40).collect::<String>(), self.ctes);
            while self.catalogue.get(&label).is_some() {
                label.push('\'');
            }
            written.push((name, label));
        }
        if *recursive && let Some(scope) = self.scopes.last_mut() {
            scope.clone_from(&written);
        }
        let pairs: Vec<(&Cte, (String, String))> = cte_tables.iter().zip(written).collect();
        for (index, (cte, (name, label))) in pairs.into_iter().enumerate() {
            let Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
            let TableAlias { explicit: _, name: _, columns, at } = alias;
            if from.is_some() || at.is_some() {
                return Err(construct("this form of WITH"));
            }
            if index > 0 {
                self.word(",");
            }
            self.name(&label);
            if !columns.is_empty() {
                self.word("(");
                self.list(columns, |w, column| {
                    if column.data_type.is_some() {
                        return Err(construct("types in the column list of WITH"));
                    }
                    let name = w.introduce(&column.name)?;
                    w.name(&name);
                    Ok(())
                })?;
                self.word(")");
            }
            self.word("AS");
            match materialized {
                None => {}
                Some(CteAsMaterialized::Materialized) => self.word("MATERIALIZED"),
                Some(CteAsMaterialized::NotMaterialized) => self.word("NOT MATERIALIZED"),
            }
            self.word("(");
            self.query(query, None)?;
            self.word(")");
            if !recursive && let Some(scope) = self.scopes.last_mut() {
                scope.push((name, label));
            }
        }
        Ok(())
    }
    pub(super) fn set_expr(&mut self, body: &SetExpr) -> Done {
        self.deeper(|w| match body {
            SetExpr::Select(select) => w.select_block(select),
            SetExpr::Query(query) => w.bracketed(query),
            SetExpr::Values(values) => w.values(values),
            SetExpr::SetOperation { .. } => w.set_operation(body),
            // The parser takes two words too many here, and `LIMIT 1` is gone. As a statement it is spelled out before.
            SetExpr::Table(_) => Err(construct("TABLE within a statement, which is written SELECT * FROM,")),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(construct("a statement that changes data within another"))
            }
        })
    }
    /// A chain of set operations, without recursion on its left side.
    pub(super) fn set_operation(&mut self, body: &SetExpr) -> Done {
        let mut chain = Vec::new();
        let mut first = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            chain.push((op, set_quantifier, right));
            first = left;
        }
        self.set_expr(first)?;
        for (op, quantifier, right) in chain.into_iter().rev() {
            self.word(match op {
                SetOperator::Union => "UNION",
                SetOperator::Except => "EXCEPT",
                SetOperator::Intersect => "INTERSECT",
                SetOperator::Minus => return Err(construct("MINUS")),
            });
            match quantifier {
                SetQuantifier::None => {}
                SetQuantifier::All => self.word("ALL"),
                SetQuantifier::Distinct => self.word("DISTINCT"),
                _ => return Err(construct("BY NAME")),
            }
            self.set_expr(right)?;
        }
        Ok(())
    }
    pub(super) fn bracketed(&mut self, query: &Query) -> Done {
        self.word("(");
        self.query(query, None)?;
        self.word(")");
        Ok(())
    }
    pub(super) fn values(&mut self, values: &Values) -> Done {
        let Values { explicit_row: false, value_keyword: false, rows } = values else {
            return Err(construct("this form of VALUES"));
        };
        for name in 1..=rows.first().map_or(0, |row| row.content.len()) {
            self.introduced.insert(format!("column{name}"));
        }
        self.word("VALUES");
        self.list(rows, |w, row| {
            w.word("(");
            w.list(&row.content, Self::value_or_default)?;
            w.word(")");
            Ok(())
        })
    }
    pub(super) fn value_or_default(&mut self, expr: &Expr) -> Done {
        match expr {
            Expr::Identifier(ident) if is_keyword(ident, "default") => {
                self.word("DEFAULT");
                Ok(())
            }
            other => self.expr(other),
        }
    }
    pub(super) fn order(&mut self, items: &[OrderByExpr]) -> Done {
        self.list(items, |w, item| {
            let OrderByExpr { expr, options: OrderByOptions { sort, nulls_first }, with_fill: None } = item else {
                return Err(construct("WITH FILL"));
            };
            w.expr(expr)?;
            match sort {
                None => {}
                Some(OrderBySort::Asc) => w.word("ASC"),
                Some(OrderBySort::Desc) => w.word("DESC"),
                Some(OrderBySort::Using(_)) => return Err(construct("ORDER BY … USING")),
            }
            match nulls_first {
                None => {}
                Some(true) => w.word("NULLS FIRST"),
                Some(false) => w.word("NULLS LAST"),
            }
            Ok(())
        })
    }

    pub(super) fn select_block(&mut self, select: &Select) -> Done {
        let Select {
            select_token: _,
            optimizer_hints: _,
            distinct,
            select_modifiers: None,
            top: None,
            top_before_distinct: _,
            projection,
            exclude: None,
            into,
            from,
            lateral_views,
            prewhere: None,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify: None,
            window_before_qualify: _,
            value_table_mode: None,
            flavor: SelectFlavor::Standard,
        } = select
        else {
            return Err(construct("a clause of SELECT that PostgreSQL does not have"));
        };
        if into.is_some() {
            return Err(construct("SELECT INTO"));
        }
        if !lateral_views.is_empty()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
        {
            return Err(construct("a clause of SELECT that PostgreSQL does not have"));
        }
        // Where columns come unnamed, the tables of this block are replaced by what is shown of them.
        let star = projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
            || from.iter().any(natural);
        let before = self.aliases.clone();
        self.word("SELECT");
        match distinct {
            None => {}
            Some(Distinct::All) => self.word("ALL"),
            Some(Distinct::Distinct) => self.word("DISTINCT"),
            Some(Distinct::On(items)) => {
                self.word("DISTINCT ON (");
                self.exprs(items)?;
                self.word(")");
            }
        }
        // Stars of one alias are looked at when the aliases of this block are known.
        let mut stars = Vec::new();
        self.list(projection, |w, item| w.item(item, &mut stars))?;
        if !from.is_empty() {
            self.word("FROM");
            self.list(from, |w, item| w.joined(item, star))?;
        }
        for (alias, at) in stars {
            self.star(&alias, at, &before, from)?;
        }
        if let Some(condition) = selection {
            self.word("WHERE");
            self.expr(condition)?;
        }
        let GroupByExpr::Expressions(groups, modifiers) = group_by else { return Err(construct("GROUP BY ALL")) };
        if !modifiers.is_empty() {
            return Err(construct("this form of GROUP BY"));
        }
        if !groups.is_empty() {
            self.word("GROUP BY");
            self.list(groups, Self::group)?;
        }
        if let Some(condition) = having {
            self.word("HAVING");
            self.expr(condition)?;
        }
        if !named_window.is_empty() {
            self.word("WINDOW");
            self.list(named_window, |w, NamedWindowDefinition(name, definition)| {
                let NamedWindowExpr::WindowSpec(spec) = definition else { return Err(construct("this form of WINDOW")) };
                let name = identifier(name)?;
                w.name(&name);
                w.word("AS");
                w.window(spec)
            })?;
        }
        Ok(())
    }
    /// `alias.*` where the alias could be one of an outer block: there the table is not replaced, so it must have nothing withheld.
    pub(super) fn star(
        &self,
        alias: &str,
        at: Position,
        outer: &BTreeMap<String, BTreeSet<Target>>,
        from: &[TableWithJoins],
    ) -> Done {
        let own = from.iter().any(|item| named(&item.relation, alias) || item.joins.iter().any(|j| named(&j.relation, alias)));
        let Some(targets) = self.aliases.get(alias) else {
            let near = nearest(alias, self.aliases.keys().map(String::as_str));
            return Err(Refused::Table { name: alias.to_owned(), at, near });
        };
        if own {
            return Ok(());
        }
        self.whole_row("", outer.get(alias).unwrap_or(targets), at)?;
        self.whole_row("", targets, at)
    }
    pub(super) fn item(&mut self, item: &SelectItem, stars: &mut Vec<(String, Position)>) -> Done {
        match item {
            SelectItem::UnnamedExpr(expr) => self.expr(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                if is_keyword(alias, "isnull") {
                    return Err(construct("ISNULL, which is written IS NULL (as an alias it is written AS \"isnull\"),"));
                }
                self.expr(expr)?;
                let alias = self.introduce(alias)?;
                self.word("AS");
                self.name(&alias);
                Ok(())
            }
            SelectItem::ExprWithAliases { .. } => Err(construct("several aliases for one expression")),
            SelectItem::Wildcard(options) => {
                plain_star(options)?;
                self.word("*");
                Ok(())
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                plain_star(options)?;
                let (alias, at) = Self::alias_of(name)?;
                self.name(&alias);
                self.out.push_str(".*");
                stars.push((alias, at));
                Ok(())
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => Err(construct("(…).*")),
        }
    }
    /// The alias before `.*`: `t.*` or `public.t.*`.
    pub(super) fn alias_of(name: &ObjectName) -> Result<(String, Position), Refused> {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(alias)] => Ok((identifier(alias)?, place(alias))),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(alias)] if identifier(schema)? == "public" => {
                Ok((identifier(alias)?, place(alias)))
            }
            _ => Err(construct(format!("the name {name}.*"))),
        }
    }
    pub(super) fn group(&mut self, expr: &Expr) -> Done {
        let sets = |w: &mut Self, word: &str, sets: &[Vec<Expr>]| {
            w.word(word);
            w.word("(");
            w.list(sets, |w, set| match set.as_slice() {
                [one] if word != "GROUPING SETS" => w.expr(one),
                // Within GROUPING SETS stand lists, and ROLLUP or CUBE of their own.
                [one @ (Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_))] => w.deeper(|w| w.group(one)),
                set => {
                    w.word("(");
                    w.exprs(set)?;
                    w.word(")");
                    Ok(())
                }
            })?;
            w.word(")");
            Ok(())
        };
        match expr {
            Expr::GroupingSets(list) => sets(self, "GROUPING SETS", list),
            Expr::Cube(list) => sets(self, "CUBE", list),
            Expr::Rollup(list) => sets(self, "ROLLUP", list),
            Expr::Tuple(items) if items.is_empty() => {
                self.word("()");
                Ok(())
            }
            other => self.expr(other),
        }
    }
}

pub(super) fn plain_star(options: &WildcardAdditionalOptions) -> Done {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return Err(construct("an option behind *"));
    };
    Ok(())
}

/// Whether a NATURAL join is among them.
pub(super) fn natural(item: &TableWithJoins) -> bool {
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => natural(table_with_joins),
        _ => false,
    };
    nested(&item.relation)
        || item.joins.iter().any(|join| {
            nested(&join.relation)
                || matches!(
                    join.join_operator,
                    JoinOperator::Join(JoinConstraint::Natural)
                        | JoinOperator::Inner(JoinConstraint::Natural)
                        | JoinOperator::Left(JoinConstraint::Natural)
                        | JoinOperator::LeftOuter(JoinConstraint::Natural)
                        | JoinOperator::Right(JoinConstraint::Natural)
                        | JoinOperator::RightOuter(JoinConstraint::Natural)
                        | JoinOperator::FullOuter(JoinConstraint::Natural)
                )
        })
}

/// Whether this part of FROM carries the alias.
pub(super) fn named(factor: &TableFactor, alias: &str) -> bool {
    let is = |ident: &Ident| identifier(ident).is_ok_and(|name| name == alias);
    match factor {
        TableFactor::Table { alias: Some(given), .. }
        | TableFactor::Derived { alias: Some(given), .. }
        | TableFactor::Function { alias: Some(given), .. }
        | TableFactor::UNNEST { alias: Some(given), .. } => is(&given.name),
        TableFactor::Table { name, alias: None, .. } => match name.0.last() {
            Some(ObjectNamePart::Identifier(ident)) => is(ident),
            _ => false,
        },
        TableFactor::NestedJoin { table_with_joins, .. } => {
            named(&table_with_joins.relation, alias) || table_with_joins.joins.iter().any(|j| named(&j.relation, alias))
        }
        _ => false,
    }
}
