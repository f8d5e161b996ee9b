use crate::harness::on_each_database;

on_each_database! {
    async fn is_alive_and_ready(app) {
        for path in ["/healthz", "/readyz"] {
            let reply = app.anonymous().get(path).send().await.expect("an answer");
            assert_eq!((reply.status().as_u16(), reply.text().await.expect("a body").as_str()), (200, "ok\n"), "{path}");
        }
        let refused = crate::harness::Reply::of(app.anonymous().post("/healthz")).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (405, "BAD_USER_INPUT"));
        let reply = app.anonymous().get("/nowhere").send().await.expect("an answer");
        assert_eq!(reply.status(), 404);
    }
}
