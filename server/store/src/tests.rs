//! The repositories and the registry on both engines, and every fixed statement prepared on both.
use std::time::{Duration, Instant};

use kernel::{
    Environment, ExposeSecret as _, Health, InstanceId, KeyId, OrgId, Permissions, Role, RpcDialect, SecretString, ServerId,
    UserId,
};

use crate::{
    Assembled, Db, Engine, StoreError, args,
    credentials::{self, CredentialStore, NewCredential},
    events,
    instances::{self, NewInstance},
    keys::{self, NewKey},
    orgs::{self, OrgChange},
    registry::Registry,
    servers,
    testing::{TestStore, each_engine},
    users::{self, UserChange},
    vault::{KeySource, Vault},
};

pub(crate) struct World {
    pub(crate) org: OrgId,
    pub(crate) other: OrgId,
    pub(crate) user: UserId,
    pub(crate) server: ServerId,
    pub(crate) other_server: ServerId,
    pub(crate) instance: InstanceId,
    pub(crate) key: KeyId,
}

fn instance(org: OrgId, server: ServerId, slug: &str, database: &str) -> NewInstance {
    NewInstance {
        org,
        server,
        slug: slug.to_owned(),
        name: slug.to_uppercase(),
        url: "https://odoo.example.com".parse().unwrap(),
        database: database.to_owned(),
        environment: Environment::Staging,
        write_enabled: true,
        container: None,
        addons: Vec::new(),
        backups: Some("/srv/backups".into()),
        concurrency: 4,
    }
}
pub(crate) fn key(org: OrgId, owner: Option<UserId>, n: u8) -> NewKey {
    NewKey {
        org,
        owner,
        role: Role::Admin,
        label: format!("key {n}"),
        prefix: "ock_abc".to_owned(),
        hash: [n; 32],
        permissions: Permissions::all(),
        expires_at: None,
        invite: None,
    }
}

pub(crate) async fn world(t: &TestStore) -> World {
    let mut tx = t.begin().await.unwrap();
    let s = &t.sources;
    let org = orgs::create(&mut tx, "acme", "Acme", s).await.unwrap();
    let other = orgs::create(&mut tx, "globex", "Globex", s).await.unwrap();
    let user = users::create(&mut tx, "Ann@Example.com", Some("$argon2id$x"), false, s).await.unwrap();
    users::set_role(&mut tx, org, user, Role::Owner, s.now()).await.unwrap();
    let docker = Some("unix:///var/run/docker.sock");
    let server = servers::create(&mut tx, org, "one", docker, &["/opt/odoo".into()], s).await.unwrap();
    let other_server = servers::create(&mut tx, other, "one", Some("unix:///run/docker.sock/"), &[], s).await.unwrap();
    let id = instances::create(&mut tx, &instance(org, server, "prod", "prod"), s).await.unwrap();
    let key = keys::create(&mut tx, &key(org, Some(user), 1), s).await.unwrap();
    tx.commit().await.unwrap();
    World { org, other, user, server, other_server, instance: id, key }
}

/// Twenty do it at once, half of them from another process; `wait` lets all come before any goes on.
pub(crate) async fn at_once<T>(t: &TestStore, work: impl AsyncFn(Db, u8, &tokio::sync::Barrier) -> T) -> Vec<T> {
    let (other, wait) = (t.another().await, tokio::sync::Barrier::new(20));
    let all = (0..20).map(|n| work(if n % 2 == 0 { t.db.clone() } else { other.clone() }, n, &wait));
    let done = futures_util::future::join_all(all).await;
    other.close().await;
    done
}

