//! What every feature's GraphQL code shares. Knows no feature.

pub mod context;
pub mod error;
pub mod fields;
pub mod keyset;
pub mod loader;
pub mod pagination;
pub mod scalars;
pub mod scope;
pub mod texts;

use async_graphql::{InputType, MaybeUndefined};

use crate::platform::patch::Patch;

impl<T: InputType> From<MaybeUndefined<T>> for Patch<T> {
    fn from(value: MaybeUndefined<T>) -> Self {
        match value {
            MaybeUndefined::Undefined => Self::Keep,
            MaybeUndefined::Null => Self::Clear,
            MaybeUndefined::Value(value) => Self::Set(value),
        }
    }
}
