use std::collections::HashSet;

use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, Statement,
};
use serde_json::{Value, json};
use wegraph::entity::task::{self, Tags, TaskPriority, TaskStatus};
use wegraph::platform::clock::Clock;
use wegraph::platform::id::{new_id, parse_id};

use super::{create, titles, update};
use crate::harness::{Client, Engine, TestApp, on_each_database};

const FIELDS: [&str; 5] = ["CREATED_AT", "UPDATED_AT", "DUE_AT", "PRIORITY", "TITLE"];

/// Inserts tasks with many ties in every sort key, every third without a due time.
async fn insert_many(app: &TestApp, owner: &Client, count: usize) {
    let owner = parse_id(&owner.user_id).expect("an id");
    let now = app.clock.now();
    let rows: Vec<_> = (0..count)
        .map(|n| {
            let at = |step: i64| now + TimeDelta::seconds((n as i64 * 7919) % step);
            task::Model {
                id: new_id(),
                owner_id: owner,
                title: format!(
                    "{}{}",
                    ["Zebra", "apfel", "Äpfel", "张三", "😀"][n % 5],
                    n % 50
                ),
                notes: None,
                status: TaskStatus::Todo,
                priority: [
                    TaskPriority::None,
                    TaskPriority::Low,
                    TaskPriority::Medium,
                    TaskPriority::High,
                ][n % 4],
                tags: Tags::default(),
                tags_key: String::new(),
                search_text: String::new(),
                due_at: (n % 3 != 0).then(|| at(40)),
                remind_at: None,
                completed_at: None,
                version: 1,
                creation_digest: String::new(),
                created_at: at(97),
                updated_at: at(61),
                created_seq: 1,
                change_seq: 1,
            }
            .into_active_model()
            .reset_all()
        })
        .collect();
    app.db
        .write(move |tx| {
            let rows = rows.clone();
            Box::pin(async move {
                for chunk in rows.chunks(100) {
                    task::Entity::insert_many(chunk.to_vec())
                        .exec_without_returning(tx)
                        .await?;
                }
                Ok::<_, DbErr>(())
            })
        })
        .await
        .expect("the rows are inserted");
}

/// Walks through all pages of `size`, calling `between` after each; returns the nodes in the order of the list.
async fn walk(
    client: &Client,
    order: &str,
    is_backward: bool,
    size: usize,
    mut between: impl AsyncFnMut(),
) -> Vec<Value> {
    let (count, cursor, info) = match is_backward {
        true => ("last", "before", "hasPreviousPage startCursor"),
        false => ("first", "after", "hasNextPage endCursor"),
    };
    let query = format!(
        "query($size: Int, $cursor: String) {{ tasks(orderBy: {order}, {count}: $size, {cursor}: $cursor) {{
            nodes {{ id title priority dueAt createdAt updatedAt }} pageInfo {{ {info} }} }} }}"
    );
    let mut pages = Vec::new();
    let mut position = Value::Null;
    loop {
        let reply = client
            .run(&query, json!({"size": size, "cursor": position}))
            .await;
        let tasks = &reply.data()["tasks"];
        pages.push(tasks["nodes"].as_array().expect("a list").clone());
        let page = &tasks["pageInfo"];
        if page["hasNextPage"] == false || page["hasPreviousPage"] == false {
            break;
        }
        position = page["endCursor"]
            .as_str()
            .or(page["startCursor"].as_str())
            .expect("a cursor")
            .into();
        between().await;
    }
    if is_backward {
        pages.reverse();
    }
    pages.concat()
}

fn ids(nodes: &[Value]) -> Vec<&str> {
    nodes
        .iter()
        .map(|node| node["id"].as_str().expect("an id"))
        .collect()
}

