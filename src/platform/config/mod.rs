//! Typed settings, and the only reader of the environment.
//!
//! Layers: the embedded `config/default.toml`, a TOML file, `WEGRAPH_*` variables, `--set` flags.
//! Values of the environment are taken as text, never guessed at: a secret of digits stays a
//! string. Blanks around a value are no part of it, and an empty one is not set: Compose files pass
//! on a variable without a value as an empty one. All faults are reported together.

mod cors;
mod listen;
mod reader;
mod rules;
mod settings;
mod template;
mod unknown;

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::FixedOffset;
use ipnet::IpNet;
use reqwest::Url;
use reqwest::header::HeaderName;
use secrecy::SecretString;

pub use self::rules::MIN_SECRET_BYTES;
pub use self::settings::{Settings, Sources};
pub use self::template::{FieldContent, FieldKind, MessageTemplate, TemplateField};

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Where rows are kept.
    pub database: DatabaseConfig,
    /// Access and refresh tokens.
    pub auth: AuthConfig,
    /// Passwords.
    pub password: PasswordConfig,
    /// The mini-program platform.
    pub wechat: WechatConfig,
    /// GitHub.
    pub github: GithubConfig,
    /// The listener.
    pub http: HttpConfig,
    /// Web pages of other sites.
    pub cors: CorsConfig,
    /// The GraphQL endpoint.
    pub graphql: GraphqlConfig,
    /// GraphQL over WebSocket.
    pub websocket: WebsocketConfig,
    /// How often things may be done.
    pub rate_limit: RateLimitConfig,
    /// How much runs at the same time, and whose.
    pub fair_shares: FairSharesConfig,
    /// The audit trail.
    pub audit: AuditConfig,
    /// Inboxes.
    pub notifications: NotificationsConfig,
    /// Log output.
    pub log: LogConfig,
    /// Variables that Kubernetes sets for its Services, and that are no settings.
    pub service_links: Vec<String>,
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
    /// Longest run of one statement.
    pub statement_timeout: Duration,
}

/// Settings under `auth`.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// The HS256 key; empty when not set.
    pub secret: SecretString,
    /// HS256 keys that signed before and still verify.
    pub previous_secrets: Vec<SecretString>,
    /// Private keys in PEM, EdDSA or ES256; the first signs, all verify.
    pub key_files: Vec<PathBuf>,
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
    /// Sessions of one user; the one that was not used for the longest time ends when there are more.
    pub max_sessions_per_user: u64,
    /// How long a refresh token that was just replaced is answered with the same next one.
    pub refresh_grace: Duration,
}

/// Settings under `password`.
#[derive(Debug, Clone)]
pub struct PasswordConfig {
    /// Fewest characters.
    pub min_length: usize,
    /// Most characters.
    pub max_length: usize,
    /// What a password must contain.
    pub required: Vec<CharacterClass>,
    /// Whether passwords in common use are refused.
    pub refuse_common: bool,
    /// Memory of one hash.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
}

/// A kind of character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CharacterClass {
    /// An upper-case letter.
    Upper,
    /// A lower-case letter.
    Lower,
    /// A digit.
    Digit,
    /// Neither letter nor digit.
    Special,
}

impl FromStr for CharacterClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "upper" => Ok(Self::Upper),
            "lower" => Ok(Self::Lower),
            "digit" => Ok(Self::Digit),
            "special" => Ok(Self::Special),
            _ => Err(format!("{text:?} is none of upper, lower, digit, special")),
        }
    }
}

/// Settings under `notifications`.
#[derive(Debug, Clone)]
pub struct NotificationsConfig {
    /// How long notifications are kept.
    pub retention: Duration,
}

/// Settings under `audit`.
#[derive(Debug, Clone, Copy)]
pub struct AuditConfig {
    /// How long events are kept.
    pub retention: Duration,
}

/// Settings under `wechat`.
#[derive(Debug, Clone)]
pub struct WechatConfig {
    /// The mini-programs, the first of which is meant when a request does not tell.
    pub apps: Vec<WechatApp>,
    /// Scheme and host of the platform.
    pub base_url: Url,
    /// Longest wait for WeChat in one request, retries included.
    pub timeout: Duration,
    /// Which release of the mini-program messages open.
    pub message_state: MiniProgramState,
    /// The language of the platform's part of messages.
    pub message_language: MessageLanguage,
    /// Where the clocks of those who read messages stand.
    pub utc_offset: FixedOffset,
}

