//! Other people's servers.

pub mod github;
mod upstream;
pub mod wechat;
