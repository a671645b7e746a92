use std::{
    io::Write,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

const NASTY: &str = "O'Brien's \"\"\" \\ </field> ]]> <!-- & ${x} %s %(y)s {z} `code`_ *a* |b| \n\t\r\u{0}\u{7f} é ☃ 漢";

fn field(name: &str, kind: Kind) -> Field {
    Field { name: name.to_owned(), kind, label: String::new(), required: false, relation: None }
}

fn to(name: &str, kind: Kind, relation: &str) -> Field {
    Field { relation: Some(relation.to_owned()), ..field(name, kind) }
}

fn must(field: Field) -> Field {
    Field { required: true, ..field }
}

fn model(name: &str, fields: Vec<Field>) -> Model {
    Model { name: name.to_owned(), title: String::new(), fields }
}

fn wanted(name: &str, version: u8, models: Vec<Model>) -> Wanted {
    Wanted {
        name: name.to_owned(),
        title: String::new(),
        version: Version::new(version).unwrap(),
        models,
        depends: Vec::new(),
        author: "Someone".to_owned(),
        license: "LGPL-3".to_owned(),
    }
}

/// A module with a field of every kind, and texts that try to break out of where they are put.
fn everything(version: u8) -> Wanted {
    let options = vec![("a".to_owned(), NASTY.to_owned()), ("b-1".to_owned(), String::new())];
    let mut fields = vec![
        must(field("title", Kind::Char)),
        field("notes", Kind::Text),
        field("body", Kind::Html),
        must(field("pages", Kind::Integer)),
        field("sequence", Kind::Integer),
        field("weight", Kind::Float),
        to("currency_id", Kind::Many2one, "res.currency"),
        must(field("price", Kind::Monetary { currency: "currency_id".to_owned() })),
        field("active", Kind::Boolean),
        field("lent", Kind::Boolean),
        must(field("bought", Kind::Date)),
        field("returned", Kind::Datetime),
        must(field("state", Kind::Selection(options))),
        must(to("partner_id", Kind::Many2one, "res.partner")),
        must(to("shelf_id", Kind::Many2one, "lib_ocore.shelf")),
        to("product_id", Kind::Many2one, "product.product"),
        to("tag_ids", Kind::Many2many, "lib_ocore.class"),
        to("more_tag_ids", Kind::Many2many, "lib_ocore.class"),
        to("other_ids", Kind::Many2many, "lib_ocore.book"),
        must(field("cover", Kind::Binary)),
    ];
    for (index, field) in fields.iter_mut().enumerate() {
        field.label = format!("{NASTY} {index}");
    }
    let books = to("book_ids", Kind::One2many { inverse: "shelf_id".to_owned() }, "lib_ocore.book");
    let mut models = vec![
        model("lib_ocore.book", fields),
        model("lib_ocore.shelf", vec![field("name", Kind::Char), Field { label: NASTY.to_owned(), ..books }]),
        model("lib_ocore.class", vec![]),
        model("none", vec![field("amount", Kind::Float)]),
        model("class", vec![must(to("book_id", Kind::Many2one, "lib_ocore.book"))]),
    ];
    for (index, model) in models.iter_mut().enumerate() {
        model.title = format!("{NASTY} {index}");
    }
    let title = NASTY.to_owned();
    Wanted { title: title.clone(), author: title, ..wanted("lib_ocore", version, models) }
}

fn content<'a>(files: &'a [(String, String)], path: &str) -> &'a str {
    let found = files.iter().find(|(at, _)| at == path);
    found.map_or_else(|| panic!("no {path}"), |(_, content)| content)
}

