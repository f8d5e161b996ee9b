//! Ids: UUIDv7 made here, any UUID accepted from clients, always written in lower case with hyphens.

use uuid::Uuid;

/// A new id. Ids made later sort later.
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// Reads an id as clients write it: 36 characters with hyphens, in either case. Anything else is no id of ours.
pub fn parse_id(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_the_hyphenated_form() {
        let id = new_id();
        assert_eq!(parse_id(&id.to_string()), Some(id));
        assert_eq!(parse_id(&id.to_string().to_uppercase()), Some(id));
        for wrong in [
            id.simple().to_string(),
            id.braced().to_string(),
            id.urn().to_string(),
            String::new(),
            "x".repeat(36),
        ] {
            assert_eq!(parse_id(&wrong), None, "{wrong}");
        }
    }
}
