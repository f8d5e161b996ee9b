//! What the gateway has to know of the fields of rubrics and scores.

use crate::graphql::fields::{FieldFacts, field};
use crate::scores::graphql::submission_failed;

/// Scores of a period or an account are counted one by one; what is counted is charged besides.
const FILTERS: &[(&[&str], u32)] = &[
    (&["accountNumber"], 1000),
    (&["from"], 1000),
    (&["to"], 1000),
];

/// Fields with something to know. A rubric has a few criteria, and a hundred at the most.
pub const FIELDS: &[FieldFacts] = &[
    field("Query", "rubric").public().costs(1),
    field("Query", "rubrics").public().costs(1),
    field("Query", "score").costs(1),
    field("Query", "scores").costs(1),
    field("RubricConnection", "totalCount").costs(5),
    field("ScoreConnection", "totalCount").costs(5),
    field("Rubric", "criteria").entries(6).costs(1),
    field("Rubric", "summary").costs(5).narrowed_by(FILTERS),
    field("Rubric", "viewerScore").costs(1),
    field("ScoreSummary", "criteria").entries(6),
    field("CriterionSummary", "distribution").entries(10),
    field("Score", "grades").entries(6).costs(1),
    field("Score", "rubric").costs(1),
    field("ScoreSubmitted", "score").personal(),
    field("Mutation", "submitScore").fails_with(submission_failed),
];
