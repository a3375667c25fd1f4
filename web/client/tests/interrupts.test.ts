import { describe, expect, it } from 'vitest';

import { type Said, formOf, openQuestion, replyOf } from '../src/text/interrupts';

const SCHEMA = {
  question: 'Where to?',
  schema: {
    type: 'object',
    required: ['city'],
    properties: {
      city: { type: 'string', title: 'City', description: 'In Europe' },
      nights: { type: 'integer', default: 2 },
      breakfast: { type: 'boolean' },
      room: { enum: ['single', 'double'] },
      wishes: { type: 'string', maxLength: 1000 },
    },
  },
};

function question(id: string, payload: unknown, parent: string | null = null): Said {
  return {
    id,
    sender: 'ASSISTANT',
    metadata: { interrupt_payload: payload },
    parent: parent === null ? null : { id: parent },
    run: { status: 'INTERRUPTED' },
  };
}

function said(id: string, status: string): Said {
  return { id, sender: 'USER', metadata: {}, run: { status } };
}

describe('formOf', () => {
  it('reads a JSON schema', () => {
    const form = formOf(SCHEMA);
    expect(form?.isSecret).toBe(false);
    expect(form?.fields.map(({ name, kind, isRequired, initial }) => [name, kind, isRequired, initial])).toEqual([
      ['city', 'text', true, ''],
      ['nights', 'integer', false, '2'],
      ['breakfast', 'boolean', false, 'false'],
      ['room', 'choice', false, ''],
      ['wishes', 'long', false, ''],
    ]);
    expect(form?.fields[0]).toMatchObject({ label: 'City', hint: 'In Europe' });
  });

  it.each([
    ['a schema that is the payload', SCHEMA.schema, 5],
    ['a list of fields', { fields: [{ name: 'a', label: 'A' }, { type: 'number' }] }, 2],
    ['options', { question: 'Which?', options: ['a', { value: 'b', label: 'The second' }] }, 1],
    ['choices', { choices: ['a'] }, 1],
  ])('reads %s', (_what, payload, count) => {
    expect(formOf(payload)?.fields).toHaveLength(count);
  });

  it.each([
    ['a field of a schema', { schema: { properties: { token: { type: 'string', format: 'password' } } } }],
    ['a listed field', { fields: [{ name: 'token', format: 'PASSWORD' }] }],
    ['the payload itself', { question: 'Which?', format: 'password' }],
    ['something that is no form', { deeply: [{ nested: { format: 'password' } }] }],
  ])('masks a password in %s, as the server does', (_where, payload) => {
    const form = formOf(payload);
    expect(form?.isSecret).toBe(true);
    expect(form?.fields.map(({ kind }) => kind)).toContain('password');
  });

  it('says what is asked where the message does not', () => {
    expect(formOf({ message: 'Anything else?', options: ['a'] })?.question).toBe('Anything else?');
    expect(formOf({ question: 'Which?', title: 'A title', options: ['a'] })?.question).toBe('');
  });

  it('never shows the default of a password', () => {
    expect(formOf({ fields: [{ name: 'token', format: 'password', default: 'hunter2' }] })?.fields[0]?.initial).toBe('');
  });

  it.each([[undefined], [null], ['Which?'], [{ question: 'Which?' }], [['a']], [{ fields: [] }], [{ schema: { properties: {} } }]])(
    'leaves %j to words',
    (payload) => {
      expect(formOf(payload)).toBeNull();
    },
  );
});

describe('replyOf', () => {
  it('gives the value of a single field', () => {
    const form = formOf({ fields: [{ name: 'age', type: 'number' }] });
    expect(form && replyOf(form, { age: 42 })).toBe('42');
  });

  it('gives several values as JSON, each of its type, and leaves out what was left out', () => {
    const form = formOf(SCHEMA);
    const values = { city: 'Berlin', nights: 3, breakfast: 'true', room: '', wishes: '' };
    expect(form && JSON.parse(replyOf(form, values))).toEqual({ city: 'Berlin', nights: 3, breakfast: true });
  });
});

it('alters no number that is too long for one', () => {
  const form = formOf({ fields: [{ name: 'a', type: 'integer' }, { name: 'b' }] });
  expect(form && replyOf(form, { a: '12345678901234567890', b: 'x' })).toBe('{"a":"12345678901234567890","b":"x"}');
});

it('can say no', () => {
  const form = formOf({ fields: [{ name: 'sure', type: 'boolean' }] });
  expect(form && replyOf(form, { sure: form.fields[0]?.initial ?? '' })).toBe('false');
});

describe('openQuestion', () => {
  const asked = question('q', { options: ['a', 'b'] }, 'u1');

  it('is what the agent said last', () => {
    expect(openQuestion([said('u1', 'INTERRUPTED'), asked])?.messageId).toBe('q');
  });

  it('is none once it was answered, or if nothing is asked', () => {
    expect(openQuestion([asked, said('u2', 'COMPLETED')])).toBeNull();
    expect(openQuestion([asked, said('u2', 'QUEUED')])).toBeNull();
    expect(openQuestion([question('m', null)])).toBeNull();
    expect(openQuestion([])).toBeNull();
  });

  it('is still open when a reply did not get through', () => {
    const part: Said = { id: 'part', sender: 'ASSISTANT', metadata: {}, parent: { id: 'u3' }, run: { status: 'CANCELLED' } };
    const messages = [asked, said('u2', 'FAILED'), said('u3', 'CANCELLED'), part];
    expect(openQuestion(messages)?.messageId).toBe('q');
  });

  it('is still open when it is asked for again in vain', () => {
    expect(openQuestion([said('u1', 'FAILED'), asked])?.messageId).toBe('q');
  });

  it('is closed by an answer, though another answer to the reply failed later', () => {
    const done: Said = { id: 'done', sender: 'ASSISTANT', metadata: {}, parent: { id: 'u2' }, run: { status: 'COMPLETED' } };
    expect(openQuestion([asked, said('u2', 'FAILED'), done])).toBeNull();
  });
});
