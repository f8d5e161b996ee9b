//! Accounts in the schema.

mod error;
mod fields;
mod inputs;
mod types;

use async_graphql::{Context, ID, Object};
use uuid::Uuid;

pub use self::fields::FIELDS;
use self::inputs::{
    AuditEventFilter, BindPhoneNumberInput, ChangePasswordInput, DeleteAccountInput,
    DeleteUserInput, LinkGithubInput, LoginInput, LogoutInput, PasswordLoginInput,
    RefreshSessionInput, RegisterInput, RevokeSessionInput, UpdateProfileInput, UpdateUserInput,
    WechatLoginInput,
};
pub use self::types::{AuditEvent, Session, User};
use self::types::{
    AuditEventConnection, AuthPayload, BindPhoneNumberPayload, ChangePasswordPayload,
    DeleteAccountPayload, DeleteUserPayload, LinkGithubPayload, LinkWechatPayload, LogoutPayload,
    RevokeSessionPayload, UpdateProfilePayload, UpdateUserPayload, UserConnection,
};
use crate::graphql::context::{admin, request, service, viewer, viewer_opt};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::graphql::keyset::TimeCursor;
use crate::graphql::pagination::{PageArgs, encode};
use crate::identity::repository::AuditFilter;
use crate::identity::{Client, IdentityService, NewAccount};
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::parse_id;

/// Longest text that users are searched by.
const SEARCH_MAX: usize = 200;

/// Queries about accounts.
#[derive(Debug, Default)]
pub struct IdentityQuery;

#[Object]
impl IdentityQuery {
    /// The signed-in user; null without an access token. A bad or expired token is answered with HTTP 401 instead.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Result<User, ApiError>> {
        match viewer_opt(ctx) {
            Ok(viewer) => Some(find_viewer(ctx, viewer?.user_id).await),
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

    /// A user by id, for administrators. Null when there is none. Errors: UNAUTHENTICATED, FORBIDDEN.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the user.")] id: ID,
    ) -> Option<Result<User, ApiError>> {
        find_user(ctx, &id).await.transpose()
    }

    /// All users for administrators, newest first. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Only users whose user name, display name or e-mail address contains this text of at most 200 characters, in any case, or whose id it is."
        )]
        search: Option<String>,
        #[graphql(desc = "Number of users from the start, 0 to 100. Default 20.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only users after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of users from the end, 0 to 100. Not together with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only users before this cursor.")] before: Option<String>,
    ) -> Result<UserConnection, ApiError> {
        admin(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let page = PageArgs {
            first,
            after,
            last,
            before,
        }
        .check(*service(ctx)?, TimeCursor::is_valid)?;
        let search = search.as_deref();
        if search.is_some_and(|text| text.chars().count() > SEARCH_MAX) {
            let mut faults = Faults::under(&[]);
            faults.add(&["search"], Rule::TooLong { max: SEARCH_MAX });
            return Err(faults.into());
        }
        let slice = identity.list_users(search, &page).await?;
        let total_count = match ctx.look_ahead().field("totalCount").exists() {
            true => identity.count_users(search).await?,
            false => 0,
        };
        Ok(UserConnection {
            slice,
            total_count,
            cursor: Box::new(|user| encode(&TimeCursor::of(user.created_at, user.id))),
        })
    }

    /// The audit trail for administrators, newest first. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which events. Absent: all.")] filter: Option<AuditEventFilter>,
        #[graphql(desc = "Number of events from the start, 0 to 100. Default 20.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only events after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of events from the end, 0 to 100. Not together with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only events before this cursor.")] before: Option<String>,
    ) -> Result<AuditEventConnection, ApiError> {
        admin(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let page = PageArgs {
            first,
            after,
            last,
            before,
        }
        .check(*service(ctx)?, TimeCursor::is_valid)?;
        let filter: AuditFilter = filter.unwrap_or_default().into();
        let slice = identity.list_audit_events(&filter, &page).await?;
        let total_count = match ctx.look_ahead().field("totalCount").exists() {
            true => identity.count_audit_events(&filter).await?,
            false => 0,
        };
        Ok(AuditEventConnection {
            slice,
            total_count,
            cursor: Box::new(|event| encode(&TimeCursor::of(event.occurred_at, event.id))),
        })
    }
}

async fn find_viewer(ctx: &Context<'_>, id: Uuid) -> Result<User, ApiError> {
    let user = User::load(ctx, id).await?;
    // The account was deleted since the token was checked.
    user.ok_or_else(|| ApiError::new(ErrorCode::TokenRevoked))
}

