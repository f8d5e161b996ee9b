//! A rubric as an administrator writes it: the rules for its texts, numbers and times, without I/O.

use std::collections::HashSet;

use uuid::Uuid;

use crate::entity::rubric::{Aggregation, RubricState, SubmissionPolicy};
use crate::entity::{criterion, rubric};
use crate::platform::clock::Timestamp;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::new_id;
use crate::platform::locale::Message;
use crate::platform::patch::Patch;
use crate::scores::rubric::MAX_GRADES;

const SLUG_MAX: usize = 64;
const KEY_MAX: usize = 64;
const TITLE_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 2000;
/// A year.
const WINDOW_MAX: i64 = 525_600;
const GRADE_LIMIT: i64 = 1000;
/// Most grades between the lowest and the highest of a criterion: a distribution has an entry for each.
const SPAN_MAX: i64 = 100;
const COMMENT_MAX: i64 = 5000;
const WEIGHT_MAX: f64 = 1000.0;

/// A rubric to make.
#[derive(Debug, Clone)]
pub struct NewRubric {
    /// Made by the client, so that a repetition is recognised.
    pub id: Option<String>,
    /// Name for programs.
    pub slug: String,
    /// Name for people.
    pub title: String,
    /// Several lines.
    pub description: Option<String>,
    /// What is graded, in order.
    pub criteria: Vec<CriterionDraft>,
    /// Whether scores are taken.
    pub state: RubricState,
    /// From when.
    pub opens_at: Option<Timestamp>,
    /// Until when.
    pub closes_at: Option<Timestamp>,
    /// How often one may submit.
    pub submission_policy: SubmissionPolicy,
    /// How long one may correct.
    pub edit_window_minutes: i32,
    /// How totals become one number.
    pub aggregation: Aggregation,
    /// Who sees results.
    pub is_result_public: bool,
}

/// A criterion as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct CriterionDraft {
    /// Name for programs.
    pub key: String,
    /// Name for people.
    pub title: String,
    /// Several lines.
    pub description: Option<String>,
    /// Lowest grade.
    pub min_grade: i32,
    /// Highest grade.
    pub max_grade: i32,
    /// Share in the total.
    pub weight: f64,
    /// Whether a grade needs a comment.
    pub is_comment_required: bool,
    /// Longest comment.
    pub max_comment_length: i32,
}

/// What to change of a rubric.
#[derive(Debug, Clone, Default)]
pub struct RubricPatch {
    /// Cannot be cleared.
    pub title: Patch<String>,
    /// Several lines.
    pub description: Patch<String>,
    /// All of them anew; cannot be cleared.
    pub criteria: Patch<Vec<CriterionDraft>>,
    /// Cannot be cleared.
    pub state: Patch<RubricState>,
    /// Cleared: from the start.
    pub opens_at: Patch<Timestamp>,
    /// Cleared: without end.
    pub closes_at: Patch<Timestamp>,
    /// Cannot be cleared.
    pub submission_policy: Patch<SubmissionPolicy>,
    /// Cannot be cleared.
    pub edit_window_minutes: Patch<i32>,
    /// Cannot be cleared.
    pub aggregation: Patch<Aggregation>,
    /// Cannot be cleared.
    pub is_result_public: Patch<bool>,
}

/// The rows of a rubric that is fine.
///
/// # Errors
/// What is wrong with it, field by field.
pub(crate) fn check_new(
    new: &NewRubric,
    id: Uuid,
    now: Timestamp,
) -> Result<(rubric::Model, Vec<criterion::Model>), Faults> {
    let mut faults = Faults::under(&["input"]);
    let slug = faults.line(&["slug"], &new.slug, 1, SLUG_MAX);
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if slug.chars().any(|c| !is_allowed(c) && !c.is_control()) {
        let expected = Message::new(
            "只能包含小写英文字母、数字和连字符",
            "lower-case ASCII letters, digits and hyphens",
        );
        faults.add(&["slug"], Rule::Malformed { expected });
    }
    let title = faults.line(&["title"], &new.title, 1, TITLE_MAX);
    let description = new.description.as_deref().unwrap_or_default();
    let description = faults.block(&["description"], description, DESCRIPTION_MAX);
    let criteria = check_criteria(&mut faults, id, &new.criteria);
    let row = rubric::Model {
        id,
        slug,
        title,
        description,
        state: new.state,
        opens_at: new.opens_at,
        closes_at: new.closes_at,
        submission_policy: new.submission_policy,
        edit_window_minutes: new.edit_window_minutes,
        aggregation: new.aggregation,
        is_result_public: new.is_result_public,
        created_at: now,
        updated_at: now,
    };
    check_times(&mut faults, &row);
    faults.check((row, criteria))
}

/// The patch with its texts trimmed.
///
/// # Errors
/// What is wrong with it, as far as that does not depend on the stored rubric.
pub(crate) fn check_patch(mut patch: RubricPatch) -> Result<RubricPatch, Faults> {
    let mut faults = Faults::under(&["input"]);
    for (field, is_cleared) in [
        ("title", patch.title == Patch::Clear),
        ("criteria", patch.criteria == Patch::Clear),
        ("state", patch.state == Patch::Clear),
        ("submissionPolicy", patch.submission_policy == Patch::Clear),
        (
            "editWindowMinutes",
            patch.edit_window_minutes == Patch::Clear,
        ),
        ("aggregation", patch.aggregation == Patch::Clear),
        ("isResultPublic", patch.is_result_public == Patch::Clear),
    ] {
        if is_cleared {
            faults.add(&[field], Rule::NotNullable);
        }
    }
    if let Patch::Set(title) = &mut patch.title {
        *title = faults.line(&["title"], title, 1, TITLE_MAX);
    }
    if let Patch::Set(text) = &patch.description {
        patch.description = match faults.block(&["description"], text, DESCRIPTION_MAX) {
            Some(text) => Patch::Set(text),
            None => Patch::Clear,
        };
    }
    if let Patch::Set(criteria) = &patch.criteria {
        check_criteria(&mut faults, Uuid::nil(), criteria);
    }
    faults.check(patch)
}

