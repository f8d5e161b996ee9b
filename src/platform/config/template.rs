//! Templates of WeChat's subscribe messages: which of our values goes into which field, cut to what the platform takes.

use std::str::FromStr;

/// A template that somebody chose in the mini-program's console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageTemplate {
    /// As the console shows it.
    pub id: String,
    /// The page that opens, where `{taskId}` stands for the task's id.
    pub page: Option<String>,
    /// What each field shows.
    pub fields: Vec<TemplateField>,
}

/// A field of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateField {
    /// Its key, like `thing1`.
    pub key: String,
    /// What it takes.
    pub kind: FieldKind,
    /// What it is given.
    pub content: FieldContent,
}

/// What a field shows of a reminder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldContent {
    /// The task's title.
    Title,
    /// The task's notes.
    Notes,
    /// The time of the reminder.
    RemindAt,
    /// When the task is due; without such a time, the time of the reminder.
    DueAt,
    /// How much the task matters.
    Priority,
    /// Always the same.
    Text(String),
}

/// What a field takes, by the letters of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text of 20 characters.
    Thing,
    /// 10 characters, or 20 when all are letters or symbols.
    Name,
    /// 5 Chinese characters.
    Phrase,
    /// 32 digits, letters or symbols.
    CharacterString,
    /// 32 letters.
    Letter,
    /// 5 symbols.
    Symbol,
    /// A number of 32 digits.
    Number,
    /// A sum of 10 digits with its currency.
    Amount,
    /// 17 digits or symbols.
    PhoneNumber,
    /// 8 characters.
    CarNumber,
    /// A time of day, perhaps with the day.
    Time,
    /// A day, perhaps with the time.
    Date,
    /// One of what the template lists.
    Enum,
}

impl FieldKind {
    fn of(key: &str) -> Option<Self> {
        let letters = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = &key[letters.len()..];
        if number.is_empty() || number.starts_with('0') {
            return None;
        }
        Some(match letters {
            "thing" => Self::Thing,
            "name" => Self::Name,
            "phrase" => Self::Phrase,
            "character_string" => Self::CharacterString,
            "letter" => Self::Letter,
            "symbol" => Self::Symbol,
            "number" => Self::Number,
            "amount" => Self::Amount,
            "phone_number" => Self::PhoneNumber,
            "car_number" => Self::CarNumber,
            "time" => Self::Time,
            "date" => Self::Date,
            "enum" => Self::Enum,
            _ => return None,
        })
    }

    /// As much of `text` as the field takes; `None` when that is nothing.
    pub fn fit(self, text: &str) -> Option<String> {
        // Line breaks and control characters are refused, and so is an empty value.
        let clean = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let first = |count: usize, is_taken: fn(char) -> bool| -> String {
            let taken: String = clean.chars().filter(|c| is_taken(*c)).take(count).collect();
            // A joiner at the end joined what was cut off.
            taken.trim_matches(['\u{200d}', '\u{feff}', ' ']).to_owned()
        };
        let all = |is_taken: &dyn Fn(char) -> bool, max: usize| -> String {
            let fits = clean.chars().count() <= max && clean.chars().all(is_taken);
            if fits { clean.clone() } else { String::new() }
        };
        let fitted = match self {
            Self::Thing | Self::Enum => first(20, |_| true),
            // All Chinese, or all letters and symbols.
            Self::Name if clean.chars().any(is_han) => first(10, is_han),
            Self::Name => first(20, |c| c == ' ' || c.is_ascii_graphic()),
            Self::Phrase => first(5, is_han),
            Self::CharacterString => first(32, |c| c == ' ' || c.is_ascii_graphic()),
            Self::Letter => first(32, |c| c.is_ascii_alphabetic()),
            Self::Symbol => first(5, |c| c.is_ascii_punctuation()),
            Self::Number => all(&|c| c.is_ascii_digit() || matches!(c, '.' | '-'), 32),
            Self::Amount => {
                let is_digit = |c: char| c.is_ascii_digit() || c == '.';
                let sum = clean.trim_start_matches(['¥', '￥', '$', '€']);
                let sum = sum.strip_suffix('元').unwrap_or(sum);
                let digits = sum.chars().filter(char::is_ascii_digit).count();
                match (1..=10).contains(&digits) && sum.chars().all(is_digit) {
                    true => clean,
                    false => String::new(),
                }
            }
            Self::PhoneNumber => all(&|c| c.is_ascii_digit() || c.is_ascii_punctuation(), 17),
            Self::CarNumber => first(8, |_| true),
            Self::Time | Self::Date => {
                all(&|c| c.is_ascii_digit() || "年月日:：-/.~ ".contains(c), 60)
            }
        };
        (!fitted.is_empty()).then_some(fitted)
    }

