//! Lists `src/<category>/<tool>.rs`. The path is the tool's category and name: neither is written a second time.
use std::{collections::BTreeMap, env, error::Error, fmt::Write as _, fs, path::Path};

/// The categories that there may be; a folder of another name fails the build.
const CATEGORIES: [&str; 14] = [
    "attachments",
    "context",
    "export",
    "files",
    "metadata",
    "modules",
    "monitoring",
    "orm",
    "platform",
    "reports",
    "search",
    "shell",
    "sql",
    "system",
];

#[expect(clippy::disallowed_methods, reason = "the build writes the catalogue; no instance is near")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=src");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("src");
    let (mut modules, mut rows, mut seen) = (String::new(), String::new(), BTreeMap::new());
    let mut folders: Vec<_> = fs::read_dir(&root)?.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let category = folder.file_name().and_then(|s| s.to_str()).ok_or("folder name")?.to_owned();
        if !CATEGORIES.contains(&category.as_str()) {
            return Err(format!("src/{category} is no category of tools").into());
        }
        let variant = category[..1].to_uppercase() + &category[1..];
        writeln!(modules, "pub mod {category} {{")?;
        let mut files: Vec<_> = fs::read_dir(&folder)?.filter_map(|e| e.ok().map(|e| e.path())).collect();
        files.sort();
        for file in files {
            if file.extension().is_none_or(|e| e != "rs") {
                return Err(format!("{} is no tool", file.display()).into());
            }
            let stem = file.file_stem().and_then(|s| s.to_str()).ok_or("file name")?.to_owned();
            if let Some(other) = seen.insert(stem.clone(), category.clone()) {
                return Err(format!("tool {stem} is in {other}/ and in {category}/").into());
            }
            writeln!(modules, "    #[path = {:?}]\n    pub mod {stem};", file.display().to_string())?;
            writeln!(rows, "    {category}::{stem}::TOOL.named({stem:?}, kernel::Category::{variant}),")?;
        }
        writeln!(modules, "}}")?;
    }
    writeln!(
        modules,
        "/// Every tool, sorted by category, then name.\npub static CATALOGUE: [Tool; {}] = [\n{rows}];",
        seen.len()
    )?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.rs"), modules)?;
    Ok(())
}
