use serde_json::{Value, json};

use crate::harness::{
    Client, OTHER_APP_ID, OTHER_APP_SECRET, PASSWORD, Reply, TestApp, on_each_database,
};

async fn link(client: &Client, code: &str) -> Reply {
    client
        .run(
            "mutation($code: String!) { linkWechat(input: {code: $code}) { user { id isWechatLinked } } }",
            json!({"code": code}),
        )
        .await
}

async fn unlink(client: &Client) -> Reply {
    client
        .ask("mutation { unlinkWechat { user { isWechatLinked hasPassword } } }")
        .await
}

on_each_database! {
    async fn signs_in_to_the_same_account_afterwards(app) {
        let mei = app.registered("mei").await;
        assert_eq!(link(&mei, "sim-mei-1").await.data()["linkWechat"]["user"]["isWechatLinked"], true);
        assert_eq!(app.user("mei").await.user_id, mei.user_id);
        link(&mei, "sim-mei-2").await.data();
    }

    async fn takes_nobody_elses_and_no_second_one(app) {
        let (mei, lin) = (app.registered("mei").await, app.user("lin").await);
        assert_eq!(link(&mei, "sim-lin-again").await.code(), "CONFLICT");
        link(&mei, "sim-mei-1").await.data();
        assert_eq!(link(&mei, "sim-mei2-1").await.code(), "CONFLICT", "she has one of this mini-program");
        assert_ne!(app.user("lin").await.user_id, mei.user_id);
        assert_eq!(app.user("lin").await.user_id, lin.user_id);
        assert_eq!(link(&mei, "sim-error-40029").await.code(), "WECHAT_CODE_INVALID");
        assert_eq!(link(&mei, " ").await.faults(), ["input.code REQUIRED"]);
        assert_eq!(link(&app.anonymous(), "sim-x-1").await.code(), "UNAUTHENTICATED");
    }

    async fn one_account_may_have_one_of_each_mini_program(app) {
        let settings = [("WECHAT__APP__0__ID", OTHER_APP_ID), ("WECHAT__APP__0__SECRET", OTHER_APP_SECRET)];
        let app = TestApp::start_with(app.engine, &settings).await;
        let mei = app.user("mei").await;
        let code = app.wechat.issue_code_of(OTHER_APP_ID, "mei");
        let query = "mutation($code: String!, $app: String) { linkWechat(input: {code: $code, appId: $app}) { user { id } } }";
        mei.run(query, json!({"code": code, "app": OTHER_APP_ID})).await.data();
        let code = app.wechat.issue_code_of(OTHER_APP_ID, "mei");
        let login = "mutation($code: String!, $app: String) { login(input: {wechat: {code: $code, appId: $app}}) { isNewUser user { id } } }";
        let reply = app.anonymous().run(login, json!({"code": code, "app": OTHER_APP_ID})).await;
        assert_eq!(reply.data()["login"], json!({"isNewUser": false, "user": {"id": mei.user_id}}));
        app.stop().await;
    }

    async fn unlinking_leaves_a_way_to_sign_in(app) {
        let mei = app.user("mei").await;
        assert_eq!(unlink(&mei).await.code(), "LAST_LOGIN_METHOD");
        let password = "mutation($p: String!) { changePassword(input: {newPassword: $p}) { endedSessions } }";
        mei.run(password, json!({"p": PASSWORD})).await.data();
        assert_eq!(unlink(&mei).await.code(), "LAST_LOGIN_METHOD", "a password without a name is no way to sign in");
        mei.ask("mutation { updateProfile(input: {username: \"mei\"}) { user { id } } }").await.data();
        let user = &unlink(&mei).await.body["data"]["unlinkWechat"]["user"];
        assert_eq!(user, &json!({"isWechatLinked": false, "hasPassword": true}));
        assert_eq!(unlink(&mei).await.body.get("errors"), None::<&Value>, "a repetition succeeds");
        assert_ne!(app.user("mei").await.user_id, mei.user_id, "the person is new to us now");
        assert_eq!(unlink(&app.anonymous()).await.code(), "UNAUTHENTICATED");
    }
}
