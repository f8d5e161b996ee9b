use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{graded, make_rubric, submit, update_rubric};
use crate::harness::{Client, TestApp, on_each_database};
use crate::http::socket::Socket;

const WATCH: &str = "subscription { scoreSubmitted(rubric: \"r\") { score { id accountNumber } summary { count total criteria { mean } } } }";

async fn socket(app: &TestApp, client: Option<&Client>) -> Socket {
    let payload = client.map_or(
        json!({}),
        |client| json!({"authorization": format!("Bearer {}", client.token())}),
    );
    let mut socket = Socket::init(app, payload).await;
    socket.subscribe("s", WATCH).await;
    // When this is answered, the subscription before it has begun.
    socket.ask_last("{ __typename }").await;
    socket
}

fn event(message: &Value) -> &Value {
    &message["payload"]["data"]["scoreSubmitted"]
}

on_each_database! {
    async fn results_come_with_each_submission(app) {
        let (admin, mei, lin) = (app.admin("boss").await, app.user("mei").await, app.user("lin").await);
        make_rubric(&admin, "r", json!({"isResultPublic": true, "submissionPolicy": "UNLIMITED"})).await;
        let mut sockets = [socket(app, Some(&admin)).await, socket(app, Some(&mei)).await, socket(app, Some(&lin)).await, socket(app, None).await];
        let score = submit(&mei, graded("r", "13800138000", 10, 5)).await;
        let shown = [true, true, false, false];
        for (socket, is_shown) in sockets.iter_mut().zip(shown) {
            let message = socket.next().await.expect("an event");
            let event = event(&message);
            let expected = if is_shown { json!({"id": score["id"], "accountNumber": "13800138000"}) } else { Value::Null };
            assert_eq!(event["score"], expected);
            assert_eq!(event["summary"], json!({"count": 1, "total": 100.0, "criteria": [{"mean": 10.0}, {"mean": 5.0}]}));
        }
    }

    async fn a_burst_costs_two_events_a_second_and_its_end_arrives(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        let mut socket = socket(app, Some(&admin)).await;
        let began = Instant::now();
        let burst = async {
            for _ in 0..40 {
                submit(&mei, graded("r", "12345", 1, 1)).await;
            }
        };
        let watching = async {
            let mut events = 0;
            loop {
                let message = socket.next().await.expect("an event");
                events += 1;
                if event(&message)["summary"]["count"] == 40 {
                    return events;
                }
            }
        };
        let ((), events) = tokio::join!(burst, watching);
        // One at once, and one for each half second since; the network may bring two of them together.
        let most = began.elapsed().as_millis() / 500 + 2;
        assert!(events <= most, "{events} events in {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(20), "the burst is over long before");
    }

    async fn a_client_that_hangs_up_takes_no_event_away(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        let mut socket = socket(app, Some(&admin)).await;
        let query = "mutation($i: SubmitScoreInput!) { submitScore(input: $i) { message } }";
        let body = json!({"query": query, "variables": {"i": graded("r", "12345", 1, 1)}}).to_string();
        let address = app.base_url.trim_start_matches("http://");
        for wait in 0..20 {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            let head = format!(
                "POST /graphql HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                mei.token(), body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.expect("the request is sent");
            // Now before the commit, now after it.
            tokio::time::sleep(Duration::from_micros(wait * 500)).await;
        }
        // Some were let go of before the server had read them.
        let stored = async || {
            let reply = admin.ask("{ rubric(slug: \"r\") { summary { count } } }").await;
            reply.data()["rubric"]["summary"]["count"].as_u64().expect("a number")
        };
        let mut count = stored().await;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let later = stored().await;
            if later == count {
                break;
            }
            count = later;
        }
        assert!(count > 0);
        let last = async {
            while event(&socket.next().await.expect("an event"))["summary"]["count"] != count {}
        };
        tokio::time::timeout(Duration::from_secs(10), last).await.expect("the last of them is told");
    }

    async fn whoever_may_not_see_results_gets_none(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let rubric = make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        let code = |message: &Value| {
            let errors = if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
            errors[0]["extensions"]["code"].as_str().expect("a code").to_owned()
        };
        let refused = async |client: Option<&Client>, rubric: &str| {
            let payload = client.map_or(json!({}), |client| json!({"authorization": format!("Bearer {}", client.token())}));
            let mut socket = Socket::init(app, payload).await;
            socket.subscribe("s", &WATCH.replace("\"r\"", &format!("\"{rubric}\""))).await;
            code(&socket.next().await.expect("a message"))
        };
        assert_eq!(refused(None, "r").await, "UNAUTHENTICATED");
        assert_eq!(refused(Some(&mei), "r").await, "FORBIDDEN");
        assert_eq!(refused(Some(&admin), "none").await, "NOT_FOUND");
        let change = |is_public: bool| update_rubric(&admin, json!({"id": rubric["id"], "isResultPublic": is_public}));
        change(true).await.data();
        let mut watching = socket(app, Some(&mei)).await;
        change(false).await.data();
        submit(&admin, graded("r", "12345", 1, 1)).await;
        let message = watching.next().await.expect("a message");
        assert_eq!(code(&message), "FORBIDDEN", "no longer public");
    }
}
