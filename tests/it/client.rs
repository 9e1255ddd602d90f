//! The client by itself: tokens over hours and pauses over minutes, on a clock that is moved.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clouddb_backup_exporter::account::{Account, Patience, Terms};
use clouddb_backup_exporter::client::{Client, RequestCount};
use clouddb_backup_exporter::config::{self, Config};
use clouddb_backup_exporter::error::{self, Reason};
use clouddb_backup_exporter::exposition::render;
use clouddb_backup_exporter::meter::Meters;
use clouddb_backup_exporter::product;
use clouddb_backup_exporter::shard::Shard;
use clouddb_backup_exporter::sim::{Cloud, Estate, Fault, RdsInstance, Seen, Service, estate};
use clouddb_backup_exporter::snapshot::Snapshot;
use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::{advance, pause, resume};

use crate::daemon::{Setup, clock_of, keys, password};
use crate::exposition::Exposition;

const ID: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn cloud() -> Cloud {
    Cloud::start(Estate::new().with_rds(RdsInstance::new(ID, "orders"))).await.unwrap()
}

/// A way into the project of the simulated cloud.
struct Way {
    client: Client,
    endpoint: Url,
    meters: Meters,
}

impl Way {
    fn new(cloud: &Cloud, setup: Setup<'_>) -> Self {
        Self::of(cloud, &setup.with_rds(ID, "name: orders").text(cloud))
    }

    /// The way into the first project of a config.
    fn of(cloud: &Cloud, text: &str) -> Self {
        let loaded = Config::read(text, Path::new("test"), &config::fetch).expect("a good config");
        let project = &loaded.config.projects[0];
        let meters = Meters::new().unwrap();
        let credential = Arc::clone(&project.credential);
        let terms = Terms {
            request_timeout: loaded.config.poll.request_timeout,
            patience: Patience::default(),
            clock: clock_of(cloud),
            meters: meters.clone(),
            shard: Shard::WHOLE,
        };
        let account = Account::new(credential, terms).unwrap();
        let client = Client::new(Arc::new(account), &project.name, &project.project_id, 4);
        Self { client, endpoint: Url::parse(cloud.rds_url()).unwrap(), meters }
    }

    /// One request for the backups.
    async fn ask(&self) -> Result<(), Reason> {
        self.try_to_ask().await.map_err(|fault| fault.reason)
    }

    async fn try_to_ask(&self) -> Result<(), error::Fault> {
        let query = |_| {
            let query = [("instance_id", ID), ("offset", "0"), ("limit", "1")];
            query.map(|(name, value)| (name, value.to_owned())).to_vec()
        };
        let count = RequestCount::default();
        let api = &product::by_name("rds").unwrap().backups;
        let body = self.client.get(api, None, &self.endpoint, &query, &count);
        body.await.map(drop)
    }

    fn auth_failures(&self, cloud: &Cloud) -> Option<f64> {
        let text = render(&Snapshot::default(), &self.meters, cloud.clock().now());
        Exposition::read(&text).value("clouddb_auth_failures_total", &[])
    }
}

/// Time passes for this process; what is on the wire is not hurried.
async fn pass(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

fn lists(cloud: &Cloud) -> usize {
    cloud.count(|seen: &Seen| seen.service == Service::Rds)
}

#[tokio::test]
async fn a_token_is_used_for_three_quarters_of_its_life_and_then_renewed() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    assert_eq!(way.ask().await, Ok(()));
    pass(17 * HOUR + 59 * MINUTE).await;
    assert_eq!(way.ask().await, Ok(()));
    assert_eq!(cloud.sign_ins(), 1);
    pass(2 * MINUTE).await;
    assert_eq!(way.ask().await, Ok(()));
    assert_eq!(cloud.sign_ins(), 2);
}

#[tokio::test]
async fn while_a_renewal_fails_the_old_token_is_used_until_its_end_and_not_beyond() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    assert_eq!(way.ask().await, Ok(()));
    // Not worth another try, and no refusal.
    cloud.fault(Fault::status(418).on(Service::Iam));
    for hours in [19, 4] {
        pass(hours * HOUR).await;
        assert_eq!(way.ask().await, Ok(()), "of 24 hours not all have passed");
    }
    assert!(cloud.sign_ins() >= 3, "each time a renewal was tried");
    let before = lists(&cloud);
    pass(2 * HOUR).await;
    assert_eq!(way.ask().await, Err(Reason::Http4xx));
    assert_eq!(lists(&cloud), before, "no request goes out with a dead token");
    cloud.clear_faults();
    assert_eq!(way.ask().await, Ok(()));
}

