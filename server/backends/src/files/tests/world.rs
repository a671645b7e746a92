//! What the operations do, the same on this host and in a container.
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    time::{Duration, Instant},
};

use super::{World, apply, run};
use crate::files::{ChangeKind, Content, Encoding, Error, Kind, Mode, Query, ReadOptions, Undo};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Each on this host, and in a container of its own.
macro_rules! both {
    ($($name:ident)*) => {
        mod on_this_host { $( #[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(&super::World::local()).await } )* }
        mod in_a_container { $( #[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(&super::World::container()).await } )* }
    };
}
both! {
    lists_show_what_there_is
    huge_directories_are_cut
    facts_are_the_file_systems
    content_is_read_in_parts
    what_is_no_plain_path_is_refused
    writing_replaces_as_a_whole
    a_change_to_another_version_is_refused
    one_of_many_writers_wins
    creation_never_replaces
    deletion_is_deliberate
    renaming_never_replaces
    plans_change_nothing
    git_is_left_alone
    search_finds_and_stays_inside
}

fn full(text: &str) -> Mode {
    Mode::Full(text.into())
}
fn file(text: &str) -> Content {
    Content::File(text.into())
}

async fn lists_show_what_there_is(world: &World) {
    world.put("sale_x/__manifest__.py", "{}");
    world.put("old/__openerp__.py", "{}");
    world.put("plain/readme", "");
    world.put("sale_x/models/a.py", "a = 1\n");
    world.put("sale_x/models/__pycache__/a.pyc", "x");
    world.put("sale_x/.git/config", "url = https://user:token@host");
    world.put("sale_x/models/.ocore-tmp-0", "left");
    symlink("/etc", world.addons.join("sale_x/link")).unwrap();
    symlink(world.addons.join("sale_x"), world.addons.join("linked")).unwrap();
    std::fs::write(world.addons.join("sale_x/tab\there"), "").unwrap();
    std::fs::write(world.addons.join("sale_x/back\\slash"), "").unwrap();
    let odd = std::os::unix::ffi::OsStringExt::from_vec(b"caf\xe9".to_vec());
    std::fs::write(world.addons.join("sale_x").join::<std::ffi::OsString>(odd), "").unwrap();
    std::fs::create_dir(world.fixed.join("fix")).unwrap();
    std::fs::write(world.fixed.join("fix/__manifest__.py"), "{}").unwrap();

    let top = world.files.list("").await.unwrap();
    let addons: Vec<_> = top.addons.iter().map(|addon| (addon.path.as_str(), addon.writable)).collect();
    assert_eq!(addons, [("addons/old", true), ("addons/sale_x", true), ("fixed/fix", false)]);
    assert_eq!(top.addons[0].manifest, "__openerp__.py");

    let listed = world.files.list("addons/sale_x").await.unwrap();
    let entries: Vec<_> = listed.entries.iter().map(|e| (e.path.as_str(), e.kind, e.addressable)).collect();
    assert_eq!(
        entries,
        [
            ("addons/sale_x/.git", Kind::Directory, true),
            ("addons/sale_x/__manifest__.py", Kind::File, true),
            ("addons/sale_x/back\\slash", Kind::File, false),
            ("addons/sale_x/caf\u{fffd}", Kind::File, false),
            ("addons/sale_x/link", Kind::Link, true),
            ("addons/sale_x/models", Kind::Directory, true),
            ("addons/sale_x/tab\\there", Kind::File, false),
        ]
    );
    assert!(!listed.truncated);

    let tree = world.files.tree("addons", 3, 100).await.unwrap();
    let paths: Vec<_> = tree.entries.iter().map(|e| e.path.as_str()).collect();
    assert!(paths.contains(&"addons/sale_x/models/a.py"));
    for path in [
        "addons/linked/models",
        "addons/sale_x/.git/config",
        "addons/sale_x/models/__pycache__",
        "addons/sale_x/models/.ocore-tmp-0",
    ] {
        assert!(!paths.contains(&path), "{path}");
    }
    // Named, it is shown.
    let cache = world.files.list("addons/sale_x/models/__pycache__").await.unwrap();
    assert_eq!(cache.entries[0].path, "addons/sale_x/models/__pycache__/a.pyc");
    let cut = world.files.tree("addons", 3, 4).await.unwrap();
    assert!(cut.truncated && cut.entries.len() == 4);
    assert!(matches!(world.files.tree("addons", 4, 10).await, Err(Error::Argument { .. })));
    assert!(
        matches!(world.files.list("addons/sale_x/__manifest__.py").await, Err(Error::NotDirectory { path }) if path == "addons/sale_x/__manifest__.py")
    );
    assert!(matches!(world.files.list("addons/nope/x").await, Err(Error::NotFound { path }) if path == "addons/nope"));
    assert!(matches!(world.files.list("sale_x").await, Err(Error::NoRoot { .. })));
}

async fn huge_directories_are_cut(world: &World) {
    let dir = world.dir("big/inner");
    for number in 0..25_000 {
        std::fs::File::create(dir.join(format!("f{number:05}"))).unwrap();
    }
    let began = Instant::now();
    let listed = world.files.list("addons/big/inner").await.unwrap();
    assert!(listed.truncated && listed.entries.len() == 2000);
    let tree = world.files.tree("addons/big", 2, 100).await.unwrap();
    assert!(tree.truncated && tree.entries[0].cut && tree.entries.len() == 100);
    assert!(matches!(world.files.delete("addons/big", true, None).await, Err(Error::TooMany { limit: 20_000, .. })));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 25_000);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

async fn facts_are_the_file_systems(world: &World) {
    let path = world.put("a/x.py", "é = 1\nb = 2");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o750)).unwrap();
    let info = world.files.info("addons/a/x.py").await.unwrap();
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!((info.kind, info.size, info.mode.as_str()), (Kind::File, 12, "0750"));
    assert_eq!((info.uid, info.gid, info.hard_links, info.writable), (meta.uid(), meta.gid(), 1, true));
    assert_eq!((info.lines, info.binary), (Some(2), Some(false)));
    let sum = run("sha256sum", &[path.to_str().unwrap()]);
    assert_eq!(info.sha256.as_deref(), sum.split(' ').next());
    assert_eq!(info.modified, run("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ", "-r", path.to_str().unwrap()]));
    world.put("a/b.bin", b"\xff\0");
    let info = world.files.info("addons/a/b.bin").await.unwrap();
    assert_eq!((info.binary, info.lines), (Some(true), None));
    assert_eq!(world.files.info("addons/a").await.unwrap().kind, Kind::Directory);
    assert_eq!(world.files.info("addons").await.unwrap().kind, Kind::Directory);
}

async fn content_is_read_in_parts(world: &World) {
    let text = (1..=9000).map(|n| format!("line {n:05} ....")).collect::<Vec<_>>().join("\n") + "\n";
    world.put("a/long.py", &text);
    let first = world.files.read("addons/a/long.py", &ReadOptions::default()).await.unwrap();
    assert!(first.truncated && first.content.len() <= 100 << 10 && text.starts_with(&first.content));
    assert_eq!((first.lines, first.size), (Some(9000), text.len() as u64));
    let rest = ReadOptions { first_line: first.next_line, ..ReadOptions::default() };
    let rest = world.files.read("addons/a/long.py", &rest).await.unwrap();
    assert_eq!(format!("{}{}", first.content, rest.content), text);
    assert!(!rest.truncated && rest.version == first.version);

    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    world.put("a/x.bin", &bytes);
    assert!(matches!(world.files.read("addons/a/x.bin", &ReadOptions::default()).await, Err(Error::Binary { .. })));
    let options = ReadOptions { encoding: Encoding::Base64, ..ReadOptions::default() };
    assert_eq!(STANDARD.decode(world.files.read("addons/a/x.bin", &options).await.unwrap().content).unwrap(), bytes);

    // Above 10 MB: the beginning, never all of it.
    let large = "0123456789abcde\n".repeat(700_000);
    world.put("a/large.csv", &large);
    let options = ReadOptions { first_line: Some(655_000), last_line: Some(655_001), ..ReadOptions::default() };
    let got = world.files.read("addons/a/large.csv", &options).await.unwrap();
    assert_eq!((got.content.len(), got.lines, got.size), (32, None, large.len() as u64));
    assert!(got.version.starts_with("stat-"));
    let options = ReadOptions { first_line: Some(690_000), ..ReadOptions::default() };
    assert!(matches!(world.files.read("addons/a/large.csv", &options).await, Err(Error::TooLarge { .. })));
    assert!(matches!(world.files.read("addons/a", &options).await, Err(Error::IsDirectory { .. })));
}

async fn what_is_no_plain_path_is_refused(world: &World) {
    std::fs::write(world.outside.join("secret"), "secret").unwrap();
    world.put("a/f", "inside");
    symlink("../../outside/secret", world.addons.join("a/file_link")).unwrap();
    symlink("../../outside", world.addons.join("a/dir_link")).unwrap();
    symlink("f", world.addons.join("a/inner_link")).unwrap();
    symlink("loop", world.addons.join("a/loop")).unwrap();
    symlink("nowhere", world.addons.join("a/dangling")).unwrap();
    let at = |name: &str| world.addons.join("a").join(name).into_os_string().into_string().unwrap();
    run("mkfifo", &[&at("fifo")]);
    run("chmod", &["666", &at("fifo")]);
    run("mknod", &["-m", "666", &at("device"), "c", "1", "5"]);
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let before = world.snapshot();

    let files = &world.files;
    let options = ReadOptions::default();
    let began = Instant::now();
    for (name, link) in [
        ("file_link", true),
        ("inner_link", true),
        ("loop", true),
        ("dangling", true),
        ("dir_link/secret", true),
        ("dir_link/new", true),
        ("fifo", false),
        ("device", false),
        ("socket", false),
    ] {
        let path = format!("addons/a/{name}");
        let check = |what: &str, error: Error| {
            match &error {
                Error::Link { path: at } if link => assert!(path.starts_with(at.as_str())),
                Error::Special { path: at, .. } if !link => assert_eq!(*at, path),
                Error::Exists { .. } if what == "create" => {}
                other => panic!("{} {what} {path}: {other:?}", world.place),
            }
            assert!(["path_refused", "conflict"].contains(&error.code()) && !error.advice().is_empty());
        };
        check("read", files.read(&path, &options).await.unwrap_err());
        check("info", files.info(&path).await.unwrap_err());
        check("write", files.write(&path, full("x"), None, apply).await.unwrap_err());
        check("create", files.create(&path, file("x")).await.unwrap_err());
        check("delete", files.delete(&path, true, None).await.unwrap_err());
        check("rename", files.rename(&path, "addons/a/new").await.unwrap_err());
        if link {
            check("list", files.list(&path).await.unwrap_err());
            check("create below", files.create(&format!("{path}/sub/new"), file("x")).await.unwrap_err());
            check("mkdir below", files.create(&format!("{path}/sub/new"), Content::Directory).await.unwrap_err());
        }
    }
    assert!(
        matches!(files.rename("addons/a/f", "addons/a/dir_link/f").await, Err(Error::Link { path }) if path == "addons/a/dir_link")
    );
    assert!(matches!(files.rename("addons/a/f", "addons/a/inner_link").await, Err(Error::Exists { .. })));
    for path in ["addons/../outside/secret", "/etc/passwd", "addons/a/../f", "addons//a", "addons/a\0", "..", "addons/a\\..\\f"] {
        assert!(matches!(files.read(path, &options).await, Err(Error::Path { .. })), "{path:?}");
        assert!(matches!(files.create(path, file("x")).await, Err(Error::Path { .. })), "{path:?}");
        assert!(matches!(files.rename("addons/a/f", path).await, Err(Error::Path { .. })), "{path:?}");
    }
    assert!(matches!(files.write("fixed/x", full("x"), None, apply).await, Err(Error::ReadOnlyRoot { root }) if root == "fixed"));
    assert!(matches!(files.rename("addons/a/f", "fixed/f").await, Err(Error::ReadOnlyRoot { .. })));
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    assert_eq!(world.snapshot(), before);
}

async fn writing_replaces_as_a_whole(world: &World) {
    let files = &world.files;
    let path = world.put("a/x.py", "one\r\ntwo\r\nthree");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    let change = files.write("addons/a/x.py", Mode::Insert { line: 2, content: "new\n".into() }, None, apply).await.unwrap();
    assert_eq!(world.content("a/x.py"), "one\r\nnew\r\ntwo\r\nthree");
    assert!(change.done && change.kind == ChangeKind::Written && change.diff.as_ref().unwrap().contains("+new"));
    assert_eq!((change.bytes_before, change.bytes_after), (Some(15), Some(20)));
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o640, super::ODOO.0, super::ODOO.1));
    assert_ne!(meta.ino(), inode);
    let undo: Undo = serde_json::from_str(&serde_json::to_string(&change.undo.unwrap()).unwrap()).unwrap();

    let info = files.info("addons/a/x.py").await.unwrap();
    assert_eq!(info.sha256, change.version);
    let back = files.undo(&undo).await.unwrap();
    assert_eq!(world.content("a/x.py"), "one\r\ntwo\r\nthree");
    assert!(matches!(files.undo(&undo).await, Err(Error::Conflict { .. })));
    files.undo(&back.undo.unwrap()).await.unwrap();
    assert_eq!(world.content("a/x.py"), "one\r\nnew\r\ntwo\r\nthree");

    let change = files.write("addons/a/x.py", Mode::Patch("=one\ntwo\n".into()), None, apply).await.unwrap();
    assert_eq!((world.content("a/x.py").as_str(), change.notes.as_slice()), ("one\r\ntwo\r\n", &["as it fits".to_owned()][..]));
    let bad = files.write("addons/a/x.py", Mode::Patch("?".into()), None, apply).await;
    assert!(matches!(bad, Err(Error::Patch { why, .. }) if why == "hunk 1 does not fit"));
    let bad = files.write("addons/a/x.py", Mode::Insert { line: 9, content: "x".into() }, None, apply).await;
    assert!(matches!(bad, Err(Error::Line { line: 9, lines: 2, .. })));
    let same = files.write("addons/a/x.py", full("one\r\ntwo\r\n"), None, apply).await.unwrap();
    assert!(same.undo.is_none() && same.notes[0].contains("nothing"));
    assert!(matches!(files.write("addons/a/none", full(""), None, apply).await, Err(Error::NotFound { .. })));
    assert!(matches!(files.write("addons/a", full(""), None, apply).await, Err(Error::IsDirectory { .. })));
    assert!(matches!(files.write("addons", full(""), None, apply).await, Err(Error::Top { .. })));
    let large = Mode::Full(vec![b'x'; (10 << 20) + 1]);
    assert!(matches!(files.write("addons/a/x.py", large, None, apply).await, Err(Error::TooLarge { .. })));

    // Binary, and large: 10 MB go in, and above 5 MB there is no undo.
    let blob: Vec<u8> = (0..=255).cycle().take(10 << 20).collect();
    files.write("addons/a/x.py", Mode::Full(blob.clone()), None, apply).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), blob);
    let change = files.write("addons/a/x.py", full("small\n"), None, apply).await.unwrap();
    assert!(change.undo.is_none() && change.notes.iter().any(|note| note.contains("No undo")));

    // A file with other names: those keep their content.
    let other = world.outside.join("other_name");
    std::fs::hard_link(&path, &other).unwrap();
    let change = files.write("addons/a/x.py", full("mine\n"), None, apply).await.unwrap();
    assert!(change.notes.iter().any(|note| note.contains("2 names")));
    assert_eq!((std::fs::read(&other).unwrap(), world.content("a/x.py")), (b"small\n".to_vec(), "mine\n".to_owned()));
    let left: Vec<_> = std::fs::read_dir(world.addons.join("a")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["x.py"]);
}

