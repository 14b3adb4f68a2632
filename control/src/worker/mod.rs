//! What knows the runtime: the Worker and the Durable Objects. Decides nothing; the state machines do.

mod feed_object;
mod front;
mod hanging;
mod object;
mod registry_object;
mod shard_object;
mod sql;
mod webhooks;
