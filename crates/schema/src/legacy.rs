//! The sentences of runs that were recorded before reasons had codes.

use crate::reason::{Code, Effect, Reason};

/// How sentences that are not about the server began, and those by which a decision was made.
const BEGINNINGS: &[(&str, Code)] = &[
    ("the generator itself", Code::GeneratorLate),
    ("generator-late", Code::GeneratorLate),
    ("the generator calls its run", Code::GeneratorInvalid),
    ("the generator failed", Code::GeneratorFailed),
    ("generator-bound", Code::GeneratorCpu),
    ("generator CPU", Code::GeneratorCpu),
    ("no figure of the null server", Code::NoNullServer),
    ("result above", Code::NearNullServer),
    ("sent/scheduled", Code::NotSent),
    ("the hypervisor", Code::Steal),
    ("steal ", Code::Steal),
    ("no request was due", Code::NothingDue),
    ("no request was answered", Code::NothingAnswered),
    ("outcomes add up", Code::OutcomesDoNotAddUp),
    ("outcomes do not add up", Code::OutcomesDoNotAddUp),
    ("Little's law", Code::LittlesLaw),
    ("interrupted", Code::Interrupted),
    ("the windows of the", Code::WindowsApart),
    ("none of ", Code::CapacityUndecided),
    ("not confirmed", Code::CapacityUnconfirmed),
    ("no capacity", Code::CapacityNone),
    ("measured again as", Code::Repeated),
    (
        "the process of this server is not known",
        Code::ProcessUnknown,
    ),
    ("there is no objective", Code::NoObjective),
    ("does not answer ", Code::NotOffered),
    ("route not offered", Code::NotOffered),
    ("the server did not start", Code::NotStarted),
    ("the server ended before", Code::EndedEarly),
    ("no end of the drain", Code::NotDrained),
];

/// The reason that a sentence of an old file gave.
pub(crate) fn reason(sentence: &str) -> Reason {
    let (effect, text) = match sentence.strip_prefix("limited: ") {
        Some(text) => (Effect::Limits, text),
        None => (Effect::Invalidates, sentence),
    };
    Reason::new(code(text), effect, text)
}

fn code(text: &str) -> Code {
    if text.starts_with("at least ") {
        // Said of a throughput beside the null server's, and of a capacity without an upper end.
        return match text.contains("of the null server's throughput") {
            true => Code::NearNullServer,
            false => Code::CapacityAtLeast,
        };
    }
    let known = BEGINNINGS.iter().find(|(begin, _)| text.starts_with(begin));
    known.map_or(Code::Unknown, |&(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::About;

    #[test]
    fn what_old_gates_said_is_told_apart() {
        for (whom, sentence) in [
            (
                About::Generator,
                "the generator itself was late: p99 310 µs, 100 µs allowed",
            ),
            (
                About::Machine,
                "the hypervisor took 1.2 % of the CPU time, 1 % allowed",
            ),
            (
                About::Generator,
                "generator-bound: it used 93 % of its CPU, 85 % allowed",
            ),
            (
                About::Generator,
                "at least 157774/s, generator-bound: 84 % of the null server's throughput, 70 % allowed",
            ),
            (About::Generator, "measured again as 00013r"),
            (About::Generator, "sent/scheduled 0.950 is below 0.99"),
            (About::Generator, "none of 6 steps decided anything"),
            (About::Design, "route not offered: 404"),
            (About::Server, "12 replies had a wrong body"),
            (About::Server, "3 connections were lost"),
            (About::Server, "no request was answered correctly"),
            (
                About::Server,
                "no capacity: at 4000/s: 12 replies had a wrong body",
            ),
            (
                About::Server,
                "the server did not start: bind: Address already in use",
            ),
            (About::Server, "no end of the drain within 10 s"),
            (About::Server, "the generator failed: connection refused"),
            (About::Server, "something nobody has thought of yet"),
        ] {
            assert_eq!(reason(sentence).about, whom, "{sentence}");
        }
    }
}
