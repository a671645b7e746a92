//! What knowledge costs when 50 instances hold as much of it as there may be: `get_context`, and auto-context in `tools/list` and in
//! the instructions. Beside each, in turns, the same without ocore: the three queries of the store and their JSON; the same list for
//! a key that carries nothing.
#![allow(
    clippy::wildcard_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss
)]
#[path = "../tests/common/mod.rs"]
mod common;

use std::{fmt::Write as _, sync::Arc, time::Instant};

use common::World;
use dispatch::{Call, Dispatch, View};
use kernel::{
    Actor, CallId, Environment, InstanceId, Permissions, RpcDialect,
    knowledge::{
        MAX_BODY, MAX_BOOKMARK_NOTE, MAX_BOOKMARKS, MAX_DESCRIPTION, MAX_FILTERS, MAX_LABEL, MAX_NOTES, MAX_TITLE, Target,
    },
};
use serde_json::{Value, json};
use store::{
    credentials::{self, NewCredential},
    instances,
    knowledge::{self, Added, At, Author, NewFilter, NewNote, Saved},
    servers,
    vault::{KeySource, Vault},
};

const INSTANCES: usize = 50;
/// Of them, summaries of models that a person stands for.
const SUMMARIES: usize = 30;
const ROUNDS: usize = 5;

/// User and system time of this process so far, in seconds (ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
fn long(what: &str, length: usize) -> String {
    format!("{what} ").repeat(length / (what.len() + 1))
}

async fn fill(world: &World) -> Vec<InstanceId> {
    let (s, person) = (&world.sources, Author { kind: "user".into(), id: None, name: "ann@example.com".into() });
    let vault = Vault::open(&world.store, KeySource::in_data_dir(world.store.dir.path()), s).await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let server = servers::create(&mut tx, world.org, "one", None, &[], s).await.unwrap();
    tx.commit().await.unwrap();
    let ids: Vec<i64> = (100_000..101_000).collect();
    let domain = json!([["partner_id", "in", ids]]);
    let arguments =
        json!({"model": "sale.order", "domain": [["name", "in", (0..200).collect::<Vec<_>>()]], "fields": ["name"]}).to_string();
    let mut instances = Vec::new();
    for n in 0..INSTANCES {
        let slug = format!("i{n:02}");
        let mut tx = world.store.begin().await.unwrap();
        let new = instances::NewInstance {
            org: world.org,
            server,
            slug: slug.clone(),
            name: slug.clone(),
            url: "https://odoo.example.com".parse().unwrap(),
            database: slug,
            environment: Environment::Staging,
            write_enabled: true,
            container: None,
            addons: Vec::new(),
            backups: None,
            concurrency: 4,
        };
        let id = instances::create(&mut tx, &new, s).await.unwrap();
        let secret = "admin".to_owned().into();
        let login = NewCredential { org: world.org, instance: id, login: "admin", secret: &secret, dialect: RpcDialect::Auto };
        credentials::set_default(&mut tx, &vault, &login, s).await.unwrap();
        let at = At { org: world.org, instance: id };
        for n in 0..MAX_NOTES {
            if n < SUMMARIES {
                let target = if n == 0 { Target::instance() } else { Target::model(&format!("x_model.n{n}")).unwrap() };
                let set = at.set_summary(&mut tx, &target, &long("Known", MAX_BODY), &person, true, s).await.unwrap();
                assert!(matches!(set, Added::Done(_)));
            } else {
                let new = NewNote {
                    target: Target::model("sale.order").unwrap(),
                    title: long("Title", MAX_TITLE),
                    body: long("Body", MAX_BODY),
                    tags: vec!["a".into(), "b".into()],
                };
                assert!(matches!(at.add_note(&mut tx, &new, &person, s).await.unwrap(), Added::Done(_)));
            }
        }
        for n in 0..MAX_FILTERS {
            let new = NewFilter {
                name: format!("Filter {n}"),
                model: "sale.order".into(),
                domain: domain.clone(),
                fields: vec!["name".into()],
                order: None,
                limit: None,
                description: Some(long("Said", MAX_DESCRIPTION)),
                is_default: None,
            };
            assert!(matches!(at.save_filter(&mut tx, &new, &person, s).await.unwrap(), Saved::New(_)));
        }
        tx.commit().await.unwrap();
        let mut sql = String::from(
            "INSERT INTO bookmarks (id, org_id, instance_id, key_id, key_label, call_id, tool, arguments, state, code, summary, called_at, \
             label, note, tags, created_at) VALUES ",
        );
        let (label, note, summary) = (long("Label", MAX_LABEL), long("Note", MAX_BOOKMARK_NOTE), long("Result", 500));
        for n in 0..MAX_BOOKMARKS {
            let (bookmark, call, org) = (CallId::new(s), CallId::new(s), world.org);
            let _ = write!(
                sql,
                "{}('{bookmark}','{org}','{id}','{call}','test','{call}','search_read','{arguments}','ok',NULL,'{summary}',\
                 '{now}','{label}','{note}','[]','{now}')",
                if n == 0 { "" } else { "," },
                now = kernel::time_text(s.now())
            );
        }
        let sql: &'static str = sql.leak();
        world.store.execute(sql, vec![]).await.unwrap();
        instances.push(id);
    }
    instances
}

