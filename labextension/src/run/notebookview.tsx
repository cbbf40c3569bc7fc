/** The executed notebook, drawn by JupyterLab's own renderers; never trusted, a cell only when it comes into sight. */
import type { ICell, MultilineString, INotebookContent, IOutput } from '@jupyterlab/nbformat';
import { OutputAreaModel, SimplifiedOutputArea } from '@jupyterlab/outputarea';
import { MimeModel } from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';
import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { ApiError } from '../api/client';
import { RunDetail, TERMINAL } from '../api/types';
import { asApiError } from '../model';
import { Boundary, ErrorBox, useTrans } from '../parts';
import { IHost, useHost } from './host';
import { Reader, useJournal } from './live';

const TELLING = new Set(['start', 'done', 'output', 'update', 'clear', 'attempt', 'end', 'note']);

export function NotebookView({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const host = useHost();
  const [notebook, setNotebook] = useState<INotebookContent | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const reader = useRef<Reader | null>(null);
  const going = !TERMINAL.has(run.state);
  useEffect(() => {
    let gone = false;
    const own = new Reader(async () => {
      try {
        const found = await host.model.client.get<INotebookContent>(`runs/${run.uid}/notebook`);
        if (!gone) {
          setNotebook(found);
          setError(null);
        }
      } catch (failure) {
        if (!gone) {
          setError(asApiError(failure));
        }
      }
    });
    reader.current = own;
    own.wanted();
    return () => {
      gone = true;
      own.dispose();
    };
  }, [run.uid, going]);
  useJournal(host.model, run.uid, entries => {
    if (entries.some(each => TELLING.has(each.type) || each.type === 'stream')) {
      reader.current?.wanted();
    }
  });
  if (!notebook) {
    return error ? (
      <ErrorBox error={error} retry={() => reader.current?.wanted()} />
    ) : (
      <div className="mlrun-Empty" role="status">
        {trans.__('Loading…')}
      </div>
    );
  }
  const language = String(
    (notebook.metadata.kernelspec?.language ?? notebook.metadata.language_info?.name) || 'python'
  );
  const cells = notebook.cells.filter(each => textOf(each.source) || (each.outputs as IOutput[] | undefined)?.length);
  return (
    <div className="mlrun-Notebook" role="list" aria-label={trans.__('Executed notebook')}>
      {error && <ErrorBox error={error} />}
      {!cells.length && (
        <div className="mlrun-Empty">
          {going ? trans.__('It has not begun yet.') : trans.__('It never came to its notebook.')}
        </div>
      )}
      {cells.map((cell, index) => (
        <Boundary key={String(cell.id ?? index)} name={trans.__('Cell %1', index + 1)}>
          <Cell host={host} source={JSON.stringify(cell)} language={language} />
        </Boundary>
      ))}
    </div>
  );
}

/** With lists of lines joined, as the models of outputs want them. */
export function joined(output: IOutput): IOutput {
  const found: Record<string, unknown> = { ...output };
  if (Array.isArray(found.text)) {
    found.text = found.text.join('');
  }
  if (found.data) {
    found.data = Object.fromEntries(
      Object.entries(found.data as object).map(([kind, each]) => [
        kind,
        // what is JSON may be a list by its own right
        Array.isArray(each) && !/[/+]json$/.test(kind) ? each.join('') : each
      ])
    );
  }
  return found as IOutput;
}

const textOf = (source: MultilineString | undefined) => (Array.isArray(source) ? source.join('') : (source ?? ''));

/** One cell. Its source text is the property, so that a cell that did not change is not drawn again. */
const Cell = memo(function Cell({ host, source, language }: { host: IHost; source: string; language: string }) {
  const node = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver(found => found.some(each => each.isIntersecting) && setSeen(true), {
      rootMargin: '600px'
    });
    watcher.observe(node.current!);
    return () => watcher.disconnect();
  }, []);
  const cell = JSON.parse(source) as ICell;
  const text = textOf(cell.source);
  const outputs = cell.cell_type === 'code' ? (cell.outputs as IOutput[]) : [];
  const count = cell.cell_type === 'code' ? (cell.execution_count as number | null) : null;
  return (
    <div
      ref={node}
      className="mlrun-Cell"
      role="listitem"
      data-kind={cell.cell_type}
      style={seen ? undefined : { minHeight: 20 + 17 * text.split('\n').length }}
    >
      {cell.cell_type === 'code' && <div className="mlrun-Cell-count">{count === null ? '[ ]:' : `[${count}]:`}</div>}
      <div className="mlrun-Cell-body">
        {seen &&
          (cell.cell_type === 'code' ? (
            text && <Code host={host} text={text} language={language} />
          ) : (
            <Markdown host={host} text={text} />
          ))}
        {seen && outputs.length > 0 && <Outputs host={host} outputs={JSON.stringify(outputs)} />}
      </div>
    </div>
  );
});

function Code({ host, text, language }: { host: IHost; text: string; language: string }) {
  const node = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => {
    const pre = node.current!;
    const into = document.createElement('code');
    let gone = false;
    pre.textContent = text;
    const found = host.languages?.findByName(language) ?? null;
    void host.languages?.highlight(text, found, into).then(
      () => !gone && pre.replaceChildren(into),
      // uncoloured code is code as well
      () => undefined
    );
    return () => {
      gone = true;
    };
  }, [text, language]);
  return <pre ref={node} className="mlrun-Code" />;
}

/** Holds a Lumino widget in React. */
function Mount({ make, of }: { make(): Widget; of: string }) {
  const node = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const widget = make();
    Widget.attach(widget, node.current!);
    return () => {
      if (widget.isAttached) {
        Widget.detach(widget);
      }
      widget.dispose();
    };
  }, [of]);
  return <div ref={node} />;
}

function Outputs({ host, outputs }: { host: IHost; outputs: string }) {
  return (
    <Mount
      of={outputs}
      make={() => {
        const model = new OutputAreaModel({ values: (JSON.parse(outputs) as IOutput[]).map(joined), trusted: false });
        const area = new SimplifiedOutputArea({ model, rendermime: host.rendermime });
        area.disposed.connect(() => model.dispose());
        return area;
      }}
    />
  );
}

function Markdown({ host, text }: { host: IHost; text: string }) {
  return (
    <Mount
      of={text}
      make={() => {
        const renderer = host.rendermime.createRenderer('text/markdown');
        void renderer.renderModel(new MimeModel({ data: { 'text/markdown': text }, trusted: false }));
        return renderer;
      }}
    />
  );
}
