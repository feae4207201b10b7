// Debian's Chromium, and what people do in it.

import { chromium } from "playwright-core";

import { atEnd } from "./cleanup.mjs";

/** A browser of its own, with a fresh profile. */
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
      // Whatever asks for another machine fails at once, with or without a network.
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost , EXCLUDE *.localhost",
    ],
    // People's browsers have it, and it is what the back button shows.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  atEnd(() => browser.close());
  return browser;
}

/** A person at a browser of their own: cookies, cache and history apart from others'. */
export async function person(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  return context;
}

/** On the stand-in: picks `username`, ticks `orgs`, agrees. */
export async function signInAs(page, username, { orgs = ["acme"] } = {}) {
  await page.locator(`button[name=username][value=${username}]`).click();
  await page.locator("#authorize").waitFor();
  for (const org of orgs) await page.locator(`input[name=org][data-org=${org}]`).check();
  await page.locator("#authorize").click();
}

/** Everything a page says, as one text. */
export const text = page => page.locator("body").innerText();
