//! Files and directories as an application, exercised without a socket.
//!
//! | what | where |
//! |---|---|
//! | methods, types, names, redirects, index files | `basics` |
//! | preconditions | `conditional` |
//! | one range, several, too many, impossible ones | `ranges` |
//! | siblings and compression on the fly | `encodings` |
//! | directories as pages and as JSON | `listing` |
//! | what must not be reachable | `traversal` |
//! | everything that the builder offers | `options` |
//! | files that change while they are sent | `changes` |
//! | what uploads store, refuse and answer | `uploads` |
//! | uploads on both servers, whole and cut | `upload_servers` |

mod basics;
mod changes;
mod conditional;
mod encodings;
mod exchange;
mod listing;
mod options;
mod ranges;
mod traversal;
mod tree;
#[cfg(feature = "upload")]
mod upload_servers;
#[cfg(feature = "upload")]
mod uploads;
