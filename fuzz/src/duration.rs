//! Durations of the config.

use clouddb_backup_exporter::config::duration::{parse, print};

/// What is read is written in a form that is read as the same.
pub fn throw(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(duration) = parse(text) {
        assert_eq!(parse(&print(duration)), Ok(duration), "{text}");
    }
}
