//! One SeaORM entity a table. Nothing here reaches a client by itself: the GraphQL types choose what is public.

#![expect(
    missing_docs,
    reason = "a column says what it is by its name; rules stand with the feature that keeps them"
)]

pub mod audit_event;
pub mod criterion;
pub mod github_account;
pub mod grade;
pub mod grade_count;
pub mod grade_history;
pub mod identity_signal;
pub mod login_replay;
pub mod notification;
pub mod outbox_message;
pub mod reminder;
pub mod rubric;
pub mod score;
pub mod score_correction;
pub mod score_revision;
pub mod session;
pub mod subscribe_consent;
pub mod subscribe_credit;
pub mod task;
pub mod task_stream;
pub mod task_tombstone;
pub mod total_count;
pub mod user;
pub mod wechat_identity;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

/// The table that has a row of this id, whoever's it is, in one statement. Only what clients see by its id counts, and what they
/// saw lately: a deleted task keeps its id for a while.
pub async fn find_table(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<String>, DbErr> {
    let probe = |table: &'static str| -> SelectStatement {
        Query::select()
            .expr_as(Expr::val(table), "table_name")
            .from(table)
            .and_where(Expr::col("id").eq(id))
            .take()
    };
    let mut query = probe("users");
    for table in [
        "rubrics",
        "scores",
        "tasks",
        "task_tombstones",
        "notifications",
        "sessions",
        "audit_events",
    ] {
        query.union(UnionType::All, probe(table));
    }
    match db.query_one(&query).await? {
        Some(row) => row.try_get("", "table_name").map(Some),
        None => Ok(None),
    }
}
