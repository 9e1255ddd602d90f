//! The simulated cloud over real HTTP.

use std::time::Duration;

use clouddb_backup_exporter::sim::{
    Caller, Change, Clock, Cloud, DdmInstance, Endless, Estate, Fault, Order, Policy, Project,
    RateLimit, RdsBackup, RdsInstance, Schedule, Service, estate,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const ORDERS: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const OTHER_PROJECT: &str = "1483b6b16e954cb88930a360d2c4e663";

/// What came back.
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn ids(&self) -> Vec<String> {
        self.ids_of("backups")
    }

    fn ids_of(&self, list: &str) -> Vec<String> {
        let body = self.json();
        let shown = body[list].as_array().unwrap().iter();
        shown.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn client() -> reqwest::Client {
    builder().build().unwrap()
}

fn builder() -> reqwest::ClientBuilder {
    // Another test of this process may have been first; either way there is a provider now.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy()
}

async fn send(request: reqwest::RequestBuilder) -> Result<Got, reqwest::Error> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(Got { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

async fn sign_in_with(cloud: &Cloud, password: &str, scope: &Value) -> Got {
    let user = json!({
        "name": estate::USER,
        "password": password,
        "domain": { "name": estate::DOMAIN },
    });
    let body = json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": user } },
        "scope": scope,
    } });
    let url = format!("{}/auth/tokens", cloud.iam_url());
    send(client().post(url).body(body.to_string())).await.unwrap()
}

/// A token for the usual project.
async fn token(cloud: &Cloud) -> String {
    let scope = json!({ "project": { "name": estate::PROJECT_NAME } });
    let got = sign_in_with(cloud, estate::PASSWORD, &scope).await;
    assert_eq!(got.status, 201);
    got.headers["x-subject-token"].to_str().unwrap().to_owned()
}

async fn get(token: &str, host: &str, target: &str) -> Result<Got, reqwest::Error> {
    let request = client().get(format!("{host}{target}"));
    send(request.header("X-Auth-Token", token)).await
}

fn backups(query: &str) -> String {
    format!("/v3/{}/backups?instance_id={ORDERS}&{query}", estate::PROJECT_ID)
}

fn now() -> Timestamp {
    "2025-03-10T12:00:30Z".parse().unwrap()
}

fn orders() -> Estate {
    Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_schedule(Schedule::daily(ORDERS, 1))
        .with_schedule(Schedule::incremental(ORDERS))
}

async fn cloud(estate: Estate) -> Cloud {
    Cloud::start_at(estate, Clock::fixed(now())).await.unwrap()
}

#[tokio::test]
async fn a_token_opens_its_own_project_until_it_ends() {
    let other = Project::new(OTHER_PROJECT, "eu-de_other");
    let cloud = cloud(orders().with_project(other)).await;
    let token = token(&cloud).await;

    let got = get(&token, cloud.rds_url(), &backups("backup_type=auto")).await.unwrap();
    assert_eq!(got.status, 200);
    assert_eq!(got.json()["total_count"], 7);
    assert_eq!(got.headers["date"], "Mon, 10 Mar 2025 12:00:30 GMT");
    assert_eq!(got.headers["content-type"], "application/json");
    assert!(got.headers.contains_key("x-request-id"));

    let target = format!("/v3/{OTHER_PROJECT}/backups?instance_id={ORDERS}");
    let got = get(&token, cloud.rds_url(), &target).await.unwrap();
    assert_eq!((got.status, &got.json()["error_code"]), (403, &json!("APIGW.0302")));

    cloud.clock().advance(SignedDuration::from_hours(24));
    let got = get(&token, cloud.rds_url(), &backups("")).await.unwrap();
    assert_eq!((got.status, &got.json()["error_code"]), (401, &json!("APIGW.0301")));
    assert_eq!(got.json()["request_id"], got.headers["x-request-id"].to_str().unwrap());
}

#[tokio::test]
async fn a_wrong_password_and_a_revoked_token_are_refused_and_counted() {
    let cloud = cloud(orders()).await;
    let scope = json!({ "project": { "id": estate::PROJECT_ID } });
    let got = sign_in_with(&cloud, "wrong", &scope).await;
    assert_eq!((got.status, &got.json()["error"]["code"]), (401, &json!(401)));

    let token = token(&cloud).await;
    cloud.revoke_tokens();
    let got = get(&token, cloud.rds_url(), &backups("")).await.unwrap();
    assert_eq!(got.status, 401);
    assert_eq!(cloud.sign_ins(), 2);

    let seen = cloud.requests();
    let statuses: Vec<Option<u16>> = seen.iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [Some(401), Some(201), Some(401)]);
    assert_eq!(seen[2].parameter("instance_id"), Some(ORDERS));
    assert_eq!(seen[2].caller, Caller::Nobody);
}

