//! The layers of settings: where each value comes from, and whether it is what it should be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use crate::platform::config::reader::{Entry, Reader, days};
use crate::platform::config::rules::{check_database, check_keys, redact_url};
use crate::platform::config::unknown::{is_service_link, nearest};
use crate::platform::config::{
    AuditConfig, Config, ConfigFaults, CorsConfig, DatabaseConfig, DocumentPolicy, HttpConfig,
    LogConfig, LogFormat, NotificationsConfig, Purpose, WebsocketConfig,
};

const DEFAULTS: &str = include_str!("../../../config/default.toml");
const PREFIX: &str = "WEGRAPH_";
const DEFAULT_FILE: &str = "wegraph.toml";
/// What a `[[wechat.app]]` may have.
const LISTED_APP: [&str; 5] = [
    "id",
    "secret",
    "reminder_template_id",
    "reminder_fields",
    "reminder_page",
];

/// Where settings come from besides the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file; without one `wegraph.toml` is read when it exists.
    pub file: Option<PathBuf>,
    /// The process environment, or a test's.
    pub environment: Vec<(String, String)>,
    /// `name=value` flags.
    pub flags: Vec<String>,
}

impl Sources {
    /// The environment of this process, a file and flags of the command line.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                name.starts_with(PREFIX)
                    .then(|| (name, value.to_string_lossy().into_owned()))
            })
            .collect();
        Self {
            file,
            environment,
            flags,
        }
    }
}

/// The layers put together, before the values are read as what they should be.
#[derive(Debug)]
pub struct Settings {
    entries: BTreeMap<String, Entry>,
    faults: Vec<String>,
    service_links: Vec<String>,
}

impl Settings {
    /// Reads the layers; faults are kept until [`Settings::check`].
    pub fn load(sources: &Sources, purpose: Purpose) -> Self {
        let mut settings = Self {
            entries: BTreeMap::new(),
            faults: Vec::new(),
            service_links: Vec::new(),
        };
        match DEFAULTS.parse::<toml::Table>() {
            Ok(table) => {
                for (name, value) in flatten(&table) {
                    let value = value.unwrap_or_default();
                    settings.entries.insert(
                        name,
                        Entry {
                            value,
                            source: "default".to_owned(),
                        },
                    );
                }
            }
            Err(error) => settings.faults.push(format!("embedded defaults: {error}")),
        }
        if purpose == Purpose::Dev {
            for (name, value) in [
                ("graphql.introspection", "true"),
                ("graphql.playground", "true"),
                ("log.format", "text"),
                ("rate_limit.enabled", "false"),
            ] {
                settings.overlay(name, value.to_owned(), "dev");
            }
        }
        settings.load_file(sources.file.as_deref());
        for (variable, value) in &sources.environment {
            if let Some(name) = variable.strip_prefix(PREFIX) {
                let name = name.to_lowercase().replace("__", ".");
                if !settings.knows(&name) && is_service_link(variable, value) {
                    settings.service_links.push(variable.clone());
                } else {
                    settings.overlay(&name, value.clone(), &format!("environment {variable}"));
                }
            }
        }
        for flag in &sources.flags {
            match flag.split_once('=') {
                Some((name, value)) => settings.overlay(name.trim(), value.to_owned(), "flag"),
                None => settings
                    .faults
                    .push(format!("flag --set {flag}: expected name=value")),
            }
        }
        settings
    }

