//! The types, inputs and payloads of rubrics and scores.

use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use futures_util::future::try_join;

use crate::entity::{criterion, grade, rubric, score};
use crate::graphql::context::viewer_opt;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::pagination::relay_connection;
use crate::graphql::scalars::DateTime;
use crate::graphql::scope::{charge, shared};
use crate::identity::User;
use crate::platform::viewer::Viewer;
use crate::scores::loader::{
    Counts, CountsOf, CriteriaOf, GradesOf, LatestOf, RubricById, ScoreLoader,
};
use crate::scores::repository::SummaryFilter;
use crate::scores::rubric::{GradeDraft, mask};
use crate::scores::service::{NewScore, Results, check_results_visible};
use crate::scores::statistics::Histogram;

/// Whether a rubric takes scores.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rubric::RubricState")]
pub enum RubricState {
    /// Being written; only administrators see it.
    Draft,
    /// Takes scores between its opening and closing time.
    Open,
    /// Takes no more scores.
    Closed,
}

/// How often one may submit a score.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rubric::SubmissionPolicy")]
pub enum SubmissionPolicy {
    /// Once for each user.
    OncePerUser,
    /// Once for each account number, whoever submits.
    OncePerAccount,
    /// As often as one likes; each submission is a new score.
    Unlimited,
}

/// How the totals of many scores become one number.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rubric::Aggregation")]
pub enum Aggregation {
    /// The arithmetic mean.
    Mean,
    /// The mean without the highest and the lowest, when there are at least 5.
    TrimmedMean,
    /// The middle value, or the mean of the two in the middle.
    Median,
}

/// How many scores are looked at in the time of a read, a tenth of a millisecond, for results of a
/// period or an account.
const SCORES_PER_READ: u64 = 30;

/// A rubric row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct Rubric(pub Arc<rubric::Model>);

/// What is graded, and by which rules. A fresh database holds one, slug `default`: criteria grade1, grade2 and grade3, each
/// 1 to 5 with an optional comment of at most 500 characters.
#[Object]
impl Rubric {
    /// Opaque, the same for the life of the rubric.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Name for programs and addresses, unique.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// Name for people, 1 to 200 characters.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What the rubric is about. Null when nobody wrote it.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// What is graded, in the order to ask for it.
    async fn criteria(&self, ctx: &Context<'_>) -> Result<Vec<Criterion>, ApiError> {
        let criteria = criteria_of(ctx, self.0.id).await?;
        Ok(Criterion::all(&criteria))
    }

    /// Whether scores are taken, apart from the opening and closing time.
    async fn state(&self) -> RubricState {
        self.0.state.into()
    }

    /// First moment in which scores are taken. Null: from the start.
    async fn opens_at(&self) -> Option<DateTime> {
        self.0.opens_at.map(Into::into)
    }

    /// First moment in which scores are no longer taken. Null: no end.
    async fn closes_at(&self) -> Option<DateTime> {
        self.0.closes_at.map(Into::into)
    }

    /// How often one may submit.
    async fn submission_policy(&self) -> SubmissionPolicy {
        self.0.submission_policy.into()
    }

    /// Minutes after submitting in which the same caller may submit again to correct it; 0 = never.
    async fn edit_window_minutes(&self) -> i32 {
        self.0.edit_window_minutes
    }

    /// How the totals of all scores become one number.
    async fn aggregation(&self) -> Aggregation {
        self.0.aggregation.into()
    }

    /// Whether everyone may see the results, not only administrators.
    async fn is_result_public(&self) -> bool {
        self.0.is_result_public
    }

    /// When the rubric was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// The caller's newest submission. Null when there is none, and without a token.
    async fn viewer_score(&self, ctx: &Context<'_>) -> Option<Result<Score, ApiError>> {
        find_viewer_score(ctx, self.0.id).await.transpose()
    }

    /// The results over all scores, or those that fit the arguments. Null with FORBIDDEN unless the caller is an administrator or
    /// the results are public. Errors: FORBIDDEN.
    async fn summary(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only scores about this whole account number.")] account_number: Option<
            String,
        >,
        #[graphql(desc = "Only scores submitted at this time or later.")] from: Option<DateTime>,
        #[graphql(desc = "Only scores submitted before this time.")] to: Option<DateTime>,
    ) -> Option<Result<ScoreSummary, ApiError>> {
        let filter = SummaryFilter {
            account_number: account_number.map(|text| text.trim().to_owned()),
            from: from.map(|time| time.0),
            to: to.map(|time| time.0),
        };
        Some(summarise(ctx, &self.0, filter).await)
    }
}

