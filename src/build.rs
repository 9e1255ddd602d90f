//! What this binary was built from.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, shortened; `unknown` in a build without its repository.
pub const REVISION: &str = env!("CLOUDDB_BUILD_REVISION");
/// The version of the compiler.
pub const RUSTC: &str = env!("CLOUDDB_BUILD_RUSTC");
/// All three, for `--version`.
pub const FULL_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("CLOUDDB_BUILD_REVISION"),
    ", rustc ",
    env!("CLOUDDB_BUILD_RUSTC"),
    ")"
);
