//! The rubric that a fresh database holds: `default`, three criteria of 1 to 5 with an optional comment each.

use chrono::{SubsecRound, Utc};
use sea_orm_migration::prelude::*;
use uuid::Uuid;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const SLUG: &str = "default";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "no test depends on when the rubric was made"
    )]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let mut find = Query::select().column("id").from("rubrics").take();
        find.and_where(Expr::col("slug").eq(SLUG));
        let rubric_id = match db.query_one(&find).await? {
            Some(row) => row.try_get::<Uuid>("", "id")?,
            None => {
                let id = Uuid::now_v7();
                let now = Utc::now().naive_utc().trunc_subsecs(3);
                let insert = Query::insert()
                    .into_table("rubrics")
                    .columns([
                        "id",
                        "slug",
                        "title",
                        "state",
                        "submission_policy",
                        "edit_window_minutes",
                        "aggregation",
                        "is_result_public",
                        "created_at",
                        "updated_at",
                    ])
                    .values_panic([
                        id.into(),
                        SLUG.into(),
                        "服务评分 Service rating".into(),
                        "OPEN".into(),
                        "UNLIMITED".into(),
                        0.into(),
                        "MEAN".into(),
                        false.into(),
                        now.into(),
                        now.into(),
                    ])
                    .take();
                db.execute(&insert).await?;
                id
            }
        };
        for position in 1..=3 {
            let key = format!("grade{position}");
            let mut present = Query::select().column("id").from("criteria").take();
            present
                .and_where(Expr::col("rubric_id").eq(rubric_id))
                .and_where(Expr::col("key").eq(key.as_str()));
            if db.query_one(&present).await?.is_some() {
                continue;
            }
            let insert = Query::insert()
                .into_table("criteria")
                .columns([
                    "id",
                    "rubric_id",
                    "key",
                    "position",
                    "title",
                    "min_grade",
                    "max_grade",
                    "weight",
                    "is_comment_required",
                    "max_comment_length",
                ])
                .values_panic([
                    Uuid::now_v7().into(),
                    rubric_id.into(),
                    key.into(),
                    position.into(),
                    format!("评分{position} Grade {position}").into(),
                    1.into(),
                    5.into(),
                    1.0.into(),
                    false.into(),
                    500.into(),
                ])
                .take();
            db.execute(&insert).await?;
        }
        Ok(())
    }

    /// Leaves a rubric that people have already submitted scores for: undoing must not destroy what they sent.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut unused = Query::delete().from_table("rubrics").take();
        unused.and_where(Expr::col("slug").eq(SLUG)).and_where(
            Expr::col("id")
                .not_in_subquery(Query::select().column("rubric_id").from("scores").take()),
        );
        manager.get_connection().execute(&unused).await?;
        Ok(())
    }
}
