use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;
use wegraph::platform::clock::SystemClock;
use wegraph::simulator::wechat::WechatSimulator;

use crate::harness::{SECRET, Server, TestDatabase, on_each_database, once};
use crate::http::socket::Socket;

once! {
    async fn writes_no_secret_to_its_log(){
        let folder = TempDir::new().expect("a folder");
        let wechat = WechatSimulator::start(&[("wx00secretapp", "the-app-secret-1")], Arc::new(SystemClock)).await.expect("the simulator");
        let server = Server::serve(folder.path(), &[
            ("WEGRAPH_AUTH__SECRET", SECRET), ("WEGRAPH_LOG__FILTER", "trace,h2::codec=trace,hyper_util::client::legacy=trace,sqlx::query=trace,sea_orm::driver=trace"), ("WEGRAPH_WECHAT__APP_ID", "wx00secretapp"),
            ("WEGRAPH_WECHAT__APP_SECRET", "the-app-secret-1"), ("WEGRAPH_WECHAT__BASE_URL", &wechat.base_url()), ("WEGRAPH_WECHAT__TIMEOUT_MS", "300"),
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
        let log = server.terminate().await;
        assert!(log.contains("the AppSecret is wrong"), "the operator is told: {log}");
        for part in ["\"path\":\"/sns/jscode2session\"", "\"upstream\":\"WeChat\"", "\"problem\":\"the connection broke\"", "\"duration_ms\":"] {
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
