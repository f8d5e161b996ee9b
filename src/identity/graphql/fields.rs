//! What the gateway has to know of the fields of accounts.

use crate::graphql::fields::{FieldFacts, field};

/// Fields with something to know.
pub const FIELDS: &[FieldFacts] = &[
    field("Query", "viewer").public().costs(1),
    field("Query", "usernameAvailable")
        .public()
        .enumerates()
        .costs(1),
    field("Query", "user").costs(1),
    field("Query", "users").costs(1),
    field("Query", "auditEvents").costs(1),
    field("UserConnection", "totalCount").costs(5),
    field("AuditEventConnection", "totalCount").costs(5),
    // A person keeps a few; 250 are the most.
    field("User", "sessions").entries(25).costs(1),
    field("User", "isWechatLinked").costs(1),
    field("User", "githubLogin").costs(1),
    field("Mutation", "login").public().signs_in(),
    field("Mutation", "register").public().signs_in(),
    field("Mutation", "refreshSession").public().signs_in(),
    field("Mutation", "changePassword").signs_in(),
    field("Mutation", "linkWechat").signs_in(),
    field("Mutation", "linkGithub").signs_in(),
    field("Mutation", "bindPhoneNumber").signs_in(),
    field("Mutation", "deleteAccount").signs_in(),
    field("Mutation", "updateProfile").enumerates(),
];
