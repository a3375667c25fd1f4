/** What agents ask back, and what is asked of them again. */
import { answered, answers, box, pane, send, signIn, tell } from '../actions.mjs';
import { shot } from '../browser.mjs';

export const AGENTS = {
  async password(page, report, { secret, ...user }) {
    await signIn(page, user);
    await send(page, 'Log in');
    const form = page.getByRole('form', { name: 'Reply to the agent' });
    await form.waitFor();
    report.question = await answers(page).last().locator('.prose').innerText();
    report.composers = await box(page).count();
    report.type = await form.getByLabel('Token').getAttribute('type');
    await shot(page, 'password');
    await form.getByLabel('Account').fill('ada');
    await form.getByLabel('Token').fill(secret);
    await form.getByRole('button', { name: 'Send' }).click();
    // The first reply does not get through: the agent is still waiting for it.
    await pane(page).getByText('The answer failed').waitFor();
    await form.waitFor();
    await form.getByLabel('Account').fill('ada');
    await form.getByLabel('Token').fill(secret);
    await page.keyboard.press('Enter');
    await answered(page, 'Welcome');
    report.kept = await page.evaluate(() => {
      const fields = [...document.querySelectorAll('input, textarea')].map(({ value }) => value);
      return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, fields, document.body.innerHTML]);
    });
    report.again = await page.getByRole('button', { name: 'Edit' }).count();
  },

  /** An agent that is asked for its question once more, in vain, still waits for the password. */
  async passwordAgain(page, report, user) {
    await signIn(page, user);
    await send(page, 'Log in');
    const form = page.getByRole('form', { name: 'Reply to the agent' });
    await form.waitFor();
    await page.getByRole('button', { name: 'Answer again' }).click();
    await pane(page).getByText('The answer failed').waitFor();
    await form.waitFor();
    report.boxes = await box(page).count();
    report.type = await form.getByLabel('Token').getAttribute('type');
    await form.getByLabel('Account').fill('ada');
    await form.getByLabel('Token').fill('x');
    await page.keyboard.press('Enter');
    await answered(page, 'Welcome');
    report.after = await box(page).count();
  },

  async choice(page, report, user) {
    await signIn(page, user);
    await send(page, 'Book a seat');
    await page.getByRole('button', { name: 'Aisle' }).waitFor();
    await shot(page, 'choice');
    await page.getByRole('button', { name: 'Aisle' }).click();
    await answered(page, 'Booked');
    report.own = await page.locator('.own-text').allInnerTexts();
    report.left = await page.getByRole('button', { name: 'Window' }).count();
  },

  async edit(page, report, user) {
    await signIn(page, user);
    await send(page, 'Wat');
    await answered(page, 'First');
    await box(page).press('ArrowUp');
    const field = page.getByRole('textbox', { name: 'Edit' });
    report.edited = await field.inputValue();
    await field.fill('What?');
    await shot(page, 'edit');
    const other = await page.context().newPage();
    await other.goto(page.url());
    await answered(other, 'First');
    // While the server is away, what was typed stays where it is.
    await page.route('**/graphql', (route) => route.abort());
    await page.keyboard.press('Enter');
    await page.locator('.notice.error').waitFor();
    report.kept = await field.inputValue();
    await page.unroute('**/graphql');
    await page.getByRole('button', { name: 'Save and ask again' }).click();
    await answered(page, 'Second');
    await other.locator('.own-text').filter({ hasText: 'What?' }).waitFor();
    await answered(other, 'Second');
    await other.close();
    report.questions = await page.locator('.own-text').allInnerTexts();
    report.shown = await answers(page).locator('.prose').allInnerTexts();
    await page.getByRole('button', { name: 'Earlier answer' }).click();
    report.earlier = await answers(page).locator('.prose').allInnerTexts();
    await page.getByRole('button', { name: 'Later answer' }).click();
    await page.getByRole('button', { name: 'Answer again' }).click();
    await answers(page).filter({ hasText: 'Third' }).waitFor();
    report.meanwhile = await answers(page).locator('.prose').allInnerTexts();
    await tell('again');
    await answered(page, 'Third time');
    report.versions = await page.getByRole('group', { name: 'Answers to this question' }).innerText();
    await page.reload();
    await answered(page, 'Third time');
    report.reloaded = await answers(page).locator('.prose').allInnerTexts();
  },

  /** Two questions, the second before the first is answered. */
  async inOrder(page, report, user) {
    await signIn(page, user);
    await send(page, 'One?');
    await answers(page).filter({ hasText: 'Some' }).waitFor();
    await send(page, 'Two?');
    await pane(page).getByText('Waiting for its turn…').waitFor();
    await box(page).fill('Three?');
    report.buttons = [await page.getByRole('button', { name: 'Stop' }).count(), await page.getByRole('button', { name: 'Send' }).count()];
    await tell('asked');
    await answered(page, 'Second');
    const texts = () => page.locator('.message').evaluateAll((all) => all.map((each) => each.querySelector('p').innerText));
    report.texts = await texts();
    await page.reload();
    await answered(page, 'Second');
    report.reloaded = await texts();
  },

  /** What was written of an answer stays in the page as it is while the rest is written. */
  async growing(page, report, { paragraphs, ...user }) {
    await signIn(page, user);
    await send(page, 'Go on and on');
    const written = answers(page).locator('.prose > div > p');
    await written.filter({ hasText: 'Paragraph 2' }).waitFor();
    await written.first().evaluate((first) => {
      window.first = first;
      window.changes = 0;
      new MutationObserver((all) => (window.changes += all.length)).observe(first.parentElement, {
        childList: true,
        characterData: true,
        subtree: true,
      });
    });
    await tell('begun');
    await written.filter({ hasText: `Paragraph ${paragraphs - 1}` }).waitFor();
    report.changes = await page.evaluate(() => window.changes);
    report.isSame = await page.evaluate(() => document.querySelector('.live .prose p') === window.first);
    await tell('written');
    await answered(page, 'The end');
  },
};
