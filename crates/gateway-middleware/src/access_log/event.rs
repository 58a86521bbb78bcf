//! The event of a request that is over: its fields, and how it comes to those who listen.

use std::array;
use std::sync::LazyLock;

use tracing::dispatcher::get_default;
use tracing::field::{Field, Value};
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Span};
use tracing_core::callsite::DefaultCallsite;
use tracing_core::field::FieldSet;
use tracing_core::{Kind, identify_callsite};

/// By which filters know the event.
pub(super) const TARGET: &str = "gateway::access";

/// How many fields it has.
pub(super) const FIELDS: usize = NAMES.len();

/// One for each field, in the order of [`NAMES`].
pub(super) type Values<'a> = [Option<&'a dyn Value>; FIELDS];

/// The names of the fields, each at its place below.
const NAMES: &[&str] = &[
    "message",
    "client.address",
    "gateway.remote",
    "user.name",
    "http.request.method",
    "http.request.method_original",
    "url.original",
    "network.protocol.version",
    "http.response.status_code",
    "http.response.body.size",
    "http.server.request.duration",
    "http.request.header.referer",
    "user_agent.original",
    "request.id",
    "error.type",
    "error.message",
];

/// Where each field stands.
pub(super) mod place {
    pub(in super::super) const MESSAGE: usize = 0;
    pub(in super::super) const CLIENT: usize = 1;
    pub(in super::super) const REMOTE: usize = 2;
    pub(in super::super) const USER: usize = 3;
    pub(in super::super) const METHOD: usize = 4;
    pub(in super::super) const ODD_METHOD: usize = 5;
    pub(in super::super) const TARGET: usize = 6;
    pub(in super::super) const VERSION: usize = 7;
    pub(in super::super) const STATUS: usize = 8;
    pub(in super::super) const BYTES: usize = 9;
    pub(in super::super) const SECONDS: usize = 10;
    pub(in super::super) const REFERER: usize = 11;
    pub(in super::super) const USER_AGENT: usize = 12;
    pub(in super::super) const ID: usize = 13;
    pub(in super::super) const ERROR_TYPE: usize = 14;
    pub(in super::super) const ABORTED: usize = 15;
}

// What the macros of `tracing` would make. They hand an event to one subscriber, the default; to give
// it to another one, that has to become the default for a moment, and once any has been that, the
// macros of the whole program write no more records of `log`, which they do for as long as there is
// no subscriber at all. Whom we tell what is none of the application's business, so this is by hand.
static CALLSITE: DefaultCallsite = DefaultCallsite::new(&EVENT);
static EVENT: Metadata<'static> = Metadata::new(
    "HTTP request finished",
    TARGET,
    Level::INFO,
    Some(file!()),
    Some(line!()),
    Some(module_path!()),
    FieldSet::new(NAMES, identify_callsite!(&CALLSITE)),
    Kind::EVENT,
);
static PLACES: LazyLock<Vec<Field>> = LazyLock::new(|| EVENT.fields().iter().collect());

/// Whether `metadata` is that of our event, and not of one that somebody else gave its target.
pub(super) fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.callsite() == EVENT.callsite()
}

/// Whether the default subscriber may want the event. Asks nobody, and costs next to nothing.
pub(super) fn default_listens() -> bool {
    Level::INFO <= STATIC_MAX_LEVEL
        && Level::INFO <= LevelFilter::current()
        && !CALLSITE.interest().is_never()
        && get_default(|default| !default.is::<NoSubscriber>())
}

/// Gives the event to the default subscriber: within `span`, and to the one that `span` is of, which
/// another thread need not have as its default.
pub(super) fn tell_default(span: &Span, values: &Values<'_>) {
    if Level::INFO > STATIC_MAX_LEVEL {
        return;
    }
    let told = span.with_subscriber(|(id, dispatch)| tell(dispatch, Some(id), values));
    if told.is_none() {
        get_default(|default| tell(default, None, values));
    }
}

/// Gives the event to `dispatch`, within its span `parent` if there is one.
pub(super) fn tell(dispatch: &Dispatch, parent: Option<&tracing::Id>, values: &Values<'_>) {
    // Just before the event, and only then, as filters of single layers remember what they said.
    if dispatch.enabled(&EVENT) {
        let fields: [_; FIELDS] = array::from_fn(|place| (&PLACES[place], values[place]));
        let fields = EVENT.fields().value_set(&fields);
        dispatch.event(&Event::new_child_of(parent.cloned(), &EVENT, &fields));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_at_its_place() {
        for (place, name) in [
            (place::MESSAGE, "message"),
            (place::CLIENT, "client.address"),
            (place::REMOTE, "gateway.remote"),
            (place::USER, "user.name"),
            (place::METHOD, "http.request.method"),
            (place::ODD_METHOD, "http.request.method_original"),
            (place::TARGET, "url.original"),
            (place::VERSION, "network.protocol.version"),
            (place::STATUS, "http.response.status_code"),
            (place::BYTES, "http.response.body.size"),
            (place::SECONDS, "http.server.request.duration"),
            (place::REFERER, "http.request.header.referer"),
            (place::USER_AGENT, "user_agent.original"),
            (place::ID, "request.id"),
            (place::ERROR_TYPE, "error.type"),
            (place::ABORTED, "error.message"),
        ] {
            let field = EVENT.fields().field(name).expect("it is there");
            assert_eq!(field.index(), place, "{name}");
        }
    }
}
