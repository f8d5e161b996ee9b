//! The layers of settings: where each value comes from, and whether it is what it should be.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chrono::{FixedOffset, Offset, Utc};
use ipnet::IpNet;
use reqwest::Url;
use secrecy::ExposeSecret;

use crate::platform::config::rules::{check_database, check_keys, redact_url};
use crate::platform::config::{
    AuditConfig, AuthConfig, CharacterClass, Config, ConfigFaults, CorsConfig, DatabaseConfig,
    DocumentLimits, DocumentPolicy, ErrorLimits, ForwardingHeader, GraphqlConfig, HttpConfig,
    LogConfig, LogFormat, MessageLanguage, MessageTemplate, MiniProgramState, NotificationsConfig,
    Origins, PageLimits, PasswordConfig, Purpose, RateLimitConfig, TemplateField, WebsocketConfig,
    WechatApp, WechatConfig,
};

const DEFAULTS: &str = include_str!("../../../config/default.toml");
const PREFIX: &str = "WEGRAPH_";
const DEFAULT_FILE: &str = "wegraph.toml";

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

#[derive(Debug, Clone)]
struct Entry {
    value: String,
    source: String,
}

/// The layers put together, before the values are read as what they should be.
#[derive(Debug)]
pub struct Settings {
    entries: BTreeMap<String, Entry>,
    faults: Vec<String>,
}

impl Settings {
    /// Reads the layers; faults are kept until [`Settings::check`].
    pub fn load(sources: &Sources, purpose: Purpose) -> Self {
        let mut settings = Self {
            entries: BTreeMap::new(),
            faults: Vec::new(),
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
                settings.overlay(&name, value.clone(), &format!("environment {variable}"));
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

    fn overlay(&mut self, name: &str, value: String, source: &str) {
        match self.entries.get_mut(name) {
            Some(entry) => {
                *entry = Entry {
                    value,
                    source: source.to_owned(),
                };
            }
            None if is_of_listed_app(name) => {
                let source = source.to_owned();
                self.entries
                    .insert(name.to_owned(), Entry { value, source });
            }
            None => self
                .faults
                .push(format!("{source}: unknown setting {name}")),
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
                "auth.secret" | "auth.previous_secrets" | "wechat.app_secret" => {
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
        } = self;
        let mut reader = Reader {
            entries: &entries,
            faults: &mut faults,
        };
        let mut config = Config {
            listen: reader.parse("listen", SocketAddr::from(([127, 0, 0, 1], 8000))),
            database: DatabaseConfig {
                url: reader.text("database.url").into(),
                max_connections: reader.within("database.max_connections", 1, 1000) as u32,
                migrate_on_start: reader.parse("database.migrate_on_start", true),
                statement_timeout: reader.millis("database.statement_timeout_ms", 100, 600_000),
            },
            auth: reader.auth(),
            password: reader.password(),
            wechat: reader.wechat(),
            http: HttpConfig {
                trusted_proxies: reader.networks("http.trusted_proxies"),
                forwarding_header: reader.parse("http.forwarding_header", ForwardingHeader::Auto),
                max_connections: reader.within("http.max_connections", 1, 1_000_000) as usize,
                header_timeout: reader.millis("http.header_timeout_ms", 100, 600_000),
                body_timeout: reader.millis("http.body_timeout_ms", 100, 600_000),
                write_timeout: reader.millis("http.write_timeout_ms", 100, 600_000),
                max_pending_bytes: reader.within("http.max_pending_bytes", 1 << 20, 1 << 31) as u32,
            },
            cors: CorsConfig {
                origins: reader.origins("cors.origins"),
            },
            graphql: reader.graphql(),
            websocket: WebsocketConfig {
                init_timeout: reader.millis("websocket.init_timeout_ms", 100, 600_000),
                max_sockets_per_user: reader.within("websocket.max_sockets_per_user", 1, 100_000)
                    as usize,
                max_sockets: reader.within("websocket.max_sockets", 0, 1_000_000) as usize,
                max_operations: reader.within("websocket.max_operations", 1, 10_000) as usize,
                max_message_bytes: reader.within("websocket.max_message_bytes", 1024, 16 << 20)
                    as usize,
                ping_interval: reader.millis("websocket.ping_interval_ms", 100, 600_000),
            },
            rate_limit: reader.rate_limit(),
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
        if config.graphql.max_reply_bytes > config.http.max_pending_bytes as usize {
            reader.fault("graphql.max_reply_bytes", "is above http.max_pending_bytes");
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
        if purpose != Purpose::Tool {
            for (name, value) in [
                ("auth.issuer", &config.auth.issuer),
                ("auth.audience", &config.auth.audience),
            ] {
                if value.is_empty() {
                    faults.push(format!("{name}: must not be empty"));
                }
            }
        }
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigFaults(faults))
        }
    }
}

struct Reader<'a> {
    entries: &'a BTreeMap<String, Entry>,
    faults: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> String {
        self.entries
            .get(name)
            .map(|entry| entry.value.clone())
            .unwrap_or_default()
    }

    fn fault(&mut self, name: &str, problem: impl Display) {
        let source = self
            .entries
            .get(name)
            .map_or("default", |entry| entry.source.as_str());
        self.faults.push(format!("{name} ({source}): {problem}"));
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, fallback: T) -> T {
        match self.text(name).trim().parse() {
            Ok(value) => value,
            Err(error) => {
                self.fault(name, error);
                fallback
            }
        }
    }

    fn within(&mut self, name: &str, min: u64, max: u64) -> u64 {
        let before = self.faults.len();
        let value = self.parse(name, min);
        if self.faults.len() == before && !(min..=max).contains(&value) {
            self.fault(name, format!("{value} is not within {min} to {max}"));
        }
        value
    }

    fn millis(&mut self, name: &str, min: u64, max: u64) -> Duration {
        Duration::from_millis(self.within(name, min, max))
    }

    fn seconds(&mut self, name: &str, min: u64, max: u64) -> Duration {
        Duration::from_secs(self.within(name, min, max))
    }

    /// The parts of a list in one text, separated by commas.
    fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    fn networks(&mut self, name: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for part in self.list(name) {
            match part
                .parse()
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
            {
                Ok(network) => networks.push(network),
                Err(_) => self.fault(name, format!("{part:?} is no address and no network")),
            }
        }
        networks
    }

    fn origins(&mut self, name: &str) -> Origins {
        let parts = self.list(name);
        if parts == ["*"] {
            return Origins::Any;
        }
        for part in &parts {
            let is_origin = part.parse::<Url>().is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.origin().ascii_serialization() == *part
            });
            if !is_origin {
                self.fault(
                    name,
                    format!("{part:?} is no origin like https://admin.example.com"),
                );
            }
        }
        Origins::Listed(parts)
    }

