//! Translations of records' values: which languages are active, what is translated and how, and the one change to it.
//!
//! A field is translated as a whole (a name has one value per language), or term by term (of an HTML text each sentence has a
//! translation of its own, found by the English one). Up to 15 Odoo keeps both as rows of `ir.translation`, from 16 on in the columns
//! themselves. Whole values are read and, up to 15, written under the language's context; terms go by Odoo's own ways, since
//! only those know where a text is split.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use kernel::{Code, Refusal, name, refusal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Field, Reader, Record, Result, Writer,
    dialect::{self, Arg, Context, Request},
    schema::{Schema, nearest},
    users::{one, text},
};

const ROWS: &str = "ir.translation";
/// What all translations start from, whichever languages are active.
const SOURCE: &str = "en_US";
/// Records that are looked at in one request.
const PAGE: u64 = 50;
/// Records that are looked at in one call, translated or not.
const MOST_RECORDS: u64 = 1_000;
/// Rows of `ir.translation` in one request.
const MOST_ROWS: u64 = 10_000;
/// Terms that a refusal names.
const TOLD: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language {
    pub code: String,
    pub name: String,
}

/// How a field is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Translated {
    /// One value per language.
    Whole,
    /// Each sentence of a text by itself.
    Terms,
}

/// One value, or one term of it, in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslationRow {
    pub id: i64,
    pub field: String,
    pub kind: Translated,
    pub lang: String,
    pub source: String,
    /// What is shown in that language: the source where nothing else is known.
    pub value: String,
    /// Whether that is another text than the source.
    pub translated: bool,
}
#[derive(Debug, Clone, Default)]
pub struct TranslationQuery {
    /// None are all.
    pub ids: Vec<i64>,
    /// None are all that are translated.
    pub field: Option<String>,
    /// None are all active ones but the source's.
    pub lang: Option<String>,
    pub limit: u64,
}
#[derive(Debug, Clone, Default)]
pub struct Translations {
    pub rows: Vec<TranslationRow>,
    /// The fields that were looked at.
    pub fields: Vec<String>,
    /// The languages that were looked at.
    pub languages: Vec<String>,
    /// Of the ids that were named.
    pub missing: Vec<i64>,
    /// There are more rows; the last record that was looked at.
    pub more_after: Option<i64>,
    /// Up to 15: records with a text that Odoo has not split into terms yet, which has no rows.
    pub unsplit: BTreeSet<i64>,
}

/// A translation as it stands before a change, everything about the change checked.
#[derive(Debug, Clone)]
pub struct Translation {
    pub kind: Translated,
    /// The record's name.
    pub record: String,
    pub language: Language,
    /// The English value, or the term.
    pub source: String,
    /// What is shown now.
    pub value: String,
    pub translated: bool,
    /// Where the value stands: the record itself, or the one that a related field leads to (up to 15, for terms).
    home: (String, i64, String),
    /// Up to 15: the row of the term; none while Odoo has not split the text yet.
    row: Option<i64>,
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message)
}
fn is_translated(field: &Field) -> bool {
    // A flag, or in newer builds a word.
    field.all.get("translate").is_some_and(|t| t.as_bool().unwrap_or(t.is_string()))
}
/// Whether the value is another record's, and can be changed from here: what is only shown is translated where it stands.
fn leads_elsewhere(field: &Field) -> bool {
    !field.readonly && field.all.get("related").is_some_and(|r| !r.is_null() && r != false)
}
/// A text in one line, for comparing and showing.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
fn excerpt(text: &str, most: usize) -> String {
    let text = squeezed(text);
    if text.chars().count() <= most { text } else { format!("{}…", text.chars().take(most).collect::<String>()) }
}