async fn a_change_to_another_version_is_refused(world: &World) {
    let files = &world.files;
    world.put("a/x", "1");
    let version = files.read("addons/a/x", &ReadOptions::default()).await.unwrap().version;
    world.put("a/x", "2");
    let conflict = files.write("addons/a/x", full("3"), Some(&version), apply).await.unwrap_err();
    assert!(matches!(&conflict, Error::Conflict { expected, .. } if *expected == version) && conflict.code() == "conflict");
    assert!(matches!(files.delete("addons/a/x", false, Some(&version)).await, Err(Error::Conflict { .. })));
    assert_eq!(world.content("a/x"), "2");
    let change = files.write("addons/a/x", full("3"), None, apply).await.unwrap();
    world.put("a/x", "4");
    assert!(matches!(files.undo(&change.undo.unwrap()).await, Err(Error::Conflict { .. })));
    assert_eq!(world.content("a/x"), "4");
}

async fn one_of_many_writers_wins(world: &World) {
    world.put("a/x", "start");
    let version = world.files.read("addons/a/x", &ReadOptions::default()).await.unwrap().version;
    let writers: Vec<_> = (0..12)
        .map(|number| {
            let (files, version) = (world.files.within(Duration::from_mins(1)), version.clone());
            tokio::spawn(async move { files.write("addons/a/x", full(&format!("by {number}")), Some(&version), apply).await })
        })
        .collect();
    let mut won = Vec::new();
    for (number, writer) in writers.into_iter().enumerate() {
        match writer.await.unwrap() {
            Ok(_) => won.push(format!("by {number}")),
            Err(Error::Conflict { .. } | Error::Busy { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(won, [world.content("a/x")]);
}

async fn creation_never_replaces(world: &World) {
    let files = &world.files;
    world.put("a/x", "old");
    for content in [file("new"), Content::Directory] {
        assert!(matches!(files.create("addons/a/x", content.clone()).await, Err(Error::Exists { .. })));
        assert!(matches!(files.create("addons/a", content.clone()).await, Err(Error::Exists { .. })));
        assert!(
            matches!(files.create("addons/a/x/y", content.clone()).await, Err(Error::NotDirectory { path }) if path == "addons/a/x")
        );
        assert!(matches!(files.create("addons", content).await, Err(Error::Top { .. })));
    }
    assert_eq!(world.content("a/x"), "old");
    let change = files.create("addons/new/models/deep/é.py", file("x = 1\n")).await.unwrap();
    assert_eq!(world.content("new/models/deep/é.py"), "x = 1\n");
    assert_eq!((change.files, change.directories), (1, 3));
    let mode = |path: &str| std::fs::metadata(world.addons.join(path)).unwrap();
    assert_eq!(mode("new/models/deep/é.py").mode() & 0o7777, 0o644);
    assert_eq!(mode("new/models").mode() & 0o7777, 0o755);
    // The directory's owner has it, whoever ocore is.
    assert_eq!((mode("new/models/deep/é.py").uid(), mode("new").uid()), (super::ODOO.0, super::ODOO.0));
    world.put("new/models/other", "");
    files.undo(&change.undo.unwrap()).await.unwrap();
    assert!(!world.addons.join("new/models/deep").exists() && world.addons.join("new/models/other").exists());

    let change = files.create("addons/d1/d2", Content::Directory).await.unwrap();
    assert!(world.addons.join("d1/d2").is_dir() && change.directories == 2);
    files.undo(&change.undo.unwrap()).await.unwrap();
    assert!(!world.addons.join("d1").exists());
    // Many at a time: one is the first.
    let all = (0..8).map(|number| {
        let files = files.within(Duration::from_mins(1));
        tokio::spawn(async move { files.create("addons/race/x", file(&number.to_string())).await })
    });
    let mut made = 0;
    for one in all.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => made += 1,
            Err(Error::Exists { .. } | Error::Busy { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(made, 1);
}

async fn deletion_is_deliberate(world: &World) {
    let files = &world.files;
    world.put("addon/__manifest__.py", "{}");
    world.put("addon/models/a.py", "a");
    world.put("addon/models/deep/b.py", "bb");
    std::fs::write(world.outside.join("keep"), "keep").unwrap();
    symlink("../../outside", world.addons.join("addon/models/link")).unwrap();
    run("mkfifo", &[world.addons.join("addon/models/fifo").to_str().unwrap()]);

    let change = files.delete("addons/addon/models/a.py", false, None).await.unwrap();
    assert!(!world.addons.join("addon/models/a.py").exists());
    files.undo(&change.undo.clone().unwrap()).await.unwrap();
    assert_eq!(world.content("addon/models/a.py"), "a");
    assert!(matches!(files.undo(&change.undo.unwrap()).await, Err(Error::Exists { .. })));

    for path in ["addons", "addons/addon"] {
        assert!(matches!(files.delete(path, false, None).await, Err(Error::Top { .. })), "{path}");
    }
    assert!(matches!(files.delete("addons", true, None).await, Err(Error::Top { .. })));
    assert!(matches!(files.delete("addons/addon/models", false, None).await, Err(Error::NotEmpty { .. })));
    let plan = files.plan_delete("addons/addon/models", true, None).await.unwrap();
    assert_eq!((plan.files, plan.directories, plan.done), (4, 2, false));
    assert!(plan.names.contains(&"addons/addon/models/deep/b.py".to_owned()));
    // It grew since.
    world.put("addon/models/deep/c.py", "c");
    let grown = files.delete("addons/addon/models", true, plan.version.as_deref()).await;
    assert!(matches!(grown, Err(Error::Conflict { .. })));
    let plan = files.plan_delete("addons/addon/models", true, None).await.unwrap();
    let change = files.delete("addons/addon/models", true, plan.version.as_deref()).await.unwrap();
    assert!(change.undo.is_none() && change.files == 5 && !world.addons.join("addon/models").exists());
    assert_eq!(std::fs::read(world.outside.join("keep")).unwrap(), b"keep");

    world.dir("addon/empty");
    let change = files.delete("addons/addon/empty", false, None).await.unwrap();
    files.undo(&change.undo.unwrap()).await.unwrap();
    assert!(world.addons.join("addon/empty").is_dir());
    files.delete("addons/addon", true, None).await.unwrap();
    assert!(!world.addons.join("addon").exists());
    assert!(matches!(files.delete("addons/addon", true, None).await, Err(Error::NotFound { .. })));
}

async fn renaming_never_replaces(world: &World) {
    let files = &world.files;
    world.put("a/x", "x");
    world.put("a/y", "y");
    world.put("b/z", "z");
    world.dir("empty");
    for (from, to) in [("a/x", "a/y"), ("a", "b"), ("a", "empty"), ("a/x", "b")] {
        let renamed = files.rename(&format!("addons/{from}"), &format!("addons/{to}")).await;
        assert!(matches!(renamed, Err(Error::Exists { path }) if path == format!("addons/{to}")), "{from} {to}");
    }
    for to in ["a/sub", "a/sub/deeper", "a"] {
        assert!(matches!(files.rename("addons/a", &format!("addons/{to}")).await, Err(Error::IntoItself { .. })));
    }
    assert!(matches!(files.rename("addons/a/x", "addons/none/x").await, Err(Error::NotFound { path }) if path == "addons/none"));
    assert!(matches!(files.rename("addons/nix", "addons/nax").await, Err(Error::NotFound { path }) if path == "addons/nix"));
    assert!(matches!(files.rename("addons", "addons/x").await, Err(Error::Top { .. })));
    let change = files.rename("addons/a/x", "addons/b/x").await.unwrap();
    assert_eq!(world.content("b/x"), "x");
    files.undo(&change.undo.unwrap()).await.unwrap();
    assert_eq!(world.content("a/x"), "x");
    let change = files.rename("addons/a", "addons/b/a").await.unwrap();
    assert_eq!(world.content("b/a/y"), "y");
    world.put("b/a/more", "");
    files.undo(&change.undo.unwrap()).await.unwrap();
    assert_eq!(world.content("a/y"), "y");
    let change = files.rename("addons/a/x", "addons/a/moved").await.unwrap();
    world.put("a/moved", "other");
    assert!(matches!(files.undo(&change.undo.unwrap()).await, Err(Error::Conflict { .. })));
}

async fn plans_change_nothing(world: &World) {
    let files = &world.files;
    world.put("a/x.py", "one\ntwo\n");
    world.dir("a/empty");
    let before = world.snapshot();
    let plan = files.plan_write("addons/a/x.py", full("one\n2\n"), None, apply).await.unwrap();
    assert_eq!(plan.diff.unwrap(), "--- a/addons/a/x.py\n+++ b/addons/a/x.py\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
    assert!(!plan.done && plan.undo.is_none());
    let plan = files.plan_create("addons/a/new/deep/x", file("a\n")).await.unwrap();
    assert_eq!((plan.files, plan.directories, plan.bytes_after), (1, 2, Some(2)));
    let plan = files.plan_create("addons/new", Content::Directory).await.unwrap();
    assert_eq!((plan.files, plan.directories), (0, 1));
    assert!(matches!(files.plan_create("addons/a/x.py", file("")).await, Err(Error::Exists { .. })));
    assert!(matches!(files.plan_create("addons/a/x.py/y", file("")).await, Err(Error::NotDirectory { .. })));
    let plan = files.plan_delete("addons/a", true, None).await.unwrap();
    assert_eq!((plan.files, plan.directories), (1, 2));
    assert!(matches!(files.plan_delete("addons/a", false, None).await, Err(Error::Top { .. })));
    files.plan_delete("addons/a/x.py", false, None).await.unwrap();
    files.plan_rename("addons/a/x.py", "addons/a/y.py").await.unwrap();
    assert!(matches!(files.plan_rename("addons/a/x.py", "addons/a/empty").await, Err(Error::Exists { .. })));
    assert_eq!(world.snapshot(), before);
}

async fn git_is_left_alone(world: &World) {
    let files = &world.files;
    world.put("a/.git/config", "[core]\n");
    world.put("a/.git/hooks/pre-commit", "#!/bin/sh\n");
    world.put("a/x", "x");
    world.put("deep/in/.GIT/config", "x");
    let before = world.snapshot();
    for name in [".git", ".GIT", ".git.", ".git ", "git~1", ".git::$INDEX_ALLOCATION", ".g\u{200c}it"] {
        for path in [format!("addons/a/{name}/hooks/pre-commit"), format!("addons/a/{name}"), format!("addons/a/{name}/new/x")] {
            let git = |error| assert!(matches!(error, Error::Git { .. }), "{path}: {error:?}");
            git(files.write(&path, full("x"), None, apply).await.unwrap_err());
            git(files.create(&path, file("x")).await.unwrap_err());
            git(files.create(&path, Content::Directory).await.unwrap_err());
            git(files.delete(&path, true, None).await.unwrap_err());
            git(files.rename(&path, "addons/a/y").await.unwrap_err());
            git(files.rename("addons/a/x", &path).await.unwrap_err());
            git(files.read(&path, &ReadOptions::default()).await.unwrap_err());
        }
    }
    assert!(matches!(files.delete("addons/a", true, None).await, Err(Error::Git { path }) if path == "addons/a/.git"));
    assert!(matches!(files.delete("addons/deep", true, None).await, Err(Error::Git { path }) if path == "addons/deep/in/.GIT"));
    assert_eq!(world.snapshot(), before);
}

async fn search_finds_and_stays_inside(world: &World) {
    let files = &world.files;
    world.put("a/models/x.py", "import os\nneedle = 1  # Needle\nend\n");
    world.put("a/views/x.xml", "<needle/>\n");
    world.put("a/.git/x", "needle");
    world.put("a/node_modules/m/x.js", "needle");
    world.put("a/__pycache__/x.py", "needle");
    world.put("a/bin", b"needle\0");
    world.put("a/huge.py", "needle\n".repeat(400_000));
    world.put("b/y.py", "needle\n".repeat(7));
    std::fs::write(world.fixed.join("z.py"), "a needle\n").unwrap();
    std::fs::write(world.outside.join("o.py"), "needle\n").unwrap();
    symlink("../../outside", world.addons.join("a/out")).unwrap();
    symlink("../../outside/o.py", world.addons.join("a/o.py")).unwrap();
    run("mkfifo", &[world.addons.join("a/fifo.py").to_str().unwrap()]);

    let query = Query { query: "needle".into(), ..Query::default() };
    let found = files.search(&query).await.unwrap();
    let paths: std::collections::BTreeSet<_> = found.matches.iter().map(|m| m.path.as_str()).collect();
    assert_eq!(
        paths.into_iter().collect::<Vec<_>>(),
        ["addons/a/models/x.py", "addons/a/views/x.xml", "addons/b/y.py", "fixed/z.py"]
    );
    assert_eq!((found.total, found.truncated, found.timed_out), (10, false, false));
    let one = &found.matches[0];
    assert_eq!(
        (one.line, one.before.as_slice(), one.after.as_slice()),
        (2, &["import os".to_owned()][..], &["end".to_owned()][..])
    );

    let few = files.search(&Query { limit: 3, ..query.clone() }).await.unwrap();
    assert_eq!((few.matches.len(), few.total, few.truncated), (3, 10, true));
    let below = Query { below: Some("addons/a".into()), regex: true, query: "^n.*N".into(), ..query.clone() };
    assert_eq!(files.search(&below).await.unwrap().total, 1);
    let glob = Query { glob: Some("*.xml".into()), ..query.clone() };
    assert_eq!(files.search(&glob).await.unwrap().matches[0].path, "addons/a/views/x.xml");
    let single = Query { below: Some("addons/b/y.py".into()), ..query.clone() };
    assert_eq!(files.search(&single).await.unwrap().total, 7);
    let any_case =
        Query { query: "NEEDLE".into(), case_sensitive: false, below: Some("addons/a/models".into()), ..query.clone() };
    assert_eq!(files.search(&any_case).await.unwrap().total, 1);
    for bad in ["addons/a/out", "addons/a/.git", "addons/a/fifo.py", "addons/none"] {
        assert!(files.search(&Query { below: Some(bad.into()), ..query.clone() }).await.is_err(), "{bad}");
    }
    assert!(matches!(files.search(&Query { query: "(".into(), regex: true, ..query.clone() }).await, Err(Error::Pattern { .. })));

    // Slow to match, and stopped in time with what there is.
    for number in 0..40 {
        world.put(&format!("slow/{number}.txt"), "a".repeat(1_900_000));
    }
    let slow = Query {
        query: "(.*a){50}b".into(),
        regex: true,
        below: Some("addons/slow".into()),
        time: Duration::from_secs(1),
        ..query
    };
    let began = Instant::now();
    let found = files.search(&slow).await.unwrap();
    assert!(found.timed_out && began.elapsed() < Duration::from_secs(8), "{:?} {found:?}", began.elapsed());
}
