//! The one channel for errors: a code, a message in the caller's language and, for input, the faulty fields.
//!
//! Resolvers return `Result<T, ApiError>`, never `async_graphql::Result`: the library turns anything printable into an
//! error and would send the text of a database error to the client. `ApiError` has no `Display` for that reason.

use std::fmt::Debug;
use std::sync::Arc;

use async_graphql::{Enum, ErrorExtensionValues, Name, Pos, Response, ServerError, Value};
use sea_orm::DbErr;

use crate::platform::config::ErrorLimits;
use crate::platform::db::{is_timeout, is_unavailable, without_values};
use crate::platform::fault::{Fault, Faults, Rule};
use crate::platform::locale::{Locale, Message};

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $zh:literal, $en:literal, $retryable:literal;)+) => {
        /// What went wrong, for programs: the `extensions.code` of every error. `errorCatalog` explains each.
        #[derive(Enum, Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[graphql(name = $code)] $name,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as clients see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// What to tell a person when there is nothing more exact to say.
            pub fn message(self, locale: Locale) -> &'static str {
                match self { $(Self::$name => locale.pick($zh, $en)),+ }
            }

            /// What the code means, for a developer.
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii()),+ }
            }

            /// Whether the same request may succeed later without being changed.
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retryable),+ }
            }
        }
    };
}

error_codes! {
    /// The query text is not GraphQL.
    GraphqlParseFailed = "GRAPHQL_PARSE_FAILED", "查询语法有误", "The query has a syntax error", false;
    /// The query does not fit the schema, or a value has the wrong GraphQL type.
    GraphqlValidationFailed = "GRAPHQL_VALIDATION_FAILED", "查询与模式不符", "The query does not fit the schema", false;
    /// A value breaks a rule of its field; `extensions.fields` names each.
    BadUserInput = "BAD_USER_INPUT", "输入有误", "The input is not valid", false;
    /// The query asks for more than one request may.
    QueryTooComplex = "QUERY_TOO_COMPLEX", "查询过于复杂", "The query is too complex", false;
    /// The server does not know the hash of a persisted query; send the text once.
    PersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND", "未找到持久化查询", "The persisted query is not known", true;
    /// The server runs only registered queries.
    PersistedQueryOnly = "PERSISTED_QUERY_ONLY", "仅接受已登记的查询", "Only registered queries are accepted", false;
    /// The field needs a signed-in user, or the access token is not one of ours.
    Unauthenticated = "UNAUTHENTICATED", "请先登录", "Please sign in", false;
    /// The access or refresh token was valid and is too old: refresh, or sign in again.
    TokenExpired = "TOKEN_EXPIRED", "登录已过期", "The sign-in has expired", false;
    /// The session of the token has ended: sign in again.
    TokenRevoked = "TOKEN_REVOKED", "登录已失效，请重新登录", "The session has ended, please sign in again", false;
    /// The caller lacks the role that the field needs.
    Forbidden = "FORBIDDEN", "没有权限", "You may not do this", false;
    /// What a mutation should change does not exist, or is not the caller's.
    NotFound = "NOT_FOUND", "未找到", "Not found", false;
    /// The id was used before with other content, or the change contradicts the stored state.
    Conflict = "CONFLICT", "与已有内容冲突", "This conflicts with what is stored", false;
    /// Too many tries; `extensions.retryAfterSeconds` says when to try again.
    RateLimited = "RATE_LIMITED", "操作过于频繁，请稍后再试", "Too many requests, please try again later", true;
    /// User name and password do not go together. Never says which of them is wrong.
    InvalidCredentials = "INVALID_CREDENTIALS", "用户名或密码错误", "Wrong user name or password", false;
    /// Somebody has this user name already, in whatever case.
    UsernameTaken = "USERNAME_TAKEN", "用户名已被使用", "The user name is taken", false;
    /// Somebody has this e-mail address already, in whatever case.
    EmailTaken = "EMAIL_TAKEN", "邮箱已被使用", "The e-mail address is taken", false;
    /// The password breaks the policy; `extensions.fields` says how.
    WeakPassword = "WEAK_PASSWORD", "密码强度不足", "The password is too weak", false;
    /// An administrator has disabled the account.
    AccountDisabled = "ACCOUNT_DISABLED", "账号已停用", "The account is disabled", false;
    /// Nobody could sign in to the account any more after this change.
    LastLoginMethod = "LAST_LOGIN_METHOD", "这是最后一种登录方式", "This is the last way to sign in", false;
    /// WeChat does not accept the code: unknown, expired, or of another mini-program. Call `wx.login` again.
    WechatCodeInvalid = "WECHAT_CODE_INVALID", "微信登录凭证无效，请重试", "The WeChat code is not valid, please try again", false;
    /// The code has been exchanged before. Call `wx.login` again.
    WechatCodeUsed = "WECHAT_CODE_USED", "微信登录凭证已被使用，请重试", "The WeChat code has been used, please try again", false;
    /// WeChat refuses this user as high-risk.
    WechatUserBlocked = "WECHAT_USER_BLOCKED", "该微信账号被限制登录", "WeChat does not let this user sign in", false;
    /// The server has no working AppID and AppSecret; its log says what to mend.
    WechatNotConfigured = "WECHAT_NOT_CONFIGURED", "服务器未配置微信登录", "WeChat sign-in is not set up on this server", false;
    /// The rubric takes no scores now: draft, closed, before its opening or after its closing time.
    RubricNotOpen = "RUBRIC_NOT_OPEN", "评分未开放", "The rubric is not open", false;
    /// The submission policy of the rubric allows no second score.
    AlreadySubmitted = "ALREADY_SUBMITTED", "已经提交过", "Already submitted", false;
    /// The time in which a score may be corrected is over.
    EditWindowClosed = "EDIT_WINDOW_CLOSED", "已超过可修改时间", "The time for corrections is over", false;
    /// The task was changed since the version that the caller knows: load it again.
    VersionConflict = "VERSION_CONFLICT", "任务已被修改，请刷新后重试", "The task was changed meanwhile, please reload", false;
    /// Another service does not answer, or answers nonsense.
    UpstreamUnavailable = "UPSTREAM_UNAVAILABLE", "上游服务暂不可用，请稍后再试", "Another service is not available, please try again later", true;
    /// Another service limits us; `extensions.retryAfterSeconds` says when to try again, when it is known.
    UpstreamRateLimited = "UPSTREAM_RATE_LIMITED", "上游服务限流，请稍后再试", "Another service limits us, please try again later", true;
    /// The request took longer than the server allows. A mutation may have been carried out all the same.
    RequestTimeout = "REQUEST_TIMEOUT", "请求超时", "The request took too long", true;
    /// A fault of the server. `extensions.requestId` finds it in the log.
    InternalServerError = "INTERNAL_SERVER_ERROR", "服务器内部错误", "Internal server error", true;
    /// The server or its database is overloaded or cannot be reached; `extensions.retryAfterSeconds` says when to try again. Nothing
    /// was stored, unless a retry with the same client-made id answers that it was.
    ServiceUnavailable = "SERVICE_UNAVAILABLE", "服务暂时不可用，请稍后再试", "The service is not available now, please try again later", true;
}

