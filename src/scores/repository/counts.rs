//! SQL of the numbers behind results: how often each grade and each total occurs.
//!
//! Without a filter they are read from counts that every write keeps (`grade_counts`, `total_counts`), so a million scores cost
//! as much as a hundred. A count is spread over shards, because submissions at the same time would otherwise wait for one
//! another's commit. Of a period, grades are counted in ranges of an index that ends with the time, one for each grade that occurs, and
//! totals by an index that holds them: a million scores joined with their grades took five times as long
//! (`cargo bench --bench results`). Those of an account are counted from its rows.

use sea_orm::sea_query::{
    Alias, ColumnRef, Expr, ExprTrait, IntoColumnRef, JoinType, OnConflict, Query, SelectStatement,
    SimpleExpr, UnionType,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    TryGetable,
};
use uuid::Uuid;

use crate::entity::{criterion, grade, grade_count, score, total_count};
use crate::graphql::loader::padded;
use crate::platform::clock::Timestamp;
use crate::scores::repository::{ScoreFilter, rubric_beside_more};

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
    fn source(&self) -> Source {
        match (&self.account_number, self.from, self.to) {
            (None, None, None) => Source::Counts,
            (None, ..) => Source::Period,
            (Some(_), ..) => Source::Rows,
        }
    }

    /// Makes `rows` tell how many of them lie in the period.
    fn select_count(&self, rows: &mut SelectStatement, time: ColumnRef) {
        rows.expr_as(Expr::cust("COUNT(*)"), "number");
        if let Some(from) = self.from {
            rows.and_where(Expr::col(time.clone()).gte(from));
        }
        if let Some(to) = self.to {
            rows.and_where(Expr::col(time).lt(to));
        }
    }

    fn rubric(&self, backend: DbBackend) -> SimpleExpr {
        match self.account_number {
            Some(_) => rubric_beside_more(backend),
            None => Expr::col((score::Entity, score::Column::RubricId)),
        }
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

/// What is counted.
#[derive(PartialEq, Eq)]
enum Source {
    Counts,
    Period,
    Rows,
}

/// How often each value occurs.
#[derive(Debug, Default)]
pub(crate) struct ValueCounts {
    /// Rubric, total, and how many scores have it.
    pub(crate) totals: Vec<(Uuid, f64, i64)>,
    /// Criterion, grade, and how many scores have it.
    pub(crate) grades: Vec<(Uuid, f64, i64)>,
}

/// How often each total and each grade of the rubrics occurs, as they were at one moment: in one statement. Of a period on MySQL
/// another comes before it, and a grade that nobody had ever given until then can be missing.
pub(crate) async fn count_values(
    db: &impl ConnectionTrait,
    rubric_ids: Vec<Uuid>,
    filter: &SummaryFilter,
) -> Result<ValueCounts, DbErr> {
    let backend = db.get_database_backend();
    let mut query = select_totals(backend, rubric_ids.clone(), filter);
    match filter.source() {
        Source::Period if backend == DbBackend::MySql => {
            let known = list_known_grades(db, rubric_ids).await?;
            if !known.is_empty() {
                query.union(UnionType::All, select_grades_of(&known, filter));
            }
        }
        _ => drop(query.union(UnionType::All, select_grades(backend, rubric_ids, filter))),
    }
    let mut counts = ValueCounts::default();
    for row in db.query_all(&query).await? {
        let of = match i32::try_get(&row, "", "is_grade")? {
            0 => &mut counts.totals,
            _ => &mut counts.grades,
        };
        of.push((
            Uuid::try_get(&row, "", "id")?,
            f64::try_get(&row, "", "value")?,
            i64::try_get(&row, "", "number")?,
        ));
    }
    Ok(counts)
}

/// The first three columns of a row of [`count_values`].
fn begin(is_grade: bool, id: impl IntoColumnRef, value: impl IntoColumnRef) -> SelectStatement {
    let value = Expr::col(value.into_column_ref());
    Query::select()
        .expr_as(Expr::val(i32::from(is_grade)), "is_grade")
        .expr_as(Expr::col(id.into_column_ref()), "id")
        .expr_as(
            match is_grade {
                // A column of both has one type.
                true => value.mul(1.0),
                false => value,
            },
            "value",
        )
        .take()
}

async fn list_known_grades(
    db: &impl ConnectionTrait,
    rubric_ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, i32)>, DbErr> {
    let rows = db
        .query_all(select_known_grades(rubric_ids).distinct())
        .await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok((
            Uuid::try_get(row, "", "criterion_id")?,
            i32::try_get(row, "", "grade")?,
        ))
    };
    rows.iter().map(read).collect()
}

