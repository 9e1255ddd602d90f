//! The calls of RDS: backups, instances, backup policy and restore time.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::{Answer, put},
    estate::Project,
    instance::RdsInstance,
    listing::{Found, Memory, total},
    page::Slice,
    record::{RdsBackup, Record},
    request::Request,
    switches::{ReplicaPolicy, Switches, Window},
    time,
};

/// The backup list.
pub(super) fn backups(
    request: &Request,
    project: &Project,
    switches: &Switches,
    now: Timestamp,
    memory: &mut Memory<RdsBackup>,
) -> Result<Answer, Answer> {
    let asked = Slice::asked(request, LARGEST_PAGE, LARGEST_PAGE)
        .ok_or_else(|| parameter_error("offset or limit is out of range"))?;
    let found = found(request, project, switches, now, memory)?;
    let slice = asked.granted(switches);
    let shown = found.shown(slice, switches);
    Ok(page("backups", &shown, found.total(switches), asked, slice))
}

/// A page as RDS sends it, which tells the limit only if it is not the one that was asked.
fn page(name: &str, shown: &[Value], total: Option<Value>, asked: Slice, granted: Slice) -> Answer {
    let mut body = json!({ name: shown });
    put(&mut body, "total_count", total);
    put(&mut body, "limit", (granted.limit < asked.limit).then(|| json!(granted.limit)));
    Answer::json(200, &body)
}

/// All records of the list that a request is about, whatever its page.
pub(super) fn found(
    request: &Request,
    project: &Project,
    switches: &Switches,
    now: Timestamp,
    memory: &mut Memory<RdsBackup>,
) -> Result<Arc<Found<RdsBackup>>, Answer> {
    let filter = Filter::read(request, switches)?;
    let known = project.rds.iter().any(|rds| rds.id == filter.instance_id)
        || switches.lists_deleted_instances
            && !project.rds_records(&filter.instance_id, now).is_empty();
    if !known {
        return Err(no_instance());
    }
    let key = format!("{} {filter:?}", project.id);
    Ok(memory.list(key, project.has_jobs(), now, || {
        let all = project.rds_records(&filter.instance_id, now);
        Found::new(all, switches, |record| filter.passes(record, switches))
    }))
}

/// The instance list.
pub(super) fn instances(
    request: &Request,
    project: &Project,
    switches: &Switches,
) -> Result<Answer, Answer> {
    let asked = Slice::asked(request, LARGEST_PAGE, LARGEST_PAGE)
        .ok_or_else(|| parameter_error("offset or limit is out of range"))?;
    let slice = asked.granted(switches);
    let all = &project.rds;
    let found = instances_found(request, project);
    let shown = slice.of(&found).iter().filter_map(|at| all.get(*at));
    let shown: Vec<Value> = shown.map(|rds| rds.shown(all)).collect();
    let total = total(switches, found.len(), all.len());
    Ok(page("instances", &shown, total, asked, slice))
}

/// Where in the project the instances are that a request is about, whatever its page.
pub(super) fn instances_found(request: &Request, project: &Project) -> Vec<usize> {
    let like = |parameter: &str, value: &str| match request.parameter(parameter) {
        None => true,
        // A leading asterisk makes the search fuzzy.
        Some(asked) => match asked.strip_prefix('*') {
            Some(part) => value.contains(part),
            None => value == asked,
        },
    };
    let kind = request.parameter("type");
    let engine = request.parameter("datastore_type");
    let passes = |rds: &RdsInstance| {
        like("id", &rds.id)
            && like("name", &rds.name)
            && kind.is_none_or(|kind| rds.kind.eq_ignore_ascii_case(kind))
            // The one filter of which the documents say that case matters.
            && engine.is_none_or(|engine| rds.engine == engine)
    };
    let all = project.rds.iter().enumerate();
    all.filter(|(_, rds)| passes(rds)).map(|(at, _)| at).collect()
}

/// The automated backup policy of an instance.
pub(super) fn policy(
    instance_id: &str,
    project: &Project,
    switches: &Switches,
) -> Result<Answer, Answer> {
    let instance = instance(instance_id, project)?;
    if instance.is_replica() {
        // No document tells what becomes of such a question.
        match switches.policy_of_replica {
            ReplicaPolicy::BadRequest => {
                return Err(parameter_error("the DB instance is a read replica"));
            }
            ReplicaPolicy::NotFound => return Err(no_instance()),
            ReplicaPolicy::Told => {}
        }
    }
    Ok(Answer::json(200, &instance.shown_policy()))
}

