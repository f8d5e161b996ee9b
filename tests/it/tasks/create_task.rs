use serde_json::json;

use super::{create, try_create, try_update, update};
use crate::harness::on_each_database;

on_each_database! {
    async fn stores_every_field_and_answers_it(app) {
        let lin = app.user("lin").await;
        let task = create(&lin, json!({
            "title": "  买牛奶 🥛  ",
            "notes": "两盒\n低脂 👩‍👩‍👧‍👦 𠮷",
            "status": "IN_PROGRESS",
            "priority": "HIGH",
            "tags": ["家", "Einkauf"],
            "dueAt": "2099-01-02T08:00:00.1234+08:00",
            "remindAt": "2099-01-01T00:00:00Z",
        })).await;
        assert_eq!(task["title"], "买牛奶 🥛");
        assert_eq!(task["notes"], "两盒\n低脂 👩‍👩‍👧‍👦 𠮷");
        assert_eq!(task["status"], "IN_PROGRESS");
        assert_eq!(task["priority"], "HIGH");
        assert_eq!(task["tags"], json!(["家", "Einkauf"]));
        assert_eq!(task["dueAt"], "2099-01-02T00:00:00.123Z");
        assert_eq!(task["remindAt"], "2099-01-01T00:00:00.000Z");
        assert_eq!(task["completedAt"], json!(null));
        assert_eq!(task["isOverdue"], false);
        assert_eq!(task["version"], 1);
        assert_eq!(task["createdAt"], task["updatedAt"]);
        let query = "query($id: ID!) { task(id: $id) {
            id title notes status priority tags dueAt remindAt completedAt isOverdue version createdAt updatedAt } }";
        let stored = lin.run(query, json!({"id": task["id"]})).await;
        assert_eq!(stored.data()["task"], task);
    }

    async fn null_for_a_field_with_a_default_means_the_default(app) {
        let lin = app.user("lin").await;
        let by_variable = create(&lin, json!({"title": "a", "status": null, "priority": null, "tags": null})).await;
        let literal = lin.ask(
            "mutation { createTask(input: {title: \"b\", status: null, priority: null, tags: null}) {
                task { status priority tags } } }").await;
        let inner_variable = lin.run(
            "mutation($s: TaskStatus, $p: TaskPriority) { createTask(input: {title: \"c\", status: $s, priority: $p}) {
                task { status priority tags } } }", json!({"s": null})).await;
        for task in [&by_variable, &literal.data()["createTask"]["task"], &inner_variable.data()["createTask"]["task"]] {
            assert_eq!((&task["status"], &task["priority"], &task["tags"]), (&json!("TODO"), &json!("NONE"), &json!([])));
        }
    }

    async fn limits_are_counted_in_characters(app) {
        let lin = app.user("lin").await;
        let wide = |n: usize| "𠮷".repeat(n);
        let tags = |count: usize, length: usize| (0..count).map(|i| format!("{i:02}{}", wide(length - 2))).collect::<Vec<_>>();
        create(&lin, json!({"title": wide(199), "notes": wide(9_999), "tags": tags(19, 29)})).await;
        let widest = json!({"title": wide(200), "notes": wide(10_000), "tags": tags(20, 30)});
        let stored = create(&lin, widest.clone()).await;
        let known = create(&lin, json!({"title": "a"})).await;
        let mut change = widest.clone();
        change["id"] = known["id"].clone();
        for task in [&stored, &update(&lin, change).await] {
            assert_eq!((&task["title"], &task["notes"], &task["tags"]), (&widest["title"], &widest["notes"], &widest["tags"]));
        }
        for (input, fault) in [
            (json!({"title": ""}), "input.title REQUIRED"),
            (json!({"title": " \u{3000}\n"}), "input.title REQUIRED"),
            (json!({"title": wide(201)}), "input.title TOO_LONG"),
            (json!({"title": "a\nb"}), "input.title MALFORMED"),
            (json!({"title": "a\u{2028}b"}), "input.title MALFORMED"),
            (json!({"title": "a\u{2029}b"}), "input.title MALFORMED"),
            (json!({"title": "a", "tags": ["b", "a\u{85}b"]}), "input.tags.1 MALFORMED"),
            (json!({"title": "a\u{0}b"}), "input.title MALFORMED"),
            (json!({"title": "a", "notes": wide(10_001)}), "input.notes TOO_LONG"),
            (json!({"title": "a", "notes": "x\u{0}"}), "input.notes MALFORMED"),
            (json!({"title": "a", "tags": (0..21).map(|i| i.to_string()).collect::<Vec<_>>()}), "input.tags TOO_LONG"),
            (json!({"title": "a", "tags": ["ok", wide(31)]}), "input.tags.1 TOO_LONG"),
            (json!({"title": "a", "tags": [" "]}), "input.tags.0 REQUIRED"),
            (json!({"title": "a", "tags": ["Ä", "b", "ä"]}), "input.tags.2 DUPLICATE"),
            (json!({"title": "a", "id": "not-a-uuid"}), "input.id MALFORMED"),
        ] {
            let reply = try_create(&lin, input.clone()).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![fault.to_owned()]));
            if input.get("id").is_none() {
                let mut change = input;
                change["id"] = known["id"].clone();
                let reply = try_update(&lin, change).await;
                assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![fault.to_owned()]));
            }
        }
    }

    async fn a_text_of_invisible_characters_is_empty(app) {
        let lin = app.user("lin").await;
        let known = create(&lin, json!({"title": "a", "notes": "b"})).await["id"].clone();
        for text in ["\u{2800}", "\u{e0020}", "\u{17b4}", "\u{fff9}", "\u{200b}", "\u{3164}", "\u{fe0f}", "\u{180e} \u{115f}", "\u{2029}"] {
            for (input, fault) in [
                (json!({"title": text}), "input.title REQUIRED"),
                (json!({"title": "a", "tags": ["b", text]}), "input.tags.1 REQUIRED"),
            ] {
                let mut change = input.clone();
                change["id"] = known.clone();
                for reply in [try_create(&lin, input).await, try_update(&lin, change).await] {
                    assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![fault.to_owned()]), "{text:?}");
                }
            }
            assert_eq!(create(&lin, json!({"title": "a", "notes": text})).await["notes"], json!(null), "{text:?}");
        }
        assert_eq!(update(&lin, json!({"id": known, "notes": "\u{2800}"})).await["notes"], json!(null));
    }

    async fn notes_keep_their_line_breaks(app) {
        let lin = app.user("lin").await;
        let notes = "a\nb\r\nc\u{b}d\u{c}e\u{85}f\u{2028}g\u{2029}h";
        let task = create(&lin, json!({"title": "a", "notes": notes})).await;
        let stored = lin.run("query($id: ID!) { task(id: $id) { notes } }", json!({"id": task["id"]})).await;
        assert_eq!(stored.data()["task"]["notes"], notes);
    }

    async fn a_repeated_id_answers_the_task_as_it_is_now(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let input = json!({"id": "0C6A8D2E-5B1F-4E3A-9C7D-2F8B6A4E1D30", "title": "once", "tags": ["a"]});
        let first = create(&lin, input.clone()).await;
        assert_eq!(first["id"], "0c6a8d2e-5b1f-4e3a-9c7d-2f8b6a4e1d30");
        update(&lin, json!({"id": first["id"], "title": "changed since"})).await;
        let again = create(&lin, input.clone()).await;
        assert_eq!((&again["title"], &again["version"]), (&json!("changed since"), &json!(2)));
        let mut other = input.clone();
        other["tags"] = json!(["b"]);
        assert_eq!(try_create(&lin, other).await.code(), "CONFLICT");
        assert_eq!(try_create(&mei, input).await.code(), "CONFLICT");
        assert_eq!(lin.ask("{ tasks { totalCount } }").await.data()["tasks"]["totalCount"], 1);
    }

    async fn an_id_of_another_thing_is_taken(app) {
        let lin = app.user("lin").await;
        let rubric = lin.ask("{ rubric(slug: \"default\") { id } }").await.data()["rubric"]["id"].clone();
        let task = create(&lin, json!({"title": "a"})).await["id"].clone();
        for id in [rubric, json!(lin.user_id)] {
            assert_eq!(try_create(&lin, json!({"id": id, "title": "a"})).await.code(), "CONFLICT");
        }
        let score = lin.run("mutation($id: ID) { submitScore(input: {id: $id, accountNumber: \"12345\", grades: [
            {criterion: \"grade1\", grade: 1}, {criterion: \"grade2\", grade: 1}, {criterion: \"grade3\", grade: 1}]}) { message } }",
            json!({"id": task})).await;
        assert_eq!(score.code(), "CONFLICT");
    }

    async fn the_same_id_sent_many_times_at_once_makes_one_task(app) {
        let lin = app.user("lin").await;
        let input = json!({"id": wegraph::platform::id::new_id().to_string(), "title": "once"});
        let tries = (0..20).map(|_| {
            let (lin, input) = (lin.clone(), input.clone());
            tokio::spawn(async move { create(&lin, input).await })
        });
        for task in futures_util::future::join_all(tries).await {
            assert_eq!(task.expect("an answer")["id"], input["id"]);
        }
        assert_eq!(lin.ask("{ tasks { totalCount } }").await.data()["tasks"]["totalCount"], 1);
    }

    async fn a_value_of_the_wrong_type_fails_validation(app) {
        let lin = app.user("lin").await;
        for input in [
            json!({"title": 7}),
            json!({"title": "a", "dueAt": "tomorrow"}),
            json!({"title": "a", "status": "LATER"}),
            json!({"title": "a", "colour": "red"}),
            json!({}),
        ] {
            assert_eq!(try_create(&lin, input).await.code(), "GRAPHQL_VALIDATION_FAILED");
        }
    }
}
