//! The reading handle.
use std::{future::Future, sync::Arc};

use kernel::{Instance, OdooVersion, Result};
use serde_json::{Map, Value, value::RawValue};

use super::{Aggregate, Group, ModelFields, OdooContext, ReadMethod, Record, Rows, Search, ServerVersion};
use crate::Scope;

/// Reads one instance as one credential, within one scope, until one deadline. Cheap to clone; connects when first used.
#[derive(Debug, Clone)]
pub struct Reader {
    instance: Arc<Instance>,
    scope: Arc<Scope>,
    context: OdooContext,
}
impl Reader {
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
    pub fn context(&self) -> &OdooContext {
        &self.context
    }
    /// Odoo's series, asked once per client.
    pub async fn version(&self) -> Result<OdooVersion> {
        unimplemented!()
    }
    pub async fn server_version(&self) -> Result<ServerVersion> {
        unimplemented!()
    }
    /// The fields of a model, cached five minutes per instance, generation, credential and language.
    pub async fn fields(&self, model: &str) -> Result<Arc<ModelFields>> {
        unimplemented!("{model}")
    }
    /// The most useful fields, at most 15: never binary, html, or computed and not stored.
    pub async fn smart_fields(&self, model: &str) -> Result<Vec<String>> {
        unimplemented!("{model}")
    }
    /// Checks that the fields exist and may be read; unknown ones are refused with the nearest names.
    pub async fn check_fields(&self, model: &str, fields: &[String]) -> Result<()> {
        unimplemented!("{model} {fields:?}")
    }
    pub async fn search_read(&self, search: &Search) -> Result<Rows> {
        unimplemented!("{search:?}")
    }
    /// `limit` bounds the counting (Odoo 16 and later; before, counting is whole).
    pub async fn search_count(&self, model: &str, domain: &Value, limit: Option<u64>) -> Result<u64> {
        unimplemented!("{model} {domain} {limit:?}")
    }
    pub async fn search_ids(&self, model: &str, domain: &Value, limit: u64, offset: u64, order: Option<&str>) -> Result<Vec<i64>> {
        unimplemented!("{model} {domain} {limit} {offset} {order:?}")
    }
    /// Reads by id. Missing ids are left out (compare with [`Record::id`]). Empty `fields` means the smart ones.
    pub async fn read(&self, model: &str, ids: &[i64], fields: &[String]) -> Result<Rows> {
        unimplemented!("{model} {ids:?} {fields:?}")
    }
    /// The ids that exist (archived ones too) with their names; a name that cannot be read is `model,id`.
    pub async fn names(&self, model: &str, ids: &[i64]) -> Result<Vec<(i64, String)>> {
        unimplemented!("{model} {ids:?}")
    }
    pub async fn aggregate(&self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        unimplemented!("{aggregate:?}")
    }
    /// Runs a method without effects.
    pub async fn ask(&self, model: &str, method: ReadMethod, ids: &[i64], args: Vec<Value>, kwargs: Map<String, Value>) -> Result<Box<RawValue>> {
        unimplemented!("{model} {method:?} {ids:?} {args:?} {kwargs:?}")
    }
}
#[allow(dead_code)]
fn futures_are_send(r: &Reader) -> impl Future + Send + '_ {
    async move {
        let _: Result<Vec<Record>> = r.search_read(&Search::default()).await.map(|r| r.records);
    }
}