#[test]
fn makes_a_module_from_a_name() {
    let files = scaffold(&wanted("library_book", 19, vec![])).unwrap();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "library_book/__init__.py",
            "library_book/__manifest__.py",
            "library_book/README.rst",
            "library_book/models/__init__.py",
            "library_book/models/library_book.py",
            "library_book/security/ir.model.access.csv",
            "library_book/static/description/index.html",
            "library_book/tests/__init__.py",
            "library_book/tests/test_records.py",
            "library_book/views/library_book_views.xml",
            "library_book/views/menus.xml",
        ]
    );
    let class = content(&files, "library_book/models/library_book.py");
    assert!(class.contains("_name = \"library.book\"") && class.contains("class LibraryBook(models.Model)"), "{class}");
    assert!(
        content(&files, "library_book/models/library_book.py").contains("name = fields.Char(string=\"Name\", required=True)")
    );
}

#[test]
fn writes_views_as_the_version_names_them() {
    for version in 14..=19 {
        let files = scaffold(&wanted("library", version, vec![])).unwrap();
        let views = content(&files, "library/views/library_views.xml");
        let (has, has_not) = if version >= 18 { ("list", "tree") } else { ("tree", "list") };
        assert!(views.contains(&format!("<{has}>")) && !views.contains(&format!("<{has_not}>")), "{version}: {views}");
        assert!(views.contains(&format!(">{has},form<")), "{version}: {views}");
        assert!(!views.contains("attrs"), "{version}");
        let tests = content(&files, "library/tests/test_records.py");
        assert_eq!(tests.contains("fields_view_get"), version < 16, "{version}");
        assert_eq!(tests.contains("invalidate_cache"), version < 16, "{version}");
        assert_eq!(tests.contains("check_access_rights"), version < 18, "{version}");
        let manifest = crate::source::manifest::parse(content(&files, "library/__manifest__.py").as_bytes()).unwrap();
        assert_eq!(manifest.version, Some(format!("{version}.0.1.0.0")));
    }
    assert!(Version::new(13).is_none() && Version::new(20).is_none());
}

#[test]
fn the_manifest_says_what_was_asked_for() {
    let files = scaffold(&everything(19)).unwrap();
    let manifest = crate::source::manifest::parse(content(&files, "lib_ocore/__manifest__.py").as_bytes()).unwrap();
    assert_eq!(manifest.name, Some(one_line(NASTY)));
    assert_eq!(manifest.all["author"], one_line(NASTY));
    assert_eq!(manifest.depends, ["base", "product"]);
    for path in &manifest.data_files {
        content(&files, &format!("lib_ocore/{path}"));
    }
    assert!(one_line(NASTY).contains("\"\"\" \\ </field>") && !one_line(NASTY).contains(['\n', '\0']));
}