    fn load_file(&mut self, file: Option<&Path>) {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        if file.is_none() && !path.exists() {
            return;
        }
        let shown = path.display();
        let table = match std::fs::read_to_string(path) {
            Ok(text) => text
                .parse::<toml::Table>()
                .map_err(|e| e.message().to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match table {
            Ok(table) => {
                for (name, value) in flatten(&table) {
                    match value {
                        Some(value) => self.overlay(&name, value, &shown.to_string()),
                        None => self.faults.push(format!(
                            "{shown}: {name} must be one value or a list of texts"
                        )),
                    }
                }
            }
            Err(error) => self.faults.push(format!("{shown}: {error}")),
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.entries.contains_key(name) || is_of_listed_app(name)
    }

    fn overlay(&mut self, name: &str, value: String, source: &str) {
        if !self.knows(name) {
            let listed = match name.split('.').collect::<Vec<_>>()[..] {
                ["wechat", "app", number, _] => {
                    LISTED_APP.map(|part| format!("wechat.app.{number}.{part}"))
                }
                _ => Default::default(),
            };
            let known = self.entries.keys().chain(&listed).map(String::as_str);
            let meant = nearest(name, known.filter(|name| self.knows(name)));
            let hint = meant.map(|meant| {
                let variable = meant.to_uppercase().replace('.', "__");
                format!("; the nearest is {meant} ({PREFIX}{variable})")
            });
            self.faults.push(format!(
                "{source}: unknown setting {name}{}",
                hint.unwrap_or_default()
            ));
        } else if !value.trim().is_empty() {
            let (value, source) = (value.trim().to_owned(), source.to_owned());
            self.entries
                .insert(name.to_owned(), Entry { value, source });
        }
    }

    /// Whether a layer above the defaults set `name`.
    pub fn is_set(&self, name: &str) -> bool {
        self.entries
            .get(name)
            .is_some_and(|entry| entry.source != "default" && !entry.value.is_empty())
    }

    /// Sets a value that only the running command knows.
    pub fn set(&mut self, name: &str, value: String, source: &str) {
        self.overlay(name, value, source);
    }

    /// Every setting as `name = "value"  # where it came from`, secrets replaced.
    pub fn redacted(&self) -> String {
        let mut text = String::new();
        for (name, entry) in &self.entries {
            let value = match name.as_str() {
                _ if entry.value.is_empty() => String::new(),
                "auth.secret" | "auth.previous_secrets" | "wechat.app_secret" | "github.token" => {
                    "[redacted]".to_owned()
                }
                name if is_of_listed_app(name) && name.ends_with(".secret") => {
                    "[redacted]".to_owned()
                }
                "database.url" => redact_url(&entry.value),
                _ => entry.value.clone(),
            };
            text.push_str(&format!("{name} = {value:?}  # {}\n", entry.source));
        }
        if !self.service_links.is_empty() {
            let names = self.service_links.join(", ");
            text.push_str(&format!("# set by Kubernetes for its Services: {names}\n"));
        }
        text
    }

    /// Reads every value as what it should be.
    ///
    /// # Errors
    /// All faults at once.
    pub fn check(self, purpose: Purpose) -> Result<Config, ConfigFaults> {
        let Self {
            entries,
            mut faults,
            service_links,
        } = self;
        let mut reader = Reader::new(&entries, &mut faults);
        let trusted_proxies = reader.networks("http.trusted_proxies");
        let forwarding_header =
            reader.forwarding_header("http.forwarding_header", &trusted_proxies);
        let mut config = Config {
            listen: reader.listen("listen", purpose),
            database: DatabaseConfig {
                url: reader.text("database.url").into(),
                max_connections: reader.within("database.max_connections", 1, 1000) as u32,
                migrate_on_start: reader.boolean("database.migrate_on_start"),
                statement_timeout: reader.millis("database.statement_timeout_ms", 100, 600_000),
            },
            auth: reader.auth(),
            password: reader.password(),
            wechat: reader.wechat(),
            github: reader.github(),
            http: HttpConfig {
                trusted_proxies,
                forwarding_header,
                max_connections: reader.within("http.max_connections", 1, 1_000_000) as usize,
                max_connections_per_address: reader.within(
                    "http.max_connections_per_address",
                    1,
                    1_000_000,
                ) as usize,
                header_timeout: reader.millis("http.header_timeout_ms", 100, 600_000),
                body_timeout: reader.millis("http.body_timeout_ms", 100, 600_000),
                write_timeout: reader.millis("http.write_timeout_ms", 100, 600_000),
                max_pending_bytes: reader.within("http.max_pending_bytes", 1 << 20, 1 << 40),
                pending_bytes_per_caller: reader.within(
                    "http.pending_bytes_per_caller",
                    1 << 20,
                    1 << 40,
                ),
            },
            cors: CorsConfig {
                origins: reader.origins("cors.origins"),
                allowed_headers: reader.header_names("cors.allowed_headers"),
            },
            graphql: reader.graphql(),
            websocket: WebsocketConfig {
                init_timeout: reader.millis("websocket.init_timeout_ms", 100, 600_000),
                max_sockets_per_user: reader.within("websocket.max_sockets_per_user", 1, 100_000)
                    as usize,
                max_sockets_per_address: reader.within(
                    "websocket.max_sockets_per_address",
                    1,
                    1_000_000,
                ) as usize,
                max_sockets: reader.within("websocket.max_sockets", 0, 1_000_000) as usize,
                max_operations: reader.within("websocket.max_operations", 1, 10_000) as usize,
                max_subscriptions_per_address: reader.within(
                    "websocket.max_subscriptions_per_address",
                    1,
                    1_000_000,
                ) as usize,
                max_message_bytes: reader.within("websocket.max_message_bytes", 1024, 16 << 20)
                    as usize,
                message_timeout: reader.millis("websocket.message_timeout_ms", 100, 600_000),
                ping_interval: reader.millis("websocket.ping_interval_ms", 100, 600_000),
            },
            rate_limit: reader.rate_limit(),
            fair_shares: reader.fair_shares(),
            audit: AuditConfig {
                retention: days(reader.within("audit.retention_days", 1, 36_500)),
            },
            notifications: NotificationsConfig {
                retention: days(reader.within("notifications.retention_days", 1, 36_500)),
            },
            log: LogConfig {
                filter: reader.text("log.filter"),
                format: reader.parse("log.format", LogFormat::Json),
            },
            service_links,
        };
        // GraphiQL without the schema would be an editor without help.
        config.graphql.introspection |= config.graphql.playground;
        if config.password.min_length > config.password.max_length {
            reader.fault("password.min_length", "is above password.max_length");
        }
        if config.graphql.pages.default > config.graphql.pages.max {
            reader.fault(
                "graphql.default_page_size",
                "is above graphql.max_page_size",
            );
        }
        let http = &config.http;
        for (name, value) in [
            ("http.max_pending_bytes", http.max_pending_bytes),
            (
                "http.pending_bytes_per_caller",
                http.pending_bytes_per_caller,
            ),
        ] {
            if config.graphql.max_reply_bytes as u64 > value {
                let fault = format!("is above {name}");
                reader.fault("graphql.max_reply_bytes", fault);
            }
        }
        // Messages are read up to twice the largest size, and take three times their bytes.
        let largest = config.graphql.max_body_bytes + (64 << 10);
        let largest = largest.max(config.websocket.max_message_bytes * 6) as u64;
        if config.fair_shares.max_arriving_bytes < largest {
            let fault = format!("is less than {largest}, which one body or message may take");
            reader.fault("fair_shares.max_arriving_bytes", fault);
        }
        if config.fair_shares.bytes_per_caller > config.fair_shares.max_bytes {
            let fault = "is above fair_shares.max_bytes";
            reader.fault("fair_shares.bytes_per_caller", fault);
        }
        if config.graphql.documents != DocumentPolicy::Any
            && config.graphql.trusted_documents.is_none()
        {
            reader.fault(
                "graphql.trusted_documents",
                "must be set unless graphql.documents is any",
            );
        }
        reader.check_log_filter();
        check_database(config.database.url.expose_secret(), &mut faults);
        match purpose {
            Purpose::Serve => check_keys(&config.auth, &mut faults),
            Purpose::Dev if !config.listen.ip().is_loopback() => faults.push(format!(
                "listen: `wegraph dev` accepts loopback addresses only, not {}; use `wegraph serve`",
                config.listen
            )),
            _ => {}
        }
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigFaults(faults))
        }
    }
}

/// Whether `name` is like `wechat.app.N.id`: a part of a `[[wechat.app]]`, of which there may be any number.
pub(super) fn is_of_listed_app(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    matches!(parts[..], ["wechat", "app", number, part] if LISTED_APP.contains(&part)
        && number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty())
}

/// Leaves of a table as dotted names, a list of texts as one text with commas, a list of tables with their numbers as names;
/// `None` stands for what no setting is.
fn flatten(table: &toml::Table) -> Vec<(String, Option<String>)> {
    let mut leaves = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => leaves.extend(
                flatten(inner)
                    .into_iter()
                    .map(|(name, leaf)| (format!("{key}.{name}"), leaf)),
            ),
            toml::Value::Array(items) if items.iter().all(toml::Value::is_table) => {
                for (number, item) in items.iter().filter_map(toml::Value::as_table).enumerate() {
                    leaves.extend(
                        flatten(item)
                            .into_iter()
                            .map(|(name, leaf)| (format!("{key}.{number}.{name}"), leaf)),
                    );
                }
            }
            toml::Value::Array(items) => {
                let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
                leaves.push((key.clone(), items.map(|items| items.join(","))));
            }
            toml::Value::String(text) => leaves.push((key.clone(), Some(text.clone()))),
            other => leaves.push((key.clone(), Some(other.to_string()))),
        }
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::config::{ForwardingHeader, Origins};

