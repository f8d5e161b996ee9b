//! What can go wrong with tasks.

use sea_orm::DbErr;

use crate::platform::db::WriteError;
use crate::platform::fault::Faults;

/// Facts about a failed change or query.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No such task, or not the caller's; the paths of the ids when there were several.
    #[error("no such task")]
    NotFound(Option<Faults>),
    /// The id was used for other content, or by somebody else.
    #[error("the id was used before")]
    IdConflict,
    /// Somebody changed the task first.
    #[error("the task has another version")]
    VersionConflict {
        /// The version that is stored.
        current: i32,
    },
    /// The input breaks its rules.
    #[error("the input is not valid")]
    Invalid(Faults),
    /// The task has no JSON form to make a digest of.
    #[error(transparent)]
    Digest(#[from] serde_json::Error),
    /// The owner's account was deleted meanwhile.
    #[error("the owner is gone")]
    OwnerGone,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<Faults> for TaskError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl WriteError for TaskError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
