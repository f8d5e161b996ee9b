//! What a client sends to have an operation executed, the same over HTTP and WebSocket.

use std::fmt;
use std::marker::PhantomData;

use async_graphql::Variables;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::gateway::precheck::{Excess, scan_json};
use crate::gateway::refusal::{malformed, too_complex};
use crate::gateway::surrogates::lone_surrogate;
use crate::graphql::error::ApiError;
use crate::platform::config::DocumentLimits;

/// Levels of a body around the values of variables: batch, request, `variables`.
const ENVELOPE: usize = 3;

/// The parameters of the GraphQL-over-HTTP specification, and `documentId` of its appendix on
/// persisted documents.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Parameters {
    /// Text of the document.
    pub query: Option<String>,
    /// Id of a document that the server knows.
    pub document_id: Option<String>,
    /// Which operation of the document.
    pub operation_name: Option<String>,
    /// Values of its variables.
    pub variables: Option<Variables>,
    /// Apollo's persisted queries; the rest is not used.
    pub extensions: Option<Object<Extensions>>,
}

/// What is read of `extensions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extensions {
    /// A document by its hash.
    pub persisted_query: Option<Object<PersistedQuery>>,
}

/// A document by its hash.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistedQuery {
    /// SHA-256 of the text in hexadecimal, or an id of the manifest.
    pub sha256_hash: String,
}

/// The operations of a request.
#[derive(Debug)]
pub enum Operations {
    /// One, answered by an object.
    Single(Parameters),
    /// Several, answered by an array in the same order.
    Batch(Vec<Parameters>),
}

/// A JSON object and nothing else: what serde derives for a struct would take an array, too.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Looks at the sizes of a JSON text before it is parsed.
///
/// # Errors
/// QUERY_TOO_COMPLEX.
pub fn scan(json: &[u8], limits: &DocumentLimits) -> Result<(), ApiError> {
    match scan_json(json, limits.values, limits.nesting + ENVELOPE) {
        Ok(_) => Ok(()),
        Err(Excess::Nesting) => Err(too_complex(
            ("变量嵌套层数", "nested lists and objects in variables"),
            limits.nesting,
        )),
        Err(_) => Err(too_complex(
            ("请求中的值", "values in a request"),
            limits.values,
        )),
    }
}

impl Operations {
    /// Reads a request body.
    ///
    /// # Errors
    /// BAD_USER_INPUT, QUERY_TOO_COMPLEX.
    pub fn from_json(
        body: &[u8],
        limits: &DocumentLimits,
        max_batch: usize,
    ) -> Result<Self, ApiError> {
        let body = match std::str::from_utf8(body) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes(),
            Err(_) => {
                return Err(malformed(
                    "请求体不是有效的 UTF-8 文本",
                    "the body is not valid UTF-8",
                ));
            }
        };
        scan(body, limits)?;
        let explain = |error: serde_json::Error| match error.classify() {
            serde_json::error::Category::Data => malformed(
                "请求体应为含 query、operationName、variables 的 JSON 对象，或其数组",
                "the body must be a JSON object with query, operationName and variables, or an array of such",
            ),
            _ => lone_surrogate(body).unwrap_or_else(|| {
                malformed("请求体不是有效的 JSON", "the body is not valid JSON")
            }),
        };
        if body.trim_ascii_start().first() != Some(&b'[') {
            let Object(parameters) = serde_json::from_slice(body).map_err(explain)?;
            return Ok(Self::Single(parameters));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let batch = deserializer
            .deserialize_seq(BatchVisitor { max: max_batch })
            .and_then(|batch| deserializer.end().map(|()| batch))
            .map_err(explain)?;
        match batch.len() {
            0 => Err(malformed("批量请求不能为空", "a batch must not be empty")),
            length if length > max_batch => Err(too_complex(
                ("批量操作", "operations in a batch"),
                max_batch,
            )),
            _ => Ok(Self::Batch(batch)),
        }
    }
}

/// Reads one operation more than a batch may have and no more.
struct BatchVisitor {
    max: usize,
}

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = Vec<Parameters>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut batch = Vec::new();
        while let Some(item) = items.next_element::<Object<Parameters>>()? {
            batch.push(item.0);
            if batch.len() > self.max {
                while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(batch)
    }
}

impl Parameters {
    /// Whether they name no document at all.
    pub fn is_empty(&self) -> bool {
        let has_hash = self
            .extensions
            .as_ref()
            .is_some_and(|extensions| extensions.0.persisted_query.is_some());
        let has_text = self
            .query
            .as_ref()
            .is_some_and(|query| !query.trim().is_empty());
        !has_text && self.document_id.is_none() && !has_hash
    }

    /// Reads a query string.
    ///
    /// # Errors
    /// BAD_USER_INPUT, QUERY_TOO_COMPLEX.
    pub fn from_query_string(text: &str, limits: &DocumentLimits) -> Result<Self, ApiError> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
            match name.as_str() {
                "query" => parameters.query = Some(value),
                "documentId" => parameters.document_id = Some(value),
                "operationName" => parameters.operation_name = Some(value),
                "variables" => parameters.variables = object(&name, &value, limits)?,
                "extensions" => parameters.extensions = object(&name, &value, limits)?,
                _ => {}
            }
        }
        Ok(parameters)
    }
}

fn object<T: DeserializeOwned>(
    name: &str,
    json: &str,
    limits: &DocumentLimits,
) -> Result<Option<T>, ApiError> {
    // A parameter that is empty is one that is absent.
    if json.trim().is_empty() {
        return Ok(None);
    }
    scan(json.as_bytes(), limits)?;
    serde_json::from_str(json).map_err(|_| {
        lone_surrogate(json.as_bytes()).unwrap_or_else(|| {
            malformed(
                format!("{name} 参数应为 JSON 对象"),
                format!("the parameter {name} must be a JSON object"),
            )
        })
    })
}
