//! The values of settings as what they should be.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use chrono::{FixedOffset, Offset, Utc};
use ipnet::IpNet;
use reqwest::Url;
use reqwest::header::HeaderName;

use crate::platform::config::cors::{parse_header_name, parse_origin};
use crate::platform::config::listen::parse_listen;
use crate::platform::config::settings::is_of_listed_app;
use crate::platform::config::{
    AuthConfig, CharacterClass, DocumentLimits, DocumentPolicy, ErrorLimits, FairSharesConfig,
    ForwardingHeader, GithubConfig, GraphqlConfig, MessageLanguage, MessageTemplate,
    MiniProgramState, Origins, PageLimits, PasswordConfig, Purpose, RateLimitConfig, TemplateField,
    WechatApp, WechatConfig,
};

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) source: String,
}

/// Reads values of the settings as what they should be; every fault is kept.
pub(super) struct Reader<'a> {
    entries: &'a BTreeMap<String, Entry>,
    faults: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(entries: &'a BTreeMap<String, Entry>, faults: &'a mut Vec<String>) -> Self {
        Self { entries, faults }
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.entries
            .get(name)
            .map(|entry| entry.value.clone())
            .unwrap_or_default()
    }

    pub(super) fn fault(&mut self, name: &str, problem: impl Display) {
        let source = self
            .entries
            .get(name)
            .map_or("default", |entry| entry.source.as_str());
        self.faults.push(format!("{name} ({source}): {problem}"));
    }

    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, fallback: T) -> T {
        match self.text(name).parse() {
            Ok(value) => value,
            Err(error) => {
                self.fault(name, error);
                fallback
            }
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> bool {
        match self.text(name).to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                let problem = format!("{:?} is neither true nor false", self.text(name));
                self.fault(name, problem);
                false
            }
        }
    }

    pub(super) fn listen(&mut self, name: &str, purpose: Purpose) -> SocketAddr {
        parse_listen(&self.text(name), purpose).unwrap_or_else(|error| {
            self.fault(name, error);
            (Ipv4Addr::LOCALHOST, 8000).into()
        })
    }

    pub(super) fn within(&mut self, name: &str, min: u64, max: u64) -> u64 {
        let before = self.faults.len();
        let value = self.parse(name, min);
        if self.faults.len() == before && !(min..=max).contains(&value) {
            self.fault(name, format!("{value} is not within {min} to {max}"));
        }
        value
    }

    pub(super) fn millis(&mut self, name: &str, min: u64, max: u64) -> Duration {
        Duration::from_millis(self.within(name, min, max))
    }

    pub(super) fn seconds(&mut self, name: &str, min: u64, max: u64) -> Duration {
        Duration::from_secs(self.within(name, min, max))
    }

    /// The parts of a list in one text, separated by commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    /// A list that may be empty although its default is not: an empty value would be that default.
    fn list_or_none(&self, name: &str) -> Vec<String> {
        let parts = self.list(name);
        match parts.as_slice() {
            [word] if word.eq_ignore_ascii_case("none") => Vec::new(),
            _ => parts,
        }
    }

    pub(super) fn networks(&mut self, name: &str) -> Vec<IpNet> {
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

    /// Which header tells what `proxies` saw.
    pub(super) fn forwarding_header(
        &mut self,
        name: &str,
        proxies: &[IpNet],
    ) -> Option<ForwardingHeader> {
        let problem = match self.text(name).as_str() {
            "" if proxies.is_empty() => return None,
            "" => "must be x-forwarded-for or forwarded, whichever the http.trusted_proxies set"
                .to_owned(),
            text => match text.parse() {
                Ok(header) => return Some(header),
                Err(error) => error,
            },
        };
        self.fault(name, problem);
        None
    }

    pub(super) fn origins(&mut self, name: &str) -> Origins {
        let parts = self.list(name);
        if parts == ["*"] {
            return Origins::Any;
        }
        let mut origins = Vec::new();
        for part in parts {
            match parse_origin(&part) {
                Ok(origin) => origins.push(origin),
                Err(error) => self.fault(name, error),
            }
        }
        Origins::Listed(origins)
    }

    pub(super) fn header_names(&mut self, name: &str) -> Vec<HeaderName> {
        let mut names = Vec::new();
        for part in self.list_or_none(name) {
            match parse_header_name(&part) {
                Ok(header) => names.push(header),
                Err(error) => self.fault(name, error),
            }
        }
        names
    }

    pub(super) fn graphql(&mut self) -> GraphqlConfig {
        let limit = |this: &mut Self, name: &str| this.within(name, 1, 1_000_000) as u32;
        let trusted_documents = self.text("graphql.trusted_documents");
        GraphqlConfig {
            introspection: self.boolean("graphql.introspection"),
            playground: self.boolean("graphql.playground"),
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

    pub(super) fn fair_shares(&mut self) -> FairSharesConfig {
        let mut amount =
            |name: &str, min| self.within(&format!("fair_shares.{name}"), min, 1 << 40);
        FairSharesConfig {
            max_executions: amount("max_executions", 1),
            executions_per_user: amount("executions_per_user", 1),
            executions_per_address: amount("executions_per_address", 1),
            max_waiting: amount("max_waiting", 0) as usize,
            max_bytes: amount("max_bytes", 1 << 20),
            bytes_per_caller: amount("bytes_per_caller", 1 << 20),
            max_arriving_bytes: amount("max_arriving_bytes", 1 << 20),
        }
    }

    pub(super) fn rate_limit(&mut self) -> RateLimitConfig {
        let limit = |this: &mut Self, name: &str| {
            this.within(&format!("rate_limit.{name}"), 1, 100_000_000) as u32
        };
        RateLimitConfig {
            enabled: self.boolean("rate_limit.enabled"),
            auth_per_address: limit(self, "auth_per_address"),
            write_per_user: limit(self, "write_per_user"),
            write_per_address: limit(self, "write_per_address"),
            read_per_user: limit(self, "read_per_user"),
            read_per_address: limit(self, "read_per_address"),
            failures_per_account: limit(self, "failures_per_account"),
            failures_per_address: limit(self, "failures_per_address"),
            github_per_address: limit(self, "github_per_address"),
        }
    }

    pub(super) fn auth(&mut self) -> AuthConfig {
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

    pub(super) fn password(&mut self) -> PasswordConfig {
        let mut required = Vec::new();
        for part in self.list_or_none("password.required") {
            match part.parse::<CharacterClass>() {
                Ok(class) => required.push(class),
                Err(error) => self.fault("password.required", error),
            }
        }
        PasswordConfig {
            min_length: self.within("password.min_length", 6, 1024) as usize,
            max_length: self.within("password.max_length", 64, 4096) as usize,
            required,
            refuse_common: self.boolean("password.refuse_common"),
            // Below 7 MiB Argon2id is weaker than what OWASP takes for acceptable.
            memory_kib: self.within("password.memory_kib", 7168, 1 << 21) as u32,
            passes: self.within("password.passes", 1, 100) as u32,
        }
    }

    pub(super) fn wechat(&mut self) -> WechatConfig {
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
        WechatConfig {
            apps,
            base_url: self.url("wechat.base_url", "https://api.weixin.qq.com"),
            timeout: self.millis("wechat.timeout_ms", 100, 60_000),
            message_state: self.parse("wechat.message_state", MiniProgramState::Formal),
            message_language: self.parse("wechat.message_language", MessageLanguage::default()),
            utc_offset: self.utc_offset("wechat.utc_offset_minutes"),
        }
    }

    /// Scheme and host of another server, perhaps with a path.
    fn url(&mut self, name: &str, fallback: &str) -> Url {
        let url = match self.text(name).parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            _ => {
                self.fault(name, "must be an http or https URL");
                fallback.parse().ok()
            }
        };
        url.unwrap_or_else(|| unreachable!("{fallback} is a URL"))
    }

    pub(super) fn github(&mut self) -> GithubConfig {
        let token = self.text("github.token");
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            self.fault("github.token", "must be letters, digits and signs");
        }
        const WEEK: u64 = 7 * 24 * 60 * 60;
        let config = GithubConfig {
            api_url: self.url("github.api_url", "https://api.github.com"),
            web_url: self.url("github.web_url", "https://github.com"),
            token: (!token.is_empty()).then(|| token.into()),
            timeout: self.millis("github.timeout_ms", 100, 60_000),
            trending_fresh: self.seconds("github.trending_fresh_seconds", 1, WEEK),
            trending_stale: self.seconds("github.trending_stale_seconds", 1, WEEK),
            fresh: self.seconds("github.fresh_seconds", 1, WEEK),
            stale: self.seconds("github.stale_seconds", 1, WEEK),
            cache_bytes: self.within("github.cache_bytes", 1 << 20, 1 << 40),
        };
        for (name, fresh, stale) in [
            (
                "github.trending_stale_seconds",
                config.trending_fresh,
                config.trending_stale,
            ),
            ("github.stale_seconds", config.fresh, config.stale),
        ] {
            if stale < fresh {
                self.fault(name, "is below the time for which a copy is fresh");
            }
        }
        config
    }

    /// The template under `prefix` that reminds of tasks.
    pub(super) fn reminder(&mut self, prefix: &str) -> Option<MessageTemplate> {
        let name = |of: &str| format!("{prefix}reminder_{of}");
        let id = self.text(&name("template_id"));
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
        let page = page.trim_start_matches('/');
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

    pub(super) fn utc_offset(&mut self, name: &str) -> FixedOffset {
        let minutes = self.parse(name, 0_i32);
        FixedOffset::east_opt(minutes.saturating_mul(60)).unwrap_or_else(|| {
            self.fault(name, "must lie within a day");
            Utc.fix()
        })
    }

    pub(super) fn check_log_filter(&mut self) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(self.text("log.filter")) {
            self.fault("log.filter", error);
        }
    }
}

pub(super) fn days(number: u64) -> Duration {
    Duration::from_secs(number * 24 * 60 * 60)
}