impl Reader {
    /// The active languages by code. Every user may know them.
    pub async fn languages(&self) -> Result<Vec<Language>> {
        #[derive(Deserialize)]
        struct Row {
            code: String,
            name: Value,
        }
        let domain = json!([["active", "=", true]]);
        let rows: Vec<Row> = self.find_or_tell("res.lang", &domain, &["code", "name"], "code", 500).await?;
        Ok(rows.into_iter().map(|row| Language { name: text(&row.name), code: row.code }).collect())
    }
    async fn language(&self, code: &str) -> Result<Language> {
        let active = self.languages().await?;
        if let Some(found) = active.iter().find(|l| l.code == code) {
            return Ok(found.clone());
        }
        let shown = excerpt(code, 30);
        let near = nearest(&shown, active.iter().map(|l| l.code.as_str()));
        let all = active.iter().take(40).map(|l| format!("{} ({})", l.code, l.name)).collect::<Vec<_>>().join(", ");
        let mean = if near.is_empty() { String::new() } else { format!("Did you mean {}? ", near.join(", ")) };
        Err(wrong(format!("lang: {shown:?} is no active language of this database."))
            .next(format!("{mean}Active are {all}. An administrator of Odoo activates others under Settings, Languages."))
            .into())
    }
    fn speaking(&self, lang: &str) -> Context {
        Context { lang: Some(lang.to_owned()), ..self.sent().clone() }
    }

