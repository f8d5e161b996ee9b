use chrono::TimeDelta;
use serde_json::{Value, json};

use wegraph::platform::clock::Clock;

use crate::harness::{Client, PASSWORD, TestApp, on_each_database};

/// `ACTION actor subject` of each event, oldest first, with names for ids.
async fn events(admin: &Client, names: &[(&str, &str)]) -> Vec<String> {
    let reply = admin
        .ask("{ auditEvents(first: 100) { nodes { action actor { id } subjectId } } }")
        .await;
    let name = |id: &Value| match id.as_str() {
        Some(id) => names
            .iter()
            .find(|(known, _)| *known == id)
            .map_or("other", |(_, name)| name),
        None => "-",
    };
    let nodes = reply.data()["auditEvents"]["nodes"]
        .as_array()
        .expect("a list")
        .clone();
    nodes
        .iter()
        .rev()
        .map(|node| {
            format!(
                "{} {} {}",
                node["action"].as_str().expect("an action"),
                name(&node["actor"]["id"]),
                name(&node["subjectId"])
            )
        })
        .collect()
}

async fn login(app: &TestApp, password: &str) -> crate::harness::Reply {
    let query = "mutation($p: String!) { login(input: {password: {username: \"mei\", password: $p}}) { accessToken refreshToken user { id sessions { id isCurrent } } } }";
    app.anonymous().run(query, json!({"p": password})).await
}

