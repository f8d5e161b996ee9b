//! GraphQL over WebSocket: the `graphql-transport-ws` protocol at `/graphql/ws`.
//!
//! The token comes in the payload of `connection_init` as `{"authorization": "Bearer …"}`, as browsers and
//! `wx.connectSocket` prefer, or in the header of the handshake; without one the socket is anonymous.
//!
//! One task talks to the client, and each operation has a task of its own, so that none holds a connection of the database
//! while the client is slow to read. An operation hands over one response and waits until it is sent: what a client does not
//! read fills the buffers of the network and no memory here, until its time is over and it is cut off.

mod frames;
mod handshake;
mod operation;
pub mod protocol;
pub mod sockets;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use async_graphql_axum::GraphQLProtocol;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::{HeaderValue, StatusCode, header, request::Parts};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, Sleep};
use tungstenite::{Message, protocol::CloseFrame};

use self::handshake::{Handshake, Intake, Socket};
use self::operation::{Event, Report, Reporter, watch};
pub use self::protocol::Protocol;
use self::protocol::{Action, Close, Outgoing};
use self::sockets::{Full, Place};
use crate::gateway::endpoint::Transport;
use crate::gateway::parameters::{Object, Parameters, scan};
use crate::gateway::refusal::malformed;
use crate::gateway::streams;
use crate::gateway::surrogates::lone_surrogate;
use crate::graphql::context::RequestContext;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::authorization::{NO_TOKEN_OF_OURS, authorization, unauthorized};
use crate::http::client_address::ClientAddress;
use crate::http::headers::{locale, text, wechat_app_id};
use crate::http::pending::Holder;
use crate::http::reply::{Refusal, is_request_error, to_json};
use crate::http::request_id::RequestId;
use crate::http::state::AppState;
use crate::identity::{Access, SessionWatch};
use crate::platform::id::new_id;
use crate::platform::locale::{Locale, Message as Words};

const PROTOCOL: &str = "graphql-transport-ws";
/// Where the library stops to take in a message, in times of the largest allowed: what lies between is closed with a reason.
const HARD_LIMIT: usize = 2;
/// When to try again with a subscription for which there is no place, in seconds.
const RETRY_SUBSCRIPTION: u64 = 10;
/// How long a client may take to answer a close frame.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// `GET /graphql/ws`
pub(crate) async fn upgrade(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    ClientAddress(address): ClientAddress,
    mut parts: Parts,
) -> Response {
    let refuse = |status: StatusCode, error: ApiError, parts: &Parts| {
        Refusal::new(status, error).into_response(&parts.headers, &request_id)
    };
    let handshake = match Handshake::of(&mut parts) {
        Ok(handshake) => handshake,
        Err(status) => {
            let error = malformed("此地址只接受 WebSocket", "this address is for WebSocket");
            let mut response = refuse(status, error, &parts);
            // A client of another version learns ours (RFC 6455, section 4.4).
            let version = HeaderValue::from_static("13");
            let headers = response.headers_mut();
            headers.insert(header::SEC_WEBSOCKET_VERSION, version);
            return response;
        }
    };
    if let Err(error) = state.endpoint.charge_refusal(address) {
        return refuse(StatusCode::TOO_MANY_REQUESTS, error, &parts);
    }
    let token = authorization(&parts.headers).map(str::to_owned);
    if let Err(error) = state.endpoint.authenticate(token.as_deref()).await {
        return unauthorized(error, &parts.headers, &request_id);
    }
    let place = match state.sockets.open(address) {
        Ok(place) => place,
        Err(full) => {
            let error = ApiError::new(ErrorCode::RateLimited).with_retry_after(Some(30));
            let status = match full {
                Full::Server => StatusCode::SERVICE_UNAVAILABLE,
                Full::Address => StatusCode::TOO_MANY_REQUESTS,
            };
            return refuse(status, error, &parts);
        }
    };
    let intake = Intake {
        max_bytes: state.config.websocket.max_message_bytes * HARD_LIMIT,
        timeout: state.config.websocket.message_timeout,
        arrivals: state.arrivals.clone(),
        address,
    };
    let offered = handshake.protocols();
    if !offered.iter().any(|name| name == PROTOCOL) {
        // A client hangs up in the handshake unless it is answered with a protocol that it offered,
        // and never sees the code.
        let response = handshake.response(offered.first().map(String::as_str));
        // A client of the older protocol is told what to do; anything else offers no GraphQL at all.
        let reason = match GraphQLProtocol::from_request_parts(&mut parts, &()).await {
            Ok(_) => "Subprotocol not acceptable: use graphql-transport-ws",
            Err(_) => "Subprotocol not acceptable",
        };
        tokio::spawn(async move {
            if let Some(mut socket) = handshake.open(intake).await {
                close(&mut socket, Close::new(4406, reason)).await;
            }
            drop(place);
        });
        return response;
    }
    let client = Client {
        locale: locale(&parts.headers),
        user_agent: text(&parts.headers, header::USER_AGENT),
        wechat_app_id: wechat_app_id(&parts.headers),
        address,
    };
    let response = handshake.response(Some(PROTOCOL));
    tokio::spawn(async move {
        let Some(socket) = handshake.open(intake).await else {
            return;
        };
        let mut session = Session::new(socket, state, client, token, place);
        let close_frame = session.run().await;
        session.tasks.abort_all();
        if let Some(frame) = close_frame {
            close(&mut session.socket, frame).await;
        }
    });
    response
}

