//! Programs in real containers: what they may use, how they end, and that nothing of them goes on.
use std::time::{Duration, Instant};

use super::{Own, docker, image};
use crate::docker::{
    Error,
    container::Options,
    exec::{Ended, Event, Exit, Limits, Program, Why},
};

fn python(code: &str) -> Program {
    Program { argv: vec!["python3".into(), "-c".into(), code.into()], ..Program::default() }
}
fn within(seconds: f64) -> Limits {
    Limits { deadline: Duration::from_secs_f64(seconds), ..Limits::default() }
}
async fn run(own: &Own, code: &str, limits: &Limits) -> Ended {
    own.container().run(&python(code), limits).await.unwrap()
}
fn nothing_left(own: &Own) {
    own.settles_at(0);
}

#[tokio::test]
async fn input_outputs_and_exit_code_are_true() {
    let own = Own::idle("plain", 19);
    let program = Program {
        stdin: "héllo\0wörld".into(),
        order: Some("order".into()),
        env: vec![("GREETING".into(), "hi there".into())],
        cwd: Some("/tmp".into()),
        ..python(
            "import os, sys\n\
             data = sys.stdin.buffer.read()\n\
             sys.stdout.buffer.write(data[::-1])\n\
             print(os.environ['GREETING'], os.getcwd(), os.getuid(), sorted(map(int, os.listdir('/proc/self/fd')))[:5], file=sys.stderr)\n\
             os.write(4, os.read(3, 100).upper())\n\
             sys.exit(7)",
        )
    };
    let ended = own.container().run(&program, &Limits::default()).await.unwrap();
    assert_eq!(ended.exit, Exit::Code(7));
    assert_eq!(ended.stdout.head, "héllo\0wörld".bytes().rev().collect::<Vec<_>>());
    assert_eq!(ended.stderr.text(), "hi there /tmp 100 [0, 1, 2, 3, 4]\n");
    assert_eq!(ended.answer, b"ORDER");
    assert_eq!(ended.last.left_behind, 0);
    let ended = run(&own, "import os; os.kill(os.getpid(), 11)", &Limits::default()).await;
    assert_eq!(ended.exit, Exit::Signal(11));
    assert_eq!(ended.exit.code(), 139);
    // The bytes of a large input arrive, whatever the program's pace.
    let large = Program {
        stdin: vec![7u8; 5 << 20].into(),
        ..python("import sys, time; time.sleep(0.5); print(len(sys.stdin.buffer.read()))")
    };
    let ended = own.container().run(&large, &Limits::default()).await.unwrap();
    assert_eq!(ended.stdout.text(), "5242880\n");
    nothing_left(&own);
}

#[tokio::test]
async fn an_endless_program_dies_at_its_deadline_and_what_ignores_signals_too() {
    let own = Own::idle("endless", 19);
    for code in [
        "while True: pass",
        "import signal, time\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except OSError: pass\nwhile True: time.sleep(1)",
        // Nobody reads, nobody writes any more, and it goes on.
        "import os, time\nfor fd in range(5): os.close(fd)\nwhile True: time.sleep(1)",
    ] {
        let began = Instant::now();
        let ended = run(&own, code, &within(1.0)).await;
        assert_eq!(ended.exit, Exit::Killed(Why::Deadline), "{code}");
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        nothing_left(&own);
    }
}

#[tokio::test]
async fn trees_and_daemons_die_with_their_program() {
    let own = Own::idle("trees", 19);
    // Five deep: 32 processes.
    let tree = "import os, time\nfor _ in range(5): os.fork()\nwhile True: time.sleep(1)";
    let ended = run(&own, tree, &within(1.5)).await;
    assert_eq!(ended.exit, Exit::Killed(Why::Deadline));
    assert!(ended.last.left_behind == 31, "{:?}", ended.last);
    nothing_left(&own);
    // Detached twice, in a session of its own, without any of our pipes, with an empty environment: and the program has ended.
    let daemon = "import os, time\n\
                  if os.fork() == 0:\n\
                  \x20 os.setsid()\n\
                  \x20 if os.fork() == 0:\n\
                  \x20   os.closerange(0, 100)\n\
                  \x20   os.execve('/usr/bin/python3', ['x', '-c', 'import time, signal; signal.signal(15, 1); time.sleep(1000)'], {})\n\
                  \x20 os._exit(0)\n\
                  time.sleep(0.3)\n\
                  print('done')";
    let ended = run(&own, daemon, &Limits::default()).await;
    assert_eq!((ended.exit, ended.stdout.text().as_str()), (Exit::Code(0), "done\n"));
    assert_eq!(ended.last.left_behind, 1);
    nothing_left(&own);
}

