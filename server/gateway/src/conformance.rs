//! The fixture that the official conformance suite calls: tools, prompts and resources with fixed names and answers.
//!
//! Compiled with the feature `conformance` alone, which no release build has. Its requests pass the same edge as real ones;
//! rmcp runs them, because they exercise what the product does not use (sampling, elicitation, protocol logging).
#![expect(deprecated, reason = "the suite still asks for sampling and protocol logging")]
#![expect(clippy::needless_pass_by_value, reason = "JSON is written in place")]
use std::{
    collections::HashSet,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateMessageRequestParams,
        ElicitRequestParams, GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequiredResult, InputResponses,
        LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion, ReadResourceResult, Tool,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// A red pixel.
const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";
/// Silence.
const AUDIO: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
/// Between two messages of the tools that send several.
const PAUSE: Duration = Duration::from_millis(50);

const METHODS: [&str; 9] = [
    "completion/complete",
    "logging/setLevel",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
];

pub(crate) const CAPABILITIES: Option<&str> = Some(
    r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true},"completions":{},"logging":{}}"#,
);

pub(crate) fn owns(method: &str) -> bool {
    METHODS.contains(&method)
}

static TOOLS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let empty = || json!({"type": "object", "properties": {}});
    let text = |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]});
    let plain = |name: &str, description: &str| json!({"name": name, "description": description, "inputSchema": empty()});
    vec![
        plain("test_simple_text", "Answers with text"),
        plain("test_image_content", "Answers with an image"),
        plain("test_audio_content", "Answers with sound"),
        plain("test_embedded_resource", "Answers with a resource"),
        plain("test_multiple_content_types", "Answers with text, an image and a resource"),
        plain("test_error_handling", "Always fails"),
        plain("test_tool_with_logging", "Logs while it works"),
        plain("test_logging_tool", "Logs when the request asks for it"),
        plain("test_tool_with_progress", "Reports progress"),
        json!({"name": "test_sampling", "description": "Asks the client's model", "inputSchema": text("prompt")}),
        json!({"name": "test_elicitation", "description": "Asks the user", "inputSchema": text("message")}),
        plain("test_elicitation_sep1034_defaults", "Asks the user with defaults"),
        plain("test_elicitation_sep1330_enums", "Asks the user with choices"),
        json!({"name": "json_schema_2020_12_tool", "description": "Has a schema with many keywords", "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {"$anchor": "addressDef", "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
            "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
                "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                "phone": {"type": "string"}, "email": {"type": "string"}},
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false,
        }}),
        plain("test_reconnection", "Closes its stream and answers on another"),
        plain("test_missing_capability", "Needs a client that samples"),
        plain("test_streaming_elicitation", "Needs input"),
        plain("test_trigger_tool_change", "Says that tools have changed"),
        plain("test_trigger_prompt_change", "Says that prompts have changed"),
        json!({"name": "test_header_param", "description": "Has an argument that is mirrored into a header", "inputSchema": {
            "type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}}),
        plain("test_input_required_result_elicitation", "Needs a name"),
        plain("test_input_required_result_sampling", "Needs the client's model"),
        plain("test_input_required_result_list_roots", "Needs the client's roots"),
        plain("test_input_required_result_request_state", "Needs a confirmation and its state back"),
        plain("test_input_required_result_multiple_inputs", "Needs several things at once"),
        plain("test_input_required_result_multi_round", "Needs two answers, one after the other"),
        plain("test_input_required_result_tampered_state", "Refuses a state that is not its own"),
        plain("test_input_required_result_capabilities", "Asks for what the client can do"),
    ]
});

fn tool(name: &str) -> Option<&'static Value> {
    TOOLS.iter().find(|t| t.get("name").is_some_and(|n| n == name))
}
pub(crate) fn owns_tool(name: &str) -> bool {
    tool(name).is_some()
}
/// For the check of `Mcp-Param-*` headers.
pub(crate) fn schema_of(name: &str) -> Option<Tool> {
    made(tool(name)?.clone()).ok()
}
/// Adds the fixture's tools to a written JSON array.
pub(crate) fn add_tools(array: &mut Vec<u8>) {
    array.pop();
    for tool in TOOLS.iter() {
        if array.last() != Some(&b'[') {
            array.push(b',');
        }
        array.extend_from_slice(tool.to_string().as_bytes());
    }
    array.push(b']');
}

