import type { Answer } from './endpoint';
import { failureOf } from './failures';
import type { Results } from './fetcher';

const TRANSPORT_KEY = 'gwp-chat:transport';
// Rows beyond these are dropped from the top: a page that holds every event of a day would stand still.
const MAX_ROWS = 2000;

type State = 'streaming' | 'complete' | 'stopped' | 'failed';
export type Transport = 'ws' | 'sse';

interface Row {
  at: Date;
  seconds: number;
  answer: Answer;
}

/** The panel that lists every event of a subscription with its time; the editor itself shows only the last. */
export class EventLog {
  readonly element = document.createElement('section');
  readonly #list = document.createElement('ol');
  readonly #status = document.createElement('span');
  readonly #copy = document.createElement('button');
  readonly #transport = document.createElement('select');
  #rows: Row[] = [];
  #waiting: Row[] = [];
  #count = 0;
  #started = 0;
  #frame = 0;
  #stream = 0;
  #state: State = 'complete';

  constructor() {
    const title = document.createElement('h2');
    title.textContent = 'Events';
    this.#status.className = 'events-status';
    this.#status.textContent = 'Run a subscription to see each event with its time';
    const label = document.createElement('label');
    this.#transport.append(new Option('WebSocket', 'ws'), new Option('Server-sent events', 'sse'));
    this.#transport.value = sessionStorage.getItem(TRANSPORT_KEY) ?? 'ws';
    this.#transport.addEventListener('change', () => sessionStorage.setItem(TRANSPORT_KEY, this.#transport.value));
    label.append('over ', this.#transport);
    this.#copy.type = 'button';
    this.#copy.textContent = 'Copy';
    this.#copy.hidden = true;
    this.#copy.addEventListener('click', () => void this.#copyAll());
    const header = document.createElement('header');
    header.append(title, this.#status, label, this.#copy);
    this.#list.hidden = true;
    this.element.className = 'events';
    this.element.ariaLabel = 'Streamed events';
    this.element.append(header, this.#list);
  }

  get transport(): Transport {
    return this.#transport.value === 'sse' ? 'sse' : 'ws';
  }

  /** `source` itself, listed here and told to `onAnswer` from now on. Its failure becomes its last answer. */
  follow(source: Results, onAnswer: (answer: Answer) => void): Results {
    const stream = this.#begin();
    let over = false;
    const finish = (state: State): void => {
      over = true;
      if (stream === this.#stream) this.#finish(state);
    };
    const show = (answer: Answer): void => {
      if (stream === this.#stream) this.#add(answer);
      onAnswer(answer);
    };
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      async next() {
        if (over) return { done: true, value: undefined };
        try {
          const step = await source.next();
          if (over) return { done: true, value: undefined };
          if (step.done) finish('complete');
          else show(step.value);
          return step;
        } catch (error) {
          if (over) return { done: true, value: undefined };
          const value = await failureOf(error);
          show(value);
          finish('failed');
          return { done: false, value };
        }
      },
      async return() {
        if (!over) finish('stopped');
        await source.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  #begin(): number {
    this.#rows = [];
    this.#waiting = [];
    this.#count = 0;
    this.#started = performance.now();
    this.#list.replaceChildren();
    this.#list.hidden = false;
    this.#copy.hidden = false;
    this.#stream += 1;
    this.#setState('streaming');
    return this.#stream;
  }

  #add(answer: Answer): void {
    this.#count += 1;
    this.#waiting.push({ at: new Date(), seconds: this.#elapsed(), answer });
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #finish(state: State): void {
    this.#draw();
    this.#setState(state);
  }

  /** Rows of one frame are inserted at once. */
  #draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
    this.#rows = [...this.#rows, ...this.#waiting].slice(-MAX_ROWS);
    this.#list.append(...this.#waiting.slice(-MAX_ROWS).map(rowElement));
    this.#waiting = [];
    while (this.#list.childElementCount > MAX_ROWS) this.#list.firstElementChild?.remove();
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
    this.#setState(this.#state);
  }

  #setState(state: State): void {
    this.#state = state;
    this.element.dataset.state = state;
    const events = this.#count === 1 ? '1 event' : `${this.#count} events`;
    this.#status.textContent = `${events} in ${this.#elapsed().toFixed(1)} s · ${state}`;
  }

  #elapsed(): number {
    return (performance.now() - this.#started) / 1000;
  }

  async #copyAll(): Promise<void> {
    const events = this.#rows.map(({ at, answer }) => ({ at: at.toISOString(), ...answer }));
    await navigator.clipboard.writeText(JSON.stringify(events, null, 2));
    this.#copy.textContent = 'Copied';
    setTimeout(() => (this.#copy.textContent = 'Copy'), 1500);
  }
}

function rowElement({ at, seconds, answer }: Row): HTMLLIElement {
  const time = document.createElement('time');
  time.dateTime = at.toISOString();
  time.title = at.toLocaleTimeString(undefined, { hour12: false, fractionalSecondDigits: 3 });
  time.textContent = `+${seconds.toFixed(3)} s`;
  const { name, rest, failed } = inBrief(answer);
  const type = document.createElement('b');
  type.textContent = name;
  type.classList.toggle('failed', failed);
  const brief = document.createElement('code');
  brief.textContent = rest;
  const summary = document.createElement('summary');
  summary.append(time, type, brief);
  const details = document.createElement('details');
  details.append(summary);
  details.addEventListener('toggle', () => showWhole(details, answer), { once: true });
  const item = document.createElement('li');
  item.append(details);
  return item;
}

function showWhole(details: HTMLDetailsElement, answer: Answer): void {
  const whole = document.createElement('pre');
  whole.textContent = JSON.stringify(answer, null, 2);
  details.append(whole);
}

/** An answer in one line: the type of the event and its other fields. */
function inBrief({ data, errors }: Answer): { name: string; rest: string; failed: boolean } {
  if (errors !== undefined) return { name: 'Error', rest: errors.map(({ message }) => message).join(' '), failed: true };
  const [field, value] = Object.entries(data ?? {})[0] ?? ['data', data];
  const { __typename: type, ...fields } = Object(value) as Record<string, unknown>;
  return { name: String(type ?? field), rest: JSON.stringify(type === undefined ? value : fields), failed: false };
}
