//! The pages for people. Plain HTML that works without JavaScript and asks no other host; escaping is
//! the template library's, since names are foreign text.

mod instance;
mod overview;
mod text;
mod timeline;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::build;

pub(super) use instance::instance;
pub(super) use overview::overview;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");
/// A disc, so that browsers do not ask for `/favicon.ico`.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E\
                    %3Ccircle cx='4' cy='4' r='3' fill='%23446'/%3E%3C/svg%3E";

/// What a browser may do with a page: use its own style and script, which are told by their digests,
/// show the icon, and send the form back here.
pub(super) fn security_policy() -> String {
    let digest = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

/// A page around its content.
fn frame(title: &str, telemetry_path: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    a href="/" { strong { "clouddb-backup-exporter" } } " " (build::VERSION)
                    nav aria-label="Other answers" {
                        a href=(telemetry_path) { "Metrics" }
                        a href="/api/v1/status" { "JSON" }
                        a href="/-/healthy" { "Healthy" }
                        a href="/-/ready" { "Ready" }
                    }
                }
                main { (content) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
