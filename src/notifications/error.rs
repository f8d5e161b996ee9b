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
    /// The id was used for another answer.
    #[error("the id was used before")]
    IdConflict,
    /// The account was deleted meanwhile.
    #[error("the owner is gone")]
    OwnerGone,
    /// The input has no JSON form to make a digest of.
    #[error(transparent)]
    Digest(#[from] serde_json::Error),
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
            _ => None,
        }
    }
}
