//! What there is at the simulated GitHub: made-up repositories, people and what they do.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::platform::clock::Timestamp;

/// A repository.
#[derive(Debug, Clone)]
pub struct SimulatedRepository {
    /// Never changes.
    pub id: u64,
    /// Login of the owner.
    pub owner: String,
    /// Name without the owner.
    pub name: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// Its language and that one's colour.
    pub language: Option<(&'static str, &'static str)>,
    /// Stars.
    pub stars: u64,
    /// Forks.
    pub forks: u64,
    /// Those who are told of everything.
    pub watchers: u64,
    /// Whether it is a fork.
    pub is_fork: bool,
    /// Whether it is private.
    pub is_private: bool,
    /// Its branch.
    pub default_branch: String,
    /// Where its README lies and what it says.
    pub readme: Option<(String, Vec<u8>)>,
    /// Logins of those who built it.
    pub built_by: Vec<&'static str>,
}

/// Logins, names and ids of people and organisations.
pub(super) const PEOPLE: [(&str, Option<&str>, u64); 10] = [
    ("ada", Some("Ada Example"), 101),
    ("bob", Some("Bob Example"), 102),
    ("zoe", None, 103),
    ("lee", Some("李示例"), 104),
    ("kim", Some("Kim Example"), 105),
    ("mia", Some("Mia Example"), 106),
    ("tom", None, 107),
    ("yan", Some("严示例"), 108),
    ("acme-labs", Some("Acme Labs"), 201),
    ("example-org", Some("Example Organisation"), 202),
];

type Row = (
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
    u64,
    &'static [&'static str],
);

const RUST: Option<(&str, &str)> = Some(("Rust", "#dea584"));
const GO: Option<(&str, &str)> = Some(("Go", "#00ADD8"));
const PYTHON: Option<(&str, &str)> = Some(("Python", "#3572A5"));
const TYPESCRIPT: Option<(&str, &str)> = Some(("TypeScript", "#3178c6"));
const JAVASCRIPT: Option<(&str, &str)> = Some(("JavaScript", "#f1e05a"));
const CSHARP: Option<(&str, &str)> = Some(("C#", "#7355dd"));
const CPP: Option<(&str, &str)> = Some(("C++", "#f34b7d"));
const NOTEBOOK: Option<(&str, &str)> = Some(("Jupyter Notebook", "#DA5B0B"));

const REPOSITORIES: [Row; 28] = [
    (
        "acme-labs",
        "rocket-db",
        "Embedded store & query engine 🚀",
        RUST,
        101_744,
        &["ada", "bob"],
    ),
    ("zoe", "notes", "", None, 950, &["zoe"]),
    (
        "example-org",
        "sharp.io",
        "中文描述：跨平台串口工具 🎉",
        CSHARP,
        4_210,
        &["kim"],
    ),
    (
        "kim",
        "plain",
        "Plain text, kept plain",
        CPP,
        88,
        &["dependabot[bot]"],
    ),
    (
        "lee",
        "late",
        "A queue that is late on purpose",
        GO,
        540,
        &["lee", "yan"],
    ),
    (
        "ada",
        "engine-notes",
        "Notes on the analytical engine",
        NOTEBOOK,
        18_430,
        &["ada"],
    ),
    (
        "acme-labs",
        "mini-kit",
        "微信小程序组件库",
        TYPESCRIPT,
        36_127,
        &["mia", "lee"],
    ),
    (
        "mia",
        "wx-router",
        "小程序路由与状态管理",
        TYPESCRIPT,
        7_302,
        &["mia"],
    ),
    (
        "yan",
        "slow-sql",
        "Finds the statements that take your evening",
        GO,
        12_905,
        &["yan"],
    ),
    (
        "bob",
        "todo",
        "Yet another list",
        JAVASCRIPT,
        2_044,
        &["bob", "tom"],
    ),
    (
        "example-org",
        "charts",
        "Charts that fit a phone",
        JAVASCRIPT,
        28_790,
        &["tom"],
    ),
    ("tom", "dotfiles", "", None, 71, &["tom"]),
    (
        "acme-labs",
        "tiny-http",
        "A very small HTTP server",
        RUST,
        9_321,
        &["ada"],
    ),
    (
        "ada",
        "brackets",
        "Counts brackets, and nothing else",
        RUST,
        640,
        &["ada", "kim"],
    ),
    ("lee", "pinyin", "汉字转拼音", PYTHON, 15_377, &["lee"]),
    (
        "kim",
        "ray",
        "A ray tracer in a weekend and a half",
        CPP,
        5_518,
        &["kim"],
    ),
    (
        "example-org",
        "awesome-lists",
        "A list of lists",
        None,
        88_014,
        &["zoe", "bob"],
    ),
    (
        "yan",
        "graphql-cost",
        "Tells what a query will cost",
        GO,
        1_188,
        &["yan"],
    ),
    (
        "mia",
        "palette",
        "Colours by name",
        TYPESCRIPT,
        3_450,
        &["mia"],
    ),
    ("bob", "tide", "Tides as a service", PYTHON, 402, &["bob"]),
    (
        "zoe",
        "zine",
        "A magazine made of Markdown",
        PYTHON,
        1_934,
        &["zoe"],
    ),
    (
        "acme-labs",
        "deep-notes",
        "Models explained by notebooks",
        NOTEBOOK,
        44_210,
        &["ada", "yan"],
    ),
    ("tom", "clock", "A clock for tests", RUST, 233, &["tom"]),
    (
        "example-org",
        "winforms-redux",
        "Windows as they were",
        CSHARP,
        6_610,
        &["kim"],
    ),
    (
        "kim",
        "matrix",
        "Matrices on the stack",
        CPP,
        2_871,
        &["kim", "ada"],
    ),
    (
        "lee",
        "todo-cli",
        "Lists in a terminal",
        RUST,
        1_502,
        &["lee"],
    ),
    (
        "mia",
        "form-kit",
        "Forms that say what is wrong",
        JAVASCRIPT,
        10_006,
        &["mia", "bob"],
    ),
    (
        "yan",
        "backup",
        "Backups that were restored once",
        GO,
        8_127,
        &["yan"],
    ),
];

