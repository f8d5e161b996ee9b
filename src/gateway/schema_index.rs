//! The schema as the checks of a document need it: which fields are objects, lists and pages, and
//! what inputs take.

use std::collections::{HashMap, HashSet};

use async_graphql::Name;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, OperationType, ServiceDocument, Type,
    TypeKind, TypeSystemDefinition,
};

/// Types by name.
#[derive(Debug, Default)]
pub struct SchemaIndex {
    outputs: HashMap<String, HashMap<String, OutputField>>,
    inputs: HashMap<String, Input>,
    /// Interfaces and unions.
    abstracts: HashSet<String>,
    /// Which interfaces an object implements, and which unions it belongs to.
    supertypes: HashSet<(String, String)>,
}

/// What a field of an object gives.
#[derive(Debug)]
pub struct OutputField {
    /// Whether it may be null.
    pub is_nullable: bool,
    /// Name of its type without brackets.
    pub type_name: String,
    /// Whether it is a list of objects.
    pub is_list: bool,
    /// Whether `first` or `last` say how long the list below it is.
    pub is_paged: bool,
    /// What it takes.
    pub arguments: HashMap<String, InputField>,
}

/// What an argument or an input field takes.
#[derive(Debug)]
pub struct InputField {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out although its type is not nullable.
    pub has_default: bool,
}

impl InputField {
    /// Whether null stands for the default (the contract's rule for input fields).
    pub fn takes_null_for_default(&self) -> bool {
        self.has_default && !self.ty.nullable
    }
}

/// What values of a type look like.
#[derive(Debug)]
pub enum Input {
    /// A scalar of the schema's own, or one that GraphQL has.
    Scalar,
    /// One of these names.
    Enum(HashSet<String>),
    /// An object.
    Object {
        /// Its fields.
        fields: HashMap<String, InputField>,
        /// Whether exactly one of them must be given.
        is_one_of: bool,
    },
}

impl From<&InputValueDefinition> for InputField {
    fn from(definition: &InputValueDefinition) -> Self {
        Self {
            ty: definition.ty.node.clone(),
            has_default: definition.default_value.is_some(),
        }
    }
}

impl SchemaIndex {
    /// Reads the schema once.
    pub fn new(schema: &ServiceDocument) -> Self {
        let mut this = Self::default();
        for name in ["Int", "Float", "String", "Boolean", "ID"] {
            this.inputs.insert(name.to_owned(), Input::Scalar);
        }
        for definition in &schema.definitions {
            let TypeSystemDefinition::Type(definition) = definition else {
                continue;
            };
            let definition = &definition.node;
            let name = definition.name.node.to_string();
            let fields = match &definition.kind {
                TypeKind::Object(object) => {
                    let interfaces = object.implements.iter();
                    this.supertypes.extend(
                        interfaces.map(|interface| (name.clone(), interface.node.to_string())),
                    );
                    &object.fields
                }
                TypeKind::Interface(interface) => {
                    this.abstracts.insert(name.clone());
                    &interface.fields
                }
                TypeKind::InputObject(input) => {
                    let fields = input.fields.iter().map(|field| named(&field.node));
                    let mut directives = definition.directives.iter();
                    let input = Input::Object {
                        fields: fields.collect(),
                        is_one_of: directives.any(|d| d.node.name.node == "oneOf"),
                    };
                    this.inputs.insert(name, input);
                    continue;
                }
                TypeKind::Enum(values) => {
                    let values = values.values.iter();
                    let values = values.map(|value| value.node.value.node.to_string());
                    this.inputs.insert(name, Input::Enum(values.collect()));
                    continue;
                }
                TypeKind::Scalar => {
                    this.inputs.insert(name, Input::Scalar);
                    continue;
                }
                TypeKind::Union(union) => {
                    let members = union.members.iter();
                    this.supertypes
                        .extend(members.map(|member| (member.node.to_string(), name.clone())));
                    this.abstracts.insert(name);
                    continue;
                }
            };
            let fields = fields
                .iter()
                .map(|field| (field.node.name.node.to_string(), output(&field.node)));
            this.outputs.insert(name, fields.collect());
        }
        let leaves = &this.inputs;
        for field in this.outputs.values_mut().flat_map(HashMap::values_mut) {
            field.is_list &= !leaves.contains_key(&field.type_name);
        }
        this
    }

    /// The field of this name; `None` when there is none, or only in the introspection.
    pub fn field(&self, type_name: &str, field: &str) -> Option<&OutputField> {
        self.outputs.get(type_name)?.get(field)
    }

    /// Whether the type is an interface or a union.
    pub fn is_abstract(&self, type_name: &str) -> bool {
        self.abstracts.contains(type_name)
    }

    /// Whether every object of the type `object` is one of the type `other`.
    pub fn is_a(&self, object: &str, other: &str) -> bool {
        object == other
            || self
                .supertypes
                .contains(&(object.to_owned(), other.to_owned()))
    }

    /// The input type of this name.
    pub fn input(&self, type_name: &str) -> Option<&Input> {
        self.inputs.get(type_name)
    }
}

fn named(definition: &InputValueDefinition) -> (String, InputField) {
    (definition.name.node.to_string(), definition.into())
}

fn output(field: &FieldDefinition) -> OutputField {
    let type_text = field.ty.node.to_string();
    let arguments = field.arguments.iter().map(|argument| &argument.node);
    OutputField {
        is_nullable: field.ty.node.nullable,
        is_list: type_text.starts_with('['),
        type_name: type_text
            .chars()
            .filter(|c| !matches!(c, '[' | ']' | '!'))
            .collect(),
        is_paged: arguments
            .clone()
            .any(|argument| matches!(argument.name.node.as_str(), "first" | "last")),
        arguments: arguments.map(named).collect(),
    }
}

/// `__type`, which takes the one argument of the introspection that may not be null.
pub fn type_lookup() -> OutputField {
    let argument = InputField {
        ty: Type {
            base: BaseType::Named(Name::new("String")),
            nullable: false,
        },
        has_default: false,
    };
    OutputField {
        is_nullable: true,
        type_name: "__Type".to_owned(),
        is_list: false,
        is_paged: false,
        arguments: HashMap::from([("name".to_owned(), argument)]),
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
