//! What everything else stands on: settings, the database, time, ids. Imports nothing of ours.

pub mod address;
pub mod clock;
pub mod config;
pub mod db;
pub mod digest;
pub mod fault;
pub mod http_client;
pub mod id;
pub mod lane;
pub mod locale;
pub mod patch;
pub mod request;
pub mod shares;
pub mod tally;
pub mod task;
pub mod telemetry;
pub mod text;
pub mod viewer;
pub mod worker;
