//! The one way into the schema for every transport: authenticate, find and check the document,
//! count, execute.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::futures_util::stream::BoxStream;
use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, Value};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::Instant;
use uuid::Uuid;

use crate::gateway::complexity::{Operation, Size};
use crate::gateway::document::Checks;
use crate::gateway::documents::Documents;
use crate::gateway::null_arguments::NullArgument;
use crate::gateway::parameters::Parameters;
use crate::gateway::rate_limits::{Charges, RateLimits};
use crate::gateway::refusal::{invalid, too_complex};
use crate::gateway::streams::{Audience, Event, Streams};
use crate::gateway::turns::{Rest, Turns};
use crate::graphql::context::RequestContext;
use crate::graphql::error::{ApiError, ErrorCode, cap_errors, code_of, finish};
use crate::graphql::fields::FieldTable;
use crate::graphql::loader::BatchQueue;
use crate::graphql::scope::{Meter, RequestScope};
use crate::identity::{Access, IdentityService};
use crate::platform::config::{Config, ErrorLimits};
use crate::platform::lane::Lane;
use crate::platform::locale::{Locale, Message};
use crate::platform::request::Work;
use crate::platform::task::{to_end, until};
use crate::platform::telemetry::count_panic;
use crate::platform::viewer::Viewer;
use crate::schema::{AppSchema, FIELDS, sdl};

/// Executes requests of any transport.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    schema: AppSchema,
    identity: Arc<IdentityService>,
    documents: Documents,
    rates: Option<Arc<RateLimits>>,
    timeout: Duration,
    errors: ErrorLimits,
    max_reply_bytes: usize,
    introspection: bool,
    /// Of queries and mutations that are being executed, also for clients that have gone.
    turns: Turns,
    lane: Lane,
    streams: Streams,
}

/// How a request came in, which decides what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Queries and mutations.
    Http,
    /// Subscriptions too.
    WebSocket,
}

/// What the operations of one request may do together.
#[derive(Debug)]
pub struct Allowance {
    transport: Transport,
    deadline: Instant,
    sign_ins: u32,
}

/// An operation that has passed every check.
pub struct Prepared {
    request: Request,
    operation: OperationType,
    name: String,
    asks_for_schema: bool,
    null_arguments: Vec<NullArgument>,
    /// Stands before the message when the request is not executed.
    failure_prefix: Option<Message>,
    size: Size,
    /// What a subscription has in common with others; `None` for what answers its caller alone.
    audience: Option<Audience>,
    /// Memory for the document, in bytes.
    weight: u64,
    deadline: Instant,
}

impl Prepared {
    /// Whether the operation only reads.
    pub fn is_query(&self) -> bool {
        self.operation == OperationType::Query
    }

    /// Whether the operation is answered by a stream.
    pub fn is_subscription(&self) -> bool {
        self.operation == OperationType::Subscription
    }
}

impl Endpoint {
    /// An endpoint for `schema`, which also knows the documents of our own pages, `(id, text)`.
    ///
    /// # Errors
    /// When a trusted document would be refused, or its manifest cannot be read.
    pub fn new(
        schema: AppSchema,
        identity: Arc<IdentityService>,
        own_documents: &[(&str, &str)],
        config: &Config,
    ) -> anyhow::Result<Self> {
        let graphql = &config.graphql;
        let checks = Checks::new(&sdl(), FieldTable::new(FIELDS), graphql)?;
        Ok(Self(Arc::new(Inner {
            documents: Documents::new(checks, graphql, own_documents)?,
            rates: RateLimits::new(&config.rate_limit),
            schema,
            identity,
            timeout: graphql.timeout,
            errors: graphql.errors,
            max_reply_bytes: graphql.max_reply_bytes,
            introspection: graphql.introspection,
            turns: Turns::new(&config.fair_shares, graphql.max_reply_bytes),
            lane: Lane::default(),
            streams: Streams::new(),
        })))
    }

