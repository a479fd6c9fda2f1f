//! A source as names and signs.

/// A name or a sign, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// Whether this is a name, and no sign.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The names and signs of a source: without comments, and without what is in quotes.
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut all, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let begin = i;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        match (at(i), at(i + 1)) {
            ('/', '/') => i += chars[i..].iter().take_while(|&&c| c != '\n').count(),
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            ('r', '"' | '#') if chars[i + 1..].iter().find(|&&c| c != '#') == Some(&'"') => {
                let hashes = chars[i + 1..].iter().take_while(|&&c| c == '#').count();
                let end: String = ['"'].into_iter().chain(vec!['#'; hashes]).collect();
                let rest: String = chars[i + hashes + 2..].iter().collect();
                let within = rest.split(end.as_str()).next().unwrap_or_default();
                i += 2 * hashes + 3 + within.chars().count() - 1;
                i += 1;
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            ('\'', '\\') => {
                i += 3;
                i += chars[i..].iter().take_while(|&&c| c != '\'').count() + 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (':', ':') => i += 2,
            (c, _) if is_word(c) => i += chars[i..].iter().take_while(|&&c| is_word(c)).count(),
            _ => i += 1,
        }
        let text: String = chars[begin..i.min(chars.len())].iter().collect();
        let is_sign = text == "::" || (text.len() == 1 && !text.trim().is_empty());
        if is_name(&text) && !text.contains('"') || is_sign {
            let text = text.clone();
            all.push(Token { text, line });
        }
        line += text.matches('\n').count();
    }
    all
}

/// Leaves out what only tests see: `#[cfg(test)]` and the item behind it.
pub fn without_tests(all: &[Token]) -> Vec<Token> {
    let is = |i: usize, text: &str| all.get(i).is_some_and(|token| token.text == text);
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut left, mut i) = (Vec::new(), 0);
    while i < all.len() {
        if !mark.iter().enumerate().all(|(n, text)| is(i + n, text)) {
            left.push(all[i].clone());
            i += 1;
            continue;
        }
        let mut depth = 0;
        while i < all.len() {
            depth += i32::from(is(i, "{")) - i32::from(is(i, "}"));
            i += 1;
            if depth == 0 && (is(i - 1, "}") || is(i - 1, ";")) {
                break;
            }
        }
    }
    left
}
