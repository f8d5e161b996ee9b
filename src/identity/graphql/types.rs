//! The types and payloads of accounts.

use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use uuid::Uuid;

use crate::entity::{audit_event, session, user};
use crate::github::graphql::GithubEventConnection;
use crate::github::{Asker, GithubError, GithubService};
use crate::graphql::context::{service, viewer_opt};
use crate::graphql::error::ApiError;
use crate::graphql::pagination::{PageArgs, relay_connection};
use crate::graphql::scalars::DateTime;
use crate::graphql::scope::shared;
use crate::identity::loader::{ById, GithubLoginOf, IsWechatLinked};
use crate::identity::{IdentityError, IdentityService, LinkedGithub, SignIn, UserLoader};
use crate::notifications::SubscribeCredit;
use crate::notifications::graphql::NotificationConnection;

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
    /// The session that this request opened: it proved to come from this very user, though it carried no token.
    opened_session: Option<Uuid>,
}

impl User {
    /// E-mail and phone number are for the person and for administrators.
    fn shows_private_data(&self, ctx: &Context<'_>) -> Result<bool, ApiError> {
        let is_caller = viewer_opt(ctx)?
            .is_some_and(|viewer| viewer.user_id == self.row.id || viewer.is_admin());
        Ok(is_caller || self.opened_session.is_some())
    }

    /// The session that the caller uses, if the caller is this user.
    fn own_session(&self, ctx: &Context<'_>) -> Result<Option<Uuid>, ApiError> {
        let viewer = viewer_opt(ctx)?.filter(|viewer| viewer.user_id == self.row.id);
        Ok(viewer
            .map(|viewer| viewer.session_id)
            .or(self.opened_session))
    }
}

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self {
            row,
            opened_session: None,
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

    /// Address of the profile picture, `https`. Null until the user sets one.
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

    /// Phone number that WeChat verified, as WeChat writes it: with country code unless it is Chinese. Null until one is bound,
    /// and for anyone but the user and administrators.
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

    /// Whether the account has a password; with a user name or e-mail address the user can sign in by it.
    async fn has_password(&self) -> bool {
        self.row.password_hash.is_some()
    }

    /// Whether the user can sign in by WeChat.
    async fn is_wechat_linked(&self, ctx: &Context<'_>) -> Result<bool, ApiError> {
        let loader: Arc<DataLoader<UserLoader>> = shared(ctx)?;
        let linked = loader.load_one(IsWechatLinked(self.row.id)).await?;
        Ok(linked.unwrap_or_default())
    }

    /// Login of the linked GitHub account, as GitHub writes it. Null while none is linked, and for anyone but the user and
    /// administrators.
    async fn github_login(&self, ctx: &Context<'_>) -> Option<Result<String, ApiError>> {
        match self.shows_private_data(ctx) {
            Ok(true) => find_github_login(ctx, self.row.id).await.transpose(),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// The sign-ins that could still be used, the last used first. Only for the user; empty for anyone else, administrators too.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>, ApiError> {
        let Some(current) = self.own_session(ctx)? else {
            return Ok(Vec::new());
        };
        let identity: &IdentityService = service(ctx)?;
        let sessions = identity.list_sessions(self.row.id).await?;
        Ok(sessions
            .into_iter()
            .map(|row| Session::new(row, current))
            .collect())
    }

    /// What the user was told, newest first. Only for the user; empty for anyone else, administrators too.
    /// Errors: BAD_USER_INPUT.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that were read, or were not. Absent: all.")] is_read: Option<
            bool,
        >,
        #[graphql(desc = "Number of notifications from the start, 0 to 100. Default 20.")]
        first: Option<i32>,
        #[graphql(desc = "Only notifications after this cursor.")] after: Option<String>,
        #[graphql(
            desc = "Number of notifications from the end, 0 to 100. Not together with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only notifications before this cursor.")] before: Option<String>,
    ) -> Result<NotificationConnection, ApiError> {
        let args = PageArgs {
            first,
            after,
            last,
            before,
        };
        let is_caller = viewer_opt(ctx)?.is_some_and(|viewer| viewer.user_id == self.row.id);
        match is_caller {
            true => NotificationConnection::load(ctx, is_read, args).await,
            false => Ok(NotificationConnection::empty()),
        }
    }

    /// The templates of WeChat messages that this server sends in the user's mini-programs, each with how many the user may still be
    /// sent. Only for the user; empty for anyone else, administrators too, and when the server sends none.
    async fn subscribe_credits(&self, ctx: &Context<'_>) -> Result<Vec<SubscribeCredit>, ApiError> {
        let is_caller = viewer_opt(ctx)?.is_some_and(|viewer| viewer.user_id == self.row.id);
        match is_caller {
            true => SubscribeCredit::load(ctx).await,
            false => Ok(Vec::new()),
        }
    }

    /// What the people and repositories that the linked GitHub account follows did in the last 30 days, newest first, private
    /// repositories that the account may see included: at most 300 events. Null when no account is linked, when GitHub does not accept its
    /// token any more, which unlinks it, and for anyone but the user, administrators too. Errors: BAD_USER_INPUT,
    /// UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn github_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of events, 0 to 100. Default 20.")] first: Option<i32>,
        #[graphql(desc = "Only events after this cursor.")] after: Option<String>,
    ) -> Option<Result<GithubEventConnection, ApiError>> {
        let args = PageArgs {
            first,
            after,
            ..PageArgs::default()
        };
        load_github_events(ctx, self.row.id, args).await.transpose()
    }
}

