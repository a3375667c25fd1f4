/** How the page looks and speaks, to everybody: themes, languages, keys, screen readers; and what tabs share. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { account, answered, box, dialog, list, menu, send, signIn } from '../actions.mjs';
import { shot } from '../browser.mjs';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const GRAVE = new Set(['serious', 'critical']);

/** What axe finds that keeps people out, as one line each. */
async function faults(page, where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => GRAVE.has(impact))
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${where}: ${id}: ${html} ${failureSummary}`));
}

export const LOOKS = {
  async accessible(page, report, { theme, word, ...user }) {
    await page.evaluate((wanted) => localStorage.setItem('gwp-chat.theme', wanted), theme);
    await page.reload();
    const found = async (where) => {
      report.faults.push(...(await faults(page, where)));
      await shot(page, `${theme}-${where}`);
    };
    report.faults = [];
    await page.getByLabel('Username').waitFor();
    await found('sign-in');
    await signIn(page, user);
    await found('empty');
    await send(page, word);
    await answered(page, 'The end');
    await page.locator('.hljs').first().waitFor();
    await found('conversation');
    await send(page, 'Another');
    await page.getByRole('form', { name: 'Reply to the agent' }).waitFor();
    await found('form');
    await list(page).getByRole('button', { name: `Menu of ${word}` }).click();
    await found('chat-menu');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.keyboard.type(word);
    await page.locator('.hits mark').first().waitFor();
    await found('hits');
    await page.keyboard.press('Escape');
    await account(page);
    await found('account');
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
    await found('shortcuts');
    await page.keyboard.press('Escape');
    await account(page);
    await page.getByRole('link', { name: 'Administration' }).click();
    await page.getByRole('button', { name: `Edit ${user.username}` }).waitFor();
    await found('admin');
    await page.getByRole('button', { name: 'New user' }).click();
    await found('new-user');
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'Back to the chats' }).click();
    await page.setViewportSize({ width: 390, height: 800 });
    await found('phone');
  },

  /** As Vite serves it; the provider lists no models. */
  async developed(page, report, user) {
    await signIn(page, user);
    const models = page.getByRole('combobox', { name: 'Model' });
    await models.waitFor();
    report.models = await models.locator('option').allInnerTexts();
    await send(page, 'Is it?');
    await answered(page, 'Yes.');
    await models.selectOption('another');
    await send(page, 'And you?');
    await answered(page, 'Me too.');
    await page.reload();
    report.chosen = await models.inputValue();
  },

  async preferences(page, report, user) {
    await signIn(page, user);
    const colours = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    report.light = await colours();
    await account(page);
    await page.getByLabel('Theme').selectOption('dark');
    report.dark = await colours();
    await page.getByLabel('Language').selectOption('ru');
    await page.getByRole('link', { name: 'Новый чат' }).waitFor();
    await page.reload();
    await page.getByPlaceholder('Напишите сообщение…').waitFor();
    report.kept = await colours();
    report.language = await page.evaluate(() => document.documentElement.lang);
    await shot(page, 'russian');
  },

  async keyboard(page, report, user) {
    await signIn(page, user);
    await page.keyboard.press('Control+/');
    await dialog(page).getByText('Keyboard shortcuts').waitFor();
    await shot(page, 'shortcuts');
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'detached' });
    await send(page, 'Old one');
    await answered(page, 'Yes.');
    await menu(page, 'Old one', 'Rename');
    await page.keyboard.type('Named');
    await page.keyboard.press('Enter');
    await list(page).getByRole('link', { name: 'Named' }).waitFor();
    report.afterRename = await page.evaluate(() => document.activeElement.getAttribute('aria-label'));
    // As a Russian keyboard has it.
    await page.evaluate(() => dispatchEvent(new KeyboardEvent('keydown', { key: 'щ', code: 'KeyO', ctrlKey: true, shiftKey: true })));
    await page.getByText('What would you like to ask?').waitFor();
    report.onNew = await box(page).evaluate((field) => field === document.activeElement);
    await menu(page, 'Named', 'Delete');
    await list(page).getByRole('link', { name: 'Named' }).waitFor({ state: 'detached' });
    report.afterDelete = await page.evaluate(() => document.activeElement.innerText);
    await page.reload();
    await account(page);
    await page.getByRole('button', { name: 'Deleted chats' }).click();
    await dialog(page).getByText('Named').waitFor();
    await shot(page, 'deleted-chats');
    await dialog(page).getByRole('button', { name: 'Restore' }).click();
    await dialog(page).getByText('No chat is deleted.').waitFor();
    await page.keyboard.press('Escape');
    await list(page).getByRole('link', { name: 'Named' }).waitFor();
  },

  /** Somebody else signs in, in another tab: nothing of the first one is left in either. */
  async neighbours(page, report, { other, ...user }) {
    await signIn(page, user);
    await box(page).fill('What only I should read');
    await page.locator('input[type=file]').setInputFiles({ name: 'secret.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
    await page.locator('.composer .file-name').waitFor();
    const second = await page.context().newPage();
    await second.goto(page.url());
    await second.getByRole('button', { name: `Account of ${user.username}` }).waitFor();
    // As when the tokens are revoked.
    await second.evaluate(() => localStorage.removeItem('gwp-chat.tokens'));
    await second.reload();
    await page.getByText('You were signed out.').waitFor();
    await signIn(second, { username: other, password: user.password });
    await page.getByRole('button', { name: `Account of ${other}` }).waitFor();
    report.seen = [await box(page).inputValue(), await page.locator('.composer .file-name').count()];
    await account(page);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await signIn(page, user);
    report.back = await box(page).inputValue();
    await second.getByRole('button', { name: `Account of ${user.username}` }).waitFor();
  },

  /** Tokens that are about to end are refreshed once, however many tabs notice. */
  async refreshing(page, report, user) {
    await signIn(page, user);
    const tabs = [page];
    while (tabs.length < 3) {
      tabs.push(await page.context().newPage());
      await tabs.at(-1).goto(page.url());
      await list(tabs.at(-1)).waitFor();
    }
    let asked = 0;
    page.context().on('request', (request) => {
      if (request.postData()?.includes('mutation Refresh')) asked += 1;
    });
    report.before = await page.evaluate(() => {
      const tokens = JSON.parse(localStorage.getItem('gwp-chat.tokens'));
      localStorage.setItem('gwp-chat.tokens', JSON.stringify({ ...tokens, endsAt: 0 }));
      return tokens.accessToken;
    });
    // The search of each asks the server, with a token that counts.
    await Promise.all(tabs.map((tab) => tab.getByRole('searchbox').fill('nothing at all')));
    await Promise.all(tabs.map((tab) => tab.locator('.hits .hint').filter({ hasText: 'Nothing' }).waitFor()));
    report.after = await page.evaluate(() => JSON.parse(localStorage.getItem('gwp-chat.tokens')).accessToken);
    report.refreshes = asked;
  },
};