/// When to try again after there was no room, in seconds.
const RETRY_AFTER: u64 = 3;

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: ErrorCode,
    message: Option<Message>,
    prefix: Option<Message>,
    fields: Vec<Fault>,
    retry_after_seconds: Option<u64>,
    position: Option<Pos>,
    cause: Option<Arc<dyn Debug + Send + Sync>>,
}

impl ApiError {
    /// An error with the message of its code.
    pub fn new(code: ErrorCode) -> Self {
        Self(Box::new(Inner {
            code,
            message: None,
            prefix: None,
            fields: Vec::new(),
            retry_after_seconds: None,
            position: None,
            cause: None,
        }))
    }

    /// A fault of ours. `cause` goes to the log, never to the client.
    pub fn internal(cause: impl Debug + Send + Sync + 'static) -> Self {
        let mut error = Self::new(ErrorCode::InternalServerError);
        error.0.cause = Some(Arc::new(cause));
        error
    }

    /// There is no room for the request now.
    pub fn unavailable() -> Self {
        Self::new(ErrorCode::ServiceUnavailable).with_retry_after(Some(RETRY_AFTER))
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// Says something more exact than the code's message.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.0.message = Some(message);
        self
    }

    /// Puts words before the message, whatever it is.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Message) -> Self {
        self.0.prefix = Some(prefix);
        self
    }

    /// Names the faulty fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<Fault>) -> Self {
        self.0.fields = fields;
        self
    }

    /// Seconds after which to try again.
    pub fn retry_after(&self) -> Option<u64> {
        self.0.retry_after_seconds
    }

    /// Writes a fault of ours to the log; nothing for those of callers.
    pub fn log(&self, request_id: &str) {
        if self.0.code == ErrorCode::InternalServerError {
            tracing::error!(request_id, cause = ?self.0.cause, "Internal error");
        }
    }

    /// Says when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: Option<u64>) -> Self {
        self.0.retry_after_seconds = seconds;
        self
    }

    /// Says where in the query text the fault is.
    #[must_use]
    pub fn at(mut self, position: Pos) -> Self {
        self.0.position = Some(position);
        self
    }

    fn message(&self, locale: Locale) -> String {
        let mut text = match &self.0.message {
            Some(message) => message.text(locale).to_owned(),
            None => self.0.code.message(locale).to_owned(),
        };
        if let Some(fault) = self.0.fields.first() {
            let path = fault.path.join(".");
            let rule = describe(&fault.rule, locale);
            text = locale.pick(
                format!("{text}：{path} {rule}"),
                format!("{text}: {path} {rule}"),
            );
        }
        match &self.0.prefix {
            Some(prefix) => format!("{}{text}", prefix.text(locale)),
            None => text,
        }
    }

    fn extensions(&self, locale: Locale, request_id: &str) -> ErrorExtensionValues {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", self.0.code.as_str());
        if !self.0.fields.is_empty() {
            let fields = self.0.fields.iter().map(|fault| field_value(fault, locale));
            extensions.set("fields", Value::List(fields.collect()));
        }
        if let Some(seconds) = self.0.retry_after_seconds {
            extensions.set("retryAfterSeconds", seconds);
        }
        if self.0.code == ErrorCode::InternalServerError {
            extensions.set("requestId", request_id);
        }
        extensions
    }

    /// The message for a developer who reads it in a terminal.
    pub fn in_english(&self) -> String {
        self.message(Locale::En)
    }

    /// The error as a response of its own, for a request that is not executed.
    pub fn into_response(self, locale: Locale, request_id: &str) -> Response {
        let mut response = Response::from_errors(vec![self.into()]);
        finish(&mut response, locale, request_id);
        response
    }
}