async fn find_user(ctx: &Context<'_>, id: &str) -> Result<Option<User>, ApiError> {
    admin(ctx)?;
    match parse_id(id) {
        Some(id) => User::load(ctx, id).await,
        None => Ok(None),
    }
}

fn client<'a>(ctx: &Context<'a>) -> Result<Client<'a>, ApiError> {
    let request = request(ctx)?;
    Ok(Client {
        user_agent: request.user_agent.as_deref(),
        address: Some(request.client_address),
        app_id: request.wechat_app_id.as_deref(),
        idempotency_key: request.idempotency_key.as_deref(),
    })
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Mutations of accounts.
#[derive(Debug, Default)]
pub struct IdentityMutation;

#[Object]
impl IdentityMutation {
    /// Signs in and opens a session; one a request. A sign-in by WeChat that is sent again within 60 seconds, because its reply
    /// was lost, gets the same session when both carry the same random header `Idempotency-Key` (over HTTP). Errors: INVALID_CREDENTIALS,
    /// ACCOUNT_DISABLED, RATE_LIMITED after five wrong passwords a minute for one account; by WeChat also BAD_USER_INPUT,
    /// WECHAT_CODE_INVALID, WECHAT_CODE_USED, WECHAT_USER_BLOCKED, WECHAT_NOT_CONFIGURED, UPSTREAM_UNAVAILABLE,
    /// UPSTREAM_RATE_LIMITED.
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

    /// Makes an account with a password and signs it in. Errors: BAD_USER_INPUT, WEAK_PASSWORD, USERNAME_TAKEN, EMAIL_TAKEN,
    /// RATE_LIMITED while too many passwords wait to be hashed.
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

