//! Lists from the newest to the oldest, ties by id: the position of a row, and a page of rows as SQL.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::graphql::pagination::Page;
use crate::platform::clock::Timestamp;

/// The end of the year 9999.
const MAX_MS: i64 = 253_402_300_799_999;

/// Where a row lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimeCursor {
    ms: i64,
    id: Uuid,
}

impl TimeCursor {
    /// The position of the row of this time and id.
    pub fn of(time: Timestamp, id: Uuid) -> Self {
        Self {
            ms: time.millis(),
            id,
        }
    }

    /// Whether the database can compare with it.
    pub fn is_valid(&self) -> bool {
        (0..=MAX_MS).contains(&self.ms)
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.ms.min(MAX_MS)).unwrap_or(Timestamp::EPOCH)
    }
}

/// The rows of `page` and one more, which tells whether there are more; in reverse when the page is counted from the end.
pub fn newest_first<E: EntityTrait>(
    mut select: Select<E>,
    (time, id): (E::Column, E::Column),
    page: &Page<TimeCursor>,
) -> Select<E> {
    if let Some(cursor) = &page.after {
        select = select.filter(time.lte(cursor.time())).filter(
            Condition::any()
                .add(time.lt(cursor.time()))
                .add(id.lt(cursor.id)),
        );
    }
    if let Some(cursor) = &page.before {
        select = select.filter(time.gte(cursor.time())).filter(
            Condition::any()
                .add(time.gt(cursor.time()))
                .add(id.gt(cursor.id)),
        );
    }
    let order = match page.is_backward {
        true => Order::Asc,
        false => Order::Desc,
    };
    select
        .order_by(time, order.clone())
        .order_by(id, order)
        .limit(page.fetch())
}
