//! One pass over a parsed document: what it would cost to validate and to execute.
//!
//! A fragment is measured once and its measures are used wherever it is spread, so the pass takes
//! time by the length of the text, not by the size of what it stands for. The executor expands
//! fragments anew at every spread; what passes here has few enough fields for that.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Value as ConstValue, Variables};
use async_graphql_value::Value;

use crate::gateway::counts::count;
use crate::gateway::merging::Fragments;
use crate::gateway::rate_limits::Charges;
use crate::gateway::refusal::{invalid, too_complex};
use crate::gateway::schema_index::{SchemaIndex, root};
use crate::graphql::error::ApiError;
use crate::graphql::fields::FieldTable;
use crate::platform::config::{DocumentLimits, PageLimits};
use crate::platform::locale::Message;

/// Entries that a list without pages is taken to have when nothing is said of it: those of the
/// introspection.
const LIST_SIZE: u32 = 5;
/// Costs are counted in tenths: an object is 1, a leaf a tenth.
const OBJECT: u32 = 10;
const LEAF: u32 = 1;
/// What a mutation costs besides the objects that it returns.
const MUTATION: u32 = 10 * OBJECT;
/// Bytes of a variable that count as one value.
const BYTES_PER_VALUE: usize = 128;
/// Lists of the introspection inside each other: each multiplies what comes back by the size of the
/// schema.
const MAX_INTROSPECTION_LISTS: u32 = 2;

/// What is known of an operation before it runs.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its name; empty when it has none.
    pub name: String,
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// What it counts as, besides its cost.
    pub charges: Charges,
    /// What it costs, in objects; with page sizes in variables at the default.
    pub cost: u32,
    /// Whether it asks for the schema itself.
    pub asks_for_schema: bool,
    /// Stands before the message of an error that keeps it from being executed.
    pub failure_prefix: Option<Message>,
    /// Fields that it selects, fragments put in their places.
    pub selections: u32,
    /// Whether a page size comes from a variable, so that [`Analyst::check_cost`] must look again.
    pub has_variable_cost: bool,
}

/// Measures documents.
#[derive(Debug)]
pub struct Analyst {
    index: Arc<SchemaIndex>,
    fields: FieldTable,
    limits: DocumentLimits,
    pages: PageLimits,
}

impl Analyst {
    /// An analyst for a schema.
    pub fn new(
        index: Arc<SchemaIndex>,
        fields: FieldTable,
        limits: DocumentLimits,
        pages: PageLimits,
    ) -> Self {
        Self {
            index,
            fields,
            limits,
            pages,
        }
    }

    /// Checks the sizes of variables, counted at each use: the executor copies them there.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX.
    pub fn check_variables(
        &self,
        uses: &HashMap<String, u32>,
        variables: &Variables,
    ) -> Result<(), ApiError> {
        let limit = self.limits.values * 2;
        let mut sum = 0usize;
        for (name, value) in variables.iter() {
            if let Some(uses) = uses.get(name.as_str()) {
                let size = size_of(value).saturating_mul(*uses as usize);
                sum = sum.saturating_add(size);
            }
        }
        match sum > limit {
            true => Err(too_complex(
                (
                    "变量的值乘以使用次数",
                    "values of variables, counted at each use",
                ),
                limit,
            )),
            false => Ok(()),
        }
    }

    /// The limits that documents are held to.
    pub fn limits(&self) -> &DocumentLimits {
        &self.limits
    }

