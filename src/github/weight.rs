//! What copies take of the memory for them, roughly.

use crate::clients::github::records::{
    Account, Developer, EventPage, Readme, Repository, SearchPage, TrendingDeveloper,
    TrendingRepository,
};
use crate::github::cache::Keep;

/// A record with some texts; long ones are counted by themselves.
const RECORD_BYTES: usize = 600;

fn length(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

impl Keep for Repository {
    fn bytes(&self) -> usize {
        RECORD_BYTES + length(self.description.as_ref()) + 32 * self.topics.len()
    }
}

impl Keep for Readme {
    fn bytes(&self) -> usize {
        self.text.len() + self.path.len()
    }

    fn may_come() -> bool {
        false
    }
}

impl Keep for Developer {
    fn bytes(&self) -> usize {
        RECORD_BYTES + length(self.bio.as_ref())
    }
}

impl Keep for TrendingRepository {
    fn bytes(&self) -> usize {
        RECORD_BYTES + length(self.description.as_ref()) + 150 * self.built_by.len()
    }
}

impl Keep for TrendingDeveloper {
    fn bytes(&self) -> usize {
        RECORD_BYTES
    }
}

impl<T: Keep> Keep for Vec<T> {
    fn bytes(&self) -> usize {
        self.iter().map(Keep::bytes).sum()
    }
}

impl Keep for SearchPage {
    fn bytes(&self) -> usize {
        let repositories = self.repositories.iter();
        repositories.map(|(_, repository)| repository.bytes()).sum()
    }
}

impl Keep for Account {
    fn bytes(&self) -> usize {
        self.login.len()
    }
}

impl Keep for EventPage {
    fn bytes(&self) -> usize {
        RECORD_BYTES * self.events.len()
    }
}
