//! The inputs of accounts.

use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};

use super::types::{AuditAction, Role};
use crate::graphql::scalars::DateTime;
use crate::identity::repository::AuditFilter;
use crate::identity::{ProfilePatch, UserPatch};
use crate::platform::id::parse_id;
use crate::platform::patch::Patch;

/// How to sign in: exactly one of the two.
#[derive(OneofObject)]
pub(super) enum LoginInput {
    /// By the code that `wx.login` gives; the first time, that makes an account.
    Wechat(WechatLoginInput),
    /// By user name or e-mail address, and password.
    Password(PasswordLoginInput),
}

/// A sign-in from a mini-program.
#[derive(InputObject)]
pub(super) struct WechatLoginInput {
    /// The code of `wx.login`, good once and for 5 minutes.
    pub(super) code: String,
    /// AppID of the mini-program, when the server serves several. Absent: the one that the `Referer` of `wx.request` names, or
    /// else the first of the settings.
    pub(super) app_id: Option<String>,
}

/// A sign-in by password.
#[derive(InputObject)]
pub(super) struct PasswordLoginInput {
    /// Username or e-mail address, in any case.
    pub(super) username: String,
    /// Taken as it is, spaces included.
    pub(super) password: String,
}

/// What a new account needs.
#[derive(InputObject)]
pub(super) struct RegisterInput {
    /// 3 to 32 letters, digits, dots, hyphens or underscores of ASCII; unique without regard to case.
    pub(super) username: String,
    /// 8 to 128 characters with an upper-case and a lower-case letter, a digit and a special character, unless the server is set
    /// otherwise; not a common one.
    pub(super) password: String,
    /// At most 254 characters, unique without regard to case. Can be used to sign in.
    pub(super) email: Option<String>,
    /// 1 to 64 characters. Absent: the user name.
    pub(super) display_name: Option<String>,
}

/// A request for new tokens.
#[derive(InputObject)]
pub(super) struct RefreshSessionInput {
    /// The newest refresh token of the session. It is replaced: the one in the reply is the next to use. When the reply was
    /// lost, the same token gets the same next one for 10 seconds.
    pub(super) refresh_token: String,
}

/// Which sessions to end.
#[derive(InputObject, Default)]
pub(super) struct LogoutInput {
    /// Whether to end every session of the user, on all devices, instead of this one.
    #[graphql(default = false)]
    pub(super) everywhere: bool,
}

/// A session to end.
#[derive(InputObject)]
pub(super) struct RevokeSessionInput {
    /// Id of one of the caller's sessions.
    pub(super) id: ID,
}

/// A new password.
#[derive(InputObject)]
pub(super) struct ChangePasswordInput {
    /// Needed unless the account has no password yet.
    pub(super) current_password: Option<String>,
    /// By the rules of `RegisterInput.password`.
    pub(super) new_password: String,
}

/// What to change of a profile: a field that is absent stays, null clears it, a value sets it.
#[derive(InputObject)]
pub(super) struct UpdateProfileInput {
    /// By the rules of `RegisterInput.username`. Null takes the name away.
    pub(super) username: MaybeUndefined<String>,
    /// 1 to 64 characters. Cannot be cleared.
    pub(super) display_name: MaybeUndefined<String>,
    /// An `https` address of at most 2048 characters.
    pub(super) avatar_url: MaybeUndefined<String>,
    /// At most 254 characters, unique without regard to case. Can be used to sign in.
    pub(super) email: MaybeUndefined<String>,
}

impl From<UpdateProfileInput> for ProfilePatch {
    fn from(input: UpdateProfileInput) -> Self {
        Self {
            username: input.username.into(),
            display_name: input.display_name.into(),
            avatar_url: input.avatar_url.into(),
            email: input.email.into(),
        }
    }
}

/// A phone number to store.
#[derive(InputObject)]
pub(super) struct BindPhoneNumberInput {
    /// The code that a button `open-type="getPhoneNumber"` gives, good once and for 5 minutes; not the code of `wx.login`.
    pub(super) code: String,
}

/// A GitHub account to link.
#[derive(InputObject)]
pub(super) struct LinkGithubInput {
    /// A personal access token, classic or fine-grained, at most 512 characters; it needs no scope for what everybody may see. Stored
    /// encrypted, never returned.
    pub(super) token: String,
}

/// The erasure of one's own account.
#[derive(InputObject)]
pub(super) struct DeleteAccountInput {
    /// Needed when the account has a password.
    pub(super) password: Option<String>,
}

/// What to change of a user; absent fields stay, none can be null.
#[derive(InputObject)]
pub(super) struct UpdateUserInput {
    /// Id of the user.
    pub(super) id: ID,
    /// Another role ends the user's sessions.
    pub(super) role: MaybeUndefined<Role>,
    /// True closes the account and ends its sessions; false opens it and forgives its failed sign-ins.
    pub(super) is_disabled: MaybeUndefined<bool>,
    /// 1 to 64 characters.
    pub(super) display_name: MaybeUndefined<String>,
}

impl UpdateUserInput {
    pub(super) fn into_patch(self) -> UserPatch {
        UserPatch {
            role: Patch::from(self.role).map(Into::into),
            is_disabled: self.is_disabled.into(),
            display_name: self.display_name.into(),
        }
    }
}

/// The erasure of a user's account.
#[derive(InputObject)]
pub(super) struct DeleteUserInput {
    /// Id of the user.
    pub(super) id: ID,
}

/// Which security events to list; all parts must hold.
#[derive(InputObject, Default)]
pub(super) struct AuditEventFilter {
    /// What happened.
    pub(super) action: Option<AuditAction>,
    /// Done by this user, or to this user.
    pub(super) user_id: Option<ID>,
    /// At this time or later.
    pub(super) from: Option<DateTime>,
    /// Before this time.
    pub(super) to: Option<DateTime>,
}

impl From<AuditEventFilter> for AuditFilter {
    fn from(filter: AuditEventFilter) -> Self {
        Self {
            action: filter.action.map(Into::into),
            // What is no id of ours matches nothing.
            user_id: filter.user_id.map(|id| parse_id(&id).unwrap_or_default()),
            from: filter.from.map(|time| time.0),
            to: filter.to.map(|time| time.0),
        }
    }
}
