//! Subscriptions select one field (the specification's single root field).

use std::collections::HashSet;

use async_graphql::Positioned;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql_value::Value;

use crate::gateway::refusal::invalid;
use crate::graphql::error::ApiError;

/// Checks that each subscription of a document selects one field, which may stand in fragments, and
/// there several times. The document's fragments do not contain themselves.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED.
pub fn check(document: &ExecutableDocument) -> Result<(), ApiError> {
    for (_, operation) in document.operations.iter() {
        if operation.node.ty != OperationType::Subscription {
            continue;
        }
        let mut roots = Roots {
            document,
            response_names: HashSet::new(),
            has_introspection: false,
        };
        roots.collect(&operation.node.selection_set.node);
        if roots.response_names.len() > 1 || roots.has_introspection {
            return Err(invalid(
                "订阅必须且只能选择一个根字段，且不能是内省字段。",
                "A subscription selects exactly one field, and not one of the introspection.",
            )
            .at(operation.pos));
        }
    }
    Ok(())
}

struct Roots<'a> {
    document: &'a ExecutableDocument,
    response_names: HashSet<&'a str>,
    has_introspection: bool,
}

impl<'a> Roots<'a> {
    /// What a condition leaves out whatever the variables is not counted.
    fn collect(&mut self, set: &'a SelectionSet) {
        for selection in &set.items {
            let mut directives = selection.node.directives().iter();
            let is_left_out = directives.any(|directive| {
                let directive = &directive.node;
                let condition = directive.get_argument("if").map(|value| &value.node);
                match directive.name.node.as_str() {
                    "skip" => condition == Some(&Value::Boolean(true)),
                    "include" => condition == Some(&Value::Boolean(false)),
                    _ => false,
                }
            });
            if is_left_out {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.response_names
                        .insert(field.response_key().node.as_str());
                    self.has_introspection |= field.name.node.starts_with("__");
                }
                Selection::InlineFragment(fragment) => {
                    self.collect(&fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = self.document.fragments.get(name);
                    if let Some(Positioned { node, .. }) = fragment {
                        let FragmentDefinition { selection_set, .. } = node;
                        self.collect(&selection_set.node);
                    }
                }
            }
        }
    }
}
