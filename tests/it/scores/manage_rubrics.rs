use serde_json::{Value, json};

use super::{create_rubric, graded, make_rubric, submit, try_submit, update_rubric};
use crate::harness::{Client, on_each_database};

async fn slugs(client: &Client, state: Value) -> Vec<String> {
    let reply = client
        .run(
            "query($s: RubricState) { rubrics(state: $s) { nodes { slug } totalCount } }",
            json!({"s": state}),
        )
        .await;
    let rubrics = reply.data()["rubrics"].clone();
    let nodes = rubrics["nodes"].as_array().expect("a list");
    assert_eq!(rubrics["totalCount"], json!(nodes.len()));
    nodes
        .iter()
        .map(|node| node["slug"].as_str().expect("a slug").to_owned())
        .collect()
}

on_each_database! {
    async fn titles_of_invisible_characters_are_refused(app) {
        let admin = app.admin("boss").await;
        let input = json!({"slug": "r", "title": "\u{2800}", "criteria": [{"key": "a", "title": "\u{e0020}"}]});
        let reply = create_rubric(&admin, input).await;
        assert_eq!(reply.faults(), ["input.title REQUIRED", "input.criteria.0.title REQUIRED"]);
        let id = "0C6A8D2E-5B1F-4E3A-9C7D-2F8B6A4E1D30";
        let rubric = make_rubric(&admin, "r", json!({"id": id, "description": "\u{2800}"})).await;
        assert_eq!((&rubric["id"], &rubric["description"]), (&json!(id.to_lowercase()), &json!(null)));
        let reply = update_rubric(&admin, json!({"id": rubric["id"], "title": "\u{3164}"})).await;
        assert_eq!(reply.faults(), ["input.title REQUIRED"]);
    }

    async fn an_administrator_makes_one_with_all_it_holds(app) {
        let admin = app.admin("boss").await;
        let made = make_rubric(&admin, "jury-2026", json!({
            "description": "两行\n说明", "opensAt": "2026-01-01T00:00:00+08:00", "closesAt": "2099-01-01T00:00:00Z",
            "submissionPolicy": "ONCE_PER_ACCOUNT", "editWindowMinutes": 15, "aggregation": "TRIMMED_MEAN", "isResultPublic": true,
        })).await;
        let mut expected = json!({
            "slug": "jury-2026", "title": "竞赛", "description": "两行\n说明", "state": "OPEN", "opensAt": "2025-12-31T16:00:00.000Z",
            "closesAt": "2099-01-01T00:00:00.000Z", "submissionPolicy": "ONCE_PER_ACCOUNT", "editWindowMinutes": 15,
            "aggregation": "TRIMMED_MEAN", "isResultPublic": true, "criteria": [
                {"key": "a", "title": "A", "description": null, "minGrade": 0, "maxGrade": 10, "weight": 1.0, "isCommentRequired": false, "maxCommentLength": 500},
                {"key": "b", "title": "B", "description": null, "minGrade": 1, "maxGrade": 5, "weight": 3.0, "isCommentRequired": false, "maxCommentLength": 500},
            ],
        });
        expected["id"] = made["id"].clone();
        assert_eq!(made, expected);
        let plain = make_rubric(&admin, "plain", json!({"state": "DRAFT"})).await;
        assert_eq!((&plain["submissionPolicy"], &plain["aggregation"], &plain["editWindowMinutes"]), (&json!("ONCE_PER_USER"), &json!("MEAN"), &json!(0)));
    }

    async fn names_every_faulty_field(app) {
        let admin = app.admin("boss").await;
        let reply = create_rubric(&admin, json!({
            "slug": "No Good", "title": " ", "editWindowMinutes": -1, "opensAt": "2026-01-02T00:00:00Z", "closesAt": "2026-01-02T00:00:00Z",
            "criteria": [
                {"key": "a b", "title": "A", "minGrade": 5, "maxGrade": 5, "weight": 0.0},
                {"key": "c", "title": "", "maxGrade": 102, "isCommentRequired": true, "maxCommentLength": 0},
                {"key": "c", "title": "C", "minGrade": -1001},
            ],
        })).await;
        assert_eq!(reply.code(), "BAD_USER_INPUT");
        assert_eq!(reply.faults(), [
            "input.slug MALFORMED", "input.title REQUIRED",
            "input.criteria.0.key MALFORMED", "input.criteria.0.maxGrade OUT_OF_RANGE", "input.criteria.0.weight MALFORMED",
            "input.criteria.1.title REQUIRED", "input.criteria.1.maxGrade OUT_OF_RANGE", "input.criteria.1.maxCommentLength OUT_OF_RANGE",
            "input.criteria.2.key DUPLICATE", "input.criteria.2.minGrade OUT_OF_RANGE", "input.criteria.2.maxGrade OUT_OF_RANGE",
            "input.closesAt MALFORMED", "input.editWindowMinutes OUT_OF_RANGE",
        ]);
        let none = create_rubric(&admin, json!({"slug": "x", "title": "x", "criteria": [], "closesAt": "2026-01-01T00:00:00Z", "opensAt": "2026-01-02T00:00:00Z"})).await;
        assert_eq!(none.faults(), ["input.criteria REQUIRED", "input.closesAt MALFORMED"]);
    }

    async fn a_repeated_id_makes_no_second_and_a_slug_is_one_rubrics(app) {
        let admin = app.admin("boss").await;
        let id = "0198f0a0-0000-7000-8000-00000000000a";
        let first = make_rubric(&admin, "mine", json!({"id": id})).await;
        let again = make_rubric(&admin, "mine", json!({"id": id})).await;
        assert_eq!((&first, &first["id"]), (&again, &json!(id)));
        let criteria = json!([{"key": "a", "title": "A"}]);
        let other = json!({"id": id, "slug": "mine", "title": "another", "criteria": criteria});
        assert_eq!(create_rubric(&admin, other).await.code(), "CONFLICT");
        let taken = create_rubric(&admin, json!({"slug": "mine", "title": "x", "criteria": criteria})).await;
        assert_eq!(taken.faults(), ["input.slug TAKEN"]);
        let wrong = create_rubric(&admin, json!({"id": admin.user_id, "slug": "y", "title": "x", "criteria": criteria})).await;
        assert_eq!(wrong.code(), "CONFLICT", "the id of another thing");
    }

    async fn absent_keeps_null_clears_a_value_sets(app) {
        let admin = app.admin("boss").await;
        let rubric = make_rubric(&admin, "r", json!({"description": "x", "opensAt": "2026-01-01T00:00:00Z", "closesAt": "2099-01-01T00:00:00Z"})).await;
        let id = &rubric["id"];
        let kept = update_rubric(&admin, json!({"id": id, "title": "新"})).await;
        let kept = &kept.data()["updateRubric"]["rubric"];
        assert_eq!((&kept["title"], &kept["description"], &kept["opensAt"]), (&json!("新"), &json!("x"), &json!("2026-01-01T00:00:00.000Z")));
        let cleared = update_rubric(&admin, json!({"id": id, "description": null, "opensAt": null, "state": "CLOSED", "editWindowMinutes": 3})).await;
        let cleared = &cleared.data()["updateRubric"]["rubric"];
        assert_eq!((&cleared["description"], &cleared["opensAt"], &cleared["state"], &cleared["editWindowMinutes"]), (&Value::Null, &Value::Null, &json!("CLOSED"), &json!(3)));
        let faulty = update_rubric(&admin, json!({"id": id, "title": null, "state": null, "criteria": null})).await;
        assert_eq!(faulty.faults(), ["input.title NOT_NULLABLE", "input.criteria NOT_NULLABLE", "input.state NOT_NULLABLE"]);
        let order = update_rubric(&admin, json!({"id": id, "opensAt": "2099-01-01T00:00:00Z"})).await;
        assert_eq!(order.faults(), ["input.closesAt MALFORMED"]);
        for id in ["x", "01890000-0000-7000-8000-000000000000"] {
            assert_eq!(update_rubric(&admin, json!({"id": id, "title": "x"})).await.code(), "NOT_FOUND");
        }
    }

    async fn criteria_are_frozen_by_the_first_score(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let rubric = make_rubric(&admin, "r", json!({})).await;
        let id = &rubric["id"];
        let reply = update_rubric(&admin, json!({"id": id, "criteria": [{"key": "z", "title": "Z"}, {"key": "b", "title": "B"}]})).await;
        assert_eq!(reply.data()["updateRubric"]["rubric"]["criteria"], json!([{"key": "z"}, {"key": "b"}]));
        submit(&mei, json!({"rubric": "r", "accountNumber": "12345", "grades": [{"criterion": "z", "grade": 1}, {"criterion": "b", "grade": 5}]})).await;
        let changed = json!({"id": id, "criteria": [{"key": "z", "title": "Z"}]});
        assert_eq!(update_rubric(&admin, changed).await.code(), "CONFLICT");
        let same = json!({"id": id, "title": "still", "criteria": [{"key": "z", "title": "Z"}, {"key": "b", "title": "B"}]});
        update_rubric(&admin, same).await.data();
    }

    async fn drafts_are_listed_for_administrators(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        for (slug, state) in [("one", "DRAFT"), ("two", "OPEN"), ("three", "CLOSED")] {
            app.advance(chrono::TimeDelta::seconds(1));
            make_rubric(&admin, slug, json!({"state": state})).await;
        }
        assert_eq!(slugs(&admin, Value::Null).await, ["three", "two", "one", "default"]);
        assert_eq!(slugs(&mei, Value::Null).await, ["three", "two", "default"]);
        assert_eq!(slugs(&app.anonymous(), json!("CLOSED")).await, ["three"]);
        assert_eq!(slugs(&mei, json!("DRAFT")).await, Vec::<String>::new());
        assert_eq!(slugs(&admin, json!("DRAFT")).await, ["one"]);
        assert_eq!(try_submit(&admin, graded("one", "12345", 1, 1)).await.code(), "RUBRIC_NOT_OPEN");
        assert_eq!(try_submit(&mei, graded("one", "12345", 1, 1)).await.code(), "NOT_FOUND");
    }

    async fn only_administrators_change_anything(app) {
        let mei = app.user("mei").await;
        for client in [&mei, &app.anonymous()] {
            let expected = if client.has_token() { "FORBIDDEN" } else { "UNAUTHENTICATED" };
            let criteria = json!([{"key": "a", "title": "A"}]);
            assert_eq!(create_rubric(client, json!({"slug": "x", "title": "x", "criteria": criteria})).await.code(), expected);
            assert_eq!(update_rubric(client, json!({"id": "x", "title": "x"})).await.code(), expected);
            let delete = client.ask("mutation { deleteScore(input: {id: \"x\"}) { deletedScoreId } }").await;
            assert_eq!(delete.code(), expected);
        }
    }
}
