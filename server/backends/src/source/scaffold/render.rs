//! The files of a module that has been checked.
#![allow(clippy::format_push_string, clippy::format_collect, reason = "a few kilobytes, and so the text stays readable")]
use super::{Field, KEYWORDS, Kind, MAX_TITLE, Model, Version, Wanted, table};

/// A Python string literal.
fn py(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            _ if c.is_control() => out.extend(c.escape_unicode().filter(|c| !matches!(c, '{' | '}'))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text or an attribute's value in XML.
fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// An attribute's value in a view, where Odoo puts external identifiers in for `%(…)s` and `%` for `%%`.
fn arch(text: &str) -> String {
    xml(text).replace('%', "%%")
}

/// Text in HTML, in ASCII, for Odoo parses descriptions without being told their encoding.
fn html(text: &str) -> String {
    let ascii = |c: char| if c.is_ascii() { c.to_string() } else { format!("&#{};", u32::from(c)) };
    xml(text).chars().map(ascii).collect()
}

/// Text in reStructuredText: punctuation means something there, with a backslash in front it does not.
fn rst(text: &str) -> String {
    let escaped = |c: char| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// The file, without `.py`, of a model. No keyword, for the package imports it by name.
fn stem(model: &Model) -> String {
    let table = table(&model.name);
    if KEYWORDS.contains(&table.as_str()) { format!("{table}_model") } else { table }
}

fn class(model: &Model) -> String {
    let name: String = super::from_name(&model.name).split(' ').collect();
    if matches!(name.as_str(), "None" | "True" | "False") { format!("{name}Model") } else { name }
}

/// Odoo's own name for the table of two many2many fields between the same models would be the same.
pub(super) fn relation_table(model: &Model, field: &Field) -> String {
    format!("{}_{}_rel", table(&model.name), field.name)
}

pub(super) fn files(module: &Wanted) -> Vec<(String, String)> {
    let mut files = vec![
        ("__init__.py".to_owned(), "from . import models\n".to_owned()),
        ("__manifest__.py".to_owned(), manifest(module)),
        ("README.rst".to_owned(), readme(module)),
        ("models/__init__.py".to_owned(), imports(module)),
    ];
    for model in &module.models {
        files.push((format!("models/{}.py", stem(model)), class_file(model)));
    }
    files.push(("security/ir.model.access.csv".to_owned(), access(module)));
    files.push(("static/description/index.html".to_owned(), description(module)));
    files.push(("tests/__init__.py".to_owned(), "from . import test_records\n".to_owned()));
    files.push(("tests/test_records.py".to_owned(), tests(module)));
    for model in &module.models {
        files.push((views_path(model), views(module.version, model)));
    }
    files.push(("views/menus.xml".to_owned(), menus(module)));
    files.into_iter().map(|(path, content)| (format!("{}/{path}", module.name), content)).collect()
}

fn views_path(model: &Model) -> String {
    format!("views/{}_views.xml", table(&model.name))
}

fn manifest(module: &Wanted) -> String {
    let mut data = vec!["security/ir.model.access.csv".to_owned()];
    data.extend(module.models.iter().map(views_path));
    data.push("views/menus.xml".to_owned());
    let list = |items: &[String]| items.iter().map(|item| format!("        {},\n", py(item))).collect::<String>();
    format!(
        "{{\n    \"name\": {},\n    \"version\": \"{}.0.1.0.0\",\n    \"summary\": {},\n    \"category\": \"Productivity\",\n    \
         \"author\": {},\n    \"license\": {},\n    \"depends\": [\n{}    ],\n    \"data\": [\n{}    ],\n    \
         \"installable\": True,\n    \"application\": True,\n}}\n",
        py(&module.title),
        module.version.series(),
        py(&summary(module)),
        py(&module.author),
        py(&module.license),
        list(&module.depends),
        list(&data),
    )
}

/// The models' titles, as far as they fit: Odoo 14 keeps 256 characters of a summary, and while a module with a longer one
/// is on its path, it cannot initialise any database.
fn summary(module: &Wanted) -> String {
    let all = module.models.iter().map(|model| model.title.as_str()).collect::<Vec<_>>().join(", ");
    if all.chars().count() <= MAX_TITLE {
        return all;
    }
    all.chars().take(MAX_TITLE - 1).chain(['…']).collect()
}

fn readme(module: &Wanted) -> String {
    let title = rst(&module.title);
    // Wide characters count twice for the line below; more than enough does no harm.
    let line = "=".repeat(title.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum());
    let mut out = format!("{title}\n{line}\n\nModels\n------\n\n");
    for model in &module.models {
        out += &format!("* {} (``{}``)\n", rst(&model.title), model.name);
    }
    out + &format!(
        "\nTests\n-----\n\nTo run them on a database of their own::\n\n    odoo -d DATABASE -i {} --test-enable --stop-after-init\n\n\
         Author: {}\n",
        module.name,
        rst(&module.author)
    )
}

fn description(module: &Wanted) -> String {
    let models: String = module.models.iter().map(|model| format!("        <li>{}</li>\n", html(&model.title))).collect();
    format!(
        "<section class=\"container\">\n    <h2>{}</h2>\n    <ul>\n{models}    </ul>\n    <p>{}</p>\n</section>\n",
        html(&module.title),
        html(&module.author)
    )
}

fn imports(module: &Wanted) -> String {
    module.models.iter().map(|model| format!("from . import {}\n", stem(model))).collect()
}

/// The field that names a record, where it is not `name`.
fn record_name(model: &Model) -> Option<&str> {
    if model.fields.iter().any(|field| field.name == "name") {
        return None;
    }
    model.fields.iter().find(|field| field.kind == Kind::Char).map(|field| field.name.as_str())
}

fn class_file(model: &Model) -> String {
    let mut out = format!(
        "from odoo import fields, models\n\n\nclass {}(models.Model):\n    _name = {}\n    _description = {}\n",
        class(model),
        py(&model.name),
        py(&model.title)
    );
    if let Some(name) = record_name(model) {
        out += &format!("    _rec_name = {}\n", py(name));
    }
    if model.fields.iter().any(|field| field.name == "sequence" && field.kind == Kind::Integer) {
        out += "    _order = \"sequence, id\"\n";
    }
    out.push('\n');
    for field in &model.fields {
        out += &format!("    {} = fields.{}\n", field.name, declaration(model, field));
    }
    out
}

fn declaration(model: &Model, field: &Field) -> String {
    let relation = py(field.relation.as_deref().unwrap_or_default());
    let (class, mut words) = match &field.kind {
        Kind::Char => ("Char", vec![]),
        Kind::Text => ("Text", vec![]),
        Kind::Html => ("Html", vec![]),
        Kind::Integer => ("Integer", vec![]),
        Kind::Float => ("Float", vec![]),
        Kind::Monetary { currency } => ("Monetary", vec![format!("currency_field={}", py(currency))]),
        Kind::Boolean if field.name == "active" => ("Boolean", vec!["default=True".to_owned()]),
        Kind::Boolean => ("Boolean", vec![]),
        Kind::Date => ("Date", vec![]),
        Kind::Datetime => ("Datetime", vec![]),
        Kind::Selection(options) => {
            let options: Vec<String> = options.iter().map(|(value, label)| format!("({}, {})", py(value), py(label))).collect();
            ("Selection", vec![format!("[{}]", options.join(", "))])
        }
        Kind::Many2one => ("Many2one", vec![relation]),
        Kind::One2many { inverse } => ("One2many", vec![relation, py(inverse)]),
        Kind::Many2many => {
            let mut words = vec![relation, format!("relation={}", py(&relation_table(model, field)))];
            if field.relation.as_deref() == Some(model.name.as_str()) {
                words.extend(["column1=\"record_id\"".to_owned(), "column2=\"other_id\"".to_owned()]);
            }
            ("Many2many", words)
        }
        Kind::Binary => ("Binary", vec![]),
    };
    words.push(format!("string={}", py(&field.label)));
    if field.required {
        words.push("required=True".to_owned());
        if field.kind == Kind::Many2one {
            words.push("ondelete=\"restrict\"".to_owned());
        }
    }
    let for_money = |other: &Field| matches!(&other.kind, Kind::Monetary { currency } if *currency == field.name);
    if model.fields.iter().any(for_money) {
        words.push("default=lambda self: self.env.company.currency_id".to_owned());
    }
    format!("{class}({})", words.join(", "))
}

fn access(module: &Wanted) -> String {
    let mut out = "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\n".to_owned();
    for model in &module.models {
        let table = table(&model.name);
        out += &format!("access_{table}_user,{} user,model_{table},base.group_user,1,1,1,1\n", model.name);
    }
    out
}

/// The view type of lists, which is also their element.
fn list(version: Version) -> &'static str {
    if version.series() >= 18 { "list" } else { "tree" }
}

fn views(version: Version, model: &Model) -> String {
    let table = table(&model.name);
    let list = list(version);
    let view = |kind: &str, id: &str, arch: &str| {
        format!(
            "    <record id=\"{table}_view_{id}\" model=\"ir.ui.view\">\n        <field name=\"name\">{}.view.{id}</field>\n        \
             <field name=\"model\">{}</field>\n        <field name=\"arch\" type=\"xml\">\n            <{kind}>\n{arch}            \
             </{kind}>\n        </field>\n    </record>\n\n",
            model.name, model.name
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<odoo>\n{}{}{}    <record id=\"{table}_action\" \
         model=\"ir.actions.act_window\">\n        <field name=\"name\">{}</field>\n        <field name=\"res_model\">{}</field>\n        \
         <field name=\"view_mode\">{list},form</field>\n    </record>\n</odoo>\n",
        view(list, "list", &list_arch(model)),
        view("form", "form", &form_arch(model)),
        view("search", "search", &search_arch(model)),
        xml(&model.title),
        model.name,
    )
}

fn list_arch(model: &Model) -> String {
    let mut out = String::new();
    let mut shown = 0;
    for field in &model.fields {
        let name = &field.name;
        let money = model.fields.iter().any(|other| matches!(&other.kind, Kind::Monetary { currency } if currency == name));
        let long = matches!(field.kind, Kind::Html | Kind::Text | Kind::Binary | Kind::One2many { .. } | Kind::Many2many);
        if name == "sequence" && field.kind == Kind::Integer {
            out += &format!("                <field name=\"{name}\" widget=\"handle\"/>\n");
        } else if money {
            // Amounts are shown with it.
            out += &format!("                <field name=\"{name}\" optional=\"hide\"/>\n");
        } else if name != "active" && (!long || (name == "name")) {
            let hidden = if shown < 8 { "" } else { " optional=\"hide\"" };
            out += &format!("                <field name=\"{name}\"{hidden}/>\n");
            shown += 1;
        }
    }
    // A list without a column says nothing.
    if shown == 0 { out + "                <field name=\"display_name\"/>\n" } else { out }
}

fn form_arch(model: &Model) -> String {
    let wide = |field: &&Field| matches!(field.kind, Kind::Html | Kind::One2many { .. });
    let mut out = "                <sheet>\n                    <group>\n".to_owned();
    for field in model.fields.iter().filter(|field| !wide(field)) {
        let hidden = if field.name == "active" { " invisible=\"1\"" } else { "" };
        out += &format!("                        <field name=\"{}\"{hidden}/>\n", field.name);
    }
    out += "                    </group>\n";
    let pages: Vec<&Field> = model.fields.iter().filter(wide).collect();
    if !pages.is_empty() {
        out += "                    <notebook>\n";
        for field in pages {
            out += &format!(
                "                        <page name=\"{}\" string=\"{}\">\n                            <field name=\"{}\"/>\n                        </page>\n",
                field.name,
                arch(&field.label),
                field.name
            );
        }
        out += "                    </notebook>\n";
    }
    out + "                </sheet>\n"
}

fn search_arch(model: &Model) -> String {
    let mut out = String::new();
    for field in
        model.fields.iter().filter(|field| matches!(field.kind, Kind::Char | Kind::Text | Kind::Many2one | Kind::Many2many))
    {
        out += &format!("                <field name=\"{}\"/>\n", field.name);
    }
    if out.is_empty() {
        // Odoo warns of a search view without fields.
        out += "                <field name=\"create_uid\"/>\n";
    }
    for field in model.fields.iter().filter(|field| field.kind == Kind::Boolean) {
        let (label, value) = if field.name == "active" { ("Archived", "False") } else { (field.label.as_str(), "True") };
        out += &format!(
            "                <filter name=\"filter_{}\" string=\"{}\" domain=\"[('{}', '=', {value})]\"/>\n",
            field.name,
            arch(label),
            field.name
        );
    }
    let groups: Vec<&Field> =
        model.fields.iter().filter(|field| matches!(field.kind, Kind::Many2one | Kind::Selection(_))).collect();
    if !groups.is_empty() {
        out += "                <group>\n";
        for field in groups {
            out += &format!(
                "                    <filter name=\"group_by_{}\" string=\"{}\" context=\"{{'group_by': '{}'}}\"/>\n",
                field.name,
                arch(&field.label),
                field.name
            );
        }
        out += "                </group>\n";
    }
    out
}

fn menus(module: &Wanted) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<odoo>\n    <menuitem id=\"menu_root\" name=\"{}\" sequence=\"100\"/>\n",
        xml(&module.title)
    );
    for (index, model) in module.models.iter().enumerate() {
        let table = table(&model.name);
        out += &format!(
            "    <menuitem id=\"{table}_menu\" name=\"{}\" parent=\"menu_root\" action=\"{table}_action\" sequence=\"{}\"/>\n",
            xml(&model.title),
            (index + 1) * 10
        );
    }
    out + "</odoo>\n"
}

/// A value for a field in a test, as Python, and how the one that is read back is compared with it.
fn example(module: &Wanted, field: &Field) -> Option<(String, &'static str)> {
    let text = |value: &str, how: &'static str| Some((value.to_owned(), how));
    match &field.kind {
        Kind::Char | Kind::Text => text("\"Example\"", "assertEqual"),
        Kind::Html => text("\"<p>Example</p>\"", "assertIn"),
        Kind::Integer => text("3", "assertEqual"),
        Kind::Float | Kind::Monetary { .. } => text("2.5", "assertAlmostEqual"),
        Kind::Boolean => text("True", "assertEqual"),
        Kind::Date => text("fields.Date.to_date(\"2024-02-29\")", "assertEqual"),
        Kind::Datetime => text("fields.Datetime.to_datetime(\"2024-02-29 12:30:00\")", "assertEqual"),
        Kind::Selection(options) => options.first().map(|(value, _)| (py(value), "assertEqual")),
        Kind::Binary => text("b\"RXhhbXBsZQ==\"", "assertEqual"),
        Kind::Many2one if field.relation.as_deref() == Some("res.currency") => text("self.env.company.currency_id.id", ""),
        Kind::Many2one if field.required => {
            let relation = field.relation.as_deref().unwrap_or_default();
            if module.models.iter().any(|model| model.name == relation) {
                return Some((format!("self.new_{}().id", table(relation)), ""));
            }
            Some((format!("self.any_of({})", py(relation)), ""))
        }
        Kind::Many2one | Kind::One2many { .. } | Kind::Many2many => None,
    }
}

fn tests(module: &Wanted) -> String {
    let version = module.version.series();
    let (forget, may) = (
        if version >= 16 { "invalidate_recordset()" } else { "invalidate_cache()" },
        if version >= 18 { "check_access(\"create\")" } else { "check_access_rights(\"create\")" },
    );
    let get_view = if version >= 16 { "get_view(False, kind)" } else { "fields_view_get(False, kind)" };
    let (mut helpers, mut cases) = (String::new(), String::new());
    for model in &module.models {
        let (table, name) = (table(&model.name), py(&model.name));
        let (mut values, mut checks) = (String::new(), String::new());
        for field in &model.fields {
            let Some((value, how)) = example(module, field) else { continue };
            values += &format!("            {}: {value},\n", py(&field.name));
            let read = &field.name;
            match how {
                "" => checks += &format!("        self.assertTrue(record.{read})\n"),
                "assertIn" => checks += &format!("        self.assertIn(\"Example\", record.{read})\n"),
                _ => checks += &format!("        self.{how}(record.{read}, {value})\n"),
            }
        }
        helpers += &format!("    def new_{table}(self):\n        return self.env[{name}].create({{\n{values}        }})\n\n");
        cases += &format!(
            "    def test_{table}_keeps_its_values(self):\n        record = self.new_{table}()\n        record.{forget}\n        \
             self.assertTrue(record.exists())\n{checks}\n    \
             def test_{table}_is_open_to_employees(self):\n        \
             user = new_test_user(self.env, login=\"employee_{table}\", groups=\"base.group_user\")\n        \
             self.env[{name}].with_user(user).{may}\n\n    \
             def test_{table}_has_views(self):\n        for kind in (\"{}\", \"form\", \"search\"):\n            \
             self.assertTrue(self.env[{name}].{get_view}[\"arch\"])\n        \
             self.assertEqual(self.env.ref({}).res_model, {name})\n\n",
            list(module.version),
            py(&format!("{}.{table}_action", module.name)),
        );
    }
    let mut out = String::new();
    if helpers.contains("fields.Date") || cases.contains("fields.Date") {
        out += "from odoo import fields\n";
    }
    out += "from odoo.tests import tagged\nfrom odoo.tests.common import TransactionCase, new_test_user\n\n\n\
            @tagged(\"post_install\", \"-at_install\")\nclass TestRecords(TransactionCase):\n";
    if helpers.contains("self.any_of(") {
        out += "    def any_of(self, model):\n        record = self.env[model].search([], limit=1)\n        if not record:\n            \
                self.skipTest(\"there is no record of %s to relate to\" % model)\n        return record.id\n\n";
    }
    out += &helpers;
    out += cases.trim_end();
    out.push('\n');
    out
}
