//! What an account is made of: the rules for names and addresses, and the row of a WeChat user.

use sea_orm::DatabaseTransaction;

use crate::clients::wechat::WechatUser;
use crate::entity::user::Role;
use crate::entity::{user, wechat_identity};
use crate::identity::error::IdentityError;
use crate::identity::repository;
use crate::platform::clock::Timestamp;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::new_id;
use crate::platform::locale::Message;

/// What somebody registers with.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// As typed.
    pub username: String,
    /// As typed.
    pub password: String,
    /// As typed.
    pub email: Option<String>,
    /// As typed; the user name when absent.
    pub display_name: Option<String>,
}

/// The one form under which names and addresses are compared.
pub(super) fn key_of(text: &str) -> String {
    text.trim().to_lowercase()
}

/// 3 to 32 letters, digits, dots, hyphens or underscores of ASCII.
pub(super) fn check_username(faults: &mut Faults, username: &str) -> String {
    let username = faults.line(&["username"], username, 3, 32);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if username.chars().any(|c| !is_allowed(c) && !c.is_control()) {
        let expected = Message::new(
            "只能包含英文字母、数字、点、连字符和下划线",
            "ASCII letters, digits, dots, hyphens and underscores",
        );
        faults.add(&["username"], Rule::Malformed { expected });
    }
    username
}

/// Something before an @, a domain with a dot behind it. Whether mail arrives only mail can tell.
pub(super) fn check_email(faults: &mut Faults, email: &str) -> String {
    let email = faults.line(&["email"], email, 1, 254);
    let is_plausible = email.split_once('@').is_some_and(|(local, domain)| {
        (1..=64).contains(&local.len())
            && !domain.contains('@')
            && domain.split('.').count() >= 2
            && domain.split('.').all(|label| !label.is_empty())
            && !email.contains(char::is_whitespace)
    });
    // Lower case can be longer, and is what the column must hold.
    if key_of(&email).chars().count() > 254 && email.chars().count() <= 254 {
        faults.add(&["email"], Rule::TooLong { max: 254 });
    }
    if !is_plausible {
        let expected = Message::new("应为邮箱地址", "an e-mail address");
        faults.add(&["email"], Rule::Malformed { expected });
    }
    email
}

/// The user behind a WeChat identity, made when it is seen for the first time; whether it was.
pub(super) async fn find_or_create_wechat_user(
    tx: &DatabaseTransaction,
    wechat: WechatUser,
    now: Timestamp,
) -> Result<(user::Model, bool), IdentityError> {
    let known = repository::find_wechat_identity(tx, &wechat.app_id, &wechat.openid).await?;
    if let Some(identity) = known {
        let user = repository::find_user(tx, identity.user_id)
            .await?
            .ok_or(IdentityError::NoSuchUser)?;
        if let Some(unionid) = wechat.unionid
            && identity.unionid.as_deref() != Some(&unionid)
        {
            repository::update_unionid(tx, identity, unionid).await?;
        }
        return Ok((user, false));
    }
    let id = new_id();
    let user = user::Model {
        id,
        username: None,
        username_key: None,
        // What WeChat itself shows for people who have not chosen a name.
        display_name: "微信用户".to_owned(),
        avatar_url: None,
        email: None,
        email_key: None,
        phone_number: None,
        password_hash: None,
        role: Role::User,
        is_disabled: false,
        created_at: now,
        updated_at: now,
    };
    repository::insert_user(tx, user.clone()).await?;
    repository::insert_wechat_identity(
        tx,
        wechat_identity::Model {
            id: new_id(),
            user_id: id,
            app_id: wechat.app_id,
            openid: wechat.openid,
            unionid: wechat.unionid,
            created_at: now,
        },
    )
    .await?;
    Ok((user, true))
}