#[test]
fn refuses_what_would_not_work() {
    let one = |fields| wanted("library", 19, vec![model("library.book", fields)]);
    let long = "x".repeat(65);
    for name in ["", "Library", "1a", "a-b", "a/b", "../a", "class", "sale", "base", "odoo", "hr_payroll", &long, "é"] {
        assert!(matches!(scaffold(&wanted(name, 19, vec![])), Err(Error::Name { what: "module", .. })), "{name}");
    }
    for name in ["", "Book", "a..b", ".a", "a.", "1a", "a b", "a'b", "res.partner", "res_partner", "pg_class", "pg.class", &long]
    {
        let error = scaffold(&wanted("library", 19, vec![model(name, vec![])]));
        assert!(matches!(error, Err(Error::Name { what: "model", .. })), "{name}");
    }
    for name in ["", "A", "a.b", "_a", "class", "id", "create", "write_date", "env", "display_name", "with_user", "x'"] {
        assert!(matches!(scaffold(&one(vec![field(name, Kind::Char)])), Err(Error::Name { what: "field", .. })), "{name}");
    }
    let twice = wanted("library", 19, vec![model("a.b", vec![]), model("a_b", vec![])]);
    assert!(matches!(scaffold(&twice), Err(Error::Twice { what: "model", .. })));
    assert!(matches!(scaffold(&one(vec![field("a", Kind::Char), field("a", Kind::Char)])), Err(Error::Twice { .. })));
    let same = |name: &str| Field { label: "Same\n".to_owned(), ..field(name, Kind::Char) };
    assert!(matches!(scaffold(&one(vec![same("a"), same("b")])), Err(Error::Label { .. })));
    let magic = Field { label: "Created by".to_owned(), ..field("a", Kind::Char) };
    assert!(matches!(scaffold(&one(vec![magic])), Err(Error::Label { .. })));
    let end = |inverse: &str| Kind::One2many { inverse: inverse.to_owned() };
    for (field, says) in [
        (field("name", Kind::Integer), "make it char"),
        (field("active", Kind::Char), "make it boolean"),
        (field("a", Kind::Monetary { currency: "currency_id".to_owned() }), "no many2one to res.currency"),
        (field("a", Kind::Selection(vec![])), "1 to 200 options"),
        (field("a", Kind::Selection(vec![("x'".to_owned(), String::new())])), "the values of options"),
        (field("a", Kind::Selection(vec![("x".to_owned(), String::new()), ("x".to_owned(), String::new())])), "twice"),
        (field("a", Kind::Many2one), "say which model"),
        (to("a", Kind::Char, "res.partner"), "leave the relation out"),
        (to("a", Kind::Many2one, "no.such"), "neither this module nor Odoo"),
        (to("a", Kind::Many2one, "No such"), "not a model's name"),
        (to("a", Kind::Many2one, "res.partner.title"), "Odoo 19 has no"),
        (to("a", end("b"), "res.partner"), "its inverse"),
        (to("a", end("b"), "library.book"), "its inverse"),
        (must(to("a", Kind::Many2many, "res.partner")), "not enforce"),
        (to(&"a".repeat(55), Kind::Many2many, "res.partner"), "longer than 63"),
    ] {
        let error = scaffold(&one(vec![field])).unwrap_err();
        assert!(matches!(error, Error::Field { .. }) && error.to_string().contains(says), "{says}: {error}");
    }
    let circle = |from: &str, to_: &str| model(from, vec![must(to("other_id", Kind::Many2one, to_))]);
    for models in [vec![circle("a.a", "a.a")], vec![circle("a.a", "a.b"), circle("a.b", "a.a")]] {
        assert!(matches!(scaffold(&wanted("library", 19, models)), Err(Error::Circle { .. })));
    }
    assert!(scaffold(&Wanted { depends: vec!["x_y".to_owned()], ..one(vec![to("a", Kind::Many2one, "no.such")]) }).is_ok());
    assert!(matches!(scaffold(&Wanted { license: "MIT".to_owned(), ..one(vec![]) }), Err(Error::License { .. })));
    assert!(matches!(scaffold(&Wanted { author: "\n".to_owned(), ..one(vec![]) }), Err(Error::Text { .. })));
    assert!(matches!(scaffold(&Wanted { title: "x".repeat(201), ..one(vec![]) }), Err(Error::Text { .. })));
    assert!(matches!(scaffold(&Wanted { depends: vec!["library".to_owned()], ..one(vec![]) }), Err(Error::Name { .. })));
    let many = vec![model("a", vec![]); MAX_MODELS + 1];
    assert!(matches!(scaffold(&wanted("library", 19, many)), Err(Error::TooMany { .. })));
}

#[test]
fn the_lists_of_names_are_sorted_and_whole() {
    for (list, least) in [(CORE_MODULES, 700), (CORE_MODELS, 1000)] {
        let lines: Vec<&str> = list.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]) && lines.len() > least);
    }
    assert_eq!(core_model("res.partner"), Some(("base", "base")));
}

// ------------------------------------------------------------------------------------------------------ real Odoo

fn container(version: u8) -> Option<String> {
    let name = format!("ocore-test-odoo-{version}");
    let running = Command::new("docker").args(["inspect", "-f", "{{.State.Running}}", &name]).output();
    if running.is_ok_and(|out| out.stdout.starts_with(b"true")) {
        return Some(name);
    }
    println!("skipped for Odoo {version}: the container {name} does not run (tests/odoo/stack up {version})");
    None
}

fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

fn succeed(command: &mut Command, input: &[u8]) -> String {
    let out = run(command, input);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{command:?}\n{text}\n{}", String::from_utf8_lossy(&out.stderr));
    text
}

