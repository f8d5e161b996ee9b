//! The schema as the checks of a document need it: which fields are objects, lists and pages, and what their arguments take.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    FieldDefinition, InputValueDefinition, OperationType, ServiceDocument, Type, TypeKind,
    TypeSystemDefinition,
};

/// Fields by type.
#[derive(Debug, Default)]
pub struct Shape {
    outputs: HashMap<String, HashMap<String, FieldShape>>,
    inputs: HashMap<String, HashMap<String, InputShape>>,
    enums: HashSet<String>,
}

/// What a field gives.
#[derive(Debug)]
pub struct FieldShape {
    /// Name of its type without brackets.
    pub type_name: String,
    /// Whether it is a list of objects.
    pub is_list: bool,
    /// Whether `first` or `last` say how long the list below it is.
    pub is_paged: bool,
    /// What it takes.
    pub arguments: HashMap<String, InputShape>,
}

/// What an argument or an input field takes.
#[derive(Debug)]
pub struct InputShape {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out although its type is not nullable.
    pub has_default: bool,
}

impl From<&InputValueDefinition> for InputShape {
    fn from(definition: &InputValueDefinition) -> Self {
        Self {
            ty: definition.ty.node.clone(),
            has_default: definition.default_value.is_some(),
        }
    }
}

impl Shape {
    /// Reads the schema once.
    pub fn new(schema: &ServiceDocument) -> Self {
        let mut this = Self::default();
        let mut leaves: HashSet<String> = ["Int", "Float", "String", "Boolean", "ID"]
            .map(str::to_owned)
            .into();
        for definition in &schema.definitions {
            let TypeSystemDefinition::Type(definition) = definition else {
                continue;
            };
            let name = definition.node.name.node.to_string();
            let fields = match &definition.node.kind {
                TypeKind::Object(object) => &object.fields,
                TypeKind::Interface(interface) => &interface.fields,
                TypeKind::InputObject(input) => {
                    let fields = input.fields.iter().map(|field| &field.node);
                    this.inputs.insert(name, fields.map(named_input).collect());
                    continue;
                }
                TypeKind::Enum(_) => {
                    this.enums.insert(name.clone());
                    leaves.insert(name);
                    continue;
                }
                TypeKind::Scalar => {
                    leaves.insert(name);
                    continue;
                }
                TypeKind::Union(_) => continue,
            };
            let fields = fields
                .iter()
                .map(|field| (field.node.name.node.to_string(), shape_of(&field.node)));
            this.outputs.insert(name, fields.collect());
        }
        for field in this.outputs.values_mut().flat_map(HashMap::values_mut) {
            field.is_list &= !leaves.contains(&field.type_name);
        }
        this
    }

    /// The field of this name; `None` when there is none, or only in the introspection.
    pub fn field(&self, type_name: &str, field: &str) -> Option<&FieldShape> {
        self.outputs.get(type_name)?.get(field)
    }

    /// Whether there is an object or interface of this name.
    pub fn has_type(&self, name: &str) -> bool {
        self.outputs.contains_key(name)
    }

    /// The fields of an input type.
    pub fn input(&self, type_name: &str) -> Option<&HashMap<String, InputShape>> {
        self.inputs.get(type_name)
    }

    /// Whether the type is an enum.
    pub fn is_enum(&self, type_name: &str) -> bool {
        self.enums.contains(type_name)
    }
}

fn named_input(definition: &InputValueDefinition) -> (String, InputShape) {
    (definition.name.node.to_string(), definition.into())
}

fn shape_of(field: &FieldDefinition) -> FieldShape {
    let type_text = field.ty.node.to_string();
    let arguments = field.arguments.iter().map(|argument| &argument.node);
    FieldShape {
        is_list: type_text.starts_with('['),
        type_name: type_text
            .chars()
            .filter(|c| !matches!(c, '[' | ']' | '!'))
            .collect(),
        is_paged: arguments
            .clone()
            .any(|argument| matches!(argument.name.node.as_str(), "first" | "last")),
        arguments: arguments.map(named_input).collect(),
    }
}

/// The root type of an operation.
pub fn root(kind: OperationType) -> &'static str {
    match kind {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    }
}
