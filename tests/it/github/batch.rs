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

    async fn a_page_of_which_the_search_knows_nothing_is_asked_for_by_names() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let page = "{ trendingRepositories(language: \"Jupyter Notebook\") { items { owner name repository { fullName } } } }";
        client.ask("{ trendingRepositories(language: \"Jupyter Notebook\") { items { name } } }").await.data();
        app.github.rename("ada/engine-notes", "ada", "engine");
        app.github.rename("acme-labs/deep-notes", "acme-labs", "deep");
        let reply = client.ask(page).await;
        let items = reply.data()["trendingRepositories"]["items"].as_array().expect("a list").clone();
        let mut names: Vec<&str> = items.iter().map(|item| item["repository"]["fullName"].as_str().expect("a name")).collect();
        names.sort_unstable();
        assert_eq!(names, ["acme-labs/deep", "ada/engine"]);
        app.stop().await;
    }

    async fn old_records_are_shown_at_once_whichever_of_them_were_asked_for_together() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let page = "{ trendingRepositories(language: \"Go\") { items { name repository { stars isStale readme { path } } } } }";
        let bare = app.github.repository("yan/backup").expect("a repository");
        app.github.put(SimulatedRepository { readme: None, ..bare });
        let good = client.ask(page).await.data()["trendingRepositories"]["items"].clone();
        app.advance(TimeDelta::minutes(6));
        // One is fresh, so that the others are another batch than before.
        client.ask("{ repository(owner: \"yan\", name: \"slow-sql\") { stars } }").await.data();
        loop {
            let fresh = client.ask("{ repository(owner: \"yan\", name: \"slow-sql\") { isStale } }").await;
            if fresh.data()["repository"]["isStale"] == json!(false) {
                break;
            }
        }
        app.github.fail("/", GithubFault::Silence);
        let started = std::time::Instant::now();
        for _ in 0..5 {
            let items = client.ask(page).await.data()["trendingRepositories"]["items"].clone();
            for (item, before) in items.as_array().expect("a list").iter().zip(good.as_array().expect("a list")) {
                assert_eq!(item["repository"]["stars"], before["repository"]["stars"]);
                assert_eq!(item["repository"]["readme"], before["repository"]["readme"]);
            }
        }
        // Waiting for GitHub would take four seconds each.
        assert!(started.elapsed() < std::time::Duration::from_secs(8), "{:?}", started.elapsed());
        app.stop().await;
    }

    async fn what_github_keeps_waiting_costs_nothing_else_of_the_reply() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GRAPHQL__TIMEOUT_MS", "2000")]).await;
        let client = app.user("lin").await;
        client.ask("{ trendingRepositories { items { name } } }").await.data();
        app.github.fail("/", GithubFault::Silence);
        let reply = client.ask("{ viewer { id } languages(popular: true) { name } trendingRepositories { items { name repository { stars readme { path } } } }
            developer(login: \"ada\") { name } searchRepositories(query: \"a\") { totalCount } }").await;
        let data = &reply.body["data"];
        assert_eq!((&data["viewer"]["id"], &data["developer"], &data["searchRepositories"]), (&json!(client.user_id), &json!(null), &json!(null)));
        assert_eq!(data["trendingRepositories"]["items"].as_array().map(Vec::len), Some(25));
        for error in reply.body["errors"].as_array().expect("errors") {
            assert_eq!(error["extensions"]["code"], json!("UPSTREAM_UNAVAILABLE"));
        }
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

    async fn what_a_list_showed_is_shown_when_the_record_cannot_be_had() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GITHUB__TIMEOUT_MS", "2000")]).await;
        let client = app.anonymous();
        client.ask("{ trendingRepositories(language: \"Go\") { items { repository { stars } } } }").await.data();
        app.github.fail("/", GithubFault::Status(503));
        let reply = client.ask("{ repository(owner: \"yan\", name: \"backup\") { fullName stars watchers } }").await;
        assert_eq!(reply.data()["repository"], json!({"fullName": "yan/backup", "stars": 8127, "watchers": null}));
        app.stop().await;
    }

    async fn when_searches_are_spent_records_are_asked_for_by_names() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        // Each may spend a third.
        for name in ["lin", "wen", "kai"] {
            let caller = app.user(name).await;
            for number in 0..10 {
                caller.ask(&format!("{{ searchRepositories(query: \"{name}{number}\") {{ totalCount }} }}")).await.data();
            }
        }
        let spent = client.ask("{ searchRepositories(query: \"y\") { totalCount } }").await;
        assert_eq!(spent.code(), "UPSTREAM_RATE_LIMITED");
        let reply = client.ask("{ trendingRepositories(language: \"Go\") { items { repository { stars } } } }").await;
        let items = reply.data()["trendingRepositories"]["items"].as_array().expect("a list").clone();
        assert!(items.iter().all(|item| item["repository"]["stars"].is_i64()), "{items:?}");
        assert_eq!((calls(&app, "/search"), calls(&app, "/repos/")), (30, 4));
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
            ("{ trendingRepositories { items { repository { watchers } } } }", true),
            ("{ a: trendingRepositories { items { repository { watchers } } } b: trendingRepositories(since: WEEKLY) { items { repository { watchers } } }
                c: trendingRepositories(since: MONTHLY) { items { repository { watchers } } } }", false),
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