#[tokio::test]
async fn what_is_written_is_found_by_its_organization_alone() {
    each_engine(async |t| {
        let w = world(t).await;
        let org = orgs::by_slug(&t.db, "acme").await.unwrap().unwrap();
        assert_eq!((org.organization.max_records, org.organization.max_search_limit, org.audit_retention_days), (500, 1000, 30));
        let found = instances::by_slug(&t.db, w.org, "prod").await.unwrap().unwrap();
        assert_eq!(found.name, "PROD");
        assert_eq!(found.instance.server_name, "one");
        assert_eq!(found.instance.host.backups.as_deref(), Some(std::path::Path::new("/srv/backups")));
        assert!(found.instance.rpc.is_none() && found.instance.host.postgres.is_none() && found.instance.generation == 1);
        assert!(instances::find(&t.db, w.other, w.instance).await.unwrap().is_none());
        assert!(instances::by_slug(&t.db, w.other, "prod").await.unwrap().is_none());
        assert!(servers::find(&t.db, w.other, w.server).await.unwrap().is_none());
        assert!(servers::by_name(&t.db, w.other, "two").await.unwrap().is_none());
        assert!(keys::find(&t.db, w.other, w.key).await.unwrap().is_none());
        assert!(keys::list(&t.db, w.other).await.unwrap().is_empty());
        assert!(users::members(&t.db, w.other).await.unwrap().is_empty());
        assert_eq!(users::members(&t.db, w.org).await.unwrap().len(), 1);
        assert_eq!(users::role(&t.db, w.org, w.user).await.unwrap(), Some(Role::Owner));
        assert_eq!(users::owners(&t.db, w.org).await.unwrap(), 1);
        assert_eq!(users::memberships(&t.db, w.user).await.unwrap(), [(w.org, Role::Owner)]);
        assert_eq!(users::password_hash(&t.db, w.user).await.unwrap().as_deref(), Some("$argon2id$x"));
        assert_eq!(servers::list(&t.db, w.org).await.unwrap()[0].path_roots, [std::path::PathBuf::from("/opt/odoo")]);

        let used = keys::KeyUse { key: w.key, at: t.sources.now(), address: "::1".parse().unwrap(), count: 3 };
        keys::record_uses(t, &[used.clone(), used]).await.unwrap();
        let row = keys::find(&t.db, w.org, w.key).await.unwrap().unwrap();
        assert_eq!((row.use_count, row.last_used_address.as_deref(), row.last_used_at), (6, Some("::1"), Some(t.sources.now())));
        assert_eq!(keys::anywhere(&t.db, w.key).await.unwrap().unwrap().permissions, Some(Permissions::all()));

        let mut tx = t.begin().await.unwrap();
        let now = t.sources.now();
        assert!(!keys::revoke(&mut tx, w.other, w.key, now).await.unwrap(), "another's key");
        assert!(!instances::delete(&mut tx, w.other, w.instance, now).await.unwrap(), "another's instance");
        assert!(keys::revoke(&mut tx, w.org, w.key, now).await.unwrap());
        assert!(!keys::revoke(&mut tx, w.org, w.key, now).await.unwrap(), "once");
        let change = OrgChange { kill_switch: Some(true), ..OrgChange::default() };
        assert!(orgs::update(&mut tx, w.org, &change, now).await.unwrap());
        let change = UserChange { active: Some(false), ..UserChange::default() };
        assert!(users::update(&mut tx, w.user, &change, now).await.unwrap());
        assert_eq!(users::owners(&mut tx, w.org).await.unwrap(), 0);
        tx.commit().await.unwrap();
        let org = orgs::find(&t.db, w.org).await.unwrap().unwrap().organization;
        assert!(org.kill_switch && org.name == "Acme");
        assert!(!users::by_email(&t.db, "ANN@example.COM").await.unwrap().unwrap().active);
    })
    .await;
}

#[tokio::test]
async fn what_must_be_unique_is() {
    each_engine(async |t| {
        let w = world(t).await;
        let s = &t.sources;
        let refused = async |new: NewInstance| {
            let mut tx = t.begin().await.unwrap();
            instances::create(&mut tx, &new, s).await.unwrap_err()
        };
        assert!(refused(instance(w.other, w.other_server, "prod", "x")).await.is_unique(), "slugs are the installation's");
        assert!(refused(instance(w.org, w.server, "again", "prod")).await.is_unique(), "one instance for a database of a server");
        assert!(matches!(refused(instance(w.org, w.other_server, "far", "x")).await, StoreError::Reference), "another's server");
        let mut tx = t.begin().await.unwrap();
        assert!(users::create(&mut tx, "ann@EXAMPLE.com", None, false, s).await.unwrap_err().is_unique());
        drop(tx);
        let mut tx = t.begin().await.unwrap();
        assert!(servers::create(&mut tx, w.org, "one", None, &[], s).await.unwrap_err().is_unique());
        drop(tx);
        let mut tx = t.begin().await.unwrap();
        assert!(keys::create(&mut tx, &key(w.other, None, 1), s).await.unwrap_err().is_unique(), "the same key text");
    })
    .await;
}

