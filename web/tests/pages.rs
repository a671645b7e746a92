//! What holds for every page in every state: its bones, its labels, and that no string of its data becomes markup.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails so")]
#![allow(clippy::disallowed_methods, reason = "reads the sources of this crate")]
mod samples;

use std::collections::{BTreeMap, BTreeSet};

/// One start tag: name and attributes, values as written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The start and end tags of a page, read strictly: what is not well formed fails the test.
fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '/' || c == '!' || c == '-')).expect("a tag ends");
        let mut tag = Tag { name: rest[..length].to_owned(), attributes: Vec::new() };
        assert!(!tag.name.is_empty(), "a bare < in the text: {}", &rest[..40.min(rest.len())]);
        rest = &rest[length..];
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>").or_else(|| rest.strip_prefix('>')) {
                rest = after;
                break;
            }
            let end = rest.find(|c: char| c == '=' || c == '>' || c == '/' || c.is_whitespace()).expect("an attribute ends");
            let name = rest[..end].to_owned();
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !name.is_empty(), "attribute {name:?}");
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(after) = rest.strip_prefix("=\"") {
                let end = after.find('"').expect("a value ends");
                after[..end].clone_into(&mut value);
                assert!(!value.contains('<'), "{name}={value}");
                rest = &after[end + 1..];
            }
            tag.attributes.push((name, value));
        }
        tags.push(tag);
    }
    tags
}

fn count(tags: &[Tag], name: &str) -> usize {
    tags.iter().filter(|tag| tag.name == name).count()
}

#[test]
fn every_page_has_its_bones() {
    let samples = samples::all();
    assert!(samples.len() > 20);
    for (name, page) in samples {
        assert!(page.starts_with("<!doctype html>"), "{name}");
        let tags = tags(&page);
        assert_eq!(tags.iter().find(|tag| tag.name == "html").and_then(|tag| tag.get("lang")), Some("en"), "{name}");
        assert_eq!(count(&tags, "h1"), 1, "{name}: one h1");
        assert_eq!(count(&tags, "main"), 1, "{name}: one main");
        let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).expect("a title").0;
        assert!(title.ends_with(" · ocore") && title.len() > " · ocore".len() + 3, "{name}: {title:?}");
        let main = page.find("<main").expect("main");
        assert!(page[main..].contains("<h1"), "{name}: h1 in main");
    }
}

#[test]
fn no_page_asks_for_what_the_policy_forbids() {
    for (name, page) in samples::all_with("javascript:x\" onclick=\"x") {
        for tag in tags(&page) {
            assert!(tag.name != "style" && tag.name != "base" && tag.name != "iframe" && tag.name != "object", "{name}: {tag:?}");
            for (attribute, value) in &tag.attributes {
                assert!(!attribute.starts_with("on") && attribute != "style", "{name}: {tag:?}");
                if attribute == "src" || (tag.name == "link" && attribute == "href") {
                    assert!(value.starts_with("/static/") || value.starts_with("data:image/"), "{name}: {tag:?}");
                }
            }
        }
        assert_eq!(page.matches("<script src=\"/static/").count(), 2, "{name}");
        assert_eq!(
            (page.matches("<script").count(), page.matches("\"></script>").count()),
            (2, 1),
            "{name}: the first has no content"
        );
        assert!(page.contains("defer></script>"), "{name}: nor has the second");
    }
}

#[test]
fn strings_of_the_data_never_become_markup() {
    let bones = |page: &str| -> Vec<(String, Vec<String>)> {
        tags(page).into_iter().map(|tag| (tag.name, tag.attributes.into_iter().map(|(name, _)| name).collect())).collect()
    };
    let harmless: BTreeMap<_, _> = samples::all_with("harmless").into_iter().collect();
    let mut met = 0;
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' autofocus onfocus='alert(1)",
        "</title></textarea></main><h1>x</h1>",
        "&lt;b&gt;<b>",
        "--><!--",
        "{{ csrf }}{% raw %}",
    ] {
        for (name, page) in samples::all_with(hostile) {
            assert_eq!(bones(&page), bones(&harmless[&name]), "{name} with {hostile}");
            met += usize::from(page != harmless[&name]);
        }
    }
    assert!(met > 100, "the samples hold data: {met}");
}

