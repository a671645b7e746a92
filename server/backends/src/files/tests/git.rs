//! The state of files as git itself tells it, without anything of the repository being run.
use std::{os::unix::fs::PermissionsExt, process::Command};

use super::{ODOO, World, run};
use crate::files::{GitState, GitStatus};

fn git(world: &World, args: &[&str]) -> String {
    let mut all =
        vec!["-C", world.addons.to_str().unwrap(), "-c", "safe.directory=*", "-c", "user.name=t", "-c", "user.email=t@t"];
    all.extend_from_slice(args);
    run("git", &all)
}
/// What git says of a file; its own fsmonitor and filters off, so that it is git's view and not theirs.
fn by_git(world: &World, path: &str) -> GitState {
    let line = git(world, &["-c", "core.fsmonitor=false", "status", "--porcelain", "--ignored", "-uall", "--", path]);
    // `run` trims: an empty first column is gone.
    match line.split(path).next().unwrap() {
        "" => GitState::Clean,
        "?? " => GitState::Untracked,
        "!! " => GitState::Ignored,
        "A  " | "M  " => GitState::Staged,
        "M " | "MM " | "AM " | "UU " => GitState::Modified,
        other => panic!("{path}: {other:?} {line}"),
    }
}
async fn status(world: &World, path: &str) -> GitStatus {
    world.files.info(&format!("addons/{path}")).await.unwrap().git
}
fn hand_over(world: &World) {
    run("chown", &["-R", &format!("{}:{}", ODOO.0, ODOO.1), world.addons.to_str().unwrap()]);
}

async fn agree(world: &World, paths: &[&str]) {
    hand_over(world);
    for path in paths {
        let ours = status(world, path).await;
        assert_eq!(ours.state, by_git(world, path), "{} {path}: {ours:?}", world.place);
    }
}

