//! Documents that are meant to harm, by family: most must be refused, at next to no cost; those that are answered must cost no more
//! than what they return is worth. Shared by the tests and the benchmark.

use std::fmt::Write;

use serde_json::{Value, json};

/// One request that nobody sends by mistake.
pub(crate) struct Hostile {
    /// What it does harm with.
    pub(crate) family: &'static str,
    pub(crate) name: String,
    /// The parameters: `query` and perhaps `variables` and `operationName`.
    pub(crate) parameters: Value,
}

#[derive(Default)]
struct Corpus {
    family: &'static str,
    documents: Vec<Hostile>,
}

impl Corpus {
    fn add(&mut self, name: impl Into<String>, query: impl Into<String>) {
        self.with(name, json!({"query": query.into()}));
    }

    fn with(&mut self, name: impl Into<String>, parameters: Value) {
        self.documents.push(Hostile {
            family: self.family,
            name: name.into(),
            parameters,
        });
    }
}

type Family = (&'static str, fn(&mut Corpus));

fn of(families: &[Family]) -> Vec<Hostile> {
    let mut corpus = Corpus::default();
    for (family, add) in families {
        corpus.family = family;
        add(&mut corpus);
    }
    corpus.documents
}

/// Those that must be refused.
pub(crate) fn documents() -> Vec<Hostile> {
    of(&[
        ("nesting", nesting),
        ("fragments", fragments),
        ("width", width),
        ("depth and cost", depth_and_cost),
        ("lists without pages", priced_lists),
        ("results of a part", too_many_parts),
        ("searches", too_many_searches),
        ("words", lexical),
        ("operations", operations),
        ("validation", validation),
        ("variables", variables),
    ])
}

/// Those that are answered, to a user with tasks, scores and notifications.
pub(crate) fn answered() -> Vec<Hostile> {
    of(&[
        ("lists without pages", lists),
        ("repeated leaves", repeated_leaves),
        ("wide rows", wide_rows),
        ("results of a part", parts_of_results),
        ("searches", searches),
    ])
}

/// `field` under `count` names.
fn aliased(count: usize, field: &str) -> String {
    let aliases: Vec<String> = (0..count).map(|n| format!("a{n}: {field}")).collect();
    format!("{{ {} }}", aliases.join(" "))
}

/// Lists whose length says nothing of what they hold.
fn priced_lists(corpus: &mut Corpus) {
    let leaves = "...F ".repeat(31);
    let names = "name ".repeat(30);
    corpus.add(
        "31 spreads of 30 leaves of languages",
        format!("{{languages{{{leaves}}}}} fragment F on Language{{{names}}}"),
    );
    let linked = "isWechatLinked ".repeat(470);
    corpus.add(
        "470 equal leaves of owners",
        format!("{{ tasks(first: 100) {{ nodes {{ owner {{ {linked} }} }} }} }}"),
    );
    let deep =
        "trendingRepositories { items { builtBy { login } repository { readme { text } } } }";
    corpus.add("10 trending lists with READMEs", aliased(10, deep));
    let scores =
        "scores(first: 100) { nodes { grades { criterion { key } } rubric { criteria { key } } } }";
    corpus.add("10 pages of scores with their grades", aliased(10, scores));
    let users = "users(first: 100) { nodes { sessions { id } } }";
    corpus.add("10 pages of users with their sessions", aliased(10, users));
}

fn lists(corpus: &mut Corpus) {
    let languages = "languages { name slug color }";
    corpus.add("2 lists of languages", aliased(2, languages));
    corpus.add(
        "10 error catalogues",
        aliased(10, "errorCatalog { code description isRetryable }"),
    );
    let summary =
        "rubric(slug: \"default\") { summary { criteria { mean distribution { grade count } } } }";
    corpus.add("10 results with distributions", aliased(10, summary));
    corpus.add(
        "10 lists of sessions",
        aliased(10, "viewer { sessions { id userAgent lastUsedAt } }"),
    );
}

fn repeated_leaves(corpus: &mut Corpus) {
    let spreads = "...F ".repeat(3);
    let names = "name ".repeat(10);
    corpus.add(
        "3 spreads of 10 equal leaves",
        format!("{{ languages {{ {spreads} }} }} fragment F on Language {{ {names} }}"),
    );
    let linked = "isWechatLinked ".repeat(20);
    corpus.add(
        "20 equal leaves of owners",
        format!("{{ tasks(first: 100) {{ nodes {{ owner {{ {linked} }} }} }} }}"),
    );
}

fn wide_rows(corpus: &mut Corpus) {
    corpus.add(
        "10 pages of tasks",
        aliased(10, "tasks(first: 100) { nodes { id } }"),
    );
    corpus.add(
        "3 pages of tasks with notes",
        aliased(3, "tasks(first: 100) { nodes { notes } }"),
    );
    let changes = "taskChanges(first: 100) { changes { task { id } } }";
    corpus.add("10 feeds of changes", aliased(10, changes));
    let notifications = "viewer { notifications(first: 100) { nodes { task { id } } } }";
    corpus.add("5 inboxes with their tasks", aliased(5, notifications));
    let grades = "scores(first: 100) { nodes { grades { grade } } }";
    corpus.add("4 pages of scores with grades", aliased(4, grades));
}

/// `count` results of a part of the scores.
fn parts(count: usize, argument: fn(usize) -> String) -> String {
    let part = |n: usize| format!("s{n}: summary({}) {{ count }}", argument(n));
    let parts: Vec<String> = (0..count).map(part).collect();
    format!("{{ rubric(slug: \"default\") {{ {} }} }}", parts.join(" "))
}

fn period(n: usize) -> String {
    format!("from: \"2020-01-01T00:00:{n:02}Z\"")
}

fn account(n: usize) -> String {
    format!("accountNumber: \"1234{n}\"")
}

fn parts_of_results(corpus: &mut Corpus) {
    corpus.add("4 periods", parts(4, period));
    corpus.add("4 accounts", parts(4, account));
}

fn too_many_parts(corpus: &mut Corpus) {
    for count in [5, 15] {
        corpus.add(format!("{count} periods"), parts(count, period));
        corpus.add(format!("{count} accounts"), parts(count, account));
    }
}

fn search(text: &str) -> String {
    format!("tasks(first: 20, filter: {{search: \"{text}\"}}) {{ totalCount nodes {{ id }} }}")
}

fn searches(corpus: &mut Corpus) {
    for text in ["a", "学", "nothing that is there"] {
        corpus.add(format!("4 searches for {text}"), aliased(4, &search(text)));
    }
}

fn too_many_searches(corpus: &mut Corpus) {
    corpus.add("10 searches", aliased(10, &search("a")));
    for (name, types) in [
        ("a filter", "$f: TaskFilter"),
        ("a default", "$f: TaskFilter = {search: \"a\"}"),
    ] {
        let fields = aliased(5, "tasks(filter: $f) { totalCount }");
        let parameters = json!({"query": format!("query({types}) {fields}"), "variables": match name {
            "a filter" => json!({"f": {"search": "a"}}),
            _ => json!({}),
        }});
        corpus.with(format!("5 searches by {name}"), parameters);
    }
    let fields = aliased(5, "tasks(filter: {search: $s}) { totalCount }");
    let parameters =
        json!({"query": format!("query($s: String) {fields}"), "variables": {"s": "a"}});
    corpus.with("5 searches by a text", parameters);
}

fn nesting(corpus: &mut Corpus) {
    for n in [33, 64, 500, 1230, 1550, 2000, 8000] {
        for (name, open, close) in [("[", "[", "]"), ("{x:", "{x:", "}"), ("[{x:", "[{x:", "}]")] {
            let (opened, closed) = (open.repeat(n), close.repeat(n));
            corpus.add(
                format!("{n} {name} closed"),
                format!("{{ node(id: {opened}1{closed}) {{ id }} }}"),
            );
            corpus.add(format!("{n} {name} open"), format!("{{ node(id: {opened}"));
            corpus.add(
                format!("{n} {name} as a default"),
                format!("query($x: ID = {opened}1{closed}) {{ node(id: $x) {{ id }} }}"),
            );
            corpus.add(
                format!("{n} {name} in a directive"),
                format!("{{ node(id: 1) @skip(if: {opened}true{closed}) {{ id }} }}"),
            );
        }
        corpus.add(
            format!("{n} selection sets"),
            format!("{}{}", "{a".repeat(n), "}".repeat(n)),
        );
        corpus.add(format!("{n} selection sets open"), "{a".repeat(n));
        corpus.add(
            format!("{n} inline fragments"),
            format!("{{{}__typename{}}}", "...{".repeat(n), "}".repeat(n)),
        );
        corpus.add(
            format!("{n} list types"),
            format!(
                "query($x: {}ID{}) {{ node(id: $x) {{ id }} }}",
                "[".repeat(n),
                "]".repeat(n)
            ),
        );
        corpus.add(format!("{n} parentheses"), format!("{{ a{}", "(".repeat(n)));
    }
    for n in [500, 1550, 8000] {
        corpus.add(
            format!("{n} brackets after an open string"),
            format!("{{ a(b: \"\n{}", "[".repeat(n)),
        );
        corpus.add(
            format!("{n} brackets after four quotes"),
            format!("{{ a(b: [\"\"\"\" {}", "[".repeat(n)),
        );
        corpus.add(
            format!("{n} brackets after an escaped block"),
            format!("{{ a(b: \"\"\"\\\"\"\"\"\"\" {}", "[".repeat(n)),
        );
    }
}

/// `count` fragments on `on` that spread the next one `times` times; the last selects `last`.
fn fan(count: usize, times: usize, on: &str, last: &str) -> String {
    let mut text = String::new();
    for i in 0..count {
        let body = match i + 1 == count {
            true => last.to_owned(),
            false => format!("...F{} ", i + 1).repeat(times),
        };
        write!(text, " fragment F{i} on {on} {{ {body} }}").expect("text");
    }
    text
}

fn fragments(corpus: &mut Corpus) {
    for (count, times) in [
        (11, 2),
        (15, 2),
        (25, 2),
        (30, 2),
        (7, 4),
        (12, 8),
        (4, 32),
        (3, 100),
    ] {
        for (name, last) in [("a field", "__typename"), ("nothing known", "...Missing")] {
            corpus.add(
                format!("fan-out {count} x {times} to {name}"),
                format!("{{ ...F0 }}{}", fan(count, times, "Query", last)),
            );
        }
        corpus.add(
            format!("unused fan-out {count} x {times}"),
            format!(
                "{{ __typename }}{}",
                fan(count, times, "Query", "__typename")
            ),
        );
        corpus.add(
            format!("fan-out {count} x {times} below a field"),
            format!(
                "{{ rubric(slug: \"default\") {{ ...F0 }} }}{}",
                fan(count, times, "Rubric", "id")
            ),
        );
    }
    for count in [1, 2, 3, 10, 30] {
        let last = "...F0";
        corpus.add(
            format!("a circle of {count}"),
            format!("{{ ...F0 }}{}", fan(count, 1, "Query", last)),
        );
        corpus.add(
            format!("an unused circle of {count}"),
            format!("{{ __typename }}{}", fan(count, 1, "Query", last)),
        );
        corpus.add(
            format!("a circle of {count} with inline fragments"),
            format!(
                "{{ ...F0 }}{}",
                fan(count, 1, "Query", "... on Query { ... { ...F0 } }")
            ),
        );
        corpus.add(
            format!("a widening circle of {count}"),
            format!("{{ ...F0 }}{}", fan(count, 2, "Query", last)),
        );
    }
    for count in [31, 60, 140] {
        corpus.add(
            format!("{count} fragments"),
            format!("{{ ...F0 }}{}", fan(count, 1, "Query", "__typename")),
        );
    }
}

fn width(corpus: &mut Corpus) {
    let list = |n: usize, item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<String>();
    for n in [16, 30, 100, 300, 5000] {
        corpus.add(
            format!("{n} aliases"),
            format!("{{ {} }}", list(n, &|i| format!("a{i}: __typename "))),
        );
        corpus.add(
            format!("{n} aliases below a field"),
            format!(
                "{{ rubric(slug: \"default\") {{ {} }} }}",
                list(n, &|i| format!("a{i}: id "))
            ),
        );
        corpus.add(
            format!("{n} aliases of node"),
            format!(
                "{{ {} }}",
                list(n, &|i| format!("a{i}: node(id: {i}) {{ id }} "))
            ),
        );
    }
    for n in [51, 100, 300, 20_000] {
        corpus.add(
            format!("{n} directives"),
            format!("{{ __typename {} }}", "@include(if: true) ".repeat(n)),
        );
        corpus.add(
            format!("{n} unknown directives"),
            format!("{{ __typename {} }}", "@a ".repeat(n)),
        );
        corpus.add(
            format!("{n} directives on the operation"),
            format!("query {} {{ __typename }}", "@a ".repeat(n)),
        );
    }
    for n in [1, 10, 100, 300, 20_000] {
        corpus.add(
            format!("{n} unknown fields"),
            format!("{{ {} }}", list(n, &|i| format!("unknown{i} "))),
        );
        corpus.add(
            format!("{n} unknown fields below a field"),
            format!(
                "{{ rubric(slug: \"default\") {{ {} }} }}",
                list(n, &|i| format!("unknown{i} "))
            ),
        );
    }
    for n in [11, 50, 400] {
        corpus.add(
            format!("{n} root fields"),
            format!("{{ {} }}", "__typename ".repeat(n)),
        );
        corpus.add(
            format!("{n} root fields by fragments"),
            format!(
                "{{ {} }} fragment F on Query {{ __typename }}",
                "...F ".repeat(n)
            ),
        );
    }
    for n in [1001, 5000] {
        corpus.add(
            format!("{n} fields"),
            format!("{{ rubric(slug: \"default\") {{ {} }} }}", "id ".repeat(n)),
        );
    }
    corpus.add(
        "20,000 arguments",
        format!(
            "{{ node({}) {{ id }} }}",
            list(20_000, &|i| format!("a{i}: 1 "))
        ),
    );
    corpus.add(
        "300 arguments",
        format!(
            "{{ node({}) {{ id }} }}",
            list(300, &|i| format!("a{i}: 1 "))
        ),
    );
    corpus.add(
        "200 times the same argument",
        format!("{{ node({}) {{ id }} }}", "id: 1 ".repeat(200)),
    );
    corpus.add(
        "2,000 list items",
        format!(
            "{{ tasks(filter: {{status: [{}]}}) {{ totalCount }} }}",
            "TODO ".repeat(2000)
        ),
    );
    for (levels, arguments, fields) in [(1, 1, 300), (26, 50, 100), (29, 100, 400), (29, 1, 600)] {
        corpus.add(
            format!("{fields} conflicts, {levels} levels, {arguments} unknown arguments"),
            format!(
                "{{ viewer {{ {}id({}){} {} }} }}",
                "...{".repeat(levels),
                "x: 1 ".repeat(arguments),
                " id".repeat(fields),
                "}".repeat(levels)
            ),
        );
    }
    for levels in [1, 20] {
        let conflicts = list(60, &|i| format!("a: node(id: {i}) {{ id }} "));
        corpus.add(
            format!("60 conflicts, {levels} levels"),
            format!(
                "{{ {}{conflicts}{} }}",
                "...{".repeat(levels),
                "}".repeat(levels)
            ),
        );
    }
}

fn depth_and_cost(corpus: &mut Corpus) {
    for n in [10, 15, 28] {
        corpus.add(
            format!("{n} levels of unknown fields"),
            format!("{{{}b{}}}", "a{".repeat(n), "}".repeat(n)),
        );
    }
    for n in [19, 25] {
        corpus.add(
            format!("introspection {n} levels deep"),
            format!(
                "{{ __schema {{ types {{ {}name{} }} }} }}",
                "ofType { ".repeat(n),
                " }".repeat(n)
            ),
        );
    }
    for n in [3, 5, 8] {
        corpus.add(
            format!("{n} lists of the introspection"),
            format!(
                "{{ __schema {{ types {{ {}name{} }} }} }}",
                "fields { type { ".repeat(n),
                " } }".repeat(n)
            ),
        );
        corpus.add(
            format!("{n} mixed lists of the introspection"),
            format!(
                "{{ __schema {{ types {{ {}name{} }} }} }}",
                "possibleTypes { interfaces { ".repeat(n),
                " } }".repeat(n)
            ),
        );
    }
    let heavy = "grades { criterion { key } comment } rubric { criteria { key } } \
                 a: rubric { criteria { key } } b: rubric { criteria { key } } c: rubric { criteria { key } }";
    corpus.add(
        "a large page by nodes and edges",
        format!(
            "{{ scores(first: 100) {{ nodes {{ {heavy} }} edges {{ node {{ {heavy} }} }} }} }}"
        ),
    );
    corpus.add(
        "970 leaves of every entry",
        format!(
            "{{ tasks(first: 100) {{ nodes {{ owner {{ {} }} }} }} }}",
            "isWechatLinked ".repeat(970)
        ),
    );
    corpus.add(
        "14 long texts of every entry",
        format!(
            "{{ tasks(first: 100) {{ nodes {{ {} }} }} }}",
            (0..14).map(|i| format!("a{i}: notes ")).collect::<String>()
        ),
    );
    corpus.add(
        "several large pages",
        format!(
            "{{ {} }}",
            (0..9)
                .map(|i| format!("a{i}: scores(first: 100) {{ nodes {{ {heavy} }} }} "))
                .collect::<String>()
        ),
    );
    let paged = format!(
        "query($n: Int = 100) {{ scores(first: $n) {{ nodes {{ {heavy} }} edges {{ node {{ {heavy} }} }} }} }}"
    );
    corpus.add("a large page by a default", paged.clone());
    corpus.with(
        "a large page by a variable",
        json!({"query": paged, "variables": {"n": 1_000_000}}),
    );
    corpus.with(
        "a large page by last",
        json!({"query": paged.replace("first", "last"), "variables": {"n": 100}}),
    );
}

fn lexical(corpus: &mut Corpus) {
    for (name, text) in [
        ("nothing but a comment", "# { __typename }".to_owned()),
        (
            "an unfinished query",
            "{ rubric(slug: \"default\") { id".to_owned(),
        ),
        ("too many closings", "{ __typename }}}}}}".to_owned()),
        ("a control character", "{ __typename \u{0} }".to_owned()),
        (
            "a byte order mark inside",
            "{ __type\u{feff}name }".to_owned(),
        ),
        ("a name of other letters", "{ 名字 }".to_owned()),
        (
            "an open string",
            "{ rubric(slug: \"default) { id } }".to_owned(),
        ),
        (
            "an open block string",
            "{ rubric(slug: \"\"\"default) { id } }".to_owned(),
        ),
        (
            "a wrong escape",
            "{ rubric(slug: \"\\q\") { id } }".to_owned(),
        ),
        (
            "half a surrogate pair",
            "{ rubric(slug: \"\\uD800\") { id } }".to_owned(),
        ),
        (
            "a number with a leading zero",
            "{ tasks(first: 007) { totalCount } }".to_owned(),
        ),
        (
            "a huge exponent",
            "{ tasks(first: 1e999999) { totalCount } }".to_owned(),
        ),
        (
            "a huge number",
            "{ tasks(first: 99999999999999999999999999) { totalCount } }".to_owned(),
        ),
        (
            "a number of 60,000 digits",
            format!(
                "{{ tasks(first: {}) {{ totalCount }} }}",
                "9".repeat(60_000)
            ),
        ),
        (
            "a fraction of 60,000 digits",
            format!(
                "{{ tasks(first: 0.{}) {{ totalCount }} }}",
                "9".repeat(60_000)
            ),
        ),
        (
            "a field of 60,000 letters",
            format!("{{ {} }}", "a".repeat(60_000)),
        ),
        (
            "an alias of 60,000 letters",
            format!("{{ {}: __typename }}", "a".repeat(60_000)),
        ),
        (
            "a type of 60,000 letters",
            format!("{{ ... on {} {{ id }} }}", "A".repeat(60_000)),
        ),
        (
            "a directive of 60,000 letters",
            format!("{{ __typename @{} }}", "a".repeat(60_000)),
        ),
        (
            "an operation name of 60,000 letters",
            format!("query {} {{ nothing }}", "a".repeat(60_000)),
        ),
        (
            "a string of 60,000 letters for a number",
            format!(
                "{{ tasks(first: \"{}\") {{ totalCount }} }}",
                "a".repeat(60_000)
            ),
        ),
        (
            "a comment of 60,000 letters",
            format!("{{ nothing #{}\n }}", "x".repeat(60_000)),
        ),
        (
            "900 comments",
            format!("{{ nothing {} }}", "#\n".repeat(900)),
        ),
        (
            "60,000 blanks",
            format!("{{ nothing {} }}", " ".repeat(60_000)),
        ),
        (
            "a string of 60,000 escapes",
            format!("{{ node(id: \"{}\") {{ nothing }} }}", "\\n".repeat(30_000)),
        ),
        (
            "a block string of 60,000 lines",
            format!(
                "{{ node(id: \"\"\"{}\"\"\") {{ nothing }} }}",
                "\n".repeat(60_000)
            ),
        ),
        (
            "60,000 commas",
            format!("{{ nothing {} }}", ",".repeat(60_000)),
        ),
        (
            "60,000 comments",
            format!("{{ nothing {} }}", "#\n".repeat(60_000)),
        ),
        (
            "60,000 quotes",
            format!("{{ a(b: {}) }}", "\"".repeat(60_000)),
        ),
        (
            "60,001 quotes",
            format!("{{ a(b: {}) }}", "\"".repeat(60_001)),
        ),
        (
            "60,000 backslashes",
            format!("{{ a(b: \"{}\") }}", "\\".repeat(60_000)),
        ),
        (
            "a block string without an end, many times",
            format!(
                "{{ a(b: \"\"\"{}#{}",
                "\n\\\"\"\"".repeat(300),
                "x".repeat(60_000)
            ),
        ),
        ("60,000 spreads", "...".repeat(60_000)),
        ("60,000 dollars", "$".repeat(60_000)),
        (
            "60,000 exclamation marks",
            format!(
                "query($x: ID{}) {{ node(id: $x) {{ id }} }}",
                "!".repeat(60_000)
            ),
        ),
        ("60,000 ampersands", "&".repeat(60_000)),
        (
            "a wide syntax error",
            format!("{{ {} ", "a(b: {c: [1 2 3]}) ".repeat(80)),
        ),
    ] {
        corpus.add(name, text);
    }
    // The same noise every time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let parts = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "...",
        "on ",
        "a",
        "$b",
        ":",
        "@c",
        "\"",
        "\"\"\"",
        "\\",
        "1.5",
        "!",
        "|",
        "=",
        "fragment ",
        "query ",
        "#",
        "\n",
        "é",
    ];
    for seed in 0..40 {
        let mut text = String::from("{ ");
        for _ in 0..60 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(parts[(state % parts.len() as u64) as usize]);
        }
        corpus.add(format!("noise {seed}"), text);
    }
}

