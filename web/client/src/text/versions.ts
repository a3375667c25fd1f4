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

/** The messages that are shown: of several answers to one question the chosen one, or else the newest. */
export function shown<M extends Answering>(messages: readonly M[], chosen: ReadonlySet<string>): M[] {
  const versions = versionsOf(messages);
  return messages.filter(({ id }) => {
    const others = versions.get(id);
    if (others === undefined) return true;
    return id === (others.ids.find((each) => chosen.has(each)) ?? others.ids.at(-1));
  });
}
