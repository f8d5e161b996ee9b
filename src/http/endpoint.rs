//! The one way into the schema for every transport.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::parser::{parse_query, parse_schema};
use async_graphql::{Request, Response};
use futures_util::FutureExt;
use tracing::Instrument;

use crate::graphql::context::RequestContext;
use crate::graphql::error::{ApiError, ErrorCode, code_of, finish};
use crate::graphql::limits::{MAX_FRAGMENTS, asks_for_schema, is_shallow};
use crate::graphql::loader::BatchQueue;
use crate::graphql::nulls::NullDefaults;
use crate::identity::IdentityService;
use crate::platform::db::Database;
use crate::platform::locale::Message;
use crate::platform::telemetry::count_panic;
use crate::platform::viewer::Viewer;
use crate::schema::{AppSchema, failure_prefix, sdl, with_loaders};

/// Executes requests of any transport.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    schema: AppSchema,
    db: Arc<Database>,
    identity: Arc<IdentityService>,
    nulls: NullDefaults,
    timeout: Duration,
    introspection: bool,
}

/// A request whose text has been parsed and found harmless.
pub struct Prepared {
    request: Request,
    operation: OperationType,
    name: String,
    /// Stands before the message when the request is not executed.
    failure_prefix: Option<Message>,
}

impl Prepared {
    /// Whether the operation that will run is a query.
    pub fn is_query(&self) -> bool {
        self.operation == OperationType::Query
    }
}

impl Endpoint {
    /// An endpoint for `schema`.
    ///
    /// # Errors
    /// When the schema's own text does not parse, which a test rules out.
    pub fn new(
        schema: AppSchema,
        db: Arc<Database>,
        identity: Arc<IdentityService>,
        timeout: Duration,
        introspection: bool,
    ) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Inner {
            nulls: NullDefaults::new(&parse_schema(sdl())?),
            schema,
            db,
            identity,
            timeout,
            introspection,
        })))
    }

    /// Who is calling, by the value of an `Authorization` header. No header: nobody.
    ///
    /// # Errors
    /// TOKEN_EXPIRED, TOKEN_REVOKED or UNAUTHENTICATED for a token that does not count: such a request is not executed.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
    ) -> Result<Option<Viewer>, ApiError> {
        let Some(authorization) = authorization else {
            return Ok(None);
        };
        let token = authorization
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
        Ok(Some(self.0.identity.authenticate(token).await?))
    }

    /// Parses and checks the text of a request.
    ///
    /// # Errors
    /// GRAPHQL_PARSE_FAILED, QUERY_TOO_COMPLEX, GRAPHQL_VALIDATION_FAILED for an operation name that is not there.
    pub fn prepare(&self, mut request: Request) -> Result<Prepared, ApiError> {
        if !is_shallow(&request.query) {
            return Err(ApiError::new(ErrorCode::QueryTooComplex));
        }
        let mut document = parse_query(&request.query).map_err(|error| {
            let place = error.positions().next().unwrap_or_default();
            ApiError::new(ErrorCode::GraphqlParseFailed)
                .at(place)
                .with_message(Message::new(
                    format!("查询语法有误：第 {} 行第 {} 列", place.line, place.column),
                    format!(
                        "Syntax error at line {}, column {}",
                        place.line, place.column
                    ),
                ))
        })?;
        if document.fragments.len() > MAX_FRAGMENTS {
            return Err(ApiError::new(ErrorCode::QueryTooComplex));
        }
        if !self.0.introspection && asks_for_schema(&document) {
            return Err(
                ApiError::new(ErrorCode::GraphqlValidationFailed).with_message(Message::new(
                    "此服务器未开启内省，接口定义见 /schema.graphql",
                    "Introspection is off on this server; the schema is at /schema.graphql",
                )),
            );
        }
        // Clients that always send the field send it empty when there is no name.
        request.operation_name = request.operation_name.filter(|name| !name.is_empty());
        let (operation, name) = chosen_operation(&document, request.operation_name.as_deref())?;
        self.0.nulls.apply(&mut document, &mut request.variables);
        let failure_prefix = failure_prefix(&document);
        request.set_parsed_query(document);
        if !self.0.introspection {
            request = request.disable_introspection();
        }
        Ok(Prepared {
            request,
            operation,
            name,
            failure_prefix,
        })
    }

    /// Executes a request. Every error of the reply has a code and a message in the caller's language; a panic is one too.
    pub async fn execute(&self, prepared: Prepared, context: RequestContext) -> Response {
        let started = Instant::now();
        let (locale, request_id) = (context.locale, context.request_id.clone());
        let span = tracing::info_span!(
            "graphql",
            request.id = %request_id,
            operation.r#type = %prepared.operation,
            operation.name = %prepared.name,
            viewer.id = context.viewer.map(|viewer| tracing::field::display(viewer.user_id)),
        );
        let batches = BatchQueue::default();
        let request = with_loaders(prepared.request.data(context), &self.0.db, &batches);
        let execution = batches.run(self.0.schema.execute(request));
        let outcome =
            tokio::time::timeout(self.0.timeout, AssertUnwindSafe(execution).catch_unwind());
        let mut response = match outcome.instrument(span.clone()).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => {
                let panics = count_panic();
                let _entered = span.enter();
                tracing::error!(panics, "A resolver panicked");
                ApiError::internal("a resolver panicked").into_response(locale, &request_id)
            }
            Err(_) => ApiError::new(ErrorCode::RequestTimeout).into_response(locale, &request_id),
        };
        let _entered = span.enter();
        finish(&mut response, locale, &request_id);
        if let Some(prefix) = &prepared.failure_prefix {
            let unprefixed = response
                .errors
                .iter_mut()
                .filter(|error| error.path.is_empty());
            for error in unprefixed {
                error.message.insert_str(0, prefix.text(locale));
            }
        }
        let codes: Vec<&str> = response.errors.iter().map(code_of).collect();
        tracing::info!(
            duration_ms = started.elapsed().as_secs_f64() * 1000.0,
            errors = codes.join(","),
            "Executed"
        );
        response
    }
}

/// The operation that `name` asks for; without a name the only one.
fn chosen_operation(
    document: &ExecutableDocument,
    name: Option<&str>,
) -> Result<(OperationType, String), ApiError> {
    let missing = || {
        ApiError::new(ErrorCode::GraphqlValidationFailed).with_message(Message::new(
            "查询中没有 operationName 所指的操作，或有多个操作而未指定 operationName",
            "The query has no operation of that operationName, or several and no operationName",
        ))
    };
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok((operation.node.ty, String::new())),
        (DocumentOperations::Multiple(operations), _) => operations
            .iter()
            .find(|(known, _)| name.map_or(operations.len() == 1, |name| known.as_str() == name))
            .map(|(known, operation)| (operation.node.ty, known.to_string()))
            .ok_or_else(missing),
        (DocumentOperations::Single(_), Some(_)) => Err(missing()),
    }
}
