//! The pages as they were, as they are, and as they might become.

use super::{PageFault, developers, repositories};
use crate::clients::github::records::{Actor, TrendingRepository};

const REPOSITORIES: &str = include_str!("fixtures/repositories.html");
const REPOSITORIES_2018: &str = include_str!("fixtures/repositories_2018.html");
const DEVELOPERS: &str = include_str!("fixtures/developers.html");
const LOGIN: &str = "<html><body><main><h1>Sign in to GitHub</h1><form action=\"/session\">
    <p>Welcome</p><a href=\"/password_reset\">Forgot?</a></form></main></body></html>";

fn read(page: &str) -> Vec<TrendingRepository> {
    repositories::read(page).expect("the page can be read")
}

fn logins(actors: &[Actor]) -> Vec<&str> {
    actors.iter().map(|actor| actor.login.as_str()).collect()
}

#[test]
fn five_rows_are_read_as_they_are() {
    let rows = read(REPOSITORIES);
    let names: Vec<String> = rows
        .iter()
        .map(|row| format!("{}/{}", row.owner, row.name))
        .collect();
    let expected = [
        "acme-labs/rocket-db",
        "zoe/notes",
        "example-org/sharp.io",
        "kim/plain",
        "lee/late",
    ];
    assert_eq!(names, expected);
    let descriptions: Vec<Option<&str>> =
        rows.iter().map(|row| row.description.as_deref()).collect();
    assert_eq!(
        descriptions,
        [
            Some("Embedded store & query engine 🚀"),
            None,
            Some("中文描述 🎉"),
            Some("Plain text"),
            Some("Late")
        ]
    );
    let languages: Vec<Option<(&str, Option<&str>)>> = rows
        .iter()
        .map(|row| {
            row.language
                .as_ref()
                .map(|one| (one.name.as_str(), one.color.as_deref()))
        })
        .collect();
    assert_eq!(
        languages,
        [
            Some(("Rust", Some("#dea584"))),
            None,
            Some(("C#", Some("#7355dd"))),
            Some(("C++", Some("#f34b7d"))),
            Some(("Go", Some("#00ADD8"))),
        ]
    );
    let stars: Vec<Option<u32>> = rows.iter().map(|row| row.stars).collect();
    assert_eq!(
        stars,
        [Some(1_017_440), Some(950), Some(0), Some(88), Some(5)]
    );
    let forks: Vec<Option<u32>> = rows.iter().map(|row| row.forks).collect();
    assert_eq!(forks, [Some(1_234), Some(12), None, Some(7), Some(0)]);
    let in_period: Vec<Option<u32>> = rows.iter().map(|row| row.stars_in_period).collect();
    assert_eq!(in_period, [Some(1_002), Some(1), Some(0), None, Some(40)]);
    let built_by: Vec<Vec<&str>> = rows.iter().map(|row| logins(&row.built_by)).collect();
    assert_eq!(
        built_by,
        [
            vec!["ada", "bob"],
            vec!["zoe"],
            vec![],
            vec!["dependabot[bot]"],
            vec!["lee"]
        ]
    );
    let ada = &rows[0].built_by[0];
    assert_eq!(
        ada.avatar_url.as_deref(),
        Some("https://avatars.githubusercontent.com/u/101?s=40&v=4")
    );
    assert_eq!(rows[3].built_by[0].path, "apps/dependabot");
}

#[test]
fn the_page_of_2018_is_read() {
    let rows = read(REPOSITORIES_2018);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(
        (row.owner.as_str(), row.name.as_str()),
        ("acme-labs", "rocket-db")
    );
    assert_eq!(row.description.as_deref(), Some("Embedded store"));
    assert_eq!(
        (row.stars, row.forks, row.stars_in_period),
        (Some(4_321), Some(210), Some(321))
    );
    assert_eq!(logins(&row.built_by), ["ada"]);
}

