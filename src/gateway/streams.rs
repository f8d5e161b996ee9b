//! The streams of subscriptions. The same document with the same variables, when it answers several
//! callers alike, is executed once for each event, whoever listens.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_graphql::Response;
use async_graphql::futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use serde_json::value::RawValue;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::graphql::error::{ApiError, ErrorCode};
use crate::platform::locale::{Locale, Message};
use crate::platform::request::Caller;
use crate::platform::shares::{Claim, Share, Shares};
use crate::platform::viewer::Role;

/// Events that wait for a listener who is slow: the newest holds all that the missed ones did.
const BACKLOG: usize = 1;
/// Memory for the documents of all streams, and of those that one caller opened, in bytes.
const BYTES: u64 = 64 << 20;
const BYTES_PER_CALLER: u64 = 4 << 20;

/// A response that may go to many, with its JSON once it was needed.
#[derive(Debug)]
pub struct Event {
    /// What is said.
    pub response: Response,
    json: OnceLock<Option<Box<RawValue>>>,
}

impl Event {
    /// An event that says `response`.
    pub fn new(response: Response) -> Arc<Self> {
        Arc::new(Self {
            response,
            json: OnceLock::new(),
        })
    }

    /// Its JSON, which `write` makes for the first who asks.
    pub fn json(
        &self,
        write: impl FnOnce(&Response) -> Option<Box<RawValue>>,
    ) -> Option<&RawValue> {
        self.json.get_or_init(|| write(&self.response)).as_deref()
    }
}

/// What listeners to one stream have in common.
#[derive(Debug, Clone)]
pub struct Audience {
    /// The document, by what it is and not by what it says: it is the same one for as long as it is
    /// known.
    pub document: Arc<dyn Any + Send + Sync>,
    /// The name of the operation.
    pub operation: String,
    /// Its variables, as JSON.
    pub variables: String,
    /// The language of messages.
    pub locale: Locale,
    /// What the callers may do; `None` without sign-in.
    pub role: Option<Role>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    document: usize,
    operation: String,
    variables: String,
    locale: Locale,
    role: Option<Role>,
}

impl Audience {
    fn key(&self) -> Key {
        Key {
            // It is held for as long as the key stands anywhere.
            document: Arc::as_ptr(&self.document).cast::<()>().addr(),
            operation: self.operation.clone(),
            variables: self.variables.clone(),
            locale: self.locale,
            role: self.role,
        }
    }
}

/// The streams of this instance. A clone has the same.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    documents: Shares<1>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    shared: HashMap<Key, (u64, broadcast::Sender<Arc<Event>>)>,
}

