//! INSERT, UPDATE, DELETE.
use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, DoUpdate, FromTable, Ident, Insert, ObjectName, ObjectNamePart,
    OnConflict, OnConflictAction, OnInsert, SelectItem, SelectItemQualifiedWildcardKind, TableAlias, TableFactor, TableObject,
    TableWithJoins, Update, UpdateTableFromKind,
};

use super::{Done, Target, Walk, construct, identifier, nearest, place, query::natural, query::plain_star, single};
use crate::postgres::guard::{NOWHERE, Refused};

impl Walk<'_> {
    /// The table that is changed.
    pub(super) fn target(&mut self, name: &ObjectName) -> Result<String, Refused> {
        let (ident, written) = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => (ident, identifier(ident)?),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(ident)] if identifier(schema)? == "public" => {
                (ident, identifier(ident)?)
            }
            _ => return Err(Refused::Table { name: name.to_string(), at: NOWHERE, near: Vec::new() }),
        };
        let entry = self.relation(&written, place(ident))?;
        if let Some(why) = entry.protected {
            return Err(Refused::Protected { table: written, why, at: place(ident) });
        }
        self.public(&written);
        self.writes.insert(written.clone());
        Ok(written)
    }
    /// A column of the changed table.
    pub(super) fn target_column(&mut self, table: &str, ident: &Ident) -> Done {
        let name = identifier(ident)?;
        let entry = self.catalogue.get(table).ok_or_else(|| construct("this table"))?;
        if entry.withheld.contains(&name) {
            return Err(Refused::Withheld { column: name, table: table.to_owned(), at: place(ident) });
        }
        if !entry.shown.contains(&name) {
            let near = nearest(&name, entry.shown.iter().map(String::as_str));
            return Err(Refused::Column { name: format!("{table}.{name}"), at: place(ident), near });
        }
        self.name(&name);
        Ok(())
    }
    pub(super) fn assignments(&mut self, table: &str, assignments: &[Assignment]) -> Done {
        self.list(assignments, |w, Assignment { target, value }| {
            match target {
                AssignmentTarget::ColumnName(name) => w.target_column(table, single(name)?)?,
                AssignmentTarget::Tuple(names) => {
                    w.word("(");
                    w.list(names, |w, name| w.target_column(table, single(name)?))?;
                    w.word(")");
                }
            }
            w.word("=");
            w.value_or_default(value)
        })
    }
    /// RETURNING. `*` is spelled out, for the changed table itself cannot be replaced by a selection.
    pub(super) fn returning(&mut self, table: &str, alias: &str, alone: bool, items: &[SelectItem]) -> Done {
        self.word("RETURNING");
        let entry = self.catalogue.get(table).ok_or_else(|| construct("this table"))?;
        let shown = |w: &mut Self| {
            w.left_out.extend(entry.withheld.iter().map(|column| format!("{table}.{column}")));
            w.list(&entry.shown, |w, column| {
                w.name(alias);
                w.out.push('.');
                w.name_behind(column);
                Ok(())
            })
        };
        self.list(items, |w, item| match item {
            SelectItem::Wildcard(options) if alone => {
                plain_star(options)?;
                shown(w)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                if single(name).and_then(identifier).is_ok_and(|n| n == alias) =>
            {
                plain_star(options)?;
                shown(w)
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Err(construct("this * in RETURNING")),
            item => w.item(item, &mut Vec::new()),
        })
    }
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<bool, Refused> {
        let Insert {
            insert_token: _,
            optimizer_hints: _,
            or: None,
            ignore: false,
            into: true,
            table: TableObject::TableName(name),
            table_alias,
            columns,
            overwrite: false,
            source,
            assignments,
            partitioned: None,
            after_columns,
            has_table_keyword: false,
            on,
            returning,
            output: None,
            replace_into: false,
            priority: None,
            insert_alias: None,
            settings: None,
            format_clause: None,
            multi_table_insert_type: None,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause: None,
        } = insert
        else {
            return Err(construct("this form of INSERT"));
        };
        if !assignments.is_empty()
            || !after_columns.is_empty()
            || !multi_table_into_clauses.is_empty()
            || !multi_table_when_clauses.is_empty()
        {
            return Err(construct("this form of INSERT"));
        }
        self.word("INSERT INTO");
        let table = self.target(name)?;
        let alias = match table_alias {
            None => table.clone(),
            Some(alias) => identifier(&alias.alias)?,
        };
        self.word("AS");
        self.name(&alias);
        self.aliases.entry(alias.clone()).or_default().insert(Target::Table(table.clone()));
        let entry = self.catalogue.get(&table).ok_or_else(|| construct("this table"))?;
        if columns.is_empty() && source.is_some() && !entry.withheld.is_empty() {
            // Values without columns would reach the withheld ones by their place.
            return Err(construct(format!("INSERT INTO {table} without a list of columns")));
        }
        if !columns.is_empty() {
            self.word("(");
            self.list(columns, |w, column| w.target_column(&table, single(column)?))?;
            self.word(")");
        }
        match source {
            None => self.word("DEFAULT VALUES"),
            Some(query) => self.query(query, None)?,
        }
        match on {
            None => {}
            Some(OnInsert::OnConflict(OnConflict { conflict_target, action })) => {
                self.aliases.entry("excluded".into()).or_default().insert(Target::Table(table.clone()));
                self.word("ON CONFLICT");
                match conflict_target {
                    None => {}
                    Some(ConflictTarget::Columns(columns)) => {
                        self.word("(");
                        self.list(columns, |w, column| w.target_column(&table, column))?;
                        self.word(")");
                    }
                    Some(ConflictTarget::OnConstraint(name)) => {
                        let name = identifier(single(name)?)?;
                        self.word("ON CONSTRAINT");
                        self.name(&name);
                    }
                }
                match action {
                    OnConflictAction::DoNothing => self.word("DO NOTHING"),
                    OnConflictAction::DoUpdate(DoUpdate { assignments, selection }) => {
                        self.word("DO UPDATE SET");
                        self.assignments(&table, assignments)?;
                        if let Some(condition) = selection {
                            self.word("WHERE");
                            self.expr(condition)?;
                        }
                    }
                }
            }
            Some(_) => return Err(construct("this form of INSERT")),
        }
        self.maybe_returning(&table, &alias, true, returning.as_deref())
    }
    pub(super) fn maybe_returning(
        &mut self,
        table: &str,
        alias: &str,
        alone: bool,
        items: Option<&[SelectItem]>,
    ) -> Result<bool, Refused> {
        match items {
            None => Ok(false),
            Some(items) => {
                // Since PostgreSQL 18 these are the rows before and after.
                for row in ["old", "new"] {
                    self.aliases.entry(row.into()).or_default().insert(Target::Table(table.to_owned()));
                }
                self.returning(table, alias, alone, items)?;
                Ok(true)
            }
        }
    }
    /// The changed table of UPDATE and DELETE with its alias.
    pub(super) fn changed(&mut self, item: &TableWithJoins) -> Result<(String, String), Refused> {
        let TableWithJoins { relation, joins } = item;
        let TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } = relation
        else {
            return Err(construct("this form of the table that is changed"));
        };
        if !joins.is_empty() || !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
            return Err(construct("this form of the table that is changed"));
        }
        let table = self.target(name)?;
        let alias = match alias {
            None => table.clone(),
            Some(TableAlias { explicit: _, name, columns, at: None }) if columns.is_empty() => identifier(name)?,
            Some(_) => return Err(construct("this alias of the table that is changed")),
        };
        self.word("AS");
        self.name(&alias);
        self.aliases.entry(alias.clone()).or_default().insert(Target::Table(table.clone()));
        Ok((table, alias))
    }
    pub(super) fn update(&mut self, update: &Update) -> Result<bool, Refused> {
        let Update {
            update_token: _,
            optimizer_hints: _,
            table,
            assignments,
            from,
            selection,
            returning,
            output: None,
            or: None,
            order_by,
            limit: None,
        } = update
        else {
            return Err(construct("this form of UPDATE"));
        };
        if !order_by.is_empty() {
            return Err(construct("ORDER BY in UPDATE"));
        }
        self.word("UPDATE");
        let (table, alias) = self.changed(table)?;
        self.word("SET");
        self.assignments(&table, assignments)?;
        match from {
            None => {}
            Some(UpdateTableFromKind::AfterSet(items)) => {
                self.word("FROM");
                // Other tables are replaced: a star or whole row of them is nobody's need here.
                self.list(items, |w, item| w.joined(item, natural(item)))?;
            }
            Some(UpdateTableFromKind::BeforeSet(_)) => return Err(construct("FROM before SET")),
        }
        if let Some(condition) = selection {
            self.word("WHERE");
            self.expr(condition)?;
        }
        self.maybe_returning(&table, &alias, from.is_none(), returning.as_deref())
    }
    pub(super) fn delete(&mut self, delete: &Delete) -> Result<bool, Refused> {
        let Delete {
            delete_token: _,
            optimizer_hints: _,
            tables,
            from: FromTable::WithFromKeyword(from),
            using,
            selection,
            returning,
            output: None,
            order_by,
            limit: None,
        } = delete
        else {
            return Err(construct("this form of DELETE"));
        };
        let [item] = from.as_slice() else { return Err(construct("this form of DELETE")) };
        if !tables.is_empty() || !order_by.is_empty() {
            return Err(construct("this form of DELETE"));
        }
        self.word("DELETE FROM");
        let (table, alias) = self.changed(item)?;
        if let Some(items) = using {
            self.word("USING");
            self.list(items, |w, item| w.joined(item, natural(item)))?;
        }
        if let Some(condition) = selection {
            self.word("WHERE");
            self.expr(condition)?;
        }
        self.maybe_returning(&table, &alias, using.is_none(), returning.as_deref())
    }
}
