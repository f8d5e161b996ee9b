//! Something scarce, shared fairly between callers: places, connections, bytes.
//!
//! While there is plenty, every claim is granted. Beyond the calm part each caller has a
//! share, and who finds nothing left waits: callers in turn, and what one caller asked for in
//! order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::platform::request::Caller;

/// How much of each of `N` things.
pub type Amounts<const N: usize> = [u64; N];

/// Shares of `N` things that are taken together. A clone shares the same.
#[derive(Debug, Clone)]
pub struct Shares<const N: usize>(Arc<Inner<N>>);

#[derive(Debug)]
struct Inner<const N: usize> {
    total: Amounts<N>,
    calm: Amounts<N>,
    queue: usize,
    state: Mutex<State<N>>,
}

#[derive(Debug)]
struct State<const N: usize> {
    used: Amounts<N>,
    /// Those who wait, of all callers.
    waiting: usize,
    holders: HashMap<Caller, Holder<N>>,
    /// Callers with waiters; the first is next.
    turn: VecDeque<Caller>,
}

#[derive(Debug)]
struct Holder<const N: usize> {
    used: Amounts<N>,
    waiting: VecDeque<Waiter<N>>,
}

#[derive(Debug)]
struct Waiter<const N: usize> {
    claim: Claim<N>,
    granted: oneshot::Sender<()>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Claim<const N: usize> {
    /// What is needed.
    pub need: Amounts<N>,
    /// What its caller may have in all once it is no longer calm.
    pub share: Amounts<N>,
}

/// What was granted, until it is dropped.
#[derive(Debug)]
pub struct Share<const N: usize> {
    shares: Shares<N>,
    caller: Caller,
    need: Amounts<N>,
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<const N: usize> Shares<N> {
    /// All of it free. Up to `calm` shares do not apply; `queue` may wait.
    pub fn new(total: Amounts<N>, calm: Amounts<N>, queue: usize) -> Self {
        Self(Arc::new(Inner {
            total,
            calm,
            queue,
            state: Mutex::new(State {
                used: [0; N],
                waiting: 0,
                holders: HashMap::new(),
                turn: VecDeque::new(),
            }),
        }))
    }

    /// What the claim says, at once or in its turn.
    ///
    /// # Errors
    /// [`Full`], at once, or later when it has to make room for a caller who has fewer waiting.
    pub async fn take(&self, caller: Caller, claim: Claim<N>) -> Result<Share<N>, Full> {
        let waiting = {
            let mut state = self.lock();
            if state.is_free(&self.0, caller, &claim) {
                state.give(caller, &claim.need);
                drop(state);
                return Ok(self.share(caller, claim.need));
            }
            let (granted, wait) = oneshot::channel();
            state.enqueue(&self.0, caller, Waiter { claim, granted })?;
            Waiting {
                shares: self,
                caller,
                need: claim.need,
                granted: wait,
            }
        };
        waiting.granted().await
    }

    /// What the claim says, if it is free.
    pub fn try_take(&self, caller: Caller, claim: Claim<N>) -> Option<Share<N>> {
        let mut state = self.lock();
        let is_free = state.is_free(&self.0, caller, &claim);
        is_free.then(|| {
            state.give(caller, &claim.need);
            self.share(caller, claim.need)
        })
    }

    fn share(&self, caller: Caller, need: Amounts<N>) -> Share<N> {
        Share {
            shares: self.clone(),
            caller,
            need,
        }
    }

    fn give_back(&self, caller: Caller, need: &Amounts<N>) {
        let mut state = self.lock();
        for (used, need) in state.used.iter_mut().zip(need) {
            *used -= need;
        }
        if let Some(holder) = state.holders.get_mut(&caller) {
            for (used, need) in holder.used.iter_mut().zip(need) {
                *used -= need;
            }
            if holder.is_idle() {
                state.holders.remove(&caller);
            }
        }
        state.hand_out(&self.0);
    }

    fn lock(&self) -> MutexGuard<'_, State<N>> {
        let state = &self.0.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const N: usize> Holder<N> {
    const NEW: Self = Self {
        used: [0; N],
        waiting: VecDeque::new(),
    };

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.used == [0; N]
    }
}

impl<const N: usize> State<N> {
    /// Whether there is enough of everything.
    fn is_free(&self, shares: &Inner<N>, caller: Caller, claim: &Claim<N>) -> bool {
        match self.holders.get(&caller) {
            // Those who wait need what there is not enough of.
            Some(holder) => self.fits(shares, holder, claim),
            None => self.fits(shares, &Holder::NEW, claim),
        }
    }

    fn fits(&self, shares: &Inner<N>, holder: &Holder<N>, claim: &Claim<N>) -> bool {
        (0..N).all(|i| {
            let need = claim.need[i];
            let after = self.used[i].saturating_add(need);
            let own = holder.used[i].saturating_add(need);
            need == 0
                || (after <= shares.total[i] && (after <= shares.calm[i] || own <= claim.share[i]))
        })
    }

