/** A question that was answered anew has several answers: one of them is shown, the newest unless another is chosen. */

/** As much of a message as tells what it answers. */
export interface Answering {
  id: string;
  sender: 'USER' | 'ASSISTANT' | 'SYSTEM';
  parent?: { id: string } | null;
}

/** An answer's place among those to the same question. */
export interface Versions {
  /** Their ids, oldest first. */
  ids: string[];
  place: number;
}

/** For each answer that has others beside it: which they are. */
export function versionsOf(messages: readonly Answering[]): Map<string, Versions> {
  const several = [...answersOf(messages).values()].filter((answers) => answers.length > 1);
  return new Map(
    several.flatMap((answers) => {
      const ids = answers.map(({ id }) => id);
      return ids.map((id, place) => [id, { ids, place }] as const);
    }),
  );
}

/**
 * The messages as they are shown: each answer behind its question, though another one may have been asked
 * meanwhile; and of several answers to one question the chosen one, or else the newest.
 */
export function shown<M extends Answering>(messages: readonly M[], chosen: ReadonlySet<string>): M[] {
  const known = new Set(messages.map(({ id }) => id));
  const answers = answersOf(messages);
  const answerTo = (question: string): M | undefined => {
    const all = answers.get(question);
    return all?.find(({ id }) => chosen.has(id)) ?? all?.at(-1);
  };
  return messages.flatMap((message) => {
    const question = questionOf(message);
    if (question === null) return [message, answerTo(message.id)].filter((each) => each !== undefined);
    // Its question may not be loaded: then it stands where it was said.
    return !known.has(question) && message === answerTo(question) ? [message] : [];
  });
}

/** The answers to each question, oldest first. */
function answersOf<M extends Answering>(messages: readonly M[]): Map<string, M[]> {
  const answers = new Map<string, M[]>();
  for (const message of messages) {
    const question = questionOf(message);
    if (question !== null) answers.set(question, [...(answers.get(question) ?? []), message]);
  }
  return answers;
}

function questionOf({ sender, parent }: Answering): string | null {
  return sender === 'ASSISTANT' ? (parent?.id ?? null) : null;
}