/// The grades that scores of the rubrics have, or had.
fn select_known_grades(rubric_ids: Vec<Uuid>) -> SelectStatement {
    Query::select()
        .columns([grade_count::Column::CriterionId, grade_count::Column::Grade])
        .from(grade_count::Entity)
        .and_where(grade_count::Column::CriterionId.in_subquery(select_criteria(rubric_ids)))
        .take()
}

fn select_criteria(rubric_ids: Vec<Uuid>) -> SelectStatement {
    Query::select()
        .column(criterion::Column::Id)
        .from(criterion::Entity)
        .and_where(criterion::Column::RubricId.is_in(rubric_ids))
        .take()
}

/// Of a period, for MySQL: it looks for a range of times only beside constants.
fn select_grades_of(known: &[(Uuid, i32)], filter: &SummaryFilter) -> SelectStatement {
    let mut grades: Vec<i32> = known.iter().map(|(_, grade)| *grade).collect();
    grades.sort_unstable();
    grades.dedup();
    let criteria: Vec<Uuid> = known.iter().map(|(criterion, _)| *criterion).collect();
    let mut rows = begin(true, grade::Column::CriterionId, grade::Column::Grade)
        .from(grade::Entity)
        .and_where(grade::Column::CriterionId.is_in(padded(&criteria)))
        .and_where(grade::Column::Grade.is_in(grades))
        .group_by_columns([grade::Column::CriterionId, grade::Column::Grade])
        .take();
    filter.select_count(&mut rows, grade::Column::SubmittedAt.into_column_ref());
    rows
}

fn select_grades(
    backend: DbBackend,
    rubric_ids: Vec<Uuid>,
    filter: &SummaryFilter,
) -> SelectStatement {
    let (criterion_id, value) = (
        (grade::Entity, grade::Column::CriterionId),
        (grade::Entity, grade::Column::Grade),
    );
    match filter.source() {
        Source::Counts => {
            let mut counts = begin(
                true,
                grade_count::Column::CriterionId,
                grade_count::Column::Grade,
            );
            counts
                .expr_as(sum_of_counts(backend), "number")
                .from(grade_count::Entity)
                .and_where(
                    grade_count::Column::CriterionId.in_subquery(select_criteria(rubric_ids)),
                )
                .group_by_columns([grade_count::Column::CriterionId, grade_count::Column::Grade])
                .take()
        }
        Source::Period => {
            let mut rows = Query::select()
                .from(grade::Entity)
                .and_where(Expr::col(criterion_id).equals(("known", "criterion_id")))
                .and_where(Expr::col(value).equals(("known", "grade")))
                .take();
            let time = (grade::Entity, grade::Column::SubmittedAt).into_column_ref();
            filter.select_count(&mut rows, time);
            let number = SimpleExpr::SubQuery(None, Box::new(rows.into()));
            begin(true, "criterion_id", "grade")
                .expr_as(number, "number")
                .from_subquery(select_known_grades(rubric_ids).distinct().take(), "known")
                .take()
        }
        Source::Rows => begin(true, criterion_id, value)
            .expr_as(Expr::cust("COUNT(*)"), "number")
            .from(grade::Entity)
            .join(
                JoinType::InnerJoin,
                score::Entity,
                Expr::col((score::Entity, score::Column::Id))
                    .equals((grade::Entity, grade::Column::ScoreId)),
            )
            .cond_where(filter.scores().condition(backend))
            .and_where(filter.rubric(backend).is_in(rubric_ids))
            .group_by_columns([criterion_id, value])
            .take(),
    }
}

