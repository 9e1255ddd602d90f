//! Sign-in and look-ups of the identity service (Keystone v3).

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::{Answer, put},
    clock::moved,
    estate::{Estate, Project, User},
    id,
    log::Caller,
    request::Request,
    switches::Switches,
    time,
};

/// The tokens that were given out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    valid: HashMap<String, Token>,
    count: u64,
}

/// Whose token it is and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) user: String,
    /// The project it is scoped to; none if it is good for the domain only.
    pub(super) project: Option<String>,
    expires: Timestamp,
}

impl Tokens {
    /// Makes a token, some kB long as the real ones are.
    fn issue(&mut self, token: Token) -> String {
        self.count += 1;
        let count = self.count.to_string();
        let text: String =
            (0..64).map(|part: u32| id::stem(&["token", &count, &part.to_string()])).collect();
        let text = format!("MIIF{text}");
        self.valid.insert(text.clone(), token);
        text
    }

    /// The token behind this text, if it is still good.
    pub(super) fn find(&self, text: &str, now: Timestamp) -> Option<&Token> {
        self.valid.get(text).filter(|token| now < token.expires)
    }

    /// Makes all tokens bad.
    pub(super) fn revoke(&mut self) {
        self.valid.clear();
    }
}

/// Where the services are, for the catalog.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    pub(super) iam: String,
    pub(super) rds: String,
    pub(super) ddm: String,
}

/// Gives a token for a user name and a password.
pub(super) fn sign_in(
    request: &Request,
    estate: &Estate,
    switches: &Switches,
    now: Timestamp,
    tokens: &mut Tokens,
    addresses: &Addresses,
) -> Result<Answer, Answer> {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|_| bad_request("The request body is not JSON."))?;
    let auth = body.get("auth").ok_or_else(|| bad_request("auth is a required property."))?;
    let methods = auth.pointer("/identity/methods").and_then(Value::as_array);
    if methods.is_none_or(|methods| methods.as_slice() != ["password"]) {
        return Err(bad_request("The authentication method is not supported."));
    }
    let user = user(auth, estate)?;
    let project = match auth.pointer("/scope/project") {
        Some(scope) => Some(project(scope, user, estate)?),
        None => None,
    };
    let token = Token {
        user: user.name.clone(),
        project: project.map(|project| project.id.clone()),
        expires: moved(now, switches.token_lifetime),
    };
    let mut shown = json!({
        "methods": ["password"],
        "issued_at": time::issued(now),
        "expires_at": time::issued(token.expires),
        "user": {
            "id": id::stem(&["user", &user.name]),
            "name": user.name,
            "domain": domain(&user.domain),
            "password_expires_at": "",
        },
        "roles": [{ "id": "0", "name": "rds_adm" }],
    });
    let project_shown = project.map(|project| {
        json!({ "id": project.id, "name": project.name, "domain": domain(&project.domain) })
    });
    let domain_shown = project.is_none().then(|| domain(&user.domain));
    let wants_catalog = request.parameter("nocatalog") != Some("true");
    put(&mut shown, "project", project_shown);
    put(&mut shown, "domain", domain_shown);
    put(&mut shown, "catalog", wants_catalog.then(|| catalog(project, addresses)));
    let text = tokens.issue(token);
    Ok(Answer::json(201, &json!({ "token": shown })).with_header("X-Subject-Token", &text))
}

/// `GET /v3/projects`: the projects of the domain, by name if asked. It needs a permission of its own.
pub(super) fn projects(
    request: &Request,
    estate: &Estate,
    switches: &Switches,
    caller: &Caller,
) -> Result<Answer, Answer> {
    if switches.forbids_listing_projects {
        let message = "You are not authorized to perform the requested action.";
        return Err(Answer::iam(403, "Forbidden", message));
    }
    Ok(own_projects(request, estate, caller))
}

/// `GET /v3/auth/projects`: those that the caller may use, by name if asked.
pub(super) fn own_projects(request: &Request, estate: &Estate, caller: &Caller) -> Answer {
    let name = request.parameter("name");
    let projects = estate.projects.iter();
    let shown: Vec<Value> = projects
        .filter(|project| name.is_none_or(|name| project.name == name))
        .filter(|project| !is_forbidden(&project.id, estate, caller))
        .map(|project| {
            json!({
                "id": project.id,
                "name": project.name,
                "domain_id": domain_id(&project.domain),
                "parent_id": domain_id(&project.domain),
                "is_domain": false,
                "enabled": project.enabled,
                "description": "",
                "links": {},
            })
        })
        .collect();
    Answer::json(200, &json!({ "projects": shown, "links": {} }))
}

/// `GET /v3/auth/catalog`.
pub(super) fn own_catalog(project: Option<&Project>, addresses: &Addresses) -> Answer {
    let body = json!({ "catalog": catalog(project, addresses), "links": {} });
    Answer::json(200, &body)
}

/// `GET /v3`, which clients built on `OpenStack` read first.
pub(super) fn versions(addresses: &Addresses) -> Answer {
    let version = json!({
        "id": "v3.6",
        "status": "stable",
        "media-types": [],
        "links": [{ "rel": "self", "href": addresses.iam }],
    });
    Answer::json(200, &json!({ "version": version }))
}

