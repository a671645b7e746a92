//! Reports: what there is, and their pages. Odoo renders them for signed-in users alone (14 to 19, `/report/<converter>/<name>/<ids>`),
//! so a credential that is an API key has none. Its errors are pages too: of those the sentence is read, never the traceback.
use kernel::{Code, ExposeSecret as _, Fault, Refusal, SecretString, refusal};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reader, Result, Writer,
    dialect::{Context, Request},
    error::scrub,
    schema::nearest,
    users::text,
};

const MODEL: &str = "ir.actions.report";
/// Names that a misspelt one is compared with.
const MOST_REPORTS: u64 = 2_000;
/// A PDF without any page is shorter.
const EMPTY_PDF: usize = 4_096;
/// The part of an error page that is looked at.
const LOOKED_AT: usize = 200_000;

#[derive(Debug, Clone)]
pub struct Report {
    pub id: i64,
    /// The label.
    pub name: String,
    /// As it is called in addresses: `sale.report_saleorder`.
    pub report_name: String,
    pub model: String,
    /// qweb-pdf, qweb-html or qweb-text: what it was made for.
    pub kind: String,
    /// Whether Odoo keeps the PDF as an attachment of the record.
    pub keeps: bool,
}

/// What a report is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Converter {
    Pdf,
    Html,
    Text,
}
impl Converter {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Html => "html",
            Self::Text => "text",
        }
    }
}

/// How Odoo's program for PDFs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wkhtmltopdf {
    Ok,
    /// Old; it may lack headers, footers and page breaks.
    Old,
    Missing,
    Broken,
    /// Odoo has one worker, which would wait for itself.
    OneWorker,
}

#[derive(Deserialize)]
struct Row {
    id: i64,
    #[serde(default)]
    name: Value,
    report_name: Value,
    model: Value,
    #[serde(default)]
    report_type: Value,
    #[serde(default)]
    attachment: Value,
}

