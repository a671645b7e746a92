//! The real Odoos that `tests/odoo/stack` runs, each test run with fresh databases.
use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Mutex, OnceLock},
};

use serde_json::Value;

use super::{cannot_run, root};

/// Runs `tests/odoo/stack …` and gives what it printed.
pub fn stack(args: &[&str]) -> Result<String, String> {
    // The stack has a variable of this name for its containers; here it names databases.
    let output = Command::new(root().join("tests/odoo/stack"))
        .args(args)
        .env_remove("OCORE_TEST_PREFIX")
        .output()
        .map_err(|e| format!("tests/odoo/stack: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("tests/odoo/stack {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)))
    }
}

/// One running Odoo with a database of its own.
#[derive(Debug, Clone)]
pub struct Odoo {
    pub version: u16,
    pub url: String,
    pub database: String,
    pub container: String,
}

impl Odoo {
    /// The Odoo of that version with the database that all tests of this run share (tests make records of their own).
    pub fn shared(version: u16) -> Option<Self> {
        static SHARED: OnceLock<Mutex<BTreeMap<u16, Option<Odoo>>>> = OnceLock::new();
        let mut shared = SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.entry(version).or_insert_with(|| Self::fresh(version, "shared")).clone()
    }

    /// The Odoo of that version with a database of this name, made now.
    pub fn fresh(version: u16, name: &str) -> Option<Self> {
        // Two runs at once on one machine take names of their own.
        let prefix = std::env::var("OCORE_TEST_PREFIX").unwrap_or_else(|_| "it".to_owned());
        let database = format!("{prefix}_{name}_{version}");
        let made = (|| {
            let env: Value = serde_json::from_str(&stack(&["env", "--json"])?).map_err(|e| e.to_string())?;
            let url = find(&env, version, "OCORE_TEST_ODOO_URL").ok_or("the stack tells no URL")?;
            let container = find(&env, version, "OCORE_TEST_ODOO_CONTAINER").ok_or("the stack tells no container")?;
            stack(&["fresh", &version.to_string(), &database])?;
            Ok::<_, String>(Self { version, url, database: database.clone(), container })
        })();
        match made {
            Ok(odoo) => Some(odoo),
            Err(why) => {
                cannot_run(&format!("Odoo {version} is not there ({why}); run tests/odoo/stack up"));
                None
            }
        }
    }

    /// Asks Odoo's own database, the only witness that counts.
    pub fn sql(&self, query: &str) -> String {
        stack(&["psql", &self.database, query]).expect("the database answers")
    }

    /// An Odoo API key of that login.
    pub fn api_key(&self, login: &str) -> String {
        stack(&["apikey", &self.version.to_string(), &self.database, login]).expect("Odoo makes API keys")
    }

    /// An internal user with these groups (XML ids).
    pub fn user(&self, login: &str, password: &str, groups: &[&str]) {
        let version = self.version.to_string();
        let mut args = vec!["user", version.as_str(), self.database.as_str(), login, password];
        args.extend(groups);
        stack(&args).expect("Odoo makes users");
    }
}

/// The stack's JSON holds an object per version.
fn find(env: &Value, version: u16, key: &str) -> Option<String> {
    env.get(version.to_string()).and_then(|v| v.get(key)).or_else(|| env.get(key)).and_then(Value::as_str).map(str::to_owned)
}