/// Whether the caller may not use this project.
pub(super) fn is_forbidden(project: &str, estate: &Estate, caller: &Caller) -> bool {
    limits(estate, caller).is_none_or(|(forbidden, _)| forbidden.iter().any(|id| id == project))
}

/// Whether the caller may not do this.
pub(super) fn is_denied(action: &str, estate: &Estate, caller: &Caller) -> bool {
    limits(estate, caller).is_none_or(|(_, denied)| denied.iter().any(|name| name == action))
}

/// The projects and the actions that are not for the caller; nothing if nobody knows the caller.
fn limits<'a>(estate: &'a Estate, caller: &Caller) -> Option<(&'a [String], &'a [String])> {
    match caller {
        Caller::Key(access) => {
            let key = estate.keys.iter().find(|key| key.access == *access)?;
            Some((&key.forbidden, &key.denied))
        }
        Caller::Nobody => None,
        Caller::User(name) => {
            let user = estate.users.iter().find(|user| user.name == *name)?;
            Some((&user.forbidden, &user.denied))
        }
    }
}

/// The user who signs in; which of name, domain and password was wrong is not told.
fn user<'a>(auth: &Value, estate: &'a Estate) -> Result<&'a User, Answer> {
    let asked = auth.pointer("/identity/password/user");
    let text = |path: &str| asked.and_then(|user| user.pointer(path)).and_then(Value::as_str);
    let (Some(name), Some(password)) = (text("/name"), text("/password")) else {
        return Err(bad_request("User name and password are required."));
    };
    let domain_is = |domain: &str| {
        text("/domain/name") == Some(domain) || text("/domain/id") == Some(&domain_id(domain))
    };
    if text("/domain/name").or(text("/domain/id")).is_none() {
        return Err(bad_request("The domain of the user is required."));
    }
    let mut users = estate.users.iter();
    users
        .find(|user| user.name == name && user.password == password && domain_is(&user.domain))
        .ok_or_else(|| unauthorized("The username or password is wrong."))
}

/// The project of the scope.
fn project<'a>(scope: &Value, user: &User, estate: &'a Estate) -> Result<&'a Project, Answer> {
    let text = |path: &str| scope.pointer(path).and_then(Value::as_str);
    let wanted = |project: &&Project| match (text("/id"), text("/name")) {
        (Some(id), _) => project.id == id,
        (None, Some(name)) => {
            let domain = text("/domain/name").unwrap_or(&user.domain);
            project.name == name && project.domain == domain
        }
        (None, None) => false,
    };
    if text("/id").or(text("/name")).is_none() {
        return Err(bad_request("The project of the scope needs an id or a name."));
    }
    let project = estate.projects.iter().find(wanted);
    let project = project.ok_or_else(|| unauthorized("Could not find the project."))?;
    if user.forbidden.contains(&project.id) {
        let message = "The user has no permission for the project.";
        return Err(Answer::iam(403, "Forbidden", message));
    }
    Ok(project)
}

fn catalog(project: Option<&Project>, addresses: &Addresses) -> Value {
    let entry = |kind: &str, name: &str, url: String| {
        json!({
            "type": kind,
            "name": name,
            "id": id::stem(&["service", kind]),
            "endpoints": [{
                "id": id::stem(&["endpoint", kind]),
                "interface": "public",
                "region": "eu-de",
                "region_id": "eu-de",
                "url": url,
            }],
        })
    };
    let mut entries = vec![entry("identity", "iam", addresses.iam.clone())];
    if let Some(project) = project {
        let at = |host: &str, version: &str| format!("{host}/{version}/{}", project.id);
        entries.push(entry("rdsv3", "rdsv3", at(&addresses.rds, "v3")));
        entries.push(entry("ddmv1", "ddmv1", at(&addresses.ddm, "v1")));
        entries.push(entry("ddmv3", "ddmv3", at(&addresses.ddm, "v3")));
    }
    entries.into()
}

fn domain(name: &str) -> Value {
    json!({ "id": domain_id(name), "name": name })
}

fn domain_id(name: &str) -> String {
    id::stem(&["domain", name])
}

fn bad_request(message: &str) -> Answer {
    Answer::iam(400, "Bad Request", message)
}

