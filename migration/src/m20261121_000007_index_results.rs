//! Indexes from which results of a period are counted without reading a row: for each value, how many lie between two times.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::columns::{drop_index, index, timestamp};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_column("grades", "submitted_at").await? {
            // The score's own, which never changes.
            let mut column = timestamp("submitted_at", manager);
            column.not_null().default("1970-01-01 00:00:00.000");
            let statement = Table::alter().table("grades").add_column(column).take();
            manager.alter_table(statement).await?;
        }
        let submitted_at = Query::select()
            .column("submitted_at")
            .from("scores")
            .and_where(Expr::col(("scores", "id")).equals(("grades", "score_id")))
            .take();
        let copy = Query::update()
            .table("grades")
            .value(
                "submitted_at",
                SimpleExpr::SubQuery(None, Box::new(submitted_at.into())),
            )
            .take();
        manager.get_connection().execute(&copy).await?;
        index(
            manager,
            "ix_grades_criterion_id_grade",
            "grades",
            &["criterion_id", "grade", "submitted_at"],
            false,
        )
        .await?;
        // With the total at its end, the one that lists scores serves results, too.
        extend_scores_index(manager, &["rubric_id", "submitted_at", "id", "total"]).await?;
        // The new one begins with the same column.
        drop_index(manager, "grades", "ix_grades_criterion_id").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // First the one that MySQL wants to see for the foreign key.
        index(
            manager,
            "ix_grades_criterion_id",
            "grades",
            &["criterion_id"],
            false,
        )
        .await?;
        drop_index(manager, "grades", "ix_grades_criterion_id_grade").await?;
        extend_scores_index(manager, &["rubric_id", "submitted_at", "id"]).await?;
        if manager.has_column("grades", "submitted_at").await? {
            let statement = Table::alter()
                .table("grades")
                .drop_column("submitted_at")
                .take();
            manager.alter_table(statement).await?;
        }
        Ok(())
    }
}

/// Makes the index of a rubric's scores anew. MySQL wants one for the foreign key at every moment.
async fn extend_scores_index(
    manager: &SchemaManager<'_>,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let other = "ix_scores_rubric_id_other";
    index(manager, other, "scores", &["rubric_id"], false).await?;
    drop_index(manager, "scores", "ix_scores_rubric_id").await?;
    index(manager, "ix_scores_rubric_id", "scores", columns, false).await?;
    drop_index(manager, "scores", other).await
}