#[tokio::test]
async fn a_walk_over_all_pages_brings_every_increment_once() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    let mut ids = Vec::new();
    for page in 0.. {
        let query = format!("backup_type=incremental&limit=100&offset={}", page * 100);
        let got = get(&token, cloud.rds_url(), &backups(&query)).await.unwrap();
        if got.ids().is_empty() {
            break;
        }
        ids.extend(got.ids());
    }
    assert_eq!(ids.len(), 7 * 288);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7 * 288);
    assert_eq!(cloud.count(|seen| seen.service == Service::Rds), 22);
    assert_eq!(cloud.most_in_flight(estate::PROJECT_ID), 1);
}

#[tokio::test]
async fn new_backups_appear_as_the_clock_moves() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    let newest = async || {
        let target = backups("backup_type=auto&limit=1");
        let list = get(&token, cloud.rds_url(), &target).await.unwrap().json();
        let field = |name: &str| list["backups"][0][name].as_str().unwrap().to_owned();
        (field("status"), field("begin_time"))
    };
    cloud.clock().set("2025-03-11T01:05:00Z".parse().unwrap());
    let begin = "2025-03-11T01:00:00+0000".to_owned();
    assert_eq!(newest().await, ("BUILDING".to_owned(), begin.clone()));
    cloud.clock().advance(SignedDuration::from_mins(10));
    assert_eq!(newest().await, ("COMPLETED".to_owned(), begin));
}

#[tokio::test]
async fn faults_strike_as_ordered_and_then_the_cloud_answers_again() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    let read = async || get(&token, cloud.rds_url(), &backups("")).await;
    let once = |fault: Fault| cloud.fault(fault.on(Service::Rds).once());

    once(Fault::status(503));
    assert_eq!(read().await.unwrap().status, 503);
    once(Fault::close());
    assert!(read().await.is_err());
    once(Fault::cut());
    let error = read().await.err().unwrap();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    once(Fault::body("<html>"));
    assert_eq!(read().await.unwrap().body, b"<html>");
    once(Fault::huge_body());
    assert!(read().await.unwrap().body.len() > 8 << 20);

    assert_eq!(read().await.unwrap().json()["total_count"], 7);
    let statuses: Vec<_> = cloud.requests().iter().skip(1).map(|seen| seen.status).collect();
    let answered = Some(200);
    assert_eq!(statuses, [Some(503), None, answered, answered, answered, answered]);
}

#[tokio::test]
async fn a_request_that_hangs_is_under_way_until_its_client_gives_up() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    cloud.fault(Fault::hang().times(2));
    let request = || {
        let request = client().get(format!("{}{}", cloud.rds_url(), backups("")));
        send(request.header("X-Auth-Token", &token).timeout(Duration::from_millis(300)))
    };
    let (one, other) = tokio::join!(request(), request());
    assert!(one.err().unwrap().is_timeout());
    assert!(other.err().unwrap().is_timeout());
    assert_eq!(cloud.most_in_flight(estate::PROJECT_ID), 2);
    let gone = async {
        while cloud.most_in_flight(estate::PROJECT_ID) > 0 {
            cloud.forget_requests();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_list_can_move_between_two_pages() {
    let start = now() - SignedDuration::from_hours(100);
    let records = (0..10).map(|hour| {
        let begin = start + SignedDuration::from_hours(hour);
        RdsBackup::completed(ORDERS, "auto", begin, begin + SignedDuration::from_mins(5), 1)
    });
    let estate =
        Estate::new().with_rds(RdsInstance::new(ORDERS, "orders")).with_rds_backups(records);
    let cloud = cloud(estate).await;
    let token = token(&cloud).await;
    let page = async |offset: usize| {
        let target = backups(&format!("limit=5&offset={offset}"));
        get(&token, cloud.rds_url(), &target).await.unwrap()
    };

    cloud.fault(Fault::change(Change::InsertAtHead).once());
    let first = page(0).await;
    let second = page(5).await;
    assert_eq!(first.ids()[4], second.ids()[0], "a record is seen twice");
    assert_eq!(second.json()["total_count"], 11);

    cloud.fault(Fault::change(Change::DeleteHead).once());
    let first = page(0).await;
    let second = page(5).await;
    let third = page(10).await;
    assert_eq!(second.json()["total_count"], 10);
    assert!(third.ids().is_empty());
    let seen = first.ids().len() + second.ids().len();
    assert_eq!(seen, 10, "of the eleven that were there, one was missed");

    let remaining = async || page(0).await.ids().into_iter().chain(page(5).await.ids());
    let before: Vec<String> = remaining().await.collect();
    cloud.fault(Fault::change(Change::DeleteMiddle).once());
    page(0).await;
    cloud.fault(Fault::change(Change::DeleteTail).once());
    page(0).await;
    let after: Vec<String> = remaining().await.collect();
    let kept: Vec<&String> = before
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 5 && *at != 9)
        .map(|(_, id)| id)
        .collect();
    assert_eq!(after.iter().collect::<Vec<_>>(), kept);
}

#[tokio::test]
async fn a_running_record_can_finish_between_two_pages() {
    let begin = now() - SignedDuration::from_mins(5);
    let estate = Estate::new()
        .with_rds(RdsInstance::new(ORDERS, "orders"))
        .with_rds_backups([RdsBackup::building(ORDERS, "auto", begin)]);
    let cloud = cloud(estate).await;
    let token = token(&cloud).await;
    cloud.fault(Fault::change(Change::FinishRunning).once());
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let list = get(&token, cloud.rds_url(), &backups("")).await.unwrap().json();
        assert_eq!(list["total_count"], 1);
        statuses.push(list["backups"][0]["status"].clone());
    }
    assert_eq!(statuses, ["BUILDING", "COMPLETED"]);
}