    fn give(&mut self, caller: Caller, need: &Amounts<N>) {
        let holder = self.holders.entry(caller).or_insert(Holder::NEW);
        let used = self.used.iter_mut().zip(&mut holder.used);
        for ((all, own), need) in used.zip(need) {
            *all += need;
            *own += need;
        }
    }

    fn enqueue(
        &mut self,
        shares: &Inner<N>,
        caller: Caller,
        waiter: Waiter<N>,
    ) -> Result<(), Full> {
        if self.waiting >= shares.queue {
            self.make_room(caller)?;
        }
        let holder = self.holders.entry(caller).or_insert(Holder::NEW);
        if holder.waiting.is_empty() {
            self.turn.push_back(caller);
        }
        holder.waiting.push_back(waiter);
        self.waiting += 1;
        Ok(())
    }

    /// Sends away the last who came for the caller with most waiting, unless that is this one.
    fn make_room(&mut self, newcomer: Caller) -> Result<(), Full> {
        let own = self.holders.get(&newcomer);
        let own = own.map_or(0, |holder| holder.waiting.len());
        let most = self.turn.iter().max_by_key(|caller| self.length_of(caller));
        let most = most.copied().ok_or(Full)?;
        let Some(holder) = self.holders.get_mut(&most) else {
            return Err(Full);
        };
        if holder.waiting.len() <= own + 1 {
            return Err(Full);
        }
        holder.waiting.pop_back();
        self.waiting -= 1;
        Ok(())
    }

    fn length_of(&self, caller: &Caller) -> usize {
        self.holders
            .get(caller)
            .map_or(0, |holder| holder.waiting.len())
    }

    /// Gives what is free to those who wait, one caller after the other.
    fn hand_out(&mut self, shares: &Inner<N>) {
        let mut passed = 0;
        while passed < self.turn.len() {
            let Some(caller) = self.turn.pop_front() else {
                return;
            };
            let Some(holder) = self.holders.get_mut(&caller) else {
                continue;
            };
            // Some have given up meanwhile.
            let before = holder.waiting.len();
            holder.waiting.retain(|waiter| !waiter.granted.is_closed());
            self.waiting -= before - holder.waiting.len();
            if holder.is_idle() {
                self.holders.remove(&caller);
                continue;
            }
            let Some(holder) = self.holders.get(&caller).filter(|h| !h.waiting.is_empty()) else {
                continue;
            };
            // One who needs much does not hold up those behind who need little.
            let mut waiting = holder.waiting.iter();
            let Some(place) = waiting.position(|one| self.fits(shares, holder, &one.claim)) else {
                self.turn.push_back(caller);
                passed += 1;
                continue;
            };
            passed = 0;
            self.grant(caller, place);
        }
    }

    fn grant(&mut self, caller: Caller, place: usize) {
        let Some(holder) = self.holders.get_mut(&caller) else {
            return;
        };
        let Some(waiter) = holder.waiting.remove(place) else {
            return;
        };
        self.waiting -= 1;
        if !holder.waiting.is_empty() {
            self.turn.push_back(caller);
        }
        if waiter.granted.send(()).is_ok() {
            self.give(caller, &waiter.claim.need);
        } else if self.holders.get(&caller).is_some_and(Holder::is_idle) {
            self.holders.remove(&caller);
        }
    }
}

/// A waiter. What is granted to one who has gone meanwhile is given back.
struct Waiting<'a, const N: usize> {
    shares: &'a Shares<N>,
    caller: Caller,
    need: Amounts<N>,
    granted: oneshot::Receiver<()>,
}

impl<const N: usize> Waiting<'_, N> {
    async fn granted(mut self) -> Result<Share<N>, Full> {
        match (&mut self.granted).await {
            Ok(()) => Ok(self.shares.share(self.caller, self.need)),
            Err(_) => Err(Full),
        }
    }
}

impl<const N: usize> Drop for Waiting<'_, N> {
    fn drop(&mut self) {
        self.granted.close();
        // Nothing comes twice: after it was received there is nothing here.
        match self.granted.try_recv() {
            Ok(()) => self.shares.give_back(self.caller, &self.need),
            // Its place in the queue is free.
            Err(_) => self.shares.lock().hand_out(&self.shares.0),
        }
    }
}

impl<const N: usize> Share<N> {
    /// Gives back all but what is still needed, which is no more than there was.
    pub fn reduce(&mut self, need: Amounts<N>) {
        let mut rest = self.need;
        for (rest, need) in rest.iter_mut().zip(need) {
            *rest = rest.saturating_sub(need);
        }
        for (kept, rest) in self.need.iter_mut().zip(rest) {
            *kept -= rest;
        }
        self.shares.give_back(self.caller, &rest);
    }
}

