//! The answer that a file is.

use std::time::SystemTime;

use gateway_core::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderValue, LAST_MODIFIED,
};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{Body, Environ, Result};
use gateway_request::AcceptEncoding;
use gateway_request::fields::{single, values};

use crate::answer::Answer;
use crate::coding::{CODINGS, Coding};
use crate::compress::{self, Place};
use crate::conditional::{Verdict, evaluate, range_holds};
use crate::media::Media;
use crate::multipart::{Multipart, boundary};
use crate::range::{Span, Wanted, wanted};
use crate::root::{Found, Look, Opened};
use crate::site::{Named, Site};
use crate::validators::Validators;

/// Below this many bytes compressing saves no packet.
const WORTH_COMPRESSING: u64 = 1024;

/// Above this many bytes it takes a processor for most of a second, once more for each request.
const TOO_LONG_TO_COMPRESS: u64 = 16 << 20;

const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// What of a file is sent: its bytes, those of a sibling, or, with a place, what is made of them.
struct Representation {
    opened: Opened,
    coding: Option<Coding>,
    on_the_fly: Option<Place>,
}

impl Site {
    /// Answers a GET or HEAD with `file`, as the request wants it.
    pub(crate) fn file(&self, environ: &Environ, file: Named<'_>, look: &Look) -> Result<Answer> {
        let Named { name, opened } = file;
        let media = Media::of(&name);
        let negotiates = self.precompressed || self.compression;
        let chosen = match self.choose(environ, &name, &media, opened, look) {
            Ok(chosen) => chosen,
            Err(status) => return Ok(Answer::text(status).vary("accept-encoding")),
        };
        let validators = Validators::of(&chosen.opened.facts, SystemTime::now());
        let mut validators = validators.with_shared_date(negotiates);
        if let (Some(coding), Some(_)) = (chosen.coding, &chosen.on_the_fly) {
            validators = validators.encoded(coding.name());
        }
        let answer = match evaluate(environ, &validators) {
            Verdict::Failed => return Ok(Answer::text(StatusCode::PRECONDITION_FAILED)),
            Verdict::NotModified => Answer::empty(StatusCode::NOT_MODIFIED),
            Verdict::Proceed => {
                let content_type = self.content_type(&media)?;
                let answer = self.content(environ, &validators, chosen, content_type)?;
                if !answer.status.is_success() {
                    return Ok(answer);
                }
                answer.with_some(LAST_MODIFIED, validators.last_modified())
            }
        };
        let answer = answer
            .with_some(ETAG, validators.etag())
            .with_some(CACHE_CONTROL, self.cache_control_of(&name));
        Ok(if negotiates { answer.vary("accept-encoding") } else { answer })
    }

    /// Negotiates the coding; the status of the answer where nothing that can be had is acceptable.
    fn choose(
        &self,
        environ: &Environ,
        name: &[u8],
        media: &Media,
        opened: Opened,
        look: &Look,
    ) -> Result<Representation, StatusCode> {
        let plain = |opened| Ok(Representation { opened, coding: None, on_the_fly: None });
        if !(self.precompressed || self.compression) {
            return plain(opened);
        }
        let accepted = AcceptEncoding::of(environ);
        let wanted = accepted.wanted(&CODINGS);
        let identity = accepted.takes_identity();
        if self.precompressed {
            for &coding in &wanted {
                if let Some(opened) = self.sibling(name, &opened, coding, look) {
                    let coding = Some(coding);
                    return Ok(Representation { opened, coding, on_the_fly: None });
                }
            }
        }
        let mut refusal = StatusCode::NOT_ACCEPTABLE;
        if let Some(coding) = self.on_the_fly(environ, &wanted, identity, media, &opened) {
            if let on_the_fly @ Some(_) = self.encoders.place() {
                return Ok(Representation { opened, coding: Some(coding), on_the_fly });
            }
            refusal = StatusCode::SERVICE_UNAVAILABLE;
        }
        if identity { plain(opened) } else { Err(refusal) }
    }

