//! How many requests the polls of a config take, and whether the budgets of its credentials hold
//! them. Pure.
//!
//! Left out are sign-ins, look-ups of project ids, tries again and lists that move: few, or no plan.

use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use crate::census::{self, Census};
use crate::config::duration::print;
use crate::config::{Config, Credential, Poll};
use crate::estate::Estate;
use crate::listing::cost::{Cost, Extra, Totals};
use crate::page;
use crate::poll;
use crate::product::Scope;
use crate::shard::Shard;
use crate::target::{self, Target};

/// What polling takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Project by project, in the order of the config, whoever polls it.
    pub projects: Vec<ProjectPart>,
    /// Credential by credential and shard by shard.
    pub shares: Vec<Share>,
}

/// What one project takes.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectPart {
    /// Its name.
    pub name: String,
    /// The credential that reads it.
    pub credential: Arc<Credential>,
    /// How often it is polled.
    pub interval: Duration,
    /// What it takes.
    pub work: Work,
    /// The products whose instances are yet to be found, and are not in this.
    pub unknown: Vec<&'static str>,
}

/// What one shard asks by one credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Which credential.
    pub credential: Arc<Credential>,
    /// Which shard.
    pub shard: Shard,
    /// The requests per second that it has.
    pub budget: f64,
    /// What it is asked for.
    pub work: Work,
    /// The intervals of its projects.
    pub intervals: BTreeSet<Duration>,
}

/// Requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// How many targets there are.
    pub targets: u64,
    /// One poll of each.
    pub round: u64,
    /// The first poll of each, and everything that is looked up at the start.
    pub first: u64,
    /// What the readings of the whole lookback add, once an hour.
    pub hourly: u64,
    /// What the comparisons add, once per `full_walk_interval`.
    pub daily: u64,
    /// Instance lists, policies and restore windows, in an hour.
    pub lookups: f64,
    /// The polls without these, per second.
    polls_per_second: f64,
    /// The rest, per second.
    rest_per_second: f64,
}

/// What polling takes, given what is known of the instance lists and of the lists of each target. Of
/// what is not known the usual is assumed.
pub fn plan(
    config: &Config,
    estates: &[Arc<Estate>],
    totals: impl Fn(&Target) -> Option<Totals>,
    shards: &[Shard],
) -> Plan {
    let mut items = Vec::new();
    for target in target::targets(config, estates) {
        let totals = totals(&target);
        let work = Work::of_target(&target, totals, &config.poll);
        let owner = Some(target.stable_hash());
        items.push(Item { project: target.project.clone(), owner, work });
    }
    let censuses = census::censuses(config);
    let known = |census: &Census| {
        estates.iter().find(|estate| estate.census.is_same(census) && estate.is_known())
    };
    for census in &censuses {
        let count = known(census).map_or(0, |estate| estate.count);
        let owner = match census.product.scope {
            Scope::Instance => None,
            Scope::Project => Some(census.hash_of_project()),
        };
        let work = Work::of_list(census, count);
        items.push(Item { project: census.project.clone(), owner, work });
    }
    let projects = config.projects.iter().map(|project| {
        let is_unknown = |it: &&Census| {
            *it.project == *project.name
                && it.product.scope == Scope::Instance
                && it.discovery.adopts
                && known(it).is_none()
        };
        ProjectPart {
            name: project.name.clone(),
            credential: Arc::clone(&project.credential),
            interval: project.interval,
            work: sum(items.iter().filter(|it| *it.project == *project.name)),
            unknown: censuses.iter().filter(is_unknown).map(|it| it.product.name).collect(),
        }
    });
    let projects: Vec<ProjectPart> = projects.collect();
    let mut parts = Vec::new();
    for credential in &config.credentials {
        let own: Vec<&ProjectPart> =
            projects.iter().filter(|it| it.credential.name == credential.name).collect();
        for &shard in shards.iter().filter(|_| !own.is_empty()) {
            let is_own = |it: &&Item| {
                own.iter().any(|project| *project.name == *it.project)
                    && it.owner.is_none_or(|hash| shard.owns(hash))
            };
            parts.push(Share {
                credential: Arc::clone(credential),
                shard,
                budget: shard.part_of(credential.requests_per_second),
                work: sum(items.iter().filter(is_own)),
                intervals: own.iter().map(|project| project.interval).collect(),
            });
        }
    }
    Plan { projects, shares: parts }
}

/// A target or an instance list.
struct Item {
    project: Box<str>,
    /// The hash by which a shard owns it; none if all do it.
    owner: Option<u64>,
    work: Work,
}

fn sum<'a>(items: impl Iterator<Item = &'a Item>) -> Work {
    let mut sum = Work::default();
    items.for_each(|item| sum += item.work);
    sum
}

