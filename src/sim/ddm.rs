//! The calls of DDM: backups and instances, both of a whole project.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::{Answer, put},
    estate::Project,
    instance::DdmInstance,
    listing::{Found, Memory, total},
    page::Slice,
    record::DdmBackup,
    request::Request,
    switches::Switches,
};

/// The backup list.
pub(super) fn backups(
    request: &Request,
    project: &Project,
    switches: &Switches,
    now: Timestamp,
    memory: &mut Memory<DdmBackup>,
) -> Result<Answer, Answer> {
    let slice = slice(request)?.granted(switches);
    let found = found(request, project, switches, now, memory);
    let mut body = json!({
        "backups": found.shown(slice, switches),
        "offset": slice.offset,
        "limit": slice.limit,
    });
    put(&mut body, "total", found.total(switches));
    Ok(Answer::json(200, &body))
}

/// All records of the list that a request is about, whatever its page.
pub(super) fn found(
    request: &Request,
    project: &Project,
    switches: &Switches,
    now: Timestamp,
    memory: &mut Memory<DdmBackup>,
) -> Arc<Found<DdmBackup>> {
    let instance_id = request.parameter("instance_id");
    let key = format!("{} {instance_id:?}", project.id);
    memory.list(key, project.has_jobs(), now, || {
        Found::new(project.ddm_records(now), switches, |record| {
            // The documents say that deleted ones are never shown.
            record.status != "deleted" && instance_id.is_none_or(|id| record.instance_id == id)
        })
    })
}

/// The instance list.
pub(super) fn instances(
    request: &Request,
    project: &Project,
    switches: &Switches,
) -> Result<Answer, Answer> {
    let slice = slice(request)?.granted(switches);
    let all = &project.ddm;
    let shown: Vec<Value> = slice.of(all).iter().map(DdmInstance::shown).collect();
    let (page_no, page_size, total_page) = if switches.ddm_page_numbers_are_nonsense {
        (3, 1, 26)
    } else {
        (slice.offset / slice.limit + 1, shown.len(), all.len().div_ceil(slice.limit))
    };
    let mut body = json!({
        "instance_num": all.len(),
        "instances": shown,
        "page_no": page_no,
        "page_size": page_size,
        "total_page": total_page,
    });
    put(&mut body, "total_record", total(switches, all.len(), all.len()));
    Ok(Answer::json(200, &body))
}

fn slice(request: &Request) -> Result<Slice, Answer> {
    Slice::asked(request, DEFAULT_PAGE, LARGEST_PAGE).ok_or_else(|| {
        let message = "Parameter error: offset or limit is out of range.";
        Answer::ddm(400, "DBS.280001", message)
    })
}

