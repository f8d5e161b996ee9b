//! The commands: reads arguments and settings, calls the rest, says how it went.

use std::fs;
use std::future::Future;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::{Args, Parser, Subcommand};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::app::{self, App, SchemaChange};
use crate::identity::{IdentityError, NewAccount, check_keys, new_ed25519_key, new_p256_key};
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::config::{Config, Purpose, Settings, Sources};
use crate::platform::fault::{Fault, Rule};
use crate::platform::locale::Locale;
use crate::platform::telemetry;
use crate::platform::viewer::Role;
use crate::schema::sdl;
use crate::simulator::github::{GithubSimulator, TOKEN_PREFIX};
use crate::simulator::wechat::WechatSimulator;

/// Files that are no connections of clients: the database, log, outgoing calls.
const FILES_BESIDES_CONNECTIONS: u64 = 200;
/// Where `wegraph dev` keeps its signing key.
const DEV_SECRET: &str = "data/dev-secret";
/// What `wegraph dev` calls its mini-program unless the settings say otherwise.
const DEV_APP_ID: &str = "wx0000000000000000";
const DEV_APP_SECRET: &str = "simulated-app-secret";
/// Who asks the simulated GitHub for what everybody may see.
const DEV_GITHUB_LOGIN: &str = "example-org";
/// A template that the simulated platform knows.
const DEV_TEMPLATE_ID: &str = "sim-task-reminder";

/// A GraphQL backend for WeChat mini-programs.
#[derive(Debug, Parser)]
#[command(name = "wegraph", version, about)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// TOML file of settings; without it `wegraph.toml` is read when it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, for example `--set listen=127.0.0.1:9000`; wins over file and environment.
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server for development: SQLite, simulated WeChat and GitHub, GraphiQL, this machine only.
    Dev,
    /// Start a server for production.
    Serve,
    /// Change the tables of the database.
    Migrate {
        #[command(subcommand)]
        action: MigrateAction,
    },
    /// Print the schema in SDL.
    Schema,
    /// Print the settings in effect, secrets redacted, and everything that is wrong with them.
    CheckConfig,
    /// Print a new signing key: text for `auth.secret`, or with --algorithm a private key in PEM for `auth.key_files`.
    Keygen {
        /// What the key is for.
        #[arg(long, value_enum, default_value_t = KeyAlgorithm::Hs256)]
        algorithm: KeyAlgorithm,
    },
    /// Make and change accounts.
    User {
        #[command(subcommand)]
        action: UserAction,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum MigrateAction {
    /// Apply all pending migrations.
    Up,
    /// Undo the newest migrations.
    Down {
        /// How many to undo.
        #[arg(default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations and whether each is applied. Changes nothing.
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KeyAlgorithm {
    /// A secret that signs and verifies.
    Hs256,
    /// Ed25519; others can verify by the public half.
    Eddsa,
    /// ECDSA on P-256; others can verify by the public half.
    Es256,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Make an account; its password is the first line of standard input.
    Create {
        /// User name.
        name: String,
        /// Make the account an administrator.
        #[arg(long)]
        admin: bool,
    },
    /// Make an account an administrator.
    Promote {
        /// User name.
        name: String,
    },
    /// Open an account that is disabled, and forgive its failed sign-ins.
    Unlock {
        /// User name.
        name: String,
    },
}

/// Runs the command of this process.
///
/// # Errors
/// Whatever keeps the command from doing its work, for people to read.
pub fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let sources = Sources::of_process(cli.settings.config, cli.settings.set);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Resolvers nest; unoptimised builds overflow the usual 2 MiB on deep queries.
        .thread_stack_size(4 << 20)
        .build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Dev => dev(&sources).await,
            Command::Serve => serve(&sources).await,
            Command::Migrate { action } => migrate(&load(&sources, Purpose::Tool)?, action).await,
            Command::Schema => say(&sdl()),
            Command::CheckConfig => check_config(&sources),
            Command::Keygen { algorithm } => match algorithm {
                KeyAlgorithm::Hs256 => say(&format!("{}\n", new_secret())),
                KeyAlgorithm::Eddsa => say(&new_ed25519_key()?),
                KeyAlgorithm::Es256 => say(&new_p256_key()?),
            },
            Command::User { action } => user(&load(&sources, Purpose::Tool)?, action).await,
        }
    })
}

fn load(sources: &Sources, purpose: Purpose) -> anyhow::Result<Config> {
    Ok(Settings::load(sources, purpose).check(purpose)?)
}

/// Writes to standard output.
fn say(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}

