//! The trending pages as github.com renders them in 2026.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::world::{self, PEOPLE, SimulatedRepository};

/// Rows of a page.
const ROWS: usize = 25;

/// The page of repositories; `words` are `today`, `this week` or `this month`.
pub(super) fn repositories(
    all: &[SimulatedRepository],
    language: Option<&str>,
    words: &str,
) -> String {
    let mut chosen: Vec<(&SimulatedRepository, u64)> = all
        .iter()
        .filter(|one| !one.is_private && is_in(one, language))
        .map(|one| (one, gained(one, words)))
        .collect();
    chosen.sort_by_key(|(_, gained)| std::cmp::Reverse(*gained));
    chosen.truncate(ROWS);
    page(
        "Trending repositories",
        html! {
            @if chosen.is_empty() { (blankslate()) }
            @for (one, gained) in chosen { (repository_row(one, gained, words)) }
        },
    )
}

/// The page of developers.
pub(super) fn developers(all: &[SimulatedRepository], language: Option<&str>) -> String {
    let rows: Vec<_> = PEOPLE
        .iter()
        .filter(|(.., id)| *id < 200)
        .filter_map(|(login, name, id)| {
            let of_them = |one: &&SimulatedRepository| {
                !one.is_private && one.built_by.contains(login) && is_in(one, language)
            };
            let popular = all.iter().filter(of_them).max_by_key(|one| one.stars);
            (popular.is_some() || language.is_none()).then_some((*login, *name, *id, popular))
        })
        .collect();
    page(
        "Trending developers",
        html! {
            @if rows.is_empty() { (blankslate()) }
            @for (rank, (login, name, id, popular)) in (1..).zip(rows) {
                (developer_row(rank, login, name, id, popular))
            }
        },
    )
}

fn is_in(one: &SimulatedRepository, language: Option<&str>) -> bool {
    let slug = one
        .language
        .map(|(name, _)| name.to_lowercase().replace(' ', "-"));
    match language {
        None => true,
        Some("unknown") => slug.is_none(),
        Some(language) => slug.as_deref() == Some(language),
    }
}

fn gained(one: &SimulatedRepository, words: &str) -> u64 {
    let daily = one.stars / 97 + one.id % 7;
    match words {
        "today" => daily,
        "this week" => daily * 5,
        _ => daily * 17,
    }
}

fn page(title: &str, rows: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) " on GitHub today" } }
            body {
                main {
                    div.Box {
                        div.Box-header.d-md-flex {
                            div #languages-menuitems {
                                a.select-menu-item href="/trending/rust?since=daily" { "Rust" }
                                a.select-menu-item href="/trending/c++?since=daily" { "C++" }
                                a.select-menu-item href="/trending/c%23?since=daily" { "C#" }
                            }
                        }
                        div { (rows) }
                    }
                }
            }
        }
    }
    .into_string()
}

fn blankslate() -> Markup {
    html! { div.blankslate { h3 { "It looks like we don’t have anything trending for your choices." } } }
}

fn drawing() -> Markup {
    PreEscaped(r#"<svg aria-hidden="true" height="16" width="16"><path d="M8 .25a.75.75 0 0 1 .673.418l1.882 3.815"></path></svg>"#.to_owned())
}

fn repository_row(one: &SimulatedRepository, gained: u64, words: &str) -> Markup {
    let path = format!("/{}", one.full_name());
    let stars = if gained == 1 { "star" } else { "stars" };
    html! {
        article.Box-row {
            div.float-right.d-flex {
                a.btn href=(format!("/login?return_to=%2F{}%2F{}", one.owner, one.name)) { (drawing()) " Star" }
            }
            h2.h3.lh-condensed {
                a data-hydro-click=(r#"{"event_type":"explore.click"}"#) data-view-component="true" class="Link" href=(path) {
                    (drawing()) span.text-normal { "\n " (one.owner) " /\n " } "\n " (one.name) "\n"
                }
            }
            @if let Some(description) = &one.description { p.col-9.color-fg-muted.my-1.tmp-pr-4 { "\n " (description) "\n" } }
            div.f6.color-fg-muted.mt-2 {
                @if let Some((name, color)) = one.language {
                    span.d-inline-block.tmp-mr-3 {
                        span.repo-language-color style=(format!("background-color: {color}")) {} " "
                        span itemprop="programmingLanguage" { (name) }
                    }
                }
                a.Link--muted href=(format!("{path}/stargazers")) { (drawing()) "\n " (grouped(one.stars)) }
                a.Link--muted href=(format!("{path}/forks")) { (drawing()) "\n " (grouped(one.forks)) }
                @if !one.built_by.is_empty() {
                    span.d-inline-block.tmp-mr-3 {
                        "Built by "
                        @for login in &one.built_by { (builder(login)) }
                    }
                }
                span.d-inline-block.float-sm-right { (drawing()) "\n " (grouped(gained)) " " (stars) " " (words) "\n" }
            }
        }
    }
}

fn builder(login: &str) -> Markup {
    let picture = format!("{}&s=40", world::picture(world::id_of(login)));
    html! {
        @match login.strip_suffix("[bot]") {
            Some(app) => a.d-inline-block href=(format!("/apps/{app}")) {
                img.avatar.mb-1 src="https://avatars.githubusercontent.com/in/29110?s=40&v=4" alt=(format!("@{app}"));
            },
            None => a.d-inline-block data-hovercard-type="user" href=(format!("/{login}")) {
                img.avatar.mb-1 src=(picture) alt=(format!("@{login}"));
            },
        }
    }
}

fn developer_row(
    rank: usize,
    login: &str,
    name: Option<&str>,
    id: u64,
    popular: Option<&SimulatedRepository>,
) -> Markup {
    html! {
        article.Box-row.d-flex id=(format!("pa-{login}")) {
            a.f6.text-center href=(format!("#pa-{login}")) { (rank) }
            div.tmp-mx-3 {
                a data-hovercard-type="user" href=(format!("/{login}")) {
                    img.rounded.avatar-user src=(format!("{}&s=96", world::picture(id))) alt=(format!("@{login}"));
                }
            }
            div.d-sm-flex.flex-auto {
                div.col-md-6 {
                    h1.h3.lh-condensed { a data-view-component="true" href=(format!("/{login}")) { (name.unwrap_or(login)) } }
                    @if name.is_some() {
                        p.f4.text-normal.mb-1 { a.Link--secondary href=(format!("/{login}")) { (login) } }
                    }
                }
                @if let Some(popular) = popular {
                    div.mt-2 {
                        article {
                            div.f6.color-fg-muted.text-uppercase { (drawing()) " Popular repo" }
                            h1.h4.lh-condensed { a href=(format!("/{}", popular.full_name())) { (drawing()) " " (popular.name) } }
                            @if let Some(description) = &popular.description { div.f6.color-fg-muted.mt-1 { (description) } }
                        }
                    }
                }
            }
            div.d-flex { a.btn href=(format!("/sponsors/{login}")) { "Sponsor" } a.btn href=(format!("/login?return_to=%2F{login}")) { "Follow" } }
        }
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
