use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::socket::Socket;
use crate::harness::{Client, TestApp, on_each_database};

const QUERY: &str = "{ viewer { sessions { id } } scores { totalCount nodes { total grades { grade } } } tasks { totalCount nodes { owner { id } } } }";
const MUTATION: &str = "mutation { submitScore(input: {accountNumber: \"12345\", grades: [{criterion: \"grade1\", grade: 1},
    {criterion: \"grade2\", grade: 1}, {criterion: \"grade3\", grade: 1}]}) { score { id submittedBy { id } } } }";

/// Sends a request and hangs up after `wait`.
async fn let_go(app: &TestApp, client: &Client, request: String, wait: Duration) {
    let address = app.base_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = request.replace(
        "\r\n\r\n",
        &format!(
            "\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
            client.token()
        ),
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the request is sent");
    tokio::time::sleep(wait).await;
}

fn post(query: &str) -> String {
    let body = json!({"query": query}).to_string();
    format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

on_each_database! {
    async fn clients_that_hang_up_leave_every_connection_to_the_database_usable(app) {
        let admin = app.admin("boss").await;
        let others = ["scores.csv", "scores.xlsx", "results"].map(|file| format!("GET /rubrics/default/{file} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let parts = ["status: [DONE]", "priority: [HIGH]", "tag: \"a\"", "search: \"b\"", "dueAfter: \"2026-01-01T00:00:00Z\"", "isOverdue: true"];
        for round in 0..64_u64 {
            let wait = Duration::from_micros(round % 20 * 500);
            // Another statement each time, because it is while they are prepared that connections do not bear to be let go of.
            let filter: Vec<&str> = (0..parts.len()).filter(|bit| round >> bit & 1 == 1).map(|bit| parts[bit]).collect();
            let_go(app, &admin, post(&format!("{{ tasks(filter: {{{}}}) {{ totalCount }} }}", filter.join(" "))), wait).await;
            let_go(app, &admin, others[round as usize % 3].clone(), wait).await;
        }
        for _ in 0..4 {
            // They wait for one another in the database, and some are let go of while they do.
            let waits = (0..20).map(|number| Duration::from_micros(number * 500));
            futures_util::future::join_all(waits.map(|wait| let_go(app, &admin, post(MUTATION), wait))).await;
        }
        for round in 0..10_u64 {
            // A socket whose operations are stopped at once.
            let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", admin.token())})).await;
            socket.subscribe("q", QUERY).await;
            socket.subscribe("s", "subscription { scoreSubmitted(rubric: \"default\") { summary { count criteria { mean } } } }").await;
            tokio::time::sleep(Duration::from_micros(round * 500)).await;
            socket.send(json!({"id": "q", "type": "complete"})).await;
            socket.send(json!({"id": "s", "type": "complete"})).await;
        }
        // More at once than there are connections: each of them is needed.
        let all = futures_util::future::join_all((0..20).map(|_| admin.ask(QUERY)));
        let replies = timeout(Duration::from_secs(20), all).await.expect("all are answered");
        for reply in replies {
            assert!(reply.data()["tasks"]["totalCount"].as_u64() >= Some(0), "{reply:?}");
        }
        let last = timeout(Duration::from_secs(20), admin.ask(MUTATION)).await.expect("an answer");
        assert!(last.data()["submitScore"]["score"]["id"].is_string());
        timeout(Duration::from_secs(20), app.db.close()).await.expect("every connection comes back").expect("it closes");
    }
}
