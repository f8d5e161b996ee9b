//! The protocol `graphql-transport-ws`, and what a socket may do.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::socket::Socket;
use crate::harness::{Engine, TestApp, on_each_database, once};

const CHANGES: &str = "subscription { taskChanged { kind taskId task { title owner { id } } } }";

on_each_database! {
    async fn runs_queries_and_mutations_signed_in_and_not(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"Authorization": format!("Bearer {}", lin.token())})).await;
        let created = socket.ask("mutation { createTask(input: {title: \"a\", status: null}) { task { title owner { id } } } }").await;
        assert_eq!(created["data"]["createTask"]["task"], json!({"title": "a", "owner": {"id": lin.user_id}}));
        let mut anonymous = Socket::init(app, json!({})).await;
        let refused = anonymous.ask("{ tasks { totalCount } }").await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        assert_eq!(refused["data"], json!(null));
        let wrong = anonymous.ask("{ nothing }").await;
        assert!(wrong.is_array(), "{wrong}");
        assert!(wrong.to_string().contains("GRAPHQL_VALIDATION_FAILED"), "{wrong}");
        let deep = anonymous.ask(&"[".repeat(5_000)).await;
        assert!(deep.to_string().contains("QUERY_TOO_COMPLEX"), "{deep}");
    }

    async fn a_session_that_ends_closes_its_sockets_at_once(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        socket.ask("{ viewer { id } }").await;
        lin.ask("mutation { logout { endedSessions } }").await.data();
        assert_eq!(socket.next().await, Err(4403));
    }

    async fn closes_with_the_codes_of_the_protocol(app) {
        let mut bad_token = Socket::open(app, Some("graphql-transport-ws")).await;
        bad_token.send(json!({"type": "connection_init", "payload": {"Authorization": "Bearer nonsense"}})).await;
        assert_eq!(bad_token.next().await, Err(4403));
        let mut too_early = Socket::open(app, Some("graphql-transport-ws")).await;
        too_early.send(json!({"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { id } }"}})).await;
        assert_eq!(too_early.next().await, Err(4401));
        let mut twice = Socket::init(app, json!({})).await;
        twice.send(json!({"type": "connection_init"})).await;
        assert_eq!(twice.next().await, Err(4429));
        for nonsense in ["nonsense", "{\"type\": \"nonsense\"}", "{\"type\": \"subscribe\", \"id\": \"1\", \"payload\": {}}",
            "{\"type\": \"subscribe\", \"id\": \"1\", \"payload\": {\"query\": 1}}"] {
            let mut socket = Socket::init(app, json!({})).await;
            socket.send_raw(Message::text(nonsense)).await;
            assert_eq!(socket.next().await, Err(4400), "{nonsense}");
        }
        let mut binary = Socket::init(app, json!({})).await;
        binary.send_raw(Message::binary(vec![0; 10])).await;
        assert_eq!(binary.next().await, Err(4400));
        let lin = app.user("lin").await;
        let mut duplicate = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        let id = "学".repeat(100);
        duplicate.subscribe(&id, CHANGES).await;
        duplicate.subscribe(&id, CHANGES).await;
        let (code, reason) = duplicate.next_or_reason().await.expect_err("the end");
        assert_eq!(code, 4409);
        assert!(reason.starts_with("Subscriber for 学") && reason.len() <= 123, "{reason}");
        for length in [70_000, 1_000_000, 10_000_000] {
            let mut large = Socket::init(app, json!({})).await;
            large.send_raw(Message::text("x".repeat(length))).await;
            assert_eq!(large.next().await, Err(1009), "{length}");
        }
    }

    async fn tells_a_subscriber_of_the_changes_of_its_tasks(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        socket.subscribe("s", CHANGES).await;
        // The reply comes once the subscription has begun.
        socket.ask("{ viewer { id } }").await;
        mei.ask("mutation { createTask(input: {title: \"hers\"}) { task { id } } }").await.data();
        let created = lin.ask("mutation { createTask(input: {title: \"mine\"}) { task { id } } }").await;
        let id = created.data()["createTask"]["task"]["id"].as_str().expect("an id").to_owned();
        let id = id.as_str();
        let create_again = json!({"id": id, "title": "mine"});
        lin.run("mutation($i: CreateTaskInput!) { createTask(input: $i) { task { id } } }", json!({"i": create_again})).await;
        lin.run("mutation($id: ID!) { updateTask(input: {id: $id, title: \"mine\"}) { task { id } } }", json!({"id": id})).await.data();
        lin.run("mutation($id: ID!) { updateTask(input: {id: $id, title: \"ours\"}) { task { id } } }", json!({"id": id})).await.data();
        lin.run("mutation($id: ID!) { completeTasks(input: {ids: [$id, $id]}) { tasks { id } } }", json!({"id": id})).await.data();
        lin.run("mutation($id: ID!) { deleteTask(input: {id: $id}) { deletedTaskId } }", json!({"id": id})).await.data();
        for (kind, title) in [("CREATED", Some("mine")), ("UPDATED", Some("ours")), ("UPDATED", Some("ours")), ("DELETED", None)] {
            let event = socket.next().await.expect("an event");
            let task = title.map(|title| json!({"title": title, "owner": {"id": lin.user_id}}));
            assert_eq!(event["payload"]["data"]["taskChanged"], json!({"kind": kind, "taskId": id, "task": task}));
        }
        socket.send(json!({"id": "s", "type": "complete"})).await;
        socket.ask("{ viewer { id } }").await;
        lin.ask("mutation { createTask(input: {title: \"later\"}) { task { id } } }").await.data();
        assert_eq!(socket.ask("{ __typename }").await["data"]["__typename"], "Query");
        let mut anonymous = Socket::init(app, json!({})).await;
        let refused = anonymous.ask(CHANGES).await;
        assert_eq!(refused[0]["extensions"]["code"], "UNAUTHENTICATED");
    }

    async fn operations_side_by_side_need_no_more_connections_than_there_are(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        // The pool of the tests has five connections.
        for id in 0..20 {
            socket.subscribe(&id.to_string(), "{ tasks(filter: {search: \"a\"}) { totalCount nodes { owner { id } } } }").await;
        }
        let (mut answered, mut ended) = (0, 0);
        while ended < 20 {
            let message = socket.next().await.expect("a message");
            match message["type"].as_str() {
                Some("next") => {
                    assert_eq!(message["payload"], json!({"data": {"tasks": {"totalCount": 0, "nodes": []}}}));
                    answered += 1;
                }
                Some("complete") => ended += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(answered, 20);
    }

    async fn an_id_may_be_used_again_at_once(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        for round in 0..20 {
            socket.subscribe("s", CHANGES).await;
            socket.ask_last("{ viewer { id } }").await;
            lin.run("mutation($t: String!) { createTask(input: {title: $t}) { task { id } } }", json!({"t": round.to_string()})).await.data();
            socket.send(json!({"id": "s", "type": "complete"})).await;
        }
        socket.subscribe("s", CHANGES).await;
        socket.ask_last("{ viewer { id } }").await;
        lin.ask("mutation { createTask(input: {title: \"last\"}) { task { id } } }").await.data();
        let event = socket.next().await.expect("an event");
        assert_eq!(event["payload"]["data"]["taskChanged"]["task"]["title"], "last", "what came before belongs to others");
    }

    async fn a_hundred_changes_at_once_all_arrive(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        socket.subscribe("s", CHANGES).await;
        socket.ask("{ viewer { id } }").await;
        let mut ids = Vec::new();
        for _ in 0..100 {
            let reply = lin.ask("mutation { createTask(input: {title: \"x\"}) { task { id } } }").await;
            ids.push(reply.data()["createTask"]["task"]["id"].as_str().expect("an id").to_owned());
            let event = socket.next().await.expect("an event");
            assert_eq!(event["payload"]["data"]["taskChanged"]["kind"], "CREATED");
        }
        lin.run("mutation($ids: [ID!]!) { completeTasks(input: {ids: $ids}) { tasks { id } } }", json!({"ids": ids})).await.data();
        let mut kinds = Vec::new();
        for _ in 0..100 {
            let event = socket.next().await.expect("an event");
            kinds.push(event["payload"]["data"]["taskChanged"]["kind"].as_str().expect("a kind").to_owned());
        }
        assert!(kinds.iter().all(|kind| kind == "UPDATED"), "all at once fit");
    }

    async fn speaks_only_graphql_transport_ws(app) {
        for protocols in [None, Some("graphql-ws"), Some("chat")] {
            assert_eq!(Socket::open(app, protocols).await.next().await, Err(4406), "{protocols:?}");
        }
        let mut both = Socket::open(app, Some("graphql-ws, graphql-transport-ws")).await;
        both.send(json!({"type": "connection_init"})).await;
        assert_eq!(both.next().await.expect("a message")["type"], "connection_ack");
        both.send(json!({"type": "ping"})).await;
        assert_eq!(both.next().await.expect("a message")["type"], "pong");
    }

    async fn a_bad_token_in_the_handshake_is_401(app) {
        let url = format!("{}/graphql/ws", app.base_url.replace("http:", "ws:"));
        let mut request = url.into_client_request().expect("a request");
        request.headers_mut().insert("Authorization", "Bearer nonsense".parse().expect("a header"));
        match connect_async(request).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 401),
            other => panic!("{other:?}"),
        }
    }
}

