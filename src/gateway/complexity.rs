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
use async_graphql::{Name, Value as ConstValue, Variables};
use async_graphql_value::Value;

use crate::gateway::counts::count;
use crate::gateway::merging::Fragments;
use crate::gateway::rate_limits::Charges;
use crate::gateway::refusal::{invalid, too_complex};
use crate::gateway::schema_index::{SchemaIndex, root};
use crate::graphql::error::ApiError;
use crate::graphql::fields::{FieldFacts, FieldTable};
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
/// Memory for a tenth of an object, in bytes.
const BYTES_PER_TENTH: u64 = 100;
/// How often a text is in memory while it is answered: in its row, as a value, in the reply.
const COPIES: u64 = 3;
/// Whatever returns more objects than this is heavy: it takes a millisecond or more at once.
const HEAVY: u32 = 300 * OBJECT;
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
    /// What it takes; as far as that depends on variables, without them.
    pub size: Size,
    /// Whether it asks for the schema itself.
    pub asks_for_schema: bool,
    /// Stands before the message of an error that keeps it from being executed.
    pub failure_prefix: Option<Message>,
    /// Fields that it selects, fragments put in their places.
    pub selections: u32,
    /// Whether its size depends on a variable, so that [`Analyst::measure`] must look again.
    pub has_variable_size: bool,
    /// Whether it answers everyone with the same role alike.
    pub is_impersonal: bool,
}

/// What an operation takes, as far as that is known before it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// What it costs, in objects.
    pub cost: u32,
    /// Memory for its rows and its reply, in bytes.
    pub bytes: u64,
    /// Whether it takes many rows, or looks at many.
    pub is_heavy: bool,
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
            (measures.size().cost, limits.cost, COST),
        ] {
            if value > limit {
                return Err(too_complex(name, limit as usize));
            }
        }
        let has_variable_size = walk.has_variable_size;
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
            size: measures.size(),
            asks_for_schema: root_fields
                .iter()
                .any(|name| matches!(*name, "__schema" | "__type")),
            failure_prefix: prefixes.next().map(|prefix| prefix()),
            has_variable_size,
            is_impersonal: !measures.is_personal,
        })
    }

    /// What is known of fields.
    pub fn fields(&self) -> &FieldTable {
        &self.fields
    }

    /// What an operation without fragments takes with these variables.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX.
    pub fn measure(
        &self,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Result<Size, ApiError> {
        let fragments = HashMap::new();
        let mut walk = Walk::new(self, &fragments, operation, Some(variables));
        let measures = walk.selections(&operation.selection_set.node, root(operation.ty), None)?;
        let size = measures.size();
        match size.cost > self.limits.cost {
            true => Err(too_complex(COST, self.limits.cost as usize)),
            false => Ok(size),
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
    /// What it costs besides to look at many rows, which one statement does for a whole level.
    looked_at: u32,
    /// Of the cost, what comes back.
    returned: u32,
    /// Long texts, in bytes.
    text: u64,
    is_heavy: bool,
    is_personal: bool,
}

impl Measures {
    fn size(&self) -> Size {
        Size {
            cost: self.cost.saturating_add(self.looked_at).div_ceil(OBJECT),
            bytes: self
                .text
                .saturating_mul(COPIES)
                .saturating_add(u64::from(self.returned) * BYTES_PER_TENTH),
            is_heavy: self.is_heavy || self.returned > HEAVY,
        }
    }

    fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            introspection_depth: self.introspection_depth.max(other.introspection_depth),
            introspection_lists: self.introspection_lists.max(other.introspection_lists),
            selections: self.selections.saturating_add(other.selections),
            cost: self.cost.saturating_add(other.cost),
            looked_at: self.looked_at.saturating_add(other.looked_at),
            returned: self.returned.saturating_add(other.returned),
            text: self.text.saturating_add(other.text),
            is_heavy: self.is_heavy | other.is_heavy,
            is_personal: self.is_personal | other.is_personal,
        }
    }
}

struct Walk<'a> {
    analyst: &'a Analyst,
    fragments_of_document: &'a Fragments,
    operation: &'a OperationDefinition,
    variables: Option<&'a Variables>,
    has_variable_size: bool,
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
            has_variable_size: false,
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
                returned: OBJECT,
                ..Measures::default()
            });
        }
        let analyst = self.analyst;
        let facts = analyst.fields.find(parent, name);
        let narrowing = facts.map_or(0, |facts| self.narrowing(field, facts));
        let extra = facts.map_or(0, |facts| facts.extra * OBJECT);
        let looked_at = narrowing * OBJECT;
        let is_heavy = narrowing > 0;
        let is_personal = facts.is_some_and(|facts| facts.is_personal);
        if selections.items.is_empty() {
            return Ok(Measures {
                depth: 1,
                cost: extra + LEAF,
                looked_at,
                returned: LEAF,
                text: facts.map_or(0, |facts| facts.text.into()),
                is_heavy,
                is_personal,
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
            looked_at: below.looked_at.saturating_add(looked_at),
            returned: entries.saturating_mul(below.returned.saturating_add(OBJECT)),
            text: below.text.saturating_mul(entries.into()),
            is_heavy: below.is_heavy | is_heavy,
            is_personal: below.is_personal | is_personal,
        })
    }

    /// What it costs to look at many rows for arguments, in objects: once, whatever is looked for.
    fn narrowing(&mut self, field: &Field, facts: &FieldFacts) -> u32 {
        let given = facts
            .narrowed_by
            .iter()
            .filter(|(path, _)| self.is_given(field, path));
        given.map(|(_, cost)| *cost).max().unwrap_or_default()
    }

    /// Whether the field has an argument, or a field of one, that is not null.
    fn is_given(&mut self, field: &Field, path: &[&str]) -> bool {
        let Some((name, path)) = path.split_first() else {
            return false;
        };
        let Some(value) = field.get_argument(name) else {
            return false;
        };
        let mut value = &value.node;
        for (place, name) in path.iter().enumerate() {
            match value {
                Value::Variable(variable) => {
                    return self.is_given_by(variable, &path[place..]);
                }
                Value::Object(fields) => match fields.get(*name) {
                    Some(inner) => value = inner,
                    None => return false,
                },
                _ => return false,
            }
        }
        match value {
            Value::Variable(variable) => self.is_given_by(variable, &[]),
            value => *value != Value::Null,
        }
    }

    fn is_given_by(&mut self, variable: &Name, path: &[&str]) -> bool {
        self.has_variable_size = true;
        let mut value = self.variable(variable);
        for name in path {
            value = match value {
                Some(ConstValue::Object(fields)) => fields.get(*name),
                _ => None,
            };
        }
        value.is_some_and(|value| *value != ConstValue::Null)
    }

    /// The value of a variable, or its default.
    fn variable(&self, name: &Name) -> Option<&ConstValue> {
        let given = self.variables.and_then(|variables| variables.get(name));
        given.or_else(|| {
            let definitions = &self.operation.variable_definitions;
            let definition = definitions.iter().find(|d| d.node.name.node == *name)?;
            Some(&definition.node.default_value.as_ref()?.node)
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
                self.has_variable_size = true;
                self.variable(name)?
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
