// Chromium for the scripts beside this one. CLIENTS is the folder where setup put Playwright.
import { createRequire } from "node:module";
const { chromium } = createRequire(`${process.env.CLIENTS}/browser/`)("playwright-core");

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });

// On the sign-in page, signs in as a person does.
export const signIn = async (page, email, password) => {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
};

// Does what a person does in Chromium and prints what was seen, a line of JSON, also when it did not end well.
export const person = async (acts) => {
  const seen = {};
  const browser = await launch();
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(60000);
    await acts(page, seen, context);
  } catch (error) {
    seen.error = String(error);
    process.exitCode = 1;
  } finally {
    console.log(JSON.stringify(seen));
    await browser.close();
  }
};