async fn find_github_login(ctx: &Context<'_>, id: Uuid) -> Result<Option<String>, ApiError> {
    let loader: Arc<DataLoader<UserLoader>> = shared(ctx)?;
    Ok(loader.load_one(GithubLoginOf(id)).await?)
}

async fn load_github_events(
    ctx: &Context<'_>,
    id: Uuid,
    args: PageArgs,
) -> Result<Option<GithubEventConnection>, ApiError> {
    let page = GithubEventConnection::check(ctx, args)?;
    if viewer_opt(ctx)?.is_none_or(|viewer| viewer.user_id != id) {
        return Ok(None);
    }
    let identity: &IdentityService = service(ctx)?;
    let github: &GithubService = service(ctx)?;
    let asker: Arc<Asker> = shared(ctx)?;
    let Some(linked) = identity.linked_github(id).await? else {
        return Ok(None);
    };
    let load = async |linked: &LinkedGithub| {
        let (token, login) = (&linked.token, linked.login.as_str());
        GithubEventConnection::load(github, &asker, ctx, token, login, &page).await
    };
    let mut linked = linked;
    let mut loaded = load(&linked).await;
    if loaded.as_ref().err() == Some(&GithubError::NotFound) {
        // The account has another login by now.
        loaded = match identity.renew_github_login(&mut linked, &asker).await {
            Ok(()) => load(&linked).await,
            Err(IdentityError::Github(error)) => Err(error),
            Err(error) => return Err(error.into()),
        };
    }
    match loaded {
        Ok(connection) => Ok(Some(connection)),
        Err(GithubError::Unauthorized) => {
            identity.forget_github(linked).await?;
            Ok(None)
        }
        // There is nothing that the caller could have asked otherwise.
        Err(GithubError::Invalid) => Err(GithubError::Unavailable.into()),
        Err(error) => Err(error.into()),
    }
}

impl User {
    /// The user of this id, batched with others of the same level.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn load(ctx: &Context<'_>, id: Uuid) -> Result<Option<Self>, ApiError> {
        let loader: Arc<DataLoader<UserLoader>> = shared(ctx)?;
        Ok(loader.load_one(ById(id)).await?.map(Self::from))
    }

    /// As [`User::load`], for a user that a foreign key says exists.
    ///
    /// # Errors
    /// An internal error when there is none.
    pub async fn require(ctx: &Context<'_>, id: Uuid) -> Result<Self, ApiError> {
        Self::load(ctx, id)
            .await?
            .ok_or_else(|| ApiError::internal(format!("user {id} is missing")))
    }
}

/// A session row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct Session {
    row: session::Model,
    is_current: bool,
}

impl Session {
    /// A session of the caller, who uses the session `current`.
    pub fn new(row: session::Model, current: Uuid) -> Self {
        Self {
            is_current: row.id == current,
            row,
        }
    }
}

/// One sign-in on one device.
#[Object]
impl Session {
    /// Opaque, the same for the life of the session.
    pub async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// When the user signed in.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When its tokens were last renewed; a device that is in use does so before each access token ends.
    async fn last_used_at(&self) -> DateTime {
        self.row.last_used_at.into()
    }

    /// When it ends unless it is used before; a past time for one that has ended.
    async fn expires_at(&self) -> DateTime {
        let ends_at = self.row.ended_at.unwrap_or(self.row.expires_at);
        ends_at.min(self.row.expires_at).into()
    }

    /// What the device said of itself when it signed in, at most 255 characters. Null when it said nothing.
    async fn user_agent(&self) -> Option<&str> {
        self.row.user_agent.as_deref()
    }

    /// Whether this request belongs to it.
    async fn is_current(&self) -> bool {
        self.is_current
    }
}

relay_connection!(UserConnection, UserEdge, User(user::Model), "users");

