mod list_scores;
mod rubric;
mod submit_score;

use serde_json::{Value, json};

use crate::harness::{Client, Reply};

/// A submission that is fine.
fn a_score() -> Value {
    json!({"accountNumber": "13800138000", "grades": [
        {"criterion": "grade1", "grade": 5},
        {"criterion": "grade2", "grade": 4, "comment": "很好 😀"},
        {"criterion": "grade3", "grade": 3},
    ]})
}

async fn try_submit(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: SubmitScoreInput!) { submitScore(input: $input) { message score {
                id accountNumber total submittedAt updatedAt rubric { slug } submittedBy { id }
                grades { criterion { key } grade comment } } } }",
            json!({"input": input}),
        )
        .await
}

async fn submit(client: &Client, input: Value) -> Value {
    try_submit(client, input).await.data()["submitScore"]["score"].clone()
}
