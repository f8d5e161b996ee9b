//! Reminders and messages of real processes: several on one database, and killed while they work.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use wegraph::entity::outbox_message::{self, MessageState};
use wegraph::platform::clock::{Clock, SystemClock, Timestamp};
use wegraph::platform::db::Database;
use wegraph::simulator::wechat::WechatSimulator;

use crate::harness::{
    APP_ID, APP_SECRET, Client, Engine, SECRET, Server, TEMPLATE, TestDatabase, on_each_database,
};

const PEOPLE: usize = 10;
/// Four calls of 2.8 seconds, and half a minute.
const LEASE: TimeDelta = TimeDelta::milliseconds(41_200);

/// A database, a platform, and what processes need to work with both.
struct Field {
    database: TestDatabase,
    wechat: WechatSimulator,
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Field {
    async fn new(engine: Engine) -> Self {
        let database = TestDatabase::migrated(engine).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let wechat = WechatSimulator::start(&[(APP_ID, APP_SECRET)], clock)
            .await
            .expect("the simulator starts");
        wechat.add_template(APP_ID, TEMPLATE, &["thing1"]);
        let environment = vec![
            ("WEGRAPH_AUTH__SECRET", SECRET.to_owned()),
            (
                "WEGRAPH_DATABASE__URL",
                database.config.url.expose_secret().to_owned(),
            ),
            ("WEGRAPH_RATE_LIMIT__ENABLED", "false".to_owned()),
            ("WEGRAPH_WECHAT__APP_ID", APP_ID.to_owned()),
            ("WEGRAPH_WECHAT__APP_SECRET", APP_SECRET.to_owned()),
            ("WEGRAPH_WECHAT__BASE_URL", wechat.base_url()),
            ("WEGRAPH_WECHAT__REMINDER_TEMPLATE_ID", TEMPLATE.to_owned()),
            ("WEGRAPH_WECHAT__REMINDER_FIELDS", "thing1=title".to_owned()),
        ];
        Self {
            database,
            wechat,
            folder: TempDir::new().expect("a folder"),
            environment,
        }
    }

    async fn serve(&self) -> Server {
        let environment: Vec<(&str, &str)> = self
            .environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Server::serve(self.folder.path(), &environment).await
    }

    /// People who agreed to so many messages each.
    async fn people(&self, server: &Server, messages: usize) -> Vec<Client> {
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let person = format!("person{number}");
            let code = self.wechat.issue_code(&person);
            let login = "mutation($c: String!) { login(input: {wechat: {code: $c}}) { accessToken refreshToken user { id } } }";
            let reply = server.client().run(login, json!({"c": code})).await;
            let client = server.client().signed_in(&reply.data()["login"]);
            for _ in 0..messages {
                self.wechat.agree(APP_ID, &person, TEMPLATE);
                let consent = json!({"id": Uuid::now_v7(), "answers": [{"templateId": TEMPLATE, "accepted": true}]});
                let record = "mutation($i: RecordSubscribeConsentInput!) { recordSubscribeConsent(input: $i) { credits { remaining } } }";
                client.run(record, json!({"i": consent})).await.data();
            }
            people.push(client);
        }
        people
    }

    /// How often each title was sent.
    fn sent(&self) -> HashMap<String, usize> {
        let mut sent = HashMap::new();
        for message in self.wechat.sent() {
            let title = message.body["data"]["thing1"]["value"]
                .as_str()
                .expect("a title");
            *sent.entry(title.to_owned()).or_default() += 1;
        }
        sent
    }
}

async fn remind(client: &Client, title: String, at: Timestamp) {
    let create = "mutation($i: CreateTaskInput!) { createTask(input: $i) { task { id } } }";
    client
        .run(
            create,
            json!({"i": {"title": title, "remindAt": at.utc().to_rfc3339()}}),
        )
        .await
        .data();
}

