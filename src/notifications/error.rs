//! What can go wrong with notifications.

use sea_orm::DbErr;

use crate::platform::db::WriteError;
use crate::platform::fault::Faults;

/// Facts about a failed change or query.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// The input breaks its rules.
    #[error("the input is not valid")]
    Invalid(Faults),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<Faults> for NotificationError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl WriteError for NotificationError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            Self::Invalid(_) => None,
        }
    }
}
