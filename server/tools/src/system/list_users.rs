use backends::odoo::Search;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    args::{SearchWords, Shown},
    caps,
    contract::{self as tool, *},
};

/// List Odoo users: id, login, name, active, last login, share (no employee) and company.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListUsers {
    /// Part of a login, name or e-mail
    #[serde(default)]
    search: SearchWords,
    /// Default true
    active: Option<Shown>,
    /// Default 80
    limit: Option<u64>,
    #[serde(default)]
    offset: u64,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Users {
    pub users: Vec<Listed>,
    pub count: usize,
    pub total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub id: i64,
    pub login: String,
    pub name: String,
    pub active: bool,
    /// UTC; absent when it never signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login: Option<String>,
    /// A portal user or a website's visitor.
    pub share: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
}
impl Answer for Users {
    const LIST: Option<&'static str> = Some("users");
    fn columns(&self) -> Vec<String> {
        ["id", "login", "name", "active", "last_login", "share", "company_id", "company"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.users.len() as u64)
    }
}
/// By name: these fields and no others, whatever a module adds to users.
const FIELDS: [&str; 6] = ["login", "name", "active", "login_date", "share", "company_id"];

fn listed(user: &Map<String, Value>) -> Listed {
    let get = |field: &str| user.get(field).unwrap_or(&Value::Null);
    let text = |field: &str| get(field).as_str().map(str::to_owned);
    let company = get("company_id");
    Listed {
        id: get("id").as_i64().unwrap_or_default(),
        login: text("login").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        active: get("active").as_bool().unwrap_or_default(),
        last_login: text("login_date"),
        share: get("share").as_bool().unwrap_or_default(),
        company_id: company.as_i64().or_else(|| company.get(0)?.as_i64()),
        company: company.get(1).and_then(Value::as_str).map(str::to_owned),
    }
}
fn domain(search: Option<&str>, active: Shown) -> Value {
    // A domain that names the field shows archived users too.
    let mut terms = vec![match active.flag() {
        Some(flag) => json!(["active", "=", flag]),
        None => json!(["active", "in", [true, false]]),
    }];
    if let Some(words) = search {
        terms.extend([json!("|"), json!("|")]);
        terms.extend(["login", "name", "email"].map(|field| json!([field, "ilike", words])));
    }
    Value::Array(terms)
}
impl ReadTool for ListUsers {
    type Answer = Users;
    async fn call(self, cx: &ReadCx) -> Result<Users> {
        let odoo = cx.odoo()?;
        let (limit, note) = caps::limit(odoo.scope(), self.limit, caps::DEFAULT_LIMIT)?;
        let search = Search {
            model: "res.users".to_owned(),
            domain: domain(self.search.get(), self.active.unwrap_or(Shown::Active)),
            fields: FIELDS.map(str::to_owned).into(),
            limit,
            offset: self.offset,
            order: Some("login".to_owned()),
        };
        let rows = odoo.search_read(&search).await?;
        let users: Vec<Listed> = rows.records.iter().map(|user| listed(&user.parse())).collect();
        let end = self.offset.saturating_add(users.len() as u64);
        let whole = (users.len() as u64) < limit && (self.offset == 0 || !users.is_empty());
        let total = if whole { end } else { odoo.search_count(&search.model, &search.domain, None).await? };
        let skipped = rows.skipped.iter().map(|(field, why)| format!("{field} is left out: {why}"));
        let notes = note.into_iter().chain(skipped).collect();
        Ok(Users { count: users.len(), total, next_offset: (end < total && !users.is_empty()).then_some(end), users, notes })
    }
}
pub const TOOL: Tool = tool::read::<ListUsers>("List users");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odoo_s_words_become_ours() {
        let user = json!({"id": 7, "login": "ann", "name": "Ann", "active": true, "login_date": false, "share": false, "company_id": [1, "Acme"], "password": "x"});
        let told = serde_json::to_value(listed(user.as_object().unwrap())).unwrap();
        assert_eq!(
            told,
            json!({"id": 7, "login": "ann", "name": "Ann", "active": true, "share": false, "company_id": 1, "company": "Acme"})
        );
        let hidden = listed(json!({"id": 7, "company_id": 1}).as_object().unwrap());
        assert_eq!((hidden.company_id, hidden.company), (Some(1), None));
    }

    #[test]
    fn words_are_data_in_the_domain() {
        let words = "'; DROP TABLE res_users; --";
        let domain = domain(Some(words), Shown::All);
        assert_eq!(domain[0], json!(["active", "in", [true, false]]));
        assert_eq!(domain[3], json!(["login", "ilike", words]));
    }
}
