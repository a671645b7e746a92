//! One MCP request of the stateless era (2026-07-28) to `/mcp`: what `instances`, `tools` and `call` are made of.
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::StreamExt as _;
use reqwest::{StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    access::Access,
    http::{self, ANSWER},
    plain,
    sse::Events,
};
use crate::failure::{Exit, Failure, Result};

/// The version that is spoken.
const VERSION: &str = "2026-07-28";

/// What a tool answered.
#[derive(Debug)]
pub struct Answer {
    /// The structured content.
    pub body: Value,
    /// The text content.
    pub text: String,
    /// How many pictures and files came beside it.
    pub attached: usize,
}

/// How a call ended that was not refused.
#[derive(Debug)]
pub enum Reply {
    Done(Answer),
    /// It would change something that wants a confirmation: `message`, `plan`, `confirm_token`.
    Confirm(Value),
}

/// A tool as it is listed.
#[derive(Debug, Clone, Deserialize)]
pub struct Tool {
    pub name: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub description: String,
    #[serde(default, rename = "inputSchema")]
    pub input: Value,
    #[serde(default)]
    pub annotations: Annotations,
}
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    #[serde(default)]
    pub read_only_hint: bool,
    #[serde(default)]
    pub destructive_hint: bool,
}
impl Tool {
    /// The arguments that it cannot do without.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.input.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
    /// `read`, `write` or `destructive`, as the annotations say.
    pub fn access(&self) -> &'static str {
        if self.annotations.read_only_hint {
            "read"
        } else if self.annotations.destructive_hint {
            "destructive"
        } else {
            "write"
        }
    }
}

/// A step of long work, as the server tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub done: f64,
    pub total: Option<f64>,
    pub text: String,
}

/// A refusal as every façade words it.
#[derive(Debug, Deserialize)]
struct Said {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    next: String,
}

/// An instance as `ocore_list_instances` tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Instance {
    pub slug: String,
    pub tool_prefix: String,
}

impl Access {
    /// The instances that this person or key sees, as the server words them.
    pub async fn instances(&self) -> Result<Value> {
        let answer = self.plain_call("ocore_list_instances", json!({})).await?;
        Ok(answer.body.get("instances").cloned().unwrap_or_else(|| json!([])))
    }

