/** Trying again for as long as the server is away. */
import { Unreachable } from './client';
import { lost } from './follow';

const SHORTEST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** The result of `work` once the server can be reached; undefined if it is not wanted any more by then. */
export async function patiently<T>(work: () => Promise<T>, isWanted: () => boolean): Promise<T | undefined> {
  for (let wait = SHORTEST_WAIT_MS; isWanted(); wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      const result = await work();
      return isWanted() ? result : undefined;
    } catch (error) {
      if (!isWanted()) return undefined;
      if (!(error instanceof Unreachable)) throw error;
      lost();
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  return undefined;
}
