//! Rubrics with their criteria, and the scores that people submit, one grade a criterion.

use sea_orm_migration::prelude::*;

use crate::columns::{drop_tables, id, index, references, sortable_text, table, timestamp, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("rubrics", manager)
                    .await?
                    .col(id())
                    .col(sortable_text("slug", 64, manager).not_null())
                    .col(ColumnDef::new("title").string_len(200).not_null())
                    .col(ColumnDef::new("description").text())
                    .col(ColumnDef::new("state").string_len(16).not_null())
                    .col(timestamp("opens_at", manager))
                    .col(timestamp("closes_at", manager))
                    .col(
                        ColumnDef::new("submission_policy")
                            .string_len(24)
                            .not_null(),
                    )
                    .col(ColumnDef::new("edit_window_minutes").integer().not_null())
                    .col(ColumnDef::new("aggregation").string_len(16).not_null())
                    .col(ColumnDef::new("is_result_public").boolean().not_null())
                    .col(timestamp("created_at", manager).not_null())
                    .col(timestamp("updated_at", manager).not_null())
                    .take(),
            )
            .await?;
        index(manager, "uq_rubrics_slug", "rubrics", &["slug"], true).await?;
        index(
            manager,
            "ix_rubrics_created_at",
            "rubrics",
            &["created_at", "id"],
            false,
        )
        .await?;

        manager
            .create_table(
                table("criteria", manager)
                    .await?
                    .col(id())
                    .col(uuid("rubric_id").not_null())
                    .col(ColumnDef::new("key").string_len(64).not_null())
                    .col(ColumnDef::new("position").integer().not_null())
                    .col(ColumnDef::new("title").string_len(200).not_null())
                    .col(ColumnDef::new("description").text())
                    .col(ColumnDef::new("min_grade").integer().not_null())
                    .col(ColumnDef::new("max_grade").integer().not_null())
                    .col(ColumnDef::new("weight").double().not_null())
                    .col(ColumnDef::new("is_comment_required").boolean().not_null())
                    .col(ColumnDef::new("max_comment_length").integer().not_null())
                    .foreign_key(&mut references(
                        "criteria",
                        "rubric_id",
                        "rubrics",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        index(
            manager,
            "uq_criteria_rubric_id_key",
            "criteria",
            &["rubric_id", "key"],
            true,
        )
        .await?;
        index(
            manager,
            "uq_criteria_rubric_id_position",
            "criteria",
            &["rubric_id", "position"],
            true,
        )
        .await?;

        manager
            .create_table(
                table("scores", manager)
                    .await?
                    .col(id())
                    .col(uuid("rubric_id").not_null())
                    // Null once the author's account is gone: the score stays, without its author.
                    .col(uuid("user_id"))
                    .col(ColumnDef::new("account_number").string_len(20).not_null())
                    .col(ColumnDef::new("total").double().not_null())
                    .col(ColumnDef::new("content_digest").string_len(64).not_null())
                    .col(timestamp("submitted_at", manager).not_null())
                    .col(timestamp("updated_at", manager).not_null())
                    .foreign_key(&mut references(
                        "scores",
                        "rubric_id",
                        "rubrics",
                        ForeignKeyAction::Restrict,
                    ))
                    .foreign_key(&mut references(
                        "scores",
                        "user_id",
                        "users",
                        ForeignKeyAction::SetNull,
                    ))
                    .take(),
            )
            .await?;
        for (name, columns) in [
            ("ix_scores_submitted_at", ["submitted_at", "id"].as_slice()),
            ("ix_scores_user_id", &["user_id", "submitted_at", "id"]),
            ("ix_scores_rubric_id", &["rubric_id", "submitted_at", "id"]),
            (
                "ix_scores_account_number",
                &["account_number", "submitted_at", "id"],
            ),
        ] {
            index(manager, name, "scores", columns, false).await?;
        }

        manager
            .create_table(
                table("grades", manager)
                    .await?
                    .col(uuid("score_id").not_null())
                    .col(uuid("criterion_id").not_null())
                    .col(ColumnDef::new("grade").integer().not_null())
                    .col(ColumnDef::new("comment").text())
                    .primary_key(Index::create().col("score_id").col("criterion_id"))
                    .foreign_key(&mut references(
                        "grades",
                        "score_id",
                        "scores",
                        ForeignKeyAction::Cascade,
                    ))
                    .foreign_key(&mut references(
                        "grades",
                        "criterion_id",
                        "criteria",
                        ForeignKeyAction::Restrict,
                    ))
                    .take(),
            )
            .await?;
        index(
            manager,
            "ix_grades_criterion_id",
            "grades",
            &["criterion_id"],
            false,
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["grades", "scores", "criteria", "rubrics"]).await
    }
}
