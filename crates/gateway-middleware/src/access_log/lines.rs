//! What makes lines of events.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::ZonedDateTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Id, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::LogFormat;
use super::event::{is_ours, place};
use super::format::Finished;
use super::texts::Texts;

/// Writes a line for every event of an [`AccessLog`](crate::AccessLog), in a form that web servers
/// have had for long.
///
/// It is a [`Layer`] of `tracing-subscriber`, to be put beside others, and also a [`Subscriber`] by
/// itself, for a program that has no other or that [keeps it apart](crate::AccessLog::also_to). All
/// other events, and spans, are nothing to it.
///
/// The time in a line is that of the request's arrival, in the system's time zone (in JSON: in UTC).
/// The bytes are those of the body, without framing. What a peer sends cannot forge a line or drive a
/// terminal: it is escaped.
///
/// As a layer it has no filter, so as not to take events away from others. Where each of the others
/// has one of its own, give it one as well, or everything in the program is enabled for its sake:
///
/// ```
/// use gateway_middleware::{AccessLines, LogFormat};
/// use tracing_subscriber::filter::{LevelFilter, Targets};
/// use tracing_subscriber::{Layer, Registry, layer::SubscriberExt};
///
/// let lines = AccessLines::new(LogFormat::Common, std::io::stdout());
/// let only = Targets::new().with_target("gateway::access", LevelFilter::INFO);
/// let subscriber = Registry::default().with(lines.with_filter(only));
/// # let _ = subscriber;
/// ```
pub struct AccessLines {
    format: LogFormat,
    writer: Mutex<Box<dyn io::Write + Send>>,
}

impl AccessLines {
    /// Writes lines to `writer`: each with one call, with its line end, from whatever thread has
    /// ended the request, which waits for it. Nothing is flushed, so a writer that keeps lines back has
    /// to do that by itself. What cannot be written is lost.
    pub fn new(format: LogFormat, writer: impl io::Write + Send + 'static) -> AccessLines {
        AccessLines { format, writer: Mutex::new(Box::new(writer)) }
    }

    fn write(&self, event: &Event<'_>) {
        if !is_ours(event.metadata()) {
            return;
        }
        let finished = Finished::of(event);
        let now = ZonedDateTime::now();
        let took = Duration::try_from_secs_f64(finished.seconds).unwrap_or_default();
        let arrived = now.checked_sub(took).unwrap_or(now);
        let mut line = Vec::with_capacity(USUAL_LINE);
        finished.write(self.format, &arrived, &mut line);
        line.push(b'\n');
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever reads it may have gone, which is no reason not to serve.
        let _ = writer.write_all(&line);
    }
}

/// In bytes; most lines are shorter.
const USUAL_LINE: usize = 384;

impl<S: Subscriber> Layer<S> for AccessLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.write(event);
    }
}

impl Subscriber for AccessLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata)
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(Level::INFO.into())
    }

    fn event(&self, event: &Event<'_>) {
        self.write(event);
    }

    // No span is enabled, so nobody comes by here.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl fmt::Debug for AccessLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLines").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Finished {
    fn of(event: &Event<'_>) -> Finished {
        let texts = Texts::with_room(USUAL_LINE);
        let mut finished = Finished { texts, status: None, bytes: 0, seconds: 0.0 };
        event.record(&mut finished);
        finished
    }
}

impl Visit for Finished {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_bytes(field, value.as_bytes());
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.texts.add(field.index(), |all| all.extend_from_slice(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.index() {
            place::STATUS => self.status = Some(value),
            place::BYTES => self.bytes = value,
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.index() == place::SECONDS {
            self.seconds = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.texts.add(field.index(), |all| {
            // Writing to memory does not fail.
            let _ = write!(all, "{value:?}");
        });
    }
}
