//! Files on records on both real Odoos: what comes back is what was sent, nothing becomes public or runs in a browser, and a file
//! is there only for who may see its record.
use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, Reply, on_both};

on_both!(files, pictures, what_runs_in_a_browser, protected_files, files_of_hidden_records, who_may, hostile_files);

/// One red pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// Planted in what is hidden.
const MARK: &str = "xyzzyfile";

fn encoded(text: &str) -> String {
    base64::prelude::BASE64_STANDARD.encode(text)
}
async fn partner(mcp: &Mcp, name: &str, function: &str) -> i64 {
    let values = json!({"name": name, "function": function});
    let made = mcp.call("dev_create", json!({"model": "res.partner", "values": values})).await.ok();
    made["id"].as_i64().unwrap_or_else(|| panic!("{made}"))
}
async fn upload(mcp: &Mcp, id: i64, name: &str, content: &str) -> Value {
    let arguments = json!({"model": "res.partner", "id": id, "name": name, "content": content});
    mcp.call("dev_upload_attachment", arguments).await.ok()
}

mod checks {
    use super::*;

    pub async fn files(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let id = partner(mcp, "Files", "files").await;
        let mut text = String::new();
        for line in 0..2_000 {
            let _ = writeln!(text, "line {line} of a text with ü and €");
        }
        let arguments = json!({"model": "res.partner", "id": id, "name": "../../notes.txt", "content": encoded(&text)});
        let mut dry = arguments.clone();
        dry["dry_run"] = true.into();
        let plan = mcp.call("dev_upload_attachment", dry).await.ok();
        assert!(plan.to_string().contains("notes.txt") && plan.to_string().contains("Files"), "{plan}");
        let count =
            format!("SELECT count(*) FROM ir_attachment WHERE res_model = 'res.partner' AND res_id = {id} AND res_field IS NULL");
        assert_eq!(odoo.sql(&count), "0", "a dry run attaches nothing");
        let made = mcp.call("dev_upload_attachment", arguments).await.ok();
        let attachment = made["attachment"]["id"].as_i64().unwrap();
        assert_eq!((&made["attachment"]["name"], &made["attachment"]["size"]), (&json!("notes.txt"), &json!(text.len())));
        let row = format!(
            "SELECT name || '|' || mimetype || '|' || coalesce(public, false) || '|' || type || '|' || file_size FROM ir_attachment WHERE id = {attachment}"
        );
        assert_eq!(odoo.sql(&row), format!("notes.txt|text/plain|false|binary|{}", text.len()));

        upload(mcp, id, "offer.pdf", &encoded("%PDF-1.4 not much of one")).await;
        let listed = mcp.call("dev_list_attachments", json!({"model": "res.partner", "id": id})).await.ok();
        let names: Vec<&str> = listed["attachments"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["offer.pdf", "notes.txt"], "newest first");
        assert!(listed["record"].as_str().is_some_and(|r| r.contains("Files")), "{listed}");
        for (mimetype, found) in [("application/pdf", 1), ("text/*", 1), ("image/*", 0)] {
            let listed =
                mcp.call("dev_list_attachments", json!({"model": "res.partner", "id": id, "mimetype": mimetype})).await.ok();
            assert_eq!(listed["count"], found, "{mimetype}: {listed}");
        }
        let one = mcp.call("dev_list_attachments", json!({"model": "res.partner", "id": id, "limit": 1})).await.ok();
        assert_eq!((&one["count"], &one["has_more"]), (&json!(1), &json!(true)));

        // Whatever the context says, the content comes and not its size.
        let got =
            mcp.call("dev_download_attachment", json!({"attachment_id": attachment, "context": {"bin_size": true}})).await.ok();
        assert_eq!(got["content"], encoded(&text));
        assert_eq!((&got["sha256"], &got["model"], &got["record_id"]), (&made["sha256"], &json!("res.partner"), &json!(id)));

        let warned = mcp.call("dev_delete_attachment", json!({"attachment_id": attachment})).await.refused("confirm_required");
        assert!(warned.to_string().contains("notes.txt") && warned.to_string().contains("Files"), "{warned}");
        assert_eq!(odoo.sql(&count), "2");
        let gone = mcp.call("dev_delete_attachment", json!({"attachment_id": attachment, "confirm": true})).await.ok();
        assert_eq!((&gone["deleted"], &gone["attachment"]["name"]), (&json!(true), &json!("notes.txt")));
        assert_eq!(odoo.sql(&count), "1");
        mcp.call("dev_download_attachment", json!({"attachment_id": attachment})).await.refused("not_found");
        mcp.call("dev_delete_attachment", json!({"attachment_id": attachment, "confirm": true})).await.refused("not_found");
    }

