/** Problems of a cell as diagnostics of its editor, and help for words of its line under the pointer. */
import { Diagnostic, setDiagnostics } from '@codemirror/lint';
import { Extension } from '@codemirror/state';
import { EditorView, hoverTooltip } from '@codemirror/view';
import { Cell } from '@jupyterlab/cells';
import { CodeMirrorEditor } from '@jupyterlab/codemirror';
import type { Analysis } from '../api/types';
import { wordAt, IPlace } from './place';
import { marks } from './verdict';

function hint(strong: string, more: string): HTMLElement {
  const node = document.createElement('div');
  node.className = 'mlrun-Hint';
  const first = node.appendChild(document.createElement('div'));
  first.textContent = strong;
  if (more) {
    const second = node.appendChild(document.createElement('div'));
    second.className = 'mlrun-Hint-next';
    second.textContent = more;
  }
  return node;
}

/** Marks what is wrong; nothing where there is no editor yet. */
export function underline(cell: Cell, analysis: Analysis | null): void {
  const editor = cell.editor;
  if (!(editor instanceof CodeMirrorEditor)) {
    return;
  }
  const view = editor.editor;
  const source = view.state.doc.toString();
  const found: Diagnostic[] = (analysis ? marks(analysis, source) : []).map(mark => ({
    from: mark.from,
    to: mark.to,
    severity: 'warning',
    source: 'mlrun',
    message: `${mark.message} ${mark.next}`,
    renderMessage: () => hint(mark.message, mark.next)
  }));
  view.dispatch(setDiagnostics(view.state, found));
}

/** Help for options, commands, functions, runs and artifacts under the pointer. */
export function hover(help: (place: IPlace) => Promise<string>): Extension {
  return hoverTooltip(
    async (view: EditorView, pos: number) => {
      const source = view.state.doc.toString();
      if (!source.includes('%mlrun')) {
        return null;
      }
      const word = wordAt(source, pos);
      const text = word && (await help(word.place).catch(() => ''));
      if (!word || !text || view.state.doc.toString() !== source) {
        return null;
      }
      const at = text.indexOf(': ');
      return {
        pos: word.from,
        end: word.to,
        above: true,
        create: () => ({ dom: hint(at < 0 ? text : text.slice(0, at), at < 0 ? '' : text.slice(at + 2)) })
      };
    },
    { hideOnChange: true }
  );
}
