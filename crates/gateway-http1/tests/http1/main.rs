//! The engine from outside, without sockets and without sleeping: bytes and instants go in, events
//! and bytes come out.
#![expect(clippy::unwrap_used, reason = "a step of a test that goes wrong fails the test")]

/// Request bodies: pieces, 100-continue, what is left unread.
mod bodies;
/// Requests from files, with the events they must give.
mod corpus;
/// Whole cycles: keep-alive and why not, pipelining, half-closed peers, errors.
mod cycles;
/// What a connection costs in memory.
mod memory;
/// For any bytes, in any pieces, in any order of calls.
mod properties;
/// Response heads and bodies, byte for byte.
mod responses;
/// Every deadline, at the instant and one before.
mod timeouts;
/// 101 and after.
mod upgrades;

/// A connection in a simulated world.
mod world;