    /// Checks a document against every limit and tells what its operations are. Page sizes in
    /// variables count as the default.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX with the limit; GRAPHQL_VALIDATION_FAILED for a fragment that contains
    /// itself.
    pub fn check(&self, document: &ExecutableDocument) -> Result<Vec<Operation>, ApiError> {
        if document.fragments.len() > self.limits.fragments {
            return Err(too_complex(("片段", "fragments"), self.limits.fragments));
        }
        let counts = count(document);
        if counts.aliases > self.limits.aliases {
            return Err(too_complex(
                ("别名", "aliases"),
                self.limits.aliases as usize,
            ));
        }
        if counts.directives > self.limits.directives {
            return Err(too_complex(
                ("指令", "directives"),
                self.limits.directives as usize,
            ));
        }
        let mut total = 0;
        let mut operations = Vec::new();
        for (name, operation) in document.operations.iter() {
            let name = name.map(ToString::to_string).unwrap_or_default();
            let mut walk = Walk::new(self, &document.fragments, &operation.node, None);
            operations.push(self.check_operation(&mut walk, name)?);
            total = walk.total_selections.saturating_add(total);
            self.check_total(total)?;
        }
        // The validation walks through every fragment, used or not.
        if let Some((_, operation)) = document.operations.iter().next() {
            let mut walk = Walk::new(self, &document.fragments, &operation.node, None);
            for name in document.fragments.keys() {
                total = walk
                    .fragment(name.as_str(), None)?
                    .selections
                    .saturating_add(total);
                self.check_total(total)?;
            }
        }
        Ok(operations)
    }

    /// Operations that do not run are validated all the same.
    fn check_total(&self, selections: u32) -> Result<(), ApiError> {
        match selections > self.limits.selections.saturating_mul(4) {
            true => Err(too_complex(SELECTIONS, self.limits.selections as usize)),
            false => Ok(()),
        }
    }

    fn check_operation(&self, walk: &mut Walk<'_>, name: String) -> Result<Operation, ApiError> {
        let operation = walk.operation;
        let measures = walk.selections(&operation.selection_set.node, root(operation.ty), None)?;
        walk.total_selections = measures.selections;
        let limits = &self.limits;
        for (value, limit, name) in [
            (
                measures.depth,
                limits.depth,
                ("字段深度", "depth of fields"),
            ),
            (
                measures.introspection_depth,
                limits.introspection_depth,
                ("内省深度", "depth of the introspection"),
            ),
            (
                measures.introspection_lists,
                MAX_INTROSPECTION_LISTS,
                (
                    "内省列表嵌套",
                    "lists of the introspection inside each other",
                ),
            ),
            (measures.selections, limits.selections, SELECTIONS),
            (measures.cost.div_ceil(OBJECT), limits.cost, COST),
        ] {
            if value > limit {
                return Err(too_complex(name, limit as usize));
            }
        }
        let has_variable_cost = walk.has_variable_page;
        let mut root_fields = Vec::new();
        collect_root_fields(
            walk.fragments_of_document,
            &operation.selection_set.node,
            limits.root_fields,
            &mut root_fields,
        );
        if root_fields.len() > limits.root_fields {
            return Err(too_complex(("根字段", "root fields"), limits.root_fields));
        }
        let parent = root(operation.ty);
        let facts = root_fields
            .iter()
            .map(|name| self.fields.find(parent, name));
        let mut prefixes = facts
            .clone()
            .flatten()
            .filter_map(|facts| facts.failure_prefix);
        Ok(Operation {
            name,
            kind: operation.ty,
            selections: measures.selections,
            charges: Charges::of(operation.ty, facts),
            cost: measures.cost.div_ceil(OBJECT),
            asks_for_schema: root_fields
                .iter()
                .any(|name| matches!(*name, "__schema" | "__type")),
            failure_prefix: prefixes.next().map(|prefix| prefix()),
            has_variable_cost,
        })
    }

    /// What is known of fields.
    pub fn fields(&self) -> &FieldTable {
        &self.fields
    }

