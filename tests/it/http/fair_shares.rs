//! What is scarce is shared between callers, and what is beyond is refused in words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use wegraph::platform::db::Database;
use wegraph::simulator::github::GithubFault;

use super::socket::Socket;
use crate::harness::{Client, Engine, Reply, TestApp, once};

const CREATE: &str = "mutation { createTask(input: {title: \"a\"}) { task { id } } }";

/// Keeps all tasks from being written until it is notified.
async fn block(db: &Arc<Database>, engine: Engine) -> (Arc<Notify>, tokio::task::JoinHandle<()>) {
    let (end, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, started, db) = (Arc::clone(&end), Arc::clone(&begun), Arc::clone(db));
    let blocking = tokio::spawn(async move {
        let work = db.write::<(), sea_orm::DbErr, _>(move |tx| {
            let (wait, started) = (Arc::clone(&wait), Arc::clone(&started));
            Box::pin(async move {
                // The only writer of SQLite is kept busy by its job alone.
                if engine != Engine::Sqlite {
                    let lock = "SELECT id FROM users FOR UPDATE";
                    sea_orm::ConnectionTrait::execute_unprepared(tx, lock).await?;
                }
                started.notify_one();
                wait.notified().await;
                Ok(())
            })
        });
        work.await.expect("it commits");
    });
    begun.notified().await;
    (end, blocking)
}

/// A request of which `length` bytes of the body come, and one byte never does.
async fn half_sent(app: &TestApp, from: &str, length: usize) -> TcpStream {
    let address = app.base_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Forwarded-For: {from}\r\nContent-Length: {}\r\n\r\n",
        length + 1
    );
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let body = vec![b' '; length];
    // The server may refuse before all of it has come.
    drop(stream.write_all(&body).await);
    stream
}

/// The status that a request is refused with, if it is within `wait`.
async fn refused(stream: &mut TcpStream, wait: Duration) -> Option<String> {
    let mut head = [0; 12];
    let read = tokio::time::timeout(wait, stream.read_exact(&mut head)).await;
    read.ok()?.ok()?;
    Some(String::from_utf8_lossy(&head[9..]).into_owned())
}

async fn fragments(socket: &mut Socket, text: &[u8], is_first: bool) {
    let opcode = match is_first {
        true => OpCode::Data(Data::Text),
        false => OpCode::Data(Data::Continue),
    };
    let frame = Frame::message(text.to_vec(), opcode, false);
    socket.send_raw(Message::Frame(frame)).await;
}

