//! The OpenID providers of the configuration file.
use std::{collections::BTreeSet, path::PathBuf};

use identity::openid::{Provider, Settings};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::{
    config::{Environment, read},
    failure::{Failure, Result, nearest},
};

/// What a provider's table may hold.
const FIELDS: [&str; 10] =
    ["slug", "name", "issuer", "client_id", "client_secret_file", "scopes", "email_domains", "groups_claim", "groups", "create"];

/// The variable that may hold a provider's client secret.
pub fn variable(slug: &str) -> String {
    format!("OCORE_OPENID_{}_CLIENT_SECRET", slug.to_uppercase().replace('-', "_"))
}

/// Reads the tables. A client secret is never among them: it comes from a file of its own or the environment.
pub fn providers(tables: Vec<Map<String, Value>>, environment: &Environment) -> Result<Vec<Provider>> {
    let mut all = Vec::new();
    let mut variables = BTreeSet::new();
    for (n, mut table) in tables.into_iter().enumerate() {
        let of = match table.get("slug").and_then(Value::as_str) {
            Some(slug) => format!("openid \"{slug}\""),
            None => format!("openid, entry {}", n + 1),
        };
        if let Some(name) = table.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let failure = Failure::config(format!("{of}: there is no \"{name}\"."));
            return Err(match nearest(name, FIELDS) {
                Some(near) => failure.next(format!("Did you mean {near}?")),
                None => failure.next(format!("Write {}.", FIELDS.join(", "))),
            });
        }
        let file = match table.remove("client_secret_file") {
            None => None,
            Some(Value::String(path)) => Some(PathBuf::from(path)),
            Some(_) => return Err(Failure::config(format!("{of}: client_secret_file is no path."))),
        };
        // The message names fields and kinds; secrets are not in here.
        let mut settings: Settings =
            serde_json::from_value(Value::Object(table)).map_err(|e| Failure::config(format!("{of}: {e}.")))?;
        let variable = variable(&settings.slug);
        let given = environment.get(&variable).filter(|v| !v.is_empty());
        settings.client_secret = match (given, file) {
            (Some(_), Some(_)) => {
                return Err(
                    Failure::config(format!("{of}: {variable} and client_secret_file are both set.")).next("Keep one of them.")
                );
            }
            (Some(secret), None) => Some(SecretString::from(secret.clone())),
            (None, Some(path)) => {
                let secret = read(&path, "client_secret_file")?.trim().to_owned();
                if secret.is_empty() {
                    return Err(Failure::config(format!("{of}: client_secret_file {} is empty.", path.display())));
                }
                Some(secret.into())
            }
            (None, None) => None,
        };
        // my-idp and my_idp are two slugs and one variable.
        if !variables.insert(variable.clone()) && given.is_some() {
            return Err(Failure::config(format!("{variable} could be for two providers."))
                .next("Give one of them another slug, or use client_secret_file."));
        }
        all.push(settings);
    }
    Provider::all(all).map_err(|flaw| Failure::config(format!("openid: {flaw}.")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_all(tables: &Value, environment: &[(&str, &str)]) -> Result<Vec<Provider>> {
        let tables = tables.as_array().unwrap().iter().map(|t| t.as_object().unwrap().clone()).collect();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        providers(tables, &environment)
    }

    #[test]
    fn tables_become_providers_and_mistakes_are_named() {
        let one = json!({"slug": "company", "name": "Example Ltd", "issuer": "https://login.example.com", "client_id": "ocore"});
        let all = read_all(&json!([one]), &[("OCORE_OPENID_COMPANY_CLIENT_SECRET", "hush")]).unwrap();
        assert_eq!(all.iter().map(Provider::slug).collect::<Vec<_>>(), ["company"]);
        assert!(!format!("{all:?}").contains("hush"));
        let with = |name: &str, value: Value| {
            let mut changed = one.clone();
            changed[name] = value;
            read_all(&json!([changed]), &[("OCORE_OPENID_COMPANY_CLIENT_SECRET", "hush")]).unwrap_err()
        };
        for (name, value, says) in [
            ("isuer", json!("x"), "issuer"),
            ("client_secret", json!("hush"), "client_secret_file"),
            ("client_secret_file", json!("/nowhere"), "both set"),
            ("issuer", json!("http://login.example.com"), "https"),
            ("create", json!("yes"), "boolean"),
            ("groups", json!([{"group": "g", "organization": "acme", "role": "boss"}]), "boss"),
            ("groups", json!([{"group": "g", "organization": "acme", "role": "admin"}]), "groups_claim"),
        ] {
            let failure = format!("{:?}", with(name, value));
            assert!(failure.contains(says) && !failure.contains("hush"), "{name}: {failure}");
        }
        assert!(format!("{:?}", read_all(&json!([one, one]), &[]).unwrap_err()).contains("two providers"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut empty = one.clone();
        empty["client_secret_file"] = json!(file.path());
        assert!(format!("{:?}", read_all(&json!([empty]), &[]).unwrap_err()).contains("empty"));
    }
}
