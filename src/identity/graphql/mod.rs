//! Accounts in the schema.

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, SimpleObject};

use crate::entity::user;
use crate::graphql::context::{request, service, viewer, viewer_opt};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::scalars::DateTime;
use crate::identity::loader::{ById, IsWechatLinked};
use crate::identity::{Client, IdentityError, IdentityService, NewAccount, SignIn, UserLoader};
use crate::platform::fault::{Fault, Rule};

/// What a user may do.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::platform::viewer::Role")]
pub enum Role {
    /// May read and change what is their own.
    User,
    /// May read every score and manage rubrics and users.
    Admin,
}

/// A user row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct User {
    row: user::Model,
    /// The request proved to come from this very user, though it carried no token: it signed in.
    just_signed_in: bool,
}

impl User {
    /// E-mail and phone number are for the person and for administrators.
    fn shows_private_data(&self, ctx: &Context<'_>) -> Result<bool, ApiError> {
        let is_caller = viewer_opt(ctx)?
            .is_some_and(|viewer| viewer.user_id == self.row.id || viewer.is_admin());
        Ok(is_caller || self.just_signed_in)
    }
}

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self {
            row,
            just_signed_in: false,
        }
    }
}

/// A person with an account, made by registering or by the first sign-in with WeChat.
#[Object]
impl User {
    /// Opaque, the same for the life of the account.
    pub async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// Name to sign in with, in the case it was registered. Null for accounts that only use WeChat.
    async fn username(&self) -> Option<&str> {
        self.row.username.as_deref()
    }

    /// Name to show to people, 1 to 64 characters; the user name unless another was given.
    async fn display_name(&self) -> &str {
        &self.row.display_name
    }

    /// Address of the profile picture. Null until the user sets one.
    async fn avatar_url(&self) -> Option<&str> {
        self.row.avatar_url.as_deref()
    }

