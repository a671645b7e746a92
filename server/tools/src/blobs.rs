//! Files that travel in answers and arguments: their names, kinds and base64.
use std::fmt::Write as _;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use kernel::{Code, Refusal, refusal};
use sha2::{Digest as _, Sha256};

/// The largest file that is taken or given, in bytes.
pub const MOST_BYTES: usize = 10 * 1024 * 1024;
/// The longest name of a file, in characters.
const LONGEST_NAME: usize = 200;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

pub fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}
pub fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The bytes of a text in base64, standard or URL-safe, with or without padding, line breaks or a `data:` head; and the type that
/// the head names.
///
/// # Errors
/// When it is empty, no base64, or longer than [`MOST_BYTES`].
pub fn decode(content: &str) -> Result<(Vec<u8>, Option<String>), Refusal> {
    let content = content.trim();
    let (kind, encoded) = match content.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((head, rest)) => match head.strip_suffix(";base64") {
            Some(kind) => (Some(kind.split(';').next().unwrap_or("").to_owned()), rest),
            None => return Err(no_base64()),
        },
        None => (None, content),
    };
    if encoded.len() / 4 * 3 > MOST_BYTES + MOST_BYTES / 16 {
        return Err(too_large(encoded.len() / 4 * 3));
    }
    let plain: Vec<u8> = encoded.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let engine = if plain.iter().any(|b| matches!(b, b'-' | b'_')) { &URL_SAFE } else { &STANDARD };
    let bytes = engine.decode(plain).map_err(|_| no_base64())?;
    if bytes.is_empty() {
        return Err(refusal(Code::InvalidArgument, "content: the file is empty.").next("Send its bytes in base64."));
    }
    if bytes.len() > MOST_BYTES {
        return Err(too_large(bytes.len()));
    }
    Ok((bytes, kind.filter(|k| !k.is_empty())))
}
fn no_base64() -> Refusal {
    refusal(Code::InvalidArgument, "content: this is no base64.")
        .next("Send the file's bytes in base64, like SGVsbG8= for Hello.")
}
fn too_large(bytes: usize) -> Refusal {
    refusal(Code::TooLarge, format!("The file has {}; at most {} travel here.", size(bytes as u64), size(MOST_BYTES as u64)))
        .next("Attach it in Odoo itself.")
}

/// `512 bytes`, `1.2 KB`, `10.0 MB`, in steps of 1,024.
pub fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        1 => "1 byte".to_owned(),
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KB", tenths(1_024)),
        _ => format!("{} MB", tenths(1_048_576)),
    }
}

/// A file's name without what leads elsewhere or cannot be seen: of a path the last part, no control characters.
///
/// # Errors
/// When nothing is left.
pub fn name(given: &str) -> Result<String, Refusal> {
    let last = given.rsplit(['/', '\\']).find(|part| !part.trim().is_empty()).unwrap_or("");
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let clean: String = last.chars().filter(|c| !hidden(*c)).collect();
    let clean = clean.trim().trim_start_matches('.').trim();
    if clean.is_empty() {
        return Err(refusal(Code::InvalidArgument, "name: there is no name of a file in it.").next("Name it like offer.pdf."));
    }
    if clean.chars().count() <= LONGEST_NAME {
        return Ok(clean.to_owned());
    }
    // The extension says what it is.
    let extension = clean.rsplit_once('.').map(|(_, e)| e).filter(|e| e.chars().count() <= 10).unwrap_or("");
    let head: String = clean.chars().take(LONGEST_NAME - extension.chars().count() - 1).collect();
    Ok(if extension.is_empty() { head } else { format!("{head}.{extension}") })
}

