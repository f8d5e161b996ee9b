//! From the text of a document to what the executor runs: parsed by apollo-compiler, whose AST the
//! validation reads, and written anew in the executor's own types.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use apollo_compiler::ast::{self, Definition};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::{Parser, SourceSpan};
use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition,
    FragmentSpread, InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet,
    Type, TypeCondition, VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::{Number, Value};

use crate::gateway::leniency;
use crate::gateway::places::Places;
use crate::gateway::precheck::{Blanked, blanked};
use crate::gateway::refusal::{invalid, syntax_error};
use crate::graphql::error::ApiError;

/// Arguments as the executor has them.
type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

/// Levels that the parser may go down for each nested bracket.
const LEVELS_PER_BRACKET: usize = 4;

/// Parses a document that passed the pre-check.
///
/// # Errors
/// GRAPHQL_PARSE_FAILED with the place.
pub fn parse(query: &str, places: &Places<'_>, nesting: usize) -> Result<ast::Document, ApiError> {
    let Blanked { text, descriptions } = blanked(query);
    if let Some(place) = leniency::fault(&text) {
        return Err(syntax_error(places.at(place)));
    }
    let mut parser = Parser::new().recursion_limit(nesting * LEVELS_PER_BRACKET);
    for description in descriptions {
        let start = description.start;
        // They are not in the text, but have to be strings all the same.
        let string = format!("{{a(a:{})}}", &query[description]);
        if leniency::fault(&string).is_some() || parser.parse_ast(string, "").is_err() {
            return Err(syntax_error(places.at(start)));
        }
    }
    parser.parse_ast(text, "").map_err(|failed| {
        let first = failed.errors.iter().next();
        let location = first.and_then(|diagnostic| diagnostic.error.location());
        syntax_error(places.at(location.map_or(0, |location| location.offset())))
    })
}

/// The document in the executor's types.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED for what those types cannot hold: definitions of one name, definitions
/// of types, an input field that is repeated. GRAPHQL_PARSE_FAILED for a variable where a constant
/// must stand.
pub fn convert(
    document: &ast::Document,
    places: &Places<'_>,
) -> Result<ExecutableDocument, ApiError> {
    let mut anonymous = None;
    let mut operations = HashMap::new();
    let mut fragments = HashMap::new();
    let writer = Writer { places };
    for definition in &document.definitions {
        let place = writer.place(definition.location());
        match definition {
            Definition::OperationDefinition(operation) => {
                if (anonymous.is_some() || !operations.is_empty())
                    && (operation.name.is_none() || anonymous.is_some())
                {
                    return Err(invalid(
                        "匿名操作必须是文档中唯一的操作",
                        "An operation without a name must be the only one of its document.",
                    )
                    .at(place));
                }
                let written = Positioned::new(writer.operation(operation)?, place);
                let Some(name) = &operation.name else {
                    anonymous = Some(written);
                    continue;
                };
                match operations.entry(Name::new(name)) {
                    Entry::Vacant(entry) => entry.insert(written),
                    Entry::Occupied(_) => {
                        return Err(invalid(
                            format!("操作 {name} 重复"),
                            format!("There can be only one operation named \"{name}\"."),
                        )
                        .at(writer.place(name.location())));
                    }
                };
            }
            Definition::FragmentDefinition(fragment) => {
                let name = &fragment.name;
                let written = Positioned::new(writer.fragment(fragment)?, place);
                if fragments.insert(Name::new(name), written).is_some() {
                    return Err(invalid(
                        format!("片段 {name} 重复"),
                        format!("There can be only one fragment named \"{name}\"."),
                    )
                    .at(writer.place(name.location())));
                }
            }
            _ => {
                return Err(invalid(
                    "查询文档只能包含操作和片段",
                    "A document to execute contains operations and fragments only.",
                )
                .at(place));
            }
        }
    }
    Ok(ExecutableDocument {
        operations: match anonymous {
            Some(operation) => DocumentOperations::Single(operation),
            None => DocumentOperations::Multiple(operations),
        },
        fragments,
    })
}

struct Writer<'a> {
    places: &'a Places<'a>,
}

