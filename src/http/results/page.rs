//! The HTML of the page. `results.js` writes new numbers into what has a `data-` name here, in the same form.

use maud::{DOCTYPE, Markup, html};
use sea_orm::ActiveEnum;

use crate::entity::criterion;
use crate::entity::rubric::{Aggregation, RubricState};
use crate::http::asset::{Asset, RESULTS};
use crate::platform::locale::Locale;
use crate::scores::{Histogram, Results};

/// Most bars of a chart; grades share one when there are more.
const MAX_BARS: i32 = 20;

/// Why there are no results to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    SignIn,
    AdministratorsOnly,
    NotFound,
    TooMany,
    Failed,
}

/// The page with results.
pub(super) fn results(results: &Results, locale: Locale) -> Markup {
    let (rubric, totals) = (&results.rubric, &results.counts.totals);
    let say = |zh: &'static str, en: &'static str| locale.pick(zh, en);
    let total = match rubric.aggregation {
        Aggregation::Mean => say("总分（平均）", "Total (mean)"),
        Aggregation::TrimmedMean => say("总分（去掉最高最低后平均）", "Total (trimmed mean)"),
        Aggregation::Median => say("总分（中位数）", "Total (median)"),
    };
    let state = match rubric.state {
        RubricState::Draft => say("草稿", "Draft"),
        RubricState::Open => say("开放", "Open"),
        RubricState::Closed => say("已关闭", "Closed"),
    };
    let main = html! {
        main data-rubric=(rubric.slug) data-title=(rubric.title) data-state=(rubric.state.to_value())
            data-aggregation=(rubric.aggregation.to_value()) {
            header {
                h1 { (rubric.title) }
                p.badges {
                    span.badge { (state) }
                    @if !rubric.is_result_public {
                        span.badge { (say("仅管理员可见", "Administrators only")) }
                    }
                    // Filled in by the script; without it the page stays as it was when it was loaded.
                    span.badge #status role="status" hidden
                        data-live=(say("实时更新", "Live"))
                        data-waiting=(say("正在重新连接…", "Reconnecting…")) {}
                    button #sign-out type="button" hidden { (say("退出登录", "Sign out")) }
                }
                @if let Some(description) = &rubric.description {
                    p.description { (description) }
                }
            }
            dl.figures {
                (figure(say("评分数", "Scores"), "count", &grouped(totals.count())))
                (figure(total, "total", &decimal(totals.aggregate(rubric.aggregation))))
                (figure(say("总分中位数", "Median of totals"), "median", &decimal(totals.median())))
            }
            p.empty hidden[totals.count() > 0] { (say("还没有评分。", "No scores yet.")) }
            div.charts {
                @for criterion in results.criteria.iter() {
                    (section(criterion, results.counts.grades.get(&criterion.id), locale))
                }
            }
            noscript { p { (say("重新载入页面即可看到新的评分。", "Reload the page to see new scores.")) } }
        }
    };
    document(&rubric.title, locale, &main)
}

/// The page that says why there is nothing to see, with a way to sign in where that may help.
pub(super) fn notice(notice: Notice, locale: Locale) -> Markup {
    let (zh, en) = match notice {
        Notice::SignIn => (
            "此评分表的结果不公开，请以管理员身份登录。",
            "These results are not public. Sign in as an administrator.",
        ),
        Notice::AdministratorsOnly => (
            "只有管理员可以查看这些结果。",
            "Only administrators may see these results.",
        ),
        Notice::NotFound => ("没有这个评分表。", "There is no such rubric."),
        Notice::TooMany => (
            "请求过于频繁，请稍后再试。",
            "Too many requests. Try again later.",
        ),
        Notice::Failed => (
            "服务器出错，请稍后再试。",
            "The server failed. Try again later.",
        ),
    };
    let message = locale.pick(zh, en);
    let title = locale.pick("评分结果", "Results");
    let main = html! {
        main.notice {
            h1 { (title) }
            p #message role="status" { (message) }
            @if matches!(notice, Notice::SignIn | Notice::AdministratorsOnly | Notice::NotFound) {
                (sign_in(locale, notice == Notice::NotFound))
            }
        }
    };
    document(title, locale, &main)
}

fn sign_in(locale: Locale, is_folded: bool) -> Markup {
    let say = |zh: &'static str, en: &'static str| locale.pick(zh, en);
    let form = html! {
        form #sign-in data-failed=(say("无法连接服务器。", "The server cannot be reached.")) {
            label {
                span { (say("用户名或邮箱", "User name or e-mail address")) }
                input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" required;
            }
            label {
                span { (say("密码", "Password")) }
                input name="password" type="password" autocomplete="current-password" required;
            }
            button type="submit" { (say("登录", "Sign in")) }
            p #problem role="alert" {}
        }
        noscript { p { (say("登录需要 JavaScript。", "Signing in needs JavaScript.")) } }
    };
    match is_folded {
        true => {
            html! { details { summary { (say("管理员登录", "Sign in as an administrator")) } (form) } }
        }
        false => form,
    }
}

fn document(title: &str, locale: Locale, main: &Markup) -> Markup {
    let url = |asset: &Asset| format!("/results/{}", asset.versioned_name());
    html! {
        (DOCTYPE)
        html lang=(locale.pick("zh-CN", "en")) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · WeGraph" }
                link rel="icon" href="data:,";
                @for asset in RESULTS {
                    @if asset.name.ends_with(".css") {
                        link rel="stylesheet" href=(url(asset));
                    } @else {
                        script defer src=(url(asset)) {}
                    }
                }
            }
            body { (main) }
        }
    }
}

