/** The answers of one thread that are being written. */
import { type ShallowRef, shallowRef } from 'vue';

import { type Stop, follow } from '../api/follow';
import type { MessagePartsFragment, RunEventsSubscription, RunPartsFragment, RunStatus } from '../api/gql/graphql';
import { RUN_EVENTS } from '../api/operations';

type RunEvent = RunEventsSubscription['runEvents'];

/** An answer while it is written. */
export interface LiveAnswer {
  runId: string;
  questionId: string;
  status: ShallowRef<RunStatus>;
  text: ShallowRef<string>;
}

/** How an answer ended: with what was saved of it, and why it failed if it did. */
export interface AnswerEnd {
  status: RunStatus;
  message: MessagePartsFragment | null;
  error: string | null;
}

export class LiveAnswers {
  readonly list = shallowRef<LiveAnswer[]>([]);
  private isClosed = false;
  private readonly stops = new Map<string, Stop>();

  constructor(private readonly ended: (questionId: string, end: AnswerEnd) => void) {}

  follow(run: RunPartsFragment, questionId: string): void {
    if (this.isClosed || this.stops.has(run.id)) return;
    const answer: LiveAnswer = {
      runId: run.id,
      questionId,
      status: shallowRef(run.status),
      text: shallowRef(''),
    };
    const writing = new FrameText(answer.text);
    this.list.value = [...this.list.value, answer];
    const stop = follow(
      RUN_EVENTS,
      { id: run.id },
      ({ runEvents: event }) => {
        this.take(event, answer, writing);
        return { cursor: event.cursor, isOver: event.__typename === 'RunEnded' };
      },
      (error) => this.finish(answer, { status: 'FAILED', message: null, error }),
    );
    this.stops.set(run.id, stop);
  }

  close(): void {
    this.isClosed = true;
    for (const stop of this.stops.values()) stop();
    this.stops.clear();
    this.list.value = [];
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
        this.finish(answer, {
          status: event.runStatus,
          message: event.assistantMessage ?? null,
          error: event.error?.message ?? null,
        });
    }
  }

  private finish(answer: LiveAnswer, end: AnswerEnd): void {
    this.stops.delete(answer.runId);
    this.list.value = this.list.value.filter((each) => each !== answer);
    this.ended(answer.questionId, end);
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
