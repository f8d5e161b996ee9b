//! Stand-ins for the platforms, over real HTTP on loopback. Only `wegraph dev` and the tests start them.

mod message;
pub mod wechat;

pub use message::SentMessage;