    /// The field, when it is translated.
    fn translated_field<'a>(schema: &'a Schema, model: &str, field: &str) -> Result<&'a Field> {
        name::identifier("field", field)?;
        let found = schema.field(model, field)?;
        if is_translated(found) {
            return Ok(found);
        }
        let all: Vec<&str> = schema.fields.0.iter().filter(|(_, f)| is_translated(f)).map(|(n, _)| n.as_str()).collect();
        let next = if all.is_empty() {
            format!("No field of {model} is translated.")
        } else {
            format!("Translated are {}.", all.into_iter().take(40).collect::<Vec<_>>().join(", "))
        };
        Err(wrong(format!("field: {model}.{field} has one value for all languages.")).next(next).into())
    }

    /// How a field is translated. `id` is any record of the model.
    async fn translated_how(&self, model: &str, name: &str, field: &Field, id: i64) -> Result<Translated> {
        // Lines are whole always; a text or HTML may be either.
        if field.r#type == "char" {
            return Ok(Translated::Whole);
        }
        if dialect::translates_in_columns(self.version().await?) {
            let (_, by_terms) = self.terms_in_column(model, id, name, &[SOURCE.to_owned()]).await?;
            return Ok(if by_terms { Translated::Terms } else { Translated::Whole });
        }
        // Odoo 14 and 15 do not tell: HTML goes by terms where Odoo cleans it, and so do views; rows give other fields away.
        if field.r#type == "html" {
            let args = [Arg::Words(&[name]), Arg::Words(&["sanitize"])];
            let context = Context::default();
            let request =
                Request { model, method: "fields_get", ids: None, args: &args, kwargs: &[], context: &context, write: false };
            let told: Value = self.send_or_tell(&request).await?;
            if told.pointer(&format!("/{name}/sanitize")) == Some(&Value::Bool(true)) {
                return Ok(Translated::Terms);
            }
        } else if (model, name) == ("ir.ui.view", "arch_db") {
            return Ok(Translated::Terms);
        }
        let domain = json!([["name", "=", format!("{model},{name}")], ["type", "=", "model_terms"]]);
        let rows: Vec<Map<String, Value>> = self.find_or_tell(ROWS, &domain, &["lang"], "id", 1).await?;
        Ok(if rows.is_empty() { Translated::Whole } else { Translated::Terms })
    }

    /// From 16 on: the terms in these languages, the value empty where it is none of its own; and whether the field goes by terms.
    async fn terms_in_column(&self, model: &str, id: i64, field: &str, langs: &[String]) -> Result<(Vec<Term>, bool)> {
        #[derive(Deserialize, Default)]
        struct How {
            #[serde(default)]
            translation_show_source: bool,
        }
        let args = [Arg::Text(field), Arg::Names(langs)];
        let ids = [id];
        let request = Request {
            model,
            method: "get_field_translations",
            ids: Some(&ids),
            args: &args,
            kwargs: &[],
            context: self.sent(),
            write: false,
        };
        let (terms, how): (Vec<Term>, How) = self.send_or_tell(&request).await?;
        Ok((terms, how.translation_show_source))
    }

    /// Up to 15: the records whose rows hold a field's terms, by the record asked about. A related field's stand with the record that it
    /// leads to.
    async fn homes(&self, model: &str, field: &Field, name: &str, ids: &[i64]) -> Result<(String, String, HashMap<i64, i64>)> {
        let mut at: HashMap<i64, i64> = ids.iter().map(|id| (*id, *id)).collect();
        let (mut model, mut name, mut field) = (model.to_owned(), name.to_owned(), field.clone());
        for _ in 0..8 {
            let path: Vec<String> = match field.all.get("related") {
                Some(Value::String(path)) => path.split('.').map(str::to_owned).collect(),
                Some(Value::Array(parts)) => parts.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect(),
                _ => break,
            };
            let Some((last, steps)) = path.split_last() else { break };
            for step in steps {
                let schema = self.schema_unscoped(&model).await?;
                let Some(comodel) = schema.fields.get(step).and_then(|f| f.relation.clone()) else {
                    return Ok((model, name, HashMap::new()));
                };
                let wanted: Vec<i64> = at.values().copied().collect::<BTreeSet<_>>().into_iter().collect();
                let rows = self.values_of(&model, &wanted, &[step], self.sent()).await?;
                at = at.into_iter().filter_map(|(id, via)| Some((id, one(rows.get(&via)?.get(step)?)?))).collect();
                model = comodel;
            }
            let schema = self.schema_unscoped(&model).await?;
            let Some(next) = schema.fields.get(last) else { return Ok((model, name, HashMap::new())) };
            (name, field) = (last.clone(), next.clone());
        }
        Ok((model, name, at))
    }
    async fn values_of(
        &self,
        model: &str,
        ids: &[i64],
        fields: &[&str],
        context: &Context,
    ) -> Result<HashMap<i64, Map<String, Value>>> {
        if ids.is_empty() || fields.is_empty() {
            return Ok(HashMap::new());
        }
        let args = [Arg::Words(fields)];
        let request = Request { model, method: "read", ids: Some(ids), args: &args, kwargs: &[], context, write: false };
        let records: Vec<Record> = self.send_or_tell(&request).await?;
        Ok(records.into_iter().map(|r| (r.id(), r.parse())).collect())
    }
    /// Up to 15: the rows of terms of these records, by record and language: row, source, value.
    async fn term_rows(&self, model: &str, field: &str, ids: &[i64], langs: &[String]) -> Result<Vec<TermRow>> {
        let domain = json!([
            ["name", "=", format!("{model},{field}")],
            ["type", "=", "model_terms"],
            ["res_id", "in", ids],
            ["lang", "in", langs],
        ]);
        self.find_or_tell(ROWS, &domain, &["res_id", "lang", "src", "value"], "res_id, id", MOST_ROWS).await
    }

    // ---- listing

    /// Translations by record, field and language. Records without a value have none.
    pub async fn translations(&self, model: &str, query: &TranslationQuery) -> Result<Translations> {
        let schema = self.schema(model).await?;
        let fields: Vec<(String, Field)> = match &query.field {
            Some(field) => vec![(field.clone(), Self::translated_field(&schema, model, field)?.clone())],
            None => schema
                .fields
                .0
                .iter()
                .filter(|(_, f)| is_translated(f) && (f.store || leads_elsewhere(f)))
                .map(|(n, f)| (n.clone(), f.clone()))
                .collect(),
        };
        let languages: Vec<String> = match &query.lang {
            Some(lang) => vec![self.language(lang).await?.code],
            None => self.languages().await?.into_iter().map(|l| l.code).filter(|c| c != SOURCE).collect(),
        };
        let mut found =
            Translations { fields: fields.iter().map(|(n, _)| n.clone()).collect(), languages, ..Translations::default() };
        let named = !query.ids.is_empty();
        let existing = if named { self.existing(model, &query.ids).await? } else { Vec::new() };
        found.missing = query.ids.iter().copied().filter(|id| !existing.contains(id)).collect();
        if fields.is_empty() || found.languages.is_empty() {
            return Ok(found);
        }
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut how: HashMap<String, Translated> = HashMap::new();
        let mut offset = 0_u64;
        loop {
            let page: Vec<i64> = if named {
                let skip = usize::try_from(offset).unwrap_or(usize::MAX);
                existing.iter().skip(skip).take(usize::try_from(PAGE).unwrap_or(50)).copied().collect()
            } else {
                self.search_ids(model, &json!([]), PAGE, offset, Some("id")).await?
            };
            let Some(last) = page.last().copied() else { break };
            let enough = limit.saturating_sub(found.rows.len());
            let (rows, unsplit) = self.translations_of(model, &page, &fields, &found.languages, &mut how, enough).await?;
            found.unsplit.extend(unsplit);
            for row in rows {
                if found.rows.len() >= limit {
                    found.more_after = found.rows.last().map(|r| r.id);
                    return Ok(found);
                }
                found.rows.push(row);
            }
            offset += PAGE;
            if (page.len() as u64) < PAGE {
                break;
            }
            if found.rows.len() >= limit || offset >= MOST_RECORDS {
                found.more_after = Some(last);
                break;
            }
        }
        Ok(found)
    }
    /// By record, field and language. Stops asking once there are more than `enough`.
    async fn translations_of(
        &self,
        model: &str,
        page: &[i64],
        fields: &[(String, Field)],
        languages: &[String],
        how: &mut HashMap<String, Translated>,
        enough: usize,
    ) -> Result<(Vec<TranslationRow>, BTreeSet<i64>)> {
        let names: Vec<&str> = fields.iter().map(|(n, _)| n.as_str()).collect();
        let source = self.values_of(model, page, &names, &self.speaking(SOURCE)).await?;
        for (name, field) in fields {
            let filled = page.iter().find(|id| source.get(id).and_then(|r| r.get(name)).is_some_and(Value::is_string));
            if let (None, Some(id)) = (how.get(name), filled) {
                let found = self.translated_how(model, name, field, *id).await?;
                how.insert(name.clone(), found);
            }
        }
        let is = |name: &str, kind: Translated| how.get(name) == Some(&kind);
        let whole: Vec<&str> = names.iter().copied().filter(|n| is(n, Translated::Whole)).collect();
        let mut values = HashMap::new();
        for lang in languages {
            values.insert(lang.as_str(), self.values_of(model, page, &whole, &self.speaking(lang)).await?);
        }
        let in_columns = dialect::translates_in_columns(self.version().await?);
        // Up to 15 the rows of all records come at once.
        let mut rows: BTreeMap<(&str, i64), Vec<TermRow>> = BTreeMap::new();
        for (name, field) in fields.iter().filter(|(n, _)| is(n, Translated::Terms) && !in_columns) {
            let (home, column, at) = self.homes(model, field, name, page).await?;
            let wanted: Vec<i64> = at.values().copied().collect::<BTreeSet<_>>().into_iter().collect();
            let told = self.term_rows(&home, &column, &wanted, languages).await?;
            for id in page {
                let mine = told.iter().filter(|row| at.get(id) == Some(&row.res_id)).cloned().collect();
                rows.insert((name, *id), mine);
            }
        }
        let (mut found, mut unsplit) = (Vec::new(), BTreeSet::new());
        for id in page {
            for name in &names {
                let english = source.get(id).and_then(|r| r.get(*name)).map(text).unwrap_or_default();
                let row = |lang: &str, kind, source: String, value: String| TranslationRow {
                    id: *id,
                    field: (*name).to_owned(),
                    kind,
                    lang: lang.to_owned(),
                    translated: !value.is_empty() && value != source,
                    value: if value.is_empty() { source.clone() } else { value },
                    source,
                };
                match how.get(*name) {
                    Some(Translated::Whole) => found.extend(
                        languages
                            .iter()
                            .map(|lang| {
                                let told = values.get(lang.as_str()).and_then(|v| v.get(id)).and_then(|r| r.get(*name));
                                row(lang, Translated::Whole, english.clone(), told.map(text).unwrap_or_default())
                            })
                            .filter(|row| !row.value.is_empty()),
                    ),
                    Some(Translated::Terms) if in_columns && !english.is_empty() => {
                        let (terms, _) = self.terms_in_column(model, *id, name, languages).await?;
                        found.extend(terms.into_iter().map(|t| row(&t.lang, Translated::Terms, text(&t.source), text(&t.value))));
                    }
                    Some(Translated::Terms) => {
                        let terms = rows.remove(&(*name, *id)).unwrap_or_default();
                        if terms.is_empty() && !in_columns && !english.is_empty() {
                            unsplit.insert(*id);
                        }
                        found.extend(terms.into_iter().map(|r| row(&r.lang, Translated::Terms, text(&r.src), text(&r.value))));
                    }
                    None => {}
                }
            }
            if found.len() > enough {
                break;
            }
        }
        Ok((found, unsplit))
    }
    // ---- before a change

    /// What a change would replace, once everything that may be wrong with it was checked: model and field may be written, the language is
    /// active, the record is there, and `source` is a term of it. `value` is what would be written; empty takes the translation away.
    pub async fn translation(
        &self,
        model: &str,
        id: i64,
        field: &str,
        lang: &str,
        source: Option<&str>,
        value: &str,
    ) -> Result<Translation> {
        name::identifier("field", field)?;
        self.check_values(model, &Map::from_iter([(field.to_owned(), json!(value))]), 0).await?;
        let schema = self.schema(model).await?;
        let known = Self::translated_field(&schema, model, field)?.clone();
        if known.readonly {
            return Err(refusal(
                Code::FieldDenied,
                format!("{model}.{field} is read-only for this credential, and so are its translations."),
            )
            .next("Translate the field that it is computed from; where every field is read-only, the Odoo user may not change the model.")
            .into());
        }
        if lang == SOURCE {
            return Err(wrong("lang: en_US is what all translations start from.")
                .next("Change the value itself: write with context {\"lang\": \"en_US\"}.")
                .into());
        }
        let language = self.language(lang).await?;
        let Some((_, record)) = self.names(model, &[id]).await?.into_iter().next() else {
            return Err(refusal(Code::NotFound, format!("There is no {model} {id} that this credential may see."))
                .next("Search for the record again.")
                .into());
        };
        let kind = self.translated_how(model, field, &known, id).await?;
        let english = self.value_in(model, id, field, SOURCE).await?;
        let home = (model.to_owned(), id, field.to_owned());
        if kind == Translated::Whole {
            let now = self.value_in(model, id, field, lang).await?;
            if let Some(source) = source
                && squeezed(source) != squeezed(&english)
                && squeezed(source) != squeezed(&now)
            {
                return Err(refusal(
                    Code::Conflict,
                    format!(
                        "source: {model}.{field} of {record} is now {:?} in English and {:?} in {lang}.",
                        excerpt(&english, 200),
                        excerpt(&now, 200)
                    ),
                )
                .next("This field is translated as a whole: leave source out, or give one of these.")
                .into());
            }
            let translated = !now.is_empty() && now != english;
            return Ok(Translation { kind, record, language, source: english, value: now, translated, home, row: None });
        }
        if dialect::translates_in_columns(self.version().await?) {
            let (terms, _) = self.terms_in_column(model, id, field, std::slice::from_ref(&language.code)).await?;
            let terms: Vec<(String, String)> = terms.into_iter().map(|t| (text(&t.source), text(&t.value))).collect();
            let known: Vec<&str> = terms.iter().map(|(source, _)| source.as_str()).collect();
            let term = the_term(&known, source, &format!("{model}.{field}"))?.to_owned();
            let now = terms.iter().find(|(s, _)| *s == term).map(|(_, v)| v.clone()).unwrap_or_default();
            let translated = !now.is_empty();
            let shown = if translated { now } else { term.clone() };
            return Ok(Translation { kind, record, language, source: term, value: shown, translated, home, row: None });
        }
        self.term_in_rows(model, id, field, &known, language, record, source, &english, value).await
    }
    /// Up to 15. A text that Odoo has not split into terms yet has no rows: its terms are then found within it.
    #[expect(clippy::too_many_arguments, reason = "the second half of the function above")]
    async fn term_in_rows(
        &self,
        model: &str,
        id: i64,
        field: &str,
        known: &Field,
        language: Language,
        record: String,
        source: Option<&str>,
        english: &str,
        value: &str,
    ) -> Result<Translation> {
        let (home, column, at) = self.homes(model, known, field, &[id]).await?;
        let Some(at) = at.get(&id).copied() else {
            return Err(refusal(Code::NotFound, format!("{model}.{field} of {record} leads to no record, so it has no text."))
                .next("Fill the field first.")
                .into());
        };
        let rows = self.term_rows(&home, &column, &[at], std::slice::from_ref(&language.code)).await?;
        let mut terms: Vec<String> = rows.iter().map(|row| text(&row.src)).collect();
        let unsplit = source.is_some_and(|s| !terms.iter().any(|t| squeezed(t) == squeezed(s)) && holds(english, s));
        if unsplit && let Some(source) = source {
            terms.push(source.trim().to_owned());
        }
        if terms.is_empty() {
            terms = texts_of(english);
        }
        let all: Vec<&str> = terms.iter().map(String::as_str).collect();
        let term = the_term(&all, source, &format!("{model}.{field}"))?.to_owned();
        only_tags_of(&term, value)?;
        let row = rows.iter().find(|row| text(&row.src) == term);
        let now = row.map(|r| text(&r.value)).unwrap_or_default();
        let translated = !now.is_empty() && now != term;
        Ok(Translation {
            kind: Translated::Terms,
            record,
            language,
            value: if now.is_empty() { term.clone() } else { now },
            source: term,
            translated,
            home: (home, at, column),
            row: row.map(|r| r.id),
        })
    }
    async fn value_in(&self, model: &str, id: i64, field: &str, lang: &str) -> Result<String> {
        let values = self.values_of(model, &[id], &[field], &self.speaking(lang)).await?;
        Ok(values.get(&id).and_then(|r| r.get(field)).map(text).unwrap_or_default())
    }
}

