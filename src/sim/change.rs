//! Lists that move while they are read, and lists that have no end.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    answer::{Answer, put},
    clock::moved,
    ddm,
    estate::Project,
    fault::{Change, Endless},
    id,
    instance::{DdmInstance, Instance, RdsInstance},
    listing::Found,
    page::Slice,
    rds,
    record::{DdmBackup, RdsBackup, Record},
    request::Request,
    route::{Call, Route},
    state::State,
    switches::{Order, Switches},
};

/// Makes a change to the list that a request is about.
pub(super) fn apply(change: &Change, request: &Request, state: &mut State, now: Timestamp) {
    if let Change::Apply(function) = change {
        function(&mut state.estate, now);
        state.forget_lists();
        return;
    }
    let fresh = state.fresh_id();
    let Ok(route) = Route::of(request) else {
        return;
    };
    let Some(project) = route.project.and_then(|id| state.estate.project(id)) else {
        return;
    };
    let switches = state.switches.clone();
    match route.call {
        Call::DdmBackups => {
            let list = ddm::found(request, project, &switches, now, &mut state.ddm_lists);
            let project = route.project.and_then(|id| state.estate.project_mut(id));
            if let Some(project) = project {
                let new = change_list(change, &list, project, now);
                project.ddm_backups.extend(new.map(|like| DdmBackup {
                    id: format!("{fresh}br09"),
                    created: neighbour(like.created, switches.order),
                    updated: neighbour(like.updated, switches.order),
                    ..like.clone()
                }));
            }
        }
        Call::RdsBackups => {
            let list = rds::found(request, project, &switches, now, &mut state.rds_lists);
            let project = route.project.and_then(|id| state.estate.project_mut(id));
            if let (Ok(list), Some(project)) = (list, project) {
                let new = change_list(change, &list, project, now);
                project.rds_backups.extend(new.map(|like| RdsBackup {
                    id: format!("{fresh}{}", like.id.get(32..).unwrap_or_default()),
                    begin: neighbour(like.begin, switches.order),
                    end: neighbour(like.end, switches.order),
                    ..like.clone()
                }));
            }
        }
        Call::DdmInstances => {
            let all: Vec<usize> = (0..project.ddm.len()).collect();
            if let Some(project) = route.project.and_then(|id| state.estate.project_mut(id)) {
                change_instances(change, &all, &mut project.ddm, &fresh, now);
            }
        }
        Call::RdsInstances => {
            let found = rds::instances_found(request, project);
            if let Some(project) = route.project.and_then(|id| state.estate.project_mut(id)) {
                change_instances(change, &found, &mut project.rds, &fresh, now);
            }
        }
        _ => {}
    }
    state.forget_lists();
}

/// Deletes or finishes; for an insertion, gives the record that the new one is to be like.
fn change_list<'a, R: Record>(
    change: &Change,
    list: &'a Arc<Found<R>>,
    project: &mut Project,
    now: Timestamp,
) -> Option<&'a R> {
    let target = target(change, &list.records, R::is_running)?;
    match change {
        Change::FinishRunning => project.finish_backup(target.id(), now),
        Change::InsertAtHead => return Some(target),
        _ => project.delete_backup(target.id()),
    }
    None
}

/// The same for a list of instances, of which the places in the project are given.
fn change_instances<I: Instance>(
    change: &Change,
    found: &[usize],
    instances: &mut Vec<I>,
    fresh: &str,
    now: Timestamp,
) {
    let is_being_made = |at: &usize| instances.get(*at).is_some_and(I::is_being_made);
    let Some(&at) = target(change, found, is_being_made) else {
        return;
    };
    match change {
        Change::FinishRunning => {
            if let Some(instance) = instances.get_mut(at) {
                instance.finish(now);
            }
        }
        Change::InsertAtHead => {
            if let Some(new) = instances.get(at).map(|like| like.another(fresh)) {
                instances.insert(at, new);
            }
        }
        _ => drop(instances.remove(at)),
    }
}

/// What in a list a change is about.
fn target<'a, T>(change: &Change, list: &'a [T], is_running: impl Fn(&T) -> bool) -> Option<&'a T> {
    match change {
        Change::Apply(_) => None,
        Change::DeleteHead | Change::InsertAtHead => list.first(),
        Change::DeleteMiddle => list.get(list.len() / 2),
        Change::DeleteTail => list.last(),
        Change::FinishRunning => list.iter().find(|item| is_running(item)),
    }
}

/// A time that puts a record in front of the one that has this time.
fn neighbour(time: Option<Timestamp>, order: Order) -> Option<Timestamp> {
    let step = match order {
        Order::NewestFirst | Order::Unordered => 1,
        Order::OldestFirst => -1,
    };
    time.map(|time| moved(time, SignedDuration::from_secs(step)))
}

