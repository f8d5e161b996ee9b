//! The server's side of `graphql-transport-ws` as a state machine: text in, what to do out. It does no input or output.
//!
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Longest id of an operation, in bytes: it is kept as long as the operation runs.
const MAX_ID_BYTES: usize = 1024;
/// Longest reason of a close frame, in bytes.
const MAX_REASON_BYTES: usize = 123;

/// Why the socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code.
    pub code: u16,
    /// At most 123 bytes.
    pub reason: String,
}

impl Close {
    /// A close frame; a reason that is too long is cut.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        while reason.len() > MAX_REASON_BYTES {
            reason.pop();
        }
        Self { code, reason }
    }

    /// A message that is none of the protocol.
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(4400, reason)
    }

    /// A token that does not count, or not any more.
    pub fn forbidden() -> Self {
        Self::new(4403, "Forbidden")
    }
}

/// What a message asks for.
#[derive(Debug)]
pub enum Action<'a> {
    /// Check who this is by the payload, then [`Protocol::acknowledge`] or close.
    Initialise(Option<&'a RawValue>),
    /// Send this.
    Reply(String),
    /// Run an operation under this id.
    Start(String, &'a RawValue),
    /// Tell the client that it runs too many operations; this one was not started.
    TooMany(String),
    /// Stop the operation of this id.
    Stop(String),
    /// Nothing.
    Ignore,
    /// End the connection.
    Close(Close),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Initialising,
    Ready,
}

/// What has been agreed with one client.
#[derive(Debug)]
pub struct Protocol {
    state: State,
    active: HashSet<String>,
    max_operations: usize,
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// A message to the client.
#[derive(Serialize)]
pub struct Outgoing<'a> {
    /// `connection_ack`, `next`, `error`, `complete`, `ping` or `pong`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// What belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
}

impl Outgoing<'_> {
    /// The text of the message.
    pub fn text(&self) -> String {
        // Text and raw JSON always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Protocol {
    /// A connection that was just opened.
    pub fn new(max_operations: usize) -> Self {
        Self {
            state: State::Open,
            active: HashSet::new(),
            max_operations,
        }
    }

    /// Whether `connection_init` has been accepted.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// The client may start operations from now on; the message that says so.
    pub fn acknowledge(&mut self) -> String {
        self.state = State::Ready;
        let message = Outgoing {
            kind: "connection_ack",
            id: None,
            payload: None,
        };
        message.text()
    }

    /// An operation has ended; false when the client had stopped it already.
    pub fn finish(&mut self, id: &str) -> bool {
        self.active.remove(id)
    }

    /// Takes a message of the client.
    pub fn receive<'a>(&mut self, text: &'a str) -> Action<'a> {
        if !text.trim_ascii_start().starts_with('{') {
            return Action::Close(Close::bad_request("Invalid message: not an object"));
        }
        let Ok(Incoming { kind, id, payload }) = serde_json::from_str(text) else {
            return Action::Close(Close::bad_request("Invalid message"));
        };
        let id = id.filter(|id| !id.is_empty()).map(Cow::into_owned);
        if id.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES) {
            return Action::Close(Close::bad_request("Invalid message: the id is too long"));
        }
        let payload = payload.filter(|payload| payload.get() != "null");
        let is_object = payload.is_none_or(|payload| payload.get().starts_with('{'));
        match (&*kind, id) {
            ("connection_init" | "ping" | "pong", _) if !is_object => {
                Action::Close(Close::bad_request("Invalid payload: not an object"))
            }
            ("connection_init", _) if self.state != State::Open => {
                Action::Close(Close::new(4429, "Too many initialisation requests"))
            }
            ("connection_init", _) => {
                self.state = State::Initialising;
                Action::Initialise(payload)
            }
            ("ping", _) => {
                let pong = Outgoing {
                    kind: "pong",
                    id: None,
                    payload,
                };
                Action::Reply(pong.text())
            }
            ("pong", _) => Action::Ignore,
            ("subscribe", Some(id)) => match payload.filter(|_| is_object) {
                Some(payload) => self.subscribe(id, payload),
                None => Action::Close(Close::bad_request("Invalid payload: not an object")),
            },
            ("complete", Some(id)) => match self.active.remove(&id) {
                true => Action::Stop(id),
                // It may have ended while the message was on its way.
                false => Action::Ignore,
            },
            ("subscribe" | "complete", None) => {
                Action::Close(Close::bad_request("Invalid message: no id"))
            }
            _ => Action::Close(Close::bad_request("Invalid message type")),
        }
    }

    fn subscribe<'a>(&mut self, id: String, payload: &'a RawValue) -> Action<'a> {
        if self.state != State::Ready {
            return Action::Close(Close::new(4401, "Unauthorized"));
        }
        if self.active.contains(&id) {
            let reason = format!("Subscriber for {id} already exists");
            return Action::Close(Close::new(4409, reason));
        }
        if self.active.len() >= self.max_operations {
            return Action::TooMany(id);
        }
        self.active.insert(id.clone());
        Action::Start(id, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(protocol: &mut Protocol, text: &str) -> Option<u16> {
        match protocol.receive(text) {
            Action::Close(close) => Some(close.code),
            _ => None,
        }
    }

    #[test]
    fn closes_on_what_is_none_of_the_protocol() {
        for text in [
            "",
            "nonsense",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start"}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
            r#"{"type":"ping","payload":[]}"#,
            r#"{"type":"subscribe","payload":{}}"#,
            r#"{"type":"subscribe","id":"","payload":{}}"#,
            r#"{"type":"subscribe","id":1,"payload":{}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":[]}"#,
            r#"{"type":"complete"}"#,
            r#"["connection_init"]"#,
        ] {
            assert_eq!(code(&mut Protocol::new(9), text), Some(4400), "{text}");
        }
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(1025));
        assert_eq!(code(&mut Protocol::new(9), &long), Some(4400));
    }

    #[test]
    fn keeps_the_order_of_the_protocol() {
        let subscribe = r#"{"type":"subscribe","id":"a","payload":{}}"#;
        let mut protocol = Protocol::new(1);
        assert_eq!(code(&mut Protocol::new(1), subscribe), Some(4401));
        assert!(matches!(
            protocol.receive(r#"{"type":"connection_init"}"#),
            Action::Initialise(None)
        ));
        let again = r#"{"type":"connection_init"}"#;
        protocol.acknowledge();
        assert!(matches!(protocol.receive(subscribe), Action::Start(..)));
        assert!(matches!(
            protocol.receive(r#"{"type":"subscribe","id":"b","payload":{}}"#),
            Action::TooMany(_)
        ));
        assert!(matches!(
            protocol.receive(r#"{"type":"complete","id":"b"}"#),
            Action::Ignore
        ));
        assert_eq!(code(&mut protocol, subscribe), Some(4409));
        assert!(protocol.finish("a"));
        assert!(!protocol.finish("a"));
        assert!(matches!(protocol.receive(subscribe), Action::Start(..)));
        assert_eq!(code(&mut protocol, again), Some(4429));
    }

    #[test]
    fn cuts_reasons_between_characters() {
        let close = Close::new(4409, "学".repeat(100));
        assert_eq!(close.reason.len(), 123);
        assert_eq!(Close::new(4400, "é".repeat(62)).reason.len(), 122);
    }
}
