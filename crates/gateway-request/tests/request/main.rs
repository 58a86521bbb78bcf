//! One application that reads all that a request says, by blocking and by awaiting.
//!
//! | what | where |
//! |---|---|
//! | the application | `app` |
//! | what it answers, and whose fault it is, with the lint around it | `answers` |
//! | the same on both servers, byte by byte | `servers` |

mod answers;
mod app;
mod servers;
