// Debian's Chromium, and what people do in it.

import { chromium } from "playwright-core";

import { atEnd } from "./cleanup.mjs";

/** A browser with a fresh profile. */
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // Requests to other machines fail immediately, with or without a network.
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost , EXCLUDE *.localhost",
    ],
    // Enabled in ordinary browsers; it affects the back button.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  atEnd(() => browser.close());
  return browser;
}

/** A person with their own browser context: cookies, cache and history. */
export async function person(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  return context;
}

/** At the stand-in: picks `username`, grants `orgs`, consents. */
export async function signInAs(page, username, { orgs = ["acme"] } = {}) {
  await page.locator(`button[name=username][value=${username}]`).click();
  await page.locator("#authorize").waitFor();
  for (const org of orgs) await page.locator(`input[name=org][data-org=${org}]`).check();
  await page.locator("#authorize").click();
}

/** The whole text of a page. */
export const text = page => page.locator("body").innerText();
