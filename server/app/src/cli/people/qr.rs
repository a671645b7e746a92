//! A QR code on a terminal: two rows of modules in each line of text, black on white whatever the terminal's own colours are.
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code. Four are the rule (ISO/IEC 18004 section 5.3.8); readers manage with two, and terminals are small.
const QUIET: usize = 2;
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16m\u{1b}[48;5;231m";
const PLAIN: &str = "\u{1b}[0m";

/// The lines of a code for this text, or none when it would be wider than `columns`.
pub fn lines(text: &str, columns: usize) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let size = code.width();
    let side = size + 2 * QUIET;
    if side > columns {
        return None;
    }
    let colors = code.into_colors();
    let dark = |x: usize, y: usize| {
        let inside = x.checked_sub(QUIET).zip(y.checked_sub(QUIET)).filter(|(x, y)| *x < size && *y < size);
        inside.and_then(|(x, y)| colors.get(y * size + x)) == Some(&Color::Dark)
    };
    let line = |y: usize| {
        let blocks = (0..side).map(|x| match (dark(x, y), dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        });
        format!("{BLACK_ON_WHITE}{}{PLAIN}", blocks.collect::<String>())
    };
    Some((0..side).step_by(2).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the lines as a camera sees them: colours, blocks, and all.
    fn decoded(lines: &[String], pixels: usize) -> String {
        let rows: Vec<Vec<bool>> = lines
            .iter()
            .flat_map(|line| {
                let blocks = line.strip_prefix(BLACK_ON_WHITE).unwrap().strip_suffix(PLAIN).unwrap();
                let upper = blocks.chars().map(|c| matches!(c, '█' | '▀')).collect();
                let lower = blocks.chars().map(|c| matches!(c, '█' | '▄')).collect();
                [upper, lower]
            })
            .collect();
        let (width, height) = (rows[0].len() * pixels, rows.len() * pixels);
        let mut image =
            rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| if rows[y / pixels][x / pixels] { 0 } else { 255 });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "one code is seen");
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_code_can_be_read_again() {
        for text in ["https://ocore.example.com/device?user_code=BCKF-HMLT", "http://127.0.0.1:8321/device?user_code=BCKF-HMLT"] {
            let lines = lines(text, 80).unwrap();
            assert!(lines.len() < 24, "{} lines", lines.len());
            assert_eq!(decoded(&lines, 4), text);
        }
        let long = format!("https://ocore.example.com/{}", "x".repeat(200));
        assert_eq!(decoded(&lines(&long, 200).unwrap(), 3), long);
    }

    #[test]
    fn a_narrow_terminal_gets_none() {
        assert!(lines("https://ocore.example.com/device?user_code=BCKF-HMLT", 30).is_none());
        assert!(lines(&"x".repeat(5000), 500).is_none());
    }
}