static MADE: AtomicU32 = AtomicU32::new(0);

/// A folder in the container with the files of a module, and a database of its own; both go when it is dropped.
struct Place {
    container: String,
    version: u8,
    folder: String,
    database: String,
    number: u32,
}

impl Place {
    fn new(version: u8, container: String, files: &[(String, String)]) -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let word = format!("{}_{number}", std::process::id());
        let place = Self {
            container,
            version,
            folder: format!("/tmp/ocore_scaffold_{word}"),
            database: format!("ocore_scaffold_{version}_{word}"),
            number,
        };
        let host = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = host.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[allow(clippy::disallowed_methods, reason = "a file of its own, in a temporary folder")]
            std::fs::write(path, content).unwrap();
        }
        let tar = Command::new("tar").arg("-C").arg(host.path()).args(["-cf", "-", "."]).output().unwrap();
        assert!(tar.status.success());
        let unpack = "mkdir \"$0\" && tar -C \"$0\" --no-same-owner --no-same-permissions -xf - && chmod -R u+rwX \"$0\"";
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &place.container, "sh", "-c", unpack, &place.folder]);
        succeed(&mut command, &tar.stdout);
        place
    }

    fn psql(database: &str, sql: &str) -> String {
        let mut command = Command::new("docker");
        command.args(["exec", "-i", "ocore-test-pg", "psql", "-U", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        succeed(command.args(["-d", database]), sql.as_bytes())
    }

    /// Installs a module with its tests, in a new database that has what it depends on; gives the log.
    fn install(&self, name: &str, depends: &[String]) -> String {
        Self::psql("postgres", &format!("CREATE DATABASE {} OWNER odoo_{} TEMPLATE template0", self.database, self.version));
        // First without tests, for those of Odoo's own modules are not asked for here.
        self.odoo(&["-i", &depends.join(",")]);
        self.odoo(&["-i", name, "--test-enable"])
    }

    fn odoo(&self, flags: &[&str]) -> String {
        let start = "folder=$0; database=$1; shift; mkdir -p $folder/data
            sed \"s|^addons_path = |&$folder,|;s|^data_dir = .*|data_dir = $folder/data|\" /etc/odoo/odoo.conf >$folder/odoo.conf
            exec odoo -c $folder/odoo.conf -d $database --stop-after-init --no-http --workers 0 --max-cron-threads 0 \"$@\"";
        // With tests, Odoo 19 listens in spite of --no-http: on a port that the server in the container has not.
        let port = 20_000 + std::process::id() % 2_000 * 10 + self.number % 10;
        let port = format!("--http-port={port}");
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &self.container, "sh", "-c", start, &self.folder, &self.database, &port]).args(flags);
        let out = run(&mut command, b"");
        let log = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{log}");
        log
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(Command::new("docker").args(["exec", &self.container, "rm", "-rf", &self.folder]).output());
        Self::psql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database));
    }
}

/// Installs what was made in a real Odoo, runs its tests there, and reads what came of it.
fn proves_itself(wanted: &Wanted, tests: usize) {
    let version = wanted.version.series();
    let Some(container) = container(version) else { return };
    let files = scaffold(wanted).unwrap();
    let place = Place::new(version, container, &files);
    let log = place.install(&wanted.name, &check(wanted).unwrap().depends);
    let ill: Vec<&str> =
        log.lines().filter(|line| [" WARNING ", " ERROR ", " CRITICAL "].iter().any(|level| line.contains(level))).collect();
    // The stack's own module has no author, and 19 says so to everybody.
    let about: Vec<&&str> = ill.iter().filter(|line| !line.contains("manifest for 'ocore_test_addon'")).collect();
    assert!(about.is_empty(), "{version}: {about:#?}\n{log}");
    let state = Place::psql(&place.database, &format!("SELECT state FROM ir_module_module WHERE name = '{}'", wanted.name));
    assert_eq!(state.trim(), "installed", "{log}");
    let ran = log.lines().filter(|line| line.contains("Starting TestRecords.test_")).count();
    assert_eq!(ran, tests, "{version}: {log}");
    assert!(!log.contains("skipped test"), "{log}");
    let expected: Vec<&str> = log.lines().filter(|line| line.contains(" failed") && line.contains("error(s)")).collect();
    assert!(expected.iter().all(|line| line.contains("0 failed, 0 error(s)")) && !expected.is_empty(), "{version}: {expected:?}");
    let title = Place::psql(&place.database, &format!("SELECT shortdesc FROM ir_module_module WHERE name = '{}'", wanted.name));
    let shown = if wanted.title.is_empty() { from_name(&wanted.name) } else { one_line(&wanted.title) };
    let json = serde_json::to_string(&shown).unwrap();
    assert!(title.contains(&shown) || title.contains(&json), "{title}");
    println!("Odoo {version}: {} installed, {ran} of its tests passed, no warning", wanted.name);
}

