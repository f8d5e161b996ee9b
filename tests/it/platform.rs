//! What lies under the features: migrations, and the writer that commits together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;
use sea_orm::sea_query::{Expr, Query, Value};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryOrder, Statement,
};
use wegraph::app::{self, SchemaChange};
use wegraph::entity::user::{self, Role};
use wegraph::entity::{grade, reminder, score, task, task_stream, wechat_identity};
use wegraph::graphql::error::{ApiError, ErrorCode};
use wegraph::platform::clock::{Clock, SystemClock, Timestamp};
use wegraph::platform::db::{Database, WriteFuture, is_timeout, is_unique_violation};
use wegraph::platform::id::new_id;

use crate::harness::{Engine, TestApp, TestDatabase, on_each_database};

fn a_user(name: &str) -> user::Model {
    let now = SystemClock.now();
    user::Model {
        id: new_id(),
        username: Some(name.to_owned()),
        username_key: Some(name.to_owned()),
        display_name: name.to_owned(),
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
    }
}

/// Writes an identity of a user that does not exist.
fn write_orphan(tx: &DatabaseTransaction) -> WriteFuture<'_, (), DbErr> {
    Box::pin(async move {
        if tx.get_database_backend() == DbBackend::Sqlite {
            // The constraint then fails in the COMMIT of the batch instead of in the statement.
            tx.execute_unprepared("PRAGMA defer_foreign_keys = ON")
                .await?;
        }
        let identity = wechat_identity::Model {
            id: new_id(),
            user_id: new_id(),
            app_id: "wx1".to_owned(),
            openid: "o1".to_owned(),
            unionid: None,
            created_at: SystemClock.now(),
        };
        identity
            .into_active_model()
            .reset_all()
            .insert(tx)
            .await
            .map(drop)
    })
}