/// The restorable ranges of an instance, in milliseconds: from its oldest completed full backup to
/// its newest completed record, unless it has others. With a date, those that touch that day.
pub(super) fn restore_time(
    request: &Request,
    instance_id: &str,
    project: &Project,
    now: Timestamp,
) -> Result<Answer, Answer> {
    let instance = instance(instance_id, project)?;
    let day = match request.parameter("date") {
        None => None,
        Some(date) => {
            Some(time::day(date).ok_or_else(|| parameter_error("date format is invalid"))?)
        }
    };
    let ranges = instance.restore_ranges.clone().unwrap_or_else(|| {
        let records = project.rds_records(instance_id, now);
        let completed = || records.iter().filter(|record| record.status == "COMPLETED");
        let full = completed().filter(|record| record.kind != "incremental");
        let oldest = full.filter_map(|record| record.end).min();
        let newest = completed().filter_map(|record| record.end).max();
        oldest.zip(newest).into_iter().collect()
    });
    let ranges: Vec<Value> = ranges
        .iter()
        .filter(|(start, end)| day.is_none_or(|(first, next)| *start < next && *end >= first))
        .map(|(start, end)| {
            json!({ "start_time": start.as_millisecond(), "end_time": end.as_millisecond() })
        })
        .collect();
    Ok(Answer::json(200, &json!({ "restore_time": ranges })))
}

/// The filters of the backup list.
#[derive(Debug)]
struct Filter {
    instance_id: String,
    backup_id: Option<String>,
    kind: Option<String>,
    window: Option<(Timestamp, Timestamp)>,
}

impl Filter {
    fn read(request: &Request, switches: &Switches) -> Result<Self, Answer> {
        let instance_id = request
            .parameter("instance_id")
            .ok_or_else(|| parameter_error("instance_id must not be empty"))?;
        let kind = request.parameter("backup_type");
        if kind.is_some_and(|kind| !KINDS.contains(&kind)) {
            return Err(parameter_error("backup_type is invalid"));
        }
        let is_sql_server = instance_id.ends_with("in04");
        let foreign = match kind {
            Some("incremental") => is_sql_server && switches.refuses_incremental_of_sql_server,
            Some("fragment") => !is_sql_server && switches.refuses_fragment_of_others,
            _ => false,
        };
        if foreign {
            return Err(parameter_error("backup_type does not fit the DB engine"));
        }
        let window = match (request.parameter("begin_time"), request.parameter("end_time")) {
            (None, None) => None,
            (Some(begin), Some(end)) => {
                let times = time::asked(begin).zip(time::asked(end));
                let times = times.ok_or_else(|| parameter_error("time format is invalid"))?;
                if times.1 <= times.0 {
                    return Err(parameter_error("end_time must be later than begin_time"));
                }
                Some(times)
            }
            _ => return Err(parameter_error("begin_time and end_time go together")),
        };
        Ok(Self {
            instance_id: instance_id.to_owned(),
            backup_id: request.parameter("backup_id").map(str::to_owned),
            kind: kind.map(str::to_owned),
            window,
        })
    }

    fn passes(&self, record: &RdsBackup, switches: &Switches) -> bool {
        let is_asked_kind = switches.type_is_ignored
            || match &self.kind {
                Some(kind) => record.kind.eq_ignore_ascii_case(kind),
                None => {
                    switches.untyped_holds_incrementals
                        || !record.kind.eq_ignore_ascii_case("incremental")
                }
            };
        let is_asked_id = self.backup_id.as_ref().is_none_or(|id| record.id == *id);
        is_asked_kind && is_asked_id && self.is_in_window(record, switches)
    }

    fn is_in_window(&self, record: &RdsBackup, switches: &Switches) -> bool {
        let Some((begin, end)) = self.window else {
            return true;
        };
        let time = match switches.window {
            Window::Begin => record.begin(),
            Window::End => record.end(),
            Window::Ignored => return true,
        };
        time.is_some_and(|time| {
            let inside = begin < time && time < end;
            inside || switches.window_is_inclusive && (time == begin || time == end)
        })
    }
}

fn instance<'a>(id: &str, project: &'a Project) -> Result<&'a RdsInstance, Answer> {
    let found = project.rds.iter().find(|rds| rds.id == id);
    found.ok_or_else(no_instance)
}

fn no_instance() -> Answer {
    Answer::rds(404, "DBS.200045", "The DB instance does not exist.")
}

fn parameter_error(message: &str) -> Answer {
    Answer::rds(400, "DBS.200001", &format!("Parameter error: {message}."))
}

const KINDS: [&str; 4] = ["auto", "manual", "fragment", "incremental"];
const LARGEST_PAGE: usize = 100;

#[cfg(test)]
mod tests;