    /// Who is calling, by the value of an `Authorization` header. Without one the caller is
    /// anonymous.
    ///
    /// # Errors
    /// TOKEN_EXPIRED, TOKEN_REVOKED or UNAUTHENTICATED for a token that does not count: such a
    /// request is not executed.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
    ) -> Result<Option<Access>, ApiError> {
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

    /// What a request that begins now may do.
    pub fn allowance(&self, transport: Transport) -> Allowance {
        Allowance {
            transport,
            deadline: Instant::now() + self.0.timeout,
            sign_ins: 1,
        }
    }

    /// Finds, parses and checks what a client wants to have executed, and counts it.
    ///
    /// # Errors
    /// Why it is not executed: GRAPHQL_PARSE_FAILED, QUERY_TOO_COMPLEX, GRAPHQL_VALIDATION_FAILED,
    /// BAD_USER_INPUT, PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_ONLY, RATE_LIMITED.
    pub fn prepare(
        &self,
        parameters: Parameters,
        context: &RequestContext,
        allowance: &mut Allowance,
    ) -> Result<Prepared, ApiError> {
        self.charge(
            context.viewer.as_ref(),
            context.client_address,
            Charges::REFUSED,
        )?;
        let (charges, prepared) = self.check(parameters, context, allowance)?;
        self.charge(context.viewer.as_ref(), context.client_address, charges)?;
        Ok(prepared)
    }

    /// Counts a request that does not get as far as [`Endpoint::prepare`].
    ///
    /// # Errors
    /// RATE_LIMITED.
    pub fn charge_refusal(&self, address: IpAddr) -> Result<(), ApiError> {
        self.charge(None, address, Charges::REFUSED)
    }

    fn charge(
        &self,
        viewer: Option<&Viewer>,
        address: IpAddr,
        charges: Charges,
    ) -> Result<(), ApiError> {
        match &self.0.rates {
            Some(rates) => rates.charge(viewer, address, charges),
            None => Ok(()),
        }
    }

    /// Counts what a heavy operation turns out to look at.
    fn meter(&self, prepared: &Prepared, context: &RequestContext) -> Option<Meter> {
        if !prepared.size.is_heavy {
            return None;
        }
        let rates = self.0.rates.clone()?;
        let (viewer, address) = (context.viewer, context.client_address);
        Some(Box::new(move |reads| {
            rates.charge_looked_at(viewer.as_ref(), address, reads)
        }))
    }

    fn check(
        &self,
        parameters: Parameters,
        context: &RequestContext,
        allowance: &mut Allowance,
    ) -> Result<(Charges, Prepared), ApiError> {
        let Inner {
            documents,
            introspection,
            ..
        } = &*self.0;
        let document = documents.find(&parameters)?;
        // Clients that always send the field send it empty when there is no name.
        let name = parameters.operation_name.filter(|name| !name.is_empty());
        let chosen = document.find(name.as_deref()).ok_or_else(|| {
            invalid(
                "查询中没有 operationName 所指的操作，或有多个操作而未指定 operationName。",
                "The query has no operation of that operationName, or several and no operationName.",
            )
        })?;
        let operation = &chosen.operation;
        let prefix = operation.failure_prefix.clone();
        let variables = parameters.variables.unwrap_or_default();
        let checked = self.allows(operation, allowance).and_then(|()| {
            documents
                .checks()
                .with_variables(&document, chosen, variables)
        });
        let bound = match (checked, &prefix) {
            (Err(error), Some(prefix)) => return Err(error.with_prefix(prefix.clone())),
            (checked, _) => checked?,
        };
        if let (OperationType::Subscription, Some(field)) =
            (operation.kind, bound.null_arguments.first())
        {
            return Err(field.error());
        }
        let is_shared = operation.kind == OperationType::Subscription
            && (operation.is_impersonal || context.viewer.is_none());
        let audience = is_shared.then(|| Audience {
            document: Arc::clone(&document) as Arc<_>,
            operation: operation.name.clone(),
            // Values of GraphQL always have a JSON form.
            variables: serde_json::to_string(&bound.variables).unwrap_or_default(),
            locale: context.locale,
            role: context.viewer.map(|viewer| viewer.role),
        });
        let mut request = Request::new("").variables(bound.variables);
        request.set_parsed_query(bound.document);
        if !introspection {
            request = request.disable_introspection();
        }
        let prepared = Prepared {
            request,
            operation: operation.kind,
            name: operation.name.clone(),
            asks_for_schema: operation.asks_for_schema,
            null_arguments: bound.null_arguments,
            failure_prefix: prefix,
            size: bound.size,
            audience,
            weight: document.weight.into(),
            deadline: allowance.deadline,
        };
        Ok((operation.charges.with_cost(bound.size.cost), prepared))
    }

    /// Whether an operation of this kind may run here, and after those before it in the same
    /// request.
    fn allows(&self, operation: &Operation, allowance: &mut Allowance) -> Result<(), ApiError> {
        if !self.0.introspection && operation.asks_for_schema {
            return Err(invalid(
                "此服务器未开启内省。",
                "Introspection is off on this server.",
            ));
        }
        if operation.kind == OperationType::Subscription && allowance.transport == Transport::Http {
            return Err(invalid(
                "订阅须经 WebSocket（/graphql/ws）。",
                "Subscriptions run over WebSocket, at /graphql/ws.",
            ));
        }
        let left = allowance.sign_ins.checked_sub(operation.charges.sign_ins);
        allowance.sign_ins = left.ok_or_else(|| {
            too_complex(
                (
                    "每个请求的登录、注册、刷新、改密码、绑定微信或 GitHub、注销操作",
                    "sign-in, password, WeChat or GitHub mutations in a request",
                ),
                1,
            )
        })?;
        Ok(())
    }

    /// Executes a query or mutation. Every error of the reply has a code and a message in the
    /// caller's language; a panic is one too. With the reply comes its memory.
    pub fn execute(
        &self,
        prepared: Prepared,
        context: RequestContext,
    ) -> impl Future<Output = (Response, Rest)> + Send + use<> {
        let (locale, request_id) = (context.locale, context.request_id.clone());
        let (size, deadline) = (prepared.size, prepared.deadline);
        let prefix = prepared.failure_prefix.clone();
        let caller = context.caller();
        let work = Work::new(&request_id, caller, size.is_heavy);
        // Boxed once, for what it is passed through would copy it each time.
        let run = Box::pin(self.clone().run(prepared, context, &work));
        let inner = Arc::clone(&self.0);
        async move {
            let execution = pin!(async {
                let turn = match inner.turns.take(caller, size).await {
                    Ok(turn) => turn,
                    Err(error) => {
                        let error = match prefix {
                            Some(prefix) => error.with_prefix(prefix),
                            None => error,
                        };
                        return (error.into_response(locale, &request_id), Rest::NONE);
                    }
                };
                // Neither a client that hangs up nor the deadline stops it between a commit and
                // what follows from it.
                let run = turn.cover(work, run);
                match size.is_heavy {
                    true => inner.lane.run(run).await,
                    false => to_end(run).await,
                }
            });
            match until(deadline, execution).await {
                Some(outcome) => outcome,
                None => {
                    let error = ApiError::new(ErrorCode::RequestTimeout);
                    (error.into_response(locale, &request_id), Rest::NONE)
                }
            }
        }
    }

    /// No `async fn`: its future would hold the arguments twice, and so does each that it is in.
    fn run(
        self,
        prepared: Prepared,
        context: RequestContext,
        work: &Arc<Work>,
    ) -> impl Future<Output = Response> + Send + use<> {
        let work = Arc::clone(work);
        let log = Log::new(&prepared, &context);
        let locale = context.locale;
        let batches = BatchQueue::default();
        let meter = self.meter(&prepared, &context);
        let max = self.0.max_reply_bytes;
        let scope = RequestScope::new(batches.clone(), Some(prepared.deadline), max, meter);
        let prefix = prepared.failure_prefix;
        let asks_for_schema = prepared.asks_for_schema;
        let null_arguments = prepared.null_arguments;
        let request = prepared.request.data(context).data(scope);
        async move {
            let execution = pin!(self.0.schema.executor(asks_for_schema).execute(request));
            let outcome = AssertUnwindSafe(batches.run(execution)).catch_unwind();
            let mut response = match work.scope(outcome).await {
                Ok(response) => response,
                Err(_) => log.panicked(locale),
            };
            for field in null_arguments {
                let error = self.0.documents.checks().error_of(&field);
                field.answer(&mut response, error);
            }
            log.executed(self.finish(response, locale, &log.request_id, prefix.as_ref()))
        }
    }

    /// Executes a subscription: one response for each event. Callers with the same document share
    /// its execution where it answers them alike. Events are counted as reads are.
    ///
    /// # Errors
    /// RATE_LIMITED when the documents of the caller's subscriptions take too much.
    pub fn subscribe(
        &self,
        mut prepared: Prepared,
        context: RequestContext,
    ) -> Result<BoxStream<'static, Arc<Event>>, ApiError> {
        // The document for as long as it runs, and an event at a time.
        let (caller, weight) = (context.caller(), prepared.weight + prepared.size.bytes);
        let (viewer, address) = (context.viewer, context.client_address);
        let (locale, request_id) = (context.locale, Arc::clone(&context.request_id));
        let this = self.clone();
        let streams = &self.0.streams;
        let (events, charges) = match prepared.audience.take() {
            Some(audience) => {
                let open = || self.watch(prepared, context);
                let events = streams.join(caller, weight, audience, open)?;
                (events, Charges::REFUSED)
            }
            None => {
                let charges =
                    Charges::REFUSED.and(Charges::default().with_cost(prepared.size.cost));
                let open = || self.watch(prepared, context);
                (streams.open(caller, weight, open)?, charges)
            }
        };
        let state = Some(events);
        Ok(Box::pin(stream::unfold(state, move |state| {
            let (this, request_id) = (this.clone(), Arc::clone(&request_id));
            async move {
                let mut events = state?;
                let event = events.next().await?;
                match this.charge(viewer.as_ref(), address, charges) {
                    Ok(()) => Some((event, Some(events))),
                    Err(limited) => {
                        let response = limited.into_response(locale, &request_id);
                        Some((Event::new(response), None))
                    }
                }
            }
        })))
    }

    /// The events of a subscription. One has no deadline of its own, because its time is not known;
    /// the limit of statements holds for what it selects.
    fn watch(&self, prepared: Prepared, context: RequestContext) -> BoxStream<'static, Response> {
        let this = self.clone();
        let log = Log::new(&prepared, &context);
        let locale = context.locale;
        let caller = context.caller();
        let work = Work::new(&context.request_id, caller, prepared.size.is_heavy);
        // The stream is dropped when the client has had enough of it; its batches must not be.
        let batches = BatchQueue::detached();
        let meter = self.meter(&prepared, &context);
        let max = self.0.max_reply_bytes;
        let scope = RequestScope::new(batches.clone(), None, max, meter);
        let request = prepared.request.data(context).data(scope);
        // A subscription selects one field of the data, not of the schema.
        let events = self.0.schema.executor(false).execute_stream(request);
        let state = Some((events, batches, log, this));
        Box::pin(stream::unfold(state, move |state| {
            let work = Arc::clone(&work);
            async move {
                let (mut events, batches, log, this) = state?;
                let next = pin!(events.next());
                let next = batches.clone().run(next);
                let outcome = AssertUnwindSafe(next).catch_unwind();
                match work.scope(outcome).await {
                    Ok(Some(response)) => {
                        let response = this.finish(response, locale, &log.request_id, None);
                        Some((log.sent(response), Some((events, batches, log, this))))
                    }
                    Ok(None) => None,
                    Err(_) => Some((log.panicked(locale), None)),
                }
            }
        }))
    }

    fn finish(
        &self,
        mut response: Response,
        locale: Locale,
        request_id: &str,
        prefix: Option<&Message>,
    ) -> Response {
        response.errors.truncate(self.0.errors.count);
        finish(&mut response, locale, request_id);
        if let Some(prefix) = prefix {
            let unprefixed = response
                .errors
                .iter_mut()
                .filter(|error| error.path.is_empty());
            for error in unprefixed {
                error.message.insert_str(0, prefix.text(locale));
            }
        }
        cap_errors(&mut response, self.0.errors);
        if weight(&response.data) > self.0.max_reply_bytes {
            let limit = self.0.max_reply_bytes;
            let error = too_complex(("应答字节数", "bytes of a reply"), limit);
            return error.into_response(locale, request_id);
        }
        response
    }
}

