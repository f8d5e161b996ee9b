//! Rubrics and scores in the schema.

use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use futures_util::future::try_join;

use crate::entity::{criterion, grade, rubric, score};
use crate::graphql::context::{locale, service, viewer, viewer_opt};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::pagination::{PageArgs, encode, relay_connection};
use crate::graphql::scalars::DateTime;
use crate::identity::User;
use crate::platform::fault::{Fault, Rule};
use crate::platform::id::parse_id;
use crate::platform::locale::Message;
use crate::scores::error::ScoreError;
use crate::scores::loader::{CriteriaOf, GradesOf, RubricById, ScoreLoader};
use crate::scores::repository::{self, ScoreCursor};
use crate::scores::rubric::{GradeDraft, mask};
use crate::scores::service::{NewScore, ScoreService};

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

/// A rubric row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct Rubric(pub rubric::Model);

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
        Ok(criteria.iter().cloned().map(Criterion).collect())
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
}

/// A criterion row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct Criterion(criterion::Model);

/// One thing that a rubric grades.
#[Object]
impl Criterion {
    /// Name for programs, unique within its rubric: what `GradeInput.criterion` refers to.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// Name for people, 1 to 200 characters.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What to look at when grading. Null when nobody wrote it.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Lowest grade, inclusive.
    async fn min_grade(&self) -> i32 {
        self.0.min_grade
    }

    /// Highest grade, inclusive.
    async fn max_grade(&self) -> i32 {
        self.0.max_grade
    }

    /// Share of the criterion in the total, relative to the weights of the others.
    async fn weight(&self) -> f64 {
        self.0.weight
    }

    /// Whether a grade needs a comment.
    async fn is_comment_required(&self) -> bool {
        self.0.is_comment_required
    }

