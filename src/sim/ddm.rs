//! The calls of DDM: backups and instances, both of a whole project.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::{Answer, put},
    estate::Project,
    instance::DdmInstance,
    listing::{Found, Memory},
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
pub(super) fn instances(request: &Request, project: &Project) -> Result<Answer, Answer> {
    let slice = slice(request)?;
    let all = &project.ddm;
    let shown: Vec<Value> = slice.of(all).iter().map(DdmInstance::shown).collect();
    let body = json!({
        "instance_num": shown.len(),
        "instances": shown,
        "page_no": slice.offset / slice.limit + 1,
        "page_size": slice.limit,
        "total_page": all.len().div_ceil(slice.limit),
        "total_record": all.len(),
    });
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
    use crate::sim::{Service, Total};

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

    #[test]
    fn the_instance_list_counts_all_instances() {
        let answer = instances(&request("limit=1&offset=5"), &project()).unwrap();
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["instances"], json!([]));
        assert_eq!(body["total_record"], 1);
    }
}
