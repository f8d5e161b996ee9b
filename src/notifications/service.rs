//! Rules of notifications: one method a use case.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::clients::wechat::WechatClient;
use crate::entity::notification;
use crate::graphql::keyset::TimeCursor;
use crate::graphql::pagination::{Page, Slice};
use crate::notifications::error::NotificationError;
use crate::notifications::notice::Notifier;
use crate::notifications::outbox::{Outbox, SENDERS, lease};
use crate::notifications::{housekeeping, repository};
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::db::Database;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::parse_id;
use crate::platform::viewer::Viewer;
use crate::platform::worker::{every_hour, every_second};

/// Most notifications that one call names.
const IDS_MAX: usize = 100;

/// The inboxes.
pub struct NotificationService {
    pub(super) db: Arc<Database>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) notifier: Notifier,
    retention: TimeDelta,
    senders: Arc<Semaphore>,
}

impl NotificationService {
    /// The service for one server.
    pub fn new(
        db: Arc<Database>,
        clock: Arc<dyn Clock>,
        wechat: WechatClient,
        config: &Config,
    ) -> Self {
        let senders = Arc::new(Semaphore::new(SENDERS as usize));
        let outbox = Arc::new(Outbox {
            clock: Arc::clone(&clock),
            wechat,
            lease: lease(config.wechat.timeout),
            permits: Arc::clone(&senders),
        });
        every_second(&db, move |db| Arc::clone(&outbox).send_due(db));
        let retention =
            TimeDelta::from_std(config.notifications.retention).unwrap_or(TimeDelta::MAX);
        let cleaner = Arc::clone(&clock);
        every_hour(&db, move |db| {
            let clock = Arc::clone(&cleaner);
            async move { housekeeping::clean(&db, clock.as_ref(), retention).await }
        });
        Self {
            db,
            clock,
            notifier: Notifier::new(&config.wechat),
            retention,
            senders,
        }
    }

    /// Waits for the messages that are being sent, and sends no more.
    pub async fn stop(&self) {
        // Fails only when it was closed before.
        let all = self.senders.acquire_many(SENDERS).await;
        self.senders.close();
        drop(all);
    }

    /// Deletes old notifications, as the server does every hour.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn clean_up(&self) -> Result<(), sea_orm::DbErr> {
        housekeeping::clean(&self.db, self.clock.as_ref(), self.retention).await
    }

    /// A notification of the caller.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn find(
        &self,
        viewer: &Viewer,
        id: Uuid,
    ) -> Result<Option<notification::Model>, NotificationError> {
        Ok(repository::find(self.db.read(), viewer.user_id, id).await?)
    }

    /// A page of the caller's notifications, newest first.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn list(
        &self,
        viewer: &Viewer,
        is_read: Option<bool>,
        page: &Page<TimeCursor>,
    ) -> Result<Slice<notification::Model>, NotificationError> {
        let rows = repository::list(self.db.read(), viewer.user_id, is_read, page).await?;
        Ok(page.slice(rows))
    }

    /// How many of the caller's notifications match.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn count(
        &self,
        viewer: &Viewer,
        is_read: Option<bool>,
    ) -> Result<u64, NotificationError> {
        Ok(repository::count(self.db.read(), viewer.user_id, is_read).await?)
    }

    /// Marks the caller's notifications of these ids, or all, as read; how many were unread. Ids of others count as none.
    ///
    /// # Errors
    /// `Invalid` for more than 100 ids.
    pub async fn mark_read(
        &self,
        viewer: &Viewer,
        ids: Option<Vec<String>>,
    ) -> Result<u64, NotificationError> {
        if ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
            let mut faults = Faults::under(&["input"]);
            faults.add(&["ids"], Rule::TooLong { max: IDS_MAX });
            return Err(faults.into());
        }
        let ids: Option<Vec<Uuid>> =
            ids.map(|ids| ids.iter().filter_map(|id| parse_id(id)).collect());
        let (user, now) = (viewer.user_id, self.clock.now());
        self.db
            .write(move |tx| {
                let ids = ids.clone();
                Box::pin(async move { Ok(repository::mark_read(tx, user, ids, now).await?) })
            })
            .await
    }
}
