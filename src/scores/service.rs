//! Rules of scores: one method a use case.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use tokio::sync::watch;
use uuid::Uuid;

use crate::entity::find_table;
use crate::entity::rubric::RubricState;
use crate::entity::{criterion, rubric, score};
use crate::graphql::keyset::TimeCursor;
use crate::graphql::pagination::{Page, Slice};
use crate::platform::clock::Clock;
use crate::platform::db::{Database, is_orphan, is_unique_violation};
use crate::platform::digest::content_digest;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::{new_id, parse_id};
use crate::platform::locale::Message;
use crate::platform::text::is_blank;
use crate::platform::viewer::Viewer;
use crate::scores::error::ScoreError;
use crate::scores::event::{ScoreEvents, Submitted};
use crate::scores::loader::{Counts, load_counts};
use crate::scores::repository::{self, ScoreFilter, SummaryFilter};
use crate::scores::rubric::{GradeDraft, check_account_number, check_grades, is_open, total};
use crate::scores::submission::{Submission, store};

/// Tries of a submission that others come before.
const MAX_TRIES: u32 = 4;

/// A submission as a client sends it.
#[derive(Debug, Clone)]
pub struct NewScore {
    /// Made by the client, so that a repetition is recognised.
    pub id: Option<String>,
    /// Slug of the rubric.
    pub rubric: String,
    /// The account that the grades are about.
    pub account_number: String,
    /// One per criterion, any order.
    pub grades: Vec<GradeDraft>,
}

/// Scores and the rubrics they follow.
pub struct ScoreService {
    pub(super) db: Arc<Database>,
    pub(super) clock: Arc<dyn Clock>,
    events: ScoreEvents,
    /// Results as they were after a submission, made once for all who watch.
    results: moka::future::Cache<(Uuid, u64), Arc<Results>>,
}

/// A rubric with what its results are made from.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) rubric: rubric::Model,
    pub(crate) criteria: Arc<Vec<criterion::Model>>,
    pub(crate) counts: Arc<Counts>,
}

impl ScoreService {
    /// The service for one server.
    pub fn new(db: Arc<Database>, clock: Arc<dyn Clock>) -> Self {
        Self {
            db,
            clock,
            events: ScoreEvents::default(),
            results: moka::future::Cache::builder()
                .max_capacity(1000)
                .time_to_live(Duration::from_secs(5))
                .build(),
        }
    }

    /// The submissions of a rubric from now on, as far as they are made in this process.
    pub(crate) fn watch(&self, rubric_id: Uuid) -> watch::Receiver<Submitted> {
        self.events.watch(rubric_id)
    }

    /// The results of a rubric after the submission of this number, which [`ScoreService::watch`] told; later ones may be in
    /// them, too.
    ///
    /// # Errors
    /// `NoSuchRubric`, and the database's.
    pub(crate) async fn results_after(
        &self,
        rubric_id: Uuid,
        number: u64,
    ) -> Result<Arc<Results>, ScoreError> {
        let make = async {
            let rubric = repository::list_rubrics(self.db.read(), vec![rubric_id]);
            let rubric = rubric.await?.pop();
            let rubric = rubric.ok_or_else(|| DbErr::RecordNotFound("rubric".to_owned()))?;
            Ok::<_, DbErr>(Arc::new(self.load_results(rubric).await?))
        };
        let results = self.results.try_get_with((rubric_id, number), make).await;
        results.map_err(|error| Arc::unwrap_or_clone(error).into())
    }

    /// The results of a rubric as they are now, for someone who may see them.
    ///
    /// # Errors
    /// `NoSuchRubric`, `ResultsNeedSignIn`, `ResultsForbidden`.
    pub(crate) async fn results(
        &self,
        viewer: Option<&Viewer>,
        slug: &str,
    ) -> Result<Results, ScoreError> {
        let rubric = self.find_rubric(viewer, slug).await?;
        let rubric = rubric.ok_or(ScoreError::NoSuchRubric)?;
        check_results_visible(viewer, &rubric)?;
        Ok(self.load_results(rubric).await?)
    }

    async fn load_results(&self, rubric: rubric::Model) -> Result<Results, DbErr> {
        let db = self.db.read();
        let counts = load_counts(db, &[rubric.id], &SummaryFilter::default()).await?;
        Ok(Results {
            criteria: Arc::new(repository::list_criteria(db, vec![rubric.id]).await?),
            counts: counts.into_values().next().unwrap_or_default(),
            rubric,
        })
    }

