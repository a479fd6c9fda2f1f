//! The reasons of a run or a trial, as they stand in its file.
//!
//! A file holds them twice: `findings` for programs, whole, and `reasons`, their texts alone, which
//! is part of the outside contract. Files written before there were findings hold only the texts.

use serde::{Deserialize, Serialize};

use crate::legacy;
use crate::reason::{About, Code, Effect, Reason};
use crate::slice::Figure;

/// Reasons, to be flattened into the object they belong to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct Reasons(pub Vec<Reason>);

/// The two fields of the file.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default)]
    reasons: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Reason>,
}

impl From<Fields> for Reasons {
    fn from(fields: Fields) -> Reasons {
        if !fields.findings.is_empty() {
            return Reasons(fields.findings);
        }
        let findings = fields.reasons.iter().map(|text| legacy::reason(text));
        Reasons(findings.collect())
    }
}

impl From<Reasons> for Fields {
    fn from(Reasons(findings): Reasons) -> Fields {
        let reasons = findings.iter().map(|reason| reason.text.clone()).collect();
        Fields { reasons, findings }
    }
}

impl From<Vec<Reason>> for Reasons {
    fn from(reasons: Vec<Reason>) -> Reasons {
        Reasons(reasons)
    }
}

impl std::ops::Deref for Reasons {
    type Target = Vec<Reason>;

    fn deref(&self) -> &Vec<Reason> {
        &self.0
    }
}

impl std::ops::DerefMut for Reasons {
    fn deref_mut(&mut self) -> &mut Vec<Reason> {
        &mut self.0
    }
}

impl Reasons {
    /// Whether one of them has this code.
    pub fn has(&self, code: Code) -> bool {
        self.iter().any(|reason| reason.code == code)
    }

    /// Those about `whom`.
    pub fn about(&self, whom: About) -> impl Iterator<Item = &Reason> {
        self.iter().filter(move |reason| reason.about == whom)
    }

    /// Whether one of them has this effect.
    pub fn any(&self, effect: Effect) -> bool {
        self.iter().any(|reason| reason.effect == effect)
    }

    /// The worst that they say of one group of figures: invalid before limited; `None` when it may
    /// be used.
    pub fn worst(&self, figure: Figure) -> Option<Effect> {
        let says = |effect| {
            let mut all = self.iter();
            all.any(|reason| reason.effect == effect && reason.concerns(figure))
        };
        let worst = [Effect::Invalidates, Effect::Limits];
        worst.into_iter().find(|&effect| says(effect))
    }

    /// Their texts on one line.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.iter().map(|reason| reason.text.as_str()).collect();
        texts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Trial {
        id: u32,
        #[serde(flatten)]
        reasons: Reasons,
    }

    #[test]
    fn a_file_holds_texts_and_findings() {
        let trial = Trial {
            id: 1,
            reasons: vec![Reason::new(Code::Steal, Effect::Invalidates, "stolen")].into(),
        };
        let json = serde_json::to_value(&trial).unwrap();
        assert_eq!(json["reasons"], serde_json::json!(["stolen"]));
        assert_eq!(json["findings"][0]["code"], "steal");
        assert_eq!(serde_json::from_value::<Trial>(json).unwrap(), trial);
    }

    #[test]
    fn a_finding_about_one_figure_leaves_the_others() {
        let late = Reason::new(Code::GeneratorLate, Effect::Invalidates, "late");
        let bound = Reason::new(Code::NearNullServer, Effect::Limits, "bound");
        let some = [
            late.clone().spoiling(&[Figure::Latency]),
            bound.spoiling(&[Figure::Latency, Figure::Throughput]),
        ];
        let reasons = Reasons(some.to_vec());
        assert_eq!(reasons.worst(Figure::Latency), Some(Effect::Invalidates));
        assert_eq!(reasons.worst(Figure::Throughput), Some(Effect::Limits));
        assert_eq!(reasons.worst(Figure::ServerCpu), None);
        // A finding that names no figure is about all of them.
        let all = Reasons(vec![late]);
        assert_eq!(all.worst(Figure::Memory), Some(Effect::Invalidates));
        let json = serde_json::to_value(&reasons).unwrap();
        assert_eq!(
            json["findings"][0]["spoils"],
            serde_json::json!(["latency"])
        );
        assert_eq!(serde_json::from_value::<Reasons>(json).unwrap(), reasons);
    }

    #[test]
    fn a_file_without_findings_is_read_by_its_texts() {
        let json = r#"{"id": 1, "reasons": ["limited: generator CPU 90 % is above 85 %"]}"#;
        let trial: Trial = serde_json::from_str(json).unwrap();
        let reason = &trial.reasons[0];
        assert_eq!(
            (reason.code, reason.effect),
            (Code::GeneratorCpu, Effect::Limits)
        );
        assert_eq!(reason.text, "generator CPU 90 % is above 85 %");
        let none: Trial = serde_json::from_str(r#"{"id": 1}"#).unwrap();
        assert!(none.reasons.is_empty());
    }
}
