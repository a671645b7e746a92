use backends::posthog::SlowPage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog::{self, Period, Rated},
};

/// PostHog: how fast Odoo's pages are for their users: LCP, INP, CLS and FCP with Google's rating, and the slowest pages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebVitals {
    /// Default 7d
    #[serde(default)]
    period: Period,
}

/// Milliseconds; CLS has no unit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Measured {
    pub period: Period,
    pub events: u64,
    pub lcp: Rated,
    pub inp: Rated,
    pub cls: Rated,
    pub fcp: Rated,
    /// By LCP, of pages with at least 3 samples; 10 at most.
    pub slowest_pages: Vec<SlowPage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Measured {
    const LIST: Option<&'static str> = Some("slowest_pages");
}
impl ReadTool for WebVitals {
    type Answer = Measured;
    async fn call(self, cx: &ReadCx) -> Result<Measured> {
        let (reader, period) = (cx.posthog()?, self.period);
        let (vitals, slowest_pages) = futures_util::try_join!(reader.vitals(period), reader.slow_pages(period, 10))?;
        let mut notes = Vec::new();
        if vitals.events == 0 {
            notes.push(posthog::without("$web_vitals events", period, posthog::NO_VITALS));
        }
        Ok(Measured {
            period,
            events: vitals.events,
            lcp: posthog::rated(vitals.lcp, posthog::LCP),
            inp: posthog::rated(vitals.inp, posthog::INP),
            cls: posthog::rated(vitals.cls, posthog::CLS),
            fcp: posthog::rated(vitals.fcp, posthog::FCP),
            slowest_pages,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<WebVitals>("Web vitals (PostHog)");
