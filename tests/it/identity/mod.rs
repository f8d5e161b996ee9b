mod access_token;
mod login_password;
mod login_wechat;
mod refresh_session;
mod register;