    fn graphql(&mut self) -> GraphqlConfig {
        let limit = |this: &mut Self, name: &str| this.within(name, 1, 1_000_000) as u32;
        let trusted_documents = self.text("graphql.trusted_documents");
        GraphqlConfig {
            introspection: self.parse("graphql.introspection", false),
            playground: self.parse("graphql.playground", false),
            documents: self.parse("graphql.documents", DocumentPolicy::Any),
            trusted_documents: (!trusted_documents.is_empty()).then(|| trusted_documents.into()),
            timeout: self.millis("graphql.timeout_ms", 100, 600_000),
            max_body_bytes: self.within("graphql.max_body_bytes", 1024, 64 << 20) as usize,
            max_reply_bytes: self.within("graphql.max_reply_bytes", 65_536, 1 << 30) as usize,
            max_batch: limit(self, "graphql.max_batch") as usize,
            limits: DocumentLimits {
                values: limit(self, "graphql.max_values") as usize,
                query_bytes: self.within("graphql.max_query_bytes", 1024, 64 << 20) as usize,
                tokens: limit(self, "graphql.max_tokens") as usize,
                // The parser recurses once a level and has a stack of 4 MiB.
                nesting: self.within("graphql.max_nesting", 4, 256) as usize,
                depth: self.within("graphql.max_depth", 1, 256) as u32,
                introspection_depth: self.within("graphql.max_introspection_depth", 1, 256) as u32,
                aliases: limit(self, "graphql.max_aliases"),
                root_fields: limit(self, "graphql.max_root_fields") as usize,
                fragments: self.within("graphql.max_fragments", 1, 256) as usize,
                selections: limit(self, "graphql.max_selections"),
                directives: limit(self, "graphql.max_directives"),
                cost: limit(self, "graphql.max_cost"),
            },
            pages: PageLimits {
                default: self.within("graphql.default_page_size", 1, 10_000) as u32,
                max: self.within("graphql.max_page_size", 1, 10_000) as u32,
            },
            errors: ErrorLimits {
                count: limit(self, "graphql.max_errors") as usize,
                bytes: self.within("graphql.max_error_bytes", 1024, 1 << 20) as usize,
            },
        }
    }

