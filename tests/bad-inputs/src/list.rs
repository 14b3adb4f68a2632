//! The list itself, as it is written in `list.md`.

/// Its text.
const TEXT: &str = include_str!("../list.md");

/// A section: its heading up to a parenthesis, and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The heading.
    pub heading: String,
    /// The lines, without their dash.
    pub lines: Vec<String>,
}

/// The sections in order.
pub fn sections() -> Vec<Listed> {
    let parts = TEXT.split("\n## ").skip(1);
    parts
        .map(|part| {
            let heading = part.lines().next().unwrap_or_default().split(" (").next().unwrap_or_default().to_owned();
            let lines = part.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect();
            Listed { heading, lines }
        })
        .collect()
}

/// Whether a line asks for a raw socket.
pub fn wants_raw(line: &str) -> bool {
    line.ends_with('◦')
}
