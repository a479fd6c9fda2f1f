//! What stands around the contents of every page.

use maud::{Markup, PreEscaped, html};

/// The style of every page.
pub const STYLE: &str = include_str!("page.css");

/// Opens the folded trials a link points into; browsers that do so themselves need none of it. Every
/// number of a row whose name is a link leads where the name does.
pub const SCRIPT: &str = "function open_target(){var e=document.getElementById(location.hash.slice(1));\
for(var d=e;d;d=d.parentElement)if(d.tagName=='DETAILS')d.open=true;if(e)e.scrollIntoView()}\
addEventListener('hashchange',open_target);if(location.hash)open_target();\
addEventListener('click',function(e){var t=e.target;if(t.closest('a')||!t.closest('td'))return;\
var a=t.closest('tr').querySelector('th a');if(a&&getSelection().isCollapsed)a.click()})";

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
