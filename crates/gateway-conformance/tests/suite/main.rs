//! Wrong servers, and the rules that catch them.
//!
//! A server is made wrong by what stands around a right one: around its application
//! ([`faulty`]), on its wire ([`wire`]), or around its harness ([`broken`]). [`mutations`] lists
//! one for every rule.

mod broken;
mod faulty;
mod mutations;
mod ports;
mod proxy;
mod report;
mod teardown;
mod wire;
