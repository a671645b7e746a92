use backends::odoo::ReadMethod;
use schemars::JsonSchema;
use serde::Deserialize;

use super::execute_method::{Call, action_note};
use crate::{
    args::{Ids, List, Values},
    batch::{self, Batch, Done, Raw},
    contract::{self as tool, *},
};

/// Call one method on up to 500 records, each on its own. Same rules as execute_method.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchExecute {
    model: String,
    method: String,
    ids: Ids,
    #[serde(default)]
    args: List,
    #[serde(default)]
    kwargs: Values,
}
pub struct AskEach(Call, ReadMethod);
pub struct ActEach(Call);
impl MixedTool for BatchExecute {
    type Answer = Batch;
    type Read = AskEach;
    type Write = ActEach;
    fn split(self) -> Result<Split<AskEach, ActEach>> {
        batch::size("ids", self.ids.0.len())?;
        let call = Call::new(self.model, self.method, self.ids, self.args, self.kwargs)?;
        Ok(match ReadMethod::of(&call.method) {
            Some(method) => Split::Read(AskEach(call, method)),
            None => Split::Write(ActEach(call)),
        })
    }
}
fn items(call: &Call) -> Vec<(Option<i64>, i64)> {
    call.ids.0.iter().map(|id| (Some(*id), *id)).collect()
}
/// The same note for hundreds of records is one note.
fn noted(mut batch: Batch) -> Batch {
    let note = batch.done.iter().find_map(|d| d.result.as_ref().and_then(|r| action_note(&r.0)));
    batch.notes.extend(note);
    batch
}
impl ReadTool for AskEach {
    type Answer = Batch;
    async fn call(self, cx: &ReadCx) -> Result<Batch> {
        let (odoo, Self(call, method)) = (cx.odoo()?, &self);
        let asked = batch::each(cx, &call.model, items(call), |id| async move {
            let result = odoo.ask(&call.model, *method, &[id], call.args.clone(), call.kwargs.clone()).await?;
            Ok(Done { id, result: Some(Raw(result)), ..Done::default() })
        });
        Ok(noted(asked.await?))
    }
}
impl WriteTool for ActEach {
    type Answer = Batch;
    fn confirm(&self) -> bool {
        self.0.is_button()
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        self.0.plan(cx).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Batch> {
        let (odoo, Self(call)) = (cx.odoo()?, &self);
        let acted = batch::each(cx, &call.model, items(call), |id| async move {
            let result = odoo.call(&call.model, &call.method, &[id], call.args.clone(), call.kwargs.clone()).await?;
            Ok(Done { id, result: Some(Raw(result)), ..Done::default() })
        });
        Ok(noted(acted.await?))
    }
}
pub const TOOL: Tool = tool::mixed::<BatchExecute>("Call a method on many records");
