//! The page of trending developers.

use scraper::ElementRef;

use super::page::{
    self, PageFault, below, has_class, is_heading, is_within, login_of, number, picture, read_rows,
    repository_of, some_text, text,
};
use crate::clients::github::records::{PopularRepository, TrendingDeveloper};

/// Reads the page.
///
/// # Errors
/// When it is not what it should be; a row that cannot be read is left out.
pub(crate) fn read(page: &str) -> Result<Vec<TrendingDeveloper>, PageFault> {
    read_rows(
        page,
        &[
            |element| element.value().name() == "article",
            // Before June 2019.
            |element| element.value().name() == "li" && marked(element).is_some(),
            |element| has_class(element, "Box-row"),
        ],
        read_row,
    )
}

/// The login of `id="pa-login"`.
fn marked<'a>(row: &ElementRef<'a>) -> Option<&'a str> {
    let login = row.attr("id")?.strip_prefix("pa-")?;
    page::is_login(login).then_some(login)
}

fn read_row(row: ElementRef<'_>, index: usize) -> Option<TrendingDeveloper> {
    // The popular repository is an article inside the row.
    let is_nested = |element: &ElementRef<'_>| {
        is_within(*element, row, |above| above.value().name() == "article")
    };
    let own = || below(row).filter(move |element| !is_nested(element));
    let in_heading = |link: &ElementRef<'_>| is_within(*link, row, is_heading);
    let image = own()
        .filter(|element| element.value().name() == "img")
        .find(|image| has_class(image, "avatar-user") || page::pictured(image).is_some());
    let name_link = own().find(|link| in_heading(link) && login_of(link).is_some());
    let named = name_link.as_ref().and_then(login_of);
    let pictured = image.as_ref().and_then(page::pictured);
    // A row of the other page has an id, too, and pictures of people.
    let is_theirs = |login: &&str| {
        let shown = [named, pictured];
        shown
            .iter()
            .flatten()
            .any(|one| one.eq_ignore_ascii_case(login))
    };
    let login = marked(&row).or(named).filter(is_theirs)?;
    let rank = own()
        .find(|link| {
            link.value().name() == "a"
                && link
                    .attr("href")
                    .is_some_and(|href| href.starts_with("#pa-"))
        })
        .and_then(|link| number(&text(link)));
    let name = name_link
        .and_then(some_text)
        .map(|name| without_login(&name, login).to_owned());
    // Without a name the heading shows the login, which then stands nowhere else.
    let is_named = own().any(|link| {
        !in_heading(&link)
            && login_of(&link).is_some_and(|one| one == login)
            && some_text(link).as_deref() == Some(login)
    });
    Some(TrendingDeveloper {
        rank: rank.unwrap_or(index as u32 + 1),
        login: login.to_owned(),
        name: name.filter(|name| *name != login || is_named),
        avatar_url: image.as_ref().and_then(picture),
        popular_repository: popular(row),
    })
}

/// Before June 2019 the heading said `ada (Ada Lovelace)`.
fn without_login<'a>(heading: &'a str, login: &str) -> &'a str {
    heading
        .strip_prefix(login)
        .map(str::trim)
        .and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .unwrap_or(heading)
}

fn popular(row: ElementRef<'_>) -> Option<PopularRepository> {
    let link = below(row).find(|link| repository_of(link).is_some())?;
    let (owner, name) = repository_of(&link)?;
    let around = link
        .ancestors()
        .take_while(|above| above.id() != row.id())
        .filter_map(ElementRef::wrap)
        .find(|above| above.value().name() == "article");
    // Before June 2019 the link was around all of it.
    let description = match around {
        Some(article) => below(article)
            .skip_while(|element| element.id() != link.id())
            .filter(|element| !is_within(*element, article, |above| above.id() == link.id()))
            .filter(|element| matches!(element.value().name(), "p" | "div" | "span"))
            .find_map(some_text),
        None => below(link)
            .find(|element| has_class(element, "repo-snipit-description"))
            .and_then(some_text),
    };
    Some(PopularRepository {
        owner: owner.to_owned(),
        name: name.to_owned(),
        description,
    })
}
