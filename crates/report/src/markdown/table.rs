//! A Markdown table whose columns line up in the raw text.

/// Rows of text below a header.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self {
            rows: vec![header.into_iter().map(T::into).collect()],
        }
    }

    /// Adds a row as wide as the header.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Appends the table and an empty line.
    pub fn put(&self, out: &mut String) {
        out.push_str(&self.render());
        out.push('\n');
    }

    /// The table, or `None.` when it has no row. Columns of figures are set to the right.
    pub fn render(&self) -> String {
        if self.rows.len() == 1 {
            return "None.\n".to_owned();
        }
        let safe = |row: &Vec<String>| row.iter().map(|text| escaped(text)).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(safe).collect();
        let columns = rows[0].len();
        let width = |column: usize| {
            let texts = rows.iter().map(|row| row[column].chars().count());
            texts.fold(3, usize::max)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let is_right = |column| is_figures(&rows[1..], column);
        let right: Vec<bool> = (0..columns).map(is_right).collect();
        let mut out = String::new();
        for (index, row) in rows.iter().enumerate() {
            line(&mut out, row, &widths, &right);
            if index == 0 {
                let rule = |(width, right): (&usize, &bool)| {
                    let mark = if *right { ":" } else { "-" };
                    format!("{}{mark}", "-".repeat(width - 1))
                };
                let rules: Vec<String> = widths.iter().zip(&right).map(rule).collect();
                line(&mut out, &rules, &widths, &right);
            }
        }
        out
    }
}

fn line(out: &mut String, row: &[String], widths: &[usize], right: &[bool]) {
    for ((text, &width), right) in row.iter().zip(widths).zip(right) {
        out.push_str(&match right {
            true => format!("| {text:>width$} "),
            false => format!("| {text:<width$} "),
        });
    }
    out.push_str("|\n");
}

/// A pipe or a line break in a label would end the cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// `true` when every cell begins like a figure, or is absent.
fn is_figures(rows: &[Vec<String>], column: usize) -> bool {
    let starts = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_digit() || "≥-∞".contains(first))
    };
    rows.iter().all(|row| starts(&row[column]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_figures_stand_right() {
        let mut table = Table::new(["model", "n"]);
        table.push(["a|b", "1,024"].map(str::to_owned));
        table.push(["prefork", "-"].map(str::to_owned));
        let expected =
            "| model   |     n |\n| ------- | ----: |\n| a\\|b    | 1,024 |\n| prefork |     - |\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(["model"]).render(), "None.\n");
    }
}
