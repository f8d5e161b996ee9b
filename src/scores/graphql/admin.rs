//! The inputs and payloads of administrators.

use async_graphql::{ID, InputObject, MaybeUndefined, SimpleObject};

use super::types::{Aggregation, Rubric, RubricState, SubmissionPolicy};
use crate::graphql::scalars::DateTime;
use crate::platform::patch::Patch;
use crate::scores::draft::{CriterionDraft, NewRubric, RubricPatch};

/// A rubric to make.
#[derive(InputObject)]
pub(super) struct CreateRubricInput {
    /// A UUID made by the client: repeating it with the same content answers the stored rubric
    /// instead of adding another. Answered in lower case.
    id: Option<ID>,
    /// 1 to 64 lower-case letters, digits or hyphens of ASCII, unique.
    slug: String,
    /// 1 to 200 characters.
    title: String,
    /// At most 2,000 characters; empty counts as none.
    description: Option<String>,
    /// 1 to 100, in the order to ask for them.
    criteria: Vec<CriterionInput>,
    /// Whether scores are taken; drafts are seen by administrators only.
    #[graphql(default_with = "RubricState::Draft")]
    state: RubricState,
    /// First moment in which scores are taken. Absent: from the start.
    opens_at: Option<DateTime>,
    /// First moment in which scores are no longer taken. Absent: no end.
    closes_at: Option<DateTime>,
    /// How often one may submit.
    #[graphql(default_with = "SubmissionPolicy::OncePerUser")]
    submission_policy: SubmissionPolicy,
    /// Minutes after submitting in which the same caller may correct the score, 0 to 525,600; 0 = never. Without effect where
    /// the policy is UNLIMITED.
    #[graphql(default = 0)]
    edit_window_minutes: i32,
    /// How the totals of all scores become one number.
    #[graphql(default_with = "Aggregation::Mean")]
    aggregation: Aggregation,
    /// Whether everyone may see the results.
    #[graphql(default = false)]
    is_result_public: bool,
}

/// One thing to grade.
#[derive(InputObject)]
pub(super) struct CriterionInput {
    /// 1 to 64 letters, digits, underscores or hyphens of ASCII, unique within the rubric.
    key: String,
    /// 1 to 200 characters.
    title: String,
    /// At most 2,000 characters; empty counts as none.
    description: Option<String>,
    /// Lowest grade, from -1,000 to 1,000.
    #[graphql(default = 1)]
    min_grade: i32,
    /// Highest grade, above the lowest by 1 to 100.
    #[graphql(default = 5)]
    max_grade: i32,
    /// Share in the total relative to the others, above 0 and at most 1,000.
    #[graphql(default = 1.0)]
    weight: f64,
    /// Whether a grade needs a comment.
    #[graphql(default = false)]
    is_comment_required: bool,
    /// Longest comment in characters, 0 to 5,000; at least 1 where a comment is needed.
    #[graphql(default = 500)]
    max_comment_length: i32,
}

/// What to change of a rubric: a field that is absent stays, null clears it, a value sets it.
#[derive(InputObject)]
pub(super) struct UpdateRubricInput {
    /// Id of the rubric.
    pub(super) id: ID,
    /// 1 to 200 characters. Cannot be cleared.
    title: MaybeUndefined<String>,
    /// At most 2,000 characters; empty clears.
    description: MaybeUndefined<String>,
    /// All criteria anew. They cannot change once the rubric has scores (CONFLICT): close it and create another.
    criteria: MaybeUndefined<Vec<CriterionInput>>,
    /// Whether scores are taken. Cannot be cleared.
    state: MaybeUndefined<RubricState>,
    /// First moment in which scores are taken; null: from the start.
    opens_at: MaybeUndefined<DateTime>,
    /// First moment in which scores are no longer taken; null: no end.
    closes_at: MaybeUndefined<DateTime>,
    /// How often one may submit from now on. Cannot be cleared.
    submission_policy: MaybeUndefined<SubmissionPolicy>,
    /// Minutes in which a score may be corrected, 0 to 525,600. Cannot be cleared.
    edit_window_minutes: MaybeUndefined<i32>,
    /// How the totals of all scores become one number. Cannot be cleared.
    aggregation: MaybeUndefined<Aggregation>,
    /// Whether everyone may see the results. Cannot be cleared.
    is_result_public: MaybeUndefined<bool>,
}

/// A score to delete.
#[derive(InputObject)]
pub(super) struct DeleteScoreInput {
    /// Id of the score.
    pub(super) id: ID,
}

/// A rubric after a change.
#[derive(SimpleObject)]
pub(super) struct RubricPayload {
    /// The rubric as it is stored.
    pub(super) rubric: Rubric,
}

/// What was deleted.
#[derive(SimpleObject)]
pub(super) struct DeleteScorePayload {
    /// Id of the score that is gone.
    pub(super) deleted_score_id: ID,
}

impl From<CriterionInput> for CriterionDraft {
    fn from(input: CriterionInput) -> Self {
        Self {
            key: input.key,
            title: input.title,
            description: input.description,
            min_grade: input.min_grade,
            max_grade: input.max_grade,
            weight: input.weight,
            is_comment_required: input.is_comment_required,
            max_comment_length: input.max_comment_length,
        }
    }
}

impl From<CreateRubricInput> for NewRubric {
    fn from(input: CreateRubricInput) -> Self {
        Self {
            id: input.id.map(|id| id.0),
            slug: input.slug,
            title: input.title,
            description: input.description,
            criteria: input.criteria.into_iter().map(Into::into).collect(),
            state: input.state.into(),
            opens_at: input.opens_at.map(|time| time.0),
            closes_at: input.closes_at.map(|time| time.0),
            submission_policy: input.submission_policy.into(),
            edit_window_minutes: input.edit_window_minutes,
            aggregation: input.aggregation.into(),
            is_result_public: input.is_result_public,
        }
    }
}

impl UpdateRubricInput {
    pub(super) fn into_patch(self) -> RubricPatch {
        RubricPatch {
            title: self.title.into(),
            description: self.description.into(),
            criteria: Patch::from(self.criteria)
                .map(|all| all.into_iter().map(Into::into).collect()),
            state: Patch::from(self.state).map(Into::into),
            opens_at: Patch::from(self.opens_at).map(|time| time.0),
            closes_at: Patch::from(self.closes_at).map(|time| time.0),
            submission_policy: Patch::from(self.submission_policy).map(Into::into),
            edit_window_minutes: self.edit_window_minutes.into(),
            aggregation: Patch::from(self.aggregation).map(Into::into),
            is_result_public: self.is_result_public.into(),
        }
    }
}
