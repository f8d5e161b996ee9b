//! Rules of the specification that apollo-compiler does not check: variables inside input objects,
//! input objects of which exactly one field is given, and literals of our own scalars.
//!
//! The document has passed apollo-compiler's validation, so that every name in it exists.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, ExecutableDocument, Selection, SelectionSet, Type, VariableDefinition,
};
use async_graphql::{Pos, Positioned};
use async_graphql_value::{ConstValue, Value};

use crate::gateway::coercion::is_custom_scalar_value;
use crate::gateway::refusal::invalid;
use crate::gateway::schema_index::{Input, InputField, SchemaIndex, root};
use crate::graphql::error::ApiError;

/// Checks a document. `explains` allows names of the schema in messages.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED with the place.
pub fn check(
    document: &ExecutableDocument,
    index: &SchemaIndex,
    explains: bool,
) -> Result<(), ApiError> {
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let variables = operation.variable_definitions.iter();
        let mut rules = Rules {
            document,
            index,
            explains,
            variables: variables
                .map(|variable| (variable.node.name.node.as_str(), &variable.node))
                .collect(),
            seen: HashSet::new(),
        };
        for Positioned { node, .. } in &operation.variable_definitions {
            if let Some(default) = &node.default_value {
                let literal = default.node.clone().into_value();
                rules.value(&literal, &node.var_type.node, false, default.pos)?;
            }
        }
        rules.selections(&operation.selection_set.node, root(operation.ty))?;
    }
    Ok(())
}

struct Rules<'a> {
    document: &'a ExecutableDocument,
    index: &'a SchemaIndex,
    explains: bool,
    variables: HashMap<&'a str, &'a VariableDefinition>,
    /// Fragments that were looked at for this operation.
    seen: HashSet<&'a str>,
}

impl<'a> Rules<'a> {
    fn selections(&mut self, selections: &'a SelectionSet, parent: &str) -> Result<(), ApiError> {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    // Fields that are not in the schema's text belong to the introspection, which
                    // takes nothing of interest.
                    let Some(known) = self.index.field(parent, field.name.node.as_str()) else {
                        continue;
                    };
                    for (name, value) in &field.arguments {
                        if let Some(place) = known.arguments.get(name.node.as_str()) {
                            self.value(&value.node, &place.ty, place.has_default, value.pos)?;
                        }
                    }
                    self.selections(&field.selection_set.node, &known.type_name)?;
                }
                Selection::InlineFragment(fragment) => {
                    let fragment = &fragment.node;
                    let condition = fragment.type_condition.as_ref();
                    let on = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.selections(&fragment.selection_set.node, on)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name) else {
                        continue;
                    };
                    if self.seen.insert(name) {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.selections(&fragment.node.selection_set.node, on)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn value(
        &self,
        value: &Value,
        ty: &Type,
        has_default: bool,
        place: Pos,
    ) -> Result<(), ApiError> {
        match (value, &ty.base) {
            (Value::Variable(name), _) => self.variable(name, ty, has_default, place),
            (Value::Null, _) => Ok(()),
            (Value::List(items), BaseType::List(inner)) => items
                .iter()
                .try_for_each(|item| self.value(item, inner, false, place)),
            // One value stands for a list of it.
            (value, BaseType::List(inner)) => self.value(value, inner, false, place),
            (value, BaseType::Named(name)) => match (value, self.index.input(name)) {
                (Value::Object(object), Some(Input::Object { fields, is_one_of })) => {
                    if *is_one_of {
                        self.one_of(object, name, place)?;
                    }
                    self.object(object, fields, place)
                }
                (value, Some(Input::Scalar)) if !is_custom_scalar_value(name, value) => {
                    Err(self.no_value_of(name, place))
                }
                _ => Ok(()),
            },
        }
    }

    fn object(
        &self,
        object: &async_graphql_value::indexmap::IndexMap<async_graphql::Name, Value>,
        fields: &HashMap<String, InputField>,
        place: Pos,
    ) -> Result<(), ApiError> {
        object
            .iter()
            .try_for_each(|(name, value)| match fields.get(name.as_str()) {
                Some(field) if field.takes_null_for_default() => {
                    let nullable = Type {
                        nullable: true,
                        ..field.ty.clone()
                    };
                    self.value(value, &nullable, true, place)
                }
                Some(field) => self.value(value, &field.ty, field.has_default, place),
                None => Ok(()),
            })
    }

    fn one_of(
        &self,
        object: &async_graphql_value::indexmap::IndexMap<async_graphql::Name, Value>,
        type_name: &str,
        place: Pos,
    ) -> Result<(), ApiError> {
        let is_null = |value: &Value| match value {
            Value::Null => true,
            Value::Variable(name) => {
                let variable = self.variables.get(name.as_str());
                variable.is_some_and(|variable| variable.var_type.node.nullable)
            }
            _ => false,
        };
        match object.values().next() {
            Some(value) if object.len() == 1 && !is_null(value) => Ok(()),
            _ => Err(not_one_field(type_name, self.explains).at(place)),
        }
    }

    fn variable(
        &self,
        name: &str,
        ty: &Type,
        has_default: bool,
        place: Pos,
    ) -> Result<(), ApiError> {
        let Some(variable) = self.variables.get(name) else {
            return Ok(());
        };
        let given = &variable.var_type.node;
        let default = variable.default_value.as_ref();
        let given_default = default.is_some_and(|value| value.node != ConstValue::Null);
        if may_stand(given, given_default, ty, has_default) {
            return Ok(());
        }
        let en = match self.explains {
            true => format!(
                "Variable \"${name}\" of type \"{given}\" used in position expecting type \"{ty}\"."
            ),
            false => format!("The variable \"${name}\" does not have the type of its place."),
        };
        Err(invalid(format!("变量 ${name} 的类型与所在位置不符。"), en).at(place))
    }

    fn no_value_of(&self, type_name: &str, place: Pos) -> ApiError {
        let (zh, en) = match self.explains {
            true => (
                format!("此处的值不是有效的 {type_name}。"),
                format!("The value is no valid {type_name}."),
            ),
            false => (
                "此处的值与所在位置的类型不符。".to_owned(),
                "The value does not have the type of its place.".to_owned(),
            ),
        };
        invalid(zh, en).at(place)
    }
}

/// An input object that does not give exactly one of its fields.
pub fn not_one_field(type_name: &str, explains: bool) -> ApiError {
    match explains {
        true => invalid(
            format!("{type_name} 须且只须给出一个字段，且不能为 null。"),
            format!("Exactly one field of {type_name} must be given, and not as null."),
        ),
        false => invalid(
            "此输入须且只须给出一个字段，且不能为 null。",
            "Exactly one field of the input must be given, and not as null.",
        ),
    }
}

/// Whether a variable may stand in a place (the specification's IsVariableUsageAllowed).
fn may_stand(given: &Type, given_default: bool, place: &Type, place_default: bool) -> bool {
    let defaults = given_default || place_default;
    let is_nullable = place.nullable || (given.nullable && defaults);
    (is_nullable || !given.nullable) && fits(&given.base, &place.base)
}

fn fits(given: &BaseType, place: &BaseType) -> bool {
    match (given, place) {
        (BaseType::Named(given), BaseType::Named(place)) => given == place,
        (BaseType::List(given), BaseType::List(place)) => {
            (place.nullable || !given.nullable) && fits(&given.base, &place.base)
        }
        _ => false,
    }
}
