//! All that the cloud remembers, and what it does with a request. No sockets and no waiting here.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    answer::Answer,
    change, ddm,
    estate::{Estate, Project},
    fault::{self, Action, Fault},
    gate::{self, Throttle},
    iam::{self, Addresses, Tokens},
    listing::Memory,
    log::{Caller, Log, Seen},
    rds,
    record::{DdmBackup, RdsBackup},
    request::{Request, Service},
    route::{self, Call, Route},
    switches::Switches,
};

/// The state of the cloud.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) estate: Estate,
    pub(super) switches: Switches,
    pub(super) faults: Vec<Fault>,
    pub(super) log: Log,
    pub(super) tokens: Tokens,
    throttle: Throttle,
    pub(super) rds_lists: Memory<RdsBackup>,
    pub(super) ddm_lists: Memory<DdmBackup>,
    /// How many records were made up on demand.
    pub(super) fresh: u64,
}

/// A request that came in: what is known about it before it is answered.
#[derive(Debug)]
pub(super) struct Received {
    /// Its number in the log.
    pub(super) number: usize,
    /// The project in its path.
    pub(super) project: Option<String>,
    /// How long to wait before anything happens.
    pub(super) delay: Duration,
    action: Action,
    caller: Result<Caller, Answer>,
}

/// What goes over the wire.
#[derive(Debug)]
pub(super) enum Reply {
    Close,
    Cut(Answer),
    Hang,
    Whole(Answer),
}

impl State {
    /// A cloud where nothing has happened yet.
    pub(super) fn new(estate: Estate) -> Self {
        Self { estate, ..Self::default() }
    }

    /// Takes a request in: who asks, and does a fault strike?
    pub(super) fn receive(&mut self, request: &Request, now: Timestamp) -> Received {
        let caller = match Route::of(request) {
            // These are for people who have no credentials yet.
            Ok(Route { call: Call::Token | Call::Versions, .. }) => Ok(Caller::Nobody),
            Ok(Route { project, .. }) => {
                gate::admit(request, project, &self.estate, &self.tokens, now)
            }
            Err(refusal) => Err(refusal),
        };
        let project = route::project_of(request);
        let number = self.log.begun(Seen {
            service: request.service,
            method: request.method.clone(),
            path: request.path().to_owned(),
            query: request.query.clone(),
            project: project.clone(),
            caller: caller.clone().unwrap_or(Caller::Nobody),
            status: None,
            at: now,
        });
        let (delay, action) = fault::strike(&mut self.faults, request);
        Received { number, project, delay, action, caller }
    }

    /// Whether the caller is known and may use the project, and yet may not make this call.
    fn is_denied(&self, request: &Request, received: &Received) -> bool {
        let action = Route::of(request).ok().and_then(|route| route.call.action());
        let caller = received.caller.as_ref().ok();
        action
            .zip(caller)
            .is_some_and(|(action, caller)| iam::is_denied(action, &self.estate, caller))
    }

    /// Decides on the answer.
    pub(super) fn reply(
        &mut self,
        request: &Request,
        received: &Received,
        now: Timestamp,
        addresses: &Addresses,
    ) -> Reply {
        let reply = match &received.action {
            Action::Close => return Reply::Close,
            Action::Hang => return Reply::Hang,
            // A refusal can come from the edge; contents are for those who may see them.
            Action::Answer(answer)
                if answer.status >= 300
                    || received.caller.is_ok() && !self.is_denied(request, received) =>
            {
                Reply::Whole(answer.clone())
            }
            Action::Cut => Reply::Cut(self.answer(request, received, now, addresses)),
            _ => Reply::Whole(self.answer(request, received, now, addresses)),
        };
        if let Reply::Whole(answer) | Reply::Cut(answer) = &reply {
            self.log.answered(received.number, answer.status);
            if let Action::Change(change) = &received.action
                && answer.status == 200
            {
                change::apply(change, request, self, now);
            }
        }
        reply
    }