    fn rate_limit(&mut self) -> RateLimitConfig {
        let limit = |this: &mut Self, name: &str| {
            this.within(&format!("rate_limit.{name}"), 1, 100_000_000) as u32
        };
        RateLimitConfig {
            enabled: self.parse("rate_limit.enabled", true),
            auth_per_address: limit(self, "auth_per_address"),
            write_per_user: limit(self, "write_per_user"),
            write_per_address: limit(self, "write_per_address"),
            read_per_user: limit(self, "read_per_user"),
            read_per_address: limit(self, "read_per_address"),
            failures_per_account: limit(self, "failures_per_account"),
            failures_per_address: limit(self, "failures_per_address"),
        }
    }

    fn auth(&mut self) -> AuthConfig {
        AuthConfig {
            secret: self.text("auth.secret").into(),
            previous_secrets: self
                .list("auth.previous_secrets")
                .into_iter()
                .map(Into::into)
                .collect(),
            key_files: self
                .list("auth.key_files")
                .into_iter()
                .map(Into::into)
                .collect(),
            issuer: self.text("auth.issuer"),
            audience: self.text("auth.audience"),
            access_token_ttl: self.seconds("auth.access_token_ttl_seconds", 1, 86_400),
            refresh_idle: days(self.within("auth.refresh_idle_days", 1, 3650)),
            refresh_absolute: days(self.within("auth.refresh_absolute_days", 1, 3650)),
            max_sessions_per_user: self.within("auth.max_sessions_per_user", 1, 10_000),
            refresh_grace: self.seconds("auth.refresh_grace_seconds", 0, 300),
        }
    }

    fn password(&mut self) -> PasswordConfig {
        let mut required = Vec::new();
        for part in self.list("password.required") {
            match part.parse::<CharacterClass>() {
                Ok(class) => required.push(class),
                Err(error) => self.fault("password.required", error),
            }
        }
        PasswordConfig {
            min_length: self.within("password.min_length", 6, 1024) as usize,
            max_length: self.within("password.max_length", 64, 4096) as usize,
            required,
            refuse_common: self.parse("password.refuse_common", true),
            // Below 7 MiB Argon2id is weaker than what OWASP takes for acceptable.
            memory_kib: self.within("password.memory_kib", 7168, 1 << 21) as u32,
            passes: self.within("password.passes", 1, 100) as u32,
        }
    }

