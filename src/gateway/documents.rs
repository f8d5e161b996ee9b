//! The documents that the server knows, by id, by hash and by text.
//!
//! One that passed its checks is kept by its text, so that the next request with the same text pays
//! for none of them. What is kept is bounded in bytes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::gateway::document::{Checks, Document};
use crate::gateway::parameters::Parameters;
use crate::gateway::refusal::malformed;
use crate::graphql::error::{ApiError, ErrorCode};
use crate::platform::config::{DocumentPolicy, GraphqlConfig};
use crate::platform::locale::Message;

/// Memory for parsed documents, in bytes.
const CACHE_BYTES: u64 = 16 << 20;
/// Memory for the texts of persisted queries, in bytes.
const PERSISTED_BYTES: u64 = 4 << 20;

/// All documents that the server knows.
pub struct Documents {
    checks: Checks,
    policy: DocumentPolicy,
    known: Cache<String, Arc<Document>>,
    persisted: Cache<[u8; 32], Arc<str>>,
    trusted: HashMap<String, Arc<Document>>,
}

impl Documents {
    /// Checks the documents of our own pages, `(id, text)`, and those of the manifest, if there is
    /// one.
    ///
    /// # Errors
    /// When the manifest cannot be read, or one of its documents would be refused.
    pub fn new(
        checks: Checks,
        config: &GraphqlConfig,
        own: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut this = Self {
            checks,
            policy: config.documents,
            known: Cache::builder()
                .weigher(|text: &String, document: &Arc<Document>| {
                    document.weight.saturating_add(text.len() as u32)
                })
                .max_capacity(CACHE_BYTES)
                .build(),
            persisted: Cache::builder()
                .weigher(|_, text: &Arc<str>| text.len() as u32 + 128)
                .max_capacity(PERSISTED_BYTES)
                .build(),
            trusted: HashMap::new(),
        };
        for (id, text) in own {
            // Limits can be so low that a page has to do without them; that is no reason not to
            // serve the rest.
            if let Err(error) = this.trust(vec![((*id).into(), (*text).into())]) {
                tracing::warn!(%error, "A page of ours will not work: its queries are beyond the limits");
            }
        }
        if let Some(path) = &config.trusted_documents {
            let documents = read_manifest(path)
                .with_context(|| format!("graphql.trusted_documents: {}", path.display()))?;
            tracing::info!(documents = documents.len(), "Read the trusted documents");
            this.trust(documents)
                .with_context(|| format!("graphql.trusted_documents: {}", path.display()))?;
        }
        Ok(this)
    }

    /// What documents are held to.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// The document that a request names by id, by hash or by its text.
    ///
    /// # Errors
    /// PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_ONLY, BAD_USER_INPUT, and why the document is
    /// refused.
    pub fn find(&self, parameters: &Parameters) -> Result<Arc<Document>, ApiError> {
        let query = parameters
            .query
            .as_deref()
            .filter(|query| !query.trim().is_empty());
        if let Some(id) = &parameters.document_id {
            if query.is_some() && self.policy == DocumentPolicy::Any {
                return Err(malformed(
                    "query 与 documentId 只能用一个",
                    "use either query or documentId",
                ));
            }
            if query.is_some() {
                return Err(ApiError::new(ErrorCode::PersistedQueryOnly));
            }
            return match self.trusted.get(id) {
                Some(document) => Ok(Arc::clone(document)),
                None => Err(self.unknown()),
            };
        }
        let extensions = parameters.extensions.as_ref();
        let persisted = extensions.and_then(|extensions| extensions.0.persisted_query.as_ref());
        if let Some(persisted) = persisted {
            return self.find_persisted(&persisted.0.sha256_hash, query);
        }
        match (query, self.policy) {
            (None, _) => Err(malformed(
                "缺少 query 参数",
                "the parameter query is missing",
            )),
            (Some(query), DocumentPolicy::Any) => self.check_text(query),
            (Some(_), _) => Err(ApiError::new(ErrorCode::PersistedQueryOnly)),
        }
    }

    /// Automatic persisted queries: the hash alone, or with the text for the first time.
    fn find_persisted(&self, hash: &str, query: Option<&str>) -> Result<Arc<Document>, ApiError> {
        if let Some(document) = self.trusted.get(hash) {
            return Ok(Arc::clone(document));
        }
        if self.policy == DocumentPolicy::TrustedOnly {
            return Err(self.unknown());
        }
        let Some(key) = parse_hash(hash) else {
            return Err(malformed(
                "sha256Hash 应为 64 位十六进制数",
                "sha256Hash must be 64 hexadecimal digits",
            ));
        };
        let Some(query) = query else {
            let text = self.persisted.get(&key).ok_or_else(|| self.unknown())?;
            return self.check_text(&text);
        };
        if Sha256::digest(query.as_bytes()).as_slice() != key {
            return Err(malformed(
                "sha256Hash 与 query 不符",
                "sha256Hash is not the hash of query",
            ));
        }
        let document = self.check_text(query)?;
        self.persisted.insert(key, query.into());
        Ok(document)
    }

    fn unknown(&self) -> ApiError {
        if self.policy == DocumentPolicy::TrustedOnly {
            return ApiError::new(ErrorCode::PersistedQueryOnly);
        }
        // Clients know it by these words, whatever the language; urql looks at nothing else.
        let words = "PersistedQueryNotFound";
        ApiError::new(ErrorCode::PersistedQueryNotFound).with_message(Message::new(words, words))
    }

    fn check_text(&self, query: &str) -> Result<Arc<Document>, ApiError> {
        if let Some(document) = self.known.get(query) {
            return Ok(document);
        }
        let document = Arc::new(self.checks.check(query)?);
        self.known.insert(query.to_owned(), Arc::clone(&document));
        Ok(document)
    }

    fn trust(&mut self, documents: Vec<(String, String)>) -> anyhow::Result<()> {
        for (id, query) in documents {
            let document = match self.checks.check(&query) {
                Ok(document) => document,
                Err(error) => bail!("{id}: {}", error.in_english()),
            };
            if self
                .trusted
                .insert(id.clone(), Arc::new(document))
                .is_some()
            {
                bail!("{id} stands there twice");
            }
        }
        Ok(())
    }
}

fn read_manifest(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    parse_manifest(&std::fs::read_to_string(path)?)
}

/// Ids and texts of a manifest: an object from id to text, or Apollo's persisted query manifest.
fn parse_manifest(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Manifest {
        Apollo { operations: Vec<ApolloOperation> },
        Plain(HashMap<String, String>),
    }
    #[derive(serde::Deserialize)]
    struct ApolloOperation {
        id: String,
        body: String,
    }
    let manifest = serde_json::from_str(text)
        .context("expected a JSON object from id to text, or Apollo's persisted query manifest")?;
    let mut documents: Vec<_> = match manifest {
        Manifest::Apollo { operations } => operations.into_iter().map(|o| (o.id, o.body)).collect(),
        Manifest::Plain(documents) => documents.into_iter().collect(),
    };
    documents.sort();
    Ok(documents)
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = (digit(digits[0])? * 16 + digit(digits[1])?) as u8;
    }
    Some(hash)
}
