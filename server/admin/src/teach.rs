//! Refusals that teach: what does not exist, and what was perhaps meant.
use kernel::{Code, Refusal, refusal};

/// What a check of an argument gives.
pub(crate) type Checked<T> = std::result::Result<T, Refusal>;

/// How many names a refusal lists.
const SHOWN: usize = 3;

/// There is no such thing; `known` are the names that the caller may see.
pub(crate) fn not_found<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Refusal {
    let shown: String = name.chars().take(80).collect();
    let refused = refusal(Code::NotFound, format!("There is no {what} \"{shown}\"."));
    let known: Vec<&str> = known.into_iter().collect();
    let near = nearest(name, &known);
    match (near.as_slice(), known.as_slice()) {
        ([], []) => refused.next(format!("There is no {what} yet; create one first.")),
        ([], few) if few.len() <= 10 => refused.next(format!("There are: {}.", few.join(", "))),
        ([], many) => refused.next(format!("There are {} others; list them.", many.len())),
        (near, _) => refused.next(format!("Did you mean {}?", near.join(", "))),
    }
}

/// Nothing is told about what there is.
pub(crate) fn hidden(what: &str, name: &str) -> Refusal {
    let shown: String = name.chars().take(80).collect();
    refusal(Code::NotFound, format!("There is no {what} \"{shown}\"."))
        .next("Check the name; what belongs to others is not shown.")
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> =
        known.iter().map(|k| (strsim::jaro_winkler(&name, &k.to_lowercase()), *k)).filter(|(score, _)| *score >= 0.8).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(SHOWN).map(|(_, k)| k).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_perhaps_meant() {
        let known = ["acme", "globex", "initech"];
        assert_eq!(not_found("organization", "amce", known).next, "Did you mean acme?");
        assert_eq!(not_found("organization", "xxxx", known).next, "There are: acme, globex, initech.");
        assert_eq!(not_found("organization", "x", []).next, "There is no organization yet; create one first.");
    }
}
