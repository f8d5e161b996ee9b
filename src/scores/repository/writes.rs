//! SQL of submissions, their corrections, and the rubrics they follow.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::rubric_beside_more;
use crate::entity::{
    criterion, grade, grade_history, rubric, score, score_correction, score_revision,
};

pub(crate) async fn insert_score(
    tx: &impl ConnectionTrait,
    row: score::Model,
    grades: Vec<grade::Model>,
) -> Result<(), DbErr> {
    score::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await?;
    insert_grades(tx, grades).await
}

async fn insert_grades(tx: &impl ConnectionTrait, grades: Vec<grade::Model>) -> Result<(), DbErr> {
    let rows = grades.into_iter();
    grade::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// The latest score of a rubric by a person, or about an account, locked until the transaction ends.
pub(crate) async fn find_latest_for_update(
    tx: &impl ConnectionTrait,
    rubric_id: Uuid,
    (column, value): (score::Column, sea_orm::Value),
) -> Result<Option<score::Model>, DbErr> {
    score::Entity::find()
        .filter(rubric_beside_more(tx.get_database_backend()).eq(rubric_id))
        .filter(column.eq(value))
        .order_by_desc(score::Column::SubmittedAt)
        .order_by_desc(score::Column::Id)
        .lock_exclusive()
        .one(tx)
        .await
}

/// Puts `row` and `grades` in the place of a score that was read for update, and keeps what was there.
pub(crate) async fn correct_score(
    tx: &impl ConnectionTrait,
    old: &score::Model,
    old_grades: Vec<grade::Model>,
    row: score::Model,
    grades: Vec<grade::Model>,
) -> Result<(), DbErr> {
    let revision = score_revision::Model {
        score_id: old.id,
        revision: old.revision,
        account_number: old.account_number.clone(),
        total: old.total,
        replaced_at: row.updated_at,
    };
    score_revision::Entity::insert(revision.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await?;
    let history = old_grades.into_iter().map(|grade| grade_history::Model {
        score_id: old.id,
        revision: old.revision,
        criterion_id: grade.criterion_id,
        grade: grade.grade,
        comment: grade.comment,
    });
    grade_history::Entity::insert_many(history.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(tx)
        .await?;
    grade::Entity::delete_many()
        .filter(grade::Column::ScoreId.eq(old.id))
        .exec(tx)
        .await?;
    let id = row.id;
    score::Entity::update_many()
        .set(row.into_active_model().reset_all())
        .filter(score::Column::Id.eq(id))
        .exec(tx)
        .await?;
    insert_grades(tx, grades).await
}

pub(crate) async fn insert_correction(
    tx: &impl ConnectionTrait,
    row: score_correction::Model,
) -> Result<(), DbErr> {
    score_correction::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// The submission of this id that became a correction.
pub(crate) async fn find_correction(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<score_correction::Model>, DbErr> {
    score_correction::Entity::find_by_id(id).one(db).await
}

/// A score, whoever's it is, locked until the transaction ends.
pub(crate) async fn find_score_for_update(
    tx: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<score::Model>, DbErr> {
    score::Entity::find_by_id(id).lock_exclusive().one(tx).await
}

/// Deletes a score with its grades and its history.
pub(crate) async fn delete_score(tx: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    score::Entity::delete_by_id(id).exec(tx).await.map(drop)
}

pub(crate) async fn insert_rubric(
    tx: &impl ConnectionTrait,
    row: rubric::Model,
    criteria: Vec<criterion::Model>,
) -> Result<(), DbErr> {
    rubric::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await?;
    insert_criteria(tx, criteria).await
}

async fn insert_criteria(
    tx: &impl ConnectionTrait,
    criteria: Vec<criterion::Model>,
) -> Result<(), DbErr> {
    let rows = criteria.into_iter();
    criterion::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// A rubric, locked until the transaction ends: no score of it is stored meanwhile.
pub(crate) async fn find_rubric_for_update(
    tx: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<rubric::Model>, DbErr> {
    rubric::Entity::find_by_id(id)
        .lock_exclusive()
        .one(tx)
        .await
}

/// Writes all columns of a rubric that was read for update.
pub(crate) async fn update_rubric(
    tx: &impl ConnectionTrait,
    row: rubric::Model,
) -> Result<(), DbErr> {
    let id = row.id;
    rubric::Entity::update_many()
        .set(row.into_active_model().reset_all())
        .filter(rubric::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(drop)
}

/// Puts `criteria` in the place of those of a rubric without scores.
pub(crate) async fn replace_criteria(
    tx: &impl ConnectionTrait,
    rubric_id: Uuid,
    criteria: Vec<criterion::Model>,
) -> Result<(), DbErr> {
    criterion::Entity::delete_many()
        .filter(criterion::Column::RubricId.eq(rubric_id))
        .exec(tx)
        .await?;
    insert_criteria(tx, criteria).await
}

/// Whether a rubric has scores.
pub(crate) async fn has_scores(tx: &impl ConnectionTrait, rubric_id: Uuid) -> Result<bool, DbErr> {
    let any: Option<Uuid> = score::Entity::find()
        .select_only()
        .column(score::Column::Id)
        .filter(score::Column::RubricId.eq(rubric_id))
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(any.is_some())
}
