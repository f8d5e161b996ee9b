//! Rules of validation that are checked before the library's.
//!
//! Some the library lacks: variables stand only where their type fits, enums are no strings, `@skip` and `@include` stand once
//! and with their condition. The others it has, but it goes on after a fault and reports each, and for fields that conflict
//! that is one for every pair, argument and enclosing fragment: 2 KB of text became a million errors. Here the first fault
//! ends the matter.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, Directive, ExecutableDocument, Field, Selection, SelectionSet, Type,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::{ConstValue, Value};

use crate::gateway::refusal::invalid;
use crate::gateway::schema_index::{Shape, root};
use crate::graphql::error::{ApiError, ErrorCode};
use crate::platform::locale::Message;

/// Checks a document whose fragments do not contain themselves. `explains` allows names of the schema in messages.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED with the place.
pub fn check(document: &ExecutableDocument, shape: &Shape, explains: bool) -> Result<(), ApiError> {
    let mut rules = Rules {
        document,
        shape,
        explains,
        variables: None,
        seen: HashSet::new(),
        condition: Type {
            base: BaseType::Named(Name::new("Boolean")),
            nullable: false,
        },
    };
    let mut reached = HashSet::new();
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let definitions = &operation.variable_definitions;
        let variables = definitions.iter().map(|definition| {
            let default = definition.node.default_value.as_ref();
            let has_default = default.is_some_and(|value| value.node != ConstValue::Null);
            let name = definition.node.name.node.as_str();
            (name, (&definition.node.var_type.node, has_default))
        });
        rules.variables = Some(variables.collect());
        rules.directives(&operation.directives)?;
        rules.selections(&operation.selection_set.node, root(operation.ty))?;
        rules.conflicts(&operation.selection_set.node)?;
        reached.extend(rules.seen.drain());
    }
    rules.variables = None;
    for (name, fragment) in &document.fragments {
        let selections = &fragment.node.selection_set.node;
        if !reached.contains(name.as_str()) {
            rules.selections(
                selections,
                fragment.node.type_condition.node.on.node.as_str(),
            )?;
        }
        rules.conflicts(selections)?;
    }
    Ok(())
}

struct Rules<'a> {
    document: &'a ExecutableDocument,
    shape: &'a Shape,
    explains: bool,
    /// Type, and whether there is a default that is not null; `None` in a fragment that no operation uses.
    variables: Option<HashMap<&'a str, (&'a Type, bool)>>,
    seen: HashSet<&'a str>,
    condition: Type,
}

/// Fields by type condition and response name, as the library groups them.
type Outputs<'a> = HashMap<(Option<&'a str>, &'a str), &'a Field>;

impl<'a> Rules<'a> {
    /// A fault whose exact words would name parts of the schema.
    fn misfit(&self, place: Pos, zh: String, en: String) -> ApiError {
        let (zh, en) = match self.explains {
            true => (zh, en),
            false => {
                let Pos { line, column } = place;
                (
                    format!("第 {line} 行第 {column} 列"),
                    format!("line {line}, column {column}"),
                )
            }
        };
        ApiError::new(ErrorCode::GraphqlValidationFailed)
            .at(place)
            .with_message(Message::new(
                format!("查询与模式不符：{zh}"),
                format!("The query does not fit the schema: {en}"),
            ))
    }

    fn selections(&mut self, selections: &'a SelectionSet, parent: &str) -> Result<(), ApiError> {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => self.field(field, parent)?,
                Selection::InlineFragment(fragment) => {
                    let fragment = &fragment.node;
                    self.directives(&fragment.directives)?;
                    let condition = fragment.type_condition.as_ref();
                    let on = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.selections(&fragment.selection_set.node, on)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives)?;
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name) else {
                        continue;
                    };
                    if self.seen.insert(name) {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.directives(&fragment.node.directives)?;
                        self.selections(&fragment.node.selection_set.node, on)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, positioned: &'a Positioned<Field>, parent: &str) -> Result<(), ApiError> {
        let field = &positioned.node;
        let name = field.name.node.as_str();
        self.directives(&field.directives)?;
        let shape = self.shape.field(parent, name);
        if shape.is_none() && self.shape.has_type(parent) && !name.starts_with("__") {
            return Err(self.misfit(
                field.name.pos,
                format!("类型 {parent} 没有字段 {name}"),
                format!("unknown field \"{name}\" on type \"{parent}\""),
            ));
        }
        for (index, (argument, value)) in field.arguments.iter().enumerate() {
            let is_repeated = field.arguments[..index]
                .iter()
                .any(|(other, _)| other.node == argument.node);
            if is_repeated {
                return Err(invalid(
                    format!("参数 {} 重复", argument.node),
                    format!("The argument {} is repeated", argument.node),
                )
                .at(argument.pos));
            }
            let Some(shape) = shape else {
                self.declared(&value.node, value.pos)?;
                continue;
            };
            match shape.arguments.get(argument.node.as_str()) {
                Some(input) => self.value(&value.node, &input.ty, input.has_default, value.pos)?,
                None => {
                    return Err(self.misfit(
                        argument.pos,
                        format!("字段 {parent}.{name} 没有参数 {}", argument.node),
                        format!("unknown argument \"{}\" of {parent}.{name}", argument.node),
                    ));
                }
            }
        }
        // Fields below one that is not in the schema's text belong to the introspection.
        let on = shape.map_or("", |shape| shape.type_name.as_str());
        self.selections(&field.selection_set.node, on)
    }