    /// Stores a submission, or corrects the one that the caller may still correct. A repetition with the same id and content
    /// answers the stored score, whatever has become of the rubric since.
    ///
    /// # Errors
    /// `NoSuchRubric`, `RubricNotOpen`, `Invalid`, `AlreadySubmitted`, `EditWindowClosed`, `IdConflict`.
    pub async fn submit(&self, viewer: &Viewer, new: NewScore) -> Result<score::Model, ScoreError> {
        let new = normalise(new);
        let digest = digest(&new)?;
        let known = match &new.id {
            None => Ok(new_id()),
            Some(text) => match parse_id(text) {
                Some(id) => match self.find_repeated(viewer, id, &digest).await {
                    Ok(Some(score)) => return Ok(score),
                    Ok(None) => Ok(id),
                    Err(error @ ScoreError::IdConflict) => Err(error),
                    Err(error) => return Err(error),
                },
                None => {
                    let mut faults = Faults::under(&["input"]);
                    let expected = Message::new("应为带连字符的 UUID", "a UUID with hyphens");
                    faults.add(&["id"], Rule::Malformed { expected });
                    Err(faults.into())
                }
            },
        };
        let rubric = self
            .find_rubric(Some(viewer), &new.rubric)
            .await?
            .ok_or(ScoreError::NoSuchRubric)?;
        // Before everything that is wrong with the submission itself.
        if !is_open(&rubric, self.clock.now()) {
            return Err(ScoreError::RubricNotOpen);
        }
        let id = known?;
        let mut tries = 1;
        loop {
            let submission = self.check(viewer, &rubric, &new, id, &digest).await?;
            let clock = Arc::clone(&self.clock);
            let stored = self
                .db
                .write(move |tx| {
                    let (submission, clock) = (submission.clone(), Arc::clone(&clock));
                    Box::pin(async move { store(tx, submission, clock).await })
                })
                .await;
            match stored {
                Err(ScoreError::Database(error)) if is_unique_violation(&error) => {
                    // The same id, or what may stand here once, came twice at once, and the other request was first.
                    if let Some(score) = self.find_repeated(viewer, id, &digest).await? {
                        return Ok(score);
                    }
                    if tries == MAX_TRIES {
                        return Err(error.into());
                    }
                }
                Err(ScoreError::Database(error)) if is_orphan(&error) => {
                    // The criteria were written anew meanwhile, or the author's account was deleted.
                    if tries == MAX_TRIES {
                        return Err(ScoreError::AuthorGone);
                    }
                }
                other => {
                    if let Ok(score) = &other {
                        self.events.publish(score);
                    }
                    return other;
                }
            }
            tries += 1;
        }
    }

    /// The submission, if it fits the criteria as they are now.
    async fn check(
        &self,
        viewer: &Viewer,
        rubric: &rubric::Model,
        new: &NewScore,
        id: Uuid,
        digest: &str,
    ) -> Result<Submission, ScoreError> {
        let criteria = repository::list_criteria(self.db.read(), vec![rubric.id]).await?;
        let mut faults = Faults::under(&["input"]);
        let account_number = check_account_number(&mut faults, &new.account_number);
        let grades = check_grades(&mut faults, &criteria, &new.grades);
        faults.check(())?;
        Ok(Submission {
            id,
            is_repeatable: new.id.is_some(),
            digest: digest.to_owned(),
            rubric_id: rubric.id,
            user_id: viewer.user_id,
            account_number,
            total: total(&criteria, &grades),
            grades,
        })
    }

    async fn find_repeated(
        &self,
        viewer: &Viewer,
        id: Uuid,
        digest: &str,
    ) -> Result<Option<score::Model>, ScoreError> {
        let db = self.db.read();
        let (score, stored_digest) = match repository::find_any_score(db, id).await? {
            Some(score) => {
                let digest = score.content_digest.clone();
                (Some(score), digest)
            }
            None => match repository::find_correction(db, id).await? {
                Some(correction) => (
                    repository::find_any_score(db, correction.score_id).await?,
                    correction.content_digest,
                ),
                // A score that came in since is found when the insert fails.
                None => {
                    return match find_table(db, id).await?.as_deref() {
                        None | Some("scores") => Ok(None),
                        Some(_) => Err(ScoreError::IdConflict),
                    };
                }
            },
        };
        match score {
            Some(score) if score.user_id == Some(viewer.user_id) && stored_digest == digest => {
                Ok(Some(score))
            }
            _ => Err(ScoreError::IdConflict),
        }
    }