once! {
    async fn an_open_socket_outlives_the_time_for_headers() {
        let app = TestApp::start_with(Engine::Sqlite, &[("HTTP__HEADER_TIMEOUT_MS", "300")]).await;
        let mut socket = Socket::init(&app, json!({})).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(socket.ask("{ __typename }").await["data"]["__typename"], "Query");
        app.stop().await;
    }

    async fn waits_for_connection_init_only_so_long() {
        let app = TestApp::start_with(Engine::Sqlite, &[("WEBSOCKET__INIT_TIMEOUT_MS", "200")]).await;
        let mut silent = Socket::open(&app, Some("graphql-transport-ws")).await;
        assert_eq!(silent.next().await, Err(4408));
        let mut ready = Socket::init(&app, json!({})).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(ready.ask("{ __typename }").await["data"]["__typename"], "Query");
        app.stop().await;
    }

    async fn ends_with_its_token() {
        let app = TestApp::start_with(Engine::Sqlite, &[("AUTH__ACCESS_TOKEN_TTL_SECONDS", "3")]).await;
        let lin = app.user("lin").await;
        let mut socket = Socket::init(&app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        assert_eq!(socket.next().await, Err(4403));
        app.stop().await;
    }

    async fn hears_of_a_session_that_ends_on_another_server() {
        let app = TestApp::start_with(Engine::Sqlite, &[]).await;
        let other = app.sibling().await;
        let lin = app.user("lin").await;
        let mut socket = Socket::init(&app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        other.client(lin.token()).ask("mutation { logout { endedSessions } }").await.data();
        assert_eq!(socket.next().await, Err(4403));
        other.stop().await;
        app.stop().await;
    }

    async fn has_limits_for_sockets_and_operations() {
        let settings = [("WEBSOCKET__MAX_SOCKETS_PER_USER", "2"), ("WEBSOCKET__MAX_SOCKETS", "4"), ("WEBSOCKET__MAX_OPERATIONS", "2")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        let lin = app.user("lin").await;
        let token = json!({"authorization": format!("Bearer {}", lin.token())});
        let mut first = Socket::init(&app, token.clone()).await;
        let second = Socket::init(&app, token.clone()).await;
        let mut third = Socket::open(&app, Some("graphql-transport-ws")).await;
        third.send(json!({"type": "connection_init", "payload": token})).await;
        assert_eq!(third.next().await, Err(4429));
        for id in ["a", "b"] {
            first.subscribe(id, CHANGES).await;
        }
        first.subscribe("c", CHANGES).await;
        let refused = first.next().await.expect("a message");
        assert_eq!((&refused["type"], &refused["payload"][0]["extensions"]["code"]), (&json!("error"), &json!("RATE_LIMITED")));
        first.send(json!({"type": "complete", "id": "a"})).await;
        assert_eq!(first.ask("{ __typename }").await["data"]["__typename"], "Query");
        drop((second, third));
        let mut tries = 0;
        let third = loop {
            // The places of those that left are free as soon as the server has noticed.
            let mut socket = Socket::open(&app, Some("graphql-transport-ws")).await;
            socket.send(json!({"type": "connection_init", "payload": token})).await;
            match socket.next().await {
                Ok(_) => break socket,
                Err(_) if tries < 100 => tries += 1,
                Err(code) => panic!("{code}"),
            }
        };
        let mut others = Vec::new();
        let refusal = loop {
            let url = format!("{}/graphql/ws", app.base_url.replace("http:", "ws:"));
            match connect_async(url.into_client_request().expect("a request")).await {
                Ok(socket) => others.push(socket),
                Err(error) => break error,
            }
        };
        assert!(matches!(refusal, Error::Http(response) if response.status() == 503));
        drop((third, others));
        app.stop().await;
    }

    async fn one_address_has_only_so_many_sockets() {
        // Clients come through one proxy, whose own connections are not counted.
        let settings = [("HTTP__TRUSTED_PROXIES", "127.0.0.1"), ("HTTP__FORWARDING_HEADER", "x-forwarded-for"),
            ("WEBSOCKET__MAX_SOCKETS_PER_ADDRESS", "2"), ("HTTP__MAX_CONNECTIONS_PER_ADDRESS", "2")];
        let app = TestApp::start_with(Engine::Sqlite, &settings).await;
        let open = async |address: &str| {
            let url = format!("{}/graphql/ws", app.base_url.replace("http:", "ws:"));
            let mut request = url.into_client_request().expect("a request");
            let headers = request.headers_mut();
            headers.insert("X-Forwarded-For", address.parse().expect("a header"));
            headers.insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().expect("a header"));
            match connect_async(request).await {
                Ok((socket, _)) => Ok(socket),
                Err(Error::Http(response)) => Err(response.status().as_u16()),
                Err(error) => panic!("{error}"),
            }
        };
        let mut sockets = Vec::new();
        for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8:1:201::1", "2001:db8:1:2ff::1"] {
            sockets.push(open(address).await.expect(address));
        }
        for address in ["192.0.2.1", "2001:db8:1:200::2"] {
            assert_eq!(open(address).await.err(), Some(429), "{address}");
        }
        open("2001:db8:1:301::1").await.expect("another site");
        drop(sockets);
        let mut tries = 0;
        while let Err(status) = open("192.0.2.1").await {
            assert!(tries < 100, "its places are never free: {status}");
            tries += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app.stop().await;
    }

    async fn a_reader_that_reads_nothing_is_cut_off() {
        let app = TestApp::start_with(Engine::Sqlite, &[("HTTP__WRITE_TIMEOUT_MS", "300"), ("WEBSOCKET__MAX_SOCKETS", "1")]).await;
        let mut socket = Socket::open_narrow(&app).await;
        socket.send(json!({"type": "connection_init"})).await;
        let fields: String = (0..9).map(|i| format!("a{i}: errorCatalog {{ code description isRetryable }} ")).collect();
        let query = format!("{{ {fields} }}");
        // The system takes a megabyte or so before the server notices.
        for id in 0..800 {
            socket.subscribe(&id.to_string(), &query).await;
            if id % 20 == 19 {
                // They would be too many at once.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let mut tries = 0;
        loop {
            let url = format!("{}/graphql/ws", app.base_url.replace("http:", "ws:"));
            match connect_async(url.into_client_request().expect("a request")).await {
                Ok(_) => break,
                Err(error) => assert!(tries < 100, "the only place is never free: {error}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(socket);
        app.stop().await;
    }
}
