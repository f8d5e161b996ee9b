//! Any sequence of messages leaves the protocol within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/http/websocket/protocol.rs"]
mod protocol;

use protocol::{Action, Outgoing, Protocol};

const MAX_OPERATIONS: usize = 3;
const CODES: [u16; 5] = [4400, 4401, 4403, 4409, 4429];

fuzz_target!(|messages: &str| {
    let mut protocol = Protocol::new(MAX_OPERATIONS);
    let mut running: Vec<String> = Vec::new();
    for (number, message) in messages.lines().enumerate() {
        match protocol.receive(message) {
            Action::Close(close) => {
                assert!(CODES.contains(&close.code) && close.reason.len() <= 123);
                return;
            }
            Action::Initialise(_) => {
                assert!(!protocol.is_ready());
                is_json(&protocol.acknowledge());
            }
            Action::Reply(text) => is_json(&text),
            Action::Start(id, payload) => {
                assert!(protocol.is_ready() && !id.is_empty() && !running.contains(&id));
                let payload = Some(payload);
                is_json(
                    &Outgoing {
                        kind: "next",
                        id: Some(&id),
                        payload,
                    }
                    .text(),
                );
                running.push(id);
                assert!(running.len() <= MAX_OPERATIONS);
            }
            Action::TooMany(id) => {
                assert!(running.len() == MAX_OPERATIONS && !running.contains(&id));
            }
            Action::Stop(id) => {
                assert!(running.contains(&id));
                running.retain(|other| *other != id);
            }
            Action::Ignore => {}
        }
        if number % 5 == 4
            && let Some(id) = running.pop()
        {
            assert!(protocol.finish(&id));
        }
    }
});

/// Without looking whether numbers are in the range of anything.
fn is_json(text: &str) {
    serde_json::from_str::<serde::de::IgnoredAny>(text).expect("JSON");
}
