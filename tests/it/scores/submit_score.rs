use chrono::TimeDelta;
use sea_orm::ActiveValue::Set;
use serde_json::json;
use wegraph::entity::rubric::RubricState;
use wegraph::platform::clock::{Clock, SystemClock};

use super::{a_score, graded, make_rubric, submit, try_submit};
use crate::harness::on_each_database;

on_each_database! {
    async fn stores_a_score_and_reads_it_back(app) {
        let lin = app.user("lin").await;
        let score = submit(&lin, a_score()).await;
        assert_eq!(score["total"], 75.0);
        assert_eq!(score["rubric"]["slug"], "default");
        assert_eq!(score["submittedBy"]["id"], json!(lin.user_id));
        assert_eq!(score["grades"], json!([
            {"criterion": {"key": "grade1"}, "grade": 5, "comment": null},
            {"criterion": {"key": "grade2"}, "grade": 4, "comment": "很好 😀"},
            {"criterion": {"key": "grade3"}, "grade": 3, "comment": null},
        ]));
        let read = lin.run("query($id: ID!) { score(id: $id) { id accountNumber total submittedAt updatedAt rubric { slug }
            submittedBy { id } grades { criterion { key } grade comment } } }", json!({"id": score["id"]})).await;
        assert_eq!(read.data()["score"], score);
    }

    async fn speaks_the_callers_language(app) {
        let lin = app.user("lin").await;
        let mut bad = a_score();
        bad["grades"][0]["grade"] = json!(6);
        for (language, success, failure) in [
            (None, "数据提交成功", "数据提交失败"),
            (Some("zh-CN,zh;q=0.9"), "数据提交成功", "数据提交失败"),
            (Some("en-US,en;q=0.9,zh;q=0.1"), "Submitted successfully", "Submission failed"),
        ] {
            let client = match language {
                Some(language) => lin.clone().with_language(language),
                None => lin.clone(),
            };
            assert_eq!(try_submit(&client, a_score()).await.data()["submitScore"]["message"], success);
            assert!(try_submit(&client, bad.clone()).await.message().starts_with(failure));
        }
        assert!(try_submit(&app.anonymous(), a_score()).await.message().starts_with("数据提交失败"));
    }

    async fn a_value_of_the_wrong_type_is_a_failed_submission_too(app) {
        let lin = app.user("lin").await;
        let mut fraction = a_score();
        fraction["grades"][0]["grade"] = json!(4.5);
        let mut number = a_score();
        number["accountNumber"] = json!(13_800_138_000_u64);
        for input in [fraction, number] {
            let reply = try_submit(&lin, input).await;
            assert_eq!(reply.code(), "GRAPHQL_VALIDATION_FAILED");
            assert!(reply.message().starts_with("数据提交失败"), "{}", reply.message());
        }
    }

    async fn names_each_faulty_grade_by_its_path(app) {
        let lin = app.user("lin").await;
        let grade = |criterion: &str, grade: i32, comment: &str| json!({"criterion": criterion, "grade": grade, "comment": comment});
        let long = "评".repeat(501);
        for (grades, faults) in [
            (json!([]), vec!["input.grades REQUIRED", "input.grades REQUIRED", "input.grades REQUIRED"]),
            (json!([grade("grade1", 0, ""), grade("grade2", 6, ""), grade("grade3", 1, &long)]),
                vec!["input.grades.0.grade OUT_OF_RANGE", "input.grades.1.grade OUT_OF_RANGE", "input.grades.2.comment TOO_LONG"]),
            (json!([grade("grade1", 1, ""), grade("grade9", 1, ""), grade("grade1", 1, ""), grade("grade3", 5, "a\u{0}")]),
                vec!["input.grades.1.criterion UNKNOWN", "input.grades.2.criterion DUPLICATE", "input.grades.3.comment MALFORMED", "input.grades REQUIRED"]),
        ] {
            let reply = try_submit(&lin, json!({"accountNumber": "13800138000", "grades": grades})).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", faults.into_iter().map(str::to_owned).collect()));
        }
        let mut edge = a_score();
        edge["grades"][0]["comment"] = json!("评".repeat(500));
        submit(&lin, edge).await;
    }

    async fn a_comment_of_invisible_characters_is_none(app) {
        let (admin, lin) = (app.admin("boss").await, app.user("lin").await);
        make_rubric(&admin, "r", json!({"criteria": [
            {"key": "a", "title": "A", "maxGrade": 10}, {"key": "b", "title": "B", "isCommentRequired": true},
        ]})).await;
        let commented = |a: &str, b: &str| {
            let mut input = graded("r", "13800138000", 1, 1);
            input["grades"][0]["comment"] = json!(a);
            input["grades"][1]["comment"] = json!(b);
            input
        };
        for comment in ["\u{2800}", "\u{e0020}\n", "\u{34f}"] {
            assert_eq!(try_submit(&lin, commented("", comment)).await.faults(), ["input.grades.1.comment REQUIRED"], "{comment:?}");
        }
        let score = submit(&lin, commented("\u{2800}\n\u{fff9}", "ok")).await;
        assert_eq!(score["grades"][0]["comment"], json!(null));
    }

    async fn an_account_number_has_5_to_20_ascii_digits(app) {
        let lin = app.user("lin").await;
        for (number, rule) in [
            ("1234", "TOO_SHORT"), (&"1".repeat(21), "TOO_LONG"), ("", "REQUIRED"), ("  ", "REQUIRED"),
            ("1234a", "MALFORMED"), ("１２３４５", "MALFORMED"), ("12 345", "MALFORMED"), ("+8613800", "MALFORMED"), ("12345\u{0}", "MALFORMED"),
        ] {
            let mut input = a_score();
            input["accountNumber"] = json!(number);
            let reply = try_submit(&lin, input).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![format!("input.accountNumber {rule}")]), "{number}");
        }
        for number in ["12345", " 00000 ", &"9".repeat(20)] {
            let mut input = a_score();
            input["accountNumber"] = json!(number);
            assert_eq!(submit(&lin, input).await["accountNumber"], number.trim());
        }
    }

    async fn a_repeated_id_answers_the_stored_score(app) {
        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        let mut input = a_score();
        input["id"] = json!("0C6A8D2E-5B1F-4E3A-9C7D-2F8B6A4E1D30");
        let first = submit(&lin, input.clone()).await;
        assert_eq!(first["id"], "0c6a8d2e-5b1f-4e3a-9c7d-2f8b6a4e1d30");
        app.change_default_rubric(|rubric| rubric.state = Set(RubricState::Closed)).await;
        let mut shuffled = input.clone();
        shuffled["grades"].as_array_mut().expect("grades").reverse();
        shuffled["rubric"] = json!("default");
        for again in [input.clone(), shuffled] {
            assert_eq!(submit(&lin, again).await, first);
        }
        let mut other = input.clone();
        other["grades"][0]["grade"] = json!(1);
        for (state, refusal) in [(RubricState::Closed, "RUBRIC_NOT_OPEN"), (RubricState::Open, "CONFLICT")] {
            match state {
                RubricState::Open => app.change_default_rubric(|rubric| rubric.state = Set(RubricState::Open)).await,
                _ => app.change_default_rubric(|rubric| rubric.state = Set(RubricState::Closed)).await,
            }
            for (client, input) in [(&lin, &other), (&mei, &input)] {
                let reply = try_submit(client, input.clone()).await;
                assert_eq!(reply.code(), refusal);
                assert!(reply.message().starts_with("数据提交失败"));
            }
        }
        input["id"] = json!("nonsense");
        assert_eq!(try_submit(&lin, input).await.faults(), ["input.id MALFORMED"]);
    }

    async fn the_same_id_sent_200_times_at_once_is_one_score(app) {
        let lin = app.user("lin").await;
        let mut input = a_score();
        input["id"] = json!(wegraph::platform::id::new_id());
        let tries = (0..200).map(|_| {
            let (lin, input) = (lin.clone(), input.clone());
            tokio::spawn(async move { submit(&lin, input).await })
        });
        for score in futures_util::future::join_all(tries).await {
            assert_eq!(score.expect("an answer")["id"], input["id"]);
        }
        assert_eq!(lin.ask("{ scores { totalCount } }").await.data()["scores"]["totalCount"], 1);
    }

    async fn only_an_open_rubric_takes_scores(app) {
        let lin = app.user("lin").await;
        let mut unknown = a_score();
        for slug in ["none", "", "x\u{0}"] {
            unknown["rubric"] = json!(slug);
            assert_eq!(try_submit(&lin, unknown.clone()).await.code(), "NOT_FOUND");
        }
        app.change_default_rubric(|rubric| {
            rubric.opens_at = Set(Some(SystemClock.now() + TimeDelta::seconds(60)));
            rubric.closes_at = Set(Some(SystemClock.now() + TimeDelta::seconds(120)));
        }).await;
        assert_eq!(try_submit(&lin, a_score()).await.code(), "RUBRIC_NOT_OPEN");
        app.advance(TimeDelta::seconds(61));
        submit(&lin, a_score()).await;
        app.advance(TimeDelta::seconds(60));
        assert_eq!(try_submit(&lin, json!({"accountNumber": "x", "grades": []})).await.code(), "RUBRIC_NOT_OPEN");
        app.change_default_rubric(|rubric| rubric.state = Set(RubricState::Draft)).await;
        assert_eq!(try_submit(&lin, a_score()).await.code(), "NOT_FOUND");
    }

    async fn takes_the_default_rubric_for_null(app) {
        let lin = app.user("lin").await;
        let mut input = a_score();
        input["rubric"] = json!(null);
        assert_eq!(submit(&lin, input).await["rubric"]["slug"], "default");
    }
}
