//! An answer before it is put on the wire, and the error shapes of the four parties that may refuse:
//! the gateway, IAM, RDS and DDM each have their own.

use serde_json::{Value, json};

/// Status, extra headers and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides those that every answer has.
    pub headers: Vec<(String, String)>,
    /// The body, as it is before any compression.
    pub body: Vec<u8>,
}

impl Answer {
    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    /// A body of any kind.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A refusal by the gateway, which also tells the request id in the body.
    pub(super) fn gateway(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "error_msg": message, "error_code": code, "request_id": REQUEST_ID }),
        )
    }

    /// A refusal by IAM: nested, the code a number.
    pub(super) fn iam(status: u16, title: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "error": { "code": status, "message": message, "title": title } }),
        )
    }

    /// A refusal by RDS.
    pub(super) fn rds(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error_code": code, "error_msg": message }))
    }

    /// A refusal by DDM.
    pub(super) fn ddm(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "errCode": code, "externalMessage": message }))
    }

    /// No such path on this host.
    pub(super) fn no_such_path() -> Self {
        Self::gateway(
            404,
            "APIGW.0101",
            "The API does not exist or has not been published in the environment",
        )
    }

    /// The path exists, for another method.
    pub(super) fn wrong_method() -> Self {
        Self::gateway(405, "APIGW.0103", "The request method is not supported")
    }
}

/// Adds a field to a JSON object, if there is a value for it.
pub(super) fn put(object: &mut Value, key: &str, value: impl Into<Option<Value>>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value.into()) {
        object.insert(key.to_owned(), value);
    }
}

/// Replaced by the request's own id when the answer goes out.
pub(super) const REQUEST_ID: &str = "{request-id}";
