//! Bodies and messages of which a part has come: they share an amount of memory. When it is used
//! up, whoever holds most of it loses the last of theirs, so that a client who does not finish
//! keeps no other from beginning.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::platform::address::site_of;

/// The memory that they share. A clone shares the same.
#[derive(Debug, Clone)]
pub struct Arrivals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    next: u64,
    sites: HashMap<IpAddr, Site>,
}

#[derive(Debug, Default)]
struct Site {
    used: usize,
    /// In the order in which they began.
    parts: BTreeMap<u64, Part>,
}

#[derive(Debug)]
struct Part {
    bytes: usize,
    cut: Arc<Cut>,
}

/// Tells that one has to end.
#[derive(Debug, Default)]
struct Cut {
    is_cut: AtomicBool,
    waker: AtomicWaker,
}

/// One body or message, until it is dropped.
#[derive(Debug)]
pub(crate) struct Arriving {
    arrivals: Arrivals,
    site: IpAddr,
    /// Once there is something of it.
    number: Option<u64>,
    cut: Arc<Cut>,
}

/// Others need the memory more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Arrivals {
    /// All of it free.
    pub fn new(max: u64) -> Self {
        Self(Arc::new(Inner {
            max: usize::try_from(max).unwrap_or(usize::MAX),
            state: Mutex::default(),
        }))
    }

    /// One from `address`, of which nothing has come yet.
    pub(crate) fn begin(&self, address: IpAddr) -> Arriving {
        Arriving {
            arrivals: self.clone(),
            site: site_of(address),
            number: None,
            cut: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arriving {
    /// `bytes` more have come.
    ///
    /// # Errors
    /// [`NoRoom`] when no site holds more than this one, or another one has taken its room.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let mut state = self.arrivals.lock();
        if self.cut.is_cut.load(Ordering::Relaxed) {
            return Err(NoRoom);
        }
        let own = state.sites.get(&self.site).map_or(0, |site| site.used);
        while state.used + bytes > self.arrivals.0.max {
            state.cut_largest(own + bytes)?;
        }
        state.used += bytes;
        let number = match self.number {
            Some(number) => number,
            None => {
                state.next += 1;
                *self.number.insert(state.next)
            }
        };
        let site = state.sites.entry(self.site).or_default();
        site.used += bytes;
        let part = site.parts.entry(number).or_insert_with(|| Part {
            bytes: 0,
            cut: Arc::clone(&self.cut),
        });
        part.bytes += bytes;
        Ok(())
    }

    /// Ready once it has to end.
    pub(crate) fn poll_cut(&self, cx: &Context<'_>) -> Poll<()> {
        self.cut.waker.register(cx.waker());
        match self.cut.is_cut.load(Ordering::Relaxed) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl State {
    /// Ends the last of the site that holds most, unless one with `newcomer` bytes would hold more.
    fn cut_largest(&mut self, newcomer: usize) -> Result<(), NoRoom> {
        let largest = self.sites.iter().max_by_key(|(_, site)| site.used);
        let address = match largest {
            Some((address, site)) if site.used > newcomer => *address,
            _ => return Err(NoRoom),
        };
        let site = self.sites.get_mut(&address).ok_or(NoRoom)?;
        let (_, part) = site.parts.pop_last().ok_or(NoRoom)?;
        site.used -= part.bytes;
        self.used -= part.bytes;
        if site.parts.is_empty() {
            self.sites.remove(&address);
        }
        part.cut.is_cut.store(true, Ordering::Relaxed);
        part.cut.waker.wake();
        Ok(())
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let Some(number) = self.number else {
            return;
        };
        let mut state = self.arrivals.lock();
        let Some(site) = state.sites.get_mut(&self.site) else {
            return;
        };
        // It is not there when it was cut.
        let Some(part) = site.parts.remove(&number) else {
            return;
        };
        site.used -= part.bytes;
        if site.parts.is_empty() {
            state.sites.remove(&self.site);
        }
        state.used -= part.bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn is_cut(arriving: &Arriving) -> bool {
        let cx = Context::from_waker(Waker::noop());
        arriving.poll_cut(&cx).is_ready()
    }

    #[test]
    fn whoever_holds_most_gives_way() {
        let arrivals = Arrivals::new(100);
        let [greedy, modest] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let mut first = arrivals.begin(greedy);
        let mut second = arrivals.begin(greedy);
        first.grow(50).unwrap();
        second.grow(50).unwrap();
        assert_eq!(arrivals.begin(greedy).grow(1), Err(NoRoom));
        let mut other = arrivals.begin(modest);
        other.grow(40).unwrap();
        assert!(is_cut(&second) && !is_cut(&first) && !is_cut(&other));
        assert_eq!(second.grow(1), Err(NoRoom));
        other.grow(10).unwrap();
        assert_eq!(other.grow(1), Err(NoRoom));
        drop((first, second, other));
        let state = arrivals.lock();
        assert!(state.used == 0 && state.sites.is_empty());
    }
}
