use std::collections::HashSet;

use chrono::TimeDelta;
use serde_json::{Value, json};
use wegraph::platform::clock::Clock;

use super::{a_score, submit};
use crate::harness::{Client, on_each_database};

async fn accounts(client: &Client, filter: Value) -> Vec<String> {
    let reply = client
        .run(
            "query($filter: ScoreFilter) { scores(filter: $filter, first: 100) { totalCount nodes { accountNumber } } }",
            json!({"filter": filter}),
        )
        .await;
    let scores = &reply.data()["scores"];
    let nodes = scores["nodes"].as_array().expect("a list");
    assert_eq!(scores["totalCount"], nodes.len());
    nodes
        .iter()
        .map(|node| node["accountNumber"].as_str().expect("text").to_owned())
        .collect()
}

async fn submit_for(client: &Client, account: &str) -> Value {
    let mut input = a_score();
    input["accountNumber"] = json!(account);
    submit(client, input).await
}

on_each_database! {
    async fn the_largest_page_with_every_field_is_not_too_complex(app) {
        let lin = app.user("lin").await;
        let all = "__typename id accountNumber total submittedAt updatedAt submittedBy { __typename id username displayName avatarUrl email phoneNumber role isDisabled hasPassword isWechatLinked createdAt }
            rubric { __typename id slug title description state opensAt closesAt submissionPolicy editWindowMinutes aggregation isResultPublic createdAt criteria { ...C } }
            grades { __typename grade comment criterion { ...C } }";
        let query = format!("query Q($n: Int!) {{ scores(first: $n) {{ __typename totalCount pageInfo {{ __typename hasNextPage hasPreviousPage startCursor endCursor }}
            edges {{ __typename cursor node {{ {all} }} }} }} }}
            fragment C on Criterion {{ __typename key title description minGrade maxGrade weight isCommentRequired maxCommentLength }}");
        lin.run(&query, json!({"n": 100})).await.data();
        lin.ask("{ tasks(first: 100) { totalCount edges { cursor node { id title notes status priority tags dueAt remindAt completedAt isOverdue version createdAt updatedAt
            owner { id username displayName } } } nodes { id title owner { id } } } }").await.data();
    }

    async fn people_see_their_own_and_administrators_all(app) {
        let (lin, mei, admin) = (app.user("lin").await, app.user("mei").await, app.admin("root").await);
        let score = submit_for(&lin, "11111").await;
        app.advance(TimeDelta::milliseconds(10));
        submit_for(&mei, "22222").await;
        assert_eq!(accounts(&lin, json!(null)).await, ["11111"]);
        assert_eq!(accounts(&admin, json!(null)).await, ["22222", "11111"]);
        let by_lin = json!({"submittedBy": lin.user_id});
        assert_eq!(accounts(&admin, by_lin.clone()).await, ["11111"]);
        assert_eq!(accounts(&mei, by_lin).await, Vec::<String>::new());
        assert_eq!(accounts(&admin, json!({"submittedBy": "nonsense"})).await, Vec::<String>::new());
        let query = "query($id: ID!) { score(id: $id) { accountNumber } node(id: $id) { id } }";
        for (client, expected) in [(&lin, json!({"score": {"accountNumber": "11111"}, "node": {"id": score["id"]}})),
            (&mei, json!({"score": null, "node": null})), (&admin, json!({"score": {"accountNumber": "11111"}, "node": {"id": score["id"]}}))] {
            assert_eq!(client.run(query, json!({"id": score["id"]})).await.data(), &expected);
        }
        assert_eq!(mei.ask("{ score(id: \"nonsense\") { id } }").await.data(), &json!({"score": null}));
    }

    async fn filters_by_rubric_account_and_time(app) {
        let lin = app.user("lin").await;
        submit_for(&lin, "11111").await;
        app.advance(TimeDelta::seconds(10));
        let middle = app.clock.now().utc().to_rfc3339();
        submit_for(&lin, "22222").await;
        for (filter, expected) in [
            (json!({"rubric": "default"}), vec!["22222", "11111"]),
            (json!({"rubric": "none"}), vec![]),
            (json!({"rubric": "\u{0}"}), vec![]),
            (json!({"accountNumber": "11111"}), vec!["11111"]),
            (json!({"accountNumber": "1111"}), vec![]),
            (json!({"from": middle}), vec!["22222"]),
            (json!({"to": middle}), vec!["11111"]),
            (json!({"from": "1000-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}), vec!["22222", "11111"]),
        ] {
            assert_eq!(accounts(&lin, filter.clone()).await, expected, "{filter}");
        }
        let exact = lin.ask("{ scores(first: 1) { nodes { submittedAt } } }").await;
        let at = &exact.data()["scores"]["nodes"][0]["submittedAt"];
        assert_eq!(accounts(&lin, json!({"from": at})).await, ["22222"], "from is inclusive");
        assert_eq!(accounts(&lin, json!({"to": at})).await, ["11111"], "to is exclusive");
    }

    async fn pages_both_ways_visit_each_once(app) {
        let lin = app.user("lin").await;
        let mut all = Vec::new();
        for n in 0..25 {
            all.push(submit_for(&lin, &format!("{:05}", n)).await["accountNumber"].clone());
            if n % 3 == 0 {
                app.advance(TimeDelta::milliseconds(3));
            }
        }
        for (count, cursor, more, end) in [("first", "after", "hasNextPage", "endCursor"), ("last", "before", "hasPreviousPage", "startCursor")] {
            let query = format!("query($c: String) {{ scores({count}: 4, {cursor}: $c) {{ nodes {{ accountNumber }} pageInfo {{ {more} {end} }} }} }}");
            let (mut seen, mut position) = (HashSet::new(), Value::Null);
            loop {
                let reply = lin.run(&query, json!({"c": position})).await;
                let scores = &reply.data()["scores"];
                for node in scores["nodes"].as_array().expect("a list") {
                    assert!(seen.insert(node["accountNumber"].clone()));
                }
                if scores["pageInfo"][more] == false {
                    break;
                }
                position = scores["pageInfo"][end].clone();
            }
            assert_eq!(seen.len(), all.len());
        }
        for wrong in ["first: 101", "after: \"x\"", "last: -1"] {
            assert_eq!(lin.ask(&format!("{{ scores({wrong}) {{ totalCount }} }}")).await.code(), "BAD_USER_INPUT");
        }
    }

    async fn twenty_scores_with_all_they_hold_cost_as_many_statements_as_one(app) {
        let lin = app.user("lin").await;
        submit_for(&lin, "11111").await;
        let count = async || {
            let before = app.db.statements();
            lin.ask("{ scores(first: 20) { nodes { rubric { title criteria { key } } submittedBy { displayName }
                grades { grade criterion { key } } } } }").await.data();
            app.db.statements() - before
        };
        let one = count().await;
        for _ in 0..20 {
            submit_for(&lin, "11111").await;
        }
        assert_eq!(count().await, one);
    }
}
