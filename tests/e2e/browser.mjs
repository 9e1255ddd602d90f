// What a person sees: the status page in a real Chromium. `node browser.mjs URL FOLDER`, where playwright-core
// and axe-core are found by NODE_PATH; pictures go to the folder, and the first broken promise ends it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NODE_PATH}/`);
const { chromium } = require('playwright-core');
const axe = require('axe-core');

const [url, folder] = process.argv.slice(2);
const HOSTILE = '</title><script>window.hacked=1</script><img src=x onerror="window.hacked=1">\'&amp;';
const DESKTOP = { width: 1360, height: 900 };
const PHONE = { width: 390, height: 844 };

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic', '--disable-gpu', '--disable-component-update', '--disable-sync'],
});

/** A page whose complaints and requests are kept. */
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text());
  });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('request', (request) => {
    const asked = request.url();
    if (!asked.startsWith(url) && !asked.startsWith('data:')) page.complaints.push(`asks ${asked}`);
  });
  page.on('requestfailed', (request) => page.complaints.push(`cannot load ${request.url()}`));
  return page;
}

/** Nothing that somebody with a screen reader, or bad eyes, stumbles over. */
async function isAccessible(page, what) {
  // Put there by the debugger, which no policy holds.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  assert.deepEqual(told, [], what);
}

const names = (page) => page.locator('#count + table > tbody:visible > tr:first-child > th a').allTextContents();
const isNarrowEnough = (page) =>
  page.evaluate(() => document.scrollingElement.scrollWidth <= document.scrollingElement.clientWidth);

async function steersByProblems(page) {
  await page.goto(url);
  assert.equal(await page.title(), 'Backups · clouddb-backup-exporter');
  assert.equal((await names(page))[0], 'customers', 'the failing instance is the first');
  const first = page.locator('#count + table > tbody').first();
  assert.match(await first.textContent(), /failing/);
  const totals = (await page.locator('.totals').textContent()).replace(/\s+/g, ' ');
  assert.match(totals, /1 failing/, totals);
  const stuck = await page.locator('#count + table > tbody', { hasText: 'warehouse' }).textContent();
  assert.match(stuck, /BackupRunningTooLong/, 'of a type');
  assert.match(stuck, /RestorePointLagging/, 'of the instance');
  await page.screenshot({ path: `${folder}/overview.png` });
  await isAccessible(page, 'the overview');

  await page.getByRole('link', { name: /\d+ failing/ }).click();
  assert.deepEqual(await names(page), ['customers']);
  assert.match(page.url(), /\?state=failing$/);
}

async function findsWhileOneTypes(page) {
  await page.goto(`${url}/?project=demo`);
  const before = await names(page);
  const box = page.getByRole('searchbox', { name: 'Find' });
  await box.pressSequentially('warehouse');
  assert.deepEqual(await names(page), ['warehouse']);
  assert.match(await page.locator('#count').textContent(), /^1 of the \d+ instances of this page/);
  await box.fill('');
  assert.deepEqual(await names(page), before);
  await box.fill('orders');
  await box.press('Enter');
  await page.waitForURL(/q=orders/);
  assert.deepEqual(await names(page), ['orders']);
  await page.getByLabel('Product').selectOption('rds');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.waitForURL(/product=rds/);
  assert.equal(await box.inputValue(), 'orders', 'a choice keeps what was typed');
}

async function survivesAName(page) {
  await page.goto(`${url}/?q=${encodeURIComponent('window.hacked')}`);
  assert.deepEqual(await names(page), [HOSTILE]);
  await page.getByRole('link', { name: HOSTILE }).click();
  assert.ok((await page.locator('h1').textContent()).startsWith(`${HOSTILE} `));
  assert.equal(await page.title(), `${HOSTILE} · clouddb-backup-exporter`);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator('img').count(), 0);
}

async function showsTheRecords(page) {
  await page.goto(`${url}/?q=customers`);
  await page.getByRole('link', { name: 'customers' }).click();
  const picture = page.getByRole('img', { name: /newest backups of type auto, .* 1 failed/ });
  assert.equal(await picture.locator('.failed path').count(), 1);
  const colour = (shape) => picture.locator(shape).first().evaluate((it) => {
    const { fill, stroke } = getComputedStyle(it);
    return fill === 'none' ? stroke : fill;
  });
  assert.notEqual(await colour('.failed path'), await colour('.completed rect'));
  const rows = page.getByRole('table', { name: /newest records/ }).first().getByRole('row');
  assert.equal(await rows.count(), 1 + (await picture.locator('g').count()), 'a row for each shape, and the head');
  await page.screenshot({ path: `${folder}/instance.png` });
  await isAccessible(page, 'the page of an instance');
}

