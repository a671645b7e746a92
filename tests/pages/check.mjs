// Opens every sample in Chromium: `check.mjs PROGRAM [--all] [--only NAME] [--shots FOLDER]`, where PROGRAM serves the samples.
// Fails on: an axe-core finding that is serious or critical (contrast of 7:1 included), a message on the console (a broken policy of the
// page is one), scrolling sideways, a control that Tab does not reach or that shows no focus ring, a control that is too small to hit,
// a form that sends something else than its handler reads, and a script that does not do what it is for.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(process.env.PLAYWRIGHT + "/")("playwright-core");
const axe = readFileSync(`${process.env.AXE}/axe-core/axe.min.js`, "utf8");
const argument = (name) => { const at = process.argv.indexOf(name); return at < 0 ? "" : process.argv[at + 1] ?? ""; };
const only = argument("--only");
const shots = argument("--shots");
const whole = process.argv.includes("--all");
if (shots) mkdirSync(shots, { recursive: true });

// Pages that differ most from the others: these are opened in every width and scheme in any case.
const WIDELY = ["sign-in-refused", "consent-custom", "authorizations", "account-full", "sessions", "invites", "impersonate-hostile"];
const EVERY = [360, 768, 1280].flatMap((width) => ["light", "dark"].map((scheme) => ({ width, scheme })));
// The second time only what can differ is audited: colours and sizes.
const TWO = [{ width: 360, scheme: "light" }, { width: 1280, scheme: "dark", again: true }];

const server = spawn(process.argv[2], ["0"], { stdio: ["ignore", "pipe", "inherit"] });
process.on("exit", () => server.kill());
const base = await new Promise((heard, failed) => {
  server.on("error", failed);
  server.on("exit", (code) => failed(new Error(`the samples are not served: exit code ${code}`)));
  createInterface({ input: server.stdout }).once("line", heard);
});
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

const began = Date.now();
const failures = [];
const counts = { views: 0, audits: 0, stops: 0, forms: 0 };
const open = async (options) => {
  const { audited, ...others } = options;
  const page = await (await browser.newContext(others)).newPage();
  // Put in from outside, which the page's own policy does not touch.
  if (audited) await page.addInitScript({ content: axe });
  page.setDefaultTimeout(15000);
  return page;
};

// Two at a time: the machine has more than one core, and a page has waits.
const inTurns = async (jobs, options, work) => {
  const queue = [...jobs];
  await Promise.all([1, 2].map(async () => {
    const page = await open(options);
    for (let job = queue.shift(); job; job = queue.shift()) {
      // Pages that lead to other sites try; nothing is fetched from there, and the page stays.
      const away = (url) => !url.href.startsWith(base);
      if (leading.has(job.name)) await page.route(away, (route) => route.fulfill({ status: 204 }));
      await work(page, job);
      if (leading.has(job.name)) await page.unroute(away);
    }
    await page.context().close();
  }));
};

