//! The writing handle: the reader's verbs and five more. Writes are sent once, never retried.
use kernel::{Result, WritePermit};
use serde_json::{Map, Value, value::RawValue};

use super::Reader;

#[derive(Debug, Clone)]
pub struct Writer(Reader);
impl Writer {
    pub fn new(reader: Reader, _proof: &WritePermit) -> Self {
        Self(reader)
    }
    /// Creates in one transaction; the ids in order.
    pub async fn create(&self, model: &str, rows: Vec<Map<String, Value>>) -> Result<Vec<i64>> {
        unimplemented!("{model} {rows:?}")
    }
    pub async fn write(&self, model: &str, ids: &[i64], values: Map<String, Value>) -> Result<()> {
        unimplemented!("{model} {ids:?} {values:?}")
    }
    pub async fn unlink(&self, model: &str, ids: &[i64]) -> Result<()> {
        unimplemented!("{model} {ids:?}")
    }
    pub async fn copy(&self, model: &str, id: i64, default: Map<String, Value>) -> Result<i64> {
        unimplemented!("{model} {id} {default:?}")
    }
    /// Runs a public method (private, blocked and CRUD methods are refused; a restricted key runs listed ones only).
    pub async fn call(&self, model: &str, method: &str, ids: &[i64], args: Vec<Value>, kwargs: Map<String, Value>) -> Result<Box<RawValue>> {
        unimplemented!("{model} {method} {ids:?} {args:?} {kwargs:?}")
    }
}
impl std::ops::Deref for Writer {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.0
    }
}
