//! Why a figure may not be believed, or was not measured.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::slice::Figure;

/// One reason: a code to decide by, the figures behind it, and a text to print.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// What was found.
    pub code: Code,
    /// Whom it is about.
    pub about: About,
    /// What follows from it.
    pub effect: Effect,
    /// The figures behind it, by name; the unit is the last word of the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// The figures that it spoils, where it invalidates or limits; empty means all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spoils: Vec<Figure>,
    /// One sentence for people. Nothing is ever decided by it.
    pub text: String,
}

/// Whom a reason is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The machine or its hypervisor.
    Machine,
    /// The load generator, or the bench around it.
    Generator,
    /// The server.
    Server,
    /// What was asked for: the model does not do it by design, or the server does not offer it.
    Design,
}

/// What follows from a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: it is only told.
    Notes,
    /// The figures are a bound of what the server can do ("at least"), and are not ranked.
    Limits,
    /// The figures are not to be used.
    Invalidates,
    /// Nothing was measured, and nothing is wrong with that.
    Excuses,
}

/// Declares the codes, each with whom it is about.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident: $about:ident,)+) => {
        /// What was found. Codes are only ever added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
            /// A code that this version does not know. It is taken to be about the server, so that
            /// nothing new is overlooked.
            #[serde(other)]
            Unknown,
        }

        impl Code {
            /// Every code that this version writes.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// Whom a reason of this code is about.
            pub fn about(self) -> About {
                match self {
                    $(Code::$name => About::$about,)+
                    Code::Unknown => About::Server,
                }
            }

            /// What was found, in one sentence for people, without its full stop.
            pub fn text(self) -> &'static str {
                let text = match self {
                    $(Code::$name => concat!($($doc),+),)+
                    Code::Unknown => "a finding that this version does not know",
                };
                let sentence = text.split_once(". ").map_or(text, |(first, _)| first);
                sentence.trim().trim_end_matches('.')
            }
        }
    };
}

codes! {
    /// The hypervisor took time from the CPUs used.
    Steal: Machine,
    /// Something other than the server used the server's CPUs.
    ServerCpusShared: Machine,
    /// Something other than the generator used the generator's CPUs.
    LoadCpusShared: Machine,
    /// Another bench ran on the same CPUs.
    AnotherBench: Machine,
    /// A counter cannot be read here, or a tracer cannot attach to the server.
    NotCounted: Machine,
    /// The generator sent what was due too late.
    GeneratorLate: Generator,
    /// The generator had no CPU to spare.
    GeneratorCpu: Generator,
    /// The throughput is too near that of the null server: the generator may be the limit.
    NearNullServer: Generator,
    /// There is no figure of the null server to compare with.
    NoNullServer: Generator,
    /// Too few of the scheduled requests were sent.
    NotSent: Generator,
    /// No request was due in the window.
    NothingDue: Generator,
    /// The outcomes do not add up to what was scheduled.
    OutcomesDoNotAddUp: Generator,
    /// Throughput times response is not what was in flight. What a server does to break it has a
    /// reason of its own.
    LittlesLaw: Generator,
    /// The run was interrupted.
    Interrupted: Generator,
    /// The windows of merged runs have too little in common.
    WindowsApart: Generator,
    /// A machine that took part has no record in the sum.
    RunMissing: Generator,
    /// The generator calls its run invalid and does not say why.
    GeneratorInvalid: Generator,
    /// The generator failed. What it could not do is the server's to explain.
    GeneratorFailed: Server,
    /// The trial was measured again under another name.
    Repeated: Generator,
    /// The process of a server that runs elsewhere is not known, so it cannot be looked at.
    ProcessUnknown: Generator,
    /// A scenario without an objective has no capacity.
    NoObjective: Generator,
    /// No step of a capacity search decided anything.
    CapacityUndecided: Generator,
    /// The capacity is at least this much: the search ended before a rate failed.
    CapacityAtLeast: Generator,
    /// The bracket of a capacity search was not confirmed.
    CapacityUnconfirmed: Generator,
    /// The bracket is wide, because a narrow one would take windows that the size has no time for.
    CapacityCoarse: Generator,
    /// A capacity search found no capacity, because the server did something wrong.
    CapacityNone: Server,
    /// No request was answered correctly.
    NothingAnswered: Server,
    /// Replies had a wrong body.
    WrongBodies: Server,
    /// Replies had another status than a right one, such as 503 of a server that sheds load.
    WrongStatuses: Server,
    /// Connections got no reply while others were served.
    ConnectionsSilent: Server,
    /// Connections broke.
    ConnectionsLost: Server,
    /// Fewer connections were open than asked for.
    ConnectionsMissing: Server,
    /// The server closed connections that were to be kept.
    ConnectionsClosed: Server,
    /// Connections were opened again before a slice: the server had closed them, or had left a
    /// request on them unanswered.
    ConnectionsReopened: Server,
    /// The server does not come to rest without load, and is stopped by a signal between its slices.
    StoppedBetween: Server,
    /// Fewer idle connections were opened than asked for.
    IdleMissing: Server,
    /// The server closed idle connections.
    IdleClosed: Server,
    /// The server did not start.
    NotStarted: Server,
    /// The server answered a check before the load wrongly.
    NotVerified: Server,
    /// The server ended before it was told to.
    EndedEarly: Server,
    /// The server runs and answers no more.
    Hangs: Server,
    /// The server's reply is not the same every time: only its length or status is checked.
    ReplyChanges: Server,
    /// The server did not end within its grace.
    NotDrained: Server,
    /// The server left processes behind.
    ProcessesLeft: Server,
    /// The server ended with another exit code than 0.
    ExitCode: Server,
    /// The model does not do this shape, by design.
    BlocksByDesign: Design,
    /// A server of somebody else's does not have the scenario's route.
    NotOffered: Design,
}