async fn find_viewer_score(
    ctx: &Context<'_>,
    rubric_id: uuid::Uuid,
) -> Result<Option<Score>, ApiError> {
    let Some(viewer) = viewer_opt(ctx)? else {
        return Ok(None);
    };
    let loader: Arc<DataLoader<ScoreLoader>> = shared(ctx)?;
    let user_id = viewer.user_id;
    let score = loader.load_one(LatestOf { user_id, rubric_id }).await?;
    Ok(score.map(Score))
}

async fn summarise(
    ctx: &Context<'_>,
    rubric: &rubric::Model,
    filter: SummaryFilter,
) -> Result<ScoreSummary, ApiError> {
    if check_results_visible(viewer_opt(ctx)?, rubric).is_err() {
        // As one field among others it is not worth a sign-in.
        return Err(ApiError::new(ErrorCode::Forbidden));
    }
    let loader: Arc<DataLoader<ScoreLoader>> = shared(ctx)?;
    let rubric_id = rubric.id;
    let is_filtered = filter != SummaryFilter::default();
    let counts = async {
        let counts = loader.load_one(CountsOf { rubric_id, filter }).await?;
        Ok(counts.unwrap_or_default())
    };
    let (counts, criteria) = try_join(counts, criteria_of(ctx, rubric_id)).await?;
    if is_filtered {
        let reads = counts.totals.count() / SCORES_PER_READ;
        charge(ctx, u32::try_from(reads).unwrap_or(u32::MAX));
    }
    Ok(ScoreSummary {
        aggregation: rubric.aggregation,
        counts,
        criteria,
    })
}

/// The numbers that a rubric's results are made from.
pub(super) struct ScoreSummary {
    aggregation: rubric::Aggregation,
    counts: Arc<Counts>,
    criteria: Arc<Vec<criterion::Model>>,
}

/// A submission and the results with it.
#[derive(SimpleObject)]
pub(super) struct ScoreSubmitted {
    /// The new or corrected score. Null for anyone but its author and administrators.
    score: Option<Score>,
    /// The results with it; they may hold later submissions already.
    summary: ScoreSummary,
}

impl ScoreSubmitted {
    /// As `viewer` may see it.
    pub(super) fn new(
        viewer: Option<&Viewer>,
        score: Option<Arc<score::Model>>,
        results: &Results,
    ) -> Self {
        let is_shown = |score: &Arc<score::Model>| {
            viewer.is_some_and(|viewer| viewer.is_admin() || score.user_id == Some(viewer.user_id))
        };
        Self {
            score: score
                .filter(is_shown)
                .map(|score| Score(Arc::unwrap_or_clone(score))),
            summary: ScoreSummary {
                aggregation: results.rubric.aggregation,
                counts: Arc::clone(&results.counts),
                criteria: Arc::clone(&results.criteria),
            },
        }
    }
}

/// The results over many scores of a rubric.
#[Object]
impl ScoreSummary {
    /// How many scores there are.
    async fn count(&self) -> i32 {
        count(self.counts.totals.count())
    }

    /// The totals as one number from 0 to 100, not rounded, by the rubric's `aggregation`. Null without scores.
    async fn total(&self) -> Option<f64> {
        self.counts.totals.aggregate(self.aggregation)
    }

    /// The total in the middle, of an even number the mean of the two in the middle. Null without scores.
    async fn median(&self) -> Option<f64> {
        self.counts.totals.median()
    }

    /// The results of each criterion, in the order of the rubric.
    async fn criteria(&self) -> Vec<CriterionSummary> {
        let summary = |criterion: Criterion| {
            let grades = self.counts.grades.get(&criterion.row().id);
            CriterionSummary {
                grades: grades.cloned().unwrap_or_default(),
                criterion,
            }
        };
        let criteria = Criterion::all(&self.criteria).into_iter();
        criteria.map(summary).collect()
    }
}

/// The numbers that a criterion's results are made from.
pub(super) struct CriterionSummary {
    criterion: Criterion,
    grades: Histogram,
}

/// The results of one criterion.
#[Object]
impl CriterionSummary {
    /// What was graded.
    async fn criterion(&self) -> Criterion {
        self.criterion.clone()
    }

    /// How many grades there are.
    async fn count(&self) -> i32 {
        count(self.grades.count())
    }

    /// The arithmetic mean, not rounded. Null without grades.
    async fn mean(&self) -> Option<f64> {
        self.grades.mean()
    }

    /// The grade in the middle, of an even number the mean of the two in the middle. Null without grades.
    async fn median(&self) -> Option<f64> {
        self.grades.median()
    }

    /// The standard deviation of the population, not rounded. Null without grades.
    async fn standard_deviation(&self) -> Option<f64> {
        self.grades.standard_deviation()
    }

