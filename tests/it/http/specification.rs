//! What the specification of GraphQL asks of a server before anything runs, over both transports.

use serde_json::{Value, json};

use super::socket::Socket;
use crate::harness::{Client, Reply, TestApp, on_each_database};

/// A mutation that stores something, before the field that is wrong.
const FIRST: &str = "a: createTask(input: {title: \"first\"}) { task { id } }";

/// Sends a request whose variables stay as they are written.
async fn send(client: &Client, document: &str, variables: &str) -> Reply {
    let query = json!(document);
    let body = format!("{{\"query\": {query}, \"variables\": {variables}}}");
    let request = client
        .post("/graphql")
        .header("Content-Type", "application/json")
        .header("Accept-Language", "en")
        .body(body);
    Reply::of(request).await
}

/// The request is refused before anything runs, and the first error's message.
async fn refusal(app: &TestApp, client: &Client, document: &str, variables: &str) -> String {
    let reply = send(client, document, variables).await;
    let code = reply.code().to_owned();
    assert!(code.starts_with("GRAPHQL_"), "{document}: {}", reply.body);
    let error = &reply.body["errors"][0];
    assert!(
        reply.body.get("data").is_none(),
        "{document}: {}",
        reply.body
    );
    assert!(error.get("path").is_none(), "{document}: {}", reply.body);
    let variables: Value = serde_json::from_str(variables).expect("JSON");
    let mut socket = Socket::init(
        app,
        json!({"authorization": format!("Bearer {}", client.token())}),
    )
    .await;
    let payload = json!({"query": document, "variables": variables});
    socket
        .send(json!({"id": "1", "type": "subscribe", "payload": payload}))
        .await;
    let answer = socket.next().await.expect("a message");
    assert_eq!(answer["type"], "error", "{document}: {answer}");
    assert_eq!(
        answer["payload"][0]["extensions"]["code"], code,
        "{document}"
    );
    let tasks = client.ask("{ tasks { totalCount } }").await;
    assert_eq!(tasks.data()["tasks"]["totalCount"], 0, "{document} has run");
    error["message"].as_str().expect("a message").to_owned()
}