#[test]
fn other_classes_headings_and_addresses_change_nothing() {
    let expected = read(REPOSITORIES);
    for (from, to) in [
        ("h2", "h3"),
        ("class=\"Box-row\"", "class=\"TrendingRow\""),
        (
            "article class=\"Box-row\"",
            "article data-testid=\"row\" class=\"flex Box-row x\"",
        ),
        ("color-fg-muted", "fgColor-muted"),
        ("Link--muted", "prc-Link"),
        ("col-9", "w-75"),
        ("float-sm-right", "ml-auto"),
        ("href=\"/", "href=\"https://github.com/"),
        (
            "background-color: #dea584",
            "--c:1; background-color:#dea584",
        ),
        ("stars today", "stars\n today"),
        ("<html", "<html>\n<html"),
    ] {
        assert_eq!(
            read(&REPOSITORIES.replace(from, to)),
            expected,
            "{from} -> {to}"
        );
    }
    // A part of the page, as long as it is whole.
    let start = REPOSITORIES.find("<article").unwrap();
    let end = REPOSITORIES.rfind("</article>").unwrap() + "</article>".len();
    assert_eq!(read(&REPOSITORIES[start..end]), expected);
}

#[test]
fn only_what_people_see_of_a_row_is_read() {
    let row = "<article class=\"Box-row\"><template><h2><a href=\"/x/y\">x</a></h2><p>Menu</p></template>
        <div role=\"dialog\"><p>Sign in to star</p></div><details><summary>Star</summary><p>Lists</p></details>
        <h2><a href=\"/sponsors/ada\">Sponsor</a> <a href=\"/topics/x\">x</a> <a href=\"/ada/tool?tab=readme#x\">tool</a></h2>
        <div hidden><p>Hidden</p></div><a href=\"/ada/tool/stargazers\">1&nbsp;234</a> <a href=\"/ada/tool/forks\">12.3k</a>
        <a href=\"/ada/tool/graphs/contributors\">Built by <img alt=\"@ada\" src=\"https://avatars.githubusercontent.com/u/101\"> <img alt=\"@bob\" src=\"/b\"></a>
        <span>1 002 stars this month</span></article>";
    let rows = read(row);
    assert_eq!(
        (
            rows[0].owner.as_str(),
            rows[0].name.as_str(),
            rows[0].description.as_deref()
        ),
        ("ada", "tool", None)
    );
    assert_eq!(
        (rows[0].stars, rows[0].forks, rows[0].stars_in_period),
        (Some(1_234), Some(12_300), Some(1_002))
    );
    assert_eq!(logins(&rows[0].built_by), ["ada", "bob"]);
    assert_eq!(rows[0].built_by[1].avatar_url, None);
}

#[test]
fn rows_count_once_and_only_their_own_links() {
    let row = |path: &str, inside: &str| {
        format!(
            "<article class=\"Box-row\"><h2><a href=\"{path}\">x</a></h2><p>Like <a href=\"/a/b/stargazers\">9</a>, \
            <a href=\"/ada/tool/stargazers\">8</a></p>{inside}</article>"
        )
    };
    let stars = "<a href=\"/Ada/Tool/stargazers\">1,234</a><a href=\"/ada\"><img alt=\"@ada\"></a><a href=\"/Ada\"><img alt=\"@Ada\"></a>";
    let hidden = format!("<template>{}</template>", row("/x/hidden", ""));
    let page = [
        row("/ada/tool", stars),
        row("/ADA/tool", ""),
        row("/bob/tool", ""),
        hidden,
    ]
    .concat();
    let rows = read(&page);
    let names: Vec<_> = rows
        .iter()
        .map(|row| (row.owner.as_str(), row.stars))
        .collect();
    assert_eq!(names, [("ada", Some(1_234)), ("bob", None)]);
    assert_eq!(logins(&rows[0].built_by), ["ada"]);
    for path in ["/a/..", "/a/%E4%B8%AD", "/a/.", "/.a/b", "/a/b/c"] {
        assert!(
            repositories::read(&row(path, "<a href=\"/a/../stargazers\">1</a>")).is_err(),
            "{path}"
        );
    }
    assert_eq!(read(&row("/-k9/tool", ""))[0].owner, "-k9");
}

#[test]
fn a_row_that_cannot_be_read_is_left_out_and_half_of_them_are_a_fault() {
    let without = |names: &[&str]| {
        names.iter().fold(REPOSITORIES.to_owned(), |page, name| {
            page.replace(&format!("href=\"/{name}"), "href=\"/x")
        })
    };
    let rows = read(&without(&["zoe/notes", "lee/late"]));
    assert_eq!(rows.len(), 3);
    let fault = repositories::read(&without(&["zoe/notes", "lee/late", "kim/plain"]));
    assert_eq!(fault, Err(PageFault::Unread { unread: 3, rows: 5 }));
}