    /// What an operation without fragments costs with these variables, in objects.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX.
    pub fn check_cost(
        &self,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Result<u32, ApiError> {
        let fragments = HashMap::new();
        let mut walk = Walk::new(self, &fragments, operation, Some(variables));
        let measures = walk.selections(&operation.selection_set.node, root(operation.ty), None)?;
        let cost = measures.cost.div_ceil(OBJECT);
        match cost > self.limits.cost {
            true => Err(too_complex(COST, self.limits.cost as usize)),
            false => Ok(cost),
        }
    }
}

const COST: (&str, &str) = ("开销", "cost");
const SELECTIONS: (&str, &str) = ("展开后的字段", "fields with fragments expanded");

/// Sizes of a part of a document; sums stop at the largest number.
#[derive(Debug, Clone, Copy, Default)]
struct Measures {
    depth: u32,
    introspection_depth: u32,
    introspection_lists: u32,
    selections: u32,
    cost: u32,
}

impl Measures {
    fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            introspection_depth: self.introspection_depth.max(other.introspection_depth),
            introspection_lists: self.introspection_lists.max(other.introspection_lists),
            selections: self.selections.saturating_add(other.selections),
            cost: self.cost.saturating_add(other.cost),
        }
    }
}

struct Walk<'a> {
    analyst: &'a Analyst,
    fragments_of_document: &'a Fragments,
    operation: &'a OperationDefinition,
    variables: Option<&'a Variables>,
    has_variable_page: bool,
    total_selections: u32,
    /// Measures by fragment and page size; `None` while the fragment is being measured.
    fragments: HashMap<(&'a str, Option<u32>), Option<Measures>>,
}

impl<'a> Walk<'a> {
    fn new(
        analyst: &'a Analyst,
        fragments_of_document: &'a Fragments,
        operation: &'a OperationDefinition,
        variables: Option<&'a Variables>,
    ) -> Self {
        Self {
            analyst,
            fragments_of_document,
            operation,
            variables,
            has_variable_page: false,
            total_selections: 0,
            fragments: HashMap::new(),
        }
    }

    /// `page` is the number of entries when `parent` is a connection.
    fn selections(
        &mut self,
        selections: &'a SelectionSet,
        parent: &'a str,
        page: Option<u32>,
    ) -> Result<Measures, ApiError> {
        let mut sum = Measures::default();
        for selection in &selections.items {
            // A spread counts too: what it stands for may be empty, and yet be looked at.
            sum.selections = sum.selections.saturating_add(1);
            let measures = match &selection.node {
                Selection::Field(field) => self.field(&field.node, parent, page)?,
                Selection::InlineFragment(fragment) => {
                    let fragment = &fragment.node;
                    let condition = fragment.type_condition.as_ref();
                    let on = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.selections(&fragment.selection_set.node, on, page)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(spread.node.fragment_name.node.as_str(), page)?
                }
            };
            sum = sum.beside(measures);
        }
        Ok(sum)
    }

    fn fragment(&mut self, name: &'a str, page: Option<u32>) -> Result<Measures, ApiError> {
        match self.fragments.get(&(name, page)) {
            Some(Some(measures)) => return Ok(*measures),
            Some(None) => {
                return Err(invalid(
                    format!("片段 {name} 包含了自身。"),
                    format!("The fragment \"{name}\" contains itself."),
                ));
            }
            None => {}
        }
        let Some(fragment) = self.fragments_of_document.get(name) else {
            // The validation will say so.
            return Ok(Measures::default());
        };
        self.fragments.insert((name, page), None);
        let on = fragment.node.type_condition.node.on.node.as_str();
        let measures = self.selections(&fragment.node.selection_set.node, on, page)?;
        self.fragments.insert((name, page), Some(measures));
        Ok(measures)
    }

