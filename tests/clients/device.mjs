// Approves a device code in Chromium as the person does who held a telephone before the QR code of a terminal: opens the address, signs
// in, compares the code, lets it in with everything. Arguments: address, e-mail, password, the code that the terminal shows.
import { person, signIn } from "./chromium.mjs";

const [address, email, password, code] = process.argv.slice(2);
await person(async (page, seen) => {
  await page.goto(address);
  await signIn(page, email, password);
  const typed = page.getByRole("textbox", { name: "Code" });
  seen.typed = await typed.inputValue();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator(".big-code", { hasText: code }).waitFor();
  seen.asks = await page.locator("dl.facts").innerText();
  await page.getByRole("button", { name: "It is mine, continue" }).click();
  seen.title = await page.locator("h1").innerText();
  await page.getByLabel("Full", { exact: true }).check();
  await page.getByRole("button", { name: /^Allow/ }).click();
  await page.getByText("Go back to your terminal").waitFor();
  seen.end = await page.locator("h1").innerText();
});