fn section(criterion: &criterion::Model, grades: Option<&Histogram>, locale: Locale) -> Markup {
    let say = |zh: &'static str, en: &'static str| locale.pick(zh, en);
    let none = Histogram::default();
    let grades = grades.unwrap_or(&none);
    let (count, bars) = (grades.count(), bars(criterion, grades));
    let highest = bars.iter().map(|bar| bar.count).max().unwrap_or_default();
    html! {
        section data-criterion=(criterion.key) {
            h2 { (criterion.title) }
            dl.figures {
                (figure(say("平均", "Mean"), "mean", &decimal(grades.mean())))
                (figure(say("中位数", "Median"), "median", &decimal(grades.median())))
                (figure(say("标准差", "Standard deviation"), "standardDeviation", &decimal(grades.standard_deviation())))
            }
            table {
                caption { (say("分数分布", "Distribution of grades")) }
                thead {
                    tr {
                        th scope="col" { (say("分数", "Grade")) }
                        td {}
                        th scope="col" { (say("次数", "Count")) }
                        th scope="col" { (say("占比", "Share")) }
                    }
                }
                tbody {
                    @for bar in &bars {
                        tr data-from=(bar.from) data-to=(bar.to) {
                            th scope="row" { (bar.label()) }
                            td.bar {
                                svg aria-hidden="true" { rect height="100%" width=(share(bar.count, highest)) {} }
                            }
                            td.count { (grouped(bar.count)) }
                            td.share { (share(bar.count, count)) }
                        }
                    }
                }
            }
        }
    }
}

fn figure(label: &str, name: &str, value: &str) -> Markup {
    html! { div { dt { (label) } dd data-figure=(name) { (value) } } }
}

/// How often the grades from one to another occur.
#[derive(Debug, PartialEq, Eq)]
struct Bar {
    from: i32,
    to: i32,
    count: u64,
}

impl Bar {
    fn label(&self) -> String {
        match self.from == self.to {
            true => minus(&self.from.to_string()),
            false => format!(
                "{} – {}",
                minus(&self.from.to_string()),
                minus(&self.to.to_string())
            ),
        }
    }
}

/// The highest grades first, as people read them.
fn bars(criterion: &criterion::Model, grades: &Histogram) -> Vec<Bar> {
    let (min, max) = (criterion.min_grade, criterion.max_grade);
    let width = (max - min + MAX_BARS) / MAX_BARS;
    let starts = (min..=max).step_by(width.max(1) as usize);
    let bar = |from: i32| {
        let to = (from + width - 1).min(max);
        let count = (from..=to).map(|grade| grades.count_of(grade.into())).sum();
        Bar { from, to, count }
    };
    let mut bars: Vec<Bar> = starts.map(bar).collect();
    bars.reverse();
    bars
}

/// With two decimals; a dash for no value.
fn decimal(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| minus(&fixed(value, 2)))
}

/// As `toFixed` of the script writes it: what lies in the middle of two is rounded away from zero, and not to the even one.
fn fixed(value: f64, decimals: usize) -> String {
    // In the middle are odd multiples of 2 to the power of -(decimals + 1), and no other number that a float can be.
    let is_middle = (value.abs() * f64::from(2 << decimals)).rem_euclid(2.0) == 1.0;
    let shown = match is_middle {
        true => value.abs().next_up().copysign(value),
        false => value,
    };
    format!("{shown:.decimals$}")
}

/// The typographic sign: a hyphen is too short beside figures.
fn minus(number: &str) -> String {
    number.replace('-', "\u{2212}")
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In percent with one decimal.
fn share(part: u64, whole: u64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    };
    format!("{}%", fixed(share * 100.0, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criterion(min_grade: i32, max_grade: i32) -> criterion::Model {
        criterion::Model {
            id: uuid::Uuid::nil(),
            rubric_id: uuid::Uuid::nil(),
            key: "a".to_owned(),
            position: 1,
            title: "A".to_owned(),
            description: None,
            min_grade,
            max_grade,
            weight: 1.0,
            is_comment_required: false,
            max_comment_length: 500,
        }
    }

    #[test]
    fn every_grade_is_in_one_bar() {
        for (min, max) in [
            (1, 5),
            (0, 19),
            (0, 20),
            (0, 100),
            (-50, 50),
            (900, 1000),
            (3, 4),
        ] {
            let grades = Histogram::new((min..=max).map(|grade| (f64::from(grade), 2)));
            let bars = bars(&criterion(min, max), &grades);
            assert!(
                bars.len() <= MAX_BARS as usize,
                "{min}..{max}: {}",
                bars.len()
            );
            assert_eq!((bars[0].to, bars[bars.len() - 1].from), (max, min));
            assert!(
                bars.windows(2).all(|pair| pair[1].to + 1 == pair[0].from),
                "{bars:?}"
            );
            assert_eq!(
                bars.iter().map(|bar| bar.count).sum::<u64>(),
                grades.count()
            );
        }
        assert_eq!(bars(&criterion(1, 5), &Histogram::default()).len(), 5);
    }

    #[test]
    fn writes_numbers_for_people() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            (decimal(Some(-1.005)), decimal(None)),
            ("\u{2212}1.00".to_owned(), "–".to_owned())
        );
        assert_eq!(
            (share(1, 3), share(0, 0)),
            ("33.3%".to_owned(), "0.0%".to_owned())
        );
        assert_eq!(
            [6.25, -6.25, 6.75, 1.05, 0.05].map(|value| fixed(value, 1)),
            ["6.3", "-6.3", "6.8", "1.1", "0.1"]
        );
        assert_eq!(
            [2.125, 2.375, 1.005, 1.0].map(|value| fixed(value, 2)),
            ["2.13", "2.38", "1.00", "1.00"]
        );
        let bar = Bar {
            from: -5,
            to: -1,
            count: 0,
        };
        assert_eq!(bar.label(), "\u{2212}5 – \u{2212}1");
    }
}