#[tokio::test]
async fn an_endless_list_is_full_of_fresh_records_on_every_page() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    cloud.fault(Fault::endless(Endless::Growing));
    let mut ids = Vec::new();
    for offset in [0, 100, 200, 200] {
        let target = backups(&format!("offset={offset}"));
        let got = get(&token, cloud.rds_url(), &target).await.unwrap();
        assert_eq!(got.json()["total_count"], offset + 200);
        ids.extend(got.ids());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 400);

    cloud.clear_faults();
    cloud.fault(Fault::endless(Endless::Fixed(9_000_000)));
    let target = format!("/v3/{}/backups?limit=128", estate::PROJECT_ID);
    let got = get(&token, cloud.ddm_url(), &target).await.unwrap();
    assert_eq!(got.json()["total"], 9_000_000);
    assert_eq!(got.ids().len(), 128);
}

#[tokio::test]
async fn too_many_requests_are_throttled_until_the_window_has_passed() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    cloud.switches(|switches| {
        switches.rate_limit = Some(RateLimit { requests: 2, window: SignedDuration::from_mins(1) });
        switches.retry_after = Some(7);
    });
    let read = async || get(&token, cloud.rds_url(), &backups("")).await.unwrap();
    assert_eq!(read().await.status, 200);
    assert_eq!(read().await.status, 200);
    let refused = read().await;
    assert_eq!((refused.status, &refused.json()["error_code"]), (429, &json!("APIGW.0308")));
    assert_eq!(refused.headers["retry-after"], "7");
    cloud.clock().advance(SignedDuration::from_mins(1));
    assert_eq!(read().await.status, 200);
}

#[tokio::test]
async fn a_body_is_packed_only_when_switched_and_accepted() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    cloud.switches(|switches| switches.gzip = true);
    let unpacked = get(&token, cloud.rds_url(), &backups("")).await.unwrap();
    assert_eq!(unpacked.json()["total_count"], 7);
    // A client that does not unpack gets to see the packed bytes.
    let client = builder().no_gzip().build().unwrap();
    let request = client.get(format!("{}{}", cloud.rds_url(), backups("")));
    let request = request.header("X-Auth-Token", &token);
    let packed = send(request.header("Accept-Encoding", "gzip")).await.unwrap();
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    cloud.switches(|switches| switches.gzip = false);
    let plain = get(&token, cloud.rds_url(), &backups("")).await.unwrap();
    assert!(!plain.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    let got = get(&token, cloud.rds_url(), "/v2/nothing").await.unwrap();
    assert_eq!((got.status, &got.json()["error_code"]), (404, &json!("APIGW.0101")));
    let request = client().delete(format!("{}{}", cloud.rds_url(), backups("")));
    assert_eq!(send(request).await.unwrap().status, 405);
}