/// What is no result of its own kind is a complete one; rmcp takes the mark off for legacy clients.
fn made<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    if let Some(result) = value.as_object_mut()
        && ["content", "messages", "contents", "prompts", "resources", "resourceTemplates", "completion"]
            .iter()
            .any(|k| result.contains_key(*k))
    {
        result.insert("resultType".into(), "complete".into());
    }
    serde_json::from_value(value).map_err(|e| ErrorData::internal_error(format!("the fixture is wrong: {e}"), None))
}
fn complete(content: Value) -> Result<CallToolResponse, ErrorData> {
    made::<CallToolResult>(json!({"content": content})).map(Into::into)
}
fn said(text: impl Into<String>) -> Result<CallToolResponse, ErrorData> {
    complete(json!([{"type": "text", "text": text.into()}]))
}
fn required<T: From<InputRequiredResult>>(requests: Value, state: Option<String>) -> Result<T, ErrorData> {
    made::<InputRequiredResult>(json!({"resultType": "input_required", "inputRequests": requests, "requestState": state}))
        .map(Into::into)
}
fn elicit(message: &str, field: &str, kind: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message,
        "requestedSchema": {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}}})
}
fn sample(text: &str) -> Value {
    json!({"method": "sampling/createMessage", "params": {"maxTokens": 100,
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}]}})
}
fn modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|v| v.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Changed {
    Tools,
    Prompts,
}

/// What the fixture keeps: the states that it gave out, and who waits for changes.
#[derive(Debug)]
pub(crate) struct Fixture {
    states: Mutex<HashSet<String>>,
    next: AtomicU64,
    changes: broadcast::Sender<Changed>,
}
impl Default for Fixture {
    fn default() -> Self {
        Self { states: Mutex::default(), next: AtomicU64::new(1), changes: broadcast::channel(16).0 }
    }
}

