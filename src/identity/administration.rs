//! What administrators do with the accounts of others, and the command line with any.

use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::entity::audit_event::AuditAction;
use crate::entity::user::Role;
use crate::entity::{audit_event, user};
use crate::graphql::keyset::TimeCursor;
use crate::graphql::pagination::{Page, Slice};
use crate::identity::account::key_of;
use crate::identity::audit::{self, Act};
use crate::identity::error::IdentityError;
use crate::identity::profile::find_proved;
use crate::identity::repository::{self, AuditFilter, Ended, Which};
use crate::identity::service::{Client, IdentityService, check_session, go_on, touched};
use crate::identity::sign_in::Proof;
use crate::identity::signal::{self, end_sessions};
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::parse_id;
use crate::platform::patch::Patch;
use crate::platform::viewer::Viewer;

/// What to change of a user. Nothing of it can be cleared.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// Another role ends the user's sessions.
    pub role: Patch<Role>,
    /// Closing the account ends the user's sessions.
    pub is_disabled: Patch<bool>,
    /// Name to show.
    pub display_name: Patch<String>,
}

impl IdentityService {
    /// A page of the users whose names or address contain `search`, newest first.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn list_users(
        &self,
        search: Option<&str>,
        page: &Page<TimeCursor>,
    ) -> Result<Slice<user::Model>, IdentityError> {
        let rows = repository::search_users(self.db.read(), search, page).await?;
        Ok(page.slice(rows))
    }

    /// How many users match.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn count_users(&self, search: Option<&str>) -> Result<u64, IdentityError> {
        Ok(repository::count_users(self.db.read(), search).await?)
    }

    /// A page of security events, newest first.
    ///
    /// # Errors
    /// Only the database's.
    pub(crate) async fn list_audit_events(
        &self,
        filter: &AuditFilter,
        page: &Page<TimeCursor>,
    ) -> Result<Slice<audit_event::Model>, IdentityError> {
        let rows = repository::list_audit_events(self.db.read(), filter, page).await?;
        Ok(page.slice(rows))
    }

    /// How many security events match.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn count_audit_events(&self, filter: &AuditFilter) -> Result<u64, IdentityError> {
        Ok(repository::count_audit_events(self.db.read(), filter).await?)
    }

    /// A security event.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn find_audit_event(
        &self,
        id: Uuid,
    ) -> Result<Option<audit_event::Model>, IdentityError> {
        Ok(repository::find_audit_event(self.db.read(), id).await?)
    }

    /// Changes a user. Opening the account (`is_disabled` false) also forgives its failed sign-ins.
    ///
    /// # Errors
    /// `NoSuchUser`, `Invalid`, `LastAdmin`.
    pub async fn update_user(
        &self,
        viewer: &Viewer,
        id: &str,
        patch: UserPatch,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let patch = check_patch(patch)?;
        let id = parse_id(id).ok_or(IdentityError::NoSuchUser)?;
        self.change_user(id, patch, Some(*viewer), client).await
    }

    /// Makes a user an administrator: for the command line.
    ///
    /// # Errors
    /// `NoSuchUser`.
    pub async fn promote(&self, username: &str) -> Result<(), IdentityError> {
        let patch = UserPatch {
            role: Patch::Set(Role::Admin),
            ..UserPatch::default()
        };
        let id = self.find_by_name(username).await?;
        self.change_user(id, patch, None, Client::default())
            .await
            .map(drop)
    }

    /// Opens an account and forgives its failed sign-ins: for the command line.
    ///
    /// # Errors
    /// `NoSuchUser`.
    pub async fn unlock(&self, username: &str) -> Result<(), IdentityError> {
        let patch = UserPatch {
            is_disabled: Patch::Set(false),
            ..UserPatch::default()
        };
        let id = self.find_by_name(username).await?;
        self.change_user(id, patch, None, Client::default())
            .await
            .map(drop)
    }

    async fn find_by_name(&self, username: &str) -> Result<Uuid, IdentityError> {
        let key = key_of(username);
        let user = repository::find_user_by_username_key(self.db.read(), &key).await?;
        Ok(user.ok_or(IdentityError::NoSuchUser)?.id)
    }

    /// `actor` is `None` for the command line.
    async fn change_user(
        &self,
        id: Uuid,
        patch: UserPatch,
        actor: Option<Viewer>,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let (this, act) = (self.clone(), self.act(client));
        let forgives = patch.is_disabled == Patch::Set(false);
        go_on(async move {
            let changed = this.db.write(move |tx| {
                let (patch, act) = (patch.clone(), act.clone());
                Box::pin(async move { change(tx, id, patch, actor, &act).await })
            });
            let (user, ended) = changed.await?;
            this.sessions.end(ended.ids).await;
            if forgives && let Some(throttle) = &this.throttle {
                throttle.forgive(&id.to_string());
            }
            Ok(user)
        })
        .await
    }

    /// Erases a user, as the user could.
    ///
    /// # Errors
    /// `NoSuchUser`, `LastAdmin`.
    pub async fn delete_user(
        &self,
        viewer: &Viewer,
        id: &str,
        client: Client<'_>,
    ) -> Result<Uuid, IdentityError> {
        let id = parse_id(id).ok_or(IdentityError::NoSuchUser)?;
        self.erase(id, Authority::Admin(*viewer), client).await
    }

    /// Deletes an account. The database deletes its sessions, WeChat identities and tasks, and takes it off its scores; the audit
    /// trail keeps the id, which then says nothing of a person.
    pub(super) async fn erase(
        &self,
        id: Uuid,
        authority: Authority,
        client: Client<'_>,
    ) -> Result<Uuid, IdentityError> {
        let (this, act) = (self.clone(), self.act(client));
        go_on(async move {
            let erased = this.db.write(move |tx| {
                let (authority, act) = (authority.clone(), act.clone());
                Box::pin(async move {
                    let admins = lock_admins_for(tx, id).await?;
                    let (user, actor) = match authority {
                        Authority::Owner(viewer, proof) => (
                            find_proved(tx, &viewer, proof.as_ref()).await?,
                            viewer.user_id,
                        ),
                        Authority::Admin(viewer) => {
                            check_session(tx, &viewer).await?;
                            let user = repository::find_user_for_update(tx, id).await?;
                            (user.ok_or(IdentityError::NoSuchUser)?, viewer.user_id)
                        }
                    };
                    if is_active_admin(&user) {
                        check_not_last(admins, id)?;
                    }
                    let ended = end_sessions(tx, id, Which::All, act.at).await?;
                    let action = AuditAction::AccountDeleted;
                    audit::record(tx, &act, action, Some(actor), Some(id)).await?;
                    repository::delete_user(tx, id).await?;
                    Ok::<_, IdentityError>(ended)
                })
            });
            let ended = erased.await?;
            this.sessions.end(ended.ids).await;
            Ok(id)
        })
        .await
    }
}