/// A page full of fresh records or instances, as long as was asked for; nothing if the request is
/// not for a list.
pub(super) fn endless_page(
    endless: Endless,
    request: &Request,
    state: &mut State,
    now: Timestamp,
) -> Option<Answer> {
    let call = Route::of(request).ok()?.call;
    let (default, largest, list, key) = match call {
        Call::DdmBackups => (10, 128, "backups", "total"),
        Call::DdmInstances => (10, 128, "instances", "total_record"),
        Call::RdsBackups => (100, 100, "backups", "total_count"),
        Call::RdsInstances => (100, 100, "instances", "total_count"),
        _ => return None,
    };
    let slice = Slice::asked(request, default, largest)?;
    let instance_id = request.parameter("instance_id").unwrap_or(ANY_DDM);
    let kind = request.parameter("backup_type").unwrap_or("auto");
    let records: Vec<Value> = (0..slice.limit)
        .map(|_| {
            let stem = state.fresh_id();
            // Each a minute older than the one before, over all pages.
            let age = SignedDuration::from_mins(state.fresh.cast_signed());
            let begin = moved(now, -age);
            let switches = Switches::default();
            match call {
                Call::DdmBackups => {
                    DdmBackup::normal(instance_id, "endless", "auto_metadata", begin, begin)
                        .with_id(&format!("{stem}br09"))
                        .shown(&switches)
                }
                Call::DdmInstances => DdmInstance::new(&format!("{stem}in09"), "endless").shown(),
                Call::RdsInstances => {
                    RdsInstance::new(&format!("{stem}in01"), "endless").shown(&[])
                }
                _ => RdsBackup::completed(instance_id, kind, begin, begin, 1)
                    .with_id(&format!("{stem}br01"))
                    .shown(&switches),
            }
        })
        .collect();
    let total = match endless {
        Endless::Fixed(total) => json!(total),
        Endless::Growing => json!(slice.offset.saturating_add(2 * slice.limit)),
    };
    let mut body = json!({ list: records });
    put(&mut body, key, total);
    if call == Call::DdmBackups {
        put(&mut body, "offset", json!(slice.offset));
        put(&mut body, "limit", json!(slice.limit));
    }
    Some(Answer::json(200, &body))
}

impl State {
    fn fresh_id(&mut self) -> String {
        self.fresh += 1;
        id::stem(&["fresh", &self.fresh.to_string()])
    }
}

