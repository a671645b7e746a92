//! Invites as people use them: an administrator makes one on the page, and who got the link opens it in another browser (Chromium). What the
//! keys may do is asked of a real Odoo.
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    clients::{clients, in_chromium},
    harness::{Mcp, Ocore, Odoo, run},
    impersonation::PASSWORD,
};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
/// Two who are not in acme.
const BEN: &str = "ben@example.com";
const CLEO: &str = "cleo@example.com";

struct World {
    odoo: Odoo,
    ocore: Ocore,
    url: String,
    clients: PathBuf,
}
/// With Ann and Bob as administrators, Odoo 19 as `dev` and Odoo 14 as `old`.
fn world() -> Option<World> {
    let (odoo, old, clients) = (Odoo::shared(19)?, Odoo::shared(14)?, clients()?);
    let mut ocore = Ocore::new();
    ocore.cli(&["org", "create", "elsewhere"], "").ok();
    for (email, org, role) in
        [(ANN, "acme", "admin"), (BOB, "acme", "admin"), (BEN, "elsewhere", "viewer"), (CLEO, "elsewhere", "viewer")]
    {
        let args = ["user", "create", "--email", email, "--org", org, "--role", role, "--password-stdin"];
        ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
    }
    ocore.instance("dev", &odoo, &[]).ok();
    ocore.instance("old", &old, &[]).ok();
    ocore.serve();
    let url = ocore.at_localhost();
    Some(World { odoo, ocore, url, clients })
}
impl World {
    async fn chromium(&self, args: &[&str]) -> Value {
        in_chromium(&self.clients, "invites.mjs", args).await
    }
    /// Ann makes an invite for one instance.
    async fn invite(&self, label: &str, role: &str, categories: &[&str]) -> Value {
        let choice = json!({"label": label, "role": role, "instances": ["dev"], "categories": categories}).to_string();
        self.chromium(&["make", &self.url, ANN, PASSWORD, &choice]).await
    }
    fn members(&self) -> String {
        self.ocore.cli(&["--json", "user", "list", "--org", "acme"], "").ok().stdout
    }
    fn keys(&self) -> usize {
        self.ocore.cli(&["--json", "key", "list", "--org", "acme"], "").ok().json().as_array().expect("keys").len()
    }
    fn role_of_ann(&self, role: &str) {
        self.ocore.cli(&["user", "update", ANN, "--org", "acme", "--role", role], "").ok();
    }
}
fn text<'a>(seen: &'a Value, name: &str) -> &'a str {
    seen[name].as_str().unwrap_or_else(|| panic!("no {name} in {seen}"))
}
/// The server takes notice of what another process changed within seconds; the time that it took.
async fn becomes(mcp: &Mcp, status: u16) -> Duration {
    let begun = Instant::now();
    while mcp.request("tools/list", json!({})).await.0 != status {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is not answered by {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

#[test]
fn a_newcomer_joins_by_the_link_and_has_a_key_with_the_limits_of_the_invite() {
    let Some(w) = world() else { return };
    run(async {
        let made = w.invite("Ben, bookkeeping", "Member", &["Records", "Search and figures"]).await;
        let link = text(&made, "link");
        assert!(link.starts_with(&format!("{}/oauth/invite/ocn_", w.url)) && made["again"] == false, "{made}");
        for page in [text(&made, "gives"), text(&w.chromium(&["try", link, BEN, PASSWORD]).await, "before")] {
            assert!(page.contains("may read records and search results on dev") && page.contains("Member"), "{page}");
        }
        assert!(!w.members().contains(BEN));

        let own = "some quite other words";
        let seen = w.chromium(&["accept", link, BEN, PASSWORD, own]).await;
        assert!(text(&seen, "offer").contains(ANN) && text(&seen, "done").contains("Your role is Member"), "{seen}");
        assert!(text(&seen, "password").contains("password is changed"), "{seen}");
        assert_eq!(text(&seen, "address"), format!("{}/mcp", w.url));
        assert!(text(&seen, "again").contains("This invite was already used"), "{seen}");
        let members = w.ocore.cli(&["--json", "user", "list", "--org", "acme"], "").ok().json();
        let ben = members.as_array().unwrap().iter().find(|user| user["email"] == BEN).expect("Ben").clone();
        assert_eq!(ben["role"], "member", "{ben}");

        // A real call; and of tools neither more nor fewer than of a key that has the same limits by the command line.
        let mcp = Mcp::new(&w.url, text(&seen, "key"));
        let values = json!({"model": "res.partner", "values": {"name": "By an invite"}});
        let partner = mcp.call("dev_create", values).await.ok()["id"].clone();
        assert_eq!(w.odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {partner}")), "By an invite");
        let same = w.ocore.key(&["--owner", BEN, "--role", "member", "--categories", "orm,search", "--instances", "dev"]);
        let tools = mcp.tools().await;
        assert_eq!(tools, same.tools().await);
        assert!(tools.contains("dev_create") && tools.contains("dev_count"), "{tools:?}");
        for (tool, arguments) in [
            ("old_count", json!({"model": "res.partner"})),
            ("dev_list_models", json!({})),
            ("dev_execute_sql", json!({"query": "SELECT 1"})),
        ] {
            let reply = mcp.call(tool, arguments).await;
            assert!(reply.is_error && !tools.contains(tool), "{tool}: {reply:?}");
        }
        assert!(w.ocore.key(&["--owner", BEN]).tools().await.contains("old_count"), "the member himself may");

        // Used up, for everybody, and it is said so; what is told names a way out.
        let keys = w.keys();
        for (who, password) in [(BEN, own), (CLEO, PASSWORD)] {
            let seen = w.chromium(&["try", link, who, password]).await;
            assert_eq!((&seen["status"], &seen["way"], &seen["buttons"]), (&json!(410), &json!(0), &json!(0)), "{who}: {seen}");
            for page in [text(&seen, "before"), text(&seen, "after")] {
                assert!(
                    page.contains("This invite was already used") && page.contains("ask who sent it for a new one"),
                    "{page}"
                );
            }
        }
        assert!(!w.members().contains(CLEO) && w.keys() == keys);

        // A viewer's invite only reads, whatever was ticked.
        let made = w.invite("Cleo", "Viewer", &["Records", "Search and figures"]).await;
        let seen = w.chromium(&["accept", text(&made, "link"), CLEO, PASSWORD]).await;
        assert!(text(&seen, "offer").contains("It cannot change anything"), "{seen}");
        let mcp = Mcp::new(&w.url, text(&seen, "key"));
        let found = mcp.call("dev_count", json!({"model": "res.partner", "domain": [["id", "=", partner]]})).await.ok();
        assert_eq!(found["count"], 1);
        let write = json!({"model": "res.partner", "ids": [partner], "values": {"name": "By a viewer"}});
        assert!(mcp.call("dev_write", write).await.is_error);
        assert_eq!(w.odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {partner}")), "By an invite");
    });
}

/// Only administrators invite; one who is none any more has nothing to give.
#[test]
fn an_invite_gives_no_more_than_who_vouches_for_it_may_at_that_time() {
    let Some(w) = world() else { return };
    run(async {
        let first = w.invite("Ben", "Member", &["Records", "Search and figures"]).await;
        let second = w.invite("Cleo", "Member", &["Records", "Search and figures"]).await;
        let link = text(&second, "link");
        let seen = w.chromium(&["accept", text(&first, "link"), BEN, PASSWORD]).await;
        let ben = Mcp::new(&w.url, text(&seen, "key"));
        ben.call("dev_count", json!({"model": "res.partner"})).await.ok();

        // Between making and using.
        let keys = w.keys();
        for role in ["viewer", "member"] {
            w.role_of_ann(role);
            // What was given before lives no better.
            let took = becomes(&ben, 401).await;
            println!("the key of an invite was refused {} ms after its voucher became a {role}", took.as_millis());
            let seen = w.chromium(&["try", link, CLEO, PASSWORD]).await;
            assert_eq!((&seen["status"], &seen["way"], &seen["buttons"]), (&json!(410), &json!(0), &json!(0)), "{role}: {seen}");
            for page in [text(&seen, "before"), text(&seen, "after")] {
                assert!(page.contains("may no longer give what it gives") && page.contains("Ask an administrator"), "{page}");
            }
        }
        assert!(!w.members().contains(CLEO) && w.keys() == keys);

        // Another administrator takes it over.
        let seen = w.chromium(&["vouch", &w.url, BOB, PASSWORD, "Cleo"]).await;
        assert!(text(&seen, "before").contains("On hold") && text(&seen, "before").contains(ANN), "{seen}");
        assert!(text(&seen, "notice").contains("You vouch for the invite Cleo now"), "{seen}");
        assert!(text(&seen, "after").contains("Open") && text(&seen, "after").contains(BOB), "{seen}");
        let seen = w.chromium(&["accept", link, CLEO, PASSWORD]).await;
        assert!(text(&seen, "offer").contains(BOB), "{seen}");
        let cleo = Mcp::new(&w.url, text(&seen, "key"));
        cleo.call("dev_count", json!({"model": "res.partner"})).await.ok();
        assert_eq!(ben.request("tools/list", json!({})).await.0, 401, "nobody vouches for Ben's");
        w.chromium(&["vouch", &w.url, BOB, PASSWORD, "Ben"]).await;
        becomes(&ben, 200).await;
    });
}
