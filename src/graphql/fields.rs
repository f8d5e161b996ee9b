//! What the gateway has to know of fields besides their types. Each feature says it of its own
//! fields, beside its resolvers.

use std::collections::HashMap;

use crate::platform::locale::Message;

/// How an operation with the field counts for rate limits, besides its cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Class {
    /// A mutation is a write.
    #[default]
    Plain,
    /// Tells who has an account, as a sign-in might.
    Enumerates,
    /// Opens a session, checks a password or uses a code of another server. A request may have one.
    SignIn,
}

/// What is known of one field.
#[derive(Debug, Clone, Copy)]
pub struct FieldFacts {
    /// The type that has it.
    pub parent: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Entries that a list without pages may have, as a rule at the most.
    pub entries: Option<u32>,
    /// What it costs besides what it returns, in objects: statements, questions to other servers.
    pub extra: u32,
    /// Arguments, or fields of them by their path, for which many rows are looked at, and what that
    /// costs, in objects; of several the most.
    pub narrowed_by: &'static [(&'static [&'static str], u32)],
    /// Longest text of a leaf, in bytes, when it is long.
    pub text: u32,
    /// Whether it answers people with the same role differently.
    pub is_personal: bool,
    /// How it counts.
    pub class: Class,
    /// Whether it answers callers who have not signed in; of root fields.
    pub is_public: bool,
    /// What stands before the message of an error that keeps it from being executed.
    pub failure_prefix: Option<fn() -> Message>,
}

/// A field of which nothing is known yet.
pub const fn field(parent: &'static str, name: &'static str) -> FieldFacts {
    FieldFacts {
        parent,
        name,
        entries: None,
        extra: 0,
        narrowed_by: &[],
        text: 0,
        is_personal: false,
        class: Class::Plain,
        is_public: false,
        failure_prefix: None,
    }
}

impl FieldFacts {
    /// It is a list without pages.
    #[must_use]
    pub const fn entries(mut self, number: u32) -> Self {
        self.entries = Some(number);
        self
    }

    /// Its cost besides what it returns, in objects.
    #[must_use]
    pub const fn costs(mut self, objects: u32) -> Self {
        self.extra = objects;
        self
    }

    /// What it costs more with arguments for which many rows are looked at, in objects.
    #[must_use]
    pub const fn narrowed_by(
        mut self,
        arguments: &'static [(&'static [&'static str], u32)],
    ) -> Self {
        self.narrowed_by = arguments;
        self
    }

    /// It is a long text, of `bytes` at most.
    #[must_use]
    pub const fn text(mut self, bytes: u32) -> Self {
        self.text = bytes;
        self
    }

    /// It answers people with the same role differently.
    #[must_use]
    pub const fn personal(mut self) -> Self {
        self.is_personal = true;
        self
    }

    /// It opens a session, checks a password or uses a code of another server.
    #[must_use]
    pub const fn signs_in(mut self) -> Self {
        self.class = Class::SignIn;
        self
    }

    /// It tells who has an account.
    #[must_use]
    pub const fn enumerates(mut self) -> Self {
        self.class = Class::Enumerates;
        self
    }

    /// It answers callers who have not signed in.
    #[must_use]
    pub const fn public(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// Its errors begin with these words.
    #[must_use]
    pub const fn fails_with(mut self, prefix: fn() -> Message) -> Self {
        self.failure_prefix = Some(prefix);
        self
    }
}

/// The facts of all features by type and name.
#[derive(Debug)]
pub struct FieldTable(HashMap<&'static str, HashMap<&'static str, FieldFacts>>);

impl FieldTable {
    /// A table of what each feature says.
    pub fn new(features: &[&'static [FieldFacts]]) -> Self {
        let mut table: HashMap<_, HashMap<_, _>> = HashMap::new();
        for facts in features.iter().copied().flatten() {
            let of_type = table.entry(facts.parent).or_default();
            of_type.insert(facts.name, *facts);
        }
        Self(table)
    }

    /// What is known of a field; of most there is nothing to know.
    pub fn find(&self, parent: &str, name: &str) -> Option<&FieldFacts> {
        self.0.get(parent)?.get(name)
    }
}
