//! Reminders that wait for their time, and the inbox that they end in.

use chrono::{SubsecRound, Utc};
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
        manager
            .create_table(
                table("reminders", manager)
                    .await?
                    .col(uuid("task_id").not_null())
                    .col(timestamp("remind_at", manager).not_null())
                    .col(ColumnDef::new("state").string_len(16).not_null())
                    // Who took it from PENDING: another one for every batch of every instance.
                    .col(uuid("batch_id"))
                    // A task reminds once of one time, whatever becomes of it meanwhile.
                    .primary_key(Index::create().col("task_id").col("remind_at"))
                    .foreign_key(&mut references(
                        "reminders",
                        "task_id",
                        "tasks",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        for (name, columns) in [
            ("ix_reminders_state", ["state", "remind_at"].as_slice()),
            ("ix_reminders_batch_id", &["batch_id"]),
        ] {
            index(manager, name, "reminders", columns, false).await?;
        }
        manager
            .create_table(
                table("notifications", manager)
                    .await?
                    .col(id())
                    .col(uuid("user_id").not_null())
                    .col(ColumnDef::new("kind").string_len(32).not_null())
                    .col(ColumnDef::new("title").string_len(200).not_null())
                    .col(ColumnDef::new("body").text())
                    // No foreign key: the notification outlives its task.
                    .col(uuid("task_id"))
                    // What it tells of; nobody is told twice.
                    .col(ColumnDef::new("once_key").string_len(100).not_null())
                    .col(ColumnDef::new("delivery").string_len(16).not_null())
                    .col(timestamp("created_at", manager).not_null())
                    .col(timestamp("read_at", manager))
                    .foreign_key(&mut references(
                        "notifications",
                        "user_id",
                        "users",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        for (name, columns, unique) in [
            (
                "uq_notifications_once_key",
                ["user_id", "once_key"].as_slice(),
                true,
            ),
            (
                "ix_notifications_user_id",
                &["user_id", "created_at", "id"],
                false,
            ),
            (
                "ix_notifications_read_at",
                &["user_id", "read_at", "created_at", "id"],
                false,
            ),
        ] {
            index(manager, name, "notifications", columns, unique).await?;
        }
        remind_of_stored_tasks(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["notifications", "reminders"]).await
    }
}

/// Of those whose time has not come: nobody wants to hear now of what was due last month.
#[expect(
    clippy::disallowed_methods,
    reason = "migrations run before there is a clock to ask"
)]
async fn remind_of_stored_tasks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let known = Query::select().column("task_id").from("reminders").take();
    let tasks = Query::select()
        .columns(["id", "remind_at"])
        .expr(Expr::val("PENDING"))
        .from("tasks")
        .and_where(Expr::col("remind_at").gt(Utc::now().naive_utc().trunc_subsecs(3)))
        .and_where(Expr::col("id").not_in_subquery(known))
        .take();
    let mut insert = Query::insert();
    insert
        .into_table("reminders")
        .columns(["task_id", "remind_at", "state"])
        .select_from(tasks)
        .map_err(|error| DbErr::Custom(error.to_string()))?;
    manager.get_connection().execute(&insert).await?;
    Ok(())
}
