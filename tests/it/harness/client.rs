//! A client as a mini-program is one: JSON in, JSON out, a token in the header.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::Server;

/// Sends requests, with or without a token.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base_url: String,
    token: Option<String>,
    language: Option<String>,
    pub(crate) refresh_token: String,
    pub(crate) user_id: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(http: reqwest::Client, base_url: String) -> Self {
        Self {
            http,
            base_url,
            token: None,
            language: None,
            refresh_token: String::new(),
            user_id: String::new(),
        }
    }

    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The same person at another server.
    pub(crate) fn at(&self, server: &Server) -> Self {
        let mut client = self.clone();
        client.base_url.clone_from(&server.base_url);
        client
    }

    /// With the tokens of an `AuthPayload` that selects them and the user's id.
    pub(crate) fn signed_in(self, payload: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let mut client = self.with_token(&text(&payload["accessToken"]));
        client.refresh_token = text(&payload["refreshToken"]);
        client.user_id = text(&payload["user"]["id"]);
        client
    }

    /// Runs a query with a header.
    pub(crate) async fn run_with(
        &self,
        header: (&str, &str),
        query: &str,
        variables: Value,
    ) -> Reply {
        let body = json!({"query": query, "variables": variables});
        Reply::of(self.post("/graphql").header(header.0, header.1).json(&body)).await
    }

    pub(crate) fn with_language(mut self, language: &str) -> Self {
        self.language = Some(language.to_owned());
        self
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("a token")
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.decorate(
            self.http
                .request(method, format!("{}{path}", self.base_url)),
        )
    }

    fn decorate(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(language) = &self.language {
            request = request.header("Accept-Language", language);
        }
        request
    }

    /// Runs a query with variables.
    pub(crate) async fn run(&self, query: &str, variables: Value) -> Reply {
        let body = json!({"query": query, "variables": variables});
        Reply::of(self.post("/graphql").json(&body)).await
    }

    /// Runs a query without variables.
    pub(crate) async fn ask(&self, query: &str) -> Reply {
        self.run(query, json!({})).await
    }
}

impl Reply {
    /// Sends `request` and reads the answer, which must be JSON.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {status} {text}"));
        Self {
            status,
            headers,
            body,
        }
    }

    /// The data of a reply without errors.
    #[track_caller]
    pub(crate) fn data(&self) -> &Value {
        assert_eq!(self.body.get("errors"), None, "{}", self.body);
        &self.body["data"]
    }

    /// The code of the only error.
    #[track_caller]
    pub(crate) fn code(&self) -> &str {
        assert_eq!(
            self.body["errors"].as_array().map(Vec::len),
            Some(1),
            "one error expected: {}",
            self.body
        );
        self.body["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code: {}", self.body))
    }

    #[track_caller]
    pub(crate) fn message(&self) -> &str {
        self.body["errors"][0]["message"]
            .as_str()
            .expect("a message")
    }

    /// `path code` of each faulty field.
    #[track_caller]
    pub(crate) fn faults(&self) -> Vec<String> {
        let fields = self.body["errors"][0]["extensions"]["fields"]
            .as_array()
            .unwrap_or_else(|| panic!("no fields: {}", self.body));
        fields
            .iter()
            .map(|field| {
                let path: Vec<&str> = field["path"]
                    .as_array()
                    .expect("a path")
                    .iter()
                    .map(|part| part.as_str().expect("text"))
                    .collect();
                format!(
                    "{} {}",
                    path.join("."),
                    field["code"].as_str().expect("a code")
                )
            })
            .collect()
    }
}
