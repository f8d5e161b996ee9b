//! Which tasks to list and in which order, as SQL.

use chrono::Datelike;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, Select, Value,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entity::task::{self, TaskPriority, TaskStatus};
use crate::graphql::pagination::Page;
use crate::platform::clock::Timestamp;
use crate::platform::db::{contains, searchable};
use crate::platform::fault::{Faults, Rule};

/// Stands before, between and after the parts of a lower-cased column; no text of a client contains it.
pub(crate) const SEPARATOR: char = '\u{1f}';

/// Longest tag.
pub(crate) const TAG_MAX: usize = 30;
/// Longest text to search for; engines limit the length of a pattern, each in its own way.
const SEARCH_MAX: usize = 200;

/// Which tasks to list; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// One of these; an empty list matches nothing.
    pub status: Option<Vec<TaskStatus>>,
    /// One of these; an empty list matches nothing.
    pub priority: Option<Vec<TaskPriority>>,
    /// Has this tag, in any case.
    pub tag: Option<String>,
    /// Title or notes contain this, in any case.
    pub search: Option<String>,
    /// Due at this time or later.
    pub due_after: Option<Timestamp>,
    /// Due before this time.
    pub due_before: Option<Timestamp>,
    /// Overdue at `now`, or not.
    pub is_overdue: Option<bool>,
    /// Changed at this time or later.
    pub updated_after: Option<Timestamp>,
}

impl TaskFilter {
    /// Checks the lengths of what is looked for.
    pub(crate) fn check(&self) -> Result<(), Faults> {
        let mut faults = Faults::under(&["filter"]);
        for (name, text, max) in [
            ("tag", &self.tag, TAG_MAX),
            ("search", &self.search, SEARCH_MAX),
        ] {
            let length = text
                .as_deref()
                .map_or(0, |text| text.trim().chars().count());
            if length > max {
                faults.add(&[name], Rule::TooLong { max });
            }
        }
        faults.check(())
    }

    /// The tasks of `owner` that match at `now`.
    pub(crate) fn select(
        &self,
        owner: Uuid,
        now: Timestamp,
        backend: DbBackend,
    ) -> Select<task::Entity> {
        let mut condition = Condition::all().add(task::Column::OwnerId.eq(owner));
        if let Some(status) = &self.status {
            condition = condition.add(task::Column::Status.is_in(status.iter().copied()));
        }
        if let Some(priority) = &self.priority {
            condition = condition.add(task::Column::Priority.is_in(priority.iter().copied()));
        }
        if let Some(tag) = folded(self.tag.as_deref()) {
            let framed = format!("{SEPARATOR}{tag}{SEPARATOR}");
            condition = condition.add(contains(task::Column::TagsKey, &framed, backend));
        }
        if let Some(search) = folded(self.search.as_deref()) {
            // The index is of three characters each.
            if backend == DbBackend::Sqlite && search.chars().count() >= 3 {
                condition = condition.add(found(owner, &search));
            }
            // It takes some rare characters for each other, so this is asked of what it finds, too.
            condition = condition.add(contains(task::Column::SearchText, &search, backend));
        }
        if let Some(time) = self.due_after {
            condition = condition.add(task::Column::DueAt.gte(time));
        }
        if let Some(time) = self.due_before {
            condition = condition.add(task::Column::DueAt.lt(time));
        }
        if let Some(time) = self.updated_after {
            condition = condition.add(task::Column::UpdatedAt.gte(time));
        }
        match self.is_overdue {
            None => {}
            Some(true) => {
                condition = condition
                    .add(task::Column::DueAt.lt(now))
                    .add(task::Column::Status.ne(TaskStatus::Done));
            }
            // Not the negation of the above: that would be unknown, and so false, for tasks without a due time.
            Some(false) => {
                condition = condition.add(
                    Condition::any()
                        .add(task::Column::DueAt.is_null())
                        .add(task::Column::DueAt.gte(now))
                        .add(task::Column::Status.eq(TaskStatus::Done)),
                );
            }
        }
        task::Entity::find().filter(condition)
    }
}