/// What there is to begin with.
pub(super) fn repositories() -> Vec<SimulatedRepository> {
    (1..)
        .zip(REPOSITORIES)
        .map(|(number, (owner, name, description, language, stars, built_by))| {
            let readme = format!(
                "# {name}\n\n{description}\n\n![Logo](docs/logo.png)\n\nRead the [guide](docs/guide.md) first.\n"
            );
            SimulatedRepository {
                id: 9_000 + number,
                owner: owner.to_owned(),
                name: name.to_owned(),
                description: (!description.is_empty()).then(|| description.to_owned()),
                language,
                stars,
                forks: stars / 9,
                watchers: stars / 40 + 1,
                is_fork: false,
                is_private: false,
                default_branch: "main".to_owned(),
                readme: Some(("README.md".to_owned(), readme.into_bytes())),
                built_by: built_by.to_vec(),
            }
        })
        .collect()
}

impl SimulatedRepository {
    /// Owner and name.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// As the API tells of it; `is_full` when it was asked for by itself.
    pub(super) fn json(&self, now: Timestamp, is_full: bool) -> Value {
        let time = |days: i64| written(now - TimeDelta::days(days));
        let full_name = self.full_name();
        let mut json = json!({
            "id": self.id,
            "node_id": format!("R_{}", self.id),
            "name": self.name,
            "full_name": full_name,
            "private": self.is_private,
            "visibility": if self.is_private { "private" } else { "public" },
            "owner": owner(&self.owner),
            "html_url": format!("https://github.com/{full_name}"),
            "url": format!("https://api.github.com/repos/{full_name}"),
            "description": self.description,
            "fork": self.is_fork,
            "homepage": if self.stars > 10_000 { format!("https://{}.example.com", self.name) } else { String::new() },
            "language": self.language.map(|(name, _)| name),
            "license": (self.stars > 1_000).then(|| json!({
                "key": "mit", "name": "MIT License", "spdx_id": "MIT", "url": "https://api.github.com/licenses/mit", "node_id": "L",
            })),
            "stargazers_count": self.stars,
            "watchers_count": self.stars,
            "watchers": self.stars,
            "forks_count": self.forks,
            "forks": self.forks,
            "open_issues_count": self.stars / 100,
            "open_issues": self.stars / 100,
            "topics": ["simulated", "example"],
            "default_branch": self.default_branch,
            "archived": self.name == "winforms-redux",
            "disabled": false,
            "size": 1024,
            "created_at": time(900 + self.id as i64 % 900),
            "updated_at": time(1 + self.id as i64 % 9),
            "pushed_at": time(2 + self.id as i64 % 30),
        });
        if is_full {
            json["subscribers_count"] = self.watchers.into();
            json["network_count"] = self.forks.into();
        }
        json
    }
}

