//! The addons of an instance, on this machine and in the container of each real Odoo. The witness is the file system itself.
use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, Reply, on_both_of_our_own, own, run};

on_both_of_our_own!(
    "files", crate::harness::Odoo::fresh;
    reading,
    changing,
    taking_back,
    paths_that_are_refused,
    in_the_container,
    a_new_module,
    who_may,
);

/// A folder with one addon, registered as the instance's.
struct Addons {
    folder: tempfile::TempDir,
}
impl Addons {
    fn new(ocore: &Ocore) -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let addons = Self { folder };
        std::fs::create_dir_all(addons.path("shop/models")).unwrap();
        std::fs::create_dir_all(addons.path("shop/.git/hooks")).unwrap();
        std::fs::write(addons.path("shop/__manifest__.py"), "{'name': 'Shop', 'version': '1.2', 'depends': ['base']}\n").unwrap();
        std::fs::write(addons.path("shop/models/shop.py"), "import os\n\nclass Shop:\n    total = 1\n    name = 'x'\n").unwrap();
        std::fs::write(addons.path("shop/.git/config"), "[remote]\n url = https://user:hunter2@git/x\n").unwrap();
        std::fs::write(addons.path("shop/logo.png"), [0x89, b'P', b'N', b'G', 0, 1, 2]).unwrap();
        let root = addons.folder.path().to_str().unwrap();
        ocore.cli(&["server", "update", "host", "--org", "acme", "--path-root", root], "").ok();
        ocore.cli(&["instance", "update", "dev", "--addons", &format!("{root}/custom")], "").ok();
        std::thread::sleep(Duration::from_millis(1_500));
        addons
    }
    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join("custom").join(below)
    }
    fn text(&self, below: &str) -> String {
        std::fs::read_to_string(self.path(below)).unwrap()
    }
}
fn refused(reply: &Reply, codes: &[&str]) {
    assert!(reply.is_error && codes.iter().any(|code| reply.body["code"] == *code), "{codes:?}: {reply:?}");
    assert!(!reply.body["next"].as_str().unwrap_or_default().is_empty(), "{reply:?}");
}

mod checks {
    use super::*;

    pub async fn reading(_: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        refused(&mcp.call("dev_file_browse", json!({})).await, &["not_configured"]);
        let addons = Addons::new(ocore);
        let top = mcp.call("dev_file_browse", json!({})).await.ok();
        assert_eq!(top["addons"], json!(["custom/shop"]), "{top}");
        let tree = mcp.call("dev_file_tree", json!({"path": "custom/shop"})).await.ok();
        assert!(tree["entries"].to_string().contains("custom/shop/models/shop.py"), "{tree}");
        let read =
            mcp.call("dev_file_read", json!({"path": "custom/shop/models/shop.py", "start_line": 3, "end_line": 4})).await.ok();
        assert_eq!((&read["content"], &read["lines"]), (&json!("class Shop:\n    total = 1\n"), &json!(5)), "{read}");
        let png = mcp.call("dev_file_read", json!({"path": "custom/shop/logo.png", "encoding": "base64"})).await.ok();
        assert_eq!(png["content"], "iVBORwABAg==", "{png}");
        refused(&mcp.call("dev_file_read", json!({"path": "custom/shop/logo.png"})).await, &["invalid_argument"]);
        let info = mcp.call("dev_file_info", json!({"path": "custom/shop/models/shop.py"})).await.ok();
        assert_eq!((&info["kind"], &info["lines"], &info["size"]), (&json!("file"), &json!(5), &json!(52)), "{info}");

        std::fs::write(addons.path("shop/big.txt"), "0123456789abcdef\n".repeat(20_000)).unwrap();
        let part = mcp.call("dev_file_read", json!({"path": "custom/shop/big.txt"})).await.ok();
        assert_eq!((&part["more"], &part["size"]), (&json!(true), &json!(340_000)), "{}", part["version"]);
        let next = part["next_line"].as_u64().unwrap();
        let on = mcp.call("dev_file_read", json!({"path": "custom/shop/big.txt", "start_line": next})).await.ok();
        assert_eq!(on["first_line"], next);

        let found = mcp.call("dev_search_in_code", json!({"query": "total", "context_lines": 1})).await.ok();
        let hit = &found["matches"][0];
        assert_eq!((&hit["path"], &hit["line"]), (&json!("custom/shop/models/shop.py"), &json!(4)), "{found}");
        assert_eq!(hit["before"], json!(["class Shop:"]), "{found}");
        let regex = json!({"query": r"^\s+\w+ = \d$", "regex": true, "glob": "*.py"});
        assert_eq!(mcp.call("dev_search_in_code", regex).await.ok()["total"], 1);
        // A pattern that would take others for ever, and secrets of the repository.
        std::fs::write(addons.path("shop/long.txt"), "a".repeat(200_000)).unwrap();
        let began = Instant::now();
        mcp.call("dev_search_in_code", json!({"query": "(a+)+$b", "regex": true})).await.ok();
        assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
        let secret = mcp.call("dev_search_in_code", json!({"query": "hunter2"})).await.ok();
        assert_eq!(secret["total"], 0, "{secret}");
        refused(&mcp.call("dev_search_in_code", json!({"query": "(", "regex": true})).await, &["invalid_argument"]);
    }

