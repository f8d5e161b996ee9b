//! Literals as the executor takes them: null for an input field that has a default means that
//! default, as if the field were absent, and ids are text.
//!
//! Clients that build their input from a form send null for what is empty. What a variable holds is
//! known only when it runs, and null may mean a default in one place and clear a field in another;
//! so each use is looked at for itself.

use std::collections::HashSet;

use async_graphql::parser::types::{
    BaseType, DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
    Type,
};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

use crate::gateway::coercion::id_text;
use crate::gateway::schema_index::{Input, SchemaIndex, root};

/// Rewrites the literals of a valid document, and returns the variables that stand where null would
/// mean a default.
pub fn settle(document: &mut ExecutableDocument, index: &SchemaIndex) -> HashSet<Name> {
    let mut found = HashSet::new();
    let mut settle = |value: &mut Value, ty: &Type| {
        let mut rewrite = Rewrite {
            index,
            removes: |value: &Value| match value {
                Value::Variable(name) => {
                    found.insert(name.clone());
                    false
                }
                value => *value == Value::Null,
            },
        };
        rewrite.value(value, ty);
    };
    each_argument(document, index, &mut settle);
    found
}

/// Takes variables that hold null out of the places where that means a default. `names` are those
/// that [`settle`] found.
pub fn apply(
    operation: &mut OperationDefinition,
    index: &SchemaIndex,
    names: &HashSet<Name>,
    variables: &Variables,
) {
    let is_null = |name: &Name| variables.get(name) == Some(&ConstValue::Null);
    if !names.iter().any(is_null) {
        return;
    }
    let set = &mut operation.selection_set.node;
    selections(set, root(operation.ty), index, &mut |value, ty| {
        let mut rewrite = Rewrite {
            index,
            removes: |value: &Value| matches!(value, Value::Variable(name) if is_null(name)),
        };
        rewrite.value(value, ty);
    });
}

/// Walks through values in the places of their types.
struct Rewrite<'a, F> {
    index: &'a SchemaIndex,
    /// Whether a value goes from a place where null would mean a default.
    removes: F,
}

impl<F: FnMut(&Value) -> bool> Rewrite<'_, F> {
    fn value(&mut self, value: &mut Value, ty: &Type) {
        match (value, &ty.base) {
            (Value::List(items), BaseType::List(inner)) => {
                items.iter_mut().for_each(|item| self.value(item, inner));
            }
            (value, BaseType::List(inner)) => self.value(value, inner),
            (Value::Object(object), BaseType::Named(name)) => {
                let Some(Input::Object { fields, .. }) = self.index.input(name) else {
                    return;
                };
                object.retain(|name, value| {
                    let field = fields.get(name.as_str());
                    let means_default = field.is_some_and(|field| field.takes_null_for_default());
                    !(means_default && (self.removes)(value))
                });
                for (name, value) in object.iter_mut() {
                    if let Some(field) = fields.get(name.as_str()) {
                        self.value(value, &field.ty);
                    }
                }
            }
            // `includeDeprecated` of the introspection: to the executor it may not be null.
            (value, BaseType::Named(name))
                if name == "Boolean" && !ty.nullable && (self.removes)(value) =>
            {
                *value = Value::Boolean(false);
            }
            (value, BaseType::Named(name)) if name == "ID" => {
                if let Value::Number(number) = value
                    && let Some(text) = id_text(number)
                {
                    *value = Value::String(text);
                }
            }
            _ => {}
        }
    }
}

fn each_argument(
    document: &mut ExecutableDocument,
    index: &SchemaIndex,
    visit: &mut impl FnMut(&mut Value, &Type),
) {
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        let operation = &mut operation.node;
        selections(
            &mut operation.selection_set.node,
            root(operation.ty),
            index,
            visit,
        );
    }
    for fragment in document.fragments.values_mut() {
        let fragment = &mut fragment.node;
        let on = fragment.type_condition.node.on.node.clone();
        selections(&mut fragment.selection_set.node, &on, index, visit);
    }
}

fn selections(
    set: &mut SelectionSet,
    parent: &str,
    index: &SchemaIndex,
    visit: &mut impl FnMut(&mut Value, &Type),
) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                let field = &mut field.node;
                let Some(known) = index.field(parent, field.name.node.as_str()) else {
                    introspection(&mut field.arguments, visit);
                    selections(&mut field.selection_set.node, "", index, visit);
                    continue;
                };
                for (name, value) in &mut field.arguments {
                    if let Some(place) = known.arguments.get(name.node.as_str()) {
                        visit(&mut value.node, &place.ty);
                    }
                }
                let below = &mut field.selection_set.node;
                selections(below, &known.type_name, index, visit);
            }
            Selection::InlineFragment(fragment) => {
                let fragment = &mut fragment.node;
                let on = match &fragment.type_condition {
                    Some(condition) => condition.node.on.node.clone(),
                    None => Name::new(parent),
                };
                selections(&mut fragment.selection_set.node, &on, index, visit);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn introspection(
    arguments: &mut [(Positioned<Name>, Positioned<Value>)],
    visit: &mut impl FnMut(&mut Value, &Type),
) {
    let ty = Type {
        base: BaseType::Named(Name::new("Boolean")),
        nullable: false,
    };
    let of_deprecation = |(name, _): &&mut (Positioned<Name>, _)| name.node == "includeDeprecated";
    for (_, value) in arguments.iter_mut().filter(of_deprecation) {
        visit(&mut value.node, &ty);
    }
}
