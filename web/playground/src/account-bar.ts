import type { Session } from './session';

const FORMS = {
  signIn: { submit: 'Sign in', hint: '', other: 'Create the first account', password: 'current-password' },
  register: {
    submit: 'Create account',
    hint: 'The first account is the administrator, who makes all others.',
    other: 'Sign in instead',
    password: 'new-password',
  },
} as const;

/** Wires the bar above the editor: who is signed in, signing in and out, and the first account. */
export function wireAccountBar(session: Session): void {
  const form = element('sign-in', HTMLFormElement);
  const [username, password] = ['username', 'password'].map((name) => form.elements.namedItem(name) as HTMLInputElement);
  const submit = form.querySelector<HTMLButtonElement>('[type=submit]');
  if (!username || !password || !submit) throw new Error('The sign-in form is incomplete.');
  let mode: keyof typeof FORMS = 'signIn';

  const showForm = (): void => {
    submit.textContent = FORMS[mode].submit;
    password.autocomplete = FORMS[mode].password;
    element('sign-in-hint', HTMLElement).textContent = FORMS[mode].hint;
    element('switch-form', HTMLElement).textContent = FORMS[mode].other;
  };
  const show = (notice = ''): void => {
    form.hidden = session.username !== null;
    element('signed-in', HTMLElement).hidden = session.username === null;
    element('who', HTMLElement).textContent = session.username;
    showNotice(notice);
  };
  const send = async (): Promise<void> => {
    submit.disabled = true;
    try {
      await (mode === 'signIn'
        ? session.signIn(username.value, password.value)
        : session.register(username.value, password.value));
      mode = 'signIn';
      form.reset();
      showForm();
    } catch (error) {
      showNotice(error instanceof Error ? error.message : 'The server cannot be reached.');
      password.select();
    } finally {
      submit.disabled = false;
    }
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void send();
  });
  element('switch-form', HTMLElement).addEventListener('click', () => {
    mode = mode === 'signIn' ? 'register' : 'signIn';
    showForm();
    showNotice('');
    username.focus();
  });
  element('sign-out', HTMLElement).addEventListener('click', () => session.signOut());
  session.onChange(show);
  showForm();
  show();
}

function showNotice(text: string): void {
  const notice = element('notice', HTMLElement);
  notice.textContent = text;
  notice.hidden = text === '';
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no #${id}.`);
  return found;
}