    pub async fn changing(_: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let addons = Addons::new(ocore);
        let file = "shop/models/shop.py";
        let path = format!("custom/{file}");
        let before = addons.text(file);
        let patch =
            "--- a/shop.py\n+++ b/shop.py\n@@ -3,3 +3,3 @@\n class Shop:\n-    total = 1\n+    total = 2\n     name = 'x'\n";
        let dry = json!({"path": path, "mode": "patch", "patch": patch, "dry_run": true});
        let dry = mcp.call("dev_file_write", dry).await.ok();
        assert!(dry["plan"]["warnings"].to_string().contains("+    total = 2"), "{dry}");
        assert_eq!(addons.text(file), before);
        let done = mcp.call("dev_file_write", json!({"path": path, "mode": "patch", "patch": patch})).await.ok();
        assert!(done["diff"].as_str().unwrap().contains("-    total = 1"), "{done}");
        assert_eq!(addons.text(file), before.replace("total = 1", "total = 2"));
        // The same again does not fit any more, and says where.
        let again = mcp.call("dev_file_write", json!({"path": path, "mode": "patch", "patch": patch})).await;
        refused(&again, &["invalid_argument"]);
        let insert = json!({"path": path, "mode": "insert_at_line", "line": 1, "content": "# first"});
        mcp.call("dev_file_write", insert).await.ok();
        assert!(addons.text(file).starts_with("# first\nimport os\n"));
        mcp.call("dev_file_write", json!({"path": path, "mode": "full_content", "content": "new\n"})).await.ok();
        assert_eq!(addons.text(file), "new\n");
        for bad in [
            json!({"path": path, "mode": "full_content"}),
            json!({"path": path, "mode": "patch", "content": "x"}),
            json!({"path": path, "mode": "insert_at_line", "content": "x"}),
            json!({"path": path, "mode": "insert_at_line", "content": "x", "line": 99}),
            json!({"path": path, "mode": "append", "content": "x"}),
        ] {
            refused(&mcp.call("dev_file_write", bad).await, &["invalid_argument"]);
        }
        refused(
            &mcp.call("dev_file_write", json!({"path": "custom/shop/no.py", "mode": "full_content", "content": ""})).await,
            &["not_found"],
        );
        assert_eq!(addons.text(file), "new\n");

        mcp.call("dev_file_create", json!({"path": "custom/shop/views/a/b.xml", "content": "<odoo/>"})).await.ok();
        assert_eq!(addons.text("shop/views/a/b.xml"), "<odoo/>");
        refused(&mcp.call("dev_file_create", json!({"path": "custom/shop/views/a/b.xml", "content": "x"})).await, &["conflict"]);
        let binary = json!({"path": "custom/shop/i.bin", "content": "AAEC", "encoding": "base64"});
        mcp.call("dev_file_create", binary).await.ok();
        assert_eq!(std::fs::read(addons.path("shop/i.bin")).unwrap(), [0, 1, 2]);
        mcp.call("dev_file_create", json!({"path": "custom/shop/data", "is_directory": true})).await.ok();
        assert!(addons.path("shop/data").is_dir());
        mcp.call("dev_file_move", json!({"path": "custom/shop/i.bin", "new_path": "custom/shop/data/j.bin"})).await.ok();
        assert!(addons.path("shop/data/j.bin").is_file() && !addons.path("shop/i.bin").exists());
        refused(&mcp.call("dev_file_move", json!({"path": path, "new_path": "custom/shop/data/j.bin"})).await, &["conflict"]);

        refused(&mcp.call("dev_file_delete", json!({"path": "custom/shop/views"})).await, &["confirm_required"]);
        assert!(addons.path("shop/views/a/b.xml").exists());
        mcp.call("dev_file_delete", json!({"path": "custom/shop/views", "confirm": true})).await.ok();
        assert!(!addons.path("shop/views").exists());
        refused(&mcp.call("dev_file_delete", json!({"path": "custom", "confirm": true})).await, &["path_refused"]);
        ocore.cli(&["instance", "update", "dev", "--write-enabled", "false"], "").ok();
        std::thread::sleep(Duration::from_millis(1_500));
        refused(&mcp.call("dev_file_create", json!({"path": "custom/shop/x", "content": ""})).await, &["write_blocked"]);
        mcp.call("dev_file_read", json!({"path": path})).await.ok();
    }

