//! What is this server's own: its runtimes, workers, bounds, and how it stops. That it speaks HTTP
//! as the other server does is tested with both.

mod bounds;
mod keep_alive;
mod memory;
mod runtimes;
mod slow_readers;
mod stopping;
mod suite;
mod support;
mod unix;
mod workers;
