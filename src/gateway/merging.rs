//! What an operation selects, with fragments put in their places and the fields of one response
//! name made one (the specification's CollectFields).
//!
//! The executor resolves a field each time that it is selected and joins the answers: it would run
//! a mutation twice, and show half of an object of which the other half failed.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, Field, FragmentDefinition, InlineFragment, OperationDefinition, Selection,
    SelectionSet, TypeCondition,
};
use async_graphql::{Name, Positioned, Value as ConstValue, Variables};
use async_graphql_value::Value;

use crate::gateway::schema_index::{SchemaIndex, root};

/// Fragments by name.
pub type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Whether a selection stands under a condition whose value a variable has.
pub fn has_variable_condition(set: &SelectionSet, fragments: &Fragments) -> bool {
    let is_variable = |directive: &Positioned<Directive>| {
        let condition = directive.node.get_argument("if");
        condition.is_some_and(|value| matches!(value.node, Value::Variable(_)))
    };
    set.items.iter().any(|selection| {
        selection.node.directives().iter().any(is_variable)
            || match &selection.node {
                Selection::Field(field) => {
                    has_variable_condition(&field.node.selection_set.node, fragments)
                }
                Selection::InlineFragment(fragment) => {
                    has_variable_condition(&fragment.node.selection_set.node, fragments)
                }
                Selection::FragmentSpread(spread) => fragments
                    .get(&spread.node.fragment_name.node)
                    .is_some_and(|fragment| {
                        has_variable_condition(&fragment.node.selection_set.node, fragments)
                    }),
            }
    })
}

/// The operation without fragments, conditions and repeated fields. Its document is valid.
///
/// On an interface what is selected for one type stays a fragment; fields of the interface itself
/// are not joined with those, which makes no difference as long as they are leaves.
pub fn merged(
    operation: &OperationDefinition,
    fragments: &Fragments,
    index: &SchemaIndex,
    variables: &Variables,
) -> OperationDefinition {
    let merge = Merge {
        fragments,
        index,
        variables,
    };
    let set = &operation.selection_set;
    OperationDefinition {
        ty: operation.ty,
        variable_definitions: operation.variable_definitions.clone(),
        directives: Vec::new(),
        selection_set: Positioned::new(merge.set(&[&set.node], root(operation.ty)), set.pos),
    }
}

struct Merge<'a> {
    fragments: &'a Fragments,
    index: &'a SchemaIndex,
    variables: &'a Variables,
}

/// A field to be selected, and what stands below it wherever it was found.
struct Entry<'a> {
    /// The type of a fragment on an interface.
    condition: Option<&'a Positioned<TypeCondition>>,
    field: &'a Positioned<Field>,
    parts: Vec<&'a SelectionSet>,
}

#[derive(Default)]
struct Collected<'a> {
    entries: Vec<Entry<'a>>,
    /// Entries by condition and response name.
    places: HashMap<(Option<&'a str>, &'a str), usize>,
    /// Fragments that were put in their places, by condition.
    visited: HashSet<(Option<&'a str>, &'a str)>,
}

impl<'a> Merge<'a> {
    fn set(&self, parts: &[&'a SelectionSet], parent: &str) -> SelectionSet {
        let mut collected = Collected::default();
        for part in parts {
            self.collect(part, parent, None, &mut collected);
        }
        let mut items: Vec<Positioned<Selection>> = Vec::with_capacity(collected.entries.len());
        for entry in collected.entries {
            let place = entry.field.pos;
            let on = entry.condition.map(|condition| &condition.node.on.node);
            let field = self.field(&entry, on.map_or(parent, |on| on.as_str()));
            let field = Positioned::new(Selection::Field(Positioned::new(field, place)), place);
            let Some(condition) = entry.condition else {
                items.push(field);
                continue;
            };
            if let Some(Selection::InlineFragment(last)) =
                items.last_mut().map(|item| &mut item.node)
                && last.node.type_condition.as_ref().map(|c| &c.node.on.node) == on
            {
                last.node.selection_set.node.items.push(field);
                continue;
            }
            let fragment = InlineFragment {
                type_condition: Some(condition.clone()),
                directives: Vec::new(),
                selection_set: Positioned::new(SelectionSet { items: vec![field] }, place),
            };
            let fragment = Positioned::new(fragment, place);
            items.push(Positioned::new(Selection::InlineFragment(fragment), place));
        }
        SelectionSet { items }
    }

    fn field(&self, entry: &Entry<'a>, parent: &str) -> Field {
        let Positioned { node: field, .. } = entry.field;
        let below = self.index.field(parent, field.name.node.as_str());
        let below = below.map_or("", |known| known.type_name.as_str());
        Field {
            alias: field.alias.clone(),
            name: field.name.clone(),
            arguments: field.arguments.clone(),
            directives: Vec::new(),
            selection_set: Positioned::new(self.set(&entry.parts, below), field.selection_set.pos),
        }
    }

    fn collect(
        &self,
        set: &'a SelectionSet,
        parent: &str,
        condition: Option<&'a Positioned<TypeCondition>>,
        collected: &mut Collected<'a>,
    ) {
        let scope = condition.map(|condition| condition.node.on.node.as_str());
        for selection in &set.items {
            let mut conditions = selection.node.directives().iter();
            if conditions.any(|directive| self.leaves_out(&directive.node)) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let part = &field.node.selection_set.node;
                    let key = (scope, field.node.response_key().node.as_str());
                    let next = collected.entries.len();
                    let place = *collected.places.entry(key).or_insert(next);
                    match collected.entries.get_mut(place) {
                        Some(entry) => entry.parts.push(part),
                        None => collected.entries.push(Entry {
                            condition,
                            field,
                            parts: vec![part],
                        }),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let fragment = &fragment.node;
                    let on = fragment.type_condition.as_ref();
                    self.fragment(
                        &fragment.selection_set.node,
                        on,
                        parent,
                        condition,
                        collected,
                    );
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.fragments.get(name)
                        && collected.visited.insert((scope, name.as_str()))
                    {
                        let fragment = &fragment.node;
                        let on = Some(&fragment.type_condition);
                        self.fragment(
                            &fragment.selection_set.node,
                            on,
                            parent,
                            condition,
                            collected,
                        );
                    }
                }
            }
        }
    }

    fn fragment(
        &self,
        set: &'a SelectionSet,
        on: Option<&'a Positioned<TypeCondition>>,
        parent: &str,
        condition: Option<&'a Positioned<TypeCondition>>,
        collected: &mut Collected<'a>,
    ) {
        let scope = condition.map_or(parent, |condition| condition.node.on.node.as_str());
        let Some(on) = on else {
            return self.collect(set, parent, condition, collected);
        };
        let type_name = on.node.on.node.as_str();
        // The introspection has objects alone, which are not in the index.
        if scope.is_empty() || self.index.is_a(scope, type_name) {
            self.collect(set, parent, condition, collected);
        } else if self.index.is_abstract(scope) {
            self.collect(set, parent, Some(on), collected);
        }
    }

    fn leaves_out(&self, directive: &Directive) -> bool {
        let condition = match directive.get_argument("if").map(|value| &value.node) {
            Some(Value::Boolean(condition)) => *condition,
            Some(Value::Variable(name)) => {
                self.variables.get(name) == Some(&ConstValue::Boolean(true))
            }
            _ => return false,
        };
        match directive.name.node.as_str() {
            "skip" => condition,
            "include" => !condition,
            _ => false,
        }
    }
}
