//! `ocore call`: what a person writes, and what of it reaches the server.
use serde_json::json;

use crate::{Person, authority::Authority};

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_through_a_pipe_arrives() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let ran = person.pipe(&["--json", "call", "dev_echo", "content=@-"], "one\ntwo\n").await.ok();
    assert_eq!(ran.json()["arguments"], json!({"content": "one\ntwo\n"}));
    let ran = person.pipe(&["--json", "call", "dev_echo", "domain:=@-", "limit=3"], "[[\"a\", \"=\", 1]]\n").await.ok();
    assert_eq!(ran.json()["arguments"], json!({"domain": [["a", "=", 1]], "limit": 3}));
    let ran = person.pipe(&["--json", "call", "dev_echo", "--args-file", "-"], "{\"a\": 1}").await.ok();
    assert_eq!(ran.json()["arguments"], json!({"a": 1}));
    // A named pipe gives what it has once, too.
    let fifo = person.home.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let writer = std::thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::write(fifo, "through a name")
    });
    let ran = person.run(&["--json", "call", "dev_echo", &format!("content=@{}", fifo.display())]).await.ok();
    assert_eq!(ran.json()["arguments"], json!({"content": "through a name"}));
    writer.join().unwrap().unwrap();

    let calls = server.facts().calls.len();
    person.pipe(&["call", "dev_echo", "a=@-", "b=@-"], "x").await.failed(2, "asked for twice");
    person.pipe(&["call", "dev_echo", "a=@-", "--args-file", "-"], "{}").await.failed(2, "asked for twice");
    person.pipe(&["call", "dev_echo", "a:=@-"], "x").await.failed(2, "is no JSON");
    assert_eq!(server.facts().calls.len(), calls, "nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_taken_from_a_pipe_or_file_alone() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let calls = server.facts().calls.len();
    for word in ["password=hunter2", "values.api_key==hunter2", "values={\"password\": \"hunter2\"}"] {
        let ran = person.run(&["call", "dev_echo", word]).await.failed(2, "@-");
        assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
    }
    assert_eq!(server.facts().calls.len(), calls, "nobody was asked");
    let ran = person.pipe(&["--json", "call", "dev_echo", "password=@-", "note=@-x"], "hunter2\n").await;
    ran.failed(2, "-x cannot be read");
    let ran = person.pipe(&["--json", "call", "dev_echo", "password=@-", "user=7"], "hunter2\n").await.ok();
    assert_eq!(ran.json()["arguments"], json!({"password": "hunter2", "user": 7}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_call_is_said_with_what_to_write() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let calls = || server.facts().calls.iter().filter(|c| c.starts_with("tools/call dev_")).count();
    person.run(&["call", "dev_set_password", "user=7"]).await.failed(2, "needs password").failed(2, "Add password=@-");
    person
        .run(&["call", "set_password", "--instance", "dev"])
        .await
        .failed(2, "needs user and password")
        .failed(2, "ocore tools --instance dev --search set_password");
    person.run(&["call", "dev_ehco"]).await.failed(3, "Did you mean dev_echo?");
    person.run(&["call", "ehco", "--instance", "dev"]).await.failed(3, "Did you mean echo?");
    let ran = person.run(&["call", "dev_nothing_of_it"]).await.failed(3, "ocore tools --search");
    assert!(!ran.stderr.contains("Did you mean"), "{ran:#?}");
    person.run(&["call", "dev_echo", "--server", "work"]).await.failed(3, "not signed in at \"work\"");
    let ran = person.run(&["login", "http://127.0.0.1:1"]).await.failed(1, "cannot be reached: Connection refused");
    assert!(!ran.stderr.contains("tcp connect"), "{ran:#?}");
    assert_eq!(calls(), 0, "nothing of it reached a tool");
}
