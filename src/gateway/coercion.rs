//! The values of variables as the types of the operation have them, before anything runs (the
//! specification's CoerceVariableValues), and null for an input field with a default as that
//! default.

use async_graphql::parser::types::{BaseType, OperationDefinition, Type};
use async_graphql::{Name, Value as ConstValue, Variables};
use async_graphql_value::indexmap::IndexMap;
use async_graphql_value::{Number, Value};

use crate::gateway::refusal::invalid;
use crate::gateway::schema_index::{Input, SchemaIndex};
use crate::graphql::error::ApiError;
use crate::graphql::scalars::parse_date_time;

/// Coerces values of variables.
#[derive(Debug, Clone, Copy)]
pub struct Coercion<'a> {
    /// The schema.
    pub index: &'a SchemaIndex,
    /// Whether messages may name parts of the schema.
    pub explains: bool,
}

/// Why a value is not of its type.
enum Misfit {
    /// Not of the type.
    Type(Type),
    /// Null, or missing.
    Required(Type),
    /// A field that the input type does not have.
    UnknownField,
    /// Not exactly one field.
    OneOf,
}

/// Where a value stands in a variable.
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

/// The steps from the variable down to the value, the last first.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

impl Coercion<'_> {
    /// The coerced values of the variables of an operation. Values of variables that it does not
    /// declare are dropped.
    ///
    /// # Errors
    /// GRAPHQL_VALIDATION_FAILED with the path of the first value that does not fit.
    pub fn variables(
        &self,
        operation: &OperationDefinition,
        mut given: Variables,
    ) -> Result<Variables, ApiError> {
        let mut coerced = Variables::default();
        for variable in &operation.variable_definitions {
            let variable = &variable.node;
            let name = &variable.name.node;
            let ty = &variable.var_type.node;
            let path = Path {
                parent: None,
                step: Step::Field(name.as_str()),
            };
            let value = match (given.remove(name), &variable.default_value) {
                (Some(value), _) => value,
                (None, Some(default)) => default.node.clone(),
                (None, None) if ty.nullable => continue,
                (None, None) => {
                    return Err(self.error(&path, Misfit::Required(ty.clone())));
                }
            };
            coerced.insert(name.clone(), self.value(value, ty, &path)?);
        }
        Ok(coerced)
    }

    fn value(&self, value: ConstValue, ty: &Type, path: &Path<'_>) -> Result<ConstValue, ApiError> {
        if value == ConstValue::Null {
            return match ty.nullable {
                true => Ok(value),
                false => Err(self.error(path, Misfit::Required(ty.clone()))),
            };
        }
        match (value, &ty.base) {
            (ConstValue::List(items), BaseType::List(inner)) => {
                let items = items.into_iter().enumerate().map(|(index, item)| {
                    let path = Path {
                        parent: Some(path),
                        step: Step::Item(index),
                    };
                    self.value(item, inner, &path)
                });
                Ok(ConstValue::List(items.collect::<Result<_, _>>()?))
            }
            // One value stands for a list of it.
            (value, BaseType::List(inner)) => {
                Ok(ConstValue::List(vec![self.value(value, inner, path)?]))
            }
            (value, BaseType::Named(name)) => self.named(value, name, ty, path),
        }
    }

    fn named(
        &self,
        value: ConstValue,
        name: &Name,
        ty: &Type,
        path: &Path<'_>,
    ) -> Result<ConstValue, ApiError> {
        let coerced = match self.index.input(name) {
            Some(Input::Scalar) => scalar(name, value),
            Some(Input::Enum(values)) => match value {
                // A default is an enum, what comes as JSON is text.
                ConstValue::String(text) if values.contains(text.as_str()) => {
                    Some(ConstValue::Enum(Name::new(text)))
                }
                ConstValue::Enum(text) if values.contains(text.as_str()) => {
                    Some(ConstValue::Enum(text))
                }
                _ => None,
            },
            Some(Input::Object { .. }) => match value {
                ConstValue::Object(object) => return self.object(object, name, path),
                _ => None,
            },
            None => None,
        };
        coerced.ok_or_else(|| self.error(path, Misfit::Type(ty.clone())))
    }

    fn object(
        &self,
        mut object: IndexMap<Name, ConstValue>,
        name: &Name,
        path: &Path<'_>,
    ) -> Result<ConstValue, ApiError> {
        let Some(Input::Object { fields, is_one_of }) = self.index.input(name) else {
            return Ok(ConstValue::Object(object));
        };
        object.retain(|name, value| {
            let field = fields.get(name.as_str());
            *value != ConstValue::Null || !field.is_some_and(|field| field.takes_null_for_default())
        });
        let mut coerced = IndexMap::with_capacity(object.len());
        for (name, value) in object {
            let path = Path {
                parent: Some(path),
                step: Step::Field(name.as_str()),
            };
            let Some(field) = fields.get(name.as_str()) else {
                return Err(self.error(&path, Misfit::UnknownField));
            };
            let value = self.value(value, &field.ty, &path)?;
            coerced.insert(name.clone(), value);
        }
        let mut required = fields
            .iter()
            .filter(|(_, field)| !field.ty.nullable && !field.has_default);
        if let Some((missing, field)) = required.find(|(name, _)| !coerced.contains_key(&***name)) {
            // Without introspection a name that the caller did not send is not told.
            let below = Path {
                parent: Some(path),
                step: Step::Field(missing),
            };
            let path = if self.explains { &below } else { path };
            return Err(self.error(path, Misfit::Required(field.ty.clone())));
        }
        if *is_one_of
            && (coerced.len() != 1 || coerced.values().any(|value| *value == ConstValue::Null))
        {
            return Err(self.error(path, Misfit::OneOf));
        }
        Ok(ConstValue::Object(coerced))
    }

    fn error(&self, path: &Path<'_>, misfit: Misfit) -> ApiError {
        let path = path.text();
        let (zh, en) = match (misfit, self.explains) {
            (Misfit::Type(ty), true) => (
                format!("变量 {path} 的值应为 {ty}。"),
                format!("The value of {path} must be of type {ty}."),
            ),
            (Misfit::Type(_), false) => (
                format!("变量 {path} 的值类型不符。"),
                format!("The value of {path} does not have the type of its place."),
            ),
            (Misfit::Required(ty), true) => (
                format!("变量 {path} 必须提供，且不能为 null，类型为 {ty}。"),
                format!("The value of {path}, of type {ty}, is required and must not be null."),
            ),
            (Misfit::Required(_), false) => (
                format!("变量 {path} 不完整或为 null。"),
                format!("The value of {path} is required and must be complete and not null."),
            ),
            (Misfit::UnknownField, _) => (
                format!("变量 {path} 不是该输入类型的字段。"),
                format!("{path} is not a field of the input type."),
            ),
            (Misfit::OneOf, _) => (
                format!("变量 {path} 须且只须给出一个字段，且不能为 null。"),
                format!("Exactly one field of {path} must be given, and not as null."),
            ),
        };
        invalid(zh, en)
    }
}

