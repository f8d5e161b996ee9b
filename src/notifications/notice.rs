//! Telling people something: a notification in the inbox, and a message of WeChat when they agreed to one.

use std::collections::{BTreeMap, HashSet};

use chrono::FixedOffset;
use sea_orm::{DatabaseTransaction, DbErr};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::entity::notification::{self, DeliveryState, NotificationKind};
use crate::entity::outbox_message::{self, MessageState};
use crate::entity::task::TaskPriority;
use crate::notifications::repository::{self, CreditKey};
use crate::platform::clock::Timestamp;
use crate::platform::config::{
    FieldContent, FieldKind, MessageTemplate, TemplateField, WechatConfig,
};
use crate::platform::id::new_id;

/// Characters of the notes that a notification repeats.
const BODY_MAX: usize = 200;

/// That the time of a task has come.
pub(crate) struct Reminder {
    pub(crate) user_id: Uuid,
    pub(crate) task_id: Uuid,
    pub(crate) title: String,
    pub(crate) notes: Option<String>,
    pub(crate) priority: TaskPriority,
    pub(crate) remind_at: Timestamp,
    pub(crate) due_at: Option<Timestamp>,
}

impl Reminder {
    /// Nobody is told twice of one task and time.
    fn once_key(&self) -> String {
        format!("reminder {} {}", self.task_id, self.remind_at.millis())
    }
}

/// Tells people, through the templates of the settings.
#[derive(Debug, Clone)]
pub struct Notifier {
    /// AppID and template, the one to prefer first.
    reminders: Vec<(String, MessageTemplate)>,
    utc_offset: FixedOffset,
}

impl Notifier {
    /// With the templates of `config`.
    pub fn new(config: &WechatConfig) -> Self {
        let template = |app: &crate::platform::config::WechatApp| {
            Some((app.id.clone(), app.reminder.clone()?))
        };
        Self {
            reminders: config.apps.iter().filter_map(template).collect(),
            utc_offset: config.utc_offset,
        }
    }

    /// The templates that people can agree to, in their order: AppID and id.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        let templates = self.reminders.iter();
        templates.map(|(app_id, template)| (app_id.as_str(), template.id.as_str()))
    }

    /// Their ids.
    pub(crate) fn template_ids(&self) -> impl Iterator<Item = &str> {
        self.templates().map(|(_, id)| id)
    }

    /// Reminds in the transaction: what a person was told before is passed over, and a message is only written down when a credit
    /// was spent for it.
    pub(crate) async fn remind(
        &self,
        tx: &DatabaseTransaction,
        reminders: Vec<Reminder>,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        if reminders.is_empty() {
            return Ok(());
        }
        let users: HashSet<Uuid> = reminders.iter().map(|one| one.user_id).collect();
        let users: Vec<Uuid> = users.into_iter().collect();
        let keys = reminders.iter().map(Reminder::once_key).collect();
        let told = repository::list_told(tx, users.clone(), keys).await?;
        let mut book = Book::open(self, tx, users).await?;
        let (mut rows, mut messages) = (Vec::new(), Vec::new());
        for reminder in reminders {
            let once_key = reminder.once_key();
            if told.contains(&(reminder.user_id, once_key.clone())) {
                continue;
            }
            let template = book.spend(&self.reminders, reminder.user_id);
            let row = notification::Model {
                id: new_id(),
                user_id: reminder.user_id,
                kind: NotificationKind::TaskReminder,
                title: reminder.title.clone(),
                body: reminder
                    .notes
                    .as_deref()
                    .map(|notes| notes.chars().take(BODY_MAX).collect()),
                task_id: Some(reminder.task_id),
                once_key,
                delivery: match template {
                    Some(_) => DeliveryState::Queued,
                    None => DeliveryState::InboxOnly,
                },
                created_at: now,
                read_at: None,
            };
            if let Some((app_id, template)) = template {
                messages.push(self.message(&row, app_id, template, &reminder, now));
            }
            rows.push(row);
        }
        for (count, keys) in book.spent() {
            repository::change_credits(tx, &keys, -count).await?;
        }
        repository::insert(tx, rows).await?;
        repository::insert_messages(tx, messages).await
    }

    fn message(
        &self,
        row: &notification::Model,
        app_id: &str,
        template: &MessageTemplate,
        reminder: &Reminder,
        now: Timestamp,
    ) -> outbox_message::Model {
        let data: Map<String, Value> = template
            .fields
            .iter()
            .map(|field| {
                let value = value(field, reminder, self.utc_offset);
                (field.key.clone(), json!({"value": value}))
            })
            .collect();
        let page = template.page.as_deref();
        outbox_message::Model {
            id: new_id(),
            notification_id: row.id,
            user_id: row.user_id,
            app_id: app_id.to_owned(),
            template_id: template.id.clone(),
            page: page.map(|page| page.replace("{taskId}", &reminder.task_id.to_string())),
            data: Value::Object(data).to_string(),
            state: MessageState::Queued,
            attempts: 0,
            due_at: now,
            claim_id: None,
            sending_user_id: None,
            reason: None,
            created_at: now,
        }
    }
}

