//! How far the round has come, on stderr: a bar on a terminal, else a line for everything that ends.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::app::round::Step;
use crate::config::Config;
use crate::error::{Fault, one_line};
use crate::estate::Estate;
use crate::listing::Progress;
use crate::log::Stderr;
use crate::snapshot::TargetState;

/// Between two drawings of the bar.
const TICK: Duration = Duration::from_millis(100);
const STYLE: &str =
    "{spinner} {projects} projects, [{bar:24}] {pos}/{len} targets, {pages} pages, {elapsed}";

/// Tells on stderr what ends.
pub(super) struct Watcher {
    bar: Option<ProgressBar>,
    /// Whether the bar is drawn by now.
    is_drawn: bool,
    tally: Arc<Mutex<Tally>>,
    stderr: Stderr,
}

/// What has begun and ended.
#[derive(Default)]
struct Tally {
    projects: usize,
    /// Lists and targets that are not at their end, by project.
    open: HashMap<Box<str>, usize>,
    begun: u64,
    ended: u64,
    /// How far each target has come that is being polled, by its hash.
    polled: HashMap<u64, Arc<Progress>>,
    /// The pages of those that ended.
    pages: u64,
}

impl Tally {
    fn begin(&mut self, project: &str) {
        *self.open.entry(project.into()).or_default() += 1;
    }

    fn end(&mut self, project: &str) {
        if let Some(open) = self.open.get_mut(project) {
            *open = open.saturating_sub(1);
        }
    }

    /// Projects of which everything ended, of how many.
    fn projects(&self) -> (usize, usize) {
        let open = self.open.values().filter(|open| **open > 0).count();
        (self.projects.saturating_sub(open), self.projects)
    }

    /// Pages that came, of how many that there are as far as is known.
    fn pages(&self) -> (u64, u64) {
        let (mut came, mut all) = (self.pages, self.pages);
        for progress in self.polled.values() {
            let pages = progress.pages.load(Ordering::Relaxed);
            came += pages;
            all += progress.announced.load(Ordering::Relaxed).max(pages);
        }
        (came, all)
    }
}

impl Watcher {
    pub(super) fn start(config: &Config, stderr: Stderr) -> Self {
        let tally = Tally { projects: config.projects.len(), ..Tally::default() };
        let tally = Arc::new(Mutex::new(tally));
        let bar = io::stderr().is_terminal().then(|| {
            // Drawn from the first step on: before, everything would seem to be at its end.
            let bar = ProgressBar::no_length().with_style(style(&tally));
            stderr.keep_above(bar.clone());
            bar
        });
        Self { bar, is_drawn: false, tally, stderr }
    }

    /// Takes a step of the round.
    pub(super) fn take(&mut self, step: Step<'_>) {
        let mut tally = lock(&self.tally);
        match step {
            Step::Reading(census) => tally.begin(&census.project),
            Step::Begun(target, progress) => {
                tally.begin(&target.project);
                tally.begun += 1;
                tally.polled.insert(target.stable_hash(), Arc::clone(progress));
            }
            Step::Read(estate) => tally.end(&estate.census.project),
            Step::Ended(state) => {
                tally.end(&state.target.project);
                tally.ended += 1;
                // A list may have been left before the end that its total announced.
                if let Some(progress) = tally.polled.remove(&state.target.stable_hash()) {
                    tally.pages += progress.pages.load(Ordering::Relaxed);
                }
            }
        }
        let (ended, begun) = (tally.ended, tally.begun);
        // The bar asks for the tally while it is drawn.
        drop(tally);
        if let Some(bar) = &self.bar {
            if begun > 0 {
                bar.set_length(begun);
            }
            bar.set_position(ended);
            if !std::mem::replace(&mut self.is_drawn, true) {
                bar.enable_steady_tick(TICK);
            }
        }
        match step {
            Step::Reading(_) | Step::Begun(..) => {}
            Step::Read(estate) => self.tell(estate.failures > 0, &of_list(estate)),
            Step::Ended(state) => {
                let is_failed = state.last_poll.as_ref().is_none_or(|poll| poll.fault.is_some());
                self.tell(is_failed, &of_target(state));
                let policy = (&state.policy.last_fault, "the backup policy");
                let window = (&state.restore_window.last_fault, "the times to restore to");
                for (fault, what) in [policy, window] {
                    if let Some((_, fault)) = fault {
                        self.tell(true, &format!("{what} of {}: {}", state.target, fault.reason));
                    }
                }
            }
        }
    }

    /// A bar shows what goes well by itself.
    fn tell(&self, is_failed: bool, line: &str) {
        if is_failed || self.bar.is_none() {
            // At once, or the bar would be drawn in between; names are foreign text.
            let line = one_line(line) + "\n";
            // Without anybody who reads it there is nobody to tell either.
            self.stderr.clone().write_all(line.as_bytes()).ok();
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// How many targets ended, of how many that are known by now.
    pub(super) fn targets(&self) -> (u64, u64) {
        let tally = lock(&self.tally);
        (tally.ended, tally.begun)
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    // Numbers are whole after every statement.
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style(tally: &Arc<Mutex<Tally>>) -> ProgressStyle {
    let (of_projects, of_pages) = (Arc::clone(tally), Arc::clone(tally));
    // An error would be about the template, which a test draws.
    ProgressStyle::with_template(STYLE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("projects", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let (ended, all) = lock(&of_projects).projects();
            write!(out, "{ended}/{all}").ok();
        })
        .with_key("pages", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let (came, all) = lock(&of_pages).pages();
            write!(out, "{came}/{all}").ok();
        })
}

fn of_list(estate: &Estate) -> String {
    let fault = estate.last_fault.as_ref().map(|(_, fault)| fault);
    format!("{}: {}, {} instances", estate.census, word(fault), estate.count)
}

fn of_target(state: &TargetState) -> String {
    match &state.last_poll {
        Some(poll) => format!(
            "{}: {}, {} requests, {} records",
            state.target,
            word(poll.fault.as_ref()),
            poll.requests,
            poll.records
        ),
        None => format!("{}: not polled", state.target),
    }
}

/// How it went, in a word.
fn word(fault: Option<&Fault>) -> &'static str {
    fault.map_or("ok", |fault| fault.reason.label())
}