/// 256 random bits.
fn new_secret() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn check_config(sources: &Sources) -> anyhow::Result<()> {
    let settings = Settings::load(sources, Purpose::Serve);
    say(&settings.redacted())?;
    let config = settings.check(Purpose::Serve)?;
    check_keys(&config.auth)?;
    say("The settings are fine.\n")
}

async fn dev(sources: &Sources) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut settings = Settings::load(sources, Purpose::Dev);
    if !settings.is_set("auth.secret") {
        settings.set(
            "auth.secret",
            kept_secret(Path::new(DEV_SECRET))?,
            DEV_SECRET,
        );
    }
    let has_apps = ["wechat.app_id", "wechat.app_secret", "wechat.app.0.id"]
        .iter()
        .any(|name| settings.is_set(name));
    if !has_apps {
        settings.set("wechat.app_id", DEV_APP_ID.to_owned(), "dev");
        settings.set("wechat.app_secret", DEV_APP_SECRET.to_owned(), "dev");
    }
    let is_simulated = !settings.is_set("wechat.base_url");
    let has_template = settings.is_set("wechat.reminder_template_id");
    if is_simulated && !has_template && settings.is_set("wechat.app_id") {
        let template = DEV_TEMPLATE_ID.to_owned();
        settings.set("wechat.reminder_template_id", template, "dev");
    }
    let is_github_simulated = !["github.api_url", "github.web_url", "github.token"]
        .iter()
        .any(|name| settings.is_set(name));
    let mut config = settings.check(Purpose::Dev)?;
    let _log = start_log(&config)?;
    if is_github_simulated {
        let simulator = GithubSimulator::start(Arc::clone(&clock)).await?;
        config.github.api_url = simulator.base_url().parse()?;
        config.github.web_url = simulator.base_url().parse()?;
        // Without one the simulator, like GitHub, would soon have enough of us.
        config.github.token = Some(format!("{TOKEN_PREFIX}{DEV_GITHUB_LOGIN}").into());
    }
    if is_simulated {
        let apps = &config.wechat.apps;
        let apps: Vec<_> = apps
            .iter()
            .map(|app| (app.id.as_str(), app.secret.expose_secret()))
            .collect();
        let simulator = WechatSimulator::start(&apps, Arc::clone(&clock)).await?;
        config.wechat.base_url = simulator.base_url().parse()?;
    }
    app::migrate(&config.database).await?;
    let app = App::new(&config, clock, true).await?;
    let listener = listen(&config).await?;
    let address = listener.local_addr()?;
    let stop = stop_signal()?;
    say(&greeting(
        &format!("http://{address}"),
        &config,
        is_simulated,
        is_github_simulated,
    ))?;
    app.serve(listener, stop).await?;
    Ok(())
}

/// Starts the log, with what the settings could not say before.
fn start_log(config: &Config) -> anyhow::Result<telemetry::Log> {
    let log = telemetry::init(&config.log)?;
    if !config.service_links.is_empty() {
        let variables = config.service_links.join(", ");
        tracing::info!(
            variables,
            "These variables are no settings: Kubernetes sets them for its Services"
        );
    }
    Ok(log)
}

fn greeting(base: &str, config: &Config, is_simulated: bool, is_github_simulated: bool) -> String {
    let wechat = match is_simulated {
        true => format!(
            "simulated at {} - the code sim-<name>-<nonce> signs <name> in, once",
            config.wechat.base_url
        ),
        false => config.wechat.base_url.to_string(),
    };
    let github = match is_github_simulated {
        true => format!(
            "simulated at {} - linkGithub takes the token {TOKEN_PREFIX}ada",
            config.github.api_url
        ),
        false => format!("{} and {}", config.github.api_url, config.github.web_url),
    };
    let socket = base.replacen("http", "ws", 1);
    format!(
        "
WeGraph is running for development, on this machine only.

  GraphiQL   {base}/graphiql
  GraphQL    {base}/graphql   (WebSocket: {socket}/graphql/ws)
  Schema     {base}/schema.graphql
  WeChat     {wechat}
  GitHub     {github}

A first query:

  curl -s {base}/graphql -H 'Content-Type: application/json' \\
    -d '{{\"query\":\"{{ rubric(slug: \\\"default\\\") {{ title criteria {{ key minGrade maxGrade }} }} }}\"}}'

Stop with Ctrl+C.

"
    )
}