    /// Exchanges a refresh token for new tokens; send it without the expired access token. The token that was replaced last gets
    /// the same next one for 10 seconds; after that its return, and that of any older one, ends the session. Errors:
    /// UNAUTHENTICATED for a token that is not ours, TOKEN_EXPIRED, TOKEN_REVOKED for a used token and for an ended session,
    /// ACCOUNT_DISABLED.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: RefreshSessionInput,
    ) -> Result<AuthPayload, ApiError> {
        let identity: &IdentityService = service(ctx)?;
        let client = client(ctx)?;
        Ok(identity.refresh(&input.refresh_token, client).await?.into())
    }

    /// Ends this session, or every session of the user: its tokens stop working at once. Errors: UNAUTHENTICATED.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Absent: this session only.")] input: Option<LogoutInput>,
    ) -> Result<LogoutPayload, ApiError> {
        let viewer = *viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let everywhere = input.unwrap_or_default().everywhere;
        let ended = identity.logout(viewer, everywhere, client(ctx)?).await?;
        Ok(LogoutPayload {
            ended_sessions: count(ended),
        })
    }

    /// Ends one of the caller's sessions, as on a lost phone: its tokens stop working at once. Repeating it is no error.
    /// Errors: UNAUTHENTICATED, NOT_FOUND.
    async fn revoke_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session.")] input: RevokeSessionInput,
    ) -> Result<RevokeSessionPayload, ApiError> {
        let viewer = *viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let id = identity
            .revoke_session(viewer, &input.id, client(ctx)?)
            .await?;
        Ok(RevokeSessionPayload {
            revoked_session_id: id.into(),
        })
    }

    /// Sets the caller's password and ends the caller's other sessions. Errors: UNAUTHENTICATED, WEAK_PASSWORD, BAD_USER_INPUT
    /// without the current password, INVALID_CREDENTIALS when it is wrong, RATE_LIMITED after five wrong ones a minute.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The current password and the new one.")] input: ChangePasswordInput,
    ) -> Result<ChangePasswordPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let (user, ended) = identity
            .change_password(
                viewer,
                input.current_password,
                input.new_password,
                client(ctx)?,
            )
            .await?;
        Ok(ChangePasswordPayload {
            user: user.into(),
            ended_sessions: count(ended),
        })
    }

    /// Changes what the input names of the caller's profile and keeps the rest. Errors: UNAUTHENTICATED, BAD_USER_INPUT,
    /// USERNAME_TAKEN, EMAIL_TAKEN, LAST_LOGIN_METHOD when a password would be left without a name to go with it.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateProfileInput,
    ) -> Result<UpdateProfilePayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let user = identity.update_profile(viewer, input.into()).await?;
        Ok(UpdateProfilePayload { user: user.into() })
    }

    /// Lets the caller sign in by a WeChat account, too. Linking it again is no error. Errors: UNAUTHENTICATED, BAD_USER_INPUT,
    /// CONFLICT when it is another user's or the caller has another one of the same mini-program, and what `login` by WeChat
    /// answers.
    async fn link_wechat(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The code of `wx.login`.")] input: WechatLoginInput,
    ) -> Result<LinkWechatPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let user = identity
            .link_wechat(viewer, &input.code, input.app_id.as_deref(), client(ctx)?)
            .await?;
        Ok(LinkWechatPayload { user: user.into() })
    }

    /// Takes every WeChat account off the caller's; open sessions stay. Without one it changes nothing. Errors: UNAUTHENTICATED,
    /// LAST_LOGIN_METHOD when nothing else is left to sign in with.
    async fn unlink_wechat(&self, ctx: &Context<'_>) -> Result<LinkWechatPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let user = identity.unlink_wechat(viewer, client(ctx)?).await?;
        Ok(LinkWechatPayload { user: user.into() })
    }

    /// Links the GitHub account that a personal access token belongs to, instead of another one; one a request. The token is checked
    /// at GitHub and stored encrypted. Errors: UNAUTHENTICATED, BAD_USER_INPUT for a token that GitHub does not accept, RATE_LIMITED
    /// after five of them a minute, UPSTREAM_UNAVAILABLE, UPSTREAM_RATE_LIMITED.
    async fn link_github(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token.")] input: LinkGithubInput,
    ) -> Result<LinkGithubPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let user = identity
            .link_github(viewer, &input.token, client(ctx)?)
            .await?;
        Ok(LinkGithubPayload { user: user.into() })
    }

    /// Takes the GitHub account off the caller's and forgets its token. Without one it changes nothing. Errors: UNAUTHENTICATED.
    async fn unlink_github(&self, ctx: &Context<'_>) -> Result<LinkGithubPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let user = identity.unlink_github(viewer, client(ctx)?).await?;
        Ok(LinkGithubPayload { user: user.into() })
    }

    /// Exchanges the code of a getPhoneNumber button for the verified number and stores it. Errors: UNAUTHENTICATED,
    /// BAD_USER_INPUT, WECHAT_CODE_INVALID or WECHAT_CODE_USED for a used code, WECHAT_NOT_CONFIGURED, UPSTREAM_UNAVAILABLE,
    /// UPSTREAM_RATE_LIMITED.
    async fn bind_phone_number(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The button's code.")] input: BindPhoneNumberInput,
    ) -> Result<BindPhoneNumberPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let user = identity
            .bind_phone_number(viewer, &input.code, client(ctx)?)
            .await?;
        Ok(BindPhoneNumberPayload { user: user.into() })
    }

    /// Erases the caller's account and personal data for good: sessions, WeChat accounts and tasks go, scores stay without their
    /// author; security events keep the address that they came from until they are deleted in their time. Errors: UNAUTHENTICATED, BAD_USER_INPUT without the password of an account that has one, INVALID_CREDENTIALS when
    /// it is wrong, RATE_LIMITED, CONFLICT for the last administrator.
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password, when there is one.")] input: DeleteAccountInput,
    ) -> Result<DeleteAccountPayload, ApiError> {
        let viewer = viewer(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let id = identity
            .delete_account(viewer, input.password, client(ctx)?)
            .await?;
        Ok(DeleteAccountPayload {
            deleted_user_id: id.into(),
        })
    }

    /// Changes a user, for administrators. Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, CONFLICT when nobody
    /// would be left to administer the server.
    async fn update_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateUserInput,
    ) -> Result<UpdateUserPayload, ApiError> {
        let viewer = admin(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let id = input.id.0.clone();
        let user = identity
            .update_user(viewer, &id, input.into_patch(), client(ctx)?)
            .await?;
        Ok(UpdateUserPayload { user: user.into() })
    }

    /// Erases a user as `deleteAccount` does, for administrators. Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, CONFLICT for the
    /// last administrator.
    async fn delete_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user.")] input: DeleteUserInput,
    ) -> Result<DeleteUserPayload, ApiError> {
        let viewer = admin(ctx)?;
        let identity: &IdentityService = service(ctx)?;
        let id = identity
            .delete_user(viewer, &input.id, client(ctx)?)
            .await?;
        Ok(DeleteUserPayload {
            deleted_user_id: id.into(),
        })
    }
}
