//! The approved summaries of all instances, in memory: they go into the descriptions of tools, and a list of tools asks no store.
use std::{collections::HashMap, sync::Arc};

use kernel::{
    InstanceId,
    knowledge::{TargetType, excerpt},
};
use serde_json::Value;

use crate::{Result, Row, Tx, args};

/// Characters of the instance's own summary that a description may hold.
const OF_INSTANCE: usize = 400;
/// Characters of a model's.
const OF_MODEL: usize = 150;

/// What a person stands for, ready to be put into a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// None: of the instance itself.
    pub model: Option<Arc<str>>,
    /// `sale.order: "…"`: shortened to one line and quoted as a JSON text, so that it cannot end its own quotation.
    pub quoted: Arc<str>,
    /// Its characters.
    pub length: usize,
}

/// Those of every instance that has any; the instance's own first, then by the last approval.
#[derive(Debug, Default)]
pub struct Summaries {
    of: HashMap<InstanceId, Arc<[Summary]>>,
    /// How many there are, how often they were changed, and when the newest was approved: no text changes without a new version
    /// and a new approval.
    mark: (i64, i64, String),
}
impl Summaries {
    pub fn of(&self, instance: InstanceId) -> &[Summary] {
        self.of.get(&instance).map_or(&[], |list| list)
    }

    /// Reads what there is, unless it is what is `known`.
    pub(crate) async fn read(tx: &mut Tx, known: Option<&Arc<Self>>) -> Result<Arc<Self>> {
        let sql = "SELECT count(*) AS n, CAST(COALESCE(sum(version), 0) AS BIGINT) AS versions, COALESCE(max(approved_at), '') AS newest FROM notes \
                   WHERE is_summary AND approved_at IS NOT NULL AND deleted_at IS NULL";
        let mark = match tx.fetch_optional(sql, args![]).await? {
            Some(row) => (row.int("n")?, row.int("versions")?, row.text("newest")?),
            None => (0, 0, String::new()),
        };
        if let Some(known) = known.filter(|k| k.mark == mark) {
            return Ok(Arc::clone(known));
        }
        let sql = "SELECT id, instance_id, target_type, target, substr(body, 1, 800) AS head FROM notes \
                   WHERE is_summary AND approved_at IS NOT NULL AND deleted_at IS NULL ORDER BY approved_at DESC, id";
        let rows = tx.fetch_all(sql, args![]).await?;
        let mut all: HashMap<InstanceId, Vec<Summary>> = HashMap::new();
        for (instance, summary) in rows.iter().filter_map(|row| read(row).inspect_err(|e| left_out(row, e)).ok()) {
            let list = all.entry(instance).or_default();
            let at = if summary.model.is_none() { 0 } else { list.len() };
            list.insert(at, summary);
        }
        Ok(Arc::new(Self { of: all.into_iter().map(|(id, list)| (id, list.into())).collect(), mark }))
    }
}

fn read(row: &Row) -> Result<(InstanceId, Summary)> {
    let (model, most) = match row.parsed("notes.target_type")? {
        TargetType::Instance => (None, OF_INSTANCE),
        _ => (Some(row.text("notes.target")?), OF_MODEL),
    };
    let text = Value::from(excerpt(&row.text("notes.head")?, most));
    let quoted = format!("{}: {text}", model.as_deref().unwrap_or("instance"));
    let summary = Summary { model: model.map(Into::into), length: quoted.chars().count(), quoted: quoted.into() };
    Ok((row.parsed("notes.instance_id")?, summary))
}
fn left_out(row: &Row, error: &crate::StoreError) {
    let id = row.text("id").unwrap_or_default();
    tracing::error!(error = error as &dyn std::error::Error, id, "a summary cannot be read and is left out");
}
