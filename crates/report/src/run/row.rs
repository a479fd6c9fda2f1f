//! The rows of the report, and their order.

use std::collections::BTreeSet;

use super::order::place;
use crate::data::{Grid, Role, Trial};
use crate::palette;

/// A row of the report: a model, one of its variants, a peer, the placebo or the null server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name shown.
    pub label: String,
    pub model: String,
    pub variant: String,
    /// Measured model, peer, placebo or null server.
    pub role: Role,
    /// The model whose colour it is drawn in: its own, or the one that a peer implements.
    pub family: String,
    /// It is shown beside a model that is measured too, and is not ranked itself.
    pub peer: bool,
    /// Its size, where several of one server are measured.
    pub grid: Option<Grid>,
}

impl Row {
    /// `true` for a server that is not of the collection and is shown beside a model of it.
    pub fn is_peer(&self) -> bool {
        self.peer
    }

    /// `true` for what is ranked: models, and servers that are measured for their own sake.
    pub fn is_ranked(&self) -> bool {
        matches!(self.role, Role::Model | Role::Target) && !self.peer
    }

    /// `true` for a variant of a model that is not its default.
    pub fn is_variant(&self) -> bool {
        self.role == Role::Model && self.label != self.model
    }

    /// `true` for what is no model's default variant.
    pub fn is_aside(&self) -> bool {
        self.label != self.model || self.is_peer()
    }
}

/// The distinct rows of `trials`: models in the order of the literature, then the controls.
pub fn rows(trials: &[Trial]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut seen = BTreeSet::new();
    // Where no model is measured, there is nothing to be shown beside.
    let some_model = trials.iter().any(|trial| trial.role == Role::Model);
    for trial in trials {
        if seen.insert(trial.label.as_str()) {
            let family = trial.beside.as_ref().unwrap_or(&trial.model);
            rows.push(Row {
                label: trial.label.clone(),
                model: trial.model.clone(),
                variant: trial.variant.clone(),
                role: trial.role,
                family: family.clone(),
                peer: trial.role == Role::Target && trial.beside.is_some() && some_model,
                grid: trial.grid.clone(),
            });
        }
    }
    rows.sort_by_cached_key(|row| {
        let control = match row.role {
            Role::Model | Role::Target => 0,
            Role::Placebo => 1,
            Role::Null => 2,
        };
        // A model's default variant bears the bare name and so sorts before the others; peers stand
        // behind the variants of the model that they implement.
        (
            control,
            place(&palette::MODELS, &row.family),
            row.is_peer(),
            row.label.clone(),
        )
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(label: &str, role: &str, beside: Option<&str>) -> Trial {
        let beside = beside.map_or("null".to_owned(), |model| format!("\"{model}\""));
        let line = format!(
            r#"{{"id":"1","model":"{label}","variant":"","label":"{label}","role":"{role}",
            "beside":{beside},"scenario":"s","size":"quick","block":0,"order":0,"seed":7,
            "workers":null,"shape":{{"mode":"closed","rate":null,"connections":1,"pipeline":1,
            "keep_alive":true,"path":"/","duration_s":1.0}},"validity":"VALID","reasons":[],
            "server_command":"s","load_command":"l","figures":null}}"#
        );
        serde_json::from_str(&line).expect("a line")
    }

    #[test]
    fn a_target_is_ranked_unless_it_is_shown_beside_a_model_that_is_there() {
        let ranked = |trials: &[Trial]| -> Vec<String> {
            let rows = rows(trials).into_iter();
            rows.filter(Row::is_ranked).map(|row| row.label).collect()
        };
        let (alone, beside) = (
            trial("alone", "target", None),
            trial("beside", "target", Some("prefork")),
        );
        let null = trial("null", "null", None);
        let targets = [null, alone, beside];
        assert_eq!(ranked(&targets), ["beside", "alone"]);
        let model = trial("prefork", "model", None);
        let with_model = [&targets[..], &[model]].concat();
        assert_eq!(ranked(&with_model), ["prefork", "alone"]);
    }
}
