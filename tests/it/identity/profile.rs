use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Reply, on_each_database};

async fn update(client: &Client, input: Value) -> Reply {
    client
        .run(
            "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) { user { username displayName avatarUrl email } } }",
            json!({"input": input}),
        )
        .await
}

on_each_database! {
    async fn absent_keeps_null_clears_a_value_sets(app) {
        let mei = app.user("mei").await;
        let set = update(&mei, json!({"username": " Mei.L ", "displayName": " 梅 ", "avatarUrl": "https://img.example.com/m.png", "email": "Mei@Example.com"})).await;
        let expected = json!({"username": "Mei.L", "displayName": "梅", "avatarUrl": "https://img.example.com/m.png", "email": "Mei@Example.com"});
        assert_eq!(set.data()["updateProfile"]["user"], expected);
        assert_eq!(update(&mei, json!({})).await.data()["updateProfile"]["user"], expected);
        let cleared = update(&mei, json!({"username": null, "avatarUrl": null, "email": null})).await;
        assert_eq!(cleared.data()["updateProfile"]["user"], json!({"username": null, "displayName": "梅", "avatarUrl": null, "email": null}));
        let seen = mei.ask("{ viewer { username displayName avatarUrl email } }").await;
        assert_eq!(seen.data()["viewer"], cleared.data()["updateProfile"]["user"]);
    }

    async fn names_every_faulty_field(app) {
        let mei = app.user("mei").await;
        let reply = update(&mei, json!({"username": "a b", "displayName": null, "avatarUrl": "http://img.example.com/m.png", "email": "nobody"})).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT");
        assert_eq!(reply.faults(), [
            "input.username MALFORMED", "input.displayName NOT_NULLABLE", "input.avatarUrl MALFORMED", "input.email MALFORMED",
        ]);
        for name in ["\u{200b}", "\u{2800} \u{2800}", "\u{fff9}", "a\u{2028}b", "a\u{2029}b", "\u{202e}evil"] {
            assert_eq!(update(&mei, json!({"displayName": name})).await.code(), "BAD_USER_INPUT", "{name:?}");
        }
        for url in ["https://img.example.com/\"><script>", "javascript:alert(1)", "wxfile://tmp_1.png", "https://", "https://me:secret@img.example.com/", "/m.png"] {
            assert_eq!(update(&mei, json!({"avatarUrl": url})).await.faults(), ["input.avatarUrl MALFORMED"], "{url}");
        }
        assert_eq!(update(&app.anonymous(), json!({})).await.code(), "UNAUTHENTICATED");
    }

    async fn names_and_addresses_stay_unique(app) {
        let (mei, lin) = (app.registered("mei").await, app.registered("lin").await);
        update(&mei, json!({"email": "mei@example.com"})).await.data();
        assert_eq!(update(&lin, json!({"username": "MEI"})).await.code(), "USERNAME_TAKEN");
        assert_eq!(update(&lin, json!({"email": "MEI@example.com"})).await.code(), "EMAIL_TAKEN");
        update(&mei, json!({"username": "MEI", "email": "MEI@example.com"})).await.data();
    }

    async fn of_many_who_want_one_name_one_gets_it(app) {
        let mut people = Vec::new();
        for name in ["a1", "b1", "c1", "d1"] {
            people.push(app.user(name).await);
        }
        let replies = futures_util::future::join_all(people.iter().map(|one| update(one, json!({"username": "wanted"})))).await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.body.get("errors").is_none());
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|reply| reply.code() == "USERNAME_TAKEN"));
    }

    async fn a_password_keeps_a_name_to_go_with_it(app) {
        let mei = app.registered("mei").await;
        assert_eq!(update(&mei, json!({"username": null})).await.code(), "LAST_LOGIN_METHOD");
        update(&mei, json!({"username": null, "email": "mei@example.com"})).await.data();
        let login = app.anonymous().run(
            "mutation($p: String!) { login(input: {password: {username: \"mei@example.com\", password: $p}}) { isNewUser } }",
            json!({"p": PASSWORD}),
        ).await;
        login.data();
    }
}
