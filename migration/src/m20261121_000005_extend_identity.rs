//! What accounts need beyond signing in: a text to search users by, the audit trail, signals between instances, and the
//! sign-ins that may be asked for again.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::columns::{drop_tables, id, index, references, table, timestamp, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_search_text(manager).await?;
        manager
            .create_table(
                table("audit_events", manager)
                    .await?
                    .col(id())
                    .col(ColumnDef::new("action").string_len(32).not_null())
                    // No foreign keys: the trail outlives the accounts it speaks of.
                    .col(uuid("actor_id"))
                    .col(uuid("subject_id"))
                    .col(ColumnDef::new("ip_address").string_len(45))
                    .col(ColumnDef::new("user_agent").string_len(255))
                    .col(timestamp("occurred_at", manager).not_null())
                    .take(),
            )
            .await?;
        for (name, columns) in [
            (
                "ix_audit_events_occurred_at",
                ["occurred_at", "id"].as_slice(),
            ),
            ("ix_audit_events_action", &["action", "occurred_at", "id"]),
            (
                "ix_audit_events_actor_id",
                &["actor_id", "occurred_at", "id"],
            ),
            (
                "ix_audit_events_subject_id",
                &["subject_id", "occurred_at", "id"],
            ),
        ] {
            index(manager, name, "audit_events", columns, false).await?;
        }

        manager
            .create_table(
                table("identity_signals", manager)
                    .await?
                    .col(id())
                    .col(uuid("user_id").not_null())
                    .col(uuid("session_id"))
                    .col(timestamp("created_at", manager).not_null())
                    .take(),
            )
            .await?;
        index(
            manager,
            "ix_identity_signals_created_at",
            "identity_signals",
            &["created_at"],
            false,
        )
        .await?;

        manager
            .create_table(
                table("login_replays", manager)
                    .await?
                    .col(
                        ColumnDef::new("key_hash")
                            .string_len(64)
                            .not_null()
                            .primary_key(),
                    )
                    .col(uuid("session_id").not_null())
                    .col(ColumnDef::new("is_new_user").boolean().not_null())
                    .col(timestamp("created_at", manager).not_null())
                    .foreign_key(&mut references(
                        "login_replays",
                        "session_id",
                        "sessions",
                        ForeignKeyAction::Cascade,
                    ))
                    .take(),
            )
            .await?;
        index(
            manager,
            "ix_login_replays_session_id",
            "login_replays",
            &["session_id"],
            false,
        )
        .await?;
        index(
            manager,
            "ix_login_replays_created_at",
            "login_replays",
            &["created_at"],
            false,
        )
        .await?;
        // Who administers, which is asked before one of them goes.
        index(manager, "ix_users_role", "users", &["role"], false).await?;
        // What the clearing of old sessions looks for.
        index(
            manager,
            "ix_sessions_expires_at",
            "sessions",
            &["expires_at"],
            false,
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &["login_replays", "identity_signals", "audit_events"],
        )
        .await?;
        for (table, name) in [
            ("sessions", "ix_sessions_expires_at"),
            ("users", "ix_users_role"),
        ] {
            if manager.has_index(table, name).await? {
                let statement = Index::drop().name(name).table(table).to_owned();
                manager.drop_index(statement).await?;
            }
        }
        if manager.has_column("users", "search_text").await? {
            let statement = Table::alter()
                .table("users")
                .drop_column("search_text")
                .take();
            manager.alter_table(statement).await?;
        }
        Ok(())
    }
}

/// A lower-cased copy of the names and the address, made by the application: the engines fold Unicode case differently.
async fn add_search_text(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if !manager.has_column("users", "search_text").await? {
        let statement = Table::alter()
            .table("users")
            .add_column(
                ColumnDef::new("search_text")
                    .string_len(512)
                    .not_null()
                    .default(""),
            )
            .take();
        manager.alter_table(statement).await?;
    }
    fill_search_text(manager).await
}

/// As the application does it, a few hundred users at a time.
async fn fill_search_text(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    loop {
        let query = Query::select()
            .columns(["id", "username_key", "display_name", "email_key"])
            .from("users")
            .and_where(Expr::col("search_text").eq(""))
            .limit(500)
            .take();
        let rows = connection.query_all(&query).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let id: Uuid = row.try_get("", "id")?;
            let key = |name: &str| row.try_get::<Option<String>>("", name);
            let (username, email) = (key("username_key")?, key("email_key")?);
            let name: String = row.try_get("", "display_name")?;
            let text = format!(
                "{}\u{1f}{}\u{1f}{}",
                username.unwrap_or_default(),
                name.to_lowercase(),
                email.unwrap_or_default()
            );
            let fill = Query::update()
                .table("users")
                .value("search_text", text)
                .and_where(Expr::col("id").eq(id))
                .take();
            connection.execute(&fill).await?;
        }
    }
}
