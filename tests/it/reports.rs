//! Reports of both real Odoos: pages are made by a signed-in session, and refused with the reason where there is none.
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::harness::{Mcp, Ocore, Odoo, on_both, run};

on_both!(pages, documents, documents_at_the_same_time, refused_reports, who_may);

/// Each ocore asks an Odoo for one PDF at a time. Two ocores that use the two workers of one Odoo would leave none for the
/// styles that wkhtmltopdf fetches from it, so the tests of this process take turns.
static PRINTING: Mutex<()> = Mutex::const_new(());

/// A report that both versions have, of a model that every database has records of.
const REPORT: &str = "web.preview_externalreport";

fn html() -> Value {
    json!({"report_name": REPORT, "ids": [1], "format": "html"})
}

mod checks {
    use super::*;

    pub async fn pages(odoo: &Odoo, _: &Ocore, mcp: &Mcp) {
        let files = "SELECT count(*) FROM ir_attachment WHERE res_model = 'res.company' AND res_field IS NULL";
        let before = odoo.sql(files);
        let page = mcp.call("dev_generate_report", html()).await.ok();
        let content = page["content"].as_str().unwrap();
        assert!(content.contains("<html") && content.trim_end().ends_with("</html>"), "{page}");
        assert_eq!((&page["model"], &page["documents"][0]["mimetype"]), (&json!("res.company"), &json!("text/html")));
        assert_eq!(page["documents"][0]["size"], content.len());
        assert_eq!(odoo.sql(files), before, "a page is kept nowhere");
    }

    pub async fn documents(_: &Odoo, _: &Ocore, mcp: &Mcp) {
        let _turn = PRINTING.lock().await;
        let arguments = json!({"report_name": REPORT, "ids": [1], "timeout_seconds": 120});
        let reply = mcp.call("dev_generate_report", arguments.clone()).await.ok();
        assert_eq!(reply["documents"][0]["mimetype"], "application/pdf");
        assert!(reply.get("kept").is_none(), "{reply}");
        let (_, response) = mcp.request("tools/call", json!({"name": "dev_generate_report", "arguments": arguments})).await;
        assert!(response.to_string().contains("JVBERi0"), "no PDF beside the answer: {response}");
    }

    /// As many at a time as Odoo has workers, and more.
    pub async fn documents_at_the_same_time(_: &Odoo, _: &Ocore, mcp: &Mcp) {
        let _turn = PRINTING.lock().await;
        let arguments = json!({"report_name": REPORT, "ids": [1], "timeout_seconds": 120});
        let one = || mcp.call("dev_generate_report", arguments.clone());
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        for reply in [a, b, c, d] {
            assert_eq!(reply.ok()["documents"][0]["mimetype"], "application/pdf");
        }
    }

    pub async fn refused_reports(_: &Odoo, _: &Ocore, mcp: &Mcp) {
        let many = |n: i64| (1..=n).collect::<Vec<i64>>();
        for (what, arguments, code) in [
            ("misspelt", json!({"report_name": "web.preview_externlreport", "ids": [1]}), "not_found"),
            ("a path", json!({"report_name": "../../web/database/manager", "ids": [1], "format": "html"}), "not_found"),
            ("no record", json!({"report_name": REPORT, "ids": [2_000_000_000], "format": "html"}), "not_found"),
            ("no ids", json!({"report_name": REPORT, "ids": [], "format": "html"}), "invalid_argument"),
            ("11 for PDF", json!({"report_name": REPORT, "ids": many(11)}), "invalid_argument"),
            ("51 pages", json!({"report_name": REPORT, "ids": many(51), "format": "html"}), "invalid_argument"),
            ("format", json!({"report_name": REPORT, "ids": [1], "format": "exe"}), "invalid_argument"),
            ("hostile ids", json!({"report_name": REPORT, "ids": ["1/../../web"], "format": "html"}), "invalid_argument"),
        ] {
            let reply = mcp.call("dev_generate_report", arguments).await;
            assert!(reply.is_error && reply.body["code"] == code, "{what}: {reply:?}");
            assert!(!format!("{reply:?}").contains("Traceback"), "{what}: {reply:?}");
        }
        let near = mcp.call("dev_generate_report", json!({"report_name": "web.preview_externlreport", "ids": [1]})).await;
        assert!(near.body["next"].as_str().unwrap().contains(REPORT), "{near:?}");
    }

