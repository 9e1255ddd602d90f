//! A document followed from its first block to its last, in one place.

use super::block::Block;
use super::excerpt;
use super::place::{Files, Place};
use super::typed::{Typed, commands};
use super::{TYPED, answer, elsewhere, server, session};
use tokio::time::Instant;

/// What is wrong with the commands of a document, each with its place.
pub(super) fn follow(document: &str, files: Files) -> Vec<String> {
    let mut blocks = Block::all(document);
    blocks.retain(|block| TYPED.contains(&&*block.language));
    let mut wrong = Vec::new();
    let mut place = None;
    for block in &blocks {
        let result = match &*block.language {
            "console" | "sh" => typed(block, files, &mut place),
            _ => excerpt::hold(block, place.get_or_insert_with(|| Place::new(files))),
        };
        wrong.extend(result.err().map(|error| format!("{}: {error}", block.place())));
    }
    wrong
}

fn typed(block: &Block, files: Files, place: &mut Option<Place>) -> Result<(), String> {
    let all = commands(block);
    if all.is_empty() {
        return Err("it has no command: each begins with `$ ` in a block in `console`".to_owned());
    }
    for (at, it) in all.iter().enumerate() {
        let told = |error| format!("{}\n{error}", it.command);
        if elsewhere::is_told(block, &it.command).map_err(told)? {
            continue;
        }
        let code_is_shown = all.get(at + 1).is_some_and(|next| next.command == "echo $?");
        let place = place.get_or_insert_with(|| Place::new(files));
        place.configure(block.with.as_deref())?;
        run(place, it, code_is_shown).map_err(told)?;
    }
    Ok(())
}

fn run(place: &mut Place, it: &Typed, code_is_shown: bool) -> Result<(), String> {
    let command = place.here(&here(&it.command));
    let session = &mut place.session;
    server::assume(session, &command)?;
    if let Some(url) = server::ready(&command) {
        return server::start(session, &command, url, &it.answer);
    }
    let begin = Instant::now();
    loop {
        let (code, said) = session.run(&command)?;
        let result = if code != 0 && !code_is_shown {
            Err(format!("it ends with {code}, which no `echo $?` after it shows; it says\n{said}"))
        } else if it.answer.is_empty() {
            Ok(())
        } else {
            answer::differs(&it.answer, &said)
        };
        // What is asked of a server may become true a little later.
        let asks = ["curl ", "promtool query ", "amtool "].iter().any(|it| command.starts_with(it));
        if result.is_ok() || !asks || begin.elapsed() > session::PATIENCE {
            return result;
        }
        session.run("sleep 0.2")?;
    }
}

/// The command as it can be run without what it needs of the world.
fn here(command: &str) -> String {
    if !command.starts_with("kubectl ") {
        // What is built by this is there already.
        return command.replacen("cargo run --release -- ", "clouddb-backup-exporter ", 1);
    }
    // There is no cluster: whether kubectl knows the command and its flags is all that can be seen.
    let end =
        [" | ", " -- "].iter().filter_map(|it| command.find(it)).min().unwrap_or(command.len());
    format!("{} --help", &command[..end])
}

#[test]
fn kubectl_is_asked_whether_it_knows_the_flags() {
    assert_eq!(here("kubectl logs POD --previous"), "kubectl logs POD --previous --help");
    assert_eq!(here("kubectl get pods | grep a"), "kubectl get pods --help");
    assert_eq!(here("kubectl exec a -- b --live"), "kubectl exec a --help");
    assert_eq!(here("cargo run --release -- demo"), "clouddb-backup-exporter demo");
}