once! {
    async fn a_caller_who_asks_too_much_is_refused_and_others_are_served() {
        for engine in Engine::available() {
            let settings = [("FAIR_SHARES__MAX_EXECUTIONS", "6"), ("FAIR_SHARES__EXECUTIONS_PER_USER", "3"), ("FAIR_SHARES__MAX_WAITING", "2")];
            let app = TestApp::start_with(engine, &settings).await;
            let (lin, wen) = (app.user("lin").await, app.user("wen").await);
            let (end, blocking) = block(&app.db, engine).await;
            let asking = |client: Client| tokio::spawn(async move {
                Reply::of(client.post("/graphql").json(&json!({"query": CREATE}))).await
            });
            let token = lin.token().to_owned();
            let running: Vec<_> = (0..10).map(|_| asking(app.anonymous().with_token(&token))).collect();
            tokio::time::sleep(Duration::from_millis(300)).await;
            // Three run and two wait; the others know at once.
            let is_done = running.iter().filter(|task| task.is_finished()).count();
            assert_eq!(is_done, 5, "{engine:?}");
            let asked = Instant::now();
            wen.ask("{ tasks { totalCount } }").await.data();
            assert!(asked.elapsed() < Duration::from_secs(2), "{engine:?}");
            end.notify_one();
            blocking.await.expect("it ends");
            let mut stored = 0;
            for reply in join_all(running).await {
                let reply = reply.expect("it ends");
                match reply.body["data"]["createTask"].is_object() {
                    true => stored += 1,
                    false => {
                        assert_eq!((reply.status.as_u16(), reply.code()), (503, "SERVICE_UNAVAILABLE"), "{engine:?}");
                        assert!(reply.headers.contains_key("retry-after"));
                        assert!(reply.body["errors"][0]["extensions"]["retryAfterSeconds"].is_u64());
                    }
                }
            }
            assert_eq!(stored, 5, "{engine:?}");
            assert_eq!(lin.ask("{ tasks { totalCount } }").await.data()["tasks"]["totalCount"], json!(5));
            app.stop().await;
        }
    }

    async fn a_pool_without_connections_is_told_as_such() {
        for engine in Engine::available().into_iter().filter(|engine| *engine != Engine::Sqlite) {
            let app = TestApp::start_with(engine, &[("DATABASE__STATEMENT_TIMEOUT_MS", "20000"), ("GRAPHQL__TIMEOUT_MS", "20000")]).await;
            let lin = app.user("lin").await;
            let callers = join_all(["a", "b", "c", "d"].map(|name| app.user(name))).await;
            let (end, blocking) = block(&app.db, engine).await;
            let create = json!({"query": CREATE});
            // Their transactions wait for the lock and keep their connections.
            let running: Vec<_> = (0..40).map(|number| {
                let client = app.anonymous().with_token(callers[number % callers.len()].token());
                let create = create.clone();
                tokio::spawn(async move { Reply::of(client.post("/graphql").json(&create)).await })
            }).collect();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let reply = Reply::of(lin.post("/graphql").json(&json!({"query": "{ tasks { totalCount } }"}))).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (503, "SERVICE_UNAVAILABLE"), "{engine:?}: {}", reply.body);
            end.notify_one();
            blocking.await.expect("it ends");
            for reply in join_all(running).await {
                let reply = reply.expect("it ends");
                let code = reply.body["errors"][0]["extensions"]["code"].as_str();
                assert!(matches!(code, None | Some("SERVICE_UNAVAILABLE")), "{engine:?}: {}", reply.body);
            }
            lin.ask("{ tasks { totalCount } }").await.data();
            app.stop().await;
        }
    }

    async fn waiting_for_another_server_takes_no_place() {
        let settings = [("FAIR_SHARES__MAX_EXECUTIONS", "1"), ("FAIR_SHARES__MAX_WAITING", "0")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        let lin = app.user("lin").await;
        app.github.fail("/users", GithubFault::Delay(Duration::from_secs(2)));
        let token = lin.token().to_owned();
        let waiting: Vec<_> = ["ada", "bob", "kim"].into_iter().map(|login| {
            let client = app.anonymous().with_token(&token);
            tokio::spawn(async move {
                client.ask(&format!("{{ developer(login: \"{login}\") {{ login }} tasks {{ totalCount }} }}")).await
            })
        }).collect();
        // They begin one after the other, for there is one place.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let begun = waiting.iter().filter(|task| !task.is_finished()).count();
        assert!(begun > 0);
        for _ in 0..5 {
            lin.ask("{ tasks { totalCount } }").await.data();
        }
        assert_eq!(waiting.iter().filter(|task| !task.is_finished()).count(), begun, "they wait still");
        for reply in join_all(waiting).await {
            let reply = reply.expect("it ends");
            let code = reply.body["errors"][0]["extensions"]["code"].as_str();
            assert!(matches!(code, None | Some("SERVICE_UNAVAILABLE")), "{}", reply.body);
        }
        app.stop().await;
    }

    async fn long_texts_are_read_until_an_answer_can_hold_no_more() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GRAPHQL__MAX_REPLY_BYTES", "1048576")]).await;
        let lin = app.user("lin").await;
        for _ in 0..100 {
            let notes = "学".repeat(10_000);
            lin.run("mutation($n: String!) { createTask(input: {title: \"a\", notes: $n}) { task { id } } }", json!({"n": notes})).await.data();
        }
        let fields: Vec<String> = (0..7).map(|n| format!("t{n}: tasks(first: 100) {{ nodes {{ notes }} }}")).collect();
        let before = app.db.statements();
        let reply = lin.ask(&format!("{{ {} }}", fields.join(" "))).await;
        assert_eq!(reply.code(), "QUERY_TOO_COMPLEX");
        // One list is too much already, and no other one is read.
        assert_eq!(app.db.statements() - before, 1, "{}", reply.body);
        let fields: Vec<String> = (0..10).map(|n| format!("t{n}: tasks(first: 100) {{ nodes {{ id }} }}")).collect();
        let reply = lin.ask(&format!("{{ {} }}", fields.join(" "))).await;
        assert_eq!(reply.data()["t9"]["nodes"].as_array().map(Vec::len), Some(100));
        app.stop().await;
    }

    async fn bodies_that_do_not_finish_leave_room_for_others() {
        let settings = [("HTTP__TRUSTED_PROXIES", "127.0.0.1"), ("HTTP__FORWARDING_HEADER", "x-forwarded-for"),
            ("FAIR_SHARES__MAX_ARRIVING_BYTES", "1048576"), ("HTTP__BODY_TIMEOUT_MS", "3000")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        let mut greedy = Vec::new();
        for _ in 0..8 {
            greedy.push(half_sent(&app, "192.0.2.1", 200_000).await);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut open = Vec::new();
        let mut refusals = 0;
        for mut stream in greedy {
            match refused(&mut stream, Duration::from_millis(50)).await {
                Some(status) => {
                    assert_eq!(status, "503");
                    refusals += 1;
                }
                None => open.push(stream),
            }
        }
        // Each takes its length, and what the connection keeps of it.
        assert_eq!((refusals, open.len()), (5, 3));
        // Another caller finishes all the same, and one of the first caller's bodies pays for it.
        let mut other = half_sent(&app, "192.0.2.2", 220_000).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.write_all(b" ").await.expect("it is sent");
        assert_eq!(refused(&mut other, Duration::from_secs(2)).await.as_deref(), Some("400"), "blanks are no JSON");
        let mut ends = Vec::new();
        for stream in &mut open {
            ends.push(refused(stream, Duration::from_secs(5)).await.unwrap_or_default());
        }
        ends.sort();
        assert_eq!(ends, ["408", "408", "503"]);
        app.stop().await;
    }

    async fn a_message_that_does_not_finish_ends_its_socket() {
        let settings = [("WEBSOCKET__MESSAGE_TIMEOUT_MS", "600"), ("FAIR_SHARES__MAX_ARRIVING_BYTES", "1048576")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        let mut socket = Socket::init(&app, json!({})).await;
        // A whole one in pieces is a message like any other.
        let text = json!({"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { id } }"}}).to_string();
        let (first, rest) = text.as_bytes().split_at(20);
        fragments(&mut socket, first, true).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let last = Frame::message(rest.to_vec(), OpCode::Data(Data::Continue), true);
        socket.send_raw(Message::Frame(last)).await;
        assert_eq!(socket.next().await.expect("an answer")["type"], "next");
        assert_eq!(socket.next().await.expect("an end")["type"], "complete");
        tokio::time::sleep(Duration::from_millis(700)).await;
        // Pings and further pieces do not give it more time.
        let began = Instant::now();
        fragments(&mut socket, b"{", true).await;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            socket.send_raw(Message::Ping("?".into())).await;
            fragments(&mut socket, b" ", false).await;
        }
        assert_eq!(socket.next_or_reason().await, Err((1008, "Message timeout".to_owned())));
        assert!(began.elapsed() < Duration::from_millis(1500));
        // Together they have only so much room.
        let mut sockets = Vec::new();
        for _ in 0..12 {
            let mut socket = Socket::init(&app, json!({})).await;
            fragments(&mut socket, &[b' '; 100_000], true).await;
            sockets.push(socket);
        }
        let mut codes = Vec::new();
        for mut socket in sockets {
            codes.push(socket.next().await.expect_err("an end"));
        }
        codes.sort();
        assert_eq!(codes, [vec![1008; 3], vec![1013; 9]].concat());
        app.stop().await;
    }

    async fn one_address_has_only_so_many_subscriptions() {
        let app = TestApp::start_with(Engine::Sqlite, &[("WEBSOCKET__MAX_SUBSCRIPTIONS_PER_ADDRESS", "3")]).await;
        let lin = app.user("lin").await;
        let mut socket = Socket::init(&app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        for id in ["1", "2", "3", "4"] {
            socket.subscribe(id, "subscription { taskChanged { kind } }").await;
        }
        let refusal = socket.next().await.expect("a refusal");
        assert_eq!((&refusal["id"], &refusal["type"]), (&json!("4"), &json!("error")));
        assert_eq!(refusal["payload"][0]["extensions"]["code"], "RATE_LIMITED");
        socket.send(json!({"id": "1", "type": "complete"})).await;
        // Its place is free once its task has ended.
        let mut tries = 0;
        loop {
            let id = format!("again-{tries}");
            socket.subscribe(&id, "subscription { taskChanged { kind } }").await;
            socket.subscribe("q", "{ viewer { id } }").await;
            let first = socket.next().await.expect("a message");
            if first["id"] == "q" {
                break;
            }
            assert!(tries < 100, "its place is never free");
            tries += 1;
            assert_eq!(first["type"], "error");
            while socket.next().await.expect("a message")["type"] != "complete" {}
        }
        app.stop().await;
    }

    async fn subscribers_of_one_document_share_its_events() {
        let app = TestApp::start(Engine::Sqlite).await;
        let (admin, lin) = (app.admin("boss").await, app.user("lin").await);
        admin.run("mutation($slug: ID!) { updateRubric(input: {id: $slug, isResultPublic: true}) { rubric { id } } }",
            json!({"slug": admin.ask("{ rubric(slug: \"default\") { id } }").await.data()["rubric"]["id"]})).await.data();
        let query = "subscription { scoreSubmitted(rubric: \"default\") { score { id } summary { count } } }";
        let mut strangers = Vec::new();
        for _ in 0..3 {
            let mut socket = Socket::init(&app, json!({})).await;
            socket.subscribe("1", query).await;
            strangers.push(socket);
        }
        let mut own = Socket::init(&app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        own.subscribe("1", query).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let submit = "mutation { submitScore(input: {accountNumber: \"12345\", grades: [{criterion: \"grade1\", grade: 1},
            {criterion: \"grade2\", grade: 1}, {criterion: \"grade3\", grade: 1}]}) { score { id } } }";
        let id = lin.ask(submit).await.data()["submitScore"]["score"]["id"].clone();
        for socket in &mut strangers {
            let event = socket.next().await.expect("an event");
            let event = event["payload"]["data"]["scoreSubmitted"].clone();
            assert_eq!(event, json!({"score": Value::Null, "summary": {"count": 1}}));
        }
        // What depends on the caller is their own.
        let event = own.next().await.expect("an event");
        assert_eq!(event["payload"]["data"]["scoreSubmitted"]["score"]["id"], id);
        // One who leaves takes nothing from the others, and one who comes joins them.
        strangers.pop();
        let mut late = Socket::init(&app, json!({})).await;
        late.subscribe("1", query).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        lin.ask(submit).await.data();
        strangers.push(late);
        for socket in &mut strangers {
            let event = socket.next().await.expect("an event");
            assert_eq!(event["payload"]["data"]["scoreSubmitted"]["summary"]["count"], json!(2));
        }
        // Once the results are private, each hears it.
        admin.run("mutation($slug: ID!) { updateRubric(input: {id: $slug, isResultPublic: false}) { rubric { id } } }",
            json!({"slug": admin.ask("{ rubric(slug: \"default\") { id } }").await.data()["rubric"]["id"]})).await.data();
        tokio::time::sleep(Duration::from_millis(700)).await;
        lin.ask(submit).await.data();
        for socket in &mut strangers {
            let event = socket.next().await.expect("an event");
            assert_eq!(event["payload"]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{event}");
            assert_eq!(socket.next().await.expect("an end")["type"], "complete");
        }
        app.stop().await;
    }

    async fn what_looks_at_many_rows_counts_as_more_than_it_returns() {
        let settings = [("RATE_LIMIT__ENABLED", "true"), ("RATE_LIMIT__READ_PER_ADDRESS", "24")];
        let part = "query($from: DateTime) { rubric(slug: \"default\") { summary(from: $from) { count } } }";
        let search = "query($filter: TaskFilter) { tasks(filter: $filter, first: 60) { nodes { id } } }";
        for (query, variables, answered) in [
            (part, json!({"from": Value::Null}), 24),
            (part, json!({"from": "2026-01-01T00:00:00Z"}), 2),
            (search, json!({"filter": {"status": ["TODO"]}}), 24),
            (search, json!({"filter": {"search": "a"}}), 2),
        ] {
            let app = TestApp::start_with(Engine::Sqlite, &settings).await;
            let mut count = 0;
            let refusal = loop {
                let reply = app.anonymous().run(query, variables.clone()).await;
                if reply.body["errors"][0]["extensions"]["code"] == "RATE_LIMITED" {
                    break reply;
                }
                count += 1;
                assert!(count < 50, "{variables}: never refused");
            };
            // A minute's worth is refilled while it is used.
            assert!((answered..answered + 2).contains(&count), "{variables}: {count}");
            assert_eq!(refusal.status.as_u16(), 429);
            app.stop().await;
        }
    }
}
