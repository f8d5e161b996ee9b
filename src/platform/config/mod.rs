//! Typed settings, and the only reader of the environment.
//!
//! Layers: the embedded `config/default.toml`, a TOML file, `WEGRAPH_*` variables, `--set` flags. Values of the environment
//! are taken as text, never guessed at: a secret of digits stays a string. All faults are reported together.

mod rules;
mod settings;

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

pub use self::rules::MIN_SECRET_BYTES;
pub use self::settings::{Settings, Sources};

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Where rows are kept.
    pub database: DatabaseConfig,
    /// Access and refresh tokens.
    pub auth: AuthConfig,
    /// The mini-program platform.
    pub wechat: WechatConfig,
    /// The GraphQL endpoint.
    pub graphql: GraphqlConfig,
    /// Log output.
    pub log: LogConfig,
}

/// Settings under `database`.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `sqlite:`, `postgres:` or `mysql:` URL; holds a password, so it is secret.
    pub url: SecretString,
    /// Size of the pool.
    pub max_connections: u32,
    /// Apply pending migrations at start.
    pub migrate_on_start: bool,
}

/// Settings under `auth`.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// The HS256 key; empty when not set.
    pub secret: SecretString,
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// Life of an access token.
    pub access_token_ttl: Duration,
    /// Life of a session without use.
    pub refresh_idle: Duration,
    /// Longest life of a session.
    pub refresh_absolute: Duration,
}

/// Settings under `wechat`.
#[derive(Debug, Clone)]
pub struct WechatConfig {
    /// AppID and AppSecret, when both are set.
    pub app: Option<WechatApp>,
    /// Scheme and host of the platform.
    pub base_url: Url,
    /// Longest wait for one call.
    pub timeout: Duration,
}

/// What identifies the mini-program to WeChat.
#[derive(Debug, Clone)]
pub struct WechatApp {
    /// AppID.
    pub id: String,
    /// AppSecret.
    pub secret: SecretString,
}

/// Settings under `graphql`.
#[derive(Debug, Clone)]
pub struct GraphqlConfig {
    /// Answer introspection.
    pub introspection: bool,
    /// Serve GraphiQL.
    pub playground: bool,
    /// Longest run of one request.
    pub timeout: Duration,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
}

/// Settings under `log`.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `EnvFilter` directives.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("expected json or text".to_owned()),
        }
    }
}

/// Which command the settings are for: what must be there differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A production server.
    Serve,
    /// A developer's server on loopback.
    Dev,
    /// A command that only touches the database.
    Tool,
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub struct ConfigFaults(pub Vec<String>);

impl Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fault(s) in the settings:", self.0.len())?;
        for fault in &self.0 {
            write!(f, "\n  - {fault}")?;
        }
        Ok(())
    }
}
