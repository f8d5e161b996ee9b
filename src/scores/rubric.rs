//! The rules of a rubric, without I/O: is it open, do the grades fit its criteria, what is the total.

use serde::Serialize;
use uuid::Uuid;

use crate::entity::rubric::RubricState;
use crate::entity::{criterion, rubric};
use crate::platform::clock::Timestamp;
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;

/// More grades than any rubric has criteria are not looked at one by one.
pub(crate) const MAX_GRADES: usize = 100;
const ACCOUNT_NUMBER_MIN: usize = 5;
const ACCOUNT_NUMBER_MAX: usize = 20;

/// One grade as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GradeDraft {
    /// Key of the criterion.
    pub criterion: String,
    /// The grade.
    pub grade: i32,
    /// A remark.
    pub comment: Option<String>,
}

/// One grade that fits its criterion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckedGrade {
    pub(crate) criterion_id: Uuid,
    pub(crate) grade: i32,
    pub(crate) comment: Option<String>,
}

/// Whether `rubric` takes scores at `now`; the opening time belongs to it, the closing time does not.
pub(crate) fn is_open(rubric: &rubric::Model, now: Timestamp) -> bool {
    rubric.state == RubricState::Open
        && rubric.opens_at.is_none_or(|opens_at| opens_at <= now)
        && rubric.closes_at.is_none_or(|closes_at| now < closes_at)
}

/// 5 to 20 ASCII digits, spaces around them cut off.
pub(crate) fn check_account_number(faults: &mut Faults, text: &str) -> String {
    let text = text.trim();
    if !text.is_empty() && !text.bytes().all(|b| b.is_ascii_digit()) {
        let expected = Message::new("只能包含数字 0 到 9", "digits 0 to 9 only");
        faults.add(&["accountNumber"], Rule::Malformed { expected });
        return text.to_owned();
    }
    faults.line(
        &["accountNumber"],
        text,
        ACCOUNT_NUMBER_MIN,
        ACCOUNT_NUMBER_MAX,
    )
}

/// The grades in the order of `criteria`; every criterion once, in its range, with a comment where one is needed.
pub(crate) fn check_grades(
    faults: &mut Faults,
    criteria: &[criterion::Model],
    drafts: &[GradeDraft],
) -> Vec<CheckedGrade> {
    if drafts.len() > MAX_GRADES {
        faults.add(
            &["grades"],
            Rule::TooLong {
                max: criteria.len(),
            },
        );
        return Vec::new();
    }
    let mut checked: Vec<Option<CheckedGrade>> = vec![None; criteria.len()];
    for (index, draft) in drafts.iter().enumerate() {
        let index = index.to_string();
        let at = |field: &'static str| ["grades", index.as_str(), field];
        let Some(place) = criteria.iter().position(|c| c.key == draft.criterion) else {
            faults.add(&at("criterion"), Rule::Unknown);
            continue;
        };
        if checked[place].is_some() {
            faults.add(&at("criterion"), Rule::Duplicate);
            continue;
        }
        let criterion = &criteria[place];
        if !(criterion.min_grade..=criterion.max_grade).contains(&draft.grade) {
            faults.add(
                &at("grade"),
                Rule::OutOfRange {
                    min: criterion.min_grade.into(),
                    max: criterion.max_grade.into(),
                },
            );
        }
        let max = usize::try_from(criterion.max_comment_length).unwrap_or(0);
        let comment = faults.block(
            &at("comment"),
            draft.comment.as_deref().unwrap_or_default(),
            max,
        );
        if comment.is_none() && criterion.is_comment_required {
            faults.add(&at("comment"), Rule::Required);
        }
        checked[place] = Some(CheckedGrade {
            criterion_id: criterion.id,
            grade: draft.grade,
            comment,
        });
    }
    for (criterion, grade) in criteria.iter().zip(&checked) {
        if grade.is_none() {
            faults.add(
                &["grades"],
                Rule::Lacks {
                    name: criterion.key.clone(),
                },
            );
        }
    }
    checked.into_iter().flatten().collect()
}