/// From 16 on.
#[derive(Debug, Deserialize)]
struct Term {
    lang: String,
    #[serde(default)]
    source: Value,
    #[serde(default)]
    value: Value,
}
/// Up to 15.
#[derive(Debug, Clone, Deserialize)]
struct TermRow {
    id: i64,
    res_id: i64,
    lang: String,
    src: Value,
    #[serde(default)]
    value: Value,
}

impl Writer {
    /// Writes one translation that [`Reader::translation`] looked at; an empty value takes it away.
    pub async fn translate(&self, model: &str, id: i64, field: &str, now: &Translation, value: &str) -> Result<()> {
        // Once more, since the handle answers for itself.
        self.check_values(model, &Map::from_iter([(field.to_owned(), json!(value))]), 0).await?;
        let lang = now.language.code.as_str();
        if dialect::translates_in_columns(self.version().await?) {
            let translations = match now.kind {
                Translated::Whole if value.is_empty() => json!({lang: false}),
                Translated::Whole => json!({lang: value}),
                // A term that is its own translation is none, in every version.
                Translated::Terms if value.is_empty() => json!({lang: {now.source.as_str(): now.source}}),
                Translated::Terms => json!({lang: {now.source.as_str(): value}}),
            };
            let args = [Arg::Text(field), Arg::Value(&translations)];
            return self.change(model, "update_field_translations", Some(&[id]), &args, self.sent()).await;
        }
        if now.kind == Translated::Whole {
            let values = Map::from_iter([(field.to_owned(), json!(value))]);
            let context = self.speaking(lang);
            return self.change(model, "write", Some(&[id]), &[Arg::Object(&values)], &context).await;
        }
        let (home, at, column) = &now.home;
        // Odoo checks rights on the record for whole values alone; a term's row anyone may write.
        self.may_write(home, *at).await?;
        let row = match now.row {
            Some(row) => row,
            None => self.split(home, *at, column, now).await?,
        };
        let values = Map::from_iter([("value".to_owned(), json!(value))]);
        self.change(ROWS, "write", Some(&[row]), &[Arg::Object(&values)], self.sent()).await
    }
    async fn change(&self, model: &str, method: &str, ids: Option<&[i64]>, args: &[Arg<'_>], context: &Context) -> Result<()> {
        let request = Request { model, method, ids, args, kwargs: &[], context, write: true };
        self.send_or_tell::<serde::de::IgnoredAny>(&request).await.map(|_| ())
    }
    /// Up to 15: Odoo's access rights and record rules for writing this record.
    async fn may_write(&self, model: &str, id: i64) -> Result<()> {
        let ids = [id];
        let args = [Arg::Text("write")];
        for (method, ids) in [("check_access_rights", None), ("check_access_rule", Some(&ids[..]))] {
            let request = Request { model, method, ids, args: &args, kwargs: &[], context: self.sent(), write: false };
            self.send_or_tell::<serde::de::IgnoredAny>(&request).await?;
        }
        Ok(())
    }
    /// Up to 15: has Odoo split a record's texts into terms, as its own window for translations does, and gives the row of one.
    async fn split(&self, model: &str, id: i64, field: &str, now: &Translation) -> Result<i64> {
        let value = json!(id);
        let args = [Arg::Text(model), Arg::Value(&value), Arg::Text(field)];
        self.change(ROWS, "translate_fields", None, &args, self.sent()).await?;
        let rows = self.term_rows(model, field, &[id], std::slice::from_ref(&now.language.code)).await?;
        let sources: Vec<String> = rows.iter().map(|row| text(&row.src)).collect();
        let all: Vec<&str> = sources.iter().map(String::as_str).collect();
        let term = the_term(&all, Some(&now.source), &format!("{model}.{field}"))?;
        rows.iter().find(|row| text(&row.src) == term).map(|row| row.id).ok_or_else(|| {
            refusal(Code::NotFound, "The term is gone.").next("list_translations tells the terms as they are now.").into()
        })
    }
}

/// The term that was meant; without one, or with an unknown one, the refusal names the terms.
fn the_term<'a>(terms: &[&'a str], source: Option<&str>, what: &str) -> Result<&'a str, Refusal> {
    if let Some(source) = source
        && let Some(found) =
            terms.iter().find(|t| **t == source).or_else(|| terms.iter().find(|t| squeezed(t) == squeezed(source)))
    {
        return Ok(found);
    }
    if terms.is_empty() {
        return Err(refusal(Code::NotFound, format!("{what} has no text that could be translated in this record."))
            .next("Fill the field in en_US first."));
    }
    let list = terms.iter().take(TOLD).map(|t| format!("{:?}", excerpt(t, 200))).collect::<Vec<_>>().join(", ");
    let more = if terms.len() > TOLD {
        format!(" and {} more (list_translations tells all)", terms.len() - TOLD)
    } else {
        String::new()
    };
    let Some(source) = source else {
        return Err(wrong(format!("source: {what} is translated term by term; name the term."))
            .next(format!("The terms are {list}{more}.")));
    };
    let near = nearest(&squeezed(source), terms.iter().copied());
    let mean = near.first().map(|t| format!("Did you mean {:?}? ", excerpt(t, 200))).unwrap_or_default();
    Err(wrong(format!("source: {:?} is no term of {what} in this record.", excerpt(source, 200)))
        .next(format!("{mean}The terms are {list}{more}.")))
}

