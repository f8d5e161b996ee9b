use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Reply, TestApp, on_each_database};

async fn update(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: UpdateUserInput!) { updateUser(input: $input) { user { id role isDisabled displayName } } }",
            json!({"input": input}),
        )
        .await
}

async fn delete(client: &Client, id: &str) -> Reply {
    client
        .run(
            "mutation($id: ID!) { deleteUser(input: {id: $id}) { deletedUserId } }",
            json!({"id": id}),
        )
        .await
}

async fn sees(client: &Client) -> u16 {
    client.ask("{ viewer { id } }").await.status.as_u16()
}

async fn names(client: &Client, search: &str) -> Vec<String> {
    let reply = client
        .run(
            "query($s: String) { users(search: $s) { nodes { displayName } totalCount } }",
            json!({"s": search}),
        )
        .await;
    let users = reply.data()["users"].clone();
    let nodes = users["nodes"].as_array().expect("a list");
    assert_eq!(users["totalCount"], json!(nodes.len()));
    nodes
        .iter()
        .map(|node| node["displayName"].as_str().expect("a name").to_owned())
        .collect()
}

on_each_database! {
    async fn users_are_found_by_any_of_their_names(app) {
        let admin = app.admin("boss").await;
        for (name, display, email) in [("mei", "Müller 梅", "mei@example.com"), ("lin_a", "100% Lin", "LIN@Example.org")] {
            app.advance(TimeDelta::seconds(1));
            let one = app.registered(name).await;
            one.run("mutation($d: String, $e: String) { updateProfile(input: {displayName: $d, email: $e}) { user { id } } }", json!({"d": display, "e": email})).await.data();
        }
        assert_eq!(names(&admin, "").await, ["100% Lin", "Müller 梅", "微信用户"], "newest first");
        for (search, expected) in [
            ("MEI", vec!["Müller 梅"]),
            ("MÜLLER", vec!["Müller 梅"]),
            ("梅", vec!["Müller 梅"]),
            ("lin@example", vec!["100% Lin"]),
            ("0%", vec!["100% Lin"]),
            ("n_a", vec!["100% Lin"]),
            ("%", vec!["100% Lin"]),
            ("lin%a", vec![]),
            ("\u{0}", vec![]),
            ("\u{1f}", vec![]),
        ] {
            assert_eq!(names(&admin, search).await, expected, "{search}");
        }
        assert_eq!(names(&admin, &admin.user_id.to_uppercase()).await, ["微信用户"], "or by id");
        let long = admin.run("query($s: String) { users(search: $s) { totalCount } }", json!({"s": "x".repeat(201)})).await;
        assert_eq!(long.faults(), ["search TOO_LONG"]);
    }

    async fn pages_both_ways_visit_each_once(app) {
        let admin = app.admin("boss").await;
        for n in 0..6 {
            app.user(&format!("person{n}")).await;
        }
        let mut forward = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let query = "query($c: String) { users(first: 3, after: $c) { nodes { id } pageInfo { hasNextPage endCursor } } }";
            let page = admin.run(query, json!({"c": cursor})).await.data()["users"].clone();
            forward.extend(page["nodes"].as_array().expect("a list").clone());
            cursor = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        let query = "query { users(last: 100) { nodes { id } pageInfo { hasPreviousPage } } }";
        let all = admin.ask(query).await.data()["users"]["nodes"].as_array().expect("a list").clone();
        assert_eq!((forward.len(), &forward), (7, &all));
        let bad = admin.ask("{ users(after: \"x\") { totalCount } }").await;
        assert_eq!(bad.faults(), ["after MALFORMED"]);
    }

    async fn a_page_of_users_costs_as_many_statements_as_one(app) {
        let admin = app.admin("boss").await;
        let query = "{ users { nodes { id username email phoneNumber isWechatLinked hasPassword sessions { id } } totalCount } }";
        admin.ask(query).await.data();
        let cost = async || {
            let before = app.db.statements();
            admin.ask(query).await.data();
            app.db.statements() - before
        };
        let alone = cost().await;
        for n in 0..19 {
            app.user(&format!("person{n}")).await;
        }
        assert_eq!(cost().await, alone);
        assert_eq!(alone, 4, "the page, its count, who is linked, the administrator's own sessions");
    }

    async fn another_role_ends_the_sessions_of_the_user(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        assert_eq!(sees(&mei).await, 200);
        let reply = update(&admin, json!({"id": mei.user_id, "role": "ADMIN"})).await;
        assert_eq!(reply.data()["updateUser"]["user"]["role"], "ADMIN");
        assert_eq!(sees(&mei).await, 401);
        let mei = app.user("mei").await;
        assert_eq!(names(&mei, "").await.len(), 2);
        update(&mei, json!({"id": admin.user_id, "role": "USER"})).await.data();
        assert_eq!(sees(&admin).await, 401);
        assert_eq!(app.user("boss").await.ask("{ users { totalCount } }").await.code(), "FORBIDDEN");
    }

    async fn a_disabled_account_is_out_at_once_and_can_come_back(app) {
        let (admin, mei) = (app.admin("boss").await, app.registered("mei").await);
        let login = "mutation($p: String!) { login(input: {password: {username: \"mei\", password: $p}}) { isNewUser } }";
        update(&admin, json!({"id": mei.user_id, "isDisabled": true})).await.data();
        assert_eq!(sees(&mei).await, 401);
        assert_eq!(app.anonymous().run(login, json!({"p": PASSWORD})).await.code(), "ACCOUNT_DISABLED");
        assert_eq!(app.anonymous().run(login, json!({"p": "Wrong-Pa5sword"})).await.code(), "INVALID_CREDENTIALS");
        update(&admin, json!({"id": mei.user_id, "isDisabled": false})).await.data();
        app.anonymous().run(login, json!({"p": PASSWORD})).await.data();
        assert_eq!(sees(&mei).await, 401, "what ended stays ended");
    }

    async fn a_name_changes_and_nothing_ends(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        update(&admin, json!({"id": mei.user_id, "displayName": "Polite Name", "role": "USER"})).await.data();
        assert_eq!(mei.ask("{ viewer { displayName } }").await.data()["viewer"]["displayName"], "Polite Name");
        let reply = update(&admin, json!({"id": mei.user_id, "displayName": null, "role": null, "isDisabled": null})).await;
        assert_eq!(reply.faults(), ["input.role NOT_NULLABLE", "input.isDisabled NOT_NULLABLE", "input.displayName NOT_NULLABLE"]);
        for id in ["x", "01890000-0000-7000-8000-000000000000"] {
            assert_eq!(update(&admin, json!({"id": id, "displayName": "x"})).await.code(), "NOT_FOUND");
            assert_eq!(delete(&admin, id).await.code(), "NOT_FOUND");
        }
    }

    async fn nobody_removes_the_last_administrator(app) {
        let boss = app.admin("boss").await;
        let id = boss.user_id.as_str();
        for input in [json!({"id": id, "role": "USER"}), json!({"id": id, "isDisabled": true})] {
            assert_eq!(update(&boss, input).await.code(), "CONFLICT");
        }
        assert_eq!(delete(&boss, id).await.code(), "CONFLICT");
        assert_eq!(sees(&boss).await, 200);
        let deputy = app.admin("deputy").await;
        update(&boss, json!({"id": deputy.user_id, "isDisabled": true})).await.data();
        assert_eq!(update(&boss, json!({"id": id, "role": "USER"})).await.code(), "CONFLICT", "a disabled one does not count");
    }

    async fn of_two_who_dismiss_each_other_one_stays(app) {
        let (boss, deputy) = (app.admin("boss").await, app.admin("deputy").await);
        let (a, b) = tokio::join!(
            update(&boss, json!({"id": deputy.user_id, "role": "USER"})),
            update(&deputy, json!({"id": boss.user_id, "role": "USER"})),
        );
        let done = [&a, &b].iter().filter(|reply| reply.body.get("errors").is_none()).count();
        assert_eq!(done, 1, "{:?} {:?}", a.body, b.body);
    }

    async fn deletes_a_user_with_a_password(app) {
        let (boss, mei) = (app.admin("boss").await, app.registered("mei").await);
        assert_eq!(delete(&boss, &mei.user_id).await.data()["deleteUser"]["deletedUserId"], json!(mei.user_id));
        assert_eq!(sees(&mei).await, 401);
        let seen = boss.run("query($id: ID!) { user(id: $id) { id } }", json!({"id": mei.user_id})).await;
        assert_eq!(seen.data()["user"], Value::Null);
    }

    async fn opening_an_account_forgives_its_failures_everywhere(app) {
        let app = TestApp::start_with(app.engine, &[("RATE_LIMIT__ENABLED", "true")]).await;
        let (boss, mei) = (app.admin("boss").await, app.registered("mei").await);
        let other = app.sibling().await;
        let login = "mutation($p: String!) { login(input: {password: {username: \"mei\", password: $p}}) { isNewUser } }";
        for client in [app.anonymous(), other.anonymous()] {
            for _ in 0..5 {
                assert_eq!(client.run(login, json!({"p": "Wrong-Pa5sword"})).await.code(), "INVALID_CREDENTIALS");
            }
            assert_eq!(client.run(login, json!({"p": PASSWORD})).await.code(), "RATE_LIMITED");
        }
        update(&boss, json!({"id": mei.user_id, "isDisabled": false})).await.data();
        app.anonymous().run(login, json!({"p": PASSWORD})).await.data();
        let began = std::time::Instant::now();
        while other.anonymous().run(login, json!({"p": PASSWORD})).await.body.get("errors").is_some() {
            assert!(began.elapsed().as_secs() < 5, "not forgiven on the other server");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        other.stop().await;
        app.stop().await;
    }
}
