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

/// The handlers of prompts, resources and completion, inside `impl ServerHandler`.
macro_rules! handlers {
    () => {
        async fn list_prompts(
            &self,
            _: Option<PaginatedRequestParams>,
            context: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ListPromptsResult, ErrorData> {
            self.offers(&context)?.prompts()
        }
        async fn get_prompt(
            &self,
            request: rmcp::model::GetPromptRequestParams,
            context: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::GetPromptResponse, ErrorData> {
            let arguments = request.arguments.unwrap_or_default();
            self.offers(&context)?.prompt::<rmcp::model::GetPromptResult>(&request.name, &arguments).await.map(Into::into)
        }
        async fn list_resources(
            &self,
            _: Option<PaginatedRequestParams>,
            context: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ListResourcesResult, ErrorData> {
            self.offers(&context)?.resources()
        }
        async fn list_resource_templates(
            &self,
            _: Option<PaginatedRequestParams>,
            context: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ListResourceTemplatesResult, ErrorData> {
            self.offers(&context)?.templates()
        }
        async fn read_resource(
            &self,
            request: rmcp::model::ReadResourceRequestParams,
            context: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ReadResourceResponse, ErrorData> {
            self.offers(&context)?.read::<rmcp::model::ReadResourceResult>(&request.uri).await.map(Into::into)
        }
        async fn complete(
            &self,
            request: rmcp::model::CompleteRequestParams,
            context: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::CompleteResult, ErrorData> {
            let given = |name: &str| request.context.as_ref().and_then(|c| c.get_argument(name)).cloned();
            self.offers(&context)?.complete(&request.argument.name, &request.argument.value, given).await
        }
    };
}
pub(crate) use handlers;
