//! What the results of a rubric cost by the ways that lead to them: the counts that every write keeps (`summary`), the indexes for
//! periods (`summary(from:)` over all scores and over the last hundred), and grouping the rows, which the server does for one
//! account only.
//!
//!     cargo bench --bench results                  # 100,000 scores on SQLite
//!     cargo bench --bench results -- 1000000
//!
//! With `TEST_POSTGRES_URL` and `TEST_MYSQL_URL` there too, in the database `wegraph_bench`, which is made anew.

// The layout of the futures is deep.
#![recursion_limit = "256"]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::time::{Duration, Instant};

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect,
    TransactionTrait,
};
use serde_json::{Value, json};
use wegraph::entity::{criterion, grade, grade_count, rubric, score, total_count};
use wegraph::platform::clock::{Clock, SystemClock};
use wegraph::platform::id::new_id;

#[path = "server/engines.rs"]
mod engines;
mod server;

use engines::{Engine, Result, median, on_each_engine};
use server::Server;

#[tokio::main]
async fn main() -> Result<()> {
    on_each_engine(100_000, async |engine, scores| {
        measure(engine, scores).await
    })
    .await
}

async fn measure(engine: &Engine<'_>, scores: usize) -> Result<()> {
    let (name, db) = (engine.name, &engine.db);
    let started = Instant::now();
    fill(db, scores).await?;
    println!(
        "{name}: {scores} scores stored in {:.0?}",
        started.elapsed()
    );
    let server = Server::start(engine.folder, &[("WEGRAPH_DATABASE__URL", engine.url)])?;
    let client = reqwest::Client::builder().build()?;
    let ask = async |argument: &str, expected: usize| {
        let query = format!(
            "{{ rubric(slug: \"default\") {{ summary{argument} {{ count total median criteria {{ mean median standardDeviation \
             distribution {{ grade count }} }} }} }} }}"
        );
        let request = client
            .post(format!("http://{}/graphql", server.address))
            .json(&json!({"query": query}));
        let answer: Value = request.send().await?.json().await?;
        let count = &answer["data"]["rubric"]["summary"]["count"];
        assert_eq!(count, &json!(expected), "{answer}");
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let kept = median(async || ask("", scores).await).await?;
    let all = "(from: \"2000-01-01T00:00:00Z\")";
    let all = median(async || ask(all, scores).await).await?;
    let late = format!("(from: \"{}\")", nth_last(db, 100).await?);
    let late = median(async || ask(&late, 100).await).await?;
    let rows = median(async || group_rows(db).await).await?;
    let ratio = |time: Duration| time.as_secs_f64() / kept.as_secs_f64();
    println!(
        "{name}: kept counts {kept:.1?} (1), a period with all {all:.1?} ({:.0}), with the last hundred {late:.1?} ({:.0}), \
         grouping the rows {rows:.1?} ({:.0})",
        ratio(all),
        ratio(late),
        ratio(rows)
    );
    Ok(())
}

/// When the score was submitted that has so many behind it, itself among them.
async fn nth_last(db: &impl ConnectionTrait, number: u64) -> Result<String> {
    let scores = score::Entity::find().order_by_desc(score::Column::SubmittedAt);
    let score = scores.offset(number - 1).limit(1).one(db).await?;
    let time = score.ok_or("so many scores")?.submitted_at;
    Ok(time.utc().to_rfc3339())
}

/// What the server would have to do without counts and without the indexes for periods.
async fn group_rows(db: &impl ConnectionTrait) -> Result<()> {
    let totals = Query::select()
        .columns([score::Column::RubricId, score::Column::Total])
        .expr(Expr::cust("COUNT(*)"))
        .from(score::Entity)
        .and_where(Expr::col(score::Column::Id).is_not_null())
        .group_by_columns([score::Column::RubricId, score::Column::Total])
        .take();
    let grades = Query::select()
        .columns([grade::Column::CriterionId, grade::Column::Grade])
        .expr(Expr::cust("COUNT(*)"))
        .from(grade::Entity)
        .inner_join(
            score::Entity,
            Expr::col((score::Entity, score::Column::Id))
                .equals((grade::Entity, grade::Column::ScoreId)),
        )
        .group_by_columns([grade::Column::CriterionId, grade::Column::Grade])
        .take();
    db.query_all(&totals).await?;
    db.query_all(&grades).await?;
    Ok(())
}

/// Scores of the default rubric over a year, with the counts that submitting them would have left.
async fn fill(
    db: &(impl ConnectionTrait + TransactionTrait<Transaction = sea_orm::DatabaseTransaction>),
    scores: usize,
) -> Result<()> {
    let rubric = rubric::Entity::find().one(db).await?.ok_or("no rubric")?;
    let mut public = rubric.clone().into_active_model();
    public.is_result_public = sea_orm::Set(true);
    public.update(db).await?;
    let criteria = criterion::Entity::find()
        .order_by_asc(criterion::Column::Position)
        .all(db)
        .await?;
    let now = SystemClock.now();
    let step = chrono::TimeDelta::days(365) / i32::try_from(scores)?;
    let mut grades_seen = std::collections::BTreeMap::new();
    let mut totals_seen: Vec<(f64, i64)> = Vec::new();
    let all: Vec<usize> = (0..scores).collect();
    for some in all.chunks(500) {
        let mut rows = Vec::new();
        let mut grades = Vec::new();
        for number in some {
            // Three digits of base 5, so that every combination occurs.
            let given = [number % 5, number / 5 % 5, number / 25 % 5].map(|digit| digit as i32 + 1);
            let total = given
                .iter()
                .map(|grade| f64::from(grade - 1) * 25.0)
                .sum::<f64>()
                / 3.0;
            let submitted_at = now + -(step * (scores - number) as i32);
            let id = new_id();
            rows.push(score::Model {
                id,
                rubric_id: rubric.id,
                user_id: None,
                once_key: None,
                account_number: format!("{}", 10_000 + number % 100_000),
                total,
                revision: 1,
                content_digest: "0".repeat(64),
                submitted_at,
                updated_at: submitted_at,
            });
            for (criterion, grade) in criteria.iter().zip(given) {
                *grades_seen.entry((criterion.id, grade)).or_insert(0_i64) += 1;
                grades.push(grade::Model {
                    score_id: id,
                    criterion_id: criterion.id,
                    grade,
                    comment: None,
                    submitted_at,
                });
            }
            match totals_seen.iter_mut().find(|(known, _)| *known == total) {
                Some((_, count)) => *count += 1,
                None => totals_seen.push((total, 1)),
            }
        }
        let tx = db.begin().await?;
        score::Entity::insert_many(
            rows.into_iter()
                .map(|row| row.into_active_model().reset_all()),
        )
        .exec_without_returning(&tx)
        .await?;
        grade::Entity::insert_many(
            grades
                .into_iter()
                .map(|row| row.into_active_model().reset_all()),
        )
        .exec_without_returning(&tx)
        .await?;
        tx.commit().await?;
    }
    let counts = grades_seen
        .into_iter()
        .map(|((criterion_id, grade), count)| grade_count::Model {
            criterion_id,
            grade,
            shard: 0,
            count,
        });
    grade_count::Entity::insert_many(counts.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(db)
        .await?;
    let counts = totals_seen
        .into_iter()
        .map(|(total, count)| total_count::Model {
            rubric_id: rubric.id,
            total,
            shard: 0,
            count,
        });
    total_count::Entity::insert_many(counts.map(|row| row.into_active_model().reset_all()))
        .exec_without_returning(db)
        .await?;
    if db.get_database_backend() == sea_orm::DbBackend::Postgres {
        db.execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(())
}
