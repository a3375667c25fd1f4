/** What an agent asks back, as a form: its interrupt's payload is an object of the agent's own making. */

export type FieldKind = 'text' | 'long' | 'password' | 'number' | 'integer' | 'boolean' | 'choice';

export interface Field {
  name: string;
  label: string;
  hint: string;
  kind: FieldKind;
  /** What can be chosen, of a choice. */
  options: Option[];
  isRequired: boolean;
  initial: string;
}

export interface Option {
  value: string;
  label: string;
}

export interface Form {
  fields: Field[];
  /** What is asked, where the message does not say it. */
  question: string;
  /** Whether the server keeps the reply from everybody but the agent: a field of it is a password. */
  isSecret: boolean;
}

/** As much of a message as tells what is asked. */
export interface Said {
  id: string;
  sender: 'USER' | 'ASSISTANT' | 'SYSTEM';
  metadata: unknown;
  parent?: { id: string } | null;
  run?: { status: string } | null;
}

type Json = Record<string, unknown>;

const CAME_TO_NOTHING = new Set(['FAILED', 'CANCELLED']);
const LONG = 200;

/** The message whose question nobody has answered yet, and its form; a reply that did not get through is none. */
export function openQuestion(messages: readonly Said[]): { messageId: string; form: Form } | null {
  const cameToNothing = ({ run }: Said): boolean => CAME_TO_NOTHING.has(run?.status ?? '');
  const answered = new Set(
    messages.filter((each) => each.sender === 'ASSISTANT' && !cameToNothing(each)).map(({ parent }) => parent?.id),
  );
  for (const message of [...messages].reverse()) {
    if (message.sender === 'USER' && (!cameToNothing(message) || answered.has(message.id))) return null;
    if (message.sender === 'USER' || (message.sender === 'ASSISTANT' && cameToNothing(message))) continue;
    const form = formOf(asObject(message.metadata)['interrupt_payload']);
    return form === null ? null : { messageId: message.id, form };
  }
  return null;
}

/** The form for a secret of which no more is known. */
export const SECRET_FORM: Form = {
  fields: [field('password', { format: 'password', title: '' })],
  question: '',
  isSecret: true,
};

/**
 * The form for a payload: by a JSON schema (`schema`, or the payload itself), a list of `fields`, or `options` to
 * choose from; or for a password anywhere else. Null if a reply in words is all that it asks for.
 */
export function formOf(payload: unknown): Form | null {
  const isSecret = asksForPassword(payload);
  const all = asObject(payload);
  const isSaid = ['content', 'question'].some((key) => (text(all[key]) ?? '') !== ''); // then it is the message's text
  const question = isSaid ? '' : (text(all['message'] ?? all['prompt'] ?? all['title']) ?? '');
  const schema = [all['schema'], all['json_schema'], all].map(asObject).find((each) => 'properties' in each);
  const fields =
    schema !== undefined
      ? fieldsOfSchema(schema)
      : Array.isArray(all['fields'])
        ? all['fields'].map((each, number) => field(String(asObject(each)['name'] ?? number), asObject(each)))
        : optionsOf(all).length > 0
          ? [field('choice', { ...all, title: '' })]
          : [];
  if (isSecret && !fields.some(({ kind }) => kind === 'password')) {
    return { ...SECRET_FORM, question };
  }
  return fields.length > 0 ? { fields, question, isSecret } : null;
}

/** The reply that a filled form stands for: the value of a single field, or else a JSON object. */
export function replyOf(form: Form, values: Readonly<Record<string, string | number>>): string {
  const [first] = form.fields;
  const valueOf = (name: string): string => String(values[name] ?? '');
  if (form.fields.length === 1 && first !== undefined) return valueOf(first.name);
  const typed = form.fields
    .filter(({ name, isRequired }) => isRequired || valueOf(name) !== '')
    .map(({ name, kind }) => [name, typedValue(kind, valueOf(name))]);
  return JSON.stringify(Object.fromEntries(typed));
}

function typedValue(kind: FieldKind, value: string): unknown {
  if (kind === 'boolean') return value === 'true';
  // Beyond that, a number is not what was typed.
  const isExact = Math.abs(Number(value)) <= Number.MAX_SAFE_INTEGER;
  return (kind === 'number' || kind === 'integer') && value !== '' && isExact ? Number(value) : value;
}

function fieldsOfSchema(schema: Json): Field[] {
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  return Object.entries(asObject(schema['properties'])).map(([name, each]) =>
    field(name, { required: required.includes(name), ...asObject(each) }),
  );
}

function field(name: string, from: Json): Field {
  const kind = kindOf(from);
  const initial = from['default'];
  return {
    name,
    label: text(from['title'] ?? from['label']) ?? name,
    hint: text(from['description']) ?? '',
    kind,
    options: optionsOf(from),
    isRequired: from['required'] === true,
    initial: kind === 'password' ? '' : (text(initial) ?? (kind === 'boolean' ? String(initial === true) : '')),
  };
}

function kindOf(from: Json): FieldKind {
  if (asksForPassword(from)) return 'password';
  if (optionsOf(from).length > 0) return 'choice';
  const type = String(from['type'] ?? '').toLowerCase();
  if (type === 'boolean') return 'boolean';
  if (type === 'number' || type === 'integer') return type;
  const isLong = from['format'] === 'textarea' || type === 'textarea' || Number(from['maxLength'] ?? 0) > LONG;
  return isLong ? 'long' : 'text';
}

function optionsOf(from: Json): Option[] {
  const listed = [from['enum'], from['options'], from['choices']].find(Array.isArray) ?? [];
  return listed.map((each: unknown) => {
    if (typeof each !== 'object' || each === null) return { value: String(each), label: String(each) };
    const { value, label, title, name } = each as Json;
    const shown = text(label ?? title ?? name ?? value) ?? JSON.stringify(each);
    return { value: text(value) ?? shown, label: shown };
  });
}

/** The server's own rule: a `format` of `password` at any depth. */
function asksForPassword(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(asksForPassword);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([key, each]) => (key === 'format' && String(each).toLowerCase() === 'password') || asksForPassword(each),
  );
}

function text(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
