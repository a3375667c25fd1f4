/**
 * What people do in the playground: `node playground.mjs SCENARIO JSON` prints a line of JSON per step that the
 * test waits for, and the browser's report last. The test answers each step by a line.
 */
import { tell } from './actions.mjs';
import { browse, shot } from './browser.mjs';

async function ready(page) {
  await page.locator('.graphiql-query-editor .view-lines').waitFor();
}

async function signIn(page, { username, password }) {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

async function signedIn(page, { username }) {
  await page.getByText(`Signed in as ${username}`).waitFor();
}

/** Open an example's tab and run it; the answer must hold `expected`. */
async function run(page, tab, expected) {
  await page.getByRole('tab', { name: tab, exact: true }).click();
  await page.getByRole('button', { name: /^Execute query/ }).click();
  if (expected) await page.locator('.result-window').getByText(expected).first().waitFor();
}

/** The sentence under the bar, once there is one. */
async function notice(page) {
  await page.locator('#notice:not([hidden])').waitFor();
  return page.locator('#notice').innerText();
}

const rows = (page) =>
  page.locator('.events summary').evaluateAll((summaries) =>
    summaries.map((summary) => Object.fromEntries(
      [['time', 'time'], ['type', 'b'], ['brief', 'code']].map(([name, tag]) => [name, summary.querySelector(tag).textContent]),
    )),
  );

/** What the page keeps, and where. */
const kept = (page) => page.evaluate(() => ({ local: { ...localStorage }, session: { ...sessionStorage }, cookies: document.cookie }));

const SCENARIOS = {
  async stream(page, report, { transport, ...user }) {
    await ready(page);
    report.tabs = await page.getByRole('tab').allInnerTexts();
    await shot(page, 'opened');
    await signIn(page, user);
    await signedIn(page, user);
    await page.getByLabel('over').selectOption(transport);
    await run(page, 'Threads', '"totalCount"');
    await run(page, 'CreateThread', '"CreateThreadSuccess"');
    await run(page, 'SendMessage', '"SendMessageSuccess"');
    await shot(page, 'sent');
    await run(page, 'RunEvents');
    await page.locator('.events').getByText('RunDelta').first().waitFor();
    report.early = await rows(page);
    await shot(page, 'streaming');
    await tell('streaming');
    await page.locator('.events[data-state=complete]').waitFor();
    report.rows = await rows(page);
    report.kept = await kept(page);
  },

  async stop(page, report, user) {
    await ready(page);
    await signIn(page, user);
    await signedIn(page, user);
    await run(page, 'ThreadsChanged');
    await page.locator('.events').getByText('ThreadsCaughtUp').waitFor();
    await tell('subscribed');
    await page.locator('.events').getByText('ThreadUpdated').waitFor();
    await page.getByRole('button', { name: /^Stop query/ }).click();
    await page.locator('.events[data-state=stopped]').waitFor();
    report.rows = await rows(page);
  },

  async firstAccount(page, report, user) {
    await ready(page);
    await page.getByRole('button', { name: 'Create the first account' }).click();
    await shot(page, 'first-account');
    await signIn(page, user);
    await signedIn(page, user);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Create the first account' }).click();
    await signIn(page, { ...user, username: 'another' });
    report.notice = await notice(page);
  },

  async inAndOut(page, report, user) {
    await ready(page);
    await signIn(page, { ...user, password: 'wrong' });
    report.refusal = await notice(page);
    await shot(page, 'refused');
    report.keptOfRefused = await kept(page);
    await signIn(page, user);
    await signedIn(page, user);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Username').waitFor();
    await run(page, 'Threads', 'UNAUTHENTICATED');
    await run(page, 'SignIn', '"InvalidCredentials"');
    report.kept = await kept(page);
  },

  async renewal(page, report, user) {
    report.renewals = 0;
    page.on('request', (request) => {
      if (request.postData()?.includes('mutation PlaygroundRefresh')) report.renewals += 1;
    });
    await ready(page);
    await signIn(page, user);
    await signedIn(page, user);
    const before = await grow(page);
    await page.reload();
    await ready(page);
    await run(page, 'Threads', '"totalCount"');
    const after = await page.evaluate(() => JSON.parse(sessionStorage.getItem('gwp-chat:session')));
    report.renewed = after.renewAt > before.renewAt;
  },

  async ended(page, report, user) {
    await ready(page);
    await signIn(page, user);
    await signedIn(page, user);
    await run(page, 'ThreadsChanged');
    await page.locator('.events').getByText('ThreadsCaughtUp').waitFor();
    await tell('subscribed');
    report.notice = await notice(page);
    report.rows = await rows(page);
    report.kept = await kept(page);
  },

  async offend(page) {
    await ready(page);
    // The browser tells of a violation in a task of its own, which leaving the page would forestall.
    await page.evaluate(() => new Promise((resolve) => {
      const awaited = new Set(['script-src-elem', 'img-src']);
      setTimeout(resolve, 10_000); // then the test says which one did not come
      addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
        awaited.delete(effectiveDirective);
        if (!awaited.size) resolve();
      });
      const script = document.createElement('script');
      script.textContent = 'window.offended = true';
      const image = new Image();
      image.src = 'https://elsewhere.example/pixel.png';
      document.body.append(script, image);
    }));
    await fetchElsewhere(page);
  },
};

/** Half the life of the kept token is over: what a person sees who comes back after a while. */
function grow(page) {
  return page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem('gwp-chat:session'));
    session.renewAt = Date.now() - 1;
    sessionStorage.setItem('gwp-chat:session', JSON.stringify(session));
    return session;
  });
}

/** The page's policy stops requests before they are made; opening another page does not fall under it. */
async function fetchElsewhere(page) {
  await page.goto('https://elsewhere.example/').catch(() => undefined);
}

const [scenario, given] = process.argv.slice(2);
const { url, chromium, ...details } = JSON.parse(given);
const report = await browse(url, chromium, (page, notes) => SCENARIOS[scenario](page, notes, details));
console.log(JSON.stringify({ report }));
process.exit(0);
