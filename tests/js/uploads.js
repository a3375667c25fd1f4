// A file sent with a message by urql, which speaks the GraphQL multipart request specification.
import { openFetch } from "./clients/urql.js";
import { given, report } from "./lib/process.js";

const { url, authorization, file, ...input } = given();
const client = openFetch({ url, authorization });

const attachment = { file: new File([file.content], file.name, { type: file.type }) };
const sent = await client.execute("Send", { input: { ...input, attachments: [attachment] } });
const { data } = await client.execute("Answer", { runId: sent.data.sendMessage.run.id });
const { attachments } = data.run.userMessage;
const downloaded = await fetch(new URL(attachments[0].downloadUrl, url), { headers: { authorization } });
report({ attachments, content: await downloaded.text() });
