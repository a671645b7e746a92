//! What a dump says: the attachments' files, the modules and their versions, read from the rows of two tables as pg_dump writes
//! them, without holding a row in memory.
use std::collections::{BTreeMap, BTreeSet};

/// Names of files in a filestore, `ab/ab12…` (or `abc/abc1…` as Odoo once named them), packed: the folder's length and the digest.
#[derive(Debug, Default, Clone)]
pub(super) struct Names {
    names: BTreeSet<[u8; 21]>,
    /// `store_fname`s that are no names of the filestore: another module keeps these contents elsewhere.
    pub elsewhere: u64,
}
impl Names {
    pub(super) fn add(&mut self, name: &str) {
        match pack(name) {
            Some(packed) => drop(self.names.insert(packed)),
            None => self.elsewhere += 1,
        }
    }
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
    pub(super) fn has(&self, name: &str) -> bool {
        pack(name).is_some_and(|packed| self.names.contains(&packed))
    }
    pub(super) fn iter(&self) -> impl Iterator<Item = String> + Send + '_ {
        self.names.iter().map(unpack)
    }
}

fn pack(name: &str) -> Option<[u8; 21]> {
    let (folder, file) = name.split_once('/')?;
    if !(2..=3).contains(&folder.len()) || file.len() != 40 || !file.starts_with(folder) {
        return None;
    }
    let mut packed = [0; 21];
    let (first, rest) = packed.split_first_mut()?;
    *first = u8::try_from(folder.len()).ok()?;
    for (byte, pair) in rest.iter_mut().zip(file.as_bytes().chunks(2)) {
        let &[high, low] = pair else { return None };
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(packed)
}
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
fn unpack(packed: &[u8; 21]) -> String {
    let [length, digest @ ..] = packed;
    let file = hex(digest);
    let folder = file.get(..usize::from(*length)).unwrap_or_default();
    format!("{folder}/{file}")
}
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads the SQL text of a dump piece by piece.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    /// The rows of a table are being read.
    table: Option<Table>,
    pub names: Names,
    /// Installed modules and their versions in the database.
    pub modules: BTreeMap<String, String>,
    pub attachments: bool,
    /// The line that pg_dump ends a plain dump with has come, and nothing after it that matters.
    pub complete: bool,
}
#[derive(Debug)]
struct Table {
    which: Which,
    /// Indices of the columns that are wanted.
    wanted: Vec<usize>,
    column: usize,
    values: Vec<String>,
    value: Vec<u8>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Attachments,
    Modules,
    Other,
}
/// Bytes of a line or value that are looked at.
const LONGEST: usize = 64 << 10;

