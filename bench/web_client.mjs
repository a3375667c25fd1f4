/**
 * The web client in a browser, measured: `node web_client.mjs JSON` with url, chromium, username, password, visits.
 *
 * The last line that it writes is a JSON object of what it saw.
 */
import { FLAGS, chromium } from '../tests/e2e/browser.mjs';
import { answers, send, signIn } from '../tests/e2e/actions.mjs';

/** When the first content was painted, in milliseconds, by a browser that has nothing of the page yet. */
async function firstPaint(browser, url, storageState) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 860 }, storageState });
  const page = await context.newPage();
  await page.goto(url);
  const handle = await page.waitForFunction(
    () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
  );
  const paint = await handle.jsonValue();
  const scripts = await page.evaluate(() =>
    performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js')),
  );
  await context.close();
  return { paint, bytes: scripts.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) };
}

/** The moments of all frames until `end` resolves. */
async function frames(page, end) {
  await page.evaluate(() => {
    window.frames_ = [];
    const note = (now) => {
      window.frames_.push(now);
      window.frame_ = requestAnimationFrame(note);
    };
    window.frame_ = requestAnimationFrame(note);
  });
  await end();
  return page.evaluate(() => {
    cancelAnimationFrame(window.frame_);
    return window.frames_;
  });
}

const details = JSON.parse(process.argv[2]);
const browser = await chromium.launch({ executablePath: details.chromium, args: FLAGS });
const report = { bare: [], signedOut: [], signedIn: [] };
const context = await browser.newContext({ viewport: { width: 1400, height: 860 } });
const page = await context.newPage();
await page.goto(details.url);
await signIn(page, details);
report.idleFrames = await frames(page, () => page.waitForTimeout(3000));
report.frames = {};
for (const shape of details.shapes) {
  report.frames[shape] = await frames(page, async () => {
    await send(page, `Go on: ${shape}`);
    await answers(page).filter({ hasText: `The end of ${shape}` }).waitFor({ timeout: 120_000 });
  });
  await page.locator('.live').waitFor({ state: 'detached' });
}
const signedIn = await context.storageState();
await context.close();
// In turns: what else the machine does meets all of them alike.
for (let visit = 0; visit < details.visits; visit += 1) {
  report.bare.push(await firstPaint(browser, `${details.url}/health`));
  report.signedOut.push(await firstPaint(browser, details.url));
  report.signedIn.push(await firstPaint(browser, details.url, signedIn));
}
await browser.close();
console.log(JSON.stringify(report));
process.exit(0);
