//! The answer as a page that works from disk.

use maud::{DOCTYPE, PreEscaped, html};
use schema::profile::Profile;
use workload::Workload;

use crate::answer::Answer;
use crate::facts::Facts;
use crate::{plot, text};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:1rem;background:#f2f4f7;font-size:13px}svg{max-width:100%;height:auto}\
@media(prefers-color-scheme:dark){body{color:#e6ebf2;background:#12161c}pre{background:#1b212a}}";

/// The page of an answer.
pub fn page(
    answer: &Answer,
    workload: &Workload,
    profile: &Profile,
    facts: &[Facts],
    seed: u64,
) -> String {
    let plots = plot::plots(answer, workload, profile, facts, seed);
    html! {
        (DOCTYPE)
        html lang="en" {
            (report::head("Which model for this workload", &[STYLE, &report::svg::style()]))
            body {
                h1 { "Which model for this workload" }
                pre { (text::text(answer)) }
                @if !plots.is_empty() {
                    h2 { "Predictions" }
                    p { "Each point is a simulation; both axes are logarithmic." }
                }
                @for (_, plot) in &plots { (PreEscaped(plot.inline())) }
                h2 { "The workload" }
                pre { (workload.to_string()) }
            }
        }
    }
    .into_string()
}
