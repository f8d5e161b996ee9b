//! GraphQL over HTTP: POST with a JSON body, GET for queries.

use async_graphql::{Request, Variables};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::graphql::context::RequestContext;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::http::endpoint::Prepared;
use crate::http::reply::{self, MediaType};
use crate::http::router::{AppState, RequestId};
use crate::platform::locale::Message;

/// The parameters of the GraphQL-over-HTTP specification.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<serde_json::Map<String, serde_json::Value>>,
    /// Read, so that a value that is no object is refused; nothing here uses it.
    #[serde(rename = "extensions")]
    _extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Parameters {
    fn into_request(self) -> Result<Request, Refusal> {
        let query = self
            .query
            .filter(|query| !query.trim().is_empty())
            .ok_or_else(|| {
                Refusal::malformed("缺少 query 参数", "the parameter query is missing")
            })?;
        let mut request = Request::new(query);
        request.operation_name = self.operation_name;
        request.variables = Variables::from_json(serde_json::Value::Object(
            self.variables.unwrap_or_default(),
        ));
        Ok(request)
    }
}

/// Why a request does not reach the schema.
struct Refusal {
    status: StatusCode,
    error: ApiError,
}

impl Refusal {
    fn new(status: StatusCode, zh: &str, en: &str) -> Self {
        Self {
            status,
            error: ApiError::new(ErrorCode::BadUserInput).with_message(Message::new(zh, en)),
        }
    }

    fn malformed(zh: &str, en: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, zh, en)
    }
}

/// `POST /graphql`
pub(crate) async fn post(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = match body {
        _ if !is_json(&headers) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type 应为 application/json",
            "the Content-Type must be application/json",
        )),
        Ok(body) => parse_body(&body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "请求体过大",
            "the request body is too large",
        )),
        Err(_) => Err(Refusal::malformed(
            "请求体不完整",
            "the request body is incomplete",
        )),
    };
    answer(&state, &Method::POST, &headers, request_id, request).await
}

/// `GET /graphql`: queries only. A browser that asks for a page without a query is sent to GraphiQL.
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if query.is_none() && wants_page && state.has_playground {
        return Redirect::to("/graphiql").into_response();
    }
    let request = parse_query_string(query.as_deref().unwrap_or_default());
    answer(&state, &Method::GET, &headers, request_id, request).await
}

async fn answer(
    state: &AppState,
    method: &Method,
    headers: &HeaderMap,
    request_id: String,
    request: Result<Request, Refusal>,
) -> Response {
    let viewer = match state.endpoint.authenticate(authorization(headers)).await {
        Ok(viewer) => viewer,
        Err(error) => return unauthorized(error, headers, &request_id),
    };
    let prepared = match request.map(|request| state.endpoint.prepare(request)) {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(error)) => {
            let media_type = MediaType::negotiate(headers);
            let response = error.into_response(reply::locale(headers), &request_id);
            return reply::graphql(&response, media_type);
        }
        Err(Refusal { status, error }) => {
            return reply::refusal(status, error, headers, &request_id);
        }
    };
    if let Some(refusal) = refuse_method(method, &prepared, headers, &request_id) {
        return refusal;
    }
    let context = RequestContext {
        viewer,
        locale: reply::locale(headers),
        request_id,
        user_agent: text(headers, header::USER_AGENT),
    };
    let response = state.endpoint.execute(prepared, context).await;
    reply::graphql(&response, MediaType::negotiate(headers))
}

/// A GET must be safe to repeat, to cache and to follow: no mutations.
fn refuse_method(
    method: &Method,
    prepared: &Prepared,
    headers: &HeaderMap,
    request_id: &str,
) -> Option<Response> {
    if method == Method::POST || prepared.is_query() {
        return None;
    }
    let Refusal { status, error } = Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "GET 只能执行查询，请用 POST",
        "GET runs queries only, use POST",
    );
    let mut response = reply::refusal(status, error, headers, request_id);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST"));
    Some(response)
}

/// 401 for a token that does not count. An internal error while looking it up is ours, not the token's.
pub(crate) fn unauthorized(error: ApiError, headers: &HeaderMap, request_id: &str) -> Response {
    if error.code() == ErrorCode::InternalServerError {
        return reply::refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            error,
            headers,
            request_id,
        );
    }
    let mut response = reply::refusal(StatusCode::UNAUTHORIZED, error, headers, request_id);
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer error=\"invalid_token\""),
    );
    response
}

/// The `Authorization` header. Several of them, or one that is no text, count as a token that is not ours.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    match values.next() {
        None => Some(value.to_str().unwrap_or_default()),
        Some(_) => Some(""),
    }
}

pub(crate) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = text(headers, header::CONTENT_TYPE)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    parts.next() == Some("application/json")
        && parts.all(|part| match part.strip_prefix("charset=") {
            Some(charset) => charset.trim_matches('"') == "utf-8",
            None => true,
        })
}

fn parse_body(body: &[u8]) -> Result<Request, Refusal> {
    let parameters: Parameters =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Refusal::malformed(
                "请求体应为含 query、operationName、variables 的 JSON 对象",
                "the body must be a JSON object with query, operationName and variables",
            ),
            _ => Refusal::malformed("请求体不是有效的 JSON", "the body is not valid JSON"),
        })?;
    parameters.into_request()
}

fn parse_query_string(query: &str) -> Result<Request, Refusal> {
    let mut parameters = Parameters {
        query: None,
        operation_name: None,
        variables: None,
        _extensions: None,
    };
    let object = |name: &str, value: &str| {
        serde_json::from_str(value).map_err(|_| {
            Refusal::malformed(
                &format!("{name} 参数应为 JSON 对象"),
                &format!("the parameter {name} must be a JSON object"),
            )
        })
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
        match name.as_str() {
            "query" => parameters.query = Some(value),
            "operationName" => parameters.operation_name = Some(value),
            "variables" => parameters.variables = object("variables", &value)?,
            "extensions" => parameters._extensions = object("extensions", &value)?,
            _ => {}
        }
    }
    parameters.into_request()
}
