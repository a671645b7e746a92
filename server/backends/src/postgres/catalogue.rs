//! What there is in the database: tables, views, their columns, and which of these are secret. The guard knows nothing
//! but what stands here, so a table that is not in the catalogue is refused.
use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::GenericClient;

use crate::postgres::{guard, secrets};

/// What kind of relation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A table, partitioned or not.
    Table,
    /// A view.
    View,
    /// A materialized view.
    Materialized,
    /// A table of another server: never read, for its definition holds where and as whom.
    Foreign,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name as stored, without quotes.
    pub name: String,
    /// PostgreSQL's internal name of its type: `int4`, `varchar`, `_text`.
    pub type_name: String,
}

/// A table or view of the schema `public`, as loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name as stored, without quotes.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// Of a view: its definition, as PostgreSQL writes it.
    pub definition: Option<String>,
    /// Tables that its foreign keys point to.
    pub references: Vec<String>,
    /// Sequences that fill its columns.
    pub sequences: Vec<String>,
    /// Its owner.
    pub owner: String,
}

/// A relation and what may be done with it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub shown: Vec<String>,
    pub withheld: BTreeSet<String>,
    /// Why nothing of it is read, if so.
    pub sealed: Option<&'static str>,
    /// Why it is not changed, if so.
    pub protected: Option<&'static str>,
}

/// The database's relations by name. Built once per instance and kept by the caller until the schema changes; see
/// [`Catalogue::new`].
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
    functions: BTreeSet<String>,
}

impl Catalogue {
    /// Sorts out what may be read and changed. `functions` are the names of functions in the schema `public`: those few
    /// that the guard knows (of pg_trgm and unaccent) may be called where they exist.
    ///
    /// A view runs with its owner's rights and can show anything, so it is read only when the guard would let its
    /// definition through as a statement. Views on views are looked at once those below are known.
    pub fn new(relations: &[Relation], functions: impl IntoIterator<Item = String>) -> Self {
        let mut made = Self { entries: BTreeMap::new(), functions: functions.into_iter().collect() };
        let (views, tables): (Vec<&Relation>, Vec<&Relation>) =
            relations.iter().partition(|r| matches!(r.kind, Kind::View | Kind::Materialized));
        for table in tables {
            made.entries.insert(table.name.clone(), entry(table, None));
        }
        let mut open = views;
        loop {
            let before = open.len();
            let (seen, rest): (Vec<&Relation>, Vec<&Relation>) = open.into_iter().partition(|view| made.sees_through(view));
            for view in seen {
                made.entries.insert(view.name.clone(), entry(view, None));
            }
            open = rest;
            if open.is_empty() || open.len() == before {
                break;
            }
        }
        for view in open {
            made.entries
                .insert(view.name.clone(), entry(view, Some("it is a view on what is withheld, or on what cannot be checked")));
        }
        made
    }
    /// Whether all that a view does is known and shown.
    fn sees_through(&self, view: &Relation) -> bool {
        view.definition.as_deref().is_some_and(|text| {
            guard::check_view(text, self)
                .is_ok_and(|checked| checked.kind() == guard::Kind::Select && checked.left_out().is_empty())
        })
    }
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }
    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.functions.contains(name)
    }
    /// The names of relations that may be read.
    pub fn readable(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, entry)| entry.sealed.is_none()).map(|(name, _)| name.as_str())
    }
    /// The columns of a relation that are shown; `None` where the relation is unknown or sealed.
    pub fn shown(&self, relation: &str) -> Option<&[String]> {
        self.entries.get(relation).filter(|entry| entry.sealed.is_none()).map(|entry| entry.shown.as_slice())
    }
    /// Whether rows of the relation may be changed.
    pub fn writable(&self, relation: &str) -> bool {
        self.entries.get(relation).is_some_and(|entry| entry.protected.is_none())
    }
    /// The names of columns of a relation that are withheld.
    pub fn withheld(&self, relation: &str) -> Vec<&str> {
        self.entries.get(relation).map(|entry| entry.withheld.iter().map(String::as_str).collect()).unwrap_or_default()
    }
}