    /// The tools, of one instance or of all.
    pub async fn tools(&self, instance: Option<&str>) -> Result<Vec<Tool>> {
        let query = instance.map(|slug| {
            format!("?{}", url::form_urlencoded::Serializer::new(String::new()).append_pair("instances", slug).finish())
        });
        let mut tools = Vec::new();
        let mut cursor: Option<String> = None;
        // A cursor that leads on for ever is no list.
        for _ in 0..100 {
            let params = cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
            let mut result = self.request("tools/list", params, query.as_deref(), true, |_| {}).await?;
            let page = result.get_mut("tools").map(Value::take).unwrap_or_default();
            let page: Vec<Tool> = serde_json::from_value(page)
                .map_err(|_| Failure::failed(format!("{} lists tools in a form that is not understood.", self.address)))?;
            tools.extend(page);
            cursor = result.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(tools)
    }

    /// The same where no confirmation can be asked for.
    async fn plain_call(&self, name: &str, arguments: Value) -> Result<Answer> {
        match self.call(name, arguments, true, |_| {}).await? {
            Reply::Done(answer) => Ok(answer),
            Reply::Confirm(warning) => Err(Refused::of(&warning, "").into()),
        }
    }

    /// Calls a tool. `reads` says that it changes nothing, so that a lost answer is no unknown outcome.
    ///
    /// # Errors
    /// Every refusal but the wish for a confirmation, as the exit codes tell them apart.
    pub async fn call(&self, name: &str, arguments: Value, reads: bool, progress: impl FnMut(Progress)) -> Result<Reply> {
        let params = json!({"name": name, "arguments": arguments});
        let result = self.request("tools/call", params, None, reads, progress).await?;
        if result.get("resultType").and_then(Value::as_str).is_some_and(|kind| kind != "complete") {
            return Err(Failure::failed(format!("{} asks for something that this command cannot answer.", self.address)));
        }
        let content = result.get("content").and_then(Value::as_array);
        let kind = |item: &Value, kind: &str| item.get("type").and_then(Value::as_str) == Some(kind);
        let texts = content.into_iter().flatten().filter(|item| kind(item, "text")).filter_map(|item| item.get("text")?.as_str());
        let text = texts.collect::<Vec<_>>().join("\n");
        let attached = content.into_iter().flatten().filter(|item| !kind(item, "text")).count();
        let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
        let body = result.get("structuredContent").cloned().unwrap_or(Value::Null);
        if is_error {
            if body.get("code").and_then(Value::as_str) == Some("confirm_required") {
                return Ok(Reply::Confirm(body));
            }
            return Err(Refused::of(&body, &text).into());
        }
        Ok(Reply::Done(Answer { body, text, attached }))
    }

    /// One request; its `result`. A token that is refused is renewed once.
    pub async fn request(
        &self,
        method: &str,
        mut params: Value,
        query: Option<&str>,
        reads: bool,
        mut progress: impl FnMut(Progress),
    ) -> Result<Value> {
        let url = format!("{}{}", self.address.resource(), query.unwrap_or(""));
        let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).map(header_value);
        if let Some(params) = params.as_object_mut() {
            let mut meta = json!({
                "io.modelcontextprotocol/protocolVersion": VERSION,
                "io.modelcontextprotocol/clientInfo": {"name": "ocore-cli", "version": env!("CARGO_PKG_VERSION")},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            if method == "tools/call"
                && let Some(meta) = meta.as_object_mut()
            {
                meta.insert("progressToken".into(), json!("1"));
            }
            params.insert("_meta".into(), meta);
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let post = |token: &SecretString| {
            let mut request = self
                .http
                .post(&url)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, "application/json, text/event-stream")
                .header("mcp-protocol-version", VERSION)
                .header("mcp-method", method)
                .bearer_auth(token.expose_secret());
            if let Some(name) = &name {
                request = request.header("mcp-name", name);
            }
            http::send(request.body(body.clone()), &url)
        };
        let lost = |error: http::Error| outcome(error, reads);
        let token = self.bearer().await?;
        let mut response = post(&token).await.map_err(lost)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let token = self.renew(&token).await?;
            response = post(&token).await.map_err(lost)?;
        }
        let status = response.status();
        let streamed = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.starts_with("text/event-stream"));
        let message = if streamed {
            stream(response, &url, &mut progress).await.map_err(lost)?
        } else {
            let wait =
                response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u32>().ok());
            let body = http::body(response, &url, ANSWER).await.map_err(lost)?;
            let message = serde_json::from_slice::<Value>(&body).ok();
            match message {
                Some(message) if message.get("jsonrpc").is_some() => message,
                other => return Err(self.turned_away(status, other.as_ref(), wait)),
            }
        };
        self.result(message)
    }

    fn result(&self, mut message: Value) -> Result<Value> {
        if let Some(result) = message.get_mut("result") {
            return Ok(result.take());
        }
        let error = message.get("error");
        let text = error.and_then(|e| e.get("message")).and_then(Value::as_str).unwrap_or("");
        if let Some(said) = error.and_then(|e| e.get("data")).and_then(|data| Said::deserialize(data).ok()) {
            return Err(failure(&said.code, &said.message, &said.next));
        }
        let code = error.and_then(|e| e.get("code")).and_then(Value::as_i64);
        let text = plain::cut(text, 500);
        Err(match code {
            Some(-32602) => failure("invalid_argument", &text, ""),
            _ => Failure::failed(format!("{} answered: {text} ({})", self.address, code.unwrap_or_default())),
        })
    }

    /// An answer that is no JSON-RPC: the door's.
    fn turned_away(&self, status: StatusCode, body: Option<&Value>, wait: Option<u32>) -> Failure {
        if status == StatusCode::UNAUTHORIZED {
            return super::access::lost(&self.address, "The server does not take this login any more.");
        }
        if let Some(said) = body.and_then(|b| Said::deserialize(b).ok()) {
            return failure(&said.code, &said.message, &said.next);
        }
        let said = match status {
            StatusCode::FORBIDDEN => failure("permission_denied", &format!("{} does not let you in.", self.address), ""),
            StatusCode::NOT_FOUND => {
                Failure::failed(format!("There is no ocore at {}.", self.address)).next("Check the address.")
            }
            StatusCode::TOO_MANY_REQUESTS => failure("rate_limited", &format!("{} is asked too often.", self.address), ""),
            _ => Failure::failed(format!("{} answered {}.", self.address, status.as_u16())),
        };
        match wait {
            Some(seconds) => said.next(format!("Try again in {seconds} seconds.")),
            None => said,
        }
    }
}

