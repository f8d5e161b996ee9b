//! A document on its way from text to something that may run: scanned, parsed, measured and
//! validated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition};
use async_graphql::{Name, Positioned, Variables};

use crate::gateway::coercion::Coercion;
use crate::gateway::complexity::{Analyst, Operation, Size};
use crate::gateway::counts::variable_uses;
use crate::gateway::merging::{Fragments, has_variable_condition, merged};
use crate::gateway::null_arguments::{self, NullArgument};
use crate::gateway::null_defaults;
use crate::gateway::places::Places;
use crate::gateway::precheck::scan_query;
use crate::gateway::refusal::{excess, too_complex};
use crate::gateway::schema_index::SchemaIndex;
use crate::gateway::subscriptions;
use crate::gateway::syntax::{convert, parse};
use crate::gateway::validation::Validator;
use crate::graphql::error::ApiError;
use crate::graphql::fields::FieldTable;
use crate::platform::config::{DocumentLimits, GraphqlConfig};

/// What a token takes once it is parsed, in bytes, roughly.
const BYTES_PER_TOKEN: usize = 200;
/// What a field takes once fragments are put in their places, in bytes, roughly.
const BYTES_PER_SELECTION: usize = 400;

/// A document that passed every check but those that need its variables.
#[derive(Debug)]
pub struct Document {
    operations: Vec<Checked>,
    /// Bytes that it takes, roughly.
    pub weight: u32,
    /// What operations with variable conditions need to be merged.
    fragments: Fragments,
    /// Variables in places where null means a default.
    default_variables: HashSet<Name>,
}

/// An operation of a document.
#[derive(Debug)]
pub struct Checked {
    /// What is known of it.
    pub operation: Operation,
    definition: Positioned<OperationDefinition>,
    /// Whether what it selects depends on its variables, so that it is merged when they are known.
    is_conditional: bool,
    /// How often each variable stands in it.
    variable_uses: HashMap<String, u32>,
}

/// An operation with the values of its variables, as the executor takes them.
pub struct Bound {
    /// It alone, without fragments.
    pub document: ExecutableDocument,
    /// The values.
    pub variables: Variables,
    /// What it takes.
    pub size: Size,
    /// Fields that it has besides, and that fail.
    pub null_arguments: Vec<NullArgument>,
}

impl Document {
    /// The operation that `name` asks for; without a name the only one.
    pub fn find(&self, name: Option<&str>) -> Option<&Checked> {
        match (self.operations.as_slice(), name) {
            ([only], None) => Some(only),
            (_, None) => None,
            (all, Some(name)) => all.iter().find(|one| one.operation.name == name),
        }
    }
}

/// What documents are held to.
#[derive(Debug)]
pub struct Checks {
    index: Arc<SchemaIndex>,
    analyst: Analyst,
    validator: Validator,
    /// Whether messages may name parts of the schema.
    explains: bool,
}

impl Checks {
    /// Checks against a schema in SDL.
    ///
    /// # Errors
    /// When the schema is not valid.
    pub fn new(sdl: &str, fields: FieldTable, config: &GraphqlConfig) -> anyhow::Result<Self> {
        let index = Arc::new(SchemaIndex::new(&parse_schema(sdl)?));
        Ok(Self {
            analyst: Analyst::new(Arc::clone(&index), fields, config.limits, config.pages),
            validator: Validator::new(sdl, config.introspection)?,
            index,
            explains: config.introspection,
        })
    }

    /// The limits of documents.
    pub fn limits(&self) -> &DocumentLimits {
        self.analyst.limits()
    }

    /// Why such a field fails.
    pub fn error_of(&self, field: &NullArgument) -> ApiError {
        let facts = self.analyst.fields().find("Mutation", &field.field);
        match facts.and_then(|facts| facts.failure_prefix) {
            Some(prefix) => field.error().with_prefix(prefix()),
            None => field.error(),
        }
    }