/// The line that an operation leaves in the log.
struct Log {
    request_id: Arc<str>,
    operation: OperationType,
    name: String,
    viewer_id: Option<Uuid>,
    started: Instant,
}

impl Log {
    fn new(prepared: &Prepared, context: &RequestContext) -> Self {
        Self {
            request_id: Arc::clone(&context.request_id),
            operation: prepared.operation,
            name: prepared.name.clone(),
            viewer_id: context.viewer.map(|viewer| viewer.user_id),
            started: Instant::now(),
        }
    }

    fn panicked(&self, locale: Locale) -> Response {
        let panics = count_panic();
        tracing::error!(
            panics,
            request.id = &*self.request_id,
            "A resolver panicked"
        );
        ApiError::internal("a resolver panicked").into_response(locale, &self.request_id)
    }

    fn executed(&self, response: Response) -> Response {
        let duration_ms = self.started.elapsed().as_secs_f64() * 1000.0;
        tracing::info!(
            request.id = &*self.request_id,
            operation.r#type = type_name(self.operation),
            operation.name = self.name,
            viewer.id = self.viewer_id.map(tracing::field::display),
            duration_ms,
            errors = codes(&response),
            "Executed"
        );
        response
    }

    fn sent(&self, response: Response) -> Response {
        tracing::info!(
            request.id = &*self.request_id,
            operation.name = self.name,
            viewer.id = self.viewer_id.map(tracing::field::display),
            errors = codes(&response),
            "Sent an event"
        );
        response
    }
}

fn type_name(operation: OperationType) -> &'static str {
    match operation {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    }
}

fn codes(response: &Response) -> String {
    let codes: Vec<&str> = response.errors.iter().map(code_of).collect();
    codes.join(",")
}

/// Bytes that a value takes as JSON, roughly.
pub(crate) fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::List(items) => items.iter().map(|item| weight(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + 4 + weight(value))
            .sum(),
        _ => 8,
    }
}
