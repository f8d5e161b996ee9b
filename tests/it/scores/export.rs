use chrono::TimeDelta;
use serde_json::json;

use super::{graded, make_rubric, submit};
use crate::harness::{Client, Reply, on_each_database};

async fn csv(client: &Client, slug: &str) -> String {
    let response = client
        .get(&format!("/rubrics/{slug}/scores.csv"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "text/csv; charset=utf-8"
    );
    assert_eq!(
        response.headers()["content-disposition"],
        format!("attachment; filename=\"{slug}.csv\"")
    );
    response.text_with_charset("utf-8").await.expect("text")
}

on_each_database! {
    async fn holds_every_score_with_its_texts(app) {
        let (admin, mei) = (app.admin("boss").await, app.registered("mei").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        for comment in ["=1+1", "x;=1+1", "很好，\"真的\"\n第二行 😀"] {
            let mut input = graded("r", "13800138000", 10, 5);
            input["grades"][0]["comment"] = json!(comment);
            app.advance(TimeDelta::seconds(1));
            submit(&mei, input).await;
        }
        submit(&admin, graded("default", "12345", 1, 1)["rubric"].as_str().map_or(json!({}), |_| super::a_score())).await;
        let text = csv(&admin, "r").await;
        // The mark is taken off by whoever reads the text as UTF-8 with one.
        let text = text.trim_start_matches('\u{feff}');
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "score_id,submitted_at,updated_at,account_number,submitted_by,total,a,a_comment,b,b_comment");
        assert!(lines[1].ends_with(",13800138000,mei,100,10,'=1+1,5,"), "{}", lines[1]);
        assert!(lines[2].ends_with(",13800138000,mei,100,10,x;'=1+1,5,"), "{}", lines[2]);
        assert!(lines[3].ends_with(",13800138000,mei,100,10,\"很好，\"\"真的\"\"\n第二行 😀\",5,"), "{}", lines[3]);
        assert_eq!((lines.len(), lines[4]), (5, ""));
        let raw = admin.get("/rubrics/r/scores.csv").send().await.expect("an answer").bytes().await.expect("bytes");
        assert_eq!(&raw[..3], b"\xef\xbb\xbf");
    }

    async fn goes_on_over_many_pages(app) {
        use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
        use wegraph::entity::{grade, score};
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        submit(&mei, graded("r", "12345", 1, 1)).await;
        app.db.write(|tx| Box::pin(async move {
            let first = score::Entity::find().one(tx).await?.expect("a score");
            let grades = grade::Entity::find().all(tx).await?;
            // Many of the same moment, so that a page must end between them.
            let more: Vec<_> = (0..2500).map(|_| score::Model { id: wegraph::platform::id::new_id(), ..first.clone() }).collect();
            for some in more.chunks(500) {
                score::Entity::insert_many(some.iter().cloned().map(|row| row.into_active_model().reset_all())).exec_without_returning(tx).await?;
                let copies = some.iter().flat_map(|score| grades.iter().map(|grade| grade::Model { score_id: score.id, ..grade.clone() }));
                grade::Entity::insert_many(copies.map(|row| row.into_active_model().reset_all())).exec_without_returning(tx).await?;
            }
            Ok::<_, sea_orm::DbErr>(())
        })).await.expect("rows");
        let text = csv(&admin, "r").await;
        let ids: std::collections::HashSet<&str> = text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert_eq!((text.lines().count(), ids.len()), (2502, 2501));
    }

    async fn is_for_administrators(app) {
        let (admin, mei) = (app.admin("boss").await, app.user("mei").await);
        for (client, path, status, code) in [
            (app.anonymous(), "/rubrics/default/scores.csv", 401, "UNAUTHENTICATED"),
            (app.anonymous().with_token("x"), "/rubrics/default/scores.csv", 401, "UNAUTHENTICATED"),
            (mei, "/rubrics/default/scores.csv", 403, "FORBIDDEN"),
            (admin, "/rubrics/none/scores.csv", 404, "NOT_FOUND"),
        ] {
            let reply = Reply::of(client.get(path)).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (status, code));
        }
    }

    async fn a_workbook_holds_texts_as_texts(app) {
        let (admin, mei) = (app.admin("boss").await, app.registered("mei").await);
        make_rubric(&admin, "r", json!({"submissionPolicy": "UNLIMITED"})).await;
        for comment in ["=1+1", "+1", "@x", "很好，\"真的\"\n第二行 😀"] {
            let mut input = graded("r", "0013800138000", 10, 5);
            input["grades"][0]["comment"] = json!(comment);
            submit(&mei, input).await;
        }
        let response = admin.get("/rubrics/r/scores.xlsx").send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
        let bytes = response.bytes().await.expect("bytes");
        assert_eq!(&bytes[..4], b"PK\x03\x04");
        let mut workbook = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip file");
        let mut sheet = String::new();
        std::io::Read::read_to_string(&mut workbook.by_name("xl/worksheets/sheet1.xml").expect("a sheet"), &mut sheet).expect("text");
        assert_eq!(sheet.matches("<row ").count(), 5);
        assert!(!sheet.contains("<f>"), "no formula");
        for text in ["=1+1", "+1", "@x", "0013800138000", "第二行 😀"] {
            assert!(sheet.contains(text), "{text}");
        }
        let refused = Reply::of(mei.get("/rubrics/r/scores.xlsx")).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "FORBIDDEN"));
    }
}
