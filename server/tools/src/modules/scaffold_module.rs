use backends::{
    files,
    source::scaffold::{self, Field, Kind, Model, Version, Wanted},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::Names,
    contract::{self as tool, *},
};

/// Make a new Odoo module in the instance's addons folder: manifest, models, views, menu, access rights and a test. It is not installed: install_module does that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaffoldModule {
    /// Technical name: library_books
    name: String,
    /// What people see; default from the name
    title: Option<String>,
    /// Default: one model named after the module
    #[serde(default)]
    models: Vec<NewModel>,
    /// Modules it stands on; default base
    #[serde(default)]
    depends: Names,
}
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// New to Odoo: library.book
    name: String,
    #[serde(default)]
    title: String,
    /// Default: name
    #[serde(default)]
    fields: Vec<NewField>,
}
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewField {
    name: String,
    /// char, text, html, integer, float, monetary, boolean, date, datetime, selection, many2one, one2many, many2many or binary
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    required: bool,
    /// Of many2one, one2many and many2many: the other model
    relation: Option<String>,
    /// Of selection: its values
    #[serde(default)]
    options: Names,
    /// Of one2many: the many2one of the other model
    inverse: Option<String>,
    /// Of monetary: the many2one to res.currency
    currency: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    pub module: String,
    /// Where its files are.
    pub path: String,
    pub files: Vec<String>,
    pub notes: Vec<String>,
}
impl Answer for Made {
    const LIST: Option<&'static str> = Some("files");
    fn affected(&self) -> Option<u64> {
        Some(self.files.len() as u64)
    }
}

fn wrong(message: String, next: &'static str) -> Fault {
    refusal(Code::InvalidArgument, message).next(next).into()
}
impl NewField {
    fn kind(&self) -> Result<Kind> {
        let lacks = |what: &str| wrong(format!("The field {} is {} and lacks {what}.", self.name, self.kind), "Give it.");
        Ok(match self.kind.as_str() {
            "char" => Kind::Char,
            "text" => Kind::Text,
            "html" => Kind::Html,
            "integer" => Kind::Integer,
            "float" => Kind::Float,
            "monetary" => Kind::Monetary { currency: self.currency.clone().ok_or_else(|| lacks("currency"))? },
            "boolean" => Kind::Boolean,
            "date" => Kind::Date,
            "datetime" => Kind::Datetime,
            "selection" => {
                if self.options.0.is_empty() {
                    return Err(lacks("options"));
                }
                let value = |label: &String| {
                    let value: String =
                        label.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                    (value, label.clone())
                };
                Kind::Selection(self.options.0.iter().map(value).collect())
            }
            "many2one" => Kind::Many2one,
            "one2many" => Kind::One2many { inverse: self.inverse.clone().ok_or_else(|| lacks("inverse"))? },
            "many2many" => Kind::Many2many,
            "binary" => Kind::Binary,
            _ => {
                return Err(wrong(
                    format!("The field {} has no type that there is.", self.name),
                    "char, text, html, integer, float, monetary, boolean, date, datetime, selection, many2one, one2many, many2many or binary.",
                ));
            }
        })
    }
    fn field(&self) -> Result<Field> {
        Ok(Field {
            name: self.name.clone(),
            kind: self.kind()?,
            label: self.label.clone(),
            required: self.required,
            relation: self.relation.clone(),
        })
    }
}
impl ScaffoldModule {
    /// Path below the addons folder, and content.
    async fn files(&self, cx: &ReadCx) -> Result<Vec<(String, String)>> {
        let major = cx.odoo()?.version().await?.major;
        let version = u8::try_from(major).ok().and_then(Version::new).ok_or_else(|| {
            Fault::from(
                refusal(Code::NotSupported, format!("Modules for Odoo {major} are not made.")).next("Odoo 14 to 19 are known."),
            )
        })?;
        let models = self.models.iter().map(|m| {
            let fields = m.fields.iter().map(NewField::field).collect::<Result<Vec<_>>>()?;
            Ok(Model { name: m.name.clone(), title: m.title.clone(), fields })
        });
        let wanted = Wanted {
            name: self.name.clone(),
            title: self.title.clone().unwrap_or_default(),
            version,
            models: models.collect::<Result<_>>()?,
            depends: self.depends.0.clone(),
            author: "ocore".to_owned(),
            license: "LGPL-3".to_owned(),
        };
        scaffold::scaffold(&wanted).map_err(|e| {
            let text = e.to_string();
            let mut chars = text.chars();
            let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
            wrong(format!("{first}{}.", chars.as_str()), "Correct it and call again; nothing was made.")
        })
    }
    /// The first of the instance's folders, with the module's name.
    async fn place(&self, cx: &ReadCx) -> Result<String> {
        let root = cx.files()?.roots().await?.into_iter().next().unwrap_or_default();
        Ok(format!("{root}/{}", self.name))
    }
}
impl WriteTool for ScaffoldModule {
    type Answer = Made;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let made = self.files(cx).await?;
        let place = self.place(cx).await?;
        cx.files()?.plan_create(&place, files::Content::Directory).await?;
        Ok(Plan {
            summary: format!("Would make the module {} in {place}", self.name),
            affected: made.len() as u64,
            examples: made.iter().take(10).map(|(path, _)| path.clone()).collect(),
            warnings: Vec::new(),
            ids: Vec::new(),
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Made> {
        let made = self.files(cx).await?;
        let place = self.place(cx).await?;
        let files = WriteCx::files(cx)?;
        files.create(&place, files::Content::Directory).await?;
        let folder = place.strip_suffix(&self.name).unwrap_or(&place).to_owned();
        for (path, content) in &made {
            let ended = files.create(&format!("{folder}{path}"), files::Content::File(content.clone().into_bytes())).await;
            if let Err(fault) = ended {
                // Half a module is worse than none.
                let _ = files.delete(&place, true).await;
                return Err(fault);
            }
        }
        Ok(Made {
            module: self.name,
            path: place,
            files: made.into_iter().map(|(path, _)| path).collect(),
            notes: vec!["Not installed yet: install_module does that, and finds the module by itself.".to_owned()],
        })
    }
}
pub const TOOL: Tool = tool::write::<ScaffoldModule>("Make a new module");