impl Reader {
    /// A report by its name; unknown ones are refused with the nearest of those for models that the key may read.
    pub async fn report(&self, name: &str) -> Result<Report> {
        let fields = ["name", "report_name", "model", "report_type", "attachment"];
        let rows: Vec<Row> = self.find_or_tell(MODEL, &json!([["report_name", "=", name]]), &fields, "name, id", 50).await?;
        let visible = |row: &&Row| self.scope().lists(row.model.as_str().unwrap_or_default());
        let Some(first) = rows.iter().find(visible) else { return Err(self.no_report(name).await) };
        let model = text(&first.model);
        self.scope().readable(&model)?;
        self.scope().unguarded(&model, "report")?;
        Ok(Report {
            id: first.id,
            name: text(&first.name),
            report_name: text(&first.report_name),
            kind: text(&first.report_type),
            // Of several with one name Odoo takes one: if any of them keeps its PDF, this may.
            keeps: rows.iter().any(|row| row.attachment.as_str().is_some_and(|a| !a.trim().is_empty())),
            model,
        })
    }
    async fn no_report(&self, name: &str) -> Fault {
        let shown: String = name.chars().take(80).collect();
        let refused = refusal(Code::NotFound, format!("There is no report {shown:?} for a model that this key may read."));
        let all: Vec<Row> = self.find(MODEL, &json!([]), &["report_name", "model"], "id", MOST_REPORTS).await.unwrap_or_default();
        let of = |row: &Row| self.scope().lists(row.model.as_str().unwrap_or_default());
        let names: Vec<&str> = all.iter().filter(|row| of(row)).filter_map(|row| row.report_name.as_str()).collect();
        // A model's name is a common mistake for one of its reports.
        let of_model: Vec<&str> =
            all.iter().filter(|row| of(row) && row.model == name).filter_map(|row| row.report_name.as_str()).take(10).collect();
        let near = if of_model.is_empty() { nearest(name, names.into_iter()) } else { of_model };
        let next = if near.is_empty() {
            "search_read on ir.actions.report (fields report_name, name, model) lists them.".to_owned()
        } else {
            format!(
                "Did you mean {}? search_read on ir.actions.report (fields report_name, name, model) lists all.",
                near.join(", ")
            )
        };
        refused.next(next).into()
    }
    /// How PDFs can be made there.
    pub async fn wkhtmltopdf(&self) -> Result<Wkhtmltopdf> {
        let context = Context::default();
        let request = Request {
            model: MODEL,
            method: "get_wkhtmltopdf_state",
            ids: None,
            args: &[],
            kwargs: &[],
            context: &context,
            write: false,
        };
        let state: Value = self.send_or_tell(&request).await?;
        Ok(match state.as_str().unwrap_or_default() {
            "install" => Wkhtmltopdf::Missing,
            "broken" => Wkhtmltopdf::Broken,
            "workers" => Wkhtmltopdf::OneWorker,
            "upgrade" => Wkhtmltopdf::Old,
            _ => Wkhtmltopdf::Ok,
        })
    }
    /// Whether the credential opens no session of its own, which reports need.
    pub async fn needs_session(&self) -> Result<bool> {
        if self.0.lent.read().is_some() {
            return Ok(false);
        }
        match self.client().await?.opens_sessions(self.deadline()).await {
            Ok(opens) => Ok(!opens),
            Err(failure) => Err(self.tell(failure, MODEL, "report").await),
        }
    }
    /// Gives this call a session that was made by other means; it ends with the call. `session` is the cookie's value.
    pub fn lend_session(&self, session: &SecretString) -> Result<()> {
        let mut cookie = HeaderValue::from_str(&format!("session_id={}", session.expose_secret()))
            .map_err(|_| Fault::failed("a session that is no cookie"))?;
        cookie.set_sensitive(true);
        *self.0.lent.write() = Some(cookie);
        Ok(())
    }
    /// The session that was lent goes on without this call.
    pub fn keep_session(&self) {
        self.0.lent.write().take();
    }
    /// Ends the session that was lent, in Odoo too.
    pub async fn return_session(&self) {
        let lent = self.0.lent.write().take();
        let session = lent.as_ref().and_then(|cookie| cookie.to_str().ok()).map(|text| SecretString::from(text.to_owned()));
        if let Some(session) = session
            && !self.0.pages().sign_out(self.instance(), &session).await
        {
            tracing::warn!(slug = %self.instance().slug, "an Odoo session that was made for a report could not be signed out");
        }
    }
    /// Renders a report that keeps nothing.
    pub async fn render(&self, report: &Report, ids: &[i64], converter: Converter) -> Result<Vec<u8>> {
        if report.keeps && converter == Converter::Pdf {
            return Err(Fault::failed("a report that keeps its PDF was read"));
        }
        self.rendered(report, ids, converter, false).await
    }
    async fn rendered(&self, report: &Report, ids: &[i64], converter: Converter, writes: bool) -> Result<Vec<u8>> {
        self.scope().readable(&report.model)?;
        // A page shows whatever its template takes, of whatever records.
        self.scope().unguarded(&report.model, "report")?;
        self.all_visible(&report.model, ids).await?;
        let joined = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let context = serde_json::to_string(self.sent()).map_err(|_| Fault::failed("serializing a context"))?;
        let path = ["report", converter.as_str(), &report.report_name, &joined];
        let lent = self.0.lent.read().clone();
        let _turn = match converter {
            Converter::Pdf => Some(self.0.printer().await?),
            Converter::Html | Converter::Text => None,
        };
        let page = self.client().await?.page(&path, &[("context", &context)], writes, lent, self.deadline()).await;
        let page = match page {
            Ok(page) => page,
            Err(failure) => return Err(self.tell(failure, &report.model, "report").await),
        };
        if page.status != 200 {
            return Err(failed(report, page.status, &page.body).into());
        }
        if converter == Converter::Pdf && (!page.body.starts_with(b"%PDF") || is_empty_pdf(&page.body)) {
            return Err(refusal(
                Code::OdooError,
                format!("Odoo made no page of the report {} ({}).", report.name, report.report_name),
            )
            .next("Try fewer records, or the format html; odoo_logs has what wkhtmltopdf said.")
            .into());
        }
        Ok(page.body.to_vec())
    }
}
impl Writer {
    /// Renders the PDF of a report that keeps it as an attachment.
    pub async fn render_kept(&self, report: &Report, id: i64) -> Result<Vec<u8>> {
        self.scope().permitted(&report.model, crate::scope::Right::Write)?;
        let check = format!("list_attachments of {} {id} tells whether the PDF is there.", report.model);
        match self.rendered(report, &[id], Converter::Pdf, true).await {
            Err(Fault::Unknown { message, .. }) => Err(Fault::unknown(message, check)),
            other => other,
        }
    }
}

/// A document without pages: what 14 gives where its wkhtmltopdf cannot join several records.
fn is_empty_pdf(body: &[u8]) -> bool {
    let page = |at: &[u8]| at.strip_prefix(b"/Page").is_some_and(|rest| rest.first() != Some(&b's'));
    body.len() < EMPTY_PDF
        && body.windows(b"/Count 0".len()).any(|w| w == b"/Count 0")
        && !(0..body.len()).any(|i| body.get(i..).is_some_and(page))
}

