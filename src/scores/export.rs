//! Every score of a rubric, a page at a time, for files that programs and spreadsheets read.

use std::collections::HashMap;

use uuid::Uuid;

use crate::entity::{criterion, grade, rubric, score};
use crate::platform::clock::Timestamp;
use crate::platform::viewer::Viewer;
use crate::scores::error::ScoreError;
use crate::scores::repository;
use crate::scores::service::ScoreService;

/// Scores that are held in memory at a time.
const PAGE: u64 = 1000;

/// What an export is about.
#[derive(Debug, Clone)]
pub struct Export {
    rubric_id: Uuid,
    /// Slug of the rubric, for the name of the file.
    pub slug: String,
    /// The columns of grades, in order.
    pub criteria: Vec<criterion::Model>,
}

/// One score as a row.
#[derive(Debug, Clone)]
pub struct ExportRow {
    /// The score.
    pub score: score::Model,
    /// The author's user name, or the id of one without; `None` once the account is deleted.
    pub author: Option<String>,
    /// Grade and comment of each criterion, in order.
    pub grades: Vec<Option<(i32, Option<String>)>>,
}

/// Where an export goes on.
pub(crate) type Position = Option<(Timestamp, Uuid)>;

impl ScoreService {
    /// Begins to export the scores of a rubric.
    ///
    /// # Errors
    /// `NoSuchRubric`; only the database's otherwise.
    pub async fn export(&self, viewer: &Viewer, slug: &str) -> Result<Export, ScoreError> {
        let rubric: rubric::Model = self
            .find_rubric(Some(viewer), slug)
            .await?
            .ok_or(ScoreError::NoSuchRubric)?;
        Ok(Export {
            criteria: repository::list_criteria(self.db.read(), vec![rubric.id]).await?,
            rubric_id: rubric.id,
            slug: rubric.slug,
        })
    }

    /// The next scores of an export, oldest first, and where it goes on; nowhere at its end.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn export_page(
        &self,
        export: &Export,
        after: Position,
    ) -> Result<(Vec<ExportRow>, Position), ScoreError> {
        let db = self.db.read();
        let scores = repository::list_oldest(db, export.rubric_id, after, PAGE).await?;
        let next = match scores.last() {
            Some(last) if scores.len() as u64 == PAGE => Some((last.submitted_at, last.id)),
            _ => None,
        };
        let ids = scores.iter().map(|score| score.id).collect();
        let mut grades: HashMap<Uuid, Vec<grade::Model>> = HashMap::new();
        for grade in repository::list_grades(db, ids).await? {
            grades.entry(grade.score_id).or_default().push(grade);
        }
        let authors = scores.iter().filter_map(|score| score.user_id).collect();
        let names: HashMap<Uuid, Option<String>> = repository::list_author_names(db, authors)
            .await?
            .into_iter()
            .collect();
        let row = |score: score::Model| {
            let mut given = grades.remove(&score.id).unwrap_or_default();
            let mut of_criterion = |criterion: &criterion::Model| {
                let place = given.iter().position(|g| g.criterion_id == criterion.id)?;
                let grade = given.swap_remove(place);
                Some((grade.grade, grade.comment))
            };
            let author = score.user_id.and_then(|id| {
                let name = names.get(&id)?;
                Some(name.clone().unwrap_or_else(|| id.to_string()))
            });
            ExportRow {
                grades: export.criteria.iter().map(&mut of_criterion).collect(),
                author,
                score,
            }
        };
        Ok((scores.into_iter().map(row).collect(), next))
    }
}
