//! SQL of rubrics and scores.

mod counts;
mod writes;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, Order, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

pub(crate) use self::counts::{Counted, SummaryFilter, count, count_values};
pub(crate) use self::writes::{
    correct_score, delete_score, find_correction, find_latest_for_update, find_rubric_for_update,
    find_score_for_update, has_scores, insert_correction, insert_rubric, insert_score,
    replace_criteria, update_rubric,
};
use crate::entity::rubric::RubricState;
use crate::entity::{criterion, grade, rubric, score, user};
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
    fn select(&self, backend: DbBackend) -> Select<score::Entity> {
        score::Entity::find().filter(self.condition(backend))
    }

    fn condition(&self, backend: DbBackend) -> Condition {
        let mut condition = Condition::all();
        let finds_few =
            self.owner.is_some() || self.submitted_by.is_some() || self.account_number.is_some();
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
            let rubric_id = match finds_few {
                true => rubric_beside_more(backend),
                false => Expr::col((score::Entity, score::Column::RubricId)),
            };
            condition = condition.add(rubric_id.in_subquery(rubric));
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
        condition
    }
}

/// The rubric of a score, in a condition beside one that few scores meet. SQLite knows nothing of how many that are, and would
/// rather look through all scores of the rubric, in order; so there it is kept from using an index for it.
fn rubric_beside_more(backend: DbBackend) -> SimpleExpr {
    match backend {
        DbBackend::Sqlite => Expr::cust("+\"scores\".\"rubric_id\""),
        _ => Expr::col((score::Entity, score::Column::RubricId)),
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
        .select(db.get_database_backend())
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
    newest_first(filter.select(db.get_database_backend()), order, page)
        .all(db)
        .await
}

pub(crate) async fn count_scores(
    db: &impl ConnectionTrait,
    filter: &ScoreFilter,
) -> Result<u64, DbErr> {
    filter.select(db.get_database_backend()).count(db).await
}

/// The newest score of one person in each of the rubrics.
pub(crate) async fn list_latest_of(
    db: &impl ConnectionTrait,
    user_id: Uuid,
    rubric_ids: Vec<Uuid>,
) -> Result<Vec<score::Model>, DbErr> {
    let ranked = Query::select()
        .column(score::Column::Id)
        .expr_as(
            Expr::cust(
                "ROW_NUMBER() OVER (PARTITION BY rubric_id ORDER BY submitted_at DESC, id DESC)",
            ),
            "place",
        )
        .from(score::Entity)
        .and_where(score::Column::UserId.eq(user_id))
        .and_where(rubric_beside_more(db.get_database_backend()).is_in(rubric_ids))
        .take();
    let newest = Query::select()
        .column("id")
        .from_subquery(ranked, "ranked")
        .and_where(Expr::col("place").eq(1))
        .take();
    score::Entity::find()
        .filter(score::Column::Id.in_subquery(newest))
        .all(db)
        .await
}

fn rubrics(shows_drafts: bool, state: Option<RubricState>) -> Select<rubric::Entity> {
    let mut query = rubric::Entity::find();
    if !shows_drafts {
        query = query.filter(rubric::Column::State.ne(RubricState::Draft));
    }
    if let Some(state) = state {
        query = query.filter(rubric::Column::State.eq(state));
    }
    query
}

/// A page of rubrics, newest first.
pub(crate) async fn page_rubrics(
    db: &impl ConnectionTrait,
    shows_drafts: bool,
    state: Option<RubricState>,
    page: &Page<TimeCursor>,
) -> Result<Vec<rubric::Model>, DbErr> {
    let order = (rubric::Column::CreatedAt, rubric::Column::Id);
    newest_first(rubrics(shows_drafts, state), order, page)
        .all(db)
        .await
}

pub(crate) async fn count_rubrics(
    db: &impl ConnectionTrait,
    shows_drafts: bool,
    state: Option<RubricState>,
) -> Result<u64, DbErr> {
    rubrics(shows_drafts, state).count(db).await
}

/// Scores of a rubric from the oldest on, after a position.
pub(crate) async fn list_oldest(
    db: &impl ConnectionTrait,
    rubric_id: Uuid,
    after: Option<(Timestamp, Uuid)>,
    limit: u64,
) -> Result<Vec<score::Model>, DbErr> {
    let mut query = score::Entity::find().filter(score::Column::RubricId.eq(rubric_id));
    if let Some((time, id)) = after {
        query = query.filter(score::Column::SubmittedAt.gte(time)).filter(
            Condition::any()
                .add(score::Column::SubmittedAt.gt(time))
                .add(score::Column::Id.gt(id)),
        );
    }
    query
        .order_by_asc(score::Column::SubmittedAt)
        .order_by_asc(score::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// The user names of authors.
pub(crate) async fn list_author_names(
    db: &impl ConnectionTrait,
    ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, Option<String>)>, DbErr> {
    user::Entity::find()
        .select_only()
        .columns([user::Column::Id, user::Column::Username])
        .filter(user::Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await
}

#[cfg(test)]
mod tests {
    use sea_orm::QueryTrait;
    use sea_orm::sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::platform::db::query_plan;
    use crate::platform::id::new_id;

    #[tokio::test]
    async fn a_persons_scores_of_a_rubric_are_found_by_the_person() {
        let filter = ScoreFilter {
            owner: Some(new_id()),
            rubric: Some("default".to_owned()),
            ..ScoreFilter::default()
        };
        let latest = filter
            .select(DbBackend::Sqlite)
            .order_by_desc(score::Column::SubmittedAt)
            .order_by_desc(score::Column::Id)
            .into_query();
        let steps = query_plan(&latest.to_string(SqliteQueryBuilder)).await;
        let is_by_user =
            |step: &String| step.starts_with("SEARCH scores USING INDEX ix_scores_user_id");
        assert!(steps.iter().any(is_by_user), "{steps:#?}");
    }
}
