/**
 * What a subscription tells, as an async iterator; leaving it unsubscribes.
 * `subscribe` takes a sink {next, error, complete} and returns the way to unsubscribe.
 */
export async function* iterate(subscribe) {
  const waiting = [];
  let end = null;
  let wake = () => {};
  const finish = (how) => {
    end ??= how;
    wake();
  };
  const unsubscribe = subscribe({
    next(item) {
      waiting.push(item);
      wake();
    },
    error: (error) => finish({ error }),
    complete: () => finish({}),
  });
  try {
    while (true) {
      while (waiting.length) yield waiting.shift();
      if (end?.error) throw end.error;
      if (end) return;
      await new Promise((resolve) => (wake = resolve));
    }
  } finally {
    unsubscribe();
  }
}
