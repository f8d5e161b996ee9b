//! Results over many scores, compared with a reckoning of their own from the rows.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use wegraph::entity::{criterion, grade, score};
use wegraph::platform::clock::Clock;

use super::{graded, make_rubric, submit, update_rubric};
use crate::harness::{Client, Engine, TestApp, on_each_database};

const SUMMARY: &str = "count total median criteria { criterion { key } count mean median standardDeviation distribution { grade count } }";

async fn summary(client: &Client, arguments: &str) -> Value {
    let query = format!("{{ rubric(slug: \"r\") {{ summary{arguments} {{ {SUMMARY} }} }} }}");
    client.ask(&query).await.data()["rubric"]["summary"].clone()
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The summary as anybody would reckon it who has the rows, by another way than the server's.
async fn reckon(app: &TestApp, aggregation: &str, keep: impl Fn(&score::Model) -> bool) -> Value {
    let db = app.db.read();
    let scores: Vec<_> = score::Entity::find()
        .all(db)
        .await
        .expect("rows")
        .into_iter()
        .filter(keep)
        .collect();
    let grades = grade::Entity::find().all(db).await.expect("rows");
    let mut criteria = criterion::Entity::find().all(db).await.expect("rows");
    criteria.retain(|criterion| ["a", "b"].contains(&criterion.key.as_str()));
    criteria.sort_by_key(|criterion| criterion.position);
    let sorted = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
    };
    let totals = sorted(scores.iter().map(|score| score.total).collect());
    let total = match aggregation {
        "MEDIAN" => median(&totals),
        "TRIMMED_MEAN" if totals.len() >= 5 => mean(&totals[1..totals.len() - 1]),
        _ => mean(&totals),
    };
    let of_criterion = |criterion: &criterion::Model| {
        let given = grades
            .iter()
            .filter(|grade| grade.criterion_id == criterion.id);
        let given = given.filter(|grade| scores.iter().any(|score| score.id == grade.score_id));
        let given = sorted(given.map(|grade| f64::from(grade.grade)).collect());
        let deviation = mean(&given).map(|middle| {
            let squares: Vec<f64> = given.iter().map(|value| (value - middle).powi(2)).collect();
            mean(&squares).expect("values").sqrt()
        });
        let mut distribution: BTreeMap<i32, usize> = (criterion.min_grade..=criterion.max_grade)
            .map(|grade| (grade, 0))
            .collect();
        for value in &given {
            *distribution.entry(*value as i32).or_default() += 1;
        }
        json!({
            "criterion": {"key": criterion.key}, "count": given.len(), "mean": mean(&given), "median": median(&given),
            "standardDeviation": deviation,
            "distribution": distribution.into_iter().map(|(grade, count)| json!({"grade": grade, "count": count})).collect::<Vec<_>>(),
        })
    };
    json!({"count": scores.len(), "total": total, "median": median(&totals), "criteria": criteria.iter().map(of_criterion).collect::<Vec<_>>()})
}

/// Equal but for the last digits of sums that were made in another order.
#[track_caller]
fn assert_close(left: &Value, right: &Value) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
            a.iter()
                .for_each(|(name, value)| assert_close(value, &b[name]));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| assert_close(a, b));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().expect("a number"), b.as_f64().expect("a number"));
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} is not {b}");
        }
        _ => assert_eq!(left, right),
    }
}

