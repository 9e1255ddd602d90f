//! What a failed poll is called, and how an error is told. Knows no module's own errors.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a poll failed: the closed set behind the label `reason`, the log field and the status page.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// The cloud does not accept the credential, or the credential is paused after a refusal.
    Auth,
    /// Name resolution, a refused or reset connection, a body cut short.
    Connect,
    /// An answer that cannot be understood.
    Decode,
    /// Accepted credential, missing permission.
    Forbidden,
    /// Any other 4xx; a redirect too, since none is followed.
    Http4xx,
    /// Any 5xx.
    Http5xx,
    /// A fault of this program.
    Internal,
    /// A body or a list that is larger than anything sensible.
    Limit,
    /// The instance, or the path, is not there.
    NotFound,
    /// The list moved while it was read, twice.
    Pagination,
    /// Too many requests.
    Throttled,
    /// No answer within `request_timeout`.
    Timeout,
    /// The handshake failed, or the certificate is not trusted.
    Tls,
}

impl Reason {
    /// All reasons, in the order of their labels.
    pub const ALL: [Self; 13] = [
        Self::Auth,
        Self::Connect,
        Self::Decode,
        Self::Forbidden,
        Self::Http4xx,
        Self::Http5xx,
        Self::Internal,
        Self::Limit,
        Self::NotFound,
        Self::Pagination,
        Self::Throttled,
        Self::Timeout,
        Self::Tls,
    ];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Connect => "connect",
            Self::Decode => "decode",
            Self::Forbidden => "forbidden",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Internal => "internal",
            Self::Limit => "limit",
            Self::NotFound => "not_found",
            Self::Pagination => "pagination",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why something could not be had from the cloud: told to the log, the status page and `reason`.
///
/// It is plain data and can be cloned, since one refused sign-in is the fault of every poll that
/// waited for it. It never holds a URL with its query, a token or a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The closed word for it.
    pub reason: Reason,
    /// What happened, as a sentence without a full stop.
    pub message: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long the cloud asks to wait.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault that no answer of the cloud stands behind.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: one_line(&message.into()), status: None, retry_after: None }
    }

    /// The same fault, with what was being done when it happened in front.
    #[must_use]
    pub fn during(mut self, act: impl fmt::Display) -> Self {
        self.message = one_line(&format!("{act}: {}", self.message));
        self
    }
}

/// The most characters of a message: much of it is foreign text.
const MOST_CHARACTERS: usize = 500;

/// Text for one line of the log: without control characters, and not too long.
pub fn one_line(text: &str) -> String {
    let mut line: String =
        text.trim().chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect();
    if text.chars().nth(MOST_CHARACTERS).is_some() {
        line.push('…');
    }
    line
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

/// Prints an error with its causes, each once, joined by colons.
///
/// `Display` of the errors here shows their own level only; whoever prints walks the chain.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `config.yaml`")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_chain_tells_every_level_once() {
        let error = Outer(io::Error::other("no such file"));
        assert_eq!(Chain(&error).to_string(), "cannot read `config.yaml`: no such file");
    }

    #[test]
    fn a_message_is_one_line_and_not_longer_than_it_helps() {
        let fault = Fault::new(Reason::Decode, format!("a\nb\u{7}{}", "x".repeat(1 << 20)));
        assert!(fault.message.starts_with("abx") && fault.message.len() < 600);
        let fault = fault.during("y".repeat(1 << 20));
        assert!(fault.message.len() < 600);
    }

    #[test]
    fn reasons_are_listed_in_the_order_of_their_labels_and_all_differ() {
        let labels: Vec<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        let mut sorted = labels.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(labels, sorted);
    }
}
