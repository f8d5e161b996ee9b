//! SQL of rubrics and scores.

use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    Order, PaginatorTrait, QueryFilter, QueryOrder, Select,
};
use uuid::Uuid;

use crate::entity::{criterion, grade, rubric, score};
use crate::graphql::keyset::{TimeCursor, newest_first};
use crate::graphql::pagination::Page;
use crate::platform::clock::Timestamp;
use crate::platform::db::searchable;

/// Which scores to list; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct ScoreFilter {
    /// Only this person's; set for everyone but administrators.
    pub owner: Option<Uuid>,
    /// Only those that one person submitted.
    pub submitted_by: Option<Uuid>,
    /// Slug of the rubric.
    pub rubric: Option<String>,
    /// The whole account number.
    pub account_number: Option<String>,
    /// Earliest submission.
    pub from: Option<Timestamp>,
    /// Submitted before this.
    pub to: Option<Timestamp>,
}

impl ScoreFilter {
    fn select(&self) -> Select<score::Entity> {
        let mut condition = Condition::all();
        if let Some(owner) = self.owner {
            condition = condition.add(score::Column::UserId.eq(owner));
        }
        if let Some(user) = self.submitted_by {
            condition = condition.add(score::Column::UserId.eq(user));
        }
        if let Some(slug) = &self.rubric {
            let rubric = Query::select()
                .column(rubric::Column::Id)
                .from(rubric::Entity)
                .and_where(rubric::Column::Slug.eq(searchable(slug)))
                .take();
            condition = condition.add(score::Column::RubricId.in_subquery(rubric));
        }
        if let Some(number) = &self.account_number {
            condition = condition.add(score::Column::AccountNumber.eq(searchable(number)));
        }
        if let Some(from) = self.from {
            condition = condition.add(score::Column::SubmittedAt.gte(from));
        }
        if let Some(to) = self.to {
            condition = condition.add(score::Column::SubmittedAt.lt(to));
        }
        score::Entity::find().filter(condition)
    }
}

pub(crate) async fn find_rubric_by_slug(
    db: &impl ConnectionTrait,
    slug: &str,
) -> Result<Option<rubric::Model>, DbErr> {
    rubric::Entity::find()
        .filter(rubric::Column::Slug.eq(searchable(slug)))
        .one(db)
        .await
}

pub(crate) async fn list_rubrics(
    db: &impl ConnectionTrait,
    ids: Vec<Uuid>,
) -> Result<Vec<rubric::Model>, DbErr> {
    rubric::Entity::find()
        .filter(rubric::Column::Id.is_in(ids))
        .all(db)
        .await
}

/// The criteria of several rubrics, each rubric's in their order.
pub(crate) async fn list_criteria(
    db: &impl ConnectionTrait,
    rubric_ids: Vec<Uuid>,
) -> Result<Vec<criterion::Model>, DbErr> {
    criterion::Entity::find()
        .filter(criterion::Column::RubricId.is_in(rubric_ids))
        .order_by(criterion::Column::RubricId, Order::Asc)
        .order_by(criterion::Column::Position, Order::Asc)
        .all(db)
        .await
}

pub(crate) async fn list_grades(
    db: &impl ConnectionTrait,
    score_ids: Vec<Uuid>,
) -> Result<Vec<grade::Model>, DbErr> {
    grade::Entity::find()
        .filter(grade::Column::ScoreId.is_in(score_ids))
        .all(db)
        .await
}

/// A score by its id, whoever's it is: to recognise a repeated submission.
pub(crate) async fn find_any_score(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<score::Model>, DbErr> {
    score::Entity::find_by_id(id).one(db).await
}

/// A score of `owner`, or anybody's when `owner` is `None`.
pub(crate) async fn find_score(
    db: &impl ConnectionTrait,
    owner: Option<Uuid>,
    id: Uuid,
) -> Result<Option<score::Model>, DbErr> {
    let filter = ScoreFilter {
        owner,
        ..ScoreFilter::default()
    };
    filter
        .select()
        .filter(score::Column::Id.eq(id))
        .one(db)
        .await
}

pub(crate) async fn list_scores(
    db: &impl ConnectionTrait,
    filter: &ScoreFilter,
    page: &Page<TimeCursor>,
) -> Result<Vec<score::Model>, DbErr> {
    let order = (score::Column::SubmittedAt, score::Column::Id);
    newest_first(filter.select(), order, page).all(db).await
}

pub(crate) async fn count_scores(
    db: &impl ConnectionTrait,
    filter: &ScoreFilter,
) -> Result<u64, DbErr> {
    filter.select().count(db).await
}

pub(crate) async fn insert_score(
    db: &impl ConnectionTrait,
    row: score::Model,
    grades: Vec<grade::Model>,
) -> Result<(), DbErr> {
    score::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(db)
        .await?;
    grade::Entity::insert_many(
        grades
            .into_iter()
            .map(|row| row.into_active_model().reset_all()),
    )
    .exec_without_returning(db)
    .await
    .map(drop)
}