/// Ends the conversation properly: our reason, then the client's answer.
async fn close(socket: &mut Socket, Close { code, reason }: Close) {
    let frame = CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    let farewell = async {
        socket.send(Message::Close(Some(frame))).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<_, tungstenite::Error>(())
    };
    // The client may be gone already.
    drop(tokio::time::timeout(CLOSE_TIME, farewell).await);
}

/// What the handshake said of the client.
struct Client {
    locale: Locale,
    user_agent: Option<String>,
    wechat_app_id: Option<String>,
    address: IpAddr,
}

/// An operation that has not ended.
struct Running {
    number: u64,
    id: String,
    is_subscription: bool,
    task: AbortHandle,
}

/// One socket.
struct Session {
    socket: Socket,
    state: AppState,
    client: Client,
    token: Option<String>,
    protocol: Protocol,
    /// Operations that were started.
    count: u64,
    running: Vec<Running>,
    /// Aborted when the session is dropped.
    tasks: JoinSet<()>,
    events: mpsc::Receiver<Report>,
    sender: mpsc::Sender<Report>,
    /// Ends the wait for `connection_init`, then the life of the token.
    deadline: Option<Pin<Box<Sleep>>>,
    watch: Option<SessionWatch>,
    /// Whether the client has said anything since the last ping.
    is_alive: bool,
    place: Place,
}

impl Session {
    fn new(
        socket: Socket,
        state: AppState,
        client: Client,
        token: Option<String>,
        place: Place,
    ) -> Self {
        let config = &state.config.websocket;
        let (sender, events) = mpsc::channel(1);
        Self {
            protocol: Protocol::new(config.max_operations),
            deadline: Some(Box::pin(tokio::time::sleep(config.init_timeout))),
            socket,
            state,
            client,
            token,
            count: 0,
            running: Vec::new(),
            tasks: JoinSet::new(),
            events,
            sender,
            watch: None,
            is_alive: true,
            place,
        }
    }

