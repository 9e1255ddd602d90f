//! Projects whose id the config does not have: it is looked up by name.

use clouddb_backup_exporter::sim::{
    Answer, Cloud, Estate, Fault, Project, RdsInstance, Seen, Service, estate,
};

use crate::daemon::{Daemon, Setup, keys};
use crate::exposition::Exposition;
use crate::log::Log;

const OTHER_ID: &str = "1483b6b16e954cb88930a360d2c4e663";

fn id(at: usize) -> String {
    format!("{at:032x}in01")
}

/// Ten instances in the one project, which is called `eu-de_shop`.
async fn cloud() -> Cloud {
    let rds = |estate: Estate, at| estate.with_rds(RdsInstance::new(&id(at), "x"));
    Cloud::start((0..10).fold(Estate::new(), rds)).await.unwrap()
}

/// The config of the ten instances in the project `shop`, with other words for where it is.
fn config(cloud: &Cloud, credential: Option<String>, place: &str) -> String {
    let setup = (0..10).fold(Setup::new(cloud), |it, at| it.with_rds(&id(at), "name: x"));
    let credential = credential.unwrap_or(setup.credential.clone());
    let text = Setup { credential, ..setup }.text(cloud);
    text.replace(&format!("project_id: {}", estate::PROJECT_ID), place)
}

fn keys_and_iam(cloud: &Cloud) -> String {
    format!("{}, auth_url: {}", keys(), cloud.iam_url())
}

/// The names that IAM was asked for.
fn asked_for(cloud: &Cloud) -> Vec<String> {
    let requests = cloud.requests();
    let lists = requests.iter().filter(|seen| seen.path == "/v3/projects");
    lists.map(|seen| seen.parameter("name").unwrap_or_default().to_owned()).collect()
}

/// The ids of the projects, by name.
fn projects(exposition: &Exposition) -> Vec<(String, String)> {
    let Some(family) = exposition.families().get("clouddb_project_info") else {
        return Vec::new();
    };
    let samples = family.samples.iter();
    samples.map(|(_, it, _)| (it["project"].clone(), it["project_id"].clone())).collect()
}

fn is_good(exposition: &Exposition) -> bool {
    exposition.values("clouddb_poll_success", &[]).iter().all(|success| *success == 1.0)
}

fn shop() -> Vec<(String, String)> {
    vec![("shop".to_owned(), estate::PROJECT_ID.to_owned())]
}

/// Status page of a daemon all of whose polls failed for this reason, again and again.
async fn failing(daemon: Daemon, reason: &str) -> String {
    let exposition = daemon.after_polls(3.0).await;
    let failed = exposition.value("clouddb_poll_failures_total", &[("reason", reason)]);
    assert_eq!(failed, exposition.value("clouddb_polls_total", &[]), "{}", exposition.text());
    assert_eq!(projects(&exposition), [], "no id, no series");
    let page = daemon.get("/").await.body;
    daemon.stop().await.unwrap();
    page
}

