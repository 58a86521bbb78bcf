//! The contract, as a channel in memory sees it.

mod handler {
    mod channel;
    mod hooks;
    mod responses;
}
