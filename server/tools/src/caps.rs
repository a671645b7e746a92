//! The organization's caps as tools meet them: what one search may give, and how many records one call may name.
use backends::{Scope, odoo::Reader};
use kernel::{Code, Result, refusal};

use crate::args::Ids;

/// How many records a search gives when nobody says.
pub const DEFAULT_LIMIT: u64 = 80;

fn most(scope: &Scope) -> u64 {
    scope.max_records.min(scope.max_search_limit).max(1)
}
/// Whether there is more than `limit` groups, when one more was asked for: at the cap itself one more is never given.
pub fn more(scope: &Scope, limit: u64, got: usize) -> bool {
    got as u64 > limit || (got as u64 == limit && limit >= most(scope))
}
/// What a search may give: the limit within the caps, and a note when that is less than was asked. What is more than any
/// search may give is refused.
pub fn limit(scope: &Scope, asked: Option<u64>, default: u64) -> Result<(u64, Option<String>)> {
    let Some(asked) = asked else { return Ok((default.min(most(scope)), None)) };
    let refused = |message: String, next: &'static str| Err(refusal(Code::InvalidArgument, message).next(next).into());
    if asked == 0 {
        return refused("limit: at least 1.".to_owned(), "Leave it out for the default, or use count to count only.");
    }
    if asked > scope.max_search_limit {
        let message = format!("limit: {asked} is more than the {} that a search may give.", scope.max_search_limit);
        return refused(message, "Use offset to page through the rest, or aggregation to sum it up.");
    }
    let cap = most(scope);
    let note = (asked > cap).then(|| format!("The limit was lowered to {cap}, the most that one call may give."));
    Ok((asked.min(cap), note))
}

/// The records that a call names, each once; refuses an empty list, and one longer than a call may name.
pub fn named(reader: &Reader, ids: &Ids) -> Result<Vec<i64>> {
    let ids = ids.distinct();
    if ids.is_empty() {
        return Err(refusal(Code::InvalidArgument, "ids is empty.").next("Name at least one record.").into());
    }
    let cap = reader.scope().max_records;
    if ids.len() as u64 > cap {
        return Err(refusal(Code::TooLarge, format!("ids names {} records; one call may name {cap}.", ids.len()))
            .next("Split the list over several calls.")
            .into());
    }
    Ok(ids)
}

/// `1 record`, `5 records`.
pub fn records(n: usize) -> String {
    if n == 1 { "1 record".to_owned() } else { format!("{n} records") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kernel::Selection;

    use super::*;

    #[test]
    fn a_limit_stays_within_the_caps_and_says_so() {
        let scope = Scope {
            models: Selection::All,
            methods: BTreeSet::new(),
            companies: Selection::All,
            lifts: &[],
            restricted: false,
            max_records: 500,
            max_search_limit: 1000,
            rules: None,
        };
        assert_eq!(limit(&scope, None, 80).unwrap(), (80, None));
        assert_eq!(limit(&scope, Some(500), 80).unwrap(), (500, None));
        let (capped, note) = limit(&scope, Some(900), 80).unwrap();
        assert_eq!(capped, 500);
        assert!(note.unwrap().contains("500"));
        assert!(limit(&scope, Some(0), 80).is_err());
        assert!(limit(&scope, Some(5000), 80).unwrap_err().public().message.contains("1000"));
        assert!(more(&scope, 80, 81) && !more(&scope, 80, 80));
        assert!(more(&scope, 500, 500) && !more(&scope, 500, 499));
        let small = Scope { max_records: 20, ..scope };
        assert_eq!(limit(&small, None, 80).unwrap(), (20, None));
    }
}