/// The sort key of a node as it must compare; `None` for null.
fn key(node: &Value, field: &str) -> Option<String> {
    let text = |name: &str| node[name].as_str().map(str::to_owned);
    match field {
        "CREATED_AT" => text("createdAt"),
        "UPDATED_AT" => text("updatedAt"),
        "DUE_AT" => text("dueAt"),
        "TITLE" => text("title"),
        _ => text("priority").map(|p| {
            ["NONE", "LOW", "MEDIUM", "HIGH"]
                .iter()
                .position(|q| *q == p)
                .expect("known")
                .to_string()
        }),
    }
}

on_each_database! {
    async fn every_order_visits_each_of_a_thousand_once_while_rows_come(app) {
        let lin = app.user("lin").await;
        insert_many(app, &lin, 1000).await;
        let all = lin.ask("{ tasks { totalCount } }").await;
        assert_eq!(all.data()["tasks"]["totalCount"], 1000);
        for field in FIELDS {
            for direction in ["ASC", "DESC"] {
                let order = format!("{{field: {field}, direction: {direction}}}");
                let before = walk(&lin, &order, false, 100, async || {}).await;
                let known: HashSet<&str> = ids(&before).into_iter().collect();
                assert_eq!((before.len(), known.len()), (before.len(), before.len()), "{order}");
                let mut expected: Vec<&Value> = before.iter().collect();
                expected.sort_by(|a, b| {
                    let (ka, kb) = (key(a, field), key(b, field));
                    let by_key = match (&ka, &kb) {
                        (None, None) => std::cmp::Ordering::Equal,
                        (None, _) => return std::cmp::Ordering::Greater,
                        (_, None) => return std::cmp::Ordering::Less,
                        (a, b) => a.cmp(b),
                    };
                    let ordering = by_key.then_with(|| a["id"].as_str().cmp(&b["id"].as_str()));
                    if direction == "ASC" { ordering } else { ordering.reverse() }
                });
                assert!(expected.iter().zip(&before).all(|(a, b)| *a == b), "{order} is not sorted");
                for is_backward in [false, true] {
                    let during = walk(&lin, &order, is_backward, 100, async || insert_many(app, &lin, 3).await).await;
                    let visited: Vec<&str> = ids(&during).into_iter().filter(|id| known.contains(id)).collect();
                    assert_eq!(visited, ids(&before), "{order} backward: {is_backward}");
                    let distinct: HashSet<&str> = ids(&during).into_iter().collect();
                    assert_eq!(distinct.len(), during.len());
                }
            }
        }
    }

    async fn null_for_the_direction_means_ascending(app) {
        let lin = app.user("lin").await;
        for title in ["b", "a"] {
            create(&lin, json!({"title": title})).await;
        }
        let sorted = json!([{"title": "a"}, {"title": "b"}]);
        let literal = lin.ask("{ tasks(orderBy: {field: TITLE, direction: null}) { nodes { title } } }").await;
        let variable = lin.run("query($d: OrderDirection) { ...on Query { tasks(orderBy: {field: TITLE, direction: $d}) { nodes { title } } } }",
            json!({"d": null})).await;
        let whole = lin.run("query($o: TaskOrder) { tasks(orderBy: $o) { nodes { title } } }", json!({"o": {"field": "TITLE", "direction": null}})).await;
        for reply in [literal, variable, whole] {
            assert_eq!(reply.data()["tasks"]["nodes"], sorted);
        }
    }

    async fn pages_say_where_they_lie(app) {
        let lin = app.user("lin").await;
        for n in 0..5 {
            create(&lin, json!({"title": format!("t{n}")})).await;
            app.advance(TimeDelta::milliseconds(5));
        }
        let page = async |arguments: &str| {
            let query = format!("{{ tasks(orderBy: {{field: CREATED_AT}}{arguments}) {{ edges {{ cursor node {{ title }} }}
                pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}");
            lin.ask(&query).await.data()["tasks"].clone()
        };
        let first = page(", first: 2").await;
        assert_eq!((&first["pageInfo"]["hasNextPage"], &first["pageInfo"]["hasPreviousPage"]), (&json!(true), &json!(false)));
        assert_eq!(first["edges"][0]["cursor"], first["pageInfo"]["startCursor"]);
        let end = first["pageInfo"]["endCursor"].as_str().expect("a cursor");
        let second = page(&format!(", first: 2, after: \"{end}\"")).await;
        assert_eq!((&second["edges"][0]["node"]["title"], &second["pageInfo"]["hasPreviousPage"]), (&json!("t2"), &json!(true)));
        let last = page(", last: 2").await;
        assert_eq!(last["edges"][1]["node"]["title"], "t4");
        assert_eq!((&last["pageInfo"]["hasNextPage"], &last["pageInfo"]["hasPreviousPage"]), (&json!(false), &json!(true)));
        let none = page(", first: 0").await;
        assert_eq!((&none["edges"], &none["pageInfo"]["endCursor"], &none["pageInfo"]["hasNextPage"]), (&json!([]), &json!(null), &json!(true)));
        let exact = page(", first: 5").await;
        assert_eq!(exact["pageInfo"]["hasNextPage"], false);
    }

    async fn refuses_sizes_and_cursors_that_make_no_sense(app) {
        let lin = app.user("lin").await;
        create(&lin, json!({"title": "a"})).await;
        let by_title = lin.ask("{ tasks(orderBy: {field: TITLE}) { pageInfo { endCursor } } }").await;
        let cursor = by_title.data()["tasks"]["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned();
        for (arguments, fault) in [
            (format!("filter: {{search: \"{}\"}}", "x".repeat(60_000)), "filter.search TOO_LONG"),
            (format!("filter: {{tag: \"{}\"}}", "x".repeat(31)), "filter.tag TOO_LONG"),
            ("first: 101".to_owned(), "first OUT_OF_RANGE"),
            ("first: -1".to_owned(), "first OUT_OF_RANGE"),
            ("last: 101".to_owned(), "last OUT_OF_RANGE"),
            ("first: 1, last: 1".to_owned(), "last MALFORMED"),
            ("after: \"nonsense\"".to_owned(), "after MALFORMED"),
            ("before: \"\"".to_owned(), "before MALFORMED"),
            (format!("after: \"{cursor}\""), "after MALFORMED"),
            (format!("orderBy: {{field: TITLE, direction: DESC}}, after: \"{cursor}\""), "after MALFORMED"),
        ] {
            let reply = lin.ask(&format!("{{ tasks({arguments}) {{ totalCount }} }}")).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![fault.to_owned()]), "{arguments}");
        }
    }

    async fn finds_what_contains_the_text_and_nothing_else(app) {
        use rand::seq::IndexedRandom;

        let (lin, mei) = (app.user("lin").await, app.user("mei").await);
        // What means something to some engine's patterns or its index, and letters of one to four bytes.
        let parts = ["a", "B", "\"", "'", "%", "_", "!", "*", "-", "^", ":", "(", ")", "\\", " AND ", " OR ", " NOT ", "NEAR", "text:", "é", "É", "牛", "奶", "买牛奶", "🥛", "👩\u{200d}👧", "{", "}", "+", "\n"];
        let mut rng = rand::rng();
        let mut text = |most: usize| -> String {
            let count = rand::random_range(1..=most);
            (0..count).map(|_| *parts.choose(&mut rng).expect("some")).collect()
        };
        let mut stored = Vec::new();
        for n in 0..60 {
            let title = format!("x{}", text(8).replace('\n', ""));
            let notes = text(12);
            let task = create(&lin, json!({"title": title, "notes": notes})).await;
            create(&mei, json!({"title": title, "notes": notes})).await;
            let (mut title, mut notes) = (task["title"].clone(), task["notes"].clone());
            if n % 3 == 0 {
                let changed = update(&lin, json!({"id": task["id"], "title": format!("y{}", text(8).replace('\n', "")), "notes": text(5)})).await;
                (title, notes) = (changed["title"].clone(), changed["notes"].clone());
            }
            let lower = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
            stored.push((task["id"].clone(), title.clone(), lower(&title), lower(&notes)));
        }
        // What is gone is not found, neither with its account.
        for (id, ..) in stored.drain(..10) {
            lin.run("mutation($id: ID!) { deleteTask(input: {id: $id}) { deletedTaskId } }", json!({"id": id})).await.data();
        }
        mei.ask("mutation { deleteAccount(input: {}) { deletedUserId } }").await.data();
        if app.engine == Engine::Sqlite {
            let indexed = Statement::from_string(DbBackend::Sqlite, "SELECT COUNT(*) AS count FROM task_search");
            let row = app.db.read().query_one_raw(indexed).await.expect("an answer").expect("a row");
            assert_eq!(row.try_get::<i64>("", "count").expect("a number"), stored.len() as i64);
        }
        for _ in 0..150 {
            let search = text(5);
            let looked_for = search.trim().to_lowercase();
            let mut expected: Vec<&str> = stored.iter()
                .filter(|(_, _, title, notes)| title.contains(&looked_for) || notes.contains(&looked_for))
                .map(|(_, title, ..)| title.as_str().expect("a title"))
                .collect();
            let mut found = titles(&lin, json!({"search": search})).await;
            found.sort();
            expected.sort_unstable();
            assert_eq!(found, expected, "{search:?}");
        }
        assert_eq!(titles(&lin, json!({"search": "no such text \u{0}"})).await, Vec::<String>::new());
    }

    async fn a_search_tells_rare_characters_apart(app) {
        let lin = app.user("lin").await;
        for title in ["a\u{fffd}b", "a\u{fffe}b", "a\u{ffff}b", "a\u{10ffff}b"] {
            create(&lin, json!({"title": title, "notes": "c", "tags": [title, "d"]})).await;
        }
        for c in ["\u{fffd}", "\u{fffe}", "\u{ffff}", "\u{10ffff}"] {
            // The first goes through the index where there is one.
            for search in [format!("a{c}b"), format!("{c}b"), c.to_owned()] {
                assert_eq!(titles(&lin, json!({"search": search})).await, [format!("a{c}b")], "{search:?}");
            }
        }
        assert_eq!(titles(&lin, json!({"tag": "a\u{fffd}b"})).await, ["a\u{fffd}b"]);
        // No text has these; the last one stands between title and notes, and between tags.
        for nothing in ["a\u{0}b", "\u{0}", "\u{0}\u{0}\u{0}", "a\u{1}b", "\u{1f}", "b\u{1f}c"] {
            for filter in [json!({"search": nothing}), json!({"tag": nothing}), json!({"tag": "a\u{fffd}b\u{1f}d"})] {
                assert_eq!(titles(&lin, filter).await, Vec::<String>::new(), "{nothing:?}");
            }
        }
    }

    async fn filters_alone_and_together(app) {
        let lin = app.user("lin").await;
        for input in [
            json!({"title": "alpha", "priority": "HIGH", "tags": ["Work", "x"], "dueAt": "2020-01-01T00:00:00Z"}),
            json!({"title": "beta", "status": "DONE", "tags": ["workshop"], "dueAt": "2020-01-01T00:00:00Z"}),
            json!({"title": "gamma", "status": "IN_PROGRESS", "priority": "LOW", "dueAt": "2099-01-01T00:00:00Z"}),
            json!({"title": "delta", "notes": "ÄPFEL und 100%_sicher! 中文笔记"}),
        ] {
            create(&lin, input).await;
            app.advance(TimeDelta::milliseconds(10));
        }
        for (filter, expected) in [
            (json!(null), vec!["delta", "gamma", "beta", "alpha"]),
            (json!({}), vec!["delta", "gamma", "beta", "alpha"]),
            (json!({"status": ["TODO", "DONE"]}), vec!["delta", "beta", "alpha"]),
            (json!({"status": []}), vec![]),
            (json!({"priority": ["HIGH", "LOW"]}), vec!["gamma", "alpha"]),
            (json!({"tag": "WORK"}), vec!["alpha"]),
            (json!({"tag": "wor"}), vec![]),
            (json!({"tag": "%"}), vec![]),
            (json!({"search": "äpfel"}), vec!["delta"]),
            (json!({"search": "中文"}), vec!["delta"]),
            (json!({"search": "100%_S"}), vec!["delta"]),
            (json!({"search": "R! "}), vec!["delta"]),
            (json!({"search": "l%a"}), vec![]),
            (json!({"search": "_"}), vec!["delta"]),
            (json!({"search": "ALPHA"}), vec!["alpha"]),
            (json!({"search": "'; drop table tasks; --"}), vec![]),
            (json!({"search": "\u{0}"}), vec![]),
            (json!({"dueAfter": "2020-01-01T00:00:00Z", "dueBefore": "2099-01-01T00:00:00Z"}), vec!["beta", "alpha"]),
            (json!({"isOverdue": true}), vec!["alpha"]),
            (json!({"isOverdue": false}), vec!["delta", "gamma", "beta"]),
            (json!({"isOverdue": true, "priority": ["LOW"]}), vec![]),
        ] {
            assert_eq!(titles(&lin, filter.clone()).await, expected, "{filter}");
        }
        app.advance(TimeDelta::seconds(1));
        let since = app.clock.now().utc().to_rfc3339();
        let all = lin.ask("{ tasks(filter: {search: \"beta\"}) { nodes { id } } }").await;
        update(&lin, json!({"id": all.data()["tasks"]["nodes"][0]["id"], "title": "BETA"})).await;
        assert_eq!(titles(&lin, json!({"updatedAfter": since})).await, ["BETA"]);
        assert_eq!(titles(&lin, json!({"search": "beta"})).await, ["BETA"]);
    }

    async fn notes_come_wherever_they_are_asked_for(app) {
        let lin = app.user("lin").await;
        lin.ask("mutation { createTask(input: {title: \"a\", notes: \"long\", tags: [\"t\"]}) { task { id } } }").await.data();
        let reply = lin.ask("query { x: tasks { ...C } y: tasks { nodes { title tags } } z: tasks(filter: {search: \"lon\"}) { edges { node { ... { n: notes } } } } }
            fragment C on TaskConnection { nodes { ...N } }
            fragment N on Task { notes }").await;
        assert_eq!(reply.data(), &json!({
            "x": {"nodes": [{"notes": "long"}]},
            "y": {"nodes": [{"title": "a", "tags": ["t"]}]},
            "z": {"edges": [{"node": {"n": "long"}}]},
        }));
        let changes = lin.ask("{ taskChanges { changes { task { title notes } } } }").await;
        assert_eq!(changes.data()["taskChanges"]["changes"][0]["task"], json!({"title": "a", "notes": "long"}));
    }

    async fn twenty_tasks_with_their_owner_cost_as_many_statements_as_one(app) {
        let lin = app.user("lin").await;
        create(&lin, json!({"title": "first"})).await;
        let query = "{ tasks(first: 20) { nodes { title owner { displayName isWechatLinked } } } }";
        let count = async || {
            let before = app.db.statements();
            let nodes = lin.ask(query).await.data()["tasks"]["nodes"].as_array().expect("a list").len();
            (nodes, app.db.statements() - before)
        };
        let (one, few) = count().await;
        for n in 0..30 {
            create(&lin, json!({"title": n.to_string()})).await;
        }
        let (twenty, many) = count().await;
        assert_eq!((one, twenty), (1, 20));
        // The tasks, their owners, and whether those use WeChat.
        assert_eq!((few, many), (3, 3));
        let before = app.db.statements();
        lin.ask("{ tasks { totalCount } }").await.data();
        assert_eq!(app.db.statements() - before, 2, "the count is a query of its own");
    }
}
