// A browser that fetches ahead: Chromium, signed in, shows a page of the same site that links to LINK and asks for it to be fetched and to be
// drawn in advance. The person then opens it in another tab, and BUTTON is there. Arguments: LINK, e-mail, password, BUTTON.
import { person, signIn } from "./chromium.mjs";

const [link, email, password, button] = process.argv.slice(2);
await person(async (page, seen, context) => {
  await page.goto(new URL("/sign-in", link).href);
  await signIn(page, email, password);
  await page.getByRole("heading", { name: "You are signed in" }).waitFor();
  const chat = new URL("/chat", link).href;
  const rules = JSON.stringify({
    prefetch: [{ source: "list", urls: [link], eagerness: "immediate" }],
    prerender: [{ source: "list", urls: [link], eagerness: "immediate" }],
  });
  const html = `<!doctype html><title>Chat</title><link rel="prefetch" href="${link}"><script type="speculationrules">${rules}</script>
    <a href="${link}">Look at this</a>`;
  await page.route(chat, (route) => route.fulfill({ contentType: "text/html", body: html }));
  // By what the browser itself tells of its network, which knows fetches that belong to no page.
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Preload.enable");
  const ahead = new Map();
  seen.ahead = [];
  seen.speculated = [];
  devtools.on("Network.requestWillBeSent", ({ requestId, request }) => { if (request.url === link) ahead.set(requestId, request); });
  devtools.on("Network.responseReceived", ({ requestId, response }) => { if (ahead.has(requestId)) seen.ahead.push(response.status); });
  devtools.on("Preload.prefetchStatusUpdated", ({ status }) => seen.speculated.push(`prefetch ${status}`));
  devtools.on("Preload.prerenderStatusUpdated", ({ status }) => seen.speculated.push(`prerender ${status}`));
  await page.goto(chat);
  await page.waitForTimeout(3000);
  const mine = await context.newPage();
  await mine.goto(link);
  seen.title = await mine.locator("h1").innerText();
  seen.button = await mine.getByRole("button", { name: button }).count();
});
