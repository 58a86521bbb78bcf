//! The driver over a transport in memory: no sockets, no clock, no threads.

mod connection {
    mod contract;
    mod disconnects;
    mod simulation;
}