    /// What the field takes, in words.
    fn rule(self) -> &'static str {
        match self {
            Self::Thing => "text of at most 20 characters",
            Self::Name => "at most 10 Chinese characters, or 20 letters or symbols",
            Self::Phrase => "at most 5 Chinese characters: title, priority or text:…",
            Self::CharacterString => "at most 32 digits, letters or symbols",
            Self::Letter => "text:… of at most 32 letters",
            Self::Symbol => "text:… of at most 5 symbols",
            Self::Number => "text:… of at most 32 digits",
            Self::Amount => "text:… of at most 10 digits with a currency",
            Self::PhoneNumber => "text:… of at most 17 digits or symbols",
            Self::CarNumber => "text:… of at most 8 characters",
            Self::Time | Self::Date => "remind_at, due_at, or text:… like 2019年10月1日 15:01",
            Self::Enum => "text:… of what the template lists",
        }
    }

    fn takes(self, content: &FieldContent) -> bool {
        match content {
            FieldContent::Title => matches!(
                self,
                Self::Thing | Self::Name | Self::Phrase | Self::CharacterString
            ),
            FieldContent::Notes => matches!(self, Self::Thing | Self::CharacterString),
            FieldContent::Priority => matches!(self, Self::Thing | Self::Name | Self::Phrase),
            FieldContent::RemindAt | FieldContent::DueAt => matches!(
                self,
                Self::Time | Self::Date | Self::Thing | Self::CharacterString
            ),
            FieldContent::Text(text) => self.fit(text).as_ref() == Some(text),
        }
    }
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}')
}

impl FromStr for TemplateField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((key, content)) = text.split_once('=') else {
            return Err(format!("{text:?} is not like thing1=title"));
        };
        let (key, content) = (key.trim(), content.trim());
        let kind = FieldKind::of(key).ok_or_else(|| {
            format!("{key:?} is no key of a template, like thing1, time2 or phrase3")
        })?;
        let content = match content {
            "title" => FieldContent::Title,
            "notes" => FieldContent::Notes,
            "remind_at" => FieldContent::RemindAt,
            "due_at" => FieldContent::DueAt,
            "priority" => FieldContent::Priority,
            _ => match content.strip_prefix("text:") {
                Some(text) => FieldContent::Text(text.trim().to_owned()),
                None => {
                    return Err(format!(
                        "{content:?} is none of title, notes, remind_at, due_at, priority, text:…"
                    ));
                }
            },
        };
        if !kind.takes(&content) {
            return Err(format!(
                "{text:?} does not fit: {key} takes {}",
                kind.rule()
            ));
        }
        Ok(Self {
            key: key.to_owned(),
            kind,
            content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_to_what_the_platform_takes() {
        let fit = |kind: FieldKind, text: &str| kind.fit(text);
        let long = "买牛奶🥛".repeat(10);
        let cut = fit(FieldKind::Thing, &long).unwrap();
        assert_eq!(cut, long.chars().take(20).collect::<String>());
        for (kind, text, fitted) in [
            (FieldKind::Thing, " a\nb\t\u{7}c ", Some("a b c")),
            (FieldKind::Thing, "\n \u{0}", None),
            (
                FieldKind::Thing,
                &format!("{} b", "x".repeat(19)),
                Some(&"x".repeat(19)[..]),
            ),
            (
                FieldKind::Name,
                "一二三四五六七八九十十一",
                Some("一二三四五六七八九十"),
            ),
            (FieldKind::Name, "提醒😀中文abc", Some("提醒中文")),
            (FieldKind::Name, "😀", None),
            (
                FieldKind::Thing,
                &format!("{}\u{200d}👧", "x".repeat(19)),
                Some(&"x".repeat(19)[..]),
            ),
            (
                FieldKind::Name,
                "abcdefghijklmnopqrstuvw",
                Some("abcdefghijklmnopqrst"),
            ),
            (FieldKind::Phrase, "去 buy 买牛奶和面包", Some("去买牛奶和")),
            (FieldKind::Phrase, "milk", None),
            (
                FieldKind::CharacterString,
                "买 2 bottles 🥛",
                Some("2 bottles"),
            ),
            (FieldKind::Letter, "a1b2", Some("ab")),
            (FieldKind::Symbol, "a!b?", Some("!?")),
            (FieldKind::Number, "-12.5", Some("-12.5")),
            (FieldKind::Number, "12a", None),
            (FieldKind::Amount, "¥12.50元", Some("¥12.50元")),
            (FieldKind::Amount, "12345678901", None),
            (
                FieldKind::PhoneNumber,
                "+86-13800138000",
                Some("+86-13800138000"),
            ),
            (FieldKind::CarNumber, "粤A123456789", Some("粤A123456")),
            (
                FieldKind::Time,
                "2019年10月1日 15:01",
                Some("2019年10月1日 15:01"),
            ),
            (FieldKind::Date, "tomorrow", None),
        ] {
            assert_eq!(fit(kind, text).as_deref(), fitted, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn reads_fields_and_refuses_what_cannot_be_sent() {
        for fine in [
            "thing1=title",
            " time12 = remind_at ",
            "phrase3=text:待办",
            "enum1=text:重要",
            "date2=due_at",
        ] {
            assert!(fine.parse::<TemplateField>().is_ok(), "{fine}");
        }
        for wrong in [
            "thing1",
            "thing=title",
            "1=title",
            "things1=title",
            "time1=title",
            "number1=priority",
            "phrase1=text:hello",
            "thing1=text:",
            "thing1=text:一二三四五六七八九十一二三四五六七八九十一",
            "thing1=owner",
            "thing01=title",
        ] {
            assert!(wrong.parse::<TemplateField>().is_err(), "{wrong}");
        }
    }
}