async fn states(world: &World) {
    world.put("loose", "in no repository");
    assert_eq!(status(world, "loose").await.state, GitState::None);
    git(world, &["init", "-q", "-b", "main"]);
    world.put("first", "1");
    agree(world, &["first"]).await;
    git(world, &["add", "first"]);
    agree(world, &["first"]).await;

    // A history with deltas, deep trees, everything packed.
    for round in 0..12 {
        for number in 0..40 {
            world.put(
                &format!("sale/models/deep/file_{number:02}.py"),
                format!("{}\nround {}\n", "line\n".repeat(200), round * number),
            );
        }
        world.put("sale/__manifest__.py", format!("{{'version': {round}}}\n"));
        world.put("run.sh", "#!/bin/sh\n");
        std::fs::set_permissions(world.addons.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        git(world, &["add", "-A"]);
        git(world, &["commit", "-q", "-m", "round"]);
    }
    git(world, &["gc", "-q", "--aggressive"]);
    let tracked = ["sale/models/deep/file_00.py", "sale/models/deep/file_39.py", "sale/__manifest__.py", "run.sh", "first"];
    agree(world, &tracked).await;

    // Nothing of this may be run.
    let trap = world.outside.join("trap");
    let script = world.addons.join(".git/evil");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\ncat\n", trap.display())).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    for (name, value) in
        [("core.fsmonitor", ".git/evil"), ("filter.evil.clean", ".git/evil"), ("diff.evil.textconv", ".git/evil")]
    {
        git(world, &["config", name, value]);
    }
    std::fs::copy(&script, world.addons.join(".git/hooks/post-index-change")).unwrap();
    world.put(".git/info/attributes", "first filter=evil diff=evil\n");
    hand_over(world);
    for path in tracked {
        assert_eq!(status(world, path).await.state, GitState::Clean);
    }
    world.put("first", "other");
    assert_eq!(status(world, "first").await.state, GitState::Modified);
    assert!(!trap.exists(), "something of the repository was run");
    std::fs::remove_file(world.addons.join(".git/info/attributes")).unwrap();
    std::fs::remove_file(world.addons.join(".git/hooks/post-index-change")).unwrap();
    git(world, &["config", "core.fsmonitor", "false"]);

    world.put("sale/models/deep/file_00.py", "changed\n");
    world.put("sale/models/deep/file_01.py", "staged\n");
    world.put("sale/models/deep/file_02.py", "staged\n");
    world.put("sale/models/deep/added.py", "new\n");
    git(world, &["add", "sale/models/deep/file_01.py", "sale/models/deep/file_02.py", "sale/models/deep/added.py"]);
    world.put("sale/models/deep/file_02.py", "and changed\n");
    std::fs::set_permissions(world.addons.join("run.sh"), PermissionsExt::from_mode(0o644)).unwrap();
    world.put(".gitignore", "*.log\n!keep.log\n/build/\n# comment\nsale/**/tmp_*\n");
    world.put("sale/.gitignore", "local\n!special.log\n");
    world.put(".git/info/exclude", "excluded\n");
    world.put("unt racked é.py", "x");
    for path in [
        "x.log",
        "keep.log",
        "build/keep.log",
        "sale/local",
        "local",
        "sale/special.log",
        "sale/models/tmp_1",
        "excluded",
        "sale/build/x",
    ] {
        world.put(path, "x");
    }
    // The same content with another time is clean; Windows line endings are not.
    world.put("sale/models/deep/file_03.py", world.content("sale/models/deep/file_03.py"));
    world.put("sale/models/deep/file_04.py", world.content("sale/models/deep/file_04.py").replace('\n', "\r\n"));
    let all = [
        "sale/models/deep/file_00.py",
        "sale/models/deep/file_01.py",
        "sale/models/deep/file_02.py",
        "sale/models/deep/file_03.py",
        "sale/models/deep/file_04.py",
        "sale/models/deep/added.py",
        "run.sh",
        "first",
        "x.log",
        "keep.log",
        "build/keep.log",
        "sale/local",
        "local",
        "sale/special.log",
        "sale/models/tmp_1",
        "excluded",
        "sale/build/x",
        ".gitignore",
    ];
    git(world, &["config", "core.quotePath", "false"]);
    agree(world, &all).await;
    assert_eq!(status(world, "unt racked é.py").await.state, GitState::Untracked);
    for version in ["4", "2"] {
        git(world, &["update-index", "--index-version", version]);
        agree(world, &all).await;
    }
    // Detached, and with references in one file.
    git(world, &["pack-refs", "--all"]);
    agree(world, &all[..3]).await;
    git(world, &["checkout", "-q", "--detach"]);
    agree(world, &all[..3]).await;
    // Soft reset: the index is the newer one.
    git(world, &["commit", "-q", "-m", "staged"]);
    git(world, &["reset", "-q", "--soft", "HEAD~1"]);
    agree(world, &all[..6]).await;

    // A linked worktree is no repository of its own.
    git(world, &["worktree", "add", "-q", "linked"]);
    hand_over(world);
    let linked = status(world, "linked/first").await;
    assert!(linked.state == GitState::Unknown && linked.reason.unwrap().contains("linked worktree"));
    // Damaged: nothing is claimed.
    let path = world.addons.join(".git/index");
    let mut index = std::fs::read(&path).unwrap();
    let middle = index.len() / 2;
    index[middle] ^= 1;
    std::fs::write(&path, index).unwrap();
    let damaged = status(world, "first").await;
    assert!(damaged.state == GitState::Unknown && damaged.reason.is_some());
    std::fs::remove_dir_all(world.addons.join(".git")).unwrap();
    std::os::unix::fs::symlink("../outside", world.addons.join(".git")).unwrap();
    assert_eq!(status(world, "first").await.state, GitState::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_gits_on_this_host() {
    states(&World::local()).await;
}
#[tokio::test(flavor = "multi_thread")]
async fn states_are_gits_in_a_container() {
    states(&World::container()).await;
}

/// A repository that somebody else made: damage and lies give an answer or a reason, never a panic or a long wait.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_repositories_do_no_harm() {
    let world = World::local();
    git(&world, &["init", "-q", "-b", "main"]);
    for number in 0..30 {
        world.put(&format!("d/f{number}"), "x\n".repeat(number));
    }
    git(&world, &["add", "-A"]);
    git(&world, &["commit", "-q", "-m", "one"]);
    git(&world, &["gc", "-q"]);
    let found = Command::new("find")
        .arg(world.addons.join(".git"))
        .args([
            "-name",
            "index",
            "-o",
            "-name",
            "*.idx",
            "-o",
            "-name",
            "*.pack",
            "-o",
            "-name",
            "HEAD",
            "-o",
            "-name",
            "packed-refs",
        ])
        .output()
        .unwrap();
    let files: Vec<_> = String::from_utf8(found.stdout).unwrap().lines().map(std::path::PathBuf::from).collect();
    assert!(files.len() >= 5, "{files:?}");
    let mut state = 0x1234_5678_u64;
    let mut unknown = 0;
    for file in &files {
        let good = std::fs::read(file).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
        for _ in 0..60 {
            let mut bad = good.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(state >> 33).unwrap() % bad.len();
                bad[at] = u8::try_from(state >> 56).unwrap();
            }
            if state & 4096 == 0 {
                bad.truncate(usize::try_from(state >> 33).unwrap() % bad.len());
            }
            if file.ends_with("index") && state & 8192 == 0 && bad.len() > 20 {
                // As with index.skipHash, so that what is inside is looked at.
                let end = bad.len() - 20;
                bad[end..].fill(0);
            }
            std::fs::write(file, bad).unwrap();
            unknown += u32::from(status(&world, "d/f7").await.state == GitState::Unknown);
        }
        std::fs::write(file, good).unwrap();
    }
    println!("{unknown} of {} damages noticed", files.len() * 60);
    assert!(unknown > 50);
    assert_eq!(status(&world, "d/f7").await.state, GitState::Clean);
}
