/** What people do in the web client, in steps that scenarios are made of. */
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Say how far the scenario is, and wait until the test says to go on. */
export async function tell(step) {
  console.log(JSON.stringify({ step }));
  await lines.next();
}

export async function signIn(page, { username, password }) {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('button', { name: `Account of ${username}` }).waitFor();
}

export const box = (page) => page.getByRole('textbox', { name: 'Message' });
export const answers = (page) => page.getByRole('article', { name: 'Assistant' });
export const list = (page) => page.getByRole('navigation', { name: 'Chats' });
export const pane = (page) => page.getByRole('region', { name: 'Conversation' });
export const dialog = (page) => page.getByRole('dialog');

export async function send(page, text) {
  await box(page).fill(text);
  await page.keyboard.press('Enter');
}

/** Until this answer is there, and nothing is being written any more. */
export async function answered(page, text) {
  await answers(page).filter({ hasText: text }).last().waitFor();
  await page.waitForFunction(() => document.querySelector('.live') === null);
}

/** Choose from a chat's menu. */
export async function menu(page, title, item) {
  await list(page).getByRole('button', { name: `Menu of ${title}` }).click();
  await page.getByRole('button', { name: item, exact: true }).click();
}

/** Open one's own menu. */
export async function account(page) {
  await page.getByRole('button', { name: /^(Account of|Учётная запись) / }).click();
}
