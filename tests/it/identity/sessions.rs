use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_each_database};

async fn sees(client: &Client) -> u16 {
    client.ask("{ viewer { id } }").await.status.as_u16()
}

async fn sessions(client: &Client) -> Vec<Value> {
    let reply = client
        .ask("{ viewer { sessions { id createdAt lastUsedAt expiresAt userAgent isCurrent } } }")
        .await;
    reply.data()["viewer"]["sessions"]
        .as_array()
        .expect("a list")
        .clone()
}

async fn current(client: &Client) -> String {
    let all = sessions(client).await;
    let current = all
        .iter()
        .find(|session| session["isCurrent"] == true)
        .expect("one is current");
    current["id"].as_str().expect("an id").to_owned()
}

const REVOKE: &str = "mutation($id: ID!) { revokeSession(input: {id: $id}) { revokedSessionId } }";

/// Waits until `client` is refused; how long that took.
async fn refused_after(client: &Client) -> Duration {
    let began = Instant::now();
    while sees(client).await == 200 {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "still welcome after five seconds"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

async fn statements(app: &TestApp, client: &Client, query: &str) -> u64 {
    let before = app.db.statements();
    client.ask(query).await.data();
    app.db.statements() - before
}

on_each_database! {
    async fn are_listed_for_their_user_the_last_used_first(app) {
        let phone = app.user("mei").await;
        app.advance(TimeDelta::minutes(1));
        let tablet = app.user("mei").await;
        app.user("lin").await;
        let all = sessions(&tablet).await;
        assert_eq!(all.len(), 2);
        assert_eq!((&all[0]["isCurrent"], &all[1]["isCurrent"]), (&json!(true), &json!(false)));
        assert_eq!(all[1]["id"], json!(current(&phone).await));
        app.advance(TimeDelta::days(7) - TimeDelta::minutes(1));
        let later = app.user("mei").await;
        assert_eq!(sessions(&later).await.len(), 2, "one that is over is not listed");
    }

    async fn can_be_revoked_from_another_device(app) {
        let (phone, tablet) = (app.user("mei").await, app.user("mei").await);
        let id = current(&phone).await;
        for _ in 0..2 {
            let reply = tablet.run(REVOKE, json!({"id": id})).await;
            assert_eq!(reply.data()["revokeSession"]["revokedSessionId"], json!(id), "a repetition succeeds");
        }
        assert_eq!((sees(&phone).await, sees(&tablet).await), (401, 200));
        let lin = app.user("lin").await;
        for id in [current(&tablet).await.as_str(), "x", "01890000-0000-7000-8000-000000000000"] {
            assert_eq!(lin.run(REVOKE, json!({"id": id})).await.code(), "NOT_FOUND");
        }
        assert_eq!(sees(&tablet).await, 200);
        let id = current(&tablet).await;
        tablet.run(REVOKE, json!({"id": id})).await.data();
        assert_eq!(sees(&tablet).await, 401, "one may revoke the session one uses");
    }

    async fn logout_ends_this_session_or_all(app) {
        let (a, b, c) = (app.user("mei").await, app.user("mei").await, app.user("mei").await);
        let lin = app.user("lin").await;
        let reply = a.ask("mutation { logout { endedSessions } }").await;
        assert_eq!(reply.data()["logout"]["endedSessions"], 1);
        assert_eq!((sees(&a).await, sees(&b).await), (401, 200));
        let reply = b.ask("mutation { logout(input: {everywhere: true}) { endedSessions } }").await;
        assert_eq!(reply.data()["logout"]["endedSessions"], 2);
        assert_eq!((sees(&b).await, sees(&c).await, sees(&lin).await), (401, 401, 200));
        let null = lin.ask("mutation { logout(input: {everywhere: null}) { endedSessions } }").await;
        assert_eq!(null.data()["logout"]["endedSessions"], 1);
    }

    async fn are_looked_up_once(app) {
        let mei = app.user("mei").await;
        assert_eq!(statements(app, &mei, "{ __typename }").await, 1);
        for _ in 0..20 {
            assert_eq!(statements(app, &mei, "{ __typename }").await, 0);
        }
        mei.ask("mutation { logout { endedSessions } }").await.data();
        let before = app.db.statements();
        for _ in 0..5 {
            assert_eq!(sees(&mei).await, 401);
        }
        assert_eq!(app.db.statements(), before, "an ended session is remembered, too");
    }

    async fn that_end_elsewhere_end_here_within_five_seconds(app) {
        let other = app.sibling().await;
        let (phone, tablet) = (app.user("mei").await, app.user("mei").await);
        let there = other.client(phone.token());
        assert_eq!((sees(&phone).await, sees(&there).await), (200, 200));
        let id = current(&phone).await;
        tablet.run(REVOKE, json!({"id": id})).await.data();
        assert_eq!(sees(&phone).await, 401, "at once where it was revoked");
        refused_after(&there).await;
        // A clock that leaps forward must not make the other server miss anything.
        assert_eq!(sees(&other.client(tablet.token())).await, 200);
        tablet.ask("mutation { logout { endedSessions } }").await.data();
        app.advance(TimeDelta::seconds(120));
        refused_after(&other.client(tablet.token())).await;
        other.stop().await;
    }

    async fn that_ended_elsewhere_change_no_account_meanwhile(app) {
        let other = app.sibling().await;
        let (stolen, owner) = (app.user("mei").await, app.user("mei").await);
        let thief = other.client(stolen.token());
        thief.ask("{ viewer { id } }").await.data();
        owner.ask("mutation { logout(input: {everywhere: true}) { endedSessions } }").await.data();
        let owner = app.user("mei").await;
        let id = current(&owner).await;
        for query in [
            "mutation { updateProfile(input: {username: \"thief\"}) { user { id } } }".to_owned(),
            "mutation { changePassword(input: {newPassword: \"Ev1l-pass!word\"}) { endedSessions } }".to_owned(),
            "mutation { linkWechat(input: {code: \"sim-thief-1\"}) { user { id } } }".to_owned(),
            "mutation { bindPhoneNumber(input: {code: \"sim-phone13800138000-1\"}) { user { id } } }".to_owned(),
            "mutation { unlinkWechat { user { id } } }".to_owned(),
            format!("mutation {{ revokeSession(input: {{id: \"{id}\"}}) {{ revokedSessionId }} }}"),
            "mutation { logout(input: {everywhere: true}) { endedSessions } }".to_owned(),
            "mutation { deleteAccount(input: {}) { deletedUserId } }".to_owned(),
        ] {
            assert_eq!(thief.ask(&query).await.code(), "TOKEN_REVOKED", "{query}");
        }
        assert_eq!(sees(&owner).await, 200);
        other.stop().await;
    }

    async fn beyond_the_limit_end_the_one_that_was_used_least(app) {
        let app = TestApp::start_with(app.engine, &[("AUTH__MAX_SESSIONS_PER_USER", "3")]).await;
        let mut all = Vec::new();
        for _ in 0..5 {
            app.advance(TimeDelta::seconds(1));
            all.push(app.user("mei").await);
        }
        let mut seen = Vec::new();
        for client in &all {
            seen.push(sees(client).await);
        }
        assert_eq!(seen, [401, 401, 200, 200, 200]);
        assert_eq!(sessions(&all[4]).await.len(), 3);
        app.stop().await;
    }

    async fn that_end_in_a_batch_end_the_rest_of_it(app) {
        let mei = app.user("mei").await;
        let batch = json!([{"query": "mutation { logout { endedSessions } }"}, {"query": "mutation { createTask(input: {title: \"x\"}) { task { id } } }"}]);
        let replies = crate::harness::Reply::of(mei.post("/graphql").json(&batch)).await.body;
        assert_eq!(replies[0]["data"]["logout"]["endedSessions"], 1);
        assert_eq!(replies[1]["errors"][0]["extensions"]["code"], "TOKEN_REVOKED");
    }

    async fn that_end_by_a_socket_are_answered_before_it_closes(app) {
        for query in ["mutation { logout { endedSessions } }", "mutation { deleteAccount(input: {}) { deletedUserId } }"] {
            let mei = app.user("mei").await;
            let token = json!({"authorization": format!("Bearer {}", mei.token())});
            let mut socket = crate::http::socket::Socket::init(app, token).await;
            assert_eq!(socket.ask(query).await.get("errors"), None, "{query}");
            assert_eq!(socket.next().await, Err(4403));
        }
    }

    async fn that_have_ended_stay_ended_in_a_new_server(app) {
        let mei = app.user("mei").await;
        mei.ask("mutation { logout { endedSessions } }").await.data();
        let restarted = app.sibling().await;
        assert_eq!(sees(&restarted.client(mei.token())).await, 401);
        restarted.stop().await;
    }

    async fn are_deleted_a_week_after_they_are_over(app) {
        use sea_orm::{EntityTrait, PaginatorTrait};
        let count = || wegraph::entity::session::Entity::find().count(app.db.read());
        let mei = app.user("mei").await;
        mei.ask("mutation { logout { endedSessions } }").await.data();
        app.advance(TimeDelta::days(13));
        let lin = app.user("lin").await;
        app.identity.clean().await.expect("it cleans");
        assert_eq!(count().await.expect("a count"), 2);
        app.advance(TimeDelta::days(2));
        app.identity.clean().await.expect("it cleans");
        assert_eq!(count().await.expect("a count"), 1);
        assert_eq!(sees(&mei).await, 401);
        let reply = lin.run("mutation($t: String!) { refreshSession(input: {refreshToken: $t}) { isNewUser } }", json!({"t": lin.refresh_token})).await;
        assert_eq!(reply.status.as_u16(), 401, "its access token is over");
    }
}
