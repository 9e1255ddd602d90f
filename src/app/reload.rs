//! How a reload is asked for and answered.

use std::fmt::Display;

use tokio::sync::{mpsc, oneshot};

use crate::web::Reloader;

/// Where the outcome of a reload goes.
pub(super) type Request = oneshot::Sender<Result<(), String>>;

/// A file with a million problems has said enough.
const MOST_LINES: usize = 100;

/// Both ends. One reload waits at a time; who comes meanwhile waits for its place.
pub(super) fn channel() -> (Reloader, mpsc::Receiver<Request>) {
    let (sender, receiver) = mpsc::channel(1);
    (Reloader::new(sender), receiver)
}

/// The first lines of a text, and how many more there are.
pub(super) fn first_lines(text: &impl Display) -> String {
    let text = text.to_string();
    let mut lines: Vec<&str> = text.lines().take(MOST_LINES).collect();
    let more = text.lines().count() - lines.len();
    let note = format!("and {more} more");
    if more > 0 {
        lines.push(&note);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_very_long_list_of_problems_is_cut() {
        assert_eq!(first_lines(&"a\nb"), "a\nb");
        let long = first_lines(&"x\n".repeat(250));
        assert_eq!(long.lines().count(), 101);
        assert!(long.ends_with("and 150 more"));
    }
}