    /// Forgets the lists made so far, because what they were made from has changed.
    pub(super) fn forget_lists(&mut self) {
        self.rds_lists.clear();
        self.ddm_lists.clear();
    }

    fn answer(
        &mut self,
        request: &Request,
        received: &Received,
        now: Timestamp,
        addresses: &Addresses,
    ) -> Answer {
        match self.admitted(request, received, now, addresses) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn admitted(
        &mut self,
        request: &Request,
        received: &Received,
        now: Timestamp,
        addresses: &Addresses,
    ) -> Result<Answer, Answer> {
        let caller = received.caller.clone()?;
        if caller != Caller::Nobody {
            self.throttle.pass(&caller, &self.switches, now)?;
        }
        let route = Route::of(request)?;
        let is_denied = self.is_denied(request, received);
        let is_list_of_instances = matches!(route.call, Call::DdmInstances | Call::RdsInstances);
        let is_hidden =
            is_denied && is_list_of_instances && self.switches.denied_instances_are_hidden;
        if is_denied && !is_hidden {
            return Err(denied(request.service));
        }
        if let Action::Endless(endless) = received.action
            && !is_hidden
            && let Some(page) = change::endless_page(endless, request, self, now)
        {
            return Ok(page);
        }
        let switches = &self.switches;
        match route.call {
            Call::Token => {
                let tokens = &mut self.tokens;
                iam::sign_in(request, &self.estate, switches, now, tokens, addresses)
            }
            Call::Versions => Ok(iam::versions(addresses)),
            Call::OwnProjects => Ok(iam::own_projects(request, &self.estate, &caller)),
            Call::Projects => iam::projects(request, &self.estate, switches, &caller),
            Call::Catalog => {
                let token = request.header("x-auth-token");
                let token = token.and_then(|text| self.tokens.find(text, now));
                let project = token.and_then(|token| token.project.as_deref());
                let project = project.and_then(|id| self.estate.project(id));
                Ok(iam::own_catalog(project, addresses))
            }
            Call::DdmBackups => {
                let project = project(&route, &self.estate)?;
                ddm::backups(request, project, switches, now, &mut self.ddm_lists)
            }
            Call::DdmInstances | Call::RdsInstances => {
                let project = project(&route, &self.estate)?;
                let nothing = Project::new(&project.id, &project.name);
                let seen = if is_hidden { &nothing } else { project };
                match request.service {
                    Service::Ddm => ddm::instances(request, seen, switches),
                    _ => rds::instances(request, seen, switches),
                }
            }
            Call::RdsBackups => {
                let project = project(&route, &self.estate)?;
                rds::backups(request, project, switches, now, &mut self.rds_lists)
            }
            Call::RdsPolicy => {
                let instance_id = route.instance.unwrap_or_default();
                rds::policy(instance_id, project(&route, &self.estate)?, switches)
            }
            Call::RdsRestoreTime => {
                let instance_id = route.instance.unwrap_or_default();
                rds::restore_time(request, instance_id, project(&route, &self.estate)?, now)
            }
        }
    }
}

/// The project of a path. A key passes the gateway for any project that it names, so the path can
/// still be of one that does not exist.
fn project<'a>(route: &Route<'_>, estate: &'a Estate) -> Result<&'a Project, Answer> {
    let found = route.project.and_then(|id| estate.project(id));
    found.ok_or_else(|| Answer::gateway(403, "APIGW.0302", "The project does not exist"))
}

/// The refusal of a service to do what is not allowed. RDS and DDM say the same of what is not there.
fn denied(service: Service) -> Answer {
    let message = "Resource not found or permission denied.";
    match service {
        Service::Ddm => Answer::ddm(403, "DBS.280015", message),
        Service::Iam => {
            Answer::iam(403, "Forbidden", "You are not authorized to perform the requested action.")
        }
        Service::Rds => Answer::rds(403, "DBS.200044", message),
    }
}