#[test]
fn a_plain_module_works_on_odoo_19() {
    proves_itself(&wanted("ocore_library", 19, vec![]), 3);
}

#[test]
fn a_plain_module_works_on_odoo_14() {
    proves_itself(&wanted("ocore_library", 14, vec![]), 3);
}

#[test]
fn every_kind_of_field_works_on_odoo_19() {
    proves_itself(&everything(19), 15);
}

#[test]
fn every_kind_of_field_works_on_odoo_14() {
    proves_itself(&everything(14), 15);
}

/// The parsers of the languages that the texts are put into see them as text.
#[test]
fn texts_cannot_break_out() {
    const PROGRAM: &str = r#"
import ast, csv, glob, os, sys
from lxml import etree, html
import docutils.core, docutils.utils
base, text = sys.argv[1], sys.argv[2]
seen = 0
for path in glob.glob(base + "/**/*", recursive=True):
    if path.endswith(".py"):
        tree = ast.parse(open(path, encoding="utf-8").read())
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        seen += any(t.startswith(text) for t in texts)
    elif path.endswith(".xml"):
        tree = etree.parse(path)
        assert {e.tag for e in tree.iter()} <= set("odoo record field list tree form search sheet group notebook page filter menuitem".split()), path
        texts = [e.text or "" for e in tree.iter()] + [v for e in tree.iter() for v in e.attrib.values()]
        seen += any(t.startswith(text) for t in texts)
    elif path.endswith(".rst"):
        tree = docutils.core.publish_doctree(open(path, encoding="utf-8").read(), settings_overrides={"halt_level": 1, "report_level": 1})
        titles = [n.astext() for n in tree.traverse() if n.__class__.__name__ == "title"]
        assert titles[0] == text, titles
        problems = [n for n in tree.traverse() if n.__class__.__name__ in ("system_message", "problematic", "strong", "emphasis", "reference", "substitution_reference")]
        assert not problems, problems
        seen += 1
    elif path.endswith(".html"):
        tree = html.document_fromstring(open(path, "rb").read())
        assert tree.find(".//h2").text == text, tree.find(".//h2").text
        assert {e.tag for e in tree.iter()} <= set("html body section h2 ul li p".split())
        seen += 1
    elif path.endswith(".csv"):
        rows = list(csv.reader(open(path, encoding="utf-8")))
        assert all(len(row) == 8 for row in rows) and len(rows) == 6
print(seen)
"#;
    for version in [19, 14] {
        let Some(container) = container(version) else { continue };
        let files = scaffold(&everything(version)).unwrap();
        let place = Place::new(version, container, &files);
        let mut command = Command::new("docker");
        let base = format!("{}/lib_ocore", place.folder);
        command.args(["exec", "-i", &place.container, "python3", "-", &base, &one_line(NASTY)]);
        let seen = succeed(&mut command, PROGRAM.as_bytes());
        println!("Odoo {version}: {} files hold the text, as text", seen.trim());
        // The manifest, the models, their views and menus, README and description.
        assert!(seen.trim().parse::<usize>().unwrap() >= 12, "{seen}");
    }
}