    fn field(
        &mut self,
        field: &'a Field,
        parent: &'a str,
        page: Option<u32>,
    ) -> Result<Measures, ApiError> {
        let name = field.name.node.as_str();
        let selections = &field.selection_set.node;
        if matches!(name, "__schema" | "__type") {
            let below = self.selections(selections, "__Schema", None)?;
            return Ok(Measures {
                depth: 1,
                introspection_depth: below.depth.saturating_add(1),
                introspection_lists: below.introspection_lists,
                selections: below.selections,
                cost: OBJECT,
            });
        }
        let analyst = self.analyst;
        let facts = analyst.fields.find(parent, name);
        let extra = facts.map_or(0, |facts| facts.extra * OBJECT);
        if selections.items.is_empty() {
            return Ok(Measures {
                depth: 1,
                cost: extra + LEAF,
                ..Measures::default()
            });
        }
        let shape = analyst.index.field(parent, name);
        let size = match shape {
            Some(shape) if shape.is_paged => Some(self.page_size(field)),
            _ => None,
        };
        // Fields of types that are not in the schema's text are those of the introspection.
        let on = shape.map_or("__Type", |shape| shape.type_name.as_str());
        let below = self.selections(selections, on, size)?;
        let entries = match shape {
            Some(shape) if shape.is_list => page.unwrap_or_else(|| {
                let entries = facts.and_then(|facts| facts.entries);
                entries.unwrap_or(LIST_SIZE)
            }),
            _ => 1,
        };
        let own = extra
            + match parent {
                "Mutation" => MUTATION,
                _ => 0,
            };
        let is_introspection_list = shape.is_none()
            && matches!(
                name,
                "fields" | "inputFields" | "interfaces" | "possibleTypes"
            );
        Ok(Measures {
            depth: below.depth.saturating_add(1),
            introspection_depth: below.introspection_depth,
            introspection_lists: below
                .introspection_lists
                .saturating_add(u32::from(is_introspection_list)),
            selections: below.selections,
            cost: entries
                .saturating_mul(below.cost.saturating_add(OBJECT))
                .saturating_add(own),
        })
    }

    /// Entries that the page may have; a size that is no number, or too large, is refused by the
    /// field itself.
    fn page_size(&mut self, field: &Field) -> u32 {
        let pages = self.analyst.pages;
        let size = ["first", "last"]
            .into_iter()
            .filter_map(|name| field.get_argument(name))
            .filter_map(|value| self.number(&value.node))
            .max();
        size.unwrap_or(pages.default).min(pages.max)
    }

    fn number(&mut self, value: &Value) -> Option<u32> {
        let value = match value {
            Value::Number(number) => return number.as_u64().map(saturate),
            Value::Variable(name) => {
                self.has_variable_page = true;
                let given = self.variables.and_then(|variables| variables.get(name));
                let definitions = &self.operation.variable_definitions;
                given.or_else(|| {
                    let definition = definitions.iter().find(|d| d.node.name.node == *name)?;
                    Some(&definition.node.default_value.as_ref()?.node)
                })?
            }
            _ => return None,
        };
        match value {
            ConstValue::Number(number) => number.as_u64().map(saturate),
            _ => None,
        }
    }
}

fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Names of the root fields, at most one more than `limit`. The document has no fragment that
/// contains itself.
fn collect_root_fields<'a>(
    fragments: &'a Fragments,
    selections: &'a SelectionSet,
    limit: usize,
    found: &mut Vec<&'a str>,
) {
    for selection in &selections.items {
        if found.len() > limit {
            return;
        }
        match &selection.node {
            Selection::Field(field) => found.push(field.node.name.node.as_str()),
            Selection::InlineFragment(fragment) => {
                collect_root_fields(fragments, &fragment.node.selection_set.node, limit, found);
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    let selections = &fragment.node.selection_set.node;
                    collect_root_fields(fragments, selections, limit, found);
                }
            }
        }
    }
}

/// Values, and bytes of text as values. The nesting of variables is limited.
fn size_of(value: &ConstValue) -> usize {
    1 + match value {
        ConstValue::String(text) => text.len() / BYTES_PER_VALUE,
        ConstValue::List(items) => items.iter().map(size_of).sum(),
        ConstValue::Object(fields) => fields.values().map(size_of).sum(),
        _ => 0,
    }
}