    const GOOD: &str = "7d2c1f0e9b8a47566f5e4d3c2b1a0918";

    fn check(environment: &[(&str, &str)], purpose: Purpose) -> Result<Config, ConfigFaults> {
        let sources = Sources {
            environment: environment
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            ..Sources::default()
        };
        Settings::load(&sources, purpose).check(purpose)
    }

    #[test]
    fn reports_every_fault_at_once() {
        let faults = check(
            &[
                ("WEGRAPH_LISTEN", "nowhere"),
                ("WEGRAPH_COLOUR", "blue"),
                ("WEGRAPH_DATABASE__URL", "oracle://x"),
                ("WEGRAPH_WECHAT__APP_ID", "wx1"),
            ],
            Purpose::Serve,
        )
        .unwrap_err()
        .0;
        for part in [
            "listen",
            "colour",
            "database.url",
            "wechat.app_secret",
            "auth.secret",
        ] {
            assert!(
                faults.iter().any(|fault| fault.contains(part)),
                "{part}: {faults:?}"
            );
        }
        assert_eq!(faults.len(), 5);
    }

    #[test]
    fn refuses_weak_and_known_keys_to_serve() {
        for weak in [
            "",
            "short",
            "your-256-bit-secret-your-256-bit-secret",
            "CHANGE_ME-please-0123456789-0123456789",
            "a-string-secret-at-least-256-bits-long",
            &"k".repeat(64),
            &"abcd".repeat(16),
        ] {
            let faults = check(&[("WEGRAPH_AUTH__SECRET", weak)], Purpose::Serve).unwrap_err();
            assert_eq!(faults.0.len(), 1, "{weak}");
        }
        assert!(check(&[("WEGRAPH_AUTH__SECRET", GOOD)], Purpose::Serve).is_ok());
        assert!(check(&[("WEGRAPH_AUTH__SECRET", "short")], Purpose::Dev).is_ok());
    }

