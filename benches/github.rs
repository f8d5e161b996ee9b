//! What an answer from a copy costs while GitHub is well, silent and broken, against a query that has nothing to do with it, and how
//! many questions a thousand clients at once are.
//!
//!     cargo bench --bench github

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use wegraph::platform::clock::SystemClock;
use wegraph::platform::http_client::use_ring;
use wegraph::simulator::github::{GithubFault, GithubSimulator};

mod server;

use server::Server;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Requests of each row of the table, one after the other.
const REQUESTS: usize = 400;
const PLAIN: &str = "{ languages(popular: true) { name color slug } }";
const PAGE: &str = "{ trendingRepositories { isStale items { owner name description stars forks starsInPeriod language { name color }
    builtBy { login avatarUrl } repository { stars openIssues } } } }";
const REPOSITORY: &str =
    "{ repository(owner: \"ada\", name: \"brackets\") { isStale stars watchers readme { text } } }";

#[tokio::main]
async fn main() -> Result<()> {
    use_ring();
    let github = GithubSimulator::start(Arc::new(SystemClock)).await?;
    let folder = tempfile::tempdir()?;
    let url = github.base_url();
    let server = Server::start(
        folder.path(),
        &[
            ("WEGRAPH_GITHUB__API_URL", &url),
            ("WEGRAPH_GITHUB__WEB_URL", &url),
            ("WEGRAPH_GITHUB__TOKEN", "ghp_sim_ada"),
            // Copies are old after a second, so that each of the rows below meets both.
            ("WEGRAPH_GITHUB__FRESH_SECONDS", "1"),
            ("WEGRAPH_GITHUB__TRENDING_FRESH_SECONDS", "1"),
        ],
    )?;
    let client = reqwest::Client::builder().build()?;
    let ask = async |query: &str| -> Result<Value> {
        let request = client.post(format!("http://{}/graphql", server.address));
        let answer: Value = request
            .json(&json!({"query": query}))
            .send()
            .await?
            .json()
            .await?;
        match answer.get("errors") {
            None => Ok(answer),
            Some(errors) => Err(errors.to_string().into()),
        }
    };

    let delayed = GithubFault::Delay(Duration::from_millis(300));
    github.fail("/", delayed);
    let started = Instant::now();
    try_join_all((0..1000).map(|_| ask(PAGE))).await?;
    println!(
        "1000 at once, without a copy: {} questions to GitHub, which takes 300 ms for each; all answered after {:.0?}",
        github.requests("/").len(),
        started.elapsed()
    );
    github.recover();
    ask(REPOSITORY).await?;

    println!(
        "\n{:<38} {:>9} {:>9} {:>9} {:>8}",
        "", "p50", "p99", "longest", "ratio"
    );
    let plain = measure(async || ask(PLAIN).await.map(drop)).await?;
    print("without GitHub", &plain, &plain);
    for (name, fault) in [
        ("well", None),
        ("silent", Some(GithubFault::Silence)),
        ("broken (502)", Some(GithubFault::Status(502))),
    ] {
        github.recover();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        join_all([ask(PAGE), ask(REPOSITORY)]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Some(fault) = fault {
            github.fail("/", fault);
        }
        for (what, query) in [("trending page", PAGE), ("repository", REPOSITORY)] {
            let times = measure(async || ask(query).await.map(drop)).await?;
            print(&format!("{what}, GitHub {name}"), &times, &plain);
        }
    }
    Ok(())
}

fn print(name: &str, times: &[Duration], plain: &[Duration]) {
    let at = |times: &[Duration], part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "{name:<38} {:>9.1?} {:>9.1?} {:>9.1?} {:>8.2}",
        at(times, 50),
        at(times, 99),
        at(times, 100),
        at(times, 50).as_secs_f64() / at(plain, 50).as_secs_f64()
    );
}

/// How long each of the requests took, sorted.
async fn measure(ask: impl AsyncFn() -> Result<()>) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        // Over some seconds, so that copies grow old meanwhile.
        tokio::time::sleep(Duration::from_millis(8)).await;
        let started = Instant::now();
        ask().await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}
