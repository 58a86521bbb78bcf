//! The rules of servers that show on the byte stream.

use crate::suite::{GROUPS, ServerRule};

/// The rules that the [suite](mod@crate::suite) checks, group by group, each with its cases.
pub const SERVER: &[&[ServerRule]] = GROUPS;
