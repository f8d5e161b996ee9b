//! The name of a request in the log.

/// Finds one request in the log; also the header `x-request-id` of the reply.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub String);
