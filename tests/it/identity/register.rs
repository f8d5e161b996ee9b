use serde_json::{Value, json};

use crate::harness::{Client, Reply, on_each_database};

async fn register(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: RegisterInput!) { register(input: $input) { accessToken isNewUser
                user { id username displayName email role isDisabled hasPassword isWechatLinked avatarUrl phoneNumber } } }",
            json!({"input": input}),
        )
        .await
}

on_each_database! {
    async fn makes_an_account_and_signs_it_in(app) {
        let reply = register(&app.anonymous(), json!({
            "username": " Lin.Wei-1_ ", "password": "Tr4verse-it", "email": "Lin@Example.com", "displayName": "林伟 😀",
        })).await;
        let payload = &reply.data()["register"];
        let mut user = payload["user"].clone();
        assert_eq!(payload["isNewUser"], true);
        user.as_object_mut().expect("a user").remove("id");
        assert_eq!(user, json!({
            "username": "Lin.Wei-1_", "displayName": "林伟 😀", "email": "Lin@Example.com", "role": "USER", "isDisabled": false,
            "hasPassword": true, "isWechatLinked": false, "avatarUrl": null, "phoneNumber": null,
        }));
        let token = payload["accessToken"].as_str().expect("a token");
        let seen = app.anonymous().with_token(token).ask("{ viewer { id username } }").await;
        assert_eq!(seen.data()["viewer"]["id"], payload["user"]["id"]);
    }

    async fn names_and_addresses_are_unique_without_regard_to_case(app) {
        let client = app.anonymous();
        register(&client, json!({"username": "Lin", "password": "Tr4verse-it", "email": "lin@example.com"})).await.data();
        let reply = register(&client, json!({"username": "lIN", "password": "Tr4verse-it"})).await;
        assert_eq!((reply.code(), reply.faults()), ("USERNAME_TAKEN", vec!["input.username TAKEN".to_owned()]));
        let reply = register(&client, json!({"username": "mei", "password": "Tr4verse-it", "email": "LIN@example.COM"})).await;
        assert_eq!((reply.code(), reply.faults()), ("EMAIL_TAKEN", vec!["input.email TAKEN".to_owned()]));
        let free = client.ask("{ a: usernameAvailable(username: \"LIN\") b: usernameAvailable(username: \"mei\")
            c: usernameAvailable(username: \"a b\") d: usernameAvailable(username: \"\\u0000\") }").await;
        assert_eq!(free.data(), &json!({"a": false, "b": true, "c": false, "d": false}));
    }

    async fn a_display_name_of_invisible_characters_is_refused(app) {
        for name in ["\u{2800}", "\u{e0020}", "\u{200b} \u{3164}"] {
            let reply = register(&app.anonymous(), json!({"username": "lin", "password": "Tr4verse-it", "displayName": name})).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec!["input.displayName REQUIRED".to_owned()]), "{name:?}");
        }
    }

    async fn one_name_sent_many_times_at_once_makes_one_account(app) {
        let tries = (0..8).map(|_| {
            let client = app.anonymous();
            tokio::spawn(async move { register(&client, json!({"username": "lin", "password": "Tr4verse-it"})).await })
        });
        let mut made = 0;
        for reply in futures_util::future::join_all(tries).await {
            let reply = reply.expect("an answer");
            match reply.body.get("errors") {
                None => made += 1,
                Some(_) => assert_eq!(reply.code(), "USERNAME_TAKEN"),
            }
        }
        assert_eq!(made, 1);
    }

    async fn refuses_weak_passwords(app) {
        for password in ["Short1!", "alllower1!", "ALLUPPER1!", "NoDigits!!", "NoSpecial11", "Password1!", "P@ssw0rd", &"Aa1!".repeat(33)] {
            let reply = register(&app.anonymous(), json!({"username": "lin", "password": password})).await;
            assert_eq!(reply.code(), "WEAK_PASSWORD", "{password}");
            assert!(reply.faults()[0].starts_with("input.password "), "{password}");
            assert!(!reply.body.to_string().contains(password), "the password is not repeated");
        }
    }

    async fn names_every_faulty_field(app) {
        let reply = register(&app.anonymous(), json!({
            "username": "a@", "password": "Tr4verse-it", "email": "nobody", "displayName": "x".repeat(65),
        })).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT");
        assert_eq!(reply.faults(), ["input.username TOO_SHORT", "input.username MALFORMED", "input.email MALFORMED", "input.displayName TOO_LONG"]);
        let email = format!("a@{}.c", "İ".repeat(150));
        let reply = register(&app.anonymous(), json!({"username": "lin", "password": "Tr4verse-it", "email": email})).await;
        assert_eq!(reply.faults(), ["input.email TOO_LONG"]);
        for username in ["张三丰", "a b c", "lin\u{0}x", &"x".repeat(33), ""] {
            let reply = register(&app.anonymous(), json!({"username": username, "password": "Tr4verse-it"})).await;
            assert_eq!(reply.code(), "BAD_USER_INPUT", "{username}");
        }
    }
}
