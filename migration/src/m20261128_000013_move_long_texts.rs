//! Moves the long texts of tasks to the end of their rows on SQLite: to read a column it walks
//! through all that stands before it, page by page where that is long. The other engines keep long
//! texts elsewhere.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::m20261121_000011_index_task_search::{create_search_triggers, drop_search_triggers};

/// In the order in which they stand afterwards.
const LONG: [&str; 2] = ["notes", "search_text"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Sqlite || are_last(manager).await? {
            return Ok(());
        }
        // They name a column that is about to go.
        drop_search_triggers(manager).await?;
        let connection = manager.get_connection();
        for sql in [
            "ALTER TABLE tasks ADD COLUMN moved_notes TEXT",
            "ALTER TABLE tasks ADD COLUMN moved_search_text TEXT NOT NULL DEFAULT ''",
            "UPDATE tasks SET moved_notes = notes, moved_search_text = search_text",
            "ALTER TABLE tasks DROP COLUMN notes",
            "ALTER TABLE tasks DROP COLUMN search_text",
            "ALTER TABLE tasks RENAME COLUMN moved_notes TO notes",
            "ALTER TABLE tasks RENAME COLUMN moved_search_text TO search_text",
        ] {
            connection.execute_unprepared(sql).await?;
        }
        create_search_triggers(manager).await
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        // Columns are found by their names, wherever they stand.
        Ok(())
    }
}

/// Whether they stand there already.
async fn are_last(manager: &SchemaManager<'_>) -> Result<bool, DbErr> {
    let sql = "SELECT name FROM pragma_table_info('tasks') ORDER BY cid DESC LIMIT 2";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = manager.get_connection().query_all_raw(statement).await?;
    let names: Result<Vec<String>, DbErr> =
        rows.iter().map(|row| row.try_get("", "name")).collect();
    Ok(names?.iter().rev().eq(LONG.iter()))
}
