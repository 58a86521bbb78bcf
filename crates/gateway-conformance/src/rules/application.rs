//! What an application does: `APP-…`, checked by the lint.

use crate::Rule;
use crate::lint::{body, exchange, head, input, reply};

/// The rules about applications, by their ids.
pub static APPLICATION: &[&Rule] = &[
    &head::FINAL_STATUS,
    &head::KNOWN_CLASS,
    &head::CONTENT_TYPE_GIVEN,
    &head::CONTENT_TYPE_LEFT_OUT,
    &head::LENGTH_IS_A_NUMBER,
    &body::LENGTH_IS_KEPT,
    &head::NO_LENGTH_WITHOUT_CONTENT,
    &head::NO_HOP_BY_HOP,
    &head::DATE_IS_THE_SERVERS,
    &head::NO_STATUS_FIELD,
    &head::PLAIN_NAMES,
    &head::VALUES_WITHOUT_BLANKS,
    &head::FIELDS_OF_THE_STATUS,
    &head::NO_CONTENT,
    &head::UPGRADE_WAS_ASKED_FOR,
    &exchange::NOT_BLOCKING,
    &reply::WOKEN_AGAIN,
    &body::OWN_LENGTH_IS_KEPT,
    &body::NO_EMPTY_DATA,
    &body::TRAILERS_ARE_ANNOUNCED,
    &body::TRAILERS_ARE_HARMLESS,
    &exchange::OWN_RESPONSE,
    &exchange::WRITTEN_RESPONSE,
    &exchange::NOT_AFTER_END,
    &reply::ERRORS_ARE_ERRORS,
    &input::LIMIT_BEFORE_READ,
    &exchange::HEAD_IN_TIME,
    &exchange::HINTS_ARE_HINTS,
];