/// A kind of security event.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "audit_event::AuditAction")]
pub enum AuditAction {
    /// An account was made.
    Registered,
    /// A session was opened.
    SignedIn,
    /// A password or code was refused, or the account was disabled.
    SignInFailed,
    /// The user ended the session, or all sessions.
    SignedOut,
    /// The user ended one session, perhaps another device's.
    SessionRevoked,
    /// A refresh token that had been replaced came again, and the session was ended.
    RefreshReused,
    /// The user set another password, or the first one.
    PasswordChanged,
    /// The user can sign in by a WeChat account now.
    WechatLinked,
    /// The user cannot sign in by WeChat any more.
    WechatUnlinked,
    /// The user stored a phone number that WeChat verified.
    PhoneBound,
    /// The user linked a GitHub account.
    GithubLinked,
    /// The user took the GitHub account away.
    GithubUnlinked,
    /// An administrator gave the user another role.
    RoleChanged,
    /// An administrator closed the account.
    UserDisabled,
    /// An administrator opened the account again.
    UserEnabled,
    /// The account was erased, by its user or an administrator.
    AccountDeleted,
}

/// An event row with what the schema shows of it.
#[derive(Debug, Clone)]
pub struct AuditEvent(pub audit_event::Model);

impl From<audit_event::Model> for AuditEvent {
    fn from(row: audit_event::Model) -> Self {
        Self(row)
    }
}

/// One security event: who did what, when and from where. Only administrators see it. Kept for 180 days unless the server is set
/// otherwise.
#[Object]
impl AuditEvent {
    /// Opaque, never used again.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What happened.
    async fn action(&self) -> AuditAction {
        self.0.action.into()
    }

    /// Who did it, as far as a token or a session tells. Null for a failed sign-in, for the command line, and once the account is
    /// deleted.
    async fn actor(&self, ctx: &Context<'_>) -> Option<Result<User, ApiError>> {
        match self.0.actor_id {
            Some(id) => User::load(ctx, id).await.transpose(),
            None => None,
        }
    }

    /// Id of what it was done to: the session for SIGNED_OUT, SESSION_REVOKED and REFRESH_REUSED, the user otherwise, also after
    /// the account is deleted. Null when somebody failed to sign in to no account that there is.
    async fn subject_id(&self) -> Option<ID> {
        self.0.subject_id.map(Into::into)
    }

    /// Address that the request came from, IPv4 or IPv6. Null for the command line.
    async fn ip_address(&self) -> Option<&str> {
        self.0.ip_address.as_deref()
    }

    /// What the client said of itself, at most 255 characters. Null when it said nothing.
    async fn user_agent(&self) -> Option<&str> {
        self.0.user_agent.as_deref()
    }

    /// When it happened, by the server's clock.
    async fn occurred_at(&self) -> DateTime {
        self.0.occurred_at.into()
    }
}

relay_connection!(
    AuditEventConnection,
    AuditEventEdge,
    AuditEvent(audit_event::Model),
    "security events"
);

/// Tokens of a session and the user they speak for.
#[derive(SimpleObject)]
pub(super) struct AuthPayload {
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
pub(super) struct LogoutPayload {
    /// How many sessions ended; 0 when the session had ended before.
    pub(super) ended_sessions: i32,
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
                opened_session: Some(sign_in.session_id),
            },
            is_new_user: sign_in.is_new_user,
        }
    }
}

/// What was revoked.
#[derive(SimpleObject)]
pub(super) struct RevokeSessionPayload {
    /// Id of the session that has ended.
    pub(super) revoked_session_id: ID,
}

/// An account after its password was changed.
#[derive(SimpleObject)]
pub(super) struct ChangePasswordPayload {
    /// The caller's account.
    pub(super) user: User,
    /// How many other sessions ended.
    pub(super) ended_sessions: i32,
}

/// An account after its profile was changed.
#[derive(SimpleObject)]
pub(super) struct UpdateProfilePayload {
    /// The caller's account.
    pub(super) user: User,
}

/// An account after WeChat was linked to it or taken away.
#[derive(SimpleObject)]
pub(super) struct LinkWechatPayload {
    /// The caller's account.
    pub(super) user: User,
}

/// An account after a GitHub account was linked to it or taken away.
#[derive(SimpleObject)]
pub(super) struct LinkGithubPayload {
    /// The caller's account.
    pub(super) user: User,
}

/// An account after its phone number was stored.
#[derive(SimpleObject)]
pub(super) struct BindPhoneNumberPayload {
    /// The caller's account.
    pub(super) user: User,
}

/// What was erased.
#[derive(SimpleObject)]
pub(super) struct DeleteAccountPayload {
    /// Id of the account that is gone.
    pub(super) deleted_user_id: ID,
}

/// A user after an administrator's change.
#[derive(SimpleObject)]
pub(super) struct UpdateUserPayload {
    /// The user as stored.
    pub(super) user: User,
}

/// What was erased.
#[derive(SimpleObject)]
pub(super) struct DeleteUserPayload {
    /// Id of the account that is gone.
    pub(super) deleted_user_id: ID,
}
