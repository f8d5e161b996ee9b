mod corrections;
mod export;
mod list_scores;
mod live;
mod manage_rubrics;
mod results;
mod results_page;
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

/// A rubric by an administrator; `more` wins over the defaults.
async fn make_rubric(admin: &Client, slug: &str, more: Value) -> Value {
    let mut input = json!({"slug": slug, "title": "竞赛", "state": "OPEN", "criteria": [
        {"key": "a", "title": "A", "minGrade": 0, "maxGrade": 10},
        {"key": "b", "title": "B", "weight": 3.0},
    ]});
    for (name, value) in more.as_object().expect("fields") {
        input[name] = value.clone();
    }
    let reply = create_rubric(admin, input).await;
    reply.data()["createRubric"]["rubric"].clone()
}

async fn create_rubric(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: CreateRubricInput!) { createRubric(input: $input) { rubric {
                id slug title description state opensAt closesAt submissionPolicy editWindowMinutes aggregation isResultPublic
                criteria { key title description minGrade maxGrade weight isCommentRequired maxCommentLength } } } }",
            json!({"input": input}),
        )
        .await
}

async fn update_rubric(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: UpdateRubricInput!) { updateRubric(input: $input) { rubric { id title description state opensAt
                closesAt editWindowMinutes criteria { key } } } }",
            json!({"input": input}),
        )
        .await
}

/// A submission to a rubric of [`make_rubric`].
fn graded(slug: &str, account: &str, a: i64, b: i64) -> Value {
    json!({"rubric": slug, "accountNumber": account, "grades": [{"criterion": "a", "grade": a}, {"criterion": "b", "grade": b}]})
}
