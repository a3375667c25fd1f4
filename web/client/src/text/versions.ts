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
  const answers = new Map<string, string[]>();
  for (const { id, sender, parent } of messages) {
    if (sender !== 'ASSISTANT' || parent == null) continue;
    answers.set(parent.id, [...(answers.get(parent.id) ?? []), id]);
  }
  const several = [...answers.values()].filter((ids) => ids.length > 1);
  return new Map(several.flatMap((ids) => ids.map((id, place) => [id, { ids, place }] as const)));
}

/**
 * The messages as they are shown: each answer behind its question, though another one may have been asked
 * meanwhile; and of several answers to one question the chosen one, or else the newest.
 */
export function shown<M extends Answering>(messages: readonly M[], chosen: ReadonlySet<string>): M[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const answers = new Map<string, M[]>();
  const others: M[] = [];
  for (const message of messages) {
    const question = message.sender === 'ASSISTANT' ? (message.parent?.id ?? '') : '';
    if (question !== '') answers.set(question, [...(answers.get(question) ?? []), message]);
    // Its question may not be loaded: then it stands where it was said.
    if (!byId.has(question)) others.push(message);
  }
  const choose = (all: M[]): M | undefined => all.find(({ id }) => chosen.has(id)) ?? all.at(-1);
  return others.flatMap((message) => {
    const question = message.sender === 'ASSISTANT' ? message.parent?.id : undefined;
    if (question !== undefined) return message === choose(answers.get(question) ?? []) ? [message] : [];
    const answer = choose(answers.get(message.id) ?? []);
    return answer === undefined ? [message] : [message, answer];
  });
}
