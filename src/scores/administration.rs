//! What administrators do with rubrics and scores.

use uuid::Uuid;

use crate::entity::rubric;
use crate::platform::db::is_unique_violation;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::{new_id, parse_id};
use crate::platform::locale::Message;
use crate::scores::draft::{self, NewRubric, RubricPatch};
use crate::scores::error::ScoreError;
use crate::scores::repository;
use crate::scores::service::ScoreService;
use crate::scores::submission::counted;

impl ScoreService {
    /// Makes a rubric. A repetition with the same id and content answers the rubric as it is stored.
    ///
    /// # Errors
    /// `Invalid`, `SlugTaken`, `IdConflict`.
    pub async fn create_rubric(&self, new: NewRubric) -> Result<rubric::Model, ScoreError> {
        let id = match &new.id {
            None => new_id(),
            Some(text) => parse_id(text).ok_or_else(|| {
                let mut faults = Faults::under(&["input"]);
                let expected = Message::new("应为带连字符的 UUID", "a UUID with hyphens");
                faults.add(&["id"], Rule::Malformed { expected });
                faults
            })?,
        };
        let (row, criteria) = draft::check_new(&new, id, self.clock.now())?;
        let (stored, drafts) = (row.clone(), criteria.clone());
        let result = self
            .db
            .write(move |tx| {
                let (row, criteria) = (stored.clone(), drafts.clone());
                Box::pin(async move {
                    if crate::entity::find_table(tx, row.id).await?.is_some() {
                        return Err(ScoreError::IdConflict);
                    }
                    Ok(repository::insert_rubric(tx, row, criteria).await?)
                })
            })
            .await;
        let is_taken = match &result {
            Err(ScoreError::IdConflict) => true,
            Err(ScoreError::Database(error)) => is_unique_violation(error),
            _ => false,
        };
        if !is_taken {
            return result.map(|()| row);
        }
        let known = repository::list_rubrics(self.db.read(), vec![id])
            .await?
            .pop();
        let known_criteria = repository::list_criteria(self.db.read(), vec![id]).await?;
        match known {
            Some(known)
                if known.created_at == known.updated_at
                    && draft::is_same(&known_criteria, &criteria)
                    && known
                        == (rubric::Model {
                            created_at: known.created_at,
                            updated_at: known.updated_at,
                            ..row
                        }) =>
            {
                Ok(known)
            }
            Some(_) => Err(ScoreError::IdConflict),
            None if matches!(result, Err(ScoreError::IdConflict)) => Err(ScoreError::IdConflict),
            None => Err(ScoreError::SlugTaken),
        }
    }

    /// Changes a rubric. Criteria stay as they are once there are scores.
    ///
    /// # Errors
    /// `NoSuchRubric`, `Invalid`, `CriteriaFrozen`.
    pub async fn update_rubric(
        &self,
        id: &str,
        patch: RubricPatch,
    ) -> Result<rubric::Model, ScoreError> {
        let patch = draft::check_patch(patch)?;
        let id = parse_id(id).ok_or(ScoreError::NoSuchRubric)?;
        let now = self.clock.now();
        self.db
            .write(move |tx| {
                let patch = patch.clone();
                Box::pin(async move {
                    let rubric = repository::find_rubric_for_update(tx, id)
                        .await?
                        .ok_or(ScoreError::NoSuchRubric)?;
                    let (changed, criteria) = draft::apply(rubric, patch, now)?;
                    if let Some(criteria) = criteria {
                        let stored = repository::list_criteria(tx, vec![id]).await?;
                        if !draft::is_same(&stored, &criteria) {
                            if repository::has_scores(tx, id).await? {
                                return Err(ScoreError::CriteriaFrozen);
                            }
                            repository::replace_criteria(tx, id, criteria).await?;
                        }
                    }
                    repository::update_rubric(tx, changed.clone()).await?;
                    Ok(changed)
                })
            })
            .await
    }

    /// Deletes a score with its history; returns its id.
    ///
    /// # Errors
    /// `NoSuchScore`.
    pub async fn delete_score(&self, id: &str) -> Result<Uuid, ScoreError> {
        let id = parse_id(id).ok_or(ScoreError::NoSuchScore)?;
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let score = repository::find_score_for_update(tx, id)
                        .await?
                        .ok_or(ScoreError::NoSuchScore)?;
                    let grades = repository::list_grades(tx, vec![id]).await?;
                    repository::count(tx, &counted(&score, &grades), -1).await?;
                    repository::delete_score(tx, id).await?;
                    Ok(id)
                })
            })
            .await
    }
}