    pub async fn taking_back(_: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let addons = Addons::new(ocore);
        let at = "custom/shop/models/shop.py";
        let file = || std::fs::read_to_string(addons.path("shop/models/shop.py")).unwrap_or_default();
        let first = file();
        let undo = |path: &str| json!({"path": path, "mode": "undo", "confirm": true});
        refused(&mcp.call("dev_file_write", undo(at)).await, &["not_found"]);

        // The last change first, then the one before it; what was changed since is left alone.
        for text in ["one\n", "two\n"] {
            let done = mcp.call("dev_file_write", json!({"path": at, "mode": "full_content", "content": text})).await.ok();
            assert!(done["notes"].to_string().contains("mode undo"), "{done}");
        }
        let asked = mcp.call("dev_file_write", json!({"path": at, "mode": "undo"})).await;
        refused(&asked, &["confirm_required"]);
        let mut plan = undo(at);
        plan["dry_run"] = json!(true);
        let plan = mcp.call("dev_file_write", plan).await.ok();
        assert!(plan["plan"]["warnings"].to_string().contains("-two"), "{plan}");
        assert_eq!(file(), "two\n", "a plan changes nothing");
        mcp.call("dev_file_write", undo(at)).await.ok();
        assert_eq!(file(), "one\n");
        std::fs::write(addons.path("shop/models/shop.py"), "by hand\n").unwrap();
        refused(&mcp.call("dev_file_write", undo(at)).await, &["conflict"]);
        assert_eq!(file(), "by hand\n");
        std::fs::write(addons.path("shop/models/shop.py"), "one\n").unwrap();
        mcp.call("dev_file_write", undo(at)).await.ok();
        assert_eq!(file(), first);
        refused(&mcp.call("dev_file_write", undo(at)).await, &["not_found"]);

        // Creations, renamings and deletions too.
        let made = json!({"path": "custom/shop/data/new.txt", "content": "new"});
        mcp.call("dev_file_create", made).await.ok();
        mcp.call("dev_file_move", json!({"path": "custom/shop/data/new.txt", "new_path": "custom/shop/data/moved.txt"}))
            .await
            .ok();
        let away = json!({"path": "custom/shop/data/moved.txt", "confirm": true});
        mcp.call("dev_file_delete", away).await.ok();
        assert!(!addons.path("shop/data/moved.txt").exists());
        mcp.call("dev_file_write", undo("custom/shop/data/moved.txt")).await.ok();
        assert_eq!(std::fs::read_to_string(addons.path("shop/data/moved.txt")).unwrap(), "new");
        mcp.call("dev_file_write", undo("custom/shop/data/moved.txt")).await.ok();
        assert!(addons.path("shop/data/new.txt").exists() && !addons.path("shop/data/moved.txt").exists());
        let writer = ocore.key(&["--tools-allow", "file_write"]);
        refused(&writer.call("dev_file_write", undo("custom/shop/data/new.txt")).await, &["permission_denied"]);
        mcp.call("dev_file_write", undo("custom/shop/data/new.txt")).await.ok();
        assert!(!addons.path("shop/data").exists(), "the folder that was made for it is gone too");

        refused(&mcp.call("dev_file_write", json!({"path": at, "mode": "undo", "content": "x"})).await, &["invalid_argument"]);
    }

