//! The database schema of WeGraph: an ordered list of migrations that run on SQLite, PostgreSQL and MySQL/MariaDB.
//!
//! A migration is never edited once it is released; a change is a new file. Every one of them can be undone, and can be
//! started again after a crash half-way: MySQL commits each DDL statement on its own, so every step first looks whether it
//! has been done.

pub use sea_orm_migration::prelude::{MigrationName, MigratorTrait};
use sea_orm_migration::prelude::{MigrationTrait, async_trait};

mod columns;
mod m20261121_000001_create_identity;
mod m20261121_000002_create_scores;
mod m20261121_000003_create_tasks;
mod m20261121_000004_insert_default_rubric;
mod m20261121_000005_extend_identity;
mod m20261121_000006_complete_scores;
mod m20261121_000007_index_results;
mod m20261121_000008_sync_tasks;
mod m20261121_000009_create_notifications;
mod m20261121_000010_create_messages;
mod m20261121_000011_index_task_search;
mod m20261122_000012_create_github_accounts;
mod m20261128_000013_move_long_texts;

/// Applies and undoes the migrations, in the order listed here.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_identity::Migration),
            Box::new(m20261121_000002_create_scores::Migration),
            Box::new(m20261121_000003_create_tasks::Migration),
            Box::new(m20261121_000004_insert_default_rubric::Migration),
            Box::new(m20261121_000005_extend_identity::Migration),
            Box::new(m20261121_000006_complete_scores::Migration),
            Box::new(m20261121_000007_index_results::Migration),
            Box::new(m20261121_000008_sync_tasks::Migration),
            Box::new(m20261121_000009_create_notifications::Migration),
            Box::new(m20261121_000010_create_messages::Migration),
            Box::new(m20261121_000011_index_task_search::Migration),
            Box::new(m20261122_000012_create_github_accounts::Migration),
            Box::new(m20261128_000013_move_long_texts::Migration),
        ]
    }
}