impl Streams {
    /// None yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            documents: Shares::new([BYTES], [0], 0),
            state: Mutex::default(),
        }))
    }

    /// What `open` streams, for one caller alone; its document takes `bytes`.
    ///
    /// # Errors
    /// RATE_LIMITED when the documents of the caller take too much.
    pub fn open(
        &self,
        caller: Caller,
        bytes: u64,
        open: impl FnOnce() -> BoxStream<'static, Response>,
    ) -> Result<BoxStream<'static, Arc<Event>>, ApiError> {
        let share = self.reserve(caller, bytes)?;
        let events = open().map(move |response| {
            let _held = &share;
            Event::new(response)
        });
        Ok(events.boxed())
    }

    /// The stream of this audience, which `open` begins when there is none.
    ///
    /// # Errors
    /// As [`Streams::open`].
    pub fn join(
        &self,
        caller: Caller,
        bytes: u64,
        audience: Audience,
        open: impl FnOnce() -> BoxStream<'static, Response>,
    ) -> Result<BoxStream<'static, Arc<Event>>, ApiError> {
        let key = audience.key();
        let mut state = self.lock();
        if let Some((_, events)) = state.shared.get(&key) {
            return Ok(listen(events.subscribe()));
        }
        let share = self.reserve(caller, bytes)?;
        let events = open();
        let (sender, receiver) = broadcast::channel(BACKLOG);
        state.next += 1;
        let number = state.next;
        state.shared.insert(key.clone(), (number, sender.clone()));
        drop(state);
        let this = self.clone();
        tokio::spawn(async move {
            let _held = (share, audience);
            this.drive(key, number, &sender, events).await;
        });
        Ok(listen(receiver))
    }

    fn reserve(&self, caller: Caller, bytes: u64) -> Result<Share<1>, ApiError> {
        let claim = Claim {
            need: [bytes.min(BYTES_PER_CALLER)],
            share: [BYTES_PER_CALLER],
        };
        let share = self.0.documents.try_take(caller, claim);
        share.ok_or_else(|| too_many(10))
    }

    /// Passes events on until the stream ends, or no listener is left.
    async fn drive(
        &self,
        key: Key,
        number: u64,
        sender: &broadcast::Sender<Arc<Event>>,
        mut events: BoxStream<'static, Response>,
    ) {
        loop {
            let response = tokio::select! {
                next = events.next() => next,
                () = sender.closed() => {
                    let mut state = self.lock();
                    if sender.receiver_count() > 0 {
                        // A listener came meanwhile.
                        continue;
                    }
                    state.forget(&key, number);
                    return;
                }
            };
            // A stream that has failed, or is over, takes no new listener: it would not hear why.
            if response
                .as_ref()
                .is_none_or(|response| !response.errors.is_empty())
            {
                self.lock().forget(&key, number);
            }
            match response {
                // An error says that no listener is left; that is seen above.
                Some(response) => drop(sender.send(Event::new(response))),
                None => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn forget(&mut self, key: &Key, number: u64) {
        // Another one may stand in its place by now.
        if self
            .shared
            .get(key)
            .is_some_and(|(found, _)| *found == number)
        {
            self.shared.remove(key);
        }
    }
}

/// Why there is no further subscription.
pub fn too_many(retry_after: u64) -> ApiError {
    ApiError::new(ErrorCode::RateLimited)
        .with_retry_after(Some(retry_after))
        .with_message(Message::new(
            "订阅过多，或其查询过大",
            "Too many subscriptions, or their queries are too large",
        ))
}

fn listen(receiver: broadcast::Receiver<Arc<Event>>) -> BoxStream<'static, Arc<Event>> {
    let events = stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(event) => return Some((event, receiver)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    events.boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_graphql::Value;
    use tokio::sync::watch;

    use super::*;

    struct Source {
        events: watch::Sender<i32>,
        opened: AtomicU32,
    }

    impl Source {
        fn open(&self) -> BoxStream<'static, Response> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let events = stream::unfold(self.events.subscribe(), |mut events| async move {
                events.changed().await.ok()?;
                let number = *events.borrow_and_update();
                Some((Response::new(Value::from(number)), events))
            });
            events.boxed()
        }
    }

    #[tokio::test]
    async fn the_same_document_is_executed_once() {
        let streams = Streams::new();
        let source = Source {
            events: watch::Sender::new(0),
            opened: AtomicU32::new(0),
        };
        let document: Arc<dyn Any + Send + Sync> = Arc::new("a document");
        let join = |variables: &str| {
            let audience = Audience {
                document: Arc::clone(&document),
                operation: String::new(),
                variables: variables.to_owned(),
                locale: Locale::En,
                role: None,
            };
            let caller = Caller::Server;
            streams.join(caller, 1000, audience, || source.open())
        };
        let mut first = join("{}").expect("room");
        let mut second = join("{}").expect("room");
        let other = join("{\"a\":1}").expect("room");
        assert_eq!(source.opened.load(Ordering::Relaxed), 2);
        source.events.send_replace(7);
        for listener in [&mut first, &mut second] {
            let event = listener.next().await.expect("an event");
            assert_eq!(event.response.data, Value::from(7));
        }
        // Whoever has gone leaves nothing behind.
        drop((first, second, other));
        for _ in 0..1000 {
            if streams.lock().shared.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(streams.lock().shared.is_empty());
        drop(join("{}").expect("room"));
        assert_eq!(source.opened.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn documents_of_one_caller_take_only_so_much() {
        let streams = Streams::new();
        let open = || {
            streams.open(Caller::Server, BYTES_PER_CALLER / 2, || {
                stream::empty().boxed()
            })
        };
        let held = [open().expect("room"), open().expect("room")];
        let error = open().err().expect("no room");
        assert_eq!(error.code(), ErrorCode::RateLimited);
        drop(held);
        drop(open().expect("room again"));
    }
}