    /// One entry per possible grade, also those that nobody gave, ascending.
    async fn distribution(&self) -> Vec<GradeCount> {
        let entry = |grade: i32| GradeCount {
            grade,
            count: count(self.grades.count_of(f64::from(grade))),
        };
        let criterion = self.criterion.row();
        (criterion.min_grade..=criterion.max_grade)
            .map(entry)
            .collect()
    }
}

/// How often a grade was given.
#[derive(SimpleObject)]
pub(super) struct GradeCount {
    /// The grade.
    grade: i32,
    /// How many scores have it.
    count: i32,
}

fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A criterion row with what the schema shows of it.
#[derive(Debug, Clone)]
pub(super) struct Criterion {
    /// Those of its rubric, shared by all places of an answer where one of them stands.
    all: Arc<Vec<criterion::Model>>,
    place: usize,
}

impl Criterion {
    fn all(all: &Arc<Vec<criterion::Model>>) -> Vec<Self> {
        let criterion = |place| Self {
            all: Arc::clone(all),
            place,
        };
        (0..all.len()).map(criterion).collect()
    }

    fn row(&self) -> &criterion::Model {
        &self.all[self.place]
    }
}

/// One thing that a rubric grades.
#[Object]
impl Criterion {
    /// Name for programs, unique within its rubric: what `GradeInput.criterion` refers to.
    async fn key(&self) -> &str {
        &self.row().key
    }

    /// Name for people, 1 to 200 characters.
    async fn title(&self) -> &str {
        &self.row().title
    }

    /// What to look at when grading. Null when nobody wrote it.
    async fn description(&self) -> Option<&str> {
        self.row().description.as_deref()
    }

    /// Lowest grade, inclusive.
    async fn min_grade(&self) -> i32 {
        self.row().min_grade
    }

    /// Highest grade, inclusive.
    async fn max_grade(&self) -> i32 {
        self.row().max_grade
    }

    /// Share of the criterion in the total, relative to the weights of the others.
    async fn weight(&self) -> f64 {
        self.row().weight
    }

    /// Whether a grade needs a comment.
    async fn is_comment_required(&self) -> bool {
        self.row().is_comment_required
    }

    /// Longest comment, in characters.
    async fn max_comment_length(&self) -> i32 {
        self.row().max_comment_length
    }
}

/// A score row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct Score(pub score::Model);

impl Score {
    fn shows_private_data(&self, ctx: &Context<'_>) -> Result<bool, ApiError> {
        Ok(viewer_opt(ctx)?
            .is_some_and(|viewer| self.0.user_id == Some(viewer.user_id) || viewer.is_admin()))
    }
}

/// One submission by one person about one account.
#[Object]
impl Score {
    /// Opaque; the client's own when it sent one.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The rubric it follows.
    async fn rubric(&self, ctx: &Context<'_>) -> Result<Rubric, ApiError> {
        let loader: Arc<DataLoader<ScoreLoader>> = shared(ctx)?;
        let rubric = loader.load_one(RubricById(self.0.rubric_id)).await?;
        rubric
            .map(Rubric)
            .ok_or_else(|| ApiError::internal(format!("rubric {} is missing", self.0.rubric_id)))
    }

    /// The account that the grades are about: 5 to 20 digits. Whole for its author and administrators; to others 3 digits,
    /// asterisks, 4 digits.
    async fn account_number(&self, ctx: &Context<'_>) -> Result<String, ApiError> {
        Ok(match self.shows_private_data(ctx)? {
            true => self.0.account_number.clone(),
            false => mask(&self.0.account_number),
        })
    }

    /// One grade per criterion, in the order of the rubric.
    async fn grades(&self, ctx: &Context<'_>) -> Result<Vec<Grade>, ApiError> {
        let loader: Arc<DataLoader<ScoreLoader>> = shared(ctx)?;
        // Both at once, so that each is one statement for all scores of the level.
        let grades = async {
            Ok(loader
                .load_one(GradesOf(self.0.id))
                .await?
                .unwrap_or_default())
        };
        let (grades, criteria) = try_join(grades, criteria_of(ctx, self.0.rubric_id)).await?;
        let graded = |criterion: Criterion| {
            let id = criterion.row().id;
            Some(Grade {
                place: grades.iter().position(|grade| grade.criterion_id == id)?,
                all: Arc::clone(&grades),
                criterion,
            })
        };
        let criteria = Criterion::all(&criteria).into_iter();
        Ok(criteria.filter_map(graded).collect())
    }

    /// Weighted mean of the grades, each first scaled to 0..100 over its criterion's range; not rounded.
    async fn total(&self) -> f64 {
        self.0.total
    }