impl Writer<'_> {
    fn place(&self, location: Option<SourceSpan>) -> Pos {
        self.places
            .at(location.map_or(0, |location| location.offset()))
    }

    fn name(&self, name: &apollo_compiler::Name) -> Positioned<Name> {
        Positioned::new(Name::new(name), self.place(name.location()))
    }

    fn operation(
        &self,
        operation: &ast::OperationDefinition,
    ) -> Result<OperationDefinition, ApiError> {
        Ok(OperationDefinition {
            ty: match operation.operation_type {
                ast::OperationType::Query => OperationType::Query,
                ast::OperationType::Mutation => OperationType::Mutation,
                ast::OperationType::Subscription => OperationType::Subscription,
            },
            variable_definitions: operation
                .variables
                .iter()
                .map(|variable| {
                    let place = self.place(variable.location());
                    Ok(Positioned::new(self.variable(variable)?, place))
                })
                .collect::<Result<_, ApiError>>()?,
            directives: self.directives(&operation.directives)?,
            selection_set: self.selections(&operation.selection_set)?,
        })
    }

    fn variable(&self, variable: &ast::VariableDefinition) -> Result<VariableDefinition, ApiError> {
        let default_value = match &variable.default_value {
            None => None,
            Some(value) => {
                let place = self.place(value.location());
                let constant = self.value(value, place)?.into_const();
                let constant = constant.ok_or_else(|| syntax_error(place))?;
                Some(Positioned::new(constant, place))
            }
        };
        Ok(VariableDefinition {
            name: self.name(&variable.name),
            var_type: Positioned::new(type_of(&variable.ty), self.place(variable.ty.location())),
            directives: self.directives(&variable.directives)?,
            default_value,
        })
    }

    fn fragment(&self, fragment: &ast::FragmentDefinition) -> Result<FragmentDefinition, ApiError> {
        Ok(FragmentDefinition {
            type_condition: self.condition(&fragment.type_condition),
            directives: self.directives(&fragment.directives)?,
            selection_set: self.selections(&fragment.selection_set)?,
        })
    }

    fn condition(&self, name: &apollo_compiler::Name) -> Positioned<TypeCondition> {
        let on = self.name(name);
        let place = on.pos;
        Positioned::new(TypeCondition { on }, place)
    }

    fn selections(
        &self,
        selections: &[ast::Selection],
    ) -> Result<Positioned<SelectionSet>, ApiError> {
        let first = selections.first().and_then(ast::Selection::location);
        let place = first.map(|location| self.place(Some(location)));
        let items = selections.iter().map(|selection| {
            let place = self.place(selection.location());
            Ok(Positioned::new(self.selection(selection, place)?, place))
        });
        let items = items.collect::<Result<_, ApiError>>()?;
        Ok(Positioned::new(
            SelectionSet { items },
            place.unwrap_or_default(),
        ))
    }

    fn selection(&self, selection: &ast::Selection, place: Pos) -> Result<Selection, ApiError> {
        Ok(match selection {
            ast::Selection::Field(field) => Selection::Field(Positioned::new(
                Field {
                    alias: field.alias.as_ref().map(|alias| self.name(alias)),
                    name: self.name(&field.name),
                    arguments: self.arguments(&field.arguments)?,
                    directives: self.directives(&field.directives)?,
                    selection_set: self.selections(&field.selection_set)?,
                },
                place,
            )),
            ast::Selection::FragmentSpread(spread) => Selection::FragmentSpread(Positioned::new(
                FragmentSpread {
                    fragment_name: self.name(&spread.fragment_name),
                    directives: self.directives(&spread.directives)?,
                },
                place,
            )),
            ast::Selection::InlineFragment(fragment) => {
                let condition = fragment.type_condition.as_ref();
                Selection::InlineFragment(Positioned::new(
                    InlineFragment {
                        type_condition: condition.map(|name| self.condition(name)),
                        directives: self.directives(&fragment.directives)?,
                        selection_set: self.selections(&fragment.selection_set)?,
                    },
                    place,
                ))
            }
        })
    }

    fn directives(
        &self,
        directives: &ast::DirectiveList,
    ) -> Result<Vec<Positioned<Directive>>, ApiError> {
        let written = directives.iter().map(|directive| {
            let place = self.place(directive.location());
            Ok(Positioned::new(
                Directive {
                    name: self.name(&directive.name),
                    arguments: self.arguments(&directive.arguments)?,
                },
                place,
            ))
        });
        written.collect()
    }

    fn arguments(
        &self,
        arguments: &[apollo_compiler::Node<ast::Argument>],
    ) -> Result<Arguments, ApiError> {
        let written = arguments.iter().map(|argument| {
            let name = self.name(&argument.name);
            let place = self.place(argument.value.location());
            let value = self.value(&argument.value, place)?;
            Ok((name, Positioned::new(value, place)))
        });
        written.collect()
    }

    fn value(&self, value: &ast::Value, place: Pos) -> Result<Value, ApiError> {
        Ok(match value {
            ast::Value::Null => Value::Null,
            ast::Value::Boolean(boolean) => Value::Boolean(*boolean),
            ast::Value::String(text) => Value::String(text.clone()),
            ast::Value::Enum(name) => Value::Enum(Name::new(name)),
            ast::Value::Variable(name) => Value::Variable(Name::new(name)),
            ast::Value::Int(number) => Value::Number(integer(number.as_str(), place)?),
            ast::Value::Float(number) => Value::Number(float(number.as_str(), place)?),
            ast::Value::List(items) => {
                let items = items.iter().map(|item| self.value(item, place));
                Value::List(items.collect::<Result<_, ApiError>>()?)
            }
            ast::Value::Object(fields) => {
                let mut object = async_graphql_value::indexmap::IndexMap::new();
                for (name, value) in fields {
                    let written = self.value(value, place)?;
                    if object.insert(Name::new(name), written).is_some() {
                        return Err(invalid(
                            format!("输入字段 {name} 重复"),
                            format!("There can be only one input field named \"{name}\"."),
                        )
                        .at(self.place(name.location())));
                    }
                }
                Value::Object(object)
            }
        })
    }
}

/// JSON knows `-0` as a floating-point number only.
fn integer(text: &str, place: Pos) -> Result<Number, ApiError> {
    match text.parse::<i64>() {
        Ok(number) => Ok(number.into()),
        Err(_) => float(text, place),
    }
}

fn float(text: &str, place: Pos) -> Result<Number, ApiError> {
    text.parse().map_err(|_| out_of_range(text).at(place))
}

fn out_of_range(text: &str) -> ApiError {
    invalid(
        format!("数字 {text} 超出范围"),
        format!("The number {text} is out of range."),
    )
}

fn type_of(ty: &ast::Type) -> Type {
    let (base, nullable) = match ty {
        ast::Type::Named(name) => (BaseType::Named(Name::new(name)), true),
        ast::Type::NonNullNamed(name) => (BaseType::Named(Name::new(name)), false),
        ast::Type::List(inner) => (BaseType::List(Box::new(type_of(inner))), true),
        ast::Type::NonNullList(inner) => (BaseType::List(Box::new(type_of(inner))), false),
    };
    Type { base, nullable }
}
