//! `schema`: the JSON Schema of the config file.

use crate::config;

pub(super) fn text() -> String {
    format!("{:#}\n", config::schema())
}
