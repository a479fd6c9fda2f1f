//! What came instead, when almost nothing was answered correctly, and which flag would help.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schema::load::LoadResult;

use crate::error_class::ErrorClass;
use crate::malformed::Why;

/// Share of the scheduled requests below which a run has a headline.
const CORRECT_SHARE_MIN: f64 = 0.1;

/// One line for a run with hardly a correct reply; `None` for others.
pub(crate) fn of(result: &LoadResult) -> Option<String> {
    let (correct, scheduled) = (result.requests, result.scheduled);
    if scheduled == 0 || correct as f64 >= CORRECT_SHARE_MIN * scheduled as f64 {
        return None;
    }
    let most = result.errors.iter().max_by_key(|&(_, n)| *n);
    let class = most.map_or("", |(class, _)| class.as_str());
    let is = |of: &[ErrorClass]| of.iter().any(|of| of.name() == class);
    let what = if is(&[ErrorClass::Status, ErrorClass::Shed]) {
        let most = result.statuses.iter().max_by_key(|&(_, n)| *n);
        let status = most.map_or("another", |(status, _)| status.as_str());
        format!(
            "the status was {}; --expect-status {status} takes that as correct",
            counted(&result.statuses)
        )
    } else if is(&[ErrorClass::WrongBody]) {
        "the bodies differ from the first one; --body-check length, or none, compares less"
            .to_owned()
    } else if is(&[ErrorClass::Malformed]) {
        format!("what came is no reply: {}", reasons(result))
    } else if is(&[
        ErrorClass::EarlyEnd,
        ErrorClass::Reset,
        ErrorClass::WriteError,
    ]) {
        let hint = match result.new_connection {
            true => "",
            false => "; --new-connection opens one per request",
        };
        format!("the server closed the connections before their replies were whole{hint}")
    } else if is(&[ErrorClass::Timeout, ErrorClass::Censored]) {
        "no reply came in time; --timeout and --drain wait longer".to_owned()
    } else {
        format!("{} of {scheduled} were {class}", result.failures())
    };
    let how_many = match correct {
        0 => "no request was".to_owned(),
        n => format!("only {n} of {scheduled} requests were"),
    };
    Some(format!("{how_many} answered correctly: {what}"))
}

/// The reasons why bytes were no reply, most frequent first.
pub(crate) fn reasons(result: &LoadResult) -> String {
    most_first(&result.malformed, Why::words)
}

/// Statuses with their counts, most frequent first: `404 (17), 200 (3)`.
pub(crate) fn counted(statuses: &BTreeMap<String, u64>) -> String {
    most_first(statuses, |status| status)
}

fn most_first(counts: &BTreeMap<String, u64>, name: fn(&str) -> &str) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|&(_, n)| Reverse(*n));
    let counts = counts
        .iter()
        .map(|(what, n)| format!("{} ({n})", name(what)));
    counts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_flag() {
        for (class, flag) in [
            ("status", "--expect-status 404"),
            ("wrong_body", "--body-check length"),
            ("early_end", "--new-connection"),
            ("reset", "--new-connection"),
            ("timeout", "--timeout"),
            ("malformed", "bytes behind the end of the reply (100)"),
            ("refused", "100 of 100 were refused"),
        ] {
            let mut result = LoadResult {
                scheduled: 100,
                ..LoadResult::default()
            };
            result.errors.insert(class.to_owned(), 100);
            result.statuses.insert("404".to_owned(), 100);
            result.malformed.insert("extra_bytes".to_owned(), 100);
            let line = of(&result).unwrap();
            assert!(line.contains(flag) && !line.contains('\n'), "{line}");
            result.requests = 10;
            assert_eq!(of(&result), None);
        }
    }
}
