//! One list of cases, run over real sockets against every server: the same bytes back, but for the
//! values of Date and Server.
//!
//! A case is an application, what a client does, and what must come of it. Every case makes three
//! tests: `on_std` and `on_tokio` hold one server to the expectation, `same` holds one to the other.
//!
//! | to find | read |
//! |---|---|
//! | methods, framing of requests, keep-alive, pipelining, HTTP/1.0 | [`requests`] |
//! | kinds of bodies, declared lengths, trailers, bodiless statuses | [`bodies`] |
//! | `Expect: 100-continue` | [`expectations`] |
//! | `write`, `restart`, early hints, heads that cannot be sent | [`contract`] |
//! | hooks for the head and for the end | [`hooks`] |
//! | errors and panics | [`faults`] |
//! | HEAD, 204 and 304 | [`bodiless`] |
//! | 101 and what follows | [`upgrades`] |
//! | clients that leave in each phase | [`departures`] |
//! | clients and applications that are slow, or never read | [`pressure`] |
//! | handles that an application kept | [`leftovers`] |
//! | blocking where it must not | [`reactor`] |
//! | curl as the client | [`curl`] |
//! | what the `environ` example answers to outside probes | [`probe`] |
//! | the examples' binaries, with their command lines | [`binaries`] |
//! | the room of the `chat` example | [`chat`] |
//! | the server among the examples | [`own_server`] |

mod binaries;
mod bodies;
mod bodiless;
mod case;
mod chat;
mod client;
mod contract;
mod curl;
mod departures;
mod expectations;
mod faults;
mod hooks;
mod leftovers;
mod outcome;
mod own_server;
mod pressure;
mod probe;
mod reactor;
mod requests;
mod running;
mod site;
mod upgrades;
mod witness;