#[test]
fn every_control_has_a_label_and_every_id_is_its_own() {
    for (name, page) in samples::all() {
        let tags = tags(&page);
        let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.get("id")).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: an id twice");
        let labelled: BTreeSet<&str> = tags.iter().filter(|tag| tag.name == "label").filter_map(|tag| tag.get("for")).collect();
        for tag in &tags {
            for attribute in ["for", "aria-describedby", "aria-labelledby", "aria-controls"] {
                for id in tag.get(attribute).unwrap_or_default().split_whitespace() {
                    assert!(unique.contains(id), "{name}: {attribute} names {id}, which is not there");
                }
            }
            if let Some(anchor) = tag.get("href").and_then(|href| href.strip_prefix('#')) {
                assert!(unique.contains(anchor), "{name}: a link to #{anchor}");
            }
            let control = matches!(tag.name.as_str(), "input" | "select" | "textarea") && tag.get("type") != Some("hidden");
            if control {
                let id = tag.get("id").unwrap_or_default();
                assert!(labelled.contains(id) || tag.get("aria-label").is_some(), "{name}: no label for {tag:?}");
                assert!(tag.get("name").is_some() || tag.get("hidden").is_some(), "{name}: no name on {tag:?}");
            }
        }
    }
}

#[test]
fn every_posting_form_carries_the_token() {
    let mut forms = 0;
    for (name, page) in samples::all() {
        for form in page.split("<form").skip(1) {
            let form = form.split("</form>").next().expect("a form");
            if form.contains("method=\"post\"") {
                assert_eq!(form.matches("name=\"csrf\"").count(), 1, "{name}");
                forms += 1;
            }
        }
    }
    assert!(forms > 5);
}

#[test]
fn style_and_script_are_small_and_served_by_their_hash() {
    let style = &*web::assets::STYLE;
    let script = &*web::assets::SCRIPT;
    assert!(style.bytes.len() + script.bytes.len() < 50_000);
    for asset in web::assets::all() {
        assert!(std::ptr::eq(web::assets::at(&asset.path).expect("served"), asset));
        assert!(web::assets::at(&format!("/static/{}", asset.name)).is_none());
    }
    let page = &samples::all()[0].1;
    assert!(page.contains(&style.path) && page.contains(&script.path));
    for forbidden in ["@import", "http://", "https://", "url("] {
        assert!(!String::from_utf8_lossy(style.bytes).contains(forbidden), "{forbidden}");
    }
}

#[test]
fn templates_hold_no_words_of_their_own() {
    // Every word comes from the catalogue: outside of tags and expressions there are no letters, and no attribute that is read out has any.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../templates");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("templates") {
        let path = entry.expect("an entry").path();
        let mut text = std::fs::read_to_string(&path).expect("a template");
        // Blocks that are names of classes, and the macro that makes attributes.
        for (open, close, stands) in [
            ("{% macro named(", "{% endmacro %}", ""),
            ("{% block width %}", "{% endblock %}", ""),
            ("{% block kind %}", "{% endblock %}", ""),
            ("{#", "#}", ""),
            ("{{", "}}", "0"),
            ("{%", "%}", ""),
        ] {
            while let Some(start) = text.find(open) {
                let end = start + text[start..].find(close).expect("it ends") + close.len();
                text.replace_range(start..end, stands);
            }
        }
        for attribute in ["title=\"", "aria-label=\"", "alt=\"", "placeholder=\""] {
            for after in text.split(attribute).skip(1) {
                let value = after.split('"').next().expect("a value");
                assert!(!value.contains(char::is_alphabetic), "{}: {attribute}{value}", path.display());
            }
        }
        while let Some(start) = text.find('<') {
            let end = start + text[start..].find('>').expect("it ends") + 1;
            text.replace_range(start..end, "");
        }
        let words: String = text.chars().filter(|c| c.is_alphabetic()).collect();
        assert!(words.is_empty(), "{}: {words}", path.display());
        seen += 1;
    }
    assert!(seen > 25);
}

