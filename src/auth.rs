//! Credentials onto a request. An [`Account`] is a credential in use: its budget, its tokens and
//! its pause after a refusal are shared by every project and product that names it.

mod pause;
pub mod sign;
mod token;
