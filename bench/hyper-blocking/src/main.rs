//! A hyper service whose every answer is made by `spawn_blocking`: `hyper-blocking PORT THREADS`.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, spawn_blocking};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (arguments.next(), arguments.next()) else {
        return Err("usage: hyper-blocking PORT THREADS".into());
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.parse()?)
        .enable_io()
        .build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(address).await?;
        println!("Listening on http://{}", listener.local_addr()?);
        // On a worker, not on the thread that blocks here.
        tokio::spawn(accept(listener)).await?;
        Ok(())
    })
}

async fn accept(listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    }
}

async fn serve(stream: TcpStream) {
    // What fails here has failed for the peer, which counts it.
    let _ = stream.set_nodelay(true);
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, JoinError> {
    spawn_blocking(|| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, World!")));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    })
    .await
}
