use backends::posthog::Rpc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog::{self, Period},
};

/// PostHog: the slowest calls to Odoo on average, with their number. Needs odoo_rpc events, which Odoo has to be made to send.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowRpcs {
    /// Default 7d
    #[serde(default)]
    period: Period,
    /// Default 10, at most 100
    limit: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Slow {
    pub period: Period,
    pub calls: u64,
    pub average_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    /// The slowest on average first.
    pub rpcs: Vec<Endpoint>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Endpoint {
    /// Route, and model and method, as far as the events tell.
    pub endpoint: String,
    #[serde(flatten)]
    pub rpc: Rpc,
}
impl Answer for Slow {
    const LIST: Option<&'static str> = Some("rpcs");
    fn affected(&self) -> Option<u64> {
        Some(self.rpcs.len() as u64)
    }
}
impl From<Rpc> for Endpoint {
    fn from(rpc: Rpc) -> Self {
        let parts: Vec<&str> = [&rpc.model, &rpc.method].into_iter().flatten().map(String::as_str).collect();
        // Newer web clients say both in the path.
        let said = rpc.route.as_ref().is_some_and(|route| parts.len() == 2 && route.ends_with(&format!("/{}", parts.join("/"))));
        let called = if said { String::new() } else { parts.join(".") };
        let parts = rpc.route.iter().chain([&called]).filter(|part| !part.is_empty());
        let endpoint = parts.cloned().collect::<Vec<_>>().join(" ");
        Self { endpoint: if endpoint.is_empty() { "unknown".to_owned() } else { endpoint }, rpc }
    }
}
impl ReadTool for SlowRpcs {
    type Answer = Slow;
    async fn call(self, cx: &ReadCx) -> Result<Slow> {
        let (reader, period, limit) = (cx.posthog()?, self.period, posthog::limit(self.limit)?);
        let (totals, (rpcs, has_more)) = futures_util::try_join!(reader.rpc_totals(period), reader.rpcs(period, limit))?;
        let untimed = totals.events.saturating_sub(totals.calls);
        let mut notes = Vec::new();
        if totals.events == 0 {
            notes.push(posthog::without("odoo_rpc events", period, posthog::NO_RPCS));
        } else if untimed > 0 {
            notes.push(format!(
                "{untimed} of {} odoo_rpc events have no number in duration_ms and are not counted.",
                totals.events
            ));
        }
        Ok(Slow {
            period,
            calls: totals.calls,
            average_ms: totals.average_ms,
            p95_ms: totals.p95_ms,
            rpcs: rpcs.into_iter().map(Endpoint::from).collect(),
            has_more,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<SlowRpcs>("Slow calls (PostHog)");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_by_what_is_known() {
        let named = |route: Option<&str>, model: Option<&str>, method: Option<&str>| {
            let [route, model, method] = [route, model, method].map(|t| t.map(str::to_owned));
            Endpoint::from(Rpc { route, model, method, calls: 1, average_ms: None, p95_ms: None, slowest_ms: None, users: 1 })
                .endpoint
        };
        let route = Some("/web/dataset/call_kw");
        assert_eq!(named(route, Some("sale.order"), Some("read")), "/web/dataset/call_kw sale.order.read");
        assert_eq!(named(None, Some("sale.order"), Some("read")), "sale.order.read");
        assert_eq!(named(route, None, None), "/web/dataset/call_kw");
        let long = "/web/dataset/call_kw/sale.order/read";
        assert_eq!(named(Some(long), Some("sale.order"), Some("read")), long);
        assert_eq!(named(None, None, None), "unknown");
    }
}
