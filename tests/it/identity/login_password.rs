use sea_orm::ActiveValue::Set;
use serde_json::json;

use crate::harness::{Client, Reply, on_each_database};

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

    async fn exactly_one_way_to_sign_in_is_taken(app) {
        for input in ["{}", "{password: {username: \"a\", password: \"b\"}, wechat: {code: \"c\"}}", "{wechat: null}"] {
            let reply = app.anonymous().ask(&format!("mutation {{ login(input: {input}) {{ isNewUser }} }}")).await;
            assert_eq!(reply.code(), "GRAPHQL_VALIDATION_FAILED", "{input}");
        }
    }
}
