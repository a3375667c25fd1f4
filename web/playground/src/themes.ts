/** The part of Monaco that themes need. */
interface Monaco {
  editor: {
    defineTheme(name: string, theme: { base: 'vs' | 'vs-dark'; inherit: true; rules: Rule[]; colors: Colors }): void;
  };
}
type Rule = { token: string; foreground?: string; fontStyle?: string };
type Colors = Record<string, string>;

interface Palette {
  accent: string;
  base: string;
  text: string;
  quiet: string;
  type: string;
  string: string;
  number: string;
}

const LIGHT: Palette = {
  accent: '3f5fc4', base: 'ffffff', text: '2b3445', quiet: '7b8598', type: '1f7a6d', string: '8a4b1f', number: '7a3fa8',
};
const DARK: Palette = {
  accent: '8ea6f5', base: '1b202b', text: 'd6dce8', quiet: '8590a6', type: '6cc7b8', string: 'e0a878', number: 'c9a2ee',
};

/** Replace GraphiQL's two editor themes by quiet ones in the page's own colours. */
export function defineThemes(monaco: Monaco): void {
  monaco.editor.defineTheme('graphiql-LIGHT', { base: 'vs', inherit: true, rules: rules(LIGHT), colors: colors(LIGHT) });
  monaco.editor.defineTheme('graphiql-DARK', { base: 'vs-dark', inherit: true, rules: rules(DARK), colors: colors(DARK) });
}

function rules({ accent, text, quiet, type, string, number }: Palette): Rule[] {
  return [
    { token: '', foreground: text },
    { token: 'comment', foreground: quiet },
    { token: 'keyword', foreground: accent },
    { token: 'key.identifier.gql', foreground: text },
    { token: 'argument.identifier.gql', foreground: quiet },
    { token: 'type.identifier.gql', foreground: type },
    { token: 'delimiter', foreground: quiet },
    { token: 'operator', foreground: quiet },
    { token: 'string', foreground: string },
    { token: 'string.key.json', foreground: text },
    { token: 'string.value.json', foreground: string },
    { token: 'number', foreground: number },
  ];
}

function colors({ accent, base, text, quiet }: Palette): Colors {
  const brackets = Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [`editorBracketHighlight.foreground${n}`, `#${quiet}`]));
  return {
    ...brackets,
    'editor.background': '#ffffff00',
    'editor.foreground': `#${text}`,
    'editorLineNumber.foreground': `#${quiet}80`,
    'editorLineNumber.activeForeground': `#${quiet}`,
    'editorCursor.foreground': `#${accent}`,
    'editor.selectionBackground': `#${accent}33`,
    'editorHoverWidget.background': `#${base}`,
    'editorSuggestWidget.background': `#${base}`,
    'editorSuggestWidget.selectedBackground': `#${accent}22`,
    'editorSuggestWidget.selectedForeground': `#${text}`,
    'editorSuggestWidget.highlightForeground': `#${accent}`,
    'editorSuggestWidget.focusHighlightForeground': `#${accent}`,
    'editorWidget.background': `#${base}`,
    'menu.background': `#${base}`,
    'quickInput.background': `#${base}`,
    'list.hoverBackground': `#${accent}14`,
    'scrollbar.shadow': '#ffffff00',
    'textLink.foreground': `#${accent}`,
    focusBorder: `#${accent}`,
  };
}
