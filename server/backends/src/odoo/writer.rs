//! The writing handle: the reader's verbs and five more. Writes are sent once, never retried.
use kernel::{Code, Fault, WritePermit, refusal};
use serde_json::{Map, Value, value::RawValue};

use super::{
    ReadMethod, Reader, Result,
    dialect::{Arg, OneOrMany, Request},
};
use crate::scope::Right;

#[derive(Debug, Clone)]
pub struct Writer(Reader);
impl Writer {
    pub fn new(reader: Reader, _proof: &WritePermit) -> Self {
        Self(reader)
    }
    /// Creates in one transaction; the ids in order.
    pub async fn create(&self, model: &str, rows: Vec<Map<String, Value>>) -> Result<Vec<i64>> {
        self.scope().permitted(model, Right::Create)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        for row in &rows {
            self.may_create(model, row).await?;
        }
        let args = [Arg::Objects(&rows)];
        let request = Request { model, method: "create", ids: None, args: &args, kwargs: &[], context: self.sent(), write: true };
        let made: OneOrMany = self.done(&request).await?;
        Ok(made.into_vec())
    }
    pub async fn write(&self, model: &str, ids: &[i64], values: Map<String, Value>) -> Result<()> {
        self.may_write(model, ids, &values).await?;
        let args = [Arg::Object(&values)];
        let request = Request {
            model,
            method: "write",
            ids: Some(some(ids)?),
            args: &args,
            kwargs: &[],
            context: self.sent(),
            write: true,
        };
        // True in every version; an override that forgets to return gives null.
        self.done::<serde::de::IgnoredAny>(&request).await.map(|_| ())
    }
    pub async fn unlink(&self, model: &str, ids: &[i64]) -> Result<()> {
        self.may_delete(model, ids).await?;
        let request =
            Request { model, method: "unlink", ids: Some(some(ids)?), args: &[], kwargs: &[], context: self.sent(), write: true };
        // Odoo unlinks what is gone already without a word (14 to 19): whoever asks for it should know.
        let existing = self.existing(model, ids).await?;
        if let Some(gone) = ids.iter().find(|id| !existing.contains(id)) {
            return Err(refusal(Code::NotFound, format!("There is no {model} {gone}; nothing was deleted."))
                .next("Search for the records again.")
                .into());
        }
        self.done::<serde::de::IgnoredAny>(&request).await.map(|_| ())
    }
    pub async fn copy(&self, model: &str, id: i64, default: Map<String, Value>) -> Result<i64> {
        self.may_copy(model, id, &default).await?;
        if self.existing(model, &[id]).await?.is_empty() {
            return Err(refusal(Code::NotFound, format!("There is no {model} {id} to copy."))
                .next("Search for the record again.")
                .into());
        }
        let ids = [id];
        let args = [Arg::Object(&default)];
        let args: &[Arg<'_>] = if default.is_empty() { &[] } else { &args };
        let request = Request { model, method: "copy", ids: Some(&ids), args, kwargs: &[], context: self.sent(), write: true };
        let made: OneOrMany = self.done(&request).await?;
        made.into_vec().first().copied().ok_or_else(|| {
            Fault::unknown(
                "Odoo answered the copy without an id.",
                format!("Search {model} for the newest record (order \"id desc\")."),
            )
        })
    }
    /// Runs a public method (private, blocked and CRUD methods are refused; a restricted key runs listed ones only).
    pub async fn call(
        &self,
        model: &str,
        method: &str,
        ids: &[i64],
        args: Vec<Value>,
        kwargs: Map<String, Value>,
    ) -> Result<Box<RawValue>> {
        // A reading is checked as one: its domain and fields must not pass by here.
        if let Some(reading) = ReadMethod::of(method) {
            return self.ask(model, reading, ids, args, kwargs).await;
        }
        self.scope().callable(model, method)?;
        if self.scope().filtered(model) && ids.is_empty() {
            return Err(refusal(
                Code::RecordDenied,
                format!("Records of {model} are hidden from this key: {method} runs on records that it names."),
            )
            .next("Name them in ids.")
            .into());
        }
        self.all_visible(model, ids).await?;
        self.run(model, method, ids, &args, &kwargs, true).await
    }
}
/// Whether a write would be permitted, for plans: what the writing verbs check first.
impl Reader {
    pub async fn may_create(&self, model: &str, values: &Map<String, Value>) -> Result<()> {
        self.check_values_to(Right::Create, model, values, 0).await
    }
    pub async fn may_write(&self, model: &str, ids: &[i64], values: &Map<String, Value>) -> Result<()> {
        self.check_values(model, values, 0).await?;
        self.all_visible(model, ids).await
    }
    pub async fn may_delete(&self, model: &str, ids: &[i64]) -> Result<()> {
        self.scope().permitted(model, Right::Delete)?;
        self.all_visible(model, ids).await?;
        self.leaves_others(model).await?;
        self.takes_nothing_along(model, ids).await
    }
    /// What is copied is not known: only values that are given decide whether the copy is within a filter.
    pub async fn may_copy(&self, model: &str, id: i64, default: &Map<String, Value>) -> Result<()> {
        self.check_values_to(Right::Create, model, default, 0).await?;
        self.all_visible(model, &[id]).await?;
        self.copies_nothing_hidden(model, id).await
    }
}
impl Writer {
    /// Sends a write whose values and records were checked.
    async fn done<T: serde::de::DeserializeOwned>(&self, request: &Request<'_>) -> Result<T> {
        match self.send_kept(request).await {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(self.tell(failure, request.model, request.method).await),
        }
    }
}
fn some(ids: &[i64]) -> Result<&[i64]> {
    if ids.is_empty() {
        return Err(refusal(Code::InvalidArgument, "ids is empty.").next("Name at least one record.").into());
    }
    Ok(ids)
}
impl std::ops::Deref for Writer {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.0
    }
}