/// Weighted mean of the grades, each first scaled to 0..100 over its criterion's range; not rounded.
/// `grades` stand in the order of `criteria`. A criterion of a single possible grade counts as 100.
pub(crate) fn total(criteria: &[criterion::Model], grades: &[CheckedGrade]) -> f64 {
    let mut sum = 0.0;
    let mut weights = 0.0;
    for (criterion, grade) in criteria.iter().zip(grades) {
        let range = f64::from(criterion.max_grade) - f64::from(criterion.min_grade);
        let above = f64::from(grade.grade) - f64::from(criterion.min_grade);
        let scaled = if range > 0.0 {
            above / range * 100.0
        } else {
            100.0
        };
        sum += criterion.weight * scaled;
        weights += criterion.weight;
    }
    if weights > 0.0 { sum / weights } else { 0.0 }
}

/// What somebody else sees of an account number: 3 digits, asterisks, 4 digits; of a shorter one only the last 2.
pub(crate) fn mask(account_number: &str) -> String {
    let length = account_number.len();
    let (head, tail) = if length > 7 {
        (3, 4)
    } else {
        (0, 2.min(length))
    };
    account_number
        .char_indices()
        .map(|(at, digit)| match at < head || at >= length - tail {
            true => digit,
            false => '*',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criterion(key: &str, weight: f64, min_grade: i32, max_grade: i32) -> criterion::Model {
        criterion::Model {
            id: Uuid::now_v7(),
            rubric_id: Uuid::nil(),
            key: key.to_owned(),
            position: 1,
            title: key.to_owned(),
            description: None,
            min_grade,
            max_grade,
            weight,
            is_comment_required: false,
            max_comment_length: 5,
        }
    }

    fn draft(criterion: &str, grade: i32, comment: &str) -> GradeDraft {
        GradeDraft {
            criterion: criterion.to_owned(),
            grade,
            comment: Some(comment.to_owned()),
        }
    }

    #[test]
    fn weighs_grades_over_their_ranges() {
        let criteria = [criterion("a", 1.0, 1, 5), criterion("b", 3.0, 0, 10)];
        let mut faults = Faults::under(&[]);
        let grades = check_grades(
            &mut faults,
            &criteria,
            &[draft("b", 5, ""), draft("a", 5, "")],
        );
        assert!(faults.is_empty());
        assert_eq!(total(&criteria, &grades), (100.0 + 3.0 * 50.0) / 4.0);
    }

    #[test]
    fn names_every_fault_by_its_path() {
        let criteria = [
            criterion("a", 1.0, 1, 5),
            criterion("b", 1.0, 1, 5),
            criterion("c", 1.0, 1, 5),
        ];
        let drafts = [
            draft("a", 6, ""),
            draft("x", 1, ""),
            draft("a", 1, ""),
            draft("b", 1, "六个字的评语"),
        ];
        let mut faults = Faults::under(&["input"]);
        check_grades(&mut faults, &criteria, &drafts);
        let found: Vec<_> = faults
            .into_list()
            .into_iter()
            .map(|fault| (fault.path.join("."), fault.rule))
            .collect();
        let at = |path: &str, rule| (format!("input.grades{path}"), rule);
        assert_eq!(
            found,
            [
                at(".0.grade", Rule::OutOfRange { min: 1, max: 5 }),
                at(".1.criterion", Rule::Unknown),
                at(".2.criterion", Rule::Duplicate),
                at(".3.comment", Rule::TooLong { max: 5 }),
                at(
                    "",
                    Rule::Lacks {
                        name: "c".to_owned()
                    }
                ),
            ]
        );
    }

    #[test]
    fn masks_the_middle() {
        assert_eq!(mask("13800138000"), "138****8000");
        assert_eq!(mask("12345678"), "123*5678");
        assert_eq!(mask("12345"), "***45");
    }
}
