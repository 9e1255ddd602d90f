//! Where the metrics of one round go.

use std::path::{Path, PathBuf};

/// Where the metrics of one round go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// To stdout, in the text format.
    Text,
    /// To stdout, as JSON.
    Json,
    /// To a file for the textfile collector of `node_exporter`.
    File(PathBuf),
}

impl Output {
    /// Reads the value of the flag. What the collector would not read is refused: it would be missed
    /// much later.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ if is_collected(text) => Ok(Self::File(text.into())),
            _ => Err("`text`, `json` or a file that ends in `.prom`".to_owned()),
        }
    }
}

fn is_collected(path: &str) -> bool {
    !path.ends_with('/') && Path::new(path).extension().is_some_and(|it| it == "prom")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_a_format_or_a_file_that_the_collector_reads() {
        assert_eq!(Output::parse("text"), Ok(Output::Text));
        assert_eq!(Output::parse("json"), Ok(Output::Json));
        assert_eq!(Output::parse("a/b.prom"), Ok(Output::File("a/b.prom".into())));
        for other in ["", "yaml", "a.txt", ".prom", "a/.prom", "a.prom/", "a.prom.tmp", "-"] {
            assert!(Output::parse(other).is_err(), "{other}");
        }
    }
}
