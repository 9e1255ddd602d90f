//! One switch for each thing that no document of the cloud settles. A client has to be right under
//! either position of each.

use jiff::SignedDuration;

/// How the cloud behaves where the documents are silent. The defaults are the likelier answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one open question, and any combination can be the truth"
)]
pub struct Switches {
    /// The order of the backup lists. Instances are listed in the order of the estate.
    pub order: Order,
    /// Whether an RDS list that was asked without a type holds the incrementals too.
    pub untyped_holds_incrementals: bool,
    /// Which time of a record the window of the RDS list is about.
    pub window: Window,
    /// Whether records exactly on an edge of the window belong to it.
    pub window_is_inclusive: bool,
    /// Whether every page is the first page.
    pub offset_is_ignored: bool,
    /// Whether `backup_type` is ignored.
    pub type_is_ignored: bool,
    /// What the total counts.
    pub total: Total,
    /// The most records of a page. If it is below the limit that was asked, the answer says so in
    /// `limit` (which RDS otherwise does not send).
    pub page_cap: Option<usize>,
    /// How a record without an end is shown by RDS.
    pub missing_end: MissingEnd,
    /// Whether asking an SQL Server instance for incrementals is an error rather than empty.
    pub refuses_incremental_of_sql_server: bool,
    /// Whether asking another engine for `fragment` is an error rather than empty.
    pub refuses_fragment_of_others: bool,
    /// Whether the RDS list still answers for a deleted instance with backups left.
    pub lists_deleted_instances: bool,
    /// What is told of the policy of a read replica.
    pub policy_of_replica: ReplicaPolicy,
    /// Whether whoever may not list the instances gets an empty list rather than a refusal.
    pub denied_instances_are_hidden: bool,
    /// Whether the DDM instance list tells the page numbers of the documents' sample, which do not
    /// fit one another, whatever page was asked.
    pub ddm_page_numbers_are_nonsense: bool,
    /// Throttling per user or key.
    pub rate_limit: Option<RateLimit>,
    /// The seconds in `Retry-After` of a 429.
    pub retry_after: Option<u32>,
    /// Whether nobody may list the projects of the domain.
    pub forbids_listing_projects: bool,
    /// How long a token is valid.
    pub token_lifetime: SignedDuration,
    /// Whether bodies are packed for clients that accept gzip.
    pub gzip: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            order: Order::NewestFirst,
            untyped_holds_incrementals: false,
            window: Window::Begin,
            window_is_inclusive: true,
            offset_is_ignored: false,
            type_is_ignored: false,
            total: Total::Filtered,
            page_cap: None,
            missing_end: MissingEnd::Null,
            refuses_incremental_of_sql_server: false,
            refuses_fragment_of_others: false,
            lists_deleted_instances: false,
            policy_of_replica: ReplicaPolicy::BadRequest,
            denied_instances_are_hidden: false,
            ddm_page_numbers_are_nonsense: false,
            rate_limit: None,
            retry_after: None,
            forbids_listing_projects: false,
            token_lifetime: SignedDuration::from_hours(24),
            gzip: false,
        }
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By begin, the newest first.
    NewestFirst,
    /// By begin, the oldest first.
    OldestFirst,
    /// In no order that means anything, but always the same one.
    Unordered,
}

/// Which time a window filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The begin.
    Begin,
    /// The end; a record without one is left out.
    End,
    /// None: the window is checked and then ignored.
    Ignored,
}

/// What the total of a list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// It is not sent.
    Absent,
    /// The records that pass the filters.
    Filtered,
    /// Nothing: always this number.
    Fixed(u64),
    /// All records of the instance (RDS) or project (DDM), whatever the filters; for a list of
    /// instances, all of the project.
    Unfiltered,
}

/// What is told of the automated backup policy of a read replica, which has no backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaPolicy {
    /// That the request is wrong.
    BadRequest,
    /// That there is no such instance.
    NotFound,
    /// Its policy, as of any instance.
    Told,
}

/// How a missing end is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingEnd {
    /// Without the field.
    Absent,
    /// As an empty text.
    Empty,
    /// As `null`.
    Null,
}

/// At most so many requests of one user or key within a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub requests: usize,
    /// The width of the window.
    pub window: SignedDuration,
}