on_each_database! {
    async fn of_nothing_are_null(app) {
        let admin = app.admin("boss").await;
        make_rubric(&admin, "r", json!({})).await;
        let empty = summary(&admin, "").await;
        assert_eq!((&empty["count"], &empty["total"], &empty["median"]), (&json!(0), &Value::Null, &Value::Null));
        assert_eq!(empty["criteria"][1]["distribution"], json!((1..=5).map(|grade| json!({"grade": grade, "count": 0})).collect::<Vec<_>>()));
        assert_eq!(empty["criteria"][0]["distribution"].as_array().map(Vec::len), Some(11));
    }

    /// Random submissions, corrections and deletions; after each few the counts must say what the rows say.
    async fn equal_a_reckoning_from_the_rows_whatever_happens(app) {
        let admin = app.admin("boss").await;
        let rubric = make_rubric(&admin, "r", json!({"editWindowMinutes": 1000})).await;
        let mut people = Vec::new();
        for n in 0..12 {
            people.push(app.user(&format!("person{n}")).await);
        }
        // A generator of its own, so that a failure can be repeated.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for (round, aggregation) in ["MEAN", "TRIMMED_MEAN", "MEDIAN"].into_iter().cycle().take(9).enumerate() {
            for _ in 0..7 {
                let who = random(12) as usize;
                let (account, a, b) = (format!("1000{}", random(3)), random(11) as i64, 1 + random(5) as i64);
                submit(&people[who], graded("r", &account, a, b)).await;
                app.advance(TimeDelta::seconds(1));
            }
            if round % 2 == 1 {
                let scores = admin.ask("{ scores(filter: {rubric: \"r\"}) { nodes { id } } }").await;
                let scores = scores.data()["scores"]["nodes"].as_array().expect("a list").clone();
                let id = &scores[random(scores.len() as u64) as usize]["id"];
                admin.run("mutation($id: ID!) { deleteScore(input: {id: $id}) { deletedScoreId } }", json!({"id": id})).await.data();
            }
            update_rubric(&admin, json!({"id": rubric["id"], "aggregation": aggregation})).await.data();
            assert_close(&summary(&admin, "").await, &reckon(app, aggregation, |_| true).await);
            let of_account = reckon(app, aggregation, |score| score.account_number == "10001").await;
            assert_close(&summary(&admin, "(accountNumber: \" 10001 \")").await, &of_account);
            let middle = app.clock.now() + TimeDelta::seconds(-20);
            let late = reckon(app, aggregation, |score| score.submitted_at >= middle).await;
            assert_close(&summary(&admin, &format!("(from: \"{}\")", middle.utc().to_rfc3339())).await, &late);
            let early = reckon(app, aggregation, |score| score.submitted_at < middle).await;
            assert_close(&summary(&admin, &format!("(to: \"{}\")", middle.utc().to_rfc3339())).await, &early);
        }
    }

    async fn are_for_administrators_unless_public(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let rubric = make_rubric(&admin, "r", json!({})).await;
        let query = "{ rubric(slug: \"r\") { title summary { count } } }";
        for client in [&mei, &app.anonymous()] {
            let reply = client.ask(query).await;
            assert_eq!(reply.body["data"]["rubric"], json!({"title": "竞赛", "summary": null}));
            assert_eq!(reply.code(), "FORBIDDEN");
        }
        admin.run("mutation($id: ID!) { updateRubric(input: {id: $id, isResultPublic: true}) { rubric { id } } }", json!({"id": rubric["id"]})).await.data();
        for client in [&mei, &app.anonymous()] {
            assert_eq!(client.ask(query).await.data()["rubric"]["summary"]["count"], 0);
        }
    }

    async fn the_callers_newest_score_is_shown(app) {
        let (admin, mei, lin) = (app.admin("boss").await, app.user("mei").await, app.user("lin").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        submit(&mei, graded("r", "12345", 1, 1)).await;
        app.advance(TimeDelta::seconds(1));
        let newest = submit(&mei, graded("r", "12345", 2, 2)).await;
        submit(&lin, graded("r", "12345", 3, 3)).await;
        let query = "{ rubric(slug: \"r\") { viewerScore { id total } } }";
        assert_eq!(mei.ask(query).await.data()["rubric"]["viewerScore"]["id"], newest["id"]);
        for client in [&admin, &app.anonymous()] {
            assert_eq!(client.ask(query).await.data()["rubric"]["viewerScore"], Value::Null);
        }
    }

    async fn a_page_of_results_costs_as_many_statements_as_one(app) {
        let admin = app.admin("boss").await;
        let query = "{ rubrics { nodes { slug viewerScore { total } summary { count total criteria { mean criterion { key } } } \
            late: summary(from: \"2020-01-01T00:00:00Z\") { count } } } }".replace("\\\n", "");
        let cost = async || {
            let before = app.db.statements();
            admin.ask(&query).await.data();
            app.db.statements() - before
        };
        submit(&admin, super::a_score()).await;
        admin.ask(&query).await.data();
        let one = cost().await;
        for n in 0..9 {
            let slug = format!("r{n}");
            make_rubric(&admin, &slug, json!({})).await;
            submit(&admin, graded(&slug, "12345", 1, 1)).await;
        }
        assert_eq!(cost().await, one);
        // MySQL is asked first which grades there are.
        let more = u64::from(app.engine == Engine::Mysql);
        assert_eq!(one, 5 + more, "rubrics, newest scores, criteria, and one for each filter");
    }
}
