use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog::{self, Period, Rated},
};

/// PostHog: use and health of the instance at a glance: users (DAU, WAU, MAU), sessions, error rate, top modules, web vitals.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Default 7d
    #[serde(default)]
    period: Period,
}

/// What could not be found out is absent, and a note says why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    pub period: Period,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Errors>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Sessions>,
    /// Five at most, by page views.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_modules: Option<Vec<Module>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_vitals: Option<Vitals>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Users {
    pub dau: u64,
    pub wau: u64,
    pub mau: u64,
    /// In the period.
    pub active: u64,
    pub page_views: u64,
    pub events: u64,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Errors {
    pub count: u64,
    pub users: u64,
    /// The share of the sessions in which one happened, 0 to 1.
    pub rate: Option<f64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sessions {
    pub count: u64,
    pub change_percent: Option<f64>,
    pub average_seconds: Option<f64>,
    /// 0 to 1.
    pub bounce_rate: Option<f64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Module {
    pub module: String,
    /// What names it; posthog_module_usage explains.
    pub source: String,
    pub page_views: u64,
    pub users: u64,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Vitals {
    pub lcp: Rated,
    pub inp: Rated,
    pub cls: Rated,
}
impl Answer for Overview {}

const MODULES: u32 = 5;

/// What was found, or a note; the first failure is kept for when nothing was found at all.
fn found<T>(what: &str, result: Result<T>, notes: &mut Vec<String>, first: &mut Option<Fault>) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(fault) => {
            notes.push(format!("{what} are missing: {}", fault.public().message));
            first.get_or_insert(fault);
            None
        }
    }
}
impl ReadTool for Dashboard {
    type Answer = Overview;
    async fn call(self, cx: &ReadCx) -> Result<Overview> {
        let (reader, period) = (cx.posthog()?, self.period);
        let (activity, sessions, modules, vitals) = futures_util::join!(
            reader.activity(period),
            reader.sessions(period),
            reader.modules(period, MODULES),
            reader.vitals(period)
        );
        let (mut notes, mut first) = (Vec::new(), None);
        let activity = found("Users and errors", activity, &mut notes, &mut first);
        let sessions = found("Sessions", sessions, &mut notes, &mut first);
        let modules = found("Modules", modules, &mut notes, &mut first);
        let vitals = found("Web vitals", vitals, &mut notes, &mut first);
        if let Some(fault) = first
            && activity.is_none()
            && sessions.is_none()
            && modules.is_none()
            && vitals.is_none()
        {
            return Err(fault);
        }
        let mut lacks = |lacking: bool, what: &str, how: &str| {
            if lacking {
                notes.push(posthog::without(what, period, how));
            }
        };
        let nothing = activity.as_ref().is_some_and(|a| a.events == 0);
        lacks(nothing, "events", posthog::NO_EVENTS);
        if !nothing {
            lacks(activity.as_ref().is_some_and(|a| a.page_views == 0), "page views", posthog::NO_PAGE_VIEWS);
            lacks(activity.as_ref().is_some_and(|a| a.errors == 0), "$exception events", posthog::NO_ERRORS);
            lacks(sessions.as_ref().is_some_and(|s| s.sessions == 0), "sessions", posthog::NO_SESSIONS);
            lacks(vitals.as_ref().is_some_and(|v| v.events == 0), "$web_vitals events", posthog::NO_VITALS);
        }
        Ok(Overview {
            period,
            users: activity.as_ref().map(|a| Users {
                dau: a.dau,
                wau: a.wau,
                mau: a.mau,
                active: a.active_users,
                page_views: a.page_views,
                events: a.events,
            }),
            errors: activity.as_ref().map(|a| Errors {
                count: a.errors,
                users: a.users_with_errors,
                rate: posthog::share(a.sessions_with_errors, a.sessions),
            }),
            sessions: sessions.map(|s| Sessions {
                count: s.sessions,
                change_percent: posthog::change(s.sessions, s.before),
                average_seconds: s.average_seconds,
                bounce_rate: s.bounce_rate,
            }),
            top_modules: modules.map(|(modules, _)| {
                let row = |m: backends::posthog::ModuleUse| Module {
                    module: m.module,
                    source: m.source,
                    page_views: m.page_views,
                    users: m.users,
                };
                modules.into_iter().map(row).collect()
            }),
            web_vitals: vitals.map(|v| Vitals {
                lcp: posthog::rated(v.lcp, posthog::LCP),
                inp: posthog::rated(v.inp, posthog::INP),
                cls: posthog::rated(v.cls, posthog::CLS),
            }),
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<Dashboard>("Analytics dashboard (PostHog)");
