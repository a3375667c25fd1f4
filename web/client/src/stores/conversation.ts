/** One thread's messages, and the answers that are being written to them. */
import { computed, ref, shallowRef } from 'vue';

import { Refused, ask } from '../api/client';
import type { MessagePartsFragment, RunStatus } from '../api/gql/graphql';
import { CANCEL, CONVERSATION, NEWER_MESSAGES, REGENERATE, SEND } from '../api/operations';
import { patiently } from '../api/patience';
import { type Progress, askWithFiles } from '../api/uploads';
import { type AnswerEnd, LiveAnswers } from './answers';

export type Message = MessagePartsFragment;

/** What is to be sent. */
export interface Draft {
  text: string;
  files: readonly File[];
}

const PAGE = 30;
const ENDED: ReadonlySet<RunStatus> = new Set(['COMPLETED', 'INTERRUPTED', 'FAILED', 'CANCELLED']);

/** Stays with its thread until it is closed. */
export class Conversation {
  readonly messages = shallowRef<Message[]>([]);
  readonly hasMore = ref(false);
  /** Whether what was said last is not here: the thread was opened at a message of before. */
  readonly hasNewer = ref(false);
  readonly isLoaded = ref(false);
  readonly isMissing = ref(false);
  private readonly answers = new LiveAnswers(this.ended.bind(this));
  readonly live = this.answers.list;
  readonly isBusy = computed(() => this.live.value.length > 0);
  readonly title = ref('');
  /** Whether the next message is a secret, as far as was heard when messages were loaded. */
  readonly awaitsSecret = ref(false);
  /** Cursors of the oldest and of the newest message that was loaded. */
  private oldest: string | null = null;
  private newest: string | null = null;
  private loading: Promise<void> | null = null;
  /** Counts what is shown anew: a page that was asked for before is not taken. */
  private generation = 0;
  private isStale = false;

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
    this.awaitsSecret.value = thread.awaitsSecret;
    this.messages.value = [];
    this.hasNewer.value = cursor !== null;
    this.newest = thread.messages.pageInfo.startCursor ?? null;
    this.takeOlder(thread.messages);
  }

  close(): void {
    this.generation += 1;
    this.answers.close();
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

  /** Something was said or changed, perhaps in another tab or on another device: learn what. */
  async catchUp(): Promise<void> {
    this.isStale = true;
    await this.loading?.catch(() => undefined);
    await this.once(async () => {
      while (this.isStale && this.isLoaded.value && !this.hasNewer.value) {
        this.isStale = false;
        if (!(await this.takeNewest())) while (await this.takeNewer());
      }
    });
  }

  /** Send a message; `key` makes that repeatable. Whoever gives up an upload does so by `signal`. */
  async send(draft: Draft, model: string, key: string, progress: Progress, signal: AbortSignal): Promise<void> {
    const { text, files } = draft;
    const attachments = files.map(() => ({ file: null }));
    const input = { threadId: this.threadId, text, model, attachments, idempotencyKey: key };
    const parts = new Map(files.map((file, number) => [`variables.input.attachments.${number}.file`, file]));
    const { sendMessage: sent } = await (files.length > 0
      ? askWithFiles(SEND, { input }, parts, progress, signal)
      : ask(SEND, { input }));
    if (sent.__typename !== 'SendMessageSuccess') throw new Refused(sent.message, sent.code);
    if (this.hasNewer.value) return this.open();
    this.put(sent.userMessage);
    if (sent.run != null) this.answers.follow(sent.run, sent.userMessage.id);
  }

  async cancel(): Promise<void> {
    await Promise.all(this.live.value.map(({ runId }) => ask(CANCEL, { input: { runId } })));
  }

  /** Have a question answered anew; with a text, that is what it says from now on. */
  async regenerate(messageId: string, model: string, text: string | null = null): Promise<void> {
    const { regenerate: made } = await ask(REGENERATE, { input: { messageId, model, text } });
    if (made.__typename !== 'RegenerateSuccess') throw new Refused(made.message, made.code);
    const question = this.messages.value.find(({ id }) => id === messageId);
    if (question !== undefined && text !== null) this.put({ ...question, text });
    this.answers.follow(made.run, messageId);
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

  /** Load the newest page again, with what was changed of it; false if there is more between it and what is here. */
  private async takeNewest(): Promise<boolean> {
    const own = this.generation;
    const { thread } = await ask(CONVERSATION, { id: this.threadId, first: PAGE, after: null });
    if (thread == null || own !== this.generation) return true;
    this.awaitsSecret.value = thread.awaitsSecret;
    const { nodes, pageInfo } = thread.messages;
    const known = new Set(this.messages.value.map(({ id }) => id));
    if (known.size > 0 && !nodes.some(({ id }) => known.has(id))) return false;
    if (known.size === 0) this.takeOlder(thread.messages);
    else this.add(nodes, 'newer');
    this.newest = pageInfo.startCursor ?? this.newest;
    return true;
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
    if (message.sender === 'USER' && run != null && !ENDED.has(run.status)) this.answers.follow(run, message.id);
  }

  private ended(questionId: string, { status, message, error }: AnswerEnd): void {
    if (message !== null) this.put(message);
    const question = this.messages.value.find(({ id }) => id === questionId);
    if (question === undefined) return;
    const run = question.run == null ? null : { ...question.run, status };
    this.put({ ...question, run, status: error === null ? 'READY' : 'ERROR', error });
  }
}