/// Settings under `github`.
#[derive(Debug, Clone)]
pub struct GithubConfig {
    /// Scheme and host of the REST API.
    pub api_url: Url,
    /// Scheme and host of the pages.
    pub web_url: Url,
    /// The server's own token.
    pub token: Option<SecretString>,
    /// Longest wait for GitHub in one request, retries included.
    pub timeout: Duration,
    /// How long trending pages are served without asking again.
    pub trending_fresh: Duration,
    /// How long they may be served while GitHub does not answer.
    pub trending_stale: Duration,
    /// How long everything else is served without asking again.
    pub fresh: Duration,
    /// How long it may be served while GitHub does not answer.
    pub stale: Duration,
    /// Memory for copies, in bytes.
    pub cache_bytes: u64,
}

/// A release of a mini-program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MiniProgramState {
    /// As its developers have it.
    Developer,
    /// As its testers have it.
    Trial,
    /// As everybody has it.
    Formal,
}

impl MiniProgramState {
    /// As WeChat calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Trial => "trial",
            Self::Formal => "formal",
        }
    }
}

impl FromStr for MiniProgramState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Developer, Self::Trial, Self::Formal];
        let is_named = |state: &Self| state.name().eq_ignore_ascii_case(text);
        let found = all.into_iter().find(is_named);
        found.ok_or_else(|| format!("{text:?} is none of developer, trial, formal"))
    }
}

/// A language that WeChat has for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLanguage(&'static str);

impl MessageLanguage {
    /// As WeChat calls it.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl FromStr for MessageLanguage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = ["zh_CN", "en_US", "zh_HK", "zh_TW"]
            .into_iter()
            .find(|name| name.eq_ignore_ascii_case(text));
        found
            .map(Self)
            .ok_or_else(|| format!("{text:?} is none of zh_CN, en_US, zh_HK, zh_TW"))
    }
}

impl Default for MessageLanguage {
    fn default() -> Self {
        Self("zh_CN")
    }
}

/// What identifies the mini-program to WeChat.
#[derive(Debug, Clone)]
pub struct WechatApp {
    /// AppID.
    pub id: String,
    /// AppSecret.
    pub secret: SecretString,
    /// The message that reminds of a task, when there is one.
    pub reminder: Option<MessageTemplate>,
}

/// Settings under `http`.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Whose forwarding header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Which of their headers; always there when there are proxies.
    pub forwarding_header: Option<ForwardingHeader>,
    /// Connections at most.
    pub max_connections: usize,
    /// Connections of one address.
    pub max_connections_per_address: usize,
    /// Longest wait for the headers of a request.
    pub header_timeout: Duration,
    /// Longest wait for the body of a request.
    pub body_timeout: Duration,
    /// Longest time without progress in sending.
    pub write_timeout: Duration,
    /// Bytes of replies that clients have not taken yet.
    pub max_pending_bytes: u64,
    /// Those of one caller.
    pub pending_bytes_per_caller: u64,
}

/// In which header the proxies tell the client's address. What a request has is no hint: a client
/// can send the other one, and most proxies pass it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`, which most proxies set.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl FromStr for ForwardingHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err("must be x-forwarded-for or forwarded".to_owned()),
        }
    }
}

/// Settings under `cors`.
#[derive(Debug, Clone)]
pub struct CorsConfig {
    /// Which sites may call.
    pub origins: Origins,
    /// Headers that their requests may have.
    pub allowed_headers: Vec<HeaderName>,
}

/// Sites whose pages may call the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All, without credentials.
    Any,
    /// These, with credentials.
    Listed(Vec<String>),
}

/// Settings under `graphql`.
#[derive(Debug, Clone)]
pub struct GraphqlConfig {
    /// Answer introspection.
    pub introspection: bool,
    /// Serve GraphiQL.
    pub playground: bool,
    /// Which documents run.
    pub documents: DocumentPolicy,
    /// The manifest of trusted documents.
    pub trusted_documents: Option<PathBuf>,
    /// Longest run of one request.
    pub timeout: Duration,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Largest reply to one request, in bytes.
    pub max_reply_bytes: usize,
    /// Operations of a batch.
    pub max_batch: usize,
    /// What a document may ask for.
    pub limits: DocumentLimits,
    /// Sizes of pages.
    pub pages: PageLimits,
    /// What a reply says of errors.
    pub errors: ErrorLimits,
}