    fn sibling(
        &self,
        name: &[u8],
        original: &Opened,
        coding: Coding,
        look: &Look,
    ) -> Option<Opened> {
        let name = [name, coding.suffix().as_bytes()].concat();
        let Ok(Found::File(opened)) = self.root.find(&name, look) else { return None };
        let is_current = opened.facts.modified.seconds >= original.facts.modified.seconds;
        is_current.then_some(opened)
    }

    fn on_the_fly(
        &self,
        environ: &Environ,
        wanted: &[Coding],
        identity: bool,
        media: &Media,
        opened: &Opened,
    ) -> Option<Coding> {
        if !self.compression || opened.facts.len > TOO_LONG_TO_COMPRESS {
            return None;
        }
        let is_worth_it = media.is_compressible() && opened.facts.len >= WORTH_COMPRESSING;
        let is_range = values(environ, "range").next().is_some();
        if identity && (is_range || !is_worth_it) {
            return None;
        }
        wanted.iter().copied().find(|&coding| compress::can(coding))
    }

    fn content(
        &self,
        environ: &Environ,
        validators: &Validators,
        chosen: Representation,
        content_type: HeaderValue,
    ) -> Result<Answer> {
        let Representation { opened, coding, on_the_fly } = chosen;
        let coding_field = coding.map(|coding| HeaderValue::from_static(coding.name()));
        let answer = Answer::empty(StatusCode::OK)
            .with(CONTENT_TYPE, content_type)
            .with_some(CONTENT_ENCODING, coding_field);
        if let (Some(coding), Some(place)) = (coding, on_the_fly) {
            return Ok(match compress::body(opened, coding, place) {
                Some(body) => answer.with_body(body),
                None => Answer::text(StatusCode::NOT_ACCEPTABLE),
            });
        }
        let len = opened.facts.len;
        if self.max_ranges == 0 {
            return Ok(answer.with_body(opened.part(0..len)));
        }
        let answer = answer.with(ACCEPT_RANGES, BYTES);
        match self.wanted(environ, validators, len) {
            Wanted::Whole => Ok(answer.with_body(opened.part(0..len))),
            // The field would speak of the parts together with what stands between them.
            Wanted::Parts(parts) if parts.len() > 1 && coding.is_some() => {
                Ok(answer.with_body(opened.part(0..len)))
            }
            Wanted::Unsatisfiable => {
                let range = HeaderValue::from_str(&format!("bytes */{len}"))?;
                Ok(Answer::text(StatusCode::RANGE_NOT_SATISFIABLE).with(CONTENT_RANGE, range))
            }
            Wanted::Parts(parts) => partial(answer, opened, parts),
        }
    }

    /// RFC 9110 §14.2: `Range` means something with GET only.
    fn wanted(&self, environ: &Environ, validators: &Validators, len: u64) -> Wanted {
        match single(environ, "range") {
            Some(field) if *environ.method() == Method::GET && range_holds(environ, validators) => {
                wanted(field, len, self.max_ranges)
            }
            _ => Wanted::Whole,
        }
    }
}

fn partial(answer: Answer, opened: Opened, mut parts: Vec<Span>) -> Result<Answer> {
    let len = opened.facts.len;
    let answer = Answer { status: StatusCode::PARTIAL_CONTENT, ..answer };
    if parts.len() == 1 {
        let span = parts.remove(0);
        let range = format!("bytes {}-{}/{len}", span.start, span.end - 1);
        let answer = answer.with(CONTENT_RANGE, HeaderValue::from_str(&range)?);
        return Ok(answer.with_body(opened.part(span)));
    }
    let boundary = boundary();
    let content_type = answer.field(&CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let body = Multipart::new(opened, parts, content_type.unwrap_or_default(), &boundary);
    let multipart = format!("multipart/byteranges; boundary={boundary}");
    Ok(answer
        .replacing(CONTENT_TYPE, HeaderValue::from_str(&multipart)?)
        .with(CONTENT_LENGTH, HeaderValue::from(body.len()))
        .with_body(Body::iter(body)))
}
