//! Compression on the fly, in a build without it.

use gateway_core::Body;

use crate::coding::Coding;
use crate::root::Opened;

/// Whether this build can make `coding`.
pub(crate) fn can(_: Coding) -> bool {
    false
}

/// The file in `coding`, if this build can make it.
pub(crate) fn body(_: Opened, _: Coding) -> Option<Body> {
    None
}
