//! The GitHub accounts that users link to theirs.

use sea_orm_migration::prelude::*;

use crate::columns::{drop_tables, references, table, timestamp, uuid};

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
                table("github_accounts", manager)
                    .await?
                    .col(uuid("user_id").not_null().primary_key())
                    .col(ColumnDef::new("github_id").big_integer().not_null())
                    .col(ColumnDef::new("login").string_len(64).not_null())
                    // Encrypted: the id of the key, then nonce and ciphertext.
                    .col(ColumnDef::new("sealed_token").text().not_null())
                    .col(timestamp("linked_at", manager).not_null())
                    .foreign_key(&mut references(
                        "github_accounts",
                        "user_id",
                        "users",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["github_accounts"]).await
    }
}
