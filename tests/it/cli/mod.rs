mod commands;
mod kill;
mod outbox;
mod serve;
mod settings;
