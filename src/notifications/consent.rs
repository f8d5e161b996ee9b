//! The ledger of consents: the platform takes one message for each, and does not tell how many are left.

use uuid::Uuid;

use crate::entity::{subscribe_consent, subscribe_credit};
use crate::notifications::error::NotificationError;
use crate::notifications::repository;
use crate::notifications::service::NotificationService;
use crate::platform::db::{is_orphan, is_unique_violation};
use crate::platform::digest::content_digest;
use crate::platform::fault::{Faults, Rule};
use crate::platform::id::parse_id;
use crate::platform::locale::Message;
use crate::platform::viewer::Viewer;

/// Most templates that `wx.requestSubscribeMessage` asks for at once.
const ANSWERS_MAX: usize = 5;
/// Credits of one template that are kept; clients could make up any number.
const CREDITS_MAX: i32 = 1000;

/// What a person answered for one template.
#[derive(Debug, Clone)]
pub struct ConsentAnswer {
    /// The template.
    pub template_id: String,
    /// Whether they agreed to one message.
    pub is_accepted: bool,
}

/// What is left of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// The mini-program's AppID.
    pub app_id: String,
    /// The template.
    pub template_id: String,
    /// Messages that may still be sent.
    pub remaining: i32,
}

impl NotificationService {
    /// Counts what the caller answered, once for each `id`; all their credits then.
    ///
    /// # Errors
    /// `Invalid`, `IdConflict`.
    pub async fn record_consent(
        &self,
        viewer: &Viewer,
        id: &str,
        answers: Vec<ConsentAnswer>,
    ) -> Result<Vec<Credit>, NotificationError> {
        let id = self.check_consent(id, &answers)?;
        let content: Vec<(&str, bool)> = answers
            .iter()
            .map(|answer| (answer.template_id.as_str(), answer.is_accepted))
            .collect();
        let row = subscribe_consent::Model {
            user_id: viewer.user_id,
            id,
            digest: content_digest(&content)?,
            recorded_at: self.clock.now(),
        };
        let accepted: Vec<String> = answers
            .into_iter()
            .filter(|answer| answer.is_accepted)
            .map(|answer| answer.template_id)
            .collect();
        let stored = row.clone();
        let recorded = self
            .db
            .write(move |tx| {
                let (row, accepted) = (stored.clone(), accepted.clone());
                Box::pin(async move {
                    let user = row.user_id;
                    repository::insert_consent(tx, row).await?;
                    repository::add_credits(tx, user, accepted, CREDITS_MAX).await?;
                    Ok::<_, NotificationError>(repository::list_credits(tx, user).await?)
                })
            })
            .await;
        let credits = match recorded {
            Err(NotificationError::Database(error)) if is_unique_violation(&error) => {
                let known = repository::find_consent(self.db.read(), viewer.user_id, id).await?;
                if known.is_none_or(|known| known.digest != row.digest) {
                    return Err(NotificationError::IdConflict);
                }
                repository::list_credits(self.db.read(), viewer.user_id).await?
            }
            Err(NotificationError::Database(error)) if is_orphan(&error) => {
                return Err(NotificationError::OwnerGone);
            }
            recorded => recorded?,
        };
        self.by_template(viewer, credits).await
    }

    /// The caller's credits of the templates in the settings: of the mini-programs in which they have signed in, and of others for
    /// which there are some. Of all for somebody who has signed in to none yet.
    ///
    /// # Errors
    /// Only the database's.
    pub async fn credits(&self, viewer: &Viewer) -> Result<Vec<Credit>, NotificationError> {
        let credits = repository::list_credits(self.db.read(), viewer.user_id).await?;
        self.by_template(viewer, credits).await
    }

    async fn by_template(
        &self,
        viewer: &Viewer,
        credits: Vec<subscribe_credit::Model>,
    ) -> Result<Vec<Credit>, NotificationError> {
        let accounts = repository::list_accounts(self.db.read(), vec![viewer.user_id]).await?;
        let has_account = |app_id: &str| {
            accounts.is_empty() || accounts.iter().any(|(_, account)| account == app_id)
        };
        let remaining = |template_id: &str| {
            let mut credits = credits.iter();
            let credit = credits.find(|credit| credit.template_id == template_id);
            credit.map_or(0, |credit| credit.remaining)
        };
        let credits = self
            .notifier
            .templates()
            .map(|(app_id, template_id)| Credit {
                app_id: app_id.to_owned(),
                template_id: template_id.to_owned(),
                remaining: remaining(template_id),
            });
        Ok(credits
            .filter(|credit| credit.remaining > 0 || has_account(&credit.app_id))
            .collect())
    }

    fn check_consent(&self, id: &str, answers: &[ConsentAnswer]) -> Result<Uuid, Faults> {
        let mut faults = Faults::under(&["input"]);
        let id = parse_id(id).unwrap_or_else(|| {
            let expected = Message::new("应为带连字符的 UUID", "a UUID with hyphens");
            faults.add(&["id"], Rule::Malformed { expected });
            Uuid::nil()
        });
        if answers.is_empty() {
            faults.add(&["answers"], Rule::Required);
        } else if answers.len() > ANSWERS_MAX {
            faults.add(&["answers"], Rule::TooLong { max: ANSWERS_MAX });
        }
        for (index, answer) in answers.iter().enumerate().take(ANSWERS_MAX) {
            let path = ["answers", &index.to_string(), "templateId"];
            let is_same = |known: &ConsentAnswer| known.template_id == answer.template_id;
            if !self
                .notifier
                .template_ids()
                .any(|known| known == answer.template_id)
            {
                faults.add(&path, Rule::Unknown);
            } else if answers[..index].iter().any(is_same) {
                faults.add(&path, Rule::Duplicate);
            }
        }
        faults.check(id)
    }
}
