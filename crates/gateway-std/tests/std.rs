//! The thread server over real sockets: what is its own, and not HTTP's.

mod std {
    mod connections;
    mod exhaustion;
    mod listening;
    mod pending;
    mod running;
    mod shutdown;
    mod suite;
}