#[tokio::test]
async fn fork_bombs_and_memory_are_bounded() {
    let own = Own::idle("bombs", 19);
    let began = Instant::now();
    let ended = run(&own, "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", &within(20.0)).await;
    assert_eq!(ended.exit, Exit::Killed(Why::Processes));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    println!("fork bomb: {:?} in {:?}", ended.last, began.elapsed());
    nothing_left(&own);
    let limits = Limits { memory: 512 << 20, ..within(20.0) };
    let ended = run(&own, "x = bytearray(600 << 20)", &limits).await;
    assert_eq!(ended.exit, Exit::Code(1));
    assert!(ended.stderr.text().contains("MemoryError"), "{}", ended.stderr.text());
    let many = "import os, time\nfor _ in range(4): os.fork()\nx = bytearray(b'x') * (100 << 20)\ntime.sleep(100)";
    let ended = run(&own, many, &limits).await;
    assert_eq!(ended.exit, Exit::Killed(Why::Memory));
    nothing_left(&own);
}

#[tokio::test]
async fn a_gigabyte_of_output_keeps_its_head_and_tail() {
    let own = Own::idle("output", 19);
    let limits = Limits { head: 1000, tail: 1000, ..within(60.0) };
    let began = Instant::now();
    let ended = run(
        &own,
        "import sys\nsys.stdout.write('first')\nfor _ in range(1024): sys.stdout.write('x' * (1 << 20))\nsys.stdout.write('last')",
        &limits,
    )
    .await;
    println!("a gigabyte took {:?}", began.elapsed());
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(ended.stdout.head.starts_with(b"first") && ended.stdout.head.len() == 1000);
    assert!(ended.stdout.tail.ends_with(b"last") && ended.stdout.tail.len() == 1000);
    assert_eq!(ended.stdout.dropped, (1 << 30) + 9 - 2000);
    assert!(ended.stdout.text().contains("bytes left out"));
}

#[tokio::test]
async fn dropping_or_cancelling_kills() {
    let own = Own::idle("dropped", 19);
    let code = "import os, time\nos.fork()\nprint('up', flush=True)\nwhile True: time.sleep(1)";
    let mut running = own.container().start(&python(code), &within(60.0)).await.unwrap();
    // Both processes say it, at one time or another.
    let first = running.next().await.unwrap();
    assert!(matches!(&first, Event::Stdout(text) if text.starts_with(b"up\n")), "{first:?}");
    assert!(own.others().len() >= 3, "{:?}", own.others());
    drop(running);
    nothing_left(&own);
    let mut running = own.container().start(&python(code), &within(60.0)).await.unwrap();
    running.cancel();
    let exit = loop {
        if let Event::Ended { exit, .. } = running.next().await.unwrap() {
            break exit;
        }
    };
    assert_eq!(exit, Exit::Killed(Why::Cancelled));
    nothing_left(&own);
}

#[tokio::test]
async fn a_program_that_kills_or_stops_its_supervisor_dies_too() {
    let own = Own::idle("rebels", 19);
    let kill =
        "import os, time\nif os.fork():\n  time.sleep(0.5)\n  os.kill(os.getppid(), 9)\nos.setsid\nwhile True: time.sleep(1)";
    let error = own.container().run(&python(kill), &within(5.0)).await.unwrap_err();
    println!("{error}");
    assert!(matches!(&error, Error::Supervisor { why, .. } if why.contains("1 processes of it were killed")), "{error}");
    assert!(error.outcome_unknown());
    nothing_left(&own);
    // The same, hidden: detached, without the name in its environment, with nothing readable of it.
    let hidden = "import os, time\n\
                  supervisor = os.getppid()\n\
                  if os.fork() == 0:\n\
                  \x20 os.setsid()\n\
                  \x20 if os.fork() == 0:\n\
                  \x20   os.execve('/usr/bin/python3', ['x', '-c', 'import os, time, ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); time.sleep(0.5); os.kill(%d, 9); time.sleep(1000)' % supervisor], {})\n\
                  \x20 os._exit(0)\n\
                  time.sleep(1000)";
    let error = own.container().run(&python(hidden), &within(10.0)).await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::Supervisor { .. }), "{error}");
    nothing_left(&own);
    let stop = "import os, time\nos.kill(os.getppid(), 19)\nwhile True: time.sleep(1)";
    let error = own.container().run(&python(stop), &within(1.0)).await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::Supervisor { .. }), "{error}");
    nothing_left(&own);
}

