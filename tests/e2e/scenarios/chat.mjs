/** Asking, reading, coming back, finding again. */
import { account, answered, answers, box, list, menu, pane, send, signIn, tell } from '../actions.mjs';
import { shot } from '../browser.mjs';

export const CHAT = {
  async first(page, report, { username, password }) {
    await shot(page, 'sign-in');
    await page.getByRole('heading', { name: 'Create the first account' }).waitFor();
    await page.getByLabel('Username').fill(username);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByText('What would you like to ask?').waitFor();
    await shot(page, 'empty');
    await send(page, 'Why is the sky blue?');
    await answers(page).filter({ hasText: 'Because' }).waitFor();
    report.title = await page.title();
    await tell('streaming');
    await answered(page, 'of light.');
    await shot(page, 'answered');
    report.answer = await answers(page).locator('.prose').innerHTML();
    await page.reload();
    await answered(page, 'of light.');
    await account(page);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    report.kept = await page.evaluate(() => ({ ...localStorage }));
  },

  /** With models that do what they will: asked in English, found in German. */
  async real(page, report, { username, password }) {
    await page.getByRole('heading', { name: 'Create the first account' }).waitFor();
    await page.getByLabel('Username').fill(username);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Create account' }).click();
    await send(page, 'What is the capital of France?');
    await answers(page).locator('.prose').filter({ hasText: /\w/ }).waitFor({ timeout: 90_000 });
    await page.locator('.live').waitFor({ state: 'detached', timeout: 90_000 });
    report.answer = await answers(page).locator('.prose').innerText();
    await shot(page, 'real');
    const hit = page.locator('.hits h2');
    await page.keyboard.press('Control+k');
    // The index takes a moment, and its model another one to be there.
    for (let attempt = 0; attempt < 60 && (await hit.count()) === 0; attempt += 1) {
      await page.getByRole('searchbox').fill('');
      await page.getByRole('searchbox').fill('Hauptstadt Frankreichs');
      await page.locator('.hits').filter({ hasNotText: 'Searching' }).waitFor();
      await page.waitForTimeout(500);
    }
    report.found = await hit.first().innerText();
  },

  async refused(page, report, { username }) {
    await page.getByLabel('Username').fill(username);
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    report.problem = await page.getByRole('alert').innerText();
    await shot(page, 'refused');
  },

  async comeBack(page, report, user) {
    await signIn(page, user);
    await send(page, 'Tell me');
    await answers(page).filter({ hasText: 'Some' }).waitFor();
    const other = await page.context().newPage();
    await other.goto(page.url());
    await answers(other).filter({ hasText: 'Some' }).waitFor();
    await page.reload();
    await answers(page).filter({ hasText: 'Some' }).waitFor();
    await tell('reloaded');
    for (const each of [page, other]) await answered(each, 'Some more');
    report.texts = await Promise.all([page, other].map((each) => answers(each).locator('.prose').innerText()));
    await send(other, 'And then?');
    await page.getByText('And then?', { exact: true }).waitFor();
    for (const each of [page, other]) await answered(each, 'Nothing');
    report.order = await page.locator('.message').evaluateAll((all) => all.map((each) => each.querySelector('p').innerText));
  },

  async stop(page, report, user) {
    await signIn(page, user);
    await send(page, 'Tell me');
    await answers(page).filter({ hasText: 'Some' }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.locator('.live').waitFor({ state: 'detached' });
    report.text = await answers(page).locator('.prose').innerText();
    await page.getByRole('button', { name: 'Answer again' }).click();
    await answered(page, 'Better');
  },

  async tidy(page, report, user) {
    await signIn(page, user);
    await send(page, 'First');
    await page.keyboard.press('Enter');
    await answered(page, 'Yes.');
    await menu(page, 'First', 'Rename');
    await page.getByRole('textbox', { name: 'Rename' }).fill('Renamed');
    await page.keyboard.press('Enter');
    await list(page).getByRole('link', { name: 'Renamed' }).waitFor();
    await menu(page, 'Renamed', 'Delete');
    await list(page).getByRole('link', { name: 'Renamed' }).waitFor({ state: 'detached' });
    await shot(page, 'deleted');
    report.where = new URL(page.url()).pathname;
    await send(page, 'Renamed');
    await answered(page, 'Yes.');
    await menu(page, 'Renamed', 'Delete');
    await page.getByRole('button', { name: 'Undo' }).nth(1).waitFor();
    await page.getByRole('button', { name: 'Undo' }).first().click();
    await list(page).getByRole('link', { name: 'Renamed' }).click();
    await page.getByText('First', { exact: true }).waitFor();
    await answered(page, 'Yes.');
  },

  async markup(page, report, { text, ...user }) {
    await signIn(page, user);
    await send(page, text);
    await answered(page, 'The end');
    await page.locator('math').first().waitFor({ state: 'attached' });
    await page.locator('.hljs').first().waitFor();
    report.html = await answers(page).locator('.prose').innerHTML();
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const copied = async (name) => {
      const button = answers(page).getByRole('button', { name, exact: true });
      await button.click();
      await button.waitFor({ state: 'detached' }); // it says "Copied" for a while
      return page.evaluate(() => navigator.clipboard.readText());
    };
    report.code = await copied('Copy');
    report.whole = await copied('Copy the text');
    await shot(page, 'markup');
    await page.setViewportSize({ width: 390, height: 800 });
    await shot(page, 'phone');
    await page.getByRole('button', { name: 'Show the list of chats' }).click();
    await list(page).getByRole('link', { name: 'New chat' }).waitFor();
    await page.waitForTimeout(300);
    await shot(page, 'phone-list');
  },

  async search(page, report, { word, ...user }) {
    await signIn(page, user);
    await page.keyboard.press('Control+k');
    await page.keyboard.type(word);
    const hits = page.locator('.hits');
    await hits.locator('mark').first().waitFor();
    await shot(page, 'hits');
    const model = page.locator('.search').getByLabel('Model');
    await model.selectOption('another');
    await hits.getByText('Nothing was found.').waitFor();
    await model.selectOption('');
    await hits.locator('mark').first().waitFor();
    report.marked = await hits.locator('mark').allInnerTexts();
    await hits.getByRole('link').first().click();
    await page.locator('.message.target').waitFor();
    report.target = await page.locator('.message.target .own-text').innerText();
    await page.waitForFunction(() => {
      const { top, bottom } = document.querySelector('.message.target').getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
    await shot(page, 'found');
    const read = async (direction, text) => {
      while ((await pane(page).getByText(text, { exact: true }).count()) === 0) {
        await pane(page).evaluate((element, to) => element.scrollTo(0, to < 0 ? 0 : element.scrollHeight), direction);
        await page.waitForTimeout(50);
      }
    };
    await read(-1, 'Question 0');
    await read(1, 'Question 44');
    await page.reload();
    await page.locator('.message.target').waitFor();
    await page.getByRole('button', { name: 'To the newest message' }).click();
    await pane(page).getByText('Answer 44', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Regular expression' }).click();
    await page.getByRole('searchbox').fill(`${word.slice(0, 5)}\\w+`);
    await hits.locator('mark', { hasText: word }).first().waitFor();
    await page.getByRole('searchbox').fill('(');
    report.problem = await hits.locator('.problem').innerText();
    await page.keyboard.press('Escape');
    await list(page).getByRole('link', { name: 'A long one' }).waitFor();
  },

  async away(page, report, user) {
    await signIn(page, user);
    await send(page, 'Tell me');
    await answers(page).filter({ hasText: 'Some' }).waitFor();
    await box(page).fill('Not sent yet');
    await tell('connected');
    await page.getByText('The server cannot be reached.').first().waitFor();
    await shot(page, 'away');
    await page.keyboard.press('Enter');
    report.draft = await box(page).inputValue();
    await tell('away');
    await answered(page, 'Some more');
    report.text = await answers(page).locator('.prose').innerText();
    await page.getByText('The server cannot be reached. What').waitFor({ state: 'detached' });
    await page.keyboard.press('Enter');
    await answered(page, 'Second');
    report.left = await box(page).inputValue();
  },

  async payloads(page, report, user) {
    await page.exposeFunction('executed', (what) => report.errors.push(`executed: ${what}`));
    await page.addInitScript(() => {
      window.alert = window.prompt = window.confirm = (what) => window.executed(String(what));
    });
    await page.reload();
    await signIn(page, user);
    await send(page, 'Attack');
    await answered(page, 'The last one');
    for (const link of await answers(page).locator('a').all()) {
      const address = await link.getAttribute('href');
      if (address !== null && !/^(https?|mailto):/i.test(address)) report.errors.push(`link: ${address}`);
    }
    report.elements = await answers(page)
      .locator('.prose')
      .evaluate((root) => [...new Set([...root.querySelectorAll('*')].map((element) => element.tagName.toLowerCase()))]);
    report.handlers = await answers(page)
      .locator('.prose')
      .evaluate((root) =>
        [...root.querySelectorAll('*')].flatMap((element) =>
          element.getAttributeNames().filter((name) => name.startsWith('on') || name === 'style' || name === 'srcdoc'),
        ),
      );
  },
};
