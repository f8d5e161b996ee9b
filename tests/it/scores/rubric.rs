use sea_orm::ActiveValue::Set;
use serde_json::json;
use wegraph::entity::rubric::RubricState;

use crate::harness::on_each_database;

on_each_database! {
    async fn a_fresh_database_holds_the_default_rubric(app) {
        let reply = app.anonymous().ask("{ rubric(slug: \"default\") { slug state submissionPolicy aggregation editWindowMinutes
            isResultPublic opensAt closesAt criteria { key minGrade maxGrade weight isCommentRequired maxCommentLength } } }").await;
        let criterion = |key: &str| json!({"key": key, "minGrade": 1, "maxGrade": 5, "weight": 1.0, "isCommentRequired": false, "maxCommentLength": 500});
        assert_eq!(reply.data()["rubric"], json!({
            "slug": "default", "state": "OPEN", "submissionPolicy": "UNLIMITED", "aggregation": "MEAN", "editWindowMinutes": 0,
            "isResultPublic": false, "opensAt": null, "closesAt": null,
            "criteria": [criterion("grade1"), criterion("grade2"), criterion("grade3")],
        }));
    }

    async fn a_draft_is_for_administrators(app) {
        let admin = app.admin("root").await;
        let id = admin.ask("{ rubric(slug: \"default\") { id } }").await.data()["rubric"]["id"].clone();
        let query = "query($id: ID!) { rubric(slug: \"default\") { id } node(id: $id) { id } }";
        let open = json!({"rubric": {"id": id}, "node": {"id": id}});
        assert_eq!(app.anonymous().run(query, json!({"id": id})).await.data(), &open);
        app.change_default_rubric(|rubric| rubric.state = Set(RubricState::Draft)).await;
        let hidden = json!({"rubric": null, "node": null});
        assert_eq!(app.anonymous().run(query, json!({"id": id})).await.data(), &hidden);
        assert_eq!(app.user("lin").await.run(query, json!({"id": id})).await.data(), &hidden);
        assert_eq!(admin.run(query, json!({"id": id})).await.data(), &open);
    }

    async fn a_slug_that_is_none_is_null(app) {
        for slug in ["none", "", "DEFAULT", "default ", "\\u0000"] {
            let reply = app.anonymous().ask(&format!("{{ rubric(slug: \"{slug}\") {{ id }} }}")).await;
            assert_eq!(reply.data(), &json!({"rubric": null}), "{slug}");
        }
    }
}
