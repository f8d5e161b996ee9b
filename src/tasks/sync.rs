//! Catching up: what changed in a person's tasks since a device last looked.
//!
//! Every change of the tasks of one person has a number, in the order of commits (`task_streams`). A device passes the number it
//! has come to and gets what has a higher one: each task once, as it is now, and the tombstone of each that is gone. So a feed
//! read to its end makes its copy equal, however often a page was lost, read twice or overtaken by new changes.

use chrono::TimeDelta;
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entity::{task, task_tombstone};
use crate::graphql::pagination::{decode, encode};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::db::Database;
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;
use crate::platform::viewer::Viewer;
use crate::tasks::error::TaskError;
use crate::tasks::event::{ChangeKind, TaskEvent};
use crate::tasks::repository::{self, Shown};
use crate::tasks::service::TaskService;

/// How long a token is good.
const TOKEN_LIFE: TimeDelta = TimeDelta::days(30);
/// How long a tombstone stays: longer, because the clocks of instances differ.
const TOMBSTONE_LIFE: TimeDelta = TimeDelta::days(31);
/// How far ahead another instance's clock may be.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);
/// Tombstones of one transaction: writers wait no longer than that.
const BATCH: u64 = 500;

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SyncToken {
    #[serde(rename = "o")]
    owner: Uuid,
    /// The newest change when its copy was last complete; 0 when it never was.
    #[serde(rename = "s")]
    complete_seq: i64,
    /// When that was, or when it began, in milliseconds since 1970.
    #[serde(rename = "t")]
    complete_at: i64,
    /// How far it has come since then.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
}

/// The number of a change, and a task of it.
type Place = (i64, Uuid);

/// A part of what has changed.
#[derive(Debug)]
pub(crate) struct Feed {
    /// In the order of the changes; each task once.
    pub(crate) changes: Vec<TaskEvent>,
    /// Where the next feed goes on.
    pub(crate) token: String,
    /// Whether more has changed already.
    pub(crate) has_more: bool,
    /// Whether the feed begins anew, because nobody knows any more what is gone since the token.
    pub(crate) is_full_resync: bool,
}

impl TaskService {
    /// What has changed since `token`, at most `limit` tasks; everything without a token.
    ///
    /// # Errors
    /// `Invalid` for a token that is none.
    pub(crate) async fn feed(
        &self,
        viewer: &Viewer,
        token: Option<&str>,
        limit: u64,
        shown: Shown,
    ) -> Result<Feed, TaskError> {
        let (owner, now) = (viewer.user_id, self.clock.now());
        let token: Option<SyncToken> = match token {
            None => None,
            Some(text) => Some(decode(text).ok_or_else(|| {
                let mut faults = Faults::under(&[]);
                let expected =
                    Message::new("应为之前返回的 syncToken", "a syncToken of this query");
                faults.add(&["since"], Rule::Malformed { expected });
                faults
            })?),
        };
        // All of one moment: of what is committed later nothing may be told, and nothing be taken for told.
        let db = self.db.snapshot().await?;
        let newest = repository::newest_change(&*db, owner).await?;
        let position = token.filter(|token| token.is_good(owner, newest, now));
        let is_full_resync = token.is_some() && position.is_none();
        let position = position.unwrap_or(SyncToken {
            owner,
            complete_seq: 0,
            complete_at: now.millis(),
            place: None,
        });
        let after = position.place();
        let tasks = repository::list_changed(&*db, owner, after, newest, limit + 1, shown).await?;
        let tombstones = repository::list_tombstones(&*db, owner, after, newest, limit + 1).await?;
        db.close().await?;
        let mut changes: Vec<(Place, TaskEvent)> = tasks
            .into_iter()
            .map(|task| changed(task, position.complete_seq))
            .chain(tombstones.into_iter().map(deleted))
            .collect();
        changes.sort_by_key(|(place, _)| *place);
        let has_more = changes.len() as u64 > limit;
        changes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let token = match changes.last() {
            _ if !has_more => SyncToken {
                complete_seq: newest,
                complete_at: now.millis(),
                place: None,
                ..position
            },
            // As old as where it began: what was deleted since then is still known for as long.
            last => SyncToken {
                place: last.map_or(position.place, |(place, _)| Some(*place)),
                ..position
            },
        };
        Ok(Feed {
            changes: changes.into_iter().map(|(_, change)| change).collect(),
            token: encode(&token),
            has_more,
            is_full_resync,
        })
    }
}

impl SyncToken {
    /// Whether everything since then is still known.
    fn is_good(&self, owner: Uuid, newest: i64, now: Timestamp) -> bool {
        // A higher number than any comes from before the database was restored from a backup.
        let seqs = [self.complete_seq, self.place().0];
        let is_of_stream = self.owner == owner && seqs.iter().all(|seq| (0..=newest).contains(seq));
        let age = now.millis().saturating_sub(self.complete_at);
        // One from tomorrow was made while a clock was wrong.
        let is_of_age =
            (-CLOCK_SKEW.num_milliseconds()..=TOKEN_LIFE.num_milliseconds()).contains(&age);
        is_of_stream && is_of_age
    }

    fn place(&self) -> Place {
        // No id is higher, so all of the change is behind it.
        self.place.unwrap_or((self.complete_seq, Uuid::max()))
    }
}

/// A task that is there. It may be new to a device on any page until the device has read them all: what changes while it reads
/// moves to a later one.
fn changed(task: task::Model, complete_seq: i64) -> (Place, TaskEvent) {
    let kind = match task.created_seq > complete_seq {
        true => ChangeKind::Created,
        false => ChangeKind::Updated,
    };
    let place = (task.change_seq, task.id);
    (place, TaskEvent::of(kind, task))
}

fn deleted(tombstone: task_tombstone::Model) -> (Place, TaskEvent) {
    let place = (tombstone.change_seq, tombstone.id);
    (place, TaskEvent::deleted(tombstone.id))
}

/// Deletes the tombstones that are too old now.
pub(super) async fn clean(db: &Database, clock: &dyn Clock) -> Result<(), DbErr> {
    let before = clock.now() - TOMBSTONE_LIFE;
    loop {
        let ids = repository::list_old_tombstones(db.background(), before, BATCH).await?;
        let count = ids.len() as u64;
        if count > 0 {
            db.write(move |tx| {
                let ids = ids.clone();
                Box::pin(async move { repository::delete_tombstones(tx, ids).await })
            })
            .await?;
        }
        if count < BATCH {
            return Ok(());
        }
    }
}
