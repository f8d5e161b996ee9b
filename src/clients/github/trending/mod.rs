//! The trending pages of github.com: HTML without a promise, read as the contract of lasting things that they turned out to keep.

pub(super) mod developers;
mod page;
pub(super) mod repositories;
#[cfg(test)]
mod tests;

pub(crate) use page::PageFault;