    pub async fn pictures(_: &Odoo, _: &Ocore, mcp: &Mcp) {
        let id = partner(mcp, "Pictures", "files").await;
        let made = upload(mcp, id, "pixel.png", &format!("data:image/png;base64,{PIXEL}")).await;
        assert_eq!(made["attachment"]["mimetype"], "image/png");
        let name = "dev_download_attachment";
        let arguments = json!({"attachment_id": made["attachment"]["id"]});
        let (_, response) = mcp.request("tools/call", json!({"name": name, "arguments": arguments})).await;
        let content = response["result"]["content"].as_array().unwrap();
        let image = content.iter().find(|c| c["type"] == "image").unwrap_or_else(|| panic!("no picture: {response}"));
        assert_eq!((&image["data"], &image["mimeType"]), (&json!(PIXEL), &json!("image/png")));
        assert!(response["result"]["structuredContent"].get("content").is_none(), "a picture is sent once: {response}");
        // What only claims to be a picture is no image content.
        let arguments = json!({"model": "res.partner", "id": id, "name": "no.png", "content": encoded("no picture"), "mimetype": "image/png"});
        let made = mcp.call("dev_upload_attachment", arguments).await.ok();
        let got = mcp.call(name, json!({"attachment_id": made["attachment"]["id"]})).await.ok();
        assert_eq!(got["content"], encoded("no picture"));
    }

