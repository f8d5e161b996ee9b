//! Root fields to which a variable gives null where null may not stand: with a default it may be
//! nullable there all the same, and null may be what the caller sent.
//!
//! Such a field fails alone, and the others are answered (the specification's
//! CoerceArgumentValues). The executor would give up the whole answer, so these fields are taken
//! out of the operation and put into its answer. Below the root no argument of the schema refuses
//! null.

use async_graphql::parser::types::{
    BaseType, Field, OperationDefinition, OperationType, Selection, Type,
};
use async_graphql::{
    Name, PathSegment, Pos, Response, ServerError, Value as ConstValue, Variables,
};
use async_graphql_value::Value;

use crate::gateway::schema_index::{Input, SchemaIndex, root, type_lookup};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::platform::fault::{Fault, Rule};

/// A root field that is not executed.
#[derive(Debug)]
pub struct NullArgument {
    /// Its name.
    pub field: String,
    response_name: Name,
    is_nullable: bool,
    /// How many fields stand before it.
    place: usize,
    /// Names and indexes from its arguments down to the null.
    argument: Vec<String>,
    position: Pos,
}

/// Takes those fields out of an operation without fragments, and returns them.
pub fn take(
    operation: &mut OperationDefinition,
    index: &SchemaIndex,
    variables: &Variables,
) -> Vec<NullArgument> {
    let mut found = Vec::new();
    if !variables.values().any(|value| *value == ConstValue::Null) {
        return found;
    }
    let search = Search { index, variables };
    let mut places = 0..;
    let parent = root(operation.ty);
    let mut is_over = false;
    operation.selection_set.node.items.retain(|item| {
        let place = places.next().unwrap_or_default();
        if is_over {
            return false;
        }
        let field = match &item.node {
            Selection::Field(field) => search.field(&field.node, parent, place, item.pos),
            _ => None,
        };
        let stays = field.is_none();
        // Mutations run one after the other, and this one would be the last.
        let ends = field.as_ref().is_some_and(|field| !field.is_nullable);
        is_over = ends && operation.ty == OperationType::Mutation;
        found.extend(field);
        stays
    });
    found
}

struct Search<'a> {
    index: &'a SchemaIndex,
    variables: &'a Variables,
}

impl Search<'_> {
    fn field(
        &self,
        field: &Field,
        parent: &str,
        place: usize,
        position: Pos,
    ) -> Option<NullArgument> {
        let name = field.name.node.as_str();
        let lookup;
        let known = match self.index.field(parent, name) {
            Some(known) => known,
            None if name == "__type" => {
                lookup = type_lookup();
                &lookup
            }
            None => return None,
        };
        let argument = field.arguments.iter().find_map(|(name, value)| {
            let place = known.arguments.get(name.node.as_str())?;
            self.null(&value.node, &place.ty, vec![name.node.to_string()])
        })?;
        Some(NullArgument {
            field: name.to_owned(),
            response_name: field.response_key().node.clone(),
            is_nullable: known.is_nullable,
            place,
            argument,
            position,
        })
    }

    /// The path of a null in a place of this type; `path` is that of the place.
    fn null(&self, value: &Value, ty: &Type, path: Vec<String>) -> Option<Vec<String>> {
        let below = |step: &dyn ToString| {
            let step = std::iter::once(step.to_string());
            path.iter().cloned().chain(step).collect()
        };
        match (value, &ty.base) {
            (Value::Variable(name), _) => {
                let is_null = self.variables.get(name) == Some(&ConstValue::Null);
                (is_null && !ty.nullable).then_some(path)
            }
            (Value::List(items), BaseType::List(inner)) => {
                let mut items = items.iter().enumerate();
                items.find_map(|(index, item)| self.null(item, inner, below(&index)))
            }
            (value, BaseType::List(inner)) => self.null(value, inner, path),
            (Value::Object(object), BaseType::Named(name)) => {
                let Some(Input::Object { fields, .. }) = self.index.input(name) else {
                    return None;
                };
                object.iter().find_map(|(name, value)| {
                    let field = fields.get(name.as_str())?;
                    self.null(value, &field.ty, below(name))
                })
            }
            _ => None,
        }
    }
}

impl NullArgument {
    /// Why the field is not executed.
    pub fn error(&self) -> ApiError {
        let fault = Fault {
            path: self.argument.clone(),
            rule: Rule::Required,
        };
        ApiError::new(ErrorCode::BadUserInput)
            .with_fields(vec![fault])
            .at(self.position)
    }

    /// Puts the field into an answer, as null with `error`.
    pub fn answer(self, response: &mut Response, error: ApiError) {
        let ConstValue::Object(data) = &mut response.data else {
            // Another field has taken the answer along.
            return;
        };
        let path = vec![PathSegment::Field(self.response_name.to_string())];
        let error = ServerError {
            path,
            ..error.into()
        };
        response.errors.push(error);
        if self.is_nullable {
            let place = self.place.min(data.len());
            data.shift_insert(place, self.response_name, ConstValue::Null);
        } else {
            response.data = ConstValue::Null;
        }
    }
}
