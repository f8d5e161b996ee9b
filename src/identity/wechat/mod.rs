//! What the codes of WeChat are good for: signing in, linking an account, a verified phone number.
//!
//! A code works once, and the phone may lose our reply, so its use goes on when the client is gone.

mod link;
mod sign_in;

use crate::clients::wechat::WechatError;
use crate::identity::error::IdentityError;
use crate::identity::service::{Client, IdentityService};
use crate::platform::fault::{Faults, Rule};

pub(super) use self::sign_in::Flights;

impl IdentityService {
    /// The mini-program that a code is for, and the code without blanks around it.
    fn check_code(
        &self,
        base: &[&str],
        code: &str,
        app_id: Option<&str>,
        client: Client<'_>,
    ) -> Result<(String, String), IdentityError> {
        let mut faults = Faults::under(base);
        let code = faults.line(&["code"], code, 1, 256);
        let app = self.wechat.choose(app_id, client.app_id);
        if app.is_err() {
            faults.add(&["appId"], Rule::Unknown);
        }
        let code = faults.check(code)?;
        match app {
            Ok(Some(app_id)) => Ok((app_id.to_owned(), code)),
            _ => {
                tracing::warn!("A WeChat code was sent, and no mini-program is configured");
                Err(WechatError::NotConfigured.into())
            }
        }
    }
}
