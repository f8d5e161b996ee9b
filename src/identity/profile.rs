//! What people do with their own account.

use uuid::Uuid;

use crate::entity::audit_event::AuditAction;
use crate::entity::user;
use crate::identity::account::{
    can_use_password, check_avatar_url, check_email, check_username, key_of,
};
use crate::identity::administration::Authority;
use crate::identity::audit;
use crate::identity::error::IdentityError;
use crate::identity::repository::{self, Which};
use crate::identity::service::{Client, IdentityService, go_on, lock_viewer, touched};
use crate::identity::sign_in::{Proof, Refused};
use crate::identity::signal::end_sessions;
use crate::platform::fault::{Faults, Rule};
use crate::platform::patch::Patch;
use crate::platform::viewer::Viewer;

/// What to change of a profile.
#[derive(Debug, Clone, Default)]
pub struct ProfilePatch {
    /// Name to sign in with.
    pub username: Patch<String>,
    /// Cannot be cleared.
    pub display_name: Patch<String>,
    /// Address of the picture.
    pub avatar_url: Patch<String>,
    /// Address to sign in with.
    pub email: Patch<String>,
}

impl IdentityService {
    /// Changes the caller's profile.
    ///
    /// # Errors
    /// `Invalid`, `UsernameTaken`, `EmailTaken`, `LastLoginMethod` when a password would be left without a name to go with it.
    pub async fn update_profile(
        &self,
        viewer: &Viewer,
        patch: ProfilePatch,
    ) -> Result<user::Model, IdentityError> {
        let patch = check_patch(patch)?;
        let (viewer, id, now) = (*viewer, viewer.user_id, self.clock.now());
        let current = repository::find_user(self.db.read(), id)
            .await?
            .ok_or(IdentityError::TokenRevoked)?;
        let wanted = apply(current, patch.clone());
        self.check_free(&wanted).await?;
        let stored = self
            .db
            .write(move |tx| {
                let patch = patch.clone();
                Box::pin(async move {
                    let user = lock_viewer(tx, &viewer).await?;
                    let changed = apply(user.clone(), patch);
                    if changed == user {
                        return Ok(user);
                    }
                    if can_use_password(&user)
                        && !can_use_password(&changed)
                        && repository::list_wechat_identities(tx, id).await?.is_empty()
                    {
                        return Err(IdentityError::LastLoginMethod);
                    }
                    let changed = touched(changed, now);
                    repository::update_user(tx, changed.clone()).await?;
                    Ok(changed)
                })
            })
            .await;
        self.explain_conflict(stored, &wanted).await
    }

    /// Gives the caller another password, or the first one, and ends the caller's other sessions; returns how many ended.
    ///
    /// # Errors
    /// `WeakPassword`, `Invalid` without the current password of an account that has one, `InvalidCredentials` when it is wrong,
    /// `TooManyFailures`.
    pub async fn change_password(
        &self,
        viewer: &Viewer,
        current: Option<String>,
        new: String,
        client: Client<'_>,
    ) -> Result<(user::Model, usize), IdentityError> {
        self.policy.check(&["input", "newPassword"], &new)?;
        let hash = self.passwords.hash(new).await?;
        let try_once = async |current| {
            self.change_password_once(viewer, current, hash.clone(), client)
                .await
        };
        match try_once(current.clone()).await {
            // Perhaps only its hash was renewed, by a sign-in at the same time.
            Err(IdentityError::PasswordChanged) => try_once(current).await,
            other => other,
        }
    }

    async fn change_password_once(
        &self,
        viewer: &Viewer,
        current: Option<String>,
        hash: String,
        client: Client<'_>,
    ) -> Result<(user::Model, usize), IdentityError> {
        let path = ["input", "currentPassword"];
        let proof = self.prove(viewer, current, &path, client).await?;
        let (this, viewer, act) = (self.clone(), *viewer, self.act(client));
        go_on(async move {
            let changed = this.db.write(move |tx| {
                let (proof, hash, act) = (proof.clone(), hash.clone(), act.clone());
                Box::pin(async move {
                    let id = viewer.user_id;
                    let mut user = find_proved(tx, &viewer, proof.as_ref()).await?;
                    user.password_hash = Some(hash);
                    let user = touched(user, act.at);
                    repository::update_user(tx, user.clone()).await?;
                    let others = Which::AllBut(viewer.session_id);
                    let ended = end_sessions(tx, id, others, act.at).await?;
                    let action = AuditAction::PasswordChanged;
                    audit::record(tx, &act, action, Some(id), Some(id)).await?;
                    Ok::<_, IdentityError>((user, ended))
                })
            });
            let (user, ended) = changed.await?;
            this.sessions.end(ended.ids).await;
            Ok((user, ended.open))
        })
        .await
    }