/// Which documents run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentPolicy {
    /// Any that passes the checks.
    Any,
    /// Those of the manifest, and those registered by their hash.
    TrustedAndApq,
    /// Those of the manifest.
    TrustedOnly,
}

impl FromStr for DocumentPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "any" => Ok(Self::Any),
            "trusted-and-apq" => Ok(Self::TrustedAndApq),
            "trusted-only" => Ok(Self::TrustedOnly),
            _ => Err("expected any, trusted-and-apq or trusted-only".to_owned()),
        }
    }
}

/// What a document may ask for. Each is a largest number.
#[derive(Debug, Clone, Copy)]
pub struct DocumentLimits {
    /// Values of the JSON of a request.
    pub values: usize,
    /// Bytes of the text.
    pub query_bytes: usize,
    /// Lexical tokens and comments.
    pub tokens: usize,
    /// Depth of brackets, braces and parentheses, and of lists and objects in variables.
    pub nesting: usize,
    /// Depth of fields.
    pub depth: u32,
    /// Depth of fields below `__schema` and `__type`.
    pub introspection_depth: u32,
    /// Aliased fields.
    pub aliases: u32,
    /// Fields of a root type in one operation.
    pub root_fields: usize,
    /// Fragments.
    pub fragments: usize,
    /// Fields of an operation with its fragments put in their places.
    pub selections: u32,
    /// Directives.
    pub directives: u32,
    /// Objects that an operation may have to make.
    pub cost: u32,
}

/// Sizes of pages.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// Entries when the client does not say.
    pub default: u32,
    /// Entries at most.
    pub max: u32,
}

/// What a reply says of errors.
#[derive(Debug, Clone, Copy)]
pub struct ErrorLimits {
    /// Errors of a reply.
    pub count: usize,
    /// Their size as JSON, in bytes.
    pub bytes: usize,
}

/// Settings under `websocket`.
#[derive(Debug, Clone, Copy)]
pub struct WebsocketConfig {
    /// Longest wait for `connection_init`.
    pub init_timeout: Duration,
    /// Sockets of one user.
    pub max_sockets_per_user: usize,
    /// Sockets of one address.
    pub max_sockets_per_address: usize,
    /// Sockets in all.
    pub max_sockets: usize,
    /// Operations that run at the same time on a socket.
    pub max_operations: usize,
    /// Subscriptions of one address.
    pub max_subscriptions_per_address: usize,
    /// Largest message of a client, in bytes.
    pub max_message_bytes: usize,
    /// Longest wait for the rest of a message.
    pub message_timeout: Duration,
    /// Time between two pings.
    pub ping_interval: Duration,
}

/// Settings under `rate_limit`: numbers a minute.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitConfig {
    /// Whether anything is counted.
    pub enabled: bool,
    /// Sign-ins from one address.
    pub auth_per_address: u32,
    /// Mutations by one user.
    pub write_per_user: u32,
    /// Mutations from one address.
    pub write_per_address: u32,
    /// Queries by one user.
    pub read_per_user: u32,
    /// Queries from one address.
    pub read_per_address: u32,
    /// Failed sign-ins for one account from one address.
    pub failures_per_account: u32,
    /// Failed sign-ins from one address.
    pub failures_per_address: u32,
    /// Questions to GitHub that no copy answers, a minute from one address.
    pub github_per_address: u32,
}

/// Settings under `fair_shares`.
#[derive(Debug, Clone, Copy)]
pub struct FairSharesConfig {
    /// Queries and mutations that run at the same time.
    pub max_executions: u64,
    /// Those of one user, once half of them are taken.
    pub executions_per_user: u64,
    /// Those of one address without sign-in.
    pub executions_per_address: u64,
    /// Those that may wait.
    pub max_waiting: usize,
    /// Bytes for rows and replies of what runs.
    pub max_bytes: u64,
    /// Those of one caller, once half of them are taken.
    pub bytes_per_caller: u64,
    /// Bytes of bodies and messages that have come in part.
    pub max_arriving_bytes: u64,
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
        match text.to_ascii_lowercase().as_str() {
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
