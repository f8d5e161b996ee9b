//! The languages that GitHub knows, from the data of linguist.
//!
//! `languages.tsv` holds a line for each: the name, a tab, and the colour when it has one. It is made anew by
//!
//! ```sh
//! npm install --prefix /tmp/languages linguist-languages
//! cd /tmp/languages && node --input-type=module -e '
//!   import * as all from "linguist-languages";
//!   const key = (language) => language.name.toLowerCase();
//!   const languages = Object.values(all).filter((one) => one?.languageId !== undefined);
//!   languages.sort((a, b) => (key(a) < key(b) ? -1 : 1));
//!   for (const { name, color } of languages) console.log(name + "\t" + (color ?? ""));'
//! ```

use std::sync::LazyLock;

const TABLE: &str = include_str!("languages.tsv");

/// Those that most people look for, best known first.
const POPULAR: [&str; 20] = [
    "JavaScript",
    "TypeScript",
    "Python",
    "Java",
    "Go",
    "Rust",
    "C++",
    "C",
    "C#",
    "HTML",
    "CSS",
    "Vue",
    "Kotlin",
    "Swift",
    "Dart",
    "PHP",
    "Ruby",
    "Shell",
    "Jupyter Notebook",
    "Objective-C",
];

static ALL: LazyLock<Vec<Language>> = LazyLock::new(|| {
    let mut all: Vec<Language> = TABLE.lines().filter_map(Language::read).collect();
    all.sort_by_cached_key(|language| language.name.to_lowercase());
    all
});

/// A language of repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language {
    /// As GitHub writes it.
    pub name: &'static str,
    /// `#rrggbb`.
    pub color: Option<&'static str>,
    /// As it stands in GitHub's addresses, before it is encoded for them.
    pub slug: String,
}

impl Language {
    fn read(line: &'static str) -> Option<Self> {
        let (name, color) = line.split_once('\t')?;
        Some(Self {
            name,
            color: (!color.is_empty()).then_some(color),
            slug: slug_of(name),
        })
    }

    /// Every language, by name without regard to case.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// Those that most people look for, best known first.
    pub fn popular() -> impl Iterator<Item = &'static Self> {
        POPULAR.iter().filter_map(|name| Self::find(name))
    }

    /// The language of this name or slug, in any case.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.trim().to_lowercase();
        let is_it = |one: &&Self| one.slug == name || one.name.to_lowercase() == name;
        ALL.iter().find(is_it)
    }
}

/// The name of a language as it stands in GitHub's addresses.
pub(crate) fn slug_of(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert_eq!(ALL.len(), TABLE.lines().count());
        assert!(ALL.len() > 800);
        let slugs: HashSet<&str> = ALL.iter().map(|one| one.slug.as_str()).collect();
        assert_eq!(slugs.len(), ALL.len());
        for language in Language::all() {
            assert!(
                !language.slug.is_empty() && !language.slug.contains(' '),
                "{language:?}"
            );
            let is_color = |color: &str| {
                color.len() == 7
                    && color.starts_with('#')
                    && color[1..].bytes().all(|b| b.is_ascii_hexdigit())
            };
            assert!(language.color.is_none_or(is_color), "{language:?}");
        }
        assert_eq!(Language::popular().count(), POPULAR.len());
    }

    #[test]
    fn languages_are_found_by_name_and_slug() {
        for (text, name, color) in [
            ("rust", "Rust", Some("#dea584")),
            (" C# ", "C#", Some("#7355dd")),
            ("c++", "C++", Some("#f34b7d")),
            ("jupyter-notebook", "Jupyter Notebook", Some("#DA5B0B")),
            ("JUPYTER NOTEBOOK", "Jupyter Notebook", Some("#DA5B0B")),
            ("text", "Text", None),
        ] {
            let found = Language::find(text).unwrap();
            assert_eq!((found.name, found.color), (name, color));
        }
        assert_eq!(Language::find("no such language"), None);
        assert_eq!(Language::find(""), None);
    }
}
