//! What a device needs to catch up with its owner's tasks: the number of each change, in the order of commits, and what is left of
//! deleted tasks.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::columns::{drop_index, drop_tables, id, index, references, table, timestamp, uuid};

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
                table("task_streams", manager)
                    .await?
                    .col(uuid("owner_id").not_null().primary_key())
                    // The number of the owner's newest change. Its row is locked while a change is made, which puts them in order.
                    .col(ColumnDef::new("seq").big_integer().not_null())
                    .foreign_key(&mut references(
                        "task_streams",
                        "owner_id",
                        "users",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                table("task_tombstones", manager)
                    .await?
                    // The task's.
                    .col(id())
                    .col(uuid("owner_id").not_null())
                    .col(ColumnDef::new("change_seq").big_integer().not_null())
                    .col(timestamp("deleted_at", manager).not_null())
                    .foreign_key(&mut references(
                        "task_tombstones",
                        "owner_id",
                        "users",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        for (name, columns) in [
            (
                "ix_task_tombstones_owner_id",
                ["owner_id", "change_seq", "id"].as_slice(),
            ),
            ("ix_task_tombstones_deleted_at", &["deleted_at"]),
        ] {
            index(manager, name, "task_tombstones", columns, false).await?;
        }
        for column in ["created_seq", "change_seq"] {
            if !manager.has_column("tasks", column).await? {
                let column = ColumnDef::new(column)
                    .big_integer()
                    .not_null()
                    .default(0)
                    .take();
                let statement = Table::alter().table("tasks").add_column(column).take();
                manager.alter_table(statement).await?;
            }
        }
        number_stored_tasks(manager).await?;
        index(
            manager,
            "ix_tasks_change_seq",
            "tasks",
            &["owner_id", "change_seq", "id"],
            false,
        )
        .await?;
        let known = Query::select()
            .column("owner_id")
            .from("task_streams")
            .take();
        let owners = Query::select()
            .column("owner_id")
            .expr(Expr::col("change_seq").max())
            .from("tasks")
            .and_where(Expr::col("owner_id").not_in_subquery(known))
            .group_by_col("owner_id")
            .take();
        let mut insert = Query::insert();
        insert
            .into_table("task_streams")
            .columns(["owner_id", "seq"])
            .select_from(owners)
            .map_err(|error| DbErr::Custom(error.to_string()))?;
        manager.get_connection().execute(&insert).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_index(manager, "tasks", "ix_tasks_change_seq").await?;
        for column in ["created_seq", "change_seq"] {
            if manager.has_column("tasks", column).await? {
                let statement = Table::alter().table("tasks").drop_column(column).take();
                manager.alter_table(statement).await?;
            }
        }
        drop_tables(manager, &["task_tombstones", "task_streams"]).await
    }
}

/// Counts the tasks of each owner in the order in which they were made.
async fn number_stored_tasks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let numbered = "SELECT id, ROW_NUMBER() OVER (PARTITION BY owner_id ORDER BY created_at, id) AS number FROM tasks";
    let connection = manager.get_connection();
    let sql = match manager.get_database_backend() {
        DbBackend::MySql => format!(
            "UPDATE tasks JOIN ({numbered}) AS numbered ON numbered.id = tasks.id
             SET tasks.created_seq = numbered.number, tasks.change_seq = numbered.number
             WHERE tasks.change_seq = 0"
        ),
        _ => format!(
            "UPDATE tasks SET created_seq = numbered.number, change_seq = numbered.number
             FROM ({numbered}) AS numbered WHERE numbered.id = tasks.id AND tasks.change_seq = 0"
        ),
    };
    connection.execute_unprepared(&sql).await.map(drop)
}
