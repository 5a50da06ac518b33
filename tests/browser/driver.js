// Drives Chromium for tests/integration/browser_support.py: a command is a line of JSON on stdin,
// its answer one on stdout, in order. It ends when stdin does.
//
// usage: node driver.js NODE_MODULES CHROMIUM

const path = require("path");
const readline = require("readline");

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = require(path.join(modules, "playwright-core"));

const contexts = new Map();
const pages = new Map(); // {page, errors, requests}
let browser;

function keep(map, thing) {
  map.set(map.size + 1, thing);
  return map.size;
}

function watch(page) {
  const seen = { page, errors: [], requests: [] };
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => seen.requests.push([request.method(), request.url()]));
  page.setDefaultTimeout(20000);
  return seen;
}

const commands = {
  // A visitor: what one browser with one profile is. `script` runs in each page before its own.
  async visitor({ options, script }) {
    const context = await browser.newContext(options);
    if (script) await context.addInitScript(script);
    return keep(contexts, context);
  },
  async open({ visitor, url }) {
    const seen = watch(await contexts.get(visitor).newPage());
    const id = keep(pages, seen);
    if (url) await seen.page.goto(url);
    return id;
  },
  async go({ page, url }) { await pages.get(page).page.goto(url); },
  async click({ page, selector, options }) {
    await pages.get(page).page.click(selector, options);
  },
  async move({ page, x, y }) { await pages.get(page).page.mouse.move(x, y); },
  async wheel({ page, y }) { await pages.get(page).page.mouse.wheel(0, y); },
  async press({ page, key }) { await pages.get(page).page.keyboard.press(key); },
  // The visitor's clock stands still from now on, and `pass` lets time go by.
  async stop({ visitor }) {
    await contexts.get(visitor).clock.install();
    await contexts.get(visitor).clock.pauseAt(Date.now() + 1000);
  },
  async pass({ page, ms }) { await pages.get(page).page.clock.runFor(ms); },
  async evaluate({ page, script }) { return pages.get(page).page.evaluate(script); },
  async path({ page, path: wanted }) {
    await pages.get(page).page.waitForURL((url) => url.pathname + url.search === wanted);
  },
  async text({ page, selector }) { return pages.get(page).page.innerText(selector); },
  async close({ page }) { await pages.get(page).page.close(); },
  async leave({ visitor }) { await contexts.get(visitor).close(); },
  async shot({ page, file, size, whole }) {
    if (size) await pages.get(page).page.setViewportSize(size);
    await pages.get(page).page.screenshot({ path: file, fullPage: whole });
  },
  async errors({ page }) { return pages.get(page).errors; },
  async requests({ page }) { return pages.get(page).requests; },
};

async function main() {
  browser = await chromium.launch({
    executablePath,
    headless: true,
    // Root has no sandbox; pages are restored from memory as they are for people.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  console.log(JSON.stringify({ value: browser.version() }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { command, ...values } = JSON.parse(line);
    let answer;
    try {
      answer = { value: (await commands[command](values)) ?? null };
    } catch (error) {
      answer = { error: error.message };
    }
    console.log(JSON.stringify(answer));
  }
  await browser.close();
}

main().catch((error) => {
  console.log(JSON.stringify({ error: error.message }));
  process.exit(1);
});
