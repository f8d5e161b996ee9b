use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Reply, TestApp, on_each_database};

async fn delete(client: &Client, password: Value) -> Reply {
    client
        .run(
            "mutation($p: String) { deleteAccount(input: {password: $p}) { deletedUserId } }",
            json!({"p": password}),
        )
        .await
}

/// Everything in the database that belongs to people.
async fn dump(app: &TestApp) -> String {
    use wegraph::entity::{
        audit_event, identity_signal, login_replay, score, session, task, user, wechat_identity,
    };
    let db = app.db.read();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        user::Entity::find().all(db).await,
        wechat_identity::Entity::find().all(db).await,
        session::Entity::find().all(db).await,
        task::Entity::find().all(db).await,
        score::Entity::find().all(db).await,
        audit_event::Entity::find().all(db).await,
        identity_signal::Entity::find().all(db).await,
        login_replay::Entity::find().all(db).await,
    )
}

on_each_database! {
    async fn erases_the_person_and_keeps_the_scores(app) {
        let (mei, admin) = (app.registered("mei.longname").await, app.admin("boss").await);
        mei.ask("mutation { linkWechat(input: {code: \"sim-mei-1\"}) { user { id } } }").await.data();
        mei.ask("mutation { bindPhoneNumber(input: {code: \"sim-phone13800138000-1\"}) { user { id } } }").await.data();
        mei.ask("mutation { updateProfile(input: {email: \"mei@example.com\", displayName: \"Mei Display\"}) { user { id } } }").await.data();
        mei.ask("mutation { createTask(input: {title: \"Secret plan\"}) { task { id } } }").await.data();
        let submit = "mutation { submitScore(input: {accountNumber: \"13912345678\", grades: [
            {criterion: \"grade1\", grade: 5}, {criterion: \"grade2\", grade: 4}, {criterion: \"grade3\", grade: 3}]}) { score { id } } }";
        let score = mei.ask(submit).await.data()["submitScore"]["score"]["id"].clone();
        let before = dump(app).await;
        let personal = ["mei.longname", "mei@example.com", "Mei Display", "13800138000", "Secret plan", &app.wechat.openid("mei")];
        for text in personal {
            assert!(before.contains(text), "{text}");
        }
        let reply = delete(&mei, json!(PASSWORD)).await;
        assert_eq!(reply.data()["deleteAccount"]["deletedUserId"], json!(mei.user_id));
        let after = dump(app).await;
        for text in personal {
            assert!(!after.contains(text), "{text} is still there");
        }
        let seen = admin.run("query($id: ID!) { score(id: $id) { total submittedBy { id } } }", json!({"id": score})).await;
        assert_eq!(seen.data()["score"]["submittedBy"], Value::Null);
        let events = admin.run("query($id: ID!) { auditEvents(filter: {userId: $id, action: ACCOUNT_DELETED}) { nodes { actor { id } subjectId } } }", json!({"id": mei.user_id})).await;
        assert_eq!(events.data()["auditEvents"]["nodes"], json!([{"actor": null, "subjectId": mei.user_id}]));
    }

    async fn nothing_works_afterwards(app) {
        let mei = app.registered("mei").await;
        let other = app.anonymous().run(
            "mutation($p: String!) { login(input: {password: {username: \"mei\", password: $p}}) { accessToken refreshToken user { id } } }",
            json!({"p": PASSWORD}),
        ).await;
        let other = app.anonymous().signed_in(&other.data()["login"]);
        delete(&mei, json!(PASSWORD)).await.data();
        for client in [&mei, &other] {
            for query in ["{ viewer { id } }", "mutation { createTask(input: {title: \"x\"}) { task { id } } }", "{ __typename }"] {
                let reply = client.ask(query).await;
                assert_eq!((reply.status.as_u16(), reply.code()), (401, "TOKEN_REVOKED"));
            }
            let refresh = "mutation($t: String!) { refreshSession(input: {refreshToken: $t}) { isNewUser } }";
            assert_eq!(app.anonymous().run(refresh, json!({"t": client.refresh_token})).await.code(), "TOKEN_REVOKED");
        }
        let login = "mutation($p: String!) { login(input: {password: {username: \"mei\", password: $p}}) { isNewUser } }";
        assert_eq!(app.anonymous().run(login, json!({"p": PASSWORD})).await.code(), "INVALID_CREDENTIALS");
        let again = app.registered("mei").await;
        assert_ne!(again.user_id, mei.user_id, "the name is free again");
    }

    async fn asks_for_the_password_of_an_account_that_has_one(app) {
        let mei = app.registered("mei").await;
        assert_eq!(delete(&mei, Value::Null).await.faults(), ["input.password REQUIRED"]);
        assert_eq!(delete(&mei, json!("Wrong-Pa5sword")).await.code(), "INVALID_CREDENTIALS");
        mei.ask("{ viewer { id } }").await.data();
        let lin = app.user("lin").await;
        delete(&lin, Value::Null).await.data();
        assert_ne!(app.user("lin").await.user_id, lin.user_id);
        assert_eq!(delete(&app.anonymous(), Value::Null).await.code(), "UNAUTHENTICATED");
    }

    async fn a_server_that_has_not_heard_of_it_stores_nothing(app) {
        let other = app.sibling().await;
        let mei = app.user("mei").await;
        let there = other.client(mei.token());
        there.ask("{ viewer { id } }").await.data();
        delete(&mei, Value::Null).await.data();
        let submit = "mutation { submitScore(input: {accountNumber: \"13912345678\", grades: [
            {criterion: \"grade1\", grade: 5}, {criterion: \"grade2\", grade: 4}, {criterion: \"grade3\", grade: 3}]}) { score { id } } }";
        for query in [
            "{ viewer { id } }",
            "mutation { createTask(input: {title: \"x\"}) { task { id } } }",
            submit,
            "mutation { updateProfile(input: {displayName: \"x\"}) { user { id } } }",
            "mutation { changePassword(input: {newPassword: \"Another-Way-2-Go\"}) { endedSessions } }",
            "mutation { linkWechat(input: {code: \"sim-mei-9\"}) { user { id } } }",
            "mutation { deleteAccount(input: {}) { deletedUserId } }",
        ] {
            assert_eq!(there.ask(query).await.code(), "TOKEN_REVOKED", "{query}");
        }
        other.stop().await;
    }

    async fn the_last_administrator_stays(app) {
        let (boss, deputy) = (app.admin("boss").await, app.admin("deputy").await);
        delete(&deputy, Value::Null).await.data();
        let reply = delete(&boss, Value::Null).await;
        assert_eq!(reply.code(), "CONFLICT");
        boss.ask("{ viewer { id } }").await.data();
        let count = wegraph::entity::user::Entity::find().count(app.db.read()).await.expect("a count");
        assert_eq!(count, 1);
    }
}
