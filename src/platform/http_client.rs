//! The one client for calls to other servers.

use std::time::Duration;

/// A client that never follows redirects, uses no proxy of the environment, and gives up after `timeout`.
///
/// # Errors
/// When the TLS roots of the machine cannot be read.
pub fn build(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    // Fails only when a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .user_agent(concat!("wegraph/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout.min(Duration::from_secs(3)))
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        // Settings come from our own layers only, and a proxy would see where the secrets go.
        .no_proxy()
        .build()
}
