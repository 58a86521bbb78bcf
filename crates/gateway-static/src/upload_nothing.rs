//! Uploads, in a build without them.

use std::sync::Arc;

use gateway_core::http::{HeaderValue, Method};
use gateway_core::{Environ, Reply, StartResponse};

use crate::site::Site;

/// There are none.
#[derive(Debug)]
pub(crate) enum Uploads {}

impl Uploads {
    pub(crate) fn new(_: bool, _: u64) -> Option<Uploads> {
        None
    }

    pub(crate) fn takes(&self, _: &Method) -> bool {
        match *self {}
    }

    pub(crate) fn methods(&self, _: &str) -> HeaderValue {
        match *self {}
    }

    pub(crate) fn reply(&self, _: Arc<Site>, _: Environ, _: StartResponse) -> Reply {
        match *self {}
    }
}