const DEFAULT_PAGE: usize = 10;
const LARGEST_PAGE: usize = 128;

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::sim::{Schedule, Service, Total};

    const ONE: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";
    const TWO: &str = "269f4f2fd6a94b6c8b1e5bd104385a18in09";

    fn project() -> Project {
        let mut project = Project::new("p", "shop");
        for day in 0..20 {
            let id = if day % 2 == 0 { ONE } else { TWO };
            let created = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day);
            let updated = created + SignedDuration::from_secs(17);
            let backup = DdmBackup::normal(id, "router", "auto_metadata", created, updated);
            project.ddm_backups.push(backup);
        }
        let deleted =
            DdmBackup::with_words(ONE, "router", "metadata", "deleted", Timestamp::UNIX_EPOCH);
        project.ddm_backups.push(deleted);
        project.ddm.push(DdmInstance::new(ONE, "router"));
        project
    }

    fn request(query: &str) -> Request {
        let target = format!("/v3/p/backups?{query}");
        Request::new(Service::Ddm, "GET", &target, Vec::new(), Vec::new())
    }

    fn list(query: &str, switches: &Switches) -> Result<Value, u16> {
        let memory = &mut Memory::default();
        let now = Timestamp::UNIX_EPOCH;
        backups(&request(query), &project(), switches, now, memory)
            .map(|answer| serde_json::from_slice(&answer.body).unwrap())
            .map_err(|answer| answer.status)
    }

    #[test]
    fn a_page_has_ten_records_unless_more_are_asked_and_none_is_a_deleted_one() {
        let page = list("", &Switches::default()).unwrap();
        assert_eq!(page["backups"].as_array().unwrap().len(), 10);
        assert_eq!(page["limit"], 10);
        assert_eq!(page["total"], 20);
        let page = list("limit=128", &Switches::default()).unwrap();
        assert_eq!(page["backups"].as_array().unwrap().len(), 20);
        let page = list(&format!("instance_id={TWO}"), &Switches::default()).unwrap();
        assert_eq!(page["total"], 10);
        assert_eq!(list("limit=129", &Switches::default()), Err(400));
    }

    #[test]
    fn a_capped_page_and_a_lying_total_are_shown_as_switched() {
        let switches =
            Switches { page_cap: Some(5), total: Total::Fixed(7), ..Switches::default() };
        let page = list("limit=128&offset=18", &switches).unwrap();
        assert_eq!(page["backups"].as_array().unwrap().len(), 2);
        assert_eq!(page["limit"], 5);
        assert_eq!(page["total"], 7);
        let switches =
            Switches { total: Total::Absent, offset_is_ignored: true, ..Switches::default() };
        let page = list("offset=500", &switches).unwrap();
        assert_eq!(page["backups"].as_array().unwrap().len(), 10);
        assert_eq!(page.get("total"), None);
    }

    fn instance_list(query: &str, count: usize, switches: &Switches) -> Result<Value, u16> {
        let mut project = Project::new("p", "shop");
        project.ddm = (0..count).map(|at| DdmInstance::new(&at.to_string(), "router")).collect();
        instances(&request(query), &project, switches)
            .map(|answer| serde_json::from_slice(&answer.body).unwrap())
            .map_err(|answer| answer.status)
    }

    /// The numbers beside the instances.
    fn numbers(page: &Value) -> [i64; 5] {
        ["instance_num", "page_no", "page_size", "total_page", "total_record"]
            .map(|name| page[name].as_i64().unwrap())
    }

    #[test]
    fn the_instance_list_has_pages_of_ten_unless_more_are_asked() {
        let list = |query: &str| instance_list(query, 25, &Switches::default());
        assert_eq!(numbers(&list("").unwrap()), [25, 1, 10, 3, 25]);
        assert_eq!(numbers(&list("offset=20").unwrap()), [25, 3, 5, 3, 25]);
        assert_eq!(numbers(&list("limit=128").unwrap()), [25, 1, 25, 1, 25]);
        assert_eq!(list("offset=20&limit=2").unwrap()["instances"][1]["id"], "21");
        assert_eq!(list("offset=25").unwrap()["instances"], json!([]));
        for wrong in ["limit=0", "limit=129", "offset=-1"] {
            assert_eq!(list(wrong), Err(400), "{wrong}");
        }
    }

    #[test]
    fn the_pages_of_the_instance_list_are_those_of_the_switches() {
        let capped = Switches { page_cap: Some(4), total: Total::Fixed(7), ..Switches::default() };
        let page = instance_list("limit=128&offset=8", 25, &capped).unwrap();
        assert_eq!(numbers(&page), [25, 3, 4, 7, 7]);
        assert_eq!(page["instances"][0]["id"], "8");
        let stuck =
            Switches { offset_is_ignored: true, total: Total::Absent, ..Switches::default() };
        let page = instance_list("offset=20", 25, &stuck).unwrap();
        assert_eq!(page["instances"][0]["id"], "0");
        assert_eq!(page.get("total_record"), None);
        let odd = Switches { ddm_page_numbers_are_nonsense: true, ..Switches::default() };
        let page = instance_list("offset=0&limit=128", 2, &odd).unwrap();
        assert_eq!(numbers(&page), [2, 3, 1, 26, 2]);
    }

    #[test]
    fn a_deleted_instance_leaves_the_list_and_its_backups_stay_for_thirty_days() {
        let day = |days: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
        let mut project = Project::new("p", "shop");
        project.ddm.push(DdmInstance::new(ONE, "router"));
        project.schedules.push(Schedule::metadata(ONE, "router", 0));
        let total = |project: &Project, days| {
            let memory = &mut Memory::default();
            let switches = &Switches::default();
            let query = request("limit=128");
            let answer = backups(&query, project, switches, day(days), memory).unwrap();
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            body["total"].as_u64().unwrap()
        };
        assert_eq!(total(&project, 60), 30);
        project.delete_instance(ONE, day(60));
        assert!(project.ddm.is_empty());
        assert_eq!(total(&project, 60), 29, "the run of the moment is not made any more");
        assert_eq!(total(&project, 75), 14);
        assert_eq!(total(&project, 88), 1);
        assert_eq!(total(&project, 89), 0);
    }
}
