//! What the program says of the conditions of the alerts, held by the rules and by what `promtool` says of
//! the same numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clouddb_backup_exporter::alert::{self, Alert, Condition};
use clouddb_backup_exporter::backup::{
    Backup, BackupId, BackupType, Engine, InstanceId, Origin, Status,
};
use clouddb_backup_exporter::census::censuses;
use clouddb_backup_exporter::config::duration::parse;
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::error::{Fault, Reason};
use clouddb_backup_exporter::estate::Estate;
use clouddb_backup_exporter::exposition::render_once;
use clouddb_backup_exporter::instance::ListedInstance;
use clouddb_backup_exporter::lookup::Looked;
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::policy::{Plan, Policy};
use clouddb_backup_exporter::restore::RestoreWindow;
use clouddb_backup_exporter::snapshot::{PollOutcome, Reading, Snapshot, TargetState};
use clouddb_backup_exporter::target::{Target, targets};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::rules::{CONTRACT, expression, metrics_named, rules};
use crate::tool::{run, tool};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// As long after the epoch as one sample comes after another: the second one is of now, and there is no
/// need for all those that would come in between.
const NOW: &str = "40d";
const NOW_SECONDS: i64 = 40 * DAY;

/// `promtool` loads no more than ten thousand samples for an expression.
const ROUNDS: usize = 12;
const PROJECTS: usize = 12;
const SEED: u64 = 19747;

#[test]
fn the_alerts_that_are_judged_are_those_of_the_rules_with_their_severities_and_times() {
    let judged: Vec<_> = alert::ALL.iter().map(|it| (it.name, it.severity, it.after)).collect();
    let is_left = |name: &str| alert::NOT_JUDGED.iter().any(|(left, _)| *left == name);
    let of_databases = rules().into_iter().filter(|(name, _)| name.starts_with("Database"));
    let of_databases: Vec<(String, serde_yaml::Value)> = of_databases.collect();
    let shipped: Vec<_> = of_databases
        .iter()
        .filter(|(name, _)| !is_left(name))
        .map(|(name, rule)| {
            let severity = rule["labels"]["severity"].as_str().unwrap();
            (&**name, severity, parse(rule["for"].as_str().unwrap()).unwrap())
        })
        .collect();
    assert_eq!(judged, shipped);
    for (name, why) in alert::NOT_JUDGED {
        assert!(of_databases.iter().any(|(it, _)| it == name), "{name} is no rule");
        assert!(why.len() > 20, "{name}: {why}");
    }
    // The rules themselves are held to the contract elsewhere, so no alert falls between the two.
    let promised = CONTRACT.iter().filter(|(name, ..)| name.starts_with("Database")).count();
    assert_eq!(alert::ALL.len() + alert::NOT_JUDGED.len(), promised);
}

#[test]
fn the_conditions_that_hold_are_those_that_promtool_sees_in_the_same_numbers() {
    let rules = rules();
    let rule = |alert: &Alert| &rules.iter().find(|(name, _)| name == alert.name).unwrap().1;
    let named: BTreeSet<&str> =
        alert::ALL.iter().flat_map(|it| metrics_named(expression(rule(it)))).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tests = Vec::new();
    let mut estates = Estates { rng: Rng::with_seed(SEED) };
    for _ in 0..ROUNDS {
        let snapshot = estates.snapshot();
        let mut held = held(&snapshot);
        let expressions = alert::ALL.iter().map(|alert| {
            let found = held.remove(alert.name).unwrap_or_default();
            *counts.entry(alert.name).or_default() += found.len();
            let samples = found.iter().map(|labels| json!({ "labels": labels, "value": 1 }));
            let by = "group by (project, product, instance_id, backup_type)";
            json!({
                "expr": format!("{by} ({})", expression(rule(alert))),
                "eval_time": NOW,
                "exp_samples": samples.collect::<Vec<Value>>(),
            })
        });
        let expressions: Vec<Value> = expressions.collect();
        let text = render_once(&snapshot, &Meters::new().unwrap(), None);
        let samples = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_named = named.contains(series.split('{').next()?);
            is_named.then(|| json!({ "series": series, "values": format!("_ {value}") }))
        });
        let samples: Vec<Value> = samples.collect();
        tests.push(json!({
            "interval": NOW,
            "input_series": samples,
            "promql_expr_test": expressions,
        }));
    }
    // The comparison is worth something only if there is much to compare.
    assert!(counts.len() == alert::ALL.len() && counts.values().all(|it| *it > 20), "{counts:?}");
    let tests = json!({ "evaluation_interval": NOW, "tests": tests });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conditions.yml");
    fs::write(&file, tests.to_string()).unwrap();
    let (output, said) = run(tool("usr/bin/promtool").args(["test", "rules"]).arg(&file));
    assert!(output.status.success(), "{}", difference(&said));
}

