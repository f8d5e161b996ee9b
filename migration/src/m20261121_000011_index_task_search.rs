//! Searching in titles and notes by an index of their trigrams, where the engine has one.
//!
//! SQLite has FTS5. The number of a row in the index is made of its owner's number and the task's, so that a search looks at the
//! owner's part of the index alone, whatever others have written. Triggers keep it, so that whatever deletes a task, or an account
//! with all of its tasks, takes them out of the index, too.
//!
//! PostgreSQL has pg_trgm, an extension that the owner of the database can make. Where that fails, and on MySQL and MariaDB, a search
//! goes through the tasks of the owner.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::columns::{drop_index, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => index_sqlite(manager).await,
            DbBackend::Postgres => index_postgres(manager).await,
            _ => Ok(()),
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => {
                drop_search_triggers(manager).await?;
                run(manager, "DROP TABLE IF EXISTS task_search").await?;
                drop_index(manager, "tasks", "ix_tasks_created_seq").await?;
                drop_index(manager, "task_streams", "uq_task_streams_number").await?;
                if manager.has_column("task_streams", "number").await? {
                    run(manager, "ALTER TABLE task_streams DROP COLUMN number").await?;
                }
                Ok(())
            }
            DbBackend::Postgres => run(manager, "DROP INDEX IF EXISTS ix_tasks_search_text").await,
            _ => Ok(()),
        }
    }
}

async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager
        .get_connection()
        .execute_unprepared(sql)
        .await
        .map(drop)
}

/// The row in the index of the task that `row` names in a trigger.
fn rowid_of(row: &str) -> String {
    format!(
        "(SELECT number << 32 | {row}.created_seq FROM task_streams WHERE owner_id = {row}.owner_id)"
    )
}

async fn index_sqlite(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if !manager.has_column("task_streams", "number").await? {
        run(
            manager,
            "ALTER TABLE task_streams ADD COLUMN number INTEGER",
        )
        .await?;
        run(
            manager,
            "UPDATE task_streams SET number = numbered.number FROM
             (SELECT owner_id, ROW_NUMBER() OVER (ORDER BY owner_id) AS number FROM task_streams) AS numbered
             WHERE numbered.owner_id = task_streams.owner_id",
        )
        .await?;
    }
    index(
        manager,
        "uq_task_streams_number",
        "task_streams",
        &["number"],
        true,
    )
    .await?;
    index(
        manager,
        "ix_tasks_created_seq",
        "tasks",
        &["owner_id", "created_seq"],
        false,
    )
    .await?;
    if manager.has_table("task_search").await? {
        return Ok(());
    }
    // The texts stand in `tasks`; they are in lower case already.
    run(
        manager,
        "CREATE VIRTUAL TABLE task_search USING fts5(
             text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1')",
    )
    .await?;
    run(
        manager,
        "INSERT INTO task_search (rowid, text)
         SELECT task_streams.number << 32 | tasks.created_seq, tasks.search_text
         FROM tasks JOIN task_streams ON task_streams.owner_id = tasks.owner_id",
    )
    .await?;
    create_search_triggers(manager).await
}

pub(crate) async fn drop_search_triggers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for trigger in [
        "task_streams_number",
        "task_streams_forget",
        "tasks_search_insert",
        "tasks_search_update",
        "tasks_search_delete",
    ] {
        run(manager, &format!("DROP TRIGGER IF EXISTS {trigger}")).await?;
    }
    Ok(())
}

pub(crate) async fn create_search_triggers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (new, old) = (rowid_of("new"), rowid_of("old"));
    for trigger in [
        "TRIGGER task_streams_number AFTER INSERT ON task_streams WHEN new.number IS NULL BEGIN
             UPDATE task_streams SET number = (SELECT COALESCE(MAX(number), 0) + 1 FROM task_streams)
             WHERE owner_id = new.owner_id;
         END"
        .to_owned(),
        "TRIGGER task_streams_forget BEFORE DELETE ON task_streams BEGIN
             DELETE FROM task_search
             WHERE rowid BETWEEN old.number << 32 AND (old.number << 32 | 4294967295);
         END"
        .to_owned(),
        format!(
            "TRIGGER tasks_search_insert AFTER INSERT ON tasks WHEN {new} IS NOT NULL BEGIN
                 INSERT INTO task_search (rowid, text) VALUES ({new}, new.search_text);
             END"
        ),
        format!(
            "TRIGGER tasks_search_update AFTER UPDATE OF search_text ON tasks
             WHEN old.search_text IS NOT new.search_text BEGIN
                 UPDATE task_search SET text = new.search_text WHERE rowid = {old};
             END"
        ),
        format!(
            "TRIGGER tasks_search_delete AFTER DELETE ON tasks BEGIN
                 DELETE FROM task_search WHERE rowid = {old};
             END"
        ),
    ] {
        run(manager, &format!("CREATE {trigger}")).await?;
    }
    Ok(())
}

/// The catalogue does not tell all that may be in the way: privileges, lists of what a provider allows, another search_path. So it is
/// tried, and left when it fails.
async fn index_postgres(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    run(
        manager,
        "DO $$ BEGIN
             CREATE EXTENSION IF NOT EXISTS pg_trgm;
             CREATE EXTENSION IF NOT EXISTS btree_gin;
             CREATE INDEX IF NOT EXISTS ix_tasks_search_text ON tasks
                 USING gin (owner_id, search_text gin_trgm_ops);
         EXCEPTION WHEN OTHERS THEN
             RAISE WARNING 'searching tasks uses no index: %', SQLERRM;
         END $$",
    )
    .await
}
