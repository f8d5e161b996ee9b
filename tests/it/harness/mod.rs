//! What the tests stand on.

mod app;
mod case;
mod client;
mod database;
mod process;

pub(crate) use app::{
    APP_ID, APP_SECRET, OTHER_APP_ID, OTHER_APP_SECRET, PASSWORD, SECRET, TEMPLATE, TestApp,
};
pub(crate) use case::{Case, Run, on_each_database, once, run};
pub(crate) use client::{Client, Reply};
pub(crate) use database::{Engine, TestDatabase, drop_template};
pub(crate) use process::{Server, wegraph};