/// What holds by the word of the program: the labels, by the names of the alerts.
fn held(snapshot: &Snapshot) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut held: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut add = |project: &str, product: &str, id: &InstanceId, of: &Condition| {
        assert!(!of.why.is_empty());
        let backup_type = of.backup_type.map(|it| format!(r#", backup_type="{it}""#));
        let labels = format!(
            r#"{{project="{project}", product="{product}", instance_id="{id}"{}}}"#,
            backup_type.unwrap_or_default()
        );
        assert!(held.entry(of.alert.name).or_default().insert(labels), "{of:?} twice");
    };
    for state in &snapshot.targets {
        let Target { project, product, .. } = &*state.target;
        for shown in state.shown() {
            for condition in alert::conditions(&shown, at(NOW_SECONDS)) {
                add(project, product.name, shown.id, &condition);
            }
        }
    }
    for estate in &snapshot.estates {
        for listed in estate.unmonitored() {
            let census = &estate.census;
            add(&census.project, census.product.name, &listed.id, &alert::unmonitored());
        }
    }
    held
}

/// What the one sees and the other does not, of all that `promtool` prints.
fn difference(said: &str) -> String {
    let mut told = String::new();
    for part in said.split("expr: ").skip(1) {
        let (expected, got) = part.split_once("got:").unwrap_or((part, ""));
        let sets = [expected, got].map(|text| {
            let sets = text.split('{').skip(1).filter_map(|it| it.split_once('}'));
            sets.map(|(labels, _)| labels.replace('\\', "")).collect::<BTreeSet<String>>()
        });
        let [expected, got] = sets;
        let expression: String = part.chars().take(160).collect();
        writeln!(told, "{expression}…").unwrap();
        for (who, one, other) in [("program", &expected, &got), ("promtool", &got, &expected)] {
            for labels in one.difference(other).filter(|it| it.contains("instance_id")).take(5) {
                writeln!(told, "  only the {who}: {labels}").unwrap();
            }
        }
    }
    if told.is_empty() { said.to_owned() } else { told }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ago(time: Timestamp, seconds: i64) -> Timestamp {
    time - SignedDuration::from_secs(seconds)
}

/// Makes up what may be known of a cloud: around each threshold, and on it.
struct Estates {
    rng: Rng,
}

impl Estates {
    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(..all.len())]
    }

    /// One of these lengths, a second more or less, or exactly.
    fn near(&mut self, lengths: &[i64]) -> i64 {
        self.one_of(lengths) + self.one_of(&[-1, 0, 0, 1, 600, -600])
    }

    fn snapshot(&mut self) -> Snapshot {
        let config = self.config();
        let estates: Vec<Arc<Estate>> =
            censuses(&config).into_iter().map(|census| self.estate(Arc::new(census))).collect();
        let targets = targets(&config, &estates).into_iter();
        let targets = targets.map(|target| Arc::new(self.state(&target, &estates))).collect();
        Snapshot { targets, estates }
    }

    fn config(&mut self) -> Config {
        let mut text =
            "credentials:\n  main: { access_key: AK, secret_key: SK }\nprojects:\n".to_owned();
        for project in 0..PROJECTS {
            let list = self.one_of(&["", "discover: true, ", "audit: true, ", "discover: true, "]);
            let policy = self.chance(60);
            let instances: Vec<String> = (0..5)
                .map(|at| {
                    let auto = self.one_of(&["", "auto: 26h", "auto: 1h", "auto: 8d", "auto: off"]);
                    let more = self.one_of(&["", "manual: 7d", "incremental: 30m"]);
                    let all = [auto, more].map(str::to_owned).into_iter();
                    let all: Vec<String> = all.filter(|it| !it.is_empty()).collect();
                    format!("{{ id: db{at}, max_age: {{ {} }} }}", all.join(", "))
                })
                .collect();
            write!(
                text,
                "  - name: p{project}\n    project_id: p{project}\n    credentials: main\n    \
                 rds: {{ endpoint: \"https://rds.example\", {list}policy: {policy}, \
                 restore_window: true, instances: [{}] }}\n    \
                 ddm: {{ endpoint: \"https://ddm.example\", discover: {} }}\n",
                instances.join(", "),
                self.chance(70)
            )
            .unwrap();
        }
        match Config::read(&text, Path::new("test"), &config::fetch) {
            Ok(loaded) => loaded.config,
            Err(problems) => panic!("{problems}"),
        }
    }

    /// An instance list that was read, or could not be.
    fn estate(&mut self, census: Arc<clouddb_backup_exporter::census::Census>) -> Arc<Estate> {
        let estate = Estate::new(census);
        if self.chance(10) {
            let fault = Fault::new(Reason::Timeout, "no answer");
            return Arc::new(estate.after(at(NOW_SECONDS), Err(fault)));
        }
        let mut list = Vec::new();
        for id in ["db0", "db1", "db2", "db3", "db4", "found0", "found1"] {
            if !self.chance(85) {
                continue;
            }
            let observed = at(NOW_SECONDS);
            let age = self.near(&[2 * DAY, 26 * HOUR, HOUR, 8 * DAY, 30 * DAY, 30 * DAY]);
            list.push(ListedInstance {
                id: InstanceId::new(id),
                name: None,
                status: Some(self.one_of(&["ACTIVE", "ACTIVE", "ACTIVE", "SHUTDOWN"]).into()),
                engine: Some(Engine::default()),
                created: self.chance(80).then(|| ago(observed, age)),
                is_replica: self.chance(5),
            });
        }
        Arc::new(estate.after(at(NOW_SECONDS), Ok(list)))
    }

    fn state(&mut self, target: &Arc<Target>, estates: &[Arc<Estate>]) -> TargetState {
        let is_it = |it: &&Arc<Estate>| {
            it.census.project == target.project && it.census.product == target.product
        };
        let estate = estates.iter().find(is_it).cloned();
        let mut state = TargetState { estate, ..TargetState::new(Arc::clone(target)) };
        if target.policy && self.chance(95) {
            state.policy = self.policy();
        }
        if target.restore_window.is_some() && self.chance(90) {
            state.restore_window = self.restore_window();
        }
        let now = at(NOW_SECONDS);
        let outcome = |fault: Option<Reason>| PollOutcome {
            ended: now,
            took: Duration::ZERO,
            requests: 1,
            records: 1,
            fault: fault.map(|reason| Fault::new(reason, "no answer")),
        };
        if self.chance(90) {
            // Some were read a while ago, with a fault since then.
            let observed = ago(now, self.one_of(&[0, 0, 0, MINUTE, 5 * HOUR, 3 * DAY]));
            let observed = observed + SignedDuration::from_millis(self.one_of(&[0, 0, 250]));
            let backups = self.backups(target, observed);
            let reading = Reading::new(target, &backups, None, observed);
            state = state.after(&outcome(None), Some(&Arc::new(reading)));
        }
        let reason = self.one_of(&[None, None, Some(Reason::Timeout), Some(Reason::NotFound)]);
        if reason.is_some() { state.after(&outcome(reason), None) } else { state }
    }

    fn policy(&mut self) -> Looked<Policy> {
        let hour = Duration::from_secs(3600);
        let policy = match self.rng.u8(..4) {
            0 => Policy::default(),
            1 => Policy { retention: Some(hour * 240), plan: None },
            2 => Policy { retention: Some(hour * 240), plan: Plan::new([3], hour, hour) },
            _ => Policy { retention: Some(hour * 240), plan: Plan::new(1..=7, hour, hour) },
        };
        let looked = Looked::default().after(at(NOW_SECONDS), &Ok(policy));
        let fault = Err(Fault::new(Reason::Timeout, "no answer"));
        match self.rng.u8(..10) {
            0 => Looked::default().after(at(NOW_SECONDS), &fault),
            1 => looked.after(at(NOW_SECONDS), &fault),
            _ => looked,
        }
    }

    fn restore_window(&mut self) -> Looked<RestoreWindow> {
        let asked = ago(at(NOW_SECONDS), self.one_of(&[0, 0, HOUR, 2 * DAY]));
        let lag = self.near(&[HOUR, 5 * MINUTE, 3 * DAY]);
        let window = match self.rng.u8(..3) {
            0 => RestoreWindow::default(),
            _ => RestoreWindow::of([(ago(asked, 9 * DAY), ago(asked, lag))]),
        };
        Looked::default().after(asked, &Ok(window))
    }

    fn backups(&mut self, target: &Target, observed: Timestamp) -> Vec<Backup> {
        let ids: Vec<InstanceId> = match &target.instance {
            Some(instance) => vec![instance.id.clone()],
            None => ["db0", "db1", "other"].map(InstanceId::new).into(),
        };
        let mut backups = Vec::new();
        for id in ids {
            let mut types: Vec<BackupType> = target.product.types.iter().map(|it| it.0).collect();
            types.push(BackupType::UNKNOWN);
            for backup_type in types {
                if self.chance(75) {
                    let records = Records {
                        origin: Arc::new(Origin::bare(id.clone())),
                        backup_type,
                        observed,
                        made: Vec::new(),
                    };
                    backups.extend(self.records(records));
                }
            }
        }
        for (at, backup) in backups.iter_mut().enumerate() {
            backup.id = BackupId::new(&format!("{at}"));
        }
        backups
    }

    fn records(&mut self, mut records: Records) -> Vec<Backup> {
        const GIB: u64 = 1 << 30;
        let observed = records.observed;
        let took = self.one_of(&[5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 4 * HOUR]);
        let age = match self.rng.u8(..3) {
            0 => self.near(&[26 * HOUR, 52 * HOUR, HOUR, 2 * HOUR, 8 * DAY, 16 * DAY]),
            // Those of the policies.
            1 => self.near(&[170 * HOUR, 340 * HOUR, 7 * DAY, 14 * DAY, 30 * MINUTE]),
            _ => self.rng.i64(MINUTE..20 * DAY),
        };
        let success = self.chance(75).then(|| ago(observed, age));
        if let Some(end) = success {
            let size = self.one_of(&[GIB, GIB / 2, GIB / 2 - 1, 3 * GIB, 3 * GIB + 1, GIB, 0]);
            let is_known = self.chance(90);
            let has_end = self.chance(90);
            records.add(
                Status::Completed,
                ago(end, took),
                has_end.then_some(end),
                is_known.then_some(size),
            );
            for at in 1..=self.rng.i64(0..7) {
                let end = ago(end, at * DAY);
                let size = self.one_of(&[GIB, GIB, GIB, GIB, 0]);
                let size = self.chance(95).then_some(size);
                records.add(Status::Completed, ago(end, took), Some(end), size);
            }
        }
        let failures = self.one_of(&[0, 0, 0, 1, 2, 3, 4]);
        // The newest one is as old as that of a type made on demand may be.
        let newest = self.near(&[DAY, HOUR, 2 * DAY]);
        let newest = ago(at(NOW_SECONDS), newest);
        for at in 0..failures {
            let begin = ago(newest, at * 30 * MINUTE);
            records.add(Status::Failed, begin, Some(begin + SignedDuration::from_mins(1)), Some(0));
        }
        if self.chance(40) {
            let lengths = [HOUR, 6 * HOUR, 2 * took, 4 * took];
            let begin = ago(observed, self.near(&lengths).max(0));
            records.add(Status::Running, begin, None, None);
        }
        if self.chance(20) {
            let status = self.one_of(&[Status::Deleting, Status::Unknown]);
            records.add(status, ago(observed, HOUR), None, Some(GIB));
        }
        records.made
    }
}

/// The records of one type of one instance.
struct Records {
    origin: Arc<Origin>,
    backup_type: BackupType,
    observed: Timestamp,
    made: Vec<Backup>,
}

impl Records {
    fn add(
        &mut self,
        status: Status,
        begin: Timestamp,
        end: Option<Timestamp>,
        bytes: Option<u64>,
    ) {
        self.made.push(Backup {
            id: BackupId::new(""),
            origin: Arc::clone(&self.origin),
            backup_type: self.backup_type,
            status,
            begin: Some(begin),
            end,
            bytes,
            unknown: None,
        });
    }
}
