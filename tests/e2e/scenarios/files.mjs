/** Files: sent with messages, looked at, saved; and chats saved as files. */
import { readFile } from 'node:fs/promises';
import { answered, box, menu, pane, send, signIn } from '../actions.mjs';
import { shot } from '../browser.mjs';

const RED_DOT = 'iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==';

const png = (name) => ({ name, mimeType: 'image/png', buffer: Buffer.from(RED_DOT, 'base64') });

/** Files as a drag or the clipboard holds them. */
function transfer(page, name, type, text) {
  return page.evaluateHandle(
    ([filename, kind, content]) => {
      const held = new DataTransfer();
      held.items.add(new File([content], filename, { type: kind }));
      return held;
    },
    [name, type, text],
  );
}

/** The text of what is saved by a click. */
async function saved(page, click) {
  const [file] = await Promise.all([page.waitForEvent('download'), click()]);
  return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
}

export const FILES = {
  async attach(page, report, user) {
    await signIn(page, user);
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.getByRole('button', { name: 'Attach files' }).click(),
    ]);
    await chooser.setFiles([png('dot.png'), png('unwanted.png')]);
    const composer = page.locator('.composer');
    await composer.locator('img').first().evaluate((image) => image.decode());
    await page.getByRole('button', { name: 'Remove unwanted.png' }).click();

    const dragged = await transfer(page, 'notes.txt', 'text/plain', 'Some notes');
    await page.dispatchEvent('.list', 'dragover', { dataTransfer: dragged });
    await page.getByText('Drop files here').waitFor();
    await shot(page, 'drop');
    await page.dispatchEvent('.list', 'drop', { dataTransfer: dragged });
    await page.getByText('Drop files here').waitFor({ state: 'detached' });

    const copied = await transfer(page, 'pasted.csv', 'text/csv', 'a,b');
    await box(page).evaluate((field, clipboardData) => {
      field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    }, copied);
    report.chosen = await composer.locator('.file-name').allInnerTexts();
    await shot(page, 'chosen');
    await page.keyboard.press('Enter');
    await answered(page, 'Nice');
    report.left = await composer.locator('.file-name').count();
    report.title = await page.locator('.top h1').innerText();
    const pictures = pane(page).locator('img');
    await pictures.first().waitFor();
    report.width = await pictures.first().evaluate((image) => image.naturalWidth);
    await shot(page, 'attached');
    const notes = await saved(page, () => pane(page).getByRole('button', { name: 'notes.txt' }).click());
    report.notes = [notes.name, notes.content.toString()];
  },

  async upload(page, report, user) {
    await signIn(page, user);
    await page.locator('input[type=file]').setInputFiles({
      name: 'big.bin',
      mimeType: 'application/octet-stream',
      buffer: Buffer.alloc(3_000_000),
    });
    const network = await page.context().newCDPSession(page);
    await network.send('Network.enable');
    const slowly = (uploadThroughput) =>
      network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
    await slowly(100_000);
    await send(page, 'Keep this');
    await page.waitForFunction(() => document.querySelector('progress')?.value > 0);
    await shot(page, 'uploading');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('progress').waitFor({ state: 'detached' });
    report.draft = [await box(page).inputValue(), await page.locator('.composer .file-name').innerText()];
    await slowly(-1);
    await page.getByRole('button', { name: 'Send' }).click();
    await answered(page, 'Kept');
    // Whoever leaves the chat meanwhile finds it still on its way, and sends nothing twice.
    await page.locator('input[type=file]').setInputFiles({
      name: 'another.bin',
      mimeType: 'application/octet-stream',
      buffer: Buffer.alloc(3_000_000),
    });
    await slowly(1_000_000);
    await send(page, 'And this');
    await page.waitForFunction(() => document.querySelector('progress')?.value > 0);
    await page.getByRole('link', { name: 'New chat' }).click();
    report.elsewhere = await page.locator('progress').count();
    await page.getByRole('link', { name: 'Keep this' }).click();
    await page.locator('progress').waitFor();
    report.canSend = await page.getByRole('button', { name: 'Send' }).isEnabled();
    await slowly(-1);
    await answered(page, 'Kept too');
    report.texts = await page.locator('.own-text').allInnerTexts();
    await page.locator('input[type=file]').setInputFiles({
      name: 'huge.bin',
      mimeType: 'application/octet-stream',
      buffer: Buffer.alloc(7_000_000),
    });
    report.problem = await page.locator('.notice.error').innerText();
    report.left = await page.locator('.composer .file-name').count();
  },

  async exports(page, report, user) {
    await signIn(page, user);
    await send(page, 'Say "A/B"');
    await answered(page, 'Yes.');
    report.files = {};
    for (const item of ['Save as Markdown', 'Save as PDF', 'Save as Word document']) {
      const { name, content } = await saved(page, () => menu(page, 'Say "A/B"', item));
      report.files[name] = content.subarray(0, 4).toString('latin1');
    }
  },
};
