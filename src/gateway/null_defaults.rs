//! Null for an input field that has a default means the default, as if the field were absent.
//!
//! GraphQL itself refuses null for `status: TaskStatus! = TODO`. Clients that build their input from a form send null for
//! what is empty, so such nulls are taken out before the request is validated. The schema keeps saying what it says.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    ExecutableDocument, OperationType, Selection, SelectionSet, ServiceDocument, TypeKind,
    TypeSystemDefinition,
};
use async_graphql::{Name, Value as ConstValue, Variables};
use async_graphql_value::Value;

/// The root types; arguments with input objects stand nowhere else in this schema.
const ROOTS: [(OperationType, &str); 2] = [
    (OperationType::Query, "Query"),
    (OperationType::Mutation, "Mutation"),
];

/// Which input fields drop a null, and which input types the arguments of mutations have.
#[derive(Debug, Default)]
pub struct NullDefaults {
    /// Input type -> field -> what is known of it.
    inputs: HashMap<String, HashMap<String, InputField>>,
    /// Root type -> field -> argument -> input type.
    roots: HashMap<String, HashMap<String, HashMap<String, String>>>,
}

#[derive(Debug)]
struct InputField {
    drops_null: bool,
    type_name: String,
}

impl NullDefaults {
    /// Reads the schema once.
    pub fn new(schema: &ServiceDocument) -> Self {
        let mut this = Self::default();
        for definition in &schema.definitions {
            let TypeSystemDefinition::Type(definition) = definition else {
                continue;
            };
            let name = definition.node.name.node.to_string();
            match &definition.node.kind {
                TypeKind::InputObject(input) => {
                    let fields = input.fields.iter().map(|field| {
                        let ty = &field.node.ty.node;
                        let known = InputField {
                            drops_null: field.node.default_value.is_some() && !ty.nullable,
                            type_name: base_name(&ty.to_string()),
                        };
                        (field.node.name.node.to_string(), known)
                    });
                    this.inputs.insert(name, fields.collect());
                }
                TypeKind::Object(object) if ROOTS.iter().any(|(_, root)| *root == name) => {
                    let fields = object
                        .fields
                        .iter()
                        .map(|field| {
                            let arguments = field.node.arguments.iter().map(|argument| {
                                let ty = base_name(&argument.node.ty.node.to_string());
                                (argument.node.name.node.to_string(), ty)
                            });
                            (field.node.name.node.to_string(), arguments.collect())
                        })
                        .collect();
                    this.roots.insert(name, fields);
                }
                _ => {}
            }
        }
        let with_defaults = this.types_with_defaults();
        this.inputs.retain(|name, _| with_defaults.contains(name));
        this
    }

    /// Input types that have such a field, themselves or further down.
    fn types_with_defaults(&self) -> HashSet<String> {
        let mut found = HashSet::new();
        loop {
            let before = found.len();
            for (name, fields) in &self.inputs {
                if fields
                    .values()
                    .any(|f| f.drops_null || found.contains(&f.type_name))
                {
                    found.insert(name.clone());
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// Takes the nulls out of the variables and of the literals in the arguments of the root fields of `document`.
    pub fn apply(&self, document: &mut ExecutableDocument, variables: &mut Variables) {
        for (_, operation) in document.operations.iter() {
            for definition in &operation.node.variable_definitions {
                let type_name = base_name(&definition.node.var_type.node.to_string());
                if let Some(value) = variables.get_mut(&definition.node.name.node) {
                    self.scrub_variable(&type_name, value);
                }
            }
        }
        for (operation, selections) in operations_mut(document) {
            if let Some((_, root)) = ROOTS.iter().find(|(kind, _)| *kind == operation) {
                self.scrub_selections(root, selections, variables);
            }
        }
        for fragment in document.fragments.values_mut() {
            let fragment = &mut fragment.node;
            let root = fragment.type_condition.node.on.node.to_string();
            self.scrub_selections(&root, &mut fragment.selection_set.node, variables);
        }
    }

    fn scrub_selections(
        &self,
        root: &str,
        selections: &mut SelectionSet,
        variables: &mut Variables,
    ) {
        let Some(fields) = self.roots.get(root) else {
            return;
        };
        for selection in &mut selections.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    let Some(arguments) = fields.get(field.node.name.node.as_str()) else {
                        continue;
                    };
                    for (name, value) in &mut field.node.arguments {
                        if let Some(type_name) = arguments.get(name.node.as_str()) {
                            self.scrub_literal(type_name, &mut value.node, variables);
                        }
                    }
                }
                Selection::InlineFragment(fragment) => {
                    self.scrub_selections(root, &mut fragment.node.selection_set.node, variables);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn scrub_variable(&self, type_name: &str, value: &mut ConstValue) {
        let Some(fields) = self.inputs.get(type_name) else {
            return;
        };
        match value {
            ConstValue::List(items) => {
                items
                    .iter_mut()
                    .for_each(|item| self.scrub_variable(type_name, item));
            }
            ConstValue::Object(object) => {
                object.retain(|name, value| {
                    !(*value == ConstValue::Null && drops_null(fields, name))
                });
                for (name, value) in object.iter_mut() {
                    if let Some(field) = fields.get(name.as_str()) {
                        self.scrub_variable(&field.type_name, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// A null in a variable is left in its place and the variable itself taken away, as if it had not been sent: without
    /// any use the declaration of the variable would be an error.
    fn scrub_literal(&self, type_name: &str, value: &mut Value, variables: &mut Variables) {
        let Some(fields) = self.inputs.get(type_name) else {
            return;
        };
        match value {
            Value::List(items) => {
                for item in items {
                    self.scrub_literal(type_name, item, variables);
                }
            }
            Value::Object(object) => {
                object.retain(|name, value| {
                    if !drops_null(fields, name) {
                        return true;
                    }
                    if let Value::Variable(name) = value
                        && variables.get(name) == Some(&ConstValue::Null)
                    {
                        variables.remove(name);
                    }
                    *value != Value::Null
                });
                for (name, value) in object.iter_mut() {
                    if let Some(field) = fields.get(name.as_str()) {
                        self.scrub_literal(&field.type_name, value, variables);
                    }
                }
            }
            _ => {}
        }
    }
}

fn drops_null(fields: &HashMap<String, InputField>, name: &Name) -> bool {
    fields
        .get(name.as_str())
        .is_some_and(|field| field.drops_null)
}

/// `[GradeInput!]!` -> `GradeInput`
fn base_name(type_text: &str) -> String {
    type_text
        .chars()
        .filter(|c| !matches!(c, '[' | ']' | '!'))
        .collect()
}

fn operations_mut(
    document: &mut ExecutableDocument,
) -> impl Iterator<Item = (OperationType, &mut SelectionSet)> {
    use async_graphql::parser::types::DocumentOperations;
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    operations
        .into_iter()
        .map(|operation| (operation.node.ty, &mut operation.node.selection_set.node))
}
