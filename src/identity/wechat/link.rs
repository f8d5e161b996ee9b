//! What a signed-in user adds by a WeChat code: another way to sign in, a phone number.

use sea_orm::DatabaseTransaction;

use super::go_on;
use crate::clients::wechat::WechatUser;
use crate::entity::audit_event::AuditAction;
use crate::entity::{user, wechat_identity};
use crate::identity::account::can_use_password;
use crate::identity::audit::{self, Act};
use crate::identity::error::IdentityError;
use crate::identity::repository;
use crate::identity::service::{Client, IdentityService, touched};
use crate::platform::db::is_unique_violation;
use crate::platform::id::new_id;
use crate::platform::viewer::Viewer;

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
            let person = this.wechat.exchange_code(&app_id, &code).await?;
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
                    let user = repository::find_user_for_update(tx, id)
                        .await?
                        .ok_or(IdentityError::TokenRevoked)?;
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
        let (this, id, act) = (self.clone(), viewer.user_id, self.act(client));
        go_on(async move {
            let number = this
                .wechat
                .phone_number(&app_id, &code, openid.as_deref())
                .await?;
            this.db
                .write(move |tx| {
                    let (number, act) = (number.clone(), act.clone());
                    Box::pin(async move {
                        let mut user = repository::find_user_for_update(tx, id)
                            .await?
                            .ok_or(IdentityError::TokenRevoked)?;
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
    let user = repository::find_user_for_update(tx, id)
        .await?
        .ok_or(IdentityError::TokenRevoked)?;
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
