//! The GitHub account that a user links: whose token it is, kept encrypted, used for what that account alone may see.

use std::net::IpAddr;

use sea_orm::{DatabaseTransaction, DbErr};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::entity::audit_event::AuditAction;
use crate::entity::{github_account, user};
use crate::github::{Account, Asker, GithubError};
use crate::identity::audit::{self, Act};
use crate::identity::error::IdentityError;
use crate::identity::repository;
use crate::identity::seal::{open, seal};
use crate::identity::service::{Client, IdentityService, go_on, lock_viewer};
use crate::platform::fault::{Faults, Rule};
use crate::platform::locale::Message;
use crate::platform::viewer::Viewer;

/// Longest token, in characters. GitHub's grow every few years.
const MAX_TOKEN: usize = 512;

/// A linked account with its token.
pub struct LinkedGithub {
    /// Login at GitHub.
    pub login: String,
    /// The personal access token.
    pub token: SecretString,
    row: github_account::Model,
}

impl IdentityService {
    /// Links the GitHub account that `token` belongs to, instead of another one.
    ///
    /// # Errors
    /// `Invalid` for a token that GitHub does not accept, `TooManyFailures`, and what GitHub answers.
    pub async fn link_github(
        &self,
        viewer: &Viewer,
        token: &str,
        client: Client<'_>,
    ) -> Result<user::Model, IdentityError> {
        let token = check_token(token)?;
        // After some wrong ones GitHub refuses everything that comes from our address.
        let attempt = match (&self.throttle, client.address) {
            (Some(throttle), Some(address)) => Some(throttle.begin(
                &format!("github {}", viewer.user_id),
                address,
                self.clock.now(),
            )?),
            (_, None::<IpAddr>) | (None, _) => None,
        };
        let (this, viewer, act) = (self.clone(), *viewer, self.act(client));
        go_on(async move {
            let account = this.github.account(&token).await;
            if let Some(attempt) = attempt {
                match &account {
                    Ok(_) => attempt.succeeded(this.clock.now()),
                    Err(GithubError::Unauthorized) => drop(attempt),
                    Err(_) => attempt.was_not_made(this.clock.now()),
                }
            }
            let account = account.map_err(|error| match error {
                GithubError::Unauthorized | GithubError::NotFound => refused(),
                error => error.into(),
            })?;
            let row = github_account::Model {
                user_id: viewer.user_id,
                sealed_token: seal(
                    this.tokens.keys(),
                    &owner(viewer.user_id, account.id),
                    token.expose_secret(),
                )?,
                github_id: account.id,
                login: account.login,
                linked_at: act.at,
            };
            this.db
                .write(move |tx| {
                    let (row, act) = (row.clone(), act.clone());
                    Box::pin(async move { link(tx, &viewer, row, &act).await })
                })
                .await
        })
        .await
    }

    /// Takes the caller's GitHub account away and forgets its token. Having none is no error.
    ///
    /// # Errors
    /// Only the database's, and `TokenRevoked`.
    pub async fn unlink_github(
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
                    if repository::delete_github_account(tx, id, None).await? > 0 {
                        let action = AuditAction::GithubUnlinked;
                        audit::record(tx, &act, action, Some(id), Some(id)).await?;
                    }
                    Ok(user)
                })
            })
            .await
    }

    /// The GitHub account of a user, if one is linked and its token can be read.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn linked_github(&self, user_id: Uuid) -> Result<Option<LinkedGithub>, DbErr> {
        let Some(row) = repository::find_github_account(self.db.read(), user_id).await? else {
            return Ok(None);
        };
        let owner = owner(row.user_id, row.github_id);
        let Some(token) = open(self.tokens.keys(), &owner, &row.sealed_token) else {
            tracing::warn!(user.id = %user_id, "A GitHub token cannot be read: its key is not in the settings any more");
            return Ok(None);
        };
        Ok(Some(LinkedGithub {
            login: row.login.clone(),
            token,
            row,
        }))
    }

    /// Forgets an account whose token GitHub does not accept any more, unless another was linked meanwhile.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn forget_github(&self, linked: LinkedGithub) -> Result<(), IdentityError> {
        let act = Act::new(self.clock.now(), None, None);
        self.db
            .write(move |tx| {
                let (row, act) = (linked.row.clone(), act.clone());
                Box::pin(async move {
                    let (id, token) = (row.user_id, row.sealed_token.as_str());
                    if repository::delete_github_account(tx, id, Some(token)).await? > 0 {
                        let action = AuditAction::GithubUnlinked;
                        audit::record(tx, &act, action, None, Some(id)).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Gives an account the login that it has now.
    ///
    /// # Errors
    /// `Unavailable` when it has no other; what GitHub answers, and the database's.
    pub async fn renew_github_login(
        &self,
        linked: &mut LinkedGithub,
        asker: &Asker,
    ) -> Result<(), IdentityError> {
        let Account { login, .. } = self.github.known_account(asker, &linked.token).await?;
        if login == linked.login {
            return Err(GithubError::Unavailable.into());
        }
        linked.login.clone_from(&login);
        let row = linked.row.clone();
        self.db
            .write(move |tx| {
                let (row, login) = (row.clone(), login.clone());
                Box::pin(async move {
                    repository::rename_github_account(tx, &row, &login).await?;
                    Ok(())
                })
            })
            .await
    }
}

/// What a sealed token belongs to.
fn owner(user_id: Uuid, github_id: i64) -> Vec<u8> {
    format!("{user_id} {github_id}").into_bytes()
}

fn check_token(token: &str) -> Result<SecretString, IdentityError> {
    let mut faults = Faults::under(&["input"]);
    let token = faults.line(&["token"], token, 1, MAX_TOKEN);
    if faults.is_empty() && !token.bytes().all(|b| b.is_ascii_graphic()) {
        faults.add(&["token"], malformed());
    }
    Ok(faults.check(token)?.into())
}

fn malformed() -> Rule {
    Rule::Malformed {
        expected: Message::new(
            "应为 GitHub 接受的个人访问令牌",
            "a personal access token that GitHub accepts",
        ),
    }
}

fn refused() -> IdentityError {
    let mut faults = Faults::under(&["input"]);
    faults.add(&["token"], malformed());
    faults.into()
}

async fn link(
    tx: &DatabaseTransaction,
    viewer: &Viewer,
    row: github_account::Model,
    act: &Act,
) -> Result<user::Model, IdentityError> {
    let id = viewer.user_id;
    let user = lock_viewer(tx, viewer).await?;
    repository::delete_github_account(tx, id, None).await?;
    repository::insert_github_account(tx, row).await?;
    audit::record(tx, act, AuditAction::GithubLinked, Some(id), Some(id)).await?;
    Ok(user)
}
