//! Subscribe messages of the simulated platform: `POST /cgi-bin/message/subscribe/send`.
//!
//! Each message uses up one consent, a person gets one at a time, and fields take only what the platform's rules allow. Templates
//! that are called `sim-…` belong to every mini-program, take any fields and need no consent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use serde_json::Value;

use super::wechat::{Reply, WechatSimulator, openid};

/// What the platform remembers of messages.
#[derive(Default)]
pub(super) struct Messages {
    /// The keys of each template, by AppID and id.
    templates: HashMap<(String, String), Vec<String>>,
    /// By openid and template.
    consents: HashMap<(String, String), u32>,
    /// People who are being sent one.
    busy: HashSet<String>,
    /// By openid.
    faults: HashMap<String, VecDeque<String>>,
    delay: Duration,
    /// By openid, refused ones among them.
    calls: HashMap<String, u64>,
    sent: Vec<SentMessage>,
}

/// A message that a person has got.
#[derive(Debug, Clone, PartialEq)]
pub struct SentMessage {
    /// Whose.
    pub openid: String,
    /// The template.
    pub template_id: String,
    /// The whole request.
    pub body: Value,
}

impl WechatSimulator {
    fn messages<T>(&self, work: impl FnOnce(&mut Messages) -> T) -> T {
        let mut messages = self
            .messages_lock()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut messages)
    }

    /// Gives a mini-program a template with these keys.
    pub fn add_template(&self, app_id: &str, template_id: &str, keys: &[&str]) {
        let key = (app_id.to_owned(), template_id.to_owned());
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.messages(|messages| messages.templates.insert(key, keys));
    }

    /// Lets a person agree to one more message of a template.
    pub fn agree(&self, app_id: &str, person: &str, template_id: &str) {
        let key = (openid(app_id, person), template_id.to_owned());
        self.messages(|messages| *messages.consents.entry(key).or_default() += 1);
    }

    /// Lets the next messages to a person meet these faults, one each: an errcode, a fault of [`WechatSimulator::fail`], or `lost`
    /// for a message that is sent though no answer comes.
    pub fn fail_sends(&self, app_id: &str, person: &str, faults: &[&str]) {
        let faults = faults.iter().map(|fault| (*fault).to_owned());
        let person = openid(app_id, person);
        self.messages(|messages| messages.faults.entry(person).or_default().extend(faults));
    }

    /// Gives a person a message and uses up a consent; whether there was one.
    fn deliver(&self, person: String, template_id: String, body: Value) -> bool {
        self.messages(|messages| {
            messages.busy.remove(&person);
            if !template_id.starts_with("sim-") {
                let key = (person.clone(), template_id.clone());
                match messages.consents.get_mut(&key) {
                    Some(left) if *left > 0 => *left -= 1,
                    _ => return false,
                }
            }
            messages.sent.push(SentMessage {
                openid: person,
                template_id,
                body,
            });
            true
        })
    }

    /// How long each message takes from now on.
    pub fn delay_sends(&self, delay: Duration) {
        self.messages(|messages| messages.delay = delay);
    }

    /// How many calls there were, refused ones among them.
    pub fn send_calls(&self) -> u64 {
        self.messages(|messages| messages.calls.values().sum())
    }

    /// How many of them were for this person.
    pub fn send_calls_to(&self, app_id: &str, person: &str) -> u64 {
        let person = openid(app_id, person);
        self.messages(|messages| messages.calls.get(&person).copied().unwrap_or_default())
    }

    /// The messages that people have got, in order.
    pub fn sent(&self) -> Vec<SentMessage> {
        self.messages(|messages| messages.sent.clone())
    }
}

