// Every task of the pages in Chromium by the keyboard alone, on a screen 360 px wide: Tab and Shift+Tab, Enter, Space, arrows, letters.
// Arguments: a part and what it needs, as JSON (see each part). Prints what was seen; `faults` has each stop whose focus cannot be seen, each
// page that scrolls sideways, and each message on the console. With SHOTS=FOLDER pictures are kept, narrow and wide, light and dark.
import { createHmac } from "node:crypto";
import { mkdirSync } from "node:fs";
import { person } from "./chromium.mjs";

const [part, given] = [process.argv[2], JSON.parse(process.argv[3])];
const { SHOTS } = process.env;
if (SHOTS) mkdirSync(SHOTS, { recursive: true });
const NARROW = { width: 360, height: 740 };
const CALLBACK = "http://127.0.0.1:7777/callback";

// RFC 6238 with the usual 6 digits and 30 seconds.
const oneTimeCode = (secret) => {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((eight) => parseInt(eight, 2)));
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const hash = createHmac("sha1", key).update(time).digest();
  return String((hash.readUInt32BE(hash.at(-1) & 15) & 0x7fffffff) % 1000000).padStart(6, "0");
};

// A person who has a keyboard and no mouse.
const keys = (page, seen) => {
  seen.faults = [];
  seen.stops = 0;
  page.on("console", (message) => { if (message.type() === "error" && !/status of (4|5)\d\d/.test(message.text())) seen.faults.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => seen.faults.push(`script: ${error}`));
  const button = (name) => page.getByRole("button", { name, exact: true });
  const link = (name) => page.getByRole("link", { name, exact: true });
  const field = (name) => page.getByLabel(name, { exact: true });

  // Whether a person sees where the focus is.
  const look = async () => {
    seen.stops += 1;
    const fault = await page.evaluate(() => {
      const one = document.activeElement;
      if (!one || one === document.body) return null;
      const [style, box] = [getComputedStyle(one), one.getBoundingClientRect()];
      const what = `${document.title}: ${one.outerHTML.slice(0, 120)}`;
      if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return `no ring: ${what}`;
      if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) return `out of sight: ${what}`;
      const at = document.elementFromPoint(Math.min(Math.max(box.left + box.width / 2, 1), innerWidth - 1), Math.min(Math.max(box.top + box.height / 2, 1), innerHeight - 1));
      return at && (one.contains(at) || at.contains(one)) ? null : `covered: ${what}`;
    });
    if (fault && !seen.faults.includes(fault)) seen.faults.push(fault);
  };
  const isFocused = (target) => target.evaluate((one) => one === document.activeElement);
  const reach = async (target) => {
    await target.waitFor();
    for (let presses = 0; presses < 200; presses += 1) {
      if (await isFocused(target)) return;
      await page.keyboard.press("Tab");
      await look();
    }
    throw new Error(`Tab does not reach ${target} on ${page.url()}`);
  };
  const press = async (target, key = "Enter") => {
    await reach(target);
    await page.keyboard.press(key);
  };
  const type = async (target, text) => {
    await reach(target);
    await page.keyboard.press("Control+A");
    await page.keyboard.type(text);
  };
  const tick = async (target) => {
    if (await target.isChecked()) throw new Error(`it is ticked: ${target}`);
    await press(target, "Space");
    if (!(await target.isChecked())) throw new Error(`Space does not tick ${target}`);
  };
  // Tab goes to the one that is chosen, arrows to the others.
  const choose = async (radio) => {
    const group = await radio.getAttribute("name");
    await reach(page.locator(`input[type=radio][name="${group}"]:checked`));
    for (let presses = 0; presses < 10 && !(await radio.isChecked()); presses += 1) {
      await page.keyboard.press("ArrowDown");
      await look();
    }
    if (!(await radio.isChecked())) throw new Error(`arrows do not reach ${radio}`);
  };
  // The page says it, and fits the screen.
  const says = async (text) => {
    await page.getByText(text).and(page.locator(":visible")).first().waitFor();
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) seen.faults.push(`scrolls sideways by ${over} px: ${await page.title()}`);
  };
  const title = async (text) => {
    await page.getByRole("heading", { level: 1, name: text }).waitFor();
    await says(text);
  };
  // A form that was refused: the list of mistakes has the focus, and its link leads to the field.
  const mistakes = async (text, id) => {
    await says(text);
    await page.locator(".mistakes:focus").waitFor();
    if (!/^Error/.test(await page.title())) seen.faults.push(`the title does not tell of the mistake: ${await page.title()}`);
    if (!id) return;
    await press(page.locator(`.mistakes a[href="#${id}"]`).first());
    if (!(await isFocused(page.locator(`#${id}`)))) seen.faults.push(`the link of a mistake does not lead to ${id}`);
    await look();
  };
  const shot = async (name) => {
    if (!SHOTS) return;
    for (const width of [360, 1280]) for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height: 740 });
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.screenshot({ path: `${SHOTS}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    }
    await page.setViewportSize(NARROW);
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  };
  const signIn = async (email, password) => {
    await title("Sign in");
    await type(field("E-mail"), email);
    await type(field("Password"), password);
    await page.keyboard.press("Enter");
  };
  return { button, link, field, reach, press, type, tick, choose, says, title, mistakes, shot, signIn };
};

const parts = {
  // {link, email, password}: the first run, a second step, out and in again. Tells the recovery codes that are left.
  async "set-up"(page, seen) {
    const { button, link, field, press, type, says, title, mistakes, shot, signIn } = keys(page, seen);
    await page.goto(given.link);
    await title("Set up ocore");
    await shot("set-up");
    await type(field("E-mail"), given.email);
    await type(field("Password"), "short");
    await press(button("Create user and organization"), "Space");
    await shot("set-up-mistakes");
    await mistakes("fewer than 12 characters", "password");
    await page.keyboard.type(given.password);
    await type(field("Organization"), "Acme");
    await page.keyboard.press("Enter");
    await title("You are signed in");
    await shot("home");

    await press(link("My account"));
    await title("My account");
    await shot("account");
    await press(link("Set up the second step"));
    await title("Set up the second step");
    await shot("second-step-set-up");
    const secret = (await page.locator(".secret code").innerText()).replaceAll(" ", "");
    await type(field("6-digit code"), "12");
    await type(field("Your password"), given.password);
    await page.keyboard.press("Enter");
    await shot("second-step-set-up-mistakes");
    await mistakes("This code is not right", "code");
    await page.keyboard.type(oneTimeCode(secret));
    await type(field("Your password"), given.password);
    await press(button("Turn on"));
    await title("Your recovery codes");
    await says("The second step is on.");
    await shot("recovery-codes");
    const codes = await page.locator(".codes code").allInnerTexts();
    await press(link("I have kept them"));
    await says("Recovery codes left");
    await shot("account-second-step");

    await press(button("Sign out"));
    await title("You are signed out");
    await shot("signed-out");
    await press(link("Sign in again"));
    await title("Sign in");
    await shot("sign-in");
    await signIn(given.email, "wrong");
    await shot("sign-in-refused");
    await mistakes("do not belong together");
    await signIn(given.email, given.password);
    await title("Enter your code");
    await shot("second-step");
    await type(field("Code"), "000000");
    await page.keyboard.press("Enter");
    await shot("second-step-mistakes");
    await mistakes("This code is not right", "code");
    await page.keyboard.type(codes.shift());
    await page.keyboard.press("Enter");
    await title("You are signed in");
    seen.codes = codes;
  },

  // {url, email, password, codes}: what an administrator of two organizations does. Tells the link of the invite that was made.
  async work(page, seen, context) {
    const { button, link, field, reach, press, type, tick, choose, says, title, mistakes, shot, signIn } = keys(page, seen);
    const { url, codes } = given;
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const come = async (on) => {
      await on.signIn(given.email, given.password);
      await on.title("Enter your code");
      await on.type(on.field("Code"), codes.shift());
      await on.page.keyboard.press("Enter");
    };
    await page.goto(`${url}/organizations`);
    await come({ page, signIn, title, type, field });
    await title("Choose an organization");
    await shot("organizations");
    await press(page.getByRole("button", { name: /^Acme/ }), "Space");
    await title("You are signed in");
    await shot("home-organization");

    await press(page.getByRole("navigation").getByRole("link", { name: "Invites" }));
    await title("Invites");
    await shot("invites-first");
    await press(button("Make the invite"));
    await mistakes("Enter a name of up to 100 characters", "label");
    await shot("invites-mistakes");
    await page.keyboard.type("Newcomer");
    await choose(field("Member"));
    await choose(field("Custom"));
    await tick(page.getByRole("checkbox", { name: /^dev/ }));
    await tick(field("Records"));
    await press(button("Update the summary"));
    await says("Who accepts it, for Acme, may read records on dev");
    await shot("invites-custom");
    await press(button("Make the invite"));
    await title("Send this link");
    await shot("invite-made");
    seen.link = await page.locator(".secret code").innerText();
    await press(page.getByRole("button", { name: /^Copy/ }));
    await says("Copied");
    seen.copied = (await page.evaluate(() => navigator.clipboard.readText())) === seen.link;
    await press(link("Back to the invites"));
    await title("Invites");
    await shot("invites");
    await press(page.locator("summary").filter({ hasText: "the invite Cleo" }));
    await shot("invites-revoke");
    await press(button("Revoke Cleo"));
    await says("The invite Cleo is revoked.");
    await shot("invites-revoked");

    const registered = await fetch(`${url}/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ client_name: "Claude", redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" }),
    });
    const { client_id } = await registered.json();
    const ask = (more) => `${url}/authorize?` + new URLSearchParams({ response_type: "code", client_id, redirect_uri: CALLBACK,
      state: "s", code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", code_challenge_method: "S256",
      scope: "read write destructive offline_access", resource: `${url}/mcp`, ...more });
    // A client works in one organization: which is chosen each time.
    const place = async (name) => {
      await title("Choose an organization");
      await says(`${name} will work in one organization`);
      await press(page.getByRole("button", { name: /^Acme/ }));
    };
    // Nobody listens there: the page that leads on stays.
    await page.route(`${CALLBACK}**`, (route) => route.abort("aborted"));
    await page.goto(ask({}));
    await shot("organizations-client");
    await place("Claude");
    await title("Let Claude use ocore?");
    await shot("consent");
    await choose(field("Custom"));
    await shot("consent-custom");
    // Each that is taken away may show others.
    const ticked = page.locator(".custom input[type=checkbox]:checked:visible");
    while ((await ticked.count()) > 0) await press(page.locator(`#${await ticked.first().getAttribute("id")}`), "Space");
    await press(button("Allow Claude"));
    await mistakes("Nothing is ticked");
    await shot("consent-mistakes");
    await tick(page.getByRole("checkbox", { name: /^dev/ }));
    const summary = page.locator("summary").filter({ hasText: "Records" });
    await press(summary, "Space");
    await tick(page.getByRole("checkbox", { name: /search_read/ }));
    await press(button("Update the summary"));
    await says(/^Claude, for .* may read records on dev/);
    await shot("consent-summary");
    await type(field("Name of the new key"), "Claude on my laptop");
    await press(button("Allow Claude"));
    await title("Claude is connected");
    await shot("onward");
    await reach(page.getByRole("link", { name: "Continue to 127.0.0.1" }));
    await page.waitForTimeout(500);
    await page.goto(ask({}));
    await place("Claude");
    await press(button("Deny"));
    await title("Claude was not let in");
    await shot("onward-denied");
    await page.waitForTimeout(500);
    await page.goto(ask({ redirect_uri: "http://127.0.0.1:7777/other" }));
    await title("This request of an app cannot be answered");
    await shot("consent-broken");

    const device = async () => {
      const fields = new URLSearchParams({ client_id: "ocore-cli", scope: "read write offline_access" });
      return (await (await fetch(`${url}/device_authorization`, { method: "POST", body: fields })).json()).user_code;
    };
    await page.goto(`${url}/device`);
    await title("Connect a device");
    await shot("device");
    await type(field("Code"), "BBBB-BBBB");
    await page.keyboard.press("Enter");
    await shot("device-mistakes");
    await mistakes("No device is waiting with this code", "user_code");
    await type(field("Code"), (await device()).toLowerCase().replace("-", ""));
    await page.keyboard.press("Enter");
    await title("Is this your device?");
    await shot("device-confirm");
    await press(button("It is mine, continue"));
    await place("ocore command line");
    await title("Let ocore command line use ocore?");
    await shot("device-consent");
    await press(button("Allow ocore command line"));
    await title("ocore command line is connected");
    await shot("device-done");
    await page.goto(`${url}/device?user_code=${await device()}`);
    await press(button("Continue"));
    await press(button("Not mine"));
    await title("ocore command line was not connected");
    await shot("device-denied");

    await page.goto(`${url}/authorizations`);
    await title("Assistants");
    await shot("authorizations");
    await press(page.locator("summary").filter({ hasText: "Claude in Acme" }));
    await shot("authorizations-revoke");
    await press(button("Revoke Claude"));
    await says("It is revoked, and stops within 30 seconds");
    await shot("authorizations-revoked");

    const other = await (await context.browser().newContext({ viewport: NARROW })).newPage();
    await other.goto(`${url}/sessions`);
    const elsewhere = {};
    await come({ page: other, ...keys(other, elsewhere) });
    await other.getByRole("heading", { name: "Sessions" }).waitFor();
    seen.faults.push(...elsewhere.faults);
    await press(page.getByRole("navigation").getByRole("link", { name: "Sessions" }));
    await title("Sessions");
    await shot("sessions");
    await press(page.getByRole("button", { name: /^End the session/ }).first());
    await says("The session is ended.");
    await shot("sessions-ended");
    await other.reload();
    seen.ended = new URL(other.url()).pathname;

    await press(page.getByRole("navigation").getByRole("link", { name: "My account" }));
    await type(field("Current password"), "wrong");
    await type(field("New password"), "some quite other words");
    await press(button("Change password"));
    await shot("account-mistakes");
    await mistakes("This is not your password", "current");
    await page.keyboard.type(given.password);
    await type(field("New password"), "some quite other words");
    await press(button("Change password"));
    await says("Your password is changed");
    await shot("account-changed");
    await press(page.locator("summary").filter({ hasText: "Make new recovery codes" }));
    await type(page.locator("#confirm_codes"), "some quite other words");
    await page.keyboard.press("Enter");
    await title("Your recovery codes");

    await page.goto(`${url}/nothing`);
    await title("There is nothing here");
    await shot("problem-not-found");
    await press(link("Go to ocore"));
    await title("You are signed in");
    // Signed out elsewhere, this form is nobody's.
    await context.clearCookies();
    await press(button("Sign out"));
    await title("This form is too old");
    await shot("problem-stale");
  },

  // {link, email, password}: who got an invite, and is a member of another organization already.
  async newcomer(page, seen) {
    const { button, link, press, says, title, shot, signIn } = keys(page, seen);
    await page.goto(given.link);
    await title("You are invited to Acme");
    await shot("invite");
    await press(link("Sign in to accept"));
    await shot("invite-sign-in");
    await signIn(given.email, given.password);
    await title("You are invited to Acme");
    await shot("invite-signed-in");
    await press(button("Join Acme"));
    await title("You are in Acme");
    await shot("invite-done");
    seen.key = (await page.locator(".secret code").allInnerTexts())[0];
    await press(link("Go to ocore"));
    await title("You are signed in");
    await shot("home-two-organizations");
    await page.goto(given.link);
    await title("This invite was already used");
    await shot("invite-over");
    await page.goto(new URL("/oauth/invite/ocn_x", given.link).href);
    await title("There is no such invite");
    await shot("invite-unknown");
    await page.goto(new URL("/authorizations", given.link).href);
    await title("Assistants");
    await says("No assistant is connected yet");
    await shot("authorizations-empty");
    await page.goto(new URL("/invites", given.link).href);
    await title("You may not do this");
    await shot("problem-forbidden");
  },
};

await person(async (page, seen, context) => {
  await page.setViewportSize(NARROW);
  page.setDefaultTimeout(20000);
  await page.emulateMedia({ reducedMotion: "reduce" });
  await parts[part](page, seen, context);
});
