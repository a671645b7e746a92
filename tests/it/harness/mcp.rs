//! A plain MCP client for 2026-07-28: one POST per call. The real clients have tests of their own.
use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub struct Mcp {
    pub http: reqwest::Client,
    pub base: String,
    pub path: String,
    pub key: String,
    /// The Odoo behind, when what its tools answer is to be told by version.
    pub version: Option<u16>,
}

/// What a tool answered.
#[derive(Debug)]
pub struct Reply {
    pub is_error: bool,
    /// The structured answer; of an error `{code, message, next}`.
    pub body: Value,
    pub text: String,
}
impl Reply {
    /// The answer of a call that must have gone well.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(!self.is_error, "{self:#?}");
        self.body
    }
    /// The refusal of a call that must have been refused with this code.
    #[track_caller]
    pub fn refused(self, code: &str) -> Value {
        assert!(self.is_error, "it was not refused: {self:#?}");
        assert_eq!(self.body["code"], code, "{self:#?}");
        self.body
    }
}

impl Mcp {
    pub fn new(base: &str, key: &str) -> Self {
        // A second installation of the provider is refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(130)).build().expect("a client");
        Self { http, base: base.to_owned(), path: "/mcp".to_owned(), key: key.to_owned(), version: None }
    }
    /// What the tools of `dev` answer is kept for the table of tools and versions.
    pub fn on(self, version: u16) -> Self {
        Self { version: Some(version), ..self }
    }
    /// The same key at another path (with its query).
    pub fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }
    /// The same place with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// One request as it is; status, headers and body as they come.
    pub async fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Response {
        let mut request = self
            .http
            .post(format!("{}{}", self.base, self.path))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if !self.key.is_empty() {
            request = request.bearer_auth(&self.key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send().await.expect("an answer")
    }

    /// One JSON-RPC request of 2026-07-28; the answer as it comes, which may be a stream that stays open.
    pub async fn open(&self, method: &str, mut params: Value) -> reqwest::Response {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "ocore-tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default().to_owned();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post(&headers, body.to_string().into_bytes()).await
    }

    /// The same; the whole response object with its HTTP status.
    pub async fn request(&self, method: &str, params: Value) -> (u16, Value) {
        let response = self.open(method, params).await;
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        // What takes long comes as events, of which the last is the response.
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data:")).unwrap_or(&text);
        (status, serde_json::from_str(last).unwrap_or(Value::String(text)))
    }

    /// Calls a tool; a JSON-RPC error (an unknown tool) comes back as a refusal with its code.
    pub async fn call(&self, tool: &str, arguments: Value) -> Reply {
        let reply = self.called(tool, arguments).await;
        if let Some(version) = self.version {
            keep(tool, version, &reply);
        }
        reply
    }
    async fn called(&self, tool: &str, arguments: Value) -> Reply {
        let (status, response) = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await;
        if let Some(error) = response.get("error") {
            let mut body = error.get("data").cloned().unwrap_or_else(|| json!({}));
            if body.get("code").is_none() {
                body["code"] = if error["code"] == -32602 { "unknown_tool".into() } else { error["code"].clone() };
            }
            return Reply { is_error: true, text: error["message"].to_string(), body };
        }
        assert_eq!(status, 200, "{response}");
        let result = &response["result"];
        let body = result["structuredContent"].clone();
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        Reply { is_error: result["isError"] == true, body, text }
    }

    /// The names of the listed tools.
    pub async fn tools(&self) -> BTreeSet<String> {
        let (status, response) = self.request("tools/list", json!({})).await;
        assert_eq!(status, 200, "{response}");
        let tools = response["result"]["tools"].as_array().unwrap_or_else(|| panic!("{response}"));
        tools.iter().map(|t| t["name"].as_str().expect("a name").to_owned()).collect()
    }
}

/// One line per tool, version and outcome in `target/tmp/tools-by-version.tsv`; `tests/versions` makes the page of it.
fn keep(tool: &str, version: u16, reply: &Reply) {
    use std::io::Write as _;
    let Some(name) = tool.strip_prefix("dev_").or_else(|| tool.starts_with("ocore_").then_some(tool)) else { return };
    let outcome = if reply.is_error { reply.body["code"].as_str().unwrap_or("error") } else { "ok" };
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools-by-version.tsv");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // One write per line: lines of several threads do not mix.
    let _ = file.and_then(|mut f| f.write_all(format!("{name}\t{version}\t{outcome}\n").as_bytes()));
}
