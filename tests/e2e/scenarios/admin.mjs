/** What administrators do. */
import { account, dialog, signIn, tell } from '../actions.mjs';
import { shot } from '../browser.mjs';

const row = (page, name) => page.getByRole('row').filter({ hasText: name });

export const ADMIN = {
  async accounts(page, report, { name, ...user }) {
    await signIn(page, user);
    await account(page);
    await page.getByRole('link', { name: 'Administration' }).click();
    await page.getByRole('button', { name: 'New user' }).click();
    await dialog(page).getByLabel('Username').fill('admin');
    await dialog(page).getByLabel('Password').fill('correct horse battery');
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    report.problem = await dialog(page).getByRole('alert').innerText();
    await dialog(page).getByLabel('Username').fill(name);
    await dialog(page).getByLabel('Full name').fill('Ada Lovelace');
    await dialog(page).getByLabel('Allowed agents and models').fill('poet\n\n chemist ');
    await shot(page, 'new-user');
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await dialog(page).waitFor({ state: 'detached' });
    report.made = await row(page, name).innerText();
    await tell('made');
    await page.getByRole('button', { name: `Edit ${name}` }).click();
    await dialog(page).getByLabel('Administrator').check();
    await dialog(page).getByLabel('May sign in').uncheck();
    await dialog(page).getByLabel('Full name').fill('');
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await row(page, name).getByText('Deactivated').waitFor();
    report.changed = await row(page, name).innerText();
    report.status = await page.getByRole('region', { name: 'Server' }).innerText();
    await shot(page, 'admin');
    await tell('deactivated');
    await page.getByRole('region', { name: 'Server' }).getByText('Out for lunch').waitFor();
    await page.setViewportSize({ width: 390, height: 800 });
    await shot(page, 'admin-phone');
    await page.getByRole('link', { name: 'Back to the chats' }).click();
    await page.getByText('What would you like to ask?').waitFor();
  },

  async notAllowed(page, report, user) {
    await signIn(page, user);
    await account(page);
    report.links = await page.getByRole('link', { name: 'Administration' }).count();
    await page.goto(new URL('/admin', page.url()).href);
    await page.getByText('Only administrators see this page.').waitFor();
    await page.goto(new URL('/t/not-an-id', page.url()).href);
    await page.getByText('What would you like to ask?').waitFor();
    await page.goto(new URL('/t/00000000-0000-0000-0000-000000000000', page.url()).href);
    await page.getByText('There is no such chat.').waitFor();
    report.boxes = await page.getByRole('textbox', { name: 'Message' }).count();
  },
};