/// Text as it is compared; `None` when nothing is left to look for.
fn folded(text: Option<&str>) -> Option<String> {
    let text = searchable(&text?.trim().to_lowercase());
    (!text.is_empty()).then_some(text)
}

/// Those that SQLite's index finds. Text in quotes is a phrase: the trigrams of `text` one after the other, whatever its signs mean
/// to the index elsewhere.
fn found(owner: Uuid, text: &str) -> SimpleExpr {
    let phrase = format!("\"{}\"", text.replace('"', "\"\""));
    Expr::cust_with_values(
        "created_seq IN (SELECT rowid & 4294967295 FROM task_search WHERE text MATCH ?
            AND rowid >= (SELECT number << 32 FROM task_streams WHERE owner_id = ?)
            AND rowid <= (SELECT number << 32 | 4294967295 FROM task_streams WHERE owner_id = ?))",
        [Value::from(phrase), owner.into(), owner.into()],
    )
}

/// What tasks are sorted by; ties by id, tasks without a value last in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderField {
    /// When it was made.
    #[serde(rename = "c")]
    CreatedAt,
    /// When it last changed.
    #[serde(rename = "u")]
    UpdatedAt,
    /// When it is due.
    #[serde(rename = "d")]
    DueAt,
    /// How much it matters.
    #[serde(rename = "p")]
    Priority,
    /// By code points.
    #[serde(rename = "t")]
    Title,
}

/// An order of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskOrder {
    /// What to sort by.
    #[serde(rename = "f")]
    pub field: OrderField,
    /// From high to low.
    #[serde(rename = "d")]
    pub is_descending: bool,
}

/// The sort key of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum SortKey {
    /// No value.
    Null,
    /// Milliseconds since 1970, or a priority.
    Number(i64),
    /// A title.
    Text(String),
}

/// Where a task lies in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskCursor {
    #[serde(rename = "o")]
    order: TaskOrder,
    #[serde(rename = "k")]
    key: SortKey,
    #[serde(rename = "i")]
    id: Uuid,
}

impl TaskCursor {
    pub(crate) fn of(order: TaskOrder, task: &task::Model) -> Self {
        let key = match order.field {
            OrderField::CreatedAt => SortKey::Number(task.created_at.millis()),
            OrderField::UpdatedAt => SortKey::Number(task.updated_at.millis()),
            OrderField::DueAt => match task.due_at {
                Some(due_at) => SortKey::Number(due_at.millis()),
                None => SortKey::Null,
            },
            OrderField::Priority => SortKey::Number(to_number(task.priority).into()),
            OrderField::Title => SortKey::Text(task.title.clone()),
        };
        Self {
            order,
            key,
            id: task.id,
        }
    }

    /// Whether it is a cursor of this order that the database can compare with.
    pub(crate) fn is_of(&self, order: TaskOrder) -> bool {
        self.order == order
            && (self.key == SortKey::Null && order.is_nullable() || self.value().is_some())
    }

    /// The sort key as SQL; `None` for null, and for what cannot be one.
    fn value(&self) -> Option<Value> {
        match (self.order.field, &self.key) {
            (OrderField::Title, SortKey::Text(title)) => {
                (!title.contains(char::is_control)).then(|| title.as_str().into())
            }
            (OrderField::Priority, SortKey::Number(number)) => {
                Some(i16::try_from(*number).ok()?.into())
            }
            (
                OrderField::CreatedAt | OrderField::UpdatedAt | OrderField::DueAt,
                SortKey::Number(ms),
            ) => {
                let time = Timestamp::from_millis(*ms)?;
                (1000..=9999)
                    .contains(&time.utc().year())
                    .then(|| time.into())
            }
            _ => None,
        }
    }
}

fn to_number(priority: TaskPriority) -> i16 {
    use sea_orm::ActiveEnum;
    priority.into_value()
}