    pub async fn paths_that_are_refused(_: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let addons = Addons::new(ocore);
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "outside-mark").unwrap();
        symlink(outside.path(), addons.path("shop/link")).unwrap();
        symlink(outside.path().join("secret"), addons.path("shop/file_link")).unwrap();
        std::fs::hard_link(outside.path().join("secret"), addons.path("shop/hard")).ok();
        assert!(Command::new("mkfifo").arg(addons.path("shop/fifo")).status().unwrap().success());
        let long = format!("custom/shop/{}", "x".repeat(300));
        let deep = format!("custom/{}", "a/".repeat(3_000));
        let codes = ["path_refused", "not_found", "invalid_argument", "confirm_required", "conflict"];
        for path in [
            "../../etc/passwd",
            "custom/../../etc/passwd",
            "custom/shop/../../../etc/passwd",
            "/etc/passwd",
            "custom//etc/passwd",
            "custom/shop/link/secret",
            "custom/shop/file_link",
            "custom/shop/fifo",
            "custom/shop/\u{0}x",
            "custom\\shop\\__manifest__.py",
            "custom/shop/.git/config",
            "custom/shop/.GIT/config",
            "custom/shop/.git./config",
            "custom/shop/./models/shop.py",
            "nowhere/shop",
            &long,
            &deep,
        ] {
            let began = Instant::now();
            for (tool, arguments) in [
                ("file_read", json!({"path": path})),
                ("file_write", json!({"path": path, "mode": "full_content", "content": "overwritten"})),
                ("file_move", json!({"path": path, "new_path": "custom/shop/stolen"})),
                ("file_move", json!({"path": "custom/shop/__manifest__.py", "new_path": path})),
            ] {
                let reply = mcp.call(&format!("dev_{tool}"), arguments).await;
                assert!(reply.is_error, "{tool} {path:?}: {reply:?}");
                refused(&reply, &codes);
                assert!(!format!("{reply:?}").contains("outside-mark"), "{tool} {path:?}");
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{path:?} hangs");
        }
        assert_eq!(std::fs::read_to_string(outside.path().join("secret")).unwrap(), "outside-mark");
        let hook = json!({"path": "custom/shop/.git/hooks/post-checkout", "content": "#!/bin/sh\n"});
        refused(&mcp.call("dev_file_create", hook).await, &["path_refused"]);
        // Lists show what is there and follow nothing.
        let tree = mcp.call("dev_file_tree", json!({"path": "custom/shop"})).await.ok();
        assert!(!tree.to_string().contains("link/secret"), "{tree}");
        // Folders that would hold what is ocore's own, or a system's, are no addons folders.
        for folder in ["/etc", "/var/tmp/../../etc", "relative"] {
            assert_ne!(ocore.cli(&["instance", "update", "dev", "--addons", folder], "").code, 0, "{folder}");
        }
    }

