//! Whether a program answers what a document shows. There `…` stands for anything, and on a line of its own
//! for any lines; so does, for another one, a number with a fraction, which was measured, the port of a
//! server that takes any, a time to the second, how long ago that is, and the id of a backup.

/// What is different, if anything is.
pub(super) fn differs(shown: &[String], told: &str) -> Result<(), String> {
    let lines = |lines: Vec<&str>| -> Vec<String> {
        let mut lines: Vec<String> =
            lines.into_iter().map(|line| neutral(line.trim_end())).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    };
    let expected = lines(shown.iter().map(String::as_str).collect());
    let actual = lines(told.lines().collect());
    if covers(&expected, &actual) {
        return Ok(());
    }
    Err(format!("shown is\n{}\nand it answers\n{}", indented(&shown.join("\n")), indented(told)))
}

/// Whether each line is among those of the answer, in whatever order.
pub(super) fn holds(shown: &str, told: &str) -> Result<(), String> {
    let told: Vec<String> = told.lines().map(|line| neutral(line.trim_end())).collect();
    for line in shown.lines().filter(|line| line.trim() != "…") {
        let expected = neutral(line.trim_end());
        if !told.iter().any(|line| is_like(&expected, line)) {
            return Err(format!("{line}\nis not in\n{}", indented(&told.join("\n"))));
        }
    }
    Ok(())
}

/// Whether a word is the one that is shown.
pub(super) fn is_like(shown: &str, told: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = told.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn covers(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=actual.len()).any(|at| covers(rest, &actual[at..]))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(line, others)| is_like(first, line) && covers(rest, others)),
    }
}

/// With `#` for what is another one each time.
fn neutral(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let bare = word.trim_end_matches([',', ';', ':']);
        if is_moment(bare) || is_age(bare) || is_backup_id(bare) {
            format!("#{}", &word[bare.len()..])
        } else {
            neutral_numbers(word)
        }
    });
    let words: Vec<String> = words.collect();
    // A line of a table whose columns are as wide as what stands in them.
    let is_record = words.iter().filter(|it| *it == "#").count() >= 2;
    let keep = |word: &&String| !is_record || !word.is_empty();
    words.iter().filter(keep).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// `2026-11-25T01:34:48Z`.
fn is_moment(word: &str) -> bool {
    let form = word.replace(|c: char| c.is_ascii_digit(), "0");
    form == "0000-00-00T00:00:00Z"
}

/// `5h12m3s`: a duration that somebody wrote has one unit.
fn is_age(word: &str) -> bool {
    let form: String = word.chars().filter(|c| !c.is_ascii_digit()).collect();
    ["dh", "dhm", "dhms", "hm", "hms", "hs", "ms"].contains(&&*form)
        && word.starts_with(|c: char| c.is_ascii_digit())
}

/// 32 hexadecimal digits and four more characters, as the cloud gives them.
fn is_backup_id(word: &str) -> bool {
    let id = word.split_once("br0");
    id.is_some_and(|(digits, _)| {
        digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit())
    })
}

fn neutral_numbers(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches('.');
        rest = &rest[number.len()..];
        let is_measured = number.matches('.').count() == 1;
        let is_port = out.ends_with(':') && number.parse::<u16>().is_ok_and(|it| it > 32767);
        let exponent = rest.strip_prefix("e+").or_else(|| rest.strip_prefix("e-"));
        if let (true, Some(behind)) = (is_measured, exponent) {
            rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        out.push_str(if is_measured || is_port { "#" } else { number });
    }
    out + rest
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["  | ", line, "\n"]).collect()
}

#[test]
fn an_answer_is_compared_but_for_what_is_another_each_time() {
    let is = |shown: &str, told: &str| {
        differs(&shown.lines().map(str::to_owned).collect::<Vec<_>>(), told).is_ok()
    };
    assert!(is("a\nb 1.5 c", "a\nb 27.25e+3 c\n"));
    assert!(is("at http://127.0.0.1:45125/v3", "at http://127.0.0.1:33333/v3"));
    assert!(!is("at http://127.0.0.1:19747", "at http://127.0.0.1:33333"));
    assert!(!is("at 127.0.0.1:19747", "at 127.0.0.2:19747"));
    assert!(!is("v0.1.0, 3 findings", "v0.1.0, 4 findings"));
    assert!(is("ended 2026-11-25T01:34:48Z, 5h12m3s old", "ended 2025-01-02T03:04:05Z, 3d4h old"));
    assert!(!is("at most 26h", "at most 25h") && !is("5h12m old", "no old"));
    let ids = ["0123456789abcdef0123456789abcdefbr01", "ffffffffffffffffffffffffffffffffbr01"];
    assert!(is(
        &format!("* 2026-11-25T01:34:48Z  failed     0 B  {}", ids[0]),
        &format!("* 2025-01-02T03:04:05Z  failed   0 B  {}", ids[1])
    ));
    assert!(!is(
        &format!("* 2026-11-25T01:34:48Z failed {}", ids[0]),
        &format!("* 2025-01-02T03:04:05Z completed {}", ids[0])
    ));
    assert!(is("a\n…\nz", "a\nb\nc\nz\n") && is("a\n…\nz", "a\nz\n") && !is("a\n…\nz", "a\nb\n"));
    assert!(!is("a", "a\nb\n") && !is("a\nb", "a\n") && !is("a", "b\n"));
    assert!(is("in01…, \"b\"", "in01xyz, \"b\"") && !is("in01…, \"b\"", "in02xyz, \"b\""));
    assert!(holds("b…\na", "a\nbcd\n").is_ok() && holds("c", "a\nbcd\n").is_err());
}
