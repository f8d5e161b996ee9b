//! Who may see what: every field of the schema has a rule here, and every rule is tried by each kind of caller, on every path
//! that leads to the thing, over HTTP and over WebSocket.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use serde_json::{Value, json};
use wegraph::schema::sdl;

use crate::harness::{Client, TestApp, on_each_database, once};
use crate::http::socket::Socket;
use crate::schema::arguments;

/// Who may use a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Everybody.
    Public,
    /// Whoever has a token; UNAUTHENTICATED for others.
    SignedIn,
    /// Administrators; FORBIDDEN for others with a token.
    Admin,
    /// Whoever may see the thing that it belongs to.
    WithObject,
    /// Whose the thing is, and administrators; null for others.
    OwnerOrAdmin,
    /// Whose the thing is; empty for others.
    Owner,
    /// Administrators, and everybody when the rubric's results are public (scores/results.rs tries it).
    Results,
}

/// Type, rule, fields.
const RULES: &[(&str, Rule, &str)] = &[
    (
        "AuditEvent",
        Rule::WithObject,
        "id action actor subjectId ipAddress userAgent occurredAt",
    ),
    (
        "AuditEventConnection",
        Rule::WithObject,
        "edges nodes pageInfo totalCount",
    ),
    ("AuditEventEdge", Rule::WithObject, "cursor node"),
    (
        "AuthPayload",
        Rule::WithObject,
        "accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt user isNewUser",
    ),
    ("BindPhoneNumberPayload", Rule::WithObject, "user"),
    (
        "ChangePasswordPayload",
        Rule::WithObject,
        "user endedSessions",
    ),
    ("CompleteTasksPayload", Rule::WithObject, "tasks"),
    (
        "Criterion",
        Rule::WithObject,
        "key title description minGrade maxGrade weight isCommentRequired maxCommentLength",
    ),
    (
        "CriterionSummary",
        Rule::WithObject,
        "criterion count mean median standardDeviation distribution",
    ),
    (
        "DeleteCompletedTasksPayload",
        Rule::WithObject,
        "deletedTaskIds hasMore",
    ),
    ("DeleteAccountPayload", Rule::WithObject, "deletedUserId"),
    ("DeleteScorePayload", Rule::WithObject, "deletedScoreId"),
    ("DeleteTaskPayload", Rule::WithObject, "deletedTaskId"),
    ("DeleteUserPayload", Rule::WithObject, "deletedUserId"),
    (
        "ErrorInfo",
        Rule::WithObject,
        "code description isRetryable",
    ),
    (
        "Developer",
        Rule::WithObject,
        "login name avatarUrl url bio company location email blog publicRepositories followers following createdAt fetchedAt isStale",
    ),
    ("GithubActor", Rule::WithObject, "login avatarUrl url"),
    (
        "GithubEvent",
        Rule::WithObject,
        "id type action actor repositoryOwner repositoryName occurredAt",
    ),
    (
        "GithubEventConnection",
        Rule::WithObject,
        "edges nodes pageInfo fetchedAt isStale",
    ),
    ("GithubEventEdge", Rule::WithObject, "cursor node"),
    ("Grade", Rule::WithObject, "criterion grade comment"),
    ("GradeCount", Rule::WithObject, "grade count"),
    ("Language", Rule::WithObject, "name color slug"),
    ("License", Rule::WithObject, "name spdxId"),
    ("LinkGithubPayload", Rule::WithObject, "user"),
    ("LinkWechatPayload", Rule::WithObject, "user"),
    ("LogoutPayload", Rule::WithObject, "endedSessions"),
    ("Mutation", Rule::Public, "login register refreshSession"),
    (
        "Mutation",
        Rule::Admin,
        "updateUser deleteUser createRubric updateRubric deleteScore",
    ),
    (
        "Mutation",
        Rule::SignedIn,
        "logout revokeSession changePassword updateProfile linkWechat unlinkWechat linkGithub unlinkGithub bindPhoneNumber deleteAccount submitScore createTask updateTask deleteTask completeTasks deleteCompletedTasks markNotificationsRead recordSubscribeConsent",
    ),
    (
        "MarkNotificationsReadPayload",
        Rule::WithObject,
        "readCount",
    ),
    (
        "Notification",
        Rule::WithObject,
        "id kind title body task createdAt readAt delivery",
    ),
    (
        "NotificationConnection",
        Rule::WithObject,
        "edges nodes pageInfo totalCount",
    ),
    ("NotificationEdge", Rule::WithObject, "cursor node"),
    (
        "PageInfo",
        Rule::WithObject,
        "hasNextPage hasPreviousPage startCursor endCursor",
    ),
    (
        "PopularRepository",
        Rule::WithObject,
        "owner name description url",
    ),
    (
        "Query",
        Rule::Public,
        "viewer usernameAvailable errorCatalog node rubric rubrics languages trendingRepositories trendingDevelopers repository developer searchRepositories",
    ),
    ("Query", Rule::Admin, "user users auditEvents"),
    (
        "Query",
        Rule::SignedIn,
        "score scores task tasks taskChanges",
    ),
    (
        "Readme",
        Rule::WithObject,
        "text path baseUrl imageBaseUrl isTruncated",
    ),
    ("RecordSubscribeConsentPayload", Rule::WithObject, "credits"),
    (
        "Repository",
        Rule::WithObject,
        "owner name fullName description homepageUrl url language license stars forks watchers openIssues topics defaultBranch isFork isArchived createdAt updatedAt pushedAt readme fetchedAt isStale",
    ),
    (
        "RepositoryConnection",
        Rule::WithObject,
        "edges nodes pageInfo totalCount isIncomplete fetchedAt isStale",
    ),
    ("RepositoryEdge", Rule::WithObject, "cursor node"),
    ("RevokeSessionPayload", Rule::WithObject, "revokedSessionId"),
    ("Rubric", Rule::Results, "summary"),
    (
        "Rubric",
        Rule::WithObject,
        "id slug title description criteria state opensAt closesAt submissionPolicy editWindowMinutes aggregation isResultPublic createdAt viewerScore",
    ),
    (
        "RubricConnection",
        Rule::WithObject,
        "edges nodes pageInfo totalCount",
    ),
    ("RubricEdge", Rule::WithObject, "cursor node"),
    ("RubricPayload", Rule::WithObject, "rubric"),
    ("Score", Rule::OwnerOrAdmin, "submittedBy"),
    (
        "Score",
        Rule::WithObject,
        "id rubric accountNumber grades total submittedAt updatedAt",
    ),
    (
        "ScoreConnection",
        Rule::WithObject,
        "edges nodes pageInfo totalCount",
    ),
    ("ScoreEdge", Rule::WithObject, "cursor node"),
    (
        "ScoreSummary",
        Rule::WithObject,
        "count total median criteria",
    ),
    ("ScoreSubmitted", Rule::WithObject, "score summary"),
    (
        "Session",
        Rule::WithObject,
        "id createdAt lastUsedAt expiresAt userAgent isCurrent",
    ),
    ("SubmitScorePayload", Rule::WithObject, "score message"),
    (
        "SubscribeCredit",
        Rule::WithObject,
        "appId templateId remaining",
    ),
    ("Subscription", Rule::SignedIn, "scoreSubmitted taskChanged"),
    (
        "Task",
        Rule::WithObject,
        "id title notes status priority tags dueAt remindAt completedAt isOverdue version owner createdAt updatedAt",
    ),
    ("TaskChange", Rule::WithObject, "kind taskId task"),
    (
        "TaskChangeFeed",
        Rule::WithObject,
        "changes syncToken hasMore isFullResync",
    ),
    (
        "TaskConnection",
        Rule::WithObject,
        "edges nodes pageInfo totalCount",
    ),
    ("TaskEdge", Rule::WithObject, "cursor node"),
    ("TaskPayload", Rule::WithObject, "task"),
    (
        "TrendingDeveloper",
        Rule::WithObject,
        "rank login name avatarUrl popularRepository",
    ),
    (
        "TrendingDevelopers",
        Rule::WithObject,
        "items fetchedAt isStale",
    ),
    (
        "TrendingRepositories",
        Rule::WithObject,
        "items fetchedAt isStale",
    ),
    (
        "TrendingRepository",
        Rule::WithObject,
        "owner name url description language stars forks starsInPeriod builtBy repository",
    ),
    ("UpdateProfilePayload", Rule::WithObject, "user"),
    ("UpdateUserPayload", Rule::WithObject, "user"),
    ("User", Rule::OwnerOrAdmin, "email phoneNumber githubLogin"),
    (
        "User",
        Rule::Owner,
        "sessions notifications subscribeCredits githubEvents",
    ),
    (
        "User",
        Rule::WithObject,
        "id username displayName avatarUrl role isDisabled hasPassword isWechatLinked createdAt",
    ),
    (
        "UserConnection",
        Rule::WithObject,
        "edges nodes pageInfo totalCount",
    ),
    ("UserEdge", Rule::WithObject, "cursor node"),
];

