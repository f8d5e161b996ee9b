//! Batches what hangs on scores within one level of a query.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::Loader;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::entity::{criterion, grade, rubric, score};
use crate::graphql::context::shared_service;
use crate::graphql::error::ApiError;
use crate::graphql::loader::padded;
use crate::graphql::scope::RequestLoader;
use crate::platform::db::Database;
use crate::scores::repository::{self, SummaryFilter};
use crate::scores::statistics::Histogram;

/// Loads rubrics, criteria and grades by id.
#[derive(Debug)]
pub struct ScoreLoader {
    db: Arc<Database>,
}

impl ScoreLoader {
    /// A loader that reads from `db`.
    pub fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

impl RequestLoader for ScoreLoader {
    fn make(ctx: &Context<'_>) -> Result<Self, ApiError> {
        Ok(Self::new(shared_service::<Database>(ctx)?))
    }
}

/// A rubric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RubricById(pub(crate) Uuid);

/// The criteria of a rubric, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CriteriaOf(pub(crate) Uuid);

/// The grades of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GradesOf(pub(crate) Uuid);

impl Loader<RubricById> for ScoreLoader {
    type Value = Arc<rubric::Model>;
    type Error = DbErr;

    async fn load(&self, keys: &[RubricById]) -> Result<HashMap<RubricById, Self::Value>, DbErr> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = repository::list_rubrics(self.db.read(), padded(&ids)).await?;
        Ok(rows
            .into_iter()
            .map(|row| (RubricById(row.id), Arc::new(row)))
            .collect())
    }
}

impl Loader<CriteriaOf> for ScoreLoader {
    type Value = Arc<Vec<criterion::Model>>;
    type Error = DbErr;

    async fn load(&self, keys: &[CriteriaOf]) -> Result<HashMap<CriteriaOf, Self::Value>, DbErr> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = repository::list_criteria(self.db.read(), padded(&ids)).await?;
        Ok(grouped(keys, rows, |row| CriteriaOf(row.rubric_id)))
    }
}

impl Loader<GradesOf> for ScoreLoader {
    type Value = Arc<Vec<grade::Model>>;
    type Error = DbErr;

    async fn load(&self, keys: &[GradesOf]) -> Result<HashMap<GradesOf, Self::Value>, DbErr> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = repository::list_grades(self.db.read(), padded(&ids)).await?;
        Ok(grouped(keys, rows, |row| GradesOf(row.score_id)))
    }
}

/// The newest score that a user submitted to a rubric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LatestOf {
    pub(crate) user_id: Uuid,
    pub(crate) rubric_id: Uuid,
}

impl Loader<LatestOf> for ScoreLoader {
    type Value = score::Model;
    type Error = DbErr;

    async fn load(&self, keys: &[LatestOf]) -> Result<HashMap<LatestOf, score::Model>, DbErr> {
        let mut found = HashMap::new();
        // A request has one caller, so this is one statement.
        let users: HashSet<Uuid> = keys.iter().map(|key| key.user_id).collect();
        for user_id in users {
            let theirs = keys.iter().filter(|key| key.user_id == user_id);
            let rubrics: Vec<_> = theirs.map(|key| key.rubric_id).collect();
            let rows =
                repository::list_latest_of(self.db.read(), user_id, padded(&rubrics)).await?;
            found.extend(rows.into_iter().map(|row| {
                let rubric_id = row.rubric_id;
                (LatestOf { user_id, rubric_id }, row)
            }));
        }
        Ok(found)
    }
}

/// What the results of a rubric are made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CountsOf {
    pub(crate) rubric_id: Uuid,
    pub(crate) filter: SummaryFilter,
}

/// How often each total and each grade occurs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) totals: Histogram,
    /// By criterion.
    pub(crate) grades: Arc<HashMap<Uuid, Histogram>>,
}

impl Loader<CountsOf> for ScoreLoader {
    type Value = Arc<Counts>;
    type Error = DbErr;

    async fn load(&self, keys: &[CountsOf]) -> Result<HashMap<CountsOf, Arc<Counts>>, DbErr> {
        let mut found = HashMap::new();
        // One statement for each filter that the query names.
        let filters: HashSet<&SummaryFilter> = keys.iter().map(|key| &key.filter).collect();
        for filter in filters {
            let keys = keys.iter().filter(|key| key.filter == *filter);
            let rubrics: Vec<Uuid> = keys.map(|key| key.rubric_id).collect();
            for (rubric_id, counts) in load_counts(self.db.read(), &rubrics, filter).await? {
                let filter = filter.clone();
                found.insert(CountsOf { rubric_id, filter }, counts);
            }
        }
        Ok(found)
    }
}

/// The counts of several rubrics, as they were at one moment.
pub(crate) async fn load_counts(
    db: &impl ConnectionTrait,
    rubrics: &[Uuid],
    filter: &SummaryFilter,
) -> Result<HashMap<Uuid, Arc<Counts>>, DbErr> {
    let counts = repository::count_values(db, padded(rubrics), filter).await?;
    let mut totals: HashMap<Uuid, Vec<(f64, i64)>> = HashMap::new();
    for (rubric, total, number) in counts.totals {
        totals.entry(rubric).or_default().push((total, number));
    }
    let mut grades: HashMap<Uuid, Vec<(f64, i64)>> = HashMap::new();
    for (criterion, grade, number) in counts.grades {
        grades.entry(criterion).or_default().push((grade, number));
    }
    let grades: HashMap<Uuid, Histogram> = grades
        .into_iter()
        .map(|(criterion, counts)| (criterion, Histogram::new(counts)))
        .collect();
    let grades = Arc::new(grades);
    let of_rubric = |rubric: &Uuid| {
        let counts = Counts {
            totals: Histogram::new(totals.remove(rubric).unwrap_or_default()),
            grades: Arc::clone(&grades),
        };
        (*rubric, Arc::new(counts))
    };
    Ok(rubrics.iter().map(of_rubric).collect())
}

fn grouped<K: Copy + Eq + std::hash::Hash, R>(
    keys: &[K],
    rows: Vec<R>,
    key_of: impl Fn(&R) -> K,
) -> HashMap<K, Arc<Vec<R>>> {
    let mut groups: HashMap<K, Vec<R>> = keys.iter().map(|key| (*key, Vec::new())).collect();
    for row in rows {
        groups.entry(key_of(&row)).or_default().push(row);
    }
    groups
        .into_iter()
        .map(|(key, rows)| (key, Arc::new(rows)))
        .collect()
}
