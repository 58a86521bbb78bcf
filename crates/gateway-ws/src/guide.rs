//! The guide under `docs/guides`, whose code is compiled and run with the tests.

#[doc = include_str!("../../../docs/guides/websockets.md")]
struct WebSockets;
