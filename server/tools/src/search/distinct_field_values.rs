use std::collections::BTreeMap;

use backends::odoo::{Aggregate, Group, GroupBy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    args::{Any, Domain, Names},
    caps,
    contract::{self as tool, *},
    grouping,
};

/// The distinct values of one or more fields with how many records have each, most frequent first. Use it to learn what a field holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistinctFieldValues {
    model: String,
    fields: Names,
    #[serde(default)]
    domain: Domain,
    /// Values per field, default 100
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Distinct {
    pub model: String,
    pub fields: BTreeMap<String, Shown>,
    pub values: Vec<Counted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    /// How many values are listed.
    pub listed: usize,
    /// Whether there are more than `limit`.
    pub cut: bool,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Counted {
    pub field: String,
    /// As domains want it; null for none.
    pub value: Any,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The end (exclusive) of the day that `value` begins, for dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    pub count: u64,
}
impl Answer for Distinct {
    const LIST: Option<&'static str> = Some("values");
    fn columns(&self) -> Vec<String> {
        ["field", "value", "label", "count"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.values.len() as u64)
    }
}

/// The most fields of one call: each is a query of its own.
const MAX_FIELDS: usize = 10;

impl Counted {
    fn of(field: &str, group: Group) -> Option<Self> {
        let key = group.keys.into_iter().next()?;
        let (value, until) = match key.range {
            Some((from, until)) => (Value::from(from), Some(until)),
            None => (key.value, None),
        };
        Some(Self { field: field.to_owned(), value: Any(value), label: key.label, until, count: group.count })
    }
}
impl ReadTool for DistinctFieldValues {
    type Answer = Distinct;
    async fn call(self, cx: &ReadCx) -> Result<Distinct> {
        let names = self.fields.0;
        if names.is_empty() || names.len() > MAX_FIELDS {
            return Err(refusal(Code::InvalidArgument, format!("fields: name between 1 and {MAX_FIELDS}."))
                .next("For example [\"state\"].")
                .into());
        }
        let odoo = cx.odoo()?;
        odoo.check_fields(&self.model, &names).await?;
        let fields = odoo.fields(&self.model).await?;
        for name in &names {
            grouping::groupable(&self.model, &fields, name)?;
        }
        let (limit, note) = caps::limit(odoo.scope(), self.limit, 100)?;
        let mut answer =
            Distinct { model: self.model, fields: BTreeMap::new(), values: Vec::new(), notes: note.into_iter().collect() };
        let all = names.len() as u64;
        for (done, name) in (1..).zip(names) {
            let date = fields.get(&name).is_some_and(grouping::is_date);
            let groups = odoo
                .aggregate(&Aggregate {
                    model: answer.model.clone(),
                    domain: self.domain.0.clone(),
                    groupby: vec![GroupBy { field: name.clone(), granularity: date.then(|| "day".to_owned()) }],
                    measures: Vec::new(),
                    order: Some("__count desc".to_owned()),
                    // One more than is shown tells whether there are more.
                    limit: limit + 1,
                    offset: 0,
                })
                .await?;
            let cut = caps::more(odoo.scope(), limit, groups.len());
            let mut values: Vec<Counted> = groups.into_iter().filter_map(|g| Counted::of(&name, g)).collect();
            values.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            if cut {
                answer.notes.push(format!("{name} has more than {limit} values: the most frequent ones are listed."));
            }
            if date {
                answer.notes.push(format!("{name} is counted by day."));
            }
            answer.fields.insert(name, Shown { listed: values.len(), cut });
            answer.values.append(&mut values);
            cx.progress(done, all);
        }
        Ok(answer)
    }
}
pub const TOOL: Tool = tool::read::<DistinctFieldValues>("Distinct values of fields");
