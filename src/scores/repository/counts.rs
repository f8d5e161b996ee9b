//! SQL of the numbers behind results: how often each grade and each total occurs.
//!
//! Without a filter they are read from counts that every write keeps (`grade_counts`, `total_counts`), so a million scores cost
//! as much as a hundred. A count is spread over shards, because submissions at the same time would otherwise wait for one
//! another's commit. With a filter they are counted from the rows.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, JoinType, OnConflict, Query, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    TryGetable,
};
use uuid::Uuid;

use crate::entity::{criterion, grade, grade_count, score, total_count};
use crate::platform::clock::Timestamp;
use crate::scores::repository::ScoreFilter;

/// In how many rows a count is kept.
const SHARDS: i16 = 8;

/// What a score adds to the counts, or takes away.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) rubric_id: Uuid,
    pub(crate) total: f64,
    /// Criterion and grade.
    pub(crate) grades: Vec<(Uuid, i32)>,
}

/// Adds `by` for each grade and the total of a score: 1 when it comes, -1 when it goes.
///
/// Rows are always taken in the same order, so that two writers of a shard wait and do not deadlock.
pub(crate) async fn count(
    tx: &impl ConnectionTrait,
    counted: &Counted,
    by: i64,
) -> Result<(), DbErr> {
    let shard = rand::random_range(0..SHARDS);
    let mut grades = counted.grades.clone();
    grades.sort_unstable();
    let rows = grades
        .into_iter()
        .map(|(criterion_id, grade)| grade_count::Model {
            criterion_id,
            grade,
            shard,
            count: by,
        });
    let add = |column: SimpleExpr| column.add(by);
    grade_count::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .on_conflict(
            OnConflict::columns([
                grade_count::Column::CriterionId,
                grade_count::Column::Grade,
                grade_count::Column::Shard,
            ])
            .value(
                grade_count::Column::Count,
                add(Expr::col((grade_count::Entity, grade_count::Column::Count))),
            )
            .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    let row = total_count::Model {
        rubric_id: counted.rubric_id,
        total: counted.total,
        shard,
        count: by,
    };
    total_count::Entity::insert(row.into_active_model().reset_all())
        .on_conflict(
            OnConflict::columns([
                total_count::Column::RubricId,
                total_count::Column::Total,
                total_count::Column::Shard,
            ])
            .value(
                total_count::Column::Count,
                add(Expr::col((total_count::Entity, total_count::Column::Count))),
            )
            .to_owned(),
        )
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// Which scores of a rubric a result is about; all parts must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct SummaryFilter {
    pub(crate) account_number: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl SummaryFilter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn scores(&self) -> ScoreFilter {
        ScoreFilter {
            account_number: self.account_number.clone(),
            from: self.from,
            to: self.to,
            ..ScoreFilter::default()
        }
    }
}

/// How often each grade of each criterion of the rubrics occurs.
pub(crate) async fn count_grades(
    db: &impl ConnectionTrait,
    rubric_ids: Vec<Uuid>,
    filter: &SummaryFilter,
) -> Result<Vec<(Uuid, i32, i64)>, DbErr> {
    let query = if filter.is_empty() {
        let criteria = Query::select()
            .column(criterion::Column::Id)
            .from(criterion::Entity)
            .and_where(criterion::Column::RubricId.is_in(rubric_ids))
            .take();
        Query::select()
            .columns([grade_count::Column::CriterionId, grade_count::Column::Grade])
            .expr_as(sum_of_counts(db), "number")
            .from(grade_count::Entity)
            .and_where(grade_count::Column::CriterionId.in_subquery(criteria))
            .group_by_columns([grade_count::Column::CriterionId, grade_count::Column::Grade])
            .take()
    } else {
        let (criterion_id, value) = (
            (grade::Entity, grade::Column::CriterionId),
            (grade::Entity, grade::Column::Grade),
        );
        Query::select()
            .column(criterion_id)
            .column(value)
            .expr_as(Expr::cust("COUNT(*)"), "number")
            .from(grade::Entity)
            .join(
                JoinType::InnerJoin,
                score::Entity,
                Expr::col((score::Entity, score::Column::Id))
                    .equals((grade::Entity, grade::Column::ScoreId)),
            )
            .cond_where(filter.scores().condition())
            .and_where(score::Column::RubricId.is_in(rubric_ids))
            .group_by_columns([criterion_id, value])
            .take()
    };
    let rows = db.query_all(&query).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok((
            Uuid::try_get(row, "", "criterion_id")?,
            i32::try_get(row, "", "grade")?,
            i64::try_get(row, "", "number")?,
        ))
    };
    rows.iter().map(read).collect()
}

/// How often each total of the rubrics occurs.
pub(crate) async fn count_totals(
    db: &impl ConnectionTrait,
    rubric_ids: Vec<Uuid>,
    filter: &SummaryFilter,
) -> Result<Vec<(Uuid, f64, i64)>, DbErr> {
    let query = if filter.is_empty() {
        Query::select()
            .columns([total_count::Column::RubricId, total_count::Column::Total])
            .expr_as(sum_of_counts(db), "number")
            .from(total_count::Entity)
            .and_where(total_count::Column::RubricId.is_in(rubric_ids))
            .group_by_columns([total_count::Column::RubricId, total_count::Column::Total])
            .take()
    } else {
        Query::select()
            .columns([score::Column::RubricId, score::Column::Total])
            .expr_as(Expr::cust("COUNT(*)"), "number")
            .from(score::Entity)
            .cond_where(filter.scores().condition())
            .and_where(score::Column::RubricId.is_in(rubric_ids))
            .group_by_columns([score::Column::RubricId, score::Column::Total])
            .take()
    };
    let rows = db.query_all(&query).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok((
            Uuid::try_get(row, "", "rubric_id")?,
            f64::try_get(row, "", "total")?,
            i64::try_get(row, "", "number")?,
        ))
    };
    rows.iter().map(read).collect()
}

/// The sum of `count` as a whole number: PostgreSQL and MySQL make a decimal of it.
fn sum_of_counts(db: &impl ConnectionTrait) -> SimpleExpr {
    let sum = Expr::col("count").sum();
    match db.get_database_backend() {
        DbBackend::Postgres => sum.cast_as(Alias::new("bigint")),
        DbBackend::MySql => sum.cast_as(Alias::new("signed")),
        _ => sum,
    }
}
