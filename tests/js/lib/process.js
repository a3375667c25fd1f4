// How a script and the test that started it speak: JSON on standard input and standard output.
import { readFileSync } from "node:fs";

/** What the test gives. */
export const given = () => JSON.parse(readFileSync(0, "utf8"));

/** Tell the test what was found, and end; some clients leave timers behind. */
export const report = (found) => process.stdout.write(JSON.stringify(found), () => process.exit());

/** Let the scripted provider go on with what waits at this gate. */
export const openGate = ({ openGateUrl }, name) =>
  fetch(openGateUrl, { method: "POST", body: JSON.stringify({ namespace: "", name }) });
