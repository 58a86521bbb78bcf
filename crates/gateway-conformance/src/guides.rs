//! The guides under `docs/guides`, whose code is compiled and run with the tests.

#[doc = include_str!("../../../docs/guides/application.md")]
struct Application;

#[doc = include_str!("../../../docs/guides/framework.md")]
struct Framework;

#[doc = include_str!("../../../docs/guides/server.md")]
struct Server;

#[doc = include_str!("../../../docs/guides/command.md")]
struct Command;

#[doc = include_str!("../../../docs/lint.md")]
struct Lint;
