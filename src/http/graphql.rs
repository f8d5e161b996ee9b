//! GraphQL over HTTP: POST with a JSON body, one operation or a batch; GET for queries.

use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::Response as GraphqlResponse;
use axum::body::{Bytes, HttpBody};
use axum::extract::{Extension, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::FutureExt;
use futures_util::future::Either;

use crate::gateway::endpoint::Transport;
use crate::gateway::parameters::{Operations, Parameters};
use crate::gateway::refusal::{malformed, too_complex};
use crate::gateway::turns::Rest;
use crate::graphql::context::RequestContext;
use crate::graphql::error::ApiError;
use crate::http::authorization::{authorization, unauthorized};
use crate::http::body::read_json;
use crate::http::client_address::ClientAddress;
use crate::http::headers::{locale, text, wechat_app_id};
use crate::http::pending::Holder;
use crate::http::reply::{self, MediaType, Refusal};
use crate::http::request_id::RequestId;
use crate::http::state::AppState;

const IDEMPOTENCY_KEY: header::HeaderName = header::HeaderName::from_static("idempotency-key");

/// Where the API is.
pub(crate) const PATH: &str = "/graphql";

/// `POST /graphql`
pub(crate) async fn post(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Response {
    answer_post(&state, &request_id, address, request).await
}

/// Answers a POST.
pub(crate) fn answer_post<'a, B>(
    state: &'a AppState,
    request_id: &'a Arc<str>,
    address: IpAddr,
    request: Request<B>,
) -> impl Future<Output = Response> + Send + use<'a, B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    let (Parts { headers, .. }, body) = request.into_parts();
    let (limits, http) = (&state.config.graphql, &state.config.http);
    async move {
        let (max, timeout) = (limits.max_body_bytes, http.body_timeout);
        let room = || state.arrivals.begin(address);
        let body = read_json(&headers, body, max, timeout, room).await;
        let operations = body.and_then(|body| {
            Operations::from_json(&body, &limits.limits, limits.max_batch)
                .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))
        });
        let operations = match operations {
            Ok(operations) => operations,
            Err(refusal) => {
                return refuse(state, refusal, &headers, request_id, address);
            }
        };
        // Boxed, so that a request whose body is still on its way holds no room for what comes after.
        Box::pin(run(state, headers, request_id, address, operations)).await
    }
}

async fn run(
    state: &AppState,
    headers: HeaderMap,
    request_id: &Arc<str>,
    address: IpAddr,
    operations: Operations,
) -> Response {
    let headers = &headers;
    let context = match signed_in(state, headers, request_id, address).await {
        Ok(context) => context,
        Err(response) => return *response,
    };
    let media_type = MediaType::negotiate(headers);
    let caller = context.caller();
    let (reply, rest, is_query) = match operations {
        Operations::Single(parameters) if parameters.is_empty() => {
            let missing = malformed("缺少 query 参数", "the parameter query is missing");
            return Refusal::new(StatusCode::BAD_REQUEST, missing)
                .into_response(headers, request_id);
        }
        Operations::Single(parameters) => {
            let (response, rest, is_query) = run_single(state, parameters, context).await;
            (reply::graphql(&response, media_type), rest, is_query)
        }
        // Boxed, so that a single operation makes no room for it.
        Operations::Batch(batch) => {
            let reply = Box::pin(run_batch(state, batch, &context, media_type)).await;
            (reply, Rest::NONE, false)
        }
    };
    let holder = Holder { caller, is_query };
    let held = state.pending.hold(holder, reply, headers, request_id).await;
    drop(rest);
    held
}

/// No `async fn`: what comes before the execution stays out of the future.
fn run_single(
    state: &AppState,
    parameters: Parameters,
    context: RequestContext,
) -> impl Future<Output = (GraphqlResponse, Rest, bool)> + Send + use<> {
    let mut allowance = state.endpoint.allowance(Transport::Http);
    match state.endpoint.prepare(parameters, &context, &mut allowance) {
        Ok(prepared) => {
            let is_query = prepared.is_query();
            let executed = state.endpoint.execute(prepared, context);
            Either::Left(executed.map(move |(response, rest)| (response, rest, is_query)))
        }
        Err(error) => Either::Right(ready((refused(error, &context), Rest::NONE, true))),
    }
}

