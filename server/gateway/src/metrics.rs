//! Prometheus metrics with a fixed label set: nothing that a caller writes becomes a label.
use std::{sync::Arc, time::Instant};

use axum::http::StatusCode;
use kernel::{Category, Code, Facade};
use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// A figure that somebody else keeps, read when metrics are.
#[derive(Clone)]
pub struct Gauge {
    pub name: &'static str,
    pub help: &'static str,
    pub read: Arc<dyn Fn() -> i64 + Send + Sync>,
}

/// Which URL a request was for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Surface {
    Mcp,
    McpSse,
    Health,
    Oauth,
}
impl Surface {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::McpSse => "mcp_sse",
            Self::Health => "health",
            Self::Oauth => "oauth",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGaugeVec,
    requests: IntCounterVec,
    events: IntCounterVec,
    shares: IntCounterVec,
    /// Open streams that wait: of HTTP+SSE, of subscriptions, of legacy sessions.
    pub streams: IntGauge,
    pub sessions: IntGauge,
    pub body_bytes: IntGauge,
    pub cancelled: IntCounter,
}
impl Metrics {
    pub fn new(gauges: Vec<Gauge>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let calls = IntCounterVec::new(
            Opts::new("ocore_calls_total", "Tool calls by façade, category and outcome (ok, or the error's code)."),
            &["facade", "category", "outcome"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("ocore_call_seconds", "Seconds from a call's request to its answer.")
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 120.0]),
            &["facade", "category"],
        )?;
        let in_flight = IntGaugeVec::new(Opts::new("ocore_calls_in_flight", "Tool calls under way."), &["facade"])?;
        let requests = IntCounterVec::new(
            Opts::new("ocore_http_requests_total", "HTTP requests by surface and class of status."),
            &["surface", "status"],
        )?;
        let events =
            IntCounterVec::new(Opts::new("ocore_security_events_total", "Requests refused at the edge, by kind."), &["kind"])?;
        let shares = IntCounterVec::new(
            Opts::new(
                "ocore_share_refusals_total",
                "Requests refused because bodies, streams or sessions took all that a node or one organization may have.",
            ),
            &["what", "whose"],
        )?;
        let sessions = IntGauge::new("ocore_sessions_open", "Open sessions of MCP clients of 2025-11-25 and older.")?;
        let body_bytes = IntGauge::new("ocore_request_body_bytes", "Memory counted for the bodies of requests under way.")?;
        let streams = IntGauge::new("ocore_streams_open", "Open event streams that wait for messages.")?;
        let cancelled = IntCounter::new("ocore_calls_abandoned_total", "Calls whose client went away before the answer.")?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(events.clone()))?;
        registry.register(Box::new(shares.clone()))?;
        registry.register(Box::new(streams.clone()))?;
        registry.register(Box::new(sessions.clone()))?;
        registry.register(Box::new(body_bytes.clone()))?;
        registry.register(Box::new(cancelled.clone()))?;
        for gauge in gauges {
            registry.register(Box::new(Read::new(gauge)?))?;
        }
        Ok(Self { registry, calls, seconds, in_flight, requests, events, shares, streams, sessions, body_bytes, cancelled })
    }

    /// A call that begins; its end is recorded by the meter.
    pub fn call(self: &Arc<Self>, facade: Facade) -> Meter {
        self.in_flight.with_label_values(&[facade.as_str()]).inc();
        Meter { metrics: Arc::clone(self), facade, began: Instant::now(), ended: false }
    }
    pub fn request(&self, surface: Surface, status: StatusCode) {
        let class = match status.as_u16() {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[surface.as_str(), class]).inc();
    }
    pub fn security_event(&self, kind: &'static str) {
        self.events.with_label_values(&[kind]).inc();
    }
    pub fn refused_by_share(&self, what: &'static str, whose: &'static str) -> IntCounter {
        self.shares.with_label_values(&[what, whose])
    }
    /// The text exposition format, version 0.0.4.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Err(e) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::error!(error = %e, "metrics could not be written");
        }
        out
    }
}

/// One call under way.
#[derive(Debug)]
pub(crate) struct Meter {
    metrics: Arc<Metrics>,
    facade: Facade,
    began: Instant,
    ended: bool,
}
impl Meter {
    /// `category` is the tool's; none when there is no such tool.
    pub fn ended(&mut self, category: Option<Category>, code: Option<Code>) {
        self.ended = true;
        let facade = self.facade.as_str();
        let category = category.map_or("none", Category::as_str);
        self.metrics.calls.with_label_values(&[facade, category, code.map_or("ok", Code::as_str)]).inc();
        self.metrics.seconds.with_label_values(&[facade, category]).observe(self.began.elapsed().as_secs_f64());
    }
}
impl Drop for Meter {
    fn drop(&mut self) {
        self.metrics.in_flight.with_label_values(&[self.facade.as_str()]).dec();
        if !self.ended {
            self.metrics.cancelled.inc();
        }
    }
}

/// A gauge whose value is asked for at each scrape.
struct Read {
    gauge: IntGauge,
    read: Arc<dyn Fn() -> i64 + Send + Sync>,
}
impl Read {
    fn new(gauge: Gauge) -> Result<Self, prometheus::Error> {
        Ok(Self { gauge: IntGauge::new(gauge.name, gauge.help)?, read: gauge.read })
    }
}
impl Collector for Read {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set((self.read)());
        self.gauge.collect()
    }
}
