//! A chat room over WebSockets, and its page: whoever joins sees what everybody says.

use std::time::Duration;

use futures_timer::Delay;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{
    Application, BoxError, Environ, Error, IntoApplication, Response, StartResponse,
};
use gateway_ws::{Close, CloseCode, Message, Text, WebSocket};
use serde_json::json;
use tokio::sync::broadcast::{Sender, channel};

/// How often members are pinged, and how long they have to answer.
const PING: Duration = Duration::from_secs(30);

/// Serves the page at `/` and the room at `/room`.
pub fn app() -> impl Application {
    // A member that is slower by more misses some.
    let room = channel(256).0;
    (move |environ, start_response| answer(environ, start_response, room.clone()))
        .into_application()
}

async fn answer(
    environ: Environ,
    start_response: StartResponse,
    room: Sender<Text>,
) -> Result<Response, Error> {
    let page = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    match environ.raw_path_info() {
        "/" => Ok(start_response.start(StatusCode::OK, page).with_body(include_str!("chat.html"))),
        "/room" => gateway_ws::accept(&environ)?
            .max_message(4096)
            .on_upgrade(start_response, |socket| join(socket, room)),
        _ => Ok(start_response.start(StatusCode::NOT_FOUND, ()).with_body("try /\n")),
    }
}

/// The first message is a name.
async fn join(mut socket: WebSocket, room: Sender<Text>) -> Result<(), BoxError> {
    let Some(Message::Text(name)) = socket.receive().await? else {
        return Ok(socket.close(Close::new(CloseCode::POLICY, "say your name first")).await?);
    };
    let say = |what: &str, text: &str| {
        // It fails if nobody listens.
        let _ = room.send(json!({"who": &*name, what: text}).to_string().into());
    };
    let mut heard = room.subscribe();
    let mut ping = Delay::new(PING);
    say("event", "joined");
    let outcome = async {
        loop {
            tokio::select! {
                said = socket.receive() => match said? {
                    Some(message) => say("text", message.as_text().unwrap_or("(bytes)")),
                    None => return Ok(()),
                },
                // It is no text if this member was too slow and has missed some.
                text = heard.recv() => if let Ok(text) = text { socket.send(text).await? },
                // Nobody else notices that a member has gone without a word.
                () = &mut ping => {
                    if socket.awaits_pong() {
                        return Ok(());
                    }
                    socket.ping().await?;
                    ping.reset(PING);
                }
            }
        }
    };
    let outcome = outcome.await;
    say("event", "left");
    outcome
}
