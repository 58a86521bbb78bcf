//! What a server hands over, and how it drives what it gets back: the first of `SRV-…`, checked by
//! the lint.

use crate::Rule;
use crate::lint::{body, environ, exchange, input, reply, turns};

/// The rules about servers that can be seen at the call, by their ids.
pub static BOUNDARY: &[&Rule] = &[
    &environ::TARGET_HAS_A_FORM,
    &environ::TARGET_IS_VISIBLE,
    &environ::NAMES_ARE_TOKENS,
    &environ::VALUES_ARE_CLEAN,
    &environ::SCHEME_IS_HTTP,
    &environ::AUTHORITY_IS_KNOWN,
    &environ::LENGTH_IS_THE_INPUTS,
    &environ::CODED_HAS_NO_LENGTH,
    &environ::SERVER_HAS_A_NAME,
    &environ::SOFTWARE_IS_A_PRODUCT,
    &environ::ADDRESSES_ARE_REAL,
    &environ::NONBLOCKING_IS_SAID,
    &reply::BLOCKING_MAY_BLOCK,
    &reply::NOT_POLLED_AFTER_READY,
    &body::NOT_ASKED_AFTER_END,
    &exchange::CLOSED_BEFORE_END,
    &exchange::END_IS_TOLD,
    &exchange::HEAD_PASSES_HOOKS,
    &input::INPUT_IS_WHOLE,
    &environ::CGI_VIEW_AGREES,
    &environ::CGI_VIEW_IS_NOT_SPOOFED,
    &environ::CGI_VIEW_IS_LATIN_1,
    &turns::ONE_AT_A_TIME,
    &environ::HEAD_IS_TO_COME,
    &environ::ONE_EXCHANGE,
    &exchange::WRITE_SENDS_HEAD,
];