    /// E-mail address. Null when none was given, and for anyone but the user and administrators.
    async fn email(&self, ctx: &Context<'_>) -> Option<Result<&str, ApiError>> {
        match self.shows_private_data(ctx) {
            Ok(true) => self.row.email.as_deref().map(Ok),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Verified phone number with country code. Null until one is bound, and for anyone but the user and administrators.
    async fn phone_number(&self, ctx: &Context<'_>) -> Option<Result<&str, ApiError>> {
        match self.shows_private_data(ctx) {
            Ok(true) => self.row.phone_number.as_deref().map(Ok),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// What the user may do.
    async fn role(&self) -> Role {
        self.row.role.into()
    }

    /// Whether an administrator has closed the account to sign-ins.
    async fn is_disabled(&self) -> bool {
        self.row.is_disabled
    }

    /// Whether the user can sign in by password.
    async fn has_password(&self) -> bool {
        self.row.password_hash.is_some()
    }

    /// Whether the user can sign in by WeChat.
    async fn is_wechat_linked(&self, ctx: &Context<'_>) -> Result<bool, ApiError> {
        let loader: &DataLoader<UserLoader> = service(ctx)?;
        let linked = loader.load_one(IsWechatLinked(self.row.id)).await?;
        Ok(linked.unwrap_or_default())
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }
}

impl User {
    /// The user of this id, batched with others of the same level.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn load(ctx: &Context<'_>, id: uuid::Uuid) -> Result<Option<Self>, ApiError> {
        let loader: &DataLoader<UserLoader> = service(ctx)?;
        Ok(loader.load_one(ById(id)).await?.map(Self::from))
    }

    /// As [`User::load`], for a user that a foreign key says exists.
    ///
    /// # Errors
    /// An internal error when there is none.
    pub async fn require(ctx: &Context<'_>, id: uuid::Uuid) -> Result<Self, ApiError> {
        Self::load(ctx, id)
            .await?
            .ok_or_else(|| ApiError::internal(format!("user {id} is missing")))
    }
}

/// How to sign in: exactly one of the two.
#[derive(OneofObject)]
enum LoginInput {
    /// By the code that `wx.login` gives; the first time, that makes an account.
    Wechat(WechatLoginInput),
    /// By user name or e-mail address, and password.
    Password(PasswordLoginInput),
}

/// A sign-in from a mini-program.
#[derive(InputObject)]
struct WechatLoginInput {
    /// The code of `wx.login`, good once and for 5 minutes.
    code: String,
    /// AppID of the mini-program, when the server serves several. Absent: the only one.
    app_id: Option<String>,
}

/// A sign-in by password.
#[derive(InputObject)]
struct PasswordLoginInput {
    /// Username or e-mail address, in any case.
    username: String,
    /// Taken as it is, spaces included.
    password: String,
}

/// What a new account needs.
#[derive(InputObject)]
struct RegisterInput {
    /// 3 to 32 letters, digits, dots, hyphens or underscores of ASCII; unique without regard to case.
    username: String,
    /// 8 to 128 characters with an upper-case and a lower-case letter, a digit and a special character; not a common one.
    password: String,
    /// At most 254 characters, unique without regard to case. Can be used to sign in.
    email: Option<String>,
    /// 1 to 64 characters. Absent: the user name.
    display_name: Option<String>,
}

/// A request for new tokens.
#[derive(InputObject)]
struct RefreshSessionInput {
    /// The newest refresh token of the session. It is replaced: the one in the reply is the next to use.
    refresh_token: String,
}

/// Which sessions to end.
#[derive(InputObject, Default)]
struct LogoutInput {
    /// Whether to end every session of the user, on all devices, instead of this one.
    #[graphql(default = false)]
    everywhere: bool,
}

/// Tokens of a session and the user they speak for.
#[derive(SimpleObject)]
struct AuthPayload {
    /// JWT for the header `Authorization: Bearer …`.
    access_token: String,
    /// When the access token ends: 15 minutes after it was made unless the server is set otherwise.
    access_token_expires_at: DateTime,
    /// Opaque token for `refreshSession`, good once. Keep it as safe as a password.
    refresh_token: String,
    /// When the refresh token ends unless it is used before.
    refresh_token_expires_at: DateTime,
    /// Who signed in.
    user: User,
    /// Whether this request made the account.
    is_new_user: bool,
}

/// What a sign-out did.
#[derive(SimpleObject)]
struct LogoutPayload {
    /// How many sessions ended; 0 when the session had ended before.
    ended_sessions: i32,
}

impl From<SignIn> for AuthPayload {
    fn from(sign_in: SignIn) -> Self {
        Self {
            access_token: sign_in.access_token,
            access_token_expires_at: sign_in.access_token_expires_at.into(),
            refresh_token: sign_in.refresh_token,
            refresh_token_expires_at: sign_in.refresh_token_expires_at.into(),
            user: User {
                row: sign_in.user,
                just_signed_in: true,
            },
            is_new_user: sign_in.is_new_user,
        }
    }
}

/// Queries about accounts.
#[derive(Debug, Default)]
pub struct IdentityQuery;

#[Object]
impl IdentityQuery {
    /// The signed-in user; null without an access token. A bad or expired token is answered with HTTP 401 instead.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Result<User, ApiError>> {
        match viewer_opt(ctx) {
            Ok(viewer) => Some(User::require(ctx, viewer?.user_id).await),
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether `register` would take this name now, for a form that checks while typing. False for a name that breaks the
    /// rules of `RegisterInput.username`.
    async fn username_available(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name as it is typed.")] username: String,
    ) -> Result<bool, ApiError> {
        let identity: &IdentityService = service(ctx)?;
        Ok(identity.is_username_available(&username).await?)
    }
}

fn client<'a>(ctx: &Context<'a>) -> Result<Client<'a>, ApiError> {
    let request = request(ctx)?;
    Ok(Client {
        user_agent: request.user_agent.as_deref(),
        address: request.client_address,
    })
}

/// Mutations of accounts.
#[derive(Debug, Default)]
pub struct IdentityMutation;

#[Object]
impl IdentityMutation {
    /// Signs in and opens a session; one a request. Errors: INVALID_CREDENTIALS, ACCOUNT_DISABLED, RATE_LIMITED after five wrong
    /// passwords a minute for one account; by WeChat also WECHAT_CODE_INVALID,
    /// WECHAT_CODE_USED, WECHAT_USER_BLOCKED, WECHAT_NOT_CONFIGURED, UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "By WeChat or by password.")] input: LoginInput,
    ) -> Result<AuthPayload, ApiError> {
        let identity: &IdentityService = service(ctx)?;
        let client = client(ctx)?;
        let sign_in = match input {
            LoginInput::Wechat(WechatLoginInput { code, app_id }) => {
                identity
                    .login_with_wechat(&code, app_id.as_deref(), client)
                    .await
            }
            LoginInput::Password(PasswordLoginInput { username, password }) => {
                identity
                    .login_with_password(&username, password, client)
                    .await
            }
        };
        Ok(sign_in?.into())
    }

    /// Makes an account with a password and signs it in. Errors: BAD_USER_INPUT, WEAK_PASSWORD, USERNAME_TAKEN, EMAIL_TAKEN.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name, password and what else is known.")] input: RegisterInput,
    ) -> Result<AuthPayload, ApiError> {
        let identity: &IdentityService = service(ctx)?;
        let account = NewAccount {
            username: input.username,
            password: input.password,
            email: input.email,
            display_name: input.display_name,
        };
        Ok(identity.register(account, client(ctx)?).await?.into())
    }