impl<const N: usize> Drop for Share<N> {
    fn drop(&mut self) {
        self.shares.give_back(self.caller, &self.need);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    const ONE: Claim<1> = Claim {
        need: [1],
        share: [2],
    };

    fn user(number: u128) -> Caller {
        Caller::User(Uuid::from_u128(number))
    }

    #[test]
    fn shares_count_only_when_it_is_no_longer_calm() {
        let shares = Shares::new([6], [4], 8);
        let first: Vec<_> = (0..4).map(|_| shares.try_take(user(1), ONE)).collect();
        assert!(first.iter().all(Option::is_some));
        assert!(shares.try_take(user(1), ONE).is_none());
        let second = [shares.try_take(user(2), ONE), shares.try_take(user(2), ONE)];
        assert!(second.iter().all(Option::is_some));
        assert!(shares.try_take(user(3), ONE).is_none());
        drop(first);
        assert!(shares.try_take(user(1), ONE).is_some());
        drop(second);
        assert!(shares.lock().holders.is_empty());
        assert_eq!(shares.lock().used, [0]);
    }

    #[test]
    fn what_is_no_longer_needed_is_given_back() {
        let shares = Shares::new([1, 10], [1, 10], 8);
        let claim = Claim {
            need: [1, 7],
            share: [1, 10],
        };
        let mut first = shares.try_take(user(1), claim).expect("free");
        first.reduce([0, 5]);
        assert_eq!(shares.lock().used, [0, 5]);
        let small = Claim {
            need: [1, 5],
            ..claim
        };
        assert!(shares.try_take(user(2), small).is_some());
        drop(first);
        assert!(shares.lock().holders.is_empty());
    }

    #[test]
    fn callers_are_served_in_turn() {
        let shares = Shares::new([1], [1], 8);
        let held = shares.try_take(user(1), ONE).expect("free");
        let mut waits = [1, 1, 1, 2].map(|number| Box::pin(shares.take(user(number), ONE)));
        assert!(waits.iter_mut().all(|wait| wait.now_or_never().is_none()));
        drop(held);
        let mut order = Vec::new();
        for _ in 0..waits.len() {
            for (number, wait) in waits.iter_mut().enumerate() {
                if order.contains(&number) {
                    continue;
                }
                if let Some(share) = wait.now_or_never() {
                    order.push(number);
                    drop(share.expect("not full"));
                }
            }
        }
        assert_eq!(order, [0, 3, 1, 2]);
        assert!(shares.lock().holders.is_empty());
    }

    #[test]
    fn a_large_claim_does_not_hold_up_small_ones() {
        let shares = Shares::new([4, 1], [4, 1], 8);
        let light = Claim {
            need: [1, 0],
            share: [4, 1],
        };
        let heavy = Claim {
            need: [1, 1],
            share: [4, 1],
        };
        let held = shares.try_take(user(1), heavy).expect("free");
        let mut waiting = Box::pin(shares.take(user(1), heavy));
        assert!((&mut waiting).now_or_never().is_none());
        let others: Vec<_> = (0..3).map(|_| shares.try_take(user(1), light)).collect();
        assert!(others.iter().all(Option::is_some));
        let mut behind = Box::pin(shares.take(user(1), light));
        assert!((&mut behind).now_or_never().is_none());
        drop(others);
        assert!((&mut behind).now_or_never().is_some());
        drop(held);
        assert!((&mut waiting).now_or_never().is_some());
        drop((waiting, behind));
        assert!(shares.lock().holders.is_empty());
    }

    #[test]
    fn a_full_queue_sends_away_whoever_has_most_in_it() {
        let shares = Shares::new([1], [1], 3);
        let held = shares.try_take(user(1), ONE).expect("free");
        let mut greedy = [1, 1, 1].map(|number| Box::pin(shares.take(user(number), ONE)));
        assert!(greedy.iter_mut().all(|wait| wait.now_or_never().is_none()));
        let fourth = pin!(shares.take(user(1), ONE)).now_or_never();
        assert_eq!(fourth.expect("no wait").err(), Some(Full));
        let mut other = Box::pin(shares.take(user(2), ONE));
        assert!((&mut other).now_or_never().is_none());
        let last = (&mut greedy[2]).now_or_never().expect("sent away");
        assert_eq!(last.err(), Some(Full));
        drop((greedy, other, held));
        assert!(shares.try_take(user(3), ONE).is_some());
        assert!(shares.lock().holders.is_empty() && shares.lock().turn.is_empty());
    }

    #[test]
    fn what_is_granted_to_one_who_has_gone_is_not_lost() {
        let shares = Shares::new([1], [1], 8);
        let held = shares.try_take(user(1), ONE).expect("free");
        let mut gone = Box::pin(shares.take(user(2), ONE));
        assert!((&mut gone).now_or_never().is_none());
        drop(held);
        drop(gone);
        assert!(shares.try_take(user(3), ONE).is_some());
        assert!(shares.lock().holders.is_empty());
    }
}