#[tokio::test]
async fn a_stopped_cloud_refuses_connections() {
    let cloud = cloud(orders()).await;
    let url = format!("{}{}", cloud.rds_url(), backups(""));
    assert_eq!(send(client().get(&url)).await.unwrap().status, 401);
    cloud.stop().await;
    assert!(send(client().get(&url)).await.err().unwrap().is_connect());
}

#[tokio::test]
async fn a_list_follows_the_estate_and_the_switches_at_once() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    let ids = async || get(&token, cloud.rds_url(), &backups("")).await.unwrap().ids();
    let mut expected = ids().await;
    cloud.switches(|switches| switches.order = Order::OldestFirst);
    expected.reverse();
    assert_eq!(ids().await, expected);
    cloud.change(|estate| estate.projects[0].delete_backup(&expected[0]));
    assert_eq!(ids().await, expected[1..]);
}

#[tokio::test]
async fn contents_on_demand_are_only_for_those_who_may_see_them() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    cloud.fault(Fault::body("[]"));
    let got = get(&token, cloud.rds_url(), &backups("")).await.unwrap();
    assert_eq!(got.body, b"[]");
    let got = get("made-up", cloud.rds_url(), &backups("")).await.unwrap();
    assert_eq!(got.status, 401);
    cloud.clear_faults();
    cloud.fault(Fault::status(429).with_header("Retry-After", "3"));
    let got = get("made-up", cloud.rds_url(), &backups("")).await.unwrap();
    assert_eq!((got.status, &got.headers["retry-after"]), (429, &"3".parse().unwrap()));
}

#[tokio::test]
async fn a_late_answer_is_the_ordinary_one_and_others_overtake_it() {
    let cloud = cloud(orders()).await;
    let token = token(&cloud).await;
    let pause = Duration::from_millis(200);
    cloud.fault(Fault::delay(pause).at("backup_type=manual").once());
    let start = tokio::time::Instant::now();
    let late = async {
        let got = get(&token, cloud.rds_url(), &backups("backup_type=manual")).await.unwrap();
        assert_eq!(got.json()["total_count"], 0);
        assert!(start.elapsed() >= pause);
    };
    let prompt = async {
        // The late one is in before this one is sent.
        while cloud.most_in_flight(estate::PROJECT_ID) == 0 {
            tokio::task::yield_now().await;
        }
        let got = get(&token, cloud.rds_url(), &backups("backup_type=auto")).await.unwrap();
        assert_eq!(got.status, 200);
        assert_eq!(cloud.count(|seen| seen.status.is_none()), 1, "the late one is under way");
    };
    tokio::join!(late, prompt);
    assert_eq!(cloud.most_in_flight(estate::PROJECT_ID), 2);
}

const ROUTER: &str = "169f4f2fd6a94b6c8b1e5bd104385a18in09";