    /// Exchanges a refresh token for new tokens; send it without the expired access token. Errors: UNAUTHENTICATED for a token
    /// that is not known, TOKEN_EXPIRED, TOKEN_REVOKED for the one that was replaced last and for an ended session,
    /// ACCOUNT_DISABLED.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: RefreshSessionInput,
    ) -> Result<AuthPayload, ApiError> {
        let identity: &IdentityService = service(ctx)?;
        Ok(identity.refresh(&input.refresh_token).await?.into())
    }

    /// Ends this session, or every session of the user: its tokens stop working at once. Errors: UNAUTHENTICATED.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Absent: this session only.")] input: Option<LogoutInput>,
    ) -> Result<LogoutPayload, ApiError> {
        let viewer = *viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let ended = identity
            .logout(viewer, input.unwrap_or_default().everywhere)
            .await?;
        Ok(LogoutPayload {
            ended_sessions: i32::try_from(ended).unwrap_or(i32::MAX),
        })
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        use crate::clients::wechat::WechatError;
        let taken = |field: &str| {
            vec![Fault {
                path: vec!["input".to_owned(), field.to_owned()],
                rule: Rule::Taken,
            }]
        };
        let code = match &error {
            IdentityError::Invalid(_) => ErrorCode::BadUserInput,
            IdentityError::WeakPassword(_) => ErrorCode::WeakPassword,
            IdentityError::InvalidCredentials => ErrorCode::InvalidCredentials,
            IdentityError::AccountDisabled => ErrorCode::AccountDisabled,
            IdentityError::UsernameTaken => ErrorCode::UsernameTaken,
            IdentityError::EmailTaken => ErrorCode::EmailTaken,
            IdentityError::TokenInvalid => ErrorCode::Unauthenticated,
            IdentityError::TokenExpired => ErrorCode::TokenExpired,
            IdentityError::TokenRevoked => ErrorCode::TokenRevoked,
            IdentityError::Busy | IdentityError::TooManyFailures { .. } => ErrorCode::RateLimited,
            IdentityError::NoSuchUser => ErrorCode::NotFound,
            IdentityError::Wechat(error) => match error {
                WechatError::NotConfigured => ErrorCode::WechatNotConfigured,
                WechatError::CodeInvalid => ErrorCode::WechatCodeInvalid,
                WechatError::CodeUsed => ErrorCode::WechatCodeUsed,
                WechatError::UserBlocked => ErrorCode::WechatUserBlocked,
                WechatError::RateLimited { .. } => ErrorCode::UpstreamRateLimited,
                WechatError::Unavailable => ErrorCode::UpstreamUnavailable,
            },
            IdentityError::Crypto(_) | IdentityError::Database(_) => ErrorCode::InternalServerError,
        };
        match error {
            IdentityError::Database(error) => error.into(),
            IdentityError::Crypto(_) => Self::internal(error),
            IdentityError::Invalid(faults) => faults.into(),
            IdentityError::WeakPassword(fields) => Self::new(code).with_fields(fields),
            IdentityError::UsernameTaken => Self::new(code).with_fields(taken("username")),
            IdentityError::EmailTaken => Self::new(code).with_fields(taken("email")),
            IdentityError::Busy => Self::new(code).with_retry_after(Some(5)),
            IdentityError::TooManyFailures {
                retry_after_seconds,
            } => Self::new(code).with_retry_after(Some(retry_after_seconds)),
            IdentityError::Wechat(WechatError::RateLimited {
                retry_after_seconds,
            }) => Self::new(code).with_retry_after(retry_after_seconds),
            _ => Self::new(code),
        }
    }
}
