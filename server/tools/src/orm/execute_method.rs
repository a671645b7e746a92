use backends::odoo::{ReadMethod, Reader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::write::plan_for;
use crate::{
    args::{Ids, List, Values},
    batch::Raw,
    caps,
    contract::{self as tool, *},
};

/// Call a public method of a model that no other tool covers, like action_confirm (needs confirm) or name_search (only reads).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecuteMethod {
    model: String,
    method: String,
    /// Records to call it on; none for methods of the model
    #[serde(default)]
    ids: Ids,
    #[serde(default)]
    args: List,
    #[serde(default)]
    kwargs: Values,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Returned {
    /// What the method gave back; null when it gave nothing.
    pub result: Raw,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Returned {}

/// What a method is called with, checked as far as the arguments alone allow.
#[derive(Debug)]
pub struct Call {
    pub model: String,
    pub method: String,
    pub ids: Ids,
    pub args: Vec<Value>,
    pub kwargs: Map<String, Value>,
}
impl Call {
    pub fn new(model: String, method: String, ids: Ids, args: List, kwargs: Values) -> Result<Self> {
        kernel::name::identifier("model", &model)?;
        kernel::name::identifier("method", &method)?;
        if let Some(name) = ["context", "ids", "self"].into_iter().find(|n| kwargs.0.contains_key(*n)) {
            return Err(refusal(Code::InvalidArgument, format!("kwargs: {name} is not passed here."))
                .next("Use the arguments context and ids of the tool itself.")
                .into());
        }
        let (mut ids, mut args) = (ids, args.0);
        // Odoo takes the first positional argument for the records when none are named. Only records that are named as such
        // are planned, counted and confirmed, so they are taken for what they are.
        if ids.0.is_empty()
            && let Some(records) = args.first().and_then(records)
        {
            ids = Ids(records);
            args.remove(0);
        }
        Ok(Self { model, method, ids, args, kwargs: kwargs.0 })
    }
    /// Methods behind buttons change states (confirm, post, cancel): a person should have seen what they are called on.
    pub fn is_button(&self) -> bool {
        self.method.starts_with("action_") || self.method.starts_with("button_")
    }
    /// Refuses more records than one call may name; none at all is right for methods of the model.
    fn check(&self, odoo: &Reader) -> Result<()> {
        if self.ids.0.is_empty() { Ok(()) } else { caps::named(odoo, &self.ids).map(|_| ()) }
    }
    pub async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let warning = "What a method changes cannot be foretold; its records can.".to_owned();
        if self.ids.0.is_empty() {
            let summary = format!("Would call {} of the model {}, on no record", self.method, self.model);
            return Ok(Plan { summary, warnings: vec![warning], ..Plan::default() });
        }
        let mut plan = plan_for(cx, &format!("Would call {} on", self.method), &self.model, &self.ids.distinct()).await?;
        plan.warnings.push(warning);
        Ok(plan)
    }
}
/// An id, or a list of ids and nothing else.
fn records(first: &Value) -> Option<Vec<i64>> {
    let id = |v: &Value| v.as_i64().filter(|id| *id > 0);
    match first {
        Value::Array(items) if !items.is_empty() => items.iter().map(id).collect(),
        one => id(one).map(|id| vec![id]),
    }
}
impl Returned {
    pub fn new(result: Box<RawValue>) -> Self {
        let notes = action_note(&result).into_iter().collect();
        Self { result: Raw(result), notes }
    }
}
/// An action is what a web client would open next (a form, a wizard, a report); nothing opens it here.
pub fn action_note(result: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Action {
        r#type: String,
        #[serde(default)]
        res_model: Option<String>,
    }
    let action: Action = serde_json::from_str(result.get()).ok().filter(|a: &Action| a.r#type.starts_with("ir.actions."))?;
    let target = action.res_model.map(|m| format!(" on {m}")).unwrap_or_default();
    Some(format!(
        "The result is an Odoo action ({}{target}): the web client would open it next. If it is a wizard, the work is not done yet.",
        action.r#type
    ))
}

pub struct Ask(Call, ReadMethod);
pub struct Act(Call);
impl MixedTool for ExecuteMethod {
    type Answer = Returned;
    type Read = Ask;
    type Write = Act;
    fn split(self) -> Result<Split<Ask, Act>> {
        let call = Call::new(self.model, self.method, self.ids, self.args, self.kwargs)?;
        Ok(match ReadMethod::of(&call.method) {
            Some(method) => Split::Read(Ask(call, method)),
            None => Split::Write(Act(call)),
        })
    }
}
impl ReadTool for Ask {
    type Answer = Returned;
    async fn call(self, cx: &ReadCx) -> Result<Returned> {
        let Self(call, method) = self;
        let odoo = cx.odoo()?;
        call.check(odoo)?;
        Ok(Returned::new(odoo.ask(&call.model, method, &call.ids.0, call.args, call.kwargs).await?))
    }
}
impl WriteTool for Act {
    type Answer = Returned;
    fn confirm(&self) -> bool {
        self.0.is_button()
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        self.0.check(cx.odoo()?)?;
        self.0.plan(cx).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Returned> {
        let Self(call) = self;
        let odoo = cx.odoo()?;
        call.check(odoo)?;
        Ok(Returned::new(odoo.call(&call.model, &call.method, &call.ids.0, call.args, call.kwargs).await?))
    }
}
pub const TOOL: Tool = tool::mixed::<ExecuteMethod>("Call a method");

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn split(v: Value) -> Result<Split<Ask, Act>> {
        serde_json::from_value::<ExecuteMethod>(v).unwrap().split()
    }

    #[test]
    fn the_method_decides_whether_it_reads_writes_or_needs_confirm() {
        assert!(matches!(split(json!({"model": "m", "method": "name_search"})), Ok(Split::Read(_))));
        for (method, confirm) in
            [("action_confirm", true), ("button_draft", true), ("message_post", false), ("name_search2", false)]
        {
            let Ok(Split::Write(act)) = split(json!({"model": "m", "method": method, "ids": 3})) else { panic!("{method}") };
            assert_eq!(act.confirm(), confirm, "{method}");
        }
    }

    #[test]
    fn the_context_cannot_pass_by_its_allow_list() {
        for bad in [json!({"model": "m", "method": "x", "kwargs": {"context": {}}}), json!({"model": "m", "method": "x y"})] {
            assert_eq!(split(bad).err().unwrap().code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn records_cannot_pass_by_the_plan_as_arguments() {
        for args in [json!([[1, 2, 3], "x"]), json!(["[1, 2, 3]"]), json!([7])] {
            let Ok(Split::Write(Act(call))) = split(json!({"model": "m", "method": "action_cancel", "args": args})) else {
                panic!()
            };
            let smuggled = call.args.first().and_then(records);
            assert_eq!(smuggled, None, "{args}");
        }
        for kwargs in [json!({"ids": [1]}), json!({"self": [1]}), json!({"context": {}})] {
            assert!(split(json!({"model": "m", "method": "action_cancel", "kwargs": kwargs})).is_err());
        }
    }

    #[test]
    fn an_action_is_explained() {
        let note = |v: Value| action_note(&to_raw_value(&v).unwrap());
        assert!(note(json!({"type": "ir.actions.act_window", "res_model": "sale.advance"})).unwrap().contains("sale.advance"));
        for plain in [json!(null), json!(true), json!({"type": "out_invoice"}), json!([1])] {
            assert_eq!(note(plain), None);
        }
    }

    #[test]
    fn null_is_an_answer() {
        let answer = serde_json::to_value(Returned::new(to_raw_value(&Value::Null).unwrap())).unwrap();
        assert_eq!(answer, json!({"result": null}));
    }
}
