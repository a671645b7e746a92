//! FROM: tables, joins, subqueries and functions as tables.
use std::collections::BTreeSet;

use sqlparser::ast::{
    FunctionArg, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor, TableWithJoins,
};

use super::{Done, Target, Walk, construct, identifier, nearest, place, single};
use crate::postgres::catalogue::Entry;
use crate::postgres::guard::{NOWHERE, Position, Refused, names};

impl<'a> Walk<'a> {
    pub(super) fn joined(&mut self, item: &TableWithJoins, star: bool) -> Done {
        let TableWithJoins { relation, joins } = item;
        self.factor(relation, star)?;
        for Join { relation, global, join_operator } in joins {
            if *global {
                return Err(construct("GLOBAL JOIN"));
            }
            let (word, constraint) = match join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) => ("JOIN", c),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => ("LEFT JOIN", c),
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => ("RIGHT JOIN", c),
                JoinOperator::FullOuter(c) => ("FULL JOIN", c),
                JoinOperator::CrossJoin(c @ JoinConstraint::None) => ("CROSS JOIN", c),
                _ => return Err(construct("this kind of JOIN")),
            };
            if matches!(constraint, JoinConstraint::Natural) {
                self.word("NATURAL");
            }
            self.word(word);
            self.factor(relation, star)?;
            match constraint {
                JoinConstraint::On(condition) => {
                    self.word("ON");
                    self.expr(condition)?;
                }
                JoinConstraint::Using(columns) => {
                    self.word("USING (");
                    self.list(columns, |w, column| {
                        let ident = single(column)?;
                        let name = identifier(ident)?;
                        w.name(&name);
                        w.refer(None, name, place(ident));
                        Ok(())
                    })?;
                    self.word(")");
                }
                JoinConstraint::Natural | JoinConstraint::None => {}
            }
        }
        Ok(())
    }
    pub(super) fn factor(&mut self, factor: &TableFactor, star: bool) -> Done {
        self.deeper(|w| match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version: None,
                with_ordinality,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => match args {
                None if *with_ordinality => Err(construct("WITH ORDINALITY of a table")),
                None => w.named_table(name, alias.as_ref(), star),
                Some(args) if args.settings.is_none() => {
                    w.table_function(false, name, &args.args, *with_ordinality, alias.as_ref())
                }
                Some(_) => Err(construct("settings of a function")),
            },
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                Err(construct("TABLESAMPLE"))
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                if *lateral {
                    w.word("LATERAL");
                }
                w.bracketed(subquery)?;
                w.alias(alias.as_ref(), &Target::Other, false)
            }
            TableFactor::Function { lateral, name, args, with_ordinality, alias } => {
                w.table_function(*lateral, name, args, *with_ordinality, alias.as_ref())
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_offset_alias: None, with_ordinality } => {
                let several = array_exprs.len() > 1;
                w.word(if several { "ROWS FROM ( pg_catalog.unnest (" } else { "pg_catalog.unnest (" });
                // Several arrays side by side are grammar, and `pg_catalog.unnest(a, b)` is not it.
                for (index, array) in array_exprs.iter().enumerate() {
                    if index > 0 {
                        w.word("), pg_catalog.unnest (");
                    }
                    w.expr(array)?;
                }
                w.word(if several { ") )" } else { ")" });
                w.introduced.insert("unnest".into());
                w.behind_function("unnest", *with_ordinality, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                w.word("(");
                w.joined(table_with_joins, star)?;
                w.word(")");
                Ok(())
            }
            TableFactor::NestedJoin { .. } => Err(construct("an alias for a JOIN in brackets")),
            TableFactor::JsonTable { .. } => Err(construct("JSON_TABLE")),
            TableFactor::XmlTable { .. } => Err(construct("XMLTABLE")),
            _ => Err(construct("this form of FROM")),
        })
    }
    pub(super) fn named_table(&mut self, name: &ObjectName, alias: Option<&TableAlias>, star: bool) -> Done {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(table)] => self.table(table, false, alias, star),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(table)] => {
                let written = identifier(schema)?;
                if written != "public" {
                    return Err(Refused::Table {
                        name: format!("{written}.{}", table.value),
                        at: place(schema),
                        near: Vec::new(),
                    });
                }
                self.table(table, true, alias, star)
            }
            _ => Err(Refused::Table { name: name.to_string(), at: NOWHERE, near: Vec::new() }),
        }
    }
    /// A common table expression, or a table of the catalogue.
    pub(super) fn table(&mut self, ident: &Ident, qualified: bool, alias: Option<&TableAlias>, star: bool) -> Done {
        let name = identifier(ident)?;
        let label =
            || self.scopes.iter().rev().find_map(|s| s.iter().rev().find(|(n, _)| *n == name)).map(|(_, label)| label.clone());
        if !qualified && let Some(label) = label() {
            self.name(&label);
            return self.alias_or(alias, &Target::Other, &name, false);
        }
        let entry = self.relation(&name, place(ident))?;
        self.mark(place(ident));
        let withholds = !entry.withheld.is_empty();
        if star {
            // Spelled out for every table: what was added since the catalogue was loaded is not shown unseen.
            let entry = entry.clone();
            self.word("( SELECT");
            self.list(&entry.shown, |w, column| {
                w.name(column);
                Ok(())
            })?;
            self.word("FROM");
            self.public(&name);
            self.word("AS");
            match alias {
                Some(alias) => {
                    let alias = identifier(&alias.name)?;
                    self.name(&alias);
                }
                None => self.name(&name),
            }
            self.word(")");
            self.left_out.extend(entry.withheld.iter().map(|column| format!("{name}.{column}")));
        } else {
            self.public(&name);
        }
        self.reads.insert(name.clone());
        self.alias_or(alias, &Target::Table(name.clone()), &name, withholds)
    }
    /// The entry of a table that may be read.
    pub(super) fn relation(&mut self, name: &str, at: Position) -> Result<&'a Entry, Refused> {
        let catalogue = self.catalogue;
        let Some(entry) = catalogue.get(name) else {
            // A sealed name is not told apart from a missing one by near names, but by its reason.
            return Err(Refused::Table { name: name.to_owned(), at, near: nearest(name, catalogue.readable()) });
        };
        if let Some(why) = entry.sealed {
            return Err(Refused::Sealed { table: name.to_owned(), why, at });
        }
        self.relations.insert(name.to_owned());
        Ok(entry)
    }
    pub(super) fn public(&mut self, name: &str) {
        self.word("\"public\".");
        self.name_behind(name);
    }
    pub(super) fn alias_or(&mut self, alias: Option<&TableAlias>, target: &Target, name: &str, withholds: bool) -> Done {
        if alias.is_some() {
            return self.alias(alias, target, withholds);
        }
        self.word("AS");
        self.name(name);
        self.aliases.entry(name.to_owned()).or_default().insert(target.clone());
        Ok(())
    }
    pub(super) fn alias(&mut self, alias: Option<&TableAlias>, target: &Target, withholds: bool) -> Done {
        let Some(TableAlias { explicit: _, name, columns, at }) = alias else { return Ok(()) };
        if at.is_some() {
            return Err(construct("AT behind an alias"));
        }
        let name = identifier(name)?;
        self.word("AS");
        self.name(&name);
        if !columns.is_empty() {
            if withholds {
                return Err(construct("a list of columns behind the alias of a table with withheld columns"));
            }
            self.word("(");
            self.list(columns, |w, column| {
                let name = w.introduce(&column.name)?;
                w.name(&name);
                match &column.data_type {
                    None => Ok(()),
                    Some(_) => Err(construct("types behind this alias")),
                }
            })?;
            self.word(")");
        }
        let targets = self.aliases.entry(name).or_default();
        targets.insert(target.clone());
        // The list gives the columns of a table other names.
        if !columns.is_empty() && matches!(target, Target::Table(_)) {
            targets.insert(Target::Other);
        }
        Ok(())
    }
    pub(super) fn table_function(
        &mut self,
        lateral: bool,
        name: &ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Done {
        if lateral {
            self.word("LATERAL");
        }
        let function = self.function_name(name)?;
        self.word("(");
        self.list(args, |w, arg| w.argument(arg, &function))?;
        Self::sized(&function, args)?;
        self.word(")");
        self.behind_function(&function, ordinality, alias)
    }
    pub(super) fn behind_function(&mut self, function: &str, ordinality: bool, alias: Option<&TableAlias>) -> Done {
        if ordinality {
            self.word("WITH ORDINALITY");
        }
        let Some(given) = alias else {
            let target = Target::Function(columns_of(function, ordinality, None)?);
            self.aliases.entry(function.to_owned()).or_default().insert(target);
            return Ok(());
        };
        let target = Target::Function(columns_of(function, ordinality, alias)?);
        // A function of one column gives the column the alias's name.
        let name = self.introduce(&given.name)?;
        if !given.columns.iter().any(|c| c.data_type.is_some()) {
            return self.alias(alias, &target, false);
        }
        if !names::RECORDS.contains(&function) || given.at.is_some() {
            return Err(construct("types behind this alias"));
        }
        self.word("AS");
        self.name(&name);
        self.word("(");
        self.list(&given.columns, |w, column| {
            let name = w.introduce(&column.name)?;
            w.name(&name);
            match &column.data_type {
                Some(data_type) => w.data_type(data_type),
                None => Err(construct("a column without a type behind this alias")),
            }
        })?;
        self.word(")");
        self.aliases.entry(name).or_default().insert(target);
        Ok(())
    }
}

/// What the columns of a function in FROM are called: as the list behind the alias says, as the function says, or like the
/// alias or the function.
fn columns_of(function: &str, ordinality: bool, alias: Option<&TableAlias>) -> Result<BTreeSet<String>, Refused> {
    let mut columns = BTreeSet::new();
    if ordinality {
        columns.insert("ordinality".to_owned());
    }
    let named = names::NAMED.contains(&function);
    if named {
        columns.extend(["key", "value"].map(str::to_owned));
    }
    match alias {
        Some(alias) if !alias.columns.is_empty() => {
            for column in &alias.columns {
                columns.insert(identifier(&column.name)?);
            }
        }
        _ if named => {}
        Some(alias) => drop(columns.insert(identifier(&alias.name)?)),
        None => drop(columns.insert(function.to_owned())),
    }
    Ok(columns)
}
