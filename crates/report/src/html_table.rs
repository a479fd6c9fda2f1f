//! Tables as HTML.

use maud::{Markup, html};

/// A table of figures: the heads of its columns, and its rows. A wide one scrolls.
pub fn figures(heads: &Markup, rows: &Markup) -> Markup {
    html! {
        div.scroll { table.figures { thead { tr { (heads) } } tbody { (rows) } } }
    }
}

/// The same with a row for each model.
pub fn by_model(heads: &[String], rows: &Markup) -> Markup {
    let heads = html! {
        th.l scope="col" { "model" }
        @for head in heads { th scope="col" { (head) } }
    };
    figures(&heads, rows)
}
