//! What apollo-compiler reads and what the executor gets are the same document: written out and read again, it is equal.
#![no_main]

use std::fmt::Write;

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, Document, Selection, Value};
use async_graphql::Positioned;
use async_graphql::parser::types::{self, DocumentOperations, ExecutableDocument};
use libfuzzer_sys::fuzz_target;

/// The server's modules that the conversion needs, and nothing of what those would bring along.
#[path = "../../src/gateway"]
mod gateway {
    pub mod leniency;
    #[expect(dead_code, reason = "the server uses the rest")]
    pub mod places;
    #[expect(dead_code, reason = "the server uses the rest")]
    pub mod precheck;
    pub mod syntax;

    /// Errors are not looked at here.
    pub mod refusal {
        use crate::graphql::error::ApiError;

        pub fn invalid(_: impl Into<String>, _: impl Into<String>) -> ApiError {
            ApiError
        }

        pub fn syntax_error(_: async_graphql::Pos) -> ApiError {
            ApiError
        }
    }
}
mod graphql {
    pub mod error {
        pub struct ApiError;

        impl ApiError {
            pub fn at(self, _: async_graphql::Pos) -> Self {
                self
            }
        }
    }
}

use gateway::places::Places;
use gateway::precheck::{blanked, scan_query};
use gateway::syntax::{convert, parse};

const NESTING: usize = 32;

fuzz_target!(|text: &str| {
    if scan_query(text, 1000, NESTING).is_err() {
        return;
    }
    let blank = blanked(text).text;
    assert_eq!(blank.len(), text.len(), "places stay what they are");
    let places = Places::new(text);
    let Ok(read) = parse(text, &places, NESTING) else {
        return;
    };
    let Ok(executable) = convert(&read, &places) else {
        return;
    };
    let written = document(&executable);
    let again = parse(&written, &Places::new(&written), NESTING).ok();
    let again = again.unwrap_or_else(|| panic!("cannot be read: {written}"));
    assert!(
        canonical(&read) == canonical(&again),
        "{text}\nbecame\n{written}"
    );
});

/// The definitions in the order of their names, numbers as JSON has them.
fn canonical(document: &Document) -> Vec<String> {
    let mut definitions = document.definitions.clone();
    for definition in &mut definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let operation = operation.make_mut();
                for variable in &mut operation.variables {
                    let variable = variable.make_mut();
                    variable.default_value.iter_mut().for_each(number);
                    directives(&mut variable.directives);
                }
                directives(&mut operation.directives);
                operation.selection_set.iter_mut().for_each(selection);
            }
            Definition::FragmentDefinition(fragment) => {
                let fragment = fragment.make_mut();
                directives(&mut fragment.directives);
                fragment.selection_set.iter_mut().for_each(selection);
            }
            _ => {}
        }
    }
    let mut texts: Vec<_> = definitions.iter().map(|one| one.to_string()).collect();
    texts.sort();
    texts
}

fn selection(selected: &mut Selection) {
    match selected {
        Selection::Field(field) => {
            let field = field.make_mut();
            for argument in &mut field.arguments {
                number(&mut argument.make_mut().value);
            }
            directives(&mut field.directives);
            field.selection_set.iter_mut().for_each(selection);
        }
        Selection::FragmentSpread(spread) => directives(&mut spread.make_mut().directives),
        Selection::InlineFragment(fragment) => {
            let fragment = fragment.make_mut();
            directives(&mut fragment.directives);
            fragment.selection_set.iter_mut().for_each(selection);
        }
    }
}

fn directives(list: &mut apollo_compiler::ast::DirectiveList) {
    for directive in &mut list.0 {
        for argument in &mut directive.make_mut().arguments {
            number(&mut argument.make_mut().value);
        }
    }
}

fn number(value: &mut Node<Value>) {
    match value.make_mut() {
        Value::List(items) => items.iter_mut().for_each(number),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| number(value)),
        value @ (Value::Int(_) | Value::Float(_)) => {
            let text = value.to_string();
            let number = match text.parse::<i64>() {
                Ok(number) => number.to_string(),
                Err(_) => text
                    .parse::<serde_json::Number>()
                    .expect("it was read")
                    .to_string(),
            };
            *value = Value::String(number);
        }
        _ => {}
    }
}

fn document(document: &ExecutableDocument) -> String {
    let mut text = String::new();
    match &document.operations {
        DocumentOperations::Single(one) => operation(&mut text, "", &one.node),
        DocumentOperations::Multiple(all) => {
            all.iter()
                .for_each(|(name, one)| operation(&mut text, name, &one.node));
        }
    }
    for (name, fragment) in &document.fragments {
        let fragment = &fragment.node;
        let on = &fragment.type_condition.node.on.node;
        write!(text, "fragment {name} on {on}").expect("a string");
        write_directives(&mut text, &fragment.directives);
        write_set(&mut text, &fragment.selection_set.node);
    }
    text
}

fn operation(text: &mut String, name: &str, operation: &types::OperationDefinition) {
    write!(text, "{} {name}", operation.ty).expect("a string");
    if !operation.variable_definitions.is_empty() {
        text.push('(');
        for Positioned { node, .. } in &operation.variable_definitions {
            write!(text, "${}: {}", node.name.node, node.var_type.node).expect("a string");
            if let Some(default) = &node.default_value {
                write!(text, " = {}", default.node).expect("a string");
            }
            write_directives(text, &node.directives);
            text.push(' ');
        }
        text.push(')');
    }
    write_directives(text, &operation.directives);
    write_set(text, &operation.selection_set.node);
}

fn write_set(text: &mut String, set: &types::SelectionSet) {
    if set.items.is_empty() {
        return;
    }
    text.push('{');
    for Positioned { node, .. } in &set.items {
        match node {
            types::Selection::Field(field) => {
                let field = &field.node;
                if let Some(alias) = &field.alias {
                    write!(text, "{}: ", alias.node).expect("a string");
                }
                text.push_str(&field.name.node);
                write_arguments(text, &field.arguments);
                write_directives(text, &field.directives);
                write_set(text, &field.selection_set.node);
            }
            types::Selection::FragmentSpread(spread) => {
                write!(text, "...{}", spread.node.fragment_name.node).expect("a string");
                write_directives(text, &spread.node.directives);
            }
            types::Selection::InlineFragment(fragment) => {
                let fragment = &fragment.node;
                text.push_str("...");
                if let Some(condition) = &fragment.type_condition {
                    write!(text, " on {}", condition.node.on.node).expect("a string");
                }
                write_directives(text, &fragment.directives);
                write_set(text, &fragment.selection_set.node);
            }
        }
        text.push(' ');
    }
    text.push('}');
}

fn write_directives(text: &mut String, directives: &[Positioned<types::Directive>]) {
    for Positioned { node, .. } in directives {
        write!(text, " @{}", node.name.node).expect("a string");
        write_arguments(text, &node.arguments);
    }
}

fn write_arguments(
    text: &mut String,
    arguments: &[(
        Positioned<async_graphql::Name>,
        Positioned<async_graphql_value::Value>,
    )],
) {
    if arguments.is_empty() {
        return;
    }
    text.push('(');
    for (name, value) in arguments {
        write!(text, "{}: {} ", name.node, value.node).expect("a string");
    }
    text.push(')');
}