impl Reader {
    pub(super) fn read(&mut self, data: &[u8]) {
        for byte in data {
            if self.table.is_some() {
                self.in_rows(*byte);
            } else if *byte == b'\n' {
                self.statement();
            } else if self.line.len() < LONGEST {
                self.line.push(*byte);
            }
        }
    }
    /// A line outside of rows.
    fn statement(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if line == "-- PostgreSQL database dump complete" {
            self.complete = true;
        } else if !(line.is_empty() || line.starts_with("--") || line.starts_with("\\unrestrict ")) {
            self.complete = false;
        }
        let Some((table, columns)) = line
            .strip_prefix("COPY ")
            .and_then(|rest| rest.strip_suffix(" FROM stdin;"))
            .map(|rest| rest.split_once(" (").unwrap_or((rest, "")))
        else {
            return;
        };
        let columns: Vec<_> = columns.trim_end_matches(')').split(", ").map(|column| column.trim_matches('"')).collect();
        let find = |names: &[&str]| -> Vec<usize> {
            names.iter().filter_map(|name| columns.iter().position(|column| column == name)).collect()
        };
        let (which, wanted) = match table {
            "public.ir_attachment" => (Which::Attachments, find(&["store_fname"])),
            "public.ir_module_module" => (Which::Modules, find(&["name", "state", "latest_version"])),
            _ => (Which::Other, Vec::new()),
        };
        self.attachments |= which == Which::Attachments && wanted.len() == 1;
        let values = vec![String::new(); wanted.len()];
        self.table = Some(Table { which, wanted, column: 0, values, value: Vec::new() });
    }
    fn in_rows(&mut self, byte: u8) {
        let Some(table) = &mut self.table else { return };
        match byte {
            b'\t' | b'\n' => {
                if byte == b'\n' && table.column == 0 && table.value == b"\\." {
                    self.table = None;
                    return;
                }
                let value = std::mem::take(&mut table.value);
                if let Some(at) = table.wanted.iter().position(|wanted| *wanted == table.column)
                    && let Some(place) = table.values.get_mut(at)
                {
                    *place = String::from_utf8_lossy(&value).into_owned();
                }
                table.column += 1;
                if byte == b'\n' {
                    table.column = 0;
                    let (which, values) = (table.which, table.values.clone());
                    self.row(which, &values);
                }
            }
            byte => {
                let wanted = table.column == 0 || table.wanted.contains(&table.column);
                if wanted && table.value.len() < 512 {
                    table.value.push(byte);
                }
            }
        }
    }
    fn row(&mut self, which: Which, values: &[String]) {
        match (which, values) {
            (Which::Attachments, [name]) if name != "\\N" && !name.is_empty() => self.names.add(name),
            (Which::Modules, [name, state, version]) if state == "installed" || state == "to upgrade" => {
                let version = if version == "\\N" { "" } else { version };
                self.modules.insert(name.clone(), version.to_owned());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_wherever_the_text_is_cut_and_not_from_other_tables() {
        let hash = "ab".repeat(20);
        let text = format!(
            "SET x = 0;\nCOPY public.res_partner (name, note) FROM stdin;\nCOPY public.ir_attachment (store_fname) FROM stdin;\t\\N\n\
             cd/{}\tx\n\\.\n\n\
             COPY public.ir_attachment (id, name, store_fname, type) FROM stdin;\n1\ta\\tb\tab/{hash}\tbinary\n2\tx\t\\N\turl\n\
             3\ty\ts3://bucket/key\tbinary\n4\tz\tab/{hash}\tbinary\n\\.\n\
             COPY public.ir_module_module (id, state, name, latest_version) FROM stdin;\n1\tinstalled\tbase\t19.0.1.3\n\
             2\tuninstalled\tcrm\t\\N\n\\.\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n",
            "cd".repeat(20)
        );
        for cut in [1, 7, 64, 100_000] {
            let mut reader = Reader::default();
            for piece in text.as_bytes().chunks(cut) {
                reader.read(piece);
            }
            assert_eq!(reader.names.iter().collect::<Vec<_>>(), [format!("ab/{hash}")], "cut at {cut}");
            assert_eq!(reader.names.elsewhere, 1);
            assert_eq!(reader.modules.into_iter().collect::<Vec<_>>(), [("base".to_owned(), "19.0.1.3".to_owned())]);
            assert!(reader.complete && reader.attachments);
        }
        let mut reader = Reader::default();
        reader.read(b"-- PostgreSQL database dump complete\nDROP TABLE x;\n");
        assert!(!reader.complete);
    }

    #[test]
    fn names_are_those_of_a_filestore_alone() {
        let mut names = Names::default();
        let hash = "0123456789abcdef0123456789abcdef01234567";
        for name in
            [format!("01/{hash}"), format!("012/{hash}"), format!("01/../{hash}"), format!("02/{hash}"), "01/x".to_owned()]
        {
            names.add(&name);
        }
        assert_eq!(names.iter().collect::<Vec<_>>(), [format!("01/{hash}"), format!("012/{hash}")]);
        assert_eq!((names.len(), names.elsewhere), (2, 3));
        assert!(names.has(&format!("012/{hash}")) && !names.has("x"));
    }
}
