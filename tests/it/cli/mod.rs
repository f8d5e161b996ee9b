mod commands;
mod kill;
mod serve;
