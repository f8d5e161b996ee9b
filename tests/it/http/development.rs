use crate::harness::{Engine, Reply, TestApp, once};

once! {
    async fn takes_no_forwarded_requests_and_no_other_host(){
        let app = TestApp::start_with(Engine::Sqlite, &[("DEV", "")]).await;
        let client = app.anonymous();
        assert_eq!(client.get("/healthz").send().await.expect("an answer").status(), 200);
        for (name, value) in [
            ("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7"), ("X-Real-IP", "203.0.113.7"), ("Via", "1.1 proxy"),
            ("X-Forwarded-Proto", "https"), ("Host", "evil.example"), ("Origin", "https://evil.example"), ("Origin", "null"), ("Host", "127.0.0.1.nip.io:8000"),
        ] {
            for path in ["/graphql?query={viewer{id}}", "/graphiql", "/healthz", "/graphql/ws"] {
                let reply = Reply::of(client.get(path).header(name, value)).await;
                assert_eq!((reply.status.as_u16(), reply.code()), (403, "FORBIDDEN"), "{name} {path}");
            }
        }
        app.stop().await;
    }
}
