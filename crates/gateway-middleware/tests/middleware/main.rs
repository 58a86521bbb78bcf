//! The middlewares, each around applications of every kind, with the lint on both sides.
//!
//! | what | where |
//! |---|---|
//! | applications of every kind, and the lint around them | `around` |
//! | names of requests | `request_ids` |
//! | what is written about requests | `access_log`, `trace` |
//! | who is let in | `basic_auth` |

mod access_log;
mod around;
mod basic_auth;
mod request_ids;
mod trace;