#[test]
fn a_page_without_rows_is_a_fault_unless_it_says_that_there_are_none() {
    let blank = "<html><body><main><div class=\"Box\"><div class=\"blankslate blankslate-large\">
        <h3>It looks like we don\u{2019}t have any trending repositories.</h3></div></div></main></body></html>";
    assert_eq!(repositories::read(blank), Ok(Vec::new()));
    assert_eq!(developers::read(blank), Ok(Vec::new()));
    for page in [LOGIN, "", "<html></html>", "{\"message\": \"x\"}"] {
        assert_eq!(repositories::read(page), Err(PageFault::NoRows), "{page}");
        assert_eq!(developers::read(page), Err(PageFault::NoRows), "{page}");
    }
    assert!(repositories::read(DEVELOPERS).is_err(), "another page");
    for page in [REPOSITORIES, REPOSITORIES_2018] {
        assert!(developers::read(page).is_err(), "another page");
    }
    let hidden = "<html><body><template><div class=\"blankslate\">x</div></template></body></html>";
    assert_eq!(repositories::read(hidden), Err(PageFault::NoRows));
}

#[test]
fn a_page_that_was_cut_anywhere_is_a_fault() {
    for page in [REPOSITORIES, REPOSITORIES_2018] {
        let (start, end) = (page.find("</h").unwrap(), page.rfind("</div>").unwrap());
        for at in (start..end)
            .filter(|at| page.is_char_boundary(*at))
            .step_by(97)
        {
            assert!(repositories::read(&page[..at]).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn developers_are_rows_and_their_repositories_are_not() {
    let rows = developers::read(DEVELOPERS).unwrap();
    let brief: Vec<_> = rows
        .iter()
        .map(|row| (row.rank, row.login.as_str(), row.name.as_deref()))
        .collect();
    assert_eq!(
        brief,
        [
            (1, "ada", Some("Ada Example")),
            (2, "bob-b", None),
            (3, "cy", Some("Cy 名"))
        ]
    );
    let popular: Vec<_> = rows
        .iter()
        .map(|row| {
            let popular = row.popular_repository.as_ref()?;
            Some((
                popular.owner.as_str(),
                popular.name.as_str(),
                popular.description.as_deref(),
            ))
        })
        .collect();
    assert_eq!(
        popular,
        [
            Some((
                "acme-labs",
                "rocket-db",
                Some("Embedded store & query engine")
            )),
            Some(("bob-b", "tool", None)),
            None,
        ]
    );
    let pictures: Vec<_> = rows.iter().map(|row| row.avatar_url.as_deref()).collect();
    assert_eq!(
        pictures[1],
        Some("https://avatars.githubusercontent.com/u/102?s=96&v=4")
    );
    // Ids and classes may go; a paragraph may describe.
    let drifted = DEVELOPERS
        .replace(" id=\"pa-", " data-id=\"")
        .replace("avatar-user", "avatar")
        .replace(
            "<div class=\"f6 color-fg-muted mt-1\">Embedded store &amp; query engine</div>",
            "<p>Embedded store &amp; query engine</p>",
        );
    assert_eq!(developers::read(&drifted).unwrap(), rows);
    let first_without = DEVELOPERS.replace(" id=\"pa-ada\"", "");
    assert_eq!(developers::read(&first_without).unwrap(), rows);
}

#[test]
fn the_page_of_developers_of_2018_is_read() {
    let page = "<html><body><ol class=\"list-style-none\"><li class=\"py-3\" id=\"pa-ada\">
        <div class=\"d-flex\"><a class=\"f6\" href=\"#pa-ada\">1</a><div class=\"mx-2\"><a href=\"/ada\"><img class=\"rounded-1\" src=\"https://avatars3.githubusercontent.com/u/101?s=96\" alt=\"@ada\"></a></div>
        <div><h2 class=\"f3 text-normal\"><a href=\"/ada\">ada <span class=\"text-gray\">(Ada Example)</span></a></h2>
        <a class=\"repo-snipit\" href=\"/ada/tool\"><span class=\"repo-snipit-name\"><span class=\"repo\">tool</span></span> <span class=\"repo-snipit-description\">A tool</span></a></div></div></li></ol></body></html>";
    let rows = developers::read(page).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].login.as_str(), rows[0].name.as_deref()),
        ("ada", Some("Ada Example"))
    );
    let popular = rows[0].popular_repository.as_ref().unwrap();
    assert_eq!(
        (popular.name.as_str(), popular.description.as_deref()),
        ("tool", Some("A tool"))
    );
}
