//! Leaves out of a page what HTML lets one leave out: a quarter of a page that is mostly tables.
//!
//! Quotes around attributes that need none, classes that are empty, the ends of cells, rows, heads,
//! bodies and items of lists (HTML Living Standard, "Unquoted attribute value syntax" and "Optional
//! tags"), and line breaks between drawn things. A browser makes the same of both. It holds for what
//! this crate writes: attributes in double quotes, and no text between the parts of a table or list.

/// Elements whose ends their successors, or the ends of what they stand in, imply.
const IMPLIED: [&str; 9] = [
    "td", "th", "tr", "thead", "tbody", "tfoot", "li", "dt", "dd",
];

/// `page` without what may be left out.
pub fn slim(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let (text, tail) = rest.split_at(start);
        if text != "\n" {
            out.push_str(text);
        }
        let (tag, tail) = tail.split_at(end(tail));
        rest = tail;
        push(&mut out, tag);
        // What stands in these is no markup.
        for name in ["style", "script"] {
            if tag.strip_prefix('<').and_then(|tag| tag.strip_suffix('>')) == Some(name) {
                let end = rest.find("</").unwrap_or(rest.len());
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The length of the tag that `text` begins with.
fn end(text: &str) -> usize {
    let mut quoted = false;
    for (index, byte) in text.bytes().enumerate() {
        quoted ^= byte == b'"';
        if byte == b'>' && !quoted {
            return index + 1;
        }
    }
    text.len()
}

fn push(out: &mut String, tag: &str) {
    if tag
        .strip_prefix("</")
        .and_then(|tag| tag.strip_suffix('>'))
        .is_some_and(|name| IMPLIED.contains(&name))
    {
        return;
    }
    let mut rest = tag;
    let mut bare = false;
    while let Some((before, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else {
            break;
        };
        rest = after;
        if value.is_empty() && before.ends_with(" class") {
            out.push_str(&before[..before.len() - " class".len()]);
            continue;
        }
        bare = needs_no_quotes(value);
        out.push_str(before);
        out.push('=');
        if bare {
            out.push_str(value);
        } else {
            out.push('"');
            out.push_str(value);
            out.push('"');
        }
    }
    // Without the blank the slash would belong to the value.
    if bare && rest.starts_with('/') {
        out.push(' ');
    }
    out.push_str(rest);
}

fn needs_no_quotes(value: &str) -> bool {
    let harmless = |byte: u8| !byte.is_ascii_whitespace() && !b"\"'=<>`".contains(&byte);
    !value.is_empty() && value.bytes().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_go_where_nothing_needs_them() {
        assert_eq!(
            slim(r##"<a href="#t1" title="a &lt; b">x</a>"##),
            r##"<a href=#t1 title="a &lt; b">x</a>"##
        );
        assert_eq!(slim(r#"<i class="">x</i>"#), "<i>x</i>");
        assert_eq!(slim(r#"<i class="" id="a">x</i>"#), "<i id=a>x</i>");
        assert_eq!(slim(r#"<i title="">x</i>"#), r#"<i title="">x</i>"#);
        assert_eq!(
            slim(r#"<a title="a=b>c">x</a>"#),
            r#"<a title="a=b>c">x</a>"#
        );
        assert_eq!(
            slim(r#"<details open><p id="a">"#),
            "<details open><p id=a>"
        );
    }

    #[test]
    fn a_slash_stays_apart_from_the_value_before_it() {
        assert_eq!(
            slim(r#"<path d="M1 2" class="l"/>"#),
            r#"<path d="M1 2" class=l />"#
        );
        assert_eq!(slim(r#"<path d="M1 2"/>"#), r#"<path d="M1 2"/>"#);
        assert_eq!(slim("<br/>"), "<br/>");
    }

    #[test]
    fn ends_that_are_implied_go_and_others_stay() {
        assert_eq!(
            slim(
                "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td><b>1</b></td></tr></tbody></table>"
            ),
            "<table><thead><tr><th>a<tbody><tr><td><b>1</b></table>"
        );
        assert_eq!(
            slim("<ul><li>a</li></ul><p>b</p>"),
            "<ul><li>a</ul><p>b</p>"
        );
    }

    #[test]
    fn style_and_script_stay_as_they_are() {
        let page = "<style>a[b=\"c\"]>d{}</style><script>if(a<b)c=\"d\"</script>";
        assert_eq!(slim(page), page);
        assert_eq!(slim("<svg>\n<g></g>\n</svg>\n"), "<svg><g></g></svg>\n");
        assert_eq!(slim("a < b"), "a < b");
    }
}