impl Work {
    fn of_target(target: &Target, totals: Option<Totals>, poll: &Poll) -> Self {
        let (product, id) = (target.product, target.instance_id());
        let assumed = || Totals::assumed(product, id, poll.incremental_lookback);
        let Cost { first, steady, whole, comparison } =
            totals.unwrap_or_else(assumed).cost(product, id, poll);
        // A poll does it at most once.
        let rate = |extra: Extra| per_second(extra.requests, extra.every.max(target.interval));
        let lookups: Vec<Duration> = poll::lookup_intervals(target).collect();
        let lookups_per_second: f64 = lookups.iter().map(|every| per_second(1, *every)).sum();
        Self {
            targets: 1,
            round: steady,
            first: first + lookups.len() as u64,
            hourly: whole.requests,
            daily: comparison.requests,
            lookups: lookups_per_second * HOUR,
            polls_per_second: per_second(steady, target.interval),
            rest_per_second: rate(whole) + rate(comparison) + lookups_per_second,
        }
    }

    fn of_list(census: &Census, instances: u64) -> Self {
        let requests = page::requests(instances, census.product.instances.page_limit);
        let rate = per_second(requests, census.discovery.interval);
        Self { first: requests, lookups: rate * HOUR, rest_per_second: rate, ..Self::default() }
    }

    /// All of it, on average.
    pub fn per_second(&self) -> f64 {
        self.polls_per_second + self.rest_per_second
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.targets += other.targets;
        self.round += other.round;
        self.first += other.first;
        self.hourly += other.hourly;
        self.daily += other.daily;
        self.lookups += other.lookups;
        self.polls_per_second += other.polls_per_second;
        self.rest_per_second += other.rest_per_second;
    }
}

const HOUR: f64 = 3600.0;

fn per_second(requests: u64, every: Duration) -> f64 {
    requests as f64 / every.as_secs_f64()
}