/// Whether a text that was not split yet could have this term.
fn holds(text: &str, term: &str) -> bool {
    let term = squeezed(term);
    !term.is_empty() && squeezed(text).contains(&term)
}
/// The texts between tags, for a person to choose from.
fn texts_of(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let (text, after) = rest.split_once('<').unwrap_or((rest, ""));
        let text = squeezed(text);
        if text.chars().any(char::is_alphabetic) && !found.contains(&text) {
            found.push(text);
        }
        rest = after.split_once('>').map_or("", |(_, rest)| rest);
    }
    found
}
/// The tags of a text, as they stand.
fn tags_of(html: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = rest.get(at..).unwrap_or("");
        let starts =
            rest.get(1..).and_then(|r| r.chars().next()).is_some_and(|c| c.is_alphabetic() || matches!(c, '/' | '!' | '?'));
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        if starts {
            found.push(rest.get(..end).unwrap_or(rest));
        }
        rest = if starts { rest.get(end..).unwrap_or("") } else { rest.get(1..).unwrap_or("") };
    }
    found
}
/// Up to 15 Odoo does not clean the translation of a term, which goes into a page as it is: it brings no tags of its own.
fn only_tags_of(source: &str, value: &str) -> Result<(), Refusal> {
    let known = tags_of(source);
    match tags_of(value).into_iter().find(|tag| !known.contains(tag)) {
        None => Ok(()),
        Some(tag) => Err(wrong(format!("value: {} is no tag of the term that it translates.", excerpt(tag, 80)))
            .next("Use the tags of the source as they are, or none.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_found_or_the_terms_are_told() {
        let terms = ["Hello <b>big</b> world", "Second one"];
        assert_eq!(the_term(&terms, Some("Second one"), "m.f").unwrap(), "Second one");
        assert_eq!(the_term(&terms, Some(" Second\n  one "), "m.f").unwrap(), "Second one");
        let missing = the_term(&terms, None, "m.f").unwrap_err();
        assert!(missing.next.contains("Hello <b>big</b> world") && missing.code == Code::InvalidArgument, "{missing:?}");
        let near = the_term(&terms, Some("Secnd one"), "m.f").unwrap_err();
        assert!(near.next.starts_with("Did you mean \"Second one\"?"), "{near:?}");
        assert_eq!(the_term(&[], Some("x"), "m.f").unwrap_err().code, Code::NotFound);
        let many: Vec<String> = (0..50).map(|i| format!("Term {i} {}", "x".repeat(500))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let told = the_term(&many, None, "m.f").unwrap_err().next;
        assert!(told.contains("and 30 more") && told.len() < 6_000, "{}", told.len());
    }

    #[test]
    fn a_translation_brings_no_tags_of_its_own() {
        for (source, value) in
            [("Hello <b>you</b>", "<b>Toi</b>, salut"), ("a < b", "b > a, a < b"), ("x", ""), ("1 <2", "1 <2 & 3")]
        {
            assert!(only_tags_of(source, value).is_ok(), "{value}");
        }
        for (source, value) in [
            ("Hello", "<script>alert(1)</script>"),
            ("Hello <b>you</b>", "<b onclick=\"x\">toi</b>"),
            ("Hello", "x<img src=x onerror=alert(1)"),
            ("<a href=\"/a\">go</a>", "<a href=\"javascript:x\">go</a>"),
            ("Hello", "<!-- x"),
        ] {
            assert_eq!(only_tags_of(source, value).unwrap_err().code, Code::InvalidArgument, "{value}");
        }
    }

    #[test]
    fn texts_within_html() {
        assert_eq!(texts_of("<p>Hello <b>big</b>\n world</p><br/> 12 <p>Hello</p>"), ["Hello", "big", "world"]);
        assert!(holds("<p>Hello  <b>big</b></p>", "Hello <b>big</b>") && !holds("abc", " ") && !holds("abc", "d"));
    }

    #[test]
    fn what_is_translated() {
        let of = |v: Value| is_translated(&Field { all: Map::from_iter([("translate".to_owned(), v)]), ..Field::default() });
        assert!(of(json!(true)) && of(json!("html_translate")) && !of(json!(false)) && !of(Value::Null));
        assert!(!is_translated(&Field::default()));
    }
}
