//! What the documents show in blocks, each held by its kind: what is typed is run, what is answered is
//! compared, configs and queries are read by the programs that they are for. A block that nobody knows how to
//! hold fails.

mod answer;
mod block;
mod elsewhere;
mod excerpt;
mod page;
mod place;
mod query;
mod server;
mod session;
mod settings;
mod typed;
mod walk;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use crate::tool::checkout;
use block::Block;
use place::Files;

/// How each language is held: what the reader types, and everything else.
const TYPED: [&str; 4] = ["console", "json", "sh", "text"];
const READ: [&str; 2] = ["promql", "yaml"];

/// The way to the first alert takes hours where it is walked by day; here its times are short.
const WALK: &str = "docs/first-alert.md";

/// Every document that shows something, by its path in the checkout.
fn documents() -> Vec<String> {
    let mut found = BTreeSet::new();
    for top in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "deploy", "benches", "fuzz"]
    {
        collect(&checkout(top), &mut found);
    }
    found.into_iter().collect()
}

fn collect(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        let is_made = |name: &str| ["target", "artifacts", "corpus"].contains(&name);
        for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
            if !is_made(&entry.file_name().to_string_lossy()) {
                collect(&entry.path(), found);
            }
        }
    } else if path.extension().is_some_and(|it| it == "md") {
        found.insert(path.strip_prefix(checkout("")).unwrap().to_str().unwrap().to_owned());
    }
}

fn blocks_in(languages: &[&str]) -> Vec<Block> {
    let blocks = documents().into_iter().flat_map(|it| Block::all(&it));
    blocks.filter(|block| languages.contains(&&*block.language)).collect()
}

/// Fails with every place that is wrong.
fn nothing_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} are wrong:\n\n{}\n", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_block_is_one_that_something_holds() {
    let blocks: Vec<Block> = documents().into_iter().flat_map(|it| Block::all(&it)).collect();
    assert!(blocks.len() > 100, "{}", blocks.len());
    let wrong: Vec<String> = blocks.iter().filter_map(unknown).collect();
    nothing_wrong(&wrong);
}

/// What to do about a block that nothing holds.
fn unknown(block: &Block) -> Option<String> {
    let language = block.language.as_str();
    if TYPED.contains(&language) || READ.contains(&language) {
        return None;
    }
    Some(format!(
        "{}: nobody knows how to hold a block in {language:?}: give it one of {TYPED:?} or {READ:?}, or hold it \
         in a module of its own below tests/deploy/documents/",
        block.place()
    ))
}

#[test]
fn a_block_that_nothing_holds_is_told_with_its_place_and_what_to_do() {
    let page = "# A\n\n```rust\nfn main() {}\n```\n\n```sh\ntrue\n```\n\n```\nnothing\n```\n";
    let blocks = Block::read("docs/a.md", page);
    let wrong: Vec<String> = blocks.iter().filter_map(unknown).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("docs/a.md:3: ") && wrong[0].contains("\"rust\""), "{wrong:?}");
    assert!(wrong[1].starts_with("docs/a.md:11: "), "{wrong:?}");
}

#[test]
fn what_the_documents_have_typed_does_what_they_show() {
    let wrong = Mutex::new(Vec::new());
    let pages: Vec<String> = documents().into_iter().filter(|it| it != WALK).collect();
    let next = Mutex::new(pages.iter());
    std::thread::scope(|scope| {
        // One waits for the cloud while the other computes.
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(document) = next.lock().unwrap().next() else { return };
                    wrong.lock().unwrap().extend(page::follow(document, Files::Shipped));
                }
            });
        }
    });
    nothing_wrong(&wrong.into_inner().unwrap());
}

#[test]
fn the_way_to_the_first_alert_leads_there() {
    nothing_wrong(&page::follow(WALK, Files::Impatient));
}

#[test]
fn what_the_documents_show_of_configs_is_taken_by_what_reads_them() {
    let blocks = blocks_in(&["yaml"]);
    assert!(blocks.len() >= 12, "{}", blocks.len());
    let wrong: Vec<String> = blocks.iter().filter_map(|it| settings::hold(it).err()).collect();
    nothing_wrong(&wrong);
}

#[test]
fn the_queries_of_the_documents_are_queries_of_metrics_that_there_are() {
    let blocks = blocks_in(&["promql"]);
    assert!(blocks.len() >= 50, "{}", blocks.len());
    let wrong: Vec<String> = blocks.iter().filter_map(|it| query::hold(it).err()).collect();
    nothing_wrong(&wrong);
}
