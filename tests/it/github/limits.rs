use chrono::TimeDelta;
use serde_json::json;
use wegraph::simulator::github::GithubFault;

use super::calls;
use crate::harness::{Engine, TestApp, once};

once! {
    async fn every_form_of_a_limit_says_when_to_come_back_and_nobody_asks_before() {
        for (fault, seconds) in [
            (GithubFault::Spent(403, 600), 600),
            (GithubFault::Spent(429, 600), 600),
            (GithubFault::Secondary(403, Some(45)), 45),
            (GithubFault::Secondary(429, Some(45)), 45),
            (GithubFault::Secondary(403, None), 60),
            (GithubFault::Secondary(429, None), 60),
        ] {
            let app = TestApp::start(Engine::Sqlite).await;
            let client = app.anonymous();
            let known = "{ developer(login: \"ada\") { name isStale } }";
            client.ask(known).await.data();
            app.github.fail("/repos", fault.clone());
            app.github.fail("/users", fault.clone());
            app.advance(TimeDelta::minutes(6));
            for name in ["brackets", "engine-notes"] {
                let query = format!("{{ repository(owner: \"ada\", name: \"{name}\") {{ stars }} }}");
                let reply = client.ask(&query).await;
                assert_eq!(reply.code(), "UPSTREAM_RATE_LIMITED", "{fault:?}");
                let told = reply.body["errors"][0]["extensions"]["retryAfterSeconds"].as_i64().expect("seconds");
                assert!((seconds - 5..=seconds).contains(&told), "{fault:?}: {told}");
            }
            assert_eq!(client.ask(known).await.data()["developer"], json!({"name": "Ada Example", "isStale": true}), "{fault:?}");
            // Pages are another matter.
            client.ask("{ trendingDevelopers { items { login } } }").await.data();
            assert_eq!(calls(&app, "/repos") + calls(&app, "/users"), 2, "{fault:?}: nobody asks before");
            app.github.recover();
            app.advance(TimeDelta::seconds(seconds + 1));
            let reply = client.ask("{ repository(owner: \"ada\", name: \"brackets\") { stars } }").await;
            assert_eq!(reply.data()["repository"]["stars"], json!(640), "{fault:?}");
            app.stop().await;
        }
    }

    async fn without_a_token_sixty_questions_an_hour_are_all() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GITHUB__TOKEN", "")]).await;
        let client = app.anonymous();
        // Each may spend a third.
        for name in ["lin", "wen", "kai"] {
            let caller = app.user(name).await;
            for number in 0..20 {
                let reply = caller.ask(&format!("{{ developer(login: \"{name}-{number}\") {{ name }} }}")).await;
                assert_eq!(reply.data()["developer"], json!(null));
            }
        }
        let reply = client.ask("{ developer(login: \"ada\") { name } }").await;
        assert_eq!(reply.code(), "UPSTREAM_RATE_LIMITED");
        // The last answer told that nothing was left, so nothing was sent.
        assert_eq!(calls(&app, "/users"), 60);
        assert!(app.github.requests("/users").iter().all(|request| request.token.is_none()));
        // Searches and pages have budgets of their own.
        client.ask("{ searchRepositories(query: \"todo\") { totalCount } trendingDevelopers { items { login } } }").await.data();
        app.advance(TimeDelta::minutes(61));
        assert_eq!(client.ask("{ developer(login: \"ada\") { name } }").await.data()["developer"]["name"], json!("Ada Example"));
        app.stop().await;
    }

    async fn one_caller_spends_a_third_of_a_budget_and_others_are_answered() {
        for (settings, third) in [(&[("GITHUB__TOKEN", "")][..], 3), (&[], 10)] {
            let app = TestApp::start_with(Engine::Sqlite, settings).await;
            let (greedy, other) = (app.anonymous(), app.user("lin").await);
            let ask = |number: usize| format!("{{ searchRepositories(query: \"x{number}\") {{ totalCount }} }}");
            for number in 0..third {
                greedy.ask(&ask(number)).await.data();
            }
            // In one request or in many; what a copy answers is answered.
            let fields: Vec<String> = (0..10).map(|n| format!("s{n}: searchRepositories(query: \"y{n}\") {{ totalCount }}")).collect();
            let reply = greedy.ask(&format!("{{ known: searchRepositories(query: \"x0\") {{ totalCount }} {} }}", fields[1..].join(" "))).await;
            assert_eq!(reply.body["errors"].as_array().map(Vec::len), Some(9), "{}", reply.body);
            let extensions = &reply.body["errors"][0]["extensions"];
            assert_eq!(extensions["code"], "UPSTREAM_RATE_LIMITED");
            assert!(extensions["retryAfterSeconds"].as_i64().is_some_and(|seconds| (1..=60).contains(&seconds)));
            assert!(reply.body["data"]["known"].is_object());
            assert_eq!(calls(&app, "/search"), third, "{settings:?}");
            other.ask(&ask(100)).await.data();
            app.advance(TimeDelta::seconds(61));
            greedy.ask(&ask(200)).await.data();
            app.stop().await;
        }
    }

    async fn a_token_of_the_server_that_is_refused_is_not_tried_again_at_once() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GITHUB__TOKEN", "ghp_sim_nobody-at-all")]).await;
        let client = app.anonymous();
        for login in ["ada", "bob", "kim"] {
            let reply = client.ask(&format!("{{ developer(login: \"{login}\") {{ name }} }}")).await;
            assert_eq!(reply.code(), "UPSTREAM_UNAVAILABLE");
        }
        assert_eq!(calls(&app, "/users"), 1);
        // Pages need no token.
        client.ask("{ trendingRepositories { items { name } } }").await.data();
        app.stop().await;
    }

    async fn what_we_may_not_see_takes_no_copy_away() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let known = "{ repository(owner: \"ada\", name: \"brackets\") { stars isStale } }";
        client.ask(known).await.data();
        app.github.fail("/", GithubFault::Status(403));
        app.advance(TimeDelta::minutes(6));
        assert_eq!(client.ask(known).await.data()["repository"], json!({"stars": 640, "isStale": true}));
        assert_eq!(client.ask("{ developer(login: \"ada\") { name } }").await.data()["developer"], json!(null));
        app.stop().await;
    }

    async fn an_address_asks_only_so_much_that_no_copy_answers() {
        let app = TestApp::start_with(Engine::Sqlite, &[("RATE_LIMIT__ENABLED", "true"), ("RATE_LIMIT__GITHUB_PER_ADDRESS", "3")]).await;
        let client = app.anonymous();
        for login in ["ada", "bob", "kim", "ada", "bob"] {
            client.ask(&format!("{{ developer(login: \"{login}\") {{ name }} }}")).await.data();
        }
        let reply = client.ask("{ developer(login: \"zoe\") { name } known: developer(login: \"ada\") { name } }").await;
        assert_eq!((reply.code(), &reply.body["data"]["known"]["name"]), ("RATE_LIMITED", &json!("Ada Example")));
        assert!(reply.body["errors"][0]["extensions"]["retryAfterSeconds"].as_i64().is_some_and(|seconds| (1..=60).contains(&seconds)));
        assert_eq!(calls(&app, "/users"), 3);
        app.stop().await;
    }
}
