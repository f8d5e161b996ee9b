//! The schema's text: true, described, and closed to the anonymous.

use std::collections::BTreeMap;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, TypeKind, TypeSystemDefinition};
use serde_json::json;
use wegraph::graphql::error::ErrorCode;
use wegraph::graphql::fields::{Class, FieldFacts};
use wegraph::schema::{FIELDS, sdl};

use crate::harness::{on_each_database, once};

/// What is known of fields.
fn facts() -> impl Iterator<Item = &'static FieldFacts> {
    FIELDS.iter().copied().flatten()
}

/// Arguments that make each root field valid.
pub(crate) fn arguments(field: &str) -> &'static str {
    match field {
        "node" | "task" | "score" | "user" => "(id: \"01890000-0000-7000-8000-000000000000\")",
        "rubric" => "(slug: \"default\")",
        "usernameAvailable" => "(username: \"lin\")",
        "login" => "(input: {password: {username: \"nobody\", password: \"x\"}})",
        "register" => "(input: {username: \"lin\", password: \"Tr4verse-it\"})",
        "refreshSession" => "(input: {refreshToken: \"x\"})",
        "scoreSubmitted" => "(rubric: \"default\")",
        "submitScore" => "(input: {accountNumber: \"12345\", grades: []})",
        "createTask" => "(input: {title: \"x\"})",
        "createRubric" => "(input: {slug: \"x\", title: \"x\", criteria: []})",
        "updateRubric" | "deleteScore" | "updateTask" | "deleteTask" | "revokeSession"
        | "updateUser" | "deleteUser" => "(input: {id: \"x\"})",
        "changePassword" => "(input: {newPassword: \"x\"})",
        "updateProfile" | "deleteAccount" | "markNotificationsRead" => "(input: {})",
        "repository" => "(owner: \"ada\", name: \"brackets\")",
        "developer" => "(login: \"ada\")",
        "searchRepositories" => "(query: \"todo\")",
        "linkGithub" => "(input: {token: \"x\"})",
        "linkWechat" | "bindPhoneNumber" => "(input: {code: \"x\"})",
        "completeTasks" => "(input: {ids: []})",
        "recordSubscribeConsent" => "(input: {id: \"x\", answers: []})",
        _ => "",
    }
}

/// Name -> type of the fields of a root type.
fn root_fields(root: &str) -> BTreeMap<String, String> {
    let document = parse_schema(sdl()).expect("the schema parses");
    for definition in document.definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && definition.node.name.node == root
            && let TypeKind::Object(object) = definition.node.kind
        {
            return object
                .fields
                .into_iter()
                .map(|f| (f.node.name.node.to_string(), f.node.ty.node.to_string()))
                .collect();
        }
    }
    panic!("no type {root}");
}

once! {
    async fn what_a_client_makes_the_id_of_says_in_which_case_it_comes_back() {
        let document = parse_schema(sdl()).expect("the schema parses");
        let mut described = Vec::new();
        for definition in document.definitions {
            if let TypeSystemDefinition::Type(definition) = definition
                && let TypeKind::InputObject(input) = definition.node.kind
            {
                let id = input.fields.into_iter().find(|field| field.node.name.node == "id");
                let description = id.and_then(|id| id.node.description).map(|text| text.node).unwrap_or_default();
                if description.contains("made by the client") {
                    assert!(description.contains("lower case"), "{description}");
                    described.push(definition.node.name.node.to_string());
                }
            }
        }
        described.sort();
        assert_eq!(described, ["CreateRubricInput", "CreateTaskInput", "RecordSubscribeConsentInput", "SubmitScoreInput"]);
    }
}

