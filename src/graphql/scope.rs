//! What the fields of one request share, made when the first of them asks for it: most requests
//! need little of it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Context;
use async_graphql::dataloader::DataLoader;
use tokio::time::Instant;

use crate::graphql::error::ApiError;
use crate::graphql::loader::BatchQueue;

/// Something that a request has once.
pub trait PerRequest: Sized + Send + Sync + 'static {
    /// Makes it.
    ///
    /// # Errors
    /// An internal error when what it needs is not there.
    fn make(ctx: &Context<'_>, scope: &RequestScope) -> Result<Self, ApiError>;
}

/// A loader of rows, or of answers of other servers, that a request has once.
pub trait RequestLoader: Sized + Send + Sync + 'static {
    /// Makes it.
    ///
    /// # Errors
    /// As [`PerRequest::make`].
    fn make(ctx: &Context<'_>) -> Result<Self, ApiError>;
}

impl<L: RequestLoader> PerRequest for DataLoader<L> {
    fn make(ctx: &Context<'_>, scope: &RequestScope) -> Result<Self, ApiError> {
        Ok(scope.batches.loader(L::make(ctx)?))
    }
}

/// Counts further reads, when it turns out how many rows a request has read.
pub type Meter = Box<dyn Fn(u32) + Send + Sync>;

/// One request.
pub struct RequestScope {
    batches: BatchQueue,
    /// How large its answer may be.
    pub max_reply_bytes: usize,
    /// `None` when reads are not limited.
    meter: Option<Meter>,
    /// When it has to be answered; a subscription has no such time.
    pub deadline: Option<Instant>,
    made: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl RequestScope {
    /// A request whose batches `batches` runs.
    pub fn new(
        batches: BatchQueue,
        deadline: Option<Instant>,
        max_reply_bytes: usize,
        meter: Option<Meter>,
    ) -> Self {
        Self {
            batches,
            max_reply_bytes,
            meter,
            deadline,
            made: Mutex::default(),
        }
    }

    fn find<T: PerRequest>(&self) -> Option<Arc<T>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.get(&TypeId::of::<T>())?).downcast().ok()
    }

    /// Keeps the first of those that fields made at the same time.
    fn keep<T: PerRequest>(&self, value: T) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(value));
    }
}

/// Counts further reads for the request. When its caller has fewer left, the next request is
/// refused.
pub fn charge(ctx: &Context<'_>, reads: u32) {
    let scope: Option<&RequestScope> = ctx.data_opt();
    if let Some(meter) = scope.and_then(|scope| scope.meter.as_ref()) {
        meter(reads);
    }
}

/// What the request has of this kind.
///
/// # Errors
/// As [`PerRequest::make`], and an internal error outside of a request.
pub fn shared<T: PerRequest>(ctx: &Context<'_>) -> Result<Arc<T>, ApiError> {
    let none = || ApiError::internal(format!("no {}", std::any::type_name::<T>()));
    let scope: &RequestScope = ctx.data_opt().ok_or_else(none)?;
    if let Some(found) = scope.find() {
        return Ok(found);
    }
    // Not under the lock, for it may need something else of the request.
    scope.keep(T::make(ctx, scope)?);
    scope.find().ok_or_else(none)
}