fn entry(relation: &Relation, blind: Option<&'static str>) -> Entry {
    let (withheld, shown): (Vec<&Column>, Vec<&Column>) =
        relation.columns.iter().partition(|c| secrets::withheld(&relation.name, &c.name, &c.type_name));
    let sealed = match relation.kind {
        Kind::Foreign => Some("it is a table of another server"),
        _ if secrets::sealed(&relation.name) => Some("it holds secrets or settings of the system"),
        _ => blind,
    };
    let protected = match relation.kind {
        _ if sealed.is_some() => sealed,
        Kind::View | Kind::Materialized | Kind::Foreign => Some("it is a view"),
        _ if secrets::protected(&relation.name) => {
            Some("it holds code, access rights, identity, modules or what Odoo keeps for itself")
        }
        // A table of pairs that grants something: groups of users, companies of users, groups of menus.
        Kind::Table
            if !relation.columns.iter().any(|c| c.name == "id")
                && relation.references.iter().any(|table| secrets::protected(table)) =>
        {
            Some("it ties records to users, groups or access rights")
        }
        Kind::Table => None,
    };
    Entry {
        shown: shown.into_iter().map(|c| c.name.clone()).collect(),
        withheld: withheld.into_iter().map(|c| c.name.clone()).collect(),
        sealed,
        protected,
    }
}

/// What the catalogue is made of, read in one go by fixed queries. Any role can run them.
const RELATIONS: &str = "
    SELECT c.relname, c.relkind::text, a.attname, t.typname,
           CASE WHEN c.relkind IN ('v', 'm') AND a.attnum = 1 THEN pg_catalog.pg_get_viewdef(c.oid) END,
           pg_catalog.pg_get_userbyid(c.relowner)
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     ORDER BY c.relname COLLATE pg_catalog.\"C\", a.attnum";
const REFERENCES: &str = "
    SELECT c.relname, f.relname
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype = 'f' AND n.nspname = 'public'";
const SEQUENCES: &str = "
    SELECT t.relname, s.relname
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
      JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.deptype IN ('a', 'i') AND n.nspname = 'public' AND s.relnamespace = t.relnamespace
     ORDER BY 1, 2";
const FUNCTIONS: &str = "
    SELECT DISTINCT p.proname
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'public' AND p.prokind = 'f' AND NOT p.prosecdef";

/// Reads the catalogue of the database that the client is connected to. Takes some 50 ms for 800 tables; keep it until
/// modules change.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn load(client: &impl GenericClient) -> Result<Catalogue, tokio_postgres::Error> {
    let relations = load_relations(client).await?;
    let functions = client.query(FUNCTIONS, &[]).await?;
    let functions: Vec<String> = functions.iter().filter_map(|row| row.try_get::<_, String>(0).ok()).collect();
    Ok(Catalogue::new(&relations, functions))
}

/// The relations of the schema `public`, as [`load`] reads them.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn load_relations(client: &impl GenericClient) -> Result<Vec<Relation>, tokio_postgres::Error> {
    let mut relations: Vec<Relation> = Vec::new();
    for row in client.query(RELATIONS, &[]).await? {
        let name: String = row.try_get(0)?;
        let kind: String = row.try_get(1)?;
        if relations.last().is_none_or(|last| last.name != name) {
            relations.push(Relation {
                name,
                kind: match kind.as_str() {
                    "r" | "p" => Kind::Table,
                    "v" => Kind::View,
                    "m" => Kind::Materialized,
                    _ => Kind::Foreign,
                },
                columns: Vec::new(),
                definition: row.try_get(4)?,
                references: Vec::new(),
                sequences: Vec::new(),
                owner: row.try_get(5)?,
            });
        }
        if let (Some(last), Some(name), Some(type_name)) =
            (relations.last_mut(), row.try_get::<_, Option<String>>(2)?, row.try_get::<_, Option<String>>(3)?)
        {
            last.columns.push(Column { name, type_name });
            // A view's first column may have been dropped.
            if last.definition.is_none() {
                last.definition = row.try_get(4)?;
            }
        }
    }
    for (sql, is_reference) in [(REFERENCES, true), (SEQUENCES, false)] {
        for row in client.query(sql, &[]).await? {
            let (table, other): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if let Ok(index) = relations.binary_search_by(|r| r.name.as_bytes().cmp(table.as_bytes()))
                && let Some(relation) = relations.get_mut(index)
            {
                if is_reference { relation.references.push(other) } else { relation.sequences.push(other) }
            }
        }
    }
    Ok(relations)
}
