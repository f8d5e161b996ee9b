use serde_json::{Value, json};

use crate::harness::{Reply, TestApp, on_each_database};

const NEW_TYPE: &str = "application/graphql-response+json";

async fn post(
    app: &TestApp,
    content_type: &str,
    accept: &str,
    body: impl Into<reqwest::Body>,
) -> Reply {
    let request = app
        .anonymous()
        .post("/graphql")
        .header("Content-Type", content_type)
        .header("Accept", accept)
        .body(body);
    Reply::of(request).await
}

on_each_database! {
    async fn answers_the_media_type_that_is_asked_for(app) {
        let good = json!({"query": "{ viewer { id } }"}).to_string();
        let wrong = json!({"query": "{ nothing }"}).to_string();
        for (accept, content_type, status) in [
            ("application/json", "application/json; charset=utf-8", 200),
            ("*/*", "application/json; charset=utf-8", 200),
            ("text/html", "application/json; charset=utf-8", 200),
            (NEW_TYPE, "application/graphql-response+json; charset=utf-8", 400),
            ("application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json; charset=utf-8", 400),
            ("application/graphql-response+json;q=0.1, application/json", "application/json; charset=utf-8", 200),
        ] {
            let fine = post(app, "application/json", accept, good.clone()).await;
            assert_eq!((fine.status.as_u16(), fine.headers["content-type"].to_str().expect("text")), (200, content_type), "{accept}");
            let failed = post(app, "application/json", accept, wrong.clone()).await;
            assert_eq!((failed.status.as_u16(), failed.code()), (status, "GRAPHQL_VALIDATION_FAILED"), "{accept}");
            assert!(failed.body.get("data").is_none(), "what was not executed has no data");
            assert_eq!(failed.headers["cache-control"], "no-store");
        }
    }

    async fn refuses_what_is_no_graphql_request(app) {
        let query = json!({"query": "{ viewer { id } }"}).to_string();
        for (content_type, body, status) in [
            ("text/plain", query.clone(), 415),
            ("application/x-www-form-urlencoded", "query={viewer{id}}".to_owned(), 415),
            ("application/json; charset=gbk", query.clone(), 415),
            ("application/json; charset=utf-16", query.clone(), 415),
            ("application/json; charset=\"utf-8", query.clone(), 415),
            ("application/json; charset=utf-8; charset=gbk", query.clone(), 415),
            ("application/json", "{".to_owned(), 400),
            ("application/json", "[]".to_owned(), 400),
            ("application/json", "\"x\"".to_owned(), 400),
            ("application/json", "{}".to_owned(), 400),
            ("application/json", json!({"query": 7}).to_string(), 400),
            ("application/json", json!({"query": " "}).to_string(), 400),
            ("application/json", json!({"query": "{ viewer { id } }", "variables": 7}).to_string(), 400),
            ("application/json", format!("{{\"query\": \"{}\"}}", "x".repeat(300_000)), 413),
        ] {
            let reply = post(app, content_type, "*/*", body).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (status, "BAD_USER_INPUT"), "{}", reply.body);
        }
        let deep = post(app, "application/json", "*/*", "[".repeat(10_000)).await;
        assert_eq!((deep.status.as_u16(), deep.code()), (400, "QUERY_TOO_COMPLEX"));
        let charset = post(app, "application/json; charset=GBK", "*/*", query.clone()).await;
        assert!(charset.message().contains("UTF-8"), "{}", charset.message());
        for content_type in ["application/json", "application/json;charset=UTF-8", "Application/JSON; charset=\"utf-8\"",
            "application/json; charset=utf8", "application/json; charset=UTF8", "application/json; Charset=\"UTF8\"",
            "application/json; charset=utf-8; profile=x", "application/json;", "application/json; charset="] {
            assert_eq!(post(app, content_type, "*/*", query.clone()).await.status, 200, "{content_type}");
        }
    }

    async fn get_runs_queries_only(app) {
        let get = async |query: &[(&str, &str)]| Reply::of(app.anonymous().get("/graphql").query(query)).await;
        let reply = get(&[("query", "query A($s: String!) { rubric(slug: $s) { slug } } query B { viewer { id } }"),
            ("variables", "{\"s\": \"default\"}"), ("operationName", "A")]).await;
        assert_eq!(reply.data(), &json!({"rubric": {"slug": "default"}}));
        let mutation = get(&[("query", "mutation { logout { endedSessions } }")]).await;
        assert_eq!((mutation.status.as_u16(), &mutation.headers["allow"]), (405, &"POST".parse().expect("a header")));
        assert_eq!(get(&[]).await.status, 400);
        assert_eq!(get(&[("query", "{ viewer { id } }"), ("variables", "[]")]).await.status, 400);
        let choice = get(&[("query", "query A { viewer { id } } query B { viewer { id } }")]).await;
        assert_eq!(choice.code(), "GRAPHQL_VALIDATION_FAILED");
    }

    async fn a_query_of_absurd_depth_or_size_is_refused_and_the_server_lives(app) {
        let client = app.anonymous();
        for query in [
            format!("{{ a(x: {}{}) }}", "[".repeat(20_000), "]".repeat(20_000)),
            format!("{{ a(x: {}) }}", "{x:".repeat(20_000)),
            "{a".repeat(20_000),
        ] {
            assert_eq!(client.ask(&query).await.code(), "QUERY_TOO_COMPLEX");
        }
        let wide = format!("{{ {} }}", (0..2000).map(|n| format!("a{n}: viewer {{ id }}")).collect::<String>());
        assert_eq!(client.ask(&wide).await.code(), "QUERY_TOO_COMPLEX");
        let deep = format!(
            "{{ __type(name: \"Task\") {{ fields {{ type {{ {}name{} }} }} }} }}",
            "ofType { ".repeat(30),
            " }".repeat(30)
        );
        assert_eq!(client.ask(&deep).await.code(), "QUERY_TOO_COMPLEX");
        let directives = format!("{{ viewer {} {{ id }} }}", "@skip(if: false) ".repeat(60));
        assert_eq!(client.ask(&directives).await.code(), "QUERY_TOO_COMPLEX");
        let chain: String = (0..3000).map(|n| format!("fragment f{n} on Query {{ ...f{} }} ", n + 1)).collect();
        let query = format!("{{ viewer {{ id }} }} {chain} fragment f3000 on Query {{ viewer {{ id }} }}");
        assert_eq!(client.ask(&query).await.code(), "QUERY_TOO_COMPLEX");
        let quotes = format!("{{ a(x: [\"\"\"\" {}", "[".repeat(20_000));
        assert_eq!(client.ask(&quotes).await.code(), "QUERY_TOO_COMPLEX");
        client.ask("{ viewer { id } }").await.data();
    }

    async fn an_empty_operation_name_counts_as_none(app) {
        let request = app.anonymous().post("/graphql").json(&json!({"query": "query A { viewer { id } }", "operationName": ""}));
        assert_eq!(Reply::of(request).await.data(), &json!({"viewer": null}));
    }

    async fn a_syntax_error_says_where_and_repeats_nothing(app) {
        let reply = app.anonymous().ask("{ viewer {\n  secret-word! }").await;
        assert_eq!(reply.code(), "GRAPHQL_PARSE_FAILED");
        assert_eq!(reply.body["errors"][0]["locations"][0]["line"], 2);
        assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
    }

    async fn a_failing_nullable_field_leaves_its_siblings(app) {
        let reply = app.anonymous().ask("{ task(id: \"x\") { id } viewer { id } rubric(slug: \"default\") { slug } }").await;
        assert_eq!(reply.body["data"], json!({"task": null, "viewer": null, "rubric": {"slug": "default"}}));
        assert_eq!(reply.code(), "UNAUTHENTICATED");
    }

    async fn every_reply_has_an_id_that_the_log_knows(app) {
        let reply = app.anonymous().ask("{ viewer { id } }").await;
        assert!(wegraph::platform::id::parse_id(reply.headers["x-request-id"].to_str().expect("text")).is_some());
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    }

    async fn the_error_catalogue_has_every_code(app) {
        let query = "{ errorCatalog { code description isRetryable } __type(name: \"ErrorCode\") { enumValues { name } } }";
        let reply = app.anonymous().with_language("en").ask(query).await;
        let names = |list: &Value, key: &str| -> Vec<String> {
            list.as_array().expect("a list").iter().map(|v| v[key].as_str().expect("text").to_owned()).collect()
        };
        assert_eq!(names(&reply.data()["errorCatalog"], "code"), names(&reply.data()["__type"]["enumValues"], "name"));
        assert!(reply.data()["errorCatalog"].as_array().expect("a list").iter().all(|e| e["description"].as_str().is_some_and(|d| d.len() > 10)));
    }

    async fn node_costs_two_statements_whatever_the_type(app) {
        let lin = app.user("lin").await;
        let made = lin.ask("mutation { createTask(input: {title: \"a\"}) { task { id } } submitScore(input: {accountNumber: \"12345\",
            grades: [{criterion: \"grade1\", grade: 1}, {criterion: \"grade2\", grade: 1}, {criterion: \"grade3\", grade: 1}]}) { score { id rubric { id } } } }").await;
        let made = made.data();
        let session = lin.ask("{ viewer { sessions { id } } }").await.data()["viewer"]["sessions"][0]["id"].clone();
        for (id, kind) in [
            (json!(lin.user_id), "User"),
            (session, "Session"),
            (made["createTask"]["task"]["id"].clone(), "Task"),
            (made["submitScore"]["score"]["id"].clone(), "Score"),
            (made["submitScore"]["score"]["rubric"]["id"].clone(), "Rubric"),
        ] {
            let before = app.db.statements();
            let reply = lin.run("query($id: ID!) { node(id: $id) { __typename id } }", json!({"id": id})).await;
            assert_eq!(reply.data()["node"], json!({"__typename": kind, "id": id}));
            assert_eq!(app.db.statements() - before, 2, "{kind}");
        }
        let other = app.user("mei").await;
        for id in [lin.user_id.as_str(), "nonsense", "01890000-0000-7000-8000-000000000000"] {
            assert_eq!(other.run("query($id: ID!) { node(id: $id) { id } }", json!({"id": id})).await.data(), &json!({"node": null}));
        }
    }

    async fn introspection_can_be_off(app) {
        let other = TestApp::start_with(app.engine, &[("GRAPHQL__INTROSPECTION", "false"), ("GRAPHQL__PLAYGROUND", "false")]).await;
        for query in ["{ __schema { queryType { name } } }", "{ ...on Query { a: __type(name: \"Task\") { name } } }",
            "{ ...f } fragment f on Query { __schema { queryType { name } } }"] {
            assert_eq!(other.anonymous().ask(query).await.code(), "GRAPHQL_VALIDATION_FAILED", "{query}");
        }
        assert_eq!(other.anonymous().ask("{ __typename }").await.data(), &json!({"__typename": "Query"}));
        let page = other.anonymous().get("/graphiql").send().await.expect("an answer");
        assert_eq!(page.status(), 404);
        other.stop().await;
    }
}
