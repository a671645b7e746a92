//! `ocore stdio` between a program and a server.
use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::{Person, authority::Authority};

struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Bridge {
    fn start(person: &Person, args: &[&str]) -> Self {
        let mut command = person.ocore();
        let mut child =
            command.arg("stdio").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, lines }
    }
    async fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.write_all(b"\n").await.unwrap();
        stdin.flush().await.unwrap();
    }
    async fn send(&mut self, id: Value, method: &str, mut params: Value) {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": "p"});
        let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if !id.is_null() {
            message["id"] = id;
        }
        self.write(&message.to_string()).await;
    }
    async fn call(&mut self, id: Value, tool: &str) {
        self.send(id, "tools/call", json!({"name": tool, "arguments": {}})).await;
    }
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_mins(1), self.lines.next_line())
            .await
            .expect("an answer in time")
            .unwrap()
            .expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("not protocol ({e}): {line:?}"))
    }
    /// Closes the program's side; what is still written, and what stood in the log.
    async fn close(mut self) -> (Vec<Value>, String, i32) {
        drop(self.stdin.take());
        let mut rest = Vec::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            rest.push(serde_json::from_str(&line).unwrap_or_else(|e| panic!("not protocol ({e}): {line:?}")));
        }
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
        (rest, log, self.child.wait().await.unwrap().code().unwrap_or(-1))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_eras_pass_and_streams_are_unfolded() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    bridge.write(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#).await;
    bridge.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    bridge.write("{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"tools/list\"}\r").await;
    let mut answers = [bridge.next().await, bridge.next().await];
    answers.sort_by_key(|a| a["id"].to_string().len());
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(answers[1]["result"]["tools"].as_array().unwrap().len(), 7);
    bridge.call(json!(2), "dev_stream").await;
    for step in 1..=2 {
        let progress = bridge.next().await;
        assert_eq!((&progress["method"], &progress["params"]["progress"]), (&json!("notifications/progress"), &json!(step)));
    }
    assert_eq!(bridge.next().await["result"]["structuredContent"]["steps"], 2);
    bridge.send(json!("x"), "prompts/list", json!({})).await;
    assert_eq!(bridge.next().await["error"]["code"], -32601);
    let (rest, log, code) = bridge.close().await;
    assert_eq!((rest.len(), log.as_str(), code), (0, "", 0));
    let facts = server.facts();
    assert!(facts.headers.iter().all(|h| h["ocore-facade"] == "stdio"));
    let of = |call: &str| facts.headers[facts.calls.iter().position(|c| c == call).unwrap()].clone();
    assert!(of("initialize").get("mcp-session-id").is_none());
    for later in ["notifications/initialized", "tools/list"] {
        assert_eq!(
            (&of(later)["mcp-session-id"], &of(later)["mcp-protocol-version"]),
            (&"session-1".parse().unwrap(), &"2025-11-25".parse().unwrap())
        );
    }
    let call = of("tools/call dev_stream");
    assert_eq!(
        (&call["mcp-protocol-version"], &call["mcp-method"], &call["mcp-name"]),
        (&"2026-07-28".parse().unwrap(), &"tools/call".parse().unwrap(), &"dev_stream".parse().unwrap())
    );
    assert!(call.get("mcp-session-id").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_run_beside_each_other_and_are_cancelled() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    bridge.call(json!("slow"), "dev_slow").await;
    bridge.send(json!(9), "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    assert_eq!(bridge.next().await["method"], "notifications/subscriptions/acknowledged");
    for id in 0..50 {
        bridge.call(json!(id + 100), "dev_echo").await;
    }
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(bridge.next().await["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (100..150).collect::<Vec<u64>>());
    bridge.call(json!("slow"), "dev_slow").await;
    assert!(bridge.next().await["error"]["message"].as_str().unwrap().contains("not answered yet"));
    assert_eq!(server.facts().dropped, 0);
    bridge.send(Value::Null, "notifications/cancelled", json!({"requestId": "slow"})).await;
    // The server is told by the end of the stream.
    server.until(|facts| facts.dropped == 1).await;
    bridge.call(json!("after"), "dev_echo").await;
    assert_eq!(bridge.next().await["id"], "after");
    // The subscription ends with the program, too.
    let (rest, _, code) = bridge.close().await;
    assert_eq!((rest.len(), code), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_answered_after_the_program_closed_its_side() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    for id in 0..5 {
        bridge.call(json!(id), "dev_stream").await;
    }
    let (rest, _, code) = bridge.close().await;
    assert_eq!((rest.iter().filter(|m| m["result"].is_object()).count(), code), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_answered_and_the_bridge_goes_on() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    for (line, code) in [("rubbish", -32700), ("[]", -32600), ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\u{e4}\"}", -32600)] {
        bridge.write(line).await;
        assert_eq!(bridge.next().await["error"]["code"], code, "{line}");
    }
    bridge.write("").await;
    let long = "x".repeat(17 * 1024 * 1024);
    bridge.write(&long).await;
    let answer = bridge.next().await;
    assert_eq!((&answer["error"]["code"], answer.get("id")), (&json!(-32600), None));
    for message in [
        format!(r#"{{"jsonrpc":"2.0","id":"l","method":"tools/call","params":{{"name":"{long}"}}}}"#),
        format!(r#"{{"method":"tools/call","params":{{"name":"{long}","id":2}},"jsonrpc":"2.0","id":"l"}}"#),
    ] {
        bridge.write(&message).await;
        let answer = bridge.next().await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &json!("l")));
    }
    bridge.call(json!(1), "dev_echo").await;
    assert_eq!(bridge.next().await["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_may_have_run_is_not_sent_again_and_a_question_is() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    bridge.call(json!(1), "dev_break").await;
    let answer = bridge.next().await;
    assert_eq!(answer["error"]["data"]["code"], "outcome_unknown", "{answer}");
    assert_eq!(server.facts().calls.iter().filter(|c| c.contains("dev_break")).count(), 1);
    server.facts().breaks = 1;
    bridge.send(json!(2), "tools/list", json!({})).await;
    assert!(bridge.next().await["result"]["tools"].is_array());
    assert_eq!(server.facts().calls.iter().filter(|c| *c == "tools/list").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_found_again() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    // A port where nobody listens yet, with the same login.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let path = person.folder().join("logins.json");
    let text = std::fs::read_to_string(&path).unwrap().replace(&server.url, &format!("http://{free}"));
    std::fs::write(&path, text).unwrap();
    let mut bridge = Bridge::start(&person, &[]);
    bridge.call(json!(1), "dev_echo").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let back = Authority::start_at(&free.to_string()).await;
    back.facts().access = "oca_1".into();
    assert_eq!(bridge.next().await["id"], 1);
    assert_eq!(back.facts().calls, ["tools/call dev_echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_once_for_all_and_a_lost_login_is_said_in_every_answer() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    server.facts().access = "oca_other".into();
    for id in 0..10 {
        bridge.call(json!(id), "dev_echo").await;
    }
    for _ in 0..10 {
        assert!(bridge.next().await["result"].is_object());
    }
    assert_eq!(server.facts().refreshes, 1);
    server.facts().access = "oca_other".into();
    server.facts().refresh = "ocr_other".into();
    for id in 0..2 {
        bridge.call(json!(id), "dev_echo").await;
        let answer = bridge.next().await;
        assert!(answer["error"]["message"].as_str().unwrap().contains(&format!("ocore login {}", server.url)), "{answer}");
        assert_eq!(answer["error"]["data"]["code"], "unauthorized");
    }
    // The person logs in elsewhere, and the bridge goes on.
    person.run(&["login", &server.url]).await.ok();
    bridge.call(json!(7), "dev_echo").await;
    assert_eq!(bridge.next().await["id"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_every_request_says_how_to_get_one() {
    let server = Authority::start().await;
    let person = Person::new();
    let mut bridge = Bridge::start(&person, &["--server", &server.url]);
    bridge.write(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#).await;
    let answer = bridge.next().await;
    assert!(answer["error"]["message"].as_str().unwrap().contains(&format!("ocore login {}", server.url)), "{answer}");
    person.run(&["login", &server.url]).await.ok();
    bridge.call(json!(1), "dev_echo").await;
    assert_eq!(bridge.next().await["id"], 1);
    let (_, log, _) = bridge.close().await;
    assert!(log.contains("ocore login"), "the log tells, too: {log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reads_no_more_ends_the_bridge() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    drop(bridge.lines);
    let stdin = bridge.stdin.as_mut().unwrap();
    for _ in 0..3 {
        let _ = stdin.write_all(b"rubbish\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = tokio::time::timeout(Duration::from_secs(20), bridge.child.wait()).await.expect("it ends by itself").unwrap();
    assert!(status.code().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_taken_up_again_and_tells_of_what_was_missed() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    // Once before anything was heard, once after the acknowledgement.
    server.facts().breaks = 1;
    server.facts().deaf = 1;
    let mut bridge = Bridge::start(&person, &[]);
    bridge.send(json!("s"), "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    assert_eq!(bridge.next().await["method"], "notifications/subscriptions/acknowledged");
    let changed = bridge.next().await;
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "s");
    assert_eq!(server.facts().calls.iter().filter(|c| *c == "subscriptions/listen").count(), 3);
    let (rest, _, code) = bridge.close().await;
    assert_eq!((rest.len(), code), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_costs_no_login() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    server.facts().late = 1500;
    server.facts().access = "oca_other".into();
    let mut bridge = Bridge::start(&person, &[]);
    bridge.call(json!("a"), "dev_echo").await;
    server.until(|facts| facts.refreshes == 1).await;
    bridge.send(Value::Null, "notifications/cancelled", json!({"requestId": "a"})).await;
    bridge.call(json!("b"), "dev_echo").await;
    let answer = bridge.next().await;
    assert!(answer["id"] == "b" && answer["result"].is_object(), "{answer}");
    assert_eq!(server.facts().refreshes, 1);
    assert_eq!(person.logins()["logins"][&server.url]["tokens"]["refresh"], "ocr_2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_may_handshake_again_amid_many_calls() {
    const INITIALIZE: &str = r#""method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    const CALL: &str = r#""method":"tools/call","params":{"name":"dev_late","arguments":{}}}"#;
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let mut bridge = Bridge::start(&person, &[]);
    bridge.write(&format!(r#"{{"jsonrpc":"2.0","id":0,{INITIALIZE}"#)).await;
    // More than run at once, twice: some are on their way and some wait when the second handshake comes.
    for id in 1..=200 {
        bridge.write(&format!(r#"{{"jsonrpc":"2.0","id":{id},{CALL}"#)).await;
    }
    bridge.write(&format!(r#"{{"jsonrpc":"2.0","id":201,{INITIALIZE}"#)).await;
    for id in 202..=300 {
        bridge.write(&format!(r#"{{"jsonrpc":"2.0","id":{id},{CALL}"#)).await;
    }
    let mut ids = Vec::new();
    for _ in 0..=300 {
        let answer = bridge.next().await;
        assert!(answer["result"].is_object(), "{answer}");
        ids.push(answer["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..=300).collect::<Vec<u64>>());
    // Each carried what the handshake before it had left.
    let facts = server.facts();
    let sessions: Vec<_> = facts.calls.iter().zip(&facts.headers).filter(|(call, _)| *call == "tools/call dev_late").collect();
    assert!(sessions.iter().all(|(_, headers)| headers.contains_key("mcp-session-id")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_hangs_does_not_stop_the_reading() {
    const INITIALIZE: &str = r#""method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    server.facts().handshakes_hang = true;
    let mut bridge = Bridge::start(&person, &[]);
    for id in 0..3 {
        bridge.write(&format!(r#"{{"jsonrpc":"2.0","id":{id},{INITIALIZE}"#)).await;
    }
    bridge.write(r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#).await;
    bridge.call(json!(4), "dev_echo").await;
    assert_eq!(bridge.next().await["id"], 4, "another era waits for no handshake");
    assert!(!server.facts().calls.contains(&"tools/list".to_owned()));
    server.facts().handshakes_hang = false;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bridge.next().await["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3]);
}
