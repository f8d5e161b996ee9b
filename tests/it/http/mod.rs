mod development;
mod graphiql;
mod health;
mod request;
mod websocket;