fn rules() -> BTreeMap<(&'static str, &'static str), Rule> {
    let all = RULES.iter().flat_map(|(name, rule, fields)| {
        fields.split(' ').map(move |field| ((*name, field), *rule))
    });
    let number = RULES
        .iter()
        .map(|(.., fields)| fields.split(' ').count())
        .sum::<usize>();
    let rules: BTreeMap<_, _> = all.collect();
    assert_eq!(rules.len(), number, "a field has two rules");
    rules
}

/// Type -> field -> named type of the value.
fn fields() -> BTreeMap<String, BTreeMap<String, String>> {
    let document = parse_schema(sdl()).expect("the schema parses");
    let mut types = BTreeMap::new();
    for definition in document.definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && let TypeKind::Object(object) = definition.node.kind
        {
            let named = |ty: String| ty.trim_matches(|c| matches!(c, '[' | ']' | '!')).to_owned();
            let fields = object.fields.into_iter().map(|f| {
                (
                    f.node.name.node.to_string(),
                    named(f.node.ty.node.to_string()),
                )
            });
            types.insert(definition.node.name.node.to_string(), fields.collect());
        }
    }
    types
}

/// Every field of a type that can be selected without arguments, objects by their type's name only.
fn selection(name: &str) -> String {
    let types = fields();
    let parts = types[name]
        .iter()
        .map(|(field, ty)| match types.contains_key(ty) {
            // What hangs on an object as a list of its own shows whether there is anything.
            true if ty.ends_with("Connection") => format!("{field} {{ nodes {{ __typename }} }}"),
            true => format!("{field} {{ __typename }}"),
            false => field.clone(),
        });
    parts.collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Anonymous,
    Owner,
    Other,
    Admin,
}