    pub async fn in_the_container(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let folder = format!("/tmp/ocore-files-{}", odoo.database);
        let inside = |script: &str| {
            let output = Command::new("docker").args(["exec", &odoo.container, "sh", "-c", script]).output().unwrap();
            assert!(output.status.success(), "{script}: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        inside(&format!(
            "rm -rf {folder}; mkdir -p {folder}/shop && echo \"{{'name': 'Shop'}}\" > {folder}/shop/__manifest__.py && ln -s /etc {folder}/shop/etc && chown -R odoo {folder} 2>/dev/null || chown -R $(stat -c %u /var/lib/odoo) {folder}"
        ));
        ocore.cli(&["server", "update", "host", "--org", "acme", "--docker", "unix:///var/run/docker.sock"], "").ok();
        ocore
            .cli(&["instance", "update", "dev", "--container", &odoo.container, "--addons", &format!("container:{folder}")], "")
            .ok();
        std::thread::sleep(Duration::from_millis(1_500));
        let root = Path::new(&folder).file_name().unwrap().to_str().unwrap().to_owned();
        let top = mcp.call("dev_file_browse", json!({})).await.ok();
        assert_eq!(top["addons"], json!([format!("{root}/shop")]), "{top}");
        mcp.call("dev_file_create", json!({"path": format!("{root}/shop/models/a.py"), "content": "x = 1\ny = 2\n"})).await.ok();
        assert_eq!(inside(&format!("cat {folder}/shop/models/a.py")), "x = 1\ny = 2\n");
        let insert =
            json!({"path": format!("{root}/shop/models/a.py"), "mode": "insert_at_line", "line": 2, "content": "between = 0"});
        mcp.call("dev_file_write", insert).await.ok();
        let read = mcp.call("dev_file_read", json!({"path": format!("{root}/shop/models/a.py")})).await.ok();
        assert_eq!(read["content"], "x = 1\nbetween = 0\ny = 2\n", "{read}");
        let found = mcp.call("dev_search_in_code", json!({"query": "between"})).await.ok();
        assert_eq!(found["matches"][0]["line"], 2, "{found}");
        refused(&mcp.call("dev_file_read", json!({"path": format!("{root}/shop/etc/passwd")})).await, &["path_refused"]);
        mcp.call("dev_file_move", json!({"path": format!("{root}/shop/models/a.py"), "new_path": format!("{root}/shop/b.py")}))
            .await
            .ok();
        mcp.call("dev_file_info", json!({"path": format!("{root}/shop/b.py")})).await.ok();
        mcp.call("dev_file_delete", json!({"path": format!("{root}/shop/b.py"), "confirm": true})).await.ok();
        assert_eq!(inside(&format!("ls {folder}/shop | tr '\\n' ' '")), "__manifest__.py etc models ");
        inside(&format!("rm -rf {folder}"));
    }

