use serde_json::json;

use super::{graded, make_rubric, submit, update_rubric};
use crate::harness::{Client, Engine, TestApp, on_each_database, once};

async fn page(client: &Client, slug: &str, language: &str) -> (u16, String) {
    let path = format!("/rubrics/{slug}/results");
    let response = client
        .get(&path)
        .header("Accept-Language", language)
        .send()
        .await
        .expect("an answer");
    let headers = response.headers().clone();
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        (header("cache-control"), header("vary")),
        (
            "no-store".to_owned(),
            "Accept-Language, Authorization".to_owned()
        )
    );
    let policy = header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    assert!(response.status() != 401 || header("www-authenticate").starts_with("Bearer"));
    (
        response.status().as_u16(),
        response.text().await.expect("text"),
    )
}

/// The texts between tags.
fn texts(page: &str) -> Vec<&str> {
    page.split('<')
        .filter_map(|part| part.split_once('>'))
        .map(|(_, text)| text.trim())
        .filter(|text| !text.is_empty())
        .collect()
}

on_each_database! {
    async fn shows_the_numbers_of_a_public_rubric_to_everybody(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let more = json!({"submissionPolicy": "UNLIMITED", "isResultPublic": true, "aggregation": "MEDIAN", "title": "<script>alert(1)</script>",
            "description": "\"></main><img src=x onerror=alert(1)>"});
        make_rubric(&admin, "r", more).await;
        let (status, empty) = page(&app.anonymous(), "r", "en").await;
        assert!(status == 200 && texts(&empty).contains(&"No scores yet."), "{empty}");
        for (a, b) in [(10, 5), (10, 1), (0, 3)] {
            submit(&mei, graded("r", "12345", a, b)).await;
        }
        let (_, html) = page(&app.anonymous(), "r", "en").await;
        let all = texts(&html);
        let figures = all.iter().position(|text| *text == "Scores").expect("the figures");
        assert_eq!(all[figures..figures + 6], ["Scores", "3", "Total (median)", "37.50", "Median of totals", "37.50"]);
        let a = all.iter().position(|text| *text == "A").expect("the first criterion");
        assert_eq!(all[a + 1..a + 7], ["Mean", "6.67", "Median", "10.00", "Standard deviation", "4.71"]);
        let rows = a + 11;
        assert_eq!(all[rows..rows + 6], ["10", "2", "66.7%", "9", "0", "0.0%"], "{all:?}");
        assert!(html.contains("width=\"50.0%\""), "the bar of 0 is half as long as that of 10");
        // Texts of people stay texts.
        assert!(!html.contains("<script>") && !html.contains("<img") && html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
        // Nobody's account number, name or comment.
        assert!(!html.contains("12345") && !html.contains("mei"), "{html}");
        let (_, chinese) = page(&app.anonymous(), "r", "zh-CN").await;
        assert!(chinese.contains("<html lang=\"zh-CN\">") && texts(&chinese).contains(&"总分（中位数）"), "{chinese}");
    }

    async fn is_for_administrators_when_the_results_are_not_public(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        let rubric = make_rubric(&admin, "secret", json!({"title": "Our title"})).await;
        let (status, html) = page(&app.anonymous(), "secret", "en").await;
        assert!(status == 401 && html.contains("id=\"sign-in\"") && !html.contains("Our title"), "{status}: {html}");
        let (status, html) = page(&mei, "secret", "en").await;
        assert!(status == 403 && !html.contains("Our title"), "{status}: {html}");
        let (status, html) = page(&app.anonymous().with_token("nonsense"), "secret", "en").await;
        assert!(status == 401 && !html.contains("Our title"), "{status}: {html}");
        let (status, html) = page(&admin, "secret", "en").await;
        assert!(status == 200 && texts(&html).contains(&"Our title"), "{status}: {html}");
        // A draft is there for administrators, and like one that does not exist for everybody else.
        update_rubric(&admin, json!({"id": rubric["id"], "state": "DRAFT"})).await.data();
        for client in [app.anonymous(), mei] {
            let (draft, none) = (page(&client, "secret", "en").await, page(&client, "none", "en").await);
            assert!(draft.0 == 404 && draft == none, "{draft:?}");
        }
        assert_eq!(page(&admin, "secret", "en").await.0, 200);
    }
}

once! {
    async fn its_files_come_from_the_server(){
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let (_, html) = page(&client, "default", "en").await;
        let files: Vec<&str> = html.split('"').filter(|part| part.starts_with("/results/")).collect();
        assert_eq!(files.len(), 2, "{html}");
        assert!(!html.contains("://") && !html.contains(" style=") && !html.contains(" onclick"), "{html}");
        for file in files {
            let reply = client.get(file).send().await.expect("an answer");
            assert!(reply.status() == 200 && reply.headers()["cache-control"].to_str().expect("text").contains("immutable"), "{file}");
        }
        let other = client.get("/results/results.js?another").send().await.expect("an answer");
        assert_eq!(other.headers()["cache-control"], "no-cache", "of another build");
        assert_eq!(client.get("/results/none.js").send().await.expect("an answer").status(), 404);
        app.stop().await;
    }
}