/// An instance list of each service: its host, its path, and the name of its total.
fn instance_lists(cloud: &Cloud) -> [(Service, String, String, &'static str); 2] {
    let (rds, ddm) = (cloud.rds_url().to_owned(), cloud.ddm_url().to_owned());
    let path = |version: &str| format!("/{version}/{}/instances", estate::PROJECT_ID);
    [
        (Service::Rds, rds, path("v3"), "total_count"),
        (Service::Ddm, ddm, path("v1"), "total_record"),
    ]
}

/// Ten instances of each service.
fn many_instances() -> Estate {
    (0..10).fold(Estate::new(), |estate, at| {
        estate
            .with_rds(RdsInstance::new(&format!("{at:032x}in01"), "x"))
            .with_ddm(DdmInstance::new(&format!("{at:032x}in09"), "x"))
    })
}

#[tokio::test]
async fn faults_strike_the_instance_lists_as_they_do_the_backup_lists() {
    let cloud = cloud(many_instances()).await;
    let token = token(&cloud).await;
    for (service, host, path, total) in instance_lists(&cloud) {
        let read = async || get(&token, &host, &path).await;
        let once = |fault: Fault| cloud.fault(fault.on(service).at("/instances").once());
        once(Fault::status(503));
        assert_eq!(read().await.unwrap().status, 503);
        once(Fault::close());
        assert!(read().await.is_err());
        once(Fault::cut());
        let error = read().await.err().unwrap();
        assert!(error.is_body() || error.is_decode(), "{error:?}");
        once(Fault::huge_body());
        let huge = read().await.unwrap();
        assert!(huge.body.len() > 8 << 20);
        assert_eq!(
            (huge.json()["instances"].clone(), huge.json()[total].clone()),
            (json!([]), json!(0))
        );
        once(Fault::hang());
        let request = client().get(format!("{host}{path}")).header("X-Auth-Token", &token);
        let hanging = send(request.timeout(Duration::from_millis(300))).await;
        assert!(hanging.err().unwrap().is_timeout());
        assert_eq!(read().await.unwrap().json()[total], 10);
    }
}

#[tokio::test]
async fn a_list_of_instances_can_move_between_two_pages_or_have_no_end() {
    let cloud = cloud(many_instances()).await;
    let token = token(&cloud).await;
    for (service, host, path, total) in instance_lists(&cloud) {
        let page = async |offset: usize| {
            get(&token, &host, &format!("{path}?limit=5&offset={offset}")).await.unwrap()
        };
        let ids = |got: &Got| got.ids_of("instances");
        cloud.fault(Fault::change(Change::InsertAtHead).on(service).once());
        let (first, second) = (page(0).await, page(5).await);
        assert_eq!(ids(&first)[4], ids(&second)[0], "an instance is seen twice");
        assert_eq!(second.json()[total], 11);

        cloud.fault(Fault::change(Change::DeleteHead).on(service).once());
        let (first, second) = (page(0).await, page(5).await);
        assert_eq!(second.json()[total], 10);
        assert!(ids(&page(10).await).is_empty());
        assert_eq!(ids(&first).len() + ids(&second).len(), 10, "of eleven, one was missed");

        cloud.fault(Fault::endless(Endless::Fixed(4)).on(service).at("/instances"));
        let mut endless = ids(&page(0).await);
        endless.extend(ids(&page(5).await));
        endless.sort();
        endless.dedup();
        assert_eq!(endless.len(), 10);
        assert_eq!(page(0).await.json()[total], 4);
    }
    cloud.clear_faults();
    let vanish = Change::apply(|estate, _| {
        estate.projects[0].rds.clear();
        estate.projects[0].ddm.clear();
    });
    cloud.fault(Fault::change(vanish).at("/v3/").once());
    // The change comes after the page that is answered.
    let [rds, ddm] = instance_lists(&cloud);
    for ((_, host, path, total), expected) in [(&rds, 10), (&rds, 0), (&ddm, 0)] {
        assert_eq!(get(&token, host, path).await.unwrap().json()[*total], expected);
    }
}

#[tokio::test]
async fn an_action_that_is_denied_is_refused_in_the_words_of_its_service() {
    let cloud = cloud(orders().with_ddm(DdmInstance::new(ROUTER, "router"))).await;
    let token = token(&cloud).await;
    let project = estate::PROJECT_ID;
    let (rds, ddm) = (cloud.rds_url().to_owned(), cloud.ddm_url().to_owned());
    let iam = cloud.iam_url().trim_end_matches("/v3").to_owned();
    let about_orders = format!("/v3/{project}/instances/{ORDERS}");
    let calls = [
        (&rds, format!("/v3/{project}/instances"), "rds:instance:list"),
        (&rds, format!("{about_orders}/backups/policy"), "rds:instance:list"),
        (&rds, format!("{about_orders}/restore-time"), "rds:instance:list"),
        (&rds, backups(""), "rds:backup:list"),
        (&ddm, format!("/v1/{project}/instances"), "ddm:instance:list"),
        (&ddm, format!("/v3/{project}/backups"), "ddm:backup:list"),
        (&iam, "/v3/projects".to_owned(), "iam:projects:listProjects"),
    ];
    let actions: Vec<&str> = calls.iter().map(|call| call.2).collect();
    for denied in actions {
        cloud.change(|estate| estate.users[0].denied = vec![denied.to_owned()]);
        for (host, target, action) in &calls {
            let got = get(&token, host, target).await.unwrap();
            if *action != denied {
                assert_eq!(got.status, 200, "{target} needs {action}, and {denied} is denied");
                continue;
            }
            assert_eq!(got.status, 403, "{target}");
            let body = got.json();
            let code = match action.split(':').next() {
                Some("rds") => ("DBS.200044", &body["error_code"]),
                Some("ddm") => ("DBS.280015", &body["errCode"]),
                _ => ("Forbidden", &body["error"]["title"]),
            };
            assert_eq!(code.0, code.1, "{target}");
        }
    }
    cloud.change(|estate| estate.users[0].denied = vec!["rds:backup:list".to_owned()]);
    cloud.fault(Fault::body("[]").on(Service::Rds));
    let got = get(&token, &rds, &backups("")).await.unwrap();
    assert_eq!(got.status, 403, "contents on demand are not for them either");
}

#[tokio::test]
async fn a_narrowed_permission_can_empty_the_instance_lists_without_a_word() {
    let cloud = cloud(many_instances()).await;
    let token = token(&cloud).await;
    cloud.switches(|switches| switches.denied_instances_are_hidden = true);
    for (_, host, path, total) in instance_lists(&cloud) {
        let list = async || get(&token, &host, &path).await.unwrap();
        let before = list().await;
        assert_eq!(before.json()[total], 10);
        cloud.change(|estate| {
            let actions = ["rds:instance:list", "ddm:instance:list", "rds:backup:list"];
            estate.users[0].denied = actions.map(str::to_owned).to_vec();
        });
        let after = list().await;
        assert_eq!((after.status, after.ids_of("instances").len()), (200, 0));
        assert_eq!(after.json()[total], 0);
        let backups = get(&token, cloud.rds_url(), &backups("")).await.unwrap();
        assert_eq!(backups.status, 403, "only the lists of instances are emptied");
        cloud.change(|estate| estate.users[0].denied.clear());
        assert_eq!(list().await.body, before.body);
    }
}

#[tokio::test]
async fn the_policy_and_the_restorable_ranges_of_an_instance_are_told_as_set() {
    let range = |from: i64, to: i64| {
        let ago = |hours| now() - SignedDuration::from_hours(hours);
        (ago(from), ago(to))
    };
    let set = RdsInstance::new(ORDERS, "orders")
        .with_policy(Policy::new(30, "23:30-00:30", "1,3,5"))
        .with_restore_ranges([range(96, 60), range(40, 0)]);
    let cloud = cloud(Estate::new().with_rds(set)).await;
    let token = token(&cloud).await;
    let read = async |call: &str| {
        let target = format!("/v3/{}/instances/{ORDERS}/{call}", estate::PROJECT_ID);
        get(&token, cloud.rds_url(), &target).await.unwrap()
    };
    let policy = json!({ "keep_days": 30, "start_time": "23:30-00:30", "period": "1,3,5" });
    assert_eq!(read("backups/policy").await.json()["backup_policy"], policy);
    let both = read("restore-time").await.json()["restore_time"].clone();
    let milliseconds = |time: Timestamp| json!(time.as_millisecond());
    assert_eq!(both[0]["start_time"], milliseconds(range(96, 60).0));
    assert_eq!(both[1]["end_time"], milliseconds(now()));
    let today = read("restore-time?date=2025-03-10").await.json()["restore_time"].clone();
    assert_eq!(today, json!([both[1]]));
    let long_ago = read("restore-time?date=2025-01-01").await.json();
    assert_eq!(long_ago, json!({ "restore_time": [] }));

    cloud.change(|estate| {
        let orders = &mut estate.projects[0].rds[0];
        orders.raw_policy = Some(json!({ "backup_policy": { "keep_days": "7" } }));
    });
    assert_eq!(read("backups/policy").await.json()["backup_policy"]["keep_days"], "7");
}

#[tokio::test]
async fn backups_of_a_deleted_ddm_instance_stay_listed_when_the_instance_is_not() {
    let estate = Estate::new()
        .with_ddm(DdmInstance::new(ROUTER, "router"))
        .with_schedule(Schedule::metadata(ROUTER, "router", 2));
    let cloud = cloud(estate).await;
    let counts = async || {
        // A token lives for a day, and the clock moves by more.
        let token = token(&cloud).await;
        let [_, (_, host, path, total)] = instance_lists(&cloud);
        let instances = get(&token, &host, &path).await.unwrap().json()[total].clone();
        let target = format!("/v3/{}/backups?limit=128", estate::PROJECT_ID);
        let backups = get(&token, &host, &target).await.unwrap().json()["total"].clone();
        (instances.as_u64().unwrap(), backups.as_u64().unwrap())
    };
    assert_eq!(counts().await, (1, 30));
    cloud.change(|estate| estate.projects[0].delete_instance(ROUTER, now()));
    assert_eq!(counts().await, (0, 30));
    cloud.clock().advance(SignedDuration::from_hours(29 * 24));
    assert_eq!(counts().await, (0, 1));
    cloud.clock().advance(SignedDuration::from_hours(24));
    assert_eq!(counts().await, (0, 0));
}