/// Who can be written to, and for how many messages they are good, while a transaction gives them out.
#[derive(Default)]
struct Book {
    accounts: HashSet<(Uuid, String)>,
    /// What was left of each, and what is given out.
    credits: BTreeMap<CreditKey, (i32, i32)>,
}

impl Book {
    async fn open(
        notifier: &Notifier,
        tx: &DatabaseTransaction,
        users: Vec<Uuid>,
    ) -> Result<Self, DbErr> {
        let template_ids: Vec<String> = notifier.template_ids().map(str::to_owned).collect();
        if template_ids.is_empty() {
            return Ok(Self::default());
        }
        let credits = repository::lock_credits(tx, users.clone(), template_ids).await?;
        if credits.is_empty() {
            return Ok(Self::default());
        }
        let accounts = repository::list_accounts(tx, users).await?;
        Ok(Self {
            accounts: accounts.into_iter().collect(),
            credits: credits
                .into_iter()
                .map(|(key, left)| (key, (left, 0)))
                .collect(),
        })
    }

    /// The first template that the person can be sent.
    fn spend<'t>(
        &mut self,
        templates: &'t [(String, MessageTemplate)],
        user: Uuid,
    ) -> Option<(&'t str, &'t MessageTemplate)> {
        templates.iter().find_map(|(app_id, template)| {
            if !self.accounts.contains(&(user, app_id.clone())) {
                return None;
            }
            let (left, spent) = self.credits.get_mut(&(user, template.id.clone()))?;
            (*spent < *left).then(|| {
                *spent += 1;
                (app_id.as_str(), template)
            })
        })
    }

    /// What was given out: how many, and of whom.
    fn spent(self) -> BTreeMap<i32, Vec<CreditKey>> {
        let mut spent: BTreeMap<i32, Vec<CreditKey>> = BTreeMap::new();
        for (key, (_, count)) in self.credits {
            if count > 0 {
                spent.entry(count).or_default().push(key);
            }
        }
        spent
    }
}

/// What a field shows; never nothing, which the platform refuses.
fn value(field: &TemplateField, reminder: &Reminder, utc_offset: FixedOffset) -> String {
    let time = |at: Timestamp| {
        let at = at.utc().with_timezone(&utc_offset);
        let format = match field.kind {
            FieldKind::CharacterString => "%Y-%m-%d %H:%M",
            _ => "%Y年%-m月%-d日 %H:%M",
        };
        at.format(format).to_string()
    };
    let text = match &field.content {
        FieldContent::Title => reminder.title.clone(),
        FieldContent::Notes => reminder.notes.clone().unwrap_or_default(),
        FieldContent::RemindAt => time(reminder.remind_at),
        FieldContent::DueAt => time(reminder.due_at.unwrap_or(reminder.remind_at)),
        FieldContent::Priority => match reminder.priority {
            TaskPriority::None => "普通",
            TaskPriority::Low => "低",
            TaskPriority::Medium => "中",
            TaskPriority::High => "高",
        }
        .to_owned(),
        FieldContent::Text(text) => text.clone(),
    };
    let placeholder = match field.kind {
        FieldKind::Phrase => "提醒",
        _ => "-",
    };
    let fitted = field.kind.fit(&text);
    fitted.unwrap_or_else(|| placeholder.to_owned())
}
