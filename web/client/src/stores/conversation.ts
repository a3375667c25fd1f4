/** One thread's messages and the answers that are being written to them. */
import { type ShallowRef, computed, ref, shallowRef } from 'vue';

import { Refused, ask } from '../api/client';
import { type Stop, follow } from '../api/follow';
import type { MessagePartsFragment, RunEventsSubscription, RunPartsFragment, RunStatus } from '../api/gql/graphql';
import { CANCEL, CONVERSATION, NEWER_MESSAGES, REGENERATE, RUN_EVENTS, SEND } from '../api/operations';
import { patiently } from '../api/patience';

export type Message = MessagePartsFragment;
type RunEvent = RunEventsSubscription['runEvents'];

const PAGE = 30;
const ENDED: ReadonlySet<RunStatus> = new Set(['COMPLETED', 'INTERRUPTED', 'FAILED', 'CANCELLED']);

/** An answer while it is written. */
export interface LiveAnswer {
  runId: string;
  questionId: string;
  model: string;
  status: ShallowRef<RunStatus>;
  text: ShallowRef<string>;
}

/** Stays with its thread until it is closed. */
export class Conversation {
  readonly messages = shallowRef<Message[]>([]);
  readonly live = shallowRef<LiveAnswer[]>([]);
  readonly hasMore = ref(false);
  /** Whether what was said last is not here: the thread was opened at a message of before. */
  readonly hasNewer = ref(false);
  readonly isLoaded = ref(false);
  readonly isMissing = ref(false);
  readonly isBusy = computed(() => this.live.value.length > 0);
  readonly title = ref('');
  /** Cursors of the oldest and of the newest message that was loaded. */
  private oldest: string | null = null;
  private newest: string | null = null;
  private loading: Promise<void> | null = null;
  /** Counts what is shown anew: a page that was asked for before is not taken. */
  private generation = 0;
  private isStale = false;
  private isClosed = false;
  private readonly stops = new Map<string, Stop>();

  constructor(readonly threadId: string) {}

  /** Load what was said last, or up to the message at this cursor; and follow what is being answered. */
  async open(cursor: string | null = null): Promise<void> {
    this.generation += 1;
    const own = this.generation;
    this.loading = null;
    const page = await patiently(
      () => ask(CONVERSATION, { id: this.threadId, first: PAGE, after: cursor }),
      () => own === this.generation,
    );
    if (page === undefined) return;
    const { thread } = page;
    this.isLoaded.value = true;
    this.isMissing.value = thread == null;
    if (thread == null) return;
    this.title.value = thread.title ?? '';
    this.messages.value = [];
    this.hasNewer.value = cursor !== null;
    this.newest = thread.messages.pageInfo.startCursor ?? null;
    this.takeOlder(thread.messages);
  }

  close(): void {
    this.isClosed = true;
    this.generation += 1;
    for (const stop of this.stops.values()) stop();
    this.stops.clear();
    this.live.value = [];
  }

  /** Load what was said before. */
  loadMore(): Promise<void> {
    return this.once(async () => {
      const own = this.generation;
      if (!this.hasMore.value) return;
      const { thread } = await ask(CONVERSATION, { id: this.threadId, first: PAGE, after: this.oldest });
      if (thread != null && own === this.generation) this.takeOlder(thread.messages);
    });
  }

  /** Load what was said next. */
  loadNewer(): Promise<void> {
    return this.once(async () => {
      if (this.hasNewer.value) this.hasNewer.value = await this.takeNewer();
    });
  }

  /** Something was said, perhaps in another tab or on another device: learn what. */
  async catchUp(): Promise<void> {
    this.isStale = true;
    await this.loading?.catch(() => undefined);
    await this.once(async () => {
      while (this.isStale && this.isLoaded.value && !this.hasNewer.value) {
        this.isStale = false;
        while (await this.takeNewer());
      }
    });
  }

  /** Send a message; `key` makes that repeatable. */
  async send(text: string, model: string, key: string): Promise<void> {
    const input = { threadId: this.threadId, text, model, idempotencyKey: key };
    const { sendMessage: sent } = await ask(SEND, { input });
    if (sent.__typename !== 'SendMessageSuccess') throw new Refused(sent.message);
    if (this.hasNewer.value) return this.open();
    this.put(sent.userMessage);
    if (sent.run != null) this.followRun(sent.run, sent.userMessage.id);
  }

  async cancel(): Promise<void> {
    await Promise.all(this.live.value.map(({ runId }) => ask(CANCEL, { input: { runId } })));
  }