// How a page looks at one width in one scheme.
const look = async (page, name, { width, scheme, again, quick }, into) => {
  const where = `${name} ${width} ${scheme}`;
  const said = [];
  const heard = (message) => said.push(message.text?.() ?? String(message));
  page.on("console", heard);
  page.on("pageerror", heard);
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await page.setViewportSize({ width, height: 800 });
  await page.goto(`${base}/sample/${name}`, { waitUntil: "load" });
  counts.views += 1;
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) into.push(`${where}: scrolls sideways by ${overflow} px`);
  if (shots) await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png`, fullPage: true });
  // Between the two, nothing but the arrangement changes.
  if (width !== 768 && !quick) {
    const found = await page.evaluate((again) => {
      const extra = ["color-contrast-enhanced", "target-size"];
      const which = again ? { runOnly: ["color-contrast", ...extra] } : { rules: Object.fromEntries(extra.map((rule) => [rule, { enabled: true }])) };
      return axe.run(document, { resultTypes: ["violations"], ...which });
    }, again);
    counts.audits += 1;
    for (const finding of found.violations) {
      const places = finding.nodes.map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).join(" | ");
      const line = `${where}: ${finding.id} (${finding.impact}): ${places}`;
      if (["serious", "critical"].includes(finding.impact)) into.push(line); else console.log("minor:", line);
    }
  }
  if (said.length) into.push(`${where}: console: ${said.join(" | ")}`);
  page.off("console", heard);
  page.off("pageerror", heard);
};

// The keyboard, at the narrow width, from the top of the page.
const tab = async (page, name, scheme, into) => {
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await page.setViewportSize({ width: 360, height: 800 });
  await page.goto(`${base}/sample/${name}`, { waitUntil: "load" });
  const wanted = await page.evaluate(() => {
    const radios = new Set();
    const stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter((one) => {
      if (one.disabled || one.type === "hidden" || !one.checkVisibility({ visibilityProperty: true })) return false;
      if (one.type !== "radio") return true;
      const group = [...document.querySelectorAll(`input[type=radio][name="${CSS.escape(one.name)}"]`)];
      const stop = group.find((radio) => radio.checked) ?? group[0];
      return one === stop && !radios.has(one.name) && radios.add(one.name);
    });
    // Start before the page: focus may have been put on the list of mistakes.
    document.activeElement?.blur();
    const top = document.createElement("span");
    top.tabIndex = -1;
    document.body.prepend(top);
    top.focus();
    window.focused = [];
    document.addEventListener("focusin", ({ target: one }) => {
      if (one.dataset.stop === undefined) return;
      const style = getComputedStyle(one);
      const box = one.getBoundingClientRect();
      const hit = one.closest("label") ?? (one.labels?.[0] && ["checkbox", "radio"].includes(one.type) ? one.labels[0] : one);
      window.focused.push({
        index: Number(one.dataset.stop),
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        height: Math.round(Math.max(hit.getBoundingClientRect().height, box.height)),
        inline: style.display === "inline",
        seen: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0,
      });
    });
    return stops.map((one, index) => { one.dataset.stop = index; return one.outerHTML.slice(0, 120); });
  });
  const reached = new Set();
  for (let press = 0; press < wanted.length + 3; press += 1) await page.keyboard.press("Tab");
  for (const at of await page.evaluate(() => window.focused)) {
    counts.stops += 1;
    reached.add(at.index);
    if (!at.ring) into.push(`${name} ${scheme}: no focus ring on ${wanted[at.index]}`);
    if (!at.seen) into.push(`${name} ${scheme}: focus is not on the page at ${wanted[at.index]}`);
    if (!at.inline && at.height < 32) into.push(`${name} ${scheme}: only ${at.height} px high: ${wanted[at.index]}`);
  }
  wanted.forEach((html, index) => { if (!reached.has(index)) into.push(`${name} ${scheme}: Tab does not reach ${html}`); });
};

const list = await (await fetch(base)).text();
const known = [...list.matchAll(/\/sample\/([^"]+)/g)].map((found) => found[1]);
const names = known.filter((name) => name.includes(only));
if (names.length === 0) throw new Error(`no sample has "${only}" in its name`);
// A sample that a part below names must be there, or that part would look at nothing.
const has = (name) => {
  if (!known.includes(name)) failures.push(`there is no sample ${name}`);
  return names.includes(name);
};
WIDELY.forEach(has);
// Pages with the same tags and classes differ in words alone: of those, one is opened in full and the others once, for how wide the words are.
const first = new Set();
const leading = new Set();
{
  const bones = new Set();
  for (const name of names) {
    const html = await (await fetch(`${base}/sample/${name}`)).text();
    if (html.includes('http-equiv="refresh"')) leading.add(name);
    const tags = [...html.matchAll(/<(\w+)(?:[^>]*? class="([^"]*)")?/g)].map(([, tag, kind]) => `${tag}.${kind}`).join(" ");
    if (!bones.has(tags) || WIDELY.includes(name)) first.add(name);
    bones.add(tags);
  }
}
const full = names.filter((name) => whole || first.has(name));

// First, that what is broken is found: a page with one mistake of each kind.
{
  const found = [];
  const page = await open({ audited: true });
  await look(page, "broken", TWO[0], found);
  await tab(page, "broken", "light", found);
  await page.context().close();
  for (const kind of [/scrolls sideways/, /console: .*style/, /color-contrast/, /image-alt/, /no focus ring/, /px high/, /Tab does not reach/]) {
    if (!found.some((line) => kind.test(line))) failures.push(`the broken page passes ${kind}`);
  }
}

const viewsOf = (name) => {
  if (!full.includes(name)) return [{ ...TWO[0], quick: true }];
  return whole || WIDELY.includes(name) ? EVERY : TWO;
};
const views = names.flatMap((name) => viewsOf(name).map((view) => ({ name, view })));
await inTurns(views, { audited: true }, (page, { name, view }) => look(page, name, view, failures));

const schemes = whole ? ["light", "dark"] : ["light"];
await inTurns(schemes.flatMap((scheme) => full.map((name) => ({ name, scheme }))), {},
  (page, { name, scheme }) => tab(page, name, scheme, failures));

// Narrow as a 1,280 px screen at 400 %, with a finger, and without scripts: nothing scrolls sideways, nothing is too small to hit.
for (const [way, least, options] of [["touch", 44, { hasTouch: true, isMobile: true }], ["no script", 32, { javaScriptEnabled: false }]]) {
  // Without scripts a page has less on it, not more.
  const these = options.hasTouch || whole ? full : full.filter((name) => WIDELY.includes(name));
  await inTurns(these.map((name) => ({ name })), { ...options, viewport: { width: 320, height: 640 } }, async (page, { name }) => {
    await page.goto(`${base}/sample/${name}`, { waitUntil: "load" });
    const found = await page.evaluate((least) => ({
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      small: [...document.querySelectorAll("button, .button, select, input:not([type=hidden], [type=checkbox], [type=radio])")]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < least).map((one) => one.outerHTML.slice(0, 120)),
    }), least);
    if (found.overflow > 0) failures.push(`${name} 320 ${way}: scrolls sideways by ${found.overflow} px`);
    for (const html of found.small) failures.push(`${name} ${way}: too small to hit: ${html}`);
  });
}

// What the script adds.
{
  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  const same = (what, got, wanted) => { if (String(got) !== String(wanted)) failures.push(`script: ${what}: ${got}, not ${wanted}`); };
  if (has("consent-custom")) {
    await page.goto(`${base}/sample/consent-custom`);
    const records = page.getByLabel("Records", { exact: true });
    const some = () => records.evaluate((one) => one.indeterminate);
    same("some tools are ticked", await some(), true);
    await page.getByText("6 of 8 tools").click();
    await page.getByLabel("Delete records").check();
    await page.getByLabel("Delete many records").check();
    same("all tools are ticked", await some(), false);
    same("and counted", await page.locator('[data-count="category-orm"]').textContent(), "8 of 8 tools");
    await records.uncheck();
    same("none is left", await page.locator('[data-of="category-orm"] input:checked').count(), 0);
    await page.getByLabel("Read records", { exact: false }).first().check();
    same("a tool brings its category", await records.isChecked(), true);
  }
  if (has("problem-internal")) {
    await page.goto(`${base}/sample/problem-internal`);
    await page.getByRole("button", { name: "Copy" }).click();
    same("copied", await page.evaluate(() => navigator.clipboard.readText()), "01KAEXW0Y4M4Q3C8V6ZB9T7D2N");
  }
  if (has("impersonate-staging")) {
    await page.clock.install({ time: new Date("2026-11-21T14:40:00Z") });
    await page.goto(`${base}/sample/impersonate-staging`);
    await page.clock.runFor(12_100);
    same("time goes on", await page.locator("[data-live]").textContent(), "in 29 seconds");
    await page.clock.runFor(60_000);
    same("and passes", await page.locator("[data-live]").textContent(), "30 seconds ago");
  }
  await page.context().close();
}

// What forms send, without a script. The server answers any other address with it.
{
  const page = await open({ javaScriptEnabled: false });
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const sends = async (sample, act, address, body) => {
    if (!has(sample)) return;
    await page.goto(`${base}/sample/${sample}`);
    let [got, sent] = ["nowhere", "nothing"];
    try {
      await act();
      [got, sent] = (await page.textContent("pre")).split("\n");
    } catch (error) {
      failures.push(`${sample}: ${error.message.split("\n")[0]}`);
    }
    counts.forms += 1;
    if (got !== address || !body.test(sent)) failures.push(`${sample}: sent ${sent} to ${got}, not ${body} to ${address}`);
  };
  await sends("sign-in", async () => {
    await page.getByLabel("E-mail").fill("a@b.example");
    await page.getByLabel("Password").fill("x y");
    await press("Sign in");
  }, "/sign-in", /^csrf=token&next=&email=a%40b.example&password=x\+y$/);
  await sends("impersonate-production", () => press("Open as maria.lopez@acme.example"), "/impersonate/abc", /^csrf=token$/);
  await sends("consent", () => press("Allow Claude"), "/consent",
    /^csrf=token&request=01KA\w+&preset=standard&all_tools=yes&category=orm&.*tool=search_read&.*key=new&label=Claude&auto_context=yes&do=allow$/);
  await sends("consent-custom", async () => {
    await page.getByLabel("Acme development").uncheck();
    await page.getByText("6 of 8 tools").click();
    await page.getByLabel("Create many records").uncheck();
    await page.getByLabel("Use my key Nightly report").check();
    await press("Update the summary");
  }, "/consent", /&preset=custom&instance=acme-staging&category=orm&tool=search_read&(?!.*batch_create).*&do=preview&.*&key=k2&/);
  await sends("consent", () => press("Deny"), "/consent", /&do=deny$/);
  await sends("device-confirm", () => press("Not mine"), "/device/confirm", /^csrf=token&request=r1&do=not-mine$/);
  await sends("organizations", () => page.getByRole("button", { name: "Berg & Sons" }).click(), "/organizations", /^csrf=token&next=%2F&org=berg$/);
  await sends("authorizations", async () => {
    await page.getByText("Revoke Claude in Berg & Sons", { exact: false }).first().click();
    await page.getByRole("button", { name: "Revoke Claude" }).click();
  }, "/authorizations/revoke", /^csrf=token&id=g2$/);
  await sends("sessions", () => page.getByRole("button", { name: "End the session Safari on iPhone" }).click(), "/sessions/revoke", /^csrf=token&id=s2$/);
  await sends("invites", async () => {
    await page.getByLabel("Name", { exact: true }).fill("Cleo");
    await page.getByLabel("Member", { exact: true }).check();
    await page.getByLabel("Custom", { exact: true }).check();
    await page.getByLabel("Acme development").uncheck();
    await page.getByLabel("Reports", { exact: true }).uncheck();
    await press("Make the invite");
  }, "/invites", /^csrf=token&org=acme&label=Cleo&role=member&preset=custom&instance=acme-staging&category=orm&category=search&category=metadata&category=platform&days=7&uses=1&do=make$/);
  await sends("invites", async () => {
    await page.getByLabel("Custom", { exact: true }).check();
    await press("Update the summary");
  }, "/invites", /^csrf=token&org=acme&label=&role=viewer&preset=custom&.*&do=preview&days=7&uses=1$/);
  await sends("invites", async () => {
    await page.getByText("Revoke the invite Ben, bookkeeping").click();
    await page.getByRole("button", { name: "Revoke Ben, bookkeeping" }).click();
  }, "/invites/revoke", /^csrf=token&org=acme&id=i1$/);
  await sends("invites", () => page.getByRole("button", { name: "Vouch for the invite Warehouse team" }).click(), "/invites/vouch", /^csrf=token&org=acme&id=i2$/);
  await sends("account", () => press("Sign out"), "/sign-out", /^csrf=token$/);
  await page.context().close();
}

await browser.close();
const { views: seen, audits, stops, forms } = counts;
console.log(`${names.length} samples (${full.length} in full), ${seen} views, ${audits} axe audits, ${stops} stops of the keyboard, ${forms} forms sent in ${Math.round((Date.now() - began) / 1000)} s: ${failures.length} failures`);
for (const failure of [...new Set(failures)].slice(0, 60)) console.log("FAIL", failure);
process.exit(failures.length ? 1 : 0);
