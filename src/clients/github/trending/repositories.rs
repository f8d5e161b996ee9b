//! The page of trending repositories.

use std::collections::HashSet;

use scraper::ElementRef;

use super::page::{
    self, PageFault, below, end_of_number, has_class, is_aside, is_heading, is_within, number,
    path, picture, pictured, read_rows, repository_of, some_text, text,
};
use crate::clients::github::records::{Actor, Language, TrendingRepository};

/// Most people that a row shows.
const MAX_BUILDERS: usize = 20;

/// Reads the page.
///
/// # Errors
/// When it is not what it should be; a row that cannot be read is left out.
pub(crate) fn read(page: &str) -> Result<Vec<TrendingRepository>, PageFault> {
    let rows = read_rows(
        page,
        &[
            |element| element.value().name() == "article" && has_class(element, "Box-row"),
            |element| element.value().name() == "article",
            |element| has_class(element, "Box-row"),
            // Before June 2019.
            |element| {
                let list = element.parent().and_then(ElementRef::wrap);
                element.value().name() == "li"
                    && list.is_some_and(|list| has_class(&list, "repo-list"))
            },
        ],
        |row, _| read_row(row),
    )?;
    let mut names = HashSet::new();
    let is_new = |row: &TrendingRepository| {
        names.insert((row.owner.to_lowercase(), row.name.to_lowercase()))
    };
    Ok(rows.into_iter().filter(is_new).collect())
}

fn read_row(row: ElementRef<'_>) -> Option<TrendingRepository> {
    let (owner, name) = title(row)?;
    let [stars, forks] = [["stargazers"].as_slice(), &["forks", "network"]].map(|names| {
        let counts = |link: &ElementRef<'_>| match path(link).as_deref() {
            Some([of, repository, part, ..]) => {
                of.eq_ignore_ascii_case(owner)
                    && repository.eq_ignore_ascii_case(name)
                    && names.contains(part)
                    && !is_within(*link, row, |above| above.value().name() == "p")
            }
            _ => false,
        };
        let link = below(row).find(counts);
        link.and_then(|link| number(&text(link)))
    });
    Some(TrendingRepository {
        owner: owner.to_owned(),
        name: name.to_owned(),
        description: description(row),
        language: language(row),
        stars,
        forks,
        stars_in_period: stars_in_period(row),
        built_by: built_by(row),
    })
}

/// The first link in a heading that leads to a repository; else whose stars the row counts.
fn title<'a>(row: ElementRef<'a>) -> Option<(&'a str, &'a str)> {
    let in_heading = |link: &ElementRef<'_>| {
        is_within(*link, row, is_heading)
            && !is_within(*link, row, |above| {
                is_aside(above) || above.value().name() == "article"
            })
    };
    let heading = below(row).filter(in_heading);
    let title = heading.into_iter().find_map(|link| repository_of(&link));
    title.or_else(|| {
        let own =
            below(row).filter(|link| !is_within(*link, row, |above| above.value().name() == "p"));
        own.into_iter()
            .find_map(|link| match path(&link)?.as_slice() {
                [owner, name, "stargazers"]
                    if page::is_login(owner) && page::is_repository_name(name) =>
                {
                    Some((*owner, *name))
                }
                _ => None,
            })
    })
}

/// The first paragraph after the heading with something to read.
fn description(row: ElementRef<'_>) -> Option<String> {
    let is_title =
        |element: &ElementRef<'_>| is_heading(element) && !is_within(*element, row, is_aside);
    let has_title = below(row).any(|element| is_title(&element));
    let paragraphs = below(row)
        .skip_while(|element| has_title && !is_title(element))
        .filter(|element| {
            element.value().name() == "p"
                && !is_within(*element, row, |above| {
                    is_aside(above) || above.value().name() == "article"
                })
        });
    paragraphs.filter_map(some_text).next()
}

fn language(row: ElementRef<'_>) -> Option<Language> {
    let dot = below(row).find(|element| has_class(element, "repo-language-color"));
    let name = below(row)
        .find(|element| element.attr("itemprop") == Some("programmingLanguage"))
        .or_else(|| dot.and_then(|dot| dot.parent()).and_then(ElementRef::wrap))
        .and_then(some_text)?;
    let color = dot.and_then(|dot| dot.attr("style")).and_then(background);
    Some(Language { name, color })
}

/// The colour of `background-color: #rrggbb`, among other things.
fn background(style: &str) -> Option<String> {
    let value = style.split(';').find_map(|declaration| {
        let (name, value) = declaration.split_once(':')?;
        matches!(name.trim(), "background-color" | "background").then_some(value.trim())
    })?;
    let digits = value.strip_prefix('#')?;
    let is_color = matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_color.then(|| value.to_owned())
}

/// `1,002 stars today`, `1 star this week`, wherever in the row it stands.
fn stars_in_period(row: ElementRef<'_>) -> Option<u32> {
    let candidates = below(row).filter(|element| {
        matches!(element.value().name(), "span" | "div" | "strong" | "a")
            && !is_within(*element, row, |above| {
                above.value().name() == "p" || is_heading(above) || is_aside(above)
            })
    });
    candidates.map(text).find_map(|text| {
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (count, words) = text.split_at(end_of_number(&text));
        let words = words
            .trim_start_matches(['k', 'K', 'm', 'M'])
            .to_lowercase();
        let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let is_period = match words.as_slice() {
            ["star" | "stars", "today"] | ["star" | "stars", "this", _] => true,
            ["star" | "stars", "in" | "past", rest @ ..] => rest.len() <= 3,
            _ => false,
        };
        is_period.then(|| number(&text).or_else(|| number(count)))?
    })
}

/// Who built it, each once, in the order of the page.
fn built_by(row: ElementRef<'_>) -> Vec<Actor> {
    let mut actors: Vec<Actor> = Vec::new();
    for link in below(row).filter(|element| element.value().name() == "a") {
        if is_within(link, row, is_heading) || actors.len() >= MAX_BUILDERS {
            continue;
        }
        let images: Vec<_> = below(link)
            .filter(|element| element.value().name() == "img")
            .collect();
        for image in &images {
            // Long ago one link led to all who contributed.
            let linked = (images.len() == 1).then_some(&link);
            if let Some(actor) = builder(linked, image)
                && actors
                    .iter()
                    .all(|known| !known.login.eq_ignore_ascii_case(&actor.login))
            {
                actors.push(actor);
            }
        }
    }
    actors
}

/// Somebody by a picture, and by the link around it if that is theirs.
fn builder(link: Option<&ElementRef<'_>>, image: &ElementRef<'_>) -> Option<Actor> {
    let path = link.and_then(path).unwrap_or_default();
    let app = match path.as_slice() {
        ["sponsors", ..] => return None,
        ["apps", app] => Some(*app),
        _ => None,
    };
    let login = pictured(image)
        .or_else(|| link.and_then(page::login_of))
        .or(app)?;
    let login = match app {
        Some(_) if !login.ends_with("[bot]") => format!("{login}[bot]"),
        _ => login.to_owned(),
    };
    // Apps have pages of their own.
    let path = app.map_or_else(|| login.clone(), |app| format!("apps/{app}"));
    Some(Actor {
        login,
        avatar_url: picture(image),
        path,
    })
}
