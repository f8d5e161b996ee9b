//! Whether a document fits the schema: what apollo-compiler finds, then [`rules`].

use std::borrow::Cow;

use apollo_compiler::ast::{self, Definition};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::Parser;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::{DiagnosticData, Valid};
use apollo_compiler::{Node, Schema};
use async_graphql::parser::types::ExecutableDocument;

use crate::gateway::messages;
use crate::gateway::places::Places;
use crate::gateway::rules;
use crate::gateway::schema_index::SchemaIndex;
use crate::graphql::error::{ApiError, ErrorCode};

/// What apollo-compiler finds wrong with subscriptions although the specification of October 2021
/// does not: it counts the fields of one response key, and conditions, each for itself. Our own
/// rule is in [`crate::gateway::subscriptions`].
const LEFT_TO_OUR_RULES: [&str; 3] = [
    "SubscriptionUsesMultipleFields",
    "SubscriptionUsesConditionalSelection",
    "SubscriptionUsesIntrospection",
];

/// Validates documents.
#[derive(Debug)]
pub struct Validator {
    schema: Valid<Schema>,
    explains: bool,
}

impl Validator {
    /// A validator for a schema in SDL. With `explains` it may name parts of the schema to callers.
    ///
    /// # Errors
    /// When the schema is not valid.
    pub fn new(sdl: &str, explains: bool) -> anyhow::Result<Self> {
        let mut document = Parser::new()
            .parse_ast(sdl, "schema.graphql")
            .map_err(|failed| anyhow::anyhow!("{}", failed.errors))?;
        document
            .definitions
            .iter_mut()
            .for_each(let_defaults_be_null);
        let mut schema = document
            .to_schema_validate()
            .map_err(|failed| anyhow::anyhow!("{}", failed.errors))?
            .into_inner();
        add_is_one_of(&mut schema)?;
        Ok(Self {
            schema: Valid::assume_valid(schema),
            explains,
        })
    }

    /// Validates a document, given in both of its forms and as its text. It is small enough, and
    /// its fragments do not contain themselves.
    ///
    /// # Errors
    /// GRAPHQL_VALIDATION_FAILED with the place of the first fault in the text.
    pub fn check(
        &self,
        document: &ast::Document,
        executable: &ExecutableDocument,
        index: &SchemaIndex,
        places: &Places<'_>,
    ) -> Result<(), ApiError> {
        let document = without_null_defaults(document);
        if let Err(failed) = document.to_executable_validate(&self.schema) {
            let mut faults = failed.errors.iter().map(|diagnostic| diagnostic.error);
            if let Some(fault) = faults.find(|fault| !is_left_to_our_rules(fault)) {
                return Err(self.explain(fault, places));
            }
        }
        rules::check(executable, index, self.explains)
    }

    fn explain(&self, fault: &DiagnosticData, places: &Places<'_>) -> ApiError {
        let (start, end) = match fault.location() {
            Some(location) => (location.offset(), location.end_offset()),
            None => (0, 0),
        };
        let kind = fault.unstable_error_name().unwrap_or_default();
        let exact = fault.unstable_compat_message();
        let sentence = messages::explain(
            kind,
            places.excerpt(start, end),
            exact.filter(|_| self.explains),
        );
        ApiError::new(ErrorCode::GraphqlValidationFailed)
            .at(places.at(start))
            .with_message(sentence)
    }
}

fn is_left_to_our_rules(fault: &DiagnosticData) -> bool {
    let name = fault.unstable_error_name();
    name.is_some_and(|name| LEFT_TO_OUR_RULES.contains(&name))
}

/// The contract: null for an input field that has a default means the default, so its type is
/// nullable to whoever sends it.
fn let_defaults_be_null(definition: &mut Definition) {
    let Definition::InputObjectTypeDefinition(input) = definition else {
        return;
    };
    for field in &mut input.make_mut().fields {
        if field.default_value.is_some() {
            let nullable = field.ty.as_ref().clone().nullable();
            field.make_mut().ty = Node::new(nullable);
        }
    }
}

/// To apollo-compiler any default lets a nullable variable stand where null may not, also the
/// default null. Without that default a nullable variable means the same.
fn without_null_defaults(document: &ast::Document) -> Cow<'_, ast::Document> {
    let is_idle = |variable: &Node<ast::VariableDefinition>| {
        let default = variable.default_value.as_ref();
        !variable.ty.is_non_null() && default.is_some_and(|value| value.is_null())
    };
    let has_idle = |definition: &Definition| match definition {
        Definition::OperationDefinition(operation) => operation.variables.iter().any(is_idle),
        _ => false,
    };
    if !document.definitions.iter().any(has_idle) {
        return Cow::Borrowed(document);
    }
    let mut document = document.clone();
    for definition in &mut document.definitions {
        let Definition::OperationDefinition(operation) = definition else {
            continue;
        };
        let variables = &mut operation.make_mut().variables;
        for variable in variables.iter_mut().filter(|variable| is_idle(variable)) {
            variable.make_mut().default_value = None;
        }
    }
    Cow::Owned(document)
}

/// What apollo-compiler does not know of the introspection, and the executor does: `__Type.isOneOf:
/// Boolean`.
fn add_is_one_of(schema: &mut Schema) -> anyhow::Result<()> {
    let Some(ExtendedType::Object(introspected)) = schema.types.get_mut("__Type") else {
        anyhow::bail!("the introspection is missing");
    };
    let fields = &mut introspected.make_mut().fields;
    let mut field = fields
        .get("specifiedByURL")
        .cloned()
        .ok_or_else(|| anyhow::anyhow!("the introspection has another form"))?;
    let name = apollo_compiler::Name::new_static("isOneOf")?;
    let boolean = apollo_compiler::Name::new_static("Boolean")?;
    let definition = field.make_mut();
    definition.name = name.clone();
    definition.ty = ast::Type::Named(boolean);
    fields.insert(name, field);
    Ok(())
}
