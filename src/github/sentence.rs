//! What happened, in words that go between who did it and where.

use crate::clients::github::records::{Details, Event};
use crate::platform::locale::Locale;

/// The words for an event; new kinds, which appear over time, have general ones.
pub(crate) fn sentence(event: &Event, locale: Locale) -> String {
    let details = &event.details;
    let say = |zh: &str, en: &str| locale.pick(zh, en).to_owned();
    match event.kind.as_deref().unwrap_or_default() {
        "WatchEvent" => say("收藏了", "starred"),
        "ForkEvent" => match &details.object {
            Some(fork) => locale.pick(format!("复刻到 {fork}"), format!("forked to {fork}")),
            None => say("复刻了", "forked"),
        },
        "CreateEvent" => of_reference(details, locale, "创建了", "created"),
        "DeleteEvent" => of_reference(details, locale, "删除了", "deleted"),
        "PushEvent" => match short_reference(details) {
            Some(branch) => locale.pick(format!("推送到 {branch}"), format!("pushed to {branch}")),
            None => say("推送到", "pushed to"),
        },
        "PublicEvent" => say("公开了", "made public"),
        "PullRequestEvent" => of_thread(details, locale, "合并请求", "pull request"),
        "IssuesEvent" => of_thread(details, locale, "议题", "issue"),
        "IssueCommentEvent" => numbered(details, locale, "评论了", "commented on"),
        "PullRequestReviewEvent" => numbered(details, locale, "评审了", "reviewed"),
        "PullRequestReviewCommentEvent" => {
            numbered(details, locale, "评论了评审", "commented on the review of")
        }
        "ReleaseEvent" => match &details.object {
            Some(tag) => locale.pick(format!("发布了 {tag}"), format!("released {tag}")),
            None => say("发布了新版本", "made a release"),
        },
        "MemberEvent" => match &details.object {
            Some(member) => locale.pick(
                format!("添加了成员 {member}"),
                format!("added {member} as a member"),
            ),
            None => say("添加了成员", "added a member"),
        },
        "GollumEvent" => say("编辑了维基", "edited the wiki"),
        "CommitCommentEvent" => say("评论了提交", "commented on a commit"),
        "DiscussionEvent" => say("发起了讨论", "started a discussion"),
        "SponsorshipEvent" => say("开始赞助", "began to sponsor"),
        _ => say("有新动态", "was active"),
    }
}

fn short_reference(details: &Details) -> Option<&str> {
    let name = details.git_ref.as_deref()?;
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    Some(name.strip_prefix("refs/tags/").unwrap_or(name))
}

/// Of a branch, a tag or the repository itself.
fn of_reference(details: &Details, locale: Locale, zh: &str, en: &str) -> String {
    let (what_zh, what_en) = match details.ref_type.as_deref() {
        Some("branch") => ("分支", "the branch"),
        Some("tag") => ("标签", "the tag"),
        _ => return locale.pick(format!("{zh}仓库"), format!("{en} the repository")),
    };
    match short_reference(details) {
        Some(name) => locale.pick(
            format!("{zh}{what_zh} {name}"),
            format!("{en} {what_en} {name}"),
        ),
        None => locale.pick(format!("{zh}{what_zh}"), format!("{en} {what_en}")),
    }
}

/// Of an issue or a pull request.
fn of_thread(details: &Details, locale: Locale, zh: &str, en: &str) -> String {
    let (did_zh, did_en) = match details.action.as_deref() {
        Some("opened") => ("打开了", "opened"),
        Some("closed") => ("关闭了", "closed"),
        Some("merged") => ("合并了", "merged"),
        Some("reopened") => ("重新打开了", "reopened"),
        Some("assigned") => ("指派了", "assigned"),
        Some("labeled") => ("标记了", "labelled"),
        _ => ("更新了", "updated"),
    };
    match details.number {
        Some(number) => locale.pick(
            format!("{did_zh}{zh} #{number}"),
            format!("{did_en} {en} #{number}"),
        ),
        None => locale.pick(format!("{did_zh}{zh}"), format!("{did_en} the {en}")),
    }
}

/// Of what is known by its number alone: comments on issues are also those on pull requests.
fn numbered(details: &Details, locale: Locale, zh: &str, en: &str) -> String {
    match details.number {
        Some(number) => locale.pick(format!("{zh} #{number}"), format!("{en} #{number}")),
        None => locale.pick(format!("{zh}内容"), format!("{en} something")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(kind: Value, payload: Value) -> (String, String) {
        let event = json!([{
            "id": "1", "type": kind, "actor": {"login": "ada"}, "repo": {"name": "a/b"}, "payload": payload,
        }]);
        let event = crate::clients::github::records::events_of(&event.to_string());
        (
            sentence(&event[0], Locale::Zh),
            sentence(&event[0], Locale::En),
        )
    }

    #[test]
    fn every_kind_is_said_in_both_languages() {
        for (kind, payload, zh, en) in [
            (
                "WatchEvent",
                json!({"action": "started"}),
                "收藏了",
                "starred",
            ),
            (
                "ForkEvent",
                json!({"forkee": {"full_name": "ada/b"}}),
                "复刻到 ada/b",
                "forked to ada/b",
            ),
            (
                "CreateEvent",
                json!({"ref": null, "ref_type": "repository"}),
                "创建了仓库",
                "created the repository",
            ),
            (
                "CreateEvent",
                json!({"ref": null, "ref_type": null}),
                "创建了仓库",
                "created the repository",
            ),
            (
                "CreateEvent",
                json!({"ref": "v1", "ref_type": "tag"}),
                "创建了标签 v1",
                "created the tag v1",
            ),
            (
                "DeleteEvent",
                json!({"ref": "x", "ref_type": "branch"}),
                "删除了分支 x",
                "deleted the branch x",
            ),
            (
                "PushEvent",
                json!({"ref": "refs/heads/feature/x", "push_id": 1}),
                "推送到 feature/x",
                "pushed to feature/x",
            ),
            ("PublicEvent", json!({}), "公开了", "made public"),
            (
                "PullRequestEvent",
                json!({"action": "opened", "number": 5, "pull_request": {"number": 5}}),
                "打开了合并请求 #5",
                "opened pull request #5",
            ),
            (
                "IssuesEvent",
                json!({"action": "closed", "issue": {"number": 6}}),
                "关闭了议题 #6",
                "closed issue #6",
            ),
            (
                "IssueCommentEvent",
                json!({"action": "created", "issue": {"number": 7}}),
                "评论了 #7",
                "commented on #7",
            ),
            (
                "ReleaseEvent",
                json!({"action": "published", "release": {"tag_name": "v2"}}),
                "发布了 v2",
                "released v2",
            ),
            (
                "MemberEvent",
                json!({"action": "added", "member": {"login": "bob"}}),
                "添加了成员 bob",
                "added bob as a member",
            ),
            (
                "GollumEvent",
                json!({"pages": []}),
                "编辑了维基",
                "edited the wiki",
            ),
            ("TeleportEvent", json!(null), "有新动态", "was active"),
        ] {
            assert_eq!(
                said(json!(kind), payload),
                (zh.to_owned(), en.to_owned()),
                "{kind}"
            );
        }
        assert_eq!(said(json!(null), json!(7)).1, "was active");
    }
}