    pub async fn a_new_module(odoo: &Odoo, ocore: &mut Ocore, mcp: &Mcp) {
        let addons = Addons::new(ocore);
        let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
        let wanted = json!({"name": "it_library", "title": "Library \"<&>'", "models": [
            {"name": "it.library.book", "fields": [field("name", "char"), field("pages", "integer"),
                {"name": "state", "type": "selection", "options": ["Draft", "On loan"]},
                {"name": "author_id", "type": "many2one", "relation": "res.partner"}]}]});
        let plan = {
            let mut wanted = wanted.clone();
            wanted["dry_run"] = json!(true);
            mcp.call("dev_scaffold_module", wanted).await.ok()
        };
        assert!(plan["plan"]["summary"].as_str().unwrap().contains("custom/it_library"), "{plan}");
        assert!(!addons.path("it_library").exists());
        let made = mcp.call("dev_scaffold_module", wanted.clone()).await.ok();
        assert!(made["files"].to_string().contains("it_library/__manifest__.py"), "{made}");
        assert!(addons.text("it_library/__manifest__.py").contains("Library"));
        let view = if odoo.version >= 18 { "<list" } else { "<tree" };
        let views: String = std::fs::read_dir(addons.path("it_library/views"))
            .unwrap()
            .flatten()
            .map(|f| std::fs::read_to_string(f.path()).unwrap())
            .collect();
        assert!(views.contains(view), "{views}");
        refused(&mcp.call("dev_scaffold_module", wanted).await, &["conflict"]);
        for bad in [
            json!({"name": "../x"}),
            json!({"name": "sale"}),
            json!({"name": "Class"}),
            json!({"name": "it_x", "models": [{"name": "res.partner"}]}),
            json!({"name": "it_x", "models": [{"name": "it.x", "fields": [field("a", "money")]}]}),
            json!({"name": "it_x", "models": [{"name": "it.x", "fields": [field("a", "selection")]}]}),
        ] {
            refused(&mcp.call("dev_scaffold_module", bad).await, &["invalid_argument"]);
        }
        assert!(!addons.path("it_x").exists());
        // What is on the disk is told beside what Odoo knows.
        std::fs::create_dir_all(addons.path("web")).unwrap();
        std::fs::write(
            addons.path("web/__manifest__.py"),
            "{'name': 'Web', 'version': '99.0', 'depends': ['base', 'no_such_module']}",
        )
        .unwrap();
        let drift = mcp.call("dev_module_drift", json!({"module": "web"})).await.ok();
        let kinds: Vec<&Value> = drift["drifted"].as_array().unwrap().iter().map(|d| &d["drift"]).collect();
        assert!(kinds.contains(&&json!("depends_changed")) && kinds.len() >= 2, "{drift}");
        std::fs::write(addons.path("web/__manifest__.py"), "__import__('os').system('touch /tmp/never')").unwrap();
        let broken = mcp.call("dev_module_drift", json!({"module": "web"})).await.ok();
        assert!(broken["drifted"].to_string().contains("manifest_broken"), "{broken}");
        assert!(!Path::new("/tmp/never").exists(), "a manifest was run");
    }

    pub async fn who_may(_: &Odoo, ocore: &mut Ocore, _: &Mcp) {
        let _addons = Addons::new(ocore);
        let limited = ocore.key(&["--models", "res.partner"]);
        refused(&limited.call("dev_file_browse", json!({})).await, &["permission_denied"]);
        let viewer = ocore.key(&["--role", "viewer"]);
        refused(&viewer.call("dev_file_browse", json!({})).await, &["permission_denied"]);
        let reads = ocore.key(&["--read-only"]);
        reads.call("dev_file_browse", json!({})).await.ok();
        refused(&reads.call("dev_file_create", json!({"path": "custom/shop/x", "content": ""})).await, &["permission_denied"]);
    }
}

#[test]
fn an_addons_folder_shared_with_a_guarded_instance_is_not_written() {
    let Some((odoo, ocore, mcp)) = own(19, "files", Odoo::fresh) else { return };
    run(async {
        let addons = Addons::new(&ocore);
        let Some(other) = Odoo::fresh(odoo.version, "filesother") else { return };
        let folder = addons.path("").to_str().unwrap().trim_end_matches('/').to_owned();
        ocore.instance("prod", &other, &["--environment", "production", "--addons", &folder]).ok();
        std::thread::sleep(Duration::from_millis(1_500));
        let reply = mcp.call("dev_file_create", json!({"path": "custom/shop/x", "content": ""})).await;
        refused(&reply, &["write_blocked"]);
        assert!(reply.body["message"].as_str().unwrap().contains("prod (production)"), "{reply:?}");
        refused(&mcp.call("dev_scaffold_module", json!({"name": "it_shared"})).await, &["write_blocked"]);
        mcp.call("dev_file_browse", json!({})).await.ok();
    });
}
