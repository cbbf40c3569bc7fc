/** The executed notebook, drawn by JupyterLab's own renderers. Nothing in it is trusted: scripts of outputs do not run. */
import { IOutput } from '@jupyterlab/nbformat';
import { OutputAreaModel, SimplifiedOutputArea } from '@jupyterlab/outputarea';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ReactNode, memo, useEffect, useRef, useState } from 'react';
import { RunDetail, TERMINAL } from '../api/types';
import { Model } from '../model';
import { ErrorBox, useTrans } from '../parts';
import { CodeBlock, Hosted, rendered } from '../views/code';
import { useLoad } from '../views/pieces';
import { useTold } from './use';

interface ICell {
  cell_type: string;
  source: string | string[];
  execution_count?: number | null;
  outputs?: IOutput[];
  metadata?: { tags?: string[] };
}

interface INotebook {
  cells: ICell[];
  metadata?: { language_info?: { name?: string } };
}

const text = (of: string | string[]) => (Array.isArray(of) ? of.join('') : of);

/** With lists of lines joined, as the models of outputs want them. */
export function joined(output: IOutput): IOutput {
  const found: Record<string, unknown> = { ...output };
  if (Array.isArray(found.text)) {
    found.text = found.text.join('');
  }
  if (found.data) {
    // what is JSON may be a list in its own right
    const lines = (kind: string, each: unknown) => Array.isArray(each) && !/[/+]json$/.test(kind);
    found.data = Object.fromEntries(
      Object.entries(found.data).map(([kind, each]) => [kind, lines(kind, each) ? each.join('') : each])
    );
  }
  return found as IOutput;
}

/** Draws what is in it when it comes near to being seen; until then it keeps the place. */
function Lazy({ lines, children }: { lines: number; children: () => ReactNode }) {
  const node = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver(found => found.some(each => each.isIntersecting) && setNear(true), {
      rootMargin: '800px'
    });
    watcher.observe(node.current!);
    return () => watcher.disconnect();
  }, []);
  return (
    <div ref={node} style={near ? undefined : { minHeight: 16 + 17 * lines }}>
      {near && children()}
    </div>
  );
}

const Cell = memo(
  function Cell({ cell, language, registry }: { cell: ICell; language: string; registry: IRenderMimeRegistry }) {
    const trans = useTrans();
    const source = text(cell.source);
    if (cell.cell_type === 'markdown') {
      return (
        <div className="mlrun-Cell">
          <span className="mlrun-Cell-number" />
          <Hosted make={() => rendered(registry, 'text/markdown', source)} deps={[source]} />
        </div>
      );
    }
    const outputs = cell.outputs ?? [];
    const injected = cell.metadata?.tags?.includes('injected-parameters');
    return (
      <div className="mlrun-Cell" data-injected={!!injected}>
        <span className="mlrun-Cell-number" aria-hidden="true">
          {cell.cell_type === 'code' ? `[${cell.execution_count ?? ' '}]:` : ''}
        </span>
        <div className="mlrun-Cell-body">
          {injected && <div className="mlrun-Dim mlrun-Note">{trans.__('The parameters of this run')}</div>}
          {source.trim() !== '' && <CodeBlock source={source} language={language} registry={registry} />}
          {outputs.length > 0 && (
            <Hosted
              make={() =>
                new SimplifiedOutputArea({
                  model: new OutputAreaModel({ values: outputs.map(joined), trusted: false }),
                  rendermime: registry
                })
              }
              deps={[JSON.stringify(outputs)]}
            />
          )}
        </div>
      </div>
    );
  },
  (before, after) => JSON.stringify(before.cell) === JSON.stringify(after.cell) && before.language === after.language
);

export function ExecutedNotebook(props: { run: RunDetail; model: Model; registry: IRenderMimeRegistry }) {
  const { run, model, registry } = props;
  const trans = useTrans();
  const told = useTold(model, run.uid, !TERMINAL.has(run.state), 2000);
  const loaded = useLoad(() => model.client.get<INotebook>(`runs/${run.uid}/notebook`), [run.uid], told);
  const notebook = loaded.value;
  if (!notebook) {
    return loaded.error ? (
      <ErrorBox error={loaded.error} retry={loaded.again} />
    ) : (
      <div className="mlrun-Empty" role="status">
        {trans.__('Loading…')}
      </div>
    );
  }
  const cells = notebook.cells.filter(cell => text(cell.source).trim() !== '' || cell.outputs?.length);
  return (
    <div className="mlrun-Notebook" role="region" aria-label={trans.__('Executed notebook')}>
      {loaded.error && <ErrorBox error={loaded.error} retry={loaded.again} />}
      {cells.length === 0 && <p className="mlrun-Empty">{trans.__('It has no cells yet.')}</p>}
      {cells.map((cell, at) => (
        <Lazy key={at} lines={text(cell.source).split('\n').length}>
          {() => <Cell cell={cell} registry={registry} language={notebook.metadata?.language_info?.name ?? 'python'} />}
        </Lazy>
      ))}
    </div>
  );
}
