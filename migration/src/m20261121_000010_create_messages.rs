//! Messages of WeChat that go with notifications, and what people agreed to get.

use sea_orm_migration::prelude::*;

use crate::columns::{drop_tables, id, index, references, table, timestamp, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let owned_by = |table: &'static str, column: &'static str, target: &'static str| {
            references(table, column, target, ForeignKeyAction::Cascade)
        };
        manager
            .create_table(
                table("subscribe_credits", manager)
                    .await?
                    .col(uuid("user_id").not_null())
                    .col(ColumnDef::new("template_id").string_len(128).not_null())
                    .col(ColumnDef::new("remaining").integer().not_null())
                    .primary_key(Index::create().col("user_id").col("template_id"))
                    .foreign_key(&mut owned_by("subscribe_credits", "user_id", "users"))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                table("subscribe_consents", manager)
                    .await?
                    .col(uuid("user_id").not_null())
                    // Made by the client.
                    .col(uuid("id").not_null())
                    .col(ColumnDef::new("digest").string_len(64).not_null())
                    .col(timestamp("recorded_at", manager).not_null())
                    .primary_key(Index::create().col("user_id").col("id"))
                    .foreign_key(&mut owned_by("subscribe_consents", "user_id", "users"))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                table("outbox_messages", manager)
                    .await?
                    .col(id())
                    .col(uuid("notification_id").not_null())
                    .col(uuid("user_id").not_null())
                    .col(ColumnDef::new("app_id").string_len(64).not_null())
                    .col(ColumnDef::new("template_id").string_len(128).not_null())
                    .col(ColumnDef::new("page").string_len(1024))
                    .col(ColumnDef::new("data").text().not_null())
                    .col(ColumnDef::new("state").string_len(16).not_null())
                    .col(ColumnDef::new("attempts").integer().not_null())
                    // When to try next; while it is being sent, when whoever does so must have died.
                    .col(timestamp("due_at", manager).not_null())
                    .col(uuid("claim_id"))
                    // The user while a message is being sent to them: there is one at a time.
                    .col(uuid("sending_user_id"))
                    .col(ColumnDef::new("reason").string_len(64))
                    .col(timestamp("created_at", manager).not_null())
                    .foreign_key(&mut owned_by(
                        "outbox_messages",
                        "notification_id",
                        "notifications",
                    ))
                    .foreign_key(&mut owned_by("outbox_messages", "user_id", "users"))
                    .take(),
            )
            .await?;
        for (name, table, columns, unique) in [
            (
                "uq_outbox_messages_notification_id",
                "outbox_messages",
                ["notification_id"].as_slice(),
                true,
            ),
            (
                "uq_outbox_messages_sending_user_id",
                "outbox_messages",
                &["sending_user_id"],
                true,
            ),
            (
                "ix_outbox_messages_state",
                "outbox_messages",
                &["state", "due_at", "user_id"],
                false,
            ),
            (
                "ix_outbox_messages_user_id",
                "outbox_messages",
                &["user_id", "state", "due_at"],
                false,
            ),
            (
                "ix_outbox_messages_claim_id",
                "outbox_messages",
                &["claim_id"],
                false,
            ),
            // To forget old ones.
            (
                "ix_notifications_created_at",
                "notifications",
                &["created_at"],
                false,
            ),
        ] {
            index(manager, name, table, columns, unique).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::columns::drop_index(manager, "notifications", "ix_notifications_created_at").await?;
        drop_tables(
            manager,
            &["outbox_messages", "subscribe_consents", "subscribe_credits"],
        )
        .await
    }
}
