//! Asks the same of each project of a config, once, without a daemon.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::StartError;
use super::ways::Ways;
use crate::account::{Patience, Terms};
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Fault, Reason};
use crate::meter::Meters;
use crate::shard::Shard;

/// What came of the projects, by their names and in the order of the config. They go on side by side.
/// `work` is given a config of the one project, and the way into it; if it panics, that is the fault
/// of this project.
pub(super) async fn each<T, F>(
    config: &Config,
    clock: &Clock,
    work: impl Fn(Config, Arc<Client>) -> F,
) -> Result<Vec<(String, Result<T, Fault>)>, StartError>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let terms = Terms {
        request_timeout: config.poll.request_timeout,
        patience: Patience::default(),
        clock: clock.clone(),
        meters: Meters::new()?,
        shard: Shard::WHOLE,
    };
    let ways = Ways::of(config, &terms, &Ways::default())?;
    let mut asking = JoinSet::new();
    let mut asked = Vec::new();
    for project in &config.projects {
        let Some(client) = ways.to_project(&project.name) else { continue };
        let own = Config { projects: vec![project.clone()], ..config.clone() };
        let task = asking.spawn(work(own, Arc::clone(client))).id();
        asked.push((task, project.name.clone(), None));
    }
    while let Some(done) = asking.join_next_with_id().await {
        let (task, outcome) = match done {
            Ok((task, came)) => (task, Ok(came)),
            Err(error) => {
                let message = format!("a fault of this program: {error}");
                (error.id(), Err(Fault::new(Reason::Internal, message)))
            }
        };
        if let Some((_, _, place)) = asked.iter_mut().find(|(id, ..)| *id == task) {
            *place = Some(outcome);
        }
    }
    Ok(asked.into_iter().filter_map(|(_, name, outcome)| Some((name, outcome?))).collect())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::target;

    #[tokio::test]
    async fn a_panic_is_the_fault_of_its_project_and_the_others_come_in_their_order() {
        let project = |name: &str| {
            format!(
                "  - {{ name: {name}, project_id: p1, credentials: main, \
                 ddm: {{ endpoint: \"https://ddm.example\" }} }}\n"
            )
        };
        let config = target::tests::config(&["a", "b", "c"].map(project).concat());
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH);
        let work = |own: Config, _| async move {
            let name = own.projects[0].name.clone();
            assert_ne!(name, "b", "index 7 of 3");
            name
        };
        let came = each(&config, &clock, work).await.unwrap();
        let names: Vec<&str> = came.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(came[0].1.as_deref(), Ok("a"));
        let fault = came[1].1.as_ref().unwrap_err();
        assert_eq!(fault.reason, Reason::Internal);
        assert!(fault.message.contains("index 7 of 3"), "{fault}");
        assert_eq!(came[2].1.as_deref(), Ok("c"));
    }
}
