// Drives GraphiQL in a headless Chromium against a running `wegraph dev`, as a person would: the welcome query, signing
// in, a token in the headers, a score, tasks. Fails on any request to another host and on any error in the console.
//
//   node tests/browser/graphiql.mjs http://127.0.0.1:8000 screenshot.png
//
// PLAYWRIGHT names the folder whose node_modules holds playwright-core, CHROMIUM the browser.
import { createRequire } from "node:module";
import { join } from "node:path";

const [base = "http://127.0.0.1:8000", screenshot] = process.argv.slice(2);
const require = createRequire(join(process.env.PLAYWRIGHT ?? process.cwd(), "package.json"));
const { chromium } = require("playwright-core");

const check = (condition, message) => {
  if (!condition) throw new Error(message);
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, locale: "zh-CN" });
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    if (![base, base.replace("http", "ws")].some((own) => request.url().startsWith(own)) && !request.url().startsWith("data:")) problems.push(`request to ${request.url()}`);
  });

  await page.goto(`${base}/graphiql`);
  const editor = page.locator(".graphiql-query-editor .CodeMirror");
  await editor.waitFor();

  // Types a query over the one that is there, runs it and returns the answer.
  const run = async (query) => {
    if (query) {
      await editor.evaluate((element, text) => element.CodeMirror.setValue(text), query);
      // GraphiQL looks at what was typed, the name of the operation among it, after a pause of 100 ms.
      await page.waitForTimeout(400);
    }
    const answered = page.waitForResponse((r) => r.url() === `${base}/graphql` && !r.request().postData().includes("IntrospectionQuery"));
    await page.locator(".graphiql-execute-button").click();
    const response = await answered;
    const reply = await response.json();
    await page.waitForFunction(() => document.querySelector(".result-window .CodeMirror")?.CodeMirror.getValue().length > 2);
    check(!reply.errors, JSON.stringify(reply.errors));
    return reply.data;
  };

  const welcome = await run();
  check(welcome.rubric.criteria.length === 3, "the welcome query shows the default rubric");

  const name = `browser${Date.now()}`;
  const { register } = await run(
    `mutation { register(input: {username: "${name}", password: "Tr4verse-it"}) { accessToken user { username } } }`);
  check(register.user.username === name, "registered");

  const { login } = await run(
    `mutation { login(input: {password: {username: "${name}", password: "Tr4verse-it"}}) { accessToken } }`);
  const headers = page.locator(".graphiql-editor-tool .CodeMirror").last();
  await headers.waitFor();
  await headers.evaluate((element, text) => element.CodeMirror.setValue(text), JSON.stringify({ Authorization: `Bearer ${login.accessToken}` }));

  const grades = [1, 2, 3].map((n) => `{criterion: "grade${n}", grade: ${n + 2}}`).join(" ");
  const { submitScore } = await run(
    `mutation { submitScore(input: {accountNumber: "13800138000", grades: [${grades}]}) { message score { id total } } }`);
  check(submitScore.message === "数据提交成功", submitScore.message);
  const { score } = await run(`{ score(id: "${submitScore.score.id}") { total accountNumber grades { grade } } }`);
  check(score.total === 75 && score.accountNumber === "13800138000", JSON.stringify(score));

  const { createTask } = await run(`mutation { createTask(input: {title: "买牛奶 🥛"}) { task { id version } } }`);
  const id = createTask.task.id;
  const { updateTask } = await run(`mutation { updateTask(input: {id: "${id}", status: DONE}) { task { version completedAt } } }`);
  check(updateTask.task.version === 2, JSON.stringify(updateTask));
  const { tasks } = await run(`{ tasks(first: 5) { totalCount nodes { title status owner { username } } } }`);
  check(tasks.totalCount === 1 && tasks.nodes[0].owner.username === name, JSON.stringify(tasks));

  await page.locator("button[aria-label='Show Documentation Explorer']").click();
  await page.locator(".graphiql-doc-explorer").waitFor();
  await page.locator(".graphiql-doc-explorer a", { hasText: /^Query$/ }).first().click();
  await page.getByText("Everything that can be read").first().waitFor();
  if (screenshot) await page.screenshot({ path: screenshot });

  // A subscription: started in the page, stirred by a request of another device.
  await editor.evaluate((element, text) => element.CodeMirror.setValue(text), "subscription { taskChanged { kind task { title } } }");
  await page.waitForTimeout(400);
  // The frame may be gone before anybody who waits for the socket first can wait for it.
  const subscribed = new Promise((resolve) => {
    page.once("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => payload.includes('"subscribe"') && resolve());
    });
  });
  await page.locator(".graphiql-execute-button").click();
  await subscribed;
  // Sent is not received yet, and nothing tells when the server listens.
  const hasArrived = () =>
    document.querySelector(".result-window .CodeMirror").CodeMirror.getValue().includes("from elsewhere");
  for (let tries = 0; !(await page.evaluate(hasArrived)); tries++) {
    check(tries < 30, "no event arrived");
    const answer = await fetch(`${base}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${login.accessToken}` },
      body: JSON.stringify({ query: `mutation { createTask(input: {title: "from elsewhere"}) { task { id } } }` }),
    });
    check(answer.status === 200, `status ${answer.status}`);
    await page.waitForTimeout(500);
  }
  await page.locator(".graphiql-execute-button").click();

  const { deleteTask } = await run(`mutation { deleteTask(input: {id: "${id}"}) { deletedTaskId } }`);
  check(deleteTask.deletedTaskId === id, JSON.stringify(deleteTask));
  check(problems.length === 0, problems.join("\n"));
  console.log("GraphiQL works: 10 requests, a subscription, no request to another host, no error in the console");
} finally {
  await browser.close();
}
