// Invites in Chromium. The arguments are what is done, then an e-mail address and a password:
//   make URL … CHOICE     an administrator makes an invite; CHOICE is JSON: label, role, and instances and categories to tick
//   accept LINK … [NEW]   who got the link opens it without being signed in, signs in, with NEW sets a password of their own, and joins
//   try LINK …            the same of who cannot join: the link is opened before signing in and after
//   vouch URL … LABEL     an administrator vouches for an invite
import { person, signIn } from "./chromium.mjs";

const [what, url, email, password, more] = process.argv.slice(2);
const main = (page) => page.locator("main").innerText();
const list = async (page) => {
  await page.goto(`${url}/sign-in`);
  await signIn(page, email, password);
  await page.getByRole("navigation").getByRole("link", { name: "Invites" }).click();
};

await person(async (page, seen, context) => {
  if (what === "make") {
    const { label, role, instances, categories } = JSON.parse(more);
    await list(page);
    await page.getByLabel("Name", { exact: true }).fill(label);
    await page.getByLabel(role, { exact: true }).check();
    await page.getByLabel("Custom", { exact: true }).check();
    for (const name of instances) await page.getByRole("checkbox", { name: new RegExp(`^${name} `) }).check();
    for (const name of categories) await page.getByLabel(name, { exact: true }).check();
    await page.getByRole("button", { name: "Make the invite" }).click();
    await page.getByRole("heading", { name: "Send this link" }).waitFor();
    seen.link = await page.locator(".secret code").innerText();
    seen.gives = await main(page);
    // Shown once.
    await page.getByRole("link", { name: "Back to the invites" }).click();
    seen.again = (await page.content()).includes("/oauth/invite/");
  }
  if (what === "accept") {
    await page.goto(url);
    seen.offer = await main(page);
    await page.getByRole("link", { name: "Sign in to accept" }).click();
    await signIn(page, email, password);
    await page.getByRole("button", { name: /^Join/ }).waitFor();
    if (more) {
      const account = await context.newPage();
      await account.goto(new URL("/account", url).href);
      await account.getByLabel("Current password").fill(password);
      await account.getByLabel("New password").fill(more);
      await account.getByRole("button", { name: "Change password" }).click();
      seen.password = await account.getByRole("status").innerText();
      await account.close();
      // Another password is another session: the form from before would be refused as too old.
      await page.reload();
    }
    await page.getByRole("button", { name: /^Join/ }).click();
    await page.getByRole("heading", { name: /^You are in/ }).waitFor();
    [seen.key, seen.address] = await page.locator(".secret code").allInnerTexts();
    seen.done = await main(page);
    await page.goto(url);
    seen.again = await main(page);
  }
  if (what === "try") {
    await page.goto(url);
    seen.before = await main(page);
    seen.way = await page.getByRole("link", { name: "Sign in to accept" }).count();
    await page.goto(new URL("/sign-in", url).href);
    await signIn(page, email, password);
    await page.getByRole("heading", { name: "You are signed in" }).waitFor();
    const answer = await page.goto(url);
    seen.status = answer.status();
    seen.after = await main(page);
    seen.buttons = await page.locator("main button").count();
  }
  if (what === "vouch") {
    await list(page);
    const card = page.locator("section.card").filter({ has: page.getByRole("heading", { name: more }) });
    seen.before = await card.innerText();
    await card.getByRole("button", { name: "Vouch" }).click();
    seen.notice = await page.getByRole("status").innerText();
    seen.after = await card.innerText();
  }
});
