//! Stand-ins for the platforms, over real HTTP on loopback. Only `wegraph dev` and the tests start them.

pub mod github;
mod message;
pub mod wechat;

pub use message::SentMessage;
