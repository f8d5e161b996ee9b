//! How often one may submit, and how long one may correct.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use tokio::sync::Notify;
use wegraph::entity::{grade_history, score, score_revision};
use wegraph::platform::clock::Clock;
use wegraph::platform::id::parse_id;

use super::{graded, make_rubric, submit, try_submit, update_rubric};
use crate::harness::{TestApp, on_each_database};

async fn count(app: &TestApp) -> u64 {
    score::Entity::find()
        .count(app.db.read())
        .await
        .expect("a count")
}

on_each_database! {
    async fn unlimited_never_replaces(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED", "editWindowMinutes": 60})).await;
        let first = submit(&mei, graded("r", "12345", 1, 1)).await;
        let second = submit(&mei, graded("r", "12345", 1, 1)).await;
        assert_ne!(first["id"], second["id"]);
        assert_eq!(count(app).await, 2);
    }

    async fn once_per_user_counts_the_caller(app) {
        let (admin, mei, lin) = (app.admin("boss").await, app.user("mei").await, app.user("lin").await);
        make_rubric(&admin, "r", json!({})).await;
        make_rubric(&admin, "other", json!({})).await;
        submit(&mei, graded("r", "12345", 1, 1)).await;
        assert_eq!(try_submit(&mei, graded("r", "99999", 1, 1)).await.code(), "ALREADY_SUBMITTED");
        submit(&lin, graded("r", "12345", 1, 1)).await;
        submit(&mei, graded("other", "12345", 1, 1)).await;
    }

    async fn once_per_account_counts_the_account_whoever_submits(app) {
        let (admin, mei, lin) = (app.admin("boss").await, app.user("mei").await, app.user("lin").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "ONCE_PER_ACCOUNT", "editWindowMinutes": 10})).await;
        let first = submit(&mei, graded("r", "12345", 1, 1)).await;
        assert_eq!(try_submit(&lin, graded("r", "12345", 2, 2)).await.code(), "ALREADY_SUBMITTED", "nobody corrects another's");
        submit(&lin, graded("r", "54321", 1, 1)).await;
        submit(&mei, graded("r", "99999", 1, 1)).await;
        assert_eq!(submit(&mei, graded("r", "12345", 3, 3)).await["id"], first["id"]);
        app.advance(TimeDelta::minutes(11));
        assert_eq!(try_submit(&lin, graded("r", "12345", 2, 2)).await.code(), "ALREADY_SUBMITTED");
    }

    async fn a_correction_keeps_the_id_and_the_history(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({"editWindowMinutes": 10})).await;
        let mut first_input = graded("r", "12345", 10, 5);
        first_input["grades"][0]["comment"] = json!("很好 😀");
        let first = submit(&mei, first_input).await;
        app.advance(TimeDelta::minutes(9));
        let second = submit(&mei, graded("r", "54321", 0, 1)).await;
        assert_eq!((&second["id"], &second["submittedAt"]), (&first["id"], &first["submittedAt"]));
        assert_eq!((&second["accountNumber"], &second["total"]), (&json!("54321"), &json!(0.0)));
        assert!(second["updatedAt"].as_str() > first["updatedAt"].as_str());
        let third = submit(&mei, graded("r", "54321", 5, 3)).await;
        assert_eq!((&third["id"], &third["total"]), (&first["id"], &json!(50.0)));
        let db = app.db.read();
        let revisions = score_revision::Entity::find().all(db).await.expect("rows");
        let mut old: Vec<_> = revisions.iter().map(|old| (old.revision, old.account_number.as_str(), old.total)).collect();
        old.sort_by_key(|old| old.0);
        assert_eq!(old, [(1, "12345", 100.0), (2, "54321", 0.0)]);
        let grades = grade_history::Entity::find().all(db).await.expect("rows");
        assert_eq!(grades.len(), 4);
        assert!(grades.iter().any(|grade| grade.comment.as_deref() == Some("很好 😀")));
        app.advance(TimeDelta::minutes(1) + TimeDelta::seconds(1));
        assert_eq!(try_submit(&mei, graded("r", "54321", 5, 3)).await.code(), "EDIT_WINDOW_CLOSED", "the window begins with the first");
    }

    async fn a_repeated_id_answers_before_any_rule(app) {
        let (admin, mei, lin) = (app.admin("boss").await, app.user("mei").await, app.user("lin").await);
        let rubric = make_rubric(&admin, "r", json!({"editWindowMinutes": 10})).await;
        let with_id = |id: &str, mut input: Value| {
            input["id"] = json!(id);
            input
        };
        let (one, two) = ("0198f0a0-0000-7000-8000-000000000001", "0198f0a0-0000-7000-8000-000000000002");
        let first = submit(&mei, with_id(one, graded("r", "12345", 1, 1))).await;
        let corrected = submit(&mei, with_id(two, graded("r", "12345", 2, 2))).await;
        assert_eq!((&first["id"], &corrected["id"]), (&json!(one), &json!(one)));
        for (state, refusal) in [("OPEN", "CONFLICT"), ("CLOSED", "RUBRIC_NOT_OPEN")] {
            update_rubric(&admin, json!({"id": rubric["id"], "state": state})).await.data();
            for (id, a) in [(one, 1), (two, 2)] {
                let again = submit(&mei, with_id(id, graded("r", "12345", a, a))).await;
                assert_eq!((&again["id"], &again["total"]), (&json!(one), &corrected["total"]), "the score as it is now");
                assert_eq!(try_submit(&mei, with_id(id, graded("r", "12345", 9, 1))).await.code(), refusal);
                assert_eq!(try_submit(&lin, with_id(id, graded("r", "12345", a, a))).await.code(), refusal);
            }
        }
        assert_eq!(try_submit(&mei, graded("r", "12345", 1, 1)).await.code(), "RUBRIC_NOT_OPEN", "before the policy");
        assert_eq!(score_revision::Entity::find().count(app.db.read()).await.expect("a count"), 1);
    }

    async fn of_two_hundred_at_once_one_is_stored(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({})).await;
        let tries = (0..200).map(|n| {
            let (mei, input) = (mei.clone(), graded("r", "12345", n % 11, 1));
            tokio::spawn(async move { try_submit(&mei, input).await })
        });
        let replies: Vec<_> = futures_util::future::join_all(tries).await.into_iter().map(|reply| reply.expect("an answer")).collect();
        let (stored, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.body.get("errors").is_none());
        assert_eq!((stored.len(), count(app).await), (1, 1));
        for reply in refused {
            assert_eq!(reply.code(), "ALREADY_SUBMITTED");
        }
    }

    async fn corrections_at_once_leave_one_score_and_right_counts(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({"editWindowMinutes": 10})).await;
        let tries = (0..20).map(|n| {
            let (mei, input) = (mei.clone(), graded("r", "12345", n % 11, 1 + n % 5));
            tokio::spawn(async move { try_submit(&mei, input).await.data()["submitScore"]["score"]["id"].clone() })
        });
        let ids: Vec<_> = futures_util::future::join_all(tries).await.into_iter().map(|id| id.expect("an answer")).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        let summary = admin.ask("{ rubric(slug: \"r\") { summary { count criteria { count } } } }").await;
        assert_eq!(summary.data()["rubric"]["summary"], json!({"count": 1, "criteria": [{"count": 1}, {"count": 1}]}));
    }

    async fn the_times_are_obeyed_to_the_second(app) {
        use wegraph::platform::clock::Clock;
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let at = |seconds: i64| (app.clock.now() + TimeDelta::seconds(seconds)).utc().to_rfc3339();
        make_rubric(&admin, "r", json!({"opensAt": at(60), "closesAt": at(120), "submissionPolicy": "UNLIMITED"})).await;
        assert_eq!(try_submit(&mei, graded("r", "12345", 1, 1)).await.code(), "RUBRIC_NOT_OPEN");
        app.advance(TimeDelta::seconds(60));
        submit(&mei, graded("r", "12345", 1, 1)).await;
        app.advance(TimeDelta::seconds(60));
        assert_eq!(try_submit(&mei, graded("r", "12345", 1, 1)).await.code(), "RUBRIC_NOT_OPEN");
    }

    async fn a_score_outlives_its_author_and_the_rule_stays(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "ONCE_PER_ACCOUNT", "editWindowMinutes": 10})).await;
        submit(&mei, graded("r", "12345", 1, 1)).await;
        mei.ask("mutation { deleteAccount(input: {}) { deletedUserId } }").await.data();
        let mei = app.user("mei").await;
        assert_eq!(try_submit(&mei, graded("r", "12345", 2, 2)).await.code(), "ALREADY_SUBMITTED");
    }

    async fn a_submission_that_waits_until_the_rubric_closes_comes_too_late(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let at = (app.clock.now() + TimeDelta::seconds(60)).utc().to_rfc3339();
        make_rubric(&admin, "r", json!({"closesAt": at, "editWindowMinutes": 60})).await;
        let stored = submit(&mei, graded("r", "12345", 1, 1)).await;
        let id = parse_id(stored["id"].as_str().expect("an id")).expect("an id");
        // Somebody holds the score; on SQLite, the writer.
        let (held, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let holder = {
            let (db, held, release) = (app.db.clone(), held.clone(), release.clone());
            tokio::spawn(async move {
                db.write(move |tx| {
                    let (held, release) = (held.clone(), release.clone());
                    Box::pin(async move {
                        let same = Expr::col(score::Column::Revision);
                        score::Entity::update_many().col_expr(score::Column::Revision, same).filter(score::Column::Id.eq(id)).exec(tx).await?;
                        held.notify_one();
                        release.notified().await;
                        Ok::<_, DbErr>(())
                    })
                }).await
            })
        };
        held.notified().await;
        let later = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            app.advance(TimeDelta::seconds(61));
            release.notify_one();
        };
        let (reply, ()) = tokio::join!(try_submit(&mei, graded("r", "12345", 9, 5)), later);
        assert_eq!(reply.code(), "RUBRIC_NOT_OPEN");
        holder.await.expect("no panic").expect("it ends");
        let reply = admin.run("query($id: ID!) { score(id: $id) { total } }", json!({"id": stored["id"]})).await;
        assert_eq!(reply.data()["score"]["total"], stored["total"], "nothing of it was stored");
    }

    async fn policies_may_change_to_and_fro(app) {
        let (admin, mei, lin) = (app.admin("boss").await, app.user("mei").await, app.user("lin").await);
        let rubric = make_rubric(&admin, "r", json!({"submissionPolicy": "ONCE_PER_ACCOUNT", "editWindowMinutes": 10})).await;
        let change = async |policy: &str| {
            update_rubric(&admin, json!({"id": rubric["id"], "submissionPolicy": policy})).await.data();
        };
        let first = submit(&mei, graded("r", "70001", 1, 1)).await;
        change("ONCE_PER_USER").await;
        let moved = submit(&mei, graded("r", "70002", 2, 2)).await;
        assert_eq!((&moved["id"], &moved["accountNumber"]), (&first["id"], &json!("70002")));
        change("ONCE_PER_ACCOUNT").await;
        let free = submit(&lin, graded("r", "70001", 3, 3)).await;
        assert_eq!(free["accountNumber"], "70001");
        assert_eq!(try_submit(&lin, graded("r", "70002", 3, 3)).await.code(), "ALREADY_SUBMITTED");
        change("UNLIMITED").await;
        submit(&lin, graded("r", "70001", 4, 4)).await;
        for policy in ["ONCE_PER_USER", "ONCE_PER_ACCOUNT", "ONCE_PER_USER"] {
            change(policy).await;
            // Each corrects what is theirs, by whichever rule.
            submit(&mei, graded("r", "70002", 5, 5)).await;
            submit(&lin, graded("r", "70001", 5, 5)).await;
        }
        assert_eq!(count(app).await, 3);
    }

    async fn a_closed_rubric_says_so_before_anything_else(app) {
        let (admin, mei, lin) = (app.admin("boss").await, app.user("mei").await, app.user("lin").await);
        let rubric = make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        let mut input = graded("r", "12345", 1, 1);
        input["id"] = json!("01890000-0000-7000-8000-000000000001");
        let stored = submit(&mei, input.clone()).await;
        update_rubric(&admin, json!({"id": rubric["id"], "state": "CLOSED"})).await.data();
        assert_eq!(submit(&mei, input.clone()).await["id"], stored["id"]);
        assert_eq!(try_submit(&lin, input.clone()).await.code(), "RUBRIC_NOT_OPEN");
        input["grades"][0]["grade"] = json!(2);
        assert_eq!(try_submit(&mei, input.clone()).await.code(), "RUBRIC_NOT_OPEN");
        input["id"] = json!("x");
        assert_eq!(try_submit(&mei, input).await.code(), "RUBRIC_NOT_OPEN");
    }
}