fn operations(corpus: &mut Corpus) {
    let refresh = "refreshSession(input: {refreshToken: \"x\"}) { accessToken }";
    let login = "login(input: {password: {username: \"a\", password: \"b\"}}) { accessToken }";
    corpus.add(
        "two sign-ins by aliases",
        format!("mutation {{ a: {login} b: {login} }}"),
    );
    corpus.add(
        "ten sign-ins by aliases",
        format!(
            "mutation {{ {} }}",
            (0..10)
                .map(|i| format!("a{i}: {login} "))
                .collect::<String>()
        ),
    );
    corpus.add(
        "a sign-in and a refresh",
        format!("mutation {{ {login} {refresh} }}"),
    );
    corpus.add("two sign-ins by fragments", format!("mutation {{ ...A ...B }} fragment A on Mutation {{ a: {login} }} fragment B on Mutation {{ b: {login} }}"));
    corpus.add(
        "two operations without a name",
        "query A { __typename } query B { __typename }",
    );
    corpus.add(
        "the same name twice",
        "query A { __typename } query A { __typename }",
    );
    corpus.add(
        "an operation with and one without a name",
        "{ __typename } query A { __typename }",
    );
    corpus.with(
        "an operation that is not there",
        json!({"query": "query A { __typename }", "operationName": "B"}),
    );
    let sixty: String = (0..60).map(|i| format!("query A{i} {{ ...F }} ")).collect();
    let undeclared: String = (0..200).map(|i| format!("$v{i} ")).collect();
    for place in ["node(id: [VARIABLES])", "__type(name: [VARIABLES])"] {
        let selection = place.replace("VARIABLES", &undeclared);
        corpus.with(
            format!("60 operations with 200 undeclared variables in {place}"),
            json!({
                "query": format!("{sixty} fragment F on Query {{ {selection} {{ id }} }}"),
                "operationName": "A1",
            }),
        );
    }
    let many: String = (0..100)
        .map(|i| format!("query A{i} {{ ...F0 }} "))
        .collect();
    corpus.with("100 operations with a wide fragment",
        json!({"query": format!("{many}{}", fan(2, 90, "Query", "__typename")), "operationName": "A1"}));
    corpus.add(
        "a subscription to two fields",
        "subscription { taskChanged { kind } b: taskChanged { kind } }",
    );
    corpus.add(
        "a subscription to a type name",
        "subscription { __typename }",
    );
    corpus.add(
        "a subscription to two fields by a fragment",
        "subscription { ...F } fragment F on Subscription { taskChanged { kind } x: taskChanged { kind } }",
    );
    corpus.add("a type definition", "type A { b: Int } { __typename }");
    corpus.add("only a fragment", "fragment F on Query { __typename }");
    corpus.add("an unknown kind of operation", "delete { __typename }");
}

