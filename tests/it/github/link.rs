use chrono::TimeDelta;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};
use wegraph::simulator::github::GithubFault;

use super::calls;
use crate::harness::{Client, Reply, TestApp, on_each_database};

const EVENTS: &str = "query($first: Int, $after: String) { viewer { githubLogin githubEvents(first: $first, after: $after) {
    isStale pageInfo { hasNextPage hasPreviousPage endCursor } edges { cursor node { id } }
    nodes { id type action actor { login url } repositoryOwner repositoryName occurredAt } } } }";

async fn link(client: &Client, token: &str) -> Reply {
    client
        .run(
            "mutation($token: String!) { linkGithub(input: {token: $token}) { user { id githubLogin } } }",
            json!({"token": token}),
        )
        .await
}

async fn events(client: &Client, first: i64) -> Value {
    let reply = client.run(EVENTS, json!({"first": first})).await;
    reply.data()["viewer"]["githubEvents"].clone()
}

fn ids(page: &Value) -> Vec<String> {
    let nodes = page["nodes"].as_array().expect("a list").iter();
    nodes
        .map(|node| node["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Everything that is stored, as text.
async fn dump(app: &TestApp, table: &str) -> String {
    let backend = app.db.read().pool().get_database_backend();
    let statement = Statement::from_string(backend, format!("SELECT * FROM {table}"));
    let rows = JsonValue::find_by_statement(statement).all(app.db.read());
    let rows = rows.await.expect("the rows");
    rows.iter().map(|row| format!("{row}\n")).collect()
}

on_each_database! {
    async fn a_linked_account_shows_its_events_to_its_user_alone(app) {
        let (lin, mei, admin) = (app.user("lin").await, app.user("mei").await, app.admin("root").await);
        assert_eq!(lin.run(EVENTS, json!({})).await.data()["viewer"], json!({"githubLogin": null, "githubEvents": null}));
        app.github.happen("ada", json!({
            "id": "99000000000", "type": "PushEvent", "public": false, "created_at": "2026-11-20T08:00:00Z",
            "actor": {"id": 102, "login": "bob", "display_login": "bob", "avatar_url": "https://avatars.githubusercontent.com/u/102?v=4"},
            "repo": {"id": 1, "name": "bob/secret-plans"}, "payload": {"ref": "refs/heads/main"},
        }));
        let token = app.github.issue_token("ada");
        assert_eq!(link(&lin, &format!(" {token} ")).await.data()["linkGithub"]["user"], json!({"id": lin.user_id, "githubLogin": "ada"}));
        // The same login, and no right to see what is private.
        link(&mei, "ghp_sim_bob").await.data();
        let first = events(&lin, 2).await;
        assert_eq!(first["nodes"][0], json!({
            "id": "99000000000", "type": "PushEvent", "action": "推送到 main", "actor": {"login": "bob", "url": "https://github.com/bob"},
            "repositoryOwner": "bob", "repositoryName": "secret-plans", "occurredAt": "2026-11-20T08:00:00.000Z",
        }));
        assert!(!events(&mei, 100).await.to_string().contains("secret-plans"));
        let in_english = lin.clone().with_language("en").run(EVENTS, json!({"first": 1})).await;
        assert_eq!(in_english.data()["viewer"]["githubEvents"]["nodes"][0]["action"], json!("pushed to main"));
        let seen = admin.run("query($id: ID!) { user(id: $id) { githubLogin githubEvents { nodes { id } } } }", json!({"id": lin.user_id})).await;
        assert_eq!(seen.data()["user"], json!({"githubLogin": "ada", "githubEvents": null}));
        let requests = app.github.requests("/users/ada/received_events");
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert_eq!(requests[0].token.as_deref(), Some(token.as_str()));
    }

    async fn events_are_paged_to_their_end_while_new_ones_come(app) {
        let lin = app.user("lin").await;
        link(&lin, "ghp_sim_ada").await.data();
        let (mut after, mut all) = (json!(null), Vec::new());
        for number in 0.. {
            let reply = lin.run(EVENTS, json!({"first": 30, "after": after})).await;
            let page = reply.data()["viewer"]["githubEvents"].clone();
            assert_eq!(page["pageInfo"]["hasPreviousPage"], json!(!all.is_empty()));
            all.extend(ids(&page));
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == json!(false) {
                break;
            }
            // Meanwhile the copy grows old and GitHub has something new before the others.
            app.github.happen("ada", json!({"id": format!("99{number}"), "type": null, "public": true, "created_at": null,
                "actor": {"login": "helper[bot]", "display_login": "helper"}, "repo": {"name": "kim/plain"}, "payload": null}));
            app.advance(TimeDelta::seconds(70));
            assert!(number < 20, "{} events", all.len());
        }
        let newest = events(&lin, 1).await["nodes"][0].clone();
        assert_eq!((&newest["type"], &newest["actor"]), (&json!(null), &json!({"login": "helper[bot]", "url": "https://github.com/apps/helper"})));
        let expected: Vec<String> = (0..140_i64).map(|number| (48_000_000_000 - number).to_string()).collect();
        assert_eq!(all, expected);
        for (variables, fault) in [(json!({"first": 101}), "first OUT_OF_RANGE"), (json!({"after": "x"}), "after MALFORMED")] {
            let reply = lin.run(EVENTS, variables).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![fault.to_owned()]));
            assert_eq!(reply.body["data"]["viewer"]["githubLogin"], json!("ada"));
        }
    }

    async fn events_are_not_asked_for_more_than_once_a_minute(app) {
        let lin = app.user("lin").await;
        link(&lin, "ghp_sim_ada").await.data();
        let first = events(&lin, 5).await;
        app.advance(TimeDelta::seconds(50));
        assert_eq!(events(&lin, 5).await, first);
        assert_eq!(calls(app, "/users/ada/received_events"), 1);
        app.advance(TimeDelta::seconds(20));
        assert_eq!(events(&lin, 5).await, first);
        let requests = app.github.requests("/users/ada/received_events");
        assert_eq!(requests.iter().map(|request| request.is_unchanged).collect::<Vec<_>>(), [false, true]);
        // While GitHub does not answer, what was there is shown.
        app.github.fail("/users", GithubFault::Status(500));
        app.advance(TimeDelta::minutes(5));
        let old = events(&lin, 5).await;
        assert_eq!((&old["nodes"], &old["isStale"]), (&first["nodes"], &json!(true)));
        app.github.recover();
    }

    async fn a_feed_that_github_refuses_is_not_asked_for_again_and_again(app) {
        let lin = app.user("lin").await;
        link(&lin, "ghp_sim_ada").await.data();
        for status in [403, 404, 422, 500] {
            app.github.recover();
            app.github.fail("/users/ada/received_events", GithubFault::Status(status));
            app.advance(TimeDelta::minutes(2));
            let (asked, accounts) = (calls(app, "/users/ada/received_events"), calls(app, "/user?") + calls(app, "/user"));
            for _ in 0..10 {
                let reply = lin.run(EVENTS, json!({})).await;
                assert_eq!(reply.code(), "UPSTREAM_UNAVAILABLE", "{status}");
                assert_eq!(reply.body["data"]["viewer"], json!({"githubLogin": "ada", "githubEvents": null}));
            }
            let asked = calls(app, "/users/ada/received_events") - asked;
            // Three tries of one question, perhaps of two.
            assert!(asked <= 6, "{status}: {asked}");
            let accounts = calls(app, "/user?") + calls(app, "/user") - accounts - asked;
            assert!(accounts <= 1, "{status}: {accounts}");
        }
    }

    async fn the_token_is_stored_encrypted_and_told_to_nobody(app) {
        let lin = app.user("lin").await;
        let token = app.github.issue_token("ada");
        let linked = link(&lin, &token).await;
        assert!(!linked.body.to_string().contains(&token));
        let everything = lin.ask("{ viewer { id githubLogin githubEvents { nodes { id } } } }").await;
        assert!(!everything.body.to_string().contains(&token));
        for table in ["github_accounts", "users", "audit_events", "sessions"] {
            let stored = dump(app, table).await;
            let part = &token["github_pat_".len()..];
            assert!(!stored.is_empty() && !stored.contains(part), "{table}");
        }
        assert!(dump(app, "github_accounts").await.contains("ada"));
        // Linking again replaces it; without one, taking it away is no error.
        link(&lin, "ghp_sim_kim").await.data();
        assert_eq!(lin.run(EVENTS, json!({})).await.data()["viewer"]["githubLogin"], json!("kim"));
        for _ in 0..2 {
            let reply = lin.ask("mutation { unlinkGithub { user { githubLogin githubEvents { nodes { id } } } } }").await;
            assert_eq!(reply.data()["unlinkGithub"]["user"], json!({"githubLogin": null, "githubEvents": null}));
        }
        assert_eq!(dump(app, "github_accounts").await, "");
        let admin = app.admin("root").await;
        let events = admin.run("query($id: ID!) { auditEvents(filter: {userId: $id}) { nodes { action actor { id } subjectId } } }", json!({"id": lin.user_id})).await;
        let actions: Vec<&str> = events.data()["auditEvents"]["nodes"].as_array().expect("a list").iter()
            .map(|event| event["action"].as_str().expect("text")).filter(|action| action.starts_with("GITHUB")).collect();
        assert_eq!(actions, ["GITHUB_UNLINKED", "GITHUB_LINKED", "GITHUB_LINKED"]);
        // With the account goes the link.
        link(&lin, &token).await.data();
        lin.ask("mutation { deleteAccount(input: {}) { deletedUserId } }").await.data();
        assert_eq!(dump(app, "github_accounts").await, "");
    }

    async fn a_token_that_github_does_not_accept_is_refused_and_one_that_it_accepts_no_more_is_forgotten(app) {
        let lin = app.user("lin").await;
        for (token, fault) in [("ghp_wrong", "input.token MALFORMED"), ("", "input.token REQUIRED"), ("  ", "input.token REQUIRED"),
            ("a b", "input.token MALFORMED"), ("令牌", "input.token MALFORMED"), ("a\nb", "input.token MALFORMED"), (&"x".repeat(513), "input.token TOO_LONG")] {
            let reply = link(&lin, token).await;
            assert_eq!((reply.code(), reply.faults()), ("BAD_USER_INPUT", vec![fault.to_owned()]), "{token}");
        }
        assert_eq!(calls(app, "/user"), 1);
        // A few more, of whomever, and GitHub would refuse everything.
        for number in 0..30 {
            let other = app.user(&format!("other{number}")).await;
            let reply = link(&other, &format!("ghp_wrong{number}")).await;
            assert_eq!(reply.code(), if number < 19 { "BAD_USER_INPUT" } else { "UPSTREAM_RATE_LIMITED" }, "{number}");
        }
        assert_eq!(calls(app, "/user"), 20);
        app.advance(TimeDelta::seconds(61));
        app.github.fail("/user", GithubFault::Secondary(403, Some(30)));
        assert_eq!(link(&lin, "ghp_sim_ada").await.code(), "UPSTREAM_RATE_LIMITED");
        app.github.recover();
        app.advance(TimeDelta::seconds(31));
        let token = app.github.issue_token("ada");
        link(&lin, &token).await.data();
        let shown = events(&lin, 1).await;
        assert!(shown["nodes"][0]["id"].is_string());
        app.github.revoke(&token);
        app.advance(TimeDelta::minutes(2));
        let reply = lin.run(EVENTS, json!({})).await;
        assert_eq!(reply.data()["viewer"]["githubEvents"], json!(null));
        assert_eq!(lin.run(EVENTS, json!({})).await.data()["viewer"], json!({"githubLogin": null, "githubEvents": null}));
        assert_eq!(calls(app, "/users/ada/received_events"), 2, "not tried again");
        assert_eq!(dump(app, "github_accounts").await, "");
        let last = dump(app, "audit_events").await;
        assert!(last.contains("GITHUB_UNLINKED"), "{last}");
    }
}
