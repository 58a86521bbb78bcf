//! From a service's response to an application's.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use gateway_core::http::{self, StatusCode};
use gateway_core::http_body::{self, Frame, SizeHint};
use gateway_core::{Body, BoxError, Disconnected, Error, Reply, Result, StartResponse};

use super::upgrade::{Offer, say_reason};
use super::{into_bytes, poll_gone};

/// Begins the response, and looks what its body has at once: what is whole goes out whole, and a
/// body that has nothing yet does not hold the head back.
pub(super) fn respond<B>(
    served: http::Response<B>,
    start_response: StartResponse,
    bodiless: bool,
    gone: impl FnOnce() -> Option<Disconnected>,
    offer: Offer,
) -> Reply
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = served.into_parts();
    remove_hop_by_hop(&mut parts.headers, parts.status);
    let mut response = start_response.start(parts.status, parts.headers);
    if let Err(error) = say_reason(&mut response, &parts.extensions) {
        return error.into();
    }
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return offer.accept(response).into();
    }
    if body.is_end_stream() {
        return response.into();
    }
    let whole = body.size_hint().exact();
    let mut body = Box::pin(body);
    if bodiless || has_no_body(parts.status) {
        return response.with_body(Streamed::over(body, None, gone())).into();
    }
    // What waits is polled again, with the waker that counts.
    let mut now = Context::from_waker(Waker::noop());
    match body.as_mut().poll_frame(&mut now) {
        Poll::Ready(None) => response.into(),
        Poll::Ready(Some(Err(error))) => Error::application(error).into(),
        Poll::Ready(Some(Ok(frame))) => match frame.map_data(into_bytes).into_data() {
            Ok(data) if whole == Some(data.len() as u64) && body.is_end_stream() => {
                response.with_body(data).into()
            }
            Ok(data) => {
                response.with_body(Streamed::over(body, Some(Frame::data(data)), gone())).into()
            }
            Err(frame) => response.with_body(Streamed::over(body, Some(frame), gone())).into(),
        },
        Poll::Pending => {
            if let (Some(length), Ok(head)) = (whole, response.head_mut()) {
                head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
            }
            let stream = Streamed::over(body, None, gone());
            Reply::future(async move {
                response.send_head_async().await?;
                Ok(response.with_body(stream))
            })
        }
    }
}

/// A service's body, whose first frame may be there already.
struct Streamed<B> {
    body: Pin<Box<B>>,
    first: Option<Frame<Bytes>>,
    /// As long as it may end because of that.
    gone: Option<Disconnected>,
}

impl<B> Streamed<B>
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn over(body: Pin<Box<B>>, first: Option<Frame<Bytes>>, gone: Option<Disconnected>) -> Body {
        Body::Stream(Box::pin(Streamed { body, first, gone }))
    }
}

impl<B> http_body::Body for Streamed<B>
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) {
            let frame = frame.map(|frame| frame.map_err(Into::into));
            return Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(into_bytes))));
        }
        poll_gone(&mut self.gone, cx).map(|gone| Some(Err(gone.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint();
        let first = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        if first == 0 {
            return rest;
        }
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(first)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// The fields that the server sets. `Connection: close` stays: it is a wish that servers honour.
fn remove_hop_by_hop(headers: &mut HeaderMap, status: StatusCode) {
    let upgrades =
        status == StatusCode::SWITCHING_PROTOCOLS || status == StatusCode::UPGRADE_REQUIRED;
    let is_misplaced = |name: &HeaderName| {
        *name == CONNECTION
            || *name == TRANSFER_ENCODING
            || *name == TE
            || *name == "keep-alive"
            || *name == "proxy-connection"
            || (*name == UPGRADE && !upgrades)
    };
    if !headers.keys().any(is_misplaced) {
        return;
    }
    let closes = headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|&b| b == b',')
            .any(|o| o.trim_ascii().eq_ignore_ascii_case(b"close"))
    });
    let misplaced: Vec<HeaderName> =
        headers.keys().filter(|name| is_misplaced(name)).cloned().collect();
    for name in misplaced {
        headers.remove(name);
    }
    if closes {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fields_of_the_hop_are_removed() {
        let fields = [
            ("connection", "keep-alive, Close"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("content-type", "text/plain"),
        ];
        let map = || -> HeaderMap {
            let pair =
                |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
            fields.into_iter().map(pair).collect()
        };
        let mut headers = map();
        remove_hop_by_hop(&mut headers, StatusCode::OK);
        assert_eq!((headers.len(), &headers[CONNECTION]), (2, &HeaderValue::from_static("close")));
        let mut headers = map();
        remove_hop_by_hop(&mut headers, StatusCode::UPGRADE_REQUIRED);
        assert_eq!(headers[UPGRADE], "h2c");
    }
}