  /** Have a question answered anew. */
  async regenerate(messageId: string, model: string): Promise<void> {
    const { regenerate: made } = await ask(REGENERATE, { input: { messageId, model } });
    if (made.__typename !== 'RegenerateSuccess') throw new Refused(made.message);
    this.followRun(made.run, messageId);
  }

  /** Do this unless something is being loaded already, which is waited for then. */
  private once(work: () => Promise<void>): Promise<void> {
    this.loading ??= work().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  private takeOlder(page: {
    nodes: Message[];
    pageInfo: { hasNextPage: boolean; endCursor?: string | null };
  }): void {
    this.add(page.nodes, 'older');
    this.hasMore.value = page.pageInfo.hasNextPage;
    this.oldest = page.pageInfo.endCursor ?? this.oldest;
  }

  /** Load a page of what is newer than what was loaded; whether there is more. */
  private async takeNewer(): Promise<boolean> {
    const own = this.generation;
    if (this.newest === null) {
      await this.open();
      return false;
    }
    const { thread } = await ask(NEWER_MESSAGES, { id: this.threadId, last: PAGE, before: this.newest });
    if (thread == null || own !== this.generation) return false;
    this.add(thread.messages.nodes, 'newer');
    this.newest = thread.messages.pageInfo.startCursor ?? this.newest;
    return thread.messages.pageInfo.hasPreviousPage;
  }

  /** Add messages, which come newest first; those that are here already take their places among them. */
  private add(nodes: Message[], side: 'older' | 'newer'): void {
    const ids = new Set(nodes.map(({ id }) => id));
    const added = [...nodes].reverse();
    const others = this.messages.value.filter(({ id }) => !ids.has(id));
    this.messages.value = side === 'older' ? [...added, ...others] : [...others, ...added];
    for (const message of added) this.followIfAtWork(message);
  }

  private put(message: Message): void {
    const place = this.messages.value.findIndex(({ id }) => id === message.id);
    const messages = [...this.messages.value];
    if (place >= 0) messages[place] = message;
    else messages.push(message);
    this.messages.value = messages;
  }

  private followIfAtWork(message: Message): void {
    const { run } = message;
    if (message.sender === 'USER' && run != null && !ENDED.has(run.status)) this.followRun(run, message.id);
  }

  private followRun(run: RunPartsFragment, questionId: string): void {
    if (this.isClosed || this.stops.has(run.id)) return;
    const answer: LiveAnswer = {
      runId: run.id,
      questionId,
      model: run.model,
      status: shallowRef(run.status),
      text: shallowRef(''),
    };
    const writing = new FrameText(answer.text);
    this.live.value = [...this.live.value, answer];
    const stop = follow(
      RUN_EVENTS,
      { id: run.id },
      ({ runEvents: event }) => {
        this.take(event, answer, writing);
        return { cursor: event.cursor, isOver: event.__typename === 'RunEnded' };
      },
      (message) => this.finish(answer, { code: 'REFUSED', message }),
    );
    this.stops.set(run.id, stop);
  }

  private take(event: RunEvent, answer: LiveAnswer, writing: FrameText): void {
    switch (event.__typename) {
      case 'RunDelta':
        writing.add(event.text);
        answer.status.value = 'STREAMING';
        break;
      case 'RunStatusChanged':
        answer.status.value = event.runStatus;
        break;
      case 'RunSnapshot':
        writing.replace(event.text);
        answer.status.value = event.runStatus;
        break;
      case 'CursorExpired':
        writing.replace(event.snapshot.text);
        answer.status.value = event.snapshot.runStatus;
        break;
      case 'RunEnded':
        if (event.assistantMessage != null) this.put(event.assistantMessage);
        this.finish(answer, event.error ?? null);
    }
  }

  private finish(answer: LiveAnswer, error: { code: string; message: string } | null): void {
    this.stops.delete(answer.runId);
    this.live.value = this.live.value.filter((each) => each !== answer);
    const question = this.messages.value.find(({ id }) => id === answer.questionId);
    if (question !== undefined && question.status !== 'READY') {
      this.put({ ...question, status: error === null ? 'READY' : 'ERROR', error: error?.message ?? null });
    }
  }
}

/** A text that grows far more often than it can be shown: once a frame is enough. */
class FrameText {
  private text = '';
  private frame = 0;

  constructor(private readonly shown: ShallowRef<string>) {}

  add(text: string): void {
    this.replace(this.text + text);
  }

  replace(text: string): void {
    this.text = text;
    // A page in the background has no frames, and nobody who looks.
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.show());
  }

  private show(): void {
    this.frame = 0;
    this.shown.value = this.text;
  }
}
