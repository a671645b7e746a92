//! What the tools for PostHog share: bounds, rates, and the notes that say what figures stand on.
pub use backends::posthog::Period;
use backends::posthog::{Reader, Vital};
use kernel::{Code, Result, refusal};
use schemars::JsonSchema;
use serde::Serialize;

const MOST: u64 = 100;

/// How many rows; 10 when nobody says.
pub fn limit(asked: Option<u64>) -> Result<u32> {
    let asked = asked.unwrap_or(10);
    match u32::try_from(asked) {
        Ok(limit) if (1..=MOST).contains(&asked) => Ok(limit),
        _ => Err(refusal(Code::InvalidArgument, format!("limit: {asked} is not between 1 and {MOST}."))
            .next("Leave it out for 10; the totals in the answer count everything.")
            .into()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
}
fn rounded(n: f64) -> f64 {
    (n * 10_000.0).round() / 10_000.0
}
/// The share of a part, 0 to 1; of nothing there is none.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(float(part) / float(whole)))
}
/// Percent more (or less) than in the time before; none when there was nothing then.
pub fn change(now: u64, before: u64) -> Option<f64> {
    (before > 0).then(|| rounded((float(now) - float(before)) / float(before) * 100.0))
}

/// One web vital with what Google makes of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rated {
    #[serde(flatten)]
    pub vital: Vital,
    /// Of the p75: `good`, `needs improvement` or `poor`; absent without samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<&'static str>,
}
/// The p75 up to which a page is good, and above which it is poor: LCP, INP and FCP in milliseconds, CLS without unit.
pub const LCP: [f64; 2] = [2_500.0, 4_000.0];
pub const INP: [f64; 2] = [200.0, 500.0];
pub const CLS: [f64; 2] = [0.1, 0.25];
pub const FCP: [f64; 2] = [1_800.0, 3_000.0];

pub fn rated(vital: Vital, [good, poor]: [f64; 2]) -> Rated {
    let rating = vital.p75.map(|p75| match p75 {
        p if p <= good => "good",
        p if p <= poor => "needs improvement",
        _ => "poor",
    });
    Rated { vital, rating }
}

/// That there is nothing to count is told with what would make it.
pub fn without(what: &str, period: Period, how: &str) -> String {
    let days = period.days();
    let since = if days == 1 { "the last day".to_owned() } else { format!("the last {days} days") };
    format!("PostHog has no {what} from {since}: {how}")
}
pub const NO_EVENTS: &str = "check that Odoo's pages load PostHog's library for this project.";
pub const NO_PAGE_VIEWS: &str = "PostHog's library in Odoo's pages captures them (ocore's guide says how).";
pub const NO_VITALS: &str = "PostHog's library captures them when web vitals are on in the project's settings.";
pub const NO_ERRORS: &str = "either none happened, or exception autocapture is off in the project's settings.";
pub const NO_SESSIONS: &str = "PostHog's library in Odoo's pages makes them; events of servers alone have none.";
pub const NO_RPCS: &str = "PostHog captures no calls of servers by itself, so Odoo has to send this event with the properties route, \
                           model, method and duration_ms (ocore's guide has an example).";

/// For a key that is limited to some models or companies.
pub fn anonymous(reader: &Reader, what: &str) -> Option<String> {
    reader.anonymous().then(|| format!("{what} are left out: this key is limited to some models or companies."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(limit(None).unwrap(), 10);
        assert_eq!(limit(Some(100)).unwrap(), 100);
        for bad in [0, 101, u64::MAX] {
            assert_eq!(limit(Some(bad)).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn shares_and_changes() {
        assert_eq!((share(1, 3), share(1, 0)), (Some(0.3333), None));
        assert_eq!((change(3, 2), change(1, 2), change(5, 0)), (Some(50.0), Some(-50.0), None));
    }

    #[test]
    fn ratings_go_by_the_p75() {
        let of = |p75| rated(Vital { samples: 1, p50: None, p75, p95: None }, LCP).rating;
        assert_eq!(of(Some(2_500.0)), Some("good"));
        assert_eq!(of(Some(4_000.0)), Some("needs improvement"));
        assert_eq!(of(Some(4_000.1)), Some("poor"));
        assert_eq!(of(None), None);
    }
}
