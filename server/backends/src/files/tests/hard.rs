//! Races, kills, full disks, mounts, rights, deadlines, and paths at random.
use std::{
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{ODOO, World, apply, run};
use crate::docker::exec::{Limits, Program};
use crate::files::{Content, Error, Files, Mode, Query, ReadOptions, Root};
use rustix::fs::{CWD, RenameFlags, renameat_with};

fn full(text: impl Into<Vec<u8>>) -> Mode {
    Mode::Full(text.into())
}
/// Numbers that repeat for a seed.
struct Random(u64);
impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
/// A mount that ends with it; none, with the reason printed, where mounting is not allowed.
struct Mounted(PathBuf);
impl Mounted {
    fn new(args: &[&str], at: &Path) -> Option<Self> {
        let out = Command::new("mount").args(args).arg(at).output().unwrap();
        if !out.status.success() {
            println!("skipped: nothing can be mounted here: {}", String::from_utf8_lossy(&out.stderr));
            return None;
        }
        Some(Self(at.to_owned()))
    }
}
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// A directory and a file that are links to the outside half of the time, while reading and writing goes through them.
#[tokio::test(flavor = "multi_thread")]
async fn swapped_directories_lead_nowhere() {
    // In memory where that can be had; dropped in reverse order.
    let base = tempfile::tempdir().unwrap();
    let _mount = Mounted::new(&["-t", "tmpfs", "tmpfs"], base.path());
    let world = World::local_in(base.path());
    world.put("dir/f", "inside");
    world.put("dir/g", "inside");
    std::fs::write(world.outside.join("f"), "OUTSIDE").unwrap();
    std::fs::write(world.outside.join("g"), "OUTSIDE").unwrap();
    symlink("../outside", world.addons.join("dir_link")).unwrap();
    symlink("../../outside/g", world.addons.join("dir/g_link")).unwrap();
    let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let swapper = {
        let (stop, swaps, addons) = (stop.clone(), swaps.clone(), world.addons.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for (one, other) in [("dir", "dir_link"), ("dir/g", "dir/g_link")] {
                    let (one, other) = (addons.join(one), addons.join(other));
                    if renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).is_ok() {
                        swaps.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // A write between two swaps may have replaced the link itself.
                let link = |path: &str| addons.join(path).is_symlink();
                if !link("dir") && !link("dir/g") && !link("dir/g_link") {
                    let _ = std::fs::remove_file(addons.join("dir/g_link"));
                    let _ = symlink("../../outside/g", addons.join("dir/g_link"));
                }
            }
        })
    };
    let (mut through, mut refused) = (0, 0);
    for number in 0..20_000 {
        let path = if number % 2 == 0 { "addons/dir/f" } else { "addons/dir/g" };
        let done = match number % 5 {
            0 | 1 => world.files.read(path, &ReadOptions::default()).await.map(|got| assert_ne!(got.content, "OUTSIDE")),
            2 => world.files.write(path, full(format!("new {number}")), None, apply).await.map(|_| ()),
            3 => match world.files.create("addons/dir/sub/n", Content::File(b"made".to_vec())).await {
                Ok(_) => world.files.delete("addons/dir/sub", true, None).await.map(|_| ()),
                Err(error) => Err(error),
            },
            _ => {
                let query = Query { query: "OUTSIDE".into(), below: Some("addons/dir".into()), ..Query::default() };
                world.files.search(&query).await.map(|found| assert_eq!(found.total, 0))
            }
        };
        match done {
            Ok(()) => through += 1,
            Err(_) => refused += 1,
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    println!("through {through}, refused {refused}, swaps {}", swaps.load(Ordering::Relaxed));
    assert!(through > 500 && refused > 500, "through {through}, refused {refused}: no race");
    let mut outside: Vec<_> = std::fs::read_dir(&world.outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    outside.sort();
    assert_eq!(outside, ["f", "g"]);
    for name in ["f", "g"] {
        assert_eq!(std::fs::read(world.outside.join(name)).unwrap(), b"OUTSIDE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_directories_lead_nowhere_in_a_container() {
    let world = World::container_with(&["--tmpfs", "/mnt/race:size=16m,mode=1777"]);
    let script = include_str!("../scripts/files.py");
    let functions = script.rsplit_once("\ntry:\n    main()").unwrap().0;
    let setup = "
base = sys.argv[1]
for made in ('outside', 'addons', 'addons/dir'):
    os.makedirs(os.path.join(base, made))
for name, text in (('outside/f', 'OUTSIDE'), ('outside/g', 'OUTSIDE'), ('addons/dir/f', 'in'), ('addons/dir/g', 'in')):
    with open(os.path.join(base, name), 'w') as file:
        file.write(text)
os.symlink('../outside', os.path.join(base, 'addons/dir_link'))
os.symlink('../../outside/g', os.path.join(base, 'addons/dir/g_link'))
sys.argv[1] = base + '/addons'
";
    let code = format!("{functions}\n{setup}\n{}", include_str!("race.py"));
    let program = Program {
        argv: ["{python}", "-I", "-S", "-c", &code, "/mnt/race/x", "20000"].map(ToOwned::to_owned).to_vec(),
        order: Some("".into()),
        close_order: true,
        ..Program::default()
    };
    let container = world.container.as_ref().unwrap().container();
    let limits = Limits { deadline: Duration::from_mins(2), ..Limits::default() };
    let ended = container.run(&program, &limits).await.unwrap();
    let said = ended.stdout.text();
    println!("{said}");
    let told: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{} {}", said, ended.stderr.text()));
    assert_eq!(told["bad"], serde_json::json!([]));
    assert!(told["through"].as_u64().unwrap() > 500 && told["refused"].as_u64().unwrap() > 500, "{told}: no race");
    let name = &world.container.as_ref().unwrap().name;
    let outside = run("docker", &["exec", name, "sh", "-c", "cd /mnt/race/x/outside && ls && cat *"]);
    assert_eq!(outside, "f\ng\nOUTSIDEOUTSIDE");
}

/// Runs one of these tests again in a process of its own, where `variable` is set.
fn again(test: &str, variable: &str, value: &str, through: &[&str]) -> Command {
    let own = std::env::current_exe().unwrap().into_os_string().into_string().unwrap();
    let mut words: Vec<&str> = through.to_vec();
    let test = format!("files::tests::hard::{test}");
    words.extend_from_slice(&[&own, "--exact", &test, "--nocapture"]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(variable, value).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Killed at any moment, a file is the old one or the new one, and the next writer clears up.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_the_old_or_the_new() {
    let texts = ["a".repeat(700_000), "b".repeat(300_000)];
    if let Ok(folder) = std::env::var("OCORE_FILES_KILLED") {
        let root = Root { name: "addons".into(), path: folder.into(), writable: true };
        let files = Files::local(vec![root], &[]).unwrap();
        for text in texts.iter().cycle() {
            files.write("addons/x", full(text.clone()), None, apply).await.unwrap();
        }
    }
    let world = World::local();
    world.put("x", &texts[0]);
    let mut random = Random(0x5eed);
    let (mut left, mut changed) = (0, 0);
    let mut before = world.content("x");
    for _ in 0..40 {
        let mut child =
            again("a_kill_leaves_the_old_or_the_new", "OCORE_FILES_KILLED", world.addons.to_str().unwrap(), &[]).spawn().unwrap();
        // In the middle of a write, or shortly after: from when there is something beside the file.
        let started = Instant::now();
        while std::fs::read_dir(&world.addons).unwrap().count() < 2 && started.elapsed() < Duration::from_secs(20) {}
        std::thread::sleep(Duration::from_micros(random.next(4_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = world.content("x");
        assert!(texts.contains(&now), "{} bytes", now.len());
        changed += usize::from(now != before);
        before = now;
        left += usize::from(std::fs::read_dir(&world.addons).unwrap().count() > 1);
        // The next child's is to be seen.
        world.files.write("addons/x", full("between"), None, apply).await.unwrap();
        assert_eq!(std::fs::read_dir(&world.addons).unwrap().count(), 1);
        world.put("x", &before);
        assert_eq!(world.files.list("addons").await.unwrap().entries.len(), 1);
    }
    println!("killed 40 times: {changed} found another content, {left} left something behind");
    assert!(left > 0, "no kill came while it was writing");
    world.files.write("addons/x", full("end"), None, apply).await.unwrap();
    assert_eq!(std::fs::read_dir(&world.addons).unwrap().count(), 1);
}

async fn dropped(world: &World, rounds: u64, most: u64) {
    let texts = ["a".repeat(600_000), "b".repeat(200_000)];
    world.put("x", &texts[0]);
    let (mut random, mut cut) = (Random(7), 0);
    for round in 0..rounds {
        let text = texts[usize::from(round % 2 == 0)].clone();
        let write = world.files.write("addons/x", full(text), None, apply);
        cut += u32::from(tokio::time::timeout(Duration::from_micros(random.next(most)), write).await.is_err());
        assert!(texts.contains(&world.content("x")));
    }
    println!("{}: {cut} of {rounds} dropped", world.place);
    assert!(cut > 0);
    world.files.write("addons/x", full("end"), None, apply).await.unwrap();
    assert_eq!((world.content("x").as_str(), std::fs::read_dir(&world.addons).unwrap().count()), ("end", 1));
}
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_changes_all_or_nothing() {
    dropped(&World::local(), 300, 40_000).await;
    dropped(&World::container(), 25, 2_000_000).await;
}

async fn filled(files: &Files, content: impl Fn() -> (Vec<u8>, usize)) {
    let old = vec![b'o'; 300_000];
    files.create("addons/x", Content::File(old.clone())).await.unwrap();
    assert!(matches!(files.write("addons/x", full(vec![b'n'; 900_000]), None, apply).await, Err(Error::NoSpace { .. })));
    assert!(matches!(files.create("addons/y", Content::File(vec![b'n'; 900_000])).await, Err(Error::NoSpace { .. })));
    assert!(matches!(files.create("addons/d/e/y", Content::File(vec![b'n'; 900_000])).await, Err(Error::NoSpace { .. })));
    assert_eq!(content(), (old, 1));
    files.write("addons/x", full("small"), None, apply).await.unwrap();
}
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_the_old_content() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(mount) = Mounted::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder.path()) {
        let root = Root { name: "addons".into(), path: folder.path().into(), writable: true };
        let files = Files::local(vec![root], &[]).unwrap();
        let path = mount.0.clone();
        filled(&files, || (std::fs::read(path.join("x")).unwrap(), std::fs::read_dir(&path).unwrap().count())).await;
    }
    let world = World::container_with(&["--tmpfs", "/mnt/small:size=1m,mode=1777"]);
    let own = world.container.as_ref().unwrap();
    let root = Root { name: "addons".into(), path: "/mnt/small".into(), writable: true };
    let files = Files::container(own.container(), vec![root], &[]).unwrap();
    filled(&files, || {
        let listed = run("docker", &["exec", &own.name, "ls", "-A", "/mnt/small"]);
        (run("docker", &["exec", &own.name, "cat", "/mnt/small/x"]).into_bytes(), listed.lines().count())
    })
    .await;
}

async fn not_changed(files: &Files, root: &str) {
    assert_eq!(files.read(&format!("{root}/x"), &ReadOptions::default()).await.unwrap().content, "x");
    let all = [
        files.write(&format!("{root}/x"), full("y"), None, apply).await,
        files.create(&format!("{root}/new"), Content::File(Vec::new())).await,
        files.create(&format!("{root}/new/dir"), Content::Directory).await,
        files.delete(&format!("{root}/x"), false, None).await,
        files.rename(&format!("{root}/x"), &format!("{root}/y")).await,
    ];
    for one in all {
        assert!(matches!(one, Err(Error::ReadOnly { .. })), "{one:?}");
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_mount_says_so() {
    let (folder, at) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::write(folder.path().join("x"), "x").unwrap();
    let source = folder.path().to_str().unwrap();
    if let Some(_mount) = Mounted::new(&["-o", "bind,ro", source], at.path()) {
        let root = Root { name: "addons".into(), path: at.path().into(), writable: true };
        not_changed(&Files::local(vec![root], &[]).unwrap(), "addons").await;
    }
    let world = World::container_with(&["-v", &format!("{source}:/mnt/fixed:ro")]);
    let root = Root { name: "addons".into(), path: "/mnt/fixed".into(), writable: true };
    not_changed(&Files::container(world.container.as_ref().unwrap().container(), vec![root], &[]).unwrap(), "addons").await;
}

async fn crossed(files: &Files, at: &str) {
    assert_eq!(files.read(&format!("addons/{at}/x"), &ReadOptions::default()).await.unwrap().content, "x");
    let path = format!("addons/{at}/x");
    let all = [
        files.write(&path, full("y"), None, apply).await,
        files.create(&format!("addons/{at}/new/deep"), Content::File(Vec::new())).await,
        files.delete(&path, false, None).await,
        files.delete(&format!("addons/{at}"), true, None).await,
        files.delete("addons/a", true, None).await,
        files.rename(&path, "addons/y").await,
        files.rename("addons/z", &format!("addons/{at}/z")).await,
    ];
    for (number, one) in all.into_iter().enumerate() {
        assert!(matches!(one, Err(Error::Mount { .. })), "{at} {number} {one:?}");
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn other_file_systems_are_not_changed() {
    let world = World::local();
    world.put("z", "z");
    let (tmpfs, bound) = (world.dir("a/tmpfs"), world.dir("a/bound"));
    let source = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
    std::fs::write(source.path().join("x"), "x").unwrap();
    std::fs::set_permissions(source.path(), PermissionsExt::from_mode(0o777)).unwrap();
    if let Some(_one) = Mounted::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &tmpfs) {
        std::fs::write(tmpfs.join("x"), "x").unwrap();
        crossed(&world.files, "a/tmpfs").await;
    }
    // The same file system, mounted a second time: only the mount's number differs.
    if let Some(_two) = Mounted::new(&["--bind", source.path().to_str().unwrap()], &bound) {
        crossed(&world.files, "a/bound").await;
    }
    let bind = format!("{}:/mnt/world/addons/a/bound", source.path().display());
    let inside = World::container_with(&["-v", &bind]);
    inside.put("z", "z");
    crossed(&inside.files, "a/bound").await;
    assert_eq!(std::fs::read(source.path().join("x")).unwrap(), b"x");
}

async fn denied(files: &Files) {
    let denied = |one: Error| assert!(matches!(one, Error::Denied { .. }), "{one:?}");
    denied(files.read("addons/theirs/secret", &ReadOptions::default()).await.unwrap_err());
    denied(files.list("addons/theirs/closed").await.unwrap_err());
    denied(files.write("addons/theirs/x", full("y"), None, apply).await.unwrap_err());
    denied(files.create("addons/theirs/new", Content::File(Vec::new())).await.unwrap_err());
    denied(files.create("addons/theirs/new/x", Content::Directory).await.unwrap_err());
    denied(files.delete("addons/theirs/x", false, None).await.unwrap_err());
    denied(files.rename("addons/theirs/x", "addons/x").await.unwrap_err());
    let tree = files.tree("addons", 3, 100).await.unwrap();
    assert!(tree.entries.iter().any(|entry| entry.path == "addons/theirs/closed" && entry.cut));
    // Those that may not be read are left out.
    let query = Query { query: "x".into(), ..Query::default() };
    assert_eq!(files.search(&query).await.unwrap().files, 1);
}
#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_are_told() {
    if let Ok(folder) = std::env::var("OCORE_FILES_DENIED") {
        let root = Root { name: "addons".into(), path: folder.into(), writable: true };
        denied(&Files::local(vec![root], &[]).unwrap()).await;
        return;
    }
    let prepare = |world: &World| {
        let theirs = world.addons.join("theirs");
        std::fs::create_dir_all(theirs.join("closed")).unwrap();
        std::fs::write(theirs.join("x"), "x").unwrap();
        std::fs::write(theirs.join("secret"), "x").unwrap();
        std::fs::set_permissions(theirs.join("secret"), PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::set_permissions(theirs.join("closed"), PermissionsExt::from_mode(0o700)).unwrap();
    };
    let world = World::container();
    prepare(&world);
    denied(&world.files).await;

    let world = World::local();
    prepare(&world);
    // As somebody else than root, from where that one may read.
    let copy = world.fixed.join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let ids = [format!("--reuid={}", ODOO.0), format!("--regid={}", ODOO.1), "--clear-groups".to_owned()];
    let out = Command::new("setpriv")
        .args(&ids)
        .arg(&copy)
        .args(["--exact", "files::tests::hard::missing_rights_are_told", "--nocapture"])
        .env("OCORE_FILES_DENIED", &world.addons)
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&out.stderr));
}

/// A deadline that comes before the change means that there is none, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_hold() {
    let world = World::local();
    world.put("x", "old");
    let held = std::fs::File::open(&world.addons).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let began = Instant::now();
    let late = world.files.within(Duration::from_millis(200)).write("addons/x", full("new"), None, apply).await.unwrap_err();
    assert!(matches!(late, Error::Timeout { outcome_unknown: false, .. }) && late.code() == "timeout", "{late:?}");
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(matches!(world.files.write("addons/x", full("new"), None, apply).await, Err(Error::Busy { .. })));
    drop(held);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.content("x"), "old");
    world.files.write("addons/x", full("new"), None, apply).await.unwrap();

    let world = World::container();
    world.put("x", "old");
    let held = std::fs::File::open(&world.addons).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(matches!(world.files.write("addons/x", full("new"), None, apply).await, Err(Error::Busy { .. })));
    let late = world.files.within(Duration::from_millis(900)).write("addons/x", full("new"), None, apply).await.unwrap_err();
    assert!(matches!(late, Error::Timeout { outcome_unknown: false, .. }), "{late:?}");
    drop(held);
    assert_eq!(world.content("x"), "old");
    run("docker", &["stop", "-t", "0", &world.container.as_ref().unwrap().name]);
    let gone = world.files.list("").await.unwrap_err();
    assert!(matches!(gone, Error::Container { .. }) && gone.code() == "unreachable", "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_are_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let (good, inner, data) = (part("good"), part("good/inner"), part("data"));
    symlink("/etc", folder.path().join("etc")).unwrap();
    symlink("good", folder.path().join("same")).unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let open = |paths: &[&Path], forbidden: &[PathBuf]| {
        let root = |(number, path): (usize, &&Path)| Root { name: format!("r{number}"), path: path.into(), writable: true };
        Files::local(paths.iter().enumerate().map(root).collect(), forbidden)
    };
    let refused = |result: Result<Files, Error>| assert!(matches!(result, Err(Error::RootRefused { .. })), "{result:?}");
    for path in ["/", "/etc", "/proc", "/sys", "/dev", "/root", "/home", "/etc/ssl", "/nowhere/at/all"] {
        refused(open(&[Path::new(path)], &[]));
    }
    refused(open(&[&folder.path().join("etc")], &[]));
    refused(open(&[&folder.path().join("file")], &[]));
    refused(open(&[&good, &inner], &[]));
    refused(open(&[&good, &folder.path().join("same")], &[]));
    refused(open(&[&good], std::slice::from_ref(&good)));
    refused(open(&[&good], std::slice::from_ref(&inner)));
    refused(open(&[&inner], std::slice::from_ref(&good)));
    refused(open(&[&inner], &[folder.path().join("same")]));
    open(&[&good, &data], &[part("other")]).unwrap();

    let files = open(&[&good], &[]).unwrap();
    std::fs::remove_dir_all(&good).unwrap();
    std::fs::create_dir(&good).unwrap();
    assert!(matches!(files.list("r0").await, Err(Error::RootGone { .. })));

    let world = World::container();
    symlink("/etc", world.addons.join("link")).unwrap();
    let container = world.container.as_ref().unwrap().container();
    let root = |path: &str| vec![Root { name: "a".into(), path: path.into(), writable: true }];
    assert!(matches!(Files::container(container.clone(), root("/etc"), &[]), Err(Error::RootRefused { .. })));
    let forbidden = [PathBuf::from("/mnt/world/addons/data")];
    assert!(matches!(Files::container(container.clone(), root("/mnt/world/addons"), &forbidden), Err(Error::RootRefused { .. })));
    for (path, forbidden) in [("/mnt/world/addons/link", ""), ("/nowhere", ""), ("/mnt/world/addons", "/mnt/world/outside")] {
        let forbidden: Vec<PathBuf> = if forbidden.is_empty() { Vec::new() } else { vec![forbidden.into()] };
        let files = Files::container(container.clone(), root(path), &forbidden).unwrap();
        let listed = files.list("a").await;
        assert_eq!(matches!(listed, Err(Error::RootGone { .. })), forbidden.is_empty(), "{path} {listed:?}");
    }
}

/// Paths at random, of the parts that paths are attacked with: nothing outside is seen or changed, nothing panics or hangs.
#[tokio::test(flavor = "multi_thread")]
async fn paths_at_random_stay_inside() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seconds, seed) = (number("OCORE_FUZZ_SECONDS", 2), number("OCORE_FUZZ_SEED", 0x0dd5_eed5));
    let world = World::local();
    world.put("a/f", "inside");
    world.put("a/.git/config", "git");
    for name in ["secret", "f"] {
        std::fs::write(world.outside.join(name), "OUTSIDE").unwrap();
    }
    symlink("../../outside", world.addons.join("a/out")).unwrap();
    symlink("..", world.addons.join("a/up")).unwrap();
    symlink("/", world.addons.join("slash")).unwrap();
    // What lies outside; and what is in `.git`, wherever a renaming of the directory above has brought it.
    let fixed = |world: &World| {
        let all = world.snapshot().into_iter().filter_map(|(path, found)| {
            let text = path.to_string_lossy().into_owned();
            if !path.starts_with(&world.addons) {
                return Some((text, found));
            }
            let git = path.components().position(|part| part.as_os_str().eq_ignore_ascii_case(".git"))?;
            let inside: PathBuf = path.components().skip(git).collect();
            Some((inside.to_string_lossy().into_owned(), found))
        });
        all.collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = fixed(&world);
    let long = "x".repeat(300);
    let parts = [
        "addons", "fixed", "a", "f", "..", ".", "", "/", "out", "up", "slash", "secret", "outside", ".git", ".GIT", "git~1",
        "config", "\\", "..\\", "\0", "\n", " ", "é", "..;", "%2e%2e", "\u{202e}", "new", &long, "etc", "passwd", "~", "-rf",
        "*", ":", "a.",
    ];
    let mut random = Random(seed | 1);
    let (began, mut tried, mut done) = (Instant::now(), 0_u64, 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        let mut make = || {
            let mut path = if random.next(3) > 0 { "addons/a".to_owned() } else { String::new() };
            for _ in 0..random.next(6) {
                if random.next(5) > 0 {
                    path.push('/');
                }
                path.push_str(parts[usize::try_from(random.next(parts.len() as u64)).unwrap()]);
            }
            path
        };
        let (path, other) = (make(), make());
        let files = &world.files;
        let ok = match random.next(8) {
            0 => files.create(&path, Content::File(b"new".to_vec())).await.is_ok(),
            1 => files.create(&path, Content::Directory).await.is_ok(),
            2 => files.write(&path, full("new"), None, apply).await.is_ok(),
            3 => files.delete(&path, false, None).await.is_ok(),
            4 => files.rename(&path, &other).await.is_ok(),
            5 => files.read(&path, &ReadOptions::default()).await.is_ok_and(|got| {
                assert!(!got.content.contains("OUTSIDE") && !got.content.contains("root:"), "seed {seed}: {path:?}");
                true
            }),
            6 => files.tree(&path, 3, 50).await.is_ok_and(|tree| {
                assert!(
                    tree.entries.iter().all(|entry| !entry.path.ends_with("/secret") || entry.size != 7),
                    "seed {seed}: {path:?}"
                );
                true
            }),
            _ => files.info(&path).await.is_ok(),
        };
        tried += 1;
        done += u64::from(ok);
        // Something to work on stays.
        if tried % 64 == 0 {
            let _ = world.files.create("addons/a/f", Content::File(b"inside".to_vec())).await;
        }
    }
    println!("seed {seed}: {tried} tried, {done} done");
    assert!(done > 0 && done < tried);
    assert_eq!(fixed(&world), before, "seed {seed}");
    std::io::stdout().flush().unwrap();
}