on_each_database! {
    async fn tells_who_did_what_to_whom(app) {
        let admin = app.admin("boss").await;
        let mei = app.registered("mei").await;
        let step = async || app.advance(TimeDelta::milliseconds(10));
        step().await;
        login(app, "Wrong-Pa5sword").await.code();
        step().await;
        let nobody = "mutation { login(input: {password: {username: \"nobody\", password: \"Wrong-Pa5sword\"}}) { isNewUser } }";
        app.anonymous().ask(nobody).await.code();
        step().await;
        let second = login(app, PASSWORD).await.data()["login"].clone();
        step().await;
        let session = second["user"]["sessions"].as_array().expect("a list").iter().find(|s| s["isCurrent"] == true).expect("one")["id"].clone();
        let session = session.as_str().expect("an id").to_owned();
        mei.run("mutation($id: ID!) { revokeSession(input: {id: $id}) { revokedSessionId } }", json!({"id": session})).await.data();
        step().await;
        let change = "mutation($a: String!, $b: String!) { changePassword(input: {currentPassword: $a, newPassword: $b}) { endedSessions } }";
        mei.run(change, json!({"a": PASSWORD, "b": "Another-Way-2-Go"})).await.data();
        step().await;
        mei.ask("mutation { linkWechat(input: {code: \"sim-mei-1\"}) { user { id } } }").await.data();
        step().await;
        mei.ask("mutation { bindPhoneNumber(input: {code: \"sim-phone13800138000-1\"}) { user { id } } }").await.data();
        step().await;
        mei.ask("mutation { unlinkWechat { user { id } } }").await.data();
        step().await;
        let own = mei.ask("{ viewer { sessions { id } } }").await.data()["viewer"]["sessions"][0]["id"].as_str().expect("an id").to_owned();
        mei.ask("mutation { logout { endedSessions } }").await.data();
        step().await;
        let update = "mutation($input: UpdateUserInput!) { updateUser(input: $input) { user { id } } }";
        for change in [json!({"id": mei.user_id, "isDisabled": true}), json!({"id": mei.user_id, "isDisabled": false}), json!({"id": mei.user_id, "role": "ADMIN"})] {
            admin.run(update, json!({"input": change})).await.data();
            step().await;
        }
        let names = [(admin.user_id.as_str(), "boss"), (mei.user_id.as_str(), "mei"), (&session, "session"), (&own, "own")];
        // The first events of a person come at the same time, in the order they were written.
        assert_eq!(events(&admin, &names).await, [
            "REGISTERED boss boss", "SIGNED_IN boss boss", "REGISTERED mei mei", "SIGNED_IN mei mei",
            "SIGN_IN_FAILED - mei", "SIGN_IN_FAILED - -", "SIGNED_IN mei mei", "SESSION_REVOKED mei session",
            "PASSWORD_CHANGED mei mei", "WECHAT_LINKED mei mei", "PHONE_BOUND mei mei", "WECHAT_UNLINKED mei mei", "SIGNED_OUT mei own",
            "USER_DISABLED boss mei", "USER_ENABLED boss mei", "ROLE_CHANGED boss mei",
        ]);
    }

    async fn tells_of_a_refresh_token_that_came_again(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let refresh = "mutation($t: String!) { refreshSession(input: {refreshToken: $t}) { isNewUser } }";
        app.anonymous().run(refresh, json!({"t": mei.refresh_token})).await.data();
        app.advance(TimeDelta::seconds(11));
        app.anonymous().run(refresh, json!({"t": mei.refresh_token})).await.code();
        let reply = admin.ask("{ auditEvents(filter: {action: REFRESH_REUSED}) { nodes { actor { id } } totalCount } }").await;
        assert_eq!(reply.data()["auditEvents"], json!({"nodes": [{"actor": {"id": mei.user_id}}], "totalCount": 1}));
    }

    async fn tells_when_and_from_where_and_no_secrets(app) {
        let admin = app.admin("boss").await;
        let query = "mutation($p: String!) { register(input: {username: \"mei\", password: $p}) { user { id } } }";
        let long = format!("Mini/1.0 {}", "x".repeat(400));
        app.anonymous().run_with(("User-Agent", &long), query, json!({"p": PASSWORD})).await.data();
        let typed = "mutation { login(input: {password: {username: \"My-Pa5sword-here\", password: \"x\"}}) { isNewUser } }";
        app.anonymous().ask(typed).await.code();
        let reply = admin.ask("{ auditEvents { nodes { id action ipAddress userAgent occurredAt subjectId } } }").await;
        let text = reply.data().to_string();
        assert!(!text.contains(PASSWORD) && !text.contains("My-Pa5sword-here"), "{text}");
        let nodes = reply.data()["auditEvents"]["nodes"].as_array().expect("a list").clone();
        let registered = nodes.iter().find(|node| node["action"] == "REGISTERED" && node["userAgent"].as_str().is_some_and(|text| text.starts_with("Mini"))).expect("the event");
        assert_eq!(registered["ipAddress"], "127.0.0.1");
        assert_eq!(registered["userAgent"].as_str().map(str::len), Some(255));
        let again = admin.run("query($id: ID!) { node(id: $id) { id ... on AuditEvent { action } } }", json!({"id": registered["id"]})).await;
        assert_eq!(again.data()["node"]["action"], "REGISTERED");
    }

    async fn filters_alone_and_together(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let count = async |filter: Value| {
            let reply = admin.run("query($f: AuditEventFilter) { auditEvents(filter: $f) { totalCount nodes { id } } }", json!({"f": filter})).await;
            let events = reply.data()["auditEvents"].clone();
            assert_eq!(events["totalCount"], json!(events["nodes"].as_array().map(Vec::len)));
            events["totalCount"].as_u64().expect("a number")
        };
        let late = (app.clock.now() + TimeDelta::minutes(5)).utc();
        assert_eq!(count(Value::Null).await, 4);
        assert_eq!(count(json!({"action": "SIGNED_IN"})).await, 2);
        assert_eq!(count(json!({"userId": mei.user_id})).await, 2);
        assert_eq!(count(json!({"userId": mei.user_id, "action": "REGISTERED"})).await, 1);
        assert_eq!(count(json!({"userId": "x"})).await, 0);
        assert_eq!(count(json!({"from": late.to_rfc3339()})).await, 0);
        assert_eq!(count(json!({"to": late.to_rfc3339()})).await, 4);
    }

    async fn is_kept_for_half_a_year(app) {
        app.user("mei").await;
        app.advance(TimeDelta::days(179));
        app.identity.clean().await.expect("it cleans");
        let count = async || {
            let admin = app.admin("boss").await;
            let reply = admin.run("query($id: ID) { auditEvents(filter: {userId: $id}) { totalCount } }", json!({"id": null})).await;
            reply.data()["auditEvents"]["totalCount"].as_u64().expect("a number")
        };
        let before = count().await;
        app.advance(TimeDelta::days(2));
        app.identity.clean().await.expect("it cleans");
        assert_eq!(count().await, before - 2 + 1, "mei's two are gone, one sign-in came");
    }
}
