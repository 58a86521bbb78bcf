//! Tower services on our servers, and applications of ours on tower hosts.
//!
//! | module | what it shows |
//! |---|---|
//! | `same` | axum applications give on gateway-tokio what they give on `axum::serve` |
//! | `alike` | an application gives under hyper and axum what it gives on our server |
//! | `from` | what `from_tower` hands on: readiness, cancellation, limits, trailers, mounts |
//! | `into` | what `into_tower` hands on: the contract, blocking work, pressure, hooks |
//! | `threads` | a service on gateway-std |
//! | `upgrades` | other protocols, in both directions (with the feature `hyper`) |

mod alike;
mod apps;
mod client;
mod from;
mod hosts;
mod into;
mod same;
mod threads;
#[cfg(feature = "hyper")]
mod upgrades;