#[tokio::test]
async fn a_check_is_news_when_it_found_something_else() {
    each_engine(async |t| {
        let w = world(t).await;
        let check = async |health, version: Option<&str>, login| {
            let found = instances::Check { health, version: version.map(|v| v.parse().unwrap()), edition: None, login };
            let before = events::latest(&t.db).await.unwrap();
            t.clock.advance(chrono::TimeDelta::minutes(1));
            let mut tx = t.begin().await.unwrap();
            assert!(instances::record_check(&mut tx, w.org, w.instance, &found, t.sources.now()).await.unwrap());
            tx.commit().await.unwrap();
            let row = instances::find(&t.db, w.org, w.instance).await.unwrap().unwrap().instance;
            (row, events::latest(&t.db).await.unwrap() > before)
        };
        let (row, news) = check(Health::Up, Some("17.0"), true).await;
        assert!(news && row.health == Health::Up && row.generation == 2 && row.checked_at == Some(t.sources.now()));
        let (row, news) = check(Health::Up, Some("17.0"), true).await;
        assert!(!news && row.generation == 2 && row.checked_at == Some(t.sources.now()));
        let (row, news) = check(Health::Down, None, false).await;
        assert!(news && row.version.is_some() && row.generation == 2 && row.checked_at.unwrap() < t.sources.now());
        let (row, news) = check(Health::Up, Some("18.0"), false).await;
        assert!(news && row.generation == 3, "what is cached belongs to another version");
    })
    .await;
}

#[tokio::test]
async fn a_container_belongs_to_one_organization() {
    each_engine(async |t| {
        let w = world(t).await;
        let s = &t.sources;
        let with = |org, server, slug: &str| NewInstance { container: Some("odoo".into()), ..instance(org, server, slug, slug) };
        let mut tx = t.begin().await.unwrap();
        let a = instances::create(&mut tx, &with(w.org, w.server, "a"), s).await.unwrap();
        let b = instances::create(&mut tx, &with(w.org, w.server, "b"), s).await.unwrap();
        tx.commit().await.unwrap();
        // The same socket by another name, under another organization's server.
        let mut tx = t.begin().await.unwrap();
        let error = instances::create(&mut tx, &with(w.other, w.other_server, "c"), s).await.unwrap_err();
        assert!(matches!(error, StoreError::Reference), "{error}");
        drop(tx);
        assert_eq!(instances::container_owner(&t.db, "unix:///var/run/docker.sock", "odoo").await.unwrap(), Some(w.org));
        let mut tx = t.begin().await.unwrap();
        let mut row = instances::find(&mut tx, w.org, a).await.unwrap().unwrap();
        row.instance.host.container = None;
        instances::save(&mut tx, &row, true, s.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            instances::container_owner(&t.db, "unix:///run/docker.sock", "odoo").await.unwrap(),
            Some(w.org),
            "b has it still"
        );
        let mut tx = t.begin().await.unwrap();
        assert!(instances::delete(&mut tx, w.org, b, s.now()).await.unwrap());
        instances::create(&mut tx, &with(w.other, w.other_server, "c"), s).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(instances::find(&t.db, w.org, a).await.unwrap().unwrap().instance.generation, 2);
    })
    .await;
}

