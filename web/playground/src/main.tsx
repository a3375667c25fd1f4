import 'graphiql/setup-workers/vite';
import { useGraphiQL, useGraphiQLActions, useMonaco } from '@graphiql/react';
import { GraphiQL } from 'graphiql';
import { useEffect, useLayoutEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

// Without graphiql/style.css, which is these four and 600 KB of fonts.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './page.css';
import './editor.css';
import './event-log.css';

import { wireAccountBar } from './account-bar';
import { type Answer, bearer, post, refusesToken } from './endpoint';
import { EventLog } from './event-log';
import { EXAMPLES } from './examples';
import { createFetcher } from './fetcher';
import { FillIn, type Found, valuesIn } from './fill-in';
import { Session, type Tokens } from './session';
import { defineThemes } from './themes';

const session = new Session();
const log = new EventLog();
const fillIn = new FillIn();
const fetcher = createFetcher(session, log, noteAnswer);
let onFound: (found: Found) => void = () => undefined;

/** Take what other examples need from an answer, the tokens of somebody who signed in by hand, and doubts. */
function noteAnswer(answer: Answer): void {
  if (refusesToken(answer)) void session.doubt();
  const login = answer.data?.login as { tokens?: Tokens; viewer?: { user?: { username?: string } } } | undefined;
  if (login?.tokens?.refreshToken && login.viewer?.user?.username) {
    session.adopt(login.viewer.user.username, login.tokens);
  }
  const found = valuesIn(answer);
  // Later: the editor shows the answer first, and putting values into tabs shows each tab's own answer again.
  if (Object.keys(found).length > 0) setTimeout(() => onFound(found));
}

async function findModel(): Promise<void> {
  const token = await session.accessToken();
  if (token !== null) noteAnswer(await post({ query: '{ models { id } }' }, bearer(token)));
}

/** What reaches into the editor from outside; shows nothing itself. */
function Wiring(): null {
  const { introspect, moveTab } = useGraphiQLActions();
  const { tabs, activeTabIndex, variableEditor } = useGraphiQL(({ tabs, activeTabIndex, variableEditor }) => ({
    tabs,
    activeTabIndex,
    variableEditor,
  }));
  const monaco = useMonaco(({ monaco }) => monaco);
  const [found, setFound] = useState<Found | null>(null);

  useEffect(() => monaco && defineThemes(monaco), [monaco]);
  useEffect(() => session.onChange(() => void introspect()), [introspect]);
  useEffect(() => {
    onFound = (values) => setFound((before) => ({ ...before, ...values }));
  }, []);
  // Within the render that saw these tabs: any others would lose what the editor just wrote into the active one.
  useLayoutEffect(() => {
    if (found === null || !variableEditor) return;
    const active = variableEditor.getValue();
    const filled = fillIn.into(active, found);
    const others = tabs.map((tab, index) => {
      const variables = index === activeTabIndex || !tab.variables ? tab.variables : fillIn.into(tab.variables, found);
      return variables === tab.variables ? tab : { ...tab, variables };
    });
    fillIn.remember(found);
    setFound(null);
    if (others.some((tab, index) => tab !== tabs[index])) moveTab(others);
    if (filled !== active) variableEditor.setValue(filled);
  }, [found, tabs, activeTabIndex, variableEditor, moveTab]);
  return null;
}

function Playground() {
  return (
    // Operations may hold passwords, so what GraphiQL keeps is gone with the browser tab, too.
    <GraphiQL
      fetcher={fetcher}
      storage={sessionStorage}
      defaultTabs={EXAMPLES}
      defaultEditorToolsVisibility="variables"
      showPersistHeadersSettings={false}
    >
      <GraphiQL.Logo>
        <span />
      </GraphiQL.Logo>
      <GraphiQL.Footer>
        <div className="events-place" ref={(place) => void place?.append(log.element)} />
      </GraphiQL.Footer>
      <Wiring />
    </GraphiQL>
  );
}

wireAccountBar(session);
session.onChange(() => void findModel());
void findModel();
const main = document.getElementById('graphiql');
if (main) createRoot(main).render(<Playground />);