    /// Serves until the conversation is over; how to end it, if the client is still there.
    async fn run(&mut self) -> Option<Close> {
        let interval = self.state.config.websocket.ping_interval;
        let mut ping = tokio::time::interval_at(Instant::now() + interval, interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.receive(message).await,
                    Some(Err(error)) => return failure(error),
                    None => return None,
                },
                Some(message) = self.events.recv() => self.answer(message).await,
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => Ok(()),
                () = passed(&mut self.deadline) => Err(Some(match self.protocol.is_ready() {
                    true => Close::forbidden(),
                    false => Close::new(4408, "Connection initialisation timeout"),
                })),
                () = ended(&mut self.watch) => self.finish(Close::forbidden()).await,
                () = self.place.stopped() => self.finish(Close::new(1001, "Going away")).await,
                _ = ping.tick() => self.ping().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// The server stops, or the session has ended, perhaps by an operation of this very socket: queries and mutations under way
    /// are answered, subscriptions end.
    async fn finish(&mut self, close: Close) -> Result<(), Option<Close>> {
        self.running.retain(|operation| {
            if operation.is_subscription {
                operation.task.abort();
            }
            !operation.is_subscription
        });
        // Each has its deadline.
        while !self.running.is_empty() {
            match self.events.recv().await {
                Some(message) => self.answer(message).await?,
                None => break,
            }
        }
        Err(Some(close))
    }

    async fn receive(&mut self, message: Message) -> Result<(), Option<Close>> {
        self.is_alive = true;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return Err(Some(Close::bad_request("Invalid message: not text")));
            }
            // The library answers pings and close frames.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                return Ok(());
            }
        };
        if text.len() > self.state.config.websocket.max_message_bytes {
            return Err(Some(Close::new(1009, "Message too big")));
        }
        match self.protocol.receive(&text) {
            Action::Ignore => Ok(()),
            Action::Close(close) => Err(Some(close)),
            Action::Reply(text) => self.send(text).await,
            Action::Initialise(payload) => self.initialise(payload).await,
            Action::Start(id, payload) => self.start(id, payload).await,
            Action::TooMany(id) => {
                let words = Words::new(
                    "同一连接上的操作过多",
                    "Too many operations run on this socket",
                );
                let error = ApiError::new(ErrorCode::RateLimited)
                    .with_retry_after(Some(1))
                    .with_message(words);
                self.refuse(&id, error).await
            }
            Action::Stop(id) => {
                self.running.retain(|operation| {
                    if operation.id == id {
                        operation.task.abort();
                    }
                    operation.id != id
                });
                Ok(())
            }
        }
    }

    async fn initialise(&mut self, payload: Option<&RawValue>) -> Result<(), Option<Close>> {
        if let Some(payload) = payload {
            let bad = || Some(Close::bad_request("Invalid payload"));
            scan(payload.get().as_bytes(), &self.state.config.graphql.limits).map_err(|_| bad())?;
            let payload: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(payload.get()).map_err(|_| bad())?;
            let token = payload
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
                .map(|(_, value)| value)
                .filter(|value| !value.is_null());
            if let Some(token) = token {
                let token = token.as_str().unwrap_or(NO_TOKEN_OF_OURS).trim();
                self.token = Some(token.to_owned()).filter(|token| !token.is_empty());
            }
        }
        self.deadline = None;
        let Some(access) = self.authenticate().await? else {
            return self.acknowledge().await;
        };
        if !self.place.sign_in(access.viewer.user_id) {
            return Err(Some(Close::new(4429, "Too many sockets of this user")));
        }
        self.watch = Some(self.state.identity.watch_session(&access.viewer));
        // It may have ended between the check and the watch.
        self.authenticate().await?;
        let life = self.state.identity.until(access.expires_at);
        self.deadline = Some(Box::pin(tokio::time::sleep(life)));
        self.acknowledge().await
    }

    async fn acknowledge(&mut self) -> Result<(), Option<Close>> {
        let text = self.protocol.acknowledge();
        self.send(text).await
    }

    /// Who is calling now.
    async fn authenticate(&mut self) -> Result<Option<Access>, Option<Close>> {
        let access = self
            .state
            .endpoint
            .authenticate(self.token.as_deref())
            .await;
        access.map_err(|error| {
            Some(match error.code() {
                ErrorCode::InternalServerError | ErrorCode::RequestTimeout => {
                    Close::new(1013, "Try again later")
                }
                _ => Close::forbidden(),
            })
        })
    }

    async fn start(&mut self, id: String, payload: &RawValue) -> Result<(), Option<Close>> {
        let bad = || Some(Close::bad_request("Invalid payload of subscribe"));
        if let Err(error) = scan(payload.get().as_bytes(), &self.state.config.graphql.limits) {
            self.protocol.finish(&id);
            return self.refuse(&id, error).await;
        }
        let Object(parameters): Object<Parameters> = match serde_json::from_str(payload.get()) {
            Ok(parameters) => parameters,
            Err(_) => match lone_surrogate(payload.get().as_bytes()) {
                Some(error) => {
                    self.protocol.finish(&id);
                    return self.refuse(&id, error).await;
                }
                None => return Err(bad()),
            },
        };
        if parameters.is_empty() && parameters.query.is_none() {
            return Err(bad());
        }
        let access = self.authenticate().await?;
        let context = RequestContext {
            viewer: access.map(|access| access.viewer),
            locale: self.client.locale,
            request_id: new_id().to_string().into(),
            user_agent: self.client.user_agent.clone(),
            client_address: self.client.address,
            wechat_app_id: self.client.wechat_app_id.clone(),
            // It names one request, and a socket carries many.
            idempotency_key: None,
        };
        if parameters.is_empty() {
            self.protocol.finish(&id);
            let missing = malformed("缺少 query 参数", "the parameter query is missing");
            return self.refuse(&id, missing).await;
        }
        let endpoint = self.state.endpoint.clone();
        let mut allowance = endpoint.allowance(Transport::WebSocket);
        let prepared = match endpoint.prepare(parameters, &context, &mut allowance) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.protocol.finish(&id);
                return self.refuse(&id, error).await;
            }
        };
        self.count += 1;
        let number = self.count;
        let is_subscription = prepared.is_subscription();
        let reporter = Reporter {
            number,
            sender: self.sender.clone(),
            pending: self.state.pending.clone(),
            holder: Holder {
                caller: context.caller(),
                is_query: prepared.is_query() || is_subscription,
            },
            locale: self.client.locale,
        };
        let task = match is_subscription {
            true => {
                let counted = self.place.subscribe();
                let counted = counted.ok_or_else(|| streams::too_many(RETRY_SUBSCRIPTION));
                let opened = counted.and_then(|counted| {
                    let events = endpoint.subscribe(prepared, context)?;
                    Ok(watch(events, reporter, counted))
                });
                match opened {
                    Ok(watch) => self.tasks.spawn(watch),
                    Err(error) => {
                        self.protocol.finish(&id);
                        return self.refuse(&id, error).await;
                    }
                }
            }
            false => self.tasks.spawn(async move {
                let (response, rest) = endpoint.execute(prepared, context).await;
                let is_refused = is_request_error(&response);
                let event = streams::Event::new(response);
                if is_refused {
                    reporter.report_done(Event::Error(event), rest).await;
                } else if reporter.report_done(Event::Next(event), rest).await {
                    reporter.report(Event::Complete).await;
                }
            }),
        };
        self.running.push(Running {
            number,
            id,
            is_subscription,
            task,
        });
        Ok(())
    }

    async fn answer(&mut self, report: Report) -> Result<(), Option<Close>> {
        let place = self
            .running
            .iter()
            .position(|operation| operation.number == report.number);
        let Some(place) = place else {
            // The client has stopped it meanwhile.
            return Ok(());
        };
        let errors;
        let (kind, payload) = match &report.event {
            Event::Next(event) => ("next", event.json(to_json)),
            Event::Error(event) => {
                errors = serde_json::value::to_raw_value(&event.response.errors).ok();
                ("error", errors.as_deref())
            }
            Event::Complete => ("complete", None),
        };
        let text = Outgoing {
            kind,
            id: Some(&self.running[place].id),
            payload,
        }
        .text();
        if kind != "next" {
            let ended = self.running.swap_remove(place);
            self.protocol.finish(&ended.id);
        }
        self.send(text).await
    }

    /// Answers an operation that is not started.
    async fn refuse(&mut self, id: &str, error: ApiError) -> Result<(), Option<Close>> {
        let response = error.into_response(self.client.locale, &new_id().to_string());
        let payload = serde_json::value::to_raw_value(&response.errors).ok();
        let message = Outgoing {
            kind: "error",
            id: Some(id),
            payload: payload.as_deref(),
        };
        self.send(message.text()).await
    }

    /// Asks whether the client is still there, and looks whether its token still counts: other instances may have ended the
    /// session.
    async fn ping(&mut self) -> Result<(), Option<Close>> {
        if !std::mem::take(&mut self.is_alive) {
            return Err(None);
        }
        if self.protocol.is_ready() && self.token.is_some() {
            self.authenticate().await?;
        }
        self.transmit(Message::Ping(Default::default())).await
    }

    async fn send(&mut self, text: String) -> Result<(), Option<Close>> {
        self.transmit(Message::Text(text.into())).await
    }

    /// Sends and waits until the network has taken it. There is nobody to tell when that fails.
    async fn transmit(&mut self, message: Message) -> Result<(), Option<Close>> {
        let timeout = self.state.config.http.write_timeout;
        match tokio::time::timeout(timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(None),
        }
    }
}

/// Why no message could be read, as a close frame.
fn failure(error: tungstenite::Error) -> Option<Close> {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    match error {
        Error::Capacity(_) => Some(Close::new(1009, "Message too big")),
        Error::Utf8(_) => Some(Close::new(1007, "Invalid UTF-8")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(Close::new(1002, "Protocol error")),
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => {
            Some(Close::new(1008, "Message timeout"))
        }
        Error::Io(error) if error.kind() == ErrorKind::OutOfMemory => {
            Some(Close::new(1013, "Try again later"))
        }
        _ => None,
    }
}

async fn passed(deadline: &mut Option<Pin<Box<Sleep>>>) {
    match deadline {
        Some(deadline) => deadline.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn ended(watch: &mut Option<SessionWatch>) {
    match watch {
        Some(watch) => watch.ended().await,
        None => std::future::pending().await,
    }
}