#[tokio::test]
async fn credentials_are_sealed_and_a_refused_one_waits_for_a_change() {
    each_engine(async |t| {
        let w = world(t).await;
        let s = &t.sources;
        let vault = Vault::open(t, KeySource::in_data_dir(t.dir.path()), s).await.unwrap();
        let set = async |secret: &str| {
            let secret = SecretString::from(secret);
            let new =
                NewCredential { org: w.org, instance: w.instance, login: "bot", secret: &secret, dialect: RpcDialect::Auto };
            let mut tx = t.begin().await.unwrap();
            let id = credentials::set_default(&mut tx, &vault, &new, s).await.unwrap();
            tx.commit().await.unwrap();
            id
        };
        let id = set("hunter2").await;
        let row = t.fetch_optional("SELECT secret FROM credentials", vec![]).await.unwrap().unwrap().bytes("secret").unwrap();
        assert!(!row.windows(7).any(|w| w == b"hunter2"));
        let store = CredentialStore::new(t.db.clone(), vault.clone(), s.clone());
        let opened = store.open(w.instance, id).await.unwrap().unwrap();
        assert_eq!((opened.login.as_str(), opened.secret.expose_secret(), opened.generation), ("bot", "hunter2", 1));
        assert!(store.open(InstanceId::new(s), id).await.unwrap().is_none(), "another instance's");
        let seq = events::latest(&t.db).await.unwrap();
        assert!(store.mark_refused(id, 1).await.unwrap());
        assert!(!store.mark_refused(id, 1).await.unwrap(), "once");
        assert_eq!(events::latest(&t.db).await.unwrap(), seq + 1);
        let rpc = async || instances::find(&t.db, w.org, w.instance).await.unwrap().unwrap().instance.rpc.unwrap();
        assert!(rpc().await.refused);
        assert_eq!(set("hunter3").await, id, "a changed credential keeps its id");
        assert!(!rpc().await.refused);
        assert_eq!(rpc().await.generation, 2);
        assert!(!store.mark_refused(id, 1).await.unwrap(), "what was refused is no longer there");

        let mut tx = t.begin().await.unwrap();
        let url = SecretString::from("postgres://odoo:hunter2@db/prod");
        assert!(
            instances::set_postgres_url(&mut tx, &vault, w.org, w.instance, Some((&url, "odoo@db:5432")), s.now()).await.unwrap()
        );
        tx.commit().await.unwrap();
        assert!(instances::find(&t.db, w.org, w.instance).await.unwrap().unwrap().instance.host.postgres.is_some());
        let opened = store.postgres_url(w.org, w.instance).await.unwrap().unwrap();
        assert_eq!(opened.expose_secret(), url.expose_secret());
        assert!(store.postgres_url(w.other, w.instance).await.unwrap().is_none());

        let connection = |project| kernel::PostHogConnection { url: "https://eu.posthog.com/".parse().unwrap(), project };
        let posthog = async |to: Option<(&kernel::PostHogConnection, Option<&SecretString>)>| {
            let mut tx = t.begin().await.unwrap();
            assert!(instances::set_posthog(&mut tx, &vault, w.org, w.instance, to, s.now()).await.unwrap());
            tx.commit().await.unwrap();
            let found = instances::find(&t.db, w.org, w.instance).await.unwrap().unwrap().instance.posthog;
            (found, store.posthog_key(w.org, w.instance).await.unwrap())
        };
        let (first, second, key) = (connection(7), connection(8), SecretString::from("phx_hunter2"));
        assert_eq!(posthog(Some((&first, Some(&key)))).await.0.unwrap(), first);
        let row =
            t.fetch_optional("SELECT posthog_key FROM instances WHERE posthog_key IS NOT NULL", vec![]).await.unwrap().unwrap();
        assert!(!row.bytes("posthog_key").unwrap().windows(7).any(|w| w == b"hunter2"));
        let (found, kept) = posthog(Some((&second, None))).await;
        assert_eq!((found.unwrap(), kept.unwrap().expose_secret()), (second, key.expose_secret()), "the stored key stays");
        assert!(store.posthog_key(w.other, w.instance).await.unwrap().is_none());

        vault.rotate(t, Duration::ZERO).await.unwrap();
        assert_eq!(store.posthog_key(w.org, w.instance).await.unwrap().unwrap().expose_secret(), key.expose_secret());
        let (found, kept) = posthog(None).await;
        assert!(found.is_none() && kept.is_none(), "removed with its key");
        assert_eq!(store.open(w.instance, id).await.unwrap().unwrap().secret.expose_secret(), "hunter3");
        assert!(store.postgres_url(w.org, w.instance).await.unwrap().is_some());

        let a = crate::secrets::named(t, &vault, crate::secrets::CONFIRM_TOKENS, s).await.unwrap();
        let b = crate::secrets::named(t, &vault, crate::secrets::CONFIRM_TOKENS, s).await.unwrap();
        assert_eq!(a, b);
        let one = crate::secrets::installation_id(t, s).await.unwrap();
        assert_eq!(one, crate::secrets::installation_id(t, s).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn the_registry_shows_what_is_there() {
    each_engine(async |t| {
        let w = world(t).await;
        let mut tx = t.begin().await.unwrap();
        instances::create(&mut tx, &instance(w.org, w.server, "dev", "dev"), &t.sources).await.unwrap();
        tx.commit().await.unwrap();
        let registry = Registry::load(t.db.clone(), t.sources.clone()).await.unwrap();
        let now = registry.current();
        assert_eq!(now.org(w.org).unwrap().slug.as_ref(), "acme");
        assert_eq!(now.org_by_slug("globex").unwrap().id, w.other);
        assert!(now.org_by_slug("none").is_none());
        let slugs: Vec<_> = now.instances(w.org).iter().map(|i| i.slug.to_string()).collect();
        assert_eq!(slugs, ["dev", "prod"]);
        assert!(now.instances(w.other).is_empty());
        assert_eq!(now.instance("prod").unwrap().id, w.instance);
        assert!(now.instance_by_id(w.other, w.instance).is_none());
        assert_eq!(now.servers(w.other).len(), 1);
        assert!(now.user(w.user).unwrap().active);
        assert_eq!(now.role(w.org, w.user), Some(Role::Owner));
        assert_eq!(now.role(w.other, w.user), None);
        let key = now.key(&[1; 32]).unwrap();
        assert!(key.id == w.key && key.live(t.sources.now()) && key.owner == Some(w.user));
        assert!(now.key(&[2; 32]).is_none());
    })
    .await;
}

#[tokio::test]
async fn a_revocation_by_another_process_is_seen_within_a_second() {
    each_engine(async |t| {
        let w = world(t).await;
        let registry = std::sync::Arc::new(Registry::load(t.db.clone(), t.sources.clone()).await.unwrap());
        let watching = std::sync::Arc::clone(&registry);
        let watch = tokio::spawn(async move { watching.watch().await });
        let other = t.another().await;
        let mut tx = other.begin().await.unwrap();
        keys::revoke(&mut tx, w.org, w.key, t.sources.now()).await.unwrap();
        tx.commit().await.unwrap();
        let began = Instant::now();
        while registry.current().key(&[1; 32]).unwrap().live(t.sources.now()) {
            assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        watch.abort();
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn nothing_new_means_fresh_and_a_silent_store_means_old() {
    each_engine(async |t| {
        world(t).await;
        let registry = Registry::load(t.another().await, t.sources.clone()).await.unwrap();
        let first = registry.current();
        t.clock.advance(chrono::TimeDelta::seconds(10));
        assert_eq!(first.age(t.sources.now()).num_seconds(), 10);
        assert!(!registry.refresh_if_changed().await, "no change");
        assert!(first.age(t.sources.now()).num_seconds() < 1, "but known to be current");
        assert!(std::sync::Arc::ptr_eq(&first, &registry.current()));
        registry.db().close().await;
        t.clock.advance(chrono::TimeDelta::seconds(31));
        assert!(!registry.refresh_if_changed().await);
        assert_eq!(registry.current().age(t.sources.now()).num_seconds(), 31, "nobody decides by it any more");
        assert_eq!(registry.current().loaded_at(), t.sources.now() - chrono::TimeDelta::seconds(31));
    })
    .await;
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_read_once() {
    let t = crate::testing::sqlite().await;
    let w = world(&t).await;
    let registry = Registry::load(t.db.clone(), t.sources.clone()).await.unwrap();
    let mut tx = t.begin().await.unwrap();
    keys::revoke(&mut tx, w.org, w.key, t.sources.now()).await.unwrap();
    tx.commit().await.unwrap();
    let all = futures_util::future::join_all((0..1000).map(|_| registry.refresh_if_changed())).await;
    assert_eq!(all.into_iter().filter(|changed| *changed).count(), 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_takes_nothing_else_along() {
    each_engine(async |t| {
        let w = world(t).await;
        let mut tx = t.begin().await.unwrap();
        instances::create(&mut tx, &instance(w.org, w.server, "dev", "dev"), &t.sources).await.unwrap();
        keys::create(&mut tx, &key(w.org, Some(w.user), 2), &t.sources).await.unwrap();
        keys::create(&mut tx, &key(w.org, Some(w.user), 3), &t.sources).await.unwrap();
        let now = t.sources.now();
        let second = users::create(&mut tx, "bob@example.com", None, false, &t.sources).await.unwrap();
        users::set_role(&mut tx, w.org, second, Role::Member, now).await.unwrap();
        for (sql, arg) in [
            ("UPDATE instances SET state = 'frozen' WHERE slug = $1", args!["dev"]),
            ("UPDATE api_keys SET permissions = '{\"future\": true}' WHERE hash = $1", args![[2; 32]]),
            ("UPDATE api_keys SET role = 'emperor' WHERE hash = $1", args![[3; 32]]),
            ("UPDATE memberships SET role = 'emperor' WHERE user_id = $1", args![second]),
        ] {
            assert_eq!(tx.execute(sql, arg).await.unwrap(), 1);
        }
        tx.commit().await.unwrap();
        let now = Registry::load(t.db.clone(), t.sources.clone()).await.unwrap().current();
        assert!(now.instance("dev").is_none() && now.instance("prod").is_some());
        assert!(now.key(&[3; 32]).is_none() && now.role(w.org, second).is_none());
        let p = &now.key(&[2; 32]).unwrap().permissions;
        assert!(p.read_only && !p.categories.contains(&kernel::Category::Orm) && !p.tools.permits("count"));
        assert!(!p.instances.contains(&w.instance) && !p.addresses.contains(&"10.0.0.0/8".parse::<ipnet::IpNet>().unwrap()));
        assert!(now.key(&[1; 32]).is_some());
    })
    .await;
}

#[tokio::test]
async fn changes_become_visible_in_the_order_of_their_numbers() {
    each_engine(async |t| {
        let w = world(t).await;
        let rename = async |db: &Db, name: String| {
            let mut tx = db.begin().await.unwrap();
            let change = OrgChange { name: Some(name), ..OrgChange::default() };
            orgs::update(&mut tx, w.org, &change, t.sources.now()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
            tx.commit().await.unwrap();
        };
        let registry = Registry::load(t.db.clone(), t.sources.clone()).await.unwrap();
        let other = t.another().await;
        let writers =
            futures_util::future::join_all((0..20).map(|n| rename(if n % 2 == 0 { &t.db } else { &other }, n.to_string())));
        let reader = async {
            for _ in 0..40 {
                registry.refresh_if_changed().await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::join!(writers, reader);
        registry.refresh_if_changed().await;
        let stored = orgs::find(&t.db, w.org).await.unwrap().unwrap().organization.name;
        assert_eq!(registry.current().org(w.org).unwrap().name, stored);
        let latest = events::latest(&t.db).await.unwrap();
        t.clock.advance(chrono::TimeDelta::days(2));
        assert!(events::prune(t, t.sources.now()).await.unwrap() > 20);
        assert_eq!(events::latest(&t.db).await.unwrap(), latest, "the newest stays");
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_cooldown_is_one_call_s_on_every_node() {
    each_engine(async |t| {
        let w = world(t).await;
        let at = |db: Db, call: u8| {
            let caller = crate::caller::Caller {
                org: w.org,
                instance: w.instance,
                instance_slug: "prod".into(),
                key: w.key,
                key_label: "key".into(),
                user: None,
                session: kernel::SessionId::new(&t.sources),
                call: kernel::CallId::new(&kernel::Sources {
                    random: std::sync::Arc::new(kernel::SeededRandom::new(call.into())),
                    ..t.sources.clone()
                }),
            };
            crate::cooldowns::CooldownsWriter(crate::cooldowns::Cooldowns::new(db, t.sources.clone(), caller))
        };
        let other = t.another().await;
        let (here, there) = (at(t.db.clone(), 1), at(other.clone(), 2));
        let minute = chrono::TimeDelta::seconds(60);
        let (one, two) = tokio::join!(here.claim("cron 7", minute), there.claim("cron 7", minute));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(matches!((one, two), (None, Some(60)) | (Some(60), None)), "{one:?} {two:?}");
        assert_eq!(here.claim("cron 8", minute).await.unwrap(), None, "another thing");
        t.clock.advance(chrono::TimeDelta::milliseconds(20_500));
        assert_eq!(there.remaining("cron 7").await.unwrap(), Some(40));
        let (holder, loser) = if one.is_none() { (&here, &there) } else { (&there, &here) };
        loser.release("cron 7").await.unwrap();
        assert_eq!(holder.remaining("cron 7").await.unwrap(), Some(40), "only its own call ends it");
        holder.release("cron 7").await.unwrap();
        assert_eq!(loser.claim("cron 7", minute).await.unwrap(), None);
        t.clock.advance(minute);
        assert_eq!(loser.remaining("cron 7").await.unwrap(), None);
        assert_eq!(holder.claim("cron 7", minute).await.unwrap(), None);
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn changes_of_files_are_kept_sealed_the_last_first_and_for_a_while() {
    each_engine(async |t| {
        let w = world(t).await;
        let vault =
            crate::vault::Vault::open(&t.db, crate::vault::KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap();
        let at = |instance| {
            let caller = crate::caller::Caller {
                org: w.org,
                instance,
                instance_slug: "prod".into(),
                key: w.key,
                key_label: "key".into(),
                user: None,
                session: kernel::SessionId::new(&t.sources),
                call: kernel::CallId::new(&t.sources),
            };
            let undo = crate::file_undo::FileUndo::new(t.db.clone(), vault.clone(), t.sources.clone(), caller);
            crate::file_undo::FileUndoWriter(undo)
        };
        let text = |secret: &kernel::SecretString| kernel::ExposeSecret::expose_secret(secret).to_owned();
        let (here, elsewhere) = (at(w.instance), at(kernel::InstanceId::new(&t.sources)));
        here.keep("a/x.py", None, &"HIDDEN one".to_owned().into()).await.unwrap();
        t.clock.advance(chrono::TimeDelta::milliseconds(2));
        here.keep("a/x.py", Some("a/y.py"), &"HIDDEN two".to_owned().into()).await.unwrap();
        assert!(elsewhere.latest("a/x.py").await.unwrap().is_none() && here.latest("a/z.py").await.unwrap().is_none());
        assert_eq!(text(&here.latest("a/y.py").await.unwrap().unwrap().content), "HIDDEN two", "by its new name");
        let last = here.latest("a/x.py").await.unwrap().unwrap();
        assert_eq!((text(&last.content).as_str(), last.key_label.as_str()), ("HIDDEN two", "key"));
        elsewhere.forget(last.id).await.unwrap();
        assert!(here.latest("a/y.py").await.unwrap().is_some(), "another instance's");
        here.forget(last.id).await.unwrap();
        assert_eq!(text(&here.latest("a/x.py").await.unwrap().unwrap().content), "HIDDEN one");
        for row in t.db.fetch_all("SELECT content FROM file_undo", args![]).await.unwrap() {
            assert!(!row.bytes("content").unwrap().windows(6).any(|w| w == b"HIDDEN"));
        }

        for n in 0..crate::file_undo::KEPT {
            t.clock.advance(chrono::TimeDelta::milliseconds(2));
            here.keep(&format!("b/{n}"), None, &"x".to_owned().into()).await.unwrap();
        }
        assert!(here.latest("a/x.py").await.unwrap().is_none(), "the oldest goes");
        assert!(here.latest("b/0").await.unwrap().is_some());
        t.clock.advance(crate::file_undo::AGE);
        assert!(here.latest("b/0").await.unwrap().is_none(), "too old, also before it is deleted");
        assert_eq!(crate::file_undo::prune(&t.db, t.sources.now()).await.unwrap(), u64::from(crate::file_undo::KEPT));
    })
    .await;
}

/// Every string literal of the sources that starts like a statement, prepared on both engines.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the sources of this crate are no instance's files")]
async fn every_fixed_statement_is_taken_by_both_engines() {
    let mut statements = Vec::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let files = |folder: &str| std::fs::read_dir(format!("{source}{folder}")).unwrap().map(|file| file.unwrap().path());
    for path in files("").chain(files("/oauth")) {
        if path.extension().is_some_and(|e| e == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            statements.extend(literals(&source).into_iter().map(|sql| (path.file_name().unwrap().to_owned(), sql)));
        }
    }
    assert!(statements.len() > 60, "{}", statements.len());
    each_engine(async |t| {
        let mut bad = Vec::new();
        for (n, (file, sql)) in statements.iter().enumerate() {
            let only_here = ["sqlite_master", "pg_tables", "pg_advisory"].iter().find(|w| sql.contains(**w));
            match (only_here, t.engine()) {
                (Some(&"sqlite_master"), Engine::Postgres) | (Some(&("pg_tables" | "pg_advisory")), Engine::Sqlite) => continue,
                _ => {}
            }
            let mut tx = t.begin().await.unwrap();
            let result = match t.engine() {
                Engine::Sqlite => tx.fetch_all(Assembled(format!("EXPLAIN {sql}")), vec![]).await.map(drop),
                Engine::Postgres => tx.execute(Assembled(format!("PREPARE p{n} AS {sql}")), vec![]).await.map(drop),
            };
            if let Err(error) = result {
                bad.push(format!(
                    "{file:?}: {sql}\n  {}",
                    std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string)
                ));
            }
        }
        assert!(bad.is_empty(), "{:?}:\n{}", t.engine(), bad.join("\n"));
    })
    .await;
}

/// Fixed statements alone: those with `{` are put together at run time.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '\'' => {
                // A character literal may hold a quote.
                let ahead: String = chars.clone().take(2).collect();
                if ahead == "\"'" {
                    chars.nth(1);
                }
            }
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                            Some('n') => text.push('\n'),
                            Some(other) => text.push(other),
                            None => break,
                        },
                        other => text.push(other),
                    }
                }
                let statement = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH "]
                    .iter()
                    .any(|w| text.starts_with(w) && text.len() > w.len());
                if statement && !text.contains('{') {
                    found.push(text);
                }
            }
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn measure_reload() {
    if std::env::var_os("OCORE_MEASURE").is_none() {
        println!("SKIPPED: a measurement; make bench runs it (OCORE_MEASURE=1)");
        return;
    }
    each_engine(async |t| {
        let w = world(t).await;
        let mut tx = t.begin().await.unwrap();
        for n in 0..1000 {
            instances::create(&mut tx, &instance(w.org, w.server, &format!("i{n}"), &format!("d{n}")), &t.sources).await.unwrap();
        }
        for n in 0..10_000_u32 {
            let mut new = key(w.org, Some(w.user), 9);
            new.hash[..4].copy_from_slice(&n.to_be_bytes());
            keys::create(&mut tx, &new, &t.sources).await.unwrap();
        }
        tx.commit().await.unwrap();
        let registry = Registry::load(t.db.clone(), t.sources.clone()).await.unwrap();
        for _ in 0..3 {
            let began = Instant::now();
            registry.reload().await;
            println!("{:?} reload {:?}", t.engine(), began.elapsed());
        }
        let began = Instant::now();
        for _ in 0..100 {
            registry.refresh_if_changed().await;
        }
        println!("{:?} look {:?}", t.engine(), began.elapsed() / 100);
        let began = Instant::now();
        for _ in 0..200 {
            t.execute("UPDATE meta SET value = 'x' WHERE name = 'y'", vec![]).await.unwrap();
        }
        println!("{:?} write {:?}", t.engine(), began.elapsed() / 200);
    })
    .await;
}
