//! Collects the tests and runs them once for each database.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;

use futures_util::FutureExt;
use libtest_mimic::{Arguments, Trial};
use wegraph::platform::http_client::use_ring;

use super::{Engine, TestApp, drop_template};

pub(crate) type TestFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One test, registered by [`on_each_database`] or [`once`].
pub(crate) struct Case {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

/// How a test is run.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// With a server of its own on each engine.
    OnEachDatabase(for<'a> fn(&'a TestApp) -> TestFuture<'a>),
    /// Once, without a server.
    Once(fn() -> TestFuture<'static>),
}

inventory::collect!(Case);

/// Tests that get a server of their own, once for each database.
macro_rules! on_each_database {
    ($($(#[doc = $doc:literal])* async fn $name:ident($app:ident) $body:block)+) => {
        $(
            $(#[doc = $doc])*
            async fn $name($app: &$crate::harness::TestApp) $body

            inventory::submit! {
                $crate::harness::Case {
                    module: module_path!(),
                    name: stringify!($name),
                    run: $crate::harness::Run::OnEachDatabase(|app| Box::pin($name(app))),
                }
            }
        )+
    };
}
pub(crate) use on_each_database;

/// Tests that need no server, or start their own.
macro_rules! once {
    ($($(#[doc = $doc:literal])* async fn $name:ident() $body:block)+) => {
        $(
            $(#[doc = $doc])*
            async fn $name() $body

            inventory::submit! {
                $crate::harness::Case {
                    module: module_path!(),
                    name: stringify!($name),
                    run: $crate::harness::Run::Once(|| Box::pin($name())),
                }
            }
        )+
    };
}
pub(crate) use once;

/// The `main` of the test binary.
#[expect(
    clippy::print_stdout,
    reason = "who runs the tests must see what is left out"
)]
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::from_args();
    // The clients of the tests need it before any server of this process has started.
    use_ring();
    let engines = Engine::available();
    for engine in [Engine::Postgres, Engine::Mysql] {
        if !engines.contains(&engine) && !arguments.list {
            println!(
                "note: nothing runs on {}: {} is not set",
                engine.name(),
                engine.variable()
            );
        }
    }
    let mut trials = Vec::new();
    for case in inventory::iter::<Case> {
        let module = case.module.trim_start_matches("it::");
        match case.run {
            Run::Once(test) => {
                let name = format!("once::{module}::{}", case.name);
                trials.push(Trial::test(name, move || {
                    block_on(test());
                    Ok(())
                }));
            }
            Run::OnEachDatabase(test) => {
                for engine in engines.iter().copied() {
                    let name = format!("{}::{module}::{}", engine.name(), case.name);
                    trials.push(Trial::test(name, move || {
                        block_on(on_engine(engine, test));
                        Ok(())
                    }));
                }
            }
        }
    }
    trials.sort_by(|a, b| a.name().cmp(b.name()));
    let conclusion = libtest_mimic::run(&arguments, trials);
    block_on(drop_template());
    conclusion.exit_code()
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_stack_size(4 << 20)
        .build()
        .expect("a runtime")
        .block_on(test);
}

async fn on_engine(engine: Engine, test: for<'a> fn(&'a TestApp) -> TestFuture<'a>) {
    let app = TestApp::start(engine).await;
    let outcome = AssertUnwindSafe(test(&app)).catch_unwind().await;
    app.stop().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}