/// Who may erase an account.
#[derive(Clone)]
pub(super) enum Authority {
    /// Its owner, who proved to know the password if there is one.
    Owner(Viewer, Option<Proof>),
    /// An administrator.
    Admin(Viewer),
}

fn check_patch(mut patch: UserPatch) -> Result<UserPatch, IdentityError> {
    let mut faults = Faults::under(&["input"]);
    for (field, is_cleared) in [
        ("role", patch.role == Patch::Clear),
        ("isDisabled", patch.is_disabled == Patch::Clear),
        ("displayName", patch.display_name == Patch::Clear),
    ] {
        if is_cleared {
            faults.add(&[field], Rule::NotNullable);
        }
    }
    if let Patch::Set(name) = &mut patch.display_name {
        *name = faults.line(&["displayName"], name, 1, 64);
    }
    Ok(faults.check(patch)?)
}

fn is_active_admin(user: &user::Model) -> bool {
    user.role == Role::Admin && !user.is_disabled
}

/// The administrators who can sign in, locked when the user may be one of them: before the user's own row, so that two who
/// dismiss each other wait and do not deadlock.
async fn lock_admins_for(tx: &DatabaseTransaction, id: Uuid) -> Result<Vec<Uuid>, IdentityError> {
    match repository::find_user(tx, id).await? {
        Some(user) if is_active_admin(&user) => {
            Ok(repository::list_active_admins_for_update(tx).await?)
        }
        _ => Ok(Vec::new()),
    }
}

fn check_not_last(admins: Vec<Uuid>, id: Uuid) -> Result<(), IdentityError> {
    match admins.iter().any(|admin| *admin != id) {
        true => Ok(()),
        false => Err(IdentityError::LastAdmin),
    }
}

/// The user after the change, and the sessions that ended.
async fn change(
    tx: &DatabaseTransaction,
    id: Uuid,
    patch: UserPatch,
    actor: Option<Viewer>,
    act: &Act,
) -> Result<(user::Model, Ended), IdentityError> {
    if let Some(viewer) = &actor {
        check_session(tx, viewer).await?;
    }
    let admins = lock_admins_for(tx, id).await?;
    let user = repository::find_user_for_update(tx, id)
        .await?
        .ok_or(IdentityError::NoSuchUser)?;
    if patch.is_disabled == Patch::Set(false) {
        signal::forgive(tx, id, act.at).await?;
    }
    let mut changed = user.clone();
    if let Patch::Set(role) = patch.role {
        changed.role = role;
    }
    if let Patch::Set(is_disabled) = patch.is_disabled {
        changed.is_disabled = is_disabled;
    }
    if let Patch::Set(name) = patch.display_name {
        changed.display_name = name;
    }
    if changed == user {
        return Ok((user, Ended::default()));
    }
    if is_active_admin(&user) && !is_active_admin(&changed) {
        check_not_last(admins, id)?;
    }
    let changed = touched(changed, act.at);
    repository::update_user(tx, changed.clone()).await?;
    let mut actions = Vec::new();
    if changed.role != user.role {
        actions.push(AuditAction::RoleChanged);
    }
    match (user.is_disabled, changed.is_disabled) {
        (false, true) => actions.push(AuditAction::UserDisabled),
        (true, false) => actions.push(AuditAction::UserEnabled),
        _ => {}
    }
    for action in &actions {
        let actor = actor.map(|viewer| viewer.user_id);
        audit::record(tx, act, *action, actor, Some(id)).await?;
    }
    // A token must not speak for a role that the user has no more, or not yet.
    let ended = match actions.is_empty() {
        true => Ended::default(),
        false => end_sessions(tx, id, Which::All, act.at).await?,
    };
    Ok((changed, ended))
}
