//! Batches what hangs on scores within one level of a query.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::entity::{criterion, grade, rubric};
use crate::graphql::loader::padded;
use crate::platform::db::Database;
use crate::scores::repository;

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
    type Value = rubric::Model;
    type Error = DbErr;

    async fn load(&self, keys: &[RubricById]) -> Result<HashMap<RubricById, rubric::Model>, DbErr> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = repository::list_rubrics(self.db.read(), padded(&ids)).await?;
        Ok(rows
            .into_iter()
            .map(|row| (RubricById(row.id), row))
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
