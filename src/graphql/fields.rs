//! What fields cost, as far as their types do not say it.

/// Costs of fields, by type and name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Estimates {
    /// Entries of lists without pages, where they are not the usual few.
    pub lists: &'static [(&'static str, &'static str, u32)],
    /// What fields cost besides what they return: questions to other servers.
    pub extras: &'static [(&'static str, &'static str, u32)],
}

impl Estimates {
    /// Entries of a list without pages.
    pub fn entries(&self, parent: &str, name: &str) -> Option<u32> {
        find(self.lists, parent, name)
    }

    /// What a field costs besides what it returns.
    pub fn extra(&self, parent: &str, name: &str) -> Option<u32> {
        find(self.extras, parent, name)
    }
}

fn find(list: &[(&str, &str, u32)], parent: &str, name: &str) -> Option<u32> {
    let found = list
        .iter()
        .find(|(of_type, field, _)| *of_type == parent && *field == name);
    found.map(|(_, _, number)| *number)
}