    pub async fn what_runs_in_a_browser(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let id = partner(mcp, "Scripts", "files").await;
        for (name, mimetype, content) in [
            ("a.html", "text/html", "<html><script>alert(1)</script></html>"),
            ("a.svg", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
            ("a.bin", "application/octet-stream", "<!DOCTYPE html><script>alert(1)</script>"),
            ("a.xml", "application/xhtml+xml", "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>"),
            ("a.js", "text/javascript", "alert(1)"),
            ("a.png", "", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
            ("a.htm", "", "<b>hello</b>"),
        ] {
            let mut arguments = json!({"model": "res.partner", "id": id, "name": name, "content": encoded(content)});
            if !mimetype.is_empty() {
                arguments["mimetype"] = mimetype.into();
            }
            let made = mcp.call("dev_upload_attachment", arguments).await.ok();
            let stored = odoo.sql(&format!("SELECT mimetype FROM ir_attachment WHERE id = {}", made["attachment"]["id"]));
            assert_eq!(stored, "text/plain", "{name} {mimetype}: {made}");
        }
        let public = odoo.sql(&format!("SELECT count(*) FROM ir_attachment WHERE res_model = 'res.partner' AND res_id = {id} AND (public OR access_token IS NOT NULL)"));
        assert_eq!(public, "0");
    }

    pub async fn protected_files(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let id = partner(mcp, "Protected", "files").await;
        mcp.call("dev_write", json!({"model": "res.partner", "ids": [id], "values": {"image_1920": PIXEL}})).await.ok();
        let field = odoo.sql(&format!(
            "SELECT min(id) FROM ir_attachment WHERE res_model = 'res.partner' AND res_id = {id} AND res_field = 'image_1920'"
        ));
        let field: i64 = field.parse().unwrap();
        let listed = mcp.call("dev_list_attachments", json!({"model": "res.partner", "id": id})).await.ok();
        assert_eq!(listed["count"], 0, "contents of fields are not listed: {listed}");
        let loose: i64 = odoo
            .sql("INSERT INTO ir_attachment (name, type, url, mimetype, create_uid) VALUES ('loose.css', 'binary', '/web/assets/x/loose.css', 'text/css', 1) RETURNING id")
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let served: i64 = odoo
            .sql(&format!("INSERT INTO ir_attachment (name, type, url, mimetype, res_model, res_id, create_uid) VALUES ('on.css', 'binary', '/web/assets/x/on.css', 'text/css', 'res.partner', {id}, 1) RETURNING id"))
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        for (what, attachment) in [("field", field), ("asset", loose), ("asset on a record", served)] {
            let why = mcp.call("dev_download_attachment", json!({"attachment_id": attachment})).await;
            // Odoo 14 does not even tell of some.
            let refused = |why: &Reply| why.is_error && matches!(why.body["code"].as_str(), Some("record_denied" | "not_found"));
            assert!(refused(&why), "{what}: {why:?}");
            let why = mcp.call("dev_delete_attachment", json!({"attachment_id": attachment, "confirm": true})).await;
            assert!(refused(&why), "{what}: {why:?}");
            assert_eq!(odoo.sql(&format!("SELECT count(*) FROM ir_attachment WHERE id = {attachment}")), "1", "{what}");
        }
        odoo.sql(&format!("DELETE FROM ir_attachment WHERE id IN ({loose}, {served})"));
    }

    pub async fn files_of_hidden_records(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let shown = partner(mcp, "Shown files", "files-shown").await;
        let hidden = partner(mcp, &format!("{MARK} hidden"), "files-hidden").await;
        let open = upload(mcp, shown, "open.txt", &encoded("open")).await["attachment"]["id"].clone();
        let closed = upload(mcp, hidden, &format!("{MARK}.txt"), &encoded(MARK)).await["attachment"]["id"].clone();
        // Odoo gives public files to everybody; the key does not.
        odoo.sql(&format!("UPDATE ir_attachment SET public = true WHERE id = {closed}"));
        let key = ocore.key(&["--filter", "res.partner=[('function', '=', 'files-shown')]"]);
        let listed = key.call("dev_list_attachments", json!({"model": "res.partner", "id": shown})).await.ok();
        assert_eq!(listed["attachments"][0]["id"], open);
        assert_eq!(key.call("dev_download_attachment", json!({"attachment_id": open})).await.ok()["content"], encoded("open"));
        let file = json!({"model": "res.partner", "id": hidden, "name": "x.txt", "content": encoded("x")});
        for (tool, arguments) in [
            ("list_attachments", json!({"model": "res.partner", "id": hidden})),
            ("download_attachment", json!({"attachment_id": closed})),
            ("delete_attachment", json!({"attachment_id": closed})),
            ("delete_attachment", json!({"attachment_id": closed, "dry_run": true})),
            ("delete_attachment", json!({"attachment_id": closed, "confirm": true})),
            ("upload_attachment", file),
        ] {
            let reply = key.call(&format!("dev_{tool}"), arguments).await;
            assert!(reply.is_error && !format!("{reply:?}").contains(MARK), "{tool}: {reply:?}");
            assert_eq!(reply.body["code"], "not_found", "{tool}: {reply:?}");
        }
        let left = odoo.sql(&format!("SELECT string_agg(name, ',') FROM ir_attachment WHERE res_model = 'res.partner' AND res_id = {hidden} AND res_field IS NULL"));
        assert_eq!(left, format!("{MARK}.txt"));
        let made = upload(&key, shown, "more.txt", &encoded("more")).await;
        key.call("dev_delete_attachment", json!({"attachment_id": made["attachment"]["id"], "confirm": true})).await.ok();
        // Files may repeat what hidden fields say.
        let veiled = ocore.key(&["--fields-deny", "res.partner.email"]);
        veiled.call("dev_list_attachments", json!({"model": "res.partner", "id": shown})).await.refused("model_denied");
        veiled.call("dev_download_attachment", json!({"attachment_id": open})).await.refused("model_denied");
        // A key of other models does not learn that the file is there.
        let other = ocore.key(&["--models", "res.country"]);
        other.call("dev_list_attachments", json!({"model": "res.partner", "id": shown})).await.refused("model_denied");
        other.call("dev_download_attachment", json!({"attachment_id": open})).await.refused("not_found");
    }

    pub async fn who_may(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp) {
        let id = partner(mcp, "Who may", "files").await;
        let made = upload(mcp, id, "kept.txt", &encoded("kept")).await["attachment"]["id"].clone();
        let file = json!({"model": "res.partner", "id": id, "name": "x.txt", "content": encoded("x")});
        let reader = ocore.key(&["--read-only"]);
        reader.call("dev_upload_attachment", file.clone()).await.refused("permission_denied");
        reader.call("dev_delete_attachment", json!({"attachment_id": made, "confirm": true})).await.refused("permission_denied");
        assert_eq!(reader.call("dev_download_attachment", json!({"attachment_id": made})).await.ok()["content"], encoded("kept"));
        let others = ocore.key(&["--categories", "orm"]);
        others.call("dev_list_attachments", json!({"model": "res.partner", "id": id})).await.refused("permission_denied");
        // Settings that generic tools do not touch have no files for these either.
        for model in ["ir.config_parameter", "ir.attachment", "ir.mail_server"] {
            let arguments = json!({"model": model, "id": 1, "name": "x.txt", "content": encoded("x")});
            mcp.call("dev_upload_attachment", arguments).await.refused("model_denied");
            mcp.call("dev_list_attachments", json!({"model": model, "id": 1})).await.refused("model_denied");
        }
        let arguments = json!({"model": "ir.ui.view", "id": 1, "name": "x.txt", "content": encoded("x")});
        mcp.call("dev_upload_attachment", arguments).await.refused("model_denied");
        let count = odoo.sql(&format!(
            "SELECT count(*) FROM ir_attachment WHERE res_model = 'res.partner' AND res_id = {id} AND res_field IS NULL"
        ));
        assert_eq!(count, "1");
    }

    pub async fn hostile_files(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let id = partner(mcp, "Hostile files", "files").await;
        let file = |name: &str, content: &str| json!({"model": "res.partner", "id": id, "name": name, "content": content});
        for (what, arguments, code) in [
            ("no base64", file("a.txt", "no base64!"), "invalid_argument"),
            ("empty", file("a.txt", ""), "invalid_argument"),
            ("no name", file("../", &encoded("x")), "invalid_argument"),
            ("hidden name", file("\u{202e}", &encoded("x")), "invalid_argument"),
            ("too large", file("a.bin", &"A".repeat(14_100_000)), "too_large"),
            (
                "no record",
                json!({"model": "res.partner", "id": 2_000_000_000, "name": "a", "content": encoded("x")}),
                "not_found",
            ),
            ("no model", json!({"model": "res.partnr", "id": 1, "name": "a", "content": encoded("x")}), "not_found"),
            (
                "hostile model",
                json!({"model": "res.partner'; --", "id": 1, "name": "a", "content": encoded("x")}),
                "invalid_argument",
            ),
            (
                "mimetype",
                json!({"model": "res.partner", "id": id, "name": "a", "content": encoded("x"), "mimetype": "text/html\r\nX: y"}),
                "invalid_argument",
            ),
            (
                "public",
                json!({"model": "res.partner", "id": id, "name": "a", "content": encoded("x"), "public": true}),
                "invalid_argument",
            ),
            ("negative", json!({"model": "res.partner", "id": -1, "name": "a", "content": encoded("x")}), "invalid_argument"),
        ] {
            let reply = mcp.call("dev_upload_attachment", arguments).await;
            assert!(reply.is_error, "{what}: {:?}", reply.body);
            assert_eq!(reply.body["code"], code, "{what}: {:?}", reply.body);
            assert!(reply.body["next"].as_str().is_some_and(|n| !n.is_empty()), "{what}: {:?}", reply.body);
        }
        mcp.call("dev_list_attachments", json!({"model": "res.partner", "id": id, "mimetype": "%"}))
            .await
            .refused("invalid_argument");
        for bad in [json!(0), json!(-3), json!("x"), json!([1])] {
            mcp.call("dev_download_attachment", json!({"attachment_id": bad})).await.refused("invalid_argument");
        }
        mcp.call("dev_download_attachment", json!({"attachment_id": 2_000_000_000})).await.refused("not_found");
        let count = odoo.sql(&format!(
            "SELECT count(*) FROM ir_attachment WHERE res_model = 'res.partner' AND res_id = {id} AND res_field IS NULL"
        ));
        assert_eq!(count, "0");
        // A name with a quote and the longest that is kept.
        let long = format!("'\"; DROP TABLE x; --{}.pdf", "ü".repeat(300));
        let made = upload(mcp, id, &long, &encoded("x")).await;
        assert!(made["attachment"]["name"].as_str().is_some_and(|n| n.chars().count() <= 200), "{made}");
    }
}
