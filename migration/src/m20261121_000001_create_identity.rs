//! Users, the WeChat identities they sign in with, and their sessions.

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
        manager
            .create_table(
                table("users", manager)
                    .await?
                    .col(id())
                    .col(ColumnDef::new("username").string_len(32))
                    // Lower case, so that one unique index means "without regard to case" on every engine.
                    .col(ColumnDef::new("username_key").string_len(32))
                    .col(ColumnDef::new("display_name").string_len(64).not_null())
                    .col(ColumnDef::new("avatar_url").string_len(2048))
                    .col(ColumnDef::new("email").string_len(254))
                    .col(ColumnDef::new("email_key").string_len(254))
                    .col(ColumnDef::new("phone_number").string_len(32))
                    .col(ColumnDef::new("password_hash").string_len(255))
                    .col(ColumnDef::new("role").string_len(16).not_null())
                    .col(ColumnDef::new("is_disabled").boolean().not_null())
                    .col(timestamp("created_at", manager).not_null())
                    .col(timestamp("updated_at", manager).not_null())
                    .take(),
            )
            .await?;
        index(
            manager,
            "uq_users_username_key",
            "users",
            &["username_key"],
            true,
        )
        .await?;
        index(manager, "uq_users_email_key", "users", &["email_key"], true).await?;
        index(
            manager,
            "ix_users_created_at",
            "users",
            &["created_at", "id"],
            false,
        )
        .await?;

        manager
            .create_table(
                table("wechat_identities", manager)
                    .await?
                    .col(id())
                    .col(uuid("user_id").not_null())
                    .col(ColumnDef::new("app_id").string_len(64).not_null())
                    .col(ColumnDef::new("openid").string_len(128).not_null())
                    .col(ColumnDef::new("unionid").string_len(128))
                    .col(timestamp("created_at", manager).not_null())
                    .foreign_key(&mut references(
                        "wechat_identities",
                        "user_id",
                        "users",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        index(
            manager,
            "uq_wechat_identities_app_id_openid",
            "wechat_identities",
            &["app_id", "openid"],
            true,
        )
        .await?;
        index(
            manager,
            "ix_wechat_identities_user_id",
            "wechat_identities",
            &["user_id"],
            false,
        )
        .await?;

        manager
            .create_table(
                table("sessions", manager)
                    .await?
                    .col(id())
                    .col(uuid("user_id").not_null())
                    .col(ColumnDef::new("refresh_hash").string_len(64).not_null())
                    .col(ColumnDef::new("previous_refresh_hash").string_len(64))
                    .col(ColumnDef::new("user_agent").string_len(255))
                    .col(timestamp("created_at", manager).not_null())
                    .col(timestamp("last_used_at", manager).not_null())
                    .col(timestamp("expires_at", manager).not_null())
                    .col(timestamp("ended_at", manager))
                    .foreign_key(&mut references(
                        "sessions",
                        "user_id",
                        "users",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        index(
            manager,
            "uq_sessions_refresh_hash",
            "sessions",
            &["refresh_hash"],
            true,
        )
        .await?;
        index(
            manager,
            "uq_sessions_previous_refresh_hash",
            "sessions",
            &["previous_refresh_hash"],
            true,
        )
        .await?;
        index(
            manager,
            "ix_sessions_user_id",
            "sessions",
            &["user_id", "created_at", "id"],
            false,
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["sessions", "wechat_identities", "users"]).await
    }
}
