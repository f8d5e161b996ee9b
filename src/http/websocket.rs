//! GraphQL over WebSocket: the `graphql-transport-ws` protocol at `/graphql/ws`.
//!
//! The token comes in the header of the handshake or, as browsers and `wx.connectSocket` prefer, in the payload of
//! `connection_init` as `{"Authorization": "Bearer …"}`. It is checked again for every operation.

use std::sync::Arc;

use async_graphql::futures_util::stream::{self, BoxStream};
use async_graphql::{Data, Executor, Request, Response as GraphqlResponse};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{Extension, FromRequestParts, State, WebSocketUpgrade};
use axum::http::{HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;

use crate::graphql::context::RequestContext;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::endpoint::Endpoint;
use crate::http::graphql::{authorization, text, unauthorized};
use crate::http::reply::locale;
use crate::http::router::{AppState, RequestId};
use crate::platform::id::new_id;
use crate::platform::locale::{Locale, Message as Words};

const PROTOCOL: &str = "graphql-transport-ws";
/// Largest message of a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// What the library closes with when `connection_init` is refused; the protocol says 4403.
const REFUSED: &str = "Forbidden";

/// `GET /graphql/ws`
pub(crate) async fn upgrade(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    upgrade: WebSocketUpgrade,
    mut parts: Parts,
) -> Response {
    let token = authorization(&parts.headers).map(str::to_owned);
    if let Err(error) = state.endpoint.authenticate(token.as_deref()).await {
        return unauthorized(error, &parts.headers, &request_id);
    }
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    let offers_ours = parts
        .headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|name| name.trim() == PROTOCOL));
    if !offers_ours {
        return upgrade.on_upgrade(refuse_protocol);
    }
    // The library serves the first protocol it knows in the client's list, so it is shown only the one that we answer with.
    parts.headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(PROTOCOL),
    );
    let Ok(protocol) = GraphQLProtocol::from_request_parts(&mut parts, &()).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let executor = SocketExecutor {
        endpoint: state.endpoint,
        locale: locale(&parts.headers),
        user_agent: text(&parts.headers, header::USER_AGENT),
    };
    upgrade
        .protocols([PROTOCOL])
        .on_upgrade(move |socket| serve(socket, protocol, executor, token))
}

async fn refuse_protocol(mut socket: WebSocket) {
    let frame = CloseFrame {
        code: 4406,
        reason: "Subprotocol not acceptable".into(),
    };
    // The client may be gone already.
    drop(socket.send(Message::Close(Some(frame))).await);
}

async fn serve(
    socket: WebSocket,
    protocol: GraphQLProtocol,
    executor: SocketExecutor,
    token: Option<String>,
) {
    let (sink, stream) = socket.split();
    let sink = sink.with(async |message| Ok::<_, axum::Error>(with_protocol_code(message)));
    let endpoint = executor.endpoint.clone();
    GraphQLWebSocket::new_with_pair(Box::pin(sink), stream, executor, protocol)
        .on_connection_init(move |payload| async move {
            let token = token_of(&payload).or(token);
            match endpoint.authenticate(token.as_deref()).await {
                Ok(_) => {
                    let mut data = Data::default();
                    data.insert(Token(token));
                    Ok(data)
                }
                Err(_) => Err(async_graphql::Error::new(REFUSED)),
            }
        })
        .serve()
        .await;
}

/// The library closes with general WebSocket codes where the protocol has its own.
fn with_protocol_code(message: Message) -> Message {
    match message {
        Message::Close(Some(frame)) => {
            let (code, reason) = match (frame.code, frame.reason.as_str()) {
                (1002, REFUSED) => (4403, REFUSED),
                (1002, _) => (4400, "Bad request"),
                (1011, _) => (4401, "Unauthorized"),
                (3008, _) => (4408, "Connection initialisation timeout"),
                (code, _) => return Message::Close(Some(CloseFrame { code, ..frame })),
            };
            Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            }))
        }
        other => other,
    }
}

/// The token in the payload of `connection_init`, under the header's name in any case.
fn token_of(payload: &Value) -> Option<String> {
    payload
        .as_object()?
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        .map(|(_, value)| value.as_str().unwrap_or_default().to_owned())
}

/// What the socket signed in with.
struct Token(Option<String>);

#[derive(Clone)]
struct SocketExecutor {
    endpoint: Endpoint,
    locale: Locale,
    user_agent: Option<String>,
}

impl SocketExecutor {
    async fn run(&self, request: Request, token: Option<&str>) -> GraphqlResponse {
        let request_id = new_id().to_string();
        let viewer = match self.endpoint.authenticate(token).await {
            Ok(viewer) => viewer,
            Err(error) => return error.into_response(self.locale, &request_id),
        };
        if request.query.trim().is_empty() {
            let missing = ApiError::new(ErrorCode::BadUserInput).with_message(Words::new(
                "缺少 query 参数",
                "the parameter query is missing",
            ));
            return missing.into_response(self.locale, &request_id);
        }
        let context = RequestContext {
            viewer,
            locale: self.locale,
            request_id: request_id.clone(),
            user_agent: self.user_agent.clone(),
        };
        match self.endpoint.prepare(request) {
            Ok(prepared) => self.endpoint.execute(prepared, context).await,
            Err(error) => error.into_response(self.locale, &request_id),
        }
    }
}

impl Executor for SocketExecutor {
    async fn execute(&self, request: Request) -> GraphqlResponse {
        self.run(request, None).await
    }

    fn execute_stream(
        &self,
        request: Request,
        session_data: Option<Arc<Data>>,
    ) -> BoxStream<'static, GraphqlResponse> {
        let this = self.clone();
        Box::pin(stream::once(async move {
            let token = session_data
                .as_ref()
                .and_then(|data| data.get(&std::any::TypeId::of::<Token>()))
                .and_then(|token| token.downcast_ref::<Token>())
                .and_then(|token| token.0.as_deref());
            this.run(request, token).await
        }))
    }
}
