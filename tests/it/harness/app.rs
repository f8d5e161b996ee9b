//! A server of its own for each test, in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wegraph::app::App;
use wegraph::entity::{rubric, user};
use wegraph::identity::IdentityService;
use wegraph::notifications::NotificationService;
use wegraph::platform::clock::{Clock, ShiftedClock};
use wegraph::platform::config::{Config, Purpose, Settings, Sources};
use wegraph::platform::db::Database;
use wegraph::platform::id::parse_id;
use wegraph::platform::viewer::Role;
use wegraph::simulator::github::GithubSimulator;
use wegraph::simulator::wechat::WechatSimulator;

use super::{Client, Engine, TestDatabase};

/// The signing key of the tests.
pub(crate) const SECRET: &str = "kq3v9Xw2-test-only-B7nR5mZ8cL4pT6yD";
/// The password of whoever registers.
pub(crate) const PASSWORD: &str = "Tr4verse-it";
pub(crate) const APP_ID: &str = "wx1234567890abcdef";
pub(crate) const APP_SECRET: &str = "app-secret-of-the-tests-4242";
/// A mini-program that WeChat knows, and the server where a test says so.
pub(crate) const OTHER_APP_ID: &str = "wxfedcba0987654321";
pub(crate) const OTHER_APP_SECRET: &str = "other-secret-of-the-tests-4343";

/// The template that reminds of tasks, which nobody has agreed to.
pub(crate) const TEMPLATE: &str = "tUq4y1k_reminder-9";

/// The server's own token at GitHub.
pub(crate) const GITHUB_TOKEN: &str = "ghp_sim_example-org";

/// A running server with its database, clock and platforms.
pub(crate) struct TestApp {
    pub(crate) base_url: String,
    pub(crate) db: Arc<Database>,
    pub(crate) clock: Arc<ShiftedClock>,
    pub(crate) wechat: WechatSimulator,
    pub(crate) github: GithubSimulator,
    pub(crate) engine: Engine,
    pub(crate) identity: Arc<IdentityService>,
    pub(crate) notifications: Arc<NotificationService>,
    http: reqwest::Client,
    pub(crate) config: Config,
    database: TestDatabase,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    codes: AtomicU32,
}

/// Another server on the same database.
pub(crate) struct Sibling {
    http: reqwest::Client,
    base_url: String,
    db: Arc<Database>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Sibling {
    /// The same person there.
    pub(crate) fn client(&self, token: &str) -> Client {
        Client::new(self.http.clone(), self.base_url.clone()).with_token(token)
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.http.clone(), self.base_url.clone())
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.server.abort();
        drop(self.server.await);
        self.db.close().await.expect("the database closes");
    }
}

/// Serves `app` on a free port.
async fn launch(app: App) -> (String, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        app.serve(listener, stopped).await.expect("the server runs");
    });
    (base_url, stop, server)
}