on_each_database! {
    async fn a_statement_that_takes_too_long_is_ended(app) {
        let other = TestApp::start_with(app.engine, &[("DATABASE__STATEMENT_TIMEOUT_MS", "200")]).await;
        let sql = match app.engine {
            Engine::Sqlite => "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
            Engine::Postgres => "SELECT 1 FROM pg_sleep(60)",
            Engine::Mysql => "SELECT SLEEP(60)",
        };
        for _ in 0..2 {
            let statement = Statement::from_string(other.db.read().get_database_backend(), sql);
            let error = other.db.read().query_one_raw(statement).await.expect_err("it is ended");
            assert!(is_timeout(&error), "{error:?}");
            assert_eq!(ApiError::from(error).code(), ErrorCode::RequestTimeout);
        }
        // The connection serves the next one.
        other.anonymous().ask("{ rubric(slug: \"default\") { id } }").await.data();
        other.stop().await;
    }

    async fn every_migration_runs_up_down_and_up(app) {
        let database = TestDatabase::empty(app.engine).await;
        let config = &database.config;
        let change = async |change| app::change_schema(config, change).await.expect("the migrations run");
        let applied = async || {
            let status = app::migration_status(config).await.expect("an answer");
            status.iter().filter(|(_, is_applied)| *is_applied).count()
        };
        let all = app::migration_status(config).await.expect("an answer").len();
        for step in 1..=all {
            change(SchemaChange::Up(Some(1))).await;
            change(SchemaChange::Down(Some(1))).await;
            assert_eq!(applied().await, step - 1);
            change(SchemaChange::Up(Some(1))).await;
            assert_eq!(applied().await, step);
        }
        change(SchemaChange::Down(None)).await;
        assert_eq!(applied().await, 0);
        change(SchemaChange::Up(None)).await;
        change(SchemaChange::Up(None)).await;
        assert_eq!(applied().await, all);
        database.drop().await;
    }

    async fn rows_from_before_get_what_they_lack(app) {
        let database = TestDatabase::empty(app.engine).await;
        let config = &database.config;
        app::change_schema(config, SchemaChange::Up(Some(6))).await.expect("the migrations run");
        let db = Database::connect(config).await.expect("a database");
        let (rubric, criterion, score, user) = (new_id(), new_id(), new_id(), new_id());
        let tasks = [new_id(), new_id(), new_id()];
        let insert = |table: &'static str, row: Vec<(&'static str, Value)>| {
            let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
            Query::insert().into_table(table).columns(columns).values_panic(values.into_iter().map(Expr::val)).take()
        };
        let statements = [
            insert("rubrics", vec![("id", rubric.into()), ("slug", "r".into()), ("title", "r".into()), ("state", "OPEN".into()),
                ("submission_policy", "UNLIMITED".into()), ("edit_window_minutes", 0.into()), ("aggregation", "MEAN".into()),
                ("is_result_public", true.into()), ("created_at", Timestamp::EPOCH.into()), ("updated_at", Timestamp::EPOCH.into())]),
            insert("criteria", vec![("id", criterion.into()), ("rubric_id", rubric.into()), ("key", "a".into()), ("position", 1.into()),
                ("title", "a".into()), ("min_grade", 1.into()), ("max_grade", 5.into()), ("weight", 1.0.into()),
                ("is_comment_required", false.into()), ("max_comment_length", 5.into())]),
            insert("scores", vec![("id", score.into()), ("rubric_id", rubric.into()), ("account_number", "12345".into()), ("total", 50.0.into()),
                ("content_digest", "".into()), ("submitted_at", app.clock.now().into()), ("updated_at", app.clock.now().into())]),
            insert("grades", vec![("score_id", score.into()), ("criterion_id", criterion.into()), ("grade", 3.into())]),
            insert("users", vec![("id", user.into()), ("display_name", "u".into()), ("role", "USER".into()), ("is_disabled", false.into()),
                ("search_text", "u".into()), ("created_at", Timestamp::EPOCH.into()), ("updated_at", Timestamp::EPOCH.into())]),
        ];
        let task = |n: usize| insert("tasks", vec![("id", tasks[n].into()), ("owner_id", user.into()), ("title", "milk".into()),
            ("status", "TODO".into()), ("priority", 0_i16.into()), ("tags", serde_json::json!([]).into()), ("tags_key", "".into()),
            ("search_text", format!("milk {n}{n}{n}").into()), ("version", 1.into()), ("creation_digest", "".into()),
            ("remind_at", (app.clock.now() + TimeDelta::days(n as i64 - 1)).into()),
            // The newest first.
            ("created_at", (app.clock.now() - TimeDelta::seconds(n as i64)).into()), ("updated_at", Timestamp::EPOCH.into())]);
        let statements: Vec<_> = statements.into_iter().chain((0..3).map(task)).collect();
        db.write(move |tx| {
            let statements = statements.clone();
            Box::pin(async move {
                for statement in &statements {
                    tx.execute(statement).await?;
                }
                Ok::<_, DbErr>(())
            })
        }).await.expect("rows");
        db.close().await.expect("it closes");
        app::change_schema(config, SchemaChange::Up(None)).await.expect("the migrations run");
        let db = Database::connect(config).await.expect("a database");
        let (grade, score) = (grade::Entity::find().one(db.read()).await.expect("rows"), score::Entity::find().one(db.read()).await.expect("rows"));
        assert_eq!(grade.expect("a grade").submitted_at, score.expect("a score").submitted_at);
        let numbered = task::Entity::find().order_by_asc(task::Column::ChangeSeq).all(db.read()).await.expect("rows");
        let numbered: Vec<_> = numbered.into_iter().map(|task| (task.id, task.created_seq, task.change_seq)).collect();
        assert_eq!(numbered, [(tasks[2], 1, 1), (tasks[1], 2, 2), (tasks[0], 3, 3)]);
        assert_eq!(task_stream::Entity::find().one(db.read()).await.expect("rows").expect("a stream").seq, 3);
        // Those whose time has not come.
        let reminders = reminder::Entity::find().all(db.read()).await.expect("rows");
        assert_eq!(reminders.into_iter().map(|one| one.task_id).collect::<Vec<_>>(), [tasks[2]]);
        if app.engine == Engine::Sqlite {
            let found = "SELECT rowid & 4294967295 AS seq FROM task_search WHERE text MATCH '\"111\"'";
            let found = db.read().query_all_raw(Statement::from_string(DbBackend::Sqlite, found)).await.expect("rows");
            assert_eq!(found.iter().map(|row| row.try_get::<i64>("", "seq").expect("a number")).collect::<Vec<_>>(), [2]);
        }
        db.close().await.expect("it closes");
        database.drop().await;
    }

    async fn servers_that_start_at_once_migrate_once(app) {
        let database = TestDatabase::empty(app.engine).await;
        let starts = (0..8).map(|_| app::migrate(&database.config));
        for result in futures_util::future::join_all(starts).await {
            result.expect("the migrations run");
        }
        database.drop().await;
    }

    async fn a_failing_write_is_rolled_back_alone(app) {
        let before = user::Entity::find().count(app.db.read()).await.expect("a count");
        let writes = (0..100).map(|n| {
            let db = Arc::clone(&app.db);
            tokio::spawn(async move {
                // Every fourth writes a row and then fails; every fifth breaks a constraint.
                let name = if n % 5 == 0 { "same".to_owned() } else { format!("user{n}") };
                db.write(move |tx| {
                    let row = a_user(&name).into_active_model().reset_all();
                    Box::pin(async move {
                        row.insert(tx).await?;
                        if n % 4 == 1 { Err(DbErr::Custom("no".to_owned())) } else { Ok(()) }
                    })
                })
                .await
                .map_err(|error| is_unique_violation(&error))
            })
        });
        let results: Vec<_> = futures_util::future::join_all(writes).await.into_iter().map(|r| r.expect("an answer")).collect();
        let stored = results.iter().filter(|result| result.is_ok()).count() as u64;
        assert_eq!(user::Entity::find().count(app.db.read()).await.expect("a count") - before, stored);
        let same: Vec<_> = results.iter().step_by(5).collect();
        assert_eq!(same.iter().filter(|result| result.is_ok()).count(), 1, "{same:?}");
    }

    async fn the_writer_starts_over_after_a_failed_commit(app) {
        for n in 0..3 {
            assert!(app.db.write(write_orphan).await.is_err());
            let row = a_user(&format!("user{n}"));
            let stored = app.db.write(move |tx| {
                let row = row.clone().into_active_model().reset_all();
                Box::pin(async move { row.insert(tx).await.map(drop) })
            });
            stored.await.expect("the next write succeeds");
        }
        assert_eq!(user::Entity::find().count(app.db.read()).await.expect("a count"), 3);
    }

    async fn a_write_that_panics_harms_no_other(app) {
        let calls = Arc::new(AtomicU32::new(0));
        let writes = (0..20).map(|n| {
            let (db, calls) = (Arc::clone(&app.db), Arc::clone(&calls));
            tokio::spawn(async move {
                db.write(move |tx| {
                    calls.fetch_add(1, Ordering::SeqCst);
                    let row = a_user(&format!("user{n}")).into_active_model().reset_all();
                    Box::pin(async move {
                        assert!(n != 7, "as the test wants");
                        row.insert(tx).await.map(drop)
                    })
                })
                .await
            })
        });
        let results = futures_util::future::join_all(writes).await;
        let failed: Vec<_> = results.iter().enumerate().filter(|(_, r)| !matches!(r, Ok(Ok(())))).map(|(n, _)| n).collect();
        assert_eq!((failed, calls.load(Ordering::SeqCst)), (vec![7], 20));
        assert_eq!(user::Entity::find().count(app.db.read()).await.expect("a count"), 19);
    }
}