    /// Erases the caller's account and personal data. Tasks go with it; scores stay without their author.
    ///
    /// # Errors
    /// `Invalid` without the password of an account that has one, `InvalidCredentials` when it is wrong, `TooManyFailures`,
    /// `LastAdmin`.
    pub async fn delete_account(
        &self,
        viewer: &Viewer,
        password: Option<String>,
        client: Client<'_>,
    ) -> Result<Uuid, IdentityError> {
        let try_once = async |password| {
            let path = ["input", "password"];
            let proof = self.prove(viewer, password, &path, client).await?;
            let authority = Authority::Owner(*viewer, proof);
            self.erase(viewer.user_id, authority, client).await
        };
        match try_once(password.clone()).await {
            Err(IdentityError::PasswordChanged) => try_once(password).await,
            other => other,
        }
    }

    /// That the caller knows the account's password; `None` when it has none.
    async fn prove(
        &self,
        viewer: &Viewer,
        password: Option<String>,
        path: &[&str],
        client: Client<'_>,
    ) -> Result<Option<Proof>, IdentityError> {
        let user = repository::find_user(self.db.read(), viewer.user_id)
            .await?
            .ok_or(IdentityError::TokenRevoked)?;
        if user.password_hash.is_none() {
            return Ok(None);
        }
        let Some(password) = password else {
            let mut faults = Faults::under(&[]);
            faults.add(path, Rule::Required);
            return Err(faults.into());
        };
        // Counted with the failed sign-ins: who has the phone in hand must not guess any faster.
        let attempt = self.begin_attempt(&user.id.to_string(), client)?;
        let checked = self.check_password(Some(user), password).await;
        match self.end_attempt(attempt, checked) {
            Ok((_, proof)) => Ok(Some(proof)),
            Err(Refused { error, user_id }) => {
                self.record_failure(&error, user_id, user_id, &self.act(client))
                    .await?;
                Err(error)
            }
        }
    }
}

/// The caller's account, locked, whose password is still the one that was proved.
pub(super) async fn find_proved(
    tx: &impl sea_orm::ConnectionTrait,
    viewer: &Viewer,
    proof: Option<&Proof>,
) -> Result<user::Model, IdentityError> {
    let user = lock_viewer(tx, viewer).await?;
    match user.password_hash.as_ref() == proof.map(|proof| &proof.hash) {
        true => Ok(user),
        false => Err(IdentityError::PasswordChanged),
    }
}

fn check_patch(mut patch: ProfilePatch) -> Result<ProfilePatch, IdentityError> {
    let mut faults = Faults::under(&["input"]);
    if let Patch::Set(username) = &mut patch.username {
        *username = check_username(&mut faults, username);
    }
    match &mut patch.display_name {
        Patch::Keep => {}
        Patch::Clear => faults.add(&["displayName"], Rule::NotNullable),
        Patch::Set(name) => *name = faults.line(&["displayName"], name, 1, 64),
    }
    if let Patch::Set(url) = &mut patch.avatar_url {
        *url = check_avatar_url(&mut faults, url);
    }
    if let Patch::Set(email) = &mut patch.email {
        *email = check_email(&mut faults, email);
    }
    Ok(faults.check(patch)?)
}

fn apply(mut user: user::Model, patch: ProfilePatch) -> user::Model {
    user.username = patch.username.apply(user.username);
    user.username_key = user.username.as_deref().map(key_of);
    if let Patch::Set(name) = patch.display_name {
        user.display_name = name;
    }
    user.avatar_url = patch.avatar_url.apply(user.avatar_url);
    user.email = patch.email.apply(user.email);
    user.email_key = user.email.as_deref().map(key_of);
    user
}
