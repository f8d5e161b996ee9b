//! Tasks, one owner each, with an index for every order they can be listed in.

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
                table("tasks", manager)
                    .await?
                    .col(id())
                    .col(uuid("owner_id").not_null())
                    .col(sortable_text("title", 200, manager).not_null())
                    .col(ColumnDef::new("notes").text())
                    .col(ColumnDef::new("status").string_len(16).not_null())
                    .col(ColumnDef::new("priority").small_integer().not_null())
                    .col(ColumnDef::new("tags").json().not_null())
                    // Lower-cased copies made by the application: the engines fold Unicode case differently, or not at all.
                    .col(ColumnDef::new("tags_key").text().not_null())
                    .col(ColumnDef::new("search_text").text().not_null())
                    .col(timestamp("due_at", manager))
                    .col(timestamp("remind_at", manager))
                    .col(timestamp("completed_at", manager))
                    .col(ColumnDef::new("version").integer().not_null())
                    .col(ColumnDef::new("creation_digest").string_len(64).not_null())
                    .col(timestamp("created_at", manager).not_null())
                    .col(timestamp("updated_at", manager).not_null())
                    .foreign_key(&mut references(
                        "tasks",
                        "owner_id",
                        "users",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        for (name, column) in [
            ("ix_tasks_created_at", "created_at"),
            ("ix_tasks_updated_at", "updated_at"),
            ("ix_tasks_due_at", "due_at"),
            ("ix_tasks_priority", "priority"),
            ("ix_tasks_title", "title"),
        ] {
            index(manager, name, "tasks", &["owner_id", column, "id"], false).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["tasks"]).await
    }
}