/// Executes a batch in order, so that a mutation sees what the one before it did. Each result becomes text before the next
/// begins, and all of them together may be as large as one reply.
async fn run_batch(
    state: &AppState,
    batch: Vec<Parameters>,
    context: &RequestContext,
    media_type: MediaType,
) -> Response {
    let mut allowance = state.endpoint.allowance(Transport::Http);
    let mut left = state.config.graphql.max_reply_bytes;
    let mut bodies = Vec::new();
    let mut wait = None;
    for parameters in batch {
        // An operation before this one, or another device, may have ended the session.
        let prepared = match authenticate_again(state, context).await {
            Ok(()) => state.endpoint.prepare(parameters, context, &mut allowance),
            Err(error) => Err(error),
        };
        let (mut response, _rest) = match prepared {
            Ok(prepared) => state.endpoint.execute(prepared, context.clone()).await,
            Err(error) => (refused(error, context), Rest::NONE),
        };
        let mut body = reply::to_json(&response);
        if body.as_ref().is_none_or(|body| body.get().len() > left) {
            let limit = state.config.graphql.max_reply_bytes;
            response = refused(
                too_complex(("应答字节数", "bytes of a reply"), limit),
                context,
            );
            body = reply::to_json(&response);
        }
        if let Some(body) = body {
            left = left.saturating_sub(body.get().len());
            bodies.push(body);
        }
        wait = wait.max(reply::retry_after(&response));
    }
    reply::batch(&bodies, wait, media_type)
}

/// Whether the caller of a batch is still who it was when the batch began.
async fn authenticate_again(state: &AppState, context: &RequestContext) -> Result<(), ApiError> {
    match &context.viewer {
        Some(viewer) => Ok(state.identity.check(viewer).await?),
        None => Ok(()),
    }
}

/// `GET /graphql`: queries only. A browser that asks for a page without a query is sent to GraphiQL.
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Response {
    let (Parts { headers, uri, .. }, _) = request.into_parts();
    answer(&state, &headers, &request_id, address, uri.query()).await
}

async fn answer(
    state: &AppState,
    headers: &HeaderMap,
    request_id: &Arc<str>,
    address: IpAddr,
    query: Option<&str>,
) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if query.is_none() && wants_page && state.config.graphql.playground {
        return Redirect::to("/graphiql").into_response();
    }
    let parameters =
        Parameters::from_query_string(query.unwrap_or_default(), &state.config.graphql.limits);
    let parameters = match parameters {
        Ok(parameters) if parameters.is_empty() => Err(malformed(
            "缺少 query 参数",
            "the parameter query is missing",
        )),
        other => other,
    };
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(error) => {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, error);
            return refuse(state, refusal, headers, request_id, address);
        }
    };
    let context = match signed_in(state, headers, request_id, address).await {
        Ok(context) => context,
        Err(response) => return *response,
    };
    let media_type = MediaType::negotiate(headers);
    let mut allowance = state.endpoint.allowance(Transport::Http);
    match state.endpoint.prepare(parameters, &context, &mut allowance) {
        Ok(prepared) if prepared.is_query() => {
            let caller = context.caller();
            let (response, rest) = state.endpoint.execute(prepared, context).await;
            let reply = reply::graphql(&response, media_type);
            drop(response);
            let holder = Holder {
                caller,
                is_query: true,
            };
            let held = state.pending.hold(holder, reply, headers, request_id).await;
            drop(rest);
            held
        }
        Ok(_) => refuse_method(headers, request_id),
        Err(error) => reply::graphql(&refused(error, &context), media_type),
    }
}

/// The reply to a request that names no operation, counted for its address.
fn refuse(
    state: &AppState,
    refusal: Refusal,
    headers: &HeaderMap,
    request_id: &str,
    address: IpAddr,
) -> Response {
    let refusal = match state.endpoint.charge_refusal(address) {
        Ok(()) => refusal,
        Err(limited) => Refusal::new(StatusCode::TOO_MANY_REQUESTS, limited).closing(),
    };
    refusal.into_response(headers, request_id)
}

fn refused(error: ApiError, context: &RequestContext) -> GraphqlResponse {
    error.into_response(context.locale, &context.request_id)
}

/// A GET must be safe to repeat, to cache and to follow: no mutations.
fn refuse_method(headers: &HeaderMap, request_id: &str) -> Response {
    let error = malformed(
        "GET 只能执行查询，请用 POST",
        "GET runs queries only, use POST",
    );
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error);
    let mut response = refusal.into_response(headers, request_id);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// Who calls, and how to answer; the reply to a token that does not count.
async fn signed_in(
    state: &AppState,
    headers: &HeaderMap,
    request_id: &Arc<str>,
    client_address: IpAddr,
) -> Result<RequestContext, Box<Response>> {
    match state.endpoint.authenticate(authorization(headers)).await {
        Ok(access) => Ok(RequestContext {
            viewer: access.map(|access| access.viewer),
            locale: locale(headers),
            request_id: Arc::clone(request_id),
            user_agent: text(headers, header::USER_AGENT),
            client_address,
            wechat_app_id: wechat_app_id(headers),
            idempotency_key: text(headers, IDEMPOTENCY_KEY).filter(|key| !key.is_empty()),
        }),
        Err(error) => {
            let limited = state.endpoint.charge_refusal(client_address).err();
            Err(Box::new(match limited {
                Some(limited) => Refusal::new(StatusCode::TOO_MANY_REQUESTS, limited)
                    .into_response(headers, request_id),
                None => unauthorized(error, headers, request_id),
            }))
        }
    }
}