    fn wechat(&mut self) -> WechatConfig {
        let mut apps = Vec::new();
        let mut prefixes = vec!["wechat.app_".to_owned()];
        let listed = self.entries.keys().filter(|name| is_of_listed_app(name));
        let mut numbers: Vec<u32> = listed
            .filter_map(|name| name.split('.').nth(2)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        prefixes.extend(numbers.iter().map(|n| format!("wechat.app.{n}.")));
        for prefix in prefixes {
            let (id_name, secret_name) = (format!("{prefix}id"), format!("{prefix}secret"));
            let (id, secret) = (self.text(&id_name), self.text(&secret_name));
            // The first app's other settings stand beside its id.
            let reminder = self.reminder(match prefix.as_str() {
                "wechat.app_" => "wechat.",
                listed => listed,
            });
            match (id.is_empty(), secret.is_empty()) {
                (true, true) if reminder.is_some() => self.fault(
                    &id_name,
                    "must be set when there is a template that reminds of tasks",
                ),
                (true, true) => continue,
                (true, false) => self.fault(&id_name, format!("must be set when {secret_name} is")),
                (false, true) => self.fault(&secret_name, format!("must be set when {id_name} is")),
                (false, false) if apps.iter().any(|app: &WechatApp| app.id == id) => {
                    self.fault(&id_name, format!("{id} is listed twice"));
                }
                (false, false) => apps.push(WechatApp {
                    id,
                    secret: secret.into(),
                    reminder,
                }),
            }
        }
        let fallback = "https://api.weixin.qq.com";
        let base_url = match self.text("wechat.base_url").parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            _ => {
                self.fault("wechat.base_url", "must be an http or https URL");
                fallback.parse().ok()
            }
        };
        WechatConfig {
            apps,
            base_url: base_url.unwrap_or_else(|| unreachable!("{fallback} is a URL")),
            timeout: self.millis("wechat.timeout_ms", 100, 60_000),
            message_state: self.parse("wechat.message_state", MiniProgramState::Formal),
            message_language: self.parse("wechat.message_language", MessageLanguage::default()),
            utc_offset: self.utc_offset("wechat.utc_offset_minutes"),
        }
    }

    /// The template under `prefix` that reminds of tasks.
    fn reminder(&mut self, prefix: &str) -> Option<MessageTemplate> {
        let name = |of: &str| format!("{prefix}reminder_{of}");
        let id = self.text(&name("template_id")).trim().to_owned();
        if id.is_empty() {
            return None;
        }
        if id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()) {
            self.fault(&name("template_id"), "is no id of a template");
        }
        // A listed app says only what is different from the first.
        let or_first = |this: &Self, of: &str| match this.entries.contains_key(&name(of)) {
            true => name(of),
            false => format!("wechat.reminder_{of}"),
        };
        let page_name = or_first(self, "page");
        let page = self.text(&page_name);
        let page = page.trim().trim_start_matches('/');
        if page.len() > 900 || page.contains(char::is_whitespace) {
            self.fault(&page_name, "is no page of a mini-program");
        }
        if page.replace("{taskId}", "").contains(['{', '}']) {
            self.fault(&page_name, "has another placeholder than {taskId}");
        }
        let fields_name = or_first(self, "fields");
        let mut fields: Vec<TemplateField> = Vec::new();
        let parts = self.list(&fields_name);
        if parts.is_empty() {
            self.fault(&fields_name, "must name the fields of the template");
        }
        for part in parts {
            match part.parse::<TemplateField>() {
                Ok(field) if fields.iter().any(|known| known.key == field.key) => {
                    self.fault(&fields_name, format!("{} is there twice", field.key));
                }
                Ok(field) => fields.push(field),
                Err(error) => self.fault(&fields_name, error),
            }
        }
        Some(MessageTemplate {
            id,
            page: (!page.is_empty()).then(|| page.to_owned()),
            fields,
        })
    }

    fn utc_offset(&mut self, name: &str) -> FixedOffset {
        let minutes = self.parse(name, 0_i32);
        FixedOffset::east_opt(minutes.saturating_mul(60)).unwrap_or_else(|| {
            self.fault(name, "must lie within a day");
            Utc.fix()
        })
    }

    fn check_log_filter(&mut self) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(self.text("log.filter")) {
            self.fault("log.filter", error);
        }
    }
}

/// Whether `name` is like `wechat.app.N.id`: a part of a `[[wechat.app]]`, of which there may be any number.
fn is_of_listed_app(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let is_part = |part| {
        matches!(
            part,
            "id" | "secret" | "reminder_template_id" | "reminder_fields" | "reminder_page"
        )
    };
    matches!(parts[..], ["wechat", "app", number, part] if is_part(part)
        && number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty())
}

fn days(number: u64) -> Duration {
    Duration::from_secs(number * 24 * 60 * 60)
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
            ("WEGRAPH_WECHAT__REMINDER_FIELDS", ""),
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
    fn development_listens_on_loopback_only() {
        assert!(check(&[("WEGRAPH_LISTEN", "0.0.0.0:80")], Purpose::Dev).is_err());
        assert!(check(&[("WEGRAPH_LISTEN", "[::1]:80")], Purpose::Dev).is_ok());
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
