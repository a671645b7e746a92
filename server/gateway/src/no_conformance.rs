//! Stands in for `conformance.rs`, which no release build has: nothing is the fixture's.
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse},
    service::RequestContext,
};

pub(crate) const CAPABILITIES: Option<&str> = None;

pub(crate) fn owns(_method: &str) -> bool {
    false
}
pub(crate) fn owns_tool(_name: &str) -> bool {
    false
}
pub(crate) fn add_tools(_array: &mut Vec<u8>) {}

#[expect(dead_code, reason = "only the fixture makes them")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Changed {
    Tools,
    Prompts,
}

#[derive(Debug, Default)]
pub(crate) struct Fixture;
impl Fixture {
    #[expect(clippy::unused_async, reason = "the shape of the fixture's")]
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Err(ErrorData::invalid_params(format!("There is no tool {:?} here.", request.name), None))
    }
    #[expect(clippy::unused_self, reason = "the shape of the fixture's")]
    pub(crate) fn subscribe(&self) -> Nudges {
        Nudges
    }
}

#[derive(Debug)]
pub(crate) struct Nudges;
impl Nudges {
    #[expect(clippy::unused_self, reason = "the shape of the fixture's")]
    pub(crate) fn next(&mut self) -> std::future::Pending<Changed> {
        std::future::pending()
    }
}

macro_rules! handlers {
    () => {};
}
pub(crate) use handlers;
