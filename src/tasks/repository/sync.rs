//! SQL of the numbers of changes, and of what is left of deleted tasks.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, TryGetable,
};
use uuid::Uuid;

use crate::entity::{task, task_stream, task_tombstone};
use crate::platform::clock::Timestamp;
use crate::tasks::repository::Shown;

/// The number of the owner's next change. Nobody else gets one until the transaction ends, so a lower number is committed
/// earlier. Lock tasks first: whoever does it the other way round waits for those who do it in this order.
pub(crate) async fn next_change(tx: &impl ConnectionTrait, owner: Uuid) -> Result<i64, DbErr> {
    let seq = (task_stream::Entity, task_stream::Column::Seq);
    let first = task_stream::Model {
        owner_id: owner,
        seq: 1,
    };
    let mut insert = sea_orm::QueryTrait::into_query(task_stream::Entity::insert(
        first.into_active_model().reset_all(),
    ));
    insert.on_conflict(
        OnConflict::column(task_stream::Column::OwnerId)
            .value(task_stream::Column::Seq, Expr::col(seq).add(1))
            .to_owned(),
    );
    if tx.get_database_backend() == DbBackend::MySql {
        tx.execute(&insert).await?;
        return newest_change(tx, owner).await;
    }
    insert.returning_col(task_stream::Column::Seq);
    match tx.query_one(&insert).await? {
        Some(row) => Ok(i64::try_get(&row, "", "seq")?),
        None => Err(DbErr::RecordNotFound("task_streams".to_owned())),
    }
}

/// The number of the owner's newest change; 0 when there was none.
pub(crate) async fn newest_change(db: &impl ConnectionTrait, owner: Uuid) -> Result<i64, DbErr> {
    let stream = task_stream::Entity::find_by_id(owner).one(db).await?;
    Ok(stream.map_or(0, |stream| stream.seq))
}

/// Tasks whose newest change lies behind `after`, and not behind the change `until`, in the order of changes.
pub(crate) async fn list_changed(
    db: &impl ConnectionTrait,
    owner: Uuid,
    after: (i64, Uuid),
    until: i64,
    limit: u64,
    shown: Shown,
) -> Result<Vec<task::Model>, DbErr> {
    shown
        .of(task::Entity::find())
        .filter(task::Column::OwnerId.eq(owner))
        .filter(behind(
            (task::Column::ChangeSeq, task::Column::Id),
            after,
            until,
        ))
        .order_by_asc(task::Column::ChangeSeq)
        .order_by_asc(task::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// Tombstones between two places, as [`list_changed`].
pub(crate) async fn list_tombstones(
    db: &impl ConnectionTrait,
    owner: Uuid,
    after: (i64, Uuid),
    until: i64,
    limit: u64,
) -> Result<Vec<task_tombstone::Model>, DbErr> {
    let place = (
        task_tombstone::Column::ChangeSeq,
        task_tombstone::Column::Id,
    );
    task_tombstone::Entity::find()
        .filter(task_tombstone::Column::OwnerId.eq(owner))
        .filter(behind(place, after, until))
        .order_by_asc(task_tombstone::Column::ChangeSeq)
        .order_by_asc(task_tombstone::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

fn behind<C: ColumnTrait>((seq, id): (C, C), after: (i64, Uuid), until: i64) -> Condition {
    // Written so that the range of the index is used.
    Condition::all()
        .add(seq.gte(after.0))
        .add(seq.lte(until))
        .add(Condition::any().add(seq.gt(after.0)).add(id.gt(after.1)))
}

pub(crate) async fn insert_tombstones(
    tx: &impl ConnectionTrait,
    owner: Uuid,
    ids: &[Uuid],
    change_seq: i64,
    deleted_at: Timestamp,
) -> Result<(), DbErr> {
    let rows = ids.iter().map(|id| task_tombstone::Model {
        id: *id,
        owner_id: owner,
        change_seq,
        deleted_at,
    });
    task_tombstone::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// Tombstones from before a time.
pub(crate) async fn list_old_tombstones(
    db: &impl ConnectionTrait,
    before: Timestamp,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    task_tombstone::Entity::find()
        .select_only()
        .column(task_tombstone::Column::Id)
        .filter(task_tombstone::Column::DeletedAt.lt(before))
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

pub(crate) async fn delete_tombstones(
    tx: &impl ConnectionTrait,
    ids: Vec<Uuid>,
) -> Result<(), DbErr> {
    task_tombstone::Entity::delete_many()
        .filter(task_tombstone::Column::Id.is_in(ids))
        .exec(tx)
        .await
        .map(drop)
}
