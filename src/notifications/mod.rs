//! Notifications: the inbox of a person, and the messages of WeChat that they agreed to.
//!
//! Not here: when there is something to tell. Whoever has it writes it down in the transaction that makes it true.

mod consent;
mod error;
pub mod graphql;
mod housekeeping;
mod notice;
mod outbox;
mod repository;
mod service;

pub use error::NotificationError;
pub use graphql::{Notification, SubscribeCredit};
pub use notice::Notifier;
pub(crate) use notice::Reminder;
pub use service::NotificationService;
