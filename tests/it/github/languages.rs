use serde_json::json;

use crate::harness::once;
use crate::harness::{Engine, TestApp};

once! {
    async fn are_listed_for_everybody_with_their_colours() {
        let app = TestApp::start(Engine::Sqlite).await;
        let client = app.anonymous();
        let all = client.ask("{ languages { name color slug } }").await.data()["languages"].clone();
        let all = all.as_array().expect("a list");
        assert!(all.len() > 800, "{}", all.len());
        for known in [
            json!({"name": "C#", "color": "#7355dd", "slug": "c#"}),
            json!({"name": "Jupyter Notebook", "color": "#DA5B0B", "slug": "jupyter-notebook"}),
            json!({"name": "Text", "color": null, "slug": "text"}),
        ] {
            assert!(all.contains(&known), "{known}");
        }
        let names: Vec<String> = all.iter().map(|one| one["name"].as_str().expect("a name").to_lowercase()).collect();
        assert!(names.is_sorted());
        for popular in [json!({"p": false}), json!({"p": null}), json!({})] {
            let reply = client.run("query($p: Boolean) { languages(popular: $p) { slug } }", popular).await;
            assert_eq!(reply.data()["languages"].as_array().expect("a list").len(), all.len());
        }
        let popular = client.ask("{ languages(popular: true) { name } }").await.data()["languages"].clone();
        assert_eq!((popular.as_array().expect("a list").len(), &popular[0]["name"]), (20, &json!("JavaScript")));
        app.stop().await;
    }
}