    pub async fn who_may(_: &Odoo, ocore: &Ocore, _: &Mcp) {
        let filtered = ocore.key(&["--filter", "res.company=[('id', '=', 1)]"]);
        let reply = filtered.call("dev_generate_report", html()).await;
        assert!(reply.is_error, "a page shows whatever its template takes: {reply:?}");
        let others = ocore.key(&["--categories", "orm"]);
        others.call("dev_generate_report", html()).await.refused("permission_denied");
        ocore.key(&["--read-only"]).call("dev_generate_report", html()).await.ok();
    }
}

/// An Odoo API key opens no session.
#[test]
fn a_credential_that_cannot_sign_in() {
    for version in [19, 14] {
        let Some(odoo) = Odoo::shared(version) else { return };
        let key = odoo.api_key("admin");
        let mut ocore = Ocore::new();
        let mut args = vec!["instance", "create", "dev", "--org", "acme", "--server", "host", "--url", &odoo.url];
        args.extend(["--database", &odoo.database, "--login", "admin", "--secret-stdin", "--environment", "development"]);
        ocore.cli(&args, &format!("{key}\n")).ok();
        let mcp = ocore.serve().key(&[]);
        let why = run(mcp.call("dev_generate_report", html())).refused("not_configured");
        assert!(why["next"].as_str().unwrap().contains("password"), "{why}");

        // With its container Odoo opens a session of the credential's user by itself, for this call alone.
        ocore.cli(&["server", "update", "host", "--org", "acme", "--docker", "unix:///var/run/docker.sock"], "").ok();
        ocore.cli(&["instance", "update", "dev", "--container", &odoo.container], "").ok();
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        let made = run(mcp.call("dev_generate_report", html())).ok();
        assert!(made["content"].as_str().is_some_and(|page| page.contains('<')), "{made}");
    }
}

/// A report that Odoo keeps as an attachment is a write: for nobody who only reads, and in the audit as one.
#[test]
fn a_report_that_is_kept() {
    for version in [19, 14] {
        let Some(odoo) = Odoo::fresh(version, "reports") else { return };
        odoo.sql(&format!("UPDATE ir_act_report_xml SET attachment = $$'kept.pdf'$$ WHERE report_name = '{REPORT}'"));
        let kept = || {
            odoo.sql("SELECT count(*) FROM ir_attachment WHERE name = 'kept.pdf' AND res_model = 'res.company' AND res_id = 1")
        };
        let mut ocore = Ocore::new();
        ocore.instance("dev", &odoo, &[]).ok();
        let mcp = ocore.serve().key(&[]);
        let reader = ocore.key(&["--read-only"]);
        let viewer = ocore.key(&["--role", "viewer", "--read-only"]);
        let arguments = json!({"report_name": REPORT, "ids": [1], "timeout_seconds": 120});
        run(async {
            reader.call("dev_generate_report", arguments.clone()).await.refused("permission_denied");
            viewer.call("dev_generate_report", arguments.clone()).await.refused("permission_denied");
            reader.call("dev_generate_report", html()).await.ok();
            let mut planned = arguments.clone();
            planned["dry_run"] = true.into();
            let plan = mcp.call("dev_generate_report", planned).await.ok();
            assert_eq!(plan["plan"]["affected"], 1, "{plan}");
            assert_eq!(kept(), "0");
            let _turn = PRINTING.lock().await;
            let made = mcp.call("dev_generate_report", arguments.clone()).await.ok();
            assert_eq!((&made["kept"], &made["documents"][0]["mimetype"]), (&json!(true), &json!("application/pdf")), "{made}");
            assert_eq!(kept(), "1");
        });
        let writes = ocore.cli(&["audit", "list", "--org", "acme", "--writes", "--json"], "").ok().stdout;
        assert!(writes.contains("generate_report"), "{writes}");
    }
}