    /// Who submitted it. Null once the author's account is deleted, and for anyone but the author and administrators.
    async fn submitted_by(&self, ctx: &Context<'_>) -> Option<Result<User, ApiError>> {
        match (self.shows_private_data(ctx), self.0.user_id) {
            (Ok(true), Some(id)) => User::load(ctx, id).await.transpose(),
            (Ok(_), _) => None,
            (Err(error), _) => Some(Err(error)),
        }
    }

    /// When it was submitted, by the server's clock.
    async fn submitted_at(&self) -> DateTime {
        self.0.submitted_at.into()
    }

    /// When it was last corrected; `submittedAt` when never.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A grade row with what the schema shows of it.
pub(super) struct Grade {
    criterion: Criterion,
    /// Those of its score.
    all: Arc<Vec<grade::Model>>,
    place: usize,
}

impl Grade {
    fn row(&self) -> &grade::Model {
        &self.all[self.place]
    }
}

/// One criterion's grade in a score.
#[Object]
impl Grade {
    /// What was graded.
    async fn criterion(&self) -> Criterion {
        self.criterion.clone()
    }

    /// The grade, within the criterion's range.
    async fn grade(&self) -> i32 {
        self.row().grade
    }

    /// The remark that came with it. Null when there was none.
    async fn comment(&self) -> Option<&str> {
        self.row().comment.as_deref()
    }
}

async fn criteria_of(
    ctx: &Context<'_>,
    rubric_id: uuid::Uuid,
) -> Result<Arc<Vec<criterion::Model>>, ApiError> {
    let loader: Arc<DataLoader<ScoreLoader>> = shared(ctx)?;
    Ok(loader
        .load_one(CriteriaOf(rubric_id))
        .await?
        .unwrap_or_default())
}

impl From<score::Model> for Score {
    fn from(row: score::Model) -> Self {
        Self(row)
    }
}

impl From<rubric::Model> for Rubric {
    fn from(row: rubric::Model) -> Self {
        Self(Arc::new(row))
    }
}

impl From<Arc<rubric::Model>> for Rubric {
    fn from(row: Arc<rubric::Model>) -> Self {
        Self(row)
    }
}

relay_connection!(
    RubricConnection,
    RubricEdge,
    Rubric(Arc<rubric::Model>),
    "rubrics"
);
relay_connection!(ScoreConnection, ScoreEdge, Score(score::Model), "scores");

/// A score to submit.
#[derive(InputObject)]
pub(super) struct SubmitScoreInput {
    /// A UUID made by the client: repeating it with the same content answers the stored score
    /// instead of adding another. Answered in lower case.
    pub(super) id: Option<ID>,
    /// Slug of the rubric.
    #[graphql(default_with = "\"default\".to_owned()")]
    pub(super) rubric: String,
    /// The account that the grades are about: 5 to 20 digits, a phone or service number.
    pub(super) account_number: String,
    /// One per criterion, any order.
    pub(super) grades: Vec<GradeInput>,
}

/// One criterion's grade.
#[derive(InputObject)]
pub(super) struct GradeInput {
    /// Key of the criterion.
    pub(super) criterion: String,
    /// The grade, within the criterion's range.
    pub(super) grade: i32,
    /// A remark, at most `Criterion.maxCommentLength` characters; empty counts as none.
    pub(super) comment: Option<String>,
}

/// Which scores to list; all parts must hold.
#[derive(InputObject, Default)]
pub(super) struct ScoreFilter {
    /// Slug of the rubric.
    pub(super) rubric: Option<String>,
    /// The whole account number.
    pub(super) account_number: Option<String>,
    /// Id of the author. Others than the caller are found by administrators only.
    pub(super) submitted_by: Option<ID>,
    /// Submitted at this time or later.
    pub(super) from: Option<DateTime>,
    /// Submitted before this time.
    pub(super) to: Option<DateTime>,
}

/// What a submission stored.
#[derive(SimpleObject)]
pub(super) struct SubmitScorePayload {
    /// The score as it is stored.
    pub(super) score: Score,
    /// The sentence to show in a toast, in the caller's language.
    pub(super) message: String,
}

impl From<SubmitScoreInput> for NewScore {
    fn from(input: SubmitScoreInput) -> Self {
        Self {
            id: input.id.map(|id| id.0),
            rubric: input.rubric,
            account_number: input.account_number,
            grades: input
                .grades
                .into_iter()
                .map(|grade| GradeDraft {
                    criterion: grade.criterion,
                    grade: grade.grade,
                    comment: grade.comment,
                })
                .collect(),
        }
    }
}