fn owner(login: &str) -> Value {
    let id = id_of(login);
    json!({
        "login": login,
        "id": id,
        "avatar_url": picture(id),
        "html_url": format!("https://github.com/{login}"),
        "type": if id > 200 { "Organization" } else { "User" },
    })
}

pub(super) fn id_of(login: &str) -> u64 {
    let known = PEOPLE.iter().find(|(known, ..)| *known == login);
    known.map_or(999, |(.., id)| *id)
}

pub(super) fn picture(id: u64) -> String {
    format!("https://avatars.githubusercontent.com/u/{id}?v=4")
}

/// A person or an organisation as the API tells of it; `None` for nobody.
pub(super) fn person(login: &str, now: Timestamp) -> Option<Value> {
    let (login, name, id) = PEOPLE
        .into_iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(login))?;
    let is_shy = name.is_none();
    let some = |text: &str| (!is_shy).then(|| text.to_owned());
    Some(json!({
        "login": login,
        "id": id,
        "node_id": format!("U_{id}"),
        "avatar_url": picture(id),
        "gravatar_id": "",
        "html_url": format!("https://github.com/{login}"),
        "type": if id > 200 { "Organization" } else { "User" },
        "site_admin": false,
        "name": name,
        "company": some("@acme-labs"),
        "blog": some(&format!("https://{login}.example.com")).unwrap_or_default(),
        "location": some("Shenzhen"),
        "email": null,
        "hireable": null,
        "bio": some("Writes examples."),
        "twitter_username": null,
        "public_repos": REPOSITORIES.iter().filter(|row| row.0 == login).count(),
        "public_gists": 3,
        "followers": id * 7,
        "following": id % 50,
        "created_at": written(now - TimeDelta::days(2000 + id as i64)),
        "updated_at": written(now - TimeDelta::days(3)),
    }))
}

/// What others did lately, newest first: one of each kind, then stars.
pub(super) fn events(now: Timestamp) -> Vec<Value> {
    let payloads = [
        ("WatchEvent", json!({"action": "started"})),
        (
            "ForkEvent",
            json!({"action": "forked", "forkee": {"id": 1, "full_name": "bob/rocket-db"}}),
        ),
        (
            "CreateEvent",
            json!({"ref": null, "ref_type": "repository", "master_branch": "main", "description": null}),
        ),
        (
            "CreateEvent",
            json!({"ref": "v1.2.0", "ref_type": "tag", "full_ref": "refs/tags/v1.2.0", "master_branch": "main"}),
        ),
        (
            "PushEvent",
            json!({"repository_id": 9001, "push_id": 77, "ref": "refs/heads/main", "head": "b", "before": "a"}),
        ),
        (
            "PullRequestEvent",
            json!({"action": "opened", "number": 12, "pull_request": {"id": 5, "number": 12}}),
        ),
        (
            "IssuesEvent",
            json!({"action": "closed", "issue": {"number": 31}}),
        ),
        (
            "IssueCommentEvent",
            json!({"action": "created", "issue": {"number": 31}, "comment": {}}),
        ),
        (
            "ReleaseEvent",
            json!({"action": "published", "release": {"tag_name": "v1.2.0"}}),
        ),
        ("DeleteEvent", json!({"ref": "draft", "ref_type": "branch"})),
        ("PublicEvent", json!({})),
        (
            "MemberEvent",
            json!({"action": "added", "member": {"login": "mia"}}),
        ),
        ("GollumEvent", json!({"pages": []})),
    ];
    (0..140_i64)
        .map(|number| {
            let (kind, payload) = payloads
                .get(number as usize)
                .cloned()
                .unwrap_or_else(|| payloads[0].clone());
            let (actor, _, id) = PEOPLE[number as usize % 8];
            let repository = REPOSITORIES[number as usize % REPOSITORIES.len()];
            let name = format!("{}/{}", repository.0, repository.1);
            json!({
                "id": (48_000_000_000 - number).to_string(),
                "type": kind,
                "actor": {
                    "id": id, "login": actor, "display_login": actor, "gravatar_id": "",
                    "url": format!("https://api.github.com/users/{actor}"), "avatar_url": picture(id),
                },
                "repo": {"id": 9001, "name": name, "url": format!("https://api.github.com/repos/{name}")},
                "payload": payload,
                "public": true,
                "created_at": written(now - TimeDelta::minutes(40 * (number + 1))),
            })
        })
        .collect()
}

/// As the API writes times.
pub(super) fn written(time: Timestamp) -> String {
    time.utc()
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