impl TaskOrder {
    fn column(self) -> task::Column {
        match self.field {
            OrderField::CreatedAt => task::Column::CreatedAt,
            OrderField::UpdatedAt => task::Column::UpdatedAt,
            OrderField::DueAt => task::Column::DueAt,
            OrderField::Priority => task::Column::Priority,
            OrderField::Title => task::Column::Title,
        }
    }

    fn is_nullable(self) -> bool {
        self.field == OrderField::DueAt
    }

    /// Restricts `select` to `page` and sorts it; reversed when the page is counted from the end.
    pub(crate) fn apply(
        self,
        mut select: Select<task::Entity>,
        page: &Page<TaskCursor>,
    ) -> Select<task::Entity> {
        if let Some(cursor) = &page.after {
            select = select.filter(self.beyond(cursor, true));
        }
        if let Some(cursor) = &page.before {
            select = select.filter(self.beyond(cursor, false));
        }
        let order = match self.is_descending != page.is_backward {
            true => Order::Desc,
            false => Order::Asc,
        };
        if self.is_nullable() {
            // Engines differ in where they put nulls, so it is said outright.
            let nulls = match page.is_backward {
                true => Order::Desc,
                false => Order::Asc,
            };
            let is_null: SimpleExpr = Expr::case(self.column().is_null(), 1).finally(0).into();
            select = select.order_by(is_null, nulls);
        }
        select
            .order_by(self.column(), order.clone())
            .order_by(task::Column::Id, order)
    }

    /// The rows behind (`is_after`) or before `cursor`.
    fn beyond(self, cursor: &TaskCursor, is_after: bool) -> Condition {
        let column = self.column();
        // "Greater" in the direction that we walk.
        let up = self.is_descending != is_after;
        let id = match up {
            true => task::Column::Id.gt(cursor.id),
            false => task::Column::Id.lt(cursor.id),
        };
        match (cursor.value(), is_after) {
            (Some(value), _) => {
                let (at_or_beyond, beyond) = match up {
                    true => (column.gte(value.clone()), column.gt(value)),
                    false => (column.lte(value.clone()), column.lt(value)),
                };
                // Written so that the range of the index is used.
                let key = Condition::all()
                    .add(at_or_beyond)
                    .add(Condition::any().add(beyond).add(id));
                match self.is_nullable() && is_after {
                    true => Condition::any().add(key).add(column.is_null()),
                    false => key,
                }
            }
            (None, true) => Condition::all().add(column.is_null()).add(id),
            (None, false) => Condition::any()
                .add(column.is_not_null())
                .add(Condition::all().add(column.is_null()).add(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::QueryTrait;
    use sea_orm::sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::platform::db::query_plan;

    #[tokio::test]
    async fn a_search_reads_its_owners_part_of_the_index() {
        let filter = TaskFilter {
            search: Some("买牛奶".to_owned()),
            ..TaskFilter::default()
        };
        let select = filter.select(Uuid::max(), Timestamp::EPOCH, DbBackend::Sqlite);
        let steps = query_plan(&select.into_query().to_string(SqliteQueryBuilder)).await;
        let has = |part: &str| steps.iter().any(|step| step.contains(part));
        // Both ends of the range, and a phrase.
        assert!(has("task_search VIRTUAL TABLE INDEX 0:M0><"), "{steps:#?}");
        assert!(
            has("ix_tasks_created_seq (owner_id=? AND created_seq=?)"),
            "{steps:#?}"
        );
    }

    #[test]
    fn a_cursor_is_good_for_its_own_order_only() {
        let order = TaskOrder {
            field: OrderField::DueAt,
            is_descending: false,
        };
        let cursor = |key| TaskCursor {
            order,
            key,
            id: Uuid::nil(),
        };
        assert!(cursor(SortKey::Null).is_of(order));
        assert!(cursor(SortKey::Number(0)).is_of(order));
        assert!(!cursor(SortKey::Number(i64::MAX)).is_of(order));
        assert!(!cursor(SortKey::Text("x".to_owned())).is_of(order));
        assert!(!cursor(SortKey::Number(0)).is_of(TaskOrder {
            is_descending: true,
            ..order
        }));
    }
}