    /// Longest comment, in characters.
    async fn max_comment_length(&self) -> i32 {
        self.0.max_comment_length
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
        let loader: &DataLoader<ScoreLoader> = service(ctx)?;
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
        let loader: &DataLoader<ScoreLoader> = service(ctx)?;
        // Both at once, so that each is one statement for all scores of the level.
        let grades = async {
            Ok(loader
                .load_one(GradesOf(self.0.id))
                .await?
                .unwrap_or_default())
        };
        let (grades, criteria) = try_join(grades, criteria_of(ctx, self.0.rubric_id)).await?;
        Ok(criteria
            .iter()
            .filter_map(|criterion| {
                let grade = grades
                    .iter()
                    .find(|grade| grade.criterion_id == criterion.id)?;
                Some(Grade::new(criterion, grade))
            })
            .collect())
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

/// One criterion's grade in a score.
#[derive(SimpleObject)]
pub struct Grade {
    /// What was graded.
    criterion: Criterion,
    /// The grade, within the criterion's range.
    grade: i32,
    /// The remark that came with it. Null when there was none.
    comment: Option<String>,
}

impl Grade {
    fn new(criterion: &criterion::Model, grade: &grade::Model) -> Self {
        Self {
            criterion: Criterion(criterion.clone()),
            grade: grade.grade,
            comment: grade.comment.clone(),
        }
    }
}

async fn criteria_of(
    ctx: &Context<'_>,
    rubric_id: uuid::Uuid,
) -> Result<Arc<Vec<criterion::Model>>, ApiError> {
    let loader: &DataLoader<ScoreLoader> = service(ctx)?;
    Ok(loader
        .load_one(CriteriaOf(rubric_id))
        .await?
        .unwrap_or_default())
}

relay_connection!(ScoreConnection, ScoreEdge, Score(score::Model), "scores");

/// A score to submit.
#[derive(InputObject)]
struct SubmitScoreInput {
    /// A UUID made by the client: repeating it with the same content answers the stored score instead of adding another.
    id: Option<ID>,
    /// Slug of the rubric.
    #[graphql(default_with = "\"default\".to_owned()")]
    rubric: String,
    /// The account that the grades are about: 5 to 20 digits, a phone or service number.
    account_number: String,
    /// One per criterion, any order.
    grades: Vec<GradeInput>,
}

/// One criterion's grade.
#[derive(InputObject)]
struct GradeInput {
    /// Key of the criterion.
    criterion: String,
    /// The grade, within the criterion's range.
    grade: i32,
    /// A remark, at most `Criterion.maxCommentLength` characters; empty counts as none.
    comment: Option<String>,
}

/// Which scores to list; all parts must hold.
#[derive(InputObject, Default)]
struct ScoreFilter {
    /// Slug of the rubric.
    rubric: Option<String>,
    /// The whole account number.
    account_number: Option<String>,
    /// Id of the author. Others than the caller are found by administrators only.
    submitted_by: Option<ID>,
    /// Submitted at this time or later.
    from: Option<DateTime>,
    /// Submitted before this time.
    to: Option<DateTime>,
}

/// What a submission stored.
#[derive(SimpleObject)]
struct SubmitScorePayload {
    /// The score as it is stored.
    score: Score,
    /// The sentence to show in a toast, in the caller's language.
    message: String,
}

/// Queries about rubrics and scores.
#[derive(Debug, Default)]
pub struct ScoresQuery;

#[Object]
impl ScoresQuery {
    /// A rubric by its slug. Null when there is none; a draft is null for everyone but administrators.
    async fn rubric(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The slug, for example `default`.")] slug: String,
    ) -> Option<Result<Rubric, ApiError>> {
        find_rubric(ctx, &slug).await.transpose()
    }

    /// A score by its id. Null when there is none, or when it is not the caller's; administrators see all.
    /// Errors: UNAUTHENTICATED.
    async fn score(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the score.")] id: ID,
    ) -> Option<Result<Score, ApiError>> {
        find_score(ctx, &id).await.transpose()
    }

    /// The caller's own submissions, every submission for an administrator; newest first.
    /// Errors: UNAUTHENTICATED, BAD_USER_INPUT.
    async fn scores(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which scores. Absent: all.")] filter: Option<ScoreFilter>,
        #[graphql(desc = "Number of scores from the start, 0 to 100. Default 20.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only scores after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of scores from the end, 0 to 100. Not together with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only scores before this cursor.")] before: Option<String>,
    ) -> Result<ScoreConnection, ApiError> {
        let viewer = viewer(ctx)?;
        let scores: &ScoreService = service(ctx)?;
        let page = PageArgs {
            first,
            after,
            last,
            before,
        }
        .check(ScoreCursor::is_valid)?;
        let filter = filter.unwrap_or_default();
        let submitted_by = filter
            .submitted_by
            .map(|id| parse_id(&id).unwrap_or_default());
        let filter = repository::ScoreFilter {
            owner: None,
            submitted_by,
            rubric: filter.rubric,
            account_number: filter.account_number,
            from: filter.from.map(|time| time.0),
            to: filter.to.map(|time| time.0),
        };
        let slice = scores.list(viewer, &filter, &page).await?;
        let total_count = match ctx.look_ahead().field("totalCount").exists() {
            true => scores.count(viewer, &filter).await?,
            false => 0,
        };
        Ok(ScoreConnection {
            slice,
            total_count,
            cursor: Box::new(|score| encode(&ScoreCursor::of(score))),
        })
    }
}

async fn find_rubric(ctx: &Context<'_>, slug: &str) -> Result<Option<Rubric>, ApiError> {
    let scores: &ScoreService = service(ctx)?;
    let rubric = scores.find_rubric(viewer_opt(ctx)?, slug).await?;
    Ok(rubric.map(Rubric))
}

async fn find_score(ctx: &Context<'_>, id: &str) -> Result<Option<Score>, ApiError> {
    let viewer = viewer(ctx)?;
    let scores: &ScoreService = service(ctx)?;
    Ok(match parse_id(id) {
        Some(id) => scores.find(viewer, id).await?.map(Score),
        None => None,
    })
}

/// Mutations of scores.
#[derive(Debug, Default)]
pub struct ScoresMutation;

#[Object]
impl ScoresMutation {
    /// Stores a score. Repeating a client-made `id` with the same content answers the stored score. Every error message
    /// begins with 数据提交失败, or Submission failed in English. Errors: UNAUTHENTICATED, BAD_USER_INPUT, NOT_FOUND for an
    /// unknown rubric, RUBRIC_NOT_OPEN, CONFLICT.
    async fn submit_score(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rubric, account number and grades.")] input: SubmitScoreInput,
    ) -> Result<SubmitScorePayload, ApiError> {
        let submission = async {
            let viewer = viewer(ctx)?;
            let scores: &ScoreService = service(ctx)?;
            Ok::<_, ApiError>(scores.submit(viewer, input.into()).await?)
        };
        match submission.await {
            Ok(score) => Ok(SubmitScorePayload {
                score: Score(score),
                message: locale(ctx)
                    .pick("数据提交成功", "Submitted successfully")
                    .to_owned(),
            }),
            Err(error) => {
                Err(error.with_prefix(Message::new("数据提交失败：", "Submission failed: ")))
            }
        }
    }
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

impl From<ScoreError> for ApiError {
    fn from(error: ScoreError) -> Self {
        match error {
            ScoreError::NoSuchRubric => Self::new(ErrorCode::NotFound).with_fields(vec![Fault {
                path: vec!["input".to_owned(), "rubric".to_owned()],
                rule: Rule::Unknown,
            }]),
            ScoreError::RubricNotOpen => Self::new(ErrorCode::RubricNotOpen),
            ScoreError::IdConflict => Self::new(ErrorCode::Conflict),
            ScoreError::Invalid(faults) => faults.into(),
            ScoreError::Digest(_) | ScoreError::Database(_) => Self::internal(error),
        }
    }
}
