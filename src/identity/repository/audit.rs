//! SQL of the audit trail: rows are added, read, and deleted once they are too old; none is ever changed.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect, Select,
};
use uuid::Uuid;

use crate::entity::audit_event::{self, AuditAction};
use crate::graphql::keyset::{TimeCursor, newest_first};
use crate::graphql::pagination::Page;
use crate::platform::clock::Timestamp;

/// Which events to list; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// What happened.
    pub action: Option<AuditAction>,
    /// Who did it, or to whom it was done.
    pub user_id: Option<Uuid>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

impl AuditFilter {
    fn select(&self) -> Select<audit_event::Entity> {
        let mut query = audit_event::Entity::find();
        if let Some(action) = self.action {
            query = query.filter(audit_event::Column::Action.eq(action));
        }
        if let Some(id) = self.user_id {
            query = query.filter(
                Condition::any()
                    .add(audit_event::Column::ActorId.eq(id))
                    .add(audit_event::Column::SubjectId.eq(id)),
            );
        }
        if let Some(from) = self.from {
            query = query.filter(audit_event::Column::OccurredAt.gte(from));
        }
        if let Some(to) = self.to {
            query = query.filter(audit_event::Column::OccurredAt.lt(to));
        }
        query
    }
}

pub(crate) async fn insert_audit_event(
    tx: &impl ConnectionTrait,
    row: audit_event::Model,
) -> Result<(), DbErr> {
    audit_event::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await
        .map(drop)
}

pub(crate) async fn find_audit_event(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<audit_event::Model>, DbErr> {
    audit_event::Entity::find_by_id(id).one(db).await
}

pub(crate) async fn list_audit_events(
    db: &impl ConnectionTrait,
    filter: &AuditFilter,
    page: &Page<TimeCursor>,
) -> Result<Vec<audit_event::Model>, DbErr> {
    let order = (audit_event::Column::OccurredAt, audit_event::Column::Id);
    newest_first(filter.select(), order, page).all(db).await
}

pub(crate) async fn count_audit_events(
    db: &impl ConnectionTrait,
    filter: &AuditFilter,
) -> Result<u64, DbErr> {
    filter.select().count(db).await
}

/// Deletes at most `limit` events from before `time`; how many there were.
pub(crate) async fn delete_audit_events(
    tx: &impl ConnectionTrait,
    time: Timestamp,
    limit: u64,
) -> Result<u64, DbErr> {
    let ids: Vec<Uuid> = audit_event::Entity::find()
        .select_only()
        .column(audit_event::Column::Id)
        .filter(audit_event::Column::OccurredAt.lt(time))
        .limit(limit)
        .into_tuple()
        .all(tx)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let result = audit_event::Entity::delete_many()
        .filter(audit_event::Column::Id.is_in(ids))
        .exec(tx)
        .await?;
    Ok(result.rows_affected)
}
