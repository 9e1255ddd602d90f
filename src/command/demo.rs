//! `demo`: a simulated cloud on loopback, and the daemon polling it over HTTP by the same code that
//! `serve` runs. Only its config is not a file.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use tracing::error;

use super::FAILED;
use super::serve::{front, start};
use crate::cli::Arguments;
use crate::clock::Clock;
use crate::config::{self, Config, Loaded};
use crate::shard::Shard;
use crate::sim::{Cloud, estate};

const LISTEN_ADDRESS: &str = "127.0.0.1:19747";

pub(super) async fn run(arguments: &Arguments, shard: Shard) -> ExitCode {
    let cloud = match Cloud::start(estate::demo(Clock::system().now())).await {
        Ok(cloud) => cloud,
        Err(error) => {
            error!(%error, "cannot start the simulated cloud");
            return ExitCode::from(FAILED);
        }
    };
    let text = config(&cloud);
    let config = match Config::read(&text, Path::new("demo"), &config::fetch) {
        Ok(Loaded { config, .. }) => config,
        Err(problems) => {
            problems.iter().for_each(|problem| error!("{problem}"));
            return ExitCode::from(FAILED);
        }
    };
    let front = match front(arguments) {
        Ok(front) => front,
        Err(code) => return code,
    };
    let scheme = if front.is_tls() { "https" } else { "http" };
    let started = match start(&config, None, front, arguments, shard, LISTEN_ADDRESS).await {
        Ok(started) => started,
        Err(code) => return code,
    };
    let urls: Vec<String> =
        started.addresses().iter().map(|address| format!("{scheme}://{address}")).collect();
    let announced = announce(&cloud, &urls, &arguments.telemetry_path, &text);
    if let Err(error) = announced {
        error!(%error, "cannot write to stdout");
        return ExitCode::from(FAILED);
    }
    started.until_signal().await
}

/// What an operator would write, but for an interval at which there is something to watch.
fn config(cloud: &Cloud) -> String {
    format!(
        "poll:\n  interval: 30s\n\
         credentials:\n  demo:\n    auth_url: {iam}\n    username: {user}\n    password: {password}\n    \
         user_domain_name: {domain}\n    requests_per_second: 20\n\
         projects:\n  - name: demo\n    project_id: {project_id}\n    credentials: demo\n    \
         rds: {{ endpoint: \"{rds}\", discover: true, restore_window: true }}\n    \
         ddm: {{ endpoint: \"{ddm}\" }}\n",
        iam = cloud.iam_url(),
        user = estate::USER,
        password = estate::PASSWORD,
        domain = estate::DOMAIN,
        project_id = estate::DEMO_PROJECT_ID,
        ddm = cloud.ddm_url(),
        rds = cloud.rds_url(),
    )
}

fn announce(cloud: &Cloud, urls: &[String], telemetry_path: &str, config: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "simulated cloud: IAM {}", cloud.iam_url())?;
    writeln!(out, "                 RDS {}", cloud.rds_url())?;
    writeln!(out, "                 DDM {}", cloud.ddm_url())?;
    writeln!(out, "\nconfig:\n")?;
    for line in config.lines() {
        // The password is that of the simulated cloud and of nothing else; it is shown nevertheless
        // as it would have to be everywhere.
        let line =
            if line.trim_start().starts_with("password:") { "    password: ***" } else { line };
        writeln!(out, "  {line}")?;
    }
    writeln!(out)?;
    for url in urls {
        writeln!(out, "status page:     {url}/")?;
        writeln!(out, "metrics:         {url}{telemetry_path}")?;
    }
    writeln!(out, "\nstop with Ctrl-C")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_default_address_is_the_one_that_the_help_tells() {
        let help = Arguments::command().render_long_help().to_string();
        let help: Vec<&str> = help.split_whitespace().collect();
        assert!(help.join(" ").contains(&format!("with `demo` {LISTEN_ADDRESS}]")));
    }
}
