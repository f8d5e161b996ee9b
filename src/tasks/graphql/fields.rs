//! What the gateway has to know of the fields of tasks.

use crate::graphql::fields::{FieldFacts, field};

/// Fields with something to know.
pub const FIELDS: &[FieldFacts] = &[
    field("Query", "task").costs(1),
    field("Query", "tasks")
        .costs(1)
        .narrowed_by(&[(&["filter", "search"], 1000)]),
    field("Query", "taskChanges").costs(1),
    field("TaskConnection", "totalCount").costs(5),
    // A long text.
    field("Task", "notes").costs(5).text(40_000),
    field("Task", "owner").costs(1),
    field("Notification", "task").costs(1),
    field("Subscription", "taskChanged").personal(),
    field("CompleteTasksPayload", "tasks").entries(25),
];
