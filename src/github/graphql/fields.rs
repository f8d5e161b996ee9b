//! What the gateway has to know of the fields of GitHub. A question to GitHub comes out of a budget
//! that all callers share: a request asks fifty at most.

use crate::graphql::fields::{FieldFacts, field};

/// Fields with something to know.
pub const FIELDS: &[FieldFacts] = &[
    field("Query", "trendingRepositories").public().costs(50),
    field("Query", "trendingDevelopers").public().costs(50),
    // Twice as many, which are there already: each costs half of what others do.
    field("Query", "languages").public().entries(425),
    field("Query", "repository").public().costs(100),
    field("Query", "developer").public().costs(100),
    field("Query", "searchRepositories").public().costs(100),
    field("TrendingRepositories", "items").entries(25),
    field("TrendingDevelopers", "items").entries(25),
    field("TrendingRepository", "builtBy").entries(5),
    // Mostly one for the whole page.
    field("TrendingRepository", "repository").costs(50),
    field("Repository", "readme").costs(100),
    field("Readme", "text").text(512 << 10),
    // Of a trending one it takes a question of its own.
    field("Repository", "watchers").costs(25),
    field("User", "githubEvents").costs(100),
];