#[tokio::test]
async fn with_a_password_the_id_is_looked_up_once_for_all_targets() {
    let cloud = cloud().await;
    let log = Log::start();
    let daemon = Daemon::start(&config(&cloud, None, "region: eu-de_shop")).await;
    let exposition = daemon.after_polls(2.0).await;
    assert!(is_good(&exposition));
    assert_eq!(projects(&exposition), shop());
    let told =
        "the project `shop` is `eu-de_shop` at the cloud, with the id 0483b6b16e954cb88930a3";
    assert_eq!(log.count(told), 1);
    assert_eq!(asked_for(&cloud), ["shop", "eu-de_shop"], "the name, and then the region");
    assert_eq!(cloud.sign_ins(), 2, "one to look up, one for the project");
    let counted = [("api", "iam_projects"), ("code", "200"), ("project", "shop")];
    assert_eq!(exposition.value("clouddb_api_requests_total", &counted), Some(2.0));
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn with_keys_the_question_is_signed_and_the_name_goes_before_the_region() {
    let cloud = cloud().await;
    cloud.change(|estate| {
        estate.projects[0].name = "shop".to_owned();
        estate.projects.push(Project::new(OTHER_ID, "eu-de"));
    });
    let text = config(&cloud, Some(keys_and_iam(&cloud)), "region: eu-de");
    let daemon = Daemon::start(&text).await;
    let exposition = daemon.after_polls(2.0).await;
    assert!(is_good(&exposition));
    assert_eq!(projects(&exposition), shop());
    assert_eq!(asked_for(&cloud), ["shop"]);
    assert_eq!(cloud.sign_ins(), 0);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn each_project_is_looked_up_for_itself() {
    let cloud = cloud().await;
    cloud.change(|estate| {
        let mut other = Project::new(OTHER_ID, "other");
        other.rds.push(RdsInstance::new(&id(10), "y"));
        estate.projects.push(other);
    });
    let mut text = config(&cloud, None, "region: eu-de_shop");
    text += &format!(
        "  - name: other\n    region: eu-de\n    credentials: main\n    rds:\n      \
         endpoint: {}\n      instances:\n        - {{ id: {}, name: y }}\n",
        cloud.rds_url(),
        id(10)
    );
    let daemon = Daemon::start(&text).await;
    let exposition = daemon.after_polls(2.0).await;
    assert!(is_good(&exposition));
    let other = [("other".to_owned(), OTHER_ID.to_owned())];
    assert_eq!(projects(&exposition), [other.to_vec(), shop()].concat());
    let mut asked = asked_for(&cloud);
    asked.sort();
    assert_eq!(asked, ["eu-de_shop", "other", "shop"]);
    assert_eq!(cloud.sign_ins(), 4);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn a_project_that_there_is_not_is_told_with_the_names_that_were_tried() {
    let cloud = cloud().await;
    cloud.change(|estate| estate.projects.push(Project::new(OTHER_ID, "eu-de")));
    cloud.change(|estate| estate.projects[1].enabled = false);
    let daemon = Daemon::start(&config(&cloud, None, "region: eu-de")).await;
    let page = failing(daemon, "not_found").await;
    let told = "there is no enabled project named `shop` or `eu-de`; write its `project_id`";
    assert!(page.contains(told), "{page}");
    assert_eq!(asked_for(&cloud), ["shop", "eu-de"], "not by each target and poll");
    assert_eq!(cloud.sign_ins(), 1);
}

#[tokio::test]
async fn two_projects_of_one_name_are_told_with_their_ids() {
    let cloud = cloud().await;
    cloud.change(|estate| estate.projects.push(Project::new(OTHER_ID, "eu-de_shop")));
    let text = config(&cloud, Some(keys_and_iam(&cloud)), "region: eu-de_shop");
    let page = failing(Daemon::start(&text).await, "not_found").await;
    for word in [estate::PROJECT_ID, OTHER_ID, "several projects are named `eu-de_shop`"] {
        assert!(page.contains(word), "{word} is not in\n{page}");
    }
}

#[tokio::test]
async fn a_user_who_may_not_list_projects_finds_his_own_by_signing_in_to_it() {
    let cloud = cloud().await;
    cloud.switches(|switches| switches.forbids_listing_projects = true);
    let daemon = Daemon::start(&config(&cloud, None, "region: eu-de_shop")).await;
    let exposition = daemon.after_polls(2.0).await;
    assert!(is_good(&exposition));
    assert_eq!(projects(&exposition), shop());
    assert_eq!(asked_for(&cloud), ["shop"], "refused once");
    // To list, to `shop`, which there is not, and to `eu-de_shop`, whose token is then used.
    assert_eq!(cloud.sign_ins(), 3);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn who_may_neither_list_projects_nor_sign_in_by_name_is_told_what_to_write() {
    let cloud = cloud().await;
    cloud.switches(|switches| switches.forbids_listing_projects = true);
    for credential in [None, Some(keys_and_iam(&cloud))] {
        cloud.forget_requests();
        let text = config(&cloud, credential, "region: eu-de");
        let page = failing(Daemon::start(&text).await, "forbidden").await;
        let told = "the credential `main` may not list projects (write `project_id`)";
        assert!(page.contains(told), "{page}");
        assert_eq!(asked_for(&cloud), ["shop"]);
    }
}

#[tokio::test]
async fn a_refused_sign_in_of_a_look_up_pauses_as_any_other() {
    let cloud = cloud().await;
    let good = config(&cloud, None, "region: eu-de_shop");
    let wrong = good.replace(estate::PASSWORD, "hunter2-is-wrong");
    let page = failing(Daemon::start(&wrong).await, "auth").await;
    assert!(page.contains("the credential `main` is paused"), "{page}");
    assert_eq!(cloud.sign_ins(), 1, "more would lock the account");

    // A 403 of IAM is about the project, which is then left alone.
    cloud.forget_requests();
    cloud.fault(Fault::status(403).on(Service::Iam));
    let page = failing(Daemon::start(&good).await, "auth").await;
    assert!(page.contains("is paused for this project"), "{page}");
    assert_eq!(cloud.sign_ins(), 1);
}

#[tokio::test]
async fn the_id_is_kept_over_a_reload() {
    let cloud = cloud().await;
    let text = config(&cloud, None, "region: eu-de_shop");
    let daemon = Daemon::start(&text).await;
    daemon.after_polls(1.0).await;
    let text = text.replace(&format!("{{ id: {}, name: x }}", id(3)), "{ id: new }");
    assert_eq!(daemon.reload(&text).await.status, 200);
    let exposition = daemon.until(|it| it.text().contains("instance_id=\"new\"")).await;
    assert_eq!(projects(&exposition), shop());
    let new = [("instance_id", "new")];
    let polled = "clouddb_poll_last_attempt_timestamp_seconds";
    daemon.until(|it| it.value(polled, &new).is_some()).await;
    assert_eq!(asked_for(&cloud).len(), 2);
    assert_eq!(cloud.sign_ins(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_iam_that_is_down_is_asked_again_and_an_id_that_is_none_is_not_used() {
    let cloud = cloud().await;
    let list = |fault: Fault| fault.on(Service::Iam).when(|it| it.path() == "/v3/projects");
    cloud.fault(list(Fault::status(503)).times(3));
    let bad = serde_json::json!({ "projects": [{ "id": "../x", "name": "shop" }] });
    cloud.fault(list(Fault::answer(Answer::json(200, &bad))).once());
    let daemon = Daemon::start(&config(&cloud, None, "region: eu-de_shop")).await;
    let exposition = daemon.after_polls(1.0).await;
    let failed = [("reason", "decode")];
    assert!(exposition.value("clouddb_poll_failures_total", &failed) >= Some(1.0));
    let retries = [("api", "iam_projects")];
    assert_eq!(exposition.value("clouddb_api_retries_total", &retries), Some(3.0));
    daemon.until(is_good).await;
    assert_eq!(cloud.count(|seen: &Seen| seen.path.contains("..")), 0);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn an_id_that_is_written_is_asked_for_from_the_reload_on() {
    let cloud = cloud().await;
    cloud.change(|estate| {
        let mut other = Project::new(OTHER_ID, "other");
        other.rds = (0..10).map(|at| RdsInstance::new(&id(at), "x")).collect();
        estate.projects.push(other);
    });
    let text = config(&cloud, None, "region: eu-de_shop");
    let daemon = Daemon::start(&text).await;
    daemon.after_polls(1.0).await;
    let written = text.replace("region: eu-de_shop", &format!("project_id: {OTHER_ID}"));
    assert_eq!(daemon.reload(&written).await.status, 200);
    let other = vec![("shop".to_owned(), OTHER_ID.to_owned())];
    daemon.until(|it| is_good(it) && projects(it) == other).await;
    let of_other = |seen: &Seen| seen.project.as_deref() == Some(OTHER_ID);
    assert!(cloud.count(of_other) > 0);
    daemon.stop().await.unwrap();
}
