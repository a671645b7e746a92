//! Programs in a container without Python, where PostgreSQL is process 1; input as it is wanted; stop and start.
use std::{
    process::Command,
    time::{Duration, Instant},
};

use super::{Own, docker};
use crate::docker::{
    Error,
    container::Options,
    exec::{Event, Exit, Limits, Program, Running},
};

fn program(argv: &[&str]) -> Program {
    Program { argv: argv.iter().map(|word| (*word).to_owned()).collect(), ..Program::default() }
}
/// What it printed, and how it ended.
async fn finish(mut running: Running) -> (Vec<u8>, String, Exit) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        match running.next().await.unwrap() {
            Event::Stdout(data) => stdout.extend_from_slice(&data),
            Event::Stderr(data) => stderr.extend_from_slice(&data),
            Event::Ended { exit, .. } => return (stdout, String::from_utf8_lossy(&stderr).into_owned(), exit),
            other => panic!("{other:?}"),
        }
    }
}
fn runs(own: &Own, words: &str) -> bool {
    docker(&["top", &own.name, "-eo", "pid,args"]).contains(words)
}

#[tokio::test]
async fn bare_programs_die_with_their_connection_and_harm_nobody() {
    let image = docker(&["inspect", "--format", "{{.Config.Image}}", "ocore-test-pg"]);
    let script = "rm -rf /tmp/d; initdb -D /tmp/d --no-sync --username=postgres --auth=trust >/dev/null; exec postgres -D /tmp/d -c fsync=off";
    let own = Own::run("bare", &["--entrypoint", "sh", &image, "-c", script]);
    for _ in 0..100 {
        if Command::new("docker").args(["exec", &own.name, "psql", "-c", "SELECT 1"]).output().unwrap().status.success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let container = own.container();
    let minute = Duration::from_mins(1);
    assert!(matches!(container.run(&program(&["true"]), &Limits::default()).await, Err(Error::NoPython { .. })));

    // Its environment, both outputs, its exit code; and a big output, whole.
    let mut order = program(&["sh", "-c", "echo $GREETING; echo no >&2; head -c 20000000 /dev/zero; exit 7"]);
    order.env.push(("GREETING".to_owned(), "hi there".to_owned()));
    let (stdout, stderr, exit) = finish(container.start_bare(&order, minute, false).await.unwrap()).await;
    assert_eq!((stdout.len(), &stdout[..9], stderr.as_str(), exit), (20_000_009, &b"hi there\n"[..], "no\n", Exit::Code(7)));
    let (_, _, exit) = finish(container.start_bare(&program(&["no-such-program"]), minute, false).await.unwrap()).await;
    assert_eq!(exit, Exit::Code(127));
    let (_, _, exit) = finish(container.start_bare(&program(&["sh", "-c", "kill -9 $$"]), minute, false).await.unwrap()).await;
    assert_eq!(exit, Exit::Signal(9));

    // One that reads: more than is ever held, back as it was, in order.
    let mut cat = container.start_bare(&program(&["cat"]), minute, true).await.unwrap();
    let piece: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let (mut sent, mut received) = (0, 0);
    let exit = loop {
        match cat.next_or_room(if sent > 100 { 0 } else { 1 << 20 }).await.unwrap() {
            None if sent == 100 => {
                cat.close_input();
                sent += 1;
            }
            None => {
                cat.input(&piece);
                sent += 1;
            }
            Some(Event::Stdout(data)) => received += data.len(),
            Some(Event::Ended { exit, .. }) => break exit,
            Some(other) => panic!("{other:?}"),
        }
    };
    assert_eq!((received, exit), (10_000_000, Exit::Code(0)));
    // One that stops reading is heard to its end.
    let mut head = container.start_bare(&program(&["head", "-c", "5"]), minute, true).await.unwrap();
    let mut said = Vec::new();
    let exit = loop {
        match head.next_or_room(1 << 20).await.unwrap() {
            None => head.input(&piece),
            Some(Event::Stdout(data)) => said.extend_from_slice(&data),
            Some(Event::Ended { exit, .. }) => break exit,
            Some(other) => panic!("{other:?}"),
        }
    };
    assert_eq!((said.as_slice(), exit), (&[0, 1, 2, 3, 4][..], Exit::Code(0)));

    // Dropped, cancelled, and at its deadline.
    let running = container.start_bare(&program(&["sleep", "611"]), minute, false).await.unwrap();
    for _ in 0..50 {
        if runs(&own, "sleep 611") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(runs(&own, "sleep 611"));
    drop(running);
    let mut running = container.start_bare(&program(&["sleep", "612"]), minute, false).await.unwrap();
    running.cancel();
    assert!(matches!(finish(running).await.2, Exit::Signal(9)));
    let mut running = container.start_bare(&program(&["sleep", "613"]), Duration::from_secs(1), false).await.unwrap();
    let began = Instant::now();
    assert!(matches!(running.next().await, Err(Error::Lost { .. })));
    assert!(began.elapsed() < Duration::from_secs(3));
    drop(running);
    for _ in 0..50 {
        if !runs(&own, "sleep 61") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!runs(&own, "sleep 61"), "{}", docker(&["top", &own.name]));
    // PostgreSQL is process 1: it would take an orphan that was killed for a crashed process of its own.
    let out = Command::new("docker").args(["logs", &own.name]).output().unwrap();
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(log.contains("ready to accept") && !log.contains("terminated by signal"), "{log}");

    // As another user; never as root.
    let nobody = container.as_user("nobody").unwrap();
    let (stdout, ..) = finish(nobody.start_bare(&program(&["id", "-un"]), minute, false).await.unwrap()).await;
    assert_eq!(stdout, b"nobody\n");
    assert!(matches!(container.as_user("0"), Err(Error::Root { .. })));

    // Stopped and started, as often as one likes.
    for _ in 0..2 {
        container.stop(Duration::from_secs(5)).await.unwrap();
        assert_eq!(container.describe().await.unwrap().state, "exited");
    }
    assert!(matches!(container.start_bare(&program(&["true"]), minute, false).await, Err(Error::NotRunning { .. })));
    for _ in 0..2 {
        container.bring_up().await.unwrap();
        assert_eq!(container.describe().await.unwrap().state, "running");
    }
}

#[tokio::test]
async fn input_comes_as_it_is_wanted_under_supervision_too() {
    let own = Own::idle("input", 19);
    let container = own.container_as(Options::default());
    let mut order = program(&["python3", "-c", "import sys,hashlib; print(hashlib.sha1(sys.stdin.buffer.read()).hexdigest())"]);
    order.keep_input = true;
    let mut running = container.start(&order, &Limits::default()).await.unwrap();
    let (mut sent, mut said) = (0, String::new());
    let exit = loop {
        match running.next_or_room(if sent > 40 { 0 } else { 1 << 20 }).await.unwrap() {
            None if sent == 40 => {
                running.close_input();
                sent += 1;
            }
            None => {
                running.input(&vec![b'x'; 250_000]);
                sent += 1;
            }
            Some(Event::Stdout(data)) => said.push_str(&String::from_utf8_lossy(&data)),
            Some(Event::Ended { exit, .. }) => break exit,
            Some(other) => panic!("{other:?}"),
        }
    };
    let expected =
        docker(&["exec", &own.name, "python3", "-c", "import hashlib; print(hashlib.sha1(b'x'*10000000).hexdigest())"]);
    assert_eq!((said.trim(), exit), (expected.as_str(), Exit::Code(0)));
}
