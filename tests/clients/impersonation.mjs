// Opens a one-time link in Chromium as a person does: signs in, presses the button, works in Odoo, leaves by Odoo's own menu.
// Arguments: link, e-mail, password. Prints what it saw as one line of JSON.
import { launch, signIn } from "./chromium.mjs";

const [link, email, password] = process.argv.slice(2);
const browser = await launch();
const seen = {};
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  const sockets = [];
  page.on("websocket", (socket) => {
    const one = { url: socket.url(), frames: 0, broken: false };
    sockets.push(one);
    socket.on("framesent", () => one.frames++);
    socket.on("socketerror", () => (one.broken = true));
  });
  await page.goto(link);
  await signIn(page, email, password);
  await page.getByRole("button", { name: /Open as/ }).click();
  await page.locator(".o_web_client .o_main_navbar").waitFor();
  seen.url = page.url();
  seen.uid = await page.evaluate(async () => {
    const response = await fetch("/web/session/get_session_info", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", method: "call", params: {} }),
    });
    return (await response.json()).result.uid;
  });
  // Odoo's own cookies and ocore's are out of reach of its scripts.
  seen.cookies = await page.evaluate(() => document.cookie);
  if (/session_id|ocore/.test(seen.cookies)) throw new Error("a script reads " + seen.cookies);
  // 16 and later keep a WebSocket open, in a worker of its own: ask for one from the page.
  seen.websocket = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const socket = new WebSocket(location.origin.replace("http", "ws") + "/websocket");
        window.ended = new Promise((closed) => (socket.onclose = () => closed("closed")));
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("none");
        setTimeout(() => resolve("silent"), 10000);
      }),
  );
  const second = await context.newPage();
  await second.goto(link);
  seen.again = await second.locator("h1").innerText();
  // Leaving in one tab ends what the other holds open.
  await second.goto(new URL("/web/session/logout", page.url()).href);
  seen.left = await second.locator("h1").innerText();
  seen.ended = await page.evaluate(() => Promise.race([window.ended, new Promise((late) => setTimeout(() => late("still open"), 15000))]));
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
