//! What is thrown at the program, one module for each place where foreign bytes come in. The fuzz
//! targets throw what the fuzzer makes up; `tests/it/thrown.rs` throws the seeds at every run of the
//! tests, and includes these files.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/exposition.rs"]
mod exposition;

pub mod clouds;
pub mod config;
pub mod duration;
pub mod listener;
pub mod listing;
pub mod refusal;
pub mod time;
pub mod web_config;