/// The key in `path`; made on the first start, for this user's eyes only.
fn kept_secret(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(secret) if !secret.trim().is_empty() => return Ok(secret.trim().to_owned()),
        Ok(_) => bail!(
            "{} is empty: delete it to have a new key made",
            path.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let secret = new_secret();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(format!("{secret}\n").as_bytes())?;
    file.sync_all()?;
    Ok(secret)
}

async fn serve(sources: &Sources) -> anyhow::Result<()> {
    let config = load(sources, Purpose::Serve)?;
    let _log = start_log(&config)?;
    tracing::info!("Opening the database");
    prepare_tables(&config)
        .await
        .context("the database cannot be used")?;
    if config.wechat.apps.is_empty() {
        tracing::warn!(
            "wechat.app_id and wechat.app_secret are not set: sign-in by WeChat code is off"
        );
    }
    let app = App::new(&config, Arc::new(SystemClock), false).await?;
    let listener = listen(&config).await?;
    let stop = stop_signal()?;
    tracing::info!(address = %listener.local_addr()?, "WeGraph is ready");
    app.serve(listener, stop).await?;
    tracing::info!("WeGraph has stopped");
    Ok(())
}

/// Applies pending migrations, or refuses to go on without them when the operator wants to apply them.
async fn prepare_tables(config: &Config) -> anyhow::Result<()> {
    if config.database.migrate_on_start {
        return Ok(app::migrate(&config.database).await?);
    }
    let status = app::migration_status(&config.database).await?;
    let pending = status.iter().filter(|(_, is_applied)| !is_applied).count();
    if pending > 0 {
        bail!(
            "{pending} migrations are pending and database.migrate_on_start is off: run `wegraph migrate up`"
        );
    }
    Ok(())
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    // Every connection is an open file, and the usual limit of a shell is 1024.
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
    let wanted = config.http.max_connections as u64 + FILES_BESIDES_CONNECTIONS;
    if limit > 0 && limit < wanted {
        tracing::warn!(
            limit,
            wanted,
            "The limit of open files is lower than http.max_connections needs"
        );
    }
    TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))
}

/// Done when the process is asked to end: Ctrl+C, or SIGTERM from a service manager. Both are heeded from the call on,
/// before anybody is told that the server is ready.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let (mut interrupt, mut terminate) = {
        use tokio::signal::unix::{SignalKind, signal};
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

async fn migrate(config: &Config, action: MigrateAction) -> anyhow::Result<()> {
    match action {
        MigrateAction::Up => app::change_schema(&config.database, SchemaChange::Up(None)).await?,
        MigrateAction::Down { steps } => {
            app::change_schema(&config.database, SchemaChange::Down(Some(steps))).await?;
        }
        MigrateAction::Status => {}
    }
    let mut text = String::new();
    for (name, is_applied) in app::migration_status(&config.database).await? {
        let state = if is_applied { "applied" } else { "pending" };
        text.push_str(&format!("{state}  {name}\n"));
    }
    say(&text)
}

async fn user(config: &Config, action: UserAction) -> anyhow::Result<()> {
    prepare_tables(config).await?;
    let app = App::new(config, Arc::new(SystemClock), false).await?;
    match action {
        UserAction::Create { name, admin } => {
            let account = NewAccount {
                username: name.clone(),
                password: read_password()?,
                ..NewAccount::default()
            };
            let role = if admin { Role::Admin } else { Role::User };
            match app.identity.create_account(account, role).await {
                Ok(user) => say(&format!("{} {}\n", user.id, name)),
                Err(error) => Err(explain(error)),
            }
        }
        UserAction::Promote { name } => {
            app.identity.promote(&name).await.map_err(explain)?;
            say(&format!("{name} is an administrator now\n"))
        }
        UserAction::Unlock { name } => {
            app.identity.unlock(&name).await.map_err(explain)?;
            say(&format!("{name} can sign in again\n"))
        }
    }
}

/// The first line of standard input, without its line end.
fn read_password() -> anyhow::Result<String> {
    let mut input = std::io::stdin().lock();
    if std::io::stdin().is_terminal() {
        say("Password (shown as you type): ")?;
    }
    let mut line = String::new();
    input.read_line(&mut line)?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        bail!("no password on standard input");
    }
    Ok(password.to_owned())
}

fn explain(error: IdentityError) -> anyhow::Error {
    let faults = match &error {
        IdentityError::Invalid(faults) => faults.clone().into_list(),
        IdentityError::WeakPassword(faults) => faults.clone(),
        _ => Vec::new(),
    };
    let lines: String = faults
        .iter()
        .map(|fault| format!("\n  - {}", in_words(fault)))
        .collect();
    anyhow::anyhow!("{error}{lines}")
}

fn in_words(fault: &Fault) -> String {
    let path = fault.path.join(".");
    match &fault.rule {
        Rule::Malformed { expected } => format!("{path}: expected {}", expected.text(Locale::En)),
        Rule::TooShort { min } => format!("{path}: fewer than {min} characters"),
        Rule::TooLong { max } => format!("{path}: more than {max} characters"),
        rule => format!("{path}: {rule:?}"),
    }
}
