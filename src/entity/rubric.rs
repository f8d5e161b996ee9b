//! What is graded, and by which rules.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;

/// Whether scores are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(16))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum RubricState {
    Draft,
    Open,
    Closed,
}

/// How often one may submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(24))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum SubmissionPolicy {
    OncePerUser,
    OncePerAccount,
    Unlimited,
}

/// How many scores become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(16))",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum Aggregation {
    Mean,
    TrimmedMean,
    Median,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rubrics")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub slug: String,
    pub title: String,
    pub description: Option<String>,
    pub state: RubricState,
    pub opens_at: Option<Timestamp>,
    pub closes_at: Option<Timestamp>,
    pub submission_policy: SubmissionPolicy,
    pub edit_window_minutes: i32,
    pub aggregation: Aggregation,
    pub is_result_public: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
