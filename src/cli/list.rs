//! A list of targets, for people.

use unicode_width::UnicodeWidthStr;

use crate::model::target::Target;

/// Name, host with its port where that is not 443, whether it is required, and what is expected, in columns.
pub(super) fn table(targets: &[Target]) -> String {
    let rows: Vec<[String; 4]> = targets.iter().map(row).collect();
    let header = ["TARGET", "HOST", "NEEDED", "EXPECT"].map(str::to_owned);
    let width = |column: usize| {
        let cells = std::iter::once(&header).chain(&rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: [usize; 4] = std::array::from_fn(width);
    let mut out = String::new();
    for row in std::iter::once(&header).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn row(target: &Target) -> [String; 4] {
    let host = if target.port == 443 { target.host.clone() } else { format!("{}:{}", target.host, target.port) };
    let needed = if target.required { "required" } else { "optional" };
    [target.name.clone(), host, needed.to_owned(), target.expect.to_string()]
}
