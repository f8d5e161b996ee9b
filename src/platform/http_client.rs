//! The one client for calls to other servers.

use std::time::Duration;

/// A client that never follows redirects, uses no proxy of the environment, and gives up after `timeout`.
///
/// # Errors
/// When TLS cannot be set up at all. A machine without certificate authorities gets a client that cannot use https, and an
/// error in the log: the server is of use without calls to others.
pub fn build(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    use_ring();
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("wegraph/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(3)))
            .timeout(timeout)
            // What lies idle longer may have been closed at the other end, and a call that meets that is not always safe to repeat.
            .pool_idle_timeout(Duration::from_secs(15))
            .redirect(reqwest::redirect::Policy::none())
            // Settings come from our own layers only, and a proxy would see where the secrets go.
            .no_proxy()
    };
    builder().build().or_else(|error| {
        tracing::error!(%error, "No certificate authorities were found (ca-certificates): calls by https will fail");
        builder().tls_certs_only([]).build()
    })
}

/// Makes ring the TLS library of the process; a second call changes nothing.
pub fn use_ring() {
    // Fails only when a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}