impl From<DbErr> for ApiError {
    fn from(error: DbErr) -> Self {
        match is_timeout(&error) {
            true => Self::new(ErrorCode::RequestTimeout),
            false if is_unavailable(&error) => {
                tracing::warn!(
                    cause = without_values(&error),
                    "The database is not available"
                );
                Self::unavailable()
            }
            false => Self::internal(without_values(&error)),
        }
    }
}

impl From<Faults> for ApiError {
    fn from(faults: Faults) -> Self {
        Self::new(ErrorCode::BadUserInput).with_fields(faults.into_list())
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        let mut plain = Self::new(error.0.code.as_str());
        plain.source = Some(Arc::new(error));
        plain
    }
}

impl From<ApiError> for ServerError {
    fn from(error: ApiError) -> Self {
        let mut plain = Self::new(error.0.code.as_str(), error.0.position);
        plain.source = Some(Arc::new(error));
        plain
    }
}

/// QUERY_TOO_COMPLEX that says what there is too much of, in Chinese and English.
pub fn too_complex((zh, en): (&str, &str), limit: usize) -> ApiError {
    ApiError::new(ErrorCode::QueryTooComplex).with_message(Message::new(
        format!("查询过于复杂：{zh}上限为 {limit}"),
        format!("The query is too complex: at most {limit} {en}"),
    ))
}

/// Gives every error of `response` its code and its message in the caller's language, and logs the ones that are ours.
pub fn finish(response: &mut Response, locale: Locale, request_id: &str) {
    for error in &mut response.errors {
        if let Some(api) = error.source::<ApiError>().cloned() {
            if api.0.code == ErrorCode::InternalServerError {
                tracing::error!(request_id, path = ?error.path, cause = ?api.0.cause, "Internal error");
            }
            error.message = api.message(locale);
            error.extensions = Some(api.extensions(locale, request_id));
        } else if error
            .extensions
            .as_ref()
            .is_none_or(|e| e.get("code").is_none())
        {
            // What has no source of ours comes from the executor, which is given nothing that it
            // could refuse. Its words name our types.
            let code = match error.path.is_empty() {
                true => ErrorCode::GraphqlValidationFailed,
                false => ErrorCode::BadUserInput,
            };
            error.message = code.message(locale).to_owned();
            let mut extensions = ErrorExtensionValues::default();
            extensions.set("code", code.as_str());
            error.extensions = Some(extensions);
        }
    }
}

