//! A table of models by figures, for Markdown and HTML alike.

use maud::{Markup, html};

use super::short::family;
use crate::html_table::by_model;
use crate::palette;

/// Rows of text below heads; the first column is the model.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Heads of the columns behind the model's name.
    pub heads: Vec<String>,
    /// A model, and as many figures as there are heads.
    pub rows: Vec<(String, Vec<String>)>,
}

impl Table {
    pub fn markdown(&self) -> String {
        let heads = self.heads.iter().cloned();
        let mut table =
            crate::markdown::Table::new(std::iter::once("model".to_owned()).chain(heads));
        for (model, figures) in &self.rows {
            table.push(std::iter::once(model.clone()).chain(figures.iter().cloned()));
        }
        table.render()
    }

    /// As HTML.
    pub fn html(&self) -> Markup {
        let rows = html! {
            @for (model, figures) in &self.rows {
                tr {
                    th scope="row" { i class={ "key b" (palette::class(family(model))) } {} (model) }
                    @for figure in figures { td { (figure) } }
                }
            }
        };
        by_model(&self.heads, &rows)
    }
}
