//! What an application is given and what it gives back.

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, EndHook, Exchange, HeadHook};
use gateway_core::http::{HeaderMap, Method, StatusCode, Version};
use gateway_core::http_body::Frame;
use gateway_core::{
    Application, Environ, Head, IntoApplication, Reply, Result, ServerInfo, StartResponse,
};

pub fn run(request: &Bytes, count: u64) {
    let app: Box<dyn Application> = black_box(crate::app.boxed());
    let server = ServerInfo::new("layers", Some(80), "layers");
    let exchange: Arc<dyn Exchange> = Arc::new(Nobody(ConnectionInfo::new(Arc::new(server))));
    let text = std::str::from_utf8(request).expect("requests are ASCII");
    let (target, fields) = crate::request::positions(text);
    for _ in 0..count {
        let target = request.slice(target.clone());
        let environ = Environ::new(Arc::clone(&exchange), Method::GET, Version::HTTP_11, target)
            .with_fields(request.clone(), fields.iter().cloned());
        let start_response = StartResponse::new(Arc::clone(&exchange));
        match app.call(environ, start_response) {
            Reply::Ready(Ok(response)) => {
                let parts = response.into_parts();
                assert_eq!(parts.head.status, StatusCode::OK);
                drop(black_box(parts));
            }
            other => panic!("it is ready, not {other:?}"),
        }
    }
}

/// A server that nobody asks for anything.
struct Nobody(ConnectionInfo);

impl Exchange for Nobody {
    fn connection(&self) -> &ConnectionInfo {
        &self.0
    }

    fn may_block(&self) -> bool {
        true
    }

    fn on_head(&self, _: HeadHook) {}

    fn on_end(&self, _: EndHook) {}

    fn early_hints(&self, _: &HeaderMap) {}

    fn head_sent(&self) -> bool {
        false
    }

    fn write(&self, _: &mut Head, _: Bytes) -> Result<()> {
        Ok(())
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_input(&self, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        Poll::Ready(None)
    }

    fn poll_disconnected(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn is_disconnected(&self) -> bool {
        false
    }
}