impl Path<'_> {
    /// `$input.grades[0].grade`
    fn text(&self) -> String {
        match (self.parent, &self.step) {
            (None, Step::Field(name)) => format!("${name}"),
            (None, Step::Item(index)) => format!("[{index}]"),
            (Some(parent), Step::Field(name)) => format!("{}.{name}", parent.text()),
            (Some(parent), Step::Item(index)) => format!("{}[{index}]", parent.text()),
        }
    }
}

/// A value of a scalar; `None` when it is none. Numbers without a fraction are integers however
/// they are written.
fn scalar(name: &str, value: ConstValue) -> Option<ConstValue> {
    match (name, value) {
        ("Int", ConstValue::Number(number)) => {
            let number = i32::try_from(integral(&number)?).ok()?;
            Some(ConstValue::Number(number.into()))
        }
        ("Float", ConstValue::Number(number)) => Some(ConstValue::Number(number)),
        ("ID", ConstValue::Number(number)) => Some(ConstValue::String(id_text(&number)?)),
        ("String" | "ID", ConstValue::String(text)) => Some(ConstValue::String(text)),
        ("Boolean", ConstValue::Boolean(value)) => Some(ConstValue::Boolean(value)),
        ("Int" | "Float" | "ID" | "String" | "Boolean", _) => None,
        (name, value) => is_custom_scalar_value(name, &value.clone().into_value()).then_some(value),
    }
}

/// The number as an integer, if it is one.
fn integral(number: &Number) -> Option<i64> {
    if let Some(number) = number.as_i64() {
        return Some(number);
    }
    let number = number.as_f64()?;
    // Beyond this not every integer is a floating-point number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// An id that is written as a number; `None` when it has a fraction.
pub fn id_text(number: &Number) -> Option<String> {
    if number.is_i64() || number.is_u64() {
        return Some(number.to_string());
    }
    let number = number.as_f64()?;
    (number.fract() == 0.0).then(|| format!("{number:.0}"))
}

/// Whether a literal is a value of a scalar of ours. GraphQL's own scalars, and those without
/// rules, take what comes.
pub fn is_custom_scalar_value(name: &str, value: &Value) -> bool {
    match name {
        "DateTime" => matches!(value, Value::String(text) if parse_date_time(text).is_some()),
        _ => true,
    }
}
