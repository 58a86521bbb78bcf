//! WebSockets over real sockets, on both servers, awaited and blocking.
//!
//! The client writes and reads raw frames and knows nothing of tungstenite. A case is a list of
//! steps; it makes four tests, since the same must come of it on each server with each kind of
//! socket. The cases follow Autobahn's, whose numbers they carry; `scripts/autobahn` runs the
//! original.
//!
//! | what | where |
//! |---|---|
//! | requests that begin no WebSocket, origins, subprotocols | `handshake` |
//! | sizes, pings, reserved bits, opcodes, fragments (1 to 5) | `framing` |
//! | UTF-8 (6) | `text` |
//! | closes, by either side (7) | `closing` |
//! | limits, large messages, many messages (9, 10) | `limits` |
//! | what an application gets and does | `application` |

mod application;
mod case;
mod client;
mod closing;
mod framing;
mod handshake;
mod limits;
mod site;
mod text;