    /// A page of rubrics, newest first; drafts are for administrators.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn list_rubrics(
        &self,
        viewer: Option<&Viewer>,
        state: Option<RubricState>,
        page: &Page<TimeCursor>,
    ) -> Result<Slice<Arc<rubric::Model>>, ScoreError> {
        let db = self.db.read();
        let rows = repository::page_rubrics(db, shows_drafts(viewer), state, page).await?;
        Ok(page.slice(rows.into_iter().map(Arc::new).collect()))
    }

    /// How many rubrics there are.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn count_rubrics(
        &self,
        viewer: Option<&Viewer>,
        state: Option<RubricState>,
    ) -> Result<u64, ScoreError> {
        Ok(repository::count_rubrics(self.db.read(), shows_drafts(viewer), state).await?)
    }

    /// A rubric by its slug; drafts are for administrators.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn find_rubric(
        &self,
        viewer: Option<&Viewer>,
        slug: &str,
    ) -> Result<Option<rubric::Model>, ScoreError> {
        let rubric = repository::find_rubric_by_slug(self.db.read(), slug).await?;
        Ok(rubric.filter(|rubric| is_visible(viewer, rubric)))
    }

    /// A rubric by its id; drafts are for administrators.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn find_rubric_by_id(
        &self,
        viewer: Option<&Viewer>,
        id: Uuid,
    ) -> Result<Option<rubric::Model>, ScoreError> {
        let rubric = repository::list_rubrics(self.db.read(), vec![id])
            .await?
            .pop();
        Ok(rubric.filter(|rubric| is_visible(viewer, rubric)))
    }

    /// A score that the caller submitted, or any for an administrator.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn find(
        &self,
        viewer: &Viewer,
        id: Uuid,
    ) -> Result<Option<score::Model>, ScoreError> {
        Ok(repository::find_score(self.db.read(), scope(viewer), id).await?)
    }

    /// A page of the caller's scores, or of all for an administrator, newest first.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn list(
        &self,
        viewer: &Viewer,
        filter: &ScoreFilter,
        page: &Page<TimeCursor>,
    ) -> Result<Slice<score::Model>, ScoreError> {
        let rows = repository::list_scores(self.db.read(), &scoped(viewer, filter), page).await?;
        Ok(page.slice(rows))
    }

    /// How many scores match in all.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn count(&self, viewer: &Viewer, filter: &ScoreFilter) -> Result<u64, ScoreError> {
        Ok(repository::count_scores(self.db.read(), &scoped(viewer, filter)).await?)
    }
}

/// Administrators may see results, and everybody when they are public.
///
/// # Errors
/// `ResultsNeedSignIn`, `ResultsForbidden`.
pub(crate) fn check_results_visible(
    viewer: Option<&Viewer>,
    rubric: &rubric::Model,
) -> Result<(), ScoreError> {
    match viewer {
        _ if rubric.is_result_public => Ok(()),
        Some(viewer) if viewer.is_admin() => Ok(()),
        Some(_) => Err(ScoreError::ResultsForbidden),
        None => Err(ScoreError::ResultsNeedSignIn),
    }
}

/// Everyone but administrators sees their own.
fn scope(viewer: &Viewer) -> Option<Uuid> {
    (!viewer.is_admin()).then_some(viewer.user_id)
}

fn scoped(viewer: &Viewer, filter: &ScoreFilter) -> ScoreFilter {
    ScoreFilter {
        owner: scope(viewer),
        ..filter.clone()
    }
}

fn is_visible(viewer: Option<&Viewer>, rubric: &rubric::Model) -> bool {
    rubric.state != RubricState::Draft || shows_drafts(viewer)
}

fn shows_drafts(viewer: Option<&Viewer>) -> bool {
    viewer.is_some_and(Viewer::is_admin)
}

fn normalise(mut new: NewScore) -> NewScore {
    new.rubric = new.rubric.trim().to_owned();
    new.account_number = new.account_number.trim().to_owned();
    for grade in &mut new.grades {
        grade.criterion = grade.criterion.trim().to_owned();
        grade.comment = grade
            .comment
            .take()
            .map(|comment| comment.trim().to_owned())
            .filter(|comment| !is_blank(comment));
    }
    new
}

/// The same for the same content in whatever order the grades came.
fn digest(new: &NewScore) -> Result<String, serde_json::Error> {
    let mut grades = new.grades.clone();
    grades.sort();
    content_digest(&(&new.rubric, &new.account_number, grades))
}