/// How long so many requests take, in whole seconds.
pub fn time(requests: u64, per_second: f64) -> Duration {
    let seconds = (requests as f64 / per_second).ceil();
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

impl Share {
    /// Whether what comes due is done in time.
    pub fn holds(&self) -> bool {
        // Sums of fractions: what fits exactly must not fail by the last digit.
        self.work.per_second() <= self.budget * (1.0 + 1e-9)
    }

    /// What is wrong, with the numbers, and what would help; none if it holds.
    pub fn warning(&self) -> Option<String> {
        if self.holds() {
            return None;
        }
        let Self { credential, work, budget, .. } = self;
        let of = match self.shard.count() {
            1 => String::new(),
            count => format!(" of shard {} of {count}", self.shard.index()),
        };
        let (first, last) = (self.intervals.first()?, self.intervals.last()?);
        let intervals = if first == last {
            format!("the interval is {}", print(*first))
        } else {
            format!("the intervals are {} to {}", print(*first), print(*last))
        };
        let due = (work.per_second() * last.as_secs_f64()).ceil();
        Some(format!(
            "the budget{of} of the credential `{}` does not hold the interval: a round of {} requests \
             takes {} at {}/s, and {intervals}; with hourly and daily walks and \
             lookups {due} requests come due in {}, which take {}. What helps: {}",
            credential.name,
            work.round,
            print(time(work.round, *budget)),
            number(*budget),
            print(*last),
            print(Duration::try_from_secs_f64((due / budget).ceil()).unwrap_or(Duration::MAX)),
            self.help().join("; or "),
        ))
    }

    /// What would make it hold, the cheapest first.
    fn help(&self) -> Vec<String> {
        let Self { credential, shard, work, budget, intervals } = self;
        let mut help = Vec::new();
        let left = budget - work.rest_per_second;
        if left > 0.0 && work.polls_per_second > 0.0 {
            let times = work.polls_per_second / left;
            let longer = |interval: &Duration| print(rounded_up(interval.mul_f64(times)));
            let longer: Vec<String> = intervals.iter().map(longer).collect();
            help.push(format!("`poll.interval` of {}", longer.join(" and ")));
        }
        let per_second = credential.requests_per_second;
        let needed = work.per_second() * f64::from(shard.count());
        let in_tenths = (needed * 10.0).ceil() / 10.0;
        help.push(format!(
            "`requests_per_second: {}` for this credential, if the cloud allows its user as many",
            number(in_tenths)
        ));
        let users = (needed / per_second).ceil();
        help.push(format!(
            "more users, since the cloud throttles each by itself: {users} credentials that divide \
             the projects, or {users} shards of which each signs in as a user of its own, with \
             `requests_per_second: {}` for all of them",
            number(users * per_second)
        ));
        help
    }
}

/// To whole minutes, or to seconds if it is less than one.
fn rounded_up(time: Duration) -> Duration {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(if seconds < 60 { seconds } else { seconds.div_ceil(60) * 60 })
}

/// Without more digits than it takes.
pub fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::backup::InstanceId;
    use crate::instance::ListedInstance;
    use crate::target::tests::config;

    /// A config with so many MySQL instances in a project, and what else it says.
    fn shop(instances: usize, poll: &str, rate: f64, rds: &str) -> Config {
        let mut text = format!(
            "  - name: shop\n    project_id: p1\n    credentials: main\n    poll: {{ {poll} }}\n    \
             rds:\n      endpoint: https://rds.example\n{rds}"
        );
        if instances > 0 {
            text += "      instances:\n";
        }
        for at in 0..instances {
            text += &format!("        - {{ id: {at:032x}in01 }}\n");
        }
        budgeted(config(&text), rate)
    }

    fn budgeted(mut config: Config, rate: f64) -> Config {
        let credential = &config.credentials[0];
        let credential = Credential { requests_per_second: rate, ..(**credential).clone() };
        let credential = Arc::new(credential);
        config.credentials = vec![Arc::clone(&credential)];
        for project in &mut config.projects {
            project.credential = Arc::clone(&credential);
        }
        config
    }

    fn of(config: &Config) -> Plan {
        plan(config, &[], |_| None, &[Shard::WHOLE])
    }

    fn holds(instances: usize, interval: &str, rate: f64) -> bool {
        of(&shop(instances, &format!("interval: {interval}"), rate, "")).shares[0].holds()
    }

    #[test]
    fn two_hundred_mysql_instances_take_400_seconds_a_round_at_one_request_per_second() {
        let plan = of(&shop(200, "interval: 5m", 1.0, ""));
        let Share { work, .. } = &plan.shares[0];
        assert_eq!((work.targets, work.round), (200, 400));
        // Two lists of full backups, three pages of a day and the first again, one without a type.
        assert_eq!(work.first, 200 * 7);
        assert_eq!(work.hourly, 200 * 3, "four requests for the lookback instead of one");
        assert_eq!(work.daily, 200 * 2, "three lists instead of one");
        assert_eq!(time(work.round, 1.0), Duration::from_secs(400));
        let warning = plan.shares[0].warning().unwrap();
        for part in [
            "credential `main`",
            "a round of 400 requests takes 6m40s at 1/s, and",
            "the interval is 5m",
            // 400, 50 of the walks of an hour and 1.4 of those of a day.
            "452 requests come due in 5m, which take 7m32s",
            "`poll.interval` of 9m;",
            "`requests_per_second: 1.6` for this credential",
            "2 shards of which each signs in as a user of its own, with `requests_per_second: 2`",
        ] {
            assert!(warning.contains(part), "{part} in {warning}");
        }
    }

    #[test]
    fn what_is_told_to_help_does_help() {
        assert!(!holds(200, "5m", 1.0));
        assert!(holds(200, "9m", 1.0), "a longer interval");
        assert!(!holds(200, "8m", 1.0), "and no shorter one");
        assert!(holds(200, "5m", 1.6), "more requests");
        assert!(!holds(200, "5m", 1.5), "and no fewer");
        let config = shop(200, "interval: 5m", 2.0, "");
        let plan = plan(&config, &[], |_| None, &Shard::all(2).unwrap());
        assert!(plan.shares.iter().all(Share::holds), "two users");
    }

    #[test]
    fn no_interval_helps_where_walks_and_lookups_alone_are_too_many() {
        // 396 requests an hour in walks, and 180 allowed.
        let warning = of(&shop(132, "interval: 5m", 0.05, "")).shares[0].warning().unwrap();
        assert!(!warning.contains("`poll.interval`"), "{warning}");
        assert!(warning.contains("What helps: `requests_per_second: 1`"), "{warning}");
    }

    #[test]
    fn walks_and_lookups_count_for_the_verdict() {
        // 280 of 300 in rounds; the walks are 35 and one more in five minutes.
        assert!(!holds(140, "5m", 1.0));
        assert!(holds(132, "5m", 1.0));
        let with = "      policy: true\n      restore_window: true\n";
        let plan = of(&shop(132, "interval: 5m", 1.0, with));
        // Once an hour, and four times an hour.
        assert!((plan.shares[0].work.lookups - 132.0 * 5.0).abs() < 1e-6);
        assert_eq!(plan.shares[0].work.first, 132 * 9);
        assert!(!plan.shares[0].holds());
    }

    #[test]
    fn an_interval_of_an_hour_or_more_has_a_walk_in_each_poll() {
        let plan = of(&shop(10, "interval: 2h", 1.0, ""));
        let per_poll = plan.shares[0].work.per_second() * 7200.0;
        // Two requests and three more; the comparison in every twelfth poll.
        assert!((per_poll - 10.0 * (5.0 + 2.0 / 12.0)).abs() < 1e-6, "{per_poll}");
    }

    #[test]
    fn projects_of_one_credential_share_its_budget_each_with_its_own_interval() {
        let text = |name: &str, interval: &str| {
            let ids = (0..60).map(|at| format!("        - {{ id: {at:032x}in04 }}\n"));
            format!(
                "  - name: {name}\n    project_id: {name}\n    credentials: main\n    \
                 poll: {{ interval: {interval} }}\n    rds:\n      endpoint: https://rds.example\n      \
                 instances:\n{}",
                ids.collect::<String>()
            )
        };
        let config = config(&(text("a", "1m") + &text("b", "2m")));
        let plan = of(&config);
        assert_eq!(plan.projects.iter().map(|it| it.work.round).collect::<Vec<_>>(), [60, 60]);
        let [share] = &plan.shares[..] else { panic!("one credential") };
        // One request for each SQL Server: 1/s of the one, 0.5/s of the other.
        let warning = share.warning().unwrap();
        assert!(warning.contains("a round of 120 requests takes 2m at 1/s"), "{warning}");
        assert!(warning.contains("the intervals are 1m to 2m"), "{warning}");
        assert!(warning.contains("`poll.interval` of 2m and 4m"), "{warning}");
    }

    #[test]
    fn instances_that_are_yet_to_be_found_are_said_to_be_unknown_and_counted_once_found() {
        let config = shop(0, "interval: 5m", 1.0, "      discover: true\n      policy: false\n");
        let before = of(&config);
        assert_eq!(before.projects[0].unknown, ["rds"]);
        assert_eq!(before.shares[0].work.targets, 0);
        assert!(before.shares[0].holds());

        let listed = |at: usize| ListedInstance {
            id: InstanceId::new(format!("{at:032x}in01")),
            name: None,
            status: None,
            engine: None,
            created: None,
            is_replica: false,
        };
        let census = Arc::new(census::censuses(&config).remove(0));
        let list = (0..200).map(listed).collect();
        let estate = Arc::new(Estate::new(census).after(Timestamp::UNIX_EPOCH, Ok(list)));
        let after = plan(&config, &[estate], |_| None, &[Shard::WHOLE]);
        assert_eq!(after.projects[0].unknown, [""; 0]);
        assert_eq!(after.shares[0].work.round, 400);
        assert!(!after.shares[0].holds());
        // Two pages and the first again, six times an hour.
        assert!((after.shares[0].work.lookups - 18.0).abs() < 1e-6);
    }

    #[test]
    fn the_shards_together_do_the_rounds_of_the_whole_and_each_reads_the_instance_lists() {
        let keys = "      discover: true\n      policy: false\n";
        let text = shop(40, "interval: 5m", 1.0, keys);
        let whole = of(&text);
        let divided = plan(&text, &[], |_| None, &Shard::all(4).unwrap());
        assert_eq!(divided.projects, whole.projects);
        let rounds: u64 = divided.shares.iter().map(|it| it.work.round).sum();
        assert_eq!(rounds, whole.shares[0].work.round);
        let budget: f64 = divided.shares.iter().map(|it| it.budget).sum();
        assert!((budget - 1.0).abs() < 1e-9);
        assert!(divided.shares.iter().all(|it| (it.work.lookups - 6.0).abs() < 1e-6));
        let warned =
            plan(&shop(900, "interval: 5m", 1.0, ""), &[], |_| None, &Shard::all(3).unwrap());
        let warning = warned.shares[2].warning().unwrap();
        assert!(
            warning.contains("the budget of shard 2 of 3 of the credential `main`"),
            "{warning}"
        );
    }

    proptest! {
        #[test]
        fn a_longer_interval_that_is_told_holds_for_every_estate(
            instances in 1..300_usize,
            seconds in 1..600_u64,
        ) {
            let plan = of(&shop(instances, &format!("interval: {seconds}s"), 1.0, ""));
            if let Some(warning) = plan.shares[0].warning()
                && let Some((_, told)) = warning.split_once("`poll.interval` of ")
            {
                let interval = told.split(';').next().unwrap();
                prop_assert!(holds(instances, interval, 1.0), "{}", warning);
            }
        }
    }

    #[test]
    fn a_number_has_no_more_digits_than_it_takes() {
        for (value, text) in [(1.0, "1"), (0.25, "0.25"), (0.333_33, "0.333"), (400.0, "400")] {
            assert_eq!(number(value), text);
        }
    }
}
