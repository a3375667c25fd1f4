// How an application reads what the generated types describe; a kind of event that is forgotten here,
// or a failure that has no message, is an error of the compiler.
import type { FollowSubscription, SendMutation, ThreadsQuery } from "./operations";

export function textAfter(text: string, event: FollowSubscription["runEvents"]): string {
  switch (event.__typename) {
    case "RunSnapshot":
      return event.text;
    case "RunDelta":
      return text + event.text;
    case "CursorExpired":
      return event.snapshot.text;
    case "RunStatusChanged":
    case "RunEnded":
      return text;
  }
}

export function runId({ sendMessage }: SendMutation): string | null {
  if (sendMessage.__typename === "SendMessageSuccess") return sendMessage.run?.id ?? null;
  throw new Error(`${sendMessage.code}: ${sendMessage.message}`);
}

export function titles({ threads }: ThreadsQuery): string[] {
  return threads.edges.map(({ node }) => node.title ?? node.lastMessage?.text ?? "");
}
