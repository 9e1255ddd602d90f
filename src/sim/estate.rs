//! What exists in the simulated cloud: who may sign in, the projects, their instances and backups.
//! Plain data; a test writes it down, and may change it while the cloud runs.

mod demo;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub use self::demo::{DEMO_PROJECT_ID, demo};
use super::{
    instance::{DdmInstance, RdsInstance},
    record::{DdmBackup, RdsBackup},
    schedule::{Job, Schedule},
};

/// Everything that exists.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Estate {
    /// Who may sign in with a password.
    pub users: Vec<User>,
    /// Who may sign requests.
    pub keys: Vec<AccessKey>,
    /// The projects.
    pub projects: Vec<Project>,
}

impl Estate {
    /// One user, one access key and one empty project, with the words of the constants below.
    pub fn new() -> Self {
        Self {
            users: vec![User::new(USER, PASSWORD)],
            keys: vec![AccessKey::new(ACCESS_KEY, SECRET_KEY)],
            projects: vec![Project::new(PROJECT_ID, PROJECT_NAME)],
        }
    }

    /// With one more user.
    pub fn with_user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// With one more access key.
    pub fn with_key(mut self, key: AccessKey) -> Self {
        self.keys.push(key);
        self
    }

    /// With one more project. What is added after it, is added to it.
    pub fn with_project(mut self, project: Project) -> Self {
        self.projects.push(project);
        self
    }

    /// With an RDS instance in the last project.
    pub fn with_rds(self, instance: RdsInstance) -> Self {
        self.with(|project| project.rds.push(instance))
    }

    /// With a DDM instance in the last project.
    pub fn with_ddm(self, instance: DdmInstance) -> Self {
        self.with(|project| project.ddm.push(instance))
    }

    /// With RDS backups in the last project.
    pub fn with_rds_backups(self, backups: impl IntoIterator<Item = RdsBackup>) -> Self {
        self.with(|project| project.rds_backups.extend(backups))
    }

    /// With DDM backups in the last project.
    pub fn with_ddm_backups(self, backups: impl IntoIterator<Item = DdmBackup>) -> Self {
        self.with(|project| project.ddm_backups.extend(backups))
    }

    /// With a job in the last project.
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        self.with(|project| project.schedules.push(schedule))
    }

    fn with(mut self, add: impl FnOnce(&mut Project)) -> Self {
        if self.projects.is_empty() {
            self.projects.push(Project::new(PROJECT_ID, PROJECT_NAME));
        }
        if let Some(project) = self.projects.last_mut() {
            add(project);
        }
        self
    }

    /// A project by its id.
    pub fn project(&self, id: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }

    /// A project by its id, to change it.
    pub fn project_mut(&mut self, id: &str) -> Option<&mut Project> {
        self.projects.iter_mut().find(|project| project.id == id)
    }
}

/// A user with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct User {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: String,
    /// The name of the user's domain.
    pub domain: String,
    /// Ids of the projects that this user may not use.
    pub forbidden: Vec<String>,
    /// Actions that this user may not do in any project, such as `rds:instance:list`.
    pub denied: Vec<String>,
}

impl User {
    /// A user of the usual domain who may use every project.
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            domain: DOMAIN.to_owned(),
            forbidden: Vec::new(),
            denied: Vec::new(),
        }
    }

    /// With one more action that this user may not do.
    pub fn denying(mut self, action: &str) -> Self {
        self.denied.push(action.to_owned());
        self
    }
}

/// An access key and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AccessKey {
    /// The public half.
    pub access: String,
    /// The secret half.
    pub secret: String,
    /// For a temporary key, the token that has to come with it.
    pub security_token: Option<String>,
    /// Ids of the projects that this key may not use.
    pub forbidden: Vec<String>,
    /// Actions that this key may not do in any project, such as `rds:instance:list`.
    pub denied: Vec<String>,
}

impl AccessKey {
    /// A permanent key that may use every project.
    pub fn new(access: &str, secret: &str) -> Self {
        Self {
            access: access.to_owned(),
            secret: secret.to_owned(),
            security_token: None,
            forbidden: Vec::new(),
            denied: Vec::new(),
        }
    }

    /// A temporary key.
    pub fn temporary(access: &str, secret: &str, security_token: &str) -> Self {
        Self { security_token: Some(security_token.to_owned()), ..Self::new(access, secret) }
    }

    /// With one more action that this key may not do.
    pub fn denying(mut self, action: &str) -> Self {
        self.denied.push(action.to_owned());
        self
    }
}

/// A project with its instances and backups.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Project {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Such as `eu-de_shop`.
    pub name: String,
    /// The name of its domain.
    pub domain: String,
    /// Whether it is in use.
    pub enabled: bool,
    /// RDS instances.
    pub rds: Vec<RdsInstance>,
    /// DDM instances.
    pub ddm: Vec<DdmInstance>,
    /// RDS backups besides the scheduled ones.
    pub rds_backups: Vec<RdsBackup>,
    /// DDM backups besides the scheduled ones.
    pub ddm_backups: Vec<DdmBackup>,
    /// The jobs that make backups as time passes.
    pub schedules: Vec<Schedule>,
    /// Ids of scheduled backups that were deleted, or replaced by one in the lists above.
    pub gone: BTreeSet<String>,
}

