//! What middleware left with an exchange: hooks for the head and for the end.

use std::fmt::{self, Display};

use gateway_core::exchange::{End, EndHook, HeadHook};
use gateway_core::http::StatusCode;
use gateway_core::http::header::HeaderName;
use gateway_core::{BoxError, Error, ErrorStream, Head, Result};

use crate::{caught, complain};

/// The hooks that a head passes on its way.
#[must_use = "hooks that do not run see no head"]
pub struct HeadHooks(Vec<HeadHook>);

impl HeadHooks {
    pub(crate) fn new(hooks: Vec<HeadHook>) -> HeadHooks {
        HeadHooks(hooks)
    }

    /// Runs them, innermost first, each once.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::Panicked`](gateway_core::ApplicationError::Panicked) when one of them
    /// panics. Those behind it have not run: give them back with
    /// [`Contract::put_back`](crate::Contract::put_back).
    pub fn run(&mut self, head: &mut Head) -> Result<()> {
        while let Some(hook) = self.0.pop() {
            caught(|| hook(head))?;
        }
        Ok(())
    }

    pub(crate) fn into_rest(self) -> Vec<HeadHook> {
        self.0
    }
}

impl fmt::Debug for HeadHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadHooks({})", self.0.len())
    }
}

/// An exchange that is over, with those who want to know.
#[must_use = "an exchange is over for its hooks when they have run"]
pub struct Finished {
    pub(crate) head_hooks: Vec<HeadHook>,
    pub(crate) end_hooks: Vec<EndHook>,
    pub(crate) removed: Vec<HeaderName>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) sent: u64,
    pub(crate) answered: Option<Error>,
    pub(crate) abort: Option<Error>,
}

impl Finished {
    /// Runs the end hooks, innermost first, drops the head hooks that saw no head, and logs the
    /// header fields that were removed. A hook that panics is logged after what `about` says, and
    /// keeps none of the others from running.
    pub fn run<D: Display>(self, errors: &ErrorStream, about: impl Fn() -> D) {
        for name in self.removed {
            let removed = BoxError::from(format!(
                "the application set `{name}`, which belongs to the server; it was removed"
            ));
            errors.error(about(), &*removed);
        }
        let end = End::new(self.status, self.sent)
            .with_error(self.answered.as_ref())
            .with_abort(self.abort.as_ref());
        let end_hooks = self.end_hooks.into_iter().rev().map(|hook| caught(|| hook(&end)));
        let head_hooks = self.head_hooks.into_iter().rev().map(|hook| caught(|| drop(hook)));
        for error in end_hooks.chain(head_hooks).filter_map(Result::err) {
            complain(errors, about(), &error);
        }
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("status", &self.status)
            .field("sent", &self.sent)
            .field("answered", &self.answered)
            .field("abort", &self.abort)
            .finish_non_exhaustive()
    }
}
