//! Without hyper's types there is no upgrade to be offered, and no reason phrase to be had.

use gateway_core::http::Extensions;
use gateway_core::{Environ, Response, Result};

/// An offer that is none.
pub(super) struct Offer;

impl Offer {
    pub(super) fn of(_: &Environ) -> Offer {
        Offer
    }

    pub(super) fn attach(&mut self, _: &mut Extensions) {}

    /// A 101 without a protocol is refused by the contract, with a 500.
    pub(super) fn accept(self, response: Response) -> Result<Response> {
        Ok(response)
    }
}

pub(super) fn say_reason(_: &mut Response, _: &Extensions) -> Result<()> {
    Ok(())
}