on_each_database! {
    async fn every_root_field_is_public_or_refuses_the_anonymous(app) {
        for (operation, root) in [("query", "Query"), ("mutation", "Mutation")] {
            for (field, type_name) in root_fields(root) {
                let is_leaf = matches!(type_name.trim_end_matches('!'), "Boolean" | "Int" | "String" | "ID");
                let selection = if is_leaf { "" } else { "{ __typename }" };
                let query = format!("{operation} {{ {field}{} {selection} }}", arguments(&field));
                let reply = app.anonymous().run(&query, json!({})).await;
                let codes = reply.body["errors"].to_string();
                assert!(!codes.contains("GRAPHQL_VALIDATION_FAILED"), "{query}: {codes}");
                let is_refused = codes.contains("\"UNAUTHENTICATED\"");
                let is_public = facts().any(|facts| facts.parent == root && facts.name == field && facts.is_public);
                // A refresh token that we never gave is refused with the same code.
                assert!(is_refused != is_public || field == "refreshSession", "{query}: {codes}");
            }
        }
    }

    async fn the_introspection_tells_of_these_fields_and_no_others(app) {
        for asked in ["__schema { queryType { fields { name } } }", "viewer { id } ... { __schema { queryType { fields { name } } } }"] {
            let reply = app.anonymous().run(&format!("{{ {asked} }}"), json!({})).await;
            let fields = reply.data()["__schema"]["queryType"]["fields"].as_array().expect("fields");
            let mut told: Vec<_> = fields.iter().filter_map(|field| field["name"].as_str()).collect();
            told.sort_unstable();
            assert_eq!(told, root_fields("Query").keys().collect::<Vec<_>>());
        }
        let reply = app.anonymous().run("{ _service { sdl } }", json!({})).await;
        assert_eq!(reply.code(), "GRAPHQL_VALIDATION_FAILED");
    }
}

/// Type, name and the rest of each field of an object.
fn object_fields() -> Vec<(String, FieldDefinition)> {
    let document = parse_schema(sdl()).expect("the schema parses");
    let types = document
        .definitions
        .into_iter()
        .filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some(definition.node),
            _ => None,
        });
    types
        .flat_map(|definition| {
            let fields = match definition.kind {
                TypeKind::Object(object) => object.fields,
                _ => Vec::new(),
            };
            let parent = definition.name.node.to_string();
            fields
                .into_iter()
                .map(move |field| (parent.clone(), field.node))
        })
        .collect()
}

fn named(ty: &str) -> &str {
    ty.trim_matches(['[', ']', '!'])
}