#[tokio::test]
async fn a_token_that_is_refused_twice_pauses_the_credential_after_two_requests() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    cloud.fault(Fault::status(401).on(Service::Rds));
    assert_eq!(way.ask().await, Err(Reason::Auth));
    assert_eq!((lists(&cloud), cloud.sign_ins()), (2, 2));
    assert_eq!(way.auth_failures(&cloud), Some(2.0));
    assert_eq!(way.ask().await, Err(Reason::Auth));
    assert_eq!((lists(&cloud), cloud.sign_ins()), (2, 2), "it is paused");
}

#[tokio::test]
async fn a_late_refusal_of_an_old_token_does_not_drop_the_new_one() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    assert_eq!(way.ask().await, Ok(()));
    // Both go out with the first token; whichever is refused last finds the second in place.
    let late = Duration::from_millis(300);
    cloud.fault(Fault::status(401).on(Service::Rds).once());
    cloud.fault(Fault::status(401).on(Service::Rds).once().delayed(late));
    assert_eq!(tokio::join!(way.ask(), way.ask()), (Ok(()), Ok(())));
    assert_eq!(cloud.sign_ins(), 2);
    assert_eq!(way.auth_failures(&cloud), Some(2.0));
}

#[tokio::test]
async fn a_refused_key_pauses_for_five_minutes_then_longer_and_a_success_starts_afresh() {
    let cloud = cloud().await;
    let credential = keys().replace(estate::SECRET_KEY, "wrong");
    let way = Way::new(&cloud, Setup { credential, ..Setup::new(&cloud) });
    for (refusals, minutes) in [(1, 5), (2, 10), (3, 20)] {
        assert_eq!(way.ask().await, Err(Reason::Auth));
        assert_eq!(lists(&cloud), refusals);
        pass((60 * minutes - 1) * SECOND).await;
        assert_eq!(way.ask().await, Err(Reason::Auth));
        assert_eq!(lists(&cloud), refusals, "paused for {minutes} minutes");
        pass(2 * SECOND).await;
    }
    let set_secret = |secret: &str| {
        cloud.change(|estate| secret.clone_into(&mut estate.keys[0].secret));
    };
    set_secret("wrong");
    assert_eq!(way.ask().await, Ok(()));
    set_secret("other");
    assert_eq!(way.ask().await, Err(Reason::Auth));
    pass(5 * MINUTE + SECOND).await;
    let before = lists(&cloud);
    assert_eq!(way.ask().await, Err(Reason::Auth));
    assert_eq!(lists(&cloud), before + 1, "the pause is of five minutes again");
}

#[tokio::test]
async fn of_a_queue_for_the_budget_only_the_first_meets_a_refusal() {
    let cloud = cloud().await;
    let credential = keys()
        .replace(estate::SECRET_KEY, "wrong")
        .replace("requests_per_second: 10000", "requests_per_second: 1");
    let way = Way::new(&cloud, Setup { credential, ..Setup::new(&cloud) });
    let refused = Err(Reason::Auth);
    let asked = tokio::join!(way.ask(), way.ask(), way.ask());
    assert_eq!(asked, (refused, refused, refused));
    assert_eq!(lists(&cloud), 1, "five refusals lock the key");
}

#[tokio::test]
async fn a_wrong_password_is_sent_at_most_six_times_in_the_first_hour() {
    let cloud = cloud().await;
    let credential = password(&cloud).replace(estate::PASSWORD, "wrong");
    let way = Way::new(&cloud, Setup { credential, ..Setup::new(&cloud) });
    for _ in 0..60 {
        assert_eq!(way.ask().await, Err(Reason::Auth));
        pass(MINUTE).await;
    }
    assert_eq!(cloud.sign_ins(), 4, "at once, and after 5, 15 and 35 minutes");
    assert_eq!(way.auth_failures(&cloud), Some(4.0));
}

#[tokio::test]
async fn tokens_that_worked_and_die_one_after_the_other_are_no_refusal_of_the_credential() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    for sign_ins in 1..=4 {
        assert_eq!(way.ask().await, Ok(()));
        assert_eq!(cloud.sign_ins(), sign_ins);
        cloud.revoke_tokens();
    }
}

