//! JSON-RPC as MCP uses it, read once and borrowed, written by hand around fragments that are already JSON.
use std::{borrow::Cow, ops::Deref};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dispatch::{Answer, Content};
use kernel::Code;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Ours, from the range that JSON-RPC leaves to servers: the body was not read because there was no room for it.
pub(crate) const NO_ROOM: i32 = -32000;
pub(crate) const PARSE_ERROR: i32 = -32700;
pub(crate) const INVALID_REQUEST: i32 = -32600;
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// Headers and body differ (2026-07-28, Streamable HTTP section "Server Validation").
pub(crate) const HEADER_MISMATCH: i32 = -32020;
pub(crate) const UNSUPPORTED_VERSION: i32 = -32022;

/// The longest id that is echoed.
const MAX_ID: usize = 256;

/// A message from a client.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// `id` is raw JSON, checked, to be spliced into the answer as it came.
    Request {
        id: &'a str,
        method: Text<'a>,
        params: Option<&'a RawValue>,
    },
    Notification {
        method: Text<'a>,
        params: Option<&'a RawValue>,
    },
    /// An answer to a request of ours.
    Response,
}

/// A JSON-RPC error to be: code, message, and the id if one could be read.
#[derive(Debug)]
pub(crate) struct Malformed<'a> {
    pub code: i32,
    pub message: &'static str,
    pub id: Option<&'a str>,
}

/// A string that is borrowed unless it has escapes. (serde borrows a bare `Cow`, but not one inside an `Option`.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// `null` is a value here, not an absence: `"id": null` is a mistake, no notification.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads one message. Unknown members are ignored, doubled ones refused: two readers of `{"method": a, "method": b}` could
/// disagree on what it asks for.
pub(crate) fn parse(body: &[u8]) -> Result<Message<'_>, Malformed<'_>> {
    let wrong = |code, message| Malformed { code, message, id: None };
    let text = std::str::from_utf8(body).map_err(|_| wrong(PARSE_ERROR, "The body is not UTF-8."))?;
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') => {
            return Err(wrong(INVALID_REQUEST, "JSON-RPC batches are not supported: send one message per request."));
        }
        _ => return Err(wrong(PARSE_ERROR, "The body is not a JSON-RPC message.")),
    }
    let envelope: Envelope = serde_json::from_str(text).map_err(|e| {
        if e.is_data() {
            wrong(INVALID_REQUEST, "The body is not a JSON-RPC 2.0 message.")
        } else {
            wrong(PARSE_ERROR, "The body is not JSON.")
        }
    })?;
    let id = match envelope.id.map(RawValue::get) {
        Some(id) if !is_id(id) => {
            return Err(wrong(INVALID_REQUEST, "An id is a string or a whole number of at most 256 characters."));
        }
        id => id,
    };
    let wrong = |message| Malformed { code: INVALID_REQUEST, message, id };
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return Err(wrong("jsonrpc must be \"2.0\"."));
    }
    match (envelope.method, id) {
        (Some(_), _) if envelope.result.is_some() || envelope.error.is_some() => {
            Err(wrong("A message is a request or a response, not both."))
        }
        (Some(method), Some(id)) => {
            if envelope.params.is_some_and(|p| !p.get().starts_with('{')) {
                return Err(Malformed { code: INVALID_PARAMS, message: "params must be an object.", id: Some(id) });
            }
            Ok(Message::Request { id, method, params: envelope.params })
        }
        (Some(method), None) => Ok(Message::Notification { method, params: envelope.params }),
        (None, _) if envelope.result.is_some() != envelope.error.is_some() => Ok(Message::Response),
        (None, _) => Err(wrong("The message has no method.")),
    }
}

/// A string, or a number without fraction and exponent.
fn is_id(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    raw.len() <= MAX_ID && (raw.starts_with('"') || (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())))
}

/// What the edge reads of a request's parameters; the rest stays where it is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Params<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub uri: Option<Text<'a>>,
    #[serde(borrow)]
    pub cursor: Option<&'a RawValue>,
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    /// Of `subscriptions/listen`.
    #[serde(borrow)]
    pub notifications: Option<&'a RawValue>,
    /// Of `notifications/cancelled`.
    #[serde(borrow, rename = "requestId")]
    pub request_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "protocolVersion")]
    pub protocol_version: Option<Text<'a>>,
    #[serde(borrow, rename = "_meta")]
    pub meta: Option<Meta<'a>>,
}

