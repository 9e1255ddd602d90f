//! Which call a request is, by host, path and method.

use super::{
    answer::Answer,
    request::{Request, Service},
};

/// The calls that the simulated cloud knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Catalog,
    DdmBackups,
    DdmInstances,
    OwnProjects,
    Projects,
    RdsBackups,
    RdsInstances,
    RdsPolicy,
    RdsRestoreTime,
    Token,
    Versions,
}

impl Call {
    /// The action that a caller must be allowed, if the documents of the service have one.
    pub(super) fn action(self) -> Option<&'static str> {
        match self {
            // DDM documents no actions; these are named like those of RDS.
            Self::DdmBackups => Some("ddm:backup:list"),
            Self::DdmInstances => Some("ddm:instance:list"),
            Self::Projects => Some("iam:projects:listProjects"),
            Self::RdsBackups => Some("rds:backup:list"),
            Self::RdsInstances | Self::RdsPolicy | Self::RdsRestoreTime => {
                Some("rds:instance:list")
            }
            Self::Catalog | Self::OwnProjects | Self::Token | Self::Versions => None,
        }
    }
}

/// A call with the ids in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) call: Call,
    pub(super) project: Option<&'a str>,
    pub(super) instance: Option<&'a str>,
}

impl<'a> Route<'a> {
    /// Finds the call, or says as the gateway would that there is none.
    pub(super) fn of(request: &'a Request) -> Result<Self, Answer> {
        let segments = request.segments();
        let (call, project, instance) = match (request.service, segments.as_slice()) {
            (Service::Ddm, ["v3", project, "backups"]) => (Call::DdmBackups, Some(*project), None),
            (Service::Ddm, ["v1", project, "instances"]) => {
                (Call::DdmInstances, Some(*project), None)
            }
            (Service::Iam, ["" | "v3"]) => (Call::Versions, None, None),
            (Service::Iam, ["v3", "auth", "tokens"]) => (Call::Token, None, None),
            (Service::Iam, ["v3", "auth", "catalog"]) => (Call::Catalog, None, None),
            (Service::Iam, ["v3", "auth", "projects"]) => (Call::OwnProjects, None, None),
            (Service::Iam, ["v3", "projects"]) => (Call::Projects, None, None),
            (Service::Rds, ["v3", project, "backups"]) => (Call::RdsBackups, Some(*project), None),
            (Service::Rds, ["v3", project, "instances"]) => {
                (Call::RdsInstances, Some(*project), None)
            }
            (Service::Rds, ["v3", project, "instances", instance, "restore-time"]) => {
                (Call::RdsRestoreTime, Some(*project), Some(*instance))
            }
            (Service::Rds, ["v3", project, "instances", instance, "backups", "policy"]) => {
                (Call::RdsPolicy, Some(*project), Some(*instance))
            }
            _ => return Err(Answer::no_such_path()),
        };
        let method = if call == Call::Token { "POST" } else { "GET" };
        if request.method != method {
            return Err(Answer::wrong_method());
        }
        Ok(Self { call, project, instance })
    }
}

/// The project in a path, also where no call matches.
pub(super) fn project_of(request: &Request) -> Option<String> {
    match (request.service, request.segments().as_slice()) {
        (Service::Ddm | Service::Rds, [_, project, _, ..]) => Some((*project).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(service: Service, method: &str, target: &str) -> Result<Call, u16> {
        let request = Request::new(service, method, target, Vec::new(), Vec::new());
        Route::of(&request).map(|route| route.call).map_err(|answer| answer.status)
    }

    #[test]
    fn the_same_path_is_another_call_on_another_host() {
        let target = "/v3/p/backups?limit=1";
        assert_eq!(route(Service::Rds, "GET", target), Ok(Call::RdsBackups));
        assert_eq!(route(Service::Ddm, "GET", target), Ok(Call::DdmBackups));
        assert_eq!(route(Service::Iam, "GET", target), Err(404));
        assert_eq!(route(Service::Rds, "GET", "/v1/p/instances"), Err(404));
    }

    #[test]
    fn the_calls_about_one_instance_carry_its_id() {
        for (path, call) in
            [("restore-time", Call::RdsRestoreTime), ("backups/policy", Call::RdsPolicy)]
        {
            let target = format!("/v3/p/instances/i/{path}?date=2025-03-10");
            let request = Request::new(Service::Rds, "GET", &target, Vec::new(), Vec::new());
            let route = Route::of(&request).unwrap();
            assert_eq!(route.call, call);
            assert_eq!((route.project, route.instance), (Some("p"), Some("i")));
            assert_eq!(project_of(&request).as_deref(), Some("p"));
        }
    }

    #[test]
    fn a_known_path_with_another_method_is_refused_as_such() {
        assert_eq!(route(Service::Rds, "DELETE", "/v3/p/backups"), Err(405));
        assert_eq!(route(Service::Iam, "GET", "/v3/auth/tokens"), Err(405));
        assert_eq!(route(Service::Iam, "POST", "/v3/auth/tokens"), Ok(Call::Token));
    }
}
