// Drives the results page in a headless Chromium against a running `wegraph dev`, at the widths of a phone and a desk: public,
// live, without a script, and behind the sign-in. Fails on any request to another host and on any error in the console.
//
//   node tests/browser/results.mjs http://127.0.0.1:8000 folder-for-screenshots
//
// PLAYWRIGHT names the folder whose node_modules holds playwright-core, CHROMIUM the browser, WEGRAPH a program that
// administers the same database when it is started here.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";

const [base = "http://127.0.0.1:8000", screenshots] = process.argv.slice(2);
const require = createRequire(join(process.env.PLAYWRIGHT ?? process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const check = (isTrue, message) => {
  if (!isTrue) throw new Error(message);
};
const sizes = { phone: { width: 360, height: 740 }, desk: { width: 1280, height: 900 } };
const password = "Tr4verse-it";

async function ask(token, query, variables = {}) {
  const response = await fetch(`${base}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  check(!errors, JSON.stringify(errors));
  return data;
}

const unique = Date.now();
const signIn = async (username) =>
  (await ask(null, "mutation($p: PasswordLoginInput!) { login(input: {password: $p}) { accessToken } }", { p: { username, password } }))
    .login.accessToken;
for (const name of [`boss${unique}`, `mei${unique}`]) {
  await ask(null, "mutation($i: RegisterInput!) { register(input: $i) { user { id } } }", { i: { username: name, password } });
}
execFileSync(process.env.WEGRAPH, ["user", "promote", `boss${unique}`]);
const [boss, mei] = [await signIn(`boss${unique}`), await signIn(`mei${unique}`)];
const slug = `contest-${unique}`;
const { createRubric } = await ask(boss, "mutation($i: CreateRubricInput!) { createRubric(input: $i) { rubric { id } } }", {
  i: {
    slug, title: "年度演讲比赛 <b>决赛</b> & Final", description: "评委打分\n第二行", state: "OPEN", isResultPublic: true, aggregation: "TRIMMED_MEAN",
    submissionPolicy: "UNLIMITED",
    criteria: [
      { key: "content", title: "内容 Content" },
      { key: "voice", title: "表达与台风 Delivery and presence on the stage", minGrade: -50, maxGrade: 50 },
      { key: "time", title: "时间 Time", minGrade: 0, maxGrade: 10, weight: 0.5 },
    ],
  },
});
const submit = (content, voice, time) =>
  ask(mei, "mutation($i: SubmitScoreInput!) { submitScore(input: $i) { score { id } } }", {
    i: { rubric: slug, accountNumber: "13800138000", grades: [
      { criterion: "content", grade: content }, { criterion: "voice", grade: voice }, { criterion: "time", grade: time }] },
  });
for (let n = 0; n < 12; n++) await submit([5, 4, 4, 3, 5, 1][n % 6], n * 8 - 50, (n * n) % 11);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
const problems = [];
async function open(options, path = `/rubrics/${slug}/results`, expected = 200) {
  const context = await browser.newContext({ locale: "zh-CN", ...options });
  const page = await context.newPage();
  page.on("console", (message) => {
    // The browser's own line about a status that is meant.
    if (["error", "warning"].includes(message.type()) && !message.text().startsWith("Failed to load resource")) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => request.url().startsWith(base) || request.url().startsWith("data:") || problems.push(request.url()));
  // Stands between, so that a test can cut the line.
  page.lines = [];
  await page.routeWebSocket(/graphql\/ws$/, (line) => {
    line.connectToServer();
    page.lines.push(line);
  });
  const response = await page.goto(base + path);
  check(response.status() === expected, `${path}: status ${response.status()}`);
  return page;
}
const figure = (page, name) => page.locator(`main > .figures [data-figure=${name}]`).textContent();
const isLive = (page) => page.locator("#status.is-live").waitFor();
const fits = async (page, what) => {
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  check(inner <= outer, `${what}: ${inner} wide in ${outer}`);
};
const text = (page) =>
  page.evaluate(() => [...document.querySelectorAll("dd, td.count, td.share")].map((e) => e.textContent)
    .concat([...document.querySelectorAll("rect")].map((e) => e.getAttribute("width"))).join("|"));

try {
  for (const [name, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open({ viewport, colorScheme });
      await isLive(page);
      check((await page.locator("h1").textContent()) === "年度演讲比赛 <b>决赛</b> & Final", "the title is text");
      check((await figure(page, "count")) === "12", "twelve scores");
      check((await page.locator("section").count()) === 3, "three charts");
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      check((background === "rgb(18, 20, 23)") === (colorScheme === "dark"), `${colorScheme}: ${background}`);
      await fits(page, name);
      if (screenshots) await page.screenshot({ path: `${screenshots}/results-${name}-${colorScheme}.png`, fullPage: true });
      await page.context().close();
    }
  }

  // Live: what the script writes is what the server writes, also after a burst, and in several pages.
  const [page, plain] = [await open({ viewport: sizes.phone }), await open({ javaScriptEnabled: false, locale: "en-GB" })];
  check((await figure(plain, "count")) === "12" && (await plain.locator("noscript").isVisible()), "works without a script");
  await isLive(page);
  await Promise.all(Array.from({ length: 20 }, (_, n) => submit((n % 5) + 1, n, n % 11)));
  await page.waitForFunction(() => document.querySelector("[data-figure=count]").textContent === "32");
  await plain.reload();
  check((await text(page)) === (await text(plain)), `script: ${await text(page)}\nserver: ${await text(plain)}`);

  // A connection that was lost comes back, with what happened meanwhile.
  check(page.lines.length === 1, "one socket");
  await submit(5, 0, 0);
  await page.lines.at(-1).close({ code: 1001 });
  await page.locator("#status:not(.is-live)").waitFor();
  await submit(5, 0, 0);
  await page.waitForFunction(() => document.querySelector("[data-figure=count]").textContent === "34");
  await isLive(page);

  // Another range and another way to one number, while the page is open.
  const other = `other-${unique}`;
  const made = await ask(boss, "mutation($i: CreateRubricInput!) { createRubric(input: $i) { rubric { id } } }",
    { i: { slug: other, title: "Other", state: "OPEN", isResultPublic: true, criteria: [{ key: "a", title: "A" }] } });
  const watching = await open({ viewport: sizes.phone, locale: "en" }, `/rubrics/${other}/results`);
  await isLive(watching);
  await ask(boss, "mutation($i: UpdateRubricInput!) { updateRubric(input: $i) { rubric { id } } }",
    { i: { id: made.createRubric.rubric.id, aggregation: "MEDIAN", criteria: [{ key: "a", title: "A", maxGrade: 10 }] } });
  await ask(mei, "mutation($i: SubmitScoreInput!) { submitScore(input: $i) { score { id } } }",
    { i: { rubric: other, accountNumber: "13800138000", grades: [{ criterion: "a", grade: 8 }] } });
  await watching.waitForFunction(() => document.querySelector("tr[data-to='8'] .share")?.textContent === "100.0%");
  check((await watching.locator("main > .figures dt").nth(1).textContent()) === "Total (median)", "the label follows");
  await isLive(watching);
  await watching.context().close();

  // No longer public: the open page asks to sign in, as a new one does.
  await ask(boss, "mutation($i: UpdateRubricInput!) { updateRubric(input: $i) { rubric { id } } }", { i: { id: createRubric.rubric.id, isResultPublic: false } });
  await submit(1, 1, 1);
  await page.locator("#sign-in").waitFor();
  await page.context().close();
  const closed = await open({ viewport: sizes.phone, locale: "en-GB" }, `/rubrics/${slug}/results`, 401);
  check((await closed.locator("section").count()) === 0 && !(await closed.content()).includes("演讲"), "nothing is told");
  await fits(closed, "sign-in");
  if (screenshots) await closed.screenshot({ path: `${screenshots}/results-sign-in.png` });
  const enter = async (username, word) => {
    await closed.locator("[name=username]").fill(username);
    await closed.locator("[name=password]").fill(word);
    await closed.locator("#sign-in button").click();
  };
  await enter(`boss${unique}`, "wrong-Password1");
  await closed.locator("#problem:not(:empty)").waitFor();
  await enter(`mei${unique}`, password);
  await closed.getByText("Only administrators may see these results.").waitFor();
  await enter(`boss${unique}`, password);
  await isLive(closed);
  check((await figure(closed, "count")) === "35", "the administrator sees the results");
  await submit(5, 50, 10);
  await closed.waitForFunction(() => document.querySelector("[data-figure=count]").textContent === "36");
  // The token comes to its end: another one takes its place, and nobody has to sign in.
  const refreshed = closed.waitForResponse((response) => response.request().postData()?.includes('"Refresh"'));
  await closed.lines.at(-1).close({ code: 4403 });
  check(!(await (await refreshed).json()).errors, "the session goes on");
  await submit(5, 50, 10);
  await closed.waitForFunction(() => document.querySelector("[data-figure=count]").textContent === "37");
  await isLive(closed);
  // A server that fails once more does not sign anybody out.
  await closed.route("**/graphql", (route) => route.fulfill({ status: 500, contentType: "application/json",
    body: JSON.stringify({ errors: [{ message: "x", extensions: { code: "INTERNAL_SERVER_ERROR" } }] }) }), { times: 1 });
  await closed.lines.at(-1).close({ code: 4403 });
  await closed.locator("#status:not(.is-live)").waitFor();
  await isLive(closed);
  check(await closed.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length) === 0, "no token is stored");
  await closed.locator("#sign-out").click();
  await closed.locator("#sign-in").waitFor();

  await open({}, "/rubrics/none/results", 404);
  check(problems.length === 0, problems.join("\n"));
  console.log("The results page works: 2 widths, light and dark, live, signed in, without a script; no request to another host, no error in the console");
} finally {
  await browser.close();
}
