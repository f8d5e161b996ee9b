//! Column types and helpers that mean the same on all three engines.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// A UUID primary key, made by the application.
pub(crate) fn id() -> ColumnDef {
    uuid("id").not_null().primary_key().take()
}

/// A UUID column.
pub(crate) fn uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().take()
}

/// A point in time in UTC.
///
/// MySQL's TIMESTAMP ends in 2038 and drops fractions, so it gets DATETIME(6); the connection's time zone is UTC.
pub(crate) fn timestamp(name: &'static str, manager: &SchemaManager<'_>) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    if manager.get_database_backend() == DbBackend::MySql {
        column.custom("DATETIME(6)");
    } else {
        column.timestamp_with_time_zone();
    }
    column
}

/// A text column that sorts and compares by code point, as `utf8mb4_bin` does on MySQL and `BINARY` on SQLite.
pub(crate) fn sortable_text(
    name: &'static str,
    length: u32,
    manager: &SchemaManager<'_>,
) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    if manager.get_database_backend() == DbBackend::Postgres {
        column.custom(format!("varchar({length}) COLLATE \"C\""));
    } else {
        column.string_len(length);
    }
    column
}

/// `CREATE TABLE IF NOT EXISTS`, on MySQL with full Unicode compared by code point.
pub(crate) fn table(name: &'static str, manager: &SchemaManager<'_>) -> TableCreateStatement {
    let mut table = Table::create().table(name).if_not_exists().take();
    if manager.get_database_backend() == DbBackend::MySql {
        table.character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}

/// A foreign key from `column` to the `id` of `target`.
pub(crate) fn references(
    table: &'static str,
    column: &'static str,
    target: &'static str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{table}_{column}"))
        .from(table, column)
        .to(target, "id")
        .on_delete(on_delete)
        .take()
}

/// Creates an index unless it is there already.
pub(crate) async fn index(
    manager: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
    unique: bool,
) -> Result<(), DbErr> {
    if manager.has_index(table, name).await? {
        return Ok(());
    }
    let mut statement = Index::create().name(name).table(table).take();
    for column in columns {
        statement.col(*column);
    }
    if unique {
        statement.unique();
    }
    manager.create_index(statement).await
}

/// Drops the tables, in the order given, that exist.
pub(crate) async fn drop_tables(
    manager: &SchemaManager<'_>,
    tables: &[&'static str],
) -> Result<(), DbErr> {
    for table in tables {
        manager
            .drop_table(Table::drop().table(*table).if_exists().take())
            .await?;
    }
    Ok(())
}
