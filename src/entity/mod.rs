//! One SeaORM entity a table. Nothing here reaches a client by itself: the GraphQL types choose what is public.

#![expect(
    missing_docs,
    reason = "a column says what it is by its name; rules stand with the feature that keeps them"
)]

pub mod criterion;
pub mod grade;
pub mod rubric;
pub mod score;
pub mod session;
pub mod task;
pub mod user;
pub mod wechat_identity;
