/** One thread's messages and the answers that are being written to them. */
import { type ShallowRef, computed, ref, shallowRef } from 'vue';

import { Refused, ask } from '../api/client';
import { type Stop, follow } from '../api/follow';
import type { MessagePartsFragment, RunEventsSubscription, RunPartsFragment, RunStatus } from '../api/gql/graphql';
import { CANCEL, CONVERSATION, REGENERATE, RUN_EVENTS, SEND } from '../api/operations';

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
  readonly isLoaded = ref(false);
  readonly isMissing = ref(false);
  readonly isBusy = computed(() => this.live.value.length > 0);
  private start: string | null = null;
  private loading: Promise<void> | null = null;
  private readonly stops = new Map<string, Stop>();

  constructor(readonly threadId: string) {}

  /** Load what was said last, and follow what is being answered. */
  async open(): Promise<void> {
    const { thread } = await ask(CONVERSATION, { id: this.threadId, last: PAGE });
    this.isLoaded.value = true;
    this.isMissing.value = thread == null;
    if (thread == null) return;
    this.takePage(thread.messages);
    for (const message of this.messages.value) this.followIfAtWork(message);
  }

  close(): void {
    for (const stop of this.stops.values()) stop();
    this.stops.clear();
    this.live.value = [];
  }

  /** Load what was said before, once. */
  async loadMore(): Promise<void> {
    if (!this.hasMore.value) return;
    this.loading ??= ask(CONVERSATION, { id: this.threadId, last: PAGE, before: this.start })
      .then(({ thread }) => {
        if (thread != null) this.takePage(thread.messages);
      })
      .finally(() => {
        this.loading = null;
      });
    await this.loading;
  }

  /** Send a message; `key` makes that repeatable. */
  async send(text: string, model: string, key: string): Promise<void> {
    const input = { threadId: this.threadId, text, model, idempotencyKey: key };
    const { sendMessage: sent } = await ask(SEND, { input });
    if (sent.__typename !== 'SendMessageSuccess') throw new Refused(sent.message);
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

  private takePage(page: {
    nodes: Message[];
    pageInfo: { hasPreviousPage: boolean; startCursor?: string | null };
  }): void {
    const known = new Set(this.messages.value.map(({ id }) => id));
    this.messages.value = [...page.nodes.filter(({ id }) => !known.has(id)), ...this.messages.value];
    this.hasMore.value = page.pageInfo.hasPreviousPage;
    this.start = page.pageInfo.startCursor ?? this.start;
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
    if (this.stops.has(run.id)) return;
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
      (message) => this.end(answer, { code: 'REFUSED', message }),
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
        this.end(answer, event.error ?? null);
    }
  }

  private end(answer: LiveAnswer, error: { code: string; message: string } | null): void {
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