    /// Checks a document.
    ///
    /// # Errors
    /// GRAPHQL_PARSE_FAILED, QUERY_TOO_COMPLEX, GRAPHQL_VALIDATION_FAILED.
    pub fn check(&self, query: &str) -> Result<Document, ApiError> {
        let limits = self.analyst.limits();
        if query.len() > limits.query_bytes {
            return Err(too_complex(
                ("查询字节数", "bytes of a query"),
                limits.query_bytes,
            ));
        }
        let tokens = scan_query(query, limits.tokens, limits.nesting)
            .map_err(|found| excess(found, limits))?;
        let places = Places::new(query);
        let syntax = parse(query, &places, limits.nesting)?;
        let mut parsed = convert(&syntax, &places)?;
        let operations = self.analyst.check(&parsed)?;
        let validated = self
            .validator
            .check(&syntax, &parsed, &self.index, &places)
            .and_then(|()| subscriptions::check(&parsed));
        if let Err(error) = validated {
            let mut prefixes = operations
                .iter()
                .filter_map(|one| one.failure_prefix.clone());
            return Err(match prefixes.next() {
                Some(prefix) => error.with_prefix(prefix),
                None => error,
            });
        }
        let selections = operations.iter().map(|one| one.selections as usize);
        let selections: usize = selections.sum();
        let weight = tokens * BYTES_PER_TOKEN + selections * BYTES_PER_SELECTION + query.len();
        let default_variables = null_defaults::settle(&mut parsed, &self.index);
        let fragments = std::mem::take(&mut parsed.fragments);
        let operations = operations.into_iter().filter_map(|operation| {
            let definition = definition(&parsed, &operation.name)?;
            Some(self.checked(operation, definition, &fragments))
        });
        Ok(Document {
            operations: operations.collect(),
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
            default_variables,
            fragments,
        })
    }

    fn checked(
        &self,
        operation: Operation,
        definition: &Positioned<OperationDefinition>,
        fragments: &Fragments,
    ) -> Checked {
        let set = &definition.node.selection_set.node;
        let is_conditional = has_variable_condition(set, fragments);
        let definition = match is_conditional {
            true => definition.clone(),
            false => {
                let none = Variables::default();
                let merged = merged(&definition.node, fragments, &self.index, &none);
                Positioned::new(merged, definition.pos)
            }
        };
        let expanded = match is_conditional {
            true => fragments.clone(),
            false => Fragments::new(),
        };
        let variable_uses = variable_uses(&only(definition.clone(), expanded));
        Checked {
            operation,
            definition,
            is_conditional,
            variable_uses,
        }
    }

    /// An operation of a document with the values of its variables.
    ///
    /// # Errors
    /// GRAPHQL_VALIDATION_FAILED for a value that does not have the type of its variable,
    /// QUERY_TOO_COMPLEX.
    pub fn with_variables(
        &self,
        document: &Document,
        chosen: &Checked,
        given: Variables,
    ) -> Result<Bound, ApiError> {
        self.analyst
            .check_variables(&chosen.variable_uses, &given)?;
        let mut definition = chosen.definition.clone();
        if definition.node.variable_definitions.is_empty() {
            return Ok(Bound {
                document: only(definition, Fragments::new()),
                variables: Variables::default(),
                size: chosen.operation.size,
                null_arguments: Vec::new(),
            });
        }
        let coercion = Coercion {
            index: &self.index,
            explains: self.explains,
        };
        let variables = coercion.variables(&definition.node, given)?;
        if chosen.is_conditional {
            let fragments = &document.fragments;
            definition.node = merged(&definition.node, fragments, &self.index, &variables);
        }
        let size = match chosen.operation.has_variable_size {
            true => self.analyst.measure(&definition.node, &variables)?,
            false => chosen.operation.size,
        };
        let names = &document.default_variables;
        null_defaults::apply(&mut definition.node, &self.index, names, &variables);
        let null_arguments = null_arguments::take(&mut definition.node, &self.index, &variables);
        Ok(Bound {
            document: only(definition, Fragments::new()),
            variables,
            size,
            null_arguments,
        })
    }
}

fn definition<'a>(
    document: &'a ExecutableDocument,
    name: &str,
) -> Option<&'a Positioned<OperationDefinition>> {
    match &document.operations {
        DocumentOperations::Single(only) => Some(only),
        DocumentOperations::Multiple(all) => all.get(name),
    }
}

/// A document of one operation. The executor needs no name to find it.
fn only(operation: Positioned<OperationDefinition>, fragments: Fragments) -> ExecutableDocument {
    ExecutableDocument {
        operations: DocumentOperations::Single(operation),
        fragments,
    }
}