#[tokio::test]
async fn never_root_and_no_secrets_of_ours() {
    let own = Own::idle("secrets", 19);
    let look = "import os\n\
                mine = {str(os.getpid())}\n\
                print(os.getuid(), os.geteuid(), os.getgroups())\n\
                for pid in filter(str.isdigit, os.listdir('/proc')):\n\
                \x20 for what in ('cmdline', 'environ', 'fd', 'mem', 'maps'):\n\
                \x20   path = '/proc/%s/%s' % (pid, what)\n\
                \x20   try: print(path, os.listdir(path) if what == 'fd' else open(path, 'rb').read(20000 if what != 'mem' else 0))\n\
                \x20   except OSError as e: print(path, e.strerror)\n\
                print(open('/proc/self/status').read())";
    let program = Program { stdin: "s3cret-in-stdin".into(), order: Some("s3cret-in-order".into()), ..python(look) };
    let ended = own.container().run(&program, &Limits { head: 1 << 20, ..Limits::default() }).await.unwrap();
    let seen = ended.stdout.text();
    assert!(seen.starts_with("100 100 "), "{seen}");
    assert!(!seen.contains("s3cret"), "{seen}");
    assert!(seen.contains("NoNewPrivs:\t1") && seen.contains("CapEff:\t0000000000000000"), "{seen}");
    // The supervisor's pipes and memory are closed to the program.
    let supervisor = own.container().run(&python("import os\nfor w in ('fd', 'environ', 'mem'):\n  try: print(open('/proc/%d/%s' % (os.getppid(), w)) if w != 'fd' else os.listdir('/proc/%d/fd' % os.getppid()))\n  except OSError as e: print(e.errno)"), &Limits::default()).await.unwrap();
    assert_eq!(supervisor.stdout.text(), "13\n13\n13\n");
    // Root is refused, by name, by number, and when the container gives nobody else.
    let named = crate::docker::container::Container::new(
        super::socket(),
        &own.name,
        Options { user: Some("0:0".into()), ..Options::default() },
    );
    assert!(matches!(named, Err(Error::Root { .. })));
    let rooted = Own::run("rooted", &["--user", "root", "--entrypoint", "sleep", &image(19), "infinity"]);
    let error = rooted.container().run(&python("pass"), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::Root { .. }), "{error}");
    let as_odoo = rooted.container_as(Options { user: Some("odoo".into()), ..Options::default() });
    assert_eq!(as_odoo.run(&python("import os; print(os.getuid())"), &Limits::default()).await.unwrap().stdout.text(), "100\n");
    let _ = docker(&["exec", "-u", "root", &rooted.name, "sh", "-c", "echo 'zero:x:0:0::/:/bin/sh' >> /etc/passwd"]);
    let alias = rooted.container_as(Options { user: Some("zero".into()), ..Options::default() });
    let error = alias.run(&python("pass"), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::Root { .. }), "{error}");
}

#[tokio::test]
async fn what_keeps_a_program_from_starting_is_told() {
    let own = Own::idle("starting", 14);
    let missing = Program { argv: vec!["no-such-program".into()], ..Program::default() };
    let error = own.container().run(&missing, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoProgram { .. }), "{error}");
    let nobody = own.container_as(Options { user: Some("nobody-here".into()), ..Options::default() });
    let error = nobody.run(&python("pass"), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoUser { .. }), "{error}");
    let snake = own.container_as(Options { python: Some("/no/python".into()), ..Options::default() });
    let error = snake.run(&python("pass"), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoPython { .. }), "{error}");
    docker(&["pause", &own.name]);
    let error = own.container().run(&python("pass"), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::Paused { .. }), "{error}");
    docker(&["unpause", &own.name]);
    docker(&["kill", &own.name]);
    let error = own.container().run(&python("pass"), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
    docker(&["rm", &own.name]);
    let error = own.container().run(&python("pass"), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoContainer { .. }), "{error}");
}

#[tokio::test]
async fn a_container_that_dies_meanwhile_is_told() {
    let own = Own::idle("dying", 19);
    let mut running =
        own.container().start(&python("import time; print(1, flush=True); time.sleep(100)"), &within(60.0)).await.unwrap();
    running.next().await.unwrap();
    docker(&["kill", &own.name]);
    let error = running.next().await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::Supervisor { .. } | Error::Lost { .. }), "{error}");
}
