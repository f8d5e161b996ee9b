//! Storing a submission: as a new score, or as the correction of one.
//!
//! What decides is read in the transaction that stores it, and the time is looked at there, too: a request that waits while the
//! rubric closes comes too late. Of many at once that may stand here once, the unique `once_key` lets one through; the others
//! start over and find it.

use std::sync::Arc;

use chrono::TimeDelta;
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::entity::rubric::SubmissionPolicy;
use crate::entity::{grade, rubric, score, score_correction};
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::digest::sha256_hex;
use crate::scores::error::ScoreError;
use crate::scores::repository::{self, Counted};
use crate::scores::rubric::{CheckedGrade, is_open};

/// A submission that fits its rubric.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    /// The client's id, or a new one.
    pub(super) id: Uuid,
    /// Whether the client gave the id and may repeat it.
    pub(super) is_repeatable: bool,
    pub(super) digest: String,
    pub(super) rubric_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) account_number: String,
    pub(super) total: f64,
    pub(super) grades: Vec<CheckedGrade>,
}

impl Submission {
    fn grades_of(&self, score: &score::Model) -> Vec<grade::Model> {
        let row = |checked: &CheckedGrade| grade::Model {
            score_id: score.id,
            criterion_id: checked.criterion_id,
            grade: checked.grade,
            comment: checked.comment.clone(),
            submitted_at: score.submitted_at,
        };
        self.grades.iter().map(row).collect()
    }

    fn counted(&self) -> Counted {
        Counted {
            rubric_id: self.rubric_id,
            total: self.total,
            grades: self
                .grades
                .iter()
                .map(|grade| (grade.criterion_id, grade.grade))
                .collect(),
        }
    }

    /// What may stand in the rubric once, as a digest; `None` when nothing is limited.
    fn once_key(&self, policy: SubmissionPolicy) -> Option<String> {
        let what = match policy {
            SubmissionPolicy::Unlimited => return None,
            SubmissionPolicy::OncePerUser => format!("user {}", self.user_id),
            SubmissionPolicy::OncePerAccount => format!("account {}", self.account_number),
        };
        Some(sha256_hex(format!("{} {what}", self.rubric_id).as_bytes()))
    }
}

/// Stores a submission.
///
/// # Errors
/// `NoSuchRubric`, `RubricNotOpen`, `AlreadySubmitted`, `EditWindowClosed`; a unique violation when another was first.
pub(super) async fn store(
    tx: &DatabaseTransaction,
    submission: Submission,
    clock: Arc<dyn Clock>,
) -> Result<score::Model, ScoreError> {
    let rubric = repository::list_rubrics(tx, vec![submission.rubric_id])
        .await?
        .pop()
        .ok_or(ScoreError::NoSuchRubric)?;
    let now = clock.now();
    if !is_open(&rubric, now) {
        return Err(ScoreError::RubricNotOpen);
    }
    let limit = match rubric.submission_policy {
        SubmissionPolicy::Unlimited => None,
        SubmissionPolicy::OncePerUser => Some((score::Column::UserId, submission.user_id.into())),
        SubmissionPolicy::OncePerAccount => Some((
            score::Column::AccountNumber,
            submission.account_number.as_str().into(),
        )),
    };
    if let Some(limit) = limit
        && let Some(old) = repository::find_latest_for_update(tx, rubric.id, limit).await?
    {
        // It may have had to wait for whoever had locked the score.
        let now = clock.now();
        check_window(&rubric, &old, submission.user_id, now)?;
        let once_key = submission.once_key(rubric.submission_policy);
        let row = correct(tx, submission, old, once_key, now).await?;
        return still_open(&rubric, clock.as_ref(), row);
    }
    let row = score::Model {
        id: submission.id,
        rubric_id: rubric.id,
        user_id: Some(submission.user_id),
        once_key: submission.once_key(rubric.submission_policy),
        account_number: submission.account_number.clone(),
        total: submission.total,
        revision: 1,
        content_digest: submission.digest.clone(),
        submitted_at: now,
        updated_at: now,
    };
    repository::insert_score(tx, row.clone(), submission.grades_of(&row)).await?;
    repository::count(tx, &submission.counted(), 1).await?;
    still_open(&rubric, clock.as_ref(), row)
}

/// `row`, unless the rubric closed while its statements waited for others.
fn still_open(
    rubric: &rubric::Model,
    clock: &dyn Clock,
    row: score::Model,
) -> Result<score::Model, ScoreError> {
    match is_open(rubric, clock.now()) {
        true => Ok(row),
        false => Err(ScoreError::RubricNotOpen),
    }
}

/// Whether a score may be corrected by this person now.
fn check_window(
    rubric: &rubric::Model,
    old: &score::Model,
    user_id: Uuid,
    now: Timestamp,
) -> Result<(), ScoreError> {
    if old.user_id != Some(user_id) || rubric.edit_window_minutes == 0 {
        return Err(ScoreError::AlreadySubmitted);
    }
    let window = TimeDelta::minutes(rubric.edit_window_minutes.into());
    match now <= old.submitted_at + window {
        true => Ok(()),
        false => Err(ScoreError::EditWindowClosed),
    }
}

async fn correct(
    tx: &DatabaseTransaction,
    submission: Submission,
    old: score::Model,
    once_key: Option<String>,
    now: Timestamp,
) -> Result<score::Model, ScoreError> {
    let row = score::Model {
        // Another policy, or another account, has another key. Without one the score is found all the same; the key is for those
        // who come first at once.
        once_key: old
            .once_key
            .clone()
            .filter(|key| Some(key) == once_key.as_ref()),
        account_number: submission.account_number.clone(),
        total: submission.total,
        revision: old.revision + 1,
        updated_at: now.max(old.updated_at),
        ..old.clone()
    };
    let old_grades = repository::list_grades(tx, vec![old.id]).await?;
    repository::count(tx, &counted(&old, &old_grades), -1).await?;
    repository::correct_score(
        tx,
        &old,
        old_grades,
        row.clone(),
        submission.grades_of(&old),
    )
    .await?;
    repository::count(tx, &submission.counted(), 1).await?;
    if submission.is_repeatable {
        let correction = score_correction::Model {
            id: submission.id,
            score_id: old.id,
            content_digest: submission.digest,
        };
        repository::insert_correction(tx, correction).await?;
    }
    Ok(row)
}

/// What a stored score counts as.
pub(super) fn counted(score: &score::Model, grades: &[grade::Model]) -> Counted {
    Counted {
        rubric_id: score.rubric_id,
        total: score.total,
        grades: grades
            .iter()
            .map(|grade| (grade.criterion_id, grade.grade))
            .collect(),
    }
}
