use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::{Value, json};
use wegraph::simulator::github::GithubFault;

use super::calls;
use crate::harness::{Client, Engine, TestApp, once};

const FIVE_ROWS: &str =
    include_str!("../../../src/clients/github/trending/fixtures/repositories.html");
const BLANK: &str = "<html><body><div class=\"blankslate\"><h3>Nothing</h3></div></body></html>";
const STARS: &str = "{ trendingRepositories { isStale fetchedAt items { name stars } } }";

async fn stars(client: &Client) -> Value {
    client.ask(STARS).await.data()["trendingRepositories"].clone()
}

/// As soon as it is there.
async fn fresh(client: &Client) -> Value {
    for _ in 0..500 {
        let reply = stars(client).await;
        if reply["isStale"] == json!(false) {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it stays old");
}

once! {
    async fn the_home_screen_is_one_query() {
        let app = TestApp::start(Engine::Sqlite).await;
        let reply = app.anonymous().run(
            "query($language: String, $since: TrendingPeriod) {
                trendingRepositories(language: $language, since: $since) { isStale fetchedAt items {
                    owner name url description stars forks starsInPeriod language { name color slug } builtBy { login avatarUrl url } } }
                trendingDevelopers(language: $language, since: $since) { isStale items {
                    rank login name avatarUrl popularRepository { owner name description url } } }
                languages(popular: true) { name } }",
            json!({"language": "C#", "since": "WEEKLY"})).await;
        let data = reply.data();
        assert_eq!(data["trendingRepositories"]["items"][1], json!({
            "owner": "example-org", "name": "sharp.io", "url": "https://github.com/example-org/sharp.io",
            "description": "中文描述：跨平台串口工具 🎉", "stars": 4210, "forks": 467, "starsInPeriod": 220,
            "language": {"name": "C#", "color": "#7355dd", "slug": "c#"},
            "builtBy": [{"login": "kim", "avatarUrl": "https://avatars.githubusercontent.com/u/105?v=4&s=40", "url": "https://github.com/kim"}],
        }));
        assert_eq!(data["trendingDevelopers"]["items"][0], json!({
            "rank": 1, "login": "kim", "name": "Kim Example", "avatarUrl": "https://avatars.githubusercontent.com/u/105?v=4&s=96",
            "popularRepository": {"owner": "example-org", "name": "winforms-redux", "description": "Windows as they were",
                "url": "https://github.com/example-org/winforms-redux"},
        }));
        assert_eq!((&data["trendingRepositories"]["isStale"], &data["trendingDevelopers"]["isStale"]), (&json!(false), &json!(false)));
        assert_eq!(app.github.requests("/trending/c%23?since=weekly").len(), 1);
        assert_eq!(app.github.requests("/trending/developers/c%23?since=weekly").len(), 1);
        // Pages need no token.
        assert!(app.github.requests("/trending").iter().all(|request| request.token.is_none()));
        app.stop().await;
    }

    async fn languages_and_periods_are_what_the_pages_are_asked_for() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        for (arguments, target) in [
            ("", "/trending?since=daily"),
            ("(since: null, language: null)", "/trending?since=daily"),
            ("(language: \" Jupyter Notebook\", since: MONTHLY)", "/trending/jupyter-notebook?since=monthly"),
            ("(language: \"unknown\")", "/trending/unknown?since=daily"),
            ("(language: \"C++\", spokenLanguage: \"ZH\")", "/trending/c++?since=daily&spoken_language_code=zh"),
        ] {
            client.ask(&format!("{{ trendingRepositories{arguments} {{ items {{ name }} }} }}")).await.data();
            assert!(calls(&app, target) == 1, "{arguments}: {:?}", app.github.requests("/"));
        }
        let before = calls(&app, "/");
        let reply = client.ask("{ trendingRepositories(language: \"../search?q=x\") { isStale items { name } }
            trendingDevelopers(language: \"no such language\") { items { login } } }").await;
        assert_eq!(reply.data()["trendingRepositories"], json!({"isStale": false, "items": []}));
        assert_eq!(reply.data()["trendingDevelopers"]["items"], json!([]));
        for code in ["zho", "z", "中文", "z?", "xx"] {
            let reply = client.run("query($code: String) { trendingRepositories(spokenLanguage: $code) { isStale } languages(popular: true) { name } }", json!({"code": code})).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec!["spokenLanguage MALFORMED".to_owned()]));
            assert_eq!(reply.body["data"]["languages"].as_array().map(Vec::len), Some(20), "the rest is answered: {}", reply.body);
        }
        assert_eq!(calls(&app, "/"), before);
        app.stop().await;
    }

    async fn a_thousand_at_once_are_one_question() {
        let app = TestApp::start(Engine::Sqlite).await;
        app.github.fail("/trending", GithubFault::Delay(Duration::from_millis(500)));
        let client = app.anonymous();
        let all = (0..1000).map(|_| client.ask(STARS));
        for reply in futures_util::future::join_all(all).await {
            assert_eq!(reply.data()["trendingRepositories"]["items"].as_array().map(Vec::len), Some(25));
        }
        assert_eq!(calls(&app, "/trending"), 1);
        app.stop().await;
    }

    async fn a_copy_is_fresh_for_a_quarter_of_an_hour_and_then_confirmed() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let first = stars(&client).await;
        app.advance(TimeDelta::minutes(14));
        assert_eq!(stars(&client).await, first);
        assert_eq!(calls(&app, "/trending"), 1);
        app.advance(TimeDelta::minutes(2));
        // Nothing has changed, which takes a few milliseconds to find out; an old copy may come before that.
        let confirmed = fresh(&client).await;
        assert_eq!(confirmed["items"], first["items"]);
        assert_ne!(confirmed["fetchedAt"], first["fetchedAt"]);
        let requests = app.github.requests("/trending");
        assert_eq!(requests.iter().map(|request| request.is_unchanged).collect::<Vec<_>>(), [false, true]);
        app.stop().await;
    }

    async fn the_last_good_copy_is_kept_whatever_comes_instead() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let good = stars(&client).await;
        let halves = FIVE_ROWS.replace("href=\"/zoe", "href=\"/x/y").replace("href=\"/kim/plain", "href=\"/x").replace("href=\"/lee/late", "href=\"/x").replace("href=\"/x/y/notes", "href=\"/x");
        for page in [
            "<html><body><h1>Sign in to GitHub</h1></body></html>",
            "",
            &FIVE_ROWS[..FIVE_ROWS.len() * 2 / 3],
            &FIVE_ROWS.replace("article", "section").replace("Box-row", "row"),
            &halves,
        ] {
            app.advance(TimeDelta::minutes(20));
            app.github.show("/trending", page);
            let reply = stars(&client).await;
            assert_eq!((&reply["items"], &reply["isStale"]), (&good["items"], &json!(true)), "{page}");
            assert_eq!(reply["fetchedAt"], good["fetchedAt"]);
            // What was shown before cannot tell whether anybody read the new page.
            let asked = calls(&app, "/trending?");
            app.advance(TimeDelta::minutes(5));
            while calls(&app, "/trending?") == asked {
                stars(&client).await;
            }
        }
        for fault in [GithubFault::Status(401), GithubFault::Status(403), GithubFault::Status(404), GithubFault::SignIn, GithubFault::Cut, GithubFault::Break, GithubFault::Status(502), GithubFault::Secondary(429, Some(60)),
            GithubFault::Moved("https://evil.example/trending".to_owned())] {
            app.advance(TimeDelta::minutes(20));
            app.github.recover();
            app.github.fail("/trending", fault.clone());
            let asked = calls(&app, "/trending?");
            while calls(&app, "/trending?") == asked {
                let reply = stars(&client).await;
                assert_eq!((&reply["items"], &reply["isStale"]), (&good["items"], &json!(true)), "{fault:?}");
                app.advance(TimeDelta::seconds(61));
            }
            let reply = stars(&client).await;
            assert_eq!((&reply["items"], &reply["isStale"]), (&good["items"], &json!(true)), "{fault:?}");
        }
        // A page that says itself that it has none is no fault.
        app.github.recover();
        app.github.show("/trending", BLANK);
        app.advance(TimeDelta::minutes(20));
        let empty = fresh(&client).await;
        assert_eq!(empty["items"], json!([]));
        app.stop().await;
    }

    async fn a_page_that_is_not_there_is_empty_for_a_language_and_a_failure_for_all() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let good = client.ask("{ trendingRepositories(language: \"go\") { items { name } } }").await.data()["trendingRepositories"].clone();
        app.github.fail("/trending", GithubFault::Status(404));
        let reply = client.ask("{ trendingRepositories(language: \"rust\") { items { name } } }").await;
        assert_eq!(reply.data()["trendingRepositories"]["items"], json!([]));
        assert_eq!(client.ask(STARS).await.code(), "UPSTREAM_UNAVAILABLE");
        app.advance(TimeDelta::minutes(16));
        let reply = client.ask("{ trendingRepositories(language: \"go\") { items { name } } }").await;
        assert_eq!(reply.data()["trendingRepositories"], good);
        app.stop().await;
    }

    async fn the_five_rows_of_the_contract_come_through() {
        let app = TestApp::start(Engine::Sqlite).await;
        app.github.show("/trending", FIVE_ROWS);
        let reply = app.anonymous().ask("{ trendingRepositories { items { owner name description stars forks starsInPeriod language { name color slug } builtBy { login url } } } }").await;
        let items = &reply.data()["trendingRepositories"]["items"];
        assert_eq!(items[0], json!({
            "owner": "acme-labs", "name": "rocket-db", "description": "Embedded store & query engine 🚀", "stars": 1_017_440, "forks": 1234,
            "starsInPeriod": 1002, "language": {"name": "Rust", "color": "#dea584", "slug": "rust"},
            "builtBy": [{"login": "ada", "url": "https://github.com/ada"}, {"login": "bob", "url": "https://github.com/bob"}],
        }));
        assert_eq!(items[1], json!({
            "owner": "zoe", "name": "notes", "description": null, "stars": 950, "forks": 12, "starsInPeriod": 1, "language": null,
            "builtBy": [{"login": "zoe", "url": "https://github.com/zoe"}],
        }));
        assert_eq!(items[3]["builtBy"], json!([{"login": "dependabot[bot]", "url": "https://github.com/apps/dependabot"}]));
        app.stop().await;
    }

    async fn while_github_is_silent_old_copies_are_served_and_other_queries_are_not_held_up() {
        let app = TestApp::start(Engine::Sqlite).await;
        let good = stars(&app.anonymous()).await;
        app.advance(TimeDelta::minutes(16));
        let client = app.user("lin").await;
        app.github.fail("/", GithubFault::Silence);
        let started = Instant::now();
        for _ in 0..20 {
            let reply = client.ask("{ trendingRepositories { isStale fetchedAt items { name stars } } viewer { id } tasks { totalCount } }").await;
            assert_eq!(reply.data()["trendingRepositories"]["items"], good["items"]);
            assert_eq!(reply.data()["trendingRepositories"]["isStale"], json!(true));
        }
        // Waiting for GitHub would take four seconds each.
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        assert!(calls(&app, "/trending") <= 4, "one at a time");
        app.stop().await;
    }

    async fn older_than_a_day_a_copy_is_not_served() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GITHUB__TIMEOUT_MS", "2000")]).await;
        let client = app.anonymous();
        stars(&client).await;
        app.github.fail("/trending", GithubFault::Status(503));
        app.advance(TimeDelta::hours(25));
        let reply = client.ask("{ trendingRepositories { isStale } languages(popular: true) { name } }").await;
        assert_eq!(reply.code(), "UPSTREAM_UNAVAILABLE");
        assert_eq!(reply.body["data"]["trendingRepositories"], json!(null));
        assert_eq!(reply.body["data"]["languages"].as_array().map(Vec::len), Some(20));
        app.stop().await;
    }
}
