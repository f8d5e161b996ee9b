"use strict";
(() => {
  const DOCUMENT = "wegraph-results";
  // How the socket says that the token counts no longer.
  const FORBIDDEN = 4403;
  const LONGEST_WAIT = 30_000;
  // Not everything is told by events: deletions, what reaches other servers, a line that is dead without a word.
  const LOOK_AGAIN = 30_000;
  const ANSWER_TIME = 10_000;

  // In memory only: a token in the browser's storage would outlive the page.
  let tokens = null;
  let renewing = null;
  let socket = null;
  let failures = 0;
  let timer = 0;
  // Another one after every sign-out and with every page: what was under way before counts no more.
  let generation = 0;

  const authorization = () => (tokens ? { authorization: `Bearer ${tokens.accessToken}` } : {});
  const main = () => document.querySelector("main");

  /** What the server said no to, in the words for the reader. */
  class Refused extends Error {
    constructor({ message, extensions }) {
      super(message);
      this.code = extensions?.code;
    }
  }
  const meansSignIn = (code) => ["UNAUTHENTICATED", "TOKEN_EXPIRED", "TOKEN_REVOKED", "ACCOUNT_DISABLED"].includes(code);
  const meansHidden = (code) => meansSignIn(code) || ["FORBIDDEN", "NOT_FOUND"].includes(code);

  async function ask(operationName, variables = {}, headers = authorization()) {
    const response = await fetch("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ documentId: DOCUMENT, operationName, variables }),
    });
    const { data, errors } = await response.json();
    if (errors?.length) throw new Refused(errors[0]);
    return data;
  }

  // Numbers, written as the server writes them.

  const dash = "–";
  const minus = (text) => text.replace("-", "\u2212");
  const grouped = (number) => number.toLocaleString("en-US");
  const decimal = (value) => (value === null ? dash : minus(value.toFixed(2)));
  const share = (part, whole) => `${(whole === 0 ? 0 : (part / whole) * 100).toFixed(1)}%`;

  function write(parent, figures) {
    for (const [name, text] of Object.entries(figures)) {
      const place = parent.querySelector(`[data-figure=${name}]`);
      if (place.textContent !== text) place.textContent = text;
    }
  }

  /** Whether the page was written for these criteria; they may change while there are no scores. */
  function fits({ criteria }, sections) {
    const isSame = ({ criterion }, index) => {
      const section = sections[index];
      const rows = section.querySelectorAll("tbody tr");
      return (
        section.dataset.criterion === criterion.key &&
        section.querySelector("h2").textContent === criterion.title &&
        Number(rows[0].dataset.to) === criterion.maxGrade &&
        Number(rows[rows.length - 1].dataset.from) === criterion.minGrade
      );
    };
    return criteria.length === sections.length && criteria.every(isSame);
  }

  function show(summary) {
    const sections = [...main().querySelectorAll("section")];
    if (!fits(summary, sections)) return void load();
    write(main().querySelector(":scope > .figures"), {
      count: grouped(summary.count),
      total: decimal(summary.total),
      median: decimal(summary.median),
    });
    main().querySelector(".empty").hidden = summary.count > 0;
    summary.criteria.forEach(({ distribution, ...numbers }, index) => {
      const section = sections[index];
      write(section, {
        mean: decimal(numbers.mean),
        median: decimal(numbers.median),
        standardDeviation: decimal(numbers.standardDeviation),
      });
      const rows = [...section.querySelectorAll("tbody tr")].map((row) => {
        const [from, to] = [Number(row.dataset.from), Number(row.dataset.to)];
        const within = distribution.filter(({ grade }) => from <= grade && grade <= to);
        return { row, count: within.reduce((sum, { count }) => sum + count, 0) };
      });
      const all = rows.reduce((sum, { count }) => sum + count, 0);
      const highest = Math.max(...rows.map(({ count }) => count));
      for (const { row, count } of rows) {
        row.querySelector("rect").setAttribute("width", share(count, highest));
        row.querySelector(".count").textContent = grouped(count);
        row.querySelector(".share").textContent = share(count, all);
      }
    });
  }

  // Staying fresh.

  function status(name) {
    const badge = document.getElementById("status");
    if (!badge) return;
    badge.hidden = false;
    badge.classList.toggle("is-live", name === "live");
    badge.textContent = badge.dataset[name];
  }

  function disconnect() {
    clearTimeout(timer);
    const old = socket;
    socket = null;
    old?.close();
  }

  function again(work) {
    status("waiting");
    const wait = Math.min(LONGEST_WAIT, 1000 * 2 ** failures++);
    clearTimeout(timer);
    timer = setTimeout(work, wait * (0.5 + Math.random() / 2));
  }

  function connect() {
    disconnect();
    const { rubric, title, state, aggregation } = main().dataset;
    if (!rubric) return;
    const address = new URL("/graphql/ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const ours = new WebSocket(address, "graphql-transport-ws");
    socket = ours;
    const send = (message) => ours.send(JSON.stringify(message));
    const start = (id, operationName) =>
      send({ id, type: "subscribe", payload: { documentId: DOCUMENT, operationName, variables: { rubric } } });
    // An answer may come later than newer news.
    let isTold = false;
    const look = () => {
      isTold = false;
      start("now", "Results");
      timer = setTimeout(lost, ANSWER_TIME);
    };
    async function lost(event) {
      if (ours !== socket) return;
      disconnect();
      const mine = generation;
      if (event?.code === FORBIDDEN && tokens && !(await renew()) && mine === generation) return void load();
      if (mine === generation) again(connect);
    }
    ours.addEventListener("open", () => send({ type: "connection_init", payload: authorization() }));
    ours.addEventListener("close", lost);
    ours.addEventListener("message", ({ data }) => {
      if (ours !== socket) return;
      const message = JSON.parse(data);
      const refusal = message.type === "error" ? message.payload : message.payload?.errors;
      if (message.type === "connection_ack") {
        start("news", "Submitted");
        look();
      } else if (message.type === "ping") {
        send({ type: "pong" });
      } else if (refusal) {
        // Whoever may no longer see the results is told so by the page itself.
        if (refusal.some(({ extensions }) => meansHidden(extensions?.code))) load();
        else lost();
      } else if (message.type === "next" && message.id === "news") {
        isTold = true;
        show(message.payload.data.scoreSubmitted.summary);
      } else if (message.type === "next" && message.id === "now") {
        clearTimeout(timer);
        const now = message.payload.data.rubric;
        if (now?.title !== title || now.state !== state || now.aggregation !== aggregation) return void load();
        status("live");
        if (!isTold) show(now.summary);
        if (ours !== socket) return;
        timer = setTimeout(() => {
          failures = 0;
          look();
        }, LOOK_AGAIN);
      } else if (message.type === "complete" && message.id === "news") {
        lost();
      }
    });
  }

  /** Other tokens for those that came to their end; whether there are any, or may be when the server answers. */
  function renew() {
    renewing ??= (async () => {
      try {
        // Without the access token, which may have ended.
        tokens = (await ask("Refresh", { refreshToken: tokens.refreshToken }, {})).refreshSession;
      } catch (error) {
        if (meansSignIn(error.code)) tokens = null;
      }
      renewing = null;
      return tokens !== null;
    })();
    return renewing;
  }

  /** The page as it is for whoever is signed in now; its status, 0 when there is no answer to show. */
  async function load() {
    disconnect();
    const mine = ++generation;
    const get = () => fetch(location.pathname, { headers: authorization(), cache: "no-store" });
    try {
      let response = await get();
      if (response.status === 401 && tokens && (await renew())) response = await get();
      if (response.status === 429 || response.status >= 500) throw new Error(response.statusText);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (mine !== generation) return 0;
      main().replaceWith(document.adoptNode(page.querySelector("main")));
      document.title = page.title;
      begin();
      return response.status;
    } catch {
      if (mine === generation && main().dataset.rubric) again(load);
      return 0;
    }
  }

  async function signIn(event) {
    event.preventDefault();
    const form = event.target;
    const [button, problem] = [form.querySelector("button"), form.querySelector("#problem")];
    const { username, password } = Object.fromEntries(new FormData(form));
    button.disabled = true;
    problem.textContent = "";
    try {
      tokens = (await ask("SignIn", { password: { username, password } }, {})).login;
      const status = await load();
      // An account that may see nothing here needs no session.
      if (status !== 200) await signOut();
      if (status === 0) throw new Error("no answer");
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : form.dataset.failed;
    }
    button.disabled = false;
  }

  async function signOut() {
    generation++;
    disconnect();
    await renewing;
    if (tokens) await ask("SignOut").catch(() => {});
    tokens = null;
  }

  function begin() {
    document.getElementById("sign-in")?.addEventListener("submit", signIn);
    const button = document.getElementById("sign-out");
    if (button) {
      button.hidden = !tokens;
      button.addEventListener("click", () => signOut().then(load));
    }
    connect();
  }

  begin();
})();