fn select_totals(
    backend: DbBackend,
    rubric_ids: Vec<Uuid>,
    filter: &SummaryFilter,
) -> SelectStatement {
    match filter.source() {
        Source::Counts => begin(
            false,
            total_count::Column::RubricId,
            total_count::Column::Total,
        )
        .expr_as(sum_of_counts(backend), "number")
        .from(total_count::Entity)
        .and_where(total_count::Column::RubricId.is_in(rubric_ids))
        .group_by_columns([total_count::Column::RubricId, total_count::Column::Total])
        .take(),
        // There can be as many totals as scores, so nothing is won by looking for each.
        Source::Period | Source::Rows => {
            begin(false, score::Column::RubricId, score::Column::Total)
                .expr_as(Expr::cust("COUNT(*)"), "number")
                .from(score::Entity)
                .cond_where(filter.scores().condition(backend))
                .and_where(filter.rubric(backend).is_in(rubric_ids))
                .group_by_columns([score::Column::RubricId, score::Column::Total])
                .take()
        }
    }
}

/// The sum of `count` as a whole number: PostgreSQL and MySQL make a decimal of it.
fn sum_of_counts(backend: DbBackend) -> SimpleExpr {
    let sum = Expr::col("count").sum();
    match backend {
        DbBackend::Postgres => sum.cast_as(Alias::new("bigint")),
        DbBackend::MySql => sum.cast_as(Alias::new("signed")),
        _ => sum,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::platform::db::query_plan;
    use crate::platform::id::new_id;

    /// How SQLite finds the rows of each table.
    async fn plan(filter: &SummaryFilter) -> Vec<String> {
        let mut steps = Vec::new();
        for select in [select_grades, select_totals] {
            let query = select(DbBackend::Sqlite, vec![new_id()], filter);
            steps.extend(query_plan(&query.to_string(SqliteQueryBuilder)).await);
        }
        steps
    }

    #[tokio::test]
    async fn whole_results_read_counts_and_no_score() {
        let plan = plan(&SummaryFilter::default()).await;
        let tables = plan
            .iter()
            .filter(|step| ["SEARCH", "SCAN"].iter().any(|way| step.starts_with(way)));
        for step in tables {
            let is_count = ["grade_counts", "total_counts", "criteria"]
                .iter()
                .any(|table| step.starts_with(&format!("SEARCH {table} USING")));
            assert!(is_count, "{plan:#?}");
        }
    }

    #[tokio::test]
    async fn results_of_an_account_read_its_scores_only() {
        let filter = SummaryFilter {
            account_number: Some("12345".to_owned()),
            ..SummaryFilter::default()
        };
        let plan = plan(&filter).await;
        let scores = plan.iter().filter(|step| step.contains(" scores "));
        for step in scores {
            assert!(step.contains("ix_scores_account_number"), "{plan:#?}");
        }
    }

    #[tokio::test]
    async fn results_of_a_period_read_indexes_and_no_row() {
        let filter = SummaryFilter {
            from: Some(Timestamp::EPOCH),
            ..SummaryFilter::default()
        };
        let plan = plan(&filter).await;
        for (table, index) in [
            ("grades", "ix_grades_criterion_id_grade"),
            ("scores", "ix_scores_rubric_id"),
        ] {
            let steps: Vec<_> = plan
                .iter()
                .filter(|step| step.contains(&format!(" {table} ")))
                .collect();
            assert_eq!(steps.len(), 1, "{plan:#?}");
            let expected = format!("SEARCH {table} USING COVERING INDEX {index} (");
            assert!(
                steps[0].starts_with(&expected) && steps[0].contains("submitted_at>"),
                "{plan:#?}"
            );
        }
    }
}