/// What an error page says.
fn failed(report: &Report, status: u16, body: &[u8]) -> Refusal {
    let page = String::from_utf8_lossy(body.get(..LOOKED_AT).unwrap_or(body));
    let said = scrub(&sentence(&page));
    let of = format!("the report {} ({})", report.name, report.report_name);
    let reason = if said.is_empty() { "it gave no reason".to_owned() } else { said };
    match status {
        403 => refusal(Code::OdooError, format!("Odoo does not let this credential make {of}: {reason}"))
            .next("Ask an administrator of Odoo for the rights, or use a key with another credential."),
        404 => refusal(Code::NotFound, format!("Odoo does not find {of}: {reason}"))
            .next("search_read on ir.actions.report (fields report_name, name, model) lists the reports."),
        413 => refusal(Code::TooLarge, "A proxy in front of Odoo refuses the request.").next("Name fewer records."),
        _ => refusal(Code::OdooError, format!("Odoo failed to make {of}: {reason}"))
            .next("Try one record, or the format html; odoo_logs has the details."),
    }
}
/// The sentence of an error page (14 to 19): what stands in its `pre`, or the last line of a traceback that is there instead.
fn sentence(page: &str) -> String {
    let mut trace = None;
    let mut rest = page;
    while let Some((_, behind)) = rest.split_once("<pre") {
        let Some((_, inner)) = behind.split_once('>') else { break };
        let Some((inner, after)) = inner.split_once("</pre>") else { break };
        let plain = unescaped(inner);
        if plain.trim_start().starts_with("Traceback") {
            trace = trace.or_else(|| exception(&plain));
        } else if !plain.trim().is_empty() {
            // Of a template's error the places follow.
            let cut = plain.find("\nTemplate:").unwrap_or(plain.len());
            return plain.get(..cut).unwrap_or("").trim().to_owned();
        }
        rest = after;
    }
    trace.unwrap_or_default()
}
fn exception(trace: &str) -> Option<String> {
    let lines: Vec<&str> = trace.lines().collect();
    let frame = lines.iter().rposition(|line| line.starts_with("  File "))?;
    let last: Vec<&str> = lines.into_iter().skip(frame + 1).skip_while(|line| line.starts_with(' ')).collect();
    let told = last.join("\n");
    let cut = told.find("\nTemplate:").unwrap_or(told.len());
    Some(told.get(..cut).unwrap_or("").trim().to_owned())
}
fn unescaped(html: &str) -> String {
    let mut out = html.to_owned();
    for (entity, letter) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
    {
        out = out.replace(entity, letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_pages_become_sentences() {
        let odoo19 =
            "<h1>Oops</h1><p><strong>Error message:</strong><pre>Tried to convert &quot;multiple&quot; documents</pre></p>";
        assert_eq!(sentence(odoo19), "Tried to convert \"multiple\" documents");
        let odoo14 = "<pre>Error to render compiling AST\nMissingError: gone.\n(Record: x(9,), User: 2)\nTemplate: a.b\nPath: /t</pre>\
                      <pre id=\"exception_traceback\">Traceback (most recent call last):\n  File &quot;/x&quot;\nValueError: y</pre>";
        assert_eq!(sentence(odoo14), "Error to render compiling AST\nMissingError: gone.\n(Record: x(9,), User: 2)");
        let bare = "<pre id=\"exception_traceback\">Traceback (most recent call last):\n  File &quot;/x&quot;, line 1, in f\n    g()\nValueError: it&#39;s so\n</pre>";
        assert_eq!(sentence(bare), "ValueError: it's so");
        assert_eq!(sentence("<html><h2>500: Internal Server Error</h2></html>"), "");
        assert_eq!(sentence("<pre>unclosed"), "");
    }

    #[test]
    fn a_pdf_without_pages_is_none() {
        let empty = b"%PDF-1.3\n1 0 obj\n<<\n/Type /Pages\n/Count 0\n/Kids [ ]\n>>\nendobj\n2 0 obj\n<<\n/Pages 1 0 R\n>>";
        assert!(is_empty_pdf(empty));
        let mut one = empty.to_vec();
        one.extend_from_slice(b"\n3 0 obj\n<<\n/Type /Page\n>>");
        assert!(!is_empty_pdf(&one));
        assert!(!is_empty_pdf(b"%PDF-1.4 /Count 1"));
    }
}