async function isReadableInTheDark(page) {
  await page.goto(url);
  const [red, green, blue] = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor))
    .match(/\d+/g).map(Number);
  assert.ok(Math.max(red, green, blue) < 60, 'dark paper');
  await page.screenshot({ path: `${folder}/dark.png` });
  await isAccessible(page, 'the overview in the dark');
  await page.goto(`${url}/?q=customers`);
  await page.getByRole('link', { name: 'customers' }).click();
  await isAccessible(page, 'an instance in the dark');
}

async function isReadableOnAPhone(page) {
  for (const path of ['/', `/?q=${encodeURIComponent('window.hacked')}`]) {
    await page.goto(url + path);
    assert.ok(await isNarrowEnough(page), `${path} fits without scrolling sideways`);
  }
  await page.goto(url);
  // The cells stand below each other, and are a table still to those who do not see them.
  assert.ok(await page.getByRole('rowheader', { name: /customers/ }).isVisible());
  assert.ok((await page.getByRole('cell', { name: /ago/ }).count()) > 0);
  await page.screenshot({ path: `${folder}/phone.png` });
  await isAccessible(page, 'the overview on a phone');
  await page.getByRole('link', { name: 'customers' }).click();
  assert.ok(await isNarrowEnough(page), 'an instance fits');
}

async function needsNoMouse(page) {
  await page.goto(url);
  const link = () => page.evaluate(() => document.activeElement.getAttribute('href'));
  for (let pressed = 0; (await link()) !== '/?state=stale'; pressed += 1) {
    assert.ok(pressed < 20, 'a total is reached by Tab');
    await page.keyboard.press('Tab');
  }
  const width = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth);
  assert.equal(width, '3px', 'one sees where one is');
  await page.keyboard.press('Enter');
  await page.waitForURL(/state=stale/);
}

async function needsNoScript(page) {
  await page.goto(url);
  await page.getByLabel('Find').fill('router');
  await page.getByLabel('State').selectOption('any');
  await page.getByRole('button', { name: 'Show' }).click();
  assert.deepEqual(await names(page), ['shop-router']);
  await page.goto(`${url}/?per_page=2`);
  const [first] = await names(page);
  await page.getByRole('link', { name: 'next page' }).click();
  assert.notEqual((await names(page))[0], first);
}

async function runsNothingElse(page) {
  await page.goto(url);
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.hacked = 1';
    document.body.append(script);
  });
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(page.complaints.length, 1, 'the browser says so');
  assert.match(page.complaints[0], /Content Security Policy/);
  page.complaints = [];
}

const promises = [
  [steersByProblems, { viewport: DESKTOP }],
  [findsWhileOneTypes, { viewport: DESKTOP }],
  [survivesAName, { viewport: DESKTOP }],
  [showsTheRecords, { viewport: DESKTOP }],
  [isReadableInTheDark, { viewport: DESKTOP, colorScheme: 'dark' }],
  [isReadableOnAPhone, { viewport: PHONE, isMobile: true, hasTouch: true }],
  [needsNoMouse, { viewport: DESKTOP }],
  [needsNoScript, { viewport: DESKTOP, javaScriptEnabled: false }],
  [runsNothingElse, { viewport: DESKTOP }],
];
try {
  const deadline = Date.now() + 60_000;
  while (!(await fetch(`${url}/-/ready`)).ok) assert.ok(Date.now() < deadline, 'the first round ends');
  for (const [promise, options] of promises) {
    const page = await open(options);
    page.setDefaultTimeout(30_000);
    try {
      await promise(page);
      assert.deepEqual(page.complaints, [], 'the browser has nothing to complain of');
    } catch (error) {
      await page.screenshot({ path: `${folder}/broken.png` }).catch(() => {});
      error.message = `${promise.name}: ${error.message}`;
      throw error;
    }
    await page.context().close();
    console.log(`ok ${promise.name}`);
  }
} finally {
  await browser.close();
}
