use chrono::TimeDelta;
use serde_json::json;
use wegraph::simulator::github::{GithubFault, SimulatedRepository};

use super::calls;
use crate::harness::{Engine, TestApp, once};

once! {
    async fn the_records_of_a_page_are_one_question() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let page = "{ trendingRepositories { items { owner name repository { fullName defaultBranch openIssues watchers: forks } } } }";
        let reply = client.ask(page).await;
        let items = reply.data()["trendingRepositories"]["items"].as_array().expect("a list").clone();
        assert_eq!(items.len(), 25);
        for item in &items {
            let name = format!("{}/{}", item["owner"].as_str().expect("text"), item["name"].as_str().expect("text"));
            assert_eq!((&item["repository"]["fullName"], &item["repository"]["defaultBranch"]), (&json!(name), &json!("main")));
        }
        assert_eq!((calls(&app, "/trending"), calls(&app, "/search"), calls(&app, "/repos/")), (1, 1, 0));
        client.ask(page).await.data();
        assert_eq!(calls(&app, "/"), 2, "it is known now");
        // A page that does not ask for them asks GitHub nothing.
        client.ask("{ trendingRepositories(language: \"rust\") { items { name stars } } }").await.data();
        assert_eq!(calls(&app, "/"), 3);
        app.stop().await;
    }

    async fn a_thousand_at_once_are_one_question_too() {
        let app = TestApp::start(Engine::Sqlite).await;
        app.github.fail("/search", GithubFault::Delay(std::time::Duration::from_millis(500)));
        let client = app.anonymous();
        let all = (0..200).map(|_| client.ask("{ trendingRepositories(language: \"Go\") { items { repository { stars } } } }"));
        for reply in futures_util::future::join_all(all).await {
            assert_eq!(reply.data()["trendingRepositories"]["items"].as_array().map(Vec::len), Some(4));
        }
        assert_eq!((calls(&app, "/search"), calls(&app, "/repos/")), (1, 0));
        app.stop().await;
    }

    async fn what_only_the_full_record_has_is_asked_for_one_by_one() {
        let app = TestApp::start(Engine::Sqlite).await;
        let reply = app.anonymous().ask("{ trendingRepositories(language: \"Go\") { items { name repository { watchers } } } }").await;
        let items = reply.data()["trendingRepositories"]["items"].as_array().expect("a list").clone();
        assert!(items.iter().all(|item| item["repository"]["watchers"].is_i64()), "{items:?}");
        assert_eq!((calls(&app, "/search"), calls(&app, "/repos/")), (0, 4));
        app.stop().await;
    }

    async fn what_the_search_does_not_know_is_asked_for_by_its_name() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        client.ask("{ trendingRepositories { items { name } } }").await.data();
        app.github.rename("zoe/notes", "zoe", "diary");
        let private = app.github.repository("mia/palette").expect("a repository");
        app.github.put(SimulatedRepository { is_private: true, ..private });
        let fork = app.github.repository("yan/backup").expect("a repository");
        app.github.put(SimulatedRepository { is_fork: true, ..fork });
        let reply = client.ask("{ trendingRepositories { items { owner name repository { fullName isFork } } } }").await;
        let items = reply.data()["trendingRepositories"]["items"].as_array().expect("a list").clone();
        let of = |name: &str| items.iter().find(|item| item["name"] == name).map(|item| item["repository"].clone());
        assert_eq!(of("notes"), Some(json!({"fullName": "zoe/diary", "isFork": false})));
        assert_eq!(of("palette"), Some(json!(null)));
        assert_eq!(of("backup"), Some(json!({"fullName": "yan/backup", "isFork": true})));
        assert_eq!((calls(&app, "/search"), calls(&app, "/repos/"), calls(&app, "/repositories")), (1, 2, 1));
        app.stop().await;
    }

    async fn when_the_search_fails_each_record_has_its_error_or_its_old_copy() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let page = "{ trendingRepositories(language: \"Go\") { items { name stars repository { stars isStale } } } }";
        app.github.fail("/search", GithubFault::Secondary(403, Some(30)));
        let reply = client.ask(page).await;
        let items = reply.body["data"]["trendingRepositories"]["items"].as_array().expect("a list").clone();
        assert!(items.iter().all(|item| item["repository"].is_null() && item["stars"].is_i64()), "{items:?}");
        for error in reply.body["errors"].as_array().expect("errors") {
            assert_eq!((&error["extensions"]["code"], &error["extensions"]["retryAfterSeconds"]), (&json!("UPSTREAM_RATE_LIMITED"), &json!(30)));
        }
        assert_eq!(calls(&app, "/search"), 1);
        app.github.recover();
        app.advance(TimeDelta::seconds(31));
        assert_eq!(client.ask(page).await.data()["trendingRepositories"]["items"][0]["repository"]["isStale"], json!(false));
        app.github.fail("/search", GithubFault::Secondary(403, None));
        app.advance(TimeDelta::minutes(6));
        assert_eq!(client.ask(page).await.data()["trendingRepositories"]["items"][0]["repository"]["isStale"], json!(true));
        app.stop().await;
    }

    async fn questions_to_github_are_charged_for() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        for (query, is_allowed) in [
            ("{ trendingRepositories { items { repository { stars readme { text } } } } }", true),
            ("{ searchRepositories(query: \"a\", first: 20) { nodes { readme { text } } } }", true),
            ("{ searchRepositories(query: \"a\", first: 100) { nodes { stars } } }", true),
            ("{ searchRepositories(query: \"a\", first: 100) { nodes { readme { text } } } }", false),
            ("{ a: trendingRepositories { items { repository { readme { path } } } } b: trendingRepositories(since: WEEKLY) { items { repository { readme { path } } } } }", false),
        ] {
            let reply = client.ask(query).await;
            match is_allowed {
                true => drop(reply.data()),
                false => assert_eq!(reply.code(), "QUERY_TOO_COMPLEX", "{query}"),
            }
        }
        app.stop().await;
    }
}
