//! The shipped files for one who cannot wait.

use std::fs;
use std::path::Path;

use super::WALK;
use crate::rules::CONTRACT;
use crate::tool::text;

/// Makes what is waited for seconds, in the copies of the shipped files in this folder.
pub(super) fn hurry(folder: &Path) {
    for (file, keys) in [
        ("rules.yml", &[("for", "2s"), ("keep_firing_for", "15s")][..]),
        ("prometheus.yml", &[("scrape_interval", "1s"), ("evaluation_interval", "1s")]),
        ("alertmanager.yml", &[("group_wait", "1s"), ("group_interval", "1s")]),
    ] {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let mut count = 0;
        let lines = text.lines().map(|line| {
            let key = line.trim_start().split_once(": ").map(|(key, _)| key);
            let quick = keys.iter().find(|(it, _)| Some(*it) == key);
            quick.map_or_else(
                || format!("{line}\n"),
                |(key, time)| {
                    count += 1;
                    let indent = &line[..line.len() - line.trim_start().len()];
                    format!("{indent}{key}: {time}\n")
                },
            )
        });
        let lines: String = lines.collect();
        assert!(count >= 2, "{file} has nothing that is waited for");
        fs::write(&path, lines).unwrap();
    }
}

#[test]
fn the_way_says_after_how_long_each_of_its_alerts_fires() {
    let page = text(WALK);
    let (_, table) = page.split_once("| fires after | alert | of |\n|---|---|---|\n").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let mut told = Vec::new();
    for row in &rows {
        let (.., lasting, _, _) =
            CONTRACT.iter().find(|(alert, ..)| *alert == row[2]).expect(row[2]);
        assert_eq!(row[1], *lasting, "{}", row[2]);
        // Of which instances, each in back quotes.
        let names = row[3].split('`').skip(1).step_by(2);
        told.extend(names.map(|name| format!("{} {name}", row[2])));
    }
    told.sort();
    // What the page shows of all that will fire.
    let (_, shown) = page.split_once("| sort\n").unwrap();
    let (shown, _) = shown.split_once("\n```").unwrap();
    assert_eq!(told, shown.lines().collect::<Vec<_>>());
}
