//! Without hyper's types there is no upgrade to be had, and no reason phrase to be told.

use std::error::Error as StdError;

use gateway_core::http::Extensions;
use gateway_core::{ReasonPhrase, Result, Upgrade};

use super::exchange::HostExchange;
use std::sync::Arc;

/// There is none.
pub(super) enum OnUpgrade {}

pub(super) fn take(_: &mut Extensions) -> Option<OnUpgrade> {
    None
}

/// Never called: the contract refuses a 101 that was not offered.
pub(super) fn switch(exchange: &Arc<HostExchange>, _: Upgrade) -> Result<()> {
    match exchange.take_on_upgrade() {
        None => Ok(()),
        Some(on_upgrade) => match on_upgrade {},
    }
}

pub(super) fn is_disconnect(_: &(dyn StdError + 'static)) -> bool {
    false
}

pub(super) fn say_reason(_: &mut Extensions, _: &ReasonPhrase) {}