#[tokio::test]
async fn a_failed_sign_in_is_that_of_all_who_waited_for_it_and_of_nobody_later() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    cloud.fault(Fault::status(418).on(Service::Iam));
    let failed = Err(Reason::Http4xx);
    let asked = tokio::join!(way.ask(), way.ask(), way.ask(), way.ask());
    assert_eq!(asked, (failed, failed, failed, failed));
    assert_eq!(cloud.sign_ins(), 1);
    assert_eq!(way.ask().await, failed);
    assert_eq!(cloud.sign_ins(), 2);
}

#[tokio::test]
async fn a_sign_in_that_is_refused_with_403_pauses_its_project_and_tells_for_how_long() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    cloud.fault(Fault::status(403).on(Service::Iam));
    let fault = way.try_to_ask().await.unwrap_err();
    assert_eq!(fault.reason, Reason::Auth);
    assert!(fault.message.starts_with("cannot sign in as `main`: "), "{fault}");
    pass(MINUTE).await;
    let fault = way.try_to_ask().await.unwrap_err();
    assert_eq!(cloud.sign_ins(), 1);
    let seconds =
        fault.message.strip_prefix("the credential `main` is paused for this project for another ");
    let seconds = seconds.and_then(|rest| rest.split(' ').next()).and_then(|it| it.parse().ok());
    assert!(seconds.is_some_and(|seconds: u64| (200..=240).contains(&seconds)), "{fault}");
}

#[tokio::test]
async fn what_was_queued_with_a_token_that_died_goes_out_with_the_next_one() {
    let cloud = cloud().await;
    let setup = Setup::new(&cloud);
    let credential = setup.credential.replace("second: 10000", "second: 20");
    let way = Arc::new(Way::new(&cloud, Setup { credential, ..setup }));
    assert_eq!(way.ask().await, Ok(()));
    cloud.revoke_tokens();
    // Forty at four in flight: most wait with the dead token in hand.
    let mut asked = JoinSet::new();
    for _ in 0..40 {
        let way = Arc::clone(&way);
        asked.spawn(async move { way.ask().await });
    }
    assert_eq!(asked.join_all().await, vec![Ok(()); 40]);
    assert_eq!(cloud.sign_ins(), 2);
    let refused = cloud.count(|seen: &Seen| seen.status == Some(401));
    assert!((1..=8).contains(&refused), "{refused} of forty, and four are in flight");
}

#[tokio::test]
async fn a_token_that_died_before_anyone_used_it_is_fetched_once_more() {
    let cloud = cloud().await;
    let way = Way::new(&cloud, Setup::new(&cloud));
    assert_eq!(way.ask().await, Ok(()));
    cloud.revoke_tokens();
    // The second token is refused before it has worked for anything; the third works.
    cloud.fault(Fault::status(401).on(Service::Rds).times(2));
    assert_eq!(way.ask().await, Ok(()));
    assert_eq!(cloud.sign_ins(), 3);
}

#[tokio::test]
async fn a_project_that_was_not_found_is_looked_up_again_after_a_minute() {
    let cloud = cloud().await;
    let text = Setup::new(&cloud).with_rds(ID, "name: orders").text(&cloud);
    let named = text.replace(&format!("project_id: {}", estate::PROJECT_ID), "region: eu-de");
    let way = Way::of(&cloud, &named);
    let looked_up = || cloud.count(|seen: &Seen| seen.path == "/v3/projects");
    assert_eq!(way.ask().await, Err(Reason::NotFound));
    assert_eq!((cloud.sign_ins(), looked_up()), (1, 2));
    cloud.change(|estate| estate.projects[0].name = "eu-de".to_owned());
    pass(59 * SECOND).await;
    assert_eq!(way.ask().await, Err(Reason::NotFound));
    assert_eq!((cloud.sign_ins(), looked_up()), (1, 2));
    pass(2 * SECOND).await;
    assert_eq!(way.ask().await, Ok(()));
    assert_eq!((cloud.sign_ins(), looked_up()), (3, 4));
    pass(HOUR).await;
    assert_eq!(way.ask().await, Ok(()));
    assert_eq!((cloud.sign_ins(), looked_up()), (3, 4), "it is kept");
}