const ANY_DDM: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Estate, Fault, RdsInstance, Service, estate::PROJECT_ID};

    const RDS: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
    const DDM: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";

    /// Four RDS and four DDM backups, the newest of each running.
    fn state(order: Order) -> State {
        let at = |hour| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        let rds = (0..3).map(|hour| RdsBackup::completed(RDS, "auto", at(hour), at(hour + 1), 1));
        let ddm = (0..3)
            .map(|hour| DdmBackup::normal(DDM, "router", "auto_metadata", at(hour), at(hour + 1)));
        let running = DdmBackup::with_words(DDM, "router", "auto_metadata", "creating", at(3));
        let estate = Estate::new()
            .with_rds(RdsInstance::new(RDS, "orders"))
            .with_rds_backups(rds)
            .with_rds_backups([RdsBackup::building(RDS, "auto", at(3))])
            .with_ddm_backups(ddm)
            .with_ddm_backups([running]);
        let mut state = State::new(estate);
        state.switches.order = order;
        state
    }

    fn request(service: Service) -> Request {
        let target = format!("/v3/{PROJECT_ID}/backups?instance_id={RDS}");
        let target = target.replace(RDS, if service == Service::Ddm { DDM } else { RDS });
        Request::new(service, "GET", &target, Vec::new(), Vec::new())
    }

    /// Id of each record of a list, with a mark on running ones.
    fn list(state: &mut State, service: Service) -> Vec<String> {
        fn marked<R: Record>(found: &Found<R>) -> Vec<String> {
            let records = found.records.iter();
            records
                .map(|record| {
                    format!("{}{}", record.id(), if record.is_running() { "*" } else { "" })
                })
                .collect()
        }
        let project = state.estate.project(PROJECT_ID).unwrap();
        let (request, now) = (request(service), Timestamp::UNIX_EPOCH);
        if service == Service::Ddm {
            let lists = &mut state.ddm_lists;
            marked(&ddm::found(&request, project, &state.switches, now, lists))
        } else {
            let lists = &mut state.rds_lists;
            marked(&rds::found(&request, project, &state.switches, now, lists).unwrap())
        }
    }

    /// The list before and after a change.
    fn around(change: &Change, service: Service, order: Order) -> (Vec<String>, Vec<String>) {
        let mut state = state(order);
        let before = list(&mut state, service);
        assert_eq!(before.len(), 4);
        apply(change, &request(service), &mut state, Timestamp::UNIX_EPOCH);
        let after = list(&mut state, service);
        (before, after)
    }

    #[test]
    fn head_middle_and_tail_are_those_of_the_list_as_it_is_served() {
        for service in [Service::Ddm, Service::Rds] {
            for order in [Order::NewestFirst, Order::OldestFirst] {
                let (before, after) = around(&Change::InsertAtHead, service, order);
                assert_eq!(after.len(), 5, "{service:?} {order:?}");
                assert_eq!(after[1..], before, "{service:?} {order:?}");
                let (before, after) = around(&Change::DeleteHead, service, order);
                assert_eq!(after, before[1..]);
                let (before, after) = around(&Change::DeleteMiddle, service, order);
                assert_eq!(after, [&before[..2], &before[3..]].concat());
                let (before, after) = around(&Change::DeleteTail, service, order);
                assert_eq!(after, before[..3]);
            }
        }
    }

    #[test]
    fn a_running_record_is_finished_where_it_stands() {
        for service in [Service::Ddm, Service::Rds] {
            let (before, after) = around(&Change::FinishRunning, service, Order::NewestFirst);
            assert!(before[0].ends_with('*'));
            assert_eq!(before[0].trim_end_matches('*'), after[0]);
            assert_eq!(before[1..], after[1..]);
        }
    }

    /// Ids of the instances before and after a change to a list of them.
    fn instances_around(change: &Change, service: Service, query: &str) -> [Vec<String>; 2] {
        let mut estate = Estate::new();
        for at in 0..4 {
            let (rds, ddm) = (format!("{at:032x}in03"), format!("{at:032x}in09"));
            let kind = if at == 0 { "Single" } else { "Ha" };
            estate = estate
                .with_rds(RdsInstance::new(&rds, "x").with_kind(kind))
                .with_ddm(DdmInstance::new(&ddm, "x"));
        }
        let mut state = State::new(estate);
        let version = if service == Service::Ddm { "v1" } else { "v3" };
        let target = format!("/{version}/{PROJECT_ID}/instances?{query}");
        let request = Request::new(service, "GET", &target, Vec::new(), Vec::new());
        let ids = |state: &State| -> Vec<String> {
            let project = &state.estate.projects[0];
            if service == Service::Ddm {
                project.ddm.iter().map(|instance| instance.id.clone()).collect()
            } else {
                project.rds.iter().map(|instance| instance.id.clone()).collect()
            }
        };
        let before = ids(&state);
        apply(change, &request, &mut state, Timestamp::UNIX_EPOCH);
        [before, ids(&state)]
    }

    #[test]
    fn a_list_of_instances_changes_at_the_same_places() {
        for (service, suffix) in [(Service::Ddm, "in09"), (Service::Rds, "in03")] {
            let [before, after] = instances_around(&Change::InsertAtHead, service, "");
            assert_eq!(after[1..], before, "{service:?}");
            assert!(after[0].len() == 36 && after[0].ends_with(suffix), "{}", after[0]);
            let [before, after] = instances_around(&Change::DeleteHead, service, "");
            assert_eq!(after, before[1..]);
            let [before, after] = instances_around(&Change::DeleteMiddle, service, "");
            assert_eq!(after, [&before[..2], &before[3..]].concat());
            let [before, after] = instances_around(&Change::DeleteTail, service, "");
            assert_eq!(after, before[..3]);
        }
        let [before, after] = instances_around(&Change::DeleteHead, Service::Rds, "type=Ha");
        assert_eq!(after, [&before[..1], &before[2..]].concat(), "the head of what was asked");
        let [before, after] = instances_around(&Change::DeleteTail, Service::Rds, "name=y");
        assert_eq!(after, before, "of an empty list nothing can go");
    }

    #[test]
    fn an_instance_that_is_being_made_is_made_where_it_stands() {
        let estate = Estate::new()
            .with_rds(RdsInstance::new(RDS, "orders"))
            .with_rds(RdsInstance::new("new", "new").with_status("BUILD").with_created(None))
            .with_ddm(DdmInstance::new(DDM, "new").with_status("CREATE").with_created(None));
        let mut state = State::new(estate);
        for (service, version) in [(Service::Ddm, "v1"), (Service::Rds, "v3")] {
            let target = format!("/{version}/{PROJECT_ID}/instances");
            let request = Request::new(service, "GET", &target, Vec::new(), Vec::new());
            apply(&Change::FinishRunning, &request, &mut state, Timestamp::UNIX_EPOCH);
        }
        let project = &state.estate.projects[0];
        let (rds, ddm) = (&project.rds[1], &project.ddm[0]);
        assert_eq!((rds.status.as_str(), rds.created), ("ACTIVE", Some(Timestamp::UNIX_EPOCH)));
        assert_eq!((ddm.status.as_str(), ddm.created), ("RUNNING", Some(Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn a_function_may_change_anything() {
        let change = Change::apply(|estate, _| estate.projects[0].rds_backups.clear());
        let (_, after) = around(&change, Service::Rds, Order::NewestFirst);
        assert!(after.is_empty());
        assert!(format!("{:?}", Fault::change(change)).contains("Apply"));
    }
}
