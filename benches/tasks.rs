//! What a page of tasks costs when there are few tasks in all, and when there are many: of every order, with filters, and by searching
//! short and long, Chinese and Latin text. Each person has a hundred.
//!
//!     cargo bench --bench tasks                    # 1,000 and 100,000 tasks on SQLite
//!     cargo bench --bench tasks -- 1000000
//!
//! With `TEST_POSTGRES_URL` and `TEST_MYSQL_URL` there too, in the database `wegraph_bench`, which is made anew.

// The layout of the futures is deep.
#![recursion_limit = "256"]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    EntityTrait, IntoActiveModel, TransactionTrait,
};
use serde_json::{Value, json};
use uuid::Uuid;
use wegraph::entity::task::{self, Tags, TaskPriority, TaskStatus};
use wegraph::entity::{task_stream, user};
use wegraph::platform::clock::{Clock, SystemClock};
use wegraph::platform::id::{new_id, parse_id};
use wegraph::platform::viewer::Role;

#[path = "server/engines.rs"]
mod engines;
mod server;

use engines::{Engine, Result, median, on_each_engine};
use server::Server;

const TASKS_EACH: usize = 100;
const FEW: usize = 1000;

/// Name and arguments of a page.
const PAGES: &[(&str, &str)] = &[
    ("newest", ""),
    ("by title", "orderBy: {field: TITLE}"),
    ("by due time", "orderBy: {field: DUE_AT}"),
    ("by priority", "orderBy: {field: PRIORITY, direction: DESC}"),
    (
        "open and important",
        "filter: {status: [TODO], priority: [HIGH]}",
    ),
    ("with a tag", "filter: {tag: \"work\"}"),
    ("search 牛奶", "filter: {search: \"牛奶\"}"),
    ("search 买牛奶和", "filter: {search: \"买牛奶和\"}"),
    ("search bottle 7", "filter: {search: \"bottle 7\"}"),
    (
        "search nothing",
        "filter: {search: \"nowhere to be found\"}",
    ),
];

#[tokio::main]
async fn main() -> Result<()> {
    on_each_engine(100_000, async |engine, many| measure(engine, many).await).await
}

async fn measure(engine: &Engine<'_>, many: usize) -> Result<()> {
    let name = engine.name;
    let few = pages(engine, FEW, "few").await?;
    let started = Instant::now();
    fill(&engine.db, many - FEW).await?;
    println!("{name}: {many} tasks stored in {:.0?}", started.elapsed());
    let many = pages(engine, 0, "many").await?;
    for (((page, _), few), many) in PAGES.iter().zip(few).zip(many) {
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        println!("{name}: {page}: {few:.2?} among few, {many:.2?} among many ({ratio:.2})");
    }
    Ok(())
}

/// What each page costs a person with a hundred tasks, once there are so many more.
async fn pages(engine: &Engine<'_>, others: usize, name: &str) -> Result<Vec<Duration>> {
    let db = &engine.db;
    fill(db, others).await?;
    let server = Server::start(engine.folder, &[("WEGRAPH_DATABASE__URL", engine.url)])?;
    let client = reqwest::Client::builder().build()?;
    let endpoint = format!("http://{}/graphql", server.address);
    let register = format!(
        "mutation {{ register(input: {{username: \"{name}\", password: \"Tr4verse-it\"}}) {{ accessToken user {{ id }} }} }}"
    );
    let reply = client.post(&endpoint).json(&json!({"query": register}));
    let reply: Value = reply.send().await?.json().await?;
    let registered = &reply["data"]["register"];
    let token = registered["accessToken"].as_str().ok_or("a token")?;
    let id = registered["user"]["id"].as_str().and_then(parse_id);
    let tx = db.begin().await?;
    insert_tasks(&tx, &[id.ok_or("an id")?]).await?;
    tx.commit().await?;
    settle(db).await?;
    let mut times = Vec::new();
    for (page, arguments) in PAGES {
        let arguments = match arguments.is_empty() {
            true => "first: 20".to_owned(),
            false => format!("first: 20, {arguments}"),
        };
        let query =
            format!("{{ tasks({arguments}) {{ nodes {{ id title status priority dueAt }} }} }}");
        let ask = async || {
            let request = client.post(&endpoint).bearer_auth(token);
            let reply = request.json(&json!({"query": query})).send().await?;
            let reply: Value = reply.json().await?;
            let nodes = reply["data"]["tasks"]["nodes"].as_array().ok_or("a list")?;
            assert_eq!(
                nodes.is_empty(),
                *page == "search nothing",
                "{page}: {reply}"
            );
            Ok(())
        };
        ask().await?;
        times.push(median(ask).await?);
    }
    Ok(times)
}

/// People with a hundred tasks each, until there are so many more tasks.
async fn fill(db: &DatabaseConnection, tasks: usize) -> Result<()> {
    let now = SystemClock.now();
    let people: Vec<Uuid> = (0..tasks / TASKS_EACH).map(|_| new_id()).collect();
    for some in people.chunks(500) {
        let rows = some.iter().map(|id| user::Model {
            id: *id,
            username: None,
            username_key: None,
            email: None,
            email_key: None,
            password_hash: None,
            display_name: "somebody".to_owned(),
            avatar_url: None,
            phone_number: None,
            role: Role::User,
            is_disabled: false,
            search_text: String::new(),
            created_at: now,
            updated_at: now,
        });
        user::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
            .exec_without_returning(db)
            .await?;
    }
    // PostgreSQL would look for the owner of every task as if there were a handful.
    settle(db).await?;
    for some in people.chunks(20) {
        let tx = db.begin().await?;
        insert_tasks(&tx, some).await?;
        tx.commit().await?;
    }
    settle(db).await
}

/// What the engine does by itself in a while.
async fn settle(db: &DatabaseConnection) -> Result<()> {
    match db.get_database_backend() {
        DbBackend::Postgres => db.execute_unprepared("VACUUM ANALYZE").await?,
        DbBackend::MySql => db.execute_unprepared("ANALYZE TABLE tasks").await?,
        _ => return Ok(()),
    };
    Ok(())
}

async fn insert_tasks(tx: &DatabaseTransaction, owners: &[Uuid]) -> Result<()> {
    let now = SystemClock.now();
    let streams = owners.iter().map(|owner| task_stream::Model {
        owner_id: *owner,
        seq: TASKS_EACH as i64,
    });
    task_stream::Entity::insert_many(streams.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(tx)
        .await?;
    for owner in owners {
        let rows = (0..TASKS_EACH).map(|n| {
            let title = format!("买牛奶和面包 bottle {n}");
            let notes = format!("第 {n} 次，记得带袋子 - call {} before noon", n * 7919);
            let at = now + TimeDelta::minutes(n as i64);
            task::Model {
                id: new_id(),
                owner_id: *owner,
                search_text: format!("{title}\u{1f}{notes}"),
                title,
                notes: Some(notes),
                status: [TaskStatus::Todo, TaskStatus::Done][n % 2],
                priority: [TaskPriority::None, TaskPriority::High][n / 2 % 2],
                tags: Tags(vec!["work".to_owned()]),
                tags_key: "\u{1f}work\u{1f}".to_owned(),
                due_at: (n % 3 != 0).then_some(at),
                remind_at: None,
                completed_at: None,
                version: 1,
                creation_digest: "0".repeat(64),
                created_at: at,
                updated_at: at,
                created_seq: n as i64 + 1,
                change_seq: n as i64 + 1,
            }
        });
        task::Entity::insert_many(rows.map(|row| row.into_active_model().reset_all()))
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}