once! {
    async fn every_list_without_pages_says_how_long_it_is() {
        let fields = object_fields();
        let is_paged = |field: &FieldDefinition| field.arguments.iter().any(|a| matches!(a.node.name.node.as_str(), "first" | "last"));
        let pages: Vec<String> = fields.iter().filter(|(_, field)| is_paged(field)).map(|(_, field)| named(&field.ty.node.to_string()).to_owned()).collect();
        let objects: Vec<&String> = fields.iter().map(|(parent, _)| parent).collect();
        let mut found = 0;
        for (parent, field) in &fields {
            let ty = field.ty.node.to_string();
            if !ty.starts_with('[') || !objects.iter().any(|object| *object == named(&ty)) || pages.contains(parent) {
                continue;
            }
            found += 1;
            let name = field.name.node.as_str();
            let facts = facts().find(|facts| facts.parent == parent && facts.name == name);
            assert!(facts.is_some_and(|facts| facts.entries.is_some()), "{parent}.{name} has no estimate");
        }
        assert!(found > 10, "{found}");
    }

    async fn every_count_and_every_question_to_a_server_has_its_price() {
        let fields = object_fields();
        for (parent, field) in &fields {
            let name = field.name.node.as_str();
            let facts = facts().find(|facts| facts.parent == parent && facts.name == name);
            let is_github = field.description.as_ref().is_some_and(|text| text.node.contains("UPSTREAM_UNAVAILABLE"));
            let is_of_github = parent == "RepositoryConnection";
            if ((name == "totalCount" && !is_of_github) || (is_github && parent != "Mutation")) && facts.is_none_or(|facts| facts.extra == 0) {
                panic!("{parent}.{name} has no price");
            }
        }
        for facts in facts() {
            let exists = fields.iter().any(|(parent, field)| parent == facts.parent && field.name.node == facts.name);
            assert!(exists, "{}.{} does not exist", facts.parent, facts.name);
        }
    }

    async fn the_settings_name_what_counts_as_signing_in() {
        let root = env!("CARGO_MANIFEST_DIR");
        for file in ["README.md", "README.zh-CN.md", "config/default.toml"] {
            let text = std::fs::read_to_string(format!("{root}/{file}")).expect(file);
            let line = match file.strip_suffix(".toml") {
                None => text.lines().find(|line| line.starts_with("| `rate_limit.auth_per_address`")),
                Some(_) => text.split("[rate_limit]").nth(1).and_then(|section| section.split("auth_per_address").next()),
            };
            let line = line.expect("the setting");
            let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric()).collect();
            let mutations = object_fields().into_iter().filter(|(parent, _)| matches!(parent.as_str(), "Mutation" | "Query"));
            for (parent, field) in mutations {
                let name = field.name.node.as_str();
                let class = facts().find(|facts| facts.parent == parent && facts.name == name).map_or(Class::Plain, |facts| facts.class);
                assert_eq!(words.contains(&name), class != Class::Plain, "{file}: {name}");
            }
        }
    }

    async fn the_committed_file_is_the_schema(){
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
        let committed = std::fs::read_to_string(path).expect("schema.graphql");
        assert!(committed == sdl(), "schema.graphql has drifted: run `cargo run -- schema > schema.graphql`");
    }

    async fn everything_has_a_description_that_says_something(){
        let document = parse_schema(sdl()).expect("the schema parses");
        let mut poor = Vec::new();
        let mut check = |name: String, description: Option<&str>| {
            let text = description.unwrap_or_default().trim();
            let is_sentence = text.chars().next().is_some_and(|c| !c.is_lowercase()) && text.contains(' ') && text.ends_with('.');
            if !is_sentence {
                poor.push(format!("{name}: {text:?}"));
            }
        };
        for definition in &document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let definition = &definition.node;
            let name = &definition.name.node;
            check(name.to_string(), definition.description.as_ref().map(|d| d.node.as_str()));
            let fields = match &definition.kind {
                TypeKind::Object(object) => &object.fields,
                TypeKind::Interface(interface) => &interface.fields,
                TypeKind::Enum(values) => {
                    for value in &values.values {
                        let description = value.node.description.as_ref().map(|d| d.node.as_str());
                        check(format!("{name}.{}", value.node.value.node), description);
                    }
                    continue;
                }
                TypeKind::InputObject(input) => {
                    for field in &input.fields {
                        let description = field.node.description.as_ref().map(|d| d.node.as_str());
                        check(format!("{name}.{}", field.node.name.node), description);
                    }
                    continue;
                }
                _ => continue,
            };
            for field in fields {
                let field = &field.node;
                check(format!("{name}.{}", field.name.node), field.description.as_ref().map(|d| d.node.as_str()));
                for argument in &field.arguments {
                    let description = argument.node.description.as_ref().map(|d| d.node.as_str());
                    check(format!("{name}.{}({})", field.name.node, argument.node.name.node), description);
                }
            }
        }
        assert!(poor.is_empty(), "{poor:#?}");
    }

    async fn both_readmes_list_every_setting(){
        let root = env!("CARGO_MANIFEST_DIR");
        let read = |name: &str| std::fs::read_to_string(format!("{root}/{name}")).expect("a file");
        let mut section = String::new();
        let mut names = Vec::new();
        for line in read("config/default.toml").lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = format!("{}.", name.trim_end_matches(']'));
            } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
                names.push(format!("{section}{name}"));
            }
        }
        assert!(names.len() > 50, "{names:?}");
        for readme in ["README.md", "README.zh-CN.md"] {
            let text = read(readme);
            for name in &names {
                let variable = name.to_uppercase().replace('.', "__");
                let row = format!("| `{name}` | `WEGRAPH_{variable}` |");
                assert!(text.contains(&row), "{readme} lacks the row {row}");
            }
        }
    }

    async fn the_documentation_lists_every_error_code(){
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
        let text = std::fs::read_to_string(path).expect("docs/errors.md");
        for code in ErrorCode::ALL {
            let row = format!("| `{}` | {} |", code.as_str(), if code.is_retryable() { "yes" } else { "no" });
            assert!(text.contains(&row), "docs/errors.md lacks the row {row}");
        }
    }
}
