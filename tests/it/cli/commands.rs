use std::process::Output;

use tempfile::TempDir;

use crate::harness::{once, wegraph};

fn text(output: &Output) -> (bool, String, String) {
    let read = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (
        output.status.success(),
        read(&output.stdout),
        read(&output.stderr),
    )
}

async fn run(
    folder: &TempDir,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> (bool, String, String) {
    text(&wegraph(folder.path(), arguments, environment, input).await)
}

once! {
    async fn schema_prints_the_schema(){
        let folder = TempDir::new().expect("a folder");
        let (ok, output, _) = run(&folder, &["schema"], &[], "").await;
        assert!(ok && output == wegraph::schema::sdl());
    }

    async fn keygen_makes_a_key_that_serve_accepts(){
        let folder = TempDir::new().expect("a folder");
        let (_, first, _) = run(&folder, &["keygen"], &[], "").await;
        let (_, second, _) = run(&folder, &["keygen"], &[], "").await;
        assert_ne!(first, second);
        let (ok, output, error) = run(&folder, &["check-config"], &[("WEGRAPH_AUTH__SECRET", first.trim())], "").await;
        assert!(ok, "{error}");
        assert!(!output.contains(first.trim()) && output.contains("[redacted]"), "{output}");
    }

    async fn keygen_makes_private_keys_that_serve_accepts(){
        let folder = TempDir::new().expect("a folder");
        for algorithm in ["eddsa", "es256"] {
            let (ok, key, error) = run(&folder, &["keygen", "--algorithm", algorithm], &[], "").await;
            assert!(ok && key.starts_with("-----BEGIN PRIVATE KEY-----"), "{error}");
            std::fs::write(folder.path().join(algorithm), key).expect("a file");
        }
        std::fs::write(folder.path().join("none"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").expect("a file");
        let check = async |files: &str| run(&folder, &["check-config"], &[("WEGRAPH_AUTH__KEY_FILES", files)], "").await;
        let (ok, _, error) = check("eddsa,es256").await;
        assert!(ok, "{error}");
        for (files, wrong) in [("eddsa,none", "none: holds no private key"), ("missing.pem", "missing.pem: No such file")] {
            let (ok, _, error) = check(files).await;
            assert!(!ok && error.contains(wrong), "{error}");
        }
    }

    async fn check_config_and_serve_list_every_fault(){
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("wegraph.toml"), "colour = \"blue\"\n[wechat]\napp_id = \"wx1\"\n").expect("a file");
        let environment = [("WEGRAPH_LISTEN", "x"), ("WEGRAPH_AUTH__SECRET", "tooshort"), ("WEGRAPH_NOPE", "1")];
        for command in ["serve", "check-config"] {
            let (ok, _, error) = run(&folder, &[command], &environment, "").await;
            assert!(!ok);
            for part in ["colour", "wechat.app_secret", "listen", "auth.secret", "nope", "5 fault"] {
                assert!(error.contains(part), "{command}: {part}: {error}");
            }
            assert!(!error.contains("tooshort"));
        }
    }

    async fn later_layers_win(){
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("wegraph.toml"), "listen = \"127.0.0.1:1111\"\n[database]\nmax_connections = 3\n").expect("a file");
        std::fs::write(folder.path().join("other.toml"), "listen = \"127.0.0.1:4444\"\n").expect("a file");
        let shown = async |arguments: &[&str], environment: &[(&str, &str)]| run(&folder, arguments, environment, "").await.1;
        assert!(shown(&["check-config"], &[]).await.contains("listen = \"127.0.0.1:1111\""));
        assert!(shown(&["check-config"], &[("WEGRAPH_LISTEN", "127.0.0.1:2222")]).await.contains("listen = \"127.0.0.1:2222\""));
        let flag = shown(&["check-config", "--set", "listen=127.0.0.1:3333"], &[("WEGRAPH_LISTEN", "127.0.0.1:2222")]).await;
        assert!(flag.contains("listen = \"127.0.0.1:3333\"") && flag.contains("database.max_connections = \"3\""), "{flag}");
        assert!(shown(&["check-config", "--config", "other.toml"], &[]).await.contains("listen = \"127.0.0.1:4444\""));
    }

    async fn migrate_goes_up_and_down_and_says_where_it_stands(){
        let folder = TempDir::new().expect("a folder");
        let states = async |arguments: &[&str]| {
            let (ok, output, error) = run(&folder, arguments, &[], "").await;
            assert!(ok, "{error}");
            output.lines().map(|line| line.split_whitespace().next().expect("a word").to_owned()).collect::<Vec<_>>()
        };
        assert!(states(&["migrate", "status"]).await.iter().all(|state| state == "pending"));
        assert!(!folder.path().join("data").exists(), "looking changes nothing");
        assert!(states(&["migrate", "up"]).await.iter().all(|state| state == "applied"));
        assert!(folder.path().join("data/wegraph.db").exists());
        let down = states(&["migrate", "down"]).await;
        assert_eq!((down.first().map(String::as_str), down.last().map(String::as_str)), (Some("applied"), Some("pending")));
        assert!(states(&["migrate", "up"]).await.iter().all(|state| state == "applied"));
    }

    async fn users_are_created_and_promoted(){
        let folder = TempDir::new().expect("a folder");
        let (ok, output, error) = run(&folder, &["user", "create", "root", "--admin"], &[], "Tr4verse-it\n").await;
        assert!(ok && output.ends_with(" root\n"), "{error}");
        let (ok, _, error) = run(&folder, &["user", "create", "ROOT"], &[], "Tr4verse-it\n").await;
        assert!(!ok && error.contains("taken"), "{error}");
        let (ok, _, error) = run(&folder, &["user", "create", "lin"], &[], "pa55\n").await;
        assert!(!ok && error.contains("password") && !error.contains("pa55"), "{error}");
        let (ok, _, error) = run(&folder, &["user", "create", "x y"], &[], "Tr4verse-it\n").await;
        assert!(!ok && error.contains("username"), "{error}");
        assert!(!run(&folder, &["user", "create", "lin"], &[], "").await.0, "no password");
        assert!(run(&folder, &["user", "create", "lin"], &[], "Tr4verse-it\n").await.0);
        assert!(run(&folder, &["user", "promote", "LIN"], &[], "").await.0);
        assert!(!run(&folder, &["user", "promote", "nobody"], &[], "").await.0);
        assert!(run(&folder, &["user", "unlock", "lin"], &[], "").await.0);
        assert!(!run(&folder, &["user", "unlock", "nobody"], &[], "").await.0);
    }
}