    #[test]
    fn old_keys_are_held_to_the_same_and_key_files_need_no_secret() {
        let files = ("WEGRAPH_AUTH__KEY_FILES", "a.pem, b.pem");
        let config = check(&[files], Purpose::Serve).unwrap();
        assert_eq!(config.auth.key_files.len(), 2);
        assert!(check(&[files, ("WEGRAPH_AUTH__SECRET", "short")], Purpose::Serve).is_err());
        let old = ("WEGRAPH_AUTH__PREVIOUS_SECRETS", "short");
        assert!(check(&[("WEGRAPH_AUTH__SECRET", GOOD), old], Purpose::Serve).is_err());
    }

    #[test]
    fn several_mini_programs_come_from_a_file_or_the_environment() {
        let folder =
            std::env::temp_dir().join(format!("wegraph-{}", crate::platform::id::new_id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("apps.toml");
        let text = "[[wechat.app]]\nid = \"wx1\"\nsecret = \"one\"\n[[wechat.app]]\nid = \"wx2\"\nsecret = \"two\"\n";
        std::fs::write(&file, text).unwrap();
        let load = |environment: &[(&str, &str)]| {
            let environment = environment
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()));
            let sources = Sources {
                file: Some(file.clone()),
                environment: environment.collect(),
                ..Sources::default()
            };
            Settings::load(&sources, Purpose::Tool)
        };
        let ids = |config: Config| {
            config
                .wechat
                .apps
                .into_iter()
                .map(|app| app.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(load(&[]).check(Purpose::Tool).unwrap()), ["wx1", "wx2"]);
        let more = [
            ("WEGRAPH_WECHAT__APP__1__ID", "wx9"),
            ("WEGRAPH_WECHAT__APP_ID", "wx0"),
            ("WEGRAPH_WECHAT__APP_SECRET", "zero"),
        ];
        assert_eq!(
            ids(load(&more).check(Purpose::Tool).unwrap()),
            ["wx0", "wx1", "wx9"]
        );
        assert!(!load(&[]).redacted().contains("two"));
        for wrong in ["WEGRAPH_WECHAT__APP__2__ID", "WEGRAPH_WECHAT__APP__0__NAME"] {
            assert!(
                load(&[(wrong, "wx3")]).check(Purpose::Tool).is_err(),
                "{wrong}"
            );
        }
        assert!(
            load(&[("WEGRAPH_WECHAT__APP__1__ID", "wx1")])
                .check(Purpose::Tool)
                .is_err()
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn templates_belong_to_mini_programs_and_must_be_sendable() {
        let app = [
            ("WEGRAPH_WECHAT__APP_ID", "wx1"),
            ("WEGRAPH_WECHAT__APP_SECRET", "one"),
            ("WEGRAPH_WECHAT__APP__0__ID", "wx2"),
            ("WEGRAPH_WECHAT__APP__0__SECRET", "two"),
        ];
        let with = |more: &[(&str, &str)]| {
            let mut all = app.to_vec();
            all.extend(more);
            check(&all, Purpose::Tool)
        };
        let none = with(&[]).unwrap();
        assert!(none.wechat.apps.iter().all(|app| app.reminder.is_none()));
        let both = with(&[
            ("WEGRAPH_WECHAT__REMINDER_TEMPLATE_ID", "t1"),
            ("WEGRAPH_WECHAT__REMINDER_PAGE", "/pages/a?b={taskId}"),
            ("WEGRAPH_WECHAT__APP__0__REMINDER_TEMPLATE_ID", "t2"),
            ("WEGRAPH_WECHAT__APP__0__REMINDER_FIELDS", "thing9=title"),
        ])
        .unwrap();
        let reminders: Vec<_> = both
            .wechat
            .apps
            .into_iter()
            .filter_map(|app| app.reminder)
            .map(|one| (one.id, one.page, one.fields.len()))
            .collect();
        let page = Some("pages/a?b={taskId}".to_owned());
        assert_eq!(
            reminders,
            [
                ("t1".to_owned(), page.clone(), 2),
                ("t2".to_owned(), page, 1)
            ]
        );
        for (name, value) in [
            ("WEGRAPH_WECHAT__REMINDER_FIELDS", "thing1=owner"),
            ("WEGRAPH_WECHAT__REMINDER_FIELDS", ","),
            (
                "WEGRAPH_WECHAT__REMINDER_FIELDS",
                "thing1=title,thing1=notes",
            ),
            ("WEGRAPH_WECHAT__REMINDER_PAGE", "pages/a b"),
            ("WEGRAPH_WECHAT__REMINDER_PAGE", "pages/a?b={taskid}"),
            ("WEGRAPH_WECHAT__MESSAGE_STATE", "released"),
            ("WEGRAPH_WECHAT__MESSAGE_LANGUAGE", "fr_FR"),
            ("WEGRAPH_WECHAT__UTC_OFFSET_MINUTES", "1440"),
        ] {
            let template = ("WEGRAPH_WECHAT__REMINDER_TEMPLATE_ID", "t1");
            let faults = with(&[template, (name, value)]).unwrap_err().0;
            assert_eq!(faults.len(), 1, "{name}={value}: {faults:?}");
        }
        let alone = [("WEGRAPH_WECHAT__REMINDER_TEMPLATE_ID", "t1")];
        assert_eq!(check(&alone, Purpose::Tool).unwrap_err().0.len(), 1);
    }

    #[test]
    fn takes_values_of_the_environment_as_text() {
        let digits = "12345678901234567890123456789012";
        let config = check(&[("WEGRAPH_AUTH__SECRET", digits)], Purpose::Serve).unwrap();
        assert_eq!(config.auth.secret.expose_secret(), digits);
    }

    #[test]
    fn an_empty_value_is_not_set() {
        let config = check(&[], Purpose::Dev).unwrap();
        let names: Vec<String> = Settings::load(&Sources::default(), Purpose::Dev)
            .entries
            .into_keys()
            .collect();
        for blank in ["", " ", "\t\n"] {
            let sources = Sources {
                environment: names
                    .iter()
                    .map(|name| name.to_uppercase().replace('.', "__"))
                    .map(|name| (format!("{PREFIX}{name}"), blank.to_owned()))
                    .collect(),
                flags: names.iter().map(|name| format!("{name}={blank}")).collect(),
                ..Sources::default()
            };
            let emptied = Settings::load(&sources, Purpose::Dev).check(Purpose::Dev);
            assert_eq!(format!("{:?}", emptied.unwrap()), format!("{config:?}"));
        }
        let sources = Sources {
            environment: vec![("WEGRAPH_LISTEN".to_owned(), " :9000 ".to_owned())],
            flags: vec!["listen=".to_owned()],
            ..Sources::default()
        };
        let settings = Settings::load(&sources, Purpose::Tool);
        let config = settings.check(Purpose::Tool).unwrap();
        assert_eq!(config.listen.port(), 9000, "the value below stays");
        let nothing = [("WEGRAPH_PASSWORD__REQUIRED", "none")];
        let config = check(&nothing, Purpose::Tool).unwrap();
        assert_eq!(config.password.required, []);
    }

    #[test]
    fn words_may_be_written_in_any_case() {
        for (text, expected) in [
            ("TRUE", true),
            (" True ", true),
            ("1", true),
            ("yes", true),
            ("On", true),
            ("FALSE", false),
            ("0", false),
            ("No", false),
            ("off", false),
        ] {
            let config = check(&[("WEGRAPH_RATE_LIMIT__ENABLED", text)], Purpose::Tool).unwrap();
            assert_eq!(config.rate_limit.enabled, expected, "{text}");
        }
        for text in ["2", "tru", "y", "true true", "-"] {
            let faults = check(&[("WEGRAPH_RATE_LIMIT__ENABLED", text)], Purpose::Tool);
            let faults = faults.unwrap_err().0;
            assert!(
                faults[0].contains("is neither true nor false"),
                "{faults:?}"
            );
            assert_eq!(faults.len(), 1, "{text}");
        }
        for (name, value) in [
            ("WEGRAPH_LOG__FORMAT", "JSON"),
            ("WEGRAPH_GRAPHQL__DOCUMENTS", "Any"),
            ("WEGRAPH_WECHAT__MESSAGE_STATE", "TRIAL"),
            ("WEGRAPH_WECHAT__MESSAGE_LANGUAGE", "zh_cn"),
            ("WEGRAPH_PASSWORD__REQUIRED", "Upper, DIGIT"),
        ] {
            assert!(check(&[(name, value)], Purpose::Tool).is_ok(), "{name}");
        }
    }

    #[test]
    fn variables_of_kubernetes_are_no_faults_and_other_unknown_ones_are() {
        let links = [
            ("WEGRAPH_SERVICE_HOST", "10.0.0.1"),
            ("WEGRAPH_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
            ("WEGRAPH_DB_SERVICE_PORT", "5432"),
        ];
        let config = check(&links, Purpose::Tool).unwrap();
        assert_eq!(config.service_links, links.map(|(name, _)| name));
        for (name, value, meant) in [
            ("WEGRAPH_PORT", "8000", "listen (WEGRAPH_LISTEN)"),
            (
                "WEGRAPH_DATABASE_URL",
                "x",
                "database.url (WEGRAPH_DATABASE__URL)",
            ),
            (
                "WEGRAPH_CORS__ORIGIN",
                "x",
                "cors.origins (WEGRAPH_CORS__ORIGINS)",
            ),
            ("WEGRAPH_LISTN", "", "listen (WEGRAPH_LISTEN)"),
            (
                "WEGRAPH_WECHAT__APP__1__SECERT",
                "x",
                "wechat.app.1.secret (WEGRAPH_WECHAT__APP__1__SECRET)",
            ),
        ] {
            let faults = check(&[(name, value)], Purpose::Tool).unwrap_err().0;
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(
                faults[0].contains(name) && faults[0].ends_with(meant),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn who_trusts_proxies_says_which_header_they_set() {
        let proxies = ("WEGRAPH_HTTP__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8");
        let header = |value| ("WEGRAPH_HTTP__FORWARDING_HEADER", value);
        let config = check(&[], Purpose::Tool).unwrap();
        assert_eq!(config.http.forwarding_header, None);
        for (value, expected) in [
            ("x-forwarded-for", ForwardingHeader::XForwardedFor),
            ("X-Forwarded-For", ForwardingHeader::XForwardedFor),
            ("forwarded", ForwardingHeader::Forwarded),
        ] {
            for settings in [&[header(value)][..], &[proxies, header(value)]] {
                let config = check(settings, Purpose::Tool).unwrap();
                assert_eq!(config.http.forwarding_header, Some(expected), "{value}");
            }
        }
        for settings in [
            &[proxies][..],
            &[proxies, header("")],
            &[proxies, header("auto")],
            &[header("auto")],
            &[header("x-real-ip")],
        ] {
            let faults = check(settings, Purpose::Tool).unwrap_err().0;
            assert_eq!(faults.len(), 1, "{faults:?}");
            for part in ["http.forwarding_header", "x-forwarded-for or forwarded"] {
                assert!(faults[0].contains(part), "{faults:?}");
            }
        }
    }

    #[test]
    fn origins_are_listed_as_browsers_send_them() {
        let origins = |text: &str| {
            let config = check(&[("WEGRAPH_CORS__ORIGINS", text)], Purpose::Tool);
            config.map(|config| config.cors.origins)
        };
        assert_eq!(origins("*").unwrap(), Origins::Any);
        let listed = origins("https://Admin.example.com:443/ , http://localhost:5173").unwrap();
        let expected = ["https://admin.example.com", "http://localhost:5173"];
        assert_eq!(
            listed,
            Origins::Listed(expected.map(str::to_owned).to_vec())
        );
        for text in ["https://*.example.com", "*, https://admin.example.com", "x"] {
            assert_eq!(origins(text).unwrap_err().0.len(), 1, "{text}");
        }
    }

    #[test]
    fn headers_are_allowed_by_name() {
        let allowed = |environment: &[(&str, &str)]| {
            let config = check(environment, Purpose::Tool);
            config.map(|config| config.cors.allowed_headers)
        };
        let usual = allowed(&[]).unwrap();
        for name in ["content-type", "apollographql-client-name", "traceparent"] {
            assert!(usual.contains(&name.parse().unwrap()), "{name}");
        }
        let own = |value| allowed(&[("WEGRAPH_CORS__ALLOWED_HEADERS", value)]);
        assert_eq!(
            own("Content-Type,X-Own").unwrap(),
            ["content-type", "x-own"]
        );
        assert_eq!(own("").unwrap(), usual);
        assert_eq!(own("none").unwrap(), [""; 0]);
        for value in ["content type", "x:y, content-type", "*", "头"] {
            let faults = own(value).unwrap_err().0;
            assert_eq!(faults.len(), 1, "{value}: {faults:?}");
            assert!(faults[0].contains("cors.allowed_headers"), "{faults:?}");
        }
    }

    #[test]
    fn development_listens_on_loopback_only() {
        for wide in ["0.0.0.0:80", "[::]:80", "192.168.1.5:80"] {
            let faults = check(&[("WEGRAPH_LISTEN", wide)], Purpose::Dev)
                .unwrap_err()
                .0;
            assert!(faults[0].contains("loopback addresses only"), "{faults:?}");
        }
        for narrow in ["[::1]:80", "localhost:80", ":80", "127.9.9.9:80"] {
            let config = check(&[("WEGRAPH_LISTEN", narrow)], Purpose::Dev).unwrap();
            assert!(config.listen.ip().is_loopback(), "{narrow}");
        }
    }

    #[test]
    fn shows_no_secret() {
        let sources = Sources {
            environment: [
                ("WEGRAPH_AUTH__SECRET", GOOD),
                ("WEGRAPH_WECHAT__APP_SECRET", "topsecret"),
                (
                    "WEGRAPH_DATABASE__URL",
                    "postgres://me:hunter2@db/x?sslpassword=hunter3",
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            ..Sources::default()
        };
        let shown = Settings::load(&sources, Purpose::Serve).redacted();
        for secret in [GOOD, "topsecret", "hunter"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("me:redacted@db/x"), "{shown}");
    }
}
