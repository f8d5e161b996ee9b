//! Long texts of one answer: lists that hold them are read one after the other, until the answer
//! could hold no more of them. All at once they would take many times the memory of what is
//! answered.

use async_graphql::Context;
use tokio::sync::{Mutex, MutexGuard};

use crate::graphql::error::{ApiError, too_complex};
use crate::graphql::scope::{PerRequest, RequestScope};

/// What the answer to one request may still hold of long texts.
#[derive(Debug)]
pub struct Texts {
    max: usize,
    left: Mutex<Left>,
}

/// Bytes that may still be read, and that may still stand in the answer.
#[derive(Debug)]
struct Left {
    read: usize,
    shown: usize,
}

/// The right to read the next list, until it is dropped.
#[derive(Debug)]
pub struct Reading<'a> {
    max: usize,
    left: MutexGuard<'a, Left>,
}

impl PerRequest for Texts {
    fn make(_: &Context<'_>, scope: &RequestScope) -> Result<Self, ApiError> {
        Ok(Self::new(match scope.deadline {
            Some(_) => scope.max_reply_bytes,
            // A subscription answers again and again; each event is measured when it is done.
            None => usize::MAX,
        }))
    }
}

impl Texts {
    /// Texts of `max` bytes in all.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            left: Mutex::new(Left {
                read: max,
                shown: max,
            }),
        }
    }

    /// Waits until the lists before have been read.
    pub async fn next(&self) -> Reading<'_> {
        Reading {
            max: self.max,
            left: self.left.lock().await,
        }
    }
}

impl Reading<'_> {
    /// Counts the texts that were read.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX when an answer cannot hold them all; nothing more is read then.
    pub fn took(&mut self, texts: impl IntoIterator<Item = usize>) -> Result<(), ApiError> {
        let left = self.left.read.checked_sub(texts.into_iter().sum());
        self.left.read = left.unwrap_or_default();
        left.map(drop).ok_or_else(|| self.too_much())
    }

    /// Counts a text that stands in the answer, at each place where it does.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX when an answer cannot hold them all.
    pub fn shows(&mut self, bytes: usize) -> Result<(), ApiError> {
        let left = self.left.shown.checked_sub(bytes);
        self.left.shown = left.unwrap_or_default();
        left.map(drop).ok_or_else(|| self.too_much())
    }

    /// Whether another list may be read.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX when those before were too much already.
    pub fn check(&self) -> Result<(), ApiError> {
        match self.left.read {
            0 => Err(self.too_much()),
            _ => Ok(()),
        }
    }

    fn too_much(&self) -> ApiError {
        too_complex(("应答字节数", "bytes of a reply"), self.max)
    }
}
