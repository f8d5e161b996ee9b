//! What an operation on a socket has to say, and how it hands that over.

use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::Response as GraphqlResponse;
use async_graphql::futures_util::stream::BoxStream;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::gateway::endpoint::weight;
use crate::gateway::streams;
use crate::gateway::turns::Rest;
use crate::http::pending::{Holder, Pending, Room};
use crate::http::reply::is_request_error;
use crate::platform::id::new_id;
use crate::platform::locale::Locale;
use crate::platform::tally::Counted;

/// What an operation has to say.
pub(super) enum Event {
    Next(Arc<streams::Event>),
    Error(Arc<streams::Event>),
    Complete,
}

/// An event of the operation that was started as the `number`th; its id may be another's by now.
pub(super) struct Report {
    pub(super) number: u64,
    pub(super) event: Event,
    /// For a response, until it is sent.
    _room: Option<Room>,
}

/// Hands the events of one operation over.
pub(super) struct Reporter {
    pub(super) number: u64,
    pub(super) sender: mpsc::Sender<Report>,
    pub(super) pending: Pending,
    pub(super) holder: Holder,
    pub(super) locale: Locale,
}

impl Reporter {
    /// Waits until the event is taken; false when nobody waits for it any more.
    pub(super) async fn report(&self, event: Event) -> bool {
        self.report_done(event, Rest::NONE).await
    }

    /// As [`Reporter::report`], of an operation that is done: its memory is given back once the
    /// reply has room of its own.
    pub(super) async fn report_done(&self, event: Event, rest: Rest) -> bool {
        let room = match &event {
            Event::Next(next) => {
                let size = weight(&next.response.data);
                self.pending.reserve(self.holder, size).await.map(Some)
            }
            _ => Ok(None),
        };
        let (event, room) = match room {
            Ok(room) => (event, room),
            Err(error) => {
                let response = error.into_response(self.locale, &new_id().to_string());
                (Event::Next(streams::Event::new(response)), None)
            }
        };
        drop(rest);
        let report = Report {
            number: self.number,
            event,
            _room: room,
        };
        self.sender.send(report).await.is_ok()
    }
}

/// Passes the events of a subscription on. What gives no stream at all is one `error`, the rest `next`s and a `complete`.
pub(super) async fn watch(
    mut events: BoxStream<'static, Arc<streams::Event>>,
    reporter: Reporter,
    _counted: Counted<IpAddr>,
) {
    let mut is_first = true;
    while let Some(event) = events.next().await {
        let response = &event.response;
        if is_request_error(response) || (is_first && is_refused(response)) {
            reporter.report(Event::Error(event)).await;
            return;
        }
        is_first = false;
        if !reporter.report(Event::Next(event)).await {
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
