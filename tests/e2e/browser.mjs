/** A headless browser that keeps to one origin and notes whatever a strict page must not do. */
import { chromium } from 'playwright-core';

export { chromium };

export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Run `act(page, report)` on a fresh profile and give the report: what was noted, and what `act` added. */
export async function browse(url, executablePath, act) {
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const context = await browser.newContext({ viewport: { width: 1400, height: 860 } });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const report = { violations: [], foreign: [], errors: [] };
    await watch(context, page, new URL(url), report);
    await page.goto(url);
    try {
      await act(page, report);
    } catch (error) {
      error.stack += `\n${JSON.stringify(report)}\n${await page.locator('body').innerText()}`;
      throw error;
    }
    await shot(page, 'end');
    return report;
  } finally {
    await browser.close();
  }
}

/** Save a picture where SCREENSHOTS names a prefix for them. */
export async function shot(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}${name}.png` });
}

async function watch(context, page, { host, origin }, report) {
  await context.route('**/*', (route) => {
    const url = route.request().url();
    if (url.startsWith(origin) || url.startsWith('data:') || url.startsWith('blob:')) return route.continue();
    report.foreign.push(url);
    return route.abort();
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== host) report.foreign.push(socket.url());
  });
  await context.exposeBinding('noteViolation', (_source, violation) => report.violations.push(violation));
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      window.noteViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  page.on('pageerror', (error) => report.errors.push(String(error)));
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) report.violations.push(message.text());
  });
}