/// The rubric with the values of a patch that was checked, and its criteria when they are to be others.
///
/// # Errors
/// When opening and closing time do not go together.
pub(crate) fn apply(
    mut rubric: rubric::Model,
    patch: RubricPatch,
    now: Timestamp,
) -> Result<(rubric::Model, Option<Vec<criterion::Model>>), Faults> {
    let mut faults = Faults::under(&["input"]);
    set(&mut rubric.title, patch.title);
    rubric.description = patch.description.apply(rubric.description);
    set(&mut rubric.state, patch.state);
    rubric.opens_at = patch.opens_at.apply(rubric.opens_at);
    rubric.closes_at = patch.closes_at.apply(rubric.closes_at);
    set(&mut rubric.submission_policy, patch.submission_policy);
    set(&mut rubric.edit_window_minutes, patch.edit_window_minutes);
    set(&mut rubric.aggregation, patch.aggregation);
    set(&mut rubric.is_result_public, patch.is_result_public);
    rubric.updated_at = now;
    let criteria = match patch.criteria {
        Patch::Set(drafts) => Some(check_criteria(&mut faults, rubric.id, &drafts)),
        _ => None,
    };
    check_times(&mut faults, &rubric);
    faults.check((rubric, criteria))
}

fn set<T>(place: &mut T, patch: Patch<T>) {
    if let Patch::Set(value) = patch {
        *place = value;
    }
}

/// Whether the criteria are written as they are stored.
pub(crate) fn is_same(stored: &[criterion::Model], drafts: &[criterion::Model]) -> bool {
    let plain = |criterion: &criterion::Model| criterion::Model {
        id: Uuid::nil(),
        ..criterion.clone()
    };
    stored.len() == drafts.len() && stored.iter().zip(drafts).all(|(a, b)| plain(a) == plain(b))
}

fn check_times(faults: &mut Faults, rubric: &rubric::Model) {
    if let (Some(opens_at), Some(closes_at)) = (rubric.opens_at, rubric.closes_at)
        && closes_at <= opens_at
    {
        let expected = Message::new("应晚于 opensAt", "a time after opensAt");
        faults.add(&["closesAt"], Rule::Malformed { expected });
    }
    range(
        faults,
        &["editWindowMinutes"],
        rubric.edit_window_minutes,
        (0, WINDOW_MAX),
    );
}

fn range(faults: &mut Faults, path: &[&str], value: i32, (min, max): (i64, i64)) {
    if !(min..=max).contains(&i64::from(value)) {
        faults.add(path, Rule::OutOfRange { min, max });
    }
}

fn check_criteria(
    faults: &mut Faults,
    rubric_id: Uuid,
    drafts: &[CriterionDraft],
) -> Vec<criterion::Model> {
    if drafts.is_empty() {
        faults.add(&["criteria"], Rule::Required);
    }
    if drafts.len() > MAX_GRADES {
        faults.add(&["criteria"], Rule::TooLong { max: MAX_GRADES });
        return Vec::new();
    }
    let mut keys = HashSet::new();
    let mut checked = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.iter().enumerate() {
        let place = index.to_string();
        let at = |field: &'static str| ["criteria", place.as_str(), field];
        let key = faults.line(&at("key"), &draft.key, 1, KEY_MAX);
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if key.chars().any(|c| !is_allowed(c) && !c.is_control()) {
            let expected = Message::new(
                "只能包含英文字母、数字、下划线和连字符",
                "ASCII letters, digits, underscores and hyphens",
            );
            faults.add(&at("key"), Rule::Malformed { expected });
        }
        if !keys.insert(key.clone()) {
            faults.add(&at("key"), Rule::Duplicate);
        }
        let title = faults.line(&at("title"), &draft.title, 1, TITLE_MAX);
        let description = draft.description.as_deref().unwrap_or_default();
        let description = faults.block(&at("description"), description, DESCRIPTION_MAX);
        range(
            faults,
            &at("minGrade"),
            draft.min_grade,
            (-GRADE_LIMIT, GRADE_LIMIT),
        );
        let lowest = i64::from(draft.min_grade);
        range(
            faults,
            &at("maxGrade"),
            draft.max_grade,
            (lowest + 1, lowest + SPAN_MAX),
        );
        if !(draft.weight > 0.0 && draft.weight <= WEIGHT_MAX) {
            let expected = Message::new(
                "应大于 0 且不超过 1000",
                "a number above 0 and at most 1000",
            );
            faults.add(&at("weight"), Rule::Malformed { expected });
        }
        let least = i64::from(draft.is_comment_required);
        range(
            faults,
            &at("maxCommentLength"),
            draft.max_comment_length,
            (least, COMMENT_MAX),
        );
        checked.push(criterion::Model {
            id: new_id(),
            rubric_id,
            key,
            position: i32::try_from(index).unwrap_or(i32::MAX),
            title,
            description,
            min_grade: draft.min_grade,
            max_grade: draft.max_grade,
            weight: draft.weight,
            is_comment_required: draft.is_comment_required,
            max_comment_length: draft.max_comment_length,
        });
    }
    checked
}
