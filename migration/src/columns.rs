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

/// A point in time in UTC, stored without an offset.
///
/// MySQL's TIMESTAMP ends in 2038, and its DATETIME drops fractions unless told otherwise.
pub(crate) fn timestamp(name: &'static str, manager: &SchemaManager<'_>) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    if manager.get_database_backend() == DbBackend::MySql {
        column.custom("DATETIME(3)");
    } else {
        column.date_time();
    }
    column
}

/// A text column that sorts and compares by code point, as our collations do on MySQL and `BINARY` on SQLite.
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
pub(crate) async fn table(
    name: &'static str,
    manager: &SchemaManager<'_>,
) -> Result<TableCreateStatement, DbErr> {
    let mut table = Table::create().table(name).if_not_exists().take();
    if manager.get_database_backend() == DbBackend::MySql {
        table
            .character_set("utf8mb4")
            .collate(binary_collation(manager).await?);
    }
    Ok(table)
}

/// The collation that tells `a` from `A` and from `a ` with a trailing space: `utf8mb4_bin` ignores such spaces, and the two
/// products have different names for the one that does not.
async fn binary_collation(manager: &SchemaManager<'_>) -> Result<&'static str, DbErr> {
    let mut version = Query::select().take();
    version.expr_as(Expr::cust("VERSION()"), "version");
    let row = manager.get_connection().query_one(&version).await?;
    let version: String = row
        .map(|row| row.try_get("", "version"))
        .transpose()?
        .unwrap_or_default();
    Ok(match version.contains("MariaDB") {
        true => "utf8mb4_nopad_bin",
        false => "utf8mb4_0900_bin",
    })
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

/// Drops an index unless it is gone already.
pub(crate) async fn drop_index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    name: &'static str,
) -> Result<(), DbErr> {
    match manager.has_index(table, name).await? {
        true => {
            manager
                .drop_index(Index::drop().name(name).table(table).to_owned())
                .await
        }
        false => Ok(()),
    }
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
