//! The findings as JUnit XML: a suite for each instance, a case for each type of backup.

use maud::{PreEscaped, html};

use super::finding::{Finding, Verdict};

/// The document.
pub(super) fn text(findings: &[Finding]) -> String {
    let suites: Vec<&[Finding]> =
        findings.chunk_by(|one, other| one.place == other.place).collect();
    let document = html! {
        (PreEscaped(HEAD))
        testsuites name="clouddb-backup-exporter gate" {
            @for suite in suites {
                @let place = suite.first().map_or("", |finding| &*finding.place);
                @let count = |verdict| suite.iter().filter(|it| it.verdict == verdict).count();
                @let is_skipped = |it: &&Finding| it.verdict == Verdict::Ok && !it.is_judged;
                testsuite
                    name=(allowed(place))
                    tests=(suite.len())
                    failures=(count(Verdict::Failed))
                    errors=(count(Verdict::Unknown))
                    skipped=(suite.iter().filter(is_skipped).count())
                {
                    @for finding in suite {
                        @let why = allowed(&finding.why);
                        testcase classname=(allowed(place)) name=(finding.what) {
                            @match (finding.verdict, finding.is_judged) {
                                (Verdict::Failed, _) => { failure message=(why) {} },
                                (Verdict::Ok, false) => { skipped message=(why) {} },
                                (Verdict::Ok, true) => { system-out { (why) } },
                                (Verdict::Unknown, _) => { error message=(why) {} },
                            }
                        }
                    }
                }
            }
        }
    };
    document.into_string() + "\n"
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Without what XML 1.0 does not allow even escaped; names are foreign text.
fn allowed(text: &str) -> String {
    let is_allowed = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().filter(is_allowed).collect()
}
