//! Other people's servers.

pub mod wechat;
