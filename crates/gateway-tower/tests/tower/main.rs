//! Tower services on our servers, and applications of ours on tower hosts.
//!
//! | module | what it shows |
//! |---|---|
//! | `same` | axum applications give on gateway-tokio what they give on `axum::serve` |
//! | `alike` | an application gives under hyper and axum what it gives on our server |
//! | `from` | what `from_tower` hands on: readiness, cancellation, limits, trailers, mounts |
//! | `rules` | the suite for servers, through both adapters and under hyper |
//! | `threads` | a service on gateway-std |
//! | `upgrades` | other protocols, in both directions |

mod alike;
mod apps;
mod client;
mod from;
mod hosts;
mod rules;
mod same;
mod threads;
mod upgrades;