/// Per-request metadata (2026-07-28, Overview section "_meta").
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub version: Option<Text<'a>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "progressToken")]
    pub progress_token: Option<&'a RawValue>,
}
impl<'a> Meta<'a> {
    /// The progress token as raw JSON, if it is one (a string or a whole number).
    pub(crate) fn token(&self) -> Option<&'a str> {
        self.progress_token.map(RawValue::get).filter(|raw| is_id(raw))
    }
}

pub(crate) fn params(raw: Option<&RawValue>) -> Result<Params<'_>, serde_json::Error> {
    raw.map_or_else(|| Ok(Params::default()), |raw| serde_json::from_str(raw.get()))
}

/// Reverses the Base64 sentinel of header values (2026-07-28, Streamable HTTP section "Value Encoding").
pub(crate) fn header_text(value: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = value.strip_prefix("=?base64?").and_then(|v| v.strip_suffix("?=")) else {
        return Some(Cow::Borrowed(value));
    };
    String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok().map(Cow::Owned)
}

/// `{"jsonrpc":"2.0","id":…,"result":`; the caller writes the result and closes the brace.
pub(crate) fn begin_result(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
}

/// A JSON-RPC error. Without an id it has none (2026-07-28, section "Error Responses").
pub(crate) fn error(id: Option<&str>, code: i32, message: &str, data: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + message.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","#);
    if let Some(id) = id {
        out.extend_from_slice(br#""id":"#);
        out.extend_from_slice(id.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(br#""error":{"code":"#);
    out.extend_from_slice(code.to_string().as_bytes());
    out.extend_from_slice(br#","message":"#);
    string(&mut out, message);
    if let Some(data) = data {
        out.extend_from_slice(br#","data":"#);
        out.extend_from_slice(data.as_bytes());
    }
    out.extend_from_slice(b"}}");
    out
}

/// A JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // Writing to a Vec does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// The answer of a tool: a result, or for a tool that is not there a JSON-RPC error. `marks` are the members that an era
/// adds to every result, with a comma behind them.
pub(crate) fn answer(id: &str, answer: &Answer, marks: &str) -> Vec<u8> {
    if answer.code == Some(Code::UnknownTool) {
        let said = serde_json::from_str::<Said>(answer.body.get());
        let message = said.as_ref().map_or("Unknown tool.", |s| &s.message);
        return error(Some(id), INVALID_PARAMS, message, Some(answer.body.get()));
    }
    let mut out = Vec::with_capacity(answer.body.get().len() * 9 / 4 + 320);
    begin_result(&mut out, id);
    result(&mut out, answer, marks);
    out.push(b'}');
    out
}

/// The result of a call: text for those who read text, the same as JSON, pictures.
pub(crate) fn result(out: &mut Vec<u8>, answer: &Answer, marks: &str) {
    let body = answer.body.get();
    out.push(b'{');
    out.extend_from_slice(marks.as_bytes());
    out.extend_from_slice(br#""content":[{"type":"text","text":"#);
    string(out, answer.text.as_deref().unwrap_or(body));
    out.push(b'}');
    for (at, item) in answer.content.iter().enumerate() {
        out.push(b',');
        content(out, item, at);
    }
    out.extend_from_slice(br#"],"structuredContent":"#);
    out.extend_from_slice(body.as_bytes());
    out.extend_from_slice(if answer.is_error { br#","isError":true}"# } else { br#","isError":false}"# });
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    message: Text<'a>,
}

/// Images and sound have blocks of their own; anything else is an embedded resource.
fn content(out: &mut Vec<u8>, item: &Content, at: usize) {
    let kind = ["image", "audio"].into_iter().find(|kind| item.mime.split('/').next() == Some(kind));
    if let Some(kind) = kind {
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(br#"","mimeType":"#);
        string(out, &item.mime);
        out.extend_from_slice(br#","data":""#);
        base64(out, &item.bytes);
        out.extend_from_slice(br#""}"#);
    } else {
        out.extend_from_slice(br#"{"type":"resource","resource":{"uri":"ocore://answer/"#);
        out.extend_from_slice(at.to_string().as_bytes());
        out.extend_from_slice(br#"","mimeType":"#);
        string(out, &item.mime);
        out.extend_from_slice(br#","blob":""#);
        base64(out, &item.bytes);
        out.extend_from_slice(br#""}}"#);
    }
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut text = String::with_capacity(bytes.len() / 3 * 4 + 4);
    BASE64_STANDARD.encode_string(bytes, &mut text);
    out.extend_from_slice(text.as_bytes());
}

/// One server-sent event.
pub(crate) fn event(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 24);
    out.extend_from_slice(b"event: message\ndata: ");
    // Our JSON is written without line breaks; texts inside have theirs escaped. Odoo's answers pass as they came, though.
    if json.contains(&b'\n') || json.contains(&b'\r') {
        out.extend(json.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
    } else {
        out.extend_from_slice(json);
    }
    out.extend_from_slice(b"\n\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> i32 {
        parse(body.as_bytes()).map(|m| panic!("{body}: {m:?}")).unwrap_err().code
    }

    #[test]
    fn what_is_no_message_says_why() {
        assert_eq!(code(""), PARSE_ERROR);
        assert_eq!(code("null"), PARSE_ERROR);
        assert_eq!(code("{"), PARSE_ERROR);
        assert_eq!(code("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x"), PARSE_ERROR);
        assert_eq!(code("[]"), INVALID_REQUEST);
        assert_eq!(code(r#" [{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"id":1,"method":"ping"}"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1}"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":5}"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#), INVALID_PARAMS);
        assert_eq!(parse(b"\xff{}").unwrap_err().code, PARSE_ERROR);
    }

    #[test]
    fn ids_are_strings_or_whole_numbers_of_a_sane_length() {
        for bad in ["null", "1.5", "1e3", "true", "{}", "[1]"] {
            assert_eq!(code(&format!(r#"{{"jsonrpc":"2.0","id":{bad},"method":"ping"}}"#)), INVALID_REQUEST, "{bad}");
        }
        assert_eq!(code(&format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(300))), INVALID_REQUEST);
        assert_eq!(code(&format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, "9".repeat(300))), INVALID_REQUEST);
        for good in ["0", "-7", "123456789012345678901234567890", r#""a\"b""#, r#""""#] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{good},"method":"ping"}}"#);
            assert!(matches!(parse(body.as_bytes()), Ok(Message::Request { id, .. }) if id == good), "{good}");
        }
    }

    #[test]
    fn requests_notifications_and_responses_are_told_apart() {
        let request = br#"{"params":{"name":"x"},"method":"tools\/call","id":"a","jsonrpc":"2.0","more":[1]}"#;
        assert!(matches!(parse(request), Ok(Message::Request { method, .. }) if &*method == "tools/call"));
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","method":"notifications/x"}"#), Ok(Message::Notification { .. })));
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Ok(Message::Response)));
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#), Ok(Message::Response)));
    }

    #[test]
    fn a_depth_bomb_costs_its_bytes_and_no_stack() {
        let deep = "[".repeat(5_000_000);
        assert_eq!(code(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{{"arguments":{deep}"#)), PARSE_ERROR);
        let closed = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{{"arguments":{closed}}}}}"#);
        let Ok(Message::Request { params: raw, .. }) = parse(body.as_bytes()) else { panic!() };
        assert!(params(raw).unwrap().arguments.is_some());
    }

    #[test]
    fn sentinels_are_decoded() {
        assert_eq!(header_text("plain").unwrap(), "plain");
        assert_eq!(header_text("=?base64?SGVsbG8sIOS4lueVjA==?=").unwrap(), "Hello, 世界");
        assert_eq!(header_text("=?base64?%%?="), None);
        assert_eq!(header_text("=?base64?//8=?="), None);
        assert_eq!(header_text("=?BASE64?YQ==?=").unwrap(), "=?BASE64?YQ==?=");
    }

    #[test]
    fn errors_and_events_are_what_they_should_be() {
        assert_eq!(error(None, -1, "a\"b", None), br#"{"jsonrpc":"2.0","error":{"code":-1,"message":"a\"b"}}"#);
        assert_eq!(
            error(Some("7"), -1, "m", Some("{}")),
            br#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"m","data":{}}}"#
        );
        assert_eq!(event(b"{\"a\":\n1}"), b"event: message\ndata: {\"a\": 1}\n\n");
    }
}
