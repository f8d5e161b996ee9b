//! Other people's servers.

mod upstream;
pub mod wechat;
