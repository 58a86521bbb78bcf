//! The middlewares, each around applications of every kind, with the lint on both sides.
//!
//! | what | where |
//! |---|---|
//! | applications of every kind, and the lint around them | `around` |
//! | bodies that are too large | `body_limit` |
//! | responses that are made shorter | `compression` |
//! | too much at a time | `concurrency_limit` |
//! | peers that have the response already | `conditional` |
//! | pages of other origins | `cors` |
//! | requests that come compressed | `decompression` |
//! | pages that say what went wrong | `development_page` |
//! | what proxies say | `forwarded` |
//! | a POST that stands for another method | `method_override` |
//! | fields that ask browsers to be careful | `security_headers` |
//! | a stack of them on both servers | `servers` |
//! | answers that do not come | `timeout` |
//! | what is counted and measured | `metrics` |
//! | names of requests | `request_ids` |
//! | what is written about requests | `access_log`, `trace`, `spans` |
//! | who is let in | `basic_auth` |
//! | a writer that keeps what is written | `written` |

mod access_log;
mod around;
mod basic_auth;
mod body_limit;
mod compression;
mod concurrency_limit;
mod conditional;
mod cors;
mod decompression;
mod development_page;
mod forwarded;
mod method_override;
mod metrics;
mod request_ids;
mod security_headers;
mod servers;
mod spans;
mod timeout;
mod trace;
mod written;
