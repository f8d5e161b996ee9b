//! What scores need beyond being stored: the rule that allows one, their earlier versions, and counts that results are read from.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::columns::{drop_tables, id, index, references, table, timestamp, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            // A digest of what may stand here once: the rubric with the author, or with the account. Null when nothing is
            // limited.
            ColumnDef::new("once_key").string_len(64).take(),
            // 1, and one more with every correction.
            ColumnDef::new("revision")
                .integer()
                .not_null()
                .default(1)
                .take(),
        ] {
            if !manager
                .has_column("scores", column.get_column_name())
                .await?
            {
                let statement = Table::alter().table("scores").add_column(column).take();
                manager.alter_table(statement).await?;
            }
        }
        index(manager, "uq_scores_once_key", "scores", &["once_key"], true).await?;

        manager
            .create_table(
                table("score_revisions", manager)
                    .await?
                    .col(uuid("score_id").not_null())
                    .col(ColumnDef::new("revision").integer().not_null())
                    .col(ColumnDef::new("account_number").string_len(20).not_null())
                    .col(ColumnDef::new("total").double().not_null())
                    .col(timestamp("replaced_at", manager).not_null())
                    .primary_key(Index::create().col("score_id").col("revision"))
                    .foreign_key(&mut references(
                        "score_revisions",
                        "score_id",
                        "scores",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                table("grade_history", manager)
                    .await?
                    .col(uuid("score_id").not_null())
                    .col(ColumnDef::new("revision").integer().not_null())
                    .col(uuid("criterion_id").not_null())
                    .col(ColumnDef::new("grade").integer().not_null())
                    .col(ColumnDef::new("comment").text())
                    .primary_key(
                        Index::create()
                            .col("score_id")
                            .col("revision")
                            .col("criterion_id"),
                    )
                    .foreign_key(&mut references(
                        "grade_history",
                        "score_id",
                        "scores",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                table("score_corrections", manager)
                    .await?
                    // The id that the client gave the submission that became a correction.
                    .col(id())
                    .col(uuid("score_id").not_null())
                    .col(ColumnDef::new("content_digest").string_len(64).not_null())
                    .foreign_key(&mut references(
                        "score_corrections",
                        "score_id",
                        "scores",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        index(
            manager,
            "ix_score_corrections_score_id",
            "score_corrections",
            &["score_id"],
            false,
        )
        .await?;

        manager
            .create_table(
                table("grade_counts", manager)
                    .await?
                    .col(uuid("criterion_id").not_null())
                    .col(ColumnDef::new("grade").integer().not_null())
                    // Submissions at the same time count in different rows and so do not wait for each other.
                    .col(ColumnDef::new("shard").small_integer().not_null())
                    .col(ColumnDef::new("count").big_integer().not_null())
                    .primary_key(
                        Index::create()
                            .col("criterion_id")
                            .col("grade")
                            .col("shard"),
                    )
                    .foreign_key(&mut references(
                        "grade_counts",
                        "criterion_id",
                        "criteria",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                table("total_counts", manager)
                    .await?
                    .col(uuid("rubric_id").not_null())
                    .col(ColumnDef::new("total").double().not_null())
                    .col(ColumnDef::new("shard").small_integer().not_null())
                    .col(ColumnDef::new("count").big_integer().not_null())
                    .primary_key(Index::create().col("rubric_id").col("total").col("shard"))
                    .foreign_key(&mut references(
                        "total_counts",
                        "rubric_id",
                        "rubrics",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        count_stored_scores(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "total_counts",
                "grade_counts",
                "score_corrections",
                "grade_history",
                "score_revisions",
            ],
        )
        .await?;
        if manager.has_index("scores", "uq_scores_once_key").await? {
            let statement = Index::drop()
                .name("uq_scores_once_key")
                .table("scores")
                .to_owned();
            manager.drop_index(statement).await?;
        }
        for column in ["once_key", "revision"] {
            if manager.has_column("scores", column).await? {
                let statement = Table::alter().table("scores").drop_column(column).take();
                manager.alter_table(statement).await?;
            }
        }
        Ok(())
    }
}

/// Counts what was stored before there were counts, once.
async fn count_stored_scores(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    for (counts, columns, rows) in [
        ("grade_counts", ["criterion_id", "grade"], "grades"),
        ("total_counts", ["rubric_id", "total"], "scores"),
    ] {
        let filled = Query::select()
            .expr(Expr::val(1))
            .from(counts)
            .limit(1)
            .take();
        if connection.query_one(&filled).await?.is_some() {
            continue;
        }
        let counted = Query::select()
            .columns(columns)
            .expr(Expr::val(0))
            .expr(Expr::cust("COUNT(*)"))
            .from(rows)
            .group_by_columns(columns)
            .take();
        let mut insert = Query::insert();
        insert
            .into_table(counts)
            .columns([columns[0], columns[1], "shard", "count"])
            .select_from(counted)
            .map_err(|error| DbErr::Custom(error.to_string()))?;
        connection.execute(&insert).await?;
    }
    Ok(())
}
