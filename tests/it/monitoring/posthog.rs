//! A PostHog of the tests' own: its query API over the events that a test gives it, its lists, and all the ways in which it fails.
use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

use super::hogql::{self, Event};

pub const KEY: &str = "phx_hunter2hunter2hunter2";
pub const PROJECT: u64 = 4711;

/// How a request is answered instead of well.
#[derive(Debug, Clone)]
pub enum Bad {
    /// Status, body, and a header or none.
    Status(u16, String, Option<String>),
    /// The connection ends without a word.
    Hangup,
    /// The words come after so many milliseconds.
    Slow(u64),
    /// A correct answer of so many bytes.
    Huge(usize),
}
/// The body of PostHog's errors.
pub fn error(kind: &str, code: &str, detail: &str) -> String {
    json!({"type": kind, "code": code, "detail": detail, "attr": null}).to_string()
}

#[derive(Debug, Default)]
pub struct State {
    pub events: Vec<Event>,
    /// Properties by person.
    pub people: Value,
    pub flags: Vec<Value>,
    pub surveys: Vec<Value>,
    pub responses: Value,
    /// For the next requests, one each.
    pub next: VecDeque<Bad>,
    /// For every request whose path or query contains the text.
    pub always: Vec<(&'static str, Bad)>,
    /// Queries are put aside, to be asked about so often.
    pub aside: u32,
    waiting: Vec<(Value, u32)>,
    /// What came: method, path with query, body.
    pub seen: Vec<(String, String, String)>,
    /// What should not have come.
    pub wrong: Vec<String>,
}

#[derive(Clone)]
pub struct PostHog {
    pub url: String,
    pub state: Arc<Mutex<State>>,
    at_once: Arc<AtomicUsize>,
    pub most_at_once: Arc<AtomicUsize>,
}

impl PostHog {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let this = Self { url, state: Arc::default(), at_once: Arc::default(), most_at_once: Arc::default() };
        let served = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                std::thread::spawn(move || served.connection(stream));
            }
        });
        this
    }
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }
    pub fn seen(&self) -> Vec<(String, String, String)> {
        self.state.lock().unwrap().seen.clone()
    }
    /// Forgets what came, and how it was to be answered.
    pub fn reset(&self) {
        self.change(|s| {
            (s.seen, s.wrong, s.next, s.always, s.aside) = (Vec::new(), Vec::new(), VecDeque::new(), Vec::new(), 0);
        });
        self.most_at_once.store(0, Ordering::SeqCst);
    }

    fn connection(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                return;
            }
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
            let mut body = vec![0; header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let mut words = first.split_whitespace();
            let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(now, Ordering::SeqCst);
            let bad = self.note(&method, &path, &body, &headers);
            if let Some(Bad::Slow(ms)) = bad {
                std::thread::sleep(Duration::from_millis(ms));
            }
            let (status, extra, body) = match bad {
                Some(Bad::Hangup) => {
                    self.at_once.fetch_sub(1, Ordering::SeqCst);
                    return;
                }
                Some(Bad::Status(status, body, extra)) => (status, extra, body),
                Some(Bad::Huge(bytes)) => {
                    (200, None, json!({"columns": ["one"], "results": [["x".repeat(bytes)]], "types": []}).to_string())
                }
                _ => {
                    let (status, body) = self.answer(&method, &path, &body, header("authorization").unwrap_or_default());
                    (status, None, body.to_string())
                }
            };
            let extra = extra.map(|h| format!("{h}\r\n")).unwrap_or_default();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{extra}\r\n", body.len());
            let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            if sent.is_err() {
                return;
            }
        }
    }

    /// Writes down what came and whether it is as PostHog's documentation asks for; gives how to answer it badly.
    fn note(&self, method: &str, path: &str, body: &str, headers: &[(String, String)]) -> Option<Bad> {
        let mut state = self.state.lock().unwrap();
        state.seen.push((method.to_owned(), path.to_owned(), body.to_owned()));
        if path.contains(KEY) || body.contains(KEY) {
            state.wrong.push(format!("the key stands in {path} or {body}"));
        }
        if headers.iter().any(|(n, _)| n == "cookie") {
            state.wrong.push("a cookie".to_owned());
        }
        if method == "POST" && !headers.iter().any(|(n, v)| n == "content-type" && v == "application/json") {
            state.wrong.push("a body that is not said to be JSON".to_owned());
        }
        if let Some(bad) = state.next.pop_front() {
            return Some(bad);
        }
        state.always.iter().find(|(what, _)| path.contains(what) || body.contains(what)).map(|(_, bad)| bad.clone())
    }

    fn answer(&self, method: &str, path: &str, body: &str, authorization: &str) -> (u16, Value) {
        let no = |status, kind, code, detail: &str| (status, serde_json::from_str(&error(kind, code, detail)).unwrap());
        if authorization != format!("Bearer {KEY}") {
            return no(
                401,
                "authentication_error",
                "authentication_failed",
                "Personal API key found in request Authorization header is invalid.",
            );
        }
        let Some(rest) = path.strip_prefix(&format!("/api/projects/{PROJECT}/")) else {
            return no(404, "invalid_request", "not_found", "Project not found.");
        };
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let parameter = |name: &str| {
            let found = parameters.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
            found.and_then(|n| n.parse::<usize>().ok())
        };
        let page = |items: &[Value]| {
            let (limit, offset) = (parameter("limit").unwrap_or(100), parameter("offset").unwrap_or(0));
            let results: Vec<&Value> = items.iter().skip(offset).take(limit).collect();
            let more = offset + results.len() < items.len();
            let next = more.then(|| format!("{}/api/elsewhere", self.url));
            (200, json!({"count": items.len(), "next": next, "previous": null, "results": results}))
        };
        let mut state = self.state.lock().unwrap();
        match (method, rest) {
            ("POST", "query/") => {
                let request: Value = serde_json::from_str(body).unwrap();
                let known = |allowed: &[&str], map: &Map<String, Value>| map.keys().all(|k| allowed.contains(&k.as_str()));
                let (top, query) = (request.as_object().unwrap(), request["query"].as_object().unwrap());
                if !known(&["query", "refresh"], top)
                    || !known(&["kind", "query", "values"], query)
                    || query["kind"] != "HogQLQuery"
                {
                    return no(400, "validation_error", "invalid_input", "Extra inputs are not permitted");
                }
                let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
                let values = query["values"].as_object().unwrap();
                match hogql::answer(query["query"].as_str().unwrap(), values, &state.events, &state.people, now) {
                    Ok(answered) if state.aside > 0 => {
                        let asked = state.aside;
                        state.waiting.push((answered, asked));
                        let id = format!("0199-query-{}", state.waiting.len() - 1);
                        (202, status(&id, false, &Value::Null))
                    }
                    Ok(answered) => (200, answered),
                    Err(why) => {
                        state.wrong.push(format!("{why} in {}", query["query"]));
                        no(400, "validation_error", "illegal_type", &why)
                    }
                }
            }
            ("GET", rest) if rest.starts_with("query/0199-query-") => {
                let id = rest.trim_start_matches("query/").trim_end_matches('/');
                let number: usize = id.trim_start_matches("0199-query-").parse().unwrap();
                let (answered, left) = &mut state.waiting[number];
                *left -= 1;
                if *left > 0 { (202, status(id, false, &Value::Null)) } else { (200, status(id, true, answered)) }
            }
            ("GET", "feature_flags/") => page(&state.flags),
            ("GET", "surveys/") => page(&state.surveys),
            ("GET", "surveys/responses_count/") => (200, state.responses.clone()),
            _ => no(404, "invalid_request", "not_found", "Endpoint not found."),
        }
    }
}

fn status(id: &str, complete: bool, results: &Value) -> Value {
    json!({"query_status": {"id": id, "query_async": true, "team_id": 1, "complete": complete, "error": false,
        "error_message": null, "results": results, "start_time": null, "end_time": null}})
}