fn unauthorized(message: &str) -> Answer {
    Answer::iam(401, "Unauthorized", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{AccessKey, Service, estate};

    fn ask(body: &str, estate: &Estate, tokens: &mut Tokens) -> Result<Answer, u16> {
        let request =
            Request::new(Service::Iam, "POST", "/v3/auth/tokens", Vec::new(), body.into());
        let switches = Switches::default();
        let addresses = Addresses::default();
        let now = Timestamp::UNIX_EPOCH;
        sign_in(&request, estate, &switches, now, tokens, &addresses).map_err(|answer| {
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["error"]["code"], answer.status);
            answer.status
        })
    }

    fn body(name: &str, password: &str, domain: &str, scope: &Value) -> String {
        let user = json!({ "name": name, "password": password, "domain": { "name": domain } });
        json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": user } },
            "scope": scope,
        } })
        .to_string()
    }

    fn right(scope: &Value) -> String {
        body(estate::USER, estate::PASSWORD, estate::DOMAIN, scope)
    }

    #[test]
    fn a_token_comes_for_the_project_by_id_or_by_name_and_ends_in_time() {
        let tokens = &mut Tokens::default();
        for scope in [
            json!({ "project": { "id": estate::PROJECT_ID } }),
            json!({ "project": { "name": estate::PROJECT_NAME } }),
            json!({ "project": { "name": estate::PROJECT_NAME, "domain": { "name": estate::DOMAIN } } }),
        ] {
            let answer = ask(&right(&scope), &Estate::new(), tokens).unwrap();
            assert_eq!(answer.status, 201);
            let shown: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(shown["token"]["project"]["id"], estate::PROJECT_ID);
            assert_eq!(shown["token"]["expires_at"], "1970-01-02T00:00:00.000000Z");
            let text = &answer.headers[0].1;
            let day = |hours| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours);
            let project = tokens.find(text, day(23)).unwrap().project.as_deref();
            assert_eq!(project, Some(estate::PROJECT_ID));
            assert_eq!(tokens.find(text, day(24)), None);
        }
        assert_eq!(tokens.valid.len(), 3);
        tokens.revoke();
        assert_eq!(tokens.valid.len(), 0);
    }

    #[test]
    fn whoever_is_not_known_gets_401_and_whoever_may_not_403() {
        let tokens = &mut Tokens::default();
        let scope = &json!({ "project": { "id": estate::PROJECT_ID } });
        let mut estate = Estate::new();
        let (user, password, domain) = (estate::USER, estate::PASSWORD, estate::DOMAIN);
        for wrong in [
            body("nobody", password, domain, scope),
            body(user, "wrong", domain, scope),
            body(user, password, "OTC2", scope),
            right(&json!({ "project": { "id": "f".repeat(32) } })),
            right(&json!({ "project": { "name": "eu-nl" } })),
        ] {
            assert_eq!(ask(&wrong, &estate, tokens), Err(401), "{wrong}");
        }
        estate.users[0].forbidden.push(estate::PROJECT_ID.to_owned());
        assert_eq!(ask(&right(scope), &estate, tokens), Err(403));
        assert_eq!(tokens.valid.len(), 0);
    }

    #[test]
    fn an_action_is_denied_to_whom_the_estate_says_and_to_strangers() {
        let action = "rds:instance:list";
        let mut estate = Estate::new()
            .with_user(User::new("narrow", "x").denying(action))
            .with_key(AccessKey::new("NARROW", "x").denying(action));
        let user = |name: &str| Caller::User(name.to_owned());
        let key = |access: &str| Caller::Key(access.to_owned());
        for (caller, denied) in [
            (user("narrow"), true),
            (key("NARROW"), true),
            (user(estate::USER), false),
            (key(estate::ACCESS_KEY), false),
            (user("NARROW"), true),
            (Caller::Nobody, true),
        ] {
            assert_eq!(is_denied(action, &estate, &caller), denied, "{caller:?}");
        }
        assert!(!is_denied("rds:backup:list", &estate, &user("narrow")));
        estate.users.clear();
        assert!(is_denied("rds:backup:list", &estate, &user("narrow")), "nobody knows them now");
    }

    #[test]
    fn projects_are_listed_by_name_enabled_or_not_and_listing_may_be_forbidden() {
        let mut estate = Estate::new().with_project(Project::new("p2", estate::PROJECT_NAME));
        estate.projects[1].enabled = false;
        let mut switches = Switches::default();
        let caller = Caller::User(estate::USER.to_owned());
        let list = |target: &str, switches: &Switches| {
            let request = Request::new(Service::Iam, "GET", target, Vec::new(), Vec::new());
            let answer = projects(&request, &estate, switches, &caller);
            answer.map_err(|answer| answer.status).map(|answer| {
                let body: Value = serde_json::from_slice(&answer.body).unwrap();
                let listed = body["projects"].as_array().unwrap().iter();
                let enabled = listed.map(|it| it["enabled"].as_bool().unwrap());
                enabled.collect::<Vec<_>>()
            })
        };
        let named = format!("/v3/projects?name={}", estate::PROJECT_NAME);
        assert_eq!(list(&named, &switches), Ok(vec![true, false]));
        assert_eq!(list("/v3/projects?name=eu", &switches), Ok(vec![]));
        switches.forbids_listing_projects = true;
        assert_eq!(list(&named, &switches), Err(403));
    }

    #[test]
    fn a_malformed_body_is_a_bad_request() {
        let tokens = &mut Tokens::default();
        let no_domain = json!({ "auth": { "identity": {
            "methods": ["password"],
            "password": { "user": { "name": "a", "password": "b" } },
        } } });
        let scope = json!({ "project": {} });
        for wrong in ["", "{", "{}", r#"{"auth":{}}"#, &no_domain.to_string(), &right(&scope)] {
            assert_eq!(ask(wrong, &Estate::new(), tokens), Err(400), "{wrong}");
        }
    }
}