const ROLES: [Role; 4] = [Role::Anonymous, Role::Owner, Role::Other, Role::Admin];

/// Queries with `{ F }` in place of the fields, and who gets to the thing by them.
type Paths = Vec<(String, &'static [Role])>;

/// The reply of one transport.
async fn ask(app: &TestApp, client: &Client, over_socket: bool, query: &str) -> Value {
    if !over_socket {
        return client.ask(query).await.body;
    }
    let payload = match client.has_token() {
        true => json!({"authorization": format!("Bearer {}", client.token())}),
        false => json!({}),
    };
    let mut socket = Socket::init(app, payload).await;
    socket.subscribe("1", query).await;
    let payload = match socket.next().await {
        Ok(message) => message["payload"].clone(),
        // The field ended the session that the socket belongs to.
        Err(code) => json!({"closed": code}),
    };
    // A request that is not executed is answered with its errors alone.
    match payload.is_array() {
        true => json!({"errors": payload}),
        false => payload,
    }
}

fn has_code(reply: &Value, code: &str) -> bool {
    let errors = reply["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .any(|error| error["extensions"]["code"] == code)
}

/// The object of this id, wherever it stands in a reply.
fn find<'a>(value: &'a Value, id: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) if fields.get("id").is_some_and(|found| found == id) => Some(value),
        Value::Object(fields) => fields.values().find_map(|field| find(field, id)),
        Value::Array(items) => items.iter().find_map(|item| find(item, id)),
        _ => None,
    }
}

once! {
    async fn every_field_has_a_rule(){
        let declared: BTreeSet<String> = rules().keys().map(|(name, field)| format!("{name}.{field}")).collect();
        let there: BTreeSet<String> = fields().iter().flat_map(|(name, fields)| fields.keys().map(move |field| format!("{name}.{field}"))).collect();
        let missing: Vec<_> = there.difference(&declared).collect();
        let stale: Vec<_> = declared.difference(&there).collect();
        assert!(missing.is_empty() && stale.is_empty(), "without a rule: {missing:?}; gone: {stale:?}");
    }
}