fn validation(corpus: &mut Corpus) {
    for (name, query) in [
        ("a misspelt field", "{ rubrik(slug: \"default\") { id } }"),
        (
            "a misspelt argument",
            "{ rubric(slgu: \"default\") { id } }",
        ),
        ("a missing argument", "{ rubric { id } }"),
        ("no selection", "{ rubric(slug: \"default\") }"),
        (
            "a selection of a leaf",
            "{ rubric(slug: \"default\") { id { x } } }",
        ),
        ("an unknown type", "{ ... on Nothing { id } }"),
        ("a fragment of a leaf", "{ ... on String { id } }"),
        (
            "a fragment of another type",
            "{ rubric(slug: \"default\") { ... on Task { id } } }",
        ),
        (
            "an unused fragment",
            "{ __typename } fragment F on Query { __typename }",
        ),
        ("an unknown fragment", "{ ...Nothing }"),
        ("an unused variable", "query($x: ID) { __typename }"),
        ("an unknown variable", "{ node(id: $x) { id } }"),
        (
            "a variable twice",
            "query($x: ID!, $x: ID!) { node(id: $x) { id } }",
        ),
        (
            "a variable of an output type",
            "query($x: Task) { node(id: $x) { id } }",
        ),
        (
            "a variable of another type",
            "query($x: Int!) { node(id: $x) { id } }",
        ),
        (
            "a nullable variable",
            "query($x: ID) { node(id: $x) { id } }",
        ),
        (
            "a default of another type",
            "query($x: Int = \"a\") { tasks(first: $x) { totalCount } }",
        ),
        ("a list for a value", "{ node(id: [1]) { id } }"),
        ("an object for a value", "{ node(id: {a: 1}) { id } }"),
        (
            "an unknown value of an enum",
            "{ tasks(orderBy: {field: NOTHING}) { totalCount } }",
        ),
        (
            "an unknown input field",
            "{ tasks(filter: {nothing: 1}) { totalCount } }",
        ),
        (
            "both ways to sign in",
            "mutation { login(input: {wechat: {code: \"a\"}, password: {username: \"a\", password: \"b\"}}) { accessToken } }",
        ),
        (
            "no way to sign in",
            "mutation { login(input: {}) { accessToken } }",
        ),
        ("@defer", "{ ... @defer { __typename } }"),
        (
            "@stream",
            "{ rubric(slug: \"default\") { criteria @stream { key } } }",
        ),
        ("@skip without a condition", "{ __typename @skip }"),
        (
            "@skip twice",
            "{ __typename @skip(if: true) @skip(if: true) }",
        ),
        (
            "a directive in the wrong place",
            "query @skip(if: true) { __typename }",
        ),
    ] {
        corpus.add(name, query);
    }
}