/// Longest message of an error, in characters.
const MAX_MESSAGE: usize = 500;

/// Cuts what `response` says of errors to the limits. The first error stays, with fewer of its fields if need be.
pub fn cap_errors(response: &mut Response, limits: ErrorLimits) {
    response.errors.truncate(limits.count);
    let mut left = limits.bytes;
    let mut kept = 0;
    for error in &mut response.errors {
        if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE) {
            error.message.truncate(end);
            error.message.push('…');
        }
        let mut size = size_of(error);
        while size > left && kept == 0 && halve_fields(error) {
            size = size_of(error);
        }
        if size > left && kept > 0 {
            break;
        }
        left = left.saturating_sub(size);
        kept += 1;
    }
    response.errors.truncate(kept);
}

fn size_of(error: &ServerError) -> usize {
    serde_json::to_vec(error).map_or(0, |json| json.len())
}

/// Drops the second half of the faulty fields that an error names; false when it names at most one.
fn halve_fields(error: &mut ServerError) -> bool {
    let Some(extensions) = &mut error.extensions else {
        return false;
    };
    let Some(Value::List(fields)) = extensions.get("fields") else {
        return false;
    };
    let mut fields = fields.clone();
    let half = fields.len() / 2;
    fields.truncate(half);
    extensions.set("fields", Value::List(fields));
    half > 1
}

/// The code of an error that [`finish`] has seen.
pub fn code_of(error: &ServerError) -> &str {
    match error.extensions.as_ref().and_then(|e| e.get("code")) {
        Some(Value::String(code)) => code,
        _ => "",
    }
}

fn field_value(fault: &Fault, locale: Locale) -> Value {
    let path = fault.path.iter().map(|part| Value::String(part.clone()));
    let code = match fault.rule {
        Rule::Required | Rule::Lacks { .. } => "REQUIRED",
        Rule::TooShort { .. } => "TOO_SHORT",
        Rule::TooLong { .. } => "TOO_LONG",
        Rule::OutOfRange { .. } => "OUT_OF_RANGE",
        Rule::Malformed { .. } => "MALFORMED",
        Rule::Unknown => "UNKNOWN",
        Rule::Duplicate => "DUPLICATE",
        Rule::NotNullable => "NOT_NULLABLE",
        Rule::Taken => "TAKEN",
    };
    Value::Object(
        [
            (Name::new("path"), Value::List(path.collect())),
            (Name::new("code"), Value::String(code.to_owned())),
            (
                Name::new("message"),
                Value::String(describe(&fault.rule, locale)),
            ),
        ]
        .into_iter()
        .collect(),
    )
}

fn describe(rule: &Rule, locale: Locale) -> String {
    match rule {
        Rule::Required => locale.pick("必须填写".to_owned(), "is required".to_owned()),
        Rule::Lacks { name } => locale.pick(format!("缺少 {name}"), format!("lacks {name}")),
        Rule::TooShort { min } => locale.pick(
            format!("至少 {min} 个字符"),
            format!("must have at least {min} characters"),
        ),
        Rule::TooLong { max } => locale.pick(
            format!("长度不能超过 {max}"),
            format!("must not be longer than {max}"),
        ),
        Rule::OutOfRange { min, max } => locale.pick(
            format!("必须在 {min} 到 {max} 之间"),
            format!("must be within {min} and {max}"),
        ),
        Rule::Malformed { expected } => locale.pick(
            format!("格式有误：{}", expected.text(locale)),
            format!("is malformed: {}", expected.text(locale)),
        ),
        Rule::Unknown => locale.pick("不存在".to_owned(), "is unknown".to_owned()),
        Rule::Duplicate => locale.pick("重复".to_owned(), "is a duplicate".to_owned()),
        Rule::NotNullable => locale.pick("不能清空".to_owned(), "cannot be cleared".to_owned()),
        Rule::Taken => locale.pick("已被使用".to_owned(), "is taken".to_owned()),
    }
}
