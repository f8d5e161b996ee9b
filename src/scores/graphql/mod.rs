//! Rubrics and scores in the schema.

mod types;

use async_graphql::{Context, ID, Object};

pub use self::types::{Rubric, Score};
use self::types::{ScoreConnection, ScoreFilter, SubmitScoreInput, SubmitScorePayload};
use crate::graphql::context::{locale, service, viewer, viewer_opt};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::keyset::TimeCursor;
use crate::graphql::pagination::{PageArgs, encode};
use crate::platform::fault::{Fault, Rule};
use crate::platform::id::parse_id;
use crate::platform::locale::Message;
use crate::scores::error::ScoreError;
use crate::scores::repository;
use crate::scores::service::ScoreService;

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
        .check(*service(ctx)?, TimeCursor::is_valid)?;
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
            cursor: Box::new(|score| encode(&TimeCursor::of(score.submitted_at, score.id))),
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

/// How every message of a submission that failed begins.
pub fn submission_failed() -> Message {
    Message::new("数据提交失败：", "Submission failed: ")
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
            Err(error) => Err(error.with_prefix(submission_failed())),
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
            ScoreError::AuthorGone => Self::new(ErrorCode::TokenRevoked),
            ScoreError::Invalid(faults) => faults.into(),
            ScoreError::Database(error) => error.into(),
            ScoreError::Digest(_) => Self::internal(error),
        }
    }
}
