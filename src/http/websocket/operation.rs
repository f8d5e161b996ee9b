//! What an operation on a socket has to say, and how it hands that over.

use async_graphql::Response as GraphqlResponse;
use async_graphql::futures_util::stream::BoxStream;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::gateway::endpoint::weight;
use crate::http::pending::Pending;
use crate::http::reply::is_request_error;
use crate::platform::id::new_id;
use crate::platform::locale::Locale;

/// What an operation has to say.
///
/// Boxed, because the channel keeps room for some dozens of them in every idle socket.
pub(super) enum Event {
    Next(Box<GraphqlResponse>),
    Error(Box<GraphqlResponse>),
    Complete,
}

/// An event of the operation that was started as the `number`th; its id may be another's by now.
pub(super) struct Report {
    pub(super) number: u64,
    pub(super) event: Event,
    /// For a large response, until it is sent.
    _room: Option<OwnedSemaphorePermit>,
}

/// Hands the events of one operation over.
pub(super) struct Reporter {
    pub(super) number: u64,
    pub(super) sender: mpsc::Sender<Report>,
    pub(super) pending: Pending,
    pub(super) locale: Locale,
}

impl Reporter {
    /// Waits until the event is taken; false when nobody waits for it any more.
    pub(super) async fn report(&self, event: Event) -> bool {
        let size = match &event {
            Event::Next(response) => weight(&response.data),
            _ => 0,
        };
        let (event, room) = match self.pending.reserve(size).await {
            Ok(room) => (event, room),
            Err(error) => {
                let response = error.into_response(self.locale, &new_id().to_string());
                (Event::Next(response.into()), None)
            }
        };
        let report = Report {
            number: self.number,
            event,
            _room: room,
        };
        self.sender.send(report).await.is_ok()
    }
}

/// Passes the events of a subscription on. What gives no stream at all is one `error`, the rest `next`s and a `complete`.
pub(super) async fn watch(mut events: BoxStream<'static, GraphqlResponse>, reporter: Reporter) {
    let mut is_first = true;
    while let Some(response) = events.next().await {
        if is_request_error(&response) || (is_first && is_refused(&response)) {
            reporter.report(Event::Error(response.into())).await;
            return;
        }
        is_first = false;
        if !reporter.report(Event::Next(response.into())).await {
            return;
        }
    }
    reporter.report(Event::Complete).await;
}

/// Whether the field of a subscription gave no stream at all.
fn is_refused(response: &GraphqlResponse) -> bool {
    response.data == async_graphql::Value::Null
        && matches!(response.errors.as_slice(), [error] if error.path.len() == 1)
}
