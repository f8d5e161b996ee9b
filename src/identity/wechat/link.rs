//! What a signed-in user adds by a WeChat code: another way to sign in, a phone number.

use chrono::TimeDelta;
use sea_orm::DatabaseTransaction;

use crate::clients::wechat::{WechatError, WechatUser};
use crate::entity::audit_event::AuditAction;
use crate::entity::{user, wechat_identity};
use crate::identity::account::can_use_password;
use crate::identity::audit::{self, Act};
use crate::identity::error::IdentityError;
use crate::identity::repository;
use crate::identity::service::{Client, IdentityService, go_on, lock_viewer, touched};
use crate::platform::db::is_unique_violation;
use crate::platform::id::new_id;
use crate::platform::viewer::Viewer;

/// Within which a used code is taken for the one that was just used by the same user.
const DOUBLE_TAP: TimeDelta = TimeDelta::seconds(60);

impl IdentityService {
    /// Lets the caller sign in by the WeChat account behind `code`, too.
    ///
    /// # Errors
    /// As [`IdentityService::login_with_wechat`]; `WechatTaken` when that account is somebody else's, or the caller has another
    /// one of the same mini-program.
    pub async fn link_wechat(
        &self,
        viewer: &Viewer,
        code: &str,
        app_id: Option<&str>,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let (app_id, code) = self.check_code(&["input"], code, app_id, client)?;
        let (this, viewer, act) = (self.clone(), *viewer, self.act(client));
        go_on(async move {
            let person = match this.wechat.exchange_code(&app_id, &code).await {
                Ok(person) => person,
                Err(WechatError::CodeUsed) => {
                    return this.linked_just_now(&viewer, &app_id, &act).await;
                }
                Err(error) => return Err(error.into()),
            };
            let linked = this
                .db
                .write(move |tx| {
                    let (person, act) = (person.clone(), act.clone());
                    Box::pin(async move { link(tx, &viewer, person, &act).await })
                })
                .await;
            match linked {
                // Somebody signed in with it just now.
                Err(IdentityError::Database(error)) if is_unique_violation(&error) => {
                    Err(IdentityError::WechatTaken)
                }
                other => other,
            }
        })
        .await
    }

    /// A used code may be the one that linked the account a moment ago: a double tap, or a lost reply.
    async fn linked_just_now(
        &self,
        viewer: &Viewer,
        app_id: &str,
        act: &Act,
    ) -> Result<user::Model, IdentityError> {
        let db = self.db.read();
        let identities = repository::list_wechat_identities(db, viewer.user_id).await?;
        let is_linked = identities.iter().any(|identity| {
            identity.app_id == app_id && act.at - identity.created_at <= DOUBLE_TAP
        });
        match repository::find_user(db, viewer.user_id).await? {
            Some(user) if is_linked => Ok(user),
            _ => Err(WechatError::CodeUsed.into()),
        }
    }

    /// Takes away every WeChat account that the caller signs in with. Having none is no error.
    ///
    /// # Errors
    /// `LastLoginMethod` when nothing else would be left to sign in with.
    pub async fn unlink_wechat(
        &self,
        viewer: &Viewer,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let (viewer, act) = (*viewer, self.act(client));
        self.db
            .write(move |tx| {
                let act = act.clone();
                Box::pin(async move {
                    let id = viewer.user_id;
                    let user = lock_viewer(tx, &viewer).await?;
                    if repository::delete_wechat_identities(tx, id).await? == 0 {
                        return Ok(user);
                    }
                    if !can_use_password(&user) {
                        return Err(IdentityError::LastLoginMethod);
                    }
                    let action = AuditAction::WechatUnlinked;
                    audit::record(tx, &act, action, Some(id), Some(id)).await?;
                    Ok(user)
                })
            })
            .await
    }

    /// Stores the phone number behind the code of a getPhoneNumber button.
    ///
    /// # Errors
    /// `Invalid` for an empty code, what WeChat refuses.
    pub async fn bind_phone_number(
        &self,
        viewer: &Viewer,
        code: &str,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let identities = repository::list_wechat_identities(self.db.read(), viewer.user_id).await?;
        // A button of the mini-program that the request comes from, or else of one that the caller signs in with.
        let seems = client
            .app_id
            .filter(|id| self.wechat.choose(Some(id), None).is_ok())
            .or(identities.first().map(|identity| identity.app_id.as_str()));
        let client_of_app = Client {
            app_id: seems,
            ..client
        };
        let (app_id, code) = self.check_code(&["input"], code, None, client_of_app)?;
        let openid = identities
            .into_iter()
            .find(|identity| identity.app_id == app_id)
            .map(|identity| identity.openid);
        let (this, viewer, id) = (self.clone(), *viewer, viewer.user_id);
        let act = self.act(client);
        go_on(async move {
            let number = this
                .wechat
                .phone_number(&app_id, &code, openid.as_deref())
                .await?;
            this.db
                .write(move |tx| {
                    let (number, act) = (number.clone(), act.clone());
                    Box::pin(async move {
                        let mut user = lock_viewer(tx, &viewer).await?;
                        user.phone_number = Some(number);
                        let user = touched(user, act.at);
                        repository::update_user(tx, user.clone()).await?;
                        let action = AuditAction::PhoneBound;
                        audit::record(tx, &act, action, Some(id), Some(id)).await?;
                        Ok(user)
                    })
                })
                .await
        })
        .await
    }
}

async fn link(
    tx: &DatabaseTransaction,
    viewer: &Viewer,
    person: WechatUser,
    act: &Act,
) -> Result<user::Model, IdentityError> {
    let id = viewer.user_id;
    let user = lock_viewer(tx, viewer).await?;
    let known = repository::find_wechat_identity(tx, &person.app_id, &person.openid).await?;
    if let Some(identity) = known {
        return match identity.user_id == id {
            true => Ok(user),
            false => Err(IdentityError::WechatTaken),
        };
    }
    let others = repository::list_wechat_identities(tx, id).await?;
    if others.iter().any(|other| other.app_id == person.app_id) {
        return Err(IdentityError::WechatTaken);
    }
    let row = wechat_identity::Model {
        id: new_id(),
        user_id: id,
        app_id: person.app_id,
        openid: person.openid,
        unionid: person.unionid,
        created_at: act.at,
    };
    repository::insert_wechat_identity(tx, row).await?;
    audit::record(tx, act, AuditAction::WechatLinked, Some(id), Some(id)).await?;
    Ok(user)
}