#[test]
fn what_was_typed_comes_back_in_its_own_field() {
    let pages: BTreeMap<_, _> = samples::all().into_iter().collect();
    for (name, id, value) in [
        ("sign-in-refused", "email", "anna@acme.example"),
        ("set-up-mistakes", "org", "Acme"),
        ("set-up-mistakes", "email", "anna@acme.example"),
        ("consent", "label", "Claude"),
        ("device-unknown", "user_code", "BCKF-HMLX"),
        ("invites-mistakes", "days", "forty"),
    ] {
        let tags = tags(&pages[name]);
        let input = tags.iter().find(|tag| tag.get("id") == Some(id)).expect("the input");
        assert_eq!(input.get("value"), Some(value), "{name}");
    }
    for (name, page) in &pages {
        for tag in tags(page) {
            assert!(tag.get("type") != Some("password") || tag.get("value").is_none(), "{name}: a password comes back");
        }
    }
}

#[test]
fn invites_are_shown_to_administrators_alone_and_say_when_nobody_vouches() {
    let pages: BTreeMap<_, _> = samples::all().into_iter().collect();
    for (name, shown) in [("home", true), ("invites", true), ("home-unknown", false), ("sessions", false), ("account", false)] {
        assert_eq!(pages[name].contains("href=\"/invites\""), shown, "{name}");
    }
    // Of the five invites two are open: one can be revoked, the other revoked and vouched for.
    let invites = &pages["invites"];
    for (text, times) in [(">Revoke<", 2), ("On hold", 1), ("may no longer invite", 1), ("action=\"/invites/vouch\"", 1)] {
        assert_eq!(invites.matches(text).count(), times, "{text}");
    }
    // A link is shown where it was made and nowhere else.
    for (name, page) in &pages {
        assert_eq!(page.contains("ocn_"), name == "invite-made", "{name}");
    }
}

#[test]
fn production_is_said_in_words() {
    let pages: BTreeMap<_, _> = samples::all().into_iter().collect();
    assert!(pages["impersonate-production"].contains("Production"));
    assert!(pages["impersonate-production"].contains("changes real data"));
    assert!(!pages["impersonate-staging"].contains("changes real data"));
}

#[test]
fn addresses_from_outside_cannot_run_code() {
    let onward = |href: &str| {
        let page = web::Onward { kind: web::Going::Allowed, name: "x".into(), href: href.into(), host: "x".into() };
        web::Template::render(&page).expect("renders")
    };
    for bad in [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:x",
        "file:///x",
        "",
    ] {
        let page = onward(bad);
        assert!(page.contains("content=\"0; url=/\""), "{bad:?}");
        assert!(!page.to_lowercase().contains("script:") && !page.contains("data:text"), "{bad:?}");
    }
    for good in
        ["https://claude.ai/api/callback?code=1", "http://127.0.0.1:51423/cb?code=1", "cursor://anysphere.cursor-retrieval/oauth"]
    {
        assert!(onward(good).contains(&format!("href=\"{good}\"")), "{good}");
    }
    for (logo, shown) in [
        ("data:image/png;base64,AAAA", true),
        ("/logos/1.png", true),
        ("//evil.example/x.png", false),
        ("https://evil.example/x.png", false),
        ("data:image/svg+xml,<svg/>", false),
        ("javascript:x", false),
    ] {
        let client = web::Client { name: "x".into(), logo: Some(logo.into()), proof: web::Proof::Itself };
        assert_eq!(client.picture(), shown.then_some(logo), "{logo}");
    }
}

#[test]
fn the_words_are_calm() {
    let source = include_str!("../src/strings.rs");
    let mut strings = 0;
    let source = source.replace("format!", "format");
    for line in source.lines().filter(|line| line.contains('"') && !line.trim_start().starts_with("//")) {
        let Some((text, _)) = line.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')) else { continue };
        strings += 1;
        let lower = text.to_lowercase();
        for word in ["!", "oops", "sorry", "please", "principal", "invalid", "illegal", "successfully"] {
            assert!(!lower.contains(word), "{word:?} in {text}");
        }
        assert!(text != "OK" && text != "Submit", "{text}");
    }
    assert!(strings > 250, "{strings}");
}
