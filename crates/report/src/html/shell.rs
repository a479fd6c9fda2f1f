//! What stands around the contents of every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::palette;
use crate::svg;

/// The style of every page.
const STYLE: &str = include_str!("page.css");

/// Opens the folded trials a link points into; browsers that do so themselves need none of it. Every
/// number of a row whose name is a link leads where the name does.
const SCRIPT: &str = "function open_target(){var e=document.getElementById(location.hash.slice(1));\
for(var d=e;d;d=d.parentElement)if(d.tagName=='DETAILS')d.open=true;if(e)e.scrollIntoView()}\
addEventListener('hashchange',open_target);if(location.hash)open_target();\
addEventListener('click',function(e){var t=e.target;if(t.closest('a')||!t.closest('td'))return;\
var a=t.closest('tr').querySelector('th a');if(a&&getSelection().isCollapsed)a.click()})";

/// What a reader must know first.
pub fn notices(notices: &[String]) -> Markup {
    html! {
        @if !notices.is_empty() {
            ul.notices { @for notice in notices { li { (notice) } } }
        }
    }
}

/// A whole page: its title, what stands below that, its contents.
pub fn page(title: &str, lead: &Markup, contents: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, &[STYLE, &svg::style(), &key_rules()]))
            body {
                header { h1 { (title) } (lead) }
                main { (contents) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// The head of a page that needs nothing beside itself.
pub fn head(title: &str, styles: &[&str]) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            style { @for style in styles { (PreEscaped(style)) } }
        }
    }
}

/// Style rules of the coloured keys before the models' names.
fn key_rules() -> String {
    let rules = |dark| palette::rules(&[('b', "background")], dark);
    format!(
        "{}@media(prefers-color-scheme:dark){{{}}}",
        rules(false),
        rules(true)
    )
}