on_each_database! {
    async fn each_root_field_is_open_to_those_it_says(app) {
        let mut admins = 0;
        for (root, kind) in [("Query", "query"), ("Mutation", "mutation"), ("Subscription", "subscription")] {
            for (field, ty) in &fields()[root] {
                let rule = rules()[&(root, field.as_str())];
                let selection = if fields().contains_key(ty) || ty == "Node" { "{ __typename }" } else { "" };
                let query = format!("{kind} {{ {field}{} {selection} }}", arguments(field));
                for role in ROLES {
                    for over_socket in [false, true] {
                        if kind == "subscription" && (!over_socket || role != Role::Anonymous) {
                            // There is nothing to see until something happens; the refusal comes at once.
                            continue;
                        }
                        // Somebody new each time: some fields end sessions or accounts.
                        admins += 1;
                        let client = match role {
                            Role::Anonymous => app.anonymous(),
                            Role::Admin => app.admin(&format!("admin{admins}")).await,
                            _ => app.user(&format!("user{admins}")).await,
                        };
                        let reply = ask(app, &client, over_socket, &query).await;
                        let context = format!("{query} by {role:?}, socket: {over_socket}: {reply}");
                        let unauthenticated = rule != Rule::Public && role == Role::Anonymous;
                        // A refresh token that we never gave is refused with the same code.
                        if field != "refreshSession" {
                            assert_eq!(has_code(&reply, "UNAUTHENTICATED"), unauthenticated, "{context}");
                        }
                        let forbidden = rule == Rule::Admin && matches!(role, Role::Owner | Role::Other);
                        assert_eq!(has_code(&reply, "FORBIDDEN"), forbidden, "{context}");
                        assert!(!has_code(&reply, "INTERNAL_SERVER_ERROR"), "{context}");
                    }
                }
            }
        }
    }

    async fn each_thing_shows_its_fields_to_those_it_says(app) {
        let (owner, other, admin) = (app.registered("owner").await, app.registered("other").await, app.admin("boss").await);
        owner.ask("mutation { updateProfile(input: {email: \"owner@example.com\"}) { user { id } } }").await.data();
        owner.ask("mutation { bindPhoneNumber(input: {code: \"sim-phone13800138000-1\"}) { user { id } } }").await.data();
        owner.ask("mutation { linkGithub(input: {token: \"ghp_sim_ada\"}) { user { id } } }").await.data();
        let id = |value: &Value| value.as_str().expect("an id").to_owned();
        let task = id(&owner.ask("mutation { createTask(input: {title: \"Findme\", tags: [\"findme\"], remindAt: \"2026-01-01T00:00:00Z\"}) { task { id } } }").await.data()["createTask"]["task"]["id"]);
        let score = owner.ask("mutation { submitScore(input: {accountNumber: \"13912345678\", grades: [
            {criterion: \"grade1\", grade: 5}, {criterion: \"grade2\", grade: 4}, {criterion: \"grade3\", grade: 3}]}) { score { id } } }").await;
        let score = id(&score.data()["submitScore"]["score"]["id"]);
        let session = id(&owner.ask("{ viewer { sessions { id } } }").await.data()["viewer"]["sessions"][0]["id"]);
        let event = admin.run("query($id: ID!) { auditEvents(filter: {userId: $id}) { nodes { id } } }", json!({"id": owner.user_id})).await;
        let event = id(&event.data()["auditEvents"]["nodes"][0]["id"]);
        let notification = loop {
            let inbox = owner.ask("{ viewer { notifications { nodes { id } } } }").await;
            if let Some(first) = inbox.data()["viewer"]["notifications"]["nodes"].get(0) {
                break id(&first["id"]);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let user = owner.user_id.clone();
        // Type, id, the paths to it with their callers who get there.
        const MINE: &[Role] = &[Role::Owner];
        const BOSS: &[Role] = &[Role::Admin];
        const BOTH: &[Role] = &[Role::Owner, Role::Admin];
        let (mine, boss, both) = (MINE, BOSS, BOTH);
        let things: Vec<(&str, &str, Paths)> = vec![
            ("User", &user, vec![
                ("viewer { F }".to_owned(), mine),
                (format!("node(id: \"{user}\") {{ ... on User {{ F }} }}"), both),
                (format!("user(id: \"{user}\") {{ F }}"), boss),
                ("users(search: \"owner\") { nodes { F } }".to_owned(), boss),
                (format!("users(search: \"{user}\") {{ edges {{ node {{ F }} }} }}"), boss),
                (format!("task(id: \"{task}\") {{ owner {{ F }} }}"), mine),
                ("tasks { nodes { owner { F } } }".to_owned(), mine),
                (format!("score(id: \"{score}\") {{ submittedBy {{ F }} }}"), both),
                (format!("scores(filter: {{submittedBy: \"{user}\"}}) {{ nodes {{ submittedBy {{ F }} }} }}"), both),
                (format!("node(id: \"{score}\") {{ ... on Score {{ submittedBy {{ F }} }} }}"), both),
                (format!("auditEvents(filter: {{userId: \"{user}\"}}) {{ nodes {{ actor {{ F }} }} }}"), boss),
                (format!("node(id: \"{event}\") {{ ... on AuditEvent {{ actor {{ F }} }} }}"), boss),
            ]),
            ("Task", &task, vec![
                (format!("task(id: \"{task}\") {{ F }}"), mine),
                (format!("node(id: \"{task}\") {{ ... on Task {{ F }} }}"), mine),
                ("tasks(first: 100) { nodes { F } }".to_owned(), mine),
                ("tasks(filter: {search: \"findme\"}) { edges { node { F } } }".to_owned(), mine),
                ("tasks(filter: {tag: \"findme\"}) { nodes { F } }".to_owned(), mine),
            ]),
            ("Score", &score, vec![
                (format!("score(id: \"{score}\") {{ F }}"), both),
                (format!("node(id: \"{score}\") {{ ... on Score {{ F }} }}"), both),
                ("scores { nodes { F } }".to_owned(), both),
                (format!("scores(filter: {{submittedBy: \"{user}\"}}) {{ edges {{ node {{ F }} }} }}"), both),
                ("scores(filter: {accountNumber: \"13912345678\"}) { nodes { F } }".to_owned(), both),
            ]),
    ("Session", &session, vec![
                ("viewer { sessions { F } }".to_owned(), mine),
                (format!("node(id: \"{session}\") {{ ... on Session {{ F }} }}"), mine),
                (format!("user(id: \"{user}\") {{ sessions {{ F }} }}"), &[]),
                ("users { nodes { sessions { F } } }".to_owned(), &[]),
                (format!("score(id: \"{score}\") {{ submittedBy {{ sessions {{ F }} }} }}"), mine),
            ]),
            ("Notification", &notification, vec![
                ("viewer { notifications { nodes { F } } }".to_owned(), mine),
                ("viewer { notifications(isRead: false) { edges { node { F } } } }".to_owned(), mine),
                (format!("node(id: \"{notification}\") {{ ... on Notification {{ F }} }}"), mine),
                (format!("user(id: \"{user}\") {{ notifications {{ nodes {{ F }} }} }}"), &[]),
                ("users { nodes { notifications { nodes { F } } } }".to_owned(), &[]),
                (format!("score(id: \"{score}\") {{ submittedBy {{ notifications {{ nodes {{ F }} }} }} }}"), mine),
            ]),
            ("AuditEvent", &event, vec![
                (format!("node(id: \"{event}\") {{ ... on AuditEvent {{ F }} }}"), boss),
                ("auditEvents { nodes { F } }".to_owned(), boss),
                (format!("auditEvents(filter: {{userId: \"{user}\"}}) {{ edges {{ node {{ F }} }} }}"), boss),
            ]),
        ];
        for (name, id, paths) in &things {
            for (path, seen_by) in paths {
                let query = format!("{{ {} }}", path.replace("{ F }", &format!("{{ {} }}", selection(name))));
                for role in ROLES {
                    let client = match role {
                        Role::Anonymous => app.anonymous(),
                        Role::Owner => owner.clone(),
                        Role::Other => other.clone(),
                        Role::Admin => admin.clone(),
                    };
                    for over_socket in [false, true] {
                        let reply = ask(app, &client, over_socket, &query).await;
                        let context = format!("{query} by {role:?}, socket: {over_socket}: {reply}");
                        let found = find(&reply["data"], id);
                        assert_eq!(found.is_some(), seen_by.contains(&role), "{context}");
                        let Some(found) = found else {
                            for secret in ["owner@example.com", "13800138000", "13912345678", "Findme"] {
                                assert!(!reply["data"].to_string().contains(secret), "{context}");
                            }
                            continue;
                        };
                        assert_eq!(reply.get("errors"), None, "{context}");
                        for field in fields()[*name].keys() {
                            match rules()[&(*name, field.as_str())] {
                                Rule::OwnerOrAdmin => assert!(!found[field].is_null(), "{field}: {context}"),
                                Rule::Owner => {
                                    let is_empty = found[field] == json!([]) || found[field].is_null() || found[field]["nodes"] == json!([]);
                                    assert_eq!(!is_empty, role == Role::Owner, "{field}: {context}");
                                }
                                _ => {}
                            }
                        }
                    }
                }
            }
        }
    }
}
