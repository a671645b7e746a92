//! What clients with an access token read when a call needs more than the token allows.
use kernel::{Access, TimeDelta, UserId};
use store::oauth::{
    clients::{self, NewClient},
    grants::{self, NewGrant},
    tokens::{self, AccessRow, NewFamily},
};

use super::*;

/// An access token with these scopes, of a person's consent.
async fn token(w: &World, scopes: &str) -> String {
    let (t, now) = (&w.store, w.store.sources.now());
    let shown = identity::oauth::opaque::make(identity::oauth::opaque::Kind::AccessToken, &*t.sources.random);
    let mut tx = t.begin().await.unwrap();
    let user: UserId = store::users::create(&mut tx, "ann@example.com", None, false, &t.sources).await.unwrap();
    store::users::set_role(&mut tx, w.org, user, Role::Member, now).await.unwrap();
    let new = NewKey {
        org: w.org,
        owner: Some(user),
        role: Role::Member,
        label: "of consent".into(),
        prefix: "oauth".into(),
        hash: [9; 32],
        permissions: Permissions::all(),
        expires_at: None,
        invite: None,
    };
    let key = store::keys::create(&mut tx, &new, &t.sources).await.unwrap();
    let client = NewClient { id: "oci_a".into(), metadata: "{}".into(), secret_hash: None, fingerprint: None, address: None };
    clients::insert(&mut tx, &client, now).await.unwrap();
    let (client, resource, scopes) = ("oci_a".to_owned(), "http://localhost:8080/mcp".to_owned(), scopes.to_owned());
    let new = NewGrant {
        org: w.org,
        user,
        client: client.clone(),
        key,
        made_key: true,
        scopes: scopes.clone(),
        resource: resource.clone(),
        redirect_host: String::new(),
    };
    let grant = grants::create(&mut tx, &new, &t.sources).await.unwrap();
    let new = NewFamily { grant, client, resource, scopes: scopes.clone(), confidential: false };
    let family = tokens::create_family(&mut tx, &new, &t.sources).await.unwrap().unwrap();
    let row = AccessRow { family, scopes, issued_at: now, expires_at: now + TimeDelta::hours(1), revoked_at: None };
    tokens::insert_access(&mut tx, &shown.hash, &row).await.unwrap();
    tx.commit().await.unwrap();
    w.registry.reload().await;
    shown.text.expose_secret().to_owned()
}

#[tokio::test]
async fn what_a_call_lacks_is_told_in_the_head_however_late_it_turns_out() {
    let w = world(Config::default()).await;
    let text = token(&w, "read").await;
    for (milliseconds, accept) in
        [(0, "application/json, text/event-stream"), (700, "application/json, text/event-stream"), (700, "application/json")]
    {
        let mut request = World::request_by(&text, "POST", "/mcp")
            .body(call("ocore_late", json!({ "milliseconds": milliseconds })).to_string().into())
            .unwrap();
        request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
        let response = w.send(request).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "after {milliseconds} ms, {accept}");
        let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"read write\""), "{challenge}");
        assert_eq!(body(response).await["result"]["isError"], true);
    }
}

#[tokio::test]
async fn a_call_that_is_refused_at_the_door_names_the_consent_that_it_came_by() {
    let w = world(Config::default()).await;
    let text = token(&w, "read").await;
    let say = async || {
        let message = call("ocore_echo", json!({"text": "a"})).to_string();
        w.send(World::request_by(&text, "POST", "/mcp").body(message.into()).unwrap()).await.status()
    };
    assert_eq!(say().await, StatusCode::OK);
    let row = w.store.fetch_optional("SELECT id FROM oauth_grants", vec![]).await.unwrap().unwrap();
    let grant: kernel::GrantId = row.parsed("id").unwrap();
    let mut tx = w.store.begin().await.unwrap();
    grants::revoke(&mut tx, grant, store::oauth::RevokedWhy::User, w.store.sources.now()).await.unwrap();
    tx.commit().await.unwrap();
    w.registry.reload().await;
    assert_eq!(say().await, StatusCode::UNAUTHORIZED);
    let sql = "SELECT state, grant_id FROM call_audit ORDER BY id";
    for _ in 0..300 {
        let rows = w.store.fetch_all(sql, vec![]).await.unwrap();
        if rows.len() == 2 {
            let of: Vec<_> = rows.iter().map(|row| row.opt_text("grant_id").unwrap()).collect();
            assert_eq!(of, vec![Some(grant.to_string()); 2]);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("both calls have their rows");
}

/// Find out late that it would have to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Late {
    milliseconds: u64,
}
impl ReadTool for Late {
    type Answer = Said;
    async fn call(self, _: &ReadCx) -> ToolResult<Said> {
        tokio::time::sleep(Duration::from_millis(self.milliseconds)).await;
        let mut lacks = kernel::refusal(kernel::Code::PermissionDenied, "This call writes.");
        lacks.lacks = Some(Access::Write);
        Err(lacks.into())
    }
}