impl Reason {
    /// A reason of `code`, with a sentence for people.
    pub fn new(code: Code, effect: Effect, text: impl Into<String>) -> Reason {
        Reason {
            code,
            about: code.about(),
            effect,
            figures: BTreeMap::new(),
            spoils: Vec::new(),
            text: text.into(),
        }
    }

    /// The same with one of the figures behind it.
    #[must_use]
    pub fn with(mut self, name: &str, figure: f64) -> Reason {
        self.figures.insert(name.to_owned(), figure);
        self
    }

    /// The same about some of the figures only; the others may be used.
    #[must_use]
    pub fn spoiling(mut self, spoils: &[Figure]) -> Reason {
        self.spoils = spoils.to_vec();
        self
    }

    /// Whether `figure` is among what its effect holds for.
    pub fn concerns(&self, figure: Figure) -> bool {
        self.spoils.is_empty() || self.spoils.contains(&figure)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_later_version_is_about_the_server() {
        let json = r#"{"code": "cosmic_rays", "about": "server", "effect": "limits", "text": "?"}"#;
        let reason: Reason = serde_json::from_str(json).unwrap();
        assert_eq!(
            (reason.code, reason.code.about()),
            (Code::Unknown, About::Server)
        );
    }

    #[test]
    fn every_code_has_a_sentence() {
        let text = Code::GeneratorLate.text();
        assert_eq!(text, "The generator sent what was due too late");
        // Where the declaration takes two lines, and where it has a second sentence.
        let reopened = "The server does not come to rest without load, and is stopped by a signal between its slices";
        assert_eq!(Code::StoppedBetween.text(), reopened);
        assert_eq!(Code::GeneratorFailed.text(), "The generator failed");
        for code in Code::ALL {
            let text = code.text();
            assert!(text.len() > 8 && !text.contains("  "), "{code:?}: {text}");
        }
    }

    #[test]
    fn codes_are_written_in_snake_case() {
        let reason =
            Reason::new(Code::LittlesLaw, Effect::Invalidates, "text").with("in_flight", 2.5);
        assert_eq!(
            serde_json::to_string(&reason).unwrap(),
            r#"{"code":"littles_law","about":"generator","effect":"invalidates","figures":{"in_flight":2.5},"text":"text"}"#
        );
    }
}
