//! The pages as somebody uses them who has a keyboard, no mouse and a narrow screen, in Chromium against the running server: everything that
//! people do there, and what they are told when it goes wrong.
use serde_json::{Value, json};

use crate::{
    clients::{clients, in_chromium},
    harness::{Ocore, Odoo, run},
    impersonation::PASSWORD,
};

const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";

#[test]
fn everything_is_done_by_the_keyboard_alone() {
    let (Some(odoo), Some(clients)) = (Odoo::shared(19), clients()) else { return };
    run(async {
        let mut ocore = Ocore::bare();
        ocore.serve();
        let url = ocore.at_localhost();
        let by_keyboard = async |part: &str, given: Value| {
            let seen = in_chromium(&clients, "keyboard.mjs", &[part, &given.to_string()]).await;
            println!("{part}: {} stops of the keyboard", seen["stops"]);
            assert_eq!(seen["faults"], json!([]), "{part}: {seen:#}");
            seen
        };
        let begun = std::time::Instant::now();
        while !ocore.printed().contains("/set-up?token=") {
            assert!(begun.elapsed().as_secs() < 10, "{}", ocore.printed());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let printed = ocore.printed();
        let path = printed[printed.find("/set-up?token=").unwrap()..].split_whitespace().next().unwrap();
        let seen = by_keyboard("set-up", json!({"link": format!("{url}{path}"), "email": ANN, "password": PASSWORD})).await;
        let codes = seen["codes"].clone();
        assert_eq!(codes.as_array().map(Vec::len), Some(9), "{seen}");

        ocore.cli(&["server", "create", "host", "--org", "acme"], "").ok();
        ocore.instance("dev", &odoo, &[]).ok();
        ocore.cli(&["org", "create", "berg"], "").ok();
        ocore.cli(&["user", "update", ANN, "--org", "berg", "--role", "admin"], "").ok();
        let args = ["user", "create", "--email", BEN, "--org", "berg", "--role", "viewer", "--password-stdin"];
        ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        ocore.cli(&["invite", "create", "acme", "--label", "Cleo", "--by", ANN], "").ok();
        let seen = by_keyboard("work", json!({"url": url, "email": ANN, "password": PASSWORD, "codes": codes})).await;
        assert_eq!((&seen["copied"], &seen["ended"]), (&json!(true), &json!("/sign-in")), "{seen}");
        let invites = ocore.cli(&["--json", "invite", "list", "acme"], "").ok().json();
        assert_eq!((&invites[0]["label"], &invites[0]["state"]), (&json!("Newcomer"), &json!("open")), "{invites}");
        assert_eq!((&invites[1]["label"], &invites[1]["state"]), (&json!("Cleo"), &json!("revoked")), "{invites}");

        let seen = by_keyboard("newcomer", json!({"link": seen["link"], "email": BEN, "password": PASSWORD})).await;
        assert!(seen["key"].as_str().is_some_and(|key| key.starts_with("ock_")), "{seen}");
    });
}
