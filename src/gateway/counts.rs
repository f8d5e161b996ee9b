//! What stands in the text of a document, whether it is used or not.

use std::collections::HashMap;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

/// How often each variable stands in the text.
pub fn variable_uses(document: &ExecutableDocument) -> HashMap<String, u32> {
    count(document).variables
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) aliases: u32,
    pub(crate) directives: u32,
    pub(crate) variables: HashMap<String, u32>,
}

/// What stands in the text, whether it is used or not.
pub(crate) fn count(document: &ExecutableDocument) -> Counts {
    let mut counts = Counts::default();
    let operations: Vec<_> = match &document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values().collect(),
    };
    for operation in operations {
        let operation = &operation.node;
        counts.add_directives(&operation.directives);
        for definition in &operation.variable_definitions {
            counts.add_directives(&definition.node.directives);
        }
        counts.add_selections(&operation.selection_set.node);
    }
    for fragment in document.fragments.values() {
        counts.add_directives(&fragment.node.directives);
        counts.add_selections(&fragment.node.selection_set.node);
    }
    counts
}

impl Counts {
    fn add_directives(&mut self, directives: &[Positioned<Directive>]) {
        self.directives = self
            .directives
            .saturating_add(u32::try_from(directives.len()).unwrap_or(u32::MAX));
        for directive in directives {
            self.add_arguments(&directive.node.arguments);
        }
    }

    fn add_arguments(&mut self, arguments: &[(Positioned<Name>, Positioned<Value>)]) {
        for (_, value) in arguments {
            self.add_value(&value.node);
        }
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::Variable(name) => *self.variables.entry(name.to_string()).or_default() += 1,
            Value::List(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(fields) => fields.values().for_each(|value| self.add_value(value)),
            _ => {}
        }
    }

    fn add_selections(&mut self, selections: &SelectionSet) {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    self.aliases += u32::from(field.node.alias.is_some());
                    self.add_arguments(&field.node.arguments);
                    self.add_directives(&field.node.directives);
                    self.add_selections(&field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    self.add_directives(&fragment.node.directives);
                    self.add_selections(&fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => self.add_directives(&spread.node.directives),
            }
        }
    }
}
