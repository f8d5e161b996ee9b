use serde_json::{Value, json};
use wegraph::simulator::github::SimulatedRepository;

use super::{calls, names};
use crate::harness::{Client, Engine, Reply, TestApp, once};

const SEARCH: &str = "query($query: String!, $sort: RepositorySort, $first: Int, $after: String) {
    searchRepositories(query: $query, sort: $sort, first: $first, after: $after) {
        totalCount isIncomplete isStale pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges { cursor node { fullName } } nodes { fullName description stars watchers language { name } updatedAt } } }";

async fn search(client: &Client, variables: Value) -> Reply {
    client.run(SEARCH, variables).await
}

/// So many repositories whose name has `copy` in it.
fn fill(app: &TestApp, number: u64) {
    let pattern = app.github.repository("ada/brackets").expect("a repository");
    for id in 0..number {
        app.github.put(SimulatedRepository {
            id: 100_000 + id,
            name: format!("copy-{id:04}"),
            stars: id,
            ..pattern.clone()
        });
    }
}

once! {
    async fn the_screen_is_one_query() {
        let app = TestApp::start(Engine::Sqlite).await;
        let reply = search(&app.anonymous(), json!({"query": " todo ", "sort": "STARS"})).await;
        let found = &reply.data()["searchRepositories"];
        assert_eq!(names(&found["nodes"]), ["bob/todo", "lee/todo-cli"]);
        assert_eq!((&found["totalCount"], &found["isIncomplete"], &found["isStale"]), (&json!(2), &json!(false), &json!(false)));
        assert_eq!(found["nodes"][0]["watchers"], json!(null));
        assert_eq!(found["pageInfo"]["hasNextPage"], json!(false));
        // The text is a value, whatever it says, and the way back is encoded.
        search(&app.anonymous(), json!({"query": "a&sort=stars#x +y", "sort": "BEST_MATCH", "first": 5})).await.data();
        assert_eq!(calls(&app, "/search/repositories?q=a%26sort%3Dstars%23x+%2By+is%3Apublic&per_page=5&page=1"), 1, "{:?}", app.github.requests("/search"));
        for (sort, name) in [("FORKS", "forks"), ("HELP_WANTED_ISSUES", "help-wanted-issues"), ("UPDATED", "updated")] {
            search(&app.anonymous(), json!({"query": "user:ada", "sort": sort})).await.data();
            assert_eq!(calls(&app, &format!("/search/repositories?q=user%3Aada+is%3Apublic&per_page=20&page=1&sort={name}&order=desc")), 1);
        }
        app.stop().await;
    }

    async fn pages_follow_each_other_up_to_the_last_that_github_gives_out() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        // Each may spend a third of the budget.
        let callers = [app.user("lin").await, app.user("wen").await, app.user("kai").await];
        let mut callers = callers.iter().cycle();
        fill(&app, 1100);
        for first in [100, 70] {
            let (mut after, mut all) = (json!(null), Vec::new());
            loop {
                let caller = callers.next().expect("there is always one");
                let reply = search(caller, json!({"query": "copy", "first": first, "after": after})).await;
                let page = reply.data()["searchRepositories"].clone();
                assert_eq!(page["totalCount"], json!(1100));
                assert_eq!(page["pageInfo"]["hasPreviousPage"], json!(!all.is_empty()));
                assert_eq!(page["edges"][0]["cursor"], page["pageInfo"]["startCursor"]);
                all.extend(names(&page["nodes"]));
                after = page["pageInfo"]["endCursor"].clone();
                if page["pageInfo"]["hasNextPage"] == json!(false) {
                    break;
                }
            }
            let expected: Vec<String> = (0..1000).map(|id| format!("ada/copy-{id:04}")).collect();
            assert_eq!(all, expected, "{first} a page");
            let beyond = search(&client, json!({"query": "copy", "first": first, "after": after})).await;
            let beyond = &beyond.data()["searchRepositories"];
            assert_eq!((&beyond["nodes"], &beyond["pageInfo"]["hasNextPage"]), (&json!([]), &json!(false)));
        }
        // Nothing was asked that GitHub refuses.
        assert!(!app.github.requests("/search").iter().any(|request| request.target.contains("per_page=100&page=11")));
        let nothing = search(&client, json!({"query": "copy", "first": 0})).await;
        assert_eq!(nothing.data()["searchRepositories"]["totalCount"], json!(1100));
        assert_eq!(nothing.data()["searchRepositories"]["pageInfo"], json!({"hasNextPage": true, "hasPreviousPage": false, "startCursor": null, "endCursor": null}));
        // Another size of page from the middle on.
        let page = search(&client, json!({"query": "copy", "first": 7})).await;
        let after = &page.data()["searchRepositories"]["pageInfo"]["endCursor"];
        let page = search(&client, json!({"query": "copy", "first": 10, "after": after})).await;
        let expected: Vec<String> = (7..17).map(|id| format!("ada/copy-{id:04}")).collect();
        assert_eq!(names(&page.data()["searchRepositories"]["nodes"]), expected);
        app.stop().await;
    }

    async fn what_cannot_be_searched_for_is_refused() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let page = search(&client, json!({"query": "a", "first": 1})).await;
        let cursor = &page.data()["searchRepositories"]["pageInfo"]["endCursor"];
        assert!(cursor.is_string());
        let asked = calls(&app, "/");
        for (variables, fault) in [
            (json!({"query": ""}), "query REQUIRED"),
            (json!({"query": " \t\n"}), "query REQUIRED"),
            (json!({"query": "\u{2800} \u{200b}"}), "query REQUIRED"),
            (json!({"query": "字".repeat(257)}), "query TOO_LONG"),
            (json!({"query": "a\u{0}b"}), "query MALFORMED"),
            (json!({"query": "a", "first": 101}), "first OUT_OF_RANGE"),
            (json!({"query": "a", "first": -1}), "first OUT_OF_RANGE"),
            (json!({"query": "a", "after": "x"}), "after MALFORMED"),
            (json!({"query": "b", "after": cursor}), "after MALFORMED"),
            (json!({"query": "a", "sort": "STARS", "after": cursor}), "after MALFORMED"),
        ] {
            let reply = search(&client, variables.clone()).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![fault.to_owned()]), "{variables}");
            assert_eq!(reply.body["data"], json!({"searchRepositories": null}));
        }
        assert_eq!(calls(&app, "/"), asked, "nothing of it was sent");
        search(&client, json!({"query": "字".repeat(256)})).await.data();
        for query in ["a OR b OR c OR d OR e OR f OR g", "stars:many"] {
            let reply = search(&client, json!({"query": query})).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec!["query MALFORMED".to_owned()]), "{query}");
        }
        app.stop().await;
    }

    async fn of_private_repositories_nothing_is_told() {
        // The server's token may see them.
        let app = TestApp::start_with(Engine::Sqlite, &[("GITHUB__TOKEN", "ghp_sim_ada")]).await;
        let client = app.anonymous();
        fill(&app, 10);
        for id in [2, 3, 7] {
            let one = app.github.repository(&format!("ada/copy-000{id}")).expect("a repository");
            app.github.put(SimulatedRepository { is_private: true, ..one });
        }
        let (mut after, mut all) = (json!(null), Vec::new());
        loop {
            let reply = search(&client, json!({"query": "copy", "first": 3, "after": after})).await;
            let page = &reply.data()["searchRepositories"];
            assert_eq!(page["totalCount"], json!(7));
            all.extend(names(&page["nodes"]));
            if page["pageInfo"]["hasNextPage"] == json!(false) {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
            assert!(all.len() <= 10, "{all:?}");
        }
        all.sort();
        let expected: Vec<String> = [0, 1, 4, 5, 6, 8, 9].iter().map(|id| format!("ada/copy-000{id}")).collect();
        assert_eq!(all, expected);
        let asked = calls(&app, "/");
        for query in ["copy is:private", "IS:Private", "-visibility:internal a", "(is:\"private\")"] {
            let reply = search(&client, json!({"query": query})).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec!["query MALFORMED".to_owned()]), "{query}");
        }
        assert_eq!(calls(&app, "/"), asked);
        app.stop().await;
    }
}
