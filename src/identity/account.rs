//! What an account is made of: the rules for names and addresses, and the row of a WeChat user.

use reqwest::Url;
use sea_orm::DatabaseTransaction;

use crate::clients::wechat::WechatUser;
use crate::entity::user::Role;
use crate::entity::{user, wechat_identity};
use crate::identity::audit::Act;
use crate::identity::error::IdentityError;
use crate::identity::repository;
use crate::identity::sign_in::insert_account;
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

/// An `https` address of at most 2048 characters: phones load nothing else, and a picture from WeChat's temporary files is
/// gone tomorrow.
pub(super) fn check_avatar_url(faults: &mut Faults, url: &str) -> String {
    let url = faults.line(&["avatarUrl"], url, 1, 2048);
    let parsed = url.parse::<Url>();
    let is_https = parsed
        .is_ok_and(|url| url.scheme() == "https" && url.has_host() && url.username().is_empty());
    // What the parser would mend on the way, a page may not.
    let is_clean = |c: char| !c.is_whitespace() && !"\"'<>\\^`{|}".contains(c);
    let is_plausible = is_https && url.chars().all(is_clean);
    if !is_plausible && !url.is_empty() {
        let expected = Message::new("应为 https 网址", "an https address");
        faults.add(&["avatarUrl"], Rule::Malformed { expected });
    }
    url
}

/// Stands between the parts of a searched text; no name or address contains it.
const SEPARATOR: char = '\u{1f}';

/// What a search for users looks through.
pub(super) fn search_text(user: &user::Model) -> String {
    let key = |key: &Option<String>| key.clone().unwrap_or_default();
    let name = user.display_name.to_lowercase();
    let (username, email) = (key(&user.username_key), key(&user.email_key));
    format!("{username}{SEPARATOR}{name}{SEPARATOR}{email}")
}

/// Whether the user can sign in by password.
pub(super) fn can_use_password(user: &user::Model) -> bool {
    user.password_hash.is_some() && (user.username_key.is_some() || user.email_key.is_some())
}

/// The user behind a WeChat identity, locked, or made when it is seen for the first time; whether it was.
pub(super) async fn find_or_create_wechat_user(
    tx: &DatabaseTransaction,
    wechat: WechatUser,
    act: &Act,
) -> Result<(user::Model, bool), IdentityError> {
    let find = || repository::find_wechat_identity(tx, &wechat.app_id, &wechat.openid);
    if let Some(identity) = find().await? {
        let user = repository::find_user_for_update(tx, identity.user_id).await?;
        // Until the user was locked, the identity could be taken away or the account deleted.
        let is_theirs = find()
            .await?
            .is_some_and(|now| now.user_id == identity.user_id);
        if let Some(user) = user.filter(|_| is_theirs) {
            if let Some(unionid) = wechat.unionid
                && identity.unionid.as_deref() != Some(&unionid)
            {
                repository::update_unionid(tx, identity, unionid).await?;
            }
            return Ok((user, false));
        }
    }
    let (id, now) = (new_id(), act.at);
    let mut user = user::Model {
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
        search_text: String::new(),
        created_at: now,
        updated_at: now,
    };
    user.search_text = search_text(&user);
    insert_account(tx, user.clone(), act).await?;
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
