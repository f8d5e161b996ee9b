use crate::harness::{Engine, TestApp, once};

once! {
    async fn the_page_and_its_files_come_from_the_server(){
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let page = client.get("/graphiql").send().await.expect("an answer");
        let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe-eval"), "{policy}");
        let text = page.text().await.expect("a body");
        let mut files = 0;
        for part in text.split(['"', '\'']).filter(|part| part.starts_with("/graphiql/")) {
            let file = client.get(part).send().await.expect("an answer");
            assert_eq!(file.status(), 200, "{part}");
            assert!(file.headers()["cache-control"].to_str().expect("text").contains("immutable"));
            let tag = file.headers()["etag"].clone();
            let again = client.get(part).header("If-None-Match", tag).send().await.expect("an answer");
            assert_eq!(again.status(), 304, "{part}");
            files += 1;
        }
        // Our own two; with Node at build time also the library's four, and then nothing from elsewhere.
        match text.contains("https://") {
            true => assert!(files == 2 && text.matches("integrity=\"sha512-").count() == 4, "{text}"),
            false => assert_eq!(files, 6),
        }
        if !text.contains("https://") {
            let licence = client.get("/graphiql/graphiql-LICENSE.txt").send().await.expect("an answer");
            assert!(licence.status() == 200 && licence.headers()["content-type"] == "text/plain; charset=utf-8");
        }
        assert_eq!(client.get("/graphiql/none.js").send().await.expect("an answer").status(), 404);
        app.stop().await;
    }

    async fn a_browser_at_the_endpoint_is_sent_to_the_page(){
        let app = TestApp::start(Engine::Sqlite).await;
        let reply = app.anonymous().get("/graphql").header("Accept", "text/html").send().await.expect("an answer");
        assert_eq!((reply.status().as_u16(), &reply.headers()["location"]), (303, &"/graphiql".parse().expect("a header")));
        app.stop().await;
    }
}
