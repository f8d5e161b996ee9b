//! The request that a task works for: its id, who sent it, and what it is waiting for.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use crate::platform::address::site_of;

/// Who has something done. What is scarce is shared between callers, not between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Whoever is signed in to this account, wherever from.
    User(Uuid),
    /// Whoever is not signed in, by the address, or the /56 network of IPv6.
    Site(IpAddr),
    /// The server itself.
    Server,
}

impl Caller {
    /// Who sends a request from `address`, signed in to `user_id` or not.
    pub fn of(user_id: Option<Uuid>, address: IpAddr) -> Self {
        match user_id {
            Some(user_id) => Self::User(user_id),
            None => Self::Site(site_of(address)),
        }
    }
}

/// One request.
#[derive(Debug)]
pub struct Work {
    id: Arc<str>,
    caller: Caller,
    is_heavy: bool,
    /// Waits for answers of other servers.
    waits: AtomicU32,
    /// What is being done for it here: statements and transactions.
    doings: AtomicU32,
}

tokio::task_local! {
    static WORK: Arc<Work>;
}

impl Work {
    /// The request of this id. What is heavy takes many rows, or looks at many.
    pub fn new(id: &Arc<str>, caller: Caller, is_heavy: bool) -> Arc<Self> {
        Arc::new(Self {
            id: Arc::clone(id),
            caller,
            is_heavy,
            waits: AtomicU32::new(0),
            doings: AtomicU32::new(0),
        })
    }

    /// The same request, for what goes on whether it waits for that or not.
    pub fn detached(&self) -> Arc<Self> {
        Self::new(&self.id, self.caller, self.is_heavy)
    }

    /// Its id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Who sent it.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// Whether it takes many rows, or looks at many.
    pub fn is_heavy(&self) -> bool {
        self.is_heavy
    }

    /// Whether there is nothing to do for it but to wait for other servers.
    pub fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Relaxed) > 0 && self.doings.load(Ordering::Relaxed) == 0
    }

    /// `work` for this request.
    pub fn scope<F: Future>(self: &Arc<Self>, work: F) -> impl Future<Output = F::Output> + use<F> {
        WORK.scope(Arc::clone(self), work)
    }
}

/// The request that this task works for.
pub fn current() -> Option<Arc<Work>> {
    WORK.try_with(Arc::clone).ok()
}

/// Who sent the request that this task works for.
pub fn caller() -> Caller {
    WORK.try_with(|work| work.caller).unwrap_or(Caller::Server)
}

/// Something that goes on for a request, until it is dropped.
#[derive(Debug)]
pub struct Going(Option<(Arc<Work>, Count)>);

/// One of the counts of a request.
type Count = fn(&Work) -> &AtomicU32;

impl Going {
    fn begin(count: Count) -> Self {
        let work = current();
        if let Some(work) = &work {
            count(work).fetch_add(1, Ordering::Relaxed);
        }
        Self(work.map(|work| (work, count)))
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if let Some((work, count)) = &self.0 {
            count(work).fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// While it lives, something is being done here for the request.
pub fn doing() -> Going {
    Going::begin(|work| &work.doings)
}

/// Waits for another server, which takes nothing of this one. Nothing may be locked meanwhile,
/// unless those who wait for it wait in here, too: to go on, the request may have to wait for its
/// turn.
pub async fn waiting<F: Future>(wait: F) -> F::Output {
    let _waiting = Going::begin(|work| &work.waits);
    wait.await
}
