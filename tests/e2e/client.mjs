/**
 * The web client in a browser: `node client.mjs SCENARIO JSON`, as playground.mjs.
 */
import { browse } from './browser.mjs';
import { ADMIN } from './scenarios/admin.mjs';
import { AGENTS } from './scenarios/agents.mjs';
import { CHAT } from './scenarios/chat.mjs';
import { FILES } from './scenarios/files.mjs';
import { LOOKS } from './scenarios/looks.mjs';

const SCENARIOS = { ...CHAT, ...FILES, ...AGENTS, ...ADMIN, ...LOOKS };

const [scenario, json] = process.argv.slice(2);
const { url, chromium, ...details } = JSON.parse(json);
const report = await browse(url, chromium, (page, noted) => SCENARIOS[scenario](page, noted, details));
console.log(JSON.stringify({ report }));
process.exit(0);