on_each_database! {
    async fn checks_literals_whatever_variables_stand_beside_them(app) {
        let lin = app.user("lin").await;
        for document in [
            "mutation($v: Int) { updateTask(input: {id: \"x\", titel: \"new\", version: $v}) { task { id } } }",
            "mutation($v: Int = 1) { updateTask(input: {id: \"x\", titel: \"new\", version: $v}) { task { id } } }",
            "mutation($n: String) { createTask(input: {title: 5, notes: $n}) { task { id } } }",
            "mutation($n: String) { createTask(input: {title: \"b\", status: NOPE, notes: $n}) { task { id } } }",
            "mutation($n: String) { createTask(input: {title: \"b\", dueAt: \"tomorrow\", notes: $n}) { task { id } } }",
            "mutation($t: String) { updateTask(input: {title: $t}) { task { id } } }",
            "query($s: String) { tasks(filter: {statuz: DONE, search: $s}) { totalCount } }",
            "query($s: [TaskStatus!] = \"TODO\") { tasks(filter: {status: $s}) { totalCount } }",
            "query($t: DateTime = \"tomorrow\") { tasks(filter: {dueAfter: $t}) { totalCount } }",
            "mutation { createTask(input: 5) { task { id } } }",
            "mutation { createTask(input: {title: \"a\", title: \"b\"}) { task { id } } }",
            "{ tasks(filter: {search: \"a\", search: \"b\"}) { totalCount } }",
            "{ tasks(first: 3000000000) { totalCount } }",
            "{ tasks(first: 1.0) { totalCount } }",
        ] {
            refusal(app, &lin, document, "{}").await;
        }
    }

    async fn lets_a_variable_stand_where_its_type_fits(app) {
        let lin = app.user("lin").await;
        for (document, variables) in [
            ("mutation($t: Int) { createTask(input: {title: $t}) { task { id } } }", "{\"t\": 1}"),
            ("mutation($t: String) { createTask(input: {title: $t}) { task { id } } }", "{\"t\": \"a\"}"),
            ("query($s: [TaskStatus]) { tasks(filter: {status: $s}) { totalCount } }", "{}"),
            ("query($s: TaskStatus) { tasks(filter: {status: [$s]}) { totalCount } }", "{}"),
            ("mutation($w: WechatLoginInput) { login(input: {wechat: $w}) { accessToken } }", "{\"w\": null}"),
            ("mutation($c: String!) { login(input: {wechat: {code: $c}, password: null}) { accessToken } }", "{\"c\": \"a\"}"),
            ("mutation { login(input: {}) { accessToken } }", "{}"),
            ("query($b: Boolean = null) { viewer @include(if: $b) { id } }", "{\"b\": true}"),
            ("query($b: Boolean = null) { ... @skip(if: $b) { viewer { id } } }", "{\"b\": true}"),
            ("query($i: ID = null) { task(id: $i) { id } }", "{\"i\": \"x\"}"),
            ("query($n: String = null) { __type(name: $n) { name } }", "{\"n\": \"Task\"}"),
            ("mutation($t: String = null) { createTask(input: {title: $t}) { task { id } } }", "{\"t\": \"a\"}"),
        ] {
            refusal(app, &lin, document, variables).await;
        }
        for (document, variables) in [
            ("query($s: [TaskStatus!]) { tasks(filter: {status: $s}) { totalCount } }", "{\"s\": \"TODO\"}"),
            ("query($s: TaskStatus!) { tasks(filter: {status: [$s]}) { totalCount } }", "{\"s\": \"TODO\"}"),
            ("query($i: ID = \"x\") { task(id: $i) { id } }", "{}"),
            ("query($b: Boolean = true) { viewer @include(if: $b) { id } }", "{}"),
            ("query($n: Int = null) { tasks(first: $n) { totalCount } }", "{}"),
            ("query($n: Int) { tasks(first: $n) { totalCount } }", "{\"n\": 20.0}"),
            ("query($n: Int) { tasks(first: $n) { totalCount } }", "{\"n\": 2e1}"),
            ("query($i: ID!) { task(id: $i) { id } }", "{\"i\": 5}"),
            ("{ task(id: 99999999999999999999) { id } }", "{}"),
            ("{ tasks(first: -0) { totalCount } }", "{}"),
            ("query($i: ID !, $s: [ TaskStatus ! ]) { task(id: $i) { id } tasks(filter: {status: $s}) { totalCount } }", "{\"i\": \"x\"}"),
        ] {
            send(&lin, document, variables).await.data();
        }
    }

    async fn coerces_variables_before_the_first_field_runs(app) {
        let lin = app.user("lin").await;
        for (variables, path) in [
            ("{\"v\": []}", "$v"),
            ("{\"v\": 5}", "$v"),
            ("{\"v\": true}", "$v"),
            ("{\"v\": [{\"id\": \"x\"}]}", "$v"),
            ("{\"v\": null}", "$v"),
            ("{}", "$v"),
            ("{\"v\": {}}", "$v.id"),
            ("{\"v\": {\"id\": \"x\", \"titel\": \"a\"}}", "$v.titel"),
            ("{\"v\": {\"id\": \"x\", \"version\": 3000000000}}", "$v.version"),
            ("{\"v\": {\"id\": \"x\", \"version\": 1.5}}", "$v.version"),
            ("{\"v\": {\"id\": \"x\", \"dueAt\": \"tomorrow\"}}", "$v.dueAt"),
            ("{\"v\": {\"id\": \"x\", \"tags\": [\"a\", 1]}}", "$v.tags[1]"),
            ("{\"v\": {\"id\": \"x\", \"status\": \"NOPE\"}}", "$v.status"),
        ] {
            let document = format!("mutation($v: UpdateTaskInput!) {{ {FIRST} b: updateTask(input: $v) {{ task {{ id }} }} }}");
            let message = refusal(app, &lin, &document, variables).await;
            assert!(message.contains(&format!("{path} ")) || message.contains(&format!("{path},")), "{message}");
        }
        let document = "mutation($v: [GradeInput!]!) { submitScore(input: {accountNumber: \"12345\", grades: $v}) { message } }";
        let message = refusal(app, &lin, document, "{\"v\": [\"x\"]}").await;
        assert!(message.starts_with("Submission failed: The value of $v[0] "), "{message}");
        let message = refusal(app, &lin, "mutation { submitScore(input: 5) { message } }", "{}").await;
        assert!(message.starts_with("Submission failed: "), "{message}");
    }

    async fn compares_fields_of_one_name_below_those_that_merge(app) {
        let lin = app.user("lin").await;
        for document in [
            "{ tasks(first: 1) { nodes { x: title } } tasks(first: 1) { nodes { x: id } } }",
            "{ viewer { notifications(first: 1) { totalCount } } viewer { notifications(first: 2) { totalCount } } }",
            "{ ...A ...B } fragment A on Query { viewer { x: id } } fragment B on Query { viewer { x: role } }",
            "{ node(id: \"x\") { ... on Task { x: title } ... on Score { x: total } } }",
            "{ node(id: \"x\") { ... on Task { x: tags } ... on Score { x: accountNumber } } }",
            "{ node(id: \"x\") { ... on Task { x: owner { id } } ... on Score { x: accountNumber } } }",
            "{ viewer { x: id } viewer { x: role @skip(if: true) } }",
            "{ __typename @nope }",
            "{ viewer { __typename(x: 1) } }",
            "{ viewer { __typename { x } } }",
            "query($x: [Nope] = [1]) { __typename }",
            "query A { viewer { id } } mutation B { updateTask(input: 5) { task { id } } }",
        ] {
            refusal(app, &lin, document, "{}").await;
        }
    }

    async fn null_where_none_may_be_fails_its_field_alone(app) {
        let lin = app.user("lin").await;
        let id = &lin.user_id;
        for (document, variables, data, paths) in [
            ("query($i: ID = \"x\") { me: viewer { id } a: task(id: $i) { id } b: viewer { id } }", "{\"i\": null}",
             json!({"me": {"id": id}, "a": null, "b": {"id": id}}), vec![("a", "id")]),
            ("query($i: ID = \"x\") { a: task(id: $i) { id } b: score(id: $i) { id } c: viewer { id } }", "{\"i\": null}",
             json!({"a": null, "b": null, "c": {"id": id}}), vec![("a", "id"), ("b", "id")]),
            ("query($n: String = \"Task\") { __type(name: $n) { name } viewer { id } }", "{\"n\": null}",
             json!({"__type": null, "viewer": {"id": id}}), vec![("__type", "name")]),
            ("query($s: TaskStatus = TODO) { viewer { id } tasks(filter: {status: [TODO, $s]}) { totalCount } }", "{\"s\": null}",
             json!(null), vec![("tasks", "filter.status.1")]),
            ("query($i: ID = \"x\") { task(id: $i) { id } }", "{\"i\": null}", json!({"task": null}), vec![("task", "id")]),
        ] {
            let reply = send(&lin, document, variables).await;
            assert_eq!(reply.body["data"], data, "{document}");
            let keys = |data: &Value| data.as_object().map(|data| data.keys().cloned().collect::<Vec<_>>());
            assert_eq!(keys(&reply.body["data"]), keys(&data));
            let errors = reply.body["errors"].as_array().expect("errors").iter();
            let told: Vec<_> = errors
                .map(|error| {
                    assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT");
                    let steps = error["extensions"]["fields"][0]["path"].as_array().expect("a path");
                    let steps: Vec<_> = steps.iter().filter_map(Value::as_str).collect();
                    (error["path"][0].as_str().unwrap_or_default(), steps.join("."))
                })
                .collect();
            let paths: Vec<_> = paths.into_iter().map(|(field, argument)| (field, argument.to_owned())).collect();
            assert_eq!(told, paths);
        }
        let stored = "mutation($t: String = \"b\") { a: createTask(input: {title: $t}) { task { id } } }";
        assert_eq!(send(&lin, stored, "{\"t\": null}").await.code(), "BAD_USER_INPUT");
        assert_eq!(send(&lin, "{ tasks { totalCount } }", "{}").await.data()["tasks"]["totalCount"], 0);
        // Mutations end with the first that fails.
        let three = "mutation($t: String = \"b\") { a: createTask(input: {title: \"first\"}) { task { id } }
            b: createTask(input: {title: $t}) { task { id } } c: createTask(input: {title: \"third\"}) { task { id } } }";
        assert_eq!(send(&lin, three, "{\"t\": null}").await.body["errors"][0]["path"], json!(["b"]));
        let stored = send(&lin, "{ tasks { nodes { title } } }", "{}").await;
        assert_eq!(stored.data()["tasks"]["nodes"], json!([{"title": "first"}]));
        // To the introspection null means no.
        for document in [
            "{ __type(name: \"Task\") { fields(includeDeprecated: null) { name } } }",
            "query($n: Boolean = true) { __type(name: \"Task\") { fields(includeDeprecated: $n) { name } } }",
        ] {
            let reply = send(&lin, document, "{\"n\": null}").await;
            assert!(reply.data()["__type"]["fields"][0]["name"].is_string(), "{}", reply.body);
        }
        let submitted = "mutation($i: SubmitScoreInput = {accountNumber: \"12345\", grades: []}) { submitScore(input: $i) { message } }";
        let message = send(&lin, submitted, "{\"i\": null}").await.body["errors"][0]["message"].to_string();
        assert!(message.contains("Submission failed: "), "{message}");
    }

    async fn answers_a_repeated_field_once(app) {
        let lin = app.user("lin").await;
        let twice = "mutation { createTask(input: {title: \"a\"}) { task { id } } ...F }
            fragment F on Mutation { createTask(input: {title: \"a\"}) { task { title } } }";
        let created = lin.ask(twice).await;
        assert_eq!(created.data()["createTask"]["task"]["title"], "a");
        assert_eq!(lin.ask("{ tasks { totalCount } }").await.data()["tasks"]["totalCount"], 1);
        // What fails in one part is missing in the whole.
        let halves = lin.ask("{ viewer { id } viewer { notifications(first: 1, last: 1) { totalCount } } }").await;
        assert_eq!(halves.body["data"], json!({"viewer": null}));
        let ordered = "query($yes: Boolean!, $no: Boolean!) { node(id: \"ID\") { ... on Task { title } id ...T @include(if: $yes) ... on Task @include(if: $no) { notes } } }
            fragment T on Task { owner { role } ... on Node { ... on Score { total } ... on Task { owner { id } } } }";
        let id = created.data()["createTask"]["task"]["id"].as_str().expect("an id");
        let reply = lin.run(&ordered.replace("ID", id), json!({"yes": true, "no": false})).await;
        let text = reply.data()["node"].to_string();
        assert_eq!(text, json!({"title": "a", "id": id, "owner": {"role": "USER", "id": lin.user_id}}).to_string());
    }

    async fn null_means_the_default_where_there_is_one_and_nowhere_else(app) {
        let lin = app.user("lin").await;
        let id = "0192f0c8-7c1e-7000-8000-000000000001";
        let document = "mutation Keep($id: ID!, $n: String, $s: TaskStatus) {
              a: createTask(input: {id: $id, title: \"a\", notes: \"kept\", status: $s, priority: null}) { task { notes status priority } }
              b: updateTask(input: {id: $id, notes: $n}) { task { notes status } }
            }
            mutation Other($n: String) { submitScore(input: {rubric: $n, accountNumber: \"12345\", grades: []}) { message } }";
        let body = json!({"query": document, "operationName": "Keep", "variables": {"id": id, "n": null, "s": null}});
        let reply = Reply::of(lin.post("/graphql").json(&body)).await;
        assert_eq!(reply.data()["a"]["task"], json!({"notes": "kept", "status": "TODO", "priority": "NONE"}));
        assert_eq!(reply.data()["b"]["task"], json!({"notes": null, "status": "TODO"}));
        let default = "mutation($i: CreateTaskInput! = {title: \"b\", tags: null}) { createTask(input: $i) { task { tags } } }";
        assert_eq!(lin.ask(default).await.data()["createTask"]["task"]["tags"], json!([]));
    }

    async fn reads_texts_as_they_are_written(app) {
        let lin = app.user("lin").await;
        for (literal, text) in [
            ("\"x \\ud83d\\ude00\"", "x 😀"),
            ("\"x \\u{1F600}\"", "x 😀"),
            ("\"\"\"say \\\"\"\"hi\\\"\"\" end\"\"\"", "say \"\"\"hi\"\"\" end"),
            ("\"\"\"\n    a\n   \n      b\n  \"\"\"", "a\n\n  b"),
            ("\"a#, b\"", "a#, b"),
        ] {
            let document = format!("mutation {{ createTask(input: {{title: \"t\", notes: {literal}}}) {{ task {{ notes }} }} }}");
            let reply = lin.ask(&document).await;
            assert_eq!(reply.data()["createTask"]["task"]["notes"], text, "{literal}");
        }
        for literal in ["\"\\ud83d\"", "\"\\u{d83d}\"", "\"\\x\"", "\"a\nb\""] {
            let document = format!("mutation {{ createTask(input: {{title: {literal}}}) {{ task {{ id }} }} }}");
            assert_eq!(lin.ask(&document).await.code(), "GRAPHQL_PARSE_FAILED", "{literal}");
        }
    }

    async fn takes_what_may_stand_between_tokens(app) {
        let lin = app.user("lin").await;
        for document in [
            "\u{feff}{ viewer { id } }",
            "{,viewer,{,id,},} # end",
            "{ node(id: \"x\") { ... on # c\n Task { id } } }",
            "{ viewer { name # \"{\n :,\u{feff} id } }",
            "\"about\" query Q(\"one\" $n: Int = 1 \"\"\"two\"\"\" $i: ID = \"x\") { tasks(first: $n) { totalCount } task(id: $i) { id } }",
            "{ ...F } \"about\" fragment F on Query { viewer { id } }",
        ] {
            lin.ask(document).await.data();
        }
        for document in ["\"about\" { viewer { id } }", "", "# nothing", "{}", "query() { viewer { id } }", "{ viewer { id } } type A { b: Int }",
            "{ tasks(first: 007) { totalCount } }", "{ languages(popular true) { slug } }", "{ tasks(filter: {tag}) { totalCount } }",
            "{ usernameAvailable(username: \"\nabc\") }", "\"\\q\" query { viewer { id } }", "{ tasks(first: 1a) { totalCount } }", "query($n: Int = $m) { tasks(first: $n) { totalCount } }"] {
            let reply = send(&lin, document, "{}").await;
            assert!(reply.body.get("data").is_none(), "{document}: {}", reply.body);
        }
    }

    async fn a_subscription_may_have_its_field_in_fragments(app) {
        let lin = app.user("lin").await;
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        let document = "subscription { ...F taskChanged @include(if: true) { taskId } }
            fragment F on Subscription { ...G x: taskChanged @skip(if: true) { taskId } } fragment G on Subscription { taskChanged { kind } }";
        socket.subscribe("s", document).await;
        socket.ask_last("{ viewer { id } }").await;
        lin.ask("mutation { createTask(input: {title: \"a\"}) { task { id } } }").await.data();
        let event = socket.next().await.expect("an event");
        assert_eq!(event["payload"]["data"]["taskChanged"]["kind"], "CREATED", "{event}");
        assert!(event["payload"]["data"]["taskChanged"]["taskId"].is_string(), "{event}");
        for document in ["subscription { taskChanged { kind } x: taskChanged { kind } }", "subscription { __typename }"] {
            let refused = socket.ask(document).await;
            assert!(refused.to_string().contains("GRAPHQL_VALIDATION_FAILED"), "{refused}");
        }
    }

    async fn names_no_library_and_speaks_one_language(app) {
        let lin = app.user("lin").await;
        for document in ["{ nope }", "{ viewer }", "{ viewer { id { x } } }", "{ task(id: true) { id } }", "{ task { id } }", "query($x: Nope) { viewer { id } }",
            "{ ...F }", "query($x: Int) { viewer { id } }", "{ viewer { id @nope } }", "{ tasks(filter: {status: [NOPE]}) { totalCount } }"] {
            let english = refusal(app, &lin, document, "{}").await;
            assert!(english.is_ascii() && english.ends_with(['.', '?']), "{english}");
            assert!(english.starts_with(|c: char| c.is_uppercase()), "{english}");
            let chinese = lin.clone().with_language("zh-CN").ask(document).await;
            let chinese = chinese.message();
            assert!(!chinese.is_ascii() && chinese.ends_with('。'), "{chinese}");
        }
    }

    async fn half_a_character_is_an_error_of_its_field(app) {
        let lin = app.user("lin").await;
        let document = "mutation($t: String!) { createTask(input: {title: $t}) { task { id } } }";
        let reply = send(&lin, document, "{\"t\": \"a\\ud83d\"}").await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "BAD_USER_INPUT"));
        assert_eq!(reply.faults(), ["variables.t MALFORMED"]);
        let mut socket = Socket::init(app, json!({"authorization": format!("Bearer {}", lin.token())})).await;
        let payload = format!("{{\"query\": {}, \"variables\": {{\"t\": \"\\ude00\"}}}}", json!(document));
        let message = format!("{{\"id\": \"1\", \"type\": \"subscribe\", \"payload\": {payload}}}");
        socket.send_raw(tokio_tungstenite::tungstenite::Message::text(message)).await;
        let answer = socket.next().await.expect("a message");
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!("1")));
        assert_eq!(answer["payload"][0]["extensions"]["fields"][0]["path"], json!(["variables", "t"]));
        socket.ask("{ viewer { id } }").await;
    }

    async fn empty_credentials_are_none(app) {
        for value in ["", "   "] {
            let request = app.anonymous().post("/graphql").header("Authorization", value).json(&json!({"query": "{ viewer { id } }"}));
            assert_eq!(Reply::of(request).await.data(), &json!({"viewer": null}));
            let mut socket = Socket::init(app, json!({"authorization": value})).await;
            assert_eq!(socket.ask("{ viewer { id } }").await["data"], json!({"viewer": null}));
        }
    }

    async fn reads_bodies_and_parameters_as_clients_write_them(app) {
        let post = |body: Vec<u8>| Reply::of(app.anonymous().with_language("en").post("/graphql").header("Content-Type", "application/json").body(body));
        let marked = post("\u{feff}{\"query\": \"{ viewer { id } }\"}".into()).await;
        assert_eq!(marked.data(), &json!({"viewer": null}));
        let gbk = post(b"{\"query\": \"{ viewer { id } } # \xd6\xd0\"}".to_vec()).await;
        assert_eq!((gbk.status.as_u16(), gbk.code()), (400, "BAD_USER_INPUT"));
        assert!(gbk.message().contains("UTF-8"), "{}", gbk.body);
        let get = app.anonymous().get("/graphql?query=%7Bviewer%7Bid%7D%7D&operationName=&variables=&extensions=");
        assert_eq!(Reply::of(get).await.data(), &json!({"viewer": null}));
    }
}