impl TestApp {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// With settings of its own, by the names of the environment.
    pub(crate) async fn start_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::migrated(engine).await;
        let clock = Arc::new(ShiftedClock::default());
        let apps = [(APP_ID, APP_SECRET), (OTHER_APP_ID, OTHER_APP_SECRET)];
        let wechat = WechatSimulator::start(&apps, clock.clone() as Arc<dyn Clock>)
            .await
            .expect("the simulator starts");
        let github = GithubSimulator::start(clock.clone() as Arc<dyn Clock>)
            .await
            .expect("the simulator starts");
        let mut config = config(settings, &wechat.base_url(), &github.base_url());
        let statement_timeout = config.database.statement_timeout;
        config.database = database.config.clone();
        config.database.statement_timeout = statement_timeout;
        let is_dev = settings.iter().any(|(name, _)| *name == "DEV");
        let app = App::new(&config, clock.clone(), is_dev)
            .await
            .expect("the server starts");
        let db = Arc::clone(&app.db);
        let identity = Arc::clone(&app.identity);
        let notifications = Arc::clone(&app.notifications);
        let (base_url, stop, server) = launch(app).await;
        Self {
            identity,
            notifications,
            config,
            base_url,
            db,
            clock,
            wechat,
            github,
            engine,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client"),
            database,
            stop,
            server,
            codes: AtomicU32::new(0),
        }
    }

    /// Stops the server and drops the database.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.server.abort();
        drop(self.server.await);
        self.db.close().await.expect("the database closes");
        self.database.drop().await;
    }

    /// Another server with the same settings.
    pub(crate) async fn sibling(&self) -> Sibling {
        self.sibling_with(|_| {}).await
    }

    /// Another server with other settings.
    pub(crate) async fn sibling_with(&self, change: fn(&mut Config)) -> Sibling {
        let mut config = self.config.clone();
        change(&mut config);
        let app = App::new(&config, self.clock.clone(), false)
            .await
            .expect("the server starts");
        let db = Arc::clone(&app.db);
        let (base_url, stop, server) = launch(app).await;
        Sibling {
            http: self.http.clone(),
            base_url,
            db,
            stop,
            server,
        }
    }

    /// A client without a token.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.http.clone(), self.base_url.clone())
    }

    /// A person who registered with this name and [`PASSWORD`].
    pub(crate) async fn registered(&self, name: &str) -> Client {
        let reply = self
            .anonymous()
            .run(
                "mutation($input: RegisterInput!) { register(input: $input) {
                    accessToken refreshToken user { id } } }",
                json!({"input": {"username": name, "password": PASSWORD}}),
            )
            .await;
        self.anonymous().signed_in(&reply.data()["register"])
    }

    /// A person who signed in by WeChat.
    pub(crate) async fn user(&self, name: &str) -> Client {
        let number = self.codes.fetch_add(1, Ordering::Relaxed);
        let reply = self
            .anonymous()
            .run(
                "mutation($code: String!) { login(input: {wechat: {code: $code}}) {
                    accessToken refreshToken user { id } } }",
                json!({"code": format!("sim-{name}-{number}")}),
            )
            .await;
        self.anonymous().signed_in(&reply.data()["login"])
    }

    /// A person who signed in and is an administrator.
    pub(crate) async fn admin(&self, name: &str) -> Client {
        let client = self.user(name).await;
        self.change_user(&client.user_id, |user| user.role = Set(Role::Admin))
            .await;
        client
    }

    /// Changes the row of a user behind the server's back.
    pub(crate) async fn change_user(&self, id: &str, change: fn(&mut user::ActiveModel)) {
        let mut row = user::ActiveModel {
            id: Set(parse_id(id).expect("an id")),
            ..Default::default()
        };
        change(&mut row);
        self.db
            .write(move |tx| {
                let row = row.clone();
                Box::pin(async move { row.update(tx).await.map(drop) })
            })
            .await
            .expect("the user changes");
    }

    /// Changes the rubric `default` behind the server's back.
    pub(crate) async fn change_default_rubric(&self, change: fn(&mut rubric::ActiveModel)) {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    use sea_orm::{EntityTrait, IntoActiveModel};
                    let row = rubric::Entity::find().one(tx).await?.expect("a rubric");
                    let mut row = row.into_active_model();
                    change(&mut row);
                    row.update(tx).await?;
                    Ok::<_, DbErr>(())
                })
            })
            .await
            .expect("the rubric changes");
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }
}

fn config(settings: &[(&str, &str)], wechat_url: &str, github_url: &str) -> Config {
    let defaults = [
        ("AUTH__SECRET", SECRET),
        ("WECHAT__APP_ID", APP_ID),
        ("WECHAT__APP_SECRET", APP_SECRET),
        ("WECHAT__BASE_URL", wechat_url),
        ("WECHAT__TIMEOUT_MS", "2500"),
        ("WECHAT__REMINDER_TEMPLATE_ID", TEMPLATE),
        ("GITHUB__API_URL", github_url),
        ("GITHUB__WEB_URL", github_url),
        ("GITHUB__TOKEN", GITHUB_TOKEN),
        ("GRAPHQL__INTROSPECTION", "true"),
        ("GRAPHQL__PLAYGROUND", "true"),
        ("RATE_LIMIT__ENABLED", "false"),
    ];
    // An empty value is not set: it leaves a default of the tests out.
    let is_own = |name: &str| settings.iter().any(|(own, _)| *own == name);
    let sources = Sources {
        environment: defaults
            .iter()
            .filter(|(name, _)| !is_own(name))
            .chain(settings)
            .filter(|(name, _)| *name != "DEV")
            .map(|(name, value)| (format!("WEGRAPH_{name}"), (*value).to_owned()))
            .collect(),
        ..Sources::default()
    };
    Settings::load(&sources, Purpose::Serve)
        .check(Purpose::Serve)
        .expect("the settings are fine")
}
