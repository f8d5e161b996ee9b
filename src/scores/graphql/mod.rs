//! Rubrics and scores in the schema.

mod admin;
mod fields;
mod types;

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, ID, Object, Subscription};
use futures_util::{Stream, stream};
use tokio::time::Instant;

use self::admin::{
    CreateRubricInput, DeleteScoreInput, DeleteScorePayload, RubricPayload, UpdateRubricInput,
};
pub use self::fields::FIELDS;
pub use self::types::{Rubric, Score};
use self::types::{
    RubricConnection, RubricState, ScoreConnection, ScoreFilter, ScoreSubmitted, SubmitScoreInput,
    SubmitScorePayload,
};
use crate::graphql::context::{admin, locale, service, shared_service, viewer, viewer_opt};

use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::keyset::TimeCursor;
use crate::graphql::pagination::{PageArgs, encode};
use crate::platform::fault::{Fault, Rule};
use crate::platform::id::parse_id;
use crate::platform::locale::Message;
use crate::platform::task::to_end;
use crate::scores::error::ScoreError;
use crate::scores::repository;
use crate::scores::service::{ScoreService, check_results_visible};

/// Shortest time between two events of one subscription.
const PACE: Duration = Duration::from_millis(500);

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

    /// Rubrics, newest first; drafts for administrators only. Errors: BAD_USER_INPUT.
    async fn rubrics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only rubrics in this state. Absent: all that the caller may see.")]
        state: Option<RubricState>,
        #[graphql(desc = "Number of rubrics from the start, 0 to 100. Default 20.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only rubrics after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of rubrics from the end, 0 to 100. Not together with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only rubrics before this cursor.")] before: Option<String>,
    ) -> Result<RubricConnection, ApiError> {
        let viewer = viewer_opt(ctx)?;
        let scores: &ScoreService = service(ctx)?;
        let page = PageArgs {
            first,
            after,
            last,
            before,
        }
        .check(*service(ctx)?, TimeCursor::is_valid)?;
        let state = state.map(Into::into);
        let slice = scores.list_rubrics(viewer, state, &page).await?;
        let total_count = match ctx.look_ahead().field("totalCount").exists() {
            true => scores.count_rubrics(viewer, state).await?,
            false => 0,
        };
        Ok(RubricConnection {
            slice,
            total_count,
            cursor: Box::new(|rubric| encode(&TimeCursor::of(rubric.created_at, rubric.id))),
        })
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
    Ok(rubric.map(Rubric::from))
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
    /// Stores a score. Repeating a client-made `id` with the same content answers the stored score, whatever has become of the
    /// rubric. Under UNLIMITED each submission is a new score. Under ONCE_PER_USER the caller, under ONCE_PER_ACCOUNT the account
    /// number has one, whoever submits: the caller's second submission within `editWindowMinutes` of the first corrects it, keeps
    /// its id and sets `updatedAt`; what it was before is kept for the records. Every error message begins with 数据提交失败, or
    /// Submission failed in English. Errors: UNAUTHENTICATED, NOT_FOUND for an unknown rubric, RUBRIC_NOT_OPEN, BAD_USER_INPUT,
    /// ALREADY_SUBMITTED without a window or when the score is another person's, EDIT_WINDOW_CLOSED after a window, CONFLICT for an
    /// `id` with other content.
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

/// Mutations of administrators.
#[derive(Debug, Default)]
pub struct ScoresAdminMutation;

#[Object]
impl ScoresAdminMutation {
    /// Makes a rubric, for administrators. Repeating a client-made `id` with the same content answers the stored rubric.
    /// Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.
    async fn create_rubric(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rubric.")] input: CreateRubricInput,
    ) -> Result<RubricPayload, ApiError> {
        admin(ctx)?;
        let scores: &ScoreService = service(ctx)?;
        let rubric = scores.create_rubric(input.into()).await?;
        Ok(RubricPayload {
            rubric: rubric.into(),
        })
    }

    /// Changes what the input names of a rubric and keeps the rest, for administrators. Errors: UNAUTHENTICATED, FORBIDDEN,
    /// NOT_FOUND, BAD_USER_INPUT, CONFLICT for other criteria once there are scores.
    async fn update_rubric(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateRubricInput,
    ) -> Result<RubricPayload, ApiError> {
        admin(ctx)?;
        let scores: &ScoreService = service(ctx)?;
        let id = input.id.0.clone();
        let rubric = scores.update_rubric(&id, input.into_patch()).await?;
        Ok(RubricPayload {
            rubric: rubric.into(),
        })
    }

    /// Deletes a score with its history, for administrators. Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND.
    async fn delete_score(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The score.")] input: DeleteScoreInput,
    ) -> Result<DeleteScorePayload, ApiError> {
        admin(ctx)?;
        let scores: &ScoreService = service(ctx)?;
        let id = scores.delete_score(&input.id).await?;
        Ok(DeleteScorePayload {
            deleted_score_id: id.into(),
        })
    }
}

/// Subscriptions to scores.
#[derive(Debug, Default)]
pub struct ScoresSubscription;

#[Subscription]
impl ScoresSubscription {
    /// The results of a rubric after every new or corrected submission, at most twice a second; of a burst the newest submission
    /// comes with results that hold them all. For administrators, and everybody when the results are public. Events are not kept:
    /// load `Rubric.summary` after every connection. Errors: NOT_FOUND, UNAUTHENTICATED without a token and FORBIDDEN with one that
    /// may not see the results, also when they are no longer public.
    async fn score_submitted(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Slug of the rubric.")] rubric: String,
    ) -> Result<impl Stream<Item = Result<ScoreSubmitted, ApiError>>, ApiError> {
        let viewer = viewer_opt(ctx)?.copied();
        let scores = shared_service::<ScoreService>(ctx)?;
        let found = {
            let scores = Arc::clone(&scores);
            to_end(async move { scores.find_rubric(viewer.as_ref(), &rubric).await }).await?
        };
        let rubric = found.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
        check_results_visible(viewer.as_ref(), &rubric)?;
        let watch = scores.watch(rubric.id);
        let state = Some((watch, None::<Instant>));
        Ok(stream::unfold(state, move |state| {
            let scores = Arc::clone(&scores);
            async move {
                let (mut watch, sent_at) = state?;
                watch.changed().await.ok()?;
                if let Some(sent_at) = sent_at {
                    tokio::time::sleep_until(sent_at + PACE).await;
                }
                let submitted = watch.borrow_and_update().clone();
                let results = {
                    let (scores, number) = (Arc::clone(&scores), submitted.number);
                    to_end(async move { scores.results_after(rubric.id, number).await }).await
                };
                let event = results.map_err(ApiError::from).and_then(|results| {
                    check_results_visible(viewer.as_ref(), &results.rubric)?;
                    Ok(ScoreSubmitted::new(
                        viewer.as_ref(),
                        submitted.score,
                        &results,
                    ))
                });
                let next = event.is_ok().then(|| (watch, Some(Instant::now())));
                Some((event, next))
            }
        }))
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
            ScoreError::AlreadySubmitted => Self::new(ErrorCode::AlreadySubmitted),
            ScoreError::EditWindowClosed => Self::new(ErrorCode::EditWindowClosed),
            ScoreError::NoSuchScore => Self::new(ErrorCode::NotFound),
            ScoreError::ResultsNeedSignIn => Self::new(ErrorCode::Unauthenticated),
            ScoreError::ResultsForbidden => Self::new(ErrorCode::Forbidden),
            ScoreError::SlugTaken => Self::new(ErrorCode::BadUserInput).with_fields(vec![Fault {
                path: vec!["input".to_owned(), "slug".to_owned()],
                rule: Rule::Taken,
            }]),
            ScoreError::CriteriaFrozen => {
                Self::new(ErrorCode::Conflict).with_message(Message::new(
                    "已有评分，不能再修改评分项",
                    "There are scores already, so the criteria cannot change",
                ))
            }
            ScoreError::IdConflict => Self::new(ErrorCode::Conflict),
            ScoreError::AuthorGone => Self::new(ErrorCode::TokenRevoked),
            ScoreError::Invalid(faults) => faults.into(),
            ScoreError::Database(error) => error.into(),
            ScoreError::Digest(_) => Self::internal(error),
        }
    }
}
