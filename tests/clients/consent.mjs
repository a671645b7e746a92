// Decides about an authorization request in Chromium as a person does: signs in, chooses a preset, presses the button, and is sent on
// to the client's own address. The argument is the URL that the client opens.
// CLIENTS is where setup put Playwright. CONSENT_EMAIL and CONSENT_PASSWORD sign in; CONSENT_PRESET is read, standard (unless given) or
// full. In CONSENT_FOLDER what was seen is added to seen.jsonl, a line per request; where a file `deny` is there, the answer is no.
import { appendFileSync, existsSync } from "node:fs";
import { launch, signIn } from "./chromium.mjs";

const { CONSENT_EMAIL, CONSENT_PASSWORD, CONSENT_PRESET = "standard", CONSENT_FOLDER } = process.env;
const asked = new URL(process.argv[2]);
const seen = { asked: Object.fromEntries(asked.searchParams) };
const deny = existsSync(`${CONSENT_FOLDER}/deny`);
// The code goes to the client alone.
const bare = (url) => url.split("?")[0];
let browser;
try {
  browser = await launch();
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  await page.goto(asked.href);
  await signIn(page, CONSENT_EMAIL, CONSENT_PASSWORD);
  const allow = page.getByRole("button", { name: /^Allow/ });
  await allow.waitFor();
  seen.title = await page.locator("h1").innerText();
  seen.facts = await page.locator("dl.facts").innerText();
  await page.locator(`input[name=preset][value=${CONSENT_PRESET}]`).check();
  await page.screenshot({ path: `${CONSENT_FOLDER}/consent.png`, fullPage: true });
  // Whether the client still listens once it has the answer is its own affair: that the browser asks there is the end.
  const to = asked.searchParams.get("redirect_uri");
  const [back] = await Promise.all([
    page.waitForRequest((request) => request.isNavigationRequest() && bare(request.url()) === bare(to)),
    deny ? page.getByRole("button", { name: "Deny" }).click() : allow.click(),
  ]);
  const answer = new URL(back.url()).searchParams;
  seen.to = bare(back.url());
  seen.iss = answer.get("iss");
  seen.state = answer.get("state") === asked.searchParams.get("state");
  seen.got = answer.has("code") ? "code" : answer.get("error");
  const response = await back.response().catch(() => null);
  seen.status = response?.status() ?? null;
  await response?.finished().catch(() => null);
} catch (error) {
  seen.error = String(error);
  process.exitCode = 1;
} finally {
  appendFileSync(`${CONSENT_FOLDER}/seen.jsonl`, JSON.stringify(seen) + "\n");
  await browser?.close();
}