pub(super) async fn send(
    State(simulator): State<WechatSimulator>,
    Query(query): Query<HashMap<String, String>>,
    body: String,
) -> Response {
    if let Some(fault) = simulator.outage() {
        return fault.send().await;
    }
    let person = serde_json::from_str::<Value>(&body)
        .ok()
        .and_then(|body| Some(body.get("touser")?.as_str()?.to_owned()));
    let (fault, delay) = simulator.messages(|messages| {
        let person = person.unwrap_or_default();
        *messages.calls.entry(person.clone()).or_default() += 1;
        let faults = messages.faults.get_mut(&person);
        (faults.and_then(VecDeque::pop_front), messages.delay)
    });
    let token = query.get("access_token").map(String::as_str);
    let app_id = match simulator.check_token(token) {
        Ok(app_id) => app_id,
        Err(errcode) => return Reply::Errcode(errcode).send().await,
    };
    if let Some(fault) = fault.as_deref().filter(|fault| *fault != "lost") {
        let reply = match fault {
            // A status of HTTP.
            "500" => Reply::Fault(fault.to_owned()),
            _ => match fault.parse() {
                Ok(errcode) => Reply::Errcode(errcode),
                Err(_) => Reply::Fault(fault.to_owned()),
            },
        };
        return reply.send().await;
    }
    let (person, template_id, body) = match check(&simulator, &app_id, &body) {
        Ok(checked) => checked,
        Err(errcode) => return Reply::Errcode(errcode).send().await,
    };
    if !simulator.messages(|messages| messages.busy.insert(person.clone())) {
        return Reply::Errcode(43108).send().await;
    }
    // It goes on when whoever asked has gone: the platform has the message.
    let sending = tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        simulator.deliver(person, template_id, body)
    });
    let is_sent = sending.await.unwrap_or_default();
    let reply = match (is_sent, fault) {
        (false, _) => Reply::Errcode(43101),
        (true, Some(_)) => Reply::Fault("close".to_owned()),
        (true, None) => Reply::Errcode(0),
    };
    reply.send().await
}

/// The person, the template and the request; the errcode of what is wrong with it.
fn check(
    simulator: &WechatSimulator,
    app_id: &str,
    body: &str,
) -> Result<(String, String, Value), i64> {
    if body.is_empty() {
        return Err(44002);
    }
    let body: Value = serde_json::from_str(body).map_err(|_| 47001)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let person = text("touser").ok_or(40003)?;
    let template_id = text("template_id").ok_or(40037)?;
    // People are forgotten when the simulator stops, but `wegraph dev` knows them.
    if !template_id.starts_with("sim-") && !simulator.knows(app_id, person) {
        return Err(40003);
    }
    let states = ["developer", "trial", "formal"];
    if text("miniprogram_state").is_some_and(|state| !states.contains(&state)) {
        return Err(47001);
    }
    let languages = ["zh_CN", "en_US", "zh_HK", "zh_TW"];
    if text("lang").is_some_and(|language| !languages.contains(&language)) {
        return Err(47001);
    }
    if text("page").is_some_and(|page| page.is_empty() || page.starts_with('/')) {
        return Err(41030);
    }
    let data = body.get("data").and_then(Value::as_object).ok_or(47003)?;
    let key = (app_id.to_owned(), template_id.to_owned());
    let keys = simulator.messages(|messages| messages.templates.get(&key).cloned());
    match keys {
        Some(keys) => {
            let is_complete = keys.iter().all(|key| data.contains_key(key));
            if !is_complete || keys.len() != data.len() {
                return Err(47003);
            }
        }
        None if template_id.starts_with("sim-") => {}
        None => return Err(40037),
    }
    let is_fine = |(key, field): (&String, &Value)| {
        let value = field.get("value").and_then(Value::as_str);
        value.is_some_and(|value| takes(key, value))
    };
    if !data.iter().all(is_fine) {
        return Err(47003);
    }
    Ok((person.to_owned(), template_id.to_owned(), body))
}

/// The platform's rules for values, by the letters of the key.
fn takes(key: &str, value: &str) -> bool {
    let length = value.chars().count();
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return false;
    }
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let is_digit = |c: char| c.is_ascii_digit();
    let has_digits = value.chars().any(is_digit);
    match key.trim_end_matches(is_digit) {
        "thing" => length <= 20,
        "number" => length <= 32 && value.trim_start_matches('-').parse::<f64>().is_ok(),
        "letter" => length <= 32 && value.chars().all(|c| c.is_ascii_alphabetic()),
        "symbol" => length <= 5 && !value.chars().any(char::is_alphanumeric),
        "character_string" => length <= 32 && !value.chars().any(is_chinese),
        "time" => {
            value.contains(':')
                && value
                    .chars()
                    .all(|c| is_digit(c) || "年月日: ~".contains(c))
        }
        "date" => {
            has_digits
                && value
                    .chars()
                    .all(|c| is_digit(c) || "年月日: ~-/.".contains(c))
        }
        "amount" => has_digits && value.chars().filter(|c| is_digit(*c)).count() <= 10,
        "phone_number" => length <= 17 && value.is_ascii() && has_digits,
        "car_number" => length <= 8,
        "name" => length <= 10 || (length <= 20 && value.is_ascii()),
        "phrase" => length <= 5 && value.chars().all(is_chinese),
        "enum" => true,
        _ => false,
    }
}
