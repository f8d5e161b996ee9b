use sea_orm::ActiveValue::Set;
use serde_json::json;

use crate::harness::{Client, Reply, TestApp, on_each_database};

async fn register(client: &Client) -> String {
    let reply = client
        .ask("mutation { register(input: {username: \"Lin\", password: \" Tr4verse-it \", email: \"lin@example.com\"}) { user { id } } }")
        .await;
    reply.data()["register"]["user"]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

async fn login(client: &Client, username: &str, password: &str) -> Reply {
    client
        .run(
            "mutation($u: String!, $p: String!) { login(input: {password: {username: $u, password: $p}}) { isNewUser user { id } } }",
            json!({"u": username, "p": password}),
        )
        .await
}

on_each_database! {
    async fn by_name_or_address_in_any_case(app) {
        let client = app.anonymous();
        let id = register(&client).await;
        for name in ["Lin", "LIN", " lin ", "lin@example.com", "LIN@EXAMPLE.COM"] {
            let reply = login(&client, name, " Tr4verse-it ").await;
            assert_eq!(reply.data()["login"], json!({"isNewUser": false, "user": {"id": id}}), "{name}");
        }
    }

    async fn a_wrong_name_and_a_wrong_password_look_the_same(app) {
        let client = app.anonymous();
        register(&client).await;
        let mut wrong_password = login(&client, "lin", "Tr4verse-it").await.body;
        for name in ["nobody", "nobody@example.com", "", "lin\u{0}", "'; drop table users; --"] {
            let mut wrong_name = login(&client, name, " Tr4verse-it ").await.body;
            for body in [&mut wrong_name, &mut wrong_password] {
                body["errors"][0].as_object_mut().expect("an error").remove("locations");
            }
            assert_eq!(wrong_name, wrong_password);
        }
        assert_eq!(login(&client, "lin", "").await.code(), "INVALID_CREDENTIALS");
    }

    async fn a_disabled_account_is_told_so_with_the_right_password_only(app) {
        let client = app.anonymous();
        let id = register(&client).await;
        app.change_user(&id, |user| user.is_disabled = Set(true)).await;
        assert_eq!(login(&client, "lin", " Tr4verse-it ").await.code(), "ACCOUNT_DISABLED");
        assert_eq!(login(&client, "lin", "wrong").await.code(), "INVALID_CREDENTIALS");
    }

    async fn one_count_of_failures_for_all_names_of_an_account(app) {
        let app = &TestApp::start_with(app.engine, &[("RATE_LIMIT__ENABLED", "true")]).await;
        let client = app.anonymous();
        register(&client).await;
        for name in ["lin", "lin@example.com", "LIN", "lin", "Lin@example.com"] {
            assert_eq!(login(&client, name, "wrong").await.code(), "INVALID_CREDENTIALS");
        }
        for name in ["lin", "lin@example.com"] {
            assert_eq!(login(&client, name, " Tr4verse-it ").await.code(), "RATE_LIMITED");
        }
    }

    async fn a_weaker_hash_is_renewed_also_by_many_at_once(app) {
        use sea_orm::EntityTrait;
        let client = app.anonymous();
        register(&client).await;
        let stronger = app.sibling_with(|config| config.password.memory_kib = 32_768).await;
        let there = stronger.anonymous();
        let logins = futures_util::future::join_all((0..4).map(|_| login(&there, "lin", " Tr4verse-it "))).await;
        for reply in logins {
            reply.data();
        }
        let users = wegraph::entity::user::Entity::find().all(app.db.read()).await.expect("rows");
        let hash = users[0].password_hash.as_deref().expect("a hash");
        assert!(hash.contains("m=32768"), "{hash}");
        login(&client, "lin", " Tr4verse-it ").await.data();
        stronger.stop().await;
    }

    async fn exactly_one_way_to_sign_in_is_taken(app) {
        for input in ["{}", "{password: {username: \"a\", password: \"b\"}, wechat: {code: \"c\"}}", "{wechat: null}"] {
            let reply = app.anonymous().ask(&format!("mutation {{ login(input: {input}) {{ isNewUser }} }}")).await;
            assert_eq!(reply.code(), "GRAPHQL_VALIDATION_FAILED", "{input}");
        }
    }
}