/// The notifications of everybody: title and delivery.
async fn inboxes(people: &[Client]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for client in people {
        let mut after = Value::Null;
        loop {
            let query = "query($a: String) { viewer { notifications(first: 100, after: $a) { nodes { title delivery } pageInfo { hasNextPage endCursor } } } }";
            let reply = client.run(query, json!({"a": after})).await;
            let page = &reply.data()["viewer"]["notifications"];
            for node in page["nodes"].as_array().expect("a list") {
                let text = |name: &str| node[name].as_str().expect("text").to_owned();
                all.push((text("title"), text("delivery")));
            }
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }
    all
}

on_each_database! {
    /// A hundred times of reminders, everybody has one each time, for two processes that look at the same moments.
    async fn two_processes_remind_and_send_once(app) {
        // There a file is one process's.
        if app.engine == Engine::Sqlite {
            return;
        }
        let field = Field::new(app.engine).await;
        let servers = [field.serve().await, field.serve().await];
        let people = field.people(&servers[0], 10).await;
        let start = SystemClock.now() + TimeDelta::seconds(3);
        for round in 0..10 {
            let at = start + TimeDelta::milliseconds(700 * round);
            // Ten times that lie close together.
            join_all(people.iter().enumerate().map(|(n, client)| {
                remind(client, format!("{round} {n}"), at + TimeDelta::milliseconds(n as i64 * 70))
            })).await;
        }
        let mut told = Vec::new();
        for _ in 0..300 {
            told = inboxes(&people).await;
            if told.len() == 100 && told.iter().all(|(_, delivery)| delivery == "SENT") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let titles: HashSet<&String> = told.iter().map(|(title, _)| title).collect();
        assert_eq!((told.len(), titles.len()), (100, 100), "{told:?}");
        assert!(told.iter().all(|(_, delivery)| delivery == "SENT"), "{told:?}");
        let sent = field.sent();
        assert_eq!(sent.len(), 100);
        assert!(sent.values().all(|times| *times == 1), "{sent:?}");
        for server in servers {
            server.terminate().await;
        }
        field.database.drop().await;
    }

    async fn a_process_that_is_asked_to_stop_finishes_what_it_sends(app) {
        let field = Field::new(app.engine).await;
        let server = field.serve().await;
        let people = field.people(&server, 1).await;
        field.wechat.delay_sends(Duration::from_millis(800));
        join_all(people.iter().enumerate().map(|(n, client)| remind(client, n.to_string(), SystemClock.now()))).await;
        while field.wechat.send_calls() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.terminate().await;
        let db = Database::connect(&field.database.config).await.expect("a database");
        let messages = outbox_message::Entity::find().all(db.read()).await.expect("the messages");
        let count = |state: MessageState| messages.iter().filter(|one| one.state == state).count();
        assert_eq!(count(MessageState::Sent), field.wechat.sent().len());
        assert!(count(MessageState::Sent) > 0 && count(MessageState::Sending) == 0, "{messages:?}");
        db.close().await.expect("it closes");
        field.database.drop().await;
    }

    /// kill -9 while messages are being written down, claimed and sent, again and again: everybody is told of everything once, and no
    /// message is sent twice.
    async fn a_process_that_is_killed_while_it_sends_sends_nothing_twice(app) {
        let field = Field::new(app.engine).await;
        let mut server = field.serve().await;
        let mut people = field.people(&server, 5).await;
        field.wechat.delay_sends(Duration::from_millis(120));
        let at = SystemClock.now() + TimeDelta::seconds(2);
        for round in 0..5 {
            join_all(people.iter().enumerate().map(|(n, client)| remind(client, format!("{round} {n}"), at))).await;
        }
        let db = Database::connect(&field.database.config).await.expect("a database");
        for wait in [50, 110, 80] {
            // Not before the first is on its way.
            let before = field.wechat.send_calls();
            while field.wechat.send_calls() == before {
                give_up(&db).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
            server.kill().await;
            server = field.serve().await;
            people = people.iter().map(|client| client.at(&server)).collect();
        }
        let settled = |told: &[(String, String)]| told.len() == 50 && !told.iter().any(|(_, delivery)| delivery == "QUEUED");
        let lost = async || {
            let lost = outbox_message::Entity::find().filter(outbox_message::Column::State.eq(MessageState::Sending));
            lost.all(db.read()).await.expect("the messages").len()
        };
        let mut told = Vec::new();
        let mut lost_count = 0;
        for _ in 0..400 {
            told = inboxes(&people).await;
            lost_count = lost().await;
            let queued = told.iter().filter(|(_, delivery)| delivery == "QUEUED").count();
            if told.len() == 50 && queued == lost_count {
                break;
            }
            // Those who were being sent one when the process died get no other one until its time is up.
            give_up(&db).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        give_up(&db).await;
        for _ in 0..100 {
            told = inboxes(&people).await;
            if settled(&told) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(settled(&told), "{told:?}, {lost_count} lost");
        let titles: HashSet<&String> = told.iter().map(|(title, _)| title).collect();
        assert_eq!(titles.len(), 50, "{told:?}");
        let sent = field.sent();
        assert!(sent.values().all(|times| *times == 1), "{sent:?}");
        let messages = outbox_message::Entity::find().all(db.read()).await.expect("the messages");
        for message in messages.iter().filter(|one| one.state == MessageState::Failed) {
            assert_eq!(message.reason.as_deref(), Some("UNKNOWN"));
        }
        // What is said to be sent was; what nobody knows of may have been.
        let failed = told.iter().filter(|(_, delivery)| delivery == "FAILED").count();
        assert!(failed > 0, "no process died while it sent");
        // Some of what nobody knows of was sent: the platform had it when the process died.
        assert!(told.iter().any(|(title, delivery)| delivery == "FAILED" && sent.contains_key(title)));
        for (title, delivery) in &told {
            assert!(delivery == "FAILED" || sent.contains_key(title), "{title} {delivery}");
        }
        db.close().await.expect("it closes");
        server.terminate().await;
        field.database.drop().await;
    }
}

/// Lets the time of senders that died be up, for messages that have been so for a while.
async fn give_up(db: &Database) {
    let now = SystemClock.now();
    db.write(move |tx| {
        Box::pin(async move {
            outbox_message::Entity::update_many()
                .col_expr(outbox_message::Column::DueAt, Expr::value(Timestamp::EPOCH))
                .filter(outbox_message::Column::State.eq(MessageState::Sending))
                // These have had three seconds of it.
                .filter(outbox_message::Column::DueAt.lt(now + LEASE - TimeDelta::seconds(3)))
                .exec(tx)
                .await
                .map(drop)
        }) as wegraph::platform::db::WriteFuture<'_, (), DbErr>
    })
    .await
    .expect("the messages change");
}
