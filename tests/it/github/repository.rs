use chrono::TimeDelta;
use serde_json::json;
use wegraph::simulator::github::{GithubFault, SimulatedRepository};

use super::calls;
use crate::harness::{Engine, TestApp, once};

const SCREEN: &str = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
    owner { login avatarUrl url } name fullName description homepageUrl url language { name color slug } license { name spdxId }
    stars forks watchers openIssues topics defaultBranch isFork isArchived createdAt updatedAt pushedAt isStale
    readme { text path baseUrl imageBaseUrl isTruncated } } }";
const README: &str =
    "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
    readme { text path baseUrl imageBaseUrl isTruncated } } }";

/// One that the simulator has, with another README.
fn with_readme(app: &TestApp, branch: &str, path: &str, text: Vec<u8>) -> SimulatedRepository {
    SimulatedRepository {
        default_branch: branch.to_owned(),
        readme: Some((path.to_owned(), text)),
        ..app.github.repository("ada/brackets").expect("a repository")
    }
}

once! {
    async fn the_screen_is_one_query() {
        let app = TestApp::start(Engine::Sqlite).await;
        let reply = app.anonymous().run(SCREEN, json!({"owner": "ACME-labs", "name": " Rocket-DB "})).await;
        let mut repository = reply.data()["repository"].clone();
        for time in ["createdAt", "updatedAt", "pushedAt"] {
            assert!(repository[time].take().is_string());
        }
        assert_eq!(repository, json!({
            "owner": {"login": "acme-labs", "avatarUrl": "https://avatars.githubusercontent.com/u/201?v=4", "url": "https://github.com/acme-labs"},
            "name": "rocket-db", "fullName": "acme-labs/rocket-db", "description": "Embedded store & query engine 🚀",
            "homepageUrl": "https://rocket-db.example.com", "url": "https://github.com/acme-labs/rocket-db",
            "language": {"name": "Rust", "color": "#dea584", "slug": "rust"}, "license": {"name": "MIT License", "spdxId": "MIT"},
            "stars": 101_744, "forks": 11_304, "watchers": 2_544, "openIssues": 1_017, "topics": ["simulated", "example"],
            "defaultBranch": "main", "isFork": false, "isArchived": false, "createdAt": null, "updatedAt": null, "pushedAt": null, "isStale": false,
            "readme": {
                "text": "# rocket-db\n\nEmbedded store & query engine 🚀\n\n![Logo](docs/logo.png)\n\nRead the [guide](docs/guide.md) first.\n",
                "path": "README.md", "baseUrl": "https://github.com/acme-labs/rocket-db/blob/main/",
                "imageBaseUrl": "https://raw.githubusercontent.com/acme-labs/rocket-db/main/", "isTruncated": false,
            },
        }));
        let empty = app.anonymous().run(SCREEN, json!({"owner": "zoe", "name": "notes"})).await;
        let empty = &empty.data()["repository"];
        for field in ["description", "homepageUrl", "language", "license"] {
            assert_eq!(empty[field], json!(null), "{field}");
        }
        let developer = app.anonymous().ask("{ developer(login: \"ADA\") { login name avatarUrl url bio company location email blog
            publicRepositories followers following isStale } shy: developer(login: \"zoe\") { name bio blog email }
            organisation: developer(login: \"acme-labs\") { name } nobody: developer(login: \"nobody-here\") { name } }").await;
        assert_eq!(developer.data(), &json!({
            "developer": {"login": "ada", "name": "Ada Example", "avatarUrl": "https://avatars.githubusercontent.com/u/101?v=4",
                "url": "https://github.com/ada", "bio": "Writes examples.", "company": "@acme-labs", "location": "Shenzhen", "email": null,
                "blog": "https://ada.example.com", "publicRepositories": 2, "followers": 707, "following": 1, "isStale": false},
            "shy": {"name": null, "bio": null, "blog": null, "email": null},
            "organisation": {"name": "Acme Labs"}, "nobody": null,
        }));
        app.stop().await;
    }

    async fn what_is_not_there_for_everybody_is_null() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        // The server's token may see this one.
        let private = app.github.repository("example-org/charts").expect("a repository");
        app.github.put(SimulatedRepository { is_private: true, ..private });
        app.github.fail("/repos/bob/tide", GithubFault::TakenDown);
        for (owner, name) in [("ada", "no-such-thing"), ("example-org", "charts"), ("bob", "tide")] {
            let reply = client.run(SCREEN, json!({"owner": owner, "name": name})).await;
            assert_eq!(reply.data()["repository"], json!(null), "{owner}/{name}");
        }
        assert_eq!(calls(&app, "/repos/bob/tide"), 1, "not tried again");
        // That is believed for a minute.
        client.run(SCREEN, json!({"owner": "ada", "name": "No-Such-Thing"})).await.data();
        assert_eq!(calls(&app, "/repos/ada/no-such-thing"), 1);
        app.github.put(SimulatedRepository { id: 1, name: "no-such-thing".to_owned(), ..app.github.repository("ada/brackets").expect("a repository") });
        app.advance(TimeDelta::seconds(61));
        let reply = client.run(SCREEN, json!({"owner": "ada", "name": "no-such-thing"})).await;
        assert_eq!(reply.data()["repository"]["stars"], json!(640));
        app.stop().await;
    }

    async fn what_cannot_be_a_name_is_refused_and_never_sent() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let long = "a".repeat(101);
        for (owner, name, faults) in [
            ("..", "..", vec!["owner MALFORMED", "name MALFORMED"]),
            ("", " ", vec!["owner REQUIRED", "name REQUIRED"]),
            ("a/b", "c", vec!["owner MALFORMED"]),
            ("evil.example", "c", vec!["owner MALFORMED"]),
            ("ada", "x/../../user", vec!["name MALFORMED"]),
            ("ada", "x?y", vec!["name MALFORMED"]),
            ("ada", "%2e%2e", vec!["name MALFORMED"]),
            ("ada@evil", "x", vec!["owner MALFORMED"]),
            ("ada\r\nHost: evil", "x", vec!["owner MALFORMED"]),
            ("ada", &long, vec!["name TOO_LONG"]),
            (&long, "x", vec!["owner TOO_LONG"]),
        ] {
            let reply = client.run(SCREEN, json!({"owner": owner, "name": name})).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", faults.iter().map(|fault| (*fault).to_owned()).collect()), "{owner} {name}");
            assert_eq!(reply.body["data"], json!({"repository": null}));
        }
        let reply = client.ask("{ developer(login: \"../user\") { name } }").await;
        assert_eq!(reply.faults(), ["login MALFORMED"]);
        assert_eq!(calls(&app, "/"), 0);
        app.stop().await;
    }

    async fn logins_of_old_accounts_and_managed_users_are_asked_for() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        for login in ["-a", "a-", "a--b", "mona_octo"] {
            let reply = client.run("query($l: String!) { developer(login: $l) { name } }", json!({"l": login})).await;
            assert_eq!(reply.data()["developer"], json!(null), "{login}");
            assert_eq!(calls(&app, &format!("/users/{login}")), 1, "{login}");
        }
        let old = SimulatedRepository { owner: "-k9".to_owned(), ..app.github.repository("ada/brackets").expect("a repository") };
        app.github.put(old);
        let reply = client.run(SCREEN, json!({"owner": "-k9", "name": "brackets"})).await;
        assert_eq!(reply.data()["repository"]["fullName"], json!("-k9/brackets"));
        app.stop().await;
    }

    async fn a_name_that_was_changed_leads_to_the_repository() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        app.github.rename("ada/brackets", "ada", "parentheses");
        let reply = client.run(SCREEN, json!({"owner": "ada", "name": "brackets"})).await;
        let repository = &reply.data()["repository"];
        assert_eq!((&repository["fullName"], &repository["url"]), (&json!("ada/parentheses"), &json!("https://github.com/ada/parentheses")));
        assert_eq!(repository["readme"]["path"], json!("README.md"));
        // The reply told the new name.
        client.run("query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { name } }", json!({"owner": "ada", "name": "parentheses"})).await.data();
        assert_eq!(calls(&app, "/repos/ada/parentheses?") + calls(&app, "/repos/ada/parentheses/"), 1, "{:?}", app.github.requests("/"));
        app.stop().await;
    }

    async fn no_redirect_leads_to_another_host() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GITHUB__TIMEOUT_MS", "2000")]).await;
        let elsewhere = wegraph::simulator::github::GithubSimulator::start(app.clock.clone()).await.expect("another server");
        let home = app.github.base_url();
        for to in [
            format!("{}/repos/ada/brackets", elsewhere.base_url()),
            "//evil.example/x".to_owned(),
            "https://user:password@evil.example/".to_owned(),
            // In circles.
            format!("{home}/repos/ada/brackets"),
        ] {
            app.github.recover();
            app.github.fail("/repos/ada/brackets", GithubFault::Moved(to.clone()));
            app.advance(TimeDelta::minutes(2));
            let reply = app.anonymous().run(SCREEN, json!({"owner": "ada", "name": "brackets"})).await;
            assert_eq!(reply.code(), "UPSTREAM_UNAVAILABLE", "{to}");
        }
        assert_eq!(elsewhere.requests("/").len(), 0);
        app.stop().await;
    }

    async fn readmes_are_read_wherever_they_lie_and_however_large_they_are() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let large = "中文".repeat(400_000);
        let limit = 512 * 1024;
        let wide = |text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]| [mark, &text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()].concat();
        let little = |text: &str| wide(text, b"\xff\xfe", u16::to_le_bytes);
        let big = |text: &str| wide(text, b"\xfe\xff", u16::to_be_bytes);
        for (branch, path, text, expected, base, truncated) in [
            ("main", "README.md", b"".to_vec(), String::new(), "main/", false),
            ("feature/new ui", "docs/README.zh-CN.md", "你好".as_bytes().to_vec(), "你好".to_owned(), "feature/new%20ui/docs/", false),
            ("master", ".github/README.rst", b"\xef\xbb\xbfa\xff".to_vec(), "a\u{fffd}".to_owned(), "master/.github/", false),
            ("main", "README.md", little("# 你好 😀\r\n"), "# 你好 😀\r\n".to_owned(), "main/", false),
            ("main", "README.md", big("# 你好 😀\r\n"), "# 你好 😀\r\n".to_owned(), "main/", false),
            ("main", "README.md", little(&large), large[..limit / 3 * 3].to_owned(), "main/", true),
            ("main", "README.md", "a".repeat(limit).into_bytes(), "a".repeat(limit), "main/", false),
            ("main", "README.md", "a".repeat(limit + 1).into_bytes(), "a".repeat(limit), "main/", true),
            // More than comes in JSON.
            ("main", "README.md", large.as_bytes().to_vec(), large[..limit / 3 * 3].to_owned(), "main/", true),
        ] {
            app.advance(TimeDelta::hours(25));
            app.github.put(with_readme(&app, branch, path, text));
            let reply = client.run(README, json!({"owner": "ada", "name": "brackets"})).await;
            let readme = &reply.data()["repository"]["readme"];
            assert!(readme["text"] == json!(expected), "{path}: {} bytes", readme["text"].as_str().map_or(0, str::len));
            assert_eq!((&readme["path"], &readme["isTruncated"]), (&json!(path), &json!(truncated)));
            assert_eq!(readme["baseUrl"], json!(format!("https://github.com/ada/brackets/blob/{base}")));
            assert_eq!(readme["imageBaseUrl"], json!(format!("https://raw.githubusercontent.com/ada/brackets/{base}")));
        }
        app.github.put(SimulatedRepository { readme: None, ..app.github.repository("ada/brackets").expect("a repository") });
        app.advance(TimeDelta::hours(25));
        let reply = client.run(README, json!({"owner": "ada", "name": "brackets"})).await;
        assert_eq!(reply.data()["repository"], json!({"readme": null}));
        app.stop().await;
    }

    async fn faults_are_met_by_another_try_and_then_by_the_old_copy() {
        let app = TestApp::start_with(Engine::Sqlite, &[("GITHUB__TIMEOUT_MS", "3000")]).await;
        let client = app.anonymous();
        let ask = || client.run("{ repository(owner: \"ada\", name: \"brackets\") { stars isStale } }", json!({}));
        assert_eq!(ask().await.data()["repository"], json!({"stars": 640, "isStale": false}));
        for fault in [GithubFault::Status(500), GithubFault::Status(503), GithubFault::Break, GithubFault::Silence] {
            app.github.fail("/", fault.clone());
            app.advance(TimeDelta::minutes(6));
            assert_eq!(ask().await.data()["repository"], json!({"stars": 640, "isStale": true}), "{fault:?}");
            let other = client.ask("{ repository(owner: \"ada\", name: \"engine-notes\") { stars } developer(login: \"ada\") { name } languages(popular: true) { name } }").await;
            assert_eq!(other.body["data"]["repository"], json!(null), "{fault:?}");
            assert!(other.body["errors"].as_array().is_some_and(|errors| errors.iter().all(|error| error["extensions"]["code"] == json!("UPSTREAM_UNAVAILABLE"))));
            app.github.recover();
            app.advance(TimeDelta::minutes(6));
        }
        let failed = calls(&app, "/repos/ada/engine-notes");
        assert!((5..=12).contains(&failed), "{failed} calls: some were repeated, none more than twice");
        // JSON that ends early is none.
        app.github.fail("/", GithubFault::Cut);
        let reply = client.ask("{ developer(login: \"kim\") { name } }").await;
        assert_eq!(reply.code(), "UPSTREAM_UNAVAILABLE");
        app.stop().await;
    }

    async fn what_has_not_changed_is_not_sent_again() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let ask = || client.run("{ repository(owner: \"ada\", name: \"brackets\") { stars isStale fetchedAt } }", json!({}));
        let first = ask().await.data()["repository"].clone();
        app.advance(TimeDelta::minutes(6));
        let mut second = json!({"isStale": true});
        for _ in 0..500 {
            second = ask().await.data()["repository"].clone();
            if second["isStale"] == json!(false) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(second["isStale"], json!(false));
        assert_ne!(first["fetchedAt"], second["fetchedAt"]);
        let requests = app.github.requests("/repos/ada/brackets");
        assert_eq!(requests.iter().map(|request| request.is_unchanged).collect::<Vec<_>>(), [false, true]);
        app.stop().await;
    }
}