fn variables(corpus: &mut Corpus) {
    let query = "query($x: ID!) { node(id: $x) { id } }";
    for n in [33, 100] {
        let mut deep = json!(1);
        for _ in 0..n {
            deep = json!([deep]);
        }
        corpus.with(
            format!("variables {n} levels deep"),
            json!({"query": query, "variables": {"x": deep}}),
        );
    }
    corpus.with("20,000 variables", json!({"query": query, "variables": (0..20_000).map(|i| (format!("v{i}"), json!(1))).collect::<serde_json::Map<_, _>>()}));
    corpus.with(
        "20,000 values in a variable",
        json!({"query": query, "variables": {"x": vec![1; 20_000]}}),
    );
    corpus.with(
        "1,900 values in a variable",
        json!({"query": query, "variables": {"x": vec![1.5; 1_900]}}),
    );
    corpus.with(
        "a variable that is an object",
        json!({"query": query, "variables": {"x": {"a": 1}}}),
    );
    corpus.with(
        "a required variable that is missing",
        json!({"query": "query($x: Boolean!) { __typename @include(if: $x) }"}),
    );
    corpus.with(
        "a required variable that is null",
        json!({"query": "query($x: Int!) { tasks(first: $x) { totalCount } }", "variables": {"x": null}}),
    );
    corpus.with(
        "a variable that is missing",
        json!({"query": "query($x: ID!) { node(id: $x) { id } nothing }"}),
    );
    let many = "mutation($v: ID!) { completeTasks(input: {ids: [USES]}) { tasks { id } } }"
        .replace("USES", &"$v ".repeat(400));
    for (name, value) in [
        ("a long list", json!(vec![1; 1_900])),
        ("objects", json!(vec![json!({"a": 1}); 900])),
        ("a long text", json!("x".repeat(60_000))),
    ] {
        corpus.with(
            format!("400 uses of a variable that is {name}"),
            json!({"query": many, "variables": {"v": value}}),
        );
    }
    let definitions: String = (0..150).map(|i| format!("$v{i}: Int ")).collect();
    corpus.add(
        "150 unused variables",
        format!("query({definitions}) {{ __typename }}"),
    );
}