/// Whether a text is a type such as `image/png`, or, for filters, `image/*`.
pub fn is_mimetype(text: &str, filter: bool) -> bool {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'));
    match text.split_once('/') {
        Some((kind, "*")) if filter => word(kind),
        Some((kind, of)) => text.len() <= 100 && word(kind) && word(of),
        None => false,
    }
}
/// Types by their first bytes; texts that a browser would take for pages or scripts are told as such.
pub fn sniffed(bytes: &[u8]) -> Option<&'static str> {
    for (head, kind) in [
        (&b"\x89PNG\r\n\x1a\n"[..], "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b", "application/gzip"),
    ] {
        if bytes.starts_with(head) {
            return Some(kind);
        }
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    let head = String::from_utf8_lossy(bytes.get(..1_024).unwrap_or(bytes))
        .trim_start_matches('\u{feff}')
        .trim_start()
        .to_ascii_lowercase();
    if head.starts_with("<?xml") || head.starts_with("<svg") {
        return Some("application/xml");
    }
    ["<!doctype html", "<html", "<head", "<body", "<script", "<!--"]
        .iter()
        .any(|mark| head.starts_with(mark))
        .then_some("text/html")
}
/// A picture that assistants can look at, by its type and its bytes alike: what only claims to be one is none.
pub fn picture(mimetype: &str, bytes: &[u8]) -> Option<&'static str> {
    let kind = sniffed(bytes).filter(|kind| kind.starts_with("image/"))?;
    (mimetype == kind || mimetype == "image/jpg" && kind == "image/jpeg").then_some(kind)
}
/// The type of a file by the extension of its name.
fn by_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "txt" | "log" | "md" | "html" | "htm" | "xhtml" | "svg" | "xml" | "js" | "mjs" | "hta" => "text/plain",
        "csv" => "text/csv",
        "json" => "application/json",
        "zip" => "application/zip",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "ppt" => "application/vnd.ms-powerpoint",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        "eml" => "message/rfc822",
        _ => return None,
    })
}
/// Whether a browser would run it on Odoo's own address: pages, drawings and other XML, scripts.
fn runs(mimetype: &str) -> bool {
    let office = mimetype.starts_with("application/vnd.openxmlformats") || mimetype.starts_with("application/vnd.oasis");
    !office && ["html", "xml", "svg", "script", "hta"].iter().any(|mark| mimetype.contains(mark))
}
/// The type that a file is stored under: the one that is named, else by its bytes or its name. What a browser would run becomes
/// plain text.
pub fn stored_type(name: &str, named: Option<&str>, bytes: &[u8]) -> String {
    const UNKNOWN: &str = "application/octet-stream";
    let found = sniffed(bytes);
    let guessed = || match found {
        // Office documents are ZIP archives: the name knows better.
        Some("application/zip") | None => by_name(name).or(found),
        other => other,
    };
    let named = named.map(str::to_ascii_lowercase).filter(|m| m != UNKNOWN);
    let kind = named.unwrap_or_else(|| guessed().unwrap_or(UNKNOWN).to_owned());
    // Odoo guesses again from the bytes where the type is unknown.
    if runs(&kind) || (kind == UNKNOWN && found.is_some_and(runs)) { "text/plain".to_owned() } else { kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_taken_as_it_comes() {
        for content in ["SGk_", "SGk/", "data:text/plain;base64,SGk/", " SG\nk/ "] {
            assert_eq!(decode(content).unwrap().0, b"Hi?", "{content}");
        }
        assert_eq!(decode("SGVsbG8").unwrap().0, b"Hello");
        assert_eq!(decode("SGVsbG8=").unwrap().0, b"Hello");
        assert_eq!(decode("data:image/png;charset=x;base64,SGk/").unwrap().1.as_deref(), Some("image/png"));
        for bad in ["", "  ", "====", "a", "no base64!", "data:text/plain,hello", "data:;base64,"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ten_megabytes_are_the_most() {
        assert_eq!(decode(&encode(&vec![7; MOST_BYTES])).unwrap().0.len(), MOST_BYTES);
        for more in [1, 2, 3, MOST_BYTES] {
            let why = decode(&encode(&vec![7; MOST_BYTES + more])).unwrap_err();
            assert_eq!(why.code, Code::TooLarge, "{more}");
        }
    }

    #[test]
    fn names_lead_nowhere() {
        for (given, kept) in [
            ("offer.pdf", "offer.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\a b.txt", "a b.txt"),
            ("a/b/", "b"),
            ("..", ""),
            ("\u{202e}fdp.exe\n", "fdp.exe"),
            (".htaccess", "htaccess"),
            ("été ü.pdf", "été ü.pdf"),
        ] {
            assert_eq!(name(given).unwrap_or_default(), kept, "{given}");
        }
        for bad in ["", " ", "/", "\u{200b}", "...", "\0"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        let long = name(&format!("{}.pdf", "ü".repeat(400))).unwrap();
        assert!(long.chars().count() <= LONGEST_NAME && long.rsplit_once('.').is_some_and(|(_, e)| e == "pdf"));
    }

    #[test]
    fn what_a_browser_would_run_is_stored_as_text() {
        for (name, named, bytes, kind) in [
            ("a.pdf", None, &b"%PDF-1.4"[..], "application/pdf"),
            ("a.bin", Some("image/png"), b"x", "image/png"),
            ("a.xlsx", None, b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            ("a.zip", None, b"PK\x03\x04", "application/zip"),
            ("a.html", None, b"<html>", "text/plain"),
            ("a.pdf", Some("text/html"), b"%PDF", "text/plain"),
            ("a.svg", Some("image/svg+xml"), b"<svg/>", "text/plain"),
            ("a", Some("application/xhtml+xml"), b"x", "text/plain"),
            ("a", Some("TEXT/HTML"), b"x", "text/plain"),
            ("a", Some("application/javascript"), b"x", "text/plain"),
            ("a", Some("application/octet-stream"), b" \n<!DOCTYPE html><script>", "text/plain"),
            ("a", None, b"\xef\xbb\xbf<?xml version='1.0'?>", "text/plain"),
            ("a.dat", None, b"\x00\x01", "application/octet-stream"),
            ("a.csv", None, b"a,b", "text/csv"),
        ] {
            assert_eq!(stored_type(name, named, bytes), kind, "{name} {named:?}");
        }
        for good in ["image/png", "application/vnd.ms-excel", "image/svg+xml"] {
            assert!(is_mimetype(good, false), "{good}");
        }
        for bad in ["", "png", "image/", "/png", "image/*", "a/b/c", "text/plain; charset=x", "image/%"] {
            assert!(!is_mimetype(bad, false), "{bad}");
        }
        assert!(is_mimetype("image/*", true) && !is_mimetype("*/*", true));
    }

    #[test]
    fn a_picture_is_one_by_its_bytes_too() {
        let png = b"\x89PNG\r\n\x1a\nrest";
        assert_eq!(picture("image/png", png), Some("image/png"));
        assert_eq!(picture("image/png", b"<svg>"), None);
        assert_eq!(picture("image/jpeg", png), None);
        assert_eq!(picture("image/jpg", b"\xff\xd8\xff"), Some("image/jpeg"));
        assert_eq!(picture("image/webp", b"RIFF1234WEBPxxxx"), Some("image/webp"));
    }

    #[test]
    fn sizes() {
        assert_eq!((size(1), size(512), size(1_536)), ("1 byte".into(), "512 bytes".into(), "1.5 KB".into()));
        assert_eq!(size(10 * 1024 * 1024), "10.0 MB");
    }
}