impl Project {
    /// An empty project of the usual domain.
    pub fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            domain: DOMAIN.to_owned(),
            enabled: true,
            rds: Vec::new(),
            ddm: Vec::new(),
            rds_backups: Vec::new(),
            ddm_backups: Vec::new(),
            schedules: Vec::new(),
            gone: BTreeSet::new(),
        }
    }

    /// All backups of an RDS instance at this time.
    pub fn rds_records(&self, instance_id: &str, now: Timestamp) -> Vec<RdsBackup> {
        let own = self.rds_backups.iter();
        let own = own.filter(|record| record.instance_id == instance_id);
        let jobs = self.schedules.iter();
        let scheduled = jobs
            .filter(|schedule| schedule.instance_id == instance_id)
            .flat_map(|schedule| schedule.rds_records(now))
            .filter(|record| !self.gone.contains(&record.id));
        own.cloned().chain(scheduled).collect()
    }

    /// All DDM backups of the project at this time.
    pub fn ddm_records(&self, now: Timestamp) -> Vec<DdmBackup> {
        let own = self.ddm_backups.iter().cloned();
        let jobs = self.schedules.iter();
        let scheduled = jobs
            .flat_map(|schedule| schedule.ddm_records(now))
            .filter(|record| !self.gone.contains(&record.id));
        own.chain(scheduled).collect()
    }

    /// Whether the backups of the project change by themselves.
    pub(super) fn has_jobs(&self) -> bool {
        !self.schedules.is_empty()
    }

    /// The RDS instances that have backups of their own: all but the read replicas.
    pub fn primaries(&self) -> impl Iterator<Item = &RdsInstance> {
        self.rds.iter().filter(|instance| !instance.is_replica())
    }

    /// Deletes an instance at this time. Its jobs end; the backups that it has stay until they are
    /// too old.
    pub fn delete_instance(&mut self, id: &str, now: Timestamp) {
        self.rds.retain(|instance| instance.id != id);
        self.ddm.retain(|instance| instance.id != id);
        for schedule in self.schedules.iter_mut().filter(|schedule| schedule.instance_id == id) {
            schedule.until = Some(schedule.until.map_or(now, |until| until.min(now)));
        }
    }

    /// Deletes a backup, scheduled or not.
    pub fn delete_backup(&mut self, id: &str) {
        self.rds_backups.retain(|record| record.id != id);
        self.ddm_backups.retain(|record| record.id != id);
        self.gone.insert(id.to_owned());
    }

    /// Completes a running backup, scheduled or not.
    pub fn finish_backup(&mut self, id: &str, now: Timestamp) {
        let instances: BTreeSet<String> = self
            .schedules
            .iter()
            .filter(|schedule| schedule.job == Job::Full)
            .map(|schedule| schedule.instance_id.clone())
            .chain(self.rds_backups.iter().map(|record| record.instance_id.clone()))
            .collect();
        let mut rds = instances.iter().flat_map(|id| self.rds_records(id, now));
        if let Some(mut record) = rds.find(|record| record.id == id) {
            drop(rds);
            self.delete_backup(id);
            "COMPLETED".clone_into(&mut record.status);
            record.end = Some(now);
            record.size = Some(1_000.into());
            self.rds_backups.push(record);
            return;
        }
        drop(rds);
        let found = self.ddm_records(now).into_iter().find(|record| record.id == id);
        if let Some(mut record) = found {
            self.delete_backup(id);
            "normal".clone_into(&mut record.status);
            record.updated = Some(now);
            self.ddm_backups.push(record);
        }
    }
}

/// The domain of users and projects, unless they say otherwise.
pub const DOMAIN: &str = "OTC00000000001000010001";
/// The user of `Estate::new`.
pub const USER: &str = "backup-exporter";
/// The password of that user.
pub const PASSWORD: &str = "Correct-Horse-7";
/// The access key of `Estate::new`.
pub const ACCESS_KEY: &str = "SIMACCESSKEY00000001";
/// The secret of that key; its odd characters are those that a careless signer would escape.
pub const SECRET_KEY: &str = "simSecret/Key+0123456789ABCDEFGHIJKLMNO=";
/// The id of the project of `Estate::new`.
pub const PROJECT_ID: &str = "0483b6b16e954cb88930a360d2c4e663";
/// The name of that project.
pub const PROJECT_NAME: &str = "eu-de_shop";

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const INSTANCE: &str = "a48e43ff268f4c0e879652d65e63d0fbin01";

    #[test]
    fn a_scheduled_backup_can_be_deleted_and_a_running_one_finished() {
        let begun: Timestamp = "2025-03-10T01:00:00Z".parse().unwrap();
        let mut project = Project::new(PROJECT_ID, PROJECT_NAME);
        project.schedules.push(Schedule::daily(INSTANCE, 1));
        let records = project.rds_records(INSTANCE, begun);
        assert_eq!(records.len(), 7);
        let (oldest, newest) = (&records[0].id, &records[6].id);

        project.delete_backup(oldest);
        let now = begun + SignedDuration::from_mins(3);
        project.finish_backup(newest, now);

        let records = project.rds_records(INSTANCE, now);
        assert_eq!(records.len(), 6);
        assert!(records.iter().all(|record| record.id != *oldest));
        let finished = records.iter().find(|record| record.id == *newest).unwrap();
        assert_eq!(finished.status, "COMPLETED");
        assert_eq!(finished.end, Some(now));
    }
}
