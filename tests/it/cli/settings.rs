//! Settings as other tools write them.

use std::path::Path;

use tempfile::TempDir;

use crate::harness::{SECRET, Server, once, wegraph};

/// What Kubernetes puts into a container beside the Services `wegraph` and `wegraph-db`.
const SERVICE_LINKS: [(&str, &str); 9] = [
    ("WEGRAPH_SERVICE_HOST", "10.0.0.1"),
    ("WEGRAPH_SERVICE_PORT", "8000"),
    ("WEGRAPH_SERVICE_PORT_HTTP", "8000"),
    ("WEGRAPH_PORT", "tcp://10.0.0.1:8000"),
    ("WEGRAPH_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
    ("WEGRAPH_PORT_8000_TCP_ADDR", "10.0.0.1"),
    ("WEGRAPH_PORT_8000_TCP_PORT", "8000"),
    ("WEGRAPH_PORT_8000_TCP_PROTO", "tcp"),
    ("WEGRAPH_DB_PORT_5432_TCP_ADDR", "10.0.0.2"),
];

/// Whether `check-config` is content, what it prints and what it finds wrong.
async fn check(folder: &Path, environment: &[(&str, &str)]) -> (bool, String, String) {
    let mut all = vec![("WEGRAPH_AUTH__SECRET", SECRET)];
    all.extend(environment);
    let output = wegraph(folder, &["check-config"], &all, "").await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let success = output.status.success();
    (success, text(&output.stdout), text(&output.stderr))
}

once! {
    async fn serves_with_what_containers_bring_along(){
        let folder = TempDir::new().expect("a folder");
        let mut environment = vec![
            ("WEGRAPH_AUTH__SECRET", SECRET),
            ("WEGRAPH_LISTEN", "localhost:0"),
            ("WEGRAPH_GRAPHQL__PLAYGROUND", "TRUE"),
            ("WEGRAPH_CORS__ORIGINS", "https://admin.example.com/"),
            ("WEGRAPH_RATE_LIMIT__ENABLED", ""),
            ("WEGRAPH_DATABASE__MAX_CONNECTIONS", ""),
        ];
        environment.extend(SERVICE_LINKS);
        let server = Server::serve(folder.path(), &environment).await;
        for path in ["/readyz", "/graphiql"] {
            let answer = server.client().get(path).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{path}");
        }
        let log = server.terminate().await;
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("Kubernetes")).collect();
        assert_eq!(lines.len(), 1, "{log}");
        for (name, _) in SERVICE_LINKS {
            assert!(lines[0].contains(name), "{name}: {log}");
        }
    }

    async fn check_config_shows_which_variables_are_no_settings(){
        let folder = TempDir::new().expect("a folder");
        let (ok, output, error) = check(folder.path(), &SERVICE_LINKS).await;
        assert!(ok && output.contains("WEGRAPH_PORT_8000_TCP_PROTO"), "{output}{error}");
        let (ok, output, _) = check(folder.path(), &[]).await;
        assert!(ok && !output.contains("Kubernetes"), "{output}");
    }

    async fn says_what_is_wrong_and_what_is_meant(){
        let folder = TempDir::new().expect("a folder");
        for (name, value, problem) in [
            ("WEGRAPH_PORT", "8000", "WEGRAPH_LISTEN"),
            ("WEGRAPH_DATABASE_URL", "sqlite://x", "WEGRAPH_DATABASE__URL"),
            ("WEGRAPH_LISTEN", "api.example.com:8000", "neither an IP address nor localhost"),
            ("WEGRAPH_LISTEN", "8000", ":8000"),
            ("WEGRAPH_CORS__ORIGINS", "https://*.example.com", "list each origin"),
            ("WEGRAPH_HTTP__FORWARDING_HEADER", "auto", "must be x-forwarded-for or forwarded"),
            ("WEGRAPH_RATE_LIMIT__ENABLED", "maybe", "neither true nor false"),
        ] {
            let (ok, _, error) = check(folder.path(), &[(name, value)]).await;
            for part in [name, problem, "1 fault"] {
                assert!(!ok && error.contains(part), "{name}={value}: {error}");
            }
        }
    }

    async fn does_not_start_before_it_knows_which_header_the_proxies_set(){
        let folder = TempDir::new().expect("a folder");
        let proxies = ("WEGRAPH_HTTP__TRUSTED_PROXIES", "127.0.0.1");
        let environment = [("WEGRAPH_AUTH__SECRET", SECRET), proxies];
        let output = wegraph(folder.path(), &["serve"], &environment, "").await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{error}");
        for part in ["http.forwarding_header", "x-forwarded-for or forwarded", "1 fault"] {
            assert!(error.contains(part), "{error}");
        }
        let header = ("WEGRAPH_HTTP__FORWARDING_HEADER", "forwarded");
        let (ok, _, error) = check(folder.path(), &[proxies, header]).await;
        assert!(ok, "{error}");
    }

    async fn a_file_and_flags_are_read_the_same_way(){
        let folder = TempDir::new().expect("a folder");
        let lines = ["listen = ' :9000 '", "[log]", "format = 'TEXT'", "filter = ''"];
        std::fs::write(folder.path().join("wegraph.toml"), lines.join("\n")).expect("a file");
        let arguments = ["check-config", "--set", "listen=", "--set", "graphql.playground=Yes"];
        let environment = [("WEGRAPH_AUTH__SECRET", SECRET)];
        let output = wegraph(folder.path(), &arguments, &environment, "").await;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in ["listen = \":9000\"  # wegraph.toml", "log.filter = \"info\"  # default"] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }
}