    /// Looks for fields that share a response name and are not the same, in this selection set and in all below.
    fn conflicts(&self, selections: &'a SelectionSet) -> Result<(), ApiError> {
        let mut outputs = Outputs::new();
        self.collect(selections, None, &mut outputs, &mut HashSet::new())?;
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => self.conflicts(&field.node.selection_set.node)?,
                Selection::InlineFragment(fragment) => {
                    self.conflicts(&fragment.node.selection_set.node)?;
                }
                Selection::FragmentSpread(_) => {}
            }
        }
        Ok(())
    }

    fn collect(
        &self,
        selections: &'a SelectionSet,
        condition: Option<&'a str>,
        outputs: &mut Outputs<'a>,
        visited: &mut HashSet<&'a str>,
    ) -> Result<(), ApiError> {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(positioned) => {
                    let field = &positioned.node;
                    let response_name = field.response_key().node.as_str();
                    let other = *outputs.entry((condition, response_name)).or_insert(field);
                    if !std::ptr::eq(other, field) && !is_same(other, field) {
                        return Err(invalid(
                            format!("字段 {response_name} 有冲突，请用不同的别名"),
                            format!("The fields {response_name} conflict, use different aliases"),
                        )
                        .at(positioned.pos));
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref();
                    let on = on.map(|condition| condition.node.on.node.as_str());
                    self.collect(&fragment.node.selection_set.node, on, outputs, visited)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name)
                        && visited.insert(name)
                    {
                        let on = Some(fragment.node.type_condition.node.on.node.as_str());
                        self.collect(&fragment.node.selection_set.node, on, outputs, visited)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> Result<(), ApiError> {
        for (index, directive) in directives.iter().enumerate() {
            let name = &directive.node.name.node;
            if !matches!(name.as_str(), "skip" | "include") {
                for (_, value) in &directive.node.arguments {
                    self.declared(&value.node, value.pos)?;
                }
                continue;
            }
            let is_repeated = directives[..index]
                .iter()
                .any(|other| other.node.name.node == *name);
            if is_repeated {
                return Err(invalid(
                    format!("指令 @{name} 重复"),
                    format!("The directive @{name} is repeated"),
                )
                .at(directive.pos));
            }
            match directive.node.get_argument("if") {
                Some(value) => self.value(&value.node, &self.condition, false, value.pos)?,
                None => {
                    return Err(invalid(
                        format!("指令 @{name} 缺少条件"),
                        format!("The directive @{name} lacks its condition"),
                    )
                    .at(directive.pos));
                }
            }
        }
        Ok(())
    }

    /// Whether the variables of a value are declared; the rest of it is for the library to judge.
    fn declared(&self, value: &Value, place: Pos) -> Result<(), ApiError> {
        match value {
            Value::Variable(name) => match &self.variables {
                Some(variables) if !variables.contains_key(name.as_str()) => {
                    Err(undeclared(name.as_str(), place))
                }
                _ => Ok(()),
            },
            Value::List(items) => items.iter().try_for_each(|item| self.declared(item, place)),
            Value::Object(fields) => {
                let mut values = fields.values();
                values.try_for_each(|value| self.declared(value, place))
            }
            _ => Ok(()),
        }
    }

    fn variable(
        &self,
        name: &str,
        ty: &Type,
        has_default: bool,
        place: Pos,
    ) -> Result<(), ApiError> {
        let Some(variables) = &self.variables else {
            return Ok(());
        };
        match variables.get(name) {
            None => Err(undeclared(name, place)),
            Some((given, given_default)) if !may_stand(given, *given_default, ty, has_default) => {
                Err(invalid(
                    format!("变量 ${name} 的类型与所在位置不符"),
                    format!("The variable ${name} does not have the type of its place"),
                )
                .at(place))
            }
            Some(_) => Ok(()),
        }
    }

    fn value(
        &self,
        value: &Value,
        ty: &Type,
        has_default: bool,
        place: Pos,
    ) -> Result<(), ApiError> {
        match (value, &ty.base) {
            (Value::Variable(name), _) => self.variable(name.as_str(), ty, has_default, place),
            (Value::List(items), BaseType::List(inner)) => items
                .iter()
                .try_for_each(|item| self.value(item, inner, false, place)),
            (Value::Object(object), BaseType::Named(name)) => {
                let Some(fields) = self.shape.input(name.as_str()) else {
                    return Err(one_value(place));
                };
                object
                    .iter()
                    .try_for_each(|(name, value)| match fields.get(name.as_str()) {
                        Some(field) => self.value(value, &field.ty, field.has_default, place),
                        None => Ok(()),
                    })
            }
            (Value::List(_), BaseType::Named(_)) => Err(one_value(place)),
            (Value::String(_), BaseType::Named(name)) if self.shape.is_enum(name.as_str()) => {
                Err(invalid(
                    "枚举值不加引号",
                    "A value of an enum is written without quotes",
                )
                .at(place))
            }
            // One value stands for a list of it.
            (value, BaseType::List(inner)) if !matches!(value, Value::Null) => {
                self.value(value, inner, false, place)
            }
            _ => Ok(()),
        }
    }
}

/// No scalar of the schema is written as a list or an object.
fn one_value(place: Pos) -> ApiError {
    invalid(
        "此处应为单个值",
        "A single value is expected here, no list and no object",
    )
    .at(place)
}

fn undeclared(name: &str, place: Pos) -> ApiError {
    invalid(
        format!("变量 ${name} 未声明"),
        format!("The variable ${name} is not declared"),
    )
    .at(place)
}

fn is_same(one: &Field, other: &Field) -> bool {
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(|(name, value)| {
            other
                .get_argument(name.node.as_str())
                .is_some_and(|other| other.node == value.node)
        })
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

#[cfg(test)]
mod tests {
    use async_graphql::parser::{parse_query, parse_schema};

    use super::*;

    #[test]
    fn lets_variables_stand_where_they_fit() {
        let schema = parse_schema(
            "type Query { a(id: ID!, list: [Int!], in: In, n: Int! = 3, e: E): String }
             input In { x: Int! = 1, y: [E!]!, in: In }  enum E { P Q }",
        )
        .unwrap();
        let shape = Shape::new(&schema);
        let check = |query: &str| check(&parse_query(query).unwrap(), &shape, true).is_ok();
        for query in [
            "query($x: ID!) { a(id: $x) }",
            "query($x: ID = 1) { a(id: $x) }",
            "query($x: [Int!]!) { a(list: $x) }",
            "query($x: Int) { a(n: $x) }",
            "query($x: Int!) { a(list: [$x, 1]) }",
            "query($x: Int) { a(in: {x: $x}) }",
            "query($x: [E!]!) { ...F } fragment F on Query { a(in: {in: {y: $x}}) }",
            "query($x: Boolean!) { a @skip(if: $x) @include(if: true) }",
            "query($x: Boolean = true) { a @skip(if: $x) }",
            "{ a(e: P, in: {y: [P, Q]}) }",
            "{ a a b: a(n: 1) b: a(n: 1) ... { a } ... on Query { c: a } }",
            "{ __typename __schema { types { a(x: 1, y: 2) } } }",
        ] {
            assert!(check(query), "{query}");
        }
        for query in [
            "query($x: ID) { a(id: $x) }",
            "query($x: ID = null) { a(id: $x) }",
            "query($x: String!) { a(id: $x) }",
            "query($x: [ID!]!) { a(id: $x) }",
            "query($x: Int!) { a(list: $x) }",
            "query($x: [Int]) { a(list: $x) }",
            "query($x: Int) { a(list: [$x]) }",
            "query($x: Int) { a(in: {y: [$x]}) }",
            "query($x: [Int!]!) { ...F } fragment F on Query { ... { a(in: {in: {y: $x}}) } }",
            "query($x: Boolean) { a @skip(if: $x) }",
            "{ a @skip }",
            "{ a @skip(if: true) @skip(if: true) }",
            "{ a(e: \"P\") }",
            "{ a(id: $x) }",
            "{ a(id: [$x]) }",
            "{ a(id: {x: 1}) }",
            "{ __type(name: [$x]) { name } }",
            "{ a @other(x: $x) }",
            "{ b }",
            "{ a } fragment F on Query { b }",
            "{ a(z: 1) }",
            "{ a(n: 1, n: 1) }",
            "{ a a: __typename }",
            "{ a(n: 1) a(n: 2) }",
            "{ a(n: 1) ... { a(n: 2) } }",
            "{ a(n: 1) ...F } fragment F on Query { ... { a(n: 2) } }",
            "{ ... { ... { x: a(n: 1) x: a } } }",
            "{ a(in: {y: \"P\"}) }",
        ] {
            assert!(!check(query), "{query}");
        }
    }
}