/// Reads a stream to the response in it.
async fn stream(response: reqwest::Response, url: &str, progress: &mut impl FnMut(Progress)) -> Result<Value, http::Error> {
    let mut chunks = response.bytes_stream();
    let mut events = Events::default();
    let mut found = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|e| http::Error::Lost { url: url.to_owned(), cause: e.without_url() })?;
        let fed = events.feed(&chunk, ANSWER, |data| {
            let Ok(message) = serde_json::from_slice::<Value>(data) else { return };
            if message.get("id").is_some() && (message.get("result").is_some() || message.get("error").is_some()) {
                found.get_or_insert(message);
            } else if let Some(step) = step(&message) {
                progress(step);
            }
        });
        fed.map_err(|_| http::Error::TooLarge { url: url.to_owned(), limit: ANSWER })?;
        if let Some(message) = found {
            return Ok(message);
        }
    }
    Err(http::Error::Strange { url: url.to_owned(), what: "the stream ended without an answer".to_owned() })
}

fn step(message: &Value) -> Option<Progress> {
    let params =
        message.get("params").filter(|_| message.get("method").and_then(Value::as_str) == Some("notifications/progress"))?;
    Some(Progress {
        done: params.get("progress")?.as_f64()?,
        total: params.get("total").and_then(Value::as_f64),
        text: plain::cut(params.get("message").and_then(Value::as_str).unwrap_or(""), 200),
    })
}

/// What is not visible ASCII, or could be taken for an encoding, is encoded (2026-07-28, Streamable HTTP section "Value Encoding").
pub fn header_value(text: &str) -> String {
    let plain = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) && text.trim() == text && !text.starts_with("=?base64?");
    if plain { text.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(text)) }
}

/// After a network error: a read failed, anything else may have happened.
fn outcome(error: http::Error, reads: bool) -> Failure {
    if reads || error.not_sent() {
        return error.into();
    }
    let failure = Failure::from(error);
    Failure::new(Exit::Unknown, "outcome_unknown", format!("{} The call may have been carried out.", failure.message))
        .next("Look before you repeat it: the audit tells (ocore audit list on the server, or the dashboard).")
}

/// A tool's error.
#[derive(Debug)]
struct Refused {
    said: Said,
}
impl Refused {
    fn of(body: &Value, text: &str) -> Self {
        let said = Said::deserialize(body).unwrap_or_else(|_| Said {
            code: "internal".into(),
            message: text.to_owned(),
            next: String::new(),
        });
        Self { said }
    }
}
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        failure(&refused.said.code, &refused.said.message, &refused.said.next)
    }
}

/// A refusal of the server by its code, with the exit code that belongs to it. The texts are the server's, made fit for a terminal.
pub fn failure(code: &str, message: &str, next: &str) -> Failure {
    let exit = match code {
        "invalid_argument" => Exit::Usage,
        "unreachable" | "timeout" | "odoo_error" | "busy" | "cancelled" | "internal" => Exit::Failed,
        "outcome_unknown" => Exit::Unknown,
        _ => Exit::Refused,
    };
    let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    let message = plain::lines(message).trim().to_owned();
    Failure {
        exit,
        code: if code.is_empty() { "failed".into() } else { code.into() },
        message: if message.is_empty() { "The server refused without saying why.".to_owned() } else { message },
        next: plain::lines(next).trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_in_headers() {
        assert_eq!(header_value("dev_search_read"), "dev_search_read");
        assert_eq!(header_value("Hello, 世界"), "=?base64?SGVsbG8sIOS4lueVjA==?=");
        for odd in [" a", "a\r\nx: y", "=?base64?YQ==?="] {
            let value = header_value(odd);
            assert!(value.starts_with("=?base64?") && value.bytes().all(|b| b.is_ascii_graphic()), "{value}");
        }
    }

    #[test]
    fn refusals_have_their_exit_codes_and_no_escape_sequences() {
        assert_eq!(failure("invalid_argument", "x", "").exit, Exit::Usage);
        assert_eq!(failure("write_blocked", "x", "").exit, Exit::Refused);
        assert_eq!(failure("unreachable", "x", "").exit, Exit::Failed);
        assert_eq!(failure("outcome_unknown", "x", "").exit, Exit::Unknown);
        let failure = failure("\u{1b}[2J", "a\u{1b}]0;title\u{7}b", "\u{9b}31m");
        let all = format!("{}{}{}", failure.code, failure.message, failure.next);
        assert!(!all.chars().any(plain::hostile), "{all:?}");
    }

    #[test]
    fn a_lost_answer_of_a_write_is_an_unknown_outcome() {
        let lost = || http::Error::Strange { url: "u".into(), what: "the stream ended without an answer".into() };
        assert_eq!(outcome(lost(), false).exit, Exit::Unknown);
        assert_eq!(outcome(lost(), true).exit, Exit::Failed);
    }
}
