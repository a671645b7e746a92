//! The house: which crate may use which. Anything else fails here, before it becomes a habit.
use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use crate::harness::root;

/// Every arrow that there may be.
const MAY: [(&str, &[&str]); 11] = [
    ("kernel", &[]),
    ("store", &["kernel"]),
    ("backends", &["kernel"]),
    ("tools", &["kernel", "store", "backends"]),
    ("dispatch", &["kernel", "store", "backends", "tools"]),
    ("identity", &["kernel", "store"]),
    ("admin", &["kernel", "store", "backends", "identity"]),
    ("gateway", &["kernel", "dispatch", "identity", "admin"]),
    ("web", &["kernel", "identity", "admin"]),
    ("ocore", &["kernel", "store", "backends", "tools", "dispatch", "identity", "admin", "gateway", "web"]),
    ("tests", &["kernel", "backends", "tools"]),
];
/// Crates that a member may not name: only backends opens connections towards instances, only store the store.
const MAY_NOT: [(&str, &[&str]); 4] = [
    ("tools", &["sqlx", "reqwest", "bollard", "tokio-postgres", "axum"]),
    ("gateway", &["sqlx", "reqwest", "bollard", "tokio-postgres"]),
    ("web", &["sqlx", "reqwest", "bollard", "tokio-postgres"]),
    ("kernel", &["tokio", "sqlx", "reqwest", "axum"]),
];

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let members: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let planned: BTreeSet<&str> = MAY.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, planned, "a crate came or went: say in MAY what it may use, and in docs/architecture.md why it exists");
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let may = MAY.iter().find(|(n, _)| *n == name).expect("planned").1;
        let may_not = MAY_NOT.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, list)| list);
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // Tests stand on whatever they need.
            if dependency["kind"] == "dev" {
                continue;
            }
            let used = dependency["name"].as_str().expect("a name");
            assert!(!members.contains(used) || may.contains(&used), "{name} may not use {used}");
            assert!(!may_not.contains(&used), "{name} may not name {used}");
        }
    }
}
