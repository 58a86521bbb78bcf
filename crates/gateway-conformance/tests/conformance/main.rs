//! The lint and the test client.
//!
//! [`applications`] and [`servers`] have something wrong for every rule that the lint checks, and
//! [`silent`] has what is right. [`transparent`] shows that the lint changes nothing.

mod applications;
mod bodies;
mod client;
#[cfg(all(feature = "cookies", feature = "form", feature = "json"))]
mod features;
mod hand;
mod lint;
mod rules;
mod servers;
mod silent;
mod spec;
mod transparent;
