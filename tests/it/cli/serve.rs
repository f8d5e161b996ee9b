use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;
use wegraph::platform::clock::SystemClock;
use wegraph::simulator::github::{GithubFault, GithubSimulator};
use wegraph::simulator::wechat::WechatSimulator;

use crate::harness::{SECRET, Server, TestDatabase, on_each_database, once};
use crate::http::socket::Socket;

once! {
    async fn writes_no_secret_to_its_log(){
        let folder = TempDir::new().expect("a folder");
        let wechat = WechatSimulator::start(&[("wx00secretapp", "the-app-secret-1")], Arc::new(SystemClock)).await.expect("the simulator");
        let github = GithubSimulator::start(Arc::new(SystemClock)).await.expect("the simulator");
        let (server_token, token_of_ada) = (github.issue_token("example-org"), github.issue_token("ada"));
        let server = Server::serve(folder.path(), &[
            ("WEGRAPH_AUTH__SECRET", SECRET), ("WEGRAPH_LOG__FILTER", "trace,h2::codec=trace,hyper_util::client::legacy=trace,sqlx::query=trace,sea_orm::driver=trace"), ("WEGRAPH_WECHAT__APP_ID", "wx00secretapp"),
            ("WEGRAPH_WECHAT__APP_SECRET", "the-app-secret-1"), ("WEGRAPH_WECHAT__BASE_URL", &wechat.base_url()), ("WEGRAPH_WECHAT__TIMEOUT_MS", "300"),
            ("WEGRAPH_GITHUB__API_URL", &github.base_url()), ("WEGRAPH_GITHUB__WEB_URL", &github.base_url()), ("WEGRAPH_GITHUB__TOKEN", &server_token), ("WEGRAPH_GITHUB__TIMEOUT_MS", "1000"),
        ]).await;
        let client = server.client();
        let mut secrets = vec![SECRET.to_owned(), "the-app-secret-1".to_owned(), wechat.openid("mei"), wechat.session_key("mei"), "Tr4verse-it".to_owned()];
        for code in ["sim-mei-1", "sim-error-40125", "sim-error-40164", "sim-error-timeout", "sim-error-close", "sim-error-html", "sim-error-45009"] {
            let reply = client.run("mutation($c: String!) { login(input: {wechat: {code: $c}}) { accessToken refreshToken } }", json!({"c": code})).await;
            secrets.push(code.to_owned());
            if let Some(login) = reply.body["data"]["login"].as_object() {
                secrets.extend(login.values().map(|token| token.as_str().expect("a token").to_owned()));
                let me = server.client().with_token(login["accessToken"].as_str().expect("a token"));
                me.ask("{ viewer { id } }").await.data();
            }
        }
        client.ask("mutation { register(input: {username: \"lin\", password: \"Tr4verse-it\"}) { isNewUser } }").await.data();
        let mut socket = Socket::init_at(&server.base_url, json!({})).await;
        let login = socket.ask("mutation { login(input: {password: {username: \"lin\", password: \"Tr4verse-it\"}}) { accessToken refreshToken } }").await;
        secrets.extend(login["data"]["login"].as_object().expect("tokens").values().map(|token| token.as_str().expect("a token").to_owned()));
        let token = json!({"authorization": format!("Bearer {}", login["data"]["login"]["accessToken"].as_str().expect("a token"))});
        let mut socket = Socket::init_at(&server.base_url, token).await;
        socket.ask("mutation { bindPhoneNumber(input: {code: \"sim-phone13800138000-1\"}) { user { phoneNumber } } }").await;
        secrets.extend(["sim-phone13800138000-1".to_owned(), "13800138000".to_owned()]);
        let inline = format!("mutation {{ linkGithub(input: {{token: \"{token_of_ada}\"}}) {{ user {{ githubLogin }} }} }}");
        assert_eq!(socket.ask(&inline).await["data"]["linkGithub"]["user"]["githubLogin"], json!("ada"));
        socket.ask(&inline.replace("token:", "tokens:")).await;
        socket.ask(&inline.replace("\"}", "\\u0007\"}")).await;
        socket.ask(&inline.replace(&token_of_ada, "ghp_refusedByGithub")).await;
        socket.ask("{ viewer { githubEvents { nodes { id } } } trendingRepositories { items { repository { stars readme { path } } } } }").await;
        for fault in [GithubFault::Status(500), GithubFault::Break, GithubFault::Moved(format!("https://evil.example/?token={token_of_ada}"))] {
            github.fail("/", fault);
            socket.ask("{ developer(login: \"ada\") { name } trendingDevelopers { items { login } } }").await;
            socket.ask(&inline).await;
            github.recover();
        }
        github.revoke(&token_of_ada);
        github.revoke(&server_token);
        socket.ask(&inline).await;
        client.ask("{ developer(login: \"kim\") { name } }").await;
        secrets.extend([token_of_ada, server_token, "ghp_refusedByGithub".to_owned()]);
        let log = server.terminate().await;
        assert!(log.contains("the AppSecret is wrong"), "the operator is told: {log}");
        for part in ["\"path\":\"/sns/jscode2session\"", "\"upstream\":\"WeChat\"", "\"problem\":\"the connection broke\"", "\"duration_ms\":", "\"host\":\"127.0.0.1\"", "\"method\":\"GET\"", "\"path\":\"/users/{username}/received_events\"", "\"path\":\"/trending/{language}\"", "github.token is not accepted"] {
            assert!(log.contains(part), "{part} is not in the log: {log}");
        }
        for secret in secrets {
            assert!(!log.contains(&secret), "{secret} is in the log");
        }
    }

    async fn keeps_its_files_to_itself(){
        let folder = TempDir::new().expect("a folder");
        let server = Server::serve(folder.path(), &[("WEGRAPH_AUTH__SECRET", SECRET)]).await;
        let page = server.client().get("/graphiql").send().await.expect("an answer");
        assert_eq!(page.status(), 404, "GraphiQL is off unless it is turned on");
        let login = server.client().ask("mutation { login(input: {wechat: {code: \"sim-mei-1\"}}) { isNewUser } }").await;
        assert_eq!(login.code(), "WECHAT_NOT_CONFIGURED");
        let mode = std::fs::metadata(folder.path().join("data/wegraph.db")).expect("the database").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        server.terminate().await;
    }

    async fn waits_for_the_operator_when_it_must_not_migrate(){
        let folder = TempDir::new().expect("a folder");
        let environment = [("WEGRAPH_AUTH__SECRET", SECRET), ("WEGRAPH_DATABASE__MIGRATE_ON_START", "false")];
        let output = crate::harness::wegraph(folder.path(), &["serve"], &environment, "").await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains("wegraph migrate up"), "{error}");
        crate::harness::wegraph(folder.path(), &["migrate", "up"], &[], "").await;
        Server::serve(folder.path(), &environment).await.terminate().await;
    }
}

on_each_database! {
    async fn one_setting_changes_the_database(app) {
        let database = TestDatabase::empty(app.engine).await;
        let folder = TempDir::new().expect("a folder");
        let url = database.config.url.expose_secret().to_owned();
        let environment = [("WEGRAPH_AUTH__SECRET", SECRET), ("WEGRAPH_DATABASE__URL", url.as_str())];
        let server = Server::serve(folder.path(), &environment).await;
        let reply = server.client().ask("mutation { register(input: {username: \"lin\", password: \"Tr4verse-it\", displayName: \"林 😀\"}) { isNewUser } }").await;
        assert_eq!(reply.data()["register"]["isNewUser"], true);
        server.terminate().await;
        let server = Server::serve(folder.path(), &environment).await;
        let reply = server.client().ask("mutation { login(input: {password: {username: \"lin\", password: \"Tr4verse-it\"}}) { user { displayName } } }").await;
        assert_eq!(reply.data()["login"]["user"]["displayName"], "林 😀");
        server.terminate().await;
        database.drop().await;
    }
}
