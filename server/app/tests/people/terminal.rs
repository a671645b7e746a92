//! At a terminal: what a person sees and types.
use std::time::Duration;

use crate::{
    Person,
    authority::Authority,
    screen::{Terminal, qr_code},
};

fn terminal(person: &Person, columns: u16, args: &[&str], env: &[(&str, &str)]) -> Option<Terminal> {
    Terminal::start(person.program("script"), columns, env!("CARGO_BIN_EXE_ocore"), args, env)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_shows_code_address_and_a_qr_code_that_can_be_read() {
    let server = Authority::start().await;
    server.facts().polls.extend(["authorization_pending"]);
    let person = Person::new();
    let Some(terminal) = terminal(&person, 100, &["login", &server.url], &[]) else { return };
    let (code, seen) = terminal.end().await;
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("BCKF-HMLT") && seen.contains(&format!("{}/device", server.url)), "{seen}");
    assert!(seen.contains("Waiting for your approval, 1") && seen.contains("Signed in"), "{seen}");
    assert_eq!(qr_code(&seen), format!("{}/device?user_code=BCKF-HMLT", server.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_and_plain_terminals_get_no_qr_code() {
    let server = Authority::start().await;
    for (columns, env) in [(30, &[][..]), (100, &[("NO_COLOR", "1")][..]), (100, &[("LANG", "C")][..])] {
        let Some(terminal) = terminal(&Person::new(), columns, &["login", &server.url], env) else { return };
        let (code, seen) = terminal.end().await;
        assert_eq!(code, 0, "{seen}");
        assert!(seen.contains("BCKF-HMLT") && !seen.contains('█'), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_c_leaves_nothing() {
    let server = Authority::start().await;
    server.facts().polls.extend(["authorization_pending"; 100]);
    let person = Person::new();
    let Some(mut terminal) = terminal(&person, 80, &["login", &server.url], &[]) else { return };
    terminal.until("Waiting").await;
    terminal.press("\u{3}").await;
    let (code, seen) = terminal.end().await;
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains("Nothing was kept"), "{seen}");
    assert!(!person.folder().join("logins.json").exists());
    assert_eq!(server.facts().issued, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_shown_and_asked_about() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    for (keys, code, says) in [("n\n", 3, "Nothing was changed"), ("\n", 3, "Nothing was changed"), ("y\n", 0, "deleted:  1")] {
        let calls = server.facts().calls.len();
        let Some(mut terminal) = terminal(&person, 80, &["call", "dev_ask"], &[]) else { return };
        terminal.until("Go on? [y/N]").await;
        terminal.press(keys).await;
        let (ended, seen) = terminal.end().await;
        assert_eq!(ended, code, "{seen}");
        assert!(seen.contains("Would delete 1 record") && seen.contains("(id 9)") && seen.contains(says), "{seen}");
        assert!(!seen.contains("owned\u{7}") && !seen.contains("\u{9b}") && !seen.contains("\u{1b}[31;5m"), "{seen:?}");
        let asked = server.facts().calls.split_off(calls).iter().filter(|c| *c == "tools/call dev_ask").count();
        assert_eq!(asked, if code == 0 { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_c_answers_a_question_with_no() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let Some(mut terminal) = terminal(&person, 80, &["call", "dev_ask"], &[]) else { return };
    terminal.until("Go on? [y/N]").await;
    terminal.press("\u{3}").await;
    let (code, seen) = tokio::time::timeout(Duration::from_secs(20), terminal.end()).await.expect("it ends");
    assert_eq!(code, 3, "{seen}");
    assert!(seen.contains("Nothing was changed"), "{seen}");
    assert_eq!(server.facts().calls.iter().filter(|c| *c == "tools/call dev_ask").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_asked_for_and_not_shown() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let args = ["--json", "call", "dev_echo", "password=@-"];
    let Some(mut terminal) = terminal(&person, 80, &args, &[]) else { return };
    terminal.until("Password:").await;
    assert!(!server.facts().calls.iter().any(|c| c == "tools/call dev_echo"), "asked for first");
    // The terminal shows what is typed until it is told not to, which comes with the question.
    tokio::time::sleep(Duration::from_millis(300)).await;
    terminal.press("hunter2\n").await;
    let (code, seen) = terminal.end().await;
    assert_eq!(code, 0, "{seen}");
    let (asked, answer) = seen.split_once('{').unwrap();
    assert!(!asked.contains("hunter2") && answer.contains("\"password\": \"hunter2\""), "{seen}");
}