async fn context(dispatch: &Arc<Dispatch>, actor: &Arc<Actor>, n: usize) -> Value {
    let name = format!("i{n:02}_get_context");
    let arguments = json!({"max_response_size": 1024});
    let call = Call { actor: Arc::clone(actor), view: View::default(), name, arguments };
    let answer = dispatch.call(call).answer().await;
    assert!(!answer.is_error, "{}", answer.body);
    serde_json::from_str(answer.body.get()).unwrap()
}
/// What a script would do that reads the store and shows what it reads.
async fn raw(world: &World, id: InstanceId) -> usize {
    let notes = knowledge::notes(&world.store.db, world.org, Some(id), MAX_NOTES).await.unwrap();
    let filters = knowledge::filters(&world.store.db, world.org, Some(id), MAX_FILTERS).await.unwrap();
    let bookmarks = knowledge::bookmarks(&world.store.db, world.org, Some(id), MAX_BOOKMARKS).await.unwrap();
    assert!(notes.len() == MAX_NOTES && filters.len() == MAX_FILTERS && bookmarks.len() == MAX_BOOKMARKS);
    let notes: Vec<_> = notes.iter().map(|n| json!({"id": n.id, "title": n.title, "body": n.body, "tags": n.tags})).collect();
    let filters: Vec<_> =
        filters.iter().map(|f| json!({"name": f.name, "model": f.model, "description": f.description})).collect();
    let bookmarks: Vec<_> = bookmarks.iter().take(50).map(|b| json!({"id": b.id, "label": b.label, "note": b.note})).collect();
    json!([notes, filters, bookmarks]).to_string().len()
}

/// The cost of each in milliseconds of this process's CPU, in turns.
macro_rules! in_turns {
    ($times:expr, $ours:expr, $raw:expr) => {{
        let mut sums = [0.0; 2];
        let wall = Instant::now();
        for _ in 0..ROUNDS {
            let start = cpu_seconds();
            for n in 0..$times {
                $ours(n).await;
            }
            let between = cpu_seconds();
            for n in 0..$times {
                $raw(n).await;
            }
            sums[0] += between - start;
            sums[1] += cpu_seconds() - between;
        }
        let calls = (ROUNDS * $times) as f64;
        (sums[0] / calls * 1e3, sums[1] / calls * 1e3, wall.elapsed())
    }};
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(&tools::CATALOGUE).await;
        let instances = fill(&world).await;
        let dispatch = world.another(&tools::CATALOGUE).await;
        let carrier = world.actor(Permissions { auto_context: true, ..Permissions::all() });
        let plain = world.actor(Permissions::all());

        let full = context(&dispatch, &carrier, 0).await;
        for (list, count) in [("model_summaries", SUMMARIES - 1), ("other_notes", 50), ("filters", MAX_FILTERS), ("bookmarks", 50)] {
            assert_eq!(full[list].as_array().unwrap().len(), count, "{list}");
        }
        let (ours, theirs, _) = in_turns!(
            INSTANCES,
            async |n: usize| drop(context(&dispatch, &carrier, n).await),
            async |n: usize| assert!(raw(&world, instances[n]).await > 0)
        );
        println!(
            "get_context, full: {ours:.2} ms of CPU, {} KB; the store's three queries as JSON {theirs:.2} ms (× {:.2})",
            full.to_string().len() / 1024,
            ours / theirs
        );

        let view = View::default();
        let list = |actor: &Arc<Actor>| {
            let mut out = Vec::new();
            dispatch.write_list(actor, &view, &mut out);
            out.len()
        };
        let (with, without) = (list(&carrier), list(&plain));
        assert!(with > without + INSTANCES * 500, "{with} {without}");
        let (ours, theirs, _) = in_turns!(
            100,
            async |_: usize| assert_eq!(list(&carrier), with),
            async |_: usize| assert_eq!(list(&plain), without)
        );
        println!(
            "tools/list, {INSTANCES} instances with auto-context: {ours:.2} ms of CPU, {} KB; without it {theirs:.2} ms, {} KB (bar 5 ms: {})",
            with / 1024,
            without / 1024,
            if ours <= 5.0 { "met" } else { "MISSED" }
        );
        let (ours, theirs, _) = in_turns!(
            500,
            async |_: usize| assert!(dispatch.instructions(&carrier, &view).len() > 5_000),
            async |_: usize| assert!(!dispatch.instructions(&plain, &view).is_empty())
        );
        println!("instructions with auto-context: {ours:.3} ms of CPU; without it {theirs:.3} ms");
    });
}
