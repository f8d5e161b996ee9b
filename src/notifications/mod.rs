//! Notifications: the inbox of a person.
//!
//! Not here: when there is something to tell. Whoever has it writes it down in the transaction that makes it true.

mod error;
pub mod graphql;
mod repository;
mod service;

pub use error::NotificationError;
pub use graphql::Notification;
pub(crate) use repository::insert as notify;
pub use service::NotificationService;