impl Fixture {
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let argument = |name: &str| {
            request.arguments.as_ref().and_then(|a| a.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match &*request.name {
            "test_simple_text" => said("This is a simple text response for testing."),
            "test_image_content" => complete(json!([{"type": "image", "data": IMAGE, "mimeType": "image/png"}])),
            "test_audio_content" => complete(json!([{"type": "audio", "data": AUDIO, "mimeType": "audio/wav"}])),
            "test_embedded_resource" => complete(json!([{"type": "resource", "resource": {
                "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content."}}])),
            "test_multiple_content_types" => complete(json!([
                {"type": "text", "text": "Multiple content types test:"},
                {"type": "image", "data": IMAGE, "mimeType": "image/png"},
                {"type": "resource", "resource": {"uri": "test://mixed-content-resource", "mimeType": "application/json",
                    "text": "{\"test\":\"data\",\"value\":123}"}},
            ])),
            "test_error_handling" => made::<CallToolResult>(json!({"isError": true,
                "content": [{"type": "text", "text": "This tool intentionally returns an error for testing"}]}))
            .map(Into::into),
            "test_tool_with_logging" | "test_logging_tool" => self.log(&context).await,
            "test_tool_with_progress" => {
                for progress in [0.0, 50.0, 100.0] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let param = ProgressNotificationParam::new(token, progress).with_total(100.0);
                        let _ = context.peer.notify_progress(param).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                said("Progress is complete.")
            }
            "test_sampling" => {
                let params: CreateMessageRequestParams =
                    made(sample(&argument("prompt")).get("params").cloned().unwrap_or_default())?;
                match context.peer.create_message(params).await {
                    Ok(result) => said(format!("LLM response: {}", json!(result.message.content))),
                    Err(e) => {
                        made::<CallToolResult>(json!({"isError": true, "content": [{"type": "text", "text": e.to_string()}]}))
                            .map(Into::into)
                    }
                }
            }
            "test_elicitation" => {
                let schema = json!({"type": "object", "required": ["username", "email"], "properties": {
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"}}});
                ask(&context, &argument("message"), schema).await
            }
            "test_elicitation_sep1034_defaults" => {
                let schema = json!({"type": "object", "properties": {
                    "name": {"type": "string", "description": "Name", "default": "John Doe"},
                    "age": {"type": "integer", "description": "Age", "default": 30},
                    "score": {"type": "number", "description": "Score", "default": 95.5},
                    "status": {"type": "string", "description": "Status", "enum": ["active", "inactive", "pending"], "default": "active"},
                    "verified": {"type": "boolean", "description": "Verified", "default": true}}});
                ask(&context, "Please check the values.", schema).await
            }
            "test_elicitation_sep1330_enums" => {
                let titled = |name: &str, title: &str| -> Vec<Value> {
                    ["First", "Second", "Third"]
                        .iter()
                        .zip(1..)
                        .map(|(t, n)| json!({"const": format!("{name}{n}"), "title": format!("{t} {title}")}))
                        .collect()
                };
                let schema = json!({"type": "object", "properties": {
                    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
                    "titledSingle": {"type": "string", "oneOf": titled("value", "Option")},
                    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
                    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
                    "titledMulti": {"type": "array", "items": {"anyOf": titled("value", "Choice")}}}});
                ask(&context, "Please choose.", schema).await
            }
            "test_missing_capability" => {
                let mut needed = ClientCapabilities::default();
                needed.sampling = Some(rmcp::model::SamplingCapability::default());
                if context.client_capabilities().is_none_or(|c| c.sampling.is_none()) {
                    return Err(ErrorData::missing_required_client_capability(needed));
                }
                said("The client samples.")
            }
            "test_reconnection" => {
                tokio::time::sleep(2 * PAUSE).await;
                said("Reconnected.")
            }
            "test_trigger_tool_change" => {
                let _ = self.changes.send(Changed::Tools);
                said("The tools have changed.")
            }
            "test_trigger_prompt_change" => {
                let _ = self.changes.send(Changed::Prompts);
                said("The prompts have changed.")
            }
            "json_schema_2020_12_tool" => said(format!("Hello, {}!", argument("name"))),
            "test_header_param" => said(format!("The region is {}.", argument("region"))),
            name => self.rounds(name, &request, &context),
        }
    }

    async fn log(&self, context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        // In the modern era a request says itself what it wants logged.
        let wanted = !modern(context) || context.meta.log_level().is_some();
        for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
            if wanted {
                let _ = context
                    .peer
                    .notify_logging_message(LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(text)))
                    .await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        said("Logging is complete.")
    }

    /// The tools that answer "input required" first (2026-07-28, Multi Round-Trip Requests).
    fn rounds(
        &self,
        name: &str,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let responses = request.input_responses.as_ref();
        let given = |key: &str| responses.and_then(|r| r.get(key));
        let name_wanted = || json!({"user_name": elicit("What is your name?", "name", "string")});
        let confirm = || json!({"confirm": elicit("Please confirm", "ok", "boolean")});
        let state = request.request_state.as_deref();
        match name {
            "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
                let answer =
                    given("user_name").and_then(|r| r.get("content")).and_then(|c| c.get("name")).and_then(Value::as_str);
                answer.map_or_else(|| required(name_wanted(), None), |name| said(format!("Hello, {name}!")))
            }
            "test_input_required_result_sampling" => match given("capital_question") {
                None => required(json!({"capital_question": sample("What is the capital of France?")}), None),
                Some(answer) => said(format!("The model says {answer}")),
            },
            "test_input_required_result_list_roots" => match given("client_roots") {
                None => required(json!({"client_roots": {"method": "roots/list", "params": {}}}), None),
                Some(roots) => said(format!("The roots are {roots}")),
            },
            "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
                if responses.is_none() && state.is_none() {
                    return required(confirm(), Some(self.state()));
                }
                self.check(state)?;
                said("state-ok")
            }
            "test_input_required_result_multiple_inputs" => {
                let requests = json!({"user_name": elicit("What is your name?", "name", "string"),
                    "greeting": sample("Generate a greeting"), "client_roots": {"method": "roots/list", "params": {}}});
                if ["user_name", "greeting", "client_roots"].iter().any(|key| given(key).is_none()) {
                    return required(requests, Some(self.state()));
                }
                self.check(state)?;
                said("Everything is there.")
            }
            "test_input_required_result_multi_round" => {
                if given("step2").is_some() {
                    self.check(state)?;
                    return said("Both steps are done.");
                }
                if given("step1").is_some() {
                    self.check(state)?;
                    return required(
                        json!({"step2": elicit("Step 2: What is your favorite color?", "color", "string")}),
                        Some(self.state()),
                    );
                }
                required(json!({"step1": elicit("Step 1: What is your name?", "name", "string")}), Some(self.state()))
            }
            "test_input_required_result_capabilities" => {
                let can = json!(context.client_capabilities().unwrap_or_default());
                let mut requests = serde_json::Map::new();
                if can.get("sampling").is_some() {
                    requests.insert("sampled".into(), sample("Say something"));
                }
                if can.get("elicitation").is_some() {
                    requests.insert("asked".into(), elicit("What is your name?", "name", "string"));
                }
                if responses.is_some() { said("Done.") } else { required(requests.into(), None) }
            }
            other => Err(ErrorData::invalid_params(format!("There is no tool {other:?} here."), None)),
        }
    }

    /// A state to be handed back: a handle that means nothing anywhere else.
    fn state(&self) -> String {
        let state = format!("round-{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.states.lock().insert(state.clone());
        state
    }
    fn check(&self, state: Option<&str>) -> Result<(), ErrorData> {
        let known = state.is_some_and(|state| self.states.lock().contains(state));
        known.then_some(()).ok_or_else(|| ErrorData::invalid_params("This requestState is not one of ours.", None))
    }

    pub(crate) fn subscribe(&self) -> Nudges {
        Nudges(self.changes.subscribe())
    }
}

/// What the tools that trigger changes tell subscriptions.
#[derive(Debug)]
pub(crate) struct Nudges(broadcast::Receiver<Changed>);
impl Nudges {
    pub(crate) async fn next(&mut self) -> Changed {
        loop {
            match self.0.recv().await {
                Ok(changed) => return changed,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

async fn ask(context: &RequestContext<RoleServer>, message: &str, schema: Value) -> Result<CallToolResponse, ErrorData> {
    let params: ElicitRequestParams = made(json!({"mode": "form", "message": message, "requestedSchema": schema}))?;
    match context.peer.create_elicitation(params).await {
        Ok(result) => said(format!("Elicitation completed: action={}, content={}", json!(result.action), json!(result.content))),
        Err(e) => {
            made::<CallToolResult>(json!({"isError": true, "content": [{"type": "text", "text": e.to_string()}]})).map(Into::into)
        }
    }
}

pub(crate) fn prompts<T: DeserializeOwned>() -> Result<T, ErrorData> {
    let argument = |name: &str| json!({"name": name, "description": "An argument", "required": true});
    made(json!({"prompts": [
        {"name": "test_simple_prompt", "description": "A prompt without arguments"},
        {"name": "test_prompt_with_arguments", "description": "A prompt with arguments", "arguments": [argument("arg1"), argument("arg2")]},
        {"name": "test_prompt_with_embedded_resource", "description": "A prompt with a resource", "arguments": [argument("resourceUri")]},
        {"name": "test_prompt_with_image", "description": "A prompt with an image"},
        {"name": "test_input_required_result_prompt", "description": "A prompt that needs input"},
    ]}))
}

pub(crate) fn prompt(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| request.arguments.as_ref().and_then(|a| a.get(name)).and_then(Value::as_str).unwrap_or_default();
    let message = |content: Value| json!({"role": "user", "content": content});
    let text = |text: String| message(json!({"type": "text", "text": text}));
    let messages = match &*request.name {
        "test_simple_prompt" => json!([text("This is a simple prompt for testing.".into())]),
        "test_prompt_with_arguments" => {
            json!([text(format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2")))])
        }
        "test_prompt_with_embedded_resource" => json!([
            message(json!({"type": "resource", "resource": {"uri": argument("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing."}})),
            text("Please process the embedded resource above.".into()),
        ]),
        "test_prompt_with_image" => json!([
            message(json!({"type": "image", "data": IMAGE, "mimeType": "image/png"})),
            text("Please analyze the image above.".into()),
        ]),
        "test_input_required_result_prompt" => {
            let given = |responses: &InputResponses| responses.get("user_context").map(ToString::to_string);
            match request.input_responses.as_ref().and_then(given) {
                None => {
                    return required(
                        json!({"user_context": elicit("What context should the prompt use?", "context", "string")}),
                        None,
                    );
                }
                Some(context) => json!([text(format!("The context is {context}"))]),
            }
        }
        other => return Err(ErrorData::invalid_params(format!("There is no prompt {other:?} here."), None)),
    };
    made::<GetPromptResult>(json!({"messages": messages})).map(Into::into)
}

pub(crate) fn resources<T: DeserializeOwned>() -> Result<T, ErrorData> {
    made(json!({"resources": [
        {"uri": "test://static-text", "name": "Static text", "description": "A text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "Static image", "description": "An image", "mimeType": "image/png"},
        {"uri": "test://watched-resource", "name": "Watched text", "description": "A text to subscribe to", "mimeType": "text/plain"},
    ]}))
}

pub(crate) fn templates<T: DeserializeOwned>() -> Result<T, ErrorData> {
    made(json!({"resourceTemplates": [{"uriTemplate": "test://template/{id}/data", "name": "Template",
        "description": "A text with a parameter", "mimeType": "application/json"}]}))
}

pub(crate) fn resource(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let content = match uri {
        "test://static-text" => {
            json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
        }
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": IMAGE}),
        "test://watched-resource" => json!({"uri": uri, "mimeType": "text/plain", "text": "Watched."}),
        other => {
            let id = other.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
            let Some(id) = id else {
                return Err(ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri}))));
            };
            let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")}).to_string();
            json!({"uri": uri, "mimeType": "application/json", "text": text})
        }
    };
    made(json!({"contents": [content]}))
}

pub(crate) fn completion<T: DeserializeOwned>() -> Result<T, ErrorData> {
    made(json!({"completion": {"values": ["testValue"], "total": 1, "hasMore": false}}))
}

/// The handlers of the fixture, inside `impl ServerHandler`.
macro_rules! handlers {
    () => {
        fn get_tool(&self, name: &str) -> Option<rmcp::model::Tool> {
            crate::conformance::schema_of(name)
        }
        async fn list_prompts(
            &self,
            _: Option<PaginatedRequestParams>,
            _: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ListPromptsResult, ErrorData> {
            crate::conformance::prompts()
        }
        async fn get_prompt(
            &self,
            request: rmcp::model::GetPromptRequestParams,
            _: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::GetPromptResponse, ErrorData> {
            crate::conformance::prompt(&request)
        }
        async fn list_resources(
            &self,
            _: Option<PaginatedRequestParams>,
            _: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ListResourcesResult, ErrorData> {
            crate::conformance::resources()
        }
        async fn list_resource_templates(
            &self,
            _: Option<PaginatedRequestParams>,
            _: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ListResourceTemplatesResult, ErrorData> {
            crate::conformance::templates()
        }
        async fn read_resource(
            &self,
            request: rmcp::model::ReadResourceRequestParams,
            _: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::ReadResourceResponse, ErrorData> {
            crate::conformance::resource(&request.uri).map(Into::into)
        }
        async fn complete(
            &self,
            _: rmcp::model::CompleteRequestParams,
            _: RequestContext<RoleServer>,
        ) -> Result<rmcp::model::CompleteResult, ErrorData> {
            crate::conformance::completion()
        }
        #[allow(deprecated)]
        async fn set_level(&self, _: rmcp::model::SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
            Ok(())
        }
        #[allow(deprecated)]
        async fn subscribe(
            &self,
            _: rmcp::model::SubscribeRequestParams,
            _: RequestContext<RoleServer>,
        ) -> Result<(), ErrorData> {
            Ok(())
        }
        #[allow(deprecated)]
        async fn unsubscribe(
            &self,
            _: rmcp::model::UnsubscribeRequestParams,
            _: RequestContext<RoleServer>,
        ) -> Result<(), ErrorData> {
            Ok(())
        }
    };
}
pub(crate) use handlers;
