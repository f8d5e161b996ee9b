//! What can go wrong with scores.

use sea_orm::DbErr;

use crate::platform::db::WriteError;
use crate::platform::fault::Faults;

/// Facts about a failed submission or query.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// No rubric of this slug that the caller may see.
    #[error("no such rubric")]
    NoSuchRubric,
    /// The rubric takes no scores now.
    #[error("the rubric is not open")]
    RubricNotOpen,
    /// The policy of the rubric allows no second score.
    #[error("a score was submitted before")]
    AlreadySubmitted,
    /// The time for corrections is over.
    #[error("the score can no longer be corrected")]
    EditWindowClosed,
    /// No such score.
    #[error("no such score")]
    NoSuchScore,
    /// The results are not public, and nobody is signed in.
    #[error("the results are for administrators, and nobody is signed in")]
    ResultsNeedSignIn,
    /// The results are for administrators.
    #[error("the results are for administrators")]
    ResultsForbidden,
    /// Another rubric has the slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// The rubric has scores, so its criteria stay.
    #[error("the criteria cannot change any more")]
    CriteriaFrozen,
    /// The id was used for other content, or by somebody else.
    #[error("the id was used before")]
    IdConflict,
    /// The input breaks its rules.
    #[error("the input is not valid")]
    Invalid(Faults),
    /// The submission has no JSON form to make a digest of.
    #[error(transparent)]
    Digest(#[from] serde_json::Error),
    /// The author's account was deleted meanwhile.
    #[error("the author is gone")]
    AuthorGone,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<Faults> for ScoreError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl WriteError for ScoreError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
